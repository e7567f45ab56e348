//! Colour pictures of eight bits, as the CFHTLS candidates of Space Warps are handed round: i, r and
//! g as red, green and blue over the sky's noise, through an asinh of the brightness (Lupton et al.
//! 2004) with Q = 1, cut at black and white.
//!
//! Fitted from the sky and 60 stars of such pictures: the noise of the sky is 18, 20 and 27 counts
//! in red, green and blue (13 to 33 from field to field), and a Moffat with Q of 0 to 1.7 leaves the
//! least residuals (0.504 each; 0.506 at 3, 0.527 at 12).

use slipher_data::cutout::Cutout;
use slipher_data::spectrum::median;
use slipher_sim::random::Stream;

use crate::bands::sky;

/// Lupton's Q.
const Q: f32 = 1.0;
/// Counts of one σ of the sky in red, green and blue.
const NOISE: [f32; 3] = [18.0, 20.0, 27.0];

/// Colours of a picture, red first, whatever they are called.
pub fn is(c: &Cutout) -> bool {
    c.bands == ["R", "G", "B"]
        && c.pixels
            .iter()
            .all(|v| v.is_nan() || (0.0..=255.0).contains(v))
}

/// A stamp in g, r and i as such a picture.
pub fn shown(c: &Cutout, rng: &mut Stream) -> Cutout {
    let n = c.height * c.width;
    let field = 10f64.powf(rng.normal(0.0, 0.09));
    let planes: Vec<Vec<f32>> = [2, 1, 0]
        .iter()
        .zip(NOISE)
        .map(|(b, counts)| {
            let (level, noise) = sky(c.band(*b));
            let white = counts * (field * 10f64.powf(rng.normal(0.0, 0.02))) as f32 / 255.0;
            let offset = rng.normal(0.1, 0.05) as f32;
            let scale = white / noise.max(1e-20);
            c.band(*b)
                .iter()
                .map(|v| (v - level) * scale + offset * white)
                .collect()
        })
        .collect();
    let mut pixels = vec![0.0; 3 * n];
    for i in 0..n {
        let mean = (planes[0][i] + planes[1][i] + planes[2][i]) / 3.0;
        let factor = if mean > 1e-6 {
            (Q * mean).asinh() / (Q * mean)
        } else {
            1.0
        };
        for k in 0..3 {
            pixels[k * n + i] = (255.0 * planes[k][i] * factor).clamp(0.0, 255.0).floor();
        }
    }
    Cutout {
        bands: ["R", "G", "B"].map(str::to_owned).to_vec(),
        pixels,
        pixel_scale: f64::NAN,
        ..c.clone()
    }
}

/// g, r and i in units of the sky's noise from a picture; what is black is 0.
///
/// # Errors
/// A picture without sky.
pub fn read(c: &Cutout) -> Result<Vec<f32>, String> {
    let n = c.height * c.width;
    let mended = c.mended();
    let mut linear = vec![0.0f32; 3 * n];
    for i in 0..n {
        let v = [0, 1, 2].map(|k| mended[k * n + i] / 255.0);
        let mean = (v[0] + v[1] + v[2]) / 3.0;
        let factor = if mean > 1e-6 {
            (Q * mean).sinh() / (Q * mean)
        } else {
            1.0
        };
        // Red is i, the last band.
        (0..3).for_each(|k| linear[(2 - k) * n + i] = v[k] * factor);
    }
    for (k, plane) in linear.chunks_exact_mut(n).enumerate() {
        let noise = positive_noise(plane, c.width).ok_or_else(|| {
            format!(
                "the picture's {} holds no sky: expected a colour picture of a survey with its \
                 background, or planes g, r and i",
                ["blue", "green", "red"][k]
            )
        })?;
        plane.iter_mut().for_each(|v| *v /= noise);
    }
    Ok(linear)
}

/// Part of σ that the median difference of neighbours shows if only positive pixels are taken.
const HALF: f32 = 0.573;

/// Noise of a sky whose negative half is cut off: from the differences of neighbours in a row that
/// are neither black nor white, which a galaxy's light changes little.
fn positive_noise(plane: &[f32], width: usize) -> Option<f32> {
    let grey = |v: f32| v > 0.0 && v < 0.9;
    let mut differences: Vec<f32> = plane
        .chunks_exact(width)
        .flat_map(|row| row.windows(2))
        .filter(|w| grey(w[0]) && grey(w[1]))
        .map(|w| (w[0] - w[1]).abs())
        .collect();
    if differences.len() * 20 < plane.len() {
        return None;
    }
    let noise = 1.4826 * median(&mut differences) * std::f32::consts::FRAC_1_SQRT_2 / HALF;
    Some(noise).filter(|v| *v > 0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is neither black nor white comes back.
    #[test]
    fn pictures_are_read_back() {
        let mut rng = Stream::new(4, 1, 1);
        let side = 80;
        let pixels: Vec<f32> = (0..3 * side * side)
            .map(|i| {
                let (y, x) = ((i / side) % side, i % side);
                let r2 = (y as f32 - 39.5).powi(2) + (x as f32 - 39.5).powi(2);
                rng.normal_f32() + 9.0 * (-r2 / 20.0).exp()
            })
            .collect();
        let c = Cutout::new(&["g", "r", "i"], side, side, pixels).unwrap();
        let p = shown(&c, &mut rng);
        assert!(is(&p) && p.pixels.iter().all(|v| v.fract() == 0.0));
        let back = read(&p).unwrap();
        let mid = 39 * side + 39;
        for k in 0..3 {
            let (got, want) = (back[k * side * side + mid], c.band(k)[mid]);
            assert!((got / want - 1.0).abs() < 0.25, "{got} {want}");
        }
        let white = Cutout {
            pixels: vec![255.0; 3 * side * side],
            ..p
        };
        assert!(read(&white).unwrap_err().contains("no sky"));
        let black = Cutout {
            pixels: vec![0.0; 3 * side * side],
            ..white
        };
        assert!(read(&black).unwrap_err().contains("no sky"));
    }
}
