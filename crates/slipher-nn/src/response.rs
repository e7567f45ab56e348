//! Local response normalisation across channels (Krizhevsky et al. 2012, section 3.3), as in Caffe
//! and PyTorch: y_c = x_c / s_c^β with s_c = 1 + α/n Σ x²_{c'} over the n channels around c.

use crate::lanes::WIDTH;
use crate::maps::Maps;
use crate::pool::Value;

/// Over `size` channels.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Response {
    /// Channels of the sum.
    pub size: usize,
    /// α of Krizhevsky et al. 2012.
    pub alpha: f32,
    /// β.
    pub beta: f32,
}

/// Calls `f(row, column)` for each pixel.
fn pixels<E: Copy + Default>(x: &Maps<E>, mut f: impl FnMut(usize, usize)) {
    let s = x.shape();
    (0..s.height).for_each(|y| (0..s.width).for_each(|c| f(y, c)));
}

fn gather<E: Value>(x: &Maps<E>, y: usize, column: usize, out: &mut [f32]) {
    for (block, to) in out.chunks_exact_mut(WIDTH).enumerate() {
        to.iter_mut()
            .zip(&x.row(block, y)[column * WIDTH..])
            .for_each(|(o, v)| *o = v.wide());
    }
}

fn scatter<E: Value>(values: &[f32], y: usize, column: usize, out: &mut Maps<E>) {
    for (block, from) in values.chunks_exact(WIDTH).enumerate() {
        out.row_mut(block, y)[column * WIDTH..]
            .iter_mut()
            .zip(from)
            .for_each(|(o, v)| *o = E::narrow(*v));
    }
}

impl Response {
    /// Sum of the window around each channel.
    fn window(&self, values: &[f32], out: &mut [f32]) {
        let (half, n) = (self.size / 2, values.len());
        for (c, o) in out.iter_mut().enumerate() {
            *o = values[c.saturating_sub(half)..(c + half + 1).min(n)]
                .iter()
                .sum();
        }
    }

    /// s^−β.
    fn power(&self, s: f32) -> f32 {
        if self.beta == 0.75 {
            1.0 / (s.sqrt() * s.sqrt().sqrt())
        } else {
            s.powf(-self.beta)
        }
    }

    /// `y` of the same shape as `x`.
    pub fn forward<E: Value>(&self, x: &Maps<E>, y: &mut Maps<E>) {
        assert_eq!(x.shape(), y.shape());
        let n = x.shape().channels;
        let (mut v, mut square, mut sum) = (vec![0.0; n], vec![0.0; n], vec![0.0; n]);
        pixels(x, |r, c| {
            gather(x, r, c, &mut v);
            square.iter_mut().zip(&v).for_each(|(s, v)| *s = v * v);
            self.window(&square, &mut sum);
            v.iter_mut()
                .zip(&sum)
                .for_each(|(v, s)| *v *= self.power(1.0 + self.alpha / self.size as f32 * s));
            scatter(&v, r, c, y);
        });
    }

    /// `dx` = gradient of the data, times that of the leaky ReLU of slope `slope` that made `x` (1
    /// if none did).
    pub fn backward(&self, x: &Maps, y: &Maps, dy: &Maps, slope: f32, dx: &mut Maps) {
        assert_eq!((x.shape(), y.shape()), (dx.shape(), dy.shape()));
        let n = x.shape().channels;
        let mut work: [Vec<f32>; 5] = std::array::from_fn(|_| vec![0.0; n]);
        let [v, out, d, sum, shared] = &mut work;
        let k = self.alpha / self.size as f32;
        pixels(x, |r, c| {
            gather(x, r, c, v);
            gather(y, r, c, out);
            gather(dy, r, c, d);
            shared.iter_mut().zip(&*v).for_each(|(s, v)| *s = v * v);
            self.window(shared, sum);
            sum.iter_mut().for_each(|s| *s = 1.0 + k * *s);
            // dx_c = dy_c s_c^−β − 2 k β x_c Σ dy_c' y_c' / s_c'.
            for i in 0..n {
                shared[i] = d[i] * out[i] / sum[i];
                d[i] *= self.power(sum[i]);
            }
            self.window(shared, out);
            for i in 0..n {
                d[i] -= 2.0 * k * self.beta * v[i] * out[i];
                d[i] *= if v[i] > 0.0 { 1.0 } else { slope };
            }
            scatter(d, r, c, dx);
        });
    }
}
