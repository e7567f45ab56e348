//! Real or bogus: is what a difference of two images shows on the sky? (Deep-HiTS; Cabrera-Vives et al. 2017.)

mod encode;
mod features;
mod network;
mod score;
mod simulate;

use slipher_data::cutout::Cutout;
use slipher_sim::random::Stream;
use slipher_sim::sky::subtraction;

use crate::images::architecture::Architecture;
use crate::images::score::Figure;
use crate::images::views::Augment;
use crate::images::{Example, Geometry, System};

/// The room.
pub struct Transients;

impl System for Transients {
    fn name(&self) -> &'static str {
        "transients"
    }
    fn title(&self) -> &'static str {
        "Transients: real or bogus (Deep-HiTS, Cabrera-Vives et al. 2017)"
    }
    fn outputs(&self) -> &'static [&'static str] {
        &["bogus", "real"]
    }
    fn depth(&self) -> (&'static str, &'static [f32]) {
        ("snr", &[6.0, 8.0, 12.0, 20.0, 1e6])
    }
    fn geometry(&self) -> Geometry {
        Geometry {
            channels: 4,
            stored: 25,
            side: 21,
        }
    }
    fn augment(&self) -> Augment {
        Augment {
            any_angle: false,
            shift: 1.0,
            zoom: 1.0,
        }
    }
    fn simulate(&self, rng: &mut Stream) -> Example {
        simulate::draw(subtraction::ANY, rng)
    }
    fn simulate_published(&self, rng: &mut Stream) -> Option<Example> {
        Some(simulate::draw(subtraction::HITS, rng))
    }
    fn encode(&self, c: &Cutout) -> Result<Vec<f32>, String> {
        encode::encode(c)
    }
    fn feature_names(&self) -> Vec<String> {
        features::names()
    }
    fn classical_rows(&self) -> usize {
        100_000
    }
    fn features(&self, _: &Cutout, encoded: &[f32]) -> Vec<f32> {
        features::of(encoded)
    }
    fn published(&self) -> Architecture {
        network::published()
    }
    fn score(&self, answers: &[f32], truth: &[f32]) -> Vec<Figure> {
        score::figures(answers, truth)
    }
}
