use super::*;
use proptest::prelude::*;
use rand::{Rng, SeedableRng};

proptest! {
    #![proptest_config(ProptestConfig::with_cases(30))]
    /// The transform is its definition, and the inverse gives the series back times N.
    #[test]
    fn agrees_with_definition(which in 0usize..9, seed in any::<u64>()) {
        let n = [8, 12, 18, 20, 50, 90, 144, 240, 450][which];
        let plan = LaneFft::new(n);
        let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(seed);
        let x: Vec<f32> = (0..n * WIDTH).map(|_| rng.random::<f32>() - 0.5).collect();
        let mut scratch = Scratch::default();
        for isa in Isa::available() {
            let (mut series, mut spectrum) = (x.clone(), vec![]);
            plan.forward(isa, &mut series, &mut spectrum, &mut scratch);
            for k in 0..plan.frequencies() {
                for lane in [0, 7, 15] {
                    let (mut re, mut im) = (0.0, 0.0);
                    for i in 0..n {
                        let (s, c) = (-TAU * (i * k) as f64 / n as f64).sin_cos();
                        re += c * f64::from(x[i * WIDTH + lane]);
                        im += s * f64::from(x[i * WIDTH + lane]);
                    }
                    let got = (f64::from(spectrum[k * PAIR + lane]), f64::from(spectrum[k * PAIR + WIDTH + lane]));
                    prop_assert!((got.0 - re).abs() < 1e-4 && (got.1 - im).abs() < 1e-4, "{isa:?} n {n} k {k}: {got:?} {re} {im}");
                }
            }
            plan.inverse(isa, &spectrum, &mut series, &mut scratch);
            prop_assert!(series.iter().zip(&x).all(|(a, b)| (a / n as f32 - b).abs() < 1e-5), "{isa:?} n {n}");
        }
    }
}

#[test]
fn lengths_are_checked() {
    assert!(LaneFft::fits(11_250) && !LaneFft::fits(14) && !LaneFft::fits(9) && !LaneFft::fits(2));
}
