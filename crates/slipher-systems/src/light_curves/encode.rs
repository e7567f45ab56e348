//! A light curve as the network sees it: fluxes in six bands of wavelength and forty steps of time
//! around the brightest, with what is known of the whole beside them.

use slipher_data::light_curve::{LightCurve, wavelength};

/// Bands of wavelength: middles of u, g, r, i, z, y in Å.
pub const SLOTS: [f64; 6] = [3670.0, 4800.0, 6230.0, 7600.0, 8900.0, 9800.0];
/// Steps of time.
pub const STEPS: usize = 48;
/// Days of a step, and how many steps lie before the brightest.
pub const DAYS: f64 = 4.0;
const BEFORE: f64 = 12.0;
/// Values of the whole light curve.
pub const GLOBAL: usize = 22;
/// Channels: flux, S/N and whether there is any, of each band, and the whole.
pub const CHANNELS: usize = 3 * SLOTS.len() + GLOBAL;
/// S/N of a point that counts as seen.
const SEEN: f32 = 4.0;

/// Points that count, without the dust of our galaxy, with their band of wavelength.
pub struct Prepared {
    /// (days, slot, flux, error).
    pub points: Vec<(f64, usize, f32, f32)>,
    /// Day of the brightest, by flux over its error.
    pub peak: f64,
    /// Flux there.
    pub brightest: f32,
}

/// A(λ)/E(B−V) of the diffuse interstellar medium, R = 3.1 (Cardelli, Clayton & Mathis 1989, equations 2
/// and 3), from 3030 Å on.
pub fn extinction(wave: f64) -> f64 {
    let x = (1e4 / wave).min(3.3);
    if x < 1.1 {
        return 3.1 * (0.574 - 0.527 / 3.1) * x.powf(1.61);
    }
    let y = x - 1.82;
    let series = |c: &[f64]| c.iter().rev().fold(0.0, |s, c| s * y + c);
    let a = series(&[
        1.0, 0.17699, -0.50447, -0.02427, 0.72085, 0.01979, -0.77530, 0.32999,
    ]);
    let b = series(&[
        0.0, 1.41338, 2.28305, 1.07233, -5.38434, -0.62251, 5.30260, -2.09002,
    ]);
    3.1 * a + b
}

fn slot(wave: f64) -> Option<usize> {
    let off = |k: usize| (SLOTS[k] / wave).ln().abs();
    let best = (0..SLOTS.len()).min_by(|a, b| off(*a).total_cmp(&off(*b)))?;
    (off(best) < 0.2).then_some(best)
}

/// Sorts points into bands and finds the brightest time.
///
/// # Errors
/// Fewer than three points in known bands.
pub fn prepare(c: &LightCurve) -> Result<Prepared, String> {
    let ebv = if c.ebv.is_finite() {
        c.ebv.clamp(0.0, 3.0)
    } else {
        0.0
    };
    let scale = 10f64.powf(-0.4 * (c.zero_point - slipher_data::light_curve::ZERO_POINT));
    let mut points: Vec<(f64, usize, f32, f32)> = c
        .points
        .iter()
        .filter_map(|p| {
            let wave = wavelength(&p.band)?;
            let k = slot(wave)?;
            let f = (scale * 10f64.powf(0.4 * ebv * extinction(wave))) as f32;
            let sound = p.mjd.is_finite() && p.flux.is_finite() && p.error > 0.0;
            sound.then_some((p.mjd, k, p.flux * f, p.error * f))
        })
        .collect();
    points.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
    if points.len() < 3 {
        return Err(format!(
            "{} of {} points can be used: expected at least 3 with a time, a band of known \
             wavelength, a flux and a positive error",
            points.len(),
            c.points.len()
        ));
    }
    // The brightest is where the mean S/N of all within a few days is largest: one bad point is not.
    let strength = |t: f64| {
        let near = points.iter().filter(|p| (p.0 - t).abs() < 6.0);
        let (sum, n) = near.fold((0.0f32, 0), |(s, n), p| (s + p.2 / p.3, n + 1));
        sum / (n as f32).sqrt().max(1.0)
    };
    let peak = points
        .iter()
        .map(|p| (strength(p.0), p.0))
        .fold(
            (f32::MIN, points[0].0),
            |a, b| if b.0 > a.0 { b } else { a },
        )
        .1;
    let mut near: Vec<f32> = points
        .iter()
        .filter(|p| (p.0 - peak).abs() < 6.0)
        .map(|p| p.2.max(p.3))
        .collect();
    near.sort_by(f32::total_cmp);
    let brightest = near[(near.len() * 3 / 4).min(near.len() - 1)].max(1e-6);
    Ok(Prepared {
        points,
        peak,
        brightest,
    })
}

/// Means of each band and step: (flux, error); none where there is no point.
pub fn binned(p: &Prepared) -> Vec<Option<(f32, f32)>> {
    let mut sums = vec![(0.0f64, 0.0f64); SLOTS.len() * STEPS];
    for (t, k, f, e) in &p.points {
        let step = ((t - p.peak) / DAYS + BEFORE + 0.5).floor();
        if (0.0..STEPS as f64).contains(&step) {
            let s = &mut sums[k * STEPS + step as usize];
            let w = 1.0 / f64::from(*e).powi(2);
            (s.0, s.1) = (s.0 + w * f64::from(*f), s.1 + w);
        }
    }
    sums.iter()
        .map(|(a, w)| (*w > 0.0).then(|| ((a / w) as f32, (1.0 / w.sqrt()) as f32)))
        .collect()
}

/// What is known of the whole.
pub fn global(c: &LightCurve, p: &Prepared) -> [f32; GLOBAL] {
    let mut out = [0.0f32; GLOBAL];
    let known = c.redshift.0.is_finite();
    let z = c.redshift.0;
    // A photometric redshift of exactly 0 says that there is no galaxy.
    out[0] = f32::from(u8::from(known && z > 1e-3));
    out[1] = f32::from(u8::from(known && z <= 1e-3));
    out[2] = if known { z.clamp(0.0, 4.0) as f32 } else { 0.0 };
    let error = c.redshift.1;
    out[3] = if error.is_finite() {
        error.clamp(0.0, 2.0) as f32
    } else {
        0.2
    };
    out[4] = p.brightest.log10() - 2.0;
    // Absolute magnitude, in a universe that is near enough: the network learns the rest.
    if known && z > 1e-3 {
        let distance = slipher_sim::cosmology::modulus(z);
        let m = 27.5 - 2.5 * f64::from(p.brightest).log10() - distance;
        out[5] = ((m + 18.0) / 3.0).clamp(-4.0, 4.0) as f32;
    }
    let seen: Vec<&(f64, usize, f32, f32)> = p.points.iter().filter(|q| q.2 > SEEN * q.3).collect();
    let span = |v: &[&(f64, usize, f32, f32)]| match (v.first(), v.last()) {
        (Some(a), Some(b)) => (b.0 - a.0) as f32,
        _ => 0.0,
    };
    out[6] = (1.0 + span(&seen)).ln() / 3.0;
    out[7] = (1.0 + seen.len() as f32).ln() / 3.0;
    out[8] = seen.len() as f32 / p.points.len() as f32;
    let far: Vec<&(f64, usize, f32, f32)> = p
        .points
        .iter()
        .filter(|q| (q.0 - p.peak).abs() > 120.0)
        .collect();
    let pull = |v: &[&(f64, usize, f32, f32)]| {
        let sum: f32 = v.iter().map(|q| (q.2 / q.3).powi(2).min(1e4)).sum();
        (sum / v.len().max(1) as f32).sqrt()
    };
    // Active far from the brightest: not a supernova.
    out[9] = (pull(&far) + 0.1).ln() / 3.0;
    out[10] = p.points.iter().filter(|q| q.2 < -SEEN * q.3).count() as f32 / p.points.len() as f32;
    out[11] = (1.0 + p.points.len() as f32).ln() / 5.0;
    out[12] = (1.0 + (p.points[p.points.len() - 1].0 - p.points[0].0) as f32).ln() / 6.0;
    // Within a night: flares and short periods.
    let mut jumps: Vec<f32> = vec![];
    for k in 0..SLOTS.len() {
        let own: Vec<&(f64, usize, f32, f32)> = p.points.iter().filter(|q| q.1 == k).collect();
        for w in own.windows(2) {
            if w[1].0 - w[0].0 < 6.0 {
                jumps.push(((w[1].2 - w[0].2) / w[0].3.hypot(w[1].3)).abs());
            }
        }
        let n = own.len().max(1) as f32;
        let mean = own.iter().map(|q| q.2 / q.3.powi(2)).sum::<f32>()
            / own
                .iter()
                .map(|q| 1.0 / q.3.powi(2))
                .sum::<f32>()
                .max(1e-20);
        let scatter = own
            .iter()
            .map(|q| ((q.2 - mean) / q.3).powi(2))
            .sum::<f32>()
            / n;
        out[14 + k] = (scatter + 0.1).ln() / 6.0;
    }
    jumps.sort_by(f32::total_cmp);
    out[13] = jumps
        .get(jumps.len() / 2)
        .map_or(0.0, |v| (v + 0.1).ln() / 3.0);
    let mut values: Vec<f32> = seen.iter().map(|q| q.2).collect();
    values.sort_by(f32::total_cmp);
    let middle = values.get(values.len() / 2).copied().unwrap_or(p.brightest);
    out[20] = (middle / p.brightest).clamp(-2.0, 2.0);
    out[21] = jumps.last().map_or(0.0, |v| (v + 0.1).ln() / 4.0);
    out
}

/// `[channel][step]`.
///
/// # Errors
/// As [`prepare`].
pub fn encode(c: &LightCurve) -> Result<Vec<f32>, String> {
    let p = prepare(c)?;
    let mut out = vec![0.0; CHANNELS * STEPS];
    for (i, bin) in binned(&p).iter().enumerate() {
        let (k, t) = (i / STEPS, i % STEPS);
        if let Some((flux, error)) = bin {
            let at = |channel: usize| (3 * k + channel) * STEPS + t;
            let f = flux / p.brightest;
            // Noise far above the signal says nothing.
            let weight = 1.0 / (1.0 + (error / p.brightest).powi(2));
            out[at(0)] = (f * weight).clamp(-3.0, 3.0);
            out[at(1)] = (flux / error).asinh() / 3.0;
            out[at(2)] = 1.0;
        }
    }
    let whole = global(c, &p);
    for (g, v) in whole.iter().enumerate() {
        let at = (3 * SLOTS.len() + g) * STEPS;
        out[at..at + STEPS].fill(*v);
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use slipher_data::light_curve::Point;

    fn curve() -> LightCurve {
        let points = (0..80)
            .map(|i| {
                let t = f64::from(i / 4) * 5.0;
                let flux = 500.0 * (-0.5 * ((t - 40.0) / 12.0).powi(2)).exp();
                Point {
                    mjd: 59_000.0 + t + 0.01 * f64::from(i % 4),
                    band: ["g", "r", "i", "z"][i as usize % 4].into(),
                    flux: (flux + 3.0 * (f64::from(i) * 1.7).sin()) as f32,
                    error: 5.0,
                }
            })
            .collect();
        LightCurve {
            points,
            redshift: (0.3, 0.05),
            ..LightCurve::default()
        }
    }

    /// Order, unknown bands and gaps do not matter; the brightest lies where it is.
    #[test]
    fn order_does_not_matter() {
        let a = encode(&curve()).unwrap();
        assert_eq!(a.len(), CHANNELS * STEPS);
        assert!((prepare(&curve()).unwrap().peak - 59_040.0).abs() < 6.0);
        let mut c = curve();
        c.points.reverse();
        c.points.push(Point {
            mjd: 59_010.0,
            band: "clear".into(),
            flux: 1e9,
            error: 1.0,
        });
        c.points.push(Point {
            mjd: 59_011.0,
            band: "g".into(),
            flux: f32::NAN,
            error: 1.0,
        });
        assert_eq!(encode(&c).unwrap(), a);
        c.points.truncate(2);
        assert!(encode(&c).unwrap_err().contains("at least 3"));
    }

    /// Their table 3: A(λ)/A(V) at U, B, V, R, I.
    #[test]
    fn extinction_at_the_bands() {
        for (wave, want) in [
            (3650.0, 1.569),
            (4400.0, 1.337),
            (5495.0, 1.0),
            (7000.0, 0.751),
            (9000.0, 0.479),
        ] {
            let got = extinction(wave) / 3.1;
            assert!((got / want - 1.0).abs() < 0.01, "{wave}: {got} {want}");
        }
    }
}
