//! The grid uniform in log λ, on which a redshift is a shift, and the resampler onto it.

use crate::spectrum::Spectrum;

/// A grid uniform in log₁₀ λ: pixel `i` is centred on `10^(start + i·step)` Å.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LogGrid {
    /// log₁₀ of the first wavelength in Å.
    pub start: f64,
    /// Step in log₁₀ λ.
    pub step: f64,
    /// Number of pixels.
    pub len: usize,
}

impl LogGrid {
    /// Centre of pixel `i` (fractions allowed), Å.
    pub fn wave(&self, i: f64) -> f64 {
        10f64.powf(self.start + i * self.step)
    }
    /// Fractional pixel of a wavelength in Å.
    pub fn position(&self, wave: f64) -> f64 {
        (wave.log10() - self.start) / self.step
    }
    /// The `len + 1` pixel edges from pixel `first`, Å.
    pub fn edges(&self, first: usize, len: usize) -> Vec<f64> {
        // One exact power every 64 pixels, products between: 1e-13 relative.
        let ratio = 10f64.powf(self.step);
        let mut out = Vec::with_capacity(len + 1);
        let mut at = 0.0;
        for i in 0..=len {
            at = if i % 64 == 0 {
                self.wave((first + i) as f64 - 0.5)
            } else {
                at * ratio
            };
            out.push(at);
        }
        out
    }
}

/// Pixel edges half-way between centres; the outer ones mirror their neighbours.
pub fn edges(wave: &[f64]) -> Vec<f64> {
    let n = wave.len();
    if n < 2 {
        return wave.iter().flat_map(|w| [w - 0.5, w + 0.5]).collect();
    }
    let mut out = Vec::with_capacity(n + 1);
    out.push(wave[0] - 0.5 * (wave[1] - wave[0]));
    out.extend(wave.windows(2).map(|w| 0.5 * (w[0] + w[1])));
    out.push(wave[n - 1] + 0.5 * (wave[n - 1] - wave[n - 2]));
    out
}

/// Flux and inverse variance.
type Bridged = (Vec<f32>, Vec<f32>);

/// Puts a pixel without weight into every gap (a step of more than 1.6 times its neighbours), so
/// that the pixels beside it are not stretched across. Returns the edges and, where there are gaps,
/// the flux and inverse variance with those pixels.
fn bridge_gaps(s: &Spectrum) -> (Vec<f64>, Option<Bridged>) {
    let w = &s.wave;
    let step = |i: usize| w[i + 1] - w[i];
    let wide = |i: usize| {
        let before = if i > 0 { step(i - 1) } else { f64::INFINITY };
        let after = if i + 2 < w.len() {
            step(i + 1)
        } else {
            f64::INFINITY
        };
        let near = if before.min(after).is_finite() {
            before.min(after)
        } else {
            step(i)
        };
        (step(i) > 1.6 * near).then_some((
            if before.is_finite() { before } else { near },
            if after.is_finite() { after } else { near },
            near,
        ))
    };
    let gaps: Vec<(usize, f64, f64)> = (0..w.len().saturating_sub(1))
        .filter_map(|i| wide(i).map(|(b, a, n)| (i, b.min(1.6 * n), a.min(1.6 * n))))
        .collect();
    let plain = edges(w);
    if gaps.is_empty() {
        return (plain, None);
    }
    let (mut out, mut flux, mut ivar) = (vec![plain[0]], vec![], vec![]);
    let mut at = gaps.iter().peekable();
    for i in 0..w.len() {
        flux.push(s.flux[i]);
        ivar.push(s.ivar[i]);
        match at.peek() {
            Some((g, before, after)) if *g == i => {
                out.push(w[i] + 0.5 * before);
                out.push(w[i + 1] - 0.5 * after);
                flux.push(0.0);
                ivar.push(0.0);
                at.next();
            }
            _ => out.push(plain[i + 1]),
        }
    }
    (out, Some((flux, ivar)))
}

/// Rebins flux density from pixels with `from` edges to pixels with `to` edges (both ascending).
///
/// An output pixel is the mean of the good input pixels (`ivar > 0`) weighted by overlap o:
/// f = Σ o f / Σ o, var = Σ o² var / (Σ o)²; so Σ f Δλ is conserved where all input is good,
/// and variance is propagated. (Neighbouring outputs that share an input pixel are
/// correlated, as in every resampling.) Where good pixels cover less than half of an output pixel
/// its inverse variance and flux are 0.
pub fn rebin(
    from: &[f64],
    flux: &[f32],
    ivar: &[f32],
    to: &[f64],
    out_flux: &mut Vec<f32>,
    out_ivar: &mut Vec<f32>,
) {
    let n = flux.len();
    debug_assert!(from.len() == n + 1 && ivar.len() == n);
    out_flux.clear();
    out_ivar.clear();
    let mut i = 0;
    for pair in to.windows(2) {
        let (lo, hi) = (pair[0], pair[1]);
        while i < n && from[i + 1] <= lo {
            i += 1;
        }
        let (mut cover, mut sum, mut var) = (0.0f64, 0.0f64, 0.0f64);
        let mut j = i;
        while j < n && from[j] < hi {
            if ivar[j] > 0.0 {
                let o = hi.min(from[j + 1]) - lo.max(from[j]);
                cover += o;
                sum += o * f64::from(flux[j]);
                var += o * o / f64::from(ivar[j]);
            }
            j += 1;
        }
        if cover >= 0.5 * (hi - lo) {
            out_flux.push((sum / cover) as f32);
            out_ivar.push((cover * cover / var) as f32);
        } else {
            out_flux.push(0.0);
            out_ivar.push(0.0);
        }
    }
}

/// A spectrum on a window of a [`LogGrid`].
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Resampled {
    /// First pixel of the window on the grid.
    pub first: usize,
    /// Flux of the pixels.
    pub flux: Vec<f32>,
    /// Inverse variances; 0 where there are no data.
    pub ivar: Vec<f32>,
    /// Mean width of the native pixels in grid pixels.
    pub native_width: f32,
}

/// Resamples the good part of a spectrum onto the grid; the window begins at a multiple of
/// `align` and has a multiple of it pixels. An empty window means nothing falls on the grid.
pub fn resample(s: &Spectrum, grid: &LogGrid, align: usize) -> Resampled {
    let mut out = Resampled::default();
    resample_into(s, grid, align, &mut out);
    out
}

/// As [`resample`], into buffers to reuse.
pub fn resample_into(s: &Spectrum, grid: &LogGrid, align: usize, out: &mut Resampled) {
    out.flux.clear();
    out.ivar.clear();
    (out.first, out.native_width) = (0, 0.0);
    let good = |v: &f32| *v > 0.0;
    let (Some(a), Some(b)) = (s.ivar.iter().position(good), s.ivar.iter().rposition(good)) else {
        return;
    };
    let (from, bridged) = bridge_gaps(s);
    let (flux, ivar) = bridged.as_ref().map_or((&s.flux, &s.ivar), |(f, v)| (f, v));
    let (Some(p), Some(q)) = (ivar.iter().position(good), ivar.iter().rposition(good)) else {
        return;
    };
    let lo = grid.position(from[p].max(1e-3)).max(-0.5);
    let hi = grid
        .position(from[q + 1].max(1e-3))
        .min(grid.len as f64 - 0.5);
    if hi - lo < 1.0 {
        return;
    }
    let first = ((lo + 0.5 + 1e-3).floor().max(0.0) as usize) / align * align;
    let last = ((hi + 0.5 - 1e-3).ceil() as usize).min(grid.len);
    let len = (last - first).next_multiple_of(align).min(grid.len - first);
    out.first = first;
    rebin(
        &from,
        flux,
        ivar,
        &grid.edges(first, len),
        &mut out.flux,
        &mut out.ivar,
    );
    out.native_width =
        ((grid.position(s.wave[b]) - grid.position(s.wave[a])) / (b - a).max(1) as f64) as f32;
}

/// Each value x to 10^x, for |x| below 300: 2^n by its bits, the rest by a Taylor series. Relative
/// error below 10⁻¹⁵ (1 + |x|); vectorises where `powf` is a call for each.
pub fn exp10(values: &mut [f64]) {
    /// Adding and subtracting it rounds to the nearest integer.
    const ROUND: f64 = 6_755_399_441_055_744.0;
    for v in values {
        let y = v.clamp(-300.0, 300.0) * std::f64::consts::LOG2_10;
        let n = (y + ROUND) - ROUND;
        let r = (y - n) * std::f64::consts::LN_2;
        let mut p = 1.0 / 6_227_020_800.0;
        for factorial in [
            479_001_600.0,
            39_916_800.0,
            3_628_800.0,
            362_880.0,
            40_320.0,
            5040.0,
            720.0,
            120.0,
            24.0,
            6.0,
            2.0,
            1.0,
            1.0,
        ] {
            p = p * r + 1.0 / factorial;
        }
        *v = p * f64::from_bits(((n as i64 + 1023) as u64) << 52);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// Flux is conserved and, for pixels that nest, variance is that of the sum.
        #[test]
        fn conserves_flux(values in prop::collection::vec(-5.0f32..5.0, 30..120), start in 3000.0f64..9000.0, step in 0.3f64..20.0, factor in 0.1f64..7.0) {
            let n = values.len();
            let from: Vec<f64> = (0..=n).map(|i| start + step * i as f64).collect();
            let m = (n as f64 / factor).floor() as usize;
            prop_assume!(m > 1);
            let to: Vec<f64> = (0..=m).map(|i| start + step * factor * i as f64).collect();
            let ivar = vec![4.0; n];
            let (mut f, mut v) = (vec![], vec![]);
            rebin(&from, &values, &ivar, &to, &mut f, &mut v);
            let total: f64 = f.iter().map(|x| f64::from(*x) * step * factor).sum();
            let end = to[m];
            let want: f64 = (0..n).map(|i| f64::from(values[i]) * (end.min(from[i + 1]) - from[i].min(end)).max(0.0)).sum();
            prop_assert!((total - want).abs() < 1e-3 * (1.0 + step * n as f64));
            // An estimate of the mean is never claimed worse than one pixel's.
            prop_assert!(v.iter().all(|v| *v >= 3.99));
            // Where output pixels nest, the variance is that of the mean of the pixels inside.
            let whole = factor.ceil() as usize;
            let nested: Vec<f64> = (0..=n / whole).map(|i| start + step * (whole * i) as f64).collect();
            rebin(&from, &values, &ivar, &nested, &mut f, &mut v);
            prop_assert!(v.iter().all(|v| (f64::from(*v) - 4.0 * whole as f64).abs() < 0.01 * whole as f64));
        }

        /// Bad pixels never leak: changing their flux changes nothing.
        #[test]
        fn bad_pixels_do_not_leak(bad in prop::collection::vec(any::<bool>(), 60), junk in -1e30f32..1e30) {
            let wave: Vec<f64> = (0..60).map(|i| 5000.0 + 2.0 * f64::from(i)).collect();
            let make = |fill: f32| {
                let flux = bad.iter().map(|b| if *b { fill } else { 1.5 }).collect();
                let ivar = bad.iter().map(|b| if *b { 0.0 } else { 1.0 }).collect();
                Spectrum::new(wave.clone(), flux, ivar, &[]).unwrap()
            };
            let grid = LogGrid { start: 3.4, step: 1e-4, len: 13000 };
            let (a, b) = (resample(&make(1.5), &grid, 2), resample(&make(junk), &grid, 2));
            prop_assert_eq!(&a, &b);
            prop_assert!(a.flux.iter().zip(&a.ivar).all(|(f, v)| *v == 0.0 || (f - 1.5).abs() < 1e-5));
        }
    }

    #[test]
    fn powers_of_ten() {
        let x: Vec<f64> = (-2900..2900)
            .map(|i| f64::from(i) * 0.1034)
            .chain([0.0, 3.6, 3.987_654_321])
            .collect();
        let mut y = x.clone();
        exp10(&mut y);
        for (x, y) in x.iter().zip(y) {
            let want = 10f64.powf(*x);
            assert!(
                (y - want).abs() <= 2e-15 * (1.0 + x.abs()) * want,
                "{x}: {y} {want}"
            );
        }
    }

    /// Pixels beside a gap keep their own width.
    #[test]
    fn gaps_have_no_coverage() {
        let grid = LogGrid {
            start: 3.4,
            step: 1e-4,
            len: 13000,
        };
        let wave: Vec<f64> = (0..30)
            .map(|i| 5000.0 + f64::from(i))
            .chain((0..30).map(|i| 8000.0 + f64::from(i)))
            .collect();
        let s = Spectrum::new(wave, vec![1.0; 60], vec![1.0; 60], &[]).unwrap();
        let r = resample(&s, &grid, 2);
        let good = r.ivar.iter().filter(|v| **v > 0.0).count();
        assert!(
            (38..=46).contains(&good),
            "{good}: 30 Å at 5000 Å and 30 Å at 8000 Å of 69 km/s"
        );
        let single: Vec<f64> = (0..60)
            .filter(|i| *i != 20)
            .map(|i| 5000.0 + 2.0 * f64::from(i))
            .collect();
        let s = Spectrum::new(single, vec![1.0; 59], vec![1.0; 59], &[]).unwrap();
        assert!(
            resample(&s, &grid, 2)
                .ivar
                .iter()
                .filter(|v| **v == 0.0)
                .count()
                >= 1
        );
    }

    #[test]
    fn the_same_grid_is_the_identity() {
        let grid = LogGrid {
            start: 3.4,
            step: 1e-4,
            len: 13000,
        };
        let wave: Vec<f64> = (2000..3000).map(|i| grid.wave(f64::from(i))).collect();
        let flux: Vec<f32> = (0..1000).map(|i| (i as f32 * 0.7).sin()).collect();
        let s = Spectrum::new(wave, flux.clone(), vec![2.0; 1000], &[]).unwrap();
        let r = resample(&s, &grid, 2);
        assert_eq!(r.first, 2000);
        assert!((r.native_width - 1.0).abs() < 1e-3);
        for (a, b) in r.flux.iter().zip(&flux).skip(2).take(990) {
            assert!((a - b).abs() < 2e-3, "{a} {b}");
        }
    }
}
