//! Training: what learns ([`Learner`]), what it learns from ([`Examples`]), and the one loop
//! ([`fit`]).
//!
//! * [`fit`]: steps, validation, log, best weights, checkpoints, resume; the same for every
//!   learner.
//! * [`schedule`]: learning rates and when to validate.
//! * [`single`]: one network with a head. [`adversarial`]: a generator and a discriminator.
//!   [`epochs`]: the order of examples. [`episodic`]: an embedding that learns from episodes of few
//!   examples.

pub mod adversarial;
pub mod episodic;
pub mod epochs;
mod fit;
pub mod schedule;
pub mod single;

use serde::{Deserialize, Serialize};

pub use fit::{Finished, Progress, Run, TrainError, Validation, fit};
pub use schedule::Schedule;

use crate::checkpoint::{Checkpoint, CheckpointError};
use crate::network::Network;
use crate::optimiser::Optimiser;

/// Named figures of a step or of a held-out set, in order. The one named `loss` decides which
/// weights are best.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Metrics(pub Vec<(String, f64)>);

impl Metrics {
    /// Of (name, value).
    pub fn of(values: &[(&str, f64)]) -> Metrics {
        Metrics(values.iter().map(|(k, v)| ((*k).to_owned(), *v)).collect())
    }

    /// The figure of this name.
    pub fn get(&self, name: &str) -> Option<f64> {
        self.0.iter().find(|m| m.0 == name).map(|m| m.1)
    }
}

/// What one step of the optimiser did.
#[derive(Clone, Debug, PartialEq)]
pub struct StepReport {
    /// Mean loss of the batch, before the step.
    pub loss: f64,
    /// Share of the batch whose largest output is the truth's; NaN where that has no meaning.
    pub correct: f64,
    /// Other losses by name (of a discriminator, of parts of a sum).
    pub others: Vec<(&'static str, f64)>,
}

/// A loss or a gradient that is not finite: the step was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Diverged;

/// Puts a network with what its optimiser remembers into a checkpoint.
fn put_network(to: &mut Checkpoint, prefix: &str, net: &Network, o: &Optimiser) {
    let key = |what: &str| format!("{prefix}{what}");
    to.put([
        (key("weights").as_str(), &net.weights),
        (key("running").as_str(), &net.running),
        (key("first").as_str(), &o.first),
        (key("second").as_str(), &o.second),
    ]);
}

/// Takes back what [`put_network`] put.
fn take_network(
    from: &Checkpoint,
    prefix: &str,
    net: &mut Network,
    o: &mut Optimiser,
) -> Result<(), CheckpointError> {
    let key = |what: &str| format!("{prefix}{what}");
    from.take([
        (key("weights").as_str(), &mut net.weights),
        (key("running").as_str(), &mut net.running),
        (key("first").as_str(), &mut o.first),
        (key("second").as_str(), &mut o.second),
    ])
}

/// An error if a gradient is not finite: no optimiser may take it.
fn check_gradient(grad: &[f32]) -> Result<(), Diverged> {
    if grad.iter().all(|g| g.is_finite()) {
        Ok(())
    } else {
        Err(Diverged)
    }
}

/// What learns. The loop does not know whether it is one network, two against each other, or
/// episodes.
pub trait Learner: Send {
    /// What one step takes.
    type Batch: Send;
    /// One step of the optimiser.
    ///
    /// # Errors
    /// A loss that is not finite.
    fn step(
        &mut self,
        batch: &Self::Batch,
        learning_rate: f32,
        step: u64,
    ) -> Result<StepReport, Diverged>;
    /// Figures of a held-out set; changes nothing.
    fn validate(&self, held_out: &Self::Batch) -> Metrics;
    /// All that continues the run bit for bit.
    fn save(&self, to: &mut Checkpoint);
    /// Takes what [`Learner::save`] wrote.
    ///
    /// # Errors
    /// Tensors that are missing or of another shape.
    fn load(&mut self, from: &Checkpoint) -> Result<(), CheckpointError>;
}

/// Where batches come from: a function of the step alone, so that a run can be resumed anywhere.
pub trait Examples<B>: Sync {
    /// The batch of a step.
    fn batch(&self, step: u64) -> B;
    /// Held-out sets by name; the first decides which weights are best.
    fn held_out(&self) -> &[(&'static str, B)] {
        &[]
    }
}
