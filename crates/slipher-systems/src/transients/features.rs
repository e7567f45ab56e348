//! What a random forest sees of a candidate: strengths, shapes and symmetries of the stamps, in the
//! manner of the HiTS pipeline (Förster et al. 2016), which the paper's forest used.

use crate::moments::Moments;

const PLANES: [&str; 4] = ["template", "science", "difference", "snr"];

/// Of each stamp: strength, shape, symmetry; of the difference also negative pixels and neighbours;
/// correlations between stamps.
pub fn names() -> Vec<String> {
    let each = [
        "peak",
        "centre",
        "sum3",
        "sum7",
        "sum13",
        "least",
        "width",
        "ellipticity",
        "offset",
        "sharpness",
        "asymmetry",
        "scatter",
    ];
    let mut out: Vec<String> = PLANES
        .iter()
        .flat_map(|p| each.iter().map(move |e| format!("{p}_{e}")))
        .collect();
    out.extend(
        [
            "negative3",
            "negative7",
            "above3",
            "below3",
            "row",
            "column",
            "neighbour",
            "template_difference",
            "science_difference",
            "template_science",
        ]
        .map(str::to_owned),
    );
    out
}

/// Of `[4][25][25]` encoded stamps.
pub fn of(x: &[f32]) -> Vec<f32> {
    let side = 25;
    let n = side * side;
    let mut out = Vec::new();
    let plane = |k: usize| &x[k * n..(k + 1) * n];
    for k in 0..4 {
        let m = Moments::of(plane(k), side);
        out.extend([
            m.peak,
            m.centre,
            m.sums[0],
            m.sums[1],
            m.sums[2],
            m.least,
            m.width,
            m.ellipticity,
            m.offset,
            m.sharpness,
            m.asymmetry,
            m.scatter,
        ]);
    }
    let d = plane(3);
    let near = |r: usize| {
        (0..n).filter(move |i| (i / side).abs_diff(12) <= r && (i % side).abs_diff(12) <= r)
    };
    let share = |r: usize, f: &dyn Fn(f32) -> bool| {
        near(r).filter(|i| f(d[*i])).count() as f32 / near(r).count() as f32
    };
    // asinh(3) / 2 = 0.91: three times the noise.
    out.extend([
        share(1, &|v| v < 0.0),
        share(3, &|v| v < 0.0),
        share(5, &|v| v > 0.91),
        share(5, &|v| v < -0.91),
    ]);
    let line =
        |along: &dyn Fn(usize) -> usize| (0..side).map(|k| d[along(k)]).sum::<f32>() / side as f32;
    out.extend([line(&|k| 12 * side + k), line(&|k| k * side + 12)]);
    let around = [(11, 12), (13, 12), (12, 11), (12, 13)]
        .iter()
        .map(|(y, x)| d[y * side + x])
        .sum::<f32>()
        / 4.0;
    out.push(around / d[12 * side + 12].abs().max(0.1));
    for (a, b) in [(0, 2), (1, 2), (0, 1)] {
        out.push(correlation(
            plane(a),
            plane(b),
            &near(4).collect::<Vec<_>>(),
        ));
    }
    out
}

fn correlation(a: &[f32], b: &[f32], rows: &[usize]) -> f32 {
    let n = rows.len() as f32;
    let mean = |v: &[f32]| rows.iter().map(|i| v[*i]).sum::<f32>() / n;
    let (ma, mb) = (mean(a), mean(b));
    let sum = |f: &dyn Fn(usize) -> f32| rows.iter().map(|i| f(*i)).sum::<f32>();
    let (aa, bb) = (sum(&|i| (a[i] - ma).powi(2)), sum(&|i| (b[i] - mb).powi(2)));
    sum(&|i| (a[i] - ma) * (b[i] - mb)) / (aa * bb).sqrt().max(1e-9)
}
