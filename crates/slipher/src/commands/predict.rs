//! `slipher predict` and `slipher report`: files to a catalogue or a page, for any system.

use std::path::{Path, PathBuf};

use clap::Args as ClapArgs;
use miette::Result;
use slipher_systems::system::System;

use super::target::{Target, systems, systems_and_study};
use super::{Overwrite, rank, redshift, shared};
use crate::Outcome;

#[derive(ClapArgs)]
#[command(
    group = clap::ArgGroup::new("written").multiple(true).args(["output", "report"]),
    after_help = "Exit code: 0 all good, 2 some rows failed (they are in the catalogue, flagged), 1 nothing done.\n\n\
Examples:\n  slipher predict transients alerts/*.avro -o scores.parquet\n  slipher predict star-galaxy cutouts.npy --bands u,g,r,i,z\n  \
slipher predict radio maps/ -o classes.csv --report page.html\n  slipher predict morphology galaxies/ -o votes/ --shard 3/10 --resume\n  slipher predict lens-finding stamps/ -o ranked.parquet --prevalence 5e-4"
)]
pub struct Args {
    #[arg(value_parser = systems())]
    system: Target,
    #[command(flatten)]
    common: shared::PredictArgs,
    /// Catalogue to write: .parquet, .fits or .csv, or a folder of parts; without it rows are
    /// printed
    #[arg(short, long)]
    output: Option<PathBuf>,
    /// HTML page to write
    #[arg(long)]
    report: Option<PathBuf>,
    #[command(flatten)]
    overwrite: Overwrite,
    /// Print the summary as a line of JSON on stdout
    #[arg(long, requires = "written")]
    json: bool,
    /// Of systems of two classes: write the rows best first, with their probabilities where this
    /// share of the objects is what is looked for, and the expected purity (see slipher rank)
    #[arg(long, value_name = "SHARE", requires = "output")]
    prevalence: Option<f64>,
}

/// Refuses what cannot be ranked.
fn rankable(a: &Args, system: &dyn System, prevalence: f64) -> Result<()> {
    let parquet = |p: &Path| p.extension().is_some_and(|e| e == "parquet") && !p.is_dir();
    if !a.output.as_deref().is_some_and(parquet) {
        return Err(miette::miette!(
            "--prevalence writes a ranked list: expected -o NAME.parquet; parts are ranked together \
             by slipher rank FOLDER"
        ));
    }
    if system.training_share().is_none() {
        return Err(miette::miette!(
            "--prevalence: {} does not say how common its classes are in its training",
            system.name()
        ));
    }
    rank::share("--prevalence", prevalence)
}

/// `slipher predict`.
pub fn run(a: &Args, quiet: bool) -> Result<Outcome> {
    match a.system.shared() {
        Some(s) => {
            // What cannot be ranked is said before hours of work.
            if let Some(p) = a.prevalence {
                rankable(a, s, p)?;
            }
            let outcome = shared::predict(
                s,
                &a.common,
                a.output.as_deref(),
                a.report.as_deref(),
                &a.overwrite,
                a.json,
                quiet,
            )?;
            if let (Some(p), Some(out)) = (a.prevalence, a.output.as_deref().filter(|o| o.exists()))
            {
                rank::write(&[out.to_owned()], out, p, None, None)?;
            }
            Ok(outcome)
        }
        None => Err(miette::miette!(
            "redshifts have a verb of their own: slipher redshift FILES… -o catalogue.parquet"
        )),
    }
}

#[derive(ClapArgs)]
pub struct ReportArgs {
    #[arg(value_parser = systems_and_study())]
    system: Target,
    /// HTML page to write
    #[arg(short, long, default_value = "report.html")]
    output: PathBuf,
    /// Names of the bands of images, in the order of the planes
    #[arg(long)]
    bands: Option<String>,
    #[command(flatten)]
    overwrite: Overwrite,
    #[command(flatten)]
    redshift: redshift::ReportArgs,
}

/// `slipher report`.
pub fn report(a: &ReportArgs, quiet: bool) -> Result<Outcome> {
    match a.system {
        Target::Study => Err(miette::miette!(
            "{} works on simulations: its page is made by 'slipher reproduce redshift-talk'",
            a.system.name()
        )),
        t => match t.shared() {
            Some(s) => {
                let common = a.redshift.for_shared(t, a.bands.as_deref())?;
                shared::predict(
                    s,
                    &common,
                    None,
                    Some(&a.output),
                    &a.overwrite,
                    false,
                    quiet,
                )
            }
            None => {
                t.refuse(&[("--bands", a.bands.is_some())])?;
                redshift::report(&a.redshift, &a.output, a.overwrite.overwrite, quiet)
            }
        },
    }
}
