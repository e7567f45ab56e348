//! Shape of the network.

use serde::{Deserialize, Serialize};

use crate::conv::Conv;
use crate::lanes::WIDTH;

/// Shape of a network. `depth` sets its size: dilations run 1, 2, 4, 8, 16, 32 and start again.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ShiftNetConfig {
    /// Input channels (a multiple of 16).
    pub inputs: usize,
    /// Channels of the trunk (a multiple of 16).
    pub width: usize,
    /// Residual convolutions in the trunk.
    pub depth: usize,
    /// Taps of each convolution, odd.
    pub taps: usize,
    /// Learned patterns.
    pub patterns: usize,
    /// Positions of the observed grid.
    pub grid: usize,
    /// First lag.
    pub min_lag: i32,
    /// Number of lags.
    pub lags: usize,
    /// Transform length, at least grid + lags.
    pub nfft: usize,
}

impl ShiftNetConfig {
    pub(super) fn conv(
        &self,
        channels: usize,
        filters: usize,
        taps: usize,
        dilation: usize,
    ) -> Conv {
        Conv {
            channels,
            filters,
            kernel: (1, taps),
            dilation,
            before: (0, taps / 2 * dilation),
        }
    }
    pub(super) fn stem(&self) -> Conv {
        self.conv(self.inputs, self.width, self.taps, 1)
    }
    pub(super) fn block(&self, layer: usize) -> Conv {
        self.conv(self.width, self.width, self.taps, 1 << (layer % 6))
    }
    pub(super) fn project(&self) -> Conv {
        self.conv(self.width, WIDTH, 1, 1)
    }
    pub(super) fn convs(&self) -> Vec<Conv> {
        let mut all = vec![self.stem()];
        all.extend((0..self.depth).map(|l| self.block(l)));
        all.push(self.project());
        all
    }
    /// Weights and biases of the trunk, with the bias of each pattern at the end.
    pub fn trunk_weights(&self) -> usize {
        self.convs()
            .iter()
            .map(|c| c.weights() + c.biases())
            .sum::<usize>()
            + self.patterns
    }
    /// Multiply-adds × 2 of the trunk per position.
    pub fn flop_per_position(&self) -> usize {
        self.convs().iter().map(|c| 2 * c.weights()).sum()
    }
}
