//! The forward pass of [`ShiftNet`] in tensors of the framework.
//!
//! A batch of windows is laid side by side, shorter ones filled up; the correlation with the
//! patterns is a product of Fourier transforms whose length is a power of two.

use burn::signal::{irfft, rfft};
use burn::tensor::activation::leaky_relu;
use burn::tensor::module::conv1d;
use burn::tensor::ops::ConvOptions;
use burn::tensor::{Device, Tensor, TensorData};
use slipher_nn::shiftnet::{Backend, BackendError, COVERAGE, Input, Prediction, SLOPE, ShiftNet};

struct Layer {
    /// [filter, channel, tap]
    weight: Tensor<3>,
    bias: Tensor<1>,
    options: ConvOptions<1>,
}

/// A network whose weights lie on a device.
pub struct OnDevice {
    device: Device,
    layers: Vec<Layer>,
    /// Spectra of the patterns, [frequency, channel, pattern].
    patterns: (Tensor<3>, Tensor<3>),
    bias: Tensor<3>,
    inputs: usize,
    nfft: usize,
    lags: usize,
    min_lag: i32,
}

impl OnDevice {
    pub fn new(net: &ShiftNet, device: Device) -> Self {
        let c = &net.config;
        let (p, k) = (c.patterns, slipher_nn::lanes::WIDTH);
        let layers = net.layers().map(|(conv, weight, bias)| {
            let (taps, reach) = (conv.kernel.1, conv.before.1);
            Layer {
                weight: tensor(weight, [conv.filters, conv.channels, taps], &device),
                bias: Tensor::from_data(TensorData::new(bias, [conv.filters]), &device),
                options: ConvOptions::new([1], [reach], [conv.dilation], 1),
            }
        });
        let layers = layers.collect();
        let nfft = (c.grid + c.lags).next_power_of_two();
        let w = tensor(net.patterns_of_length(nfft), [p, k, nfft], &device);
        let (re, im) = rfft(w, 2, None);
        let turn = |t: Tensor<3>| t.permute([2, 1, 0]);
        let bias = tensor(net.pattern_bias().to_vec(), [1, p, 1], &device);
        OnDevice {
            layers,
            patterns: (turn(re), turn(im)),
            bias,
            inputs: c.inputs,
            nfft,
            lags: c.lags,
            min_lag: c.min_lag,
            device,
        }
    }

    /// Logits `[spectrum, pattern, lag]`.
    fn run(&self, inputs: &[Input]) -> Tensor<3> {
        let b = inputs.len();
        let first = inputs.iter().map(|i| i.offset).min().unwrap_or(0);
        let n = inputs
            .iter()
            .map(|i| i.offset - first + i.coverage.len())
            .max()
            .unwrap_or(1);
        let (mut x, mut inside, mut coverage) = (
            vec![0.0f32; b * self.inputs * n],
            vec![0.0f32; b * n],
            vec![0.0f32; b * n],
        );
        for (r, i) in inputs.iter().enumerate() {
            let at = i.offset - first;
            for (j, row) in i.channels.chunks_exact(self.inputs).enumerate() {
                for (c, v) in row.iter().enumerate() {
                    x[(r * self.inputs + c) * n + at + j] = *v;
                }
            }
            inside[r * n + at..][..i.coverage.len()].fill(1.0);
            coverage[r * n + at..][..i.coverage.len()].copy_from_slice(i.coverage);
        }
        let x = tensor(x, [b, self.inputs, n], &self.device);
        let inside = tensor(inside, [b, 1, n], &self.device);
        let coverage = tensor(coverage, [b, 1, n], &self.device);
        let features = self.trunk(x, &inside, coverage);
        let zeros = |n: usize| Tensor::<3>::zeros([b, slipher_nn::lanes::WIDTH, n], &self.device);
        let mut parts = vec![features, zeros(self.nfft - first - n)];
        if first > 0 {
            parts.insert(0, zeros(first));
        }
        self.correlate(Tensor::cat(parts, 2))
    }

    fn trunk(&self, x: Tensor<3>, inside: &Tensor<3>, coverage: Tensor<3>) -> Tensor<3> {
        let conv =
            |l: &Layer, x| conv1d(x, l.weight.clone(), Some(l.bias.clone()), l.options.clone());
        // Beyond the window there is nothing, as on the processor, whatever the biases make of it.
        let active = |h: &Tensor<3>| leaky_relu(h.clone(), f64::from(SLOPE)) * inside.clone();
        let (last, blocks) = self
            .layers
            .split_last()
            .expect("a projection ends the trunk");
        let mut h = conv(&blocks[0], x);
        for l in &blocks[1..] {
            h = h.clone() + conv(l, active(&h));
        }
        let features = conv(last, active(&h)) * coverage.clone();
        let channels = features.dims()[1];
        let mut one = vec![0.0; channels];
        one[COVERAGE] = 1.0;
        let one = tensor(one, [1, channels, 1], &self.device);
        features.clone() - features * one.clone() + coverage * one
    }

    /// `[spectrum, channel, grid position]` to `[spectrum, pattern, lag]`.
    fn correlate(&self, features: Tensor<3>) -> Tensor<3> {
        let (re, im) = rfft(features, 2, None);
        let (re, im) = (re.permute([2, 0, 1]), im.permute([2, 0, 1]));
        let (wr, wi) = &self.patterns;
        let product_re = re.clone().matmul(wr.clone()) + im.clone().matmul(wi.clone());
        let product_im = im.matmul(wr.clone()) - re.matmul(wi.clone());
        let turn = |t: Tensor<3>| t.permute([1, 2, 0]);
        let c = irfft(turn(product_re), turn(product_im), 2, None);
        let n = self.nfft as i64;
        let (lo, hi) = (
            i64::from(self.min_lag),
            i64::from(self.min_lag) + self.lags as i64,
        );
        let cut = |a: i64, b: i64| c.clone().narrow(2, a as usize, (b - a) as usize);
        let lags = if lo < 0 {
            Tensor::cat(vec![cut(n + lo, n + hi.min(0)), cut(0, hi.max(1))], 2)
                .narrow(2, 0, self.lags)
        } else {
            cut(lo, hi)
        };
        lags + self.bias.clone()
    }
}

impl Backend for OnDevice {
    fn predict(&self, inputs: &[Input], out: &mut Prediction) -> Result<(), BackendError> {
        if inputs.is_empty() {
            return Ok(());
        }
        let data = self.run(inputs).into_data();
        let values = data
            .try_into_vec::<f32>()
            .map_err(|e| BackendError(format!("{e:?}")))?;
        let size = values.len() / inputs.len();
        if size == 0 || values.len() != size * inputs.len() {
            return Err(BackendError(format!(
                "{} values for {} spectra",
                values.len(),
                inputs.len()
            )));
        }
        out.logits
            .resize_with(inputs.len().max(out.logits.len()), Vec::new);
        for (l, v) in out.logits.iter_mut().zip(values.chunks_exact(size)) {
            l.clear();
            l.extend_from_slice(v);
        }
        Ok(())
    }

    fn batch_size(&self) -> usize {
        64
    }
}

fn tensor(values: Vec<f32>, shape: [usize; 3], device: &Device) -> Tensor<3> {
    Tensor::from_data(TensorData::new(values, shape), device)
}

#[cfg(all(test, any(feature = "flex", feature = "wgpu")))]
mod tests {
    use rand::{Rng, SeedableRng};
    use slipher_nn::shiftnet::{Input, Prediction, ShiftNet, ShiftNetConfig};

    use crate::{Choice, open};

    /// Every device of this build and machine gives what our kernels give.
    #[test]
    fn devices_agree_with_the_processor() {
        let config = ShiftNetConfig {
            inputs: 16,
            width: 32,
            depth: 4,
            taps: 5,
            patterns: 3,
            grid: 700,
            min_lag: -4,
            lags: 300,
            nfft: 1080,
        };
        let mut net = ShiftNet::new(config, 3);
        let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(4);
        net.update(|trunk, patterns| {
            patterns
                .iter_mut()
                .for_each(|w| *w = rng.random::<f32>() - 0.5);
            trunk
                .iter_mut()
                .for_each(|w| *w += 0.1 * (rng.random::<f32>() - 0.5));
        });
        let windows: Vec<(Vec<f32>, Vec<f32>, usize)> = [(120, 30), (400, 0), (90, 600)]
            .into_iter()
            .map(|(n, offset)| {
                let x = (0..n * 16).map(|_| rng.random::<f32>() - 0.5).collect();
                (
                    x,
                    (0..n).map(|i| f32::from(u8::from(i % 9 != 0))).collect(),
                    offset,
                )
            })
            .collect();
        let inputs: Vec<Input> = windows
            .iter()
            .map(|(x, c, o)| Input {
                channels: x,
                coverage: c,
                offset: *o,
            })
            .collect();
        let (mut want, mut got) = (Prediction::default(), Prediction::default());
        net.predict(&inputs, &mut want);
        let mut seen = 0;
        for choice in [Choice::Flex, Choice::Wgpu, Choice::Cuda] {
            match open(choice, &net) {
                Ok(Some((name, engine))) => {
                    seen += 1;
                    for some in [&inputs[..], &inputs[1..2]] {
                        engine.predict(some, &mut got);
                        let reference = if some.len() == 1 {
                            &want.logits[1..2]
                        } else {
                            &want.logits[..3]
                        };
                        for (a, e) in got.logits.iter().zip(reference) {
                            let size = e.iter().map(|v| v.abs()).fold(1.0, f32::max);
                            let worst = a
                                .iter()
                                .zip(e)
                                .map(|(a, e)| (a - e).abs())
                                .fold(0.0, f32::max);
                            assert!(
                                a.len() == e.len() && worst < 1e-4 * size,
                                "{name}: {worst} of {size}"
                            );
                        }
                    }
                }
                Ok(None) => unreachable!("named devices are devices"),
                Err(e) => eprintln!("skipped: {e}"),
            }
        }
        assert!(seen > 0 || !cfg!(feature = "flex"));
    }
}
