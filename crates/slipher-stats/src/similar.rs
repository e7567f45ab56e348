//! Search for rows that are like others, and for rows that are like none: exact, over embeddings
//! that are [whitened](crate::whitening), in blocks, so that memory does not grow with the table.

use rayon::prelude::*;

/// The `n` nearest rows so far: (squared distance, row), nearest first.
#[derive(Clone, Debug, PartialEq)]
pub struct Nearest {
    n: usize,
    found: Vec<(f32, u64)>,
}

/// By distance; of equal distances the row that comes first.
fn order(a: &(f32, u64), b: &(f32, u64)) -> std::cmp::Ordering {
    a.0.total_cmp(&b.0).then(a.1.cmp(&b.1))
}

impl Nearest {
    /// None yet.
    pub fn new(n: usize) -> Nearest {
        Nearest { n, found: vec![] }
    }

    /// Looks through rows `[row][feature]` of which the first has the number `first`; the distance of
    /// a row is that from the nearest of `queries`. Rows that are not finite are never found.
    pub fn look(&mut self, queries: &[Vec<f32>], rows: &[f32], first: u64) {
        let Some(d) = queries.first().map(Vec::len).filter(|d| *d > 0) else {
            return;
        };
        let part = 4096 * d;
        let best: Vec<Vec<(f32, u64)>> = rows
            .par_chunks(part)
            .enumerate()
            .map(|(k, chunk)| {
                let at = |i: usize| first + (k * 4096 + i) as u64;
                let mut own: Vec<(f32, u64)> = chunk
                    .chunks_exact(d)
                    .enumerate()
                    .map(|(i, row)| (nearest_of(queries, row), at(i)))
                    .filter(|c| c.0.is_finite())
                    .collect();
                self.cut(&mut own);
                own
            })
            .collect();
        self.found.extend(best.into_iter().flatten());
        let mut found = std::mem::take(&mut self.found);
        self.cut(&mut found);
        self.found = found;
    }

    fn cut(&self, rows: &mut Vec<(f32, u64)>) {
        if rows.len() > self.n && self.n > 0 {
            rows.select_nth_unstable_by(self.n - 1, order);
        }
        rows.truncate(self.n);
    }

    /// The nearest rows: (squared distance, row), nearest first.
    pub fn done(mut self) -> Vec<(f32, u64)> {
        self.found.sort_unstable_by(order);
        self.found
    }
}

/// Squared distance of a row from the nearest of some.
pub fn nearest_of(queries: &[Vec<f32>], row: &[f32]) -> f32 {
    let each = queries.iter().map(|q| square(q, row));
    each.fold(f32::INFINITY, |a, b| if b.is_nan() { b } else { a.min(b) })
}

/// Squared distance, in lanes.
fn square(a: &[f32], b: &[f32]) -> f32 {
    let mut lanes = [0.0f32; 16];
    let (x, y) = (a.chunks_exact(16), b.chunks_exact(16));
    let rest: f32 = x
        .remainder()
        .iter()
        .zip(y.remainder())
        .map(|(a, b)| (a - b) * (a - b))
        .sum();
    for (a, b) in x.zip(y) {
        for ((l, a), b) in lanes.iter_mut().zip(a).zip(b) {
            *l += (a - b) * (a - b);
        }
    }
    rest + lanes.iter().sum::<f32>()
}

/// Mean distance to the `k` nearest of some reference rows `[row][feature]`, of each of `rows`: how
/// unlike the others a row is. A reference row that is the row itself does not count.
pub fn isolation(reference: &[f32], rows: &[f32], d: usize, k: usize) -> Vec<f32> {
    let one = |row: &[f32]| {
        let mut best = vec![f32::INFINITY; k.max(1)];
        for r in reference.chunks_exact(d) {
            let v = square(r, row);
            if v > 0.0 && v < best[k - 1] {
                let at = best.partition_point(|b| *b <= v);
                best.insert(at, v);
                best.truncate(k);
            }
        }
        let good: Vec<f32> = best.into_iter().filter(|v| v.is_finite()).collect();
        if row.iter().any(|v| !v.is_finite()) || good.is_empty() {
            return f32::NAN;
        }
        good.iter().map(|v| v.sqrt()).sum::<f32>() / good.len() as f32
    };
    rows.par_chunks_exact(d).map(one).collect()
}

/// A decision of a person on a row.
#[derive(Clone, Debug, PartialEq)]
pub struct Vote {
    /// Whitened.
    pub at: Vec<f32>,
    /// From 0 (not interesting) to 1.
    pub interest: f32,
}

/// Interest of rows by those of the nearest votes, beside how unlike the others they are: after
/// Astronomaly (Lochner & Bassett 2021, section 2.5). Far from all votes the isolation rank stands as
/// it is; beside a vote it is raised or lowered by it. `isolation` are ranks from 0 to 1.
pub fn by_votes(votes: &[Vote], rows: &[f32], isolation: &[f32], scale: f32) -> Vec<f32> {
    let Some(d) = votes.first().map(|v| v.at.len()) else {
        return isolation.to_vec();
    };
    let one = |(row, own): (&[f32], &f32)| {
        let (mut sum, mut weights, mut far) = (0.0f32, 0.0f32, 1.0f32);
        for v in votes {
            let near = (-0.5 * square(&v.at, row) / (scale * scale).max(1e-12)).exp();
            sum += near * v.interest;
            weights += near;
            far *= 1.0 - near;
        }
        let said = if weights > 1e-30 { sum / weights } else { 0.5 };
        // How much the votes know about this place.
        let known = 1.0 - far;
        own * (1.0 - known) + known * said
    };
    rows.par_chunks_exact(d).zip(isolation).map(one).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(n: usize, d: usize) -> Vec<f32> {
        (0..n * d).map(|i| (i as f32 * 0.7389).sin()).collect()
    }

    /// Blocks in any size find what sorting all finds, the query itself first.
    #[test]
    fn blocks_find_what_sorting_finds() {
        let (n, d) = (20_000, 19);
        let x = rows(n, d);
        let q = vec![x[7 * d..8 * d].to_vec(), x[123 * d..124 * d].to_vec()];
        let mut all: Vec<(f32, u64)> = x
            .chunks_exact(d)
            .enumerate()
            .map(|(i, r)| (nearest_of(&q, r), i as u64))
            .collect();
        all.sort_unstable_by(order);
        for block in [997, 8192, n] {
            let mut s = Nearest::new(25);
            for (k, part) in x.chunks(block * d).enumerate() {
                s.look(&q, part, (k * block) as u64);
            }
            assert_eq!(s.done(), all[..25]);
        }
        let mut none = Nearest::new(3);
        none.look(&q, &vec![f32::NAN; d], 0);
        assert!(none.done().is_empty());
    }

    #[test]
    fn what_is_alone_is_isolated_and_votes_move_their_surroundings() {
        let d = 3;
        let mut x = rows(400, d);
        x.extend([9.0, 9.0, 9.0]);
        let lonely = isolation(&x, &x, d, 5);
        let top = (0..401).max_by(|a, b| lonely[*a].total_cmp(&lonely[*b]));
        assert_eq!(top, Some(400));
        let ranks: Vec<f32> = (0..401).map(|i| i as f32 / 401.0).collect();
        assert_eq!(by_votes(&[], &x, &ranks, 1.0), ranks);
        let no = Vote {
            at: vec![9.0; 3],
            interest: 0.0,
        };
        let yes = Vote {
            at: x[..3].to_vec(),
            interest: 1.0,
        };
        let s = by_votes(&[no, yes], &x, &ranks, 0.3);
        assert!(s[400] < 0.01 && s[0] > 0.99);
    }
}
