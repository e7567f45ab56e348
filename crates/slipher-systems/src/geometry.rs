//! Sizes of what a network sees.

use slipher_nn::maps::Shape;

/// Sizes of what a network sees.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Geometry {
    /// Squares.
    Image {
        /// Planes of the square.
        channels: usize,
        /// Side of the square that [`crate::system::System::encode`] gives.
        stored: usize,
        /// Side of the square that a network sees of it.
        side: usize,
    },
    /// Series of `length` steps; views do not turn or shift them.
    Series {
        /// Values of a step.
        channels: usize,
        /// Steps.
        length: usize,
    },
}

impl Geometry {
    /// Channels of what is encoded.
    pub fn channels(self) -> usize {
        match self {
            Geometry::Image { channels, .. } | Geometry::Series { channels, .. } => channels,
        }
    }
    /// Side of what is encoded; length of a series.
    pub fn stored(self) -> usize {
        match self {
            Geometry::Image { stored, .. } => stored,
            Geometry::Series { length, .. } => length,
        }
    }
    /// Side of what a network sees; length of a series.
    pub fn side(self) -> usize {
        match self {
            Geometry::Image { side, .. } => side,
            Geometry::Series { length, .. } => length,
        }
    }
    /// Values that [`crate::system::System::encode`] gives.
    pub fn encoded(self) -> usize {
        match self {
            Geometry::Image {
                channels, stored, ..
            } => channels * stored * stored,
            Geometry::Series { channels, length } => channels * length,
        }
    }
    /// Maps of a network's input of so many channels and this side.
    pub fn maps(self, channels: usize, side: usize) -> Shape {
        match self {
            Geometry::Image { .. } => Shape::new(channels, side, side),
            Geometry::Series { .. } => Shape::line(channels, side),
        }
    }
}
