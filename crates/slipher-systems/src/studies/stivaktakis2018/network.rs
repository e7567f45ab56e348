//! The networks: the authors', the shift-equivariant one, and a linear machine; all learn by one
//! interface.

use std::sync::Arc;

use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use slipher_nn::checkpoint::{Checkpoint, CheckpointError};
use slipher_nn::correlation::TOGETHER;
use slipher_nn::fft::LaneFft;
use slipher_nn::heads::labels::Labels;
use slipher_nn::loss::Loss;
use slipher_nn::maps::Shape;
use slipher_nn::network::{Init, Layer, Network};
use slipher_nn::object_pool::ObjectPool;
use slipher_nn::optimiser::{Optimiser, Rule};
use slipher_nn::shiftnet::{Prediction, ShiftNet, ShiftNetConfig, Tape};
use slipher_nn::train::single::{Single, Supervised};
use slipher_nn::train::{Diverged, Learner, Metrics, StepReport};

use super::encode::{CHANNELS, Encoder, STEP, lagrange};
use super::simulate::{CLASSES, DZ, Pool, Z_MIN, centre};

/// Which network, and its size.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "network", rename_all = "kebab-case")]
pub enum NetworkRecipe {
    /// Of the authors' released notebook: `depth` × (16 filters of 8, ReLU, pooling 3/2, batch
    /// normalisation), dropout, 512 linear units, dropout, 800 classes. `l2` is Keras' penalty on
    /// the 512 units.
    Paper {
        /// Convolutions.
        depth: usize,
        /// Rate of dropout.
        dropout: f32,
        /// Penalty on the 512 units.
        l2: f32,
    },
    /// Dilated convolutions and correlation with learned rest-frame patterns at every lag.
    Shift {
        /// Residual blocks.
        depth: usize,
        /// Channels of each.
        width: usize,
        /// Rest-frame patterns.
        patterns: usize,
    },
    /// One dense layer: with the hinge loss a multi-class linear support-vector machine.
    Linear {
        /// Penalty on the weights.
        l2: f32,
    },
}

/// A network that learns classes of spectra, `[row][bin]`, from their numbers.
pub trait Classifier: Learner<Batch = Supervised> + Sync {
    /// Scores `[row][class]`, before the softmax.
    fn scores(&self, x: &[f32]) -> Vec<f32>;
    /// Number of weights that are learned.
    fn weights(&self) -> usize;
}

impl Classifier for Single {
    fn scores(&self, x: &[f32]) -> Vec<f32> {
        self.outputs(x)
    }
    fn weights(&self) -> usize {
        self.net.tensors().iter().map(|t| t.values.len()).sum()
    }
}

/// A list of layers with its optimiser; `penalties` are (layer, λ) of Keras' L2.
///
/// # Errors
/// Layers that do not fit.
pub fn layers(
    bins: usize,
    layers: &[Layer],
    penalties: Vec<(usize, f32)>,
    loss: Loss,
    rule: Rule,
    seed: u64,
) -> Result<Single, String> {
    let mut net = Network::new(Shape::line(1, bins), layers, seed).map_err(|e| e.to_string())?;
    net.initialise(Init::Glorot, seed);
    let head = Arc::new(Labels::new(CLASSES, loss));
    let dropout = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15);
    Ok(Single::new(net, head, rule, 0.0, dropout).with_penalties(penalties))
}

/// Layers of the published network for spectra of `bins`.
pub fn paper(depth: usize, dropout: f32) -> Vec<Layer> {
    let mut layers = Vec::new();
    for _ in 0..depth {
        layers.push(Layer::conv(16, (1, 8), true, 0.0));
        layers.push(Layer::MaxPool {
            size: 3,
            stride: 2,
            same: true,
        });
        layers.push(Layer::BatchNorm {
            momentum: 0.99,
            eps: 1e-3,
        });
    }
    let drop = Layer::Dropout { rate: dropout };
    layers.extend([
        drop,
        Layer::Dense {
            units: 512,
            slope: 1.0,
        },
        drop,
        Layer::Dense {
            units: CLASSES,
            slope: 1.0,
        },
    ]);
    layers
}

impl NetworkRecipe {
    /// A new network for spectra of this pool.
    ///
    /// # Errors
    /// Numbers out of range.
    pub fn build(
        &self,
        pool: &Pool,
        loss: Loss,
        rule: Rule,
        seed: u64,
    ) -> Result<Box<dyn Classifier>, String> {
        match *self {
            NetworkRecipe::Paper { depth, dropout, l2 } => {
                if !(1..=6).contains(&depth) {
                    return Err("depth: expected 1 to 6 convolutions".into());
                }
                let penalties = vec![(3 * depth + 1, l2)];
                Ok(Box::new(layers(
                    pool.bins(),
                    &paper(depth, dropout),
                    penalties,
                    loss,
                    rule,
                    seed,
                )?))
            }
            NetworkRecipe::Linear { l2 } => {
                let one = [Layer::Dense {
                    units: CLASSES,
                    slope: 1.0,
                }];
                Ok(Box::new(layers(
                    pool.bins(),
                    &one,
                    vec![(0, l2)],
                    loss,
                    rule,
                    seed,
                )?))
            }
            NetworkRecipe::Shift {
                depth,
                width,
                patterns,
            } => {
                if depth > 24
                    || width == 0
                    || width % 16 != 0
                    || width > 128
                    || !(1..=16).contains(&patterns)
                {
                    return Err(
                        "expected depth up to 24, width 16, 32 … 128, patterns 1 to 16".into(),
                    );
                }
                Ok(Box::new(Shift::new(
                    pool,
                    (depth, width, patterns),
                    loss,
                    rule,
                    seed,
                )))
            }
        }
    }
}

/// From logits over (pattern, lag) to scores of classes: the cubic through the four lags around the
/// middle of the class, then log Σ exp over the patterns.
#[derive(Clone, Debug)]
pub struct Head {
    lags: usize,
    cells: Vec<(usize, [f32; 4])>,
}

/// Lags kept beyond either end of the redshifts.
const MARGIN: i32 = 4;

impl Head {
    /// First lag and number of lags.
    fn range() -> (i32, usize) {
        let first = ((1.0 + Z_MIN).ln() / STEP).floor() as i32 - MARGIN;
        let last = ((1.0 + Z_MIN + DZ * CLASSES as f64).ln() / STEP).ceil() as i32 + MARGIN;
        (first, (last - first) as usize + 1)
    }

    /// For the 800 classes.
    pub fn new() -> Head {
        let (first, lags) = Head::range();
        let cell = |k: usize| {
            let at = (1.0 + centre(k)).ln() / STEP - f64::from(first);
            let start = at.floor() as usize - 1;
            (start, lagrange(at - start as f64))
        };
        Head {
            lags,
            cells: (0..CLASSES).map(cell).collect(),
        }
    }

    fn at(&self, row: &[f32], class: usize) -> f32 {
        let (start, w) = &self.cells[class];
        (0..4).map(|j| w[j] * row[start + j]).sum()
    }

    /// Scores of the classes from `[pattern][lag]`.
    pub fn forward(&self, logits: &[f32], out: &mut [f32]) {
        for (k, o) in out.iter_mut().enumerate() {
            let values = || logits.chunks_exact(self.lags).map(|row| self.at(row, k));
            let top = values().fold(f32::NEG_INFINITY, f32::max);
            *o = top + values().map(|v| (v - top).exp()).sum::<f32>().ln();
        }
    }

    /// Gradient with respect to the logits from that with respect to the scores `out`.
    pub fn backward(&self, logits: &[f32], out: &[f32], dout: &[f32], dlogits: &mut Vec<f32>) {
        dlogits.clear();
        dlogits.resize(logits.len(), 0.0);
        for (row, d) in logits
            .chunks_exact(self.lags)
            .zip(dlogits.chunks_exact_mut(self.lags))
        {
            for (k, (start, w)) in self.cells.iter().enumerate() {
                let g = dout[k] * (self.at(row, k) - out[k]).exp();
                (0..4).for_each(|j| d[start + j] += g * w[j]);
            }
        }
    }
}

impl Default for Head {
    fn default() -> Self {
        Head::new()
    }
}

/// The shift-equivariant network with a head of 800 classes.
pub struct Shift {
    /// What is trained.
    pub net: ShiftNet,
    head: Head,
    encoder: Encoder,
    trunk: Optimiser,
    patterns: Optimiser,
    loss: Loss,
    bins: usize,
    tapes: ObjectPool<Vec<Tape>>,
    predictions: ObjectPool<Prediction>,
}

/// Examples whose gradients are summed in one piece; fixes the order of summation on any number of
/// threads.
const CHUNK: usize = 4;

struct Part {
    grad: Vec<f32>,
    spectra: Vec<[Vec<f32>; 2]>,
    loss: f64,
    right: usize,
}

impl Shift {
    fn new(
        pool: &Pool,
        (depth, width, patterns): (usize, usize, usize),
        loss: Loss,
        rule: Rule,
        seed: u64,
    ) -> Self {
        let encoder = Encoder::new(&pool.edges, &pool.noise_shape);
        let (min_lag, lags) = Head::range();
        let grid = encoder.positions();
        let nfft = (grid + lags..)
            .find(|n| LaneFft::fits(*n))
            .unwrap_or(1 << 13);
        let config = ShiftNetConfig {
            inputs: CHANNELS,
            width,
            depth,
            taps: 7,
            patterns,
            grid,
            min_lag,
            lags,
            nfft,
        };
        let net = ShiftNet::new(config, seed);
        let (trunk, own) = (
            Optimiser::new(rule, 0.0, net.trunk().len()),
            Optimiser::new(rule, 0.0, net.patterns().len()),
        );
        Shift {
            net,
            head: Head::new(),
            encoder,
            trunk,
            patterns: own,
            loss,
            bins: pool.bins(),
            tapes: ObjectPool::default(),
            predictions: ObjectPool::default(),
        }
    }

    fn part(&self, x: &[f32], labels: &[usize], batch: usize) -> Part {
        let mut tapes = self.tapes.get();
        let most = labels.len().max(tapes.len());
        tapes.resize_with(most, Tape::default);
        let mut channels = Vec::new();
        for (tape, flux) in tapes.iter_mut().zip(x.chunks_exact(x.len() / labels.len())) {
            self.encoder.encode(flux, &mut channels);
            tape.load(&self.net, &self.encoder.input(&channels));
        }
        self.net.forward(&mut tapes[..labels.len()]);
        let mut scores = vec![0.0; labels.len() * CLASSES];
        for (tape, s) in tapes.iter().zip(scores.chunks_exact_mut(CLASSES)) {
            self.head.forward(&tape.logits, s);
        }
        let mut slopes = scores.clone();
        let (loss, right) = self.loss.gradient(&mut slopes, CLASSES, labels);
        let share = labels.len() as f32 / batch as f32;
        slopes.iter_mut().for_each(|v| *v *= share);
        let mut out = Part {
            grad: vec![0.0; self.net.trunk().len()],
            spectra: vec![],
            loss: loss * f64::from(share),
            right,
        };
        let mut dlogits = Vec::new();
        for ((tape, s), d) in tapes
            .iter_mut()
            .zip(scores.chunks_exact(CLASSES))
            .zip(slopes.chunks_exact(CLASSES))
        {
            self.head.backward(&tape.logits, s, d, &mut dlogits);
            let back = self.net.backward(tape, &dlogits, &mut out.grad);
            out.spectra.push([tape.take_features_spectrum(), back]);
        }
        out
    }
}

impl Learner for Shift {
    type Batch = Supervised;

    fn step(&mut self, b: &Supervised, rate: f32, step: u64) -> Result<StepReport, Diverged> {
        let (x, labels) = (&b.x, labels(b));
        let n = x.len() / labels.len();
        let parts: Vec<Part> = x
            .par_chunks(CHUNK * n)
            .zip(labels.par_chunks(CHUNK))
            .map(|(x, l)| self.part(x, l, labels.len()))
            .collect();
        let mut grad = vec![0.0f32; self.net.trunk().len()];
        for p in &parts {
            grad.iter_mut().zip(&p.grad).for_each(|(g, x)| *g += x);
        }
        let spectra = |k: usize| {
            parts
                .iter()
                .flat_map(|p| p.spectra.iter().map(move |s| s[k].as_slice()))
                .collect::<Vec<_>>()
        };
        let dpatterns = self.net.grad_patterns(&spectra(0), &spectra(1));
        let loss: f64 = parts.iter().map(|p| p.loss).sum();
        if !loss.is_finite() {
            return Err(Diverged);
        }
        let (trunk_optimiser, pattern_optimiser) = (&mut self.trunk, &mut self.patterns);
        self.net.update(|trunk, patterns| {
            trunk_optimiser.step(rate, step + 1, trunk, &grad);
            pattern_optimiser.step(rate, step + 1, patterns, &dpatterns);
        });
        let right: usize = parts.iter().map(|p| p.right).sum();
        Ok(StepReport {
            loss,
            correct: right as f64 / labels.len() as f64,
            others: vec![],
        })
    }

    fn validate(&self, b: &Supervised) -> Metrics {
        let labels = labels(b);
        let (loss, right) = self.loss.gradient(&mut self.scores(&b.x), CLASSES, &labels);
        Metrics::of(&[
            ("loss", loss),
            ("correct", right as f64 / labels.len().max(1) as f64),
        ])
    }

    fn save(&self, to: &mut Checkpoint) {
        let weights = [self.net.trunk().to_vec(), self.net.patterns().to_vec()];
        to.put([
            ("trunk", &weights[0]),
            ("patterns", &weights[1]),
            ("trunk.first", &self.trunk.first),
            ("trunk.second", &self.trunk.second),
            ("patterns.first", &self.patterns.first),
            ("patterns.second", &self.patterns.second),
        ]);
    }

    fn load(&mut self, from: &Checkpoint) -> Result<(), CheckpointError> {
        from.take([
            ("trunk.first", &mut self.trunk.first),
            ("trunk.second", &mut self.trunk.second),
            ("patterns.first", &mut self.patterns.first),
            ("patterns.second", &mut self.patterns.second),
        ])?;
        self.net
            .update(|trunk, patterns| from.take([("trunk", trunk), ("patterns", patterns)]))
    }
}

fn labels(b: &Supervised) -> Vec<usize> {
    b.targets.iter().map(|t| *t as usize).collect()
}

impl Classifier for Shift {
    fn scores(&self, x: &[f32]) -> Vec<f32> {
        let n = self.bins;
        let mut out = vec![0.0; x.len() / n * CLASSES];
        x.par_chunks(TOGETHER * n)
            .zip(out.par_chunks_mut(TOGETHER * CLASSES))
            .for_each(|(x, out)| {
                let encoded: Vec<Vec<f32>> = x
                    .chunks_exact(n)
                    .map(|flux| {
                        let mut c = Vec::new();
                        self.encoder.encode(flux, &mut c);
                        c
                    })
                    .collect();
                let inputs: Vec<_> = encoded.iter().map(|c| self.encoder.input(c)).collect();
                let mut p = self.predictions.get();
                self.net.predict(&inputs, &mut p);
                for (l, o) in p.logits.iter().zip(out.chunks_exact_mut(CLASSES)) {
                    self.head.forward(l, o);
                }
            });
        out
    }

    fn weights(&self) -> usize {
        // Of the transform's length only what (position − lag) can reach is ever used.
        let c = &self.net.config;
        self.net.trunk().len() + c.patterns * 16 * (c.grid + c.lags - 1)
    }
}

#[cfg(test)]
mod tests;
