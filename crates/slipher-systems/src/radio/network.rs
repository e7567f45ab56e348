//! AlexNet for one radio map, as Aniyan & Thorat trained three of.

use slipher_nn::network::{Init, Layer};

use crate::architecture::{Architecture, InputViews};
use crate::views::View;

/// 96 11×11/4, norm, pool 3/2, 256 5×5 in two groups, norm, pool, 384 3×3, 384 3×3 and 256 3×3 in
/// two groups, pool, 4096, 4096, `outputs`; of the middle 148 of 150 pixels. The first filters have
/// 12 × 12 weights: four by four pixels become channels first.
pub fn published(outputs: usize) -> Architecture {
    let pool = Layer::MaxPool {
        size: 3,
        stride: 2,
        same: false,
    };
    let norm = Layer::Response {
        size: 5,
        alpha: 1e-4,
        beta: 0.75,
    };
    let conv = |filters, k, groups| Layer::Conv {
        filters,
        kernel: (k, k),
        same: true,
        slope: 0.0,
        groups,
    };
    let drop = Layer::Dropout { rate: 0.5 };
    let dense = Layer::Dense {
        units: 4096,
        slope: 0.0,
    };
    let layers = vec![
        Layer::SpaceToDepth { size: 4 },
        Layer::conv(96, (3, 3), false, 0.0),
        norm,
        pool,
        conv(256, 5, 2),
        norm,
        pool,
        conv(384, 3, 1),
        conv(384, 3, 2),
        conv(256, 3, 2),
        pool,
        dense,
        drop,
        dense,
        drop,
        Layer::Dense {
            units: outputs,
            slope: 1.0,
        },
    ];
    // AlexNet's normal weights of 0.01 need its 90 passes; these start where the signal keeps its
    // size.
    let init = layers.iter().map(|_| (Init::He, 0.0)).collect();
    Architecture {
        input_views: InputViews::Middle { side: 148 },
        init,
        layers,
        symmetry: None,
        views: vec![View::PLAIN],
    }
}
