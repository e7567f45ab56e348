//! The network of Dieleman, Willett & Dambre (2015, section 5): sixteen parts of each galaxy
//! through the same filters.

use slipher_nn::network::{Init, Layer};

use crate::architecture::{Architecture, InputViews};
use crate::views::View;

/// InputViews of 45 × 45; 32 6×6, pool, 64 5×5, pool, 128 3×3, 128 3×3, pool, joined, twice 4096
/// units in pairs of maxout, 37. Biases are one a filter, where the paper's first layers have one a
/// pixel. `divisor` makes all layers narrower by that factor.
pub fn published(divisor: usize) -> Architecture {
    let width = |n: usize| (n / divisor).next_multiple_of(16).max(16);
    let pool = Layer::MaxPool {
        size: 2,
        stride: 2,
        same: false,
    };
    let conv = |filters, k| Layer::conv(width(filters), (k, k), false, 0.0);
    let drop = Layer::Dropout { rate: 0.5 };
    let dense = Layer::Dense {
        units: width(4096),
        slope: 1.0,
    };
    let max = Layer::Maxout { pieces: 2 };
    let layers = vec![
        conv(32, 6),
        pool,
        conv(64, 5),
        pool,
        conv(128, 3),
        conv(128, 3),
        pool,
        Layer::Join {
            views: 16,
            mean: false,
        },
        drop,
        dense,
        max,
        drop,
        dense,
        max,
        drop,
        Layer::Dense {
            units: 37,
            slope: 1.0,
        },
    ];
    // The paper's normal weights of 0.01 and less start slowly in a narrow network: He's variance,
    // the paper's biases.
    let init = layers
        .iter()
        .enumerate()
        .map(|(i, l)| match l {
            Layer::Conv { .. } if divisor == 1 => {
                (Init::Normal(if i == 5 { 0.1 } else { 0.01 }), 0.1)
            }
            Layer::Conv { .. } => (Init::He, 0.1),
            Layer::Dense { units: 37, .. } => (Init::Normal(0.01), 0.1),
            _ if divisor == 1 => (Init::Normal(0.001), 0.01),
            _ => (Init::He, 0.01),
        })
        .collect();
    // Two of the paper's sixty views: the mirror image is among the parts already.
    Architecture {
        input_views: InputViews::Corners { side: 45 },
        init,
        layers,
        symmetry: None,
        views: vec![View::PLAIN],
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::geometry::Geometry;

    /// 16 parts of 2 × 2 × 128 make 8192 inputs; about 42 million weights.
    #[test]
    fn has_the_published_size() {
        let net = published(1)
            .build(
                Geometry::Image {
                    channels: 3,
                    stored: 98,
                    side: 69,
                },
                37,
                1,
            )
            .unwrap();
        let n = net.parameters() as f64 / 1e6;
        assert!((n - 42.3).abs() < 0.5, "{n} million");
        assert_eq!(net.views(), 16);
    }
}
