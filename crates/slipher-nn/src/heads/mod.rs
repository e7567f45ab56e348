//! Heads: from the outputs of a network to a loss and to an answer; one file for each kind.
//!
//! | head | target of a row | answer of a row |
//! |---|---|---|
//! | [`classes`] | 1 for the class, 0 for the others | probabilities |
//! | [`labels`] | the number of the class | probabilities; other losses than cross-entropy |
//! | [`shares`] | shares of a tree of questions | the same |
//! | [`posterior`] | `d` numbers | mixture of normal distributions with full covariances |
//! | [`pixels`] | an image | the same |
//! | [`restored`] | an image | the same, with an error for each pixel |
//! | [`prototypes`] | the number of the class | probabilities by distance to the means of few examples |
//!
//! A head knows no astronomy. What it learns from held-out rows (temperature, scale of errors,
//! prototypes) is its [state](Head::state), which a model file keeps.

pub mod classes;
pub mod labels;
pub mod pixels;
pub mod posterior;
pub mod prototypes;
pub mod restored;
pub mod shares;

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// What an answer is, for columns, figures of merit and pages.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// Probabilities that sum to 1.
    Classes,
    /// Shares of votes.
    Shares,
    /// See [`posterior::Posterior`].
    Posterior,
    /// An image.
    Pixels,
}

/// From network outputs to a loss and to an answer. Rows are slices of one number of values each.
pub trait Head: Send + Sync {
    /// What the answer is.
    fn kind(&self) -> Kind;
    /// Outputs of the network per row.
    fn units(&self) -> usize;
    /// Values of the target per row.
    fn targets(&self) -> usize;
    /// Values of an answer per row, of `members` networks or views together.
    fn width(&self, _members: usize) -> usize {
        self.units()
    }
    /// Loss of one row; its gradient replaces the outputs.
    fn loss(&self, outputs: &mut [f32], target: &[f32]) -> f64;
    /// Whether the answer that outputs stand for is the target's; none where that has no meaning.
    fn is_correct(&self, _outputs: &[f32], _target: &[f32]) -> Option<bool> {
        None
    }
    /// Mean loss and share of correct answers (NaN if it has no meaning) of a batch; the gradient
    /// of the mean replaces the outputs.
    fn batch_loss(&self, outputs: &mut [f32], targets: &[f32]) -> (f64, f64) {
        let rows = outputs.len() / self.units();
        let share = 1.0 / rows as f32;
        let (mut loss, mut correct, mut counted) = (0.0, 0usize, 0usize);
        for (row, t) in outputs
            .chunks_exact_mut(self.units())
            .zip(targets.chunks_exact(self.targets()))
        {
            if let Some(c) = self.is_correct(row, t) {
                correct += usize::from(c);
                counted += 1;
            }
            loss += self.loss(row, t);
            row.iter_mut().for_each(|v| *v *= share);
        }
        let correct = if counted == 0 {
            f64::NAN
        } else {
            correct as f64 * f64::from(share)
        };
        (loss * f64::from(share), correct)
    }
    /// Answer of one row of one member.
    fn decode(&self, outputs: &[f32], answer: &mut [f32]);
    /// Answer of one row from those of all members with their weights.
    fn combine(&self, members: &[&[f32]], weights: &[f64], answer: &mut [f32]) {
        answer.fill(0.0);
        for (m, w) in members.iter().zip(weights) {
            answer
                .iter_mut()
                .zip(*m)
                .for_each(|(a, v)| *a += *w as f32 * v);
        }
    }
    /// Probability (density) that the answer of one member gives to the target; weights of members
    /// follow it.
    fn likelihood(&self, answer: &[f32], target: &[f32]) -> f64;
    /// Fits what stands between outputs and answer on held-out rows; `outputs` holds `[member][row
    /// · unit]`.
    fn calibrate(&mut self, outputs: &[Vec<f32>], targets: &[f32]);
    /// What [`Head::calibrate`] found, for the model file.
    fn state(&self) -> Value;
    /// Takes what [`Head::state`] gave.
    ///
    /// # Errors
    /// What is missing or does not fit.
    fn restore(&mut self, state: &Value) -> Result<(), String>;
}

/// −ln p with a floor; a NaN stays one, so that divergence is seen.
pub(crate) fn log_loss(p: f32) -> f64 {
    let p = if p < 1e-12 { 1e-12 } else { p };
    -f64::from(p).ln()
}

/// Place of the largest value, the first of equals.
pub fn largest(row: &[f32]) -> usize {
    let better =
        |best: (usize, f32), (k, v): (usize, &f32)| if *v > best.1 { (k, *v) } else { best };
    row.iter()
        .enumerate()
        .fold((0, f32::NEG_INFINITY), better)
        .0
}

/// Reads a state as a value of its type.
fn parse<T: serde::de::DeserializeOwned>(state: &Value) -> Result<T, String> {
    T::deserialize(state).map_err(|e| e.to_string())
}

/// Writes a state.
fn json(state: &impl Serialize) -> Value {
    serde_json::to_value(state).unwrap_or(Value::Null)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::Head;

    /// The gradient of a head against differences.
    pub fn check_gradient(head: &dyn Head, outputs: &[f32], target: &[f32], tolerance: f64) {
        let mut gradient = outputs.to_vec();
        head.loss(&mut gradient, target);
        let at = |k: usize, step: f32| {
            let mut o = outputs.to_vec();
            o[k] += step;
            head.loss(&mut o, target)
        };
        for k in 0..outputs.len() {
            let step = 2e-3;
            let slope = (at(k, step) - at(k, -step)) / (2.0 * f64::from(step));
            let g = f64::from(gradient[k]);
            assert!(
                (g - slope).abs() < tolerance * (1.0 + slope.abs()),
                "output {k}: {g} {slope}"
            );
        }
    }
}
