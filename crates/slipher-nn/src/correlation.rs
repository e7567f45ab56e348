//! Correlation of feature maps with learned patterns at every lag, by FFT.
//!
//! c[p][ℓ] = Σ_k Σ_i f[i][k] · w[p][k][i − ℓ]
//!
//! `i` is the position on the absolute (observed) grid, `j = i − ℓ` on the pattern's (rest)
//! grid, kept modulo the transform length; the length exceeds grid + lags, so nothing wraps
//! onto a lag that is used. This is the cross-correlation of Tonry & Davis (1979) with
//! learned filters. Sixteen channels, as everywhere.

use std::sync::Arc;

use rayon::prelude::*;
use realfft::num_complex::Complex32;
use realfft::{ComplexToReal, RealFftPlanner, RealToComplex};

use crate::conv1d::Rows;
use crate::dispatch;
use crate::lanes::{Isa, Lanes, WIDTH};

/// Floats per frequency of a feature spectrum: 16 real parts, then 16 imaginary parts.
const PAIR: usize = 2 * WIDTH;

/// Plan of one correlation: transform length, lags and number of patterns.
#[derive(Clone)]
pub struct Correlation {
    nfft: usize,
    min_lag: i32,
    lags: usize,
    patterns: usize,
    fft: Arc<dyn RealToComplex<f32>>,
    inverse: Arc<dyn ComplexToReal<f32>>,
}

/// Buffers of one transform, reused between spectra.
#[derive(Clone, Debug, Default)]
pub struct Scratch {
    real: Vec<f32>,
    freq: Vec<Complex32>,
    fft: Vec<Complex32>,
    products: Vec<f32>,
}

impl Correlation {
    /// Lags are `min_lag .. min_lag + lags`; `grid` is the length of the observed grid.
    pub fn new(nfft: usize, grid: usize, min_lag: i32, lags: usize, patterns: usize) -> Self {
        assert!(grid + lags <= nfft, "transform shorter than grid + lags");
        let mut planner = RealFftPlanner::<f32>::new();
        Correlation { nfft, min_lag, lags, patterns, fft: planner.plan_fft_forward(nfft), inverse: planner.plan_fft_inverse(nfft) }
    }

    /// Frequencies of the real transform.
    pub fn frequencies(&self) -> usize {
        self.nfft / 2 + 1
    }
    pub fn lags(&self) -> usize {
        self.lags
    }
    pub fn patterns(&self) -> usize {
        self.patterns
    }
    /// Number of pattern weights, `[pattern][channel][rest position mod nfft]`.
    pub fn weights(&self) -> usize {
        self.patterns * WIDTH * self.nfft
    }

    fn scratch(&self, s: &mut Scratch) {
        s.real.resize(self.nfft, 0.0);
        s.freq.resize(self.frequencies(), Complex32::default());
        let n = self.fft.get_scratch_len().max(self.inverse.get_scratch_len());
        s.fft.resize(n, Complex32::default());
    }

    fn forward_fft(&self, s: &mut Scratch) {
        let n = self.fft.get_scratch_len();
        self.fft.process_with_scratch(&mut s.real, &mut s.freq, &mut s.fft[..n]).expect("buffers have the planned lengths");
    }

    fn inverse_fft(&self, s: &mut Scratch) {
        s.freq[0].im = 0.0;
        if self.nfft.is_multiple_of(2) {
            s.freq[self.nfft / 2].im = 0.0;
        }
        let n = self.inverse.get_scratch_len();
        self.inverse.process_with_scratch(&mut s.freq, &mut s.real, &mut s.fft[..n]).expect("buffers have the planned lengths");
    }

    /// Spectrum `[frequency][re16 | im16]` of sixteen feature maps that start at grid position `offset`.
    pub fn rows_spectrum(&self, rows: &Rows, offset: usize, out: &mut Vec<f32>, s: &mut Scratch) {
        assert_eq!(rows.channels(), WIDTH);
        assert!(offset + rows.len() + self.lags <= self.nfft);
        self.scratch(s);
        out.resize(self.frequencies() * PAIR, 0.0);
        for k in 0..WIDTH {
            s.real.fill(0.0);
            for (r, row) in s.real[offset..].iter_mut().zip(rows.values().chunks_exact(WIDTH)) {
                *r = row[k];
            }
            self.forward_fft(s);
            for (o, f) in out.chunks_exact_mut(PAIR).zip(&s.freq) {
                o[k] = f.re;
                o[WIDTH + k] = f.im;
            }
        }
    }

    /// Spectrum `[frequency][pattern][re16 | im16]` of the patterns.
    pub fn patterns_spectrum(&self, w: &[f32]) -> Vec<f32> {
        assert_eq!(w.len(), self.weights());
        let per_row: Vec<Vec<Complex32>> = w
            .par_chunks(self.nfft)
            .map_init(Scratch::default, |s, row| {
                self.scratch(s);
                s.real.copy_from_slice(row);
                self.forward_fft(s);
                s.freq.clone()
            })
            .collect();
        let mut out = vec![0.0; self.frequencies() * self.patterns * PAIR];
        out.par_chunks_mut(self.patterns * PAIR).enumerate().for_each(|(f, o)| {
            for p in 0..self.patterns {
                for k in 0..WIDTH {
                    let c = per_row[p * WIDTH + k][f];
                    o[p * PAIR + k] = c.re;
                    o[p * PAIR + WIDTH + k] = c.im;
                }
            }
        });
        out
    }

    /// Correlations `[pattern][lag]` from the two spectra.
    pub fn correlate(&self, isa: Isa, fspec: &[f32], wspec: &[f32], out: &mut Vec<f32>, s: &mut Scratch) {
        self.scratch(s);
        out.resize(self.patterns * self.lags, 0.0);
        let (nf, np) = (self.frequencies(), self.patterns);
        assert_eq!((fspec.len(), wspec.len()), (nf * PAIR, nf * np * PAIR));
        s.products.resize(np * nf * 2, 0.0);
        let (f, w, o) = (fspec.as_ptr(), wspec.as_ptr(), s.products.as_mut_ptr());
        dispatch!(isa, products, [1, 1, 1], (nf: usize, np: usize, f: *const f32, w: *const f32, o: *mut f32));
        for p in 0..np {
            for (c, v) in s.freq.iter_mut().zip(s.products[p * nf * 2..].chunks_exact(2)) {
                *c = Complex32::new(v[0], v[1]);
            }
            self.inverse_fft(s);
            let scale = 1.0 / self.nfft as f32;
            for (l, o) in out[p * self.lags..(p + 1) * self.lags].iter_mut().enumerate() {
                *o = s.real[self.wrap(l)] * scale;
            }
        }
    }

    fn wrap(&self, lag: usize) -> usize {
        (lag as i64 + i64::from(self.min_lag)).rem_euclid(self.nfft as i64) as usize
    }

    /// Spectrum `[pattern][frequency][re, im]` of the gradient of the correlations.
    pub fn lags_spectrum(&self, grad: &[f32], out: &mut Vec<f32>, s: &mut Scratch) {
        self.scratch(s);
        let nf = self.frequencies();
        out.resize(self.patterns * nf * 2, 0.0);
        for p in 0..self.patterns {
            s.real.fill(0.0);
            for l in 0..self.lags {
                s.real[self.wrap(l)] = grad[p * self.lags + l];
            }
            self.forward_fft(s);
            for (o, c) in out[p * nf * 2..(p + 1) * nf * 2].chunks_exact_mut(2).zip(&s.freq) {
                o[0] = c.re;
                o[1] = c.im;
            }
        }
    }

    /// Gradient of the feature maps, df[i][k] = Σ_p Σ_ℓ g[p][ℓ] w[p][k][i − ℓ].
    pub fn grad_rows(&self, isa: Isa, gspec: &[f32], wspec: &[f32], offset: usize, rows: &mut Rows, s: &mut Scratch) {
        self.scratch(s);
        let (nf, np) = (self.frequencies(), self.patterns);
        assert_eq!((gspec.len(), wspec.len()), (np * nf * 2, nf * np * PAIR));
        s.products.resize((nf * PAIR).max(np * nf * 2), 0.0);
        let (g, w, o) = (gspec.as_ptr(), wspec.as_ptr(), s.products.as_mut_ptr());
        dispatch!(isa, back_products, [1, 1, 1], (nf: usize, np: usize, g: *const f32, w: *const f32, o: *mut f32));
        let scale = 1.0 / self.nfft as f32;
        for k in 0..WIDTH {
            for (c, v) in s.freq.iter_mut().zip(s.products.chunks_exact(PAIR)) {
                *c = Complex32::new(v[k], v[WIDTH + k]);
            }
            self.inverse_fft(s);
            for (row, v) in rows.values_mut().chunks_exact_mut(WIDTH).zip(&s.real[offset..]) {
                row[k] = v * scale;
            }
        }
    }

    /// Gradient of the patterns summed over a batch, in the order of the batch.
    pub fn grad_patterns(&self, isa: Isa, fspecs: &[&[f32]], gspecs: &[&[f32]]) -> Vec<f32> {
        let (nf, np) = (self.frequencies(), self.patterns);
        let mut spec = vec![0.0f32; nf * np * PAIR];
        spec.par_chunks_mut(np * PAIR * 64).enumerate().for_each(|(chunk, out)| {
            let first = chunk * 64;
            let count = out.len() / (np * PAIR);
            for (f, g) in fspecs.iter().zip(gspecs) {
                let (f, g, o) = (f.as_ptr(), g.as_ptr(), out.as_mut_ptr());
                dispatch!(isa, outer_products, [1, 1, 1], (first: usize, count: usize, nf: usize, np: usize, f: *const f32, g: *const f32, o: *mut f32));
            }
        });
        let mut dw = vec![0.0f32; self.weights()];
        dw.par_chunks_mut(self.nfft).enumerate().for_each_init(Scratch::default, |s, (row, out)| {
            self.scratch(s);
            let (p, k) = (row / WIDTH, row % WIDTH);
            for (c, v) in s.freq.iter_mut().zip(spec.chunks_exact(np * PAIR)) {
                *c = Complex32::new(v[p * PAIR + k], v[p * PAIR + WIDTH + k]);
            }
            self.inverse_fft(s);
            let scale = 1.0 / self.nfft as f32;
            for (o, v) in out.iter_mut().zip(&s.real) {
                *o = v * scale;
            }
        });
        dw
    }
}

/// C[p] = Σ_k F[k] · conj(W[p][k]) for each frequency, written `[pattern][frequency][re, im]`.
///
/// # Safety
/// Pointers hold the lengths that `correlate` checks.
#[inline(always)]
unsafe fn products<L: Lanes, const T: usize>(nf: usize, np: usize, f: *const f32, w: *const f32, o: *mut f32) {
    unsafe {
        let zero = L::splat(0.0);
        let minus = L::splat(-1.0);
        for i in 0..nf {
            let fr = L::load(f.add(i * PAIR));
            let fi = L::load(f.add(i * PAIR + WIDTH));
            let fr_minus = zero.fma(fr, minus);
            for p in 0..np {
                let wr = L::load(w.add((i * np + p) * PAIR));
                let wi = L::load(w.add((i * np + p) * PAIR + WIDTH));
                let re = zero.fma(fr, wr).fma(fi, wi).sum();
                let im = zero.fma(fi, wr).fma(fr_minus, wi).sum();
                *o.add((p * nf + i) * 2) = re;
                *o.add((p * nf + i) * 2 + 1) = im;
            }
        }
    }
}

/// dF[k] = Σ_p G[p] · W[p][k] for each frequency.
///
/// # Safety
/// Pointers hold the lengths that `grad_rows` checks.
#[inline(always)]
unsafe fn back_products<L: Lanes, const T: usize>(nf: usize, np: usize, g: *const f32, w: *const f32, o: *mut f32) {
    unsafe {
        for i in 0..nf {
            let mut re = L::splat(0.0);
            let mut im = L::splat(0.0);
            for p in 0..np {
                let gr = *g.add((p * nf + i) * 2);
                let gi = *g.add((p * nf + i) * 2 + 1);
                let wr = L::load(w.add((i * np + p) * PAIR));
                let wi = L::load(w.add((i * np + p) * PAIR + WIDTH));
                re = re.fma(L::splat(gr), wr).fma(L::splat(-gi), wi);
                im = im.fma(L::splat(gr), wi).fma(L::splat(gi), wr);
            }
            re.store(o.add(i * PAIR));
            im.store(o.add(i * PAIR + WIDTH));
        }
    }
}

/// dW[p][k] += F[k] · conj(G[p]) for `count` frequencies from `first`.
///
/// # Safety
/// Pointers hold the lengths that `grad_patterns` lays out.
#[inline(always)]
unsafe fn outer_products<L: Lanes, const T: usize>(first: usize, count: usize, nf: usize, np: usize, f: *const f32, g: *const f32, o: *mut f32) {
    unsafe {
        for n in 0..count {
            let i = first + n;
            let fr = L::load(f.add(i * PAIR));
            let fi = L::load(f.add(i * PAIR + WIDTH));
            for p in 0..np {
                let gr = *g.add((p * nf + i) * 2);
                let gi = *g.add((p * nf + i) * 2 + 1);
                let re = o.add((n * np + p) * PAIR);
                let im = re.add(WIDTH);
                L::load(re).fma(L::splat(gr), fr).fma(L::splat(gi), fi).store(re);
                L::load(im).fma(L::splat(gr), fi).fma(L::splat(-gi), fr).store(im);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use rand::{Rng, SeedableRng};

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(12))]
        /// The FFT path equals the definition, and both gradients are its adjoints.
        #[test]
        fn agrees_with_definition(len in 1usize..60, offset in 0usize..20, min_lag in -9i32..3, seed in any::<u64>()) {
            let (nfft, grid, lags, np) = (144, 80, 40, 3);
            let c = Correlation::new(nfft, grid, min_lag, lags, np);
            let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(seed);
            let mut noise = |n: usize| (0..n).map(|_| rng.random::<f32>() - 0.5).collect::<Vec<_>>();
            let mut rows = Rows::zeros(len, WIDTH);
            rows.values_mut().copy_from_slice(&noise(len * WIDTH));
            let (w, g) = (noise(c.weights()), noise(np * lags));
            let mut s = Scratch::default();
            let (mut fspec, mut out, mut gspec) = (vec![], vec![], vec![]);
            c.rows_spectrum(&rows, offset, &mut fspec, &mut s);
            let wspec = c.patterns_spectrum(&w);
            for isa in Isa::available() {
                c.correlate(isa, &fspec, &wspec, &mut out, &mut s);
                for p in 0..np {
                    for l in 0..lags {
                        let mut want = 0.0f64;
                        for i in 0..len {
                            let j = ((offset + i) as i64 - (l as i64 + i64::from(min_lag))).rem_euclid(nfft as i64) as usize;
                            for k in 0..WIDTH {
                                want += f64::from(rows.values()[i * WIDTH + k]) * f64::from(w[(p * WIDTH + k) * nfft + j]);
                            }
                        }
                        prop_assert!((f64::from(out[p * lags + l]) - want).abs() < 1e-4);
                    }
                }
                c.lags_spectrum(&g, &mut gspec, &mut s);
                let mut drows = Rows::zeros(len, WIDTH);
                c.grad_rows(isa, &gspec, &wspec, offset, &mut drows, &mut s);
                let dw = c.grad_patterns(isa, &[&fspec], &[&gspec]);
                let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| f64::from(a * b)).sum::<f64>();
                let want = dot(&out, &g);
                prop_assert!((want - dot(rows.values(), drows.values())).abs() < 2e-3 * (1.0 + want.abs()));
                prop_assert!((want - dot(&w, &dw)).abs() < 2e-3 * (1.0 + want.abs()));
            }
        }
    }
}
