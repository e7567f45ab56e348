//! The verbs for systems that look at images.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use miette::{IntoDiagnostic, Result, WrapErr};
use slipher_systems::images::model::Model;
use slipher_systems::images::train::{Data, Recipe, Trainer};
use slipher_systems::images::{System, by_name, study};

use crate::{Outcome, progress};

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
            let text = std::fs::read_to_string(p).into_diagnostic().wrap_err_with(|| format!("--recipe {}", p.display()))?;
            let mut r = Recipe::parse(&text).into_diagnostic()?;
            if let (Some(folder), Some(l)) = (p.parent(), &r.labelled) {
                r.labelled = Some(folder.join(l));
            }
            r
        }
        None => study::shipped(system, c.labelled).into_diagnostic()?,
    };
    if let Some(l) = c.labelled {
        recipe.labelled = Some(l.to_owned());
    }
    recipe.shown = c.steps.map_or(recipe.shown, |s| s * recipe.batch as u64);
    recipe.seed = c.seed.unwrap_or(recipe.seed);
    if c.output.join("checkpoint.safetensors").exists() && !c.resume {
        return Err(miette::miette!("{} holds a run: add --resume to continue it, or give another --output", c.output.display()));
    }
    let stop = stopper()?;
    let Some(model) = fit(recipe, c.output, c.id, &stop, quiet)? else { return Ok(Outcome::SomeFailed) };
    let path = c.output.join("model.safetensors");
    model.write(&path).into_diagnostic()?;
    eprintln!("Wrote {}; use it with: slipher predict {} FILES… --model {}", path.display(), model.system.name(), path.display());
    Ok(Outcome::Good)
}

/// True once Ctrl-C was pressed.
pub fn stopper() -> Result<Arc<AtomicBool>> {
    let stop = Arc::new(AtomicBool::new(false));
    let flag = stop.clone();
    ctrlc::set_handler(move || flag.store(true, Ordering::Relaxed)).into_diagnostic()?;
    Ok(stop)
}

/// Trains in a folder, continuing what is there; none if it was stopped.
pub fn fit(recipe: Recipe, folder: &Path, id: &str, stop: &AtomicBool, quiet: bool) -> Result<Option<Model>> {
    let own = system(&recipe.system)?;
    let (steps, batch) = (recipe.steps(), recipe.batch as u64);
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
    let mut trainer = Trainer::new(recipe, &*own, &data).into_diagnostic()?;
    trainer.resume(folder).into_diagnostic()?;
    if trainer.step > 0 && trainer.step < steps {
        eprintln!("Resumed at step {}", trainer.step);
    }
    let bar = progress::bar(steps, "steps", quiet);
    let (start, first) = (std::time::Instant::now(), trainer.step);
    let (mut loss, mut right) = (f64::NAN, 0.0);
    let whole = trainer
        .run(folder, |r| {
            loss = if loss.is_nan() { r.loss } else { 0.98 * loss + 0.02 * r.loss };
            right = if r.step == first + 1 { r.right } else { 0.98 * right + 0.02 * r.right };
            bar.set_position(r.step);
            let rate = ((r.step - first) * batch) as f64 / start.elapsed().as_secs_f64();
            bar.set_message(format!("{id}: loss {loss:.4}, {:.1} % right, {rate:.0} images/s", 100.0 * right));
            if !quiet && bar.is_hidden() && r.step % (steps / 10).max(1) == 0 {
                eprintln!("{id}: step {} of {steps}, loss {loss:.4}, {:.1} % right, {rate:.0} images/s", r.step, 100.0 * right);
            }
            !stop.load(Ordering::Relaxed)
        })
        .into_diagnostic()?;
    bar.finish_and_clear();
    if !whole {
        eprintln!("Stopped at step {}; the same command with --resume continues", trainer.step);
        return Ok(None);
    }
    Ok(Some(trainer.export(id)))
}

/// A model file, or the one that comes with the program.
pub fn model(system: &dyn System, path: Option<&PathBuf>) -> Result<Model> {
    match path {
        Some(p) => {
            let m = Model::read(p).into_diagnostic().wrap_err_with(|| format!("--model expects a file written by 'slipher train {}'", system.name()))?;
            if m.system.name() != system.name() {
                return Err(miette::miette!("{} was trained for '{}', not for '{}'", p.display(), m.system.name(), system.name()));
            }
            Ok(m)
        }
        None => Model::from_bytes("the shipped model", super::shipped(system.name())?).into_diagnostic(),
    }
}
