//! A galaxy as the network sees it: its middle, the same with its surroundings four times as coarse,
//! and the point-spread function.

use slipher_data::cutout::Cutout;
use slipher_data::spectrum::median;

/// Pixels along a side of each plane.
pub const SIDE: usize = 64;
/// Pixels of the image along one of the coarse plane.
const BLOCK: usize = 4;
/// Softening in units of the noise of a pixel.
const SOFT: f32 = 2.0;
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

/// First pixel of the network's square along an axis of so many.
pub fn start(pixels: usize) -> isize {
    (pixels as isize - SIDE as isize).div_euclid(2)
}

/// `[fine, coarse, psf][64][64]`.
///
/// # Errors
/// Several bands, no sky or noise, pixels that hold nothing in the middle.
pub fn encode(c: &Cutout) -> Result<Vec<f32>, String> {
    if c.bands.len() != 1 {
        return Err(format!(
            "{} bands: expected one; cut the planes into images of their own",
            c.bands.len()
        ));
    }
    if c.height.min(c.width) < 32 {
        return Err(format!(
            "{} × {} pixels: expected at least 32 × 32 with sky around the galaxy",
            c.height, c.width
        ));
    }
    let (level, noise) = ground(c);
    if !(noise > 0.0 && noise.is_finite() && level.is_finite()) {
        return Err(
            "the sky has no noise: expected pixels with sky around the galaxy, not masked or set \
             to zero, or an image of its errors (HDU named ERR, VARIANCE or IVAR)"
                .into(),
        );
    }
    let whole = Cutout {
        variance: vec![],
        psf: (0, 0, vec![]),
        survey: vec![],
        ..c.clone()
    };
    let at = |s: &Cutout, i: usize| {
        let v = s.pixels[i];
        let good = v.is_finite() && s.mask.get(i).is_none_or(|m| *m == 0);
        good.then(|| (v - level) / noise)
    };
    let fine = whole.square(SIDE);
    let middle = (SIDE / 2 - 3..SIDE / 2 + 3)
        .flat_map(|y| (SIDE / 2 - 3..SIDE / 2 + 3).map(move |x| y * SIDE + x));
    if middle.filter(|i| at(&fine, *i).is_some()).count() < 12 {
        return Err("the middle of the image has no data: expected the galaxy there".into());
    }
    let mut out: Vec<f32> = (0..SIDE * SIDE)
        .map(|i| at(&fine, i).map_or(0.0, |v| (v / SOFT).asinh()))
        .collect();
    let wide = whole.square(BLOCK * SIDE);
    for i in 0..SIDE * SIDE {
        let (y, x) = (i / SIDE * BLOCK, i % SIDE * BLOCK);
        let block = (0..BLOCK * BLOCK).map(|k| (y + k / BLOCK) * BLOCK * SIDE + x + k % BLOCK);
        let good: Vec<f32> = block.filter_map(|k| at(&wide, k)).collect();
        let mean = good.iter().sum::<f32>() / (good.len() as f32).sqrt().max(1.0);
        out.push((mean / SOFT).asinh());
    }
    out.extend(psf_plane(c, SIDE));
    Ok(out)
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

#[cfg(test)]
mod tests {
    use super::*;
    use slipher_sim::random::Stream;
    use slipher_sim::sky::Plane;
    use slipher_sim::sky::psf::Psf;

    fn stamp(h: usize, w: usize) -> Cutout {
        let mut rng = Stream::new(1, 1, 1);
        let (my, mx) = (0.5 * (h as f64 - 1.0), 0.5 * (w as f64 - 1.0));
        let pixels = (0..h * w)
            .map(|i| {
                let r = ((i / w) as f64 - my).hypot((i % w) as f64 - mx);
                (50.0 * (-r / 3.0).exp() + 10.0 + rng.normal(0.0, 2.0)) as f32
            })
            .collect();
        Cutout::new(&[""], h, w, pixels).unwrap()
    }

    /// Units and zero level do not matter.
    #[test]
    fn units_do_not_matter() {
        let a = encode(&stamp(80, 70)).unwrap();
        assert_eq!(a.len(), 3 * SIDE * SIDE);
        let mut c = stamp(80, 70);
        c.pixels.iter_mut().for_each(|v| *v = 1e-3 * *v - 5.0);
        let b = encode(&c).unwrap();
        let worst = a
            .iter()
            .zip(&b)
            .map(|(a, b)| (a - b).abs())
            .fold(0.0, f32::max);
        assert!(worst < 5e-3, "{worst}");
        // Errors that are given are believed.
        c.variance = vec![4e-6; 80 * 70];
        assert!((ground(&c).1 / 2e-3 - 1.0).abs() < 1e-5);
    }

    #[test]
    fn what_does_not_fit_is_said() {
        assert!(encode(&stamp(20, 64)).unwrap_err().contains("32"));
        let mut flat = stamp(64, 64);
        flat.pixels.fill(1.0);
        assert!(encode(&flat).unwrap_err().contains("noise"));
        let mut hole = stamp(64, 64);
        (28..36).for_each(|y| hole.pixels[y * 64 + 28..y * 64 + 36].fill(f32::NAN));
        assert!(encode(&hole).unwrap_err().contains("middle"));
    }

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
            ..stamp(64, 64)
        };
        let got = effective(&c);
        let peak = star.at(12, 12);
        assert!((got[312] / peak - 1.0).abs() < 0.01, "{} {peak}", got[312]);
    }
}
