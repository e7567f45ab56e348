//! Catalogues too large for one run: the input is cut into parts, each made whole or not at all, on
//! any machine, in any order. Killed anywhere and run again, the result has the same bytes.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use arrow_array::RecordBatch;
use serde::{Deserialize, Serialize};
use slipher_data::atomic::atomic_write;
use slipher_data::hats::{self, Catalogue, HatsError, PartWriter, Pixel, batches};
use slipher_nn::checkpoint::sha256;

use crate::predict::{Predict, PredictError, caught};

/// Files other than Parquet that become one part.
const FILES: usize = 2000;
/// Rows read, answered and written at a time; three times as many wait between the steps.
const ROWS: usize = 1024;
/// The list of parts, in the folder of the catalogue.
pub const MANIFEST: &str = "manifest.json";

/// One part.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Part {
    /// Below the folder of the catalogue.
    pub target: PathBuf,
    /// Files that are read for it.
    pub inputs: Vec<PathBuf>,
    /// Of all inputs together, with the times (ns) of their last change added up: other files under
    /// the same names are noticed.
    pub bytes: u64,
    /// Times of their last change in ns, added up.
    pub modified: u64,
}

/// What is to be made; the same for every process that works on it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    /// Version of the program.
    pub slipher: String,
    /// Name of the model.
    pub model: String,
    /// Of the model's file, in hexadecimal.
    pub model_sha256: String,
    /// What the user chose, in words.
    pub settings: BTreeMap<String, String>,
    /// In the order of the input.
    pub parts: Vec<Part>,
    /// Properties of the HATS catalogue that is read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hats: Option<BTreeMap<String, String>>,
}

/// Why parts cannot be made.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say it")]
pub enum PartsError {
    #[error(transparent)]
    Hats(#[from] HatsError),
    #[error("{}: {source}", path.display())]
    Io {
        path: PathBuf,
        source: std::io::Error,
    },
    #[error("{}: {source}", path.display())]
    Predict { path: PathBuf, source: PredictError },
    #[error("{}: made with another model, other settings or other input ({what} differs); give another folder or remove this one", path.display())]
    Other { path: PathBuf, what: &'static str },
    #[error("{}: no manifest that this version wrote: {why}", path.display())]
    Manifest { path: PathBuf, why: String },
    #[error("{}: Slipher failed on this part (a damaged file can do that); its rows are not written", .0.display())]
    Failed(PathBuf),
    #[error("{}: {read} of {there} rows could be read: a damaged file; write it anew", path.display())]
    Rows {
        path: PathBuf,
        read: u64,
        there: u64,
    },
}

impl Manifest {
    /// Cuts a HATS catalogue by its partitions.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn of_hats(folder: &Path, model: &dyn Predict) -> Result<Manifest, PartsError> {
        let c = Catalogue::open(folder)?;
        let parts = c
            .partitions
            .into_iter()
            .map(|p| Part::new(p.pixel.path(), p.files))
            .collect();
        Ok(Manifest {
            hats: Some(c.properties),
            ..Manifest::new(model, parts)
        })
    }

    /// Cuts a list of files: each Parquet file a part, of others some thousand together.
    pub fn of_files(files: &[PathBuf], model: &dyn Predict) -> Manifest {
        let tables = files
            .iter()
            .filter(|f| is_parquet(f))
            .map(|f| vec![f.clone()]);
        let others: Vec<PathBuf> = files.iter().filter(|f| !is_parquet(f)).cloned().collect();
        let groups = tables
            .chain(others.chunks(FILES).map(<[PathBuf]>::to_vec))
            .enumerate();
        let parts = groups
            .map(|(i, inputs)| Part::new(PathBuf::from(format!("part-{i:06}.parquet")), inputs))
            .collect();
        Manifest::new(model, parts)
    }

    fn new(model: &dyn Predict, parts: Vec<Part>) -> Manifest {
        let slipher = env!("CARGO_PKG_VERSION").to_owned();
        Manifest {
            slipher,
            model: model.id().to_owned(),
            model_sha256: model.sha256().to_owned(),
            settings: model.settings(),
            parts,
            hats: None,
        }
    }

    /// Puts the manifest into the folder, or finds it there: then the names of all inputs are
    /// compared, and size and time of a shard's own, so that a thousand shards do not ask the file
    /// system about everything.
    ///
    /// # Errors
    /// The folder belongs to another catalogue; an input is missing.
    pub fn create_or_verify(
        &mut self,
        folder: &Path,
        shard: (usize, usize),
    ) -> Result<(), PartsError> {
        let path = folder.join(MANIFEST);
        std::fs::create_dir_all(folder).map_err(|source| PartsError::Io {
            path: folder.to_owned(),
            source,
        })?;
        match std::fs::read(&path) {
            Ok(text) => {
                let old: Manifest =
                    serde_json::from_slice(&text).map_err(|e| PartsError::Manifest {
                        path: path.clone(),
                        why: e.to_string(),
                    })?;
                self.parts
                    .iter_mut()
                    .skip(shard.0 - 1)
                    .step_by(shard.1)
                    .try_for_each(Part::stat_inputs)?;
                let own = |i: usize| i % shard.1 == shard.0 - 1;
                let same = |(i, (a, b)): (usize, (&Part, &Part))| {
                    a.target == b.target
                        && a.inputs == b.inputs
                        && (!own(i) || (a.bytes, a.modified) == (b.bytes, b.modified))
                };
                let inputs = old.parts.len() == self.parts.len()
                    && old.parts.iter().zip(&self.parts).enumerate().all(same);
                let what = [
                    (old.slipher != self.slipher, "the version of slipher"),
                    (
                        old.model_sha256 != self.model_sha256 || old.model != self.model,
                        "the model",
                    ),
                    (old.settings != self.settings, "a setting"),
                    (!inputs || old.hats != self.hats, "the input"),
                ];
                what.into_iter()
                    .find(|w| w.0)
                    .map_or(Ok(()), |w| Err(PartsError::Other { path, what: w.1 }))
            }
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
                self.parts.iter_mut().try_for_each(Part::stat_inputs)?;
                let text =
                    serde_json::to_string_pretty(self).map_err(|e| PartsError::Manifest {
                        path: path.clone(),
                        why: e.to_string(),
                    })?;
                atomic_write(&path, text).map_err(|source| PartsError::Io { path, source })
            }
            Err(source) => Err(PartsError::Io { path, source }),
        }
    }

    /// Parts of a shard, `(which, of how many)` from 1 on.
    pub fn shard(&self, (i, n): (usize, usize)) -> impl Iterator<Item = &Part> {
        self.parts.iter().skip(i - 1).step_by(n)
    }

    /// Ends the catalogue if all parts are there: rows in all.
    ///
    /// # Errors
    /// A part that cannot be read, or a folder that cannot be written.
    pub fn finish(&self, folder: &Path) -> Result<Option<u64>, PartsError> {
        if !self.parts.iter().all(|p| folder.join(&p.target).is_file()) {
            return Ok(None);
        }
        let mut rows = 0;
        for p in &self.parts {
            rows += hats::rows_of(&folder.join(&p.target))?;
            remove_leftovers(&folder.join(&p.target));
        }
        if let (Some(properties), Some(first)) = (&self.hats, self.parts.first()) {
            let name = folder
                .file_name()
                .map_or_else(|| "redshifts".into(), |n| n.to_string_lossy().into_owned());
            let pixels: Vec<Pixel> = self
                .parts
                .iter()
                .filter_map(|p| Pixel::of_path(&p.target))
                .collect();
            let schema = hats::schema_of(&folder.join(&first.target))?;
            hats::finish(folder, &name, properties, &pixels, rows, &schema)?;
        }
        Ok(Some(rows))
    }
}

/// Removes what killed processes left beside a part.
fn remove_leftovers(part: &Path) {
    let name = format!(
        ".{}.",
        part.file_name().unwrap_or_default().to_string_lossy()
    );
    for e in part
        .parent()
        .and_then(|d| d.read_dir().ok())
        .into_iter()
        .flatten()
        .flatten()
    {
        let n = e.file_name().to_string_lossy().into_owned();
        if n.starts_with(&name) && n.ends_with(".tmp") {
            // Whatever stays is hidden and harms nobody.
            let _ = std::fs::remove_file(e.path());
        }
    }
}

fn is_parquet(file: &Path) -> bool {
    file.extension()
        .is_some_and(|e| e.eq_ignore_ascii_case("parquet"))
}

impl Part {
    fn new(target: PathBuf, inputs: Vec<PathBuf>) -> Part {
        Part {
            target,
            inputs,
            bytes: 0,
            modified: 0,
        }
    }

    /// Finds size and time of the inputs.
    fn stat_inputs(&mut self) -> Result<(), PartsError> {
        (self.bytes, self.modified) = (0, 0);
        for p in &self.inputs {
            let m = std::fs::metadata(p).map_err(|source| PartsError::Io {
                path: p.clone(),
                source,
            })?;
            let time = m
                .modified()
                .ok()
                .and_then(|t| t.duration_since(std::time::UNIX_EPOCH).ok())
                .unwrap_or_default();
            self.bytes += m.len();
            self.modified = self.modified.wrapping_add(time.as_nanos() as u64);
        }
        Ok(())
    }

    /// Whether it was made, by this model of these inputs, and is whole: all of it is read.
    pub fn is_done(&self, folder: &Path, model: &dyn Predict) -> bool {
        let file = folder.join(&self.target);
        file.is_file() && hats::is_intact(&file, &self.identity(model))
    }

    /// What it is made of, and by what.
    fn identity(&self, model: &dyn Predict) -> String {
        let text = serde_json::to_string(&(self, model.sha256(), model.settings()));
        sha256(text.unwrap_or_default().as_bytes())
    }
}

/// Rows of a part, and how many have no answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PartSummary {
    /// Rows written.
    pub rows: u64,
    /// Rows without an answer.
    pub failed: u64,
}

/// Makes one part: reading, predicting and writing go on at once, in memory for a few thousand
/// rows.
///
/// # Errors
/// A Parquet file that cannot be read or has no columns for the system; a disk that is full. The
/// part is then not there.
pub fn run_part(
    part: &Part,
    folder: &Path,
    model: &dyn Predict,
    keys: &[(&str, String)],
) -> Result<PartSummary, PartsError> {
    let target = folder.join(&part.target);
    let tables = part.inputs.iter().any(|f| is_parquet(f));
    let (to_write, answered) = sync_channel::<RecordBatch>(2);
    std::thread::scope(|scope| {
        let writer = scope.spawn(move || write(&answered, &target, model, keys));
        let failed = || PartsError::Failed(part.inputs[0].clone());
        let sent = if tables {
            let (to_predict, read) = sync_channel::<Result<RecordBatch, PartsError>>(2);
            let reader = scope.spawn(move || send_batches(&part.inputs, &to_predict));
            let sent = predict(read, &to_write, part, model);
            // A reader that broke down must not look like the end of its file.
            reader.join().map_err(|_| failed()).and(sent)
        } else {
            let mut sink = |_: usize, b: RecordBatch| Ok(to_write.send(b).is_ok());
            let bad = |source| PartsError::Predict {
                path: part.target.clone(),
                source,
            };
            model.predict_files(&part.inputs, &mut sink).map_err(bad)
        };
        drop(to_write);
        let written = writer
            .join()
            .map_err(|_| PartsError::Failed(part.target.clone()))?;
        // The first cause is the reason; without one the part gets its name.
        sent?;
        let (writer, made) = written?;
        if tables {
            let there = part
                .inputs
                .iter()
                .map(|f| hats::rows_of(f))
                .sum::<Result<u64, _>>()?;
            if there != made.rows {
                return Err(PartsError::Rows {
                    path: part.inputs[0].clone(),
                    read: made.rows,
                    there,
                });
            }
        }
        writer
            .ok_or_else(|| PartsError::Failed(part.target.clone()))?
            .finish_as(&part.identity(model))?;
        Ok(made)
    })
}

fn send_batches(files: &[PathBuf], to: &SyncSender<Result<RecordBatch, PartsError>>) {
    for f in files {
        let read = || match batches(f, ROWS) {
            Ok(all) => all
                .map(|b| to.send(b.map_err(PartsError::from)))
                .all(|sent| sent.is_ok()),
            Err(e) => to.send(Err(e.into())).is_ok(),
        };
        // The reader of Parquet panics on some damaged files.
        let went_on = caught(read);
        if !went_on.unwrap_or_else(|| to.send(Err(PartsError::Failed(f.clone()))).is_ok()) {
            return;
        }
    }
}

fn predict(
    read: Receiver<Result<RecordBatch, PartsError>>,
    to: &SyncSender<RecordBatch>,
    part: &Part,
    model: &dyn Predict,
) -> Result<(), PartsError> {
    for batch in read {
        let bad = |source| PartsError::Predict {
            path: part.inputs[0].clone(),
            source,
        };
        if to.send(model.predict(&batch?).map_err(bad)?).is_err() {
            break;
        }
    }
    Ok(())
}

fn write(
    from: &Receiver<RecordBatch>,
    target: &Path,
    model: &dyn Predict,
    keys: &[(&str, String)],
) -> Result<(Option<PartWriter>, PartSummary), PartsError> {
    let (mut writer, mut made): (Option<PartWriter>, PartSummary) = (None, PartSummary::default());
    for batch in from {
        made.rows += batch.num_rows() as u64;
        made.failed += model.failed(&batch);
        let w = match &mut writer {
            Some(w) => w,
            None => writer.insert(PartWriter::create(target, &batch.schema(), keys)?),
        };
        w.write(&batch)?;
    }
    Ok((writer, made))
}

#[cfg(test)]
mod tests {
    use super::*;
    use slipher_data::catalogue::record;
    use slipher_data::formats::ReadOptions;

    use crate::redshift::contract::Measurer;
    use crate::redshift::measure::PredictOptions;
    use crate::redshift::model::{Model, NetworkRecipe};
    use crate::redshift::simulate::{Example, SimulationRecipe, Simulator, Split};
    use crate::redshift::table::example_columns;

    fn sky(path: &Path, rows: u64) {
        let recipe = SimulationRecipe {
            instruments: vec![("vimos".into(), 1.0)],
            templates: vec![],
            blank_sky: 0.0,
            peculiar: 0.0,
        };
        let simulator = Simulator::new(&recipe, 1).unwrap();
        let rows: Vec<Example> = (0..rows).map(|r| simulator.draw(Split::Test, r)).collect();
        let batch = record(&example_columns(&rows, &simulator.names)).unwrap();
        let mut w = PartWriter::create(path, batch.schema_ref(), &[]).unwrap();
        w.write(&batch).unwrap();
        w.finish().unwrap();
    }

    fn model() -> Measurer {
        let recipe = NetworkRecipe {
            depth: 1,
            width: 16,
            taps: 3,
            patterns: [1, 1, 1],
        };
        Measurer::new(
            Model::new(recipe, 1),
            PredictOptions::default(),
            ReadOptions::default(),
            BTreeMap::new(),
        )
    }

    /// A part of a damaged file is whole or not there, also where the reader of Parquet panics.
    #[test]
    fn damaged_files_lose_no_rows() {
        let folder = tempfile::tempdir().unwrap();
        let (good, bad) = (
            folder.path().join("a.parquet"),
            folder.path().join("b.parquet"),
        );
        sky(&good, 2);
        let bytes = std::fs::read(&good).unwrap();
        let model = model();
        let mut refused = 0;
        for k in 0..120usize {
            let mut damaged = bytes.clone();
            let at = k * (bytes.len() - 8) / 120;
            damaged[at] ^= 0x55;
            std::fs::write(&bad, damaged).unwrap();
            let part = Part::new(
                PathBuf::from(format!("part-{k}.parquet")),
                vec![good.clone(), bad.clone()],
            );
            let made = run_part(&part, folder.path(), &model, &[]);
            let target = folder.path().join(&part.target);
            match made {
                Ok(m) => assert_eq!(
                    (m.rows, hats::rows_of(&target).unwrap()),
                    (4, 4),
                    "byte {at}"
                ),
                Err(_) => {
                    refused += 1;
                    assert!(!target.exists(), "byte {at}");
                }
            }
        }
        assert!(refused > 20, "{refused}");
        let left = folder
            .path()
            .read_dir()
            .unwrap()
            .flatten()
            .filter(|e| e.file_name().to_string_lossy().ends_with(".tmp"))
            .count();
        assert_eq!(left, 0);
    }

    #[test]
    fn other_input_under_the_same_names_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let (a, b) = (
            folder.path().join("a.parquet"),
            folder.path().join("b.parquet"),
        );
        [&a, &b]
            .into_iter()
            .for_each(|p| std::fs::write(p, "same size").unwrap());
        let z = folder.path().join("z");
        let m = model();
        let claim =
            |shard| Manifest::of_files(&[a.clone(), b.clone()], &m).create_or_verify(&z, shard);
        claim((1, 1)).unwrap();
        claim((2, 2)).unwrap();
        let later = std::time::SystemTime::now() + std::time::Duration::from_secs(5);
        std::fs::File::options()
            .write(true)
            .open(&b)
            .unwrap()
            .set_modified(later)
            .unwrap();
        // Each shard looks at its own.
        claim((1, 2)).unwrap();
        assert!(
            claim((2, 2))
                .unwrap_err()
                .to_string()
                .contains("the input differs")
        );
        assert!(
            Manifest::of_files(std::slice::from_ref(&a), &m)
                .create_or_verify(&z, (1, 2))
                .is_err()
        );
    }
}
