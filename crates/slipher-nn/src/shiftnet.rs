//! The shift-equivariant network: a residual trunk of dilated convolutions over a window of
//! any length, and a head that correlates its feature maps with learned patterns at every lag.
//!
//! Nothing is flattened and nothing pooled: shifting the input by one position shifts the
//! output by one lag, exactly, so weights are shared by all lags.

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};
use serde::{Deserialize, Serialize};

use crate::conv1d::{Conv, Rows};
use crate::correlation::{Correlation, Scratch};
use crate::lanes::{Isa, WIDTH};

/// Slope of the leaky ReLU below zero.
const SLOPE: f32 = 0.1;
/// The feature map that carries the coverage of the window instead of a learned feature.
const COVERAGE: usize = WIDTH - 1;

/// Shape of a network. `depth` is the dial: dilations run 1, 2, 4, 8, 16, 32 and start again.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ShiftNetConfig {
    /// Input channels (a multiple of 16).
    pub inputs: usize,
    /// Channels of the trunk (a multiple of 16).
    pub width: usize,
    /// Residual convolutions in the trunk.
    pub depth: usize,
    /// Taps of each convolution, odd.
    pub taps: usize,
    /// Learned patterns.
    pub patterns: usize,
    /// Positions of the observed grid.
    pub grid: usize,
    /// First lag.
    pub min_lag: i32,
    /// Number of lags.
    pub lags: usize,
    /// Transform length, at least grid + lags.
    pub nfft: usize,
}

impl ShiftNetConfig {
    fn stem(&self) -> Conv {
        Conv { cin: self.inputs, cout: self.width, taps: self.taps, dilation: 1 }
    }
    fn block(&self, layer: usize) -> Conv {
        Conv { cin: self.width, cout: self.width, taps: self.taps, dilation: 1 << (layer % 6) }
    }
    fn project(&self) -> Conv {
        Conv { cin: self.width, cout: WIDTH, taps: 1, dilation: 1 }
    }
    fn convs(&self) -> Vec<Conv> {
        let mut all = vec![self.stem()];
        all.extend((0..self.depth).map(|l| self.block(l)));
        all.push(self.project());
        all
    }
    /// Weights and biases of the trunk, with the bias of each pattern at the end.
    pub fn trunk_weights(&self) -> usize {
        self.convs().iter().map(|c| c.weights() + c.cout).sum::<usize>() + self.patterns
    }
    /// Multiply-adds × 2 of the trunk per position.
    pub fn flop_per_position(&self) -> usize {
        self.convs().iter().map(|c| 2 * c.weights()).sum()
    }
}

/// A network: its shape, its weights, and what is derived from them.
#[derive(Clone)]
pub struct ShiftNet {
    pub config: ShiftNetConfig,
    /// Convolution weights and biases in order, then the bias of each pattern.
    pub trunk: Vec<f32>,
    /// `[pattern][channel][rest position mod nfft]`.
    pub patterns: Vec<f32>,
    correlation: Correlation,
    wspec: Vec<f32>,
    transposed: Vec<Vec<f32>>,
    isa: Isa,
}

/// All that a forward pass leaves for the backward pass; reused from spectrum to spectrum.
#[derive(Clone, Debug, Default)]
pub struct Tape {
    input: Rows,
    coverage: Vec<f32>,
    offset: usize,
    hidden: Rows,
    active: Vec<Rows>,
    features: Rows,
    fspec: Vec<f32>,
    /// Output `[pattern][lag]`.
    pub logits: Vec<f32>,
    scratch: Scratch,
    grad: Rows,
    grad_active: Rows,
}

impl Tape {
    /// The input window, to be filled before [`ShiftNet::forward`]: `positions × inputs`.
    pub fn input(&mut self, positions: usize, inputs: usize) -> &mut [f32] {
        self.input.reset(positions, inputs);
        self.input.values_mut()
    }
    /// Takes the spectrum of the feature maps, for [`Gradients::patterns`].
    pub fn take_features_spectrum(&mut self) -> Vec<f32> {
        std::mem::take(&mut self.fspec)
    }
}

impl ShiftNet {
    /// Random weights (He et al. 2015 for convolutions; patterns start at zero).
    pub fn new(config: ShiftNetConfig, seed: u64) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let mut trunk = Vec::with_capacity(config.trunk_weights());
        let convs = config.convs();
        for (i, c) in convs.iter().enumerate() {
            let mut std = (2.0 / (c.taps * c.cin) as f32).sqrt();
            if i > 0 && i + 1 < convs.len() {
                std *= 0.5; // residual branches start small
            }
            trunk.extend((0..c.weights()).map(|_| {
                let x: f32 = StandardNormal.sample(&mut rng);
                x * std
            }));
            trunk.extend(std::iter::repeat_n(0.0, c.cout));
        }
        trunk.extend(std::iter::repeat_n(0.0, config.patterns));
        let patterns = vec![0.0; config.patterns * WIDTH * config.nfft];
        ShiftNet::from_weights(config, trunk, patterns)
    }

    /// A network of given weights; lengths must be those of the shape.
    pub fn from_weights(config: ShiftNetConfig, trunk: Vec<f32>, patterns: Vec<f32>) -> Self {
        assert_eq!(trunk.len(), config.trunk_weights());
        let correlation = Correlation::new(config.nfft, config.grid, config.min_lag, config.lags, config.patterns);
        assert_eq!(patterns.len(), correlation.weights());
        let mut net = ShiftNet { config, trunk, patterns, correlation, wspec: vec![], transposed: vec![], isa: Isa::best() };
        net.refresh();
        net
    }

    /// Recomputes what is derived from the weights, after an optimiser's step.
    pub fn refresh(&mut self) {
        self.wspec = self.correlation.patterns_spectrum(&self.patterns);
        self.transposed = self.offsets().map(|(c, at)| c.transposed(&self.trunk[at..at + c.weights()])).collect();
    }

    fn offsets(&self) -> impl Iterator<Item = (Conv, usize)> + use<> {
        let mut at = 0;
        self.config.convs().into_iter().map(move |c| {
            let start = at;
            at += c.weights() + c.cout;
            (c, start)
        })
    }

    /// Fills `tape.logits` (`[pattern][lag]`) from `tape.input`, which begins at grid position
    /// `offset`; `coverage` is 1 where the window has data, 0 where it has none.
    pub fn forward(&self, coverage: &[f32], offset: usize, tape: &mut Tape) {
        let n = tape.input.len();
        assert_eq!(coverage.len(), n);
        tape.offset = offset;
        tape.coverage.clear();
        tape.coverage.extend_from_slice(coverage);
        tape.active.resize_with(self.config.depth + 1, Rows::default);
        tape.hidden.reset(n, self.config.width);
        tape.features.reset(n, WIDTH);
        for (layer, (conv, at)) in self.offsets().enumerate() {
            let (w, rest) = self.trunk[at..].split_at(conv.weights());
            let bias = &rest[..conv.cout];
            if layer == 0 {
                conv.forward(self.isa, &tape.input, w, bias, &mut tape.hidden, false);
            } else {
                let a = &mut tape.active[layer - 1];
                a.reset(n, self.config.width);
                for (a, h) in a.values_mut().iter_mut().zip(tape.hidden.values()) {
                    *a = h.max(SLOPE * h);
                }
                let last = layer == self.config.depth + 1;
                let out = if last { &mut tape.features } else { &mut tape.hidden };
                conv.forward(self.isa, a, w, bias, out, !last);
            }
        }
        for (row, m) in tape.features.values_mut().chunks_exact_mut(WIDTH).zip(coverage) {
            row.iter_mut().for_each(|v| *v *= m);
            row[COVERAGE] = *m;
        }
        let c = &self.correlation;
        c.rows_spectrum(&tape.features, offset, &mut tape.fspec, &mut tape.scratch);
        c.correlate(self.isa, &tape.fspec, &self.wspec, &mut tape.logits, &mut tape.scratch);
        let bias = &self.trunk[self.trunk.len() - self.config.patterns..];
        for (row, b) in tape.logits.chunks_exact_mut(c.lags()).zip(bias) {
            row.iter_mut().for_each(|v| *v += b);
        }
    }

    /// Adds the trunk's gradient to `grad` (as [`ShiftNet::trunk`]) and returns the spectrum of
    /// the logits' gradient, for [`ShiftNet::grad_patterns`].
    pub fn backward(&self, tape: &mut Tape, dlogits: &[f32], grad: &mut [f32]) -> Vec<f32> {
        assert_eq!((dlogits.len(), grad.len()), (tape.logits.len(), self.trunk.len()));
        let (n, c) = (tape.input.len(), &self.correlation);
        let first_bias = grad.len() - self.config.patterns;
        for (g, row) in grad[first_bias..].iter_mut().zip(dlogits.chunks_exact(c.lags())) {
            *g += row.iter().sum::<f32>();
        }
        let mut gspec = Vec::new();
        c.lags_spectrum(dlogits, &mut gspec, &mut tape.scratch);
        c.grad_rows(self.isa, &gspec, &self.wspec, tape.offset, &mut tape.features, &mut tape.scratch);
        for (row, m) in tape.features.values_mut().chunks_exact_mut(WIDTH).zip(&tape.coverage) {
            row.iter_mut().for_each(|v| *v *= m);
            row[COVERAGE] = 0.0;
        }
        tape.grad.reset(n, self.config.width);
        let all: Vec<_> = self.offsets().collect();
        for (layer, (conv, at)) in all.into_iter().enumerate().rev() {
            let (dw, rest) = grad[at..].split_at_mut(conv.weights());
            let db = &mut rest[..conv.cout];
            let last = layer == self.config.depth + 1;
            if layer == 0 {
                conv.grad_weights(self.isa, &tape.input, &tape.grad, dw, db);
                continue;
            }
            let a = &tape.active[layer - 1];
            let dy = if last { &tape.features } else { &tape.grad };
            conv.grad_weights(self.isa, a, dy, dw, db);
            tape.grad_active.reset(n, self.config.width);
            conv.grad_data(self.isa, dy, &self.transposed[layer], &mut tape.grad_active);
            let da = tape.grad_active.values().iter().zip(a.values());
            for (g, (da, a)) in tape.grad.values_mut().iter_mut().zip(da) {
                *g += if *a > 0.0 { *da } else { SLOPE * da };
            }
        }
        gspec
    }

    /// Gradient of the patterns from the spectra of a batch, summed in its order.
    pub fn grad_patterns(&self, fspecs: &[&[f32]], gspecs: &[&[f32]]) -> Vec<f32> {
        self.correlation.grad_patterns(self.isa, fspecs, gspecs)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::Rng;

    fn small() -> ShiftNetConfig {
        ShiftNetConfig { inputs: 16, width: 16, depth: 3, taps: 5, patterns: 2, grid: 160, min_lag: -4, lags: 60, nfft: 240 }
    }

    fn random_net(config: ShiftNetConfig) -> ShiftNet {
        let mut net = ShiftNet::new(config, 3);
        let mut rng = ChaCha8Rng::seed_from_u64(4);
        net.patterns.iter_mut().for_each(|w| *w = rng.random::<f32>() - 0.5);
        net.trunk.iter_mut().for_each(|w| *w += 0.1 * (rng.random::<f32>() - 0.5));
        net.refresh();
        net
    }

    fn run(net: &ShiftNet, x: &[f32], coverage: &[f32], offset: usize) -> Tape {
        let mut tape = Tape::default();
        tape.input(coverage.len(), 16).copy_from_slice(x);
        net.forward(coverage, offset, &mut tape);
        tape
    }

    #[test]
    fn shifting_the_input_shifts_the_output() {
        let net = random_net(small());
        let mut rng = ChaCha8Rng::seed_from_u64(5);
        let n = 70;
        let x: Vec<f32> = (0..n * 16).map(|_| rng.random::<f32>() - 0.5).collect();
        let coverage: Vec<f32> = (0..n).map(|i| f32::from(u8::from(i % 11 != 0))).collect();
        let a = run(&net, &x, &coverage, 20);
        let b = run(&net, &x, &coverage, 27);
        for p in 0..2 {
            for l in 0..53 {
                let (u, v) = (a.logits[p * 60 + l], b.logits[p * 60 + l + 7]);
                assert!((u - v).abs() < 1e-3 * (1.0 + u.abs()), "{u} {v}");
            }
        }
    }

    /// The gradient of Σ g·logits agrees with finite differences for a sample of all weights.
    #[test]
    fn gradients_agree_with_differences() {
        let mut net = random_net(small());
        let mut rng = ChaCha8Rng::seed_from_u64(6);
        let n = 50;
        let x: Vec<f32> = (0..n * 16).map(|_| rng.random::<f32>() - 0.5).collect();
        let coverage: Vec<f32> = (0..n).map(|i| f32::from(u8::from(i != 13))).collect();
        let g: Vec<f32> = (0..120).map(|_| rng.random::<f32>() - 0.5).collect();
        let loss = |net: &ShiftNet| -> f64 {
            let t = run(net, &x, &coverage, 30);
            t.logits.iter().zip(&g).map(|(a, b)| f64::from(a * b)).sum()
        };
        let mut tape = run(&net, &x, &coverage, 30);
        let mut grad = vec![0.0; net.trunk.len()];
        let gspec = net.backward(&mut tape, &g, &mut grad);
        let fspec = tape.take_features_spectrum();
        let dpatterns = net.grad_patterns(&[&fspec], &[&gspec]);
        let mut check = |which: usize, i: usize, want: f32| {
            let mut at = |eps: f32| {
                let w = if which == 0 { &mut net.trunk[i] } else { &mut net.patterns[i] };
                let old = *w;
                *w += eps;
                net.refresh();
                let l = loss(&net);
                let w = if which == 0 { &mut net.trunk[i] } else { &mut net.patterns[i] };
                *w = old;
                l
            };
            let eps = 2e-3;
            let got = (at(eps) - at(-eps)) / (2.0 * f64::from(eps));
            let scale = 0.05 + got.abs();
            assert!((got - f64::from(want)).abs() < 0.03 * scale, "{which} {i}: {got} {want}");
        };
        for i in (0..grad.len()).step_by(97).chain(grad.len() - 2..grad.len()) {
            check(0, i, grad[i]);
        }
        for i in (0..dpatterns.len()).step_by(311) {
            check(1, i, dpatterns[i]);
        }
    }
}
