//! The shipped models on real images of the data folder: fails without it where CI=true, else says
//! so and skips.

use std::path::{Path, PathBuf};

use slipher_data::cutouts::CutoutOptions;
use slipher_data::input::expand_for;
use slipher_nn::heads::largest;
use slipher_stats::classification::confusion;
use slipher_stats::proportion::Tally;
use slipher_systems::answers::{Answer, Answerer};
use slipher_systems::evaluate::turning;
use slipher_systems::example::Observation;
use slipher_systems::registry;
use slipher_systems::set::Set;

const ALERTS: [&str; 3] = [
    "images/alercebroker__pipeline/libs/survey_parser_plugins/tests/data/ZTF_samples",
    "images/boom-astro__boom/tests/data/alerts/ztf",
    "images/boom-astro__boom/tests/data/alerts/decam",
];
const RADIO: &str = "images/floriangriese__RadioGalaxyDataset/firstgalaxydata/galaxy_data.zip";
const GALAXIES: &str = "images/theonlynanu__GalaxyZooClassification/data/gz2/sample_images";

/// Least share of the labelled radio sources that must be right, per cent.
const RADIO_BAR: f64 = 80.0;
/// Least agreement with the survey's deep score on alerts of which it is sure, per cent.
const ALERTS_BAR: f64 = 60.0;

/// The folder of real data, if it is there.
fn data() -> Option<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data");
    let found = std::env::var_os("SLIPHER_DATA").map_or(root, PathBuf::from);
    if !found.is_dir() {
        let ci = std::env::var("CI").is_ok_and(|v| v == "true");
        assert!(!ci, "{} is missing, and CI=true", found.display());
        eprintln!("skipped: the data folder {} is missing", found.display());
        return None;
    }
    Some(found)
}

fn shipped(name: &str) -> Answerer {
    let model = registry::model(registry::shared(name).unwrap(), None).unwrap();
    Answerer::of(model, CutoutOptions::default())
}

fn answers(model: &Answerer, paths: &[String], keep: bool) -> Vec<Answer> {
    let files = expand_for(paths, &slipher_data::cutouts::ENDINGS).unwrap();
    let mut out = Vec::new();
    let each = |rows: Vec<Answer>, _| {
        out.extend(rows);
        Ok::<bool, String>(true)
    };
    model.run(&files, keep, each).unwrap();
    out
}

/// Alerts of ZTF and DECam, beside the survey's own deep score.
#[test]
fn alerts() {
    let Some(data) = data() else { return };
    let model = shipped("transients");
    let paths: Vec<String> = ALERTS
        .iter()
        .map(|p| data.join(p).display().to_string())
        .collect();
    let rows = answers(&model, &paths, false);
    let mut agreed = Tally::default();
    println!("| alert | real | drb or reliability | rb | mag |\n| --- | --- | --- | --- | --- |");
    for r in &rows {
        let cutout = r.input.as_ref().and_then(|x| match x {
            Observation::Cutout(c) => Some(c),
            _ => None,
        });
        let survey = |k: &str| cutout?.survey.iter().find(|s| s.0 == k).map(|s| s.1);
        let deep = survey("drb").or(survey("reliability"));
        let text = |v: Option<f64>| v.map_or(String::new(), |v| format!("{v:.3}"));
        println!(
            "| {} | {:.4} | {} | {} | {} |",
            r.object_id,
            r.values.get(1).copied().unwrap_or(f32::NAN),
            text(deep),
            text(survey("rb")),
            text(survey("magpsf"))
        );
        // ZTF's alerts of 2018 have no deep score yet (0.0); then its first score decides, where it
        // is sure.
        let verdict = match deep.filter(|d| *d > 0.0) {
            Some(d) => (!(0.1..0.9).contains(&d)).then_some(d > 0.5),
            None => survey("rb")
                .filter(|rb| !(0.5..0.75).contains(rb))
                .map(|rb| rb > 0.5),
        };
        if let Some(v) = verdict {
            agreed.add((r.values.get(1).copied().unwrap_or(f32::NAN) > 0.5) == v);
        }
    }
    println!(
        "\nalerts: {} read; agrees with the survey's score where that is sure (drb below 0.1 or above 0.9, else rb below 0.5 or above 0.75): {agreed}\n",
        rows.len()
    );
    assert!(
        rows.iter().all(|r| r.error.is_empty()) && rows.len() >= 22,
        "not all were answered"
    );
    bar("alerts", &agreed, ALERTS_BAR);
}

/// The test part of the labelled FIRST sources; none of them, nor a neighbour within 10″, was
/// trained on.
#[test]
fn radio() {
    let Some(data) = data() else { return };
    let model = shipped("radio").model;
    let system = model.system;
    let collection = system.labelled(&data.join(RADIO)).unwrap();
    let (set, skipped) = Set::of(system, collection.test, false);
    let p = model.predict(&set.images);
    let n = system.outputs().len();
    let labels = set.labels(n);
    let mut all = Tally::default();
    p.chunks_exact(n)
        .zip(&labels)
        .for_each(|(row, l)| all.add(largest(row) == *l));
    println!("radio, {} could not be read: {all}", skipped.len());
    println!(
        "| is \\ says | {} |\n| --- |{}",
        system.outputs().join(" | "),
        " --- |".repeat(n)
    );
    for (k, row) in confusion(&p, &set.truth, n).iter().enumerate() {
        println!(
            "| {} | {} |",
            system.outputs()[k],
            row.iter()
                .map(ToString::to_string)
                .collect::<Vec<_>>()
                .join(" | ")
        );
    }
    println!();
    bar("radio", &all, RADIO_BAR);
}

/// Pictures of Galaxy Zoo 2, whose votes are not in the folder: all are answered, and answers do
/// not depend on how a picture lies.
#[test]
fn galaxies() {
    let Some(data) = data() else { return };
    let model = shipped("morphology");
    let rows = answers(&model, &[data.join(GALAXIES).display().to_string()], true);
    let images: Vec<Vec<f32>> = rows.iter().filter_map(|r| r.image.clone()).collect();
    let (quarter, any) = turning(&model.model, &images);
    let features = rows.iter().filter(|r| r.values[1] > r.values[0]).count();
    println!(
        "Galaxy Zoo pictures: {} answered, {features} with features; change of answers under quarter turns {quarter:.2e}, other turns {any:.3}",
        images.len()
    );
    assert!(
        images.len() == rows.len() && rows.len() >= 40,
        "not all answered"
    );
    assert!(quarter <= 1e-4, "answers turn with the picture: {quarter}");
}

fn bar(what: &str, t: &Tally, least: f64) {
    assert!(
        t.n > 0 && t.percent() >= least,
        "{what}: {t}, the bar is {least} %"
    );
}
