//! Fourier transforms of sixteen real series side by side, one per vector lane.
//!
//! A series of N real numbers is transformed as N/2 complex ones (even + i·odd), which are cut
//! into n₁ × n₂: n₂ transforms of length n₁ down the columns, twiddles, n₁ transforms of length n₂
//! along the rows (Bailey 1990, "four-step"), each small enough for the inner cache and made of
//! radices 2, 3, 4 and 5 (Stockham). Lanes never mix, so there is not one shuffle.

use std::f64::consts::TAU;

use crate::lanes::{Isa, Lanes, Level, WIDTH};

/// Floats per complex number: 16 real parts, then 16 imaginary parts.
pub const PAIR: usize = 2 * WIDTH;

/// Plan for transforms of one length.
#[derive(Clone, Debug)]
pub struct LaneFft {
    /// Real length.
    n: usize,
    rows: Small,
    columns: Small,
    /// e^{−2πi b k₁ / M} for column b of n₂, then k₁ of n₁.
    twiddles: Vec<[f32; 2]>,
    /// e^{−2πi k / N}, k = 0 ..= M/2.
    turns: Vec<[f32; 2]>,
}

/// A transform of small length.
#[derive(Clone, Debug)]
struct Small {
    n: usize,
    passes: Vec<Pass>,
}

#[derive(Clone, Debug)]
struct Pass {
    radix: usize,
    /// Left to split after this pass, and already split before it.
    m: usize,
    s: usize,
    /// e^{−2πi p j / (radix·m)} for p, then j = 1 .. radix.
    twiddles: Vec<[f32; 2]>,
}

fn turn(k: usize, n: usize) -> [f32; 2] {
    let a = -TAU * (k % n) as f64 / n as f64;
    [a.cos() as f32, a.sin() as f32]
}

/// Radices of `n`, or none if it has a prime factor above 5.
fn radices(n: usize) -> Option<Vec<usize>> {
    let (mut n, mut out) = (n, vec![]);
    for r in [5, 4, 3, 2] {
        while n.is_multiple_of(r) {
            out.push(r);
            n /= r;
        }
    }
    (n == 1).then_some(out)
}

impl Small {
    fn new(n: usize) -> Self {
        let mut passes = vec![];
        let (mut m, mut s) = (n, 1);
        for radix in radices(n).expect("checked by LaneFft::fits") {
            m /= radix;
            let twiddles = (0..m)
                .flat_map(|p| (1..radix).map(move |j| turn(p * j, radix * m)))
                .collect();
            passes.push(Pass {
                radix,
                m,
                s,
                twiddles,
            });
            s *= radix;
        }
        Small { n, passes }
    }
}

/// Buffers of one transform, reused.
#[derive(Clone, Debug, Default)]
pub struct Scratch {
    buffers: Vec<f32>,
}

impl LaneFft {
    /// True if `n` can be transformed: even, with no prime factor above 5, and at least 8.
    pub fn fits(n: usize) -> bool {
        n >= 8 && n.is_multiple_of(2) && radices(n / 2).is_some()
    }

    /// # Panics
    /// If `n` does not fit.
    pub fn new(n: usize) -> Self {
        assert!(LaneFft::fits(n), "a length of 2 · 2^a 3^b 5^c");
        let m = n / 2;
        // As square as can be.
        let first = (1..=m)
            .take_while(|d| d * d <= m)
            .filter(|d| m.is_multiple_of(*d))
            .last()
            .unwrap_or(1);
        let (n1, n2) = (first, m / first);
        LaneFft {
            n,
            columns: Small::new(n1),
            rows: Small::new(n2),
            twiddles: (0..n2)
                .flat_map(|b| (0..n1).map(move |k| turn(b * k, m)))
                .collect(),
            turns: (0..=m / 2).map(|k| turn(k, n)).collect(),
        }
    }

    /// Length of the real series.
    pub fn len(&self) -> usize {
        self.n
    }
    /// Whether the series has no values.
    pub fn is_empty(&self) -> bool {
        self.n == 0
    }
    /// Frequencies 0 ..= N/2.
    pub fn frequencies(&self) -> usize {
        self.n / 2 + 1
    }
    /// Place of complex frequency k after the two steps.
    fn slot(&self, k: usize) -> usize {
        k % self.columns.n * self.rows.n + k / self.columns.n
    }

    /// Series `[position][16]` to spectra `[frequency][re 16 | im 16]`; `series` is overwritten.
    pub fn forward(
        &self,
        isa: Isa,
        series: &mut [f32],
        spectrum: &mut Vec<f32>,
        scratch: &mut Scratch,
    ) {
        assert_eq!(series.len(), self.n * WIDTH);
        spectrum.resize(self.frequencies() * PAIR, 0.0);
        self.run(isa, Step::Forward, series, spectrum.as_mut_ptr(), scratch);
    }

    /// Spectra to series, without the factor 1/N; the imaginary parts at 0 and N/2 are ignored.
    /// `series` need not be set, only have its length.
    pub fn inverse(
        &self,
        isa: Isa,
        spectrum: &[f32],
        series: &mut Vec<f32>,
        scratch: &mut Scratch,
    ) {
        assert_eq!(spectrum.len(), self.frequencies() * PAIR);
        series.resize(self.n * WIDTH, 0.0);
        // The inverse only reads the spectrum.
        self.run(
            isa,
            Step::Inverse,
            series,
            spectrum.as_ptr().cast_mut(),
            scratch,
        );
    }

    fn run(
        &self,
        isa: Isa,
        step: Step,
        series: &mut [f32],
        spectrum: *mut f32,
        scratch: &mut Scratch,
    ) {
        scratch
            .buffers
            .resize(2 * PAIR * self.rows.n.max(self.columns.n), 0.0);
        let job = Job {
            plan: self,
            series: series.as_mut_ptr(),
            spectrum,
            buffers: scratch.buffers.as_mut_ptr(),
        };
        #[cfg(target_arch = "x86_64")]
        #[target_feature(enable = "avx512f,avx2,fma")]
        unsafe fn avx512(job: &Job, step: Step) {
            // SAFETY: the instruction set is this function's; sizes are the caller's promise.
            unsafe { work::<crate::lanes::Avx512>(job, step) }
        }
        #[cfg(target_arch = "x86_64")]
        #[target_feature(enable = "avx2,fma")]
        unsafe fn avx2(job: &Job, step: Step) {
            // SAFETY: the instruction set is this function's; sizes are the caller's promise.
            unsafe { work::<crate::lanes::Avx2>(job, step) }
        }
        // SAFETY: the set was detected on this machine; the lengths were set or asserted by the two
        // callers.
        unsafe {
            match isa.level() {
                #[cfg(target_arch = "x86_64")]
                Level::Avx512 => avx512(&job, step),
                #[cfg(target_arch = "x86_64")]
                Level::Avx2 => avx2(&job, step),
                _ => work::<crate::lanes::Portable>(&job, step),
            }
        }
    }
}

#[derive(Clone, Copy)]
enum Step {
    Forward,
    Inverse,
}

struct Job<'a> {
    plan: &'a LaneFft,
    series: *mut f32,
    spectrum: *mut f32,
    buffers: *mut f32,
}

/// # Safety
/// The instruction set of `L`; `job` holds arrays of the planned lengths.
#[inline(always)]
unsafe fn work<L: Lanes>(job: &Job, step: Step) {
    // SAFETY: as this function's caller promises.
    unsafe {
        match step {
            Step::Forward => {
                columns::<L, 0>(job);
                rows::<L, 0>(job);
                untangle::<L>(job);
            }
            Step::Inverse => {
                entangle::<L>(job);
                inverse_rows::<L>(job);
                inverse_columns::<L>(job);
            }
        }
    }
}

/// A complex number per lane.
#[derive(Clone, Copy)]
struct C<L>(L, L);

/// Complex arithmetic; the safety contract is that of [`Lanes`].
impl<L: Lanes> C<L> {
    #[inline(always)]
    unsafe fn add(self, b: Self) -> Self {
        // SAFETY: as this function's caller promises.
        unsafe { C(self.0.add(b.0), self.1.add(b.1)) }
    }
    #[inline(always)]
    unsafe fn sub(self, b: Self) -> Self {
        // SAFETY: as this function's caller promises.
        unsafe { C(self.0.sub(b.0), self.1.sub(b.1)) }
    }
    /// `self · w`.
    #[inline(always)]
    unsafe fn turned(self, w: [f32; 2]) -> Self {
        // SAFETY: as this function's caller promises.
        unsafe {
            let (r, i) = (L::splat(w[0]), L::splat(w[1]));
            C(self.0.mul(r).nfma(self.1, i), self.0.mul(i).fma(self.1, r))
        }
    }
    /// `self · conj(w)`.
    #[inline(always)]
    unsafe fn turned_back(self, w: [f32; 2]) -> Self {
        // SAFETY: as this function's caller promises.
        unsafe { self.turned([w[0], -w[1]]) }
    }
    /// `self + x·b` for a real x.
    #[inline(always)]
    unsafe fn plus(self, x: L, b: Self) -> Self {
        // SAFETY: as this function's caller promises.
        unsafe { C(self.0.fma(x, b.0), self.1.fma(x, b.1)) }
    }
    /// `self − i·b`.
    #[inline(always)]
    unsafe fn minus_i(self, b: Self) -> Self {
        // SAFETY: as this function's caller promises.
        unsafe { C(self.0.add(b.1), self.1.sub(b.0)) }
    }
    /// `self + i·b`.
    #[inline(always)]
    unsafe fn plus_i(self, b: Self) -> Self {
        // SAFETY: as this function's caller promises.
        unsafe { C(self.0.sub(b.1), self.1.add(b.0)) }
    }
    /// With SWAP real and imaginary parts change places: a forward transform becomes an inverse
    /// one.
    #[inline(always)]
    unsafe fn load<const SWAP: usize>(p: *const f32) -> Self {
        // SAFETY: as this function's caller promises.
        unsafe {
            C(
                L::load(p.add(SWAP * WIDTH)),
                L::load(p.add((1 - SWAP) * WIDTH)),
            )
        }
    }
    #[inline(always)]
    unsafe fn store<const SWAP: usize>(self, p: *mut f32) {
        // SAFETY: as this function's caller promises.
        unsafe {
            self.0.store(p.add(SWAP * WIDTH));
            self.1.store(p.add((1 - SWAP) * WIDTH));
        }
    }
}

#[inline(always)]
unsafe fn butterfly<L: Lanes, const R: usize>(v: [C<L>; R]) -> [C<L>; R] {
    let mut y = v;
    // SAFETY: as this function's caller promises.
    unsafe {
        match R {
            2 => {
                y[0] = v[0].add(v[1]);
                y[1] = v[0].sub(v[1]);
            }
            3 => {
                let (t, d) = (v[1].add(v[2]), v[1].sub(v[2]));
                let m = v[0].plus(L::splat(-0.5), t);
                let s = L::splat(0.866_025_4);
                let d = C(d.0.mul(s), d.1.mul(s));
                y[0] = v[0].add(t);
                y[1] = m.minus_i(d);
                y[2] = m.plus_i(d);
            }
            4 => {
                let (a, b) = (v[0].add(v[2]), v[0].sub(v[2]));
                let (c, d) = (v[1].add(v[3]), v[1].sub(v[3]));
                y[0] = a.add(c);
                y[1] = b.minus_i(d);
                y[2] = a.sub(c);
                y[3] = b.plus_i(d);
            }
            _ => {
                let (c1, c2) = (L::splat(0.309_017), L::splat(-0.809_017));
                let (s1, s2) = (L::splat(0.951_056_5), L::splat(0.587_785_24));
                let (a, b) = (v[1].add(v[4]), v[2].add(v[3]));
                let (c, d) = (v[1].sub(v[4]), v[2].sub(v[3]));
                let m1 = v[0].plus(c1, a).plus(c2, b);
                let m2 = v[0].plus(c2, a).plus(c1, b);
                let n1 = C(c.0.mul(s1), c.1.mul(s1)).plus(s2, d);
                let n2 = C(c.0.mul(s2).nfma(s1, d.0), c.1.mul(s2).nfma(s1, d.1));
                y[0] = v[0].add(a).add(b);
                y[1] = m1.minus_i(n1);
                y[2] = m2.minus_i(n2);
                y[3] = m2.plus_i(n2);
                y[4] = m1.plus_i(n1);
            }
        }
    }
    y
}

/// Where the numbers of a small transform come from or go to: first, and step in floats.
#[derive(Clone, Copy)]
struct Place {
    at: *mut f32,
    step: usize,
}

/// One small transform from `from` to `to`, by way of two buffers; `last` multiplies what comes
/// out.
///
/// # Safety
/// As [`work`].
#[inline(always)]
unsafe fn small<L: Lanes, const SWAP: usize>(
    plan: &Small,
    from: Place,
    to: Place,
    buffers: *mut f32,
    last: Option<&[[f32; 2]]>,
) {
    let count = plan.passes.len();
    if count == 0 {
        // Length 1.
        // SAFETY: as this function's caller promises.
        unsafe { C::<L>::load::<SWAP>(from.at).store::<SWAP>(to.at) };
        return;
    }
    for (i, pass) in plan.passes.iter().enumerate() {
        // SAFETY: each half of the buffers holds the longer of both lengths.
        unsafe {
            let half = |k: usize| Place {
                at: buffers.add(k % 2 * PAIR * plan.n),
                step: PAIR,
            };
            let x = if i == 0 { from } else { half(i) };
            let y = if i + 1 == count { to } else { half(i + 1) };
            let last = if i + 1 == count { last } else { None };
            match pass.radix {
                2 => run_pass::<L, SWAP, 2>(pass, x, y, last),
                3 => run_pass::<L, SWAP, 3>(pass, x, y, last),
                4 => run_pass::<L, SWAP, 4>(pass, x, y, last),
                _ => run_pass::<L, SWAP, 5>(pass, x, y, last),
            }
        }
    }
}

/// # Safety
/// As [`work`].
#[inline(always)]
unsafe fn run_pass<L: Lanes, const SWAP: usize, const R: usize>(
    pass: &Pass,
    x: Place,
    y: Place,
    last: Option<&[[f32; 2]]>,
) {
    let (m, s) = (pass.m, pass.s);
    // SAFETY: as this function's caller promises.
    unsafe {
        for p in 0..m {
            let w = &pass.twiddles[p * (R - 1)..(p + 1) * (R - 1)];
            for q in 0..s {
                let v: [C<L>; R] = std::array::from_fn(|j| {
                    C::load::<SWAP>(x.at.add((q + s * (p + m * j)) * x.step))
                });
                let mut v = butterfly(v);
                for j in 1..R {
                    if p > 0 {
                        v[j] = v[j].turned(w[j - 1]);
                    }
                }
                for j in 0..R {
                    let k = q + s * (R * p + j);
                    if let Some(t) = last {
                        v[j] = v[j].turned(t[k]);
                    }
                    v[j].store::<SWAP>(y.at.add(k * y.step));
                }
            }
        }
    }
}

/// # Safety
/// As [`work`].
#[inline(always)]
unsafe fn columns<L: Lanes, const SWAP: usize>(job: &Job) {
    let (n1, n2) = (job.plan.columns.n, job.plan.rows.n);
    for b in 0..n2 {
        // SAFETY: column b of n₁ × n₂ complex numbers.
        unsafe {
            let place = Place {
                at: job.series.add(b * PAIR),
                step: n2 * PAIR,
            };
            small::<L, SWAP>(
                &job.plan.columns,
                place,
                place,
                job.buffers,
                Some(&job.plan.twiddles[b * n1..(b + 1) * n1]),
            );
        }
    }
}

/// # Safety
/// As [`work`].
#[inline(always)]
unsafe fn rows<L: Lanes, const SWAP: usize>(job: &Job) {
    let (n1, n2) = (job.plan.columns.n, job.plan.rows.n);
    for k in 0..n1 {
        // SAFETY: row k of n₁ × n₂ complex numbers.
        unsafe {
            let place = Place {
                at: job.series.add(k * n2 * PAIR),
                step: PAIR,
            };
            small::<L, SWAP>(&job.plan.rows, place, place, job.buffers, None);
        }
    }
}

/// # Safety
/// As [`work`].
#[inline(always)]
unsafe fn inverse_rows<L: Lanes>(job: &Job) {
    // SAFETY: as this function's caller promises.
    unsafe { rows::<L, 1>(job) }
}

/// Twiddles, then columns: the steps of [`columns`] undone.
///
/// # Safety
/// As [`work`].
#[inline(always)]
unsafe fn inverse_columns<L: Lanes>(job: &Job) {
    let (n1, n2) = (job.plan.columns.n, job.plan.rows.n);
    for b in 0..n2 {
        // SAFETY: column b of n₁ × n₂ complex numbers.
        unsafe {
            let at = job.series.add(b * PAIR);
            for k in 0..n1 {
                let p = at.add(k * n2 * PAIR);
                C::<L>::load::<0>(p)
                    .turned_back(job.plan.twiddles[b * n1 + k])
                    .store::<0>(p);
            }
            let place = Place {
                at,
                step: n2 * PAIR,
            };
            small::<L, 1>(&job.plan.columns, place, place, job.buffers, None);
        }
    }
}

/// Spectrum of the real series from that of even + i·odd.
///
/// # Safety
/// As [`work`].
#[inline(always)]
unsafe fn untangle<L: Lanes>(job: &Job) {
    let m = job.plan.n / 2;
    // SAFETY: as this function's caller promises.
    unsafe {
        let half = L::splat(0.5);
        for k in 0..=m / 2 {
            let a = C::<L>::load::<0>(job.series.add(job.plan.slot(k % m) * PAIR));
            let b = C::<L>::load::<0>(job.series.add(job.plan.slot((m - k) % m) * PAIR));
            let even = C(a.0.add(b.0).mul(half), a.1.sub(b.1).mul(half));
            // (a − conj b) / 2i
            let odd = C(a.1.add(b.1).mul(half), b.0.sub(a.0).mul(half));
            let t = odd.turned(job.plan.turns[k]);
            even.add(t).store::<0>(job.spectrum.add(k * PAIR));
            let d = even.sub(t);
            C(d.0, L::splat(0.0).sub(d.1)).store::<0>(job.spectrum.add((m - k) * PAIR));
        }
    }
}

/// The inverse of [`untangle`], times 2.
///
/// # Safety
/// As [`work`].
#[inline(always)]
unsafe fn entangle<L: Lanes>(job: &Job) {
    let m = job.plan.n / 2;
    // SAFETY: as this function's caller promises.
    unsafe {
        let zero = L::splat(0.0);
        for k in 0..=m / 2 {
            let mut a = C::<L>::load::<0>(job.spectrum.add(k * PAIR));
            let mut b = C::<L>::load::<0>(job.spectrum.add((m - k) * PAIR));
            if k == 0 {
                (a.1, b.1) = (zero, zero);
            }
            let even = C(a.0.add(b.0), a.1.sub(b.1));
            let odd = C(a.0.sub(b.0), a.1.add(b.1)).turned_back(job.plan.turns[k]);
            even.plus_i(odd)
                .store::<0>(job.series.add(job.plan.slot(k % m) * PAIR));
            if k > 0 {
                // conj(even) + i conj(odd)
                C(even.0.add(odd.1), odd.0.sub(even.1))
                    .store::<0>(job.series.add(job.plan.slot(m - k) * PAIR));
            }
        }
    }
}

#[cfg(test)]
mod tests;
