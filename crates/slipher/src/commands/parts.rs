//! `slipher redshift … -o FOLDER`: a catalogue in parts, for job arrays and inputs of any size.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use miette::{IntoDiagnostic, Result};
use slipher_data::formats::ReadOptions;
use slipher_data::hats::is_catalogue;
use slipher_systems::redshift::measure::Wanted;
use slipher_systems::redshift::model::Model;
use slipher_systems::redshift::parts::{Made, Manifest, Part, make};

use crate::{Outcome, progress};

/// What of a catalogue a process makes, and how.
pub struct Work<'a> {
    pub folder: &'a Path,
    pub model: &'a Model,
    pub wanted: &'a Wanted,
    pub options: &'a ReadOptions,
    /// (which, of how many), from 1 on.
    pub shard: (usize, usize),
    pub resume: bool,
    pub settings: BTreeMap<String, String>,
    pub quiet: bool,
}

/// Whether an output is a folder of parts: a name without an ending, or with that of HATS, or a folder that is there.
pub fn wants_folder(output: &Path) -> bool {
    output
        .extension()
        .is_none_or(|e| e.eq_ignore_ascii_case("hats"))
        || output.is_dir()
}

impl Work<'_> {
    /// Makes this shard's parts that are not there yet; ends the catalogue if no part is missing.
    pub fn run(
        self,
        inputs: &[String],
        files: impl FnOnce() -> Result<Vec<PathBuf>>,
    ) -> Result<Outcome> {
        let hats = inputs.iter().map(Path::new).find(|p| is_catalogue(p));
        let manifest = match hats {
            Some(_) if inputs.len() > 1 => {
                return Err(miette::miette!(
                    "a HATS catalogue is read alone: give one folder"
                ));
            }
            Some(folder) => Manifest::of_hats(folder, self.model, self.settings.clone()),
            None => Ok(Manifest::of_files(
                &files()?,
                self.model,
                self.settings.clone(),
            )),
        };
        let mut manifest = manifest.into_diagnostic()?;
        if manifest.parts.is_empty() {
            eprintln!("slipher: no files to read");
            return Ok(Outcome::Nothing);
        }
        manifest.claim(self.folder, self.shard).into_diagnostic()?;
        let mine: Vec<&Part> = manifest.shard(self.shard).collect();
        let missing: Vec<&Part> = mine
            .iter()
            .copied()
            .filter(|p| !p.is_done(self.folder))
            .collect();
        if missing.len() < mine.len() && !self.resume {
            return Err(miette::miette!(
                "{}: {} of {} parts are there already; --resume makes the others",
                self.folder.display(),
                mine.len() - missing.len(),
                mine.len()
            ));
        }
        self.make(&manifest, &missing, mine.len())
    }

    fn make(&self, manifest: &Manifest, missing: &[&Part], all: usize) -> Result<Outcome> {
        let bar = progress::bar(missing.len() as u64, "parts", self.quiet);
        let start = std::time::Instant::now();
        let (mut made, mut broken) = (Made::default(), 0);
        let keys = super::redshift::catalogue_keys(self.model, self.wanted.pz);
        for part in missing {
            match make(
                part,
                self.folder,
                self.model,
                self.wanted,
                self.options,
                &keys,
            ) {
                Ok(m) => (made.rows, made.failed) = (made.rows + m.rows, made.failed + m.failed),
                Err(e) => {
                    broken += 1;
                    bar.suspend(|| eprintln!("slipher: {}: {e}", part.target.display()));
                }
            }
            bar.inc(1);
        }
        bar.finish_and_clear();
        let whole = manifest.finish(self.folder).into_diagnostic()?;
        if !self.quiet {
            let seconds = start.elapsed().as_secs_f64();
            eprintln!(
                "{} of {all} parts made ({} were there): {} spectra, {seconds:.1} s ({:.0} a second), {} without a redshift.",
                missing.len() - broken,
                all - missing.len(),
                made.rows,
                made.rows as f64 / seconds.max(1e-9),
                made.failed
            );
            match whole {
                Some(rows) => eprintln!(
                    "{} is complete: {rows} rows in {} parts.",
                    self.folder.display(),
                    manifest.parts.len()
                ),
                None => eprintln!(
                    "{} is not complete yet: parts of other shards, or that failed, are missing.",
                    self.folder.display()
                ),
            }
        }
        Ok(match (broken, made.failed) {
            (0, 0) => Outcome::Good,
            (b, _) if b > 0 && b == missing.len() => Outcome::Nothing,
            _ => Outcome::SomeFailed,
        })
    }
}
