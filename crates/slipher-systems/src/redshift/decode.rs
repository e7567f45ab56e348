//! Logits over (pattern, lag) to a posterior over (class, z), and to solutions.

use slipher_nn::elementary::exp;
use slipher_sim::sed::SpecType;

use super::encode::LAG;
use super::lag::{LAGS, allowed, lag_of, redshift_of};
use super::phase::Phase;
use super::scatter::Scatter;

/// Within this of the best redshift an answer counts as the same: 0.0033 (1+z) for galaxies and
/// stars, 0.01 for quasars, in ln(1+z).
pub fn tolerance(class: SpecType) -> f64 {
    if class == SpecType::Qso { 0.01 } else { 0.0033 }
}

/// One peak of the posterior.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Solution {
    /// GALAXY, QSO or STAR.
    pub class: SpecType,
    /// Redshift.
    pub z: f64,
    /// Standard deviation of z within the peak, grid width included.
    pub z_err: f64,
    /// Posterior probability within the class's tolerance of z.
    pub probability: f64,
}

/// A peak as a Gaussian in lags. Training splits a redshift between two lags in proportion, which
/// spreads the posterior: the Gaussian has the width without that (as `z_err` has), and stands for
/// the lags around it.
#[derive(Clone, Debug, PartialEq)]
pub struct Peak {
    class: SpecType,
    mean: f64,
    sigma: f64,
    mass: f64,
    lags: std::ops::Range<usize>,
}

/// What the network says of one spectrum.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Answer {
    /// Best first; none if the logits are not finite.
    pub solutions: Vec<Solution>,
    /// Probability of GALAXY, QSO, STAR.
    pub classes: [f64; 3],
    /// Quantiles 0.16, 0.84, 0.025 and 0.975 of z, given the class of the best solution: all its
    /// peaks, not only the best.
    pub quantiles: [f64; 4],
    /// Of the solutions.
    pub peaks: Vec<Peak>,
}

/// Training draws nearby quasars far more often than the sky shows them (one for six galaxies at z
/// < 0.5, so that they are learned; SDSS finds about one for forty). The posterior takes part of
/// that back: quasars below `NEARBY_QSO.0` weigh `NEARBY_QSO.1` of what the network says.
pub const NEARBY_QSO: (f64, f64) = (0.5, 0.3);

/// Posterior `[class][lag]` = Σ over the class's patterns of softmax(sharpness · logits), over
/// allowed lags.
pub fn posterior(logits: &[f32], classes: &[SpecType], sharpness: f64) -> Vec<Vec<f64>> {
    let mut top = f32::NEG_INFINITY;
    for (row, c) in logits.chunks_exact(LAGS).zip(classes) {
        top = row[allowed(*c)]
            .iter()
            .fold(top, |m, v| if *v > m { *v } else { m });
    }
    let (nearby, sharpness) = (lag_of(NEARBY_QSO.0) as usize, sharpness as f32);
    let mut out = vec![vec![0.0f64; LAGS]; 3];
    let mut p = Vec::with_capacity(LAGS);
    for (row, c) in logits.chunks_exact(LAGS).zip(classes) {
        let range = allowed(*c);
        p.clear();
        p.extend(row[range.clone()].iter().map(|l| sharpness * (l - top)));
        exp(&mut p);
        out[*c as usize][range]
            .iter_mut()
            .zip(&p)
            .for_each(|(o, p)| *o += f64::from(*p));
    }
    out[SpecType::Qso as usize][..nearby]
        .iter_mut()
        .for_each(|p| *p *= NEARBY_QSO.1);
    let sum: f64 = out.iter().flatten().sum();
    out.iter_mut().flatten().for_each(|p| *p /= sum);
    out
}

/// The best answer of a posterior `[class][lag]`: what [`decode`] puts first.
pub struct Best {
    /// GALAXY, QSO or STAR.
    pub class: SpecType,
    /// Of the lags below together.
    pub probability: f64,
    /// Lags that belong to the peak.
    pub lags: std::ops::Range<usize>,
    /// The most probable of them.
    pub peak: usize,
    /// Probability of the second best, which has other lags or another class.
    pub second: f64,
}

/// The best answer; empties its lags for the while to find the second.
pub fn best_window(posterior: &mut [Vec<f64>]) -> Option<Best> {
    let windows = SpecType::ALL.map(|c| class_window(&posterior[c as usize], c));
    let all = || {
        SpecType::ALL
            .into_iter()
            .filter_map(|c| windows[c as usize].map(|w| (c, w)))
    };
    let (class, (_, peak)) = all().max_by(|a, b| a.1.0.total_cmp(&b.1.0))?;
    let lags = around(peak, class);
    let row = &mut posterior[class as usize];
    let own = row[lags.clone()].to_vec();
    row[lags.clone()].fill(0.0);
    let rest = class_window(row, class).map_or(0.0, |w| w.0);
    row[lags.clone()].copy_from_slice(&own);
    let second = all()
        .filter(|w| w.0 != class)
        .map(|w| w.1.0)
        .fold(rest, f64::max);
    Some(Best {
        class,
        probability: own.iter().sum(),
        lags,
        peak,
        second,
    })
}

/// Lags within the tolerance of a peak.
fn around(peak: usize, class: SpecType) -> std::ops::Range<usize> {
    let half = (tolerance(class) / LAG).round() as usize;
    peak.saturating_sub(half)..(peak + half + 1).min(LAGS)
}

/// The best `n` solutions of a posterior `[class][lag]`.
pub fn decode(posterior: &[Vec<f64>], n: usize, phase: &Phase, scatter: &[Scatter; 3]) -> Answer {
    let classes = [0, 1, 2].map(|c| posterior[c].iter().sum());
    let mut left = posterior.to_vec();
    let mut windows = SpecType::ALL.map(|c| class_window(&left[c as usize], c));
    let mut solutions: Vec<Solution> = Vec::new();
    let mut peaks = Vec::new();
    while solutions.len() < n.max(1) {
        let best = SpecType::ALL
            .into_iter()
            .filter_map(|c| windows[c as usize].map(|w| (c, w)))
            .max_by(|a, b| a.1.0.total_cmp(&b.1.0));
        let Some((class, (_, peak))) = best else {
            break;
        };
        let lags = around(peak, class);
        // Moments close to the peak, so that a shoulder does not pull z.
        let near = peak.saturating_sub(4)..(peak + 5).min(LAGS);
        let p = &left[class as usize];
        let mass: f64 = p[near.clone()].iter().sum();
        let mean = near.clone().map(|l| l as f64 * p[l]).sum::<f64>() / mass;
        let var = near
            .clone()
            .map(|l| (l as f64 - mean).powi(2) * p[l])
            .sum::<f64>()
            / mass;
        // Training splits a redshift between two lags in proportion: that spreads a perfect answer
        // by t (1 − t).
        let t = mean.fract();
        let spread = (var - t * (1.0 - t)).max(1.0 / 192.0);
        let spread = scatter[class as usize].variance(spread);
        let mean = phase.correct(mean);
        let z = redshift_of(mean);
        let z_err = (1.0 + z) * LAG * spread.sqrt();
        let probability = p[lags.clone()].iter().sum();
        peaks.push(Peak {
            class,
            mean,
            sigma: spread.sqrt(),
            mass,
            lags: near,
        });
        solutions.push(Solution {
            class,
            z,
            z_err,
            probability,
        });
        left[class as usize][lags].fill(0.0);
        windows[class as usize] = class_window(&left[class as usize], class);
        if probability < 1e-3 && solutions.len() > 1 {
            solutions.pop();
            peaks.pop();
            break;
        }
    }
    // A window recentred on its peak may hold less than it promised.
    solutions.sort_by(|a, b| b.probability.total_cmp(&a.probability));
    let quantiles = solutions.first().map_or([f64::NAN; 4], |s| {
        let d = Distribution::new(posterior, &peaks, s.class);
        [0.16, 0.84, 0.025, 0.975].map(|share| redshift_of(d.quantile(share)))
    });
    Answer {
        solutions,
        classes,
        quantiles,
        peaks,
    }
}

/// Distribution of the lag, given the class: Gaussians for the peaks, the posterior itself
/// elsewhere.
struct Distribution<'a> {
    /// Probability up to and with each lag, without the lags of the peaks.
    rest: Vec<f64>,
    peaks: Vec<&'a Peak>,
    total: f64,
}

impl<'a> Distribution<'a> {
    fn new(posterior: &[Vec<f64>], peaks: &'a [Peak], class: SpecType) -> Self {
        let peaks: Vec<&Peak> = peaks.iter().filter(|p| p.class == class).collect();
        let mut rest = posterior[class as usize].clone();
        peaks.iter().for_each(|p| rest[p.lags.clone()].fill(0.0));
        let mut sum = 0.0;
        rest.iter_mut().for_each(|v| {
            sum += *v;
            *v = sum;
        });
        let total = sum + peaks.iter().map(|p| p.mass).sum::<f64>();
        Distribution { rest, peaks, total }
    }

    /// Probability below `x` lags; lag l covers l − ½ to l + ½.
    fn below(&self, x: f64) -> f64 {
        let at = (x + 0.5).clamp(0.0, self.rest.len() as f64);
        let l = at as usize;
        let before = if l == 0 { 0.0 } else { self.rest[l - 1] };
        let here = self.rest.get(l).map_or(0.0, |v| v - before);
        let peaks: f64 = self
            .peaks
            .iter()
            .map(|p| p.mass * normal((x - p.mean) / p.sigma))
            .sum();
        (before + here * (at - l as f64) + peaks) / self.total.max(1e-300)
    }

    fn quantile(&self, share: f64) -> f64 {
        let (mut lo, mut hi) = (-0.5, self.rest.len() as f64 - 0.5);
        for _ in 0..40 {
            let x = 0.5 * (lo + hi);
            if self.below(x) < share {
                lo = x
            } else {
                hi = x
            }
        }
        0.5 * (lo + hi)
    }
}

/// Φ(x) (Zelen & Severo 1964, Abramowitz & Stegun 26.2.17; error below 1e-7).
fn normal(x: f64) -> f64 {
    let t = 1.0 / (1.0 + 0.231_641_9 * x.abs());
    let series = t
        * (0.319_381_530
            + t * (-0.356_563_782
                + t * (1.781_477_937 + t * (-1.821_255_978 + t * 1.330_274_429))));
    let tail = (-0.5 * x * x).exp() / (2.0 * std::f64::consts::PI).sqrt() * series;
    if x > 0.0 { 1.0 - tail } else { tail }
}

/// Where a true redshift falls in the distribution of its class: the probability integral
/// transform, and the continuous ranked probability score ∫ (F − [z ≥ z_true])² dz (Gneiting &
/// Raftery 2007); none if the class has no probability.
pub fn pit_crps(
    posterior: &[Vec<f64>],
    answer: &Answer,
    class: SpecType,
    z: f64,
) -> Option<(f64, f64)> {
    let d = Distribution::new(posterior, &answer.peaks, class);
    if d.total < 1e-6 {
        return None;
    }
    let at = lag_of(z);
    let part = |l: usize| {
        let x = l as f64;
        (d.below(x) - f64::from(u8::from(x >= at))).powi(2) * LAG * (1.0 + redshift_of(x))
    };
    Some((d.below(at), (0..LAGS).map(part).sum()))
}

/// Probability density of z on the lags, as the network gives it (138 km/s a lag), all classes
/// together: per unit of z, of the redshifts of [`lag_redshifts`].
pub fn density(posterior: &[Vec<f64>]) -> Vec<f32> {
    let z = lag_redshifts();
    (0..LAGS)
        .map(|l| (posterior.iter().map(|p| p[l]).sum::<f64>() / (LAG * (1.0 + z[l]))) as f32)
        .collect()
}

/// Redshift of each lag.
pub fn lag_redshifts() -> Vec<f64> {
    (0..LAGS).map(|l| redshift_of(l as f64)).collect()
}

/// Highest probability within ± tolerance, and the lag of the peak inside that window; none if all
/// is 0.
fn class_window(row: &[f64], class: SpecType) -> Option<(f64, usize)> {
    let half = (tolerance(class) / LAG).round() as usize;
    let mut before = Vec::with_capacity(row.len() + 1);
    let mut sum = 0.0;
    before.push(sum);
    before.extend(row.iter().map(|p| {
        sum += p;
        sum
    }));
    let window = |l: usize| (l.saturating_sub(half), (l + half + 1).min(row.len()));
    let inside = |l: usize| before[window(l).1] - before[window(l).0];
    let (mut best, mut centre) = (0.0, None);
    for l in 0..row.len() {
        if inside(l) > best {
            (best, centre) = (inside(l), Some(l));
        }
    }
    let (lo, hi) = window(centre?);
    let peak = (lo..hi).max_by(|a, b| row[*a].total_cmp(&row[*b]))?;
    // Differences of sums leave rounding behind where nothing is left.
    (row[peak] > 0.0).then_some((best, peak))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn peak(logits: &mut [f32], row: usize, z: f64, height: f32) {
        let at = lag_of(z);
        for l in 0..LAGS {
            let x = (l as f64 - at) as f32;
            logits[row * LAGS + l] += height * (-0.5 * x * x / 4.0).exp();
        }
    }

    #[test]
    fn peaks_are_found_with_their_share() {
        let classes = [SpecType::Galaxy, SpecType::Qso, SpecType::Star];
        let mut logits = vec![0.0f32; 3 * LAGS];
        peak(&mut logits, 0, 0.5123, 30.0);
        peak(&mut logits, 1, 2.2, 28.0);
        let a = decode(
            &posterior(&logits, &classes, 1.0),
            5,
            &Phase::default(),
            &Default::default(),
        );
        assert_eq!(a.solutions[0].class, SpecType::Galaxy);
        assert!(
            (a.solutions[0].z - 0.5123).abs() < 1e-4,
            "{:?}",
            a.solutions
        );
        assert_eq!(a.solutions[1].class, SpecType::Qso);
        assert!(a.solutions[0].probability > 0.7 && a.solutions[1].probability < 0.3);
        assert!((a.classes.iter().sum::<f64>() - 1.0).abs() < 1e-9);
        // One peak: quantiles within it. The density of z integrates to 1.
        assert!(
            a.quantiles.iter().all(|q| (q - 0.5123).abs() < 2e-3)
                && a.quantiles[2] < a.quantiles[0]
                && a.quantiles[0] < a.quantiles[1]
        );
        let (z, d) = (lag_redshifts(), density(&posterior(&logits, &classes, 1.0)));
        let area: f64 = z
            .windows(2)
            .zip(d.windows(2))
            .map(|(z, d)| 0.5 * f64::from(d[0] + d[1]) * (z[1] - z[0]))
            .sum();
        assert!((area - 1.0).abs() < 1e-3, "{area}");
        let p = posterior(&logits, &classes, 1.0);
        let (pit, crps) = pit_crps(
            &p,
            &decode(&p, 5, &Phase::default(), &Default::default()),
            SpecType::Galaxy,
            0.5123,
        )
        .unwrap();
        assert!((pit - 0.5).abs() < 0.3 && crps < 1e-3, "{pit} {crps}");
        let (far, worse) = pit_crps(
            &p,
            &decode(&p, 5, &Phase::default(), &Default::default()),
            SpecType::Galaxy,
            1.0,
        )
        .unwrap();
        assert!(
            far > 0.99 && (worse - (1.0 - 0.5123)).abs() < 0.01,
            "{far} {worse}"
        );
        // scipy.stats.norm.cdf.
        assert!(
            (normal(-1.3) - 0.096_800_48).abs() < 1e-7 && (normal(2.0) - 0.977_249_87).abs() < 1e-7
        );
        // Two peaks of one class: the interval spans both.
        peak(&mut logits, 0, 1.2, 30.0);
        let a = decode(
            &posterior(&logits, &classes, 1.0),
            5,
            &Phase::default(),
            &Default::default(),
        );
        assert!(
            a.quantiles[0] < 0.52 && a.quantiles[1] > 1.19,
            "{:?}",
            a.quantiles
        );
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(20))]
        /// Probabilities are probabilities, whatever the logits.
        #[test]
        fn probabilities_sum_to_one(seed in any::<u32>(), scale in 0.0f32..200.0, sharpness in 0.1f64..3.0) {
            let mut s = u64::from(seed) | 1;
            let logits: Vec<f32> = (0..3 * LAGS).map(|_| { s ^= s << 13; s ^= s >> 7; s ^= s << 17; scale * ((s >> 40) as f32 / 1.7e7 - 0.5) }).collect();
            let p = posterior(&logits, &SpecType::ALL, sharpness);
            prop_assert!((p.iter().flatten().sum::<f64>() - 1.0).abs() < 1e-9);
            let a = decode(&p, 4, &Phase::default(), &Default::default());
            prop_assert!(a.solutions.iter().map(|s| s.probability).sum::<f64>() < 1.0 + 1e-9);
            prop_assert!(a.solutions[0].probability >= a.solutions.last().unwrap().probability - 1e-9);
        }
    }
}
