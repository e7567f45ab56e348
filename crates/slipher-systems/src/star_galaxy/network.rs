//! The network of Kim & Brunner (2017, table 1), which the talk shows.

use slipher_nn::network::{Init, Layer};

use crate::architecture::{Architecture, InputViews};
use crate::views::View;

const SLOPE: f32 = 0.01;

/// 5 × 44 × 44; 32 5×5, 32 3×3, pool, 3 × 64 3×3, pool, 3 × 128 3×3, pool, 2048, 2048, 2.
/// Orthogonal weights of gain √(2 / (1 + 0.01²)), biases 0.1 and 0.01; 64 views: four turns by four
/// shifts along either axis.
pub fn published() -> Architecture {
    let conv = |filters| Layer::conv(filters, (3, 3), true, SLOPE);
    let pool = Layer::MaxPool {
        size: 2,
        stride: 2,
        same: false,
    };
    let drop = Layer::Dropout { rate: 0.5 };
    let dense = Layer::Dense {
        units: 2048,
        slope: SLOPE,
    };
    let mut layers = vec![Layer::conv(32, (5, 5), false, SLOPE), conv(32), pool];
    layers.extend([
        conv(64),
        conv(64),
        conv(64),
        pool,
        conv(128),
        conv(128),
        conv(128),
        pool,
    ]);
    layers.extend([
        drop,
        dense,
        drop,
        dense,
        Layer::Dense {
            units: 2,
            slope: 1.0,
        },
    ]);
    let gain = (2.0 / (1.0 + SLOPE * SLOPE)).sqrt();
    let init = layers
        .iter()
        .map(|l| {
            (
                Init::Orthogonal(gain),
                if matches!(l, Layer::Conv { .. }) {
                    0.1
                } else {
                    0.01
                },
            )
        })
        .collect();
    Architecture {
        input_views: InputViews::Whole,
        init,
        layers,
        symmetry: None,
        views: View::list(&[0, 1, 2, 3], &[-2, -1, 1, 2]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn has_the_published_layers() {
        let a = published();
        assert_eq!(a.views.len(), 64);
        let convolutions = a
            .layers
            .iter()
            .filter(|l| matches!(l, Layer::Conv { .. }))
            .count();
        assert_eq!(
            (
                convolutions,
                a.layers
                    .iter()
                    .filter(|l| matches!(l, Layer::Dense { .. }))
                    .count()
            ),
            (8, 3)
        );
    }
}
