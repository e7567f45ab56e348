//! Training of the study's networks: a fixed number of examples, shown again and again in a new
//! order, with curves of training and validation, by the loop of [`slipher_nn::train`].

use std::path::Path;

use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};
use slipher_nn::checkpoint::Checkpoint;
use slipher_nn::loss::Loss;
use slipher_nn::optimiser::Rule;
use slipher_nn::train::epochs::Epochs;
use slipher_nn::train::single::Supervised;
use slipher_nn::train::{self, Examples, Progress, Schedule, TrainError, Validation, fit};
use slipher_sim::random::Stream;

use super::encode::noise;
use super::network::{Classifier, NetworkRecipe};
use super::score::{Answers, Calibration, Truth};
use super::simulate::{Noise, Pool, Sample, SedRecipe, Setting, Split};
use crate::redshift::simulate::BadRecipe;

/// The authors' setting, and the shift-equivariant network.
pub const RECIPE: &str = include_str!("recipes/redshift-classes.toml");

/// A run: everything that its result depends on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Plan {
    /// SEDs that examples are made of.
    pub seds: SedRecipe,
    /// Where they are seen.
    pub setting: Setting,
    /// Training set.
    pub sample: Sample,
    /// Size of the training set.
    pub examples: u64,
    /// Examples shown in all, each `examples_seen / examples` times.
    pub examples_seen: u64,
    /// Examples of a step.
    pub batch: u64,
    /// Which network.
    pub network: NetworkRecipe,
    /// What training minimises.
    pub loss: Loss,
    /// How weights move.
    pub optimiser: Rule,
    /// Highest learning rate; it falls as a cosine unless `constant`.
    pub learning_rate: f64,
    /// The learning rate stays where it is.
    pub constant: bool,
    /// Of first weights, order and dropout.
    pub seed: u64,
    /// Points of the curves.
    pub curve_points: u64,
    /// Rows of training and validation that each point is measured on.
    pub curve_rows: u64,
    /// Half of the spectra, each time they are shown, get white noise added, of a σ up to so many
    /// times their own.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub added_noise: f32,
}

fn is_zero(v: &f32) -> bool {
    *v == 0.0
}

impl Plan {
    /// Reads a recipe.
    ///
    /// # Errors
    /// Names the field that is missing, unknown, of the wrong type or out of range.
    pub fn parse(text: &str) -> Result<Plan, BadRecipe> {
        let p: Plan = crate::recipe::read(text).map_err(BadRecipe::Field)?;
        let ordered = match p.sample.noise {
            Noise::Clean => true,
            Noise::Fixed(s) => s > 0.0 && s.is_finite(),
            Noise::Between(a, b) => a > 0.0 && b >= a && b.is_finite(),
        };
        let few = p.examples == 0 || p.batch == 0 || p.batch > 100_000;
        let rate = p.learning_rate > 0.0 && p.learning_rate.is_finite();
        let problems = [
            (
                few || p.examples > u64::from(u32::MAX),
                "examples: expected 1 to 4 thousand million, batch 1 to 100,000",
            ),
            (
                p.examples_seen < p.batch,
                "examples_seen: expected at least one batch",
            ),
            (!rate, "learning_rate: expected a positive number"),
            (
                p.curve_rows == 0 || p.curve_rows > 1_000_000,
                "curve_rows: expected 1 to 1,000,000",
            ),
            (
                !ordered,
                "noise: expected \"clean\", { fixed = S/N } or { between = [low, high] } with positive numbers",
            ),
            (
                !(0.0..100.0).contains(&p.added_noise),
                "added_noise: expected 0 to 100",
            ),
            (
                p.seds.count > 200_000,
                "seds.count: expected at most 200,000",
            ),
        ];
        match problems.iter().find(|p| p.0) {
            Some((_, why)) => Err(BadRecipe::Field((*why).into())),
            None => Ok(p),
        }
    }

    /// Steps of the optimiser.
    pub fn steps(&self) -> u64 {
        self.examples_seen / self.batch.max(1)
    }

    /// Learning rates and points of the curves. As published, the last weights count.
    pub fn schedule(&self) -> Schedule {
        let steps = self.steps();
        Schedule {
            steps,
            learning_rate: self.learning_rate,
            warmup: (steps / 40).clamp(1, 200),
            constant: self.constant,
            every: (steps / self.curve_points.max(1)).max(1),
            patience: 0,
            keep_best: false,
        }
    }
}

/// One point of the curves; nothing drops out when it is measured.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct CurvePoint {
    /// Steps done.
    pub step: u64,
    /// Examples seen.
    pub shown: u64,
    /// Mean loss on rows of the training set.
    pub train_loss: f64,
    /// Share of them with the exact class.
    pub train_right: f64,
    /// Mean loss on validation rows.
    pub validation_loss: f64,
    /// Share of them with the exact class.
    pub validation_right: f64,
    /// Validation rows.
    pub n: u64,
}

impl CurvePoint {
    /// Of a validation of a run.
    pub fn of(v: &Validation, plan: &Plan) -> CurvePoint {
        let get = |set: &str, name: &str| v.get(set, name).unwrap_or(f64::NAN);
        CurvePoint {
            step: v.step,
            shown: v.step * plan.batch,
            train_loss: get(TRAIN, "loss"),
            train_right: get(TRAIN, "correct"),
            validation_loss: get(VALIDATION, "loss"),
            validation_right: get(VALIDATION, "correct"),
            n: plan.curve_rows,
        }
    }
}

/// Why a run stopped.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
#[expect(missing_docs, reason = "the messages say it")]
pub enum RunError {
    #[error(transparent)]
    Train(#[from] TrainError),
    #[error("{0}")]
    Plan(String),
}

/// Names of the sets that the curves are measured on.
const VALIDATION: &str = "validation";
const TRAIN: &str = "train";

/// Batches of a plan.
pub struct Batches<'a> {
    plan: &'a Plan,
    pool: &'a Pool,
    epochs: Epochs,
    held_out: Vec<(&'static str, Supervised)>,
}

fn supervised((x, labels): (Vec<f32>, Vec<usize>)) -> Supervised {
    Supervised {
        x,
        targets: labels.iter().map(|l| *l as f32).collect(),
    }
}

impl<'a> Batches<'a> {
    /// Of a pool.
    pub fn new(plan: &'a Plan, pool: &'a Pool) -> Self {
        let (seed, n) = (plan.seed, plan.examples as u32);
        // Each epoch shows all rows in a new order.
        let epochs = Epochs::new(n as usize, move |epoch| {
            let mut order: Vec<u32> = (0..n).collect();
            let mut rng = ChaCha8Rng::seed_from_u64(seed);
            rng.set_stream(epoch);
            order.shuffle(&mut rng);
            order
        });
        let set = |split, most: u64| {
            let rows: Vec<u64> = (0..plan.curve_rows.min(most)).collect();
            supervised(pool.batch(
                &Sample {
                    split,
                    ..plan.sample
                },
                &rows,
            ))
        };
        let held_out = vec![
            (VALIDATION, set(Split::Validation, u64::MAX)),
            (TRAIN, set(Split::Train, plan.examples)),
        ];
        Batches {
            plan,
            pool,
            epochs,
            held_out,
        }
    }
}

impl Examples<Supervised> for Batches<'_> {
    fn batch(&self, step: u64) -> Supervised {
        let p = self.plan;
        let rows = self.epochs.rows(step * p.batch, p.batch as usize);
        let rows: Vec<u64> = rows.into_iter().map(|r| r as u64).collect();
        let (mut x, labels) = self.pool.batch(&p.sample, &rows);
        if p.added_noise > 0.0 {
            add_noise(&mut x, self.pool, p, step);
        }
        supervised((x, labels))
    }
    fn held_out(&self) -> &[(&'static str, Supervised)] {
        &self.held_out
    }
}

/// A plan with its network.
pub struct Run<'a> {
    /// What is being run.
    pub plan: Plan,
    /// The network as it stands.
    pub net: Box<dyn Classifier>,
    /// Curves so far.
    pub curve: Vec<CurvePoint>,
    /// Seconds spent in steps, over all sessions.
    pub seconds: f64,
    pool: &'a Pool,
}

impl<'a> Run<'a> {
    /// # Errors
    /// Numbers out of range.
    pub fn new(plan: Plan, pool: &'a Pool) -> Result<Self, RunError> {
        if plan.examples == 0 || plan.batch == 0 || plan.examples > u64::from(u32::MAX) {
            let why = "examples and batch: expected positive numbers below 2³²";
            return Err(RunError::Plan(why.into()));
        }
        let build = plan
            .network
            .build(pool, plan.loss, plan.optimiser, plan.seed);
        let net = build.map_err(RunError::Plan)?;
        Ok(Run {
            plan,
            net,
            curve: vec![],
            seconds: 0.0,
            pool,
        })
    }

    /// Where the spectra come from.
    pub fn pool(&self) -> &Pool {
        self.pool
    }

    /// The plan that a checkpoint was made by.
    ///
    /// # Errors
    /// No checkpoint of such a run.
    pub fn plan_of(c: &Checkpoint) -> Result<Plan, RunError> {
        let text: String = c.get("recipe").map_err(TrainError::from)?;
        serde_json::from_str(&text).map_err(|e| RunError::Plan(format!("{}: {e}", c.name)))
    }

    /// Takes the weights of a checkpoint.
    ///
    /// # Errors
    /// A checkpoint of another network.
    pub fn load(&mut self, c: &Checkpoint) -> Result<(), RunError> {
        Ok(self.net.load(c).map_err(TrainError::from)?)
    }

    /// Runs to the end, continuing what the folder holds, with a checkpoint at each point of the
    /// curves; `watch` sees every step and says whether to go on. False if it was stopped.
    ///
    /// # Errors
    /// Divergence, a checkpoint of another plan, or a folder that cannot be written.
    pub fn go<'w>(
        &mut self,
        folder: &Path,
        watch: impl FnMut(&Progress<'_>) -> bool + 'w,
    ) -> Result<bool, RunError> {
        let data = Batches::new(&self.plan, self.pool);
        let mut run = train::Run {
            folder: Some(folder.to_owned()),
            recipe: serde_json::to_string(&self.plan).unwrap_or_default(),
            watch: Box::new(watch),
        };
        let end = fit(&mut *self.net, &data, &self.plan.schedule(), &mut run)?;
        self.seconds = end.seconds;
        self.curve = end
            .validations
            .iter()
            .map(|v| CurvePoint::of(v, &self.plan))
            .collect();
        Ok(end.whole)
    }

    /// Temperature of the softmax, fitted on `n` validation rows.
    pub fn calibrate(&self, n: u64) -> Calibration {
        let sample = Sample {
            split: Split::Validation,
            ..self.plan.sample
        };
        let (scores, truth) = scores(&*self.net, self.pool, &sample, n);
        Calibration::fit(&scores, &truth.class, &truth.noise)
    }
}

fn add_noise(x: &mut [f32], pool: &Pool, plan: &Plan, step: u64) {
    use rayon::prelude::*;
    let quiet: Vec<f32> = pool.noise_shape.iter().map(|s| 1.0 / s).collect();
    x.par_chunks_exact_mut(pool.bins())
        .enumerate()
        .for_each(|(i, flux)| {
            let mut rng = Stream::new(plan.seed, 0xADD, step * plan.batch + i as u64);
            if rng.chance(0.5) {
                let sigma = noise(flux, &quiet) * plan.added_noise * rng.uniform(0.0, 1.0) as f32;
                flux.iter_mut()
                    .zip(&pool.noise_shape)
                    .for_each(|(f, s)| *f += sigma * s * rng.normal_f32());
            }
        });
}

/// Rows scored at a time.
const BLOCK: u64 = 1024;

/// Scores and truth of the first `n` rows of a sample.
pub fn scores(net: &dyn Classifier, pool: &Pool, sample: &Sample, n: u64) -> (Vec<f32>, Truth) {
    let (mut out, mut truth) = (Vec::new(), Truth::default());
    each_block(pool, sample, n, |x, t| {
        out.extend(net.scores(x));
        truth.z.extend(&t.z);
        truth.class.extend(&t.class);
        truth.sed.extend(&t.sed);
        truth.noise.extend(&t.noise);
    });
    (out, truth)
}

/// Answers for the first `n` rows of a sample.
pub fn answers(
    net: &dyn Classifier,
    pool: &Pool,
    sample: &Sample,
    n: u64,
    calibration: &Calibration,
) -> (Answers, Truth) {
    let (s, truth) = scores(net, pool, sample, n);
    (calibration.answers(&s, &truth.noise), truth)
}

/// Calls `f` with the fluxes and truths of a sample, block by block.
pub fn each_block(pool: &Pool, sample: &Sample, n: u64, mut f: impl FnMut(&[f32], &Truth)) {
    use rayon::prelude::*;
    let quiet: Vec<f32> = pool.noise_shape.iter().map(|s| 1.0 / s).collect();
    for first in (0..n).step_by(BLOCK as usize) {
        let drawn: Vec<_> = (first..(first + BLOCK).min(n))
            .into_par_iter()
            .map(|r| pool.draw(sample, r))
            .collect();
        let x: Vec<f32> = drawn.iter().flat_map(|e| e.flux.iter().copied()).collect();
        let truth = Truth {
            z: drawn.iter().map(|e| e.z).collect(),
            class: drawn.iter().map(|e| e.class).collect(),
            sed: drawn.iter().map(|e| e.sed).collect(),
            noise: drawn.iter().map(|e| noise(&e.flux, &quiet)).collect(),
        };
        f(&x, &truth);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(network: NetworkRecipe) -> Plan {
        Plan {
            seds: SedRecipe {
                count: 20,
                seed: 1,
                min_halpha: 10.0,
                templates: None,
            },
            setting: Setting::Nisp,
            sample: Sample {
                split: Split::Train,
                noise: Noise::Between(1.0, 10.0),
                centres: false,
                seed: 2,
            },
            examples: 20,
            examples_seen: 48,
            batch: 8,
            network,
            loss: Loss::CrossEntropy,
            optimiser: Rule::adam(),
            learning_rate: 1e-3,
            constant: false,
            seed: 3,
            curve_points: 3,
            curve_rows: 10,
            added_noise: 0.5,
        }
    }

    /// Killed after three steps and resumed, a run ends with the same bytes, on one thread or
    /// three.
    #[test]
    fn resume_is_exact_on_any_number_of_threads() {
        let dir = tempfile::tempdir().unwrap();
        for (i, network) in [
            NetworkRecipe::Paper {
                depth: 2,
                dropout: 0.5,
                l2: 1e-4,
            },
            NetworkRecipe::Shift {
                depth: 1,
                width: 16,
                patterns: 2,
            },
        ]
        .into_iter()
        .enumerate()
        {
            let pool = Pool::new(&plan(network.clone()).seds, Setting::Nisp).unwrap();
            let run = |threads: usize, stop: bool| {
                let workers = rayon::ThreadPoolBuilder::new()
                    .num_threads(threads)
                    .build()
                    .unwrap();
                workers.install(|| {
                    let folder = dir.path().join(format!("{i}-{threads}"));
                    let mut r = Run::new(plan(network.clone()), &pool).unwrap();
                    if stop {
                        assert!(!r.go(&folder, |p| p.step < 3).unwrap());
                        r = Run::new(plan(network.clone()), &pool).unwrap();
                    }
                    assert!(r.go(&folder, |_| true).unwrap());
                    let mut c = Checkpoint::default();
                    r.net.save(&mut c);
                    (c.to_bytes().unwrap(), r.curve)
                })
            };
            let a = run(1, false);
            assert!(a == run(3, false), "threads change the weights");
            assert!(a == run(2, true), "resuming changes the weights");
            let other = Plan {
                seed: 9,
                ..plan(network.clone())
            };
            let folder = dir.path().join(format!("{i}-1"));
            assert!(
                Run::new(other, &pool)
                    .unwrap()
                    .go(&folder, |_| true)
                    .is_err()
            );
        }
    }

    #[test]
    fn recipes_are_checked() {
        for text in [
            include_str!("recipes/redshift-classes.toml"),
            include_str!("recipes/redshift-classes-nisp.toml"),
            include_str!("recipes/redshift-classes-notebook.toml"),
        ] {
            let p = Plan::parse(text).unwrap();
            assert_eq!(Plan::parse(&toml::to_string(&p).unwrap()).unwrap(), p);
            assert!(
                Plan::parse(&text.replace("batch", "bach"))
                    .unwrap_err()
                    .to_string()
                    .contains("bach")
            );
            assert!(Plan::parse(&text.replace("learning_rate = ", "learning_rate = -")).is_err());
        }
    }

    #[test]
    fn each_epoch_shows_every_row_once() {
        let p = plan(NetworkRecipe::Linear { l2: 0.0 });
        let pool = Pool::new(&p.seds, Setting::Nisp).unwrap();
        let b = Batches::new(&p, &pool);
        let seen: Vec<usize> = (0..5).flat_map(|step| b.epochs.rows(step * 8, 8)).collect();
        let mut halves = [seen[..20].to_vec(), seen[20..].to_vec()];
        assert_ne!(halves[0], halves[1]);
        halves.iter_mut().for_each(|h| h.sort_unstable());
        assert!(halves.iter().all(|h| h.iter().copied().eq(0..20)));
    }
}
