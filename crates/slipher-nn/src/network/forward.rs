//! The forward pass of a [`Network`].

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;

use super::{Flat, Network, Step, skip};
use crate::conv::Epilogue;
use crate::dense;
use crate::maps::{Maps, pad, unfold};
use crate::norm::{self, Statistics};
use crate::pool::Value;

/// What a forward pass leaves for the backward pass; reused from batch to batch.
#[derive(Default)]
pub struct Tape {
    pub(super) rows: usize,
    pub(super) examples: Vec<Vec<Maps>>,
    /// Input of the dense part, then the output of each of its steps, `[row][value]`.
    pub(super) values: Vec<Vec<f32>>,
    pub(super) keep: Vec<Vec<f32>>,
    pub(super) chunks: Vec<Chunk>,
    pub(super) transposed: Vec<Vec<f32>>,
    /// Statistics of each normalisation, by step.
    pub(super) norms: Vec<Statistics>,
    /// Sums of each example for the next normalisation.
    pub(super) sums: Vec<Vec<f32>>,
    /// Gradient of each example at the output of the normalisation that a backward pass has
    /// reached.
    pub(super) boundary: Vec<Maps>,
    /// Gradients that skip connections carry back, by example and maps.
    pub(super) skips: Vec<Vec<Maps>>,
    pub(super) gradients: [Vec<f32>; 2],
    pub(super) buffers: dense::Buffers,
}

#[derive(Default)]
pub(super) struct Chunk {
    pub(super) maps: Vec<Maps>,
    pub(super) weights: Vec<f32>,
}

impl Network {
    /// Parts of the local steps that examples pass alone; each but the first begins with a
    /// normalisation.
    pub(super) fn segments(&self) -> Vec<std::ops::Range<usize>> {
        let mut cuts: Vec<usize> = (1..self.local)
            .filter(|i| matches!(self.steps[*i], Step::Norm { .. }))
            .collect();
        cuts.insert(0, 0);
        cuts.push(self.local);
        cuts.windows(2).map(|w| w[0]..w[1]).collect()
    }

    /// Output `[row][value]` for `x` = `[row][view][channel][line][column]`. With `training`, a
    /// seed, layers drop out and normalise by the batch; without, by the running means.
    pub fn forward<'a>(&self, x: &[f32], tape: &'a mut Tape, training: Option<u64>) -> &'a [f32] {
        let n = self.input.len();
        assert!(
            x.len().is_multiple_of(n * self.views()),
            "whole rows of {} examples of {n} values",
            self.views()
        );
        let rows = x.len() / n;
        tape.rows = rows;
        tape.examples.resize_with(rows, Vec::new);
        tape.sums.resize_with(rows, Vec::new);
        tape.norms.resize_with(self.local, Statistics::default);
        tape.values
            .resize_with(self.steps.len() - self.local + 1, Vec::new);
        let width = self.last_maps().stored();
        let mut features = std::mem::take(&mut tape.values[0]);
        features.resize(rows * width, 0.0);
        for segment in self.segments() {
            if let Step::Norm {
                out, eps, running, ..
            } = self
                .steps
                .get(segment.start)
                .copied()
                .unwrap_or(Step::Dropout { rate: 0.0 })
            {
                let (mean, variance) =
                    self.running[running..][..2 * out.channels].split_at(out.channels);
                let count = rows * out.height * out.width;
                let batch = training.is_some();
                tape.norms[segment.start] = if batch {
                    Statistics::of(&tape.sums, count, eps)
                } else {
                    Statistics::fixed(mean, variance, eps)
                };
            }
            let norms = &tape.norms;
            (
                tape.examples.par_iter_mut(),
                &mut tape.sums,
                x.par_chunks_exact(n),
                features.par_chunks_exact_mut(width),
            )
                .into_par_iter()
                .for_each(|(maps, sums, x, out)| {
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
                });
        }
        tape.values[0] = features;
        self.forward_dense(x, tape, training);
        tape.values.last().expect("there is a dense layer")
    }

    fn forward_maps(
        &self,
        segment: std::ops::Range<usize>,
        maps: &mut [Maps],
        norms: &[Statistics],
    ) {
        for i in segment {
            let (before, after) = maps.split_at_mut(i + 1);
            let (x, y) = (&before[i], &mut after[0]);
            let step = &self.steps[i];
            let out = step.shape().expect("the first steps work on maps");
            y.reset(out, self.border(i + 1, out));
            match *step {
                Step::Conv {
                    conv, slope, at, ..
                } => {
                    let (w, b) = self.weights[at..].split_at(conv.weights());
                    let then = Epilogue::leaky(slope);
                    conv.forward(self.isa, x, w, &b[..conv.biases()], y, then, false);
                }
                Step::Norm { out, at, .. } => {
                    let (scale, shift) = self.affine(at, out.channels, &norms[i]);
                    norm::forward(x, &scale, &shift, y);
                }
                _ => step.on_maps(before, y),
            }
        }
    }

    pub(super) fn affine(
        &self,
        at: usize,
        channels: usize,
        s: &Statistics,
    ) -> (Vec<f32>, Vec<f32>) {
        let (gamma, beta) = self.weights[at..at + 2 * channels].split_at(channels);
        s.affine(gamma, beta)
    }

    fn forward_dense(&self, input: &[f32], tape: &mut Tape, dropout: Option<u64>) {
        tape.keep.resize_with(self.steps.len(), Vec::new);
        for (i, step) in self.steps[self.local..].iter().enumerate() {
            let (before, after) = tape.values.split_at_mut(i + 1);
            let (x, y) = (&before[i], &mut after[0]);
            match step {
                Step::Flat(f @ Flat::MaskedMean { .. }) => {
                    let weights = &mut tape.keep[i];
                    f.weights(input, weights);
                    f.masked(x, weights, y);
                }
                Step::Flat(f) => f.forward(x, y),
                Step::Dense {
                    inputs,
                    units,
                    slope,
                    at,
                } => {
                    y.resize(x.len() / inputs * units, 0.0);
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
                        keep.extend(
                            x.iter()
                                .map(|_| if rng.random::<f32>() < *rate { 0.0 } else { up }),
                        );
                        y.iter_mut().zip(keep).for_each(|(v, k)| *v *= *k);
                    }
                }
                _ => unreachable!("maps end where the dense part begins"),
            }
        }
    }
}

impl Step {
    /// The steps without weights: from the last of the maps that are there to `y`, which has its
    /// shape already.
    pub(crate) fn on_maps<E: Value>(&self, before: &[Maps<E>], y: &mut Maps<E>) {
        let x = before.last().expect("maps begin with the input");
        match *self {
            Step::Pool { pool, .. } => pool.forward(x, y),
            Step::Unfold { size, .. } => unfold(x, size, y),
            Step::Pad { border, .. } => pad(x, border, y),
            Step::Response { response, .. } => response.forward(x, y),
            Step::Skip {
                from,
                concat,
                slope,
                ..
            } => skip::join(x, &before[from], concat, slope, y),
            Step::Upsample { factor, .. } => skip::upsample(x, factor, y),
            _ => unreachable!("a step with weights, or on rows"),
        }
    }
}
