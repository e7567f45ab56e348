//! Training of an image network: recipe, loop, checkpoints.

use std::path::{Path, PathBuf};

use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use slipher_nn::checkpoint::{Checkpoint, CheckpointError};
use slipher_nn::network::{Network, Symmetry, Tape};
use slipher_nn::optimiser::{Optimiser, Rule, learning_rate};
use slipher_sim::random::Stream;

use super::architecture::Architecture;
use super::set::{Set, Split};
use super::{Geometry, System};

/// Which network.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "network", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Choice {
    /// The paper's.
    Published,
    /// The paper's with layers narrower by `divisor`, where the room offers that.
    Narrow { divisor: usize },
    /// [`Architecture::square`]; tied weights unless `plain`.
    Square {
        width: usize,
        #[serde(default)]
        plain: bool,
    },
}

/// Which simulated sky.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Sky {
    /// The room's own.
    #[default]
    Own,
    /// Of the paper's survey, where the room's own is wider.
    Published,
}

/// A training run as TOML.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Recipe {
    pub system: String,
    pub network: Choice,
    /// Simulated examples; each epoch shows all of them, in a new view.
    pub simulated: usize,
    #[serde(default, skip_serializing_if = "is_own")]
    pub sky: Sky,
    /// Folder or archive of labelled examples beside them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub labelled: Option<PathBuf>,
    /// Share of labelled examples in a batch.
    #[serde(default)]
    pub labelled_share: f64,
    /// Examples shown in all.
    pub shown: u64,
    pub batch: usize,
    pub rule: Rule,
    #[serde(default)]
    pub decay: f32,
    /// Peak of the learning rate; it follows a cosine.
    pub rate: f64,
    pub seed: u64,
    /// Rows of validation.
    pub validation: usize,
    /// Networks trained alike from different beginnings, which answer together.
    #[serde(default = "one", skip_serializing_if = "is_one")]
    pub members: usize,
}

fn one() -> usize {
    1
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde's signature")]
fn is_one(n: &usize) -> bool {
    *n == 1
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde's signature")]
fn is_own(s: &Sky) -> bool {
    *s == Sky::Own
}

/// Why a recipe or a run fails.
#[derive(Debug, thiserror::Error)]
pub enum TrainError {
    #[error("recipe: {0}")]
    Recipe(String),
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    #[error("{0}: made by another recipe; give another folder or remove this one")]
    OtherRecipe(String),
    #[error("the loss is not finite at step {0}; lower the learning rate")]
    Diverged(u64),
}

impl Recipe {
    /// Reads TOML and checks it.
    ///
    /// # Errors
    /// Names the field that is missing, unknown or out of range.
    pub fn parse(text: &str) -> Result<Recipe, TrainError> {
        Recipe::read(text)?.checked()
    }

    /// Reads TOML, to be completed and then [`checked`](Recipe::checked): recipes leave the place of labelled images to the command line.
    ///
    /// # Errors
    /// Names the field that is missing or unknown.
    pub fn read(text: &str) -> Result<Recipe, TrainError> {
        toml::from_str(text).map_err(|e| TrainError::Recipe(e.to_string()))
    }

    /// The recipe, if it can be followed.
    ///
    /// # Errors
    /// Names the field that is out of range.
    pub fn checked(self) -> Result<Recipe, TrainError> {
        let r = self;
        let bad = |why: &str| Err(TrainError::Recipe(why.into()));
        match () {
            () if super::by_name(&r.system).is_none() => bad(&format!(
                "system: expected one of {}",
                super::NAMES.join(", ")
            )),
            () if r.batch == 0 || r.batch > 10_000 || r.shown < r.batch as u64 => {
                bad("batch: expected 1 to 10,000, and shown at least one batch")
            }
            () if r.simulated == 0 && r.labelled.is_none() => {
                bad("simulated: expected at least one example, or labelled ones")
            }
            () if !(1..=16).contains(&r.members) => bad("members: expected 1 to 16"),
            () if r.simulated > 5_000_000 || r.validation == 0 || r.validation > 1_000_000 => {
                bad("simulated: at most 5 million; validation: 1 to a million")
            }
            () if !(0.0..=1.0).contains(&r.labelled_share)
                || (r.labelled_share > 0.0 && r.labelled.is_none()) =>
            {
                bad("labelled_share: expected 0 to 1, with the path of labelled examples")
            }
            () if r.rate <= 0.0 || !r.rate.is_finite() || r.decay < 0.0 => {
                bad("rate: expected a positive number; decay: at least 0")
            }
            () => Ok(r),
        }
    }

    /// The run of one member.
    pub fn member(&self, k: usize) -> Recipe {
        Recipe {
            members: 1,
            seed: self.seed + k as u64,
            ..self.clone()
        }
    }

    pub fn steps(&self) -> u64 {
        self.shown / self.batch as u64
    }

    /// The network that is to be trained.
    pub fn architecture(&self, system: &dyn System) -> Architecture {
        match self.network {
            Choice::Published => system.published(),
            Choice::Narrow { divisor } => system
                .narrow(divisor.max(1))
                .unwrap_or_else(|| system.published()),
            Choice::Square { width, plain } => {
                let symmetry = (!plain).then_some(Symmetry::P4m);
                Architecture::square(
                    system.parts(),
                    system.geometry(),
                    system.outputs().len(),
                    width,
                    symmetry,
                )
            }
        }
    }
}

/// What is trained on, made once.
pub struct Data {
    pub simulated: Set,
    pub labelled: Set,
    pub validation: Set,
    /// What could not be read.
    pub skipped: Vec<String>,
}

impl Data {
    /// Simulates and reads. Validation is half of labelled, half of simulated examples where there are both.
    ///
    /// # Errors
    /// Nothing readable where labelled examples should be, or a sky that the room does not have.
    pub fn new(r: &Recipe, system: &dyn System) -> Result<Data, TrainError> {
        let sky = |split, rows| match r.sky {
            Sky::Own => Set::simulated(system, split, r.seed, rows, false),
            Sky::Published => Set::published(system, split, r.seed, rows, false),
        };
        if r.sky == Sky::Published
            && Set::published(system, Split::Train, r.seed, 1, false).rows() == 0
        {
            return Err(TrainError::Recipe(format!(
                "sky = \"published\": {} has one sky only; leave this line out",
                system.name()
            )));
        }
        let simulated = sky(Split::Train, r.simulated);
        let (mut labelled, mut validation, mut skipped) = (Set::default(), Set::default(), vec![]);
        if let Some(path) = &r.labelled {
            let c = system.labelled(path).map_err(TrainError::Recipe)?;
            let (train, valid) = (
                Set::of(system, c.train, false),
                Set::of(system, c.validation, false),
            );
            skipped = [c.skipped, train.1, valid.1].concat();
            (labelled, validation) = (train.0, valid.0);
        }
        if validation.rows() == 0 || r.labelled_share < 0.5 {
            validation.extend(sky(Split::Validation, r.validation));
        }
        Ok(Data {
            simulated,
            labelled,
            validation,
            skipped,
        })
    }
}

/// A run under way.
pub struct Trainer<'a> {
    pub recipe: Recipe,
    pub system: &'a dyn System,
    pub architecture: Architecture,
    pub net: Network,
    pub step: u64,
    pub seconds: f64,
    data: &'a Data,
    optimiser: Optimiser,
    tape: Tape,
    grad: Vec<f32>,
    orders: [(Option<u64>, Vec<u32>); 2],
}

/// As many rows, the classes in turn; those of a small class come again.
fn balanced(rows: &[u32], labels: &[usize]) -> Vec<u32> {
    let classes = labels.iter().max().map_or(1, |m| m + 1);
    let of: Vec<Vec<u32>> = (0..classes)
        .map(|c| {
            rows.iter()
                .copied()
                .filter(|r| labels[*r as usize] == c)
                .collect()
        })
        .filter(|v: &Vec<u32>| !v.is_empty())
        .collect();
    (0..rows.len())
        .map(|i| {
            let own = &of[i % of.len()];
            own[i / of.len() % own.len()]
        })
        .collect()
}

/// What a step reports.
#[derive(Clone, Copy, Debug)]
pub struct Report {
    pub step: u64,
    pub loss: f64,
    /// Share of rows whose largest output is the truth's.
    pub right: f64,
}

impl<'a> Trainer<'a> {
    /// # Errors
    /// A network that does not fit the system.
    pub fn new(recipe: Recipe, system: &'a dyn System, data: &'a Data) -> Result<Self, TrainError> {
        let architecture = recipe.architecture(system);
        let net = architecture
            .build(system.geometry(), system.outputs().len(), recipe.seed)
            .map_err(|e| TrainError::Recipe(e.to_string()))?;
        let optimiser = Optimiser::new(recipe.rule, recipe.decay, net.weights.len());
        let orders = [(None, vec![]), (None, vec![])];
        Ok(Trainer {
            recipe,
            system,
            architecture,
            net,
            step: 0,
            seconds: 0.0,
            data,
            optimiser,
            tape: Tape::default(),
            grad: vec![],
            orders,
        })
    }

    /// Row `k` in the order in which a set is shown: each epoch in a new one. Labelled classes are shown equally often, however many there are of each.
    fn pick(&mut self, which: usize, k: u64) -> usize {
        let set = if which == 0 {
            &self.data.simulated
        } else {
            &self.data.labelled
        };
        let n = set.rows() as u64;
        let (epoch, order) = &mut self.orders[which];
        if *epoch != Some(k / n) {
            *epoch = Some(k / n);
            let mut rng = ChaCha8Rng::seed_from_u64(self.recipe.seed ^ 0x5EED);
            rng.set_stream(2 * (k / n) + which as u64);
            let mut rows: Vec<u32> = (0..n as u32).collect();
            rows.shuffle(&mut rng);
            *order = if which == 1 && self.system.is_classifier() {
                balanced(&rows, &set.labels(self.system.outputs().len()))
            } else {
                rows
            };
        }
        order[(k % n) as usize] as usize
    }

    /// Images and truths of the next batch.
    fn batch(&mut self) -> (Vec<f32>, Vec<f32>) {
        let (b, g, outputs) = (
            self.recipe.batch,
            self.system.geometry(),
            self.system.outputs().len(),
        );
        let real = if self.data.simulated.rows() == 0 {
            b
        } else {
            (self.recipe.labelled_share * b as f64).round() as usize
        };
        let real = if self.data.labelled.rows() == 0 {
            0
        } else {
            real
        };
        let rows: Vec<(usize, usize)> = (0..b)
            .map(|i| {
                if i < real {
                    (1, self.pick(1, self.step * real as u64 + i as u64))
                } else {
                    (
                        0,
                        self.pick(0, self.step * (b - real) as u64 + (i - real) as u64),
                    )
                }
            })
            .collect();
        let (seed, step, augment) = (self.recipe.seed, self.step, self.system.augment());
        let sets = [&self.data.simulated, &self.data.labelled];
        let inputs: Vec<Vec<f32>> = rows
            .par_iter()
            .enumerate()
            .map(|(i, (which, row))| {
                let mut rng = Stream::new(seed, 0xA06, step * b as u64 + i as u64);
                let (mut v, mut x) = (vec![], vec![]);
                augment.draw(g, &sets[*which].images[*row], &mut rng, &mut v);
                self.architecture.input(g, &v, &mut x);
                x
            })
            .collect();
        let truth = rows
            .iter()
            .flat_map(|(w, r)| {
                sets[*w].truth[r * outputs..(r + 1) * outputs]
                    .iter()
                    .copied()
            })
            .collect();
        (inputs.concat(), truth)
    }

    /// One step.
    ///
    /// # Errors
    /// If the loss stops being finite.
    pub fn advance(&mut self) -> Result<Report, TrainError> {
        let start = std::time::Instant::now();
        let (x, truth) = self.batch();
        let outputs = self.system.outputs().len();
        let mut d = self
            .net
            .forward(
                &x,
                &mut self.tape,
                Some(
                    self.recipe
                        .seed
                        .wrapping_mul(0x9E37_79B9)
                        .wrapping_add(self.step),
                ),
            )
            .to_vec();
        let share = 1.0 / self.recipe.batch as f32;
        let (mut loss, mut right) = (0.0, 0usize);
        for (row, t) in d.chunks_exact_mut(outputs).zip(truth.chunks_exact(outputs)) {
            right += usize::from(super::score::largest(row) == super::score::largest(t));
            loss += self.system.gradient(row, t);
            row.iter_mut().for_each(|v| *v *= share);
        }
        loss *= f64::from(share);
        if !loss.is_finite() {
            return Err(TrainError::Diverged(self.step));
        }
        self.net.backward(&mut self.tape, &d, &mut self.grad);
        let steps = self.recipe.steps();
        let rate = learning_rate(
            self.recipe.rate,
            self.step,
            (steps / 20).clamp(1, 500),
            steps,
        );
        self.optimiser.step(
            rate as f32,
            self.step + 1,
            &mut self.net.weights,
            &self.grad,
        );
        self.net.update_running(&self.tape);
        self.step += 1;
        self.seconds += start.elapsed().as_secs_f64();
        Ok(Report {
            step: self.step,
            loss,
            right: right as f64 * f64::from(share),
        })
    }

    fn checkpoint_path(folder: &Path) -> PathBuf {
        folder.join("checkpoint.safetensors")
    }

    /// Writes all that continues the run bit for bit, atomically.
    ///
    /// # Errors
    /// The folder cannot be written.
    pub fn save(&self, folder: &Path) -> Result<(), TrainError> {
        let mut c = Checkpoint::default();
        for (k, v) in [
            ("weights", &self.net.weights),
            ("running", &self.net.running),
            ("first", &self.optimiser.first),
            ("second", &self.optimiser.second),
        ] {
            c.tensors.insert(k.into(), v.clone());
        }
        c.meta.insert(
            "recipe".into(),
            serde_json::to_string(&self.recipe).unwrap_or_default(),
        );
        c.meta.insert("step".into(), self.step.to_string());
        c.meta.insert("seconds".into(), self.seconds.to_string());
        std::fs::create_dir_all(folder).map_err(|source| CheckpointError::Io {
            what: "make",
            path: folder.to_owned(),
            source,
        })?;
        Ok(c.write(&Trainer::checkpoint_path(folder))?)
    }

    /// Continues from a folder's checkpoint, if there is one.
    ///
    /// # Errors
    /// A damaged checkpoint, or one of another recipe.
    pub fn resume(&mut self, folder: &Path) -> Result<(), TrainError> {
        let path = Trainer::checkpoint_path(folder);
        if !path.exists() {
            return Ok(());
        }
        let c = Checkpoint::read(&path)?;
        if c.meta.get("recipe") != serde_json::to_string(&self.recipe).ok().as_ref() {
            return Err(TrainError::OtherRecipe(folder.display().to_string()));
        }
        let parts = [
            ("weights", &mut self.net.weights),
            ("running", &mut self.net.running),
            ("first", &mut self.optimiser.first),
            ("second", &mut self.optimiser.second),
        ];
        for (k, v) in parts {
            *v = c.tensor(k, v.len())?;
        }
        let number = |key: &str| {
            c.meta
                .get(key)
                .and_then(|s| s.parse::<f64>().ok())
                .unwrap_or(0.0)
        };
        (self.step, self.seconds) = (number("step") as u64, number("seconds"));
        Ok(())
    }

    /// Runs to the end, with checkpoints; `watch` sees every step and says whether to go on. False if it was stopped.
    ///
    /// # Errors
    /// Divergence, or a folder that cannot be written.
    pub fn run(
        &mut self,
        folder: &Path,
        mut watch: impl FnMut(&Report) -> bool,
    ) -> Result<bool, TrainError> {
        let steps = self.recipe.steps();
        let every = (steps / 20).clamp(1, 500);
        while self.step < steps {
            let report = self.advance()?;
            let go_on = watch(&report);
            if self.step.is_multiple_of(every) || self.step == steps || !go_on {
                self.save(folder)?;
            }
            if !go_on {
                return Ok(false);
            }
        }
        Ok(true)
    }

    pub fn geometry(&self) -> Geometry {
        self.system.geometry()
    }
}

#[cfg(test)]
mod tests {
    use super::super::model::Model;
    use super::*;

    fn recipe() -> Recipe {
        let text = include_str!("../../../../recipes/images/transients.toml");
        Recipe {
            simulated: 60,
            shown: 96,
            batch: 16,
            validation: 40,
            network: Choice::Square {
                width: 16,
                plain: false,
            },
            ..Recipe::parse(text).unwrap()
        }
    }

    /// Killed after three steps and resumed, a run ends with the same bytes, on one thread or three.
    #[test]
    fn resume_is_exact_on_any_number_of_threads() {
        let dir = tempfile::tempdir().unwrap();
        let system = super::super::by_name("transients").unwrap();
        let run = |threads: usize, stop: bool| {
            let workers = rayon::ThreadPoolBuilder::new()
                .num_threads(threads)
                .build()
                .unwrap();
            workers.install(|| {
                let folder = dir.path().join(threads.to_string());
                let data = Data::new(&recipe(), &*system).unwrap();
                let mut t = Trainer::new(recipe(), &*system, &data).unwrap();
                if stop {
                    assert!(!t.run(&folder, |r| r.step < 3).unwrap());
                    t = Trainer::new(recipe(), &*system, &data).unwrap();
                    t.resume(&folder).unwrap();
                    assert_eq!(t.step, 3);
                }
                assert!(t.run(&folder, |_| true).unwrap());
                let path = folder.join("model.safetensors");
                Model::fit(
                    &*system,
                    &t.architecture,
                    vec![t.net.clone()],
                    &t.recipe,
                    "test",
                    &data.validation,
                )
                .write(&path)
                .unwrap();
                std::fs::read(&path).unwrap()
            })
        };
        let a = run(1, false);
        assert!(a == run(3, false), "threads change the model");
        assert!(a == run(2, true), "resuming changes the model");
        // The file answers as the network did.
        let model = Model::from_bytes("test", &a).unwrap();
        let data = Data::new(&recipe(), &*system).unwrap();
        let p = model.predict(&data.validation.images);
        assert!(p.chunks(2).all(|r| (r[0] + r[1] - 1.0).abs() < 1e-5));
        for cut in [0, 7, 100, a.len() / 2, a.len() - 1] {
            assert!(Model::from_bytes("test", &a[..cut]).is_err());
        }
        // Two networks in one file answer as the weighted mean of both.
        let nets = vec![model.nets[0].clone(), model.nets[0].clone()];
        let both = Model::fit(
            &*system,
            &model.architecture,
            nets,
            &Recipe {
                members: 2,
                ..recipe()
            },
            "pair",
            &data.validation,
        );
        both.write(&dir.path().join("pair.safetensors")).unwrap();
        let read = Model::read(&dir.path().join("pair.safetensors")).unwrap();
        assert_eq!((read.nets.len(), read.combination.weights.len()), (2, 2));
        let q = read.predict(&data.validation.images);
        assert!(
            q == both.predict(&data.validation.images)
                && q.iter().zip(&p).all(|(q, p)| (q - p).abs() < 1e-4),
            "copies of one network change its answers"
        );
        let other = Recipe {
            seed: 9,
            ..recipe()
        };
        assert!(
            Trainer::new(other, &*system, &data)
                .unwrap()
                .resume(&dir.path().join("1"))
                .is_err()
        );
    }

    #[test]
    fn classes_are_shown_equally_often() {
        let labels = [0, 0, 0, 0, 0, 0, 1, 2];
        let rows: Vec<u32> = (0..8).collect();
        let order = balanced(&rows, &labels);
        assert_eq!(order, [0, 6, 7, 1, 6, 7, 2, 6]);
    }

    #[test]
    fn recipes_are_checked() {
        let text = include_str!("../../../../recipes/images/transients.toml");
        for (from, to, word) in [
            ("batch", "bach", "bach"),
            ("rate = ", "rate = -", "rate"),
            ("\"transients\"", "\"meteors\"", "star-galaxy"),
            ("seed = 1", "labelled_share = 0.5\nseed = 1", "labelled"),
        ] {
            let e = Recipe::parse(&text.replace(from, to))
                .unwrap_err()
                .to_string();
            assert!(e.contains(word), "{e}");
        }
        let text = text
            .replace("seed = 1", "seed = 1\nsky = \"published\"")
            .replace("simulated = 100000", "simulated = 20");
        let r = Recipe {
            validation: 20,
            ..Recipe::parse(&text).unwrap()
        };
        let system = super::super::by_name("transients").unwrap();
        let (theirs, ours) = (
            Data::new(&r, &*system).unwrap(),
            Data::new(
                &Recipe {
                    sky: Sky::Own,
                    ..r.clone()
                },
                &*system,
            )
            .unwrap(),
        );
        assert!(
            theirs.simulated.rows() > 10
                && theirs.simulated.images[0] != ours.simulated.images[0]
                && theirs.validation.images[0] != ours.validation.images[0]
        );
        let e = Data::new(&r, &*super::super::by_name("radio").unwrap())
            .err()
            .unwrap()
            .to_string();
        assert!(e.contains("one sky"), "{e}");
    }
}
