//! What counts as success, and intervals.

use slipher_sim::sed::{C_KMS, SpecType};

/// Right class and |Δz|/(1+z) < 0.0033 (galaxies), < 0.01 (quasars), |Δv| < 1000 km/s (stars).
pub fn success(truth: (SpecType, f64), class: SpecType, z: f64) -> bool {
    truth.0 == class && redshift_right(truth, z)
}

/// The redshift part of [`success`].
pub fn redshift_right(truth: (SpecType, f64), z: f64) -> bool {
    let dz = (z - truth.1).abs() / (1.0 + truth.1);
    match truth.0 {
        SpecType::Galaxy => dz < 0.0033,
        SpecType::Qso => dz < 0.01,
        SpecType::Star => dz * C_KMS < 1000.0,
    }
}

/// Wilson 95 % interval of a share (Wilson 1927), as fractions.
pub fn wilson(right: usize, n: usize) -> (f64, f64) {
    if n == 0 {
        return (0.0, 1.0);
    }
    wilson_share(right as f64 / n as f64, n as f64)
}

/// The same of a share `p` of `n`, which may be an effective number.
pub fn wilson_share(p: f64, n: f64) -> (f64, f64) {
    let k = 1.959_964f64;
    let centre = (p + k * k / (2.0 * n)) / (1.0 + k * k / n);
    let half = k / (1.0 + k * k / n) * (p * (1.0 - p) / n + k * k / (4.0 * n * n)).sqrt();
    ((centre - half).max(0.0), (centre + half).min(1.0))
}

/// Successes out of n.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    pub right: usize,
    pub n: usize,
}

impl Tally {
    pub fn add(&mut self, right: bool) {
        self.right += usize::from(right);
        self.n += 1;
    }
    pub fn percent(&self) -> f64 {
        100.0 * self.right as f64 / self.n.max(1) as f64
    }
}

impl std::fmt::Display for Tally {
    /// `97.1 % (67/69, 95 %: 90.0-99.2)`
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.n == 0 {
            return write!(f, "none");
        }
        let (lo, hi) = wilson(self.right, self.n);
        write!(
            f,
            "{:5.1} % ({}/{}, 95 %: {:.1}-{:.1})",
            self.percent(),
            self.right,
            self.n,
            100.0 * lo,
            100.0 * hi
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wilson_golden() {
        // statsmodels.stats.proportion.proportion_confint(8, 10, method="wilson").
        let (lo, hi) = wilson(8, 10);
        assert!((lo - 0.490_162).abs() < 1e-5 && (hi - 0.943_317_8).abs() < 1e-5);
        assert!(success((SpecType::Galaxy, 1.0), SpecType::Galaxy, 1.006));
        assert!(!success((SpecType::Galaxy, 1.0), SpecType::Qso, 1.0));
        assert!(!success((SpecType::Galaxy, 1.0), SpecType::Galaxy, 1.007));
    }
}
