//! Dense layers: in training through the `gemm` crate, in prediction through the register tile of
//! [`crate::tile`] with weights packed once, in `f32` or `bf16`.

use gemm::Parallelism;
use rayon::prelude::*;

use crate::lanes::{Isa, Lanes, WIDTH};
use crate::tile::{Mac, Single, best, group, multiply};

/// A matrix in memory, by the steps from row to row and column to column.
#[derive(Clone, Copy)]
struct View<'a> {
    at: &'a [f32],
    row: usize,
    column: usize,
}

/// A pointer that threads write disjoint parts through.
#[derive(Clone, Copy)]
struct Target(*mut f32);
// SAFETY: see its one use.
unsafe impl Send for Target {}
unsafe impl Sync for Target {}

impl Target {
    /// # Safety
    /// Within the memory it points to.
    unsafe fn plus(&self, n: usize) -> *mut f32 {
        unsafe { self.0.add(n) }
    }
}

/// c[m × n] = a[m × k] · b[k × n], c by rows. The parts do not depend on the number of threads.
fn product((m, n, k): (usize, usize, usize), a: View, b: View, c: &mut [f32]) {
    assert_eq!(c.len(), m * n);
    // Each part packs the other operand anew: not too small, and along the longer side.
    let (by_rows, long) = (m > n, m.max(n));
    let part = long.div_ceil((long / 384).clamp(1, 16)).next_multiple_of(WIDTH);
    let to = Target(c.as_mut_ptr());
    (0..long.div_ceil(part)).into_par_iter().for_each(|i| {
        let (first, count) = (i * part, part.min(long - i * part));
        let (m, n) = if by_rows { (count, n) } else { (m, count) };
        let (r, q) = if by_rows { (first, 0) } else { (0, first) };
        let row = if by_rows { n } else { long };
        // SAFETY: the views and `c` hold the sizes asserted by the callers; parts of `c` are disjoint.
        unsafe {
            let (a0, b0, c0) = (a.at[r * a.row..].as_ptr(), b.at[q * b.column..].as_ptr(), to.plus(r * row + q));
            gemm::gemm(
                m,
                n,
                k,
                c0,
                1,
                row as isize,
                false,
                a0,
                a.column as isize,
                a.row as isize,
                b0,
                b.column as isize,
                b.row as isize,
                0.0,
                1.0,
                false,
                false,
                false,
                Parallelism::None,
            );
        }
    });
}

/// y[rows × outputs] = x[rows × inputs] · w[inputs × outputs] + bias.
pub fn forward(x: &[f32], w: &[f32], bias: &[f32], y: &mut [f32]) {
    let outputs = bias.len();
    let inputs = w.len() / outputs;
    let rows = x.len() / inputs;
    assert_eq!((w.len(), x.len()), (inputs * outputs, rows * inputs));
    let (a, b) = (View { at: x, row: inputs, column: 1 }, View { at: w, row: outputs, column: 1 });
    product((rows, outputs, inputs), a, b, y);
    y.par_chunks_exact_mut(outputs).for_each(|row| row.iter_mut().zip(bias).for_each(|(v, b)| *v += b));
}

/// Gradients of weights and bias, written (not added) to `dw` and `db`.
pub fn grad_weights(x: &[f32], dy: &[f32], dw: &mut [f32], db: &mut [f32]) {
    let outputs = db.len();
    let (rows, inputs) = (dy.len() / outputs, dw.len() / outputs);
    assert_eq!((x.len(), dy.len()), (rows * inputs, rows * outputs));
    let (a, b) = (View { at: x, row: 1, column: inputs }, View { at: dy, row: outputs, column: 1 });
    product((inputs, outputs, rows), a, b, dw);
    db.fill(0.0);
    for row in dy.chunks_exact(outputs) {
        db.iter_mut().zip(row).for_each(|(b, g)| *b += g);
    }
}

/// Gradient of the data, dx[rows × inputs] = dy · wᵀ.
pub fn grad_data(dy: &[f32], w: &[f32], outputs: usize, dx: &mut [f32]) {
    let (rows, inputs) = (dy.len() / outputs, w.len() / outputs);
    assert_eq!(dx.len(), rows * inputs);
    let (a, b) = (View { at: dy, row: outputs, column: 1 }, View { at: w, row: 1, column: outputs });
    product((rows, inputs, outputs), a, b, dx);
}

/// Weights of a dense layer packed for prediction.
#[derive(Clone, Debug)]
pub struct Packed {
    inputs: usize,
    outputs: usize,
    bias: Vec<f32>,
    single: Vec<f32>,
    half: Vec<u32>,
}

/// Words of weights that stay in the inner cache while all rows pass by.
const BLOCK: usize = 512;

impl Packed {
    /// From w[inputs × outputs]; in `bf16` if `half`.
    pub fn new(w: &[f32], bias: &[f32], half: bool) -> Self {
        let outputs = bias.len();
        let (inputs, g, full) = (w.len() / outputs, group(outputs), outputs.next_multiple_of(WIDTH));
        let even = inputs.next_multiple_of(2);
        let mut single = vec![0.0; full * even];
        single.par_chunks_mut(even * g).enumerate().for_each(|(i, part)| {
            let columns = i * g..((i + 1) * g).min(outputs);
            for (to, from) in part.chunks_exact_mut(g).zip(w.chunks_exact(outputs)) {
                to[..columns.len()].copy_from_slice(&from[columns.clone()]);
            }
        });
        let mut padded = bias.to_vec();
        padded.resize(full, 0.0);
        let pairs = if half { crate::conv::pairs(&single, g) } else { vec![] };
        Packed { inputs, outputs, bias: padded, single: if half { vec![] } else { single }, half: pairs }
    }

    pub fn outputs(&self) -> usize {
        self.outputs
    }

    /// y[rows × outputs] = leaky ReLU of x[rows × inputs] · w + bias (slope 1: linear).
    pub fn forward(&self, isa: Isa, x: &[f32], slope: f32, y: &mut [f32]) {
        let rows = y.len() / self.outputs;
        assert_eq!((x.len(), y.len()), (rows * self.inputs, rows * self.outputs));
        if rows == 0 {
            return;
        }
        let wide = isa == Isa::Avx512;
        let sizes: &[usize] = match (isa, group(self.outputs)) {
            (Isa::Avx512, 32) => &[1, 2, 3, 4, 5, 6, 7, 8, 10, 12, 13, 14],
            (Isa::Avx512, _) => &[1, 2, 3, 4, 5, 6, 8, 12, 16, 20, 24],
            (Isa::Avx2, _) => &[1, 2, 3, 4, 5, 6],
            _ => &[1, 4],
        };
        let tile = best(rows, sizes);
        if !self.half.is_empty() {
            #[cfg(target_arch = "x86_64")]
            {
                assert!(wide && crate::tile::has_bf16(), "the processor has no bf16");
                let words = self.inputs.div_ceil(2);
                let at = |r: usize, j: usize| u32::from(crate::tile::to_bf16(x.get(r * self.inputs + j).copied().unwrap_or(0.0)));
                let odd = |j: usize| 2 * j + 1 < self.inputs;
                let packed = pack_rows(rows, words, tile, |r, j| at(r, 2 * j) | if odd(j) { at(r, 2 * j + 1) << 16 } else { 0 });
                let job = Job { x: &packed, words, w: &self.half, rows, tile, layer: self, slope };
                return job.run(y, |out, g| bf16_group(&job, out, g));
            }
        }
        let words = self.inputs.next_multiple_of(2);
        let packed = pack_rows(rows, words, tile, |r, j| if j < self.inputs { x[r * self.inputs + j] } else { 0.0 });
        let job = Job { x: &packed, words, w: &self.single, rows, tile, layer: self, slope };
        job.run(y, |out, g| single_group(isa, wide, &job, out, g));
    }
}

/// Rows of the input cut into tiles, `[tile][word][row of tile]`, short tiles filled with zeros.
fn pack_rows<W: Copy + Default + Send + Sync>(rows: usize, words: usize, tile: usize, at: impl Fn(usize, usize) -> W + Sync) -> Vec<W> {
    let mut out = vec![W::default(); rows.div_ceil(tile) * tile * words];
    // Pieces of 1024 words, so that one row is shared by the threads too.
    const PIECE: usize = 1024;
    out.par_chunks_mut(words * tile).enumerate().for_each(|(i, part)| {
        part.par_chunks_mut(PIECE * tile).enumerate().for_each(|(p, piece)| {
            for t in 0..tile.min(rows - i * tile) {
                for (j, o) in piece[t..].iter_mut().step_by(tile).enumerate() {
                    *o = at(i * tile + t, p * PIECE + j);
                }
            }
        });
    });
    out
}

struct Job<'a, W> {
    x: &'a [W],
    words: usize,
    w: &'a [W],
    rows: usize,
    tile: usize,
    layer: &'a Packed,
    slope: f32,
}

impl<W> Job<'_, W> {
    /// Computes each group of outputs with `one`, in parallel, and gathers the rows.
    fn run(&self, y: &mut [f32], one: impl Fn(&mut [f32], usize) + Sync) {
        let (g, outputs) = (group(self.layer.outputs), self.layer.outputs);
        let padded = self.rows.div_ceil(self.tile) * self.tile;
        let mut sums = vec![0.0f32; self.layer.bias.len() * padded];
        sums.par_chunks_mut(g * padded).enumerate().for_each(|(i, out)| one(out, i));
        for (i, part) in sums.chunks_exact(g * padded).enumerate() {
            let columns = i * g..((i + 1) * g).min(outputs);
            for (row, from) in y.chunks_exact_mut(outputs).zip(part.chunks_exact(g)) {
                for (o, v) in row[columns.clone()].iter_mut().zip(from) {
                    *o = if *v > 0.0 { *v } else { self.slope * v };
                }
            }
        }
    }
}

/// # Safety
/// The instruction set of `M`; `out` is `[row][group]` for all tiles.
#[inline(always)]
unsafe fn one_group<M: Mac, const B: usize, const T: usize>(job: &Job<M::Word>, out: &mut [f32], index: usize) {
    let g = group(job.layer.outputs);
    let tiles = job.rows.div_ceil(T);
    unsafe {
        for part in 0..g / (B * WIDTH) {
            let bias = job.layer.bias.as_ptr().add(index * g + part * B * WIDTH);
            for first in (0..job.words).step_by(BLOCK) {
                let n = BLOCK.min(job.words - first);
                let w = job.w.as_ptr().add((index * job.words + first) * g + part * B * WIDTH);
                for tile in 0..tiles {
                    let y = out.as_mut_ptr().add(tile * T * g + part * B * WIDTH);
                    let mut sum: [[M::Sum; T]; B] = std::array::from_fn(|b| {
                        std::array::from_fn(|t| M::Sum::load(if first == 0 { bias.add(b * WIDTH) } else { y.add(t * g + b * WIDTH).cast_const() }))
                    });
                    let x = job.x.as_ptr().add(tile * T * job.words + first * T);
                    multiply::<M, B, T>(&mut sum, x, (1, T), n, w, g);
                    for b in 0..B {
                        for t in 0..T {
                            sum[b][t].store(y.add(t * g + b * WIDTH));
                        }
                    }
                }
            }
        }
    }
}

macro_rules! choose {
    ($t:expr, [$($n:literal)*], $m:ty, $b:literal, $args:tt) => {
        match $t {
            $($n => one_group::<$m, $b, $n>$args,)*
            _ => unreachable!("tile sizes are chosen from the list"),
        }
    };
}

fn single_group(isa: Isa, wide: bool, job: &Job<f32>, out: &mut [f32], index: usize) {
    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "avx512f,avx2,fma")]
    unsafe fn avx512(job: &Job<f32>, out: &mut [f32], i: usize) {
        type M = Single<crate::lanes::Avx512>;
        unsafe {
            match group(job.layer.outputs) {
                32 => choose!(job.tile, [1 2 3 4 5 6 7 8 10 12 13 14], M, 2, (job, out, i)),
                _ => choose!(job.tile, [1 2 3 4 5 6 8 12 16 20 24], M, 1, (job, out, i)),
            }
        }
    }
    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "avx2,fma")]
    unsafe fn avx2(job: &Job<f32>, out: &mut [f32], i: usize) {
        unsafe { choose!(job.tile, [1 2 3 4 5 6], Single<crate::lanes::Avx2>, 1, (job, out, i)) }
    }
    // SAFETY: the set was detected on this machine; `Job` holds consistent sizes.
    unsafe {
        match isa {
            #[cfg(target_arch = "x86_64")]
            Isa::Avx512 if wide => avx512(job, out, index),
            #[cfg(target_arch = "x86_64")]
            Isa::Avx2 => avx2(job, out, index),
            _ => choose!(job.tile, [1 4], Single<crate::lanes::Portable>, 1, (job, out, index)),
        }
    }
}

#[cfg(target_arch = "x86_64")]
fn bf16_group(job: &Job<u32>, out: &mut [f32], index: usize) {
    #[target_feature(enable = "avx512f,avx512bf16,avx512bw,avx2,fma")]
    unsafe fn brain(job: &Job<u32>, out: &mut [f32], i: usize) {
        type M = crate::tile::Brain;
        unsafe {
            match group(job.layer.outputs) {
                32 => choose!(job.tile, [1 2 3 4 5 6 7 8 10 12 13 14], M, 2, (job, out, i)),
                _ => choose!(job.tile, [1 2 3 4 5 6 8 12 16 20 24], M, 1, (job, out, i)),
            }
        }
    }
    // SAFETY: `has_bf16` was asserted; `Job` holds consistent sizes.
    unsafe { brain(job, out, index) }
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
        fn agrees_with_definition(rows in 1usize..40, inputs in 1usize..1100, outputs in 1usize..90, seed in any::<u64>()) {
            let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(seed);
            let mut noise = |n: usize| (0..n).map(|_| rng.random::<f32>() - 0.5).collect::<Vec<_>>();
            let (x, w, bias, g) = (noise(rows * inputs), noise(inputs * outputs), noise(outputs), noise(rows * outputs));
            let want: Vec<f32> = (0..rows * outputs).map(|i| {
                let (r, o) = (i / outputs, i % outputs);
                let sum: f64 = (0..inputs).map(|j| f64::from(x[r * inputs + j]) * f64::from(w[j * outputs + o])).sum();
                (sum + f64::from(bias[o])) as f32
            }).collect();
            let mut y = vec![0.0; rows * outputs];
            forward(&x, &w, &bias, &mut y);
            prop_assert!(y.iter().zip(&want).all(|(a, b)| (a - b).abs() < 1e-4));
            let leaky = |v: f32| if v > 0.0 { v } else { 0.3 * v };
            for isa in Isa::available() {
                Packed::new(&w, &bias, false).forward(isa, &x, 0.3, &mut y);
                prop_assert!(y.iter().zip(&want).all(|(a, b)| (a - leaky(*b)).abs() < 1e-4), "{isa:?}");
            }
            if crate::tile::has_bf16() {
                Packed::new(&w, &bias, true).forward(Isa::Avx512, &x, 0.3, &mut y);
                prop_assert!(y.iter().zip(&want).all(|(a, b)| (a - leaky(*b)).abs() < 0.01 * (inputs as f32).sqrt()));
            }
            let (mut dw, mut db, mut dx) = (vec![9.0; w.len()], vec![9.0; outputs], vec![9.0; x.len()]);
            grad_weights(&x, &g, &mut dw, &mut db);
            grad_data(&g, &w, outputs, &mut dx);
            let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum::<f64>();
            let linear: f64 = want.iter().zip(&g).enumerate().map(|(i, (y, g))| f64::from((y - bias[i % outputs]) * g)).sum();
            prop_assert!((linear - dot(&w, &dw)).abs() < 1e-3 * (1.0 + linear.abs()));
            prop_assert!((linear - dot(&x, &dx)).abs() < 1e-3 * (1.0 + linear.abs()));
            prop_assert!((db[0] - g.iter().step_by(outputs).sum::<f32>()).abs() < 1e-3);
        }
    }
}
