//! Magnitudes, colours and morphology, measured as a survey's catalogue measures them: what the
//! paper's random forest (TPC) sees.

use slipher_data::cutout::Cutout;

use super::encode::BANDS;
use crate::bands::{place, sky};

/// 5 magnitudes, 4 colours; concentration of each band; FLUX_RADIUS, A_WORLD and B_WORLD and the
/// peak in r and i.
pub fn names() -> Vec<String> {
    let mut out: Vec<String> = BANDS.iter().map(|b| format!("mag_{b}")).collect();
    out.extend(BANDS.windows(2).map(|w| format!("{}_{}", w[0], w[1])));
    out.extend(BANDS.iter().map(|b| format!("concentration_{b}")));
    for b in ["r", "i"] {
        out.extend(
            ["flux_radius", "a", "b", "mu_max"]
                .iter()
                .map(|f| format!("{f}_{b}")),
        );
    }
    out
}

/// Light of a band within a radius of (x, y), sky subtracted; pixels at the edge count by their
/// share.
fn aperture(v: &[f32], side: usize, (x, y): (f32, f32), radius: f32) -> f32 {
    let mut sum = 0.0;
    for (i, v) in v.iter().enumerate() {
        let r = ((i % side) as f32 - x).hypot((i / side) as f32 - y);
        sum += v * (radius + 0.5 - r).clamp(0.0, 1.0);
    }
    sum
}

/// asinh magnitude (Lupton et al. 1999) with the noise of the aperture as softening.
fn magnitude(flux: f32, noise: f32) -> f32 {
    -1.0857 * ((flux / (2.0 * noise)).asinh() + noise.max(1e-20).ln())
}

/// Features of a cutout.
pub fn of(c: &Cutout) -> Vec<f32> {
    let pixels = c.mended();
    let (n, side) = (c.height * c.width, c.width);
    let bands: Vec<(Vec<f32>, f32)> = BANDS
        .iter()
        .map(|b| {
            let p = place(c, b, &BANDS).unwrap_or(0);
            let v = pixels.get(p * n..(p + 1) * n).unwrap_or(&[]);
            let (level, noise) = sky(v);
            (v.iter().map(|x| x - level).collect(), noise)
        })
        .collect();
    let shapes: Vec<Shape> = [2, 3].iter().map(|k| shape(&bands[*k].0, side)).collect();
    let at = shapes[0].at;
    let mut magnitudes = Vec::new();
    let mut concentration = Vec::new();
    for (v, noise) in &bands {
        let (inner, outer) = (aperture(v, side, at, 3.0), aperture(v, side, at, 8.0));
        magnitudes.push(magnitude(outer, noise * 14.0));
        concentration.push(magnitude(inner, noise * 5.3) - magnitude(outer, noise * 14.0));
    }
    let mut out = magnitudes.clone();
    // Colours in the inner aperture, where the signal is.
    let colours: Vec<f32> = bands
        .iter()
        .map(|(v, noise)| magnitude(aperture(v, side, at, 4.0), noise * 7.0))
        .collect();
    out.extend(colours.windows(2).map(|w| w[0] - w[1]));
    out.extend(concentration);
    for s in &shapes {
        out.extend([s.flux_radius, s.a, s.b, s.peak]);
    }
    out
}

struct Shape {
    at: (f32, f32),
    flux_radius: f32,
    a: f32,
    b: f32,
    /// Magnitude of the brightest pixel over that of the whole.
    peak: f32,
}

/// Centroid, half-light radius within 9 pixels, and axes by second moments under a Gaussian of σ =
/// 3 pixels, once re-centred.
fn shape(v: &[f32], side: usize) -> Shape {
    let mid = 0.5 * (side as f32 - 1.0);
    let mut at = (mid, mid);
    let (mut xx, mut yy, mut xy) = (0.0, 0.0, 0.0);
    for _ in 0..3 {
        let (mut w, mut x, mut y) = (1e-9f32, 0.0, 0.0);
        (xx, yy, xy) = (0.0, 0.0, 0.0);
        for (i, v) in v.iter().enumerate() {
            let (dx, dy) = ((i % side) as f32 - at.0, (i / side) as f32 - at.1);
            let r2 = dx * dx + dy * dy;
            if r2 < 81.0 {
                let f = v * (-r2 / 18.0).exp();
                w += f;
                x += f * dx;
                y += f * dy;
                xx += f * dx * dx;
                yy += f * dy * dy;
                xy += f * dx * dy;
            }
        }
        let w = w.abs().max(1e-9);
        (xx, yy, xy) = (xx / w, yy / w, xy / w);
        at = (
            (at.0 + x / w).clamp(mid - 3.0, mid + 3.0),
            (at.1 + y / w).clamp(mid - 3.0, mid + 3.0),
        );
    }
    let root = (0.25 * (xx - yy).powi(2) + xy * xy).sqrt();
    let total = aperture(v, side, at, 9.0);
    let radius = (1..36)
        .map(|k| 0.25 * k as f32)
        .find(|r| aperture(v, side, at, *r) > 0.5 * total)
        .unwrap_or(9.0);
    let peak = v
        .iter()
        .enumerate()
        .filter(|(i, _)| ((i % side) as f32 - at.0).hypot((i / side) as f32 - at.1) < 4.0)
        .map(|(_, v)| *v)
        .fold(0.0, f32::max);
    Shape {
        at,
        flux_radius: radius,
        a: (0.5 * (xx + yy) + root).max(0.0).sqrt(),
        b: (0.5 * (xx + yy) - root).max(0.0).sqrt(),
        peak: (peak / total.abs().max(1e-9)).clamp(-1.0, 2.0),
    }
}
