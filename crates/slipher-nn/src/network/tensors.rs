//! The weights of a [`Network`] by name, in PyTorch's order.

use super::{Flat, Network, Step};
use crate::dense;

/// A named array of weights.
#[derive(Clone, Debug, PartialEq)]
pub struct Tensor {
    /// Number of the layer and what it holds: `3.weight`, as in a state dictionary of PyTorch.
    pub name: String,
    /// Layer that it belongs to.
    pub step: usize,
    /// `[out, in, k…]` for weights.
    pub shape: Vec<usize>,
    /// In C order.
    pub values: Vec<f32>,
}

impl Network {
    /// Weights by name, shape and values, as PyTorch's `state_dict` of the same layers in a
    /// `Sequential` has them: convolutions `[filter][channel][row][column]`, dense `[unit][input]`
    /// with the maps flattened channel by channel.
    pub fn tensors(&self) -> Vec<Tensor> {
        let mut out = Vec::new();
        for (i, s) in self.steps.iter().enumerate() {
            let mut push = |what: &str, shape: Vec<usize>, values| {
                out.push(Tensor {
                    name: format!("{i}.{what}"),
                    step: i,
                    shape,
                    values,
                })
            };
            match s {
                Step::Conv { conv, at, .. } => {
                    let (w, b) = self.weights[*at..].split_at(conv.weights());
                    push(
                        "weight",
                        vec![conv.filters, conv.channels, conv.kernel.0, conv.kernel.1],
                        conv.unpack(w),
                    );
                    push("bias", vec![conv.filters], b[..conv.filters].to_vec());
                }
                Step::Norm { out, at, .. } => {
                    let n = out.channels;
                    push("weight", vec![n], self.weights[*at..at + n].to_vec());
                    push("bias", vec![n], self.weights[at + n..at + 2 * n].to_vec());
                }
                Step::Dense {
                    inputs, units, at, ..
                } => {
                    let order = self.flattening(i, *inputs);
                    let (w, b) = self.weights[*at..].split_at(dense::panels_len(*inputs, *units));
                    let values = (0..*units)
                        .flat_map(|u| {
                            order
                                .iter()
                                .map(move |j| w[dense::index(*inputs, *units, *j, u)])
                        })
                        .collect();
                    push("weight", vec![*units, order.len()], values);
                    push("bias", vec![*units], b[..*units].to_vec());
                }
                _ => {}
            }
        }
        out
    }

    /// Means and variances of the batch normalisations, in the order of [`Network::running`], by
    /// PyTorch's names.
    pub fn statistics(&self) -> Vec<Tensor> {
        let mut out = Vec::new();
        for (step, s) in self.steps.iter().enumerate() {
            let Step::Norm {
                out: maps, running, ..
            } = s
            else {
                continue;
            };
            let n = maps.channels;
            for (what, from) in [("running_mean", *running), ("running_var", running + n)] {
                let values = self.running[from..from + n].to_vec();
                out.push(Tensor {
                    name: format!("{step}.{what}"),
                    step,
                    shape: vec![n],
                    values,
                });
            }
        }
        out
    }

    /// Takes the values of [`Network::tensors`], in their order.
    ///
    /// # Errors
    /// The name of a tensor of the wrong length.
    pub fn set_tensors(&mut self, values: &[Vec<f32>]) -> Result<(), String> {
        let own = self.tensors();
        if values.len() != own.len() {
            return Err(format!("{} tensors: expected {}", values.len(), own.len()));
        }
        if let Some((t, v)) = own
            .iter()
            .zip(values)
            .find(|(t, v)| t.values.len() != v.len())
        {
            return Err(format!(
                "tensor {} has {} values: expected {}",
                t.name,
                v.len(),
                t.values.len()
            ));
        }
        let mut values = values.iter();
        let mut take = || values.next().expect("counted above");
        for (i, s) in self.steps.clone().iter().enumerate() {
            match s {
                Step::Conv { conv, at, .. } => {
                    let n = conv.weights();
                    self.weights[*at..at + n].copy_from_slice(&conv.pack(take()));
                    self.weights[at + n..at + n + conv.filters].copy_from_slice(take());
                }
                Step::Norm { out, at, .. } => {
                    let n = out.channels;
                    self.weights[*at..at + n].copy_from_slice(take());
                    self.weights[at + n..at + 2 * n].copy_from_slice(take());
                }
                Step::Dense {
                    inputs, units, at, ..
                } => {
                    let order = self.flattening(i, *inputs);
                    let from = take();
                    for (u, row) in from.chunks_exact(order.len()).enumerate() {
                        order.iter().zip(row).for_each(|(j, v)| {
                            self.weights[at + dense::index(*inputs, *units, *j, u)] = *v
                        });
                    }
                    let end = at + dense::panels_len(*inputs, *units);
                    self.weights[end..end + units].copy_from_slice(take());
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// For the dense layer at step `i`: place in our order of each input in PyTorch's.
    fn flattening(&self, i: usize, inputs: usize) -> Vec<usize> {
        let first = self.steps.iter().position(|s| {
            matches!(
                s,
                Step::Dense { .. }
                    | Step::Flat(Flat::Mean(_) | Flat::MaskedMean { .. } | Flat::Planes { .. })
            )
        });
        if first != Some(i) {
            return (0..inputs).collect();
        }
        let s = self.last_maps();
        if inputs > s.stored() {
            // Views one after the other.
            let one = self.flattening(i, s.stored());
            return (0..inputs / s.stored())
                .flat_map(|v| {
                    one.iter()
                        .map(move |j| v * s.stored() + j)
                        .collect::<Vec<_>>()
                })
                .collect();
        }
        (0..s.channels)
            .flat_map(|c| {
                (0..s.height).flat_map(move |y| (0..s.width).map(move |x| s.index(c, y, x)))
            })
            .collect()
    }
}
