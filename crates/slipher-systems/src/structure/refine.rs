//! The fit that begins at a network's answer: one Sérsic profile and the sky, neighbours masked.

use slipher_data::cutout::Cutout;
use slipher_nn::heads::posterior::{Posterior, gaussian};
use slipher_sim::lens::sie::axes;
use slipher_sim::sky::sersic::Sersic;

use super::{OUTPUTS, flags};
use crate::profile_fit::fit::{Fitted, Image, Part, fit_quickly};
use crate::profile_fit::model::{Component, optics, width};
use crate::stamp::ground;
use crate::system::Refined;

/// Pixels along a side of the region that is fitted, least and most.
const LEAST: usize = 48;
const MOST: usize = 160;
/// ln 10.
const LN: f64 = std::f64::consts::LN_10;

/// A profile from the means of an answer.
pub fn profile(mean: &[f64]) -> Sersic {
    let [q, angle] = axes([mean[5], mean[6]]);
    Sersic {
        flux: 10f64.powf(mean[0]),
        x: mean[1],
        y: mean[2],
        re: 10f64.powf(mean[3]),
        n: 10f64.powf(mean[4]).clamp(0.25, 9.0),
        q: q.clamp(0.06, 1.0),
        angle,
    }
}

/// The region around a galaxy.
struct Region {
    side: usize,
    corner: [isize; 2],
    data: Vec<f64>,
    weight: Vec<f64>,
}

fn region(c: &Cutout, s: &Sersic) -> Option<Region> {
    let want = (2.0 * (4.0 * s.re + 10.0)) as usize;
    let side = want.clamp(LEAST, MOST).min(c.height.max(c.width));
    let middle = |v: f64| v.round() as isize - (side / 2) as isize;
    let corner = [middle(s.x), middle(s.y)];
    let (_, noise) = ground(c);
    let (mut data, mut weight) = (vec![0.0; side * side], vec![0.0; side * side]);
    let mut good = 0;
    for i in 0..side * side {
        let y = corner[1] + (i / side) as isize;
        let x = corner[0] + (i % side) as isize;
        if !(0..c.height as isize).contains(&y) || !(0..c.width as isize).contains(&x) {
            continue;
        }
        let at = y as usize * c.width + x as usize;
        let v = f64::from(c.pixels[at]);
        let variance = c.variance.get(at).map_or(noise * noise, |v| *v);
        let counts = v.is_finite()
            && c.mask.get(at).is_none_or(|m| *m == 0)
            && variance.is_finite()
            && variance > 0.0;
        if counts {
            (data[i], weight[i]) = (v, 1.0 / f64::from(variance));
            good += 1;
        }
    }
    (good > 400).then_some(Region {
        side,
        corner,
        data,
        weight,
    })
}

/// Weights without what lies beside a galaxy and above its model; the share that was lost.
fn without_neighbours(r: &Region, s: &Sersic, model: &[f64], fwhm: f64) -> (Vec<f64>, f64) {
    let n = r.side;
    let (sin, cos) = s.angle.sin_cos();
    let own = |i: usize| {
        let (dx, dy) = ((i % n) as f64 - s.x, (i / n) as f64 - s.y);
        let (u, v) = (dx * cos + dy * sin, (dy * cos - dx * sin) / s.q.max(0.3));
        u.hypot(v) < (1.3 * s.re).max(1.3 * fwhm).max(3.0)
    };
    let pull = |i: usize| (r.data[i] - model[i]) * r.weight[i].sqrt();
    let mut weight = r.weight.clone();
    let (mut lost, mut all) = (0usize, 0usize);
    let mut hit = vec![false; n * n];
    for y in 1..n - 1 {
        for x in 1..n - 1 {
            let around = (0..9).map(|k| (y + k / 3 - 1) * n + x + k % 3 - 1);
            let mean = around.map(pull).sum::<f64>() / 3.0;
            // Where the galaxy is bright, that its model is imperfect is no neighbour.
            let allowed =
                5.0 + 0.15 * (model[y * n + x] - model[0]).max(0.0) * r.weight[y * n + x].sqrt();
            if mean > allowed && !own(y * n + x) {
                hit[y * n + x] = true;
            }
        }
    }
    for i in 0..n * n {
        if r.weight[i] <= 0.0 {
            continue;
        }
        all += 1;
        let (y, x) = ((i / n) as isize, (i % n) as isize);
        let near = (-2..=2isize).any(|dy| {
            (-2..=2isize).any(|dx| {
                let (y, x) = (y + dy, x + dx);
                (0..n as isize).contains(&y)
                    && (0..n as isize).contains(&x)
                    && hit[y as usize * n + x as usize]
            })
        });
        if near {
            weight[i] = 0.0;
            lost += 1;
        }
    }
    (weight, lost as f64 / all.max(1) as f64)
}

/// Least squares from an answer in the units of the catalogue.
pub fn refine(c: &Cutout, values: &[f32]) -> Option<Refined> {
    // Without a point-spread function the fit would be of a galaxy that is smeared out.
    if c.psf.2.is_empty() {
        return None;
    }
    let p = Posterior::of(values, OUTPUTS.len());
    let mean: Vec<f64> = (0..OUTPUTS.len()).map(|j| p.mean(j)).collect();
    let begin = profile(&mean);
    let r = region(c, &begin)?;
    let local = Sersic {
        x: begin.x - r.corner[0] as f64,
        y: begin.y - r.corner[1] as f64,
        ..begin
    };
    let optics = optics(c);
    let fwhm = optics.as_ref().map_or(2.0, |o| width(&o.psf));
    let size = (r.side, r.side);
    let level = f64::from(ground(c).0);
    let mut parts = vec![
        Part::new(Component::Sersic(local), size),
        Part::new(Component::Sky([level, 0.0, 0.0]), size),
    ];
    parts[1].free = vec![true, false, false];
    let near = 3.0 + 0.5 * begin.re;
    parts[0].bounds[0] = (local.x - near, local.x + near);
    parts[0].bounds[1] = (local.y - near, local.y + near);
    let image = |weight: &[f64], parts: &[Part]| -> Fitted {
        let x = Image {
            size,
            data: &r.data,
            weight,
        };
        fit_quickly(&x, optics.as_ref(), parts)
    };
    let first = image(&r.weight, &parts);
    let Component::Sersic(s) = first.components[0] else {
        return None;
    };
    let mut calls = first.calls;
    let (weight, lost) = without_neighbours(&r, &s, &first.model, fwhm);
    let found = if lost > 0.0 {
        // From where the first one ended.
        for (p, c) in parts.iter_mut().zip(&first.components) {
            p.component = c.clone();
        }
        let again = image(&weight, &parts);
        calls += again.calls;
        again
    } else {
        first
    };
    answer(c, &r, &found, lost, calls)
}

/// A fit as an answer about [`OUTPUTS`].
fn answer(c: &Cutout, r: &Region, f: &Fitted, lost: f64, calls: usize) -> Option<Refined> {
    let Component::Sersic(s) = f.components[0] else {
        return None;
    };
    if !f.settled || !f.chi2.is_finite() {
        return None;
    }
    let chi2 = f.chi2 / f.degrees.max(1) as f64;
    // Without a map of errors, those of photons are not in the weights: χ² tells by how much.
    let unsure = if c.variance.is_empty() {
        chi2.max(1.0)
    } else {
        1.0
    };
    let e = (1.0 - s.q) / (1.0 + s.q);
    let (sin, cos) = (2.0 * s.angle).sin_cos();
    let by_q = -2.0 * s.q / (1.0 + s.q).powi(2);
    let mean = [
        s.flux.log10(),
        s.x + r.corner[0] as f64,
        s.y + r.corner[1] as f64,
        s.re.log10(),
        s.n.log10(),
        e * cos,
        e * sin,
    ];
    // Rows: what is told; columns: x, y, ln flux, ln re, ln n, ln q, angle.
    let mut jacobian = [[0.0; 7]; 7];
    jacobian[0][2] = 1.0 / LN;
    jacobian[1][0] = 1.0;
    jacobian[2][1] = 1.0;
    jacobian[3][3] = 1.0 / LN;
    jacobian[4][4] = 1.0 / LN;
    jacobian[5][5] = by_q * cos;
    jacobian[5][6] = -2.0 * e * sin;
    jacobian[6][5] = by_q * sin;
    jacobian[6][6] = 2.0 * e * cos;
    let own = f.covariance.as_ref()?;
    let m = (own.len() as f64).sqrt().round() as usize;
    let mut covariance = [0.0; 49];
    for i in 0..7 {
        for j in 0..7 {
            let mut sum = 0.0;
            for (a, ja) in jacobian[i].iter().enumerate() {
                for (b, jb) in jacobian[j].iter().enumerate() {
                    sum += ja * own[a * m + b] * jb;
                }
            }
            covariance[i * 7 + j] = sum * unsure;
        }
        // What ended at a limit has no error of its own.
        covariance[i * 7 + i] += 1e-10;
    }
    let mut bits = 0;
    let limited = f.at_bound[0].iter().any(|b| *b);
    bits |= if limited { flags::LIMIT } else { 0 };
    bits |= if lost > 0.05 { flags::CROWDED } else { 0 };
    bits |= if chi2 > 1.5 { flags::POOR_FIT } else { 0 };
    Some(Refined {
        values: gaussian(&mean, &covariance)?,
        chi2,
        calls,
        flags: bits,
    })
}
