//! The figures that lens finders are compared by (Metcalf et al. 2019): area under the curve, and
//! how many lenses come before the first and the tenth false positive.

use slipher_stats::classification::{Figure, auc, column, is, ranked};

/// Published beside: CMU DeepLens and the Gabor and polar SVM of Manchester on the ground-based
/// challenge, on its own sky.
pub fn figures(answers: &[f32], truth: &[f32]) -> Vec<Figure> {
    let (p, lens) = (column(answers, 2, 1), is(truth, 2, 1));
    let before = |k: usize| completeness_before(&p, &lens, k);
    let others = lens.iter().filter(|l| !**l).count();
    let at = |rate: f64| before((rate * others as f64).floor() as usize);
    let both = |network: f64, svm: f64| (Some(network), Some(svm));
    vec![
        Figure::new("AUC", auc(&p, &lens), true, both(0.98, 0.93)),
        Figure::new("TPR0", before(0), true, both(0.09, 0.22)),
        Figure::new("TPR10", before(10), true, both(0.45, 0.35)),
        Figure::new("TPR at FPR 1 %", at(0.01), true, (None, None)),
        Figure::new("TPR at FPR 0.1 %", at(0.001), true, (None, None)),
    ]
}

/// Share of the lenses that are ranked before more than `k` others; ties count against it.
pub fn completeness_before(p: &[f32], lens: &[bool], k: usize) -> f64 {
    let rows = ranked(p, lens);
    let all = lens.iter().filter(|l| **l).count().max(1);
    // The score of the (k + 1)th false positive: only what is above it counts.
    let bar = rows
        .iter()
        .filter(|r| !r.1)
        .nth(k)
        .map_or(f32::NEG_INFINITY, |r| r.0);
    rows.iter().filter(|r| r.1 && r.0 > bar).count() as f64 / all as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn false_positives_end_the_count() {
        let p = [0.9, 0.8, 0.7, 0.6, 0.5, 0.4];
        let lens = [true, false, true, false, true, false];
        assert!((completeness_before(&p, &lens, 0) - 1.0 / 3.0).abs() < 1e-12);
        assert!((completeness_before(&p, &lens, 1) - 2.0 / 3.0).abs() < 1e-12);
        assert!((completeness_before(&p, &lens, 9) - 1.0).abs() < 1e-12);
        // A tie is no detection.
        assert_eq!(completeness_before(&[0.5, 0.5], &[true, false], 0), 0.0);
    }
}
