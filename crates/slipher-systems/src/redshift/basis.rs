//! Principal components of rest-frame SEDs: the basis of template χ² and of the goodness of fit.

use rayon::prelude::*;
use slipher_data::grid::LogGrid;
use slipher_sim::random::Stream;
use slipher_sim::sed::{Resolution, SpecType};
use slipher_sim::templates::Library;

use super::encode::FINE;
use super::lag::{LAGS, MIN_LAG, SUPPORT};

/// SEDs drawn from the library to make the basis.
const DRAWN: usize = 500;

struct FixedResolution;
impl Resolution for FixedResolution {
    fn sigma_kms(&self, _: f64) -> f64 {
        64.0
    }
}

/// Principal components (not centred, so that the first is the mean) of drawn SEDs, on rest
/// positions. Each component learns only from SEDs; a smooth calibration error is left to the first
/// few.
pub(super) fn components(
    library: &Library,
    class: SpecType,
    count: usize,
    seed: u64,
) -> Vec<Vec<f64>> {
    let grid = LogGrid {
        start: FINE.start - 2.0 * FINE.step * (LAGS as f64 - 1.0 + f64::from(MIN_LAG)),
        step: 2.0 * FINE.step,
        len: SUPPORT,
    };
    let spectra: Vec<Vec<f64>> = (0..DRAWN as u64)
        .into_par_iter()
        .map(|row| {
            let mut rng = Stream::new(seed, 0x7E + class as u64, row);
            let far = rng.chance(0.5);
            let z = if class == SpecType::Star {
                0.0
            } else {
                rng.uniform(0.0, if far { 4.0 } else { 1.0 })
            };
            let mut sed = library.draw(class, z, &mut rng);
            sed.sightline = None;
            let fine = sed.observe(
                0.0,
                grid.start - 0.25 * grid.step,
                2 * SUPPORT,
                &FixedResolution,
            );
            let mut s: Vec<f64> = fine
                .chunks_exact(2)
                .map(|p| 0.5 * f64::from(p[0] + p[1]))
                .collect();
            // Each spectrum has the same mean absolute value.
            let norm = s.iter().map(|x| x.abs().min(50.0)).sum::<f64>() / s.len() as f64;
            s.iter_mut().for_each(|x| *x /= norm.max(1e-9));
            s
        })
        .collect();
    // Gram matrix of the spectra, power iteration with deflation.
    let n = spectra.len();
    let mut gram = vec![vec![0.0f64; n]; n];
    for i in 0..n {
        for j in 0..=i {
            let dot: f64 = spectra[i]
                .iter()
                .zip(&spectra[j])
                .map(|(a, b)| a.clamp(-60.0, 60.0) * b.clamp(-60.0, 60.0))
                .sum();
            gram[i][j] = dot;
            gram[j][i] = dot;
        }
    }
    let mut out = Vec::new();
    for k in 0..count {
        let mut v: Vec<f64> = (0..n)
            .map(|i| 1.0 + 0.1 * ((i * (k + 3)) as f64).sin())
            .collect();
        let mut value = 0.0;
        for _ in 0..150 {
            let next: Vec<f64> = gram
                .iter()
                .map(|row| row.iter().zip(&v).map(|(a, b)| a * b).sum())
                .collect();
            value = next.iter().map(|x| x * x).sum::<f64>().sqrt();
            v = next.iter().map(|x| x / value.max(1e-30)).collect();
        }
        let mut vector = vec![0.0; SUPPORT];
        for (s, c) in spectra.iter().zip(&v) {
            vector.iter_mut().zip(s).for_each(|(o, x)| *o += c * x);
        }
        let rms = (vector.iter().map(|x| x * x).sum::<f64>() / SUPPORT as f64)
            .sqrt()
            .max(1e-30);
        vector.iter_mut().for_each(|x| *x /= rms);
        out.push(vector);
        for i in 0..n {
            for j in 0..n {
                gram[i][j] -= value * v[i] * v[j];
            }
        }
    }
    out
}
