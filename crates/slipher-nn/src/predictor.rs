//! Prediction with a trained [`Network`]: weights packed once, nothing kept for gradients, single
//! or half precision.

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::conv::{Conv, Epilogue};
use crate::dense::{Buffers, Packed, panels_len};
use crate::lanes::{Isa, WIDTH};
use crate::maps::{Maps, Shape, pad, unfold};
use crate::network::{self, Network, Step};
use crate::norm::{self, Statistics};
use crate::object_pool::ObjectPool;
use crate::pool::MaxPool;
use crate::response::Response;
use crate::tile;

/// Arithmetic of a prediction; sums are always in `f32`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Precision {
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

enum Stage {
    Conv {
        conv: Conv,
        slope: f32,
        out: Shape,
        border: (usize, usize),
        weights: Vec<f32>,
        pairs: Vec<u32>,
        bias: Vec<f32>,
    },
    Pool {
        pool: MaxPool,
        out: Shape,
        border: (usize, usize),
    },
    Norm {
        scale: Vec<f32>,
        shift: Vec<f32>,
        out: Shape,
        border: (usize, usize),
    },
    Unfold {
        size: usize,
        out: Shape,
        border: (usize, usize),
    },
    Pad {
        by: usize,
        out: Shape,
        border: (usize, usize),
    },
    Response {
        response: Response,
        out: Shape,
        border: (usize, usize),
    },
    Skip {
        from: usize,
        concat: bool,
        slope: f32,
        out: Shape,
        border: (usize, usize),
    },
    Upsample {
        factor: usize,
        out: Shape,
        border: (usize, usize),
    },
    Flat(network::Flat),
    Dense {
        packed: Packed,
        slope: f32,
    },
}

/// A network ready to predict.
pub struct Predictor {
    input: Shape,
    border: (usize, usize),
    features: usize,
    outputs: usize,
    views: usize,
    stages: Vec<Stage>,
    local: usize,
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

#[derive(Default)]
struct Scratch {
    single: Vec<Maps>,
    half: Vec<Maps<u16>>,
}

/// Examples whose features are gathered before the dense layers see them.
const BLOCK: usize = 128;

impl Predictor {
    /// Packs the weights of `net`; `precision` falls back to `f32` where the processor must.
    pub fn new(net: &Network, precision: Precision) -> Self {
        let precision = precision.available();
        let half = precision == Precision::Bf16;
        let mut stages = Vec::new();
        for (i, step) in net.steps.iter().enumerate() {
            match *step {
                Step::Conv {
                    conv,
                    slope,
                    out,
                    at,
                    ..
                } => {
                    let (w, b) = net.weights[at..].split_at(conv.weights());
                    // A narrow input (one flux, five bands) is not worth rounding.
                    let narrow = !conv.channels.is_multiple_of(WIDTH);
                    let pairs = if half && !narrow {
                        conv.pack_bf16(w)
                    } else {
                        vec![]
                    };
                    let bias = b[..conv.biases()].to_vec();
                    stages.push(Stage::Conv {
                        conv,
                        slope,
                        out,
                        border: net.border(i + 1, out),
                        weights: w.to_vec(),
                        pairs,
                        bias,
                    });
                }
                Step::Pool { pool, out } => stages.push(Stage::Pool {
                    pool,
                    out,
                    border: net.border(i + 1, out),
                }),
                Step::Norm {
                    out,
                    eps,
                    at,
                    running,
                    ..
                } => {
                    let (mean, variance) =
                        net.running[running..running + 2 * out.channels].split_at(out.channels);
                    let (gamma, beta) =
                        net.weights[at..at + 2 * out.channels].split_at(out.channels);
                    let (scale, shift) = Statistics::fixed(mean, variance, eps).affine(gamma, beta);
                    stages.push(Stage::Norm {
                        scale,
                        shift,
                        out,
                        border: net.border(i + 1, out),
                    });
                }
                Step::Dense {
                    inputs,
                    units,
                    slope,
                    at,
                } => {
                    let (w, b) = net.weights[at..].split_at(panels_len(inputs, units));
                    stages.push(Stage::Dense {
                        packed: Packed::new(w, &b[..units], half),
                        slope,
                    });
                }
                Step::Unfold { size, out } => stages.push(Stage::Unfold {
                    size,
                    out,
                    border: net.border(i + 1, out),
                }),
                Step::Pad { border, out } => stages.push(Stage::Pad {
                    by: border,
                    out,
                    border: net.border(i + 1, out),
                }),
                Step::Response { response, out } => stages.push(Stage::Response {
                    response,
                    out,
                    border: net.border(i + 1, out),
                }),
                Step::Skip {
                    from,
                    concat,
                    slope,
                    out,
                } => {
                    let border = net.border(i + 1, out);
                    stages.push(Stage::Skip {
                        from,
                        concat,
                        slope,
                        out,
                        border,
                    });
                }
                Step::Upsample { factor, out } => {
                    stages.push(Stage::Upsample {
                        factor,
                        out,
                        border: net.border(i + 1, out),
                    });
                }
                Step::Flat(f) => stages.push(Stage::Flat(f)),
                Step::Dropout { .. } => {}
            }
        }
        Predictor {
            input: net.input,
            border: net.border(0, net.input),
            features: net.last_maps().stored(),
            outputs: net.outputs(),
            views: net.views(),
            stages,
            local: net.local,
            isa: net.isa,
            precision,
            scratch: ObjectPool::default(),
            flat: ObjectPool::default(),
        }
    }

    pub fn precision(&self) -> Precision {
        self.precision
    }
    /// Values that come out for one example.
    pub fn outputs(&self) -> usize {
        self.outputs
    }

    /// Output `[row][value]` for `x` = `[row][view][channel][line][column]`.
    pub fn predict(&self, x: &[f32]) -> Vec<f32> {
        self.run(x, &mut Vec::new())
    }

    /// The same, and the values at [`network::Layer::Tap`], `[row][value]`; none without such a
    /// layer.
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
            for stage in &self.stages[self.local..] {
                match stage {
                    Stage::Dense { packed, slope } => {
                        flat.values.resize(
                            flat.features.len() / packed.inputs() * packed.outputs(),
                            0.0,
                        );
                        packed.forward(
                            self.isa,
                            &flat.features,
                            *slope,
                            &mut flat.values,
                            &mut flat.buffers,
                        );
                    }
                    Stage::Flat(f @ network::Flat::MaskedMean { .. }) => {
                        f.weights(block, &mut flat.weights);
                        f.masked(&flat.features, &flat.weights, &mut flat.values);
                    }
                    Stage::Flat(network::Flat::Tap) => {
                        embedding.extend_from_slice(&flat.features);
                        continue;
                    }
                    Stage::Flat(f) => f.forward(&flat.features, &mut flat.values),
                    _ => unreachable!("maps end where the dense part begins"),
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
        scratch.single.resize_with(self.local + 1, Maps::default);
        scratch.half.resize_with(self.local + 1, Maps::default);
        scratch.single[0].reset(self.input, self.border);
        scratch.single[0].fill_planes(x);
        let mut wide = true;
        for (i, stage) in self.stages[..self.local].iter().enumerate() {
            let (before, after) = scratch.single.split_at_mut(i + 1);
            let (before16, after16) = scratch.half.split_at_mut(i + 1);
            match stage {
                Stage::Conv {
                    conv,
                    slope,
                    out,
                    border,
                    weights,
                    pairs,
                    bias,
                } => {
                    if pairs.is_empty() {
                        after[0].reset(*out, *border);
                        let then = Epilogue {
                            slope: Some(*slope),
                            ..Epilogue::default()
                        };
                        conv.forward(
                            self.isa,
                            &before[i],
                            weights,
                            bias,
                            &mut after[0],
                            then,
                            parallel,
                        );
                        if self.precision == Precision::Bf16 {
                            after16[0].round_from(&after[0]);
                            wide = false;
                        }
                    } else {
                        if wide {
                            before16[i].round_from(&before[i]);
                            wide = false;
                        }
                        after16[0].reset(*out, *border);
                        #[cfg(target_arch = "x86_64")]
                        conv.forward_bf16(
                            &before16[i],
                            pairs,
                            bias,
                            &mut after16[0],
                            Epilogue {
                                slope: Some(*slope),
                                ..Epilogue::default()
                            },
                            parallel,
                        );
                    }
                }
                Stage::Pool { pool, out, border } => {
                    if wide {
                        after[0].reset(*out, *border);
                        pool.forward(&before[i], &mut after[0]);
                    } else {
                        after16[0].reset(*out, *border);
                        pool.forward(&before16[i], &mut after16[0]);
                    }
                }
                Stage::Norm {
                    scale,
                    shift,
                    out,
                    border,
                } => {
                    if wide {
                        after[0].reset(*out, *border);
                        norm::forward(&before[i], scale, shift, &mut after[0]);
                    } else {
                        after16[0].reset(*out, *border);
                        norm::forward(&before16[i], scale, shift, &mut after16[0]);
                    }
                }
                Stage::Unfold { size, out, border } => {
                    after[0].reset(*out, *border);
                    unfold(&before[i], *size, &mut after[0]);
                }
                Stage::Pad { by, out, border } => {
                    after[0].reset(*out, *border);
                    pad(&before[i], *by, &mut after[0]);
                }
                Stage::Response {
                    response,
                    out,
                    border,
                } => {
                    if wide {
                        after[0].reset(*out, *border);
                        response.forward(&before[i], &mut after[0]);
                    } else {
                        after16[0].reset(*out, *border);
                        response.forward(&before16[i], &mut after16[0]);
                    }
                }
                Stage::Skip {
                    from,
                    concat,
                    slope,
                    out,
                    border,
                } => {
                    if wide {
                        after[0].reset(*out, *border);
                        network::join(&before[i], &before[*from], *concat, *slope, &mut after[0]);
                    } else {
                        after16[0].reset(*out, *border);
                        let other = &before16[*from];
                        network::join(&before16[i], other, *concat, *slope, &mut after16[0]);
                    }
                }
                Stage::Upsample {
                    factor,
                    out,
                    border,
                } => {
                    if wide {
                        after[0].reset(*out, *border);
                        network::upsample(&before[i], *factor, &mut after[0]);
                    } else {
                        after16[0].reset(*out, *border);
                        network::upsample(&before16[i], *factor, &mut after16[0]);
                    }
                }
                Stage::Dense { .. } | Stage::Flat(_) => {
                    unreachable!("the first stages work on maps")
                }
            }
        }
        if wide {
            scratch.single[self.local].copy_stored(out);
        } else {
            let last = &scratch.half[self.local];
            let n = last.shape().width * WIDTH;
            for (r, o) in out.chunks_exact_mut(n).enumerate() {
                o.iter_mut()
                    .zip(last.row(r / last.shape().height, r % last.shape().height))
                    .for_each(|(o, v)| *o = tile::from_bf16(*v));
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
