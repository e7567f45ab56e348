//! The matched filter. On white noise and with templates that are known it is the ceiling of what
//! any method can reach.
//!
//! Two of them. [`Filter`] knows the library and the noise. At each redshift it holds the SEDs of
//! the library as coefficients c_t of principal components B (variances Λ, mean μ), and takes a
//! spectrum for one of them, blurred a little, plus noise:
//!
//! p(y | z) = 1/T Σ_t N(y; μ + B √(1−h²) c_t, h² B Λ Bᵀ + (σ² + ρ) I)
//!
//! ρ is what the components leave; h the bandwidth of the kernel density, whose shrunk centres keep
//! the covariance Λ (West 1993). h = 1 is one Gaussian (Tipping & Bishop 1999), h → 0 the scan over
//! templates. Amplitudes are those of the mean flux. [`own_template`] knows more than anybody can:
//! the very SED of each row.

use rayon::prelude::*;
use slipher_stats::pca::{Pca, PcaParams};
use slipher_stats::product::with_transposed;

use super::score::{Answers, Truth};
use super::simulate::{CLASSES, DZ, Example, Pool, Sample, Split, Z_MIN};

/// Redshifts tried in each class.
const SUB: usize = 2;
/// Redshifts tried in all.
const TRIED: usize = CLASSES * SUB;
/// Noise that clean spectra are taken to have, in units of their mean.
const FLOOR: f64 = 0.01;
/// Rows answered at a time.
const ROWS: u64 = 1024;
/// The sum over SEDs is made where the one Gaussian is within e^-REACH of the best redshift.
const REACH: f64 = 60.0;

fn redshift(i: usize) -> f64 {
    Z_MIN + DZ * (i as f64 + 0.5) / SUB as f64
}

/// The model of one redshift. Fluxes less one, whitened by the relative noise.
struct Model {
    /// Components, then the mean: `[component + 1][bin]`.
    basis: Vec<f32>,
    variance: Vec<f64>,
    /// Variance per bin that the components leave.
    rest: f64,
    /// Products of each component and of the mean with the mean.
    products: Vec<f64>,
    /// c and c² of each SED: `[SED][2 × component]`.
    library: Vec<f32>,
}

/// The filter of a library.
pub struct Filter {
    models: Vec<Model>,
    quiet: Vec<f32>,
    /// Bandwidth for noise σ (relative to the mean) up to each limit.
    pub bandwidth: Vec<(f64, f64)>,
}

impl Filter {
    /// Of the first `seds` training SEDs.
    pub fn new(pool: &Pool, seds: usize, components: usize, seed: u64) -> Filter {
        let quiet: Vec<f32> = pool.noise_shape.iter().map(|s| 1.0 / s).collect();
        let train = pool.seds(Split::Train);
        let some = train.start..train.end.min(train.start + seds);
        let fit = |i: usize| {
            let mut x = Vec::with_capacity(some.len() * quiet.len());
            let mut buffer = Vec::new();
            for s in some.clone() {
                pool.clean(s, redshift(i), &mut buffer);
                let scale = quiet.len() as f32 / buffer.iter().sum::<f32>();
                x.extend(
                    buffer
                        .iter()
                        .zip(&quiet)
                        .map(|(v, q)| (v * scale - 1.0) * q),
                );
            }
            Model::fit(
                &x,
                quiet.len(),
                &PcaParams {
                    iterations: 3,
                    seed,
                    ..PcaParams::new(components)
                },
            )
        };
        Filter {
            models: (0..TRIED).into_par_iter().map(fit).collect(),
            quiet,
            bandwidth: vec![(f64::INFINITY, 1.0)],
        }
    }

    /// Log-likelihood of each redshift tried, up to a constant of the row: `[row][redshift]`.
    fn likelihoods(&self, drawn: &[Example]) -> Vec<f64> {
        let bins = self.quiet.len();
        let x: Vec<f32> = drawn
            .iter()
            .flat_map(|e| e.flux.iter().zip(&self.quiet).map(|(f, q)| (f - 1.0) * q))
            .collect();
        let rows: Vec<Row> = drawn
            .iter()
            .zip(x.chunks_exact(bins))
            .map(|(e, x)| {
                let sigma = f64::from(e.sigma).max(FLOOR);
                let h = self
                    .bandwidth
                    .iter()
                    .find(|c| sigma <= c.0)
                    .map_or(1.0, |c| c.1);
                Row {
                    square: x.iter().map(|v| f64::from(*v).powi(2)).sum(),
                    noise: sigma * sigma,
                    h,
                }
            })
            .collect();
        let mut out = vec![0.0; drawn.len() * TRIED];
        let gaussian: Vec<Vec<f64>> = self
            .models
            .par_iter()
            .map(|m| m.gaussian(&x, &rows))
            .collect();
        scatter(&gaussian, &mut out);
        let least: Vec<f64> = out
            .chunks_exact(TRIED)
            .map(|l| l.iter().copied().fold(f64::NEG_INFINITY, f64::max) - REACH)
            .collect();
        let mixed: Vec<Vec<f64>> = self
            .models
            .par_iter()
            .zip(&gaussian)
            .map(|(m, g)| {
                let near: Vec<usize> = (0..rows.len())
                    .filter(|r| g[*r] >= least[*r] && rows[*r].h < 1.0)
                    .collect();
                let mut l = g.clone();
                for (r, v) in near.iter().zip(m.mixture(&x, &rows, &near)) {
                    l[*r] = v;
                }
                l
            })
            .collect();
        scatter(&mixed, &mut out);
        out
    }

    /// Answers for the first `n` rows of a sample.
    pub fn answers(&self, pool: &Pool, sample: &Sample, n: u64) -> (Answers, Truth) {
        let (mut answers, mut truth) = (Answers::default(), Truth::default());
        for first in (0..n).step_by(ROWS as usize) {
            let drawn: Vec<Example> = (first..(first + ROWS).min(n))
                .into_par_iter()
                .map(|r| pool.draw(sample, r))
                .collect();
            for (e, l) in drawn
                .iter()
                .zip(self.likelihoods(&drawn).chunks_exact(TRIED))
            {
                push(&mut answers, l);
                note(&mut truth, e);
            }
        }
        (answers, truth)
    }
}

/// From `[redshift][row]` to `[row][redshift]`.
fn scatter(columns: &[Vec<f64>], out: &mut [f64]) {
    out.par_chunks_exact_mut(TRIED)
        .enumerate()
        .for_each(|(r, out)| out.iter_mut().zip(columns).for_each(|(o, c)| *o = c[r]));
}

/// What is known of a spectrum.
#[derive(Clone, Copy)]
struct Row {
    /// |y|².
    square: f64,
    /// σ², and the bandwidth that it asks for.
    noise: f64,
    h: f64,
}

impl Model {
    /// Of `x` = `[SED][bin]`.
    fn fit(x: &[f32], bins: usize, params: &PcaParams) -> Model {
        let pca = Pca::fit(params, x, bins);
        let seds = (x.len() / bins) as f64;
        let total: f64 = x
            .chunks_exact(bins)
            .map(|r| {
                r.iter()
                    .zip(&pca.mean)
                    .map(|(v, m)| f64::from(v - m).powi(2))
                    .sum::<f64>()
            })
            .sum();
        let rest = ((total / seds - pca.variance.iter().sum::<f64>()) / bins as f64).max(0.0);
        let c = pca.transform(x);
        let library = c
            .chunks_exact(pca.variance.len())
            .flat_map(|c| c.iter().copied().chain(c.iter().map(|v| v * v)))
            .collect();
        let mut basis = pca.components;
        basis.extend(&pca.mean);
        let products = basis
            .chunks_exact(bins)
            .map(|b| b.iter().zip(&pca.mean).map(|(a, m)| f64::from(a * m)).sum())
            .collect();
        Model {
            basis,
            variance: pca.variance,
            rest,
            products,
            library,
        }
    }

    /// b = Bᵀ(y − μ) of each row, and what a model outside the components says: −½ (|y − μ|² −
    /// |b|²)/(σ² + ρ) and its norm.
    fn project(&self, x: &[f32], rows: &[Row]) -> (Vec<f64>, Vec<f64>) {
        let k = self.variance.len();
        let bins = self.basis.len() / (k + 1);
        let dots = with_transposed(x, &self.basis, bins);
        let mut coefficients = Vec::with_capacity(rows.len() * k);
        let outside = rows
            .iter()
            .zip(dots.chunks_exact(k + 1))
            .map(|(row, dots)| {
                let noise = row.noise + self.rest;
                let mut left = row.square - 2.0 * f64::from(dots[k]) + self.products[k];
                for (d, p) in dots[..k].iter().zip(&self.products) {
                    let b = f64::from(*d) - p;
                    left -= b * b;
                    coefficients.push(b);
                }
                -0.5 * (left / noise + (bins - k) as f64 * noise.ln())
            })
            .collect();
        (coefficients, outside)
    }

    /// Log-likelihood of one Gaussian: h = 1.
    fn gaussian(&self, x: &[f32], rows: &[Row]) -> Vec<f64> {
        let (b, outside) = self.project(x, rows);
        let inside = |(b, row): (&[f64], &Row)| {
            let term = |(b, v): (&f64, &f64)| {
                b * b / (v + row.noise + self.rest) + (v + row.noise + self.rest).ln()
            };
            -0.5 * b.iter().zip(&self.variance).map(term).sum::<f64>()
        };
        b.chunks_exact(self.variance.len())
            .zip(rows)
            .map(inside)
            .zip(outside)
            .map(|(i, o)| i + o)
            .collect()
    }

    /// Log-likelihood of the kernel density, of some rows.
    fn mixture(&self, x: &[f32], rows: &[Row], some: &[usize]) -> Vec<f64> {
        if some.is_empty() {
            return vec![];
        }
        let k = self.variance.len();
        let bins = self.basis.len() / (k + 1);
        let own: Vec<f32> = some
            .iter()
            .flat_map(|r| x[r * bins..(r + 1) * bins].iter().copied())
            .collect();
        let rows: Vec<Row> = some.iter().map(|r| rows[*r]).collect();
        let (b, outside) = self.project(&own, &rows);
        // −½ Σ (b − s c)²/v = −½ Σ b²/v + Σ (s b/v) c − Σ (s²/2v) c²: the last two are a product of
        // matrices.
        let mut factors = vec![0.0f32; some.len() * 2 * k];
        let mut fixed = outside;
        for (((b, f), row), fixed) in b
            .chunks_exact(k)
            .zip(factors.chunks_exact_mut(2 * k))
            .zip(&rows)
            .zip(&mut fixed)
        {
            let shrunk = (1.0 - row.h * row.h).sqrt();
            for j in 0..k {
                let v = row.h * row.h * self.variance[j] + row.noise + self.rest;
                f[j] = (shrunk * b[j] / v) as f32;
                f[k + j] = (-0.5 * shrunk * shrunk / v) as f32;
                *fixed -= 0.5 * (b[j] * b[j] / v + v.ln());
            }
        }
        let seds = self.library.len() / (2 * k);
        let exponents = with_transposed(&factors, &self.library, 2 * k);
        exponents
            .chunks_exact(seds)
            .zip(fixed)
            .map(|(e, fixed)| fixed + log_mean_exp(e))
            .collect()
    }
}

/// ln of the mean of e^v.
fn log_mean_exp(v: &[f32]) -> f64 {
    let top = v.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    // What is e^-20 of the greatest adds nothing.
    let sum: f64 = v
        .iter()
        .filter(|v| **v > top - 20.0)
        .map(|v| f64::from((v - top).exp()))
        .sum();
    f64::from(top) + (sum / v.len() as f64).ln()
}

/// Σ a·b, sixteen sums side by side.
fn dot(a: &[f32], b: &[f32]) -> f64 {
    let mut sums = [0.0f32; 16];
    let (x, y) = (a.chunks_exact(16), b.chunks_exact(16));
    let rest: f32 = x
        .remainder()
        .iter()
        .zip(y.remainder())
        .map(|(a, b)| a * b)
        .sum();
    for (x, y) in x.zip(y) {
        for k in 0..16 {
            sums[k] += x[k] * y[k];
        }
    }
    f64::from(rest) + sums.iter().map(|s| f64::from(*s)).sum::<f64>()
}

fn push(answers: &mut Answers, l: &[f64]) {
    let top = l.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let weights: Vec<f64> = l
        .chunks_exact(SUB)
        .map(|c| c.iter().map(|v| (v - top).exp()).sum())
        .collect();
    let best = (0..CLASSES).fold(0, |b, k| if weights[k] > weights[b] { k } else { b });
    answers.push(best, &weights);
}

fn note(truth: &mut Truth, e: &Example) {
    truth.z.push(e.z);
    truth.class.push(e.class);
    truth.sed.push(e.sed);
}

/// Answers of a filter that knows the SED of each row, and σ, but neither redshift nor amplitude.
pub fn own_template(pool: &Pool, sample: &Sample, n: u64) -> (Answers, Truth) {
    let drawn: Vec<Example> = (0..n)
        .into_par_iter()
        .map(|r| pool.draw(sample, r))
        .collect();
    let mut by_sed = std::collections::BTreeMap::<usize, Vec<usize>>::new();
    drawn
        .iter()
        .enumerate()
        .for_each(|(i, e)| by_sed.entry(e.sed).or_default().push(i));
    let groups: Vec<(usize, Vec<usize>)> = by_sed.into_iter().collect();
    let likelihoods: Vec<Vec<(usize, Vec<f64>)>> = groups
        .par_iter()
        .map(|(sed, rows)| {
            let mut out: Vec<(usize, Vec<f64>)> = rows
                .iter()
                .map(|r| (*r, Vec::with_capacity(TRIED)))
                .collect();
            let mut t = Vec::new();
            for i in 0..TRIED {
                pool.clean(*sed, redshift(i), &mut t);
                t.iter_mut()
                    .zip(&pool.noise_shape)
                    .for_each(|(v, s)| *v /= s * s);
                let square: f64 = t
                    .iter()
                    .zip(&pool.noise_shape)
                    .map(|(v, s)| f64::from(v * s).powi(2))
                    .sum();
                for (row, l) in &mut out {
                    let e = &drawn[*row];
                    l.push(
                        dot(&t, &e.flux).max(0.0).powi(2)
                            / square
                            / (2.0 * f64::from(e.sigma).max(FLOOR).powi(2)),
                    );
                }
            }
            out
        })
        .collect();
    let mut of_row: Vec<Vec<f64>> = vec![vec![]; drawn.len()];
    likelihoods
        .into_iter()
        .flatten()
        .for_each(|(row, l)| of_row[row] = l);
    let (mut answers, mut truth) = (Answers::default(), Truth::default());
    for (e, l) in drawn.iter().zip(&of_row) {
        push(&mut answers, l);
        note(&mut truth, e);
    }
    (answers, truth)
}

#[cfg(test)]
mod tests {
    use super::super::score::metrics;
    use super::super::simulate::{Noise, SedRecipe, Setting};
    use super::*;
    use slipher_stats::pca::symmetric_eigen;

    /// Both likelihoods are the densities that the formula says, also with the norms: compared with
    /// the whole covariance.
    #[test]
    fn likelihoods_are_densities() {
        let (bins, k, h, noise) = (7, 2, 0.6, 0.3);
        let x: Vec<f32> = (0..5 * bins)
            .map(|i| (1.7 * i as f32).sin() * 3.0 + (i % bins) as f32)
            .collect();
        let m = Model::fit(&x, bins, &PcaParams::new(k));
        let y: Vec<f32> = (0..2 * bins)
            .map(|i| (0.9 * i as f32).cos() * 2.0 + (i % bins) as f32)
            .collect();
        let square = |y: &[f32]| y.iter().map(|v| f64::from(*v).powi(2)).sum();
        let rows: Vec<Row> = y
            .chunks_exact(bins)
            .map(|y| Row {
                square: square(y),
                noise,
                h,
            })
            .collect();
        let b = |j: usize, i: usize| f64::from(m.basis[j * bins + i]);
        // N(y; mean + μ, s B Λ Bᵀ + (σ² + ρ) I), less the constant of 2π.
        let density = |y: &[f32], s: f64, mean: &dyn Fn(usize) -> f64| {
            let cov: Vec<f64> = (0..bins * bins)
                .map(|at| {
                    let (i, j) = (at / bins, at % bins);
                    (0..k)
                        .map(|c| s * m.variance[c] * b(c, i) * b(c, j))
                        .sum::<f64>()
                        + if i == j { noise + m.rest } else { 0.0 }
                })
                .collect();
            let (values, vectors) = symmetric_eigen(&cov, bins);
            let d: Vec<f64> = (0..bins)
                .map(|i| f64::from(y[i]) - b(k, i) - mean(i))
                .collect();
            let along = |v: &[f64]| v.iter().zip(&d).map(|(v, d)| v * d).sum::<f64>();
            -0.5 * vectors
                .chunks_exact(bins)
                .zip(&values)
                .map(|(v, l)| along(v).powi(2) / l + l.ln())
                .sum::<f64>()
        };
        let (gaussian, mixture) = (m.gaussian(&y, &rows), m.mixture(&y, &rows, &[0, 1]));
        for (r, y) in y.chunks_exact(bins).enumerate() {
            let one = density(y, 1.0, &|_| 0.0);
            let shrunk = (1.0f64 - h * h).sqrt();
            let sed = |t: usize, i: usize| {
                (0..k)
                    .map(|c| shrunk * f64::from(m.library[t * 2 * k + c]) * b(c, i))
                    .sum::<f64>()
            };
            let many = (0..5)
                .map(|t| density(y, h * h, &|i| sed(t, i)).exp())
                .sum::<f64>()
                / 5.0;
            assert!((gaussian[r] - one).abs() < 1e-3, "{} {one}", gaussian[r]);
            assert!(
                (mixture[r] - many.ln()).abs() < 1e-3,
                "{} {}",
                mixture[r],
                many.ln()
            );
        }
    }

    /// Both filters find the redshift; the one that knows the SED is never much worse.
    #[test]
    fn filters_find_redshifts() {
        let pool = Pool::new(
            &SedRecipe {
                count: 150,
                seed: 2,
                min_halpha: 30.0,
                templates: None,
            },
            Setting::Nisp,
        )
        .unwrap();
        let mut filter = Filter::new(&pool, 120, 32, 1);
        filter.bandwidth = vec![(0.2, 0.7), (f64::INFINITY, 0.2)];
        for (snr, bar) in [(20.0, 0.97), (1.0, 0.5)] {
            let sample = Sample {
                split: Split::Test,
                noise: Noise::Fixed(snr),
                centres: false,
                seed: 4,
            };
            let (a, truth) = filter.answers(&pool, &sample, 60);
            let (b, same) = own_template(&pool, &sample, 60);
            assert_eq!(truth, same);
            let (library, own) = (metrics(&truth, &a), metrics(&truth, &b));
            assert!(
                own.close.value >= bar && own.close.value + 0.05 >= library.close.value,
                "{snr}: {} {}",
                own.close,
                library.close
            );
            assert!(
                library.close.value >= bar - 0.15,
                "{snr}: {}",
                library.close
            );
        }
    }
}
