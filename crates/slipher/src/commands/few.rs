//! `slipher train SYSTEM --few`: a model from few examples, in seconds.

use std::path::Path;

use miette::{IntoDiagnostic, Result};
use slipher_data::atomic::atomic_write;
use slipher_data::cutouts::CutoutOptions;
use slipher_systems::answers::Answerer;
use slipher_systems::few;
use slipher_systems::registry;
use slipher_systems::system::System;

use crate::Outcome;
use crate::report::few::page;

/// What the command line says.
pub struct Wanted<'a> {
    pub examples: &'a Path,
    pub from: Option<&'a str>,
    pub bands: Option<&'a str>,
    pub output: &'a Path,
    pub id: Option<&'a str>,
}

/// Reads examples, learns, and writes model and page.
pub fn train(system: &'static dyn System, w: &Wanted, quiet: bool) -> Result<Outcome> {
    let path = w.output.join("model.safetensors");
    if path.exists() {
        return Err(miette::miette!(
            "{}: is there already; give another --output",
            path.display()
        ));
    }
    let from = w.from.filter(|f| *f != "shipped").map(Path::new);
    let base = registry::model(system, from).into_diagnostic()?;
    if base.system.own_classes() {
        return Err(miette::miette!(
            "--from {}: is a model of few examples itself; begin with the one that it was made from",
            w.from.unwrap_or_default()
        ));
    }
    let bands = w.bands.iter().flat_map(|b| b.split(','));
    let options = CutoutOptions {
        bands: bands.map(str::to_owned).collect(),
        ..CutoutOptions::default()
    };
    let reader = Answerer::of(base, options);
    let examples = few::read(&reader, w.examples).map_err(|e| miette::miette!("--few {e}"))?;
    let start = std::time::Instant::now();
    let id = w.id.unwrap_or("few-examples");
    let (model, learned) =
        few::learn(&reader.model, &examples, id).map_err(|e| miette::miette!("--few: {e}"))?;
    let seconds = start.elapsed().as_secs_f64();
    std::fs::create_dir_all(w.output).into_diagnostic()?;
    model.write(&path).into_diagnostic()?;
    let remarks = few::remarks(&reader.model, &examples, &learned);
    let html = w.output.join("few.html");
    atomic_write(&html, page(&model, &examples, &learned, &remarks)).into_diagnostic()?;
    let notes = examples.notes.iter();
    notes.take(5).for_each(|n| tell!("{n}"));
    if examples.notes.len() > 5 {
        tell!("{} more: see {}", examples.notes.len() - 5, html.display());
    }
    if !quiet {
        let count = |k: usize| examples.rows.iter().filter(|r| r.label == k).count();
        let classes: Vec<String> = examples
            .classes
            .iter()
            .enumerate()
            .map(|(k, c)| format!("{} {c}", count(k)))
            .collect();
        tell!("{}: {}, {seconds:.1} s", classes.join(", "), learned.method);
        remarks.iter().for_each(|r| tell!("{r}."));
        tell!("Mistakes and neighbours: {}", html.display());
        tell!(
            "Wrote {0}; use it with: slipher predict {1} FILES… --model {0}",
            path.display(),
            system.name()
        );
    }
    Ok(Outcome::Good)
}
