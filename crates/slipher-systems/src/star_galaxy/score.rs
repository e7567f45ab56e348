//! The seven metrics of Kim & Brunner (2017, section 5), the positive class being the galaxy.

use slipher_stats::classification::{
    Figure, auc, column, completeness_at, is, log_loss, purity_at,
};

/// Objects that the calibration error takes together.
const WINDOW: usize = 1000;

/// Published beside: the ConvNet and the random forest with morphology on CFHTLenS.
pub fn figures(answers: &[f32], truth: &[f32]) -> Vec<Figure> {
    let (p, galaxy) = (column(answers, 2, 1), is(truth, 2, 1));
    let (q, star) = (column(answers, 2, 0), is(truth, 2, 0));
    let mse = p
        .iter()
        .zip(&galaxy)
        .map(|(p, y)| (f64::from(*p) - f64::from(u8::from(*y))).powi(2))
        .sum::<f64>()
        / p.len().max(1) as f64;
    let count = galaxy.iter().filter(|y| **y).count() as f64;
    let sum: f64 = p.iter().map(|p| f64::from(*p)).sum();
    let both = |cnn: f64, forest: f64| (Some(cnn), Some(forest));
    vec![
        Figure::new("AUC", auc(&p, &galaxy), true, both(0.9948, 0.9924)),
        Figure::new("MSE", mse, false, both(0.0112, 0.0109)),
        Figure::new(
            "purity of galaxies at completeness 0.96",
            purity_at(&p, &galaxy, 0.96),
            true,
            both(0.9972, 0.9963),
        ),
        Figure::new(
            "completeness of stars at purity 0.97",
            completeness_at(&q, &star, 0.97),
            true,
            both(0.8971, 0.9268),
        ),
        Figure::new("CAL", calibration(&p, &galaxy), false, both(0.0197, 0.0245)),
        Figure::new(
            "|ΔN_g| / N_g",
            (count - sum).abs() / count.max(1.0),
            false,
            both(0.0029, 0.0056),
        ),
        Figure::new(
            "log loss",
            log_loss(answers, truth, 2),
            false,
            both(0.0441, 0.0809),
        ),
    ]
}

/// Mean over windows of objects sorted by probability of |mean probability − share of galaxies|
/// (Caruana & Niculescu-Mizil 2004).
fn calibration(p: &[f32], galaxy: &[bool]) -> f64 {
    let mut rows: Vec<(f32, bool)> = p.iter().copied().zip(galaxy.iter().copied()).collect();
    rows.sort_by(|a, b| a.0.total_cmp(&b.0));
    let s = WINDOW.min(rows.len()).max(1);
    let (mut probability, mut found) = (0.0f64, 0.0f64);
    let (mut sum, mut windows) = (0.0, 0usize);
    for i in 0..rows.len() {
        probability += f64::from(rows[i].0);
        found += f64::from(u8::from(rows[i].1));
        if i >= s {
            probability -= f64::from(rows[i - s].0);
            found -= f64::from(u8::from(rows[i - s].1));
        }
        if i + 1 >= s {
            sum += (probability - found).abs() / s as f64;
            windows += 1;
        }
    }
    sum / windows.max(1) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn honest_probabilities_have_no_calibration_error() {
        let n = 20_000;
        let p: Vec<f32> = (0..n).map(|i| (i as f32 + 0.5) / n as f32).collect();
        let y: Vec<bool> = p
            .iter()
            .enumerate()
            .map(|(i, p)| (i as f64 * 0.618_033_988_75).fract() < f64::from(*p))
            .collect();
        assert!(calibration(&p, &y) < 0.005);
        let half = vec![0.5; n];
        assert!(calibration(&half, &y) < 0.6 && calibration(&half, &y) > 0.1);
        let answers: Vec<f32> = p.iter().flat_map(|p| [1.0 - p, *p]).collect();
        let truth: Vec<f32> = y
            .iter()
            .flat_map(|y| [f32::from(u8::from(!y)), f32::from(u8::from(*y))])
            .collect();
        let f = figures(&answers, &truth);
        assert!(
            f[5].value < 0.01 && (f[1].value - 1.0 / 6.0).abs() < 0.005,
            "{f:?}"
        );
    }
}
