//! Networks of the image systems: a list of layers, its symmetry, and what of a view goes into it.

use serde::{Deserialize, Serialize};
use slipher_nn::augment::{Affine, crop, turned, view};
use slipher_nn::network::{BadNetwork, Init, Layer, Network, Symmetry};

use crate::geometry::Geometry;
use crate::views::View;

/// Images that a network makes of a view, each through the same filters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "parts", rename_all = "kebab-case")]
pub enum InputViews {
    /// The view.
    Whole,
    /// Turned by 0, 90, 180 and 270°.
    Turns,
    /// The four corners of `side` pixels of the view, of its mirror image, and of both turned by
    /// 45°, turned so that the middle of the galaxy lies in the same corner (Dieleman et al. 2015,
    /// section 5.3).
    Corners {
        /// Of the corner in pixels.
        side: usize,
    },
    /// The middle of `side` pixels.
    Middle {
        /// Of the middle in pixels.
        side: usize,
    },
    /// One plane at two scales: the middle of `side` pixels, and of twice as many, seen half as
    /// large.
    Scales {
        /// Of the smaller middle in pixels.
        side: usize,
    },
}

/// A network without its weights.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Architecture {
    /// How a view is cut into the inputs of the network.
    #[serde(rename = "parts")]
    pub input_views: InputViews,
    /// From the input to the head.
    pub layers: Vec<Layer>,
    /// Weights tied by a symmetry of the square.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub symmetry: Option<Symmetry>,
    /// How new weights are drawn, (distribution, bias) for each layer.
    pub init: Vec<(Init, f32)>,
    /// Views that a prediction takes the mean of, weighted by validation.
    pub views: Vec<View>,
}

impl InputViews {
    /// Number and side.
    pub fn size(self, side: usize) -> (usize, usize) {
        match self {
            InputViews::Whole => (1, side),
            InputViews::Turns => (4, side),
            InputViews::Corners { side } => (16, side),
            InputViews::Middle { side } | InputViews::Scales { side } => (1, side),
        }
    }

    /// Channels of each part.
    fn channels(self, of_view: usize) -> usize {
        if matches!(self, InputViews::Scales { .. }) {
            2 * of_view
        } else {
            of_view
        }
    }

    /// The parts of `[channel][side][side]`, one after the other.
    pub fn of(self, x: &[f32], side: usize, out: &mut Vec<f32>) {
        match self {
            InputViews::Whole => out.extend_from_slice(x),
            InputViews::Turns => (0..4).for_each(|g| out.extend(turned(x, side, g))),
            InputViews::Middle { side: to } => out.extend(middle(x, side, to)),
            InputViews::Scales { side: to } => {
                out.extend(middle(x, side, to));
                let wide = middle(x, side, 2 * to);
                for plane in wide.chunks_exact(4 * to * to) {
                    for i in 0..to * to {
                        let at = i / to * 4 * to + i % to * 2;
                        out.push(
                            0.25 * (plane[at]
                                + plane[at + 1]
                                + plane[at + 2 * to]
                                + plane[at + 2 * to + 1]),
                        );
                    }
                }
            }
            InputViews::Corners { side: part } => {
                let mut v = Vec::new();
                for (angle, flip) in [
                    (0.0, false),
                    (0.0, true),
                    (std::f32::consts::FRAC_PI_4, false),
                    (std::f32::consts::FRAC_PI_4, true),
                ] {
                    view(
                        x,
                        side,
                        side,
                        side,
                        1.0,
                        &Affine::new(angle, flip, 1.0, [0.0; 2]),
                        &mut v,
                    );
                    for g in 0..4 {
                        // Turning the whole and cutting one corner turns each corner into place.
                        out.extend(crop(&turned(&v, side, g), (side, side), part, (0, 0)));
                    }
                }
            }
        }
    }
}

fn middle(x: &[f32], side: usize, to: usize) -> Vec<f32> {
    let at = (side - to) / 2;
    crop(x, (side, side), to, (at, at))
}

impl Architecture {
    /// A new network for a system of this geometry and so many outputs.
    ///
    /// # Errors
    /// Layers that do not fit.
    pub fn build(&self, g: Geometry, outputs: usize, seed: u64) -> Result<Network, BadNetwork> {
        let (_, side) = self.input_views.size(g.side());
        let mut net = Network::new(
            g.maps(self.input_views.channels(g.channels()), side),
            &self.layers,
            seed,
        )?;
        if net.outputs() != outputs {
            let index = self.layers.len() - 1;
            return Err(BadNetwork {
                index,
                layer: self.layers[index],
                why: format!("expected {outputs} outputs"),
            });
        }
        net.initialise_each(seed, |i, _| {
            self.init.get(i).copied().unwrap_or((Init::He, 0.0))
        });
        if let Some(s) = self.symmetry {
            net.tie(s)?;
        }
        Ok(net)
    }

    /// Convolutions of 3 × 3 in stages that halve the maps, the means of the maps, two dense
    /// layers; of growing `width`. With the symmetry of the square, answers do not change when the
    /// image turns by quarters or is mirrored, and 8 weights are one.
    pub fn square(
        input_views: InputViews,
        g: Geometry,
        outputs: usize,
        width: usize,
        symmetry: Option<Symmetry>,
    ) -> Architecture {
        let norm = Layer::BatchNorm {
            momentum: 0.98,
            eps: 1e-3,
        };
        let mut layers = Vec::new();
        let (mut side, mut stage) = (input_views.size(g.side()).1, 0usize);
        loop {
            let filters = width << stage.min(2);
            // One wide convolution where the maps are large.
            if side > 40 {
                layers.extend([Layer::conv(filters, (5, 5), true, 0.05), norm]);
            } else {
                layers.extend([
                    Layer::conv(filters, (3, 3), true, 0.05),
                    norm,
                    Layer::conv(filters, (3, 3), true, 0.05),
                    norm,
                ]);
            }
            let pool = if side % 2 == 0 { 2 } else { 3 };
            if side <= 6 || (side - pool) % 2 != 0 {
                break;
            }
            layers.push(Layer::MaxPool {
                size: pool,
                stride: 2,
                same: false,
            });
            side = (side - pool) / 2 + 1;
            stage += 1;
        }
        layers.extend([
            Layer::GlobalMean,
            Layer::Dense {
                units: 4 * width,
                slope: 0.05,
            },
            Layer::Dropout { rate: 0.2 },
            Layer::Dense {
                units: outputs,
                slope: 1.0,
            },
        ]);
        let views = if symmetry.is_some() {
            vec![View::PLAIN]
        } else {
            View::list(&[0, 1, 2, 3, 4, 5, 6, 7], &[0])
        };
        Architecture {
            input_views,
            init: vec![(Init::He, 0.0); layers.len()],
            layers,
            symmetry,
            views,
        }
    }

    /// Layers whose outputs are those of a posterior.
    pub fn of_posterior(layers: Vec<Layer>) -> Architecture {
        let mut init = vec![(Init::He, 0.0); layers.len()];
        // A posterior begins as its prior: the exponentials of its errors would take long to come
        // back.
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

    /// Convolutions in four stages that halve the maps, and dense layers that see where things are:
    /// for posteriors.
    pub fn stages(width: usize, outputs: usize) -> Architecture {
        let norm = Layer::BatchNorm {
            momentum: 0.98,
            eps: 1e-3,
        };

        let pool = Layer::MaxPool {
            size: 2,
            stride: 2,
            same: false,
        };
        let conv = |f, k| [Layer::conv(f, (k, k), true, 0.05), norm];
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
        Architecture::of_posterior(layers)
    }

    /// Input of the network for one view, appended to `out`.
    pub fn input(&self, g: Geometry, x: &[f32], out: &mut Vec<f32>) {
        self.input_views.of(x, g.side(), out);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn corners_meet_in_the_middle() {
        // A single bright pixel in the middle lies in the same corner of all sixteen parts.
        let mut x = vec![0.0f32; 69 * 69];
        x[34 * 69 + 34] = 1.0;
        let mut out = Vec::new();
        InputViews::Corners { side: 45 }.of(&x, 69, &mut out);
        assert_eq!(out.len(), 16 * 45 * 45);
        for part in out.chunks(45 * 45) {
            assert!(part[34 * 45 + 34] > 0.9);
        }
        let mut scales = Vec::new();
        InputViews::Scales { side: 34 }.of(&x, 69, &mut scales);
        assert!(
            (scales[..34 * 34].iter().sum::<f32>() - 1.0).abs() < 1e-6
                && (scales[34 * 34..].iter().sum::<f32>() - 0.25).abs() < 1e-6
        );
    }

    /// Answers of the tied network do not change under the eight turns, through the whole path of
    /// views and parts.
    #[test]
    fn the_square_network_turns() {
        let g = Geometry::Image {
            channels: 2,
            stored: 25,
            side: 21,
        };
        let a = Architecture::square(InputViews::Whole, g, 3, 16, Some(Symmetry::P4m));
        let net = a.build(g, 3, 4).unwrap();
        let p = slipher_nn::predictor::Predictor::new(&net, slipher_nn::predictor::Precision::F32);
        let x: Vec<f32> = (0..2 * 625).map(|i| (0.3 * i as f32).sin()).collect();
        let answer = |turn: usize| {
            let (mut v, mut input) = (vec![], vec![]);
            View {
                turn,
                shift: (0, 0),
            }
            .of(g, &x, &mut v);
            a.input(g, &v, &mut input);
            p.predict(&input)
        };
        for turn in 1..8 {
            assert!(
                answer(turn)
                    .iter()
                    .zip(answer(0))
                    .all(|(a, b)| (a - b).abs() < 1e-4),
                "{turn}"
            );
        }
        assert!(a.build(g, 4, 4).is_err());
    }
}
