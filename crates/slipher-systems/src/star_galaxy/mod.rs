//! Star or galaxy, from images in u, g, r, i, z (Kim & Brunner 2017).

mod encode;
mod features;
mod network;
mod score;
mod simulate;

use slipher_data::cutout::Cutout;
use slipher_sim::random::Stream;

use crate::images::architecture::Architecture;
use crate::images::score::Figure;
use crate::images::views::Augment;
use crate::images::{Example, Geometry, System};

/// The room, with the SEDs that its sky is made of.
#[derive(Default)]
pub struct StarGalaxy {
    sky: std::sync::OnceLock<simulate::Sky>,
}

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
        Geometry {
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
    fn simulate(&self, rng: &mut Stream) -> Example {
        self.sky.get_or_init(simulate::Sky::new).draw(rng)
    }
    fn encode(&self, c: &Cutout) -> Result<Vec<f32>, String> {
        encode::encode(c)
    }
    fn feature_names(&self) -> Vec<String> {
        features::names()
    }
    fn features(&self, c: &Cutout, _: &[f32]) -> Vec<f32> {
        features::of(c)
    }
    fn published(&self) -> Architecture {
        network::published()
    }
    fn score(&self, answers: &[f32], truth: &[f32]) -> Vec<Figure> {
        score::figures(answers, truth)
    }
}
