//! Star or galaxy, from images in u, g, r, i, z (Kim & Brunner 2017).

mod encode;
pub mod features;
mod network;
mod score;
mod simulate;

use slipher_sim::random::Stream;
use slipher_stats::classification::Figure;

use crate::architecture::Architecture;
use crate::example::{Example, Observation, Sky};
use crate::geometry::Geometry;
use crate::system::{NamedRecipe, System};
use crate::views::Augment;

/// The system, with the SEDs that its sky is made of.
pub struct StarGalaxy {
    sky: std::sync::OnceLock<simulate::Sky>,
}

/// It, with a sky that is built once.
pub static STAR_GALAXY: StarGalaxy = StarGalaxy {
    sky: std::sync::OnceLock::new(),
};

impl System for StarGalaxy {
    fn name(&self) -> &'static str {
        "star-galaxy"
    }
    fn title(&self) -> &'static str {
        "Star or galaxy (Kim & Brunner 2017)"
    }
    fn outputs(&self) -> &'static [&'static str] {
        &["star", "galaxy"]
    }
    fn depth(&self) -> (&'static str, &'static [f32]) {
        ("mag_r", &[13.9, 21.0, 22.0, 23.0, 24.0, 25.6])
    }
    fn geometry(&self) -> Geometry {
        Geometry::Image {
            channels: 5,
            stored: 48,
            side: 44,
        }
    }
    fn augment(&self) -> Augment {
        Augment {
            any_angle: false,
            shift: 2.0,
            zoom: 1.0,
        }
    }
    fn simulate(&self, sky: Sky, rng: &mut Stream) -> Option<Example> {
        (sky == Sky::Own).then(|| self.sky.get_or_init(simulate::Sky::new).draw(rng))
    }
    fn encode(&self, x: &Observation) -> Result<Vec<f32>, String> {
        encode::encode(x.cutout()?)
    }
    fn feature_names(&self) -> Vec<String> {
        features::names()
    }
    fn features(&self, x: &Observation, _: &[f32]) -> Vec<f32> {
        x.cutout().map(features::of).unwrap_or_default()
    }
    fn published(&self) -> Architecture {
        network::published()
    }
    fn score(&self, answers: &[f32], truth: &[f32]) -> Vec<Figure> {
        score::figures(answers, truth)
    }
    fn training_share(&self) -> Option<f64> {
        Some(1.0 - simulate::STARS)
    }
    fn recipes(&self) -> &'static [NamedRecipe] {
        &[
            NamedRecipe {
                name: "star-galaxy",
                title: "ours: turns with the image",
                text: include_str!("recipes/star-galaxy.toml"),
            },
            NamedRecipe {
                name: "star-galaxy-published",
                title: "Kim & Brunner's network, 64 views",
                text: include_str!("recipes/star-galaxy-published.toml"),
            },
        ]
    }
}
