//! Sixteen channels side by side: one AVX-512 register, two AVX2 registers or a plain array.
//!
//! Kernels are written once, generic over [`Lanes`], and compiled three times; the
//! instruction set is chosen at run time, so one binary runs everywhere.

use std::sync::OnceLock;

/// Channels per vector; every channel count of the network is a multiple of it.
pub const WIDTH: usize = 16;

/// Sixteen `f32` lanes.
///
/// # Safety
/// Implementations may use instructions that the caller must have checked for; `load` and
/// `store` touch 16 consecutive floats.
pub trait Lanes: Copy {
    /// # Safety
    /// The instruction set must be available.
    unsafe fn splat(x: f32) -> Self;
    /// # Safety
    /// `p` must be valid for reading 16 floats.
    unsafe fn load(p: *const f32) -> Self;
    /// # Safety
    /// `p` must be valid for writing 16 floats.
    unsafe fn store(self, p: *mut f32);
    /// `a * b + self`.
    /// # Safety
    /// The instruction set must be available.
    unsafe fn fma(self, a: Self, b: Self) -> Self;
    /// `a + self`.
    /// # Safety
    /// The instruction set must be available.
    unsafe fn add(self, a: Self) -> Self;
    /// `self − a`.
    /// # Safety
    /// The instruction set must be available.
    unsafe fn sub(self, a: Self) -> Self;
    /// `self − a · b`.
    /// # Safety
    /// The instruction set must be available.
    unsafe fn nfma(self, a: Self, b: Self) -> Self;
    /// `a · self`.
    /// # Safety
    /// The instruction set must be available.
    unsafe fn mul(self, a: Self) -> Self;
    /// `self` where `a > 0`, `slope · self` elsewhere: leaky ReLU of itself, or its gradient.
    /// # Safety
    /// The instruction set must be available.
    unsafe fn leaky(self, a: Self, slope: Self) -> Self;
    /// Sum of the sixteen lanes.
    /// # Safety
    /// The instruction set must be available.
    #[inline(always)]
    unsafe fn sum(self) -> f32 {
        let mut out = [0.0f32; WIDTH];
        // SAFETY: as this function's caller promises.
        unsafe { self.store(out.as_mut_ptr()) };
        out.iter().sum()
    }
}

/// Sixteen values, on every processor.
#[derive(Clone, Copy)]
pub struct Portable([f32; WIDTH]);

impl Lanes for Portable {
    #[inline(always)]
    unsafe fn splat(x: f32) -> Self {
        Portable([x; WIDTH])
    }
    #[inline(always)]
    unsafe fn load(p: *const f32) -> Self {
        // SAFETY: as this function's caller promises.
        Portable(unsafe { p.cast::<[f32; WIDTH]>().read_unaligned() })
    }
    #[inline(always)]
    unsafe fn store(self, p: *mut f32) {
        // SAFETY: as this function's caller promises.
        unsafe { p.cast::<[f32; WIDTH]>().write_unaligned(self.0) }
    }
    #[inline(always)]
    unsafe fn fma(self, a: Self, b: Self) -> Self {
        let mut out = self.0;
        for i in 0..WIDTH {
            out[i] += a.0[i] * b.0[i];
        }
        Portable(out)
    }
    #[inline(always)]
    unsafe fn add(self, a: Self) -> Self {
        Portable(std::array::from_fn(|i| self.0[i] + a.0[i]))
    }
    #[inline(always)]
    unsafe fn sub(self, a: Self) -> Self {
        Portable(std::array::from_fn(|i| self.0[i] - a.0[i]))
    }
    #[inline(always)]
    unsafe fn nfma(self, a: Self, b: Self) -> Self {
        Portable(std::array::from_fn(|i| self.0[i] - a.0[i] * b.0[i]))
    }
    #[inline(always)]
    unsafe fn mul(self, a: Self) -> Self {
        Portable(std::array::from_fn(|i| self.0[i] * a.0[i]))
    }
    #[inline(always)]
    unsafe fn leaky(self, a: Self, slope: Self) -> Self {
        Portable(std::array::from_fn(|i| {
            if a.0[i] > 0.0 {
                self.0[i]
            } else {
                self.0[i] * slope.0[i]
            }
        }))
    }
}

#[cfg(target_arch = "x86_64")]
pub use x86::{Avx2, Avx512};

#[cfg(target_arch = "x86_64")]
mod x86 {
    use super::Lanes;
    use std::arch::x86_64::*;

    /// Sixteen values in a register of AVX-512.
    #[derive(Clone, Copy)]
    pub struct Avx512(pub(crate) __m512);

    impl Lanes for Avx512 {
        #[inline(always)]
        unsafe fn splat(x: f32) -> Self {
            // SAFETY: as this function's caller promises.
            Avx512(unsafe { _mm512_set1_ps(x) })
        }
        #[inline(always)]
        unsafe fn load(p: *const f32) -> Self {
            // SAFETY: as this function's caller promises.
            Avx512(unsafe { _mm512_loadu_ps(p) })
        }
        #[inline(always)]
        unsafe fn store(self, p: *mut f32) {
            // SAFETY: as this function's caller promises.
            unsafe { _mm512_storeu_ps(p, self.0) }
        }
        #[inline(always)]
        unsafe fn fma(self, a: Self, b: Self) -> Self {
            // SAFETY: as this function's caller promises.
            Avx512(unsafe { _mm512_fmadd_ps(a.0, b.0, self.0) })
        }
        #[inline(always)]
        unsafe fn add(self, a: Self) -> Self {
            // SAFETY: as this function's caller promises.
            Avx512(unsafe { _mm512_add_ps(self.0, a.0) })
        }
        #[inline(always)]
        unsafe fn sub(self, a: Self) -> Self {
            // SAFETY: as this function's caller promises.
            Avx512(unsafe { _mm512_sub_ps(self.0, a.0) })
        }
        #[inline(always)]
        unsafe fn nfma(self, a: Self, b: Self) -> Self {
            // SAFETY: as this function's caller promises.
            Avx512(unsafe { _mm512_fnmadd_ps(a.0, b.0, self.0) })
        }
        #[inline(always)]
        unsafe fn mul(self, a: Self) -> Self {
            // SAFETY: as this function's caller promises.
            Avx512(unsafe { _mm512_mul_ps(self.0, a.0) })
        }
        #[inline(always)]
        unsafe fn leaky(self, a: Self, slope: Self) -> Self {
            // SAFETY: as this function's caller promises.
            unsafe {
                let below = _mm512_cmp_ps_mask::<_CMP_NGT_UQ>(a.0, _mm512_setzero_ps());
                Avx512(_mm512_mask_mul_ps(self.0, below, self.0, slope.0))
            }
        }
        #[inline(always)]
        unsafe fn sum(self) -> f32 {
            // SAFETY: as this function's caller promises.
            unsafe { _mm512_reduce_add_ps(self.0) }
        }
    }

    /// Sixteen values in two registers of AVX2.
    #[derive(Clone, Copy)]
    pub struct Avx2(__m256, __m256);

    impl Lanes for Avx2 {
        #[inline(always)]
        unsafe fn splat(x: f32) -> Self {
            // SAFETY: as this function's caller promises.
            let v = unsafe { _mm256_set1_ps(x) };
            Avx2(v, v)
        }
        #[inline(always)]
        unsafe fn load(p: *const f32) -> Self {
            // SAFETY: as this function's caller promises.
            unsafe { Avx2(_mm256_loadu_ps(p), _mm256_loadu_ps(p.add(8))) }
        }
        #[inline(always)]
        unsafe fn store(self, p: *mut f32) {
            // SAFETY: as this function's caller promises.
            unsafe {
                _mm256_storeu_ps(p, self.0);
                _mm256_storeu_ps(p.add(8), self.1);
            }
        }
        #[inline(always)]
        unsafe fn fma(self, a: Self, b: Self) -> Self {
            // SAFETY: as this function's caller promises.
            unsafe {
                Avx2(
                    _mm256_fmadd_ps(a.0, b.0, self.0),
                    _mm256_fmadd_ps(a.1, b.1, self.1),
                )
            }
        }
        #[inline(always)]
        unsafe fn add(self, a: Self) -> Self {
            // SAFETY: as this function's caller promises.
            unsafe { Avx2(_mm256_add_ps(self.0, a.0), _mm256_add_ps(self.1, a.1)) }
        }
        #[inline(always)]
        unsafe fn sub(self, a: Self) -> Self {
            // SAFETY: as this function's caller promises.
            unsafe { Avx2(_mm256_sub_ps(self.0, a.0), _mm256_sub_ps(self.1, a.1)) }
        }
        #[inline(always)]
        unsafe fn nfma(self, a: Self, b: Self) -> Self {
            // SAFETY: as this function's caller promises.
            unsafe {
                Avx2(
                    _mm256_fnmadd_ps(a.0, b.0, self.0),
                    _mm256_fnmadd_ps(a.1, b.1, self.1),
                )
            }
        }
        #[inline(always)]
        unsafe fn mul(self, a: Self) -> Self {
            // SAFETY: as this function's caller promises.
            unsafe { Avx2(_mm256_mul_ps(self.0, a.0), _mm256_mul_ps(self.1, a.1)) }
        }
        #[inline(always)]
        unsafe fn leaky(self, a: Self, slope: Self) -> Self {
            // SAFETY: as this function's caller promises.
            unsafe {
                let zero = _mm256_setzero_ps();
                let half = |v, a, s| {
                    _mm256_blendv_ps(_mm256_mul_ps(v, s), v, _mm256_cmp_ps::<_CMP_GT_OQ>(a, zero))
                };
                Avx2(half(self.0, a.0, slope.0), half(self.1, a.1, slope.1))
            }
        }
    }
}

/// Instruction sets that the kernels are compiled for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Level {
    Portable,
    Avx2,
    Avx512,
}

/// An instruction set that this machine has: only [`Isa::best`] and [`Isa::available`], which ask
/// the processor, make one, so that safe functions may rely on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Isa(Level);

impl Isa {
    /// For code that has asked the processor itself.
    pub(crate) const AVX512: Isa = Isa(Level::Avx512);

    pub(crate) fn level(self) -> Level {
        self.0
    }

    /// As `SLIPHER_ISA` takes it.
    pub fn name(self) -> &'static str {
        match self.0 {
            Level::Portable => "portable",
            Level::Avx2 => "avx2",
            Level::Avx512 => "avx512",
        }
    }

    /// The best set this machine has (`SLIPHER_ISA=portable|avx2` lowers it, for tests).
    pub fn best() -> Isa {
        static BEST: OnceLock<Isa> = OnceLock::new();
        *BEST.get_or_init(|| {
            let requested = std::env::var("SLIPHER_ISA").unwrap_or_default();
            let all = Isa::available();
            match requested.as_str() {
                "portable" => Isa(Level::Portable),
                "avx2" if all.contains(&Isa(Level::Avx2)) => Isa(Level::Avx2),
                _ => *all.last().unwrap_or(&Isa(Level::Portable)),
            }
        })
    }

    /// All sets this machine can run, slowest first.
    pub fn available() -> Vec<Isa> {
        let mut all = vec![Isa(Level::Portable)];
        #[cfg(target_arch = "x86_64")]
        {
            if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
                all.push(Isa(Level::Avx2));
            }
            if is_x86_feature_detected!("avx512f") {
                all.push(Isa(Level::Avx512));
            }
        }
        all
    }
}

/// Compiles `$body::<Lanes>` for each instruction set and runs the best allowed.
macro_rules! on {
    ($isa:expr, $body:ident, ($($arg:ident : $ty:ty),* $(,)?)) => {{
        #[cfg(target_arch = "x86_64")]
        #[target_feature(enable = "avx512f,avx2,fma")]
        unsafe fn avx512($($arg: $ty),*) {
            // SAFETY: the instruction set is this function's; sizes are the caller's promise.
            unsafe { $body::<$crate::lanes::Avx512>($($arg),*) }
        }
        #[cfg(target_arch = "x86_64")]
        #[target_feature(enable = "avx2,fma")]
        unsafe fn avx2($($arg: $ty),*) {
            // SAFETY: the instruction set is this function's; sizes are the caller's promise.
            unsafe { $body::<$crate::lanes::Avx2>($($arg),*) }
        }
        // SAFETY: the set was detected on this machine.
        unsafe {
            match $isa.level() {
                #[cfg(target_arch = "x86_64")]
                $crate::lanes::Level::Avx512 => avx512($($arg),*),
                #[cfg(target_arch = "x86_64")]
                $crate::lanes::Level::Avx2 => avx2($($arg),*),
                _ => $body::<$crate::lanes::Portable>($($arg),*),
            }
        }
    }};
}
pub(crate) use on;

/// Compiles a function of plain loops, which must be `#[inline(always)]`, for the best instruction
/// set and runs it. Not a closure: one that is not inlined loses the instruction set.
macro_rules! vectorised {
    ($body:ident $(<$g:ident : $bound:path>)? ($($arg:ident : $ty:ty),* $(,)?)) => {{
        #[cfg(target_arch = "x86_64")]
        #[target_feature(enable = "avx512f,avx512vl,avx512dq,avx2,fma")]
        #[allow(clippy::too_many_arguments, reason = "as the body has them")]
        unsafe fn avx512 $(<$g: $bound>)? ($($arg: $ty),*) {
            $body($($arg),*)
        }
        #[cfg(target_arch = "x86_64")]
        #[target_feature(enable = "avx2,fma")]
        #[allow(clippy::too_many_arguments, reason = "as the body has them")]
        unsafe fn avx2 $(<$g: $bound>)? ($($arg: $ty),*) {
            $body($($arg),*)
        }
        // SAFETY: the sets were detected on this machine.
        #[allow(unused_unsafe)]
        unsafe {
            match $crate::lanes::Isa::best().level() {
                #[cfg(target_arch = "x86_64")]
                $crate::lanes::Level::Avx512 if is_x86_feature_detected!("avx512dq") && is_x86_feature_detected!("avx512vl") => avx512($($arg),*),
                #[cfg(target_arch = "x86_64")]
                $crate::lanes::Level::Avx512 | $crate::lanes::Level::Avx2 => avx2($($arg),*),
                _ => $body($($arg),*),
            }
        }
    }};
}
pub(crate) use vectorised;
