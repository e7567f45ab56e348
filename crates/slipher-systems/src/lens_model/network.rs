//! The network of Hezaveh et al. (2017) whose layers are verified.

use slipher_nn::network::Layer;

use crate::architecture::Architecture;

/// AlexNet as their code has it (64 of 11 × 11 in steps of 4, 192 of 5, 384, 384 and 256 of 3,
/// pooling after the first, second and last, two wide layers), on 80 × 80 pixels where theirs sees
/// 192 × 192: filters of 11 pixels in steps of 4 are 3 × 3 blocks of 4 × 4, pooling is of 2 × 2, and
/// the wide layers have 1024 units for 4096.
pub fn alexnet(outputs: usize) -> Architecture {
    let pool = Layer::MaxPool {
        size: 2,
        stride: 2,
        same: false,
    };
    let conv = |f, k| Layer::conv(f, (k, k), true, 0.0);
    let dense = |units, slope| Layer::Dense { units, slope };
    let layers = vec![
        Layer::SpaceToDepth { size: 4 },
        conv(64, 3),
        pool,
        conv(192, 5),
        pool,
        conv(384, 3),
        conv(384, 3),
        conv(256, 3),
        dense(1024, 0.0),
        Layer::Dropout { rate: 0.2 },
        dense(1024, 0.0),
        Layer::Dropout { rate: 0.2 },
        dense(outputs, 1.0),
    ];
    Architecture::of_posterior(layers)
}
