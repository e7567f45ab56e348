//! Figures of merit of posteriors: bias, scatter, pulls, coverage, probability integral transform,
//! CRPS.

use slipher_nn::heads::posterior::Posterior;

use crate::calibration::{pulls, uniform};
use crate::classification::Figure;

/// Half the probability outside of an interval of 68.27, 95.45 and 99.73 %.
const TAILS: [(f64, &str); 3] = [
    (0.158_655, "coverage 68 %"),
    (0.022_750, "coverage 95 %"),
    (0.001_350, "coverage 99.7 %"),
];

/// Of each parameter, figures of answers `[row][value]` (as [`slipher_nn::heads::posterior`]
/// decodes them) against truths `[row][parameter]`; then the shares of truths in central intervals,
/// over all parameters.
pub fn figures(answers: &[f32], truth: &[f32], names: &[&'static str]) -> Vec<Figure> {
    let d = names.len();
    let rows = truth.len() / d.max(1);
    let width = answers.len() / rows.max(1);
    let row = |r: usize| Posterior::of(&answers[r * width..(r + 1) * width], d);
    let mut out = Vec::new();
    let mut transforms = Vec::with_capacity(truth.len());
    for j in 0..d {
        let t = |r: usize| f64::from(truth[r * d + j]);
        let n = rows.max(1) as f64;
        let mean = |f: &dyn Fn(usize) -> f64| (0..rows).map(f).sum::<f64>() / n;
        let bias = mean(&|r| row(r).mean(j) - t(r));
        let rmse = mean(&|r| (row(r).mean(j) - t(r)).powi(2)).sqrt();
        let crps = mean(&|r| row(r).crps(j, t(r)));
        let mut x: Vec<f64> = (0..rows)
            .map(|r| (row(r).mean(j) - t(r)) / row(r).sigma(j).max(1e-300))
            .collect();
        let mut u: Vec<f64> = (0..rows).map(|r| row(r).cumulative(j, t(r))).collect();
        transforms.extend_from_slice(&u);
        let none = (None, None);
        out.extend([
            Figure::new(format!("bias {}", names[j]), bias.abs(), false, none),
            Figure::new(format!("RMSE {}", names[j]), rmse, false, none),
            Figure::new(format!("CRPS {}", names[j]), crps, false, none),
            Figure::new(
                format!("|width of pulls − 1| {}", names[j]),
                (pulls(&mut x).width - 1.0).abs(),
                false,
                none,
            ),
            Figure::new(
                format!("distance of PIT from uniform {}", names[j]),
                uniform(&mut u).0,
                false,
                none,
            ),
        ]);
    }
    for (tail, name) in TAILS {
        let inside = transforms
            .iter()
            .filter(|u| (tail..=1.0 - tail).contains(*u))
            .count();
        let share = inside as f64 / transforms.len().max(1) as f64;
        out.push(Figure::new(
            name,
            share,
            true,
            (Some(1.0 - 2.0 * tail), None),
        ));
    }
    out
}

/// R² of each parameter, and then [`figures`].
pub fn with_r2(answers: &[f32], truth: &[f32], names: &[&'static str]) -> Vec<Figure> {
    let d = names.len();
    let rows = truth.len() / d;
    let width = answers.len() / rows.max(1);
    let mut out = Vec::new();
    for (j, name) in names.iter().enumerate() {
        let t = |r: usize| f64::from(truth[r * d + j]);
        let of = |r: usize| Posterior::of(&answers[r * width..(r + 1) * width], d).mean(j);
        let mean = (0..rows).map(t).sum::<f64>() / rows.max(1) as f64;
        let total: f64 = (0..rows).map(|r| (t(r) - mean).powi(2)).sum();
        let left: f64 = (0..rows).map(|r| (t(r) - of(r)).powi(2)).sum();
        let r2 = 1.0 - left / total.max(1e-300);
        out.push(Figure::new(format!("R² {name}"), r2, true, (None, None)));
    }
    out.extend(figures(answers, truth, names));
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Truths at the quantiles of their own posteriors: no bias, pulls of 1, uniform transforms,
    /// coverage as stated.
    #[test]
    fn posteriors_that_hold_are_seen_as_such() {
        let n = 4000;
        let (mut answers, mut truth) = (vec![], vec![]);
        for i in 0..n {
            // Weight, mean, and the Cholesky factor of the covariance: here the error.
            let own = [1.0f32, i as f32 * 0.01, 0.5];
            answers.extend(own);
            let p = (f64::from(i) * 0.618_033_988_75 + 0.5).fract();
            truth.push(Posterior::of(&own, 1).quantile(0, p) as f32);
        }
        let f = figures(&answers, &truth, &["x"]);
        let get = |name: &str| f.iter().find(|f| f.name.starts_with(name)).unwrap().value;
        assert!(get("bias") < 0.01 && (get("RMSE") - 0.5).abs() < 0.01 && get("|width") < 0.02);
        assert!(get("distance") < 0.01 && (get("coverage 68") - 0.6827).abs() < 0.003);
        assert!((get("coverage 99.7") - 0.9973).abs() < 0.001);
        // Errors half as large as they are.
        answers
            .iter_mut()
            .skip(2)
            .step_by(3)
            .for_each(|c| *c /= 2.0);
        let f = figures(&answers, &truth, &["x"]);
        let get = |name: &str| f.iter().find(|f| f.name.starts_with(name)).unwrap().value;
        assert!(get("coverage 68") < 0.42 && get("|width") > 0.9 && get("distance") > 0.1);
    }
}
