//! One file per verb.

pub mod classes;
pub mod demo;
pub mod euclid;
pub mod evaluate;
pub mod images;
pub mod parts;
pub mod predict;
pub mod redshift;
pub mod reproduce;
pub mod show;
pub mod simulate;
pub mod sql;
pub mod study;
pub mod train;

use std::path::Path;

use miette::{IntoDiagnostic, Result, WrapErr};
use slipher_data::formats::{Medium, ReadOptions};
use slipher_systems::redshift::model::Model;
use slipher_systems::shipped;

/// What wavelengths were measured in, for verbs that read files.
#[derive(clap::Args)]
pub struct MediumArgs {
    /// Wavelengths are in air, whatever the files say
    #[arg(long, conflicts_with = "vacuum")]
    air: bool,
    /// Wavelengths are in vacuum, whatever the files say
    #[arg(long)]
    vacuum: bool,
}

impl MediumArgs {
    fn options(&self) -> ReadOptions {
        ReadOptions {
            medium: if self.air {
                Some(Medium::Air)
            } else {
                self.vacuum.then_some(Medium::Vacuum)
            },
        }
    }
}

/// The shipped model, or one from a file.
pub fn model(path: Option<&Path>) -> Result<Model> {
    match path {
        None => shipped::redshift().into_diagnostic(),
        Some(p) => Model::read(p)
            .into_diagnostic()
            .wrap_err("--model expects a file written by 'slipher train redshift'"),
    }
}

/// The bytes of an image system's model.
pub fn shipped(system: &str) -> Result<&'static [u8]> {
    shipped::image(system).ok_or_else(|| miette::miette!("'{system}' comes without a model: train one with 'slipher train {system}' and give it with --model"))
}
