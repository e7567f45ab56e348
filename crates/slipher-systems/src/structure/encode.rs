//! A galaxy as the network sees it: its middle, the same with its surroundings four times as coarse,
//! and the point-spread function.

use slipher_data::cutout::Cutout;

use crate::stamp::{expect, psf_plane, sound_ground};

/// Pixels along a side of each plane.
pub const SIDE: usize = 64;
/// Pixels of the image along one of the coarse plane.
const BLOCK: usize = 4;
/// Softening in units of the noise of a pixel.
const SOFT: f32 = 2.0;

/// First pixel of the network's square along an axis of so many.
pub fn start(pixels: usize) -> isize {
    (pixels as isize - SIDE as isize).div_euclid(2)
}

/// `[fine, coarse, psf][64][64]`.
///
/// # Errors
/// Several bands, no sky or noise, pixels that hold nothing in the middle.
pub fn encode(c: &Cutout) -> Result<Vec<f32>, String> {
    expect(c, 32, "galaxy")?;
    let (level, noise) = sound_ground(c, "galaxy")?;
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

#[cfg(test)]
mod tests {
    use super::*;
    use slipher_sim::random::Stream;

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
        assert!((crate::stamp::ground(&c).1 / 2e-3 - 1.0).abs() < 1e-5);
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
}
