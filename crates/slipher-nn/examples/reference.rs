//! Times the two reference networks of docs/BENCHMARKS.md: seconds of a training step, of a batch
//! of 128 and of one example. Arguments: threads, repetitions. Prints one JSON object a line.
use std::time::Instant;

use slipher_nn::loss::cross_entropy;
use slipher_nn::maps::Shape;
use slipher_nn::network::{Layer, Network, Tape};
use slipher_nn::optimiser::{Optimiser, Rule};
use slipher_nn::predictor::{Precision, Predictor};

/// W1: three convolutions of 16 filters of size 8 and a dense layer of 800 classes.
fn w1() -> Network {
    let conv = Layer::conv(16, (1, 8), false, 0.0);
    Network::new(
        Shape::line(1, 1800),
        &[
            conv,
            conv,
            conv,
            Layer::Dense {
                units: 800,
                slope: 1.0,
            },
        ],
        1,
    )
    .expect("it fits")
}

/// W2: the star/galaxy network of Kim & Brunner (2017), table 1.
fn w2() -> Network {
    let conv = |filters, k, same| Layer::conv(filters, (k, k), same, 0.01);
    let pool = Layer::MaxPool {
        size: 2,
        stride: 2,
        same: false,
    };
    let mut layers = vec![conv(32, 5, false), conv(32, 3, true), pool];
    layers.extend([
        conv(64, 3, true),
        conv(64, 3, true),
        conv(64, 3, true),
        pool,
    ]);
    layers.extend([
        conv(128, 3, true),
        conv(128, 3, true),
        conv(128, 3, true),
        pool,
    ]);
    layers.extend([
        Layer::Dense {
            units: 2048,
            slope: 0.01,
        },
        Layer::Dense {
            units: 2048,
            slope: 0.01,
        },
        Layer::Dense {
            units: 2,
            slope: 1.0,
        },
    ]);
    Network::new(Shape::new(5, 44, 44), &layers, 1).expect("it fits")
}

/// Seconds of each of `reps` runs after one to warm up.
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

fn show(what: &str, name: &str, seconds: &[f64]) {
    println!("{{\"what\":\"{what}\",\"network\":\"{name}\",\"seconds\":{seconds:?}}}");
}

fn main() {
    let args: Vec<usize> = std::env::args()
        .skip(1)
        .filter_map(|a| a.parse().ok())
        .collect();
    let (threads, reps) = (
        args.first().copied().unwrap_or(2),
        args.get(1).copied().unwrap_or(5),
    );
    rayon::ThreadPoolBuilder::new()
        .num_threads(threads)
        .build_global()
        .expect("set once");
    for (name, mut net) in [("W1", w1()), ("W2", w2())] {
        let n = net.input.len();
        let x: Vec<f32> = (0..128 * n).map(|i| (0.618 * i as f32).fract()).collect();
        let labels: Vec<usize> = (0..128).map(|i| i % net.outputs()).collect();
        eprintln!(
            "{name}: {:.1} MFLOP forward, {} weights",
            net.flop() as f64 * 1e-6,
            net.weights.len()
        );
        for (what, precision) in [
            ("infer f32", Precision::F32),
            ("infer bf16", Precision::Bf16),
        ] {
            let p = Predictor::new(&net, precision);
            show(
                &format!("{what} 128"),
                name,
                &times(2 * reps, || assert!(p.predict(&x)[0].is_finite())),
            );
            show(
                &format!("{what} 1"),
                name,
                &times(10 * reps, || assert!(p.predict(&x[..n])[0].is_finite())),
            );
        }
        let (mut tape, mut grad) = (Tape::default(), vec![]);
        let mut adam = Optimiser::new(Rule::adam(), 0.0, net.weights.len());
        let mut t = 0;
        let seconds = times(reps, || {
            t += 1;
            let mut d = net.forward(&x, &mut tape, Some(t)).to_vec();
            let classes = net.outputs();
            let (loss, _) = cross_entropy(&mut d, classes, &labels);
            assert!(loss.is_finite());
            net.backward(&mut tape, &d, &mut grad);
            adam.step(1e-4, t, &mut net.weights, &grad);
        });
        show("train", name, &seconds);
    }
}
