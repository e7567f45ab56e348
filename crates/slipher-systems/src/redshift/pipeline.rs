//! Files to rows, in order, in parallel, in memory bounded by the files being read at one time.

use std::path::{Path, PathBuf};

use rayon::prelude::*;
use slipher_data::formats::{ReadOptions, read};
use slipher_data::spectrum::{Origin, Spectrum};
use slipher_nn::shiftnet::Tape;

use super::catalogue::Row;
use super::measure::{measure, measure_with_posterior};
use super::model::Model;

/// A spectrum kept for the report, with its posterior `[class][lag]`.
pub struct Kept {
    pub spectrum: Spectrum,
    pub row: Row,
    pub posterior: Vec<Vec<f64>>,
}

/// Files read before their rows are handed over.
const BATCH: usize = 256;

/// Measures every spectrum of `files`; `sink` gets rows in order, a batch of files at a time, and says whether to go on.
pub fn run<E>(model: &Model, files: &[PathBuf], options: &ReadOptions, mut sink: impl FnMut(usize, Vec<Row>) -> Result<bool, E>) -> Result<(), E> {
    let mut done = 0;
    for batch in files.chunks(BATCH) {
        let rows: Vec<Vec<Row>> = batch.par_iter().map(|path| rows_of(model, path, options)).collect();
        done += batch.len();
        if !sink(done, rows.into_iter().flatten().collect())? {
            break;
        }
    }
    Ok(())
}

fn rows_of(model: &Model, path: &Path, options: &ReadOptions) -> Vec<Row> {
    // A bug in a reader must cost one file, not the night.
    let rows = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| read_and_measure(model, path, options)));
    rows.unwrap_or_else(|_| {
        let why = format!("{}: Slipher failed on this file; please report it", path.display());
        vec![Row::unreadable(Origin { file: path.display().to_string(), hdu: 0, row: 0 }, why)]
    })
}

fn read_and_measure(model: &Model, path: &Path, options: &ReadOptions) -> Vec<Row> {
    let origin = |hdu, row| Origin { file: path.display().to_string(), hdu, row };
    let found = match read(path, options) {
        Ok(f) => f,
        Err(e) => return vec![Row::unreadable(origin(0, 0), e.to_string())],
    };
    let one = |tape: &mut Tape, r: slipher_data::formats::Row| match r.spectrum {
        Ok(s) => Row::new(&s, measure(model, &s, tape)),
        Err(why) => {
            let o = origin(r.hdu, r.row);
            let message = format!("{} HDU {} row {}: {why}", o.file, r.hdu, r.row);
            Row::unreadable(o, message)
        }
    };
    // Files with few rows stay on one thread, so that a thread that waits does not open another file.
    if found.rows.len() < 64 {
        let mut tape = Tape::default();
        return found.rows.into_iter().map(|r| one(&mut tape, r)).collect();
    }
    found.rows.into_par_iter().map_init(Tape::default, one).collect()
}

/// Measures spectra in memory, in order.
pub fn measure_all(model: &Model, spectra: &[Spectrum]) -> Vec<Row> {
    spectra.par_iter().map_init(Tape::default, |tape, s| Row::new(s, measure(model, s, tape))).collect()
}

/// Reads one row again for the report's gallery.
pub fn keep(model: &Model, row: &Row, options: &ReadOptions) -> Option<Kept> {
    let found = read(Path::new(&row.origin.file), options).ok()?;
    let r = found.rows.into_iter().find(|r| (r.hdu, r.row) == (row.origin.hdu, row.origin.row))?;
    keep_spectrum(model, r.spectrum.ok()?)
}

/// A spectrum with its measurement and posterior.
pub fn keep_spectrum(model: &Model, spectrum: Spectrum) -> Option<Kept> {
    let (m, posterior) = measure_with_posterior(model, &spectrum, &mut Tape::default());
    Some(Kept { row: Row::new(&spectrum, m), spectrum, posterior: posterior? })
}
