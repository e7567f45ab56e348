//! A Gaussian process over time and wavelength through the points of a light curve (Boone 2019):
//! Matérn 3/2 in time, squared exponential in ln λ; the time scale by its likelihood.

use slipher_data::light_curve::{LightCurve, wavelength};
use slipher_stats::cholesky::inverse_factor;

/// Points that it goes through, at most.
const MOST: usize = 140;
/// Time scales that are tried, days.
const SCALES: [f64; 4] = [9.0, 16.0, 28.0, 50.0];
/// Scale in ln λ.
const COLOUR: f64 = 0.45;

/// A process conditioned on a light curve.
pub struct Process {
    points: Vec<[f64; 2]>,
    amplitude: f64,
    scale: f64,
    /// K⁻¹ y.
    alpha: Vec<f64>,
    inverse: Vec<f64>,
}

fn kernel(a: [f64; 2], b: [f64; 2], amplitude: f64, scale: f64) -> f64 {
    let t = 3f64.sqrt() * (a[0] - b[0]).abs() / scale;
    let c = (a[1] - b[1]) / COLOUR;
    amplitude * amplitude * (1.0 + t) * (-t - 0.5 * c * c).exp()
}

impl Process {
    /// Through the points around a day; none where there are too few.
    pub fn of(c: &LightCurve, day: f64) -> Option<Process> {
        let mut own: Vec<(f64, f64, f64, f64)> = c
            .points
            .iter()
            .filter(|p| (-80.0..160.0).contains(&(p.mjd - day)))
            .filter_map(|p| {
                let wave = wavelength(&p.band)?;
                Some((p.mjd, wave.ln(), f64::from(p.flux), f64::from(p.error)))
            })
            .collect();
        if own.len() < 8 {
            return None;
        }
        // Where there are many, those that are best seen.
        if own.len() > MOST {
            own.sort_by(|a, b| (b.2 / b.3).total_cmp(&(a.2 / a.3)));
            own.truncate(MOST);
        }
        let amplitude = own
            .iter()
            .map(|p| p.2.abs() - p.3)
            .fold(0.0, f64::max)
            .max(1e-6);
        let points: Vec<[f64; 2]> = own.iter().map(|p| [p.0, p.1]).collect();
        let n = points.len();
        let fits = SCALES.iter().filter_map(|scale| {
            let mut k = vec![0.0; n * n];
            for i in 0..n {
                for j in 0..=i {
                    k[i * n + j] = kernel(points[i], points[j], amplitude, *scale);
                }
                k[i * n + i] += own[i].3.powi(2) + 1e-6 * amplitude * amplitude;
            }
            let inverse = inverse_factor(&k, n)?;
            let half: Vec<f64> = (0..n)
                .map(|i| (0..=i).map(|j| inverse[i * n + j] * own[j].2).sum())
                .collect();
            let determinant: f64 = (0..n).map(|i| -inverse[i * n + i].ln()).sum();
            let likelihood = -0.5 * half.iter().map(|v| v * v).sum::<f64>() - determinant;
            let alpha: Vec<f64> = (0..n)
                .map(|i| (i..n).map(|j| inverse[j * n + i] * half[j]).sum())
                .collect();
            Some((likelihood, *scale, alpha, inverse))
        });
        let (_, scale, alpha, inverse) = fits.max_by(|a, b| a.0.total_cmp(&b.0))?;
        Some(Process {
            points,
            amplitude,
            scale,
            alpha,
            inverse,
        })
    }

    /// Mean and variance at a day and a wavelength.
    pub fn at(&self, day: f64, wave: f64) -> (f64, f64) {
        let n = self.points.len();
        let here = [day, wave.ln()];
        let k: Vec<f64> = self
            .points
            .iter()
            .map(|p| kernel(*p, here, self.amplitude, self.scale))
            .collect();
        let mean = k.iter().zip(&self.alpha).map(|(a, b)| a * b).sum();
        let known: f64 = (0..n)
            .map(|i| {
                let row = &self.inverse[i * n..=i * n + i];
                row.iter().zip(&k).map(|(a, b)| a * b).sum::<f64>().powi(2)
            })
            .sum();
        (mean, (self.amplitude * self.amplitude - known).max(0.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use slipher_data::light_curve::Point;

    /// Between points the process is what they were drawn from, and it knows how well.
    #[test]
    fn between_the_points() {
        let truth = |t: f64, wave: f64| 100.0 * (-0.5 * (t / 15.0).powi(2)).exp() * (wave / 6000.0);
        let points = (0..60)
            .map(|i| {
                let (t, band) = (f64::from(i) - 30.0, ["g", "r", "i"][i as usize % 3]);
                Point {
                    mjd: t,
                    band: band.into(),
                    flux: truth(t, wavelength(band).unwrap()) as f32,
                    error: 2.0,
                }
            })
            .collect();
        let c = LightCurve {
            points,
            ..LightCurve::default()
        };
        let p = Process::of(&c, 0.0).unwrap();
        for (t, wave) in [(0.4, 5500.0), (12.3, 6800.0), (-9.7, 7600.0)] {
            let (mean, variance) = p.at(t, wave);
            assert!((mean - truth(t, wave)).abs() < 5.0, "{t} {wave} {mean}");
            assert!(variance.sqrt() < 6.0);
        }
        assert!(p.at(100.0, 6000.0).1.sqrt() > 50.0);
    }
}
