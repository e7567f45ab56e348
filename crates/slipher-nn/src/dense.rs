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

use rayon::prelude::*;

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
                        match p.a {
                            Left::Tiles(a) => multiply::<M, B, T>(
                                &mut sum,
                                a.as_ptr().add((tile * words + first) * T),
                                (1, T),
                                n,
                                w,
                                g,
                            ),
                            Left::Rows(_) if copied => multiply::<M, B, T>(
                                &mut sum,
                                work.a.as_ptr().add(i * T * COPY),
                                (COPY, 1),
                                n,
                                w,
                                g,
                            ),
                            Left::Rows(a) => multiply::<M, B, T>(
                                &mut sum,
                                a.as_ptr().add(p.first_row(tile) * words + first),
                                (words, 1),
                                n,
                                w,
                                g,
                            ),
                            Left::Columns(_) => multiply::<M, B, T>(
                                &mut sum,
                                work.a.as_ptr().add((i * words + first) * T),
                                (1, T),
                                n,
                                w,
                                g,
                            ),
                            Left::Panels(a, width) => {
                                let a = |at: usize| {
                                    a.as_ptr().add(
                                        ((first + at) / width * p.m + p.first_row(tile)) * width,
                                    )
                                };
                                // The width is a constant in either loop: sums stay in registers.
                                if width == 2 * WIDTH {
                                    for at in (0..n).step_by(2 * WIDTH) {
                                        multiply::<M, B, T>(
                                            &mut sum,
                                            a(at),
                                            (2 * WIDTH, 1),
                                            (2 * WIDTH).min(n - at),
                                            w.add(at * g),
                                            g,
                                        );
                                    }
                                } else {
                                    for at in (0..n).step_by(WIDTH) {
                                        multiply::<M, B, T>(
                                            &mut sum,
                                            a(at),
                                            (WIDTH, 1),
                                            WIDTH.min(n - at),
                                            w.add(at * g),
                                            g,
                                        );
                                    }
                                }
                            }
                        }
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

/// Weights of a dense layer ready for prediction.
#[derive(Clone, Debug)]
pub struct Packed {
    inputs: usize,
    bias: Vec<f32>,
    single: Vec<f32>,
    half: Vec<u32>,
}

impl Packed {
    /// From weights in panels; in `bf16` if `half`.
    pub fn new(w: &[f32], bias: &[f32], half: bool) -> Self {
        let (n, g) = (bias.len(), group(bias.len()));
        let inputs = w.len() / n.next_multiple_of(WIDTH);
        assert_eq!(w.len(), panels_len(inputs, n));
        if !half {
            return Packed {
                inputs,
                bias: bias.to_vec(),
                single: w.to_vec(),
                half: vec![],
            };
        }
        // Pairs of inputs: an odd last one is paired with zeros.
        let pairs = w.chunks_exact(inputs * g).flat_map(|panel| {
            let mut panel = panel.to_vec();
            panel.resize(inputs.next_multiple_of(2) * g, 0.0);
            crate::conv::pairs(&panel, g)
        });
        Packed {
            inputs,
            bias: bias.to_vec(),
            half: pairs.collect(),
            single: vec![],
        }
    }

    pub fn inputs(&self) -> usize {
        self.inputs
    }
    pub fn outputs(&self) -> usize {
        self.bias.len()
    }

    /// y[rows × outputs] = leaky ReLU of x[rows × inputs] · w + bias (slope 1: linear).
    pub fn forward(&self, isa: Isa, x: &[f32], slope: f32, y: &mut [f32], buffers: &mut Buffers) {
        if self.half.is_empty() {
            return forward(isa, x, &self.single, &self.bias, slope, y);
        }
        #[cfg(target_arch = "x86_64")]
        {
            let (n, inputs) = (self.outputs(), self.inputs);
            let m = y.len() / n;
            assert_eq!((x.len(), y.len()), (m * inputs, m * n));
            if m == 0 {
                return;
            }
            let (tile, k) = (size(isa, m, n), inputs.div_ceil(2));
            let at = |r: usize, j: usize| {
                if j < inputs {
                    u32::from(crate::tile::to_bf16(x[r * inputs + j]))
                } else {
                    0
                }
            };
            pack_rows(m, k, tile, &mut buffers.half, |r, j| {
                at(r, 2 * j) | at(r, 2 * j + 1) << 16
            });
            let a = Left::Tiles(buffers.half.as_slice());
            run_bf16(&Product {
                m,
                n,
                k,
                a,
                p: &self.half,
                c: y.as_mut_ptr(),
                c_steps: (group(n), n, 1),
                bias: Some(&self.bias),
                slope,
                tile,
            });
        }
    }
}

/// Rows of A cut into tiles, `[tile][word][row of tile]`, the last filled up with zeros.
fn pack_rows<W: Copy + Default + Send + Sync>(
    rows: usize,
    words: usize,
    tile: usize,
    out: &mut Vec<W>,
    at: impl Fn(usize, usize) -> W + Sync,
) {
    out.resize(rows.div_ceil(tile) * tile * words, W::default());
    // Pieces of words, so that one row is shared by the threads too.
    const PIECE: usize = 1024;
    out.par_chunks_mut(words * tile)
        .enumerate()
        .for_each(|(i, part)| {
            let whole = tile.min(rows - i * tile);
            part.par_chunks_mut(PIECE * tile)
                .enumerate()
                .for_each(|(p, piece)| {
                    for (j, to) in piece.chunks_exact_mut(tile).enumerate() {
                        for (t, o) in to.iter_mut().enumerate() {
                            *o = if t < whole {
                                at(i * tile + t, p * PIECE + j)
                            } else {
                                W::default()
                            };
                        }
                    }
                });
        });
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use rand::{Rng, SeedableRng};

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(40))]
        /// Both paths are the definition; both gradients are the adjoints of the forward map.
        #[test]
        fn agrees_with_definition(rows in 1usize..70, inputs in 1usize..1100, outputs in 1usize..90, seed in any::<u64>()) {
            let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(seed);
            let mut noise = |n: usize| (0..n).map(|_| rng.random::<f32>() - 0.5).collect::<Vec<_>>();
            let (x, w, bias, g) = (noise(rows * inputs), noise(inputs * outputs), noise(outputs), noise(rows * outputs));
            let want: Vec<f32> = (0..rows * outputs).map(|i| {
                let (r, o) = (i / outputs, i % outputs);
                let sum: f64 = (0..inputs).map(|j| f64::from(x[r * inputs + j]) * f64::from(w[j * outputs + o])).sum();
                (sum + f64::from(bias[o])) as f32
            }).collect();
            let mut panels = vec![0.0; panels_len(inputs, outputs)];
            (0..inputs * outputs).for_each(|i| panels[index(inputs, outputs, i / outputs, i % outputs)] = w[i]);
            let mut buffers = Buffers::default();
            let mut y = vec![0.0; rows * outputs];
            forward(Isa::best(), &x, &panels, &bias, 1.0, &mut y);
            prop_assert!(y.iter().zip(&want).all(|(a, b)| (a - b).abs() < 1e-4));
            let leaky = |v: f32| if v > 0.0 { v } else { 0.3 * v };
            for isa in Isa::available() {
                Packed::new(&panels, &bias, false).forward(isa, &x, 0.3, &mut y, &mut buffers);
                prop_assert!(y.iter().zip(&want).all(|(a, b)| (a - leaky(*b)).abs() < 1e-4), "{isa:?}");
            }
            if crate::tile::has_bf16() {
                Packed::new(&panels, &bias, true).forward(Isa::AVX512, &x, 0.3, &mut y, &mut buffers);
                prop_assert!(y.iter().zip(&want).all(|(a, b)| (a - leaky(*b)).abs() < 0.01 * (inputs as f32).sqrt()));
            }
            for isa in Isa::available() {
                let (mut dw, mut db, mut dx) = (vec![9.0; panels.len()], vec![9.0; outputs], vec![9.0; x.len()]);
                grad_weights(isa, &x, &g, &mut dw, &mut db, &mut buffers);
                grad_data(isa, &g, &panels, outputs, &mut dx, &mut buffers);
                let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum::<f64>();
                let linear: f64 = want.iter().zip(&g).enumerate().map(|(i, (y, g))| f64::from((y - bias[i % outputs]) * g)).sum();
                prop_assert!((linear - dot(&panels, &dw)).abs() < 1e-3 * (1.0 + linear.abs()));
                prop_assert!((linear - dot(&x, &dx)).abs() < 1e-3 * (1.0 + linear.abs()));
                prop_assert!((db[0] - g.iter().step_by(outputs).sum::<f32>()).abs() < 1e-3);
            }
        }
    }
}
