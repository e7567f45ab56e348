//! A catalogue in one or several Parquet files, column by column: what is not looked at is not read.

use std::collections::BTreeMap;
use std::fs::File;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arrow_array::cast::AsArray;
use arrow_array::types::{Float32Type, Float64Type, Int64Type};
use arrow_array::{
    Array, ArrayRef, Float32Array, Float64Array, Int64Array, RecordBatch, StringArray,
};
use arrow_cast::cast;
use arrow_cast::display::array_value_to_string;
use arrow_schema::{DataType, Field, Schema, SchemaRef};
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{
    ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReaderBuilder, RowSelection,
    RowSelector,
};
use parquet::file::metadata::PageIndexPolicy;
use serde_json::{Map, Value};

use crate::{InspectError, embedding};

/// Bytes of columns that are kept in memory; those asked for longest ago go first.
const KEPT: usize = 160 << 20;
/// Rows decoded at a time.
const BATCH: usize = 8192;

/// A column of lists that says what a network made of each row.
const EMBEDDING: &str = "embedding";
/// What is drawn of it.
const COMPONENTS: [(&str, &str); 2] = [("embedding_1", "first"), ("embedding_2", "second")];

/// Values of one column of all rows.
#[derive(Clone, Debug)]
pub enum Column {
    /// Single precision; NaN where there is no value.
    Single(Float32Array),
    /// Double precision.
    Double(Float64Array),
    /// Whole numbers, as identifiers are.
    Whole(Int64Array),
    /// Text.
    Text(StringArray),
}

impl Column {
    /// The value as a number; NaN where there is none.
    pub fn number(&self, row: usize) -> f64 {
        match self {
            Column::Single(v) if v.is_valid(row) => f64::from(v.value(row)),
            Column::Double(v) if v.is_valid(row) => v.value(row),
            Column::Whole(v) if v.is_valid(row) => v.value(row) as f64,
            _ => f64::NAN,
        }
    }

    /// The value as text; empty where there is none.
    pub fn text(&self, row: usize) -> String {
        match self {
            Column::Text(v) if v.is_valid(row) => v.value(row).to_owned(),
            Column::Whole(v) if v.is_valid(row) => v.value(row).to_string(),
            Column::Single(v) if v.is_valid(row) => v.value(row).to_string(),
            Column::Double(v) if v.is_valid(row) => v.value(row).to_string(),
            _ => String::new(),
        }
    }

    /// The text itself, where it is text.
    pub fn words(&self) -> Option<&StringArray> {
        match self {
            Column::Text(v) => Some(v),
            _ => None,
        }
    }

    /// Whether its values are numbers.
    pub fn is_number(&self) -> bool {
        !matches!(self, Column::Text(_))
    }

    fn array(&self) -> ArrayRef {
        match self {
            Column::Single(v) => Arc::new(v.clone()),
            Column::Double(v) => Arc::new(v.clone()),
            Column::Whole(v) => Arc::new(v.clone()),
            Column::Text(v) => Arc::new(v.clone()),
        }
    }

    fn bytes(&self) -> usize {
        self.array().get_array_memory_size()
    }
}

struct Part {
    path: PathBuf,
    metadata: ArrowReaderMetadata,
    first: usize,
    rows: usize,
}

/// A catalogue.
pub struct Table {
    parts: Vec<Part>,
    schema: SchemaRef,
    rows: usize,
    derived: Vec<Field>,
    keys: BTreeMap<String, String>,
    kept: Mutex<Vec<(usize, Arc<Column>)>>,
}

/// What can be filtered and sorted: numbers and text.
fn is_flat(t: &DataType) -> bool {
    t.is_numeric()
        || matches!(
            t,
            DataType::Boolean | DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View
        )
}

/// What a column is held as.
fn kind_of(t: &DataType) -> DataType {
    match t {
        DataType::Float64 | DataType::UInt64 | DataType::Decimal128(..) => DataType::Float64,
        DataType::Float32 | DataType::Float16 => DataType::Float32,
        t if t.is_integer() => DataType::Int64,
        DataType::Boolean => DataType::Int64,
        _ => DataType::Utf8,
    }
}

impl Table {
    /// Opens the parts of a catalogue, which have the same columns.
    ///
    /// # Errors
    /// A file that is no Parquet, or has other columns than the first.
    pub fn open(files: &[PathBuf]) -> Result<Table, InspectError> {
        let (mut parts, mut rows) = (Vec::<Part>::new(), 0);
        // By the index of pages, rows that are skipped are not decoded.
        let options = ArrowReaderOptions::new().with_page_index_policy(PageIndexPolicy::Optional);
        for path in files {
            let file = File::open(path).map_err(|e| InspectError::file(path, e))?;
            let metadata = ArrowReaderMetadata::load(&file, options.clone())
                .map_err(|e| InspectError::file(path, format!("no catalogue in Parquet: {e}")))?;
            if let Some(first) = parts.first()
                && names(first.metadata.schema()) != names(metadata.schema())
            {
                return Err(InspectError::file(
                    path,
                    "has other columns than the first part",
                ));
            }
            let n = metadata.metadata().file_metadata().num_rows().max(0) as usize;
            let path = path.clone();
            parts.push(Part {
                path,
                metadata,
                first: rows,
                rows: n,
            });
            rows += n;
        }
        let first = parts
            .first()
            .ok_or_else(|| InspectError::Asked("no catalogue".into()))?;
        let schema = first.metadata.schema().clone();
        let file = first.metadata.metadata().file_metadata();
        let pairs = file.key_value_metadata().into_iter().flatten();
        let keys = pairs
            .filter_map(|k| Some((k.key.clone(), k.value.clone()?)))
            .collect();
        if u32::try_from(rows).is_err() {
            let why = format!(
                "{rows} rows: expected at most {}; inspect some of the parts",
                u32::MAX
            );
            return Err(InspectError::Asked(why));
        }
        let kept = Mutex::default();
        let embedded = schema.column_with_name(EMBEDDING).filter(|f| {
            matches!(f.1.data_type(), DataType::FixedSizeList(v, _) if *v.data_type() == DataType::Float32)
        });
        let component = |(name, order): (&str, &str)| {
            let meaning = format!("{order} principal component of the embedding");
            let meta = [("description".to_owned(), meaning)].into();
            Field::new(name, DataType::Float32, true).with_metadata(meta)
        };
        let derived = embedded.map_or(vec![], |_| COMPONENTS.map(component).to_vec());
        Ok(Table {
            derived,
            parts,
            schema,
            rows,
            keys,
            kept,
        })
    }

    /// Rows.
    pub fn len(&self) -> usize {
        self.rows
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.rows == 0
    }

    /// What the file says of itself: model, settings, command.
    pub fn key(&self, name: &str) -> Option<&str> {
        self.keys.get(name).map(String::as_str)
    }

    /// Columns that can be filtered and sorted; of an embedding its first two principal components.
    pub fn fields(&self) -> impl Iterator<Item = &Field> {
        let all = self.schema.fields().iter();
        let own = all.map(|f| f.as_ref()).filter(|f| is_flat(f.data_type()));
        own.chain(&self.derived)
    }

    /// Whether there is such a column.
    pub fn has(&self, name: &str) -> bool {
        self.schema.column_with_name(name).is_some()
    }

    fn kept(&self) -> MutexGuard<'_, Vec<(usize, Arc<Column>)>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A column of numbers or text.
    ///
    /// # Errors
    /// There is none of this name, or it holds lists; the file changed or is damaged.
    pub fn column(&self, name: &str) -> Result<Arc<Column>, InspectError> {
        if let Some(k) = self.derived.iter().position(|f| f.name() == name) {
            return self.component(k);
        }
        let found = self.schema.column_with_name(name);
        let Some((i, field)) = found.filter(|f| is_flat(f.1.data_type())) else {
            return Err(InspectError::Asked(format!(
                "no column '{name}' of numbers or text"
            )));
        };
        {
            let mut kept = self.kept();
            if let Some(at) = kept.iter().position(|k| k.0 == i) {
                let one = kept.remove(at);
                kept.push(one.clone());
                return Ok(one.1);
            }
        }
        let kind = kind_of(field.data_type());
        let mut arrays: Vec<ArrayRef> = vec![];
        for p in &self.parts {
            self.read(p, Some(&[i]), None, &mut |b| {
                arrays.push(cast(b.column(0), &kind)?);
                Ok(())
            })?;
        }
        let all = self.joined(&arrays, &kind, i)?;
        let column = Arc::new(match kind {
            DataType::Float64 => Column::Double(all.as_primitive::<Float64Type>().clone()),
            DataType::Float32 => Column::Single(all.as_primitive::<Float32Type>().clone()),
            DataType::Int64 => Column::Whole(all.as_primitive::<Int64Type>().clone()),
            _ => Column::Text(all.as_string::<i32>().clone()),
        });
        let mut kept = self.kept();
        kept.push((i, column.clone()));
        while kept.len() > 1 && kept.iter().map(|k| k.1.bytes()).sum::<usize>() > KEPT {
            kept.remove(0);
        }
        Ok(column)
    }

    /// One of the principal components of the embedding; both are worked out at once.
    fn component(&self, k: usize) -> Result<Arc<Column>, InspectError> {
        let place = |k: usize| self.schema.fields().len() + k;
        if let Some(found) = self.kept().iter().find(|c| c.0 == place(k)) {
            return Ok(found.1.clone());
        }
        let i = self.schema.index_of(EMBEDDING);
        let i = i.map_err(|e| InspectError::Asked(e.to_string()))?;
        let each = |f: &mut dyn FnMut(Option<Vec<f32>>)| {
            self.parts.iter().try_for_each(|p| {
                self.read(p, Some(&[i]), None, &mut |b| {
                    embedding::rows(&b).into_iter().for_each(&mut *f);
                    Ok(())
                })
            })
        };
        // Some rows make the components; all are drawn, without being held.
        let step = self.rows.div_ceil(embedding::ROWS).max(1);
        let (mut some, mut n) = (vec![], 0);
        each(&mut |r| {
            some.extend(r.filter(|_| n % step == 0));
            n += 1;
        })?;
        let components = embedding::Components::of(&some);
        let mut along = [vec![], vec![]];
        each(&mut |r| {
            for (k, out) in along.iter_mut().enumerate() {
                out.push(r.as_ref().map(|r| components.along(k, r)));
            }
        })?;
        let both = along.map(|v| Arc::new(Column::Single(v.into_iter().collect())));
        let mut kept = self.kept();
        for (k, c) in both.iter().enumerate() {
            kept.push((place(k), c.clone()));
        }
        Ok(both[k].clone())
    }

    /// Reads some columns (all where none is named) of some rows of a part.
    fn read(
        &self,
        part: &Part,
        columns: Option<&[usize]>,
        rows: Option<Range<usize>>,
        each: &mut dyn FnMut(RecordBatch) -> Result<(), arrow_schema::ArrowError>,
    ) -> Result<(), InspectError> {
        let bad = |e: &dyn std::fmt::Display| InspectError::file(&part.path, e.to_string());
        let file = File::open(&part.path).map_err(|e| bad(&e))?;
        let metadata = part.metadata.clone();
        let mut b = ParquetRecordBatchReaderBuilder::new_with_metadata(file, metadata)
            .with_batch_size(BATCH);
        if let Some(c) = columns {
            let mask = ProjectionMask::roots(b.parquet_schema(), c.iter().copied());
            b = b.with_projection(mask);
        }
        if let Some(r) = rows {
            let picked = vec![RowSelector::skip(r.start), RowSelector::select(r.len())];
            b = b.with_row_selection(RowSelection::from(picked));
        }
        for batch in b.build().map_err(|e| bad(&e))? {
            each(batch.map_err(|e| bad(&e))?).map_err(|e| bad(&e))?;
        }
        Ok(())
    }

    /// Neighbouring rows of a column that is not in memory, without the others.
    fn slice(&self, i: usize, rows: Range<usize>) -> Result<ArrayRef, InspectError> {
        let kind = kind_of(self.schema.field(i).data_type());
        let mut arrays: Vec<ArrayRef> = vec![];
        for p in &self.parts {
            let from = rows.start.max(p.first);
            let to = rows.end.min(p.first + p.rows);
            if from < to {
                self.read(
                    p,
                    Some(&[i]),
                    Some(from - p.first..to - p.first),
                    &mut |b| {
                        arrays.push(cast(b.column(0), &kind)?);
                        Ok(())
                    },
                )?;
            }
        }
        self.joined(&arrays, &kind, i)
    }

    fn joined(
        &self,
        arrays: &[ArrayRef],
        kind: &DataType,
        i: usize,
    ) -> Result<ArrayRef, InspectError> {
        let parts: Vec<&dyn Array> = arrays.iter().map(AsRef::as_ref).collect();
        if parts.is_empty() {
            return Ok(arrow_array::new_empty_array(kind));
        }
        let name = self.schema.field(i).name();
        let bad = |e| InspectError::file(self.path(), format!("column {name}: {e}"));
        arrow_select::concat::concat(&parts).map_err(bad)
    }

    /// All columns of one row, lists included.
    ///
    /// # Errors
    /// There is no such row; the file changed or is damaged.
    pub fn row(&self, row: usize) -> Result<Map<String, Value>, InspectError> {
        let none = || InspectError::Asked(format!("no row {row}: the catalogue has {}", self.rows));
        let inside = |p: &&Part| (p.first..p.first + p.rows).contains(&row);
        let part = self.parts.iter().find(inside).ok_or_else(none)?;
        let mut out = Map::new();
        let at = row - part.first;
        self.read(part, None, Some(at..at + 1), &mut |b| {
            for (f, c) in b.schema_ref().fields().iter().zip(b.columns()) {
                if c.len() == 1 {
                    out.insert(f.name().clone(), json(c.as_ref(), 0));
                }
            }
            Ok(())
        })?;
        if out.is_empty() { Err(none()) } else { Ok(out) }
    }

    /// Some rows of some columns, as a batch.
    ///
    /// # Errors
    /// As [`Table::column`].
    pub fn take(&self, rows: &[u32], names: &[String]) -> Result<RecordBatch, InspectError> {
        let at = arrow_array::UInt32Array::from(rows.to_vec());
        let (mut fields, mut arrays) = (vec![], vec![]);
        let bad = |e: arrow_schema::ArrowError| InspectError::Asked(e.to_string());
        // The first page of a large catalogue needs no whole column.
        let neighbours = rows.windows(2).all(|w| w[1] == w[0] + 1);
        let range = rows
            .first()
            .map_or(0..0, |f| *f as usize..*f as usize + rows.len());
        for name in names {
            let new = self
                .schema
                .column_with_name(name)
                .filter(|(i, f)| is_flat(f.data_type()) && !self.kept().iter().any(|k| k.0 == *i));
            let mut some = match new {
                Some((i, _)) if neighbours => self.slice(i, range.clone())?,
                _ => {
                    let all = self.column(name)?.array();
                    arrow_select::take::take(&all, &at, None).map_err(bad)?
                }
            };
            // Identifiers go beyond what numbers of a browser hold.
            if *some.data_type() == DataType::Int64 {
                some = cast(&some, &DataType::Utf8).map_err(bad)?;
            }
            fields.push(Field::new(name, some.data_type().clone(), true));
            arrays.push(some);
        }
        let row: ArrayRef = Arc::new(at);
        fields.insert(0, Field::new("#", DataType::UInt32, false));
        arrays.insert(0, row);
        RecordBatch::try_new(Arc::new(Schema::new(fields)), arrays).map_err(bad)
    }

    /// Where the catalogue lies.
    pub fn path(&self) -> &Path {
        &self.parts[0].path
    }
}

fn names(s: &Schema) -> Vec<&String> {
    s.fields().iter().map(|f| f.name()).collect()
}

/// One value of an array for people.
fn json(a: &dyn Array, i: usize) -> Value {
    if a.is_null(i) {
        return Value::Null;
    }
    let list = |v: ArrayRef| Value::Array((0..v.len()).map(|k| json(v.as_ref(), k)).collect());
    match a.data_type() {
        DataType::List(_) => list(a.as_list::<i32>().value(i)),
        DataType::FixedSizeList(..) => list(a.as_fixed_size_list().value(i)),
        DataType::Struct(fields) => {
            let columns = a.as_struct().columns();
            let pairs = fields.iter().zip(columns);
            let one = |(f, c): (&Arc<Field>, &ArrayRef)| (f.name().clone(), json(c.as_ref(), i));
            Value::Object(pairs.map(one).collect())
        }
        DataType::Float64 => Value::from(a.as_primitive::<Float64Type>().value(i)),
        // The shortest number that is the same in single precision.
        DataType::Float32 => {
            let v = a.as_primitive::<Float32Type>().value(i);
            v.to_string()
                .parse::<f64>()
                .map_or(Value::Null, Value::from)
        }
        DataType::Int8 | DataType::Int16 | DataType::Int32 => array_value_to_string(a, i)
            .map_or(Value::Null, |t| {
                t.parse::<i64>().map_or(Value::Null, Value::from)
            }),
        _ => array_value_to_string(a, i).map_or(Value::Null, Value::from),
    }
}

#[cfg(test)]
pub(crate) mod tests;
