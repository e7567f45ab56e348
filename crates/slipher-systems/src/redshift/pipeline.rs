//! Files to rows, in order, in parallel, in memory bounded by the files being read at one time.

use std::path::{Path, PathBuf};

use rayon::prelude::*;
use slipher_data::arms;
use slipher_data::formats::{FileSpectra, ReadOptions, is_large, read, read_row, read_slices};
use slipher_data::spectrum::{Origin, Spectrum};
use slipher_nn::object_pool::ObjectPool;

use super::catalogue::Row;
use super::measure::{PredictOptions, Workspace, measure, measure_all, measure_with_posterior};
use super::model::Model;
use crate::predict::{FAILED, caught, guarded};

/// A spectrum kept for the report, with its posterior `[class][lag]`.
pub struct Kept {
    /// As read.
    pub spectrum: Spectrum,
    /// Its line of the catalogue.
    pub row: Row,
    /// Probability of each lag.
    pub posterior: Vec<Vec<f64>>,
}

/// Measurements of spectra in memory, in order; one that makes the program fail is flagged.
pub(super) fn measured(model: &Model, opts: &PredictOptions, spectra: &[&Spectrum]) -> Vec<Row> {
    let run = |some: std::ops::Range<usize>| {
        let own = &spectra[some];
        measure_all(model, opts, own)
            .into_iter()
            .zip(own)
            .map(|(m, s)| Row::new(s, m))
            .collect()
    };
    let failed = |i: usize| {
        let origin = spectra[i].origin.clone();
        let file = if origin.file.is_empty() {
            String::new()
        } else {
            format!("{}: ", origin.file)
        };
        Row::unreadable(origin, format!("{file}{FAILED}"))
    };
    guarded(spectra.len(), &run, &failed)
}

/// Files whose rows are handed over together.
const BATCH: usize = 256;
/// Batches that wait for the writer before the readers do.
const AHEAD: usize = 2;
/// Rows of one file from which on it is worth all threads.
const LARGE: usize = 64;

/// Measures every spectrum of `files`; `sink` gets rows in order, a batch of files at a time, and
/// says whether to go on. The sink (which writes) works while the next batches are read and
/// measured.
pub fn run<E>(
    model: &Model,
    opts: &PredictOptions,
    files: &[PathBuf],
    options: &ReadOptions,
    mut sink: impl FnMut(usize, Vec<Row>) -> Result<bool, E>,
) -> Result<(), E> {
    let (send, receive) = std::sync::mpsc::sync_channel::<(usize, Vec<Row>)>(AHEAD);
    std::thread::scope(|scope| {
        scope.spawn(move || {
            let mut done = 0;
            let pool = ObjectPool::<Workspace>::default();
            for batch in files.chunk_by(|a, b| !is_large(a) && !is_large(b)) {
                if let [one] = batch
                    && is_large(one)
                {
                    let mut sink =
                        |last: bool, rows| send.send((done + usize::from(last), rows)).is_ok();
                    if !large(model, opts, one, options, &mut sink) {
                        return;
                    }
                    done += 1;
                    continue;
                }
                for batch in batch.chunks(BATCH) {
                    let rows = batch
                        .par_chunks(model.batch_size())
                        .map(|some| rows_of(model, opts, some, options, &pool));
                    let rows: Vec<Vec<Row>> = rows.collect();
                    done += batch.len();
                    // Nobody listens any more: stop.
                    if send
                        .send((done, rows.into_iter().flatten().collect()))
                        .is_err()
                    {
                        return;
                    }
                }
            }
        });
        for (done, rows) in receive {
            if !sink(done, rows)? {
                break;
            }
        }
        Ok(())
    })
}

/// As [`run`], with arms of one object in separate files or rows joined to one spectrum
/// ([`slipher_data::arms`]). All spectra are held in memory.
pub fn run_joined<E>(
    model: &Model,
    opts: &PredictOptions,
    files: &[PathBuf],
    options: &ReadOptions,
    mut sink: impl FnMut(usize, Vec<Row>) -> Result<bool, E>,
) -> Result<(), E> {
    let found: Vec<Result<Spectrum, Box<Row>>> = files
        .par_iter()
        .map(|f| spectra_of(f, options))
        .collect::<Vec<_>>()
        .into_iter()
        .flatten()
        .collect();
    let good: Vec<&Spectrum> = found.iter().filter_map(|r| r.as_ref().ok()).collect();
    let groups = arms::groups(&good);
    for some in groups.chunks(4096) {
        let whole: Vec<Spectrum> = some
            .par_iter()
            .filter_map(|g| arms::join(&g.iter().map(|i| good[*i]).collect::<Vec<_>>()))
            .collect();
        let rows = measured(model, opts, &whole.iter().collect::<Vec<_>>());
        if !sink(0, rows)? {
            return Ok(());
        }
    }
    drop(good);
    let lost = found.into_iter().filter_map(|r| r.err().map(|row| *row));
    sink(files.len(), lost.collect()).map(drop)
}

/// Rows of a large file, a slice at a time; false when nobody listens any more.
fn large(
    model: &Model,
    opts: &PredictOptions,
    file: &Path,
    options: &ReadOptions,
    sink: &mut dyn FnMut(bool, Vec<Row>) -> bool,
) -> bool {
    let mut listens = true;
    let read = caught(|| {
        read_slices(file, options, &mut |found| {
            listens = sink(false, answered(model, opts, rows_in(file, found)));
            listens
        })
    });
    let name = file.display().to_string();
    let why = match read {
        Some(Ok(())) => None,
        Some(Err(e)) => Some(e.to_string()),
        None => Some(failed(&name)),
    };
    let last = why.map(|why| {
        let origin = Origin {
            file: name.clone(),
            ..Origin::default()
        };
        Row::unreadable(origin, why)
    });
    listens && sink(true, last.into_iter().collect())
}

/// Rows of a few files, measured together.
fn rows_of(
    model: &Model,
    opts: &PredictOptions,
    files: &[PathBuf],
    options: &ReadOptions,
    pool: &ObjectPool<Workspace>,
) -> Vec<Row> {
    let found: Vec<Result<Spectrum, Box<Row>>> =
        files.iter().flat_map(|f| spectra_of(f, options)).collect();
    let good: Vec<&Spectrum> = found.iter().filter_map(|r| r.as_ref().ok()).collect();
    let rows = if good.len() < LARGE {
        let run = |some: std::ops::Range<usize>| {
            let own = &good[some];
            let all = measure(model, opts, own, &mut pool.get());
            all.into_iter()
                .zip(own)
                .map(|(m, s)| Row::new(s, m))
                .collect()
        };
        let lost = |i: usize| Row::unreadable(good[i].origin.clone(), failed(&good[i].origin.file));
        guarded(good.len(), &run, &lost)
    } else {
        measured(model, opts, &good)
    };
    joined(found, rows)
}

/// Rows of spectra that are worth all threads, and of what could not be read.
fn answered(
    model: &Model,
    opts: &PredictOptions,
    found: Vec<Result<Spectrum, Box<Row>>>,
) -> Vec<Row> {
    let good: Vec<&Spectrum> = found.iter().filter_map(|r| r.as_ref().ok()).collect();
    let rows = measured(model, opts, &good);
    joined(found, rows)
}

/// Answers in the places of their spectra.
fn joined(found: Vec<Result<Spectrum, Box<Row>>>, rows: Vec<Row>) -> Vec<Row> {
    let mut rows = rows.into_iter();
    let row = |r: Result<Spectrum, Box<Row>>| match r {
        Err(row) => *row,
        Ok(s) => rows
            .next()
            .unwrap_or_else(|| Row::unreadable(s.origin.clone(), failed(&s.origin.file))),
    };
    found.into_iter().map(row).collect()
}

/// The spectra of a file, or flagged rows for what cannot be read.
fn spectra_of(path: &Path, options: &ReadOptions) -> Vec<Result<Spectrum, Box<Row>>> {
    let name = path.display().to_string();
    let unreadable = |hdu, row, why: String| {
        Err(Box::new(Row::unreadable(
            Origin {
                file: name.clone(),
                hdu,
                row,
            },
            why,
        )))
    };
    match caught(|| read(path, options)) {
        None => vec![unreadable(0, 0, failed(&name))],
        Some(Err(e)) => vec![unreadable(0, 0, e.to_string())],
        Some(Ok(found)) => rows_in(path, found),
    }
}

/// Spectra as read, or flagged rows.
fn rows_in(path: &Path, found: FileSpectra) -> Vec<Result<Spectrum, Box<Row>>> {
    let name = path.display().to_string();
    let one = |r: slipher_data::formats::Row| {
        r.spectrum.map_err(|why| {
            let origin = Origin {
                file: name.clone(),
                hdu: r.hdu,
                row: r.row,
            };
            let why = format!("{name} HDU {} row {}: {why}", r.hdu, r.row);
            Box::new(Row::unreadable(origin, why))
        })
    };
    found.rows.into_iter().map(one).collect()
}

fn failed(file: &str) -> String {
    format!("{file}: Slipher failed on this file; please report it")
}

/// Measures spectra in memory, in order.
pub fn rows_of_spectra(model: &Model, opts: &PredictOptions, spectra: &[Spectrum]) -> Vec<Row> {
    measure_all(model, opts, &spectra.iter().collect::<Vec<_>>())
        .into_iter()
        .zip(spectra)
        .map(|(m, s)| Row::new(s, m))
        .collect()
}

/// Reads one row again for the report's gallery.
pub fn keep(
    model: &Model,
    opts: &PredictOptions,
    row: &Row,
    options: &ReadOptions,
) -> Option<Kept> {
    let place = (row.origin.hdu, row.origin.row);
    let spectrum = read_row(Path::new(&row.origin.file), options, place).ok()?;
    keep_spectrum(model, opts, spectrum)
}

/// A spectrum with its measurement and posterior.
pub fn keep_spectrum(model: &Model, opts: &PredictOptions, spectrum: Spectrum) -> Option<Kept> {
    let (m, posterior) = measure_with_posterior(model, opts, &spectrum, &mut Workspace::default());
    Some(Kept {
        row: Row::new(&spectrum, m),
        spectrum,
        posterior: posterior?,
    })
}
