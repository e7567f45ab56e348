//! An image as the network sees it: itself, Tikhonov's solutions for faint and for bright sources,
//! and how the noise varies.

use rustfft::num_complex::Complex;
use slipher_data::cutout::Cutout;

use super::fourier::Blur;
use crate::stamp::{LEVEL, effective, expect, sound_ground};

/// Pixels along a side.
pub const SIDE: usize = 64;
/// Softening in units of the noise of a pixel.
pub const SOFT: f32 = 2.0;
/// λ of Tikhonov's solutions.
const LAMBDAS: [f32; 2] = [0.3, 0.01];
/// Planes.
pub const PLANES: usize = 2 + LAMBDAS.len();

/// An image over its noise, its holes filled, with its point-spread function.
pub struct Prepared {
    /// `[64][64]`, in units of the noise.
    pub image: Vec<f32>,
    /// Whether a pixel has data.
    pub good: Vec<bool>,
    /// Noise of a pixel over that of the sky.
    pub relative: Vec<f32>,
    /// Of the function.
    pub blur: Blur,
    /// Of the image.
    pub transform: Vec<Complex<f32>>,
    /// Level and noise of the sky, in the image's unit.
    pub sky: (f32, f32),
}

/// The image around its middle, ready to be restored.
///
/// # Errors
/// Several bands, no point-spread function, no sky.
pub fn prepare(c: &Cutout) -> Result<Prepared, String> {
    expect(c, 16, "object")?;
    let psf = effective(c);
    if psf.is_empty() {
        return Err(
            "no point-spread function: expected an HDU named PSF, or --psf with a star on the \
             same pixels"
                .into(),
        );
    }
    let blur = Blur::new((c.psf.0, c.psf.1, &psf), SIDE).ok_or(
        "the point-spread function has no light, or pixels that are not finite: expected a star on \
         a sky of zero",
    )?;
    let (mut level, noise) = sound_ground(c, "object")?;
    if let Some(known) = c.survey.iter().find(|s| s.0 == LEVEL) {
        level = known.1 as f32;
    }
    let s = c.square(SIDE);
    let good: Vec<bool> = (0..SIDE * SIDE)
        .map(|i| {
            let variance = s.variance.get(i).is_none_or(|v| v.is_finite() && *v > 0.0);
            s.pixels[i].is_finite() && variance && s.mask.get(i).is_none_or(|m| *m == 0)
        })
        .collect();
    let middle = (SIDE / 2 - 3..SIDE / 2 + 3).flat_map(|y| {
        let row = y * SIDE;
        row + SIDE / 2 - 3..row + SIDE / 2 + 3
    });
    if middle.filter(|i| good[*i]).count() < 12 {
        return Err("the middle of the image has no data".into());
    }
    let mut image: Vec<f32> = (0..SIDE * SIDE)
        .map(|i| {
            if good[i] {
                (s.pixels[i] - level) / noise
            } else {
                f32::NAN
            }
        })
        .collect();
    fill(&mut image);
    let relative = (0..SIDE * SIDE)
        .map(|i| match s.variance.get(i) {
            Some(v) if good[i] => (v.sqrt() / noise).clamp(0.1, 1e3),
            _ => 1.0,
        })
        .collect();
    let transform = blur.forward(&image);
    Ok(Prepared {
        image,
        good,
        relative,
        blur,
        transform,
        sky: (level, noise),
    })
}

/// Holes take the mean of what is beside them, from their edges inwards; those at the edge of the
/// image are sky.
fn fill(image: &mut [f32]) {
    let n = SIDE as isize;
    for _ in 0..12 {
        let before = image.to_vec();
        let mut left = false;
        for i in 0..before.len() {
            if before[i].is_finite() {
                continue;
            }
            let (y, x) = (i as isize / n, i as isize % n);
            let near = (-1..=1).flat_map(|dy| (-1..=1).map(move |dx| (y + dy, x + dx)));
            let values: Vec<f32> = near
                .filter(|(y, x)| (0..n).contains(y) && (0..n).contains(x))
                .map(|(y, x)| before[(y * n + x) as usize])
                .filter(|v| v.is_finite())
                .collect();
            if values.len() >= 2 {
                image[i] = values.iter().sum::<f32>() / values.len() as f32;
            } else {
                left = true;
            }
        }
        if !left {
            return;
        }
    }
    image
        .iter_mut()
        .filter(|v| !v.is_finite())
        .for_each(|v| *v = 0.0);
}

/// A value over the noise as networks see it, and back.
pub fn squeezed(v: f32) -> f32 {
    (v / SOFT).asinh()
}

/// The inverse of [`squeezed`].
pub fn stretched(v: f32) -> f32 {
    SOFT * v.clamp(-20.0, 20.0).sinh()
}

/// `[image, Tikhonov's solutions, noise][64][64]`.
///
/// # Errors
/// As [`prepare`].
pub fn encode(c: &Cutout) -> Result<Vec<f32>, String> {
    let p = prepare(c)?;
    let mut out: Vec<f32> = p.image.iter().map(|v| squeezed(*v)).collect();
    for lambda in LAMBDAS {
        let solved = p.blur.tikhonov(&p.transform, lambda);
        out.extend(solved.iter().map(|v| squeezed(*v)));
    }
    out.extend(p.relative.iter().map(|v| v.ln()));
    Ok(out)
}
