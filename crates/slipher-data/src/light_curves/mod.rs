//! Files of light curves, recognised by content: Parquet with lists (a row an object; LSDB's nested
//! columns), SNANA's text and FITS (HEAD and PHOT), CSV with a row a measurement (PLAsTiCC's, or one
//! object), alerts in Avro or JSON with their history.

mod alert;
pub mod batch;
mod csv;
mod snana;

use std::path::Path;

use crate::fits::read_bytes;
use crate::light_curve::LightCurve;

/// One light curve of a file, or why there is none.
#[derive(Clone, Debug)]
pub struct Row {
    /// File.
    pub source: String,
    /// Number in it.
    pub row: usize,
    /// What was read, or why not.
    pub curve: Result<LightCurve, String>,
}

/// Endings of files that may hold light curves.
pub const ENDINGS: [&str; 9] = [
    "parquet", "csv", "txt", "dat", "fits", "fit", "avro", "json", "gz",
];

/// Reads a file; false from `each` ends the reading.
///
/// # Errors
/// A file that cannot be opened or whose format is not known: what would be read.
pub fn read(path: &Path, each: &mut dyn FnMut(Row) -> bool) -> Result<(), String> {
    let mut head = [0u8; 8];
    let mut file = std::fs::File::open(path).map_err(|e| format!("cannot read: {e}"))?;
    let n = std::io::Read::read(&mut file, &mut head).map_err(|e| format!("cannot read: {e}"))?;
    if head[..n].starts_with(b"PAR1") {
        return batch::read(path, each);
    }
    let source = path.display().to_string();
    let bytes = read_bytes(path).map_err(|e| e.to_string())?;
    let mut number = 0;
    let mut give = |curve: Result<LightCurve, String>| {
        let curve = curve.map(|c| named(c, path, number).settled());
        number += 1;
        each(Row {
            source: source.clone(),
            row: number - 1,
            curve,
        })
    };
    if bytes.starts_with(b"SIMPLE") {
        return snana::fits(path, bytes, &mut give);
    }
    if alert::is(&bytes) {
        return alert::read(bytes, &mut give);
    }
    let text = std::str::from_utf8(&bytes)
        .map_err(|_| "neither text, FITS, Parquet nor an alert".to_owned())?;
    if text.contains("VARLIST:") || text.contains("\nOBS:") {
        give(snana::text(text));
        return Ok(());
    }
    csv::read(text, &mut give)
}

/// Names an object after its file where it has no name.
fn named(mut c: LightCurve, path: &Path, row: usize) -> LightCurve {
    if c.object_id.is_empty() {
        let stem = path.file_stem().map(|s| s.to_string_lossy().into_owned());
        let stem = stem.unwrap_or_default();
        c.object_id = if row == 0 {
            stem
        } else {
            format!("{stem}#{row}")
        };
    }
    c
}

/// Names of columns and fields, lower case.
pub(crate) mod names {
    pub const TIME: [&str; 9] = [
        "mjd",
        "time",
        "t",
        "date",
        "midpointmjdtai",
        "midpointtai",
        "hmjd",
        "jd",
        "bjd",
    ];
    pub const BAND: [&str; 7] = [
        "band", "passband", "filter", "flt", "fid", "filt", "filters",
    ];
    pub const FLUX: [&str; 7] = [
        "flux",
        "fluxcal",
        "psflux",
        "psfflux",
        "psdiffflux",
        "diffflux",
        "f",
    ];
    pub const ERROR: [&str; 10] = [
        "flux_err",
        "fluxcalerr",
        "fluxerr",
        "psfluxerr",
        "psffluxerr",
        "psdifffluxerr",
        "error",
        "flux_error",
        "eflux",
        "sigma",
    ];
    pub const MAGNITUDE: [&str; 5] = ["mag", "magnitude", "magpsf", "psfmag", "magap"];
    pub const MAGNITUDE_ERROR: [&str; 6] = [
        "mag_err",
        "magerr",
        "sigmapsf",
        "e_mag",
        "mag_error",
        "sigmapsf_corr",
    ];
    pub const ID: [&str; 8] = [
        "object_id",
        "snid",
        "objectid",
        "oid",
        "id",
        "name",
        "diaobjectid",
        "targetid",
    ];
    pub const REDSHIFT: [&str; 6] = [
        "host_photoz",
        "hostgal_photoz",
        "photoz",
        "redshift",
        "z",
        "redshift_final",
    ];
    pub const REDSHIFT_ERROR: [&str; 5] = [
        "host_photoz_err",
        "hostgal_photoz_err",
        "photoz_err",
        "redshift_err",
        "z_err",
    ];
    pub const EBV: [&str; 3] = ["mwebv", "ebv", "e_bv"];
    pub const LABEL: [&str; 6] = [
        "sn_type",
        "label",
        "class",
        "target",
        "type",
        "classification",
    ];
    pub const RA: [&str; 3] = ["ra", "ra_deg", "raj2000"];
    pub const DEC: [&str; 4] = ["dec", "decl", "dec_deg", "dej2000"];
    pub const ZERO_POINT: [&str; 3] = ["zp", "zeropoint", "zero_point"];
}

/// MJD of a time that may be a Julian date.
pub(crate) fn mjd(t: f64) -> f64 {
    if t > 2_400_000.0 { t - 2_400_000.5 } else { t }
}

/// Flux and error of [`crate::light_curve::ZERO_POINT`] from a magnitude and its error.
pub(crate) fn of_magnitude(m: f64, e: f64) -> (f32, f32) {
    let flux = 10f64.powf(-0.4 * (m - crate::light_curve::ZERO_POINT));
    let error = flux * e * 0.4 * std::f64::consts::LN_10;
    (flux as f32, error as f32)
}

#[cfg(test)]
mod tests;
