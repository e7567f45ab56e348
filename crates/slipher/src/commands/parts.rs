//! `-o FOLDER`: a catalogue in parts, for job arrays and inputs of any size.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use miette::{IntoDiagnostic, Result};
use slipher_data::hats::is_catalogue;
use slipher_data::input::expand_for;
use slipher_systems::predict::Predict;
use slipher_systems::shards::{Manifest, Part, PartSummary, run_part};

use super::counted;
use crate::{Outcome, progress};

/// Metadata of a catalogue file.
pub fn keys(model: &dyn Predict) -> Vec<(&'static str, String)> {
    vec![
        ("model", model.id().to_owned()),
        ("sha256", model.sha256().to_owned()),
        ("version", env!("CARGO_PKG_VERSION").to_owned()),
        ("settings", settings(model)),
    ]
}

/// What was chosen, as `key = value; …`: purity, prior, medium, precision, …
fn settings(model: &dyn Predict) -> String {
    let all = model.settings().into_iter();
    let words: Vec<String> = all.map(|(k, v)| format!("{k} = {v}")).collect();
    words.join("; ")
}

/// What of a catalogue a process makes, and how.
pub struct ShardJob<'a> {
    pub folder: &'a Path,
    pub model: &'a dyn Predict,
    /// (which, of how many), from 1 on.
    pub shard: (usize, usize),
    pub resume: bool,
    /// The summary is a line of JSON on stdout.
    pub json: bool,
    pub quiet: bool,
}

/// Whether an output is a folder of parts: a name without an ending, or with that of HATS, or a
/// folder that is there.
pub fn wants_folder(output: &Path) -> bool {
    output
        .extension()
        .is_none_or(|e| e.eq_ignore_ascii_case("hats"))
        || output.is_dir()
}

impl ShardJob<'_> {
    /// Makes this shard's parts that are not there yet; ends the catalogue if no part is missing.
    /// What earlier shards wrote is no input.
    pub fn run(self, inputs: &[String]) -> Result<Outcome> {
        let manifest = match inputs.iter().map(Path::new).find(|p| is_catalogue(p)) {
            Some(_) if inputs.len() > 1 => {
                return Err(miette::miette!(
                    "a HATS catalogue is read alone: give one folder"
                ));
            }
            Some(folder) => Manifest::of_hats(folder, self.model),
            None => {
                let mut files: Vec<PathBuf> =
                    expand_for(inputs, self.model.endings()).into_diagnostic()?;
                if let Ok(own) = self.folder.canonicalize() {
                    files.retain(|f| f.canonicalize().map_or(true, |f| !f.starts_with(&own)));
                }
                Ok(Manifest::of_files(&files, self.model))
            }
        };
        let mut manifest = manifest.into_diagnostic()?;
        if manifest.parts.is_empty() {
            tell!("slipher: no files to read");
            return Ok(Outcome::Nothing);
        }
        manifest
            .create_or_verify(self.folder, self.shard)
            .into_diagnostic()?;
        let mine: Vec<&Part> = manifest.shard(self.shard).collect();
        let missing: Vec<&Part> = mine
            .iter()
            .copied()
            .filter(|p| !p.is_done(self.folder, self.model))
            .collect();
        let there = |p: &&&Part| self.folder.join(&p.target).exists();
        let found = mine.iter().filter(there).count();
        if found > 0 && !self.resume {
            return Err(miette::miette!(
                "{}: {found} of {} parts are there already; --resume makes the others",
                self.folder.display(),
                mine.len()
            ));
        }
        for p in missing
            .iter()
            .filter(|p| self.folder.join(&p.target).exists())
        {
            tell!(
                "slipher: {}: is damaged, or was made otherwise; it is made again",
                p.target.display()
            );
        }
        self.make(&manifest, &missing, mine.len())
    }

    fn make(&self, manifest: &Manifest, missing: &[&Part], all: usize) -> Result<Outcome> {
        let bar = progress::bar(missing.len() as u64, "parts", self.quiet);
        let start = std::time::Instant::now();
        let (mut made, mut broken) = (PartSummary::default(), 0);
        let mut written = keys(self.model);
        written.extend(self.model.keys());
        for part in missing {
            match run_part(part, self.folder, self.model, &written) {
                Ok(m) => (made.rows, made.failed) = (made.rows + m.rows, made.failed + m.failed),
                Err(e) => {
                    broken += 1;
                    bar.suspend(|| tell!("slipher: {}: {e}", part.target.display()));
                }
            }
            bar.inc(1);
        }
        bar.finish_and_clear();
        let whole = manifest.finish(self.folder).into_diagnostic()?;
        let seconds = start.elapsed().as_secs_f64();
        if self.json {
            super::print_json(&serde_json::json!({
                "parts": all,
                "made": missing.len() - broken,
                "broken": broken,
                "rows": made.rows,
                "failed": made.failed,
                "complete": whole.is_some(),
                "rows_in_all": whole,
                "seconds": seconds,
                "outputs": [self.folder.display().to_string()],
                "about": keys(self.model).into_iter().collect::<BTreeMap<_, _>>(),
            }))?;
        } else if !self.quiet {
            tell!(
                "{} of {} made ({} there before): {}, {seconds:.1} s ({:.0} a second), {} without an answer.",
                missing.len() - broken,
                counted(all, "part"),
                all - missing.len(),
                counted(made.rows as usize, "row"),
                made.rows as f64 / seconds.max(1e-9),
                made.failed
            );
            match whole {
                Some(rows) => tell!(
                    "{} is complete: {} in {}.",
                    self.folder.display(),
                    counted(rows as usize, "row"),
                    counted(manifest.parts.len(), "part")
                ),
                None => tell!(
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
