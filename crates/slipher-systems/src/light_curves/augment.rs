//! Light curves as they would be elsewhere: fainter and farther, with fewer points, cut short. The
//! cure for training sets that are brighter than what is asked about (Boone 2019; Revsbech et al.
//! 2018), from the light curves and their noise alone.

use slipher_data::light_curve::LightCurve;
use slipher_sim::cosmology::modulus;
use slipher_sim::random::Stream;

/// A light curve that could have been seen.
pub fn elsewhere(c: &LightCurve, rng: &mut Stream) -> LightCurve {
    let mut out = c.clone();
    if rng.chance(0.6) {
        farther(&mut out, rng);
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
