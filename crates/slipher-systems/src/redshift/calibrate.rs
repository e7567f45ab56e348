//! What held-out simulations teach about a model's answers: that a redshift falls a little beside
//! the lag it is at, and how often an answer is right that the network gives so much probability,
//! in spectra of such S/N, class, redshift and coverage.

use serde::{Deserialize, Serialize};
use slipher_sim::sed::SpecType;

use super::decode::{Best, best_window};
use super::lag::redshift_of;
use super::least_squares::solve;
use super::phase::Phase;
use super::scatter::Scatter;

/// Numbers that the calibration of a probability depends on.
const FEATURES: usize = 9;
/// Strength of the pull towards no change, in rows.
const RIDGE: f64 = 4.0;

/// Of a spectrum, known before the network.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Conditions {
    /// Median S/N per native pixel.
    pub snr: f64,
    /// Good fine pixels (69 km/s).
    pub good: f64,
    /// Native pixels' width in fine pixels.
    pub width: f64,
    /// The file had no errors; they were estimated from the scatter.
    pub estimated: bool,
}

/// Measured for one model; the default changes nothing.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Calibration {
    /// Of redshifts within a lag.
    pub phase: Phase,
    /// For each class, from the width of a peak to the error of its redshift.
    #[serde(default)]
    pub scatter: [Scatter; 3],
    /// For each class, logit p = w · features; empty: p as it is.
    odds: [Vec<f64>; 3],
}

/// An answer of the network to a spectrum of known class and redshift.
#[derive(Clone, Copy, Debug)]
pub struct CalibrationRow {
    /// Class that the network gave.
    pub class: SpecType,
    /// Redshift that the network gave.
    pub z: f64,
    /// As the network gives it.
    pub probability: f64,
    /// Whether class and redshift are.
    pub right: bool,
    /// Of the spectrum.
    pub conditions: Conditions,
}

fn features(z: f64, probability: f64, c: &Conditions) -> [f64; FEATURES] {
    let logit = (probability.max(1e-9) / (1.0 - probability).max(1e-9))
        .ln()
        .clamp(-12.0, 12.0);
    let s = c.snr.abs().max(0.0).ln_1p().min(5.0) - 1.5;
    [
        1.0,
        logit,
        s,
        s * s,
        0.2 * logit * s,
        (1.0 + z).ln() - 0.5,
        (c.good / 3000.0).max(0.01).ln(),
        c.width.max(0.3).ln().min(4.0),
        f64::from(u8::from(c.estimated)),
    ]
}

fn sigmoid(x: f64) -> f64 {
    1.0 / (1.0 + (-x).exp())
}

impl Calibration {
    /// All numbers are finite, and as many as there are features.
    pub fn is_sound(&self) -> bool {
        let odds =
            |o: &Vec<f64>| (o.is_empty() || o.len() == FEATURES) && o.iter().all(|v| v.is_finite());
        self.phase.0.iter().all(|v| v.is_finite())
            && self.scatter.iter().all(Scatter::is_sound)
            && self.odds.iter().all(odds)
    }

    /// Logistic regression for each class (Platt 2000, with more than one feature), by Newton's
    /// method, pulled towards no change.
    pub fn fit(phase: Phase, scatter: [Scatter; 3], rows: &[CalibrationRow]) -> Calibration {
        let odds = SpecType::ALL.map(|class| {
            let own: Vec<([f64; FEATURES], f64)> = rows
                .iter()
                .filter(|r| r.class == class)
                .map(|r| {
                    (
                        features(r.z, r.probability, &r.conditions),
                        f64::from(u8::from(r.right)),
                    )
                })
                .collect();
            if own.len() < 300 {
                vec![]
            } else {
                regression(&own)
            }
        });
        Calibration {
            phase,
            scatter,
            odds,
        }
    }

    /// The probability that an answer is right.
    pub fn probability(&self, class: SpecType, z: f64, probability: f64, c: &Conditions) -> f64 {
        let w = &self.odds[class as usize];
        if w.len() != FEATURES {
            return probability;
        }
        let f = features(z, probability, c);
        // Whatever was fitted, more probability must not become less.
        let slope = w[1] + 0.2 * w[4] * f[2];
        let rest: f64 = (0..FEATURES)
            .filter(|i| *i != 1 && *i != 4)
            .map(|i| w[i] * f[i])
            .sum();
        sigmoid(rest + slope.max(0.05) * f[1])
    }

    /// Moves probability between the best answer of a posterior `[class][lag]` and all others, so
    /// that it has what is right. The best stays the best.
    pub fn apply(&self, posterior: &mut [Vec<f64>], c: &Conditions) {
        if self.odds.iter().all(Vec::is_empty) {
            return;
        }
        let Some(Best {
            class,
            probability: p,
            lags,
            peak,
            second,
        }) = best_window(posterior)
        else {
            return;
        };
        let others = 1.0 - p;
        if others <= 1e-12 || p <= 0.0 {
            return;
        }
        let least = second / (others + second) * (1.0 + 1e-9) + 1e-12;
        let target = self
            .probability(class, redshift_of(peak as f64), p, c)
            .clamp(least.min(1.0 - 1e-9), 1.0 - 1e-9);
        let (gain, loss) = (target / p, (1.0 - target) / others);
        for (k, row) in posterior.iter_mut().enumerate() {
            row.iter_mut().for_each(|v| *v *= loss);
            if k == class as usize {
                row[lags.clone()].iter_mut().for_each(|v| *v *= gain / loss);
            }
        }
    }
}

fn regression(rows: &[([f64; FEATURES], f64)]) -> Vec<f64> {
    let start: Vec<f64> = (0..FEATURES).map(|i| f64::from(u8::from(i == 1))).collect();
    let mut w = start.clone();
    for _ in 0..30 {
        let mut a = vec![0.0; FEATURES * FEATURES];
        let mut g: Vec<f64> = (0..FEATURES).map(|i| RIDGE * (start[i] - w[i])).collect();
        (0..FEATURES).for_each(|i| a[i * FEATURES + i] = RIDGE);
        for (f, y) in rows {
            let p = sigmoid(f.iter().zip(&w).map(|(f, w)| f * w).sum());
            for i in 0..FEATURES {
                g[i] += f[i] * (y - p);
                (0..=i).for_each(|j| a[i * FEATURES + j] += f[i] * f[j] * p * (1.0 - p));
            }
        }
        let Some(step) = solve(&a, &g) else {
            return start;
        };
        // Newton's step may overshoot far from the optimum.
        let size = step.iter().map(|s| s.abs()).fold(0.0, f64::max);
        w.iter_mut()
            .zip(&step)
            .for_each(|(w, s)| *w += s * (2.0 / size).min(1.0));
        if size < 1e-9 {
            break;
        }
    }
    if w.iter().all(|w| w.is_finite()) {
        w
    } else {
        start
    }
}

#[cfg(test)]
mod tests {
    use super::super::decode::decode;
    use super::super::lag::{LAGS, lag_of};
    use super::*;
    use slipher_sim::random::Stream;

    const GOOD: Conditions = Conditions {
        snr: 3.0,
        good: 3000.0,
        width: 1.0,
        estimated: false,
    };

    #[test]
    fn the_phase_of_a_lag_is_found_and_taken_out() {
        let wrong = |truth: f64| truth + 0.04 - 0.07 * (std::f64::consts::TAU * truth).sin();
        let pairs: Vec<(f64, f64)> = (0..4000)
            .map(|i| 100.0 + 0.618_034 * f64::from(i))
            .map(|t| (wrong(t), t))
            .collect();
        let phase = Phase::fit(&pairs);
        let left = pairs
            .iter()
            .map(|(x, t)| (phase.correct(*x) - t).abs())
            .fold(0.0, f64::max);
        assert!(left < 0.025, "{left} {phase:?}");
        assert_eq!(Phase::fit(&pairs[..10]), Phase::default());
    }

    /// Answers whose probability is too high at low S/N, and for one class, become honest.
    #[test]
    fn probabilities_become_honest() {
        let mut rng = Stream::new(1, 2, 3);
        let true_p = |class: SpecType, p: f64, snr: f64| {
            sigmoid(
                (p / (1.0 - p)).ln()
                    - if class == SpecType::Star { 1.0 } else { 0.0 }
                    - 1.0 / (1.0 + snr),
            )
        };
        let mut draw = || {
            let class = SpecType::ALL[rng.below(3)];
            let (p, snr) = (rng.uniform(0.02, 0.98), rng.log_uniform(0.2, 30.0));
            let right = rng.chance(true_p(class, p, snr));
            CalibrationRow {
                class,
                z: rng.uniform(0.0, 2.0),
                probability: p,
                right,
                conditions: Conditions { snr, ..GOOD },
            }
        };
        let rows: Vec<CalibrationRow> = (0..20_000).map(|_| draw()).collect();
        let c = Calibration::fit(Phase::default(), Default::default(), &rows);
        for class in SpecType::ALL {
            for (p, snr) in [(0.3, 0.5), (0.8, 0.5), (0.5, 10.0), (0.9, 3.0)] {
                let (got, want) = (
                    c.probability(class, 0.7, p, &Conditions { snr, ..GOOD }),
                    true_p(class, p, snr),
                );
                assert!(
                    (got - want).abs() < 0.03,
                    "{class:?} {p} {snr}: {got} {want}"
                );
            }
        }
        let back: Calibration = serde_json::from_str(&serde_json::to_string(&c).unwrap()).unwrap();
        assert_eq!(back, c);
    }

    /// The posterior keeps its sum and its best answer, and the best answer has the calibrated
    /// probability.
    #[test]
    fn the_posterior_stays_one() {
        let mut posterior = vec![vec![0.0; LAGS]; 3];
        let at = lag_of(0.7) as usize;
        posterior[0][at] = 0.6;
        posterior[1][2000] = 0.3;
        posterior[2][20] = 0.1;
        let mut c = Calibration::default();
        let before = posterior.clone();
        c.apply(&mut posterior, &GOOD);
        assert_eq!(posterior, before);
        c.odds[0] = vec![0.4, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0];
        c.apply(&mut posterior, &GOOD);
        let best = decode(&posterior, 3, &Phase::default(), &Default::default()).solutions;
        assert!(
            (best[0].probability - sigmoid(1.5f64.ln() + 0.4)).abs() < 1e-9
                && best[0].class == SpecType::Galaxy
        );
        assert!(
            (posterior.iter().flatten().sum::<f64>() - 1.0).abs() < 1e-9
                && (best[1].probability / best[2].probability - 3.0).abs() < 1e-9
        );
        // Doubt does not change the order.
        c.odds[0][0] = -6.0;
        c.apply(&mut posterior, &GOOD);
        let best = decode(&posterior, 3, &Phase::default(), &Default::default()).solutions;
        assert!(
            best[0].class == SpecType::Galaxy
                && (best[0].probability - best[1].probability).abs() < 1e-6,
            "{best:?}"
        );
    }
}
