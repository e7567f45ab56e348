//! From weights to a model that knows how good it is: everything that held-out simulations teach is
//! measured here.

use rayon::prelude::*;
use slipher_data::spectrum::{Spectrum, estimate_ivar};
use slipher_nn::train::{Examples, Learner, Metrics};
use slipher_sim::sed::SpecType;

use super::calibrate::{Calibration, CalibrationRow};
use super::encode::{LAG, encode};
use super::goodness::{Fit, GoodnessOfFit};
use super::lag::lag_of;
use super::measure::{Measurement, PredictOptions, conditions, measure_all};
use super::model::Model;
use super::phase::Phase;
use super::recipe::Recipe;
use super::scatter::Scatter;
use super::score::success;
use super::simulate::{Example, Simulator, Split};
use super::subtype;
use super::train::{ShiftLearner, Simulated};
use slipher_stats::calibration::PurityThresholds;

/// Rows for the calibration, in units of the validation set.
const ROWS: u64 = 32;
/// One row of so many comes without errors.
const NO_ERRORS: u64 = 8;

/// The trained model, ready to be written: calibrated, card and name filled in.
pub fn export(
    learner: &ShiftLearner,
    recipe: &Recipe,
    data: &Simulated,
    steps: u64,
    id: &str,
) -> Model {
    let validation = data
        .held_out()
        .first()
        .map_or_else(Metrics::default, |h| learner.validate(&h.1));
    let mut model = Model::new(recipe.network.clone(), recipe.training.seed);
    model.net = learner.net.clone();
    model.sharpness = validation.get("inverse_temperature").unwrap_or(1.0);
    calibrate(
        &mut model,
        &data.simulator,
        ROWS * recipe.training.validation,
    );
    model.subtypes = subtype::sequence(data.simulator.library(Split::Train));
    model.id = id.to_owned();
    let validation: serde_json::Map<_, _> = validation
        .0
        .into_iter()
        .map(|(k, v)| (k, v.into()))
        .collect();
    let examples = steps * recipe.training.batch;
    let card =
        serde_json::json!({ "recipe": recipe, "validation": validation, "examples": examples });
    model.card = card.to_string();
    model
}

/// Fits phase, probabilities, familiarity and dial of a model on `n` rows of the validation stream.
fn calibrate(model: &mut Model, simulator: &Simulator, n: u64) {
    (model.calibration, model.goodness) = (Calibration::default(), GoodnessOfFit::default());
    let raw = answers(model, simulator, n, |d, m| {
        let (b, e) = (m.best()?, encode(&d.spectrum)?);
        // Blank sky has no right answer.
        let right = d.truth.is_some_and(|t| success(t, b.class, b.z));
        let row = CalibrationRow {
            class: b.class,
            z: b.z,
            probability: b.probability,
            right,
            conditions: conditions(&d.spectrum, m, &e),
        };
        let lags = d.truth.filter(|_| right).map(|t| Lags {
            found: lag_of(b.z),
            width: b.z_err / ((1.0 + b.z) * LAG),
            truth: lag_of(t.1),
        });
        Some((row, lags))
    });
    let lags: Vec<(&CalibrationRow, &Lags)> = raw
        .iter()
        .filter_map(|(row, lags)| Some((row, lags.as_ref()?)))
        .collect();
    let sure: Vec<_> = lags.iter().filter(|l| l.0.probability > 0.99).collect();
    let phase = Phase::fit(
        &sure
            .iter()
            .map(|l| (l.1.found, l.1.truth))
            .collect::<Vec<_>>(),
    );
    let scatter = SpecType::ALL.map(|class| {
        let own = lags.iter().filter(|l| l.0.class == class);
        let pair = |l: &Lags| (l.width, phase.correct(l.found) - l.truth);
        Scatter::fit(&own.map(|l| pair(l.1)).collect::<Vec<_>>())
    });
    let rows: Vec<CalibrationRow> = raw.iter().map(|r| r.0).collect();
    model.calibration = Calibration::fit(phase, scatter, &rows);
    // The basis comes from the SEDs of training, so that held-out ones fit as badly as new ones
    // will.
    let mut goodness = GoodnessOfFit::new(simulator.library(Split::Train), simulator.seed());
    let second = answers(model, simulator, n, |d, m| {
        let b = m.best()?;
        let right = d.truth.is_some_and(|t| success(t, b.class, b.z));
        let fit = (right
            && !d.peculiar
            && !d.spoiled
            && !d.spectrum.ivar_estimated
            && simulator.names[d.instrument] != "any")
            .then(|| {
                encode(&d.spectrum).map(|e| (b.class, goodness.fit(&d.spectrum, &e, b.class, b.z)))
            })
            .flatten();
        Some((b.probability, right, fit))
    });
    let fits: Vec<(SpecType, Fit)> = second.iter().filter_map(|s| s.2).collect();
    goodness.learn(&fits);
    model.goodness = goodness;
    let (p, right): (Vec<f64>, Vec<bool>) = second.iter().map(|s| (s.0, s.1)).unzip();
    model.thresholds = PurityThresholds::of(&p, &right);
}

/// An answer's place and width, and where it should be, in lags.
struct Lags {
    found: f64,
    width: f64,
    truth: f64,
}

/// As a file without errors would be read.
fn forget_errors(s: &mut Spectrum) {
    let estimated = estimate_ivar(&s.flux);
    s.ivar
        .iter_mut()
        .zip(estimated)
        .filter(|(v, _)| **v > 0.0)
        .for_each(|(v, e)| *v = e);
    s.ivar_estimated = true;
}

/// `value` of rows of the validation stream and their measurements, in order.
fn answers<T: Send>(
    model: &Model,
    simulator: &Simulator,
    n: u64,
    value: impl Fn(&Example, &Measurement) -> Option<T> + Sync,
) -> Vec<T> {
    let rows: Vec<u64> = (0..n).collect();
    let some = |rows: &[u64]| {
        let drawn: Vec<_> = rows
            .iter()
            .map(|r| {
                let mut e = simulator.draw(Split::Validation, *r);
                if r % NO_ERRORS == 0 {
                    forget_errors(&mut e.spectrum);
                }
                e
            })
            .collect();
        let measured = measure_all(
            model,
            &PredictOptions {
                lines: false,
                ..PredictOptions::default()
            },
            &drawn.iter().map(|d| &d.spectrum).collect::<Vec<_>>(),
        );
        drawn
            .iter()
            .zip(&measured)
            .filter_map(|(d, m)| value(d, m))
            .collect::<Vec<T>>()
    };
    rows.par_chunks(64)
        .map(some)
        .collect::<Vec<_>>()
        .into_iter()
        .flatten()
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::redshift::model::NetworkRecipe;

    /// What is exported is calibrated, the same each time, and survives the disk.
    #[test]
    fn exported_models_are_whole_and_reproducible() {
        let mut recipe = Recipe::built_in().unwrap();
        recipe.network = NetworkRecipe {
            depth: 1,
            width: 16,
            taps: 3,
            patterns: [1, 1, 1],
        };
        (recipe.training.validation, recipe.training.batch) = (8, 4);
        recipe.simulation.instruments = vec![("sdss".into(), 1.0)];
        let data = Simulated::new(&recipe).unwrap();
        let learner = ShiftLearner::new(&Model::new(recipe.network.clone(), 3), 0.0);
        let made = || export(&learner, &recipe, &data, 10, "tiny");
        let model = made();
        let bytes = |m: &Model| m.to_checkpoint().unwrap().to_bytes().unwrap();
        assert!(bytes(&model) == bytes(&made()), "two exports differ");
        let back = Model::from_bytes("tiny", &bytes(&model)).unwrap();
        assert_eq!((&back.id, &back.thresholds), (&model.id, &model.thresholds));
        assert_eq!(
            (&back.calibration, back.sharpness),
            (&model.calibration, model.sharpness)
        );
        // Purer thresholds are not lower.
        let steps = &model.thresholds.0;
        assert!(steps.len() > 3 && steps.is_sorted_by(|a, b| a.0 < b.0 && a.1 <= b.1));
        let card: serde_json::Value = serde_json::from_str(&model.card).unwrap();
        assert_eq!(card["examples"], 40);
        assert_eq!(card["recipe"]["training"]["batch"], 4);
        // The same spectrum, the same answer, from the disk too.
        let e = data.simulator.draw(Split::Test, 5);
        let answer = |m: &Model| measure_all(m, &PredictOptions::default(), &[&e.spectrum]);
        assert_eq!(answer(&model), answer(&back));
    }
}
