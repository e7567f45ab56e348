//! What every format hands over: wavelengths, fluxes and some kind of noise, still in the file's
//! units.

use super::names::role;
use crate::airvac::air_to_vacuum;
use crate::spectrum::{BadSpectrum, Spectrum, estimate_ivar};
use crate::units::{FluxUnit, WaveUnit, settle};
use crate::warning::Warning;

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
    /// Medium of the wavelengths, whatever files say.
    pub medium: Option<Medium>,
    /// Unit of the wavelengths, where files do not say.
    pub wave_unit: Option<WaveUnit>,
    /// What the flux is, where files do not say.
    pub flux_unit: Option<FluxUnit>,
}

impl ReadOptions {
    /// Of words of a user: `air` or `vacuum`; a unit of wavelength; a unit of flux.
    ///
    /// # Errors
    /// Words that are none of these.
    pub fn parse(
        medium: Option<&str>,
        wave_unit: Option<&str>,
        flux_unit: Option<&str>,
    ) -> Result<Self, String> {
        let medium = match medium {
            None => None,
            Some("air") => Some(Medium::Air),
            Some("vacuum") => Some(Medium::Vacuum),
            Some(w) => return Err(format!("medium {w:?}: expected 'air' or 'vacuum'")),
        };
        let wave_unit = match wave_unit.map(WaveUnit::parse) {
            None => None,
            Some(Ok(Some(u))) => Some(u),
            Some(_) => {
                return Err(format!(
                    "wave_unit {:?}: expected Angstrom, nm, um, m, Hz, eV, cm-1, log(Angstrom) or ln(Angstrom)",
                    wave_unit.unwrap_or_default()
                ));
            }
        };
        let flux_unit = match flux_unit.map(FluxUnit::parse) {
            None => None,
            Some(Some(FluxUnit::Magnitude)) => {
                return Err("flux_unit: magnitudes are no flux; convert them first".into());
            }
            Some(Some(u)) => Some(u),
            Some(None) => {
                return Err(format!(
                    "flux_unit {:?}: expected 'erg/s/cm2/Angstrom', 'Jy', 'erg/s/cm2/Hz' or 'photon/s/cm2/Angstrom'",
                    flux_unit.unwrap_or_default()
                ));
            }
        };
        Ok(ReadOptions {
            medium,
            wave_unit,
            flux_unit,
        })
    }
}

/// With this begins the evidence for a medium that no file states.
pub const ASSUMED: &str = "assumed";

/// Medium by the name and UCD of a wavelength column; vacuum, and said so, where they do not tell.
pub fn medium_by_name(name: &str, ucd: &str) -> (Medium, String) {
    let words = name.to_lowercase();
    let has = |end: &str| {
        words
            .split(|c: char| !c.is_alphanumeric())
            .any(|w| w == end || w.ends_with(end) && role(w).is_some())
    };
    if has("air") || ucd.contains("obs.atmos") {
        (
            Medium::Air,
            format!("column {name} {ucd}").trim().to_owned(),
        )
    } else if has("vac") || has("vacuum") {
        (Medium::Vacuum, format!("column {name}"))
    } else {
        unstated_medium()
    }
}

/// Vacuum, where nothing says so.
pub fn unstated_medium() -> (Medium, String) {
    let evidence = format!("{ASSUMED}: the file does not say; --air changes it");
    (Medium::Vacuum, evidence)
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
        let (mut steps, mut warnings) = (Vec::new(), Vec::new());
        let axis = self.convert_to_angstrom(options, &mut steps, &mut warnings)?;
        let (medium, evidence) = match options.medium {
            _ if !axis.is_length() => (Medium::Vacuum, "no wavelengths were measured".to_owned()),
            Some(m) => (m, "as the user says".to_owned()),
            None => self.medium.clone(),
        };
        if evidence.starts_with(ASSUMED) {
            warnings.push(Warning::MediumAssumed);
        }
        if medium == Medium::Air {
            self.wave.iter_mut().for_each(|w| *w = air_to_vacuum(*w));
            steps.push(format!(
                "wavelength: air to vacuum, Ciddor 1996 ({evidence})"
            ));
        } else {
            steps.push(format!("wavelength: vacuum ({evidence})"));
        }
        self.convert_flux(axis, options, &mut steps, &mut warnings)?;
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
        if mask_rejects_most(&flux, &ivar, &self.bad) {
            warnings.push(Warning::MaskRejectsMost);
        }
        let mut s = Spectrum::new(self.wave, flux, ivar, &self.bad)?;
        s.warnings = warnings;
        s.ivar_estimated = estimated;
        s.flux_unit = self.flux_unit;
        s.provenance = steps;
        Ok(s)
    }

    /// Wavelengths to Å, by the unit that is settled.
    fn convert_to_angstrom(
        &mut self,
        options: &ReadOptions,
        steps: &mut Vec<String>,
        warnings: &mut Vec<Warning>,
    ) -> Result<WaveUnit, BadSpectrum> {
        let s = settle(
            &self.wave_unit,
            &self.wave_name,
            &self.wave,
            options.wave_unit,
        )?;
        s.unit.to_angstrom(&mut self.wave);
        if s.unit != WaveUnit::Length(1.0) || s.warning.is_some() {
            steps.push(format!(
                "wavelength: {} to Angstrom ({})",
                s.unit.words(),
                s.evidence
            ));
        }
        warnings.extend(s.warning);
        Ok(s.unit)
    }

    /// Flux per wavelength, up to a constant factor.
    fn convert_flux(
        &mut self,
        axis: WaveUnit,
        options: &ReadOptions,
        steps: &mut Vec<String>,
        warnings: &mut Vec<Warning>,
    ) -> Result<(), BadSpectrum> {
        let stated = FluxUnit::parse(&self.flux_unit).or(options.flux_unit);
        // A length or a frequency alone: the column is another one, or its unit is wrong.
        if matches!(WaveUnit::parse(&self.flux_unit), Ok(Some(u)) if u != WaveUnit::Log10(1.0)) {
            return Err(BadSpectrum::FluxUnit(self.flux_unit.clone()));
        }
        let unit = stated.unwrap_or_else(|| {
            // Counts on an axis of frequency are per frequency, more likely than not.
            if axis.is_length() {
                FluxUnit::PerWavelength
            } else {
                warnings.push(Warning::FluxUnitAssumed);
                FluxUnit::PerFrequency
            }
        });
        // f_λ = f_ν c/λ², and n_λ hc/λ; constants only set the scale.
        let (power, words) = match unit {
            FluxUnit::PerWavelength => return Ok(()),
            FluxUnit::PerFrequency => (2, "per frequency"),
            FluxUnit::Photons => (1, "photons"),
            FluxUnit::Magnitude => return Err(BadSpectrum::Magnitudes(self.flux_unit.clone())),
        };
        let factor: Vec<f64> = self.wave.iter().map(|w| (5000.0 / w).powi(power)).collect();
        scale(&mut self.flux, &mut self.noise, &factor);
        let how = if power == 2 {
            "(5000 Å/λ)²"
        } else {
            "5000 Å/λ"
        };
        steps.push(format!(
            "flux: '{}' {words} to energy per wavelength, × {how}",
            self.flux_unit
        ));
        self.flux_unit = format!("{} × (5000 Angstrom/lambda)^{power}", self.flux_unit);
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

/// More than 95 % of the pixels that have a flux and an error.
fn mask_rejects_most(flux: &[f32], ivar: &[f32], bad: &[bool]) -> bool {
    let usable = |(f, v): (&f32, &f32)| f.is_finite() && *f != 0.0 && v.is_finite() && *v > 0.0;
    let (mut all, mut rejected) = (0usize, 0usize);
    for (pixel, bad) in flux.iter().zip(ivar).zip(bad) {
        if usable(pixel) {
            all += 1;
            rejected += usize::from(*bad);
        }
    }
    rejected * 20 > all * 19
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
}
