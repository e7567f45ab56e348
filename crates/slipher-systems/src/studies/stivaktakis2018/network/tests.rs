use super::super::simulate::{Noise, Sample, SedRecipe, Setting, Split};
use super::*;

fn pool() -> Pool {
    Pool::new(
        &SedRecipe {
            count: 20,
            seed: 1,
            min_halpha: 10.0,
            templates: None,
        },
        Setting::Nisp,
    )
    .unwrap()
}

/// The published network has the 2,242,192 weights that the authors' notebook prints; without
/// the 96 running values of its three normalisations that Keras counts too.
#[test]
fn the_published_network_has_its_size() {
    let pool = Pool::new(
        &SedRecipe {
            count: 10,
            seed: 1,
            min_halpha: 10.0,
            templates: None,
        },
        Setting::Published,
    )
    .unwrap();
    let net = NetworkRecipe::Paper {
        depth: 3,
        dropout: 0.5,
        l2: 0.2,
    }
    .build(&pool, Loss::CrossEntropy, Rule::adam(), 1)
    .unwrap();
    assert_eq!(
        net.weights() + 96,
        144 + 2 * 2064 + 3 * 64 + 1_827_328 + 410_400
    );
    assert_eq!(net.weights() + 96, 2_242_192);
    assert!(
        NetworkRecipe::Paper {
            depth: 0,
            dropout: 0.5,
            l2: 0.0
        }
        .build(&pool, Loss::CrossEntropy, Rule::adam(), 1)
        .is_err()
    );
}

#[test]
fn the_head_is_its_own_adjoint() {
    let head = Head::new();
    let (_, lags) = Head::range();
    let mut logits: Vec<f32> = (0..2 * lags)
        .map(|i| (0.1 * i as f32).sin() * 2.0)
        .collect();
    let (mut out, mut d) = (vec![0.0; CLASSES], vec![]);
    head.forward(&logits, &mut out);
    let dout: Vec<f32> = (0..CLASSES).map(|i| (0.3 * i as f32).cos()).collect();
    head.backward(&logits, &out, &dout, &mut d);
    for i in [5, 700, lags + 300, lags + 1340] {
        let value = |v: f32, logits: &mut Vec<f32>, out: &mut Vec<f32>| {
            logits[i] += v;
            head.forward(logits, out);
            logits[i] -= v;
            out.iter()
                .zip(&dout)
                .map(|(a, b)| f64::from(a * b))
                .sum::<f64>()
        };
        let slope =
            (value(0.05, &mut logits, &mut out) - value(-0.05, &mut logits, &mut out)) / 0.1;
        assert!(
            (slope - f64::from(d[i])).abs() < 2e-3 * (1.0 + slope.abs()),
            "{i} {slope} {}",
            d[i]
        );
    }
}

/// Every network learns a handful of spectra by heart with every loss, and continues bit for
/// bit.
#[test]
fn networks_learn_and_resume() {
    let pool = pool();
    let sample = Sample {
        split: Split::Train,
        noise: Noise::Clean,
        centres: true,
        seed: 1,
    };
    let (x, y) = pool.batch(&sample, &[0, 1, 2, 3, 4, 5, 6, 7]);
    let b = Supervised {
        x: x.clone(),
        targets: y.iter().map(|l| *l as f32).collect(),
    };
    let adamw = Rule::AdamW {
        beta1: 0.9,
        beta2: 0.99,
        eps: 1e-8,
    };
    for (recipe, steps) in [
        (
            NetworkRecipe::Paper {
                depth: 2,
                dropout: 0.0,
                l2: 0.0,
            },
            40,
        ),
        (
            NetworkRecipe::Shift {
                depth: 1,
                width: 16,
                patterns: 2,
            },
            60,
        ),
        (NetworkRecipe::Linear { l2: 0.0 }, 300),
    ] {
        for loss in [
            Loss::CrossEntropy,
            Loss::Logistic,
            Loss::Hinge,
            Loss::Squared,
        ] {
            let mut net = recipe.build(&pool, loss, adamw, 3).unwrap();
            // Every weight of a pattern moves every lag: squared errors of all 800 outputs ask
            // for small steps.
            let rate = if loss == Loss::Squared { 1e-4 } else { 3e-3 };
            let first = net.step(&b, rate, 0).unwrap().loss;
            let mut last = first;
            for s in 1..steps {
                last = net.step(&b, rate, s).unwrap().loss;
            }
            assert!(last < 0.7 * first, "{recipe:?} {loss:?}: {first} to {last}");
            let mut c = Checkpoint::default();
            net.save(&mut c);
            let mut again = recipe.build(&pool, loss, adamw, 4).unwrap();
            again.load(&c).unwrap();
            assert_eq!(net.step(&b, 3e-3, steps), again.step(&b, 3e-3, steps));
            assert_eq!(net.scores(&x), again.scores(&x));
            assert!(net.load(&Checkpoint::default()).is_err());
        }
    }
}
