//! `slipher accept`: which redshifts of a whole sample to accept.
//!
//! `accepted` of a row depends on that row alone: a threshold measured on simulations. A sample
//! that is unlike them (many blank fibres, many faint rows) has another purity above the same
//! threshold. This verb takes the mean probability of the accepted rows for their purity, and
//! moves the threshold until it is what was asked.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow_array::{Array, ArrayRef, Int32Array};
use clap::Args as ClapArgs;
use miette::{IntoDiagnostic, Result};
use slipher_data::catalogue::append::{AppendError, Cells, append, flag, visit};
use slipher_data::warning::Warning;
use slipher_stats::sample::{Acceptance, Sample};
use slipher_systems::redshift::measure::{PURITY, is_odd, zwarn};

use super::{Overwrite, counted};
use crate::Outcome;

/// Name of the column.
const COLUMN: &str = "accepted_sample";

#[derive(ClapArgs)]
pub struct Args {
    /// Parquet catalogues of slipher redshift, or folders of parts; all together are the sample
    #[arg(required = true)]
    catalogues: Vec<PathBuf>,
    /// Share of the accepted redshifts that should be right
    #[arg(long, value_name = "SHARE", default_value_t = PURITY)]
    purity: f64,
    /// Parquet file for all rows with a column accepted_sample; without it only the figures are
    /// printed
    #[arg(short, long)]
    output: Option<PathBuf>,
    #[command(flatten)]
    overwrite: Overwrite,
    /// Print the figures as a line of JSON
    #[arg(long)]
    json: bool,
}

/// The Parquet files of an argument; of a folder all below it, in the order of their names.
pub fn files(argument: &Path) -> Result<Vec<PathBuf>> {
    if !argument.is_dir() {
        let other = |e: &std::ffi::OsStr| ["csv", "fits", "fit"].iter().any(|x| e == *x);
        if argument.extension().is_some_and(other) {
            return Err(miette::miette!(
                "{}: expected Parquet: write the catalogue with slipher redshift … -o NAME.parquet",
                argument.display()
            ));
        }
        return Ok(vec![argument.to_owned()]);
    }
    let (mut found, mut left) = (Vec::new(), vec![argument.to_owned()]);
    while let Some(folder) = left.pop() {
        let list = std::fs::read_dir(&folder).into_diagnostic()?;
        for entry in list.flatten() {
            let (path, kind) = (entry.path(), entry.file_type().into_diagnostic()?);
            let hidden = entry.file_name().to_string_lossy().starts_with(['.', '_']);
            if kind.is_dir() && !hidden {
                left.push(path);
            } else if !hidden && path.extension().is_some_and(|e| e == "parquet") {
                found.push(path);
            }
        }
    }
    if found.is_empty() {
        return Err(miette::miette!(
            "{}: no file below it ends in .parquet",
            argument.display()
        ));
    }
    found.sort();
    Ok(found)
}

/// (probability, odd) of each row; NaN where nothing can be accepted.
fn rows(cells: &Cells) -> Result<Vec<(f64, bool)>, AppendError> {
    let (p, flags) = (cells.f64("p_correct")?, cells.i64("zwarn")?);
    let (warnings, snr) = (cells.text("warnings")?, cells.f32("snr_med")?);
    let row = |i: usize| {
        let bits = if flags.is_valid(i) { flags.value(i) } else { 0 };
        let blocked =
            warnings.is_valid(i) && Warning::split(warnings.value(i)).iter().any(|w| w.blocks());
        let none = bits & (zwarn::NODATA | zwarn::UNREADABLE) != 0 || blocked || p.is_null(i);
        let p = if none { f64::NAN } else { p.value(i) };
        (p, is_odd(bits, snr.value(i)))
    };
    Ok((0..cells.rows()).map(row).collect())
}

/// An output must not be one of the files that are read.
pub fn refuse_own(all: &[PathBuf], out: &Path) -> Result<()> {
    let same = |f: &PathBuf| {
        f == out
            || f.canonicalize()
                .ok()
                .is_some_and(|f| out.canonicalize().ok() == Some(f))
    };
    if all.iter().any(same) {
        return Err(miette::miette!(
            "{}: is a catalogue that is read; give --output another name",
            out.display()
        ));
    }
    Ok(())
}

/// `slipher accept`.
pub fn run(a: &Args, quiet: bool) -> Result<Outcome> {
    if !(a.purity > 0.0 && a.purity < 1.0) {
        return Err(miette::miette!(
            "--purity {}: expected a share between 0 and 1",
            a.purity
        ));
    }
    let outputs: Vec<&Path> = a.output.as_deref().into_iter().collect();
    a.overwrite.check(&outputs)?;
    if a.overwrite.overwrite && a.output.is_none() {
        return Err(miette::miette!(
            "--overwrite has no effect without --output"
        ));
    }
    let mut all = Vec::new();
    for c in &a.catalogues {
        all.extend(files(c)?);
    }
    if let Some(out) = a.output.as_deref() {
        refuse_own(&all, out)?;
    }
    let (mut sample, mut n) = (Sample::default(), 0u64);
    visit(&all, |cells| {
        for (p, odd) in rows(cells)? {
            n += 1;
            sample.add(p, odd);
        }
        Ok(())
    })
    .into_diagnostic()?;
    let found = sample.accept(a.purity);
    if let Some(out) = a.output.as_deref() {
        write(&all, out, a.purity, found.as_ref()).into_diagnostic()?;
    }
    say(a, n, found.as_ref(), quiet);
    Ok(if found.is_some() {
        Outcome::Good
    } else {
        Outcome::Nothing
    })
}

fn write(
    all: &[PathBuf],
    out: &Path,
    purity: f64,
    found: Option<&Acceptance>,
) -> Result<(), AppendError> {
    let number = |v: Option<f64>| v.map_or_else(|| "none".to_owned(), |v| format!("{v:.6}"));
    let keys = [
        ("sample_purity_wanted".to_owned(), purity.to_string()),
        (
            "sample_purity_expected".to_owned(),
            number(found.map(|f| f.purity)),
        ),
        (
            "sample_completeness_expected".to_owned(),
            number(found.map(|f| f.completeness)),
        ),
        (
            "sample_threshold".to_owned(),
            number(found.map(|f| f.threshold)),
        ),
    ];
    let about = "1: accepted so that the expected purity of the whole sample is what was asked";
    append(all, out, &flag(COLUMN, about), &keys, |cells| {
        let taken = |(p, odd): (f64, bool)| i32::from(found.is_some_and(|f| f.takes(p, odd)));
        let cells: Vec<i32> = rows(cells)?.into_iter().map(taken).collect();
        Ok(Arc::new(Int32Array::from(cells)) as ArrayRef)
    })
}

fn say(a: &Args, n: u64, found: Option<&Acceptance>, quiet: bool) {
    if a.json {
        let line = serde_json::json!({
            "rows": n,
            "purity_wanted": a.purity,
            "accepted": found.map_or(0, |f| f.accepted),
            "purity_expected": found.map(|f| f.purity),
            "completeness_expected": found.map(|f| f.completeness),
            "threshold": found.map(|f| f.threshold),
        });
        println!("{line}");
        return;
    }
    if quiet {
        return;
    }
    match found {
        Some(f) => println!(
            "{} of {} accepted: expected purity {:.1} %, expected completeness {:.1} %, \
             p_correct from {:.4} (UNFAMILIAR, Z_FITLIMIT or no continuum: from {:.4})",
            f.accepted,
            counted(n as usize, "row"),
            100.0 * f.purity,
            100.0 * f.completeness,
            f.threshold,
            f.odd_threshold
        ),
        None => println!(
            "none of {} can be accepted at a purity of {}",
            counted(n as usize, "row"),
            a.purity
        ),
    }
}
