//! Training: examples are simulated as they are used; the same seed gives the same weights on any
//! number of threads; a run killed at any time resumes bit for bit.

use std::io::Write;
use std::path::{Path, PathBuf};

use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use slipher_nn::checkpoint::{Checkpoint, CheckpointError};
use slipher_nn::optimiser::{Optimiser, Rule, learning_rate};
use slipher_nn::shiftnet::{Prediction, ShiftNet, Tape};
use slipher_nn::spare::Spare;
use slipher_sim::sed::SpecType;

use super::decode::{decode, posterior};
use super::encode::{Encoded, encode};
use super::model::{LAGS, Model, ModelError, NetworkRecipe, allowed, lag_of};
use super::score::{Tally, success};
use super::simulate::{BadRecipe, SimulationRecipe, Simulator, Split};

/// A training run in one TOML file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Recipe {
    pub network: NetworkRecipe,
    pub training: TrainingRecipe,
    pub simulation: SimulationRecipe,
}

/// Settings of the loop.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrainingRecipe {
    pub steps: u64,
    pub batch: u64,
    pub learning_rate: f64,
    pub warmup: u64,
    pub weight_decay: f64,
    pub seed: u64,
    /// Simulated spectra for validation.
    pub validation: u64,
    /// Steps between validations and checkpoints.
    pub every: u64,
    /// Stop when validation has not improved for this many of them; 0 = never.
    #[serde(default)]
    pub patience: u64,
}

impl Recipe {
    /// # Errors
    /// Names the field that is missing, unknown or of the wrong type.
    pub fn parse(text: &str) -> Result<Self, BadRecipe> {
        let r: Recipe = toml::from_str(text).map_err(|e| BadRecipe::Field(e.to_string()))?;
        let t = &r.training;
        if let Some(why) = r.network.problem() {
            return Err(BadRecipe::Field(why.into()));
        }
        if t.steps == 0
            || t.every == 0
            || !(1..=100_000).contains(&t.batch)
            || t.validation > 10_000_000
        {
            return Err(BadRecipe::Field("steps and every must be positive, batch 1 to 100,000, validation at most 10,000,000".into()));
        }
        Ok(r)
    }
}

/// Why training stopped short.
#[derive(Debug, thiserror::Error)]
pub enum TrainError {
    #[error(transparent)]
    Recipe(#[from] BadRecipe),
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    #[error(transparent)]
    Model(#[from] ModelError),
    #[error("cannot write {}: {source}", path.display())]
    Log {
        path: PathBuf,
        source: std::io::Error,
    },
    #[error("the loss is not finite at step {0}; lower learning_rate in the recipe")]
    Diverged(u64),
    #[error("{0} was made by another recipe; give another folder or leave out --resume")]
    OtherRecipe(PathBuf),
}

/// State of a run.
pub struct Trainer {
    pub recipe: Recipe,
    pub simulator: Simulator,
    pub model: Model,
    adam_trunk: Optimiser,
    adam_patterns: Optimiser,
    pub step: u64,
    best: f64,
    since_best: u64,
    validation: Vec<(Encoded, (SpecType, f64))>,
    tapes: Spare<Vec<Tape>>,
    predictions: Spare<Prediction>,
}

/// Progress of one step, for the caller to show.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct StepReport {
    pub step: u64,
    pub loss: f64,
    /// Share of the batch answered right.
    pub accuracy: f64,
}

/// Result of a validation.
#[derive(Clone, Debug, Serialize)]
pub struct Validation {
    pub step: u64,
    pub loss: f64,
    pub success: f64,
    pub galaxy: f64,
    pub qso: f64,
    pub star: f64,
    pub n: usize,
    pub sharpness: f64,
}

struct Sample {
    fspec: Vec<f32>,
    gspec: Vec<f32>,
}

struct Chunk {
    grad: Vec<f32>,
    samples: Vec<Sample>,
    loss: f64,
    right: usize,
}

/// β₂ of 0.99 forgets the first, steep steps sooner than the usual 0.999.
const RULE: Rule = Rule::AdamW {
    beta1: 0.9,
    beta2: 0.99,
    eps: 1e-8,
};

/// Examples whose gradients are summed in one piece; fixes the order of summation on any number of threads.
const CHUNK: u64 = 4;

impl Trainer {
    /// # Errors
    /// A recipe that cannot be followed.
    pub fn new(recipe: Recipe) -> Result<Self, TrainError> {
        let simulator = Simulator::new(&recipe.simulation, recipe.training.seed)?;
        let model = Model::new(recipe.network.clone(), recipe.training.seed);
        let (nt, np) = (model.net.trunk.len(), model.net.patterns.len());
        let decay = recipe.training.weight_decay as f32;
        let mut t = Trainer {
            recipe,
            simulator,
            model,
            adam_trunk: Optimiser::new(RULE, decay, nt),
            adam_patterns: Optimiser::new(RULE, decay, np),
            step: 0,
            best: f64::INFINITY,
            since_best: 0,
            validation: vec![],
            tapes: Spare::default(),
            predictions: Spare::default(),
        };
        let rows: Vec<u64> = (0..t.recipe.training.validation).collect();
        t.validation = rows
            .par_iter()
            .filter_map(|row| {
                let e = t.simulator.draw(Split::Validation, *row);
                Some((encode(&e.spectrum)?, e.truth?))
            })
            .collect();
        Ok(t)
    }

    /// Continues from a checkpoint of the same recipe.
    ///
    /// # Errors
    /// If the file is damaged or belongs to another recipe.
    pub fn resume(&mut self, path: &Path) -> Result<(), TrainError> {
        let c = Checkpoint::read(path)?;
        if c.meta.get("recipe") != Some(&self.recipe_text()) {
            return Err(TrainError::OtherRecipe(path.to_owned()));
        }
        let (nt, np) = (self.model.net.trunk.len(), self.model.net.patterns.len());
        self.model.net.trunk = c.tensor("trunk", nt)?;
        self.model.net.patterns = c.tensor("patterns", np)?;
        (self.adam_trunk.first, self.adam_trunk.second) =
            (c.tensor("trunk.m", nt)?, c.tensor("trunk.v", nt)?);
        (self.adam_patterns.first, self.adam_patterns.second) =
            (c.tensor("patterns.m", np)?, c.tensor("patterns.v", np)?);
        let number = |key: &str| c.meta.get(key).and_then(|s| s.parse::<f64>().ok());
        self.step = number("step").unwrap_or(0.0) as u64;
        self.best = number("best").unwrap_or(f64::INFINITY);
        self.since_best = number("since_best").unwrap_or(0.0) as u64;
        self.model.net.refresh();
        Ok(())
    }

    fn recipe_text(&self) -> String {
        serde_json::to_string(&self.recipe).unwrap_or_default()
    }

    /// Everything needed to continue bit for bit.
    pub fn checkpoint(&self) -> Checkpoint {
        let mut c = Checkpoint::default();
        c.tensors
            .insert("trunk".into(), self.model.net.trunk.clone());
        c.tensors
            .insert("patterns".into(), self.model.net.patterns.clone());
        c.tensors
            .insert("trunk.m".into(), self.adam_trunk.first.clone());
        c.tensors
            .insert("trunk.v".into(), self.adam_trunk.second.clone());
        c.tensors
            .insert("patterns.m".into(), self.adam_patterns.first.clone());
        c.tensors
            .insert("patterns.v".into(), self.adam_patterns.second.clone());
        c.meta.insert("recipe".into(), self.recipe_text());
        c.meta.insert("step".into(), self.step.to_string());
        c.meta.insert("best".into(), self.best.to_string());
        c.meta
            .insert("since_best".into(), self.since_best.to_string());
        c
    }

    /// One step of the optimiser on the next batch.
    ///
    /// # Errors
    /// If the loss stops being finite.
    pub fn step(&mut self) -> Result<StepReport, TrainError> {
        let t = &self.recipe.training;
        let first = self.step * t.batch;
        let starts: Vec<u64> = (0..t.batch).step_by(CHUNK as usize).collect();
        let classes = self.model.classes();
        let chunks: Vec<Chunk> = starts
            .par_iter()
            .map(|start| {
                let end = (start + CHUNK).min(t.batch);
                self.chunk(
                    first + start..first + end,
                    t.batch as f32,
                    &classes,
                    &mut self.tapes.lend(),
                )
            })
            .collect();
        let mut grad = vec![0.0f32; self.model.net.trunk.len()];
        for c in &chunks {
            for (g, x) in grad.iter_mut().zip(&c.grad) {
                *g += x;
            }
        }
        let loss = chunks.iter().map(|c| c.loss).sum::<f64>() / t.batch as f64;
        let right: usize = chunks.iter().map(|c| c.right).sum();
        let samples: Vec<&Sample> = chunks.iter().flat_map(|c| &c.samples).collect();
        let fspecs: Vec<&[f32]> = samples.iter().map(|s| s.fspec.as_slice()).collect();
        let gspecs: Vec<&[f32]> = samples.iter().map(|s| s.gspec.as_slice()).collect();
        let dpatterns = self.model.net.grad_patterns(&fspecs, &gspecs);
        if !loss.is_finite() || grad.iter().chain(&dpatterns).any(|g| !g.is_finite()) {
            return Err(TrainError::Diverged(self.step));
        }
        let lr = learning_rate(t.learning_rate, self.step, t.warmup, t.steps) as f32;
        let net: &mut ShiftNet = &mut self.model.net;
        self.adam_trunk
            .step(lr, self.step + 1, &mut net.trunk, &grad);
        self.adam_patterns
            .step(lr, self.step + 1, &mut net.patterns, &dpatterns);
        net.refresh();
        self.step += 1;
        Ok(StepReport {
            step: self.step,
            loss,
            accuracy: right as f64 / t.batch as f64,
        })
    }

    fn chunk(
        &self,
        rows: std::ops::Range<u64>,
        batch: f32,
        classes: &[SpecType],
        tapes: &mut Vec<Tape>,
    ) -> Chunk {
        let mut out = Chunk {
            grad: vec![0.0; self.model.net.trunk.len()],
            samples: vec![],
            loss: 0.0,
            right: 0,
        };
        let drawn: Vec<_> = rows
            .map(|row| self.simulator.draw(Split::Train, row))
            .filter_map(|x| Some((encode(&x.spectrum)?, x.truth)))
            .collect();
        if tapes.len() < drawn.len() {
            tapes.resize_with(drawn.len(), Tape::default);
        }
        tapes
            .iter_mut()
            .zip(&drawn)
            .for_each(|(t, d)| t.load(&self.model.net, &d.0.input()));
        self.model.net.forward(&mut tapes[..drawn.len()]);
        for (tape, (_, truth)) in tapes.iter_mut().zip(&drawn) {
            let (loss, mut grad) = cross_entropy(&tape.logits, classes, *truth);
            out.loss += loss;
            if let Some(truth) = truth {
                out.right += usize::from(peak_right(&tape.logits, classes, *truth));
            }
            grad.iter_mut().for_each(|g| *g /= batch);
            let gspec = self.model.net.backward(tape, &grad, &mut out.grad);
            out.samples.push(Sample {
                fspec: tape.take_features_spectrum(),
                gspec,
            });
        }
        out
    }

    /// Scores the validation set and fits the sharpness of the softmax on it.
    pub fn validate(&mut self) -> Validation {
        let classes = self.model.classes();
        let model = &self.model;
        let score = |logits: &[f32], truth: &(SpecType, f64)| {
            let losses = SHARPNESS.map(|s| {
                let scaled: Vec<f32> = logits.iter().map(|l| l * s as f32).collect();
                cross_entropy(&scaled, &classes, Some(*truth)).0
            });
            let answer = decode(
                &posterior(logits, &classes, 1.0),
                1,
                &super::calibrate::Phase::default(),
            );
            (
                losses,
                truth.0,
                answer
                    .solutions
                    .first()
                    .is_some_and(|b| success(*truth, b.class, b.z)),
            )
        };
        let parts = self
            .validation
            .par_chunks(slipher_nn::correlation::TOGETHER)
            .map(|some| {
                let mut p = self.predictions.lend();
                model.net.predict(
                    &some.iter().map(|s| s.0.input()).collect::<Vec<_>>(),
                    &mut p,
                );
                p.logits
                    .iter()
                    .zip(some)
                    .map(|(l, s)| score(l, &s.1))
                    .collect::<Vec<_>>()
            });
        let all: Vec<([f64; SHARPNESS.len()], SpecType, bool)> =
            parts.collect::<Vec<_>>().into_iter().flatten().collect();
        let n = all.len().max(1) as f64;
        let mean = |i: usize| all.iter().map(|a| a.0[i]).sum::<f64>() / n;
        let best = (0..SHARPNESS.len())
            .min_by(|a, b| mean(*a).total_cmp(&mean(*b)))
            .unwrap_or(0);
        self.model.sharpness = SHARPNESS[best];
        let share = |class: Option<SpecType>| {
            let mut t = Tally::default();
            all.iter()
                .filter(|a| class.is_none_or(|c| c == a.1))
                .for_each(|a| t.add(a.2));
            t.percent() / 100.0
        };
        Validation {
            step: self.step,
            loss: mean(best),
            success: share(None),
            galaxy: share(Some(SpecType::Galaxy)),
            qso: share(Some(SpecType::Qso)),
            star: share(Some(SpecType::Star)),
            n: all.len(),
            sharpness: SHARPNESS[best],
        }
    }

    /// Runs to the end of the recipe, with checkpoints and a log of JSON lines in `folder`. `watch` sees every step
    /// and validation and says whether to go on.
    ///
    /// # Errors
    /// I/O errors and divergence.
    pub fn run(
        &mut self,
        folder: &Path,
        mut watch: impl FnMut(&StepReport, Option<&Validation>) -> bool,
    ) -> Result<(), TrainError> {
        let log_path = folder.join("log.jsonl");
        let log_error = |source| TrainError::Log {
            path: log_path.clone(),
            source,
        };
        std::fs::create_dir_all(folder).map_err(log_error)?;
        let mut log = std::fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(&log_path)
            .map_err(log_error)?;
        let (steps, every) = (self.recipe.training.steps, self.recipe.training.every);
        let (mut loss, mut since) = (0.0, 0u64);
        while self.step < steps {
            let report = self.step()?;
            loss += report.loss;
            since += 1;
            let validation =
                (self.step.is_multiple_of(every) || self.step == steps).then(|| self.validate());
            if let Some(v) = &validation {
                let line =
                    serde_json::json!({ "validation": v, "train_loss": loss / since as f64 });
                writeln!(log, "{line}").map_err(log_error)?;
                loss = 0.0;
                since = 0;
                if v.loss < self.best {
                    self.best = v.loss;
                    self.since_best = 0;
                } else {
                    self.since_best += 1;
                }
                self.checkpoint()
                    .write(&folder.join("checkpoint.safetensors"))?;
            }
            let go_on = watch(&report, validation.as_ref());
            if !go_on {
                self.checkpoint()
                    .write(&folder.join("checkpoint.safetensors"))?;
                return Ok(());
            }
            let patience = self.recipe.training.patience;
            if patience > 0 && self.since_best >= patience {
                break;
            }
        }
        Ok(())
    }
}

/// Candidates for the sharpness of the softmax.
const SHARPNESS: [f64; 7] = [0.5, 0.6, 0.7, 0.8, 0.9, 1.0, 1.15];

/// Cross-entropy of the (class, lag) truth and its gradient; blank sky (`None`) wants all answers alike.
pub fn cross_entropy(
    logits: &[f32],
    classes: &[SpecType],
    truth: Option<(SpecType, f64)>,
) -> (f64, Vec<f32>) {
    let mut top = f32::NEG_INFINITY;
    for (row, c) in logits.chunks_exact(LAGS).zip(classes) {
        top = row[allowed(*c)].iter().fold(top, |m, v| m.max(*v));
    }
    let mut grad = vec![0.0f32; logits.len()];
    let mut sum = 0.0f64;
    for ((row, g), c) in logits
        .chunks_exact(LAGS)
        .zip(grad.chunks_exact_mut(LAGS))
        .zip(classes)
    {
        let range = allowed(*c);
        for (g, l) in g[range.clone()].iter_mut().zip(&row[range]) {
            *g = (l - top).exp();
            sum += f64::from(*g);
        }
    }
    let norm = (1.0 / sum) as f32;
    grad.iter_mut().for_each(|g| *g *= norm);
    let Some((class, z)) = truth else {
        let n: usize = classes.iter().map(|c| allowed(*c).len()).sum();
        let mut loss = 0.0;
        for (g, c) in grad.chunks_exact_mut(LAGS).zip(classes) {
            for g in &mut g[allowed(*c)] {
                loss -= f64::from(g.max(1e-30).ln()) / n as f64;
                *g -= 1.0 / n as f32;
            }
        }
        return (loss - (n as f64).ln(), grad);
    };
    let range = allowed(class);
    let at = lag_of(z).clamp(range.start as f64, (range.end - 1) as f64);
    let (low, t) = (at.floor() as usize, at.fract());
    let mut loss = 0.0;
    for (lag, share) in [(low, 1.0 - t), ((low + 1).min(range.end - 1), t)] {
        let own: Vec<usize> = (0..classes.len())
            .filter(|p| classes[*p] == class)
            .collect();
        let p: f64 = own
            .iter()
            .map(|p| f64::from(softmax_at(logits, *p, lag, top, norm)))
            .sum::<f64>()
            .max(1e-30);
        loss -= share * p.ln();
        for o in own {
            let q = f64::from(softmax_at(logits, o, lag, top, norm));
            grad[o * LAGS + lag] -= (share * q / p) as f32;
        }
    }
    (loss, grad)
}

/// Softmax of one (pattern, lag), from the logits: the gradient may already be changed there.
fn softmax_at(logits: &[f32], pattern: usize, lag: usize, top: f32, norm: f32) -> f32 {
    (logits[pattern * LAGS + lag] - top).exp() * norm
}

fn peak_right(logits: &[f32], classes: &[SpecType], truth: (SpecType, f64)) -> bool {
    let mut best = (f32::NEG_INFINITY, SpecType::Galaxy, 0);
    for (row, c) in logits.chunks_exact(LAGS).zip(classes) {
        for l in allowed(*c) {
            if row[l] > best.0 {
                best = (row[l], *c, l);
            }
        }
    }
    success(truth, best.1, super::model::redshift_of(best.2 as f64))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cross_entropy_gradient_agrees_with_differences() {
        let classes = [
            SpecType::Galaxy,
            SpecType::Galaxy,
            SpecType::Qso,
            SpecType::Star,
        ];
        let mut logits: Vec<f32> = (0..4 * LAGS)
            .map(|i| ((i * 37 % 101) as f32) * 0.05)
            .collect();
        for truth in [
            Some((SpecType::Galaxy, 0.7001)),
            Some((SpecType::Star, -0.0002)),
            None,
        ] {
            let (_, grad) = cross_entropy(&logits, &classes, truth);
            let total: f32 = grad.iter().sum();
            assert!(total.abs() < 1e-3, "{total}");
            let at = lag_of(0.7001) as usize;
            for i in [at, at + 1, LAGS + at, 2 * LAGS + 1000, 3 * LAGS + 20, 5] {
                let old = logits[i];
                let eps = 0.02;
                logits[i] = old + eps;
                let hi = cross_entropy(&logits, &classes, truth).0;
                logits[i] = old - eps;
                let lo = cross_entropy(&logits, &classes, truth).0;
                logits[i] = old;
                let want = (hi - lo) / f64::from(2.0 * eps);
                assert!(
                    (want - f64::from(grad[i])).abs() < 2e-3 * (0.05 + want.abs()),
                    "{i}: {want} {}",
                    grad[i]
                );
            }
        }
    }

    fn tiny() -> Recipe {
        Recipe {
            network: NetworkRecipe {
                depth: 1,
                width: 16,
                taps: 3,
                patterns: [1, 1, 1],
            },
            training: TrainingRecipe {
                steps: 4,
                batch: 6,
                learning_rate: 1e-3,
                warmup: 2,
                weight_decay: 0.0,
                seed: 5,
                validation: 6,
                every: 2,
                patience: 0,
            },
            simulation: SimulationRecipe {
                instruments: vec![("euclid-red".into(), 1.0)],
                templates: vec![],
                blank_sky: 0.1,
                peculiar: 0.2,
            },
        }
    }

    /// Killed after two steps and resumed, the run ends with the same bytes, on one thread or three.
    #[test]
    fn resume_is_exact_on_any_number_of_threads() {
        let dir = tempfile::tempdir().unwrap();
        let run = |threads: usize, stop: bool, sub: &str| {
            let pool = rayon::ThreadPoolBuilder::new()
                .num_threads(threads)
                .build()
                .unwrap();
            pool.install(|| {
                let folder = dir.path().join(sub);
                let mut t = Trainer::new(tiny()).unwrap();
                if stop {
                    t.run(&folder, |r, _| r.step < 2).unwrap();
                    t = Trainer::new(tiny()).unwrap();
                    t.resume(&folder.join("checkpoint.safetensors")).unwrap();
                    assert_eq!(t.step, 2);
                }
                t.run(&folder, |_, _| true).unwrap();
                t.checkpoint().to_bytes().unwrap()
            })
        };
        let a = run(1, false, "a");
        assert!(a == run(3, false, "b"), "threads change the weights");
        assert!(a == run(2, true, "c"), "resuming changes the weights");
    }
}
