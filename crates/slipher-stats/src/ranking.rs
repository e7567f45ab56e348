//! Ranked lists of rare objects: probabilities at the prevalence of the sky instead of that of the
//! training, and the purity that is expected of the first N.

/// A probability of a classifier that learned from a sample in which a share `trained` was
/// positive, where in truth a share `prevalence` is (Saerens, Latinne & Decaestecker 2002,
/// equation 2.4): the odds are multiplied by the ratio of the prior odds.
pub fn at_prevalence(p: f64, trained: f64, prevalence: f64) -> f64 {
    let up = p * prevalence / trained;
    let down = (1.0 - p) * (1.0 - prevalence) / (1.0 - trained);
    up / (up + down)
}

/// Rows from the likeliest to the least likely.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Ranking {
    /// Numbers of the rows, best first; equal ones in their order.
    pub order: Vec<u64>,
    /// Expected purity of the rows up to this one: the mean of their probabilities.
    pub purity: Vec<f64>,
    /// Expected share of all positive rows among them: Σ p up to this one over Σ p of all.
    pub completeness: Vec<f64>,
}

/// Ranks rows (number, probability); those without a probability are left out.
pub fn rank(rows: &[(u64, f64)]) -> Ranking {
    let mut rows: Vec<(u64, f64)> = rows.iter().copied().filter(|r| r.1.is_finite()).collect();
    rows.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
    let all: f64 = rows.iter().map(|r| r.1).sum();
    let mut ranking = Ranking::default();
    let mut sum = 0.0;
    for (k, (row, p)) in rows.iter().enumerate() {
        sum += p;
        ranking.order.push(*row);
        ranking.purity.push(sum / (k + 1) as f64);
        ranking.completeness.push(sum / all.max(f64::MIN_POSITIVE));
    }
    ranking
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Bayes by counting: of a million objects 500 are positive; a score that 80 % of the positive
    /// and 0.1 % of the others have says 28.6 %.
    #[test]
    fn prevalence_is_bayes() {
        // In a balanced sample the score means 0.8 / (0.8 + 0.001).
        let p = 0.8 / 0.801;
        let want = 400.0 / (400.0 + 0.001 * 999_500.0);
        assert!((at_prevalence(p, 0.5, 5e-4) - want).abs() < 1e-9);
        assert!((at_prevalence(0.3, 0.2, 0.2) - 0.3).abs() < 1e-12);
        assert_eq!(at_prevalence(0.0, 0.5, 1e-3), 0.0);
        assert_eq!(at_prevalence(1.0, 0.5, 1e-3), 1.0);
        // There and back again.
        let back = at_prevalence(at_prevalence(0.37, 0.5, 1e-3), 1e-3, 0.5);
        assert!((back - 0.37).abs() < 1e-9);
    }

    #[test]
    fn the_best_come_first() {
        let r = rank(&[(0, 0.2), (1, f64::NAN), (2, 0.9), (3, 0.2), (4, 0.7)]);
        assert_eq!(r.order, [2, 4, 0, 3]);
        let want = [0.9, 0.8, 0.6, 0.5];
        assert!(
            r.purity
                .iter()
                .zip(want)
                .all(|(a, b)| (a - b).abs() < 1e-12)
        );
        assert!((r.completeness[3] - 1.0).abs() < 1e-12);
        assert_eq!(rank(&[]), Ranking::default());
    }
}
