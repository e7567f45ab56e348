//! Adam with decoupled weight decay in one pass over memory (Loshchilov & Hutter 2019, AdamW),
//! and the learning-rate schedule.

use rayon::prelude::*;

/// Settings of the optimiser.
#[derive(Clone, Copy, Debug)]
pub struct AdamParams {
    pub beta1: f32,
    pub beta2: f32,
    pub eps: f32,
    /// Decoupled decay, multiplied by the learning rate.
    pub weight_decay: f32,
}

impl Default for AdamParams {
    fn default() -> Self {
        AdamParams { beta1: 0.9, beta2: 0.99, eps: 1e-8, weight_decay: 0.0 }
    }
}

/// First and second moment of each weight.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Adam {
    pub m: Vec<f32>,
    pub v: Vec<f32>,
}

impl Adam {
    pub fn new(n: usize) -> Self {
        Adam { m: vec![0.0; n], v: vec![0.0; n] }
    }

    /// One step, `t` counted from 1: `w ← w − lr (m̂/(√v̂+ε) + decay·w)`.
    pub fn step(&mut self, p: &AdamParams, lr: f32, t: u64, w: &mut [f32], grad: &[f32]) {
        assert_eq!((w.len(), grad.len()), (self.m.len(), self.m.len()));
        let t = t.min(1_000_000) as i32;
        let c1 = 1.0 / (1.0 - p.beta1.powi(t));
        let c2 = 1.0 / (1.0 - p.beta2.powi(t));
        const CHUNK: usize = 1 << 14;
        w.par_chunks_mut(CHUNK).zip(grad.par_chunks(CHUNK)).zip(self.m.par_chunks_mut(CHUNK)).zip(self.v.par_chunks_mut(CHUNK)).for_each(|(((w, g), m), v)| {
            for i in 0..w.len() {
                m[i] += (1.0 - p.beta1) * (g[i] - m[i]);
                v[i] += (1.0 - p.beta2) * (g[i] * g[i] - v[i]);
                let update = m[i] * c1 / ((v[i] * c2).sqrt() + p.eps);
                w[i] -= lr * (update + p.weight_decay * w[i]);
            }
        });
    }
}

/// Linear warm-up over `warmup` steps, then cosine decay to 1 % of the peak at `total`.
pub fn learning_rate(peak: f64, step: u64, warmup: u64, total: u64) -> f64 {
    let up = ((step + 1) as f64 / warmup.max(1) as f64).min(1.0);
    let done = (step as f64 / total.max(1) as f64).min(1.0);
    let cosine = 0.5 * (1.0 + (std::f64::consts::PI * done).cos());
    peak * up * (0.01 + 0.99 * cosine)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Golden values of torch.optim.AdamW, written by scripts/golden.py.
    #[test]
    fn agrees_with_pytorch() {
        let p = AdamParams { beta1: 0.9, beta2: 0.99, eps: 1e-8, weight_decay: 0.1 };
        let mut w = vec![1.0f32, -2.0, 0.5];
        let mut adam = Adam::new(3);
        for t in 1..=3u64 {
            let grad: Vec<f32> = w.iter().map(|x| x * x - 0.3 * t as f32).collect();
            adam.step(&p, 0.01, t, &mut w, &grad);
        }
        for (a, e) in w.iter().zip(GOLDEN) {
            assert!((a - e).abs() < 1e-5, "{a} != {e}");
        }
    }
    const GOLDEN: [f32; 3] = [0.969_827, -2.023_882, 0.525_451];

    #[test]
    fn schedule_warms_up_and_decays() {
        assert!(learning_rate(1.0, 0, 100, 1000) < 0.02);
        assert!(learning_rate(1.0, 100, 100, 1000) > 0.95);
        assert!((learning_rate(1.0, 1000, 100, 1000) - 0.01).abs() < 1e-9);
    }
}
