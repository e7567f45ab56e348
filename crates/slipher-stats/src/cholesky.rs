//! Positive definite matrices by Cholesky factors: whitening, how much variables explain each other,
//! normal equations and their covariances.

/// L⁻¹ of a positive definite matrix L Lᵀ, of which the lower triangle is given.
pub fn inverse_factor(a: &[f64], n: usize) -> Option<Vec<f64>> {
    let mut l = a.to_vec();
    for i in 0..n {
        for j in 0..=i {
            let sum: f64 = (0..j).map(|k| l[i * n + k] * l[j * n + k]).sum();
            let v = l[i * n + j] - sum;
            l[i * n + j] = if i == j {
                (v > 0.0).then(|| v.sqrt())?
            } else {
                v / l[j * n + j]
            };
        }
    }
    let mut inverse = vec![0.0; n * n];
    for j in 0..n {
        for i in j..n {
            let unit = if i == j { 1.0 } else { 0.0 };
            let sum: f64 = (j..i).map(|k| l[i * n + k] * inverse[k * n + j]).sum();
            inverse[i * n + j] = (unit - sum) / l[i * n + i];
        }
    }
    Some(inverse)
}

/// Solves A x = g of a positive definite matrix, of which the lower triangle is given.
pub fn solve(a: &[f64], g: &[f64]) -> Option<Vec<f64>> {
    let n = g.len();
    let inverse = inverse_factor(a, n)?;
    let half: Vec<f64> = (0..n)
        .map(|i| (0..=i).map(|j| inverse[i * n + j] * g[j]).sum())
        .collect();
    let each = (0..n).map(|i| (i..n).map(|j| inverse[j * n + i] * half[j]).sum());
    Some(each.collect())
}

/// Inverse `[n][n]` of the part of a positive definite matrix that the rows `moving` make; the others
/// are zeros.
pub fn inverse_of(a: &[f64], n: usize, moving: &[usize]) -> Option<Vec<f64>> {
    let k = moving.len();
    let mut small = vec![0.0; k * k];
    for (i, x) in moving.iter().enumerate() {
        for (j, y) in moving.iter().enumerate() {
            small[i * k + j] = a[x.max(y) * n + x.min(y)];
        }
    }
    let l = inverse_factor(&small, k)?;
    let mut out = vec![0.0; n * n];
    for (i, x) in moving.iter().enumerate() {
        for (j, y) in moving.iter().enumerate() {
            out[x * n + y] = (i.max(j)..k).map(|r| l[r * k + i] * l[r * k + j]).sum();
        }
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_factor_is_inverted() {
        // L L^T of L = [[2, 0], [1, 3]].
        let inverse = inverse_factor(&[4.0, 2.0, 2.0, 10.0], 2).unwrap();
        let want = [0.5, 0.0, -1.0 / 6.0, 1.0 / 3.0];
        assert!(inverse.iter().zip(want).all(|(a, b)| (a - b).abs() < 1e-12));
        assert!(inverse_factor(&[1.0, 2.0, 2.0, 1.0], 2).is_none());
    }

    #[test]
    fn equations_are_solved() {
        let a = [4.0, 2.0, 2.0, 10.0];
        let x = solve(&a, &[8.0, 22.0]).unwrap();
        assert!((x[0] - 1.0).abs() < 1e-12 && (x[1] - 2.0).abs() < 1e-12);
        let whole = inverse_of(&a, 2, &[0, 1]).unwrap();
        let want = [10.0 / 36.0, -2.0 / 36.0, -2.0 / 36.0, 4.0 / 36.0];
        assert!(whole.iter().zip(want).all(|(a, b)| (a - b).abs() < 1e-12));
        assert_eq!(inverse_of(&a, 2, &[1]).unwrap(), [0.0, 0.0, 0.0, 0.1]);
    }
}
