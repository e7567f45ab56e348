//! A lens as the network sees it: the image, the same without what is symmetric in it, and the
//! point-spread function, on 80 × 80 pixels.

use slipher_data::cutout::Cutout;
use slipher_data::spectrum::median;

use crate::stamp::{effective, expect, ground, psf_plane, sound_ground};

/// Pixels along a side.
pub const SIDE: usize = 80;
/// Softening in units of the noise of a pixel.
const SOFT: f32 = 2.0;
/// Noise of pixels that is this much larger than the sky's says that they are masked.
const RAISED: f32 = 1e4;

/// Pixels of the image along one that the network sees: stamps of up to 119 pixels as they are,
/// those of HST in twos.
pub fn block(c: &Cutout) -> usize {
    ((c.height.min(c.width) as f64 / SIDE as f64 - 0.5).floor() as usize).max(1)
}

/// What the network sees as a stamp of its own pixels: `block × block` of the image each, masks and
/// variances alike.
pub fn binned(c: &Cutout) -> Cutout {
    let b = block(c);
    let side = b * SIDE;
    let noise = ground(c).1;
    let raised = |i: usize| {
        c.variance
            .get(i)
            .is_some_and(|v| *v > (RAISED * noise).powi(2))
    };
    let mut masked = c.clone();
    masked.psf = (0, 0, vec![]);
    if (0..c.variance.len()).any(raised) {
        masked.mask = (0..c.height * c.width)
            .map(|i| u8::from(raised(i) || c.mask.get(i).is_some_and(|m| *m != 0)))
            .collect();
    }
    let s = masked.square(side);
    let good = |i: usize| {
        let variance = s.variance.get(i).is_none_or(|v| v.is_finite() && *v > 0.0);
        s.pixels[i].is_finite() && variance && s.mask.get(i).is_none_or(|m| *m == 0)
    };
    let mut out = Cutout {
        height: SIDE,
        width: SIDE,
        pixels: Vec::with_capacity(SIDE * SIDE),
        mask: Vec::with_capacity(SIDE * SIDE),
        variance: vec![],
        psf: (0, 0, vec![]),
        pixel_scale: c.pixel_scale * b as f64,
        survey: vec![],
        ..s.clone()
    };
    for i in 0..SIDE * SIDE {
        let (y, x) = (i / SIDE * b, i % SIDE * b);
        let cells = (0..b * b).map(|k| (y + k / b) * side + x + k % b);
        let kept: Vec<usize> = cells.filter(|k| good(*k)).collect();
        let enough = 2 * kept.len() > b * b;
        let share = (b * b) as f32 / kept.len().max(1) as f32;
        let sum = |v: &[f32]| share * kept.iter().map(|k| v[*k]).sum::<f32>();
        out.pixels
            .push(if enough { sum(&s.pixels) } else { f32::NAN });
        out.mask.push(u8::from(!enough));
        if !s.variance.is_empty() {
            out.variance
                .push(if enough { sum(&s.variance) } else { f32::NAN });
        }
    }
    out.psf = psf(c, b);
    out.optical_psf = false;
    out
}

/// The point-spread function on pixels `b` times as large, around its middle.
fn psf(c: &Cutout, b: usize) -> (usize, usize, Vec<f32>) {
    let (h, w, _) = c.psf;
    let values = effective(c);
    if values.len() != h * w || values.is_empty() {
        return (0, 0, vec![]);
    }
    if b == 1 {
        return (h, w, values);
    }
    // An odd number of large pixels, the peak in the middle of the middle one.
    let n = h.min(w).div_ceil(b) | 1;
    let mut out = vec![0.0; n * n];
    for (i, v) in values.iter().enumerate() {
        let place = |k: usize, of: usize| {
            let offset = k as f64 - (of / 2) as f64;
            // Light of a pixel that lies across two large ones is shared between them.
            let low = (offset - 0.5) / b as f64 + 0.5 * n as f64;
            let high = (offset + 0.5) / b as f64 + 0.5 * n as f64;
            let cell = low.floor();
            let first = ((cell + 1.0).min(high) - low) / (high - low);
            (cell as isize, first as f32)
        };
        let ((y, fy), (x, fx)) = (place(i / w, h), place(i % w, w));
        for (dy, sy) in [(0, fy), (1, 1.0 - fy)] {
            for (dx, sx) in [(0, fx), (1, 1.0 - fx)] {
                let (y, x) = (y + dy, x + dx);
                if (0..n as isize).contains(&y) && (0..n as isize).contains(&x) {
                    out[y as usize * n + x as usize] += v * sy * sx;
                }
            }
        }
    }
    (n, n, out)
}

/// `[image, without its symmetric part, psf][80][80]`.
///
/// # Errors
/// Several bands, no sky or noise, a stamp that is too small.
pub fn encode(c: &Cutout) -> Result<Vec<f32>, String> {
    expect(c, 40, "lens")?;
    let b = binned(c);
    let (level, noise) = sound_ground(&b, "lens")?;
    let over: Vec<f32> = b.pixels.iter().map(|v| (v - level) / noise).collect();
    let mut out: Vec<f32> = over.iter().map(|v| squeezed(*v)).collect();
    let smooth = symmetric(&over);
    out.extend(over.iter().zip(&smooth).map(|(v, s)| squeezed(v - s)));
    out.extend(psf_plane(&b, SIDE));
    Ok(out)
}

fn squeezed(v: f32) -> f32 {
    if v.is_finite() {
        (v / SOFT).asinh()
    } else {
        0.0
    }
}

/// The part of an image that looks the same at every angle: medians over rings around the brightest
/// pixel near the middle.
pub fn symmetric(x: &[f32]) -> Vec<f32> {
    let mid = SIDE / 2;
    let smooth = |y: usize, x0: usize| -> f32 {
        let around = (0..9).map(|k| x[(y + k / 3 - 1) * SIDE + x0 + k % 3 - 1]);
        around.map(|v| if v.is_finite() { v } else { 0.0 }).sum()
    };
    let near = mid - 4..mid + 4;
    let places = near.clone().flat_map(|y| near.clone().map(move |x| (y, x)));
    let (cy, cx) = places
        .map(|(y, x)| (smooth(y, x), (y, x)))
        .fold((f32::MIN, (mid, mid)), |a, b| if b.0 > a.0 { b } else { a })
        .1;
    let radius = |i: usize| {
        let (y, x) = ((i / SIDE) as f32 - cy as f32, (i % SIDE) as f32 - cx as f32);
        y.hypot(x)
    };
    let mut rings: Vec<Vec<f32>> = vec![vec![]; SIDE];
    for (i, v) in x.iter().enumerate() {
        if v.is_finite() {
            rings[(radius(i) as usize).min(SIDE - 1)].push(*v);
        }
    }
    let mut profile: Vec<f32> = rings
        .iter_mut()
        .map(|r| if r.is_empty() { 0.0 } else { median(r) })
        .collect();
    // Light of one galaxy only falls outwards: arcs that fill a ring are no part of it.
    for k in 1..profile.len() {
        profile[k] = profile[k].min(profile[k - 1]);
    }
    let at = |r: f32| {
        let (k, part) = ((r - 0.5).max(0.0) as usize, (r - 0.5).max(0.0).fract());
        let (a, b) = (profile[k.min(SIDE - 1)], profile[(k + 1).min(SIDE - 1)]);
        a + part * (b - a)
    };
    (0..x.len()).map(|i| at(radius(i)).max(0.0)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Blocks keep the flux, masked pixels are left out, raised noise is a mask.
    #[test]
    fn blocks_keep_the_flux() {
        let n = 161;
        let pixels = (0..n * n).map(|i| ((i * 31) % 17) as f32).collect();
        let mut c = Cutout::new(&[""], n, n, pixels).unwrap();
        c.variance = vec![4.0; n * n];
        (0..40).for_each(|k| c.variance[80 * n + k] = 1e16);
        let b = binned(&c);
        assert_eq!((block(&c), b.height), (1, SIDE));
        let n = 201;
        let pixels = (0..n * n).map(|i| ((i * 31) % 17) as f32).collect();
        let mut c = Cutout::new(&[""], n, n, pixels).unwrap();
        c.variance = vec![4.0; n * n];
        c.psf = (5, 5, (0..25).map(|i| 1.0 / (1 + i) as f32).collect());
        let b = binned(&c);
        assert_eq!((block(&c), b.height, b.variance[0]), (2, SIDE, 16.0));
        // What was optical went through the pixel once, and says so.
        let optical = Cutout {
            optical_psf: true,
            ..c.clone()
        };
        let seen = binned(&optical);
        assert!(!seen.optical_psf && seen.psf.2 != b.psf.2);
        let (from, to): (f32, f32) = (c.psf.2.iter().sum(), b.psf.2.iter().sum());
        assert!((from / to - 1.0).abs() < 1e-4, "{from} {to}");
        let sum: f32 = b.pixels.iter().sum();
        let own: f32 = c.square(160).pixels.iter().sum();
        assert!((sum / own - 1.0).abs() < 1e-4);
    }

    /// A round galaxy vanishes, an arc stays.
    #[test]
    fn what_is_symmetric_goes() {
        let x: Vec<f32> = (0..SIDE * SIDE)
            .map(|i| {
                let (y, x) = ((i / SIDE) as f32 - 40.0, (i % SIDE) as f32 - 40.0);
                let arc = if (y - 15.0).hypot(x) < 2.0 { 30.0 } else { 0.0 };
                400.0 * (-y.hypot(x) / 5.0).exp() + arc
            })
            .collect();
        let s = symmetric(&x);
        let left = |y: usize, c: usize| x[y * SIDE + c] - s[y * SIDE + c];
        assert!(left(55, 40) > 20.0 && left(25, 40).abs() < 4.0 && left(40, 55).abs() < 4.0);
    }
}
