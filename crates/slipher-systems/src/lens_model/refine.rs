//! The fit that begins at a network's answer: ellipsoid and shear, one Sérsic profile behind them and
//! one for the deflector's light. Fluxes and sky are solved for exactly at each step.

use slipher_data::cutout::Cutout;
use slipher_nn::heads::posterior::{Posterior, gaussian};
use slipher_sim::lens::image::{Grid, Source};
use slipher_sim::lens::rays::Rays;
use slipher_sim::lens::sie::{Sie, axes};
use slipher_sim::lens::{Lens, Shear};
use slipher_sim::sky::Plane;
use slipher_sim::sky::sersic::Sersic;
use slipher_stats::cholesky::{inverse_factor, solve};
use slipher_stats::levenberg::{Parameter, fit};

use super::encode::{SIDE, binned};
use super::{LENS_MODEL, OUTPUTS, flags};
use crate::example::Observation;
use crate::profile_fit::convolve::Kernel;
use crate::profile_fit::model::optics;
use crate::stamp::ground;
use crate::system::{Refined, System};

/// Evaluations of the model, at most.
const MOST: usize = 900;
/// χ² over degrees of freedom from which a fit is poor.
const POOR: f64 = 1.5;
/// Errors of fits are multiplied by this, and are at least [`FLOORS`]: sources and masses are not as
/// smooth as the model. So 68 % of simulated lenses are within theirs (docs/EXPERIMENTS.md).
const INFLATION: f64 = 1.6;
/// Least errors: lg θ_E, e, centre, shear, place of the source, lg of its radius.
const FLOORS: [f64; KNOWN] = [0.004, 0.012, 0.012, 0.1, 0.1, 0.006, 0.006, 0.1, 0.1, 0.02];
/// ln 10.
const LN: f64 = std::f64::consts::LN_10;

/// A model by its parameters: those of [`OUTPUTS`] up to the source's radius, then ln n and e of the
/// source, ln re, ln n, e₁, e₂ and centre of the light.
pub struct Model {
    kernel: Option<Kernel>,
    data: Vec<f64>,
    /// 1/σ; 0 where a pixel does not count.
    weight: Vec<f64>,
}

/// Number of the parameters.
const PARAMETERS: usize = 19;

/// Planes of a model whose sum, each times a flux, is the image.
pub struct Parts {
    /// Arcs of a source of flux 1.
    pub arcs: Vec<f64>,
    /// Light of a deflector of flux 1.
    pub light: Vec<f64>,
}

impl Model {
    /// Of a stamp of the network's pixels.
    fn of(b: &Cutout) -> Option<Model> {
        let (level, noise) = ground(b);
        let kernel = optics(b).map(|o| {
            let k = Kernel::new(&o.psf, SIDE, SIDE);
            if o.effective { k.without_pixel() } else { k }
        });
        let mut weight = vec![0.0; SIDE * SIDE];
        let mut data = vec![0.0; SIDE * SIDE];
        for i in 0..SIDE * SIDE {
            let v = b.pixels[i];
            let variance = b.variance.get(i).map_or(noise * noise, |v| *v);
            let counts = v.is_finite() && variance.is_finite() && variance > 0.0;
            if counts && b.mask.get(i).is_none_or(|m| *m == 0) {
                data[i] = f64::from(v - level);
                weight[i] = 1.0 / f64::from(variance).sqrt();
            }
        }
        (weight.iter().filter(|w| **w > 0.0).count() > 500).then_some(Model {
            kernel,
            data,
            weight,
        })
    }

    /// The planes at parameters.
    pub fn parts(&self, p: &[f64]) -> Parts {
        let lens = Lens {
            deflectors: vec![Sie {
                einstein: 10f64.powf(p[0]),
                ellipticity: [p[1], p[2]],
                centre: [p[3], p[4]],
            }],
            shear: Shear { g1: p[5], g2: p[6] },
            ..Lens::default()
        };
        let mut source = Source {
            brightness: 1.0,
            radius: 10f64.powf(p[9]),
            n: p[10].exp(),
            ellipticity: [p[11], p[12]],
            centre: [p[3] + p[7], p[4] + p[8]],
        };
        source.brightness /= source.flux();
        let arcs = Rays::trace(&lens, Grid::around(SIDE, 1.0), 1).image(&[source]);
        let [q, angle] = axes([p[15], p[16]]);
        let mid = 0.5 * (SIDE as f64 - 1.0);
        let mut light = Plane::square(SIDE);
        Sersic {
            flux: 1.0,
            re: p[13].exp(),
            n: p[14].exp(),
            q: q.max(0.1),
            angle,
            x: p[17] + mid,
            y: p[18] + mid,
        }
        .add(&mut light);
        let double = |p: Plane| p.data.iter().map(|v| f64::from(*v)).collect::<Vec<f64>>();
        let mut both = vec![double(arcs), double(light)];
        if let Some(k) = &self.kernel {
            k.through(&mut both, SIDE, SIDE);
        }
        let light = both.pop().unwrap_or_default();
        Parts {
            arcs: both.pop().unwrap_or_default(),
            light,
        }
    }

    /// Fluxes of arcs and light, and the sky, at least χ².
    fn fluxes(&self, parts: &Parts) -> [f64; 3] {
        let ones = vec![1.0; self.data.len()];
        let mut columns = vec![&parts.arcs, &parts.light, &ones];
        // Light does not absorb: a part that would is left out.
        for _ in 0..3 {
            let n = columns.len();
            let (mut a, mut g) = (vec![0.0; n * n], vec![0.0; n]);
            for i in 0..self.data.len() {
                let w = self.weight[i] * self.weight[i];
                for j in 0..n {
                    g[j] += w * columns[j][i] * self.data[i];
                    for k in 0..=j {
                        a[j * n + k] += w * columns[j][i] * columns[k][i];
                    }
                }
            }
            (0..n).for_each(|j| a[j * n + j] *= 1.0 + 1e-10);
            let Some(x) = solve(&a, &g) else { break };
            let own = |c: &Vec<f64>| {
                let at = columns.iter().position(|d| std::ptr::eq(*d, c));
                at.map_or(0.0, |k| x[k])
            };
            let found = [own(&parts.arcs), own(&parts.light), own(&ones)];
            if found[0] < 0.0 {
                columns.retain(|c| !std::ptr::eq(*c, &parts.arcs));
            } else if found[1] < 0.0 {
                columns.retain(|c| !std::ptr::eq(*c, &parts.light));
            } else {
                return found;
            }
        }
        [0.0; 3]
    }

    /// Image, of fluxes at their best.
    pub fn image(&self, p: &[f64]) -> (Vec<f64>, [f64; 3]) {
        let parts = self.parts(p);
        let [a, l, s] = self.fluxes(&parts);
        let each = parts.arcs.iter().zip(&parts.light);
        (each.map(|(x, y)| a * x + l * y + s).collect(), [a, l, s])
    }

    /// χ² over degrees of freedom.
    fn chi2(&self, p: &[f64]) -> f64 {
        let counted = self.weight.iter().filter(|w| **w > 0.0).count();
        let degrees = counted.saturating_sub(PARAMETERS + 3).max(1) as f64;
        self.residuals(p).iter().map(|v| v * v).sum::<f64>() / degrees
    }

    /// Residuals of pixels, times a factor, and of the prior.
    fn all(&self, p: &[f64], by: f64, prior: &Prior) -> Vec<f64> {
        let mut r = self.residuals(p);
        r.iter_mut().for_each(|v| *v *= by);
        r.extend(prior.residuals(p));
        r
    }

    /// Takes out what stands above the model beyond the arcs; whether there was anything.
    fn mask_neighbours(&mut self, p: &[f64]) -> bool {
        let r = self.residuals(p);
        let n = SIDE as isize;
        let mid = 0.5 * (SIDE as f64 - 1.0);
        let beyond = 1.7 * 10f64.powf(p[0]) + 3.0;
        let far =
            |y: isize, x: isize| (x as f64 - mid - p[3]).hypot(y as f64 - mid - p[4]) > beyond;
        let mut hit = vec![];
        for y in 1..n - 1 {
            for x in 1..n - 1 {
                let around = (0..9).map(|k| ((y + k / 3 - 1) * n + x + k % 3 - 1) as usize);
                // Residuals are model − data.
                let mean = -around.map(|i| r[i]).sum::<f64>() / 3.0;
                if far(y, x) && mean > 5.0 {
                    hit.push((y, x));
                }
            }
        }
        for (y, x) in &hit {
            for (dy, dx) in (-2..=2).flat_map(|a| (-2..=2).map(move |b| (a, b))) {
                let (y, x) = (y + dy, x + dx);
                if (0..n).contains(&y) && (0..n).contains(&x) && far(y, x) {
                    self.weight[(y * n + x) as usize] = 0.0;
                }
            }
        }
        !hit.is_empty()
    }

    fn residuals(&self, p: &[f64]) -> Vec<f64> {
        let (model, _) = self.image(p);
        (0..self.data.len())
            .map(|i| (model[i] - self.data[i]) * self.weight[i])
            .collect()
    }
}

/// What is known before the fit: the network's posterior, wider, for it has seen the same data; what
/// lenses are like for the rest.
struct Prior {
    mean: Vec<f64>,
    /// Inverse of the Cholesky factor of the covariance of the first [`KNOWN`] parameters.
    factor: Vec<f64>,
}

/// Parameters that the network tells.
const KNOWN: usize = 10;
/// Widths of the network's posterior are multiplied by this.
const WIDE: f64 = 2.0;

impl Prior {
    /// From means and covariance in the network's units.
    fn new(p: &Posterior, mean: &[f64], frame: &[[f64; 2]]) -> Option<Prior> {
        let mut covariance = vec![0.0; KNOWN * KNOWN];
        for i in 0..KNOWN {
            for j in 0..=i {
                let unit = frame[i][1] * frame[j][1];
                covariance[i * KNOWN + j] = WIDE * WIDE * p.covariance(i, j) / unit;
            }
            covariance[i * KNOWN + i] += 1e-8;
        }
        Some(Prior {
            mean: mean[..KNOWN].to_vec(),
            factor: inverse_factor(&covariance, KNOWN)?,
        })
    }

    fn residuals(&self, p: &[f64]) -> Vec<f64> {
        let off: Vec<f64> = self.mean.iter().zip(p).map(|(m, p)| p - m).collect();
        let row = |i: usize| (0..=i).map(|j| self.factor[i * KNOWN + j] * off[j]).sum();
        let mut out: Vec<f64> = (0..KNOWN).map(row).collect();
        out.extend([
            p[10] / 0.6,
            p[11] / 0.25,
            p[12] / 0.25,
            (p[14] - 4f64.ln()) / 0.4,
            (p[15] - p[1]) / 0.15,
            (p[16] - p[2]) / 0.15,
            (p[17] - p[3]) / 0.3,
            (p[18] - p[4]) / 0.3,
        ]);
        out
    }
}

/// Where a fit begins: means of an answer in the network's units, the rest by what lenses are like.
fn begin(mean: &[f64]) -> Vec<Parameter> {
    let p = |start: f64, scale: f64, low: f64, high: f64| Parameter {
        start,
        scale,
        bounds: (low, high),
    };
    let einstein = 10f64.powf(mean[0]);
    vec![
        p(mean[0], 0.02, 0.3, 1.65),
        p(mean[1], 0.05, -0.6, 0.6),
        p(mean[2], 0.05, -0.6, 0.6),
        p(mean[3], 0.2, mean[3] - 4.0, mean[3] + 4.0),
        p(mean[4], 0.2, mean[4] - 4.0, mean[4] + 4.0),
        p(mean[5], 0.02, -0.35, 0.35),
        p(mean[6], 0.02, -0.35, 0.35),
        p(mean[7], 0.3, -1.5 * einstein, 1.5 * einstein),
        p(mean[8], 0.3, -1.5 * einstein, 1.5 * einstein),
        p(mean[9], 0.1, -0.7, 1.5),
        p(0.0, 0.2, 0.35f64.ln(), 5f64.ln()),
        p(0.0, 0.1, -0.5, 0.5),
        p(0.0, 0.1, -0.5, 0.5),
        p(einstein.ln(), 0.2, 0.5f64.ln(), 60f64.ln()),
        p(4f64.ln(), 0.2, 0.7f64.ln(), 8f64.ln()),
        p(mean[1], 0.05, -0.5, 0.5),
        p(mean[2], 0.05, -0.5, 0.5),
        p(mean[3], 0.1, mean[3] - 4.0, mean[3] + 4.0),
        p(mean[4], 0.1, mean[4] - 4.0, mean[4] + 4.0),
    ]
}

/// Least squares from an answer in the units of the catalogue.
pub fn refine(c: &Cutout, values: &[f32]) -> Option<Refined> {
    let n = OUTPUTS.len();
    // Without a point-spread function the fit would be of another lens.
    if c.psf.2.is_empty() {
        return None;
    }
    let frame = LENS_MODEL.frame(&Observation::Cutout(without_pixels(c)))?;
    let p = Posterior::of(values, n);
    // Into the network's units.
    let mean: Vec<f64> = (0..n)
        .map(|j| (p.mean(j) - frame[j][0]) / frame[j][1])
        .collect();
    let stamp = binned(c);
    let mut model = Model::of(&stamp)?;
    let start = begin(&mean);
    let prior = Prior::new(&p, &mean, &frame)?;
    let from = |at: &[f64]| -> Vec<Parameter> {
        let each = start.iter().zip(at);
        each.map(|(s, v)| Parameter { start: *v, ..*s }).collect()
    };
    let mut found = fit(&mut |q| model.all(q, 1.0, &prior), &start, MOST);
    if !found.chi2.is_finite() {
        return None;
    }
    if model.mask_neighbours(&found.values) {
        let calls = found.calls;
        found = fit(
            &mut |q| model.all(q, 1.0, &prior),
            &from(&found.values),
            MOST,
        );
        found.calls += calls;
    }
    // What a smooth source cannot explain counts as noise, beside which the prior stands.
    let unsure = model.chi2(&found.values).max(1.0);
    if unsure > 1.2 {
        let calls = found.calls;
        let by = unsure.sqrt().recip();
        found = fit(
            &mut |q| model.all(q, by, &prior),
            &from(&found.values),
            MOST,
        );
        found.calls += calls;
    }
    let chi2 = model.chi2(&found.values);
    let own = found.covariance.as_ref()?;
    let parts = model.parts(&found.values);
    let magnification = parts.arcs.iter().sum::<f64>().max(1e-3).log10();
    let mut means: Vec<f64> = found.values[..10].to_vec();
    means.push(magnification);
    let mut covariance = vec![0.0; n * n];
    let unsure = INFLATION * INFLATION;
    for i in 0..10 {
        for j in 0..10 {
            covariance[i * n + j] = unsure * own[i * PARAMETERS + j];
        }
        covariance[i * n + i] += FLOORS[i].powi(2);
    }
    // The magnification goes with the source's place, of which the network knows the width.
    covariance[n * n - 1] = p.sigma(10).powi(2).max(1e-10);
    for i in 0..n {
        means[i] = frame[i][0] + frame[i][1] * means[i];
        for j in 0..n {
            covariance[i * n + j] *= frame[i][1] * frame[j][1];
        }
    }
    let off = (means[0] - p.mean(0)).abs();
    let disagrees = off > 3.0 * p.sigma(0).max(0.01 / LN);
    let at_bound = |k: usize| {
        let (low, high) = start[k].bounds;
        found.values[k] <= low || found.values[k] >= high
    };
    let limited = (0..9).any(at_bound);
    let poor = chi2 > POOR;
    if poor {
        // A fit that is not the image has found the wrong valley, or does not know how wrong it is.
        if disagrees || limited {
            return None;
        }
        for i in 0..n {
            for j in 0..n {
                covariance[i * n + j] = p.covariance(i, j);
            }
        }
    }
    let bit = |set: bool, bit: i32| if set { bit } else { 0 };
    let bits =
        bit(poor, flags::POOR_FIT) | bit(disagrees, flags::DISAGREE) | bit(limited, flags::LIMIT);
    Some(Refined {
        values: gaussian(&means, &covariance)?,
        chi2,
        calls: found.calls,
        flags: bits,
    })
}

/// Sizes only: what a frame needs.
fn without_pixels(c: &Cutout) -> Cutout {
    Cutout {
        pixels: vec![],
        variance: vec![],
        mask: vec![],
        psf: (0, 0, vec![]),
        ..c.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lens_model::simulate::{Drawn, observed};
    use slipher_sim::random::Stream;

    /// Smooth lenses that are well seen are fitted from a start that is off to their Einstein radius.
    #[test]
    fn the_fit_ends_at_the_truth() {
        let (mut good, mut all) = (0, 0);
        for row in 0..40 {
            let mut rng = Stream::new(12, 4, row);
            let mut d = Drawn::new(&mut rng);
            d.lens.waves.clear();
            d.sources.truncate(1);
            d.mix = 0.0;
            let e = observed(&d, &mut rng);
            let c = e.input.cutout().unwrap();
            let faint = e.depth < 60.0 || d.magnification(&d.arcs()) < 3.0;
            if faint || all == 5 || c.psf.2.is_empty() {
                continue;
            }
            all += 1;
            let mut values = vec![1.0f32];
            values.extend(&e.truth);
            values.extend(vec![0.0; 66]);
            for k in 0..11 {
                values[12 + k * (k + 3) / 2] = 0.05;
            }
            slipher_nn::heads::posterior::reframe(
                &mut values,
                &LENS_MODEL.frame(&e.input).unwrap(),
            );
            (values[1], values[2]) = (values[1] + 0.02, values[2] - 0.05);
            let f = refine(c, &values).unwrap();
            let p = Posterior::of(&f.values, 11);
            let off = (p.mean(0) - f64::from(e.truth[0])).abs();
            good += usize::from(off < 0.006 || off < 2.5 * p.sigma(0));
        }
        assert!(all == 5 && good >= 4, "{good} of {all}");
    }
}
