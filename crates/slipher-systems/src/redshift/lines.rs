//! Emission and absorption lines at a redshift: flux, equivalent width, S/N, and which solution
//! takes a feature for which line.
//!
//! Lines closer than a few thousand km/s are fitted together: a straight continuum and a Gaussian
//! for each, by weighted linear least squares; errors from the covariance. One width and one offset
//! of at most 120 km/s for all lines of a galaxy or star, where χ² is least; for a quasar one width
//! for the permitted lines of each group, forbidden lines narrow. The error of the width is in that
//! of the fluxes. Balmer lines are not corrected for the absorption of the stars.

use slipher_data::spectrum::Spectrum;
use slipher_sim::lines::{LINES, Line, Look};
use slipher_sim::sed::{C_KMS, SpecType};

use super::decode::Solution;
use super::least_squares::{invert, times};

/// One line, measured.
#[derive(Clone, Debug, PartialEq)]
pub struct LineFit {
    /// As [`label`].
    pub label: String,
    /// Vacuum Å, at rest and observed.
    pub rest: f64,
    /// Vacuum Å, observed.
    pub observed: f64,
    /// In the spectrum's flux unit × Å; emission is positive.
    pub flux: f64,
    /// Its error.
    pub flux_err: f64,
    /// Rest-frame Å, emission positive; NaN where there is no continuum (below 1 σ).
    pub ew: f64,
    /// Its error.
    pub ew_err: f64,
    /// Gaussian σ as observed (the instrument's resolution is in it), km/s: fitted where lines are
    /// strong enough, else the width that was taken.
    pub sigma_kms: f64,
    /// Its error, where it was fitted.
    pub sigma_err_kms: Option<f64>,
}

impl LineFit {
    /// Flux over its error; negative in absorption.
    pub fn snr(&self) -> f64 {
        self.flux / self.flux_err
    }
    /// S/N beyond 5, and in emission where the line is one of emission.
    pub fn secure(&self) -> bool {
        self.snr() > 5.0 || (self.snr() < -5.0 && !self.label.starts_with('['))
    }
}

/// Name in ASCII, with the wavelength where an ion has more than one line: `Halpha`, `[O III]
/// 5008`.
pub fn label(line: &Line) -> String {
    let mut name = line.name.to_owned();
    for (greek, latin) in [
        ("α", "alpha"),
        ("β", "beta"),
        ("γ", "gamma"),
        ("δ", "delta"),
    ] {
        name = name.replace(greek, latin);
    }
    if LINES.iter().filter(|l| l.name == line.name).count() > 1 {
        format!("{name} {:.0}", line.wave)
    } else {
        name
    }
}

/// Widths tried, km/s.
const NARROW: [f64; 5] = [80.0, 140.0, 250.0, 450.0, 800.0];
const BROAD: [f64; 4] = [500.0, 1000.0, 1800.0, 3000.0];
/// Forbidden lines of quasars.
const FORBIDDEN: f64 = 250.0;
/// The window of a group reaches so far beyond its lines, km/s, whatever the width tried: fits are
/// compared on the same pixels.
const BESIDE: f64 = 4500.0;
const BESIDE_BROAD: f64 = 10_000.0;

/// Measures all lines of the class that the spectrum covers.
pub fn measure_lines(s: &Spectrum, class: SpecType, z: f64) -> Vec<LineFit> {
    let shown = |l: &&Line| match class {
        SpecType::Galaxy => true,
        SpecType::Qso => l.look != Look::Absorption,
        SpecType::Star => l.look != Look::Emission,
    };
    let (Some(first), Some(last)) = (s.wave.first(), s.wave.last()) else {
        return vec![];
    };
    let covered: Vec<&Line> = LINES
        .iter()
        .filter(shown)
        .filter(|l| (*first..*last).contains(&(l.wave * (1.0 + z))))
        .collect();
    let apart = if class == SpecType::Qso {
        6000.0
    } else {
        2500.0
    };
    let groups: Vec<&[&Line]> = covered
        .chunk_by(|a, b| (b.wave / a.wave).ln() * C_KMS < apart)
        .collect();
    // Fits of a group at a width, its lines moved by `dv` km/s.
    let fits = |g: &[&Line], width: f64, dv: f64| {
        let z = (1.0 + z) * (1.0 + dv / C_KMS) - 1.0;
        match class {
            SpecType::Qso => fit(s, g, z, BESIDE_BROAD, &|l| {
                if l.name.starts_with('[') {
                    FORBIDDEN
                } else {
                    width
                }
            }),
            _ => fit(s, g, z, BESIDE, &|_| width),
        }
    };
    // Widths are fitted where there is something to see; the others take the middle one, or that of
    // their galaxy.
    let widths: &[f64] = if class == SpecType::Qso {
        &BROAD
    } else {
        &NARROW
    };
    let first: Vec<(&[&Line], Fit)> = groups
        .into_iter()
        .filter_map(|g| Some((g, fits(g, widths[2], 0.0)?)))
        .collect();
    let strong = |f: &Fit| f.gain > 25.0;
    if class == SpecType::Qso {
        // Each group has a width of its own.
        let own = |(g, f): (&[&Line], Fit)| {
            if strong(&f) {
                let gain = |w: f64, dv: f64| fits(g, w, dv).map_or(0.0, |f| f.gain);
                let width = Width::of(widths, false, &gain);
                width.lines(&|w, dv| fits(g, w, dv))
            } else {
                f.lines
            }
        };
        return first.into_iter().flat_map(own).collect();
    }
    let seen: Vec<&[&Line]> = first.iter().filter(|f| strong(&f.1)).map(|f| f.0).collect();
    if seen.is_empty() {
        return first.into_iter().flat_map(|f| f.1.lines).collect();
    }
    let gain = |w: f64, dv: f64| {
        seen.iter()
            .filter_map(|g| fits(g, w, dv))
            .map(|f| f.gain)
            .sum::<f64>()
    };
    let width = Width::of(widths, true, &gain);
    first
        .into_iter()
        .flat_map(|(g, _)| width.lines(&|w, dv| fits(g, w, dv)))
        .collect()
}

/// A width (km/s) that χ² chose, with the error of its logarithm, and how far the lines lie beside
/// the redshift (km/s).
struct Width {
    value: f64,
    ln_err: f64,
    dv: f64,
}

/// Step in ln width with which the maximum is found, and fluxes are differentiated.
const STEP: f64 = 0.18;

impl Width {
    /// Where `gain` (width, dv), the χ² that the lines explain, is largest: the best of `grid`,
    /// then parabolas in ln width and, if `moves`, in velocity.
    fn of(grid: &[f64], moves: bool, gain: &dyn Fn(f64, f64) -> f64) -> Width {
        let gains: Vec<f64> = grid.iter().map(|w| gain(*w, 0.0)).collect();
        let k = (0..grid.len())
            .max_by(|a, b| gains[*a].total_cmp(&gains[*b]))
            .unwrap_or(0);
        let mut ln = grid[k].ln();
        if k > 0 && k + 1 < grid.len() {
            let x = [grid[k - 1].ln(), ln, grid[k + 1].ln()];
            let top = vertex(x, [gains[k - 1], gains[k], gains[k + 1]]);
            ln = top.map_or(ln, |t| t.0.clamp(x[0], x[2]));
        }
        let mut dv = 0.0;
        if moves {
            let at = |dv: f64| gain(ln.exp(), dv);
            let top = vertex([-50.0, 0.0, 50.0], [at(-50.0), at(0.0), at(50.0)]);
            dv = top.map_or(0.0, |t| t.0.clamp(-120.0, 120.0));
        }
        let (mut ln_err, mut step) = (f64::NAN, STEP);
        for _ in 0..3 {
            let at = |x: f64| gain((ln + x).exp(), dv);
            let Some((top, bend)) = vertex([-step, 0.0, step], [at(-step), at(0.0), at(step)])
            else {
                break;
            };
            ln += top.clamp(-0.3, 0.3);
            // The gain is a difference of χ², twice that of ln likelihood.
            ln_err = (2.0 / -bend).sqrt();
            // Over more than a few errors χ² is no parabola.
            step = (1.5 * ln_err).clamp(0.02, STEP);
        }
        Width {
            value: ln.exp(),
            ln_err,
            dv,
        }
    }

    /// Lines at this width; what is uncertain in it is in the errors of their fluxes.
    fn lines(&self, fits: &dyn Fn(f64, f64) -> Option<Fit>) -> Vec<LineFit> {
        let Some(mut best) = fits(self.value, self.dv) else {
            return vec![];
        };
        if !self.ln_err.is_finite() {
            return best.lines;
        }
        let wider = fits(self.value * STEP.exp(), self.dv);
        let narrower = fits(self.value * (-STEP).exp(), self.dv);
        let flux = |f: &Option<Fit>, rest: f64| {
            let f = f.as_ref()?;
            f.lines.iter().find(|l| l.rest == rest).map(|l| l.flux)
        };
        for l in &mut best.lines {
            let slope = flux(&wider, l.rest)
                .zip(flux(&narrower, l.rest))
                .map_or(0.0, |(a, b)| (a - b) / (2.0 * STEP));
            let extra = slope * self.ln_err;
            l.ew_err = l.ew_err.hypot(l.ew * extra / l.flux);
            l.flux_err = l.flux_err.hypot(extra);
            // Lines of a width of their own (forbidden ones of quasars) have none to err in.
            if slope != 0.0 {
                l.sigma_err_kms = Some(l.sigma_kms * self.ln_err);
            }
        }
        best.lines
    }
}

/// Where the parabola through three points is highest, and its second derivative; none if it opens
/// upwards.
fn vertex(x: [f64; 3], y: [f64; 3]) -> Option<(f64, f64)> {
    let (d1, d2) = ((y[1] - y[0]) / (x[1] - x[0]), (y[2] - y[1]) / (x[2] - x[1]));
    let bend = 2.0 * (d2 - d1) / (x[2] - x[0]);
    // Slope at the middle of the first interval is d1.
    (bend < 0.0).then(|| (0.5 * (x[0] + x[1]) - d1 / bend, bend))
}

/// A group's fit, and how much χ² its lines explain.
struct Fit {
    lines: Vec<LineFit>,
    gain: f64,
}

/// Continuum and Gaussians of a group in a window `beside` km/s wider; `sigma` in km/s.
fn fit(
    s: &Spectrum,
    group: &[&Line],
    z: f64,
    beside: f64,
    sigma: &dyn Fn(&Line) -> f64,
) -> Option<Fit> {
    let at = |l: &Line| l.wave * (1.0 + z);
    let reach = 1.0 + beside / C_KMS;
    let (lo, hi) = (at(group.first()?) / reach, at(group.last()?) * reach);
    let range = s.wave.partition_point(|w| *w < lo)..s.wave.partition_point(|w| *w < hi);
    if range.len() < 8 {
        return None;
    }
    let (wave, flux, ivar) = (
        &s.wave[range.clone()],
        &s.flux[range.clone()],
        &s.ivar[range],
    );
    // A line no narrower than the pixels, which widen it, and only where good pixels lie under it.
    let width = |l: &Line| {
        let i = wave
            .partition_point(|w| *w < at(l))
            .clamp(1, wave.len() - 1);
        let pixel = wave[i] - wave[i - 1];
        (at(l) * sigma(l) / C_KMS)
            .hypot(pixel / 12f64.sqrt())
            .max(0.7 * pixel)
    };
    let seen = |l: &&&Line| {
        let reach = 1.5 * width(l);
        let from = wave.partition_point(|w| *w < at(l) - reach);
        let under = from..wave.partition_point(|w| *w < at(l) + reach);
        ivar[under.clone()].iter().filter(|v| **v > 0.0).count() >= 2.max(under.len() / 2)
    };
    let lines: Vec<&Line> = group.iter().filter(seen).copied().collect();
    if lines.is_empty() {
        return None;
    }
    let n = 2 + lines.len();
    let shapes: Vec<(f64, f64)> = lines.iter().map(|l| (at(l), width(l))).collect();
    let (middle, half) = (0.5 * (lo + hi), 0.5 * (hi - lo));
    let (mut a, mut b) = (vec![0.0; n * n], vec![0.0; n]);
    let mut row = vec![0.0; n];
    let mut good = 0;
    for ((w, f), v) in wave.iter().zip(flux).zip(ivar).filter(|p| *p.1 > 0.0) {
        let v = f64::from(*v);
        (row[0], row[1]) = (1.0, (w - middle) / half);
        for (r, (centre, sigma)) in row[2..].iter_mut().zip(&shapes) {
            let x = (w - centre) / sigma;
            *r = if x.abs() < 6.0 {
                (-0.5 * x * x).exp()
            } else {
                0.0
            };
        }
        for i in 0..n {
            b[i] += v * row[i] * f64::from(*f);
            for j in 0..=i {
                a[i * n + j] += v * row[i] * row[j];
            }
        }
        good += 1;
    }
    if good < n + 4 {
        return None;
    }
    let inverse = invert(&a, n)?;
    let x = times(&inverse, &b);
    // χ² without the lines less χ² with them.
    let explained = |p: &[f64], k: usize| (0..k).map(|i| p[i] * b[i]).sum::<f64>();
    let plain = [a[0], a[n], a[n], a[n + 1]];
    let straight = invert(&plain, 2)?;
    let c = times(&straight, &b[..2]);
    let gain = explained(&x, n) - explained(&c, 2);
    let solved = Solved {
        x,
        inverse,
        middle,
        half,
    };
    let measured = lines.iter().zip(&shapes).enumerate();
    let measured = measured.map(|(i, (l, shape))| solved.line(2 + i, l, *shape, z));
    Some(Fit {
        lines: measured
            .filter(|l| l.flux_err > 0.0 && l.flux.is_finite())
            .collect(),
        gain,
    })
}

/// Parameters of a group (continuum and slope, then heights of lines) and their covariance.
struct Solved {
    x: Vec<f64>,
    inverse: Vec<f64>,
    /// Middle and half width of the window in Å.
    middle: f64,
    half: f64,
}

impl Solved {
    /// The line of parameter `k`, at `centre` and `sigma` wide in Å.
    fn line(&self, k: usize, l: &Line, (centre, sigma): (f64, f64), z: f64) -> LineFit {
        let (x, inverse, n) = (&self.x, &self.inverse, self.x.len());
        let area = (2.0 * std::f64::consts::PI).sqrt();
        let flux = x[k] * sigma * area;
        let flux_err = inverse[k * n + k].max(0.0).sqrt() * sigma * area;
        let t = (centre - self.middle) / self.half;
        let continuum = x[0] + x[1] * t;
        let continuum_err = (inverse[0] + 2.0 * t * inverse[n] + t * t * inverse[n + 1])
            .max(0.0)
            .sqrt();
        let per = if continuum > continuum_err {
            1.0 / (continuum * (1.0 + z))
        } else {
            f64::NAN
        };
        let ew = flux * per;
        LineFit {
            label: label(l),
            rest: l.wave,
            observed: centre,
            flux,
            flux_err,
            ew,
            ew_err: (flux_err * per).hypot(ew * continuum_err / continuum),
            sigma_kms: sigma / centre * C_KMS,
            sigma_err_kms: None,
        }
    }
}

/// The strongest line of a list, by |S/N|.
pub fn strongest(lines: &[LineFit]) -> Option<&LineFit> {
    lines
        .iter()
        .filter(|l| l.snr().abs() > 3.0)
        .max_by(|a, b| a.snr().abs().total_cmp(&b.snr().abs()))
}

/// The strongest line of the first solution, and what the second takes it for; none if it explains
/// other features.
pub fn same_feature(
    first: &Solution,
    second: &Solution,
    lines: &[LineFit],
) -> Option<(String, String)> {
    let strongest = strongest(lines)?;
    let limit =
        2.0 * super::decode::tolerance(first.class).max(super::decode::tolerance(second.class));
    let near = |l: &&Line| (l.wave * (1.0 + second.z) / strongest.observed).ln().abs() < limit;
    let off = |l: &Line| (l.wave * (1.0 + second.z) / strongest.observed).ln().abs();
    let emission = strongest.flux > 0.0;
    let fits = |l: &&Line| {
        if emission {
            l.look != Look::Absorption
        } else {
            l.look != Look::Emission
        }
    };
    let other = LINES
        .iter()
        .filter(fits)
        .filter(near)
        .min_by(|a, b| off(a).total_cmp(&off(b)))?;
    // The same line at nearly the same redshift is no other reading.
    (label(other) != strongest.label).then(|| (strongest.label.clone(), label(other)))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A deterministic Gaussian.
    fn noise(seed: &mut u64) -> f64 {
        let mut uniform = || {
            *seed = seed
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            (*seed >> 11) as f64 / (1u64 << 53) as f64
        };
        (0..12).map(|_| uniform()).sum::<f64>() - 6.0
    }

    fn spectrum(lines: &[(f64, f64, f64)], sigma: f64, seed: u64) -> Spectrum {
        let wave: Vec<f64> = (0..6000)
            .map(|i| 4000.0 * (1e-4 * f64::from(i) * 1.6).exp())
            .collect();
        let mut s = seed;
        let flux = wave.iter().map(|w| {
            let line = |(at, area, kms): &(f64, f64, f64)| {
                let width = at * kms / C_KMS;
                area / (width * (2.0 * std::f64::consts::PI).sqrt())
                    * (-0.5 * ((w - at) / width).powi(2)).exp()
            };
            (2.0 + lines.iter().map(line).sum::<f64>() + sigma * noise(&mut s)) as f32
        });
        let flux: Vec<f32> = flux.collect();
        let n = flux.len();
        Spectrum::new(wave, flux, vec![(1.0 / (sigma * sigma)) as f32; n], &[]).unwrap()
    }

    /// Fluxes and equivalent widths come back without bias, and their errors are the scatter:
    /// blended lines too.
    #[test]
    fn fluxes_come_back_with_honest_errors() {
        let z: f64 = 0.1;
        let truth = [
            ("[O II]", 3728.48, 30.0),
            ("[N II] 6549.85", 6549.85, 8.0),
            ("Halpha", 6564.61, 60.0),
            ("[N II] 6585.28", 6585.28, 24.0),
        ];
        let lines: Vec<(f64, f64, f64)> = truth
            .iter()
            .map(|t| (t.1 * (1.0 + z), t.2, 140.0))
            .collect();
        let mut pulls = Vec::new();
        for seed in 0..200 {
            let found = measure_lines(&spectrum(&lines, 0.3, seed), SpecType::Galaxy, z);
            for (_, rest, flux) in truth {
                let l = found.iter().find(|l| l.rest == rest).unwrap();
                pulls.push((l.flux - flux) / l.flux_err);
                let ew = flux / (2.0 * (1.0 + z));
                assert!((l.ew - ew).abs() < 6.0 * l.ew_err, "{l:?} {ew}");
            }
            let absent = found.iter().find(|l| l.label == "Hbeta").unwrap();
            pulls.push(absent.snr());
        }
        let n = pulls.len() as f64;
        let (mean, rms) = (
            pulls.iter().sum::<f64>() / n,
            (pulls.iter().map(|p| p * p).sum::<f64>() / n).sqrt(),
        );
        assert!(
            mean.abs() < 0.15 && (rms - 1.0).abs() < 0.12,
            "{mean} {rms}"
        );
    }

    /// Widths come back without bias, whatever they are, and their errors are the scatter; so do
    /// fluxes where the redshift is a little off.
    #[test]
    fn widths_come_back_with_honest_errors() {
        let z: f64 = 0.1;
        for kms in [110.0, 190.0, 330.0] {
            let (mut widths, mut fluxes) = (Vec::new(), Vec::new());
            for seed in 0..150 {
                let at = 6564.61 * (1.0 + z) * (1.0 + 25.0 / C_KMS);
                let s = spectrum(&[(at, 60.0, kms)], 0.3, 1000 + seed);
                let l = measure_lines(&s, SpecType::Galaxy, z);
                let l = l.iter().find(|l| l.label == "Halpha").unwrap();
                widths.push((l.sigma_kms - kms) / l.sigma_err_kms.unwrap());
                fluxes.push((l.flux - 60.0) / l.flux_err);
            }
            for pulls in [widths, fluxes] {
                let n = pulls.len() as f64;
                let mean = pulls.iter().sum::<f64>() / n;
                let rms = (pulls.iter().map(|p| p * p).sum::<f64>() / n).sqrt();
                assert!(
                    mean.abs() < 0.35 && (0.8..1.2).contains(&rms),
                    "{kms}: {mean} {rms}"
                );
            }
        }
    }

    #[test]
    fn a_line_read_differently_is_named() {
        let z = 0.49;
        let s = spectrum(&[(6564.61 * (1.0 + z), 40.0, 140.0)], 0.3, 1);
        let lines = measure_lines(&s, SpecType::Galaxy, z);
        let best = Solution {
            class: SpecType::Galaxy,
            z,
            z_err: 1e-4,
            probability: 0.6,
        };
        let other = Solution {
            z: 6564.61 * (1.0 + z) / 3728.48 - 1.0,
            ..best
        };
        assert_eq!(strongest(&lines).unwrap().label, "Halpha");
        assert_eq!(
            same_feature(&best, &other, &lines).unwrap(),
            ("Halpha".to_owned(), "[O II]".to_owned())
        );
        assert_eq!(
            same_feature(&best, &Solution { z: 0.2, ..best }, &lines),
            None
        );
        assert!(lines.iter().filter(|l| l.secure()).count() == 1);
    }

    /// Broad lines of quasars are measured with their width; a spectrum without weight has no
    /// lines.
    #[test]
    fn broad_lines_and_nothing() {
        let z = 2.0;
        let s = spectrum(
            &[
                (1549.06 * (1.0 + z), 200.0, 1800.0),
                (1908.73 * (1.0 + z), 90.0, 1800.0),
            ],
            0.2,
            3,
        );
        let lines = measure_lines(&s, SpecType::Qso, z);
        let civ = lines.iter().find(|l| l.label == "C IV").unwrap();
        assert!(
            (civ.flux / 200.0 - 1.0).abs() < 0.1
                && (civ.sigma_kms - 1800.0).abs() < 4.0 * civ.sigma_err_kms.unwrap(),
            "{civ:?}"
        );
        let dead = Spectrum {
            ivar: vec![0.0; s.wave.len()],
            ..s
        };
        assert!(measure_lines(&dead, SpecType::Qso, z).is_empty());
    }
}
