//! The inverse of a Cholesky factor: whitening, and how much variables explain each other.

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
}
