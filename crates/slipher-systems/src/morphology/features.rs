//! Classical morphology: concentration, asymmetry, smoothness, Gini, M20 (Conselice 2003; Lotz et
//! al. 2004), colours, shape and light in rings.

use crate::moments::Moments;

use super::encode::SIDE;

const RINGS: usize = 8;

/// Names of the features.
pub fn names() -> Vec<String> {
    let mut out: Vec<String> = [
        "concentration",
        "asymmetry_180",
        "asymmetry_90",
        "smoothness",
        "gini",
        "m20",
        "axis_ratio",
        "radius",
        "colour_inner",
        "colour_outer",
        "light",
        "width",
        "sharpness",
    ]
    .map(str::to_owned)
    .to_vec();
    out.extend((0..RINGS).map(|k| format!("ring_{k}")));
    out.extend((0..RINGS).map(|k| format!("ring_variation_{k}")));
    out.extend((1..=4).map(|k| format!("harmonic_{k}")));
    out
}

/// Of `[R, G, B][99][99]`.
pub fn of(x: &[f32]) -> Vec<f32> {
    let n = SIDE * SIDE;
    let grey: Vec<f32> = (0..n)
        .map(|i| (x[i] + x[n + i] + x[2 * n + i]) / 3.0)
        .collect();
    let mut sorted = grey.clone();
    sorted.sort_by(f32::total_cmp);
    let sky = sorted[n / 5];
    let v: Vec<f32> = grey.iter().map(|p| (p - sky).max(0.0)).collect();
    let m = Moments::of(&v, SIDE);
    let mid = 0.5 * (SIDE as f32 - 1.0);
    let radius = |i: usize| ((i % SIDE) as f32 - mid).hypot((i / SIDE) as f32 - mid);
    let inner: Vec<usize> = (0..n).filter(|i| radius(*i) < 45.0).collect();
    let light = inner.iter().map(|i| v[*i]).sum::<f32>().max(1e-6);
    let within = |share: f32| {
        let mut order: Vec<usize> = inner.clone();
        order.sort_by(|a, b| radius(*a).total_cmp(&radius(*b)));
        let mut sum = 0.0;
        order
            .iter()
            .find(|i| {
                sum += v[**i];
                sum >= share * light
            })
            .map_or(45.0, |i| radius(*i).max(0.5))
    };
    let (r20, r50, r80) = (within(0.2), within(0.5), within(0.8));
    let turned = |quarter: bool| {
        let other = |i: usize| {
            let (y, c) = (i / SIDE, i % SIDE);
            if quarter {
                c * SIDE + SIDE - 1 - y
            } else {
                (SIDE - 1 - y) * SIDE + SIDE - 1 - c
            }
        };
        inner
            .iter()
            .map(|i| (v[*i] - v[other(*i)]).abs())
            .sum::<f32>()
            / (2.0 * light)
    };
    let box_mean = |i: usize| {
        let (y, c) = (i / SIDE, i % SIDE);
        let mut sum = 0.0;
        for k in 0..25 {
            sum += v[(y + k / 5).saturating_sub(2).min(SIDE - 1) * SIDE
                + (c + k % 5).saturating_sub(2).min(SIDE - 1)];
        }
        sum / 25.0
    };
    let smooth = inner
        .iter()
        .filter(|i| radius(**i) > 2.0)
        .map(|i| (v[*i] - box_mean(*i)).max(0.0))
        .sum::<f32>()
        / light;
    let mut lit: Vec<f32> = inner.iter().map(|i| v[*i]).collect();
    lit.sort_by(f32::total_cmp);
    let k = lit.len() as f32;
    let gini = lit
        .iter()
        .enumerate()
        .map(|(i, p)| (2.0 * (i as f32 + 1.0) - k - 1.0) * p)
        .sum::<f32>()
        / (light * k).max(1e-6);
    let mut bright: Vec<usize> = inner.clone();
    bright.sort_by(|a, b| v[*b].total_cmp(&v[*a]));
    let total: f32 = inner.iter().map(|i| v[*i] * radius(*i).powi(2)).sum();
    let (mut sum, mut second) = (0.0, 0.0);
    for i in bright {
        if sum > 0.2 * light {
            break;
        }
        sum += v[i];
        second += v[i] * radius(i).powi(2);
    }
    let colour = |lo: f32, hi: f32| {
        let of = |c: usize| {
            inner
                .iter()
                .filter(|i| (lo..hi).contains(&radius(**i)))
                .map(|i| x[c * n + i])
                .sum::<f32>()
        };
        (of(0) + 0.1).ln() - (of(2) + 0.1).ln()
    };
    let mut out = vec![
        5.0 * (r80 / r20).log10(),
        turned(false),
        turned(true),
        smooth,
        gini,
        (second / total.max(1e-6)).max(1e-6).log10(),
        (1.0 - m.ellipticity) / (1.0 + m.ellipticity),
        r50,
        colour(0.0, r50),
        colour(r50, 2.0 * r80),
        light.ln(),
        m.width,
        m.sharpness,
    ];
    let ring = |k: usize| {
        inner
            .iter()
            .filter(move |i| (radius(**i) / (0.4 * r80)) as usize == k)
    };
    let mut rings = Vec::new();
    let mut spread = Vec::new();
    for k in 0..RINGS {
        let values: Vec<f32> = ring(k).map(|i| v[*i]).collect();
        let mean = values.iter().sum::<f32>() / values.len().max(1) as f32;
        let deviation = (values.iter().map(|p| (p - mean).powi(2)).sum::<f32>()
            / values.len().max(1) as f32)
            .sqrt();
        rings.push(mean);
        spread.push(deviation / mean.max(0.01));
    }
    out.extend(rings);
    out.extend(spread);
    // Waves around the middle where arms and bars are.
    for h in 1..=4 {
        let (mut s, mut c, mut w) = (0.0, 0.0, 1e-6);
        for i in inner
            .iter()
            .filter(|i| (0.7 * r50..2.0 * r50).contains(&radius(**i)))
        {
            let a = h as f32 * ((i / SIDE) as f32 - mid).atan2((i % SIDE) as f32 - mid);
            s += v[*i] * a.sin();
            c += v[*i] * a.cos();
            w += v[*i];
        }
        out.push((s * s + c * c).sqrt() / w);
    }
    out
}
