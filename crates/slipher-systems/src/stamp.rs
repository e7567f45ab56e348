//! Stamps of one band: their sky, and their point-spread function.

use slipher_data::cutout::Cutout;
use slipher_data::spectrum::median;

/// Name of the level of the sky among what the survey says, where it is known.
pub const LEVEL: &str = "sky_level";

/// Of a point-spread function, what is seen of its peak.
const FAINT: f32 = 1e-4;

/// Level and noise of the sky: of the outermost eighth of a stamp, where galaxies end. The noise is
/// that of the variances where they are given.
pub fn ground(c: &Cutout) -> (f32, f32) {
    let edge = (c.height.min(c.width) / 16).max(2);
    let outer = |i: usize| {
        let (y, x) = (i / c.width, i % c.width);
        y < edge || x < edge || y + edge >= c.height || x + edge >= c.width
    };
    let is_good = |i: usize| c.pixels[i].is_finite() && c.mask.get(i).is_none_or(|m| *m == 0);
    let n = c.height * c.width;
    let mut ring: Vec<f32> = (0..n)
        .filter(|i| outer(*i) && is_good(*i))
        .map(|i| c.pixels[i])
        .collect();
    if ring.len() < 16 {
        ring = (0..n)
            .filter(|i| is_good(*i))
            .map(|i| c.pixels[i])
            .collect();
    }
    let (level, scatter) = crate::bands::sky(&ring);
    let mut known: Vec<f32> = (0..n)
        .filter(|i| outer(*i) && is_good(*i))
        .filter_map(|i| c.variance.get(i).copied())
        .filter(|v| v.is_finite() && *v > 0.0)
        .collect();
    let noise = if known.len() >= 16 {
        median(&mut known).sqrt()
    } else {
        scatter
    };
    (level, noise)
}

/// Whether a stamp has one band and at least so many pixels along a side.
///
/// # Errors
/// What was expected, of a stamp around `what`.
pub fn expect(c: &Cutout, least: usize, what: &str) -> Result<(), String> {
    if c.bands.len() != 1 {
        return Err(format!(
            "{} bands: expected one; cut the planes into images of their own",
            c.bands.len()
        ));
    }
    if c.height.min(c.width) < least {
        return Err(format!(
            "{} × {} pixels: expected at least {least} × {least} with sky around the {what}",
            c.height, c.width
        ));
    }
    Ok(())
}

/// [`ground`], where there is any.
///
/// # Errors
/// A sky without noise.
pub fn sound_ground(c: &Cutout, what: &str) -> Result<(f32, f32), String> {
    let (level, noise) = ground(c);
    if noise > 0.0 && noise.is_finite() && level.is_finite() {
        return Ok((level, noise));
    }
    Err(format!(
        "the sky has no noise: expected pixels with sky around the {what}, not masked or set to \
         zero, or an image of its errors (HDU named ERR, VARIANCE or IVAR)"
    ))
}

/// The point-spread function around the middle, by the logarithm of its part of the peak; zeros if
/// unknown.
pub fn psf_plane(c: &Cutout, side: usize) -> Vec<f32> {
    let mut out = vec![0.0; side * side];
    let (h, w, values) = (c.psf.0, c.psf.1, effective(c));
    if values.len() != h * w || values.is_empty() {
        return out;
    }
    let peak = values.iter().copied().fold(0.0, f32::max);
    if peak <= 0.0 {
        return out;
    }
    for i in 0..side * side {
        let place = |k: usize, n: usize| k as isize - (side / 2) as isize + (n / 2) as isize;
        let (y, x) = (place(i / side, h), place(i % side, w));
        if (0..h as isize).contains(&y) && (0..w as isize).contains(&x) {
            let part = (values[y as usize * w + x as usize] / peak).max(FAINT);
            out[i] = 1.0 - part.log10() / FAINT.log10();
        }
    }
    out
}

/// The function as a star looks on the detector: an optical one through the pixel.
pub fn effective(c: &Cutout) -> Vec<f32> {
    let (h, w, values) = &c.psf;
    if !c.optical_psf || values.len() != h * w {
        return values.clone();
    }
    // The mean over a pixel of what is smooth between them: Simpson's rule on parabolas.
    let line = |a: f32, b: f32, c: f32| (a + 22.0 * b + c) / 24.0;
    let at = |v: &[f32], y: isize, x: isize| {
        let (y, x) = (y.clamp(0, *h as isize - 1), x.clamp(0, *w as isize - 1));
        v[y as usize * w + x as usize]
    };
    let each = |v: &[f32], dy: isize, dx: isize| -> Vec<f32> {
        (0..(h * w) as isize)
            .map(|i| (i / *w as isize, i % *w as isize))
            .map(|(y, x)| line(at(v, y - dy, x - dx), at(v, y, x), at(v, y + dy, x + dx)))
            .collect()
    };
    each(&each(values, 0, 1), 1, 0)
}

/// A plane of asinh S/N as grey levels, `[row][column][R, G, B]`, white at the peak; the last row of the
/// image is on top.
pub fn grey(plane: &[f32], side: usize) -> Vec<u8> {
    let peak = plane.iter().copied().fold(1.0, f32::max);
    let level = |i: usize| {
        let v = plane.get((side - 1 - i / side) * side + i % side);
        (255.0 * (0.12 + 0.88 * v.copied().unwrap_or(0.0) / peak)).clamp(0.0, 255.0) as u8
    };
    (0..side * side).flat_map(|i| [level(i); 3]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use slipher_sim::sky::Plane;
    use slipher_sim::sky::psf::Psf;

    /// An optical function through the pixel is a star on the detector.
    #[test]
    fn through_the_pixel() {
        let psf = Psf::moffat(3.0, 3.0);
        let mut star = Plane::square(25);
        psf.add(&mut star, 12.0, 12.0, 1.0);
        let optical = (0..625)
            .map(|i| psf.value((i % 25) as f64 - 12.0, (i / 25) as f64 - 12.0) as f32)
            .collect();
        let c = Cutout {
            psf: (25, 25, optical),
            optical_psf: true,
            ..Cutout::default()
        };
        let got = effective(&c);
        let peak = star.at(12, 12);
        assert!((got[312] / peak - 1.0).abs() < 0.01, "{} {peak}", got[312]);
    }
}
