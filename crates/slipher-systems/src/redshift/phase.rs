//! Sub-lag bias of a peak's mean, the analogue of pixel-phase bias in astrometry.

use serde::{Deserialize, Serialize};

use super::least_squares::Normal;

/// The mean of a peak against the true lag: `error = a + b sin 2πx + c cos 2πx` for a mean x, as
/// positions of stars against the phase of their pixel (Anderson & King 2000): a network that is
/// surer of the nearer lag than linear interpolation would be draws redshifts towards it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Phase(pub [f64; 3]);

impl Phase {
    /// The true lag of a peak's mean.
    pub fn correct(&self, lag: f64) -> f64 {
        let (sin, cos) = (std::f64::consts::TAU * lag.fract()).sin_cos();
        lag - self.0[0] - self.0[1] * sin - self.0[2] * cos
    }

    /// From (mean of the peak, true lag) of correct answers; least squares, without what lies
    /// beyond a lag.
    pub fn fit(pairs: &[(f64, f64)]) -> Phase {
        let near: Vec<_> = pairs.iter().filter(|p| (p.0 - p.1).abs() < 1.0).collect();
        if near.len() < 100 {
            return Phase::default();
        }
        let mut normal = Normal::new(3);
        for (x, truth) in near {
            let (sin, cos) = (std::f64::consts::TAU * x.fract()).sin_cos();
            normal.add(&[1.0, sin, cos], x - truth);
        }
        normal
            .solve()
            .map_or(Phase::default(), |c| Phase([c[0], c[1], c[2]]))
    }
}
