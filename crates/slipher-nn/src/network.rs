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
use crate::pool::MaxPool;

/// One layer. `slope` is that of a leaky ReLU after it: 0 is a ReLU, 1 none.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "layer", rename_all = "lowercase")]
pub enum Layer {
    /// Filters of `kernel` (rows, columns); `same` keeps the size of the maps.
    Conv { filters: usize, kernel: (usize, usize), same: bool, slope: f32 },
    /// See [`MaxPool`].
    MaxPool { size: usize, stride: usize, same: bool },
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
    Conv { conv: Conv, slope: f32, out: Shape, at: usize },
    Pool { pool: MaxPool, out: Shape },
    Dense { inputs: usize, units: usize, slope: f32, at: usize },
    Dropout { rate: f32 },
}

/// A network and its weights.
#[derive(Clone, Debug)]
pub struct Network {
    pub input: Shape,
    pub layers: Vec<Layer>,
    /// Weights and biases of all layers in order, in the order the kernels want.
    pub weights: Vec<f32>,
    pub(crate) steps: Vec<Step>,
    /// Number of leading steps that work on maps.
    pub(crate) local: usize,
    pub(crate) isa: Isa,
}

fn plan(input: Shape, layers: &[Layer]) -> Result<(Vec<Step>, usize, usize), BadNetwork> {
    let (mut shape, mut flat, mut at, mut steps, mut local) = (input, None, 0, Vec::new(), 0);
    for (index, layer) in layers.iter().enumerate() {
        let bad = |why: &str| BadNetwork { index, layer: *layer, why: why.into() };
        if flat.is_some() && matches!(layer, Layer::Conv { .. } | Layer::MaxPool { .. }) {
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
        Some(Layer::Dense { .. }) => Ok((steps, local, at)),
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
        let (steps, local, n) = plan(input, layers)?;
        let mut net = Network { input, layers: layers.to_vec(), weights: vec![0.0; n], steps, local, isa: Isa::best() };
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let tensors = net.tensors().into_iter().map(|t| {
            let fan_in: usize = t.shape[1..].iter().product();
            let std = if t.shape.len() == 1 { 0.0 } else { (2.0 / fan_in as f32).sqrt() };
            t.values
                .iter()
                .map(|_| {
                    std * {
                        let x: f32 = StandardNormal.sample(&mut rng);
                        x
                    }
                })
                .collect()
        });
        let tensors: Vec<Vec<f32>> = tensors.collect();
        net.set_tensors(&tensors).expect("the shapes are its own");
        Ok(net)
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
                Step::Conv { out, .. } | Step::Pool { out, .. } => Some(*out),
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

    /// Output `[row][value]` for `x` = `[row][channel][line][column]`. With `dropout`, its seed, as in training.
    pub fn forward<'a>(&self, x: &[f32], tape: &'a mut Tape, dropout: Option<u64>) -> &'a [f32] {
        let n = self.input.len();
        assert!(x.len().is_multiple_of(n), "whole examples of {n} values");
        let rows = x.len() / n;
        tape.rows = rows;
        tape.examples.resize_with(rows, Vec::new);
        tape.values.resize_with(self.steps.len() - self.local + 1, Vec::new);
        let width = self.last_maps().stored();
        let mut features = std::mem::take(&mut tape.values[0]);
        features.resize(rows * width, 0.0);
        (tape.examples.par_iter_mut(), x.par_chunks_exact(n), features.par_chunks_exact_mut(width))
            .into_par_iter()
            .for_each(|(maps, x, out)| self.forward_maps(x, maps, out));
        tape.values[0] = features;
        self.forward_dense(tape, dropout);
        tape.values.last().expect("there is a dense layer")
    }

    fn forward_maps(&self, x: &[f32], maps: &mut Vec<Maps>, out: &mut [f32]) {
        maps.resize_with(self.local + 1, Maps::default);
        maps[0].reset(self.input, self.border(0, self.input));
        maps[0].fill_planes(x);
        for (i, step) in self.steps[..self.local].iter().enumerate() {
            let (before, after) = maps.split_at_mut(i + 1);
            let (x, y) = (&before[i], &mut after[0]);
            match step {
                Step::Conv { conv, slope, out, at } => {
                    y.reset(*out, self.border(i + 1, *out));
                    let (w, b) = self.weights[*at..].split_at(conv.weights());
                    conv.forward(self.isa, x, w, &b[..conv.biases()], y, Epilogue { slope: Some(*slope), ..Epilogue::default() }, false);
                }
                Step::Pool { pool, out } => {
                    y.reset(*out, self.border(i + 1, *out));
                    pool.forward(x, y);
                }
                _ => unreachable!("the first steps work on maps"),
            }
        }
        maps[self.local].copy_stored(out);
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
        let local_weights = steps.iter().map(|s| if let Step::Conv { conv, .. } = s { conv.weights() + conv.biases() } else { 0 }).sum();
        let width = self.last_maps().stored();
        let per = tape.rows.div_ceil(CHUNKS).max(1);
        tape.chunks.resize_with(tape.rows.div_ceil(per), Chunk::default);
        let (examples, transposed) = (&tape.examples, &tape.transposed);
        tape.chunks.par_iter_mut().enumerate().for_each(|(c, chunk)| {
            chunk.weights.clear();
            chunk.weights.resize(local_weights, 0.0);
            for row in c * per..((c + 1) * per).min(tape.rows) {
                self.backward_example(&examples[row], &d[row * width..(row + 1) * width], transposed, chunk);
            }
        });
        let chunks = &tape.chunks;
        grad[..local_weights].par_chunks_mut(1 << 12).enumerate().for_each(|(i, g)| {
            g.fill(0.0);
            for c in chunks {
                g.iter_mut().zip(&c.weights[i << 12..]).for_each(|(g, w)| *g += w);
            }
        });
    }

    fn backward_example(&self, maps: &[Maps], d: &[f32], transposed: &[Vec<f32>], chunk: &mut Chunk) {
        let steps = &self.steps[..self.local];
        chunk.maps.resize_with(self.local + 1, Maps::default);
        // Gradients of maps i need the border that the adjoint of step i − 1 reads.
        let border = |i: usize| match steps[i - 1] {
            Step::Conv { conv, out, .. } => conv.adjoint().border(out, maps[i - 1].shape()),
            _ => (0, 0),
        };
        let last = self.local;
        chunk.maps[last].reset(maps[last].shape(), border(last));
        chunk.maps[last].fill_stored(d);
        if let Step::Conv { slope, .. } = steps[last - 1] {
            mask(&mut chunk.maps[last], &maps[last], slope);
        }
        for (i, step) in steps.iter().enumerate().rev() {
            let (before, after) = chunk.maps.split_at_mut(i + 1);
            let (dx, dy) = (&mut before[i], &after[0]);
            // Slope of the activation that made the input of this step.
            let slope = match i.checked_sub(1).map(|j| steps[j]) {
                Some(Step::Conv { slope, .. }) => slope,
                _ => 1.0,
            };
            match step {
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
            let mut push = |what: &str, shape: Vec<usize>, values| out.push(Tensor { name: format!("{i}.{what}"), shape, values });
            match s {
                Step::Conv { conv, at, .. } => {
                    let (w, b) = self.weights[*at..].split_at(conv.weights());
                    push("weight", vec![conv.filters, conv.channels, conv.kernel.0, conv.kernel.1], conv.unpack(w));
                    push("bias", vec![conv.filters], b[..conv.filters].to_vec());
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
    pub shape: Vec<usize>,
    pub values: Vec<f32>,
}

fn mask(d: &mut Maps, y: &Maps, slope: f32) {
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
