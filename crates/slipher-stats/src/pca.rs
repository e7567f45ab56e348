//! Principal components by subspace iteration with a Rayleigh–Ritz step (Halko, Martinsson & Tropp
//! 2011).

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::product::{transposed_with, with_transposed};

/// Parameters.
#[derive(Clone, Copy, Debug)]
pub struct PcaParams {
    /// Components kept.
    pub components: usize,
    /// Subtract the mean; without, components are of second moments about zero.
    pub centred: bool,
    /// Rounds of subspace iteration.
    pub iterations: usize,
    /// Of the random start.
    pub seed: u64,
}

impl PcaParams {
    /// With the usual number of rounds.
    pub fn new(components: usize) -> Self {
        PcaParams {
            components,
            centred: true,
            iterations: 8,
            seed: 1,
        }
    }
}

/// Fitted components.
#[derive(Clone, Debug)]
pub struct Pca {
    /// Values of a row.
    pub features: usize,
    /// Of each value.
    pub mean: Vec<f32>,
    /// `[component][feature]`, orthonormal, by falling variance.
    pub components: Vec<f32>,
    /// Mean square of each coefficient.
    pub variance: Vec<f64>,
}

impl Pca {
    /// Of `x` = `[row][feature]`.
    pub fn fit(p: &PcaParams, x: &[f32], features: usize) -> Pca {
        let rows = x.len() / features;
        let k = p.components.min(features).min(rows);
        let mut mean = vec![0.0f64; features];
        if p.centred {
            x.chunks_exact(features).for_each(|r| {
                mean.iter_mut()
                    .zip(r)
                    .for_each(|(m, v)| *m += f64::from(*v) / rows as f64)
            });
        }
        let mean: Vec<f32> = mean.iter().map(|m| *m as f32).collect();
        let centred: Vec<f32> = x
            .chunks_exact(features)
            .flat_map(|r| r.iter().zip(&mean).map(|(v, m)| v - m))
            .collect();
        // A few more directions than asked make the last ones converge.
        let wide = (k + 8).min(features).min(rows);
        let mut rng = ChaCha8Rng::seed_from_u64(p.seed);
        let mut basis: Vec<f32> = (0..wide * features)
            .map(|_| rng.random::<f32>() - 0.5)
            .collect();
        orthonormalise(&mut basis, features);
        for _ in 0..p.iterations {
            let scores = with_transposed(&centred, &basis, features);
            basis = transpose(&transposed_with(&centred, features, &scores, wide), wide);
            orthonormalise(&mut basis, features);
        }
        let scores = with_transposed(&centred, &basis, features);
        let gram: Vec<f64> = transposed_with(&scores, wide, &scores, wide)
            .iter()
            .map(|v| f64::from(*v) / rows as f64)
            .collect();
        let (values, vectors) = symmetric_eigen(&gram, wide);
        let mut components = vec![0.0f32; k * features];
        for (c, out) in components.chunks_exact_mut(features).enumerate() {
            for (j, b) in basis.chunks_exact(features).enumerate() {
                let v = vectors[c * wide + j] as f32;
                out.iter_mut().zip(b).for_each(|(o, b)| *o += v * b);
            }
        }
        Pca {
            features,
            mean,
            components,
            variance: values[..k].to_vec(),
        }
    }

    /// Coefficients `[row][component]`.
    pub fn transform(&self, x: &[f32]) -> Vec<f32> {
        let centred: Vec<f32> = x
            .chunks_exact(self.features)
            .flat_map(|r| r.iter().zip(&self.mean).map(|(v, m)| v - m))
            .collect();
        with_transposed(&centred, &self.components, self.features)
    }
}

fn transpose(m: &[f32], columns: usize) -> Vec<f32> {
    let rows = m.len() / columns;
    (0..columns)
        .flat_map(|c| (0..rows).map(move |r| m[r * columns + c]))
        .collect()
}

/// Gram–Schmidt, twice. What lies in the span of those before becomes zero.
fn orthonormalise(basis: &mut [f32], n: usize) {
    for _ in 0..2 {
        for i in 0..basis.len() / n {
            let (before, rest) = basis.split_at_mut(i * n);
            let own = &mut rest[..n];
            let length = |v: &[f32]| v.iter().map(|v| f64::from(*v).powi(2)).sum::<f64>().sqrt();
            let whole = length(own);
            for b in before.chunks_exact(n) {
                let dot: f32 = b.iter().zip(own.iter()).map(|(a, b)| a * b).sum();
                own.iter_mut().zip(b).for_each(|(o, b)| *o -= dot * b);
            }
            let norm = length(own);
            let scale = if norm > 1e-5 * whole { 1.0 / norm } else { 0.0 };
            own.iter_mut().for_each(|v| *v *= scale as f32);
        }
    }
}

/// Eigenvalues, falling, and eigenvectors `[vector][element]` of a symmetric matrix, by Jacobi's
/// rotations.
pub fn symmetric_eigen(m: &[f64], n: usize) -> (Vec<f64>, Vec<f64>) {
    let mut a = m.to_vec();
    let mut v = vec![0.0; n * n];
    (0..n).for_each(|i| v[i * n + i] = 1.0);
    let scale: f64 = a.iter().map(|x| x * x).sum::<f64>().max(1e-300);
    for _ in 0..60 {
        let off: f64 = (0..n)
            .flat_map(|i| (0..i).map(move |j| (i, j)))
            .map(|(i, j)| a[i * n + j] * a[i * n + j])
            .sum();
        if off <= 1e-24 * scale {
            break;
        }
        for p in 0..n {
            for q in p + 1..n {
                rotate(&mut a, &mut v, n, p, q);
            }
        }
    }
    let mut order: Vec<usize> = (0..n).collect();
    order.sort_by(|i, j| a[j * n + j].total_cmp(&a[i * n + i]));
    let values = order.iter().map(|i| a[i * n + i]).collect();
    let vectors = order
        .iter()
        .flat_map(|i| v[i * n..(i + 1) * n].to_vec())
        .collect();
    (values, vectors)
}

fn rotate(a: &mut [f64], v: &mut [f64], n: usize, p: usize, q: usize) {
    let apq = a[p * n + q];
    if apq == 0.0 {
        return;
    }
    let theta = (a[q * n + q] - a[p * n + p]) / (2.0 * apq);
    let t = theta.signum() / (theta.abs() + (theta * theta + 1.0).sqrt());
    let t = if theta == 0.0 { 1.0 } else { t };
    let c = 1.0 / (t * t + 1.0).sqrt();
    let s = t * c;
    for k in 0..n {
        let (x, y) = (a[k * n + p], a[k * n + q]);
        (a[k * n + p], a[k * n + q]) = (c * x - s * y, s * x + c * y);
    }
    for k in 0..n {
        let (x, y) = (a[p * n + k], a[q * n + k]);
        (a[p * n + k], a[q * n + k]) = (c * x - s * y, s * x + c * y);
        let (x, y) = (v[p * n + k], v[q * n + k]);
        (v[p * n + k], v[q * n + k]) = (c * x - s * y, s * x + c * y);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn components_of_a_known_cloud() {
        // Three orthogonal directions of variance 9, 4, 1 in ten dimensions.
        let mut rng = ChaCha8Rng::seed_from_u64(3);
        let n = 4000;
        let mut x = vec![0.0f32; n * 10];
        for r in x.chunks_exact_mut(10) {
            for (axis, sigma) in [(1, 3.0f32), (4, 2.0), (7, 1.0)] {
                let u: f32 = (0..12).map(|_| rng.random::<f32>()).sum::<f32>() - 6.0;
                r[axis] = sigma * u + 5.0;
            }
        }
        let p = Pca::fit(&PcaParams::new(3), &x, 10);
        for (c, (axis, variance)) in [(1usize, 9.0), (4, 4.0), (7, 1.0)].into_iter().enumerate() {
            assert!(p.components[c * 10 + axis].abs() > 0.99);
            assert!(
                (p.variance[c] / variance - 1.0).abs() < 0.1,
                "{:?}",
                p.variance
            );
        }
        let t = p.transform(&x);
        let back: f32 = (0..3).map(|c| t[c] * p.components[c * 10 + 4]).sum::<f32>() + p.mean[4];
        assert!((back - x[4]).abs() < 1e-3);
    }

    #[test]
    fn eigenvectors_solve_their_equation() {
        let n = 9;
        let m: Vec<f64> = (0..n * n)
            .map(|i| (((i / n).min(i % n) * 7 + (i / n).max(i % n) * 3) as f64).sin())
            .collect();
        let (values, vectors) = symmetric_eigen(&m, n);
        for k in 0..n {
            for i in 0..n {
                let mv: f64 = (0..n).map(|j| m[i * n + j] * vectors[k * n + j]).sum();
                assert!((mv - values[k] * vectors[k * n + i]).abs() < 1e-9);
            }
        }
        assert!(values.windows(2).all(|w| w[0] >= w[1]));
    }
}
