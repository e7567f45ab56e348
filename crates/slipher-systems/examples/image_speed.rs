//! Times the published networks of the image systems and the shipped ones: seconds of a prediction of 64 rows and of one. Arguments:
//! threads, repetitions. Prints one JSON object a line, as `scripts/peers_images.py` does for PyTorch.
use std::time::Instant;

use slipher_nn::network::Network;
use slipher_nn::predictor::{Precision, Predictor};
use slipher_systems::images::System;
use slipher_systems::images::{by_name, study};
use slipher_systems::radio::Pair;

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
    let pair = Pair::by_name("radio-fri-frii").expect("a pair");
    let published: [(&str, Box<dyn System>); 4] = [
        ("Kim & Brunner", by_name("star-galaxy").expect("known")),
        ("Dieleman", by_name("morphology").expect("known")),
        ("AlexNet", Box::new(pair)),
        ("Deep-HiTS", by_name("transients").expect("known")),
    ];
    for (name, system) in &published {
        let net = system
            .published()
            .build(system.geometry(), system.outputs().len(), 1)
            .expect("the published sizes fit");
        report(name, &net, reps);
    }
    for name in slipher_systems::images::NAMES {
        let system = by_name(name).expect("known");
        let recipe = study::shipped(&*system, None).expect("a recipe of its own");
        let net = recipe
            .architecture(&*system)
            .build(system.geometry(), system.outputs().len(), 1)
            .expect("it fits");
        report(&format!("ours, {name}"), &net, reps);
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
