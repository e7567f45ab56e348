//! `slipher sql`: queries over Parquet files with the function `redshift`.

use std::path::PathBuf;
use std::sync::Arc;

use clap::Args as ClapArgs;
use miette::{IntoDiagnostic, Result};
use slipher_systems::redshift::measure::{PURITY, Wanted};

use crate::Outcome;

#[derive(ClapArgs)]
#[command(
    after_help = "Tables are Parquet files, patterns and folders in quotes. redshift(flux, ivar, wave) or redshift(spectrum) gives a struct:\n  \
slipher sql \"select object_id, redshift(flux, ivar, wave).z from 'spectra/*.parquet'\"\n  \
slipher sql \"select r.z, r.p_correct from (select redshift(flux, ivar, wave) r from 'sky.parquet') where r.accepted = 1\" -o z.parquet"
)]
pub struct Args {
    /// The query
    query: String,
    /// Parquet file to write; without it the answer is printed
    #[arg(short, long)]
    output: Option<PathBuf>,
    /// Model file; default: the one that comes with the program
    #[arg(short, long)]
    model: Option<PathBuf>,
    /// Share of the accepted redshifts that must be right
    #[arg(long, value_name = "SHARE", default_value_t = PURITY)]
    purity: f64,
    /// What is known beforehand: a range LOW..HIGH, or a file, as for slipher redshift
    #[arg(long, value_name = "RANGE|FILE")]
    prior: Option<String>,
}

pub fn run(a: &Args, quiet: bool) -> Result<Outcome> {
    let model = super::model(a.model.as_deref())?;
    let wanted = Wanted::new(&model, a.purity, false, a.prior.as_deref()).into_diagnostic()?;
    let rows = slipher_sql::run(Arc::new(model), wanted, &a.query, a.output.as_deref())
        .into_diagnostic()?;
    if let (Some(p), false) = (&a.output, quiet) {
        eprintln!("Wrote {rows} rows to {}", p.display());
    }
    Ok(Outcome::Good)
}
