//! The recipe of a redshift model: network, training and simulation in one TOML file.

use serde::{Deserialize, Serialize};
use slipher_nn::train::Schedule;

use super::model::NetworkRecipe;
use super::simulate::{BadRecipe, SimulationRecipe};

/// A training run in one TOML file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Recipe {
    /// Size of the network.
    pub network: NetworkRecipe,
    /// How it learns.
    pub training: TrainingRecipe,
    /// What it learns from.
    pub simulation: SimulationRecipe,
}

/// Settings of the loop.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrainingRecipe {
    /// Steps from the first to the last.
    pub steps: u64,
    /// Spectra of a step.
    pub batch: u64,
    /// Peak of the learning rate; it follows a cosine.
    pub learning_rate: f64,
    /// Steps over which it rises.
    pub warmup: u64,
    /// Of AdamW.
    pub weight_decay: f64,
    /// Of simulated spectra and first weights.
    pub seed: u64,
    /// Simulated spectra for validation.
    pub validation: u64,
    /// Steps between validations and checkpoints.
    pub every: u64,
    /// Stop when validation has not improved for this many of them; 0 = never.
    #[serde(default)]
    pub patience: u64,
}

impl Recipe {
    /// That of the shipped model, without its folder of templates (which needs files).
    ///
    /// # Errors
    /// None, as long as the file in the repository is whole.
    pub fn built_in() -> Result<Self, BadRecipe> {
        let mut r = Recipe::parse(include_str!("recipes/redshift.toml"))?;
        r.simulation.templates.clear();
        Ok(r)
    }

    /// # Errors
    /// Names the field that is missing, unknown or of the wrong type.
    pub fn parse(text: &str) -> Result<Self, BadRecipe> {
        let r: Recipe = crate::recipe::read(text).map_err(BadRecipe::Field)?;
        let t = &r.training;
        if let Some(why) = r.network.problem() {
            return Err(BadRecipe::Field(why.into()));
        }
        if t.steps == 0
            || t.every == 0
            || !(1..=100_000).contains(&t.batch)
            || t.validation > 10_000_000
        {
            return Err(BadRecipe::Field("steps and every must be positive, batch 1 to 100,000, validation at most 10,000,000".into()));
        }
        let rate = t.learning_rate > 0.0 && t.learning_rate.is_finite();
        let decay = t.weight_decay >= 0.0 && t.weight_decay.is_finite();
        if !(rate && decay) {
            return Err(BadRecipe::Field(
                "learning_rate: expected a positive number; weight_decay: at least 0".into(),
            ));
        }
        Ok(r)
    }
}

impl TrainingRecipe {
    /// Learning rates and validations.
    pub fn schedule(&self) -> Schedule {
        Schedule {
            steps: self.steps,
            learning_rate: self.learning_rate,
            warmup: self.warmup,
            constant: false,
            every: self.every,
            patience: self.patience,
            keep_best: true,
        }
    }
}
