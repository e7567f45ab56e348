//! Levenberg and Marquardt's method: least χ² between bounds, and the covariance of what was free.

use slipher_sim::sky::Plane;

use super::model::{Component, Optics, Renderer, Size};
use slipher_stats::cholesky::{inverse_of, solve};

/// Steps, at most.
const STEPS: usize = 200;
/// χ² has settled when a step improves it by less than this part.
const SETTLED: f64 = 1e-8;

/// Least axis ratio.
const THIN: f64 = 0.05;

/// A component with what may move of it.
#[derive(Clone, Debug)]
pub struct Part {
    /// Where it begins.
    pub component: Component,
    /// Whether each parameter is free.
    pub free: Vec<bool>,
    /// Bounds of each parameter, as a fit moves it (logarithms for flux, re, n and q).
    pub bounds: Vec<(f64, f64)>,
}

impl Part {
    /// All free, between wide bounds for a region of this size.
    pub fn new(component: Component, (h, w): Size) -> Part {
        let open = (f64::NEG_INFINITY, f64::INFINITY);
        let far = h.max(w) as f64;
        let bounds = match component {
            Component::Sersic(_) => vec![
                (-0.5 * far, 1.5 * far),
                (-0.5 * far, 1.5 * far),
                open,
                (0.05f64.ln(), (4.0 * far).ln()),
                (0.2f64.ln(), 10f64.ln()),
                // Through the circle and out as an ellipse that is turned by 90°: a wall at 1 traps
                // fits that begin with a wrong angle.
                (THIN.ln(), -THIN.ln()),
                open,
            ],
            Component::Point { .. } => vec![(-0.5 * far, 1.5 * far), (-0.5 * far, 1.5 * far), open],
            Component::Sky(_) => vec![open; 3],
        };
        Part {
            free: vec![true; component.parameters()],
            component,
            bounds,
        }
    }
}

/// An image with its weights.
pub struct Image<'a> {
    /// Region.
    pub size: Size,
    /// `[row][column]`.
    pub data: &'a [f64],
    /// 1/σ²; 0 where a pixel does not count.
    pub weight: &'a [f64],
}

/// What was found.
#[derive(Clone, Debug)]
pub struct Fitted {
    /// Components at the least χ².
    pub components: Vec<Component>,
    /// Standard deviation of each parameter of each component; 0 where it was not free.
    pub errors: Vec<Vec<f64>>,
    /// Whether each parameter ended at a bound.
    pub at_bound: Vec<Vec<bool>>,
    /// Covariance of the free parameters, `[free][free]`; none if they cannot be told apart.
    pub covariance: Option<Vec<f64>>,
    /// Σ weight (data − model)².
    pub chi2: f64,
    /// Pixels that count, less what was free.
    pub degrees: usize,
    /// Images of the model that it took.
    pub calls: usize,
    /// Whether χ² settled.
    pub settled: bool,
    /// The image.
    pub model: Vec<f64>,
}

/// Where each free parameter lives: (component, parameter).
fn places(parts: &[Part]) -> Vec<(usize, usize)> {
    let of = |(c, p): (usize, &Part)| {
        let free = p.free.clone();
        (0..p.free.len())
            .filter(move |k| free[*k])
            .map(move |k| (c, k))
    };
    parts.iter().enumerate().flat_map(of).collect()
}

/// Image, χ², gradient and Gauss and Newton's matrix.
struct Normal {
    model: Vec<f64>,
    chi2: f64,
    gradient: Vec<f64>,
    matrix: Vec<f64>,
}

fn normal(r: &Renderer, x: &Image<'_>, components: &[Component], at: &[(usize, usize)]) -> Normal {
    let n = x.data.len();
    let jets: Vec<Vec<Vec<f64>>> = components.iter().map(|c| r.jets(c)).collect();
    let mut model = vec![0.0; n];
    for j in &jets {
        model.iter_mut().zip(&j[0]).for_each(|(m, v)| *m += v);
    }
    let columns: Vec<&Vec<f64>> = at.iter().map(|(c, k)| &jets[*c][k + 1]).collect();
    let m = at.len();
    let (mut gradient, mut matrix) = (vec![0.0; m], vec![0.0; m * m]);
    let mut chi2 = 0.0;
    for i in 0..n {
        let w = x.weight[i];
        if w <= 0.0 {
            continue;
        }
        let off = x.data[i] - model[i];
        chi2 += w * off * off;
        for a in 0..m {
            let wa = w * columns[a][i];
            gradient[a] += wa * off;
            for b in 0..=a {
                matrix[a * m + b] += wa * columns[b][i];
            }
        }
    }
    Normal {
        model,
        chi2,
        gradient,
        matrix,
    }
}

/// Solves (A + λ diag A) s = g; none if A is singular even so.
fn step(n: &Normal, lambda: f64) -> Option<Vec<f64>> {
    let m = n.gradient.len();
    let mut a = n.matrix.clone();
    for i in 0..m {
        a[i * m + i] = a[i * m + i] * (1.0 + lambda) + 1e-30;
    }
    solve(&a, &n.gradient)
}

/// Fits components to an image.
pub fn fit(x: &Image<'_>, optics: Option<&Optics>, parts: &[Part]) -> Fitted {
    fit_to(x, optics, parts, 0.0)
}

/// The same of images of which many are to be fitted: ends when a step improves χ² by less than
/// [`ENOUGH`], of profiles that are good to 10⁻³ of a pixel.
pub fn fit_quickly(x: &Image<'_>, optics: Option<&Optics>, parts: &[Part]) -> Fitted {
    fit_to(x, optics, parts, ENOUGH)
}

/// Of χ²: a twentieth of an error.
const ENOUGH: f64 = 2.5e-3;

fn fit_to(x: &Image<'_>, optics: Option<&Optics>, parts: &[Part], enough: f64) -> Fitted {
    let mut r = Renderer::new(x.size, optics);
    r.quick = enough > 0.0;
    let parts = &walled(parts)[..];
    let at = places(parts);
    let mut values: Vec<Vec<f64>> = parts.iter().map(|p| p.component.values()).collect();
    for (p, v) in parts.iter().zip(&mut values) {
        for k in 0..v.len() {
            if p.free[k] {
                v[k] = v[k].clamp(p.bounds[k].0, p.bounds[k].1);
            }
        }
    }
    let of = |values: &[Vec<f64>]| -> Vec<Component> {
        let each = parts.iter().zip(values);
        each.map(|(p, v)| p.component.with(v)).collect()
    };
    let mut now = normal(&r, x, &of(&values), &at);
    let (mut lambda, mut calls, mut settled) = (1e-2, 1, at.is_empty());
    while calls < STEPS && !settled && !at.is_empty() {
        let Some(s) = step(&now, lambda) else {
            lambda *= 10.0;
            if lambda > 1e12 {
                break;
            }
            continue;
        };
        let mut tried = values.clone();
        for ((c, k), s) in at.iter().zip(&s) {
            let (low, high) = parts[*c].bounds[*k];
            // No leap of more than e-fold, nor out of sight.
            let most = match (&parts[*c].component, k) {
                (Component::Sky(_), _) => f64::INFINITY,
                (_, 0 | 1) => 0.1 * x.size.0.max(x.size.1) as f64,
                _ => 1.0,
            };
            tried[*c][*k] = (values[*c][*k] + s.clamp(-most, most)).clamp(low, high);
        }
        let next = normal(&r, x, &of(&tried), &at);
        calls += 1;
        if next.chi2.is_finite() && next.chi2 <= now.chi2 {
            let gain = now.chi2 - next.chi2;
            settled = gain <= (SETTLED * now.chi2).max(enough) && lambda <= 1.0;
            (values, now) = (tried, next);
            lambda = (0.2 * lambda).max(1e-9);
        } else {
            settled = lambda > 1e8;
            lambda *= 6.0;
        }
    }
    if upright(parts, &mut values) {
        now = normal(&r, x, &of(&values), &at);
        calls += 1;
    }
    finish(x, parts, &values, now, (calls, settled))
}

/// Where radius or angle stay, an ellipse cannot turn: its axis ratio ends at 1.
fn walled(parts: &[Part]) -> Vec<Part> {
    let mut parts = parts.to_vec();
    for p in &mut parts {
        let Component::Sersic(_) = p.component else {
            continue;
        };
        if !(p.free[3] && p.free[6]) {
            p.bounds[5].1 = p.bounds[5].1.min(0.0);
        }
    }
    parts
}

/// Ellipses with an axis ratio above 1 as those with one below it, turned by 90°; whether there
/// were any.
fn upright(parts: &[Part], values: &mut [Vec<f64>]) -> bool {
    let mut any = false;
    for (p, v) in parts.iter().zip(values) {
        let Component::Sersic(_) = p.component else {
            continue;
        };
        if v[5] > 0.0 {
            v[3] += v[5];
            v[5] = -v[5];
            v[6] += 0.5 * std::f64::consts::PI;
            any = true;
        }
    }
    any
}

fn finish(
    x: &Image<'_>,
    parts: &[Part],
    values: &[Vec<f64>],
    now: Normal,
    (calls, settled): (usize, bool),
) -> Fitted {
    let at = places(parts);
    let m = at.len();
    let on = |c: usize, k: usize| {
        let (low, high) = parts[c].bounds[k];
        let near = |b: f64| b.is_finite() && (values[c][k] - b).abs() < 1e-9 * (1.0 + b.abs());
        parts[c].free[k] && (near(low) || near(high))
    };
    // What lies at a bound does not move: the others' errors are those without it.
    let moving: Vec<usize> = (0..m).filter(|a| !on(at[*a].0, at[*a].1)).collect();
    let covariance = inverse_of(&now.matrix, m, &moving);
    let mut errors: Vec<Vec<f64>> = parts.iter().map(|p| vec![0.0; p.free.len()]).collect();
    if let Some(c) = &covariance {
        for (i, (part, k)) in at.iter().enumerate() {
            errors[*part][*k] = c[i * m + i].max(0.0).sqrt();
        }
    }
    let counted = x.weight.iter().filter(|w| **w > 0.0).count();
    let each = parts.iter().zip(values);
    Fitted {
        components: each.map(|(p, v)| p.component.with(v)).collect(),
        errors,
        at_bound: (0..parts.len())
            .map(|c| (0..parts[c].free.len()).map(|k| on(c, k)).collect())
            .collect(),
        covariance,
        chi2: now.chi2,
        degrees: counted.saturating_sub(m),
        calls,
        settled,
        model: now.model,
    }
}

/// A plane of an image, for optics.
pub fn plane(data: &[f64], (height, width): Size) -> Plane {
    Plane {
        height,
        width,
        data: data.iter().map(|v| *v as f32).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use slipher_sim::random::Stream;
    use slipher_sim::sky::psf::Psf;
    use slipher_sim::sky::sersic::Sersic;

    fn optics() -> Optics {
        let mut psf = Plane::square(25);
        Psf::moffat(3.0, 3.5).add(&mut psf, 12.0, 12.0, 1.0);
        Optics {
            psf,
            fine: 1,
            effective: false,
        }
    }

    fn truth() -> Sersic {
        Sersic {
            flux: 4000.0,
            re: 5.0,
            n: 2.2,
            q: 0.6,
            angle: 0.8,
            x: 30.4,
            y: 31.7,
        }
    }

    /// Galaxies with noise: pulls of every parameter are 1 wide, beginning from elsewhere; masked
    /// pixels do not matter, whatever they hold.
    #[test]
    fn pulls_are_one() {
        let size = (64, 64);
        let o = optics();
        let r = Renderer::new(size, Some(&o));
        let clean = r.image(&[Component::Sersic(truth()), Component::Sky([3.0, 0.0, 0.0])]);
        let begin = Sersic {
            flux: 2500.0,
            re: 8.0,
            n: 1.5,
            q: 0.8,
            angle: 0.5,
            x: 31.5,
            y: 31.5,
        };
        let mut parts = vec![
            Part::new(Component::Sersic(begin), size),
            Part::new(Component::Sky([0.0; 3]), size),
        ];
        parts[1].free = vec![true, false, false];
        let want = Component::Sersic(truth()).values();
        let (mut squares, mut n) = (0.0, 0);
        for row in 0..12 {
            let mut rng = Stream::new(8, 1, row);
            let sigma = 1.5;
            let mut data: Vec<f64> = clean.iter().map(|v| v + rng.normal(0.0, sigma)).collect();
            let mut weight = vec![1.0 / (sigma * sigma); 64 * 64];
            for i in 0..40 {
                (data[100 + i], weight[100 + i]) = (f64::NAN, 0.0);
            }
            let x = Image {
                size,
                data: &data,
                weight: &weight,
            };
            let f = fit(&x, Some(&o), &parts);
            assert!(f.settled && f.calls < 60, "{}", f.calls);
            for (k, v) in f.components[0].values().iter().enumerate() {
                let mut off = v - want[k];
                if k == 6 {
                    // Half a turn is none.
                    off -= (off / std::f64::consts::PI).round() * std::f64::consts::PI;
                }
                squares += (off / f.errors[0][k]).powi(2);
                n += 1;
            }
        }
        let width = (squares / f64::from(n)).sqrt();
        assert!((0.75..1.3).contains(&width), "{width}");
    }

    /// A bound is kept, and said.
    #[test]
    fn bounds_are_said() {
        let size = (48, 48);
        let s = Sersic {
            n: 0.5,
            x: 23.0,
            y: 24.0,
            ..truth()
        };
        let data = Renderer::new(size, None).image(&[Component::Sersic(s)]);
        let weight = vec![1.0; 48 * 48];
        let mut part = Part::new(Component::Sersic(Sersic { n: 2.0, ..s }), size);
        part.bounds[4] = (1f64.ln(), 4f64.ln());
        let x = Image {
            size,
            data: &data,
            weight: &weight,
        };
        let f = fit(&x, None, &[part]);
        assert!(f.at_bound[0][4] && f.errors[0][4] == 0.0);
        assert!((f.components[0].values()[4] - 0.0).abs() < 1e-12);
    }
}
