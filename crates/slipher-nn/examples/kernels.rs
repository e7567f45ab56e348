//! GFLOP/s of each convolution of the reference networks on one core.
use slipher_nn::conv::{Conv, Epilogue};
use slipher_nn::lanes::Isa;
use slipher_nn::maps::{Maps, Shape};
use std::time::Instant;

fn best(reps: usize, mut f: impl FnMut()) -> f64 {
    (0..reps)
        .map(|_| {
            let t = Instant::now();
            f();
            t.elapsed().as_secs_f64()
        })
        .fold(f64::MAX, f64::min)
}

fn main() {
    let isa = Isa::best();
    println!("{isa:?}");
    for (name, c, h, w) in [
        ("W2 conv1", Conv::valid(5, 32, (5, 5)), 44, 44),
        ("W2 conv2", Conv::same(32, 32, (3, 3)), 40, 40),
        ("W2 conv3", Conv::same(32, 64, (3, 3)), 20, 20),
        ("W2 conv4", Conv::same(64, 64, (3, 3)), 20, 20),
        ("W2 conv6", Conv::same(64, 128, (3, 3)), 10, 10),
        ("W2 conv7", Conv::same(128, 128, (3, 3)), 10, 10),
        ("W1 conv1", Conv::valid(1, 16, (1, 8)), 1, 1800),
        ("W1 conv2", Conv::valid(16, 16, (1, 8)), 1, 1793),
        ("shift 5x8", Conv { dilation: 8, before: (0, 16), ..Conv::same(16, 16, (1, 5)) }, 1, 4600),
    ] {
        let s = Shape::new(c.channels, h, w);
        let out = if c.before == (0, 0) { Shape::new(c.filters, h + 1 - c.kernel.0, w + 1 - c.kernel.1) } else { Shape { channels: c.filters, ..s } };
        let x = Maps::zeros(s, c.border(s, out));
        let wts = vec![0.1; c.weights()];
        let bias = vec![0.1; c.biases()];
        let mut y = Maps::zeros(out, (2, 7));
        let flop = 2e-9 * (out.len() * c.channels * c.kernel.0 * c.kernel.1) as f64;
        let f = flop / best(200, || c.forward(isa, &x, &wts, &bias, &mut y, Epilogue { slope: Some(0.01), ..Epilogue::default() }, false));
        let (mut dw, mut db) = (wts.clone(), bias.clone());
        let g = flop / best(200, || c.grad_weights(isa, &x, &y, &mut dw, &mut db));
        let d = if c.channels >= 16 {
            let back = c.adjoint();
            let mut wt = vec![];
            c.transpose(&wts, &mut wt);
            let dy = Maps::<f32>::zeros(out, back.border(out, s));
            let mut dx = Maps::zeros(s, (0, 0));
            let zero = vec![0.0; back.biases()];
            flop / best(200, || back.forward(isa, &dy, &wt, &zero, &mut dx, Epilogue { mask: Some((&x, 0.01)), ..Epilogue::default() }, false))
        } else {
            0.0
        };
        let h = if c.channels >= 16 && slipher_nn::tile::has_bf16() {
            let x = Maps::<u16>::zeros(s, c.border(s, out));
            let mut y = Maps::<u16>::zeros(out, (2, 7));
            let w = c.pack_bf16(&wts);
            flop / best(200, || c.forward_bf16(&x, &w, &bias, &mut y, Epilogue { slope: Some(0.01), ..Epilogue::default() }, false))
        } else {
            0.0
        };
        println!("{name:10} forward {f:6.1}  data {d:6.1}  weights {g:6.1}  bf16 {h:6.1}");
    }
}
