//! Counter-based random streams: one stream per row, so that any row can be made alone and on any
//! thread.

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, Exp1, StandardNormal};

/// A number from a name (FNV-1a), for splits and identifiers that do not depend on order.
pub fn hash(name: &str) -> u64 {
    name.bytes().fold(0xcbf2_9ce4_8422_2325, |h, b| {
        (h ^ u64::from(b)).wrapping_mul(0x0100_0000_01b3)
    })
}

/// Random numbers of one row.
pub struct Stream(ChaCha8Rng);

impl Stream {
    /// Stream of `row` under `seed`; `purpose` separates independent uses of one row.
    pub fn new(seed: u64, purpose: u64, row: u64) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(seed ^ purpose.wrapping_mul(0x9E37_79B9_7F4A_7C15));
        rng.set_stream(row);
        Stream(rng)
    }
    /// Uniform in [a, b).
    pub fn uniform(&mut self, a: f64, b: f64) -> f64 {
        a + (b - a) * self.0.random::<f64>()
    }
    /// 10^uniform(log a, log b).
    pub fn log_uniform(&mut self, a: f64, b: f64) -> f64 {
        10f64.powf(self.uniform(a.log10(), b.log10()))
    }
    /// Gaussian.
    pub fn normal(&mut self, mean: f64, sigma: f64) -> f64 {
        let x: f64 = StandardNormal.sample(&mut self.0);
        mean + sigma * x
    }
    /// Gaussian of mean 0 and deviation 1.
    pub fn normal_f32(&mut self) -> f32 {
        StandardNormal.sample(&mut self.0)
    }
    /// Exponential.
    pub fn exponential(&mut self, mean: f64) -> f64 {
        let x: f64 = Exp1.sample(&mut self.0);
        mean * x
    }
    /// True with probability `p`.
    pub fn chance(&mut self, p: f64) -> bool {
        self.0.random::<f64>() < p
    }
    /// Integer in 0..n.
    pub fn below(&mut self, n: usize) -> usize {
        if n == 0 { 0 } else { self.0.random_range(0..n) }
    }
    /// For distributions that are not here.
    pub fn generator(&mut self) -> &mut ChaCha8Rng {
        &mut self.0
    }
    /// Index drawn by weight.
    pub fn weighted(&mut self, weights: &[f64]) -> usize {
        let mut x = self.uniform(0.0, weights.iter().sum());
        for (i, w) in weights.iter().enumerate() {
            x -= w;
            if x < 0.0 {
                return i;
            }
        }
        weights.len().saturating_sub(1)
    }
}
