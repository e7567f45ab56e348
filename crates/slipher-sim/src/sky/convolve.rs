//! Planes through a point-spread function, by Fourier transforms.

use std::cell::RefCell;

use rustfft::num_complex::Complex;
use rustfft::{FftDirection, FftPlanner};

use super::Plane;
use super::psf::Psf;

thread_local! {
    static PLANNER: RefCell<FftPlanner<f32>> = RefCell::new(FftPlanner::new());
}

/// Fourier transform of a square plane with room around it, so that nothing wraps into view.
#[derive(Clone, Debug, PartialEq)]
pub struct Transform {
    side: usize,
    inner: usize,
    values: Vec<Complex<f32>>,
}

fn transform(values: &mut [Complex<f32>], side: usize, direction: FftDirection) {
    let fft = PLANNER.with(|p| p.borrow_mut().plan_fft(side, direction));
    for _ in 0..2 {
        fft.process(values);
        for y in 0..side {
            for x in y + 1..side {
                values.swap(y * side + x, x * side + y);
            }
        }
    }
}

/// Side of the transforms for planes of `inner` pixels and a point-spread function that is cut off
/// at `reach`.
fn room(inner: usize, reach: usize) -> usize {
    (inner + reach..)
        .find(|n| {
            [2, 3, 5].iter().fold(*n, |m, p| {
                (0..12).fold(m, |m, _| if m % p == 0 { m / p } else { m })
            }) == 1
        })
        .unwrap_or(inner + reach)
}

const REACH: usize = 24;

impl Transform {
    /// Of a square plane.
    pub fn of(plane: &Plane) -> Transform {
        let (inner, side) = (plane.width, room(plane.width, REACH));
        assert_eq!(plane.height, inner, "a square");
        let mut values = vec![Complex::default(); side * side];
        for (row, from) in values
            .chunks_exact_mut(side)
            .zip(plane.data.chunks_exact(inner))
        {
            row.iter_mut()
                .zip(from)
                .for_each(|(o, v)| *o = Complex::new(*v, 0.0));
        }
        transform(&mut values, side, FftDirection::Forward);
        Transform {
            side,
            inner,
            values,
        }
    }

    /// Of a point-spread function at the origin, sampled at the centres of pixels and normalised;
    /// for planes of `inner` pixels.
    pub fn of_psf(psf: &Psf, inner: usize) -> Transform {
        let side = room(inner, REACH);
        let mut values = vec![Complex::default(); side * side];
        let reach = REACH as isize;
        let mut sum = 0.0;
        for y in -reach..=reach {
            for x in -reach..=reach {
                let v = psf.value(x as f64, y as f64) as f32;
                sum += v;
                values[y.rem_euclid(side as isize) as usize * side
                    + x.rem_euclid(side as isize) as usize] = Complex::new(v, 0.0);
            }
        }
        values.iter_mut().for_each(|v| *v /= sum.max(1e-30));
        transform(&mut values, side, FftDirection::Forward);
        Transform {
            side,
            inner,
            values,
        }
    }

    /// This and another of the same size, of which `share` is the other's.
    pub fn mixed(&self, other: &Transform, share: f32) -> Transform {
        assert_eq!(self.side, other.side, "transforms of one size");
        let both = self.values.iter().zip(&other.values);
        Transform {
            values: both.map(|(a, b)| a * (1.0 - share) + b * share).collect(),
            ..*self
        }
    }

    /// Σ factor · part, through a point-spread function.
    pub fn observe(parts: &[(&Transform, f32)], psf: &Transform) -> Plane {
        let (side, inner) = (psf.side, psf.inner);
        let mut values = vec![Complex::default(); side * side];
        for (t, factor) in parts {
            assert_eq!(t.side, side, "transforms of one size");
            values
                .iter_mut()
                .zip(&t.values)
                .for_each(|(o, v)| *o += v * factor);
        }
        values
            .iter_mut()
            .zip(&psf.values)
            .for_each(|(o, p)| *o *= p);
        transform(&mut values, side, FftDirection::Inverse);
        let norm = 1.0 / (side * side) as f32;
        let data = values
            .chunks_exact(side)
            .take(inner)
            .flat_map(|r| r[..inner].iter().map(|v| v.re * norm))
            .collect();
        Plane {
            height: inner,
            width: inner,
            data,
        }
    }
}

/// A square plane through a point-spread function.
pub fn convolve(plane: &Plane, psf: &Psf) -> Plane {
    Transform::observe(
        &[(&Transform::of(plane), 1.0)],
        &Transform::of_psf(psf, plane.width),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gaussians_add_in_quadrature_and_flux_stays() {
        let mut p = Plane::square(64);
        Psf::gaussian(3.0).add(&mut p, 30.3, 32.8, 100.0);
        let seen = convolve(&p, &Psf::gaussian(4.0));
        let mut want = Plane::square(64);
        Psf::gaussian(5.0).add(&mut want, 30.3, 32.8, 100.0);
        assert!((seen.total() - 100.0).abs() < 0.01);
        let worst = seen
            .data
            .iter()
            .zip(&want.data)
            .map(|(a, b)| (a - b).abs())
            .fold(0.0, f32::max);
        assert!(worst < 0.005 * want.at(33, 30), "{worst}");
    }
}
