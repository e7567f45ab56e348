//! The backward pass of a [`Network`]: gradients of all weights.

use rayon::prelude::*;

use super::forward::{Chunk, Tape};
use super::{CHUNKS, Flat, MOST, Network, Step, skip};
use crate::conv::Conv;
use crate::conv::Epilogue;
use crate::dense;
use crate::lanes::WIDTH;
use crate::maps::{Maps, Shape};
use crate::norm::{self, Statistics};

impl Network {
    /// Writes to `grad` (as [`Network::weights`]) the gradient of Σ `dy`·output of the last forward
    /// pass.
    pub fn backward(&self, tape: &mut Tape, dy: &[f32], grad: &mut Vec<f32>) {
        self.back(tape, dy, grad, &mut []);
    }

    /// The same, and the gradient with respect to the input, `[row][value]`: what a generator
    /// learns from.
    ///
    /// # Panics
    /// If the first layer pads the input or makes channels of its pixels.
    pub fn backward_to_input(&self, tape: &mut Tape, dy: &[f32], grad: &mut Vec<f32>) -> Vec<f32> {
        let moved = |s: &Step| matches!(s, Step::Unfold { .. } | Step::Pad { .. });
        assert!(
            !self.steps.first().is_some_and(moved),
            "the first layer rearranges the input"
        );
        let mut dx = vec![0.0; tape.rows * self.input.len()];
        self.back(tape, dy, grad, &mut dx);
        dx
    }

    /// `input` takes the gradient of the input; empty if nobody asks.
    fn back(&self, tape: &mut Tape, dy: &[f32], grad: &mut Vec<f32>, input: &mut [f32]) {
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
                    if i > 0 || self.local > 0 || !input.is_empty() {
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
                Step::Flat(f @ Flat::MaskedMean { .. }) => {
                    f.masked_backward(&d, &tape.keep[i], &mut next);
                    std::mem::swap(&mut d, &mut next);
                }
                Step::Flat(f) => {
                    f.backward(x, y, &d, &mut next);
                    std::mem::swap(&mut d, &mut next);
                }
                _ => d.iter_mut().zip(&tape.keep[i]).for_each(|(d, k)| *d *= k),
            }
        }
        if self.local > 0 {
            self.backward_maps(tape, &d, grad, input);
        } else if !input.is_empty() {
            self.stored_to_planes(&d, input);
        }
        self.fold(grad);
        tape.gradients = [d, next];
    }

    fn backward_maps(&self, tape: &mut Tape, d: &[f32], grad: &mut [f32], input: &mut [f32]) {
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
        tape.skips.resize_with(tape.rows, Vec::new);
        let asked = !input.is_empty();
        let mut nowhere = vec![0.0; if asked { 0 } else { tape.rows }];
        let (input, each) = if asked {
            (input, self.input.len())
        } else {
            (nowhere.as_mut_slice(), 1)
        };
        // Means over the batch of the gradient at the normalisation above, and of its product with
        // x̂.
        let mut means = [Vec::new(), Vec::new()];
        let segments = self.segments();
        for segment in segments.iter().rev() {
            let (examples, transposed, norms) = (&tape.examples, &tape.transposed, &tape.norms);
            let parts = (
                tape.chunks.par_iter_mut(),
                tape.boundary.par_chunks_mut(per),
                tape.sums.par_chunks_mut(per),
                tape.skips.par_chunks_mut(per),
                input.par_chunks_mut(per * each),
            )
                .into_par_iter()
                .enumerate();
            parts.for_each(|(c, (chunk, boundary, sums, skips, input))| {
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
                    if segment.end == self.local {
                        self.clear_skips(&examples[row], &mut skips[i]);
                    }
                    let example = Example {
                        maps: &examples[row],
                        transposed,
                        skips: &mut skips[i],
                        input: asked.then(|| &mut input[i * each..(i + 1) * each]),
                    };
                    self.backward_example(segment.clone(), example, from, chunk);
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
            if segment.start > 0 {
                means = self.norm_gradients(segment.start, tape);
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

    /// Gradients of scale and bias of normalisation `step`, into the first chunk; means over the
    /// batch of the gradient there, and of its product with x̂.
    fn norm_gradients(&self, step: usize, tape: &mut Tape) -> [Vec<f32>; 2] {
        let Step::Norm { out, at, .. } = self.steps[step] else {
            unreachable!("segments begin with a normalisation")
        };
        let totals = norm::totals(&tape.sums[..tape.rows]);
        let count = (tape.rows * out.height * out.width) as f64;
        let share = if tape.norms[step].of_batch {
            1.0 / count
        } else {
            0.0
        };
        // The bias takes Σ dy, the scale Σ dy · x̂.
        let (scale, bias) =
            tape.chunks[0].weights[at..at + 2 * out.channels].split_at_mut(out.channels);
        for (to, totals) in [(scale, &totals[1]), (bias, &totals[0])] {
            to.iter_mut().zip(totals).for_each(|(g, t)| *g = *t as f32);
        }
        [&totals[0], &totals[1]].map(|t| t.iter().map(|v| (v * share) as f32).collect())
    }

    /// Slope of the activation that made the input of step `i`.
    fn slope_before(&self, i: usize) -> f32 {
        match i.checked_sub(1).map(|j| self.steps[j]) {
            Some(Step::Conv { slope, .. } | Step::Skip { slope, .. }) => slope,
            _ => 1.0,
        }
    }

    /// Whether a skip connection begins at these maps.
    fn is_kept(&self, maps: usize) -> bool {
        let begins = |s: &Step| matches!(s, Step::Skip { from, .. } if *from == maps);
        self.steps[..self.local].iter().any(begins)
    }

    fn clear_skips(&self, maps: &[Maps], skips: &mut Vec<Maps>) {
        skips.resize_with(self.local + 1, Maps::default);
        for (i, s) in skips
            .iter_mut()
            .enumerate()
            .filter(|(i, _)| self.is_kept(*i))
        {
            s.reset(maps[i].shape(), (0, 0));
            let shape = s.shape();
            let rows = (0..shape.blocks()).flat_map(|b| (0..shape.height).map(move |r| (b, r)));
            rows.for_each(|(b, r)| s.row_mut(b, r).fill(0.0));
        }
    }

    /// Rows in the order of the dense part to planes.
    fn stored_to_planes(&self, d: &[f32], out: &mut [f32]) {
        let s = self.input;
        for (row, to) in d
            .chunks_exact(s.stored())
            .zip(out.chunks_exact_mut(s.len()))
        {
            for (i, o) in to.iter_mut().enumerate() {
                let (c, y, x) = (
                    i / (s.height * s.width),
                    i / s.width % s.height,
                    i % s.width,
                );
                *o = row[s.index(c, y, x)];
            }
        }
    }

    /// Gradient of the maps at the end of a segment.
    fn gradient_at_end(&self, last: usize, maps: &Maps, from: From, to: &mut Maps) {
        let slope = self.slope_before(last);
        match from {
            From::Features(d) => {
                to.fill_stored(d);
                mask(to, maps, slope);
            }
            From::Norm {
                above,
                statistics,
                means,
            } => {
                let Step::Norm { out, at, .. } = self.steps[last] else {
                    unreachable!("segments end before a normalisation")
                };
                let (scale, _) = self.affine(at, out.channels, statistics);
                norm::backward(maps, above, statistics, &scale, means, slope, to);
            }
        }
    }

    fn backward_example(
        &self,
        segment: std::ops::Range<usize>,
        example: Example,
        from: From,
        chunk: &mut Chunk,
    ) {
        let Example {
            maps,
            transposed,
            skips,
            mut input,
        } = example;
        let steps = &self.steps[..self.local];
        chunk.maps.resize_with(self.local + 1, Maps::default);
        // Gradients of maps i need the border that the adjoint of step i − 1 reads.
        let border = |i: usize| match i.checked_sub(1).map(|j| steps[j]) {
            Some(Step::Conv { conv, out, .. }) => conv.adjoint().border(out, maps[i - 1].shape()),
            _ => (0, 0),
        };
        let last = segment.end;
        chunk.maps[last].reset(maps[last].shape(), border(last));
        self.gradient_at_end(last, &maps[last], from, &mut chunk.maps[last]);
        let add_skip = |i: usize, d: &mut Maps, skips: &[Maps]| {
            if self.is_kept(i) {
                skip::add_masked(d, &skips[i], &maps[i], self.slope_before(i));
            }
        };
        add_skip(last, &mut chunk.maps[last], skips);
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
                    // The data themselves need no gradient, unless somebody asks.
                    if let (0, Some(to)) = (i, input.as_deref_mut()) {
                        let weights = &self.weights[*at..*at + conv.weights()];
                        input_gradient(conv, weights, dy, self.input, to);
                        break;
                    }
                    if i == 0 || matches!(steps[i - 1], Step::Unfold { .. } | Step::Pad { .. }) {
                        break;
                    }
                    dx.reset(maps[i].shape(), border(i));
                    let back = conv.adjoint();
                    let zero = &[0.0f32; MOST][..back.biases()];
                    let then = Epilogue {
                        mask: (slope != 1.0).then_some((&maps[i], slope)),
                        ..Epilogue::default()
                    };
                    back.forward(self.isa, dy, &transposed[i], zero, dx, then, false);
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
                Step::Skip { from, concat, .. } => {
                    dx.reset(maps[i].shape(), border(i));
                    skip::join_backward(dy, *concat, dx, &mut skips[*from]);
                    mask(dx, &maps[i], slope);
                }
                Step::Upsample { factor, .. } => {
                    dx.reset(maps[i].shape(), border(i));
                    skip::upsample_backward(dy, *factor, dx);
                    mask(dx, &maps[i], slope);
                }
                // Nothing is learned before what turns the input into maps.
                _ => break,
            }
            add_skip(i, dx, skips);
        }
    }
}

/// What the backward pass of one example reads and writes beside the chunk.
struct Example<'a> {
    maps: &'a [Maps],
    transposed: &'a [Vec<f32>],
    skips: &'a mut Vec<Maps>,
    /// Gradient of the input, if somebody asks.
    input: Option<&'a mut [f32]>,
}

/// Gradient of the input planes of a convolution: few channels, which the register tile does not
/// take.
fn input_gradient(conv: &Conv, weights: &[f32], dy: &Maps, input: Shape, to: &mut [f32]) {
    let (out, height, width) = (dy.shape(), input.height, input.width);
    to.fill(0.0);
    let taps = (0..conv.kernel.0).flat_map(|y| (0..conv.kernel.1).map(move |x| (y, x)));
    for (ky, kx) in taps {
        for c in 0..conv.channels {
            let w: Vec<f32> = (0..conv.filters)
                .map(|f| weights[conv.index(f, c, ky, kx)])
                .collect();
            for r in 0..out.height {
                let y = (r + ky).wrapping_sub(conv.before.0);
                if y >= height {
                    continue;
                }
                let row = &mut to[(c * height + y) * width..][..width];
                for (block, w) in w.chunks(WIDTH).enumerate() {
                    for (q, d) in dy.row(block, r).chunks_exact(WIDTH).enumerate() {
                        let x = (q + kx * conv.dilation).wrapping_sub(conv.before.1);
                        if let Some(o) = row.get_mut(x) {
                            *o += w.iter().zip(d).map(|(w, d)| w * d).sum::<f32>();
                        }
                    }
                }
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
