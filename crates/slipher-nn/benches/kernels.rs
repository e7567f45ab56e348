//! Each kernel on one core: `cargo bench -p slipher-nn`. "Elements" are floating-point operations.
use criterion::{
    BenchmarkGroup, Criterion, Throughput, criterion_group, criterion_main, measurement::WallTime,
};
use slipher_nn::conv::{Conv, Epilogue};
use slipher_nn::correlation::{Correlation, Scratch};
use slipher_nn::dense;
use slipher_nn::fft::{self, LaneFft};
use slipher_nn::lanes::Isa;
use slipher_nn::maps::{Maps, Shape};

fn convolutions(c: &mut Criterion) {
    let shapes = [
        ("W2 5→32, 5×5, 40×40", Conv::valid(5, 32, (5, 5)), 44, 44),
        ("W2 32→32, 3×3, 40×40", Conv::same(32, 32, (3, 3)), 40, 40),
        ("W2 64→64, 3×3, 20×20", Conv::same(64, 64, (3, 3)), 20, 20),
        (
            "W2 128→128, 3×3, 10×10",
            Conv::same(128, 128, (3, 3)),
            10,
            10,
        ),
        ("W1 1→16, 8, 1793", Conv::valid(1, 16, (1, 8)), 1, 1800),
        ("W1 16→16, 8, 1786", Conv::valid(16, 16, (1, 8)), 1, 1793),
        (
            "redshift 16→16, 5, dilation 8",
            Conv {
                dilation: 8,
                before: (0, 16),
                ..Conv::same(16, 16, (1, 5))
            },
            1,
            2200,
        ),
    ];
    for (name, conv, h, w) in shapes {
        let s = Shape::new(conv.channels, h, w);
        let valid = conv.before == (0, 0);
        let out = if valid {
            Shape::new(conv.filters, h + 1 - conv.kernel.0, w + 1 - conv.kernel.1)
        } else {
            Shape {
                channels: conv.filters,
                ..s
            }
        };
        let mut group = c.benchmark_group(name);
        group.throughput(Throughput::Elements(
            (2 * out.len() * conv.channels * conv.kernel.0 * conv.kernel.1) as u64,
        ));
        convolution(&mut group, conv, s, out);
        group.finish();
    }
}

fn convolution(group: &mut BenchmarkGroup<WallTime>, c: Conv, s: Shape, out: Shape) {
    let isa = Isa::best();
    let (w, bias) = (vec![0.1; c.weights()], vec![0.1; c.biases()]);
    let (x, back) = (Maps::zeros(s, c.border(s, out)), c.adjoint());
    let (mut y, dy) = (
        Maps::zeros(out, (0, 0)),
        Maps::<f32>::zeros(out, back.border(out, s)),
    );
    let relu = || Epilogue {
        slope: Some(0.01),
        ..Epilogue::default()
    };
    group.bench_function("forward", |b| {
        b.iter(|| c.forward(isa, &x, &w, &bias, &mut y, relu(), false))
    });
    let (mut dw, mut db) = (w.clone(), bias.clone());
    group.bench_function("gradient of weights", |b| {
        b.iter(|| c.grad_weights(isa, &x, &dy, &mut dw, &mut db))
    });
    if c.channels < 16 {
        return;
    }
    let (mut wt, mut dx, zero) = (vec![], Maps::zeros(s, (0, 0)), vec![0.0; back.biases()]);
    c.transpose(&w, &mut wt);
    group.bench_function("gradient of data", |b| {
        b.iter(|| {
            back.forward(
                isa,
                &dy,
                &wt,
                &zero,
                &mut dx,
                Epilogue {
                    mask: Some((&x, 0.01)),
                    ..Epilogue::default()
                },
                false,
            )
        })
    });
    if slipher_nn::tile::has_bf16() {
        let (x, mut y, w) = (
            Maps::<u16>::zeros(s, x.border()),
            Maps::<u16>::zeros(out, (0, 0)),
            c.pack_bf16(&w),
        );
        group.bench_function("forward bf16", |b| {
            b.iter(|| c.forward_bf16(&x, &w, &bias, &mut y, relu(), false))
        });
    }
}

fn dense_layers(c: &mut Criterion) {
    // One thread, here and for what follows; a pool that is there already stays.
    let _ = rayon::ThreadPoolBuilder::new()
        .num_threads(1)
        .build_global();
    for (m, k, n) in [(128, 28_464, 800), (128, 2048, 2048), (1, 28_464, 800)] {
        let isa = Isa::best();
        let (x, dy, bias) = (vec![0.1; m * k], vec![0.1; m * n], vec![0.1; n]);
        let (w, mut y, mut dx) = (
            vec![0.1; dense::panels_len(k, n)],
            vec![0.0; m * n],
            vec![0.0; m * k],
        );
        let (mut dw, mut db, mut buffers) = (w.clone(), bias.clone(), dense::Buffers::default());
        let mut group = c.benchmark_group(format!("dense {m} × {k} → {n}"));
        group
            .throughput(Throughput::Elements(2 * (m * k * n) as u64))
            .sample_size(10);
        group.bench_function("forward", |b| {
            b.iter(|| dense::forward(isa, &x, &w, &bias, 0.0, &mut y))
        });
        if m > 1 {
            group.bench_function("gradient of weights", |b| {
                b.iter(|| dense::grad_weights(isa, &x, &dy, &mut dw, &mut db, &mut buffers))
            });
            group.bench_function("gradient of data", |b| {
                b.iter(|| dense::grad_data(isa, &dy, &w, n, &mut dx, &mut buffers))
            });
        }
        group.finish();
    }
}

fn correlations(c: &mut Criterion) {
    let (isa, n) = (Isa::best(), 13_500);
    let plan = LaneFft::new(n);
    let (mut series, mut spectrum, mut s) = (vec![0.1; n * 16], vec![], fft::Scratch::default());
    let mut group = c.benchmark_group("16 Fourier transforms of 11,250");
    group.throughput(Throughput::Elements(
        (2.5 * 16.0 * n as f64 * (n as f64).log2()) as u64,
    ));
    group.bench_function("forward", |b| {
        b.iter(|| plan.forward(isa, &mut series, &mut spectrum, &mut s))
    });
    group.bench_function("inverse", |b| {
        b.iter(|| plan.inverse(isa, &spectrum, &mut series, &mut s))
    });
    group.finish();
    let correlation = Correlation::new(n, 6662, -20, 6640, 9);
    let patterns = correlation.patterns_spectrum(isa, &vec![0.01; correlation.weights()]);
    let mut scratch = Scratch::default();
    for together in [1, 8] {
        let features: Vec<&[f32]> = vec![&spectrum; together];
        let mut outs = vec![vec![]; together];
        c.bench_function(
            &format!("correlation with 9 patterns, {together} together"),
            |b| {
                b.iter(|| {
                    correlation.correlate(
                        isa,
                        &features,
                        &patterns,
                        &mut outs.iter_mut().collect::<Vec<_>>(),
                        &mut scratch,
                    )
                });
            },
        );
    }
}

criterion_group! { name = benches; config = Criterion::default().sample_size(30).warm_up_time(std::time::Duration::from_millis(300)).measurement_time(std::time::Duration::from_secs(1)); targets = convolutions, dense_layers, correlations }
criterion_main!(benches);
