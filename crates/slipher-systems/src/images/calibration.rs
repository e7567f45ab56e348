//! Outputs to honest probabilities: one temperature and a bias for each class (Guo et al. 2017, §4.2: vector scaling with one scale).

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

/// What stands between outputs and softmax.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Calibration {
    /// Outputs are divided by this.
    pub temperature: f32,
    /// Added then; the last is 0.
    pub biases: Vec<f32>,
}

/// Rounds of the search, one dial after another.
const ROUNDS: usize = 10;

impl Calibration {
    /// Changes nothing.
    pub fn none(classes: usize) -> Self {
        Calibration {
            temperature: 1.0,
            biases: vec![0.0; classes],
        }
    }

    /// Of least cross-entropy on rows with known truth; `outputs` holds `[view][row · class]`, `truth` `[row · class]`.
    /// At the minimum the probabilities of a class add up to its rows.
    pub fn fit(outputs: &[Vec<f32>], truth: &[f32], classes: usize) -> Self {
        let mut c = Calibration::none(classes);
        for _ in 0..ROUNDS {
            c.temperature = c
                .search(-2.0, 2.5, outputs, truth, |c, x| {
                    c.temperature = x.exp() as f32
                })
                .exp() as f32;
            for k in 0..classes - 1 {
                c.biases[k] =
                    c.search(-3.0, 3.0, outputs, truth, |c, x| c.biases[k] = x as f32) as f32;
            }
        }
        c
    }

    fn search(
        &self,
        low: f64,
        high: f64,
        outputs: &[Vec<f32>],
        truth: &[f32],
        set: impl Fn(&mut Self, f64),
    ) -> f64 {
        slipher_nn::loss::golden_section(low, high, |x| {
            let mut c = self.clone();
            set(&mut c, x);
            outputs.iter().map(|o| c.cross_entropy(o, truth)).sum()
        })
    }

    fn cross_entropy(&self, outputs: &[f32], truth: &[f32]) -> f64 {
        let n = self.biases.len();
        let parts: Vec<f64> = outputs
            .par_chunks(1024 * n)
            .zip(truth.par_chunks(1024 * n))
            .map(|(o, t)| {
                let mut p = o.to_vec();
                self.apply(&mut p);
                slipher_nn::loss::softmax(&mut p, n);
                -p.iter()
                    .zip(t)
                    .map(|(p, t)| f64::from(*t) * f64::from(p.max(1e-12)).ln())
                    .sum::<f64>()
            })
            .collect();
        parts.iter().sum()
    }

    /// In place; softmax is left to the caller.
    pub fn apply(&self, outputs: &mut [f32]) {
        for row in outputs.chunks_exact_mut(self.biases.len()) {
            row.iter_mut()
                .zip(&self.biases)
                .for_each(|(v, b)| *v = *v / self.temperature + b);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use slipher_sim::random::Stream;

    /// Outputs three times too sure, of a network that saw classes equally often, on a sky where they are not.
    #[test]
    fn finds_temperature_and_shares() {
        let mut rng = Stream::new(3, 0, 0);
        let (n, shares) = (20_000, [0.7, 0.2, 0.1]);
        let (mut outputs, mut truth) = (vec![], vec![]);
        for _ in 0..n {
            let u = rng.uniform(0.0, 1.0);
            let class = usize::from(u > shares[0]) + usize::from(u > shares[0] + shares[1]);
            // Equal likelihoods up to a normal variable a class: logits 1.5 · N + 1.5² for the true one.
            outputs.extend((0..3).map(|k| {
                (3.0 * (rng.normal(0.0, 1.5) + if k == class { 2.25 } else { 0.0 })) as f32
            }));
            truth.extend((0..3).map(|k| f32::from(u8::from(k == class))));
        }
        let c = Calibration::fit(&[outputs.clone()], &truth, 3);
        assert!((c.temperature - 3.0).abs() < 0.15, "{c:?}");
        assert!(
            (c.biases[0] - 7f32.ln()).abs() < 0.12 && (c.biases[1] - 2f32.ln()).abs() < 0.12,
            "{c:?}"
        );
        c.apply(&mut outputs);
        slipher_nn::loss::softmax(&mut outputs, 3);
        for k in 0..3 {
            let sums = [&outputs, &truth].map(|v| v.iter().skip(k).step_by(3).sum::<f32>());
            assert!((sums[0] - sums[1]).abs() < 0.001 * n as f32, "{sums:?}");
        }
    }
}
