//! The one place where units of wavelengths and fluxes are settled.
//!
//! A stated unit always wins: TUNIT, CUNIT, the headers of ECSV, VOTable and IRAF, the metadata of
//! Arrow, or a unit in a name (`wave_nm`, `lambda(um)`, `loglam`). Then comes what the user says.
//! Without either, sizes decide where one reading alone is possible; where two are, the more usual
//! is taken and the spectrum carries [`Warning::WaveUnitAssumed`], with which no redshift is
//! accepted.

use std::f64::consts::E;

use crate::spectrum::BadSpectrum;
use crate::warning::Warning;

/// Speed of light in km/s.
const C_KMS: f64 = 299_792.458;

/// What the numbers of a wavelength axis are.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum WaveUnit {
    /// Lengths of so many Å.
    Length(f64),
    /// log₁₀ of lengths of so many Å.
    Log10(f64),
    /// Natural logarithms of lengths of so many Å.
    Ln(f64),
    /// Frequencies of so many Hz.
    Frequency(f64),
    /// Photon energies of so many eV.
    Energy(f64),
    /// Wavenumbers of so many per cm.
    Wavenumber(f64),
}

use WaveUnit::{Energy, Frequency, Length, Ln, Log10, Wavenumber};

/// Longest text that may be a unit.
const LONGEST: usize = 200;

/// Letters and digits of a unit, in lower case; `µ` is `u`. Of text too long for a unit only the
/// beginning, which is none.
fn plain(text: &str) -> String {
    text.chars()
        .take(LONGEST)
        .filter(|c| !c.is_whitespace() && !"()[]{}'\"._$\\".contains(*c))
        .flat_map(char::to_lowercase)
        .map(|c| if "µμ".contains(c) { 'u' } else { c })
        .collect::<String>()
        .replace("**", "^")
        .replace('å', "a")
}

/// Å of a unit of length, as [`plain`] writes it.
fn length(u: &str) -> Option<f64> {
    let word = u.trim_end_matches([',', ';']);
    Some(match word {
        "a" | "aa" | "ang" | "angs" | "angstr" | "angstrom" | "angstroms" | "angstroem"
        | "01nm" | "10^-10m" | "1e-10m" | "10^-8cm" | "1e-8cm" => 1.0,
        "nm" | "nanometer" | "nanometers" | "nanometre" | "nanometres" | "10^-9m" | "1e-9m" => 10.0,
        "um" | "mum" | "micron" | "microns" | "micrometer" | "micrometers" | "micrometre"
        | "micrometres" | "mu" | "10^-6m" | "1e-6m" => 1e4,
        "mm" | "millimeter" | "millimetre" => 1e7,
        "cm" | "centimeter" | "centimetre" => 1e8,
        "m" | "meter" | "meters" | "metre" | "metres" => 1e10,
        _ => return None,
    })
}

impl WaveUnit {
    /// Of what a file or a user writes: `nm`, `Angstrom`, `log10(AA)`, `ln(nm)`, `GHz`, `keV`,
    /// `cm-1`. None if the words state nothing (`""`, `pixel`).
    ///
    /// # Errors
    /// Words that are no unit of wavelength.
    pub fn parse(text: &str) -> Result<Option<WaveUnit>, BadSpectrum> {
        let u = plain(text);
        if [
            "",
            "pixel",
            "pixels",
            "pix",
            "none",
            "null",
            "unknown",
            "unitless",
            "dimensionless",
            "-",
            "1",
            "n/a",
            "lambda",
            "wavelength",
        ]
        .contains(&u.as_str())
        {
            return Ok(None);
        }
        if let Some(l) = length(&u) {
            return Ok(Some(Length(l)));
        }
        // A logarithm, of Å unless it says of what.
        for (head, natural) in [
            ("log10", false),
            ("loge", true),
            ("log", false),
            ("dex", false),
            ("ln", true),
        ] {
            let Some(rest) = u.strip_prefix(head) else {
                continue;
            };
            let rest = rest
                .trim_start_matches(['-', '/', ':'])
                .trim_start_matches("wavelength")
                .trim_start_matches("lambda")
                .trim_start_matches("wave")
                .trim_start_matches("lam")
                .trim_start_matches(['-', '/', ':']);
            let of = if rest.is_empty() {
                Some(1.0)
            } else {
                length(rest)
            };
            if let Some(of) = of {
                return Ok(Some(if natural { Ln(of) } else { Log10(of) }));
            }
        }
        Ok(Some(match u.as_str() {
            "hz" => Frequency(1.0),
            "khz" => Frequency(1e3),
            "mhz" => Frequency(1e6),
            "ghz" => Frequency(1e9),
            "thz" => Frequency(1e12),
            "ev" => Energy(1.0),
            "kev" => Energy(1e3),
            "mev" => Energy(1e6),
            "cm-1" | "cm^-1" | "1/cm" | "/cm" | "kayser" => Wavenumber(1.0),
            "m-1" | "m^-1" | "1/m" => Wavenumber(0.01),
            "um-1" | "um^-1" | "1/um" => Wavenumber(1e4),
            // `Angstrom (vacuum)`, `nm, air`: the unit and the medium.
            _ => {
                let bare = ["vacuum", "vac", "air", "obs", "observed", "rest"]
                    .iter()
                    .fold(u.clone(), |u, w| u.replace(w, ""));
                let bare = bare.trim_matches([',', ';', '-', '/']);
                return match length(bare) {
                    Some(l) if bare != u => Ok(Some(Length(l))),
                    _ => Err(BadSpectrum::Unit(text.trim().to_owned())),
                };
            }
        }))
    }

    /// Numbers of this unit to Å; those that are no wavelength become NaN.
    pub fn to_angstrom(self, values: &mut [f64]) {
        match self {
            Length(1.0) => {}
            Length(f) => values.iter_mut().for_each(|v| *v *= f),
            Log10(f) => {
                values
                    .iter_mut()
                    .filter(|v| !v.is_finite())
                    .for_each(|v| *v = f64::NAN);
                crate::grid::exp10(values);
                Length(f).to_angstrom(values);
            }
            Ln(f) => {
                values.iter_mut().for_each(|v| *v = v.exp());
                Length(f).to_angstrom(values);
            }
            Frequency(f) => inverse(values, C_KMS * 1e13 / f),
            Energy(f) => inverse(values, 12_398.419_843 / f),
            Wavenumber(f) => inverse(values, 1e8 / f),
        }
    }

    /// In words, for messages.
    pub fn words(self) -> String {
        let length = |f: f64| match f {
            1.0 => "Angstrom".to_owned(),
            10.0 => "nm".to_owned(),
            1e4 => "micron".to_owned(),
            1e10 => "m".to_owned(),
            f => format!("{f:e} Angstrom"),
        };
        match self {
            Length(f) => length(f),
            Log10(f) => format!("log10 of {}", length(f)),
            Ln(f) => format!("natural logarithm of {}", length(f)),
            Frequency(f) => format!("frequency in {f:e} Hz"),
            Energy(f) => format!("energy in {f} eV"),
            Wavenumber(f) => format!("wavenumber in {f} per cm"),
        }
    }

    /// Frequencies, energies and wavenumbers know no medium.
    pub fn is_length(self) -> bool {
        matches!(self, Length(_) | Log10(_) | Ln(_))
    }
}

/// λ = `constant` / v.
fn inverse(values: &mut [f64], constant: f64) {
    values
        .iter_mut()
        .for_each(|v| *v = if *v > 0.0 { constant / *v } else { f64::NAN });
}

/// A unit with the reason for it.
#[derive(Clone, Debug, PartialEq)]
pub struct Settled {
    /// What the numbers are.
    pub unit: WaveUnit,
    /// Why.
    pub evidence: String,
    /// The reading is not the only one.
    pub warning: Option<Warning>,
}

/// The unit of wavelengths `values` that a file gives as `stated` under `name`; `asked` is what the
/// user says of files that do not.
///
/// # Errors
/// A stated unit that is none, or sizes that are no wavelengths in any unit.
pub fn settle(
    stated: &str,
    name: &str,
    values: &[f64],
    asked: Option<WaveUnit>,
) -> Result<Settled, BadSpectrum> {
    let sure = |unit, evidence: String| {
        Ok(Settled {
            unit,
            evidence,
            warning: None,
        })
    };
    let by_name = named(name);
    match (WaveUnit::parse(stated), asked) {
        // `loglam` with a unit of Angstrom: its numbers are logarithms.
        (Ok(Some(Length(f))), _) if matches!(by_name, Some(Log10(_) | Ln(_))) => {
            let unit = if matches!(by_name, Some(Ln(_))) {
                Ln(f)
            } else {
                Log10(f)
            };
            sure(unit, format!("'{name}' in '{stated}'"))
        }
        (Ok(Some(Length(f))), _) => {
            let ends = range(values);
            let (log, ln) = (powers(10.0, ends), powers(E, ends));
            // Numbers that are no wavelength in the stated unit, but are as logarithms of it.
            let spectrum = |(lo, hi): (f64, f64)| lo * f > 700.0 && hi * f < 1e6;
            if ends.1 * f < 100.0 && (spectrum(log) || spectrum(ln)) {
                let unit = if spectrum(log) { Log10(f) } else { Ln(f) };
                return Ok(Settled {
                    unit,
                    evidence: format!("numbers too small for '{stated}'"),
                    warning: Some(Warning::WaveUnitContradicts),
                });
            }
            sure(Length(f), format!("'{stated}'"))
        }
        (Ok(Some(unit)), _) => sure(unit, format!("'{stated}'")),
        (Err(_), Some(unit)) | (Ok(None), Some(unit)) if by_name.is_none() => {
            sure(unit, "as the user says".into())
        }
        (Err(e), _) => Err(e),
        (Ok(None), _) => match by_name {
            Some(unit) => sure(unit, format!("by its name '{name}'")),
            None => by_size(values),
        },
    }
}

/// A unit that a name states: `wave_nm`, `wavelength_A`, `lambda(um)`, `loglam`, `lnwave`.
fn named(name: &str) -> Option<WaveUnit> {
    let key = plain(name);
    if let Some((_, unit)) = split(name) {
        return WaveUnit::parse(&unit).ok().flatten();
    }
    let of = |heads: &[&str]| heads.iter().any(|h| key.contains(h));
    if key == "angstrom" {
        Some(Length(1.0))
    } else if of(&["lnlam", "lnwave", "lnwl", "lnwav"]) {
        Some(Ln(1.0))
    } else if of(&[
        "loglam",
        "logwave",
        "logwl",
        "logwav",
        "log10lam",
        "log10wave",
    ]) {
        Some(Log10(1.0))
    } else {
        None
    }
}

/// A name without its unit, and that unit: after `(`, `[`, `/`, or the last `_`, `-`, `.` or blank.
pub fn split(name: &str) -> Option<(String, String)> {
    let is_unit = |u: &str| WaveUnit::parse(u).is_ok_and(|u| u.is_some()) || FluxUnit::known(u);
    if let Some(at) = name.find(['(', '[']) {
        let unit = name[at..].trim_matches(['(', '[', ')', ']', ' ']);
        let head = name[..at].trim_matches(['_', '-', ' ']);
        if is_unit(unit) && !head.is_empty() {
            return Some((head.to_owned(), unit.to_owned()));
        }
    }
    name.char_indices()
        .filter(|(i, c)| *i > 0 && "_-./ ".contains(*c))
        .map(|(i, c)| (name[..i].to_owned(), name[i + c.len_utf8()..].to_owned()))
        .find(|(head, unit)| !head.is_empty() && is_unit(unit))
}

/// Smallest and largest number.
fn range(values: &[f64]) -> (f64, f64) {
    let good = values.iter().copied().filter(|w| w.is_finite());
    good.fold((f64::INFINITY, f64::NEG_INFINITY), |(lo, hi), w| {
        (lo.min(w), hi.max(w))
    })
}

/// Both ends of a range as powers of a base.
fn powers(base: f64, (lo, hi): (f64, f64)) -> (f64, f64) {
    (base.powf(lo), base.powf(hi))
}

/// Median step without its sign, and whether all steps are the same.
fn steps(values: &[f64]) -> (f64, bool) {
    let mut steps: Vec<f64> = values
        .windows(2)
        .map(|w| (w[1] - w[0]).abs())
        .filter(|s| s.is_finite() && *s > 0.0)
        .collect();
    if steps.is_empty() {
        return (0.0, true);
    }
    let middle = steps.len() / 2;
    let step = *steps.select_nth_unstable_by(middle, f64::total_cmp).1;
    // Single precision, or a few decimals, blur steps.
    let blur = 0.02 * step + 4e-7 * range(values).1.abs();
    (step, steps.iter().all(|s| (s - step).abs() < blur))
}

/// A reading by size; `also` names another that is as possible.
fn found(unit: WaveUnit, also: Option<&str>) -> Result<Settled, BadSpectrum> {
    Ok(Settled {
        unit,
        evidence: also.map_or("no unit; by their size".into(), |also| {
            format!("assumed: no unit, and {also} is as possible; --wave-unit settles it")
        }),
        warning: also.map(|_| Warning::WaveUnitAssumed),
    })
}

/// Numbers without a statement.
fn by_size(values: &[f64]) -> Result<Settled, BadSpectrum> {
    let (lo, hi) = range(values);
    if !(lo > 0.0 && hi > lo) {
        return Err(BadSpectrum::Range(lo, hi));
    }
    if hi < 100.0 {
        return small(values, (lo, hi));
    }
    // What spectrographs see: 900 Å to 10 µm, and in nm rarely beyond 5.5 µm.
    let (angstrom, nm) = (lo >= 850.0 && hi <= 3e5, lo >= 85.0 && hi <= 5500.0);
    match (angstrom, nm) {
        (true, true) if lo >= 3000.0 => found(Length(1.0), None),
        (true, true) => found(Length(1.0), Some("nm")),
        (false, true) if lo < 300.0 => found(Length(10.0), Some("Angstrom")),
        (false, true) => found(Length(10.0), None),
        (true, false) => found(Length(1.0), None),
        (false, false) if lo >= 100.0 && hi <= 1e7 => found(Length(1.0), Some("another unit")),
        (false, false) => Err(BadSpectrum::Range(lo, hi)),
    }
}

/// Numbers below 100: microns, or logarithms of Å.
fn small(values: &[f64], (lo, hi): (f64, f64)) -> Result<Settled, BadSpectrum> {
    let micron = lo > 0.05;
    let possible = |(lo, hi): (f64, f64)| lo > 790.0 && hi < 60_000.0;
    let (tens, naturals) = (powers(10.0, (lo, hi)), powers(E, (lo, hi)));
    let (log10, ln) = (possible(tens), possible(naturals));
    // Logarithms of nm: seldom, and only where spectra usually lie.
    let nm = |(lo, hi): (f64, f64)| lo > 300.0 && hi < 2500.0;
    if micron && !log10 && !ln && (nm(tens) || nm(naturals)) {
        return found(Length(1e4), Some("a logarithm of nm"));
    }
    // km/s from pixel to pixel: spectrographs for galaxies have 15 to 3000.
    let (step, uniform) = steps(values);
    let linear = step / (0.5 * (lo + hi)) * C_KMS;
    let usual = |v: f64| (15.0..3000.0).contains(&v);
    let log_step = step * C_KMS * if log10 { std::f64::consts::LN_10 } else { 1.0 };
    let logarithm = if log10 { Log10(1.0) } else { Ln(1.0) };
    match (micron, log10 || ln) {
        (true, false) => found(Length(1e4), None),
        (false, true) => found(logarithm, None),
        // So fine that no instrument for galaxies samples microns like it.
        (true, true) if usual(log_step) && linear < 15.0 => found(logarithm, None),
        // Steps that grow: no grid in the logarithm.
        (true, true) if !uniform && usual(linear) => found(Length(1e4), Some("a logarithm")),
        (true, true) => found(logarithm, Some("micron")),
        (false, false) => Err(BadSpectrum::Range(lo, hi)),
    }
}

/// What a flux is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FluxUnit {
    /// Energy or counts per wavelength; the scale does not matter.
    PerWavelength,
    /// Energy per frequency: Jy, erg/s/cm²/Hz, maggies.
    PerFrequency,
    /// Photons per wavelength.
    Photons,
    /// A logarithm of the flux.
    Magnitude,
}

impl FluxUnit {
    /// Of what a file or a user writes; none if it states nothing that is known.
    pub fn parse(text: &str) -> Option<FluxUnit> {
        let u = plain(text);
        // Parts of the unit, without factors and powers.
        let parts: Vec<&str> = u
            .split(|c: char| !c.is_ascii_alphabetic())
            .filter(|p| !p.is_empty())
            .collect();
        let has = |names: &[&str]| parts.iter().any(|p| names.contains(p));
        if has(&[
            "mag",
            "mags",
            "abmag",
            "stmag",
            "magab",
            "vegamag",
            "magnitude",
            "magnitudes",
        ]) {
            return Some(FluxUnit::Magnitude);
        }
        let maggies = [
            "maggie",
            "maggies",
            "nanomaggie",
            "nanomaggies",
            "nmgy",
            "mgy",
        ];
        let jansky = [
            "jy",
            "mjy",
            "ujy",
            "njy",
            "kjy",
            "jansky",
            "mujy",
            "millijansky",
            "microjy",
        ];
        let hertz = ["hz", "ghz", "mhz", "fnu", "hertz", "ev", "kev"];
        if has(&jansky) || has(&hertz) || has(&maggies) {
            return Some(FluxUnit::PerFrequency);
        }
        if has(&["ph", "photon", "photons", "phot"]) {
            return Some(FluxUnit::Photons);
        }
        let wavelength = [
            "a",
            "aa",
            "ang",
            "angstrom",
            "angstroms",
            "nm",
            "um",
            "mum",
            "micron",
            "flam",
            "erg",
            "ergs",
            "w",
            "counts",
            "count",
            "ct",
            "cts",
            "adu",
            "electron",
            "electrons",
        ];
        has(&wavelength).then_some(FluxUnit::PerWavelength)
    }

    /// A word that is a unit of flux and of nothing else.
    fn known(text: &str) -> bool {
        let u = plain(text);
        u.len() > 1 && length(&u).is_none() && FluxUnit::parse(text).is_some()
    }
}

#[cfg(test)]
mod tests;
