//! Two numbers for a row of an embedding, to be drawn: its principal components.

use arrow_array::cast::AsArray;
use arrow_array::types::Float32Type;
use arrow_array::{Array, RecordBatch};

/// Rows that the components are made from.
pub const ROWS: usize = 20_000;
/// Iterations of the power method; it has converged long before.
const ROUNDS: usize = 200;

/// Mean and the two directions along which rows differ most.
#[derive(Clone, Debug, Default)]
pub struct Components {
    mean: Vec<f64>,
    axes: [Vec<f64>; 2],
}

/// The rows of the first column of a batch, none where a value is not finite.
pub fn rows(batch: &RecordBatch) -> Vec<Option<Vec<f32>>> {
    let column = batch.column(0);
    let list = column.as_fixed_size_list_opt();
    let one = |i: usize| {
        let values = list.filter(|l| l.is_valid(i)).map(|l| l.value(i))?;
        let values = values.as_primitive_opt::<Float32Type>()?.values().to_vec();
        values.iter().all(|v| v.is_finite()).then_some(values)
    };
    (0..column.len()).map(one).collect()
}

fn times(matrix: &[f64], v: &[f64]) -> Vec<f64> {
    let row = |r: &[f64]| r.iter().zip(v).map(|(a, b)| a * b).sum();
    matrix.chunks_exact(v.len()).map(row).collect()
}

fn scaled(v: &[f64]) -> Option<Vec<f64>> {
    let size = v.iter().map(|x| x * x).sum::<f64>().sqrt();
    (size > 0.0 && size.is_finite()).then(|| v.iter().map(|x| x / size).collect())
}

impl Components {
    /// Of some rows of one width.
    pub fn of(rows: &[Vec<f32>]) -> Components {
        let d = rows.first().map_or(0, Vec::len);
        if d == 0 {
            return Components::default();
        }
        let rows: Vec<&Vec<f32>> = rows.iter().filter(|r| r.len() == d).collect();
        let n = rows.len().max(1) as f64;
        let mut mean = vec![0.0; d];
        for r in &rows {
            mean.iter_mut()
                .zip(r.iter())
                .for_each(|(m, v)| *m += f64::from(*v) / n);
        }
        let mut covariance = vec![0.0; d * d];
        for r in &rows {
            let off: Vec<f64> = r
                .iter()
                .zip(&mean)
                .map(|(v, m)| f64::from(*v) - m)
                .collect();
            for (i, a) in off.iter().enumerate() {
                let row = &mut covariance[i * d..(i + 1) * d];
                row.iter_mut().zip(&off).for_each(|(c, b)| *c += a * b / n);
            }
        }
        let mut axes = [vec![0.0; d], vec![0.0; d]];
        for k in 0..2 {
            // From a direction that is the same for the same table.
            let mut v: Vec<f64> = (0..d)
                .map(|i| 1.0 + 0.37 * ((i * (k + 3)) as f64).sin())
                .collect();
            for _ in 0..ROUNDS {
                let mut next = times(&covariance, &v);
                if k == 1 {
                    let along: f64 = next.iter().zip(&axes[0]).map(|(a, b)| a * b).sum();
                    next.iter_mut()
                        .zip(&axes[0])
                        .for_each(|(a, b)| *a -= along * b);
                }
                let Some(unit) = scaled(&next) else { break };
                v = unit;
            }
            axes[k] = scaled(&v).unwrap_or_default();
        }
        Components { mean, axes }
    }

    /// A row along one of the two; NaN for a row of another width.
    pub fn along(&self, k: usize, row: &[f32]) -> f32 {
        if row.len() != self.mean.len() {
            return f32::NAN;
        }
        let each = row.iter().zip(&self.mean).zip(&self.axes[k]);
        each.map(|((v, m), a)| (f64::from(*v) - m) * a).sum::<f64>() as f32
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Rows that lie along two directions: the components find them, longest first.
    #[test]
    fn the_longest_directions_are_found() {
        let row = |i: usize| {
            let (a, b) = ((i as f32 * 0.7).sin() * 5.0, (i as f32 * 1.3).cos());
            vec![a * 0.6 + 2.0, a * 0.8 - 1.0, b, 3.0]
        };
        let rows: Vec<Vec<f32>> = (0..500).map(row).collect();
        let c = Components::of(&rows);
        let unit = |v: &[f64], w: [f64; 4]| {
            let dot: f64 = v.iter().zip(w).map(|(a, b)| a * b).sum();
            assert!(dot.abs() > 0.999, "{v:?}");
        };
        unit(&c.axes[0], [0.6, 0.8, 0.0, 0.0]);
        unit(&c.axes[1], [0.0, 0.0, 1.0, 0.0]);
        assert!((c.along(0, &rows[3]) - c.along(0, &rows[3])).abs() < 1e-6);
        assert!(c.along(0, &[1.0]).is_nan());
        assert!(Components::of(&[]).along(0, &[1.0]).is_nan());
        // Rows that are all the same have no direction.
        let same = Components::of(&vec![vec![1.0, 2.0]; 5]);
        assert_eq!(same.along(1, &[1.0, 2.0]), 0.0);
    }
}
