//! What is counted: exact class, neighbours, redshift errors, calibration; with intervals that know
//! that copies of one SED are not independent.

use serde::{Deserialize, Serialize};

use slipher_sim::instrument::interpolate;

use super::simulate::{CLASSES, DZ, Z_MIN, centre};
use slipher_stats::calibration::{calibration_error, reliability};
use slipher_stats::proportion::wilson_share;

/// Truth of a test set.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Truth {
    /// Redshift of each row.
    pub z: Vec<f64>,
    /// Class of each row.
    pub class: Vec<usize>,
    /// Index of the SED it is made of.
    pub sed: Vec<usize>,
    /// Noise σ̂ that the spectrum shows; may be empty where nobody asks.
    pub noise: Vec<f32>,
}

/// What a method answers for each row.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Answers {
    /// Best class of each row.
    pub class: Vec<usize>,
    /// Redshift: the mean of the posterior within two classes of the best.
    pub z: Vec<f64>,
    /// Probability of the class, and of all classes within 0.0033 (1+z) of it.
    pub p_class: Vec<f32>,
    /// Probability of all classes within 0.0033 (1+z) of it.
    pub p_close: Vec<f32>,
}

/// |Δz|/(1+z) of 1000 km/s, the usual limit of a catastrophic failure.
pub const CLOSE: f64 = 0.0033;

impl Answers {
    fn push_scores(&mut self, row: &[f32], sharpness: f64) {
        let (best, top) =
            row.iter().enumerate().fold(
                (0, f32::NEG_INFINITY),
                |b, (k, v)| if *v > b.1 { (k, *v) } else { b },
            );
        let p: Vec<f64> = row
            .iter()
            .map(|v| (f64::from(v - top) * sharpness).exp())
            .collect();
        self.push(best, &p);
    }

    /// One row: the best class and weights of all classes.
    pub fn push(&mut self, best: usize, weights: &[f64]) {
        let total = weights.iter().sum::<f64>().max(1e-300);
        let near = best.saturating_sub(2)..(best + 3).min(CLASSES);
        let mass: f64 = weights[near.clone()].iter().sum();
        let z = near.map(|k| weights[k] * centre(k)).sum::<f64>() / mass.max(1e-300);
        let reach = (CLOSE * (1.0 + centre(best)) / DZ).floor() as usize;
        let close = weights[best.saturating_sub(reach)..(best + reach + 1).min(CLASSES)]
            .iter()
            .sum::<f64>();
        self.class.push(best);
        self.z.push(if mass > 0.0 { z } else { centre(best) });
        self.p_class.push((weights[best] / total) as f32);
        self.p_close.push((close / total) as f32);
    }
}

/// A share with its 95 % interval.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Share {
    /// From 0 to 1.
    pub value: f64,
    /// Lower end of the interval.
    pub lo: f64,
    /// Upper end of the interval.
    pub hi: f64,
    /// Rows.
    pub n: usize,
}

impl Share {
    /// Of rows that are `right`; rows of one `cluster` are not independent. Wilson's interval
    /// (1927) for the effective number n / D, D the design effect (Kish 1965): variance between
    /// clusters over the binomial one, at least 1.
    pub fn of(right: &[bool], cluster: &[usize]) -> Share {
        let n = right.len();
        if n == 0 {
            return Share {
                value: f64::NAN,
                lo: 0.0,
                hi: 1.0,
                n,
            };
        }
        let p = right.iter().filter(|r| **r).count() as f64 / n as f64;
        let mut sums = std::collections::BTreeMap::<usize, f64>::new();
        for (r, c) in right.iter().zip(cluster) {
            *sums.entry(*c).or_default() += f64::from(u8::from(*r)) - p;
        }
        let between = sums.values().map(|s| s * s).sum::<f64>() / n as f64;
        let design = if p > 0.0 && p < 1.0 {
            (between / (p * (1.0 - p))).max(1.0)
        } else {
            1.0
        };
        let (lo, hi) = wilson_share(p, n as f64 / design);
        Share {
            value: p,
            lo,
            hi,
            n,
        }
    }
}

impl std::fmt::Display for Share {
    /// `97.1 % (96.8-97.4)`
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let digits = if self.value > 0.99 { 2 } else { 1 };
        write!(
            f,
            "{:.digits$} % ({:.digits$}-{:.digits$})",
            100.0 * self.value,
            100.0 * self.lo,
            100.0 * self.hi
        )
    }
}

/// All that is said about one method on one test set.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Metrics {
    /// Rows.
    pub n: usize,
    /// Share with the exact class.
    pub exact: Share,
    /// Exact or a neighbouring class.
    pub neighbour: Share,
    /// |Δz|/(1+z) < 0.001 and < 0.0033, of the redshift that the best class stands for.
    pub fine: Share,
    /// Share within 0.0033.
    pub close: Share,
    /// Beyond 0.0033.
    pub outliers: Share,
    /// 1.4826 × median |Δz/(1+z) − median|, and median Δz/(1+z) with the 95 % error of a median.
    pub nmad: f64,
    /// Median Δz/(1+z).
    pub bias: f64,
    /// Its 95 % error.
    pub bias_error: f64,
    /// Expected calibration errors, of 15 bins with equal numbers: of the exact class, and of being
    /// within 0.0033.
    pub ece: f64,
    /// Of being within 0.0033.
    pub ece_close: f64,
}

/// Scores answers.
pub fn metrics(truth: &Truth, a: &Answers) -> Metrics {
    let n = a.class.len();
    let share =
        |f: &dyn Fn(usize) -> bool| Share::of(&(0..n).map(f).collect::<Vec<_>>(), &truth.sed[..n]);
    let error = |i: usize| (centre(a.class[i]) - truth.z[i]).abs() / (1.0 + truth.z[i]);
    let mut d: Vec<f64> = (0..n)
        .map(|i| (a.z[i] - truth.z[i]) / (1.0 + truth.z[i]))
        .collect();
    let bias = middle(&mut d);
    let mut off: Vec<f64> = d.iter().map(|x| (x - bias).abs()).collect();
    let nmad = 1.4826 * middle(&mut off);
    Metrics {
        n,
        exact: share(&|i| a.class[i] == truth.class[i]),
        neighbour: share(&|i| a.class[i].abs_diff(truth.class[i]) <= 1),
        fine: share(&|i| error(i) < 0.001),
        close: share(&|i| error(i) < CLOSE),
        outliers: share(&|i| error(i) >= CLOSE),
        nmad,
        bias,
        bias_error: 1.96 * 1.2533 * nmad / (n.max(1) as f64).sqrt(),
        ece: calibration_error(&reliability(&a.p_class, &|i| a.class[i] == truth.class[i])),
        ece_close: calibration_error(&reliability(&a.p_close, &|i| error(i) < CLOSE)),
    }
}

fn middle(v: &mut [f64]) -> f64 {
    if v.is_empty() {
        return f64::NAN;
    }
    let k = v.len() / 2;
    *v.select_nth_unstable_by(k, f64::total_cmp).1
}

/// Sharpness of the softmax against the noise that a spectrum shows: interpolated in ln σ̂ between
/// knots.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Calibration {
    /// (ln σ̂, sharpness), ascending.
    pub knots: Vec<[f64; 2]>,
}

impl Calibration {
    /// Fits one sharpness to each of up to six parts of validation rows of neighbouring noise.
    pub fn fit(scores: &[f32], labels: &[usize], noise: &[f32]) -> Calibration {
        let mut order: Vec<usize> = (0..labels.len()).collect();
        order.sort_by(|a, b| noise[*a].total_cmp(&noise[*b]).then(a.cmp(b)));
        let parts = (labels.len() / 300).clamp(1, 6);
        let knot = |rows: &[usize]| {
            let s: Vec<f32> = rows
                .iter()
                .flat_map(|r| scores[r * CLASSES..(r + 1) * CLASSES].iter().copied())
                .collect();
            let l: Vec<usize> = rows.iter().map(|r| labels[*r]).collect();
            let at = rows.iter().map(|r| f64::from(noise[*r]).ln()).sum::<f64>()
                / rows.len().max(1) as f64;
            [at, fit_sharpness(&s, &l)]
        };
        Calibration {
            knots: order
                .chunks(labels.len().div_ceil(parts).max(1))
                .map(knot)
                .collect(),
        }
    }

    /// Sharpness for a spectrum of this noise.
    pub fn sharpness(&self, noise: f32) -> f64 {
        if self.knots.is_empty() {
            1.0
        } else {
            interpolate(&self.knots, f64::from(noise).ln())
        }
    }

    /// Answers from scores `[row][class]` and the noise of each row.
    pub fn answers(&self, scores: &[f32], noise: &[f32]) -> Answers {
        let mut out = Answers::default();
        for (row, noise) in scores.chunks_exact(CLASSES).zip(noise) {
            out.push_scores(row, self.sharpness(*noise));
        }
        out
    }
}

/// Sharpness of the softmax that fits validation scores best, by golden-section search of the mean
/// −log p.
pub fn fit_sharpness(scores: &[f32], labels: &[usize]) -> f64 {
    let loss = |log_s: f64| {
        let s = log_s.exp();
        let rows = scores.chunks_exact(CLASSES).zip(labels);
        rows.map(|(row, label)| {
            let top = row.iter().copied().fold(f32::NEG_INFINITY, f32::max);
            let sum: f64 = row.iter().map(|v| (f64::from(v - top) * s).exp()).sum();
            sum.ln() - f64::from(row[*label] - top) * s
        })
        .sum::<f64>()
    };
    let (mut a, mut b) = (-4.0f64, 4.0f64);
    let g = 0.618_034;
    for _ in 0..30 {
        let (c, d) = (b - g * (b - a), a + g * (b - a));
        if loss(c) < loss(d) { b = d } else { a = c }
    }
    (0.5 * (a + b)).exp()
}

/// Redshift that one line has when taken for another: (label, true wavelength, taken for).
pub const CONFUSIONS: [(&str, f64, f64); 6] = [
    ("[S III] 9533 as Hα", 9533.2, 6564.6),
    ("[S III] 9071 as Hα", 9071.1, 6564.6),
    ("[O III] as Hα", 5008.2, 6564.6),
    ("Hα as [O III]", 6564.6, 5008.2),
    ("Hα as [S II]", 6564.6, 6725.0),
    ("[O III] 4960 as 5008", 4960.3, 5008.2),
];

/// Share of all rows that are wrong by just the ratio of two lines, within 0.005.
pub fn confusion(truth: &Truth, a: &Answers, (line, taken): (f64, f64)) -> f64 {
    let n = a.class.len();
    let wrong = |i: &usize| {
        let want = (1.0 + truth.z[*i]) * line / taken;
        let got = 1.0 + centre(a.class[*i]);
        (got / (1.0 + truth.z[*i]) - 1.0).abs() >= CLOSE
            && (got / want - 1.0).abs() < 0.005
            && want > 1.0 + Z_MIN
    };
    (0..n).filter(wrong).count() as f64 / n.max(1) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Answers whose posterior is the softmax of scores `[row][class]` at `sharpness`.
    fn from_scores(scores: &[f32], sharpness: f64) -> Answers {
        let mut out = Answers::default();
        scores
            .chunks_exact(CLASSES)
            .for_each(|row| out.push_scores(row, sharpness));
        out
    }
    use proptest::prelude::*;

    #[test]
    fn shares_know_their_clusters() {
        // statsmodels' proportion_confint(80, 100, method="wilson") when rows are independent.
        let right: Vec<bool> = (0..100).map(|i| i % 5 != 0).collect();
        let alone = Share::of(&right, &(0..100).collect::<Vec<_>>());
        assert!(
            (alone.lo - 0.711_171).abs() < 1e-4 && (alone.hi - 0.866_633).abs() < 1e-4,
            "{alone:?}"
        );
        // Ten copies of ten SEDs that are right or wrong together count as ten.
        let right: Vec<bool> = (0..100).map(|i| i / 10 % 5 != 0).collect();
        let copies = Share::of(&right, &(0..100).map(|i| i / 10).collect::<Vec<_>>());
        let ten = Share::of(
            &(0..10).map(|i| i % 5 != 0).collect::<Vec<_>>(),
            &(0..10).collect::<Vec<_>>(),
        );
        assert!((copies.lo - ten.lo).abs() < 1e-9 && (copies.hi - ten.hi).abs() < 1e-9);
    }

    #[test]
    fn perfect_answers_score_perfectly() {
        let class: Vec<usize> = (0..CLASSES).collect();
        let truth = Truth {
            z: class.iter().map(|k| centre(*k)).collect(),
            class: class.clone(),
            sed: class.clone(),
            noise: vec![],
        };
        let mut scores = vec![0.0f32; CLASSES * CLASSES];
        class.iter().for_each(|k| scores[k * CLASSES + k] = 40.0);
        let m = metrics(&truth, &from_scores(&scores, 1.0));
        assert!(m.exact.value == 1.0 && m.nmad < 1e-9 && m.bias.abs() < 1e-9 && m.ece < 1e-6);
        // Shifted by one class: no exact, all neighbours, biased.
        let mut a = from_scores(&scores, 1.0);
        a.class
            .iter_mut()
            .for_each(|c| *c = (*c + 1).min(CLASSES - 1));
        let m = metrics(&truth, &a);
        assert!(m.exact.value < 0.01 && m.neighbour.value == 1.0 && m.fine.value == 1.0);
    }

    #[test]
    fn sharpness_is_found() {
        // Labels drawn from the softmax at sharpness ½ of random scores.
        let mut rng = slipher_sim::random::Stream::new(1, 1, 1);
        let n = 400;
        let scores: Vec<f32> = (0..n * CLASSES).map(|_| 4.0 * rng.normal_f32()).collect();
        let labels: Vec<usize> = scores
            .chunks_exact(CLASSES)
            .map(|r| {
                rng.weighted(
                    &r.iter()
                        .map(|v| f64::from(v * 0.5).exp())
                        .collect::<Vec<_>>(),
                )
            })
            .collect();
        let s = fit_sharpness(&scores, &labels);
        assert!((s - 0.5).abs() < 0.05, "{s}");
        let truth = Truth {
            z: labels.iter().map(|l| centre(*l)).collect(),
            class: labels.clone(),
            sed: (0..n).collect(),
            noise: vec![],
        };
        let (calibrated, sharp) = (
            metrics(&truth, &from_scores(&scores, s)),
            metrics(&truth, &from_scores(&scores, 2.0)),
        );
        assert!(
            calibrated.ece < 0.08 && sharp.ece > 2.0 * calibrated.ece,
            "{} {}",
            calibrated.ece,
            sharp.ece
        );
    }

    proptest! {
        #[test]
        fn probabilities_are_probabilities(values in prop::collection::vec(-30.0f32..30.0, CLASSES), s in 0.1f64..3.0) {
            let a = from_scores(&values, s);
            prop_assert!(a.p_class[0] > 0.0 && a.p_class[0] <= a.p_close[0] && a.p_close[0] <= 1.0 + 1e-6);
            prop_assert!((Z_MIN..1.8).contains(&a.z[0]));
        }
    }
}
