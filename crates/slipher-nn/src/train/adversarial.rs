//! A generator against a discriminator (Goodfellow et al. 2014), each with its own optimiser; the
//! generator's loss does not saturate. With a condition and a pixel loss it is that of Isola et al.
//! 2017.

use super::{Diverged, Learner, Metrics, StepReport};
use crate::checkpoint::{Checkpoint, CheckpointError};
use crate::network::{Network, Tape};
use crate::optimiser::{Optimiser, Rule};
use crate::predictor::{Precision, Predictor};

/// Prefixes of the tensors of both networks in a checkpoint.
const GENERATOR: &str = "generator.";
const DISCRIMINATOR: &str = "discriminator.";

/// What one step takes.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Duel {
    /// Input of the generator, `[row][value]`: noise, or what is to be translated.
    pub input: Vec<f32>,
    /// What it should be like, `[row][value]`; row by row if there is a pixel loss.
    pub real: Vec<f32>,
}

/// Two networks.
pub struct Adversarial {
    /// From noise, or from images, to examples.
    pub generator: Network,
    /// One output: the log odds that its input is real.
    pub discriminator: Network,
    /// Weight of the mean absolute difference of generated and real; 0: not compared row by row.
    pub pixel_loss: f32,
    /// The discriminator sees the generator's input before what is judged.
    pub conditional: bool,
    optimisers: [Optimiser; 2],
    seed: u64,
    tapes: [Tape; 2],
    grad: Vec<f32>,
}

fn softplus(x: f32) -> f64 {
    f64::from(x.max(0.0) + (-x.abs()).exp().ln_1p())
}

fn sigmoid(x: f32) -> f32 {
    1.0 / (1.0 + (-x).exp())
}

impl Adversarial {
    /// Both learn by the same rule.
    pub fn new(generator: Network, discriminator: Network, rule: Rule, seed: u64) -> Self {
        let optimisers =
            [&generator, &discriminator].map(|n| Optimiser::new(rule, 0.0, n.weights.len()));
        Adversarial {
            generator,
            discriminator,
            pixel_loss: 0.0,
            conditional: false,
            optimisers,
            seed,
            tapes: [Tape::default(), Tape::default()],
            grad: vec![],
        }
    }

    /// Input of the discriminator.
    fn judged(&self, input: &[f32], rows: &[f32]) -> Vec<f32> {
        if !self.conditional {
            return rows.to_vec();
        }
        let (n, m) = (self.generator.input.len(), self.generator.outputs());
        let both = input.chunks_exact(n).zip(rows.chunks_exact(m));
        both.flat_map(|(a, b)| a.iter().chain(b).copied()).collect()
    }

    /// Forward and backward of the discriminator, adding to `grad`; the loss. `real` as wished.
    fn judge(&mut self, x: &[f32], real: bool, grad: &mut [f32], step: u64) -> f64 {
        let logits = self
            .discriminator
            .forward(x, &mut self.tapes[1], Some(self.seed ^ step))
            .to_vec();
        let (n, sign) = (logits.len() as f32, if real { -1.0 } else { 1.0 });
        let d: Vec<f32> = logits
            .iter()
            .map(|l| sign * sigmoid(sign * l) / n)
            .collect();
        self.discriminator
            .backward(&mut self.tapes[1], &d, &mut self.grad);
        grad.iter_mut().zip(&self.grad).for_each(|(g, x)| *g += x);
        logits.iter().map(|l| softplus(sign * l)).sum::<f64>() / f64::from(n)
    }
}

impl Learner for Adversarial {
    type Batch = Duel;

    fn step(&mut self, b: &Duel, rate: f32, step: u64) -> Result<StepReport, Diverged> {
        let fake = self
            .generator
            .forward(
                &b.input,
                &mut self.tapes[0],
                Some(self.seed.wrapping_add(step)),
            )
            .to_vec();
        let mut grad = vec![0.0; self.discriminator.weights.len()];
        let (real, made) = (self.judged(&b.input, &b.real), self.judged(&b.input, &fake));
        let judge =
            self.judge(&real, true, &mut grad, step) + self.judge(&made, false, &mut grad, step);
        // The generator learns from the discriminator as it was.
        let logits = self
            .discriminator
            .forward(&made, &mut self.tapes[1], Some(self.seed ^ step))
            .to_vec();
        let n = logits.len() as f32;
        let d: Vec<f32> = logits.iter().map(|l| -sigmoid(-l) / n).collect();
        let back = self
            .discriminator
            .backward_to_input(&mut self.tapes[1], &d, &mut self.grad);
        let mut loss = logits.iter().map(|l| softplus(-l)).sum::<f64>() / f64::from(n);
        let (own, m) = (self.discriminator.input.len(), self.generator.outputs());
        let mut slope: Vec<f32> = back
            .chunks_exact(own)
            .flat_map(|r| r[own - m..].iter().copied())
            .collect();
        if self.pixel_loss > 0.0 {
            let share = self.pixel_loss / fake.len() as f32;
            for ((s, f), r) in slope.iter_mut().zip(&fake).zip(&b.real) {
                loss += f64::from(share * (f - r).abs());
                *s += share * (f - r).signum();
            }
        }
        if !(loss + judge).is_finite() {
            return Err(Diverged);
        }
        super::check_gradient(&grad)?;
        self.optimisers[1].step(rate, step + 1, &mut self.discriminator.weights, &grad);
        self.discriminator.update_running(&self.tapes[1]);
        self.generator
            .backward(&mut self.tapes[0], &slope, &mut self.grad);
        super::check_gradient(&self.grad)?;
        self.optimisers[0].step(rate, step + 1, &mut self.generator.weights, &self.grad);
        self.generator.update_running(&self.tapes[0]);
        Ok(StepReport {
            loss,
            correct: f64::NAN,
            others: vec![("discriminator", judge)],
        })
    }

    /// The mean absolute difference of generated and real rows if they are compared, else the
    /// generator's loss.
    fn validate(&self, b: &Duel) -> Metrics {
        let fake = Predictor::new(&self.generator, Precision::F32).predict(&b.input);
        let l1 = fake
            .iter()
            .zip(&b.real)
            .map(|(f, r)| f64::from((f - r).abs()))
            .sum::<f64>()
            / fake.len().max(1) as f64;
        let logits = Predictor::new(&self.discriminator, Precision::F32)
            .predict(&self.judged(&b.input, &fake));
        let fooled = logits.iter().map(|l| softplus(-l)).sum::<f64>() / logits.len().max(1) as f64;
        let loss = if self.pixel_loss > 0.0 { l1 } else { fooled };
        Metrics::of(&[("loss", loss), ("pixels", l1), ("generator", fooled)])
    }

    fn save(&self, to: &mut Checkpoint) {
        let [generator, discriminator] = &self.optimisers;
        super::put_network(to, GENERATOR, &self.generator, generator);
        super::put_network(to, DISCRIMINATOR, &self.discriminator, discriminator);
    }

    fn load(&mut self, from: &Checkpoint) -> Result<(), CheckpointError> {
        let [generator, discriminator] = &mut self.optimisers;
        super::take_network(from, GENERATOR, &mut self.generator, generator)?;
        super::take_network(from, DISCRIMINATOR, &mut self.discriminator, discriminator)
    }
}

#[cfg(test)]
mod tests {
    use rand::{Rng, SeedableRng};
    use rand_chacha::ChaCha8Rng;
    use rand_distr::{Distribution, StandardNormal};

    use super::super::{Examples, Run, Schedule, fit};
    use super::*;
    use crate::maps::Shape;
    use crate::network::Layer;

    const MODES: usize = 5;

    fn mode(k: usize) -> [f32; 2] {
        let a = k as f32 / MODES as f32 * std::f32::consts::TAU;
        [a.cos(), a.sin()]
    }

    /// Five narrow blobs on a circle.
    struct Ring;
    impl Examples<Duel> for Ring {
        fn batch(&self, step: u64) -> Duel {
            let mut rng = ChaCha8Rng::seed_from_u64(9 + step);
            let mut b = Duel::default();
            for _ in 0..256 {
                let mut normal = || -> f32 { StandardNormal.sample(&mut rng) };
                b.input.extend([normal(), normal(), normal(), normal()]);
                let e = [0.08 * normal(), 0.08 * normal()];
                let m = mode(rng.random_range(0..MODES));
                b.real.extend([m[0] + e[0], m[1] + e[1]]);
            }
            b
        }
    }

    #[test]
    fn a_two_dimensional_mixture_is_matched() {
        let wide = |units| Layer::Dense { units, slope: 0.2 };
        let end = |units| Layer::Dense { units, slope: 1.0 };
        let g = Network::new(Shape::line(4, 1), &[wide(64), wide(64), end(2)], 1).unwrap();
        let d = Network::new(Shape::line(2, 1), &[wide(64), wide(64), end(1)], 2).unwrap();
        let rule = Rule::Adam {
            beta1: 0.5,
            beta2: 0.99,
            eps: 1e-8,
        };
        let mut gan = Adversarial::new(g, d, rule, 3);
        let steps = Schedule {
            steps: 4000,
            learning_rate: 1e-3,
            warmup: 1,
            constant: false,
            every: 4000,
            patience: 0,
            keep_best: true,
        };
        fit(&mut gan, &Ring, &steps, &mut Run::in_memory()).unwrap();
        let made =
            Predictor::new(&gan.generator, Precision::F32).predict(&Ring.batch(1 << 30).input);
        let mut counts = [0; MODES];
        let mut near = 0;
        for p in made.chunks_exact(2) {
            let distance = |k: usize| (p[0] - mode(k)[0]).hypot(p[1] - mode(k)[1]);
            let best = (0..MODES)
                .min_by(|a, b| distance(*a).total_cmp(&distance(*b)))
                .unwrap();
            counts[best] += 1;
            near += usize::from(distance(best) < 0.3);
        }
        // A fifth each is 51 of 256; points spread over the disc would have 30 % near a mode. Rounding
        // decides how a game ends: 77 % on the portable kernels, 80 to 90 % elsewhere.
        assert!(
            counts.iter().all(|c| *c > 20) && near > 170,
            "{counts:?}, {near} near a mode"
        );
    }
}
