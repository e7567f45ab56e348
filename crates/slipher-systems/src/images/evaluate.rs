//! Methods on the same rows: scores with intervals, by depth, calibration, stability under turns.

use serde::{Deserialize, Serialize};
use slipher_nn::augment::{Affine, view};

use super::model::Model;
use super::score::{Figure, accuracy, bootstrap, largest};
use super::set::Set;
use super::{Geometry, System};
use crate::trust::{calibration_error, reliability};

/// Answers of one method, `[row][output]`.
#[derive(Clone, Debug)]
pub struct Answers {
    pub method: String,
    pub values: Vec<f32>,
}

/// One line of a table.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq)]
pub struct Line {
    pub method: String,
    pub figure: String,
    pub value: f64,
    pub low: f64,
    pub high: f64,
    pub n: usize,
    pub higher_is_better: bool,
    pub published: (Option<f64>, Option<f64>),
}

/// All figures of all methods on a set.
pub fn table(system: &dyn System, set: &Set, answers: &[Answers]) -> Vec<Line> {
    let n = system.outputs().len();
    answers
        .iter()
        .flat_map(|a| {
            let figures = bootstrap(set.rows(), n, &a.values, &set.truth, &|p, t| {
                system.score(p, t)
            });
            figures
                .into_iter()
                .map(|f| line(&a.method, f, set.rows()))
                .collect::<Vec<_>>()
        })
        .collect()
}

fn line(method: &str, f: Figure, n: usize) -> Line {
    Line {
        method: method.to_owned(),
        figure: f.name.to_owned(),
        value: f.value,
        low: f.low,
        high: f.high,
        n,
        higher_is_better: f.higher_is_better,
        published: f.published,
    }
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

/// Calibration error of the largest answers ([`crate::trust`]).
pub fn calibration(answers: &[f32], truth: &[f32], width: usize) -> f64 {
    let (p, right) = chosen(answers, truth, width);
    calibration_error(&reliability(&p, &|i| right[i]))
}

/// How much answers change when images turn: root of the mean square over quarter turns and mirror images, and over turns by 15, 30, 45, 60 and 75°.
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
                .map(|i| slipher_nn::augment::turned(i, g.stored, k))
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
        g.stored,
        g.stored,
        g.stored,
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
