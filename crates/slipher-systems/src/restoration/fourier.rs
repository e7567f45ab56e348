//! An image, its point-spread function and what is between the image and the restored one, in
//! Fourier space.
//!
//! The restored image is the sky as a Gaussian of [`TARGET`] pixels (full width at half maximum, the
//! pixel included) would show it: details below that cannot be held by the pixels. With R = PSF /
//! Gaussian (Fourier transforms, |R| ≤ 1) the image is R times the restored one, plus noise.

use std::cell::RefCell;

use rustfft::num_complex::Complex;
use rustfft::{FftDirection, FftPlanner};

/// Full width at half maximum of a point source in the restored image, pixels.
pub const TARGET: f64 = 2.0;
/// Pixels of nothing on either side of an image, so that nothing wraps into view.
pub const BORDER: usize = 16;

thread_local! {
    static PLANNER: RefCell<FftPlanner<f32>> = RefCell::new(FftPlanner::new());
}

/// Forward transforms, unscaled, or inverse ones of a square of `side`.
pub fn transform(values: &mut [Complex<f32>], side: usize, direction: FftDirection) {
    let fft = PLANNER.with(|p| p.borrow_mut().plan_fft(side, direction));
    for _ in 0..2 {
        fft.process(values);
        for y in 0..side {
            for x in y + 1..side {
                values.swap(y * side + x, x * side + y);
            }
        }
    }
    if direction == FftDirection::Inverse {
        let share = 1.0 / (side * side) as f32;
        values.iter_mut().for_each(|v| *v *= share);
    }
}

/// Cycles a pixel of place `k` of `side`.
pub fn frequency(k: usize, side: usize) -> f64 {
    let k = if 2 * k > side {
        k as f64 - side as f64
    } else {
        k as f64
    };
    k / side as f64
}

/// Transform of the target's Gaussian at a squared frequency.
fn target(f2: f64) -> f64 {
    let sigma = TARGET / 2.354_820_045;
    (-2.0 * (std::f64::consts::PI * sigma).powi(2) * f2).exp()
}

/// A point-spread function for images of `inner` pixels.
#[derive(Clone, Debug)]
pub struct Blur {
    /// Pixels of the images along a side.
    pub inner: usize,
    side: usize,
    /// R.
    ratio: Vec<Complex<f32>>,
    /// Transform of the point-spread function.
    psf: Vec<Complex<f32>>,
}

impl Blur {
    /// Of a point-spread function (height, width, values) as the detector sees a star, with its
    /// centre of light brought to the middle. None if it has no light.
    pub fn new((h, w, values): (usize, usize, &[f32]), inner: usize) -> Option<Blur> {
        let side = inner + 2 * BORDER;
        if values.len() != h * w || values.iter().any(|v| !v.is_finite()) {
            return None;
        }
        let sum: f64 = values.iter().map(|v| f64::from(*v)).sum();
        if sum <= 0.0 {
            return None;
        }
        let [cy, cx] = centre(h, w, values);
        let mut psf = vec![Complex::default(); side * side];
        let (mid_y, mid_x) = (cy.round() as isize, cx.round() as isize);
        for (i, v) in values.iter().enumerate() {
            let (y, x) = ((i / w) as isize - mid_y, (i % w) as isize - mid_x);
            if 2 * y.unsigned_abs() < side && 2 * x.unsigned_abs() < side {
                let wrap = |k: isize| k.rem_euclid(side as isize) as usize;
                psf[wrap(y) * side + wrap(x)] += Complex::new((f64::from(*v) / sum) as f32, 0.0);
            }
        }
        transform(&mut psf, side, FftDirection::Forward);
        // The rest of the way to the middle, and flux 1 of what fits.
        let whole = psf[0].re.max(1e-12);
        let (dy, dx) = (cy - mid_y as f64, cx - mid_x as f64);
        let mut ratio = vec![Complex::default(); side * side];
        for i in 0..side * side {
            let (fy, fx) = (frequency(i / side, side), frequency(i % side, side));
            let phase = std::f64::consts::TAU * (fy * dy + fx * dx);
            let turn = Complex::new(phase.cos() as f32, phase.sin() as f32);
            psf[i] = psf[i] * turn / whole;
            let r = psf[i] / target(fy * fy + fx * fx).max(1e-12) as f32;
            ratio[i] = r / r.norm().max(1.0);
        }
        Some(Blur {
            inner,
            side,
            ratio,
            psf,
        })
    }

    /// Transform of an image `[row][column]` of the inner size.
    pub fn forward(&self, image: &[f32]) -> Vec<Complex<f32>> {
        let (n, side) = (self.inner, self.side);
        let mut values = vec![Complex::default(); side * side];
        for (y, row) in image.chunks_exact(n).enumerate() {
            let at = (y + BORDER) * side + BORDER;
            for (to, v) in values[at..at + n].iter_mut().zip(row) {
                *to = Complex::new(*v, 0.0);
            }
        }
        transform(&mut values, side, FftDirection::Forward);
        values
    }

    /// The image of a transform.
    pub fn inverse(&self, mut values: Vec<Complex<f32>>) -> Vec<f32> {
        let (n, side) = (self.inner, self.side);
        transform(&mut values, side, FftDirection::Inverse);
        let row = |y: usize| {
            let at = (y + BORDER) * side + BORDER;
            values[at..at + n].iter().map(|v| v.re)
        };
        (0..n).flat_map(row).collect()
    }

    /// R at each place.
    pub fn ratio(&self) -> &[Complex<f32>] {
        &self.ratio
    }

    /// An image as the point-spread function shows it (restored images are blurred less: by R).
    pub fn seen(&self, image: &[f32]) -> Vec<f32> {
        self.times(image, &self.psf)
    }

    /// A restored image as the telescope would have seen it.
    pub fn observed(&self, restored: &[f32]) -> Vec<f32> {
        self.times(restored, &self.ratio)
    }

    fn times(&self, image: &[f32], by: &[Complex<f32>]) -> Vec<f32> {
        let mut values = self.forward(image);
        values.iter_mut().zip(by).for_each(|(v, r)| *v *= r);
        self.inverse(values)
    }

    /// Tikhonov's solution: least |R x − y|² + λ |x|².
    pub fn tikhonov(&self, transform: &[Complex<f32>], lambda: f32) -> Vec<f32> {
        let each = transform.iter().zip(&self.ratio);
        self.inverse(
            each.map(|(y, r)| y * r.conj() / (r.norm_sqr() + lambda))
                .collect(),
        )
    }

    /// Least |R x − y|² + λ |x − prior|² (1 − |R|²): what the data say where they say anything, and
    /// the prior where the function has lost it. Flux is the data's.
    pub fn with_prior(&self, transform: &[Complex<f32>], prior: &[f32], lambda: f32) -> Vec<f32> {
        let z = self.forward(prior);
        let each = transform.iter().zip(&z).zip(&self.ratio);
        self.inverse(
            each.map(|((y, z), r)| {
                let l = lost(r, lambda);
                (y * r.conj() + z * l) / (r.norm_sqr() + l)
            })
            .collect(),
        )
    }

    /// What of an error of the prior at each pixel is left in [`with_prior`](Blur::with_prior): the
    /// root of the mean square of its weight.
    pub fn trusted(&self, lambda: f32) -> f32 {
        let each = self.ratio.iter().map(|r| {
            let l = lost(r, lambda);
            f64::from(l / (r.norm_sqr() + l)).powi(2)
        });
        (each.sum::<f64>() / self.ratio.len() as f64).sqrt() as f32
    }

    /// Root of the sum of squares of what a pixel of white noise of 1 becomes in
    /// [`with_prior`](Blur::with_prior).
    pub fn noise(&self, lambda: f32) -> f32 {
        let each = self.ratio.iter().map(|r| {
            let (p, l) = (r.norm_sqr(), lost(r, lambda));
            f64::from(p / ((p + l) * (p + l)))
        });
        (each.sum::<f64>() / self.ratio.len() as f64).sqrt() as f32
    }
}

/// Weight of the prior at a frequency; never none, for what is lost altogether is divided by it.
fn lost(r: &Complex<f32>, lambda: f32) -> f32 {
    lambda * (1.0 - r.norm_sqr()).clamp(1e-9, 1.0)
}

/// Centre of light (row, column), of what is above a hundredth of the peak.
fn centre(h: usize, w: usize, values: &[f32]) -> [f64; 2] {
    let peak = values.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let (mut sum, mut y, mut x) = (0.0, 0.0, 0.0);
    for (i, v) in values.iter().enumerate() {
        if *v > 0.01 * peak {
            let v = f64::from(*v);
            (sum, y, x) = (sum + v, y + v * (i / w) as f64, x + v * (i % w) as f64);
        }
    }
    if sum > 0.0 {
        [y / sum, x / sum]
    } else {
        [0.5 * (h as f64 - 1.0), 0.5 * (w as f64 - 1.0)]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use slipher_sim::sky::Plane;
    use slipher_sim::sky::psf::Psf;

    fn star(psf: &Psf, side: usize, x: f64, y: f64) -> Vec<f32> {
        let mut p = Plane::square(side);
        psf.add(&mut p, x, y, 1.0);
        p.data
    }

    /// A star through its own function becomes the target's Gaussian where it was, whether the
    /// function's stamp has its star in the middle or not; flux is kept.
    #[test]
    fn a_star_becomes_the_target() {
        let psf = Psf::gaussian(3.0);
        let image = star(&psf, 64, 33.0, 30.0);
        for (side, x, y) in [(31, 15.0, 15.0), (31, 16.3, 14.6), (30, 14.5, 14.5)] {
            let b = Blur::new((side, side, &star(&psf, side, x, y)), 64).unwrap();
            let restored = b.tikhonov(&b.forward(&image), 1e-6);
            let sum: f32 = restored.iter().sum();
            assert!((sum - 1.0).abs() < 2e-3, "{sum}");
            let top = (0..4096).max_by(|a, b| restored[*a].total_cmp(&restored[*b]));
            assert_eq!(top, Some(30 * 64 + 33), "{side} {x} {y}");
            let want = 4.0 * 2f64.ln() / (std::f64::consts::PI * TARGET * TARGET);
            let peak = f64::from(restored[30 * 64 + 33]);
            // Of a Gaussian of two pixels.
            assert!((peak / want - 1.0).abs() < 0.08, "{peak} {want}");
            let again = b.observed(&restored);
            let off = again.iter().zip(&image).map(|(a, b)| (a - b).abs());
            assert!(off.fold(0.0, f32::max) < 3e-4);
        }
        assert!(Blur::new((3, 3, &[0.0; 9]), 64).is_none());
        assert!(Blur::new((3, 3, &[f32::NAN; 9]), 64).is_none());
    }

    /// With all weight on the prior it is the prior; with none it is the data's.
    #[test]
    fn the_prior_fills_what_the_data_do_not_say() {
        let psf = Psf::moffat(3.5, 3.0);
        let b = Blur::new((41, 41, &star(&psf, 41, 20.0, 20.0)), 64).unwrap();
        let y = b.forward(&star(&psf, 64, 32.0, 32.0));
        // Flux is the data's, whatever the prior; what the function has lost is the prior's.
        let side = |i: usize| {
            if (i / 64 + i % 64).is_multiple_of(2) {
                0.5
            } else {
                -0.5
            }
        };
        let checker: Vec<f32> = (0..4096).map(side).collect();
        let held = b.with_prior(&y, &checker, 1e4);
        let share: f32 = held.iter().zip(&checker).map(|(a, c)| a * c).sum();
        assert!((share / 1024.0 - 1.0).abs() < 0.02, "{share}");
        let much: Vec<f32> = b.tikhonov(&y, 1e-4).iter().map(|v| 1.5 * v).collect();
        let flux: f32 = b.with_prior(&y, &much, 10.0).iter().sum();
        assert!((flux - 1.0).abs() < 0.02, "{flux}");
        let near = |a: &[f32], b: &[f32]| a.iter().zip(b).all(|(a, b)| (a - b).abs() < 1e-3);
        let data = b.tikhonov(&y, 1e-4);
        assert!(near(&b.with_prior(&y, &vec![0.0; 4096], 1e-4), &data));
        assert!(b.noise(0.01) > b.noise(1.0) && b.trusted(0.01) < b.trusted(1.0));
    }
}
