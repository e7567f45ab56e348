//! A rest-frame spectral energy distribution, and how it looks when redshifted.

use std::sync::Arc;

use crate::dust::Law;
use crate::igm::Sightline;

/// Speed of light, km/s.
pub const C_KMS: f64 = 299_792.458;

/// One step of the grid, km/s.
const PIXEL_KMS: f64 = C_KMS * STEP * std::f64::consts::LN_10;

/// Spectral class, as Redrock writes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum SpecType {
    /// A galaxy without a broad-lined nucleus.
    Galaxy,
    /// A quasar, or a galaxy with broad lines.
    Qso,
    /// A star of the Galaxy.
    Star,
}

impl SpecType {
    /// In the order of probabilities and catalogues.
    pub const ALL: [SpecType; 3] = [SpecType::Galaxy, SpecType::Qso, SpecType::Star];
    /// As catalogues write it.
    pub fn name(self) -> &'static str {
        ["GALAXY", "QSO", "STAR"][self as usize]
    }
    /// Reads the names that surveys use: `GALAXY(ELG)`, `QSO`, `quasar`, `STAR`, …
    pub fn parse(text: &str) -> Option<Self> {
        let t = text.trim().to_ascii_uppercase();
        match () {
            () if t.starts_with("GAL") => Some(SpecType::Galaxy),
            () if t.starts_with("QSO") || t.starts_with("QUASAR") => Some(SpecType::Qso),
            () if t.starts_with("STAR") => Some(SpecType::Star),
            () => None,
        }
    }
}

/// A continuum on a grid uniform in log₁₀ λ: flux density per Å, pixel i at 10^(start + i·STEP) Å.
#[derive(Clone, Debug, PartialEq)]
pub struct Template {
    /// Of its place in the library.
    pub name: String,
    /// log₁₀ of the first wavelength in Å.
    pub start: f64,
    /// f_λ in any unit.
    pub flux: Vec<f32>,
}

/// Step of templates and of the grid on which SEDs are evaluated, log₁₀ λ.
pub const STEP: f64 = 1e-4;

impl Template {
    /// Resamples (λ Å ascending, f_λ) onto the log grid and scales it to a mean of 1 over its
    /// best-covered octave.
    pub fn from_points(name: &str, wave: &[f64], flux: &[f64]) -> Option<Self> {
        let n = wave.len().min(flux.len());
        if n < 3 {
            return None;
        }
        let (lo, hi) = (wave[0].max(400.0), wave[n - 1].min(60_000.0));
        if hi < lo * 1.2 {
            return None;
        }
        let start = (lo.log10() / STEP).ceil() * STEP;
        let len = ((hi.log10() - start) / STEP) as usize;
        let mut j = 0;
        let values: Vec<f32> = (0..len)
            .map(|i| {
                let w = 10f64.powf(start + STEP * i as f64);
                while j + 2 < n && wave[j + 1] < w {
                    j += 1;
                }
                let t = (w - wave[j]) / (wave[j + 1] - wave[j]).max(1e-12);
                ((1.0 - t) * flux[j] + t * flux[j + 1]) as f32
            })
            .collect();
        let mut t = Template {
            name: name.to_owned(),
            start,
            flux: values,
        };
        let (a, b) = if lo < 5000.0 && hi > 6000.0 {
            (5000.0, 6000.0)
        } else {
            (lo, hi)
        };
        let mean = t.mean(a, b);
        if !(mean.is_finite() && mean > 0.0) {
            return None;
        }
        t.flux
            .iter_mut()
            .for_each(|f| *f = (f64::from(*f) / mean) as f32);
        t.flux.iter().all(|f| f.is_finite()).then_some(t)
    }

    /// Mean flux density between two wavelengths, 0 if not covered.
    pub fn mean(&self, lo: f64, hi: f64) -> f64 {
        let index =
            |w: f64| (((w.log10() - self.start) / STEP).max(0.0) as usize).min(self.flux.len());
        let range = index(lo)..index(hi);
        let n = range.len();
        if n == 0 {
            return 0.0;
        }
        self.flux[range].iter().map(|f| f64::from(*f)).sum::<f64>() / n as f64
    }

    /// Shortest and longest wavelength, Å.
    pub fn range(&self) -> (f64, f64) {
        (
            10f64.powf(self.start),
            10f64.powf(self.start + STEP * self.flux.len() as f64),
        )
    }

    /// Adds weight × this template, seen at log₁₀ λ_rest = `rest0 + i·STEP`, to `out`; outside its
    /// range its end value.
    fn add(&self, weight: f32, rest0: f64, out: &mut [f32]) {
        let shift = (rest0 - self.start) / STEP;
        let whole = shift.floor();
        let t = (shift - whole) as f32;
        let (whole, last, len) = (whole as i64, self.flux.len() as i64 - 1, out.len() as i64);
        // Between `start` and `end` both neighbours exist: a plain loop over slices.
        let start = (-whole).clamp(0, len);
        let end = (last - whole).clamp(start, len);
        let (before, rest) = out.split_at_mut(start as usize);
        let (inside, after) = rest.split_at_mut((end - start) as usize);
        before.iter_mut().for_each(|o| *o += weight * self.flux[0]);
        after
            .iter_mut()
            .for_each(|o| *o += weight * self.flux[last as usize]);
        if !inside.is_empty() {
            let a = &self.flux[(whole + start) as usize..];
            for (o, ab) in inside.iter_mut().zip(a.windows(2)) {
                *o += weight * ((1.0 - t) * ab[0] + t * ab[1]);
            }
        }
    }
}

/// A Gaussian line in emission (`flux` > 0, integrated, in continuum units × Å) or a multiplicative
/// absorption trough.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Gaussian {
    /// Rest vacuum Å.
    pub wave: f64,
    /// Emission: equivalent width at the reference continuum, Å. Absorption: central depth 0–1.
    pub strength: f64,
    /// Intrinsic width, km/s.
    pub sigma: f64,
}

/// A rest-frame SED: mixture of continua × dust, lines, and what lies in front.
#[derive(Clone, Debug)]
pub struct Sed {
    /// Class of the object.
    pub class: SpecType,
    /// Kind of galaxy or star; empty if there is none.
    pub subtype: &'static str,
    /// Continua and their weights.
    pub continua: Vec<(Arc<Template>, f32)>,
    /// Power laws: (amplitude at 3000 Å, spectral slope α in f_λ ∝ λ^α, break wavelength, slope
    /// beyond).
    pub power: Option<(f64, f64, f64, f64)>,
    /// Attenuation law, and its E(B − V).
    pub dust: (Law, f64),
    /// Velocity dispersion of the continuum, km/s.
    pub dispersion: f64,
    /// Lines; strengths are absolute (same units as the continuum, × Å).
    pub emission: Vec<Gaussian>,
    /// Absorption lines as factors.
    pub absorption: Vec<Gaussian>,
    /// Intergalactic absorption, beyond redshift 1.
    pub sightline: Option<Sightline>,
}

/// Resolution of an instrument against wavelength, given to [`Sed::observe`].
pub trait Resolution {
    /// σ of the line-spread function at an observed wavelength, km/s.
    fn sigma_kms(&self, wave: f64) -> f64;
}

impl Sed {
    /// Nothing that shines or absorbs.
    pub fn empty(class: SpecType, subtype: &'static str) -> Sed {
        Sed {
            class,
            subtype,
            continua: vec![],
            power: None,
            dust: (Law::Calzetti, 0.0),
            dispersion: 0.0,
            emission: vec![],
            absorption: vec![],
            sightline: None,
        }
    }

    /// Flux density on the observed log grid `10^(start + i·STEP)`, with the line-spread function
    /// applied. λ_obs = (1 + z) λ_rest; overall scale is arbitrary.
    pub fn observe(&self, z: f64, start: f64, len: usize, lsf: &dyn Resolution) -> Vec<f32> {
        let rest0 = start - (1.0 + z).log10();
        let mut out = vec![0.0f32; len];
        for (t, w) in &self.continua {
            t.add(*w, rest0, &mut out);
        }
        self.add_power_and_dust(rest0, &mut out);
        let lsf = |i: usize| lsf.sigma_kms(10f64.powf(start + STEP * i as f64)) / PIXEL_KMS;
        let dispersion = self.dispersion / PIXEL_KMS;
        if !self.has_foreground(rest0, len) {
            // Gaussians widen Gaussians: one smoothing, and lines as wide as they will be seen.
            if dispersion > 0.0 {
                smooth(&mut out, |i| dispersion.hypot(lsf(i)));
            } else {
                smooth(&mut out, lsf);
            }
            self.add_lines(z, start, lsf, &mut out);
            return out;
        }
        if dispersion > 0.0 {
            smooth(&mut out, |_| dispersion);
        }
        self.add_lines(z, start, |_| 0.0, &mut out);
        // What lies in front absorbs lines as well as continuum.
        self.absorb(rest0, &mut out);
        if let Some(s) = &self.sightline {
            s.apply(&mut out, start, STEP, z);
        }
        smooth(&mut out, lsf);
        out
    }

    /// True if something absorbs within the window.
    fn has_foreground(&self, rest0: f64, len: usize) -> bool {
        let end = rest0 + STEP * len as f64;
        let near = |l: &Gaussian| {
            let reach = 4.0 * (l.sigma / C_KMS / std::f64::consts::LN_10).max(STEP);
            (rest0 - reach..end + reach).contains(&l.wave.log10())
        };
        self.sightline.is_some() && rest0 < 1216f64.log10() || self.absorption.iter().any(near)
    }

    fn add_power_and_dust(&self, rest0: f64, out: &mut [f32]) {
        // Smooth functions, evaluated every 32 pixels and interpolated in the logarithm.
        const EVERY: usize = 32;
        let at = |i: usize| {
            let wave = 10f64.powf(rest0 + STEP * i as f64);
            let power = self.power.map_or(0.0, |(a, slope, knee, beyond)| {
                let low = a * (wave.min(knee) / 3000.0).powf(slope);
                if wave > knee {
                    low * (wave / knee).powf(beyond)
                } else {
                    low
                }
            });
            (power, self.dust.0.transmission(wave, self.dust.1))
        };
        let mut left = at(0);
        for (block, chunk) in out.chunks_mut(EVERY).enumerate() {
            let right = at((block + 1) * EVERY);
            for (i, o) in chunk.iter_mut().enumerate() {
                let t = i as f64 / EVERY as f64;
                let power = left.0 + t * (right.0 - left.0);
                let dust = left.1 + t * (right.1 - left.1);
                *o = ((f64::from(*o) + power) * dust) as f32;
            }
            left = right;
        }
    }

    fn absorb(&self, rest0: f64, out: &mut [f32]) {
        for l in &self.absorption {
            let centre = (l.wave.log10() - rest0) / STEP;
            let sigma = (l.sigma / PIXEL_KMS).max(0.5);
            for_each_near(out, centre, 4.0 * sigma, |o, x| {
                *o *= (1.0 - l.strength * (-0.5 * (x / sigma).powi(2)).exp()).max(0.0) as f32;
            });
        }
    }

    /// Lines as wide as themselves and `wider` (pixels, at a pixel) together.
    fn add_lines(&self, z: f64, start: f64, wider: impl Fn(usize) -> f64, out: &mut [f32]) {
        for l in &self.emission {
            let obs = l.wave * (1.0 + z);
            let centre = (obs.log10() - start) / STEP;
            let near = centre.clamp(0.0, out.len().saturating_sub(1) as f64) as usize;
            let sigma = (l.sigma / PIXEL_KMS).max(0.5).hypot(wider(near));
            if centre < -5.0 * sigma || centre > out.len() as f64 + 5.0 * sigma {
                continue;
            }
            // A line of integral W (rest Å) has peak W / (√2π σ_λ) in f_λ.
            let flux = l.strength * self.dust.0.transmission(l.wave, self.dust.1);
            let peak = flux / (2.506_628 * sigma * STEP * std::f64::consts::LN_10 * l.wave);
            for_each_near(out, centre, 5.0 * sigma, |o, x| {
                *o += (peak * (-0.5 * (x / sigma).powi(2)).exp()) as f32;
            });
        }
    }
}

fn for_each_near(out: &mut [f32], centre: f64, reach: f64, mut f: impl FnMut(&mut f32, f64)) {
    let lo = (centre - reach).ceil().max(0.0) as usize;
    let hi = ((centre + reach).floor() + 1.0).clamp(0.0, out.len() as f64) as usize;
    for i in lo..hi.max(lo) {
        f(&mut out[i], i as f64 - centre);
    }
}

/// Half-width (pixels) of the box whose three passes over pixels have standard deviation `sigma`
/// (pixels).
///
/// A box of half-width h in k + ½ … k + 3/2 covers 2k + 1 pixels and a part h − k − ½ of one more
/// at either side, so that 2hv = k(k+1)(2k+1)/3 + 2(k+1)²(h − k − ½) for the variance v of one
/// pass.
fn half_width(sigma: f64) -> f64 {
    let v = sigma * sigma / 3.0;
    let k = (((1.0 + 12.0 * v).sqrt() - 1.0) / 2.0).floor();
    let next = (k + 1.0) * (k + 1.0);
    (next * (2.0 * k + 1.0) - k * (k + 1.0) * (2.0 * k + 1.0) / 3.0) / (2.0 * (next - v))
}

/// Gaussian smoothing of slowly varying width (pixels): three passes of a box of the same variance,
/// by prefix sums. Widths below 0.41 pixels change nothing.
pub fn smooth(flux: &mut [f32], sigma: impl Fn(usize) -> f64) {
    let n = flux.len();
    let half: Vec<f64> = {
        let probe: Vec<f64> = (0..=n / 64 + 1)
            .map(|i| half_width(sigma((i * 64).min(n.saturating_sub(1)))))
            .collect();
        (0..n)
            .map(|i| {
                let t = (i % 64) as f64 / 64.0;
                (1.0 - t) * probe[i / 64] + t * probe[i / 64 + 1]
            })
            .collect()
    };
    if half.iter().all(|h| *h < 0.53) {
        return;
    }
    // The integral of the piecewise-constant flux, with its slope, and ends that stay: no test in
    // the inner loop.
    let reach = half.iter().fold(0.5f64, |m, h| m.max(*h)).ceil() as usize + 1;
    let mut sum = vec![(0.0f64, 0.0f64); n + 2 * reach + 1];
    for _ in 0..3 {
        let mut total = 0.0;
        for (s, f) in sum[reach..reach + n].iter_mut().zip(flux.iter()) {
            *s = (total, f64::from(*f));
            total += f64::from(*f);
        }
        sum[reach + n..].fill((total, 0.0));
        let integral = |x: f64| {
            let i = x as usize;
            sum[i].0 + (x - i as f64) * sum[i].1
        };
        let (first, end) = (reach as f64, (reach + n) as f64);
        for i in 0..n {
            let (h, at) = (half[i].max(0.5), first + i as f64 + 0.5);
            let (lo, hi) = (at - h, at + h);
            flux[i] = ((integral(hi) - integral(lo)) / (hi.min(end) - lo.max(first))) as f32;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    struct Fixed(f64);
    impl Resolution for Fixed {
        fn sigma_kms(&self, _: f64) -> f64 {
            self.0
        }
    }

    fn bare() -> Sed {
        Sed::empty(SpecType::Galaxy, "test")
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]
        /// A line's flux survives redshift and resolution: ∫ f dλ_rest = W.
        #[test]
        fn line_flux_is_conserved(z in 0.0f64..2.0, sigma in 30.0f64..2000.0, lsf in 10.0f64..900.0, w in 0.1f64..500.0) {
            let mut sed = bare();
            sed.emission.push(Gaussian { wave: 6564.61, strength: w, sigma });
            let start = (5000.0 * (1.0 + z)).log10();
            let f = sed.observe(z, start, 2500, &Fixed(lsf));
            let total: f64 = f.iter().enumerate().map(|(i, v)| {
                let wave = 10f64.powf(start + STEP * i as f64) / (1.0 + z);
                f64::from(*v) * wave * STEP * std::f64::consts::LN_10
            }).sum();
            prop_assert!((total / w - 1.0).abs() < 0.01, "{total} {w}");
        }

        /// Smoothing conserves flux away from the ends and widens by the asked variance.
        #[test]
        fn smoothing_widens_by_sigma(sigma in 0.45f64..30.0) {
            let mut f = vec![0.0f32; 801];
            f[400] = 1.0;
            smooth(&mut f, |_| sigma);
            let sum: f64 = f.iter().map(|v| f64::from(*v)).sum();
            let var: f64 = f.iter().enumerate().map(|(i, v)| (i as f64 - 400.0).powi(2) * f64::from(*v)).sum::<f64>() / sum;
            prop_assert!((sum - 1.0).abs() < 1e-3);
            prop_assert!((var.sqrt() / sigma - 1.0).abs() < 1e-3, "{} {sigma}", var.sqrt());
        }
    }

    /// Golden values of scipy.ndimage.gaussian_filter1d, written by scripts/golden.py.
    #[test]
    fn smoothing_agrees_with_scipy() {
        let mut step: Vec<f32> = (0..120).map(|i| f32::from(u8::from(i >= 60))).collect();
        smooth(&mut step, |_| 6.0);
        for (i, want) in [(50, 0.0564), (57, 0.3383), (60, 0.5332), (66, 0.861)] {
            assert!((step[i] - want).abs() < 0.012, "{i}: {}", step[i]);
        }
    }

    /// Redshifting by one grid step moves the spectrum by one pixel.
    #[test]
    fn a_redshift_is_a_shift() {
        let wave: Vec<f64> = (0..4000).map(|i| 3000.0 + f64::from(i)).collect();
        let flux: Vec<f64> = wave.iter().map(|w| 2.0 + (w / 37.0).sin()).collect();
        let t = Template::from_points("wave", &wave, &flux).unwrap();
        let mut sed = bare();
        sed.continua.push((Arc::new(t), 1.0));
        let z1 = 10f64.powf(5.0 * STEP) - 1.0;
        let a = sed.observe(0.0, 3.6, 500, &Fixed(1.0));
        let b = sed.observe(z1, 3.6, 505, &Fixed(1.0));
        for i in 0..500 {
            assert!((a[i] - b[i + 5]).abs() < 1e-3);
        }
    }
}
