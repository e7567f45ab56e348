//! How large a study is.

use serde::{Deserialize, Serialize};

/// How large.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Scale {
    /// Seconds; for tests of the study itself, too small to mean anything.
    Tiny,
    /// Minutes on two cores.
    Small,
    /// The talk's sizes: 40 thousand, 400 thousand and 4 million examples; hours.
    Paper,
}

/// Sizes and lengths of all runs.
#[derive(Clone, Copy, Debug)]
pub struct Sizes {
    /// Rest-frame SEDs.
    pub seds: usize,
    /// Rows of every test set, and of the validation set that settings are chosen on.
    pub test: u64,
    /// Rows of the validation set.
    pub validation: u64,
    /// Validation rows that the sharpness of the softmax is fitted on.
    pub calibration: u64,
    /// The talk's 40K, 400K and 4M.
    pub few: u64,
    /// The talk's 400K.
    pub many: u64,
    /// The talk's 4M.
    pub most: u64,
    /// Training sets of the curve of accuracy against their size: for the authors' network, for
    /// ours.
    pub curve_paper: &'static [u64],
    /// For the shift-equivariant network.
    pub curve_shift: &'static [u64],
    /// Rows that classical methods learn from, and SEDs that the matched filter knows.
    pub classical: u64,
    /// SEDs that the matched filter knows.
    pub filter: usize,
}

impl Scale {
    /// Sizes of a scale.
    pub fn sizes(self) -> Sizes {
        match self {
            Scale::Tiny => Sizes {
                seds: 60,
                test: 60,
                validation: 40,
                calibration: 60,
                few: 64,
                many: 128,
                most: 256,
                curve_paper: &[64, 256],
                curve_shift: &[32, 64],
                classical: 200,
                filter: 40,
            },
            Scale::Small => Sizes {
                seds: 2000,
                test: 1000,
                validation: 500,
                calibration: 1500,
                few: 2000,
                many: 10_000,
                most: 40_000,
                curve_paper: &[2000, 10_000, 40_000],
                curve_shift: &[500, 2000, 10_000],
                classical: 3000,
                filter: 200,
            },
            Scale::Paper => Sizes {
                seds: 13_000,
                test: 10_000,
                validation: 2000,
                calibration: 10_000,
                few: 40_000,
                many: 400_000,
                most: 4_000_000,
                curve_paper: &[4000, 40_000, 400_000, 4_000_000],
                curve_shift: &[1000, 4000, 40_000, 400_000],
                classical: 40_000,
                filter: 1200,
            },
        }
    }

    /// Examples shown in all to the authors' network from a training set of `n`: long enough to
    /// converge (clean spectra need half as many), the largest set once.
    pub(super) fn shown_paper(self, n: u64, noisy: bool) -> u64 {
        match self {
            Scale::Paper if !noisy => n.clamp(200_000, 400_000),
            Scale::Tiny => 256,
            Scale::Small => (n * 3).clamp(20_000, 60_000),
            Scale::Paper => (n * 2).clamp(200_000, 4_000_000),
        }
    }

    /// The same for the shift-equivariant network, which needs fewer.
    pub(super) fn shown_shift(self, n: u64) -> u64 {
        match self {
            Scale::Tiny => 64,
            Scale::Small => (n * 2).clamp(8000, 20_000),
            Scale::Paper => (n * 2).clamp(16_000, 200_000),
        }
    }
}
