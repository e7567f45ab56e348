//! Parquet tables with a spectrum in each row, as [`super::batch`] describes them, or with a pixel
//! in each row of one spectrum.

use arrow_array::RecordBatch;
use arrow_select::concat::concat_batches;
use rayon::prelude::*;

use super::batch::{Spectra, one_spectrum};
use super::{Content, Context, Format, ReadOptions, Row};

pub(super) const FORMAT: Format = Format {
    name: "Parquet",
    about: "Parquet with lists of wavelength, flux and noise in each row: MultimodalUniverse, HATS nested columns, slipher simulate",
    recognise,
    read,
};

/// Rows decoded at a time.
pub(super) const BATCH: usize = 1024;

fn recognise(content: &Content) -> Option<String> {
    let Content::Parquet(_) = content else {
        return None;
    };
    Some("begins with PAR1".into())
}

/// A spectrum for each row of a batch whose first row has this number.
pub(super) fn rows_of(
    batch: &RecordBatch,
    first: usize,
    options: &ReadOptions,
) -> Result<Vec<Row>, String> {
    let found = Spectra::of(batch, options)?;
    let row = |i| Row {
        hdu: 0,
        row: first + i,
        spectrum: found.row(i),
    };
    Ok((0..found.rows()).into_par_iter().map(row).collect())
}

fn read(content: &Content, context: &Context) -> Result<Vec<Row>, String> {
    let Content::Parquet(bytes) = content else {
        return Err("it is no Parquet file".into());
    };
    crate::thrift::check_parquet(&mut std::io::Cursor::new(&bytes[..]))?;
    let builder = crate::thrift::open_parquet(bytes.clone())?;
    let reader = builder
        .with_batch_size(BATCH)
        .build()
        .map_err(|e| e.to_string())?;
    let mut out: Vec<Row> = Vec::new();
    let mut pixels: Vec<RecordBatch> = Vec::new();
    for batch in reader {
        let batch = batch.map_err(|e| e.to_string())?;
        // A pixel in each row: the file is one spectrum.
        if !pixels.is_empty() || out.is_empty() && one_spectrum(&batch).is_some() {
            pixels.push(batch);
            continue;
        }
        out.extend(rows_of(&batch, out.len(), &context.options)?);
    }
    if let Some(first) = pixels.first() {
        let all = concat_batches(&first.schema(), &pixels).map_err(|e| e.to_string())?;
        let row = one_spectrum(&all).ok_or("its columns changed while reading")?;
        let spectrum = Spectra::of(&row, &context.options)?.row(0);
        out.push(Row {
            hdu: 0,
            row: 0,
            spectrum,
        });
    }
    Ok(out)
}
