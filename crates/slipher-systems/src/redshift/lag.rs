//! The grid of redshifts: lags of ln(1+z), and which of them each class may take.

use slipher_sim::sed::SpecType;

use super::encode::{LAG, POSITIONS};

/// First lag: ln(1+z) = −20 LAG, v ≈ −2760 km/s.
pub const MIN_LAG: i32 = -20;
/// Lags up to z = 20.09.
pub const LAGS: usize = 6640;
/// Transform length: POSITIONS + LAGS at least; 2²·3³·5³, fast.
pub const NFFT: usize = 13_500;
/// Stars: |lag| ≤ 15, |v| ≤ 2070 km/s.
const STAR_LAG: i32 = 15;
/// Galaxies from z = −0.005.
const GALAXY_MIN: i32 = -11;

/// Rest-frame positions that any (observed position − lag) can reach.
pub const SUPPORT: usize = POSITIONS + LAGS;

/// Lags that a class may take.
pub fn allowed(class: SpecType) -> std::ops::Range<usize> {
    let index = |lag: i32| (lag - MIN_LAG) as usize;
    match class {
        SpecType::Galaxy => index(GALAXY_MIN)..LAGS,
        SpecType::Qso => index(0)..LAGS,
        SpecType::Star => index(-STAR_LAG)..index(STAR_LAG) + 1,
    }
}

/// Fractional lag index of a redshift.
pub fn lag_of(z: f64) -> f64 {
    (1.0 + z).ln() / LAG - f64::from(MIN_LAG)
}

/// Redshift of a fractional lag index.
pub fn redshift_of(lag: f64) -> f64 {
    ((lag + f64::from(MIN_LAG)) * LAG).exp() - 1.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lags_and_redshifts_invert() {
        for z in [-0.005, 0.0, 0.5, 3.0, 7.0, 20.0] {
            assert!((redshift_of(lag_of(z)) - z).abs() < 1e-9);
            assert!(lag_of(z) >= 0.0 && lag_of(z) < LAGS as f64);
        }
        const { assert!(POSITIONS + LAGS <= NFFT) };
    }
}
