//! The one contract on which the command line, Python, SQL and engines build: `RecordBatch →
//! RecordBatch`. Stateless: a row's answer never depends on other rows, batch size or shard; as
//! many rows out as in, in order; what identifies a row is carried; bad rows are flagged; no rows
//! are fine.

use std::collections::BTreeMap;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;

use arrow_array::{ArrayRef, RecordBatch};
use arrow_schema::{DataType, Field, Schema, SchemaRef};
use slipher_data::catalogue::{Column, record};
use slipher_nn::predictor::Precision;

/// Why there are no answers.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
#[expect(missing_docs, reason = "the messages say it")]
pub enum PredictError {
    /// The batch has no columns that the system can read.
    #[error("{0}")]
    Columns(String),
    #[error(transparent)]
    Arrow(#[from] arrow_schema::ArrowError),
    /// An option that the system does not have, or a value that it does not take.
    #[error("{0}")]
    Option(String),
    /// A model file that does not suit.
    #[error(transparent)]
    Model(#[from] slipher_nn::checkpoint::CheckpointError),
    #[error(
        "{system} comes without a model: train one with 'slipher train {system}' and give it as the model"
    )]
    NoModel { system: &'static str },
    /// Whoever takes the answers.
    #[error("{0}")]
    Sink(String),
}

/// Reads the name of an arithmetic.
///
/// # Errors
/// Another word.
pub fn precision(word: &str) -> Result<Precision, PredictError> {
    match word {
        "f32" => Ok(Precision::F32),
        "bf16" => Ok(Precision::Bf16),
        _ => Err(PredictError::Option(format!(
            "precision {word:?}: expected f32 or bf16"
        ))),
    }
}

/// A model in use.
pub trait Predict: Send + Sync {
    /// Name of the model.
    fn id(&self) -> &str;
    /// SHA-256 of its file.
    fn sha256(&self) -> &str;
    /// Everything beside the model that changes answers, for manifests.
    fn settings(&self) -> BTreeMap<String, String>;
    /// What to write into a catalogue's metadata beyond model and version.
    fn keys(&self) -> Vec<(&'static str, String)> {
        vec![]
    }
    /// Answers of a batch.
    ///
    /// # Errors
    /// No columns that the system can read; a bad row is no error.
    fn predict(&self, rows: &RecordBatch) -> Result<RecordBatch, PredictError>;
    /// Answers of all rows of files, in order, in bounded memory; `sink` gets the number of files
    /// done and says whether to go on.
    ///
    /// # Errors
    /// What `sink` returns; a file that cannot be read is a flagged row.
    fn predict_files(
        &self,
        files: &[PathBuf],
        sink: &mut dyn FnMut(usize, RecordBatch) -> Result<bool, PredictError>,
    ) -> Result<(), PredictError>;
    /// Whether an option, as a prior by object, needs the names of objects.
    fn needs_identifiers(&self) -> bool {
        false
    }
    /// Rows without an answer.
    fn failed(&self, answers: &RecordBatch) -> u64;
    /// Endings of files that are looked for in folders.
    fn endings(&self) -> &'static [&'static str];
    /// The schema of answers for batches of a schema.
    ///
    /// # Errors
    /// As [`Predict::predict`].
    fn schema(&self, batches: &SchemaRef) -> Result<SchemaRef, PredictError> {
        Ok(self
            .predict(&RecordBatch::new_empty(batches.clone()))?
            .schema())
    }
}

/// Options of a prediction by name, as flags, Python keywords and SQL arguments give them. What a
/// system does not know is refused.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Options(BTreeMap<String, String>);

impl Options {
    /// With an option more.
    pub fn with(mut self, name: &str, value: impl ToString) -> Options {
        self.0.insert(name.to_owned(), value.to_string());
        self
    }

    /// With an option more, if it is given.
    pub fn with_some(self, name: &str, value: Option<impl ToString>) -> Options {
        match value {
            Some(v) => self.with(name, v),
            None => self,
        }
    }

    /// Takes an option out.
    ///
    /// # Errors
    /// A value of another type than `expected` says.
    pub fn take<T: FromStr>(
        &mut self,
        name: &str,
        expected: &str,
    ) -> Result<Option<T>, PredictError> {
        let Some(text) = self.0.remove(name) else {
            return Ok(None);
        };
        let bad = |_| PredictError::Option(format!("{name} {text:?}: expected {expected}"));
        text.parse().map(Some).map_err(bad)
    }

    /// Ends the reading.
    ///
    /// # Errors
    /// An option that nobody took: `known` are those of the system.
    pub fn finish(self, system: &str, known: &[&str]) -> Result<(), PredictError> {
        match self.0.into_keys().next() {
            None => Ok(()),
            Some(name) => Err(PredictError::Option(format!(
                "{system} has no option '{name}': it has {}",
                known.join(", ")
            ))),
        }
    }
}

impl<K: Into<String>, V: Into<String>> FromIterator<(K, V)> for Options {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(all: I) -> Options {
        Options(all.into_iter().map(|(k, v)| (k.into(), v.into())).collect())
    }
}

/// Runs what may fail by a bug, or on a damaged file in a library below: none instead of a panic.
pub fn caught<T>(f: impl FnOnce() -> T) -> Option<T> {
    catch_unwind(AssertUnwindSafe(f)).ok()
}

/// What a row says on which the program failed.
pub const FAILED: &str = "Slipher failed on this row; please report it";

/// Answers of `n` rows; of rows on which `run` panics, found by halving, those of `failed`. The one
/// place where a bug costs one row, not the night.
pub fn guarded<T>(
    n: usize,
    run: &dyn Fn(Range<usize>) -> Vec<T>,
    failed: &dyn Fn(usize) -> T,
) -> Vec<T> {
    fn part<T>(
        rows: Range<usize>,
        run: &dyn Fn(Range<usize>) -> Vec<T>,
        failed: &dyn Fn(usize) -> T,
        out: &mut Vec<T>,
    ) {
        match caught(|| run(rows.clone())).filter(|found| found.len() == rows.len()) {
            Some(found) => out.extend(found),
            None if rows.len() <= 1 => out.extend(rows.map(failed)),
            None => {
                let middle = rows.start + rows.len() / 2;
                part(rows.start..middle, run, failed, out);
                part(middle..rows.end, run, failed, out);
            }
        }
    }
    let mut out = Vec::with_capacity(n);
    if n > 0 {
        part(0..n, run, failed, &mut out);
    }
    out
}

/// Columns of answers beside those of the batch that identify its rows: numbers, text and times; a
/// name that the answers have too, as a true `z`, ends in `_in`.
///
/// # Errors
/// Columns of another length.
pub fn beside(batch: &RecordBatch, answers: &[Column]) -> Result<RecordBatch, PredictError> {
    let own = record(answers)?;
    let (mut fields, mut arrays): (Vec<Arc<Field>>, Vec<ArrayRef>) = (vec![], vec![]);
    for (field, i) in carried(batch.schema_ref(), own.schema_ref()) {
        fields.push(field);
        arrays.push(batch.column(i).clone());
    }
    fields.extend(own.schema_ref().fields().iter().cloned());
    arrays.extend(own.columns().iter().cloned());
    Ok(RecordBatch::try_new(Arc::new(Schema::new(fields)), arrays)?)
}

/// Columns of a batch that its answers keep, with their numbers.
fn carried(batch: &Schema, own: &Schema) -> Vec<(Arc<Field>, usize)> {
    let binary = |t: &DataType| {
        matches!(
            t,
            DataType::Binary | DataType::LargeBinary | DataType::BinaryView
        )
    };
    let keeps = |f: &Field| !f.data_type().is_nested() && !binary(f.data_type());
    let named = |f: &Arc<Field>| {
        let taken = |name: &str| own.field_with_name(name).is_ok();
        let mut name = f.name().clone();
        while taken(&name) || (name != *f.name() && batch.field_with_name(&name).is_ok()) {
            name.push_str("_in");
        }
        Arc::new(f.as_ref().clone().with_name(name))
    };
    let all = batch.fields().iter().enumerate();
    all.filter(|(_, f)| keeps(f))
        .map(|(i, f)| (named(f), i))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A row that panics is flagged; its neighbours are answered.
    #[test]
    fn a_panic_costs_one_row() {
        let run = |rows: Range<usize>| {
            rows.map(|r| {
                if r % 10 == 7 {
                    panic!("row {r}")
                } else {
                    r as i64
                }
            })
            .collect()
        };
        let hook = std::panic::take_hook();
        std::panic::set_hook(Box::new(|_| {}));
        let found = guarded(25, &run, &|r| -(r as i64));
        std::panic::set_hook(hook);
        let want: Vec<i64> = (0..25).map(|r| if r % 10 == 7 { -r } else { r }).collect();
        assert_eq!(found, want);
        assert!(guarded(0, &|_| vec![1], &|_| 2).is_empty());
        // Too few answers are as bad as none.
        assert_eq!(
            guarded(
                2,
                &|r: Range<usize>| vec![1; usize::from(r.len() == 1)],
                &|_| 2
            ),
            [1, 1]
        );
    }

    #[test]
    fn options_that_nobody_knows_are_refused() {
        let mut o = Options::default()
            .with("purity", 0.9)
            .with_some("pz", None::<bool>);
        assert_eq!(o.take::<f64>("purity", "a number").unwrap(), Some(0.9));
        assert!(o.take::<f64>("purity", "a number").unwrap().is_none());
        o.clone().finish("radio", &[]).unwrap();
        let e = o
            .clone()
            .with("priority", 1)
            .finish("radio", &["bands"])
            .unwrap_err()
            .to_string();
        assert!(
            e.contains("radio") && e.contains("priority") && e.contains("bands"),
            "{e}"
        );
        let e = o
            .with("n", "many")
            .take::<u32>("n", "a count")
            .unwrap_err()
            .to_string();
        assert!(e.contains("many") && e.contains("a count"), "{e}");
    }
}
