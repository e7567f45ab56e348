//! Template, new image, difference and difference over noise, as a network sees them.

use slipher_data::cutout::Cutout;
use slipher_data::spectrum::median;

/// Bands of a cutout.
pub const STAMPS: [&str; 3] = ["template", "science", "difference"];
/// Side of what is encoded.
const SIDE: usize = 25;

/// Median and 1.4826 × the median absolute deviation of the finite values.
fn level(v: &[f32]) -> (f32, f32) {
    let mut good: Vec<f32> = v.iter().copied().filter(|x| x.is_finite()).collect();
    let middle = median(&mut good);
    good.iter_mut().for_each(|x| *x = (*x - middle).abs());
    (middle, 1.4826 * median(&mut good))
}

/// Mean of the 3 × 3 pixels in the middle.
fn middle(cut: &[f32]) -> f32 {
    let near: Vec<f32> = (0..9)
        .map(|k| cut[(SIDE / 2 + k / 3 - 1) * SIDE + SIDE / 2 + k % 3 - 1])
        .filter(|v| v.is_finite())
        .collect();
    near.iter().sum::<f32>() / near.len().max(1) as f32
}

/// `[template, science, difference, difference / noise][25][25]`: sky subtracted, over the scatter
/// of each stamp and through asinh; the difference over its own largest value, so that its shape
/// stands beside its strength. Where there are no data, zeros. Of what has become fainter the
/// template is taken for the new image: where the middle of the difference is negative it is turned
/// over, where the survey has done that already (ZTF's `isdiffpos` = f: reference minus science) it
/// is not.
///
/// # Errors
/// A stamp that is missing or empty.
pub fn encode(c: &Cutout) -> Result<Vec<f32>, String> {
    let find = |name: &str| c.bands.iter().position(|b| b.eq_ignore_ascii_case(name));
    // Three planes, or Deep-HiTS' four with the difference over its noise, in this order.
    let unnamed = [3, 4].contains(&c.bands.len()) && STAMPS.iter().all(|s| find(s).is_none());
    let place = |i: usize| if unnamed { Some(i) } else { find(STAMPS[i]) };
    let missing: Vec<&str> = (0..3)
        .filter(|i| place(*i).is_none())
        .map(|i| STAMPS[i])
        .collect();
    if !missing.is_empty() {
        return Err(format!(
            "no stamp named {}: expected template, science and difference; name the bands with --bands",
            missing.join(", ")
        ));
    }
    let cut = c.square(SIDE);
    let n = SIDE * SIDE;
    let negative = middle(cut.band(place(2).unwrap_or(2))) < level(c.band(place(2).unwrap_or(2))).0;
    let fainter = negative || c.survey.iter().any(|(k, v)| k == "isdiffpos" && *v == 0.0);
    let order = if fainter { [1, 0, 2] } else { [0, 1, 2] };
    let mut out = Vec::with_capacity(4 * n);
    let (mut sigma, mut zero) = (0.0, 0.0);
    for (slot, from) in order.into_iter().enumerate() {
        let band = place(from).unwrap_or(from);
        let pixels = c.band(band);
        if pixels.iter().filter(|v| v.is_finite()).count() * 4 < pixels.len() {
            return Err(format!(
                "the stamp '{}' has data in less than a quarter of its pixels",
                STAMPS[from]
            ));
        }
        let (sky, scatter) = level(pixels);
        let unit = if scatter > 0.0 {
            scatter
        } else {
            pixels.iter().fold(
                1e-20f32,
                |m, v| if v.is_finite() { m.max(v.abs()) } else { m },
            )
        };
        let sign = if slot == 2 && negative { -1.0 } else { 1.0 };
        let values: Vec<f32> = cut
            .band(band)
            .iter()
            .map(|v| if v.is_finite() { sign * (v - sky) } else { 0.0 })
            .collect();
        if slot < 2 {
            out.extend(values.iter().map(|v| 0.5 * (v / unit).asinh()));
        } else {
            let most = values.iter().fold(1e-20f32, |m, v| m.max(v.abs()));
            out.extend(values.iter().map(|v| 2.0 * v / most));
            (sigma, zero) = (unit, sky);
        }
    }
    let d = place(2).unwrap_or(2);
    let cut_variance = if cut.variance.len() == cut.pixels.len() {
        &cut.variance[d * n..(d + 1) * n]
    } else {
        &[]
    };
    let sign = if negative { -1.0 } else { 1.0 };
    for (i, v) in cut.band(d).iter().enumerate() {
        let s = cut_variance
            .get(i)
            .filter(|v| **v > 0.0)
            .map_or(sigma, |v| v.sqrt());
        out.push(if v.is_finite() {
            0.5 * (sign * (v - zero) / s).asinh()
        } else {
            0.0
        });
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stamps(n: usize) -> Cutout {
        let pixels: Vec<f32> = (0..3 * n * n)
            .map(|i| ((i * 7919) % 101) as f32 + 500.0)
            .collect();
        Cutout::new(&STAMPS, n, n, pixels).unwrap()
    }

    /// Gain and sky level are the survey's own business.
    #[test]
    fn units_do_not_matter() {
        let a = stamps(63);
        let mut b = a.clone();
        b.pixels.iter_mut().for_each(|v| *v = 3.0 * *v + 40.0);
        let (x, y) = (encode(&a).unwrap(), encode(&b).unwrap());
        assert_eq!(x.len(), 4 * 625);
        assert!(x.iter().zip(&y).all(|(p, q)| (p - q).abs() < 1e-3));
    }

    #[test]
    fn edges_signs_and_missing_stamps() {
        let mut c = stamps(15);
        c.pixels[3] = f32::NAN;
        let x = encode(&c).unwrap();
        assert!(
            x.iter().all(|v| v.is_finite()) && x[0] == 0.0,
            "beyond the edge there is nothing"
        );
        // A source that has become fainter, as its survey wrote it and turned over.
        let mut below = stamps(25);
        (0..9).for_each(|k| below.pixels[2 * 625 + (11 + k / 3) * 25 + 11 + k % 3] = 200.0);
        let mut above = below.clone();
        above.pixels[1250..].iter_mut().for_each(|v| *v = -*v);
        above.survey.push(("isdiffpos".into(), 0.0));
        let (a, b) = (encode(&below).unwrap(), encode(&above).unwrap());
        assert!(
            a.iter().zip(&b).all(|(p, q)| (p - q).abs() < 1e-4),
            "both ways of writing it are one"
        );
        below.pixels[1250..].iter_mut().for_each(|v| *v = -*v);
        let brighter = encode(&below).unwrap();
        assert!(
            brighter[..625] == a[625..1250] && brighter[625..1250] == a[..625],
            "template and new image change places"
        );
        c.bands[0] = "other".into();
        assert!(encode(&c).unwrap_err().contains("template"));
        let five = Cutout::new(&[""; 5], 25, 25, vec![1.0; 5 * 625]).unwrap();
        assert!(
            encode(&five).unwrap_err().contains("--bands"),
            "five bands are no candidate"
        );
    }
}
