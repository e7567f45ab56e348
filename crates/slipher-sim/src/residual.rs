//! What sky subtraction and the detector leave in a spectrum, and no error tells of: residuals that
//! follow the noise or the sky's lines over hundreds of pixels, broad bumps, fringes, scattered
//! light, the second order of a grating.
//!
//! Amplitudes are in units of the claimed error of a pixel, so that each is as visible as the noise
//! lets it be (Wild & Hewett 2005; Bolton et al. 2012; Guy et al. 2023, section 4.4).

use std::f64::consts::TAU;

use slipher_data::spectrum::Spectrum;

use crate::random::Stream;

/// Pixels with an error, and 1/√ivar of each; NaN elsewhere.
fn errors(s: &Spectrum) -> Vec<f32> {
    s.ivar
        .iter()
        .map(|v| if *v > 0.0 { 1.0 / v.sqrt() } else { f32::NAN })
        .collect()
}

fn median_error(sigma: &[f32]) -> f32 {
    let mut good: Vec<f32> = sigma.iter().copied().filter(|s| s.is_finite()).collect();
    slipher_data::spectrum::median(&mut good)
}

/// Residual ∝ how far the error stands above its median: arm ends and sky lines, all of one sign or
/// each line with its own.
fn follows_noise(s: &mut Spectrum, amplitude: f64, rng: &mut Stream) {
    let sigma = errors(s);
    let middle = median_error(&sigma).max(1e-30);
    let own_signs = rng.chance(0.4);
    let mut sign = 1.0f32;
    let mut inside = false;
    for (f, e) in s.flux.iter_mut().zip(&sigma) {
        let above = (e / middle - 1.0).clamp(0.0, 3.0);
        if !above.is_finite() {
            continue;
        }
        if above > 0.15 && !inside && own_signs {
            sign = if rng.chance(0.5) { 1.0 } else { -1.0 };
        }
        inside = above > 0.15;
        *f += sign * amplitude as f32 * e * (above / 1.0).min(1.0);
    }
}

/// Lines of the sky shifted by a part of a pixel: an up beside a down at each.
fn shifted_lines(s: &mut Spectrum, amplitude: f64, rng: &mut Stream) {
    let sigma = errors(s);
    let middle = median_error(&sigma).max(1e-30);
    let direction = if rng.chance(0.5) { 1.0f32 } else { -1.0 };
    let n = sigma.len();
    for i in 1..n.saturating_sub(1) {
        let slope = (sigma[i + 1] - sigma[i - 1]) / (2.0 * middle);
        if slope.is_finite() && slope.abs() > 0.05 {
            let size = (slope.abs() * 4.0).min(1.0) * slope.signum();
            s.flux[i] += direction * amplitude as f32 * sigma[i] * size;
        }
    }
}

/// One to three bumps, each 0.3 to 6 % of the wavelength wide.
fn bumps(s: &mut Spectrum, amplitude: f64, rng: &mut Stream) {
    let sigma = errors(s);
    let (lo, hi) = (s.wave[0], s.wave[s.wave.len() - 1]);
    for _ in 0..1 + rng.below(3) {
        let centre = rng.log_uniform(lo, hi);
        let width = centre * rng.log_uniform(0.003, 0.06);
        let height = amplitude * if rng.chance(0.75) { 1.0 } else { -1.0 };
        let inside = s.wave.partition_point(|w| *w < centre - 4.0 * width)
            ..s.wave.partition_point(|w| *w < centre + 4.0 * width);
        let middle = median_error(&sigma[inside.clone()]);
        for i in inside {
            if sigma[i].is_finite() {
                let x = (s.wave[i] - centre) / width;
                s.flux[i] += (height * (-0.5 * x * x).exp()) as f32 * middle;
            }
        }
    }
}

/// Fringes of a thin detector: a sine in 1/λ that grows to the red.
fn fringes(s: &mut Spectrum, amplitude: f64, rng: &mut Stream) {
    let sigma = errors(s);
    let (lo, hi) = (s.wave[0], s.wave[s.wave.len() - 1]);
    let (cycles, phase) = (rng.log_uniform(15.0, 250.0), rng.uniform(0.0, TAU));
    let from = rng.uniform(0.2, 0.8);
    let strength = |i: usize| {
        let x = (s.wave[i] - lo) / (hi - lo).max(1e-9);
        let u = (1.0 / lo - 1.0 / s.wave[i]) / (1.0 / lo - 1.0 / hi).max(1e-12);
        ((x - from) / (1.0 - from)).max(0.0) * (TAU * cycles * u + phase).sin()
    };
    let added: Vec<f32> = (0..s.wave.len())
        .map(|i| (amplitude * strength(i)) as f32 * sigma[i])
        .collect();
    s.flux
        .iter_mut()
        .zip(added)
        .filter(|p| p.1.is_finite())
        .for_each(|(f, a)| *f += a);
}

/// Scattered light or a second order: a slow curve, or one that sets in at some wavelength.
fn slow(s: &mut Spectrum, amplitude: f64, rng: &mut Stream) {
    let middle = median_error(&errors(s));
    if !middle.is_finite() {
        return;
    }
    let (lo, hi) = (s.wave[0].ln(), s.wave[s.wave.len() - 1].ln());
    let onset = rng.uniform(-0.5, 0.9);
    let width = rng.log_uniform(0.01, 0.5);
    let sign = if rng.chance(0.6) { 1.0 } else { -1.0 };
    let reversed = rng.chance(0.4);
    for (w, f) in s.wave.iter().zip(&mut s.flux) {
        let x = (w.ln() - lo) / (hi - lo).max(1e-9);
        let x = if reversed { 1.0 - x } else { x };
        let shape = 1.0 / (1.0 + (-(x - onset) / width).exp());
        *f += (sign * amplitude * shape) as f32 * middle;
    }
}

/// Leaves one to three residuals of up to `most` σ.
pub fn leave(s: &mut Spectrum, most: f64, rng: &mut Stream) {
    if s.wave.len() < 10 {
        return;
    }
    for _ in 0..1 + rng.below(3) {
        let amplitude = rng.log_uniform(0.3, most.max(0.31));
        match rng.weighted(&[3.0, 1.5, 2.0, 1.0, 1.5]) {
            0 => follows_noise(s, amplitude, rng),
            1 => shifted_lines(s, amplitude, rng),
            2 => bumps(s, amplitude, rng),
            3 => fringes(s, amplitude, rng),
            _ => slow(s, amplitude, rng),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::instrument::Instrument;
    use crate::observe::blank_sky;

    /// Residuals are as large as asked, finite, and lie where the noise is high.
    #[test]
    fn residuals_are_bounded_and_follow_the_noise() {
        let desi = Instrument::load("desi").unwrap();
        for row in 0..60 {
            let mut rng = Stream::new(4, 4, row);
            let before = blank_sky(&desi, &mut rng);
            let mut after = before.clone();
            leave(&mut after, 3.0, &mut rng);
            let largest = (0..before.wave.len())
                .filter(|i| before.ivar[*i] > 0.0)
                .map(|i| (after.flux[i] - before.flux[i]).abs() * before.ivar[i].sqrt())
                .fold(0.0f32, f32::max);
            assert!(largest > 0.05 && largest < 30.0, "{row}: {largest}");
            assert!(after.flux.iter().all(|f| f.is_finite()));
        }
        let mut s = blank_sky(&desi, &mut Stream::new(1, 1, 1));
        let before = s.flux.clone();
        follows_noise(&mut s, 2.0, &mut Stream::new(1, 1, 2));
        let sigma = errors(&s);
        let middle = median_error(&sigma);
        let changed = |i: &usize| (s.flux[*i] - before[*i]).abs() > 0.5 * sigma[*i];
        let high: Vec<usize> = (0..sigma.len()).filter(changed).collect();
        assert!(high.len() > 20 && high.iter().all(|i| sigma[*i] > 1.1 * middle));
    }
}
