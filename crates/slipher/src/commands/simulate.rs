//! `slipher simulate`: simulated spectra or images to Parquet.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use clap::Args as ClapArgs;
use miette::{IntoDiagnostic, Result};
use rayon::prelude::*;
use slipher_data::atomic::atomic_write;
use slipher_data::catalogue::{CatalogueWriter, Column, Values, record};
use slipher_data::hats::{self, PartWriter, Pixel};
use slipher_sim::random::Stream;
use slipher_systems::redshift::simulate::{Example, SimulationRecipe, Simulator, Split};
use slipher_systems::redshift::table::example_columns;

use super::target::{Target, systems_and_study};
use crate::{Outcome, progress};

#[derive(ClapArgs)]
pub struct Args {
    #[arg(value_parser = systems_and_study())]
    system: Target,
    /// Number of spectra or images
    #[arg(short, default_value_t = 1000, value_parser = clap::value_parser!(u64).range(1..))]
    n: u64,
    /// Instruments, shipped names (sdss, boss, desi, vimos, euclid-red, euclid-blue, nirspec-prism,
    /// nirspec-medium, nirspec-high, any) or TOML files [default: sdss]
    #[arg(short, long, value_delimiter = ',')]
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
    /// Spread over the sky as a HATS catalogue with one partition for each HEALPix pixel of this
    /// order (--output is its folder)
    #[arg(long, value_name = "ORDER", value_parser = clap::value_parser!(u8).range(0..=8))]
    hats: Option<u8>,
    /// Parquet file to write; for images also .fits
    #[arg(short, long, default_value = "spectra.parquet")]
    output: PathBuf,
    #[command(flatten)]
    overwrite: super::Overwrite,
}

/// `slipher simulate`.
pub fn run(a: &Args, quiet: bool) -> Result<Outcome> {
    a.overwrite.check(&[&a.output])?;
    let of_spectra = [
        ("--instrument", !a.instrument.is_empty()),
        ("--templates", !a.templates.is_empty()),
        ("--hats", a.hats.is_some()),
    ];
    if let Some(system) = a.system.shared() {
        a.system.refuse(&of_spectra)?;
        a.system.refuse(&[("--recipe", a.recipe.is_some())])?;
        return super::shared::simulate(system, a.n, a.seed, &a.output, quiet);
    }
    if let Target::Study = a.system {
        a.system.refuse(&of_spectra)?;
        a.system
            .refuse(&[("--seed (the recipe has its own)", a.seed != 1)])?;
        return super::classes::simulate(a.recipe.as_deref(), a.n, &a.output, quiet);
    }
    a.system.refuse(&[("--recipe", a.recipe.is_some())])?;
    let usual = ["sdss".to_owned()];
    let instruments = if a.instrument.is_empty() {
        &usual[..]
    } else {
        &a.instrument
    };
    let recipe = SimulationRecipe {
        instruments: instruments.iter().map(|i| (i.clone(), 1.0)).collect(),
        templates: a.templates.clone(),
        ..SimulationRecipe::default()
    };
    let simulator = Simulator::new(&recipe, a.seed).into_diagnostic()?;
    if let Some(order) = a.hats {
        a.overwrite.refuse_for_parts()?;
        return sky(a, &simulator, order, quiet);
    }
    let mut writer =
        CatalogueWriter::create(&a.output, &[("seed", a.seed.to_string())]).into_diagnostic()?;
    let bar = progress::bar(a.n, "spectra", quiet);
    let mut row = 0;
    while row < a.n {
        let end = (row + 512).min(a.n);
        let batch: Vec<Example> = (row..end)
            .into_par_iter()
            .map(|r| simulator.draw(Split::Test, r))
            .collect();
        writer
            .write(example_columns(&batch, &simulator.names))
            .into_diagnostic()?;
        row = end;
        bar.set_position(row);
    }
    writer.finish().into_diagnostic()?;
    bar.finish_and_clear();
    if !quiet {
        tell!("Wrote {} spectra to {}", a.n, a.output.display());
    }
    Ok(Outcome::Good)
}

/// What the partitions in a folder were made with; nobody else's folder is added to.
fn same_settings(a: &Args, order: u8) -> Result<()> {
    let own = serde_json::json!({
        "n": a.n, "seed": a.seed, "order": order, "instruments": a.instrument,
        "templates": a.templates, "version": env!("CARGO_PKG_VERSION"),
    })
    .to_string();
    let path = a.output.join(".simulation.json");
    let other = || {
        miette::miette!(
            "{} holds partitions of other settings: give another --output, or delete it",
            a.output.display()
        )
    };
    match std::fs::read_to_string(&path) {
        Ok(found) if found == own => return Ok(()),
        Ok(_) => return Err(other()),
        Err(_) if a.output.join("dataset").exists() => return Err(other()),
        Err(_) => {}
    }
    std::fs::create_dir_all(&a.output).into_diagnostic()?;
    atomic_write(&path, own).into_diagnostic()
}

/// Rows on the sky: as many in each pixel, up to one. Pixels that are there are not made again.
fn sky(a: &Args, simulator: &Simulator, order: u8, quiet: bool) -> Result<Outcome> {
    same_settings(a, order)?;
    let pixels = 12u64 << (2 * order);
    let (bar, mut all) = (progress::bar(a.n, "spectra", quiet), vec![]);
    for number in 0..pixels {
        let pixel = Pixel { order, number };
        let (from, to) = (number * a.n / pixels, (number + 1) * a.n / pixels);
        let path = a.output.join(pixel.path());
        if from < to {
            all.push(pixel);
            if !path.exists() {
                partition(a, simulator, pixel, from..to, &path)?;
            }
        }
        bar.set_position(to);
    }
    bar.finish_and_clear();
    let last = all
        .last()
        .ok_or_else(|| miette::miette!("-n: expected at least one"))?;
    let schema = hats::schema_of(&a.output.join(last.path())).into_diagnostic()?;
    let name = a
        .output
        .file_name()
        .map_or_else(|| "spectra".into(), |n| n.to_string_lossy().into_owned());
    hats::finish(&a.output, &name, &BTreeMap::new(), &all, a.n, &schema).into_diagnostic()?;
    if !quiet {
        tell!(
            "Wrote {} spectra in {} partitions to {}",
            a.n,
            all.len(),
            a.output.display()
        );
    }
    Ok(Outcome::Good)
}

fn partition(
    a: &Args,
    simulator: &Simulator,
    pixel: Pixel,
    rows: std::ops::Range<u64>,
    path: &Path,
) -> Result<()> {
    let below = 1u64 << (2 * (29 - pixel.order));
    let place = |row: u64| {
        (
            pixel.first()
                + (Stream::new(a.seed, 0x5C1, row).uniform(0.0, 1.0) * below as f64) as u64 % below,
            row,
        )
    };
    let mut places: Vec<(u64, u64)> = rows.map(place).collect();
    places.sort_unstable();
    let mut writer: Option<PartWriter> = None;
    for some in places.chunks(512) {
        let batch: Vec<Example> = some
            .par_iter()
            .map(|(_, row)| simulator.draw(Split::Test, *row))
            .collect();
        let (ra, dec) = some.iter().map(|(p, _)| hats::position(*p)).unzip();
        let c = |name, unit, ucd, description, values| Column {
            name,
            unit,
            ucd,
            description,
            values,
        };
        let mut all = vec![
            c(
                hats::HEALPIX_29,
                "",
                "pos.healpix",
                "HEALPix pixel of order 29, nested",
                Values::I64(some.iter().map(|p| p.0 as i64).collect()),
            ),
            c(
                "ra",
                "deg",
                "pos.eq.ra;meta.main",
                "right ascension, ICRS",
                Values::F64(ra),
            ),
            c(
                "dec",
                "deg",
                "pos.eq.dec;meta.main",
                "declination, ICRS",
                Values::F64(dec),
            ),
        ];
        all.extend(example_columns(&batch, &simulator.names));
        let batch = record(&all).into_diagnostic()?;
        let w = match &mut writer {
            Some(w) => w,
            None => writer.insert(
                PartWriter::create(path, batch.schema_ref(), &[("seed", a.seed.to_string())])
                    .into_diagnostic()?,
            ),
        };
        w.write(&batch).into_diagnostic()?;
    }
    writer.map_or(Ok(0), PartWriter::finish).into_diagnostic()?;
    Ok(())
}
