//! An image with an error for each of its pixels: normal distributions whose means and widths the
//! network gives (Nix & Weigend 1994), widths scaled on held-out images so that 68 % of the pixels
//! are within theirs.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Head, Kind, json, parse};

/// Outputs `[mean, ln σ][pixel]`, targets `[pixel]`, answers `[mean, σ][pixel]`.
#[derive(Clone, Debug, PartialEq)]
pub struct Restored {
    pixels: usize,
    /// Widths are multiplied by this.
    pub scale: f32,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct State {
    scale: f32,
}

/// ln σ of pixels, at most and least.
const RANGE: (f32, f32) = (-7.0, 4.0);
/// Share of a normal distribution within one deviation.
const WITHIN: f64 = 0.682_689_5;

impl Restored {
    /// Images of so many pixels; widths are not calibrated.
    pub fn new(pixels: usize) -> Restored {
        Restored { pixels, scale: 1.0 }
    }
}

impl Head for Restored {
    fn kind(&self) -> Kind {
        Kind::Pixels
    }
    fn units(&self) -> usize {
        2 * self.pixels
    }
    fn targets(&self) -> usize {
        self.pixels
    }
    fn loss(&self, outputs: &mut [f32], target: &[f32]) -> f64 {
        let share = 1.0 / self.pixels as f32;
        let (means, logs) = outputs.split_at_mut(self.pixels);
        let mut sum = 0.0;
        for ((m, s), t) in means.iter_mut().zip(logs).zip(target) {
            let ln = s.clamp(RANGE.0, RANGE.1);
            let weight = (-2.0 * ln).exp();
            let off = *m - t;
            sum += f64::from(0.5 * off * off * weight + ln);
            *m = share * off * weight;
            // Outside of the range the width does not move the loss.
            let moves = (RANGE.0..RANGE.1).contains(s);
            *s = if moves {
                share * (1.0 - off * off * weight)
            } else {
                0.0
            };
        }
        sum * f64::from(share)
    }
    fn decode(&self, outputs: &[f32], answer: &mut [f32]) {
        answer.copy_from_slice(outputs);
        for s in &mut answer[self.pixels..] {
            *s = self.scale * s.clamp(RANGE.0, RANGE.1).exp();
        }
    }
    /// Means of means; widths of the mixture.
    fn combine(&self, members: &[&[f32]], weights: &[f64], answer: &mut [f32]) {
        let n = self.pixels;
        answer.fill(0.0);
        for (m, w) in members.iter().zip(weights) {
            let w = *w as f32;
            (0..n).for_each(|i| answer[i] += w * m[i]);
        }
        for (m, w) in members.iter().zip(weights) {
            let w = *w as f32;
            for i in 0..n {
                answer[n + i] += w * (m[n + i].powi(2) + (m[i] - answer[i]).powi(2));
            }
        }
        answer[n..].iter_mut().for_each(|v| *v = v.sqrt());
    }
    fn likelihood(&self, answer: &[f32], target: &[f32]) -> f64 {
        let mut outputs = answer.to_vec();
        outputs[self.pixels..].iter_mut().for_each(|s| *s = s.ln());
        (-self.loss(&mut outputs, target)).exp()
    }
    fn calibrate(&mut self, outputs: &[Vec<f32>], targets: &[f32]) {
        let n = self.pixels;
        let mut off: Vec<f32> = vec![];
        for member in outputs {
            for (o, t) in member.chunks_exact(2 * n).zip(targets.chunks_exact(n)) {
                let each =
                    (0..n).map(|i| (o[i] - t[i]).abs() / o[n + i].clamp(RANGE.0, RANGE.1).exp());
                off.extend(each.filter(|v| v.is_finite()));
            }
        }
        if off.is_empty() {
            return;
        }
        let at = ((off.len() - 1) as f64 * WITHIN) as usize;
        off.select_nth_unstable_by(at, f32::total_cmp);
        self.scale = off[at].max(1e-3);
    }
    fn state(&self) -> Value {
        json(&State { scale: self.scale })
    }
    fn restore(&mut self, state: &Value) -> Result<(), String> {
        let s: State = parse(state)?;
        if !(s.scale > 0.0 && s.scale.is_finite()) {
            return Err("expected a positive scale".into());
        }
        self.scale = s.scale;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gradients_calibration_and_state() {
        let h = Restored::new(3);
        let o = [0.3, -0.4, 0.8, 0.2, -0.5, 0.1];
        super::super::tests::check_gradient(&h, &o, &[0.1, 0.2, 0.9], 1e-3);
        // Errors twice as large as they are said to be.
        let mut h = Restored::new(1000);
        let targets = vec![0.0; 1000];
        let mut outputs: Vec<f32> = (0..1000)
            .map(|i| 2.0 * ((f64::from(i) + 0.5) / 1000.0 * 6.0 - 3.0) as f32)
            .collect();
        outputs.extend(vec![0.0; 1000]);
        h.calibrate(&[outputs.clone()], &targets);
        let mut answer = vec![0.0; 2000];
        h.decode(&outputs, &mut answer);
        let within = (0..1000).filter(|i| answer[*i].abs() <= answer[1000 + i]);
        assert!((within.count() as f64 / 1000.0 - WITHIN).abs() < 0.01);
        let mut other = Restored::new(1000);
        other.restore(&h.state()).unwrap();
        assert_eq!(other, h);
        assert!(
            other
                .restore(&serde_json::json!({ "scale": -1.0 }))
                .is_err()
        );
        // Two members that disagree are unsure.
        let h = Restored::new(1);
        let mut both = vec![0.0; 2];
        h.combine(&[&[1.0, 0.1], &[-1.0, 0.1]], &[0.5, 0.5], &mut both);
        assert!(both[0] == 0.0 && (both[1] - 1.005f32).abs() < 1e-3);
    }
}
