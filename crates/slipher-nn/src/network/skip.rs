//! Maps that are joined with earlier ones, or made larger: forward and backward.

use crate::lanes::WIDTH;
use crate::maps::Maps;
use crate::pool::Value;

/// `y = x + other` through a leaky ReLU, or the maps of `other` after those of `x`.
pub(crate) fn join<E: Value>(
    x: &Maps<E>,
    other: &Maps<E>,
    concat: bool,
    slope: f32,
    y: &mut Maps<E>,
) {
    let (s, first) = (x.shape(), x.shape().blocks());
    for block in 0..y.shape().blocks() {
        for r in 0..s.height {
            let to = y.row_mut(block, r);
            if concat {
                let from = if block < first {
                    x.row(block, r)
                } else {
                    other.row(block - first, r)
                };
                to.copy_from_slice(from);
                continue;
            }
            for ((o, a), b) in to.iter_mut().zip(x.row(block, r)).zip(other.row(block, r)) {
                let sum = a.wide() + b.wide();
                *o = E::narrow(if sum > 0.0 { sum } else { slope * sum });
            }
        }
    }
}

/// Gradients of [`join`] with respect to `x` (times its mask) and, added, to `other`.
pub(crate) fn join_backward(dy: &Maps, concat: bool, dx: &mut Maps, other: &mut Maps) {
    let (s, first) = (dx.shape(), dx.shape().blocks());
    for block in 0..dy.shape().blocks() {
        for r in 0..s.height {
            let d = dy.row(block, r);
            if !concat || block < first {
                dx.row_mut(block, r).copy_from_slice(d);
            }
            if !concat || block >= first {
                let to = other.row_mut(if concat { block - first } else { block }, r);
                to.iter_mut().zip(d).for_each(|(o, v)| *o += v);
            }
        }
    }
}

/// Each pixel of `x` becomes `factor × factor` pixels of `y` (`factor` of a line).
pub(crate) fn upsample<E: Value>(x: &Maps<E>, factor: usize, y: &mut Maps<E>) {
    let rows = y.shape().height / x.shape().height;
    for block in 0..y.shape().blocks() {
        for r in 0..y.shape().height {
            let from = x.row(block, r / rows);
            for (i, to) in y.row_mut(block, r).chunks_exact_mut(WIDTH).enumerate() {
                to.copy_from_slice(&from[i / factor * WIDTH..][..WIDTH]);
            }
        }
    }
}

/// Gradient of [`upsample`].
pub(crate) fn upsample_backward(dy: &Maps, factor: usize, dx: &mut Maps) {
    let rows = dy.shape().height / dx.shape().height;
    for block in 0..dx.shape().blocks() {
        for r in 0..dx.shape().height {
            dx.row_mut(block, r).fill(0.0);
            for k in 0..rows {
                let from = dy.row(block, r * rows + k);
                let to = dx.row_mut(block, r);
                for (i, d) in from.chunks_exact(WIDTH).enumerate() {
                    let o = &mut to[i / factor * WIDTH..][..WIDTH];
                    o.iter_mut().zip(d).for_each(|(o, v)| *o += v);
                }
            }
        }
    }
}

/// Adds `from` where `y`, after an activation of this slope, lets a gradient through.
pub(super) fn add_masked(to: &mut Maps, from: &Maps, y: &Maps, slope: f32) {
    for block in 0..y.shape().blocks() {
        for r in 0..y.shape().height {
            let rest = from.row(block, r).iter().zip(y.row(block, r));
            for (o, (d, y)) in to.row_mut(block, r).iter_mut().zip(rest) {
                *o += if *y > 0.0 { *d } else { slope * d };
            }
        }
    }
}
