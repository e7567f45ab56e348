//! Optimisers, each in one pass over memory.
//!
//! | rule | step |
//! |---|---|
//! | `Sgd` | b ← μb + g; w ← w − η b, or w − η (g + μb) with Nesterov |
//! | `Adagrad` (Duchi et al. 2011) | s ← s + g²; w ← w − η g / (√s + ε) |
//! | `Adam` (Kingma & Ba 2015) | w ← w − η m̂ / (√v̂ + ε) |
//! | `AdamW` (Loshchilov & Hutter 2019) | the same, and w ← w − η·decay·w |
//!
//! with `decay` as an L2 term (g ← g + decay·w) everywhere but in `AdamW`. The conventions are
//! those of `torch.optim`.

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::lanes::vectorised;

/// What a step does.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "name", rename_all = "lowercase", deny_unknown_fields)]
#[expect(missing_docs, reason = "the line above each says what its fields are")]
pub enum Rule {
    /// Stochastic gradients with momentum, Nesterov's or not.
    Sgd { momentum: f32, nesterov: bool },
    /// Duchi et al. 2011; `eps` keeps the first steps finite.
    Adagrad { eps: f32 },
    /// Kingma & Ba 2015: decay of the first and second moment, and `eps`.
    Adam { beta1: f32, beta2: f32, eps: f32 },
    /// The same with decoupled weight decay (Loshchilov & Hutter 2019).
    AdamW { beta1: f32, beta2: f32, eps: f32 },
}

impl Rule {
    /// Adam with the settings of its paper.
    pub fn adam() -> Rule {
        Rule::Adam {
            beta1: 0.9,
            beta2: 0.999,
            eps: 1e-8,
        }
    }

    /// What a recipe may not ask for.
    ///
    /// # Errors
    /// The setting, and what was expected.
    pub fn check(&self) -> Result<(), &'static str> {
        let share = |v: f32| (0.0..1.0).contains(&v);
        let positive = |v: f32| v > 0.0 && v.is_finite();
        match *self {
            Rule::Sgd { momentum, .. } if !share(momentum) => {
                Err("optimiser: momentum: expected 0 to below 1")
            }
            Rule::Adagrad { eps } | Rule::Adam { eps, .. } | Rule::AdamW { eps, .. }
                if !positive(eps) =>
            {
                Err("optimiser: eps: expected a positive number")
            }
            Rule::Adam { beta1, beta2, .. } | Rule::AdamW { beta1, beta2, .. }
                if !share(beta1) || !share(beta2) =>
            {
                Err("optimiser: beta1 and beta2: expected 0 to below 1")
            }
            _ => Ok(()),
        }
    }
}

/// A rule and what it remembers of each weight.
#[derive(Clone, Debug, PartialEq)]
pub struct Optimiser {
    /// With its constants.
    pub rule: Rule,
    /// Weight decay.
    pub decay: f32,
    /// Momentum, or the mean of gradients; empty if the rule needs none.
    pub first: Vec<f32>,
    /// Sum or mean of squared gradients; empty if the rule needs none.
    pub second: Vec<f32>,
}

impl Optimiser {
    /// Memory for `n` weights.
    pub fn new(rule: Rule, decay: f32, n: usize) -> Self {
        let (first, second) = match rule {
            Rule::Sgd { momentum, .. } => (if momentum == 0.0 { 0 } else { n }, 0),
            Rule::Adagrad { .. } => (0, n),
            Rule::Adam { .. } | Rule::AdamW { .. } => (n, n),
        };
        Optimiser {
            rule,
            decay,
            first: vec![0.0; first],
            second: vec![0.0; second],
        }
    }

    /// One step at learning rate `lr`; `t` counts from 1.
    pub fn step(&mut self, lr: f32, t: u64, w: &mut [f32], grad: &[f32]) {
        assert_eq!(w.len(), grad.len(), "a gradient for each weight");
        assert!(self.first.is_empty() || self.first.len() == w.len());
        assert!(self.second.is_empty() || self.second.len() == w.len());
        let (rule, decay) = (self.rule, self.decay);
        let chunks = |v: &mut Vec<f32>| -> Vec<*mut f32> {
            let n = v.len();
            (0..w.len().div_ceil(CHUNK))
                .map(|i| {
                    if n == 0 {
                        std::ptr::null_mut()
                    } else {
                        v[i * CHUNK..].as_mut_ptr()
                    }
                })
                .collect()
        };
        let state: Vec<State> = chunks(&mut self.first)
            .into_iter()
            .zip(chunks(&mut self.second))
            .map(|(first, second)| State { first, second })
            .collect();
        w.par_chunks_mut(CHUNK).zip(grad.par_chunks(CHUNK)).zip(state).for_each(|((w, g), s)| {
            let n = w.len();
            // SAFETY: each chunk has its own part of the memory, `n` values or none.
            let (first, second) = unsafe { (s.slice(s.first, n), s.slice(s.second, n)) };
            vectorised!(update(rule: Rule, decay: f32, lr: f32, t: u64, w: &mut [f32], g: &[f32], first: &mut [f32], second: &mut [f32]));
        });
    }
}

const CHUNK: usize = 1 << 14;

#[derive(Clone, Copy)]
struct State {
    first: *mut f32,
    second: *mut f32,
}
// SAFETY: the parts of different chunks do not overlap.
unsafe impl Send for State {}
// SAFETY: as above.
unsafe impl Sync for State {}

impl State {
    /// # Safety
    /// `p` is null or valid for `n` values that nobody else uses.
    unsafe fn slice<'a>(self, p: *mut f32, n: usize) -> &'a mut [f32] {
        if p.is_null() {
            &mut []
        } else {
            // SAFETY: as this function's caller promises.
            unsafe { std::slice::from_raw_parts_mut(p, n) }
        }
    }
}

#[expect(clippy::too_many_arguments, reason = "a kernel's operands")]
#[inline(always)]
fn update(
    rule: Rule,
    decay: f32,
    lr: f32,
    t: u64,
    w: &mut [f32],
    g: &[f32],
    first: &mut [f32],
    second: &mut [f32],
) {
    let (n, t) = (w.len(), t.min(1_000_000) as i32);
    let g = &g[..n];
    match rule {
        Rule::Sgd { momentum: 0.0, .. } => {
            for i in 0..n {
                w[i] -= lr * (g[i] + decay * w[i]);
            }
        }
        Rule::Sgd { momentum, nesterov } => {
            let (b, look) = (&mut first[..n], if nesterov { momentum } else { 1.0 });
            let now = f32::from(u8::from(nesterov));
            for i in 0..n {
                let g = g[i] + decay * w[i];
                b[i] = momentum * b[i] + g;
                w[i] -= lr * (now * g + look * b[i]);
            }
        }
        Rule::Adagrad { eps } => {
            let s = &mut second[..n];
            for i in 0..n {
                let g = g[i] + decay * w[i];
                s[i] += g * g;
                w[i] -= lr * g / (s[i].sqrt() + eps);
            }
        }
        Rule::Adam { beta1, beta2, eps } | Rule::AdamW { beta1, beta2, eps } => {
            let (m, v) = (&mut first[..n], &mut second[..n]);
            let (c1, c2) = (1.0 / (1.0 - beta1.powi(t)), 1.0 / (1.0 - beta2.powi(t)));
            let (coupled, apart) = if matches!(rule, Rule::Adam { .. }) {
                (decay, 0.0)
            } else {
                (0.0, decay)
            };
            for i in 0..n {
                let g = g[i] + coupled * w[i];
                m[i] += (1.0 - beta1) * (g - m[i]);
                v[i] += (1.0 - beta2) * (g * g - v[i]);
                let move_by = m[i] * c1 / ((v[i] * c2).sqrt() + eps);
                w[i] -= lr * (move_by + apart * w[i]);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Golden values of `torch.optim`, written by scripts/golden.py: three steps from (1, −2, 0.5)
    /// along the gradient w² − 0.3 t, learning rate 0.01, decay 0.1.
    #[test]
    fn agrees_with_pytorch() {
        let b = (0.9, 0.99, 1e-8);
        for (rule, golden) in [
            (
                Rule::AdamW {
                    beta1: b.0,
                    beta2: b.1,
                    eps: b.2,
                },
                [0.969_827f32, -2.023_882, 0.525_451],
            ),
            (
                Rule::Adam {
                    beta1: b.0,
                    beta2: b.1,
                    eps: b.2,
                },
                ADAM,
            ),
            (
                Rule::Sgd {
                    momentum: 0.0,
                    nesterov: false,
                },
                SGD,
            ),
            (
                Rule::Sgd {
                    momentum: 0.9,
                    nesterov: false,
                },
                MOMENTUM,
            ),
            (
                Rule::Sgd {
                    momentum: 0.9,
                    nesterov: true,
                },
                NESTEROV,
            ),
            (Rule::Adagrad { eps: 1e-10 }, ADAGRAD),
        ] {
            let mut w = vec![1.0f32, -2.0, 0.5];
            let mut o = Optimiser::new(rule, 0.1, 3);
            for t in 1..=3u64 {
                let grad: Vec<f32> = w.iter().map(|x| x * x - 0.3 * t as f32).collect();
                o.step(0.01, t, &mut w, &grad);
            }
            for (a, e) in w.iter().zip(golden) {
                assert!((a - e).abs() < 1e-5, "{rule:?}: {w:?} != {golden:?}");
            }
        }
    }
    const ADAM: [f32; 3] = [0.972021, -2.029902, 0.520962];
    const SGD: [f32; 3] = [0.985435, -2.100091, 0.508967];
    const MOMENTUM: [f32; 3] = [0.967555, -2.191262, 0.511667];
    const NESTEROV: [f32; 3] = [0.957199, -2.281729, 0.519410];
    const ADAGRAD: [f32; 3] = [0.983085, -2.022073, 0.528855];
}
