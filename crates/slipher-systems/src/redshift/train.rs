//! Training of the redshift network: examples are simulated as they are used, by the loop of
//! [`slipher_nn::train`].

use rayon::prelude::*;
use slipher_nn::checkpoint::{Checkpoint, CheckpointError};
use slipher_nn::correlation::TOGETHER;
use slipher_nn::object_pool::ObjectPool;
use slipher_nn::optimiser::{Optimiser, Rule};
use slipher_nn::shiftnet::{Prediction, ShiftNet, Tape};
use slipher_nn::train::{Diverged, Examples, Learner, Metrics, StepReport};
use slipher_sim::sed::SpecType;
use slipher_stats::proportion::Tally;

use super::decode::{decode, posterior};
use super::encode::{Encoded, encode};
use super::lag::{LAGS, allowed, lag_of, redshift_of};
use super::model::{Model, ModelError};
use super::phase::Phase;
use super::recipe::Recipe;
use super::score::success;
use super::simulate::{BadRecipe, Simulator, Split};

/// Why there is no model.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
#[expect(missing_docs, reason = "the messages say it")]
pub enum TrainError {
    #[error(transparent)]
    Recipe(#[from] BadRecipe),
    #[error(transparent)]
    Train(#[from] slipher_nn::train::TrainError),
    #[error(transparent)]
    Model(#[from] ModelError),
}

/// Class and redshift; blank sky has none.
pub type Truth = Option<(SpecType, f64)>;

/// Spectra of a step; none where one cannot be encoded.
pub type Batch = Vec<Option<(Encoded, Truth)>>;

/// Simulated spectra of a recipe.
pub struct Simulated {
    /// Draws them.
    pub simulator: Simulator,
    batch: u64,
    held_out: Vec<(&'static str, Batch)>,
}

impl Simulated {
    /// Draws the rows of validation.
    ///
    /// # Errors
    /// A simulation that cannot be made.
    pub fn new(recipe: &Recipe) -> Result<Simulated, BadRecipe> {
        let t = &recipe.training;
        let simulator = Simulator::new(&recipe.simulation, t.seed)?;
        let rows: Vec<u64> = (0..t.validation).collect();
        let draw = |row: &u64| {
            let e = simulator.draw(Split::Validation, *row);
            // Blank sky has no right answer.
            let truth = e.truth?;
            Some((encode(&e.spectrum)?, Some(truth)))
        };
        let batch: Batch = rows
            .par_iter()
            .map(draw)
            .collect::<Vec<_>>()
            .into_iter()
            .filter(Option::is_some)
            .collect();
        let held_out = if batch.is_empty() {
            vec![]
        } else {
            vec![(HELD_OUT, batch)]
        };
        Ok(Simulated {
            simulator,
            batch: t.batch,
            held_out,
        })
    }

    /// The rows of validation.
    pub fn validation(&self) -> &[Option<(Encoded, Truth)>] {
        self.held_out.first().map_or(&[], |h| h.1.as_slice())
    }
}

/// Name of the set of validation.
pub const HELD_OUT: &str = "validation";

impl Examples<Batch> for Simulated {
    fn batch(&self, step: u64) -> Batch {
        let first = step * self.batch;
        let draw = |row: u64| {
            let e = self.simulator.draw(Split::Train, row);
            Some((encode(&e.spectrum)?, e.truth))
        };
        (first..first + self.batch)
            .into_par_iter()
            .map(draw)
            .collect()
    }

    fn held_out(&self) -> &[(&'static str, Batch)] {
        &self.held_out
    }
}

/// The shift-equivariant network with its optimisers.
pub struct ShiftLearner {
    /// What is trained.
    pub net: ShiftNet,
    classes: Vec<SpecType>,
    adam_trunk: Optimiser,
    adam_patterns: Optimiser,
    tapes: ObjectPool<Vec<Tape>>,
    predictions: ObjectPool<Prediction>,
}

struct Sample {
    fspec: Vec<f32>,
    gspec: Vec<f32>,
}

struct Chunk {
    grad: Vec<f32>,
    samples: Vec<Sample>,
    loss: f64,
    correct: usize,
}

/// β₂ of 0.99 forgets the first, steep steps sooner than the usual 0.999.
const RULE: Rule = Rule::AdamW {
    beta1: 0.9,
    beta2: 0.99,
    eps: 1e-8,
};

/// Examples whose gradients are summed in one piece; fixes the order of summation on any number of
/// threads.
const CHUNK: usize = 4;

impl ShiftLearner {
    /// A model's network, with new optimisers.
    pub fn new(model: &Model, weight_decay: f32) -> ShiftLearner {
        let net = model.net.clone();
        ShiftLearner {
            adam_trunk: Optimiser::new(RULE, weight_decay, net.trunk().len()),
            adam_patterns: Optimiser::new(RULE, weight_decay, net.patterns().len()),
            classes: model.classes(),
            net,
            tapes: ObjectPool::default(),
            predictions: ObjectPool::default(),
        }
    }

    fn chunk(&self, rows: &[Option<(Encoded, Truth)>], batch: f32) -> Chunk {
        let drawn: Vec<&(Encoded, Truth)> = rows.iter().flatten().collect();
        let mut tapes = self.tapes.get();
        if tapes.len() < drawn.len() {
            tapes.resize_with(drawn.len(), Tape::default);
        }
        tapes
            .iter_mut()
            .zip(&drawn)
            .for_each(|(t, d)| t.load(&self.net, &d.0.input()));
        self.net.forward(&mut tapes[..drawn.len()]);
        let mut out = Chunk {
            grad: vec![0.0; self.net.trunk().len()],
            samples: vec![],
            loss: 0.0,
            correct: 0,
        };
        for (tape, (_, truth)) in tapes.iter_mut().zip(drawn) {
            let (loss, mut grad) = cross_entropy(&tape.logits, &self.classes, *truth);
            out.loss += loss;
            if let Some(truth) = truth {
                out.correct += usize::from(peak_is_correct(&tape.logits, &self.classes, *truth));
            }
            grad.iter_mut().for_each(|g| *g /= batch);
            let gspec = self.net.backward(tape, &grad, &mut out.grad);
            out.samples.push(Sample {
                fspec: tape.take_features_spectrum(),
                gspec,
            });
        }
        out
    }
}

impl Learner for ShiftLearner {
    type Batch = Batch;

    fn step(&mut self, batch: &Batch, rate: f32, step: u64) -> Result<StepReport, Diverged> {
        let n = batch.len();
        let chunks: Vec<Chunk> = batch
            .par_chunks(CHUNK)
            .map(|rows| self.chunk(rows, n as f32))
            .collect();
        let mut grad = vec![0.0f32; self.net.trunk().len()];
        for c in &chunks {
            grad.iter_mut().zip(&c.grad).for_each(|(g, x)| *g += x);
        }
        let loss = chunks.iter().map(|c| c.loss).sum::<f64>() / n as f64;
        let correct: usize = chunks.iter().map(|c| c.correct).sum();
        let samples: Vec<&Sample> = chunks.iter().flat_map(|c| &c.samples).collect();
        let fspecs: Vec<&[f32]> = samples.iter().map(|s| s.fspec.as_slice()).collect();
        let gspecs: Vec<&[f32]> = samples.iter().map(|s| s.gspec.as_slice()).collect();
        let dpatterns = self.net.grad_patterns(&fspecs, &gspecs);
        if !loss.is_finite() || grad.iter().chain(&dpatterns).any(|g| !g.is_finite()) {
            return Err(Diverged);
        }
        let (trunk_optimiser, pattern_optimiser) = (&mut self.adam_trunk, &mut self.adam_patterns);
        self.net.update(|trunk, patterns| {
            trunk_optimiser.step(rate, step + 1, trunk, &grad);
            pattern_optimiser.step(rate, step + 1, patterns, &dpatterns);
        });
        Ok(StepReport {
            loss,
            correct: correct as f64 / n as f64,
            others: vec![],
        })
    }

    /// Loss at the best temperature of the softmax, success of all and of each class, that
    /// temperature's inverse, and n.
    fn validate(&self, held_out: &Batch) -> Metrics {
        let rows: Vec<(&Encoded, (SpecType, f64))> = held_out
            .iter()
            .flatten()
            .filter_map(|(e, t)| Some((e, (*t)?)))
            .collect();
        let score = |logits: &[f32], truth: (SpecType, f64)| {
            let losses = TEMPERATURES.map(|s| {
                let scaled: Vec<f32> = logits.iter().map(|l| l * s as f32).collect();
                cross_entropy(&scaled, &self.classes, Some(truth)).0
            });
            let answer = decode(
                &posterior(logits, &self.classes, 1.0),
                1,
                &Phase::default(),
                &Default::default(),
            );
            let correct = answer
                .solutions
                .first()
                .is_some_and(|b| success(truth, b.class, b.z));
            (losses, truth.0, correct)
        };
        let parts = rows.par_chunks(TOGETHER).map(|some| {
            let mut p = self.predictions.get();
            self.net.predict(
                &some.iter().map(|s| s.0.input()).collect::<Vec<_>>(),
                &mut p,
            );
            p.logits
                .iter()
                .zip(some)
                .map(|(l, s)| score(l, s.1))
                .collect::<Vec<_>>()
        });
        let all: Vec<([f64; TEMPERATURES.len()], SpecType, bool)> =
            parts.collect::<Vec<_>>().into_iter().flatten().collect();
        let mean = |i: usize| all.iter().map(|a| a.0[i]).sum::<f64>() / all.len().max(1) as f64;
        let best = (0..TEMPERATURES.len())
            .min_by(|a, b| mean(*a).total_cmp(&mean(*b)))
            .unwrap_or(0);
        let share = |class: Option<SpecType>| {
            let mut t = Tally::default();
            all.iter()
                .filter(|a| class.is_none_or(|c| c == a.1))
                .for_each(|a| t.add(a.2));
            t.percent() / 100.0
        };
        Metrics::of(&[
            ("loss", mean(best)),
            ("success", share(None)),
            ("galaxy", share(Some(SpecType::Galaxy))),
            ("qso", share(Some(SpecType::Qso))),
            ("star", share(Some(SpecType::Star))),
            ("n", all.len() as f64),
            ("inverse_temperature", TEMPERATURES[best]),
        ])
    }

    fn save(&self, to: &mut Checkpoint) {
        let weights = [self.net.trunk().to_vec(), self.net.patterns().to_vec()];
        to.put([
            ("trunk", &weights[0]),
            ("patterns", &weights[1]),
            ("trunk.first", &self.adam_trunk.first),
            ("trunk.second", &self.adam_trunk.second),
            ("patterns.first", &self.adam_patterns.first),
            ("patterns.second", &self.adam_patterns.second),
        ]);
    }

    fn load(&mut self, from: &Checkpoint) -> Result<(), CheckpointError> {
        from.take([
            ("trunk.first", &mut self.adam_trunk.first),
            ("trunk.second", &mut self.adam_trunk.second),
            ("patterns.first", &mut self.adam_patterns.first),
            ("patterns.second", &mut self.adam_patterns.second),
        ])?;
        self.net
            .update(|trunk, patterns| from.take([("trunk", trunk), ("patterns", patterns)]))
    }
}

/// Candidates for the inverse temperature of the softmax.
const TEMPERATURES: [f64; 7] = [0.5, 0.6, 0.7, 0.8, 0.9, 1.0, 1.15];

/// Cross-entropy of the (class, lag) truth and its gradient; blank sky (`None`) wants all answers
/// alike.
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

fn peak_is_correct(logits: &[f32], classes: &[SpecType], truth: (SpecType, f64)) -> bool {
    let mut best = (f32::NEG_INFINITY, SpecType::Galaxy, 0);
    for (row, c) in logits.chunks_exact(LAGS).zip(classes) {
        for l in allowed(*c) {
            if row[l] > best.0 {
                best = (row[l], *c, l);
            }
        }
    }
    success(truth, best.1, redshift_of(best.2 as f64))
}

#[cfg(test)]
mod tests {
    use slipher_nn::train::{Run, fit};

    use super::*;
    use crate::redshift::model::NetworkRecipe;
    use crate::redshift::recipe::TrainingRecipe;
    use crate::redshift::simulate::SimulationRecipe;

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

    /// Killed after two steps and resumed, the run ends with the same bytes, on one thread or
    /// three.
    #[test]
    fn resume_is_exact_on_any_number_of_threads() {
        let dir = tempfile::tempdir().unwrap();
        let run = |threads: usize, stops: &[u64], sub: &str| {
            let workers = rayon::ThreadPoolBuilder::new()
                .num_threads(threads)
                .build()
                .unwrap();
            workers.install(|| {
                let data = Simulated::new(&tiny()).unwrap();
                let model = Model::new(tiny().network, tiny().training.seed);
                let mut learner = ShiftLearner::new(&model, 0.0);
                for stop in stops.iter().copied().chain([u64::MAX]) {
                    learner = ShiftLearner::new(&model, 0.0);
                    let mut r = Run {
                        folder: Some(dir.path().join(sub)),
                        recipe: String::new(),
                        watch: Box::new(move |p| p.step < stop),
                    };
                    fit(&mut learner, &data, &tiny().training.schedule(), &mut r).unwrap();
                }
                let mut c = Checkpoint::default();
                learner.save(&mut c);
                (
                    c.to_bytes().unwrap(),
                    std::fs::read(dir.path().join(sub).join("log.jsonl")).unwrap(),
                )
            })
        };
        let a = run(1, &[], "a");
        assert!(a == run(3, &[], "b"), "threads change the weights");
        assert!(a == run(2, &[1, 2], "c"), "resuming changes the weights");
    }

    /// Measuring changes nothing.
    #[test]
    fn validation_does_not_change_the_network() {
        let data = Simulated::new(&tiny()).unwrap();
        let learner = ShiftLearner::new(&Model::new(tiny().network, 1), 0.0);
        let bytes = |l: &ShiftLearner| {
            let mut c = Checkpoint::default();
            l.save(&mut c);
            c.to_bytes().unwrap()
        };
        let before = bytes(&learner);
        let m = learner.validate(&data.held_out()[0].1);
        assert!(bytes(&learner) == before && m == learner.validate(&data.held_out()[0].1));
        assert!(
            m.get("loss").is_some_and(f64::is_finite)
                && m.get("n") == Some(data.validation().len() as f64)
        );
    }
}
