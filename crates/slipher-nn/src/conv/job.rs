//! The convolution itself: work shared among threads, and the kernels.

use super::*;

/// Addresses and strides of one convolution; lengths in words (input) and elements (output).
pub(super) struct Job<W, E> {
    x: *const W,
    x_block: usize,
    x_row: usize,
    step: usize,
    blocks: usize,
    kernel_rows: usize,
    taps: usize,
    tap_step: usize,
    run: usize,
    w: *const W,
    group: usize,
    groups: usize,
    bias: *const f32,
    y: *mut E,
    y_block: usize,
    y_row: usize,
    rows: usize,
    columns: usize,
    tile: usize,
    mask: Option<(*const f32, usize, usize, f32)>,
    add: Option<(*const f32, usize, usize)>,
    slope: Option<f32>,
    keep: Option<(*mut f32, usize, usize)>,
}

// SAFETY: threads write disjoint rows, groups and tiles of `y` (`share` gives tiles that overlap to
// one thread); all else is read.
unsafe impl<W, E> Sync for Job<W, E> {}

impl<W: Copy, E: Copy + Default> Job<W, E> {
    pub(super) fn new<M: Mac<Word = W, Element = E>>(
        c: &Conv,
        x: &Maps<E>,
        w: *const W,
        bias: &[f32],
        y: &mut Maps<E>,
        then: Epilogue,
        isa: Isa,
    ) -> Self {
        assert_eq!(bias.len(), c.biases());
        let s = y.shape();
        let same = |m: Shape| assert_eq!(m, s, "maps of the epilogue");
        // Words are whole where a row has sixteen channels, and one element each otherwise.
        let per = WIDTH / M::WORDS;
        let lanes = x.shape().lanes() / per;
        let (taps, run) = c.runs(lanes);
        let group = group(c.filters);
        let tile = size(isa, s.width, c.filters);
        let at = x.at(0, -(c.before.0 as isize), -(c.before.1 as isize)) / per;
        let place = |m: &Maps| (m.at(0, 0, 0), m.block_step(), m.row_step());
        Job {
            x: x.as_ptr().cast::<W>().wrapping_add(at),
            x_block: x.block_step() / per,
            x_row: x.row_step() / per,
            step: lanes,
            blocks: x.shape().blocks(),
            kernel_rows: c.kernel.0,
            taps,
            tap_step: c.dilation * lanes,
            run,
            w,
            group,
            groups: c.groups(),
            bias: bias.as_ptr(),
            y: y.as_mut_ptr().wrapping_add(y.at(0, 0, 0)),
            y_block: y.block_step(),
            y_row: y.row_step(),
            rows: s.height,
            columns: s.width,
            tile,
            mask: then.mask.map(|(m, slope)| {
                same(m.shape());
                let (at, block, row) = place(m);
                (m.as_ptr().wrapping_add(at), block, row, slope)
            }),
            add: then.add.map(|m| {
                same(m.shape());
                let (at, block, row) = place(m);
                (m.as_ptr().wrapping_add(at), block, row)
            }),
            slope: then.slope.filter(|s| *s != 1.0),
            keep: then.keep.map(|m| {
                same(m.shape());
                let at = m.at(0, 0, 0);
                (
                    m.as_mut_ptr().wrapping_add(at),
                    m.block_step(),
                    m.row_step(),
                )
            }),
        }
    }

    /// Calls `work(group, rows, tiles)` for all of the output, on all threads if `parallel`.
    pub(super) fn share(
        &self,
        parallel: bool,
        work: impl Fn(usize, std::ops::Range<usize>, std::ops::Range<usize>) + Sync,
    ) {
        let tiles = self.columns.div_ceil(self.tile);
        if !parallel {
            (0..self.groups).for_each(|g| work(g, 0..self.rows, 0..tiles));
            return;
        }
        let parts = 2 * rayon::current_num_threads();
        if self.rows >= parts {
            let band = self.rows.div_ceil(parts);
            let bands = self.rows.div_ceil(band);
            (0..self.groups * bands).into_par_iter().for_each(|i| {
                let first = i % bands * band;
                work(i / bands, first..(first + band).min(self.rows), 0..tiles);
            });
        } else {
            let band = tiles.div_ceil(parts);
            let bands = tiles.div_ceil(band);
            // The last tile may overlap the one before it: one task writes both.
            let alone = bands > 1 && tiles - (bands - 1) * band == 1;
            let bands = if alone { bands - 1 } else { bands };
            (0..self.groups * bands).into_par_iter().for_each(|i| {
                let (group, b) = (i / bands, i % bands);
                let end = if b + 1 == bands {
                    tiles
                } else {
                    (b + 1) * band
                };
                work(group, 0..self.rows, b * band..end);
            });
        }
    }
}

type Span = std::ops::Range<usize>;

/// Runs `$body::<M, B, STEP, T>` for the `T` of the list that equals `$t`.
macro_rules! choose {
    ($t:expr, [$($n:literal)*], $body:ident::<$m:ty, $b:literal, $step:literal>$args:tt) => {
        match $t {
            $($n => $body::<$m, $b, $step, $n>$args,)*
            _ => unreachable!("tile sizes are chosen from the list"),
        }
    };
}

pub(super) fn run_single(isa: Isa, job: &Job<f32, f32>, group: usize, rows: Span, tiles: Span) {
    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "avx512f,avx2,fma")]
    unsafe fn avx512(job: &Job<f32, f32>, g: usize, rows: Span, tiles: Span) {
        type M = Single<crate::lanes::Avx512>;
        // SAFETY: the instruction set is this function's; sizes are the caller's promise.
        unsafe {
            match (job.group, job.step) {
                (32, 16) => {
                    choose!(job.tile, [1 2 3 4 5 6 7 8 10 12 13 14], forward::<M, 2, 16>(job, g, rows, tiles))
                }
                (32, _) => {
                    choose!(job.tile, [1 2 3 4 5 6 7 8 10 12 13 14], forward::<M, 2, 0>(job, g, rows, tiles))
                }
                (_, 16) => {
                    choose!(job.tile, [1 2 3 4 5 6 8 12 16 20 24], forward::<M, 1, 16>(job, g, rows, tiles))
                }
                (_, 1) => {
                    choose!(job.tile, [1 2 3 4 5 6 8 12 16 20 24], forward::<M, 1, 1>(job, g, rows, tiles))
                }
                _ => {
                    choose!(job.tile, [1 2 3 4 5 6 8 12 16 20 24], forward::<M, 1, 0>(job, g, rows, tiles))
                }
            }
        }
    }
    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "avx2,fma")]
    unsafe fn avx2(job: &Job<f32, f32>, g: usize, rows: Span, tiles: Span) {
        type M = Single<crate::lanes::Avx2>;
        // SAFETY: the instruction set is this function's; sizes are the caller's promise.
        unsafe {
            match job.step {
                16 => choose!(job.tile, [1 2 3 4 5 6], forward::<M, 1, 16>(job, g, rows, tiles)),
                _ => choose!(job.tile, [1 2 3 4 5 6], forward::<M, 1, 0>(job, g, rows, tiles)),
            }
        }
    }
    // SAFETY: the set was detected on this machine; shapes were checked by the caller.
    unsafe {
        match isa.level() {
            #[cfg(target_arch = "x86_64")]
            Level::Avx512 => avx512(job, group, rows, tiles),
            #[cfg(target_arch = "x86_64")]
            Level::Avx2 => avx2(job, group, rows, tiles),
            _ => {
                choose!(job.tile, [1 4], forward::<Single<crate::lanes::Portable>, 1, 0>(job, group, rows, tiles))
            }
        }
    }
}

#[cfg(target_arch = "x86_64")]
pub(super) fn run_bf16(job: &Job<u32, u16>, group: usize, rows: Span, tiles: Span) {
    #[target_feature(enable = "avx512f,avx512bf16,avx512bw,avx2,fma")]
    unsafe fn brain(job: &Job<u32, u16>, g: usize, rows: Span, tiles: Span) {
        type M = crate::tile::Brain;
        // SAFETY: the instruction set is this function's; sizes are the caller's promise.
        unsafe {
            match job.group {
                32 => {
                    choose!(job.tile, [1 2 3 4 5 6 7 8 10 12 13 14], forward::<M, 2, 8>(job, g, rows, tiles))
                }
                _ => {
                    choose!(job.tile, [1 2 3 4 5 6 8 12 16 20 24], forward::<M, 1, 8>(job, g, rows, tiles))
                }
            }
        }
    }
    // SAFETY: `has_bf16` was asserted; shapes were checked by the caller.
    unsafe { brain(job, group, rows, tiles) }
}

/// # Safety
/// The instruction set of `M`; `job` describes valid memory.
#[inline(always)]
unsafe fn forward<M: Mac, const B: usize, const STEP: usize, const T: usize>(
    job: &Job<M::Word, M::Element>,
    group: usize,
    rows: Span,
    tiles: Span,
) {
    let step = if STEP == 0 { job.step } else { STEP };
    // SAFETY: as this function's caller promises.
    unsafe {
        // Narrow registers take a group of 32 outputs in two passes.
        for part in 0..job.group / (B * WIDTH) {
            let first = group * (job.group / WIDTH) + part * B;
            let bias: [M::Sum; B] =
                std::array::from_fn(|b| M::Sum::load(job.bias.add((first + b) * WIDTH)));
            let start = job.w.add(
                group * job.blocks * job.kernel_rows * job.taps * job.run * job.group
                    + part * B * WIDTH,
            );
            for y in rows.clone() {
                for tile in tiles.clone() {
                    let column = (tile * T).min(job.columns - T);
                    let mut sum: [[M::Sum; T]; B] = std::array::from_fn(|b| [bias[b]; T]);
                    let mut w = start;
                    for block in 0..job.blocks {
                        for ky in 0..job.kernel_rows {
                            let x = job
                                .x
                                .add(block * job.x_block + (y + ky) * job.x_row + column * step);
                            for tap in 0..job.taps {
                                multiply::<M, B, T>(
                                    &mut sum,
                                    x.add(tap * job.tap_step),
                                    (step, 1),
                                    job.run,
                                    w,
                                    job.group,
                                );
                                w = w.add(job.run * job.group);
                            }
                        }
                    }
                    for b in 0..B {
                        finish::<M, B, T>(job, &sum[b], first + b, y, column);
                    }
                }
            }
        }
    }
}

/// # Safety
/// As [`forward`].
#[inline(always)]
unsafe fn finish<M: Mac, const B: usize, const T: usize>(
    job: &Job<M::Word, M::Element>,
    sum: &[M::Sum; T],
    block: usize,
    y: usize,
    column: usize,
) {
    // SAFETY: as this function's caller promises.
    unsafe {
        let mut v = *sum;
        if let Some((m, step, row, slope)) = job.mask {
            let (m, slope) = (
                m.add(block * step + y * row + column * WIDTH),
                M::Sum::splat(slope),
            );
            for t in 0..T {
                v[t] = v[t].leaky(M::Sum::load(m.add(t * WIDTH)), slope);
            }
        }
        if let Some((m, step, row)) = job.add {
            let m = m.add(block * step + y * row + column * WIDTH);
            for t in 0..T {
                v[t] = v[t].add(M::Sum::load(m.add(t * WIDTH)));
            }
        }
        if let Some((m, step, row)) = job.keep {
            let m = m.add(block * step + y * row + column * WIDTH);
            for t in 0..T {
                v[t].store(m.add(t * WIDTH));
            }
        }
        if let Some(slope) = job.slope {
            let slope = M::Sum::splat(slope);
            for t in 0..T {
                v[t] = v[t].leaky(v[t], slope);
            }
        }
        let out = job
            .y
            .add(block * job.y_block + y * job.y_row + column * WIDTH);
        for t in 0..T {
            M::store(v[t], out.add(t * WIDTH));
        }
    }
}
