//! Parquet with image columns, a few rows at a time.

use std::path::Path;

use super::batch::{Cutouts, check};
use super::{CutoutOptions, Row, named};

/// Rows that are in memory at a time.
const BATCH: usize = 256;

pub(super) fn read(
    path: &Path,
    options: &CutoutOptions,
    each: &mut dyn FnMut(Row) -> bool,
) -> Result<(), String> {
    let source = path.display().to_string();
    let damaged = |e: &dyn std::fmt::Display| format!("damaged Parquet: {e}");
    let builder = crate::thrift::parquet_file(path)?;
    check(builder.schema())?;
    let reader = builder
        .with_batch_size(BATCH)
        .build()
        .map_err(|e| damaged(&e))?;
    let mut row = 0;
    for batch in reader {
        let batch = batch.map_err(|e| format!("row {row}: damaged Parquet: {e}"))?;
        let found = Cutouts::of(&batch, options)?;
        for i in 0..batch.num_rows() {
            let cutout = found.row(i).and_then(|c| named(c, &source, row, options));
            if !each(Row {
                source: source.clone(),
                row,
                cutout,
            }) {
                return Ok(());
            }
            row += 1;
        }
    }
    Ok(())
}
