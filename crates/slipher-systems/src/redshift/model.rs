//! The redshift model: shape, weights, calibration; on disk as safetensors.

use std::path::Path;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use slipher_nn::checkpoint::{Array, Checkpoint, CheckpointError, read, sha256};
use slipher_nn::lanes::WIDTH;
use slipher_nn::shiftnet::{Backend, BackendError, Input, Prediction, ShiftNet, ShiftNetConfig};
use slipher_sim::sed::SpecType;

use super::calibrate::Calibration;
use super::encode::{CHANNELS, POSITIONS};
use super::goodness::GoodnessOfFit;
use super::lag::{LAGS, MIN_LAG, NFFT, SUPPORT};
use super::subtype::{Kind, letter};
use slipher_stats::calibration::PurityThresholds;

/// Size of the network; everything else follows.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NetworkRecipe {
    /// Residual blocks.
    pub depth: usize,
    /// Channels of each.
    pub width: usize,
    /// Length of the filters in pixels.
    pub taps: usize,
    /// Rest-frame patterns for GALAXY, QSO, STAR.
    pub patterns: [usize; 3],
}

impl NetworkRecipe {
    /// All sizes of the network.
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
    /// What is out of range, if anything.
    pub fn problem(&self) -> Option<&'static str> {
        let n: usize = self.patterns.iter().map(|p| (*p).min(1000)).sum();
        let width = self.width == 0 || !self.width.is_multiple_of(16) || self.width > 256;
        let problems = [
            (width, "width: expected a multiple of 16 up to 256"),
            (
                self.taps.is_multiple_of(2) || self.taps > 7,
                "taps: expected 1, 3, 5 or 7",
            ),
            (self.depth > 64, "depth: expected at most 64"),
            (
                self.patterns.contains(&0) || n > 64,
                "patterns: expected at least 1 for each class and at most 64 in all",
            ),
        ];
        problems.iter().find(|p| p.0).map(|p| p.1)
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

/// For models that are not exported yet: measured for the first shipped one with `slipher evaluate
/// redshift --calibration -n 5000` (docs/EXPERIMENTS.md).
fn default_thresholds() -> PurityThresholds {
    PurityThresholds(vec![
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
    /// Size of the network.
    pub recipe: NetworkRecipe,
    /// Its weights.
    pub net: ShiftNet,
    /// Predicts instead of our own kernels, if set.
    pub backend: Option<Arc<dyn Backend>>,
    /// Lags that it was trained for, the lowest first: models of 0.1 end at z = 7.05.
    pub lags: usize,
    /// Logits are multiplied by this before the softmax (fitted on held-out simulations).
    pub sharpness: f64,
    /// From the network's probabilities to calibrated ones.
    pub calibration: Calibration,
    /// What simulated spectra look like.
    pub goodness: GoodnessOfFit,
    /// Stars by spectral type; empty: the built-in ones serve.
    pub subtypes: Vec<Kind>,
    /// p_correct to accept for a purity, measured on held-out simulations.
    pub thresholds: PurityThresholds,
    /// Name and SHA-256 of the file.
    pub id: String,
    /// Of the bytes of the file, in hexadecimal.
    pub sha256: String,
    /// Training summary in JSON, as the file holds it.
    pub card: String,
}

/// A file that is no redshift model.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say it")]
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
        let (calibration, goodness) = (Calibration::default(), GoodnessOfFit::default());
        Model {
            recipe,
            net,
            backend: None,
            lags: LAGS,
            sharpness: 1.0,
            calibration,
            goodness,
            subtypes: vec![],
            thresholds: default_thresholds(),
            id: "untrained".into(),
            sha256: String::new(),
            card: "{}".into(),
        }
    }

    /// Reads a model from the bytes of a file.
    ///
    /// # Errors
    /// If they are no safetensors, not of this shape, or damaged: nothing falls back to a default.
    pub fn from_bytes(name: &str, bytes: &[u8]) -> Result<Self, ModelError> {
        let c = Checkpoint::from_bytes(name, bytes)?;
        // Models of 0.1 do not say what they are; other keys are required all the same.
        let old = !c.meta.contains_key("kind");
        if !old {
            c.expect_kind(KIND)?;
        }
        let bad = |why: &str| ModelError::Shape {
            name: name.to_owned(),
            why: why.to_owned(),
        };
        let recipe: NetworkRecipe = c.get("network")?;
        if let Some(why) = recipe.problem() {
            return Err(bad(why));
        }
        let lags = if c.meta.contains_key("lags") {
            c.get("lags")?
        } else {
            OLD_LAGS
        };
        if ![OLD_LAGS, LAGS].contains(&lags) {
            return Err(bad(
                "'lags': expected the 4550 of 0.1 or those of this version",
            ));
        }
        let net = if old {
            old_network(&c, &recipe, lags)?
        } else {
            read_network(&c, &recipe, lags)?
        };
        let [temperature, thresholds, known] = if old {
            ["sharpness", "dial", "known"]
        } else {
            [
                "inverse_temperature",
                "purity_thresholds",
                "goodness_of_fit",
            ]
        };
        let sharpness: f64 = c.get(temperature)?;
        let thresholds: PurityThresholds = c.get(thresholds)?;
        let calibration: Calibration = c.get("calibration")?;
        let shares = thresholds
            .0
            .iter()
            .all(|d| (0.0..=1.0).contains(&d.0) && (0.0..=1.0).contains(&d.1));
        if !(sharpness > 0.0 && sharpness.is_finite()) || thresholds.0.is_empty() || !shares {
            return Err(bad(
                "expected a positive temperature, and purities with their thresholds",
            ));
        }
        if !calibration.is_sound() {
            return Err(bad(
                "'calibration': expected finite numbers, and as many as there are features",
            ));
        }
        let basis = if old {
            old_basis(&c, lags)?
        } else {
            read_basis(&c, lags)?
        };
        let goodness = GoodnessOfFit {
            basis,
            known: c.get(known)?,
        };
        Ok(Model {
            net,
            backend: None,
            lags,
            sharpness,
            calibration,
            goodness,
            subtypes: read_subtypes(&c)?,
            thresholds,
            id: c.get("id")?,
            sha256: sha256(bytes),
            card: c.get::<serde_json::Value>("card")?.to_string(),
            recipe,
        })
    }

    /// Reads a model file.
    ///
    /// # Errors
    /// As [`Model::from_bytes`], or the file cannot be read.
    pub fn read(path: &Path) -> Result<Self, ModelError> {
        Model::from_bytes(&path.display().to_string(), &read(path)?)
    }

    /// The model that comes with Slipher.
    ///
    /// # Errors
    /// It is left out of this build (feature `redshift` of `slipher-models`).
    pub fn shipped() -> Result<Self, ModelError> {
        let missing = || ModelError::Shape {
            name: "the shipped model".into(),
            why: "it is left out of this build".into(),
        };
        Model::from_bytes(
            "the shipped model",
            slipher_models::weights("redshift").ok_or_else(missing)?,
        )
    }

    /// Name and hash, to be named by what was made from it.
    pub fn named(&self) -> String {
        format!("{} {}", self.id, self.sha256)
    }

    /// Adds an entry to the card.
    pub fn note(&mut self, key: &str, value: &serde_json::Value) {
        let card = serde_json::from_str::<serde_json::Value>(&self.card);
        if let Ok(serde_json::Value::Object(mut map)) = card {
            map.insert(key.to_owned(), value.clone());
            self.card = serde_json::Value::Object(map).to_string();
        }
    }

    /// The content of a model file.
    ///
    /// # Errors
    /// Numbers that have no JSON form.
    pub fn to_checkpoint(&self) -> Result<Checkpoint, ModelError> {
        let mut c = Checkpoint::default();
        let shapes = ShiftNet::layer_shapes(&self.net.config);
        for ((name, shape), (_, w, b)) in shapes.into_iter().zip(self.net.layers()) {
            c.tensors
                .insert(format!("{name}.weight"), Array::new(shape.to_vec(), w));
            c.tensors.insert(format!("{name}.bias"), Array::flat(b));
        }
        let patterns = vec![self.net.config.patterns, WIDTH, SUPPORT];
        c.tensors.insert(
            "patterns.weight".into(),
            Array::new(patterns, pack(self.net.patterns())),
        );
        c.tensors.insert(
            "patterns.bias".into(),
            Array::flat(self.net.pattern_bias().to_vec()),
        );
        for (class, basis) in SpecType::ALL.iter().zip(&self.goodness.basis) {
            let values = basis.iter().flatten().copied().collect();
            c.tensors.insert(
                basis_name(*class),
                Array::new(vec![basis.len(), SUPPORT], values),
            );
        }
        if !self.subtypes.is_empty() {
            let flux = self.subtypes.iter().flat_map(|k| &k.flux).copied();
            let shape = vec![self.subtypes.len(), POSITIONS];
            c.tensors
                .insert(SUBTYPES.into(), Array::new(shape, flux.collect()));
            let letters: Vec<&str> = self.subtypes.iter().map(|k| k.letter).collect();
            c.set("subtypes", &letters)?;
        }
        let card: serde_json::Value =
            serde_json::from_str(&self.card).map_err(|e| ModelError::Shape {
                name: self.id.clone(),
                why: format!("card: {e}"),
            })?;
        c.set("kind", &KIND)?;
        c.set("system", &"redshift")?;
        c.set("network", &self.recipe)?;
        c.set("lags", &self.lags)?;
        c.set("inverse_temperature", &self.sharpness)?;
        c.set("purity_thresholds", &self.thresholds)?;
        c.set("calibration", &self.calibration)?;
        c.set("goodness_of_fit", &self.goodness.known)?;
        c.set("id", &self.id)?;
        c.set("card", &card)?;
        Ok(c)
    }

    /// Logits of a few spectra, on the device chosen.
    ///
    /// # Errors
    /// The device has not answered.
    pub fn predict(&self, inputs: &[Input], out: &mut Prediction) -> Result<(), BackendError> {
        match &self.backend {
            Some(b) => b.predict(inputs, out)?,
            None => self.net.predict(inputs, out),
        }
        if self.lags < LAGS {
            for row in out.logits.iter_mut().flat_map(|l| l.chunks_exact_mut(LAGS)) {
                row[self.lags..].fill(-1e9);
            }
        }
        Ok(())
    }

    /// Spectra to predict at a time.
    pub fn batch_size(&self) -> usize {
        self.backend
            .as_ref()
            .map_or(slipher_nn::correlation::TOGETHER, |b| b.batch_size())
    }

    /// Class of each pattern, in the order of the logits.
    pub fn classes(&self) -> Vec<SpecType> {
        (0..self.net.config.patterns)
            .map(|p| self.recipe.class(p))
            .collect()
    }
}

/// What a model file calls itself.
const KIND: &str = "slipher redshift model 2";
/// Most components of a class.
const MOST: usize = 64;
/// Lags of models that do not say how many, to z = 7.05.
const OLD_LAGS: usize = 4550;

/// Tensor of the spectra of stars.
const SUBTYPES: &str = "subtypes.flux";

/// Stars by type, if the file has any.
fn read_subtypes(c: &Checkpoint) -> Result<Vec<Kind>, ModelError> {
    // Files without stars have neither.
    if !c.meta.contains_key("subtypes") && !c.tensors.contains_key(SUBTYPES) {
        return Ok(vec![]);
    }
    let letters: Vec<String> = c.get("subtypes")?;
    let known: Option<Vec<&'static str>> = letters.iter().map(|l| letter(l)).collect();
    let known = known
        .filter(|k| k.len() <= 1000)
        .ok_or_else(|| ModelError::Shape {
            name: "the model".into(),
            why: "'subtypes': expected spectral types O to T".into(),
        })?;
    let flux = c.weights(SUBTYPES, known.len() * POSITIONS)?;
    let kinds = known.into_iter().zip(flux.chunks_exact(POSITIONS));
    Ok(kinds
        .map(|(letter, flux)| Kind {
            letter,
            flux: flux.to_vec(),
        })
        .collect())
}

fn basis_name(class: SpecType) -> String {
    format!("basis.{}", class.name().to_lowercase())
}

fn read_network(
    c: &Checkpoint,
    recipe: &NetworkRecipe,
    lags: usize,
) -> Result<ShiftNet, ModelError> {
    let config = recipe.config();
    let mut layers = Vec::new();
    for (name, shape) in ShiftNet::layer_shapes(&config) {
        let weights = c.weights(&format!("{name}.weight"), shape.iter().product())?;
        layers.push((weights, c.weights(&format!("{name}.bias"), shape[0])?));
    }
    let bias = c.weights("patterns.bias", config.patterns)?;
    let patterns = read_patterns(c, "patterns.weight", &config, lags)?;
    Ok(ShiftNet::from_layers(config, &layers, &bias, patterns))
}

/// As 0.1 wrote it: in the order of the kernels.
fn old_network(
    c: &Checkpoint,
    recipe: &NetworkRecipe,
    lags: usize,
) -> Result<ShiftNet, ModelError> {
    let config = recipe.config();
    let trunk = c.weights("trunk", config.trunk_weights())?;
    let patterns = read_patterns(c, "patterns", &config, lags)?;
    Ok(ShiftNet::from_weights(config, trunk, patterns))
}

/// Patterns of a model with so many lags, in their slots of the transform.
fn read_patterns(
    c: &Checkpoint,
    name: &str,
    config: &ShiftNetConfig,
    lags: usize,
) -> Result<Vec<f32>, ModelError> {
    let support = POSITIONS + lags;
    let packed = c.weights(name, config.patterns * WIDTH * support)?;
    let mut patterns = vec![0.0; config.patterns * WIDTH * config.nfft];
    for (row, from) in patterns
        .chunks_exact_mut(NFFT)
        .zip(packed.chunks_exact(support))
    {
        for (i, v) in from.iter().enumerate() {
            // The highest rest position is the same for any number of lags.
            row[slot(i + SUPPORT - support)] = *v;
        }
    }
    Ok(patterns)
}

type Basis = [Vec<Vec<f32>>; 3];

/// Components of `support` positions, with nothing below the lowest that was stored.
fn components(values: &[f32], support: usize) -> Vec<Vec<f32>> {
    let whole = |v: &[f32]| {
        let mut out = vec![0.0; SUPPORT - support];
        out.extend_from_slice(v);
        out
    };
    values.chunks_exact(support).map(whole).collect()
}

fn read_basis(c: &Checkpoint, lags: usize) -> Result<Basis, ModelError> {
    let support = POSITIONS + lags;
    let mut basis = Basis::default();
    for (class, own) in SpecType::ALL.iter().zip(&mut basis) {
        let name = basis_name(*class);
        let n = c
            .tensors
            .get(&name)
            .and_then(|a| a.shape.first())
            .map_or(0, |n| (*n).min(MOST));
        *own = components(&c.weights(&name, n * support)?, support);
    }
    Ok(basis)
}

fn old_basis(c: &Checkpoint, lags: usize) -> Result<Basis, ModelError> {
    let counts: [usize; 3] = c.get("basis")?;
    let support = POSITIONS + lags;
    let all = c.weights(
        "basis",
        counts.iter().map(|n| (*n).min(MOST)).sum::<usize>() * support,
    )?;
    let mut vectors = components(&all, support).into_iter();
    Ok(counts.map(|n| vectors.by_ref().take(n).collect()))
}

/// Keeps the reachable part of each pattern, stored from the lowest rest position.
fn pack(patterns: &[f32]) -> Vec<f32> {
    patterns
        .chunks_exact(NFFT)
        .flat_map(|row| (0..SUPPORT).map(|i| row[slot(i)]))
        .collect()
}

/// Index modulo the transform of the i-th reachable rest position.
fn slot(i: usize) -> usize {
    let lowest = -(LAGS as i64 - 1 + i64::from(MIN_LAG));
    (i as i64 + lowest).rem_euclid(NFFT as i64) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    fn example() -> Model {
        let recipe = NetworkRecipe {
            depth: 2,
            width: 16,
            taps: 5,
            patterns: [1, 1, 1],
        };
        let mut m = Model::new(recipe, 1);
        m.thresholds = PurityThresholds(vec![(0.9, 0.3)]);
        m.calibration.phase.0 = [0.1, 0.2, 0.3];
        m.goodness.basis = [
            vec![vec![0.5; SUPPORT]; 2],
            vec![],
            vec![vec![2.0; SUPPORT]],
        ];
        m.subtypes = vec![Kind {
            letter: "K",
            flux: vec![1.5; POSITIONS],
        }];
        m.net
            .update(|_, patterns| (0..SUPPORT).for_each(|i| patterns[slot(i)] = i as f32));
        m
    }

    #[test]
    fn a_model_survives_the_disk() {
        let m = example();
        let bytes = m.to_checkpoint().unwrap().to_bytes().unwrap();
        let back = Model::from_bytes("x", &bytes).unwrap();
        assert_eq!(
            (back.net.trunk(), back.net.patterns()),
            (m.net.trunk(), m.net.patterns())
        );
        assert_eq!(
            (back.thresholds, back.calibration, back.goodness),
            (m.thresholds, m.calibration, m.goodness)
        );
        assert_eq!(back.subtypes, m.subtypes);
        assert!(Model::from_bytes("x", &bytes[..bytes.len() / 2]).is_err());
        assert!(Model::from_bytes("x", b"hello").is_err());
    }

    /// A damaged calibration must not give uncalibrated probabilities without a word.
    #[test]
    fn nothing_falls_back_to_a_default() {
        let whole = example().to_checkpoint().unwrap();
        let read = |c: &Checkpoint| Model::from_bytes("x", &c.to_bytes().unwrap());
        assert!(read(&whole).is_ok());
        for key in whole.meta.keys().filter(|k| *k != "system") {
            let mut c = whole.clone();
            c.meta.remove(key);
            assert!(read(&c).is_err(), "without {key}");
            c.meta
                .insert(key.clone(), serde_json::json!({ "damaged": [1, 2] }));
            // The card is free text.
            assert!(read(&c).is_err() || key == "card", "{key} of another type");
        }
        for key in whole.tensors.keys() {
            let mut c = whole.clone();
            let a = c.tensors.remove(key).unwrap();
            assert!(read(&c).is_err(), "without {key}");
            if let Some(v) = a.values.first() {
                let nan = Array::new(a.shape.clone(), vec![v * f32::NAN; a.values.len()]);
                c.tensors.insert(key.clone(), nan);
                assert!(read(&c).is_err(), "{key} of no numbers");
            }
        }
    }
}
