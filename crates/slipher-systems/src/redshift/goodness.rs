//! "I have not seen this": how well spectra like the simulated ones can describe a spectrum at its
//! best redshift, and whether its scatter is as large as its errors say; both against held-out
//! simulations of the same class and S/N whose redshift was right.
//!
//! The description is a least-squares fit of principal components of the training SEDs, with
//! Chebyshev polynomials for the flux calibration, to means over [`BLOCK`] positions (1520 km/s),
//! which the resolution of the instrument hardly changes.

use serde::{Deserialize, Serialize};
use slipher_data::spectrum::Spectrum;
use slipher_sim::sed::SpecType;
use slipher_sim::templates::Library;

use super::basis::components;
use super::encode::{Encoded, FINE, LAG};
use super::lag::{LAGS, SUPPORT, lag_of};
use super::least_squares::Normal;

/// Positions averaged.
const BLOCK: usize = 11;
/// Part of the flux that a good description may miss.
const FLOOR: f32 = 0.02;
/// Squared residuals count up to this: one wild block must not decide.
const CLIP: f64 = 9.0;
/// A p-value below this sets the flag UNFAMILIAR.
pub const POOR_FIT: f64 = 0.005;
/// Components of each class.
const BASIS: [usize; 3] = [16, 12, 10];
/// What the fit of a spectrum is expected to depend on.
const FEATURES: usize = 9;
/// Scatter and errors that differ by less than this factor are not worth a flag.
pub const ERROR_FACTOR: f64 = 1.6;

/// What is known of the simulated.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct GoodnessOfFit {
    /// `[class][component][rest position]`.
    pub basis: [Vec<Vec<f32>>; 3],
    /// What simulations are like against it.
    pub known: Known,
}

/// Distributions over held-out simulations of the named spectrographs.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Known {
    /// ln χ² of the fit, for each class.
    fit: [Expected; 3],
    /// ln of scatter over errors, likewise.
    noise: [Expected; 3],
    /// Ascending (score, share of simulations with a larger one).
    fit_tail: Vec<(f64, f64)>,
    /// More scatter than the errors say, and less (correlated noise).
    noise_tails: [Vec<(f64, f64)>; 2],
}

/// A number's mean, linear in the features of a spectrum, and its mean deviation, a parabola in ln
/// S/N.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Expected {
    mean: Vec<f64>,
    spread: Vec<f64>,
}

/// Of one spectrum at its best redshift.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Fit {
    /// ln of the mean squared residual in units of error and [`FLOOR`] together; NaN if there is
    /// too little to fit.
    pub ln_chi2: f64,
    /// ln of the median S/N of a block.
    pub ln_snr: f64,
    /// Redshift of the fit.
    pub z: f64,
    /// Good fine pixels, and the width of native pixels in fine pixels.
    pub good: f64,
    /// Width of native pixels in fine pixels.
    pub width: f64,
    /// Scatter from pixel to pixel over what the errors say.
    pub noise_ratio: f64,
}

/// Compared with the simulated; what is unknown is none.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct FitPValues {
    /// Share of held-out simulations that are described as badly or worse.
    pub fit: Option<f64>,
    /// Scatter over errors, and the share of simulations that differ as much, of those that differ
    /// in the same direction.
    pub noise_ratio: Option<f64>,
    /// Share of simulations that differ as much in the same direction.
    pub noise: Option<f64>,
}

impl FitPValues {
    /// Nothing that was simulated looks like it.
    pub fn is_poor(&self) -> bool {
        self.fit.is_some_and(|p| p < POOR_FIT)
    }
    /// Errors are far from the scatter.
    pub fn errors_unlikely(&self) -> bool {
        self.noise.is_some_and(|p| p < POOR_FIT)
            && self
                .noise_ratio
                .is_some_and(|r| r.ln().abs() > ERROR_FACTOR.ln())
    }
}

impl GoodnessOfFit {
    /// Components of a library's SEDs; what is [`Known`] must be filled in.
    pub fn new(library: &Library, seed: u64) -> Self {
        let basis = SpecType::ALL.map(|c| {
            components(library, c, BASIS[c as usize], seed)
                .into_iter()
                .map(|v| v.iter().map(|x| *x as f32).collect())
                .collect()
        });
        GoodnessOfFit {
            basis,
            known: Known::default(),
        }
    }

    /// Describes an encoded spectrum as a `class` at `z`.
    pub fn fit(&self, s: &Spectrum, e: &Encoded, class: SpecType, z: f64) -> Fit {
        let basis = &self.basis[class as usize];
        let noise_ratio = noise_ratio(s);
        let nothing = Fit {
            ln_chi2: f64::NAN,
            ln_snr: f64::NAN,
            z,
            good: e.good as f64,
            width: f64::from(e.native_width),
            noise_ratio,
        };
        if basis.is_empty() {
            return nothing;
        }
        let (rows, ln_snr) = design(basis, e, lag_of(z));
        let n = rows.first().map_or(0, |r| r.terms.len());
        if n == 0 || rows.len() < 3 * n {
            return Fit { ln_snr, ..nothing };
        }
        let Some((_, last)) = robust(&rows, n) else {
            return Fit { ln_snr, ..nothing };
        };
        let chi2 = last.iter().map(|r| (r * r).min(CLIP)).sum::<f64>() / (rows.len() - n) as f64;
        Fit {
            ln_chi2: chi2.max(1e-3).ln(),
            ln_snr,
            ..nothing
        }
    }

    /// What [`fit`](Self::fit) takes a spectrum for: a flux at each of its pixels, in its unit; none
    /// where there is too little to fit.
    pub fn describe(&self, s: &Spectrum, e: &Encoded, class: SpecType, z: f64) -> Option<Vec<f32>> {
        let basis = &self.basis[class as usize];
        let lag = lag_of(z);
        let (rows, _) = design(basis, e, lag);
        let n = rows.first().map_or(0, |r| r.terms.len());
        if n == 0 || rows.len() < 3 * n {
            return None;
        }
        let (c, _) = robust(&rows, n)?;
        let shift = LAGS as f64 - 1.0 - lag;
        let at = |wave: f64| {
            // Two fine pixels a position; the middle of a position lies half a fine pixel further.
            let place = ((wave.log10() - FINE.start) / FINE.step - 0.5) / 2.0;
            let rest = place + shift;
            if !(rest >= 0.0 && rest < (SUPPORT - 1) as f64) {
                return f64::NAN;
            }
            let (i, t) = (rest as usize, rest.fract() as f32);
            let value = |v: &Vec<f32>| f64::from((1.0 - t) * v[i] + t * v[i + 1]);
            let x = ((place - e.offset as f64) / e.data.len() as f64 * 2.0 - 1.0).clamp(-1.0, 1.0);
            let spectra: f64 = basis.iter().zip(&c).map(|(v, c)| value(v) * c).sum();
            let smooth = (1..).zip(&c[basis.len()..]);
            let curve: f64 = smooth
                .map(|(k, c)| c * (f64::from(k) * x.acos()).cos())
                .sum();
            spectra + value(&basis[0]) * curve
        };
        let model: Vec<f64> = s.wave.iter().map(|w| at(*w)).collect();
        // From the median size that encoding divides by, back to the unit of the file.
        let (mut up, mut down) = (0.0, 0.0);
        for ((m, f), w) in model.iter().zip(&s.flux).zip(&s.ivar) {
            if m.is_finite() && *w > 0.0 {
                up += m * f64::from(*f) * f64::from(*w);
                down += m * m * f64::from(*w);
            }
        }
        (down > 0.0).then(|| model.iter().map(|m| (m * up / down) as f32).collect())
    }

    /// How unusual a fit is.
    pub fn p_values(&self, class: SpecType, f: &Fit) -> FitPValues {
        let k = &self.known;
        let fit = k.fit[class as usize]
            .score(f, f.ln_chi2)
            .and_then(|s| survival(&k.fit_tail, s));
        let noise = k.noise[class as usize]
            .score(f, f.noise_ratio.ln())
            .and_then(|s| survival(&k.noise_tails[usize::from(s < 0.0)], s.abs()));
        FitPValues {
            fit,
            noise_ratio: Some(f.noise_ratio).filter(|r| r.is_finite()),
            noise,
        }
    }

    /// Learns the distributions from held-out simulations answered right.
    pub fn learn(&mut self, rows: &[(SpecType, Fit)]) {
        let expected = |class: SpecType, value: &dyn Fn(&Fit) -> f64| {
            Expected::of(
                &rows
                    .iter()
                    .filter(|r| r.0 == class)
                    .map(|r| (r.1, value(&r.1)))
                    .filter(|p| p.0.ln_snr.is_finite() && p.1.is_finite())
                    .collect::<Vec<_>>(),
            )
        };
        let k = &mut self.known;
        k.fit = SpecType::ALL.map(|c| expected(c, &|f| f.ln_chi2));
        k.noise = SpecType::ALL.map(|c| expected(c, &|f| f.noise_ratio.ln()));
        k.fit_tail = tail(
            rows.iter()
                .filter_map(|(c, f)| k.fit[*c as usize].score(f, f.ln_chi2))
                .collect(),
        );
        let noise: Vec<f64> = rows
            .iter()
            .filter_map(|(c, f)| k.noise[*c as usize].score(f, f.noise_ratio.ln()))
            .collect();
        k.noise_tails = [1.0, -1.0].map(|sign| {
            tail(
                noise
                    .iter()
                    .map(|s| s * sign)
                    .filter(|s| *s >= 0.0)
                    .collect(),
            )
        });
    }
}

/// One block: components and smooth terms, and the flux, all over the error.
struct Block {
    terms: Vec<f64>,
    flux: f64,
}

/// Blocks of a spectrum against a basis shifted by `lag`, and ln of their median S/N.
fn design(basis: &[Vec<f32>], e: &Encoded, lag: f64) -> (Vec<Block>, f64) {
    let block = BLOCK.max((1.5 * e.native_width) as usize);
    // Calibration errors of surveys are smooth over a tenth of the wavelength.
    let smooth = (10.0 * LAG * e.data.len() as f64).round().clamp(2.0, 20.0) as usize;
    // Rest position of observed position p: p + LAGS − 1 − lag.
    let shift = LAGS as f64 - 1.0 - lag;
    let (whole, t) = (shift.floor() as i64, shift.fract() as f32);
    let mut means: Vec<(f32, f32, Vec<f32>, f32)> = Vec::new();
    let mut spread = Vec::with_capacity(block + 1);
    for (b, chunk) in e.data.chunks(block).enumerate() {
        let rest = (e.offset + b * block) as i64 + whole;
        let weight: f32 = chunk.iter().map(|d| d.1).sum();
        if weight <= 0.0 || rest < 0 || rest as usize + chunk.len() >= SUPPORT {
            continue;
        }
        // Weights of the rest positions: each observed one lies between two.
        spread.clear();
        spread.resize(chunk.len() + 1, 0.0f32);
        for (i, d) in chunk.iter().enumerate() {
            spread[i] += (1.0 - t) * d.1 / weight;
            spread[i + 1] += t * d.1 / weight;
        }
        let own = rest as usize..rest as usize + spread.len();
        let model = basis
            .iter()
            .map(|v| v[own.clone()].iter().zip(&spread).map(|(v, u)| v * u).sum())
            .collect();
        let flux = chunk.iter().map(|d| d.0 * d.1).sum::<f32>() / weight;
        let x = (b as f32 * block as f32 + 0.5 * block as f32) / e.data.len() as f32 * 2.0 - 1.0;
        means.push((flux, weight, model, x));
    }
    let mut snr: Vec<f32> = means.iter().map(|m| m.0.abs() * m.1.sqrt()).collect();
    let ln_snr = f64::from(slipher_data::spectrum::median(&mut snr))
        .max(1e-3)
        .ln();
    let rows = means.into_iter().map(|(flux, weight, model, x)| {
        let sigma = (1.0 / weight + (FLOOR * flux.abs().max(0.3)).powi(2)).sqrt();
        let mean = model[0];
        let terms = model
            .into_iter()
            .chain((1..=smooth).map(|k| mean * (k as f32 * x.clamp(-1.0, 1.0).acos()).cos()))
            .map(|v| f64::from(v / sigma))
            .collect();
        Block {
            terms,
            flux: f64::from(flux / sigma),
        }
    });
    (rows.collect(), ln_snr)
}

/// Coefficients and residuals (in σ) of the fit, once more without what sticks out: a line or a
/// cosmic ray that no component knows must not bend the rest.
fn robust(rows: &[Block], n: usize) -> Option<(Vec<f64>, Vec<f64>)> {
    let first = solved(rows, n, &vec![true; rows.len()])?;
    let kept: Vec<bool> = first.1.iter().map(|r| r.abs() < 6.0).collect();
    let left = kept.iter().filter(|k| **k).count();
    if left < rows.len() && left > 2 * n {
        return Some(solved(rows, n, &kept).unwrap_or(first));
    }
    Some(first)
}

/// Coefficients of the least-squares fit to the rows kept, and residuals of all rows, in σ.
fn solved(rows: &[Block], n: usize, kept: &[bool]) -> Option<(Vec<f64>, Vec<f64>)> {
    let mut normal = Normal::new(n);
    rows.iter()
        .zip(kept)
        .filter(|r| *r.1)
        .for_each(|(r, _)| normal.add(&r.terms, r.flux));
    let ridge = 1e-6 * normal.trace() / n as f64 + 1e-12;
    normal.stiffen(|_| ridge);
    let c = normal.solve()?;
    let residuals = rows.iter().map(|r| r.flux - dot(&r.terms, &c)).collect();
    Some((c, residuals))
}

/// Scatter over errors: median |second difference| of neighbouring good pixels in units of its
/// error, over that of a Gaussian.
fn noise_ratio(s: &Spectrum) -> f64 {
    let good = |i: usize| s.ivar[i] > 0.0;
    let mut x: Vec<f32> = (1..s.wave.len().saturating_sub(1))
        .filter(|i| good(i - 1) && good(*i) && good(i + 1))
        .map(|i| {
            let variance = 1.0 / s.ivar[i - 1] + 4.0 / s.ivar[i] + 1.0 / s.ivar[i + 1];
            (s.flux[i - 1] - 2.0 * s.flux[i] + s.flux[i + 1]).abs() / variance.sqrt()
        })
        .collect();
    if x.len() < 30 {
        f64::NAN
    } else {
        (f64::from(slipher_data::spectrum::median(&mut x)) / 0.674_49).max(1e-6)
    }
}

impl Expected {
    /// Least squares; nothing is expected of fewer than 100.
    fn of(points: &[(Fit, f64)]) -> Expected {
        if points.len() < 100 {
            return Expected::default();
        }
        let all: Vec<([f64; FEATURES], f64)> =
            points.iter().map(|(f, v)| (features(f), *v)).collect();
        let mean = least_squares(&all, FEATURES);
        let off: Vec<([f64; FEATURES], f64)> = all
            .iter()
            .map(|(f, v)| (*f, (v - dot(&mean, f)).abs()))
            .collect();
        Expected {
            mean,
            spread: least_squares(&off, 3),
        }
    }

    /// (value − mean) / deviation.
    fn score(&self, f: &Fit, value: f64) -> Option<f64> {
        let x = features(f);
        let usable = !self.mean.is_empty() && value.is_finite() && x.iter().all(|x| x.is_finite());
        usable.then(|| (value - dot(&self.mean, &x)) / dot(&self.spread, &x).max(0.05))
    }
}

/// What the fit depends on; the first three are the powers of ln S/N.
fn features(f: &Fit) -> [f64; FEATURES] {
    let (s, w, z) = (
        f.ln_snr.clamp(-1.0, 7.0),
        f.width.max(0.1).ln(),
        f.z.max(-0.5).ln_1p(),
    );
    [
        1.0,
        s,
        s * s,
        s * s * s,
        w,
        w * w,
        (f.good.max(1.0) / 3000.0).ln(),
        z,
        z * z,
    ]
}

/// Σ a x, over the shorter.
fn dot(a: &[f64], x: &[f64]) -> f64 {
    a.iter().zip(x).map(|(a, x)| a * x).sum()
}

/// Weights of the first `n` features, with a little ridge.
fn least_squares(rows: &[([f64; FEATURES], f64)], n: usize) -> Vec<f64> {
    let mut normal = Normal::new(n);
    rows.iter().for_each(|(x, y)| normal.add(&x[..n], *y));
    normal.stiffen(|d| 1e-3 + 1e-6 * d);
    normal.solve().unwrap_or_default()
}

/// Scores that given shares of all exceed.
fn tail(mut scores: Vec<f64>) -> Vec<(f64, f64)> {
    scores.sort_by(|a, b| b.total_cmp(a));
    let n = scores.len();
    if n < 100 {
        return vec![];
    }
    let shares = [
        1.0, 0.8, 0.6, 0.5, 0.4, 0.3, 0.2, 0.1, 0.05, 0.02, 0.01, 0.005, 0.002, 0.001, 0.0005,
    ];
    shares
        .into_iter()
        .filter(|p| p * n as f64 >= 3.0)
        .map(|p| (scores[((p * n as f64) as usize).clamp(1, n) - 1], p))
        .collect()
}

/// Survival function: the share above a score, linear between entries; above the last one half its
/// share; none without a table.
fn survival(tail: &[(f64, f64)], score: f64) -> Option<f64> {
    let i = tail.partition_point(|t| t.0 < score);
    let last = tail.last()?;
    Some(match i {
        0 => 1.0,
        i if i == tail.len() => 0.5 * last.1,
        i => {
            let ((x0, p0), (x1, p1)) = (tail[i - 1], tail[i]);
            p0 + (p1 - p0) * (score - x0) / (x1 - x0).max(1e-12)
        }
    })
}

#[cfg(test)]
mod tests {
    use super::super::encode::encode;
    use super::super::simulate::{Fixed, SimulationRecipe, Simulator, Split};
    use super::*;
    use slipher_sim::peculiar::supernova;
    use slipher_sim::random::Stream;

    /// Simulated galaxies look familiar, whatever their S/N; with a supernova on them, with waves
    /// in the calibration or at another redshift they do not; errors three times too small are
    /// seen.
    #[test]
    fn the_strange_is_told_from_the_familiar() {
        let recipe = SimulationRecipe {
            instruments: vec![("sdss".into(), 1.0)],
            ..SimulationRecipe::default()
        };
        let simulator = Simulator::new(&recipe, 3).unwrap();
        let mut goodness = GoodnessOfFit::new(simulator.library(Split::Train), 1);
        let draw = |row, snr| {
            let e = simulator.draw_fixed(
                Split::Test,
                row,
                Fixed {
                    class: Some(SpecType::Galaxy),
                    snr: Some(snr),
                    z_max: Some(1.0),
                    ..Fixed::default()
                },
            );
            (e.spectrum, e.truth.unwrap().1)
        };
        let fit = |f: &GoodnessOfFit, s: &Spectrum, z: f64| {
            f.fit(s, &encode(s).unwrap(), SpecType::Galaxy, z)
        };
        let rows: Vec<_> = (0..400)
            .map(|r| (r, [1.0, 3.0, 10.0, 30.0][r as usize % 4]))
            .map(|(r, snr)| draw(r, snr))
            .collect();
        goodness.learn(
            &rows
                .iter()
                .map(|(s, z)| (SpecType::Galaxy, fit(&goodness, s, *z)))
                .collect::<Vec<_>>(),
        );
        let p_values =
            |s: &Spectrum, z: f64| goodness.p_values(SpecType::Galaxy, &fit(&goodness, s, z));
        let (mut plain, mut strange, mut errors) = (0, 0, 0);
        for row in 1000..1040u64 {
            let (mut s, z) = draw(row, 15.0);
            plain += u32::from(p_values(&s, z).fit.unwrap() < 0.02);
            let mut small = s.clone();
            small.ivar.iter_mut().for_each(|v| *v *= 9.0);
            let f = p_values(&small, z);
            errors += u32::from(f.noise_ratio.unwrap() > 2.0 && f.noise.unwrap() < 0.02);
            supernova(&mut s, z, &mut Stream::new(1, 2, row));
            strange += u32::from(p_values(&s, z).fit.unwrap() < 0.02);
        }
        assert!(
            plain <= 4 && strange >= 32 && errors >= 36,
            "{plain} {strange} {errors}"
        );
        // The description follows the pixels at the right redshift, and less well at another.
        let (mut right, mut wrong) = (0.0, 0.0);
        for row in 2000..2010u64 {
            let (s, z) = draw(row, 15.0);
            let chi2 = |z: f64| {
                let e = encode(&s).unwrap();
                let m = goodness.describe(&s, &e, SpecType::Galaxy, z).unwrap();
                assert_eq!(m.len(), s.flux.len());
                let pixels = m
                    .iter()
                    .zip(&s.flux)
                    .zip(&s.ivar)
                    .filter(|p| p.0.0.is_finite());
                let all: Vec<f32> = pixels
                    .map(|((m, f), w)| ((m - f).powi(2) * w).min(25.0))
                    .collect();
                f64::from(all.iter().sum::<f32>()) / all.len() as f64
            };
            right += chi2(z) / 10.0;
            wrong += chi2(z + 0.1) / 10.0;
        }
        assert!(right < 6.0 && wrong > 1.2 * right, "{right} {wrong}");
        // Without a basis nothing is known.
        let nothing = GoodnessOfFit::default();
        let f = nothing.p_values(SpecType::Galaxy, &fit(&nothing, &rows[0].0, 0.5));
        assert!(f.fit.is_none() && !f.is_poor() && !f.errors_unlikely());
    }

    #[test]
    fn shares_beyond_a_score() {
        let t = tail((0..10_000).map(f64::from).collect());
        assert!(
            (survival(&t, 9000.0).unwrap() - 0.1).abs() < 1e-3
                && (survival(&t, 2500.0).unwrap() - 0.75).abs() < 1e-3
        );
        assert_eq!((survival(&t, -1.0), survival(&[], 1.0)), (Some(1.0), None));
        assert!(survival(&t, 1e9).unwrap() < 0.0005);
        let fit = |i: i32| Fit {
            ln_snr: 0.1 * f64::from(i % 60),
            width: 1.0,
            good: 3000.0,
            ..Fit::default()
        };
        let e = Expected::of(
            &(0..2000)
                .map(|i| (fit(i), 0.3 * f64::from(i % 60) + f64::from(i % 7 - 3)))
                .collect::<Vec<_>>(),
        );
        assert!(
            e.score(&fit(30), 9.0).unwrap().abs() < 0.1 && e.score(&fit(30), 19.0).unwrap() > 3.0
        );
        assert_eq!(Expected::default().score(&fit(1), 1.0), None);
    }
}
