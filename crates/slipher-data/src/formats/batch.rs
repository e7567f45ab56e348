//! Arrow batches with a spectrum in each row: lists of wavelength, flux and noise, as columns of their own (`wave, flux, ivar`; what `slipher simulate`
//! writes), inside one struct (MultimodalUniverse: `spectrum.{lambda, flux, ivar, mask}`) or list of structs, or one for each arm (DESI on HATS: `spectra_b.{wavelength, …}`).
//! Spectra on one grid may share it as a dictionary with one entry.
//! Rows are taken from the batch one at a time: the batch itself is never copied.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{
    ArrowPrimitiveType, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type, UInt8Type, UInt16Type, UInt32Type, UInt64Type,
};
use arrow_array::{Array, ArrayRef, GenericListArray, OffsetSizeTrait, RecordBatch};
use arrow_schema::{DataType, Field};

use super::ReadOptions;
use super::desi::join;
use super::pixels::{CLASS, DEC, ID, Medium, Noise, Pixels, RA, REDSHIFT, Role, ZWARN, role, wave_names};
use crate::spectrum::{Spectrum, Truth};

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
        let arms = arms(batch);
        if arms.is_empty() {
            let names: Vec<&str> = batch.schema_ref().fields().iter().map(|f| f.name().as_str()).collect();
            return Err(format!(
                "no columns (or fields of a struct) with lists of wavelengths ({} …) and fluxes; columns are {}",
                wave_names(),
                names.join(", ")
            ));
        }
        Ok(Spectra { batch, options, arms })
    }

    pub fn rows(&self) -> usize {
        self.batch.num_rows()
    }

    /// The spectrum of a row.
    ///
    /// # Errors
    /// What the row lacks.
    pub fn row(&self, row: usize) -> Result<Spectrum, String> {
        spectrum(&self.arms, row, self.options).map(|s| identify(self.batch, row, s))
    }
}

/// One array of numbers of an arm: by role.
type Arm = BTreeMap<u8, (String, String, Numbers)>;

/// A column of lists of numbers.
struct Numbers {
    values: ArrayRef,
    /// Of a dictionary, the entry of each row: spectra on one grid share one list of wavelengths.
    keys: Option<Vec<Option<usize>>>,
    unit: String,
}

impl Numbers {
    fn new(values: &ArrayRef, unit: String) -> Option<Numbers> {
        if let Some(d) = values.as_any_dictionary_opt() {
            let of = Numbers::new(d.values(), unit)?;
            let keys = if d.values().is_empty() { vec![None; d.len()] } else { d.normalized_keys().into_iter().map(Some).collect() };
            let keys = keys.into_iter().enumerate().map(|(i, k)| k.filter(|_| d.keys().is_valid(i))).collect();
            return of.keys.is_none().then_some(Numbers { keys: Some(keys), ..of });
        }
        let item = match values.data_type() {
            DataType::List(f) | DataType::LargeList(f) | DataType::FixedSizeList(f, _) | DataType::ListView(f) | DataType::LargeListView(f) => f,
            _ => return None,
        };
        (item.data_type().is_numeric() || *item.data_type() == DataType::Boolean).then(|| Numbers { values: values.clone(), keys: None, unit })
    }

    fn row(&self, row: usize) -> Option<Vec<f64>> {
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

/// Numbers of an array, NaN where it is null; none if it holds none.
fn numbers(a: &ArrayRef) -> Option<Vec<f64>> {
    fn of<T: ArrowPrimitiveType>(a: &ArrayRef, f: impl Fn(T::Native) -> f64) -> Vec<f64> {
        a.as_primitive::<T>().iter().map(|v| v.map_or(f64::NAN, &f)).collect()
    }
    Some(match a.data_type() {
        DataType::Float64 => of::<Float64Type>(a, |v| v),
        DataType::Float32 => of::<Float32Type>(a, f64::from),
        DataType::Int64 => of::<Int64Type>(a, |v| v as f64),
        DataType::Int32 => of::<Int32Type>(a, f64::from),
        DataType::Int16 => of::<Int16Type>(a, f64::from),
        DataType::Int8 => of::<Int8Type>(a, f64::from),
        DataType::UInt64 => of::<UInt64Type>(a, |v| v as f64),
        DataType::UInt32 => of::<UInt32Type>(a, f64::from),
        DataType::UInt16 => of::<UInt16Type>(a, f64::from),
        DataType::UInt8 => of::<UInt8Type>(a, f64::from),
        DataType::Boolean => a.as_boolean().iter().map(|v| v.map_or(f64::NAN, |b| f64::from(u8::from(b)))).collect(),
        _ => return None,
    })
}

/// Arms of a batch, in the order of their columns: those that have wavelength and flux. Top-level lists are one arm.
fn arms(batch: &RecordBatch) -> Vec<Arm> {
    let mut out = vec![Arm::new()];
    let add = |arm: usize, out: &mut Vec<Arm>, field: &arrow_schema::Field, values: &ArrayRef| {
        let unit = field.metadata().get("unit").cloned().unwrap_or_default();
        if let (Some(r), Some(n)) = (role(field.name()), Numbers::new(values, unit.clone())) {
            out[arm].entry(r as u8).or_insert((field.name().clone(), unit, n));
        }
    };
    for (field, values) in batch.schema().fields().iter().zip(batch.columns()) {
        let fields: Vec<(Arc<Field>, ArrayRef)> = match values.data_type() {
            DataType::Struct(_) => values.as_struct().fields().iter().cloned().zip(values.as_struct().columns().iter().cloned()).collect(),
            DataType::List(f) if matches!(f.data_type(), DataType::Struct(_)) => turned(values.as_list::<i32>()),
            DataType::LargeList(f) if matches!(f.data_type(), DataType::Struct(_)) => turned(values.as_list::<i64>()),
            _ => vec![],
        };
        if !fields.is_empty() {
            out.push(Arm::new());
            let arm = out.len() - 1;
            fields.iter().for_each(|(f, v)| add(arm, &mut out, f, v));
        } else {
            add(0, &mut out, field, values);
        }
    }
    out.retain(|a| a.contains_key(&(Role::Wave as u8)) && a.contains_key(&(Role::Flux as u8)));
    out
}

/// A list of structs as lists of their fields, over the same memory.
fn turned<O: OffsetSizeTrait>(lists: &GenericListArray<O>) -> Vec<(Arc<Field>, ArrayRef)> {
    let pixels = lists.values().as_struct();
    let of = |(f, v): (&Arc<Field>, &ArrayRef)| -> (Arc<Field>, ArrayRef) {
        (f.clone(), Arc::new(GenericListArray::<O>::new(f.clone(), lists.offsets().clone(), v.clone(), lists.nulls().cloned())))
    };
    pixels.fields().iter().zip(pixels.columns()).map(of).collect()
}

fn spectrum(arms: &[Arm], row: usize, options: &ReadOptions) -> Result<Spectrum, String> {
    let mut parts = Vec::new();
    for arm in arms {
        let get = |r: Role| arm.get(&(r as u8)).and_then(|a| a.2.row(row));
        let (Some(wave), Some(flux)) = (get(Role::Wave), get(Role::Flux)) else { continue };
        let noise = [(Role::Ivar, 0), (Role::Sigma, 1), (Role::Variance, 2)].into_iter().find_map(|(r, k)| Some((k, get(r)?)));
        let noise = match noise {
            Some((0, v)) => Noise::Ivar(v),
            Some((1, v)) => Noise::Sigma(v),
            Some((_, v)) => Noise::Variance(v),
            None => Noise::Missing,
        };
        let bad = get(Role::Mask).map(|m| m.iter().map(|v| *v != 0.0).collect()).unwrap_or_default();
        let named = &arm[&(Role::Wave as u8)];
        parts.push(Pixels {
            wave,
            wave_unit: named.2.unit.clone(),
            wave_name: named.0.clone(),
            flux,
            flux_unit: arm[&(Role::Flux as u8)].1.clone(),
            noise,
            bad,
            medium: (Medium::Vacuum, "assumed: the file does not say; --air changes it".into()),
        });
    }
    let mut each: Vec<Spectrum> = parts.into_iter().map(|p| p.into_spectrum(options)).collect::<Result<_, _>>().map_err(|e| e.to_string())?;
    if each.len() < 2 {
        return each.pop().ok_or("wavelength or flux is null".into());
    }
    each.sort_by(|a, b| a.wave[0].total_cmp(&b.wave[0]));
    let wide = |v: &[f32]| v.iter().map(|x| f64::from(*x)).collect::<Vec<f64>>();
    let cut: Vec<(&[f64], Vec<f64>, Vec<f64>)> = each.iter().map(|s| (s.wave.as_slice(), wide(&s.flux), wide(&s.ivar))).collect();
    let (wave, flux, ivar) = join(&cut);
    let narrow = |v: Vec<f64>| v.into_iter().map(|x| x as f32).collect::<Vec<f32>>();
    let mut s = Spectrum::new(wave, narrow(flux), narrow(ivar), &[]).map_err(|e| e.to_string())?;
    s.flux_unit.clone_from(&each[0].flux_unit);
    s.ivar_estimated = each.iter().any(|e| e.ivar_estimated);
    s.provenance = each[0].provenance.clone();
    s.provenance.push(format!("{} arms joined by inverse variance", each.len()));
    Ok(s)
}

/// A column by one of its names, any case.
fn column<'a>(batch: &'a RecordBatch, names: &[&str]) -> Option<&'a ArrayRef> {
    let fields = batch.schema_ref().fields();
    names.iter().find_map(|n| fields.iter().position(|f| f.name().eq_ignore_ascii_case(n))).map(|i| batch.column(i))
}

fn text(values: &ArrayRef, row: usize) -> Option<String> {
    if values.is_null(row) {
        return None;
    }
    let t = match values.data_type() {
        DataType::Utf8 => values.as_string::<i32>().value(row).to_owned(),
        DataType::LargeUtf8 => values.as_string::<i64>().value(row).to_owned(),
        DataType::Utf8View => values.as_string_view().value(row).to_owned(),
        // Identifiers have more digits than a double.
        DataType::Int64 => values.as_primitive::<Int64Type>().value(row).to_string(),
        DataType::UInt64 => values.as_primitive::<UInt64Type>().value(row).to_string(),
        _ => numbers(&values.slice(row, 1))?.first()?.to_string(),
    };
    Some(t.trim().to_owned())
}

fn number(values: &ArrayRef, row: usize) -> f64 {
    numbers(&values.slice(row, 1)).and_then(|v| v.first().copied()).unwrap_or(f64::NAN)
}

fn identify(batch: &RecordBatch, row: usize, mut s: Spectrum) -> Spectrum {
    let scalar = |names: &[&str]| column(batch, names).map_or(f64::NAN, |c| number(c, row));
    s.ivar_estimated |= scalar(&["ivar_estimated"]) > 0.0;
    s.object_id = column(batch, ID).and_then(|c| text(c, row)).unwrap_or_default();
    (s.ra, s.dec) = (scalar(RA), scalar(DEC));
    let class = column(batch, CLASS).and_then(|c| text(c, row));
    let (z, zwarn) = (scalar(REDSHIFT), scalar(ZWARN));
    if let (Some(spectype), true) = (class, z.is_finite()) {
        s.truth = Some(Truth { z, spectype: spectype.to_uppercase(), zwarn: if zwarn.is_nan() { 0 } else { zwarn as i64 } });
    }
    s
}
