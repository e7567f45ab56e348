//! Convolution of feature maps in one or two dimensions: forward, gradient of the data, gradient
//! of the weights, with bias, leaky ReLU and residual sums fused into the store.
//!
//! ```text
//! y[o][i][j] = b[o] + Σ_c Σ_ky Σ_kx x[c][i + ky − before₀][j + kx·dilation − before₁]
//!                                   · w[o][c][ky][kx]
//! ```
//!
//! (a cross-correlation, as in PyTorch's `conv1d` and `conv2d`). Positions times output channels
//! form the register tile of [`crate::tile`]; nothing is unfolded (no im2col).

mod gradient;
mod job;

use rayon::prelude::*;

use self::gradient::{GradJob, grad_weights};
use self::job::{Job, run_bf16, run_single};
use crate::lanes::{Isa, Lanes, Level, WIDTH};
use crate::maps::{Maps, Shape};
use crate::tile::{Mac, Single, group, multiply, size};

/// Geometry of a convolution of stride 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Conv {
    /// Channels of the input.
    pub channels: usize,
    /// Channels of the output.
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

impl Epilogue<'_> {
    /// A leaky ReLU of this slope, and nothing else.
    pub fn leaky(slope: f32) -> Self {
        Epilogue {
            slope: Some(slope),
            ..Epilogue::default()
        }
    }
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

#[cfg(test)]
mod tests;
