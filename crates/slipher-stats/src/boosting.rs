//! Gradient-boosted trees on histograms (Friedman 2001; Ke et al. 2017): softmax of many classes,
//! second-order gains, missing values (NaN) go to the side that suits them.

use rayon::prelude::*;
use slipher_nn::loss::softmax;

use crate::Labelled;

/// How trees are grown.
#[derive(Clone, Copy, Debug)]
pub struct BoostingParams {
    /// Rounds; each grows a tree for every class.
    pub rounds: usize,
    /// Share of each tree that is added.
    pub rate: f64,
    /// Leaves of a tree, at most.
    pub leaves: usize,
    /// Rows of a leaf, at least.
    pub rows: usize,
    /// Penalty of a leaf's squared value.
    pub ridge: f64,
}

impl Default for BoostingParams {
    fn default() -> Self {
        BoostingParams {
            rounds: 120,
            rate: 0.1,
            leaves: 31,
            rows: 20,
            ridge: 1.0,
        }
    }
}

/// Bins of a feature; the last is of missing values.
const BINS: usize = 64;

#[derive(Clone, Debug)]
enum Node {
    Leaf(f32),
    /// Left if the value's bin is at most `bin`, or missing and `missing`.
    Split {
        feature: usize,
        at: f32,
        missing: bool,
        left: usize,
        right: usize,
    },
}

#[derive(Clone, Debug)]
struct Tree(Vec<Node>);

impl Tree {
    fn value(&self, x: &[f32]) -> f32 {
        let mut k = 0;
        loop {
            match &self.0[k] {
                Node::Leaf(v) => return *v,
                Node::Split {
                    feature,
                    at,
                    missing,
                    left,
                    right,
                } => {
                    let v = x[*feature];
                    let goes_left = if v.is_nan() { *missing } else { v <= *at };
                    k = if goes_left { *left } else { *right };
                }
            }
        }
    }
}

/// A trained model.
#[derive(Clone, Debug)]
pub struct Boosting {
    features: usize,
    classes: usize,
    start: Vec<f32>,
    /// `[round][class]`.
    trees: Vec<Vec<Tree>>,
}

/// Edges of a feature's bins: its quantiles.
fn edges(x: &Labelled<'_>, feature: usize) -> Vec<f32> {
    let mut v: Vec<f32> = (0..x.rows())
        .map(|r| x.row(r)[feature])
        .filter(|v| v.is_finite())
        .collect();
    v.sort_by(f32::total_cmp);
    let n = v.len();
    let mut out: Vec<f32> = (1..BINS - 1)
        .filter_map(|k| v.get(k * n / (BINS - 1)).copied())
        .collect();
    out.dedup();
    out
}

/// Sums of gradient, second derivative and rows of a bin.
type Sums = [f64; 3];

struct Best {
    gain: f64,
    feature: usize,
    bin: usize,
    missing: bool,
}

struct Grower<'a> {
    p: &'a BoostingParams,
    /// `[feature][row]`.
    bins: &'a [Vec<u8>],
    edges: &'a [Vec<f32>],
    g: &'a [f32],
    h: &'a [f32],
}

impl Grower<'_> {
    fn score(&self, s: &Sums) -> f64 {
        s[0] * s[0] / (s[1] + self.p.ridge)
    }

    fn sums(&self, rows: &[u32]) -> Sums {
        rows.iter().fold([0.0; 3], |s, r| {
            let r = *r as usize;
            [
                s[0] + f64::from(self.g[r]),
                s[1] + f64::from(self.h[r]),
                s[2] + 1.0,
            ]
        })
    }

    fn best(&self, rows: &[u32], all: &Sums) -> Option<Best> {
        let own = self.score(all);
        let least = self.p.rows as f64;
        let of = |feature: usize| -> Option<Best> {
            let mut bins = [[0.0f64; 3]; BINS];
            for r in rows {
                let r = *r as usize;
                let b = &mut bins[self.bins[feature][r] as usize];
                b[0] += f64::from(self.g[r]);
                b[1] += f64::from(self.h[r]);
                b[2] += 1.0;
            }
            let gone = bins[BINS - 1];
            let mut best: Option<Best> = None;
            let mut left = [0.0; 3];
            for bin in 0..self.edges[feature].len() {
                (0..3).for_each(|k| left[k] += bins[bin][k]);
                for missing in [false, true] {
                    let mut l = left;
                    if missing {
                        (0..3).for_each(|k| l[k] += gone[k]);
                    }
                    let r = [all[0] - l[0], all[1] - l[1], all[2] - l[2]];
                    if l[2] < least || r[2] < least {
                        continue;
                    }
                    let gain = self.score(&l) + self.score(&r) - own;
                    if gain > best.as_ref().map_or(1e-6, |b| b.gain) {
                        best = Some(Best {
                            gain,
                            feature,
                            bin,
                            missing,
                        });
                    }
                }
            }
            best
        };
        let all: Vec<Option<Best>> = (0..self.bins.len()).into_par_iter().map(of).collect();
        // In order, so that ties do not depend on threads.
        all.into_iter()
            .flatten()
            .fold(None, |a: Option<Best>, b| match a {
                Some(a) if a.gain >= b.gain => Some(a),
                _ => Some(b),
            })
    }

    /// Splits the leaf that gains most until there are enough.
    fn grow(&self, rows: Vec<u32>) -> Tree {
        struct Open {
            node: usize,
            rows: Vec<u32>,
            best: Option<Best>,
        }
        let value = |s: &Sums| (-s[0] / (s[1] + self.p.ridge) * self.p.rate) as f32;
        let all = self.sums(&rows);
        let mut nodes = vec![Node::Leaf(value(&all))];
        let best = self.best(&rows, &all);
        let mut open = vec![Open {
            node: 0,
            rows,
            best,
        }];
        let mut leaves = 1;
        while leaves < self.p.leaves {
            let gain = |o: &Open| o.best.as_ref().map_or(0.0, |b| b.gain);
            let Some(k) =
                (0..open.len()).max_by(|a, b| gain(&open[*a]).total_cmp(&gain(&open[*b])))
            else {
                break;
            };
            let o = open.swap_remove(k);
            let Some(b) = o.best else { break };
            let (left, right): (Vec<u32>, Vec<u32>) = o.rows.iter().partition(|r| {
                let bin = self.bins[b.feature][**r as usize] as usize;
                if bin == BINS - 1 {
                    b.missing
                } else {
                    bin <= b.bin
                }
            });
            let (at_left, at_right) = (nodes.len(), nodes.len() + 1);
            nodes[o.node] = Node::Split {
                feature: b.feature,
                at: self.edges[b.feature][b.bin],
                missing: b.missing,
                left: at_left,
                right: at_right,
            };
            for (node, rows) in [(at_left, left), (at_right, right)] {
                let s = self.sums(&rows);
                nodes.push(Node::Leaf(value(&s)));
                let best = self.best(&rows, &s);
                open.push(Open { node, rows, best });
            }
            leaves += 1;
        }
        Tree(nodes)
    }
}

impl Boosting {
    /// Grows trees.
    pub fn fit(p: &BoostingParams, data: &Labelled<'_>) -> Boosting {
        let (n, classes) = (data.rows(), data.classes);
        let edges: Vec<Vec<f32>> = (0..data.features)
            .into_par_iter()
            .map(|f| edges(data, f))
            .collect();
        let bin = |f: usize, v: f32| {
            if v.is_nan() {
                (BINS - 1) as u8
            } else {
                edges[f].partition_point(|e| *e < v) as u8
            }
        };
        let bins: Vec<Vec<u8>> = (0..data.features)
            .into_par_iter()
            .map(|f| (0..n).map(|r| bin(f, data.row(r)[f])).collect())
            .collect();
        let count = |c: usize| data.labels.iter().filter(|l| **l == c).count();
        let start: Vec<f32> = (0..classes)
            .map(|c| ((count(c) as f32 + 1.0) / (n + classes) as f32).ln())
            .collect();
        let mut scores: Vec<f32> = (0..n).flat_map(|_| start.clone()).collect();
        let mut trees = Vec::with_capacity(p.rounds);
        for _ in 0..p.rounds {
            let mut probabilities = scores.clone();
            softmax(&mut probabilities, classes);
            let mut round = Vec::with_capacity(classes);
            // Two classes are one question.
            for c in 0..classes {
                let one = |r: usize| probabilities[r * classes + c];
                let g: Vec<f32> = (0..n)
                    .map(|r| one(r) - f32::from(u8::from(data.labels[r] == c)))
                    .collect();
                let h: Vec<f32> = (0..n)
                    .map(|r| (one(r) * (1.0 - one(r))).max(1e-6))
                    .collect();
                let grower = Grower {
                    p,
                    bins: &bins,
                    edges: &edges,
                    g: &g,
                    h: &h,
                };
                round.push(grower.grow((0..n as u32).collect()));
            }
            for r in 0..n {
                for (c, t) in round.iter().enumerate() {
                    scores[r * classes + c] += t.value(data.row(r));
                }
            }
            trees.push(round);
        }
        Boosting {
            features: data.features,
            classes,
            start,
            trees,
        }
    }

    /// Probabilities `[row][class]` of rows `[row][feature]`.
    pub fn predict(&self, x: &[f32]) -> Vec<f32> {
        let of = |row: &[f32]| {
            let mut s = self.start.clone();
            for round in &self.trees {
                s.iter_mut()
                    .zip(round)
                    .for_each(|(s, t)| *s += t.value(row));
            }
            softmax(&mut s, self.classes);
            s
        };
        let rows: Vec<&[f32]> = x.chunks_exact(self.features.max(1)).collect();
        let all: Vec<Vec<f32>> = rows.par_iter().map(|r| of(r)).collect();
        debug_assert_eq!(all.first().map_or(self.classes, Vec::len), self.classes);
        all.concat()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::spiral;

    /// Arms of a spiral are told apart, whatever is missing here and there; twice the same.
    #[test]
    fn a_spiral_is_learned() {
        let (mut x, labels) = spiral(1500, 1);
        (0..x.len()).step_by(37).for_each(|i| x[i] = f32::NAN);
        let data = Labelled::new(&x, 4, &labels, 5);
        let p = BoostingParams {
            rounds: 30,
            ..BoostingParams::default()
        };
        let model = Boosting::fit(&p, &data);
        let (test, truth) = spiral(800, 2);
        let answers = model.predict(&test);
        let right = answers
            .chunks_exact(5)
            .zip(&truth)
            .filter(|(a, t)| (0..5).all(|k| a[k] <= a[**t]))
            .count();
        assert!(right as f64 > 0.8 * 800.0, "{right}");
        assert!(
            answers
                .chunks_exact(5)
                .all(|a| (a.iter().sum::<f32>() - 1.0).abs() < 1e-5)
        );
        assert_eq!(answers, Boosting::fit(&p, &data).predict(&test));
    }
}
