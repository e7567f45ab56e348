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
