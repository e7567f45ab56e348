//! A template, a new image and their difference around a candidate: injected transients, and what
//! deceives a subtraction.

mod artefacts;

use super::Plane;
use super::convolve::Transform;
use super::detector::{correlated, saturate};
use super::psf::Psf;
use super::sersic::Sersic;
use crate::random::Stream;
use artefacts::deface;

/// Why there is something in the difference.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// A real change: what is looked for.
    Transient,
    /// A peak of the noise.
    Noise,
    /// A cosmic-ray hit of the science image.
    CosmicRay,
    /// Hot or dead pixels.
    BadPixels,
    /// A bad column, or two.
    BadColumn,
    /// Images that are not aligned.
    Dipole,
    /// Wrong kernel or scale at a bright source.
    Residual,
    /// A saturated star.
    Saturated,
    /// Something wrong in the template.
    Template,
    /// Trail of a satellite or spike of a bright star.
    Trail,
    /// Edge of the detector or of the template.
    Edge,
}

/// Artefacts and their shares.
const ARTEFACTS: [(Cause, f64); 10] = [
    (Cause::Noise, 0.002),
    (Cause::CosmicRay, 0.19),
    (Cause::BadPixels, 0.18),
    (Cause::BadColumn, 0.06),
    (Cause::Dipole, 0.208),
    (Cause::Residual, 0.16),
    (Cause::Saturated, 0.05),
    (Cause::Template, 0.06),
    (Cause::Trail, 0.03),
    (Cause::Edge, 0.04),
];

/// Template, new image, difference, and its noise; one detection in the middle.
#[derive(Clone, Debug, PartialEq)]
pub struct Triplet {
    /// What made the candidate.
    pub cause: Cause,
    /// Of the detection: peak of the difference through the point-spread function, over its noise.
    pub snr: f64,
    /// Full width at half maximum of the new image's point-spread function, pixels.
    pub fwhm: f64,
    /// The older image, resampled.
    pub template: Plane,
    /// The new image.
    pub science: Plane,
    /// New less old.
    pub difference: Plane,
    /// Standard deviation of the difference.
    pub sigma: Plane,
}

/// What differs from night to night.
struct Conditions {
    psf: Psf,
    /// Of the template; its images are sharper or softer.
    old: Psf,
    depth: f64,
    gain: f64,
    mix: f32,
    /// Errors of a usual subtraction: shift in pixels, relative scale.
    shift: (f64, f64),
    scale: f64,
}

const SIDE: usize = 45;

/// A camera under its sky.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Camera {
    /// Seeing, pixels: full width at half maximum, least and most.
    pub fwhm: (f64, f64),
    /// Shares of the transients in the light of a galaxy, and of the others that are stars which
    /// vary.
    pub hosts: f64,
    /// Second of the shares above.
    pub varying: f64,
}

/// From ZTF's pixels of 1″ to DECam's of 0.26″; what nature shows: supernovae, active nuclei,
/// variable stars.
pub const ANY: Camera = Camera {
    fwhm: (1.7, 5.5),
    hosts: 0.6,
    varying: 0.4,
};
/// HiTS: DECam, 0.26″ a pixel, seeing of 0.8 to 1.6″ (Förster et al. 2016). Its transients are
/// stamps of stars, put at other places of the same image (Cabrera-Vives et al. 2017): nearly all
/// on empty sky.
pub const HITS: Camera = Camera {
    fwhm: (3.0, 6.0),
    hosts: 0.05,
    varying: 0.0,
};

fn conditions(camera: Camera, rng: &mut Stream) -> Conditions {
    let fwhm = rng.log_uniform(camera.fwhm.0, camera.fwhm.1);
    let psf = Psf {
        q: rng.uniform(0.85, 1.0),
        angle: rng.uniform(0.0, 3.1),
        ..Psf::moffat(fwhm, rng.uniform(2.7, 4.5))
    };
    let old = Psf {
        q: rng.uniform(0.9, 1.0),
        angle: rng.uniform(0.0, 3.1),
        ..Psf::moffat(fwhm * rng.uniform(0.75, 1.1), rng.uniform(2.7, 4.5))
    };
    let small = rng.exponential(0.06).min(0.3);
    let angle = rng.uniform(0.0, std::f64::consts::TAU);
    Conditions {
        psf,
        old,
        depth: rng.uniform(0.1, 0.6),
        gain: rng.log_uniform(20.0, 500.0),
        mix: rng.uniform(0.0, 0.35) as f32,
        shift: (small * angle.cos(), small * angle.sin()),
        scale: rng.normal(0.0, 0.01),
    }
}

/// Draws a transient or an artefact. Only what a survey would have detected comes back; conditions
/// in which twenty attempts fail are drawn again.
pub fn draw(real: bool, camera: Camera, rng: &mut Stream) -> Triplet {
    loop {
        let c = conditions(camera, rng);
        let cause = if real {
            Cause::Transient
        } else {
            ARTEFACTS[rng.weighted(&ARTEFACTS.map(|a| a.1))].0
        };
        for _ in 0..20 {
            if let Some(t) = attempt(cause, camera, &c, rng) {
                return t;
            }
        }
    }
}

/// Static sky: sources with positions and flux; those that carry an artefact lie near the middle.
struct Scene {
    /// (x, y, flux) of stars.
    stars: Vec<(f64, f64, f64)>,
    galaxies: Vec<Sersic>,
}

fn scene(cause: Cause, camera: Camera, c: &Conditions, rng: &mut Stream) -> Scene {
    let mid = 0.5 * (SIDE as f64 - 1.0);
    // Flux of a point source of S/N 1.
    let unit = noise_flux(&c.psf);
    let mut s = Scene {
        stars: vec![],
        galaxies: vec![],
    };
    let host = match cause {
        Cause::Transient => rng.chance(camera.hosts),
        Cause::Noise
        | Cause::CosmicRay
        | Cause::BadPixels
        | Cause::BadColumn
        | Cause::Trail
        | Cause::Edge => rng.chance(0.25),
        Cause::Dipole | Cause::Residual => rng.chance(0.3),
        _ => false,
    };
    if host {
        // A transient lies somewhere in the light of its host or, as active nuclei do, in its very
        // middle; an artefact at its core or anywhere.
        let core = matches!(cause, Cause::Dipole | Cause::Residual);
        let spread = if core || (cause == Cause::Transient && rng.chance(0.35)) {
            0.3
        } else {
            3.5
        };
        let bright = if core {
            rng.log_uniform(300.0, 6000.0)
        } else {
            rng.log_uniform(10.0, 3000.0)
        };
        s.galaxies.push(Sersic {
            flux: bright * unit,
            re: rng.log_uniform(1.0, 7.0),
            n: rng.uniform(0.8, 4.0),
            q: rng.uniform(0.3, 1.0),
            angle: rng.uniform(0.0, 3.1),
            x: mid + rng.normal(0.0, spread),
            y: mid + rng.normal(0.0, spread),
        });
    } else if matches!(cause, Cause::Dipole | Cause::Residual)
        || (cause == Cause::Transient && rng.chance(camera.varying))
    {
        // A star that varies is a transient too, at its own place.
        let bright = if cause == Cause::Transient {
            rng.log_uniform(5.0, 5000.0)
        } else {
            rng.log_uniform(300.0, 9000.0)
        };
        s.stars.push((
            mid + rng.normal(0.0, 0.35),
            mid + rng.normal(0.0, 0.35),
            bright * unit,
        ));
    } else if cause == Cause::Saturated {
        s.stars.push((
            mid + rng.normal(0.0, 3.0),
            mid + rng.normal(0.0, 3.0),
            rng.log_uniform(2e4, 4e5) * unit,
        ));
    }
    for _ in 0..rng.below(4) {
        let (x, y) = (rng.uniform(0.0, SIDE as f64), rng.uniform(0.0, SIDE as f64));
        if (x - mid).hypot(y - mid) > 4.0 {
            s.stars.push((x, y, rng.log_uniform(5.0, 2000.0) * unit));
        }
    }
    s
}

/// Flux whose matched-filter S/N is 1 on white noise of σ = 1: 1/√Σψ².
fn noise_flux(psf: &Psf) -> f64 {
    let mut p = Plane::square(31);
    psf.add(&mut p, 15.0, 15.0, 1.0);
    1.0 / p
        .data
        .iter()
        .map(|v| f64::from(*v).powi(2))
        .sum::<f64>()
        .sqrt()
}

fn render(s: &Scene, psf: &Psf, offset: (f64, f64)) -> Plane {
    let mut out = Plane::square(SIDE);
    if !s.galaxies.is_empty() {
        let mut light = Plane::square(SIDE);
        s.galaxies.iter().for_each(|g| {
            Sersic {
                x: g.x + offset.0,
                y: g.y + offset.1,
                ..*g
            }
            .add(&mut light)
        });
        out = Transform::observe(
            &[(&Transform::of(&light), 1.0)],
            &Transform::of_psf(psf, SIDE),
        );
    }
    s.stars
        .iter()
        .for_each(|(x, y, f)| psf.add(&mut out, x + offset.0, y + offset.1, *f));
    out
}

fn attempt(cause: Cause, camera: Camera, c: &Conditions, rng: &mut Stream) -> Option<Triplet> {
    let mid = 0.5 * (SIDE as f64 - 1.0);
    let unit = noise_flux(&c.psf);
    let s = scene(cause, camera, c, rng);
    let now = render(&s, &c.psf, (0.0, 0.0));
    // What the subtraction takes away: the template through a kernel that is nearly right.
    let (mut shift, mut scale, mut psf) = (c.shift, c.scale, c.psf.clone());
    psf.fwhm *= 1.0 + rng.normal(0.0, 0.01);
    match cause {
        Cause::Dipole => {
            let (d, a) = (
                rng.log_uniform(0.3, 1.5),
                rng.uniform(0.0, std::f64::consts::TAU),
            );
            shift = (d * a.cos(), d * a.sin());
        }
        Cause::Residual => {
            psf.fwhm *= 1.0 + rng.log_uniform(0.08, 0.4) * if rng.chance(0.6) { 1.0 } else { -1.0 };
            scale += rng.normal(0.0, 0.02);
        }
        _ => {}
    }
    let mut matched = render(&s, &psf, shift);
    matched
        .data
        .iter_mut()
        .for_each(|v| *v *= 1.0 + scale as f32);
    let mut science = now.clone();
    if cause == Cause::Transient {
        // Deep-HiTS: median S/N 12, few below 6.
        let flux = unit
            * (7.2 + rng.exponential(0.8) + (rng.normal(1.75, 0.9)).exp())
            * (1.0 + now.at(SIDE / 2, SIDE / 2) as f64 / c.gain).sqrt();
        // A star that varies does so by a share of its light, at its own place.
        let star = s
            .stars
            .iter()
            .copied()
            .find(|p| (p.0 - mid).hypot(p.1 - mid) < 2.0);
        let (x, y, flux) = star.map_or(
            (
                mid + rng.normal(0.0, 0.35),
                mid + rng.normal(0.0, 0.35),
                flux,
            ),
            |(x, y, f)| (x, y, flux.max(f * rng.uniform(0.05, 0.6))),
        );
        c.psf.add(&mut science, x, y, flux);
    }
    // The template as it is stored: its own seeing, less noise.
    let mut template = render(&s, &c.old, (0.0, 0.0));
    let mut wrong = Plane::square(SIDE);
    deface(cause, &mut science, &mut template, &mut wrong, c, unit, rng);
    let old_noise = correlated(SIDE, SIDE, 0.3, rng);
    let new_noise = correlated(SIDE, SIDE, c.mix, rng);
    let mut sigma = Plane::square(SIDE);
    let mut difference = Plane::square(SIDE);
    let sky = rng.normal(0.0, 0.05) as f32;
    for i in 0..SIDE * SIDE {
        let photon = |v: f32| 1.0 + v.max(0.0) / c.gain as f32;
        let (a, b) = (
            photon(science.data[i]),
            (c.depth * c.depth) as f32 * photon(template.data[i]),
        );
        let (n, o) = (new_noise.data[i] * a.sqrt(), old_noise.data[i] * b.sqrt());
        science.data[i] += n;
        template.data[i] += o;
        difference.data[i] = science.data[i] - matched.data[i] - wrong.data[i] - 0.8 * o + sky;
        sigma.data[i] = (a + 0.64 * b).sqrt();
    }
    if cause == Cause::Saturated {
        // Cut in both images, at different depths of the star.
        let full = rng.uniform(800.0, 4000.0) as f32;
        let mut m = matched.clone();
        saturate(&mut science, full);
        saturate(&mut m, full * rng.uniform(0.7, 1.3) as f32);
        saturate(&mut template, full);
        difference
            .data
            .iter_mut()
            .zip(science.data.iter().zip(&m.data))
            .for_each(|(d, (s, m))| *d = s - m);
    }
    detect(
        cause,
        c,
        Triplet {
            cause,
            snr: 0.0,
            fwhm: c.psf.fwhm,
            template,
            science,
            difference,
            sigma,
        },
        rng,
    )
}

/// S/N from which a survey takes a peak for a candidate; Deep-HiTS' begin near 6.
const DETECTION: f32 = 6.0;

/// Looks for the peak of the difference near the middle and centres the stamps on it; nothing below
/// [`DETECTION`].
fn detect(cause: Cause, c: &Conditions, t: Triplet, rng: &mut Stream) -> Option<Triplet> {
    let mut kernel = Plane::square(15);
    c.psf.add(&mut kernel, 7.0, 7.0, 1.0);
    let norm = kernel.data.iter().map(|v| v * v).sum::<f32>().sqrt();
    let reach = if cause == Cause::Noise { 9isize } else { 4 };
    let mid = SIDE as isize / 2;
    let mut best = (0.0f32, 0isize, 0isize);
    for dy in -reach..=reach {
        for dx in -reach..=reach {
            let mut sum = 0.0;
            for (k, w) in kernel.data.iter().enumerate() {
                let (y, x) = (
                    mid + dy + k as isize / 15 - 7,
                    mid + dx + k as isize % 15 - 7,
                );
                let i = (y * SIDE as isize + x) as usize;
                sum += w * t.difference.data[i] / t.sigma.data[i];
            }
            if sum / norm > best.0 {
                best = (sum / norm, dy, dx);
            }
        }
    }
    // Peaks of pure noise are rare: the survey's millions of pixels are stood for by a lower bar,
    // then stretched to it.
    let bar = if cause == Cause::Noise {
        2.6
    } else {
        DETECTION
    };
    if best.0 < bar {
        return None;
    }
    let mut t = t;
    if cause == Cause::Noise {
        let stretch = rng.uniform(1.0, 1.3) as f32 * DETECTION / best.0;
        let (py, px) = (mid + best.1, mid + best.2);
        // Only around the peak, or the noise would give it away.
        for i in 0..SIDE * SIDE {
            let (y, x) = (
                i as isize / SIDE as isize - py,
                i as isize % SIDE as isize - px,
            );
            let near = (-0.5 * ((x * x + y * y) as f32) / (1.2 * c.psf.fwhm as f32).powi(2)).exp();
            let more = (stretch - 1.0) * near * t.difference.data[i];
            t.difference.data[i] += more;
            t.science.data[i] += more;
        }
        best.0 *= stretch;
    }
    // Surveys centre stamps to a pixel, not always the right one.
    let jitter = |rng: &mut Stream| {
        if rng.chance(0.15) {
            rng.below(3) as isize - 1
        } else {
            0
        }
    };
    let (cy, cx) = (mid + best.1 + jitter(rng), mid + best.2 + jitter(rng));
    let cut = |p: &Plane| {
        let mut out = Plane::square(STAMP);
        for i in 0..STAMP * STAMP {
            let (y, x) = (
                cy - STAMP as isize / 2 + (i / STAMP) as isize,
                cx - STAMP as isize / 2 + (i % STAMP) as isize,
            );
            let inside = (0..SIDE as isize).contains(&y) && (0..SIDE as isize).contains(&x);
            out.data[i] = if inside {
                p.data[(y * SIDE as isize + x) as usize]
            } else {
                0.0
            };
        }
        out
    };
    let (template, science, difference, sigma) = (
        cut(&t.template),
        cut(&t.science),
        cut(&t.difference),
        cut(&t.sigma),
    );
    Some(Triplet {
        snr: f64::from(best.0),
        template,
        science,
        difference,
        sigma,
        ..t
    })
}

/// Side of the stamps that come out.
pub const STAMP: usize = 25;

#[cfg(test)]
mod tests;
