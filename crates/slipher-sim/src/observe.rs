//! An SED through a spectrograph: pixels, calibration errors, sky, noise, defects.

use std::f64::consts::TAU;

use slipher_data::grid::{LogGrid, rebin};
use slipher_data::spectrum::{Spectrum, mask};

use crate::instrument::{Instrument, interpolate};
use crate::random::Stream;
use crate::sed::{STEP, Sed, SpecType, smooth};

/// Bright OH and atomic lines of the night sky, Å (after Hanuschik 2003, rounded).
const SKY: [f64; 92] = [
    5578.9, 5891.6, 5897.6, 6301.7, 6365.5, 6835.2, 6865.0, 6925.1, 6950.9, 7246.6, 7278.4, 7286.4,
    7305.7, 7318.3, 7331.2, 7342.9, 7360.7, 7371.3, 7394.2, 7403.9, 7526.0, 7573.9, 7717.0, 7726.6,
    7752.7, 7761.9, 7782.5, 7796.2, 7810.6, 7823.5, 7843.4, 7855.4, 7870.7, 7892.2, 7915.9, 7923.2,
    7951.4, 7966.9, 7995.7, 8016.5, 8028.0, 8054.2, 8064.8, 8291.0, 8300.7, 8313.0, 8346.9, 8355.0,
    8384.7, 8401.5, 8417.5, 8432.5, 8454.6, 8467.7, 8495.7, 8507.2, 8540.7, 8551.2, 8763.0, 8770.3,
    8780.7, 8793.6, 8829.5, 8838.7, 8852.2, 8870.0, 8888.3, 8905.6, 8922.1, 8945.8, 8960.5, 8990.8,
    9003.9, 9040.9, 9051.9, 9106.8, 9226.0, 9315.7, 9326.0, 9340.4, 9378.4, 9422.3, 9442.3, 9461.1,
    9479.3, 9505.4, 9522.0, 9555.1, 9570.0, 9722.0, 9794.0, 9875.0,
];

/// What was put in.
#[derive(Clone, Debug)]
pub struct Observed {
    /// In vacuum, with noise.
    pub spectrum: Spectrum,
    /// Median S/N per pixel.
    pub snr: f64,
}

/// Observes `sed` at redshift `z` with a median S/N per pixel `snr`. The flux unit is arbitrary
/// (1e-17 erg/s/cm²/Å nominal); errors given are those of a real reduction: nearly right.
pub fn observe(sed: &Sed, z: f64, snr: f64, instrument: &Instrument, rng: &mut Stream) -> Observed {
    let (wave, mut flux) = noiseless(sed, z, instrument);
    let mut sigma: Vec<f32> = wave
        .iter()
        .map(|w| interpolate(&instrument.noise, *w) as f32)
        .collect();
    let scale = median_abs(&flux).max(1e-20);
    flux.iter_mut().for_each(|f| *f /= scale);
    let mut extra = vec![1.0f32; wave.len()];
    sky(instrument, &wave, &mut sigma, &mut extra, rng);
    let level = 1.0 / (snr as f32 * median_abs(&sigma).max(1e-20));
    // Photon noise of the object itself matters for bright ones.
    let bright = (snr as f32 / 30.0).min(1.0);
    for (s, f) in sigma.iter_mut().zip(&flux) {
        *s *= level * (1.0 + bright * f.clamp(0.0, 20.0)).sqrt() / (1.0 + bright).sqrt();
    }
    calibrate(instrument, &wave, &mut flux, rng);
    add_noise(instrument, &sigma, &extra, &mut flux, rng);
    let claimed = 10f64.powf(rng.normal(0.0, 0.05)) as f32;
    let unit = rng.log_uniform(0.3, 300.0) as f32;
    let ivar: Vec<f32> = sigma
        .iter()
        .map(|s| 1.0 / (s * claimed * unit).powi(2))
        .collect();
    flux.iter_mut().for_each(|f| *f *= unit);
    let mut spectrum = Spectrum {
        mask: vec![0; wave.len()],
        wave,
        flux,
        ivar,
        flux_unit: "1e-17 erg/s/cm2/Angstrom".into(),
        ra: f64::NAN,
        dec: f64::NAN,
        ..Spectrum::default()
    };
    defects(instrument, &mut spectrum, rng);
    Observed { spectrum, snr }
}

/// Pixel centres (vacuum Å) and flux density without noise or error, in the units of the SED.
pub fn noiseless(sed: &Sed, z: f64, instrument: &Instrument) -> (Vec<f64>, Vec<f32>) {
    let (mut wave, mut flux) = (Vec::new(), Vec::new());
    for pixel_edges in instrument.windows_edges() {
        flux.extend(pixel_flux(sed, z, instrument, &pixel_edges));
        wave.extend(
            pixel_edges
                .windows(2)
                .map(|e| instrument.sampling.centre(e)),
        );
    }
    (wave, flux)
}

/// Blank sky: noise and residuals of the sky subtraction, no object.
pub fn blank_sky(instrument: &Instrument, rng: &mut Stream) -> Spectrum {
    let nothing = Sed::empty(SpecType::Galaxy, "sky");
    let mut out = observe(&nothing, 0.0, 1.0, instrument, rng).spectrum;
    // The sky is never subtracted quite.
    let offset = rng.normal(0.0, 0.2) as f32 * median_abs(&out.flux);
    out.flux.iter_mut().for_each(|f| *f += offset);
    out
}

/// Median of |v|.
pub fn median_abs(v: &[f32]) -> f32 {
    let mut a: Vec<f32> = v.iter().map(|x| x.abs()).collect();
    slipher_data::spectrum::median(&mut a)
}

/// Mean flux density in each pixel (convolved with the line-spread function).
fn pixel_flux(sed: &Sed, z: f64, instrument: &Instrument, pixel_edges: &[f64]) -> Vec<f32> {
    let (lo, hi) = (pixel_edges[0], pixel_edges[pixel_edges.len() - 1]);
    // A margin so that smoothing sees beyond the ends.
    let margin = 2.0 * crate::sed::Resolution::sigma_kms(instrument, lo) / crate::sed::C_KMS;
    let margin = margin.max(1e-3) * 2.0;
    let first = ((lo * (1.0 - margin)).log10() / STEP).floor();
    let len = (((hi * (1.0 + margin)).log10() / STEP).ceil() - first) as usize;
    let start = first * STEP;
    let fine = sed.observe(z, start, len, instrument);
    let grid = LogGrid {
        start,
        step: STEP,
        len,
    };
    let (mut flux, mut ivar) = (Vec::new(), Vec::new());
    let ones = vec![1.0f32; len];
    rebin(
        &grid.edges(0, len),
        &fine,
        &ones,
        pixel_edges,
        &mut flux,
        &mut ivar,
    );
    flux
}

/// Raises noise at sky lines and camera joins; `extra` is what the claimed errors miss.
fn sky(
    instrument: &Instrument,
    wave: &[f64],
    sigma: &mut [f32],
    extra: &mut [f32],
    rng: &mut Stream,
) {
    if instrument.sky_lines > 0.0 {
        let strength = instrument.sky_lines * rng.log_uniform(0.4, 2.5);
        for line in SKY {
            let width = (crate::sed::Resolution::sigma_kms(instrument, line) / crate::sed::C_KMS
                * line)
                .max(1.0)
                * 1.3;
            let height = strength * rng.exponential(1.6) * if line < 5600.0 { 3.0 } else { 1.0 };
            let miss = rng.exponential(0.35);
            let from = wave.partition_point(|w| *w < line - 3.0 * width);
            for i in from..wave.len() {
                let x = (wave[i] - line) / width;
                if x > 3.0 {
                    break;
                }
                let shape = (-0.5 * x * x).exp();
                sigma[i] *= (1.0 + height * shape) as f32;
                extra[i] *= (1.0 + miss * shape) as f32;
            }
        }
        // Unresolved forest of the far red.
        if rng.chance(0.5) {
            for (w, s) in wave.iter().zip(sigma.iter_mut()) {
                if *w > 9200.0 && *w < 11_000.0 {
                    *s *= (1.0 + 0.3 * strength * rng.uniform(0.0, 1.0)) as f32;
                }
            }
        }
    }
    for join in &instrument.joins {
        let width = 0.006 * join;
        let inside = wave.partition_point(|w| *w < join - 6.0 * width)
            ..wave.partition_point(|w| *w < join + 6.0 * width);
        for (w, s) in wave[inside.clone()].iter().zip(&mut sigma[inside]) {
            *s *= 1.0 + 0.8 * (-0.5 * ((w - join) / width).powi(2)).exp() as f32;
        }
    }
}

/// Smooth flux-calibration error, a step at each camera join, atmospheric absorption left over.
fn calibrate(instrument: &Instrument, wave: &[f64], flux: &mut [f32], rng: &mut Stream) {
    let (lo, hi) = (wave[0].ln(), wave[wave.len() - 1].ln());
    let rms = instrument.calibration * rng.exponential(1.0);
    let tilt = rng.normal(0.0, 2.0 * rms);
    let waves: Vec<(f64, f64, f64)> = (1..4)
        .map(|k| {
            (
                rng.normal(0.0, rms / f64::from(k)),
                rng.uniform(0.5, 1.5) * f64::from(k),
                rng.uniform(0.0, TAU),
            )
        })
        .collect();
    let steps: Vec<f64> = instrument
        .joins
        .iter()
        .map(|_| rng.normal(0.0, 0.5 * rms))
        .collect();
    let absorbed = instrument.telluric * rng.exponential(1.0);
    let bands = [
        (6890.0, 25.0, 0.4),
        (7625.0, 35.0, 1.0),
        (7200.0, 50.0, 0.3),
        (8230.0, 70.0, 0.3),
        (9400.0, 150.0, 0.9),
        (11_300.0, 250.0, 1.0),
        (13_700.0, 450.0, 1.6),
        (14_600.0, 250.0, 0.7),
        (18_600.0, 700.0, 1.6),
        (20_100.0, 120.0, 0.7),
    ];
    // Smooth, so every 16th pixel is enough.
    const EVERY: usize = 16;
    let gain = |w: f64| {
        let x = (w.ln() - lo) / (hi - lo).max(1e-9);
        1.0 + tilt * (x - 0.5)
            + waves
                .iter()
                .map(|(a, k, phase)| a * (TAU * k * x + phase).sin())
                .sum::<f64>()
    };
    let mut left = gain(wave[0]);
    for (w, f) in wave.chunks(EVERY).zip(flux.chunks_mut(EVERY)) {
        let right = gain(w[w.len() - 1]);
        let width = (w[w.len() - 1] - w[0]).max(1e-9);
        for (w1, f) in w.iter().zip(f) {
            let mut g = left + (right - left) * (w1 - w[0]) / width;
            for (join, step) in instrument.joins.iter().zip(&steps) {
                if w1 > join {
                    g += step;
                }
            }
            *f *= g.max(0.05) as f32;
        }
        left = right;
    }
    if absorbed > 0.0 {
        for (c, s, d) in bands {
            let inside = wave.partition_point(|w| *w < c - 4.0 * s)
                ..wave.partition_point(|w| *w < c + 4.0 * s);
            for (w, f) in wave[inside.clone()].iter().zip(&mut flux[inside]) {
                let y: f64 = (w - c) / s;
                *f *= (1.0 - (absorbed * d).min(0.9) * (-0.5 * y * y).exp()).max(0.05) as f32;
            }
        }
    }
}

fn add_noise(
    instrument: &Instrument,
    sigma: &[f32],
    extra: &[f32],
    flux: &mut [f32],
    rng: &mut Stream,
) {
    let mut noise: Vec<f32> = (0..flux.len()).map(|_| rng.normal_f32()).collect();
    if instrument.noise_smoothing > 0.2 {
        smooth(&mut noise, |_| instrument.noise_smoothing);
        let rms = (noise.iter().map(|x| x * x).sum::<f32>() / noise.len().max(1) as f32)
            .sqrt()
            .max(1e-6);
        noise.iter_mut().for_each(|x| *x /= rms);
    }
    for (((f, n), s), e) in flux.iter_mut().zip(&noise).zip(sigma).zip(extra) {
        *f += n * s * e;
    }
}

/// Cosmic rays, dead columns, trimmed ends, a lost stretch.
fn defects(instrument: &Instrument, s: &mut Spectrum, rng: &mut Stream) {
    let n = s.wave.len();
    let hits = (rng.exponential(instrument.cosmics) * n as f64 / 1000.0) as usize;
    for _ in 0..hits.min(n / 20) {
        let i = rng.below(n);
        let height = rng.log_uniform(5.0, 60.0) as f32 / s.ivar[i].max(1e-30).sqrt();
        let sign = if rng.chance(0.8) { 1.0 } else { -1.0 };
        s.flux[i] += sign * height;
        if i + 1 < n && rng.chance(0.6) {
            s.flux[i + 1] += 0.5 * sign * height;
        }
        if rng.chance(0.4) {
            reject(s, i..(i + 2).min(n));
        }
    }
    for _ in 0..rng.below(6) {
        let i = rng.below(n);
        reject(s, i..(i + 1 + rng.below(6)).min(n));
    }
    if rng.chance(0.2) {
        let i = rng.below(n);
        reject(s, i..(i + rng.below(n / 12 + 1)).min(n));
    }
    if rng.chance(0.4) {
        let (a, b) = (rng.below(n / 14 + 1), rng.below(n / 10 + 1));
        reject(s, 0..a);
        reject(s, n - b..n);
    }
}

fn reject(s: &mut Spectrum, range: std::ops::Range<usize>) {
    for i in range {
        s.ivar[i] = 0.0;
        s.mask[i] |= mask::SURVEY;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flat() -> Sed {
        Sed {
            power: Some((1.0, 0.0, 1e6, 0.0)),
            ..Sed::empty(SpecType::Star, "flat")
        }
    }

    /// Claimed errors describe the scatter: χ² per pixel of a flat source near 1 (median, robust to
    /// defects).
    #[test]
    fn errors_describe_the_noise() {
        let mut i = Instrument::load("euclid-red").unwrap();
        i.calibration = 0.0;
        let mut ratios = Vec::new();
        for row in 0..30 {
            let s = observe(&flat(), 0.0, 5.0, &i, &mut Stream::new(9, 1, row)).spectrum;
            let mut good: Vec<f32> = s
                .flux
                .iter()
                .zip(&s.ivar)
                .filter(|(_, v)| **v > 0.0)
                .map(|(f, _)| *f)
                .collect();
            let m = slipher_data::spectrum::median(&mut good);
            let mut chi: Vec<f32> = s
                .flux
                .iter()
                .zip(&s.ivar)
                .filter(|(_, v)| **v > 0.0)
                .map(|(f, v)| (f - m).abs() * v.sqrt())
                .collect();
            ratios.push(slipher_data::spectrum::median(&mut chi) / 0.6745);
        }
        let r = slipher_data::spectrum::median(&mut ratios);
        assert!((r - 1.0).abs() < 0.1, "{r}");
    }

    #[test]
    fn the_same_stream_gives_the_same_spectrum() {
        let i = Instrument::load("desi").unwrap();
        let make = |row| observe(&flat(), 0.1, 3.0, &i, &mut Stream::new(9, 1, row)).spectrum;
        // Positions are NaN, which is never equal: compare what is measured.
        assert_eq!((make(3).flux, make(3).ivar), (make(3).flux, make(3).ivar));
        assert_ne!(make(3).flux, make(4).flux);
    }
}
