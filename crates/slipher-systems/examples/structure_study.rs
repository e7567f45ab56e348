//! Network and fit on simulated galaxies of a survey: bias, scatter and outliers by magnitude, the score
//! of the Euclid Morphology Challenge, coverage, speed.
//! `structure_study [SURVEY] [N] [MODEL] [--plain]`; `--plain`: no neighbours, no masks.
use std::path::Path;
use std::time::Instant;

use rayon::prelude::*;
use slipher_nn::heads::posterior::{Posterior, reframe};
use slipher_sim::random::Stream;
use slipher_systems::example::Example;
use slipher_systems::registry;
use slipher_systems::structure::score::{Spread, bins, challenge};
use slipher_systems::structure::simulate::{draw, surveys};
use slipher_systems::structure::{OUTPUTS, STRUCTURE};
use slipher_systems::system::System;

/// Errors of size (relative), axis ratio and index (dex), and magnitude.
struct Row {
    magnitude: f64,
    snr: f64,
    errors: [f64; 3],
    /// Whether each parameter lies within 68 and 95 %.
    inside: Vec<[bool; 2]>,
}

fn axis_ratio(e1: f64, e2: f64) -> f64 {
    let e = e1.hypot(e2).min(0.999);
    (1.0 - e) / (1.0 + e)
}

fn row(e: &Example, values: &[f32], truth: &[f32]) -> Option<Row> {
    let d = OUTPUTS.len();
    let p = Posterior::of(values, d);
    let t = |j: usize| f64::from(truth[j]);
    let c = e.input.cutout().ok()?;
    let zero = c.survey.iter().find(|s| s.0 == "zeropoint")?.1;
    let inside = (0..d)
        .map(|j| {
            let u = p.cumulative(j, t(j));
            [(0.16..0.84).contains(&u), (0.025..0.975).contains(&u)]
        })
        .collect();
    Some(Row {
        magnitude: zero - 2.5 * t(0),
        snr: f64::from(e.depth),
        errors: [
            10f64.powf(p.mean(3) - t(3)) - 1.0,
            axis_ratio(p.mean(5), p.mean(6)) - axis_ratio(t(5), t(6)),
            p.mean(4) - t(4),
        ],
        inside,
    })
}

fn report(name: &str, rows: &[Row], all: usize) {
    println!("\n{name}: {} of {all} answered", rows.len());
    let answered = rows.len() as f64 / all as f64;
    let names = ["r_e (relative)", "q", "n (dex)"];
    for (k, name) in names.iter().enumerate() {
        let pairs: Vec<(f64, f64)> = rows.iter().map(|r| (r.magnitude, r.errors[k])).collect();
        println!("S({name}) = {:.3}", challenge(&pairs, answered));
    }
    println!("| magnitude | n | D(r_e) | D(q) | D(n) | B(r_e) | outliers r_e |");
    println!("| --- | --- | --- | --- | --- | --- | --- |");
    for w in bins().windows(2) {
        let own: Vec<&Row> = rows
            .iter()
            .filter(|r| (w[0]..w[1]).contains(&r.magnitude))
            .collect();
        if own.is_empty() {
            continue;
        }
        let of = |k: usize| Spread::of(&own.iter().map(|r| r.errors[k]).collect::<Vec<_>>());
        let (re, q, n) = (of(0), of(1), of(2));
        println!(
            "| {:.1}–{:.1} | {} | {:.3} | {:.3} | {:.3} | {:+.3} | {:.3} |",
            w[0], w[1], re.n, re.scatter, q.scatter, n.scatter, re.bias, re.outliers
        );
    }
    println!("| S/N | n | 68 % | 95 % |");
    println!("| --- | --- | --- | --- |");
    for (low, high) in [(0.0, 20.0), (20.0, 60.0), (60.0, 200.0), (200.0, 1e9)] {
        let own: Vec<&Row> = rows
            .iter()
            .filter(|r| (low..high).contains(&r.snr))
            .collect();
        let flags: Vec<[bool; 2]> = own.iter().flat_map(|r| r.inside.clone()).collect();
        let share = |k: usize| {
            100.0 * flags.iter().filter(|f| f[k]).count() as f64 / flags.len().max(1) as f64
        };
        println!(
            "| {low}–{high} | {} | {:.1} | {:.1} |",
            own.len(),
            share(0),
            share(1)
        );
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let name = args.first().map_or("euclid-vis", String::as_str);
    let n: u64 = args.get(1).map_or(Ok(3000), |s| s.parse())?;
    let survey = surveys()
        .iter()
        .find(|s| s.name == name)
        .ok_or("no such survey")?;
    let path = args.get(2).filter(|p| !p.starts_with("--"));
    let model = registry::model(&STRUCTURE, path.map(Path::new))?;
    let examples: Vec<Example> = (0..n)
        .into_par_iter()
        .map(|r| draw(Some(survey), &mut Stream::new(77, 0x57, r)))
        .collect();
    let encoded: Vec<(Example, Vec<f32>)> = examples
        .into_iter()
        .filter_map(|e| STRUCTURE.encode(&e.input).ok().map(|x| (e, x)))
        .collect();
    let images: Vec<Vec<f32>> = encoded.iter().map(|e| e.1.clone()).collect();
    let start = Instant::now();
    let answers = model.predict(&images);
    let width = model.width();
    println!(
        "network: {:.0} galaxies/s",
        images.len() as f64 / start.elapsed().as_secs_f64()
    );
    let framed: Vec<(Vec<f32>, Vec<f32>)> = encoded
        .iter()
        .zip(answers.chunks_exact(width))
        .map(|((e, _), a)| {
            let frame = STRUCTURE.frame(&e.input).unwrap_or_default();
            let (mut a, mut t) = (a.to_vec(), vec![1.0f32]);
            reframe(&mut a, &frame);
            t.extend(&e.truth);
            t.extend(vec![0.0; 28]);
            reframe(&mut t, &frame);
            (a, t[1..8].to_vec())
        })
        .collect();
    let rows: Vec<Row> = encoded
        .iter()
        .zip(&framed)
        .filter_map(|((e, _), (a, t))| row(e, a, t))
        .collect();
    report("network", &rows, n as usize);
    let start = Instant::now();
    let fitted: Vec<Option<(Row, usize)>> = encoded
        .par_iter()
        .zip(&framed)
        .map(|((e, _), (a, t))| {
            let found = STRUCTURE.refine(&e.input, a);
            let calls = found.as_ref().map_or(0, |f| f.calls);
            let values = found.map_or_else(|| a.clone(), |f| f.values);
            row(e, &values, t).map(|r| (r, calls))
        })
        .collect();
    let seconds = start.elapsed().as_secs_f64();
    let mut calls: Vec<usize> = fitted.iter().flatten().map(|f| f.1).collect();
    calls.sort_unstable();
    let failed = calls.iter().filter(|c| **c == 0).count();
    println!(
        "\nfit: {:.0} galaxies/s, {} models in the median, {failed} without a fit",
        encoded.len() as f64 / seconds,
        calls.get(calls.len() / 2).copied().unwrap_or(0)
    );
    let rows: Vec<Row> = fitted.into_iter().flatten().map(|f| f.0).collect();
    report("network and fit", &rows, n as usize);
    Ok(())
}
