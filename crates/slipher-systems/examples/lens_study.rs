//! Completeness of a lens finder at the false-positive rates that surveys need, on objects that are
//! drawn by their number and never stored:
//! `cargo run --release -p slipher-systems --example lens_study -- NEGATIVES LENSES [MODEL]`.
use std::path::Path;
use std::time::Instant;

use rayon::prelude::*;
use slipher_sim::random::Stream;
use slipher_stats::proportion::wilson;
use slipher_systems::example::Observation;
use slipher_systems::lens_finding::simulate::{FAMILIES, Wanted};
use slipher_systems::lens_finding::{LENS_FINDING, sky};
use slipher_systems::model::Model;
use slipher_systems::registry;
use slipher_systems::system::System;

const SEED: u64 = 0x1E_55;
const BLOCK: u64 = 2000;

/// What the simulation says of a stamp.
type About = Vec<(String, f64)>;
/// Which lenses.
type Group<'a> = (&'a str, &'a dyn Fn(&Row) -> bool);

/// A row: probability of a lens, and what was drawn.
struct Row {
    p: f32,
    about: About,
    picture: bool,
}

fn answers(
    model: &Model,
    n: u64,
    purpose: u64,
    wanted: &(dyn Fn(&mut Stream) -> Wanted + Sync),
) -> Vec<Row> {
    let mut rows = Vec::new();
    for first in (0..n).step_by(BLOCK as usize) {
        let some: Vec<(Vec<f32>, About, bool)> = (first..(first + BLOCK).min(n))
            .into_par_iter()
            .filter_map(|row| {
                let mut rng = Stream::new(SEED, purpose, row);
                let what = wanted(&mut rng);
                let e = sky().draw(what, &mut rng);
                let x = LENS_FINDING.encode(&e.input).ok()?;
                let Observation::Cutout(c) = e.input else {
                    return None;
                };
                Some((x, c.survey, c.bands[0] == "R"))
            })
            .collect();
        let images: Vec<Vec<f32>> = some.iter().map(|s| s.0.clone()).collect();
        let p = model.predict(&images);
        rows.extend(some.into_iter().zip(p.chunks_exact(2)).map(|(s, p)| Row {
            p: p[1],
            about: s.1,
            picture: s.2,
        }));
    }
    rows
}

fn share(name: &str, good: usize, n: usize) {
    let (low, high) = wilson(good, n);
    let value = 100.0 * good as f64 / n.max(1) as f64;
    println!(
        "{name}: {value:.2} % ({:.2}-{:.2}), n = {n}",
        100.0 * low,
        100.0 * high
    );
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut args = std::env::args().skip(1);
    let negatives: u64 = args.next().unwrap_or("100000".into()).parse()?;
    let lenses: u64 = args.next().unwrap_or("10000".into()).parse()?;
    let path = args.next();
    let model = registry::model(&LENS_FINDING, path.as_deref().map(Path::new))?;
    let start = Instant::now();
    let family = |rng: &mut Stream| Wanted::Other(rng.weighted(&FAMILIES.map(|f| f.1)));
    let others = answers(&model, negatives, 1, &family);
    let found = answers(&model, lenses, 2, &|_| Wanted::Lens);
    let minutes = start.elapsed().as_secs_f64() / 60.0;
    println!(
        "{} negatives and {} lenses in {minutes:.1} minutes",
        others.len(),
        found.len()
    );
    let mut sorted: Vec<f32> = others.iter().map(|r| r.p).collect();
    sorted.sort_by(|a, b| b.total_cmp(a));
    let of = |r: &Row, name: &str| r.about.iter().find(|a| a.0 == name).map_or(0.0, |a| a.1);
    let groups: [Group<'_>; 5] = [
        ("all", &|_| true),
        ("pictures", &|r| r.picture),
        ("θ_E > 1.4″, S/N > 20", &|r| of(r, "theta_e") > 1.4),
        ("contrast > 50", &|r| of(r, "arc_contrast") > 50.0),
        ("θ_E > 1.4″, contrast > 50", &|r| {
            of(r, "theta_e") > 1.4 && of(r, "arc_contrast") > 50.0
        }),
    ];
    for rate in [1e-2, 1e-3, 1e-4] {
        let k = (rate * sorted.len() as f64).floor() as usize;
        let bar = sorted.get(k).copied().unwrap_or(0.0);
        for (name, is) in groups {
            let some: Vec<&Row> = found.iter().filter(|r| is(r)).collect();
            let good = some.iter().filter(|r| r.p > bar).count();
            share(&format!("TPR at FPR {rate:.0e}, {name}"), good, some.len());
        }
        // Which families the false positives are of.
        let mut counts = [0usize; FAMILIES.len()];
        for r in others.iter().filter(|r| r.p > bar) {
            counts[of(r, "family") as usize] += 1;
        }
        for (f, n) in FAMILIES.iter().zip(counts) {
            print!("{} {n}; ", f.0);
        }
        println!("above p = {bar:.4}");
    }
    Ok(())
}
