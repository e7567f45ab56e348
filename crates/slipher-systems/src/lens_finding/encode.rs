//! A stamp in g, r and i as a network sees it.

use slipher_data::cutout::Cutout;
use slipher_nn::augment::{Affine, view};

use super::picture;
use crate::bands::{place, sky};

/// Bands that are asked for.
pub const BANDS: [&str; 3] = ["g", "r", "i"];
/// Arcseconds of a pixel as encoded.
pub const SCALE: f64 = 0.2;
/// Pixels along a side: 12.8″.
pub const SIDE: usize = 64;
/// Pixel scales, in arcseconds, of surveys that the training knows, with room around them.
const KNOWN: std::ops::Range<f64> = 0.12..0.35;
/// Softening in units of the noise of a pixel.
const SOFT: f32 = 2.0;

/// `[g, r, i][64][64]`: over the noise of the sky, on pixels of 0.2″, asinh of half of it. Colour
/// pictures of eight bits are unfolded first ([`picture`]); an image without a pixel scale is taken
/// to have 0.2″.
///
/// # Errors
/// A band that is missing, without sky or noise, or pixels of another kind of survey.
pub fn encode(c: &Cutout) -> Result<Vec<f32>, String> {
    if c.pixel_scale.is_finite() && !KNOWN.contains(&c.pixel_scale) {
        return Err(format!(
            "pixels of {:.3}″: expected {} to {}″, as ground-based surveys have them",
            c.pixel_scale, KNOWN.start, KNOWN.end
        ));
    }
    let over_noise = if picture::is(c) {
        picture::read(c)?
    } else {
        planes(c)?
    };
    let ratio = c.pixel_scale / SCALE;
    let mut out = if ratio.is_finite() && (ratio - 1.0).abs() > 0.03 {
        let mut seen = Vec::new();
        let still = Affine::new(0.0, false, 1.0, [0.0; 2]);
        view(
            &over_noise,
            c.height,
            c.width,
            SIDE,
            ratio as f32,
            &still,
            &mut seen,
        );
        seen
    } else {
        let whole = Cutout {
            pixels: over_noise,
            bands: BANDS.map(str::to_owned).to_vec(),
            mask: vec![],
            variance: vec![],
            ..c.clone()
        };
        whole.square(SIDE).pixels
    };
    out.iter_mut().for_each(|v| {
        *v = if v.is_finite() {
            (*v / SOFT).asinh()
        } else {
            0.0
        };
    });
    Ok(out)
}

/// Signal over noise that is white.
const WHITE: f32 = 12.0;

/// Colours of Lupton et al. (2004) of what is encoded, i, r and g as red, green and blue; the last
/// row of the image is on top.
pub fn colours(x: &[f32]) -> Vec<u8> {
    let n = SIDE * SIDE;
    let mut out = vec![0; 3 * n];
    for i in 0..n {
        let v = [2, 1, 0].map(|b| SOFT * x.get(b * n + i).copied().unwrap_or(0.0).sinh() / WHITE);
        let mean = 4.0 * (v[0] + v[1] + v[2]) / 3.0;
        let factor = if mean > 1e-6 {
            mean.asinh() / mean
        } else {
            1.0
        };
        let at = 3 * ((SIDE - 1 - i / SIDE) * SIDE + i % SIDE);
        for k in 0..3 {
            out[at + k] = (255.0 * v[k] * factor).clamp(0.0, 255.0) as u8;
        }
    }
    out
}

/// g, r and i less the sky, over its noise.
fn planes(c: &Cutout) -> Result<Vec<f32>, String> {
    if c.bands.iter().all(String::is_empty) && c.bands.len() != BANDS.len() {
        return Err(format!(
            "{} bands without names: expected three, g, r and i; name the planes with --bands, \
             for example --bands g,r,i",
            c.bands.len()
        ));
    }
    let places = BANDS.map(|b| place(c, b, &BANDS));
    if let Some(k) = places.iter().position(Option::is_none) {
        return Err(format!(
            "bands {}: expected g, r and i, {} missing; name the planes with --bands, for example \
             --bands g,r,i",
            c.bands.join(", "),
            BANDS[k]
        ));
    }
    let mended = Cutout {
        pixels: c.mended(),
        ..c.clone()
    };
    let mut out = Vec::with_capacity(3 * c.height * c.width);
    for p in places.into_iter().flatten() {
        let (level, noise) = sky(mended.band(p));
        if !noise.is_finite() || noise <= 0.0 {
            return Err(format!(
                "band '{}' has no noise: expected pixels with sky around the object, not masked \
                 or set to zero",
                c.bands[p]
            ));
        }
        out.extend(mended.band(p).iter().map(|v| (v - level) / noise));
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stamp(side: usize, scale: f64) -> Cutout {
        let pixels = (0..3 * side * side)
            .map(|i| {
                let (y, x) = ((i / side) % side, i % side);
                let mid = 0.5 * (side as f64 - 1.0);
                let r = (y as f64 - mid).hypot(x as f64 - mid) * scale;
                let noise = ((i * 7919 % 1009) as f64 / 1009.0 - 0.5) * 3.4;
                (40.0 * (-0.5 * (r / 0.8).powi(2)).exp() + noise) as f32
            })
            .collect();
        Cutout {
            pixel_scale: scale,
            ..Cutout::new(&["g", "r", "i"], side, side, pixels).unwrap()
        }
    }

    /// Units, zero levels and pixel scales do not matter, the order of the bands neither.
    #[test]
    fn one_sky_in_many_files() {
        let a = encode(&stamp(72, 0.2)).unwrap();
        assert_eq!(a.len(), 3 * SIDE * SIDE);
        let mut units = stamp(72, 0.2);
        units.pixels.iter_mut().for_each(|v| *v = 3e-3 * *v + 7.0);
        let near = |x: &[f32], most: f32| {
            let worst = x
                .iter()
                .zip(&a)
                .map(|(a, b)| (a - b).abs())
                .fold(0.0, f32::max);
            assert!(worst < most, "{worst}");
        };
        near(&encode(&units).unwrap(), 2e-3);
        let mut turned = stamp(72, 0.2);
        turned.bands = ["i", "r", "g"].map(str::to_owned).to_vec();
        let b = encode(&turned).unwrap();
        assert_eq!(b[..SIDE * SIDE], a[2 * SIDE * SIDE..]);
        // The profile, not the noise, is the same on other pixels.
        let other = encode(&stamp(90, 0.168)).unwrap();
        let mid = 32 * SIDE + 32;
        assert!(
            (other[mid] - a[mid]).abs() < 0.15,
            "{} {}",
            other[mid],
            a[mid]
        );
    }

    #[test]
    fn what_does_not_fit_is_said() {
        let mut c = stamp(72, 0.2);
        c.bands[2] = "z".into();
        assert!(encode(&c).unwrap_err().contains("i missing"));
        assert!(encode(&stamp(72, 0.05)).unwrap_err().contains("0.050"));
        let mut flat = stamp(72, 0.2);
        flat.pixels.fill(1.0);
        assert!(encode(&flat).unwrap_err().contains("noise"));
    }
}
