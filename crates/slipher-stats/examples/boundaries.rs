//! The talk's opening figures: what a linear machine, one with a kernel, one tree and a forest make
//! of the same two classes in two dimensions. Writes docs/figures/boundaries.svg; run with
//! `cargo run --release -p slipher-stats --example boundaries`.

use std::fmt::Write;

use slipher_stats::Labelled;
use slipher_stats::forest::{Forest, ForestParams};
use slipher_stats::svm::{Svm, SvmParams};

const CELLS: usize = 60;

/// Two interleaved half moons with scatter.
fn moons(n: usize) -> (Vec<f32>, Vec<usize>) {
    let mut state = 12_345u64;
    let mut uniform = || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (state >> 40) as f32 / (1u64 << 24) as f32
    };
    let (mut x, mut labels) = (vec![], vec![]);
    for i in 0..n {
        let (class, t) = (i % 2, std::f32::consts::PI * uniform());
        let noise = 0.35 * (uniform() + uniform() + uniform() - 1.5);
        let other = 0.35 * (uniform() + uniform() + uniform() - 1.5);
        let (a, b) = if class == 0 {
            (t.cos(), t.sin())
        } else {
            (1.0 - t.cos(), 0.5 - t.sin())
        };
        x.extend([a + noise, b + other]);
        labels.push(class);
    }
    (x, labels)
}

fn main() -> std::io::Result<()> {
    let (all, classes) = moons(2400);
    let ((x, tx), (labels, tl)) = (all.split_at(2 * 400), classes.split_at(400));
    let data = Labelled::new(x, 2, labels, 2);
    let svm = |gamma| {
        Svm::fit(
            &SvmParams {
                l2: 1e-4,
                gamma,
                landmarks: 200,
                epochs: 100,
                rate: 0.02,
                seed: 1,
            },
            &data,
        )
    };
    let forest = |trees| {
        Forest::fit(
            &ForestParams {
                trees,
                features: 1,
                leaf: 1,
                balance: 0.0,
                seed: 1,
            },
            &data,
        )
    };
    let (linear, kernel, tree, many) = (svm(None), svm(Some(3.0)), forest(1), forest(200));
    #[expect(clippy::type_complexity, reason = "used once, where it is clear")]
    let panels: [(&str, Box<dyn Fn(&[f32]) -> Vec<f32>>); 4] = [
        (
            "linear support-vector machine",
            Box::new(move |g| linear.predict(g)),
        ),
        (
            "with a Gaussian kernel",
            Box::new(move |g| kernel.predict(g)),
        ),
        ("one tree", Box::new(move |g| tree.predict(g))),
        ("a forest of 200 trees", Box::new(move |g| many.predict(g))),
    ];
    let (w, h, gap) = (260.0, 200.0, 16.0);
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {0} {1}\" font-family=\"system-ui, sans-serif\" font-size=\"12\">",
        4.0 * (w + gap),
        h + 30.0
    );
    let grid: Vec<f32> = (0..CELLS * CELLS)
        .flat_map(|i| {
            [
                -1.6 + 4.2 * ((i % CELLS) as f32 + 0.5) / CELLS as f32,
                1.7 - 3.0 * ((i / CELLS) as f32 + 0.5) / CELLS as f32,
            ]
        })
        .collect();
    for (k, (name, predict)) in panels.iter().enumerate() {
        let x0 = k as f64 * (w + gap);
        let _ = write!(
            svg,
            "<g transform=\"translate({x0} 0)\" shape-rendering=\"crispEdges\">"
        );
        shades(&mut svg, &predict(&grid), (w, h));
        for (p, l) in x.chunks_exact(2).zip(labels) {
            let (px, py) = (
                f64::from((p[0] + 1.6) / 4.2) * w,
                f64::from((1.7 - p[1]) / 3.0) * h,
            );
            let _ = write!(
                svg,
                "<circle cx=\"{px:.1}\" cy=\"{py:.1}\" r=\"2\" fill=\"{}\" stroke=\"#fff\" stroke-width=\"0.5\"/>",
                ["#0072b2", "#d55e00"][*l]
            );
        }
        let right = predict(tx)
            .chunks_exact(2)
            .zip(tl)
            .filter(|(p, l)| usize::from(p[1] > p[0]) == **l)
            .count();
        let _ = write!(
            svg,
            "<text x=\"0\" y=\"{}\">{name}: {:.1} % right</text></g>",
            h + 18.0,
            100.0 * right as f64 / tl.len() as f64
        );
        println!(
            "{name}: {:.1} % of {} right",
            100.0 * right as f64 / tl.len() as f64,
            tl.len()
        );
    }
    svg.push_str("</svg>\n");
    std::fs::create_dir_all("docs/figures")?;
    std::fs::write("docs/figures/boundaries.svg", svg)
}

/// Rectangles in the shade of the second class.
fn shades(svg: &mut String, probabilities: &[f32], (w, h): (f64, f64)) {
    let second = |p: &[f32]| {
        if p[0].min(p[1]) >= 0.0 && p[0] + p[1] <= 1.001 {
            p[1]
        } else {
            1.0 / (1.0 + (p[0] - p[1]).exp())
        }
    };
    // Shades in sixteen steps; neighbours of one shade in a row are one rectangle.
    let shades: Vec<u8> = probabilities
        .chunks_exact(2)
        .map(|p| (15.0 * second(p)).round() as u8)
        .collect();
    let (cw, ch) = (w / CELLS as f64, h / CELLS as f64);
    for (y, row) in shades.chunks_exact(CELLS).enumerate() {
        let mut from = 0;
        for run in row.chunk_by(|a, b| a == b) {
            let t = f32::from(run[0]) / 15.0;
            let mix = |a: f32, b: f32| (255.0 - 0.55 * (255.0 - (a + t * (b - a)))) as u8;
            let (r, g, blue) = (mix(0.0, 213.0), mix(114.0, 94.0), mix(178.0, 0.0));
            let _ = write!(
                svg,
                "<rect x=\"{:.1}\" y=\"{:.1}\" width=\"{:.1}\" height=\"{:.1}\" fill=\"rgb({r},{g},{blue})\"/>",
                from as f64 * cw,
                y as f64 * ch,
                run.len() as f64 * cw,
                ch
            );
            from += run.len();
        }
    }
}
