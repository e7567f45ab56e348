//! `slipher inspect`: look at the rows of a catalogue and decide about them.

use std::path::{Path, PathBuf};

use clap::Args as ClapArgs;
use miette::{IntoDiagnostic, Result};
use slipher_inspect::decisions::{self, Layout};
use slipher_inspect::session::default_decisions;
use slipher_inspect::view::ORDERS;
use slipher_inspect::{Options, Session};

use super::{Overwrite, accept};
use crate::Outcome;

#[derive(ClapArgs)]
#[command(after_help = "\
Decisions are written at once, in the columns of DESI's visual inspection (prospect), and train a model:\n  \
slipher train redshift --from shipped --labelled catalogue.decisions.csv\n\n\
From a cluster: slipher inspect catalogue.parquet --no-browser --port 8765, then on the laptop\n  \
ssh -L 8765:localhost:8765 NAME, and open the address that was printed.\n\n\
Examples:\n  slipher inspect catalogue.parquet\n  slipher inspect zcat/ spectra/ --inspector AB --order teach\n  \
slipher inspect catalogue.parquet --terminal\n  slipher inspect catalogue.parquet --export vi.csv --layout prospect")]
pub struct Args {
    /// Parquet catalogue of slipher redshift or predict, or a folder of parts
    catalogue: PathBuf,
    /// Files or folders of the spectra or images, where they are not where the catalogue says
    files: Vec<String>,
    /// Decisions file, .csv or .parquet; default: beside the catalogue, NAME.decisions.csv
    #[arg(short, long)]
    decisions: Option<PathBuf>,
    /// Who decides; default: the user's name
    #[arg(short, long)]
    inspector: Option<String>,
    /// Model file; default: the one that comes with the program
    #[arg(short, long)]
    model: Option<PathBuf>,
    /// Text in this terminal instead of a page
    #[arg(long, conflicts_with_all = ["port", "no_browser", "export"])]
    terminal: bool,
    /// In the terminal: only rows that this inspector has not decided
    #[arg(long, requires = "terminal")]
    open: bool,
    /// In the terminal: a column, or uncertain, novel or teach (what a model would learn most from)
    #[arg(long, requires = "terminal")]
    order: Option<String>,
    /// Port of the page on this machine; default: a free one
    #[arg(long, conflicts_with = "export")]
    port: Option<u16>,
    /// Print the address of the page and open nothing
    #[arg(long, conflicts_with = "export")]
    no_browser: bool,
    /// Write the decisions to a file, .csv or .parquet, and end
    #[arg(long, value_name = "FILE")]
    export: Option<PathBuf>,
    /// Columns of --export: own, with the places of the spectra, or prospect, DESI's alone
    #[arg(long, requires = "export", value_parser = ["own", "prospect"])]
    layout: Option<String>,
    #[command(flatten)]
    overwrite: Overwrite,
}

fn failed(e: slipher_inspect::InspectError) -> miette::Report {
    miette::miette!("{e}")
}

/// The name by which the system knows the user.
fn user() -> String {
    let known = ["USER", "LOGNAME", "USERNAME"]
        .iter()
        .find_map(|n| std::env::var(n).ok());
    known
        .filter(|n| !n.trim().is_empty())
        .unwrap_or_else(|| "inspector".into())
}

/// Files below what the user gave; folders of any depth.
fn sources(words: &[String]) -> Result<Vec<PathBuf>> {
    let mut found = vec![];
    let mut left: Vec<PathBuf> = vec![];
    for word in words {
        let path = Path::new(word);
        if path.is_dir() {
            left.push(path.to_owned());
        } else {
            found
                .extend(slipher_data::input::expand(std::slice::from_ref(word)).into_diagnostic()?);
        }
    }
    while let Some(folder) = left.pop() {
        for entry in std::fs::read_dir(&folder).into_diagnostic()?.flatten() {
            match entry.file_type() {
                Ok(t) if t.is_dir() => left.push(entry.path()),
                Ok(_) => found.push(entry.path()),
                Err(_) => {}
            }
        }
    }
    Ok(found)
}

/// `slipher inspect`.
pub fn run(a: &Args, quiet: bool) -> Result<Outcome> {
    if a.overwrite.overwrite && a.export.is_none() {
        return Err(miette::miette!(
            "--overwrite is for --export: decisions are added to their file"
        ));
    }
    let catalogue = accept::files(&a.catalogue)?;
    let path = a
        .decisions
        .clone()
        .unwrap_or_else(|| default_decisions(&a.catalogue));
    let written = ["csv", "parquet"]
        .iter()
        .any(|e| path.extension().is_some_and(|x| x == *e));
    if !written {
        return Err(miette::miette!(
            "--decisions {}: expected .csv or .parquet",
            path.display()
        ));
    }
    accept::refuse_own(&catalogue, &path)?;
    if let Some(out) = &a.export {
        return export(a, &path, out, quiet);
    }
    let session = Session::open(Options {
        catalogue,
        sources: sources(&a.files)?,
        decisions: path,
        inspector: a.inspector.clone().unwrap_or_else(user),
        model: a.model.clone(),
    })
    .map_err(failed)?;
    if session.table.is_empty() {
        return Err(miette::miette!("{}: no rows", a.catalogue.display()));
    }
    if !quiet {
        for w in session.warnings() {
            tell!("{w}");
        }
    }
    if a.terminal {
        return terminal(a, &session);
    }
    browser(a, session, quiet)
}

fn export(a: &Args, path: &Path, out: &Path, quiet: bool) -> Result<Outcome> {
    a.overwrite.check(&[out])?;
    if !path.exists() {
        return Err(miette::miette!("{}: no decisions yet", path.display()));
    }
    let layout = match a.layout.as_deref() {
        Some("prospect") => Layout::Prospect,
        _ => Layout::Own,
    };
    let all = decisions::read(path).map_err(failed)?;
    decisions::write(out, &all, layout).map_err(failed)?;
    if !quiet {
        tell!(
            "Wrote {} to {}",
            super::counted(all.len(), "decision"),
            out.display()
        );
    }
    Ok(Outcome::Good)
}

#[cfg(feature = "inspect-terminal")]
fn terminal(a: &Args, session: &Session) -> Result<Outcome> {
    use std::io::IsTerminal as _;
    if !std::io::stdout().is_terminal() {
        return Err(miette::miette!("--terminal: the output is no terminal"));
    }
    let word = a.order.as_deref().unwrap_or_default();
    let known = ORDERS.iter().find(|o| o.0.strip_prefix('@') == Some(word));
    let order = known.map_or(word, |o| o.0);
    slipher_inspect::terminal::run(session, a.open, order).map_err(failed)?;
    Ok(Outcome::Good)
}

#[cfg(not(feature = "inspect-terminal"))]
fn terminal(_: &Args, _: &Session) -> Result<Outcome> {
    Err(miette::miette!(
        "--terminal: this build is without it; build with --features inspect-terminal"
    ))
}

#[cfg(feature = "inspect")]
fn browser(a: &Args, session: Session, quiet: bool) -> Result<Outcome> {
    use std::io::Write as _;
    let path = session.path.display().to_string();
    let server =
        slipher_inspect::browser::Server::new(session, a.port.unwrap_or(0)).map_err(failed)?;
    // On stdout, so that a script can take it.
    let mut out = std::io::stdout();
    let _ = writeln!(out, "{}", server.url()).and_then(|()| out.flush());
    if !a.no_browser && !server.open_browser() && !quiet {
        tell!("No browser could be opened: open the address above.");
    }
    if !quiet {
        tell!("Decisions go to {path}. Ctrl-C ends.");
    }
    server.run().map_err(failed)?;
    Ok(Outcome::Good)
}

#[cfg(not(feature = "inspect"))]
fn browser(_: &Args, _: Session, _: bool) -> Result<Outcome> {
    Err(miette::miette!(
        "this build is without the page; build with --features inspect, or use --terminal"
    ))
}
