//! The shift-equivariant network: a residual trunk of dilated convolutions over a window of
//! any length, and a head that correlates its feature maps with learned patterns at every lag.
//!
//! Nothing is flattened and nothing pooled: shifting the input by one position shifts the
//! output by one lag, exactly, so weights are shared by all lags.

mod backward;
mod config;

use std::sync::{Arc, Mutex};

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};

pub use self::config::ShiftNetConfig;
use crate::conv::{Conv, Epilogue};
use crate::correlation::{Correlation, PatternSpectra, Scratch};
use crate::lanes::{Isa, WIDTH};
use crate::maps::{Maps, Shape};
use crate::predictor::Precision;

/// Slope of the leaky ReLU below zero.
pub const SLOPE: f32 = 0.1;
/// The feature map that carries the coverage of the window instead of a learned feature.
pub const COVERAGE: usize = WIDTH - 1;

/// A network: its shape, its weights, and what is derived from them.
#[derive(Clone)]
pub struct ShiftNet {
    /// Sizes.
    pub config: ShiftNetConfig,
    /// Convolution weights and biases in order, then the bias of each pattern.
    trunk: Vec<f32>,
    /// `[pattern][channel][rest position mod nfft]`.
    patterns: Vec<f32>,
    correlation: Correlation,
    spectra: PatternSpectra,
    transposed: Vec<Vec<f32>>,
    windows: Arc<Mutex<Vec<Arc<Window>>>>,
    zero: Vec<f32>,
    /// Weights of the trunk in `bf16`, layer by layer; empty for single precision.
    pairs: Vec<Vec<u32>>,
    isa: Isa,
}

/// A part of the grid that spectra of one instrument share, with a correlation no longer than it
/// needs.
#[derive(Debug)]
struct Window {
    /// First position and length.
    place: (usize, usize),
    /// None if the whole grid's serves as well.
    short: Option<(Correlation, PatternSpectra)>,
}

/// Windows begin and end at multiples of this, so that spectra of one instrument share one. All are
/// kept (some megabytes each, about a hundred at most): a spectrum that had to do without its
/// window would be rounded otherwise, by what came before it.
const WINDOW_STEP: usize = 512;

/// A window of the grid as input.
#[derive(Clone, Copy, Debug)]
pub struct Input<'a> {
    /// `[position][channel]`.
    pub channels: &'a [f32],
    /// 1 where the window has data, 0 where it has none.
    pub coverage: &'a [f32],
    /// Grid position at which the window begins.
    pub offset: usize,
}

/// A device that has not answered.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("the device failed: {0}")]
pub struct BackendError(pub String);

/// Something that predicts as [`ShiftNet::predict`] does, elsewhere.
pub trait Backend: Send + Sync {
    /// Fills `out.logits` for each of `inputs`.
    ///
    /// # Errors
    /// The device has not answered; `out` then holds nothing of worth.
    fn predict(&self, inputs: &[Input], out: &mut Prediction) -> Result<(), BackendError>;
    /// Spectra that it takes best at a time.
    fn batch_size(&self) -> usize;
}

/// Output and buffers of [`ShiftNet::predict`], reused.
#[derive(Clone, Debug, Default)]
pub struct Prediction {
    /// `[pattern][lag]` of each spectrum of the last call; longer if an earlier call had more.
    pub logits: Vec<Vec<f32>>,
    tape: Tape,
    spectra: Vec<Vec<f32>>,
}

/// All that a forward pass leaves for the backward pass; reused from spectrum to spectrum.
#[derive(Clone, Debug, Default)]
pub struct Tape {
    input: Maps,
    coverage: Vec<f32>,
    offset: usize,
    /// The residual stream, before and after a layer.
    hidden: [Maps; 2],
    /// Its leaky ReLU, the input of each layer.
    active: Vec<Maps>,
    half_input: Maps<u16>,
    half: [Maps<u16>; 2],
    half_features: Maps<u16>,
    features: Maps,
    fspec: Vec<f32>,
    /// Output `[pattern][lag]`.
    pub logits: Vec<f32>,
    scratch: Scratch,
    grad: [Maps; 2],
}

impl Tape {
    /// Takes the input of the next forward pass.
    pub fn load(&mut self, net: &ShiftNet, input: &Input) {
        let shape = Shape::line(net.config.inputs, input.coverage.len());
        self.input
            .reset(shape, net.config.stem().border(shape, shape));
        let lanes = shape.lanes();
        for block in 0..shape.blocks() {
            let row = self.input.row_mut(block, 0);
            for (to, from) in row
                .chunks_exact_mut(lanes)
                .zip(input.channels.chunks_exact(shape.channels))
            {
                to.copy_from_slice(&from[block * lanes..(block + 1) * lanes]);
            }
        }
        self.coverage.clear();
        self.coverage.extend_from_slice(input.coverage);
        self.offset = input.offset;
    }
    /// Takes the spectrum of the feature maps, for [`ShiftNet::grad_patterns`].
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
            let mut std = (2.0 / (c.kernel.1 * c.channels) as f32).sqrt();
            if i > 0 && i + 1 < convs.len() {
                std *= 0.5; // residual branches start small
            }
            trunk.extend((0..c.weights()).map(|_| {
                let x: f32 = StandardNormal.sample(&mut rng);
                x * std
            }));
            trunk.extend(std::iter::repeat_n(0.0, c.filters));
        }
        trunk.extend(std::iter::repeat_n(0.0, config.patterns));
        let patterns = vec![0.0; config.patterns * WIDTH * config.nfft];
        ShiftNet::from_weights(config, trunk, patterns)
    }

    /// Names and shapes of the convolutions of the trunk, `[filter][channel][tap]`, in order.
    pub fn layer_shapes(config: &ShiftNetConfig) -> Vec<(String, [usize; 3])> {
        let convs = config.convs();
        let name = |i: usize| match i {
            0 => "stem".to_owned(),
            i if i + 1 == convs.len() => "project".to_owned(),
            i => format!("block{}", i - 1),
        };
        let shape = |(i, c): (usize, &Conv)| (name(i), [c.filters, c.channels, c.kernel.1]);
        convs.iter().enumerate().map(shape).collect()
    }

    /// A network of convolutions as [`ShiftNet::layers`] gives them (weights, biases), the bias of
    /// each pattern, and the patterns.
    pub fn from_layers(
        config: ShiftNetConfig,
        layers: &[(Vec<f32>, Vec<f32>)],
        pattern_bias: &[f32],
        patterns: Vec<f32>,
    ) -> Self {
        let mut trunk = Vec::with_capacity(config.trunk_weights());
        for (c, (w, b)) in config.convs().iter().zip(layers) {
            trunk.extend(c.pack(w));
            trunk.extend_from_slice(b);
            trunk.resize(trunk.len() + c.biases() - b.len(), 0.0);
        }
        trunk.extend_from_slice(pattern_bias);
        ShiftNet::from_weights(config, trunk, patterns)
    }

    /// A network of given weights; lengths must be those of the shape.
    pub fn from_weights(config: ShiftNetConfig, trunk: Vec<f32>, patterns: Vec<f32>) -> Self {
        assert_eq!(trunk.len(), config.trunk_weights());
        let correlation = Correlation::new(
            config.nfft,
            config.grid,
            config.min_lag,
            config.lags,
            config.patterns,
        );
        assert_eq!(patterns.len(), correlation.weights());
        let zero = vec![0.0; config.width.max(config.inputs)];
        let mut net = ShiftNet {
            zero,
            pairs: vec![],
            windows: Arc::default(),
            config,
            trunk,
            patterns,
            correlation,
            spectra: PatternSpectra::default(),
            transposed: vec![],
            isa: Isa::best(),
        };
        net.refresh();
        net
    }

    /// Convolution weights and biases in order, then the bias of each pattern.
    pub fn trunk(&self) -> &[f32] {
        &self.trunk
    }

    /// `[pattern][channel][rest position mod nfft]`.
    pub fn patterns(&self) -> &[f32] {
        &self.patterns
    }

    /// Changes the weights (trunk, patterns), and what is derived from them.
    pub fn update<T>(&mut self, change: impl FnOnce(&mut Vec<f32>, &mut Vec<f32>) -> T) -> T {
        let lengths = (self.trunk.len(), self.patterns.len());
        let out = change(&mut self.trunk, &mut self.patterns);
        assert_eq!(
            lengths,
            (self.trunk.len(), self.patterns.len()),
            "weights of another shape"
        );
        self.refresh();
        out
    }

    fn refresh(&mut self) {
        self.spectra = self.correlation.patterns_spectrum(self.isa, &self.patterns);
        self.windows = Arc::default();
        self.pairs.clear();
        let all: Vec<_> = self.offsets().collect();
        self.transposed.resize_with(all.len(), Vec::new);
        for ((c, at), t) in all.into_iter().zip(&mut self.transposed) {
            c.transpose(&self.trunk[at..at + c.weights()], t);
        }
    }

    /// The convolutions of the trunk in order, with weights in PyTorch's order and biases.
    pub fn layers(&self) -> impl Iterator<Item = (Conv, Vec<f32>, Vec<f32>)> + '_ {
        self.offsets().map(|(c, at)| {
            let (w, b) = self.trunk[at..].split_at(c.weights());
            (c, c.unpack(w), b[..c.filters].to_vec())
        })
    }
    /// Pattern weights for a transform of another length, at least grid + lags.
    pub fn patterns_of_length(&self, nfft: usize) -> Vec<f32> {
        self.correlation
            .cut(&self.patterns, 0, self.config.grid, nfft)
    }
    /// Bias of each pattern.
    pub fn pattern_bias(&self) -> &[f32] {
        &self.trunk[self.trunk.len() - self.config.patterns..]
    }

    fn offsets(&self) -> impl Iterator<Item = (Conv, usize)> + use<> {
        let mut at = 0;
        self.config.convs().into_iter().map(move |c| {
            let start = at;
            at += c.weights() + c.biases();
            (c, start)
        })
    }

    /// Fills the `logits` (`[pattern][lag]`) of each tape from what [`Tape::load`] put there, and
    /// leaves what [`ShiftNet::backward`] needs.
    pub fn forward(&self, tapes: &mut [Tape]) {
        for t in tapes.iter_mut() {
            self.forward_trunk(t, true);
            self.correlation.rows_spectrum(
                self.isa,
                &t.features,
                t.offset,
                &mut t.fspec,
                &mut t.scratch,
            );
        }
        let Some(first) = tapes.first_mut() else {
            return;
        };
        let mut scratch = std::mem::take(&mut first.scratch);
        let (features, mut logits): (Vec<&[f32]>, Vec<&mut Vec<f32>>) = tapes
            .iter_mut()
            .map(|t| (t.fspec.as_slice(), &mut t.logits))
            .unzip();
        self.correlate(
            &self.correlation,
            &self.spectra,
            &features,
            &mut logits,
            &mut scratch,
        );
        tapes[0].scratch = scratch;
    }

    /// Fills the `logits` (`[pattern][lag]`) of `out` for each spectrum, as [`ShiftNet::forward`]
    /// does, within rounding, but faster: with transforms only as long as the window needs, kept
    /// from call to call.
    pub fn predict(&self, inputs: &[Input], out: &mut Prediction) {
        let windows: Vec<Option<Arc<Window>>> = inputs.iter().map(|i| self.window(i)).collect();
        let short =
            |w: &Option<Arc<Window>>| w.as_ref().and_then(|w| w.short.as_ref().map(|_| w.place));
        out.spectra
            .resize_with(inputs.len().max(out.spectra.len()), Vec::new);
        out.logits
            .resize_with(inputs.len().max(out.logits.len()), Vec::new);
        let tape = &mut out.tape;
        for ((input, w), spectrum) in inputs.iter().zip(&windows).zip(&mut out.spectra) {
            tape.load(self, input);
            #[cfg(target_arch = "x86_64")]
            if self.pairs.is_empty() {
                self.forward_trunk(tape, false)
            } else {
                self.forward_trunk_bf16(&self.pairs, tape)
            }
            #[cfg(not(target_arch = "x86_64"))]
            self.forward_trunk(tape, false);
            let (c, first) = w
                .as_ref()
                .and_then(|w| Some((&w.short.as_ref()?.0, w.place.0)))
                .unwrap_or((&self.correlation, 0));
            c.rows_spectrum(
                self.isa,
                &tape.features,
                input.offset - first,
                spectrum,
                &mut tape.scratch,
            );
        }
        let mut from = 0;
        while from < inputs.len() {
            let same = windows[from..]
                .iter()
                .take_while(|w| short(w) == short(&windows[from]))
                .count();
            let (c, spectra) = windows[from]
                .as_ref()
                .and_then(|w| w.short.as_ref())
                .map_or((&self.correlation, &self.spectra), |s| (&s.0, &s.1));
            let features: Vec<&[f32]> = out.spectra[from..from + same]
                .iter()
                .map(Vec::as_slice)
                .collect();
            let mut logits: Vec<&mut Vec<f32>> = out.logits[from..from + same].iter_mut().collect();
            self.correlate(c, spectra, &features, &mut logits, &mut tape.scratch);
            from += same;
        }
    }

    /// Chooses the arithmetic of [`ShiftNet::predict`]; returns what the processor can do. A change
    /// of weights goes back to single precision.
    pub fn set_precision(&mut self, precision: Precision) -> Precision {
        let precision = precision.available();
        self.pairs.clear();
        if precision == Precision::Bf16 {
            self.pairs = self
                .offsets()
                .map(|(c, at)| c.pack_bf16(&self.trunk[at..at + c.weights()]))
                .collect();
        }
        precision
    }

    /// The window that holds a spectrum, made at its first use.
    fn window(&self, t: &Input) -> Option<Arc<Window>> {
        let first = t.offset / WINDOW_STEP * WINDOW_STEP;
        let end = (t.offset + t.coverage.len())
            .next_multiple_of(WINDOW_STEP)
            .min(self.config.grid);
        let place = (first, end - first);
        let mut all = self.windows.lock().ok()?;
        if let Some(w) = all.iter().find(|w| w.place == place) {
            return Some(w.clone());
        }
        let cut = self.correlation.windowed(&self.patterns, place.0, place.1);
        let short = cut.map(|(c, w)| {
            let spectra = c.patterns_spectrum(self.isa, &w).for_prediction();
            (c, spectra)
        });
        all.push(Arc::new(Window { place, short }));
        all.last().cloned()
    }

    fn correlate(
        &self,
        c: &Correlation,
        spectra: &PatternSpectra,
        features: &[&[f32]],
        logits: &mut [&mut Vec<f32>],
        scratch: &mut Scratch,
    ) {
        c.correlate(self.isa, features, spectra, logits, scratch);
        let bias = &self.trunk[self.trunk.len() - self.config.patterns..];
        for l in logits {
            for (row, b) in l.chunks_exact_mut(c.lags()).zip(bias) {
                row.iter_mut().for_each(|v| *v += b);
            }
        }
    }

    /// Columns of zeros beside the activations: the furthest that a tap reaches.
    fn reach(&self) -> usize {
        self.config
            .convs()
            .iter()
            .map(|c| c.before.1)
            .max()
            .unwrap_or(0)
    }

    /// Features of what is on the tape. With `keep` every layer's input is kept for the backward
    /// pass, else two buffers take turns and stay in the cache.
    fn forward_trunk(&self, tape: &mut Tape, keep: bool) {
        let (n, depth) = (tape.coverage.len(), self.config.depth);
        let wide = Shape::line(self.config.width, n);
        tape.active
            .resize_with(if keep { depth + 1 } else { 2 }, Maps::default);
        tape.active
            .iter_mut()
            .for_each(|a| a.reset(wide, (0, self.reach())));
        tape.hidden.iter_mut().for_each(|h| h.reset(wide, (0, 0)));
        tape.features.reset(Shape::line(WIDTH, n), (0, 0));
        for (layer, (conv, at)) in self.offsets().enumerate() {
            let (w, rest) = self.trunk[at..].split_at(conv.weights());
            let bias = &rest[..conv.biases()];
            let slot = |l: usize| if keep { l } else { l % 2 };
            if layer > depth {
                conv.forward(
                    self.isa,
                    &tape.active[slot(depth)],
                    w,
                    bias,
                    &mut tape.features,
                    Epilogue::default(),
                    false,
                );
                break;
            }
            let [even, odd] = &mut tape.hidden;
            let (old, new) = if layer % 2 == 0 {
                (odd, even)
            } else {
                (even, odd)
            };
            let then = Epilogue {
                add: (layer > 0).then_some(&*old),
                keep: Some(new),
                slope: Some(SLOPE),
                ..Epilogue::default()
            };
            if layer == 0 {
                conv.forward(
                    self.isa,
                    &tape.input,
                    w,
                    bias,
                    &mut tape.active[0],
                    then,
                    false,
                );
            } else if let Ok([x, y]) = tape.active.get_disjoint_mut([slot(layer - 1), slot(layer)])
            {
                conv.forward(self.isa, x, w, bias, y, then, false);
            }
        }
        cover(tape);
    }

    /// As [`ShiftNet::forward_trunk`] with activations and weights in `bf16`; sums and the residual
    /// stream stay in `f32`.
    #[cfg(target_arch = "x86_64")]
    fn forward_trunk_bf16(&self, pairs: &[Vec<u32>], tape: &mut Tape) {
        let (n, depth) = (tape.coverage.len(), self.config.depth);
        let wide = Shape::line(self.config.width, n);
        tape.half_input.round_from(&tape.input);
        tape.half
            .iter_mut()
            .for_each(|a| a.reset(wide, (0, self.reach())));
        tape.hidden.iter_mut().for_each(|h| h.reset(wide, (0, 0)));
        tape.features.reset(Shape::line(WIDTH, n), (0, 0));
        for (layer, (conv, at)) in self.offsets().enumerate() {
            let bias = &self.trunk[at + conv.weights()..][..conv.biases()];
            let [even, odd] = &mut tape.half;
            let (x, y) = if layer % 2 == 0 {
                (odd, even)
            } else {
                (even, odd)
            };
            if layer > depth {
                tape.half_features.reset(tape.features.shape(), (0, 0));
                let then = Epilogue {
                    keep: Some(&mut tape.features),
                    ..Epilogue::default()
                };
                conv.forward_bf16(x, &pairs[layer], bias, &mut tape.half_features, then, false);
                break;
            }
            let [even, odd] = &mut tape.hidden;
            let (old, new) = if layer % 2 == 0 {
                (odd, even)
            } else {
                (even, odd)
            };
            let then = Epilogue {
                add: (layer > 0).then_some(&*old),
                keep: Some(new),
                slope: Some(SLOPE),
                ..Epilogue::default()
            };
            conv.forward_bf16(
                if layer == 0 { &tape.half_input } else { x },
                &pairs[layer],
                bias,
                y,
                then,
                false,
            );
        }
        cover(tape);
    }
}

/// Features count where the window has data; one of them says where.
fn cover(tape: &mut Tape) {
    for (row, m) in tape
        .features
        .row_mut(0, 0)
        .chunks_exact_mut(WIDTH)
        .zip(&tape.coverage)
    {
        row.iter_mut().for_each(|v| *v *= m);
        row[COVERAGE] = *m;
    }
}

#[cfg(test)]
mod tests;
