//! The network of Deep-HiTS (arch7 of its repository): four turns of the stamps through the same
//! filters, joined before the dense layers.

use slipher_nn::network::{Init, Layer};

use crate::architecture::{Architecture, InputViews};
use crate::views::View;

/// Slope of the leaky rectifier.
const SLOPE: f32 = 0.01;

/// 4 × 21 × 21, four turns; 32 4×4 (borders of 3), 32 3×3, pool, 3 × 64 3×3, pool, 64, 64, 2.
pub fn published() -> Architecture {
    let conv = |filters, k| Layer::conv(filters, (k, k), true, SLOPE);
    let pool = Layer::MaxPool {
        size: 2,
        stride: 2,
        same: false,
    };
    let drop = Layer::Dropout { rate: 0.5 };
    let dense = Layer::Dense {
        units: 64,
        slope: SLOPE,
    };
    let layers = vec![
        Layer::Pad { border: 3 },
        Layer::conv(32, (4, 4), false, SLOPE),
        conv(32, 3),
        pool,
        conv(64, 3),
        conv(64, 3),
        conv(64, 3),
        pool,
        Layer::Join {
            views: 4,
            mean: false,
        },
        dense,
        drop,
        dense,
        drop,
        Layer::Dense {
            units: 2,
            slope: 1.0,
        },
    ];
    Architecture {
        input_views: InputViews::Turns,
        init: vec![(Init::He, 0.0); layers.len()],
        layers,
        symmetry: None,
        views: vec![View::PLAIN],
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::geometry::Geometry;

    /// The sizes of the repository: 24, 12, 12, 6 and 9216 joined values.
    #[test]
    fn has_the_published_sizes() {
        let net = published()
            .build(
                Geometry::Image {
                    channels: 4,
                    stored: 25,
                    side: 21,
                },
                2,
                1,
            )
            .unwrap();
        let shapes: Vec<Vec<usize>> = net
            .tensors()
            .iter()
            .filter(|t| t.shape.len() > 1)
            .map(|t| t.shape.clone())
            .collect();
        assert_eq!(
            shapes,
            [
                vec![32, 4, 4, 4],
                vec![32, 32, 3, 3],
                vec![64, 32, 3, 3],
                vec![64, 64, 3, 3],
                vec![64, 64, 3, 3],
                vec![64, 9216],
                vec![64, 64],
                vec![2, 64]
            ]
        );
    }
}
