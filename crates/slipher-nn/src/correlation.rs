//! Correlation of feature maps with learned patterns at every lag, by FFT.
//!
//! `c[p][ℓ] = Σ_k Σ_i f[i][k] · w[p][k][i − ℓ]`
//!
//! `i` is the position on the absolute (observed) grid, `j = i − ℓ` on the pattern's (rest)
//! grid, kept modulo the transform length; the length exceeds grid + lags, so nothing wraps
//! onto a lag that is used. This is the cross-correlation of Tonry & Davis (1979) with
//! learned filters. Sixteen channels, as everywhere; in the products of spectra the patterns lie
//! in vector lanes, and several spectra share each pass over the patterns, which is what the
//! memory is slow at.

use rayon::prelude::*;

use crate::fft::{self, LaneFft, PAIR};
use crate::lanes::{Isa, Lanes, WIDTH, on};
use crate::maps::Maps;

/// Plan of one correlation: transform length, lags and number of patterns.
#[derive(Clone, Debug)]
pub struct Correlation {
    plan: LaneFft,
    min_lag: i32,
    lags: usize,
    patterns: usize,
}

/// Buffers of one correlation, reused between spectra.
#[derive(Clone, Debug, Default)]
pub struct Scratch {
    series: Vec<f32>,
    spectrum: Vec<f32>,
    products: Vec<f32>,
    fft: fft::Scratch,
}

/// Spectra of the patterns, in the orders of the forward and the backward pass.
#[derive(Clone, Debug, Default)]
pub struct PatternSpectra {
    /// `[16 patterns][frequency][channel][re 16 | im 16]`, a pattern a lane.
    by_pattern: Vec<f32>,
    /// `[frequency][pattern][re 16 | im 16]`, a channel a lane.
    by_channel: Vec<f32>,
}

impl PatternSpectra {
    /// Frees what only the backward pass needs.
    pub fn for_prediction(mut self) -> Self {
        self.by_channel = vec![];
        self
    }
}

/// Most spectra that share a pass over the patterns.
pub const TOGETHER: usize = 8;

impl Correlation {
    /// Lags are `min_lag .. min_lag + lags`; `grid` is the length of the observed grid.
    ///
    /// # Panics
    /// If `nfft` is shorter than grid + lags, or not 2 · 2^a 3^b 5^c.
    pub fn new(nfft: usize, grid: usize, min_lag: i32, lags: usize, patterns: usize) -> Self {
        assert!(grid + lags <= nfft, "transform shorter than grid + lags");
        Correlation {
            plan: LaneFft::new(nfft),
            min_lag,
            lags,
            patterns,
        }
    }

    fn nfft(&self) -> usize {
        self.plan.len()
    }
    /// Frequencies of the real transform.
    pub fn frequencies(&self) -> usize {
        self.plan.frequencies()
    }
    /// Number of lags.
    pub fn lags(&self) -> usize {
        self.lags
    }
    /// Number of patterns.
    pub fn patterns(&self) -> usize {
        self.patterns
    }
    fn blocks(&self) -> usize {
        self.patterns.div_ceil(WIDTH)
    }
    /// Number of pattern weights, `[pattern][channel][rest position mod nfft]`.
    pub fn weights(&self) -> usize {
        self.patterns * WIDTH * self.nfft()
    }
    fn wrap(&self, lag: usize) -> usize {
        (lag as i64 + i64::from(self.min_lag)).rem_euclid(self.nfft() as i64) as usize
    }

    /// The same correlation for windows that lie in grid positions `first .. first + grid`: a
    /// shorter transform, with `first` as its position 0; and the part of the pattern weights it
    /// needs. None if it would not be much shorter.
    pub fn windowed(
        &self,
        w: &[f32],
        first: usize,
        grid: usize,
    ) -> Option<(Correlation, Vec<f32>)> {
        assert_eq!(w.len(), self.weights());
        let nfft = (grid + self.lags..self.nfft() * 9 / 10).find(|n| LaneFft::fits(*n))?;
        let short = Correlation {
            plan: LaneFft::new(nfft),
            min_lag: self.min_lag,
            lags: self.lags,
            patterns: self.patterns,
        };
        let cut = self.cut(w, first, grid, nfft);
        Some((short, cut))
    }

    /// The part of the pattern weights that windows within grid positions `first .. first + grid`
    /// reach, for a transform of length `nfft` in which `first` is position 0.
    pub fn cut(&self, w: &[f32], first: usize, grid: usize, nfft: usize) -> Vec<f32> {
        assert!(grid + self.lags <= nfft && w.len() == self.weights());
        let mut cut = vec![0.0; self.patterns * WIDTH * nfft];
        let (lo, hi) = (
            1 - i64::from(self.min_lag) - self.lags as i64,
            grid as i64 - i64::from(self.min_lag),
        );
        for (to, from) in cut.chunks_exact_mut(nfft).zip(w.chunks_exact(self.nfft())) {
            for j in lo..hi {
                to[j.rem_euclid(nfft as i64) as usize] =
                    from[(first as i64 + j).rem_euclid(self.nfft() as i64) as usize];
            }
        }
        cut
    }

    /// Spectrum `[frequency][re 16 | im 16]` of sixteen feature maps that start at grid position
    /// `offset`.
    pub fn rows_spectrum(
        &self,
        isa: Isa,
        rows: &Maps,
        offset: usize,
        out: &mut Vec<f32>,
        s: &mut Scratch,
    ) {
        let len = rows.shape().width;
        assert_eq!((rows.shape().channels, rows.shape().height), (WIDTH, 1));
        assert!(offset + len + self.lags <= self.nfft());
        s.series.resize(self.nfft() * WIDTH, 0.0);
        s.series[..offset * WIDTH].fill(0.0);
        s.series[offset * WIDTH..(offset + len) * WIDTH].copy_from_slice(rows.row(0, 0));
        s.series[(offset + len) * WIDTH..].fill(0.0);
        self.plan.forward(isa, &mut s.series, out, &mut s.fft);
    }

    /// Spectra of the patterns `w` = `[pattern][channel][rest position mod nfft]`.
    pub fn patterns_spectrum(&self, isa: Isa, w: &[f32]) -> PatternSpectra {
        assert_eq!(w.len(), self.weights());
        let (n, nf, np) = (self.nfft(), self.frequencies(), self.patterns);
        let spectra: Vec<Vec<f32>> = w
            .par_chunks(n * WIDTH)
            .map_init(Scratch::default, |s, planes| {
                s.series.resize(n * WIDTH, 0.0);
                for (k, plane) in planes.chunks_exact(n).enumerate() {
                    s.series[k..]
                        .iter_mut()
                        .step_by(WIDTH)
                        .zip(plane)
                        .for_each(|(o, v)| *o = *v);
                }
                let mut out = vec![];
                self.plan.forward(isa, &mut s.series, &mut out, &mut s.fft);
                out
            })
            .collect();
        let mut by_channel = vec![0.0; nf * np * PAIR];
        by_channel
            .par_chunks_mut(np * PAIR)
            .enumerate()
            .for_each(|(f, o)| {
                for (p, spectrum) in spectra.iter().enumerate() {
                    o[p * PAIR..(p + 1) * PAIR]
                        .copy_from_slice(&spectrum[f * PAIR..(f + 1) * PAIR]);
                }
            });
        let mut by_pattern = vec![0.0; self.blocks() * nf * WIDTH * PAIR];
        by_pattern
            .par_chunks_mut(WIDTH * PAIR)
            .enumerate()
            .for_each(|(i, o)| {
                let (block, f) = (i / nf, i % nf);
                for (lane, spectrum) in spectra[block * WIDTH..].iter().take(WIDTH).enumerate() {
                    for k in 0..WIDTH {
                        o[k * PAIR + lane] = spectrum[f * PAIR + k];
                        o[k * PAIR + WIDTH + lane] = spectrum[f * PAIR + WIDTH + k];
                    }
                }
            });
        PatternSpectra {
            by_pattern,
            by_channel,
        }
    }

    /// Correlations `[pattern][lag]` of each of the feature spectra, into `outs`.
    pub fn correlate(
        &self,
        isa: Isa,
        features: &[&[f32]],
        patterns: &PatternSpectra,
        outs: &mut [&mut Vec<f32>],
        s: &mut Scratch,
    ) {
        assert_eq!(features.len(), outs.len());
        let (nf, size) = (self.frequencies(), self.frequencies() * PAIR);
        for (together, outs) in features.chunks(TOGETHER).zip(outs.chunks_mut(TOGETHER)) {
            assert!(together.iter().all(|f| f.len() == size));
            s.products.resize(together.len() * size, 0.0);
            outs.iter_mut()
                .for_each(|o| o.resize(self.patterns * self.lags, 0.0));
            for block in 0..self.blocks() {
                let w = &patterns.by_pattern
                    [block * nf * WIDTH * PAIR..(block + 1) * nf * WIDTH * PAIR];
                products(isa, together, w, &mut s.products);
                for (product, out) in s.products.chunks_exact(size).zip(outs.iter_mut()) {
                    self.plan.inverse(isa, product, &mut s.series, &mut s.fft);
                    self.lags_of(&s.series, block, out);
                }
            }
        }
    }

    /// The used lags of sixteen patterns, from `[position][pattern]` to `[pattern][lag]`.
    fn lags_of(&self, series: &[f32], block: usize, out: &mut [f32]) {
        let scale = 1.0 / self.nfft() as f32;
        let first = block * WIDTH;
        let count = (self.patterns - first).min(WIDTH);
        for l in 0..self.lags {
            let row = &series[self.wrap(l) * WIDTH..][..count];
            for (p, v) in row.iter().enumerate() {
                out[(first + p) * self.lags + l] = v * scale;
            }
        }
    }

    /// Spectrum `[16 patterns][frequency][re 16 | im 16]`, a pattern a lane, of the gradient of the
    /// correlations.
    pub fn lags_spectrum(&self, isa: Isa, grad: &[f32], out: &mut Vec<f32>, s: &mut Scratch) {
        assert_eq!(grad.len(), self.patterns * self.lags);
        out.clear();
        for block in 0..self.blocks() {
            s.series.clear();
            s.series.resize(self.nfft() * WIDTH, 0.0);
            for (p, row) in grad
                .chunks_exact(self.lags)
                .skip(block * WIDTH)
                .take(WIDTH)
                .enumerate()
            {
                for (l, g) in row.iter().enumerate() {
                    s.series[self.wrap(l) * WIDTH + p] = *g;
                }
            }
            self.plan
                .forward(isa, &mut s.series, &mut s.spectrum, &mut s.fft);
            out.extend_from_slice(&s.spectrum);
        }
    }

    /// Gradient of the feature maps, `df[i][k] = Σ_p Σ_ℓ g[p][ℓ] w[p][k][i − ℓ]`.
    pub fn grad_rows(
        &self,
        isa: Isa,
        grad: &[f32],
        patterns: &PatternSpectra,
        offset: usize,
        rows: &mut Maps,
        s: &mut Scratch,
    ) {
        let (nf, np) = (self.frequencies(), self.patterns);
        assert_eq!(
            (grad.len(), patterns.by_channel.len()),
            (self.blocks() * nf * PAIR, nf * np * PAIR)
        );
        s.products.resize(nf * PAIR, 0.0);
        back_products(isa, nf, np, grad, &patterns.by_channel, &mut s.products);
        self.plan
            .inverse(isa, &s.products[..nf * PAIR], &mut s.series, &mut s.fft);
        let (scale, n) = (1.0 / self.nfft() as f32, rows.shape().width * WIDTH);
        rows.row_mut(0, 0)
            .iter_mut()
            .zip(&s.series[offset * WIDTH..][..n])
            .for_each(|(o, v)| *o = v * scale);
    }

    /// Gradient of the patterns summed over a batch, in the order of the batch.
    pub fn grad_patterns(&self, isa: Isa, features: &[&[f32]], grads: &[&[f32]]) -> Vec<f32> {
        let (n, nf, np) = (self.nfft(), self.frequencies(), self.patterns);
        let mut spec = vec![0.0f32; nf * np * PAIR];
        const CHUNK: usize = 64;
        spec.par_chunks_mut(np * PAIR * CHUNK)
            .enumerate()
            .for_each(|(chunk, out)| {
                for (f, g) in features.iter().zip(grads) {
                    assert_eq!((f.len(), g.len()), (nf * PAIR, self.blocks() * nf * PAIR));
                    outer_products(isa, chunk * CHUNK, nf, np, f, g, out);
                }
            });
        let mut dw = vec![0.0f32; self.weights()];
        dw.par_chunks_mut(n * WIDTH).enumerate().for_each_init(
            Scratch::default,
            |s, (p, planes)| {
                s.spectrum.clear();
                (0..nf).for_each(|f| {
                    s.spectrum
                        .extend_from_slice(&spec[(f * np + p) * PAIR..][..PAIR])
                });
                self.plan
                    .inverse(isa, &s.spectrum, &mut s.series, &mut s.fft);
                let scale = 1.0 / n as f32;
                for (k, plane) in planes.chunks_exact_mut(n).enumerate() {
                    plane
                        .iter_mut()
                        .zip(s.series[k..].iter().step_by(WIDTH))
                        .for_each(|(o, v)| *o = v * scale);
                }
            },
        );
        dw
    }
}

/// C[p] = Σ_k F[k] · conj(W[p][k]) for each frequency and each of the feature spectra.
fn products(isa: Isa, features: &[&[f32]], w: &[f32], out: &mut [f32]) {
    on!(isa, products_any, (features: &[&[f32]], w: &[f32], out: &mut [f32]));
}

/// # Safety
/// The instruction set of `L`.
#[inline(always)]
unsafe fn products_any<L: Lanes>(features: &[&[f32]], w: &[f32], out: &mut [f32]) {
    // SAFETY: the contract of this function.
    unsafe {
        match features.len() {
            1 => products_of::<L, 1>(features, w, out),
            2 => products_of::<L, 2>(features, w, out),
            3 => products_of::<L, 3>(features, w, out),
            4 => products_of::<L, 4>(features, w, out),
            5 => products_of::<L, 5>(features, w, out),
            6 => products_of::<L, 6>(features, w, out),
            7 => products_of::<L, 7>(features, w, out),
            _ => products_of::<L, TOGETHER>(features, w, out),
        }
    }
}

/// # Safety
/// The instruction set of `L`.
#[inline(always)]
unsafe fn products_of<L: Lanes, const B: usize>(features: &[&[f32]], w: &[f32], out: &mut [f32]) {
    let size = features[0].len();
    let f: [*const f32; B] = std::array::from_fn(|b| features[b].as_ptr());
    for (i, w) in w.chunks_exact(WIDTH * PAIR).enumerate() {
        let at = i * PAIR;
        // SAFETY: spectra and products hold `size` floats for each of B, PAIR for each frequency.
        unsafe {
            let zero = L::splat(0.0);
            let mut sum = [(zero, zero); B];
            for k in 0..WIDTH {
                let (wr, wi) = (
                    L::load(w.as_ptr().add(k * PAIR)),
                    L::load(w.as_ptr().add(k * PAIR + WIDTH)),
                );
                for b in 0..B {
                    let (fr, fi) = (
                        L::splat(*f[b].add(at + k)),
                        L::splat(*f[b].add(at + WIDTH + k)),
                    );
                    sum[b] = (
                        sum[b].0.fma(fr, wr).fma(fi, wi),
                        sum[b].1.fma(fi, wr).nfma(fr, wi),
                    );
                }
            }
            for b in 0..B {
                let o = out.as_mut_ptr().add(b * size + at);
                sum[b].0.store(o);
                sum[b].1.store(o.add(WIDTH));
            }
        }
    }
}

/// dF[k] = Σ_p G[p] · W[p][k] for each frequency.
fn back_products(isa: Isa, nf: usize, np: usize, g: &[f32], w: &[f32], out: &mut [f32]) {
    on!(isa, back_products_of, (nf: usize, np: usize, g: &[f32], w: &[f32], out: &mut [f32]));
}

/// # Safety
/// The instruction set of `L`.
#[inline(always)]
unsafe fn back_products_of<L: Lanes>(nf: usize, np: usize, g: &[f32], w: &[f32], out: &mut [f32]) {
    for (i, (w, o)) in w
        .chunks_exact(np * PAIR)
        .zip(out.chunks_exact_mut(PAIR))
        .enumerate()
    {
        // SAFETY: slices of the lengths named.
        unsafe {
            let (mut re, mut im) = (L::splat(0.0), L::splat(0.0));
            for p in 0..np {
                let at = (p / WIDTH * nf + i) * PAIR + p % WIDTH;
                let (gr, gi) = (L::splat(g[at]), L::splat(g[at + WIDTH]));
                let (wr, wi) = (
                    L::load(w.as_ptr().add(p * PAIR)),
                    L::load(w.as_ptr().add(p * PAIR + WIDTH)),
                );
                re = re.fma(gr, wr).nfma(gi, wi);
                im = im.fma(gr, wi).fma(gi, wr);
            }
            re.store(o.as_mut_ptr());
            im.store(o.as_mut_ptr().add(WIDTH));
        }
    }
}

/// dW[p][k] += F[k] · conj(G[p]) for the frequencies from `first` that `out` has room for.
fn outer_products(
    isa: Isa,
    first: usize,
    nf: usize,
    np: usize,
    f: &[f32],
    g: &[f32],
    out: &mut [f32],
) {
    on!(isa, outer_products_of, (first: usize, nf: usize, np: usize, f: &[f32], g: &[f32], out: &mut [f32]));
}

/// # Safety
/// The instruction set of `L`.
#[inline(always)]
unsafe fn outer_products_of<L: Lanes>(
    first: usize,
    nf: usize,
    np: usize,
    f: &[f32],
    g: &[f32],
    out: &mut [f32],
) {
    for (n, o) in out.chunks_exact_mut(np * PAIR).enumerate() {
        let i = first + n;
        let f = &f[i * PAIR..(i + 1) * PAIR];
        // SAFETY: slices of the lengths named.
        unsafe {
            let (fr, fi) = (L::load(f.as_ptr()), L::load(f.as_ptr().add(WIDTH)));
            for p in 0..np {
                let at = (p / WIDTH * nf + i) * PAIR + p % WIDTH;
                let (gr, gi) = (L::splat(g[at]), L::splat(g[at + WIDTH]));
                let re = o.as_mut_ptr().add(p * PAIR);
                let im = re.add(WIDTH);
                L::load(re).fma(gr, fr).fma(gi, fi).store(re);
                L::load(im).fma(gr, fi).nfma(gi, fr).store(im);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::maps::Shape;
    use proptest::prelude::*;
    use rand::{Rng, SeedableRng};

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(12))]
        /// The FFT path equals the definition, and both gradients are its adjoints.
        #[test]
        fn agrees_with_definition(len in 1usize..60, offset in 0usize..20, min_lag in -9i32..3, np in 1usize..20, batch in 1usize..19, seed in any::<u64>()) {
            let (nfft, grid, lags) = (144, 80, 40);
            let c = Correlation::new(nfft, grid, min_lag, lags, np);
            let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(seed);
            let mut noise = |n: usize| (0..n).map(|_| rng.random::<f32>() - 0.5).collect::<Vec<_>>();
            let mut rows = Maps::zeros(Shape::line(WIDTH, len), (0, 0));
            rows.row_mut(0, 0).copy_from_slice(&noise(len * WIDTH));
            let (w, g) = (noise(c.weights()), noise(np * lags));
            let mut s = Scratch::default();
            let (mut fspec, mut gspec) = (vec![], vec![]);
            let values = rows.row(0, 0).to_vec();
            for isa in Isa::available() {
                c.rows_spectrum(isa, &rows, offset, &mut fspec, &mut s);
                let spectra = c.patterns_spectrum(isa, &w);
                let mut outs = vec![vec![]; batch];
                c.correlate(isa, &vec![fspec.as_slice(); batch], &spectra, &mut outs.iter_mut().collect::<Vec<_>>(), &mut s);
                prop_assert!(outs.iter().all(|o| o == &outs[0]));
                let out = &outs[0];
                for p in 0..np {
                    for l in 0..lags {
                        let mut want = 0.0f64;
                        for i in 0..len {
                            let j = ((offset + i) as i64 - (l as i64 + i64::from(min_lag))).rem_euclid(nfft as i64) as usize;
                            for k in 0..WIDTH {
                                want += f64::from(values[i * WIDTH + k]) * f64::from(w[(p * WIDTH + k) * nfft + j]);
                            }
                        }
                        prop_assert!((f64::from(out[p * lags + l]) - want).abs() < 1e-4);
                    }
                }
                c.lags_spectrum(isa, &g, &mut gspec, &mut s);
                let mut drows = Maps::zeros(rows.shape(), (0, 3));
                c.grad_rows(isa, &gspec, &spectra, offset, &mut drows, &mut s);
                let dw = c.grad_patterns(isa, &[&fspec], &[&gspec]);
                let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| f64::from(a * b)).sum::<f64>();
                let want = dot(out, &g);
                prop_assert!((want - dot(&values, drows.row(0, 0))).abs() < 2e-3 * (1.0 + want.abs()));
                prop_assert!((want - dot(&w, &dw)).abs() < 2e-3 * (1.0 + want.abs()));
            }
        }
    }
}
