//! `slipher export`: a catalogue in the formats of other codes.

use std::path::{Path, PathBuf};

use clap::Args as ClapArgs;
use miette::{IntoDiagnostic, Result};
use serde_json::{Map, Value};
use slipher_data::atomic::atomic_write;
use slipher_data::catalogue::append::visit;
use slipher_systems::registry;

use super::{Overwrite, accept, counted};
use crate::Outcome;

#[derive(ClapArgs)]
#[command(
    after_help = "Examples:\n  slipher predict lens-model stamps/ --polish -o models.parquet\n  slipher export models.parquet --format coolest -o coolest/\n  slipher export models.parquet --format lenstronomy -o models.json"
)]
pub struct Args {
    /// Parquet catalogues of slipher predict, or folders of parts
    #[arg(required = true)]
    catalogues: Vec<PathBuf>,
    /// Of lens models: coolest (Galan et al. 2023), lenstronomy (keyword arguments of SIE and SHEAR) or
    /// pyautolens (Isothermal and ExternalShear)
    #[arg(long)]
    format: String,
    /// A .json file with all rows by object_id, or a folder for a file each
    #[arg(short, long)]
    output: PathBuf,
    /// Arcseconds a pixel, for images that did not say it
    #[arg(long, value_name = "ARCSEC")]
    pixel_scale: Option<f64>,
    #[command(flatten)]
    overwrite: Overwrite,
}

/// Column of the arcseconds a pixel.
const SCALE: &str = "pixel_scale";

/// `slipher export`.
pub fn run(a: &Args, quiet: bool) -> Result<Outcome> {
    if a.pixel_scale.is_some_and(|s| !(s > 0.0 && s.is_finite())) {
        return Err(miette::miette!(
            "--pixel-scale: expected a positive number of arcseconds"
        ));
    }
    a.overwrite.check(&[a.output.as_path()])?;
    let mut files = vec![];
    for c in &a.catalogues {
        files.extend(accept::files(c)?);
    }
    let (mut all, mut left_out, mut trouble) = (Map::new(), vec![], None);
    visit(&files, |cells| {
        let name = cells.key("system").unwrap_or_default().to_owned();
        let system = match registry::shared(&name) {
            Ok(s) if s.formats().contains(&a.format.as_str()) => s,
            Ok(s) => {
                let known = s.formats().join(", ");
                let known = if known.is_empty() { "none" } else { &known };
                trouble = Some(format!("--format {}: {name} has {known}", a.format));
                return Ok(());
            }
            Err(why) => {
                trouble = Some(format!(
                    "the catalogue does not say which system made it: {why}"
                ));
                return Ok(());
            }
        };
        let ids = cells.text("object_id")?;
        for i in 0..cells.rows() {
            let name = unique(&all, ids.value(i));
            let number = |column: &str| {
                let own = cells.number(column, i).unwrap_or(f64::NAN);
                match a.pixel_scale {
                    Some(scale) if column == SCALE && (own.is_nan() || own <= 0.0) => scale,
                    _ => own,
                }
            };
            match system.export(&a.format, &name, &number) {
                Ok(value) => {
                    all.insert(name, value);
                }
                Err(why) => left_out.push(format!("{name}: {why}")),
            }
        }
        Ok(())
    })
    .into_diagnostic()?;
    if let Some(why) = trouble {
        return Err(miette::miette!("{why}"));
    }
    write(&a.output, &all)?;
    left_out
        .iter()
        .for_each(|why| tell!("slipher: left out: {why}"));
    if !quiet {
        tell!(
            "{} written to {}",
            counted(all.len(), "row"),
            a.output.display()
        );
    }
    Ok(match (all.is_empty(), left_out.is_empty()) {
        (true, _) => Outcome::Nothing,
        (_, true) => Outcome::Good,
        _ => Outcome::SomeFailed,
    })
}

/// A name that no other lens has.
fn unique(all: &Map<String, Value>, name: &str) -> String {
    let base = if name.is_empty() { "row" } else { name };
    let mut own = base.to_owned();
    let mut k = 2;
    while all.contains_key(&own) {
        own = format!("{base}-{k}");
        k += 1;
    }
    own
}

/// One file, or one for each lens in a folder.
fn write(out: &Path, all: &Map<String, Value>) -> Result<()> {
    if out.extension().is_some_and(|e| e == "json") {
        let text = serde_json::to_string_pretty(all).into_diagnostic()?;
        return atomic_write(out, text).into_diagnostic();
    }
    std::fs::create_dir_all(out).into_diagnostic()?;
    for (name, value) in all {
        let plain: String = name
            .chars()
            .map(|c| {
                if c.is_ascii_alphanumeric() || "+-._".contains(c) {
                    c
                } else {
                    '_'
                }
            })
            .collect();
        let text = serde_json::to_string_pretty(value).into_diagnostic()?;
        atomic_write(&out.join(format!("{plain}.json")), text).into_diagnostic()?;
    }
    Ok(())
}
