//! Figures of merit of classifiers, with intervals.

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
pub use slipher_nn::heads::largest;

/// A score.
#[derive(Clone, Debug, PartialEq)]
pub struct Figure {
    /// Of the figure.
    pub name: String,
    /// Its value.
    pub value: f64,
    /// 95 % interval; NaN until [`bootstrap`] has been there.
    pub low: f64,
    /// Upper end of the interval.
    pub high: f64,
    /// Whether more is better.
    pub higher_is_better: bool,
    /// What the paper printed for its network and its classical method.
    pub published: (Option<f64>, Option<f64>),
}

impl Figure {
    /// Without an interval yet.
    pub fn new(
        name: impl Into<String>,
        value: f64,
        higher_is_better: bool,
        published: (Option<f64>, Option<f64>),
    ) -> Figure {
        Figure {
            name: name.into(),
            value,
            low: f64::NAN,
            high: f64::NAN,
            higher_is_better,
            published,
        }
    }
}

/// One line of a table of methods.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq)]
pub struct Line {
    /// Of the method.
    pub method: String,
    /// Of the figure.
    pub figure: String,
    /// Its value.
    pub value: f64,
    /// 95 % interval.
    pub low: f64,
    /// Upper end of the interval.
    pub high: f64,
    /// Rows.
    pub n: usize,
    /// Whether more is better.
    pub higher_is_better: bool,
    /// What the paper printed for its network and its classical method.
    pub published: (Option<f64>, Option<f64>),
}

impl Line {
    /// A figure of a method on `n` rows.
    pub fn new(method: &str, f: Figure, n: usize) -> Line {
        Line {
            method: method.to_owned(),
            figure: f.name,
            value: f.value,
            low: f.low,
            high: f.high,
            n,
            higher_is_better: f.higher_is_better,
            published: f.published,
        }
    }
}

/// Drawings with replacement for an interval.
const DRAWS: u64 = 200;
/// Seed of the drawings, the same for all methods, so that they are compared on the same rows.
const BOOTSTRAP: u64 = 1 ^ 0xB007u64.wrapping_mul(0x9E37_79B9_7F4A_7C15);

/// Adds intervals to scores of rows of `widths` values (answers, truth), by drawing rows with
/// replacement (percentiles; Efron 1979).
#[expect(clippy::type_complexity, reason = "used once, where it is clear")]
pub fn bootstrap(
    rows: usize,
    widths: (usize, usize),
    answers: &[f32],
    truth: &[f32],
    score: &(dyn Fn(&[f32], &[f32]) -> Vec<Figure> + Sync),
) -> Vec<Figure> {
    let mut out = score(answers, truth);
    if rows < 2 {
        return out;
    }
    let drawn: Vec<Vec<f64>> = (0..DRAWS)
        .into_par_iter()
        .map(|d| {
            let mut rng = ChaCha8Rng::seed_from_u64(BOOTSTRAP);
            rng.set_stream(d);
            let (mut a, mut t) = (
                Vec::with_capacity(answers.len()),
                Vec::with_capacity(truth.len()),
            );
            for _ in 0..rows {
                let r = rng.random_range(0..rows);
                a.extend_from_slice(&answers[r * widths.0..(r + 1) * widths.0]);
                t.extend_from_slice(&truth[r * widths.1..(r + 1) * widths.1]);
            }
            score(&a, &t).iter().map(|f| f.value).collect()
        })
        .collect();
    for (k, f) in out.iter_mut().enumerate() {
        let mut v: Vec<f64> = drawn
            .iter()
            .map(|d| d[k])
            .filter(|v| v.is_finite())
            .collect();
        v.sort_by(f64::total_cmp);
        if !v.is_empty() {
            (f.low, f.high) = (v[v.len() / 40], v[v.len() - 1 - v.len() / 40]);
        }
    }
    out
}

/// Scores of rows, best first, with whether each is positive.
pub fn ranked(p: &[f32], positive: &[bool]) -> Vec<(f32, bool)> {
    let mut out: Vec<(f32, bool)> = p.iter().copied().zip(positive.iter().copied()).collect();
    out.sort_by(|a, b| b.0.total_cmp(&a.0));
    out
}

/// Receiver operating characteristic: (false positive rate, true positive rate) after each distinct
/// score.
pub fn roc(p: &[f32], positive: &[bool]) -> Vec<(f64, f64)> {
    let (all, mut tp, mut fp) = (positive.iter().filter(|y| **y).count(), 0usize, 0usize);
    let (np, nn) = (all.max(1) as f64, (positive.len() - all).max(1) as f64);
    let mut out = vec![(0.0, 0.0)];
    let sorted = ranked(p, positive);
    for (i, (score, y)) in sorted.iter().enumerate() {
        if *y {
            tp += 1;
        } else {
            fp += 1;
        }
        if sorted.get(i + 1).is_none_or(|next| next.0 != *score) {
            out.push((fp as f64 / nn, tp as f64 / np));
        }
    }
    out
}

/// Area under the ROC.
pub fn auc(p: &[f32], positive: &[bool]) -> f64 {
    roc(p, positive)
        .windows(2)
        .map(|w| (w[1].0 - w[0].0) * 0.5 * (w[1].1 + w[0].1))
        .sum()
}

/// Share of positives that are missed where at most `rate` of the negatives pass.
pub fn missed_at(p: &[f32], positive: &[bool], rate: f64) -> f64 {
    1.0 - roc(p, positive)
        .into_iter()
        .filter(|r| r.0 <= rate)
        .map(|r| r.1)
        .fold(0.0, f64::max)
}

/// Purity of the best-scored rows that hold the share `completeness` of all positives.
pub fn purity_at(p: &[f32], positive: &[bool], completeness: f64) -> f64 {
    let want = (completeness * positive.iter().filter(|y| **y).count() as f64).ceil() as usize;
    let mut good = 0;
    for (i, (_, y)) in ranked(p, positive).iter().enumerate() {
        good += usize::from(*y);
        if good >= want.max(1) {
            return good as f64 / (i + 1) as f64;
        }
    }
    0.0
}

/// Largest completeness of the best-scored rows whose purity is at least `purity`.
pub fn completeness_at(p: &[f32], positive: &[bool], purity: f64) -> f64 {
    let all = positive.iter().filter(|y| **y).count().max(1) as f64;
    let (mut good, mut best) = (0usize, 0.0f64);
    for (i, (_, y)) in ranked(p, positive).iter().enumerate() {
        good += usize::from(*y);
        if good as f64 / (i + 1) as f64 >= purity {
            best = best.max(good as f64 / all);
        }
    }
    best
}

/// −log of the probability of the truth, mean over rows.
pub fn log_loss(answers: &[f32], truth: &[f32], width: usize) -> f64 {
    let n = (truth.len() / width).max(1) as f64;
    answers
        .iter()
        .zip(truth)
        .map(|(p, t)| -f64::from(*t) * f64::from(p.max(1e-7)).ln())
        .sum::<f64>()
        / n
}

/// Share of rows whose largest answer is the truth's.
pub fn accuracy(answers: &[f32], truth: &[f32], width: usize) -> f64 {
    let right = answers
        .chunks_exact(width)
        .zip(truth.chunks_exact(width))
        .filter(|(a, t)| largest(a) == largest(t))
        .count();
    right as f64 / (truth.len() / width).max(1) as f64
}

/// Rows of each true class (rows) by answer (columns).
pub fn confusion(answers: &[f32], truth: &[f32], width: usize) -> Vec<Vec<usize>> {
    let mut out = vec![vec![0; width]; width];
    answers
        .chunks_exact(width)
        .zip(truth.chunks_exact(width))
        .for_each(|(a, t)| out[largest(t)][largest(a)] += 1);
    out
}

/// Mean of (purity, completeness) harmonically, over the classes.
pub fn macro_f1(answers: &[f32], truth: &[f32], width: usize) -> f64 {
    let c = confusion(answers, truth, width);
    let f1 = |k: usize| {
        let (hit, given, there) = (
            c[k][k],
            c.iter().map(|r| r[k]).sum::<usize>(),
            c[k].iter().sum::<usize>(),
        );
        2.0 * hit as f64 / (given + there).max(1) as f64
    };
    (0..width).map(f1).sum::<f64>() / width as f64
}

/// Column of a matrix `[row][width]`.
pub fn column(values: &[f32], width: usize, k: usize) -> Vec<f32> {
    values.chunks_exact(width).map(|r| r[k]).collect()
}

/// Whether each row's truth is `k`.
pub fn is(truth: &[f32], width: usize, k: usize) -> Vec<bool> {
    truth.chunks_exact(width).map(|r| largest(r) == k).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Golden values of scikit-learn: roc_auc_score, log_loss, f1_score(average="macro"), by
    /// scripts/golden_images.py.
    #[test]
    fn agrees_with_scikit_learn() {
        let p: Vec<f32> = (0..200)
            .map(|i| ((i as f32 * 0.37).sin() * 50.0).round() / 100.0 + 0.5)
            .collect();
        let y: Vec<bool> = (0..200)
            .map(|i| (i as f64 * 0.37).sin() + 0.8 * (i as f64 * 1.91).sin() > 0.1)
            .collect();
        assert!((auc(&p, &y) - AUC).abs() < 1e-6, "{}", auc(&p, &y));
        let answers: Vec<f32> = p.iter().flat_map(|p| [1.0 - p, *p]).collect();
        let truth: Vec<f32> = y
            .iter()
            .flat_map(|y| [f32::from(u8::from(!y)), f32::from(u8::from(*y))])
            .collect();
        assert!(
            (log_loss(&answers, &truth, 2) - LOG_LOSS).abs() < 1e-4,
            "{}",
            log_loss(&answers, &truth, 2)
        );
        assert!(
            (macro_f1(&answers, &truth, 2) - F1).abs() < 1e-6,
            "{}",
            macro_f1(&answers, &truth, 2)
        );
        let c = confusion(&answers, &truth, 2);
        assert_eq!(c.iter().flatten().sum::<usize>(), 200);
        assert!((accuracy(&answers, &truth, 2) - (c[0][0] + c[1][1]) as f64 / 200.0).abs() < 1e-12);
    }
    const AUC: f64 = 0.903_854;
    const LOG_LOSS: f64 = 0.384_376;
    const F1: f64 = 0.79;

    #[test]
    fn thresholds_and_intervals() {
        let p: Vec<f32> = (0..100).map(|i| i as f32 / 100.0).collect();
        let y: Vec<bool> = (0..100).map(|i| i >= 50).collect();
        assert_eq!(
            (
                auc(&p, &y),
                missed_at(&p, &y, 0.01),
                purity_at(&p, &y, 0.96),
                completeness_at(&p, &y, 0.97)
            ),
            (1.0, 0.0, 1.0, 1.0)
        );
        let flipped: Vec<bool> = y.iter().map(|y| !y).collect();
        assert_eq!(
            (auc(&p, &flipped), missed_at(&p, &flipped, 0.01)),
            (0.0, 1.0)
        );
        let truth: Vec<f32> = y
            .iter()
            .flat_map(|y| [f32::from(u8::from(!y)), f32::from(u8::from(*y))])
            .collect();
        let answers: Vec<f32> = (0..100)
            .flat_map(|i| if i % 5 == 0 { [0.5, 0.4] } else { [0.2, 0.9] })
            .collect();
        let f = bootstrap(100, (2, 2), &answers, &truth, &|a, t| {
            vec![Figure::new(
                "accuracy",
                accuracy(a, t, 2),
                true,
                (None, None),
            )]
        });
        assert!(
            f[0].low < f[0].value && f[0].value < f[0].high && f[0].high - f[0].low < 0.25,
            "{f:?}"
        );
    }
}
