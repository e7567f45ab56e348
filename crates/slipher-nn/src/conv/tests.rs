use super::*;
use proptest::prelude::*;
use rand::{Rng, SeedableRng};

fn noise(n: usize, seed: u64) -> Vec<f32> {
    let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(seed);
    (0..n).map(|_| rng.random::<f32>() - 0.5).collect()
}

fn maps(shape: Shape, border: (usize, usize), seed: u64) -> Maps {
    let mut m = Maps::zeros(shape, border);
    m.fill_planes(&noise(shape.len(), seed));
    m
}

/// The definition, in double precision; `w` in PyTorch's order, result as planes.
fn definition(c: &Conv, x: &[f32], s: Shape, w: &[f32], bias: &[f32], out: Shape) -> Vec<f32> {
    let mut y = Vec::new();
    for o in 0..c.filters {
        for (i, j) in (0..out.height).flat_map(|i| (0..out.width).map(move |j| (i, j))) {
            let mut sum = f64::from(bias[o]);
            for ch in 0..c.channels {
                for ky in 0..c.kernel.0 {
                    for kx in 0..c.kernel.1 {
                        let (r, q) = (
                            (i + ky) as isize - c.before.0 as isize,
                            (j + kx * c.dilation) as isize - c.before.1 as isize,
                        );
                        if r < 0 || q < 0 || r >= s.height as isize || q >= s.width as isize {
                            continue;
                        }
                        let v = x[(ch * s.height + r as usize) * s.width + q as usize];
                        sum += f64::from(v)
                            * f64::from(
                                w[((o * c.channels + ch) * c.kernel.0 + ky) * c.kernel.1 + kx],
                            );
                    }
                }
            }
            y.push(sum as f32);
        }
    }
    y
}

fn dot(a: &[f32], b: &[f32]) -> f64 {
    a.iter()
        .zip(b)
        .map(|(a, b)| f64::from(*a) * f64::from(*b))
        .sum()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]
    /// On every instruction set the forward map is the definition and both gradients are its
    /// adjoints: <conv(x), g> = <x, convᵀ(g)> = <w, dw>, for odd sizes and any padding.
    #[test]
    fn agrees_with_definition(channels in 1usize..40, filters in 16usize..70, kh in 1usize..4, kw in 1usize..9,
                              h in 1usize..7, w in 1usize..40, dilation in 1usize..4, valid in any::<bool>(), seed in any::<u64>()) {
        let (h, w) = (h + kh - 1, w + (kw - 1) * dilation);
        let mut c = if valid { Conv::valid(channels, filters, (kh, kw)) } else { Conv::same(channels, filters, (kh, kw)) };
        c.dilation = dilation;
        if !valid { c.before.1 = (kw - 1) * dilation / 2; }
        let s = Shape::new(channels, h, w);
        let out = if valid { Shape::new(filters, h + 1 - kh, w - (kw - 1) * dilation) } else { Shape { channels: filters, ..s } };
        let weights = noise(filters * channels * kh * kw, seed);
        let mut bias = noise(c.biases(), seed ^ 1);
        bias[filters..].fill(0.0);
        let packed = c.pack(&weights);
        prop_assert_eq!(&c.unpack(&packed), &weights);
        let x = maps(s, c.border(s, out), seed ^ 2);
        let want = definition(&c, &x.planes(), s, &weights, &bias, out);
        let back = c.adjoint();
        let g = maps(out, back.border(out, s), seed ^ 3);
        for isa in Isa::available() {
            let mut y = Maps::zeros(out, (1, 2));
            c.forward(isa, &x, &packed, &bias, &mut y, Epilogue::default(), seed % 2 == 0);
            for (a, e) in y.planes().iter().zip(&want) {
                prop_assert!((a - e).abs() < 1e-4, "{isa:?}: {a} != {e}");
            }
            let yg = dot(&want, &g.planes()) - dot(&bias[..filters], &g.planes().chunks(out.height * out.width).map(|p| p.iter().sum()).collect::<Vec<_>>());
            let (mut dw, mut db) = (vec![0.0; c.weights()], vec![0.0; c.biases()]);
            c.grad_weights(isa, &x, &g, &mut dw, &mut db);
            prop_assert!((yg - dot(&weights, &c.unpack(&dw))).abs() < 1e-3 * (1.0 + yg.abs()), "{isa:?} dw");
            prop_assert!((db[0] - g.planes()[..out.height * out.width].iter().sum::<f32>()).abs() < 1e-3);
            if channels >= 16 {
                let mut wt = vec![];
                c.transpose(&packed, &mut wt);
                let mut dx = Maps::zeros(s, (0, 0));
                back.forward(isa, &g, &wt, &vec![0.0; back.biases()], &mut dx, Epilogue::default(), false);
                prop_assert!((yg - dot(&x.planes(), &dx.planes())).abs() < 1e-3 * (1.0 + yg.abs()), "{isa:?} dx");
            }
        }
    }
}

/// Golden values of torch.nn.functional.conv1d (dilation 3, "same") and its gradients, written
/// by scripts/golden.py.
#[test]
fn agrees_with_pytorch() {
    let wave = |k: usize| {
        (0..k)
            .map(|i| (0.37 * i as f64 + 0.11 * k as f64).sin() as f32)
            .collect::<Vec<_>>()
    };
    let c = Conv {
        channels: 16,
        filters: 16,
        kernel: (1, 5),
        dilation: 3,
        before: (0, 6),
    };
    let s = Shape::line(16, 20);
    let (mut x, mut g) = (Maps::zeros(s, (0, 6)), Maps::zeros(s, (0, 6)));
    x.row_mut(0, 0).copy_from_slice(&wave(320));
    g.row_mut(0, 0).copy_from_slice(&wave(321)[1..]);
    // The packed order of 16 → 16 channels is [tap][in][out], as the script has it.
    let (w, b) = (wave(c.weights()), wave(16));
    let mut wt = vec![];
    c.transpose(&w, &mut wt);
    for isa in Isa::available() {
        let (mut y, mut dx) = (Maps::zeros(s, (0, 0)), Maps::zeros(s, (0, 0)));
        c.forward(isa, &x, &w, &b, &mut y, Epilogue::default(), false);
        c.adjoint().forward(
            isa,
            &g,
            &wt,
            &[0.0; 16],
            &mut dx,
            Epilogue::default(),
            false,
        );
        let (mut dw, mut db) = (vec![0.0; w.len()], vec![0.0; 16]);
        c.grad_weights(isa, &x, &g, &mut dw, &mut db);
        let (y, dx) = (y.row(0, 0), dx.row(0, 0));
        let got = [
            y[3 * 16 + 2],
            y[19 * 16 + 15],
            dx[1],
            dx[10 * 16 + 7],
            dw[0],
            dw[4 * 256 + 15 * 16 + 3],
        ];
        for (a, e) in got
            .iter()
            .zip([-22.1941f32, -19.2524, 18.7133, 24.508, -0.3573, -1.3991])
        {
            assert!((a - e).abs() < 2e-3, "{isa:?}: {got:?}");
        }
    }
}

#[test]
fn the_epilogue_does_what_it_says() {
    let c = Conv::same(16, 32, (3, 3));
    let s = Shape::new(16, 5, 9);
    let out = Shape { channels: 32, ..s };
    let (x, act, old) = (
        maps(s, (1, 1), 1),
        maps(out, (2, 0), 2),
        maps(out, (0, 1), 3),
    );
    let w = c.pack(&noise(16 * 32 * 9, 4));
    let bias = noise(32, 5);
    for isa in Isa::available() {
        let (mut plain, mut y, mut kept) = (
            Maps::zeros(out, (0, 0)),
            Maps::zeros(out, (0, 0)),
            Maps::zeros(out, (1, 1)),
        );
        c.forward(isa, &x, &w, &bias, &mut plain, Epilogue::default(), false);
        let then = Epilogue {
            mask: Some((&act, 0.25)),
            add: Some(&old),
            slope: Some(0.5),
            keep: Some(&mut kept),
        };
        c.forward(isa, &x, &w, &bias, &mut y, then, true);
        let leaky = |v: f32, s: f32| if v > 0.0 { v } else { s * v };
        for (i, p) in plain.planes().iter().enumerate() {
            let v = p * if act.planes()[i] > 0.0 { 1.0 } else { 0.25 } + old.planes()[i];
            assert!(
                (y.planes()[i] - leaky(v, 0.5)).abs() < 1e-5 && (kept.planes()[i] - v).abs() < 1e-5
            );
        }
    }
}

#[test]
#[cfg(target_arch = "x86_64")]
fn bf16_is_close() {
    if !crate::tile::has_bf16() {
        eprintln!("skipped: this processor has no bf16");
        return;
    }
    let c = Conv::same(32, 48, (3, 5));
    let s = Shape::new(32, 6, 11);
    let out = Shape { channels: 48, ..s };
    let x = maps(s, (1, 2), 1);
    let w = c.pack(&noise(32 * 48 * 15, 2));
    let bias = noise(48, 3);
    let mut want = Maps::zeros(out, (0, 0));
    c.forward(
        Isa::best(),
        &x,
        &w,
        &bias,
        &mut want,
        Epilogue {
            slope: Some(0.1),
            ..Epilogue::default()
        },
        false,
    );
    let mut half = Maps::<u16>::zeros(s, (1, 2));
    half.fill_planes(
        &x.planes()
            .iter()
            .map(|v| crate::tile::to_bf16(*v))
            .collect::<Vec<_>>(),
    );
    let mut y = Maps::<u16>::zeros(out, (0, 0));
    c.forward_bf16(
        &half,
        &c.pack_bf16(&w),
        &bias,
        &mut y,
        Epilogue {
            slope: Some(0.1),
            ..Epilogue::default()
        },
        true,
    );
    for (a, e) in y.planes().iter().zip(want.planes()) {
        let a = crate::tile::from_bf16(*a);
        assert!((a - e).abs() < 0.02 * (1.0 + e.abs()), "{a} {e}");
    }
}
