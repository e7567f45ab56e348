//! `slipher train`: a recipe to a model.

use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;

use clap::Args as ClapArgs;
use miette::{IntoDiagnostic, Result, WrapErr};
use slipher_data::atomic::atomic_write;
use slipher_data::formats::ReadOptions;
use slipher_nn::train::{Examples, Run, fit};
use slipher_systems::redshift::export::export;
use slipher_systems::redshift::inspected::{self, Inspected, Known, Mixed, Standing};
use slipher_systems::redshift::model::Model;
use slipher_systems::redshift::recipe::Recipe;
use slipher_systems::redshift::train::{Batch, HELD_OUT, ShiftLearner, Simulated};

use super::shared::Smooth;
use super::target::{Target, systems_and_study};
use crate::{Outcome, progress};

#[derive(ClapArgs)]
pub struct Args {
    #[arg(value_parser = systems_and_study())]
    system: Target,
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
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..=1_000_000_000))]
    steps: Option<u64>,
    /// Seed instead of the recipe's
    #[arg(long)]
    seed: Option<u64>,
    /// Name of the model; default: the system's
    #[arg(long)]
    id: Option<String>,
    /// Begin with the weights of this model ('shipped' or a file) instead of random ones: of redshift,
    /// and with --few
    #[arg(long, value_name = "MODEL")]
    from: Option<String>,
    /// Of systems of images and light curves: learn classes of your own from few examples on the
    /// network of the shipped model (or --from), in seconds: a folder with a folder for each class, or
    /// a CSV table with the columns file and label
    #[arg(long, value_name = "PATH", conflicts_with_all = ["recipe", "resume", "steps", "seed", "labelled"])]
    few: Option<PathBuf>,
    /// Names of the bands, in the order of the planes, where images of --few do not name them
    #[arg(long, requires = "few")]
    bands: Option<String>,
    /// Of image systems: folder or archive of labelled examples, with a folder for each class
    /// (morphology: the Kaggle contest's files). Of redshift, with --from: CSV of inspected redshifts
    /// (file, z, and if there are any row, class, quality) to tune the model with
    #[arg(long, value_name = "PATH")]
    labelled: Option<PathBuf>,
}

/// `slipher train`.
pub fn run(a: &Args, quiet: bool) -> Result<Outcome> {
    if let (Some(examples), Some(system)) = (&a.few, a.system.shared()) {
        let wanted = super::few::Wanted {
            examples,
            from: a.from.as_deref(),
            bands: a.bands.as_deref(),
            output: &a.output,
            id: a.id.as_deref(),
        };
        return super::few::train(system, &wanted, quiet);
    }
    a.system.refuse(&[("--few", a.few.is_some())])?;
    if a.system.shared().is_some() || matches!(a.system, Target::Study) {
        a.system
            .refuse(&[("--from without --few", a.from.is_some())])?;
    }
    if let Some(system) = a.system.shared() {
        let changes = super::shared::Changes {
            recipe: a.recipe.as_deref(),
            labelled: a.labelled.as_deref(),
            output: &a.output,
            resume: a.resume,
            steps: a.steps,
            seed: a.seed,
            id: a.id.as_deref().unwrap_or(system.name()),
        };
        return super::shared::train(system, &changes, quiet);
    }
    if let Target::Study = a.system {
        a.system.refuse(&[
            ("--labelled", a.labelled.is_some()),
            ("--id", a.id.is_some()),
        ])?;
        let changes = super::classes::Changes {
            recipe: a.recipe.as_deref(),
            output: a.output.clone(),
            resume: a.resume,
            steps: a.steps,
            seed: a.seed,
        };
        return super::classes::train(&changes, quiet);
    }
    redshift(a, quiet)
}

/// The recipe of the command line, with names of files from its own folder.
fn recipe(a: &Args) -> Result<Recipe> {
    let mut recipe = match &a.recipe {
        Some(p) => {
            let text = std::fs::read_to_string(p)
                .into_diagnostic()
                .wrap_err_with(|| format!("--recipe {}", p.display()))?;
            Recipe::parse(&text).into_diagnostic()?
        }
        None => {
            let mut own = Recipe::built_in().into_diagnostic()?;
            if a.labelled.is_some() {
                // Tuning: minutes, with a small rate, until nothing more is gained.
                let t = &mut own.training;
                (t.steps, t.learning_rate, t.warmup) = (600, 3e-4, 30);
                (t.every, t.patience, t.validation) = (50, 4, 400);
            }
            own
        }
    };
    if let Some(folder) = a.recipe.as_ref().and_then(|p| p.parent()) {
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
    Ok(recipe)
}

/// The model that `--from` names.
fn start(a: &Args, recipe: &Recipe) -> Result<Option<Model>> {
    let Some(name) = &a.from else {
        return Ok(None);
    };
    let model = if name == "shipped" {
        Model::shipped()
    } else {
        Model::read(std::path::Path::new(name))
    };
    let model = model.into_diagnostic().wrap_err("--from")?;
    if model.recipe != recipe.network {
        return Err(miette::miette!(
            "--from {name}: its network differs from the recipe's; take its sizes into [network]"
        ));
    }
    Ok(Some(model))
}

/// What a run must be resumed with.
fn settings(recipe: &Recipe, start: Option<&Model>) -> Result<String> {
    let recipe = serde_json::to_string(recipe).into_diagnostic()?;
    Ok(match start {
        Some(m) => format!("{recipe} from {}", m.sha256),
        None => recipe,
    })
}

fn redshift(a: &Args, quiet: bool) -> Result<Outcome> {
    let recipe = recipe(a)?;
    if Run::exists(&a.output) && !a.resume {
        return Err(miette::miette!(
            "{} holds a run: add --resume to continue it, or give another --output",
            a.output.display()
        ));
    }
    let data = Simulated::new(&recipe).into_diagnostic()?;
    for (file, why) in &data.simulator.skipped {
        tell!("not a template: {file}: {why}");
    }
    let start = start(a, &recipe)?;
    if let Some(list) = &a.labelled {
        return tune(a, list, &recipe, data, start, quiet);
    }
    let Some(learner) = learn(a, &recipe, &data, start.as_ref(), quiet)? else {
        return Ok(Outcome::SomeFailed);
    };
    let id = a.id.as_deref().unwrap_or(a.system.name());
    let mut model = export(&learner.0, &recipe, &data, learner.1, id);
    if let Some(start) = &start {
        model.note("began_with", &serde_json::json!(start.named()));
    }
    save(a, &model)
}

/// Writes a model into the folder of the run.
fn save(a: &Args, model: &Model) -> Result<Outcome> {
    let path = a.output.join("model.safetensors");
    model
        .to_checkpoint()
        .into_diagnostic()?
        .write(&path)
        .into_diagnostic()?;
    tell!(
        "Wrote {0}; use it with: slipher redshift FILES… --model {0}",
        path.display()
    );
    Ok(Outcome::Good)
}

/// Trains to the end, and says after how many steps that was; none if it was stopped before.
fn learn(
    a: &Args,
    recipe: &Recipe,
    data: &dyn Examples<Batch>,
    start: Option<&Model>,
    quiet: bool,
) -> Result<Option<(ShiftLearner, u64)>> {
    let t = &recipe.training;
    let fresh = || Model::new(recipe.network.clone(), t.seed);
    let mut learner = match start {
        Some(m) => ShiftLearner::new(m, t.weight_decay as f32),
        None => ShiftLearner::new(&fresh(), t.weight_decay as f32),
    };
    let stop = super::ctrl_c_flag();
    let bar = progress::bar(t.steps, "steps", quiet);
    let (mut smooth, mut first) = (Smooth::default(), None);
    let mut run = Run {
        folder: Some(a.output.clone()),
        recipe: settings(recipe, start)?,
        watch: Box::new(|p| {
            let (from, before) = *first.get_or_insert((p.step - 1, p.seconds));
            if p.step == from + 1 && from > 0 {
                tell!("Resumed at step {from}");
            }
            smooth.add(p.report.loss, p.report.correct);
            let seconds = (p.seconds - before).max(1e-9);
            let rate = ((p.step - from) * t.batch) as f64 / seconds;
            bar.set_position(p.step);
            bar.set_message(format!("{}, {rate:.0} spectra/s", smooth.text()));
            if let Some(v) = p.validation.filter(|_| !quiet) {
                let get = |name| v.get(HELD_OUT, name).unwrap_or(f64::NAN);
                let share = |name| 100.0 * get(name);
                let line = format!(
                    "step {}: validation loss {:.3}, correct {:.1} % (galaxies {:.1}, quasars {:.1}, stars {:.1}), n = {}",
                    v.step,
                    get("loss"),
                    share("success"),
                    share("galaxy"),
                    share("qso"),
                    share("star"),
                    get("n")
                );
                bar.suspend(|| tell!("{line}"));
            }
            !stop.load(Ordering::Relaxed)
        }),
    };
    let end = fit(&mut learner, data, &t.schedule(), &mut run).into_diagnostic()?;
    drop(run);
    bar.finish_and_clear();
    if !end.whole {
        tell!("Stopped at step {}; continue with --resume", end.step);
        return Ok(None);
    }
    Ok(Some((learner, end.step)))
}

/// Simulated rows on which a tuned model may lose one in a hundred at most.
const GUARD: u64 = 2000;

/// Tunes a model with inspected redshifts; what it gained is a page beside it.
fn tune(
    a: &Args,
    list: &Path,
    recipe: &Recipe,
    data: Simulated,
    start: Option<Model>,
    quiet: bool,
) -> Result<Outcome> {
    let start = start
        .ok_or_else(|| miette::miette!("--labelled tunes a model: give it, as --from shipped"))?;
    let inspected = Inspected::read(list, &ReadOptions::default())
        .map_err(|e| miette::miette!("--labelled {e}"))?;
    for why in inspected.left_out.iter().take(5) {
        tell!("left out: {why}");
    }
    if inspected.left_out.len() > 5 {
        tell!("left out: {} lines more", inspected.left_out.len() - 5);
    }
    let old = inspected::simulated_rows(&data, GUARD);
    let mixed = Mixed::new(data, &inspected, recipe.training.seed);
    let Some((learner, steps)) = learn(a, recipe, &mixed, Some(&start), quiet)? else {
        return Ok(Outcome::SomeFailed);
    };
    let id = a.id.as_deref().unwrap_or(a.system.name());
    let mut model = export(&learner, recipe, &mixed.simulated, steps, id);
    // What is familiar does not depend on the network.
    model.goodness = start.goodness.clone();
    model.note("began_with", &serde_json::json!(start.named()));
    model.note(
        "inspected",
        &serde_json::json!(inspected::classes(&inspected.train)),
    );
    let measured = |rows: &[Known]| [&start, &model].map(|m| inspected::standing(m, rows));
    let sets = [
        ("inspected, held out", &inspected.held_out),
        ("simulated, held-out SEDs", &old),
    ]
    .map(|(name, rows)| (format!("{name}, n = {}", rows.len()), measured(rows)));
    let line = |name: &str, when: &str, s: &Standing| {
        let said = format!("{:.1} %", 100.0 * s.said);
        let (right, accepted) = (s.right.to_string(), s.accepted.to_string());
        [name.to_owned(), when.to_owned(), right, said, accepted]
    };
    let table: Vec<[String; 5]> = sets
        .iter()
        .flat_map(|(name, [b, a])| [line(name, "before", b), line(name, "after", a)])
        .collect();
    let page = a.output.join("gain.html");
    atomic_write(&page, crate::report::gain::page(&inspected, list, &table)).into_diagnostic()?;
    table.iter().for_each(|row| tell!("{}", row.join(" | ")));
    let [before, after] = sets[1].1.map(|s| s.right);
    if after.percent() < before.percent() - 1.0 {
        tell!(
            "The tuned model is worse on simulated rows ({after} after {before}): no model is \
             written. Give fewer --steps, or a list that is more like what you measure; {} says more",
            page.display()
        );
        return Ok(Outcome::SomeFailed);
    }
    tell!("What it gained: {}", page.display());
    save(a, &model)
}
