//! The systems: a folder and a line each.

use std::path::Path;
use std::sync::Arc;

use slipher_nn::checkpoint::{CheckpointError, read};

use crate::model::Model;
use crate::offered::DynSystem;
use crate::predict::{Options, Predict, PredictError};
use crate::system::System;
use crate::{
    lens_finding, lens_model, light_curves, morphology, radio, redshift, restoration, star_galaxy,
    structure, transients,
};

/// All systems. The first is the one that needs no verb to be learned.
pub static SYSTEMS: &[&dyn DynSystem] = &[
    &redshift::Redshift,
    &star_galaxy::STAR_GALAXY,
    &morphology::Morphology,
    &radio::Radio,
    &transients::Transients,
    &lens_finding::LENS_FINDING,
    &structure::STRUCTURE,
    &lens_model::LENS_MODEL,
    &light_curves::LIGHT_CURVES,
    &restoration::RESTORATION,
    &lens_finding::PETRILLO,
    &lens_finding::JACOBS,
    &radio::Pair(0),
    &radio::Pair(1),
    &radio::Pair(2),
];

/// The system of a name.
///
/// # Errors
/// Names that there are.
pub fn by_name(name: &str) -> Result<&'static dyn DynSystem, String> {
    let found = SYSTEMS.iter().copied().find(|s| s.name() == name);
    found.ok_or_else(|| {
        format!(
            "no system named '{name}': expected one of {}",
            names().join(", ")
        )
    })
}

/// Names of the systems that are offered.
pub fn names() -> Vec<&'static str> {
    SYSTEMS
        .iter()
        .filter(|s| !s.is_part())
        .map(|s| s.name())
        .collect()
}

/// A system of the shared engine by its name.
///
/// # Errors
/// As [`by_name`], or it has an engine of its own.
pub fn shared(name: &str) -> Result<&'static dyn System, String> {
    by_name(name)?
        .shared()
        .ok_or_else(|| format!("{name} has verbs of its own"))
}

/// Systems of the shared engine that are offered.
pub fn all_shared() -> impl Iterator<Item = &'static dyn System> {
    SYSTEMS
        .iter()
        .filter_map(|s| s.shared())
        .filter(|s| !s.is_part())
}

/// Opens a system's model from a file, or the one that comes with the program.
///
/// # Errors
/// As [`DynSystem::open`], or the file cannot be read.
pub fn open(
    system: &'static dyn DynSystem,
    path: Option<&Path>,
    o: Options,
) -> Result<Arc<dyn Predict>, PredictError> {
    match path {
        Some(p) => system.open(&p.display().to_string(), &read(p)?, o),
        None => system.open("the shipped model", weights(system.name())?, o),
    }
}

/// The bytes of the model that comes with the program.
///
/// # Errors
/// There is none.
pub fn weights(system: &'static str) -> Result<&'static [u8], PredictError> {
    slipher_models::weights(system).ok_or(PredictError::NoModel { system })
}

/// The model of a system of the shared engine, from a file or as it ships.
///
/// # Errors
/// As [`Model::read`].
pub fn model(system: &'static dyn System, path: Option<&Path>) -> Result<Model, PredictError> {
    Ok(match path {
        Some(p) => Model::read(system, p)?,
        None => Model::from_bytes(system, "the shipped model", weights(system.name())?)?,
    })
}

/// The system that a model file was trained for.
///
/// # Errors
/// No model file, or a system that this version does not know.
pub fn system_of(path: &Path) -> Result<&'static dyn DynSystem, PredictError> {
    let c = slipher_nn::checkpoint::Checkpoint::read(path)?;
    // The redshift model of 0.1 did not say what it was.
    let name = c
        .get::<String>("system")
        .unwrap_or_else(|_| SYSTEMS[0].name().to_owned());
    let unknown = |why| CheckpointError::Content {
        name: path.display().to_string(),
        why,
    };
    Ok(by_name(&name).map_err(unknown)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_unknown_ones_named() {
        let mut all: Vec<&str> = SYSTEMS.iter().map(|s| s.name()).collect();
        let n = all.len();
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), n);
        assert!(
            by_name("meteors")
                .err()
                .is_some_and(|e| e.contains("radio"))
        );
        for s in all_shared() {
            assert!(!s.recipes().is_empty() && !System::title(s).is_empty());
        }
    }

    /// Models that ship open, and refuse options that they do not have; systems without one say how
    /// to make it.
    #[test]
    fn shipped_models_open() {
        for s in SYSTEMS.iter().filter(|s| !s.is_part()) {
            if slipher_models::weights(s.name()).is_none() {
                let e = open(*s, None, Options::default())
                    .err()
                    .unwrap()
                    .to_string();
                assert!(e.contains("slipher train"), "{e}");
                continue;
            }
            let p = open(*s, None, Options::default()).unwrap();
            assert_eq!((p.id(), p.sha256().len()), (s.name(), 64));
            let o = Options::default().with("colour", "red");
            let e = open(*s, None, o).err().unwrap().to_string();
            assert!(e.contains("colour") && e.contains(s.name()), "{e}");
        }
    }

    /// What a network sees lies in the very middle of what is stored; else a turned image would
    /// show it another part of the sky.
    #[test]
    fn views_are_centred() {
        for s in all_shared() {
            let g = s.geometry();
            let side = s.input_views().size(g.side()).1;
            assert_eq!((g.stored() - g.side()) % 2, 0, "{}", s.name());
            assert!(side <= g.side(), "{}", s.name());
        }
    }
}
