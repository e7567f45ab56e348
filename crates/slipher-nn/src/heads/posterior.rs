//! `d` numbers with a joint posterior: a mixture of normal distributions with full covariances; one
//! component is a Gaussian.
//!
//! With r = t − μ and the lower triangular L of the precision Λ = L Lᵀ, a component has
//! log N = −½ |Lᵀ r|² + Σ log L_ii − d/2 log 2π (Dorta et al. 2018); the loss is −log Σ π_k N_k
//! (Bishop 1994). Targets are learned in units of their prior: (t − centre) / width.
//!
//! An answer holds `[weight, mean (d), C (d(d+1)/2, row by row of the lower triangle)]` of each
//! component, in the units of the targets, with the covariance C Cᵀ (its square would leave the range
//! of `f32` for parameters of 10⁻²⁰ or 10²⁰); [`Posterior`] reads it.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Head, Kind, json, parse};
use crate::loss::golden_section;

/// What a network learns of `d` numbers.
#[derive(Clone, Debug, PartialEq)]
pub struct Mixture {
    /// (centre, width) of each target's prior.
    pub units: Vec<(f64, f64)>,
    /// Gaussians of the mixture.
    pub components: usize,
    /// Factor of each target's errors.
    pub scales: Vec<f64>,
}

/// Largest |log L_ii| in units of the prior.
const MOST: f32 = 9.0;

/// What a model file keeps.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct State {
    error_scales: Vec<f64>,
}

/// Numbers of a lower triangle.
fn triangle(d: usize) -> usize {
    d * (d + 1) / 2
}

/// Place of row `i`, column `j` ≤ `i` of a lower triangle.
fn at(i: usize, j: usize) -> usize {
    i * (i + 1) / 2 + j
}

impl Mixture {
    /// One Gaussian for targets of these priors, (centre, width).
    pub fn gaussian(units: Vec<(f64, f64)>) -> Mixture {
        Mixture::new(units, 1)
    }

    /// A mixture of so many components.
    pub fn new(units: Vec<(f64, f64)>, components: usize) -> Mixture {
        let scales = vec![1.0; units.len()];
        Mixture {
            units,
            components: components.max(1),
            scales,
        }
    }

    fn d(&self) -> usize {
        self.units.len()
    }

    /// Outputs of one component: its logit if there are others, means, triangle with the logarithm
    /// of its diagonal.
    fn stride(&self) -> usize {
        usize::from(self.components > 1) + self.d() + triangle(self.d())
    }

    /// Logit, means and L of component `k`.
    fn component(&self, outputs: &[f32], k: usize) -> (f32, Vec<f64>, Vec<f64>) {
        let (d, o) = (
            self.d(),
            &outputs[k * self.stride()..(k + 1) * self.stride()],
        );
        let (logit, o) = if self.components > 1 {
            (o[0], &o[1..])
        } else {
            (0.0, o)
        };
        let means = o[..d].iter().map(|v| f64::from(*v)).collect();
        let mut l: Vec<f64> = o[d..].iter().map(|v| f64::from(*v)).collect();
        (0..d).for_each(|i| l[at(i, i)] = f64::from(o[d + at(i, i)].clamp(-MOST, MOST)).exp());
        (logit, means, l)
    }
}

/// Lᵀ r.
fn whiten(l: &[f64], r: &[f64]) -> Vec<f64> {
    (0..r.len())
        .map(|j| (j..r.len()).map(|i| l[at(i, j)] * r[i]).sum())
        .collect()
}

fn log_sum_exp(v: &[f64]) -> f64 {
    let top = v.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    top + v.iter().map(|x| (x - top).exp()).sum::<f64>().ln()
}

/// Covariance (L Lᵀ)⁻¹ of a lower triangular L, as a lower triangle.
fn covariance(l: &[f64], d: usize) -> Vec<f64> {
    // M = L⁻¹ by forward substitution, then MᵀM.
    let mut m = vec![0.0; triangle(d)];
    for j in 0..d {
        for i in j..d {
            let sum: f64 = (j..i).map(|k| l[at(i, k)] * m[at(k, j)]).sum();
            let unit = if i == j { 1.0 } else { 0.0 };
            m[at(i, j)] = (unit - sum) / l[at(i, i)];
        }
    }
    let entry = |i: usize, j: usize| (i.max(j)..d).map(|k| m[at(k, i)] * m[at(k, j)]).sum();
    (0..d)
        .flat_map(|i| (0..=i).map(move |j| (i, j)))
        .map(|(i, j)| entry(i, j))
        .collect()
}

/// Lower triangular factor C of a covariance, Σ = C Cᵀ.
fn cholesky(covariance: &[f64], d: usize) -> Vec<f64> {
    let mut c = vec![0.0; triangle(d)];
    for i in 0..d {
        for j in 0..=i {
            let sum: f64 = (0..j).map(|k| c[at(i, k)] * c[at(j, k)]).sum();
            let rest = covariance[at(i, j)] - sum;
            c[at(i, j)] = if i == j {
                rest.sqrt()
            } else {
                rest / c[at(j, j)]
            };
        }
    }
    c
}

/// Covariance of two targets of a component from the factor in its answer.
fn entry(c: &[f32], i: usize, j: usize) -> f64 {
    let product = |k: usize| f64::from(c[at(i, k)]) * f64::from(c[at(j, k)]);
    (0..=i.min(j)).map(product).sum()
}

impl Head for Mixture {
    fn kind(&self) -> Kind {
        Kind::Posterior
    }
    fn units(&self) -> usize {
        self.components * self.stride()
    }
    fn targets(&self) -> usize {
        self.d()
    }
    fn width(&self, members: usize) -> usize {
        members * self.components * (1 + self.d() + triangle(self.d()))
    }
    fn loss(&self, outputs: &mut [f32], target: &[f32]) -> f64 {
        let d = self.d();
        let t: Vec<f64> = target
            .iter()
            .zip(&self.units)
            .map(|(t, (c, w))| (f64::from(*t) - c) / w)
            .collect();
        let parts: Vec<_> = (0..self.components)
            .map(|k| {
                let (logit, means, l) = self.component(outputs, k);
                let r: Vec<f64> = t.iter().zip(&means).map(|(t, m)| t - m).collect();
                let u = whiten(&l, &r);
                let log = -0.5 * u.iter().map(|v| v * v).sum::<f64>()
                    + (0..d).map(|i| l[at(i, i)].ln()).sum::<f64>()
                    - 0.5 * d as f64 * std::f64::consts::TAU.ln();
                (f64::from(logit), log, r, u, l)
            })
            .collect();
        let norm = log_sum_exp(&parts.iter().map(|p| p.0).collect::<Vec<_>>());
        let joint: Vec<f64> = parts.iter().map(|p| p.0 - norm + p.1).collect();
        let total = log_sum_exp(&joint);
        let stride = self.stride();
        for (k, (logit, _, r, u, l)) in parts.iter().enumerate() {
            let share = (joint[k] - total).exp();
            let mut o = &mut outputs[k * stride..(k + 1) * stride];
            if self.components > 1 {
                o[0] = ((logit - norm).exp() - share) as f32;
                o = &mut o[1..];
            }
            for i in 0..d {
                // dμ = −L u; dL_ij = r_i u_j, and −1 / L_ii on the diagonal, whose logarithm is the
                // output.
                o[i] = (-share * (0..=i).map(|j| l[at(i, j)] * u[j]).sum::<f64>()) as f32;
                for j in 0..i {
                    o[d + at(i, j)] = (share * r[i] * u[j]) as f32;
                }
                let slope = share * (r[i] * u[i] * l[at(i, i)] - 1.0);
                // At the limit only what leads back.
                let edge = f64::from(MOST).exp();
                let held = (l[at(i, i)] >= edge && slope < 0.0)
                    || (l[at(i, i)] * edge <= 1.0 + 1e-12 && slope > 0.0);
                o[d + at(i, i)] = if held { 0.0 } else { slope as f32 };
            }
        }
        -total
    }
    fn decode(&self, outputs: &[f32], answer: &mut [f32]) {
        let d = self.d();
        let logits: Vec<f64> = (0..self.components)
            .map(|k| f64::from(self.component(outputs, k).0))
            .collect();
        let norm = log_sum_exp(&logits);
        for (k, a) in answer.chunks_exact_mut(1 + d + triangle(d)).enumerate() {
            let (logit, means, l) = self.component(outputs, k);
            let c = cholesky(&covariance(&l, d), d);
            a[0] = (f64::from(logit) - norm).exp() as f32;
            for i in 0..d {
                let (centre, width) = self.units[i];
                a[1 + i] = (centre + width * means[i]) as f32;
                for j in 0..=i {
                    let scale = width * self.scales[i];
                    a[1 + d + at(i, j)] = (scale * c[at(i, j)]) as f32;
                }
            }
        }
    }
    /// The components of all members, their weights times the member's.
    fn combine(&self, members: &[&[f32]], weights: &[f64], answer: &mut [f32]) {
        let (d, own) = (self.d(), self.width(1));
        for ((to, from), w) in answer.chunks_exact_mut(own).zip(members).zip(weights) {
            to.copy_from_slice(from);
            to.chunks_exact_mut(1 + d + triangle(d))
                .for_each(|c| c[0] *= *w as f32);
        }
    }
    fn likelihood(&self, answer: &[f32], target: &[f32]) -> f64 {
        Posterior::of(answer, self.d()).density(target)
    }
    /// Finds the factor of each target's errors under which its marginal is most likely.
    fn calibrate(&mut self, outputs: &[Vec<f32>], targets: &[f32]) {
        let (d, units) = (self.d(), Head::units(self));
        self.scales = vec![1.0; d];
        let mut answer = vec![0.0; self.width(1)];
        // (weight, mean, σ) of each component, by target and row.
        let mut marginals: Vec<Vec<(f64, Vec<[f64; 3]>)>> = vec![vec![]; d];
        for member in outputs {
            for (o, t) in member.chunks_exact(units).zip(targets.chunks_exact(d)) {
                self.decode(o, &mut answer);
                let p = Posterior::of(&answer, d);
                (0..d).for_each(|j| marginals[j].push((f64::from(t[j]), p.marginal(j))));
            }
        }
        for j in 0..d {
            let cost = |log: f64| -> f64 {
                let f = log.exp();
                let density = |(t, parts): &(f64, Vec<[f64; 3]>)| {
                    parts
                        .iter()
                        .map(|[w, m, s]| w * normal((t - m) / (f * s)) / (f * s))
                        .sum::<f64>()
                };
                marginals[j]
                    .iter()
                    .map(|row| -density(row).max(1e-300).ln())
                    .sum()
            };
            self.scales[j] = golden_section(-2.5, 2.5, cost).exp();
        }
    }
    fn state(&self) -> Value {
        json(&State {
            error_scales: self.scales.clone(),
        })
    }
    fn restore(&mut self, state: &Value) -> Result<(), String> {
        let s: State = parse(state)?;
        if s.error_scales.len() != self.d()
            || s.error_scales.iter().any(|v| !(*v > 0.0 && v.is_finite()))
        {
            return Err(format!("expected {} positive error_scales", self.d()));
        }
        self.scales = s.error_scales;
        Ok(())
    }
}

/// Density of the normal distribution.
fn normal(x: f64) -> f64 {
    (-0.5 * x * x).exp() / std::f64::consts::TAU.sqrt()
}

/// Φ(x).
fn cumulative(x: f64) -> f64 {
    0.5 * libm::erfc(-x / std::f64::consts::SQRT_2)
}

/// An answer of [`Mixture`], of one member or of many.
#[derive(Clone, Copy, Debug)]
pub struct Posterior<'a> {
    answer: &'a [f32],
    d: usize,
}

impl<'a> Posterior<'a> {
    /// Reads an answer about `d` targets.
    pub fn of(answer: &'a [f32], d: usize) -> Posterior<'a> {
        Posterior { answer, d }
    }

    fn parts(&self) -> impl Iterator<Item = (f64, &'a [f32], &'a [f32])> {
        let d = self.d;
        let part = move |c: &'a [f32]| (f64::from(c[0]), &c[1..1 + d], &c[1 + d..]);
        self.answer.chunks_exact(1 + d + triangle(d)).map(part)
    }

    /// `[weight, mean, σ]` of each component of target `j`.
    pub fn marginal(&self, j: usize) -> Vec<[f64; 3]> {
        let sigma = |c: &[f32]| entry(c, j, j).sqrt();
        self.parts()
            .map(|(w, m, c)| [w, f64::from(m[j]), sigma(c)])
            .collect()
    }

    /// Mean of target `j`.
    pub fn mean(&self, j: usize) -> f64 {
        self.marginal(j).iter().map(|[w, m, _]| w * m).sum()
    }

    /// Covariance of targets `i` and `j`.
    pub fn covariance(&self, i: usize, j: usize) -> f64 {
        let (a, b) = (self.mean(i), self.mean(j));
        let each = |(w, m, c): (f64, &[f32], &[f32])| {
            w * (entry(c, i, j) + (f64::from(m[i]) - a) * (f64::from(m[j]) - b))
        };
        self.parts().map(each).sum()
    }

    /// Standard deviation of target `j`.
    pub fn sigma(&self, j: usize) -> f64 {
        self.covariance(j, j).sqrt()
    }

    /// Probability that target `j` is below `t`: of the truth, the probability integral transform.
    pub fn cumulative(&self, j: usize, t: f64) -> f64 {
        self.marginal(j)
            .iter()
            .map(|[w, m, s]| w * cumulative((t - m) / s))
            .sum()
    }

    /// Value below which target `j` lies with probability `p`, by bisection.
    pub fn quantile(&self, j: usize, p: f64) -> f64 {
        let parts = self.marginal(j);
        let ends = |sign: f64| parts.iter().map(move |[_, m, s]| m + sign * 9.0 * s);
        let mut low = ends(-1.0).fold(f64::INFINITY, f64::min);
        let mut high = ends(1.0).fold(f64::NEG_INFINITY, f64::max);
        for _ in 0..60 {
            let middle = 0.5 * (low + high);
            if self.cumulative(j, middle) < p {
                low = middle
            } else {
                high = middle
            }
        }
        0.5 * (low + high)
    }

    /// Continuous ranked probability score of target `j` at the truth `t`, in its units (Grimit et
    /// al. 2006, eq. 5).
    pub fn crps(&self, j: usize, t: f64) -> f64 {
        let parts = self.marginal(j);
        let a = |m: f64, s: f64| 2.0 * s * normal(m / s) + m * (2.0 * cumulative(m / s) - 1.0);
        let near: f64 = parts.iter().map(|[w, m, s]| w * a(t - m, *s)).sum();
        let pairs = parts.iter().flat_map(|p| parts.iter().map(move |q| (p, q)));
        let spread: f64 = pairs
            .map(|(p, q)| p[0] * q[0] * a(p[1] - q[1], p[2].hypot(q[2])))
            .sum();
        near - 0.5 * spread
    }

    /// Joint density at a point.
    pub fn density(&self, t: &[f32]) -> f64 {
        self.parts().map(|(w, m, c)| w * joint(t, m, c)).sum()
    }
}

/// Moves an answer about `d` targets into other units: t → shift + factor t of each target.
pub fn reframe(answer: &mut [f32], frame: &[[f64; 2]]) {
    let d = frame.len();
    for part in answer.chunks_exact_mut(1 + d + triangle(d)) {
        for (i, [shift, factor]) in frame.iter().enumerate() {
            part[1 + i] = (shift + factor * f64::from(part[1 + i])) as f32;
            for j in 0..=i {
                part[1 + d + at(i, j)] *= *factor as f32;
            }
        }
    }
}

/// An answer of one Gaussian: means, and a covariance `[d][d]` of which the lower triangle is read.
/// None if it is not positive.
pub fn gaussian(mean: &[f64], covariance: &[f64]) -> Option<Vec<f32>> {
    let d = mean.len();
    let lower: Vec<f64> = (0..d)
        .flat_map(|i| (0..=i).map(move |j| covariance[i * d + j]))
        .collect();
    let c = cholesky(&lower, d);
    let mut answer = vec![1.0f32];
    answer.extend(mean.iter().map(|m| *m as f32));
    answer.extend(c.iter().map(|v| *v as f32));
    answer.iter().all(|v| v.is_finite()).then_some(answer)
}

/// Samples `[sample][target]` of an answer about `d` targets from normal numbers `[sample][d]`, the
/// components in proportion to their weights.
pub fn samples(answer: &[f32], d: usize, normals: &[f64]) -> Vec<f64> {
    let parts: Vec<_> = Posterior::of(answer, d).parts().collect();
    let n = normals.len() / d.max(1);
    let total: f64 = parts.iter().map(|p| p.0).sum();
    let mut out = Vec::with_capacity(n * d);
    let (mut k, mut upto) = (0, parts.first().map_or(0.0, |p| p.0));
    for (s, z) in normals.chunks_exact(d).enumerate() {
        while k + 1 < parts.len() && (s as f64 + 0.5) / n as f64 * total > upto {
            k += 1;
            upto += parts[k].0;
        }
        let (_, mean, c) = parts[k];
        for i in 0..d {
            let off: f64 = (0..=i).map(|j| f64::from(c[at(i, j)]) * z[j]).sum();
            out.push(f64::from(mean[i]) + off);
        }
    }
    out
}

/// Density of one component, by the Cholesky factor of its covariance.
fn joint(t: &[f32], mean: &[f32], c: &[f32]) -> f64 {
    let d = mean.len();
    let mut log = 0.0;
    let mut y = vec![0.0f64; d];
    for i in 0..d {
        let sum: f64 = (0..i).map(|k| f64::from(c[at(i, k)]) * y[k]).sum();
        let own = f64::from(c[at(i, i)]);
        y[i] = (f64::from(t[i]) - f64::from(mean[i]) - sum) / own;
        log -= 0.5 * y[i] * y[i] + own.abs().ln() + 0.5 * std::f64::consts::TAU.ln();
    }
    log.exp()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outputs(n: usize) -> Vec<f32> {
        (0..n).map(|i| 0.7 * (i as f32 * 1.7).sin()).collect()
    }

    #[test]
    fn gradients_agree_with_differences() {
        for (d, k) in [(1, 1), (3, 1), (2, 3)] {
            let h = Mixture::new((0..d).map(|i| (i as f64, 1.0 + i as f64)).collect(), k);
            let target: Vec<f32> = (0..d).map(|i| 0.4 + 0.3 * i as f32).collect();
            let o = outputs(Head::units(&h));
            super::super::tests::check_gradient(&h, &o, &target, 2e-3);
        }
    }

    /// The loss is minus the logarithm of the density that the answer has at the target.
    #[test]
    fn loss_is_the_density_of_the_answer() {
        for k in [1, 2] {
            let h = Mixture::new(vec![(1.0, 2.0), (-3.0, 0.5)], k);
            let o = outputs(Head::units(&h));
            let mut answer = vec![0.0; h.width(1)];
            h.decode(&o, &mut answer);
            let t = [1.3f32, -2.8];
            // Densities in units of the prior are smaller by its widths.
            let density = h.likelihood(&answer, &t) * 2.0 * 0.5;
            let loss = h.loss(&mut o.clone(), &t);
            assert!((loss + density.ln()).abs() < 1e-4, "{loss} {density}");
        }
    }

    /// scipy.stats: norm.cdf, and the CRPS of a normal by properscoring: σ (x (2Φ(x) − 1) + 2φ(x) −
    /// π^(−1/2)).
    #[test]
    fn marginals_quantiles_and_crps() {
        let answer = [0.3f32, 1.0, 2.0, 0.7, 3.0, 0.5];
        let p = Posterior::of(&answer, 1);
        assert!((p.mean(0) - 2.4).abs() < 1e-6);
        assert!((p.sigma(0).powi(2) - (0.3 * 4.0 + 0.7 * 0.25 + 0.3 * 0.7 * 4.0)).abs() < 1e-6);
        for q in [0.025, 0.16, 0.5, 0.84, 0.975] {
            assert!((p.cumulative(0, p.quantile(0, q)) - q).abs() < 1e-9);
        }
        let one = [1.0f32, 0.0, 1.0];
        let n = Posterior::of(&one, 1);
        assert!((n.cumulative(0, 1.0) - 0.841_344_746).abs() < 2e-7);
        assert!((n.cumulative(0, -2.5) - 0.006_209_665).abs() < 2e-7);
        assert!(
            (n.crps(0, 0.0) - 0.233_695).abs() < 1e-5 && (n.crps(0, 2.0) - 1.452_82).abs() < 1e-4,
            "{} {}",
            n.crps(0, 0.0),
            n.crps(0, 2.0)
        );
        // By its definition, ∫ (F(x) − [x ≥ t])² dx.
        let step = 1e-3;
        let integral: f64 = (-9000..9000)
            .map(|i| (f64::from(i) + 0.5) * step)
            .map(|x| (p.cumulative(0, x) - if x >= 2.0 { 1.0 } else { 0.0 }).powi(2) * step)
            .sum();
        assert!(
            (p.crps(0, 2.0) - integral).abs() < 1e-4,
            "{} {integral}",
            p.crps(0, 2.0)
        );
    }

    /// In other units an answer has the same density but for the factors; its samples have its
    /// moments.
    #[test]
    fn other_units_and_samples() {
        let h = Mixture::new(vec![(0.0, 1.0), (1.0, 2.0)], 2);
        let mut a = vec![0.0; h.width(1)];
        h.decode(&outputs(Head::units(&h)), &mut a);
        let before = Posterior::of(&a, 2).density(&[0.3, 0.9]);
        let normals: Vec<f64> = (0..40_000)
            .map(|i| {
                let u = (f64::from(i) * 0.754_877_666 + 0.5).fract();
                Posterior::of(&[1.0, 0.0, 1.0], 1).quantile(0, u.clamp(1e-6, 1.0 - 1e-6))
            })
            .collect();
        let s = samples(&a, 2, &normals);
        let mean = s.iter().skip(1).step_by(2).sum::<f64>() / 20_000.0;
        assert!((mean - Posterior::of(&a, 2).mean(1)).abs() < 0.03);
        reframe(&mut a, &[[5.0, 10.0], [0.0, -0.5]]);
        let after = Posterior::of(&a, 2).density(&[8.0, -0.45]);
        assert!(
            (after * 5.0 / before - 1.0).abs() < 1e-4,
            "{after} {before}"
        );
        let g = gaussian(&[1.0, 2.0], &[4.0, 9.0, 1.0, 9.0]).unwrap();
        let g = Posterior::of(&g, 2);
        assert!((g.covariance(0, 1) - 1.0).abs() < 1e-5 && (g.sigma(1) - 3.0).abs() < 1e-5);
        assert!(gaussian(&[0.0], &[-1.0]).is_none());
    }

    #[test]
    fn members_add_up_and_calibration_finds_the_scale() {
        let mut h = Mixture::gaussian(vec![(0.0, 1.0)]);
        let (a, b) = ([1.0f32, -1.0, 1.0], [1.0f32, 1.0, 1.0]);
        let mut both = vec![0.0; h.width(2)];
        h.combine(&[&a, &b], &[0.5, 0.5], &mut both);
        let p = Posterior::of(&both, 1);
        assert!(p.mean(0).abs() < 1e-6 && (p.sigma(0) - 2f64.sqrt()).abs() < 1e-6);
        // Means of 0 with σ = 1, truths that scatter by 3.
        let targets: Vec<f32> = (0..4001)
            .map(|i| {
                3.0 * Posterior::of(&[1.0, 0.0, 1.0], 1).quantile(0, (f64::from(i) + 0.5) / 4001.0)
                    as f32
            })
            .collect();
        h.calibrate(&[vec![0.0; 2 * 4001]], &targets);
        assert!((h.scales[0] - 3.0).abs() < 0.01, "{:?}", h.scales);
        let mut other = Mixture::gaussian(vec![(0.0, 1.0)]);
        other.restore(&h.state()).unwrap();
        assert!(other == h && other.restore(&Value::Null).is_err());
    }

    /// Parameters of any unit: fluxes of 10⁻²¹ and luminosities of 10³⁰ keep their errors, and the
    /// covariance is what the factors of the outputs say.
    #[test]
    fn errors_of_small_and_large_units_are_kept() {
        let h = Mixture::gaussian(vec![(0.0, 1e-21), (0.0, 1e30)]);
        let o = [0.1f32, -0.2, 4.0, 0.5, 3.0];
        let mut answer = vec![0.0; h.width(1)];
        h.decode(&o, &mut answer);
        let p = Posterior::of(&answer, 2);
        let plain = Mixture::gaussian(vec![(0.0, 1.0), (0.0, 1.0)]);
        let mut unit = vec![0.0; h.width(1)];
        plain.decode(&o, &mut unit);
        let u = Posterior::of(&unit, 2);
        for (i, j, scale) in [(0, 0, 1e-42), (0, 1, 1e9), (1, 1, 1e60)] {
            let (a, b) = (p.covariance(i, j) / scale, u.covariance(i, j));
            assert!((a / b - 1.0).abs() < 1e-5, "{i} {j} {a} {b}");
        }
        assert!((p.cumulative(0, 0.1e-21 + p.sigma(0)) - 0.841_344_7).abs() < 1e-4);
    }
}
