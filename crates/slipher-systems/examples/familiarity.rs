//! What the shipped image models have seen, and how well they tell it from everything else.
//!
//! `familiarity fit SYSTEM [--labelled PATH] [FILES]` writes it into the shipped file: from labelled
//! examples of validation and training with a tenth as many simulated ones, or from simulated rows
//! that the model was not trained on; real ones from FILES beside them. `familiarity study` prints shares of flagged or refused images: of each
//! model's own sky, of the skies of other systems, of noise, of artefacts.
use std::f64::consts::TAU;
use std::path::{Path, PathBuf};

use slipher_data::cutout::Cutout;
use slipher_data::cutouts::{CutoutOptions, read};
use slipher_sim::random::Stream;
use slipher_systems::example::{Input, Observation, Sky};
use slipher_systems::familiarity::UNFAMILIAR;
use slipher_systems::model::Model;
use slipher_systems::set::{Set, Split};
use slipher_systems::system::System;
use slipher_systems::{pixels, registry};

const ROWS: usize = 6000;
const EACH: usize = 500;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    match args
        .iter()
        .map(String::as_str)
        .collect::<Vec<_>>()
        .as_slice()
    {
        ["fit", system, "--labelled", path] => fit(system, Some(Path::new(path)), &[]),
        ["fit", system, files @ ..] => fit(system, None, files),
        ["study"] => study(),
        _ => Err("usage: familiarity fit SYSTEM [--labelled PATH] [FILES] | study".into()),
    }
}

fn file(system: &dyn System) -> PathBuf {
    let weights = Path::new(env!("CARGO_MANIFEST_DIR")).join("../slipher-models/weights");
    weights.join(format!("{}.safetensors", system.name()))
}

/// Encoded images of files, those that can be read.
fn real(system: &dyn System, files: &[&str]) -> Result<Vec<Vec<f32>>, String> {
    let mut found = vec![];
    for file in files {
        read(Path::new(file), &CutoutOptions::default(), &mut |r| {
            if let Ok(c) = r.cutout
                && let Ok(c) = pixels::settle(&c)
                && let Ok(x) = system.encode(&Observation::Cutout(c.into_owned()))
            {
                found.push(x);
            }
            true
        })?;
    }
    Ok(found)
}

fn fit(
    name: &str,
    labelled: Option<&Path>,
    files: &[&str],
) -> Result<(), Box<dyn std::error::Error>> {
    let system = registry::shared(name)?;
    let mut model = Model::read(system, &file(system))?;
    let mut rows = Set::default();
    if let Some(path) = labelled {
        let c = system.labelled(path)?;
        for part in [c.validation, c.train] {
            rows.extend(Set::of(system, part, false).0);
        }
    }
    let simulated = if labelled.is_some() {
        rows.rows() / 10
    } else {
        ROWS
    };
    let sky = Set::simulated(system, Sky::Own, Split::Validation, 77, simulated, false);
    rows.extend(sky);
    let real = real(system, files)?;
    let n = real.len();
    rows.images.extend(real);
    model.see(&rows.images, n);
    println!(
        "{name}: {} rows, {n} real ones from files",
        rows.images.len()
    );
    model.familiarity.as_ref().ok_or("too few rows")?;
    model.write(&file(system))?;
    Ok(())
}

/// Planes of an image in another's frame, by the nearest pixel, its planes in turn.
fn in_frame(frame: &Cutout, from: &Cutout) -> Cutout {
    let mut out = frame.clone();
    let n = frame.height * frame.width;
    for (k, plane) in out.pixels.chunks_exact_mut(n).enumerate() {
        let source = from.band(k % from.bands.len());
        for (i, v) in plane.iter_mut().enumerate() {
            let y = (i / frame.width) * from.height / frame.height;
            let x = (i % frame.width) * from.width / frame.width;
            *v = source[y * from.width + x];
        }
    }
    (out.variance, out.mask) = (vec![], vec![]);
    out
}

fn painted(frame: &Cutout, rng: &mut Stream, kind: usize) -> Cutout {
    let mut out = frame.clone();
    let (h, w) = (frame.height, frame.width);
    let (angle, period) = (rng.uniform(0.0, TAU), rng.uniform(3.0, 20.0));
    let at = (rng.below(h), rng.below(w));
    for (i, v) in out.pixels.iter_mut().enumerate() {
        let (y, x) = ((i / w % h) as f64, (i % w) as f64);
        let along = x * angle.cos() + y * angle.sin();
        let noise = f64::from(rng.normal_f32());
        let value = match kind {
            0 => noise,
            1 => 0.02 * noise + along / w as f64,
            2 => 0.1 * noise + (TAU * along / period).sin(),
            3 => {
                0.1 * noise
                    + if (i % w).abs_diff(at.1) < 2 {
                        50.0
                    } else {
                        0.0
                    }
            }
            4 => noise.abs() * f64::from(u8::from((i / w % h) / 4 % 2 == (i % w) / 4 % 2)) * 10.0,
            _ => 0.1 * noise + if rng.below(40) == 0 { 30.0 } else { 0.0 },
        };
        *v = value as f32;
    }
    (out.variance, out.mask) = (vec![], vec![]);
    out
}

const PAINTED: [&str; 6] = [
    "white noise",
    "a gradient",
    "fringes",
    "a bleed trail",
    "a checkerboard",
    "hot pixels",
];

/// Refused, flagged, and not.
fn seen(model: &Model, images: &[Cutout]) -> (usize, usize, usize) {
    let encode = |c: &Cutout| {
        let settled = pixels::settle(c)?.into_owned();
        model.system.encode(&Observation::Cutout(settled))
    };
    let encoded: Vec<Vec<f32>> = images.iter().filter_map(|c| encode(c).ok()).collect();
    let flagged = model
        .predict_familiar(&encoded)
        .1
        .iter()
        .filter(|f| **f < UNFAMILIAR)
        .count();
    let refused = images.len() - encoded.len();
    (refused, flagged, encoded.len() - flagged)
}

fn draws(system: &dyn System, seed: u64) -> Vec<Cutout> {
    (0..EACH as u64)
        .filter_map(|r| {
            let mut rng = Stream::new(seed, Split::Test.purpose(), r);
            match system.simulate(Sky::Own, &mut rng)?.input {
                Observation::Cutout(c) => Some(c),
                _ => None,
            }
        })
        .collect()
}

fn study() -> Result<(), Box<dyn std::error::Error>> {
    let systems: Vec<_> = registry::all_shared()
        .filter(|s| s.input() == Input::Cutout && !s.is_part())
        .collect();
    println!("| model | images of | n | refused | flagged | answered without a flag |");
    println!("| --- | --- | --- | --- | --- | --- |");
    for system in &systems {
        let Ok(model) = Model::read(*system, &file(*system)) else {
            continue;
        };
        let own = draws(*system, 991);
        let line = |title: &str, images: &[Cutout]| {
            let (refused, flagged, rest) = seen(&model, images);
            let n = images.len();
            let share = 100.0 * rest as f64 / n.max(1) as f64;
            println!(
                "| {} | {title} | {n} | {refused} | {flagged} | {share:.1} % |",
                system.name()
            );
        };
        line("its own sky", &own);
        for other in systems.iter().filter(|o| o.name() != system.name()) {
            let foreign = draws(*other, 992);
            let pairs = own.iter().zip(&foreign);
            line(
                other.name(),
                &pairs.map(|(a, b)| in_frame(a, b)).collect::<Vec<_>>(),
            );
        }
        for (kind, title) in PAINTED.iter().enumerate() {
            let rng = |r: usize| Stream::new(993, kind as u64, r as u64);
            let made = own.iter().enumerate();
            let images: Vec<Cutout> = made.map(|(r, c)| painted(c, &mut rng(r), kind)).collect();
            line(title, &images);
        }
    }
    Ok(())
}
