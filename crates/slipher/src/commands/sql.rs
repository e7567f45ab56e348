//! `slipher sql`: queries over Parquet files with a function for each system.

use std::path::PathBuf;

use clap::Args as ClapArgs;
use miette::{IntoDiagnostic, Result};
use slipher_systems::predict::Options;
use slipher_systems::registry::{self, SYSTEMS};

use crate::Outcome;

#[derive(ClapArgs)]
#[command(
    after_help = "Tables are Parquet files, patterns and folders in quotes. redshift(flux, ivar, wave), redshift(spectrum), radio(image), star_galaxy(image, shape) … give structs:\n  \
slipher sql \"select object_id, redshift(flux, ivar, wave).z from 'spectra/*.parquet'\"\n  \
slipher sql \"select r.z, r.p_correct from (select redshift(flux, ivar, wave) r from 'sky.parquet') where r.accepted = 1\" -o z.parquet"
)]
pub struct Args {
    /// The query
    query: String,
    /// Parquet file to write; without it the answer is printed
    #[arg(short, long)]
    output: Option<PathBuf>,
    #[command(flatten)]
    overwrite: super::Overwrite,
    /// Model file of a system; others keep the one that comes with the program
    #[arg(short, long)]
    model: Option<PathBuf>,
    /// Share of the accepted redshifts that must be right [default: 0.98]
    #[arg(long, value_name = "SHARE")]
    purity: Option<f64>,
    /// What is known beforehand: a range LOW..HIGH, or a file, as for slipher redshift
    #[arg(long, value_name = "RANGE|FILE")]
    prior: Option<String>,
}

pub fn run(a: &Args, quiet: bool) -> Result<Outcome> {
    a.overwrite
        .check(&a.output.as_deref().into_iter().collect::<Vec<_>>())?;
    let own = a
        .model
        .as_deref()
        .map(registry::system_of)
        .transpose()
        .into_diagnostic()?;
    let mut systems: Vec<slipher_sql::Opened> = Vec::new();
    for system in SYSTEMS.iter().copied().filter(|s| !s.is_part()) {
        let path = a
            .model
            .as_deref()
            .filter(|_| own.is_some_and(|o| o.name() == system.name()));
        // What comes without weights is no function, unless they are given.
        if path.is_none() && registry::weights(system.name()).is_err() {
            continue;
        }
        let mut options = Options::default();
        if system.name() == SYSTEMS[0].name() {
            options = options
                .with_some("purity", a.purity)
                .with_some("prior", a.prior.as_deref());
        }
        systems.push((
            system,
            registry::open(system, path, options).into_diagnostic()?,
        ));
    }
    let rows = slipher_sql::run(&systems, &a.query, a.output.as_deref()).into_diagnostic()?;
    if let (Some(p), false) = (&a.output, quiet) {
        tell!("Wrote {rows} rows to {}", p.display());
    }
    Ok(Outcome::Good)
}
