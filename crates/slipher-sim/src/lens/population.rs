//! Deflectors and the galaxies behind them, as LensPop has them (Collett 2015, ApJ 811, 20, and its
//! code): velocity dispersions of Choi et al. (2007) without evolution, early-type relations for
//! light and size, sources by number counts and photometric redshifts as in the LSST Science Book
//! (2009, equations 3.7 and 3.8).

use crate::cosmology::{LIGHT, angular, between, modulus, shell};
use crate::random::Stream;

/// Largest redshift of a deflector.
const DEEPEST: f64 = 1.2;
/// i magnitude of the faintest and brightest source.
const SOURCES: (f64, f64) = (20.5, 27.0);
const ARCSECONDS: f64 = 180.0 / std::f64::consts::PI * 3600.0;

/// A massive early-type galaxy.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Deflector {
    /// Redshift.
    pub z: f64,
    /// Velocity dispersion in km/s.
    pub sigma: f64,
    /// Axis ratio of the mass, and nearly of the light.
    pub q: f64,
    /// Half-light radius, circularised, arcseconds.
    pub radius: f64,
    /// r magnitude.
    pub r: f64,
}

/// A galaxy in the background.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Background {
    /// Redshift.
    pub z: f64,
    /// i magnitude without a lens.
    pub i: f64,
    /// Half-light radius, circularised, arcseconds.
    pub radius: f64,
    /// Axis ratio.
    pub q: f64,
}

/// Density of velocity dispersions, of a logarithmic unit: (σ/σ*)^α exp(−(σ/σ*)^β) with α = 2.32,
/// β = 2.67, σ* = 161 km/s.
fn dispersions(sigma: f64) -> f64 {
    let x = sigma / 161.0;
    x.powf(2.32) * (-x.powf(2.67)).exp()
}

/// Draws from a density on an interval, by rejection below its maximum.
fn reject(f: impl Fn(f64) -> f64, (a, b): (f64, f64), rng: &mut Stream) -> f64 {
    let most = (0..=40)
        .map(|k| f(a + (b - a) * f64::from(k) / 40.0))
        .fold(0.0, f64::max);
    for _ in 0..10_000 {
        let x = rng.uniform(a, b);
        if rng.uniform(0.0, 1.02 * most) < f(x) {
            return x;
        }
    }
    0.5 * (a + b)
}

impl Deflector {
    /// Of volume and velocity function, seen with the weight of its lensing cross-section, which is
    /// that of σ⁴.
    pub fn draw(rng: &mut Stream) -> Deflector {
        let z = reject(shell, (0.08, DEEPEST), rng);
        let log = reject(
            |v| dispersions(v.exp()) * (4.0 * v).exp(),
            (120f64.ln(), 420f64.ln()),
            rng,
        );
        Deflector::of(z, log.exp(), rng)
    }

    /// Its light by the early-type relations, with their scatter.
    pub fn of(z: f64, sigma: f64, rng: &mut Stream) -> Deflector {
        let v = sigma.log10();
        // The mean luminosity of a dispersion, L ∝ σ^2.5, with its scatter. LensPop turns round the
        // mean dispersion of a luminosity (Hyde & Bernardi 2009), which makes the galaxies of the
        // largest dispersions, those that lens, too bright by 0.6 mag.
        let magnitude = -22.4 - 6.25 * (sigma / 200.0).log10() + rng.normal(0.0, 0.35);
        let kpc = 10f64.powf(2.46 - 2.79 * v + 0.84 * v * v + rng.normal(0.0, 0.11));
        // Passive galaxies in r: K of an old population (1.0 at z = 0.5, 1.7 at 0.7), less 0.85 mag
        // of evolution a unit of redshift (Bernardi et al. 2003).
        let correction = 0.9 * z + 2.2 * z * z - 0.85 * z;
        let flat = 0.378 - 0.000_572 * sigma;
        let q = loop {
            // 1 − Rayleigh.
            let q = 1.0 - flat * (-2.0 * rng.uniform(1e-12, 1.0).ln()).sqrt();
            if (0.2..=1.0).contains(&q) {
                break q;
            }
        };
        Deflector {
            z,
            sigma,
            q,
            radius: kpc / (1000.0 * angular(z)) * ARCSECONDS,
            r: magnitude + modulus(z) + correction,
        }
    }

    /// Einstein radius for a source at a redshift, arcseconds: 4π (σ/c)² D_ls/D_s.
    pub fn einstein(&self, source: f64) -> f64 {
        let ratio = between(self.z, source) / angular(source).max(1e-9);
        4.0 * std::f64::consts::PI * (self.sigma / LIGHT).powi(2) * ratio * ARCSECONDS
    }
}

impl Background {
    /// By number counts and the redshifts of its magnitude.
    pub fn draw(rng: &mut Stream) -> Background {
        let (bright, faint) = SOURCES;
        // N(< i) ∝ 10^{0.31 i}.
        let share = rng.uniform(10f64.powf(0.31 * (bright - faint)), 1.0);
        let i = faint + share.log10() / 0.31;
        let z0 = (0.0417 * i - 0.744).max(0.1);
        // z² exp(−z/z₀): a Γ distribution of shape 3.
        let z = (0..3)
            .map(|_| rng.exponential(z0))
            .sum::<f64>()
            .clamp(0.05, 5.0);
        Background::of(z, i, rng)
    }

    /// Its size: 10^{−(M + 18)/4} ((1 + z)/1.6)^{−1.2} kpc, 0.35 dex of scatter.
    pub fn of(z: f64, i: f64, rng: &mut Stream) -> Background {
        // A flat f_ν.
        let absolute = i - modulus(z) + 2.5 * (1.0 + z).log10();
        let scatter = rng.normal(0.0, 0.35);
        let kpc = 10f64.powf(-(absolute + 18.0) / 4.0 + scatter) * ((1.0 + z) / 1.6).powf(-1.2);
        let q = loop {
            let q = 1.0 - 0.3 * (-2.0 * rng.uniform(1e-12, 1.0).ln()).sqrt();
            if (0.2..=1.0).contains(&q) {
                break q;
            }
        };
        Background {
            z,
            i,
            radius: (kpc / (1000.0 * angular(z)) * ARCSECONDS).clamp(0.03, 1.5),
            q,
        }
    }
}

/// A deflector and a galaxy behind it, with the Einstein radius, weighted by the area that it
/// lenses: pairs whose radius lies in `range` (arcseconds).
pub fn pair(range: (f64, f64), rng: &mut Stream) -> (Deflector, Background, f64) {
    loop {
        let d = Deflector::draw(rng);
        // The weight of σ⁴ is in the draw of the deflector; what is left is that of distances.
        for _ in 0..8 {
            let s = Background::draw(rng);
            let ratio = between(d.z, s.z) / angular(s.z).max(1e-9);
            let einstein = d.einstein(s.z);
            let wanted = (range.0..range.1).contains(&einstein);
            if wanted && rng.chance((ratio * ratio).min(1.0)) {
                return (d, s, einstein);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Collett's lenses of the LSST, beyond half an arcsecond: most have Einstein radii of 0.5″ to 2″, deflectors at z of 0.3
    /// to 0.9, sources behind.
    #[test]
    fn pairs_are_like_collets() {
        let mut rng = Stream::new(3, 1, 1);
        let pairs: Vec<_> = (0..400).map(|_| pair((0.5, 6.0), &mut rng)).collect();
        let median = |f: &dyn Fn(&(Deflector, Background, f64)) -> f64| {
            let mut v: Vec<f64> = pairs.iter().map(f).collect();
            v.sort_by(f64::total_cmp);
            v[v.len() / 2]
        };
        let (einstein, z, source) = (median(&|p| p.2), median(&|p| p.0.z), median(&|p| p.1.z));
        assert!((0.7..1.4).contains(&einstein), "{einstein}");
        assert!((0.4..0.9).contains(&z), "{z}");
        assert!((1.2..2.6).contains(&source), "{source}");
        assert!(
            (18.0..21.5).contains(&median(&|p| p.0.r)),
            "{}",
            median(&|p| p.0.r)
        );
        assert!(pairs.iter().all(|p| p.1.z > p.0.z && p.0.radius > 0.05));
    }

    /// σ = 250 km/s, z of 0.5 and 2: 1.145″ by the formula with astropy's distances.
    #[test]
    fn einstein_radii() {
        let mut rng = Stream::new(3, 1, 2);
        let d = Deflector::of(0.5, 250.0, &mut rng);
        // 4π (250/299792.458)² × 1097.0788/1726.6207 × 206264.8.
        assert!(
            (d.einstein(2.0) - 1.145_2).abs() < 1e-3,
            "{}",
            d.einstein(2.0)
        );
        assert_eq!(d.einstein(0.4), 0.0);
    }
}
