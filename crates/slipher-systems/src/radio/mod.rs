//! Radio galaxies: FR I, FR II, compact or bent (Aniyan & Thorat 2017).

mod encode;
mod features;
pub mod fusion;
mod network;
mod score;
mod simulate;

use std::path::Path;

use slipher_data::cutout::Cutout;
use slipher_sim::random::Stream;

use crate::images::architecture::{Architecture, Parts};
use crate::images::labelled::Collection;
use crate::images::score::Figure;
use crate::images::views::Augment;
use crate::images::{Example, Geometry, System, labelled};

/// Classes, in the order of the public FIRST collection.
pub const CLASSES: [&str; 4] = ["FRI", "FRII", "Compact", "Bent"];
/// Pairs of the three networks of the paper.
pub const PAIRS: [(usize, usize); 3] = [(0, 1), (0, 3), (1, 3)];
const PAIR_NAMES: [(&str, [&str; 2]); 3] = [
    ("radio-fri-frii", ["FRI", "FRII"]),
    ("radio-fri-bent", ["FRI", "Bent"]),
    ("radio-frii-bent", ["FRII", "Bent"]),
];

/// The room.
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
        Geometry {
            channels: 1,
            stored: encode::SIDE,
            side: 150,
        }
    }
    fn augment(&self) -> Augment {
        Augment {
            any_angle: true,
            shift: 4.0,
            zoom: 1.25,
        }
    }
    fn parts(&self) -> Parts {
        Parts::Scales { side: 64 }
    }
    fn simulate(&self, rng: &mut Stream) -> Example {
        simulate::draw(rng.below(4), 4, rng)
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
        network::published(4)
    }
    fn score(&self, answers: &[f32], truth: &[f32]) -> Vec<Figure> {
        score::figures(answers, truth)
    }
}

/// One of the three pairs that the paper's networks tell apart.
pub struct Pair(pub usize);

impl Pair {
    /// By name, `radio-fri-frii`.
    pub fn by_name(name: &str) -> Option<Pair> {
        PAIR_NAMES.iter().position(|p| p.0 == name).map(Pair)
    }
}

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
    fn parts(&self) -> Parts {
        Radio.parts()
    }
    fn simulate(&self, rng: &mut Stream) -> Example {
        let (a, b) = PAIRS[self.0];
        let second = rng.below(2);
        let e = simulate::draw(if second == 1 { b } else { a }, 4, rng);
        Example {
            truth: vec![e.truth[a], e.truth[b]],
            ..e
        }
    }
    fn encode(&self, c: &Cutout) -> Result<Vec<f32>, String> {
        Radio.encode(c)
    }
    fn feature_names(&self) -> Vec<String> {
        Radio.feature_names()
    }
    fn features(&self, c: &Cutout, encoded: &[f32]) -> Vec<f32> {
        Radio.features(c, encoded)
    }
    fn published(&self) -> Architecture {
        network::published(2)
    }
    fn score(&self, answers: &[f32], truth: &[f32]) -> Vec<Figure> {
        vec![Figure::new(
            "accuracy",
            crate::images::score::accuracy(answers, truth, 2),
            true,
            (None, None),
        )]
    }
    fn labelled(&self, path: &Path) -> Result<Collection, String> {
        labelled::folders(path, self.outputs())
    }
}
