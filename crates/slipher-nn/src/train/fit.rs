//! The one training loop: steps, validation, log, best weights, checkpoints. Killed at any time and
//! resumed, a run ends with the same bytes, on any number of threads.

use std::path::{Path, PathBuf};
use std::time::Instant;

use serde::{Deserialize, Serialize};

use super::{Diverged, Examples, Learner, Metrics, Schedule, StepReport};
use crate::checkpoint::{Checkpoint, CheckpointError, remove_leftovers, write_atomically};

/// The state of a run on disk.
const CHECKPOINT: &str = "checkpoint.safetensors";
/// The learner at its best validation.
const BEST: &str = "best.safetensors";
/// One line of JSON a validation.
const LOG: &str = "log.jsonl";
/// What a checkpoint calls itself; changes with its content.
const KIND: &str = "slipher checkpoint 2";

/// A run: where it is kept, what it follows, who watches.
pub struct Run<'a> {
    /// Folder of checkpoint, log and best weights; none keeps all in memory.
    pub folder: Option<PathBuf>,
    /// Everything that the result depends on, as text; a checkpoint of another recipe is refused.
    pub recipe: String,
    /// Sees each step and says whether to go on.
    pub watch: Box<dyn FnMut(&Progress<'_>) -> bool + 'a>,
}

impl Run<'_> {
    /// In memory, unwatched.
    pub fn in_memory() -> Run<'static> {
        Run {
            folder: None,
            recipe: String::new(),
            watch: Box::new(|_| true),
        }
    }

    /// Whether a folder holds a run.
    pub fn exists(folder: &Path) -> bool {
        folder.join(CHECKPOINT).exists()
    }
}

/// What a run shows after each step.
pub struct Progress<'a> {
    /// Steps done.
    pub step: u64,
    /// Steps done.
    pub steps: u64,
    /// Figures of the step.
    pub report: &'a StepReport,
    /// If one followed this step.
    pub validation: Option<&'a Validation>,
    /// Spent in steps, over all sessions of the run.
    pub seconds: f64,
}

/// Figures of the held-out sets after a step.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Validation {
    /// Steps done by then.
    pub step: u64,
    /// Mean loss of training since the last validation.
    pub train_loss: f64,
    /// By set.
    pub sets: Vec<(String, Metrics)>,
}

impl Validation {
    /// A figure of a set.
    pub fn get(&self, set: &str, name: &str) -> Option<f64> {
        self.sets.iter().find(|s| s.0 == set)?.1.get(name)
    }

    fn loss(&self) -> f64 {
        self.sets
            .first()
            .and_then(|s| s.1.get("loss"))
            .unwrap_or(f64::NAN)
    }
}

/// How a run ended. The learner holds the best weights if it went to an end and the schedule keeps
/// them.
#[derive(Clone, Debug, PartialEq)]
pub struct Finished {
    /// False: `watch` stopped it; it can be resumed.
    pub whole: bool,
    /// Step at which training ended.
    pub step: u64,
    /// Seconds of this call, without those before a resume.
    pub seconds: f64,
    /// All validations, in order.
    pub validations: Vec<Validation>,
}

/// Why a run fails.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
#[expect(missing_docs, reason = "the messages say it")]
pub enum TrainError {
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    #[error("{}: made by another recipe; give another folder or remove this one", .0.display())]
    OtherRecipe(PathBuf),
    #[error("the loss is not finite at step {0}; lower learning_rate in the recipe")]
    Diverged(u64),
    #[error(
        "the loss of the held-out rows is {loss} at step {step}: expected rows, with targets that \
         are finite numbers"
    )]
    Validation { step: u64, loss: f64 },
    #[error("{}: the best weights of the run are missing; remove {} to begin anew", .0.display(), CHECKPOINT)]
    BestMissing(PathBuf),
}

#[derive(Clone, Default)]
struct State {
    step: u64,
    seconds: f64,
    best: Option<f64>,
    since_best: u64,
    /// Sum and number of the losses since the last validation.
    losses: (f64, u64),
    validations: Vec<Validation>,
}

impl State {
    fn save(&self, to: &mut Checkpoint, recipe: &str) -> Result<(), CheckpointError> {
        to.set("kind", &KIND)?;
        to.set("recipe", &recipe)?;
        to.set("step", &self.step)?;
        to.set("seconds", &self.seconds)?;
        to.set("best", &self.best)?;
        to.set("since_best", &self.since_best)?;
        to.set("losses", &self.losses)?;
        to.set("validations", &self.validations)
    }

    fn load(c: &Checkpoint) -> Result<State, CheckpointError> {
        c.expect_kind(KIND)?;
        Ok(State {
            step: c.get("step")?,
            seconds: c.get("seconds")?,
            best: c.get("best")?,
            since_best: c.get("since_best")?,
            losses: c.get("losses")?,
            validations: c.get("validations")?,
        })
    }
}

/// Trains to the end of the schedule, continuing what the run's folder holds.
///
/// # Errors
/// A loss that is not finite, a damaged checkpoint or one of another recipe, a folder that cannot
/// be written.
pub fn fit<L: Learner + ?Sized>(
    learner: &mut L,
    data: &dyn Examples<L::Batch>,
    schedule: &Schedule,
    run: &mut Run<'_>,
) -> Result<Finished, TrainError> {
    if let Some(folder) = &run.folder {
        remove_leftovers(folder);
    }
    let mut state = resume(learner, run)?;
    let mut best = Best {
        kept: schedule.keep_best,
        folder: run.folder.clone(),
        memory: None,
    };
    let mut whole = true;
    while state.step < schedule.steps
        && (schedule.patience == 0 || state.since_best < schedule.patience)
    {
        let start = Instant::now();
        let batch = data.batch(state.step);
        let rate = schedule.rate(state.step) as f32;
        let report = learner
            .step(&batch, rate, state.step)
            .map_err(|Diverged| TrainError::Diverged(state.step))?;
        state.step += 1;
        state.seconds += start.elapsed().as_secs_f64();
        state.losses = (state.losses.0 + report.loss, state.losses.1 + 1);
        let due = schedule.is_due(state.step);
        let validated = due && validate(learner, data, &mut state, &mut best)?;
        let go_on = (run.watch)(&Progress {
            step: state.step,
            steps: schedule.steps,
            report: &report,
            validation: state.validations.last().filter(|_| validated),
            seconds: state.seconds,
        });
        if due || !go_on {
            write(learner, &state, run)?;
        }
        if !go_on {
            whole = false;
            break;
        }
    }
    if whole && state.best.is_some() && best.kept {
        let folder = run.folder.clone().unwrap_or_default();
        match best.read()? {
            Some(c) => learner.load(&c)?,
            None => return Err(TrainError::BestMissing(folder.join(BEST))),
        }
    }
    Ok(Finished {
        whole,
        step: state.step,
        seconds: state.seconds,
        validations: state.validations,
    })
}

fn resume<L: Learner + ?Sized>(learner: &mut L, run: &Run<'_>) -> Result<State, TrainError> {
    let Some(path) = run
        .folder
        .as_ref()
        .map(|f| f.join(CHECKPOINT))
        .filter(|p| p.exists())
    else {
        return Ok(State::default());
    };
    let c = Checkpoint::read(&path)?;
    let state = State::load(&c)?;
    if c.get::<String>("recipe")? != run.recipe {
        return Err(TrainError::OtherRecipe(path));
    }
    learner.load(&c)?;
    Ok(state)
}

/// Figures of all held-out sets; keeps the learner if it is the best so far. False if nothing is
/// held out.
fn validate<L: Learner + ?Sized>(
    learner: &L,
    data: &dyn Examples<L::Batch>,
    state: &mut State,
    best: &mut Best,
) -> Result<bool, TrainError> {
    let sets: Vec<(String, Metrics)> = data
        .held_out()
        .iter()
        .map(|(name, b)| {
            // What has no value is left out: JSON has no NaN, and the log is read back.
            let mut m = learner.validate(b);
            m.0.retain(|figure| figure.1.is_finite());
            ((*name).to_owned(), m)
        })
        .collect();
    let train_loss = state.losses.0 / state.losses.1.max(1) as f64;
    state.losses = (0.0, 0);
    if sets.is_empty() {
        return Ok(false);
    }
    let v = Validation {
        step: state.step,
        train_loss,
        sets,
    };
    // A NaN would be the best for ever.
    if !v.loss().is_finite() {
        return Err(TrainError::Validation {
            step: state.step,
            loss: v.loss(),
        });
    }
    if state.best.is_none_or(|b| v.loss() < b) {
        (state.best, state.since_best) = (Some(v.loss()), 0);
        best.keep(learner)?;
    } else {
        state.since_best += 1;
    }
    state.validations.push(v);
    Ok(true)
}

fn write<L: Learner + ?Sized>(learner: &L, state: &State, run: &Run<'_>) -> Result<(), TrainError> {
    let Some(folder) = &run.folder else {
        return Ok(());
    };
    make(folder)?;
    // The log is the checkpoint's list of validations: what a killed run wrote beyond it goes.
    let lines: Vec<String> = state
        .validations
        .iter()
        .map(|v| serde_json::to_string(v).map_err(|e| CheckpointError::json("log", &e)))
        .collect::<Result<_, _>>()?;
    write_atomically(&folder.join(LOG), (lines.join("\n") + "\n").as_bytes())?;
    let mut c = Checkpoint::default();
    learner.save(&mut c);
    state.save(&mut c, &run.recipe)?;
    Ok(c.write(&folder.join(CHECKPOINT))?)
}

fn make(folder: &Path) -> Result<(), CheckpointError> {
    std::fs::create_dir_all(folder).map_err(|source| CheckpointError::Io {
        what: "make",
        path: folder.to_owned(),
        source,
    })
}

/// The learner at its best validation.
struct Best {
    kept: bool,
    folder: Option<PathBuf>,
    memory: Option<Checkpoint>,
}

impl Best {
    fn keep<L: Learner + ?Sized>(&mut self, learner: &L) -> Result<(), CheckpointError> {
        if !self.kept {
            return Ok(());
        }
        let mut c = Checkpoint::default();
        learner.save(&mut c);
        match &self.folder {
            Some(f) => {
                make(f)?;
                c.write(&f.join(BEST))
            }
            None => {
                self.memory = Some(c);
                Ok(())
            }
        }
    }

    fn read(self) -> Result<Option<Checkpoint>, CheckpointError> {
        if !self.kept {
            return Ok(None);
        }
        match self.folder.map(|f| f.join(BEST)) {
            Some(p) if p.exists() => Checkpoint::read(&p).map(Some),
            _ => Ok(self.memory),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Learns a number from noisy batches; its loss is best in the middle of the run.
    struct Toy {
        value: f32,
        broken: bool,
    }

    impl Learner for Toy {
        type Batch = f32;
        fn step(&mut self, b: &f32, rate: f32, _: u64) -> Result<StepReport, Diverged> {
            if self.broken {
                return Err(Diverged);
            }
            self.value += rate * b;
            Ok(StepReport {
                loss: f64::from(*b),
                correct: f64::NAN,
                others: vec![],
            })
        }
        fn validate(&self, target: &f32) -> Metrics {
            Metrics::of(&[("loss", f64::from((self.value - target).abs()))])
        }
        fn save(&self, to: &mut Checkpoint) {
            to.tensors.insert(
                "value".into(),
                crate::checkpoint::Array::flat(vec![self.value]),
            );
        }
        fn load(&mut self, from: &Checkpoint) -> Result<(), CheckpointError> {
            self.value = from.tensor("value", 1)?[0];
            Ok(())
        }
    }

    struct Ones([(&'static str, f32); 1]);
    impl Examples<f32> for Ones {
        fn batch(&self, step: u64) -> f32 {
            1.0 + (step % 3) as f32 * 0.25
        }
        fn held_out(&self) -> &[(&'static str, f32)] {
            &self.0
        }
    }

    fn schedule(steps: u64, patience: u64) -> Schedule {
        Schedule {
            steps,
            learning_rate: 0.5,
            warmup: 1,
            constant: true,
            every: 2,
            patience,
            keep_best: true,
        }
    }

    fn toy() -> Toy {
        Toy {
            value: 0.0,
            broken: false,
        }
    }

    #[test]
    fn the_best_weights_stay_not_the_last() {
        let data = Ones([("validation", 5.0)]);
        for patience in [0, 3] {
            let mut t = toy();
            let done = fit(
                &mut t,
                &data,
                &schedule(40, patience),
                &mut Run::in_memory(),
            )
            .unwrap();
            assert!(done.whole && (t.value - 5.0).abs() < 0.7, "{}", t.value);
            assert_eq!(
                done.step < 40,
                patience > 0,
                "patience {patience} ends at {}",
                done.step
            );
        }
    }

    #[test]
    fn stopped_and_resumed_is_the_same_run() {
        let dir = tempfile::tempdir().unwrap();
        let data = Ones([("validation", 5.0)]);
        let run = |name: &str, stops: &[u64]| {
            let folder = dir.path().join(name);
            for stop in stops.iter().copied().chain([u64::MAX]) {
                let mut t = toy();
                let watch = Box::new(move |p: &Progress<'_>| p.step < stop);
                let mut r = Run {
                    folder: Some(folder.clone()),
                    recipe: "r".into(),
                    watch,
                };
                let end = fit(&mut t, &data, &schedule(21, 0), &mut r).unwrap();
                assert_eq!(end.whole, stop > 21);
            }
            let read = |f: &str| std::fs::read(folder.join(f)).unwrap();
            // Seconds differ from run to run.
            let mut c = Checkpoint::from_bytes("x", &read(CHECKPOINT)).unwrap();
            c.meta.remove("seconds");
            (c, read(BEST), read(LOG))
        };
        assert!(run("a", &[]) == run("b", &[1, 5, 12]));
        let other = Run {
            folder: Some(dir.path().join("a")),
            recipe: "s".into(),
            watch: Box::new(|_| true),
        };
        let e = fit(&mut toy(), &data, &schedule(21, 0), &mut { other }).unwrap_err();
        assert!(matches!(e, TrainError::OtherRecipe(_)), "{e}");
    }

    /// A checkpoint that lacks a number is refused: it must not restart the schedule on trained
    /// weights.
    #[test]
    fn damaged_state_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let data = Ones([("validation", 5.0)]);
        let run = || Run {
            folder: Some(dir.path().to_owned()),
            recipe: "r".into(),
            watch: Box::new(|_| true),
        };
        fit(&mut toy(), &data, &schedule(4, 0), &mut run()).unwrap();
        let path = dir.path().join(CHECKPOINT);
        let whole = Checkpoint::read(&path).unwrap();
        for key in [
            "kind",
            "recipe",
            "step",
            "seconds",
            "best",
            "since_best",
            "losses",
            "validations",
        ] {
            for value in [None, Some(serde_json::json!({ "x": 1 }))] {
                let mut c = whole.clone();
                match value {
                    Some(v) => c.meta.insert(key.into(), v),
                    None => c.meta.remove(key),
                };
                c.write(&path).unwrap();
                assert!(
                    fit(&mut toy(), &data, &schedule(9, 0), &mut run()).is_err(),
                    "{key}"
                );
            }
        }
        let mut broken = Toy {
            broken: true,
            ..toy()
        };
        let e = fit(&mut broken, &data, &schedule(4, 0), &mut Run::in_memory()).unwrap_err();
        assert!(matches!(e, TrainError::Diverged(0)));
    }
}
