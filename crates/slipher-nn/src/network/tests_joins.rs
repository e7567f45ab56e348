//! Skip connections, larger maps, masked means, images as output, embeddings: gradients, and the
//! predictor beside the forward pass.

use super::*;
use crate::predictor::{Precision, Predictor};

fn wave(n: usize, k: f64) -> Vec<f32> {
    (0..n).map(|i| (0.37 * i as f64 + k).sin() as f32).collect()
}

/// Slope of the activations: 1 has no kinks, against which differences are exact.
const SLOPES: [f32; 2] = [1.0, 0.6];

fn conv(filters: usize, slope: f32) -> Layer {
    Layer::conv(filters, (3, 3), true, slope)
}

/// Of one pixel, which has no kinks either, where the slope is 1.
fn pool(slope: f32) -> Layer {
    let size = if slope == 1.0 { 1 } else { 2 };
    Layer::MaxPool {
        size,
        stride: size,
        same: false,
    }
}

fn norm() -> Layer {
    Layer::BatchNorm {
        momentum: 0.9,
        eps: 1e-3,
    }
}

fn add(from: usize, slope: f32) -> Layer {
    Layer::Skip {
        from,
        concat: false,
        slope,
    }
}

/// A small U-Net with normalisations between the ends of its skip connections.
fn u_net(slope: f32) -> Network {
    let layers = [
        conv(16, slope),
        norm(),
        pool(slope),
        conv(16, slope),
        norm(),
        add(2, slope),
        Layer::Upsample {
            factor: if slope == 1.0 { 1 } else { 2 },
        },
        Layer::Skip {
            from: 1,
            concat: true,
            slope: 1.0,
        },
        conv(16, slope),
        add(0, slope),
        Layer::Planes { channels: 2 },
    ];
    Network::new(Shape::new(3, 6, 8), &layers, 4).unwrap()
}

/// A series with gaps, two residual blocks, an embedding.
fn series(slope: f32) -> Network {
    let line = |filters| Layer::conv(filters, (1, 3), true, slope);
    let layers = [
        line(32),
        norm(),
        line(32),
        add(1, slope),
        pool(slope),
        line(32),
        add(4, slope),
        Layer::MaskedMean { channel: 1 },
        Layer::Tap,
        Layer::Dense {
            units: 5,
            slope: 0.8,
        },
        Layer::Dense {
            units: 3,
            slope: 1.0,
        },
    ];
    Network::new(Shape::line(2, 20), &layers, 4).unwrap()
}

/// Two rows of input; the second channel of a series is 1 for its first part.
fn input(net: &Network) -> Vec<f32> {
    let mut x = wave(2 * net.input.len(), 0.4);
    if net.input.height == 1 {
        for (r, row) in x.chunks_exact_mut(40).enumerate() {
            row[20..]
                .iter_mut()
                .enumerate()
                .for_each(|(i, v)| *v = f32::from(u8::from(i < 9 + 4 * r)));
        }
    }
    x
}

/// Σ c·output, with fixed c.
fn sum(net: &Network, x: &[f32]) -> f64 {
    let mut tape = Tape::default();
    let y = net.forward(x, &mut tape, Some(1)).to_vec();
    y.iter()
        .zip(wave(y.len(), 0.9))
        .map(|(a, b)| f64::from(*a) * f64::from(b))
        .sum()
}

#[test]
fn gradients_of_weights_and_input_agree_with_differences() {
    for (net, slope) in SLOPES
        .iter()
        .flat_map(|s| [(u_net(*s), s), (series(*s), s)])
    {
        let x = input(&net);
        let mut tape = Tape::default();
        let n = net.forward(&x, &mut tape, Some(1)).len();
        let mut grad = vec![];
        let dx = net.backward_to_input(&mut tape, &wave(n, 0.9), &mut grad);
        let mut alone = vec![];
        net.forward(&x, &mut tape, Some(1));
        net.backward(&mut tape, &wave(n, 0.9), &mut alone);
        assert_eq!(
            grad, alone,
            "the input's gradient changes those of the weights"
        );
        let tolerance = if *slope == 1.0 { 0.004 } else { 0.05 };
        // Along a direction each, so that rounding does not matter; kinks of the activations
        // average out.
        let close = |name: &str, found: f64, want: f64| {
            assert!(
                (found - want).abs() < tolerance * (1.0 + want.abs()),
                "{name}, slope {slope}: {found} {want}"
            );
        };
        for (i, step) in net.steps.iter().enumerate() {
            let range = net.weights_of(i);
            if range.is_empty() {
                continue;
            }
            let direction = wave(range.len(), i as f64);
            let at = |h: f32| {
                let mut other = net.clone();
                other.weights[range.clone()]
                    .iter_mut()
                    .zip(&direction)
                    .for_each(|(w, d)| *w += h * d);
                sum(&other, &x)
            };
            let h = 2e-4;
            let want: f64 = grad[range.clone()]
                .iter()
                .zip(&direction)
                .map(|(g, d)| f64::from(g * d))
                .sum();
            close(
                &format!("{step:?}"),
                (at(h) - at(-h)) / (2.0 * f64::from(h)),
                want,
            );
        }
        let direction = wave(x.len(), 2.0);
        let image = net.input.height > 1;
        // The mask itself has no gradient.
        let moved = |i: usize| image || i % 40 < 20;
        let at = |h: f32| {
            let each = x.iter().zip(&direction).enumerate();
            let y: Vec<f32> = each
                .map(|(i, (v, d))| if moved(i) { v + h * d } else { *v })
                .collect();
            sum(&net, &y)
        };
        let want: f64 = (0..x.len())
            .filter(|i| moved(*i))
            .map(|i| f64::from(dx[i] * direction[i]))
            .sum();
        close("input", (at(2e-4) - at(-2e-4)) / 4e-4, want);
    }
}

#[test]
fn the_predictor_does_the_same() {
    for net in [u_net(0.1), series(0.1)] {
        let x = input(&net);
        let mut tape = Tape::default();
        let want = net.forward(&x, &mut tape, None).to_vec();
        for (precision, tolerance) in [(Precision::F32, 1e-4), (Precision::Bf16, 0.05)] {
            let got = Predictor::new(&net, precision).predict(&x);
            assert_eq!((got.len(), net.outputs()), (want.len(), want.len() / 2));
            let worst = got
                .iter()
                .zip(&want)
                .map(|(a, b)| (a - b).abs() / (1.0 + b.abs()));
            assert!(worst.fold(0.0, f32::max) < tolerance);
        }
    }
    let net = series(0.1);
    let (outputs, embedding) =
        Predictor::new(&net, Precision::F32).predict_with_embedding(&input(&net));
    assert_eq!((outputs.len(), embedding.len()), (2 * 3, 2 * 32));
}

/// What lies behind the mask does not count, once the kernels do not reach it.
#[test]
fn masked_pixels_do_not_count() {
    let layers = [
        Layer::conv(16, (1, 1), true, 0.1),
        Layer::MaskedMean { channel: 1 },
        Layer::Dense {
            units: 2,
            slope: 1.0,
        },
    ];
    let net = Network::new(Shape::line(2, 20), &layers, 1).unwrap();
    let p = Predictor::new(&net, Precision::F32);
    let mut x = input(&net)[..40].to_vec();
    let before = p.predict(&x);
    x[15] = 100.0;
    assert_eq!(p.predict(&x), before);
    x[3] = 100.0;
    assert_ne!(p.predict(&x), before);
    x[20..].fill(0.0);
    assert!(p.predict(&x).iter().all(|v| v.is_finite()), "all masked");
}

#[test]
fn what_does_not_fit_is_named() {
    let of = |layers: &[Layer]| {
        Network::new(Shape::new(3, 6, 8), layers, 1)
            .unwrap_err()
            .to_string()
    };
    let end = Layer::Planes { channels: 1 };
    assert!(of(&[conv(16, 0.1), add(5, 0.1), end]).contains("from"));
    assert!(
        of(&[
            conv(16, 0.1),
            Layer::MaxPool {
                size: 2,
                stride: 2,
                same: false
            },
            add(0, 0.1),
            end
        ])
        .contains("size")
    );
    assert!(of(&[conv(16, 0.1), conv(32, 0.1), add(0, 0.1), end]).contains("number"));
    assert!(of(&[conv(16, 0.1), Layer::Planes { channels: 17 }]).contains("channels"));
    assert!(of(&[conv(16, 0.1), Layer::MaskedMean { channel: 3 }, end]).contains("channel"));
    assert!(of(&[Layer::Upsample { factor: 2 }, end]).contains("convolution"));
    assert!(of(&[conv(16, 0.1)]).contains("dense layer or planes"));
}
