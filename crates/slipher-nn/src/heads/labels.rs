//! One of many classes by its number, with the losses of [`crate::loss`].

use serde_json::Value;

use super::{Head, Kind, json, largest, parse};
use crate::loss::{Loss, golden_section, softmax};

/// Classes of which the target is the number of one.
#[derive(Clone, Debug, PartialEq)]
pub struct Labels {
    /// Number of classes.
    pub classes: usize,
    /// What training minimises.
    pub loss: Loss,
    /// Outputs are multiplied by this before the softmax.
    pub inverse_temperature: f32,
}

impl Labels {
    /// Not calibrated.
    pub fn new(classes: usize, loss: Loss) -> Labels {
        Labels {
            classes,
            loss,
            inverse_temperature: 1.0,
        }
    }

    fn label(&self, target: f32) -> usize {
        (target as usize).min(self.classes - 1)
    }
}

impl Head for Labels {
    fn kind(&self) -> Kind {
        Kind::Classes
    }
    fn units(&self) -> usize {
        self.classes
    }
    fn targets(&self) -> usize {
        1
    }
    fn loss(&self, outputs: &mut [f32], target: &[f32]) -> f64 {
        self.loss
            .gradient(outputs, self.classes, &[self.label(target[0])])
            .0
    }
    fn is_correct(&self, outputs: &[f32], target: &[f32]) -> Option<bool> {
        Some(largest(outputs) == self.label(target[0]))
    }
    fn batch_loss(&self, outputs: &mut [f32], targets: &[f32]) -> (f64, f64) {
        let labels: Vec<usize> = targets.iter().map(|t| self.label(*t)).collect();
        let (loss, correct) = self.loss.gradient(outputs, self.classes, &labels);
        (loss, correct as f64 / labels.len() as f64)
    }
    fn decode(&self, outputs: &[f32], answer: &mut [f32]) {
        answer
            .iter_mut()
            .zip(outputs)
            .for_each(|(a, o)| *a = self.inverse_temperature * o);
        softmax(answer, self.classes);
    }
    fn likelihood(&self, answer: &[f32], target: &[f32]) -> f64 {
        f64::from(answer[self.label(target[0])])
    }
    fn calibrate(&mut self, outputs: &[Vec<f32>], targets: &[f32]) {
        let cost = |log: f64| -> f64 {
            let head = Labels {
                inverse_temperature: log.exp() as f32,
                ..self.clone()
            };
            let mut p = vec![0.0; self.classes];
            let rows = outputs
                .iter()
                .flat_map(|o| o.chunks_exact(self.classes).zip(targets));
            rows.map(|(o, t)| {
                head.decode(o, &mut p);
                -head.likelihood(&p, &[*t]).max(1e-12).ln()
            })
            .sum()
        };
        self.inverse_temperature = golden_section(-4.0, 4.0, cost).exp() as f32;
    }
    fn state(&self) -> Value {
        json(&self.inverse_temperature)
    }
    fn restore(&mut self, state: &Value) -> Result<(), String> {
        let t: f32 = parse(state)?;
        if !(t > 0.0 && t.is_finite()) {
            return Err("expected a positive inverse temperature".into());
        }
        self.inverse_temperature = t;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gradients_and_temperature() {
        for loss in [Loss::CrossEntropy, Loss::Logistic, Loss::Squared] {
            let h = Labels::new(4, loss);
            super::super::tests::check_gradient(&h, &[0.3, -1.0, 0.7, 0.1], &[2.0], 1e-3);
        }
        // Outputs half as sure as they should be: log odds of 1 where 3 of 4 rows are of the class,
        // log 3.
        let mut h = Labels::new(2, Loss::CrossEntropy);
        let outputs = vec![[1.0f32, 0.0]; 400].concat();
        let targets: Vec<f32> = (0..400).map(|i| f32::from(u8::from(i % 4 == 0))).collect();
        h.calibrate(&[outputs], &targets);
        assert!((h.inverse_temperature - 3f32.ln()).abs() < 0.01, "{h:?}");
        let mut other = Labels::new(2, Loss::CrossEntropy);
        other.restore(&h.state()).unwrap();
        assert!(other == h && other.restore(&serde_json::json!(-1)).is_err());
    }
}
