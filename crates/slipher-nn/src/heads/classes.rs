//! One of several classes: softmax, cross-entropy, calibrated by one temperature and a bias for
//! each class (vector scaling with one scale; Guo et al. 2017, section 4.2).

use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Head, Kind, json, largest, log_loss, parse};
use crate::loss::{golden_section, softmax};

/// Probabilities of classes.
#[derive(Clone, Debug, PartialEq)]
pub struct Classes {
    /// Fitted on validation rows; probabilities are calibrated by it.
    pub calibration: Calibration,
}

impl Classes {
    /// Not calibrated.
    pub fn new(classes: usize) -> Classes {
        Classes {
            calibration: Calibration::none(classes),
        }
    }
}

impl Head for Classes {
    fn kind(&self) -> Kind {
        Kind::Classes
    }
    fn units(&self) -> usize {
        self.calibration.biases.len()
    }
    fn targets(&self) -> usize {
        self.units()
    }
    fn loss(&self, row: &mut [f32], target: &[f32]) -> f64 {
        softmax(row, row.len());
        let each = row.iter().zip(target);
        let loss = each.map(|(p, t)| f64::from(*t) * log_loss(*p)).sum();
        row.iter_mut().zip(target).for_each(|(p, t)| *p -= t);
        loss
    }
    fn is_correct(&self, outputs: &[f32], target: &[f32]) -> Option<bool> {
        Some(largest(outputs) == largest(target))
    }
    fn decode(&self, outputs: &[f32], answer: &mut [f32]) {
        answer.copy_from_slice(outputs);
        self.calibration.apply(answer);
        softmax(answer, self.units());
    }
    fn likelihood(&self, answer: &[f32], target: &[f32]) -> f64 {
        f64::from(answer[largest(target)])
    }
    fn calibrate(&mut self, outputs: &[Vec<f32>], targets: &[f32]) {
        self.calibration = Calibration::fit(outputs, targets, self.units());
    }
    fn state(&self) -> Value {
        json(&self.calibration)
    }
    fn restore(&mut self, state: &Value) -> Result<(), String> {
        let c: Calibration = parse(state)?;
        let finite = c.temperature.is_finite() && c.biases.iter().all(|b| b.is_finite());
        if c.biases.len() != self.units() || c.temperature <= 0.0 || !finite {
            return Err(format!(
                "expected a positive temperature and {} biases",
                self.units()
            ));
        }
        self.calibration = c;
        Ok(())
    }
}

/// What stands between outputs and softmax.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Calibration {
    /// Outputs are divided by this.
    pub temperature: f32,
    /// Added then; the last is 0.
    pub biases: Vec<f32>,
}

/// Rounds of the search, one parameter after another.
const ROUNDS: usize = 10;

impl Calibration {
    /// Changes nothing.
    pub fn none(classes: usize) -> Self {
        Calibration {
            temperature: 1.0,
            biases: vec![0.0; classes],
        }
    }

    /// Of least cross-entropy on rows with known truth; `outputs` holds `[view][row · class]`,
    /// `truth` `[row · class]`. At the minimum the probabilities of a class add up to its rows.
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
        golden_section(low, high, |x| {
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
                softmax(&mut p, n);
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
    use rand::{Rng, SeedableRng};
    use rand_distr::{Distribution, StandardNormal};

    fn normal(rng: &mut rand_chacha::ChaCha8Rng) -> f64 {
        StandardNormal.sample(rng)
    }

    #[test]
    fn gradient_and_state() {
        let mut h = Classes::new(3);
        super::super::tests::check_gradient(&h, &[0.3, -1.0, 0.7], &[0.0, 1.0, 0.0], 1e-3);
        h.calibration.temperature = 2.0;
        let mut other = Classes::new(3);
        other.restore(&h.state()).unwrap();
        assert_eq!(h, other);
        assert!(Classes::new(4).restore(&h.state()).is_err());
        assert!(
            other
                .restore(&serde_json::json!({ "temperature": 0.0, "biases": [0, 0, 0] }))
                .is_err()
        );
        assert!(
            other
                .restore(&serde_json::json!({ "biases": [0, 0, 0] }))
                .is_err()
        );
    }

    /// Outputs three times too sure, of a network that saw classes equally often, on a sky where
    /// they are not.
    #[test]
    fn finds_temperature_and_shares() {
        let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(3);
        let (n, shares) = (20_000, [0.7, 0.2, 0.1]);
        let (mut outputs, mut truth) = (vec![], vec![]);
        for _ in 0..n {
            let u = rng.random::<f64>();
            let class = usize::from(u > shares[0]) + usize::from(u > shares[0] + shares[1]);
            // Equal likelihoods up to a normal variable a class: logits 1.5 · N + 1.5² for the true
            // one.
            outputs.extend((0..3).map(|k| {
                (3.0 * (1.5 * normal(&mut rng) + if k == class { 2.25 } else { 0.0 })) as f32
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
        softmax(&mut outputs, 3);
        for k in 0..3 {
            let sums = [&outputs, &truth].map(|v| v.iter().skip(k).step_by(3).sum::<f32>());
            assert!((sums[0] - sums[1]).abs() < 0.001 * n as f32, "{sums:?}");
        }
    }
}
