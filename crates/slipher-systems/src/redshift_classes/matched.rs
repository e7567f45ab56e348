//! The matched filter. On white noise and with templates that are known it is the ceiling of what any method can reach.
//!
//! Two of them. [`Filter`] knows the library and the noise: at each redshift a spectrum is N(μ, B Λ Bᵀ + σ² I), with μ, B and Λ the
//! mean, the principal components and their variances of the training SEDs at that redshift; the coefficients are
//! integrated out exactly (Tipping & Bishop 1999, equation 7) and the posterior over the classes follows.
//! [`own_template`] knows more than anybody can: the very SED of each row.

use rayon::prelude::*;
use slipher_classical::pca::{Pca, PcaParams};
use slipher_classical::product::with_transposed;

use super::score::{Answers, Truth};
use super::simulate::{CLASSES, DZ, Example, Pool, Sample, Split, Z_MIN};

/// Redshifts tried in each class.
const SUB: usize = 2;
/// Redshifts tried in all.
const TRIED: usize = CLASSES * SUB;
/// Noise that clean spectra are taken to have, in units of their mean.
const FLOOR: f64 = 0.01;
/// Rows answered at a time, and redshifts tried at a time.
const ROWS: u64 = 2048;
const BLOCK: usize = 32;

fn redshift(i: usize) -> f64 {
    Z_MIN + DZ * (i as f64 + 0.5) / SUB as f64
}

/// The model of one redshift.
struct Model {
    /// Components, then the mean: `[component + 1][bin]`, whitened by the relative noise.
    basis: Vec<f32>,
    variance: Vec<f64>,
    /// Variance per bin that the components leave.
    rest: f64,
    /// b·μ of each component and of the mean itself.
    products: Vec<f64>,
}

/// The filter of a library.
pub struct Filter {
    models: Vec<Model>,
    quiet: Vec<f32>,
    /// Components used, at most those fitted, for noise σ (relative to the mean) up to each limit.
    pub components: Vec<(f64, usize)>,
}

impl Filter {
    /// Of the first `seds` training SEDs.
    pub fn new(pool: &Pool, seds: usize, components: usize, seed: u64) -> Filter {
        let quiet: Vec<f32> = pool.noise_shape.iter().map(|s| 1.0 / s).collect();
        let train = pool.seds(Split::Train);
        let some = train.start..train.end.min(train.start + seds);
        let bins = pool.bins();
        let fit = |i: usize| {
            let mut x = Vec::with_capacity(some.len() * bins);
            let mut buffer = Vec::new();
            for s in some.clone() {
                pool.clean(s, redshift(i), &mut buffer);
                let scale = bins as f32 / buffer.iter().sum::<f32>();
                x.extend(buffer.iter().zip(&quiet).map(|(v, q)| v * scale * q));
            }
            let pca = Pca::fit(&PcaParams { iterations: 3, seed, ..PcaParams::new(components) }, &x, bins);
            let total: f64 =
                x.chunks_exact(bins).map(|r| r.iter().zip(&pca.mean).map(|(v, m)| f64::from(v - m).powi(2)).sum::<f64>()).sum::<f64>() / some.len() as f64;
            let rest = ((total - pca.variance.iter().sum::<f64>()) / bins as f64).max(0.0);
            let mut basis = pca.components;
            basis.extend(&pca.mean);
            let products = basis.chunks_exact(bins).map(|b| b.iter().zip(&pca.mean).map(|(a, m)| f64::from(a * m)).sum()).collect();
            Model { basis, variance: pca.variance, rest, products }
        };
        Filter { models: (0..TRIED).into_par_iter().map(fit).collect(), quiet, components: vec![(f64::INFINITY, components)] }
    }

    /// Log-likelihood of each redshift tried, up to a constant of the row: `[row][redshift]`.
    fn likelihoods(&self, drawn: &[Example]) -> Vec<f64> {
        let bins = self.quiet.len();
        let x: Vec<f32> = drawn.iter().flat_map(|e| e.flux.iter().zip(&self.quiet).map(|(f, q)| f * q)).collect();
        let mut out = vec![0.0; drawn.len() * TRIED];
        for (block, models) in self.models.chunks(BLOCK).enumerate() {
            let basis: Vec<f32> = models.iter().flat_map(|m| m.basis.iter().copied()).collect();
            let dots = with_transposed(&x, &basis, bins);
            let per = basis.len() / bins;
            out.par_chunks_exact_mut(TRIED).zip(dots.par_chunks_exact(per)).zip(drawn).for_each(|((out, dots), e)| {
                let sigma = f64::from(e.sigma).max(FLOOR);
                let components = self.components.iter().find(|c| sigma <= c.0).map_or(1, |c| c.1);
                let width = per / models.len();
                for (j, (m, dots)) in models.iter().zip(dots.chunks_exact(width)).enumerate() {
                    out[block * BLOCK + j] = m.likelihood(dots, sigma, components);
                }
            });
        }
        out
    }

    /// Answers for the first `n` rows of a sample.
    pub fn answers(&self, pool: &Pool, sample: &Sample, n: u64) -> (Answers, Truth) {
        let (mut answers, mut truth) = (Answers::default(), Truth::default());
        for first in (0..n).step_by(ROWS as usize) {
            let drawn: Vec<Example> = (first..(first + ROWS).min(n)).into_par_iter().map(|r| pool.draw(sample, r)).collect();
            for (e, l) in drawn.iter().zip(self.likelihoods(&drawn).chunks_exact(TRIED)) {
                push(&mut answers, l);
                note(&mut truth, e);
            }
        }
        (answers, truth)
    }
}

impl Model {
    /// `dots`: products of the row with the components and the mean.
    fn likelihood(&self, dots: &[f32], sigma: f64, components: usize) -> f64 {
        let last = dots.len() - 1;
        let used = components.min(last);
        let bins = self.basis.len() / dots.len();
        let left: f64 = self.variance[used..].iter().sum();
        let noise = sigma * sigma + self.rest + left / bins as f64;
        // |y − μ|² without |y|², which all redshifts share but for `rest`.
        let mut l = (f64::from(dots[last]) - 0.5 * self.products[last]) / noise;
        for k in 0..used {
            let (b, v) = (f64::from(dots[k]) - self.products[k], self.variance[k]);
            l += 0.5 * (b * b * v / (noise * (noise + v)) - (1.0 + v / noise).ln());
        }
        l
    }
}

/// Σ a·b, sixteen sums side by side.
fn dot(a: &[f32], b: &[f32]) -> f64 {
    let mut sums = [0.0f32; 16];
    let (x, y) = (a.chunks_exact(16), b.chunks_exact(16));
    let rest: f32 = x.remainder().iter().zip(y.remainder()).map(|(a, b)| a * b).sum();
    for (x, y) in x.zip(y) {
        for k in 0..16 {
            sums[k] += x[k] * y[k];
        }
    }
    f64::from(rest) + sums.iter().map(|s| f64::from(*s)).sum::<f64>()
}

fn push(answers: &mut Answers, l: &[f64]) {
    let top = l.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let weights: Vec<f64> = l.chunks_exact(SUB).map(|c| c.iter().map(|v| (v - top).exp()).sum()).collect();
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
    let drawn: Vec<Example> = (0..n).into_par_iter().map(|r| pool.draw(sample, r)).collect();
    let mut by_sed = std::collections::BTreeMap::<usize, Vec<usize>>::new();
    drawn.iter().enumerate().for_each(|(i, e)| by_sed.entry(e.sed).or_default().push(i));
    let groups: Vec<(usize, Vec<usize>)> = by_sed.into_iter().collect();
    let likelihoods: Vec<Vec<(usize, Vec<f64>)>> = groups
        .par_iter()
        .map(|(sed, rows)| {
            let mut out: Vec<(usize, Vec<f64>)> = rows.iter().map(|r| (*r, Vec::with_capacity(TRIED))).collect();
            let mut t = Vec::new();
            for i in 0..TRIED {
                pool.clean(*sed, redshift(i), &mut t);
                t.iter_mut().zip(&pool.noise_shape).for_each(|(v, s)| *v /= s * s);
                let square: f64 = t.iter().zip(&pool.noise_shape).map(|(v, s)| f64::from(v * s).powi(2)).sum();
                for (row, l) in &mut out {
                    let e = &drawn[*row];
                    l.push(dot(&t, &e.flux).max(0.0).powi(2) / square / (2.0 * f64::from(e.sigma).max(FLOOR).powi(2)));
                }
            }
            out
        })
        .collect();
    let mut of_row: Vec<Vec<f64>> = vec![vec![]; drawn.len()];
    likelihoods.into_iter().flatten().for_each(|(row, l)| of_row[row] = l);
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

    /// At high S/N both filters find the redshift; the one that knows the SED is never much worse.
    #[test]
    fn filters_find_redshifts() {
        let pool = Pool::new(&SedRecipe { count: 150, seed: 2, min_halpha: 30.0, templates: None }, Setting::Nisp).unwrap();
        let filter = Filter::new(&pool, 120, 8, 1);
        for (snr, bar) in [(20.0, 0.97), (1.0, 0.5)] {
            let sample = Sample { split: Split::Test, noise: Noise::Fixed(snr), centres: false, seed: 4 };
            let (a, truth) = filter.answers(&pool, &sample, 60);
            let (b, same) = own_template(&pool, &sample, 60);
            assert_eq!(truth, same);
            let (library, own) = (metrics(&truth, &a), metrics(&truth, &b));
            assert!(own.close.value >= bar && own.close.value + 0.05 >= library.close.value, "{snr}: {} {}", own.close, library.close);
            // A hundred SEDs do not span the lines that S/N 20 shows.
            assert!(library.close.value > bar - 0.4, "{snr}: {}", library.close);
        }
    }
}
