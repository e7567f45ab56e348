//! Light curves against published figures: type Ia against the rest of SPCC on random halves and from
//! its biased training set, PLAsTiCC's training set against its test set, real type Ia.
//! `light_curve_study DATA {spcc | biased | plasticc | classes} [STEPS]`.
use std::path::{Path, PathBuf};

use rayon::prelude::*;
use slipher_data::light_curve::LightCurve;
use slipher_data::light_curves::read;
use slipher_sim::random::Stream;
use slipher_stats::Labelled;
use slipher_stats::boosting::{Boosting, BoostingParams};
use slipher_stats::classification::auc;
use slipher_systems::example::{Example, Observation, one_hot};
use slipher_systems::light_curves::{CLASSES, LIGHT_CURVES, augment, class, features};
use slipher_systems::set::Set;
use slipher_systems::system::System;
use slipher_systems::train::{Data, Recipe, train};

fn curves(path: &Path) -> Vec<(LightCurve, usize)> {
    let mut out = vec![];
    let done = read(path, &mut |r| {
        if let Ok(c) = r.curve
            && let Some(k) = class(c.label.as_deref().unwrap_or_default())
        {
            out.push((c, k));
        }
        true
    });
    if let Err(e) = done {
        eprintln!("{}: {e}", path.display());
    }
    out
}

/// Versions of rows as training sees them.
fn versions(rows: &[&(LightCurve, usize)], n: usize, seed: u64) -> Vec<Example> {
    let each = |(i, r): (usize, &&(LightCurve, usize))| -> Vec<Example> {
        let (c, k) = &**r;
        let mut rng = Stream::new(seed, 0xA6, i as u64);
        let mut one = |v: usize| {
            let c = if v == 0 {
                c.clone()
            } else {
                augment::elsewhere(c, &mut rng)
            };
            Example {
                input: Observation::LightCurve(c),
                truth: one_hot(*k, CLASSES.len()),
                depth: 0.0,
            }
        };
        (0..n).map(&mut one).collect()
    };
    rows.par_iter().enumerate().flat_map_iter(each).collect()
}

/// AUC, accuracy at the best threshold of validation, and SPCC's figure of merit, of probabilities.
fn figures(p: &[f32], is: &[bool], threshold: f32) -> [f64; 3] {
    let right = p
        .iter()
        .zip(is)
        .filter(|(p, t)| (**p > threshold) == **t)
        .count();
    [
        auc(p, is),
        right as f64 / p.len() as f64,
        merit(p, is, threshold),
    ]
}

/// Efficiency times pseudo-purity, where a false positive weighs 3 (Kessler et al. 2010).
fn merit(p: &[f32], is: &[bool], threshold: f32) -> f64 {
    let count = |want: bool| {
        p.iter()
            .zip(is)
            .filter(|(p, t)| **p > threshold && **t == want)
            .count() as f64
    };
    let all = is.iter().filter(|t| **t).count() as f64;
    let (good, bad) = (count(true), count(false));
    good / all.max(1.0) * good / (good + 3.0 * bad).max(1e-9)
}

fn best(of: &dyn Fn(f32) -> f64) -> f32 {
    (1..100)
        .map(|k| k as f32 / 100.0)
        .map(|t| (of(t), t))
        .fold((f64::MIN, 0.5), |a, b| if b.0 > a.0 { b } else { a })
        .1
}

fn network(
    train_rows: &[&(LightCurve, usize)],
    steps: u64,
    seed: u64,
    copies: usize,
    folder: &Path,
) -> slipher_systems::model::Model {
    let part = |held: bool| -> Vec<&(LightCurve, usize)> {
        let rows = train_rows.iter().enumerate();
        rows.filter(|(i, _)| (i % 10 == 0) == held)
            .map(|r| *r.1)
            .collect()
    };
    let (valid, fit) = (part(true), part(false));
    let mut recipe = Recipe::read(LIGHT_CURVES.recipes()[0].text).expect("the shipped recipe");
    recipe.seed = seed;
    recipe.examples_seen = steps * recipe.batch as u64;
    recipe.labelled = Some(PathBuf::from("rows"));
    let data = Data {
        simulated: Set::default(),
        labelled: Set::of(&LIGHT_CURVES, versions(&fit, copies, seed), false).0,
        validation: Set::of(&LIGHT_CURVES, versions(&valid, 1, seed), false).0,
        skipped: vec![],
    };
    let _ = std::fs::remove_dir_all(folder);
    let mut watch = |_: usize, p: &slipher_nn::train::Progress<'_>| {
        if let Some(v) = p.validation {
            eprintln!(
                "step {} loss {:.4} validation {:.4}",
                p.step,
                p.report.loss,
                v.get("validation", "loss").unwrap_or(f64::NAN)
            );
        }
        true
    };
    train(&LIGHT_CURVES, &recipe, &data, folder, "study", &mut watch)
        .expect("training")
        .expect("not stopped")
}

fn trees(rows: &[&(LightCurve, usize)], copies: usize, seed: u64) -> Boosting {
    let some = versions(rows, copies, seed);
    let mut x = vec![];
    let mut labels = vec![];
    for e in &some {
        if let Observation::LightCurve(c) = &e.input {
            x.extend(features::of(c));
            labels.push(slipher_nn::heads::largest(&e.truth));
        }
    }
    let data = Labelled::new(&x, features::names().len(), &labels, CLASSES.len());
    Boosting::fit(&BoostingParams::default(), &data)
}

fn study(
    train_rows: &[&(LightCurve, usize)],
    test: &[&(LightCurve, usize)],
    steps: u64,
    seed: u64,
    copies: usize,
) -> Vec<[f64; 3]> {
    let is: Vec<bool> = test.iter().map(|r| r.1 == 0).collect();
    let (valid, _): (Vec<_>, Vec<_>) = train_rows
        .iter()
        .enumerate()
        .partition(|(i, _)| i % 10 == 0);
    let valid: Vec<&(LightCurve, usize)> = valid.into_iter().map(|v| *v.1).collect();
    let known: Vec<bool> = valid.iter().map(|r| r.1 == 0).collect();
    let folder = std::env::temp_dir().join(format!("lc-study-{seed}-{}", std::process::id()));
    let model = network(train_rows, steps, seed, copies, &folder);
    let encode = |rows: &[&(LightCurve, usize)]| -> Vec<Vec<f32>> {
        rows.iter()
            .map(|r| {
                LIGHT_CURVES
                    .encode(&Observation::LightCurve(r.0.clone()))
                    .unwrap_or_else(|_| vec![0.0; LIGHT_CURVES.geometry().encoded()])
            })
            .collect()
    };
    let ia = |p: Vec<f32>| -> Vec<f32> { p.chunks_exact(CLASSES.len()).map(|c| c[0]).collect() };
    let of_net = |rows: &[&(LightCurve, usize)]| ia(model.predict(&encode(rows)));
    let fit: Vec<&(LightCurve, usize)> = train_rows
        .iter()
        .enumerate()
        .filter(|(i, _)| i % 10 != 0)
        .map(|r| *r.1)
        .collect();
    let boost = trees(&fit, copies.min(12), seed);
    let of_trees = |rows: &[&(LightCurve, usize)]| {
        let x: Vec<f32> = rows.iter().flat_map(|r| features::of(&r.0)).collect();
        ia(boost.predict(&x))
    };
    let both = |a: &[f32], b: &[f32]| -> Vec<f32> {
        a.iter().zip(b).map(|(x, y)| 0.5 * (x + y)).collect()
    };
    let (nv, tv) = (of_net(&valid), of_trees(&valid));
    let (nt, tt) = (of_net(test), of_trees(test));
    let all = [
        (nv.clone(), nt.clone()),
        (tv.clone(), tt.clone()),
        (both(&nv, &tv), both(&nt, &tt)),
    ];
    all.iter()
        .zip(["network", "trees", "both"])
        .map(|((v, t), name)| {
            let right = |x: f32| figures(v, &known, x)[1];
            let good = |x: f32| merit(v, &known, x);
            let f = figures(t, &is, best(&right));
            let m = merit(t, &is, best(&good));
            println!(
                "seed {seed} {name}: AUC {:.4}, accuracy {:.4}, SPCC's merit {m:.3} (n = {})",
                f[0],
                f[1],
                t.len()
            );
            [f[0], f[1], m]
        })
        .collect()
}

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [data, what, rest @ ..] = args.as_slice() else {
        eprintln!(
            "usage: light_curve_study DATA {{spcc | biased | plasticc}} [STEPS] [COPIES] [SPLITS]"
        );
        return;
    };
    let number =
        |k: usize, default: u64| rest.get(k).and_then(|s| s.parse().ok()).unwrap_or(default);
    let (steps, copies, splits) = (number(0, 3000), number(1, 8) as usize, number(2, 1));
    let data = Path::new(data);
    match what.as_str() {
        "spcc" => {
            let all = curves(&data.join("spcc/spcc.parquet"));
            for seed in 1..=splits {
                let (mut a, mut b) = (vec![], vec![]);
                for (i, r) in all.iter().enumerate() {
                    let half = Stream::new(seed, 0x5B, i as u64).chance(0.5);
                    if half { a.push(r) } else { b.push(r) }
                }
                study(&a, &b, steps, seed, copies);
            }
        }
        "biased" => {
            let all = curves(&data.join("spcc/spcc.parquet"));
            let bias = biased(&data.join("spcc/spcc.parquet"));
            let (a, b): (Vec<_>, Vec<_>) = all.iter().partition(|r| bias.contains(&r.0.object_id));
            study(&a, &b, steps, 1, copies);
        }
        _ => {
            let a = curves(&data.join("plasticc/train.parquet"));
            let b = curves(&data.join("plasticc/test_part.parquet"));
            study(
                &a.iter().collect::<Vec<_>>(),
                &b.iter().collect::<Vec<_>>(),
                steps,
                1,
                copies,
            );
        }
    }
}

/// Identifiers of the challenge's spectroscopic training set.
fn biased(path: &Path) -> std::collections::HashSet<String> {
    use arrow_array::cast::AsArray;
    let mut out = std::collections::HashSet::new();
    let Ok(all) = slipher_data::hats::batches(path, 4096) else {
        return out;
    };
    for b in all.flatten() {
        let (Some(id), Some(s)) = (
            b.column_by_name("object_id"),
            b.column_by_name("spectroscopic"),
        ) else {
            continue;
        };
        let id = id.as_primitive::<arrow_array::types::Int64Type>();
        let s = s.as_boolean();
        out.extend(
            (0..b.num_rows())
                .filter(|i| s.value(*i))
                .map(|i| id.value(i).to_string()),
        );
    }
    out
}
