//! Light curves as they would be elsewhere: fainter and farther, with fewer points, cut short. The
//! cure for training sets that are brighter than what is asked about (Boone 2019; Revsbech et al.
//! 2018), from the light curves and their noise alone.

use slipher_data::light_curve::{LightCurve, Point, wavelength};
use slipher_sim::cosmology::modulus;
use slipher_sim::random::Stream;

use super::encode::prepare;
use super::process::Process;

/// A light curve that could have been seen.
pub fn elsewhere(c: &LightCurve, rng: &mut Stream) -> LightCurve {
    let mut out = c.clone();
    let known = c.redshift.0.is_finite() && c.redshift.0 > 1e-3;
    if rng.chance(0.75) {
        let moved = known.then(|| redshifted(c, rng)).flatten();
        match moved {
            Some(m) => out = m,
            None => farther(&mut out, rng),
        }
    }
    if rng.chance(0.5) {
        let keep = rng.uniform(0.5, 1.0);
        out.points.retain(|_| rng.chance(keep));
    }
    if rng.chance(0.35) {
        cut(&mut out, rng);
    }
    if out.redshift.0.is_finite() && out.redshift.0 > 1e-3 {
        if rng.chance(0.15) {
            out.redshift = (f64::NAN, f64::NAN);
        } else {
            let error = if out.redshift.1.is_finite() {
                out.redshift.1
            } else {
                0.02
            };
            let z = out.redshift.0 + rng.normal(0.0, 0.5 * error.min(0.2));
            out.redshift.0 = z.max(0.005);
        }
    }
    if out.points.len() < 5 { c.clone() } else { out }
}

/// An object at another redshift: its Gaussian process, seen at other wavelengths, slower and dimmer,
/// on the days and with the noise of its own points. None where that would not have been seen.
fn redshifted(c: &LightCurve, rng: &mut Stream) -> Option<LightCurve> {
    let day = prepare(c).ok()?.peak;
    let process = Process::of(c, day)?;
    let z = c.redshift.0;
    let far = (0.95 * (1.0 + z), (1.0 + 2.2 * z).min((1.0 + z) * 1.55));
    let to = (rng.log_uniform(far.0.max(1.01), far.1.max(far.0 + 0.02)) - 1.0).max(0.01);
    let slow = (1.0 + to) / (1.0 + z);
    // Flux densities of a unit of frequency.
    let dim = 10f64.powf(-0.4 * (modulus(to) - modulus(z))) * slow;
    let shift = rng.uniform(-8.0, 8.0);
    let mut out = c.clone();
    out.points.clear();
    for p in &c.points {
        let Some(wave) = wavelength(&p.band) else {
            continue;
        };
        let then = day + (p.mjd - day - shift) / slow;
        let (mean, variance) = process.at(then, wave / slow);
        let error = f64::from(p.error) * rng.uniform(0.9, 1.2);
        let whole = error.hypot(dim * variance.sqrt());
        // Where the process knows nothing there is no point.
        if variance.sqrt() * dim > 4.0 * error && variance.sqrt() > 0.4 * mean.abs() {
            continue;
        }
        out.points.push(Point {
            flux: (dim * mean + rng.normal(0.0, error)) as f32,
            error: whole as f32,
            ..p.clone()
        });
    }
    let seen = out.points.iter().filter(|p| p.flux > 5.0 * p.error).count();
    let error = if c.redshift.1.is_finite() {
        c.redshift.1
    } else {
        0.03
    };
    out.redshift = (to, error * slow);
    (seen >= 2 && out.points.len() >= 8).then_some(out)
}

/// Moves an object to a larger redshift, a little: dimmer, slower, with the noise of its sky.
fn farther(c: &mut LightCurve, rng: &mut Stream) {
    let z = c.redshift.0;
    let (dim, slow) = if z.is_finite() && z > 1e-3 {
        let to = z * rng.uniform(1.0, 1.35) + rng.uniform(0.0, 0.03);
        c.redshift.0 = to;
        (
            10f64.powf(-0.4 * (modulus(to) - modulus(z))),
            (1.0 + to) / (1.0 + z),
        )
    } else {
        (rng.log_uniform(0.25, 1.0), 1.0)
    };
    let first = c.points.first().map_or(0.0, |p| p.mjd);
    for p in &mut c.points {
        let (f, e) = (f64::from(p.flux), f64::from(p.error));
        // Of its error the sky keeps its part.
        let lost = (e * e * (1.0 - dim * dim)).max(0.0).sqrt();
        p.flux = (f * dim + rng.normal(0.0, lost)) as f32;
        p.mjd = first + (p.mjd - first) * slow;
    }
}

/// Ends a light curve some days after it was first seen.
fn cut(c: &mut LightCurve, rng: &mut Stream) {
    let seen = |p: &&slipher_data::light_curve::Point| p.flux > 5.0 * p.error;
    let Some(first) = c.points.iter().find(seen).map(|p| p.mjd) else {
        return;
    };
    let end = first + rng.log_uniform(3.0, 120.0);
    c.points.retain(|p| p.mjd <= end);
}

/// The light curve up to some days after it was first seen.
pub fn until(c: &LightCurve, days: f64) -> LightCurve {
    let seen = |p: &&slipher_data::light_curve::Point| p.flux > 5.0 * p.error;
    let first = c.points.iter().find(seen).map(|p| p.mjd);
    let mut out = c.clone();
    if let Some(first) = first {
        out.points.retain(|p| p.mjd <= first + days);
    }
    out
}
