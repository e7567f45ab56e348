//! The classical methods, for any system: a random forest and a support-vector machine on its
//! features.

use slipher_nn::heads::Kind;
use slipher_nn::loss::softmax;
use slipher_sim::random::Stream;
use slipher_stats::Labelled;
use slipher_stats::forest::{Forest, ForestParams};
use slipher_stats::svm::{Svm, SvmParams};

use crate::set::Set;
use crate::system::System;

/// Which method, with its parameters.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Method {
    /// Random forest.
    Forest {
        /// Number of trees.
        trees: usize,
        /// Least rows of a leaf.
        leaf: usize,
    },
    /// Linear, or with a Gaussian kernel of γ in units of 1 / the median squared distance.
    Svm {
        /// Of the Gaussian kernel; none: linear.
        gamma: Option<f32>,
    },
}

impl Method {
    /// As tables name it.
    pub fn name(self) -> &'static str {
        match self {
            Method::Forest { .. } => "random forest",
            Method::Svm { gamma: None } => "linear SVM",
            Method::Svm { .. } => "SVM, Gaussian kernel",
        }
    }
}

/// The grid that validation chooses from.
pub const FORESTS: [Method; 3] = [
    Method::Forest {
        trees: 200,
        leaf: 1,
    },
    Method::Forest {
        trees: 200,
        leaf: 3,
    },
    Method::Forest {
        trees: 200,
        leaf: 10,
    },
];
/// The machines that a study tries.
pub const MACHINES: [Method; 3] = [
    Method::Svm { gamma: None },
    Method::Svm { gamma: Some(0.3) },
    Method::Svm { gamma: Some(1.0) },
];

const LANDMARKS: usize = 1000;

/// One question's classifier.
enum Fitted {
    Forest(Forest),
    Svm(Box<Svm>, f32),
}

/// A classical method that answers a system's questions.
pub struct Baseline {
    /// Which method.
    pub method: Method,
    questions: Vec<(std::ops::Range<usize>, Fitted)>,
    scale: Vec<(f32, f32)>,
}

/// Mean and 1 / standard deviation of each feature.
fn scales(x: &[f32], features: usize) -> Vec<(f32, f32)> {
    let n = (x.len() / features).max(1) as f32;
    (0..features)
        .map(|f| {
            let column = || x.iter().skip(f).step_by(features);
            let mean = column().sum::<f32>() / n;
            let variance = column().map(|v| (v - mean).powi(2)).sum::<f32>() / n;
            (mean, 1.0 / variance.sqrt().max(1e-6))
        })
        .collect()
}

fn scaled(x: &[f32], scale: &[(f32, f32)]) -> Vec<f32> {
    // A feature far outside of what was seen must not run away.
    x.iter()
        .enumerate()
        .map(|(i, v)| {
            let (m, s) = scale[i % scale.len()];
            if v.is_finite() {
                ((v - m) * s).clamp(-10.0, 10.0)
            } else {
                0.0
            }
        })
        .collect()
}

impl Baseline {
    /// Fits on the features of `train`. Shares of votes become labels by lot. A machine's decision
    /// values become probabilities by a softmax whose sharpness `validation` fits (Platt 1999, for
    /// several classes).
    pub fn fit(
        system: &dyn System,
        method: Method,
        train: &Set,
        validation: &Set,
        seed: u64,
    ) -> Baseline {
        let (d, n) = (system.feature_names().len(), system.outputs().len());
        let scale = scales(&train.features, d);
        let x = scaled(&train.features, &scale);
        let held = scaled(&validation.features, &scale);
        let questions = questions(system)
            .into_iter()
            .map(|q| {
                let (rows, labels) = drawn(train, &q, n, seed);
                let chosen: Vec<f32> = rows
                    .iter()
                    .flat_map(|r| x[r * d..(r + 1) * d].iter().copied())
                    .collect();
                let data = Labelled::new(&chosen, d, &labels, q.len());
                let fitted = match method {
                    Method::Forest { trees, leaf } => {
                        let features = (d as f64).sqrt().ceil() as usize;
                        Fitted::Forest(Forest::fit(
                            &ForestParams {
                                trees,
                                features,
                                leaf,
                                balance: 0.0,
                                seed,
                            },
                            &data,
                        ))
                    }
                    Method::Svm { gamma } => {
                        let p = SvmParams {
                            l2: 1e-5,
                            gamma,
                            landmarks: LANDMARKS,
                            epochs: 30,
                            rate: 0.01,
                            seed,
                        };
                        let svm = Svm::fit(&p, &data);
                        let (vrows, vlabels) = drawn(validation, &q, n, seed + 1);
                        let decisions = svm.predict(
                            &vrows
                                .iter()
                                .flat_map(|r| held[r * d..(r + 1) * d].iter().copied())
                                .collect::<Vec<_>>(),
                        );
                        let sharp = sharpness(&decisions, &vlabels, q.len());
                        Fitted::Svm(Box::new(svm), sharp)
                    }
                };
                (q, fitted)
            })
            .collect();
        Baseline {
            method,
            questions,
            scale,
        }
    }

    /// Answers `[row][output]`.
    pub fn predict(&self, system: &dyn System, set: &Set) -> Vec<f32> {
        let x = scaled(&set.features, &self.scale);
        let n = system.outputs().len();
        let mut out = vec![0.0; set.rows() * n];
        for (q, f) in &self.questions {
            let p = match f {
                Fitted::Forest(f) => {
                    // A forest of N trees cannot say less than half a vote.
                    let least = 0.5
                        / if let Method::Forest { trees, .. } = self.method {
                            trees as f32
                        } else {
                            1.0
                        };
                    let mut p = f.predict(&x);
                    p.chunks_exact_mut(q.len()).for_each(|row| {
                        row.iter_mut().for_each(|v| *v = v.max(least));
                        let sum: f32 = row.iter().sum();
                        row.iter_mut().for_each(|v| *v /= sum);
                    });
                    p
                }
                Fitted::Svm(s, sharp) => {
                    let mut p = s.predict(&x);
                    p.iter_mut().for_each(|v| *v *= sharp);
                    softmax(&mut p, q.len());
                    p
                }
            };
            for (row, p) in out.chunks_exact_mut(n).zip(p.chunks_exact(q.len())) {
                row[q.clone()].copy_from_slice(p);
            }
        }
        if let Some(tree) = system.tree() {
            out.chunks_exact_mut(n).for_each(|row| tree.compose(row));
        }
        out
    }

    /// The best of a grid by the log loss (or squared error, for votes) on validation.
    pub fn search(
        system: &dyn System,
        grid: &[Method],
        train: &Set,
        validation: &Set,
        seed: u64,
    ) -> Option<Baseline> {
        let n = system.outputs().len();
        let cost = |b: &Baseline| -> f64 {
            let p = b.predict(system, validation);
            if system.head().kind() == Kind::Classes {
                slipher_stats::classification::log_loss(&p, &validation.truth, n)
            } else {
                p.iter()
                    .zip(&validation.truth)
                    .map(|(a, t)| f64::from(a - t).powi(2))
                    .sum()
            }
        };
        let fitted = grid
            .iter()
            .map(|m| Baseline::fit(system, *m, train, validation, seed));
        fitted
            .map(|b| (cost(&b), b))
            .min_by(|a, b| a.0.total_cmp(&b.0))
            .map(|b| b.1)
    }
}

/// Outputs that answer one question each; the answers to one add up to 1.
fn questions(system: &dyn System) -> Vec<std::ops::Range<usize>> {
    let whole = || std::iter::once(0..system.outputs().len()).collect();
    system.tree().map_or_else(whole, |t| t.questions)
}

/// Rows that came to a question, with the answer of one voter each.
fn drawn(set: &Set, q: &std::ops::Range<usize>, n: usize, seed: u64) -> (Vec<usize>, Vec<usize>) {
    let mut rng = Stream::new(seed, 0xBA5E, q.start as u64);
    let mut out = (vec![], vec![]);
    for (r, t) in set.truth.chunks_exact(n).enumerate() {
        let shares: Vec<f64> = t[q.clone()].iter().map(|v| f64::from(v.max(0.0))).collect();
        if shares.iter().sum::<f64>() > 0.02 {
            out.0.push(r);
            out.1.push(rng.weighted(&shares));
        }
    }
    out
}

/// Factor of decision values with the least cross-entropy, by golden section over its logarithm.
fn sharpness(decisions: &[f32], labels: &[usize], classes: usize) -> f32 {
    let loss = |log_s: f64| -> f64 {
        let mut p: Vec<f32> = decisions.iter().map(|v| v * log_s.exp() as f32).collect();
        softmax(&mut p, classes);
        labels
            .iter()
            .enumerate()
            .map(|(r, k)| -f64::from(p[r * classes + k].max(1e-12)).ln())
            .sum()
    };
    slipher_nn::loss::golden_section(-3.0, 4.0, loss).exp() as f32
}
