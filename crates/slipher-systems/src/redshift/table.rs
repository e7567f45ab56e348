//! Spectra as columns, one row each, with lists of wavelength, flux and inverse variance: what
//! `slipher simulate` writes and the Python package hands out. [`super::contract`] reads them back
//! as they were.

use slipher_data::catalogue::{Column, Values};
use slipher_data::formats::Row;
use slipher_data::formats::batch::VACUUM;
use slipher_data::spectrum::Spectrum;

use super::simulate::Example;

fn column(
    name: &'static str,
    unit: &'static str,
    ucd: &'static str,
    description: &'static str,
    values: Values,
) -> Column {
    Column {
        name,
        unit,
        ucd,
        description,
        values,
    }
}

/// Wavelength, flux, inverse variance; empty lists where there is no spectrum.
fn pixels(spectra: &[Option<&Spectrum>], flux_unit: &'static str) -> [Column; 3] {
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
    [
        column("wave", "Angstrom", "em.wl", VACUUM, wave),
        column(
            "flux",
            flux_unit,
            "phot.flux.density;em.wl",
            "flux density",
            lists(&|s| &s.flux),
        ),
        column(
            "ivar",
            ivar_unit,
            "stat.weight;phot.flux.density",
            "inverse variance, 0 = bad",
            lists(&|s| &s.ivar),
        ),
    ]
}

/// Spectra of one file, in its order. What could not be read has empty lists and says why in
/// `read_error`. Class and redshift that the file gives are `z`, `spectype` and `zwarn`: for
/// comparison, never for prediction.
pub fn spectrum_columns(file: &str, rows: &[Row]) -> Vec<Column> {
    let spectra: Vec<Option<&Spectrum>> = rows.iter().map(|r| r.spectrum.as_ref().ok()).collect();
    let texts = |f: &dyn Fn(&Spectrum) -> String| {
        Values::Text(spectra.iter().map(|s| s.map_or(String::new(), f)).collect())
    };
    let f64s = |f: &dyn Fn(&Spectrum) -> f64| {
        Values::F64(spectra.iter().map(|s| s.map_or(f64::NAN, f)).collect())
    };
    let mut out = vec![
        column(
            "object_id",
            "",
            "meta.id;meta.main",
            "identifier from the file",
            texts(&|s| s.object_id.clone()),
        ),
        column(
            "ra",
            "deg",
            "pos.eq.ra;meta.main",
            "right ascension, ICRS",
            f64s(&|s| s.ra),
        ),
        column(
            "dec",
            "deg",
            "pos.eq.dec;meta.main",
            "declination, ICRS",
            f64s(&|s| s.dec),
        ),
    ];
    out.extend(pixels(&spectra, ""));
    let i32s = |f: &dyn Fn(&Spectrum) -> i32| {
        Values::I32(spectra.iter().map(|s| s.map_or(0, f)).collect())
    };
    let file = Values::Text(vec![file.to_owned(); rows.len()]);
    out.extend([
        column(
            "ivar_estimated",
            "",
            "meta.code",
            "1: the file has no errors, they were estimated from the scatter",
            i32s(&|s| i32::from(s.ivar_estimated)),
        ),
        column(
            "z",
            "",
            "src.redshift",
            "redshift that the file gives",
            f64s(&|s| s.truth.as_ref().map_or(f64::NAN, |t| t.z)),
        ),
        column(
            "spectype",
            "",
            "src.spType",
            "class that the file gives",
            texts(&|s| {
                s.truth
                    .as_ref()
                    .map_or(String::new(), |t| t.spectype.clone())
            }),
        ),
        column(
            "zwarn",
            "",
            "meta.code.qual",
            "warning bits that the file gives",
            i32s(&|s| s.truth.as_ref().map_or(0, |t| t.zwarn as i32)),
        ),
        column(
            "provenance",
            "",
            "meta.note",
            "each conversion made on the way in",
            texts(&|s| s.provenance.join("; ")),
        ),
        column(
            "file",
            "",
            "meta.file",
            "file the spectrum was read from",
            file,
        ),
        column(
            "hdu",
            "",
            "meta.id.part",
            "HDU of the flux, 0 = primary",
            Values::I32(rows.iter().map(|r| r.hdu as i32).collect()),
        ),
        column(
            "row",
            "",
            "meta.record",
            "row within the HDU, from 0",
            Values::I64(rows.iter().map(|r| r.row as i64).collect()),
        ),
        column(
            "read_error",
            "",
            "meta.note",
            "why there is no spectrum",
            Values::Text(
                rows.iter()
                    .map(|r| r.spectrum.as_ref().err().cloned().unwrap_or_default())
                    .collect(),
            ),
        ),
    ]);
    out
}

/// Simulated spectra with what was put in; `names` are those of the instruments.
pub fn example_columns(batch: &[Example], names: &[String]) -> Vec<Column> {
    let text = |f: &dyn Fn(&Example) -> String| Values::Text(batch.iter().map(f).collect());
    let spectra: Vec<Option<&Spectrum>> = batch.iter().map(|e| Some(&e.spectrum)).collect();
    let mut out = vec![
        column(
            "object_id",
            "",
            "meta.id;meta.main",
            "split and row of the stream",
            text(&|e| e.spectrum.object_id.clone()),
        ),
        column(
            "instrument",
            "",
            "instr",
            "instrument",
            text(&|e| names[e.instrument].clone()),
        ),
    ];
    out.extend(pixels(&spectra, "1e-17 erg/s/cm2/Angstrom"));
    out.extend([
        column(
            "z",
            "",
            "src.redshift",
            "true redshift",
            Values::F64(
                batch
                    .iter()
                    .map(|e| e.truth.map_or(f64::NAN, |t| t.1))
                    .collect(),
            ),
        ),
        column(
            "spectype",
            "",
            "src.spType",
            "true class",
            text(&|e| e.truth.map_or(String::new(), |t| t.0.name().into())),
        ),
        column(
            "subtype",
            "",
            "src.spType",
            "kind within the class",
            text(&|e| e.subtype.to_owned()),
        ),
        column(
            "snr",
            "",
            "stat.snr",
            "median S/N per pixel asked for",
            Values::F64(batch.iter().map(|e| e.snr).collect()),
        ),
    ]);
    out
}
