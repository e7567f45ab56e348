//! Random forest (Breiman 2001): trees on bootstrap samples, the best of a random subset of
//! features at each node by Gini's impurity, grown until leaves are pure or small. Features are cut
//! into 255 quantiles, so that a node costs time proportional to its rows whatever the number of
//! classes.

use rand::seq::index::sample;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;

use crate::Labelled;

/// Parameters.
#[derive(Clone, Copy, Debug)]
pub struct ForestParams {
    /// Number of trees.
    pub trees: usize,
    /// Features looked at in each node.
    pub features: usize,
    /// Fewest rows of a leaf.
    pub leaf: usize,
    /// Smallest share of a node's rows on either side of a split (Wager & Athey 2018): with many
    /// classes the purest splits cut off a handful of rows at a time, and trees become hundreds of
    /// nodes deep. 0: Breiman's trees.
    pub balance: f64,
    /// Of bootstrap samples and of features tried.
    pub seed: u64,
}

#[derive(Clone, Debug)]
enum Node {
    /// Left if the feature is at most the threshold.
    Split {
        feature: u32,
        threshold: f32,
        left: u32,
        right: u32,
    },
    Leaf(Vec<(u32, f32)>),
}

/// The trees.
pub struct Forest {
    trees: Vec<Vec<Node>>,
    features: usize,
    classes: usize,
}

/// Quantiles of the features: value of each cut, and the bins of all rows by feature.
struct Binned {
    cuts: Vec<Vec<f32>>,
    bins: Vec<Vec<u8>>,
}

impl Binned {
    fn new(data: &Labelled) -> Binned {
        let (d, n) = (data.features, data.rows());
        let both: Vec<(Vec<f32>, Vec<u8>)> = (0..d)
            .into_par_iter()
            .map(|f| {
                let step = (n / 4096).max(1);
                let mut values: Vec<f32> =
                    (0..n).step_by(step).map(|i| data.x[i * d + f]).collect();
                values.sort_by(f32::total_cmp);
                let mut cuts: Vec<f32> = (1..256)
                    .map(|q| values[(q * values.len() / 256).min(values.len() - 1)])
                    .collect();
                cuts.dedup();
                let bins = (0..n)
                    .map(|i| cuts.partition_point(|c| *c < data.x[i * d + f]) as u8)
                    .collect();
                (cuts, bins)
            })
            .collect();
        let (cuts, bins) = both.into_iter().unzip();
        Binned { cuts, bins }
    }
}

/// Buffers of one tree.
struct Work {
    left: Vec<u32>,
    right: Vec<u32>,
    labels: Vec<u32>,
    sorted: Vec<u32>,
}

impl Forest {
    /// # Panics
    /// With a million classes or more.
    pub fn fit(p: &ForestParams, data: &Labelled) -> Forest {
        assert!(data.classes < 1 << SHIFT);
        let binned = Binned::new(data);
        let trees = (0..p.trees)
            .into_par_iter()
            .map(|t| grow(p, data, &binned, t as u64))
            .collect();
        Forest {
            trees,
            features: data.features,
            classes: data.classes,
        }
    }

    /// Mean of the trees' shares, `[row][class]`.
    pub fn predict(&self, x: &[f32]) -> Vec<f32> {
        let mut out = vec![0.0; x.len() / self.features * self.classes];
        x.par_chunks_exact(self.features)
            .zip(out.par_chunks_exact_mut(self.classes))
            .for_each(|(row, out)| {
                for tree in &self.trees {
                    let mut at = 0;
                    loop {
                        match &tree[at] {
                            Node::Split {
                                feature,
                                threshold,
                                left,
                                right,
                            } => {
                                at = if row[*feature as usize] <= *threshold {
                                    *left
                                } else {
                                    *right
                                } as usize
                            }
                            Node::Leaf(shares) => {
                                shares.iter().for_each(|(c, s)| {
                                    out[*c as usize] += s / self.trees.len() as f32
                                });
                                break;
                            }
                        }
                    }
                }
            });
        out
    }
}

fn grow(p: &ForestParams, data: &Labelled, binned: &Binned, tree: u64) -> Vec<Node> {
    let mut rng = ChaCha8Rng::seed_from_u64(p.seed);
    rng.set_stream(tree);
    let n = data.rows();
    let mut rows: Vec<u32> = (0..n).map(|_| rng.random_range(0..n as u32)).collect();
    let mut work = Work {
        left: vec![0; data.classes],
        right: vec![0; data.classes],
        labels: vec![],
        sorted: vec![],
    };
    let mut nodes = vec![Node::Leaf(vec![])];
    let mut open = vec![(0usize, 0usize, n)];
    while let Some((at, from, to)) = open.pop() {
        match best_split(p, data, binned, &rows[from..to], &mut rng, &mut work) {
            None => nodes[at] = leaf(data, &rows[from..to]),
            Some((feature, bin)) => {
                let bins = &binned.bins[feature];
                let mut middle = from;
                for i in from..to {
                    if bins[rows[i] as usize] <= bin {
                        rows.swap(middle, i);
                        middle += 1;
                    }
                }
                let (left, right) = (nodes.len() as u32, nodes.len() as u32 + 1);
                nodes[at] = Node::Split {
                    feature: feature as u32,
                    threshold: binned.cuts[feature][bin as usize],
                    left,
                    right,
                };
                nodes.extend([Node::Leaf(vec![]), Node::Leaf(vec![])]);
                open.extend([(left as usize, from, middle), (right as usize, middle, to)]);
            }
        }
    }
    nodes
}

fn leaf(data: &Labelled, rows: &[u32]) -> Node {
    let mut counts = std::collections::BTreeMap::<u32, u32>::new();
    rows.iter()
        .for_each(|r| *counts.entry(data.labels[*r as usize] as u32).or_default() += 1);
    Node::Leaf(
        counts
            .into_iter()
            .map(|(c, k)| (c, k as f32 / rows.len() as f32))
            .collect(),
    )
}

/// Rows below which a node is sorted by comparison: a scan of all bins would cost more.
const FEW: usize = 128;

/// Feature and last bin of the left side of the best split, `None` if the rows stay together.
fn best_split(
    p: &ForestParams,
    data: &Labelled,
    binned: &Binned,
    rows: &[u32],
    rng: &mut ChaCha8Rng,
    work: &mut Work,
) -> Option<(usize, u8)> {
    let n = rows.len();
    work.labels.clear();
    work.labels
        .extend(rows.iter().map(|r| data.labels[*r as usize] as u32));
    if n < 2 * p.leaf || n < 2 || work.labels.iter().all(|l| *l == work.labels[0]) {
        return None;
    }
    work.labels
        .iter()
        .for_each(|l| work.right[*l as usize] += 1);
    let square: f64 = work
        .labels
        .iter()
        .map(|l| f64::from(work.right[*l as usize]))
        .sum();
    let whole = square / n as f64;
    let least = p.leaf.max((p.balance * n as f64) as usize).max(1);
    let mut best = (0.0f64, None);
    for feature in sample(rng, data.features, p.features.min(data.features)) {
        sort_by_bin(rows, &binned.bins[feature], &work.labels, &mut work.sorted);
        let sorted = &work.sorted;
        if sorted[0] >> SHIFT == sorted[n - 1] >> SHIFT {
            continue;
        }
        let (mut l2, mut r2) = (0.0f64, square);
        for (i, key) in sorted.iter().enumerate() {
            let c = (key & ((1 << SHIFT) - 1)) as usize;
            // (l + 1)² − l² and r² − (r − 1)².
            l2 += 2.0 * f64::from(work.left[c]) + 1.0;
            r2 -= 2.0 * f64::from(work.right[c]) - 1.0;
            work.left[c] += 1;
            work.right[c] -= 1;
            let to = i + 1;
            if to == n || key >> SHIFT == sorted[to] >> SHIFT || to < least || n - to < least {
                continue;
            }
            let gain = l2 / to as f64 + r2 / (n - to) as f64 - whole;
            if gain > best.0 {
                best = (gain, Some((feature, (key >> SHIFT) as u8)));
            }
        }
        // All rows went to the left: exchanged, the sides are as before.
        std::mem::swap(&mut work.left, &mut work.right);
    }
    work.labels.iter().for_each(|l| work.right[*l as usize] = 0);
    best.1
}

/// Bits of a label in a key of bin and label.
const SHIFT: u32 = 20;

/// Keys (bin, label) of the rows by rising bin.
fn sort_by_bin(rows: &[u32], bins: &[u8], labels: &[u32], sorted: &mut Vec<u32>) {
    let keys = rows
        .iter()
        .zip(labels)
        .map(|(r, l)| u32::from(bins[*r as usize]) << SHIFT | l);
    sorted.clear();
    if rows.len() < FEW {
        sorted.extend(keys);
        sorted.sort_unstable();
        return;
    }
    let mut next = [0u32; 257];
    rows.iter()
        .for_each(|r| next[bins[*r as usize] as usize + 1] += 1);
    for b in 0..256 {
        next[b + 1] += next[b];
    }
    sorted.resize(rows.len(), 0);
    for key in keys {
        let slot = &mut next[(key >> SHIFT) as usize];
        sorted[*slot as usize] = key;
        *slot += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::spiral;

    /// Noisy points of a spiral of five classes; the accuracy that scikit-learn's forest of the
    /// same size reaches is written by scripts/golden.py.
    #[test]
    fn agrees_with_scikit_learn() {
        let (x, labels) = spiral(1500, 7);
        let data = Labelled::new(&x, 4, &labels, 5);
        let forest = Forest::fit(
            &ForestParams {
                trees: 100,
                features: 2,
                leaf: 1,
                balance: 0.0,
                seed: 1,
            },
            &data,
        );
        let (tx, tl) = spiral(1500, 8);
        let p = forest.predict(&tx);
        assert!(
            p.chunks_exact(5)
                .all(|v| (v.iter().sum::<f32>() - 1.0).abs() < 1e-4)
        );
        let right = p
            .chunks_exact(5)
            .zip(&tl)
            .filter(|(v, l)| v.iter().all(|o| *o <= v[**l]))
            .count() as f64
            / 1500.0;
        assert!((right - SKLEARN).abs() < 0.03, "{right}");
    }
    const SKLEARN: f64 = 0.872_4;
}
