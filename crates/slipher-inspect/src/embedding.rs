//! Two numbers for a row of an embedding, to be drawn: its principal components.

use arrow_array::cast::AsArray;
use arrow_array::types::Float32Type;
use arrow_array::{Array, RecordBatch};
use slipher_stats::pca::{Pca, PcaParams};

/// Rows that the components are made from.
pub const ROWS: usize = 20_000;
/// Components that are drawn.
const DRAWN: usize = 2;

/// The two directions along which rows differ most.
#[derive(Clone, Debug, Default)]
pub struct Components(Option<Pca>);

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

impl Components {
    /// Of some rows of one width; none of no rows.
    pub fn of(rows: &[Vec<f32>]) -> Components {
        let d = rows.first().map_or(0, Vec::len);
        if d == 0 {
            return Components::default();
        }
        let of_width = rows.iter().filter(|r| r.len() == d);
        let x: Vec<f32> = of_width.flatten().copied().collect();
        Components(Some(Pca::fit(&PcaParams::new(DRAWN), &x, d)))
    }

    /// A row along one of the two; NaN for a row of another width.
    pub fn along(&self, k: usize, row: &[f32]) -> f32 {
        let Some(p) = self.0.as_ref().filter(|p| p.features == row.len()) else {
            return f32::NAN;
        };
        // Of fewer rows or values than components there is nothing along the others.
        p.transform(row).get(k).copied().unwrap_or(0.0)
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
        let all = &c.0.as_ref().unwrap().components;
        let axis = |k: usize| &all[4 * k..4 * k + 4];
        let unit = |v: &[f32], w: [f32; 4]| {
            let dot: f32 = v.iter().zip(w).map(|(a, b)| a * b).sum();
            assert!(dot.abs() > 0.999, "{v:?}");
        };
        unit(axis(0), [0.6, 0.8, 0.0, 0.0]);
        unit(axis(1), [0.0, 0.0, 1.0, 0.0]);
        assert!((c.along(0, &rows[3]) - c.along(0, &rows[3])).abs() < 1e-6);
        assert!(c.along(0, &[1.0]).is_nan());
        assert!(Components::of(&[]).along(0, &[1.0]).is_nan());
        // Rows that are all the same have no direction.
        let same = Components::of(&vec![vec![1.0, 2.0]; 5]);
        assert_eq!(same.along(1, &[1.0, 2.0]), 0.0);
    }
}
