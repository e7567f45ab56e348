//! Dense layers: forward, both gradients, and prediction, in `f32` or `bf16`.
//!
//! All are products C = A · P on the register tile of [`crate::tile`]: words of A are broadcast,
//! rows of P lie in vector lanes.
//!
//! | product | A | P | C |
//! |---|---|---|---|
//! | forward | x | w | y |
//! | gradient of weights | xᵀ | dy | dw |
//! | gradient of data | w | dyᵀ | dxᵀ |
//!
//! Weights lie in *panels*, `[group of 32 or 16 outputs][input][output of group]`
//! ([`crate::tile::group`]): each product reads or writes them in the order of memory.

mod packed;

use rayon::prelude::*;

pub use self::packed::Packed;
use crate::lanes::{Isa, Lanes, Level, WIDTH};
use crate::tile::{Mac, Single, group, multiply, size};

/// Words of A and P that stay in the cache together.
const BLOCK: usize = 512;
/// Most tiles of A and groups of P in one task; fixed, so that threads do not change sums.
const TILES: usize = 8;
const GROUPS: usize = 7;
/// Step between rows of A that a task has copied: rows a power of two apart would share cache sets.
const COPY: usize = BLOCK + WIDTH;

/// Length of the panels of `inputs × outputs` weights: outputs filled up to 16.
pub fn panels_len(inputs: usize, outputs: usize) -> usize {
    inputs * outputs.next_multiple_of(WIDTH)
}

/// Place in the panels of the weight from input `i` to output `o`.
pub fn index(inputs: usize, outputs: usize, i: usize, o: usize) -> usize {
    let g = group(outputs);
    (o / g * inputs + i) * g + o % g
}

/// The rows of A.
#[derive(Clone, Copy)]
enum Left<'a, W> {
    /// In tiles, `[tile][word][row of tile]`, the last filled up.
    Tiles(&'a [W]),
    /// Rows of a matrix `[row][word]`.
    Rows(&'a [W]),
    /// Columns of a matrix `[word][row]`, gathered by each task.
    Columns(&'a [W]),
    /// Rows of panels `[word / g][row][g]`.
    Panels(&'a [W], usize),
}

/// C[m × n] = A[m × k] · P[k × n] + bias, through a leaky ReLU.
struct Product<'a, W> {
    m: usize,
    n: usize,
    /// In words.
    k: usize,
    a: Left<'a, W>,
    /// `[group][word][lane]`.
    p: &'a [W],
    c: *mut f32,
    /// Steps of C from group to group, row to row, column to column.
    c_steps: (usize, usize, usize),
    bias: Option<&'a [f32]>,
    slope: f32,
    tile: usize,
}

// SAFETY: tasks write disjoint parts of `c`, or the same values where tiles overlap within a task;
// all else is read.
unsafe impl<W> Sync for Product<'_, W> {}

/// Buffers of one task, kept between tasks.
struct Work<W> {
    sums: Vec<f32>,
    a: Vec<W>,
}

impl<W: Copy + Default + Send + Sync> Product<'_, W> {
    /// Runs `task(tiles, groups, work)` for all of C.
    fn run(&self, task: impl Fn(Span, Span, &mut Work<W>) + Sync) {
        let (tiles, groups) = (
            self.m.div_ceil(self.tile),
            self.n.next_multiple_of(WIDTH) / group(self.n),
        );
        let parts = |n: usize, most: usize| n.div_ceil(n.div_ceil(most));
        let (by_tile, by_group) = match self.a {
            // A is small: parts of P, and two parts of A.
            Left::Tiles(_) | Left::Rows(_) if tiles == 1 => (1, 1),
            Left::Tiles(_) | Left::Rows(_) => (
                parts(tiles, TILES.min(tiles.div_ceil(2))),
                parts(groups, GROUPS),
            ),
            _ => (parts(tiles, TILES), groups),
        };
        let rows = tiles.div_ceil(by_tile);
        (0..rows * groups.div_ceil(by_group))
            .into_par_iter()
            .for_each_init(
                || Work {
                    sums: vec![],
                    a: vec![],
                },
                |work, i| {
                    let (t, g) = (i % rows * by_tile, i / rows * by_group);
                    task(
                        t..(t + by_tile).min(tiles),
                        g..(g + by_group).min(groups),
                        work,
                    );
                },
            );
    }

    /// First row of A in tile `i`; where tiles are not filled up, the last reaches back.
    fn first_row(&self, i: usize) -> usize {
        if matches!(self.a, Left::Tiles(_)) {
            i * self.tile
        } else {
            (i * self.tile).min(self.m - self.tile)
        }
    }
}

/// # Safety
/// The instruction set of `M`; `p` describes valid memory.
#[inline(always)]
unsafe fn task<M: Mac, const B: usize, const T: usize>(
    p: &Product<M::Word>,
    tiles: Span,
    groups: Span,
    work: &mut Work<M::Word>,
) {
    let (g, words, count) = (group(p.n), p.k, tiles.len());
    if let Left::Columns(x) = p.a {
        work.a.resize(count * words * T, M::Word::default());
        for (i, tile) in tiles.clone().enumerate() {
            let first = p.first_row(tile);
            for (j, to) in work.a[i * words * T..(i + 1) * words * T]
                .chunks_exact_mut(T)
                .enumerate()
            {
                to.copy_from_slice(&x[j * p.m + first..][..T]);
            }
        }
    }
    work.sums.resize(groups.len() * count * T * g, 0.0);
    for first in (0..words).step_by(BLOCK) {
        let n = BLOCK.min(words - first);
        let copied = matches!(p.a, Left::Rows(_)) && groups.len() > 1;
        if let (Left::Rows(x), true) = (p.a, copied) {
            work.a.resize(count * T * COPY, M::Word::default());
            for (i, tile) in tiles.clone().enumerate() {
                for (t, to) in work.a[i * T * COPY..(i + 1) * T * COPY]
                    .chunks_exact_mut(COPY)
                    .enumerate()
                {
                    to[..n].copy_from_slice(&x[(p.first_row(tile) + t) * words + first..][..n]);
                }
            }
        }
        for (gi, index) in groups.clone().enumerate() {
            for (i, tile) in tiles.clone().enumerate() {
                let sums = &mut work.sums[(gi * count + i) * T * g..][..T * g];
                if first + n == words {
                    prefetch(p, p.first_row(tile), index, T);
                }
                for part in 0..g / (B * WIDTH) {
                    // SAFETY: `sums` holds T rows of g, the panels k rows of g for each group, A as
                    // its kind says.
                    unsafe {
                        let y = sums.as_mut_ptr().add(part * B * WIDTH);
                        let mut sum = [[M::Sum::splat(0.0); T]; B];
                        if first > 0 {
                            for b in 0..B {
                                for t in 0..T {
                                    sum[b][t] = M::Sum::load(y.add(t * g + b * WIDTH));
                                }
                            }
                        }
                        let w =
                            p.p.as_ptr()
                                .add((index * words + first) * g + part * B * WIDTH);
                        let from = Piece {
                            tile,
                            first,
                            n,
                            copy: if copied {
                                work.a.as_ptr().add(i * T * COPY)
                            } else {
                                work.a.as_ptr().wrapping_add((i * words + first) * T)
                            },
                            copied,
                        };
                        multiply_piece::<M, B, T>(p, &mut sum, from, w);
                        for b in 0..B {
                            for t in 0..T {
                                sum[b][t].store(y.add(t * g + b * WIDTH));
                            }
                        }
                    }
                }
                if first + n == words {
                    store::<M, T>(p, sums, p.first_row(tile), index, g);
                }
            }
        }
    }
}

/// Words `first` to `first + n` of a tile of A; `copy` is where the task has copied them, if it has.
struct Piece<W> {
    tile: usize,
    first: usize,
    n: usize,
    copy: *const W,
    copied: bool,
}

/// Adds the product of a piece of A and the panels at `w` to the sums.
///
/// # Safety
/// As [`task`]; the piece lies in A, and `w` has `n` rows.
#[inline(always)]
unsafe fn multiply_piece<M: Mac, const B: usize, const T: usize>(
    p: &Product<M::Word>,
    sum: &mut [[M::Sum; T]; B],
    piece: Piece<M::Word>,
    w: *const M::Word,
) {
    let Piece {
        tile,
        first,
        n,
        copy,
        copied,
    } = piece;
    let (g, words, row) = (group(p.n), p.k, p.first_row(tile));
    // SAFETY: as the caller says; each kind of A holds words `first..first + n` of the tile here.
    unsafe {
        match p.a {
            Left::Tiles(a) => multiply::<M, B, T>(
                sum,
                a.as_ptr().add((tile * words + first) * T),
                (1, T),
                n,
                w,
                g,
            ),
            Left::Rows(_) if copied => multiply::<M, B, T>(sum, copy, (COPY, 1), n, w, g),
            Left::Rows(a) => multiply::<M, B, T>(
                sum,
                a.as_ptr().add(row * words + first),
                (words, 1),
                n,
                w,
                g,
            ),
            Left::Columns(_) => multiply::<M, B, T>(sum, copy, (1, T), n, w, g),
            Left::Panels(a, width) => {
                let a = |at: usize| a.as_ptr().add(((first + at) / width * p.m + row) * width);
                // The width is a constant in either loop: sums stay in registers.
                if width == 2 * WIDTH {
                    for at in (0..n).step_by(2 * WIDTH) {
                        let (n, w) = ((2 * WIDTH).min(n - at), w.add(at * g));
                        multiply::<M, B, T>(sum, a(at), (2 * WIDTH, 1), n, w, g);
                    }
                } else {
                    for at in (0..n).step_by(WIDTH) {
                        let (n, w) = (WIDTH.min(n - at), w.add(at * g));
                        multiply::<M, B, T>(sum, a(at), (WIDTH, 1), n, w, g);
                    }
                }
            }
        }
    }
}

/// Asks for the rows of C that a tile will write, while it is being computed.
#[inline(always)]
fn prefetch<W>(p: &Product<W>, first: usize, index: usize, t: usize) {
    #[cfg(target_arch = "x86_64")]
    if p.c_steps.2 == 1 {
        for r in 0..t {
            let at =
                p.c.wrapping_add(index * p.c_steps.0 + (first + r) * p.c_steps.1)
                    .cast::<i8>();
            // SAFETY: a prefetch may name any address.
            unsafe {
                std::arch::x86_64::_mm_prefetch::<{ std::arch::x86_64::_MM_HINT_T0 }>(at);
                std::arch::x86_64::_mm_prefetch::<{ std::arch::x86_64::_MM_HINT_T0 }>(
                    at.wrapping_add(64),
                );
            }
        }
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = (p, first, index, t);
}

#[inline(always)]
fn store<M: Mac, const T: usize>(
    p: &Product<M::Word>,
    sums: &[f32],
    first: usize,
    index: usize,
    g: usize,
) {
    let columns = g.min(p.n - index * g);
    let (group, row, column) = p.c_steps;
    if column != 1 {
        // Turned: neighbours in memory are rows of the tile.
        for o in 0..columns {
            for r in 0..T.min(p.m - first) {
                // SAFETY: rows below m and columns below n lie in C.
                unsafe {
                    *p.c.add(index * group + (first + r) * row + o * column) = sums[r * g + o]
                };
            }
        }
        return;
    }
    for r in 0..T.min(p.m - first) {
        let from = &sums[r * g..][..columns];
        // SAFETY: rows below m and columns below n lie in C.
        unsafe {
            let to = p.c.add(index * group + (first + r) * row);
            match p.bias {
                Some(bias) => {
                    for (o, (v, b)) in from.iter().zip(&bias[index * g..]).enumerate() {
                        let v = v + b;
                        *to.add(o) = if v > 0.0 { v } else { p.slope * v };
                    }
                }
                None if columns.is_multiple_of(WIDTH) => {
                    for o in (0..columns).step_by(WIDTH) {
                        M::Sum::load(from.as_ptr().add(o)).store(to.add(o));
                    }
                }
                None => from.iter().enumerate().for_each(|(o, v)| *to.add(o) = *v),
            }
        }
    }
}

/// `[word][column]` (or `[column][word]` if `turned`) to panels.
fn pack(from: &[f32], words: usize, columns: usize, turned: bool, out: &mut Vec<f32>) {
    let g = group(columns);
    out.resize(panels_len(words, columns), 0.0);
    if words == 0 {
        return;
    }
    out.par_chunks_mut(words * g)
        .enumerate()
        .for_each(|(i, part)| {
            let mine = i * g..((i + 1) * g).min(columns);
            for (j, to) in part.chunks_exact_mut(g).enumerate() {
                if turned {
                    mine.clone()
                        .zip(to.iter_mut())
                        .for_each(|(c, o)| *o = from[c * words + j]);
                } else {
                    to[..mine.len()].copy_from_slice(&from[j * columns..][mine.clone()]);
                }
                to[mine.len()..].fill(0.0);
            }
        });
}

macro_rules! choose {
    ($t:expr, [$($n:literal)*], $m:ty, $b:literal, $args:tt) => {
        match $t {
            $($n => task::<$m, $b, $n>$args,)*
            _ => unreachable!("tile sizes are chosen from the list"),
        }
    };
}

type Span = std::ops::Range<usize>;

fn run_single(isa: Isa, p: &Product<f32>) {
    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "avx512f,avx2,fma")]
    unsafe fn avx512(p: &Product<f32>, tiles: Span, groups: Span, work: &mut Work<f32>) {
        type M = Single<crate::lanes::Avx512>;
        // SAFETY: the instruction set is this function's; sizes are the caller's promise.
        unsafe {
            match group(p.n) {
                32 => {
                    choose!(p.tile, [1 2 3 4 5 6 7 8 10 12 13 14], M, 2, (p, tiles, groups, work))
                }
                _ => choose!(p.tile, [1 2 3 4 5 6 8 12 16 20 24], M, 1, (p, tiles, groups, work)),
            }
        }
    }
    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "avx2,fma")]
    unsafe fn avx2(p: &Product<f32>, tiles: Span, groups: Span, work: &mut Work<f32>) {
        // SAFETY: the instruction set is this function's; sizes are the caller's promise.
        unsafe {
            choose!(p.tile, [1 2 3 4 5 6], Single<crate::lanes::Avx2>, 1, (p, tiles, groups, work))
        }
    }
    // SAFETY: the set was detected on this machine; the callers checked all sizes.
    p.run(|tiles, groups, work| unsafe {
        match isa.level() {
            #[cfg(target_arch = "x86_64")]
            Level::Avx512 => avx512(p, tiles, groups, work),
            #[cfg(target_arch = "x86_64")]
            Level::Avx2 => avx2(p, tiles, groups, work),
            _ => {
                choose!(p.tile, [1 4], Single<crate::lanes::Portable>, 1, (p, tiles, groups, work))
            }
        }
    });
}

#[cfg(target_arch = "x86_64")]
fn run_bf16(p: &Product<u32>) {
    #[target_feature(enable = "avx512f,avx512bf16,avx512bw,avx2,fma")]
    unsafe fn brain(p: &Product<u32>, tiles: Span, groups: Span, work: &mut Work<u32>) {
        type M = crate::tile::Brain;
        // SAFETY: the instruction set is this function's; sizes are the caller's promise.
        unsafe {
            match group(p.n) {
                32 => {
                    choose!(p.tile, [1 2 3 4 5 6 7 8 10 12 13 14], M, 2, (p, tiles, groups, work))
                }
                _ => choose!(p.tile, [1 2 3 4 5 6 8 12 16 20 24], M, 1, (p, tiles, groups, work)),
            }
        }
    }
    assert!(crate::tile::has_bf16(), "the processor has no bf16");
    // SAFETY: the instructions are there; the callers checked all sizes.
    p.run(|tiles, groups, work| unsafe { brain(p, tiles, groups, work) });
}

/// Buffers of one layer's products, reused from batch to batch.
#[derive(Clone, Debug, Default)]
pub struct Buffers {
    single: Vec<f32>,
    half: Vec<u32>,
}

/// y[rows × outputs] = leaky ReLU of x[rows × inputs] · w + bias (slope 1: linear); `w` in panels.
pub fn forward(isa: Isa, x: &[f32], w: &[f32], bias: &[f32], slope: f32, y: &mut [f32]) {
    let n = bias.len();
    let k = w.len() / n.next_multiple_of(WIDTH);
    let m = y.len() / n;
    assert_eq!(
        (w.len(), x.len(), y.len()),
        (panels_len(k, n), m * k, m * n)
    );
    if m == 0 {
        return;
    }
    let tile = size(isa, m, n);
    run_single(
        isa,
        &Product {
            m,
            n,
            k,
            a: Left::Rows(x),
            p: w,
            c: y.as_mut_ptr(),
            c_steps: (group(n), n, 1),
            bias: Some(bias),
            slope,
            tile,
        },
    );
}

/// Gradients of weights (in panels) and bias, written, not added.
pub fn grad_weights(
    isa: Isa,
    x: &[f32],
    dy: &[f32],
    dw: &mut [f32],
    db: &mut [f32],
    buffers: &mut Buffers,
) {
    let n = db.len();
    let (k, m) = (dy.len() / n, dw.len() / n.next_multiple_of(WIDTH));
    assert_eq!(
        (x.len(), dy.len(), dw.len()),
        (k * m, k * n, panels_len(m, n))
    );
    pack(dy, k, n, false, &mut buffers.single);
    // The filled-up outputs are computed too: they are the zeros of the panels.
    let (full, g, tile) = (n.next_multiple_of(WIDTH), group(n), size(isa, m, n));
    let p = Product {
        m,
        n: full,
        k,
        a: Left::Columns(x),
        p: &buffers.single,
        c: dw.as_mut_ptr(),
        c_steps: (m * g, g, 1),
        bias: None,
        slope: 1.0,
        tile,
    };
    run_single(isa, &p);
    db.fill(0.0);
    for row in dy.chunks_exact(n) {
        db.iter_mut().zip(row).for_each(|(b, g)| *b += g);
    }
}

/// Gradient of the data, dx[rows × inputs] = dy[rows × outputs] · wᵀ; `w` in panels.
pub fn grad_data(
    isa: Isa,
    dy: &[f32],
    w: &[f32],
    outputs: usize,
    dx: &mut [f32],
    buffers: &mut Buffers,
) {
    let (k, n, m) = (
        outputs,
        dy.len() / outputs,
        w.len() / outputs.next_multiple_of(WIDTH),
    );
    assert_eq!(
        (dy.len(), w.len(), dx.len()),
        (n * k, panels_len(m, k), n * m)
    );
    if n == 0 {
        return;
    }
    pack(dy, k, n, true, &mut buffers.single);
    let tile = size(isa, m, n);
    let p = Product {
        m,
        n,
        k,
        a: Left::Panels(w, group(k)),
        p: &buffers.single,
        c: dx.as_mut_ptr(),
        c_steps: (group(n) * m, 1, m),
        bias: None,
        slope: 1.0,
        tile,
    };
    run_single(isa, &p);
}

#[cfg(test)]
mod tests;
