//! The redshift model: shape, weights, calibration; on disk as safetensors.

use std::path::Path;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use slipher_nn::checkpoint::{Checkpoint, CheckpointError};
use slipher_nn::shiftnet::{Engine, Input, Prediction, ShiftNet, ShiftNetConfig};
use slipher_sim::sed::SpecType;

use super::calibrate::Calibration;
use super::encode::{CHANNELS, LAG, POSITIONS};
use super::familiar::Familiar;
use crate::trust::Dial;

/// First lag: ln(1+z) = −20 LAG, v ≈ −2760 km/s.
pub const MIN_LAG: i32 = -20;
/// Lags up to z = 7.05.
pub const LAGS: usize = 4550;
/// Transform length: POSITIONS + LAGS at least; 2·3²·5⁴, fast.
pub const NFFT: usize = 11_250;
/// Stars: |lag| ≤ 15, |v| ≤ 2070 km/s.
const STAR_LAG: i32 = 15;
/// Galaxies from z = −0.005.
const GALAXY_MIN: i32 = -11;

/// Dials of the network; everything else follows.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NetworkRecipe {
    pub depth: usize,
    pub width: usize,
    pub taps: usize,
    /// Rest-frame patterns for GALAXY, QSO, STAR.
    pub patterns: [usize; 3],
}

impl NetworkRecipe {
    pub fn config(&self) -> ShiftNetConfig {
        ShiftNetConfig {
            inputs: CHANNELS,
            width: self.width,
            depth: self.depth,
            taps: self.taps,
            patterns: self.patterns.iter().sum(),
            grid: POSITIONS,
            min_lag: MIN_LAG,
            lags: LAGS,
            nfft: NFFT,
        }
    }
    /// What is wrong with the dials, if anything.
    pub fn problem(&self) -> Option<&'static str> {
        let n: usize = self.patterns.iter().map(|p| (*p).min(1000)).sum();
        match () {
            () if self.width == 0 || !self.width.is_multiple_of(16) || self.width > 256 => {
                Some("width: expected a multiple of 16 up to 256")
            }
            () if self.taps.is_multiple_of(2) || self.taps > 7 => {
                Some("taps: expected 1, 3, 5 or 7")
            }
            () if self.depth > 64 => Some("depth: expected at most 64"),
            () if self.patterns.contains(&0) || n > 64 => {
                Some("patterns: expected at least 1 for each class and at most 64 in all")
            }
            () => None,
        }
    }
    /// Class of a pattern.
    pub fn class(&self, pattern: usize) -> SpecType {
        if pattern < self.patterns[0] {
            SpecType::Galaxy
        } else if pattern < self.patterns[0] + self.patterns[1] {
            SpecType::Qso
        } else {
            SpecType::Star
        }
    }
}

/// Lags that a class may take.
pub fn allowed(class: SpecType) -> std::ops::Range<usize> {
    let index = |lag: i32| (lag - MIN_LAG) as usize;
    match class {
        SpecType::Galaxy => index(GALAXY_MIN)..LAGS,
        SpecType::Qso => index(0)..LAGS,
        SpecType::Star => index(-STAR_LAG)..index(STAR_LAG) + 1,
    }
}

/// Fractional lag index of a redshift.
pub fn lag_of(z: f64) -> f64 {
    (1.0 + z).ln() / LAG - f64::from(MIN_LAG)
}

/// Redshift of a fractional lag index.
pub fn redshift_of(lag: f64) -> f64 {
    ((lag + f64::from(MIN_LAG)) * LAG).exp() - 1.0
}

/// For models that bring none: measured for the first shipped one with `slipher evaluate redshift --calibration -n 5000` (docs/EXPERIMENTS.md).
fn usual_dial() -> Dial {
    Dial(vec![
        (0.9, 0.1539),
        (0.95, 0.3812),
        (0.98, 0.7497),
        (0.99, 0.9353),
        (0.995, 0.9948),
        (0.999, 0.9999),
    ])
}

/// A trained model.
#[derive(Clone)]
pub struct Model {
    pub recipe: NetworkRecipe,
    pub net: ShiftNet,
    /// Predicts instead of our own kernels, if set.
    pub engine: Option<Arc<dyn Engine>>,
    /// Logits are multiplied by this before the softmax (fitted on held-out simulations).
    pub sharpness: f64,
    /// From the network's probabilities to honest ones.
    pub calibration: Calibration,
    /// What simulated spectra look like.
    pub familiar: Familiar,
    /// p_correct to accept for a purity, measured on held-out simulations.
    pub dial: Dial,
    /// Name and SHA-256 of the file.
    pub id: String,
    pub sha256: String,
    /// Training summary in JSON, as the file holds it.
    pub card: String,
}

/// A file that is no redshift model.
#[derive(Debug, thiserror::Error)]
pub enum ModelError {
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    #[error("{name} is not a redshift model of this version: {why}")]
    Shape { name: String, why: String },
}

impl Model {
    /// A new, untrained model.
    pub fn new(recipe: NetworkRecipe, seed: u64) -> Self {
        let net = ShiftNet::new(recipe.config(), seed);
        let (calibration, familiar) = (Calibration::default(), Familiar::default());
        Model {
            recipe,
            net,
            engine: None,
            sharpness: 1.0,
            calibration,
            familiar,
            dial: usual_dial(),
            id: "untrained".into(),
            sha256: String::new(),
            card: "{}".into(),
        }
    }

    /// Reads a model from the bytes of a file.
    ///
    /// # Errors
    /// If they are no safetensors or not of this shape.
    pub fn from_bytes(name: &str, bytes: &[u8]) -> Result<Self, ModelError> {
        let c = Checkpoint::from_bytes(name, bytes)?.unpacked(name.to_owned())?;
        let shape = |why: &str| ModelError::Shape {
            name: name.to_owned(),
            why: why.to_owned(),
        };
        let text = c
            .meta
            .get("network")
            .ok_or_else(|| shape("no 'network' in the metadata"))?;
        let recipe: NetworkRecipe =
            serde_json::from_str(text).map_err(|e| shape(&e.to_string()))?;
        if let Some(why) = recipe.problem() {
            return Err(shape(why));
        }
        let config = recipe.config();
        let trunk = c.tensor("trunk", config.trunk_weights())?;
        let mut patterns = vec![0.0; config.patterns * 16 * config.nfft];
        unpack(
            &c.tensor("patterns", config.patterns * 16 * SUPPORT)?,
            &mut patterns,
        );
        if trunk.iter().chain(&patterns).any(|w| !w.is_finite()) {
            return Err(shape("weights that are not finite"));
        }
        let sharpness = c
            .meta
            .get("sharpness")
            .and_then(|s| s.parse().ok())
            .unwrap_or(1.0);
        let dial = c
            .meta
            .get("dial")
            .and_then(|d| serde_json::from_str(d).ok())
            .unwrap_or_else(usual_dial);
        let calibration = c
            .meta
            .get("calibration")
            .and_then(|d| serde_json::from_str(d).ok())
            .unwrap_or_default();
        let familiar = read_familiar(&c)?;
        let sha256 = crate::shipped::sha256(bytes);
        let id = c.meta.get("id").cloned().unwrap_or_else(|| name.to_owned());
        let card = c.meta.get("card").cloned().unwrap_or_else(|| "{}".into());
        Ok(Model {
            recipe,
            net: ShiftNet::from_weights(config, trunk, patterns),
            engine: None,
            sharpness,
            calibration,
            familiar,
            dial,
            id,
            sha256,
            card,
        })
    }

    /// Reads a model file.
    ///
    /// # Errors
    /// As [`Model::from_bytes`], or the file cannot be read.
    pub fn read(path: &Path) -> Result<Self, ModelError> {
        let name = path.display().to_string();
        let bytes = std::fs::read(path).map_err(|source| CheckpointError::Io {
            what: "read",
            path: path.to_owned(),
            source,
        })?;
        Model::from_bytes(&name, &bytes)
    }

    /// The content of a model file.
    pub fn to_checkpoint(&self) -> Result<Checkpoint, ModelError> {
        let mut c = Checkpoint::default();
        c.tensors.insert("trunk".into(), self.net.trunk.clone());
        c.tensors
            .insert("patterns".into(), pack(&self.net.patterns));
        let mut note = |key: &str, text: Result<String, serde_json::Error>| match text {
            Ok(text) => drop(c.meta.insert(key.into(), text)),
            Err(_) => unreachable!("numbers and lists have a JSON form"),
        };
        note("network", serde_json::to_string(&self.recipe));
        note("sharpness", serde_json::to_string(&self.sharpness));
        note("dial", serde_json::to_string(&self.dial));
        note("calibration", serde_json::to_string(&self.calibration));
        if self.familiar.basis.iter().any(|b| !b.is_empty()) {
            note(
                "basis",
                serde_json::to_string(&self.familiar.basis.each_ref().map(Vec::len)),
            );
            note("known", serde_json::to_string(&self.familiar.known));
            c.tensors.insert(
                "basis".into(),
                self.familiar
                    .basis
                    .iter()
                    .flatten()
                    .flatten()
                    .copied()
                    .collect(),
            );
        }
        c.meta.insert("id".into(), self.id.clone());
        c.meta.insert("card".into(), self.card.clone());
        Ok(c)
    }

    /// Logits of a few spectra, on the device chosen.
    pub fn predict(&self, inputs: &[Input], out: &mut Prediction) {
        match &self.engine {
            Some(e) => e.predict(inputs, out),
            None => self.net.predict(inputs, out),
        }
    }

    /// Spectra to predict at a time.
    pub fn together(&self) -> usize {
        self.engine
            .as_ref()
            .map_or(slipher_nn::correlation::TOGETHER, |e| e.together())
    }

    /// Class of each pattern, in the order of the logits.
    pub fn classes(&self) -> Vec<SpecType> {
        (0..self.net.config.patterns)
            .map(|p| self.recipe.class(p))
            .collect()
    }
}

/// Rest-frame positions that any (observed position − lag) can reach.
pub const SUPPORT: usize = POSITIONS + LAGS;

/// Basis and distributions of [`Familiar`]; empty in models that have none.
fn read_familiar(c: &Checkpoint) -> Result<Familiar, ModelError> {
    let Some(counts) = c
        .meta
        .get("basis")
        .and_then(|t| serde_json::from_str::<[usize; 3]>(t).ok())
        .filter(|n| n.iter().all(|n| *n <= 64))
    else {
        return Ok(Familiar::default());
    };
    let all = c.tensor("basis", counts.iter().sum::<usize>() * SUPPORT)?;
    let mut vectors = all.chunks_exact(SUPPORT).map(<[f32]>::to_vec);
    let basis = counts.map(|n| vectors.by_ref().take(n).collect());
    let known = c
        .meta
        .get("known")
        .and_then(|t| serde_json::from_str(t).ok())
        .unwrap_or_default();
    Ok(Familiar { basis, known })
}

/// Keeps the reachable part of each pattern, stored from the lowest rest position.
fn pack(patterns: &[f32]) -> Vec<f32> {
    patterns
        .chunks_exact(NFFT)
        .flat_map(|row| (0..SUPPORT).map(|i| row[slot(i)]))
        .collect()
}

fn unpack(packed: &[f32], patterns: &mut [f32]) {
    for (row, from) in patterns
        .chunks_exact_mut(NFFT)
        .zip(packed.chunks_exact(SUPPORT))
    {
        for (i, v) in from.iter().enumerate() {
            row[slot(i)] = *v;
        }
    }
}

/// Index modulo the transform of the i-th reachable rest position.
fn slot(i: usize) -> usize {
    let lowest = -(LAGS as i64 - 1 + i64::from(MIN_LAG));
    (i as i64 + lowest).rem_euclid(NFFT as i64) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lags_and_redshifts_invert() {
        for z in [-0.005, 0.0, 0.5, 3.0, 7.0] {
            assert!((redshift_of(lag_of(z)) - z).abs() < 1e-9);
            assert!(lag_of(z) >= 0.0 && lag_of(z) < LAGS as f64);
        }
        const { assert!(POSITIONS + LAGS <= NFFT) };
    }

    #[test]
    fn a_model_survives_the_disk() {
        let recipe = NetworkRecipe {
            depth: 2,
            width: 16,
            taps: 5,
            patterns: [1, 1, 1],
        };
        let mut m = Model::new(recipe, 1);
        m.dial = Dial(vec![(0.9, 0.3)]);
        m.calibration.phase.0 = [0.1, 0.2, 0.3];
        m.familiar.basis = [
            vec![vec![0.5; SUPPORT]; 2],
            vec![],
            vec![vec![2.0; SUPPORT]],
        ];
        for i in 0..SUPPORT {
            m.net.patterns[slot(i)] = i as f32;
        }
        let bytes = m.to_checkpoint().unwrap().to_bytes().unwrap();
        let back = Model::from_bytes("x", &bytes).unwrap();
        assert_eq!(
            (back.net.trunk, back.net.patterns, back.dial),
            (m.net.trunk, m.net.patterns, m.dial)
        );
        assert_eq!(
            (back.calibration, back.familiar),
            (m.calibration, m.familiar)
        );
        assert!(Model::from_bytes("x", &bytes[..bytes.len() / 2]).is_err());
        assert!(Model::from_bytes("x", b"hello").is_err());
    }
}
