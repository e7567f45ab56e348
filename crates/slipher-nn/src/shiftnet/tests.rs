use super::*;
use rand::Rng;

fn small() -> ShiftNetConfig {
    ShiftNetConfig {
        inputs: 16,
        width: 16,
        depth: 3,
        taps: 5,
        patterns: 2,
        grid: 160,
        min_lag: -4,
        lags: 60,
        nfft: 240,
    }
}

fn random_net(config: ShiftNetConfig) -> ShiftNet {
    let mut net = ShiftNet::new(config, 3);
    let mut rng = ChaCha8Rng::seed_from_u64(4);
    net.patterns
        .iter_mut()
        .for_each(|w| *w = rng.random::<f32>() - 0.5);
    net.trunk
        .iter_mut()
        .for_each(|w| *w += 0.1 * (rng.random::<f32>() - 0.5));
    net.refresh();
    net
}

fn run(net: &ShiftNet, x: &[f32], coverage: &[f32], offset: usize) -> Tape {
    let mut tape = Tape::default();
    tape.load(
        net,
        &Input {
            channels: x,
            coverage,
            offset,
        },
    );
    net.forward(std::slice::from_mut(&mut tape));
    tape
}

#[test]
fn shifting_the_input_shifts_the_output() {
    let net = random_net(small());
    let mut rng = ChaCha8Rng::seed_from_u64(5);
    let n = 70;
    let x: Vec<f32> = (0..n * 16).map(|_| rng.random::<f32>() - 0.5).collect();
    let coverage: Vec<f32> = (0..n).map(|i| f32::from(u8::from(i % 11 != 0))).collect();
    let a = run(&net, &x, &coverage, 20);
    let b = run(&net, &x, &coverage, 27);
    for p in 0..2 {
        for l in 0..53 {
            let (u, v) = (a.logits[p * 60 + l], b.logits[p * 60 + l + 7]);
            assert!((u - v).abs() < 1e-3 * (1.0 + u.abs()), "{u} {v}");
        }
    }
}

/// Short transforms give what the long one gives, for spectra of several windows together.
#[test]
fn prediction_agrees_with_the_forward_pass() {
    let config = ShiftNetConfig {
        grid: 2400,
        min_lag: -4,
        lags: 300,
        nfft: 3000,
        ..small()
    };
    let mut net = random_net(config);
    let mut rng = ChaCha8Rng::seed_from_u64(9);
    let windows: Vec<(Vec<f32>, Vec<f32>, usize)> = (0..11)
        .map(|i| {
            let (n, offset) = [(100, 10), (480, 5), (700, 600), (90, 2280), (2360, 3)][i / 2 % 5];
            (
                (0..n * 16).map(|_| rng.random::<f32>() - 0.5).collect(),
                vec![1.0; n],
                offset + i,
            )
        })
        .collect();
    let inputs: Vec<Input> = windows
        .iter()
        .map(|(x, c, o)| Input {
            channels: x,
            coverage: c,
            offset: *o,
        })
        .collect();
    let mut tapes = vec![Tape::default(); 11];
    tapes
        .iter_mut()
        .zip(&inputs)
        .for_each(|(t, i)| t.load(&net, i));
    net.forward(&mut tapes);
    let mut p = Prediction::default();
    let worst = |p: &Prediction| {
        let off = |a: &[f32], b: &[f32]| {
            a.iter()
                .zip(b)
                .map(|(a, b)| (a - b).abs())
                .fold(0.0, f32::max)
                / b.iter().map(|v| v.abs()).fold(1.0, f32::max)
        };
        tapes
            .iter()
            .zip(&p.logits)
            .map(|(t, l)| off(l, &t.logits))
            .fold(0.0, f32::max)
    };
    net.predict(&inputs, &mut p);
    assert!(worst(&p) < 1e-5, "{}", worst(&p));
    if net.set_precision(Precision::Bf16) == Precision::Bf16 {
        net.predict(&inputs, &mut p);
        assert!(worst(&p) < 0.02 && worst(&p) > 1e-5, "{}", worst(&p));
    }
    assert!(
        net.windows
            .lock()
            .unwrap()
            .iter()
            .filter(|w| w.short.is_some())
            .count()
            >= 3
    );
}

/// The gradient of Σ g·logits agrees with finite differences for a sample of all weights.
#[test]
fn gradients_agree_with_differences() {
    let mut net = random_net(small());
    let mut rng = ChaCha8Rng::seed_from_u64(6);
    let n = 50;
    let x: Vec<f32> = (0..n * 16).map(|_| rng.random::<f32>() - 0.5).collect();
    let coverage: Vec<f32> = (0..n).map(|i| f32::from(u8::from(i != 13))).collect();
    let g: Vec<f32> = (0..120).map(|_| rng.random::<f32>() - 0.5).collect();
    let loss = |net: &ShiftNet| -> f64 {
        let t = run(net, &x, &coverage, 30);
        t.logits.iter().zip(&g).map(|(a, b)| f64::from(a * b)).sum()
    };
    let mut tape = run(&net, &x, &coverage, 30);
    let mut grad = vec![0.0; net.trunk.len()];
    let gspec = net.backward(&mut tape, &g, &mut grad);
    let fspec = tape.take_features_spectrum();
    let dpatterns = net.grad_patterns(&[&fspec], &[&gspec]);
    let mut check = |which: usize, i: usize, want: f32| {
        let mut at = |eps: f32| {
            let w = if which == 0 {
                &mut net.trunk[i]
            } else {
                &mut net.patterns[i]
            };
            let old = *w;
            *w += eps;
            net.refresh();
            let l = loss(&net);
            let w = if which == 0 {
                &mut net.trunk[i]
            } else {
                &mut net.patterns[i]
            };
            *w = old;
            l
        };
        let eps = 2e-3;
        let got = (at(eps) - at(-eps)) / (2.0 * f64::from(eps));
        let scale = 0.05 + got.abs();
        assert!(
            (got - f64::from(want)).abs() < 0.03 * scale,
            "{which} {i}: {got} {want}"
        );
    };
    for i in (0..grad.len())
        .step_by(97)
        .chain(grad.len() - 2..grad.len())
    {
        check(0, i, grad[i]);
    }
    for i in (0..dpatterns.len()).step_by(311) {
        check(1, i, dpatterns[i]);
    }
}
