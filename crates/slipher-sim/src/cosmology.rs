//! Distances in a flat universe of matter and a cosmological constant: H₀ = 70 km/s/Mpc,
//! Ω_m = 0.3, as the lens populations take it.

/// Speed of light, km/s.
pub const LIGHT: f64 = 299_792.458;
const HUBBLE: f64 = 70.0;
const MATTER: f64 = 0.3;

/// H(z) / H₀.
fn expansion(z: f64) -> f64 {
    (MATTER * (1.0 + z).powi(3) + 1.0 - MATTER).sqrt()
}

/// Comoving distance in Mpc, to 10⁻⁶ below z = 10: from a table, as a training set asks for
/// millions.
pub fn comoving(z: f64) -> f64 {
    const STEP: f64 = 0.01;
    static TABLE: std::sync::OnceLock<Vec<f64>> = std::sync::OnceLock::new();
    let table = TABLE.get_or_init(|| (0..=1002).map(|i| integral(STEP * f64::from(i))).collect());
    let i = (z / STEP) as usize;
    let Some([a, b]) = table.get(i..i + 2).and_then(|t| t.first_chunk()) else {
        return integral(z);
    };
    // Hermite's cubic: the slope is known.
    let slope = |k: usize| LIGHT / HUBBLE / expansion(STEP * k as f64) * STEP;
    let t = z / STEP - i as f64;
    let (s, u) = (slope(i), slope(i + 1));
    a + t * (s + t * (3.0 * (b - a) - 2.0 * s - u + t * (s + u - 2.0 * (b - a))))
}

/// Simpson's rule.
fn integral(z: f64) -> f64 {
    const STEPS: usize = 64;
    let h = z / STEPS as f64;
    let sum: f64 = (0..=STEPS)
        .map(|i| {
            let weight = match i {
                0 | STEPS => 1.0,
                i if i % 2 == 1 => 4.0,
                _ => 2.0,
            };
            weight / expansion(i as f64 * h)
        })
        .sum();
    LIGHT / HUBBLE * sum * h / 3.0
}

/// Angular diameter distance in Mpc.
pub fn angular(z: f64) -> f64 {
    comoving(z) / (1.0 + z)
}

/// Angular diameter distance from one redshift to another, in Mpc; 0 if the second is not behind.
pub fn between(z1: f64, z2: f64) -> f64 {
    (comoving(z2) - comoving(z1)).max(0.0) / (1.0 + z2)
}

/// Distance modulus in magnitudes.
pub fn modulus(z: f64) -> f64 {
    5.0 * (comoving(z) * (1.0 + z)).log10() + 25.0
}

/// Comoving volume of a shell, Mpc³ for each unit of redshift over the whole sky.
pub fn shell(z: f64) -> f64 {
    4.0 * std::f64::consts::PI * comoving(z).powi(2) * LIGHT / HUBBLE / expansion(z)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// astropy.cosmology.FlatLambdaCDM(70, 0.3).
    #[test]
    fn distances_are_astropys() {
        for (z, want) in [(0.1, 418.454_5), (0.5, 1_888.625_7), (2.0, 5_179.862_2)] {
            assert!(
                (comoving(z) / want - 1.0).abs() < 1e-5,
                "{z} {}",
                comoving(z)
            );
        }
        assert!(
            (between(0.5, 2.0) - 1_097.078_8).abs() < 0.02,
            "{}",
            between(0.5, 2.0)
        );
        assert!((modulus(1.0) - 44.100_2).abs() < 2e-3, "{}", modulus(1.0));
        assert_eq!(between(1.0, 0.5), 0.0);
    }
}
