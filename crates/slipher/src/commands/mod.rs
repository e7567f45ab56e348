//! One file per verb.

pub mod classes;
pub mod demo;
pub mod euclid;
pub mod evaluate;
pub mod parts;
pub mod predict;
pub mod redshift;
pub mod reproduce;
pub mod shared;
pub mod show;
pub mod simulate;
pub mod sql;
pub mod study;
pub mod target;
pub mod train;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use miette::{IntoDiagnostic, Result, WrapErr};
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

/// True once Ctrl-C was pressed.
pub fn ctrl_c_flag() -> Result<Arc<AtomicBool>> {
    let stop = Arc::new(AtomicBool::new(false));
    let flag = stop.clone();
    ctrlc::set_handler(move || flag.store(true, Ordering::Relaxed)).into_diagnostic()?;
    Ok(stop)
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
