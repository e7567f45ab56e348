//! The U-Net (Ronneberger et al. 2015; the generator of Schawinski et al. 2017 has eight scales on 256
//! pixels, this one four on 64).

use slipher_nn::network::{Init, Layer};

use crate::architecture::{Architecture, InputViews};
use crate::views::View;

/// Convolutions at four scales, joined across; two planes come out: the image and ln of its error.
pub fn u_net(width: usize) -> Architecture {
    let conv = |f: usize| Layer::conv(f, (3, 3), true, 0.1);
    let pool = Layer::MaxPool {
        size: 2,
        stride: 2,
        same: false,
    };
    let mut layers = vec![conv(width), conv(width)];
    let mut ends = vec![layers.len() - 1];
    for k in 1..4 {
        let f = width << k.min(2);
        layers.extend([pool, conv(f), conv(f)]);
        ends.push(layers.len() - 1);
    }
    ends.pop();
    for (k, from) in ends.into_iter().enumerate().rev() {
        let f = width << k.min(2);
        layers.extend([
            Layer::Upsample { factor: 2 },
            Layer::Skip {
                from,
                concat: true,
                slope: 1.0,
            },
            conv(f),
            conv(f),
        ]);
    }
    layers.extend([
        Layer::conv(16, (3, 3), true, 1.0),
        Layer::Planes { channels: 2 },
    ]);
    let mut init = vec![(Init::He, 0.0); layers.len()];
    // Errors begin at 1, images at what the last maps say.
    let last = init.len() - 2;
    init[last].0 = Init::Normal(0.01);
    Architecture {
        input_views: InputViews::Whole,
        init,
        layers,
        symmetry: None,
        views: vec![View::PLAIN],
    }
}
