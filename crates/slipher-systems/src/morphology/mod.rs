//! Galaxy Zoo: the 37 shares of votes of its decision tree (Dieleman, Willett & Dambre 2015).

mod encode;
mod features;
mod network;
mod score;
mod simulate;
mod solutions;
pub mod tree;

use std::path::Path;

use slipher_data::cutout::Cutout;
use slipher_sim::random::Stream;

use crate::images::architecture::Architecture;
use crate::images::labelled::Collection;
use crate::images::score::Figure;
use crate::images::views::Augment;
use crate::images::{Example, Geometry, System};

/// The room.
pub struct Morphology;

impl System for Morphology {
    fn name(&self) -> &'static str {
        "morphology"
    }
    fn title(&self) -> &'static str {
        "Galaxy Zoo morphology (Dieleman et al. 2015)"
    }
    fn outputs(&self) -> &'static [&'static str] {
        &tree::ANSWERS
    }
    fn depth(&self) -> (&'static str, &'static [f32]) {
        ("resolution", &[1.0, 3.0, 5.0, 30.0])
    }
    fn geometry(&self) -> Geometry {
        Geometry {
            channels: 3,
            stored: encode::SIDE,
            side: 69,
        }
    }
    fn augment(&self) -> Augment {
        // ±4 pixels of 424, three of which are one here.
        Augment {
            any_angle: true,
            shift: 4.0 / 3.0,
            zoom: 1.3,
        }
    }
    fn simulate(&self, rng: &mut Stream) -> Example {
        simulate::draw(rng)
    }
    fn encode(&self, c: &Cutout) -> Result<Vec<f32>, String> {
        encode::encode(c)
    }
    fn feature_names(&self) -> Vec<String> {
        features::names()
    }
    fn features(&self, _: &Cutout, encoded: &[f32]) -> Vec<f32> {
        features::of(encoded)
    }
    fn published(&self) -> Architecture {
        network::published(1)
    }
    fn narrow(&self, divisor: usize) -> Option<Architecture> {
        Some(network::published(divisor))
    }
    fn score(&self, answers: &[f32], truth: &[f32]) -> Vec<Figure> {
        score::figures(answers, truth)
    }
    fn answer(&self, row: &mut [f32]) {
        tree::answer(row);
    }
    fn gradient(&self, row: &mut [f32], truth: &[f32]) -> f64 {
        tree::gradient(row, truth)
    }
    fn is_classifier(&self) -> bool {
        false
    }
    fn questions(&self) -> Vec<std::ops::Range<usize>> {
        tree::QUESTIONS.to_vec()
    }
    fn compose(&self, row: &mut [f32]) {
        tree::compose(row);
    }
    fn labelled(&self, path: &Path) -> Result<Collection, String> {
        solutions::kaggle(path)
    }
}
