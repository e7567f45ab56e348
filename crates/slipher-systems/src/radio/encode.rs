//! Radio maps as a network sees them: noise cut away, brightness compressed.

use slipher_data::cutout::Cutout;
use slipher_nn::augment::{Affine, view};

/// Arcseconds of a pixel: FIRST's.
pub const SCALE: f64 = 1.8;
/// Side of what is encoded, 6.4′: a square of 150 pixels fits in at any angle.
pub const SIDE: usize = 212;

/// Mean and standard deviation without what lies beyond 3σ, repeated (astropy's
/// `sigma_clipped_stats`).
fn clipped(v: &[f32]) -> (f32, f32) {
    let mut good: Vec<f32> = v.to_vec();
    for _ in 0..10 {
        let n = good.len().max(1) as f32;
        let mean = good.iter().sum::<f32>() / n;
        let sigma = (good.iter().map(|x| (x - mean).powi(2)).sum::<f32>() / n).sqrt();
        let before = good.len();
        good.retain(|x| (x - mean).abs() <= 3.0 * sigma);
        if good.len() == before {
            return (mean, sigma);
        }
    }
    let n = good.len().max(1) as f32;
    let mean = good.iter().sum::<f32>() / n;
    (
        mean,
        (good.iter().map(|x| (x - mean).powi(2)).sum::<f32>() / n).sqrt(),
    )
}

/// `[212][212]`: what has no data and what lies below 3σ is 0 (the paper, section 3.2); of the rest
/// 3σ are subtracted, as the collection's pictures are made (measured on 364 sources that are there
/// as maps too), and what is fainter than a picture of eight bits can show is 0; over the largest
/// value near the middle, through asinh. Maps of another pixel scale are resampled
/// to 1.8″.
///
/// # Errors
/// Several bands that differ, or nothing above the noise.
pub fn encode(c: &Cutout) -> Result<Vec<f32>, String> {
    if c.bands.len() != 1 {
        return Err(format!("{} bands: expected one radio map", c.bands.len()));
    }
    let flux: Vec<f32> = c
        .pixels
        .iter()
        .map(|v| if v.is_finite() { *v } else { 0.0 })
        .collect();
    let mut whole = Cutout {
        pixels: flux,
        ..c.clone()
    };
    let ratio = c.pixel_scale / SCALE;
    if ratio.is_finite() && !(0.9..1.1).contains(&ratio) && ratio > 0.05 && ratio < 20.0 {
        let side = ((c.width.max(c.height) as f64 * ratio).round() as usize).clamp(16, 4096);
        let mut out = Vec::new();
        view(
            &whole.pixels,
            c.height,
            c.width,
            side,
            ratio as f32,
            &Affine::new(0.0, false, 1.0, [0.0; 2]),
            &mut out,
        );
        (whole.pixels, whole.height, whole.width) = (out, side, side);
    }
    let (_, sigma) = clipped(&whole.pixels);
    let cut = whole.square(SIDE);
    let mut out: Vec<f32> = cut
        .pixels
        .iter()
        .map(|v| {
            if v.is_finite() {
                (*v - 3.0 * sigma).max(0.0)
            } else {
                0.0
            }
        })
        .collect();
    let mid = SIDE as f32 / 2.0 - 0.5;
    let near = |i: usize| ((i % SIDE) as f32 - mid).hypot((i / SIDE) as f32 - mid) < 70.0;
    let peak = out
        .iter()
        .enumerate()
        .filter(|(i, _)| near(*i))
        .map(|(_, v)| *v)
        .fold(0.0, f32::max);
    if peak <= 0.0 {
        return Err("nothing above 3σ within 2′ of the middle".into());
    }
    // Pictures of eight bits hold nothing fainter.
    out.iter_mut()
        .filter(|v| **v < peak / 255.0)
        .for_each(|v| *v = 0.0);
    let norm = 1.0 / 20f32.asinh();
    out.iter_mut()
        .for_each(|v| *v = norm * (20.0 * (*v / peak).min(2.0)).asinh());
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(side: usize, fwhm: f64) -> Cutout {
        let mut p = slipher_sim::sky::Plane::square(side);
        let c = p.centre();
        slipher_sim::sky::psf::Psf::gaussian(fwhm).add(&mut p, c.0, c.1, 1.0);
        Cutout::new(&[""], side, side, p.data).unwrap()
    }

    /// A map in Jy and the picture that the collection makes of it are one to the network.
    #[test]
    fn maps_and_pictures_are_one() {
        let mut rng = slipher_sim::random::Stream::new(2, 1, 1);
        let mut a = map(300, 9.0);
        let peak = a.pixels.iter().copied().fold(0.0, f32::max);
        let noise = 0.02 * peak;
        a.pixels
            .iter_mut()
            .for_each(|v| *v = 1e-3 * (*v + noise * rng.normal_f32()) / peak);
        let (_, sigma) = clipped(&a.pixels);
        let most = a.pixels.iter().copied().fold(0.0, f32::max);
        let mut picture = a.clone();
        picture.pixels.iter_mut().for_each(|v| {
            *v = (255.0 * (*v - 3.0 * sigma) / (most - 3.0 * sigma))
                .max(0.0)
                .floor();
        });
        let (x, y) = (encode(&a).unwrap(), encode(&picture).unwrap());
        let off = x.iter().zip(&y).map(|(a, b)| (a - b).abs());
        let worst = off.fold(0.0, f32::max);
        assert!(worst < 0.03, "{worst}");
    }

    #[test]
    fn noise_goes_scale_is_made_equal() {
        let mut a = map(300, 6.0);
        let mut rng = slipher_sim::random::Stream::new(1, 1, 1);
        a.pixels
            .iter_mut()
            .for_each(|v| *v += 1e-5 * rng.normal_f32());
        a.pixels[5] = f32::NAN;
        let x = encode(&a).unwrap();
        assert!((x.iter().copied().fold(0.0, f32::max) - 1.0).abs() < 1e-6);
        assert!(
            x[..100].iter().filter(|v| **v > 0.0).count() < 5,
            "3σ leaves one in 700"
        );
        // The same source on pixels twice as fine.
        let mut b = map(600, 12.0);
        b.pixel_scale = 0.9;
        let y = encode(&b).unwrap();
        let half = |x: &[f32]| {
            x[106 * SIDE + 106..]
                .iter()
                .take(20)
                .filter(|v| **v > 0.8)
                .count()
        };
        assert_eq!(half(&x), half(&y));
        assert!(
            encode(&Cutout::new(&[""], 64, 64, vec![0.0; 4096]).unwrap())
                .unwrap_err()
                .contains("3σ")
        );
    }

    /// astropy.stats.sigma_clipped_stats(x, sigma=3), x = sin(0.7 i) for 1000 values, 50 of them
    /// with 20 more.
    #[test]
    fn clips_as_astropy() {
        let x: Vec<f32> = (0..1000)
            .map(|i| (0.7 * i as f32).sin() + if i % 20 == 0 { 20.0 } else { 0.0 })
            .collect();
        let (mean, sigma) = clipped(&x);
        assert!(
            (mean - CLIPPED.0).abs() < 1e-4 && (sigma - CLIPPED.1).abs() < 1e-4,
            "{mean} {sigma}"
        );
    }
    const CLIPPED: (f32, f32) = (0.001_541, 0.707_283);
}
