//! Networks of convolutions, pooling and dense layers as lists, with hand-written gradients.
//!
//! A [`Network`] is its list of [`Layer`]s and one vector of weights, so an optimiser makes one
//! pass. Feature maps are computed example by example, to stay in the cache, dense layers for the
//! batch at once. Sums over a batch are taken in a fixed order: the same seed gives the same
//! weights on any number of threads. [`Layer::Join`] makes one row of several examples (views of
//! one object), and [`Symmetry`] ties weights so that maps turn with the image.

use serde::{Deserialize, Serialize};

use plan::{MOST, Plan};

use crate::conv::Conv;
use crate::dense;
use crate::lanes::Isa;
use crate::maps::Shape;
use crate::pool::MaxPool;
use crate::response::Response;

mod backward;
mod flat;
mod forward;
mod init;
mod plan;
mod skip;
mod symmetry;
mod tensors;

pub(crate) use flat::Flat;
pub use forward::Tape;
pub use init::Init;
pub use symmetry::{Symmetry, turn};
pub use tensors::Tensor;

/// One layer. `slope` is that of a leaky ReLU after it: 0 is a ReLU, 1 none.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "layer", rename_all = "lowercase")]
#[expect(missing_docs, reason = "the line above each says what its fields are")]
pub enum Layer {
    /// Filters of `kernel` (rows, columns); `same` keeps the size of the maps. Of `groups` of
    /// filters, each sees its own group of channels.
    Conv {
        filters: usize,
        kernel: (usize, usize),
        same: bool,
        slope: f32,
        #[serde(default = "one", skip_serializing_if = "is_one")]
        groups: usize,
    },
    /// See [`MaxPool`].
    MaxPool {
        size: usize,
        stride: usize,
        same: bool,
    },
    /// Batch normalisation of maps ([`crate::norm`]); running means keep `momentum` of themselves
    /// at each step.
    BatchNorm { momentum: f32, eps: f32 },
    /// Squares of `size × size` pixels become channels; at the start only. A convolution of stride
    /// `size` is one of stride 1 after it.
    SpaceToDepth { size: usize },
    /// Zeros around the maps; at the start only.
    Pad { border: usize },
    /// Local response normalisation across channels ([`crate::response`]).
    Response { size: usize, alpha: f32, beta: f32 },
    /// Joins the maps of layer `from` of the list, added (a residual connection, `slope` that of a
    /// leaky ReLU after it) or as more channels (`concat`, as in a U-Net).
    Skip {
        from: usize,
        concat: bool,
        slope: f32,
    },
    /// Each pixel becomes `factor × factor` pixels.
    Upsample { factor: usize },
    /// Mean of each map.
    GlobalMean,
    /// Mean of each map where the largest value of the input's channel `channel` around a pixel is
    /// positive: for series with gaps.
    MaskedMean { channel: usize },
    /// The first `channels` maps as an image `[channel][row][column]`: the end of a network whose
    /// output is one.
    Planes { channels: usize },
    /// What flows through here is the embedding
    /// ([`crate::predictor::Predictor::predict_with_embedding`]).
    Tap,
    /// The maps of `views` examples in a row become one row: one after the other, or their mean.
    Join { views: usize, mean: bool },
    /// Largest of each `pieces` neighbouring units (Goodfellow et al. 2013).
    Maxout { pieces: usize },
    /// All inputs to each of `units`; the first one flattens the maps.
    Dense { units: usize, slope: f32 },
    /// In training, drops inputs of the next dense layer at this rate and scales up the others.
    Dropout { rate: f32 },
}

fn one() -> usize {
    1
}
fn is_one(n: &usize) -> bool {
    *n == 1
}

impl Layer {
    /// A convolution in one group.
    pub fn conv(filters: usize, kernel: (usize, usize), same: bool, slope: f32) -> Layer {
        Layer::Conv {
            filters,
            kernel,
            same,
            slope,
            groups: 1,
        }
    }

    /// Works on maps.
    fn local(&self) -> bool {
        matches!(
            self,
            Layer::Conv { .. }
                | Layer::MaxPool { .. }
                | Layer::BatchNorm { .. }
                | Layer::SpaceToDepth { .. }
                | Layer::Pad { .. }
                | Layer::Response { .. }
                | Layer::Skip { .. }
                | Layer::Upsample { .. }
        )
    }
}

/// A list of layers that cannot be built.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("layer {index} ({layer:?}): {why}")]
pub struct BadNetwork {
    /// Place of the layer, from 0.
    pub index: usize,
    /// The layer that does not fit.
    pub layer: Layer,
    /// What was expected.
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
        groups: usize,
    },
    Pool {
        pool: MaxPool,
        out: Shape,
    },
    Unfold {
        size: usize,
        out: Shape,
    },
    Pad {
        border: usize,
        out: Shape,
    },
    Response {
        response: Response,
        out: Shape,
    },
    /// `from` counts maps: 0 is the input.
    Skip {
        from: usize,
        concat: bool,
        slope: f32,
        out: Shape,
    },
    Upsample {
        factor: usize,
        out: Shape,
    },
    /// γ, then β, of each channel lie at `at`; mean and variance at `running` of
    /// [`Network::running`].
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
    Flat(Flat),
}

/// A network and its weights.
#[derive(Clone, Debug)]
pub struct Network {
    /// Of one example, or of one view of it.
    pub input: Shape,
    /// As the network was made of.
    pub layers: Vec<Layer>,
    /// Weights and biases of all layers in order, in the order the kernels want.
    pub weights: Vec<f32>,
    /// Running means of the batch normalisations in order: mean, then variance, of each channel.
    pub running: Vec<f32>,
    pub(crate) steps: Vec<Step>,
    /// Number of leading steps that work on maps.
    pub(crate) local: usize,
    pub(crate) isa: Isa,
    /// Values that come out for a row.
    outputs: usize,
    /// Indices of weights that are equal, in sets of `tied.0`; and of weights that stay zero.
    tied: (usize, Vec<u32>),
    zero: Vec<u32>,
    symmetry: Option<Symmetry>,
}

/// Parts that a batch is cut into for the gradients of convolutions.
const CHUNKS: usize = 16;

impl Network {
    /// Random weights (He et al. 2015), zero biases.
    ///
    /// # Errors
    /// Layers that do not fit together.
    pub fn new(input: Shape, layers: &[Layer], seed: u64) -> Result<Self, BadNetwork> {
        let plan = Plan::new(input, layers)?;
        let outputs = plan.values();
        let Plan {
            steps,
            local,
            weights: n,
            running,
            ..
        } = plan;
        let isa = Isa::best();
        let (weights, running, layers) = (vec![0.0; n], vec![0.0; running], layers.to_vec());
        let mut net = Network {
            input,
            layers,
            weights,
            running,
            steps,
            local,
            isa,
            outputs,
            tied: (1, vec![]),
            zero: vec![],
            symmetry: None,
        };
        net.zero = net.between_groups();
        net.initialise(Init::He, seed);
        Ok(net)
    }

    /// Examples that make one row.
    pub fn views(&self) -> usize {
        let join = self.steps.iter().find_map(|s| {
            if let Step::Flat(Flat::Join { views, .. }) = s {
                Some(*views)
            } else {
                None
            }
        });
        join.unwrap_or(1)
    }

    /// Takes the statistics of the last batch into the running means; the variance without bias, as
    /// its sample's.
    pub fn update_running(&mut self, tape: &Tape) {
        for (i, s) in self.steps.iter().enumerate() {
            let Step::Norm {
                out,
                momentum,
                running,
                ..
            } = *s
            else {
                continue;
            };
            let Some(batch) = tape.norms.get(i).filter(|b| b.of_batch) else {
                continue;
            };
            let n = (tape.rows * out.height * out.width) as f32;
            let (mean, variance) =
                self.running[running..][..2 * out.channels].split_at_mut(out.channels);
            mean.iter_mut()
                .zip(&batch.mean)
                .for_each(|(r, b)| *r = momentum * *r + (1.0 - momentum) * b);
            let unbiased = n / (n - 1.0).max(1.0);
            variance
                .iter_mut()
                .zip(&batch.variance)
                .for_each(|(r, b)| *r = momentum * *r + (1.0 - momentum) * b * unbiased);
            if let Some(s) = self.symmetry {
                s.average(mean, variance);
            }
        }
    }

    /// Place in [`Network::weights`] of the weights (without biases) of layer `i` of the list.
    pub fn weights_of(&self, i: usize) -> std::ops::Range<usize> {
        match self.steps[i] {
            Step::Conv { conv, at, .. } => at..at + conv.weights(),
            Step::Dense {
                inputs, units, at, ..
            } => at..at + dense::panels_len(inputs, units),
            Step::Norm { out, at, .. } => at..at + out.channels,
            _ => 0..0,
        }
    }

    /// Number of classes or values that come out.
    pub fn outputs(&self) -> usize {
        self.outputs
    }

    /// Multiply-adds × 2 of the forward pass of one row (all its views), without filled-up
    /// channels.
    pub fn flop(&self) -> usize {
        let cost = |s: &Step| match s {
            Step::Conv {
                conv, out, groups, ..
            } => {
                2 * self.views() * out.len() * conv.channels * conv.kernel.0 * conv.kernel.1
                    / groups
            }
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
            .find_map(Step::shape)
            .unwrap_or(self.input)
    }

    /// Border that the maps before step `i` need, for what reads them.
    pub(crate) fn border(&self, i: usize, shape: Shape) -> (usize, usize) {
        match self.steps.get(i) {
            Some(Step::Conv { conv, out, .. }) => conv.border(shape, *out),
            _ => (0, 0),
        }
    }
}

impl Step {
    /// Of the maps that come out.
    pub(crate) fn shape(&self) -> Option<Shape> {
        match self {
            Step::Conv { out, .. }
            | Step::Pool { out, .. }
            | Step::Norm { out, .. }
            | Step::Unfold { out, .. }
            | Step::Pad { out, .. }
            | Step::Response { out, .. }
            | Step::Skip { out, .. }
            | Step::Upsample { out, .. } => Some(*out),
            _ => None,
        }
    }

    /// Weights and biases of a local step.
    fn weights(&self) -> usize {
        match self {
            Step::Conv { conv, .. } => conv.weights() + conv.biases(),
            Step::Norm { out, .. } => 2 * out.channels,
            _ => 0,
        }
    }
}

#[cfg(test)]
mod tests;
#[cfg(test)]
mod tests_joins;
