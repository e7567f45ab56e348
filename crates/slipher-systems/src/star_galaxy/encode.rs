//! Five bands as a network sees them.

use slipher_data::cutout::Cutout;

use crate::bands::{place, sky};

/// Bands that are asked for.
pub const BANDS: [&str; 5] = ["u", "g", "r", "i", "z"];
const SIDE: usize = 48;
/// Softening in units of the noise of a pixel, as that of SDSS's asinh magnitudes (Lupton et al.
/// 1999).
const SOFT: f32 = 2.0;

/// `[u, g, r, i, z][48][48]`: sky subtracted, asinh of the flux over twice the noise, so that
/// bright pixels are magnitudes and faint ones S/N.
///
/// # Errors
/// Other than five bands u, g, r, i, z, or a band without data.
pub fn encode(c: &Cutout) -> Result<Vec<f32>, String> {
    if c.bands.iter().all(String::is_empty) && c.bands.len() != BANDS.len() {
        return Err(format!(
            "{} bands without names: expected five, u, g, r, i and z; name the planes with --bands, for example --bands u,g,r,i,z",
            c.bands.len()
        ));
    }
    let places: Vec<Option<usize>> = BANDS.iter().map(|b| place(c, b, &BANDS)).collect();
    let missing: Vec<&str> = BANDS
        .iter()
        .zip(&places)
        .filter(|(_, p)| p.is_none_or(|p| p >= c.bands.len()))
        .map(|(b, _)| *b)
        .collect();
    if !missing.is_empty() {
        return Err(format!(
            "bands {}: expected u, g, r, i and z, {} missing; name the planes with --bands, for example --bands u,g,r,i,z",
            c.bands.join(", "),
            missing.join(", ")
        ));
    }
    let mended = Cutout {
        pixels: c.mended(),
        ..c.clone()
    };
    let cut = mended.square(SIDE);
    let mut out = Vec::with_capacity(5 * SIDE * SIDE);
    for p in places.into_iter().flatten() {
        let (level, noise) = sky(mended.band(p));
        if !noise.is_finite() || noise <= 0.0 {
            return Err(format!(
                "band '{}' has no noise: expected pixels with sky around the object, not masked or set to zero",
                c.bands[p]
            ));
        }
        out.extend(cut.band(p).iter().map(|v| {
            if v.is_finite() {
                ((v - level) / (SOFT * noise)).asinh()
            } else {
                0.0
            }
        }));
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_bands_and_messages() {
        let pixels: Vec<f32> = (0..5 * 2500).map(|i| ((i * 7919) % 97) as f32).collect();
        let mut c = Cutout::new(&["z", "sdss_u", "CFHT g", "r'", "i"], 50, 50, pixels).unwrap();
        assert_eq!(
            BANDS.map(|b| place(&c, b, &BANDS)),
            [Some(1), Some(2), Some(3), Some(4), Some(0)]
        );
        let x = encode(&c).unwrap();
        assert_eq!(x.len(), 5 * 48 * 48);
        // The zero level and the unit are the survey's own.
        c.pixels.iter_mut().for_each(|v| *v = 10.0 * *v - 300.0);
        assert!(
            encode(&c)
                .unwrap()
                .iter()
                .zip(&x)
                .all(|(a, b)| (a - b).abs() < 1e-3)
        );
        c.bands[2] = "y".into();
        assert!(encode(&c).unwrap_err().contains("--bands"));
        c.bands.iter_mut().for_each(String::clear);
        assert!(encode(&c).is_ok(), "unnamed bands are taken in order");
        let three = Cutout::new(&["", "", ""], 50, 50, c.pixels[..7500].to_vec()).unwrap();
        assert!(
            encode(&three)
                .unwrap_err()
                .starts_with("3 bands without names")
        );
        c.pixels.fill(1.0);
        assert!(encode(&c).unwrap_err().contains("noise"));
    }
}
