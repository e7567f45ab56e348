//! `slipher evaluate redshift`: a model on held-out simulations, beside the classical method on the
//! same rows.

use std::path::PathBuf;
use std::time::Instant;

use clap::Args as ClapArgs;
use miette::{IntoDiagnostic, Result};
use rayon::prelude::*;
use slipher_data::grid::resample;
use slipher_sim::sed::SpecType;
use slipher_stats::proportion::Tally;
use slipher_systems::redshift::encode::FINE;
use slipher_systems::redshift::measure::{PredictOptions, measure_all, zwarn};
use slipher_systems::redshift::model::Model;
use slipher_systems::redshift::outliers::OutlierKind;
use slipher_systems::redshift::score::success;
use slipher_systems::redshift::simulate::{Example, Fixed, SimulationRecipe, Simulator, Split};
use slipher_systems::redshift::template_fit::TemplateFit;
use slipher_systems::registry;

use slipher_stats::calibration::CalibrationSummary;

use super::target::{Target, systems_and_study};
use crate::{Outcome, progress};

#[derive(Clone, ClapArgs)]
pub struct Args {
    #[arg(value_parser = systems_and_study())]
    system: Target,
    /// Model file; default: the shipped one
    #[arg(short, long)]
    model: Option<PathBuf>,
    /// Spectra of each cell of the table (with --calibration or --euclid of each instrument), or
    /// images in all
    #[arg(short, default_value_t = 200, value_parser = clap::value_parser!(u64).range(1..))]
    n: u64,
    /// Instruments [default: sdss,boss,desi,vimos]
    #[arg(short, long, value_delimiter = ',')]
    instrument: Vec<String>,
    /// Median S/N per pixel [default: 2,5,10]
    #[arg(long, value_delimiter = ',', value_parser = positive)]
    snr: Vec<f64>,
    /// Only redshifts up to this (Redrock scans galaxies to 1.7)
    #[arg(long, value_parser = positive)]
    z_max: Option<f64>,
    /// Folders of SED templates, added to the built-in SEDs
    #[arg(short, long)]
    templates: Vec<PathBuf>,
    /// Also fit templates by χ² (slow), with principal components of the test set's own library as
    /// basis
    #[arg(long)]
    classical: bool,
    /// Instead: what the model claims of spectra unlike those that it learned from
    #[arg(long, alias = "strangers")]
    out_of_distribution: bool,
    /// Instead: calibration of probabilities and errors, and the purity thresholds
    #[arg(long, conflicts_with = "out_of_distribution")]
    calibration: bool,
    /// Instead: Euclid's requirement, completeness and purity at its line-flux limit
    #[arg(long, conflicts_with_all = ["out_of_distribution", "calibration"])]
    euclid: bool,
    /// Of image systems: folder or archive of labelled examples
    #[arg(long, value_name = "PATH")]
    labelled: Option<PathBuf>,
    /// Of image systems: folder for the page and the numbers
    #[arg(short, long)]
    output: Option<PathBuf>,
    #[arg(short, long, default_value_t = 1)]
    seed: u64,
}

/// A positive number.
fn positive(text: &str) -> Result<f64, String> {
    let v: f64 = text.parse().map_err(|_| "expected a number".to_owned())?;
    if v > 0.0 && v.is_finite() {
        Ok(v)
    } else {
        Err("expected a positive number".into())
    }
}

/// `slipher evaluate`.
pub fn run(a: &Args, quiet: bool) -> Result<Outcome> {
    // What only spectra have.
    let of_spectra = [
        ("--instrument", !a.instrument.is_empty()),
        ("--snr", !a.snr.is_empty()),
        ("--z-max", a.z_max.is_some()),
        ("--templates", !a.templates.is_empty()),
        ("--classical", a.classical),
        ("--out-of-distribution", a.out_of_distribution),
        ("--calibration", a.calibration),
        ("--euclid", a.euclid),
    ];
    let of_images = [
        ("--labelled", a.labelled.is_some()),
        ("--output", a.output.is_some()),
    ];
    if let Some(system) = a.system.shared() {
        a.system.refuse(&of_spectra)?;
        let model = registry::model(system, a.model.as_deref()).into_diagnostic()?;
        let folder = a.output.clone();
        let folder =
            folder.unwrap_or_else(|| PathBuf::from(format!("{}-evaluation", system.name())));
        let labelled = a.labelled.as_deref();
        return super::study::evaluate(system, model, a.n, a.seed, labelled, &folder, quiet);
    }
    a.system.refuse(&of_images)?;
    if let Target::Study = a.system {
        a.system.refuse(&of_spectra)?;
        a.system.refuse(&[("--seed", a.seed != 1)])?;
        return super::classes::evaluate(a.model.as_deref(), a.n);
    }
    let split = |text: &str| text.split(',').map(str::to_owned).collect::<Vec<_>>();
    let instruments = if a.instrument.is_empty() {
        split("sdss,boss,desi,vimos")
    } else {
        a.instrument.clone()
    };
    let snr = if a.snr.is_empty() {
        vec![2.0, 5.0, 10.0]
    } else {
        a.snr.clone()
    };
    spectra(
        &Args {
            instrument: instruments,
            snr,
            ..a.clone()
        },
        quiet,
    )
}

/// Redshifts.
fn spectra(a: &Args, quiet: bool) -> Result<Outcome> {
    let model = super::model(a.model.as_deref())?;
    let recipe = SimulationRecipe {
        instruments: a.instrument.iter().map(|i| (i.clone(), 1.0)).collect(),
        templates: a.templates.clone(),
        ..SimulationRecipe::default()
    };
    let simulator = Simulator::new(&recipe, a.seed).into_diagnostic()?;
    if a.out_of_distribution {
        return Ok(out_of_distribution(a, &model, &simulator));
    }
    if a.euclid {
        return super::euclid::run(&model, &simulator, a.n);
    }
    if a.calibration {
        return Ok(calibration(a, &model, &simulator));
    }
    let fit = a
        .classical
        .then(|| TemplateFit::new(simulator.library(Split::Test), a.seed));
    println!(
        "Held-out SEDs, right class and |Δz|/(1+z) < 0.0033 (GALAXY), < 0.01 (QSO), |Δv| < 1000 km/s (STAR)\n"
    );
    println!(
        "| instrument | class | S/N per pixel | network | template χ², components of the test set's own library |\n| --- | --- | --- | --- | --- |"
    );
    let bar = progress::bar(
        (a.instrument.len() * 3 * a.snr.len()) as u64,
        "cells",
        quiet,
    );
    let (mut fast, mut slow, mut rows) = (0.0, 0.0, 0u64);
    for (i, name) in a.instrument.iter().enumerate() {
        for class in SpecType::ALL {
            for snr in &a.snr {
                let fixed = Fixed {
                    instrument: Some(i),
                    class: Some(class),
                    snr: Some(*snr),
                    z_max: a.z_max,
                };
                let cell = measure_cell(&model, &simulator, fit.as_ref(), fixed, a.n);
                (fast, slow, rows) = (fast + cell.seconds.0, slow + cell.seconds.1, rows + a.n);
                let theirs = cell
                    .classical
                    .map_or("not run (--classical)".into(), |t| t.to_string());
                let ours = cell.network;
                bar.suspend(|| {
                    println!("| {name} | {} | {snr} | {ours} | {theirs} |", class.name())
                });
                bar.inc(1);
            }
        }
    }
    bar.finish_and_clear();
    let cores = rayon::current_num_threads() as f64;
    let ms = |s: f64| 1e3 * s * cores / rows as f64;
    println!(
        "\nTime per spectrum and core: network {:.2} ms{}",
        ms(fast),
        if fit.is_some() {
            format!(", template χ² by FFT {:.1} ms", ms(slow))
        } else {
            String::new()
        }
    );
    if let Some(f) = &fit {
        let e = simulator.draw(Split::Test, 0);
        let r = resample(&e.spectrum, &FINE, 2);
        let start = Instant::now();
        std::hint::black_box(f.fit_direct(&r));
        println!(
            "Template χ² scanned one redshift after another, as Redrock does: {:.0} ms",
            1e3 * start.elapsed().as_secs_f64()
        );
    }
    Ok(Outcome::Good)
}

/// Correct answers of both methods on the same rows, and their times.
struct MeasuredCell {
    network: Tally,
    classical: Option<Tally>,
    seconds: (f64, f64),
}

fn measure_cell(
    model: &Model,
    simulator: &Simulator,
    fit: Option<&TemplateFit>,
    fixed: Fixed,
    n: u64,
) -> MeasuredCell {
    let examples: Vec<_> = (0..n)
        .into_par_iter()
        .map(|r| simulator.draw_fixed(Split::Test, r, fixed))
        .collect();
    let start = Instant::now();
    let options = PredictOptions {
        lines: false,
        ..PredictOptions::default()
    };
    let spectra: Vec<_> = examples.iter().map(|e| &e.spectrum).collect();
    let answers = measure_all(model, &options, &spectra);
    let fast = start.elapsed().as_secs_f64();
    let start = Instant::now();
    let best: Option<Vec<_>> = fit.map(|f| {
        let one = |e: &Example| f.fit(&resample(&e.spectrum, &FINE, 2));
        examples.par_iter().map(one).collect()
    });
    let slow = start.elapsed().as_secs_f64();
    let mut network = Tally::default();
    let mut classical = best.as_ref().map(|_| Tally::default());
    for (k, e) in examples.iter().enumerate() {
        let Some(truth) = e.truth else { continue };
        let own = answers[k].best();
        network.add(own.is_some_and(|b| success(truth, b.class, b.z)));
        if let (Some(t), Some(b)) = (&mut classical, &best) {
            t.add(b[k].is_some_and(|b| success(truth, b.class, b.z)));
        }
    }
    MeasuredCell {
        network,
        classical,
        seconds: (fast, slow),
    }
}

/// Redshifts claimed (p_correct ≥ 0.9) of each out-of-distribution set, right and wrong.
fn out_of_distribution(a: &Args, model: &Model, simulator: &Simulator) -> Outcome {
    println!(
        "Instruments {}, {} spectra a cell; claimed: p_correct ≥ 0.9\n",
        a.instrument.join(", "),
        a.n
    );
    println!(
        "| spectra | S/N per pixel | claimed and wrong | the same, not flagged UNFAMILIAR | claimed and right | UNFAMILIAR | flagged at all |\n| --- | --- | --- | --- | --- | --- | --- |"
    );
    for kind in OutlierKind::ALL {
        // Blank sky and noise have no S/N.
        let ladder = if matches!(kind, OutlierKind::BlankSky | OutlierKind::Noise) {
            &a.snr[..1]
        } else {
            &a.snr[..]
        };
        for snr in ladder {
            let drawn: Vec<_> = (0..a.n)
                .into_par_iter()
                .map(|r| kind.draw(simulator, r, *snr))
                .collect();
            let answers = measure_all(
                model,
                &PredictOptions {
                    lines: false,
                    ..PredictOptions::default()
                },
                &drawn.iter().map(|d| &d.spectrum).collect::<Vec<_>>(),
            );
            let [
                mut wrong,
                mut wrong_unseen,
                mut right,
                mut unfamiliar,
                mut flagged,
            ] = [Tally::default(); 5];
            for (d, m) in drawn.iter().zip(&answers) {
                let claimed = m.best().filter(|b| b.probability >= 0.9);
                let good =
                    claimed.is_some_and(|b| d.truths.iter().any(|t| success(*t, b.class, b.z)));
                wrong.add(claimed.is_some() && !good);
                right.add(good);
                flagged.add(m.zwarn & !zwarn::LOW_PROBABILITY != 0);
                unfamiliar.add(m.zwarn & zwarn::UNFAMILIAR != 0);
                wrong_unseen.add(claimed.is_some() && !good && m.zwarn & zwarn::UNFAMILIAR == 0);
            }
            println!(
                "| {} | {snr} | {wrong} | {wrong_unseen} | {right} | {unfamiliar} | {flagged} |",
                kind.title()
            );
        }
    }
    Outcome::Good
}

/// A held-out simulated spectrum and what was answered.
struct EvaluatedRow {
    instrument: usize,
    class: SpecType,
    snr: f64,
    p: f64,
    right: bool,
    /// (z − truth) / z_err.
    pull: f64,
}

/// Reliability of p_correct and of z_err on `n` held-out spectra of each instrument, S/N as in
/// training.
fn calibration(a: &Args, model: &Model, simulator: &Simulator) -> Outcome {
    let mut rows = Vec::new();
    for instrument in 0..a.instrument.len() {
        let fixed = Fixed {
            instrument: Some(instrument),
            z_max: a.z_max,
            ..Fixed::default()
        };
        let drawn: Vec<_> = (0..a.n)
            .into_par_iter()
            .map(|r| simulator.draw_fixed(Split::Test, r, fixed))
            .collect();
        let answers = measure_all(
            model,
            &PredictOptions {
                lines: false,
                ..PredictOptions::default()
            },
            &drawn.iter().map(|d| &d.spectrum).collect::<Vec<_>>(),
        );
        rows.extend(drawn.iter().zip(&answers).filter_map(|(d, m)| {
            let (truth, b) = (d.truth?, m.best()?);
            let pull = (b.z - truth.1) / b.z_err;
            Some(EvaluatedRow {
                instrument,
                class: b.class,
                snr: f64::from(m.snr_median),
                p: b.probability,
                right: success(truth, b.class, b.z),
                pull,
            })
        }));
    }
    println!(
        "Held-out SEDs, S/N as in training, {} spectra of each instrument\n",
        a.n
    );
    println!(
        "| rows | n | right | mean p_correct | calibration error | width and median of the pulls of z where p_correct > 0.99 (n, beyond 5) |"
    );
    println!("| --- | --- | --- | --- | --- | --- |");
    let line = |name: &str, some: &dyn Fn(&EvaluatedRow) -> bool| {
        let own: Vec<(f64, bool, f64)> = rows
            .iter()
            .filter(|r| some(r))
            .map(|r| (r.p, r.right, r.pull))
            .collect();
        let Some(CalibrationSummary {
            correct,
            mean_probability,
            error,
            pulls,
            n_confident,
        }) = CalibrationSummary::of(&own)
        else {
            return;
        };
        println!(
            "| {name} | {} | {correct} | {:.1} % | {:.2} % | {:.2}, {:+.2} ({n_confident}, {:.2} %) |",
            correct.n,
            100.0 * mean_probability,
            100.0 * error,
            pulls.width,
            pulls.median,
            100.0 * pulls.far
        );
    };
    line("all", &|_| true);
    for (i, name) in a.instrument.iter().enumerate() {
        line(name, &|r| r.instrument == i);
    }
    for class in SpecType::ALL {
        line(&format!("answered {}", class.name()), &|r| r.class == class);
    }
    for (lo, hi) in [
        (0.0, 1.0),
        (1.0, 2.0),
        (2.0, 4.0),
        (4.0, 8.0),
        (8.0, f64::INFINITY),
    ] {
        line(&format!("median S/N {lo} to {hi}"), &|r| {
            (lo..hi).contains(&r.snr)
        });
    }
    println!(
        "\n| purity thresholds: purity asked for | accepts p_correct from | purity of these rows | completeness: accepted, of the right |\n| --- | --- | --- | --- |"
    );
    for (purity, threshold) in &model.thresholds.0 {
        let (mut pure, mut complete) = (Tally::default(), Tally::default());
        rows.iter()
            .filter(|r| r.p >= *threshold)
            .for_each(|r| pure.add(r.right));
        rows.iter()
            .filter(|r| r.right)
            .for_each(|r| complete.add(r.p >= *threshold));
        println!("| {purity} | {threshold:.4} | {pure} | {complete} |");
    }
    Outcome::Good
}
