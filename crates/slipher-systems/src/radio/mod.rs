//! Radio galaxies: FR I, FR II, compact or bent (Aniyan & Thorat 2017).

mod encode;
pub mod features;
pub mod fusion;
mod network;
mod score;
mod simulate;

use slipher_sim::random::Stream;
use slipher_stats::classification::{Figure, Line};

use crate::architecture::{Architecture, InputViews};
use crate::example::{Example, Observation, Sky};
use crate::geometry::Geometry;
use crate::system::{NamedRecipe, StudyRows, System};
use crate::views::Augment;

/// Classes, in the order of the public FIRST collection.
pub const CLASSES: [&str; 4] = ["FRI", "FRII", "Compact", "Bent"];
/// Pairs of the three networks of the paper.
pub const PAIRS: [(usize, usize); 3] = [(0, 1), (0, 3), (1, 3)];
const PAIR_NAMES: [(&str, [&str; 2]); 3] = [
    ("radio-fri-frii", ["FRI", "FRII"]),
    ("radio-fri-bent", ["FRI", "Bent"]),
    ("radio-frii-bent", ["FRII", "Bent"]),
];

/// The system.
pub struct Radio;

impl System for Radio {
    fn name(&self) -> &'static str {
        "radio"
    }
    fn title(&self) -> &'static str {
        "Radio galaxies (Aniyan & Thorat 2017)"
    }
    fn outputs(&self) -> &'static [&'static str] {
        &CLASSES
    }
    fn depth(&self) -> (&'static str, &'static [f32]) {
        ("snr", &[10.0, 30.0, 100.0, 1000.0])
    }
    fn geometry(&self) -> Geometry {
        Geometry::Image {
            channels: 1,
            stored: encode::SIDE,
            side: 150,
        }
    }
    fn stamp_side(&self, scale: f64) -> usize {
        // What is resampled to 1.8″ fills the square, with sky around it for the noise.
        (1.4 * encode::SIDE as f64 * encode::SCALE / scale).clamp(64.0, 4000.0) as usize
    }
    fn augment(&self) -> Augment {
        Augment {
            any_angle: true,
            shift: 4.0,
            zoom: 1.25,
        }
    }
    fn input_views(&self) -> InputViews {
        InputViews::Scales { side: 64 }
    }
    fn simulate(&self, sky: Sky, rng: &mut Stream) -> Option<Example> {
        (sky == Sky::Own).then(|| simulate::draw(rng.below(4), 4, rng))
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
        network::published(4)
    }
    fn score(&self, answers: &[f32], truth: &[f32]) -> Vec<Figure> {
        score::figures(answers, truth)
    }
    fn recipes(&self) -> &'static [NamedRecipe] {
        &[
            NamedRecipe {
                name: "radio",
                title: "ours: turns with the image",
                text: include_str!("recipes/radio.toml"),
            },
            NamedRecipe {
                name: "radio-fri-frii",
                title: "AlexNet FRI/FRII",
                text: include_str!("recipes/radio-fri-frii.toml"),
            },
            NamedRecipe {
                name: "radio-fri-bent",
                title: "AlexNet FRI/Bent",
                text: include_str!("recipes/radio-fri-bent.toml"),
            },
            NamedRecipe {
                name: "radio-frii-bent",
                title: "AlexNet FRII/Bent",
                text: include_str!("recipes/radio-frii-bent.toml"),
            },
        ]
    }
    fn study_tables(&self, rows: &StudyRows<'_>) -> Vec<(String, Vec<Line>)> {
        fusion::tables(rows)
    }
}

/// One of the three pairs that the paper's networks tell apart.
pub struct Pair(pub usize);

impl System for Pair {
    fn name(&self) -> &'static str {
        PAIR_NAMES[self.0].0
    }
    fn title(&self) -> &'static str {
        "Two classes of radio galaxies (Aniyan & Thorat 2017)"
    }
    fn outputs(&self) -> &'static [&'static str] {
        &PAIR_NAMES[self.0].1
    }
    fn depth(&self) -> (&'static str, &'static [f32]) {
        Radio.depth()
    }
    fn geometry(&self) -> Geometry {
        Radio.geometry()
    }
    fn augment(&self) -> Augment {
        Radio.augment()
    }
    fn input_views(&self) -> InputViews {
        Radio.input_views()
    }
    fn simulate(&self, sky: Sky, rng: &mut Stream) -> Option<Example> {
        if sky != Sky::Own {
            return None;
        }
        let (a, b) = PAIRS[self.0];
        let second = rng.below(2);
        let e = simulate::draw(if second == 1 { b } else { a }, 4, rng);
        Some(Example {
            truth: vec![e.truth[a], e.truth[b]],
            ..e
        })
    }
    fn encode(&self, x: &Observation) -> Result<Vec<f32>, String> {
        Radio.encode(x)
    }
    fn feature_names(&self) -> Vec<String> {
        Radio.feature_names()
    }
    fn features(&self, x: &Observation, encoded: &[f32]) -> Vec<f32> {
        Radio.features(x, encoded)
    }
    fn published(&self) -> Architecture {
        network::published(2)
    }
    fn score(&self, answers: &[f32], truth: &[f32]) -> Vec<Figure> {
        vec![Figure::new(
            "accuracy",
            slipher_stats::classification::accuracy(answers, truth, 2),
            true,
            (None, None),
        )]
    }
    /// Those of the study of all classes.
    fn recipes(&self) -> &'static [NamedRecipe] {
        &Radio.recipes()[1 + self.0..2 + self.0]
    }
    fn is_part(&self) -> bool {
        true
    }
}
