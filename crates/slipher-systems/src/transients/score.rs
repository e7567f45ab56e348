//! The numbers of the paper: accuracy, rates of errors, and missed transients at fixed rates of
//! false alarms.

use slipher_stats::classification::{Figure, accuracy, auc, column, is, missed_at};

/// Published beside: arch7 and the random forest, recomputed from the predictions in the Deep-HiTS
/// repository.
pub fn figures(answers: &[f32], truth: &[f32]) -> Vec<Figure> {
    let (p, real) = (column(answers, 2, 1), is(truth, 2, 1));
    let count = |f: &dyn Fn(bool, bool) -> bool| {
        p.iter()
            .zip(&real)
            .filter(|(p, y)| f(**p > 0.5, **y))
            .count() as f64
    };
    let (tp, fp, miss, tn) = (
        count(&|p, y| p && y),
        count(&|p, y| p && !y),
        count(&|p, y| !p && y),
        count(&|p, y| !p && !y),
    );
    let both = |cnn: f64, forest: f64| (Some(cnn), Some(forest));
    vec![
        Figure::new(
            "accuracy",
            accuracy(answers, truth, 2),
            true,
            both(0.99469, 0.98977),
        ),
        Figure::new(
            "precision",
            tp / (tp + fp).max(1.0),
            true,
            both(0.99417, 0.98723),
        ),
        Figure::new(
            "recall",
            tp / (tp + miss).max(1.0),
            true,
            both(0.99522, 0.99238),
        ),
        Figure::new(
            "false positive rate",
            fp / (fp + tn).max(1.0),
            false,
            both(0.00584, 0.01284),
        ),
        Figure::new(
            "false negative rate",
            miss / (tp + miss).max(1.0),
            false,
            both(0.00478, 0.00762),
        ),
        Figure::new(
            "missed at 1 % false alarms",
            missed_at(&p, &real, 0.01),
            false,
            both(0.00208, 0.0106),
        ),
        Figure::new(
            "missed at 0.3 % false alarms",
            missed_at(&p, &real, 0.003),
            false,
            both(0.01396, 0.0484),
        ),
        Figure::new(
            "missed at 0.1 % false alarms",
            missed_at(&p, &real, 0.001),
            false,
            both(0.0770, 0.146),
        ),
        Figure::new("AUC", auc(&p, &real), true, (None, None)),
    ]
}
