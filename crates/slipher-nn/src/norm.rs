//! Batch normalisation of feature maps (Ioffe & Szegedy 2015): y = γ x̂ + β, x̂ = (x − μ) / √(σ² +
//! ε), with μ and σ² of each channel over the batch in training, and their running means in
//! prediction.

use crate::lanes::{WIDTH, vectorised};
use crate::maps::Maps;
use crate::pool::Value;

/// What one layer took from a batch, `[channel]` each.
#[derive(Clone, Debug, Default)]
pub struct Statistics {
    /// Of each channel.
    pub mean: Vec<f32>,
    /// Of each channel, without Bessel's correction.
    pub variance: Vec<f32>,
    /// 1 / √(σ² + ε).
    pub inverse: Vec<f32>,
    /// False if the running means served: then they do not depend on the data.
    pub of_batch: bool,
}

impl Statistics {
    /// Of `count` values a channel with these sums and sums of squares, summed over `rows` in
    /// order.
    pub fn of(rows: &[Vec<f32>], count: usize, eps: f32) -> Statistics {
        let [mean, square] = totals(rows).map(|t| {
            t.into_iter()
                .map(|v| v / count as f64)
                .collect::<Vec<f64>>()
        });
        let variance: Vec<f32> = mean
            .iter()
            .zip(square)
            .map(|(m, s)| (s - m * m).max(0.0) as f32)
            .collect();
        Statistics {
            mean: mean.iter().map(|m| *m as f32).collect(),
            inverse: inverse(&variance, eps),
            variance,
            of_batch: true,
        }
    }
    /// The running means.
    pub fn fixed(mean: &[f32], variance: &[f32], eps: f32) -> Statistics {
        Statistics {
            mean: mean.to_vec(),
            variance: variance.to_vec(),
            inverse: inverse(variance, eps),
            of_batch: false,
        }
    }
    /// y = x · scale + shift.
    pub fn affine(&self, gamma: &[f32], beta: &[f32]) -> (Vec<f32>, Vec<f32>) {
        let scale: Vec<f32> = gamma
            .iter()
            .zip(&self.inverse)
            .map(|(g, i)| g * i)
            .collect();
        let shift = beta
            .iter()
            .zip(&self.mean)
            .zip(&scale)
            .map(|((b, m), s)| b - m * s)
            .collect();
        (scale, shift)
    }
}

fn inverse(variance: &[f32], eps: f32) -> Vec<f32> {
    variance.iter().map(|v| 1.0 / (v + eps).sqrt()).collect()
}

/// Both halves of each row, summed in order.
pub fn totals(rows: &[Vec<f32>]) -> [Vec<f64>; 2] {
    let c = rows.first().map_or(0, |r| r.len() / 2);
    let mut out = [vec![0.0; c], vec![0.0; c]];
    for r in rows {
        for (half, part) in out.iter_mut().zip(r.chunks_exact(c.max(1))) {
            half.iter_mut()
                .zip(part)
                .for_each(|(o, v)| *o += f64::from(*v));
        }
    }
    out
}

/// Σ x and Σ x² of each channel of one example, `[2][channel]`.
pub fn sums(x: &Maps, out: &mut Vec<f32>) {
    out.clear();
    out.resize(2 * x.shape().blocks() * WIDTH, 0.0);
    let out: &mut [f32] = out;
    vectorised!(sums_all(x: &Maps, out: &mut [f32]));
}

#[inline(always)]
fn sums_all(x: &Maps, out: &mut [f32]) {
    for (block, r) in rows(x) {
        let mut s = [[0.0f32; WIDTH]; 2];
        for v in x.row(block, r).chunks_exact(WIDTH) {
            for k in 0..WIDTH {
                s[0][k] += v[k];
                s[1][k] += v[k] * v[k];
            }
        }
        add(out, block, &s);
    }
}

/// Σ dy and Σ dy · x̂ of each channel of one example, `[2][channel]`.
pub fn back_sums(x: &Maps, dy: &Maps, s: &Statistics, out: &mut Vec<f32>) {
    out.clear();
    out.resize(2 * x.shape().blocks() * WIDTH, 0.0);
    let out: &mut [f32] = out;
    vectorised!(back_sums_all(x: &Maps, dy: &Maps, s: &Statistics, out: &mut [f32]));
}

#[inline(always)]
fn back_sums_all(x: &Maps, dy: &Maps, s: &Statistics, out: &mut [f32]) {
    for (block, r) in rows(x) {
        let (mean, inverse) = (lanes(&s.mean, block), lanes(&s.inverse, block));
        let mut sum = [[0.0f32; WIDTH]; 2];
        for (v, d) in x
            .row(block, r)
            .chunks_exact(WIDTH)
            .zip(dy.row(block, r).chunks_exact(WIDTH))
        {
            for k in 0..WIDTH {
                sum[0][k] += d[k];
                sum[1][k] += d[k] * (v[k] - mean[k]) * inverse[k];
            }
        }
        add(out, block, &sum);
    }
}

/// y = x · scale + shift, in `f32` or `bf16`.
pub fn forward<E: Value>(x: &Maps<E>, scale: &[f32], shift: &[f32], y: &mut Maps<E>) {
    assert_eq!(x.shape(), y.shape());
    vectorised!(forward_all<E: Value>(x: &Maps<E>, scale: &[f32], shift: &[f32], y: &mut Maps<E>));
}

#[inline(always)]
fn forward_all<E: Value>(x: &Maps<E>, scale: &[f32], shift: &[f32], y: &mut Maps<E>) {
    for (block, r) in rows(x) {
        let (a, b) = (lanes(scale, block), lanes(shift, block));
        for (o, v) in y
            .row_mut(block, r)
            .chunks_exact_mut(WIDTH)
            .zip(x.row(block, r).chunks_exact(WIDTH))
        {
            for k in 0..WIDTH {
                o[k] = E::narrow(v[k].wide() * a[k] + b[k]);
            }
        }
    }
}

/// dx = scale (dy − m₀ − x̂ m₁) with m the means of dy and dy · x̂ over the batch (0 if the
/// statistics did not come from it), times the gradient of the leaky ReLU of `slope` that made `x`.
pub fn backward(
    x: &Maps,
    dy: &Maps,
    s: &Statistics,
    scale: &[f32],
    means: &[Vec<f32>; 2],
    slope: f32,
    dx: &mut Maps,
) {
    assert_eq!((x.shape(), dy.shape()), (dy.shape(), dx.shape()));
    vectorised!(backward_all(x: &Maps, dy: &Maps, s: &Statistics, scale: &[f32], means: &[Vec<f32>; 2], slope: f32, dx: &mut Maps));
}

#[inline(always)]
fn backward_all(
    x: &Maps,
    dy: &Maps,
    s: &Statistics,
    scale: &[f32],
    means: &[Vec<f32>; 2],
    slope: f32,
    dx: &mut Maps,
) {
    for (block, r) in rows(x) {
        let (mean, inverse, scale) = (
            lanes(&s.mean, block),
            lanes(&s.inverse, block),
            lanes(scale, block),
        );
        let (m0, m1) = (lanes(&means[0], block), lanes(&means[1], block));
        let to = dx.row_mut(block, r).chunks_exact_mut(WIDTH);
        for ((o, v), d) in to
            .zip(x.row(block, r).chunks_exact(WIDTH))
            .zip(dy.row(block, r).chunks_exact(WIDTH))
        {
            for k in 0..WIDTH {
                let hat = (v[k] - mean[k]) * inverse[k];
                let on = if v[k] > 0.0 { 1.0 } else { slope };
                o[k] = scale[k] * (d[k] - m0[k] - hat * m1[k]) * on;
            }
        }
    }
}

/// Each (block of channels, row).
#[inline(always)]
fn rows<E: Copy + Default>(x: &Maps<E>) -> impl Iterator<Item = (usize, usize)> + use<E> {
    let s = x.shape();
    (0..s.blocks()).flat_map(move |b| (0..s.height).map(move |r| (b, r)))
}

#[inline(always)]
fn lanes(v: &[f32], block: usize) -> [f32; WIDTH] {
    let mut a = [0.0; WIDTH];
    a.copy_from_slice(&v[block * WIDTH..(block + 1) * WIDTH]);
    a
}

#[inline(always)]
fn add(out: &mut [f32], block: usize, s: &[[f32; WIDTH]; 2]) {
    let channels = out.len() / 2;
    for (half, s) in s.iter().enumerate() {
        out[half * channels + block * WIDTH..][..WIDTH]
            .iter_mut()
            .zip(s)
            .for_each(|(o, v)| *o += v);
    }
}
