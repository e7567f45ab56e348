//! An embedding that learns from episodes: a few examples of some classes make prototypes, others
//! are told apart by them (prototypical networks; Snell, Swersky & Zemel 2017).

use super::{Diverged, Learner, Metrics, StepReport};
use crate::checkpoint::{Checkpoint, CheckpointError};
use crate::heads::prototypes::Prototypes;
use crate::heads::{largest, log_loss};
use crate::network::{Network, Tape};
use crate::optimiser::{Optimiser, Rule};
use crate::predictor::{Precision, Predictor};

/// Examples of a few classes.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Episode {
    /// Classes drawn for an episode.
    pub classes: usize,
    /// `[row][input]`: the examples, then those to be told apart.
    pub x: Vec<f32>,
    /// Class of each row.
    pub labels: Vec<usize>,
    /// Number of examples, the first rows.
    pub support: usize,
}

/// A network whose outputs are an embedding.
pub struct Episodic {
    /// Its outputs are the embedding.
    pub net: Network,
    optimiser: Optimiser,
    seed: u64,
    tape: Tape,
    grad: Vec<f32>,
}

/// Mean loss and share correct of the rows to be told apart; the gradient of the loss replaces the
/// embeddings `[row][value]`.
fn loss(embeddings: &mut [f32], e: &Episode, dimension: usize) -> (f64, f64) {
    let mut p = Prototypes::new(dimension, e.classes);
    let at = e.support * dimension;
    p.learn(&embeddings[..at], &e.labels[..e.support]);
    let counts: Vec<f32> = (0..e.classes)
        .map(|k| e.labels[..e.support].iter().filter(|l| **l == k).count() as f32)
        .collect();
    let asked = &e.labels[e.support..];
    let share = 1.0 / asked.len().max(1) as f32;
    let (support, query) = embeddings.split_at_mut(at);
    let mut slopes = vec![vec![0.0f32; dimension]; e.classes];
    let (mut sum, mut correct) = (0.0, 0usize);
    for (x, label) in query.chunks_exact_mut(dimension).zip(asked) {
        let probabilities = p.probabilities(x);
        correct += usize::from(largest(&probabilities) == *label);
        sum += log_loss(probabilities[*label]);
        let own = x.to_vec();
        x.fill(0.0);
        for (k, m) in p.means.iter().enumerate() {
            let d = share * (probabilities[k] - if k == *label { 1.0 } else { 0.0 });
            for j in 0..dimension {
                let slope = -2.0 * d * (own[j] - m[j]);
                x[j] += slope;
                slopes[k][j] -= slope;
            }
        }
    }
    for (x, k) in support.chunks_exact_mut(dimension).zip(&e.labels) {
        x.iter_mut()
            .zip(&slopes[*k])
            .for_each(|(x, s)| *x = s / counts[*k].max(1.0));
    }
    (sum * f64::from(share), correct as f64 * f64::from(share))
}

impl Episodic {
    /// Nothing learned yet; `seed` is of the dropout.
    pub fn new(net: Network, rule: Rule, seed: u64) -> Episodic {
        let optimiser = Optimiser::new(rule, 0.0, net.weights.len());
        Episodic {
            net,
            optimiser,
            seed,
            tape: Tape::default(),
            grad: vec![],
        }
    }
}

impl Learner for Episodic {
    type Batch = Episode;

    fn step(&mut self, e: &Episode, rate: f32, step: u64) -> Result<StepReport, Diverged> {
        let seed = self.seed.wrapping_add(step);
        let mut d = self.net.forward(&e.x, &mut self.tape, Some(seed)).to_vec();
        let (loss, correct) = loss(&mut d, e, self.net.outputs());
        if !loss.is_finite() {
            return Err(Diverged);
        }
        self.net.backward(&mut self.tape, &d, &mut self.grad);
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

    fn validate(&self, e: &Episode) -> Metrics {
        let mut x = Predictor::new(&self.net, Precision::F32).predict(&e.x);
        let (loss, correct) = loss(&mut x, e, self.net.outputs());
        Metrics::of(&[("loss", loss), ("correct", correct)])
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
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;
    use rand_distr::{Distribution, StandardNormal};

    use super::super::{Examples, Run, Schedule, fit};
    use super::*;
    use crate::maps::Shape;
    use crate::network::Layer;

    /// Classes are places in four of 32 values, new ones in each episode; the other values are loud
    /// noise.
    struct Places([(&'static str, Episode); 1]);

    fn episode(seed: u64) -> Episode {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let mut normal = || -> f32 { StandardNormal.sample(&mut rng) };
        let mut e = Episode {
            classes: 4,
            support: 4 * 3,
            ..Episode::default()
        };
        let centres: Vec<f32> = (0..16).map(|_| 2.0 * normal()).collect();
        for i in 0..4 * 13 {
            let k = i % 4;
            e.labels.push(k);
            e.x.extend(centres[4 * k..4 * k + 4].iter().map(|c| c + 0.4 * normal()));
            e.x.extend((0..28).map(|_| 3.0 * normal()));
        }
        e
    }

    impl Examples<Episode> for Places {
        fn batch(&self, step: u64) -> Episode {
            episode(step + 1000)
        }
        fn held_out(&self) -> &[(&'static str, Episode)] {
            &self.0
        }
    }

    #[test]
    fn gradient_agrees_with_differences() {
        let e = Episode {
            classes: 2,
            x: vec![],
            labels: vec![0, 1, 0, 1, 0],
            support: 3,
        };
        let x: Vec<f32> = (0..10).map(|i| (i as f32 * 1.3).sin()).collect();
        let mut g = x.clone();
        loss(&mut g, &e, 2);
        for i in 0..10 {
            let at = |h: f32| {
                let mut y = x.clone();
                y[i] += h;
                loss(&mut y, &e, 2).0
            };
            let slope = (at(1e-3) - at(-1e-3)) / 2e-3;
            assert!(
                (slope - f64::from(g[i])).abs() < 1e-3,
                "{i}: {slope} {}",
                g[i]
            );
        }
    }

    #[test]
    fn new_classes_are_told_apart_from_three_examples() {
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
                units: 16,
                slope: 1.0,
            },
        ];
        let net = Network::new(Shape::line(1, 32), &layers, 1).unwrap();
        let mut e = Episodic::new(net, Rule::adam(), 1);
        let before: f64 = (0..20)
            .map(|k| e.validate(&episode(k)).get("correct").unwrap())
            .sum::<f64>()
            / 20.0;
        let steps = Schedule {
            steps: 1500,
            learning_rate: 2e-3,
            warmup: 20,
            constant: false,
            every: 500,
            patience: 0,
            keep_best: true,
        };
        fit(
            &mut e,
            &Places([("validation", episode(500))]),
            &steps,
            &mut Run::in_memory(),
        )
        .unwrap();
        let after: f64 = (0..20)
            .map(|k| e.validate(&episode(k)).get("correct").unwrap())
            .sum::<f64>()
            / 20.0;
        assert!(after > 0.85 && after > before + 0.2, "{before} {after}");
    }
}
