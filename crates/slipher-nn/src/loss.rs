//! Losses of classifiers: value and gradient with respect to the last layer's output.

/// Mean over the rows of −log softmax(row)[label]; the gradient replaces the logits.
///
/// `logits` is `[row][class]`. Returns the loss and the number of rows whose largest logit is the label's.
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

    /// Golden values of torch.nn.functional.cross_entropy, written by scripts/golden.py.
    #[test]
    fn agrees_with_pytorch() {
        let mut l = [1.0f32, 2.0, -1.0, 0.5, 0.0, 3.0];
        let (loss, right) = cross_entropy(&mut l, 3, &[1, 0]);
        assert!((loss - 1.486_442_6).abs() < 1e-5 && right == 1, "{loss}");
        let want = [0.1297f32, -0.1473, 0.0176, -0.4637, 0.0220, 0.4417];
        assert!(l.iter().zip(want).all(|(a, b)| (a - b).abs() < 1e-4), "{l:?}");
        let mut p = [1000.0f32, 1000.0, -1000.0, 0.0];
        softmax(&mut p, 2);
        assert_eq!(p, [0.5, 0.5, 0.0, 1.0]);
    }
}
