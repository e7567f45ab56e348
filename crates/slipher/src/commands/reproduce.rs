//! `slipher reproduce`: a study of the talk, run again, and one page about it.

use std::path::PathBuf;
use std::sync::atomic::Ordering;

use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};
use clap::{Args as ClapArgs, ValueEnum};
use miette::{IntoDiagnostic, Result};
use slipher_systems::registry;
use slipher_systems::studies::stivaktakis2018::study::{
    Cell, Scale, Study as TalkStudy, StudyPools,
};
use slipher_systems::system::System;

use crate::{Outcome, progress, report};

/// Studies that can be run again.
#[derive(Clone, Copy)]
enum Study {
    /// Of the talk.
    Talk,
    /// Of a system of the shared engine.
    Of(&'static dyn System),
}

/// Name of the talk's study.
const TALK: &str = "redshift-talk";

fn studies() -> impl TypedValueParser<Value = Study> {
    let talk = "Redshift as one of 800 classes (Stivaktakis et al., arXiv:1809.09622)";
    let own = registry::all_shared().map(|s| PossibleValue::new(s.name()).help(s.title()));
    let all = std::iter::once(PossibleValue::new(TALK).help(talk)).chain(own);
    PossibleValuesParser::new(all.collect::<Vec<_>>()).try_map(|name| match name.as_str() {
        TALK => Ok(Study::Talk),
        name => registry::shared(name).map(Study::Of),
    })
}

/// Share of the recipes that the small scale of an image system trains on.
const SMALL: f64 = 0.05;

#[derive(Clone, Copy, Debug, ValueEnum)]
enum ScaleName {
    /// 2 to 40 thousand examples: minutes
    Small,
    /// The talk's 40 thousand, 400 thousand and 4 million: hours
    Paper,
}

#[derive(ClapArgs)]
pub struct Args {
    #[arg(value_parser = studies())]
    study: Study,
    /// Sizes of the training sets
    #[arg(long, value_enum, default_value = "small")]
    scale: ScaleName,
    /// Folder for runs, numbers and page; a run that was stopped continues there. Default: the
    /// study's name
    #[arg(short, long)]
    output: Option<PathBuf>,
    /// Of image systems: folder or archive of labelled examples to learn from and be evaluated on
    #[arg(long, value_name = "PATH")]
    labelled: Option<PathBuf>,
    /// Folder of SED templates to test on that no method learned from (LePhare, EAZY, …)
    #[arg(long)]
    other_library: Option<PathBuf>,
    /// Run only cells whose name contains one of these
    #[arg(long, value_delimiter = ',')]
    only: Vec<String>,
    /// List the cells and what is finished, run nothing
    #[arg(long)]
    list: bool,
    #[arg(short, long, default_value_t = 1)]
    seed: u64,
}

/// `slipher reproduce`.
pub fn run(a: &Args, quiet: bool) -> Result<Outcome> {
    let refuse = |name: &str, options: &[(&str, bool)]| match options.iter().find(|o| o.1) {
        Some((option, _)) => Err(miette::miette!(
            "the study {name} has no option {option}: leave it out"
        )),
        None => Ok(()),
    };
    let Study::Of(system) = a.study else {
        refuse(TALK, &[("--labelled", a.labelled.is_some())])?;
        return talk(a, quiet);
    };
    let talk = [
        ("--other-library", a.other_library.is_some()),
        ("--only", !a.only.is_empty()),
        ("--list", a.list),
    ];
    refuse(system.name(), &talk)?;
    let share = if matches!(a.scale, ScaleName::Small) {
        SMALL
    } else {
        1.0
    };
    let folder = a
        .output
        .clone()
        .unwrap_or_else(|| PathBuf::from(system.name()));
    let labelled = a.labelled.as_deref();
    super::study::Study {
        system,
        share,
        seed: a.seed,
        labelled,
        folder,
    }
    .run(quiet)
}

/// The talk's own study.
fn talk(a: &Args, quiet: bool) -> Result<Outcome> {
    let output = a.output.clone().unwrap_or_else(|| PathBuf::from(TALK));
    let scale = match a.scale {
        ScaleName::Small => Scale::Small,
        ScaleName::Paper => Scale::Paper,
    };
    let study = TalkStudy {
        scale,
        seed: a.seed,
        other: a.other_library.clone(),
        folder: output.clone(),
    };
    let cells = study.cells();
    if a.list {
        for c in &cells {
            let state = study.finished(c).map_or("open".into(), |f| {
                format!("finished, {:.0} s of training", f.seconds)
            });
            println!("{:24} {:60} {state}", c.name, c.title);
        }
        return Ok(Outcome::Good);
    }
    study.claim().into_diagnostic()?;
    let Some(open) = run_cells(a, &study, &cells, quiet)? else {
        return Ok(Outcome::SomeFailed);
    };
    let page = output.join("index.html");
    report::talk::write(&study, &page).into_diagnostic()?;
    tell!(
        "Wrote {} and {}{}",
        page.display(),
        output.join("numbers.json").display(),
        if open > 0 {
            format!("; {open} cells are still open")
        } else {
            String::new()
        }
    );
    Ok(Outcome::Good)
}

/// Runs the cells that are asked for and not finished: how many stay open; none if it was stopped.
fn run_cells(a: &Args, study: &TalkStudy, cells: &[Cell], quiet: bool) -> Result<Option<usize>> {
    let stop = super::ctrl_c_flag();
    let mut pools = StudyPools::default();
    let mut open = 0;
    for (i, cell) in cells.iter().enumerate() {
        if !a.only.is_empty() && !a.only.iter().any(|o| cell.name.contains(o.as_str())) {
            open += usize::from(study.finished(cell).is_none());
            continue;
        }
        if study.finished(cell).is_some() {
            continue;
        }
        let bar = progress::bar(1, "steps", quiet);
        let start = std::time::Instant::now();
        let done = study.run(cell, &mut pools, &mut |p| {
            bar.set_length(p.of);
            bar.set_position(p.done);
            bar.set_message(format!("{}: {}", p.cell, p.text));
            !stop.load(Ordering::Relaxed)
        });
        bar.finish_and_clear();
        if !done.into_diagnostic()? {
            tell!("Stopped in {}; the same command continues there", cell.name);
            return Ok(None);
        }
        if let (Some(f), false) = (study.finished(cell), quiet) {
            let best = f
                .tests
                .iter()
                .find(|t| t.key == "snr-1")
                .or(f.tests.first());
            let text = best.map_or(String::new(), |t| {
                format!(
                    "{}: exact {}, within 0.0033 {}",
                    t.key, t.metrics.exact, t.metrics.close
                )
            });
            tell!(
                "[{}/{}] {}: {text} ({:.0} s)",
                i + 1,
                cells.len(),
                cell.title,
                start.elapsed().as_secs_f64()
            );
        }
    }
    Ok(Some(open))
}
