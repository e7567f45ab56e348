//! Classes from few examples, on features that were learned elsewhere: prototypes (Snell, Swersky &
//! Zemel 2017) and logistic regression, both linear, in features that are scaled or
//! [whitened](crate::whitening). Which of them, with which penalty and temperature, is chosen by
//! cross-validation; the error is that of rows that took part neither in the fit nor in the choice
//! (nested cross-validation; leaving one out for up to [`LEAVE_ONE_OUT`] examples).

use rayon::prelude::*;
use slipher_nn::loss::{golden_section, softmax};

use crate::Labelled;
use crate::classification::largest;
use crate::logistic::{Logistic, LogisticParams};
use crate::proportion::Tally;
use crate::whitening::Whitening;

/// Examples of which each is left out by itself.
pub const LEAVE_ONE_OUT: usize = 60;
/// Folds for more examples, and for very many.
const FOLDS: [usize; 2] = [20, 5];
/// Examples from which on few folds are enough.
const MANY: usize = 300;
/// Folds of a choice.
const INNER: usize = 5;
/// Features that are whitened, at most.
const LONGEST: usize = 512;
/// Share of the mean variance that is added to each when features are whitened.
const SHRINKAGE: f64 = 0.1;
/// Penalties of logistic regression, in units of the number of features and views.
const PENALTIES: [f64; 4] = [0.01, 0.1, 1.0, 10.0];

/// Features of examples from one network: a row for each of its views of each example.
pub struct Member {
    /// `[view][example · feature]`.
    views: Vec<Vec<f32>>,
    features: usize,
    spaces: Vec<Whitening>,
}

impl Member {
    /// Features `[view][example · feature]`; `background` are rows of the population that the
    /// examples are from, which say how features vary. None for features that are not finite.
    pub fn new(
        views: Vec<Vec<f32>>,
        features: usize,
        background: Option<&[Vec<f32>]>,
    ) -> Option<Member> {
        let own: Vec<Vec<f32>> = views
            .iter()
            .flat_map(|v| v.chunks_exact(features.max(1)).map(<[f32]>::to_vec))
            .collect();
        let rows = background.filter(|b| b.len() > own.len()).unwrap_or(&own);
        let mut spaces = vec![Whitening::scales(rows)?];
        if features <= LONGEST && rows.len() > 2 {
            spaces.extend(Whitening::fit(rows, SHRINKAGE));
        }
        let finite = views.iter().flatten().all(|v| v.is_finite());
        finite.then_some(Member {
            views,
            features,
            spaces,
        })
    }

    fn row(&self, view: usize, example: usize) -> &[f32] {
        &self.views[view][example * self.features..(example + 1) * self.features]
    }
}

/// Logits from features: weights `[class][feature]` and biases.
#[derive(Clone, Debug, PartialEq)]
pub struct Linear {
    /// `[class][feature]`.
    pub weights: Vec<f32>,
    /// A class each.
    pub biases: Vec<f32>,
}

impl Linear {
    fn logits(&self, x: &[f32]) -> Vec<f32> {
        let rows = self.weights.chunks_exact(x.len());
        rows.zip(&self.biases)
            .map(|(w, b)| b + w.iter().zip(x).map(|(w, x)| w * x).sum::<f32>())
            .collect()
    }

    /// From weights on whitened features.
    fn of(space: &Whitening, weights: &[f64], biases: &[f64]) -> Linear {
        let n = space.features();
        let mut out = Linear {
            weights: vec![],
            biases: vec![],
        };
        for (w, b) in weights.chunks_exact(n).zip(biases) {
            let mut own = vec![0.0f64; n];
            for i in 0..n {
                for j in 0..=i {
                    own[j] += w[i] * f64::from(space.factor[i * n + j]);
                }
            }
            let shift: f64 = own
                .iter()
                .zip(&space.mean)
                .map(|(w, m)| w * f64::from(*m))
                .sum();
            out.weights.extend(own.iter().map(|v| *v as f32));
            out.biases.push((b - shift) as f32);
        }
        out
    }
}

/// How classes are told apart.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Method {
    /// Distance to the mean of each class.
    Prototypes {
        /// Scaled (0) or whitened (1).
        space: usize,
    },
    /// Logistic regression.
    Logistic {
        /// Scaled (0) or whitened (1).
        space: usize,
        /// Penalty, in units of the number of features and views.
        penalty: f64,
    },
}

impl std::fmt::Display for Method {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let space = |s: &usize| if *s == 0 { "scaled" } else { "whitened" };
        match self {
            Method::Prototypes { space: s } => {
                write!(f, "prototypes on {} features", space(s))
            }
            Method::Logistic { space: s, penalty } => write!(
                f,
                "logistic regression on {} features (penalty {penalty})",
                space(s)
            ),
        }
    }
}

/// What was learned.
#[derive(Clone, Debug)]
pub struct Learned {
    /// As it was chosen.
    pub method: Method,
    /// Of each member, the temperature divided out.
    pub heads: Vec<Linear>,
    /// Probabilities of each example by what was learned without it; none where its class had no
    /// other example.
    pub left_out: Vec<Option<Vec<f32>>>,
}

impl Learned {
    /// Examples that are called by their label when they are left out.
    pub fn right(&self, labels: &[usize]) -> Tally {
        let mut t = Tally::default();
        for (p, label) in self.left_out.iter().zip(labels) {
            if let Some(p) = p {
                t.add(largest(p) == *label);
            }
        }
        t
    }
}

/// Learns from examples.
pub struct Few<'a> {
    /// Networks.
    pub members: &'a [Member],
    /// Of each example.
    pub labels: &'a [usize],
    /// Number of classes.
    pub classes: usize,
}

impl Few<'_> {
    /// Chooses, fits and says how well that does on rows that it has not seen.
    pub fn learn(&self) -> Learned {
        let n = self.labels.len();
        let all: Vec<usize> = (0..n).collect();
        let (method, temperature) = self.choose(&all);
        let folds = match n {
            _ if n <= LEAVE_ONE_OUT => n,
            _ if n <= MANY => FOLDS[0],
            _ => FOLDS[1],
        };
        let parts = self.folds(&all, folds);
        let answers: Vec<Vec<(usize, Option<Vec<f32>>)>> = parts
            .par_iter()
            .map(|held| {
                let rest: Vec<usize> = all.iter().copied().filter(|i| !held.contains(i)).collect();
                if !self.has_all(&rest) {
                    return held.iter().map(|i| (*i, None)).collect();
                }
                let (method, temperature) = self.choose(&rest);
                let heads = self.fit(method, &rest);
                held.iter()
                    .map(|i| (*i, Some(self.probabilities(&heads, *i, temperature))))
                    .collect()
            })
            .collect();
        let mut left_out = vec![None; n];
        for (i, p) in answers.into_iter().flatten() {
            left_out[i] = p;
        }
        let mut heads = self.fit(method, &all);
        for h in &mut heads {
            let scaled = h.weights.iter_mut().chain(&mut h.biases);
            scaled.for_each(|v| *v /= temperature);
        }
        Learned {
            method,
            heads,
            left_out,
        }
    }

    fn has_all(&self, rows: &[usize]) -> bool {
        (0..self.classes).all(|k| rows.iter().any(|i| self.labels[*i] == k))
    }

    /// Rows in parts with about as many of each class.
    fn folds(&self, rows: &[usize], parts: usize) -> Vec<Vec<usize>> {
        let mut sorted = rows.to_vec();
        sorted.sort_by_key(|i| (self.labels[*i], *i));
        let mut out = vec![vec![]; parts.min(rows.len()).max(1)];
        let count = out.len();
        for (k, i) in sorted.into_iter().enumerate() {
            out[k % count].push(i);
        }
        out
    }

    fn methods(&self) -> Vec<Method> {
        let spaces = self.members.iter().map(|m| m.spaces.len()).min();
        let of = |space: usize| {
            let logistic = PENALTIES.map(|penalty| Method::Logistic { space, penalty });
            [Method::Prototypes { space }].into_iter().chain(logistic)
        };
        (0..spaces.unwrap_or(0)).flat_map(of).collect()
    }

    /// Method and temperature of least log loss in cross-validation.
    fn choose(&self, rows: &[usize]) -> (Method, f32) {
        let parts = self.folds(rows, if rows.len() <= 20 { rows.len() } else { INNER });
        let features = self.members.iter().map(|m| m.features).max().unwrap_or(1);
        let mut best: Option<(f64, Method, f32)> = None;
        for method in self.methods() {
            let mut held: Vec<(usize, Vec<Vec<f32>>)> = vec![];
            for part in &parts {
                let rest: Vec<usize> = rows.iter().copied().filter(|i| !part.contains(i)).collect();
                if self.has_all(&rest) {
                    let heads = self.fit(method, &rest);
                    held.extend(part.iter().map(|i| (*i, self.logits(&heads, *i))));
                }
            }
            if held.is_empty() {
                continue;
            }
            let loss = |ln: f64| -> f64 {
                let each = held.iter().map(|(i, l)| {
                    let p = mean_softmax(l, ln.exp() as f32)[self.labels[*i]];
                    -f64::from(p.max(1e-9)).ln()
                });
                each.sum::<f64>() / held.len() as f64
            };
            let ln = golden_section(-3.0, 7.0, loss);
            let value = loss(ln);
            if best.is_none_or(|(least, ..)| value < least) {
                best = Some((value, method, ln.exp() as f32));
            }
        }
        // One example a class: nothing to choose by; distances between two draws of one class vary
        // with the root of the number of features.
        let space = usize::from(self.members.iter().all(|m| m.spaces.len() > 1));
        best.map_or_else(
            || {
                let temperature = 4.0 * (features as f32).sqrt();
                (Method::Prototypes { space }, temperature)
            },
            |(_, method, temperature)| (method, temperature),
        )
    }

    fn fit(&self, method: Method, rows: &[usize]) -> Vec<Linear> {
        self.members
            .iter()
            .map(|m| self.fit_one(method, m, rows))
            .collect()
    }

    fn fit_one(&self, method: Method, m: &Member, rows: &[usize]) -> Linear {
        let (Method::Prototypes { space } | Method::Logistic { space, .. }) = method;
        let space = &m.spaces[space];
        let n = m.features;
        let (mut x, mut labels) = (vec![], vec![]);
        for view in 0..m.views.len() {
            for i in rows {
                x.extend(space.one(m.row(view, *i)));
                labels.push(self.labels[*i]);
            }
        }
        match method {
            Method::Prototypes { .. } => {
                let mut means = vec![0.0f64; self.classes * n];
                let mut counts = vec![0.0f64; self.classes];
                for (row, k) in x.chunks_exact(n).zip(&labels) {
                    counts[*k] += 1.0;
                    let own = &mut means[k * n..(k + 1) * n];
                    own.iter_mut()
                        .zip(row)
                        .for_each(|(m, v)| *m += f64::from(*v));
                }
                let mut biases = vec![];
                for (own, c) in means.chunks_exact_mut(n).zip(&counts) {
                    own.iter_mut().for_each(|m| *m /= c.max(1.0));
                    biases.push(-own.iter().map(|m| m * m).sum::<f64>());
                    own.iter_mut().for_each(|m| *m *= 2.0);
                }
                Linear::of(space, &means, &biases)
            }
            Method::Logistic { penalty, .. } => {
                let data = Labelled::new(&x, n, &labels, self.classes);
                let l2 = penalty * (n * m.views.len()) as f64;
                let fitted = Logistic::fit(LogisticParams { l2, most: 60 }, &data);
                Linear::of(space, &fitted.weights, &fitted.biases)
            }
        }
    }

    /// Of each member and view.
    fn logits(&self, heads: &[Linear], example: usize) -> Vec<Vec<f32>> {
        let each = self.members.iter().zip(heads);
        each.flat_map(|(m, h)| (0..m.views.len()).map(move |v| h.logits(m.row(v, example))))
            .collect()
    }

    fn probabilities(&self, heads: &[Linear], example: usize, temperature: f32) -> Vec<f32> {
        mean_softmax(&self.logits(heads, example), temperature)
    }
}

fn mean_softmax(logits: &[Vec<f32>], temperature: f32) -> Vec<f32> {
    let mut mean = vec![0.0; logits.first().map_or(0, Vec::len)];
    for l in logits {
        let mut p: Vec<f32> = l.iter().map(|v| v / temperature).collect();
        let n = p.len();
        softmax(&mut p, n);
        let share = 1.0 / logits.len() as f32;
        mean.iter_mut().zip(p).for_each(|(m, p)| *m += share * p);
    }
    mean
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two classes that differ in one of 20 features, by `gap` of its spread.
    fn draws(n: usize, gap: f32, seed: u64) -> (Vec<f32>, Vec<usize>) {
        use rand::{Rng, SeedableRng};
        let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(seed);
        let mut normal = || (0..12).map(|_| rng.random::<f32>()).sum::<f32>() - 6.0;
        let labels: Vec<usize> = (0..n).map(|i| i % 2).collect();
        let row = |k: usize| {
            let mut r: Vec<f32> = (0..20).map(|_| normal()).collect();
            r[3] += gap * (k as f32 - 0.5);
            r
        };
        let x = labels.iter().copied().flat_map(row).collect();
        (x, labels)
    }

    fn learn(x: &[f32], labels: &[usize]) -> Learned {
        let background: Vec<Vec<f32>> = draws(200, 0.0, 99)
            .0
            .chunks(20)
            .map(<[f32]>::to_vec)
            .collect();
        let members = [Member::new(vec![x.to_vec()], 20, Some(&background)).unwrap()];
        Few {
            members: &members,
            labels,
            classes: 2,
        }
        .learn()
    }

    /// The error that is stated is that of rows that were not seen, in nearly all draws.
    #[test]
    fn the_stated_error_holds_on_new_rows() {
        let (mut inside, draws_made) = (0, 20);
        for seed in 0..draws_made {
            let (x, labels) = draws(40, 3.0, seed);
            let m = learn(&x, &labels);
            let t = m.right(&labels);
            assert_eq!(t.n, 40);
            let (new, truth) = draws(1000, 3.0, 1000 + seed);
            let right = new
                .chunks_exact(20)
                .zip(&truth)
                .filter(|(r, k)| largest(&m.heads[0].logits(r)) == **k)
                .count() as f64
                / 1000.0;
            let (low, high) = crate::proportion::wilson(t.right, t.n);
            inside += usize::from((low..=high).contains(&right));
        }
        assert!(inside >= 18, "{inside} of {draws_made}");
    }

    /// Labels without meaning: half is right, and probabilities say so.
    #[test]
    fn labels_without_meaning_are_not_learned() {
        let (x, labels) = draws(120, 0.0, 5);
        let m = learn(&x, &labels);
        let t = m.right(&labels);
        assert!((0.3..0.7).contains(&(t.right as f64 / t.n as f64)), "{t}");
        let sure = m.left_out.iter().flatten().map(|p| p[0].max(p[1]));
        assert!(sure.sum::<f32>() / 120.0 < 0.75);
    }

    /// One example a class makes a model that does not say how good it is.
    #[test]
    fn one_example_a_class() {
        let (x, labels) = draws(2, 12.0, 7);
        let m = learn(&x, &labels);
        assert_eq!(m.right(&labels).n, 0);
        let (new, truth) = draws(200, 12.0, 8);
        let right = new
            .chunks_exact(20)
            .zip(&truth)
            .filter(|(r, k)| largest(&m.heads[0].logits(r)) == **k)
            .count();
        assert!(right > 150, "{right}");
        assert!(m.heads[0].logits(&x[..20]).iter().all(|v| v.is_finite()));
    }
}
