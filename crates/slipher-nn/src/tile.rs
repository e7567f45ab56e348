//! The register tile under every convolution and dense layer: a few positions by 16 or 32
//! outputs are kept in registers while words of the input are broadcast against rows of weights.
//!
//! Weights come in *groups* of [`group`] outputs, `[group][word][output]`, so that one pass over
//! memory serves one tile. A word is one `f32`, or a pair of `bf16`.

use crate::lanes::{Isa, Lanes, Level, WIDTH};

/// Outputs whose weights lie side by side: 32 if their number (filled up to 16) allows it.
pub fn group(outputs: usize) -> usize {
    if outputs.next_multiple_of(WIDTH).is_multiple_of(2 * WIDTH) {
        2 * WIDTH
    } else {
        WIDTH
    }
}

/// How words are multiplied and sums are stored.
///
/// # Safety
/// As for [`Lanes`]: the instruction set must be available, pointers valid for 16 values.
pub trait Mac: Copy {
    /// Sixteen running sums.
    type Sum: Lanes;
    /// One broadcast unit of the input.
    type Word: Copy + Default + Send + Sync;
    /// One value of the input or output.
    type Element: Copy + Default + Send + Sync;
    /// A row of the left factor, spread over lanes.
    type Row: Copy;
    /// Words that sixteen channels take.
    const WORDS: usize;
    /// # Safety
    /// `p` must be valid for reading 16 words.
    unsafe fn row(p: *const Self::Word) -> Self::Row;
    /// # Safety
    /// `word` must be valid for reading.
    unsafe fn mac(sum: Self::Sum, word: *const Self::Word, row: Self::Row) -> Self::Sum;
    /// # Safety
    /// `to` must be valid for writing 16 elements.
    unsafe fn store(sum: Self::Sum, to: *mut Self::Element);
}

/// Single precision.
#[derive(Clone, Copy)]
pub struct Single<L>(std::marker::PhantomData<L>);

impl<L: Lanes> Mac for Single<L> {
    type Sum = L;
    type Word = f32;
    type Element = f32;
    type Row = L;
    const WORDS: usize = WIDTH;
    #[inline(always)]
    unsafe fn row(p: *const f32) -> L {
        // SAFETY: as this function's caller promises.
        unsafe { L::load(p) }
    }
    #[inline(always)]
    unsafe fn mac(sum: L, word: *const f32, row: L) -> L {
        // SAFETY: as this function's caller promises.
        unsafe { sum.fma(L::splat(*word), row) }
    }
    #[inline(always)]
    unsafe fn store(sum: L, to: *mut f32) {
        // SAFETY: as this function's caller promises.
        unsafe { sum.store(to) }
    }
}

/// Products of `bf16` pairs summed in single precision (`avx512_bf16`).
#[cfg(target_arch = "x86_64")]
#[derive(Clone, Copy)]
pub struct Brain;

#[cfg(target_arch = "x86_64")]
impl Mac for Brain {
    type Sum = crate::lanes::Avx512;
    type Word = u32;
    type Element = u16;
    type Row = std::arch::x86_64::__m512bh;
    const WORDS: usize = WIDTH / 2;
    #[inline(always)]
    unsafe fn row(p: *const u32) -> Self::Row {
        use std::arch::x86_64::*;
        // SAFETY: as this function's caller promises.
        unsafe { std::mem::transmute::<__m512i, __m512bh>(_mm512_loadu_si512(p.cast())) }
    }
    #[inline(always)]
    unsafe fn mac(sum: Self::Sum, word: *const u32, row: Self::Row) -> Self::Sum {
        use std::arch::x86_64::*;
        // SAFETY: as this function's caller promises.
        unsafe {
            let pair = std::mem::transmute::<__m512i, __m512bh>(_mm512_set1_epi32(*word as i32));
            crate::lanes::Avx512(_mm512_dpbf16_ps(sum.0, row, pair))
        }
    }
    #[inline(always)]
    unsafe fn store(sum: Self::Sum, to: *mut u16) {
        use std::arch::x86_64::*;
        // SAFETY: as this function's caller promises.
        unsafe {
            _mm256_storeu_si256(
                to.cast(),
                std::mem::transmute::<__m256bh, __m256i>(_mm512_cvtneps_pbh(sum.0)),
            )
        }
    }
}

/// Words of weights that are asked for in advance.
const AHEAD: usize = 2048;

/// `sum[b][t] += Σ_j x[t·xs + j·js] · w[j][b]` over `n` words; `w` advances by `ws` words a row.
///
/// # Safety
/// The instruction set of `M`; every address named is valid.
#[inline(always)]
pub unsafe fn multiply<M: Mac, const B: usize, const T: usize>(
    sum: &mut [[M::Sum; T]; B],
    x: *const M::Word,
    (xs, js): (usize, usize),
    n: usize,
    w: *const M::Word,
    ws: usize,
) {
    // SAFETY: as this function's caller promises.
    unsafe {
        let (mut x, mut w) = (x, w);
        for _ in 0..n {
            // One position: the weights come from memory as fast as it can, across its pages.
            #[cfg(target_arch = "x86_64")]
            if T == 1 {
                use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
                for b in 0..B {
                    _mm_prefetch::<_MM_HINT_T0>(w.wrapping_add(b * WIDTH + AHEAD).cast());
                }
            }
            let rows: [M::Row; B] = std::array::from_fn(|b| M::row(w.add(b * WIDTH)));
            for t in 0..T {
                for b in 0..B {
                    sum[b][t] = M::mac(sum[b][t], x.add(t * xs), rows[b]);
                }
            }
            x = x.add(js);
            w = w.add(ws);
        }
    }
}

/// The positions of a tile that covers `n` of them with the least excess, the larger if equal, for
/// this number of outputs. The kernels are compiled for just these sizes.
pub fn size(isa: Isa, n: usize, outputs: usize) -> usize {
    let sizes: &[usize] = match (isa.level(), group(outputs)) {
        (Level::Avx512, 32) => &[1, 2, 3, 4, 5, 6, 7, 8, 10, 12, 13, 14],
        (Level::Avx512, _) => &[1, 2, 3, 4, 5, 6, 8, 12, 16, 20, 24],
        (Level::Avx2, _) => &[1, 2, 3, 4, 5, 6],
        _ => &[1, 4],
    };
    let cost = |t: usize| n.div_ceil(t) * t;
    sizes
        .iter()
        .copied()
        .filter(|t| *t <= n)
        .min_by_key(|t| (cost(*t) * 40 + 40 * n.div_ceil(*t), usize::MAX - t))
        .unwrap_or(1)
}

/// Round to nearest even, as the processor does; NaN stays NaN.
pub fn to_bf16(x: f32) -> u16 {
    let bits = x.to_bits();
    if x.is_nan() {
        return (bits >> 16) as u16 | 0x40;
    }
    ((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16) as u16
}

/// To single precision, exactly.
pub fn from_bf16(x: u16) -> f32 {
    f32::from_bits(u32::from(x) << 16)
}

/// True if this machine multiplies `bf16` pairs.
pub fn has_bf16() -> bool {
    #[cfg(target_arch = "x86_64")]
    {
        Isa::best() == Isa::AVX512
            && is_x86_feature_detected!("avx512bf16")
            && is_x86_feature_detected!("avx512bw")
    }
    #[cfg(not(target_arch = "x86_64"))]
    false
}
