//! The one contract on which engines build: `RecordBatch → RecordBatch`. Stateless; as many rows out as in, in order; what identifies a row is carried;
//! bad rows become flags; no rows are fine.

use std::sync::Arc;

use arrow_array::{ArrayRef, RecordBatch};
use arrow_schema::{DataType, Field, Schema, SchemaRef};
use rayon::prelude::*;
use slipher_data::catalogue::record;
use slipher_data::formats::ReadOptions;
use slipher_data::formats::batch::Spectra;
use slipher_data::spectrum::{Origin, Spectrum};

use super::catalogue::{Row, columns};
use super::measure::{Wanted, measure_all};
use super::model::Model;

/// Rows whose spectra are unpacked at a time.
const TOGETHER: usize = 1024;

/// Columns of the catalogue that say where a spectrum was read: a batch carries its own instead.
const OF_FILES: [&str; 6] = ["file", "hdu", "row", "object_id", "ra", "dec"];

/// A batch that the contract refuses.
#[derive(Debug, thiserror::Error)]
pub enum ContractError {
    #[error("{0}")]
    Columns(String),
    #[error(transparent)]
    Arrow(#[from] arrow_schema::ArrowError),
}

/// Redshifts of a batch of spectra (columns as [`slipher_data::formats::batch`] reads them). The result has the batch's own columns of
/// numbers, text and times (a name that the catalogue has too, as a true `z`, ends in `_in`), then those of the catalogue from `z` on.
///
/// # Errors
/// No columns of wavelengths and fluxes.
pub fn predict(
    model: &Model,
    wanted: &Wanted,
    options: &ReadOptions,
    batch: &RecordBatch,
) -> Result<RecordBatch, ContractError> {
    let mut rows = Vec::with_capacity(batch.num_rows());
    let found = Spectra::of(batch, options).map_err(ContractError::Columns)?;
    for from in (0..found.rows()).step_by(TOGETHER) {
        let some: Vec<Result<Spectrum, String>> = (from..found.rows().min(from + TOGETHER))
            .into_par_iter()
            .map(|row| found.row(row))
            .collect();
        let good: Vec<&Spectrum> = some.iter().filter_map(|s| s.as_ref().ok()).collect();
        // A bug must cost a few rows, not the night.
        let measured = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            measure_all(model, wanted, &good)
        }));
        let mut measured = measured.unwrap_or_default().into_iter();
        for s in &some {
            rows.push(match s {
                Ok(s) => measured.next().map_or_else(
                    || {
                        Row::unreadable(
                            Origin::default(),
                            "Slipher failed on this row; please report it".into(),
                        )
                    },
                    |m| Row::new(s, m),
                ),
                Err(why) => Row::unreadable(Origin::default(), why.clone()),
            });
        }
    }
    let mut own = columns(&rows, model, wanted.pz);
    own.retain(|c| !OF_FILES.contains(&c.name));
    let own = record(&own)?;
    let (mut fields, mut arrays): (Vec<Arc<Field>>, Vec<ArrayRef>) = (vec![], vec![]);
    for (field, array) in carried(batch.schema_ref(), own.schema_ref())
        .into_iter()
        .map(|(f, i)| (f, batch.column(i)))
    {
        fields.push(field);
        arrays.push(array.clone());
    }
    fields.extend(own.schema_ref().fields().iter().cloned());
    arrays.extend(own.columns().iter().cloned());
    Ok(RecordBatch::try_new(Arc::new(Schema::new(fields)), arrays)?)
}

/// The schema of [`predict`]'s result for batches of a schema.
///
/// # Errors
/// As [`predict`].
pub fn schema(
    model: &Model,
    wanted: &Wanted,
    batches: &SchemaRef,
) -> Result<SchemaRef, ContractError> {
    Ok(predict(
        model,
        wanted,
        &ReadOptions::default(),
        &RecordBatch::new_empty(batches.clone()),
    )?
    .schema())
}

/// Columns of a batch that its result keeps, with their numbers.
fn carried(batch: &Schema, own: &Schema) -> Vec<(Arc<Field>, usize)> {
    let keeps = |f: &Field| {
        !f.data_type().is_nested()
            && !matches!(
                f.data_type(),
                DataType::Binary | DataType::LargeBinary | DataType::BinaryView
            )
    };
    let named = |f: &Arc<Field>| {
        let taken = |name: &str| own.field_with_name(name).is_ok();
        let mut name = f.name().clone();
        while taken(&name) || (name != *f.name() && batch.field_with_name(&name).is_ok()) {
            name.push_str("_in");
        }
        Arc::new(f.as_ref().clone().with_name(name))
    };
    batch
        .fields()
        .iter()
        .enumerate()
        .filter(|(_, f)| keeps(f))
        .map(|(i, f)| (named(f), i))
        .collect()
}

#[cfg(test)]
mod tests {
    use arrow_array::cast::AsArray;
    use arrow_array::types::{Float64Type, Int64Type};
    use slipher_data::catalogue::{Column, Values};

    use super::*;
    use crate::redshift::measure::zwarn;
    use crate::redshift::model::NetworkRecipe;

    fn batch(rows: usize) -> RecordBatch {
        let c = |name, values| Column {
            name,
            unit: "",
            ucd: "",
            description: "",
            values,
        };
        let wave = |r: usize| {
            (0..if r == 1 { 3 } else { 900 })
                .map(|i| 4000.0 + 3.0 * i as f64)
                .collect::<Vec<f64>>()
        };
        let flux = |r: usize| {
            wave(r)
                .iter()
                .map(|w| (1.0 + (w * 0.01 * (r + 1) as f64).sin()) as f32)
                .collect::<Vec<f32>>()
        };
        record(&[
            c(
                "targetid",
                Values::I64((0..rows as i64).map(|r| r + (1 << 60)).collect()),
            ),
            c("wave", Values::F64Lists((0..rows).map(wave).collect())),
            c("flux", Values::F32Lists((0..rows).map(flux).collect())),
            c(
                "ivar",
                Values::F32Lists((0..rows).map(|r| vec![100.0; wave(r).len()]).collect()),
            ),
            c("z", Values::F64(vec![0.25; rows])),
        ])
        .unwrap()
    }

    #[test]
    fn rows_in_are_rows_out() {
        let model = Model::new(
            NetworkRecipe {
                depth: 1,
                width: 16,
                taps: 3,
                patterns: [1, 1, 1],
            },
            1,
        );
        let (wanted, options) = (
            Wanted {
                pz: true,
                ..Wanted::default()
            },
            ReadOptions::default(),
        );
        let whole = predict(&model, &wanted, &options, &batch(5)).unwrap();
        assert_eq!(whole.num_rows(), 5);
        assert_eq!(
            whole
                .column_by_name("targetid")
                .unwrap()
                .as_primitive::<Int64Type>()
                .value(4),
            4 + (1 << 60)
        );
        assert_eq!(
            whole
                .column_by_name("z_in")
                .unwrap()
                .as_primitive::<Float64Type>()
                .value(0),
            0.25
        );
        assert!(whole.column_by_name("flux").is_none() && whole.column_by_name("file").is_none());
        // The row of three pixels is flagged and says why.
        let bits = whole
            .column_by_name("zwarn")
            .unwrap()
            .as_primitive::<Int64Type>();
        assert!((0..5).all(|r| (bits.value(r) & zwarn::UNREADABLE != 0) == (r == 1)));
        assert!(
            whole
                .column_by_name("error")
                .unwrap()
                .as_string::<i32>()
                .value(1)
                .contains("3 pixels")
        );
        // Cut anywhere, and empty, it is the same; slices have offsets.
        for (from, n) in [(0, 2), (2, 3), (1, 1), (4, 1)] {
            let part = predict(&model, &wanted, &options, &batch(5).slice(from, n)).unwrap();
            for (name, column) in whole
                .schema()
                .fields()
                .iter()
                .map(|f| f.name())
                .zip(whole.columns())
            {
                assert_eq!(
                    part.column_by_name(name).unwrap(),
                    &column.slice(from, n),
                    "{name} {from}"
                );
            }
        }
        let none = predict(&model, &wanted, &options, &batch(0)).unwrap();
        assert_eq!((none.num_rows(), none.schema()), (0, whole.schema()));
        assert_eq!(
            schema(&model, &wanted, batch(0).schema_ref()).unwrap(),
            whole.schema()
        );
        let e = predict(
            &model,
            &wanted,
            &options,
            &batch(5).project(&[0, 1]).unwrap(),
        )
        .unwrap_err()
        .to_string();
        assert!(e.contains("fluxes") && e.contains("targetid, wave"), "{e}");
    }
}
