//! What several predictions of the same rows say together.

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rand_distr::Distribution;

/// Bayesian model combination (Monteith et al. 2011; Kim & Brunner 2017, section 3.4): the weights
/// of the members are drawn from Dirichlet distributions, combinations are weighted by their
/// likelihood on rows with known labels.
#[derive(Clone, Debug, PartialEq)]
pub struct Combination {
    /// One for each member; they sum to 1.
    pub weights: Vec<f64>,
}

/// Combinations in a set, of which the best moves the prior of the next set.
const SET: usize = 4;

impl Combination {
    /// All members alike.
    pub fn uniform(members: usize) -> Combination {
        Combination {
            weights: vec![1.0 / members as f64; members],
        }
    }

    /// From `sets` sets of four combinations. `probability(member, row)` is what a member gives to
    /// the label of a row.
    pub fn fit(
        members: usize,
        rows: usize,
        sets: usize,
        seed: u64,
        probability: impl Fn(usize, usize) -> f64,
    ) -> Combination {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let table: Vec<Vec<f64>> = (0..members)
            .map(|m| (0..rows).map(|r| probability(m, r)).collect())
            .collect();
        let likelihood = |w: &[f64]| -> f64 {
            (0..rows)
                .map(|r| {
                    w.iter()
                        .zip(&table)
                        .map(|(w, t)| w * t[r])
                        .sum::<f64>()
                        .max(1e-12)
                        .ln()
                })
                .sum()
        };
        let mut alpha = vec![1.0; members];
        let mut drawn: Vec<(f64, Vec<f64>)> = Vec::new();
        for _ in 0..sets {
            let set: Vec<(f64, Vec<f64>)> = (0..SET)
                .map(|_| {
                    let w = dirichlet(&alpha, &mut rng);
                    (likelihood(&w), w)
                })
                .collect();
            if let Some(best) = set.iter().max_by(|a, b| a.0.total_cmp(&b.0)) {
                alpha.iter_mut().zip(&best.1).for_each(|(a, w)| *a += w);
            }
            drawn.extend(set);
        }
        let top = drawn.iter().map(|d| d.0).fold(f64::NEG_INFINITY, f64::max);
        let mut weights = vec![0.0; members];
        for (l, w) in &drawn {
            weights
                .iter_mut()
                .zip(w)
                .for_each(|(s, w)| *s += (l - top).exp() * w);
        }
        let sum: f64 = weights.iter().sum();
        weights.iter_mut().for_each(|w| *w /= sum);
        Combination { weights }
    }

    /// Weighted mean of the members' values.
    pub fn combine<'a>(&self, members: impl Iterator<Item = &'a [f32]>) -> Vec<f32> {
        let mut out: Vec<f32> = Vec::new();
        for (w, values) in self.weights.iter().zip(members) {
            out.resize(values.len(), 0.0);
            out.iter_mut()
                .zip(values)
                .for_each(|(o, v)| *o += *w as f32 * v);
        }
        out
    }
}

/// One set of weights.
fn dirichlet(alpha: &[f64], rng: &mut ChaCha8Rng) -> Vec<f64> {
    let drawn: Vec<f64> = alpha
        .iter()
        .map(|a| rand_distr::Gamma::new(*a, 1.0).map_or(1.0, |g| g.sample(rng)))
        .collect();
    let sum: f64 = drawn.iter().sum();
    drawn.iter().map(|g| g / sum.max(1e-300)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A member that knows, one that guesses and one that is wrong: the first gets the weight.
    #[test]
    fn the_better_member_weighs_more() {
        let p = |m: usize, r: usize| [0.6 + 0.3 * (r % 2) as f64, 0.5, 0.2][m];
        let c = Combination::fit(3, 500, 100, 1, p);
        assert!((c.weights.iter().sum::<f64>() - 1.0).abs() < 1e-9);
        assert!(c.weights[0] > 0.8 && c.weights[2] < 0.1, "{c:?}");
        assert_eq!(c, Combination::fit(3, 500, 100, 1, p));
        let (a, b) = ([1.0f32, 0.0], [0.0f32, 1.0]);
        assert_eq!(
            Combination::uniform(2).combine([a.as_slice(), b.as_slice()].into_iter()),
            [0.5, 0.5]
        );
    }
}
