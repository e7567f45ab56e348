//! Arrow batches with a spectrum in each row: lists of wavelength, flux and noise, as columns of
//! their own (`wave, flux, ivar`; what `slipher simulate` writes), inside one struct
//! (MultimodalUniverse: `spectrum.{lambda, flux, ivar, mask}`) or list of structs, or one for each
//! arm (DESI on HATS: `spectra_b.{wavelength, …}`). Spectra on one grid may share it as a
//! dictionary with one entry. Rows are taken from the batch one at a time: the batch itself is
//! never copied.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{
    ArrowPrimitiveType, Float16Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type,
    Int64Type, UInt8Type, UInt16Type, UInt32Type, UInt64Type,
};
use arrow_array::{Array, ArrayRef, GenericListArray, OffsetSizeTrait, RecordBatch};
use arrow_buffer::{NullBuffer, OffsetBuffer};
use arrow_schema::{DataType, Field, Schema};

use super::arms::joined;
use super::names::{CLASS, DEC, ID, RA, REDSHIFT, Role, ZWARN, role, unit_in, wave_names};
use super::pixels::{Medium, Noise, Pixels, medium_by_name};
use super::{ReadOptions, masks};
use crate::spectrum::{Spectrum, Truth};
use crate::warning::Warning;

/// What Slipher writes of its own wavelengths: they were brought to vacuum, whatever a user says of
/// the files they came from.
pub const VACUUM: &str = "vacuum wavelength";

/// A batch whose columns hold spectra: rows are taken from it in any order, on any thread.
pub struct Spectra<'a> {
    batch: &'a RecordBatch,
    options: &'a ReadOptions,
    arms: Vec<Arm>,
}

impl<'a> Spectra<'a> {
    /// Finds the columns.
    ///
    /// # Errors
    /// Columns without wavelengths and fluxes: the message names those that are there.
    pub fn of(batch: &'a RecordBatch, options: &'a ReadOptions) -> Result<Self, String> {
        let arms = arms(batch)?;
        if arms.is_empty() {
            let names: Vec<&str> = batch
                .schema_ref()
                .fields()
                .iter()
                .map(|f| f.name().as_str())
                .collect();
            return Err(format!(
                "no columns (or fields of a struct) with lists of wavelengths ({} …) and fluxes; columns are {}",
                wave_names(),
                names.join(", ")
            ));
        }
        Ok(Spectra {
            batch,
            options,
            arms,
        })
    }

    /// Rows of the batch.
    pub fn rows(&self) -> usize {
        self.batch.num_rows()
    }

    /// Whether a column has names of the objects.
    pub fn has_identifiers(&self) -> bool {
        column(self.batch, ID).is_some()
    }

    /// The spectrum of a row.
    ///
    /// # Errors
    /// What the row lacks.
    pub fn row(&self, row: usize) -> Result<Spectrum, String> {
        spectrum(&self.arms, row, self.options).map(|s| identify(self.batch, row, s))
    }
}

/// Whether columns are those of one spectrum, a pixel in each row.
pub fn is_one_spectrum(schema: &Schema) -> bool {
    let has = |r: Role| {
        let mut fields = schema.fields().iter();
        fields.any(|f| role(f.name()) == Some(r) && f.data_type().is_numeric())
    };
    let lists = schema.fields().iter().any(|f| f.data_type().is_nested());
    !lists && has(Role::Wave) && has(Role::Flux)
}

/// A table with a pixel in each row as one with a spectrum in its only row; none if it is no such
/// table: it has lists, or no numbers for wavelength and flux.
pub fn one_spectrum(batch: &RecordBatch) -> Option<RecordBatch> {
    let schema = batch.schema();
    let plain: Vec<(&Arc<Field>, &ArrayRef)> = schema
        .fields()
        .iter()
        .zip(batch.columns())
        .filter(|(f, a)| role(f.name()).is_some() && numbers(&a.slice(0, 0)).is_some())
        .collect();
    let has = |r: Role| plain.iter().any(|(f, _)| role(f.name()) == Some(r));
    let lists = batch.columns().iter().any(|a| a.data_type().is_nested());
    if lists || batch.num_rows() < 10 || !has(Role::Wave) || !has(Role::Flux) {
        return None;
    }
    let list = |(f, a): (&Arc<Field>, &ArrayRef)| {
        let item = Arc::new(Field::new_list_field(a.data_type().clone(), true));
        let offsets = OffsetBuffer::from_lengths([a.len()]);
        let array = GenericListArray::<i32>::new(item, offsets, a.clone(), None);
        let field = Field::new(f.name(), array.data_type().clone(), true);
        (
            field.with_metadata(f.metadata().clone()),
            Arc::new(array) as ArrayRef,
        )
    };
    let (fields, columns): (Vec<Field>, Vec<ArrayRef>) = plain.into_iter().map(list).unzip();
    RecordBatch::try_new(Arc::new(Schema::new(fields)), columns).ok()
}

/// One array of numbers of an arm: by role.
type Arm = BTreeMap<u8, (String, Numbers)>;

/// A column of lists of numbers.
struct Numbers {
    values: ArrayRef,
    /// Of a dictionary, the entry of each row: spectra on one grid share one list of wavelengths.
    keys: Option<Vec<Option<usize>>>,
    /// Rows in which the struct around it is null.
    around: Option<NullBuffer>,
    unit: String,
    /// What its field says of itself.
    description: String,
    /// Of wavelengths, if the field says so: `vacuum`.
    medium: String,
}

impl Numbers {
    fn new(values: &ArrayRef, field: &Field, around: Option<&NullBuffer>) -> Option<Numbers> {
        let said = |key: &str| field.metadata().get(key).cloned().unwrap_or_default();
        if let Some(d) = values.as_any_dictionary_opt() {
            let of = Numbers::new(d.values(), field, around)?;
            let keys = if d.values().is_empty() {
                vec![None; d.len()]
            } else {
                d.normalized_keys().into_iter().map(Some).collect()
            };
            let keys = keys
                .into_iter()
                .enumerate()
                .map(|(i, k)| k.filter(|_| d.keys().is_valid(i)))
                .collect();
            return of.keys.is_none().then_some(Numbers {
                keys: Some(keys),
                ..of
            });
        }
        let none = arrow_array::new_empty_array(item(values.data_type())?);
        numbers(&none).map(|_| Numbers {
            values: values.clone(),
            keys: None,
            around: around.cloned(),
            unit: ["unit", "units", "TUNIT"]
                .map(said)
                .into_iter()
                .find(|u| !u.is_empty())
                .unwrap_or_default(),
            description: said("description"),
            medium: said("medium"),
        })
    }

    /// The unit that the field states, or its name.
    fn stated(&self, name: &str) -> String {
        if self.unit.is_empty() {
            unit_in(name)
        } else {
            self.unit.clone()
        }
    }

    fn row(&self, row: usize) -> Option<Vec<f64>> {
        if self.around.as_ref().is_some_and(|n| n.is_null(row)) {
            return None;
        }
        let row = self.keys.as_ref().map_or(Some(row), |k| k[row])?;
        if self.values.is_null(row) {
            return None;
        }
        let cell = match self.values.data_type() {
            DataType::List(_) => self.values.as_list::<i32>().value(row),
            DataType::LargeList(_) => self.values.as_list::<i64>().value(row),
            DataType::ListView(_) => self.values.as_list_view::<i32>().value(row),
            DataType::LargeListView(_) => self.values.as_list_view::<i64>().value(row),
            _ => self.values.as_fixed_size_list().value(row),
        };
        numbers(&cell)
    }
}

/// What a list holds.
fn item(list: &DataType) -> Option<&DataType> {
    match list {
        DataType::List(f)
        | DataType::LargeList(f)
        | DataType::FixedSizeList(f, _)
        | DataType::ListView(f)
        | DataType::LargeListView(f) => Some(f.data_type()),
        DataType::Dictionary(_, of) => item(of),
        _ => None,
    }
}

/// Numbers of an array, NaN where it is null; none if it holds none.
pub(crate) fn numbers(a: &ArrayRef) -> Option<Vec<f64>> {
    fn of<T: ArrowPrimitiveType>(a: &ArrayRef, f: impl Fn(T::Native) -> f64) -> Vec<f64> {
        a.as_primitive::<T>()
            .iter()
            .map(|v| v.map_or(f64::NAN, &f))
            .collect()
    }
    Some(match a.data_type() {
        DataType::Float64 => of::<Float64Type>(a, |v| v),
        DataType::Float32 => of::<Float32Type>(a, f64::from),
        DataType::Float16 => of::<Float16Type>(a, f64::from),
        DataType::Int64 => of::<Int64Type>(a, |v| v as f64),
        DataType::Int32 => of::<Int32Type>(a, f64::from),
        DataType::Int16 => of::<Int16Type>(a, f64::from),
        DataType::Int8 => of::<Int8Type>(a, f64::from),
        DataType::UInt64 => of::<UInt64Type>(a, |v| v as f64),
        DataType::UInt32 => of::<UInt32Type>(a, f64::from),
        DataType::UInt16 => of::<UInt16Type>(a, f64::from),
        DataType::UInt8 => of::<UInt8Type>(a, f64::from),
        DataType::Boolean => a
            .as_boolean()
            .iter()
            .map(|v| v.map_or(f64::NAN, |b| f64::from(u8::from(b))))
            .collect(),
        _ => return None,
    })
}

/// Arms of a batch, in the order of their columns: those that have wavelength and flux. Top-level
/// lists are one arm.
fn arms(batch: &RecordBatch) -> Result<Vec<Arm>, String> {
    let mut out = vec![Arm::new()];
    let add = |arm: usize,
               out: &mut Vec<Arm>,
               field: &Field,
               values: &ArrayRef,
               around: Option<&NullBuffer>|
     -> Result<(), String> {
        let Some(r) = role(field.name()) else {
            return Ok(());
        };
        if let Some(n) = Numbers::new(values, field, around) {
            out[arm].entry(r as u8).or_insert((field.name().clone(), n));
        } else if let Some(i) = item(values.data_type()).filter(|i| !i.is_nested()) {
            // To leave out errors or a mask without a word would change the answer.
            return Err(format!(
                "column {} holds lists of {i}: expected floats or integers; cast it",
                field.name()
            ));
        }
        Ok(())
    };
    for (field, values) in batch.schema().fields().iter().zip(batch.columns()) {
        let fields: Vec<(Arc<Field>, ArrayRef)> = match values.data_type() {
            DataType::Struct(_) => values
                .as_struct()
                .fields()
                .iter()
                .cloned()
                .zip(values.as_struct().columns().iter().cloned())
                .collect(),
            DataType::List(f) if matches!(f.data_type(), DataType::Struct(_)) => {
                turned(values.as_list::<i32>())
            }
            DataType::LargeList(f) if matches!(f.data_type(), DataType::Struct(_)) => {
                turned(values.as_list::<i64>())
            }
            _ => vec![],
        };
        if !fields.is_empty() {
            out.push(Arm::new());
            let arm = out.len() - 1;
            // Children of a null struct may look valid.
            let around = values
                .nulls()
                .filter(|_| matches!(values.data_type(), DataType::Struct(_)));
            fields
                .iter()
                .try_for_each(|(f, v)| add(arm, &mut out, f, v, around))?;
        } else {
            add(0, &mut out, field, values, None)?;
        }
    }
    out.retain(|a| a.contains_key(&(Role::Wave as u8)) && a.contains_key(&(Role::Flux as u8)));
    Ok(out)
}

/// A list of structs as lists of their fields, over the same memory.
fn turned<O: OffsetSizeTrait>(lists: &GenericListArray<O>) -> Vec<(Arc<Field>, ArrayRef)> {
    let pixels = lists.values().as_struct();
    let of = |(f, v): (&Arc<Field>, &ArrayRef)| -> (Arc<Field>, ArrayRef) {
        (
            f.clone(),
            Arc::new(GenericListArray::<O>::new(
                f.clone(),
                lists.offsets().clone(),
                v.clone(),
                lists.nulls().cloned(),
            )),
        )
    };
    pixels
        .fields()
        .iter()
        .zip(pixels.columns())
        .map(of)
        .collect()
}

fn spectrum(arms: &[Arm], row: usize, options: &ReadOptions) -> Result<Spectrum, String> {
    let mut parts = Vec::new();
    for arm in arms {
        let get = |r: Role| arm.get(&(r as u8)).and_then(|a| a.1.row(row));
        let (Some(wave), Some(flux)) = (get(Role::Wave), get(Role::Flux)) else {
            continue;
        };
        // A camera that was not read out.
        if wave.is_empty() && arms.len() > 1 {
            continue;
        }
        let noise = [(Role::Ivar, 0), (Role::Sigma, 1), (Role::Variance, 2)]
            .into_iter()
            .find_map(|(r, k)| Some((k, get(r)?)));
        let noise = match noise {
            Some((0, v)) => Noise::Ivar(v),
            Some((1, v)) => Noise::Sigma(v),
            Some((_, v)) => Noise::Variance(v),
            None => Noise::Missing,
        };
        let bad = masks::bad(get);
        let named = &arm[&(Role::Wave as u8)];
        parts.push(Pixels {
            wave,
            wave_unit: named.1.unit.clone(),
            wave_name: named.0.clone(),
            flux,
            flux_unit: arm[&(Role::Flux as u8)]
                .1
                .stated(&arm[&(Role::Flux as u8)].0),
            noise,
            bad,
            medium: if named.1.description == VACUUM {
                (Medium::Vacuum, VACUUM.to_owned())
            } else if named.1.medium == "vacuum" {
                (Medium::Vacuum, "as its field says".to_owned())
            } else {
                medium_by_name(&named.0, "")
            },
        });
    }
    let ours = arms
        .iter()
        .all(|a| a[&(Role::Wave as u8)].1.description == VACUUM);
    let options = if ours {
        &ReadOptions::default()
    } else {
        options
    };
    joined(parts, options)
}

/// A column by one of its names, any case.
fn column<'a>(batch: &'a RecordBatch, names: &[&str]) -> Option<&'a ArrayRef> {
    let fields = batch.schema_ref().fields();
    names
        .iter()
        .find_map(|n| fields.iter().position(|f| f.name().eq_ignore_ascii_case(n)))
        .map(|i| batch.column(i))
}

pub(crate) fn text(values: &ArrayRef, row: usize) -> Option<String> {
    if values.is_null(row) {
        return None;
    }
    if let Some(d) = values.as_any_dictionary_opt() {
        let key = numbers(&d.keys().slice(row, 1))?.first().copied()?;
        return text(d.values(), key as usize);
    }
    let t = match values.data_type() {
        DataType::Utf8 => values.as_string::<i32>().value(row).to_owned(),
        DataType::LargeUtf8 => values.as_string::<i64>().value(row).to_owned(),
        DataType::Utf8View => values.as_string_view().value(row).to_owned(),
        DataType::Binary => {
            String::from_utf8_lossy(values.as_binary::<i32>().value(row)).into_owned()
        }
        DataType::LargeBinary => {
            String::from_utf8_lossy(values.as_binary::<i64>().value(row)).into_owned()
        }
        // Identifiers have more digits than a double.
        DataType::Int64 => values.as_primitive::<Int64Type>().value(row).to_string(),
        DataType::UInt64 => values.as_primitive::<UInt64Type>().value(row).to_string(),
        _ => numbers(&values.slice(row, 1))?.first()?.to_string(),
    };
    Some(t.trim().to_owned())
}

pub(crate) fn number(values: &ArrayRef, row: usize) -> f64 {
    numbers(&values.slice(row, 1))
        .and_then(|v| v.first().copied())
        .unwrap_or(f64::NAN)
}

fn identify(batch: &RecordBatch, row: usize, mut s: Spectrum) -> Spectrum {
    let scalar = |names: &[&str]| column(batch, names).map_or(f64::NAN, |c| number(c, row));
    s.ivar_estimated |= scalar(&["ivar_estimated"]) > 0.0;
    let said = column(batch, &["warnings"]).and_then(|c| text(c, row));
    s.warnings.extend(Warning::split(&said.unwrap_or_default()));
    s.object_id = column(batch, ID)
        .and_then(|c| text(c, row))
        .unwrap_or_default();
    (s.ra, s.dec) = (scalar(RA), scalar(DEC));
    let class = column(batch, CLASS).and_then(|c| text(c, row));
    let (z, zwarn) = (scalar(REDSHIFT), scalar(ZWARN));
    if let (Some(spectype), true) = (class, z.is_finite()) {
        s.truth = Some(Truth {
            z,
            spectype: spectype.to_uppercase(),
            zwarn: if zwarn.is_nan() { 0 } else { zwarn as i64 },
        });
    }
    s
}

#[cfg(test)]
mod tests {
    use arrow_array::{Decimal128Array, Float32Array, ListArray, StructArray};

    use super::*;

    fn lists<T>(rows: &[Vec<T::Native>]) -> ArrayRef
    where
        T: ArrowPrimitiveType,
    {
        let values: arrow_array::PrimitiveArray<T> =
            rows.iter().flatten().copied().map(Some).collect();
        let field = Arc::new(Field::new_list_field(T::DATA_TYPE, true));
        Arc::new(ListArray::new(
            field,
            OffsetBuffer::from_lengths(rows.iter().map(Vec::len)),
            Arc::new(values),
            None,
        ))
    }

    /// An arm of two rows at this flux.
    fn arm(from: f64, flux: f64, n: usize) -> StructArray {
        let wave = lists::<Float64Type>(&[
            (0..n).map(|i| from + i as f64).collect(),
            (0..n).map(|i| from + i as f64).collect(),
        ]);
        let f = lists::<Float64Type>(&[vec![flux; n], vec![flux; n]]);
        let ivar = lists::<Float64Type>(&[
            vec![(10.0 / flux).powi(2); n],
            vec![(10.0 / flux).powi(2); n],
        ]);
        StructArray::from(
            ["wavelength", "flux", "ivar"]
                .into_iter()
                .zip([wave, f, ivar])
                .map(|(n, a)| (Arc::new(Field::new(n, a.data_type().clone(), true)), a))
                .collect::<Vec<_>>(),
        )
    }

    fn batch(columns: Vec<(&str, ArrayRef)>) -> RecordBatch {
        RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(n, a)| (n, a, true)))
            .unwrap()
    }

    /// Arms in erg/s/cm²/Å, one a little above a power of ten and one below, are one spectrum
    /// without a step.
    #[test]
    fn arms_share_one_scale() {
        let b = batch(vec![
            ("spectra_b", Arc::new(arm(4000.0, 9e-18, 300))),
            ("spectra_r", Arc::new(arm(5000.0, 1.1e-17, 300))),
        ]);
        let options = ReadOptions::default();
        let s = Spectra::of(&b, &options).unwrap().row(0).unwrap();
        assert!(
            (f64::from(s.flux[599] / s.flux[0]) - 11.0 / 9.0).abs() < 1e-4,
            "{} {}",
            s.flux[0],
            s.flux[599]
        );
        assert!((s.flux[0] * s.ivar[0].sqrt() - 10.0).abs() < 1e-2);
    }

    /// A camera without pixels is left out; a null struct is no spectrum, whatever its children
    /// hold.
    #[test]
    fn missing_arms_and_null_structs() {
        let b = batch(vec![
            ("spectra_b", Arc::new(arm(4000.0, 1.0, 0))),
            ("spectra_r", Arc::new(arm(5000.0, 1.0, 300))),
        ]);
        let options = ReadOptions::default();
        assert_eq!(
            Spectra::of(&b, &options)
                .unwrap()
                .row(1)
                .unwrap()
                .wave
                .len(),
            300
        );
        let (fields, columns, _) = arm(5000.0, 1.0, 300).into_parts();
        let nulls = StructArray::new(fields, columns, Some(NullBuffer::from(vec![true, false])));
        let b = batch(vec![("spectrum", Arc::new(nulls))]);
        let s = Spectra::of(&b, &options).unwrap();
        assert!(s.row(0).is_ok());
        assert!(s.row(1).unwrap_err().contains("null"));
    }

    #[test]
    fn air_is_read_from_the_name_and_own_tables_stay_in_vacuum() {
        let row = |name: &str, description: &str, medium| {
            let (wave, flux) = (
                lists::<Float64Type>(&[(0..300).map(|i| 5000.0 + f64::from(i)).collect()]),
                lists::<Float32Type>(&[vec![1.0; 300]]),
            );
            let field = |n: &str, a: &ArrayRef, d: &str| {
                Field::new(n, a.data_type().clone(), true)
                    .with_metadata([("description".to_owned(), d.to_owned())].into())
            };
            let schema = arrow_schema::Schema::new(vec![
                field(name, &wave, description),
                field("flux", &flux, ""),
            ]);
            let b = RecordBatch::try_new(Arc::new(schema), vec![wave, flux]).unwrap();
            let options = ReadOptions {
                medium,
                ..ReadOptions::default()
            };
            Spectra::of(&b, &options).unwrap().row(0).unwrap().wave[0]
        };
        assert!((row("wave_air", "", None) - 5001.4).abs() < 0.05);
        assert_eq!(row("wave", "", None), 5000.0);
        assert!((row("wave", "", Some(Medium::Air)) - 5001.4).abs() < 0.05);
        assert_eq!(row("wave", VACUUM, Some(Medium::Air)), 5000.0);
    }

    #[test]
    fn errors_of_a_type_that_cannot_be_read_are_refused() {
        let values = Decimal128Array::from(vec![1i128; 300]);
        let field = Arc::new(Field::new_list_field(values.data_type().clone(), true));
        let ivar: ArrayRef = Arc::new(ListArray::new(
            field,
            OffsetBuffer::from_lengths([300]),
            Arc::new(values),
            None,
        ));
        let wave = lists::<Float64Type>(&[(0..300).map(|i| 5000.0 + f64::from(i)).collect()]);
        let b = batch(vec![
            ("wave", wave),
            ("flux", lists::<Float32Type>(&[vec![1.0; 300]])),
            ("ivar", ivar),
        ]);
        assert!(
            Spectra::of(&b, &ReadOptions::default())
                .err()
                .unwrap()
                .contains("column ivar holds lists of Decimal128")
        );
        // Single numbers are no errors of pixels.
        let b = b.project(&[0, 1]).unwrap();
        let more = batch(vec![
            ("wave", b.column(0).clone()),
            ("flux", b.column(1).clone()),
            ("noise", Arc::new(Float32Array::from(vec![1.0])) as ArrayRef),
        ]);
        assert!(
            Spectra::of(&more, &ReadOptions::default())
                .unwrap()
                .row(0)
                .unwrap()
                .ivar_estimated
        );
    }
}
