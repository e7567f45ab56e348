//! The verbs for systems that look at images.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use miette::{IntoDiagnostic, Result, WrapErr};
use rayon::prelude::*;
use slipher_data::catalogue::CatalogueWriter;
use slipher_data::cutouts::{CutoutOptions, ENDINGS, write};
use slipher_data::input::expand_for;
use slipher_data::whole::write_whole;
use slipher_nn::network::Network;
use slipher_sim::random::Stream;
use slipher_systems::images::model::Model;
use slipher_systems::images::pipeline::{Answer, UNSURE, columns, flag, run};
use slipher_systems::images::score::largest;
use slipher_systems::images::set::Split;
use slipher_systems::images::train::{Data, Recipe, Trainer};
use slipher_systems::images::{System, by_name, study};

use crate::{Outcome, progress, report};

/// What the command line changes of a recipe.
pub struct Changes<'a> {
    pub recipe: Option<&'a Path>,
    pub labelled: Option<&'a Path>,
    pub output: &'a Path,
    pub resume: bool,
    pub steps: Option<u64>,
    pub seed: Option<u64>,
    pub id: &'a str,
}

/// The system of a name that clap has checked.
pub fn system(name: &str) -> Result<Box<dyn System>> {
    by_name(name).ok_or_else(|| miette::miette!("no system named {name}"))
}

/// `slipher train`.
pub fn train(system: &dyn System, c: &Changes, quiet: bool) -> Result<Outcome> {
    let mut recipe = match c.recipe {
        Some(p) => {
            let text = std::fs::read_to_string(p)
                .into_diagnostic()
                .wrap_err_with(|| format!("--recipe {}", p.display()))?;
            let mut r = Recipe::read(&text).into_diagnostic()?;
            r.labelled = match (c.labelled, p.parent(), r.labelled) {
                (Some(given), _, _) => Some(given.to_owned()),
                (None, Some(folder), Some(own)) => Some(folder.join(own)),
                (None, _, own) => own,
            };
            r.checked().into_diagnostic()?
        }
        None => study::shipped(system, c.labelled).into_diagnostic()?,
    };
    recipe.shown = c.steps.map_or(recipe.shown, |s| s * recipe.batch as u64);
    recipe.seed = c.seed.unwrap_or(recipe.seed);
    if ["", "member-0"]
        .iter()
        .any(|m| c.output.join(m).join("checkpoint.safetensors").exists())
        && !c.resume
    {
        return Err(miette::miette!(
            "{} holds a run: add --resume to continue it, or give another --output",
            c.output.display()
        ));
    }
    let stop = stopper()?;
    let Some(model) = fit(recipe, c.output, c.id, &stop, quiet)? else {
        return Ok(Outcome::SomeFailed);
    };
    let path = c.output.join("model.safetensors");
    model.write(&path).into_diagnostic()?;
    eprintln!(
        "Wrote {}; use it with: slipher predict {} FILES… --model {}",
        path.display(),
        model.system.name(),
        path.display()
    );
    Ok(Outcome::Good)
}

/// True once Ctrl-C was pressed.
pub fn stopper() -> Result<Arc<AtomicBool>> {
    let stop = Arc::new(AtomicBool::new(false));
    let flag = stop.clone();
    ctrlc::set_handler(move || flag.store(true, Ordering::Relaxed)).into_diagnostic()?;
    Ok(stop)
}

/// Trains in a folder, continuing what is there; none if it was stopped. Members of an ensemble have folders of their own.
pub fn fit(
    recipe: Recipe,
    folder: &Path,
    id: &str,
    stop: &AtomicBool,
    quiet: bool,
) -> Result<Option<Model>> {
    let own = system(&recipe.system)?;
    if !quiet {
        eprintln!("{id}: simulating {} examples", recipe.simulated);
    }
    let data = Data::new(&recipe, &*own).into_diagnostic()?;
    for why in data.skipped.iter().take(5) {
        eprintln!("left out: {why}");
    }
    if data.skipped.len() > 5 {
        eprintln!("left out: {} more", data.skipped.len() - 5);
    }
    let mut nets = Vec::new();
    for k in 0..recipe.members {
        let (place, name) = if recipe.members == 1 {
            (folder.to_owned(), id.to_owned())
        } else {
            (folder.join(format!("member-{k}")), format!("{id} {k}"))
        };
        let Some(net) = one(recipe.member(k), &*own, &data, &place, &name, stop, quiet)? else {
            return Ok(None);
        };
        nets.push(net);
    }
    let model = Model::fit(
        &*own,
        &recipe.architecture(&*own),
        nets,
        &recipe,
        id,
        &data.validation,
    );
    if own.is_classifier() && !quiet && data.validation.rows() > 0 {
        let p = model.predict(&data.validation.images);
        let right = slipher_systems::images::score::accuracy(
            &p,
            &data.validation.truth,
            own.outputs().len(),
        );
        eprintln!(
            "{id}: {:.2} % of {} validation rows right",
            100.0 * right,
            data.validation.rows()
        );
    }
    Ok(Some(model))
}

/// Trains one network.
fn one(
    recipe: Recipe,
    own: &dyn System,
    data: &Data,
    folder: &Path,
    id: &str,
    stop: &AtomicBool,
    quiet: bool,
) -> Result<Option<Network>> {
    let (steps, batch) = (recipe.steps(), recipe.batch as u64);
    let mut trainer = Trainer::new(recipe, own, data).into_diagnostic()?;
    trainer.resume(folder).into_diagnostic()?;
    if trainer.step > 0 && trainer.step < steps {
        eprintln!("Resumed at step {}", trainer.step);
    }
    let bar = progress::bar(steps, "steps", quiet);
    let (start, first) = (std::time::Instant::now(), trainer.step);
    let (mut loss, mut right) = (f64::NAN, 0.0);
    let whole = trainer
        .run(folder, |r| {
            loss = if loss.is_nan() {
                r.loss
            } else {
                0.98 * loss + 0.02 * r.loss
            };
            right = if r.step == first + 1 {
                r.right
            } else {
                0.98 * right + 0.02 * r.right
            };
            bar.set_position(r.step);
            let rate = ((r.step - first) * batch) as f64 / start.elapsed().as_secs_f64();
            bar.set_message(format!(
                "{id}: loss {loss:.4}, {:.1} % right, {rate:.0} images/s",
                100.0 * right
            ));
            if !quiet && bar.is_hidden() && r.step % (steps / 10).max(1) == 0 {
                eprintln!(
                    "{id}: step {} of {steps}, loss {loss:.4}, {:.1} % right, {rate:.0} images/s",
                    r.step,
                    100.0 * right
                );
            }
            !stop.load(Ordering::Relaxed)
        })
        .into_diagnostic()?;
    bar.finish_and_clear();
    if !whole {
        eprintln!(
            "Stopped at step {}; the same command with --resume continues",
            trainer.step
        );
        return Ok(None);
    }
    Ok(Some(trainer.net))
}

/// A model file, or the one that comes with the program.
pub fn model(system: &dyn System, path: Option<&PathBuf>) -> Result<Model> {
    match path {
        Some(p) => {
            let m = Model::read(p).into_diagnostic().wrap_err_with(|| {
                format!(
                    "--model expects a file written by 'slipher train {}'",
                    system.name()
                )
            })?;
            if m.system.name() != system.name() {
                return Err(miette::miette!(
                    "{} was trained for '{}', not for '{}'",
                    p.display(),
                    m.system.name(),
                    system.name()
                ));
            }
            Ok(m)
        }
        None => {
            Model::from_bytes("the shipped model", super::shipped(system.name())?).into_diagnostic()
        }
    }
}

/// `slipher simulate`: examples of the simulated sky to Parquet; with `fits` their cutouts to FITS.
pub fn simulate(
    system: &dyn System,
    n: u64,
    seed: u64,
    output: &Path,
    quiet: bool,
) -> Result<Outcome> {
    let rows: Vec<_> = (0..n)
        .into_par_iter()
        .map(|row| {
            let mut e = system.simulate(&mut Stream::new(seed, Split::Test.purpose(), row));
            e.cutout.object_id = format!("{}-{row}", system.name());
            (e.cutout, e.truth, e.depth)
        })
        .collect();
    if output.extension().is_some_and(|e| e == "fits") {
        let cutouts: Vec<_> = rows.into_iter().map(|r| r.0).collect();
        write_whole(output, write::fits(&cutouts)).into_diagnostic()?;
    } else {
        write::parquet(output, &rows, system.outputs(), system.depth().0)
            .map_err(|e| miette::miette!("{}: {e}", output.display()))?;
    }
    if !quiet {
        eprintln!("Wrote {n} images to {}", output.display());
    }
    Ok(Outcome::Good)
}

/// What `predict` and `report` share.
#[derive(clap::Args)]
pub struct PredictArgs {
    /// Files, folders, patterns, or @FILE with one path a line: FITS, .npy, PNG, JPEG, Avro alerts, Parquet, zip
    #[arg(required = true)]
    pub files: Vec<String>,
    /// Model file; default: the one that comes with the program
    #[arg(short, long)]
    pub model: Option<PathBuf>,
    /// Names of the bands, in the order of the planes, where files do not name them
    #[arg(long, value_delimiter = ',')]
    pub bands: Vec<String>,
}

/// Images that a page may show.
const KEPT: usize = 20_000;

/// Answers files; rows go to a catalogue, a page, or the terminal.
pub fn predict(
    system: &dyn System,
    a: &PredictArgs,
    output: Option<&Path>,
    page: Option<&Path>,
    quiet: bool,
) -> Result<Outcome> {
    let model = model(system, a.model.as_ref())?;
    let mut files = expand_for(&a.files, &ENDINGS).into_diagnostic()?;
    let own: Vec<PathBuf> = [output, page]
        .into_iter()
        .flatten()
        .filter_map(|p| p.canonicalize().ok())
        .collect();
    files.retain(|f| f.canonicalize().map_or(true, |f| !own.contains(&f)));
    if files.is_empty() {
        eprintln!(
            "slipher: no files to read (folders are searched for .{})",
            ENDINGS.join(", .")
        );
        return Ok(Outcome::Nothing);
    }
    let keys = [
        ("model", model.id.clone()),
        ("sha256", model.sha256.clone()),
        ("version", env!("CARGO_PKG_VERSION").to_owned()),
    ];
    let mut writer = output
        .map(|p| CatalogueWriter::create(p, &keys))
        .transpose()
        .into_diagnostic()?;
    let bar = progress::bar(files.len() as u64, "files", quiet);
    let start = std::time::Instant::now();
    let mut kept: Vec<Answer> = Vec::new();
    let mut counts = vec![0usize; system.outputs().len()];
    let mut unsure = 0;
    let options = CutoutOptions {
        bands: a.bands.clone(),
    };
    let tally = run(
        &model,
        &files,
        &options,
        page.is_some(),
        |rows, done| -> Result<()> {
            bar.set_position(done as u64);
            for r in &rows {
                if r.error.is_empty() {
                    counts[largest(&r.values)] += 1;
                    unsure += usize::from(r.flags & flag::UNSURE != 0);
                } else {
                    bar.suspend(|| eprintln!("slipher: {}, row {}: {}", r.source, r.row, r.error));
                }
            }
            match &mut writer {
                Some(w) => w.write(columns(&model, &rows)).into_diagnostic()?,
                None if page.is_none() => print(&model, &rows),
                None => {}
            }
            if page.is_some() && kept.len() < KEPT {
                kept.extend(rows);
            }
            Ok(())
        },
    )?;
    bar.finish_and_clear();
    if let Some(w) = writer {
        w.finish().into_diagnostic()?;
    }
    if let Some(p) = page {
        write_whole(p, report::images::answered(&model, &kept)).into_diagnostic()?;
    }
    if !quiet {
        let seconds = start.elapsed().as_secs_f64();
        let good = tally.rows - tally.failed;
        let classes: Vec<String> = system
            .outputs()
            .iter()
            .zip(&counts)
            .map(|(n, c)| format!("{c} {n}"))
            .collect();
        let classes = if system.is_classifier() {
            format!(": {}", classes.join(", "))
        } else {
            String::new()
        };
        eprintln!(
            "{good} image(s) in {} file(s), {seconds:.1} s ({:.0} a second){classes}.",
            files.len(),
            good as f64 / seconds.max(1e-9)
        );
        if unsure > 0 {
            eprintln!("{unsure} answers are less likely than {UNSURE} (flags, bit 2).");
        }
        if tally.failed > 0 {
            eprintln!(
                "{} of {} rows without an answer: see the column error.",
                tally.failed, tally.rows
            );
        }
        [output, page]
            .into_iter()
            .flatten()
            .for_each(|p| eprintln!("Wrote {}", p.display()));
    }
    Ok(match tally {
        t if t.rows == t.failed => Outcome::Nothing,
        t if t.failed == 0 => Outcome::Good,
        _ => Outcome::SomeFailed,
    })
}

/// A line a row.
fn print(model: &Model, rows: &[Answer]) {
    let names = model.system.outputs();
    let mut out = std::io::stdout().lock();
    for r in rows {
        let name = if r.object_id.is_empty() {
            &r.source
        } else {
            &r.object_id
        };
        let text = match (r.error.is_empty(), model.system.is_classifier()) {
            (false, _) => "no answer".to_owned(),
            (true, true) => {
                let own: Vec<String> = names
                    .iter()
                    .zip(&r.values)
                    .map(|(n, v)| format!("{n} {v:.4}"))
                    .collect();
                let survey: Vec<String> = r
                    .survey
                    .iter()
                    .filter(|s| {
                        ["drb", "rb", "braai", "reliability", "magpsf"].contains(&s.0.as_str())
                    })
                    .map(|s| format!("{} {:.3}", s.0, s.1))
                    .collect();
                format!(
                    "{:<8} {}{}{}",
                    names[largest(&r.values)],
                    own.join("  "),
                    if survey.is_empty() {
                        ""
                    } else {
                        "  | survey: "
                    },
                    survey.join(", ")
                )
            }
            (true, false) => {
                let best = |q: std::ops::Range<usize>| {
                    let k = q.start + largest(&r.values[q]);
                    format!("{} {:.2}", names[k], r.values[k])
                };
                model
                    .system
                    .questions()
                    .into_iter()
                    .map(best)
                    .collect::<Vec<_>>()
                    .join("  ")
            }
        };
        if writeln!(out, "{name:<32} {text}").is_err() {
            return;
        }
    }
}
