//! Attenuation by dust.

/// Attenuation law.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Law {
    /// Starbursts, Calzetti et al. (2000, ApJ 533, 682), equations 3–4.
    Calzetti,
    /// Small Magellanic Cloud, A/E(B−V) = 1.39 λ_µm^−1.2 (Prevot et al. 1984; Richards et al.
    /// 2003).
    Smc,
}

impl Law {
    /// k(λ) = A(λ) / E(B−V) at a rest wavelength in Å; continued smoothly outside the measured
    /// range.
    pub fn k(self, wave: f64) -> f64 {
        let um = wave * 1e-4;
        match self {
            Law::Smc => 1.39 * um.max(0.09).powf(-1.2),
            Law::Calzetti => {
                let u = um.clamp(0.09, 2.2);
                let k = if u >= 0.63 {
                    2.659 * (-1.857 + 1.040 / u) + 4.05
                } else {
                    2.659 * (-2.156 + 1.509 / u - 0.198 / (u * u) + 0.011 / (u * u * u)) + 4.05
                };
                if um > 2.2 {
                    k * (2.2 / um).powi(2)
                } else {
                    k.max(0.0)
                }
            }
        }
    }

    /// Transmission 10^(−0.4 k E(B−V)).
    pub fn transmission(self, wave: f64, ebv: f64) -> f64 {
        10f64.powf(-0.4 * self.k(wave) * ebv)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn published_values() {
        // R_V = 4.05 at V; k(Hα) ≈ 3.33, k(Hβ) ≈ 4.60 (Calzetti et al. 2000).
        assert!((Law::Calzetti.k(5500.0) - 4.05).abs() < 0.1);
        assert!((Law::Calzetti.k(6563.0) - 3.33).abs() < 0.02);
        assert!((Law::Calzetti.k(4861.0) - 4.60).abs() < 0.02);
        assert!(Law::Smc.k(1000.0) > Law::Smc.k(5000.0));
    }
}
