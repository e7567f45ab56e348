//! The intergalactic medium: Lyman-series forest and Lyman limit.

use crate::random::Stream;

const LYA: f64 = 1215.67;
/// Lyman lines with the ratio of their effective optical depth to Lyα's
/// (Madau 1995, ApJ 441, 18, from the coefficients A_j).
const SERIES: [(f64, f64); 4] = [(LYA, 1.0), (1025.72, 0.47), (972.54, 0.33), (949.74, 0.26)];

/// One sightline: its mean opacity and its own fluctuations.
#[derive(Clone, Debug)]
pub struct Sightline {
    scatter: f64,
    limit: f64,
    /// Radius of the ionised bubble, km/s of Hubble flow.
    bubble: f64,
    /// log₁₀ column of a damped absorber in the host, per cm²; 0: none.
    column: f64,
    seed: u64,
}

/// Effective optical depth of Lyα, τ = 0.751 ((1+z)/4.5)^2.9 − 0.132 (Becker et al. 2013, MNRAS
/// 430, 2067).
pub fn effective_depth(z: f64) -> f64 {
    let tau = if z < 5.5 {
        0.751 * ((1.0 + z) / 4.5).powf(2.90) - 0.132
    } else {
        // The rapid rise towards reionisation (Bosman et al. 2022): roughly ∝ (1+z)^7.
        (0.751 * (6.5f64 / 4.5).powf(2.90) - 0.132) * ((1.0 + z) / 6.5).powf(7.0)
    };
    tau.max(0.006 * (1.0 + z))
}

impl Sightline {
    /// A random line of sight.
    pub fn draw(rng: &mut Stream) -> Self {
        Sightline {
            scatter: rng.uniform(0.5, 1.4),
            limit: 912.0 * rng.uniform(0.85, 1.0),
            bubble: 10f64.powf(rng.uniform(1.7, 3.3)),
            column: if rng.chance(0.4) {
                rng.uniform(20.5, 23.0)
            } else {
                0.0
            },
            seed: (rng.uniform(0.0, 1e15)) as u64,
        }
    }

    /// The damping wing of neutral gas on the red side of Lyα, beyond redshift 5.8: that of the
    /// intergalactic medium, τ = 2.3 x (600 km/s / Δv) ((1+z)/10)^{3/2} (Dijkstra 2014, PASA 31, 40,
    /// equation 30), and of gas around the galaxy (Heintz et al. 2024).
    fn damp(&self, flux: &mut [f32], start: f64, step: f64, z: f64) {
        if z < 5.8 {
            return;
        }
        // Half of the gas is neutral at z ≈ 7.5, with a width of 0.5 (Mason et al. 2018).
        let neutral = 1.0 / (1.0 + (-(z - 7.2) / 0.4).exp());
        let centre = (((LYA * (1.0 + z)).log10() - start) / step).max(0.0) as usize;
        let last = (((LYA * 1.12 * (1.0 + z)).log10() - start) / step).max(0.0) as usize;
        for i in centre..last.min(flux.len()) {
            let wave = 10f64.powf(start + step * i as f64) / (1.0 + z);
            let x = wave / LYA - 1.0;
            let v = x.max(1e-5) * crate::sed::C_KMS;
            let gas = 2.3 * neutral * 600.0 / (v + self.bubble) * ((1.0 + z) / 10.0).powf(1.5);
            // Damped Lyα: τ = 1.5 at 24 Å for 2 × 10²² per cm².
            let own = if self.column > 0.0 {
                let n = 10f64.powf(self.column - 22.3);
                1.5 * n * (24.0 / (x * LYA).abs().max(0.3)).powi(2)
            } else {
                0.0
            };
            flux[i] *= (-(gas + own).min(60.0)).exp() as f32;
        }
    }

    /// Multiplies `flux` by the transmission towards redshift `z`. Pixel `i` is at log₁₀ λ_obs =
    /// start + i·step.
    pub fn apply(&self, flux: &mut [f32], start: f64, step: f64, z: f64) {
        self.damp(flux, start, step, z);
        let rest0 = start - (1.0 + z).log10();
        let end = (((LYA.log10() - rest0) / step).ceil().max(0.0) as usize).min(flux.len());
        if end == 0 {
            return;
        }
        let mut rng = Stream::new(self.seed, 0x16A, 0);
        // Fluctuations: an autoregressive lognormal field, correlated over ~ 4 pixels (280 km/s).
        let (mut g, rho) = (0.0f64, 0.78f64);
        let (mut rest, mut tau) = (0.0, 0.0);
        for (i, f) in flux[..end].iter_mut().enumerate() {
            g = rho * g + (1.0 - rho * rho).sqrt() * f64::from(rng.normal_f32());
            // The mean depth is smooth: every 8th pixel is enough.
            if i % 8 == 0 {
                rest = 10f64.powf(start + step * i as f64) / (1.0 + z);
                tau = 0.0;
                for (wave, ratio) in SERIES {
                    let za = rest * (1.0 + z) / wave - 1.0;
                    if za < z && za > 0.0 {
                        tau += ratio * effective_depth(za);
                    }
                }
            }
            let local = tau * (self.scatter * g - 0.5 * self.scatter * self.scatter).exp() * 1.25;
            // Where the mean depth is far beyond what voids let through, nothing passes.
            *f *= (-local.max(0.25 * tau - 1.0)).exp() as f32;
            if rest < self.limit && z > 2.0 {
                *f *= (-(2.0 + 0.8 * (z - 2.0)) * (rest / self.limit).powi(3)).exp() as f32;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// At z = 9 nothing is left at Lyα and below, and the continuum at 1400 Å is whole.
    #[test]
    fn neutral_gas_damps_the_line() {
        for seed in 0..20 {
            let s = Sightline::draw(&mut Stream::new(seed, 3, 0));
            let (start, step) = (4.0, 1e-4);
            let mut f = vec![1.0f32; 5000];
            s.apply(&mut f, start, step, 9.0);
            let at = |rest: f64| f[(((rest * 10.0).log10() - start) / step) as usize];
            assert!(at(1200.0) < 1e-3 && at(1216.5) < 0.9 && at(1400.0) == 1.0);
            let mut low = vec![1.0f32; 5000];
            s.damp(&mut low, start, step, 5.0);
            assert!(low.iter().all(|x| *x == 1.0));
        }
    }

    #[test]
    fn mean_transmission_is_near_the_measured_one() {
        // Becker et al. 2013: mean flux ≈ 0.68 at z = 3, ≈ 0.40 at z = 4.
        for (z, want) in [(3.0f64, 0.68), (4.0, 0.40)] {
            let mut mean = 0.0;
            let mut n = 0;
            for seed in 0..40 {
                let s = Sightline::draw(&mut Stream::new(seed, 1, 0));
                let start = (1160.0 * (1.0 + z + 0.12)).log10();
                let mut f = vec![1.0f32; 100];
                s.apply(&mut f, start, 1e-4, z + 0.12);
                mean += f.iter().map(|x| f64::from(*x)).sum::<f64>();
                n += f.len();
            }
            assert!(
                (mean / n as f64 - want).abs() < 0.1,
                "z {z}: {}",
                mean / n as f64
            );
        }
    }
}
