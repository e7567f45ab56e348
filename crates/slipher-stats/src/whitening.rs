//! Whitening: rows turned and scaled so that their covariance is the identity; distances between
//! them are then Mahalanobis distances.

use rayon::prelude::*;

use crate::cholesky::inverse_factor;
use crate::product::with_transposed;

/// Mean and inverse Cholesky factor of a covariance.
#[derive(Clone, Debug, PartialEq)]
pub struct Whitening {
    /// A value a feature.
    pub mean: Vec<f32>,
    /// Inverse of the Cholesky factor of the covariance, lower triangle, row by row.
    pub factor: Vec<f32>,
}

/// Rows that are whitened at a time.
const BLOCK: usize = 8192;

impl Whitening {
    /// Of rows; `shrinkage` of the mean variance is added to each. None for no rows, and for
    /// numbers that are not finite.
    pub fn fit<R: AsRef<[f32]>>(rows: &[R], shrinkage: f64) -> Option<Whitening> {
        let n = rows.first()?.as_ref().len();
        let count = rows.len() as f64;
        let mean: Vec<f64> = (0..n)
            .map(|j| rows.iter().map(|r| f64::from(r.as_ref()[j])).sum::<f64>() / count)
            .collect();
        let mut covariance = vec![0.0; n * n];
        for r in rows {
            let r = r.as_ref();
            for i in 0..n {
                let a = f64::from(r[i]) - mean[i];
                for j in 0..=i {
                    covariance[i * n + j] += a * (f64::from(r[j]) - mean[j]) / count;
                }
            }
        }
        let trace: f64 = (0..n).map(|i| covariance[i * n + i]).sum();
        let floor = (shrinkage * trace / n as f64).max(1e-12);
        (0..n).for_each(|i| covariance[i * n + i] += floor);
        let factor = inverse_factor(&covariance, n)?;
        Some(Whitening {
            mean: mean.iter().map(|v| *v as f32).collect(),
            factor: factor.iter().map(|v| *v as f32).collect(),
        })
    }

    /// Scales only: each feature by its own spread.
    pub fn scales<R: AsRef<[f32]>>(rows: &[R]) -> Option<Whitening> {
        let n = rows.first()?.as_ref().len();
        let count = rows.len() as f64;
        let mut w = Whitening {
            mean: vec![0.0; n],
            factor: vec![0.0; n * n],
        };
        let mut spreads = vec![0.0; n];
        for j in 0..n {
            let of = |r: &R| f64::from(r.as_ref()[j]);
            let mean = rows.iter().map(of).sum::<f64>() / count;
            let square = rows.iter().map(|r| (of(r) - mean).powi(2)).sum::<f64>();
            (w.mean[j], spreads[j]) = (mean as f32, (square / count).sqrt());
        }
        // Features that hardly vary say nothing.
        let least = 0.05 * spreads.iter().sum::<f64>() / n.max(1) as f64;
        for (j, s) in spreads.iter().enumerate() {
            w.factor[j * n + j] = (1.0 / s.max(least).max(1e-12)) as f32;
        }
        spreads.iter().all(|s| s.is_finite()).then_some(w)
    }

    /// Values of a row.
    pub fn features(&self) -> usize {
        self.mean.len()
    }

    /// A row, whitened.
    pub fn one(&self, x: &[f32]) -> Vec<f32> {
        let n = self.mean.len();
        let centred: Vec<f32> = x.iter().zip(&self.mean).map(|(x, m)| x - m).collect();
        (0..n)
            .map(|i| {
                let row = &self.factor[i * n..=i * n + i];
                row.iter().zip(&centred).map(|(w, c)| w * c).sum()
            })
            .collect()
    }

    /// Many rows `[row][feature]`, whitened, by products of matrices.
    pub fn all(&self, rows: &[f32]) -> Vec<f32> {
        let n = self.mean.len();
        let blocks = rows.par_chunks(BLOCK * n).map(|block| {
            let centred = block.chunks_exact(n);
            let centred: Vec<f32> = centred
                .flat_map(|r| r.iter().zip(&self.mean).map(|(x, m)| x - m))
                .collect();
            with_transposed(&centred, &self.factor, n)
        });
        blocks.collect::<Vec<_>>().concat()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn covariance_becomes_the_identity() {
        let rows: Vec<Vec<f32>> = (0..500)
            .map(|i| {
                let (a, b) = ((i as f32 * 0.7).sin(), (i as f32 * 1.3).cos());
                vec![
                    3.0 * a + 1.0,
                    0.2 * b + 2.0 * a + (i as f32 * 0.31).sin(),
                    b - 5.0,
                ]
            })
            .collect();
        {
            let w = Whitening::fit(&rows, 0.0).unwrap();
            let all = w.all(&rows.concat());
            for (x, row) in all.chunks_exact(3).zip(&rows) {
                assert!(x.iter().zip(w.one(row)).all(|(a, b)| (a - b).abs() < 1e-4));
            }
            for i in 0..3 {
                for j in 0..3 {
                    let c: f32 = all.chunks_exact(3).map(|r| r[i] * r[j]).sum::<f32>() / 500.0;
                    let want = f32::from(u8::from(i == j));
                    assert!((c - want).abs() < 1e-3, "{i} {j} {c}");
                }
            }
        }
        let s = Whitening::scales(&rows).unwrap();
        let all = s.all(&rows.concat());
        let square: f32 = all.chunks_exact(3).map(|r| r[0] * r[0]).sum();
        assert!((square / 500.0 - 1.0).abs() < 1e-3);
        assert!(Whitening::fit::<Vec<f32>>(&[], 0.1).is_none());
    }
}
