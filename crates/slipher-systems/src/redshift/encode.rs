//! A spectrum as input of the network: eight channels on the log λ grid, two fine pixels per position.
//!
//! Channels per fine pixel (x = flux / median |flux|, c = running weighted mean over ±151 pixels,
//! C = the same over ±900, s = √ivar in units of x):
//!
//! | 0 | 1 | 2 | 3 | 4 | 5 | 6 | 7 |
//! |---|---|---|---|---|---|---|---|
//! | asinh((x−c)s) | asinh 3(x−c) | asinh x | ln(1+s)/3 | covered | asinh 3(c−C) | ln native width | asinh(xs)/3 |

use slipher_data::grid::{LogGrid, Resampled, resample};
use slipher_data::spectrum::{Spectrum, median};
use slipher_nn::elementary::{asinh, ln};

/// Fine grid: log₁₀ λ from 2512 Å to 54,000 Å in steps of 10⁻⁴ (69 km/s), SDSS's own.
pub const FINE: LogGrid = LogGrid { start: 3.4, step: 1e-4, len: 13_324 };
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
}

/// Encodes a spectrum; `None` if fewer than [`MIN_PIXELS`] good pixels fall on the grid.
pub fn encode(s: &Spectrum) -> Option<Encoded> {
    encode_resampled(&resample(s, &FINE, 2))
}

/// As [`encode`], from a spectrum already on the grid.
pub fn encode_resampled(r: &Resampled) -> Option<Encoded> {
    let n = r.flux.len();
    let good = r.ivar.iter().filter(|v| **v > 0.0).count();
    if good < MIN_PIXELS || n < 2 {
        return None;
    }
    let mut work: Vec<f32> = r.flux.iter().zip(&r.ivar).filter(|(_, v)| **v > 0.0).map(|(f, _)| f.abs()).collect();
    let scale = median(&mut work);
    if !(scale.is_finite() && scale > 0.0) {
        return None;
    }
    let x: Vec<f32> = r.flux.iter().map(|f| (f / scale).clamp(-1e4, 1e4)).collect();
    // √ivar may over- or underflow in f32 when fluxes are in cgs: take the square root first.
    let s: Vec<f32> = r.ivar.iter().map(|v| (v.sqrt() * scale).min(1e4)).collect();
    work.clear();
    work.extend(s.iter().filter(|s| **s > 0.0).map(|s| s * s));
    let cap = 4.0 * median(&mut work);
    let weight: Vec<f32> = s.iter().map(|s| (s * s).min(cap)).collect();
    let near = running_mean(&x, &weight, NEAR);
    let far = running_mean(&x, &weight, FAR);
    let width = (r.native_width.max(0.1)).ln() * 0.4;
    // Channel by channel, so that the functions run over whole slices; then interleaved.
    let d: Vec<f32> = x.iter().zip(&near).map(|(x, c)| x - c).collect();
    let mut planes: [Vec<f32>; 6] = [
        d.iter().zip(&s).map(|(d, s)| d * s).collect(),
        d.iter().map(|d| 3.0 * d).collect(),
        x.clone(),
        s.iter().map(|s| 1.0 + s).collect(),
        near.iter().zip(&far).map(|(c, f)| 3.0 * (c - f)).collect(),
        x.iter().zip(&s).map(|(x, s)| x * s).collect(),
    ];
    for (i, p) in planes.iter_mut().enumerate() {
        if i == 3 { ln(p) } else { asinh(p) }
    }
    let mut channels = vec![0.0f32; n * 8];
    for (i, o) in channels.chunks_exact_mut(8).enumerate() {
        if s[i] > 0.0 {
            let [a, b, c, d, e, f] = [0, 1, 2, 3, 4, 5].map(|k| planes[k][i]);
            o.copy_from_slice(&[a, b, c, d / 3.0, 1.0, e, width, f / 3.0]);
        }
    }
    let coverage = s.chunks_exact(2).map(|p| 0.5 * p.iter().filter(|s| **s > 0.0).count() as f32).collect();
    Some(Encoded { offset: r.first / 2, channels, coverage, good })
}

/// Weighted mean over ±`half` pixels, by prefix sums; where no pixel has weight, 0.
fn running_mean(x: &[f32], w: &[f32], half: usize) -> Vec<f32> {
    let n = x.len();
    let (mut sx, mut sw) = (vec![0.0f64; n + 1], vec![0.0f64; n + 1]);
    for i in 0..n {
        // Single wild pixels (cosmic rays) must not move the continuum.
        sx[i + 1] = sx[i] + f64::from(x[i].clamp(-30.0, 30.0) * w[i]);
        sw[i + 1] = sw[i] + f64::from(w[i]);
    }
    (0..n)
        .map(|i| {
            let (a, b) = (i.saturating_sub(half), (i + half + 1).min(n));
            let weight = sw[b] - sw[a];
            if weight > 1e-12 { ((sx[b] - sx[a]) / weight) as f32 } else { 0.0 }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spectrum(scale: f32, shift: f64) -> Spectrum {
        let wave: Vec<f64> = (0..3000).map(|i| FINE.wave(2000.0 + shift + f64::from(i))).collect();
        let flux: Vec<f32> = (0..3000).map(|i| scale * (2.0 + (i as f32 * 0.05).sin())).collect();
        Spectrum::new(wave, flux, vec![25.0 / (scale * scale); 3000], &[]).unwrap()
    }

    #[test]
    fn units_do_not_matter() {
        let a = encode(&spectrum(1.0, 0.0)).unwrap();
        let b = encode(&spectrum(3e-17, 0.0)).unwrap();
        assert!(a.channels.iter().zip(&b.channels).all(|(a, b)| (a - b).abs() < 1e-3));
    }

    #[test]
    fn a_shift_of_wavelength_is_a_shift_of_input() {
        let a = encode(&spectrum(1.0, 0.0)).unwrap();
        let b = encode(&spectrum(1.0, 14.0)).unwrap();
        assert_eq!(b.offset, a.offset + 7);
        assert!(a.channels.iter().zip(&b.channels).all(|(a, b)| (a - b).abs() < 1e-2));
    }

    #[test]
    fn too_little_is_refused() {
        let mut s = spectrum(1.0, 0.0);
        s.ivar.iter_mut().skip(30).for_each(|v| *v = 0.0);
        assert!(encode(&s).is_none());
    }
}
