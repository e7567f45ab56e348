//! Networks of [`super::LightCurves`].

use slipher_nn::network::{Init, Layer};

use crate::architecture::{Architecture, InputViews};
use crate::views::View;

const NORM: Layer = Layer::BatchNorm {
    momentum: 0.97,
    eps: 1e-3,
};

/// Convolutions over time in residual units of growing width, dense layers at the end.
pub fn own(width: usize, outputs: usize) -> Architecture {
    let conv = |f, k, slope| Layer::conv(f, (1, k), true, slope);
    let pool = Layer::MaxPool {
        size: 2,
        stride: 2,
        same: false,
    };
    let mut layers = vec![conv(width, 5, 0.05), NORM];
    for filters in [width, 2 * width, 2 * width] {
        if filters > width || layers.len() > 2 {
            layers.extend([conv(filters, 3, 0.05), NORM]);
        }
        let from = layers.len() - 1;
        layers.extend([
            conv(filters, 5, 0.05),
            NORM,
            conv(filters, 5, 1.0),
            Layer::Skip {
                from,
                concat: false,
                slope: 0.05,
            },
            NORM,
            pool,
        ]);
    }
    layers.extend([
        Layer::Dense {
            units: 4 * width,
            slope: 0.05,
        },
        Layer::Dropout { rate: 0.3 },
        Layer::Dense {
            units: 2 * width,
            slope: 0.05,
        },
        Layer::Tap,
        Layer::Dropout { rate: 0.3 },
        Layer::Dense {
            units: outputs,
            slope: 1.0,
        },
    ]);
    Architecture {
        input_views: InputViews::Whole,
        init: vec![(Init::He, 0.0); layers.len()],
        layers,
        symmetry: None,
        views: vec![View::PLAIN],
    }
}
