//! Prediction with a trained [`Network`]: weights packed once, nothing kept for gradients, single
//! or half precision.

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::conv::Epilogue;
use crate::dense::{Buffers, Packed, panels_len};
use crate::lanes::{Isa, WIDTH};
use crate::maps::{Maps, Shape};
use crate::network::{self, Network, Step};
use crate::norm::{self, Statistics};
use crate::object_pool::ObjectPool;
use crate::tile;

/// Arithmetic of a prediction; sums are always in `f32`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Precision {
    /// Single precision.
    #[default]
    F32,
    /// Products of 8-bit mantissas, twice as many a second, where the processor has `avx512_bf16`.
    Bf16,
}

impl Precision {
    /// This, or `F32` where the processor has no `bf16`.
    pub fn available(self) -> Precision {
        if tile::has_bf16() {
            self
        } else {
            Precision::F32
        }
    }
}

/// A step on maps, with its weights packed and the border that the next step reads.
struct MapStage {
    step: Step,
    out: Shape,
    border: (usize, usize),
    packed: Weights,
}

enum Weights {
    None,
    Conv {
        weights: Vec<f32>,
        /// Rounded, in pairs; empty where the convolution runs in single precision.
        pairs: Vec<u32>,
        bias: Vec<f32>,
    },
    Norm {
        scale: Vec<f32>,
        shift: Vec<f32>,
    },
}

/// A step on rows of values.
enum RowStage {
    Flat(network::Flat),
    Dense { packed: Packed, slope: f32 },
}

/// A network ready to predict.
pub struct Predictor {
    input: Shape,
    border: (usize, usize),
    features: usize,
    outputs: usize,
    views: usize,
    maps: Vec<MapStage>,
    rows: Vec<RowStage>,
    /// The step whose input is the embedding.
    embedded: Option<usize>,
    isa: Isa,
    precision: Precision,
    scratch: ObjectPool<Scratch>,
    flat: ObjectPool<Flat>,
}

/// Buffers of the dense part.
#[derive(Default)]
struct Flat {
    features: Vec<f32>,
    values: Vec<f32>,
    /// Of masked means.
    weights: Vec<f32>,
    buffers: Buffers,
}

/// Maps of one example, of the input and after each step, in the precisions that were asked for.
#[derive(Default)]
struct Scratch {
    single: Vec<Maps>,
    half: Vec<Maps<u16>>,
    /// Whether the maps of (single, half) precision hold this example.
    filled: Vec<(bool, bool)>,
}

impl Scratch {
    fn begin(&mut self, maps: usize) {
        self.single.resize_with(maps, Maps::default);
        self.half.resize_with(maps, Maps::default);
        self.filled.clear();
        self.filled.resize(maps, (false, false));
    }
    /// Makes maps `i` there in half, else in single precision.
    fn need(&mut self, i: usize, half: bool) {
        match (half, self.filled[i]) {
            (true, (_, false)) => self.half[i].round_from(&self.single[i]),
            (false, (false, _)) => self.single[i].widen_from(&self.half[i]),
            _ => return,
        }
        self.filled[i] = (true, true);
    }
}

/// Examples whose features are gathered before the dense layers see them.
const BLOCK: usize = 128;

impl Predictor {
    /// Packs the weights of `net`; `precision` falls back to `f32` where the processor must.
    pub fn new(net: &Network, precision: Precision) -> Self {
        let precision = precision.available();
        let half = precision == Precision::Bf16;
        let (mut maps, mut rows) = (Vec::new(), Vec::new());
        for (i, step) in net.steps.iter().enumerate() {
            match *step {
                Step::Flat(f) => rows.push(RowStage::Flat(f)),
                Step::Dropout { .. } => {}
                Step::Dense {
                    inputs,
                    units,
                    slope,
                    at,
                } => {
                    let (w, b) = net.weights[at..].split_at(panels_len(inputs, units));
                    let packed = Packed::new(w, &b[..units], half);
                    rows.push(RowStage::Dense { packed, slope });
                }
                step => {
                    let out = step.shape().expect("the other steps make maps");
                    maps.push(MapStage {
                        step,
                        out,
                        border: net.border(i + 1, out),
                        packed: Weights::of(net, &step, half),
                    });
                }
            }
        }
        let tap = |s: &RowStage| matches!(s, RowStage::Flat(network::Flat::Tap));
        let dense = |s: &RowStage| matches!(s, RowStage::Dense { .. });
        let embedded = rows
            .iter()
            .position(tap)
            .or_else(|| rows.iter().rposition(dense));
        Predictor {
            embedded,
            input: net.input,
            border: net.border(0, net.input),
            features: net.last_maps().stored(),
            outputs: net.outputs(),
            views: net.views(),
            maps,
            rows,
            isa: net.isa,
            precision,
            scratch: ObjectPool::default(),
            flat: ObjectPool::default(),
        }
    }

    /// As it runs here, which may not be what was asked for.
    pub fn precision(&self) -> Precision {
        self.precision
    }
    /// Values that come out for one example.
    pub fn outputs(&self) -> usize {
        self.outputs
    }

    /// Values of an embedding; 0 for a network of maps only.
    pub fn embedding(&self) -> usize {
        let dense = |s: &RowStage| match s {
            RowStage::Dense { packed, .. } => Some(packed.inputs()),
            RowStage::Flat(_) => None,
        };
        let next = |i: usize| self.rows[i..].iter().find_map(dense);
        self.embedded.and_then(next).unwrap_or(0)
    }

    /// Output `[row][value]` for `x` = `[row][view][channel][line][column]`.
    pub fn predict(&self, x: &[f32]) -> Vec<f32> {
        self.run(x, &mut Vec::new())
    }

    /// The same, and the values at [`network::Layer::Tap`], `[row][value]`; without such a layer
    /// what goes into the last dense one.
    pub fn predict_with_embedding(&self, x: &[f32]) -> (Vec<f32>, Vec<f32>) {
        let mut embedding = Vec::new();
        (self.run(x, &mut embedding), embedding)
    }

    fn run(&self, x: &[f32], embedding: &mut Vec<f32>) -> Vec<f32> {
        let n = self.input.len();
        assert!(
            x.len().is_multiple_of(n * self.views),
            "whole rows of {} examples of {n} values",
            self.views
        );
        let mut out = Vec::with_capacity(x.len() / n / self.views * self.outputs);
        let mut flat = self.flat.get();
        let flat = &mut *flat;
        for block in x.chunks(BLOCK.next_multiple_of(self.views) * n) {
            let rows = block.len() / n;
            flat.features.resize(rows * self.features, 0.0);
            // Few examples: threads share each of them; many: each thread takes its own.
            if rows < rayon::current_num_threads() {
                for (x, to) in block
                    .chunks_exact(n)
                    .zip(flat.features.chunks_exact_mut(self.features))
                {
                    self.maps(x, to, true);
                }
            } else {
                block
                    .par_chunks_exact(n)
                    .zip(flat.features.par_chunks_exact_mut(self.features))
                    .for_each(|(x, to)| self.maps(x, to, false));
            }
            for (i, stage) in self.rows.iter().enumerate() {
                if self.embedded == Some(i) {
                    embedding.extend_from_slice(&flat.features);
                }
                match stage {
                    RowStage::Dense { packed, slope } => {
                        let rows = flat.features.len() / packed.inputs();
                        flat.values.resize(rows * packed.outputs(), 0.0);
                        packed.forward(
                            self.isa,
                            &flat.features,
                            *slope,
                            &mut flat.values,
                            &mut flat.buffers,
                        );
                    }
                    RowStage::Flat(f @ network::Flat::MaskedMean { .. }) => {
                        f.weights(block, &mut flat.weights);
                        f.masked(&flat.features, &flat.weights, &mut flat.values);
                    }
                    RowStage::Flat(network::Flat::Tap) => continue,
                    RowStage::Flat(f) => f.forward(&flat.features, &mut flat.values),
                }
                std::mem::swap(&mut flat.features, &mut flat.values);
            }
            out.extend_from_slice(&flat.features);
        }
        out
    }

    fn maps(&self, x: &[f32], out: &mut [f32], parallel: bool) {
        let mut scratch = self.scratch.get();
        let scratch = &mut *scratch;
        scratch.begin(self.maps.len() + 1);
        scratch.single[0].reset(self.input, self.border);
        scratch.single[0].fill_planes(x);
        scratch.filled[0].0 = true;
        for (i, stage) in self.maps.iter().enumerate() {
            stage.run(i, scratch, self.isa, parallel);
            // A convolution that is not worth rounding: what follows it is.
            if self.precision == Precision::Bf16 && matches!(stage.step, Step::Conv { .. }) {
                scratch.need(i + 1, true);
            }
        }
        let last = self.maps.len();
        if !scratch.filled[last].1 {
            return scratch.single[last].copy_stored(out);
        }
        let last = &scratch.half[last];
        let n = last.shape().width * WIDTH;
        for (r, o) in out.chunks_exact_mut(n).enumerate() {
            o.iter_mut()
                .zip(last.row(r / last.shape().height, r % last.shape().height))
                .for_each(|(o, v)| *o = tile::from_bf16(*v));
        }
    }
}

impl Weights {
    fn of(net: &Network, step: &Step, half: bool) -> Self {
        match *step {
            Step::Conv { conv, at, .. } => {
                let (w, b) = net.weights[at..].split_at(conv.weights());
                // A narrow input (one flux, five bands) is not worth rounding.
                let narrow = !conv.channels.is_multiple_of(WIDTH);
                Weights::Conv {
                    pairs: if half && !narrow {
                        conv.pack_bf16(w)
                    } else {
                        vec![]
                    },
                    weights: w.to_vec(),
                    bias: b[..conv.biases()].to_vec(),
                }
            }
            Step::Norm {
                out,
                eps,
                at,
                running,
                ..
            } => {
                let n = out.channels;
                let (mean, variance) = net.running[running..running + 2 * n].split_at(n);
                let (gamma, beta) = net.weights[at..at + 2 * n].split_at(n);
                let (scale, shift) = Statistics::fixed(mean, variance, eps).affine(gamma, beta);
                Weights::Norm { scale, shift }
            }
            _ => Weights::None,
        }
    }
}

impl MapStage {
    /// Maps `i` of an example to maps `i + 1`, in half precision where they are there so.
    fn run(&self, i: usize, scratch: &mut Scratch, isa: Isa, parallel: bool) {
        let half = match (&self.packed, self.step) {
            (Weights::Conv { pairs, .. }, _) => !pairs.is_empty(),
            // These turn the input into maps.
            (_, Step::Unfold { .. } | Step::Pad { .. }) => false,
            _ => scratch.filled[i].1,
        };
        scratch.need(i, half);
        if let Step::Skip { from, .. } = self.step {
            scratch.need(from, half);
        }
        scratch.filled[i + 1] = (!half, half);
        if half {
            let (before, after) = scratch.half.split_at_mut(i + 1);
            let y = &mut after[0];
            y.reset(self.out, self.border);
            match (&self.step, &self.packed) {
                #[cfg(target_arch = "x86_64")]
                (Step::Conv { conv, slope, .. }, Weights::Conv { pairs, bias, .. }) => conv
                    .forward_bf16(
                        &before[i],
                        pairs,
                        bias,
                        y,
                        Epilogue::leaky(*slope),
                        parallel,
                    ),
                (_, Weights::Norm { scale, shift }) => norm::forward(&before[i], scale, shift, y),
                (step, _) => step.on_maps(before, y),
            }
        } else {
            let (before, after) = scratch.single.split_at_mut(i + 1);
            let y = &mut after[0];
            y.reset(self.out, self.border);
            match (&self.step, &self.packed) {
                (Step::Conv { conv, slope, .. }, Weights::Conv { weights, bias, .. }) => {
                    let then = Epilogue::leaky(*slope);
                    conv.forward(isa, &before[i], weights, bias, y, then, parallel);
                }
                (_, Weights::Norm { scale, shift }) => norm::forward(&before[i], scale, shift, y),
                (step, _) => step.on_maps(before, y),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::network::{Layer, Tape};

    #[test]
    fn predicts_what_training_saw() {
        for (input, layers) in [
            (
                Shape::new(5, 20, 22),
                vec![
                    Layer::conv(32, (5, 5), false, 0.01),
                    Layer::MaxPool {
                        size: 2,
                        stride: 2,
                        same: false,
                    },
                    Layer::BatchNorm {
                        momentum: 0.5,
                        eps: 1e-3,
                    },
                    Layer::conv(16, (3, 3), true, 0.01),
                    Layer::Dense {
                        units: 65,
                        slope: 0.01,
                    },
                    Layer::Dropout { rate: 0.5 },
                    Layer::Dense {
                        units: 3,
                        slope: 1.0,
                    },
                ],
            ),
            (
                Shape::line(1, 90),
                vec![
                    Layer::conv(16, (1, 8), false, 0.0),
                    Layer::Dense {
                        units: 7,
                        slope: 1.0,
                    },
                ],
            ),
            (
                Shape::line(3, 5),
                vec![
                    Layer::Dense {
                        units: 33,
                        slope: 0.0,
                    },
                    Layer::Dense {
                        units: 2,
                        slope: 1.0,
                    },
                ],
            ),
        ] {
            let mut net = Network::new(input, &layers, 5).unwrap();
            net.running
                .iter_mut()
                .enumerate()
                .for_each(|(i, r)| *r = 0.3 + 0.01 * i as f32);
            for rows in [1, 3, 130] {
                let x: Vec<f32> = (0..rows * input.len())
                    .map(|i| (0.7 * i as f32).sin())
                    .collect();
                let mut tape = Tape::default();
                let want = net.forward(&x, &mut tape, None);
                for (precision, tolerance) in [(Precision::F32, 1e-4), (Precision::Bf16, 0.05)] {
                    let p = Predictor::new(&net, precision);
                    let got = p.predict(&x);
                    assert_eq!(got.len(), rows * p.outputs());
                    let worst = got
                        .iter()
                        .zip(want)
                        .map(|(a, b)| (a - b).abs() / (1.0 + b.abs()))
                        .fold(0.0, f32::max);
                    assert!(worst < tolerance, "{precision:?}: {worst}");
                }
            }
        }
    }
}
