//! Products of matrices.

use slipher_nn::dense;
use slipher_nn::lanes::Isa;

/// A[m × k] · Bᵀ, B[n × k]: `[m][n]`.
pub fn with_transposed(a: &[f32], b: &[f32], k: usize) -> Vec<f32> {
    let n = b.len() / k;
    let mut panels = vec![0.0; dense::panels_len(k, n)];
    for (o, row) in b.chunks_exact(k).enumerate() {
        row.iter()
            .enumerate()
            .for_each(|(i, v)| panels[dense::index(k, n, i, o)] = *v);
    }
    let mut y = vec![0.0; a.len() / k * n];
    dense::forward(Isa::best(), a, &panels, &vec![0.0; n], 1.0, &mut y);
    y
}

/// Aᵀ · B, A[m × k], B[m × n]: `[k][n]`.
pub fn transposed_with(a: &[f32], k: usize, b: &[f32], n: usize) -> Vec<f32> {
    let mut panels = vec![0.0; dense::panels_len(k, n)];
    let mut sums = vec![0.0; n];
    dense::grad_weights(
        Isa::best(),
        a,
        b,
        &mut panels,
        &mut sums,
        &mut dense::Buffers::default(),
    );
    (0..k)
        .flat_map(|i| (0..n).map(move |o| (i, o)))
        .map(|(i, o)| panels[dense::index(k, n, i, o)])
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn agree_with_the_definition() {
        for (m, k, n) in [(7, 13, 37), (4000, 10, 10), (1500, 40, 33), (3, 1780, 5)] {
            check(m, k, n);
        }
    }

    fn check(m: usize, k: usize, n: usize) {
        let f = |len: usize, s: f32| (0..len).map(|i| (s * i as f32).sin()).collect::<Vec<f32>>();
        let (a, b, c) = (f(m * k, 0.3), f(n * k, 0.7), f(m * n, 0.2));
        let (y, z) = (with_transposed(&a, &b, k), transposed_with(&a, k, &c, n));
        for i in 0..m {
            for j in 0..n {
                let want: f64 = (0..k).map(|l| f64::from(a[i * k + l] * b[j * k + l])).sum();
                assert!(
                    (f64::from(y[i * n + j]) - want).abs() < 1e-3,
                    "A Bᵀ {m} {k} {n}: {want}"
                );
            }
        }
        for i in 0..k {
            for j in 0..n {
                let want: f64 = (0..m).map(|l| f64::from(a[l * k + i] * c[l * n + j])).sum();
                assert!(
                    (f64::from(z[i * n + j]) - want).abs() < 1e-3 * (1.0 + want.abs()),
                    "Aᵀ B {m} {k} {n}: {} for {want}",
                    z[i * n + j]
                );
            }
        }
    }
}
