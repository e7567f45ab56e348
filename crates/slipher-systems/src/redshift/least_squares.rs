//! Linear least squares by normal equations, and what they need of linear algebra.

/// Sums of a fit of y by Σ c x: the lower triangle of Σ x xᵀ, and Σ x y.
pub struct Normal {
    a: Vec<f64>,
    b: Vec<f64>,
}

impl Normal {
    /// For `n` coefficients.
    pub fn new(n: usize) -> Normal {
        Normal {
            a: vec![0.0; n * n],
            b: vec![0.0; n],
        }
    }

    pub fn add(&mut self, x: &[f64], y: f64) {
        let n = self.b.len();
        for (i, t) in x.iter().enumerate() {
            self.b[i] += t * y;
            self.a[i * n..=i * n + i]
                .iter_mut()
                .zip(x)
                .for_each(|(a, u)| *a += t * u);
        }
    }

    /// Sum of the diagonal.
    pub fn trace(&self) -> f64 {
        let n = self.b.len();
        (0..n).map(|i| self.a[i * n + i]).sum()
    }

    /// Adds to each element of the diagonal what `ridge` makes of it.
    pub fn stiffen(&mut self, ridge: impl Fn(f64) -> f64) {
        let n = self.b.len();
        (0..n).for_each(|i| self.a[i * n + i] += ridge(self.a[i * n + i]));
    }

    /// The coefficients; none if they are not determined.
    pub fn solve(&self) -> Option<Vec<f64>> {
        solve(&self.a, &self.b)
    }
}

/// A⁻¹ b, of a positive definite A of which the lower triangle is given.
pub fn solve(a: &[f64], b: &[f64]) -> Option<Vec<f64>> {
    invert(a, b.len()).map(|inverse| times(&inverse, b))
}

/// A square matrix times a vector.
pub fn times(matrix: &[f64], x: &[f64]) -> Vec<f64> {
    matrix
        .chunks_exact(x.len())
        .map(|row| row.iter().zip(x).map(|(m, x)| m * x).sum())
        .collect()
}

/// Inverse of a positive definite matrix, of which the lower triangle is given (Cholesky); none if
/// it is not.
pub fn invert(a: &[f64], n: usize) -> Option<Vec<f64>> {
    let mut l = vec![0.0; n * n];
    for i in 0..n {
        for j in 0..=i {
            let sum: f64 = (0..j).map(|k| l[i * n + k] * l[j * n + k]).sum();
            let v = a[i * n + j] - sum;
            if i == j {
                // Blended lines that cannot be told apart.
                if v <= 1e-9 * a[i * n + i] {
                    return None;
                }
                l[i * n + i] = v.sqrt();
            } else {
                l[i * n + j] = v / l[j * n + j];
            }
        }
    }
    let mut out = vec![0.0; n * n];
    for c in 0..n {
        let mut y = vec![0.0; n];
        for i in c..n {
            let sum: f64 = (c..i).map(|k| l[i * n + k] * y[k]).sum();
            y[i] = (f64::from(u8::from(i == c)) - sum) / l[i * n + i];
        }
        for i in (0..n).rev() {
            let sum: f64 = (i + 1..n).map(|k| l[k * n + i] * out[k * n + c]).sum();
            out[i * n + c] = (y[i] - sum) / l[i * n + i];
        }
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A line through points, and a matrix times its inverse.
    #[test]
    fn a_line_is_recovered() {
        let mut normal = Normal::new(2);
        (0..10)
            .map(f64::from)
            .for_each(|x| normal.add(&[1.0, x], 3.0 - 0.5 * x));
        let c = normal.solve().unwrap();
        assert!(
            (c[0] - 3.0).abs() < 1e-12 && (c[1] + 0.5).abs() < 1e-12 && normal.trace() == 295.0
        );
        normal.stiffen(|d| d);
        assert!(normal.solve().unwrap()[0] < 3.0 && normal.trace() == 590.0);
        let one = times(
            &[4.0, 2.0, 2.0, 3.0],
            &invert(&[4.0, 0.0, 2.0, 3.0], 2).unwrap()[..2],
        );
        assert!((one[0] - 1.0).abs() < 1e-12 && one[1].abs() < 1e-12);
        assert_eq!(solve(&[1.0, 0.0, 1.0, 1.0], &[1.0, 1.0]), None);
    }
}
