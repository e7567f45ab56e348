//! What trees see: brightness, colours, rise and fall, of each band and of the whole.

use slipher_data::light_curve::LightCurve;

use super::encode::{DAYS, GLOBAL, Prepared, SLOTS, STEPS, binned, global, prepare};

/// Names of the features.
pub fn names() -> Vec<String> {
    let bands = ["u", "g", "r", "i", "z", "y"];
    let mut out: Vec<String> = (0..GLOBAL).map(|k| format!("whole_{k}")).collect();
    for b in bands {
        let own = [
            "peak", "day", "rise", "fall", "late", "early", "snr", "width", "slope_15", "slope_30",
        ];
        out.extend(own.map(|f| format!("{f}_{b}")));
    }
    for pair in bands.windows(2) {
        out.extend(["peak", "15", "30", "-10"].map(|t| format!("{}_{}_{t}", pair[0], pair[1])));
    }
    out
}

/// Flux of a band around days from the brightest, over the brightest; NaN without points.
fn at(bins: &[Option<(f32, f32)>], slot: usize, days: f64, reach: f64) -> f32 {
    let middle = |t: usize| (t as f64 - 12.0) * DAYS;
    let (mut sum, mut weight) = (0.0, 0.0);
    for t in 0..STEPS {
        let off = (middle(t) - days).abs();
        if let (Some((f, e)), true) = (bins[slot * STEPS + t], off <= reach) {
            let w = (1.0 / (e * e)) * (1.0 - (off / (reach + DAYS)) as f32);
            (sum, weight) = (sum + w * f, weight + w);
        }
    }
    if weight > 0.0 { sum / weight } else { f32::NAN }
}

/// Features of a light curve; NaN where a band says nothing.
pub fn of(c: &LightCurve) -> Vec<f32> {
    let Ok(p) = prepare(c) else {
        return vec![f32::NAN; names().len()];
    };
    let bins = binned(&p);
    let mut out = global(c, &p).to_vec();
    for k in 0..SLOTS.len() {
        out.extend(band(&p, &bins, k));
    }
    for k in 0..SLOTS.len() - 1 {
        for (days, reach) in [(0.0, 6.0), (15.0, 7.0), (30.0, 9.0), (-10.0, 6.0)] {
            let (a, b) = (at(&bins, k, days, reach), at(&bins, k + 1, days, reach));
            let floor = 0.02 * p.brightest;
            let ratio = (a.max(floor) / b.max(floor)).ln();
            out.push(if a.is_nan() || b.is_nan() {
                f32::NAN
            } else {
                ratio
            });
        }
    }
    out
}

fn band(p: &Prepared, bins: &[Option<(f32, f32)>], k: usize) -> [f32; 10] {
    let own: Vec<(f64, f32, f32)> = (0..STEPS)
        .filter_map(|t| bins[k * STEPS + t].map(|(f, e)| ((t as f64 - 12.0) * DAYS, f, e)))
        .collect();
    if own.is_empty() {
        return [f32::NAN; 10];
    }
    // Of points that are sure.
    let sure = |q: &&(f64, f32, f32)| q.2 < 0.3 * p.brightest;
    let top = own
        .iter()
        .filter(sure)
        .map(|q| (q.1, q.0))
        .fold((f32::NAN, f64::NAN), |a, b| {
            if a.0.is_nan() || b.0 > a.0 { b } else { a }
        });
    let half = |side: f64| {
        let crossed = |q: &&(f64, f32, f32)| side * (q.0 - top.1) > 0.0 && q.1 < 0.5 * top.0;
        let days = own
            .iter()
            .filter(sure)
            .filter(crossed)
            .map(|q| side * (q.0 - top.1));
        let first = days.fold(f64::INFINITY, f64::min);
        if first.is_finite() {
            first as f32
        } else {
            f32::NAN
        }
    };
    let mean = |from: f64, to: f64| {
        let inside = own.iter().filter(|q| (from..to).contains(&q.0));
        let (s, w) = inside.fold((0.0, 0.0), |(s, w), q| {
            (s + q.1 / (q.2 * q.2), w + 1.0 / (q.2 * q.2))
        });
        if w > 0.0 {
            s / w / p.brightest
        } else {
            f32::NAN
        }
    };
    let snr = own
        .iter()
        .map(|q| (q.1 / q.2).max(0.0).powi(2))
        .sum::<f32>()
        .sqrt();
    let light: f32 = own.iter().map(|q| q.1.max(0.0)).sum();
    let (t0, t15, t30) = (
        at(bins, k, 0.0, 6.0),
        at(bins, k, 15.0, 6.0),
        at(bins, k, 30.0, 8.0),
    );
    [
        top.0 / p.brightest,
        top.1 as f32,
        half(-1.0),
        half(1.0),
        mean(40.0, 150.0),
        mean(-60.0, -20.0),
        (1.0 + snr).ln(),
        light / top.0.max(1e-6),
        t15 / t0,
        t30 / t0,
    ]
}
