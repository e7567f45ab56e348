//! Galaxy Zoo: the 37 shares of votes of its decision tree (Dieleman, Willett & Dambre 2015).

mod encode;
pub mod features;
mod network;
mod score;
mod simulate;
mod solutions;
pub mod tree;

use slipher_nn::heads::Head;
use slipher_nn::heads::shares::Shares;
use slipher_sim::random::Stream;
use slipher_stats::classification::Figure;

use crate::architecture::Architecture;
use crate::example::{Example, Observation, Sky};
use crate::geometry::Geometry;
use crate::labelled::Collection;
use crate::system::{NamedRecipe, System};
use crate::views::Augment;

use std::path::Path;

/// The system.
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
        Geometry::Image {
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
    fn simulate(&self, sky: Sky, rng: &mut Stream) -> Option<Example> {
        (sky == Sky::Own).then(|| simulate::draw(rng))
    }
    fn encode(&self, x: &Observation) -> Result<Vec<f32>, String> {
        encode::encode(x.cutout()?)
    }
    fn feature_names(&self) -> Vec<String> {
        features::names()
    }
    fn features(&self, _: &Observation, encoded: &[f32]) -> Vec<f32> {
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
    fn head(&self) -> Box<dyn Head> {
        Box::new(tree::shares())
    }
    fn tree(&self) -> Option<Shares> {
        Some(tree::shares())
    }
    fn labelled(&self, path: &Path) -> Result<Collection, String> {
        solutions::kaggle(path)
    }
    fn recipes(&self) -> &'static [NamedRecipe] {
        &[
            NamedRecipe {
                name: "morphology",
                title: "ours: turns with the image",
                text: include_str!("recipes/morphology.toml"),
            },
            NamedRecipe {
                name: "morphology-plain",
                title: "the same without tied weights",
                text: include_str!("recipes/morphology-plain.toml"),
            },
            NamedRecipe {
                name: "morphology-published",
                title: "Dieleman et al., 16 parts, a quarter as wide",
                text: include_str!("recipes/morphology-published.toml"),
            },
        ]
    }
}
