//! Some rows of Parquet catalogues, in another order, as a catalogue of their own.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow_array::{ArrayRef, RecordBatch, UInt64Array};
use arrow_schema::{Field, Schema};
use arrow_select::concat::concat_batches;
use arrow_select::take::take_record_batch;
use parquet::arrow::ArrowWriter;

use super::append::{AppendError, ROWS, arrow, bad, io, properties};
use crate::atomic::PendingFile;
use crate::hats::batches;

/// The rows of these numbers, counted over all files from 0, in this order.
///
/// # Errors
/// A file that cannot be read or whose columns differ from those of the first.
pub fn pick(files: &[PathBuf], wanted: &[u64]) -> Result<RecordBatch, AppendError> {
    let mut sorted: Vec<(u64, usize)> = wanted.iter().copied().zip(0..).collect();
    sorted.sort_unstable();
    let (mut first, mut found, mut places) = (0u64, Vec::new(), Vec::new());
    let mut rest = &sorted[..];
    let mut schema = None;
    for path in files {
        for batch in batches(path, ROWS)? {
            let batch = batch?;
            let (own, from) = schema.get_or_insert_with(|| (batch.schema(), path.clone()));
            if own.fields() != batch.schema_ref().fields() {
                return Err(AppendError::Differs {
                    path: path.clone(),
                    first: from.clone(),
                });
            }
            let last = first + batch.num_rows() as u64;
            let here = rest.partition_point(|w| w.0 < last);
            let (some, others) = rest.split_at(here);
            rest = others;
            let rows: UInt64Array = some.iter().map(|w| w.0 - first).collect();
            places.extend(some.iter().map(|w| w.1 as u64));
            found.push(take_record_batch(&batch, &rows).map_err(|e| arrow(path, e))?);
            first = last;
        }
    }
    let Some((schema, path)) = schema else {
        return Ok(RecordBatch::new_empty(Arc::new(Schema::empty())));
    };
    let all = concat_batches(&schema, &found).map_err(|e| arrow(&path, e))?;
    // Where each wanted row lies now.
    let mut order = vec![0u64; places.len()];
    for (now, place) in places.iter().enumerate() {
        order[*place as usize] = now as u64;
    }
    take_record_batch(&all, &UInt64Array::from(order)).map_err(|e| arrow(&path, e))
}

/// Writes rows with more columns, in front, and more metadata.
///
/// # Errors
/// A column that is there already, or of another length; the disk is full.
pub fn write(
    out: &Path,
    rows: &RecordBatch,
    columns: Vec<(Field, ArrayRef)>,
    keys: &[(String, String)],
) -> Result<(), AppendError> {
    let (mut fields, mut arrays) = (vec![], vec![]);
    for (field, array) in columns {
        if rows.column_by_name(field.name()).is_some() {
            return Err(AppendError::Exists {
                path: out.to_owned(),
                column: field.name().clone(),
            });
        }
        fields.push(Arc::new(field));
        arrays.push(array);
    }
    let own = rows.schema();
    fields.extend(own.fields().iter().cloned());
    arrays.extend(rows.columns().iter().cloned());
    let mut metadata = own.metadata().clone();
    metadata.extend(keys.iter().cloned());
    let schema = Arc::new(Schema::new_with_metadata(fields, metadata));
    let whole = RecordBatch::try_new(schema.clone(), arrays).map_err(|e| arrow(out, e))?;
    let (io, bad) = (|e| io(out, e), |e| bad(out, e));
    let pending = PendingFile::create(out).map_err(io)?;
    let file = pending.handle().map_err(io)?;
    let properties = properties().map_err(bad)?;
    let mut w = ArrowWriter::try_new(file, schema, Some(properties)).map_err(bad)?;
    w.write(&whole).map_err(bad)?;
    w.close().map_err(bad)?;
    pending.finish().map_err(io)
}

#[cfg(test)]
mod tests {
    use super::super::{CatalogueWriter, Column, Values};
    use super::*;
    use arrow_array::cast::AsArray;
    use arrow_array::types::Int64Type;

    #[test]
    fn rows_come_in_the_order_that_is_wanted() {
        let folder = std::env::temp_dir().join(format!("slipher-order-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let files: Vec<PathBuf> = (0..3)
            .map(|k| {
                let path = folder.join(format!("{k}.parquet"));
                let mut w = CatalogueWriter::create(&path, &[("model", "m".into())]).unwrap();
                let rows = (10 * k..10 * k + 5).collect();
                w.write(vec![Column::bare("row", Values::I64(rows))])
                    .unwrap();
                w.finish().unwrap();
                path
            })
            .collect();
        let picked = pick(&files, &[14, 0, 7, 4]).unwrap();
        let values = |b: &RecordBatch| b["row"].as_primitive::<Int64Type>().values().to_vec();
        assert_eq!(values(&picked), [24, 0, 12, 4]);
        let field = Field::new("rank", arrow_schema::DataType::Int64, false);
        let ranks: ArrayRef = Arc::new(arrow_array::Int64Array::from(vec![1, 2, 3, 4]));
        let out = folder.join("out.parquet");
        let more = vec![(field, ranks)];
        write(&out, &picked, more.clone(), &[("of".into(), "us".into())]).unwrap();
        let back = pick(std::slice::from_ref(&out), &[3, 0]).unwrap();
        assert_eq!(values(&back), [4, 24]);
        assert_eq!(back.schema_ref().metadata()["of"], "us");
        assert_eq!(back.schema_ref().metadata()["model"], "m");
        // A second time it has that column.
        let again = write(&out, &back, more, &[]).unwrap_err().to_string();
        assert!(again.contains("'rank'"), "{again}");
        std::fs::remove_dir_all(folder).unwrap();
    }
}
