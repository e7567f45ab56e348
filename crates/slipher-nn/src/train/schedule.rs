//! Learning rates over a run, and when it validates, writes and stops.

use serde::{Deserialize, Serialize};

/// How long a run is and what happens when.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Schedule {
    /// Steps from the first to the last.
    pub steps: u64,
    /// Peak of the learning rate.
    pub learning_rate: f64,
    /// Steps over which it rises linearly.
    pub warmup: u64,
    /// Stays at the peak instead of following a cosine.
    pub constant: bool,
    /// Steps between validations and checkpoints.
    pub every: u64,
    /// Stops when this many validations in a row were no better than the best; 0: never.
    pub patience: u64,
    /// The learner ends with the weights of the best validation, not with the last.
    pub keep_best: bool,
}

impl Schedule {
    /// The learning rate of a step.
    pub fn rate(&self, step: u64) -> f64 {
        if self.constant {
            self.learning_rate
        } else {
            learning_rate(self.learning_rate, step, self.warmup, self.steps)
        }
    }

    /// Whether a validation and a checkpoint follow after so many steps.
    pub fn is_due(&self, done: u64) -> bool {
        done.is_multiple_of(self.every.max(1)) || done == self.steps
    }
}

/// Linear warm-up over `warmup` steps, then cosine decay to 1 % of the peak at `total`.
pub fn learning_rate(peak: f64, step: u64, warmup: u64, total: u64) -> f64 {
    let up = ((step + 1) as f64 / warmup.max(1) as f64).min(1.0);
    let done = (step as f64 / total.max(1) as f64).min(1.0);
    let cosine = 0.5 * (1.0 + (std::f64::consts::PI * done).cos());
    peak * up * (0.01 + 0.99 * cosine)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn schedule_warms_up_and_decays() {
        assert!(learning_rate(1.0, 0, 100, 1000) < 0.02);
        assert!(learning_rate(1.0, 100, 100, 1000) > 0.95);
        assert!((learning_rate(1.0, 1000, 100, 1000) - 0.01).abs() < 1e-9);
    }
}
