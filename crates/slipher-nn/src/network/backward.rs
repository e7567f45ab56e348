//! The backward pass of a [`Network`]: gradients of all weights.

use rayon::prelude::*;

use super::forward::{Chunk, Tape};
use super::{CHUNKS, MOST, Network, Step};
use crate::conv::Epilogue;
use crate::dense;
use crate::maps::Maps;
use crate::norm::{self, Statistics};

impl Network {
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
                Step::Dense {
                    inputs,
                    units,
                    slope,
                    at,
                } => {
                    if *slope != 1.0 {
                        d.iter_mut()
                            .zip(y)
                            .for_each(|(d, y)| *d *= if *y > 0.0 { 1.0 } else { *slope });
                    }
                    let n = dense::panels_len(*inputs, *units);
                    let (dw, db) = grad[*at..].split_at_mut(n);
                    dense::grad_weights(self.isa, x, &d, dw, &mut db[..*units], &mut tape.buffers);
                    if i > 0 || self.local > 0 {
                        next.resize(d.len() / units * inputs, 0.0);
                        dense::grad_data(
                            self.isa,
                            &d,
                            &self.weights[*at..at + n],
                            *units,
                            &mut next,
                            &mut tape.buffers,
                        );
                        std::mem::swap(&mut d, &mut next);
                    }
                }
                Step::Flat(f) => {
                    f.backward(x, y, &d, &mut next);
                    std::mem::swap(&mut d, &mut next);
                }
                _ => d.iter_mut().zip(&tape.keep[i]).for_each(|(d, k)| *d *= k),
            }
        }
        if self.local > 0 {
            self.backward_maps(tape, &d, grad);
        }
        self.fold(grad);
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
        tape.chunks
            .resize_with(tape.rows.div_ceil(per), Chunk::default);
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
            let parts = (
                tape.chunks.par_iter_mut(),
                tape.boundary.par_chunks_mut(per),
                tape.sums.par_chunks_mut(per),
            )
                .into_par_iter()
                .enumerate();
            parts.for_each(|(c, (chunk, boundary, sums))| {
                for (i, (above, sums)) in boundary.iter_mut().zip(sums).enumerate() {
                    let row = c * per + i;
                    let from = if segment.end == self.local {
                        From::Features(&d[row * width..(row + 1) * width])
                    } else {
                        From::Norm {
                            above,
                            statistics: &norms[segment.end],
                            means: &means,
                        }
                    };
                    self.backward_example(segment.clone(), &examples[row], from, transposed, chunk);
                    if segment.start > 0 {
                        let (x, dy) = (
                            &examples[row][segment.start],
                            &chunk.maps[segment.start + 1],
                        );
                        norm::back_sums(x, dy, &norms[segment.start], sums);
                        above.clone_from(dy);
                    }
                }
            });
            if let (Step::Norm { out, .. }, true) = (steps[segment.start], segment.start > 0) {
                let totals = norm::totals(&tape.sums[..tape.rows]);
                let count = (tape.rows * out.height * out.width) as f64;
                let share = if tape.norms[segment.start].of_batch {
                    1.0 / count
                } else {
                    0.0
                };
                means = [&totals[0], &totals[1]]
                    .map(|t| t.iter().map(|v| (v * share) as f32).collect());
                // The bias takes Σ dy, the scale Σ dy · x̂; the first chunk carries them.
                let Step::Norm { at, .. } = steps[segment.start] else {
                    unreachable!()
                };
                let (scale, bias) =
                    tape.chunks[0].weights[at..at + 2 * out.channels].split_at_mut(out.channels);
                scale
                    .iter_mut()
                    .zip(&totals[1])
                    .for_each(|(g, t)| *g = *t as f32);
                bias.iter_mut()
                    .zip(&totals[0])
                    .for_each(|(g, t)| *g = *t as f32);
            }
        }
        let chunks = &tape.chunks;
        grad[..local_weights]
            .par_chunks_mut(1 << 12)
            .enumerate()
            .for_each(|(i, g)| {
                g.fill(0.0);
                for c in chunks {
                    g.iter_mut()
                        .zip(&c.weights[i << 12..])
                        .for_each(|(g, w)| *g += w);
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

    fn backward_example(
        &self,
        segment: std::ops::Range<usize>,
        maps: &[Maps],
        from: From,
        transposed: &[Vec<f32>],
        chunk: &mut Chunk,
    ) {
        let steps = &self.steps[..self.local];
        chunk.maps.resize_with(self.local + 1, Maps::default);
        // Gradients of maps i need the border that the adjoint of step i − 1 reads.
        let border = |i: usize| match i.checked_sub(1).map(|j| steps[j]) {
            Some(Step::Conv { conv, out, .. }) => conv.adjoint().border(out, maps[i - 1].shape()),
            _ => (0, 0),
        };
        let last = segment.end;
        chunk.maps[last].reset(maps[last].shape(), border(last));
        match from {
            From::Features(d) => {
                chunk.maps[last].fill_stored(d);
                mask(&mut chunk.maps[last], &maps[last], self.slope_before(last));
            }
            From::Norm {
                above,
                statistics,
                means,
            } => {
                let Step::Norm { out, at, .. } = steps[last] else {
                    unreachable!("segments end before a normalisation")
                };
                let (scale, _) = self.affine(at, out.channels, statistics);
                norm::backward(
                    &maps[last],
                    above,
                    statistics,
                    &scale,
                    means,
                    self.slope_before(last),
                    &mut chunk.maps[last],
                );
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
                    // The data themselves need no gradient.
                    if i == 0 || matches!(steps[i - 1], Step::Unfold { .. } | Step::Pad { .. }) {
                        break;
                    }
                    dx.reset(maps[i].shape(), border(i));
                    let back = conv.adjoint();
                    let zero = [0.0f32; MOST];
                    let then = Epilogue {
                        mask: (slope != 1.0).then_some((&maps[i], slope)),
                        ..Epilogue::default()
                    };
                    back.forward(
                        self.isa,
                        dy,
                        &transposed[i],
                        &zero[..back.biases()],
                        dx,
                        then,
                        false,
                    );
                }
                Step::Pool { pool, .. } => {
                    if i == 0 {
                        break;
                    }
                    dx.reset(maps[i].shape(), border(i));
                    pool.backward(&maps[i], &maps[i + 1], dy, slope, dx);
                }
                Step::Response { response, .. } => {
                    dx.reset(maps[i].shape(), border(i));
                    response.backward(&maps[i], &maps[i + 1], dy, slope, dx);
                }
                _ => unreachable!("the first steps work on maps"),
            }
        }
    }
}

/// Where the gradient at the end of a segment comes from.
enum From<'a> {
    /// The dense part, in the stored order.
    Features(&'a [f32]),
    /// The normalisation that begins the next segment, whose output has this gradient.
    Norm {
        above: &'a Maps,
        statistics: &'a Statistics,
        means: &'a [Vec<f32>; 2],
    },
}

fn mask(d: &mut Maps, y: &Maps, slope: f32) {
    if slope == 1.0 {
        return;
    }
    for block in 0..y.shape().blocks() {
        for r in 0..y.shape().height {
            d.row_mut(block, r)
                .iter_mut()
                .zip(y.row(block, r))
                .for_each(|(d, y)| *d *= if *y > 0.0 { 1.0 } else { slope });
        }
    }
}
