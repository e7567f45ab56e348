//! Multinomial logistic regression: least Σ −ln p(label) + ½ λ Σ w² over the rows, by L-BFGS
//! (Nocedal 1980; Nocedal & Wright 2006, algorithm 7.4). Biases are free of the penalty.

use std::collections::VecDeque;

use crate::Labelled;

/// Parameters.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LogisticParams {
    /// Penalty λ, of the sum over the rows.
    pub l2: f64,
    /// Steps, at most.
    pub most: usize,
}

impl LogisticParams {
    /// Of a penalty.
    pub fn of(l2: f64) -> LogisticParams {
        LogisticParams { l2, most: 200 }
    }
}

/// Weights `[class][feature]` and biases of the classes.
#[derive(Clone, Debug, PartialEq)]
pub struct Logistic {
    /// `[class][feature]`.
    pub weights: Vec<f64>,
    /// A class each.
    pub biases: Vec<f64>,
}

/// Pairs of steps and changes of the gradient that are kept.
const MEMORY: usize = 12;
/// Largest component of the gradient, over the rows, at the end.
const FLAT: f64 = 1e-6;

impl Logistic {
    /// Fits; begins at zero.
    pub fn fit(p: LogisticParams, data: &Labelled) -> Logistic {
        let (d, k) = (data.features, data.classes);
        let mut w = vec![0.0; k * (d + 1)];
        let (mut f, mut g) = cost(&w, p.l2, data);
        let mut kept: VecDeque<(Vec<f64>, Vec<f64>)> = VecDeque::new();
        let flat = FLAT * data.rows().max(1) as f64;
        for _ in 0..p.most {
            if g.iter().all(|v| v.abs() < flat) {
                break;
            }
            let step = direction(&g, &kept);
            let slope = dot(&step, &g);
            let Some((next, value, gradient)) = search(&w, f, &step, slope, p.l2, data) else {
                break;
            };
            let s: Vec<f64> = next.iter().zip(&w).map(|(a, b)| a - b).collect();
            let y: Vec<f64> = gradient.iter().zip(&g).map(|(a, b)| a - b).collect();
            if dot(&s, &y) > 1e-14 {
                kept.push_back((s, y));
                if kept.len() > MEMORY {
                    kept.pop_front();
                }
            }
            (w, f, g) = (next, value, gradient);
        }
        let biases = w.split_off(k * d);
        Logistic { weights: w, biases }
    }

    /// Logits of a row.
    pub fn logits(&self, x: &[f32]) -> Vec<f64> {
        logits(&self.weights, &self.biases, x)
    }
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

fn logits(weights: &[f64], biases: &[f64], x: &[f32]) -> Vec<f64> {
    let rows = weights.chunks_exact(x.len().max(1));
    rows.zip(biases)
        .map(|(w, b)| b + w.iter().zip(x).map(|(w, x)| w * f64::from(*x)).sum::<f64>())
        .collect()
}

/// Value and gradient at weights and, behind them, biases.
fn cost(w: &[f64], l2: f64, data: &Labelled) -> (f64, Vec<f64>) {
    let (d, k) = (data.features, data.classes);
    let (weights, biases) = w.split_at(k * d);
    let mut g = vec![0.0; w.len()];
    let mut sum = 0.5 * l2 * dot(weights, weights);
    for (i, label) in data.labels.iter().enumerate() {
        let x = data.row(i);
        let mut p = logits(weights, biases, x);
        let top = p.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let own = p[*label] - top;
        p.iter_mut().for_each(|v| *v = (*v - top).exp());
        let all: f64 = p.iter().sum();
        sum += all.ln() - own;
        for (c, p) in p.iter().enumerate() {
            let slope = p / all - f64::from(u8::from(c == *label));
            g[c * d..(c + 1) * d]
                .iter_mut()
                .zip(x)
                .for_each(|(g, x)| *g += slope * f64::from(*x));
            g[k * d + c] += slope;
        }
    }
    g.iter_mut().zip(weights).for_each(|(g, w)| *g += l2 * w);
    (sum, g)
}

/// Two loops over what is kept.
fn direction(g: &[f64], kept: &VecDeque<(Vec<f64>, Vec<f64>)>) -> Vec<f64> {
    let mut q = g.to_vec();
    let mut shares = vec![];
    for (s, y) in kept.iter().rev() {
        let a = dot(s, &q) / dot(s, y);
        q.iter_mut().zip(y).for_each(|(q, y)| *q -= a * y);
        shares.push(a);
    }
    let scale = kept.back().map_or_else(
        || 1.0 / dot(g, g).sqrt().max(1.0),
        |(s, y)| dot(s, y) / dot(y, y),
    );
    q.iter_mut().for_each(|v| *v *= scale);
    for ((s, y), a) in kept.iter().zip(shares.iter().rev()) {
        let b = dot(y, &q) / dot(s, y);
        q.iter_mut().zip(s).for_each(|(q, s)| *q += (a - b) * s);
    }
    q.iter_mut().for_each(|v| *v = -*v);
    q
}

/// Halves a step until the value falls enough (Armijo).
fn search(
    w: &[f64],
    f: f64,
    step: &[f64],
    slope: f64,
    l2: f64,
    data: &Labelled,
) -> Option<(Vec<f64>, f64, Vec<f64>)> {
    let mut t = 1.0;
    for _ in 0..40 {
        let next: Vec<f64> = w.iter().zip(step).map(|(w, s)| w + t * s).collect();
        let (value, g) = cost(&next, l2, data);
        if value <= f + 1e-4 * t * slope {
            return Some((next, value, g));
        }
        t *= 0.5;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Golden values of scikit-learn 1.9.1, `LogisticRegression(C=1/λ, tol=1e-12)` on the same rows:
    /// scripts/golden_logistic.py.
    #[test]
    fn agrees_with_scikit_learn() {
        let (x, labels) = rows();
        let data = Labelled::new(&x, 3, &labels, 3);
        let m = Logistic::fit(LogisticParams::of(0.5), &data);
        for (w, want) in m.weights.iter().zip(WEIGHTS) {
            assert!((w - want).abs() < 2e-5, "{:?}", m.weights);
        }
        let mean = m.biases.iter().sum::<f64>() / 3.0;
        for (b, want) in m.biases.iter().zip(BIASES) {
            assert!((b - mean - want).abs() < 2e-5, "{:?}", m.biases);
        }
    }

    /// The same rows as the script's.
    fn rows() -> (Vec<f32>, Vec<usize>) {
        let (mut x, mut labels) = (vec![], vec![]);
        for i in 0..30usize {
            let k = i % 3;
            labels.push(k);
            for j in 0..3 {
                let wave = (1.7 * (3 * i + j) as f64).sin();
                x.push((wave + if j == k { 0.8 } else { 0.0 }) as f32);
            }
        }
        (x, labels)
    }

    const WEIGHTS: [f64; 9] = [
        1.4141227, -0.0224352, 0.6115256, -2.0022697, 0.2478196, -1.9526712, 0.588147, -0.2253844,
        1.3411456,
    ];
    const BIASES: [f64; 3] = [-0.4412069, 0.8938534, -0.4526465];

    /// Classes that can be told apart by a line are, and a larger penalty makes smaller weights.
    #[test]
    fn a_larger_penalty_makes_smaller_weights() {
        let (x, labels) = rows();
        let data = Labelled::new(&x, 3, &labels, 3);
        let norm = |l2| {
            let m = Logistic::fit(LogisticParams::of(l2), &data);
            dot(&m.weights, &m.weights)
        };
        assert!(norm(0.1) > norm(1.0) && norm(1.0) > norm(30.0));
    }
}
