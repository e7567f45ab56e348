//! HDF5 (feature `hdf5`): data sets of wavelength, flux and noise in the root or in groups,
//! `[pixel]` for one spectrum or `[spectrum][pixel]` for many, wavelengths for each or for all;
//! MultimodalUniverse names (`spectrum_flux`) among them.

use std::panic::{AssertUnwindSafe, catch_unwind};

use hdf5_pure::{AttrValue, DType, Dataset, File, Group};

use super::names::{CLASS, DEC, ID, RA, REDSHIFT, Role, ZWARN, role, unit_in};
use super::pixels::{Noise, Pixels, medium_by_name};
use super::{Content, Context, Format, Row, masks};
use crate::budget;
use crate::spectrum::{Spectrum, Truth};

pub(super) const FORMAT: Format = Format {
    name: "HDF5",
    about: "HDF5 with data sets of wavelength, flux and noise, one spectrum or a row each (MultimodalUniverse)",
    recognise,
    read,
};

fn recognise(content: &Content) -> Option<String> {
    let Content::Hdf5(_) = content else {
        return None;
    };
    Some("begins with the HDF5 signature".into())
}

fn read(content: &Content, context: &Context) -> Result<Vec<Row>, String> {
    let Content::Hdf5(bytes) = content else {
        return Err("it is no HDF5 file".into());
    };
    // Files come from strangers: a panic of the library is a refusal of the file.
    catch_unwind(AssertUnwindSafe(|| all(bytes.to_vec(), context)))
        .unwrap_or_else(|_| Err("its structure is damaged".into()))
}

fn all(bytes: Vec<u8>, context: &Context) -> Result<Vec<Row>, String> {
    let size = bytes.len() as u64;
    let file = File::from_bytes(bytes).map_err(|e| e.to_string())?;
    let root = file.root();
    let mut out = spectra(&root, size, context)?.unwrap_or_default();
    let mut seen = shapes(&root);
    for name in root.groups().map_err(|e| e.to_string())? {
        let group = root.group(&name).map_err(|e| e.to_string())?;
        seen.push(format!("{name}/({})", shapes(&group).join(", ")));
        let mut rows = spectra(&group, size, context)?.unwrap_or_default();
        let single = rows.len() == 1;
        for (k, r) in rows.iter_mut().enumerate() {
            r.row = out.len() + k;
            if let (Ok(s), true) = (&mut r.spectrum, single)
                && s.object_id.is_empty()
            {
                s.object_id.clone_from(&name);
            }
        }
        out.append(&mut rows);
    }
    if out.is_empty() {
        return Err(format!(
            "no data sets of wavelength ({} …) and flux, [pixel] or [spectrum, pixel], in the root or its groups; there are {}",
            super::names::wave_names(),
            seen.join(", ")
        ));
    }
    Ok(out)
}

/// Data sets of a group with their shapes, for messages.
fn shapes(group: &Group) -> Vec<String> {
    let shape = |n: &String| {
        group
            .dataset(n)
            .and_then(|d| d.shape())
            .map_or_else(|_| "unreadable".into(), |s| format!("{s:?}"))
    };
    group
        .datasets()
        .unwrap_or_default()
        .iter()
        .take(12)
        .map(|n| format!("{n} {}", shape(n)))
        .collect()
}

/// Refuses a data set that is larger than a file of `size` bytes may unpack to, or empty.
fn fits_in(name: &str, shape: &[u64], size: u64) -> Result<(), String> {
    let values = shape.iter().try_fold(8u64, |p, n| p.checked_mul(*n));
    let what = format!("data set {name} of shape {shape:?}");
    if values == Some(0) {
        return Err(format!("{what} has no values"));
    }
    let bytes = values.unwrap_or(u64::MAX);
    budget::check(bytes, budget::unpacked(size), &what)
}

/// One array by role: its name, unit, length of a row, and values.
struct Array {
    name: String,
    unit: String,
    rows: Option<usize>,
    values: Vec<f64>,
}

impl Array {
    fn new(name: &str, d: &Dataset, size: u64) -> Result<Option<Array>, String> {
        let fail = |e: hdf5_pure::Error| format!("data set {name}: {e}");
        let numeric = !matches!(
            d.dtype().map_err(fail)?,
            DType::String
                | DType::VariableLengthString
                | DType::Compound(_)
                | DType::ObjectReference
                | DType::Other(_)
        );
        let shape = d.shape().map_err(fail)?;
        let rows = match shape.as_slice() {
            [_] => None,
            [rows, _] => Some(*rows as usize),
            _ => return Ok(None),
        };
        if !numeric {
            return Ok(None);
        }
        fits_in(name, &shape, size)?;
        let values = d.read_f64().map_err(fail)?;
        let unit = d
            .attrs()
            .ok()
            .and_then(|a| ["unit", "units"].iter().find_map(|k| words(a.get(*k)?)))
            .unwrap_or_default();
        Ok(Some(Array {
            name: name.to_owned(),
            unit,
            rows,
            values,
        }))
    }

    fn row(&self, i: usize) -> Vec<f64> {
        match self.rows {
            None => self.values.clone(),
            Some(n) => {
                let width = self.values.len() / n.max(1);
                self.values[i * width..(i + 1) * width].to_vec()
            }
        }
    }
}

fn words(a: &AttrValue) -> Option<String> {
    match a {
        AttrValue::String(s) | AttrValue::AsciiString(s) => Some(s.trim().to_owned()),
        _ => None,
    }
}

/// Spectra of one group; none if it has no wavelength and flux.
fn spectra(group: &Group, size: u64, context: &Context) -> Result<Option<Vec<Row>>, String> {
    let names = group.datasets().map_err(|e| e.to_string())?;
    let mut arrays: Vec<(Role, Array)> = Vec::new();
    for name in &names {
        let plain = name.to_lowercase();
        let Some(r) = role(plain.strip_prefix("spectrum_").unwrap_or(&plain)) else {
            continue;
        };
        if arrays.iter().any(|a| a.0 == r) {
            continue;
        }
        let d = group
            .dataset(name)
            .map_err(|e| format!("data set {name}: {e}"))?;
        arrays.extend(Array::new(name, &d, size)?.map(|a| (r, a)));
    }
    let get = |r: Role| arrays.iter().find(|a| a.0 == r).map(|a| &a.1);
    let (Some(wave), Some(flux)) = (get(Role::Wave), get(Role::Flux)) else {
        return Ok(None);
    };
    let rows = flux.rows.unwrap_or(1);
    let noise = [Role::Ivar, Role::Sigma, Role::Variance]
        .into_iter()
        .find_map(|r| get(r).map(|a| (r, a)));
    for (_, a) in &arrays {
        if a.rows.is_some_and(|n| n != rows) {
            return Err(format!(
                "data set {} has {} rows, {} has {rows}",
                a.name,
                a.rows.unwrap_or(1),
                flux.name
            ));
        }
    }
    let columns = Columns::new(group, &names, rows);
    let one = |i: usize| {
        let noise = match noise {
            Some((Role::Ivar, a)) => Noise::Ivar(a.row(i)),
            Some((Role::Sigma, a)) => Noise::Sigma(a.row(i)),
            Some((_, a)) => Noise::Variance(a.row(i)),
            None => Noise::Missing,
        };
        let pixels = Pixels {
            wave: wave.row(i),
            wave_unit: wave.unit.clone(),
            wave_name: wave.name.clone(),
            flux: flux.row(i),
            flux_unit: if flux.unit.is_empty() {
                unit_in(&flux.name)
            } else {
                flux.unit.clone()
            },
            noise,
            bad: masks::bad(|r| Some(get(r)?.row(i))),
            medium: medium_by_name(&wave.name, ""),
        };
        let spectrum = pixels
            .into_spectrum(&context.options)
            .map_err(|e| e.to_string())
            .map(|s| columns.identify(i, s));
        Row {
            hdu: 0,
            row: i,
            spectrum,
        }
    };
    Ok(Some((0..rows).map(one).collect()))
}

/// What else a row is told to be.
struct Columns {
    id: Vec<String>,
    ra: Vec<f64>,
    dec: Vec<f64>,
    z: Vec<f64>,
    zwarn: Vec<f64>,
    class: Vec<String>,
}

impl Columns {
    fn new(group: &Group, names: &[String], rows: usize) -> Columns {
        let find = |wanted: &[&str]| {
            wanted
                .iter()
                .find_map(|w| names.iter().find(|n| n.eq_ignore_ascii_case(w)))
                .and_then(|n| group.dataset(n).ok())
                .filter(|d| d.shape().is_ok_and(|s| s == [rows as u64]))
        };
        let numbers = |wanted: &[&str]| {
            find(wanted)
                .and_then(|d| d.read_f64().ok())
                .filter(|v| v.len() == rows)
                .unwrap_or_default()
        };
        // Identifiers have more digits than a double.
        let texts = |wanted: &[&str]| {
            let read = |d: Dataset| {
                d.read_string()
                    .ok()
                    .or_else(|| Some(d.read_i64().ok()?.iter().map(i64::to_string).collect()))
            };
            find(wanted)
                .and_then(read)
                .filter(|v: &Vec<String>| v.len() == rows)
                .unwrap_or_default()
        };
        Columns {
            id: texts(ID),
            ra: numbers(RA),
            dec: numbers(DEC),
            z: numbers(REDSHIFT),
            zwarn: numbers(ZWARN),
            class: texts(CLASS),
        }
    }

    fn identify(&self, i: usize, mut s: Spectrum) -> Spectrum {
        s.object_id = self
            .id
            .get(i)
            .map(|t| t.trim().to_owned())
            .unwrap_or_default();
        s.ra = self.ra.get(i).copied().unwrap_or(f64::NAN);
        s.dec = self.dec.get(i).copied().unwrap_or(f64::NAN);
        if let (Some(class), Some(z)) = (self.class.get(i), self.z.get(i).filter(|z| z.is_finite()))
        {
            s.truth = Some(Truth {
                z: *z,
                spectype: class.trim().to_uppercase(),
                zwarn: self.zwarn.get(i).map_or(0, |w| *w as i64),
            });
        }
        s
    }
}

#[cfg(test)]
mod tests {
    use super::super::{ReadOptions, read};
    use hdf5_pure::{AttrValue, FileBuilder};

    fn written(build: impl Fn(&mut FileBuilder)) -> Vec<u8> {
        let mut b = FileBuilder::new();
        build(&mut b);
        b.finish().unwrap()
    }

    fn rows(bytes: &[u8]) -> Result<Vec<super::Row>, String> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.h5");
        std::fs::write(&path, bytes).unwrap();
        read(&path, &ReadOptions::default())
            .map(|f| f.rows)
            .map_err(|e| e.to_string())
    }

    #[test]
    fn one_spectrum_many_and_damage() {
        let wave: Vec<f64> = (0..200).map(|i| 400.0 + f64::from(i)).collect();
        let flux: Vec<f32> = (0..200).map(|i| 1.0 + 0.01 * i as f32).collect();
        let single = written(|b| {
            b.create_dataset("wavelength")
                .with_f64_data(&wave)
                .set_attr("units", AttrValue::String("nm".into()));
            b.create_dataset("flux").with_f32_data(&flux);
            b.create_dataset("ivar").with_f32_data(&vec![4.0; 200]);
        });
        let r = rows(&single).unwrap();
        let s = r[0].spectrum.as_ref().unwrap();
        assert!(
            r.len() == 1
                && (s.wave[0] - 4000.0).abs() < 1e-9
                && s.flux[199] == flux[199]
                && s.ivar[3] == 4.0
                && s.object_id == "x"
        );
        let many = written(|b| {
            b.create_dataset("spectrum_lambda")
                .with_f64_data(&wave.iter().map(|w| w * 10.0).collect::<Vec<_>>());
            b.create_dataset("spectrum_flux")
                .with_f32_data(&[flux.clone(), flux.iter().map(|f| 2.0 * f).collect()].concat())
                .with_shape(&[2, 200]);
            b.create_dataset("spectrum_ivar")
                .with_f32_data(&vec![1.0; 400])
                .with_shape(&[2, 200]);
            b.create_dataset("object_id")
                .with_i64_data(&[39_627_788_403_084_375, 7]);
            b.create_dataset("Z").with_f64_data(&[0.5, 0.7]);
        });
        let r = rows(&many).unwrap();
        let ids: Vec<_> = r
            .iter()
            .map(|r| r.spectrum.as_ref().unwrap().object_id.as_str())
            .collect();
        assert!(
            ids == ["39627788403084375", "7"] && r[1].spectrum.as_ref().unwrap().flux[0] == 2.0
        );
        for cut in (8..single.len()).step_by(97) {
            let _ = rows(&single[..cut]);
        }
        let nothing = written(|b| {
            b.create_dataset("images").with_f32_data(&flux);
        });
        assert!(
            rows(&nothing)
                .unwrap_err()
                .contains("there are images [200]")
        );
    }
}
