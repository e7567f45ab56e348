//! The networks of [`super::STRUCTURE`].

use slipher_nn::network::{Init, Layer};

use crate::architecture::{Architecture, InputViews};
use crate::views::View;

const NORM: Layer = Layer::BatchNorm {
    momentum: 0.98,
    eps: 1e-3,
};

pub(crate) fn network(layers: Vec<Layer>) -> Architecture {
    let mut init = vec![(Init::He, 0.0); layers.len()];
    // A posterior begins as its prior: the exponentials of its errors would take long to come back.
    if let Some(last) = init.last_mut() {
        last.0 = Init::Normal(0.003);
    }
    Architecture {
        input_views: InputViews::Whole,
        init,
        layers,
        symmetry: None,
        views: vec![View::PLAIN],
    }
}

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
    network(layers)
}

/// Convolutions in four stages that halve the maps, and dense layers that see where things are.
pub fn own(width: usize, outputs: usize) -> Architecture {
    let pool = Layer::MaxPool {
        size: 2,
        stride: 2,
        same: false,
    };
    let conv = |f, k| [Layer::conv(f, (k, k), true, 0.05), NORM];
    let mut layers = vec![];
    layers.extend(conv(width, 5));
    layers.push(pool);
    for filters in [2 * width, 4 * width, 6 * width] {
        layers.extend(conv(filters, 3));
        layers.extend(conv(filters, 3));
        layers.push(pool);
    }
    let dense = |units, slope| Layer::Dense { units, slope };
    layers.extend([
        dense(16 * width, 0.05),
        dense(8 * width, 0.05),
        dense(outputs, 1.0),
    ]);
    network(layers)
}
