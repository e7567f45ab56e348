//! `slipher predict` and `slipher report`: files to a catalogue or a page, for any system.

use std::path::PathBuf;

use clap::Args as ClapArgs;
use miette::Result;

use super::{images, redshift};
use crate::{Outcome, System};

#[derive(ClapArgs)]
#[command(
    after_help = "Exit code: 0 all good, 2 some rows failed (they are in the catalogue, flagged), 1 nothing done.\n\n\
Examples:\n  slipher predict transients alerts/*.avro -o scores.parquet\n  slipher predict star-galaxy cutouts.npy --bands u,g,r,i,z\n  slipher predict radio maps/ -o classes.csv --report page.html"
)]
pub struct Args {
    system: System,
    #[command(flatten)]
    common: images::PredictArgs,
    /// Catalogue to write: .parquet, .fits or .csv; without it rows are printed
    #[arg(short, long)]
    output: Option<PathBuf>,
    /// HTML page to write
    #[arg(long)]
    report: Option<PathBuf>,
}

pub fn run(a: &Args, quiet: bool) -> Result<Outcome> {
    match a.system.images() {
        Some(s) => images::predict(
            &*s,
            &a.common,
            a.output.as_deref(),
            a.report.as_deref(),
            quiet,
        ),
        None => Err(miette::miette!(
            "redshifts have a verb of their own: slipher redshift FILES… -o catalogue.parquet"
        )),
    }
}

#[derive(ClapArgs)]
pub struct ReportArgs {
    system: System,
    /// HTML page to write
    #[arg(short, long, default_value = "report.html")]
    output: PathBuf,
    /// Names of the bands of images, in the order of the planes
    #[arg(long, value_delimiter = ',')]
    bands: Vec<String>,
    #[command(flatten)]
    redshift: redshift::ReportArgs,
}

/// `slipher report`.
pub fn report(a: &ReportArgs, quiet: bool) -> Result<Outcome> {
    match a.system.images() {
        Some(s) => images::predict(
            &*s,
            &a.redshift.for_images(&a.bands),
            None,
            Some(&a.output),
            quiet,
        ),
        None => redshift::report(&a.redshift, a.system, &a.output, quiet),
    }
}
