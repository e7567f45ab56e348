//! A spectrum on a linear grid as input of the shift-equivariant network: sixteen channels at
//! positions uniform in ln λ.
//!
//! With x the flux interpolated (cubic), r that of the nearest bin, c and C running means over ±1.2
//! % and ±6 % in wavelength, s = 1/σ̂ and σ̂ the noise estimated from the spectrum itself
//! (differences of third order, median):
//!
//! | 0 | 1 | 2 | 3 | 4 | 5 | 6 | 7 | 8 | 9 |
//! |---|---|---|---|---|---|---|---|---|---|
//! | asinh((x−c)s) | asinh 3(x−c) | asinh x | ln(1+s)/3 | 1 | asinh 3(c−C) | asinh((r−c)s) | place in the bin | asinh(xs)/3 | ln bin width |
//!
//! The place in the bin lets the network interpolate better than we do.

use slipher_data::spectrum::median;
use slipher_nn::elementary::asinh;
use slipher_nn::shiftnet::Input;

/// ln λ from one position, and ln(1+z) from one lag, to the next.
pub const STEP: f64 = 2.5e-4;
/// Channels of a position.
pub const CHANNELS: usize = 16;

/// Half-widths of the running means, positions.
const NEAR: usize = 48;
const FAR: usize = 240;
/// Noise below this share of the mean flux counts as this: clean spectra.
const FLOOR: f32 = 0.01;

/// What does not change from spectrum to spectrum.
#[derive(Clone, Debug)]
pub struct Encoder {
    /// First bin of four and weights of the cubic through them, of each position.
    cubic: Vec<(usize, [f32; 4])>,
    /// Nearest bin, place in it (−½ … ½), and ln of its width in positions.
    nearest: Vec<(usize, f32, f32)>,
    /// Inverse of the relative noise of each bin.
    quiet: Vec<f32>,
    coverage: Vec<f32>,
}

impl Encoder {
    /// For bins with these edges (Å) and relative noise.
    pub fn new(edges: &[f64], noise_shape: &[f32]) -> Encoder {
        let bins = edges.len() - 1;
        let start = edges[0].ln();
        let n = ((edges[bins].ln() - start) / STEP).floor() as usize;
        let width = (edges[bins] - edges[0]) / bins as f64;
        let (mut cubic, mut nearest) = (Vec::new(), Vec::new());
        for i in 0..n {
            let wave = (start + STEP * (i as f64 + 0.5)).exp();
            let at = (wave - edges[0]) / width - 0.5;
            let first = (at.floor() as i64 - 1).clamp(0, bins as i64 - 4) as usize;
            cubic.push((first, lagrange(at - first as f64)));
            let bin = at.round().clamp(0.0, bins as f64 - 1.0);
            nearest.push((
                bin as usize,
                (at - bin) as f32,
                (width / wave / STEP).ln() as f32,
            ));
        }
        Encoder {
            cubic,
            nearest,
            quiet: noise_shape.iter().map(|s| 1.0 / s).collect(),
            coverage: vec![1.0; n],
        }
    }

    /// Values that come out for a spectrum.
    pub fn positions(&self) -> usize {
        self.cubic.len()
    }

    /// Fills `channels`, `[position][16]`, from the flux of each bin.
    pub fn encode(&self, flux: &[f32], channels: &mut Vec<f32>) {
        let n = self.positions();
        let s = 1.0 / noise(flux, &self.quiet);
        let x: Vec<f32> = self
            .cubic
            .iter()
            .map(|(f, w)| (0..4).map(|k| w[k] * flux[f + k]).sum())
            .collect();
        let (near, far) = (running_mean(&x, NEAR), running_mean(&x, FAR));
        let s_at = |i: usize| s * self.quiet[self.nearest[i].0];
        let raw = |i: usize| flux[self.nearest[i].0];
        let mut planes: [Vec<f32>; 6] = [
            (0..n).map(|i| (x[i] - near[i]) * s_at(i)).collect(),
            (0..n).map(|i| 3.0 * (x[i] - near[i])).collect(),
            x.clone(),
            (0..n).map(|i| 3.0 * (near[i] - far[i])).collect(),
            (0..n).map(|i| (raw(i) - near[i]) * s_at(i)).collect(),
            (0..n).map(|i| x[i] * s_at(i)).collect(),
        ];
        planes.iter_mut().for_each(|p| asinh(p));
        channels.clear();
        channels.resize(n * CHANNELS, 0.0);
        for (i, o) in channels.chunks_exact_mut(CHANNELS).enumerate() {
            let p = |k: usize| planes[k][i];
            let (_, place, width) = self.nearest[i];
            o[..10].copy_from_slice(&[
                p(0),
                p(1),
                p(2),
                (1.0 + s_at(i)).ln() / 3.0,
                1.0,
                p(3),
                p(4),
                place,
                p(5) / 3.0,
                width,
            ]);
        }
    }

    /// As the network takes it.
    pub fn input<'a>(&'a self, channels: &'a [f32]) -> Input<'a> {
        Input {
            channels,
            coverage: &self.coverage,
            offset: 0,
        }
    }
}

/// σ of the noise of a bin of relative noise 1 (`quiet` is its inverse, for each bin), from third
/// differences, whose variance is 20 σ² and which a smooth continuum does not reach; at least 0.01.
pub fn noise(flux: &[f32], quiet: &[f32]) -> f32 {
    let y: Vec<f32> = flux.iter().zip(quiet).map(|(f, q)| f * q).collect();
    let mut d: Vec<f32> = y
        .windows(4)
        .map(|w| (w[3] - 3.0 * w[2] + 3.0 * w[1] - w[0]).abs())
        .collect();
    (median(&mut d) / (0.674_49 * 20f32.sqrt())).max(FLOOR)
}

/// Weights of the cubic through the values at 0, 1, 2, 3, evaluated at `t`.
pub fn lagrange(t: f64) -> [f32; 4] {
    std::array::from_fn(|k| {
        (0..4)
            .filter(|j| *j != k)
            .map(|j| (t - j as f64) / (k as f64 - j as f64))
            .product::<f64>() as f32
    })
}

fn running_mean(x: &[f32], half: usize) -> Vec<f32> {
    let mut sums = Vec::with_capacity(x.len() + 1);
    let mut total = 0.0f64;
    sums.push(0.0);
    for v in x {
        total += f64::from(*v);
        sums.push(total);
    }
    (0..x.len())
        .map(|i| {
            let (a, b) = (i.saturating_sub(half), (i + half + 1).min(x.len()));
            ((sums[b] - sums[a]) / (b - a) as f64) as f32
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn edges() -> Vec<f64> {
        (0..=1780)
            .map(|i| 11_000.0 + 9000.0 * f64::from(i) / 1780.0)
            .collect()
    }

    #[test]
    fn cubics_are_exact_for_cubics() {
        for t in [0.0, 1.3, 1.5, 2.9] {
            let w = lagrange(t);
            let f = |x: f64| 1.0 - 2.0 * x + 0.5 * x * x + 0.25 * x * x * x;
            let got: f64 = (0..4).map(|k| f64::from(w[k]) * f(k as f64)).sum();
            assert!((got - f(t)).abs() < 1e-5);
        }
    }

    #[test]
    fn noise_is_estimated_and_positions_cover_the_window() {
        let e = Encoder::new(&edges(), &[1.0; 1780]);
        assert_eq!(e.positions(), 2391);
        let mut rng = slipher_sim::random::Stream::new(1, 1, 1);
        for sigma in [0.1f32, 1.0] {
            let flux: Vec<f32> = (0..1780)
                .map(|i| 1.0 + 0.3 * (0.01 * i as f32).sin() + sigma * rng.normal_f32())
                .collect();
            assert!((noise(&flux, &e.quiet) / sigma - 1.0).abs() < 0.1);
            let mut c = vec![];
            e.encode(&flux, &mut c);
            assert!(c.len() == 2391 * CHANNELS && c.iter().all(|v| v.is_finite()));
        }
        assert_eq!(noise(&[1.0; 1780], &e.quiet), FLOOR);
    }
}
