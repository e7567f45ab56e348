//! Shares of successes and their intervals.

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
    /// Successes.
    pub right: usize,
    /// Trials.
    pub n: usize,
}

impl Tally {
    /// One trial more.
    pub fn add(&mut self, right: bool) {
        self.right += usize::from(right);
        self.n += 1;
    }
    /// Share in per cent.
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
    }
}
