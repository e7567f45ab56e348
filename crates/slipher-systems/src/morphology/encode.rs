//! Colour pictures of galaxies as a network sees them.

use slipher_data::cutout::Cutout;
use slipher_data::spectrum::median;
use slipher_nn::augment::{Affine, view};

/// Side of what is encoded: a square of 69 fits in at any angle, its middle on the middle. A pixel
/// is three of the contest's 424.
pub const SIDE: usize = 99;
/// Side of a whole picture on these pixels: 424 / 3.
pub const FRAME: usize = 141;

/// `[R, G, B][99][99]`, 0 to 1. Pictures (8 bits) are taken as they are; fluxes in three bands,
/// reddest last, are stretched as SDSS's pictures are (Lupton et al. 2004); a single band is grey.
/// A picture of another size is taken to show as much of its galaxy as the contest's do.
///
/// # Errors
/// Two bands, or more than three that are not named.
pub fn encode(c: &Cutout) -> Result<Vec<f32>, String> {
    let n = c.height * c.width;
    let pixels = c.mended();
    let names: Vec<String> = c.bands.iter().map(|b| b.to_lowercase()).collect();
    let rgb = names == ["r", "g", "b"] && c.bands[0] == "R" || names == ["grey"];
    let planes: Vec<&[f32]> = match c.bands.len() {
        1 => vec![&pixels; 3],
        // Pictures are red first; bands g, r, z or g, r, i are blue first.
        3 if rgb => pixels.chunks_exact(n).collect(),
        3 => pixels.chunks_exact(n).rev().collect(),
        k => {
            let find = |b: &str| names.iter().position(|x| x.ends_with(b));
            let red = find("i").or(find("z"));
            match (red, find("r"), find("g")) {
                (Some(i), Some(r), Some(g)) => [i, r, g]
                    .iter()
                    .map(|b| &pixels[b * n..(b + 1) * n])
                    .collect(),
                _ => {
                    return Err(format!(
                        "{k} bands: expected a picture, one band, or g, r and i (or z); name them with --bands"
                    ));
                }
            }
        }
    };
    let eight_bits = rgb
        || (pixels
            .iter()
            .all(|v| *v >= 0.0 && *v <= 255.0 && v.fract() == 0.0)
            && pixels.iter().any(|v| *v > 1.0));
    let mut seen: Vec<f32> = planes.concat();
    if eight_bits {
        seen.iter_mut().for_each(|v| *v /= 255.0);
    } else {
        stretch(&mut seen, n);
    }
    let scale = FRAME as f32 / c.height.max(c.width) as f32;
    let mut out = Vec::new();
    view(
        &seen,
        c.height,
        c.width,
        SIDE,
        scale,
        &Affine::new(0.0, false, 1.0, [0.0; 2]),
        &mut out,
    );
    Ok(out)
}

/// Lupton's stretch: sky subtracted, asinh of the mean over the bands with Q = 8 and a stretch of
/// eight times the noise; colours are kept.
pub fn stretch(x: &mut [f32], n: usize) {
    let mut noise = 0.0;
    for plane in x.chunks_exact_mut(n) {
        let mut v = plane.to_vec();
        let sky = median(&mut v);
        v.iter_mut().for_each(|p| *p = (*p - sky).abs());
        noise += 1.4826 * median(&mut v) / 3.0;
        plane.iter_mut().for_each(|p| *p -= sky);
    }
    let (q, soft) = (8.0f32, 8.0 * noise.max(1e-20));
    for i in 0..n {
        let mean = (x[i] + x[n + i] + x[2 * n + i]) / 3.0;
        let factor = if mean > 0.0 {
            (q * mean / soft).asinh() / (q * mean)
        } else {
            1.0 / soft
        };
        let most = [0, 1, 2]
            .iter()
            .map(|k| x[k * n + i] * factor)
            .fold(1.0, f32::max);
        (0..3).for_each(|k| x[k * n + i] = (x[k * n + i] * factor / most).clamp(0.0, 1.0));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pictures_fluxes_and_sizes() {
        let picture = |side: usize| {
            let p = (0..3 * side * side)
                .map(|i| {
                    (200.0 * (-(((i % side) as f32 / side as f32 - 0.5).powi(2)) * 40.0).exp())
                        .round()
                })
                .collect();
            Cutout::new(&["R", "G", "B"], side, side, p).unwrap()
        };
        let (a, b) = (
            encode(&picture(424)).unwrap(),
            encode(&picture(200)).unwrap(),
        );
        assert_eq!(a.len(), 3 * SIDE * SIDE);
        assert!((a[49 * SIDE + 49] - 200.0 / 255.0).abs() < 0.02);
        let worst = a
            .iter()
            .zip(&b)
            .map(|(x, y)| (x - y).abs())
            .fold(0.0, f32::max);
        assert!(worst < 0.05, "{worst}");
        let flux = Cutout::new(
            &["g", "r", "z"],
            50,
            50,
            (0..7500)
                .map(|i| {
                    ((i * 31) % 17) as f32 * 0.01
                        + if i / 2500 == 2 && i % 50 == 25 {
                            3.0
                        } else {
                            0.0
                        }
                })
                .collect(),
        )
        .unwrap();
        let x = encode(&flux).unwrap();
        assert!(
            x[49 * SIDE + 49] > x[2 * SIDE * SIDE + 49 * SIDE + 49],
            "the reddest band is shown red"
        );
        assert!(
            encode(&Cutout::new(&["a", "b"], 2, 2, vec![0.0; 8]).unwrap())
                .unwrap_err()
                .contains("--bands")
        );
    }
}
