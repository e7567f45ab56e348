//! The contest's number, and how often the favourite answer is right where people agree.

use slipher_stats::classification::{Figure, largest};

use super::tree::QUESTIONS;

/// Least share of the favourite answer where people agree.
const AGREED: f32 = 0.8;

/// Published beside: the best single network and the final ensemble of 17 networks and 60 views, on
/// the contest's real galaxies; simulated votes are not comparable.
pub fn figures(answers: &[f32], truth: &[f32]) -> Vec<Figure> {
    let n = truth.len().max(1) as f64;
    let square: f64 = answers
        .iter()
        .zip(truth)
        .map(|(a, t)| f64::from(a - t).powi(2))
        .sum();
    let names = [
        ("smooth or features, agreed", 0),
        ("edge-on, agreed", 1),
        ("bar, agreed", 2),
        ("spiral, agreed", 3),
        ("roundness, agreed", 6),
    ];
    let mut out = vec![Figure::new(
        "RMSE",
        (square / n).sqrt(),
        false,
        (Some(0.07671), Some(0.07492)),
    )];
    for (name, q) in names {
        let (mut right, mut all) = (0usize, 0usize);
        for (a, t) in answers.chunks_exact(37).zip(truth.chunks_exact(37)) {
            let (a, t) = (&a[QUESTIONS[q].clone()], &t[QUESTIONS[q].clone()]);
            let sum: f32 = t.iter().sum();
            let best = largest(t);
            if sum > 0.5 && t[best] >= AGREED * sum {
                all += 1;
                right += usize::from(largest(a) == best);
            }
        }
        out.push(Figure::new(
            name,
            right as f64 / all.max(1) as f64,
            true,
            (None, None),
        ));
    }
    out
}
