//! Maximum over square windows of feature maps, and its gradient.

use crate::lanes::{WIDTH, vectorised};
use crate::maps::{Maps, Shape};

/// Windows of `size`, `stride` apart. Of a line only the columns are pooled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MaxPool {
    /// Side of the window in pixels.
    pub size: usize,
    /// Pixels from window to window.
    pub stride: usize,
    /// Windows may begin before and end after the maps, so that ⌈n / stride⌉ come out (Keras'
    /// "same"); else windows lie inside (PyTorch's default).
    pub same: bool,
}

/// A number of feature maps, `f32` or `bf16`.
pub trait Value: Copy + Default {
    /// Below all other values.
    const LOWEST: Self;
    /// To single precision.
    fn wide(self) -> f32;
    /// From single precision, rounded.
    fn narrow(v: f32) -> Self;
}

impl Value for f32 {
    const LOWEST: f32 = f32::NEG_INFINITY;
    #[inline(always)]
    fn wide(self) -> f32 {
        self
    }
    #[inline(always)]
    fn narrow(v: f32) -> f32 {
        v
    }
}

/// `bf16`.
impl Value for u16 {
    const LOWEST: u16 = 0xFF80;
    #[inline(always)]
    fn wide(self) -> f32 {
        crate::tile::from_bf16(self)
    }
    #[inline(always)]
    fn narrow(v: f32) -> u16 {
        crate::tile::to_bf16(v)
    }
}

impl MaxPool {
    fn side(&self, n: usize) -> usize {
        if self.same {
            n.div_ceil(self.stride)
        } else {
            (n.max(self.size) - self.size) / self.stride + 1
        }
    }
    /// First row or column of window `i` along a side of `n`.
    fn first(&self, i: usize, n: usize) -> isize {
        let before = if self.same {
            (((self.side(n) - 1) * self.stride + self.size).saturating_sub(n)) / 2
        } else {
            0
        };
        (i * self.stride) as isize - before as isize
    }
    fn window(&self, i: usize, n: usize) -> std::ops::Range<usize> {
        let first = self.first(i, n);
        first.max(0) as usize..((first + self.size as isize) as usize).min(n)
    }
    /// Shape after pooling.
    pub fn output(&self, s: Shape) -> Shape {
        Shape {
            height: if s.height == 1 {
                1
            } else {
                self.side(s.height)
            },
            width: self.side(s.width),
            ..s
        }
    }
    fn rows(&self, i: usize, s: Shape) -> std::ops::Range<usize> {
        if s.height == 1 {
            0..1
        } else {
            self.window(i, s.height)
        }
    }

    /// `y` = maximum of each window of `x`, in `f32` or `bf16`; both of sixteen lanes.
    pub fn forward<E: Value>(&self, x: &Maps<E>, y: &mut Maps<E>) {
        assert_eq!(
            (y.shape(), x.shape().lanes()),
            (self.output(x.shape()), WIDTH)
        );
        let pool = *self;
        vectorised!(forward_all<E: Value>(pool: MaxPool, x: &Maps<E>, y: &mut Maps<E>));
    }

    /// `dx` = gradient of the data: each window's gradient goes to its first maximum, times the
    /// gradient of the leaky ReLU of slope `slope` that made `x` (1 if none did).
    pub fn backward(&self, x: &Maps, y: &Maps, dy: &Maps, slope: f32, dx: &mut Maps) {
        assert_eq!(
            (y.shape(), dy.shape(), dx.shape()),
            (self.output(x.shape()), y.shape(), x.shape())
        );
        let pool = *self;
        vectorised!(backward_all(pool: MaxPool, x: &Maps, y: &Maps, dy: &Maps, slope: f32, dx: &mut Maps));
    }
}

#[inline(always)]
fn forward_all<E: Value>(pool: MaxPool, x: &Maps<E>, y: &mut Maps<E>) {
    let (s, out) = (x.shape(), y.shape());
    for block in 0..s.blocks() {
        for i in 0..out.height {
            for j in 0..out.width {
                let mut best = [E::LOWEST; WIDTH];
                for r in pool.rows(i, s) {
                    let row = x.row(block, r);
                    for c in pool.window(j, s.width) {
                        let v: [E; WIDTH] = array(&row[c * WIDTH..]);
                        for k in 0..WIDTH {
                            best[k] = if v[k].wide() > best[k].wide() {
                                v[k]
                            } else {
                                best[k]
                            };
                        }
                    }
                }
                y.row_mut(block, i)[j * WIDTH..(j + 1) * WIDTH].copy_from_slice(&best);
            }
        }
    }
}

#[inline(always)]
fn backward_all(pool: MaxPool, x: &Maps, y: &Maps, dy: &Maps, slope: f32, dx: &mut Maps) {
    let (s, out) = (x.shape(), y.shape());
    for block in 0..s.blocks() {
        for r in 0..s.height {
            dx.row_mut(block, r).fill(0.0);
        }
        for i in 0..out.height {
            for j in 0..out.width {
                let best: [f32; WIDTH] = array(&y.row(block, i)[j * WIDTH..]);
                // What is left to give; given once.
                let mut left: [f32; WIDTH] = array(&dy.row(block, i)[j * WIDTH..]);
                for k in 0..WIDTH {
                    left[k] *= if best[k] > 0.0 { 1.0 } else { slope };
                }
                for r in pool.rows(i, s) {
                    let (from, to) = (x.row(block, r), dx.row_mut(block, r));
                    for c in pool.window(j, s.width) {
                        let v: [f32; WIDTH] = array(&from[c * WIDTH..]);
                        let mut sum: [f32; WIDTH] = array(&to[c * WIDTH..]);
                        for k in 0..WIDTH {
                            let here = v[k] == best[k];
                            sum[k] += if here { left[k] } else { 0.0 };
                            left[k] = if here { 0.0 } else { left[k] };
                        }
                        to[c * WIDTH..(c + 1) * WIDTH].copy_from_slice(&sum);
                    }
                }
            }
        }
    }
}

#[inline(always)]
fn array<E: Copy + Default>(v: &[E]) -> [E; WIDTH] {
    let mut a = [E::default(); WIDTH];
    a.copy_from_slice(&v[..WIDTH]);
    a
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use rand::{Rng, SeedableRng};

    fn maps(shape: Shape, seed: u64) -> Maps {
        let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(seed);
        let mut m = Maps::zeros(shape, (1, 2));
        m.fill_planes(
            &(0..shape.len())
                .map(|_| rng.random::<f32>() - 0.5)
                .collect::<Vec<_>>(),
        );
        m
    }

    /// Golden values of torch.nn.functional.max_pool2d and of Keras' "same" sizes (⌈n/s⌉).
    #[test]
    fn sizes_are_those_of_the_peers() {
        let p = |size, stride, same| MaxPool { size, stride, same };
        assert_eq!(
            p(2, 2, false).output(Shape::new(16, 41, 40)),
            Shape::new(16, 20, 20)
        );
        assert_eq!(
            p(3, 2, false).output(Shape::line(16, 890)),
            Shape::line(16, 444)
        );
        assert_eq!(
            p(3, 2, true).output(Shape::line(16, 1780)),
            Shape::line(16, 890)
        );
        assert_eq!(
            p(3, 2, true).output(Shape::line(16, 445)),
            Shape::line(16, 223)
        );
        // Keras puts the odd cell of padding after.
        assert_eq!(
            (p(3, 2, true).first(0, 1780), p(3, 2, true).first(0, 445)),
            (0, -1)
        );
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(30))]
        /// Each value is the maximum of its window, and moving x along a direction moves y by the
        /// gradient.
        #[test]
        fn agrees_with_definition(h in 1usize..9, w in 3usize..14, size in 2usize..4, stride in 1usize..4, same in any::<bool>(), seed in any::<u64>()) {
            let h = if h == 2 && size == 3 { 3 } else { h };
            let p = MaxPool { size, stride, same };
            let s = Shape::new(20, h, w);
            let x = maps(s, seed);
            let mut y = Maps::zeros(p.output(s), (0, 1));
            p.forward(&x, &mut y);
            let planes = x.planes();
            for (i, v) in y.planes().iter().enumerate() {
                let o = y.shape();
                let (c, r, q) = (i / (o.height * o.width), i / o.width % o.height, i % o.width);
                let want = p.rows(r, s).flat_map(|r| p.window(q, w).map(move |q| (r, q))).map(|(r, q)| planes[(c * h + r) * w + q]).fold(f32::MIN, f32::max);
                prop_assert_eq!(*v, want);
            }
            let g = maps(y.shape(), seed ^ 1);
            let mut dx = Maps::zeros(s, (0, 0));
            p.backward(&x, &y, &g, 1.0, &mut dx);
            let total: f32 = g.planes().iter().sum();
            prop_assert!((total - dx.planes().iter().sum::<f32>()).abs() < 1e-3);
            let weighted: f64 = y.planes().iter().zip(g.planes()).map(|(a, b)| f64::from(a * b)).sum();
            let back: f64 = planes.iter().zip(dx.planes()).map(|(a, b)| f64::from(a * b)).sum();
            prop_assert!((weighted - back).abs() < 1e-3);
        }
    }
}
