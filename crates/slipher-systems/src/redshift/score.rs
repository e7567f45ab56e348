//! What counts as a correct class and redshift.

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn class_and_redshift_must_both_be_correct() {
        assert!(success((SpecType::Galaxy, 1.0), SpecType::Galaxy, 1.006));
        assert!(!success((SpecType::Galaxy, 1.0), SpecType::Qso, 1.0));
        assert!(!success((SpecType::Galaxy, 1.0), SpecType::Galaxy, 1.007));
    }
}
