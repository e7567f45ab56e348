//! Classes of transients and variables from their light curves (after Charnock & Moss 2017, Boone
//! 2019), at any epoch, in any bands.

pub mod augment;
pub mod encode;
pub mod features;
mod network;
pub mod process;

use std::path::Path;

use rayon::prelude::*;
use slipher_data::input::expand_for;
use slipher_data::light_curve::LightCurve;
use slipher_data::light_curves::{ENDINGS, read};
use slipher_sim::random::{Stream, hash};
use slipher_stats::classification::{self, Figure};

use crate::architecture::Architecture;
use crate::example::{Example, Input, Observation, Sky, one_hot};
use crate::geometry::Geometry;
use crate::labelled::Collection;
use crate::system::{NamedRecipe, System};
use crate::views::Augment;

/// What light curves are told apart into.
pub const CLASSES: [&str; 14] = [
    "Ia",
    "Ia-91bg",
    "Iax",
    "II",
    "Ibc",
    "SLSN",
    "TDE",
    "KN",
    "AGN",
    "RRL",
    "M-dwarf",
    "EB",
    "Mira",
    "microlens",
];

/// The system.
pub struct LightCurves;

/// The system.
pub static LIGHT_CURVES: LightCurves = LightCurves;

/// Versions of a labelled light curve that training sees.
const VERSIONS: usize = 5;

const RECIPES: [NamedRecipe; 1] = [NamedRecipe {
    name: "light-curves",
    title: "ours: convolutions over time",
    text: include_str!("recipes/light-curves.toml"),
}];

/// The class of a label: a type as surveys write it, or PLAsTiCC's number.
pub fn class(label: &str) -> Option<usize> {
    let plain: String = label
        .to_lowercase()
        .trim_start_matches("sn")
        .chars()
        .filter(char::is_ascii_alphanumeric)
        .collect();
    let k = match plain.as_str() {
        "ia" | "90" | "normal" | "ianorm" => 0,
        "ia91bg" | "91bg" | "67" => 1,
        "iax" | "52" => 2,
        "ii" | "iip" | "iil" | "iin" | "iib" | "42" => 3,
        "ib" | "ic" | "ibc" | "icbl" | "62" => 4,
        "slsn" | "slsni" | "95" => 5,
        "tde" | "15" => 6,
        "kn" | "kilonova" | "64" => 7,
        "agn" | "qso" | "88" => 8,
        "rrl" | "rrlyrae" | "92" => 9,
        "mdwarf" | "flare" | "65" => 10,
        "eb" | "16" => 11,
        "mira" | "53" => 12,
        "microlens" | "singlelens" | "ulens" | "6" => 13,
        _ => return None,
    };
    Some(k)
}

fn example(c: LightCurve, class: usize) -> Example {
    let snr = encode::prepare(&c).map_or(0.0, |p| {
        let best = p.points.iter().map(|q| q.2 / q.3);
        best.fold(0.0, f32::max)
    });
    Example {
        input: Observation::LightCurve(c),
        truth: one_hot(class, CLASSES.len()),
        depth: snr,
    }
}

/// A light curve with the number of its class.
fn labelled(c: LightCurve) -> Result<(LightCurve, usize), String> {
    let label = c.label.clone().unwrap_or_default();
    let k = class(&label).ok_or(format!(
        "label '{label}': expected one of {} or PLAsTiCC's numbers",
        CLASSES.join(", ")
    ))?;
    encode::prepare(&c).map(|_| (c, k))
}

impl System for LightCurves {
    fn name(&self) -> &'static str {
        "light-curves"
    }
    fn title(&self) -> &'static str {
        "Light curves of transients and variables (Charnock & Moss 2017, Boone 2019)"
    }
    fn outputs(&self) -> &'static [&'static str] {
        &CLASSES
    }
    fn depth(&self) -> (&'static str, &'static [f32]) {
        ("largest S/N", &[0.0, 5.0, 10.0, 20.0, 1e9])
    }
    fn input(&self) -> Input {
        Input::LightCurve
    }
    fn geometry(&self) -> Geometry {
        Geometry::Series {
            channels: encode::CHANNELS,
            length: encode::STEPS,
        }
    }
    fn augment(&self) -> Augment {
        Augment::TURNS
    }
    fn simulate(&self, _: Sky, _: &mut Stream) -> Option<Example> {
        None
    }
    fn encode(&self, x: &Observation) -> Result<Vec<f32>, String> {
        encode::encode(x.light_curve()?)
    }
    fn feature_names(&self) -> Vec<String> {
        features::names()
    }
    fn features(&self, x: &Observation, _: &[f32]) -> Vec<f32> {
        x.light_curve()
            .map_or_else(|_| vec![f32::NAN; features::names().len()], features::of)
    }
    fn published(&self) -> Architecture {
        network::own(64, CLASSES.len())
    }
    fn own(&self, width: usize) -> Option<Architecture> {
        Some(network::own(width, CLASSES.len()))
    }
    fn score(&self, answers: &[f32], truth: &[f32]) -> Vec<Figure> {
        let n = CLASSES.len();
        let right = classification::accuracy(answers, truth, n);
        vec![Figure::new("accuracy", right, true, (None, None))]
    }
    /// Labelled files, by their labels; one in ten is for validation and two for tests, by the
    /// object's name. Training rows come in versions that could have been seen elsewhere.
    fn labelled(&self, path: &Path) -> Result<Collection, String> {
        let mut out = Collection::default();
        let mut found: Vec<(LightCurve, usize)> = vec![];
        let files =
            expand_for(&[path.display().to_string()], &ENDINGS).map_err(|e| e.to_string())?;
        for f in files {
            let mut each = |r: slipher_data::light_curves::Row| {
                match r.curve.and_then(labelled) {
                    Err(why) => out.skipped.push(format!("{}: {why}", r.source)),
                    Ok(one) => found.push(one),
                }
                true
            };
            if let Err(why) = read(&f, &mut each) {
                out.skipped.push(format!("{}: {why}", f.display()));
            }
        }
        let part = |c: &LightCurve| hash(&c.object_id) % 10;
        let versions = |(c, k): &(LightCurve, usize)| -> Vec<Example> {
            let mut rng = Stream::new(1, hash(&c.object_id), 0);
            let mut all = vec![example(c.clone(), *k)];
            for _ in 1..if part(c) > 2 { VERSIONS } else { 1 } {
                all.push(example(augment::elsewhere(c, &mut rng), *k));
            }
            all
        };
        let made: Vec<Vec<Example>> = found.par_iter().map(versions).collect();
        for ((c, _), all) in found.iter().zip(made) {
            match part(c) {
                0 => out.validation.extend(all),
                1 | 2 => out.test.extend(all),
                _ => out.train.extend(all),
            }
        }
        if out.train.is_empty() {
            let why = out.skipped.first().cloned().unwrap_or_default();
            return Err(format!(
                "{}: no labelled light curve in it: {why}",
                path.display()
            ));
        }
        Ok(out)
    }
    fn recipes(&self) -> &'static [NamedRecipe] {
        &RECIPES
    }
}
