//! The three papers' networks, on stamps of 60 × 60 in g, r and i. Units are leaky ReLUs (slope
//! 0.05) where the papers have ELUs or ReLUs, and normalisation follows the unit that it normalises.

use slipher_nn::network::{Init, Layer};

use crate::architecture::{Architecture, InputViews};
use crate::views::View;

const SLOPE: f32 = 0.05;
const NORM: Layer = Layer::BatchNorm {
    momentum: 0.98,
    eps: 1e-3,
};
/// Every second row and column: a convolution of one pixel after it is one of stride 2.
const HALVE: Layer = Layer::MaxPool {
    size: 1,
    stride: 2,
    same: false,
};

fn conv(filters: usize, kernel: usize, slope: f32) -> Layer {
    Layer::conv(filters, (kernel, kernel), true, slope)
}

fn network(layers: Vec<Layer>) -> Architecture {
    Architecture {
        input_views: InputViews::Whole,
        init: vec![(Init::He, 0.0); layers.len()],
        layers,
        symmetry: None,
        views: View::list(&[0, 1, 2, 3, 4, 5, 6, 7], &[0]),
    }
}

/// Lanusse et al. (2018): 7 × 7 of 32, then five blocks of three bottleneck units, 16 to 256 wide
/// inside and 32 to 512 outside, the mean of the maps, one answer: 46 convolutions. A shortcut of
/// one pixel that is added is one convolution over both maps together.
pub fn deeplens() -> Architecture {
    let mut layers = vec![conv(32, 7, SLOPE), NORM];
    for (block, out) in [32, 64, 128, 256, 512].into_iter().enumerate() {
        for unit in 0..3 {
            if unit == 0 && block > 0 {
                layers.push(HALVE);
            }
            let from = layers.len() - 1;
            let inside = out / 2;
            layers.extend([conv(inside, 1, SLOPE), NORM, conv(inside, 3, SLOPE), NORM]);
            let wider = unit == 0;
            if wider {
                layers.push(Layer::Skip {
                    from,
                    concat: true,
                    slope: 1.0,
                });
                layers.push(conv(out, 1, SLOPE));
            } else {
                layers.push(conv(out, 1, 1.0));
                layers.push(Layer::Skip {
                    from,
                    concat: false,
                    slope: SLOPE,
                });
            }
            layers.push(NORM);
        }
    }
    layers.extend([
        Layer::GlobalMean,
        Layer::Dense {
            units: 2,
            slope: 1.0,
        },
    ]);
    network(layers)
}

/// Petrillo et al.'s entry to the lens-finding challenge (Metcalf et al. 2019; the network of the
/// 2017 paper is not published in full): three stacks of five layers, of 16, 32 and 64 filters,
/// joined by shortcuts.
pub fn petrillo() -> Architecture {
    let mut layers = vec![conv(16, 3, SLOPE), NORM];
    for (stack, filters) in [16, 32, 64].into_iter().enumerate() {
        if stack > 0 {
            layers.push(HALVE);
            layers.extend([conv(filters, 3, SLOPE), NORM]);
        }
        for _ in 0..2 {
            let from = layers.len() - 1;
            layers.extend([
                conv(filters, 3, SLOPE),
                NORM,
                conv(filters, 3, 1.0),
                Layer::Skip {
                    from,
                    concat: false,
                    slope: SLOPE,
                },
                NORM,
            ]);
        }
    }
    layers.extend([
        Layer::GlobalMean,
        Layer::Dense {
            units: 2,
            slope: 1.0,
        },
    ]);
    network(layers)
}

/// Jacobs et al. (2017): convolutions of 11, 5 and 3 pixels with pooling of 3 × 3 after each,
/// normalisation after the first, two layers of 1024 with dropout of one half. The number of
/// filters is not published: 32, 64 and 128.
pub fn jacobs() -> Architecture {
    let pool = Layer::MaxPool {
        size: 3,
        stride: 3,
        same: false,
    };
    let dense = Layer::Dense {
        units: 1024,
        slope: SLOPE,
    };
    let drop = Layer::Dropout { rate: 0.5 };
    network(vec![
        conv(32, 11, SLOPE),
        NORM,
        pool,
        conv(64, 5, SLOPE),
        pool,
        conv(128, 3, SLOPE),
        pool,
        dense,
        drop,
        dense,
        drop,
        Layer::Dense {
            units: 2,
            slope: 1.0,
        },
    ])
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Convolutions and dense layers as the papers count them; shortcuts that are convolutions are
    /// counted with the layer that they are added to.
    #[test]
    fn layers_are_counted() {
        let count = |a: &Architecture| {
            let weighted = |l: &&Layer| matches!(l, Layer::Conv { .. } | Layer::Dense { .. });
            a.layers.iter().filter(weighted).count()
        };
        assert_eq!(count(&deeplens()), 1 + 15 * 3 + 1);
        assert_eq!(count(&petrillo()), 1 + 3 * 4 + 2 + 1);
        assert_eq!(count(&jacobs()), 6);
    }
}
