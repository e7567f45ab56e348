//! Against PyTorch, and what does not fit.

use super::*;
use crate::loss::cross_entropy;

fn small() -> Network {
    let layers = [
        Layer::conv(16, (3, 3), false, 0.1),
        Layer::conv(32, (3, 3), true, 0.1),
        Layer::MaxPool {
            size: 2,
            stride: 2,
            same: false,
        },
        Layer::conv(16, (2, 3), true, 0.1),
        Layer::Dense {
            units: 20,
            slope: 0.1,
        },
        Layer::Dropout { rate: 0.5 },
        Layer::Dense {
            units: 3,
            slope: 1.0,
        },
    ];
    Network::new(Shape::new(5, 9, 11), &layers, 1).unwrap()
}

fn wave(n: usize, k: f64) -> Vec<f32> {
    (0..n).map(|i| (0.37 * i as f64 + k).sin() as f32).collect()
}

/// Golden values of the same network in PyTorch, written by scripts/golden.py.
#[test]
fn agrees_with_pytorch() {
    let mut net = small();
    let values: Vec<Vec<f32>> = net
        .tensors()
        .iter()
        .enumerate()
        .map(|(i, t)| {
            wave(t.values.len(), i as f64)
                .iter()
                .map(|v| 0.2 * v)
                .collect()
        })
        .collect();
    net.set_tensors(&values).unwrap();
    assert_eq!(
        net.tensors()
            .iter()
            .map(|t| t.values.clone())
            .collect::<Vec<_>>(),
        values
    );
    let mut tape = Tape::default();
    let mut d = net
        .forward(&wave(2 * 5 * 9 * 11, 0.5), &mut tape, None)
        .to_vec();
    for (a, e) in d.iter().zip(LOGITS) {
        assert!((a - e).abs() < 1e-3, "{d:?}");
    }
    let (loss, _) = cross_entropy(&mut d, 3, &[2, 0]);
    assert!((loss - LOSS).abs() < 1e-3, "{loss}");
    let mut grad = vec![];
    net.backward(&mut tape, &d, &mut grad);
    net.weights = grad;
    for (t, (sum, tenth)) in net.tensors().iter().zip(GRADS) {
        let s: f32 = t.values.iter().sum();
        assert!(
            (s - sum).abs() < 2e-3 * (1.0 + sum.abs())
                && (t.values[2] - tenth).abs() < 1e-3 * (1.0 + tenth.abs()),
            "{} {s} {} for {sum} {tenth}",
            t.name,
            t.values[2]
        );
    }
}
const LOGITS: [f32; 6] = [0.3033, -0.0869, -0.3687, 0.3443, -0.0863, -0.4092];
const LOSS: f64 = 1.10331;
const GRADS: [(f32, f32); 10] = [
    (-0.02245, -0.05920),
    (-0.05404, -0.17207),
    (-5.06736, 0.02538),
    (-0.33625, 0.01322),
    (-0.27947, 0.00006),
    (-0.03195, -0.02747),
    (1.00441, -0.00015),
    (0.08056, 0.02414),
    (-0.00000, -0.01374),
    (-0.00000, -0.27230),
];

/// The published network in little, with batch normalisation. Golden values of PyTorch by
/// scripts/golden.py.
#[test]
fn batch_norm_agrees_with_pytorch() {
    let conv = Layer::conv(16, (1, 8), true, 0.0);
    let pool = Layer::MaxPool {
        size: 3,
        stride: 2,
        same: false,
    };
    let bn = Layer::BatchNorm {
        momentum: 0.9,
        eps: 1e-3,
    };
    let layers = [
        conv,
        pool,
        bn,
        conv,
        bn,
        Layer::Dense {
            units: 20,
            slope: 1.0,
        },
        Layer::Dense {
            units: 3,
            slope: 1.0,
        },
    ];
    let mut net = Network::new(Shape::line(1, 41), &layers, 1).unwrap();
    let values: Vec<Vec<f32>> = net
        .tensors()
        .iter()
        .enumerate()
        .map(|(i, t)| {
            wave(t.values.len(), i as f64)
                .iter()
                .map(|v| 0.3 * v + 0.1)
                .collect()
        })
        .collect();
    net.set_tensors(&values).unwrap();
    let x = wave(3 * 41, 0.5);
    let mut tape = Tape::default();
    let mut d = net.forward(&x, &mut tape, Some(1)).to_vec();
    net.update_running(&tape);
    let (loss, _) = cross_entropy(&mut d, 3, &[2, 0, 1]);
    assert!((loss - BN_LOSS).abs() < 1e-3, "{loss}");
    let mut grad = vec![];
    net.backward(&mut tape, &d, &mut grad);
    let eval = net.forward(&x, &mut tape, None).to_vec();
    assert!(
        eval.iter()
            .zip(BN_EVAL)
            .all(|(a, b)| (a - b).abs() < 2e-3 * (1.0 + b.abs())),
        "{eval:?}"
    );
    net.weights = grad;
    for (t, (sum, third)) in net.tensors().iter().zip(BN_GRADS) {
        let s: f32 = t.values.iter().map(|v| v.abs()).sum();
        assert!(
            (s - sum).abs() < 3e-3 * (1.0 + sum.abs())
                && (t.values[2] - third).abs() < 2e-3 * (1.0 + third.abs()),
            "{} {s} {} for {sum} {third}",
            t.name,
            t.values[2]
        );
    }
}
const BN_LOSS: f64 = 1.43859;
const BN_EVAL: [f32; 9] = [
    13.0018, 11.6000, 19.1136, 12.7673, 11.3580, 18.7029, 12.8928, 11.4865, 18.9217,
];
const BN_GRADS: [(f32, f32); 12] = [
    (0.37715, 0.00253),
    (0.03434, 0.00139),
    (0.48375, -0.04599),
    (0.07428, -0.00344),
    (2.87937, -0.00005),
    (0.05058, 0.00562),
    (0.79568, 0.03544),
    (8.85072, 0.50807),
    (165.45697, 0.01661),
    (1.70689, 0.12238),
    (43.29367, -0.32946),
    (0.71475, 0.35737),
];

#[test]
fn dropout_drops_and_is_reproducible() {
    let net = small();
    let x = wave(3 * 5 * 9 * 11, 0.1);
    let run = |seed| net.forward(&x, &mut Tape::default(), seed).to_vec();
    assert_eq!(run(Some(7)), run(Some(7)));
    assert_ne!(run(Some(7)), run(Some(8)));
    assert_ne!(run(Some(7)), run(None));
}

#[test]
fn what_does_not_fit_is_named() {
    let e = Network::new(
        Shape::new(3, 8, 8),
        &[
            Layer::Dense {
                units: 4,
                slope: 1.0,
            },
            Layer::MaxPool {
                size: 2,
                stride: 2,
                same: false,
            },
        ],
        1,
    )
    .unwrap_err();
    assert!(e.to_string().contains("layer 1"), "{e}");
    assert!(
        Network::new(
            Shape::new(3, 8, 8),
            &[Layer::conv(16, (9, 9), false, 0.0)],
            1
        )
        .is_err()
    );
}

/// Golden values of PyTorch by scripts/golden.py. Grouped filters hold the zeros between groups,
/// which PyTorch leaves out.
#[test]
fn views_agree_with_pytorch() {
    let layers = [
        Layer::SpaceToDepth { size: 2 },
        Layer::conv(32, (3, 3), false, 0.1),
        Layer::Response {
            size: 5,
            alpha: 0.5,
            beta: 0.75,
        },
        Layer::Conv {
            filters: 16,
            kernel: (3, 3),
            same: true,
            slope: 0.1,
            groups: 2,
        },
        Layer::GlobalMean,
        Layer::Join {
            views: 4,
            mean: false,
        },
        Layer::Dense {
            units: 12,
            slope: 1.0,
        },
        Layer::Maxout { pieces: 2 },
        Layer::Dense {
            units: 3,
            slope: 1.0,
        },
    ];
    let mut net = Network::new(Shape::new(1, 16, 16), &layers, 1).unwrap();
    // Filter o of group o / 8 sees channels 16 · (o / 8) and on.
    let grouped = |v: &[f32]| -> Vec<f32> {
        let at = |o: usize, c: usize, k: usize| {
            if c / 16 == o / 8 {
                v[(o * 16 + c % 16) * 9 + k]
            } else {
                0.0
            }
        };
        (0..16 * 32 * 9)
            .map(|i| at(i / 288, i / 9 % 32, i % 9))
            .collect()
    };
    let values: Vec<Vec<f32>> = net
        .tensors()
        .iter()
        .enumerate()
        .map(|(i, t)| {
            let n = if i == 2 {
                t.values.len() / 2
            } else {
                t.values.len()
            };
            let v: Vec<f32> = wave(n, i as f64).iter().map(|v| 0.5 * v + 0.05).collect();
            if i == 2 { grouped(&v) } else { v }
        })
        .collect();
    net.set_tensors(&values).unwrap();
    let x = wave(8 * 256, 0.5);
    let mut tape = Tape::default();
    let mut d = net.forward(&x, &mut tape, None).to_vec();
    assert!(
        d.iter()
            .zip(VIEWS_LOGITS)
            .all(|(a, b)| (a - b).abs() < 2e-3),
        "{d:?}"
    );
    for precision in [
        crate::predictor::Precision::F32,
        crate::predictor::Precision::Bf16,
    ] {
        let p = crate::predictor::Predictor::new(&net, precision).predict(&x);
        assert!(
            p.iter().zip(VIEWS_LOGITS).all(|(a, b)| (a - b).abs() < 0.3),
            "{p:?}"
        );
    }
    cross_entropy(&mut d, 3, &[2, 0]);
    let mut grad = vec![];
    net.backward(&mut tape, &d, &mut grad);
    net.weights = grad;
    for (t, (sum, third)) in net.tensors().iter().zip(VIEWS_GRADS) {
        let s: f32 = t.values.iter().map(|v| v.abs()).sum();
        assert!(
            (s - sum).abs() < 3e-3 * (1.0 + sum),
            "{} {s} for {sum}",
            t.name
        );
        assert!(
            (t.values[2] - third).abs() < 2e-3 * (1.0 + third.abs()),
            "{} {} for {third}",
            t.name,
            t.values[2]
        );
    }
}
const VIEWS_LOGITS: [f32; 6] = [12.58052, 10.38975, -15.92065, 10.66151, 8.87736, -13.34226];
const VIEWS_GRADS: [(f32, f32); 8] = [
    (167.88885, 0.07616),
    (14.35412, -0.03621),
    (387.14532, -0.17472),
    (9.54385, -0.43774),
    (226.91052, 0.44003),
    (1.76802, 0.00000),
    (47.99681, 4.79910),
    (1.00000, -0.50000),
];

/// Zeros around an image are what a convolution with borders sees.
#[test]
fn padding_is_a_border() {
    let tail = [
        Layer::GlobalMean,
        Layer::Dense {
            units: 2,
            slope: 1.0,
        },
    ];
    let padded = [
        vec![
            Layer::Pad { border: 1 },
            Layer::conv(16, (3, 3), false, 0.1),
        ],
        tail.to_vec(),
    ]
    .concat();
    let same = [vec![Layer::conv(16, (3, 3), true, 0.1)], tail.to_vec()].concat();
    let x = wave(2 * 3 * 49, 0.2);
    let run = |layers: &[Layer]| {
        let net = Network::new(Shape::new(3, 7, 7), layers, 5).unwrap();
        let (mut tape, mut grad) = (Tape::default(), vec![]);
        let y = net.forward(&x, &mut tape, None).to_vec();
        net.backward(&mut tape, &y, &mut grad);
        (
            crate::predictor::Predictor::new(&net, crate::predictor::Precision::F32).predict(&x),
            y,
            grad,
        )
    };
    assert_eq!(run(&padded), run(&same));
}

/// After steps of training on images that prefer a direction, nothing that comes out changes when
/// the image turns.
#[test]
fn tied_weights_make_answers_that_do_not_turn() {
    for symmetry in [Symmetry::P4, Symmetry::P4m] {
        let bn = Layer::BatchNorm {
            momentum: 0.5,
            eps: 1e-3,
        };
        let layers = [
            Layer::conv(16, (3, 3), true, 0.1),
            bn,
            Layer::MaxPool {
                size: 2,
                stride: 2,
                same: false,
            },
            Layer::conv(32, (5, 5), false, 0.1),
            bn,
            Layer::GlobalMean,
            Layer::Join {
                views: 2,
                mean: true,
            },
            Layer::Dense {
                units: 8,
                slope: 0.1,
            },
            Layer::Dense {
                units: 3,
                slope: 1.0,
            },
        ];
        let mut net = Network::new(Shape::new(2, 12, 12), &layers, 3).unwrap();
        let free = net.parameters();
        net.tie(symmetry).unwrap();
        assert!(
            net.parameters() * symmetry.order() < free + 8 * free / 7,
            "{} of {free}",
            net.parameters()
        );
        let x = wave(12 * 2 * 144, 0.3);
        let (mut tape, mut grad) = (Tape::default(), vec![]);
        let mut o = crate::optimiser::Optimiser::new(
            crate::optimiser::Rule::adam(),
            0.0,
            net.weights.len(),
        );
        for t in 1..5 {
            let mut d = net.forward(&x, &mut tape, Some(t)).to_vec();
            cross_entropy(&mut d, 3, &[0, 1, 2, 0, 1, 2]);
            net.backward(&mut tape, &d, &mut grad);
            o.step(0.01, t, &mut net.weights, &grad);
            net.update_running(&tape);
        }
        let p = crate::predictor::Predictor::new(&net, crate::predictor::Precision::F32);
        let base = p.predict(&x);
        assert!(
            base.chunks(3).any(|r| (r[0] - r[1]).abs() > 1e-3),
            "it learned something"
        );
        for g in 1..8 {
            let turned: Vec<f32> = x
                .chunks(288)
                .flat_map(|e| crate::augment::turned(e, 12, g))
                .collect();
            let worst = p
                .predict(&turned)
                .iter()
                .zip(&base)
                .map(|(a, b)| (a - b).abs())
                .fold(0.0, f32::max);
            assert_eq!(worst < 1e-4, g < symmetry.order(), "element {g}: {worst}");
        }
    }
    let mut odd = Network::new(
        Shape::new(1, 9, 9),
        &[
            Layer::conv(16, (2, 2), true, 0.0),
            Layer::GlobalMean,
            Layer::Dense {
                units: 1,
                slope: 1.0,
            },
        ],
        1,
    )
    .unwrap();
    assert!(
        odd.tie(Symmetry::P4)
            .unwrap_err()
            .to_string()
            .contains("odd size")
    );
}

/// Values that come out are known whatever the last layer is.
#[test]
fn outputs_of_embeddings() {
    let dense = Layer::Dense {
        units: 8,
        slope: 1.0,
    };
    for (layers, want) in [
        (
            vec![
                Layer::conv(16, (3, 3), true, 0.1),
                Layer::GlobalMean,
                Layer::Tap,
            ],
            16,
        ),
        (vec![dense, Layer::Maxout { pieces: 2 }, Layer::Tap], 4),
    ] {
        let net = Network::new(Shape::new(1, 8, 8), &layers, 1).unwrap();
        let mut tape = Tape::default();
        assert_eq!(
            (
                net.outputs(),
                net.forward(&wave(64, 0.0), &mut tape, None).len()
            ),
            (want, want)
        );
    }
}

/// A first layer that moves pixels has nothing to learn before it.
#[test]
fn gradients_end_at_the_first_layer() {
    let dense = Layer::Dense {
        units: 2,
        slope: 1.0,
    };
    for first in [Layer::SpaceToDepth { size: 4 }, Layer::Pad { border: 1 }] {
        let net = Network::new(Shape::new(1, 8, 8), &[first, dense], 1).unwrap();
        let (mut tape, mut grad) = (Tape::default(), vec![]);
        net.forward(&wave(64, 0.0), &mut tape, None);
        net.backward(&mut tape, &[1.0, -1.0], &mut grad);
        assert!(grad.iter().any(|g| *g != 0.0));
    }
}

/// What a damaged file may ask for is refused before memory is.
#[test]
fn absurd_sizes_are_refused() {
    let huge = usize::MAX / 2;
    for layer in [
        Layer::Dense {
            units: 1_000_000_000_000,
            slope: 1.0,
        },
        Layer::conv(16, (1 << 32, 1 << 32), true, 0.1),
        Layer::SpaceToDepth { size: huge },
    ] {
        let dense = Layer::Dense {
            units: 2,
            slope: 1.0,
        };
        assert!(Network::new(Shape::new(1, 8, 8), &[layer, dense], 1).is_err());
    }
}
