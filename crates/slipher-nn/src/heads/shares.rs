//! Shares of votes over a tree of questions: rectified outputs, divided by their sum within each
//! question, times the share of the answer that leads to the question (Dieleman, Willett & Dambre
//! 2015, section 5.4).

use std::ops::Range;

use serde_json::Value;

use super::{Head, Kind};

/// A tree of questions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shares {
    /// Answers of each question.
    pub questions: Vec<Range<usize>>,
    /// (answer, the answers that are asked for after it), in the order in which they are weighted.
    pub leads: Vec<(usize, Range<usize>)>,
}

/// Added to each share before it is divided: where all outputs of a question are negative its
/// answers are equally likely.
const TINY: f32 = 1e-6;
/// Slope of the rectifier's gradient below zero, where the published one is 0: a question whose
/// answers are all negative learns again.
const LEAK: f32 = 0.02;

impl Shares {
    /// Number of answers of all questions.
    fn len(&self) -> usize {
        self.questions.iter().map(|q| q.end).max().unwrap_or(0)
    }

    /// Shares within each question to weighted shares, in place.
    pub fn compose(&self, row: &mut [f32]) {
        for (lead, range) in &self.leads {
            let share = row[*lead];
            row[range.clone()].iter_mut().for_each(|v| *v *= share);
        }
    }

    /// Outputs to shares within each question: what is negative is 0, the rest is divided by its
    /// sum.
    fn conditional(&self, row: &mut [f32]) {
        // A NaN stays one.
        let positive = |v: f32| if v < 0.0 { 0.0 } else { v };
        row.iter_mut().for_each(|v| *v = positive(*v) + TINY);
        for q in &self.questions {
            let sum = row[q.clone()].iter().sum::<f32>();
            row[q.clone()].iter_mut().for_each(|v| *v /= sum);
        }
    }
}

impl Head for Shares {
    fn kind(&self) -> Kind {
        Kind::Shares
    }
    fn units(&self) -> usize {
        self.len()
    }
    fn targets(&self) -> usize {
        self.len()
    }
    /// Mean squared error of the shares.
    fn loss(&self, row: &mut [f32], target: &[f32]) -> f64 {
        let outputs = row.to_vec();
        self.conditional(row);
        let own = row.to_vec();
        self.compose(row);
        let n = row.len() as f32;
        let each = || row.iter().zip(target);
        let loss: f64 = each()
            .map(|(p, t)| f64::from((p - t) * (p - t)))
            .sum::<f64>()
            / f64::from(n);
        let mut d: Vec<f32> = each().map(|(p, t)| 2.0 * (p - t) / n).collect();
        for (lead, range) in self.leads.iter().rev() {
            d[*lead] += range.clone().map(|i| d[i] * own[i]).sum::<f32>();
            range.clone().for_each(|i| d[i] *= row[*lead]);
        }
        for q in &self.questions {
            let sum = outputs[q.clone()].iter().map(|v| v.max(0.0)).sum::<f32>();
            let mean: f32 = q.clone().map(|i| d[i] * own[i]).sum();
            // Far from any positive output the step must stay finite.
            let scale = 1.0 / sum.max(0.05);
            for i in q.clone() {
                row[i] = scale * (d[i] - mean) * if outputs[i] > 0.0 { 1.0 } else { LEAK };
            }
        }
        loss
    }
    fn decode(&self, outputs: &[f32], answer: &mut [f32]) {
        answer.copy_from_slice(outputs);
        self.conditional(answer);
        self.compose(answer);
    }
    /// Of normal errors of 0.1.
    fn likelihood(&self, answer: &[f32], target: &[f32]) -> f64 {
        let d: f64 = answer
            .iter()
            .zip(target)
            .map(|(a, t)| f64::from(a - t).powi(2))
            .sum();
        (-0.5 * d / 0.01).exp()
    }
    /// Shares are not calibrated.
    fn calibrate(&mut self, _: &[Vec<f32>], _: &[f32]) {}
    fn state(&self) -> Value {
        Value::Null
    }
    fn restore(&mut self, _: &Value) -> Result<(), String> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Three answers, two after the first, three after the first of these.
    fn tree() -> Shares {
        Shares {
            questions: vec![0..3, 3..5, 5..8],
            leads: vec![(0, 3..5), (3, 5..8)],
        }
    }

    #[test]
    fn shares_add_up_to_what_leads_to_them() {
        let (t, x) = (tree(), [0.4f32, 1.3, -0.5, 0.2, 0.9, -1.0, -2.0, -0.1]);
        let mut a = [0.0; 8];
        t.decode(&x, &mut a);
        assert!((a[..3].iter().sum::<f32>() - 1.0).abs() < 1e-5);
        assert!(
            (a[3] + a[4] - a[0]).abs() < 1e-5 && (a[5..].iter().sum::<f32>() - a[3]).abs() < 1e-5
        );
        // Where all outputs are negative the answers are equally likely.
        assert!((a[5] - a[6]).abs() < 1e-6);
    }

    #[test]
    fn gradient_agrees_with_differences() {
        let x: Vec<f32> = (0..8).map(|i| (i as f32 * 0.9).sin().abs() + 0.2).collect();
        let target: Vec<f32> = (0..8).map(|i| (i as f32 * 0.5).cos().abs()).collect();
        super::super::tests::check_gradient(&tree(), &x, &target, 1e-2);
    }
}
