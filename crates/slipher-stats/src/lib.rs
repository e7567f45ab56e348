//! Statistics: figures of merit with their intervals, calibration of probabilities, and the
//! classical methods that networks are compared with. Methods have one shape: parameters →
//! `fit(data)` → `predict(data)`.
//!
//! * [`proportion`]: shares of successes, Wilson's interval.
//! * [`calibration`]: reliability, thresholds for a purity, pulls, uniformity.
//! * [`posterior`]: coverage, pulls, PIT and CRPS of posteriors.
//! * [`classification`]: accuracy, confusion, ROC, log loss, with intervals by bootstrap.
//! * [`pca`]: principal components by subspace iteration.
//! * [`neighbours`]: k nearest neighbours, exact.
//! * [`forest`]: random forest of classification trees.
//! * [`boosting`]: gradient-boosted trees.
//! * [`ica`]: independent components; [`levenberg`]: nonlinear least squares.
//! * [`logistic`]: multinomial logistic regression.
//! * [`few`]: classes from few examples on learned features, with the error that new rows have.
//! * [`whitening`] and [`similar`]: Mahalanobis distances, search for similar and unusual rows.
//! * [`svm`]: multi-class support-vector machine, linear or with a Gaussian kernel on landmarks.
//!
//! Data are `[row][feature]` in one slice. Products of matrices run on the register tile of
//! `slipher-nn`; results do not depend on the number of threads.

#![allow(
    clippy::needless_range_loop,
    reason = "index loops over several arrays at once read better than zips in numerical code"
)]

pub mod boosting;
pub mod calibration;
pub mod cholesky;
pub mod classification;
pub mod few;
pub mod forest;
pub mod ica;
pub mod levenberg;
pub mod logistic;
pub mod neighbours;
pub mod pca;
pub mod posterior;
pub mod product;
pub mod proportion;
pub mod ranking;
pub mod sample;
pub mod similar;
pub mod svm;
pub mod whitening;

/// Training data of a classifier.
#[derive(Clone, Copy, Debug)]
pub struct Labelled<'a> {
    /// `[row][feature]`.
    pub x: &'a [f32],
    /// Values of a row.
    pub features: usize,
    /// One below `classes` for each row.
    pub labels: &'a [usize],
    /// Number of classes.
    pub classes: usize,
}

impl<'a> Labelled<'a> {
    /// # Panics
    /// If the lengths do not fit or a label is too large.
    pub fn new(x: &'a [f32], features: usize, labels: &'a [usize], classes: usize) -> Self {
        assert_eq!(x.len(), features * labels.len(), "a label for each row");
        assert!(
            labels.iter().all(|l| *l < classes),
            "labels below {classes}"
        );
        Labelled {
            x,
            features,
            labels,
            classes,
        }
    }
    /// Number of rows.
    pub fn rows(&self) -> usize {
        self.labels.len()
    }
    /// Values of row `i`.
    pub fn row(&self, i: usize) -> &'a [f32] {
        &self.x[i * self.features..(i + 1) * self.features]
    }
}

#[cfg(test)]
pub(crate) mod tests {
    /// A deterministic set: x₀, x₁ on five arms with noise, x₂, x₃ noise.
    pub fn spiral(n: usize, seed: u64) -> (Vec<f32>, Vec<usize>) {
        let mut state = seed;
        let mut uniform = || {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            (state >> 40) as f32 / (1u64 << 24) as f32
        };
        let (mut x, mut labels) = (Vec::new(), Vec::new());
        for i in 0..n {
            let (class, t) = (i % 5, uniform());
            let angle = 2.0 * std::f32::consts::PI * (class as f32 / 5.0 + 0.7 * t);
            let mut noise = |s: f32| s * (uniform() + uniform() + uniform() - 1.5);
            x.extend([
                t * angle.cos() + noise(0.12),
                t * angle.sin() + noise(0.12),
                noise(1.0),
                noise(1.0),
            ]);
            labels.push(class);
        }
        (x, labels)
    }
}
