//! Weights tied by a symmetry of the square, so that feature maps turn with the image (Cohen &
//! Welling 2016).
//!
//! Channels of hidden maps come in sets of G, one for each element h of the group; under a turn g
//! of the image the channel h of a set becomes channel g·h, turned. A convolution commutes with
//! that if
//!
//! w[(f, g·a)][(c, g·h)][g(p)] = w[(f, a)][(c, h)][p]
//!
//! for all g. The weights of one such orbit are equal: they start equal, and the gradient of each
//! is the sum over the orbit. After [`Layer::GlobalMean`](super::Layer) the first dense layer has
//! equal weights for the G channels of a set, and what comes out does not change when the image
//! turns. Prediction needs no code of its own.

use serde::{Deserialize, Serialize};

use super::{BadNetwork, Flat, Network, Step};
use crate::dense;

/// Turns by 90° (p4), or also reflections (p4m).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Symmetry {
    /// Turns by 90 degrees.
    P4,
    /// Turns and reflections.
    P4m,
}

impl Symmetry {
    /// Elements of the group: k turns, after a reflection for k ≥ 4.
    pub fn order(self) -> usize {
        if self == Symmetry::P4 { 4 } else { 8 }
    }

    /// Averages means and variances of the channels of each set.
    pub(super) fn average(self, mean: &mut [f32], variance: &mut [f32]) {
        let n = self.order() as f32;
        for (m, v) in mean
            .chunks_exact_mut(self.order())
            .zip(variance.chunks_exact_mut(self.order()))
        {
            m.fill(m.iter().sum::<f32>() / n);
            v.fill(v.iter().sum::<f32>() / n);
        }
    }
}

/// Where element `g` takes the pixel (row, column) of an n × n square.
pub fn turn(g: usize, n: usize, (y, x): (usize, usize)) -> (usize, usize) {
    let mut p = if g >= 4 { (y, n - 1 - x) } else { (y, x) };
    for _ in 0..g % 4 {
        p = (n - 1 - p.1, p.0);
    }
    p
}

/// The element that does `h`, then `g`.
fn product(g: usize, h: usize) -> usize {
    let of = |e: usize| [(0, 1), (1, 0)].map(|p| turn(e, 3, p));
    let both = [(0, 1), (1, 0)].map(|p| turn(g, 3, turn(h, 3, p)));
    (0..8).find(|e| of(*e) == both).expect("a group")
}

impl Network {
    /// Ties the weights by a symmetry.
    ///
    /// # Errors
    /// Maps that are not square, filters that are not in sets, pooling that does not cover the maps
    /// evenly, even kernels, or a dense layer that sees single pixels.
    pub fn tie(&mut self, symmetry: Symmetry) -> Result<(), BadNetwork> {
        let g = symmetry.order();
        let mut orbits: Vec<u32> = Vec::new();
        let (mut shape, mut hidden, mut dense) = (self.input, false, false);
        for (i, step) in self.steps.iter().enumerate() {
            let bad = |why: &str| BadNetwork {
                index: i,
                layer: self.layers[i],
                why: why.into(),
            };
            match *step {
                Step::Conv {
                    conv,
                    out,
                    at,
                    groups,
                    ..
                } => {
                    let n = conv.kernel.0;
                    if conv.kernel.1 != n
                        || n % 2 == 0
                        || !conv.filters.is_multiple_of(g)
                        || groups != 1
                        || shape.height != shape.width
                    {
                        return Err(bad(
                            "expected square maps and kernels of odd size, and filters for whole sets",
                        ));
                    }
                    let (sets, own) = if hidden {
                        (conv.channels / g, g)
                    } else {
                        (conv.channels, 1)
                    };
                    for (f, c, h, p) in itertools(conv.filters / g, sets, own, n * n) {
                        for e in 0..g {
                            let channel = if hidden { c * g + product(e, h) } else { c };
                            let (y, x) = turn(e, n, (p / n, p % n));
                            orbits.push(
                                (at + conv.index(f * g + product(e, 0), channel, y, x)) as u32,
                            );
                        }
                    }
                    orbits.extend((0..conv.filters).map(|o| (at + conv.weights() + o) as u32));
                    (shape, hidden) = (out, true);
                }
                Step::Pool { pool, out } => {
                    if pool.same || (shape.height - pool.size) % pool.stride != 0 {
                        return Err(bad("expected windows that cover the maps to both edges"));
                    }
                    shape = out;
                }
                Step::Norm { out, at, .. } => {
                    orbits.extend((0..2 * out.channels).map(|c| (at + c) as u32))
                }
                Step::Dense {
                    inputs, units, at, ..
                } if !dense => {
                    if !self.steps[..i]
                        .iter()
                        .any(|s| matches!(s, Step::Flat(Flat::Mean(_))))
                    {
                        return Err(bad("expected the mean of each map before it"));
                    }
                    for u in 0..units {
                        orbits.extend(
                            (0..inputs).map(|j| (at + dense::index(inputs, units, j, u)) as u32),
                        );
                    }
                    dense = true;
                }
                Step::Pad { out, .. } | Step::Skip { out, .. } | Step::Upsample { out, .. } => {
                    shape = out;
                }
                Step::Unfold { .. } | Step::Response { .. } => {
                    return Err(bad("does not turn with the image"));
                }
                _ => {}
            }
        }
        self.tied = (g, orbits);
        self.symmetry = Some(symmetry);
        self.project();
        Ok(())
    }

    /// The symmetry of the weights.
    pub fn symmetry(&self) -> Option<Symmetry> {
        self.symmetry
    }

    /// Number of weights that are learned: one for each orbit.
    pub fn parameters(&self) -> usize {
        let all: usize = self.tensors().iter().map(|t| t.values.len()).sum();
        all - self.zero.len() - self.tied.1.len() / self.tied.0 * (self.tied.0 - 1)
    }

    /// Makes the weights of each orbit equal to its first, and those between groups zero.
    pub(super) fn project(&mut self) {
        for orbit in self.tied.1.chunks_exact(self.tied.0) {
            let value = self.weights[orbit[0] as usize];
            orbit.iter().for_each(|i| self.weights[*i as usize] = value);
        }
        self.zero
            .iter()
            .for_each(|i| self.weights[*i as usize] = 0.0);
    }

    /// Sums the gradient over each orbit.
    pub(super) fn fold(&self, grad: &mut [f32]) {
        for orbit in self.tied.1.chunks_exact(self.tied.0) {
            let sum: f32 = orbit.iter().map(|i| grad[*i as usize]).sum();
            orbit.iter().for_each(|i| grad[*i as usize] = sum);
        }
        self.zero.iter().for_each(|i| grad[*i as usize] = 0.0);
    }

    /// Weights of grouped convolutions from one group to another.
    pub(super) fn between_groups(&self) -> Vec<u32> {
        let mut out = Vec::new();
        for step in &self.steps {
            let Step::Conv {
                conv, at, groups, ..
            } = *step
            else {
                continue;
            };
            let (filters, channels) = (conv.filters / groups, conv.channels / groups);
            for o in 0..conv.filters {
                for c in (0..conv.channels).filter(|c| c / channels != o / filters) {
                    for k in 0..conv.kernel.0 * conv.kernel.1 {
                        out.push(
                            (at + conv.index(o, c, k / conv.kernel.1, k % conv.kernel.1)) as u32,
                        );
                    }
                }
            }
        }
        out
    }
}

/// All (filter set, channel set, element, tap).
fn itertools(
    filters: usize,
    channels: usize,
    elements: usize,
    taps: usize,
) -> impl Iterator<Item = (usize, usize, usize, usize)> {
    (0..filters * channels * elements * taps).map(move |i| {
        let (p, rest) = (i % taps, i / taps);
        let (h, rest) = (rest % elements, rest / elements);
        (rest / channels, rest % channels, h, p)
    })
}
