//! What a row was measured on, read again, with what the model makes of it now.

mod shared;
mod spectrum;

use std::collections::BTreeMap;
use std::path::Path;

use serde::Serialize;
use slipher_systems::predict::{Options, PredictError};
use slipher_systems::registry;

pub use shared::Shared;
pub use spectrum::Redshifts;

/// A line that a row's spectrum may show.
#[derive(Clone, Debug, Serialize)]
pub struct LineShown {
    /// Name, with the wavelength where an ion has several.
    pub name: String,
    /// Vacuum Å at rest.
    pub rest: f64,
    /// Flux over its error, where it was measured.
    pub snr: Option<f64>,
    /// Whether that is beyond doubt.
    pub secure: bool,
}

/// One of the redshifts that a spectrum allows.
#[derive(Clone, Debug, Serialize)]
pub struct SolutionShown {
    /// GALAXY, QSO or STAR.
    pub class: &'static str,
    /// Redshift.
    pub z: f64,
    /// Its standard deviation.
    pub z_err: f64,
    /// Probability.
    pub p: f64,
    /// What the strongest line would be.
    pub line: String,
}

/// A value of an answer: a class with its probability, a parameter.
#[derive(Clone, Debug, Serialize)]
pub struct Value {
    /// Its name.
    pub name: String,
    /// Its value.
    pub value: f32,
}

/// What is drawn of a row.
#[derive(Clone, Debug, Serialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Item {
    /// A spectrum.
    Spectrum {
        /// Vacuum Å.
        wave: Vec<f64>,
        /// In `unit`; null where a pixel is bad.
        flux: Vec<Option<f32>>,
        /// Its standard deviation.
        error: Vec<Option<f32>>,
        /// As the file states it.
        unit: String,
        /// What the goodness of fit takes it for at the best redshift; null outside.
        template: Vec<Option<f32>>,
        /// Best first.
        solutions: Vec<SolutionShown>,
        /// ln(1+z) of the points of `posterior`.
        grid: Vec<f32>,
        /// Probability by class, over the highest.
        posterior: BTreeMap<&'static str, Vec<f32>>,
        /// Lines at the best redshift.
        lines: Vec<LineShown>,
        /// What was assumed when the file was read.
        notes: Vec<String>,
        /// What the file itself says, if it does: class, redshift.
        truth: Option<(String, f64)>,
    },
    /// An image.
    Image {
        /// Names of the planes.
        bands: Vec<String>,
        /// Pixels from bottom to top.
        height: usize,
        /// Pixels from left to right.
        width: usize,
        /// `[band][row][column]`; null without data.
        pixels: Vec<Option<f32>>,
        /// Arcseconds a pixel.
        scale: Option<f64>,
        /// The answer of the model.
        answer: Vec<Value>,
        /// Whether a map of what mattered can be asked for.
        mappable: bool,
        /// What was assumed when the file was read.
        notes: Vec<String>,
    },
    /// A light curve.
    LightCurve {
        /// Of each band its points: MJD, flux, error.
        bands: BTreeMap<String, Vec<[f64; 3]>>,
        /// AB magnitude of flux 1.
        zero_point: f64,
        /// The answer of the model.
        answer: Vec<Value>,
        /// What was assumed when the file was read.
        notes: Vec<String>,
    },
}

/// A map of what mattered to an answer.
#[derive(Clone, Debug, Serialize)]
pub struct Map {
    /// Squares a side.
    pub steps: usize,
    /// Share of the image's shorter side that a network sees.
    pub share: f32,
    /// `[row][column]`: how much the answer falls without the square.
    pub values: Vec<f32>,
    /// The answer that falls.
    pub of: String,
}

/// Reads observations and runs a model on them.
pub trait Look: Send + Sync {
    /// Of the model in use.
    fn sha256(&self) -> &str;
    /// One observation.
    ///
    /// # Errors
    /// It cannot be read any more.
    fn look(&self, path: &Path, hdu: usize, row: usize) -> Result<Item, String>;
    /// What a spectrum should look like as a class at a redshift; null where nothing is known.
    ///
    /// # Errors
    /// No spectrum, or no such class.
    fn template(
        &self,
        _path: &Path,
        _place: (usize, usize),
        _class: &str,
        _z: f64,
    ) -> Result<Vec<Option<f32>>, String> {
        Err("templates are of spectra".into())
    }
    /// What mattered to the answer on an image.
    ///
    /// # Errors
    /// No image.
    fn map(&self, _path: &Path, _row: usize) -> Result<Map, String> {
        Err("maps are of images".into())
    }
}

/// Opens the model of a catalogue, with the settings that it was made with; `model` if it is not the
/// one that comes with the program.
///
/// # Errors
/// No such system, a model that does not suit.
pub fn open(
    system: &str,
    model: Option<&Path>,
    settings: &str,
) -> Result<Box<dyn Look>, PredictError> {
    let known = registry::by_name(system).map_err(PredictError::Option)?;
    let settings: BTreeMap<&str, &str> = settings
        .split("; ")
        .filter_map(|pair| pair.split_once(" = "))
        .collect();
    let bytes = match model {
        Some(p) => std::borrow::Cow::Owned(slipher_nn::checkpoint::read(p)?),
        None => std::borrow::Cow::Borrowed(registry::weights(known.name())?),
    };
    let name = model.map_or("the shipped model".into(), |p| p.display().to_string());
    // Names in the catalogue's settings, and of the options.
    let pick = |pairs: &[(&str, &'static str)]| {
        let mut o = Options::default();
        for (said, option) in pairs {
            o = o.with_some(option, settings.get(said));
        }
        o
    };
    match known.shared() {
        Some(s) => {
            let mut pairs = vec![("bands", "bands")];
            if s.takes_psf() {
                pairs.extend([("zeropoint", "zeropoint"), ("psf_kind", "psf_kind")]);
            }
            if s.input() != slipher_systems::example::Input::Cutout {
                pairs.clear();
            }
            Ok(Box::new(Shared::open(s, &name, &bytes, pick(&pairs))?))
        }
        None => {
            let o = pick(&[
                ("purity", "purity"),
                ("wavelengths", "medium"),
                ("wave_unit", "wave_unit"),
                ("flux_unit", "flux_unit"),
            ]);
            Ok(Box::new(Redshifts::open(&name, &bytes, o)?))
        }
    }
}

/// Numbers with none where they are no numbers.
pub(crate) fn finite(v: impl IntoIterator<Item = f32>) -> Vec<Option<f32>> {
    v.into_iter()
        .map(|v| Some(v).filter(|v| v.is_finite()))
        .collect()
}
