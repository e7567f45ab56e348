//! Rows do not depend on what was measured before them, beside them, or on which thread.

use slipher_data::spectrum::Spectrum;
use slipher_systems::redshift::measure::{Measurement, PredictOptions, Workspace, measure};
use slipher_systems::redshift::model::Model;
use slipher_systems::redshift::simulate::{SimulationRecipe, Simulator, Split};

/// A rippled spectrum from one wavelength to another, Å.
fn rippled(from: f64, to: f64) -> Spectrum {
    let wave: Vec<f64> = (0..600)
        .map(|i| from + (to - from) * f64::from(i) / 600.0)
        .collect();
    let flux: Vec<f32> = wave.iter().map(|w| 1.0 + (w * 0.05).sin() as f32).collect();
    Spectrum::new(wave, flux, vec![9.0; 600], &[]).unwrap()
}

#[test]
fn a_row_depends_on_its_spectrum_alone() {
    let instruments = ["any", "nirspec-prism", "euclid-red", "boss", "vimos"]
        .map(|i| (i.to_owned(), 1.0))
        .to_vec();
    let recipe = SimulationRecipe {
        instruments,
        blank_sky: 0.1,
        ..SimulationRecipe::default()
    };
    let simulator = Simulator::new(&recipe, 11).unwrap();
    let spectra: Vec<Spectrum> = (0..60)
        .map(|row| simulator.draw(Split::Test, row).spectrum)
        .collect();
    let model = Model::shipped().unwrap();
    let opts = PredictOptions {
        pz: true,
        ..PredictOptions::default()
    };
    let alone: Vec<Measurement> = spectra
        .iter()
        .map(|s| measure(&model, &opts, &[s], &mut Workspace::default()).remove(0))
        .collect();
    // Many windows between, for what is kept from call to call.
    let narrow: Vec<Spectrum> = (0..40)
        .map(|k| {
            rippled(
                3000.0 + 1000.0 * f64::from(k),
                3700.0 + 1300.0 * f64::from(k),
            )
        })
        .collect();
    measure(
        &model,
        &opts,
        &narrow.iter().collect::<Vec<_>>(),
        &mut Workspace::default(),
    );
    let mut w = Workspace::default();
    for order in [
        (0..60).collect::<Vec<usize>>(),
        (0..60).rev().collect(),
        (0..60).map(|i| i * 7 % 60).collect(),
    ] {
        let some: Vec<&Spectrum> = order.iter().map(|i| &spectra[*i]).collect();
        let together = measure(&model, &opts, &some, &mut w);
        measure(
            &model,
            &opts,
            &narrow.iter().rev().take(order[0] + 3).collect::<Vec<_>>(),
            &mut w,
        );
        for (i, m) in order.iter().zip(&together) {
            // As text: NaN is equal to NaN, and every digit counts.
            assert_eq!(
                format!("{:?}", m.answer),
                format!("{:?}", alone[*i].answer),
                "row {i}, {} pixels",
                spectra[*i].wave.len()
            );
            assert_eq!(format!("{m:?}"), format!("{:?}", alone[*i]), "row {i}");
        }
    }
}
