//! The decision tree of Galaxy Zoo 2 (Willett et al. 2013) as the Kaggle contest weighted it: each question's shares add up to the share of
//! the answer that leads to it.

use std::ops::Range;

/// Columns of `training_solutions_rev1.csv`, in words.
pub const ANSWERS: [&str; 37] = [
    "smooth",
    "features",
    "star_or_artifact",
    "edge_on",
    "not_edge_on",
    "bar",
    "no_bar",
    "spiral",
    "no_spiral",
    "bulge_none",
    "bulge_just_noticeable",
    "bulge_obvious",
    "bulge_dominant",
    "odd",
    "not_odd",
    "round",
    "in_between",
    "cigar",
    "ring",
    "lens_or_arc",
    "disturbed",
    "irregular",
    "other",
    "merger",
    "dust_lane",
    "edge_bulge_rounded",
    "edge_bulge_boxy",
    "edge_bulge_none",
    "arms_tight",
    "arms_medium",
    "arms_loose",
    "arms_1",
    "arms_2",
    "arms_3",
    "arms_4",
    "arms_more_than_4",
    "arms_cannot_tell",
];

/// Answers of each question, 1 to 11.
pub const QUESTIONS: [Range<usize>; 11] = [
    0..3,
    3..5,
    5..7,
    7..9,
    9..13,
    13..15,
    15..18,
    18..25,
    25..28,
    28..31,
    31..37,
];

/// Which answer leads to which answers, in the order in which they are weighted; question 6 is not, as in the contest's data.
const LEADS: [(usize, Range<usize>); 6] = [
    (1, 3..5),
    (4, 5..13),
    (0, 15..18),
    (13, 18..25),
    (3, 25..28),
    (7, 28..37),
];

/// Added to each share before it is divided: where all outputs of a question are negative its answers are equally likely.
const TINY: f32 = 1e-6;
/// Slope of the rectifier's gradient below zero, where the published one is 0: a question whose answers are all negative learns again.
const LEAK: f32 = 0.02;

/// Shares within each question to weighted shares, in place.
pub fn compose(row: &mut [f32]) {
    for (lead, range) in LEADS {
        let share = row[lead];
        row[range].iter_mut().for_each(|v| *v *= share);
    }
}

/// Outputs to shares within each question: what is negative is 0, the rest is divided by its sum.
fn conditional(row: &mut [f32]) {
    row.iter_mut().for_each(|v| *v = v.max(0.0) + TINY);
    for q in QUESTIONS {
        let sum = row[q.clone()].iter().sum::<f32>();
        row[q].iter_mut().for_each(|v| *v /= sum);
    }
}

/// Outputs of a network to weighted shares, in place.
pub fn answer(row: &mut [f32]) {
    conditional(row);
    compose(row);
}

/// Mean squared error of the 37 shares; its gradient replaces the outputs.
pub fn gradient(row: &mut [f32], truth: &[f32]) -> f64 {
    let outputs = row.to_vec();
    conditional(row);
    let own = row.to_vec();
    compose(row);
    let n = row.len() as f32;
    let loss: f64 = row
        .iter()
        .zip(truth)
        .map(|(p, t)| f64::from((p - t) * (p - t)))
        .sum::<f64>()
        / f64::from(n);
    let mut d: Vec<f32> = row
        .iter()
        .zip(truth)
        .map(|(p, t)| 2.0 * (p - t) / n)
        .collect();
    for (lead, range) in LEADS.iter().rev() {
        d[*lead] += range.clone().map(|i| d[i] * own[i]).sum::<f32>();
        range.clone().for_each(|i| d[i] *= row[*lead]);
    }
    for q in QUESTIONS {
        let sum = outputs[q.clone()].iter().map(|v| v.max(0.0)).sum::<f32>();
        let mean: f32 = q.clone().map(|i| d[i] * own[i]).sum();
        // Far from any positive output the step must stay finite.
        let scale = 1.0 / sum.max(0.05);
        for i in q {
            row[i] = scale * (d[i] - mean) * if outputs[i] > 0.0 { 1.0 } else { LEAK };
        }
    }
    loss
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_add_up() {
        let mut row: Vec<f32> = (0..37).map(|i| (i as f32 * 1.3).sin() + 0.4).collect();
        answer(&mut row);
        assert!(
            (row[0..3].iter().sum::<f32>() - 1.0).abs() < 1e-5
                && (row[13..15].iter().sum::<f32>() - 1.0).abs() < 1e-5
        );
        for (lead, range) in LEADS.iter().filter(|l| l.1.len() < 8) {
            assert!(
                (row[range.clone()].iter().sum::<f32>() - row[*lead]).abs() < 1e-5,
                "{lead}"
            );
        }
        assert!((row[31..37].iter().sum::<f32>() - row[7]).abs() < 1e-5);
    }

    #[test]
    fn gradient_agrees_with_differences() {
        let x: Vec<f32> = (0..37)
            .map(|i| (i as f32 * 0.9).sin().abs() + 0.2)
            .collect();
        let mut truth: Vec<f32> = (0..37).map(|i| (i as f32 * 0.5).cos().abs()).collect();
        answer(&mut truth);
        let mut g = x.clone();
        gradient(&mut g, &truth);
        for i in 0..37 {
            let at = |h: f32| {
                let mut y = x.clone();
                y[i] += h;
                gradient(&mut y, &truth)
            };
            let slope = (at(1e-2) - at(-1e-2)) / 2e-2;
            assert!(
                (slope - f64::from(g[i])).abs() < 2e-4 + 0.02 * slope.abs(),
                "{i}: {slope} {}",
                g[i]
            );
        }
    }
}
