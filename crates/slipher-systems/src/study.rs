//! What `slipher reproduce` trains and compares for each image system.

use std::path::{Path, PathBuf};

use crate::registry;
use crate::system::{NamedRecipe, System};
use crate::train::{Recipe, RecipeError};

/// One network of a study.
#[derive(Clone)]
pub struct Cell {
    /// Folder and key, and title in tables.
    pub named: NamedRecipe,
    /// The system that it is trained for: the study's, or a part of it.
    pub system: &'static dyn System,
    /// How it is trained.
    pub recipe: Recipe,
}

/// The networks of a system's study. `share` shrinks sets and passes; labelled examples lie in
/// `labelled`, else the sky is simulated alone.
///
/// # Errors
/// A recipe that cannot be read.
pub fn cells(
    system: &'static dyn System,
    share: f64,
    seed: u64,
    labelled: Option<&Path>,
) -> Result<Vec<Cell>, RecipeError> {
    let cell = |named: &NamedRecipe| {
        let r = Recipe::read(named.text)?;
        let own = registry::shared(&r.system).map_err(RecipeError::Recipe)?;
        Ok(Cell {
            named: *named,
            system: own,
            recipe: adjusted(r, own, share, seed, labelled)?,
        })
    };
    system.recipes().iter().map(cell).collect()
}

/// The recipe of the shipped model.
///
/// # Errors
/// A recipe that cannot be read, or none.
pub fn shipped(
    system: &'static dyn System,
    labelled: Option<&Path>,
) -> Result<Recipe, RecipeError> {
    let cell = cells(system, 1.0, 1, labelled)?.into_iter().next();
    let none = || {
        RecipeError::Recipe(format!(
            "{} has no recipe of its own: give --recipe",
            system.name()
        ))
    };
    cell.map(|c| c.recipe).ok_or_else(none)
}

fn adjusted(
    mut r: Recipe,
    system: &dyn System,
    share: f64,
    seed: u64,
    labelled: Option<&Path>,
) -> Result<Recipe, RecipeError> {
    r.labelled = labelled.map(Path::to_owned);
    r.labelled_share = match labelled {
        // Without labelled images their share is simulated.
        None => 0.0,
        Some(_) if r.labelled_share == 0.0 => 0.7,
        Some(_) => r.labelled_share,
    };
    let mut r = r.checked(system)?;
    let scaled = |n: f64| (n * share).ceil().max(1.0);
    if r.simulated > 0 {
        r.simulated = scaled(r.simulated as f64) as usize;
    }
    r.examples_seen = (scaled(r.examples_seen as f64) as u64).max(2 * r.batch as u64);
    r.validation = (scaled(r.validation as f64) as usize).max(200);
    r.seed = seed;
    Ok(r)
}

/// Folder of a cell.
pub fn folder(study: &Path, cell: &Cell) -> PathBuf {
    study.join(cell.named.name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_system_has_a_study_that_can_be_built() {
        for system in registry::all_shared() {
            let name = system.name();
            for labelled in [None, Some(Path::new("a folder"))] {
                // Without a simulated sky there is nothing to learn from but labelled rows.
                let rng = &mut slipher_sim::random::Stream::new(1, 1, 1);
                if labelled.is_none() && system.simulate(crate::example::Sky::Own, rng).is_none() {
                    assert!(cells(system, 0.001, 7, labelled).is_err(), "{name}");
                    continue;
                }
                let cells = cells(system, 0.001, 7, labelled).unwrap();
                assert!(!cells.is_empty(), "{name}");
                for c in cells {
                    if labelled.is_none() {
                        c.recipe.learner(c.system).unwrap();
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
