//! One file per verb.

pub mod accept;
pub mod classes;
pub mod demo;
pub mod euclid;
pub mod evaluate;
pub mod export;
pub mod few;
pub mod fit;
pub mod inspect;
pub mod manual;
pub mod parts;
pub mod predict;
pub mod rank;
pub mod redshift;
pub mod reproduce;
pub mod restored;
pub mod shared;
pub mod show;
pub mod similar;
pub mod simulate;
pub mod sql;
pub mod study;
pub mod target;
pub mod train;

use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use miette::{IntoDiagnostic, Result, WrapErr};
use slipher_data::date::{iso_8601, now};
use slipher_data::formats::ReadOptions;
use slipher_systems::redshift::model::Model;

/// What the user says of spectra, for verbs that read files.
#[derive(clap::Args)]
pub struct MediumArgs {
    /// Wavelengths are in air, whatever the files say
    #[arg(long, conflicts_with = "vacuum")]
    air: bool,
    /// Wavelengths are in vacuum, whatever the files say
    #[arg(long)]
    vacuum: bool,
    /// Unit of wavelengths in files that do not state one: Angstrom, nm, um, log(Angstrom),
    /// ln(Angstrom), GHz, eV
    #[arg(long, value_name = "UNIT")]
    wave_unit: Option<String>,
    /// Unit of fluxes in files that do not state one: Jy, erg/s/cm2/Hz, erg/s/cm2/Angstrom
    #[arg(long, value_name = "UNIT")]
    flux_unit: Option<String>,
}

impl MediumArgs {
    /// What is said of the medium.
    fn medium(&self) -> Option<&'static str> {
        match (self.air, self.vacuum) {
            (true, _) => Some("air"),
            (_, true) => Some("vacuum"),
            _ => None,
        }
    }

    fn options(&self) -> Result<ReadOptions> {
        let (wave, flux) = (self.wave_unit.as_deref(), self.flux_unit.as_deref());
        ReadOptions::parse(self.medium(), wave, flux).map_err(|e| miette::miette!("--{e}"))
    }

    /// Options that were given, for systems that have none of them.
    fn given(&self) -> [(&'static str, bool); 3] {
        [
            ("--air or --vacuum", self.medium().is_some()),
            ("--wave-unit", self.wave_unit.is_some()),
            ("--flux-unit", self.flux_unit.is_some()),
        ]
    }
}

/// The shipped model, or one from a file.
pub fn model(path: Option<&Path>) -> Result<Model> {
    match path {
        None => Model::shipped().into_diagnostic(),
        Some(p) => Model::read(p)
            .into_diagnostic()
            .wrap_err("--model expects a file written by 'slipher train redshift'"),
    }
}

/// Set by verbs that end in an orderly way when they are told to.
static ORDERLY: OnceLock<Arc<AtomicBool>> = OnceLock::new();

/// Exit code of a program that a signal ended (128 + SIGINT).
const INTERRUPTED: i32 = 130;

/// Ctrl-C, SIGTERM and SIGHUP: files that are being written go; nothing half stays.
pub fn watch_signals() -> Result<()> {
    ctrlc::set_handler(|| {
        // The second time the user means it.
        if ORDERLY
            .get()
            .is_some_and(|f| !f.swap(true, Ordering::Relaxed))
        {
            return;
        }
        slipher_data::atomic::remove_pending();
        std::process::exit(INTERRUPTED);
    })
    .into_diagnostic()
}

/// True once Ctrl-C was pressed or the program was told to end.
pub fn ctrl_c_flag() -> Arc<AtomicBool> {
    ORDERLY.get_or_init(Arc::default).clone()
}

/// Permission to replace files.
#[derive(clap::Args)]
pub struct Overwrite {
    /// Replace files that are there already
    #[arg(long)]
    pub overwrite: bool,
}

impl Overwrite {
    /// Refuses to replace what holds anything; devices and pipes are written through.
    pub fn check(&self, outputs: &[&Path]) -> Result<()> {
        let holds = |p: &&&Path| p.metadata().is_ok_and(|m| m.is_file() && m.len() > 0);
        match outputs.iter().find(holds) {
            Some(p) if !self.overwrite => Err(miette::miette!(
                "{}: is there already; --overwrite replaces it",
                p.display()
            )),
            _ => Ok(()),
        }
    }

    /// Parts are continued, never replaced.
    pub fn refuse_for_parts(&self) -> Result<()> {
        if self.overwrite {
            return Err(miette::miette!(
                "--overwrite is for single files: parts of a folder are made anew by removing it, \
                 or continued with --resume"
            ));
        }
        Ok(())
    }
}

/// Reads `I/N`.
pub fn parse_shard(text: Option<&str>) -> Result<(usize, usize)> {
    let Some(text) = text else { return Ok((1, 1)) };
    let parts = text
        .split_once('/')
        .and_then(|(i, n)| Some((i.parse::<usize>().ok()?, n.parse::<usize>().ok()?)));
    match parts {
        Some((i, n)) if i >= 1 && i <= n => Ok((i, n)),
        _ => Err(miette::miette!(
            "--shard {text}: expected I/N with 1 ≤ I ≤ N, for example 3/10"
        )),
    }
}

/// When and by which command a file was made; parts, which must come out the same when they are
/// made again, say neither.
pub fn made() -> [(&'static str, String); 2] {
    let seconds = std::env::var("SOURCE_DATE_EPOCH")
        .ok()
        .and_then(|t| t.parse().ok());
    let words: Vec<String> = crate::arguments()
        .iter()
        .map(|a| a.to_string_lossy().into_owned())
        .collect();
    [
        ("date", iso_8601(seconds.unwrap_or_else(now))),
        ("command", words.join(" ")),
    ]
}

/// A number with its noun: `1 row`, `2 rows`, `2 galaxies`, `2 spectra`.
pub fn counted(n: usize, noun: &str) -> String {
    match noun {
        _ if n == 1 => format!("1 {noun}"),
        "spectrum" => format!("{n} spectra"),
        _ => match noun.strip_suffix('y') {
            Some(stem) => format!("{n} {stem}ies"),
            None => format!("{n} {noun}s"),
        },
    }
}

/// Prints a summary as one line of JSON on stdout.
pub fn print_json(summary: &serde_json::Value) -> Result<()> {
    let mut out = std::io::stdout().lock();
    line_written(writeln!(out, "{summary}").and_then(|()| out.flush()))?;
    Ok(())
}

/// Refuses two outputs of one name, of which the later would replace the earlier.
pub fn distinct(outputs: &[&Path]) -> Result<()> {
    match (1..outputs.len()).find(|i| outputs[..*i].contains(&outputs[*i])) {
        Some(i) => Err(miette::miette!(
            "{}: two outputs have this name; give each its own",
            outputs[i].display()
        )),
        None => Ok(()),
    }
}

/// Refuses shards that write beside what they read: each would see the files of the others, and
/// take another share.
pub fn refuse_output_among_inputs(
    inputs: &[String],
    shard: (usize, usize),
    outputs: &[&Path],
) -> Result<()> {
    let folder = |p: &Path| {
        let parent = p.parent().filter(|p| !p.as_os_str().is_empty());
        parent.unwrap_or(Path::new(".")).canonicalize().ok()
    };
    let inside = |input: &String| {
        let input = Path::new(input).canonicalize().ok().filter(|i| i.is_dir());
        input.is_some_and(|i| {
            let mut of = outputs.iter().filter_map(|o| folder(o));
            of.any(|o| o.starts_with(&i))
        })
    };
    match inputs.iter().find(|i| shard.1 > 1 && inside(i)) {
        Some(input) => Err(miette::miette!(
            "{input}: shards that write into the folder they read see each other's catalogues; \
             give --output another folder"
        )),
        None => Ok(()),
    }
}

/// Whether a line went out: false where nobody reads any more.
///
/// # Errors
/// The disk is full: the rows would be lost.
pub fn line_written(done: std::io::Result<()>) -> Result<bool> {
    match done {
        Ok(()) => Ok(true),
        Err(e) if e.kind() == std::io::ErrorKind::BrokenPipe => Ok(false),
        Err(e) => Err(miette::miette!("cannot write to the output: {e}")),
    }
}

/// What of a list of files a shard takes, without what is written by this run.
pub fn own_files(files: Vec<PathBuf>, shard: (usize, usize), outputs: &[&Path]) -> Vec<PathBuf> {
    let own: Vec<PathBuf> = outputs
        .iter()
        .filter_map(|p| p.canonicalize().ok())
        .collect();
    let mut files: Vec<PathBuf> = files
        .into_iter()
        .skip(shard.0 - 1)
        .step_by(shard.1)
        .collect();
    files.retain(|f| {
        let named_alike = own.iter().any(|o| o.file_name() == f.file_name());
        !named_alike || f.canonicalize().map_or(true, |f| !own.contains(&f))
    });
    files
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nouns() {
        assert_eq!(counted(1, "spectrum"), "1 spectrum");
        assert_eq!(counted(2, "spectrum"), "2 spectra");
        assert_eq!(counted(0, "galaxy"), "0 galaxies");
    }
}
