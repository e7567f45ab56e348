//! Dilated 1-D convolution along positions, channels in vector lanes.
//!
//! Layout: activations are `[position][channel]` with [`PAD`] rows of zeros before and after
//! ([`Rows`]), weights `[tap][in][out]`, all counts of channels multiples of 16. "Same" padding.
//!
//! y[i][o] = b[o] + Σ_t Σ_c x[i + (t − T/2)·d][c] · w[t][c][o]

use crate::dispatch;
use crate::lanes::{Isa, Lanes, WIDTH};

/// Rows of zeros on either side of an activation: the furthest a tap may reach.
pub const PAD: usize = 112;
/// Positions are rounded up to a multiple of this, so that kernels need no ragged tile.
const TILE: usize = 24;

/// Activations `[position][channel]`, zero-padded on both sides.
#[derive(Clone, Debug, Default)]
pub struct Rows {
    len: usize,
    channels: usize,
    data: Vec<f32>,
}

impl Rows {
    /// Zeros of `len` positions × `channels`.
    pub fn zeros(len: usize, channels: usize) -> Self {
        let mut rows = Rows::default();
        rows.reset(len, channels);
        rows
    }

    /// Makes this `len` × `channels` zeros, keeping the allocation.
    pub fn reset(&mut self, len: usize, channels: usize) {
        assert!(channels.is_multiple_of(WIDTH), "channels come in sixteens");
        self.len = len;
        self.channels = channels;
        self.data.clear();
        self.data.resize((2 * PAD + len.next_multiple_of(TILE)) * channels, 0.0);
    }

    pub fn len(&self) -> usize {
        self.len
    }
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }
    pub fn channels(&self) -> usize {
        self.channels
    }
    /// The `len × channels` values without padding.
    pub fn values(&self) -> &[f32] {
        &self.data[PAD * self.channels..(PAD + self.len) * self.channels]
    }
    pub fn values_mut(&mut self) -> &mut [f32] {
        &mut self.data[PAD * self.channels..(PAD + self.len) * self.channels]
    }
    fn clear_tail(&mut self) {
        let start = (PAD + self.len) * self.channels;
        let end = (PAD + self.len.next_multiple_of(TILE)) * self.channels;
        self.data[start..end].fill(0.0);
    }
}

/// Shape of one convolution.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Conv {
    pub cin: usize,
    pub cout: usize,
    pub taps: usize,
    pub dilation: usize,
}

impl Conv {
    /// Number of weights, `taps × cin × cout`.
    pub fn weights(&self) -> usize {
        self.taps * self.cin * self.cout
    }

    fn reach(&self) -> usize {
        (self.taps / 2) * self.dilation
    }

    fn check(&self, x: &Rows, y: &Rows, weights: usize) {
        assert!(self.taps % 2 == 1 && self.reach() <= PAD);
        assert!(self.cin.is_multiple_of(WIDTH) && self.cout.is_multiple_of(WIDTH));
        assert_eq!((x.channels, y.channels), (self.cin, self.cout));
        assert_eq!((x.len, weights), (y.len, self.weights()));
    }

    /// `y = conv(x) + bias`, or `y += …` if `add`.
    pub fn forward(&self, isa: Isa, x: &Rows, w: &[f32], bias: &[f32], y: &mut Rows, add: bool) {
        self.check(x, y, w.len());
        assert_eq!(bias.len(), self.cout);
        let shape = *self;
        let n = y.len.next_multiple_of(TILE);
        let (xs, ws, bs) = (x.data.as_ptr(), w.as_ptr(), bias.as_ptr());
        let ys = y.data.as_mut_ptr();
        dispatch!(isa, forward, [24, 6, 4], (shape: Conv, n: usize, xs: *const f32, ws: *const f32, bs: *const f32, ys: *mut f32, add: bool));
        y.clear_tail();
    }

    /// Gradient of the data: `dx = convᵀ(dy)`; `wt` are the weights by [`Conv::transposed`].
    pub fn grad_data(&self, isa: Isa, dy: &Rows, wt: &[f32], dx: &mut Rows) {
        let back = Conv { cin: self.cout, cout: self.cin, ..*self };
        let zero = vec![0.0; self.cin];
        back.forward(isa, dy, wt, &zero, dx, false);
    }

    /// Weights `[taps − 1 − t][out][in]` for [`Conv::grad_data`].
    pub fn transposed(&self, w: &[f32]) -> Vec<f32> {
        let mut out = vec![0.0; w.len()];
        for t in 0..self.taps {
            for c in 0..self.cin {
                for o in 0..self.cout {
                    out[((self.taps - 1 - t) * self.cout + o) * self.cin + c] = w[(t * self.cin + c) * self.cout + o];
                }
            }
        }
        out
    }

    /// Gradient of weights and bias, added to `dw` and `db`.
    pub fn grad_weights(&self, isa: Isa, x: &Rows, dy: &Rows, dw: &mut [f32], db: &mut [f32]) {
        self.check(x, dy, dw.len());
        assert_eq!(db.len(), self.cout);
        let (shape, n) = (*self, dy.len);
        let (xs, dys) = (x.data.as_ptr(), dy.data.as_ptr());
        let dws = dw.as_mut_ptr();
        dispatch!(isa, grad_weights, [16, 4, 4], (shape: Conv, n: usize, xs: *const f32, dys: *const f32, dws: *mut f32));
        for row in dy.values().chunks_exact(self.cout) {
            for (b, g) in db.iter_mut().zip(row) {
                *b += g;
            }
        }
    }
}

/// # Safety
/// `x` and `y` hold `PAD + n + PAD` rows, `n` a multiple of `T`; `w`, `b` as the shape says.
#[inline(always)]
unsafe fn forward<L: Lanes, const T: usize>(s: Conv, n: usize, x: *const f32, w: *const f32, b: *const f32, y: *mut f32, add: bool) {
    unsafe {
        for block in (0..s.cout).step_by(WIDTH) {
            let bias = L::load(b.add(block));
            for start in (0..n).step_by(T) {
                let out = y.add((PAD + start) * s.cout + block);
                let mut acc = [bias; T];
                if add {
                    let one = L::splat(1.0);
                    for (i, a) in acc.iter_mut().enumerate() {
                        *a = a.fma(one, L::load(out.add(i * s.cout)));
                    }
                }
                for t in 0..s.taps {
                    let first = PAD + start + t * s.dilation - (s.taps / 2) * s.dilation;
                    let row = x.add(first * s.cin);
                    let wt = w.add(t * s.cin * s.cout + block);
                    for c in 0..s.cin {
                        let wv = L::load(wt.add(c * s.cout));
                        for (i, a) in acc.iter_mut().enumerate() {
                            *a = a.fma(L::splat(*row.add(i * s.cin + c)), wv);
                        }
                    }
                }
                for (i, a) in acc.iter().enumerate() {
                    a.store(out.add(i * s.cout));
                }
            }
        }
    }
}

/// # Safety
/// As [`forward`]; `T` divides 16.
#[inline(always)]
unsafe fn grad_weights<L: Lanes, const T: usize>(s: Conv, n: usize, x: *const f32, dy: *const f32, dw: *mut f32) {
    unsafe {
        for t in 0..s.taps {
            let first = PAD + t * s.dilation - (s.taps / 2) * s.dilation;
            for block in (0..s.cout).step_by(WIDTH) {
                for c in (0..s.cin).step_by(T) {
                    let mut acc = [L::splat(0.0); T];
                    for i in 0..n {
                        let g = L::load(dy.add((PAD + i) * s.cout + block));
                        let row = x.add((first + i) * s.cin + c);
                        for (j, a) in acc.iter_mut().enumerate() {
                            *a = a.fma(L::splat(*row.add(j)), g);
                        }
                    }
                    let one = L::splat(1.0);
                    for (j, a) in acc.iter().enumerate() {
                        let p = dw.add((t * s.cin + c + j) * s.cout + block);
                        a.fma(one, L::load(p)).store(p);
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn noise(n: usize, seed: u64) -> Vec<f32> {
        let mut s = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
        (0..n)
            .map(|_| {
                s ^= s << 13;
                s ^= s >> 7;
                s ^= s << 17;
                (s >> 40) as f32 / (1 << 24) as f32 - 0.5
            })
            .collect()
    }

    fn naive(s: Conv, x: &Rows, w: &[f32], b: &[f32]) -> Vec<f32> {
        let mut y = vec![0.0; x.len() * s.cout];
        for i in 0..x.len() {
            for o in 0..s.cout {
                let mut sum = f64::from(b[o]);
                for t in 0..s.taps {
                    let j = (i + t * s.dilation) as isize - (s.reach()) as isize;
                    if j < 0 || j >= x.len() as isize {
                        continue;
                    }
                    for c in 0..s.cin {
                        sum += f64::from(x.values()[j as usize * s.cin + c]) * f64::from(w[(t * s.cin + c) * s.cout + o]);
                    }
                }
                y[i * s.cout + o] = sum as f32;
            }
        }
        y
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]
        /// Every instruction set agrees with the definition, for odd lengths and shapes, and
        /// the gradients are the adjoint of the forward map: <conv(x), g> = <x, convᵀ(g)> = <w, dw>.
        #[test]
        fn agrees_with_definition(len in 1usize..90, half in 0usize..4, dil in 1usize..34,
                                  bi in 1usize..3, bo in 1usize..3, seed in any::<u64>()) {
            let s = Conv { cin: 16 * bi, cout: 16 * bo, taps: 2 * half + 1, dilation: dil };
            let mut x = Rows::zeros(len, s.cin);
            x.values_mut().copy_from_slice(&noise(len * s.cin, seed));
            let w = noise(s.weights(), seed ^ 1);
            let b = noise(s.cout, seed ^ 2);
            let want = naive(s, &x, &w, &b);
            let zero = vec![0.0; s.cout];
            for isa in Isa::available() {
                let mut y = Rows::zeros(len, s.cout);
                s.forward(isa, &x, &w, &b, &mut y, false);
                for (a, e) in y.values().iter().zip(&want) {
                    prop_assert!((a - e).abs() < 1e-4, "{isa:?}: {a} != {e}");
                }
                s.forward(isa, &x, &w, &zero, &mut y, false);
                let mut g = Rows::zeros(len, s.cout);
                g.values_mut().copy_from_slice(&noise(len * s.cout, seed ^ 3));
                let mut dx = Rows::zeros(len, s.cin);
                s.grad_data(isa, &g, &s.transposed(&w), &mut dx);
                let (mut dw, mut db) = (vec![0.0; w.len()], vec![0.0; s.cout]);
                s.grad_weights(isa, &x, &g, &mut dw, &mut db);
                let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| f64::from(a * b)).sum::<f64>();
                let yg = dot(y.values(), g.values());
                prop_assert!((yg - dot(x.values(), dx.values())).abs() < 1e-3 * (1.0 + yg.abs()));
                prop_assert!((yg - dot(&w, &dw)).abs() < 1e-3 * (1.0 + yg.abs()));
            }
        }
    }

    /// Golden values of torch.nn.functional.conv1d and its gradients, written by scripts/golden.py.
    #[test]
    fn agrees_with_pytorch() {
        let wave = |k: usize| (0..k).map(|i| (0.37 * i as f64 + 0.11 * k as f64).sin() as f32).collect::<Vec<_>>();
        let s = Conv { cin: 16, cout: 16, taps: 5, dilation: 3 };
        let (n, w, b) = (20, wave(s.weights()), wave(16));
        let mut x = Rows::zeros(n, 16);
        x.values_mut().copy_from_slice(&wave(n * 16));
        let mut g = Rows::zeros(n, 16);
        g.values_mut().copy_from_slice(&wave(n * 16 + 1)[1..]);
        for isa in Isa::available() {
            let (mut y, mut dx) = (Rows::zeros(n, 16), Rows::zeros(n, 16));
            s.forward(isa, &x, &w, &b, &mut y, false);
            s.grad_data(isa, &g, &s.transposed(&w), &mut dx);
            let (mut dw, mut db) = (vec![0.0; w.len()], vec![0.0; 16]);
            s.grad_weights(isa, &x, &g, &mut dw, &mut db);
            let got = [y.values()[3 * 16 + 2], y.values()[19 * 16 + 15], dx.values()[1], dx.values()[10 * 16 + 7], dw[0], dw[4 * 256 + 15 * 16 + 3]];
            for (a, e) in got.iter().zip([-22.1941f32, -19.2524, 18.7133, 24.508, -0.3573, -1.3991]) {
                assert!((a - e).abs() < 2e-3, "{isa:?}: {got:?}");
            }
        }
    }
}
