//! What a classical method sees of a radio source: sizes, number and places of its peaks, Fanaroff
//! and Riley's ratio, and how far it bends.

use slipher_nn::augment::{Affine, view};

use super::encode::SIDE;
use crate::moments::Moments;

const SMALL: usize = 53;

/// Names of the features.
pub fn names() -> Vec<String> {
    [
        "area",
        "light",
        "length",
        "width",
        "axis_ratio",
        "peaks",
        "fr_ratio",
        "core",
        "bend",
        "skew_along",
        "skew_across",
        "peak_distance",
        "second_peak",
    ]
    .iter()
    .map(|s| (*s).to_owned())
    .chain(
        [
            "m_width",
            "m_ellipticity",
            "m_offset",
            "m_asymmetry",
            "m_sharpness",
            "m_sum3",
            "m_sum7",
            "m_sum13",
        ]
        .map(str::to_owned),
    )
    .collect()
}

/// Of `[212][212]`, in pixels of FIRST, of what lies within 70 pixels of the middle.
pub fn of(x: &[f32]) -> Vec<f32> {
    let mid = SIDE as f32 / 2.0 - 0.5;
    let place = |i: usize| ((i % SIDE) as f32 - mid, (i / SIDE) as f32 - mid);
    let lit: Vec<(f32, f32, f32)> = (0..SIDE * SIDE)
        .filter(|i| x[*i] > 0.15)
        .map(|i| (place(i).0, place(i).1, x[i]))
        .filter(|p| p.0.hypot(p.1) < 70.0)
        .collect();
    let light = lit.iter().map(|p| p.2).sum::<f32>().max(1e-6);
    let mean =
        |f: &dyn Fn(&(f32, f32, f32)) -> f32| lit.iter().map(|p| p.2 * f(p)).sum::<f32>() / light;
    let (mx, my) = (mean(&|p| p.0), mean(&|p| p.1));
    let (xx, yy, xy) = (
        mean(&|p| (p.0 - mx).powi(2)),
        mean(&|p| (p.1 - my).powi(2)),
        mean(&|p| (p.0 - mx) * (p.1 - my)),
    );
    let angle = 0.5 * (2.0 * xy).atan2(xx - yy);
    let (s, c) = angle.sin_cos();
    // Along and across the long axis.
    let turned: Vec<(f32, f32, f32)> = lit
        .iter()
        .map(|p| {
            (
                (p.0 - mx) * c + (p.1 - my) * s,
                (p.1 - my) * c - (p.0 - mx) * s,
                p.2,
            )
        })
        .collect();
    let spread = |f: &dyn Fn(&(f32, f32, f32)) -> f32| {
        let mut v: Vec<f32> = turned.iter().map(f).collect();
        v.sort_by(f32::total_cmp);
        if v.is_empty() {
            0.0
        } else {
            v[v.len() * 49 / 50] - v[v.len() / 50]
        }
    };
    let (length, width) = (spread(&|p| p.0), spread(&|p| p.1));
    let third = |f: &dyn Fn(&(f32, f32, f32)) -> f32| {
        turned.iter().map(|p| p.2 * f(p).powi(3)).sum::<f32>() / light
    };
    let peaks = peaks(x);
    let far = peaks
        .first()
        .zip(peaks.get(1))
        .map_or(0.0, |(a, b)| (a.0 - b.0).hypot(a.1 - b.1));
    // Bend: how the middle line leaves the axis, ends against centre.
    let across = |lo: f32, hi: f32| {
        let part: Vec<_> = turned
            .iter()
            .filter(|p| (lo..hi).contains(&(p.0 / length.max(1.0))))
            .collect();
        let w: f32 = part.iter().map(|p| p.2).sum();
        part.iter().map(|p| p.1 * p.2).sum::<f32>() / w.max(1e-6)
    };
    let bend =
        (0.5 * (across(-0.6, -0.25) + across(0.25, 0.6)) - across(-0.25, 0.25)) / length.max(1.0);
    let core = x[(SIDE / 2) * SIDE + SIDE / 2];
    let mut small = Vec::new();
    view(
        x,
        SIDE,
        SIDE,
        SMALL,
        0.5,
        &Affine::new(0.0, false, 1.0, [0.0; 2]),
        &mut small,
    );
    let m = Moments::of(&small, SMALL);
    let second = peaks.get(1).map_or(0.0, |p| p.2);
    vec![
        (lit.len() as f32).ln_1p(),
        light.ln(),
        length,
        width,
        width / length.max(1.0),
        peaks.len() as f32,
        far / length.max(1.0),
        core,
        bend.abs(),
        third(&|p| p.0).abs().cbrt(),
        third(&|p| p.1).abs().cbrt(),
        far,
        second,
        m.width,
        m.ellipticity,
        m.offset,
        m.asymmetry,
        m.sharpness,
        m.sums[0],
        m.sums[1],
        m.sums[2],
    ]
}

/// Largest of their 7 × 7 neighbourhoods above a third of the peak, brightest first: (x, y, value).
fn peaks(x: &[f32]) -> Vec<(f32, f32, f32)> {
    let mut out = Vec::new();
    for y in 36..SIDE - 36 {
        for c in 36..SIDE - 36 {
            let v = x[y * SIDE + c];
            if v < 0.4 {
                continue;
            }
            let best = (0..49).all(|k| {
                let (dy, dx) = (k / 7, k % 7);
                let other = x[(y + dy - 3) * SIDE + c + dx - 3];
                other < v || (other == v && (dy, dx) >= (3, 3))
            });
            if best {
                out.push((c as f32, y as f32, v));
            }
        }
    }
    out.sort_by(|a, b| b.2.total_cmp(&a.2));
    out
}
