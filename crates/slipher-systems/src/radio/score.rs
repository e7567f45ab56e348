//! The numbers of the paper: precision and recall of each class, beside later work on the same
//! collection.

use slipher_stats::classification::{Figure, accuracy, confusion, macro_f1};

/// Names of precision and recall of each class, with what the paper printed for its networks
/// (compact sources were not in it) and what Alhassan et al. (2018) reached with four classes.
#[expect(clippy::type_complexity, reason = "used once, where it is clear")]
const CLASSES: [(&str, Option<f64>, &str, Option<f64>, Option<f64>); 4] = [
    (
        "precision FRI",
        Some(0.91),
        "recall FRI",
        Some(0.91),
        Some(0.98),
    ),
    (
        "precision FRII",
        Some(0.75),
        "recall FRII",
        Some(0.91),
        Some(0.93),
    ),
    (
        "precision Compact",
        None,
        "recall Compact",
        None,
        Some(0.98),
    ),
    (
        "precision Bent",
        Some(0.95),
        "recall Bent",
        Some(0.79),
        Some(1.00),
    ),
];

/// "Published" are Aniyan & Thorat's networks and, second, Alhassan et al.'s.
pub fn figures(answers: &[f32], truth: &[f32]) -> Vec<Figure> {
    let c = confusion(answers, truth, 4);
    let mut out = vec![
        Figure::new(
            "accuracy",
            accuracy(answers, truth, 4),
            true,
            (None, Some(0.97)),
        ),
        Figure::new(
            "F1, mean of the classes",
            macro_f1(answers, truth, 4),
            true,
            (None, Some(0.97)),
        ),
    ];
    for (k, (precision, p, recall, r, later)) in CLASSES.into_iter().enumerate() {
        let given: usize = c.iter().map(|row| row[k]).sum();
        out.push(Figure::new(
            precision,
            c[k][k] as f64 / given.max(1) as f64,
            true,
            (p, None),
        ));
        out.push(Figure::new(
            recall,
            c[k][k] as f64 / c[k].iter().sum::<usize>().max(1) as f64,
            true,
            (r, later),
        ));
    }
    out
}
