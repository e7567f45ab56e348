//! The talk's experiments as a list of cells. Each cell is trained and tested once, its numbers
//! kept on disk, and resumed where it was stopped.

mod run;
mod scale;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use slipher_nn::checkpoint::{Array, Checkpoint, CheckpointError};
use slipher_nn::loss::Loss;
use slipher_nn::optimiser::Rule;

use super::classical::{self, Method};
use super::network::NetworkRecipe;
use super::score::{Answers, CLOSE, CONFUSIONS, Calibration, Metrics, Truth, confusion, metrics};
use super::simulate::{Noise, Pool, Sample, SedRecipe, Setting, Split, centre};
use super::train::{CurvePoint, Plan, Run, RunError, answers};
use crate::redshift::simulate::BadRecipe;
use slipher_stats::calibration::{purity, reliability};

pub use scale::{Scale, Sizes};

/// S/N per bin of noisy training sets, drawn log-uniformly between these, and of the test sets.
pub const TRAINED: (f64, f64) = (0.4, 20.0);
/// Of the test sets.
pub const LADDER: [f64; 9] = [0.3, 0.5, 0.7, 1.0, 1.4, 2.0, 3.0, 5.0, 10.0];

/// S/N at which the other library is tested.
pub const OTHER: [f64; 3] = [0.5, 1.0, 5.0];

/// Other losses with Adam, and other optimisers with cross-entropy; learning rates by hand, the
/// best of three or more a factor of three apart (docs/EXPERIMENTS.md).
const VARIANTS: [(&str, &str, Loss, Rule, f64); 6] = [
    (
        "logistic",
        "logistic loss, Adam",
        Loss::Logistic,
        ADAM,
        1e-2,
    ),
    ("hinge", "hinge loss, Adam", Loss::Hinge, ADAM, 3e-4),
    ("squared", "squared error, Adam", Loss::Squared, ADAM, 1e-2),
    (
        "sgd",
        "cross-entropy, SGD",
        Loss::CrossEntropy,
        Rule::Sgd {
            momentum: 0.0,
            nesterov: false,
        },
        0.1,
    ),
    (
        "momentum",
        "cross-entropy, SGD with momentum 0.9",
        Loss::CrossEntropy,
        Rule::Sgd {
            momentum: 0.9,
            nesterov: false,
        },
        0.03,
    ),
    (
        "adagrad",
        "cross-entropy, Adagrad",
        Loss::CrossEntropy,
        Rule::Adagrad { eps: 1e-8 },
        0.01,
    ),
];
const ADAM: Rule = Rule::Adam {
    beta1: 0.9,
    beta2: 0.999,
    eps: 1e-8,
};

/// The whole study.
#[derive(Clone, Debug)]
pub struct Study {
    /// How large it is.
    pub scale: Scale,
    /// Of all random streams.
    pub seed: u64,
    /// Folder of templates as the other library; without, none is tested.
    pub other: Option<PathBuf>,
    /// Where cells keep their results.
    pub folder: PathBuf,
}

/// What a cell does.
#[derive(Clone, Debug)]
pub enum Kind {
    /// Trains a network.
    Train(Plan),
    /// Fits a classical method.
    Classical {
        /// Which.
        method: Method,
        /// On noisy spectra.
        noisy: bool,
        /// Where spectra are seen.
        setting: Setting,
    },
}

/// One experiment.
#[derive(Clone, Debug)]
pub struct Cell {
    /// Of its file.
    pub name: String,
    /// As pages have it.
    pub title: String,
    /// What it does.
    pub kind: Kind,
}

impl Cell {
    fn train(name: String, title: String, plan: Plan) -> Self {
        Cell {
            name,
            title,
            kind: Kind::Train(plan),
        }
    }
}

/// A test set.
#[derive(Clone, Debug)]
pub struct Test {
    /// Of the result.
    pub key: String,
    /// Its rows.
    pub sample: Sample,
    /// Made of the other library.
    pub other: bool,
}

/// Result of a method on a test set.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Tested {
    /// Of the test set.
    pub key: String,
    /// All figures.
    pub metrics: Metrics,
    /// (mean probability, share right, rows), for being within 0.0033 (1+z).
    pub reliability: Vec<(f64, f64, usize)>,
    /// (completeness, purity), by that probability.
    #[serde(default)]
    pub purity: Vec<(f64, f64)>,
    /// (two lines, share of all rows lost to taking one for the other).
    pub confusions: Vec<(String, f64)>,
}

/// All numbers of a cell.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Finished {
    /// Of the cell.
    pub name: String,
    /// As pages have it.
    pub title: String,
    /// The plan or the settings, in JSON.
    pub settings: serde_json::Value,
    /// What was tried on the validation set, and what it gave.
    pub search: Vec<String>,
    /// Losses while it learned.
    #[serde(alias = "looks")]
    pub curve: Vec<CurvePoint>,
    /// Examples learned from; seconds of training.
    pub examples: u64,
    /// Of training.
    pub seconds: f64,
    /// Weights of the network; 0 without one.
    pub weights: usize,
    /// Sharpness of the softmax.
    pub calibration: Calibration,
    /// In the order in which they ran.
    pub tests: Vec<Tested>,
}

/// Why the study stopped.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say it")]
pub enum StudyError {
    #[error(transparent)]
    Recipe(#[from] BadRecipe),
    #[error(transparent)]
    Run(#[from] RunError),
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    #[error("{}: {why}", path.display())]
    File { path: PathBuf, why: String },
}

/// Pools of SEDs, made when first asked for.
#[derive(Default)]
struct Pools(BTreeMap<String, Arc<Pool>>);

impl Pools {
    fn get(&mut self, recipe: &SedRecipe, setting: Setting) -> Result<Arc<Pool>, BadRecipe> {
        let key = format!("{setting:?} {recipe:?}");
        if !self.0.contains_key(&key) {
            self.0
                .insert(key.clone(), Arc::new(Pool::new(recipe, setting)?));
        }
        Ok(self.0[&key].clone())
    }
}

/// What is told while a cell runs.
pub struct Progress<'a> {
    /// Name of the cell.
    pub cell: &'a str,
    /// Steps or rows done.
    pub done: u64,
    /// Of so many.
    pub of: u64,
    /// What it is doing, in words.
    pub text: String,
}

impl Study {
    /// The SEDs of the study.
    pub fn seds(&self) -> SedRecipe {
        SedRecipe {
            count: self.scale.sizes().seds,
            seed: self.seed,
            min_halpha: 10.0,
            templates: None,
        }
    }

    /// SEDs of the other library; a tenth of them is tested.
    fn other_seds(&self) -> Option<SedRecipe> {
        let templates = self.other.clone()?;
        Some(SedRecipe {
            templates: Some(templates),
            ..self.seds()
        })
    }

    fn sample(&self, noisy: bool) -> Sample {
        let noise = if noisy {
            Noise::Between(TRAINED.0, TRAINED.1)
        } else {
            Noise::Clean
        };
        Sample {
            split: Split::Train,
            noise,
            centres: false,
            seed: self.seed,
        }
    }

    fn paper(&self, depth: usize, examples: u64, noisy: bool) -> Plan {
        Plan {
            seds: self.seds(),
            setting: Setting::Published,
            sample: self.sample(noisy),
            examples,
            examples_seen: self.scale.shown_paper(examples, noisy),
            batch: 128,
            network: NetworkRecipe::Paper {
                depth,
                dropout: 0.5,
                l2: 0.0,
            },
            loss: Loss::CrossEntropy,
            optimiser: Rule::adam(),
            learning_rate: 1e-3,
            constant: false,
            seed: self.seed,
            curve_points: 16,
            curve_rows: 2000,
            added_noise: 0.0,
        }
    }

    fn shift(&self, examples: u64, noisy: bool) -> Plan {
        Plan {
            examples_seen: self.scale.shown_shift(examples),
            batch: 64,
            network: NetworkRecipe::Shift {
                depth: 6,
                width: 16,
                patterns: 2,
            },
            optimiser: Rule::AdamW {
                beta1: 0.9,
                beta2: 0.99,
                eps: 1e-8,
            },
            learning_rate: 3e-3,
            curve_points: 8,
            curve_rows: 1000,
            // Small sets are soon known by heart; more noise keeps them new (docs/EXPERIMENTS.md).
            added_noise: if examples <= 40_000 { 2.0 } else { 0.0 },
            ..self.paper(3, examples, noisy)
        }
    }

    /// The cells in the order in which they run.
    pub fn cells(&self) -> Vec<Cell> {
        let s = self.scale.sizes();
        let train = Cell::train;
        let mut cells = Vec::new();
        for n in s.curve_shift {
            cells.push(train(
                format!("shift-noisy-{}", short(*n)),
                format!("shift-equivariant, noisy {}", short(*n)),
                self.shift(*n, true),
            ));
        }
        cells.push(train(
            format!("shift-clean-{}", short(s.few)),
            format!("shift-equivariant, clean {}", short(s.few)),
            self.shift(s.few, false),
        ));
        for (depth, n) in [(3, s.few), (1, s.many), (3, s.many)] {
            cells.push(train(
                format!("paper{depth}-clean-{}", short(n)),
                format!(
                    "authors' network, {depth} convolution{}, clean {}",
                    if depth == 1 { "" } else { "s" },
                    short(n)
                ),
                self.paper(depth, n, false),
            ));
        }
        for n in s.curve_paper {
            cells.push(train(
                format!("paper3-noisy-{}", short(*n)),
                format!("authors' network, 3 convolutions, noisy {}", short(*n)),
                self.paper(3, *n, true),
            ));
        }
        if let (Scale::Paper, Ok(mut plan)) = (
            self.scale,
            Plan::parse(include_str!("recipes/redshift-classes-notebook.toml")),
        ) {
            (plan.seds, plan.sample.seed, plan.seed) = (self.seds(), self.seed, self.seed);
            cells.push(train(
                "notebook".into(),
                "authors' notebook: 5000 clean examples, 20 epochs".into(),
                plan,
            ));
        }
        for method in Method::ALL {
            for (noisy, tail) in [(false, "clean"), (true, "noisy")] {
                if noisy || !method.needs_noise() {
                    cells.push(Cell {
                        name: format!("{}-{tail}", method.key()),
                        title: format!("{}, {tail}", method.title()),
                        kind: Kind::Classical {
                            method,
                            noisy,
                            setting: Setting::Published,
                        },
                    });
                }
            }
        }
        cells.extend(self.nisp());
        for (key, title, loss, rule, rate) in VARIANTS {
            let plan = Plan {
                loss,
                optimiser: rule,
                learning_rate: rate,
                curve_points: 4,
                ..self.paper(3, s.few, true)
            };
            cells.push(train(
                format!("variant-{key}"),
                format!("authors' network, {title}"),
                plan,
            ));
        }
        cells
    }

    /// With the wavelengths and the resolution of Euclid's spectrograph.
    fn nisp(&self) -> Vec<Cell> {
        let s = self.scale.sizes();
        let nisp = |plan: Plan| Plan {
            setting: Setting::Nisp,
            ..plan
        };
        let mut cells = vec![
            Cell::train(
                format!("shift-nisp-{}", short(s.few)),
                format!("shift-equivariant, NISP {}", short(s.few)),
                nisp(self.shift(s.few, true)),
            ),
            Cell::train(
                format!("paper3-nisp-{}", short(s.many)),
                format!("authors' network, NISP {}", short(s.many)),
                nisp(self.paper(3, s.many, true)),
            ),
        ];
        if self.scale == Scale::Paper {
            // Redshifting a library through the line-spread function takes minutes.
            cells.push(Cell {
                name: "matched-nisp".into(),
                title: format!("{}, NISP", Method::MatchedFilter.title()),
                kind: Kind::Classical {
                    method: Method::MatchedFilter,
                    noisy: true,
                    setting: Setting::Nisp,
                },
            });
        }
        cells
    }

    /// Test sets of a cell.
    fn tests(&self, noisy: bool, setting: Setting, leak: bool, brief: bool) -> Vec<Test> {
        let sample = |noise: Noise, centres: bool, split: Split| Sample {
            split,
            noise,
            centres,
            seed: self.seed ^ 0x7E57,
        };
        let test = |key: String, sample: Sample, other: bool| Test { key, sample, other };
        let mut out = vec![
            test(
                "clean".into(),
                sample(Noise::Clean, false, Split::Test),
                false,
            ),
            test(
                "clean-centres".into(),
                sample(Noise::Clean, true, Split::Test),
                false,
            ),
        ];
        if leak {
            out.push(test(
                "leak-clean".into(),
                sample(Noise::Clean, false, Split::Leak),
                false,
            ));
        }
        if !noisy {
            return out;
        }
        if !brief {
            out.push(test(
                "mixed".into(),
                sample(Noise::Between(TRAINED.0, TRAINED.1), false, Split::Test),
                false,
            ));
        }
        for snr in LADDER
            .into_iter()
            .filter(|s| !brief || [0.5, 1.0, 2.0, 5.0].contains(s))
        {
            out.push(test(
                format!("snr-{snr}"),
                sample(Noise::Fixed(snr), false, Split::Test),
                false,
            ));
        }
        if leak {
            out.push(test(
                "leak-1".into(),
                sample(Noise::Fixed(1.0), false, Split::Leak),
                false,
            ));
        }
        if self.other.is_some() && setting == Setting::Published && !brief {
            for snr in OTHER {
                out.push(test(
                    format!("other-{snr}"),
                    sample(Noise::Fixed(snr), false, Split::Test),
                    true,
                ));
            }
        }
        out
    }
}

/// Writes a file atomically.
fn atomic_write(path: &Path, text: &str) -> Result<(), StudyError> {
    slipher_data::atomic::atomic_write(path, text).map_err(|e| StudyError::File {
        path: path.to_owned(),
        why: e.to_string(),
    })
}

/// Pools kept from cell to cell.
#[derive(Default)]
pub struct StudyPools(Pools);

/// 4000 as 4K, 4,000,000 as 4M.
pub fn short(n: u64) -> String {
    match n {
        n if n >= 1_000_000 && n % 1_000_000 == 0 => format!("{}M", n / 1_000_000),
        n if n >= 1000 && n % 1000 == 0 => format!("{}K", n / 1000),
        n => n.to_string(),
    }
}

#[cfg(test)]
mod tests;
