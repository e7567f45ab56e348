//! One network with a head.

use std::sync::Arc;

use super::{Diverged, Learner, Metrics, StepReport};
use crate::checkpoint::{Checkpoint, CheckpointError};
use crate::heads::Head;
use crate::network::{Network, Tape};
use crate::optimiser::{Optimiser, Rule};
use crate::predictor::{Precision, Predictor};

/// Inputs and targets, row by row.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Supervised {
    /// `[row][input]`.
    pub x: Vec<f32>,
    /// `[row][target]`.
    pub targets: Vec<f32>,
}

/// A network, its head and its optimiser.
pub struct Single {
    /// What is trained.
    pub net: Network,
    /// Loss of its outputs, and what they mean.
    pub head: Arc<dyn Head>,
    optimiser: Optimiser,
    /// (layer, λ): the loss grows by λ Σ w² of its weights.
    penalties: Vec<(usize, f32)>,
    /// Plus the step: the seed of what drops out.
    dropout_seed: u64,
    tape: Tape,
    outputs: Vec<f32>,
    grad: Vec<f32>,
}

impl Single {
    /// `decay` as in [`Optimiser`].
    pub fn new(
        net: Network,
        head: Arc<dyn Head>,
        rule: Rule,
        decay: f32,
        dropout_seed: u64,
    ) -> Self {
        let optimiser = Optimiser::new(rule, decay, net.weights.len());
        Single {
            net,
            head,
            optimiser,
            penalties: vec![],
            dropout_seed,
            tape: Tape::default(),
            outputs: vec![],
            grad: vec![],
        }
    }

    /// With penalties (layer, λ) on the squares of weights.
    pub fn with_penalties(mut self, penalties: Vec<(usize, f32)>) -> Self {
        self.penalties = penalties.into_iter().filter(|p| p.1 > 0.0).collect();
        self
    }

    /// Outputs `[row][unit]`; nothing drops out.
    pub fn outputs(&self, x: &[f32]) -> Vec<f32> {
        Predictor::new(&self.net, Precision::F32).predict(x)
    }
}

impl Learner for Single {
    type Batch = Supervised;

    fn step(&mut self, b: &Supervised, rate: f32, step: u64) -> Result<StepReport, Diverged> {
        let seed = self.dropout_seed.wrapping_add(step);
        self.outputs.clear();
        self.outputs
            .extend_from_slice(self.net.forward(&b.x, &mut self.tape, Some(seed)));
        let (loss, correct) = self.head.batch_loss(&mut self.outputs, &b.targets);
        if !loss.is_finite() {
            return Err(Diverged);
        }
        self.net
            .backward(&mut self.tape, &self.outputs, &mut self.grad);
        for (layer, l2) in &self.penalties {
            let own = self.net.weights_of(*layer);
            let weights = &self.net.weights[own.clone()];
            self.grad[own]
                .iter_mut()
                .zip(weights)
                .for_each(|(g, w)| *g += 2.0 * l2 * w);
        }
        super::check_gradient(&self.grad)?;
        self.optimiser
            .step(rate, step + 1, &mut self.net.weights, &self.grad);
        self.net.update_running(&self.tape);
        Ok(StepReport {
            loss,
            correct,
            others: vec![],
        })
    }

    fn validate(&self, held_out: &Supervised) -> Metrics {
        let (loss, correct) = self
            .head
            .batch_loss(&mut self.outputs(&held_out.x), &held_out.targets);
        let mut m = Metrics::of(&[("loss", loss)]);
        if correct.is_finite() {
            m.0.push(("correct".into(), correct));
        }
        m
    }

    fn save(&self, to: &mut Checkpoint) {
        super::put_network(to, "", &self.net, &self.optimiser);
    }

    fn load(&mut self, from: &Checkpoint) -> Result<(), CheckpointError> {
        super::take_network(from, "", &mut self.net, &mut self.optimiser)
    }
}

#[cfg(test)]
mod tests {
    use rand::{Rng, SeedableRng};
    use rand_chacha::ChaCha8Rng;
    use rand_distr::{Distribution, StandardNormal};

    use super::super::{Examples, Run, Schedule, fit};
    use super::*;
    use crate::heads::posterior::{Mixture, Posterior};
    use crate::maps::Shape;
    use crate::network::Layer;

    /// y = sin 2x with σ = 0.05 + 0.25 |x|, x from −1 to 1.
    struct Noisy([(&'static str, Supervised); 1]);

    fn draw(seed: u64, n: usize) -> Supervised {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let mut b = Supervised::default();
        for _ in 0..n {
            let x = rng.random::<f32>() * 2.0 - 1.0;
            let e: f32 = StandardNormal.sample(&mut rng);
            b.x.push(x);
            b.targets
                .push((2.0 * x).sin() + (0.05 + 0.25 * x.abs()) * e);
        }
        b
    }

    impl Examples<Supervised> for Noisy {
        fn batch(&self, step: u64) -> Supervised {
            draw(100 + step, 128)
        }
        fn held_out(&self) -> &[(&'static str, Supervised)] {
            &self.0
        }
    }

    /// A Gaussian head recovers a known heteroscedastic noise, and its intervals cover what they
    /// say.
    #[test]
    fn a_gaussian_head_recovers_known_noise() {
        let layers = [
            Layer::Dense {
                units: 64,
                slope: 0.1,
            },
            Layer::Dense {
                units: 64,
                slope: 0.1,
            },
            Layer::Dense {
                units: 2,
                slope: 1.0,
            },
        ];
        let net = Network::new(Shape::line(1, 1), &layers, 3).unwrap();
        let head = Mixture::gaussian(vec![(0.0, 0.7)]);
        let mut one = Single::new(net, Arc::new(head.clone()), Rule::adam(), 0.0, 1);
        let data = Noisy([("validation", draw(1, 2000))]);
        let steps = Schedule {
            steps: 2500,
            learning_rate: 3e-3,
            warmup: 50,
            constant: false,
            every: 250,
            patience: 0,
            keep_best: true,
        };
        let end = fit(&mut one, &data, &steps, &mut Run::in_memory()).unwrap();
        assert_eq!(end.validations.len(), 10);
        let mut answer = vec![0.0; 3];
        for x in [-0.9f32, -0.5, 0.3, 0.7] {
            head.decode(&one.outputs(&[x]), &mut answer);
            let (p, sigma) = (Posterior::of(&answer, 1), 0.05 + 0.25 * f64::from(x.abs()));
            assert!(
                (p.mean(0) - f64::from((2.0 * x).sin())).abs() < 0.05,
                "{x}: {}",
                p.mean(0)
            );
            assert!(
                (p.sigma(0) / sigma - 1.0).abs() < 0.2,
                "{x}: {} {sigma}",
                p.sigma(0)
            );
        }
        let test = draw(2, 4000);
        let mut inside = 0;
        for (o, t) in one.outputs(&test.x).chunks_exact(2).zip(&test.targets) {
            head.decode(o, &mut answer);
            let u = Posterior::of(&answer, 1).cumulative(0, f64::from(*t));
            inside += usize::from((0.1587..0.8413).contains(&u));
        }
        assert!((inside as f64 / 4000.0 - 0.6827).abs() < 0.025, "{inside}");
    }

    /// A value that is none ends the run; the weights stay as they were.
    #[test]
    fn a_nan_is_divergence() {
        let layers = [Layer::Dense {
            units: 3,
            slope: 1.0,
        }];
        let net = Network::new(Shape::line(1, 2), &layers, 1).unwrap();
        let head = crate::heads::classes::Classes::new(3);
        let mut one = Single::new(net, Arc::new(head), Rule::adam(), 0.0, 1);
        let before = one.net.weights.clone();
        let batch = Supervised {
            x: vec![1.0, f32::NAN, 0.5, 0.5],
            targets: vec![1.0, 0.0, 0.0, 0.0, 1.0, 0.0],
        };
        assert_eq!(one.step(&batch, 1e-3, 0), Err(Diverged));
        assert_eq!(one.net.weights, before);
        // A target far out of range has a finite loss and a slope that is none.
        let net = Network::new(
            Shape::line(1, 1),
            &[Layer::Dense {
                units: 2,
                slope: 1.0,
            }],
            1,
        );
        let head = Mixture::gaussian(vec![(0.0, 1.0)]);
        let mut one = Single::new(net.unwrap(), Arc::new(head), Rule::adam(), 0.0, 1);
        let far = Supervised {
            x: vec![1.0],
            targets: vec![1e25],
        };
        assert_eq!(one.step(&far, 1e-3, 0), Err(Diverged));
    }
}
