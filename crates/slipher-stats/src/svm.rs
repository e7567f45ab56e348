//! Multi-class support-vector machine (Crammer & Singer 2001) in the primal: hinge loss and an L2
//! penalty, by stochastic gradients. A Gaussian kernel enters by its values at landmarks, rows of
//! the training set (Nyström; Williams & Seeger 2001): the machine is then that of the kernel,
//! restricted to the span of the landmarks.

use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use slipher_nn::loss::Loss;
use slipher_nn::maps::Shape;
use slipher_nn::network::{Layer, Network, Tape};
use slipher_nn::optimiser::{Optimiser, Rule};
use slipher_nn::predictor::{Precision, Predictor};
use slipher_nn::train::schedule::learning_rate;

use crate::Labelled;
use crate::product::with_transposed;

/// Parameters.
#[derive(Clone, Copy, Debug)]
pub struct SvmParams {
    /// Penalty λ of λ Σ w².
    pub l2: f32,
    /// Gaussian kernel exp(−γ |x − y|²) with γ in units of 1 / the median squared distance; none:
    /// linear.
    pub gamma: Option<f32>,
    /// Landmarks of the kernel.
    pub landmarks: usize,
    /// Passes over the rows.
    pub epochs: usize,
    /// Peak of the learning rate.
    pub rate: f64,
    /// Of the order of rows and of the landmarks.
    pub seed: u64,
}

/// A fitted machine.
pub struct Svm {
    kernel: Option<Kernel>,
    mean: Vec<f32>,
    inverse: Vec<f32>,
    predictor: Predictor,
}

struct Kernel {
    landmarks: Vec<f32>,
    norms: Vec<f32>,
    gamma: f32,
    features: usize,
}

impl Kernel {
    fn new(data: &Labelled, gamma: f32, most: usize) -> Kernel {
        let (d, m) = (data.features, most.min(data.rows()));
        let landmarks = data.x[..m * d].to_vec();
        let norms: Vec<f32> = landmarks
            .chunks_exact(d)
            .map(|r| r.iter().map(|v| v * v).sum())
            .collect();
        let few = m.min(200);
        let dots = with_transposed(&landmarks[..few * d], &landmarks[..few * d], d);
        let mut all: Vec<f32> = (0..few)
            .flat_map(|i| (0..i).map(move |j| (i, j)))
            .map(|(i, j)| norms[i] + norms[j] - 2.0 * dots[i * few + j])
            .collect();
        all.sort_by(f32::total_cmp);
        let typical = all.get(all.len() / 2).copied().unwrap_or(1.0).max(1e-12);
        Kernel {
            landmarks,
            norms,
            gamma: gamma / typical,
            features: d,
        }
    }

    /// Values at the landmarks, `[row][landmark]`.
    fn values(&self, x: &[f32]) -> Vec<f32> {
        let mut k = with_transposed(x, &self.landmarks, self.features);
        for (row, values) in x
            .chunks_exact(self.features)
            .zip(k.chunks_exact_mut(self.norms.len()))
        {
            let own: f32 = row.iter().map(|v| v * v).sum();
            values
                .iter_mut()
                .zip(&self.norms)
                .for_each(|(v, n)| *v = -self.gamma * (own + n - 2.0 * *v).max(0.0));
        }
        slipher_nn::elementary::exp(&mut k);
        k
    }
}

const BATCH: usize = 128;

impl Svm {
    /// By stochastic gradient descent on the hinge loss.
    pub fn fit(p: &SvmParams, data: &Labelled) -> Svm {
        let kernel = p.gamma.map(|g| Kernel::new(data, g, p.landmarks));
        let first = &data.x[..data.rows().min(4000) * data.features];
        let seen = kernel
            .as_ref()
            .map_or_else(|| first.to_vec(), |k| k.values(first));
        let inputs = kernel.as_ref().map_or(data.features, |k| k.norms.len());
        let (mean, inverse) = moments(&seen, inputs);
        let shape = Shape::line(1, inputs);
        let mut net = Network::new(
            shape,
            &[Layer::Dense {
                units: data.classes,
                slope: 1.0,
            }],
            p.seed,
        )
        .expect("one dense layer fits any input");
        net.weights.fill(0.0);
        let mut optimiser = Optimiser::new(Rule::adam(), 0.0, net.weights.len());
        let (mut tape, mut grad) = (Tape::default(), vec![]);
        let own = net.weights_of(0);
        let mut order: Vec<usize> = (0..data.rows()).collect();
        let per = data.rows().div_ceil(BATCH) as u64;
        let mut rng = ChaCha8Rng::seed_from_u64(p.seed);
        for epoch in 0..p.epochs as u64 {
            order.shuffle(&mut rng);
            for (b, rows) in order.chunks(BATCH).enumerate() {
                let step = epoch * per + b as u64;
                let x: Vec<f32> = rows
                    .iter()
                    .flat_map(|r| data.row(*r).iter().copied())
                    .collect();
                let mut x = kernel.as_ref().map_or_else(|| x.clone(), |k| k.values(&x));
                standardise(&mut x, &mean, &inverse);
                let labels: Vec<usize> = rows.iter().map(|r| data.labels[*r]).collect();
                let mut d = net.forward(&x, &mut tape, Some(step)).to_vec();
                Loss::Hinge.gradient(&mut d, data.classes, &labels);
                net.backward(&mut tape, &d, &mut grad);
                grad[own.clone()]
                    .iter_mut()
                    .zip(&net.weights[own.clone()])
                    .for_each(|(g, w)| *g += 2.0 * p.l2 * w);
                let rate = learning_rate(p.rate, step, 1, per * p.epochs as u64) as f32;
                optimiser.step(rate, step + 1, &mut net.weights, &grad);
            }
        }
        Svm {
            kernel,
            mean,
            inverse,
            predictor: Predictor::new(&net, Precision::F32),
        }
    }

    /// Decision values, `[row][class]`.
    pub fn predict(&self, x: &[f32]) -> Vec<f32> {
        let mut x = self
            .kernel
            .as_ref()
            .map_or_else(|| x.to_vec(), |k| k.values(x));
        standardise(&mut x, &self.mean, &self.inverse);
        self.predictor.predict(&x)
    }
}

fn moments(x: &[f32], n: usize) -> (Vec<f32>, Vec<f32>) {
    let rows = (x.len() / n).max(1) as f64;
    let (mut mean, mut square) = (vec![0.0f64; n], vec![0.0f64; n]);
    for r in x.chunks_exact(n) {
        for i in 0..n {
            mean[i] += f64::from(r[i]) / rows;
            square[i] += f64::from(r[i]).powi(2) / rows;
        }
    }
    let inverse = mean
        .iter()
        .zip(&square)
        .map(|(m, s)| (1.0 / (s - m * m).max(1e-12).sqrt()) as f32)
        .collect();
    (mean.iter().map(|m| *m as f32).collect(), inverse)
}

fn standardise(x: &mut [f32], mean: &[f32], inverse: &[f32]) {
    for r in x.chunks_exact_mut(mean.len()) {
        r.iter_mut()
            .zip(mean)
            .zip(inverse)
            .for_each(|((v, m), i)| *v = (*v - m) * i);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Three rings: no line parts them, the kernel does.
    #[test]
    fn a_kernel_parts_rings() {
        let n = 900;
        let (mut x, mut labels) = (Vec::new(), Vec::new());
        for i in 0..n {
            let (class, a) = (i % 3, i as f32 * 2.399);
            let r = 1.0 + class as f32 + 0.2 * (i as f32 * 1.7).sin();
            x.extend([r * a.cos(), r * a.sin()]);
            labels.push(class);
        }
        let data = Labelled::new(&x, 2, &labels, 3);
        let right = |gamma: Option<f32>| {
            let m = Svm::fit(
                &SvmParams {
                    l2: 1e-5,
                    gamma,
                    landmarks: 100,
                    epochs: 60,
                    rate: 0.01,
                    seed: 1,
                },
                &data,
            );
            let p = m.predict(&x);
            p.chunks_exact(3)
                .zip(&labels)
                .filter(|(v, l)| v.iter().all(|o| *o <= v[**l]))
                .count() as f64
                / n as f64
        };
        let (linear, kernel) = (right(None), right(Some(3.0)));
        assert!(linear < 0.6 && kernel > 0.97, "{linear} {kernel}");
    }

    /// On the spiral of the forest's test, which no lines part: scikit-learn's machine of the same
    /// penalty (C = 1, λ = 1 / 2nC) is as bad.
    #[test]
    fn agrees_with_scikit_learn() {
        let ((x, labels), (tx, tl)) =
            (crate::tests::spiral(1500, 7), crate::tests::spiral(1500, 8));
        let data = Labelled::new(&x, 4, &labels, 5);
        let m = Svm::fit(
            &SvmParams {
                l2: 1.0 / 3000.0,
                gamma: None,
                landmarks: 0,
                epochs: 60,
                rate: 3e-3,
                seed: 1,
            },
            &data,
        );
        let right = m
            .predict(&tx)
            .chunks_exact(5)
            .zip(&tl)
            .filter(|(v, l)| v.iter().all(|o| *o <= v[**l]))
            .count() as f64
            / 1500.0;
        assert!((right - 0.33).abs() < 0.03, "{right}");
    }

    /// Blobs that lines part, with the accuracy of any reasonable machine.
    #[test]
    fn lines_part_blobs() {
        let (mut x, mut labels) = (Vec::new(), Vec::new());
        for i in 0..600 {
            let class = i % 6;
            let wobble = |k: f32| 0.5 * (i as f32 * k).sin();
            (0..6)
                .for_each(|f| x.push(if f == class { 3.0 } else { 0.0 } + wobble(1.1 + f as f32)));
            labels.push(class);
        }
        let data = Labelled::new(&x, 6, &labels, 6);
        let m = Svm::fit(
            &SvmParams {
                l2: 1e-4,
                gamma: None,
                landmarks: 0,
                epochs: 30,
                rate: 0.01,
                seed: 1,
            },
            &data,
        );
        let p = m.predict(&x);
        assert!(
            p.chunks_exact(6)
                .zip(&labels)
                .all(|(v, l)| v.iter().all(|o| *o <= v[*l]))
        );
    }
}
