//! One run of the 800-class system, to try settings: prints the curves and the accuracy against
//! S/N.
//!
//! cargo run --release -p slipher-systems --example classes --
//! '{"network":"paper","depth":3,"dropout":0.5,"l2":0.0}' 40000 400000 1e-3 0.4,20

use slipher_nn::loss::Loss;
use slipher_nn::optimiser::Rule;
use slipher_systems::studies::stivaktakis2018::score::metrics;
use slipher_systems::studies::stivaktakis2018::simulate::{
    Noise, Pool, Sample, SedRecipe, Setting, Split,
};
use slipher_systems::studies::stivaktakis2018::train::{CurvePoint, Plan, Run, answers};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let a: Vec<String> = std::env::args().skip(1).collect();
    let usage = "NETWORK(JSON) EXAMPLES SHOWN RATE clean|S/N,S/N [BATCH] [nisp]";
    if a.len() < 5 {
        return Err(usage.into());
    }
    let seds = SedRecipe {
        count: 13_000,
        seed: 1,
        min_halpha: 10.0,
        templates: None,
    };
    let setting = if a.get(6).is_some_and(|s| s == "nisp") {
        Setting::Nisp
    } else {
        Setting::Published
    };
    let start = std::time::Instant::now();
    let pool = Pool::new(&seds, setting)?;
    eprintln!(
        "{} SEDs in {:.1} s",
        seds.count,
        start.elapsed().as_secs_f64()
    );
    let noise = match a[4].split_once(',') {
        Some((lo, hi)) => Noise::Between(lo.parse()?, hi.parse()?),
        None => Noise::Clean,
    };
    let plan = Plan {
        seds,
        setting,
        sample: Sample {
            split: Split::Train,
            noise,
            centres: false,
            seed: 1,
        },
        examples: a[1].parse()?,
        examples_seen: a[2].parse()?,
        batch: a.get(5).map_or(Ok(128), |s| s.parse())?,
        network: serde_json::from_str(&a[0])?,
        loss: Loss::CrossEntropy,
        optimiser: Rule::AdamW {
            beta1: 0.9,
            beta2: 0.99,
            eps: 1e-8,
        },
        learning_rate: a[3].parse()?,
        constant: false,
        seed: 1,
        curve_points: 8,
        curve_rows: 1000,
        added_noise: std::env::var("ADDED")
            .ok()
            .and_then(|v| v.parse().ok())
            .unwrap_or(0.0),
    };
    let mut run = Run::new(plan, &pool)?;
    let folder = std::env::temp_dir().join("slipher-classes");
    let plan = run.plan.clone();
    run.go(&folder, |p| {
        if let Some(v) = p.validation {
            let l = CurvePoint::of(v, &plan);
            let speed = l.shown as f64 / p.seconds;
            println!(
                "{:8} seen {:.0}/s: train {:.3} {:.3}, validation {:.3} {:.3}",
                l.shown, speed, l.train_loss, l.train_right, l.validation_loss, l.validation_right
            );
        }
        true
    })?;
    let calibration = run.calibrate(4000);
    println!("{calibration:.3?}");
    for snr in [0.5, 0.7, 1.0, 1.4, 2.0, 5.0, f64::INFINITY] {
        let noise = if snr.is_finite() {
            Noise::Fixed(snr)
        } else {
            Noise::Clean
        };
        for centres in [false, true] {
            let sample = Sample {
                split: Split::Test,
                noise,
                centres,
                seed: 77,
            };
            let (answers, truth) = answers(&*run.net, &pool, &sample, 2000, &calibration);
            let m = metrics(&truth, &answers);
            println!(
                "S/N {snr} centres {centres}: exact {} close {} nmad {:.1e} ece {:.3} {:.3}",
                m.exact, m.close, m.nmad, m.ece, m.ece_close
            );
        }
    }
    Ok(())
}
