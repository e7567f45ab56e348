//! Parquet catalogues read again, and written with a column more.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow_array::{
    Array, ArrayRef, Float32Array, Float64Array, Int32Array, Int64Array, RecordBatch, StringArray,
};
use arrow_schema::{ArrowError, DataType, Field, Schema};
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;

use super::CatalogueError;
use crate::atomic::PendingFile;
use crate::hats::{HatsError, batches};

/// Rows read at a time.
pub(super) const ROWS: usize = 65_536;

/// Why a catalogue cannot be read again.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say it")]
pub enum AppendError {
    #[error(transparent)]
    Read(#[from] HatsError),
    #[error(transparent)]
    Write(#[from] CatalogueError),
    #[error("{}: no column '{column}' of {kind}: is it a catalogue of slipher redshift or slipher predict?", path.display())]
    Column {
        path: PathBuf,
        column: String,
        kind: &'static str,
    },
    #[error("{}: its columns differ from those of {}; they cannot be one catalogue", path.display(), first.display())]
    Differs { path: PathBuf, first: PathBuf },
    #[error("{}: it has a column '{column}' already", path.display())]
    Exists { path: PathBuf, column: String },
}

/// Columns of a batch by name, each of the type that this crate writes.
pub struct Cells<'a> {
    batch: &'a RecordBatch,
    path: &'a Path,
}

impl Cells<'_> {
    fn of<T: Array + 'static>(&self, column: &str, kind: &'static str) -> Result<&T, AppendError> {
        self.batch
            .column_by_name(column)
            .and_then(|c| c.as_any().downcast_ref::<T>())
            .ok_or_else(|| AppendError::Column {
                path: self.path.to_owned(),
                column: column.to_owned(),
                kind,
            })
    }

    /// # Errors
    /// The column is missing, or of another type.
    pub fn f64(&self, column: &str) -> Result<&Float64Array, AppendError> {
        self.of(column, "float64")
    }

    /// # Errors
    /// The column is missing, or of another type.
    pub fn f32(&self, column: &str) -> Result<&Float32Array, AppendError> {
        self.of(column, "float32")
    }

    /// # Errors
    /// The column is missing, or of another type.
    pub fn i64(&self, column: &str) -> Result<&Int64Array, AppendError> {
        self.of(column, "int64")
    }

    /// # Errors
    /// The column is missing, or of another type.
    pub fn i32(&self, column: &str) -> Result<&Int32Array, AppendError> {
        self.of(column, "int32")
    }

    /// # Errors
    /// The column is missing, or of another type.
    pub fn text(&self, column: &str) -> Result<&StringArray, AppendError> {
        self.of(column, "text")
    }

    /// A number of any kind, if the column is there and it is not null.
    pub fn number(&self, column: &str, row: usize) -> Option<f64> {
        let c = self.batch.column_by_name(column)?;
        let v = crate::formats::batch::numbers(&c.slice(row, 1))?;
        v.first().copied().filter(|v| !v.is_nan())
    }

    /// A value of the file's metadata.
    pub fn key(&self, name: &str) -> Option<&str> {
        let keys = self.batch.schema_ref().metadata();
        keys.get(name).map(String::as_str)
    }

    /// Rows.
    pub fn rows(&self) -> usize {
        self.batch.num_rows()
    }
}

/// Calls `see` with every batch of the files, in order.
///
/// # Errors
/// A file that cannot be read, or what `see` finds.
pub fn visit(
    files: &[PathBuf],
    mut see: impl FnMut(&Cells) -> Result<(), AppendError>,
) -> Result<(), AppendError> {
    for path in files {
        for batch in batches(path, ROWS)? {
            see(&Cells {
                batch: &batch?,
                path,
            })?;
        }
    }
    Ok(())
}

/// Writes all rows of the files, in order, to one Parquet file with a column more; `value` gives
/// its cells. `keys` are added to the metadata of the first file.
///
/// # Errors
/// A file that cannot be read or differs from the first; the disk is full.
pub fn append(
    files: &[PathBuf],
    out: &Path,
    field: &Field,
    keys: &[(String, String)],
    mut value: impl FnMut(&Cells) -> Result<ArrayRef, AppendError>,
) -> Result<(), AppendError> {
    let (io, bad, arrow) = (|e| io(out, e), |e| bad(out, e), |e| arrow(out, e));
    let pending = PendingFile::create(out).map_err(io)?;
    let mut writer: Option<(ArrowWriter<_>, Arc<Schema>, PathBuf)> = None;
    for path in files {
        for batch in batches(path, ROWS)? {
            let batch = batch?;
            if batch.column_by_name(field.name()).is_some() {
                return Err(AppendError::Exists {
                    path: path.clone(),
                    column: field.name().clone(),
                });
            }
            let cells = Cells {
                batch: &batch,
                path,
            };
            let added = value(&cells)?;
            if writer.is_none() {
                let own = batch.schema();
                let mut fields: Vec<Arc<Field>> = own.fields().iter().cloned().collect();
                fields.push(Arc::new(field.clone()));
                let mut metadata = own.metadata().clone();
                metadata.extend(keys.iter().cloned());
                let schema = Arc::new(Schema::new_with_metadata(fields, metadata));
                let properties = properties().map_err(bad)?;
                let file = pending.handle().map_err(io)?;
                let w = ArrowWriter::try_new(file, schema.clone(), Some(properties));
                writer = Some((w.map_err(bad)?, schema, path.clone()));
            }
            if let Some((w, schema, first)) = &mut writer {
                let mut columns = batch.columns().to_vec();
                columns.push(added);
                let same = schema.fields().len() == columns.len()
                    && schema
                        .fields()
                        .iter()
                        .zip(&columns)
                        .all(|(f, c)| f.data_type() == c.data_type())
                    && batch
                        .schema()
                        .fields()
                        .iter()
                        .zip(schema.fields())
                        .all(|(a, b)| a.name() == b.name());
                if !same {
                    return Err(AppendError::Differs {
                        path: path.clone(),
                        first: first.clone(),
                    });
                }
                let whole = RecordBatch::try_new(schema.clone(), columns).map_err(arrow)?;
                w.write(&whole).map_err(bad)?;
                w.flush().map_err(bad)?;
            }
        }
    }
    if let Some((w, ..)) = writer {
        w.close().map_err(bad)?;
    }
    pending.finish().map_err(io)
}

pub(super) fn io(path: &Path, source: std::io::Error) -> AppendError {
    AppendError::Write(CatalogueError::Io {
        path: path.to_owned(),
        source,
    })
}

pub(super) fn bad(path: &Path, source: ParquetError) -> AppendError {
    AppendError::Write(CatalogueError::Parquet {
        path: path.to_owned(),
        source,
    })
}

pub(super) fn arrow(path: &Path, source: ArrowError) -> AppendError {
    AppendError::Write(CatalogueError::Arrow {
        path: path.to_owned(),
        source,
    })
}

/// How Parquet is packed.
pub(super) fn properties() -> Result<WriterProperties, ParquetError> {
    let packed = Compression::ZSTD(ZstdLevel::try_new(3)?);
    Ok(WriterProperties::builder().set_compression(packed).build())
}

/// An int32 column with its meaning, as catalogues describe theirs.
pub fn flag(name: &str, description: &str) -> Field {
    let about = [("description", description), ("ucd", "meta.code.qual")];
    Field::new(name, DataType::Int32, false).with_metadata(
        about
            .into_iter()
            .map(|(k, v)| (k.to_owned(), v.to_owned()))
            .collect(),
    )
}
