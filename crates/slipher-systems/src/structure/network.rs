//! The networks of [`super::STRUCTURE`].

use slipher_nn::network::Layer;

use crate::architecture::Architecture;

/// Of the kind of Tuccillo et al.'s team (layers of DeepLeGATo are not published; those of GAMOCLASS
/// by the same authors are): three convolutions of growing width, each with pooling of 3 × 3, one
/// dense layer with dropout.
pub fn published(outputs: usize) -> Architecture {
    let pool = Layer::MaxPool {
        size: 3,
        stride: 3,
        same: false,
    };
    let mut layers = vec![];
    for filters in [32, 64, 128] {
        layers.extend([Layer::conv(filters, (3, 3), true, 0.0), pool]);
    }
    layers.extend([
        Layer::Dense {
            units: 128,
            slope: 0.0,
        },
        Layer::Dropout { rate: 0.5 },
        Layer::Dense {
            units: outputs,
            slope: 1.0,
        },
    ]);
    Architecture::of_posterior(layers)
}
