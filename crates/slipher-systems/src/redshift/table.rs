//! Spectra as columns, one row each, with lists of wavelength, flux and inverse variance: what
//! `slipher simulate` writes and the Python package hands out. [`super::contract`] reads them back
//! as they were.

use slipher_data::catalogue::{Column, Values};
use slipher_data::columns::Columns;
use slipher_data::formats::Row;
use slipher_data::formats::batch::VACUUM;
use slipher_data::spectrum::{Spectrum, Truth};
use slipher_data::warning::Warning;

use super::simulate::Example;

/// Wavelength, flux, inverse variance; empty lists where there is no spectrum.
fn pixels(spectra: &[Option<&Spectrum>], flux_unit: &'static str) -> Vec<Column> {
    let lists = |f: &dyn Fn(&Spectrum) -> &[f32]| {
        Values::F32Lists(
            spectra
                .iter()
                .map(|s| s.map_or(vec![], |s| f(s).to_vec()))
                .collect(),
        )
    };
    let wave = Values::F64Lists(
        spectra
            .iter()
            .map(|s| s.map_or(vec![], |s| s.wave.clone()))
            .collect(),
    );
    let ivar_unit = if flux_unit.is_empty() {
        ""
    } else {
        "1e34 s2.cm4.Angstrom2/erg2"
    };
    let mut t = Columns::of(spectra);
    t.put(["wave", "Angstrom", "em.wl", VACUUM], wave);
    let flux = ["flux", flux_unit, "phot.flux.density;em.wl", "flux density"];
    t.put(flux, lists(&|s| &s.flux));
    let weight = "stat.weight;phot.flux.density";
    let ivar = ["ivar", ivar_unit, weight, "inverse variance, 0 = bad"];
    t.put(ivar, lists(&|s| &s.ivar));
    t.done()
}

/// Spectra of one file, in its order. What could not be read has empty lists and says why in
/// `read_error`. Class and redshift that the file gives are `z`, `spectype` and `zwarn`: for
/// comparison, never for prediction.
pub fn spectrum_columns(file: &str, rows: &[Row]) -> Vec<Column> {
    let spectra: Vec<Option<&Spectrum>> = rows.iter().map(|r| r.spectrum.as_ref().ok()).collect();
    fn of(r: &Row) -> Option<&Spectrum> {
        r.spectrum.as_ref().ok()
    }
    fn truth(r: &Row) -> Option<&Truth> {
        of(r)?.truth.as_ref()
    }
    let mut t = Columns::of(rows);
    t.text(
        [
            "object_id",
            "",
            "meta.id;meta.main",
            "identifier from the file",
        ],
        |r| of(r).map_or(String::new(), |s| s.object_id.clone()),
    );
    t.f64(
        ["ra", "deg", "pos.eq.ra;meta.main", "right ascension, ICRS"],
        |r| of(r).map_or(f64::NAN, |s| s.ra),
    );
    t.f64(
        ["dec", "deg", "pos.eq.dec;meta.main", "declination, ICRS"],
        |r| of(r).map_or(f64::NAN, |s| s.dec),
    );
    t.extend(pixels(&spectra, ""));
    let estimated = "1: the file has no errors, they were estimated from the scatter";
    t.i32(["ivar_estimated", "", "meta.code", estimated], |r| {
        of(r).map_or(0, |s| i32::from(s.ivar_estimated))
    });
    t.f64(
        ["z", "", "src.redshift", "redshift that the file gives"],
        |r| truth(r).map_or(f64::NAN, |t| t.z),
    );
    t.text(
        ["spectype", "", "src.spType", "class that the file gives"],
        |r| truth(r).map_or(String::new(), |t| t.spectype.clone()),
    );
    t.i32(
        [
            "zwarn",
            "",
            "meta.code.qual",
            "warning bits that the file gives",
        ],
        |r| truth(r).map_or(0, |t| t.zwarn as i32),
    );
    let assumed = "what was assumed or is wrong with the file, names joined by commas";
    t.text(["warnings", "", "meta.code.qual", assumed], |r| {
        of(r).map_or(String::new(), |s| Warning::join(&s.warnings))
    });
    t.text(
        [
            "provenance",
            "",
            "meta.note",
            "each conversion made on the way in",
        ],
        |r| of(r).map_or(String::new(), |s| s.provenance.join("; ")),
    );
    t.text(
        ["file", "", "meta.file", "file the spectrum was read from"],
        |_| file.to_owned(),
    );
    t.i32(
        ["hdu", "", "meta.id.part", "HDU of the flux, 0 = primary"],
        |r| r.hdu as i32,
    );
    t.i64(
        ["row", "", "meta.record", "row within the HDU, from 0"],
        |r| r.row as i64,
    );
    t.text(
        ["read_error", "", "meta.note", "why there is no spectrum"],
        |r| r.spectrum.as_ref().err().cloned().unwrap_or_default(),
    );
    t.done()
}

/// Simulated spectra with what was put in; `names` are those of the instruments.
pub fn example_columns(batch: &[Example], names: &[String]) -> Vec<Column> {
    let spectra: Vec<Option<&Spectrum>> = batch.iter().map(|e| Some(&e.spectrum)).collect();
    let mut t = Columns::of(batch);
    t.text(
        [
            "object_id",
            "",
            "meta.id;meta.main",
            "split and row of the stream",
        ],
        |e| e.spectrum.object_id.clone(),
    );
    t.text(["instrument", "", "instr", "instrument"], |e| {
        names[e.instrument].clone()
    });
    t.extend(pixels(&spectra, "1e-17 erg/s/cm2/Angstrom"));
    t.f64(["z", "", "src.redshift", "true redshift"], |e| {
        e.truth.map_or(f64::NAN, |t| t.1)
    });
    t.text(["spectype", "", "src.spType", "true class"], |e| {
        e.truth.map_or(String::new(), |t| t.0.name().into())
    });
    t.text(
        ["subtype", "", "src.spType", "kind within the class"],
        |e| e.subtype.to_owned(),
    );
    t.f64(
        ["snr", "", "stat.snr", "median S/N per pixel asked for"],
        |e| e.snr,
    );
    t.done()
}
