//! Real or bogus: is what a difference of two images shows on the sky? (Deep-HiTS; Cabrera-Vives et
//! al. 2017.)

mod encode;
pub mod features;
mod network;
mod score;
mod simulate;

use slipher_data::catalogue::{Column, Values};
use slipher_sim::random::Stream;
use slipher_stats::classification::Figure;

use crate::architecture::Architecture;
use crate::example::{Example, Observation, Sky};
use crate::geometry::Geometry;
use crate::system::{NamedRecipe, System};
use crate::views::Augment;

use slipher_sim::sky::subtraction;

/// The system.
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
        Geometry::Image {
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
    fn simulate(&self, sky: Sky, rng: &mut Stream) -> Option<Example> {
        let survey = match sky {
            Sky::Own => subtraction::ANY,
            Sky::Published => subtraction::HITS,
        };
        Some(simulate::draw(survey, rng))
    }
    fn encode(&self, x: &Observation) -> Result<Vec<f32>, String> {
        encode::encode(x.cutout()?)
    }
    fn feature_names(&self) -> Vec<String> {
        features::names()
    }
    fn classical_rows(&self) -> usize {
        100_000
    }
    fn features(&self, _: &Observation, encoded: &[f32]) -> Vec<f32> {
        features::of(encoded)
    }
    fn published(&self) -> Architecture {
        network::published()
    }
    fn score(&self, answers: &[f32], truth: &[f32]) -> Vec<Figure> {
        score::figures(answers, truth)
    }
    fn recipes(&self) -> &'static [NamedRecipe] {
        &[
            NamedRecipe {
                name: "transients",
                title: "ours: turns with the image",
                text: include_str!("recipes/transients.toml"),
            },
            NamedRecipe {
                name: "transients-published",
                title: "Deep-HiTS",
                text: include_str!("recipes/transients-published.toml"),
            },
            NamedRecipe {
                name: "transients-hits",
                title: "ours, trained on HiTS' sky",
                text: include_str!("recipes/transients-hits.toml"),
            },
            NamedRecipe {
                name: "transients-published-hits",
                title: "Deep-HiTS, trained on HiTS' sky",
                text: include_str!("recipes/transients-published-hits.toml"),
            },
        ]
    }
    /// What the survey says of its own candidates, where they are alerts.
    fn extra_columns(&self, rows: &[Option<&Observation>]) -> Vec<Column> {
        // The first of some names that the survey gives, and its value.
        let found = |row: &Option<&Observation>, keys: &[&'static str]| {
            let survey = &row.as_ref()?.cutout().ok()?.survey;
            keys.iter()
                .find_map(|k| Some((*k, survey.iter().find(|s| s.0 == *k)?.1)))
        };
        let column = |name, description, keys: &[&'static str]| Column {
            description,
            ..Column::bare(
                name,
                Values::F64(
                    rows.iter()
                        .map(|r| found(r, keys).map_or(f64::NAN, |f| f.1))
                        .collect(),
                ),
            )
        };
        const SCORES: [&str; 4] = ["drb", "braai", "rb", "reliability"];
        let named = |row| found(row, &SCORES).map_or("", |f| f.0).to_owned();
        vec![
            column(
                "survey_score",
                "the survey's own score: drb, rb, braai or reliability",
                &SCORES,
            ),
            Column {
                description: "which score of the survey that is",
                ..Column::bare(
                    "survey_score_name",
                    Values::Text(rows.iter().map(named).collect()),
                )
            },
            column("survey_mag", "the survey's magnitude", &["magpsf"]),
        ]
    }
}
