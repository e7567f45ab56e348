//! Planes through a measured point-spread function, two at a time in one Fourier transform.

use std::sync::Arc;

use rustfft::num_complex::Complex;
use rustfft::{Fft, FftPlanner};
use slipher_sim::sky::Plane;

/// A point-spread function that is ready for planes of one size.
pub struct Kernel {
    side: usize,
    forward: Arc<dyn Fft<f64>>,
    inverse: Arc<dyn Fft<f64>>,
    values: Vec<Complex<f64>>,
}

fn transform(values: &mut [Complex<f64>], side: usize, fft: &dyn Fft<f64>) {
    for _ in 0..2 {
        fft.process(values);
        for y in 0..side {
            for x in y + 1..side {
                values.swap(y * side + x, x * side + y);
            }
        }
    }
}

/// The next number that is a product of 2, 3 and 5.
fn smooth(n: usize) -> usize {
    let left = |m: usize| {
        [2, 3, 5].iter().fold(m, |mut m, p| {
            while m.is_multiple_of(*p) {
                m /= p;
            }
            m
        })
    };
    (n.max(1)..).find(|m| left(*m) == 1).unwrap_or(n)
}

impl Kernel {
    /// Of a point-spread function, made to sum up to 1, for planes of `height` × `width`. Its middle
    /// is the pixel (side / 2, side / 2), as GALFIT takes it.
    pub fn new(psf: &Plane, height: usize, width: usize) -> Kernel {
        let side = smooth(height.max(width) + psf.height.max(psf.width));
        let mut values = vec![Complex::default(); side * side];
        let sum = psf.total();
        for (i, v) in psf.data.iter().enumerate() {
            let place = |at: usize, size: usize| {
                (at as isize - (size / 2) as isize).rem_euclid(side as isize) as usize
            };
            let (y, x) = (
                place(i / psf.width, psf.height),
                place(i % psf.width, psf.width),
            );
            values[y * side + x] = Complex::new(f64::from(*v) / sum, 0.0);
        }
        let mut planner = FftPlanner::new();
        let (forward, inverse) = (
            planner.plan_fft_forward(side),
            planner.plan_fft_inverse(side),
        );
        transform(&mut values, side, &*forward);
        Kernel {
            side,
            forward,
            inverse,
            values,
        }
    }

    /// The function without the pixel: divided by the pixel's transform, which is nowhere below
    /// 0.4.
    pub fn without_pixel(mut self) -> Kernel {
        let n = self.side;
        let sinc = |k: usize| {
            let f = if k > n / 2 {
                k as f64 - n as f64
            } else {
                k as f64
            } / n as f64;
            let x = std::f64::consts::PI * f;
            if x == 0.0 { 1.0 } else { x.sin() / x }
        };
        let line: Vec<f64> = (0..n).map(sinc).collect();
        for (i, v) in self.values.iter_mut().enumerate() {
            *v /= line[i / n] * line[i % n];
        }
        self
    }

    /// Planes `[row][column]` of the size, each through the function.
    pub fn through(&self, planes: &mut [Vec<f64>], height: usize, width: usize) {
        let n = self.side;
        let norm = 1.0 / (n * n) as f64;
        for pair in planes.chunks_mut(2) {
            let mut values = vec![Complex::default(); n * n];
            for y in 0..height {
                for x in 0..width {
                    let second = pair.get(1).map_or(0.0, |p| p[y * width + x]);
                    values[y * n + x] = Complex::new(pair[0][y * width + x], second);
                }
            }
            // The kernel is real on the sky: both planes pass side by side.
            transform(&mut values, n, &*self.forward);
            values
                .iter_mut()
                .zip(&self.values)
                .for_each(|(v, k)| *v *= k);
            transform(&mut values, n, &*self.inverse);
            for y in 0..height {
                for x in 0..width {
                    let v = values[y * n + x] * norm;
                    pair[0][y * width + x] = v.re;
                    if let Some(p) = pair.get_mut(1) {
                        p[y * width + x] = v.im;
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two planes at once, against sums over all pixels.
    #[test]
    fn as_a_sum_over_pixels() {
        let mut psf = Plane::new(3, 5);
        psf.data = (0..15).map(|i| (i % 4) as f32 + 0.5).collect();
        let (h, w) = (6, 7);
        let mut planes: Vec<Vec<f64>> = (0..3)
            .map(|k| (0..h * w).map(|i| ((i * (k + 2)) % 11) as f64).collect())
            .collect();
        let before = planes.clone();
        Kernel::new(&psf, h, w).through(&mut planes, h, w);
        for (got, from) in planes.iter().zip(&before) {
            for y in 0..h as isize {
                for x in 0..w as isize {
                    let mut want = 0.0;
                    for (i, v) in psf.data.iter().enumerate() {
                        let (dy, dx) = ((i / 5) as isize - 1, (i % 5) as isize - 2);
                        let (a, b) = (y - dy, x - dx);
                        if (0..h as isize).contains(&a) && (0..w as isize).contains(&b) {
                            want +=
                                f64::from(*v) / psf.total() * from[(a * w as isize + b) as usize];
                        }
                    }
                    let got = got[(y * w as isize + x) as usize];
                    assert!((got - want).abs() < 1e-9, "{got} {want}");
                }
            }
        }
    }
}
