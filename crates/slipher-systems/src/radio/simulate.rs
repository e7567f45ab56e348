//! Sources as FIRST sees them.

use slipher_data::cutout::Cutout;
use slipher_sim::random::Stream;
use slipher_sim::sky::radio::{FIRST, Shape, observe};

use super::CLASSES;
use super::encode::{SCALE, SIDE};
use crate::example::{Example, Observation, one_hot};

const SHAPES: [Shape; 4] = [Shape::Fr1, Shape::Fr2, Shape::Compact, Shape::Bent];

/// A source of class `k` of `classes`.
pub fn draw(k: usize, classes: usize, rng: &mut Stream) -> Example {
    let snr = rng.log_uniform(12.0, 600.0);
    let plane = observe(SHAPES[k], SIDE, snr, FIRST, rng);
    let cutout = Cutout {
        bands: vec![String::new()],
        height: SIDE,
        width: SIDE,
        pixels: plane.data,
        pixel_scale: SCALE,
        ra: f64::NAN,
        dec: f64::NAN,
        label: Some(CLASSES[k].into()),
        ..Cutout::default()
    };
    Example {
        input: Observation::Cutout(cutout),
        truth: one_hot(k, classes),
        depth: snr as f32,
    }
}
