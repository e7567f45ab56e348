//! The verbs for `redshift-classes`: redshift as one of 800 classes, the talk's own system.

use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;

use miette::{IntoDiagnostic, Result, WrapErr};
use rayon::prelude::*;
use slipher_data::catalogue::{CatalogueWriter, Column, Values};
use slipher_nn::checkpoint::Checkpoint;
use slipher_systems::studies::stivaktakis2018::score::metrics;
use slipher_systems::studies::stivaktakis2018::simulate::{Noise, Pool, Sample, Split};
use slipher_systems::studies::stivaktakis2018::study::LADDER;
use slipher_systems::studies::stivaktakis2018::train::{CurvePoint, Plan, RECIPE, Run, answers};

use crate::{Outcome, progress};

fn plan(recipe: Option<&Path>) -> Result<Plan> {
    let text = match recipe {
        Some(p) => std::fs::read_to_string(p)
            .into_diagnostic()
            .wrap_err_with(|| format!("--recipe {}", p.display()))?,
        None => RECIPE.to_owned(),
    };
    let mut plan = Plan::parse(&text).into_diagnostic().wrap_err_with(|| {
        recipe.map_or("the default recipe".into(), |p| p.display().to_string())
    })?;
    if let (Some(folder), Some(t)) = (recipe.and_then(Path::parent), &plan.seds.templates) {
        plan.seds.templates = Some(folder.join(t));
    }
    Ok(plan)
}

/// Writes `n` test spectra of a recipe to Parquet.
pub fn simulate(recipe: Option<&Path>, n: u64, output: &Path, quiet: bool) -> Result<Outcome> {
    let plan = plan(recipe)?;
    let pool = Pool::new(&plan.seds, plan.setting).into_diagnostic()?;
    let sample = Sample {
        split: Split::Test,
        ..plan.sample
    };
    let mut writer =
        CatalogueWriter::create(output, &[("seed", sample.seed.to_string())]).into_diagnostic()?;
    let wave: Vec<f64> = pool.edges.windows(2).map(|w| 0.5 * (w[0] + w[1])).collect();
    let bar = progress::bar(n, "spectra", quiet);
    for first in (0..n).step_by(512) {
        let rows: Vec<_> = (first..(first + 512).min(n))
            .into_par_iter()
            .map(|r| pool.draw(&sample, r))
            .collect();
        let c = |name, unit, description, values| Column {
            name,
            unit,
            ucd: "",
            description,
            values,
        };
        let ivar = |sigma: f32| {
            pool.noise_shape
                .iter()
                .map(|s| {
                    if sigma > 0.0 {
                        (sigma * s).powi(-2)
                    } else {
                        1e8
                    }
                })
                .collect()
        };
        let columns = vec![
            c(
                "wave",
                "Angstrom",
                "vacuum wavelength, middle of the bin",
                Values::F64Lists(vec![wave.clone(); rows.len()]),
            ),
            c(
                "flux",
                "",
                "flux density over its mean",
                Values::F32Lists(rows.iter().map(|e| e.flux.clone()).collect()),
            ),
            c(
                "ivar",
                "",
                "inverse variance; 1e8 if clean",
                Values::F32Lists(rows.iter().map(|e| ivar(e.sigma)).collect()),
            ),
            c(
                "z",
                "",
                "true redshift",
                Values::F64(rows.iter().map(|e| e.z).collect()),
            ),
            c(
                "class",
                "",
                "class of the redshift, 0 to 799",
                Values::I32(rows.iter().map(|e| e.class as i32).collect()),
            ),
            c(
                "sed",
                "",
                "number of the rest-frame SED",
                Values::I64(rows.iter().map(|e| e.sed as i64).collect()),
            ),
            c(
                "snr",
                "",
                "median flux over sigma, per bin",
                Values::F64(rows.iter().map(|e| e.snr).collect()),
            ),
        ];
        writer.write(columns).into_diagnostic()?;
        bar.set_position(first + rows.len() as u64);
    }
    writer.finish().into_diagnostic()?;
    bar.finish_and_clear();
    if !quiet {
        tell!("Wrote {n} spectra to {}", output.display());
    }
    Ok(Outcome::Good)
}

/// Settings of a training that the command line changes.
pub struct Changes<'a> {
    pub recipe: Option<&'a Path>,
    pub output: PathBuf,
    pub resume: bool,
    pub steps: Option<u64>,
    pub seed: Option<u64>,
}

/// Trains a network from a recipe and tests it.
pub fn train(a: &Changes, quiet: bool) -> Result<Outcome> {
    let mut plan = plan(a.recipe)?;
    plan.examples_seen = a.steps.map_or(plan.examples_seen, |s| s * plan.batch);
    plan.seed = a.seed.unwrap_or(plan.seed);
    let pool = Pool::new(&plan.seds, plan.setting).into_diagnostic()?;
    let mut run = Run::new(plan, &pool).into_diagnostic()?;
    if slipher_nn::train::Run::exists(&a.output) && !a.resume {
        return Err(miette::miette!(
            "{} holds a run: add --resume to continue it, or give another --output",
            a.output.display()
        ));
    }
    let stop = super::ctrl_c_flag();
    let bar = progress::bar(run.plan.steps(), "steps", quiet);
    let plan = run.plan.clone();
    let whole = run.go(&a.output, |p| {
        bar.set_position(p.step);
        bar.set_message(format!(
            "loss {:.3}, {:.1} % correct, {:.0} spectra/s",
            p.report.loss,
            100.0 * p.report.correct,
            (p.step * plan.batch) as f64 / p.seconds.max(1e-9)
        ));
        if let Some(v) = p.validation.filter(|_| !quiet) {
            let l = CurvePoint::of(v, &plan);
            let line = format!(
                "{} seen: training {:.3}, {:.1} % correct; validation {:.3}, {:.1} % correct, n = {}",
                l.shown,
                l.train_loss,
                100.0 * l.train_right,
                l.validation_loss,
                100.0 * l.validation_right,
                l.n
            );
            bar.suspend(|| tell!("{line}"));
        }
        !stop.load(Ordering::Relaxed)
    });
    bar.finish_and_clear();
    if !whole.into_diagnostic()? {
        tell!("Stopped; continue with --resume");
        return Ok(Outcome::SomeFailed);
    }
    table(&run, 2000);
    tell!(
        "Wrote {}",
        a.output.join("checkpoint.safetensors").display()
    );
    Ok(Outcome::Good)
}

/// Tests a trained network, the checkpoint of [`train`], on `n` spectra of unseen SEDs at each S/N.
pub fn evaluate(model: Option<&Path>, n: u64) -> Result<Outcome> {
    let path = model.ok_or_else(|| {
        miette::miette!(
            "--model expects the checkpoint of 'slipher train redshift-classes'; none is shipped"
        )
    })?;
    let c = Checkpoint::read(path).into_diagnostic()?;
    let plan = Run::plan_of(&c).into_diagnostic().wrap_err_with(|| {
        format!(
            "{}: expected a checkpoint of 'slipher train redshift-classes'",
            path.display()
        )
    })?;
    let pool = Pool::new(&plan.seds, plan.setting).into_diagnostic()?;
    let mut run = Run::new(plan, &pool).into_diagnostic()?;
    run.load(&c).into_diagnostic()?;
    table(&run, n);
    Ok(Outcome::Good)
}

fn table(run: &Run, n: u64) {
    let calibration = run.calibrate(n);
    println!("Unseen SEDs, n = {n} at each S/N; 95 % intervals\n");
    println!(
        "| S/N per bin | exact class | within 0.001 (1+z) | within 0.0033 (1+z) | NMAD | calibration error (exact, 0.0033) |\n| --- | --- | --- | --- | --- | --- |"
    );
    let noises = LADDER.map(|s| (s.to_string(), Noise::Fixed(s)));
    for (name, noise) in noises
        .into_iter()
        .chain([("clean".to_owned(), Noise::Clean)])
    {
        let sample = Sample {
            split: Split::Test,
            noise,
            ..run.plan.sample
        };
        let (a, truth) = answers(&*run.net, run.pool(), &sample, n, &calibration);
        let m = metrics(&truth, &a);
        println!(
            "| {name} | {} | {} | {} | {:.1e} | {:.1} %, {:.1} % |",
            m.exact,
            m.fine,
            m.close,
            m.nmad,
            100.0 * m.ece,
            100.0 * m.ece_close
        );
    }
}
