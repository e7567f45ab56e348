//! Artefacts of detectors, optics and templates that deceive a subtraction.

use super::{Cause, Conditions, SIDE};
use crate::random::Stream;
use crate::sky::Plane;
use crate::sky::convolve::convolve;
use crate::sky::detector::{bad_column, cosmic_ray};
use crate::sky::psf::Psf;

/// Adds the artefact that needs no source.
pub(super) fn deface(
    cause: Cause,
    science: &mut Plane,
    template: &mut Plane,
    wrong: &mut Plane,
    c: &Conditions,
    unit: f64,
    rng: &mut Stream,
) {
    match cause {
        Cause::CosmicRay => hit(science, c, rng),
        Cause::BadPixels => bad_pixels(science, rng),
        Cause::BadColumn => bad_columns(science, rng),
        Cause::Template => template_fault(template, wrong, c, unit, rng),
        Cause::Trail => trail(science, c, rng),
        Cause::Edge => edge(science, wrong, rng),
        _ => {}
    }
}

const MIDDLE: f64 = 0.5 * (SIDE as f64 - 1.0);

/// A coordinate near the middle.
fn near(rng: &mut Stream, s: f64) -> f64 {
    MIDDLE + rng.normal(0.0, s)
}

fn hit(science: &mut Plane, c: &Conditions, rng: &mut Stream) {
    let long = if rng.chance(0.45) {
        rng.uniform(0.0, 1.0)
    } else {
        rng.uniform(1.0, 9.0)
    };
    let (x, y) = (near(rng, 0.6), near(rng, 0.6));
    let mut hit = Plane::square(SIDE);
    cosmic_ray(&mut hit, x, y, long, rng.log_uniform(20.0, 250.0), rng);
    // Resampling blurs it a little.
    if rng.chance(0.05) {
        hit = convolve(&hit, &Psf::gaussian(rng.uniform(0.5, 0.45 * c.psf.fwhm)));
    }
    science.add(&hit, 1.0);
}

fn bad_pixels(science: &mut Plane, rng: &mut Stream) {
    for _ in 0..1 + rng.below(3) {
        let (x, y) = (near(rng, 1.0).round(), near(rng, 1.0).round());
        let value = rng.log_uniform(5.0, 100.0) as f32 * if rng.chance(0.8) { 1.0 } else { -1.0 };
        science.data[y.clamp(0.0, 44.0) as usize * SIDE + x.clamp(0.0, 44.0) as usize] += value;
    }
}

fn bad_columns(science: &mut Plane, rng: &mut Stream) {
    let column = near(rng, 1.0).round().clamp(0.0, 44.0) as usize;
    let from = if rng.chance(0.5) {
        0
    } else {
        rng.below(SIDE / 2)
    };
    let size = rng.log_uniform(2.5, 30.0) as f32;
    (0..1 + rng.below(2)).for_each(|k| {
        bad_column(
            science,
            (column + k).min(SIDE - 1),
            from,
            size * if rng.chance(0.8) { 1.0 } else { -1.0 },
        )
    });
}

/// A hole, a hit or a moving star of the template: it comes out of the difference as light or as a
/// hole.
fn template_fault(
    template: &mut Plane,
    wrong: &mut Plane,
    c: &Conditions,
    unit: f64,
    rng: &mut Stream,
) {
    let flux = unit * rng.log_uniform(8.0, 60.0);
    let (x, y) = (near(rng, 0.5), near(rng, 0.5));
    if rng.chance(0.5) {
        let mut hole = Plane::square(SIDE);
        c.old.add(&mut hole, x, y, flux);
        template.add(&hole, -1.0);
        wrong.add(&hole, -1.0);
    } else {
        let mut hit = Plane::square(SIDE);
        cosmic_ray(
            &mut hit,
            x,
            y,
            rng.uniform(0.0, 4.0),
            -rng.log_uniform(5.0, 40.0),
            rng,
        );
        template.add(&hit, 1.0);
        wrong.add(&hit, 1.0);
    }
}

/// Of a satellite or a meteor.
fn trail(science: &mut Plane, c: &Conditions, rng: &mut Stream) {
    let (a, level) = (
        rng.uniform(0.0, std::f64::consts::PI),
        rng.log_uniform(2.0, 20.0),
    );
    let (off, width) = (
        rng.normal(0.0, 1.0),
        if rng.chance(0.5) { c.psf.fwhm } else { 1.2 },
    );
    let fade = if rng.chance(0.4) {
        rng.uniform(5.0, 20.0)
    } else {
        1e9
    };
    for i in 0..SIDE * SIDE {
        let (dx, dy) = ((i % SIDE) as f64 - MIDDLE, (i / SIDE) as f64 - MIDDLE);
        let (across, along) = (
            dy * a.cos() - dx * a.sin() - off,
            dx * a.cos() + dy * a.sin() + 8.0,
        );
        science.data[i] +=
            (level * (-0.5 * (2.3548 * across / width).powi(2) - along.abs() / fade).exp()) as f32;
    }
}

/// Beyond the edge of the chip there is nothing; at it, light that was not taken away.
fn edge(science: &mut Plane, wrong: &mut Plane, rng: &mut Stream) {
    let edge = near(rng, 1.5).clamp(2.0, 42.0);
    let (sideways, level) = (rng.chance(0.5), rng.log_uniform(3.0, 100.0));
    let both = rng.chance(0.5);
    for i in 0..SIDE * SIDE {
        let t = if sideways { i % SIDE } else { i / SIDE } as f64;
        let over = (t - edge).max(0.0);
        let light = (level * (-over / 2.0).exp()) as f32;
        if t >= edge {
            science.data[i] += light;
        } else if both {
            science.data[i] = 0.0;
            wrong.data[i] = 0.0;
        }
    }
}
