//! The classical methods on the same rows as the networks. Each is searched over a few settings on
//! the validation set; the chosen one learns from all its examples.

use std::time::Instant;

use slipher_stats::Labelled;
use slipher_stats::forest::{Forest, ForestParams};
use slipher_stats::neighbours::{Neighbours, NeighboursParams};
use slipher_stats::pca::{Pca, PcaParams};
use slipher_stats::svm::{Svm, SvmParams};

use super::matched::{Filter, own_template};
use super::score::{Answers, Truth, fit_sharpness};
use super::simulate::{CLASSES, Pool, Sample, Split};
use super::train::each_block;

/// The methods.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// k nearest neighbours.
    Neighbours,
    /// The same on principal components.
    NeighboursPca,
    /// Random forest.
    Forest,
    /// The same on principal components.
    ForestPca,
    /// Linear support-vector machine.
    LinearSvm,
    /// The same on principal components.
    LinearSvmPca,
    /// Support-vector machine with a Gaussian kernel, on principal components.
    KernelSvm,
    /// Matched filter that knows the library.
    MatchedFilter,
    /// Matched filter that knows the spectrum's own SED.
    OwnTemplate,
}

/// Examples and sizes of a fit.
#[derive(Clone, Copy)]
pub struct Task<'a> {
    /// SEDs that examples are made of.
    pub pool: &'a Pool,
    /// The training set.
    pub sample: Sample,
    /// Rows to learn from.
    pub examples: u64,
    /// Rows to choose settings by.
    pub validation: u64,
    /// SEDs that the matched filter knows.
    pub filter: usize,
    /// Of the methods' own choices.
    pub seed: u64,
}

/// A method that has learned.
pub struct Fitted {
    /// What answers.
    pub model: Box<dyn Answering>,
    /// Settings that validation chose, in words.
    pub chosen: String,
    /// What was tried, and what it gave.
    pub search: Vec<String>,
    /// Examples learned from, and seconds of the chosen fit.
    pub examples: u64,
    /// Of the chosen fit.
    pub seconds: f64,
}

/// Answers questions.
pub trait Answering {
    /// Answers and truths of `n` rows of a sample.
    fn answers(&mut self, pool: &Pool, sample: &Sample, n: u64) -> (Answers, Truth);
    /// Seconds a spectrum took so far.
    fn seconds(&self) -> f64;
}

/// Components kept for methods "after PCA", rows they are fitted on, and the most rows of a search.
const COMPONENTS: usize = 100;
const PCA_ROWS: usize = 8000;
const SEARCHED: usize = 10_000;

impl Method {
    /// In the order of tables.
    pub const ALL: [Method; 9] = [
        Method::Neighbours,
        Method::NeighboursPca,
        Method::Forest,
        Method::ForestPca,
        Method::LinearSvm,
        Method::LinearSvmPca,
        Method::KernelSvm,
        Method::MatchedFilter,
        Method::OwnTemplate,
    ];

    /// As names of cells have it.
    pub fn key(self) -> &'static str {
        [
            "knn",
            "pca-knn",
            "forest",
            "pca-forest",
            "svm",
            "pca-svm",
            "kernel-svm",
            "matched",
            "own-template",
        ][self as usize]
    }
    /// As tables have it.
    pub fn title(self) -> &'static str {
        [
            "k nearest neighbours",
            "PCA + k nearest neighbours",
            "random forest",
            "PCA + random forest",
            "linear SVM",
            "PCA + linear SVM",
            "PCA + kernel SVM",
            "matched filter, library known",
            "matched filter, own SED known",
        ][self as usize]
    }
    /// True if σ must be known: such a method is fitted once, for noisy spectra.
    pub fn needs_noise(self) -> bool {
        matches!(self, Method::MatchedFilter | Method::OwnTemplate)
    }

    /// True if it works on principal components.
    pub fn reduces(self) -> bool {
        matches!(
            self,
            Method::NeighboursPca | Method::ForestPca | Method::LinearSvmPca | Method::KernelSvm
        )
    }

    /// Settings to choose from.
    fn candidates(self, features: usize, seed: u64) -> Vec<Settings> {
        let root = (features as f64).sqrt() as usize;
        match self {
            Method::Neighbours | Method::NeighboursPca => [1, 5, 20]
                .into_iter()
                .flat_map(|k| {
                    [false, true].map(|unit| Settings::Neighbours(NeighboursParams { k, unit }))
                })
                .collect(),
            Method::Forest | Method::ForestPca => {
                let leaf = if self.reduces() { 1 } else { 3 };
                // More features a node, and splits that keep trees shallow.
                [(1, 0.0), (3, 0.0), (1, 0.05)]
                    .map(|(more, balance)| {
                        Settings::Forest(ForestParams {
                            trees: 100,
                            features: (more * root).min(features),
                            leaf,
                            balance,
                            seed,
                        })
                    })
                    .to_vec()
            }
            Method::LinearSvm | Method::LinearSvmPca => [1e-6, 1e-5, 1e-4]
                .map(|l2| {
                    Settings::Svm(SvmParams {
                        l2,
                        gamma: None,
                        landmarks: 0,
                        epochs: 8,
                        rate: 1e-3,
                        seed,
                    })
                })
                .to_vec(),
            Method::KernelSvm => [0.3f32, 1.0, 3.0]
                .into_iter()
                .map(|g| {
                    Settings::Svm(SvmParams {
                        l2: 1e-6,
                        gamma: Some(g),
                        landmarks: 4000,
                        epochs: 8,
                        rate: 1e-3,
                        seed,
                    })
                })
                .collect(),
            _ => vec![],
        }
    }

    /// Fits the method; `say` hears what is going on.
    pub fn fit(self, task: &Task, say: &mut dyn FnMut(String)) -> Fitted {
        match self {
            Method::MatchedFilter => fit_filter(task, say),
            Method::OwnTemplate => Fitted {
                model: Box::new(OwnTemplate(Clock::default())),
                chosen: "nothing to choose".into(),
                search: vec![],
                examples: 0,
                seconds: 0.0,
            },
            _ => self.fit_learner(task, say),
        }
    }

    fn fit_learner(self, task: &Task, say: &mut dyn FnMut(String)) -> Fitted {
        say(format!("{} examples", task.examples));
        let (x, labels) = rows(task.pool, &task.sample, task.examples);
        let start = Instant::now();
        let bins = task.pool.bins();
        let pca = self.reduces().then(|| {
            Pca::fit(
                &PcaParams {
                    seed: task.seed,
                    ..PcaParams::new(COMPONENTS)
                },
                &x[..bins * labels.len().min(PCA_ROWS)],
                bins,
            )
        });
        let before = start.elapsed().as_secs_f64();
        let (x, features) = match &pca {
            Some(p) => (p.transform(&x), p.variance.len()),
            None => (x, bins),
        };
        let validation = Sample {
            split: Split::Validation,
            ..task.sample
        };
        let (vx, vl) = rows(task.pool, &validation, task.validation);
        let vx = pca.as_ref().map_or(vx.clone(), |p| p.transform(&vx));
        let few = labels.len().min(SEARCHED);
        let small = Labelled::new(&x[..few * features], features, &labels[..few], CLASSES);
        let mut search = Vec::new();
        let mut best: Option<(f64, Settings)> = None;
        for c in self.candidates(features, task.seed) {
            let right = c.fit(&small).right(&vx, &vl);
            search.push(format!(
                "{c}: {:.1} % of {} right, from {few} examples",
                100.0 * right,
                vl.len()
            ));
            say(search[search.len() - 1].clone());
            if best.as_ref().is_none_or(|b| right > b.0) {
                best = Some((right, c));
            }
        }
        let settings = best.map_or(
            Settings::Neighbours(NeighboursParams { k: 1, unit: false }),
            |b| b.1,
        );
        let start = Instant::now();
        let machine = settings.fit(&Labelled::new(&x, features, &labels, CLASSES));
        let seconds = before + start.elapsed().as_secs_f64();
        let sharpness = match &machine {
            Machine::Svm(m) => fit_sharpness(&m.predict(&vx), &vl),
            _ => 1.0,
        };
        let chosen = format!(
            "{settings}{}",
            if pca.is_some() {
                format!(" on {features} components")
            } else {
                String::new()
            }
        );
        Fitted {
            model: Box::new(Learned {
                pca,
                machine,
                sharpness,
                clock: Clock::default(),
            }),
            chosen,
            search,
            examples: labels.len() as u64,
            seconds,
        }
    }
}

/// Most components of the matched filter.
const FILTER_COMPONENTS: usize = 64;
/// Bandwidths tried.
const BANDWIDTHS: [f64; 4] = [0.1, 0.2, 0.4, 0.7];

fn fit_filter(task: &Task, say: &mut dyn FnMut(String)) -> Fitted {
    say("principal components at 1600 redshifts".into());
    let start = Instant::now();
    let components = (task.filter / 6).clamp(4, FILTER_COMPONENTS);
    let mut filter = Filter::new(task.pool, task.filter, components, task.seed);
    let seconds = start.elapsed().as_secs_f64();
    let validation = Sample {
        split: Split::Validation,
        ..task.sample
    };
    let n = task.validation.min(1000);
    // Sharp kernels serve where noise blurs the spectra anyway: a choice for each third of the
    // noise.
    let mut search = Vec::new();
    let mut best = [(0.0, 1.0); 3];
    let sigma: Vec<f64> = (0..n)
        .map(|r| f64::from(task.pool.draw(&validation, r).sigma))
        .collect();
    for h in BANDWIDTHS {
        filter.bandwidth = vec![(f64::INFINITY, h)];
        let (a, truth) = filter.answers(task.pool, &validation, n);
        let mut text = format!("bandwidth {h}:");
        for (part, best) in best.iter_mut().enumerate() {
            let own = |s: f64| NOISE_LIMITS.iter().position(|l| s <= *l) == Some(part);
            let rows: Vec<usize> = (0..a.class.len()).filter(|i| own(sigma[*i])).collect();
            let right = rows
                .iter()
                .filter(|i| a.class[**i] == truth.class[**i])
                .count() as f64
                / rows.len().max(1) as f64;
            text += &format!(" {:.1} % of {}", 100.0 * right, rows.len());
            if right > best.0 {
                *best = (right, h);
            }
        }
        search.push(text + " right, by rising noise");
        say(search[search.len() - 1].clone());
    }
    filter.bandwidth = NOISE_LIMITS
        .iter()
        .zip(best)
        .map(|(l, b)| (*l, b.1))
        .collect();
    let seds = task.pool.seds(Split::Train).len().min(task.filter) as u64;
    let chosen = format!(
        "bandwidths {}, {} and {}, by rising noise (limits σ = 0.2 and 0.7 of the mean); {components} components of {seds} SEDs",
        best[0].1, best[1].1, best[2].1
    );
    Fitted {
        model: Box::new(Matched(filter, Clock::default())),
        chosen,
        search,
        examples: seds,
        seconds,
    }
}

/// Limits of σ, relative to the mean flux, between which the filter's bandwidth is chosen.
const NOISE_LIMITS: [f64; 3] = [0.2, 0.7, f64::INFINITY];

fn rows(pool: &Pool, sample: &Sample, n: u64) -> (Vec<f32>, Vec<usize>) {
    pool.batch(sample, &(0..n).collect::<Vec<_>>())
}

#[derive(Clone, Copy, Debug)]
enum Settings {
    Neighbours(NeighboursParams),
    Forest(ForestParams),
    Svm(SvmParams),
}

impl std::fmt::Display for Settings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Settings::Neighbours(p) => write!(
                f,
                "k = {}, {}",
                p.k,
                if p.unit { "unit length" } else { "as they are" }
            ),
            Settings::Forest(p) => {
                write!(
                    f,
                    "{} trees, {} features a node, leaves of at least {}",
                    p.trees, p.features, p.leaf
                )?;
                if p.balance > 0.0 {
                    write!(f, ", splits of at least {} %", 100.0 * p.balance)
                } else {
                    Ok(())
                }
            }
            Settings::Svm(p) => match p.gamma {
                Some(g) => write!(
                    f,
                    "Gaussian kernel, γ = {g} / median distance², {} landmarks",
                    p.landmarks
                ),
                None => write!(f, "λ = {:.0e}", p.l2),
            },
        }
    }
}

impl Settings {
    fn fit(&self, data: &Labelled) -> Machine {
        match self {
            Settings::Neighbours(p) => Machine::Neighbours(Neighbours::fit(*p, data)),
            Settings::Forest(p) => Machine::Forest(Forest::fit(p, data)),
            Settings::Svm(p) => Machine::Svm(Box::new(Svm::fit(p, data))),
        }
    }
}

enum Machine {
    Neighbours(Neighbours),
    Forest(Forest),
    Svm(Box<Svm>),
}

impl Machine {
    /// Scores `[row][class]`: votes, shares or decision values.
    fn predict(&self, x: &[f32]) -> Vec<f32> {
        match self {
            Machine::Neighbours(m) => m.predict(x),
            Machine::Forest(m) => m.predict(x),
            Machine::Svm(m) => m.predict(x),
        }
    }
    fn right(&self, x: &[f32], labels: &[usize]) -> f64 {
        let p = self.predict(x);
        p.chunks_exact(CLASSES)
            .zip(labels)
            .filter(|(r, l)| argmax(r) == **l)
            .count() as f64
            / labels.len().max(1) as f64
    }
}

fn argmax(row: &[f32]) -> usize {
    (0..row.len()).fold(0, |b, k| if row[k] > row[b] { k } else { b })
}

/// Time spent answering.
#[derive(Default)]
struct Clock {
    seconds: f64,
    rows: u64,
}

impl Clock {
    fn per_row(&self) -> f64 {
        self.seconds / self.rows.max(1) as f64
    }
}

struct Learned {
    pca: Option<Pca>,
    machine: Machine,
    sharpness: f64,
    clock: Clock,
}

impl Answering for Learned {
    fn answers(&mut self, pool: &Pool, sample: &Sample, n: u64) -> (Answers, Truth) {
        let (mut answers, mut truth) = (Answers::default(), Truth::default());
        each_block(pool, sample, n, |x, t| {
            let start = Instant::now();
            let reduced = self.pca.as_ref().map(|p| p.transform(x));
            let scores = self.machine.predict(reduced.as_deref().unwrap_or(x));
            self.clock.seconds += start.elapsed().as_secs_f64();
            self.clock.rows += t.z.len() as u64;
            for row in scores.chunks_exact(CLASSES) {
                let best = argmax(row);
                // Votes are probabilities as they are; decision values become some by a softmax.
                let weight = |v: f32| {
                    if matches!(self.machine, Machine::Svm(_)) {
                        (f64::from(v - row[best]) * self.sharpness).exp()
                    } else {
                        f64::from(v)
                    }
                };
                answers.push(best, &row.iter().map(|v| weight(*v)).collect::<Vec<_>>());
            }
            truth.z.extend(&t.z);
            truth.class.extend(&t.class);
            truth.sed.extend(&t.sed);
        });
        (answers, truth)
    }
    fn seconds(&self) -> f64 {
        self.clock.per_row()
    }
}

struct Matched(Filter, Clock);

impl Answering for Matched {
    fn answers(&mut self, pool: &Pool, sample: &Sample, n: u64) -> (Answers, Truth) {
        timed(&mut self.1, n, || self.0.answers(pool, sample, n))
    }
    fn seconds(&self) -> f64 {
        self.1.per_row()
    }
}

struct OwnTemplate(Clock);

impl Answering for OwnTemplate {
    fn answers(&mut self, pool: &Pool, sample: &Sample, n: u64) -> (Answers, Truth) {
        timed(&mut self.0, n, || own_template(pool, sample, n))
    }
    fn seconds(&self) -> f64 {
        self.0.per_row()
    }
}

fn timed<T>(clock: &mut Clock, n: u64, f: impl FnOnce() -> T) -> T {
    let start = Instant::now();
    let out = f();
    clock.seconds += start.elapsed().as_secs_f64();
    clock.rows += n;
    out
}

#[cfg(test)]
mod tests {
    use super::super::score::metrics;
    use super::super::simulate::{Noise, SedRecipe, Setting};
    use super::*;

    /// Each method learns and beats chance (1 in 800) by far on clean spectra of unseen SEDs.
    #[test]
    fn methods_learn() {
        let pool = Pool::new(
            &SedRecipe {
                count: 100,
                seed: 2,
                min_halpha: 30.0,
                templates: None,
            },
            Setting::Nisp,
        )
        .unwrap();
        let sample = Sample {
            split: Split::Train,
            noise: Noise::Clean,
            centres: false,
            seed: 4,
        };
        let task = Task {
            pool: &pool,
            sample,
            examples: 1500,
            validation: 100,
            filter: 50,
            seed: 1,
        };
        for method in [
            Method::Neighbours,
            Method::NeighboursPca,
            Method::ForestPca,
            Method::LinearSvmPca,
        ] {
            let mut fitted = method.fit(&task, &mut |_| {});
            let (a, truth) = fitted.model.answers(
                &pool,
                &Sample {
                    split: Split::Test,
                    ..sample
                },
                200,
            );
            let m = metrics(&truth, &a);
            assert!(
                m.close.value > 0.2 && !fitted.search.is_empty(),
                "{method:?}: {} {}",
                m.exact,
                m.close
            );
            assert!(a.p_close.iter().all(|p| (0.0..=1.0 + 1e-4).contains(p)));
        }
    }
}
