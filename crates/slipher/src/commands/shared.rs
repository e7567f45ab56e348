//! The verbs for systems of the shared engine.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use miette::{IntoDiagnostic, Result, WrapErr};
use rayon::prelude::*;
use slipher_data::atomic::atomic_write;
use slipher_data::catalogue::CatalogueWriter;
use slipher_data::cutouts::write;
use slipher_data::field::Field;
use slipher_data::formats::printable;
use slipher_data::input::expand_for;
use slipher_data::sources::{self, Source};
use slipher_nn::checkpoint::remove_leftovers;
use slipher_nn::heads::posterior::Posterior;
use slipher_nn::heads::{Kind, largest};
use slipher_nn::train::Progress;
use slipher_sim::random::Stream;
use slipher_systems::answers::{Answer, Answerer, UNSURE, flag};
use slipher_systems::example::{Input, Observation, Sky};
use slipher_systems::model::Model;
use slipher_systems::predict::{Options, Predict};
use slipher_systems::registry;
use slipher_systems::set::Split;
use slipher_systems::study;
use slipher_systems::system::System;
use slipher_systems::train::{self, Data, Recipe};

use super::parts::{ShardJob, keys, wants_folder};
use super::{Overwrite, counted};
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

/// `slipher train`.
pub fn train(system: &'static dyn System, c: &Changes, quiet: bool) -> Result<Outcome> {
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
            r.checked(system).into_diagnostic()?
        }
        None => study::shipped(system, c.labelled).into_diagnostic()?,
    };
    recipe.examples_seen = c
        .steps
        .map_or(recipe.examples_seen, |s| s * recipe.batch as u64);
    recipe.seed = c.seed.unwrap_or(recipe.seed);
    if train::is_begun(c.output) && !c.resume {
        return Err(miette::miette!(
            "{} holds a run: add --resume to continue it, or give another --output",
            c.output.display()
        ));
    }
    let stop = super::ctrl_c_flag();
    let Some(model) = fit(system, &recipe, c.output, c.id, &stop, quiet)? else {
        return Ok(Outcome::SomeFailed);
    };
    let path = c.output.join("model.safetensors");
    remove_leftovers(c.output);
    model.write(&path).into_diagnostic()?;
    tell!(
        "Wrote {0}; use it with: slipher predict {1} FILES… --model {0}",
        path.display(),
        system.name()
    );
    Ok(Outcome::Good)
}

/// Trains in a folder, continuing what is there; none if it was stopped.
pub fn fit(
    system: &'static dyn System,
    recipe: &Recipe,
    folder: &Path,
    id: &str,
    stop: &AtomicBool,
    quiet: bool,
) -> Result<Option<Model>> {
    if !quiet {
        tell!("{id}: simulating {} examples", recipe.simulated);
    }
    let data = Data::new(recipe, system).into_diagnostic()?;
    for why in data.skipped.iter().take(5) {
        tell!("left out: {why}");
    }
    if data.skipped.len() > 5 {
        tell!("left out: {} more", data.skipped.len() - 5);
    }
    let bar = progress::bar(recipe.steps(), "steps", quiet);
    let (mut smooth, mut first, mut of) = (Smooth::default(), (0, 0.0), usize::MAX);
    let mut watch = |k: usize, p: &Progress<'_>| {
        if of != k {
            (of, smooth, first) = (k, Smooth::default(), (p.step - 1, p.seconds));
            if p.step > 1 {
                tell!("Resumed at step {}", p.step - 1);
            }
        }
        smooth.add(p.report.loss, p.report.correct);
        bar.set_position(p.step);
        let seconds = (p.seconds - first.1).max(1e-9);
        let rate = ((p.step - first.0) * recipe.batch as u64) as f64 / seconds;
        let name = if recipe.members == 1 {
            id.to_owned()
        } else {
            format!("{id} {k}")
        };
        bar.set_message(format!("{name}: {}, {rate:.0} examples/s", smooth.text()));
        let ten = p.step.is_multiple_of((p.steps / 10).max(1));
        if !quiet && (p.validation.is_some() || (bar.is_hidden() && ten)) {
            let held_out = p.validation.map_or(String::new(), |v| {
                format!(
                    "; validation {:.4}",
                    v.get("validation", "loss").unwrap_or(f64::NAN)
                )
            });
            let (step, steps, text) = (p.step, p.steps, smooth.text());
            bar.suspend(|| tell!("{name}: step {step} of {steps}, {text}{held_out}"));
        }
        !stop.load(Ordering::Relaxed)
    };
    let model = train::train(system, recipe, &data, folder, id, &mut watch).into_diagnostic()?;
    bar.finish_and_clear();
    let Some(model) = model else {
        tell!("Stopped; the same command with --resume continues");
        return Ok(None);
    };
    if model.head.kind() == Kind::Classes && !quiet && data.validation.rows() > 0 {
        let p = model.predict(&data.validation.images);
        let (truth, n) = (&data.validation.truth, system.outputs().len());
        let right = slipher_stats::classification::accuracy(&p, truth, n);
        tell!(
            "{id}: {:.2} % of {} validation rows correct",
            100.0 * right,
            data.validation.rows()
        );
    }
    Ok(Some(model))
}

/// Running means of what steps report.
#[derive(Default)]
pub struct Smooth(Option<(f64, f64)>);

impl Smooth {
    /// Takes a step's loss and share correct.
    pub fn add(&mut self, loss: f64, correct: f64) {
        let (l, c) = self.0.unwrap_or((loss, correct));
        self.0 = Some((0.98 * l + 0.02 * loss, 0.98 * c + 0.02 * correct));
    }

    /// For the progress bar.
    pub fn text(&self) -> String {
        match self.0 {
            Some((l, c)) if c.is_finite() => format!("loss {l:.4}, {:.1} % correct", 100.0 * c),
            Some((l, _)) => format!("loss {l:.4}"),
            None => String::new(),
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
    let draw = |row| {
        let mut rng = Stream::new(seed, Split::Test.purpose(), row);
        let e = system.simulate(Sky::Own, &mut rng)?;
        let Observation::Cutout(mut c) = e.input else {
            return None;
        };
        c.object_id = format!("{}-{row}", system.name());
        Some((c, e.truth, e.depth))
    };
    let rows: Vec<_> = (0..n).into_par_iter().filter_map(draw).collect();
    if rows.is_empty() {
        return Err(miette::miette!(
            "{} has no simulated images to write",
            system.name()
        ));
    }
    if output.extension().is_some_and(|e| e == "fits") {
        let cutouts: Vec<_> = rows.into_iter().map(|r| r.0).collect();
        atomic_write(output, write::fits(&cutouts)).into_diagnostic()?;
    } else {
        write::parquet(output, &rows, system.outputs(), system.depth().0)
            .map_err(|e| miette::miette!("{}: {e}", output.display()))?;
    }
    if !quiet {
        tell!("Wrote {n} images to {}", output.display());
    }
    Ok(Outcome::Good)
}

/// What `predict` and `report` share.
#[derive(clap::Args)]
pub struct PredictArgs {
    /// Files, folders, patterns, or @FILE with one path a line: FITS, .npy, PNG, JPEG, Avro alerts,
    /// Parquet, zip; or a HATS catalogue
    #[arg(required_unless_present = "image")]
    pub files: Vec<String>,
    /// Large FITS images, with commas, a band each (or cubes of bands): stamps are cut out of them
    /// around the sources of --catalogue by their world coordinates (TAN, TAN-SIP)
    #[arg(long, value_name = "FITS", value_delimiter = ',', requires = "catalogue",
          conflicts_with_all = ["files", "shard", "resume"])]
    pub image: Vec<PathBuf>,
    /// CSV, FITS or Parquet table of sources: id, and ra and dec in degrees or x and y in pixels
    /// from 1
    #[arg(long, value_name = "TABLE", requires = "image")]
    pub catalogue: Option<PathBuf>,
    /// Model file; default: the one that comes with the program
    #[arg(short, long)]
    pub model: Option<PathBuf>,
    /// Names of the bands, in the order of the planes, where files do not name them
    #[arg(long)]
    pub bands: Option<String>,
    /// Arithmetic of the network: f32 or bf16, where the processor has avx512_bf16
    #[arg(long)]
    pub precision: Option<String>,
    /// Write the embedding of each row (for slipher find-similar and slipher unusual)
    #[arg(long)]
    pub embedding: bool,
    /// Of systems with a fit: least squares from the network's answer (structure, lens-model)
    #[arg(long)]
    pub polish: bool,
    /// Point-spread function for images that bring none (HDU named PSF): a FITS image on the same
    /// pixels
    #[arg(long, value_name = "FITS")]
    pub psf: Option<PathBuf>,
    /// Whether point-spread functions are stars as the detector sees them (effective; the default)
    /// or lack the pixel (optical)
    #[arg(long, value_name = "KIND")]
    pub psf_kind: Option<String>,
    /// AB magnitude of one unit of flux, for images that do not say it
    #[arg(long, value_name = "MAG")]
    pub zeropoint: Option<f64>,
    /// Only part I of N of the files (1-based), for job arrays
    #[arg(long, value_name = "I/N")]
    pub shard: Option<String>,
    /// Of a folder of parts, make those that are missing
    #[arg(long)]
    pub resume: bool,
}

/// Images that a page may show.
const KEPT: usize = 20_000;

/// Answers files; rows go to a catalogue or a folder of parts, a page, or the terminal.
pub fn predict(
    system: &'static dyn System,
    a: &PredictArgs,
    output: Option<&Path>,
    page: Option<&Path>,
    overwrite: &Overwrite,
    json: bool,
    quiet: bool,
) -> Result<Outcome> {
    let outputs: Vec<&Path> = [output, page].into_iter().flatten().collect();
    overwrite.check(&outputs)?;
    let options = Options::default()
        .with_some("bands", a.bands.as_deref())
        .with_some("precision", a.precision.as_deref())
        .with_some("embedding", a.embedding.then_some("true"))
        .with_some("polish", a.polish.then_some("true"))
        .with_some("psf", a.psf.as_ref().map(|p| p.display().to_string()))
        .with_some("psf_kind", a.psf_kind.as_deref())
        .with_some("zeropoint", a.zeropoint);
    let named = a.model.as_ref().map(|p| p.display().to_string());
    let bytes = match &a.model {
        Some(p) => std::fs::read(p)
            .into_diagnostic()
            .wrap_err_with(|| format!("--model {}", p.display()))?,
        None => registry::weights(system.name()).into_diagnostic()?.to_vec(),
    };
    let name = named.as_deref().unwrap_or("the shipped model");
    let answerer = Answerer::open(system, name, &bytes, options)
        .into_diagnostic()
        .wrap_err_with(|| {
            format!(
                "--model expects a file written by 'slipher train {}'",
                system.name()
            )
        })?;
    let shard = super::parse_shard(a.shard.as_deref())?;
    let folder = output.filter(|p| wants_folder(p));
    if let Some(catalogue) = &a.catalogue {
        if folder.is_some() || system.input() != Input::Cutout {
            return Err(miette::miette!(
                "--image cuts stamps for a system of images, into one catalogue: -o NAME.parquet, \
                 .fits or .csv"
            ));
        }
        super::distinct(&outputs)?;
        let inputs: Vec<String> = [catalogue]
            .into_iter()
            .chain(&a.image)
            .map(|p| p.display().to_string())
            .collect();
        super::refuse_output_among_inputs(&inputs, shard, &outputs)?;
        let names: Vec<String> = a
            .bands
            .iter()
            .flat_map(|b| b.split(','))
            .map(str::to_owned)
            .collect();
        let field = Field::open(&a.image, &names).map_err(|e| miette::miette!("--image {e}"))?;
        let sources = sources::read(catalogue)
            .map_err(|e| miette::miette!("--catalogue {}: {e}", catalogue.display()))?;
        let from = From::Field(&field, &sources);
        return run(&answerer, &from, &Written { output, page, json }, quiet);
    }
    if let Some(folder) = folder {
        if page.is_some() {
            return Err(miette::miette!(
                "{}: a folder of parts has no --report",
                folder.display()
            ));
        }
        overwrite.refuse_for_parts()?;
        let job = ShardJob {
            folder,
            model: &answerer,
            shard,
            resume: a.resume,
            json,
            quiet,
        };
        return job.run(&a.files);
    }
    if a.resume {
        return Err(miette::miette!(
            "--resume works on a folder of parts: give --output a name without ending"
        ));
    }
    let files = expand_for(&a.files, answerer.endings()).into_diagnostic()?;
    super::distinct(&outputs)?;
    super::refuse_output_among_inputs(&a.files, shard, &outputs)?;
    let files = super::own_files(files, shard, &outputs);
    let is_picture = |p: &&Path| p.extension().is_some_and(|e| e == "fits" || e == "fit");
    if let (Kind::Pixels, Some(out)) = (answerer.model.head.kind(), output.filter(is_picture)) {
        if page.is_some() || json {
            return Err(miette::miette!(
                "{}: one restored image has no --report and no --json; -o NAME.parquet has",
                out.display()
            ));
        }
        return super::restored::whole(&answerer, &files, out, quiet);
    }
    if files.is_empty() {
        tell!(
            "slipher: no files to read (folders are searched for .{})",
            answerer.endings().join(", .")
        );
        return Ok(Outcome::Nothing);
    }
    run(
        &answerer,
        &From::Files(&files),
        &Written { output, page, json },
        quiet,
    )
}

/// What a run counts.
struct Counts {
    classes: Vec<usize>,
    unsure: usize,
}

/// What a run writes.
struct Written<'a> {
    output: Option<&'a Path>,
    page: Option<&'a Path>,
    json: bool,
}

/// What a run answers.
enum From<'a> {
    Files(&'a [PathBuf]),
    Field(&'a Field, &'a [Source]),
}

impl From<'_> {
    /// How many, of what.
    fn count(&self) -> (usize, &'static str) {
        match self {
            From::Files(files) => (files.len(), "file"),
            From::Field(_, sources) => (sources.len(), "source"),
        }
    }
}

fn run(answerer: &Answerer, from: &From<'_>, to: &Written, quiet: bool) -> Result<Outcome> {
    let Written { output, page, json } = *to;
    let (model, mut keys) = (&answerer.model, keys(answerer));
    keys.extend(super::made());
    keys.extend(answerer.keys());
    let mut writer = output
        .map(|p| CatalogueWriter::create(p, &keys))
        .transpose()
        .into_diagnostic()?;
    let (count, unit) = from.count();
    let bar = progress::bar(count as u64, unit, quiet);
    let start = std::time::Instant::now();
    let mut kept: Vec<Answer> = Vec::new();
    let is_classifier = model.head.kind() == Kind::Classes;
    let mut counts = Counts {
        classes: vec![0; model.system.outputs().len()],
        unsure: 0,
    };
    let each = |rows: Vec<Answer>, done: usize| -> Result<bool> {
        bar.set_position(done as u64);
        for r in &rows {
            if !r.error.is_empty() {
                bar.suspend(|| {
                    let (source, why) = (printable(&r.source), printable(&r.error));
                    tell!("slipher: {source}, row {}: {why}", r.row);
                });
            } else if is_classifier {
                counts.classes[largest(&r.values)] += 1;
                counts.unsure += usize::from(r.flags & flag::UNSURE != 0);
            }
        }
        let mut go_on = true;
        match &mut writer {
            Some(w) => w.write(answerer.columns(&rows)).into_diagnostic()?,
            None if page.is_none() => go_on = print(model, &rows)?,
            None => {}
        }
        if page.is_some() && kept.len() < KEPT {
            kept.extend(rows);
        }
        Ok(go_on)
    };
    let tally = match from {
        From::Files(files) => answerer.run(files, page.is_some(), each)?,
        From::Field(field, sources) => answerer.run_field(field, sources, page.is_some(), each)?,
    };
    bar.finish_and_clear();
    if let Some(w) = writer {
        w.finish().into_diagnostic()?;
    }
    if let Some(p) = page {
        atomic_write(p, report::shared::answered(model, &kept)).into_diagnostic()?;
    }
    let seconds = start.elapsed().as_secs_f64();
    let good = tally.rows - tally.failed;
    let names = model.system.outputs().iter().zip(&counts.classes);
    if json {
        let classes: BTreeMap<&str, usize> = names.map(|(n, c)| (*n, *c)).collect();
        let outputs: Vec<_> = [output, page].into_iter().flatten().collect();
        let about: BTreeMap<_, _> = keys.iter().cloned().collect();
        super::print_json(&serde_json::json!({
            (format!("{unit}s")): count,
            "rows": tally.rows,
            "failed": tally.failed,
            "unsure": counts.unsure,
            "classes": is_classifier.then_some(classes),
            "seconds": seconds,
            "outputs": outputs,
            "about": about,
        }))?;
    } else if !quiet {
        let classes: Vec<String> = names.map(|(n, c)| format!("{c} {n}")).collect();
        let classes = if is_classifier {
            format!(": {}", classes.join(", "))
        } else {
            String::new()
        };
        tell!(
            "{} in {}, {seconds:.1} s ({:.0} a second){classes}.",
            counted(good, "row"),
            counted(count, unit),
            good as f64 / seconds.max(1e-9)
        );
        if counts.unsure > 0 {
            tell!(
                "{} answers are less likely than {UNSURE} (flags, bit 2).",
                counts.unsure
            );
        }
        if tally.failed > 0 {
            tell!(
                "{} of {} rows without an answer: see the column error.",
                tally.failed,
                tally.rows
            );
        }
        [output, page]
            .into_iter()
            .flatten()
            .for_each(|p| tell!("Wrote {}", p.display()));
    }
    Ok(match tally {
        t if t.rows == t.failed => Outcome::Nothing,
        t if t.failed == 0 => Outcome::Good,
        _ => Outcome::SomeFailed,
    })
}

/// A line a row; false when nobody reads any more (`| head`).
fn print(model: &Model, rows: &[Answer]) -> Result<bool> {
    let mut out = std::io::stdout().lock();
    for r in rows {
        let name = if r.object_id.is_empty() {
            &r.source
        } else {
            &r.object_id
        };
        let text = if r.error.is_empty() {
            line(model, r)
        } else {
            "no answer".into()
        };
        if !super::line_written(writeln!(out, "{name:<32} {text}"))? {
            return Ok(false);
        }
    }
    super::line_written(out.flush())
}

fn line(model: &Model, r: &Answer) -> String {
    let names = model.system.outputs();
    let best = |q: std::ops::Range<usize>| {
        let k = q.start + largest(&r.values[q]);
        format!("{} {:.2}", names[k], r.values[k])
    };
    match model.head.kind() {
        Kind::Classes => {
            let own: Vec<String> = names
                .iter()
                .zip(&r.values)
                .map(|(n, v)| format!("{n} {v:.4}"))
                .collect();
            let extra = model.system.extra_columns(&[r.input.as_ref()]);
            let extra: Vec<String> = extra
                .iter()
                .filter_map(|c| c.number(0).map(|v| format!("{} {v:.3}", c.name)))
                .collect();
            let bar = if extra.is_empty() { "" } else { "  | " };
            format!(
                "{:<8} {}{bar}{}",
                names[largest(&r.values)],
                own.join("  "),
                extra.join(", ")
            )
        }
        Kind::Shares => {
            let questions = model.system.tree().map_or(vec![], |t| t.questions);
            questions
                .into_iter()
                .map(best)
                .collect::<Vec<_>>()
                .join("  ")
        }
        Kind::Posterior => {
            let p = Posterior::of(&r.values, names.len());
            let one = |(j, n): (usize, &&str)| format!("{n} {:.4} ± {:.4}", p.mean(j), p.sigma(j));
            names
                .iter()
                .enumerate()
                .map(one)
                .collect::<Vec<_>>()
                .join("  ")
        }
        Kind::Pixels => format!("{} pixels", r.values.len()),
    }
}
