use super::*;

use crate::redshift::goodness::Fit;
use crate::redshift::lag::{LAGS, SUPPORT, redshift_of};
use crate::redshift::model::NetworkRecipe;
use slipher_nn::shiftnet::ShiftNet;

struct Broken;
impl slipher_nn::shiftnet::Backend for Broken {
    fn predict(
        &self,
        _: &[Input],
        _: &mut Prediction,
    ) -> Result<(), slipher_nn::shiftnet::BackendError> {
        Err(slipher_nn::shiftnet::BackendError("no answer".into()))
    }
    fn batch_size(&self) -> usize {
        2
    }
}

/// A device that fails must not give the answers of the batch before.
#[test]
fn a_failed_device_gives_no_redshift() {
    let recipe = NetworkRecipe {
        depth: 1,
        width: 16,
        taps: 3,
        patterns: [1, 1, 1],
    };
    let mut model = Model::new(recipe, 1);
    let wave = (0..3000).map(|i| 4000.0 + f64::from(i)).collect();
    let flux = (0..3000)
        .map(|i| 1.0 + 0.1 * (i as f32 * 0.07).sin())
        .collect();
    let s = Spectrum::new(wave, flux, vec![100.0; 3000], &[]).unwrap();
    let mut w = Workspace::default();
    assert!(
        measure(&model, &PredictOptions::default(), &[&s], &mut w)[0]
            .best()
            .is_some()
    );
    model.backend = Some(std::sync::Arc::new(Broken));
    let m = &measure(&model, &PredictOptions::default(), &[&s, &s, &s], &mut w)[2];
    assert!(m.best().is_none() && m.zwarn & zwarn::NODATA != 0);
    assert!(m.error.as_ref().is_some_and(|e| e.contains("no answer")));
}

fn spectrum(start: f64, n: usize, ivar: f32) -> Spectrum {
    let wave = (0..n)
        .map(|i| start * (1.0 + 2.3e-4f64).powi(i as i32))
        .collect();
    let flux = (0..n).map(|i| 1.0 + 0.1 * (i as f32 * 0.7).sin()).collect();
    Spectrum::new(wave, flux, vec![ivar; n], &[]).unwrap()
}

/// Bits of an answer at the limit of the redshifts.
fn limits() -> i64 {
    let edge = Solution {
        class: SpecType::Galaxy,
        z: redshift_of(LAGS as f64 - 1.0),
        z_err: 0.1,
        probability: 1.0,
    };
    assert!(
        at_limit(&edge)
            && at_limit(&Solution {
                class: SpecType::Qso,
                z: 0.0,
                ..edge
            })
    );
    assert!(
        !at_limit(&Solution { z: 1.0, ..edge })
            && !at_limit(&Solution {
                class: SpecType::Star,
                z: 0.0,
                ..edge
            })
    );
    // The program sets the bit for such an answer, and not for another.
    let flagged = |z: f64| {
        let mut m = Measurement::default();
        let solutions = vec![Solution { z, ..edge }];
        after(
            &mut m,
            Some(Answer {
                solutions,
                ..Answer::default()
            }),
            0.5,
        );
        m.zwarn
    };
    assert_eq!(flagged(1.0) & zwarn::Z_FITLIMIT, 0);
    flagged(edge.z)
}

/// Bits of a spectrum that fits nothing.
fn zigzag(model: &Model) -> i64 {
    // What fits everything that is flat knows no zigzag.
    let mut flat = model.clone();
    flat.goodness.basis = [0, 1, 2].map(|_| vec![vec![1.0; SUPPORT]]);
    let fit = |i: i32| Fit {
        ln_chi2: 0.01 * f64::from(i % 17),
        ln_snr: 0.01 * f64::from(i % 700),
        good: 2000.0,
        width: 1.0,
        z: 0.0,
        noise_ratio: 1.0 + 0.01 * f64::from(i % 11),
    };
    flat.goodness.learn(
        &(0..9000)
            .map(|i| (SpecType::ALL[i as usize % 3], fit(i)))
            .collect::<Vec<_>>(),
    );
    let mut zigzag = spectrum(4000.0, 3000, 100.0);
    zigzag
        .flux
        .iter_mut()
        .enumerate()
        .for_each(|(i, f)| *f = 1.0 + 0.8 * (i as f32 * 0.05).sin() + [0.5, -0.5][i % 2]);
    let strange = &measure(
        &flat,
        &PredictOptions::default(),
        &[&zigzag],
        &mut Workspace::default(),
    )[0];
    assert!(
        strange.p_values.fit.unwrap() < 0.005 && strange.p_values.noise_ratio.unwrap() > 5.0,
        "{:?}",
        strange.p_values
    );
    strange.zwarn
}

/// Every bit can be set.
#[test]
fn every_bit_is_set_by_something() {
    let model = Model::new(
        NetworkRecipe {
            depth: 1,
            width: 16,
            taps: 3,
            patterns: [1, 1, 1],
        },
        1,
    );
    let mut w = Workspace::default();
    let short = spectrum(4000.0, 60, 100.0);
    let dead = spectrum(4000.0, 3000, 0.0);
    let mut s = spectrum(1000.0, 6000, 100.0); // far beyond the blue end
    s.ivar_estimated = true;
    // Untrained: every answer is improbable.
    let opts = PredictOptions::default();
    let together = measure(&model, &opts, &[&short, &dead, &s], &mut w);
    let mut all = together.iter().fold(0, |z, m| z | m.zwarn);
    assert!(
        together[1].answer.is_none() && together[2] == measure(&model, &opts, &[&s], &mut w)[0]
    );
    all |= limits();
    // A range that excludes the best solution.
    let z = together[2].best().unwrap().z;
    let elsewhere = if z < 2.0 {
        Prior::Range(3.0, 4.0)
    } else {
        Prior::Range(0.5, 1.0)
    };
    let decided = &measure(
        &model,
        &PredictOptions {
            prior: Some(elsewhere),
            ..opts
        },
        &[&s],
        &mut w,
    )[0];
    assert!(
        decided.best().unwrap().class == SpecType::Star
            || (decided.best().unwrap().z - z).abs() > 0.1
    );
    all |= decided.zwarn;
    // The same where the spectrum is sure of itself: the prior is not believed.
    let sure = |factor: f32| {
        let patterns = (0..model.net.patterns().len())
            .map(|i| (factor * i as f32).sin())
            .collect();
        let trunk = model.net.trunk().to_vec();
        Model {
            sharpness: 1e6,
            net: ShiftNet::from_weights(model.recipe.config(), trunk, patterns),
            ..model.clone()
        }
    };
    let unmoved = |model: &Model, prior| {
        let opts = PredictOptions {
            prior,
            ..PredictOptions::default()
        };
        measure(model, &opts, &[&s], &mut Workspace::default()).remove(0)
    };
    // A prior says nothing of stars: patterns of which another class is the best.
    let sure = [0.37, 0.41, 0.53, 0.29, 0.61]
        .map(sure)
        .into_iter()
        .find(|m| unmoved(m, None).best().unwrap().class != SpecType::Star)
        .unwrap();
    let unmoved = |prior| unmoved(&sure, prior);
    let free = unmoved(None);
    let z = free.best().unwrap().z;
    let kept = unmoved(Some(if z < 2.0 {
        Prior::Range(3.0, 4.0)
    } else {
        Prior::Range(0.5, 1.0)
    }));
    assert!(kept.answer == free.answer, "{:?}", free.best());
    all |= kept.zwarn;
    all |= zigzag(&model);
    // UNREADABLE is set by the pipeline for rows without a spectrum.
    for (bit, name, _) in zwarn::ALL.iter().filter(|b| b.0 != zwarn::UNREADABLE) {
        assert!(all & bit != 0, "{name} was never set");
    }
}

/// What is unfamiliar needs more than what is not; nothing is accepted below an even chance.
#[test]
fn the_unfamiliar_needs_more() {
    assert_eq!(least_probability(0.75, 0, 2.0), 0.75);
    assert_eq!(least_probability(0.1, zwarn::IVAR_ESTIMATED, 2.0), 0.5);
    assert_eq!(least_probability(0.8, zwarn::UNFAMILIAR, 2.0), 0.95);
    assert_eq!(least_probability(0.1, zwarn::Z_FITLIMIT, 2.0), 0.875);
    assert_eq!(least_probability(1.0, zwarn::UNFAMILIAR, 2.0), 1.0);
    // Lines without a continuum.
    assert_eq!(least_probability(0.8, 0, 0.1), 0.95);
}
