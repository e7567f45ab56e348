//! A trained model of a system: networks, views, calibrated head; on disk and in use.

use std::path::Path;

use rayon::prelude::*;
use serde_json::Value;
use slipher_nn::checkpoint::{Array, Checkpoint, CheckpointError, read, sha256};
use slipher_nn::ensemble::Combination;
use slipher_nn::heads::Head;
use slipher_nn::network::Network;
use slipher_nn::predictor::{Precision, Predictor};

use crate::architecture::Architecture;
use crate::familiarity::Familiarity;
use crate::few;
use crate::set::Set;
use crate::system::System;
use crate::views::View;

/// What a model file calls itself.
pub const KIND: &str = "slipher model 2";
/// And what it did in 0.1.
const OLD_KIND: &str = "slipher image model 1";

/// Networks that answer.
pub struct Model {
    /// Name of the model.
    pub id: String,
    /// Whose questions they answer.
    pub system: &'static dyn System,
    /// Of each of the networks.
    pub architecture: Architecture,
    /// One, or an ensemble of the same architecture.
    pub nets: Vec<Network>,
    /// Calibrated.
    pub head: Box<dyn Head>,
    /// Of networks and views, `[network · view]`.
    pub combination: Combination,
    /// As it was trained.
    pub recipe: Value,
    /// What it has seen; none in files of 0.1, and where validation rows were too few.
    pub familiarity: Option<Box<Familiarity>>,
    /// Of the file; empty if it was never one.
    pub sha256: String,
    predictors: Vec<Predictor>,
}

/// Sets of combinations that are drawn to weight views.
const SETS: usize = 200;
/// Images that go through a network at a time.
const BLOCK: usize = 256;

fn predictors(nets: &[Network], precision: Precision) -> Vec<Predictor> {
    nets.iter().map(|n| Predictor::new(n, precision)).collect()
}

impl Model {
    /// Calibrates trained networks of one architecture, one or an ensemble, on validation rows.
    pub fn fit(
        system: &'static dyn System,
        architecture: &Architecture,
        nets: Vec<Network>,
        recipe: Value,
        id: &str,
        validation: &Set,
    ) -> Model {
        let mut m = Model::of(system, architecture, nets, recipe, id);
        let members = m.members();
        if validation.rows() > 0 {
            let (outputs, embeddings) = m.outputs(&validation.images);
            m.familiarity = m.familiar_with(&validation.images, &embeddings, 0);
            m.head.calibrate(&outputs, &validation.truth);
            if members > 1 {
                m.combination = m.weigh(&outputs, validation);
            }
        }
        m
    }

    /// Networks that are not calibrated, which count alike.
    pub fn of(
        system: &'static dyn System,
        architecture: &Architecture,
        nets: Vec<Network>,
        recipe: Value,
        id: &str,
    ) -> Model {
        let members = nets.len() * architecture.views.len().max(1);
        Model {
            id: id.to_owned(),
            system,
            architecture: architecture.clone(),
            predictors: predictors(&nets, Precision::F32),
            nets,
            head: system.head(),
            combination: Combination::uniform(members),
            recipe,
            familiarity: None,
            sha256: String::new(),
        }
    }

    /// The same in another arithmetic, where the processor has it.
    pub fn with_precision(mut self, precision: Precision) -> Model {
        self.predictors = predictors(&self.nets, precision);
        self
    }

    /// The arithmetic in use.
    pub fn precision(&self) -> Precision {
        self.predictors
            .first()
            .map_or(Precision::F32, Predictor::precision)
    }

    /// Weights of all networks, those that are tied counted once.
    pub fn parameters(&self) -> usize {
        self.nets.iter().map(Network::parameters).sum()
    }

    /// Values of an answer.
    pub fn width(&self) -> usize {
        self.head.width(self.members())
    }

    fn members(&self) -> usize {
        self.nets.len() * self.architecture.views.len()
    }

    /// Bayesian model combination of networks and views.
    fn weigh(&self, outputs: &[Vec<f32>], validation: &Set) -> Combination {
        let (n, targets) = (self.head.width(1), self.head.targets());
        let given: Vec<Vec<f32>> = outputs.iter().map(|o| self.decoded(o)).collect();
        Combination::fit(outputs.len(), validation.rows(), SETS, 1, |member, row| {
            let target = &validation.truth[row * targets..(row + 1) * targets];
            self.head
                .likelihood(&given[member][row * n..(row + 1) * n], target)
        })
    }

    /// Answers of one member.
    fn decoded(&self, outputs: &[f32]) -> Vec<f32> {
        let (n, units) = (self.head.width(1), self.head.units());
        let mut answers = vec![0.0; outputs.len() / units * n];
        for (o, a) in outputs.chunks_exact(units).zip(answers.chunks_exact_mut(n)) {
            self.head.decode(o, a);
        }
        answers
    }

    /// Outputs and embeddings of the networks, `[network · view][row · value]`.
    pub(crate) fn outputs(&self, images: &[Vec<f32>]) -> (Vec<Vec<f32>>, Vec<Vec<f32>>) {
        let g = self.system.geometry();
        let of = |predictor: &Predictor, view: &View| {
            let (mut out, mut embedding) = (Vec::new(), Vec::new());
            for block in images.chunks(BLOCK) {
                let input = |image: &Vec<f32>| {
                    let (mut v, mut x) = (vec![], vec![]);
                    view.of(g, image, &mut v);
                    self.architecture.input(g, &v, &mut x);
                    x
                };
                let x: Vec<Vec<f32>> = block.par_iter().map(input).collect();
                let (o, e) = predictor.predict_with_embedding(&x.concat());
                out.extend(o);
                embedding.extend(e);
            }
            (out, embedding)
        };
        let each = |p| self.architecture.views.iter().map(move |v| (p, v));
        self.predictors
            .iter()
            .flat_map(each)
            .map(|(p, v)| of(p, v))
            .unzip()
    }

    /// Learns what images of its own kind look like from some that it was not trained on, of which
    /// the last `real` are real where the others are simulated.
    pub fn see(&mut self, images: &[Vec<f32>], real: usize) {
        let embeddings = self.outputs(images).1;
        self.familiarity = self.familiar_with(images, &embeddings, real);
    }

    fn familiar_with(
        &self,
        images: &[Vec<f32>],
        of: &[Vec<f32>],
        real: usize,
    ) -> Option<Box<Familiarity>> {
        let rows = embeddings(of, images.len());
        // A network of images to images has nothing that stands for the whole.
        let short = rows
            .first()
            .is_some_and(|e| (1..=LONGEST).contains(&e.len()));
        short
            .then(|| Familiarity::fit(self.system.geometry(), images, &rows, real))
            .flatten()
            .map(Box::new)
    }

    /// Features of rows as [`Familiarity`] takes them, from `[network · view][row · value]`.
    pub(crate) fn familiar_features(&self, of: &[Vec<f32>], rows: usize) -> Vec<Vec<f32>> {
        embeddings(of, rows)
    }

    /// Answers `[row][value]` for encoded images.
    pub fn predict(&self, images: &[Vec<f32>]) -> Vec<f32> {
        self.answers(images, &self.outputs(images).0)
    }

    /// The same, and the share of its own kind that is as strange as each image (NaN where the
    /// model does not know).
    pub fn predict_familiar(&self, images: &[Vec<f32>]) -> (Vec<f32>, Vec<f64>) {
        let (answers, shares, _) = self.predict_embedded(images);
        (answers, shares)
    }

    /// The same, and the embedding of each image.
    pub fn predict_embedded(&self, images: &[Vec<f32>]) -> (Vec<f32>, Vec<f64>, Vec<Vec<f32>>) {
        let (outputs, of) = self.outputs(images);
        let shares = match &self.familiarity {
            None => vec![f64::NAN; images.len()],
            Some(f) => {
                let rows = embeddings(&of, images.len());
                let both = images.par_iter().zip(&rows);
                both.map(|(x, e)| f.share(self.system.geometry(), x, e))
                    .collect()
            }
        };
        (
            self.answers(images, &outputs),
            shares,
            self.mean_of_views(&of, images.len()),
        )
    }

    /// Embeddings `[row][network · value]`, the mean over views.
    fn mean_of_views(&self, of: &[Vec<f32>], rows: usize) -> Vec<Vec<f32>> {
        let views = self.architecture.views.len().max(1);
        let one = |r: usize| -> Vec<f32> {
            let of_network = |some: &[Vec<f32>]| {
                let n = some[0].len() / rows.max(1);
                let mean =
                    |j: usize| some.iter().map(|v| v[r * n + j]).sum::<f32>() / some.len() as f32;
                (0..n).map(mean).collect::<Vec<f32>>()
            };
            of.chunks(views).flat_map(of_network).collect()
        };
        (0..rows).map(one).collect()
    }

    /// Values of an embedding.
    pub fn embedding_width(&self) -> usize {
        let of = |p: &Predictor| p.embedding();
        self.predictors.iter().map(of).sum()
    }

    fn answers(&self, images: &[Vec<f32>], outputs: &[Vec<f32>]) -> Vec<f32> {
        let given: Vec<Vec<f32>> = outputs.iter().map(|o| self.decoded(o)).collect();
        let (one, all) = (self.head.width(1), self.width());
        let mut out = vec![0.0; images.len() * all];
        for (r, answer) in out.chunks_exact_mut(all).enumerate() {
            let rows: Vec<&[f32]> = given.iter().map(|g| &g[r * one..(r + 1) * one]).collect();
            self.head.combine(&rows, &self.combination.weights, answer);
        }
        out
    }

    /// Writes atomically.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn write(&self, path: &Path) -> Result<(), CheckpointError> {
        self.to_checkpoint()?.write(path)
    }

    /// What a model file holds.
    ///
    /// # Errors
    /// Numbers that have no JSON form.
    pub fn to_checkpoint(&self) -> Result<Checkpoint, CheckpointError> {
        let mut c = Checkpoint::default();
        for (k, net) in self.nets.iter().enumerate() {
            for t in net.tensors().into_iter().chain(net.statistics()) {
                c.tensors
                    .insert(member(k, &t.name), Array::new(t.shape, t.values));
            }
        }
        if let Some(f) = &self.familiarity {
            f.store(&mut c)?;
        }
        c.set("kind", &KIND)?;
        c.set("members", &self.nets.len())?;
        c.set("id", &self.id)?;
        c.set("system", &self.system.name())?;
        if self.system.own_classes() {
            c.set("classes", &self.system.outputs())?;
        }
        c.set("architecture", &self.architecture)?;
        c.set("combination", &self.combination.weights)?;
        c.set("head", &self.head.state())?;
        c.set("recipe", &self.recipe)?;
        Ok(c)
    }

    /// Reads a model file.
    ///
    /// # Errors
    /// As [`Model::from_bytes`], or the file cannot be read.
    pub fn read(system: &'static dyn System, path: &Path) -> Result<Model, CheckpointError> {
        Model::from_bytes(system, &path.display().to_string(), &read(path)?)
    }

    /// From the bytes of a model file; `name` is for messages.
    ///
    /// # Errors
    /// Damaged, of another system, or with numbers that do not fit.
    pub fn from_bytes(
        system: &'static dyn System,
        name: &str,
        bytes: &[u8],
    ) -> Result<Model, CheckpointError> {
        let bad = |why: String| CheckpointError::Content {
            name: name.to_owned(),
            why,
        };
        let c = Checkpoint::from_bytes(name, bytes)?;
        let old = c.expect_kind(OLD_KIND).is_ok();
        if !old {
            c.expect_kind(KIND)?;
        }
        let of: String = c.get("system")?;
        if of != system.name() {
            return Err(bad(format!(
                "trained for '{of}', not for '{}'",
                system.name()
            )));
        }
        let system = if c.meta.contains_key("classes") {
            let classes: Vec<String> = c.get("classes")?;
            let distinct: std::collections::BTreeSet<&String> = classes.iter().collect();
            if classes.len() < 2 || distinct.len() != classes.len() {
                return Err(bad("'classes': expected at least two, each once".into()));
            }
            few::system(system, &classes)
        } else {
            system
        };
        let architecture: Architecture = c.get("architecture")?;
        // The first files of 0.1 held one network and did not say so.
        let members: usize = if old && !c.meta.contains_key("members") {
            1
        } else {
            c.get("members")?
        };
        if !(1..=MOST).contains(&members) {
            return Err(bad(format!("'members': {members}, expected 1 to {MOST}")));
        }
        let weights: Vec<f64> = c.get("combination")?;
        let sum: f64 = weights.iter().sum();
        if weights.len() != members * architecture.views.len() || (sum - 1.0).abs() > 1e-3 {
            return Err(bad(
                "'combination': expected a weight for each network and view, which sum to 1".into(),
            ));
        }
        let mut head = system.head();
        let state: Value = if old {
            c.get("calibration")?
        } else {
            c.get("head")?
        };
        head.restore(&state)
            .map_err(|e| bad(format!("'head': {e}")))?;
        let net = |k: usize| {
            let build = architecture.build(system.geometry(), head.units(), 0);
            let mut net = build.map_err(|e| bad(e.to_string()))?;
            let tensor =
                |t: &slipher_nn::network::Tensor| c.weights(&member(k, &t.name), t.values.len());
            let values = net
                .tensors()
                .iter()
                .map(tensor)
                .collect::<Result<Vec<_>, _>>()?;
            net.set_tensors(&values).map_err(bad)?;
            if old {
                net.running = c.weights(&member(k, "running"), net.running.len())?;
            } else {
                let values = net
                    .statistics()
                    .iter()
                    .map(tensor)
                    .collect::<Result<Vec<_>, _>>()?;
                let negative = |v: &[f32]| v.iter().any(|x| *x < 0.0);
                let all = net.statistics();
                let mut named = all.iter().zip(&values);
                if let Some((t, _)) =
                    named.find(|(t, v)| t.name.ends_with("running_var") && negative(v))
                {
                    return Err(bad(format!("'{}': a variance is negative", t.name)));
                }
                net.running = values.concat();
            }
            Ok(net)
        };
        let nets = (0..members)
            .map(net)
            .collect::<Result<Vec<Network>, CheckpointError>>()?;
        let familiarity = Familiarity::restore(&c).map_err(bad)?.map(Box::new);
        let made = Model {
            familiarity,
            id: c.get("id")?,
            system,
            predictors: predictors(&nets, Precision::F32),
            architecture,
            nets,
            head,
            combination: Combination { weights },
            recipe: c.get("recipe")?,
            sha256: sha256(bytes),
        };
        if let Some(f) = &made.familiarity {
            let blank = vec![0.0; system.geometry().encoded()];
            let width: usize = made.outputs(&[blank]).1.iter().map(Vec::len).sum();
            if width != f.embedding() {
                return Err(bad(format!(
                    "'familiarity': made for embeddings of {} values, not {width}",
                    f.embedding()
                )));
            }
        }
        Ok(made)
    }
}

/// Embeddings of rows, `[row][network · view · value]`, from `[network · view][row · value]`.
fn embeddings(of: &[Vec<f32>], rows: usize) -> Vec<Vec<f32>> {
    let one = |r: usize| {
        let part = |e: &Vec<f32>| {
            let n = e.len() / rows.max(1);
            e[r * n..(r + 1) * n].to_vec()
        };
        of.iter().flat_map(part).collect()
    };
    (0..rows).map(one).collect()
}

/// Values of an embedding that is worth comparing: whitening takes its square.
const LONGEST: usize = 512;

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
