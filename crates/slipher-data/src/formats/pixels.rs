//! What every format hands over: wavelengths, fluxes and some kind of noise, still in the file's
//! units.

use crate::airvac::air_to_vacuum;
use crate::grid::exp10;
use crate::spectrum::{BadSpectrum, Spectrum, estimate_ivar};

/// Kind of the numbers that describe the noise.
#[derive(Clone, Debug, PartialEq)]
pub enum Noise {
    /// Inverse variances.
    Ivar(Vec<f64>),
    /// Variances.
    Variance(Vec<f64>),
    /// Standard deviations.
    Sigma(Vec<f64>),
    /// The file has none: estimated from the scatter, and said so.
    Missing,
}

/// Medium in which wavelengths were measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Medium {
    /// Vacuum wavelengths.
    Vacuum,
    /// Air wavelengths, turned to vacuum by Ciddor 1996.
    Air,
}

/// Choices of the user that override what files say.
#[derive(Clone, Copy, Debug, Default)]
pub struct ReadOptions {
    /// Medium of the wavelengths, where files do not say.
    pub medium: Option<Medium>,
}

/// Raw pixels of one spectrum.
#[derive(Clone, Debug)]
pub struct Pixels {
    /// In the file's unit.
    pub wave: Vec<f64>,
    /// Unit of `wave` as the file writes it; empty if it does not.
    pub wave_unit: String,
    /// The name under which the wavelengths stood (`loglam` says that they are logarithms).
    pub wave_name: String,
    /// Flux, a value a pixel.
    pub flux: Vec<f64>,
    /// Unit of the flux, as the file writes it.
    pub flux_unit: String,
    /// What the file says of the noise.
    pub noise: Noise,
    /// True for pixels that the survey rejects; may be empty.
    pub bad: Vec<bool>,
    /// Medium, and the evidence for it.
    pub medium: (Medium, String),
}

impl Pixels {
    /// Converts to vacuum Å, ascending, inverse variance; every step is written to `provenance`.
    ///
    /// # Errors
    /// As [`Spectrum::new`].
    pub fn into_spectrum(self, options: &ReadOptions) -> Result<Spectrum, BadSpectrum> {
        let power = power_of_ten(&self.flux);
        self.into_spectrum_of(power, options)
    }

    /// The same with fluxes brought near 1 by a power of ten that is known: arms of one spectrum
    /// share it.
    ///
    /// # Errors
    /// As [`Spectrum::new`].
    pub fn into_spectrum_of(
        mut self,
        power: i32,
        options: &ReadOptions,
    ) -> Result<Spectrum, BadSpectrum> {
        let mut steps = Vec::new();
        self.convert_to_angstrom(&mut steps)?;
        let (medium, evidence) = match options.medium {
            Some(m) => (m, "as the user says".to_owned()),
            None => self.medium.clone(),
        };
        if medium == Medium::Air {
            self.wave.iter_mut().for_each(|w| *w = air_to_vacuum(*w));
            steps.push(format!(
                "wavelength: air to vacuum, Ciddor 1996 ({evidence})"
            ));
        } else {
            steps.push(format!("wavelength: vacuum ({evidence})"));
        }
        if is_per_hertz(&self.flux_unit) {
            // f_λ = f_ν c/λ²; the constant only sets the scale.
            let factor: Vec<f64> = self.wave.iter().map(|w| (5000.0 / w).powi(2)).collect();
            scale(&mut self.flux, &mut self.noise, &factor);
            steps.push(format!(
                "flux: '{}' per frequency to per wavelength, × (5000 Å/λ)²",
                self.flux_unit
            ));
            self.flux_unit = format!("{} × (5000 Angstrom/lambda)^2", self.flux_unit);
        }
        self.rescale(power, &mut steps);
        let n = self.flux.len();
        let flux: Vec<f32> = self.flux.iter().map(|f| *f as f32).collect();
        let estimated = self.noise == Noise::Missing;
        let ivar: Vec<f32> = match &self.noise {
            Noise::Ivar(v) => v.iter().map(|x| *x as f32).collect(),
            Noise::Variance(v) => v
                .iter()
                .map(|x| {
                    if *x > 0.0 {
                        (1.0 / x) as f32
                    } else {
                        x.min(0.0) as f32
                    }
                })
                .collect(),
            Noise::Sigma(v) => v
                .iter()
                .map(|x| {
                    if *x > 0.0 {
                        (1.0 / (x * x)) as f32
                    } else {
                        x.min(0.0) as f32
                    }
                })
                .collect(),
            Noise::Missing => {
                steps.push(
                    "errors: none in the file, estimated from the scatter of neighbouring pixels"
                        .into(),
                );
                estimate_ivar(&flux)
            }
        };
        self.bad.resize(n, false);
        let mut s = Spectrum::new(self.wave, flux, ivar, &self.bad)?;
        s.ivar_estimated = estimated;
        s.flux_unit = self.flux_unit;
        s.provenance = steps;
        Ok(s)
    }

    fn convert_to_angstrom(&mut self, steps: &mut Vec<String>) -> Result<(), BadSpectrum> {
        let unit = self
            .wave_unit
            .to_lowercase()
            .replace(['(', ')', '[', ']', '.', ' '], "");
        let name = self.wave_name.to_lowercase();
        let good = || self.wave.iter().copied().filter(|w| w.is_finite());
        let (lo, hi) = (
            good().fold(f64::INFINITY, f64::min),
            good().fold(0.0, f64::max),
        );
        let logarithmic = unit.contains("log")
            || name.contains("log")
            || (unit.is_empty() || unit.starts_with("ang"))
                && lo > 2.9
                && hi < 4.9
                && hi - lo < 1.0;
        let (factor, what) = match unit.as_str() {
            _ if logarithmic => (0.0, "log10 of Angstrom"),
            u if u == "nm" || u.starts_with("nanomet") => (10.0, "nm"),
            u if ["um", "µm", "mum"].contains(&u)
                || u.starts_with("micron")
                || u.starts_with("micromet") =>
            {
                (1e4, "micron")
            }
            u if u == "m" || u.starts_with("meter") || u.starts_with("metre") => (1e10, "m"),
            u if u == "mm"
                || u.contains("hz")
                || u.contains("ev")
                || u.contains("cm")
                || u.contains("km") =>
            {
                (f64::NAN, "unknown")
            }
            "" | "pixel" if hi < 60.0 => (1e4, "micron (no unit; all below 60)"),
            "" if hi < 900.0 || (300.0..900.0).contains(&lo) && hi < 3000.0 => {
                (10.0, "nm (no unit; by their size)")
            }
            "" => (1.0, "Angstrom (no unit; by their size)"),
            _ => (1.0, "Angstrom"),
        };
        if factor.is_nan() {
            return Err(BadSpectrum::Unit(self.wave_unit.clone()));
        }
        if logarithmic {
            // Natural logarithms exceed 6 for optical light.
            if hi > 6.0 {
                self.wave.iter_mut().for_each(|w| *w = w.exp());
            } else {
                // A wavelength that is not a number stays none.
                self.wave
                    .iter_mut()
                    .filter(|w| !w.is_finite())
                    .for_each(|w| *w = f64::NAN);
                exp10(&mut self.wave);
            }
        } else if factor != 1.0 {
            self.wave.iter_mut().for_each(|w| *w *= factor);
        }
        if what != "Angstrom" {
            steps.push(format!("wavelength: {what} to Angstrom"));
        }
        Ok(())
    }

    /// Brings fluxes near 1 so that inverse variances fit single precision.
    fn rescale(&mut self, power: i32, steps: &mut Vec<String>) {
        if power == 0 {
            return;
        }
        let factor = vec![10f64.powi(-power); self.flux.len()];
        scale(&mut self.flux, &mut self.noise, &factor);
        let unit = if self.flux_unit.is_empty() {
            "unstated unit"
        } else {
            &self.flux_unit
        };
        steps.push(format!("flux: × 1e{} ", -power));
        self.flux_unit = format!("1e{power} {unit}");
    }
}

/// Power of ten of the typical flux; 0 where single precision takes it as it is.
pub fn power_of_ten<'a>(flux: impl IntoIterator<Item = &'a f64>) -> i32 {
    let mut size: Vec<f64> = flux
        .into_iter()
        .filter(|f| f.is_finite() && **f != 0.0)
        .map(|f| f.abs())
        .collect();
    if size.is_empty() {
        return 0;
    }
    let middle = size.len() / 2;
    let power = size
        .select_nth_unstable_by(middle, f64::total_cmp)
        .1
        .log10()
        .floor() as i32;
    if (-6..=6).contains(&power) { 0 } else { power }
}

fn is_per_hertz(unit: &str) -> bool {
    let u = unit.to_lowercase();
    u.contains("jy") || u.contains("hz")
}

fn scale(flux: &mut [f64], noise: &mut Noise, factor: &[f64]) {
    flux.iter_mut().zip(factor).for_each(|(f, k)| *f *= k);
    match noise {
        Noise::Ivar(v) => v.iter_mut().zip(factor).for_each(|(v, k)| *v /= k * k),
        Noise::Variance(v) => v.iter_mut().zip(factor).for_each(|(v, k)| *v *= k * k),
        Noise::Sigma(v) => v.iter_mut().zip(factor).for_each(|(v, k)| *v *= k),
        Noise::Missing => {}
    }
}

/// Names of columns that say what an object is, by row.
pub const ID: &[&str] = &[
    "object_id",
    "targetid",
    "objid",
    "source_id",
    "specid",
    "name",
    "id",
];
/// Columns with a right ascension in degrees, by falling preference.
pub const RA: &[&str] = &["ra", "target_ra", "plug_ra"];
/// With a declination in degrees.
pub const DEC: &[&str] = &["dec", "target_dec", "plug_dec"];
/// With a class.
pub const CLASS: &[&str] = &["spectype", "class"];
/// With a redshift.
pub const REDSHIFT: &[&str] = &["z", "z_true", "redshift"];
/// With redshift warnings.
pub const ZWARN: &[&str] = &["zwarn", "zwarning"];

/// Role of a column by its name; names are compared in lower case without `_`, `-`, blanks or a
/// unit in brackets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Wavelengths.
    Wave,
    /// Flux.
    Flux,
    /// Inverse variance.
    Ivar,
    /// Standard deviation.
    Sigma,
    /// Variance.
    Variance,
    /// Mask; above 0 is bad.
    Mask,
}

/// Columns are known by these names, in lower case, without separators.
const NAMES: [(Role, &[&str]); 6] = [
    (
        Role::Wave,
        &[
            "loglam",
            "loglambda",
            "logwave",
            "wave",
            "wavelength",
            "lambda",
            "lam",
            "wl",
            "wlen",
            "wavelengths",
            "waveobs",
            "lambdaobs",
            "wavevac",
            "waveair",
            "wav",
            "spectralaxis",
            "obswave",
            "vacwave",
            "angstrom",
        ],
    ),
    (
        Role::Flux,
        &[
            "flux",
            "fluxes",
            "flam",
            "flambda",
            "fnu",
            "fluxdensity",
            "fluxlambda",
            "signal",
            "spec",
            "spectrum",
            "fluxtotal",
            "fobs",
            "intensity",
            "counts",
            "fluxobs",
            "f",
        ],
    ),
    (
        Role::Ivar,
        &[
            "ivar",
            "inversevariance",
            "invvar",
            "fluxivar",
            "inversevar",
            "invvariance",
        ],
    ),
    (
        Role::Sigma,
        &[
            "err",
            "error",
            "sigma",
            "fluxerr",
            "fluxerror",
            "errflux",
            "std",
            "stddev",
            "noise",
            "flamerr",
            "uncertainty",
            "uncert",
            "fluxuncertainty",
            "sig",
            "dflux",
            "eflux",
            "fluxerrors",
            "errorflux",
            "fluxsigma",
            "fluxstd",
            "unc",
            "ferr",
            "fluxunc",
            "efluxlambda",
            "errs",
        ],
    ),
    (
        Role::Variance,
        &["var", "variance", "fluxvar", "fluxvariance"],
    ),
    (Role::Mask, &["mask", "bad", "badpix", "dq", "badpixel"]),
];

/// Role of a column name, if it has one.
pub fn role(name: &str) -> Option<Role> {
    let plain = name.split(['(', '[']).next().unwrap_or_default();
    let key: String = plain
        .to_lowercase()
        .chars()
        .filter(|c| !"_- .".contains(*c))
        .collect();
    NAMES
        .iter()
        .find(|(_, names)| names.contains(&key.as_str()))
        .map(|(r, _)| *r)
}

/// Names that [`role`] knows for wavelength, for messages.
pub fn wave_names() -> String {
    NAMES[0].1[..8].join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pixels(wave: Vec<f64>, unit: &str) -> Pixels {
        let n = wave.len();
        Pixels {
            wave,
            wave_unit: unit.into(),
            wave_name: "wave".into(),
            flux: vec![2e-18; n],
            flux_unit: "erg/s/cm2/A".into(),
            noise: Noise::Sigma(vec![1e-19; n]),
            bad: vec![],
            medium: (Medium::Vacuum, "test".into()),
        }
    }

    #[test]
    fn units_are_read_or_recognised() {
        for (scale, unit) in [
            (1.0, "Angstrom"),
            (0.1, "nm"),
            (1e-4, "um"),
            (1e-4, ""),
            (0.1, "nm"),
            (1.0, ""),
        ] {
            let wave = (0..50)
                .map(|i| (4000.0 + 10.0 * f64::from(i)) * scale)
                .collect();
            let s = pixels(wave, unit)
                .into_spectrum(&ReadOptions::default())
                .unwrap();
            assert!((s.wave[49] - 4490.0).abs() < 1e-6, "{unit}: {}", s.wave[49]);
            assert!((s.median_snr() - 20.0).abs() < 0.01);
            assert!(s.flux_unit.starts_with("1e-18"));
        }
        let wave = (0..50).map(|i| 3.6 + 1e-4 * f64::from(i)).collect();
        let s = pixels(wave, "")
            .into_spectrum(&ReadOptions::default())
            .unwrap();
        assert!((s.wave[0] - 10f64.powf(3.6)).abs() < 1e-6);
    }

    #[test]
    fn jansky_becomes_per_wavelength_and_air_vacuum() {
        let mut p = pixels(
            (0..50).map(|i| 5000.0 + 100.0 * f64::from(i)).collect(),
            "Angstrom",
        );
        p.flux_unit = "nJy".into();
        p.flux = vec![1.0; 50];
        p.noise = Noise::Missing;
        p.medium = (Medium::Air, "test".into());
        let s = p.into_spectrum(&ReadOptions::default()).unwrap();
        assert!((s.flux[0] / s.flux[49] - (s.wave[49] / s.wave[0]).powi(2) as f32).abs() < 1e-3);
        assert!(s.wave[0] > 5001.0 && s.ivar_estimated && s.provenance.len() >= 3);
    }

    #[test]
    fn names_have_roles() {
        assert_eq!(role("Wavelength (A)"), Some(Role::Wave));
        assert_eq!(role("ERR_FLUX"), Some(Role::Sigma));
        assert_eq!(role("inverse_variance"), Some(Role::Ivar));
        assert_eq!(role("z"), None);
    }
}
