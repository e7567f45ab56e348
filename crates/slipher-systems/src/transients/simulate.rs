//! Injected transients and simulated artefacts, half and half.

use slipher_data::cutout::Cutout;
use slipher_sim::random::Stream;
use slipher_sim::sky::subtraction::{Camera, draw as triplet};

use super::encode::STAMPS;
use crate::example::{Example, Observation};

/// One candidate. Half of the surveys tell the noise of the difference, half do not.
pub fn draw(camera: Camera, rng: &mut Stream) -> Example {
    let real = rng.chance(0.5);
    let t = triplet(real, camera, rng);
    let side = t.difference.width;
    let pixels = [&t.template, &t.science, &t.difference]
        .iter()
        .flat_map(|p| p.data.iter().copied())
        .collect();
    let mut cutout = Cutout {
        bands: STAMPS.map(str::to_owned).to_vec(),
        height: side,
        width: side,
        pixels,
        ..Cutout::default()
    };
    (cutout.ra, cutout.dec, cutout.pixel_scale) = (f64::NAN, f64::NAN, f64::NAN);
    if rng.chance(0.5) {
        let n = side * side;
        cutout.variance = vec![f32::NAN; 2 * n];
        cutout.variance.extend(t.sigma.data.iter().map(|s| s * s));
    }
    cutout.label = Some(format!("{:?}", t.cause));
    let truth = if real { vec![0.0, 1.0] } else { vec![1.0, 0.0] };
    Example {
        input: Observation::Cutout(cutout),
        truth,
        depth: t.snr as f32,
    }
}
