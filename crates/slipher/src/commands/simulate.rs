//! `slipher simulate`: simulated spectra or images to Parquet.

use std::path::PathBuf;

use clap::Args as ClapArgs;
use miette::{IntoDiagnostic, Result};
use rayon::prelude::*;
use slipher_data::catalogue::{CatalogueWriter, Column, Values};
use slipher_systems::redshift::simulate::{Example, SimulationRecipe, Simulator, Split};

use crate::{Outcome, System, progress};

#[derive(ClapArgs)]
pub struct Args {
    system: System,
    /// Number of spectra or images
    #[arg(short, default_value_t = 1000, value_parser = clap::value_parser!(u64).range(1..))]
    n: u64,
    /// Instruments, shipped names (sdss, boss, desi, vimos, euclid-red, euclid-blue, nirspec-prism, nirspec-medium, nirspec-high, any) or TOML files
    #[arg(short, long, value_delimiter = ',', default_value = "sdss")]
    instrument: Vec<String>,
    /// Folders of SED templates, added to the built-in SEDs
    #[arg(short, long)]
    templates: Vec<PathBuf>,
    /// For redshift-classes: recipe (TOML), with its own seed
    #[arg(short, long)]
    recipe: Option<PathBuf>,
    /// The same seed gives the same spectra on any number of threads
    #[arg(short, long, default_value_t = 1)]
    seed: u64,
    /// Parquet file to write; for images also .fits
    #[arg(short, long, default_value = "spectra.parquet")]
    output: PathBuf,
}

pub fn run(a: &Args, quiet: bool) -> Result<Outcome> {
    if let Some(system) = a.system.images() {
        return super::images::simulate(&*system, a.n, a.seed, &a.output, quiet);
    }
    if let System::RedshiftClasses = a.system {
        return super::classes::simulate(a.recipe.as_deref(), a.n, &a.output, quiet);
    }
    let recipe = SimulationRecipe {
        instruments: a.instrument.iter().map(|i| (i.clone(), 1.0)).collect(),
        templates: a.templates.clone(),
        ..SimulationRecipe::default()
    };
    let simulator = Simulator::new(&recipe, a.seed).into_diagnostic()?;
    let mut writer = CatalogueWriter::create(&a.output, &[("seed", a.seed.to_string())]).into_diagnostic()?;
    let bar = progress::bar(a.n, "spectra", quiet);
    let mut row = 0;
    while row < a.n {
        let end = (row + 512).min(a.n);
        let batch: Vec<Example> = (row..end).into_par_iter().map(|r| simulator.draw(Split::Test, r)).collect();
        writer.write(columns(&batch, &simulator.names)).into_diagnostic()?;
        row = end;
        bar.set_position(row);
    }
    writer.finish().into_diagnostic()?;
    bar.finish_and_clear();
    if !quiet {
        eprintln!("Wrote {} spectra to {}", a.n, a.output.display());
    }
    Ok(Outcome::Good)
}

fn columns(batch: &[Example], names: &[String]) -> Vec<Column> {
    let c = |name, unit, description, values| Column { name, unit, ucd: "", description, values };
    let text = |f: &dyn Fn(&Example) -> String| Values::Text(batch.iter().map(f).collect());
    vec![
        c("object_id", "", "split and row of the stream", text(&|e| e.spectrum.object_id.clone())),
        c("instrument", "", "instrument", text(&|e| names[e.instrument].clone())),
        c("wave", "Angstrom", "vacuum wavelength", Values::F64Lists(batch.iter().map(|e| e.spectrum.wave.clone()).collect())),
        c("flux", "1e-17 erg/s/cm2/Angstrom", "flux density", Values::F32Lists(batch.iter().map(|e| e.spectrum.flux.clone()).collect())),
        c("ivar", "1e34 s2.cm4.Angstrom2/erg2", "inverse variance, 0 = bad", Values::F32Lists(batch.iter().map(|e| e.spectrum.ivar.clone()).collect())),
        c("z", "", "true redshift", Values::F64(batch.iter().map(|e| e.truth.map_or(f64::NAN, |t| t.1)).collect())),
        c("spectype", "", "true class", text(&|e| e.truth.map_or(String::new(), |t| t.0.name().into()))),
        c("subtype", "", "kind within the class", text(&|e| e.subtype.to_owned())),
        c("snr", "", "median S/N per pixel asked for", Values::F64(batch.iter().map(|e| e.snr).collect())),
    ]
}
