//! Against PyTorch, and what does not fit.

use super::*;
use crate::loss::cross_entropy;

fn small() -> Network {
    let layers = [
        Layer::Conv { filters: 16, kernel: (3, 3), same: false, slope: 0.1 },
        Layer::Conv { filters: 32, kernel: (3, 3), same: true, slope: 0.1 },
        Layer::MaxPool { size: 2, stride: 2, same: false },
        Layer::Conv { filters: 16, kernel: (2, 3), same: true, slope: 0.1 },
        Layer::Dense { units: 20, slope: 0.1 },
        Layer::Dropout { rate: 0.5 },
        Layer::Dense { units: 3, slope: 1.0 },
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
    let values: Vec<Vec<f32>> = net.tensors().iter().enumerate().map(|(i, t)| wave(t.values.len(), i as f64).iter().map(|v| 0.2 * v).collect()).collect();
    net.set_tensors(&values).unwrap();
    assert_eq!(net.tensors().iter().map(|t| t.values.clone()).collect::<Vec<_>>(), values);
    let mut tape = Tape::default();
    let mut d = net.forward(&wave(2 * 5 * 9 * 11, 0.5), &mut tape, None).to_vec();
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
            (s - sum).abs() < 2e-3 * (1.0 + sum.abs()) && (t.values[2] - tenth).abs() < 1e-3 * (1.0 + tenth.abs()),
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

/// The published network in little, with batch normalisation. Golden values of PyTorch by scripts/golden.py.
#[test]
fn batch_norm_agrees_with_pytorch() {
    let conv = Layer::Conv { filters: 16, kernel: (1, 8), same: true, slope: 0.0 };
    let pool = Layer::MaxPool { size: 3, stride: 2, same: false };
    let bn = Layer::BatchNorm { momentum: 0.9, eps: 1e-3 };
    let layers = [conv, pool, bn, conv, bn, Layer::Dense { units: 20, slope: 1.0 }, Layer::Dense { units: 3, slope: 1.0 }];
    let mut net = Network::new(Shape::line(1, 41), &layers, 1).unwrap();
    let values: Vec<Vec<f32>> = net.tensors().iter().enumerate().map(|(i, t)| wave(t.values.len(), i as f64).iter().map(|v| 0.3 * v + 0.1).collect()).collect();
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
    assert!(eval.iter().zip(BN_EVAL).all(|(a, b)| (a - b).abs() < 2e-3 * (1.0 + b.abs())), "{eval:?}");
    net.weights = grad;
    for (t, (sum, third)) in net.tensors().iter().zip(BN_GRADS) {
        let s: f32 = t.values.iter().map(|v| v.abs()).sum();
        assert!(
            (s - sum).abs() < 3e-3 * (1.0 + sum.abs()) && (t.values[2] - third).abs() < 2e-3 * (1.0 + third.abs()),
            "{} {s} {} for {sum} {third}",
            t.name,
            t.values[2]
        );
    }
}
const BN_LOSS: f64 = 1.43859;
const BN_EVAL: [f32; 9] = [13.0018, 11.6000, 19.1136, 12.7673, 11.3580, 18.7029, 12.8928, 11.4865, 18.9217];
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
    let e = Network::new(Shape::new(3, 8, 8), &[Layer::Dense { units: 4, slope: 1.0 }, Layer::MaxPool { size: 2, stride: 2, same: false }], 1).unwrap_err();
    assert!(e.to_string().contains("layer 1"), "{e}");
    assert!(Network::new(Shape::new(3, 8, 8), &[Layer::Conv { filters: 16, kernel: (9, 9), same: false, slope: 0.0 }], 1).is_err());
}
