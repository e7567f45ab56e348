//! From a list of layers to steps with sizes and places of weights, or the reason why they do not
//! fit.

use super::{BadNetwork, Flat, Layer, Step};
use crate::conv::Conv;
use crate::dense;
use crate::lanes::WIDTH;
use crate::maps::Shape;
use crate::pool::MaxPool;
use crate::response::Response;

/// Most channels of a map.
pub(super) const MOST: usize = 4096;
/// Most weights, and most values of a map.
const LARGEST: usize = 1 << 30;

/// Steps and what they need.
pub(super) struct Plan {
    pub steps: Vec<Step>,
    /// Number of leading steps that work on maps.
    pub local: usize,
    pub weights: usize,
    pub running: usize,
    input: Shape,
    shape: Shape,
    /// Values of a row, once maps are flattened.
    flat: Option<usize>,
}

impl Plan {
    pub fn new(input: Shape, layers: &[Layer]) -> Result<Plan, BadNetwork> {
        let mut p = Plan {
            steps: vec![],
            local: 0,
            weights: 0,
            running: 0,
            input,
            shape: input,
            flat: None,
        };
        for (index, layer) in layers.iter().enumerate() {
            p.add(*layer).map_err(|why| BadNetwork {
                index,
                layer: *layer,
                why: why.into(),
            })?;
        }
        let bad = |index, layer, why: &str| {
            Err(BadNetwork {
                index,
                layer,
                why: why.into(),
            })
        };
        match layers.last() {
            Some(Layer::Dense { .. } | Layer::Planes { .. } | Layer::Tap) => Ok(p),
            Some(l) => bad(
                layers.len() - 1,
                *l,
                "expected a dense layer or planes at the end",
            ),
            None => bad(
                0,
                Layer::Dropout { rate: 0.0 },
                "expected at least one layer",
            ),
        }
    }

    fn add(&mut self, layer: Layer) -> Result<(), &'static str> {
        if self.flat.is_some() && layer.local() {
            return Err("works on maps, but a dense layer came before");
        }
        match layer {
            Layer::Conv {
                filters,
                kernel,
                same,
                slope,
                groups,
            } => {
                self.conv(filters, kernel, same, slope, groups)?;
            }
            Layer::MaxPool { size, stride, same } => self.pool(MaxPool { size, stride, same })?,
            Layer::BatchNorm { momentum, eps } => self.norm(momentum, eps)?,
            Layer::SpaceToDepth { size } => self.unfold(size)?,
            Layer::Pad { border } => self.pad(border)?,
            Layer::Response { size, alpha, beta } => self.response(size, alpha, beta)?,
            Layer::Skip {
                from,
                concat,
                slope,
            } => self.skip(from, concat, slope)?,
            Layer::Upsample { factor } => self.upsample(factor)?,
            Layer::GlobalMean => self.mean(None)?,
            Layer::MaskedMean { channel } => self.mean(Some(channel))?,
            Layer::Planes { channels } => self.planes(channels)?,
            Layer::Join { views, mean } => self.join(views, mean)?,
            Layer::Maxout { pieces } => self.maxout(pieces)?,
            Layer::Dense { units, slope } => self.dense(units, slope)?,
            Layer::Tap => self.steps.push(Step::Flat(Flat::Tap)),
            Layer::Dropout { rate } => {
                if !(0.0..1.0).contains(&rate) {
                    return Err("expected a rate from 0 to below 1");
                }
                self.flat = Some(self.values());
                self.steps.push(Step::Dropout { rate });
            }
        }
        if matches!(layer, Layer::Tap) {
            self.flat = Some(self.values());
        }
        // A damaged file must not ask for all memory.
        let s = self.shape;
        let maps = s
            .height
            .saturating_mul(s.width)
            .saturating_mul(s.channels.next_multiple_of(WIDTH));
        if maps.max(self.values()).max(self.weights) > LARGEST {
            return Err("more than 2³⁰ values or weights");
        }
        Ok(())
    }

    /// Values of a row as the dense part sees them.
    pub(crate) fn values(&self) -> usize {
        self.flat.unwrap_or_else(|| self.shape.stored())
    }

    /// Appends a step on maps.
    fn local(&mut self, step: Step, out: Shape) {
        self.shape = out;
        self.steps.push(step);
        self.local = self.steps.len();
    }

    fn after_convolution(&self) -> bool {
        !self.steps.is_empty() && self.shape.channels.is_multiple_of(WIDTH)
    }

    fn conv(
        &mut self,
        filters: usize,
        kernel: (usize, usize),
        same: bool,
        slope: f32,
        groups: usize,
    ) -> Result<(), &'static str> {
        let shape = self.shape;
        if groups == 0 || !filters.is_multiple_of(groups) || !shape.channels.is_multiple_of(groups)
        {
            return Err("expected groups that divide channels and filters");
        }
        let most = shape.channels.max(filters);
        if filters == 0
            || !(1..=MOST).contains(&kernel.0)
            || !(1..=MOST).contains(&kernel.1)
            || !filters.is_multiple_of(WIDTH)
            || most > MOST
        {
            return Err("expected filters in sixteens, at most 4096, and a kernel of 1 to 4096");
        }
        let conv = if same {
            Conv::same(shape.channels, filters, kernel)
        } else {
            Conv::valid(shape.channels, filters, kernel)
        };
        let out = if same {
            Some((shape.height, shape.width))
        } else {
            (shape.height + 1)
                .checked_sub(kernel.0)
                .zip((shape.width + 1).checked_sub(kernel.1))
        };
        let out = out
            .filter(|o| o.0 > 0 && o.1 > 0)
            .ok_or("the kernel is larger than the maps")?;
        let out = Shape::new(filters, out.0, out.1);
        self.local(
            Step::Conv {
                conv,
                slope,
                out,
                at: self.weights,
                groups,
            },
            out,
        );
        self.weights += conv.weights() + conv.biases();
        Ok(())
    }

    fn pool(&mut self, pool: MaxPool) -> Result<(), &'static str> {
        if pool.size == 0 || pool.stride == 0 || !self.shape.channels.is_multiple_of(WIDTH) {
            return Err("expected a window and a stride of at least 1, after a convolution");
        }
        let out = pool.output(self.shape);
        self.local(Step::Pool { pool, out }, out);
        Ok(())
    }

    fn norm(&mut self, momentum: f32, eps: f32) -> Result<(), &'static str> {
        if !(0.0..1.0).contains(&momentum) || eps <= 0.0 || !self.after_convolution() {
            return Err("expected 0 ≤ momentum < 1 and eps > 0, after a convolution");
        }
        let (out, at, running) = (self.shape, self.weights, self.running);
        self.local(
            Step::Norm {
                out,
                eps,
                momentum,
                at,
                running,
            },
            out,
        );
        self.weights += 2 * out.channels;
        self.running += 2 * out.channels;
        Ok(())
    }

    fn unfold(&mut self, size: usize) -> Result<(), &'static str> {
        let s = self.shape;
        let channels = s.channels.saturating_mul(size).saturating_mul(size);
        let fits = size > 0 && s.height.is_multiple_of(size) && s.width.is_multiple_of(size);
        if !self.steps.is_empty() || !fits || channels > MOST {
            return Err("expected the first layer, and a size that divides height and width");
        }
        let out = Shape::new(channels, s.height / size, s.width / size);
        self.local(Step::Unfold { size, out }, out);
        Ok(())
    }

    fn pad(&mut self, border: usize) -> Result<(), &'static str> {
        if !self.steps.is_empty() || border > 1024 {
            return Err("expected the first layer, and a border of at most 1024");
        }
        let s = self.shape;
        let out = Shape::new(s.channels, s.height + 2 * border, s.width + 2 * border);
        self.local(Step::Pad { border, out }, out);
        Ok(())
    }

    fn response(&mut self, size: usize, alpha: f32, beta: f32) -> Result<(), &'static str> {
        if size.is_multiple_of(2) || alpha < 0.0 || !self.after_convolution() {
            return Err("expected an odd number of channels, after a convolution");
        }
        let out = self.shape;
        self.local(
            Step::Response {
                response: Response { size, alpha, beta },
                out,
            },
            out,
        );
        Ok(())
    }

    fn skip(&mut self, from: usize, concat: bool, slope: f32) -> Result<(), &'static str> {
        let other = self.steps.get(from).and_then(Step::shape);
        let other = other.filter(|s| s.channels.is_multiple_of(WIDTH) && self.after_convolution());
        let other =
            other.ok_or("'from': expected an earlier layer with maps, after a convolution")?;
        let s = self.shape;
        if (other.height, other.width) != (s.height, s.width) {
            return Err("the maps of layer 'from' are of another size");
        }
        if concat && (slope != 1.0 || s.channels + other.channels > MOST) {
            return Err("maps side by side: expected slope 1 and at most 4096 channels");
        }
        if !concat && other.channels != s.channels {
            return Err("the maps of layer 'from' are of another number");
        }
        let channels = if concat {
            s.channels + other.channels
        } else {
            s.channels
        };
        let out = Shape { channels, ..s };
        self.local(
            Step::Skip {
                from: from + 1,
                concat,
                slope,
                out,
            },
            out,
        );
        Ok(())
    }

    fn upsample(&mut self, factor: usize) -> Result<(), &'static str> {
        if !(1..=8).contains(&factor) || !self.after_convolution() {
            return Err("expected a factor from 1 to 8, after a convolution");
        }
        let s = self.shape;
        // A line stays a line.
        let height = if s.height == 1 { 1 } else { s.height * factor };
        let out = Shape::new(s.channels, height, s.width * factor);
        self.local(Step::Upsample { factor, out }, out);
        Ok(())
    }

    fn mean(&mut self, mask: Option<usize>) -> Result<(), &'static str> {
        if self.flat.is_some() || !self.after_convolution() {
            return Err("expected maps, after a convolution");
        }
        let (shape, input) = (self.shape, self.input);
        let step = match mask {
            None => Flat::Mean(shape),
            Some(channel) if channel < input.channels => Flat::MaskedMean {
                shape,
                channel,
                input,
            },
            Some(_) => return Err("'channel': expected one of the input"),
        };
        self.steps.push(Step::Flat(step));
        self.flat = Some(self.shape.channels);
        Ok(())
    }

    fn planes(&mut self, channels: usize) -> Result<(), &'static str> {
        if self.flat.is_some() || !self.after_convolution() || channels == 0 {
            return Err("expected maps, after a convolution, and at least one channel");
        }
        if channels > self.shape.channels {
            return Err("more channels than there are maps");
        }
        self.steps.push(Step::Flat(Flat::Planes {
            shape: self.shape,
            channels,
        }));
        self.flat = Some(channels * self.shape.height * self.shape.width);
        Ok(())
    }

    fn join(&mut self, views: usize, mean: bool) -> Result<(), &'static str> {
        let rest = self.steps.iter().skip(self.local);
        if views == 0
            || rest
                .into_iter()
                .any(|s| !matches!(s, Step::Flat(Flat::Mean(_))))
        {
            return Err("expected at least one view, before all dense layers");
        }
        let each = self.values();
        self.steps
            .push(Step::Flat(Flat::Join { views, mean, each }));
        self.flat = Some(if mean { each } else { views * each });
        Ok(())
    }

    fn maxout(&mut self, pieces: usize) -> Result<(), &'static str> {
        let units = self.flat.filter(|n| pieces > 0 && n.is_multiple_of(pieces));
        let units = units.ok_or("expected a dense layer with units for whole pieces")?;
        self.steps.push(Step::Flat(Flat::Max { pieces }));
        self.flat = Some(units / pieces);
        Ok(())
    }

    fn dense(&mut self, units: usize, slope: f32) -> Result<(), &'static str> {
        let inputs = self.values();
        if units == 0 || units.saturating_mul(inputs.max(1)) > LARGEST {
            return Err("expected at least one unit, and at most 2³⁰ weights");
        }
        self.steps.push(Step::Dense {
            inputs,
            units,
            slope,
            at: self.weights,
        });
        self.weights += dense::panels_len(inputs, units) + units;
        self.flat = Some(units);
        Ok(())
    }
}
