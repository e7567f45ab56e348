//! What systems are asked about, and examples whose answer is known.

use slipher_data::cutout::Cutout;
use slipher_data::light_curve::LightCurve;
use slipher_data::spectrum::Spectrum;

/// What a system is asked about.
#[derive(Clone, Debug)]
pub enum Observation {
    /// An image of one object.
    Cutout(Cutout),
    /// A spectrum of one object.
    Spectrum(Spectrum),
    /// A light curve of one object.
    LightCurve(LightCurve),
}

/// Which observations a system takes: what files and columns are read as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Input {
    /// Images, as [`slipher_data::cutouts`] reads them.
    Cutout,
    /// Spectra, as [`slipher_data::formats`] reads them.
    Spectrum,
    /// Light curves, as [`slipher_data::light_curves`] reads them.
    LightCurve,
}

impl Observation {
    /// The image.
    ///
    /// # Errors
    /// It is none.
    pub fn cutout(&self) -> Result<&Cutout, String> {
        match self {
            Observation::Cutout(c) => Ok(c),
            _ => Err(format!("{}, expected an image", self.kind())),
        }
    }

    /// The light curve.
    ///
    /// # Errors
    /// It is none.
    pub fn light_curve(&self) -> Result<&LightCurve, String> {
        match self {
            Observation::LightCurve(c) => Ok(c),
            _ => Err(format!("{}, expected a light curve", self.kind())),
        }
    }

    /// What it is.
    fn kind(&self) -> &'static str {
        match self {
            Observation::Cutout(_) => "an image",
            Observation::Spectrum(_) => "a spectrum",
            Observation::LightCurve(_) => "a light curve",
        }
    }

    /// The spectrum.
    ///
    /// # Errors
    /// It is none.
    pub fn spectrum(&self) -> Result<&Spectrum, String> {
        match self {
            Observation::Spectrum(s) => Ok(s),
            _ => Err(format!("{}, expected a spectrum", self.kind())),
        }
    }

    /// Name in the survey, or of the file.
    pub fn object_id(&self) -> &str {
        match self {
            Observation::Cutout(c) => &c.object_id,
            Observation::Spectrum(s) => &s.object_id,
            Observation::LightCurve(c) => &c.object_id,
        }
    }

    /// Right ascension and declination, degrees; NaN if unknown.
    pub fn position(&self) -> (f64, f64) {
        match self {
            Observation::Cutout(c) => (c.ra, c.dec),
            Observation::Spectrum(s) => (s.ra, s.dec),
            Observation::LightCurve(c) => (c.ra, c.dec),
        }
    }

    /// Share of the pixels with data.
    pub fn good_share(&self) -> f64 {
        match self {
            Observation::Cutout(c) => c.good_share(),
            Observation::Spectrum(s) => s.good_pixels() as f64 / s.flux.len().max(1) as f64,
            // What cannot be used was left out by the reader, which says so.
            Observation::LightCurve(_) => 1.0,
        }
    }

    /// What was assumed when it was read.
    pub fn notes(&self) -> &[String] {
        match self {
            Observation::Cutout(c) => &c.notes,
            Observation::Spectrum(s) => &s.provenance,
            Observation::LightCurve(c) => &c.notes,
        }
    }
}

/// An observation whose answer is known.
#[derive(Clone, Debug)]
pub struct Example {
    /// What is seen.
    pub input: Observation,
    /// As the head's target: 1 for the class and 0 for the others, shares of votes, parameters.
    pub truth: Vec<f32>,
    /// How hard it is: magnitude or S/N.
    pub depth: f32,
}

/// Which simulated sky.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Sky {
    /// The system's own.
    #[default]
    Own,
    /// Of the paper's survey, where the system's own is wider.
    Published,
}

/// One-hot truth: 1 for `class`, 0 for the others of `classes`.
pub fn one_hot(class: usize, classes: usize) -> Vec<f32> {
    (0..classes)
        .map(|k| f32::from(u8::from(k == class)))
        .collect()
}
