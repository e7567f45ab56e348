//! Classes by the distance of an embedding to prototypes, the means of few examples (Snell, Swersky
//! & Zemel 2017): the probability of a class is the softmax of −|x − prototype|² / temperature.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Head, Kind, json, largest, log_loss, parse};
use crate::loss::{golden_section, softmax};

/// Prototypes of classes in an embedding.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Prototypes {
    /// Values of the embedding.
    pub dimension: usize,
    /// `[class][value]`.
    pub means: Vec<Vec<f32>>,
    /// Divides squared distances before the softmax.
    pub temperature: f32,
}

impl Prototypes {
    /// No classes yet.
    pub fn new(dimension: usize, classes: usize) -> Prototypes {
        Prototypes {
            dimension,
            means: vec![vec![0.0; dimension]; classes],
            temperature: 1.0,
        }
    }

    /// Means of embeddings `[row][value]` of each class.
    pub fn learn(&mut self, embeddings: &[f32], labels: &[usize]) {
        let mut counts = vec![0usize; self.means.len()];
        self.means.iter_mut().for_each(|m| m.fill(0.0));
        for (x, k) in embeddings.chunks_exact(self.dimension).zip(labels) {
            counts[*k] += 1;
            self.means[*k].iter_mut().zip(x).for_each(|(m, v)| *m += v);
        }
        for (m, n) in self.means.iter_mut().zip(counts) {
            m.iter_mut().for_each(|v| *v /= n.max(1) as f32);
        }
    }

    /// Probabilities of the classes.
    pub fn probabilities(&self, x: &[f32]) -> Vec<f32> {
        let distance = |m: &Vec<f32>| m.iter().zip(x).map(|(m, v)| (v - m).powi(2)).sum::<f32>();
        let mut p: Vec<f32> = self
            .means
            .iter()
            .map(|m| -distance(m) / self.temperature)
            .collect();
        let n = p.len();
        softmax(&mut p, n);
        p
    }

    fn label(&self, target: f32) -> usize {
        (target as usize).min(self.means.len() - 1)
    }
}

impl Head for Prototypes {
    fn kind(&self) -> Kind {
        Kind::Classes
    }
    fn units(&self) -> usize {
        self.dimension
    }
    fn targets(&self) -> usize {
        1
    }
    fn width(&self, _: usize) -> usize {
        self.means.len()
    }
    /// Cross-entropy with the prototypes as they are; [`crate::train::episodic`] learns through
    /// them.
    fn loss(&self, outputs: &mut [f32], target: &[f32]) -> f64 {
        let (p, label) = (self.probabilities(outputs), self.label(target[0]));
        let x = outputs.to_vec();
        outputs.fill(0.0);
        for (k, (m, p)) in self.means.iter().zip(&p).enumerate() {
            let d = p - if k == label { 1.0 } else { 0.0 };
            let slope = |(x, m): (&f32, &f32)| -2.0 * d * (x - m) / self.temperature;
            outputs
                .iter_mut()
                .zip(x.iter().zip(m).map(slope))
                .for_each(|(o, s)| *o += s);
        }
        log_loss(p[label])
    }
    fn is_correct(&self, outputs: &[f32], target: &[f32]) -> Option<bool> {
        Some(largest(&self.probabilities(outputs)) == self.label(target[0]))
    }
    fn decode(&self, outputs: &[f32], answer: &mut [f32]) {
        answer.copy_from_slice(&self.probabilities(outputs));
    }
    fn likelihood(&self, answer: &[f32], target: &[f32]) -> f64 {
        f64::from(answer[self.label(target[0])])
    }
    /// Prototypes are the means of the rows given; the temperature is fitted with each row left out
    /// of its own prototype.
    fn calibrate(&mut self, outputs: &[Vec<f32>], targets: &[f32]) {
        let labels: Vec<usize> = targets.iter().map(|t| self.label(*t)).collect();
        let Some(rows) = outputs.first() else { return };
        self.learn(rows, &labels);
        let counts: Vec<f32> = (0..self.means.len())
            .map(|k| labels.iter().filter(|l| **l == k).count() as f32)
            .collect();
        let cost = |log: f64| -> f64 {
            let mut one = Prototypes {
                temperature: log.exp() as f32,
                ..self.clone()
            };
            let mut sum = 0.0;
            for (x, k) in rows.chunks_exact(self.dimension).zip(&labels) {
                let n = counts[*k];
                if n < 2.0 {
                    continue;
                }
                let kept = one.means[*k].clone();
                one.means[*k]
                    .iter_mut()
                    .zip(x)
                    .for_each(|(m, v)| *m = (*m * n - v) / (n - 1.0));
                sum -= f64::from(one.probabilities(x)[*k].max(1e-12)).ln();
                one.means[*k] = kept;
            }
            sum
        };
        // With one example a class nothing is left to fit the temperature on.
        if labels.iter().any(|k| counts[*k] >= 2.0) {
            self.temperature = golden_section(-6.0, 6.0, cost).exp() as f32;
        }
    }
    fn state(&self) -> Value {
        json(self)
    }
    fn restore(&mut self, state: &Value) -> Result<(), String> {
        let p: Prototypes = parse(state)?;
        if p.dimension != self.dimension
            || p.means.iter().any(|m| m.len() != p.dimension)
            || p.means.is_empty()
            || !(p.temperature > 0.0 && p.temperature.is_finite())
            || p.means.iter().flatten().any(|v| !v.is_finite())
        {
            return Err(format!(
                "expected prototypes of {} finite values, and a positive temperature",
                self.dimension
            ));
        }
        *self = p;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn means_gradient_and_state() {
        let mut p = Prototypes::new(2, 2);
        p.learn(&[0.0, 0.0, 2.0, 0.0, 5.0, 5.0], &[0, 0, 1]);
        assert_eq!(p.means, [[1.0, 0.0], [5.0, 5.0]]);
        p.temperature = 7.0;
        super::super::tests::check_gradient(&p, &[2.0, 1.5], &[1.0], 1e-3);
        let mut other = Prototypes::new(2, 5);
        other.restore(&p.state()).unwrap();
        assert!(other == p && Prototypes::new(3, 2).restore(&p.state()).is_err());
        assert!(p.probabilities(&[1.0, 0.0])[0] > 0.9);
    }
}
