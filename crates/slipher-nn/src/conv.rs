//! Convolution of feature maps in one or two dimensions: forward, gradient of the data, gradient
//! of the weights, with bias, leaky ReLU and residual sums fused into the store.
//!
//! y[o][i][j] = b[o] + Σ_c Σ_ky Σ_kx x[c][i + ky − before₀][j + kx·dilation − before₁] ·
//! w[o][c][ky][kx]
//!
//! (a cross-correlation, as in PyTorch's `conv1d` and `conv2d`). Positions times output channels
//! form the register tile of [`crate::tile`]; nothing is unfolded (no im2col).

use rayon::prelude::*;

use crate::lanes::{Isa, Lanes, Level, WIDTH};
use crate::maps::{Maps, Shape};
use crate::tile::{Mac, Single, group, multiply, size};

/// Geometry of a convolution of stride 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Conv {
    pub channels: usize,
    pub filters: usize,
    /// Rows and columns of a filter.
    pub kernel: (usize, usize),
    /// Step between the columns of a filter.
    pub dilation: usize,
    /// Rows and columns of zeros assumed before the first.
    pub before: (usize, usize),
}

/// What happens to a sum before it is stored, in this order.
#[derive(Default)]
pub struct Epilogue<'a> {
    /// Times the gradient of a leaky ReLU whose output this is (1 above zero, the slope below).
    pub mask: Option<(&'a Maps, f32)>,
    /// Plus these maps.
    pub add: Option<&'a Maps>,
    /// Stored here too, in single precision.
    pub keep: Option<&'a mut Maps>,
    /// Leaky ReLU of this slope; 1 does nothing.
    pub slope: Option<f32>,
}

impl Conv {
    /// A convolution that keeps the size of the maps ("same"; an even kernel has its extra zero
    /// after).
    pub fn same(channels: usize, filters: usize, kernel: (usize, usize)) -> Self {
        Conv {
            channels,
            filters,
            kernel,
            dilation: 1,
            before: ((kernel.0 - 1) / 2, (kernel.1 - 1) / 2),
        }
    }
    /// A convolution without padding.
    pub fn valid(channels: usize, filters: usize, kernel: (usize, usize)) -> Self {
        Conv {
            channels,
            filters,
            kernel,
            dilation: 1,
            before: (0, 0),
        }
    }

    fn input(&self) -> Shape {
        Shape::line(self.channels, 1)
    }
    fn groups(&self) -> usize {
        self.filters.next_multiple_of(WIDTH) / group(self.filters)
    }
    /// Runs of adjoining words under a row of the kernel, and their length: one where columns
    /// touch.
    fn runs(&self, lanes: usize) -> (usize, usize) {
        if self.dilation == 1 {
            (1, self.kernel.1 * lanes)
        } else {
            (self.kernel.1, lanes)
        }
    }
    /// Length of the packed weights.
    pub fn weights(&self) -> usize {
        self.filters.next_multiple_of(WIDTH) * self.input().stored() * self.kernel.0 * self.kernel.1
    }
    /// Length of the bias: filters filled up to 16.
    pub fn biases(&self) -> usize {
        self.filters.next_multiple_of(WIDTH)
    }
    /// Index in the packed weights of filter `o`, channel `c`, row and column of the kernel.
    pub fn index(&self, o: usize, c: usize, ky: usize, kx: usize) -> usize {
        let (g, l, s) = (
            group(self.filters),
            self.input().lanes(),
            self.input().blocks(),
        );
        ((((o / g * s + c / l) * self.kernel.0 + ky) * self.kernel.1 + kx) * l + c % l) * g + o % g
    }
    fn each(&self, mut f: impl FnMut(usize, usize)) {
        let mut i = 0;
        for o in 0..self.filters {
            for c in 0..self.channels {
                for ky in 0..self.kernel.0 {
                    for kx in 0..self.kernel.1 {
                        f(i, self.index(o, c, ky, kx));
                        i += 1;
                    }
                }
            }
        }
    }
    /// PyTorch's `[filter][channel][row][column]` to packed.
    pub fn pack(&self, w: &[f32]) -> Vec<f32> {
        assert_eq!(
            w.len(),
            self.filters * self.channels * self.kernel.0 * self.kernel.1
        );
        let mut out = vec![0.0; self.weights()];
        self.each(|i, at| out[at] = w[i]);
        out
    }
    /// Packed to PyTorch's order.
    pub fn unpack(&self, w: &[f32]) -> Vec<f32> {
        assert_eq!(w.len(), self.weights());
        let mut out = vec![0.0; self.filters * self.channels * self.kernel.0 * self.kernel.1];
        self.each(|i, at| out[i] = w[at]);
        out
    }
    /// The convolution that carries the gradient back.
    pub fn adjoint(&self) -> Conv {
        let reach = (self.kernel.0 - 1, (self.kernel.1 - 1) * self.dilation);
        Conv {
            channels: self.filters,
            filters: self.channels,
            before: (reach.0 - self.before.0, reach.1 - self.before.1),
            ..*self
        }
    }
    /// Packed weights of [`Conv::adjoint`], written to `out`.
    pub fn transpose(&self, w: &[f32], out: &mut Vec<f32>) {
        let back = self.adjoint();
        out.resize(back.weights(), 0.0);
        for o in 0..self.filters {
            for c in 0..self.channels {
                for ky in 0..self.kernel.0 {
                    for kx in 0..self.kernel.1 {
                        out[back.index(c, o, self.kernel.0 - 1 - ky, self.kernel.1 - 1 - kx)] =
                            w[self.index(o, c, ky, kx)];
                    }
                }
            }
        }
    }
    /// Zeros that the input needs on either side for this output.
    pub fn border(&self, input: Shape, output: Shape) -> (usize, usize) {
        let after = |out: usize, before: usize, reach: usize, n: usize| {
            (out + reach).saturating_sub(before + n)
        };
        let reach = (self.kernel.0 - 1, (self.kernel.1 - 1) * self.dilation);
        (
            self.before
                .0
                .max(after(output.height, self.before.0, reach.0, input.height)),
            self.before
                .1
                .max(after(output.width, self.before.1, reach.1, input.width)),
        )
    }

    fn check(&self, x: (Shape, (usize, usize)), y: Shape, weights: usize) {
        assert_eq!(
            (x.0.channels, y.channels),
            (self.channels, self.filters),
            "channels"
        );
        assert_eq!(weights, self.weights(), "weights");
        let need = self.border(x.0, y);
        assert!(
            need.0 <= x.1.0 && need.1 <= x.1.1,
            "a border of {need:?} is needed, {:?} is there",
            x.1
        );
        assert!(y.channels >= WIDTH || y.channels == y.lanes());
    }

    /// `y = conv(x) + bias`, then what `then` says. `parallel` shares the work among threads.
    #[expect(clippy::too_many_arguments, reason = "a kernel's operands")]
    pub fn forward(
        &self,
        isa: Isa,
        x: &Maps,
        w: &[f32],
        bias: &[f32],
        y: &mut Maps,
        then: Epilogue,
        parallel: bool,
    ) {
        self.check((x.shape(), x.border()), y.shape(), w.len());
        assert!(y.shape().lanes() == WIDTH, "outputs come in sixteens");
        let job =
            Job::new::<Single<crate::lanes::Portable>>(self, x, w.as_ptr(), bias, y, then, isa);
        job.share(parallel, |group, rows, tiles| {
            run_single(isa, &job, group, rows, tiles)
        });
    }

    /// As [`Conv::forward`] in `bf16`, sums in single precision; `w` from [`Conv::pack_bf16`].
    #[cfg(target_arch = "x86_64")]
    pub fn forward_bf16(
        &self,
        x: &Maps<u16>,
        w: &[u32],
        bias: &[f32],
        y: &mut Maps<u16>,
        then: Epilogue,
        parallel: bool,
    ) {
        assert!(crate::tile::has_bf16(), "the processor has no bf16");
        self.check((x.shape(), x.border()), y.shape(), 2 * w.len());
        assert!(
            y.shape().lanes() == WIDTH && x.shape().lanes() == WIDTH,
            "channels come in sixteens"
        );
        let job = Job::new::<crate::tile::Brain>(self, x, w.as_ptr(), bias, y, then, Isa::AVX512);
        job.share(parallel, |group, rows, tiles| {
            run_bf16(&job, group, rows, tiles)
        });
    }

    /// Packed weights as pairs of channels in `bf16`.
    pub fn pack_bf16(&self, packed: &[f32]) -> Vec<u32> {
        pairs(packed, group(self.filters))
    }

    /// Gradient of weights and bias, added to `dw` (packed) and `db`.
    pub fn grad_weights(&self, isa: Isa, x: &Maps, dy: &Maps, dw: &mut [f32], db: &mut [f32]) {
        self.check((x.shape(), x.border()), dy.shape(), dw.len());
        assert_eq!((db.len(), dy.shape().lanes()), (self.biases(), WIDTH));
        let b = if isa.level() == Level::Avx512 {
            group(self.filters) / WIDTH
        } else {
            1
        };
        let lanes = x.shape().lanes();
        let (taps, run) = self.runs(lanes);
        let max = match (isa.level(), b) {
            (Level::Avx512, 2) => 12,
            (Level::Avx512, _) => 16,
            (Level::Avx2, _) => 6,
            _ => 4,
        };
        let per = run.div_ceil(run.div_ceil(max));
        let job = GradJob {
            x: x.as_ptr(),
            dy: dy.as_ptr(),
            dw: dw.as_mut_ptr(),
            x_at: x.at(0, -(self.before.0 as isize), -(self.before.1 as isize)),
            x_block: x.block_step(),
            x_row: x.row_step(),
            step: lanes,
            blocks: x.shape().blocks(),
            kernel_rows: self.kernel.0,
            taps,
            tap_step: self.dilation * lanes,
            run,
            per,
            dy_at: dy.at(0, 0, 0),
            dy_block: dy.block_step(),
            dy_row: dy.row_step(),
            rows: dy.shape().height,
            columns: dy.shape().width,
            group: group(self.filters),
            groups: self.groups(),
        };
        grad_weights(isa, &job);
        for (block, b) in db.chunks_exact_mut(WIDTH).enumerate() {
            for y in 0..dy.shape().height {
                for g in dy.row(block, y).chunks_exact(WIDTH) {
                    for (b, g) in b.iter_mut().zip(g) {
                        *b += g;
                    }
                }
            }
        }
    }
}

/// Rows of `[word][output]` weights to pairs of rows in `bf16`.
pub(crate) fn pairs(w: &[f32], group: usize) -> Vec<u32> {
    let half = |x: f32| u32::from(crate::tile::to_bf16(x));
    w.chunks_exact(2 * group)
        .flat_map(|two| (0..group).map(|o| half(two[o]) | half(two[group + o]) << 16))
        .collect()
}

/// Addresses and strides of one convolution; lengths in words (input) and elements (output).
struct Job<W, E> {
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
    fn new<M: Mac<Word = W, Element = E>>(
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
    fn share(
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

fn run_single(isa: Isa, job: &Job<f32, f32>, group: usize, rows: Span, tiles: Span) {
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
fn run_bf16(job: &Job<u32, u16>, group: usize, rows: Span, tiles: Span) {
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

/// Addresses and strides of one gradient of weights.
struct GradJob {
    x: *const f32,
    dy: *const f32,
    dw: *mut f32,
    x_at: usize,
    x_block: usize,
    x_row: usize,
    step: usize,
    blocks: usize,
    kernel_rows: usize,
    taps: usize,
    tap_step: usize,
    run: usize,
    per: usize,
    dy_at: usize,
    dy_block: usize,
    dy_row: usize,
    rows: usize,
    columns: usize,
    group: usize,
    groups: usize,
}

fn grad_weights(isa: Isa, job: &GradJob) {
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
    x: *const f32,
    dy: *const f32,
    dw: *mut f32,
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

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use rand::{Rng, SeedableRng};

    fn noise(n: usize, seed: u64) -> Vec<f32> {
        let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(seed);
        (0..n).map(|_| rng.random::<f32>() - 0.5).collect()
    }

    fn maps(shape: Shape, border: (usize, usize), seed: u64) -> Maps {
        let mut m = Maps::zeros(shape, border);
        m.fill_planes(&noise(shape.len(), seed));
        m
    }

    /// The definition, in double precision; `w` in PyTorch's order, result as planes.
    fn definition(c: &Conv, x: &[f32], s: Shape, w: &[f32], bias: &[f32], out: Shape) -> Vec<f32> {
        let mut y = Vec::new();
        for o in 0..c.filters {
            for (i, j) in (0..out.height).flat_map(|i| (0..out.width).map(move |j| (i, j))) {
                let mut sum = f64::from(bias[o]);
                for ch in 0..c.channels {
                    for ky in 0..c.kernel.0 {
                        for kx in 0..c.kernel.1 {
                            let (r, q) = (
                                (i + ky) as isize - c.before.0 as isize,
                                (j + kx * c.dilation) as isize - c.before.1 as isize,
                            );
                            if r < 0 || q < 0 || r >= s.height as isize || q >= s.width as isize {
                                continue;
                            }
                            let v = x[(ch * s.height + r as usize) * s.width + q as usize];
                            sum += f64::from(v)
                                * f64::from(
                                    w[((o * c.channels + ch) * c.kernel.0 + ky) * c.kernel.1 + kx],
                                );
                        }
                    }
                }
                y.push(sum as f32);
            }
        }
        y
    }

    fn dot(a: &[f32], b: &[f32]) -> f64 {
        a.iter()
            .zip(b)
            .map(|(a, b)| f64::from(*a) * f64::from(*b))
            .sum()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(40))]
        /// On every instruction set the forward map is the definition and both gradients are its
        /// adjoints: <conv(x), g> = <x, convᵀ(g)> = <w, dw>, for odd sizes and any padding.
        #[test]
        fn agrees_with_definition(channels in 1usize..40, filters in 16usize..70, kh in 1usize..4, kw in 1usize..9,
                                  h in 1usize..7, w in 1usize..40, dilation in 1usize..4, valid in any::<bool>(), seed in any::<u64>()) {
            let (h, w) = (h + kh - 1, w + (kw - 1) * dilation);
            let mut c = if valid { Conv::valid(channels, filters, (kh, kw)) } else { Conv::same(channels, filters, (kh, kw)) };
            c.dilation = dilation;
            if !valid { c.before.1 = (kw - 1) * dilation / 2; }
            let s = Shape::new(channels, h, w);
            let out = if valid { Shape::new(filters, h + 1 - kh, w - (kw - 1) * dilation) } else { Shape { channels: filters, ..s } };
            let weights = noise(filters * channels * kh * kw, seed);
            let mut bias = noise(c.biases(), seed ^ 1);
            bias[filters..].fill(0.0);
            let packed = c.pack(&weights);
            prop_assert_eq!(&c.unpack(&packed), &weights);
            let x = maps(s, c.border(s, out), seed ^ 2);
            let want = definition(&c, &x.planes(), s, &weights, &bias, out);
            let back = c.adjoint();
            let g = maps(out, back.border(out, s), seed ^ 3);
            for isa in Isa::available() {
                let mut y = Maps::zeros(out, (1, 2));
                c.forward(isa, &x, &packed, &bias, &mut y, Epilogue::default(), seed % 2 == 0);
                for (a, e) in y.planes().iter().zip(&want) {
                    prop_assert!((a - e).abs() < 1e-4, "{isa:?}: {a} != {e}");
                }
                let yg = dot(&want, &g.planes()) - dot(&bias[..filters], &g.planes().chunks(out.height * out.width).map(|p| p.iter().sum()).collect::<Vec<_>>());
                let (mut dw, mut db) = (vec![0.0; c.weights()], vec![0.0; c.biases()]);
                c.grad_weights(isa, &x, &g, &mut dw, &mut db);
                prop_assert!((yg - dot(&weights, &c.unpack(&dw))).abs() < 1e-3 * (1.0 + yg.abs()), "{isa:?} dw");
                prop_assert!((db[0] - g.planes()[..out.height * out.width].iter().sum::<f32>()).abs() < 1e-3);
                if channels >= 16 {
                    let mut wt = vec![];
                    c.transpose(&packed, &mut wt);
                    let mut dx = Maps::zeros(s, (0, 0));
                    back.forward(isa, &g, &wt, &vec![0.0; back.biases()], &mut dx, Epilogue::default(), false);
                    prop_assert!((yg - dot(&x.planes(), &dx.planes())).abs() < 1e-3 * (1.0 + yg.abs()), "{isa:?} dx");
                }
            }
        }
    }

    /// Golden values of torch.nn.functional.conv1d (dilation 3, "same") and its gradients, written
    /// by scripts/golden.py.
    #[test]
    fn agrees_with_pytorch() {
        let wave = |k: usize| {
            (0..k)
                .map(|i| (0.37 * i as f64 + 0.11 * k as f64).sin() as f32)
                .collect::<Vec<_>>()
        };
        let c = Conv {
            channels: 16,
            filters: 16,
            kernel: (1, 5),
            dilation: 3,
            before: (0, 6),
        };
        let s = Shape::line(16, 20);
        let (mut x, mut g) = (Maps::zeros(s, (0, 6)), Maps::zeros(s, (0, 6)));
        x.row_mut(0, 0).copy_from_slice(&wave(320));
        g.row_mut(0, 0).copy_from_slice(&wave(321)[1..]);
        // The packed order of 16 → 16 channels is [tap][in][out], as the script has it.
        let (w, b) = (wave(c.weights()), wave(16));
        let mut wt = vec![];
        c.transpose(&w, &mut wt);
        for isa in Isa::available() {
            let (mut y, mut dx) = (Maps::zeros(s, (0, 0)), Maps::zeros(s, (0, 0)));
            c.forward(isa, &x, &w, &b, &mut y, Epilogue::default(), false);
            c.adjoint().forward(
                isa,
                &g,
                &wt,
                &[0.0; 16],
                &mut dx,
                Epilogue::default(),
                false,
            );
            let (mut dw, mut db) = (vec![0.0; w.len()], vec![0.0; 16]);
            c.grad_weights(isa, &x, &g, &mut dw, &mut db);
            let (y, dx) = (y.row(0, 0), dx.row(0, 0));
            let got = [
                y[3 * 16 + 2],
                y[19 * 16 + 15],
                dx[1],
                dx[10 * 16 + 7],
                dw[0],
                dw[4 * 256 + 15 * 16 + 3],
            ];
            for (a, e) in got
                .iter()
                .zip([-22.1941f32, -19.2524, 18.7133, 24.508, -0.3573, -1.3991])
            {
                assert!((a - e).abs() < 2e-3, "{isa:?}: {got:?}");
            }
        }
    }

    #[test]
    fn the_epilogue_does_what_it_says() {
        let c = Conv::same(16, 32, (3, 3));
        let s = Shape::new(16, 5, 9);
        let out = Shape { channels: 32, ..s };
        let (x, act, old) = (
            maps(s, (1, 1), 1),
            maps(out, (2, 0), 2),
            maps(out, (0, 1), 3),
        );
        let w = c.pack(&noise(16 * 32 * 9, 4));
        let bias = noise(32, 5);
        for isa in Isa::available() {
            let (mut plain, mut y, mut kept) = (
                Maps::zeros(out, (0, 0)),
                Maps::zeros(out, (0, 0)),
                Maps::zeros(out, (1, 1)),
            );
            c.forward(isa, &x, &w, &bias, &mut plain, Epilogue::default(), false);
            let then = Epilogue {
                mask: Some((&act, 0.25)),
                add: Some(&old),
                slope: Some(0.5),
                keep: Some(&mut kept),
            };
            c.forward(isa, &x, &w, &bias, &mut y, then, true);
            let leaky = |v: f32, s: f32| if v > 0.0 { v } else { s * v };
            for (i, p) in plain.planes().iter().enumerate() {
                let v = p * if act.planes()[i] > 0.0 { 1.0 } else { 0.25 } + old.planes()[i];
                assert!(
                    (y.planes()[i] - leaky(v, 0.5)).abs() < 1e-5
                        && (kept.planes()[i] - v).abs() < 1e-5
                );
            }
        }
    }

    #[test]
    #[cfg(target_arch = "x86_64")]
    fn bf16_is_close() {
        if !crate::tile::has_bf16() {
            eprintln!("skipped: this processor has no bf16");
            return;
        }
        let c = Conv::same(32, 48, (3, 5));
        let s = Shape::new(32, 6, 11);
        let out = Shape { channels: 48, ..s };
        let x = maps(s, (1, 2), 1);
        let w = c.pack(&noise(32 * 48 * 15, 2));
        let bias = noise(48, 3);
        let mut want = Maps::zeros(out, (0, 0));
        c.forward(
            Isa::best(),
            &x,
            &w,
            &bias,
            &mut want,
            Epilogue {
                slope: Some(0.1),
                ..Epilogue::default()
            },
            false,
        );
        let mut half = Maps::<u16>::zeros(s, (1, 2));
        half.fill_planes(
            &x.planes()
                .iter()
                .map(|v| crate::tile::to_bf16(*v))
                .collect::<Vec<_>>(),
        );
        let mut y = Maps::<u16>::zeros(out, (0, 0));
        c.forward_bf16(
            &half,
            &c.pack_bf16(&w),
            &bias,
            &mut y,
            Epilogue {
                slope: Some(0.1),
                ..Epilogue::default()
            },
            true,
        );
        for (a, e) in y.planes().iter().zip(want.planes()) {
            let a = crate::tile::from_bf16(*a);
            assert!((a - e).abs() < 0.02 * (1.0 + e.abs()), "{a} {e}");
        }
    }
}
