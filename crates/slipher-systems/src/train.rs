//! Training of a system's network: recipe, examples, the loop of [`slipher_nn::train`].

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use slipher_nn::heads::Kind;
use slipher_nn::network::Symmetry;
use slipher_nn::optimiser::Rule;
use slipher_nn::train::epochs::Epochs;
use slipher_nn::train::single::{Single, Supervised};
use slipher_nn::train::{Examples, Progress, Run, Schedule, fit};
use slipher_sim::random::Stream;

use crate::architecture::Architecture;
use crate::example::Sky;
use crate::model::Model;
use crate::recipe;
use crate::set::{Set, Split};
use crate::system::System;

/// Which network.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "network", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Choice {
    /// The paper's.
    Published,
    /// The paper's with layers narrower by `divisor`, where the system offers that.
    Narrow {
        /// Of the number of filters and units.
        divisor: usize,
    },
    /// The system's own, where it has one.
    Own {
        /// Channels of the first layers.
        width: usize,
    },
    /// [`Architecture::square`]; tied weights unless `plain`.
    Square {
        /// Channels of the first layers.
        width: usize,
        /// Without the symmetry.
        #[serde(default)]
        plain: bool,
    },
}

/// A training run as TOML.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Recipe {
    /// Name of the system.
    pub system: String,
    /// Which network.
    pub network: Choice,
    /// Simulated examples; each epoch shows all of them, in a new view.
    pub simulated: usize,
    /// Which simulated sky.
    #[serde(default, skip_serializing_if = "is_own")]
    pub sky: Sky,
    /// Folder or archive of labelled examples beside them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub labelled: Option<PathBuf>,
    /// Share of labelled examples in a batch.
    #[serde(default)]
    pub labelled_share: f64,
    /// Examples that the network sees in all.
    pub examples_seen: u64,
    /// Examples of a step.
    pub batch: usize,
    /// How weights move.
    pub optimiser: Rule,
    /// Decoupled, of AdamW; 0 without.
    #[serde(default)]
    pub weight_decay: f32,
    /// Peak of the learning rate; it follows a cosine.
    pub learning_rate: f64,
    /// Of examples, first weights and views.
    pub seed: u64,
    /// Rows of validation.
    pub validation: usize,
    /// Stops when this many validations in a row were no better than the best; 0: never.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub patience: u64,
    /// Networks trained alike from different beginnings, which answer together.
    #[serde(default = "one", skip_serializing_if = "is_one")]
    pub members: usize,
}

fn one() -> usize {
    1
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde's signature")]
fn is_one(n: &usize) -> bool {
    *n == 1
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde's signature")]
fn is_zero(n: &u64) -> bool {
    *n == 0
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde's signature")]
fn is_own(s: &Sky) -> bool {
    *s == Sky::Own
}

/// Why a recipe cannot be followed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
#[expect(missing_docs, reason = "the messages say it")]
pub enum RecipeError {
    #[error("recipe: {0}")]
    Recipe(String),
    #[error(transparent)]
    Train(#[from] slipher_nn::train::TrainError),
}

impl Recipe {
    /// Reads TOML and checks it for a system.
    ///
    /// # Errors
    /// Names the field that is missing, unknown or out of range.
    pub fn parse(text: &str, system: &dyn System) -> Result<Recipe, RecipeError> {
        Recipe::read(text)?.checked(system)
    }

    /// Reads TOML, to be completed and then [`checked`](Recipe::checked): recipes leave the place
    /// of labelled images to the command line.
    ///
    /// # Errors
    /// Names the field that is missing or unknown.
    pub fn read(text: &str) -> Result<Recipe, RecipeError> {
        recipe::read(text).map_err(RecipeError::Recipe)
    }

    /// The recipe, if it can be followed.
    ///
    /// # Errors
    /// Names the field that is out of range.
    pub fn checked(self, system: &dyn System) -> Result<Recipe, RecipeError> {
        let share = self.labelled_share;
        let narrowed = matches!(self.network, Choice::Narrow { divisor } if divisor == 0 || system.narrow(divisor).is_none());
        let unowned = matches!(self.network, Choice::Own { width } if width == 0 || system.own(width).is_none());
        let optimiser = self.optimiser.check();
        let problems: [(bool, &str); 11] = [
            (
                unowned,
                "network: this system has no network 'own', or width is 0",
            ),
            (self.system != system.name(), "system: made for another one"),
            (
                self.batch == 0 || self.batch > 10_000 || self.examples_seen < self.batch as u64,
                "batch: expected 1 to 10,000, and examples_seen at least one batch",
            ),
            (
                self.simulated == 0 && self.labelled.is_none(),
                "simulated: expected at least one example, or labelled ones",
            ),
            (
                !(1..=16).contains(&self.members),
                "members: expected 1 to 16",
            ),
            (
                self.simulated > 5_000_000 || self.validation == 0 || self.validation > 1_000_000,
                "simulated: at most 5 million; validation: 1 to a million",
            ),
            (
                !(0.0..=1.0).contains(&share) || (share > 0.0 && self.labelled.is_none()),
                "labelled_share: expected 0 to 1, with the path of labelled examples",
            ),
            (
                !(self.learning_rate > 0.0 && self.learning_rate.is_finite()),
                "learning_rate: expected a positive number",
            ),
            (
                !(self.weight_decay >= 0.0 && self.weight_decay.is_finite()),
                "weight_decay: expected at least 0",
            ),
            (optimiser.is_err(), optimiser.err().unwrap_or_default()),
            (
                narrowed,
                "network: this system has no narrow network, or divisor is 0",
            ),
        ];
        match problems.iter().find(|p| p.0) {
            Some((_, why)) => Err(RecipeError::Recipe(format!("{} ({})", why, self.system))),
            None => Ok(self),
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

    /// Steps of the optimiser.
    pub fn steps(&self) -> u64 {
        self.examples_seen / self.batch as u64
    }

    /// Learning rates and validations.
    pub fn schedule(&self) -> Schedule {
        let every = (self.steps() / 20).clamp(1, 500);
        Schedule {
            steps: self.steps(),
            learning_rate: self.learning_rate,
            warmup: every,
            constant: false,
            every,
            patience: self.patience,
            keep_best: true,
        }
    }

    /// The network that is to be trained.
    pub fn architecture(&self, system: &dyn System) -> Architecture {
        match self.network {
            Choice::Published => system.published(),
            Choice::Narrow { divisor } => {
                system.narrow(divisor).unwrap_or_else(|| system.published())
            }
            Choice::Own { width } => system.own(width).unwrap_or_else(|| system.published()),
            Choice::Square { width, plain } => {
                let symmetry = (!plain).then_some(Symmetry::P4m);
                let units = system.head().units();
                let (views, g) = (system.input_views(), system.geometry());
                Architecture::square(views, g, units, width, symmetry)
            }
        }
    }

    /// A new network with its optimiser.
    ///
    /// # Errors
    /// Layers that do not fit the system.
    pub fn learner(&self, system: &dyn System) -> Result<Single, RecipeError> {
        let head = system.head();
        let net = self
            .architecture(system)
            .build(system.geometry(), head.units(), self.seed)
            .map_err(|e| RecipeError::Recipe(e.to_string()))?;
        let dropout = self.seed.wrapping_mul(0x9E37_79B9);
        Ok(Single::new(
            net,
            Arc::from(head),
            self.optimiser,
            self.weight_decay,
            dropout,
        ))
    }
}

/// What is trained on, made once.
pub struct Data {
    /// Simulated rows.
    pub simulated: Set,
    /// Labelled rows; none if the recipe names no folder.
    pub labelled: Set,
    /// Rows to choose by.
    pub validation: Set,
    /// What could not be read.
    pub skipped: Vec<String>,
}

impl Data {
    /// Simulates and reads. Validation is half of labelled, half of simulated examples where there
    /// are both.
    ///
    /// # Errors
    /// Nothing readable where labelled examples should be, or a sky that the system does not have.
    pub fn new(r: &Recipe, system: &dyn System) -> Result<Data, RecipeError> {
        let sky = |split, rows| Set::simulated(system, r.sky, split, r.seed, rows, false);
        if r.simulated > 0 && sky(Split::Train, 1).rows() == 0 {
            let own = if r.sky == Sky::Own {
                "it has no simulated sky: simulated = 0"
            } else {
                "it has one sky only: leave this line out"
            };
            return Err(RecipeError::Recipe(format!(
                "sky of {}: {own}",
                system.name()
            )));
        }
        let simulated = sky(Split::Train, r.simulated);
        let (mut labelled, mut validation, mut skipped) = (Set::default(), Set::default(), vec![]);
        if let Some(path) = &r.labelled {
            let c = system.labelled(path).map_err(RecipeError::Recipe)?;
            let of = |examples| Set::of(system, examples, false);
            let (train, valid) = (of(c.train), of(c.validation));
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

/// Purpose of the streams that draw views.
const VIEWS: u64 = 0xA06;

/// Batches of views of a run's data.
pub struct Batches<'a> {
    recipe: &'a Recipe,
    system: &'a dyn System,
    architecture: Architecture,
    data: &'a Data,
    /// Of the simulated and of the labelled rows.
    orders: [Epochs; 2],
    held_out: Vec<(&'static str, Supervised)>,
}

/// As many rows, the classes in turn; those of a small class come again.
fn balanced(rows: &[u32], labels: &[usize]) -> Vec<u32> {
    let classes = labels.iter().max().map_or(1, |m| m + 1);
    let own = |c: usize| {
        rows.iter()
            .copied()
            .filter(move |r| labels[*r as usize] == c)
            .collect()
    };
    let of: Vec<Vec<u32>> = (0..classes)
        .map(own)
        .filter(|v: &Vec<u32>| !v.is_empty())
        .collect();
    let pick = |i: usize| of[i % of.len()][i / of.len() % of[i % of.len()].len()];
    (0..rows.len()).map(pick).collect()
}

impl<'a> Batches<'a> {
    /// Of a recipe's data; validation sees each image as it is.
    pub fn new(recipe: &'a Recipe, system: &'a dyn System, data: &'a Data) -> Self {
        let (architecture, g) = (recipe.architecture(system), system.geometry());
        let input = |image: &Vec<f32>| {
            let (mut v, mut x) = (vec![], vec![]);
            crate::views::View::PLAIN.of(g, image, &mut v);
            architecture.input(g, &v, &mut x);
            x
        };
        let x: Vec<Vec<f32>> = data.validation.images.par_iter().map(input).collect();
        let held_out = Supervised {
            x: x.concat(),
            targets: data.validation.truth.clone(),
        };
        let head = system.head();
        let labels = (head.kind() == Kind::Classes).then(|| data.labelled.labels(head.targets()));
        let held_out = if data.validation.rows() == 0 {
            vec![]
        } else {
            vec![("validation", held_out)]
        };
        let order = |labelled, set: &Set, labels| orders(recipe.seed, labelled, set.rows(), labels);
        let orders = [
            order(false, &data.simulated, None),
            order(true, &data.labelled, labels),
        ];
        Batches {
            recipe,
            system,
            architecture,
            data,
            orders,
            held_out,
        }
    }

    /// Rows of a batch, (labelled, row): each epoch shows a set in a new order, the labelled
    /// classes equally often.
    fn rows(&self, step: u64) -> Vec<(bool, usize)> {
        let b = self.recipe.batch;
        let real = match (self.data.simulated.rows(), self.data.labelled.rows()) {
            (_, 0) => 0,
            (0, _) => b,
            _ => (self.recipe.labelled_share * b as f64).round() as usize,
        };
        let some = |labelled: bool, each: usize| {
            let rows = self.orders[usize::from(labelled)].rows(step * each as u64, each);
            rows.into_iter().map(move |r| (labelled, r))
        };
        some(true, real).chain(some(false, b - real)).collect()
    }
}

/// Orders of a set of `n` rows; of labelled rows with their classes balanced.
fn orders(seed: u64, labelled: bool, n: usize, labels: Option<Vec<usize>>) -> Epochs {
    Epochs::new(n, move |epoch| {
        let mut rng = ChaCha8Rng::seed_from_u64(seed ^ 0x5EED);
        rng.set_stream(2 * epoch + u64::from(labelled));
        let mut rows: Vec<u32> = (0..n as u32).collect();
        rows.shuffle(&mut rng);
        match &labels {
            Some(labels) if labelled => balanced(&rows, labels),
            _ => rows,
        }
    })
}

impl Examples<Supervised> for Batches<'_> {
    fn batch(&self, step: u64) -> Supervised {
        let (g, rows) = (self.system.geometry(), self.rows(step));
        let set = |labelled| {
            if labelled {
                &self.data.labelled
            } else {
                &self.data.simulated
            }
        };
        let (seed, augment) = (self.recipe.seed, self.system.augment());
        let first = step * self.recipe.batch as u64;
        let n = self.system.head().targets();
        let view = |(i, (labelled, row)): (usize, &(bool, usize))| {
            let mut rng = Stream::new(seed, VIEWS, first + i as u64);
            let (mut v, mut x) = (vec![], vec![]);
            let turn = augment.draw(g, &set(*labelled).images[*row], &mut rng, &mut v);
            self.architecture.input(g, &v, &mut x);
            let mut target = set(*labelled).truth[row * n..(row + 1) * n].to_vec();
            self.system.turn(turn, &mut target);
            (x, target)
        };
        let made: Vec<(Vec<f32>, Vec<f32>)> = rows.par_iter().enumerate().map(view).collect();
        let (x, targets): (Vec<_>, Vec<_>) = made.into_iter().unzip();
        let targets = targets.concat();
        Supervised {
            x: x.concat(),
            targets,
        }
    }

    fn held_out(&self) -> &[(&'static str, Supervised)] {
        &self.held_out
    }
}

/// Trains a recipe's networks (members of an ensemble in folders of their own, continuing what is
/// there) and calibrates them; none if `watch`, which gets the number of the member, stopped it.
///
/// # Errors
/// A recipe that does not fit, divergence, a folder that cannot be written.
pub fn train(
    system: &'static dyn System,
    recipe: &Recipe,
    data: &Data,
    folder: &Path,
    id: &str,
    watch: &mut dyn FnMut(usize, &Progress<'_>) -> bool,
) -> Result<Option<Model>, RecipeError> {
    let mut nets = Vec::new();
    for k in 0..recipe.members {
        let own = recipe.member(k);
        let place = if recipe.members == 1 {
            folder.to_owned()
        } else {
            folder.join(member(k))
        };
        let mut learner = own.learner(system)?;
        let mut run = Run {
            folder: Some(place),
            recipe: serde_json::to_string(&own).unwrap_or_default(),
            watch: Box::new(|p| watch(k, p)),
        };
        let batches = Batches::new(&own, system, data);
        if !fit(&mut learner, &batches, &own.schedule(), &mut run)?.whole {
            return Ok(None);
        }
        nets.push(learner.net);
    }
    let text = serde_json::to_value(recipe).map_err(|e| RecipeError::Recipe(e.to_string()))?;
    let architecture = recipe.architecture(system);
    Ok(Some(Model::fit(
        system,
        &architecture,
        nets,
        text,
        id,
        &data.validation,
    )))
}

/// Whether a folder holds a run, of one network or of an ensemble.
pub fn is_begun(folder: &Path) -> bool {
    Run::exists(folder) || Run::exists(&folder.join(member(0)))
}

fn member(k: usize) -> String {
    format!("member-{k}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_are_shown_equally_often() {
        let labels = [0, 0, 0, 0, 0, 0, 1, 2];
        let rows: Vec<u32> = (0..8).collect();
        assert_eq!(balanced(&rows, &labels), [0, 6, 7, 1, 6, 7, 2, 6]);
    }

    #[test]
    fn recipes_are_checked() {
        let system = crate::registry::shared("transients").unwrap();
        let text = system.recipes()[0].text;
        let parse = |text: &str| Recipe::parse(text, system);
        for (from, to, word) in [
            ("batch", "bach", "bach"),
            ("learning_rate = ", "learning_rate = -", "learning_rate"),
            ("\"transients\"", "\"meteors\"", "system"),
            ("seed = 1", "labelled_share = 0.5\nseed = 1", "labelled"),
            (
                "{ network = \"square\", width = 48 }",
                "{ network = \"narrow\", divisor = 2 }",
                "narrow",
            ),
        ] {
            let e = parse(&text.replace(from, to)).unwrap_err().to_string();
            assert!(e.contains(word), "{e}");
        }
        let text = text
            .replace("seed = 1", "seed = 1\nsky = \"published\"")
            .replace("simulated = 100000", "simulated = 20");
        let r = Recipe {
            validation: 20,
            ..parse(&text).unwrap()
        };
        let of = |r: &Recipe| Data::new(r, system).unwrap();
        let (theirs, ours) = (
            of(&r),
            of(&Recipe {
                sky: Sky::Own,
                ..r.clone()
            }),
        );
        assert!(theirs.simulated.rows() > 10);
        assert!(theirs.simulated.images[0] != ours.simulated.images[0]);
        assert!(theirs.validation.images[0] != ours.validation.images[0]);
        let radio = crate::registry::shared("radio").unwrap();
        let e = Data::new(&r, radio).err().unwrap().to_string();
        assert!(e.contains("one sky"), "{e}");
    }
}
