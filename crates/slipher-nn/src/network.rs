//! Networks of convolutions, pooling and dense layers as lists, with hand-written gradients.
//!
//! A [`Network`] is its list of [`Layer`]s and one vector of weights, so an optimiser makes one
//! pass. Feature maps are computed example by example, to stay in the cache, dense layers for the
//! batch at once. Sums over a batch are taken in a fixed order: the same seed gives the same
//! weights on any number of threads.

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::conv::{Conv, Epilogue};
use crate::dense;
use crate::lanes::{Isa, WIDTH};
use crate::maps::{Maps, Shape};
use crate::norm::{self, Statistics};
use crate::pool::MaxPool;

/// One layer. `slope` is that of a leaky ReLU after it: 0 is a ReLU, 1 none.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "layer", rename_all = "lowercase")]
pub enum Layer {
    /// Filters of `kernel` (rows, columns); `same` keeps the size of the maps.
    Conv { filters: usize, kernel: (usize, usize), same: bool, slope: f32 },
    /// See [`MaxPool`].
    MaxPool { size: usize, stride: usize, same: bool },
    /// Batch normalisation of maps ([`crate::norm`]); running means keep `momentum` of themselves at each step.
    BatchNorm { momentum: f32, eps: f32 },
    /// All inputs to each of `units`; the first one flattens the maps.
    Dense { units: usize, slope: f32 },
    /// In training, drops inputs of the next dense layer at this rate and scales up the others.
    Dropout { rate: f32 },
}

/// A list of layers that cannot be built.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("layer {index} ({layer:?}): {why}")]
pub struct BadNetwork {
    pub index: usize,
    pub layer: Layer,
    pub why: String,
}

/// A layer with its sizes and the place of its weights; the bias follows the weights.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Step {
    Conv {
        conv: Conv,
        slope: f32,
        out: Shape,
        at: usize,
    },
    Pool {
        pool: MaxPool,
        out: Shape,
    },
    /// γ, then β, of each channel lie at `at`; mean and variance at `running` of [`Network::running`].
    Norm {
        out: Shape,
        eps: f32,
        momentum: f32,
        at: usize,
        running: usize,
    },
    Dense {
        inputs: usize,
        units: usize,
        slope: f32,
        at: usize,
    },
    Dropout {
        rate: f32,
    },
}

/// A network and its weights.
#[derive(Clone, Debug)]
pub struct Network {
    pub input: Shape,
    pub layers: Vec<Layer>,
    /// Weights and biases of all layers in order, in the order the kernels want.
    pub weights: Vec<f32>,
    /// Running means of the batch normalisations in order: mean, then variance, of each channel.
    pub running: Vec<f32>,
    pub(crate) steps: Vec<Step>,
    /// Number of leading steps that work on maps.
    pub(crate) local: usize,
    pub(crate) isa: Isa,
}

fn plan(input: Shape, layers: &[Layer]) -> Result<(Vec<Step>, usize, usize, usize), BadNetwork> {
    let (mut shape, mut flat, mut at, mut steps, mut local, mut running) = (input, None, 0, Vec::new(), 0, 0);
    for (index, layer) in layers.iter().enumerate() {
        let bad = |why: &str| BadNetwork { index, layer: *layer, why: why.into() };
        if flat.is_some() && matches!(layer, Layer::Conv { .. } | Layer::MaxPool { .. } | Layer::BatchNorm { .. }) {
            return Err(bad("works on maps, but a dense layer came before"));
        }
        match *layer {
            Layer::Conv { filters, kernel, same, slope } => {
                if filters == 0 || kernel.0 == 0 || kernel.1 == 0 || filters % WIDTH != 0 || shape.channels.max(filters) > MOST {
                    return Err(bad("expected filters in sixteens, at most 4096, and a kernel of at least 1 × 1"));
                }
                let conv = if same { Conv::same(shape.channels, filters, kernel) } else { Conv::valid(shape.channels, filters, kernel) };
                let out = if same {
                    Some((shape.height, shape.width))
                } else {
                    (shape.height + 1).checked_sub(kernel.0).zip((shape.width + 1).checked_sub(kernel.1))
                };
                let out = out.filter(|o| o.0 > 0 && o.1 > 0).ok_or_else(|| bad("the kernel is larger than the maps"))?;
                shape = Shape::new(filters, out.0, out.1);
                steps.push(Step::Conv { conv, slope, out: shape, at });
                at += conv.weights() + conv.biases();
                local = steps.len();
            }
            Layer::MaxPool { size, stride, same } => {
                let pool = MaxPool { size, stride, same };
                if size == 0 || stride == 0 || shape.channels % WIDTH != 0 {
                    return Err(bad("expected a window and a stride of at least 1, after a convolution"));
                }
                shape = pool.output(shape);
                steps.push(Step::Pool { pool, out: shape });
                local = steps.len();
            }
            Layer::BatchNorm { momentum, eps } => {
                if !(0.0..1.0).contains(&momentum) || eps <= 0.0 || steps.is_empty() || shape.channels % WIDTH != 0 {
                    return Err(bad("expected 0 ≤ momentum < 1 and eps > 0, after a convolution"));
                }
                steps.push(Step::Norm { out: shape, eps, momentum, at, running });
                at += 2 * shape.channels;
                running += 2 * shape.channels;
                local = steps.len();
            }
            Layer::Dense { units, slope } => {
                let inputs = flat.unwrap_or_else(|| shape.stored());
                if units == 0 {
                    return Err(bad("expected at least one unit"));
                }
                steps.push(Step::Dense { inputs, units, slope, at });
                at += dense::panels_len(inputs, units) + units;
                flat = Some(units);
            }
            Layer::Dropout { rate } => {
                if !(0.0..1.0).contains(&rate) {
                    return Err(bad("expected a rate from 0 to below 1"));
                }
                flat = Some(flat.unwrap_or_else(|| shape.stored()));
                steps.push(Step::Dropout { rate });
            }
        }
    }
    match layers.last() {
        Some(Layer::Dense { .. }) => Ok((steps, local, at, running)),
        Some(l) => Err(BadNetwork { index: layers.len() - 1, layer: *l, why: "expected a dense layer at the end".into() }),
        None => Err(BadNetwork { index: 0, layer: Layer::Dropout { rate: 0.0 }, why: "expected at least one layer".into() }),
    }
}

/// What a forward pass leaves for the backward pass; reused from batch to batch.
#[derive(Default)]
pub struct Tape {
    rows: usize,
    examples: Vec<Vec<Maps>>,
    /// Input of the dense part, then the output of each of its steps, `[row][value]`.
    values: Vec<Vec<f32>>,
    keep: Vec<Vec<f32>>,
    chunks: Vec<Chunk>,
    transposed: Vec<Vec<f32>>,
    /// Statistics of each normalisation, by step.
    norms: Vec<Statistics>,
    /// Sums of each example for the next normalisation.
    sums: Vec<Vec<f32>>,
    /// Gradient of each example at the output of the normalisation that a backward pass has reached.
    boundary: Vec<Maps>,
    gradients: [Vec<f32>; 2],
    buffers: dense::Buffers,
}

#[derive(Default)]
struct Chunk {
    maps: Vec<Maps>,
    weights: Vec<f32>,
}

/// Most channels of a map.
const MOST: usize = 4096;
/// Parts that a batch is cut into for the gradients of convolutions.
const CHUNKS: usize = 16;

impl Network {
    /// Random weights (He et al. 2015), zero biases.
    ///
    /// # Errors
    /// Layers that do not fit together.
    pub fn new(input: Shape, layers: &[Layer], seed: u64) -> Result<Self, BadNetwork> {
        let (steps, local, n, running) = plan(input, layers)?;
        let mut net = Network { input, layers: layers.to_vec(), weights: vec![0.0; n], running: vec![0.0; running], steps, local, isa: Isa::best() };
        net.initialise(Init::He, seed);
        Ok(net)
    }

    /// Draws all weights anew; biases are 0, scales of normalisations 1, running means 0 and variances 1.
    pub fn initialise(&mut self, init: Init, seed: u64) {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let tensors = self.tensors().into_iter().map(|t| {
            if t.shape.len() == 1 {
                let scale = matches!(self.steps[t.step], Step::Norm { .. }) && t.name.ends_with("weight");
                return vec![if scale { 1.0 } else { 0.0 }; t.values.len()];
            }
            let taps: usize = t.shape[2..].iter().product();
            let (fan_in, fan_out) = ((t.shape[1] * taps) as f32, (t.shape[0] * taps) as f32);
            let mut draw = || match init {
                Init::He => {
                    let x: f32 = StandardNormal.sample(&mut rng);
                    (2.0 / fan_in).sqrt() * x
                }
                Init::Glorot => (6.0 / (fan_in + fan_out)).sqrt() * (2.0 * rng.random::<f32>() - 1.0),
            };
            t.values.iter().map(|_| draw()).collect()
        });
        let tensors: Vec<Vec<f32>> = tensors.collect();
        self.set_tensors(&tensors).expect("the shapes are its own");
        for s in &self.steps {
            if let Step::Norm { out, running, .. } = s {
                let (mean, variance) = self.running[*running..][..2 * out.channels].split_at_mut(out.channels);
                mean.fill(0.0);
                variance.fill(1.0);
            }
        }
    }

    /// Takes the statistics of the last batch into the running means; the variance without bias, as its sample's.
    pub fn update_running(&mut self, tape: &Tape) {
        for (i, s) in self.steps.iter().enumerate() {
            let Step::Norm { out, momentum, running, .. } = *s else { continue };
            let Some(batch) = tape.norms.get(i).filter(|b| b.of_batch) else { continue };
            let n = (tape.rows * out.height * out.width) as f32;
            let (mean, variance) = self.running[running..][..2 * out.channels].split_at_mut(out.channels);
            mean.iter_mut().zip(&batch.mean).for_each(|(r, b)| *r = momentum * *r + (1.0 - momentum) * b);
            let unbiased = n / (n - 1.0).max(1.0);
            variance.iter_mut().zip(&batch.variance).for_each(|(r, b)| *r = momentum * *r + (1.0 - momentum) * b * unbiased);
        }
    }

    /// Place in [`Network::weights`] of the weights (without biases) of layer `i` of the list.
    pub fn weights_of(&self, i: usize) -> std::ops::Range<usize> {
        match self.steps[i] {
            Step::Conv { conv, at, .. } => at..at + conv.weights(),
            Step::Dense { inputs, units, at, .. } => at..at + dense::panels_len(inputs, units),
            Step::Norm { out, at, .. } => at..at + out.channels,
            _ => 0..0,
        }
    }

    /// Number of classes or values that come out.
    pub fn outputs(&self) -> usize {
        self.steps.iter().rev().find_map(|s| if let Step::Dense { units, .. } = s { Some(*units) } else { None }).unwrap_or(0)
    }

    /// Multiply-adds × 2 of the forward pass of one example, without filled-up channels.
    pub fn flop(&self) -> usize {
        let cost = |s: &Step| match s {
            Step::Conv { conv, out, .. } => 2 * out.len() * conv.channels * conv.kernel.0 * conv.kernel.1,
            Step::Dense { inputs, units, .. } => 2 * inputs * units,
            _ => 0,
        };
        self.steps.iter().map(cost).sum()
    }

    /// Shape that the dense part sees flattened.
    pub(crate) fn last_maps(&self) -> Shape {
        self.steps[..self.local]
            .iter()
            .rev()
            .find_map(|s| match s {
                Step::Conv { out, .. } | Step::Pool { out, .. } | Step::Norm { out, .. } => Some(*out),
                _ => None,
            })
            .unwrap_or(self.input)
    }

    /// Border that the maps before step `i` need, for what reads them.
    pub(crate) fn border(&self, i: usize, shape: Shape) -> (usize, usize) {
        match self.steps.get(i) {
            Some(Step::Conv { conv, out, .. }) => conv.border(shape, *out),
            _ => (0, 0),
        }
    }

    /// Parts of the local steps that examples pass alone; each but the first begins with a normalisation.
    fn segments(&self) -> Vec<std::ops::Range<usize>> {
        let mut cuts: Vec<usize> = (1..self.local).filter(|i| matches!(self.steps[*i], Step::Norm { .. })).collect();
        cuts.insert(0, 0);
        cuts.push(self.local);
        cuts.windows(2).map(|w| w[0]..w[1]).collect()
    }

    /// Output `[row][value]` for `x` = `[row][channel][line][column]`. With `training`, a seed, layers drop out and
    /// normalise by the batch; without, by the running means.
    pub fn forward<'a>(&self, x: &[f32], tape: &'a mut Tape, training: Option<u64>) -> &'a [f32] {
        let n = self.input.len();
        assert!(x.len().is_multiple_of(n), "whole examples of {n} values");
        let rows = x.len() / n;
        tape.rows = rows;
        tape.examples.resize_with(rows, Vec::new);
        tape.sums.resize_with(rows, Vec::new);
        tape.norms.resize_with(self.local, Statistics::default);
        tape.values.resize_with(self.steps.len() - self.local + 1, Vec::new);
        let width = self.last_maps().stored();
        let mut features = std::mem::take(&mut tape.values[0]);
        features.resize(rows * width, 0.0);
        for segment in self.segments() {
            if let Step::Norm { out, eps, running, .. } = self.steps.get(segment.start).copied().unwrap_or(Step::Dropout { rate: 0.0 }) {
                let (mean, variance) = self.running[running..][..2 * out.channels].split_at(out.channels);
                let count = rows * out.height * out.width;
                let batch = training.is_some();
                tape.norms[segment.start] = if batch { Statistics::of(&tape.sums, count, eps) } else { Statistics::fixed(mean, variance, eps) };
            }
            let norms = &tape.norms;
            (tape.examples.par_iter_mut(), &mut tape.sums, x.par_chunks_exact(n), features.par_chunks_exact_mut(width)).into_par_iter().for_each(
                |(maps, sums, x, out)| {
                    if segment.start == 0 {
                        maps.resize_with(self.local + 1, Maps::default);
                        maps[0].reset(self.input, self.border(0, self.input));
                        maps[0].fill_planes(x);
                    }
                    self.forward_maps(segment.clone(), maps, norms);
                    if segment.end == self.local {
                        maps[self.local].copy_stored(out);
                    } else if training.is_some() {
                        norm::sums(&maps[segment.end], sums);
                    }
                },
            );
        }
        tape.values[0] = features;
        self.forward_dense(tape, training);
        tape.values.last().expect("there is a dense layer")
    }

    fn forward_maps(&self, segment: std::ops::Range<usize>, maps: &mut [Maps], norms: &[Statistics]) {
        for i in segment {
            let (before, after) = maps.split_at_mut(i + 1);
            let (x, y) = (&before[i], &mut after[0]);
            match self.steps[i] {
                Step::Conv { conv, slope, out, at } => {
                    y.reset(out, self.border(i + 1, out));
                    let (w, b) = self.weights[at..].split_at(conv.weights());
                    conv.forward(self.isa, x, w, &b[..conv.biases()], y, Epilogue { slope: Some(slope), ..Epilogue::default() }, false);
                }
                Step::Pool { pool, out } => {
                    y.reset(out, self.border(i + 1, out));
                    pool.forward(x, y);
                }
                Step::Norm { out, at, .. } => {
                    y.reset(out, self.border(i + 1, out));
                    let (scale, shift) = self.affine(at, out.channels, &norms[i]);
                    norm::forward(x, &scale, &shift, y);
                }
                _ => unreachable!("the first steps work on maps"),
            }
        }
    }

    fn affine(&self, at: usize, channels: usize, s: &Statistics) -> (Vec<f32>, Vec<f32>) {
        let (gamma, beta) = self.weights[at..at + 2 * channels].split_at(channels);
        s.affine(gamma, beta)
    }

    fn forward_dense(&self, tape: &mut Tape, dropout: Option<u64>) {
        tape.keep.resize_with(self.steps.len(), Vec::new);
        for (i, step) in self.steps[self.local..].iter().enumerate() {
            let (before, after) = tape.values.split_at_mut(i + 1);
            let (x, y) = (&before[i], &mut after[0]);
            match step {
                Step::Dense { inputs, units, slope, at } => {
                    y.resize(tape.rows * units, 0.0);
                    let (w, b) = self.weights[*at..].split_at(dense::panels_len(*inputs, *units));
                    dense::forward(self.isa, x, w, &b[..*units], *slope, y);
                }
                Step::Dropout { rate } => {
                    y.clone_from(x);
                    let keep = &mut tape.keep[i];
                    keep.clear();
                    if let Some(seed) = dropout {
                        let mut rng = ChaCha8Rng::seed_from_u64(seed ^ ((i as u64) << 32));
                        let up = 1.0 / (1.0 - rate);
                        keep.extend(x.iter().map(|_| if rng.random::<f32>() < *rate { 0.0 } else { up }));
                        y.iter_mut().zip(keep).for_each(|(v, k)| *v *= *k);
                    }
                }
                _ => unreachable!("maps end where the dense part begins"),
            }
        }
    }

    /// Writes to `grad` (as [`Network::weights`]) the gradient of Σ `dy`·output of the last forward pass.
    pub fn backward(&self, tape: &mut Tape, dy: &[f32], grad: &mut Vec<f32>) {
        grad.resize(self.weights.len(), 0.0);
        let mut d = std::mem::take(&mut tape.gradients[0]);
        let mut next = std::mem::take(&mut tape.gradients[1]);
        d.clear();
        d.extend_from_slice(dy);
        for (i, step) in self.steps[self.local..].iter().enumerate().rev() {
            let (x, y) = (&tape.values[i], &tape.values[i + 1]);
            match step {
                Step::Dense { inputs, units, slope, at } => {
                    if *slope != 1.0 {
                        d.iter_mut().zip(y).for_each(|(d, y)| *d *= if *y > 0.0 { 1.0 } else { *slope });
                    }
                    let n = dense::panels_len(*inputs, *units);
                    let (dw, db) = grad[*at..].split_at_mut(n);
                    dense::grad_weights(self.isa, x, &d, dw, &mut db[..*units], &mut tape.buffers);
                    if i > 0 || self.local > 0 {
                        next.resize(tape.rows * inputs, 0.0);
                        dense::grad_data(self.isa, &d, &self.weights[*at..at + n], *units, &mut next, &mut tape.buffers);
                        std::mem::swap(&mut d, &mut next);
                    }
                }
                _ => d.iter_mut().zip(&tape.keep[i]).for_each(|(d, k)| *d *= k),
            }
        }
        if self.local > 0 {
            self.backward_maps(tape, &d, grad);
        }
        tape.gradients = [d, next];
    }

    fn backward_maps(&self, tape: &mut Tape, d: &[f32], grad: &mut [f32]) {
        let steps = &self.steps[..self.local];
        tape.transposed.resize_with(self.local, Vec::new);
        for (t, step) in tape.transposed.iter_mut().zip(steps).skip(1) {
            if let Step::Conv { conv, at, .. } = step {
                conv.transpose(&self.weights[*at..at + conv.weights()], t);
            }
        }
        let local_weights = steps.iter().map(Step::weights).sum();
        let width = self.last_maps().stored();
        let per = tape.rows.div_ceil(CHUNKS).max(1);
        tape.chunks.resize_with(tape.rows.div_ceil(per), Chunk::default);
        for c in &mut tape.chunks {
            c.weights.clear();
            c.weights.resize(local_weights, 0.0);
        }
        tape.boundary.resize_with(tape.rows, Maps::default);
        // Means over the batch of the gradient at the normalisation above, and of its product with x̂.
        let mut means = [Vec::new(), Vec::new()];
        let segments = self.segments();
        for segment in segments.iter().rev() {
            let (examples, transposed, norms) = (&tape.examples, &tape.transposed, &tape.norms);
            let parts = (tape.chunks.par_iter_mut(), tape.boundary.par_chunks_mut(per), tape.sums.par_chunks_mut(per)).into_par_iter().enumerate();
            parts.for_each(|(c, (chunk, boundary, sums))| {
                for (i, (above, sums)) in boundary.iter_mut().zip(sums).enumerate() {
                    let row = c * per + i;
                    let from = if segment.end == self.local {
                        From::Features(&d[row * width..(row + 1) * width])
                    } else {
                        From::Norm { above, statistics: &norms[segment.end], means: &means }
                    };
                    self.backward_example(segment.clone(), &examples[row], from, transposed, chunk);
                    if segment.start > 0 {
                        let (x, dy) = (&examples[row][segment.start], &chunk.maps[segment.start + 1]);
                        norm::back_sums(x, dy, &norms[segment.start], sums);
                        above.clone_from(dy);
                    }
                }
            });
            if let (Step::Norm { out, .. }, true) = (steps[segment.start], segment.start > 0) {
                let totals = norm::totals(&tape.sums[..tape.rows]);
                let count = (tape.rows * out.height * out.width) as f64;
                let share = if tape.norms[segment.start].of_batch { 1.0 / count } else { 0.0 };
                means = [&totals[0], &totals[1]].map(|t| t.iter().map(|v| (v * share) as f32).collect());
                // The bias takes Σ dy, the scale Σ dy · x̂; the first chunk carries them.
                let Step::Norm { at, .. } = steps[segment.start] else { unreachable!() };
                let (scale, bias) = tape.chunks[0].weights[at..at + 2 * out.channels].split_at_mut(out.channels);
                scale.iter_mut().zip(&totals[1]).for_each(|(g, t)| *g = *t as f32);
                bias.iter_mut().zip(&totals[0]).for_each(|(g, t)| *g = *t as f32);
            }
        }
        let chunks = &tape.chunks;
        grad[..local_weights].par_chunks_mut(1 << 12).enumerate().for_each(|(i, g)| {
            g.fill(0.0);
            for c in chunks {
                g.iter_mut().zip(&c.weights[i << 12..]).for_each(|(g, w)| *g += w);
            }
        });
    }

    /// Slope of the activation that made the input of step `i`.
    fn slope_before(&self, i: usize) -> f32 {
        match i.checked_sub(1).map(|j| self.steps[j]) {
            Some(Step::Conv { slope, .. }) => slope,
            _ => 1.0,
        }
    }

    fn backward_example(&self, segment: std::ops::Range<usize>, maps: &[Maps], from: From, transposed: &[Vec<f32>], chunk: &mut Chunk) {
        let steps = &self.steps[..self.local];
        chunk.maps.resize_with(self.local + 1, Maps::default);
        // Gradients of maps i need the border that the adjoint of step i − 1 reads.
        let border = |i: usize| match steps[i - 1] {
            Step::Conv { conv, out, .. } => conv.adjoint().border(out, maps[i - 1].shape()),
            _ => (0, 0),
        };
        let last = segment.end;
        chunk.maps[last].reset(maps[last].shape(), border(last));
        match from {
            From::Features(d) => {
                chunk.maps[last].fill_stored(d);
                mask(&mut chunk.maps[last], &maps[last], self.slope_before(last));
            }
            From::Norm { above, statistics, means } => {
                let Step::Norm { out, at, .. } = steps[last] else { unreachable!("segments end before a normalisation") };
                let (scale, _) = self.affine(at, out.channels, statistics);
                norm::backward(&maps[last], above, statistics, &scale, means, self.slope_before(last), &mut chunk.maps[last]);
            }
        }
        // The normalisation at the start of a segment waits for the whole batch.
        let first = segment.start + usize::from(segment.start > 0);
        for i in (first..last).rev() {
            let (before, after) = chunk.maps.split_at_mut(i + 1);
            let (dx, dy) = (&mut before[i], &after[0]);
            let slope = self.slope_before(i);
            match &steps[i] {
                Step::Conv { conv, at, .. } => {
                    let (dw, db) = chunk.weights[*at..].split_at_mut(conv.weights());
                    conv.grad_weights(self.isa, &maps[i], dy, dw, &mut db[..conv.biases()]);
                    if i == 0 {
                        break;
                    }
                    dx.reset(maps[i].shape(), border(i));
                    let back = conv.adjoint();
                    let zero = [0.0f32; MOST];
                    let then = Epilogue { mask: (slope != 1.0).then_some((&maps[i], slope)), ..Epilogue::default() };
                    back.forward(self.isa, dy, &transposed[i], &zero[..back.biases()], dx, then, false);
                }
                Step::Pool { pool, .. } => {
                    if i == 0 {
                        break;
                    }
                    dx.reset(maps[i].shape(), border(i));
                    pool.backward(&maps[i], &maps[i + 1], dy, slope, dx);
                }
                _ => unreachable!("the first steps work on maps"),
            }
        }
    }

    /// Weights by name, shape and values, as PyTorch's `state_dict` of the same layers in a
    /// `Sequential` has them: convolutions `[filter][channel][row][column]`, dense `[unit][input]`
    /// with the maps flattened channel by channel.
    pub fn tensors(&self) -> Vec<Tensor> {
        let mut out = Vec::new();
        for (i, s) in self.steps.iter().enumerate() {
            let mut push = |what: &str, shape: Vec<usize>, values| out.push(Tensor { name: format!("{i}.{what}"), step: i, shape, values });
            match s {
                Step::Conv { conv, at, .. } => {
                    let (w, b) = self.weights[*at..].split_at(conv.weights());
                    push("weight", vec![conv.filters, conv.channels, conv.kernel.0, conv.kernel.1], conv.unpack(w));
                    push("bias", vec![conv.filters], b[..conv.filters].to_vec());
                }
                Step::Norm { out, at, .. } => {
                    let n = out.channels;
                    push("weight", vec![n], self.weights[*at..at + n].to_vec());
                    push("bias", vec![n], self.weights[at + n..at + 2 * n].to_vec());
                }
                Step::Dense { inputs, units, at, .. } => {
                    let order = self.flattening(i, *inputs);
                    let (w, b) = self.weights[*at..].split_at(dense::panels_len(*inputs, *units));
                    let values = (0..*units).flat_map(|u| order.iter().map(move |j| w[dense::index(*inputs, *units, *j, u)])).collect();
                    push("weight", vec![*units, order.len()], values);
                    push("bias", vec![*units], b[..*units].to_vec());
                }
                _ => {}
            }
        }
        out
    }

    /// Takes the values of [`Network::tensors`], in their order.
    ///
    /// # Errors
    /// The name of a tensor of the wrong length.
    pub fn set_tensors(&mut self, values: &[Vec<f32>]) -> Result<(), String> {
        let own = self.tensors();
        if values.len() != own.len() {
            return Err(format!("{} tensors: expected {}", values.len(), own.len()));
        }
        if let Some((t, v)) = own.iter().zip(values).find(|(t, v)| t.values.len() != v.len()) {
            return Err(format!("tensor {} has {} values: expected {}", t.name, v.len(), t.values.len()));
        }
        let mut values = values.iter();
        let mut take = || values.next().expect("counted above");
        for (i, s) in self.steps.clone().iter().enumerate() {
            match s {
                Step::Conv { conv, at, .. } => {
                    let n = conv.weights();
                    self.weights[*at..at + n].copy_from_slice(&conv.pack(take()));
                    self.weights[at + n..at + n + conv.filters].copy_from_slice(take());
                }
                Step::Norm { out, at, .. } => {
                    let n = out.channels;
                    self.weights[*at..at + n].copy_from_slice(take());
                    self.weights[at + n..at + 2 * n].copy_from_slice(take());
                }
                Step::Dense { inputs, units, at, .. } => {
                    let order = self.flattening(i, *inputs);
                    let from = take();
                    for (u, row) in from.chunks_exact(order.len()).enumerate() {
                        order.iter().zip(row).for_each(|(j, v)| self.weights[at + dense::index(*inputs, *units, *j, u)] = *v);
                    }
                    let end = at + dense::panels_len(*inputs, *units);
                    self.weights[end..end + units].copy_from_slice(take());
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// For the dense layer at step `i`: place in our order of each input in PyTorch's.
    fn flattening(&self, i: usize, inputs: usize) -> Vec<usize> {
        let first = self.steps.iter().position(|s| matches!(s, Step::Dense { .. })) == Some(i);
        if !first {
            return (0..inputs).collect();
        }
        let s = self.last_maps();
        (0..s.channels).flat_map(|c| (0..s.height).flat_map(move |y| (0..s.width).map(move |x| s.index(c, y, x)))).collect()
    }
}

/// A named array of weights.
#[derive(Clone, Debug, PartialEq)]
pub struct Tensor {
    pub name: String,
    /// Layer that it belongs to.
    pub step: usize,
    pub shape: Vec<usize>,
    pub values: Vec<f32>,
}

/// Distribution of new weights.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Init {
    /// Normal, σ² = 2 / inputs (He et al. 2015).
    He,
    /// Uniform, ±√(6 / (inputs + outputs)) (Glorot & Bengio 2010), Keras' default.
    Glorot,
}

impl Step {
    /// Weights and biases of a local step.
    fn weights(&self) -> usize {
        match self {
            Step::Conv { conv, .. } => conv.weights() + conv.biases(),
            Step::Norm { out, .. } => 2 * out.channels,
            _ => 0,
        }
    }
}

/// Where the gradient at the end of a segment comes from.
enum From<'a> {
    /// The dense part, in the stored order.
    Features(&'a [f32]),
    /// The normalisation that begins the next segment, whose output has this gradient.
    Norm { above: &'a Maps, statistics: &'a Statistics, means: &'a [Vec<f32>; 2] },
}

fn mask(d: &mut Maps, y: &Maps, slope: f32) {
    if slope == 1.0 {
        return;
    }
    for block in 0..y.shape().blocks() {
        for r in 0..y.shape().height {
            d.row_mut(block, r).iter_mut().zip(y.row(block, r)).for_each(|(d, y)| *d *= if *y > 0.0 { 1.0 } else { slope });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::loss::cross_entropy;

    fn small() -> Network {
        let layers = [
            Layer::Conv { filters: 16, kernel: (3, 3), same: false, slope: 0.1 },
            Layer::Conv { filters: 32, kernel: (3, 3), same: true, slope: 0.1 },
            Layer::MaxPool { size: 2, stride: 2, same: false },
            Layer::Conv { filters: 16, kernel: (2, 3), same: true, slope: 0.1 },
            Layer::Dense { units: 20, slope: 0.1 },
            Layer::Dropout { rate: 0.5 },
            Layer::Dense { units: 3, slope: 1.0 },
        ];
        Network::new(Shape::new(5, 9, 11), &layers, 1).unwrap()
    }

    fn wave(n: usize, k: f64) -> Vec<f32> {
        (0..n).map(|i| (0.37 * i as f64 + k).sin() as f32).collect()
    }

    /// Golden values of the same network in PyTorch, written by scripts/golden.py.
    #[test]
    fn agrees_with_pytorch() {
        let mut net = small();
        let values: Vec<Vec<f32>> = net.tensors().iter().enumerate().map(|(i, t)| wave(t.values.len(), i as f64).iter().map(|v| 0.2 * v).collect()).collect();
        net.set_tensors(&values).unwrap();
        assert_eq!(net.tensors().iter().map(|t| t.values.clone()).collect::<Vec<_>>(), values);
        let mut tape = Tape::default();
        let mut d = net.forward(&wave(2 * 5 * 9 * 11, 0.5), &mut tape, None).to_vec();
        for (a, e) in d.iter().zip(LOGITS) {
            assert!((a - e).abs() < 1e-3, "{d:?}");
        }
        let (loss, _) = cross_entropy(&mut d, 3, &[2, 0]);
        assert!((loss - LOSS).abs() < 1e-3, "{loss}");
        let mut grad = vec![];
        net.backward(&mut tape, &d, &mut grad);
        net.weights = grad;
        for (t, (sum, tenth)) in net.tensors().iter().zip(GRADS) {
            let s: f32 = t.values.iter().sum();
            assert!(
                (s - sum).abs() < 2e-3 * (1.0 + sum.abs()) && (t.values[2] - tenth).abs() < 1e-3 * (1.0 + tenth.abs()),
                "{} {s} {} for {sum} {tenth}",
                t.name,
                t.values[2]
            );
        }
    }
    const LOGITS: [f32; 6] = [0.3033, -0.0869, -0.3687, 0.3443, -0.0863, -0.4092];
    const LOSS: f64 = 1.10331;
    const GRADS: [(f32, f32); 10] = [
        (-0.02245, -0.05920),
        (-0.05404, -0.17207),
        (-5.06736, 0.02538),
        (-0.33625, 0.01322),
        (-0.27947, 0.00006),
        (-0.03195, -0.02747),
        (1.00441, -0.00015),
        (0.08056, 0.02414),
        (-0.00000, -0.01374),
        (-0.00000, -0.27230),
    ];

    /// The published network in little, with batch normalisation. Golden values of PyTorch by scripts/golden.py.
    #[test]
    fn batch_norm_agrees_with_pytorch() {
        let conv = Layer::Conv { filters: 16, kernel: (1, 8), same: true, slope: 0.0 };
        let pool = Layer::MaxPool { size: 3, stride: 2, same: false };
        let bn = Layer::BatchNorm { momentum: 0.9, eps: 1e-3 };
        let layers = [conv, pool, bn, conv, bn, Layer::Dense { units: 20, slope: 1.0 }, Layer::Dense { units: 3, slope: 1.0 }];
        let mut net = Network::new(Shape::line(1, 41), &layers, 1).unwrap();
        let values: Vec<Vec<f32>> =
            net.tensors().iter().enumerate().map(|(i, t)| wave(t.values.len(), i as f64).iter().map(|v| 0.3 * v + 0.1).collect()).collect();
        net.set_tensors(&values).unwrap();
        let x = wave(3 * 41, 0.5);
        let mut tape = Tape::default();
        let mut d = net.forward(&x, &mut tape, Some(1)).to_vec();
        net.update_running(&tape);
        let (loss, _) = cross_entropy(&mut d, 3, &[2, 0, 1]);
        assert!((loss - BN_LOSS).abs() < 1e-3, "{loss}");
        let mut grad = vec![];
        net.backward(&mut tape, &d, &mut grad);
        let eval = net.forward(&x, &mut tape, None).to_vec();
        assert!(eval.iter().zip(BN_EVAL).all(|(a, b)| (a - b).abs() < 2e-3 * (1.0 + b.abs())), "{eval:?}");
        net.weights = grad;
        for (t, (sum, third)) in net.tensors().iter().zip(BN_GRADS) {
            let s: f32 = t.values.iter().map(|v| v.abs()).sum();
            assert!(
                (s - sum).abs() < 3e-3 * (1.0 + sum.abs()) && (t.values[2] - third).abs() < 2e-3 * (1.0 + third.abs()),
                "{} {s} {} for {sum} {third}",
                t.name,
                t.values[2]
            );
        }
    }
    const BN_LOSS: f64 = 1.43859;
    const BN_EVAL: [f32; 9] = [13.0018, 11.6000, 19.1136, 12.7673, 11.3580, 18.7029, 12.8928, 11.4865, 18.9217];
    const BN_GRADS: [(f32, f32); 12] = [
        (0.37715, 0.00253),
        (0.03434, 0.00139),
        (0.48375, -0.04599),
        (0.07428, -0.00344),
        (2.87937, -0.00005),
        (0.05058, 0.00562),
        (0.79568, 0.03544),
        (8.85072, 0.50807),
        (165.45697, 0.01661),
        (1.70689, 0.12238),
        (43.29367, -0.32946),
        (0.71475, 0.35737),
    ];

    #[test]
    fn dropout_drops_and_is_reproducible() {
        let net = small();
        let x = wave(3 * 5 * 9 * 11, 0.1);
        let run = |seed| net.forward(&x, &mut Tape::default(), seed).to_vec();
        assert_eq!(run(Some(7)), run(Some(7)));
        assert_ne!(run(Some(7)), run(Some(8)));
        assert_ne!(run(Some(7)), run(None));
    }

    #[test]
    fn what_does_not_fit_is_named() {
        let e = Network::new(Shape::new(3, 8, 8), &[Layer::Dense { units: 4, slope: 1.0 }, Layer::MaxPool { size: 2, stride: 2, same: false }], 1).unwrap_err();
        assert!(e.to_string().contains("layer 1"), "{e}");
        assert!(Network::new(Shape::new(3, 8, 8), &[Layer::Conv { filters: 16, kernel: (9, 9), same: false, slope: 0.0 }], 1).is_err());
    }
}
