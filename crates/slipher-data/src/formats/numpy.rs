//! NumPy files: `.npz` with arrays of wavelength, flux and noise by name, `.npy` with records, or
//! with unnamed columns of these in this order. One axis is a spectrum; two are `[row][pixel]`,
//! beside which wavelengths of one axis are shared.

use std::io::{Cursor, Read};
use std::sync::Arc;

use arrow_array::{ArrayRef, Float64Array, GenericListArray, RecordBatch};
use arrow_buffer::OffsetBuffer;
use arrow_schema::{DataType, Field, Schema};

use super::batch::{Spectra, one_spectrum};
use super::names::{Role, role};
use super::{Content, Context, Format, Row, parquet};
use crate::{budget, npy};

pub(super) const FORMAT: Format = Format {
    name: "NumPy",
    about: ".npz with arrays wave, flux, ivar (or err) by name, .npy with records or columns",
    recognise,
    read,
};

/// An array by its name: shape and values.
pub struct Named {
    name: String,
    shape: Vec<usize>,
    values: Vec<f64>,
}

/// What columns without names are, in this order.
const UNNAMED: [&str; 3] = ["wave", "flux", "error"];

/// First bytes of a .npy file.
pub(super) const MAGIC: &[u8] = b"\x93NUMPY";

/// Arrays of a .npy file.
///
/// # Errors
/// What is wrong with it.
pub(super) fn array(bytes: &[u8]) -> Result<Vec<Named>, String> {
    let a = npy::parse(bytes)?;
    let mut own = a.columns();
    match own.as_mut_slice() {
        [(name, _, values)] if name.is_empty() => match *a.shape.as_slice() {
            [n, many] if (2..=3).contains(&n) && many > 3 => Ok(unnamed(values.chunks(many))),
            [many, n] if (2..=3).contains(&n) && many > 3 => {
                let column = |c: usize| values.iter().copied().skip(c).step_by(n).collect();
                let columns: Vec<Vec<f64>> = (0..n).map(column).collect();
                Ok(unnamed(columns.iter().map(Vec::as_slice)))
            }
            _ => Err(format!(
                "an array of shape {:?} has no names: expected two or three columns (wavelength, flux, error), or an .npz with arrays named wave, flux and ivar",
                a.shape
            )),
        },
        _ => Ok(own
            .into_iter()
            .map(|(name, many, values)| Named {
                name,
                shape: if many == 1 {
                    vec![a.len()]
                } else {
                    vec![a.len(), many]
                },
                values,
            })
            .collect()),
    }
}

fn unnamed<'a>(columns: impl Iterator<Item = &'a [f64]>) -> Vec<Named> {
    let named = |(name, values): (&str, &[f64])| Named {
        name: name.to_owned(),
        shape: vec![values.len()],
        values: values.to_vec(),
    };
    UNNAMED.into_iter().zip(columns).map(named).collect()
}

/// Arrays of numbers of an .npz file; words and objects are passed over.
///
/// # Errors
/// If it is no such archive, or takes too much memory.
pub(super) fn archive(bytes: &[u8]) -> Result<Vec<Named>, String> {
    let none = "is a zip archive without arrays of NumPy: unpack it first";
    let mut zip = zip::ZipArchive::new(Cursor::new(bytes)).map_err(|e| e.to_string())?;
    let mut left = budget::unpacked(bytes.len() as u64);
    let mut out = vec![];
    let mut found = false;
    for i in 0..zip.len() {
        let entry = zip.by_index(i).map_err(|e| e.to_string())?;
        let Some(name) = entry.name().strip_suffix(".npy").map(str::to_owned) else {
            continue;
        };
        found = true;
        budget::check(entry.size(), left, &name)?;
        let mut content = Vec::new();
        let read = entry.take(left + 1).read_to_end(&mut content);
        let n = read.map_err(|e| format!("{name}: {e}"))? as u64;
        budget::check(n, left, &name)?;
        left -= n;
        if role(&name).is_none() && !ABOUT.contains(&name.as_str()) {
            continue;
        }
        let a = npy::parse(&content).map_err(|e| format!("{name}: {e}"))?;
        out.push(Named {
            name,
            values: a.values(0..a.len()),
            shape: a.shape,
        });
    }
    if found { Ok(out) } else { Err(none.into()) }
}

/// Numbers of a row that are taken along.
const ABOUT: [&str; 6] = ["z", "redshift", "ra", "dec", "id", "targetid"];

fn recognise(content: &Content) -> Option<String> {
    let Content::Numpy(arrays) = content else {
        return None;
    };
    let names: Vec<&str> = arrays.iter().map(|a| a.name.as_str()).collect();
    Some(format!("arrays {}", names.join(", ")))
}

fn read(content: &Content, context: &Context) -> Result<Vec<Row>, String> {
    let Content::Numpy(arrays) = content else {
        return Err("it is no NumPy file".into());
    };
    let flux = arrays.iter().find(|a| role(&a.name) == Some(Role::Flux));
    let flux = flux.ok_or("no array is named flux")?;
    let batch = match *flux.shape.as_slice() {
        [n] => one_spectrum(&columns(arrays, n)?)
            .ok_or("expected arrays wave and flux of ten values and more")?,
        [rows, n] => lists(arrays, rows, n)?,
        _ => {
            return Err(format!(
                "flux has the shape {:?}: expected [pixel] or [row, pixel]",
                flux.shape
            ));
        }
    };
    parquet::rows_of(&batch, 0, &context.options)
}

/// A pixel in each row.
fn columns(arrays: &[Named], n: usize) -> Result<RecordBatch, String> {
    let own = arrays.iter().filter(|a| a.shape == [n]);
    let (fields, values): (Vec<Field>, Vec<ArrayRef>) = own
        .map(|a| {
            let array: ArrayRef = Arc::new(Float64Array::from(a.values.clone()));
            (Field::new(&a.name, DataType::Float64, true), array)
        })
        .unzip();
    RecordBatch::try_new(Arc::new(Schema::new(fields)), values).map_err(|e| e.to_string())
}

/// A spectrum in each row.
fn lists(arrays: &[Named], rows: usize, n: usize) -> Result<RecordBatch, String> {
    let item = Arc::new(Field::new_list_field(DataType::Float64, true));
    let list = |values: Vec<f64>| -> ArrayRef {
        let values = Arc::new(Float64Array::from(values));
        let offsets = OffsetBuffer::from_lengths(std::iter::repeat_n(n, rows));
        Arc::new(GenericListArray::<i32>::new(
            item.clone(),
            offsets,
            values,
            None,
        ))
    };
    budget::check(
        24 * (rows as u64) * (n as u64),
        budget::limit(),
        "its spectra",
    )?;
    let mut fields = vec![];
    let mut out: Vec<ArrayRef> = vec![];
    for a in arrays {
        let column = match *a.shape.as_slice() {
            [r, p] if (r, p) == (rows, n) => list(a.values.clone()),
            [p] if p == n && role(&a.name).is_some() => list(a.values.repeat(rows)),
            [r] if r == rows => Arc::new(Float64Array::from(a.values.clone())),
            _ if role(&a.name).is_some() => {
                return Err(format!(
                    "{} has the shape {:?}, flux [{rows}, {n}]",
                    a.name, a.shape
                ));
            }
            _ => continue,
        };
        fields.push(Field::new(&a.name, column.data_type().clone(), true));
        out.push(column);
    }
    let batch = RecordBatch::try_new(Arc::new(Schema::new(fields)), out);
    let batch = batch.map_err(|e| e.to_string())?;
    Spectra::of(&batch, &super::ReadOptions::default()).map(|_| ())?;
    Ok(batch)
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::super::{ReadOptions, parse};

    fn npy(shape: &[usize], values: &[f64]) -> Vec<u8> {
        let axes: Vec<String> = shape.iter().map(|n| format!("{n},")).collect();
        let header = format!(
            "{{'descr': '<f8', 'fortran_order': False, 'shape': ({}), }}",
            axes.concat()
        );
        let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
        bytes.extend((header.len() as u16).to_le_bytes());
        bytes.extend(header.as_bytes());
        values.iter().for_each(|v| bytes.extend(v.to_le_bytes()));
        bytes
    }

    fn npz(arrays: &[(&str, Vec<u8>)]) -> Vec<u8> {
        let mut zip = zip::ZipWriter::new(std::io::Cursor::new(vec![]));
        for (name, bytes) in arrays {
            let options = zip::write::SimpleFileOptions::default();
            zip.start_file(format!("{name}.npy"), options).unwrap();
            zip.write_all(bytes).unwrap();
        }
        zip.finish().unwrap().into_inner()
    }

    #[test]
    fn one_spectrum_rows_and_columns() {
        let n = 40;
        let wave: Vec<f64> = (0..n).map(|i| 4000.0 + 2.0 * i as f64).collect();
        let flux: Vec<f64> = (0..3 * n).map(|i| 1.0 + (i % 7) as f64).collect();
        let ivar = vec![4.0; 3 * n];
        let one = npz(&[
            ("wave", npy(&[n], &wave)),
            ("flux", npy(&[n], &flux[..n])),
            ("ivar", npy(&[n], &ivar[..n])),
        ]);
        let many = npz(&[
            ("wavelength", npy(&[n], &wave)),
            ("flux", npy(&[3, n], &flux)),
            ("ivar", npy(&[3, n], &ivar)),
            ("z", npy(&[3], &[0.1, 0.2, 0.3])),
        ]);
        let mut three = wave.clone();
        three.extend(&flux[..n]);
        three.extend(vec![0.5; n]);
        let read = |name: &str, bytes: Vec<u8>| {
            parse(name.as_ref(), bytes, &ReadOptions::default()).map(|f| f.rows)
        };
        let all = [
            read("one.npz", one).unwrap(),
            read("many.npz", many).unwrap(),
            read("three.npy", npy(&[3, n], &three)).unwrap(),
        ];
        assert_eq!(all.each_ref().map(Vec::len), [1, 3, 1]);
        let first = all[0][0].spectrum.as_ref().unwrap();
        for rows in &all {
            let s = rows[0].spectrum.as_ref().unwrap();
            assert_eq!(s.wave, first.wave);
            assert_eq!(s.flux, first.flux);
            assert_eq!(s.ivar, first.ivar);
        }
        assert_eq!(all[1][2].row, 2);
        // Images are no spectra, and archives of other things no arrays.
        assert!(read("image.npy", npy(&[8, 8], &[0.0; 64])).is_err());
        assert!(read("bad.zip", b"PK\x03\x04".to_vec()).is_err());
    }
}
