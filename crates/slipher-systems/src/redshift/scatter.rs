//! From the width of a peak to the error of its redshift.

use serde::{Deserialize, Serialize};

use super::least_squares::Normal;

/// σ² = k² w² + f² for a peak of width w, all in lags: the network's own width, and a floor below
/// which it cannot tell redshifts apart. Fitted to the scatter of held-out simulations; the default
/// changes nothing.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scatter {
    /// k².
    pub slope: f64,
    /// f², in lags².
    pub floor: f64,
}

impl Default for Scatter {
    fn default() -> Self {
        Scatter {
            slope: 1.0,
            floor: 0.0,
        }
    }
}

/// Rows of a bin, at least.
const ROWS: usize = 50;
/// Bins by width, at most.
const BINS: usize = 12;
/// Share of a normal distribution within σ.
const ONE_SIGMA: f64 = 0.682_689;

impl Scatter {
    /// σ² of a peak of variance `w2`, in lags².
    pub fn variance(&self, w2: f64) -> f64 {
        self.slope * w2 + self.floor
    }

    /// Finite and not negative.
    pub fn is_sound(&self) -> bool {
        self.variance(1.0).is_finite() && self.slope >= 0.0 && self.floor >= 0.0
    }

    /// From (width, error) in lags of correct answers: in each bin of width the 68th percentile of
    /// |error| is σ, then least squares in σ² with relative weights. Outliers do not count.
    pub fn fit(pairs: &[(f64, f64)]) -> Scatter {
        let mut sorted = pairs.to_vec();
        sorted.sort_by(|a, b| a.0.total_cmp(&b.0));
        let size = sorted.len().div_ceil(BINS).max(ROWS);
        let bins: Vec<[f64; 2]> = sorted
            .chunks(size)
            .filter(|c| c.len() >= ROWS)
            .map(|c| {
                let mut errors: Vec<f64> = c.iter().map(|p| p.1.abs()).collect();
                errors.sort_by(f64::total_cmp);
                let sigma = errors[(ONE_SIGMA * errors.len() as f64) as usize];
                let width = c.iter().map(|p| p.0 * p.0).sum::<f64>() / c.len() as f64;
                [width, sigma * sigma]
            })
            .collect();
        let solve = |columns: &dyn Fn(f64) -> Vec<f64>| {
            let mut normal = Normal::new(columns(1.0).len());
            for [w, s] in bins.iter().filter(|b| b[1] > 0.0) {
                let row: Vec<f64> = columns(*w).iter().map(|c| c / s).collect();
                normal.add(&row, 1.0);
            }
            normal.solve()
        };
        if bins.len() < 3 {
            return Scatter::default();
        }
        let both = solve(&|w| vec![w, 1.0]).map(|c| (c[0], c[1]));
        let (slope, floor) = match both {
            Some((k, f)) if k >= 0.0 && f >= 0.0 => (k, f),
            Some((k, _)) if k < 0.0 => (0.0, solve(&|_| vec![1.0]).map_or(0.0, |c| c[0])),
            _ => (solve(&|w| vec![w]).map_or(1.0, |c| c[0]), 0.0),
        };
        let made = Scatter { slope, floor };
        if made.is_sound() {
            made
        } else {
            Scatter::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use slipher_sim::random::Stream;

    #[test]
    fn slope_and_floor_are_found() {
        let mut rng = Stream::new(3, 1, 4);
        for (slope, floor) in [(1.0, 0.0), (2.0, 0.01), (0.5, 0.04)] {
            let pairs: Vec<(f64, f64)> = (0..20_000)
                .map(|i| {
                    let w = rng.log_uniform(0.07, 1.0);
                    let sigma = (slope * w * w + floor).sqrt();
                    // One in fifty is far off.
                    let far = if i % 50 == 0 { 10.0 } else { 1.0 };
                    (w, rng.normal(0.0, far * sigma))
                })
                .collect();
            let s = Scatter::fit(&pairs);
            for w2 in [0.01, 0.1, 0.9] {
                let ratio = s.variance(w2) / (slope * w2 + floor);
                assert!((0.85..1.2).contains(&ratio), "{slope} {floor}: {s:?} {w2}");
            }
        }
        assert_eq!(Scatter::fit(&[(0.1, 0.1); 100]), Scatter::default());
    }
}
