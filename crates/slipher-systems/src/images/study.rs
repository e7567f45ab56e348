//! What `slipher reproduce` trains and compares for each image system.

use std::path::{Path, PathBuf};

use super::System;
use super::train::{Recipe, TrainError};

/// One network of a study.
#[derive(Clone, Debug)]
pub struct Cell {
    /// Folder and key.
    pub name: &'static str,
    /// In tables.
    pub title: &'static str,
    pub recipe: Recipe,
}

/// (system, name, title, recipe); the first of each system is the one that ships.
const CELLS: [(&str, &str, &str, &str); 13] = [
    (
        "star-galaxy",
        "star-galaxy",
        "ours: turns with the image",
        include_str!("../../../../recipes/images/star-galaxy.toml"),
    ),
    (
        "star-galaxy",
        "star-galaxy-published",
        "Kim & Brunner's network, 64 views",
        include_str!("../../../../recipes/images/star-galaxy-published.toml"),
    ),
    (
        "transients",
        "transients",
        "ours: turns with the image",
        include_str!("../../../../recipes/images/transients.toml"),
    ),
    (
        "transients",
        "transients-published",
        "Deep-HiTS",
        include_str!("../../../../recipes/images/transients-published.toml"),
    ),
    (
        "transients",
        "transients-hits",
        "ours, trained on HiTS' sky",
        include_str!("../../../../recipes/images/transients-hits.toml"),
    ),
    (
        "transients",
        "transients-published-hits",
        "Deep-HiTS, trained on HiTS' sky",
        include_str!("../../../../recipes/images/transients-published-hits.toml"),
    ),
    (
        "radio",
        "radio",
        "ours: turns with the image",
        include_str!("../../../../recipes/images/radio.toml"),
    ),
    (
        "radio",
        "radio-fri-frii",
        "AlexNet FRI/FRII",
        include_str!("../../../../recipes/images/radio-fri-frii.toml"),
    ),
    (
        "radio",
        "radio-fri-bent",
        "AlexNet FRI/Bent",
        include_str!("../../../../recipes/images/radio-fri-bent.toml"),
    ),
    (
        "radio",
        "radio-frii-bent",
        "AlexNet FRII/Bent",
        include_str!("../../../../recipes/images/radio-frii-bent.toml"),
    ),
    (
        "morphology",
        "morphology",
        "ours: turns with the image",
        include_str!("../../../../recipes/images/morphology.toml"),
    ),
    (
        "morphology",
        "morphology-plain",
        "the same without tied weights",
        include_str!("../../../../recipes/images/morphology-plain.toml"),
    ),
    (
        "morphology",
        "morphology-published",
        "Dieleman et al., 16 parts, a quarter as wide",
        include_str!("../../../../recipes/images/morphology-published.toml"),
    ),
];

/// The networks of a system's study. `share` shrinks sets and passes; labelled examples lie in `labelled`, else the sky is simulated alone.
///
/// # Errors
/// A recipe that cannot be read.
pub fn cells(
    system: &dyn System,
    share: f64,
    seed: u64,
    labelled: Option<&Path>,
) -> Result<Vec<Cell>, TrainError> {
    let mine = CELLS.iter().filter(|c| c.0 == system.name());
    mine.map(|(_, name, title, text)| {
        Ok(Cell {
            name,
            title,
            recipe: adjusted(text, share, seed, labelled)?,
        })
    })
    .collect()
}

/// The recipe of the shipped model.
///
/// # Errors
/// A system without a study.
pub fn shipped(system: &dyn System, labelled: Option<&Path>) -> Result<Recipe, TrainError> {
    let cell = cells(system, 1.0, 1, labelled)?.into_iter().next();
    cell.map(|c| c.recipe).ok_or_else(|| {
        TrainError::Recipe(format!(
            "{} has no recipe of its own: give --recipe",
            system.name()
        ))
    })
}

fn adjusted(
    text: &str,
    share: f64,
    seed: u64,
    labelled: Option<&Path>,
) -> Result<Recipe, TrainError> {
    let mut r = Recipe::read(text)?;
    r.labelled = labelled.map(Path::to_owned);
    r.labelled_share = match labelled {
        // Without labelled images their share is simulated.
        None => 0.0,
        Some(_) if r.labelled_share == 0.0 => 0.7,
        Some(_) => r.labelled_share,
    };
    let mut r = r.checked()?;
    let scaled = |n: f64| (n * share).ceil().max(1.0);
    r.simulated = scaled(r.simulated as f64) as usize;
    r.shown = (scaled(r.shown as f64) as u64).max(2 * r.batch as u64);
    r.validation = (scaled(r.validation as f64) as usize).max(200);
    r.seed = seed;
    Ok(r)
}

/// Folder of a cell.
pub fn folder(study: &Path, cell: &Cell) -> PathBuf {
    study.join(cell.name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_system_has_a_study_that_can_be_built() {
        for name in super::super::NAMES {
            let system = super::super::by_name(name).unwrap();
            for labelled in [None, Some(Path::new("a folder"))] {
                let cells = cells(&*system, 0.001, 7, labelled).unwrap();
                assert!(!cells.is_empty(), "{name}");
                for c in cells {
                    let own = super::super::by_name(&c.recipe.system).unwrap();
                    if labelled.is_none() {
                        c.recipe
                            .architecture(&*own)
                            .build(own.geometry(), own.outputs().len(), 1)
                            .unwrap();
                    }
                    assert_eq!(
                        (c.recipe.seed, c.recipe.labelled.is_some()),
                        (7, labelled.is_some())
                    );
                }
            }
        }
    }
}
