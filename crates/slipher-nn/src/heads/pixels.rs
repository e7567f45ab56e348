//! An image as answer: mean absolute or squared error of its pixels, with the scatter of held-out
//! pixels as its error.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Head, Kind, json, parse};

/// `[channel][row][column]` of pixels.
#[derive(Clone, Debug, PartialEq)]
pub struct Pixels {
    /// Channels, rows, columns.
    pub shape: [usize; 3],
    /// Mean absolute error instead of the mean square.
    pub absolute: bool,
    /// Root of the mean square error of each channel on held-out images.
    pub errors: Vec<f32>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct State {
    errors: Vec<f32>,
}

impl Pixels {
    /// Images of this shape; errors are unknown.
    pub fn new(shape: [usize; 3], absolute: bool) -> Pixels {
        Pixels {
            shape,
            absolute,
            errors: vec![f32::NAN; shape[0]],
        }
    }
}

impl Head for Pixels {
    fn kind(&self) -> Kind {
        Kind::Pixels
    }
    fn units(&self) -> usize {
        self.shape.iter().product()
    }
    fn targets(&self) -> usize {
        self.units()
    }
    fn loss(&self, outputs: &mut [f32], target: &[f32]) -> f64 {
        let share = 1.0 / target.len() as f32;
        let mut sum = 0.0;
        for (o, t) in outputs.iter_mut().zip(target) {
            let d = *o - t;
            sum += f64::from(if self.absolute { d.abs() } else { d * d });
            *o = share * if self.absolute { d.signum() } else { 2.0 * d };
        }
        sum * f64::from(share)
    }
    fn decode(&self, outputs: &[f32], answer: &mut [f32]) {
        answer.copy_from_slice(outputs);
    }
    /// Members count alike.
    fn likelihood(&self, _: &[f32], _: &[f32]) -> f64 {
        1.0
    }
    fn calibrate(&mut self, outputs: &[Vec<f32>], targets: &[f32]) {
        let plane = self.shape[1] * self.shape[2];
        let mut sums = vec![(0.0f64, 0usize); self.shape[0]];
        for member in outputs {
            for (i, (o, t)) in member.chunks(plane).zip(targets.chunks(plane)).enumerate() {
                let s = &mut sums[i % self.shape[0]];
                s.0 += o
                    .iter()
                    .zip(t)
                    .map(|(o, t)| f64::from(o - t).powi(2))
                    .sum::<f64>();
                s.1 += plane;
            }
        }
        self.errors = sums
            .iter()
            .map(|s| (s.0 / s.1.max(1) as f64).sqrt() as f32)
            .collect();
    }
    fn state(&self) -> Value {
        json(&State {
            errors: self.errors.clone(),
        })
    }
    fn restore(&mut self, state: &Value) -> Result<(), String> {
        let s: State = parse(state)?;
        if s.errors.len() != self.shape[0] {
            return Err(format!("expected {} errors", self.shape[0]));
        }
        self.errors = s.errors;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gradients_and_errors() {
        let (o, t) = ([0.1f32, -0.4, 0.8, 0.3], [0.3f32, 0.2, 0.1, -0.2]);
        for absolute in [false, true] {
            super::super::tests::check_gradient(&Pixels::new([1, 2, 2], absolute), &o, &t, 1e-3);
        }
        let mut h = Pixels::new([2, 1, 2], false);
        h.calibrate(&[vec![1.0, 1.0, 0.0, 3.0]], &[0.0, 0.0, 0.0, 0.0]);
        assert!((h.errors[0] - 1.0).abs() < 1e-6 && (h.errors[1] - 4.5f32.sqrt()).abs() < 1e-6);
        let mut other = Pixels::new([2, 1, 2], false);
        other.restore(&h.state()).unwrap();
        assert!(other == h && Pixels::new([1, 2, 2], false).restore(&h.state()).is_err());
    }
}
