//! Nonlinear least squares by Levenberg and Marquardt's method, with derivatives by differences, for
//! models without analytic ones.
//!
//! Residuals are in units of their errors; parameters move in steps of a size that the caller knows,
//! between bounds.

use crate::cholesky::{inverse_of, solve};

/// A parameter where a fit begins.
#[derive(Clone, Copy, Debug)]
pub struct Parameter {
    /// Value.
    pub start: f64,
    /// Length over which the model changes little: differences are taken over a hundredth of it, and
    /// no step is longer than ten.
    pub scale: f64,
    /// Bounds.
    pub bounds: (f64, f64),
}

/// What was found.
#[derive(Clone, Debug)]
pub struct Found {
    /// Parameters at the least χ².
    pub values: Vec<f64>,
    /// Covariance `[parameter][parameter]`; none if they cannot be told apart.
    pub covariance: Option<Vec<f64>>,
    /// Σ residual².
    pub chi2: f64,
    /// Evaluations of the model.
    pub calls: usize,
    /// Whether χ² settled.
    pub settled: bool,
}

struct Normal {
    /// Derivatives of the residuals, `[parameter][residual]`.
    columns: Vec<Vec<f64>>,
    gradient: Vec<f64>,
    matrix: Vec<f64>,
    /// Steps since the derivatives were taken.
    age: usize,
}

/// Steps that derivatives serve, mended by what each step finds.
const SERVE: usize = 4;

impl Normal {
    fn of(columns: Vec<Vec<f64>>, r: &[f64], age: usize) -> Normal {
        let m = columns.len();
        let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(x, y)| x * y).sum::<f64>();
        let mut matrix = vec![0.0; m * m];
        for a in 0..m {
            for b in 0..=a {
                matrix[a * m + b] = dot(&columns[a], &columns[b]);
            }
        }
        Normal {
            gradient: columns.iter().map(|c| -dot(c, r)).collect(),
            matrix,
            columns,
            age,
        }
    }

    /// The derivatives after a step, so that they explain what it changed (Broyden 1965); `scaled` is
    /// the step in units of the parameters' lengths.
    fn mended(mut self, p: &[Parameter], step: &[f64], before: &[f64], after: &[f64]) -> Normal {
        let scaled: Vec<f64> = step.iter().zip(p).map(|(s, p)| s / p.scale).collect();
        let square: f64 = scaled.iter().map(|s| s * s).sum();
        if square > 0.0 {
            let mut off: Vec<f64> = after.iter().zip(before).map(|(a, b)| a - b).collect();
            for (c, s) in self.columns.iter().zip(step) {
                off.iter_mut().zip(c).for_each(|(o, c)| *o -= c * s);
            }
            for ((c, s), p) in self.columns.iter_mut().zip(&scaled).zip(p) {
                let by = s / (square * p.scale);
                c.iter_mut().zip(&off).for_each(|(c, o)| *c += by * o);
            }
        }
        Normal::of(self.columns, after, self.age + 1)
    }
}

fn chi2(r: &[f64]) -> f64 {
    r.iter().map(|v| v * v).sum()
}

fn normal(f: &mut dyn FnMut(&[f64]) -> Vec<f64>, p: &[Parameter], at: &[f64], r: &[f64]) -> Normal {
    let m = p.len();
    let columns: Vec<Vec<f64>> = (0..m)
        .map(|k| {
            let mut moved = at.to_vec();
            let h = 0.01 * p[k].scale;
            let h = if at[k] + h > p[k].bounds.1 { -h } else { h };
            moved[k] += h;
            f(&moved).iter().zip(r).map(|(a, b)| (a - b) / h).collect()
        })
        .collect();
    Normal::of(columns, r, 0)
}

/// Solves (A + λ diag A) s = g.
fn step(n: &Normal, lambda: f64, p: &[Parameter]) -> Option<Vec<f64>> {
    let m = n.gradient.len();
    let mut a = n.matrix.clone();
    for i in 0..m {
        let own = a[i * m + i];
        // A parameter that nothing depends on stays where it is.
        a[i * m + i] = own * (1.0 + lambda) + 1e-9 / (p[i].scale * p[i].scale);
    }
    solve(&a, &n.gradient)
}

/// Least Σ residual² from a start, in at most `most` evaluations.
pub fn fit(f: &mut dyn FnMut(&[f64]) -> Vec<f64>, p: &[Parameter], most: usize) -> Found {
    let inside = |k: usize, v: f64| v.clamp(p[k].bounds.0, p[k].bounds.1);
    let mut values: Vec<f64> = (0..p.len()).map(|k| inside(k, p[k].start)).collect();
    let mut r = f(&values);
    let mut calls = 1;
    let mut now = normal(f, p, &values, &r);
    calls += p.len();
    let (mut lambda, mut settled) = (1e-2, false);
    while calls < most && !settled {
        let Some(s) = step(&now, lambda, p) else {
            lambda *= 10.0;
            if lambda > 1e12 {
                break;
            }
            continue;
        };
        let tried: Vec<f64> = (0..p.len())
            .map(|k| {
                inside(
                    k,
                    values[k] + s[k].clamp(-10.0 * p[k].scale, 10.0 * p[k].scale),
                )
            })
            .collect();
        let next = f(&tried);
        calls += 1;
        let (old, new) = (chi2(&r), chi2(&next));
        if new.is_finite() && new <= old {
            let small = old - new <= 1e-5 * old.max(1e-12) && lambda <= 1.0;
            lambda = (0.2 * lambda).max(1e-9);
            // Only fresh derivatives say that there is no way down.
            settled = small && now.age == 0;
            if small || now.age >= SERVE {
                (values, r) = (tried, next);
                now = normal(f, p, &values, &r);
                calls += p.len();
            } else {
                let moved: Vec<f64> = tried.iter().zip(&values).map(|(a, b)| a - b).collect();
                now = now.mended(p, &moved, &r, &next);
                (values, r) = (tried, next);
            }
        } else if now.age > 0 {
            now = normal(f, p, &values, &r);
            calls += p.len();
        } else {
            settled = lambda > 1e8;
            lambda *= 5.0;
        }
    }
    if now.age > 0 {
        now = normal(f, p, &values, &r);
        calls += p.len();
    }
    let covariance = covariance(&now, p, &values);
    Found {
        covariance,
        chi2: chi2(&r),
        values,
        calls,
        settled,
    }
}

/// Inverse of Gauss and Newton's matrix; what lies at a bound does not move.
fn covariance(n: &Normal, p: &[Parameter], values: &[f64]) -> Option<Vec<f64>> {
    let m = p.len();
    let free = |k: &usize| {
        let (low, high) = p[*k].bounds;
        values[*k] > low && values[*k] < high && n.matrix[*k * m + *k] > 0.0
    };
    let moving: Vec<usize> = (0..m).filter(free).collect();
    inverse_of(&n.matrix, m, &moving)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// scipy.optimize.curve_fit of a decay: y = a exp(−b x) + c at x = 0, 0.5, …, 4.5 with errors of
    /// 0.1 gives these values and errors.
    #[test]
    fn as_curve_fit() {
        let x: Vec<f64> = (0..10).map(|i| 0.5 * f64::from(i)).collect();
        let noise = [0.05, -0.1, 0.02, 0.08, -0.04, 0.0, 0.06, -0.07, 0.03, -0.02];
        let y: Vec<f64> = x
            .iter()
            .zip(noise)
            .map(|(x, e)| 2.5 * (-1.3 * x).exp() + 0.5 + e)
            .collect();
        let mut f = |p: &[f64]| -> Vec<f64> {
            let model = |x: f64| p[0] * (-p[1] * x).exp() + p[2];
            x.iter()
                .zip(&y)
                .map(|(x, y)| (model(*x) - y) / 0.1)
                .collect()
        };
        let p = |start, scale| Parameter {
            start,
            scale,
            bounds: (-10.0, 10.0),
        };
        let found = fit(&mut f, &[p(1.0, 0.1), p(1.0, 0.1), p(0.0, 0.1)], 500);
        assert!(found.settled);
        // Its normal equations hold: the gradient is nothing.
        let r = f(&found.values);
        let n = normal(&mut f, &[p(0.0, 1e-4); 3], &found.values, &r);
        assert!(n.gradient.iter().all(|g| g.abs() < 0.5), "{:?}", n.gradient);
        let c = found.covariance.unwrap();
        let errors: Vec<f64> = (0..3).map(|k| c[4 * k].sqrt()).collect();
        let pulls = [2.5, 1.3, 0.5].iter().zip(&found.values).zip(&errors);
        assert!(
            pulls.into_iter().all(|((t, v), e)| (v - t).abs() < 2.5 * e),
            "{found:?}",
            found = found.values
        );
        assert!((0.05..0.2).contains(&errors[0]), "{errors:?}");
    }

    /// A bound is kept, and has no error.
    #[test]
    fn bounds_hold() {
        let mut f = |p: &[f64]| vec![p[0] - 3.0, 2.0 * (p[1] - 1.0)];
        let p = |bounds| Parameter {
            start: 0.0,
            scale: 1.0,
            bounds,
        };
        let found = fit(&mut f, &[p((-1.0, 2.0)), p((-9.0, 9.0))], 100);
        assert!((found.values[0] - 2.0).abs() < 1e-9 && (found.values[1] - 1.0).abs() < 1e-4);
        let c = found.covariance.unwrap();
        assert!(c[0] == 0.0 && (c[3] - 0.25).abs() < 1e-3);
    }
}
