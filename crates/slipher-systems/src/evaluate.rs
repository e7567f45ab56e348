//! Methods on the same rows: scores with intervals, by depth, calibration, stability under turns.

use slipher_nn::augment::{Affine, view};

use crate::geometry::Geometry;
use crate::model::Model;
use crate::set::Set;
use crate::system::System;
use slipher_stats::calibration::{calibration_error, reliability};
use slipher_stats::classification::{Line, accuracy, bootstrap, largest};

/// Answers of one method, `[row][output]`.
#[derive(Clone, Debug)]
pub struct Answers {
    /// Name of the method in tables.
    pub method: String,
    /// As the head decodes them.
    pub values: Vec<f32>,
}

/// All figures of all methods on a set.
pub fn table(system: &dyn System, set: &Set, answers: &[Answers]) -> Vec<Line> {
    let (rows, targets) = (set.rows(), system.head().targets());
    let lines = |a: &Answers| {
        let widths = (a.values.len() / rows.max(1), targets);
        let figures = bootstrap(rows, widths, &a.values, &set.truth, &|p, t| {
            system.score(p, t)
        });
        figures
            .into_iter()
            .map(|f| Line::new(&a.method, f, rows))
            .collect::<Vec<_>>()
    };
    answers.iter().flat_map(lines).collect()
}

/// Rows between two depths: (lowest, highest, rows).
pub fn by_depth(system: &dyn System, set: &Set) -> Vec<(f32, f32, Vec<usize>)> {
    let cuts = system.depth().1;
    cuts.windows(2)
        .map(|w| {
            let last = w[1] == cuts[cuts.len() - 1];
            let inside = |d: f32| d >= w[0] && (d < w[1] || last);
            (
                w[0],
                w[1],
                (0..set.rows()).filter(|r| inside(set.depth[*r])).collect(),
            )
        })
        .filter(|(_, _, rows): &(f32, f32, Vec<usize>)| rows.len() >= 20)
        .collect()
}

/// Rows of a matrix `[row][width]`.
pub fn rows_of(values: &[f32], width: usize, rows: &[usize]) -> Vec<f32> {
    rows.iter()
        .flat_map(|r| values[r * width..(r + 1) * width].iter().copied())
        .collect()
}

/// The largest answer of each row and whether it is right.
pub fn chosen(answers: &[f32], truth: &[f32], width: usize) -> (Vec<f32>, Vec<bool>) {
    let rows = answers.chunks_exact(width).zip(truth.chunks_exact(width));
    rows.map(|(a, t)| (a[largest(a)], largest(a) == largest(t)))
        .unzip()
}

/// Calibration error of the largest answers ([`slipher_stats::calibration`]).
pub fn calibration(answers: &[f32], truth: &[f32], width: usize) -> f64 {
    let (p, right) = chosen(answers, truth, width);
    calibration_error(&reliability(&p, &|i| right[i]))
}

/// How much answers change when images turn: root of the mean square over quarter turns and mirror
/// images, and over turns by 15, 30, 45, 60 and 75°.
pub fn turning(model: &Model, images: &[Vec<f32>]) -> (f64, f64) {
    let g = model.system.geometry();
    let base = model.predict(images);
    let rms = |turned: Vec<Vec<f32>>| -> f64 {
        let p = model.predict(&turned);
        p.iter()
            .zip(&base)
            .map(|(a, b)| f64::from(a - b).powi(2))
            .sum::<f64>()
            / base.len().max(1) as f64
    };
    let quarter = (1..8)
        .map(|k| {
            rms(images
                .iter()
                .map(|i| slipher_nn::augment::turned(i, g.stored(), k))
                .collect())
        })
        .sum::<f64>()
        / 7.0;
    let angles = [15.0f32, 30.0, 45.0, 60.0, 75.0];
    let any = angles
        .iter()
        .map(|a| {
            rms(images
                .iter()
                .map(|i| turned_by(i, g, a.to_radians()))
                .collect())
        })
        .sum::<f64>()
        / angles.len() as f64;
    (quarter.sqrt(), any.sqrt())
}

fn turned_by(image: &[f32], g: Geometry, angle: f32) -> Vec<f32> {
    let mut out = Vec::new();
    view(
        image,
        g.stored(),
        g.stored(),
        g.stored(),
        1.0,
        &Affine::new(angle, false, 1.0, [0.0; 2]),
        &mut out,
    );
    out
}

/// The most confident mistakes: (row, answer, truth, probability), worst first.
pub fn mistakes(
    answers: &[f32],
    truth: &[f32],
    width: usize,
    most: usize,
) -> Vec<(usize, usize, usize, f32)> {
    let rows = answers
        .chunks_exact(width)
        .zip(truth.chunks_exact(width))
        .enumerate();
    let mut out: Vec<_> = rows
        .map(|(r, (a, t))| (r, largest(a), largest(t), a[largest(a)]))
        .filter(|m| m.1 != m.2)
        .collect();
    out.sort_by(|a, b| b.3.total_cmp(&a.3).then(a.0.cmp(&b.0)));
    out.truncate(most);
    out
}

/// Accuracy of rows, for short messages.
pub fn share_right(answers: &[f32], set: &Set, width: usize) -> f64 {
    accuracy(answers, &set.truth, width)
}
