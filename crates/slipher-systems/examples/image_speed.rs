//! Times the published networks of the image systems and the shipped ones: seconds of a prediction
//! of 64 rows and of one. Arguments: threads, repetitions. Prints one JSON object a line, as
//! `scripts/peers_images.py` does for PyTorch.
use std::time::Instant;

use slipher_nn::network::Network;
use slipher_nn::predictor::{Precision, Predictor};
use slipher_systems::{registry, study};

fn times(reps: usize, mut f: impl FnMut()) -> Vec<f64> {
    f();
    (0..reps)
        .map(|_| {
            let t = Instant::now();
            f();
            t.elapsed().as_secs_f64()
        })
        .collect()
}

fn main() {
    let args: Vec<usize> = std::env::args()
        .skip(1)
        .filter_map(|a| a.parse().ok())
        .collect();
    let (threads, reps) = (
        args.first().copied().unwrap_or(2),
        args.get(1).copied().unwrap_or(3),
    );
    rayon::ThreadPoolBuilder::new()
        .num_threads(threads)
        .build_global()
        .expect("set once");
    let published = [
        ("Kim & Brunner", "star-galaxy"),
        ("Dieleman", "morphology"),
        ("AlexNet", "radio-fri-frii"),
        ("Deep-HiTS", "transients"),
    ];
    for (name, system) in published {
        let system = registry::shared(system).expect("known");
        let net = system
            .published()
            .build(system.geometry(), system.head().units(), 1)
            .expect("the published sizes fit");
        report(name, &net, reps);
    }
    for system in registry::all_shared() {
        let recipe = study::shipped(system, None).expect("a recipe of its own");
        let net = recipe.learner(system).expect("it fits").net;
        report(&format!("ours, {}", system.name()), &net, reps);
    }
}

fn report(name: &str, net: &Network, reps: usize) {
    let n = net.input.len() * net.views();
    let x: Vec<f32> = (0..64 * n).map(|i| (0.618 * i as f32).fract()).collect();
    eprintln!(
        "{name}: {:.1} MFLOP, {} weights",
        net.flop() as f64 * 1e-6,
        net.parameters()
    );
    for (what, precision) in [("f32", Precision::F32), ("bf16", Precision::Bf16)] {
        let p = Predictor::new(net, precision);
        for (rows, more) in [(64, 1), (1, 10)] {
            let seconds = times(more * reps, || {
                assert!(p.predict(&x[..rows * n])[0].is_finite())
            });
            println!(
                "{{\"what\":\"{what} {rows}\",\"network\":\"{name}\",\"seconds\":{seconds:?}}}"
            );
        }
    }
}
