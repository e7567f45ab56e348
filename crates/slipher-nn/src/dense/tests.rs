use super::*;
use proptest::prelude::*;
use rand::{Rng, SeedableRng};

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]
    /// Both paths are the definition; both gradients are the adjoints of the forward map.
    #[test]
    fn agrees_with_definition(rows in 1usize..70, inputs in 1usize..1100, outputs in 1usize..90, seed in any::<u64>()) {
        let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(seed);
        let mut noise = |n: usize| (0..n).map(|_| rng.random::<f32>() - 0.5).collect::<Vec<_>>();
        let (x, w, bias, g) = (noise(rows * inputs), noise(inputs * outputs), noise(outputs), noise(rows * outputs));
        let want: Vec<f32> = (0..rows * outputs).map(|i| {
            let (r, o) = (i / outputs, i % outputs);
            let sum: f64 = (0..inputs).map(|j| f64::from(x[r * inputs + j]) * f64::from(w[j * outputs + o])).sum();
            (sum + f64::from(bias[o])) as f32
        }).collect();
        let mut panels = vec![0.0; panels_len(inputs, outputs)];
        (0..inputs * outputs).for_each(|i| panels[index(inputs, outputs, i / outputs, i % outputs)] = w[i]);
        let mut buffers = Buffers::default();
        let mut y = vec![0.0; rows * outputs];
        forward(Isa::best(), &x, &panels, &bias, 1.0, &mut y);
        prop_assert!(y.iter().zip(&want).all(|(a, b)| (a - b).abs() < 1e-4));
        let leaky = |v: f32| if v > 0.0 { v } else { 0.3 * v };
        for isa in Isa::available() {
            Packed::new(&panels, &bias, false).forward(isa, &x, 0.3, &mut y, &mut buffers);
            prop_assert!(y.iter().zip(&want).all(|(a, b)| (a - leaky(*b)).abs() < 1e-4), "{isa:?}");
        }
        if crate::tile::has_bf16() {
            Packed::new(&panels, &bias, true).forward(Isa::AVX512, &x, 0.3, &mut y, &mut buffers);
            prop_assert!(y.iter().zip(&want).all(|(a, b)| (a - leaky(*b)).abs() < 0.01 * (inputs as f32).sqrt()));
        }
        for isa in Isa::available() {
            let (mut dw, mut db, mut dx) = (vec![9.0; panels.len()], vec![9.0; outputs], vec![9.0; x.len()]);
            grad_weights(isa, &x, &g, &mut dw, &mut db, &mut buffers);
            grad_data(isa, &g, &panels, outputs, &mut dx, &mut buffers);
            let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum::<f64>();
            let linear: f64 = want.iter().zip(&g).enumerate().map(|(i, (y, g))| f64::from((y - bias[i % outputs]) * g)).sum();
            prop_assert!((linear - dot(&panels, &dw)).abs() < 1e-3 * (1.0 + linear.abs()));
            prop_assert!((linear - dot(&x, &dx)).abs() < 1e-3 * (1.0 + linear.abs()));
            prop_assert!((db[0] - g.iter().step_by(outputs).sum::<f32>()).abs() < 1e-3);
        }
    }
}
