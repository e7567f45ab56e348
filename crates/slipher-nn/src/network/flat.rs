//! Steps between maps and dense layers, and between dense layers, that learn nothing.

use rayon::prelude::*;

use crate::lanes::WIDTH;
use crate::maps::Shape;

/// On rows of values, `[row][value]`.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Flat {
    /// Maps in the stored order to the mean of each.
    Mean(Shape),
    /// `views` rows of `each` to one: one after the other, or their mean.
    Join {
        views: usize,
        mean: bool,
        each: usize,
    },
    /// Largest of each `pieces` neighbours.
    Max { pieces: usize },
    /// Maps to the mean of each where a channel of the input is positive.
    MaskedMean {
        shape: Shape,
        channel: usize,
        input: Shape,
    },
    /// The first maps as planes.
    Planes { shape: Shape, channels: usize },
    /// The embedding.
    Tap,
}

impl Flat {
    pub(crate) fn forward(&self, x: &[f32], y: &mut Vec<f32>) {
        match *self {
            Flat::Mean(s) => {
                let pixels = s.height * s.width;
                y.resize(x.len() / pixels, 0.0);
                y.par_chunks_exact_mut(WIDTH)
                    .zip(x.par_chunks_exact(WIDTH * pixels))
                    .for_each(|(to, block)| {
                        to.fill(0.0);
                        for pixel in block.chunks_exact(WIDTH) {
                            to.iter_mut().zip(pixel).for_each(|(o, v)| *o += v);
                        }
                        to.iter_mut().for_each(|o| *o /= pixels as f32);
                    });
            }
            Flat::Join { mean: false, .. } => {
                y.clear();
                y.extend_from_slice(x);
            }
            Flat::Join { views, each, .. } => {
                y.clear();
                y.resize(x.len() / views, 0.0);
                for (to, rows) in y.chunks_exact_mut(each).zip(x.chunks_exact(views * each)) {
                    for row in rows.chunks_exact(each) {
                        to.iter_mut()
                            .zip(row)
                            .for_each(|(o, v)| *o += v / views as f32);
                    }
                }
            }
            Flat::Tap => {
                y.clear();
                y.extend_from_slice(x);
            }
            Flat::Planes { shape, channels } => {
                y.clear();
                for row in x.chunks_exact(shape.stored()) {
                    y.extend(planes(shape, channels).map(|i| row[i]));
                }
            }
            Flat::MaskedMean { .. } => unreachable!("needs the input: see masked"),
            Flat::Max { pieces } => {
                y.clear();
                y.extend(
                    x.chunks_exact(pieces)
                        .map(|p| p.iter().copied().fold(f32::NEG_INFINITY, f32::max)),
                );
            }
        }
    }

    /// Gradient of the data.
    pub(crate) fn backward(&self, x: &[f32], y: &[f32], dy: &[f32], dx: &mut Vec<f32>) {
        dx.clear();
        match *self {
            Flat::Mean(s) => {
                let pixels = s.height * s.width;
                dx.resize(x.len(), 0.0);
                dx.par_chunks_exact_mut(WIDTH * pixels)
                    .zip(dy.par_chunks_exact(WIDTH))
                    .for_each(|(block, d)| {
                        for pixel in block.chunks_exact_mut(WIDTH) {
                            pixel
                                .iter_mut()
                                .zip(d)
                                .for_each(|(o, v)| *o = v / pixels as f32);
                        }
                    });
            }
            Flat::Join { mean: false, .. } => dx.extend_from_slice(dy),
            Flat::Join { views, each, .. } => {
                for row in dy.chunks_exact(each) {
                    (0..views).for_each(|_| dx.extend(row.iter().map(|v| v / views as f32)));
                }
            }
            Flat::Tap => dx.extend_from_slice(dy),
            Flat::Planes { shape, channels } => {
                dx.resize(x.len(), 0.0);
                let n = channels * shape.height * shape.width;
                for (row, d) in dx.chunks_exact_mut(shape.stored()).zip(dy.chunks_exact(n)) {
                    planes(shape, channels)
                        .zip(d)
                        .for_each(|(i, d)| row[i] = *d);
                }
            }
            Flat::MaskedMean { .. } => unreachable!("needs the weights: see masked_backward"),
            Flat::Max { pieces } => {
                dx.resize(x.len(), 0.0);
                for (i, (d, best)) in dy.iter().zip(y).enumerate() {
                    let at = (i * pieces..(i + 1) * pieces)
                        .find(|j| x[*j] == *best)
                        .unwrap_or(i * pieces);
                    dx[at] = *d;
                }
            }
        }
    }
}

/// Places in the stored order of the first `channels` maps, plane by plane.
fn planes(s: Shape, channels: usize) -> impl Iterator<Item = usize> {
    let rows = (0..channels).flat_map(move |c| (0..s.height).map(move |y| (c, y)));
    rows.flat_map(move |(c, y)| (0..s.width).map(move |x| s.index(c, y, x)))
}

impl Flat {
    /// Weights `[row][pixel]` of [`Flat::MaskedMean`], which sum to 1 (0 where all is masked), from
    /// `[row][channel][row][column]` of the input.
    pub(crate) fn weights(&self, input: &[f32], weights: &mut Vec<f32>) {
        let Flat::MaskedMean {
            shape,
            channel,
            input: s,
        } = *self
        else {
            return;
        };
        weights.clear();
        let plane = s.height * s.width;
        // Pixels of the input around a pixel of the maps, which may have been pooled.
        let span = |i: usize, n: usize, of: usize| {
            i * of / n..((i + 1) * of).div_ceil(n).max(i * of / n + 1)
        };
        for x in input.chunks_exact(s.len()) {
            let mask = &x[channel * plane..(channel + 1) * plane];
            let from = weights.len();
            for i in 0..shape.height * shape.width {
                let (y, x) = (i / shape.width, i % shape.width);
                let seen = span(y, shape.height, s.height)
                    .flat_map(|y| span(x, shape.width, s.width).map(move |x| (y, x)))
                    .any(|(y, x)| mask[y * s.width + x] > 0.0);
                weights.push(f32::from(u8::from(seen)));
            }
            let sum: f32 = weights[from..].iter().sum();
            weights[from..].iter_mut().for_each(|w| *w /= sum.max(1.0));
        }
    }

    /// Weighted means of the maps.
    pub(crate) fn masked(&self, x: &[f32], weights: &[f32], y: &mut Vec<f32>) {
        let Flat::MaskedMean { shape, .. } = *self else {
            return;
        };
        let pixels = shape.height * shape.width;
        y.clear();
        y.resize(x.len() / pixels, 0.0);
        let rows = x
            .chunks_exact(shape.stored())
            .zip(weights.chunks_exact(pixels));
        for ((maps, w), to) in rows.zip(y.chunks_exact_mut(shape.channels)) {
            for (block, to) in maps
                .chunks_exact(WIDTH * pixels)
                .zip(to.chunks_exact_mut(WIDTH))
            {
                for (pixel, w) in block.chunks_exact(WIDTH).zip(w) {
                    to.iter_mut().zip(pixel).for_each(|(o, v)| *o += w * v);
                }
            }
        }
    }

    /// Gradient of [`Flat::masked`].
    pub(crate) fn masked_backward(&self, dy: &[f32], weights: &[f32], dx: &mut Vec<f32>) {
        let Flat::MaskedMean { shape, .. } = *self else {
            return;
        };
        let pixels = shape.height * shape.width;
        dx.clear();
        for (d, w) in dy
            .chunks_exact(shape.channels)
            .zip(weights.chunks_exact(pixels))
        {
            for d in d.chunks_exact(WIDTH) {
                w.iter().for_each(|w| dx.extend(d.iter().map(|d| w * d)));
            }
        }
    }
}
