//! Files to rows of a catalogue, in blocks, so that memory does not grow with the number of files.

use std::path::{Path, PathBuf};

use rayon::prelude::*;
use slipher_data::catalogue::{Column, Values};
use slipher_data::cutout::Cutout;
use slipher_data::cutouts::{CutoutOptions, Row, read};

use super::model::Model;
use super::score::largest;

/// Bits of `flags`.
pub mod flag {
    /// The file or the image cannot be read or does not suit the system; `error` says why.
    pub const BAD_INPUT: i32 = 1 << 0;
    /// More than a fifth of the pixels have no data.
    pub const FEW_PIXELS: i32 = 1 << 1;
    /// No answer is more likely than its threshold ([`super::UNSURE`]).
    pub const UNSURE: i32 = 1 << 2;
    /// The file did not say which band is which.
    pub const BANDS_ASSUMED: i32 = 1 << 3;
}

/// Probability of the likeliest answer below which a row is flagged.
pub const UNSURE: f32 = 0.9;

/// Images in memory at a time.
const BLOCK: usize = 512;
/// Files that are read at once.
const FILES: usize = 64;

/// One row of the catalogue.
#[derive(Clone, Debug)]
pub struct Answer {
    pub source: String,
    pub row: usize,
    pub object_id: String,
    pub ra: f64,
    pub dec: f64,
    pub flags: i32,
    pub error: String,
    /// One for each output; NaN if there is none.
    pub values: Vec<f32>,
    pub label: Option<String>,
    pub survey: Vec<(String, f64)>,
    pub image: Option<Vec<f32>>,
}

/// How many rows came out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    pub rows: usize,
    pub failed: usize,
}

/// Answers all images in the files, in order; `each` gets blocks of rows, and `files` the number of files done. `keep` keeps what was encoded.
///
/// # Errors
/// What `each` returns.
pub fn run<E>(
    model: &Model,
    files: &[PathBuf],
    options: &CutoutOptions,
    keep: bool,
    mut each: impl FnMut(Vec<Answer>, usize) -> Result<(), E>,
) -> Result<Tally, E> {
    let mut tally = Tally::default();
    let mut done = 0;
    let mut give = |rows: Vec<Row>, done: usize| -> Result<(), E> {
        let answers = answer(model, rows, keep);
        tally.rows += answers.len();
        tally.failed += answers
            .iter()
            .filter(|a| a.flags & flag::BAD_INPUT != 0)
            .count();
        each(answers, done)
    };
    for group in files.chunks(FILES) {
        // Small files in parallel; one large file is read in blocks.
        if group.len() > 1
            && group
                .iter()
                .all(|f| std::fs::metadata(f).is_ok_and(|m| m.len() < 4 << 20))
        {
            let read: Vec<Vec<Row>> = group.par_iter().map(|f| all(f, options)).collect();
            done += group.len();
            for block in read.concat().chunks(BLOCK) {
                give(block.to_vec(), done)?;
            }
            continue;
        }
        for f in group {
            let mut block = Vec::new();
            let mut failure = None;
            let outcome = read(f, options, &mut |row| {
                block.push(row);
                if block.len() == BLOCK {
                    failure = give(std::mem::take(&mut block), done).err();
                }
                failure.is_none()
            });
            if let Some(e) = failure {
                return Err(e);
            }
            if let Err(why) = outcome {
                block.push(Row {
                    source: f.display().to_string(),
                    row: 0,
                    cutout: Err(why),
                });
            }
            done += 1;
            give(block, done)?;
        }
    }
    Ok(tally)
}

fn all(file: &Path, options: &CutoutOptions) -> Vec<Row> {
    let mut rows = Vec::new();
    let outcome = read(file, options, &mut |r| {
        rows.push(r);
        true
    });
    if let Err(why) = outcome {
        rows.push(Row {
            source: file.display().to_string(),
            row: 0,
            cutout: Err(why),
        });
    }
    rows
}

fn answer(model: &Model, rows: Vec<Row>, keep: bool) -> Vec<Answer> {
    let encoded: Vec<Result<Vec<f32>, String>> = rows
        .par_iter()
        .map(|r| {
            r.cutout
                .as_ref()
                .map_err(Clone::clone)
                .and_then(|c| model.system.encode(c))
        })
        .collect();
    let good: Vec<Vec<f32>> = encoded
        .iter()
        .filter_map(|e| e.as_ref().ok().cloned())
        .collect();
    let n = model.system.outputs().len();
    let answers = model.predict(&good);
    let mut answers = answers.chunks_exact(n);
    rows.into_iter()
        .zip(encoded)
        .map(|(row, image)| {
            let c = row.cutout.unwrap_or_else(|_| Cutout {
                ra: f64::NAN,
                dec: f64::NAN,
                ..Cutout::default()
            });
            let (values, error) = match &image {
                Ok(_) => (
                    answers
                        .next()
                        .map_or_else(|| vec![f32::NAN; n], <[f32]>::to_vec),
                    String::new(),
                ),
                Err(why) => (vec![f32::NAN; n], why.clone()),
            };
            let mut flags = if error.is_empty() { 0 } else { flag::BAD_INPUT };
            if error.is_empty() {
                flags |= if c.good_share() < 0.8 {
                    flag::FEW_PIXELS
                } else {
                    0
                };
                flags |= if model.system.is_classifier() && values[largest(&values)] < UNSURE {
                    flag::UNSURE
                } else {
                    0
                };
                flags |= if c.notes.iter().any(|n| n.contains("order of the planes")) {
                    flag::BANDS_ASSUMED
                } else {
                    0
                };
            }
            Answer {
                source: row.source,
                row: row.row,
                object_id: c.object_id,
                ra: c.ra,
                dec: c.dec,
                flags,
                error,
                values,
                label: c.label,
                survey: c.survey,
                image: image.ok().filter(|_| keep),
            }
        })
        .collect()
}

/// Columns of the catalogue.
pub fn columns(model: &Model, rows: &[Answer]) -> Vec<Column> {
    let names = model.system.outputs();
    let column = |name: &'static str,
                  unit: &'static str,
                  ucd: &'static str,
                  description: &'static str,
                  values: Values| Column {
        name,
        unit,
        ucd,
        description,
        values,
    };
    let mut out = vec![
        column(
            "object_id",
            "",
            "meta.id;meta.main",
            "name in the file, or of the file",
            Values::Text(rows.iter().map(|r| r.object_id.clone()).collect()),
        ),
        column(
            "ra",
            "deg",
            "pos.eq.ra",
            "right ascension of the middle",
            Values::F64(rows.iter().map(|r| r.ra).collect()),
        ),
        column(
            "dec",
            "deg",
            "pos.eq.dec",
            "declination of the middle",
            Values::F64(rows.iter().map(|r| r.dec).collect()),
        ),
    ];
    if model.system.is_classifier() {
        let class = |r: &Answer| {
            if r.error.is_empty() {
                names[largest(&r.values)].to_owned()
            } else {
                String::new()
            }
        };
        let p = |r: &Answer| {
            if r.error.is_empty() {
                r.values[largest(&r.values)]
            } else {
                f32::NAN
            }
        };
        out.push(column(
            "class",
            "",
            "meta.code.class",
            "the likeliest answer",
            Values::Text(rows.iter().map(class).collect()),
        ));
        out.push(column(
            "p_class",
            "",
            "stat.probability",
            "probability of the likeliest answer",
            Values::F32(rows.iter().map(p).collect()),
        ));
    }
    for (k, name) in names.iter().enumerate() {
        let description = if model.system.is_classifier() {
            "probability of this answer"
        } else {
            "share of the votes"
        };
        out.push(column(
            name,
            "",
            "stat.probability",
            description,
            Values::F32(rows.iter().map(|r| r.values[k]).collect()),
        ));
    }
    out.push(column(
        "flags",
        "",
        "meta.code.qual",
        "bits: 0 bad input, 1 few pixels, 2 unsure, 3 bands assumed",
        Values::I32(rows.iter().map(|r| r.flags).collect()),
    ));
    for (name, description) in [
        (
            "survey_score",
            "the survey's own score: drb, rb, braai or reliability",
        ),
        ("survey_mag", "the survey's magnitude"),
    ] {
        let keys: &[&str] = if name == "survey_score" {
            &["drb", "braai", "rb", "reliability"]
        } else {
            &["magpsf"]
        };
        let value = |r: &Answer| {
            keys.iter()
                .find_map(|k| r.survey.iter().find(|s| s.0 == *k))
                .map_or(f64::NAN, |s| s.1)
        };
        if model.system.name() == "transients" {
            out.push(column(
                name,
                "",
                "",
                description,
                Values::F64(rows.iter().map(value).collect()),
            ));
        }
    }
    out.push(column(
        "error",
        "",
        "meta.note",
        "why there is no answer",
        Values::Text(rows.iter().map(|r| r.error.clone()).collect()),
    ));
    out.push(column(
        "file",
        "",
        "meta.file",
        "where the image was read",
        Values::Text(rows.iter().map(|r| r.source.clone()).collect()),
    ));
    out.push(column(
        "row",
        "",
        "meta.number",
        "HDU, plane or row in it",
        Values::I64(rows.iter().map(|r| r.row as i64).collect()),
    ));
    out
}
