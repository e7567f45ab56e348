//! A spectrum as input of the network: eight channels on the log λ grid, two fine pixels per
//! position.
//!
//! Channels per fine pixel (x = flux / median |flux|, c = running weighted mean over ±151 pixels,
//! C = the same over ±900, s = √ivar in units of x):
//!
//! | 0 | 1 | 2 | 3 | 4 | 5 | 6 | 7 |
//! |---|---|---|---|---|---|---|---|
//! | asinh((x−c)s) | asinh 3(x−c) | asinh x | ln(1+s)/3 | covered | asinh 3(c−C) | ln native width | asinh(xs)/3 |

use slipher_data::grid::{LogGrid, Resampled, resample_into};
use slipher_data::spectrum::{Spectrum, median};
use slipher_nn::elementary::{asinh, ln};
use slipher_nn::shiftnet::Input;

/// Fine grid: log₁₀ λ from 2512 Å to 54,000 Å in steps of 10⁻⁴ (69 km/s), SDSS's own.
pub const FINE: LogGrid = LogGrid {
    start: 3.4,
    step: 1e-4,
    len: 13_324,
};
/// Positions of the network's grid: two fine pixels each (138 km/s).
pub const POSITIONS: usize = FINE.len / 2;
/// ln(1+z) per lag.
pub const LAG: f64 = 2.0 * FINE.step * std::f64::consts::LN_10;
/// Channels per position (two fine pixels of eight).
pub const CHANNELS: usize = 16;
/// Fewer good fine pixels than this give no answer.
pub const MIN_PIXELS: usize = 40;

const NEAR: usize = 151;
const FAR: usize = 900;

/// Network input for one spectrum.
#[derive(Clone, Debug, Default)]
pub struct Encoded {
    /// First position on the network's grid.
    pub offset: usize,
    /// `[position][16]`.
    pub channels: Vec<f32>,
    /// 1 where a position has data, ½ where one of its two pixels has.
    pub coverage: Vec<f32>,
    /// Good fine pixels.
    pub good: usize,
    /// Flux in units of its median size, and inverse variance, of each position.
    pub data: Vec<(f32, f32)>,
    /// Mean width of the native pixels in fine pixels.
    pub native_width: f32,
}

impl Encoded {
    /// As the network takes it.
    pub fn input(&self) -> Input<'_> {
        Input {
            channels: &self.channels,
            coverage: &self.coverage,
            offset: self.offset,
        }
    }
}

/// Buffers of [`Encoder::encode`], reused from spectrum to spectrum.
#[derive(Default)]
pub struct Encoder {
    resampled: Resampled,
    x: Vec<f32>,
    s: Vec<f32>,
    weight: Vec<f32>,
    work: Vec<f32>,
    near: Vec<f32>,
    far: Vec<f32>,
    sums: [Vec<f64>; 2],
    planes: [Vec<f32>; 6],
}

/// Encodes a spectrum; `None` if fewer than [`MIN_PIXELS`] good pixels fall on the grid.
pub fn encode(s: &Spectrum) -> Option<Encoded> {
    let mut out = Encoded::default();
    Encoder::default().encode(s, &mut out).then_some(out)
}

impl Encoder {
    /// As [`encode`], into `out`; false if there is too little.
    pub fn encode(&mut self, s: &Spectrum, out: &mut Encoded) -> bool {
        let mut r = std::mem::take(&mut self.resampled);
        resample_into(s, &FINE, 2, &mut r);
        let good = self.encode_resampled(&r, out);
        self.resampled = r;
        good
    }

    fn encode_resampled(&mut self, r: &Resampled, out: &mut Encoded) -> bool {
        let n = r.flux.len();
        out.good = r.ivar.iter().filter(|v| **v > 0.0).count();
        if out.good < MIN_PIXELS || n < 2 {
            return false;
        }
        let (x, s, work) = (&mut self.x, &mut self.s, &mut self.work);
        refill(
            work,
            r.flux
                .iter()
                .zip(&r.ivar)
                .filter(|(_, v)| **v > 0.0)
                .map(|(f, _)| f.abs()),
        );
        let scale = median(work);
        if !(scale.is_finite() && scale > 0.0) {
            return false;
        }
        refill(x, r.flux.iter().map(|f| (f / scale).clamp(-1e4, 1e4)));
        // √ivar may over- or underflow in f32 when fluxes are in cgs: take the square root first.
        refill(s, r.ivar.iter().map(|v| (v.sqrt() * scale).min(1e4)));
        refill(work, s.iter().filter(|s| **s > 0.0).map(|s| s * s));
        let cap = 4.0 * median(work);
        refill(&mut self.weight, s.iter().map(|s| (s * s).min(cap)));
        prefix_sums(x, &self.weight, &mut self.sums);
        running_mean(&self.sums, NEAR, &mut self.near);
        running_mean(&self.sums, FAR, &mut self.far);
        let (near, far) = (&self.near, &self.far);
        // Channel by channel, so that the functions run over whole slices; then interleaved.
        let [p0, p1, p2, p3, p4, p5] = &mut self.planes;
        refill(p0, (0..n).map(|i| (x[i] - near[i]) * s[i]));
        refill(p1, (0..n).map(|i| 3.0 * (x[i] - near[i])));
        refill(p2, x.iter().copied());
        refill(p3, s.iter().map(|s| 1.0 + s));
        refill(p4, (0..n).map(|i| 3.0 * (near[i] - far[i])));
        refill(p5, (0..n).map(|i| x[i] * s[i]));
        ln(p3);
        [&mut *p0, p1, p2, p4, p5]
            .into_iter()
            .for_each(|p| asinh(p));
        let width = (r.native_width.max(0.1)).ln() * 0.4;
        out.channels.clear();
        out.channels.resize(n * 8, 0.0);
        for (i, o) in out.channels.chunks_exact_mut(8).enumerate() {
            if s[i] > 0.0 {
                o.copy_from_slice(&[
                    p0[i],
                    p1[i],
                    p2[i],
                    p3[i] / 3.0,
                    1.0,
                    p4[i],
                    width,
                    p5[i] / 3.0,
                ]);
            }
        }
        refill(
            &mut out.coverage,
            s.chunks_exact(2)
                .map(|p| 0.5 * p.iter().filter(|s| **s > 0.0).count() as f32),
        );
        out.offset = r.first / 2;
        out.native_width = r.native_width;
        // Two fine pixels to one; coarse native pixels were repeated on the fine grid: each may
        // count once only.
        let repeat = r.native_width.max(1.0);
        let pair = |(x, s): (&[f32], &[f32])| {
            let (a, b) = (s[0] * s[0], s[1] * s[1]);
            if a + b > 0.0 {
                ((x[0] * a + x[1] * b) / (a + b), (a + b) / repeat)
            } else {
                (0.0, 0.0)
            }
        };
        refill(
            &mut out.data,
            x.chunks_exact(2).zip(s.chunks_exact(2)).map(pair),
        );
        true
    }
}

fn refill<T>(v: &mut Vec<T>, values: impl Iterator<Item = T>) {
    v.clear();
    v.extend(values);
}

/// Σ x·w and Σ w up to each pixel.
fn prefix_sums(x: &[f32], w: &[f32], sums: &mut [Vec<f64>; 2]) {
    let (mut a, mut b) = (0.0f64, 0.0f64);
    let [sx, sw] = sums;
    sx.clear();
    sw.clear();
    sx.push(a);
    sw.push(b);
    for (x, w) in x.iter().zip(w) {
        // Single wild pixels (cosmic rays) must not move the continuum.
        a += f64::from(x.clamp(-30.0, 30.0) * w);
        b += f64::from(*w);
        sx.push(a);
        sw.push(b);
    }
}

/// Weighted mean over ±`half` pixels; where no pixel has weight, 0.
fn running_mean([sx, sw]: &[Vec<f64>; 2], half: usize, out: &mut Vec<f32>) {
    let n = sx.len() - 1;
    let mean = |i: usize| {
        let (a, b) = (i.saturating_sub(half), (i + half + 1).min(n));
        let weight = sw[b] - sw[a];
        if weight > 1e-12 {
            ((sx[b] - sx[a]) / weight) as f32
        } else {
            0.0
        }
    };
    refill(out, (0..n).map(mean));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spectrum(scale: f32, shift: f64) -> Spectrum {
        let wave: Vec<f64> = (0..3000)
            .map(|i| FINE.wave(2000.0 + shift + f64::from(i)))
            .collect();
        let flux: Vec<f32> = (0..3000)
            .map(|i| scale * (2.0 + (i as f32 * 0.05).sin()))
            .collect();
        Spectrum::new(wave, flux, vec![25.0 / (scale * scale); 3000], &[]).unwrap()
    }

    #[test]
    fn units_do_not_matter() {
        let a = encode(&spectrum(1.0, 0.0)).unwrap();
        let b = encode(&spectrum(3e-17, 0.0)).unwrap();
        assert!(
            a.channels
                .iter()
                .zip(&b.channels)
                .all(|(a, b)| (a - b).abs() < 1e-3)
        );
    }

    #[test]
    fn a_shift_of_wavelength_is_a_shift_of_input() {
        let a = encode(&spectrum(1.0, 0.0)).unwrap();
        let b = encode(&spectrum(1.0, 14.0)).unwrap();
        assert_eq!(b.offset, a.offset + 7);
        assert!(
            a.channels
                .iter()
                .zip(&b.channels)
                .all(|(a, b)| (a - b).abs() < 1e-2)
        );
    }

    #[test]
    fn too_little_is_refused() {
        let mut s = spectrum(1.0, 0.0);
        s.ivar.iter_mut().skip(30).for_each(|v| *v = 0.0);
        assert!(encode(&s).is_none());
    }
}
