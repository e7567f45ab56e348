//! What people decide about rows, in DESI's columns for visual inspection (prospect 2), with the
//! place of the spectrum beside them, so that `slipher train redshift --labelled` reads it as well.
//!
//! A decision is on disk before the next one can be made: the file is read, merged and replaced under
//! a lock, so that several writers lose nothing.

use std::fs::File;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use slipher_data::atomic::atomic_write;
use slipher_data::catalogue::{CatalogueWriter, Column, Values};

use crate::InspectError;
use crate::table::Table;

/// What the catalogue said of the row when it was decided.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Given {
    /// Class.
    pub class: String,
    /// Redshift, where the system measures one.
    pub z: Option<f64>,
    /// Probability that it is right.
    pub p: Option<f64>,
    /// 2 ln of the odds of the best solution against the next.
    pub delta_chi2: Option<f64>,
    /// Model and version of the program.
    pub model: String,
    /// Version of the program.
    pub version: String,
}

/// One inspector's decision about one row.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Decision {
    /// The source, as a path.
    pub file: PathBuf,
    /// HDU in it.
    pub hdu: Option<i64>,
    /// Row in that.
    pub row: Option<i64>,
    /// Name of the object.
    pub object_id: String,
    /// The machine's answer.
    pub given: Given,
    /// Who decided.
    pub scanner: String,
    /// 4 certain, 3 probable, 2 possible, 1 unlikely, 0 no signal; none where it was only commented.
    pub quality: Option<u8>,
    /// R wrong redshift, C wrong class, S bad data.
    pub issue: String,
    /// Redshift, where it is not the one given.
    pub z: Option<f64>,
    /// Class, where it is not the one given.
    pub class: String,
    /// In words.
    pub comment: String,
    /// UTC, ISO 8601.
    pub time: String,
}

/// What identifies a row in every catalogue of the same files.
pub type Key = (PathBuf, Option<i64>, Option<i64>, String);

impl Decision {
    /// What the decision is about.
    pub fn key(&self) -> Key {
        (
            self.file.clone(),
            self.hdu,
            self.row,
            self.object_id.clone(),
        )
    }
    /// The redshift that stands after it.
    pub fn final_z(&self) -> Option<f64> {
        self.z.or(self.given.z)
    }
    /// The class that stands after it.
    pub fn final_class(&self) -> &str {
        if self.class.is_empty() {
            &self.given.class
        } else {
            &self.class
        }
    }
    /// Whether two inspectors say the same: both that there is nothing to be seen, or the same class
    /// and redshift within what counts as the same (0.0033, quasars 0.01 in z/(1+z)).
    pub fn agrees(&self, other: &Decision) -> bool {
        let seen = |d: &Decision| d.quality.is_none_or(|q| q >= 2);
        if !seen(self) && !seen(other) {
            return true;
        }
        let near = match (self.final_z(), other.final_z()) {
            (Some(a), Some(b)) => {
                let most = if self.final_class() == "QSO" {
                    0.01
                } else {
                    0.0033
                };
                (a - b).abs() < most * (1.0 + a.min(b))
            }
            (a, b) => a.is_none() == b.is_none(),
        };
        seen(self) == seen(other) && near && self.final_class() == other.final_class()
    }
}

/// How the file is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Layout {
    /// DESI's columns, and the places of the spectra.
    Own,
    /// DESI's columns alone.
    Prospect,
}

const DESI: [&str; 16] = [
    "TARGETID",
    "EXPID",
    "NIGHT",
    "TILEID",
    "Spec_version",
    "Redrock_version",
    "Template_version",
    "Redrock_spectype",
    "Redrock_z",
    "Redrock_deltachi2",
    "VI_scanner",
    "VI_quality",
    "VI_issue",
    "VI_z",
    "VI_spectype",
    "VI_comment",
];
const OWN: [&str; 6] = ["file", "hdu", "row", "object_id", "p_correct", "VI_time"];

/// Text without what a terminal or a table would take for orders.
fn plain(text: &str) -> String {
    let one = |c: char| if c.is_control() { ' ' } else { c };
    text.chars().map(one).collect::<String>().trim().to_owned()
}

fn shown(v: Option<f64>, digits: usize) -> String {
    v.filter(|v| v.is_finite())
        .map_or(String::new(), |v| format!("{v:.digits$}"))
}

fn count(v: Option<i64>) -> String {
    v.map_or(String::new(), |v| v.to_string())
}

fn cells(d: &Decision, folder: &Path, layout: Layout) -> Vec<String> {
    let file = d.file.display().to_string();
    let target = slipher_systems::redshift::layouts::target_id(&d.object_id, &file);
    let mut out = vec![
        target.to_string(),
        "-1".into(),
        "-1".into(),
        "-1".into(),
        String::new(),
        format!("slipher-{}", d.given.version),
        plain(&d.given.model),
        plain(&d.given.class),
        shown(d.given.z, 6),
        shown(d.given.delta_chi2, 2),
        plain(&d.scanner),
        d.quality.map_or(String::new(), |q| q.to_string()),
        plain(&d.issue),
        shown(d.z, 6),
        plain(&d.class),
        plain(&d.comment),
    ];
    if layout == Layout::Own {
        out.extend([
            crate::places::relative(folder, &d.file),
            count(d.hdu),
            count(d.row),
            plain(&d.object_id),
            shown(d.given.p, 6),
            d.time.clone(),
        ]);
    }
    out
}

/// The file in CSV; the paths in it are from the folder of `path`.
///
/// # Errors
/// None that is expected.
pub fn csv(all: &[Decision], path: &Path, layout: Layout) -> Result<Vec<u8>, csv::Error> {
    let folder = folder_of(path);
    let mut out = csv::Writer::from_writer(vec![]);
    let own: &[&str] = if layout == Layout::Own { &OWN } else { &[] };
    out.write_record(DESI.iter().chain(own))?;
    for d in all {
        out.write_record(cells(d, &folder, layout))?;
    }
    out.into_inner().map_err(|e| e.into_error().into())
}

/// Names and meanings of the columns in Parquet, which are those of the CSV.
const MEANINGS: [&str; 22] = [
    "identifier as a number; of other names a stable one",
    "not known: -1",
    "not known: -1",
    "not known: -1",
    "not known",
    "program and version",
    "model",
    "class of the catalogue",
    "redshift of the catalogue",
    "2 ln of the odds of the best solution against the next",
    "inspector",
    "4 certain, 3 probable, 2 possible, 1 unlikely, 0 no signal",
    "R wrong redshift, C wrong class, S bad data",
    "redshift, where it is not the catalogue's",
    "class, where it is not the catalogue's",
    "comment",
    "file of the spectrum",
    "HDU in it",
    "row in that",
    "identifier as it is",
    "probability of the catalogue",
    "when it was decided, UTC",
];
/// Columns that are numbers in Parquet.
const NUMBERS: [&str; 4] = ["Redrock_z", "Redrock_deltachi2", "VI_z", "p_correct"];
const COUNTS: [&str; 4] = ["TARGETID", "EXPID", "NIGHT", "TILEID"];

fn columns(all: &[Decision], folder: &Path, layout: Layout) -> Vec<Column> {
    let rows: Vec<Vec<String>> = all.iter().map(|d| cells(d, folder, layout)).collect();
    let names = DESI
        .iter()
        .chain(if layout == Layout::Own { &OWN[..] } else { &[] });
    let column = |(k, name): (usize, &&'static str)| {
        let text = rows.iter().map(|r| r[k].clone());
        let values = if NUMBERS.contains(name) {
            Values::F64(text.map(|t| t.parse().unwrap_or(f64::NAN)).collect())
        } else if COUNTS.contains(name) {
            Values::I64(text.map(|t| t.parse().unwrap_or(-1)).collect())
        } else {
            Values::Text(text.collect())
        };
        Column {
            name,
            unit: "",
            ucd: "",
            description: MEANINGS[k],
            values,
        }
    };
    names.enumerate().map(column).collect()
}

fn is_parquet(path: &Path) -> bool {
    path.extension()
        .is_some_and(|e| e.eq_ignore_ascii_case("parquet"))
}

fn folder_of(path: &Path) -> PathBuf {
    let here = std::env::current_dir().unwrap_or_default();
    here.join(path.parent().unwrap_or(Path::new("")))
}

/// Writes all decisions, in CSV or, where the name ends in .parquet, in Parquet; whole or not at all.
///
/// # Errors
/// The folder cannot be written.
pub fn write(path: &Path, all: &[Decision], layout: Layout) -> Result<(), InspectError> {
    let bad = |e: &dyn std::fmt::Display| InspectError::file(path, e.to_string());
    if is_parquet(path) {
        let mut out = CatalogueWriter::create(path, &[]).map_err(|e| bad(&e))?;
        out.write(columns(all, &folder_of(path), layout))
            .map_err(|e| bad(&e))?;
        out.finish().map_err(|e| bad(&e))?;
        return Ok(());
    }
    let bytes = csv(all, path, layout).map_err(|e| bad(&e))?;
    atomic_write(path, bytes).map_err(|e| bad(&e))
}

/// The file in Parquet; the paths in it are from the folder of `path`.
///
/// # Errors
/// None that is expected.
pub fn parquet(all: &[Decision], path: &Path, layout: Layout) -> Result<Vec<u8>, InspectError> {
    let bad = |e: &dyn std::fmt::Display| InspectError::file(path, e.to_string());
    let batch = slipher_data::catalogue::record(&columns(all, &folder_of(path), layout));
    let batch = batch.map_err(|e| bad(&e))?;
    let mut bytes = vec![];
    let mut out = parquet::arrow::ArrowWriter::try_new(&mut bytes, batch.schema(), None)
        .map_err(|e| bad(&e))?;
    out.write(&batch).map_err(|e| bad(&e))?;
    out.close().map_err(|e| bad(&e))?;
    Ok(bytes)
}

/// Reads decisions; a file that is not there holds none.
///
/// # Errors
/// A file that is something else, a line that cannot be understood: nothing is written over it.
pub fn read(path: &Path) -> Result<Vec<Decision>, InspectError> {
    if !path.exists() {
        return Ok(vec![]);
    }
    let folder = folder_of(path);
    if is_parquet(path) {
        let table = Table::open(&[path.to_owned()])?;
        let columns: Result<Vec<_>, _> = DESI.iter().chain(&OWN).map(|n| table.column(n)).collect();
        let columns = columns?;
        let one = |r: usize| {
            let cell = |k: usize| {
                let t = columns[k].text(r);
                if t == "NaN" { String::new() } else { t }
            };
            decision(&cell, &folder).map_err(|e| InspectError::file(path, format!("row {r}: {e}")))
        };
        return (0..table.len()).map(one).collect();
    }
    let bad = |e: &dyn std::fmt::Display| InspectError::file(path, e.to_string());
    let mut reader = csv::ReaderBuilder::new()
        .trim(csv::Trim::All)
        .from_path(path)
        .map_err(|e| bad(&e))?;
    let head = reader.headers().map_err(|e| bad(&e))?.clone();
    let place = |name: &&str| head.iter().position(|h| h == *name);
    let at: Vec<Option<usize>> = DESI.iter().chain(&OWN).map(place).collect();
    for name in ["VI_scanner", "VI_quality", "file"] {
        if place(&name).is_none() {
            let why = format!("no column '{name}': it is no file of slipher inspect");
            return Err(bad(&why));
        }
    }
    let mut out = vec![];
    for record in reader.records() {
        let record = record.map_err(|e| bad(&e))?;
        let cell = |k: usize| {
            at[k]
                .and_then(|i| record.get(i))
                .unwrap_or_default()
                .to_owned()
        };
        let line = record.position().map_or(0, csv::Position::line);
        out.push(decision(&cell, &folder).map_err(|e| bad(&format!("line {line}: {e}")))?);
    }
    Ok(out)
}

fn decision(cell: &dyn Fn(usize) -> String, folder: &Path) -> Result<Decision, String> {
    let number = |k: usize, name: &str| {
        let t = cell(k);
        if t.is_empty() {
            return Ok(None);
        }
        t.parse::<f64>()
            .map(Some)
            .map_err(|_| format!("{name} '{t}': expected a number"))
    };
    let quality = match number(11, "VI_quality")? {
        None => None,
        Some(q) if (0.0..=4.0).contains(&q) => Some(q as u8),
        Some(q) => return Err(format!("VI_quality {q}: expected 0 to 4")),
    };
    let whole = |k: usize, name: &str| Ok::<_, String>(number(k, name)?.map(|v| v as i64));
    Ok(Decision {
        file: crate::places::named(folder, &cell(16)),
        hdu: whole(17, "hdu")?,
        row: whole(18, "row")?,
        object_id: cell(19),
        given: Given {
            class: cell(7),
            z: number(8, "Redrock_z")?,
            p: number(20, "p_correct")?,
            delta_chi2: number(9, "Redrock_deltachi2")?,
            model: cell(6),
            version: cell(5).trim_start_matches("slipher-").to_owned(),
        },
        scanner: cell(10),
        quality,
        issue: cell(12),
        z: number(13, "VI_z")?,
        class: cell(14),
        comment: cell(15),
        time: cell(21),
    })
}

/// Holds the lock of a decisions file until it is dropped.
struct Lock(File);

impl Lock {
    fn of(path: &Path) -> std::io::Result<Lock> {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let file = File::create(path.with_file_name(format!(".{name}.lock")))?;
        file.lock()?;
        Ok(Lock(file))
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        let _ = self.0.unlock();
    }
}

/// Adds a decision, or replaces what the same inspector decided of the same row; with all that others
/// wrote meanwhile. None takes a decision back.
///
/// # Errors
/// As [`read`] and [`write()`].
pub fn record(
    path: &Path,
    key: &Key,
    scanner: &str,
    decision: Option<Decision>,
) -> Result<Vec<Decision>, InspectError> {
    let _lock = Lock::of(path).map_err(|e| InspectError::file(path, e))?;
    let mut all = read(path)?;
    all.retain(|d| d.scanner != scanner || d.key() != *key);
    all.extend(decision);
    write(path, &all, Layout::Own)?;
    // As it will be read again, rounded.
    read(path)
}

#[cfg(test)]
mod tests;
