//! Counts for plots: bounded, however many rows there are.

use rayon::prelude::*;
use serde::Serialize;

use crate::InspectError;
use crate::table::{Column, Table};

/// Up to so many rows a plot of two columns holds points.
const POINTS: usize = 5000;
/// Bins of an axis.
const BINS: usize = 96;

/// A plot of one or two columns of some rows.
#[derive(Clone, Debug, Serialize)]
pub struct Plot {
    /// Edges of the horizontal axis.
    pub x: [f64; 2],
    /// Edges of the vertical axis; none of counts of one column.
    pub y: Option<[f64; 2]>,
    /// Bins along each axis.
    pub bins: [usize; 2],
    /// `[y][x]`, or `[x]` of one column.
    pub counts: Vec<u32>,
    /// Row, x and y of each point, where they are few.
    pub points: Option<Vec<(u32, f32, f32)>>,
    /// Rows outside the edges or without a value.
    pub outside: usize,
}

/// Axis from the smallest to the largest value; without the outermost thousandth where that is far
/// from the rest.
fn edges(column: &Column, rows: &[u32]) -> Option<[f64; 2]> {
    let step = rows.len().div_ceil(20_000).max(1);
    let some = rows
        .iter()
        .step_by(step)
        .map(|r| column.number(*r as usize));
    let mut v: Vec<f64> = some.filter(|v| v.is_finite()).collect();
    v.sort_by(f64::total_cmp);
    let (first, last) = (*v.first()?, *v.last()?);
    let at = |q: f64| v[((v.len() - 1) as f64 * q) as usize];
    let (low, high) = (at(0.002), at(0.998));
    let wide = (high - low).abs();
    let a = if low - first > wide { low } else { first };
    let b = if last - high > wide { high } else { last };
    Some(if b > a { [a, b] } else { [a - 0.5, b + 0.5] })
}

/// Counts of one column, or of two.
///
/// # Errors
/// A column that there is not or that holds text.
pub fn plot(table: &Table, rows: &[u32], x: &str, y: Option<&str>) -> Result<Plot, InspectError> {
    let numbers = |name: &str| {
        let c = table.column(name)?;
        if c.is_number() {
            Ok(c)
        } else {
            Err(InspectError::Asked(format!("column '{name}' holds text")))
        }
    };
    let cx = numbers(x)?;
    let cy = y.map(numbers).transpose()?;
    let ex = edges(&cx, rows).unwrap_or([0.0, 1.0]);
    let ey = cy.as_ref().map(|c| edges(c, rows).unwrap_or([0.0, 1.0]));
    let bins = [BINS, if cy.is_some() { BINS * 2 / 3 } else { 1 }];
    let bin = |v: f64, e: [f64; 2], n: usize| {
        let k = (v - e[0]) / (e[1] - e[0]) * n as f64;
        (v >= e[0] && v <= e[1]).then(|| (k as usize).min(n - 1))
    };
    let place = |r: u32| {
        let i = bin(cx.number(r as usize), ex, bins[0])?;
        let j = match (&cy, ey) {
            (Some(c), Some(e)) => bin(c.number(r as usize), e, bins[1])?,
            _ => 0,
        };
        Some(j * bins[0] + i)
    };
    let empty = || (vec![0u32; bins[0] * bins[1]], 0usize);
    let (counts, outside) = rows
        .par_chunks(65_536)
        .map(|some| {
            let (mut counts, mut outside) = empty();
            for r in some {
                match place(*r) {
                    Some(k) => counts[k] += 1,
                    None => outside += 1,
                }
            }
            (counts, outside)
        })
        .reduce(empty, |mut a, b| {
            a.0.iter_mut().zip(b.0).for_each(|(a, b)| *a += b);
            (a.0, a.1 + b.1)
        });
    let points = cy.filter(|_| rows.len() <= POINTS).map(|c| {
        let one = |r: &u32| {
            (
                *r,
                cx.number(*r as usize) as f32,
                c.number(*r as usize) as f32,
            )
        };
        rows.iter().map(one).collect()
    });
    Ok(Plot {
        x: ex,
        y: ey,
        bins,
        counts,
        points,
        outside,
    })
}
