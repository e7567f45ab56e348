//! Strong lenses in images of ground-based surveys, in g, r and i: the finders of Petrillo et al.
//! (2017), Lanusse et al. (2018, CMU DeepLens) and Jacobs et al. (2017), and ours.

mod colours;
mod contaminants;
mod encode;
pub mod features;
mod lenses;
mod network;
mod picture;
mod scene;
mod score;
pub mod simulate;
mod survey;

pub use score::completeness_before;

use slipher_sim::random::Stream;
use slipher_stats::classification::Figure;

use crate::architecture::Architecture;
use crate::example::{Example, Observation, Sky};
use crate::geometry::Geometry;
use crate::system::{NamedRecipe, System};
use crate::views::Augment;

/// The system, and the networks of two of the papers.
pub struct LensFinding {
    paper: Paper,
}

/// Whose network.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Paper {
    /// Ours; as published, that of Lanusse et al.
    Lanusse,
    Petrillo,
    Jacobs,
}

/// The system.
pub static LENS_FINDING: LensFinding = LensFinding {
    paper: Paper::Lanusse,
};
/// A part of its study: the network of Petrillo et al.
pub static PETRILLO: LensFinding = LensFinding {
    paper: Paper::Petrillo,
};
/// A part of its study: the network of Jacobs et al.
pub static JACOBS: LensFinding = LensFinding {
    paper: Paper::Jacobs,
};

/// The sky with its colours, built once.
static SKY: std::sync::OnceLock<simulate::Sky> = std::sync::OnceLock::new();

/// The simulated sky.
pub fn sky() -> &'static simulate::Sky {
    SKY.get_or_init(simulate::Sky::default)
}

const RECIPES: [NamedRecipe; 4] = [
    NamedRecipe {
        name: "lens-finding",
        title: "ours: turns with the image",
        text: include_str!("recipes/lens-finding.toml"),
    },
    NamedRecipe {
        name: "lens-finding-published",
        title: "CMU DeepLens (Lanusse et al.)",
        text: include_str!("recipes/lens-finding-published.toml"),
    },
    NamedRecipe {
        name: "lens-finding-petrillo",
        title: "KiDS (Petrillo et al.)",
        text: include_str!("recipes/lens-finding-petrillo.toml"),
    },
    NamedRecipe {
        name: "lens-finding-jacobs",
        title: "CFHTLS (Jacobs et al.)",
        text: include_str!("recipes/lens-finding-jacobs.toml"),
    },
];

impl System for LensFinding {
    fn name(&self) -> &'static str {
        match self.paper {
            Paper::Lanusse => "lens-finding",
            Paper::Petrillo => "lens-finding-petrillo",
            Paper::Jacobs => "lens-finding-jacobs",
        }
    }
    fn title(&self) -> &'static str {
        match self.paper {
            Paper::Lanusse => {
                "Strong lenses (Petrillo et al. 2017, Lanusse et al. 2018, Jacobs et al. 2017)"
            }
            Paper::Petrillo => "Strong lenses, the network of Petrillo et al. (2017)",
            Paper::Jacobs => "Strong lenses, the network of Jacobs et al. (2017)",
        }
    }
    fn outputs(&self) -> &'static [&'static str] {
        &["other", "lens"]
    }
    fn depth(&self) -> (&'static str, &'static [f32]) {
        ("mag_r", &[15.0, 18.5, 19.5, 20.5, 21.5, 25.0])
    }
    fn geometry(&self) -> Geometry {
        Geometry::Image {
            channels: 3,
            stored: encode::SIDE,
            side: 60,
        }
    }
    fn stamp_side(&self, scale: f64) -> usize {
        // What is resampled to 0.2″ fills the square, with sky around it for the noise.
        (1.3 * encode::SIDE as f64 * encode::SCALE / scale).clamp(48.0, 400.0) as usize
    }
    fn augment(&self) -> Augment {
        Augment {
            any_angle: false,
            shift: 2.0,
            zoom: 1.0,
        }
    }
    fn simulate(&self, sky: Sky, rng: &mut Stream) -> Option<Example> {
        let wanted = simulate::Wanted::draw(rng);
        (sky == Sky::Own).then(|| self::sky().draw(wanted, rng))
    }
    fn encode(&self, x: &Observation) -> Result<Vec<f32>, String> {
        encode::encode(x.cutout()?)
    }
    fn colours(&self, encoded: &[f32]) -> Option<Vec<u8>> {
        Some(encode::colours(encoded))
    }
    fn feature_names(&self) -> Vec<String> {
        features::names()
    }
    fn features(&self, _: &Observation, encoded: &[f32]) -> Vec<f32> {
        features::of(encoded)
    }
    fn published(&self) -> Architecture {
        match self.paper {
            Paper::Lanusse => network::deeplens(),
            Paper::Petrillo => network::petrillo(),
            Paper::Jacobs => network::jacobs(),
        }
    }
    fn score(&self, answers: &[f32], truth: &[f32]) -> Vec<Figure> {
        score::figures(answers, truth)
    }
    fn training_share(&self) -> Option<f64> {
        Some(simulate::LENSES)
    }
    fn recipes(&self) -> &'static [NamedRecipe] {
        match self.paper {
            Paper::Lanusse => &RECIPES,
            Paper::Petrillo => &RECIPES[2..3],
            Paper::Jacobs => &RECIPES[3..4],
        }
    }
    fn is_part(&self) -> bool {
        self.paper != Paper::Lanusse
    }
}
