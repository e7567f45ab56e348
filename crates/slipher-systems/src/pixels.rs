//! What the pixels of an image are, settled before any system sees them: a plane without
//! information is refused, magnitudes are converted to flux where that is certain and else refused.
//! Never a confident answer to what was misread.

use std::borrow::Cow;

use slipher_data::cutout::Cutout;
use slipher_data::spectrum::median;

/// SDSS's asinh magnitudes (Lupton et al. 1999; values of the DR8 algorithms page): band, softening
/// b, magnitude of zero flux.
const LUPTITUDES: [(&str, f64, f64); 5] = [
    ("u", 1.4e-10, 24.63),
    ("g", 0.9e-10, 25.11),
    ("r", 1.2e-10, 24.80),
    ("i", 1.8e-10, 24.36),
    ("z", 7.4e-10, 22.83),
];

/// A plane holds nothing: no finite pixel, or one value everywhere.
fn is_blank(plane: &[f32]) -> bool {
    let mut finite = plane.iter().filter(|v| v.is_finite());
    match finite.next() {
        None => true,
        Some(first) => finite.all(|v| v == first),
    }
}

/// What the numbers of a plane look like.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Brightness {
    /// Some value lies outside 5 to 40, or the sky outside 15 to 32: no magnitudes.
    Flux,
    /// They could be magnitudes: the middle is smaller than the sky around it, as light makes them.
    Smaller,
    /// They could be: the middle is larger.
    Larger,
    /// They could be: there is no difference.
    Same,
}

fn brightness(plane: &[f32], height: usize, width: usize) -> Brightness {
    let mut finite: Vec<f32> = plane.iter().copied().filter(|v| v.is_finite()).collect();
    if finite.len() < 25 || finite.iter().any(|v| !(5.0..40.0).contains(v)) {
        return Brightness::Flux;
    }
    let sky = median(&mut finite);
    if !(15.0..32.0).contains(&sky) {
        return Brightness::Flux;
    }
    finite.iter_mut().for_each(|v| *v = (*v - sky).abs());
    let scatter = (1.4826 * median(&mut finite)).max(1e-3);
    let (y0, x0) = (
        (height / 2).saturating_sub(2),
        (width / 2).saturating_sub(2),
    );
    let mut near: Vec<f32> = (0..25)
        .filter_map(|k| plane.get((y0 + k / 5) * width + x0 + k % 5))
        .copied()
        .filter(|v| v.is_finite())
        .collect();
    if near.is_empty() {
        return Brightness::Same;
    }
    let middle = median(&mut near) - sky;
    let lowest = plane
        .iter()
        .copied()
        .filter(|v| v.is_finite())
        .fold(f32::MAX, f32::min);
    if middle < -2.0 * scatter.min(0.5) && lowest < sky - 0.3 {
        Brightness::Smaller
    } else if middle > 2.0 * scatter {
        Brightness::Larger
    } else {
        Brightness::Same
    }
}

/// Softening of a band's asinh magnitudes if its sky lies where zero flux does.
fn softening(name: &str, plane: &[f32]) -> Option<f64> {
    let last = name
        .trim()
        .rsplit(|c: char| !c.is_ascii_alphanumeric())
        .next()
        .unwrap_or_default()
        .to_lowercase();
    let (_, b, zero) = LUPTITUDES.iter().find(|l| l.0 == last)?;
    let mut finite: Vec<f32> = plane.iter().copied().filter(|v| v.is_finite()).collect();
    // Asinh magnitudes exist for negative flux too: nothing is missing.
    let whole = finite.len() * 100 > plane.len() * 99;
    let sky = f64::from(median(&mut finite));
    (whole && (sky - zero).abs() < 0.35).then_some(*b)
}

/// Flux, in maggies, of an asinh magnitude: 2 b sinh(−m ln 10 / 2.5 − ln b).
fn flux(magnitude: f32, b: f64) -> f32 {
    let x = -f64::from(magnitude) * std::f64::consts::LN_10 / 2.5 - b.ln();
    // In nanomaggies, so that single precision holds it.
    (2.0 * b * x.sinh() * 1e9) as f32
}

/// The image with pixels in proportion to flux, and data in every plane.
///
/// # Errors
/// A plane without data or with one value everywhere; magnitudes that are not certainly SDSS's.
pub fn settle(c: &Cutout) -> Result<Cow<'_, Cutout>, String> {
    let n = c.height * c.width;
    let planes: Vec<&[f32]> = c.pixels.chunks_exact(n.max(1)).collect();
    let named = |i: usize| match c.bands.get(i).map(String::as_str) {
        Some("") | None => format!("plane {}", i + 1),
        Some(name) => format!("band '{name}'"),
    };
    if let Some(i) = planes.iter().position(|p| is_blank(p)) {
        return Err(format!(
            "{} holds no data: all its pixels are missing or have one value",
            named(i)
        ));
    }
    let seen: Vec<Brightness> = planes
        .iter()
        .map(|p| brightness(p, c.height, c.width))
        .collect();
    if seen.is_empty() || seen.contains(&Brightness::Flux) {
        return Ok(Cow::Borrowed(c));
    }
    // Five planes without names are u, g, r, i and z.
    let unnamed = planes.len() == 5 && c.bands.iter().all(String::is_empty);
    let name = |i: usize| {
        if unnamed {
            LUPTITUDES[i].0
        } else {
            c.bands.get(i).map_or("", String::as_str)
        }
    };
    let known: Option<Vec<f64>> = (0..planes.len())
        .map(|i| softening(name(i), planes[i]))
        .collect();
    // Several skies at the magnitudes of zero flux are no chance; one is, unless light makes it
    // smaller.
    let certain = planes.len() >= 3 || seen.contains(&Brightness::Smaller);
    let Some(known) = known.filter(|_| certain) else {
        if !seen.contains(&Brightness::Smaller) || seen.contains(&Brightness::Larger) {
            return Ok(Cow::Borrowed(c));
        }
        return Err(
            "the pixels look like magnitudes (the middle is smaller than the sky around it, all \
             values are between 5 and 40): expected flux, as nanomaggies, counts or Jy"
                .into(),
        );
    };
    let mut out = c.clone();
    for (plane, b) in out.pixels.chunks_exact_mut(n).zip(known) {
        plane.iter_mut().for_each(|v| *v = flux(*v, b));
    }
    out.variance.clear();
    out.notes
        .push("asinh magnitudes of SDSS converted to flux".into());
    Ok(Cow::Owned(out))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A source of some nanomaggies on noise, in five bands.
    fn source(bands: [&str; 5]) -> Cutout {
        let side = 48;
        let pixels: Vec<f32> = (0..5 * side * side)
            .map(|i| {
                let (y, x) = ((i / side) % side, i % side);
                let r2 = (y as f32 - 23.5).powi(2) + (x as f32 - 23.5).powi(2);
                let noise = ((i * 7919 % 1009) as f32 / 1009.0 - 0.5) * 0.06;
                2.0 * (-r2 / 8.0).exp() + noise
            })
            .collect();
        Cutout::new(&bands, side, side, pixels).unwrap()
    }

    fn luptitude(f: f32, b: f64) -> f32 {
        (-2.5 / std::f64::consts::LN_10 * ((f64::from(f) * 1e-9 / (2.0 * b)).asinh() + b.ln()))
            as f32
    }

    #[test]
    fn magnitudes_are_converted_or_refused() {
        let linear = source(["u", "g", "r", "i", "z"]);
        assert!(matches!(settle(&linear).unwrap(), Cow::Borrowed(_)));
        let n = linear.height * linear.width;
        let mut asinh = linear.clone();
        for (plane, l) in asinh.pixels.chunks_exact_mut(n).zip(LUPTITUDES) {
            plane.iter_mut().for_each(|v| *v = luptitude(*v, l.1));
        }
        let back = settle(&asinh).unwrap();
        assert!(back.notes.len() == 1);
        for (a, b) in back.pixels.iter().zip(&linear.pixels) {
            assert!((a - b).abs() < 1e-4 * (0.05 + b.abs()), "{a} {b}");
        }
        // A source too faint to be seen: its sky tells.
        let mut faint = asinh.clone();
        for (plane, l) in faint.pixels.chunks_exact_mut(n).zip(LUPTITUDES) {
            let noise = |i: usize| ((i * 7919 % 1009) as f32 / 1009.0 - 0.5) * 0.06;
            (0..n).for_each(|i| plane[i] = luptitude(noise(i), l.1));
        }
        faint.bands = vec![String::new(); 5];
        assert_eq!(settle(&faint).unwrap().notes.len(), 1);
        // Of unknown bands, or plain magnitudes without those of negative flux: refused.
        let mut other = asinh.clone();
        other.bands = vec!["F606W".into(); 5];
        assert!(settle(&other).unwrap_err().contains("magnitudes"));
        let mut plain = linear.clone();
        plain
            .pixels
            .iter_mut()
            .for_each(|v| *v = 22.5 - 2.5 * v.log10());
        assert!(settle(&plain).unwrap_err().contains("magnitudes"));
        // Counts on a sky of 25 are counts.
        let mut counts = linear.clone();
        counts.pixels.iter_mut().for_each(|v| *v += 25.0);
        assert!(matches!(settle(&counts).unwrap(), Cow::Borrowed(_)));
    }

    #[test]
    fn blank_planes_are_refused() {
        let mut c = source(["u", "g", "r", "i", "z"]);
        let n = c.height * c.width;
        c.pixels[n..2 * n].fill(0.0);
        assert!(settle(&c).unwrap_err().contains("band 'g'"));
        c.pixels[n..2 * n].fill(f32::NAN);
        assert!(settle(&c).unwrap_err().contains("no data"));
    }
}
