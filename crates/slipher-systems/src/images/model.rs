//! A trained image model: network, views, calibration, on disk and in use.

use std::path::Path;

use rayon::prelude::*;
use slipher_nn::checkpoint::{Checkpoint, CheckpointError};
use slipher_nn::ensemble::Combination;
use slipher_nn::network::Network;
use slipher_nn::predictor::{Precision, Predictor};

use super::architecture::Architecture;
use super::calibration::Calibration;
use super::set::Set;
use super::train::Recipe;
use super::{System, by_name};

/// A network that answers.
pub struct Model {
    pub id: String,
    pub system: Box<dyn System>,
    pub architecture: Architecture,
    /// One, or an ensemble of the same architecture.
    pub nets: Vec<Network>,
    /// Of the outputs of classifiers.
    pub calibration: Calibration,
    /// Of networks and views, `[network · view]`.
    pub combination: Combination,
    /// As JSON.
    pub recipe: String,
    pub sha256: String,
    predictors: Vec<Predictor>,
}

/// Sets of combinations that are drawn to weight views.
const SETS: usize = 200;

impl Model {
    /// Calibrates trained networks of one architecture, one or an ensemble, on validation rows.
    pub fn fit(
        system: &dyn System,
        architecture: &Architecture,
        nets: Vec<Network>,
        recipe: &Recipe,
        id: &str,
        validation: &Set,
    ) -> Model {
        let members = nets.len() * architecture.views.len().max(1);
        let mut m = Model {
            id: id.to_owned(),
            system: by_name(system.name()).expect("systems know their names"),
            architecture: architecture.clone(),
            predictors: nets
                .iter()
                .map(|n| Predictor::new(n, Precision::F32))
                .collect(),
            nets,
            calibration: Calibration::none(system.outputs().len()),
            combination: Combination::uniform(members),
            recipe: serde_json::to_string(recipe).unwrap_or_default(),
            sha256: String::new(),
        };
        if system.is_classifier() && validation.rows() > 0 {
            let outputs = m.outputs(&validation.images);
            m.calibration = Calibration::fit(&outputs, &validation.truth, system.outputs().len());
            if members > 1 {
                m.combination = m.weigh(&outputs, validation);
            }
        }
        m
    }

    /// Weights of all networks, those that are tied counted once.
    pub fn parameters(&self) -> usize {
        self.nets.iter().map(Network::parameters).sum()
    }

    /// Bayesian model combination of networks and views.
    fn weigh(&self, outputs: &[Vec<f32>], validation: &Set) -> Combination {
        let n = self.system.outputs().len();
        let labels = validation.labels(n);
        let given: Vec<Vec<f32>> = outputs.iter().map(|o| self.answers_of(o)).collect();
        Combination::fit(outputs.len(), labels.len(), SETS, 1, |view, row| {
            f64::from(given[view][row * n + labels[row]])
        })
    }

    fn answers_of(&self, outputs: &[f32]) -> Vec<f32> {
        let mut a = outputs.to_vec();
        self.calibration.apply(&mut a);
        a.chunks_exact_mut(self.system.outputs().len())
            .for_each(|row| self.system.answer(row));
        a
    }

    /// Outputs of the networks, `[network · view][row · output]`.
    fn outputs(&self, images: &[Vec<f32>]) -> Vec<Vec<f32>> {
        let g = self.system.geometry();
        let of = |predictor: &Predictor, view: &super::views::View| {
            let mut out = Vec::new();
            for block in images.chunks(256) {
                let inputs: Vec<Vec<f32>> = block
                    .par_iter()
                    .map(|image| {
                        let (mut v, mut x) = (vec![], vec![]);
                        view.of(g, image, &mut v);
                        self.architecture.input(g, &v, &mut x);
                        x
                    })
                    .collect();
                out.extend(predictor.predict(&inputs.concat()));
            }
            out
        };
        self.predictors
            .iter()
            .flat_map(|p| {
                self.architecture
                    .views
                    .iter()
                    .map(|v| of(p, v))
                    .collect::<Vec<_>>()
            })
            .collect()
    }

    /// Answers `[row][output]` for encoded images.
    pub fn predict(&self, images: &[Vec<f32>]) -> Vec<f32> {
        let given: Vec<Vec<f32>> = self
            .outputs(images)
            .iter()
            .map(|o| self.answers_of(o))
            .collect();
        self.combination.combine(given.iter().map(Vec::as_slice))
    }

    /// Writes atomically.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn write(&self, path: &Path) -> Result<(), CheckpointError> {
        self.to_checkpoint().write(path)
    }

    fn to_checkpoint(&self) -> Checkpoint {
        let mut c = Checkpoint::default();
        for (k, net) in self.nets.iter().enumerate() {
            for t in net.tensors() {
                c.tensors.insert(member(k, &t.name), t.values);
            }
            c.tensors.insert(member(k, "running"), net.running.clone());
        }
        c.meta.insert("members".into(), self.nets.len().to_string());
        c.meta.insert("kind".into(), "slipher image model 1".into());
        c.meta.insert("id".into(), self.id.clone());
        c.meta.insert("system".into(), self.system.name().into());
        c.meta.insert(
            "architecture".into(),
            serde_json::to_string(&self.architecture).unwrap_or_default(),
        );
        c.meta.insert(
            "combination".into(),
            serde_json::to_string(&self.combination.weights).unwrap_or_default(),
        );
        c.meta.insert(
            "calibration".into(),
            serde_json::to_string(&self.calibration).unwrap_or_default(),
        );
        c.meta.insert("recipe".into(), self.recipe.clone());
        c
    }

    /// Reads a model file.
    ///
    /// # Errors
    /// Not a model of an image system.
    pub fn read(path: &Path) -> Result<Model, CheckpointError> {
        let bytes = std::fs::read(path).map_err(|source| CheckpointError::Io {
            what: "read",
            path: path.to_owned(),
            source,
        })?;
        Model::from_bytes(&path.display().to_string(), &bytes)
    }

    /// From the bytes of a model file; `name` is for messages.
    ///
    /// # Errors
    /// Not a model of an image system.
    pub fn from_bytes(name: &str, bytes: &[u8]) -> Result<Model, CheckpointError> {
        let bad = |why: String| CheckpointError::Format {
            name: name.to_owned(),
            why,
        };
        let c = Checkpoint::from_bytes(name, bytes)?.unpacked(name.to_owned())?;
        let meta = |key: &str| {
            c.meta.get(key).cloned().ok_or_else(|| bad(format!("'{key}' is missing: expected a file written by 'slipher train' for an image system")))
        };
        let system = by_name(&meta("system")?)
            .ok_or_else(|| bad("made for a system that this version does not know".into()))?;
        let architecture: Architecture =
            serde_json::from_str(&meta("architecture")?).map_err(|e| bad(e.to_string()))?;
        let weights: Vec<f64> =
            serde_json::from_str(&meta("combination")?).map_err(|e| bad(e.to_string()))?;
        // Files of before there were ensembles do not say how many.
        let members = c.meta.get("members").map_or(Some(1), |m| {
            m.parse::<usize>().ok().filter(|m| (1..=MOST).contains(m))
        });
        let members = members.ok_or_else(|| bad(format!("'members': expected 1 to {MOST}")))?;
        if weights.len() != members * architecture.views.len()
            || weights.iter().any(|w| !w.is_finite())
        {
            return Err(bad("a weight for each network and view is expected".into()));
        }
        let calibration: Calibration =
            serde_json::from_str(&meta("calibration")?).map_err(|e| bad(e.to_string()))?;
        if calibration.biases.len() != system.outputs().len() {
            return Err(bad("a bias for each class is expected".into()));
        }
        let read = |k: usize| {
            let mut net = architecture
                .build(system.geometry(), system.outputs().len(), 0)
                .map_err(|e| bad(e.to_string()))?;
            let values = net
                .tensors()
                .iter()
                .map(|t| c.tensor(&member(k, &t.name), t.values.len()))
                .collect::<Result<Vec<_>, _>>()?;
            net.set_tensors(&values).map_err(bad)?;
            net.running = c.tensor(&member(k, "running"), net.running.len())?;
            Ok(net)
        };
        let nets = (0..members)
            .map(read)
            .collect::<Result<Vec<Network>, CheckpointError>>()?;
        let sha256 = crate::shipped::sha256(bytes);
        let predictors = nets
            .iter()
            .map(|n| Predictor::new(n, Precision::F32))
            .collect();
        let recipe = c.meta.get("recipe").cloned().unwrap_or_default();
        Ok(Model {
            id: meta("id")?,
            system,
            architecture,
            nets,
            calibration,
            combination: Combination { weights },
            recipe,
            sha256,
            predictors,
        })
    }
}

/// Most networks in a file.
const MOST: usize = 64;

/// Name of a tensor of network `k`.
fn member(k: usize, name: &str) -> String {
    if k == 0 {
        name.to_owned()
    } else {
        format!("member{k}.{name}")
    }
}
