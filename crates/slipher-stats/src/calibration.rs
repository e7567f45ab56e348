//! Calibration of probabilities: reliability, calibration error, purity against completeness, and
//! thresholds of probability for a purity.

use serde::{Deserialize, Serialize};

use crate::proportion::{Tally, wilson};

/// Rows sorted by probability in 15 bins of equal number, fewer where bins would have fewer than 20
/// rows: (mean probability, share right, rows).
pub fn reliability(p: &[f32], right: &dyn Fn(usize) -> bool) -> Vec<(f64, f64, usize)> {
    let mut order: Vec<usize> = (0..p.len()).collect();
    order.sort_by(|a, b| p[*a].total_cmp(&p[*b]).then(a.cmp(b)));
    let of = |rows: &[usize]| {
        let n = rows.len() as f64;
        (
            rows.iter().map(|i| f64::from(p[*i])).sum::<f64>() / n,
            rows.iter().filter(|i| right(**i)).count() as f64 / n,
            rows.len(),
        )
    };
    let bins = (p.len() / 20).clamp(3, 15);
    order
        .chunks(p.len().div_ceil(bins).max(1))
        .map(of)
        .collect()
}

/// Σ share of rows × |mean probability − share right|.
pub fn calibration_error(bins: &[(f64, f64, usize)]) -> f64 {
    let n: usize = bins.iter().map(|b| b.2).sum();
    bins.iter()
        .map(|(p, r, m)| (p - r).abs() * *m as f64 / n.max(1) as f64)
        .sum()
}

/// Purity (share right) of the most confident part of the rows, for growing parts: (completeness,
/// purity).
pub fn purity(p: &[f32], right: &dyn Fn(usize) -> bool) -> Vec<(f64, f64)> {
    let mut order: Vec<usize> = (0..p.len()).collect();
    order.sort_by(|a, b| p[*b].total_cmp(&p[*a]).then(a.cmp(b)));
    let (mut good, n) = (0usize, p.len());
    let mut out = Vec::new();
    for (i, row) in order.iter().enumerate() {
        good += usize::from(right(*row));
        if (i + 1) % (n / 200).max(1) == 0 {
            out.push(((i + 1) as f64 / n as f64, good as f64 / (i + 1) as f64));
        }
    }
    out
}

/// The least probability to accept so that rows above it have at least each purity, measured on
/// rows whose answers are known: (purity, threshold, completeness: share of the right rows kept).
/// Purity is that of all rows above, with the lower end of its 95 % interval (Wilson) at the wanted
/// purity, so that chance does not lower the threshold.
pub fn purity_thresholds(p: &[f64], right: &[bool], wanted: &[f64]) -> Vec<(f64, f64, f64)> {
    let mut order: Vec<usize> = (0..p.len()).collect();
    order.sort_by(|a, b| p[*b].total_cmp(&p[*a]).then(a.cmp(b)));
    let all = right.iter().filter(|r| **r).count().max(1) as f64;
    let mut out: Vec<(f64, f64, f64)> = wanted.iter().map(|w| (*w, 1.0, 0.0)).collect();
    let mut good = 0;
    for (i, row) in order.iter().enumerate() {
        good += usize::from(right[*row]);
        // Rows of equal probability are accepted together.
        if order.get(i + 1).is_some_and(|next| p[*next] == p[*row]) {
            continue;
        }
        let low = wilson(good, i + 1).0;
        for o in out.iter_mut().filter(|o| low >= o.0) {
            (o.1, o.2) = (p[*row], good as f64 / all);
        }
    }
    out
}

/// Purities that a model has a threshold for.
pub const PURITIES: [f64; 7] = [0.8, 0.9, 0.95, 0.98, 0.99, 0.995, 0.999];

/// What p_correct must be for a purity: (purity, threshold), both ascending.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PurityThresholds(pub Vec<(f64, f64)>);

impl PurityThresholds {
    /// Of rows whose answers are known; see [`purity_thresholds`].
    pub fn of(p: &[f64], right: &[bool]) -> PurityThresholds {
        PurityThresholds(
            purity_thresholds(p, right, &PURITIES)
                .into_iter()
                .map(|d| (d.0, d.1))
                .collect(),
        )
    }

    /// Threshold of the next purity in the table; none beyond its end.
    pub fn threshold(&self, purity: f64) -> Option<f64> {
        self.0.iter().find(|d| d.0 >= purity - 1e-9).map(|d| d.1)
    }
}

/// What a distribution of pulls looks like.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Pulls {
    /// 1.4826 × the median of |x|: 1 if errors are right.
    pub width: f64,
    /// Share beyond ±5.
    pub far: f64,
    /// Median: 0 without bias.
    pub median: f64,
}

/// Of pulls (value − truth) / error; NaN of none. Reorders `x` and takes its sign.
pub fn pulls(x: &mut [f64]) -> Pulls {
    if x.is_empty() {
        return Pulls {
            width: f64::NAN,
            far: f64::NAN,
            median: f64::NAN,
        };
    }
    let n = x.len();
    let median = *x.select_nth_unstable_by(n / 2, f64::total_cmp).1;
    x.iter_mut().for_each(|v| *v = v.abs());
    let far = x.iter().filter(|v| **v > 5.0).count() as f64 / n as f64;
    let middle = *x.select_nth_unstable_by(n / 2, f64::total_cmp).1;
    Pulls {
        width: 1.4826 * middle,
        far,
        median,
    }
}

/// How well the probabilities and errors of some rows are calibrated.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CalibrationSummary {
    /// Right answers among the rows.
    pub correct: Tally,
    /// Mean probability.
    pub mean_probability: f64,
    /// See [`calibration_error`].
    pub error: f64,
    /// Of the rows whose probability is above 0.99, and their number.
    pub pulls: Pulls,
    /// Rows with a probability above 0.99.
    pub n_confident: usize,
}

impl CalibrationSummary {
    /// Of (probability, right, pull) of each row; none of no rows.
    pub fn of(rows: &[(f64, bool, f64)]) -> Option<CalibrationSummary> {
        if rows.is_empty() {
            return None;
        }
        let mut correct = Tally::default();
        rows.iter().for_each(|r| correct.add(r.1));
        let p: Vec<f32> = rows.iter().map(|r| r.0 as f32).collect();
        let mean_probability = rows.iter().map(|r| r.0).sum::<f64>() / rows.len() as f64;
        let error = calibration_error(&reliability(&p, &|i| rows[i].1));
        let mut x: Vec<f64> = rows.iter().filter(|r| r.0 > 0.99).map(|r| r.2).collect();
        Some(CalibrationSummary {
            correct,
            mean_probability,
            error,
            pulls: pulls(&mut x),
            n_confident: x.len(),
        })
    }
}

/// Kolmogorov's test that values are uniform between 0 and 1: the largest distance of the two
/// distributions, and the probability of one as large by chance (asymptotic, with Stephens' 1970
/// correction for small n).
pub fn uniform(values: &mut [f64]) -> (f64, f64) {
    values.sort_by(f64::total_cmp);
    let n = values.len() as f64;
    let d = values
        .iter()
        .enumerate()
        .map(|(i, v)| (v - i as f64 / n).abs().max(((i + 1) as f64 / n - v).abs()))
        .fold(0.0, f64::max);
    let x = (n.sqrt() + 0.12 + 0.11 / n.sqrt()) * d;
    let series: f64 = (1..100)
        .map(|k| {
            f64::from(if k % 2 == 1 { 2 } else { -2 }) * (-2.0 * f64::from(k * k) * x * x).exp()
        })
        .sum();
    (d, if x < 0.3 { 1.0 } else { series.clamp(0.0, 1.0) })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Uniform probabilities that hold: no calibration error but chance, and thresholds that give
    /// their purity.
    #[test]
    fn calibrated_probabilities_are_seen_as_such() {
        let n = 20_000;
        let p: Vec<f64> = (0..n).map(|i| (i as f64 + 0.5) / n as f64).collect();
        // A low-discrepancy coin.
        let right: Vec<bool> = p
            .iter()
            .enumerate()
            .map(|(i, p)| (i as f64 * 0.618_033_988_75).fract() < *p)
            .collect();
        let single: Vec<f32> = p.iter().map(|p| *p as f32).collect();
        assert!(calibration_error(&reliability(&single, &|i| right[i])) < 0.005);
        let sure: Vec<f32> = vec![0.9; n];
        assert!(calibration_error(&reliability(&sure, &|i| right[i])) > 0.3);
        let d = purity_thresholds(&p, &right, &[0.5, 0.9, 0.9999]);
        // Above t the mean of p is (1 + t) / 2.
        assert!(
            d[0].1 < 0.02 && (d[1].1 - 0.8).abs() < 0.03 && d[2] == (0.9999, 1.0, 0.0),
            "{d:?}"
        );
        assert!(d[0].2 > 0.99 && (d[1].2 - 0.36).abs() < 0.05);
        let table = PurityThresholds::of(&p, &right);
        assert_eq!(
            (
                table.threshold(0.9),
                table.threshold(0.85),
                table.threshold(0.9995)
            ),
            (Some(d[1].1), Some(d[1].1), None)
        );
        // scipy.stats.kstest(np.linspace(0.005, 0.995, 100) ** 1.3, "uniform"): statistic 0.101241,
        // p 0.240221.
        let mut v: Vec<f64> = (0..100)
            .map(|i| (0.005 + 0.01 * f64::from(i)).powf(1.3))
            .collect();
        let (d, p) = uniform(&mut v);
        assert!(
            (d - 0.101_240_95).abs() < 1e-7 && (p - 0.240_22).abs() < 0.01,
            "{d} {p}"
        );
        let mut x: Vec<f64> = (0..9999)
            .map(|i| -1.0 + 2.0 * f64::from(i) / 9998.0)
            .collect();
        let mut shifted: Vec<f64> = x.iter().map(|v| v + 0.3).collect();
        assert!((pulls(&mut shifted).median - 0.3).abs() < 1e-3);
        assert!((pulls(&mut x).width - 1.4826 * 0.5).abs() < 1e-3);
    }
}
