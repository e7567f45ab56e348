//! The classical method: χ² of templates against redshift, in the manner of Redrock (linear
//! combinations of basis spectra, Bailey et al. in prep.; Bolton et al. 2012) with the scan over
//! lags done by FFT as in AUTOZ (Baldry et al. 2014).
//!
//! For every lag ℓ: χ²(ℓ) = Σ w d² − bᵀ A⁻¹ b, A_jk(ℓ) = Σ_i w_i T_j(i−ℓ) T_k(i−ℓ), b_j(ℓ) = Σ_i
//! w_i d_i T_j(i−ℓ). The exact least squares of Redrock at every lag; A and b are correlations, so
//! FFTs give all lags at once.

use std::sync::Arc;

use rayon::prelude::*;
use realfft::num_complex::Complex64;
use realfft::{ComplexToReal, RealFftPlanner, RealToComplex};
use slipher_data::grid::Resampled;
use slipher_sim::sed::SpecType;
use slipher_sim::templates::Library;

use super::basis::components;
use super::lag::{LAGS, MIN_LAG, NFFT, SUPPORT, allowed, redshift_of};

/// Basis spectra per class: Redrock uses 10 for galaxies, 4 (two ranges) for quasars, 5–6 for each
/// stellar type.
const BASIS: [usize; 3] = [10, 6, 6];

/// Basis spectra of each class with what the scan precomputes from them.
pub struct TemplateFit {
    bases: Vec<ClassBasis>,
    inverse: Arc<dyn ComplexToReal<f64>>,
    forward: Arc<dyn RealToComplex<f64>>,
}

struct ClassBasis {
    class: SpecType,
    /// `[vector][rest position]`.
    vectors: Vec<Vec<f64>>,
    /// Spectra of T_j.
    single: Vec<Vec<Complex64>>,
    /// Spectra of T_j T_k, j ≤ k.
    pairs: Vec<Vec<Complex64>>,
}

/// Best fit of one spectrum.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TemplateAnswer {
    /// Class of the best template.
    pub class: SpecType,
    /// Its redshift.
    pub z: f64,
    /// χ² of the next best minimum of any class, > 1000 km/s away, minus that of the best.
    pub delta_chi2: f64,
}

impl TemplateFit {
    /// Principal components of SEDs drawn from a library.
    pub fn new(library: &Library, seed: u64) -> Self {
        let mut planner = RealFftPlanner::<f64>::new();
        let (forward, inverse) = (
            planner.plan_fft_forward(NFFT),
            planner.plan_fft_inverse(NFFT),
        );
        let bases = SpecType::ALL
            .par_iter()
            .map(|class| {
                let vectors = components(library, *class, BASIS[*class as usize], seed);
                let fft = |values: Vec<f64>| {
                    let mut real = vec![0.0; NFFT];
                    for (i, v) in values.into_iter().enumerate() {
                        let j = i as i64 - (LAGS as i64 - 1 + i64::from(MIN_LAG));
                        real[j.rem_euclid(NFFT as i64) as usize] = v;
                    }
                    let mut out = forward.make_output_vec();
                    forward
                        .process(&mut real, &mut out)
                        .expect("buffers have the planned lengths");
                    out
                };
                let single = vectors.iter().map(|v| fft(v.clone())).collect();
                let mut pairs = Vec::new();
                for j in 0..vectors.len() {
                    for k in j..vectors.len() {
                        pairs.push(fft(vectors[j]
                            .iter()
                            .zip(&vectors[k])
                            .map(|(a, b)| a * b)
                            .collect()));
                    }
                }
                ClassBasis {
                    class: *class,
                    vectors,
                    single,
                    pairs,
                }
            })
            .collect();
        TemplateFit {
            bases,
            inverse,
            forward,
        }
    }

    /// Scans all classes and lags.
    pub fn fit(&self, r: &Resampled) -> Option<TemplateAnswer> {
        let (offset, d, w) = halve(r)?;
        let spectrum = |values: Vec<f64>| {
            let mut real = vec![0.0; NFFT];
            real[offset..offset + values.len()].copy_from_slice(&values);
            let mut out = self.forward.make_output_vec();
            self.forward
                .process(&mut real, &mut out)
                .expect("buffers have the planned lengths");
            out
        };
        let data = spectrum(d.iter().zip(&w).map(|(d, w)| d * w).collect());
        let weight = spectrum(w.clone());
        let mut minima: Vec<(f64, SpecType, usize)> = Vec::new();
        for basis in &self.bases {
            let n = basis.vectors.len();
            let b: Vec<Vec<f64>> = basis
                .single
                .iter()
                .map(|t| self.correlate(&data, t))
                .collect();
            let a: Vec<Vec<f64>> = basis
                .pairs
                .iter()
                .map(|t| self.correlate(&weight, t))
                .collect();
            let gain: Vec<f64> = allowed(basis.class)
                .map(|l| gain_at(l, n, &a, &b))
                .collect();
            let first = allowed(basis.class).start;
            for i in 0..gain.len() {
                let peak = gain[i.saturating_sub(4)..(i + 5).min(gain.len())]
                    .iter()
                    .all(|g| *g <= gain[i]);
                if peak {
                    minima.push((gain[i], basis.class, first + i));
                }
            }
        }
        minima.sort_by(|x, y| y.0.total_cmp(&x.0));
        let (best, class, lag) = *minima.first()?;
        let next = minima
            .iter()
            .find(|m| m.1 != class || m.2.abs_diff(lag) > 7)
            .map_or(0.0, |m| m.0);
        Some(TemplateAnswer {
            class,
            z: redshift_of(lag as f64),
            delta_chi2: best - next,
        })
    }

    /// The same scan as Redrock does it, one redshift after another; for timing. Returns the best
    /// (gain, class, z).
    pub fn fit_direct(&self, r: &Resampled) -> Option<TemplateAnswer> {
        let (offset, d, w) = halve(r)?;
        let mut best = (f64::NEG_INFINITY, SpecType::Galaxy, 0);
        for basis in &self.bases {
            let n = basis.vectors.len();
            for lag in allowed(basis.class) {
                let start = (offset + LAGS - 1 - lag).min(SUPPORT - d.len());
                let mut a = vec![vec![0.0]; n * (n + 1) / 2];
                let mut b = vec![vec![0.0]; n];
                let mut at = 0;
                for j in 0..n {
                    let tj = &basis.vectors[j][start..start + d.len()];
                    b[j][0] = tj.iter().zip(&d).zip(&w).map(|((t, d), w)| t * d * w).sum();
                    for k in j..n {
                        let tk = &basis.vectors[k][start..start + d.len()];
                        a[at][0] = tj.iter().zip(tk).zip(&w).map(|((t, u), w)| t * u * w).sum();
                        at += 1;
                    }
                }
                let g = gain_at(0, n, &a, &b);
                if g > best.0 {
                    best = (g, basis.class, lag);
                }
            }
        }
        Some(TemplateAnswer {
            class: best.1,
            z: redshift_of(best.2 as f64),
            delta_chi2: 0.0,
        })
    }

    fn correlate(&self, f: &[Complex64], t: &[Complex64]) -> Vec<f64> {
        let mut product: Vec<Complex64> = f.iter().zip(t).map(|(f, t)| f * t.conj()).collect();
        product[0].im = 0.0;
        product[NFFT / 2].im = 0.0;
        let mut real = self.inverse.make_output_vec();
        self.inverse
            .process(&mut product, &mut real)
            .expect("buffers have the planned lengths");
        (0..LAGS)
            .map(|l| {
                real[(l as i64 + i64::from(MIN_LAG)).rem_euclid(NFFT as i64) as usize] / NFFT as f64
            })
            .collect()
    }
}

/// bᵀ A⁻¹ b by Cholesky, with a ridge of 10⁻⁶ of the diagonal so that uncovered vectors stay
/// harmless.
fn gain_at(lag: usize, n: usize, a: &[Vec<f64>], b: &[Vec<f64>]) -> f64 {
    let mut m = [[0.0f64; 12]; 12];
    let mut at = 0;
    let mut trace = 0.0;
    for j in 0..n {
        for k in j..n {
            m[k][j] = a[at][lag];
            at += 1;
        }
        trace += m[j][j].max(0.0);
    }
    let ridge = 1e-6 * trace / n as f64 + 1e-12;
    let mut y = [0.0f64; 12];
    let mut gain = 0.0;
    for j in 0..n {
        let mut s = m[j][j] + ridge;
        for k in 0..j {
            s -= m[j][k] * m[j][k];
        }
        if s <= 0.0 {
            return gain;
        }
        let root = s.sqrt();
        m[j][j] = root;
        for i in j + 1..n {
            let mut s = m[i][j];
            for k in 0..j {
                s -= m[i][k] * m[j][k];
            }
            m[i][j] = s / root;
        }
        let mut v = b[j][lag];
        for k in 0..j {
            v -= m[j][k] * y[k];
        }
        y[j] = v / root;
        gain += y[j] * y[j];
    }
    gain
}

/// Two fine pixels to one: offset, data, weights; data scaled to a median near 1.
fn halve(r: &Resampled) -> Option<(usize, Vec<f64>, Vec<f64>)> {
    let mut size: Vec<f32> = r
        .flux
        .iter()
        .zip(&r.ivar)
        .filter(|(_, v)| **v > 0.0)
        .map(|(f, _)| f.abs())
        .collect();
    let scale = f64::from(slipher_data::spectrum::median(&mut size));
    if size.len() < super::encode::MIN_PIXELS || scale <= 0.0 {
        return None;
    }
    // Coarse native pixels were repeated on the fine grid: each may count once only.
    let repeat = f64::from(r.native_width.max(1.0));
    let pairs = r.flux.chunks_exact(2).zip(r.ivar.chunks_exact(2));
    let (d, w) = pairs
        .map(|(f, v)| {
            let w = f64::from(v[0]) + f64::from(v[1]);
            let d = f64::from(f[0]) * f64::from(v[0]) + f64::from(f[1]) * f64::from(v[1]);
            if w > 0.0 {
                (d / w / scale, w * scale * scale / repeat)
            } else {
                (0.0, 0.0)
            }
        })
        .unzip();
    Some((r.first / 2, d, w))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::redshift::encode::FINE;
    use crate::redshift::simulate::{Fixed, SimulationRecipe, Simulator, Split};
    use slipher_data::grid::resample;

    /// At S/N 20 the scan finds galaxies made of its own library, and both ways of computing it
    /// agree.
    #[test]
    fn finds_its_own_galaxies() {
        let recipe = SimulationRecipe {
            instruments: vec![("sdss".into(), 1.0)],
            ..SimulationRecipe::default()
        };
        let sim = Simulator::new(&recipe, 3).unwrap();
        let fit = TemplateFit::new(sim.library(Split::Test), 1);
        let mut right = 0;
        for row in 0..12 {
            let fixed = Fixed {
                class: Some(SpecType::Galaxy),
                snr: Some(20.0),
                ..Fixed::default()
            };
            let e = sim.draw_fixed(Split::Test, row, fixed);
            let r = resample(&e.spectrum, &FINE, 2);
            let a = fit.fit(&r).unwrap();
            if row == 0 {
                let b = fit.fit_direct(&r).unwrap();
                assert!(
                    (a.z - b.z).abs() < 1e-3 && a.class == b.class,
                    "{a:?} {b:?}"
                );
            }
            right += usize::from((a.z - e.truth.unwrap().1).abs() / (1.0 + a.z) < 0.0033);
        }
        assert!(right >= 9, "{right} of 12");
    }
}
