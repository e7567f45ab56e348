//! Spectra that differ from what a survey's reduction should give: seen in training now and then,
//! so that a network is not helpless before them, and in tests of what it claims.

use slipher_data::spectrum::{Spectrum, median};

use crate::random::Stream;
use crate::sed::{C_KMS, Sed, SpecType};

/// f_λ ∝ λ^slope, nothing else.
pub fn power_law(slope: f64) -> Sed {
    Sed {
        power: Some((1.0, slope, 1e6, slope)),
        ..Sed::empty(SpecType::Qso, "blazar")
    }
}

/// Median |flux| of the good pixels.
pub fn level(s: &Spectrum) -> f32 {
    let mut f: Vec<f32> = s
        .flux
        .iter()
        .zip(&s.ivar)
        .filter(|p| *p.1 > 0.0)
        .map(|p| p.0.abs())
        .collect();
    median(&mut f).max(1e-20)
}

/// P Cygni troughs and bumps of a type Ia near maximum, about as bright as the host (wavelengths
/// after Filippenko 1997).
pub fn supernova(s: &mut Spectrum, z: f64, rng: &mut Stream) {
    let bright = rng.uniform(0.6, 1.5) as f32 * level(s);
    let speed = rng.uniform(0.9, 1.1);
    let features = [
        (3750.0, -0.6),
        (3980.0, 0.4),
        (4300.0, -0.4),
        (4600.0, 0.3),
        (4860.0, -0.35),
        (5150.0, 0.25),
        (5350.0, -0.3),
        (5650.0, -0.3),
        (6120.0, -0.55),
        (6350.0, 0.3),
        (8150.0, -0.5),
        (8600.0, 0.35),
    ];
    for (w, f) in s.wave.iter().zip(&mut s.flux) {
        let rest = w / (1.0 + z);
        let shape: f64 = features
            .iter()
            .map(|(at, depth)| {
                depth * (-0.5 * ((rest - at * speed) / (at * 6000.0 / C_KMS)).powi(2)).exp()
            })
            .sum();
        *f += bright * ((rest / 4500.0).powf(-1.0) * (1.0 + shape)).max(0.0) as f32;
    }
}

/// Broken flux calibration: waves of 30 % and two steps of up to a factor 2.
pub fn miscalibrate(s: &mut Spectrum, rng: &mut Stream) {
    let (lo, hi) = (s.wave[0].ln(), s.wave[s.wave.len() - 1].ln());
    let waves: Vec<(f64, f64)> = (0..3)
        .map(|_| {
            (
                rng.uniform(2.0, 9.0),
                rng.uniform(0.0, std::f64::consts::TAU),
            )
        })
        .collect();
    let steps: Vec<(f64, f64)> = (0..2)
        .map(|_| (rng.uniform(0.2, 0.8), rng.log_uniform(0.5, 2.0)))
        .collect();
    for i in 0..s.wave.len() {
        let x = (s.wave[i].ln() - lo) / (hi - lo);
        let smooth: f64 = 1.0
            + waves
                .iter()
                .map(|(k, phase)| 0.17 * (std::f64::consts::TAU * k * x + phase).sin())
                .sum::<f64>();
        let step: f64 = steps.iter().filter(|p| x > p.0).map(|p| p.1).product();
        let gain = (smooth * step).max(0.1) as f32;
        multiply(s, i, gain);
    }
}

/// Counts: the throughput of telescope and spectrograph, a bell of up to a factor of ten between
/// middle and ends, was never divided out.
pub fn uncalibrate(s: &mut Spectrum, rng: &mut Stream) {
    let (lo, hi) = (s.wave[0].ln(), s.wave[s.wave.len() - 1].ln());
    let (peak, width) = (rng.uniform(0.25, 0.75), rng.uniform(0.27, 0.8));
    for i in 0..s.wave.len() {
        let x = ((s.wave[i].ln() - lo) / (hi - lo) - peak) / width;
        multiply(s, i, (-0.5 * x * x).exp() as f32);
    }
}

/// Divided by its continuum, as high-resolution spectra often are published: a running mean over 3
/// to 10 % of the wavelength. Nothing is done where the continuum drowns in noise.
pub fn normalise(s: &mut Spectrum, rng: &mut Stream) {
    let half = 0.5 * rng.log_uniform(0.03, 0.1);
    let floor = 0.2 * level(s);
    let mut sums = vec![(0.0f64, 0.0f64)];
    for (f, v) in s.flux.iter().zip(&s.ivar) {
        let last = sums[sums.len() - 1];
        sums.push(if *v > 0.0 {
            (last.0 + f64::from(*f), last.1 + 1.0)
        } else {
            last
        });
    }
    let (mut a, mut b) = (0, 0);
    let mut gain = Vec::with_capacity(s.wave.len());
    for w in &s.wave {
        while s.wave[a] < w * (1.0 - half) {
            a += 1;
        }
        while b < s.wave.len() && s.wave[b] < w * (1.0 + half) {
            b += 1;
        }
        let n = sums[b].1 - sums[a].1;
        gain.push(if n > 0.0 {
            1.0 / ((sums[b].0 - sums[a].0) / n).max(f64::from(floor))
        } else {
            1.0 / f64::from(floor)
        });
    }
    (0..gain.len()).for_each(|i| multiply(s, i, gain[i] as f32));
}

/// Flux × gain, and its error.
fn multiply(s: &mut Spectrum, i: usize, gain: f32) {
    s.flux[i] *= gain;
    s.ivar[i] /= gain * gain;
}

/// Makes a spectrum of an object at `z` peculiar in one of the ways that leave its redshift in it.
pub fn any(s: &mut Spectrum, z: f64, rng: &mut Stream) {
    match rng.weighted(&[4.0, 1.5, 2.5, 2.0]) {
        0 => {
            crate::supernova::explode(s, z, rng);
        }
        1 => miscalibrate(s, rng),
        2 => uncalibrate(s, rng),
        _ => normalise(s, rng),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn slope() -> Spectrum {
        let wave: Vec<f64> = (0..4000).map(|i| 3800.0 + f64::from(i)).collect();
        let flux: Vec<f32> = wave
            .iter()
            .map(|w| (w / 5000.0).powi(3) as f32 * if (w - 6000.0).abs() < 5.0 { 3.0 } else { 1.0 })
            .collect();
        Spectrum::new(
            wave,
            flux.clone(),
            flux.iter().map(|f| 100.0 / (f * f)).collect(),
            &[],
        )
        .unwrap()
    }

    /// S/N stays what it was wherever flux is multiplied; normalising leaves the continuum at 1 and
    /// the line above it.
    #[test]
    fn gains_keep_the_signal_to_noise() {
        for row in 0..20 {
            let mut rng = Stream::new(5, 1, row);
            for change in [miscalibrate, uncalibrate, normalise] {
                let mut s = slope();
                change(&mut s, &mut rng);
                assert!(
                    s.flux
                        .iter()
                        .zip(&s.ivar)
                        .zip(slope().flux.iter().zip(&slope().ivar))
                        .all(|((f, v), (f0, v0))| {
                            f.is_finite() && (f * v.sqrt() / (f0 * v0.sqrt()) - 1.0).abs() < 1e-3
                        })
                );
            }
            let mut s = slope();
            normalise(&mut s, &mut rng);
            assert!(
                (s.flux[500] - 1.0).abs() < 0.05
                    && (s.flux[3500] - 1.0).abs() < 0.05
                    && s.flux[2200] > 2.0,
                "{}",
                s.flux[2200]
            );
        }
    }
}
