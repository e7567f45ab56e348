//! Feature maps of one example, sixteen channels side by side.
//!
//! Layout `[block of 16 channels][row][column][16]` inside a border of zeros, so that a
//! convolution reads beyond the edges without a test. A spectrum is a map of one row. Maps of
//! fewer than 16 channels (an input of 1 or 5 bands) hold just those, as one narrow block.

use crate::lanes::WIDTH;

/// Channels, height and width of feature maps, without borders.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Shape {
    /// Channels.
    pub channels: usize,
    /// Rows; 1 for a line.
    pub height: usize,
    /// Columns.
    pub width: usize,
}

impl Shape {
    /// Maps in two dimensions.
    pub fn new(channels: usize, height: usize, width: usize) -> Self {
        Shape {
            channels,
            height,
            width,
        }
    }
    /// Maps in one dimension.
    pub fn line(channels: usize, width: usize) -> Self {
        Shape {
            channels,
            height: 1,
            width,
        }
    }
    /// Channels of one block: 16, or all of them if there are fewer.
    pub fn lanes(&self) -> usize {
        self.channels.min(WIDTH)
    }
    /// Blocks of channels.
    pub fn blocks(&self) -> usize {
        self.channels.div_ceil(WIDTH)
    }
    /// Values, `channels × height × width`.
    pub fn len(&self) -> usize {
        self.channels * self.height * self.width
    }
    /// Whether there are no values.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
    /// Values as [`Maps`] stores them without borders: the last block is filled up to 16.
    pub fn stored(&self) -> usize {
        self.blocks() * self.lanes() * self.height * self.width
    }
    /// Index in the stored order of channel `c`, row `y`, column `x`.
    pub fn index(&self, c: usize, y: usize, x: usize) -> usize {
        let l = self.lanes();
        ((c / l * self.height + y) * self.width + x) * l + c % l
    }
}

/// Feature maps with a border of zeros of `border` = (rows, columns) on either side.
#[derive(Clone, Debug, Default)]
pub struct Maps<E = f32> {
    shape: Shape,
    border: (usize, usize),
    data: Vec<E>,
}

impl<E: Copy + Default> Maps<E> {
    /// Zeros.
    pub fn zeros(shape: Shape, border: (usize, usize)) -> Self {
        let mut m = Maps::default();
        m.reset(shape, border);
        m
    }

    /// Takes this shape and border, keeping the allocation. The border is zero; the inside is
    /// zero after a change of shape, else as it was.
    pub fn reset(&mut self, shape: Shape, border: (usize, usize)) {
        if (self.shape, self.border) == (shape, border) && !self.data.is_empty() {
            return;
        }
        (self.shape, self.border) = (shape, border);
        self.data.clear();
        self.data
            .resize(shape.blocks() * self.block_step(), E::default());
    }

    /// Without borders.
    pub fn shape(&self) -> Shape {
        self.shape
    }
    /// Zeros on either side, (rows, columns).
    pub fn border(&self) -> (usize, usize) {
        self.border
    }
    /// Elements from one row to the next.
    pub fn row_step(&self) -> usize {
        (self.shape.width + 2 * self.border.1) * self.shape.lanes()
    }
    /// Elements from one block of channels to the next.
    pub fn block_step(&self) -> usize {
        (self.shape.height + 2 * self.border.0) * self.row_step()
    }
    /// Index of row `y`, column `x` of a block; negative values lie in the border.
    pub fn at(&self, block: usize, y: isize, x: isize) -> usize {
        let (by, bx) = (self.border.0 as isize, self.border.1 as isize);
        debug_assert!(y >= -by && x >= -bx && block < self.shape.blocks());
        block * self.block_step()
            + (y + by) as usize * self.row_step()
            + (x + bx) as usize * self.shape.lanes()
    }
    /// One row of a block, `[column][lanes]`, without borders.
    pub fn row(&self, block: usize, y: usize) -> &[E] {
        let at = self.at(block, y as isize, 0);
        &self.data[at..at + self.shape.width * self.shape.lanes()]
    }
    /// As [`Maps::row`], to be written.
    pub fn row_mut(&mut self, block: usize, y: usize) -> &mut [E] {
        let at = self.at(block, y as isize, 0);
        let n = self.shape.width * self.shape.lanes();
        &mut self.data[at..at + n]
    }
    pub(crate) fn as_ptr(&self) -> *const E {
        self.data.as_ptr()
    }
    pub(crate) fn as_mut_ptr(&mut self) -> *mut E {
        self.data.as_mut_ptr()
    }
    /// Copies values in the stored order ([`Shape::stored`]) into the maps.
    pub fn fill_stored(&mut self, values: &[E]) {
        assert_eq!(values.len(), self.shape.stored());
        let n = self.shape.width * self.shape.lanes();
        for (i, v) in values.chunks_exact(n).enumerate() {
            self.row_mut(i / self.shape.height, i % self.shape.height)
                .copy_from_slice(v);
        }
    }
    /// Copies the maps out in the stored order.
    pub fn copy_stored(&self, out: &mut [E]) {
        assert_eq!(out.len(), self.shape.stored());
        let n = self.shape.width * self.shape.lanes();
        for (i, v) in out.chunks_exact_mut(n).enumerate() {
            v.copy_from_slice(self.row(i / self.shape.height, i % self.shape.height));
        }
    }
    /// Copies `[channel][row][column]`, the order of NumPy and PyTorch, into the maps.
    pub fn fill_planes(&mut self, planes: &[E]) {
        let (s, lanes) = (self.shape, self.shape.lanes());
        assert_eq!(planes.len(), s.len());
        for (i, plane_row) in planes.chunks_exact(s.width).enumerate() {
            let (c, y) = (i / s.height, i % s.height);
            let row = self.row_mut(c / lanes, y);
            for (o, v) in row[c % lanes..].iter_mut().step_by(lanes).zip(plane_row) {
                *o = *v;
            }
        }
    }
    /// The maps as `[channel][row][column]`.
    pub fn planes(&self) -> Vec<E> {
        let (s, lanes) = (self.shape, self.shape.lanes());
        let mut out = Vec::with_capacity(s.len());
        for i in 0..s.channels * s.height {
            let (c, y) = (i / s.height, i % s.height);
            out.extend(self.row(c / lanes, y)[c % lanes..].iter().step_by(lanes));
        }
        out
    }
}

/// Copies `x` into the middle of `y`, which is larger by `border` on either side.
pub fn pad<E: Copy + Default>(x: &Maps<E>, border: usize, y: &mut Maps<E>) {
    let (from, to) = (x.shape(), y.shape());
    assert_eq!(
        (to.channels, to.height, to.width),
        (
            from.channels,
            from.height + 2 * border,
            from.width + 2 * border
        )
    );
    for block in 0..from.blocks() {
        for r in 0..from.height {
            let row = x.row(block, r);
            y.row_mut(block, r + border)[border * from.lanes()..][..row.len()].copy_from_slice(row);
        }
    }
}

/// Squares of `size × size` pixels of `x` to channels of `y`: channel `(c · size + y) · size + x`.
pub fn unfold<E: Copy + Default>(x: &Maps<E>, size: usize, y: &mut Maps<E>) {
    let (from, to) = (x.shape(), y.shape());
    assert_eq!(
        (to.channels, to.height * size, to.width * size),
        (from.channels * size * size, from.height, from.width)
    );
    let (lanes, wide) = (from.lanes(), to.lanes());
    for c in 0..to.channels {
        let (source, dy, dx) = (c / (size * size), c / size % size, c % size);
        for r in 0..to.height {
            let row = &x.row(source / lanes, r * size + dy)[dx * lanes + source % lanes..];
            y.row_mut(c / wide, r)[c % wide..]
                .iter_mut()
                .step_by(wide)
                .zip(row.iter().step_by(size * lanes))
                .for_each(|(o, v)| *o = *v);
        }
    }
}

impl Maps {
    /// Widens maps of `bf16`, border and all.
    pub fn widen_from(&mut self, from: &Maps<u16>) {
        self.reset(from.shape, from.border);
        for (to, v) in self.data.iter_mut().zip(&from.data) {
            *to = crate::tile::from_bf16(*v);
        }
    }
}

impl Maps<u16> {
    /// Rounds maps to `bf16`, border and all.
    pub fn round_from(&mut self, from: &Maps) {
        self.reset(from.shape, from.border);
        for (to, v) in self.data.iter_mut().zip(&from.data) {
            *to = crate::tile::to_bf16(*v);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn orders_convert() {
        for shape in [Shape::new(5, 3, 4), Shape::new(37, 2, 3), Shape::line(1, 7)] {
            let planes: Vec<f32> = (0..shape.len()).map(|i| i as f32).collect();
            let mut m = Maps::zeros(shape, (2, 3));
            m.fill_planes(&planes);
            assert_eq!(m.planes(), planes);
            let mut stored = vec![0.0; shape.stored()];
            m.copy_stored(&mut stored);
            let (c, y, x) = (shape.channels - 1, shape.height - 1, 2);
            assert_eq!(
                stored[shape.index(c, y, x)],
                planes[(c * shape.height + y) * shape.width + x]
            );
            let mut n = Maps::zeros(shape, (1, 0));
            n.fill_stored(&stored);
            assert_eq!(n.planes(), planes);
        }
    }
}
