//! Catalogue rows to Parquet (streamed), CSV (streamed) and FITS. Every file appears whole or not
//! at all: it is written beside its name and renamed at the end.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow_array::{
    ArrayRef, FixedSizeListArray, Float32Array, Float64Array, Int32Array, Int64Array, ListArray,
    RecordBatch, StringArray, StructArray,
};
use arrow_buffer::OffsetBuffer;
use arrow_schema::{ArrowError, DataType, Field, Fields, Schema};
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::errors::ParquetError;
use parquet::file::metadata::KeyValue;
use parquet::file::properties::WriterProperties;

pub mod append;
pub mod embedding;
pub mod order;

use crate::atomic::{PendingFile, atomic_write};
use crate::fits::write::{Cells, TableWriter};

/// One alternative answer, best first in each row.
#[derive(Clone, Debug, PartialEq)]
pub struct SolutionCell {
    /// Place among the solutions, from 1.
    pub rank: i32,
    /// Redshift.
    pub z: f64,
    /// Its error (68 %).
    pub z_err: f64,
    /// Probability, from 0 to 1.
    pub prob: f32,
    /// `GALAXY`, `QSO` or `STAR`.
    pub spectype: &'static str,
    /// Line that the strongest feature is taken for; may be empty.
    pub line_id: String,
}

/// Values of one column, one per row.
#[derive(Clone, Debug, PartialEq)]
pub enum Values {
    /// Double precision.
    F64(Vec<f64>),
    /// Single precision.
    F32(Vec<f32>),
    /// 64-bit integers.
    I64(Vec<i64>),
    /// 32-bit integers.
    I32(Vec<i32>),
    /// Text.
    Text(Vec<String>),
    /// list<struct<rank, z, z_err, prob, spectype, line_id>> in Parquet; text
    /// `GALAXY:0.5123:0.0001:0.98:Halpha;…` elsewhere.
    Solutions(Vec<Vec<SolutionCell>>),
    /// Arrays of equal meaning but any length (spectra): Parquet only.
    F64Lists(Vec<Vec<f64>>),
    /// A list of numbers a row, in single precision.
    F32Lists(Vec<Vec<f32>>),
    /// As many numbers in each row, `[row][value]`: an array column.
    F32Arrays {
        /// Numbers in a row.
        width: usize,
        /// `[row][value]`.
        values: Vec<f32>,
    },
}

/// A column: its name, unit (VOUnit), UCD and meaning, and its values.
#[derive(Clone, Debug, PartialEq)]
pub struct Column {
    /// As the column is called in every format.
    pub name: &'static str,
    /// VOUnit; empty for numbers without a unit and for text.
    pub unit: &'static str,
    /// IVOA unified content descriptor.
    pub ucd: &'static str,
    /// Meaning, in a line.
    pub description: &'static str,
    /// A value a row.
    pub values: Values,
}

impl Column {
    /// A column without unit, UCD or description.
    pub fn bare(name: &'static str, values: Values) -> Self {
        Column {
            name,
            unit: "",
            ucd: "",
            description: "",
            values,
        }
    }

    /// The value of a row, if it is a number that is there.
    pub fn number(&self, row: usize) -> Option<f64> {
        let v = match &self.values {
            Values::F64(v) => *v.get(row)?,
            Values::F32(v) => f64::from(*v.get(row)?),
            Values::I64(v) => *v.get(row)? as f64,
            Values::I32(v) => f64::from(*v.get(row)?),
            _ => return None,
        };
        v.is_finite().then_some(v)
    }
}

/// Why a catalogue cannot be written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
#[expect(missing_docs, reason = "the messages say it")]
pub enum CatalogueError {
    #[error("cannot write {}: {source}", path.display())]
    Io {
        path: PathBuf,
        source: std::io::Error,
    },
    #[error("cannot write {}: {source}", path.display())]
    Parquet { path: PathBuf, source: ParquetError },
    #[error("cannot write {}: {source}", path.display())]
    Arrow { path: PathBuf, source: ArrowError },
    /// A batch that is unlike the first.
    #[error("cannot write {}: {why}", path.display())]
    Columns { path: PathBuf, why: String },
    #[error("{}: unknown kind of catalogue; expected a name that ends in .parquet, .fits or .csv", .0.display())]
    Kind(PathBuf),
}

enum Sink {
    Parquet(Option<Box<ArrowWriter<File>>>),
    Csv(BufWriter<File>, bool),
    Fits(Vec<Column>),
}

/// A catalogue being written in batches of columns.
pub struct CatalogueWriter {
    path: PathBuf,
    pending: PendingFile,
    /// Names and kinds of the first batch, which all others must have.
    columns: Option<Vec<(&'static str, &'static str)>>,
    /// Name, unit, UCD and description of each column.
    about: Vec<[&'static str; 4]>,
    sink: Sink,
    keys: Vec<(String, String)>,
}

impl CatalogueWriter {
    /// Chooses the format by the name's ending. `keys` go into the file's metadata.
    ///
    /// # Errors
    /// Unknown ending, or the file cannot be created.
    pub fn create(path: &Path, keys: &[(&str, String)]) -> Result<Self, CatalogueError> {
        let name = path.to_string_lossy().to_lowercase();
        let io = |source| CatalogueError::Io {
            path: path.to_owned(),
            source,
        };
        let kind = ["parquet", "csv", "fits", "fit"].into_iter();
        let Some(kind) = kind.into_iter().find(|e| name.ends_with(&format!(".{e}"))) else {
            return Err(CatalogueError::Kind(path.to_owned()));
        };
        let pending = PendingFile::create(path).map_err(io)?;
        let sink = match kind {
            "parquet" => Sink::Parquet(None),
            "csv" => Sink::Csv(BufWriter::new(pending.handle().map_err(io)?), false),
            _ => Sink::Fits(vec![]),
        };
        let keys = keys
            .iter()
            .map(|(k, v)| ((*k).to_owned(), v.clone()))
            .collect();
        Ok(CatalogueWriter {
            path: path.to_owned(),
            pending,
            columns: None,
            about: vec![],
            sink,
            keys,
        })
    }

    /// Appends rows; every batch has the same columns. FITS is held in memory until the end (about
    /// 250 bytes a row).
    ///
    /// # Errors
    /// Disk full and the like.
    pub fn write(&mut self, batch: Vec<Column>) -> Result<(), CatalogueError> {
        self.check(&batch)?;
        let path = self.path.clone();
        let io = |source| CatalogueError::Io {
            path: path.clone(),
            source,
        };
        match &mut self.sink {
            Sink::Parquet(writer) => {
                let record = record(&batch).map_err(|source| CatalogueError::Arrow {
                    path: path.clone(),
                    source,
                })?;
                let bad = |source| CatalogueError::Parquet {
                    path: path.clone(),
                    source,
                };
                if writer.is_none() {
                    let file = self.pending.handle().map_err(io)?;
                    let mut keys: Vec<KeyValue> = self
                        .keys
                        .iter()
                        .map(|(k, v)| KeyValue::new(k.clone(), v.clone()))
                        .collect();
                    keys.push(KeyValue::new(
                        "IVOA.VOTable-Parquet.version".into(),
                        "1.0".to_owned(),
                    ));
                    keys.push(KeyValue::new(
                        "IVOA.VOTable-Parquet.content".into(),
                        votable(&batch),
                    ));
                    let level = ZstdLevel::try_new(3).map_err(bad)?;
                    let properties = WriterProperties::builder()
                        .set_compression(Compression::ZSTD(level))
                        .set_key_value_metadata(Some(keys))
                        .build();
                    // Keys in the Arrow schema too: pyarrow shows only those.
                    let schema = Schema::new_with_metadata(
                        record.schema().fields().clone(),
                        self.keys.iter().cloned().collect(),
                    );
                    *writer = Some(Box::new(
                        ArrowWriter::try_new(file, Arc::new(schema), Some(properties))
                            .map_err(bad)?,
                    ));
                }
                if let Some(w) = writer {
                    w.write(&record).map_err(bad)?;
                    if w.in_progress_size() > 8 << 20 {
                        w.flush().map_err(bad)?;
                    }
                }
                Ok(())
            }
            Sink::Csv(out, begun) => {
                if !*begun {
                    let names: Vec<&str> = batch.iter().map(|c| c.name).collect();
                    writeln!(out, "{}", names.join(",")).map_err(io)?;
                    *begun = true;
                }
                let texts: Vec<Vec<String>> = batch.iter().map(|c| c.values.texts()).collect();
                for row in 0..texts.first().map_or(0, Vec::len) {
                    let cells: Vec<&str> = texts.iter().map(|t| t[row].as_str()).collect();
                    writeln!(out, "{}", cells.join(",")).map_err(io)?;
                }
                Ok(())
            }
            Sink::Fits(all) => {
                if all.is_empty() {
                    *all = batch;
                } else {
                    all.iter_mut()
                        .zip(batch)
                        .for_each(|(a, b)| a.values.append(b.values));
                }
                Ok(())
            }
        }
    }

    /// Every batch has the columns of the first, each with as many rows.
    fn check(&mut self, batch: &[Column]) -> Result<(), CatalogueError> {
        let bad = |why: String| {
            Err(CatalogueError::Columns {
                path: self.path.clone(),
                why,
            })
        };
        let own: Vec<_> = batch.iter().map(|c| (c.name, c.values.kind())).collect();
        let rows = batch.first().map_or(0, |c| c.values.len());
        if let Some(c) = batch.iter().find(|c| c.values.len() != rows) {
            return bad(format!(
                "column {} has {} rows, expected {rows}",
                c.name,
                c.values.len()
            ));
        }
        match &self.columns {
            Some(first) if *first != own => bad(format!("columns {own:?}, expected {first:?}")),
            Some(_) => Ok(()),
            None => {
                self.columns = Some(own);
                let about = |c: &Column| [c.name, c.unit, c.ucd, c.description];
                self.about = batch.iter().map(about).collect();
                Ok(())
            }
        }
    }

    /// Ends the file and gives it its name.
    ///
    /// # Errors
    /// As [`CatalogueWriter::write`].
    pub fn finish(self) -> Result<(), CatalogueError> {
        let io = |source| CatalogueError::Io {
            path: self.path.clone(),
            source,
        };
        match self.sink {
            Sink::Parquet(writer) => {
                if let Some(w) = writer {
                    w.close().map_err(|source| CatalogueError::Parquet {
                        path: self.path.clone(),
                        source,
                    })?;
                }
            }
            Sink::Csv(mut out, _) => {
                out.flush().map_err(io)?;
                if !self.keys.is_empty() {
                    let beside = beside(&self.path);
                    atomic_write(&beside, csv_metadata(&self.path, &self.keys, &self.about))
                        .map_err(|source| CatalogueError::Io {
                            path: beside,
                            source,
                        })?;
                }
            }
            Sink::Fits(columns) => {
                let bytes = fits(columns, &self.keys);
                self.pending
                    .handle()
                    .and_then(|mut f| f.write_all(&bytes))
                    .map_err(io)?;
            }
        }
        self.pending.finish().map_err(io)
    }
}

/// Where the metadata of a CSV file lie (W3C, CSV on the Web).
fn beside(csv: &Path) -> PathBuf {
    let mut name = csv.as_os_str().to_owned();
    name.push("-metadata.json");
    name.into()
}

/// Metadata of a CSV file: the keys, and what each column means.
fn csv_metadata(csv: &Path, keys: &[(String, String)], about: &[[&str; 4]]) -> String {
    let columns = about.iter().map(|[name, unit, ucd, description]| {
        serde_json::json!({"name": name, "unit": unit, "ucd": ucd, "dc:description": description})
    });
    let mut all = serde_json::json!({
        "@context": "http://www.w3.org/ns/csvw",
        "url": csv.file_name().unwrap_or_default().to_string_lossy(),
        "tableSchema": {"columns": columns.collect::<Vec<_>>()},
    });
    for (k, v) in keys {
        all[format!("slipher:{k}")] = v.clone().into();
    }
    format!("{all:#}\n")
}

/// A FITS file of one table; keys that list numbers (grids) are tables of their own.
fn fits(columns: Vec<Column>, keys: &[(String, String)]) -> Vec<u8> {
    let mut t = TableWriter::new("CATALOGUE");
    let (grids, words): (Vec<_>, Vec<_>) = keys.iter().partition(|(k, _)| k.ends_with("_grid"));
    for (k, v) in words {
        let key = k.to_uppercase();
        let letters = key.chars().filter(char::is_ascii_alphanumeric);
        t.keyword(&letters.take(8).collect::<String>(), v);
    }
    for c in columns {
        let cells = match c.values {
            Values::F64(v) => Cells::F64(v),
            Values::F32(v) => Cells::F32(v),
            Values::I64(v) => Cells::I64(v),
            Values::I32(v) => Cells::I32(v),
            Values::Text(v) => Cells::Text(v),
            Values::F32Lists(v) if v.iter().all(|l| l.len() == v[0].len()) => {
                Cells::F32s(v.first().map_or(0, Vec::len), v.concat())
            }
            Values::F32Arrays { width, values } => Cells::F32s(width, values),
            other => Cells::Text(other.texts()),
        };
        t.column_about(c.name, [c.unit, c.ucd, c.description], cells);
    }
    let mut tables = vec![t];
    for (k, v) in grids {
        let numbers = v.split([' ', ',', '[', ']']).filter_map(|w| w.parse().ok());
        let mut grid = TableWriter::new(&k.to_uppercase());
        grid.column("z", "", Cells::F64(numbers.collect()));
        tables.push(grid);
    }
    crate::fits::write::file(&[], &tables)
}

impl Values {
    fn append(&mut self, other: Values) {
        match (self, other) {
            (Values::F64(a), Values::F64(b)) => a.extend(b),
            (Values::F32(a), Values::F32(b)) => a.extend(b),
            (Values::I64(a), Values::I64(b)) => a.extend(b),
            (Values::I32(a), Values::I32(b)) => a.extend(b),
            (Values::Text(a), Values::Text(b)) => a.extend(b),
            (Values::Solutions(a), Values::Solutions(b)) => a.extend(b),
            (Values::F64Lists(a), Values::F64Lists(b)) => a.extend(b),
            (Values::F32Lists(a), Values::F32Lists(b)) => a.extend(b),
            (Values::F32Arrays { values: a, .. }, Values::F32Arrays { values: b, .. }) => {
                a.extend(b)
            }
            _ => unreachable!("batches are checked to have the same columns"),
        }
    }

    /// Rows.
    pub fn len(&self) -> usize {
        match self {
            Values::F64(v) => v.len(),
            Values::F32(v) => v.len(),
            Values::I64(v) => v.len(),
            Values::I32(v) => v.len(),
            Values::Text(v) => v.len(),
            Values::Solutions(v) => v.len(),
            Values::F64Lists(v) => v.len(),
            Values::F32Lists(v) => v.len(),
            Values::F32Arrays { width, values } => values.len() / (*width).max(1),
        }
    }

    /// Whether there are no rows.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// For messages, and to compare batches.
    fn kind(&self) -> &'static str {
        match self {
            Values::F64(_) => "f64",
            Values::F32(_) => "f32",
            Values::I64(_) => "i64",
            Values::I32(_) => "i32",
            Values::Text(_) => "text",
            Values::Solutions(_) => "solutions",
            Values::F64Lists(_) => "lists of f64",
            Values::F32Lists(_) => "lists of f32",
            Values::F32Arrays { .. } => "arrays of f32",
        }
    }

    /// Cells as CSV text (RFC 4180); NaN is empty.
    fn texts(&self) -> Vec<String> {
        fn number(x: f64) -> String {
            if x.is_nan() {
                String::new()
            } else {
                x.to_string()
            }
        }
        match self {
            Values::F64(v) => v.iter().map(|x| number(*x)).collect(),
            Values::F32(v) => v
                .iter()
                .map(|x| {
                    if x.is_nan() {
                        String::new()
                    } else {
                        x.to_string()
                    }
                })
                .collect(),
            Values::I64(v) => v.iter().map(ToString::to_string).collect(),
            Values::I32(v) => v.iter().map(ToString::to_string).collect(),
            Values::Text(v) => v
                .iter()
                .map(|s| {
                    if s.contains([',', '"', '\n', '\r']) {
                        format!("\"{}\"", s.replace('"', "\"\""))
                    } else {
                        s.clone()
                    }
                })
                .collect(),
            Values::Solutions(v) => v
                .iter()
                .map(|row| {
                    row.iter()
                        .map(|s| {
                            format!(
                                "{}:{:.6}:{:.6}:{:.4}:{}",
                                s.spectype, s.z, s.z_err, s.prob, s.line_id
                            )
                        })
                        .collect::<Vec<_>>()
                        .join(";")
                })
                .collect(),
            Values::F64Lists(v) => v.iter().map(|l| spaced(l)).collect(),
            Values::F32Lists(v) => v.iter().map(|l| spaced(l)).collect(),
            Values::F32Arrays { width, values } => {
                values.chunks_exact((*width).max(1)).map(spaced).collect()
            }
        }
    }
}

/// Arrow record of a batch, with unit, UCD and description in each field's metadata.
///
/// # Errors
/// Columns of unequal length.
pub fn record(batch: &[Column]) -> Result<RecordBatch, ArrowError> {
    let mut fields = Vec::new();
    let mut arrays: Vec<ArrayRef> = Vec::new();
    for c in batch {
        let array = array(&c.values)?;
        let mut meta =
            std::collections::HashMap::from([("description".to_owned(), c.description.to_owned())]);
        for (k, v) in [("unit", c.unit), ("ucd", c.ucd)] {
            if !v.is_empty() {
                meta.insert(k.to_owned(), v.to_owned());
            }
        }
        fields.push(Field::new(c.name, array.data_type().clone(), true).with_metadata(meta));
        arrays.push(array);
    }
    RecordBatch::try_new(Arc::new(Schema::new(fields)), arrays)
}

fn array(values: &Values) -> Result<ArrayRef, ArrowError> {
    fn list(
        lengths: impl Iterator<Item = usize>,
        item: Field,
        flat: ArrayRef,
    ) -> Result<ArrayRef, ArrowError> {
        let lengths: Vec<usize> = lengths.collect();
        Ok(Arc::new(ListArray::try_new(
            Arc::new(item),
            OffsetBuffer::from_lengths(lengths),
            flat,
            None,
        )?))
    }
    let optional = |v: &[f64]| {
        Float64Array::from(
            v.iter()
                .map(|x| (!x.is_nan()).then_some(*x))
                .collect::<Vec<_>>(),
        )
    };
    Ok(match values {
        Values::F64(v) => Arc::new(optional(v)),
        Values::F32(v) => Arc::new(Float32Array::from(
            v.iter()
                .map(|x| (!x.is_nan()).then_some(*x))
                .collect::<Vec<_>>(),
        )),
        Values::I64(v) => Arc::new(Int64Array::from(v.clone())),
        Values::I32(v) => Arc::new(Int32Array::from(v.clone())),
        Values::Text(v) => Arc::new(StringArray::from_iter_values(v)),
        Values::F64Lists(v) => {
            let flat = Arc::new(Float64Array::from_iter_values(v.iter().flatten().copied()));
            list(
                v.iter().map(Vec::len),
                Field::new("item", DataType::Float64, true),
                flat,
            )?
        }
        Values::F32Lists(v) => {
            let flat = Arc::new(Float32Array::from_iter_values(v.iter().flatten().copied()));
            list(
                v.iter().map(Vec::len),
                Field::new("item", DataType::Float32, true),
                flat,
            )?
        }
        Values::F32Arrays { width, values } => Arc::new(FixedSizeListArray::try_new(
            Arc::new(Field::new("item", DataType::Float32, true)),
            i32::try_from(*width).unwrap_or(i32::MAX),
            Arc::new(Float32Array::from(values.clone())),
            None,
        )?),
        Values::Solutions(v) => {
            let all: Vec<&SolutionCell> = v.iter().flatten().collect();
            let fields: Fields = vec![
                Field::new("rank", DataType::Int32, false),
                Field::new("z", DataType::Float64, false),
                Field::new("z_err", DataType::Float64, false),
                Field::new("prob", DataType::Float32, false),
                Field::new("spectype", DataType::Utf8, false),
                Field::new("line_id", DataType::Utf8, false),
            ]
            .into();
            let columns: Vec<ArrayRef> = vec![
                Arc::new(Int32Array::from_iter_values(all.iter().map(|s| s.rank))),
                Arc::new(Float64Array::from_iter_values(all.iter().map(|s| s.z))),
                Arc::new(Float64Array::from_iter_values(all.iter().map(|s| s.z_err))),
                Arc::new(Float32Array::from_iter_values(all.iter().map(|s| s.prob))),
                Arc::new(StringArray::from_iter_values(
                    all.iter().map(|s| s.spectype),
                )),
                Arc::new(StringArray::from_iter_values(
                    all.iter().map(|s| s.line_id.as_str()),
                )),
            ];
            let item = Field::new("item", DataType::Struct(fields.clone()), true);
            let flat = Arc::new(StructArray::try_new(fields, columns, None)?);
            list(v.iter().map(Vec::len), item, flat)?
        }
    })
}

/// A VOTable without data that describes the columns (VOParquet 1.0 note).
fn votable(batch: &[Column]) -> String {
    let escape = |s: &str| {
        s.replace('&', "&amp;")
            .replace('<', "&lt;")
            .replace('"', "&quot;")
    };
    let mut fields = String::new();
    for c in batch {
        let sized;
        let kind = match &c.values {
            Values::F64(_) => "datatype=\"double\"",
            Values::F32(_) => "datatype=\"float\"",
            Values::I64(_) => "datatype=\"long\"",
            Values::I32(_) => "datatype=\"int\"",
            Values::Text(_) => "datatype=\"char\" arraysize=\"*\"",
            Values::F64Lists(_) => "datatype=\"double\" arraysize=\"*\"",
            Values::F32Lists(_) => "datatype=\"float\" arraysize=\"*\"",
            Values::F32Arrays { width, .. } => {
                sized = format!("datatype=\"float\" arraysize=\"{width}\"");
                sized.as_str()
            }
            Values::Solutions(_) => continue,
        };
        let unit = if c.unit.is_empty() {
            String::new()
        } else {
            format!(" unit=\"{}\"", escape(c.unit))
        };
        let ucd = if c.ucd.is_empty() {
            String::new()
        } else {
            format!(" ucd=\"{}\"", escape(c.ucd))
        };
        fields.push_str(&format!(
            "<FIELD name=\"{}\" {kind}{unit}{ucd}><DESCRIPTION>{}</DESCRIPTION></FIELD>",
            c.name,
            escape(c.description)
        ));
    }
    format!(
        "<?xml version=\"1.0\"?><VOTABLE version=\"1.5\" xmlns=\"http://www.ivoa.net/xml/VOTable/v1.3\"><RESOURCE><TABLE>{fields}</TABLE></RESOURCE></VOTABLE>"
    )
}

/// Numbers with spaces between them.
fn spaced<T: ToString>(values: &[T]) -> String {
    let all: Vec<String> = values.iter().map(ToString::to_string).collect();
    all.join(" ")
}

#[cfg(test)]
mod tests;
