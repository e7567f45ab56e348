//! The gradient of a convolution's weights.

use super::*;

/// Addresses and strides of one gradient of weights.
pub(super) struct GradJob {
    pub(super) x: *const f32,
    pub(super) dy: *const f32,
    pub(super) dw: *mut f32,
    pub(super) x_at: usize,
    pub(super) x_block: usize,
    pub(super) x_row: usize,
    pub(super) step: usize,
    pub(super) blocks: usize,
    pub(super) kernel_rows: usize,
    pub(super) taps: usize,
    pub(super) tap_step: usize,
    pub(super) run: usize,
    pub(super) per: usize,
    pub(super) dy_at: usize,
    pub(super) dy_block: usize,
    pub(super) dy_row: usize,
    pub(super) rows: usize,
    pub(super) columns: usize,
    pub(super) group: usize,
    pub(super) groups: usize,
}

pub(super) fn grad_weights(isa: Isa, job: &GradJob) {
    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "avx512f,avx2,fma")]
    unsafe fn avx512(job: &GradJob) {
        type L = crate::lanes::Avx512;
        // SAFETY: the instruction set is this function's; sizes are the caller's promise.
        unsafe {
            if job.group == 32 {
                grad_all::<2>(job, |j, p, n| choose_grad::<L, 2>(j, p, n));
            } else {
                grad_all::<1>(job, |j, p, n| choose_grad_wide::<L, 1>(j, p, n));
            }
        }
    }
    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "avx2,fma")]
    unsafe fn avx2(job: &GradJob) {
        // SAFETY: the instruction set is this function's; sizes are the caller's promise.
        unsafe {
            grad_all::<1>(job, |j, p, n| {
                choose_grad_small::<crate::lanes::Avx2, 1>(j, p, n)
            })
        }
    }
    // SAFETY: the set was detected on this machine; shapes were checked by the caller.
    unsafe {
        match isa.level() {
            #[cfg(target_arch = "x86_64")]
            Level::Avx512 => avx512(job),
            #[cfg(target_arch = "x86_64")]
            Level::Avx2 => avx2(job),
            _ => grad_all::<1>(job, |j, p, n| {
                choose_grad_small::<crate::lanes::Portable, 1>(j, p, n)
            }),
        }
    }
}

/// Places in `x`, `dy` and `dw` of one run of words.
#[derive(Clone, Copy)]
struct Place {
    pub(super) x: *const f32,
    pub(super) dy: *const f32,
    pub(super) dw: *mut f32,
}

macro_rules! grad_choice {
    ($name:ident, [$($n:literal)*]) => {
        #[inline(always)]
        unsafe fn $name<L: Lanes, const B: usize>(job: &GradJob, p: Place, n: usize) {
            // SAFETY: as this function's caller promises.
            unsafe {
                match n {
                    $($n => grad_run::<L, B, $n>(job, p),)*
                    _ => unreachable!("runs are cut to the sizes of the list"),
                }
            }
        }
    };
}
grad_choice!(choose_grad, [1 2 3 4 5 6 7 8 9 10 11 12]);
grad_choice!(choose_grad_wide, [1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16]);
grad_choice!(choose_grad_small, [1 2 3 4 5 6]);

/// # Safety
/// `job` describes valid memory; `run` handles any number of words up to `job.per`.
#[inline(always)]
unsafe fn grad_all<const B: usize>(job: &GradJob, run: impl Fn(&GradJob, Place, usize)) {
    // SAFETY: as this function's caller promises.
    unsafe {
        let mut row = 0;
        for g in 0..job.groups {
            for block in 0..job.blocks {
                for ky in 0..job.kernel_rows {
                    for tap in 0..job.taps {
                        for j in (0..job.run).step_by(job.per) {
                            for part in (0..job.group / WIDTH).step_by(B) {
                                let place = Place {
                                    x: job.x.add(
                                        job.x_at
                                            + block * job.x_block
                                            + ky * job.x_row
                                            + tap * job.tap_step
                                            + j,
                                    ),
                                    dy: job.dy.add(
                                        job.dy_at + (g * job.group / WIDTH + part) * job.dy_block,
                                    ),
                                    dw: job.dw.add((row + j) * job.group + part * WIDTH),
                                };
                                run(job, place, job.per.min(job.run - j));
                            }
                        }
                        row += job.run;
                    }
                }
            }
        }
    }
}

/// # Safety
/// As [`grad_all`].
#[inline(always)]
unsafe fn grad_run<L: Lanes, const B: usize, const J: usize>(job: &GradJob, p: Place) {
    // SAFETY: as this function's caller promises.
    unsafe {
        let mut sum = [[L::splat(0.0); J]; B];
        for y in 0..job.rows {
            let mut x = p.x.add(y * job.x_row);
            let mut dy = p.dy.add(y * job.dy_row);
            for _ in 0..job.columns {
                let g: [L; B] = std::array::from_fn(|b| L::load(dy.add(b * job.dy_block)));
                for j in 0..J {
                    let v = L::splat(*x.add(j));
                    for b in 0..B {
                        sum[b][j] = sum[b][j].fma(v, g[b]);
                    }
                }
                x = x.add(job.step);
                dy = dy.add(WIDTH);
            }
        }
        for j in 0..J {
            for b in 0..B {
                let to = p.dw.add(j * job.group + b * WIDTH);
                sum[b][j].add(L::load(to)).store(to);
            }
        }
    }
}
