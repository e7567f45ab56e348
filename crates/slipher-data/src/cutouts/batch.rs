//! Arrow batches with image columns: encoded pictures or FITS stamps (`struct{bytes}`,
//! `struct{stampData}`, binary), or nested lists of numbers.

use arrow_array::cast::AsArray;
use arrow_array::{Array, ArrayRef, RecordBatch};
use arrow_schema::{DataType, Field, Schema};

use super::{CutoutOptions, alert, content, with_options};
use crate::cutout::Cutout;
use crate::formats;

/// A column of images and the band that it holds.
fn band_of(name: &str) -> Option<&'static str> {
    Some(match name.to_lowercase().as_str() {
        "image" | "flux" | "cutout" | "pixels" | "data" | "stamp" => "",
        "cutouttemplate" | "template" => "template",
        "cutoutscience" | "science" => "science",
        "cutoutdifference" | "difference" => "difference",
        _ => return None,
    })
}

/// Images of a batch.
pub struct Cutouts<'a> {
    batch: &'a RecordBatch,
    options: &'a CutoutOptions,
}

/// Whether a column can hold images: a number or a text of that name is something else.
fn holds_images(t: &DataType) -> bool {
    t.is_nested()
        || matches!(
            t,
            DataType::Binary | DataType::LargeBinary | DataType::BinaryView
        )
}

/// Whether a schema has images, or what is missing.
pub(super) fn check(schema: &Schema) -> Result<(), String> {
    let columns: Vec<&str> = schema.fields().iter().map(|f| f.name().as_str()).collect();
    let image = |f: &Field| band_of(f.name()).is_some() && holds_images(f.data_type());
    if schema.fields().iter().any(|f| image(f)) {
        return Ok(());
    }
    Err(format!(
        "no column of images (lists of numbers, or bytes): expected 'image', or 'cutoutScience', 'cutoutTemplate' and 'cutoutDifference'; there are {}",
        columns.join(", ")
    ))
}

impl<'a> Cutouts<'a> {
    /// Finds the columns of images.
    ///
    /// # Errors
    /// There are none.
    pub fn of(batch: &'a RecordBatch, options: &'a CutoutOptions) -> Result<Self, String> {
        check(batch.schema_ref())?;
        Ok(Cutouts { batch, options })
    }

    /// The image of a row.
    ///
    /// # Errors
    /// It is null, or no image.
    pub fn row(&self, i: usize) -> Result<Cutout, String> {
        with_options(one(self.batch, i)?, self.options)
    }
}

fn one(batch: &RecordBatch, i: usize) -> Result<Cutout, String> {
    let mut stamps = Vec::new();
    for (field, column) in batch.schema().fields().iter().zip(batch.columns()) {
        let image = !column.is_null(i) && holds_images(field.data_type());
        let Some(band) = band_of(field.name()).filter(|_| image) else {
            continue;
        };
        let said = |e: String| format!("column {}: {e}", field.name());
        match bytes(column, i) {
            Some(b) if band.is_empty() => {
                let mut found = Err(said("no image in it".into()));
                let options = CutoutOptions::default();
                content("", b, &options, &mut |r| {
                    found = r.cutout;
                    false
                })
                .map_err(said)?;
                return found.map(|c| told(c, batch, i)).map_err(said);
            }
            Some(b) => stamps.push((band, alert::image(b).map_err(said)?)),
            None => {
                let (values, sizes) = numbers(column, i).map_err(said)?;
                let shape = shape(batch, i, &sizes, values.len()).map_err(said)?;
                let names = vec![band; shape[0]];
                let c = Cutout::new(&names, shape[1], shape[2], values).map_err(said)?;
                return Ok(told(c, batch, i));
            }
        }
    }
    if stamps.is_empty() {
        return Err("the image is null".into());
    }
    stamps.sort_by_key(|s| alert::BANDS.iter().position(|b| *b == s.0));
    Ok(told(alert::together(stamps)?, batch, i))
}

/// With what the other columns say: name, label, position, pixel scale, names of the bands (a text
/// with commas) where the image has none.
fn told(mut c: Cutout, batch: &RecordBatch, i: usize) -> Cutout {
    c.object_id = identifier(batch, i);
    c.label = text(batch, "label", i).or(c.label);
    let number = |names: &[&str]| {
        let column = names.iter().find_map(|n| batch.column_by_name(n))?;
        let v = formats::batch::numbers(&column.slice(i, 1))?;
        v.first().copied().filter(|v| v.is_finite())
    };
    c.ra = number(&["ra", "RA"]).unwrap_or(c.ra);
    c.dec = number(&["dec", "DEC"]).unwrap_or(c.dec);
    let scale = number(&["pixel_scale", "pxscale", "pixscale"]).filter(|s| *s > 0.0);
    c.pixel_scale = scale.unwrap_or(c.pixel_scale);
    if let (Some(names), true) = (
        text(batch, "bands", i),
        c.bands.iter().all(String::is_empty),
    ) {
        let names: Vec<String> = names.split(',').map(|n| n.trim().to_owned()).collect();
        if names.len() == c.bands.len() {
            c.bands = names;
        }
    }
    beside(&mut c, batch, i);
    c
}

/// Variances, mask and point-spread function in columns of their own.
fn beside(c: &mut Cutout, batch: &RecordBatch, i: usize) {
    let list = |name: &str| {
        let column = batch.column_by_name(name)?;
        let nested = column.data_type().is_nested() && !column.is_null(i);
        nested.then(|| numbers(column, i).ok())?
    };
    let n = c.pixels.len();
    let alike = |name: &str, v: Vec<f32>, notes: &mut Vec<String>| {
        if v.len() != n && !v.is_empty() {
            notes.push(format!(
                "column {name} has {} numbers for {n} pixels: not used",
                v.len()
            ));
        }
        (v.len() == n).then_some(v)
    };
    for (name, of) in VARIANCES {
        if let Some((v, _)) = list(name)
            && let Some(v) = alike(name, v, &mut c.notes)
        {
            c.variance = v.into_iter().map(of).collect();
            break;
        }
    }
    if let Some((v, _)) = list("mask")
        && let Some(v) = alike("mask", v, &mut c.notes)
    {
        c.mask = v.into_iter().map(|m| u8::from(m != 0.0)).collect();
    }
    let Some((values, sizes)) = list("psf").filter(|p| !p.0.is_empty()) else {
        return;
    };
    let side = (values.len() as f64).sqrt().round() as usize;
    match sizes.as_slice() {
        [h, w] => c.psf = (*h, *w, values),
        _ if side * side == values.len() => c.psf = (side, side, values),
        _ => c.notes.push(format!(
            "column psf has {} numbers, which are no square: not used",
            values.len()
        )),
    }
}

/// What makes a variance of a number.
type ToVariance = fn(f32) -> f32;

/// Columns of variances, and how their numbers become some.
const VARIANCES: [(&str, ToVariance); 3] = [
    ("variance", |v| v),
    ("ivar", |v| if v > 0.0 { 1.0 / v } else { f32::NAN }),
    ("error", |v| v * v),
];

fn bytes(column: &ArrayRef, i: usize) -> Option<Vec<u8>> {
    match column.data_type() {
        DataType::Binary => Some(column.as_binary::<i32>().value(i).to_vec()),
        DataType::LargeBinary => Some(column.as_binary::<i64>().value(i).to_vec()),
        DataType::BinaryView => Some(column.as_binary_view().value(i).to_vec()),
        DataType::Struct(_) => {
            let s = column.as_struct();
            ["bytes", "stampData"]
                .iter()
                .find_map(|k| s.column_by_name(k))
                .and_then(|inner| bytes(inner, i))
        }
        _ => None,
    }
}

/// Numbers of nested lists, with the lengths on the way.
fn numbers(column: &ArrayRef, i: usize) -> Result<(Vec<f32>, Vec<usize>), String> {
    let mut sizes = Vec::new();
    let mut values = column.slice(i, 1);
    loop {
        let inner: ArrayRef = match values.data_type() {
            DataType::List(_) => {
                let l = values.as_list::<i32>();
                l.values().slice(
                    l.offsets()[0] as usize,
                    (l.offsets()[l.len()] - l.offsets()[0]) as usize,
                )
            }
            DataType::LargeList(_) => {
                let l = values.as_list::<i64>();
                l.values().slice(
                    l.offsets()[0] as usize,
                    (l.offsets()[l.len()] - l.offsets()[0]) as usize,
                )
            }
            DataType::FixedSizeList(_, n) => {
                let l = values.as_fixed_size_list();
                l.values()
                    .slice(l.offset() * *n as usize, l.len() * *n as usize)
            }
            _ => break,
        };
        let each = inner.len() / values.len().max(1);
        if lengths(&values).any(|n| n != Some(each)) {
            return Err("rows of different lengths, or null: expected a rectangle".into());
        }
        sizes.push(each);
        values = inner;
    }
    // Null pixels are NaN.
    let out = formats::batch::numbers(&values).ok_or_else(|| {
        format!(
            "holds {}, expected bytes of an image or lists of numbers",
            values.data_type()
        )
    })?;
    let out = out.into_iter().map(|v| v as f32).collect();
    Ok((out, sizes))
}

/// Length of each list; none where it is null.
fn lengths(lists: &ArrayRef) -> impl Iterator<Item = Option<usize>> + '_ {
    (0..lists.len()).map(|k| {
        if lists.is_null(k) {
            return None;
        }
        Some(match lists.data_type() {
            DataType::List(_) => lists.as_list::<i32>().value_length(k) as usize,
            DataType::LargeList(_) => lists.as_list::<i64>().value_length(k) as usize,
            _ => lists.as_fixed_size_list().value_length() as usize,
        })
    })
}

/// Bands, height, width: from nested lists, a column `shape`, or a square.
fn shape(batch: &RecordBatch, i: usize, sizes: &[usize], n: usize) -> Result<[usize; 3], String> {
    match *sizes {
        [b, h, w] => return Ok([b, h, w]),
        [h, w] => return Ok([1, h, w]),
        _ => {}
    }
    if let Some(column) = batch.column_by_name("shape") {
        let (v, _) = numbers(column, i)?;
        let v: Vec<usize> = v.iter().map(|x| *x as usize).collect();
        return match *v.as_slice() {
            [h, w] => Ok([1, h, w]),
            [b, h, w] => Ok([b, h, w]),
            _ => Err(format!("shape {v:?}: expected two or three numbers")),
        };
    }
    let side = (n as f64).sqrt().round() as usize;
    if side * side == n && n > 0 {
        Ok([1, side, side])
    } else {
        Err(format!(
            "{n} numbers are no square: add a column 'shape' with bands, height and width"
        ))
    }
}

fn text(batch: &RecordBatch, name: &str, i: usize) -> Option<String> {
    let c = batch.column_by_name(name).filter(|c| !c.is_null(i))?;
    match c.data_type() {
        DataType::Utf8 => Some(c.as_string::<i32>().value(i).to_owned()),
        DataType::LargeUtf8 => Some(c.as_string::<i64>().value(i).to_owned()),
        DataType::Utf8View => Some(c.as_string_view().value(i).to_owned()),
        DataType::Int64 => Some(
            c.as_primitive::<arrow_array::types::Int64Type>()
                .value(i)
                .to_string(),
        ),
        DataType::Int32 => Some(
            c.as_primitive::<arrow_array::types::Int32Type>()
                .value(i)
                .to_string(),
        ),
        _ => None,
    }
}

fn identifier(batch: &RecordBatch, i: usize) -> String {
    ["object_id", "candid", "objectId", "id", "id_str", "name"]
        .iter()
        .find_map(|k| text(batch, k, i))
        .unwrap_or_default()
}
