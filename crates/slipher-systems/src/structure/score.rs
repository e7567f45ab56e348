//! Bias, scatter and the score of the Euclid Morphology Challenge (Bretonnière et al. 2023).

/// Edges of the challenge's bins of magnitude: eleven from 14 to 25.3.
pub fn bins() -> Vec<f64> {
    (0..12).map(|k| 14.0 + 11.3 * f64::from(k) / 11.0).collect()
}

/// Weights of the bins, bright to faint.
pub const WEIGHTS: [f64; 11] = [
    0.00002, 0.00016, 0.00069, 0.00272, 0.00911, 0.02255, 0.05502, 0.11255, 0.20421, 0.30131,
    0.29166,
];

/// Bias, scatter and share of outliers of errors.
#[derive(Clone, Copy, Debug)]
pub struct Spread {
    /// Median.
    pub bias: f64,
    /// 68 % quantile of |error| − median, as the challenge's code takes it.
    pub scatter: f64,
    /// Share beyond 0.5.
    pub outliers: f64,
    /// Rows.
    pub n: usize,
}

fn quantile(v: &mut [f64], q: f64) -> f64 {
    if v.is_empty() {
        return f64::NAN;
    }
    v.sort_by(f64::total_cmp);
    let at = q * (v.len() - 1) as f64;
    let (low, high) = (at.floor() as usize, at.ceil() as usize);
    v[low] + (at - low as f64) * (v[high] - v[low])
}

impl Spread {
    /// Of errors.
    pub fn of(errors: &[f64]) -> Spread {
        let mut e: Vec<f64> = errors.iter().copied().filter(|e| e.is_finite()).collect();
        let bias = quantile(&mut e, 0.5);
        let mut off: Vec<f64> = e.iter().map(|x| (x.abs() - bias).abs()).collect();
        let outside = e.iter().filter(|x| x.abs() > 0.5).count();
        Spread {
            bias,
            scatter: quantile(&mut off, 0.68),
            outliers: outside as f64 / e.len().max(1) as f64,
            n: e.len(),
        }
    }
}

/// The challenge's score of (magnitude, error) pairs and the share that was answered: lower is
/// better.
pub fn challenge(rows: &[(f64, f64)], completeness: f64) -> f64 {
    let edges = bins();
    let mut sum = 1.0 - completeness;
    for (k, w) in WEIGHTS.iter().enumerate() {
        let inside = rows
            .iter()
            .filter(|r| (edges[k]..edges[k + 1]).contains(&r.0));
        let errors: Vec<f64> = inside.map(|r| r.1).collect();
        if errors.is_empty() {
            continue;
        }
        let s = Spread::of(&errors);
        sum += w * (s.bias.abs() + s.scatter + s.outliers);
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The challenge's own numbers: weights sum up to one, a perfect answer scores 0, none 1.
    #[test]
    fn the_challenges_score() {
        assert!((WEIGHTS.iter().sum::<f64>() - 1.0).abs() < 5e-3);
        let rows: Vec<(f64, f64)> = (0..200)
            .map(|i| (14.5 + 0.05 * f64::from(i), 0.0))
            .collect();
        assert!(challenge(&rows, 1.0).abs() < 1e-12 && (challenge(&[], 0.0) - 1.0).abs() < 1e-12);
        let s = Spread::of(&[-0.1, 0.0, 0.1, 0.7]);
        assert!((s.bias - 0.05).abs() < 1e-12 && (s.outliers - 0.25).abs() < 1e-12);
    }
}
