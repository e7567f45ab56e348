//! k nearest neighbours (Cover & Hart 1967): exact Euclidean distances as products of matrices,
//! votes by 1 / distance².

use rayon::prelude::*;

use crate::Labelled;
use crate::product::with_transposed;

/// Parameters.
#[derive(Clone, Copy, Debug)]
pub struct NeighboursParams {
    /// Neighbours that vote.
    pub k: usize,
    /// Scale every row to unit length: distances of directions.
    pub unit: bool,
}

/// The training set, remembered.
pub struct Neighbours {
    params: NeighboursParams,
    x: Vec<f32>,
    norms: Vec<f32>,
    labels: Vec<usize>,
    features: usize,
    classes: usize,
}

/// Rows of the training set compared at a time.
const BLOCK: usize = 2048;

impl Neighbours {
    /// Keeps the rows, scaled.
    pub fn fit(params: NeighboursParams, data: &Labelled) -> Neighbours {
        let x = scaled(data.x, data.features, params.unit);
        let norms = x
            .chunks_exact(data.features)
            .map(|r| r.iter().map(|v| v * v).sum())
            .collect();
        Neighbours {
            params,
            x,
            norms,
            labels: data.labels.to_vec(),
            features: data.features,
            classes: data.classes,
        }
    }

    /// The k nearest rows of each row of `x`, nearest first: (squared distance, index).
    pub fn nearest(&self, x: &[f32]) -> Vec<Vec<(f32, usize)>> {
        let d = self.features;
        let x = scaled(x, d, self.params.unit);
        let own: Vec<f32> = x
            .chunks_exact(d)
            .map(|r| r.iter().map(|v| v * v).sum())
            .collect();
        let k = self.params.k.min(self.labels.len());
        let mut best: Vec<Vec<(f32, usize)>> = vec![Vec::with_capacity(k + 1); own.len()];
        for (b, part) in self.x.chunks(BLOCK * d).enumerate() {
            let dots = with_transposed(&x, part, d);
            let n = part.len() / d;
            best.par_iter_mut()
                .zip(dots.par_chunks_exact(n))
                .zip(&own)
                .for_each(|((best, dots), own)| {
                    for (i, dot) in dots.iter().enumerate() {
                        let j = b * BLOCK + i;
                        let distance = (own + self.norms[j] - 2.0 * dot).max(0.0);
                        if best.len() < k || best.last().is_some_and(|w| distance < w.0) {
                            let at = best.partition_point(|w| w.0 <= distance);
                            best.insert(at, (distance, j));
                            best.truncate(k);
                        }
                    }
                });
        }
        best
    }

    /// Share of the votes, `[row][class]`.
    pub fn predict(&self, x: &[f32]) -> Vec<f32> {
        let mut out = vec![0.0; x.len() / self.features * self.classes];
        for (near, votes) in self
            .nearest(x)
            .iter()
            .zip(out.chunks_exact_mut(self.classes))
        {
            let weight = |d: f32| 1.0 / (d + 1e-12);
            let total: f32 = near.iter().map(|n| weight(n.0)).sum();
            near.iter()
                .for_each(|n| votes[self.labels[n.1]] += weight(n.0) / total);
        }
        out
    }
}

fn scaled(x: &[f32], features: usize, unit: bool) -> Vec<f32> {
    let mut x = x.to_vec();
    if unit {
        for r in x.chunks_exact_mut(features) {
            let norm = r.iter().map(|v| v * v).sum::<f32>().sqrt().max(1e-20);
            r.iter_mut().for_each(|v| *v /= norm);
        }
    }
    x
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_nearest() {
        let x: Vec<f32> = (0..50 * 6).map(|i| ((i * i) as f32 * 0.37).sin()).collect();
        let labels: Vec<usize> = (0..50).map(|i| i % 5).collect();
        let data = Labelled::new(&x, 6, &labels, 5);
        let model = Neighbours::fit(NeighboursParams { k: 3, unit: false }, &data);
        let query: Vec<f32> = (0..4 * 6).map(|i| (i as f32 * 0.9).cos()).collect();
        for (q, found) in query.chunks_exact(6).zip(model.nearest(&query)) {
            let mut all: Vec<(f32, usize)> = (0..50)
                .map(|i| {
                    (
                        data.row(i)
                            .iter()
                            .zip(q)
                            .map(|(a, b)| (a - b).powi(2))
                            .sum(),
                        i,
                    )
                })
                .collect();
            all.sort_by(|a, b| a.0.total_cmp(&b.0));
            assert_eq!(
                found.iter().map(|f| f.1).collect::<Vec<_>>(),
                all[..3].iter().map(|a| a.1).collect::<Vec<_>>()
            );
        }
        let votes = model.predict(&query);
        assert!(
            votes
                .chunks_exact(5)
                .all(|v| (v.iter().sum::<f32>() - 1.0).abs() < 1e-5)
        );
        // A row of the training set is its own nearest neighbour.
        let own = model.predict(data.row(7));
        assert!(own[2] > 0.999);
    }
}
