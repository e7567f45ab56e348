//! `slipher lens-models`: a catalogue of `lens-model` in the formats of other codes.

use std::path::{Path, PathBuf};

use clap::{Args as ClapArgs, ValueEnum};
use miette::{IntoDiagnostic, Result};
use serde_json::{Map, Value};
use slipher_data::atomic::atomic_write;
use slipher_data::catalogue::append::visit;
use slipher_systems::answers::flag;
use slipher_systems::lens_model::formats::LensParameters;
use slipher_systems::lens_model::{OUTPUTS, STAMP};

use super::{Overwrite, accept, counted};
use crate::Outcome;

/// Whose format.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Format {
    /// COOLEST templates (Galan et al. 2023)
    Coolest,
    /// Keyword arguments of lenstronomy: SIE, SHEAR
    Lenstronomy,
    /// PyAutoLens' Isothermal and ExternalShear
    Pyautolens,
}

#[derive(ClapArgs)]
#[command(
    after_help = "Examples:\n  slipher predict lens-model stamps/ --polish -o models.parquet\n  slipher lens-models models.parquet --format coolest -o coolest/\n  slipher lens-models models.parquet --format lenstronomy -o models.json"
)]
pub struct Args {
    /// Parquet catalogues of slipher predict lens-model, or folders of parts
    #[arg(required = true)]
    catalogues: Vec<PathBuf>,
    /// Format
    #[arg(long, value_enum)]
    format: Format,
    /// A .json file with all lenses by object_id, or a folder for a file each
    #[arg(short, long)]
    output: PathBuf,
    /// Arcseconds a pixel, for images that did not say it
    #[arg(long, value_name = "ARCSEC")]
    pixel_scale: Option<f64>,
    #[command(flatten)]
    overwrite: Overwrite,
}

/// `slipher lens-models`.
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
    let (mut all, mut left_out) = (Map::new(), vec![]);
    visit(&files, |cells| {
        let (ids, bits) = (cells.text("object_id")?, cells.i32("flags")?);
        let scales = cells.f64(STAMP[0])?;
        let (widths, heights) = (cells.i32(STAMP[1])?, cells.i32(STAMP[2])?);
        let mut columns = vec![];
        for name in OUTPUTS {
            columns.push([cells.f64(name)?, cells.f64(&format!("{name}_err"))?]);
        }
        for i in 0..cells.rows() {
            let name = unique(&all, ids.value(i));
            let scale = if scales.value(i) > 0.0 {
                scales.value(i)
            } else {
                a.pixel_scale.unwrap_or(f64::NAN)
            };
            if bits.value(i) & flag::BAD_INPUT != 0 {
                left_out.push(format!("{name}: no answer"));
                continue;
            }
            if scale.is_nan() {
                left_out.push(format!("{name}: no pixel scale; give --pixel-scale"));
                continue;
            }
            let pixels = (heights.value(i) as usize, widths.value(i) as usize);
            let each = |j: usize| columns[j].map(|c| c.value(i));
            let lens = LensParameters::of_columns(&each, pixels, scale);
            let value = match a.format {
                Format::Coolest => lens.coolest(&name, pixels, scale),
                Format::Lenstronomy => lens.lenstronomy(),
                Format::Pyautolens => lens.pyautolens(),
            };
            all.insert(name, value);
        }
        Ok(())
    })
    .into_diagnostic()?;
    write(&a.output, &all)?;
    left_out
        .iter()
        .for_each(|why| tell!("slipher: left out: {why}"));
    if !quiet {
        tell!(
            "{} written to {}",
            counted(all.len(), "lens model"),
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
    let base = if name.is_empty() { "lens" } else { name };
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
