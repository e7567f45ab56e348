//! New weights.

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::{Layer, Network, Step};

/// Distribution of new weights.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Init {
    /// Normal, σ² = 2 / inputs (He et al. 2015).
    He,
    /// Uniform, ±√(6 / (inputs + outputs)) (Glorot & Bengio 2010), Keras' default.
    Glorot,
    /// Normal of this σ.
    Normal(f32),
    /// Rows (or columns, if they are shorter) orthogonal to each other, of this length (Saxe et al.
    /// 2014).
    Orthogonal(f32),
}

impl Init {
    /// `outputs × inputs` weights; `fan` are the inputs and outputs that He and Glorot count.
    fn draw(
        self,
        outputs: usize,
        inputs: usize,
        fan: (f32, f32),
        rng: &mut ChaCha8Rng,
    ) -> Vec<f32> {
        let mut normal =
            |n: usize| -> Vec<f32> { (0..n).map(|_| StandardNormal.sample(rng)).collect() };
        match self {
            Init::He => normal(outputs * inputs)
                .iter()
                .map(|x: &f32| (2.0 / fan.0).sqrt() * x)
                .collect(),
            Init::Normal(sigma) => normal(outputs * inputs)
                .iter()
                .map(|x: &f32| sigma * x)
                .collect(),
            Init::Glorot => (0..outputs * inputs)
                .map(|_| (6.0 / (fan.0 + fan.1)).sqrt() * (2.0 * rng.random::<f32>() - 1.0))
                .collect(),
            Init::Orthogonal(gain) => {
                let (short, long) = (outputs.min(inputs), outputs.max(inputs));
                let mut rows = normal(short * long);
                orthonormalise(&mut rows, long);
                let at = |o: usize, i: usize| {
                    if outputs <= inputs {
                        rows[o * long + i]
                    } else {
                        rows[i * long + o]
                    }
                };
                (0..outputs * inputs)
                    .map(|k| gain * at(k / inputs, k % inputs))
                    .collect()
            }
        }
    }
}

/// Gram and Schmidt's method, modified: rows of `n` become orthogonal and of length 1.
fn orthonormalise(rows: &mut [f32], n: usize) {
    let dot = |a: &[f32], b: &[f32]| -> f32 { a.iter().zip(b).map(|(a, b)| a * b).sum() };
    let mut rest = rows;
    while !rest.is_empty() {
        let (first, others) = rest.split_at_mut(n);
        let length = dot(first, first).sqrt();
        first.iter_mut().for_each(|v| *v /= length);
        let first: &[f32] = first;
        others.par_chunks_exact_mut(n).for_each(|row| {
            let along = dot(first, row);
            row.iter_mut().zip(first).for_each(|(r, f)| *r -= along * f);
        });
        rest = others;
    }
}

impl Network {
    /// Draws all weights anew; biases are 0, scales of normalisations 1, running means 0 and
    /// variances 1.
    pub fn initialise(&mut self, init: Init, seed: u64) {
        self.initialise_each(seed, |_, _| (init, 0.0));
    }

    /// Draws all weights anew: `of(index, layer)` gives the distribution and the bias of each layer
    /// of the list.
    pub fn initialise_each(&mut self, seed: u64, of: impl Fn(usize, &Layer) -> (Init, f32)) {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let tensors = self.tensors().into_iter().map(|t| {
            let (init, bias) = of(t.step, &self.layers[t.step]);
            if t.shape.len() == 1 {
                let norm = matches!(self.steps[t.step], Step::Norm { .. });
                let value = match (norm, t.name.ends_with("weight")) {
                    (true, scale) => f32::from(u8::from(scale)),
                    (false, _) => bias,
                };
                return vec![value; t.values.len()];
            }
            let taps: usize = t.shape[2..].iter().product();
            let fan = ((t.shape[1] * taps) as f32, (t.shape[0] * taps) as f32);
            init.draw(t.shape[0], t.shape[1] * taps, fan, &mut rng)
        });
        let tensors: Vec<Vec<f32>> = tensors.collect();
        self.set_tensors(&tensors).expect("the shapes are its own");
        for s in &self.steps {
            if let Step::Norm { out, running, .. } = s {
                let (mean, variance) =
                    self.running[*running..][..2 * out.channels].split_at_mut(out.channels);
                mean.fill(0.0);
                variance.fill(1.0);
            }
        }
        self.project();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn orthogonal_rows_and_columns() {
        for (o, i) in [(20, 50), (50, 20)] {
            let w = Init::Orthogonal(1.5).draw(o, i, (1.0, 1.0), &mut ChaCha8Rng::seed_from_u64(1));
            let at = |a: usize, j: usize| if o < i { w[a * i + j] } else { w[j * i + a] };
            for a in 0..20 {
                for b in 0..20 {
                    let product: f32 = (0..50).map(|j| at(a, j) * at(b, j)).sum();
                    let want = if a == b { 2.25 } else { 0.0 };
                    assert!((product - want).abs() < 1e-4, "{a} {b} {product}");
                }
            }
        }
    }
}
