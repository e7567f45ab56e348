//! `slipher train redshift`: a recipe to a model.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use clap::Args as ClapArgs;
use miette::{IntoDiagnostic, Result, WrapErr};
use slipher_systems::redshift::train::{Recipe, Trainer};

use crate::{Outcome, System, progress};

/// The recipe of the shipped model, without the template folder (which needs files).
const DEFAULT: &str = include_str!("../../../../recipes/redshift.toml");

#[derive(ClapArgs)]
pub struct Args {
    system: System,
    /// Recipe (TOML); default: the shipped model's, with built-in SEDs only
    #[arg(short, long)]
    recipe: Option<PathBuf>,
    /// Folder for checkpoint, log and model
    #[arg(short, long, default_value = "training")]
    output: PathBuf,
    /// Continue from the checkpoint in the folder, bit for bit
    #[arg(long)]
    resume: bool,
    /// Steps instead of the recipe's
    #[arg(long)]
    steps: Option<u64>,
    /// Seed instead of the recipe's
    #[arg(long)]
    seed: Option<u64>,
    /// Name of the model; default: the system's
    #[arg(long)]
    id: Option<String>,
    /// For images: folder or archive of labelled examples, with a folder for each class (morphology: the Kaggle contest's files)
    #[arg(long, value_name = "PATH")]
    labelled: Option<PathBuf>,
}

pub fn run(a: &Args, quiet: bool) -> Result<Outcome> {
    if let System::RedshiftClasses = a.system {
        let changes = super::classes::Changes {
            recipe: a.recipe.as_deref(),
            output: a.output.clone(),
            resume: a.resume,
            steps: a.steps,
            seed: a.seed,
        };
        return super::classes::train(&changes, quiet);
    }
    if let Some(system) = a.system.images() {
        let changes = super::images::Changes {
            recipe: a.recipe.as_deref(),
            labelled: a.labelled.as_deref(),
            output: &a.output,
            resume: a.resume,
            steps: a.steps,
            seed: a.seed,
            id: a.id.as_deref().unwrap_or(system.name()),
        };
        return super::images::train(&*system, &changes, quiet);
    }
    let mut recipe = match &a.recipe {
        Some(p) => Recipe::parse(
            &std::fs::read_to_string(p)
                .into_diagnostic()
                .wrap_err_with(|| format!("--recipe {}", p.display()))?,
        )
        .into_diagnostic()?,
        None => {
            let mut r = Recipe::parse(DEFAULT).into_diagnostic()?;
            r.simulation.templates.clear();
            r
        }
    };
    if let Some(folder) = a.recipe.as_ref().and_then(|p| p.parent()) {
        // Folders and instrument files are named from the recipe's own folder.
        recipe
            .simulation
            .templates
            .iter_mut()
            .for_each(|t| *t = folder.join(&t));
        for (name, _) in &mut recipe.simulation.instruments {
            let path = folder.join(&*name);
            if name.ends_with(".toml") && path.exists() {
                *name = path.display().to_string();
            }
        }
    }
    recipe.training.steps = a.steps.unwrap_or(recipe.training.steps);
    recipe.training.seed = a.seed.unwrap_or(recipe.training.seed);
    let (steps, batch) = (recipe.training.steps, recipe.training.batch);
    let mut trainer = Trainer::new(recipe).into_diagnostic()?;
    for (file, why) in &trainer.simulator.skipped {
        eprintln!("not a template: {file}: {why}");
    }
    let checkpoint = a.output.join("checkpoint.safetensors");
    if checkpoint.exists() && !a.resume {
        return Err(miette::miette!(
            "{} holds a run: add --resume to continue it, or give another --output",
            a.output.display()
        ));
    }
    if a.resume && checkpoint.exists() {
        trainer.resume(&checkpoint).into_diagnostic()?;
        eprintln!("Resumed at step {}", trainer.step);
    }
    let stop = Arc::new(AtomicBool::new(false));
    let flag = stop.clone();
    ctrlc::set_handler(move || flag.store(true, Ordering::Relaxed)).into_diagnostic()?;
    let bar = progress::bar(steps, "steps", quiet);
    let (start, first) = (std::time::Instant::now(), trainer.step);
    let (mut loss, mut accuracy) = (f64::NAN, 0.0);
    trainer
        .run(&a.output, |r, v| {
            loss = if loss.is_nan() { r.loss } else { 0.98 * loss + 0.02 * r.loss };
            accuracy = if r.step == first + 1 { r.accuracy } else { 0.98 * accuracy + 0.02 * r.accuracy };
            let rate = ((r.step - first) * batch) as f64 / start.elapsed().as_secs_f64();
            bar.set_position(r.step);
            bar.set_message(format!("loss {loss:.3}, {:.1} % right, {rate:.0} spectra/s", 100.0 * accuracy));
            if let Some(v) = v.filter(|_| !quiet) {
                let line = format!(
                    "step {}: validation loss {:.3}, right {:.1} % (galaxies {:.1}, quasars {:.1}, stars {:.1}), n = {}",
                    v.step,
                    v.loss,
                    100.0 * v.success,
                    100.0 * v.galaxy,
                    100.0 * v.qso,
                    100.0 * v.star,
                    v.n
                );
                bar.suspend(|| eprintln!("{line}"));
            }
            !stop.load(Ordering::Relaxed)
        })
        .into_diagnostic()?;
    bar.finish_and_clear();
    if stop.load(Ordering::Relaxed) {
        eprintln!("Stopped at step {}; continue with --resume", trainer.step);
        return Ok(Outcome::SomeFailed);
    }
    let path = a.output.join("model.safetensors");
    trainer
        .export(a.id.as_deref().unwrap_or("redshift"))
        .into_diagnostic()?
        .write(&path)
        .into_diagnostic()?;
    eprintln!(
        "Wrote {}; use it with: slipher redshift FILES… --model {}",
        path.display(),
        path.display()
    );
    Ok(Outcome::Good)
}
