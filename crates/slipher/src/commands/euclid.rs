//! `slipher evaluate redshift --euclid`: Euclid's two requirement numbers.

use std::collections::HashMap;

use miette::{IntoDiagnostic, Result};
use rayon::prelude::*;
use slipher_sim::instrument::Instrument;
use slipher_sim::random::Stream;
use slipher_stats::proportion::Tally;
use slipher_systems::redshift::euclid::{REDSHIFTS, TOLERANCE, draw};
use slipher_systems::redshift::measure::{PredictOptions, measure_all};
use slipher_systems::redshift::model::Model;
use slipher_systems::redshift::prior::{Prior, Shape};
use slipher_systems::redshift::simulate::{Simulator, Split};

use crate::Outcome;

/// Redshifts count as measured from these probabilities.
const ACCEPT: [f64; 4] = [0.1, 0.15, 0.2, 0.5];
/// Scatter of a photometric redshift, × (1+z): what Euclid asks of its own.
const PHOTO_Z: f64 = 0.05;

pub fn run(model: &Model, simulator: &Simulator, n: u64) -> Result<Outcome> {
    let instrument = Instrument::load("euclid-red").into_diagnostic()?;
    println!(
        "NISP red grism, Hα at 0.9 < z < 1.8 of S/N 3.5 at 1.6 µm and 2e-16 erg/s/cm², held-out SEDs, n = {n} each"
    );
    println!("Required: measured > 45 % (goal 65 %), of these right within 0.001 (1+z) > 80 %\n");
    println!(
        "| flux | prior | p_correct from | measured | right, of the measured | p_correct says |\n| --- | --- | --- | --- | --- | --- |"
    );
    for (above, flux) in [(false, "at the limit"), (true, "from the limit up")] {
        let drawn: Vec<_> = (0..n)
            .into_par_iter()
            .map(|row| {
                draw(
                    simulator.library(Split::Test),
                    &instrument,
                    simulator.seed(),
                    row,
                    above,
                )
            })
            .collect();
        let spectra: Vec<_> = drawn.iter().map(|d| &d.0).collect();
        for (prior, name) in [
            (None, "none"),
            (Some(Prior::Range(REDSHIFTS.0, REDSHIFTS.1)), "0.9..1.8"),
            (
                Some(photometric(simulator.seed(), &drawn)),
                "photo-z, 0.05 (1+z)",
            ),
        ] {
            let answers = measure_all(
                model,
                &PredictOptions {
                    lines: false,
                    prior,
                    ..PredictOptions::default()
                },
                &spectra,
            );
            for accept in ACCEPT {
                let (mut measured, mut right, mut said) = (Tally::default(), Tally::default(), 0.0);
                for ((_, z), m) in drawn.iter().zip(&answers) {
                    let best = m.best().filter(|b| b.probability >= accept);
                    measured.add(best.is_some());
                    if let Some(b) = best {
                        right.add((b.z - z).abs() < TOLERANCE * (1.0 + z));
                        said += b.probability;
                    }
                }
                let said = 100.0 * said / measured.right.max(1) as f64;
                println!("| {flux} | {name} | {accept} | {measured} | {right} | {said:.1} % |");
            }
        }
    }
    Ok(Outcome::Good)
}

/// A photometric redshift for each galaxy, off by as much as its error says.
fn photometric(seed: u64, drawn: &[(slipher_data::spectrum::Spectrum, f64)]) -> Prior {
    let one = |(row, (s, z)): (usize, &(slipher_data::spectrum::Spectrum, f64))| {
        let sigma = PHOTO_Z * (1.0 + z);
        (
            s.object_id.clone(),
            (
                Stream::new(seed, 0xF070, row as u64).normal(*z, sigma),
                sigma,
                Shape::Gaussian,
            ),
        )
    };
    Prior::Objects(drawn.iter().enumerate().map(one).collect::<HashMap<_, _>>())
}
