//! One training loop for all networks: a fixed number of examples, shown again and again in a new order, with
//! curves of training and validation, and checkpoints that continue bit for bit.

use std::path::Path;

use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};
use slipher_nn::checkpoint::{Checkpoint, CheckpointError};
use slipher_nn::loss::Loss;
use slipher_nn::optimiser::{Rule, learning_rate};

use slipher_sim::random::Stream;

use super::encode::noise;
use super::network::{Learner, NetworkRecipe};
use super::score::{Answers, Calibration, Truth};
use super::simulate::{CLASSES, Noise, Pool, Sample, SedRecipe, Setting, Split};
use crate::redshift::simulate::BadRecipe;

/// A run: everything that its result depends on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Plan {
    pub seds: SedRecipe,
    pub setting: Setting,
    pub sample: Sample,
    /// Size of the training set.
    pub examples: u64,
    /// Examples shown in all, each `shown / examples` times.
    pub shown: u64,
    pub batch: u64,
    pub network: NetworkRecipe,
    pub loss: Loss,
    pub rule: Rule,
    /// Highest learning rate; it falls as a cosine unless `constant`.
    pub rate: f64,
    pub constant: bool,
    pub seed: u64,
    /// Points of the curves.
    pub looks: u64,
    /// Rows of training and validation that each point is measured on.
    pub watched: u64,
    /// Half of the spectra, each time they are shown, get white noise added, of a σ up to so many times their own.
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
        let p: Plan = toml::from_str(text).map_err(|e| BadRecipe::Field(e.to_string()))?;
        let bad = |why: &str| Err(BadRecipe::Field(why.into()));
        let ordered = match p.sample.noise {
            Noise::Clean => true,
            Noise::Fixed(s) => s > 0.0 && s.is_finite(),
            Noise::Between(a, b) => a > 0.0 && b >= a && b.is_finite(),
        };
        match () {
            () if p.examples == 0
                || p.batch == 0
                || p.batch > 100_000
                || p.examples > u64::from(u32::MAX) =>
            {
                bad("examples: expected 1 to 4 thousand million, batch 1 to 100,000")
            }
            () if p.shown < p.batch || p.rate <= 0.0 || !p.rate.is_finite() => {
                bad("shown: expected at least one batch; rate: a positive number")
            }
            () if p.watched == 0 || p.watched > 1_000_000 => {
                bad("watched: expected 1 to 1,000,000")
            }
            () if !ordered => bad(
                "noise: expected \"clean\", { fixed = S/N } or { between = [low, high] } with positive numbers",
            ),
            () if !(0.0..100.0).contains(&p.added_noise) => bad("added_noise: expected 0 to 100"),
            () if p.seds.count > 200_000 => bad("seds.count: expected at most 200,000"),
            () => Ok(p),
        }
    }

    pub fn steps(&self) -> u64 {
        self.shown / self.batch.max(1)
    }
}

/// One point of the curves; nothing drops out when it is measured.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Look {
    pub step: u64,
    pub shown: u64,
    pub train_loss: f64,
    pub train_right: f64,
    pub validation_loss: f64,
    pub validation_right: f64,
    pub n: u64,
}

/// Why a run stopped.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    #[error("{folder}: made by another plan; give another folder or remove this one")]
    OtherPlan { folder: String },
    #[error("the loss is not finite at step {0}; lower the learning rate")]
    Diverged(u64),
    #[error("{0}")]
    Plan(String),
}

/// A run under way.
pub struct Run<'a> {
    pub plan: Plan,
    pub net: Box<dyn Learner>,
    pub step: u64,
    pub looks: Vec<Look>,
    /// Seconds spent in steps, over all sessions.
    pub seconds: f64,
    pool: &'a Pool,
    order: Vec<u32>,
    epoch: Option<u64>,
}

impl<'a> Run<'a> {
    /// # Errors
    /// Dials out of range.
    pub fn new(plan: Plan, pool: &'a Pool) -> Result<Self, RunError> {
        if plan.examples == 0 || plan.batch == 0 || plan.examples > u64::from(u32::MAX) {
            return Err(RunError::Plan(
                "examples and batch: expected positive numbers below 2³²".into(),
            ));
        }
        let net = plan
            .network
            .build(pool, plan.loss, plan.rule, plan.seed)
            .map_err(RunError::Plan)?;
        Ok(Run {
            plan,
            net,
            step: 0,
            looks: vec![],
            seconds: 0.0,
            pool,
            order: vec![],
            epoch: None,
        })
    }

    pub fn pool(&self) -> &Pool {
        self.pool
    }

    fn text(&self) -> String {
        serde_json::to_string(&self.plan).unwrap_or_default()
    }

    /// Continues from the checkpoint in a folder, if there is one.
    ///
    /// # Errors
    /// A damaged checkpoint, or one of another plan.
    pub fn resume(&mut self, folder: &Path) -> Result<(), RunError> {
        let path = folder.join("checkpoint.safetensors");
        if !path.exists() {
            return Ok(());
        }
        let c = Checkpoint::read(&path)?;
        if c.meta.get("plan") != Some(&self.text()) {
            return Err(RunError::OtherPlan {
                folder: folder.display().to_string(),
            });
        }
        self.load(&c)
    }

    /// Takes weights, step and curves of a checkpoint.
    ///
    /// # Errors
    /// A checkpoint of another network.
    pub fn load(&mut self, c: &Checkpoint) -> Result<(), RunError> {
        self.net.load(c)?;
        let number = |key: &str| {
            c.meta
                .get(key)
                .and_then(|s| s.parse::<f64>().ok())
                .unwrap_or(0.0)
        };
        self.step = number("step") as u64;
        self.seconds = number("seconds");
        self.looks = c
            .meta
            .get("looks")
            .and_then(|t| serde_json::from_str(t).ok())
            .unwrap_or_default();
        Ok(())
    }

    /// Writes the checkpoint, atomically.
    ///
    /// # Errors
    /// The folder cannot be written.
    pub fn checkpoint(&self, folder: &Path) -> Result<(), RunError> {
        let mut c = Checkpoint::default();
        self.net.save(&mut c);
        c.meta.insert("plan".into(), self.text());
        c.meta.insert("step".into(), self.step.to_string());
        c.meta.insert("seconds".into(), self.seconds.to_string());
        c.meta.insert(
            "looks".into(),
            serde_json::to_string(&self.looks).unwrap_or_default(),
        );
        std::fs::create_dir_all(folder).map_err(|source| CheckpointError::Io {
            what: "make",
            path: folder.to_owned(),
            source,
        })?;
        Ok(c.write(&folder.join("checkpoint.safetensors"))?)
    }

    /// Rows of the next batch: each epoch shows all rows in a new order.
    fn rows(&mut self) -> Vec<u64> {
        let (n, first) = (self.plan.examples, self.step * self.plan.batch);
        let mut rows = Vec::with_capacity(self.plan.batch as usize);
        for g in first..first + self.plan.batch {
            if self.epoch != Some(g / n) {
                self.epoch = Some(g / n);
                self.order = (0..n as u32).collect();
                let mut rng = ChaCha8Rng::seed_from_u64(self.plan.seed);
                rng.set_stream(g / n);
                self.order.shuffle(&mut rng);
            }
            rows.push(u64::from(self.order[(g % n) as usize]));
        }
        rows
    }

    /// One step; its loss and share of right answers.
    ///
    /// # Errors
    /// If the loss stops being finite.
    pub fn advance(&mut self) -> Result<(f64, f64), RunError> {
        let start = std::time::Instant::now();
        let rows = self.rows();
        let (mut x, labels) = self.pool.batch(&self.plan.sample, &rows);
        let p = &self.plan;
        if p.added_noise > 0.0 {
            add_noise(&mut x, self.pool, p, self.step);
        }
        let rate = if p.constant {
            p.rate
        } else {
            learning_rate(p.rate, self.step, (p.steps() / 40).clamp(1, 200), p.steps())
        };
        let (loss, right) = self.net.step(&x, &labels, rate as f32, self.step);
        if !loss.is_finite() {
            return Err(RunError::Diverged(self.step));
        }
        self.step += 1;
        self.seconds += start.elapsed().as_secs_f64();
        Ok((loss, right as f64 / labels.len() as f64))
    }

    /// Measures a point of the curves.
    pub fn look(&self) -> Look {
        let p = &self.plan;
        let of = |split: Split, most: u64| {
            let sample = Sample { split, ..p.sample };
            let n = p.watched.min(most);
            let (scores, truth) = scores(&*self.net, self.pool, &sample, n);
            let mut s = scores;
            let (loss, right) = p.loss.gradient(&mut s, CLASSES, &truth.class);
            (loss, right as f64 / n.max(1) as f64)
        };
        let (train_loss, train_right) = of(Split::Train, p.examples);
        let (validation_loss, validation_right) = of(Split::Validation, u64::MAX);
        Look {
            step: self.step,
            shown: self.step * p.batch,
            train_loss,
            train_right,
            validation_loss,
            validation_right,
            n: p.watched,
        }
    }

    /// Runs to the end, with a checkpoint at each look; `watch` sees every step and says whether to go on. False if
    /// it was stopped.
    ///
    /// # Errors
    /// Divergence, or a folder that cannot be written.
    pub fn go(
        &mut self,
        folder: &Path,
        mut watch: impl FnMut(&Run, (f64, f64)) -> bool,
    ) -> Result<bool, RunError> {
        let steps = self.plan.steps();
        let every = (steps / self.plan.looks.max(1)).max(1);
        while self.step < steps {
            let now = self.advance()?;
            if self.step.is_multiple_of(every) || self.step == steps {
                let look = self.look();
                self.looks.push(look);
                self.checkpoint(folder)?;
            }
            if !watch(self, now) {
                self.checkpoint(folder)?;
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Sharpness of the softmax, fitted on `n` validation rows.
    pub fn calibrate(&self, n: u64) -> Calibration {
        let (scores, truth) = scores(
            &*self.net,
            self.pool,
            &Sample {
                split: Split::Validation,
                ..self.plan.sample
            },
            n,
        );
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
pub fn scores(net: &dyn Learner, pool: &Pool, sample: &Sample, n: u64) -> (Vec<f32>, Truth) {
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
    net: &dyn Learner,
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
            shown: 48,
            batch: 8,
            network,
            loss: Loss::CrossEntropy,
            rule: Rule::adam(),
            rate: 1e-3,
            constant: false,
            seed: 3,
            looks: 3,
            watched: 10,
            added_noise: 0.5,
        }
    }

    /// Killed after three steps and resumed, a run ends with the same bytes, on one thread or three.
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
                        assert!(!r.go(&folder, |r, _| r.step < 3).unwrap());
                        r = Run::new(plan(network.clone()), &pool).unwrap();
                        r.resume(&folder).unwrap();
                        assert_eq!(r.step, 3);
                    }
                    assert!(r.go(&folder, |_, _| true).unwrap());
                    let mut c = Checkpoint::default();
                    r.net.save(&mut c);
                    (c.to_bytes().unwrap(), r.looks)
                })
            };
            let a = run(1, false);
            assert!(a == run(3, false), "threads change the weights");
            assert!(a == run(2, true), "resuming changes the weights");
            let other = Plan {
                seed: 9,
                ..plan(network.clone())
            };
            assert!(
                Run::new(other, &pool)
                    .unwrap()
                    .resume(&dir.path().join(format!("{i}-1")))
                    .is_err()
            );
        }
    }

    #[test]
    fn recipes_are_checked() {
        for text in [
            include_str!("../../../../recipes/redshift-classes.toml"),
            include_str!("../../../../recipes/redshift-classes-nisp.toml"),
            include_str!("../../../../recipes/redshift-classes-notebook.toml"),
        ] {
            let p = Plan::parse(text).unwrap();
            assert_eq!(Plan::parse(&toml::to_string(&p).unwrap()).unwrap(), p);
            assert!(
                Plan::parse(&text.replace("batch", "bach"))
                    .unwrap_err()
                    .to_string()
                    .contains("bach")
            );
            assert!(Plan::parse(&text.replace("rate = ", "rate = -")).is_err());
        }
    }

    #[test]
    fn each_epoch_shows_every_row_once() {
        let p = plan(NetworkRecipe::Linear { l2: 0.0 });
        let pool = Pool::new(&p.seds, Setting::Nisp).unwrap();
        let mut r = Run::new(p, &pool).unwrap();
        let mut seen = Vec::new();
        while seen.len() < 40 {
            seen.extend(r.rows());
            r.step += 1;
        }
        let mut halves = [seen[..20].to_vec(), seen[20..].to_vec()];
        assert_ne!(halves[0], halves[1]);
        halves.iter_mut().for_each(|h| h.sort_unstable());
        assert!(halves.iter().all(|h| h.iter().copied().eq(0..20)));
    }
}
