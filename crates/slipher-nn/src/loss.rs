//! Losses of classifiers: value and gradient with respect to the last layer's output.
//!
//! With f the outputs of a row, y its label and t_k = 1 for k = y, else −1:
//!
//! | loss | of a row |
//! |---|---|
//! | cross-entropy | −log softmax(f)_y |
//! | logistic | Σ_k log₂(1 + exp(−t_k f_k)) |
//! | hinge (Crammer & Singer 2001) | max(0, 1 + max_{k≠y} f_k − f_y) |
//! | squared | ½ Σ_k (f_k − [k = y])² |

use serde::{Deserialize, Serialize};

/// One of the losses above.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Loss {
    /// −ln softmax of the true class.
    #[default]
    CrossEntropy,
    /// log₂(1 + e^−y) of the true class and log₂(1 + e^y) of each other, summed.
    Logistic,
    /// max(0, 1 + largest other − true) (Crammer & Singer 2001).
    Hinge,
    /// Squared difference from the one-hot label.
    Squared,
}

impl Loss {
    /// Mean over the rows; the gradient replaces the outputs, `[row][class]`. Also the number of
    /// rows whose largest output is the label's.
    ///
    /// # Panics
    /// If a label is not below `classes`.
    pub fn gradient(self, outputs: &mut [f32], classes: usize, labels: &[usize]) -> (f64, usize) {
        if self == Loss::CrossEntropy {
            return cross_entropy(outputs, classes, labels);
        }
        assert_eq!(outputs.len(), classes * labels.len());
        let share = 1.0 / labels.len() as f32;
        let (mut loss, mut right) = (0.0, 0);
        for (row, label) in outputs.chunks_exact_mut(classes).zip(labels) {
            let (rival, best) = rival(row, *label);
            right += usize::from(row[*label] >= best);
            loss += match self {
                Loss::Hinge => hinge(row, *label, rival),
                Loss::Logistic => logistic(row, *label),
                _ => squared(row, *label),
            };
            row.iter_mut().for_each(|v| *v *= share);
        }
        (loss / labels.len() as f64, right)
    }
}

/// The largest output beside the label's, and its place.
fn rival(row: &[f32], label: usize) -> (usize, f32) {
    let others = row.iter().enumerate().filter(|(k, _)| *k != label);
    others.fold((0, f32::NEG_INFINITY), |best, (k, v)| {
        if *v > best.1 { (k, *v) } else { best }
    })
}

fn hinge(row: &mut [f32], label: usize, rival: usize) -> f64 {
    let margin = 1.0 + row[rival] - row[label];
    row.fill(0.0);
    if margin > 0.0 && rival != label {
        row[rival] = 1.0;
        row[label] = -1.0;
    }
    f64::from(margin.max(0.0))
}

fn logistic(row: &mut [f32], label: usize) -> f64 {
    let mut loss = 0.0;
    for (k, v) in row.iter_mut().enumerate() {
        let t = if k == label { 1.0f32 } else { -1.0 };
        let x = -t * *v;
        // log(1 + eˣ) without overflow.
        loss += f64::from(x.max(0.0) + (-x.abs()).exp().ln_1p());
        *v = -t / (1.0 + (-x).exp()) / std::f32::consts::LN_2;
    }
    loss / std::f64::consts::LN_2
}

fn squared(row: &mut [f32], label: usize) -> f64 {
    row[label] -= 1.0;
    0.5 * row.iter().map(|v| f64::from(v * v)).sum::<f64>()
}

/// Mean over the rows of `−log softmax(row)[label]`; the gradient replaces the logits.
///
/// `logits` is `[row][class]`. Returns the loss and the number of rows whose largest logit is the
/// label's.
///
/// # Panics
/// If a label is not below `classes`.
pub fn cross_entropy(logits: &mut [f32], classes: usize, labels: &[usize]) -> (f64, usize) {
    assert_eq!(logits.len(), classes * labels.len());
    let (mut loss, mut right) = (0.0, 0);
    let share = 1.0 / labels.len() as f32;
    for (row, label) in logits.chunks_exact_mut(classes).zip(labels) {
        let top = row.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        right += usize::from(row[*label] == top);
        let chosen = f64::from(row[*label] - top);
        let sum: f64 = row
            .iter_mut()
            .map(|v| {
                *v = (*v - top).exp();
                f64::from(*v)
            })
            .sum();
        loss += sum.ln() - chosen;
        let scale = share / sum as f32;
        row.iter_mut().for_each(|v| *v *= scale);
        row[*label] -= share;
    }
    (loss / labels.len() as f64, right)
}

/// Place of the least value of a function with one minimum between `low` and `high` (Kiefer 1953),
/// to 10⁻⁵ of the interval.
pub fn golden_section(mut low: f64, mut high: f64, f: impl Fn(f64) -> f64) -> f64 {
    let golden = 0.5 * (5f64.sqrt() - 1.0);
    let (mut a, mut b) = (high - golden * (high - low), low + golden * (high - low));
    let (mut fa, mut fb) = (f(a), f(b));
    for _ in 0..24 {
        if fa < fb {
            (high, b, fb) = (b, a, fa);
            a = high - golden * (high - low);
            fa = f(a);
        } else {
            (low, a, fa) = (a, b, fb);
            b = low + golden * (high - low);
            fb = f(b);
        }
    }
    0.5 * (low + high)
}

/// Softmax of each row in place.
pub fn softmax(logits: &mut [f32], classes: usize) {
    for row in logits.chunks_exact_mut(classes) {
        let top = row.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let sum: f32 = row
            .iter_mut()
            .map(|v| {
                *v = (*v - top).exp();
                *v
            })
            .sum();
        row.iter_mut().for_each(|v| *v /= sum);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_minimum() {
        assert!((golden_section(-3.0, 4.0, |x| (x - 1.234).powi(2)) - 1.234).abs() < 1e-4);
    }

    /// Golden values of PyTorch, written by scripts/golden.py.
    #[test]
    fn other_losses_agree_with_pytorch() {
        let cases: [(Loss, f64, [f32; 8]); 3] = [
            (
                Loss::Logistic,
                4.490_74,
                [
                    0.39662, -0.43186, 0.51284, 0.37869, 0.18015, 0.41437, -0.27234, 0.43186,
                ],
            ),
            (Loss::Hinge, 1.6, [0.0, -0.5, 0.5, 0.0, 0.0, 0.0, -0.5, 0.5]),
            (
                Loss::Squared,
                1.1325,
                [0.1, -0.7, 0.45, 0.05, -0.55, 0.15, -0.25, 0.2],
            ),
        ];
        for (loss, value, gradient) in cases {
            let mut l = [0.2f32, -0.4, 0.9, 0.1, -1.1, 0.3, 0.5, 0.4];
            let (v, right) = loss.gradient(&mut l, 4, &[1, 2]);
            assert!((v - value).abs() < 1e-4 && right == 1, "{loss:?} {v}");
            assert!(
                l.iter().zip(gradient).all(|(a, b)| (a - b).abs() < 1e-4),
                "{loss:?} {l:?}"
            );
        }
    }

    /// Golden values of torch.nn.functional.cross_entropy, written by scripts/golden.py.
    #[test]
    fn agrees_with_pytorch() {
        let mut l = [1.0f32, 2.0, -1.0, 0.5, 0.0, 3.0];
        let (loss, right) = cross_entropy(&mut l, 3, &[1, 0]);
        assert!((loss - 1.486_442_6).abs() < 1e-5 && right == 1, "{loss}");
        let want = [0.1297f32, -0.1473, 0.0176, -0.4637, 0.0220, 0.4417];
        assert!(
            l.iter().zip(want).all(|(a, b)| (a - b).abs() < 1e-4),
            "{l:?}"
        );
        let mut p = [1000.0f32, 1000.0, -1000.0, 0.0];
        softmax(&mut p, 2);
        assert_eq!(p, [0.5, 0.5, 0.0, 1.0]);
    }
}
