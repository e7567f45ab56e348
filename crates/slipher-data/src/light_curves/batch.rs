//! Arrow batches and Parquet with a light curve in each row: lists of times, bands, fluxes and errors
//! as columns of their own, or inside one struct (LSDB's nested columns) or list of structs.

use std::path::Path;

use arrow_array::cast::AsArray;
use arrow_array::{Array, ArrayRef, RecordBatch};
use arrow_cast::cast;
use arrow_schema::DataType;

use super::{Row, mjd, names, of_magnitude};
use crate::light_curve::{LightCurve, Point, ZERO_POINT};

/// A batch whose columns hold light curves.
pub struct Curves {
    time: ArrayRef,
    band: ArrayRef,
    flux: Option<(ArrayRef, ArrayRef)>,
    magnitude: Option<(ArrayRef, ArrayRef)>,
    about: Vec<(&'static str, ArrayRef)>,
    zero: bool,
}

/// Lists of structs are structs of lists.
fn fields(name: &str, a: &ArrayRef) -> Vec<(String, ArrayRef)> {
    match a.data_type() {
        DataType::Struct(all) => {
            let s = a.as_struct();
            all.iter()
                .zip(s.columns())
                .map(|(f, c)| (f.name().to_lowercase(), c.clone()))
                .collect()
        }
        DataType::List(f) if matches!(f.data_type(), DataType::Struct(_)) => {
            let list = a.as_list::<i32>();
            let s = list.values().as_struct();
            let each = s.fields().iter().zip(s.columns());
            each.filter_map(|(f, c)| {
                let item = std::sync::Arc::new(arrow_schema::Field::new_list_field(
                    c.data_type().clone(),
                    true,
                ));
                let made = arrow_array::ListArray::try_new(
                    item,
                    list.offsets().clone(),
                    c.clone(),
                    list.nulls().cloned(),
                );
                made.ok()
                    .map(|l| (f.name().to_lowercase(), std::sync::Arc::new(l) as ArrayRef))
            })
            .collect()
        }
        _ => vec![(name.to_lowercase(), a.clone())],
    }
}

fn is_list(a: &ArrayRef) -> bool {
    matches!(
        a.data_type(),
        DataType::List(_) | DataType::LargeList(_) | DataType::FixedSizeList(..)
    )
}

impl Curves {
    /// Finds the columns.
    ///
    /// # Errors
    /// Columns without times, bands and fluxes: those that are there.
    pub fn of(batch: &RecordBatch) -> Result<Curves, String> {
        let schema = batch.schema();
        let all: Vec<(String, ArrayRef)> = schema
            .fields()
            .iter()
            .zip(batch.columns())
            .flat_map(|(f, a)| fields(f.name(), a))
            .collect();
        let find = |known: &[&str], list: bool| {
            known
                .iter()
                .find_map(|k| all.iter().find(|(n, a)| n == k && is_list(a) == list))
                .map(|(_, a)| a.clone())
        };
        let numbers = |a: ArrayRef| to_list(&a, &DataType::Float64);
        let words = |a: ArrayRef| to_list(&a, &DataType::Utf8);
        let pair = |a: &[&str], b: &[&str]| {
            let (a, b) = (find(a, true)?, find(b, true)?);
            Some((numbers(a)?, numbers(b)?))
        };
        let time = find(&names::TIME, true).and_then(numbers);
        let band = find(&names::BAND, true).and_then(words);
        let flux = pair(&names::FLUX, &names::ERROR);
        let magnitude = pair(&names::MAGNITUDE, &names::MAGNITUDE_ERROR);
        let (Some(time), Some(band)) = (time, band) else {
            return Err(Curves::missing(&all));
        };
        if flux.is_none() && magnitude.is_none() {
            return Err(Curves::missing(&all));
        }
        let mut about = vec![];
        for (key, known) in [
            ("id", &names::ID[..]),
            ("z", &names::REDSHIFT),
            ("z_err", &names::REDSHIFT_ERROR),
            ("ebv", &names::EBV),
            ("label", &names::LABEL),
            ("ra", &names::RA),
            ("dec", &names::DEC),
            ("zero", &names::ZERO_POINT),
        ] {
            if let Some(a) = find(known, false) {
                let to = if matches!(key, "id" | "label") {
                    DataType::Utf8
                } else {
                    DataType::Float64
                };
                about.extend(cast(&a, &to).ok().map(|a| (key, a)));
            }
        }
        let zero = about.iter().any(|a| a.0 == "zero");
        Ok(Curves {
            time,
            band,
            flux,
            magnitude,
            about,
            zero,
        })
    }

    fn missing(all: &[(String, ArrayRef)]) -> String {
        let names: Vec<&str> = all.iter().map(|(n, _)| n.as_str()).collect();
        format!(
            "columns {}: expected lists of times (mjd), bands, and fluxes with errors (flux, \
             flux_err; or mag, mag_err), one list a row",
            names.join(", ")
        )
    }

    /// The light curve of a row.
    ///
    /// # Errors
    /// Lists of different lengths, or none.
    pub fn row(&self, row: usize) -> Result<LightCurve, String> {
        let number = |key: &str| {
            let a = &self.about.iter().find(|a| a.0 == key)?.1;
            let a = a.as_primitive::<arrow_array::types::Float64Type>();
            a.is_valid(row).then(|| a.value(row))
        };
        let word = |key: &str| {
            let a = &self.about.iter().find(|a| a.0 == key)?.1;
            let a = a.as_string::<i32>();
            a.is_valid(row).then(|| a.value(row).to_owned())
        };
        let nan = |v: Option<f64>| v.unwrap_or(f64::NAN);
        let list = |a: &ArrayRef| -> Result<Vec<f64>, String> {
            let l = a.as_list::<i32>();
            if l.is_null(row) {
                return Err("no light curve in this row".into());
            }
            let v = l.value(row);
            let v = v.as_primitive::<arrow_array::types::Float64Type>();
            Ok((0..v.len())
                .map(|i| if v.is_valid(i) { v.value(i) } else { f64::NAN })
                .collect())
        };
        let times = list(&self.time)?;
        let bands = self.band.as_list::<i32>();
        if bands.is_null(row) {
            return Err("no bands in this row".into());
        }
        let bands = bands.value(row);
        let bands = bands.as_string::<i32>();
        let pair = match (&self.flux, &self.magnitude) {
            (Some(p), _) => Some((p, true)),
            (None, Some(p)) => Some((p, false)),
            (None, None) => None,
        };
        let ((a, b), is_flux) = pair.ok_or("no fluxes")?;
        let (values, errors) = (list(a)?, list(b)?);
        let n = times.len();
        if [bands.len(), values.len(), errors.len()]
            .iter()
            .any(|m| *m != n)
        {
            return Err(format!(
                "{n} times, {} bands, {} fluxes, {} errors: expected lists of one length",
                bands.len(),
                values.len(),
                errors.len()
            ));
        }
        let zero = number("zero")
            .filter(|z| z.is_finite())
            .unwrap_or(ZERO_POINT);
        let factor = 10f64.powf(-0.4 * (zero - ZERO_POINT));
        let points = (0..n)
            .map(|i| {
                let (flux, error) = if is_flux {
                    ((values[i] * factor) as f32, (errors[i] * factor) as f32)
                } else {
                    of_magnitude(values[i], errors[i])
                };
                Point {
                    mjd: mjd(times[i]),
                    band: if bands.is_valid(i) {
                        bands.value(i).to_owned()
                    } else {
                        String::new()
                    },
                    flux,
                    error,
                }
            })
            .collect();
        let mut c = LightCurve {
            object_id: word("id").unwrap_or_default(),
            ra: nan(number("ra")),
            dec: nan(number("dec")),
            points,
            redshift: (nan(number("z")), nan(number("z_err"))),
            ebv: nan(number("ebv")),
            label: word("label"),
            ..LightCurve::default()
        };
        if is_flux && !self.zero {
            c.notes.push(format!(
                "zero point assumed: {ZERO_POINT} (SNANA's FLUXCAL)"
            ));
        }
        Ok(c.settled())
    }
}

/// A list with values of another type.
fn to_list(a: &ArrayRef, to: &DataType) -> Option<ArrayRef> {
    let item = std::sync::Arc::new(arrow_schema::Field::new_list_field(to.clone(), true));
    cast(a, &DataType::List(item)).ok()
}

/// Rows that are in memory at a time.
const BATCH: usize = 1024;

pub(super) fn read(path: &Path, each: &mut dyn FnMut(Row) -> bool) -> Result<(), String> {
    let source = path.display().to_string();
    let reader = crate::thrift::parquet_file(path)?
        .with_batch_size(BATCH)
        .build()
        .map_err(|e| format!("damaged Parquet: {e}"))?;
    let mut row = 0;
    for batch in reader {
        let batch = batch.map_err(|e| format!("row {row}: damaged Parquet: {e}"))?;
        let found = Curves::of(&batch)?;
        for i in 0..batch.num_rows() {
            let curve = found.row(i).map(|c| super::named(c, path, row));
            if !each(Row {
                source: source.clone(),
                row,
                curve,
            }) {
                return Ok(());
            }
            row += 1;
        }
    }
    Ok(())
}
