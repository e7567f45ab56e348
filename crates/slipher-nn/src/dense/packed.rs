//! Weights of a dense layer ready for prediction.

use super::*;

/// Weights of a dense layer ready for prediction.
#[derive(Clone, Debug)]
pub struct Packed {
    inputs: usize,
    bias: Vec<f32>,
    single: Vec<f32>,
    half: Vec<u32>,
}

impl Packed {
    /// From weights in panels; in `bf16` if `half`.
    pub fn new(w: &[f32], bias: &[f32], half: bool) -> Self {
        let (n, g) = (bias.len(), group(bias.len()));
        let inputs = w.len() / n.next_multiple_of(WIDTH);
        assert_eq!(w.len(), panels_len(inputs, n));
        if !half {
            return Packed {
                inputs,
                bias: bias.to_vec(),
                single: w.to_vec(),
                half: vec![],
            };
        }
        // Pairs of inputs: an odd last one is paired with zeros.
        let pairs = w.chunks_exact(inputs * g).flat_map(|panel| {
            let mut panel = panel.to_vec();
            panel.resize(inputs.next_multiple_of(2) * g, 0.0);
            crate::conv::pairs(&panel, g)
        });
        Packed {
            inputs,
            bias: bias.to_vec(),
            half: pairs.collect(),
            single: vec![],
        }
    }

    /// Values in.
    pub fn inputs(&self) -> usize {
        self.inputs
    }
    /// Values out.
    pub fn outputs(&self) -> usize {
        self.bias.len()
    }

    /// y[rows × outputs] = leaky ReLU of x[rows × inputs] · w + bias (slope 1: linear).
    pub fn forward(&self, isa: Isa, x: &[f32], slope: f32, y: &mut [f32], buffers: &mut Buffers) {
        if self.half.is_empty() {
            return forward(isa, x, &self.single, &self.bias, slope, y);
        }
        #[cfg(target_arch = "x86_64")]
        {
            let (n, inputs) = (self.outputs(), self.inputs);
            let m = y.len() / n;
            assert_eq!((x.len(), y.len()), (m * inputs, m * n));
            if m == 0 {
                return;
            }
            let (tile, k) = (size(isa, m, n), inputs.div_ceil(2));
            let at = |r: usize, j: usize| {
                if j < inputs {
                    u32::from(crate::tile::to_bf16(x[r * inputs + j]))
                } else {
                    0
                }
            };
            pack_rows(m, k, tile, &mut buffers.half, |r, j| {
                at(r, 2 * j) | at(r, 2 * j + 1) << 16
            });
            let a = Left::Tiles(buffers.half.as_slice());
            run_bf16(&Product {
                m,
                n,
                k,
                a,
                p: &self.half,
                c: y.as_mut_ptr(),
                c_steps: (group(n), n, 1),
                bias: Some(&self.bias),
                slope,
                tile,
            });
        }
    }
}

/// Rows of A cut into tiles, `[tile][word][row of tile]`, the last filled up with zeros.
fn pack_rows<W: Copy + Default + Send + Sync>(
    rows: usize,
    words: usize,
    tile: usize,
    out: &mut Vec<W>,
    at: impl Fn(usize, usize) -> W + Sync,
) {
    out.resize(rows.div_ceil(tile) * tile * words, W::default());
    // Pieces of words, so that one row is shared by the threads too.
    const PIECE: usize = 1024;
    out.par_chunks_mut(words * tile)
        .enumerate()
        .for_each(|(i, part)| {
            let whole = tile.min(rows - i * tile);
            part.par_chunks_mut(PIECE * tile)
                .enumerate()
                .for_each(|(p, piece)| {
                    for (j, to) in piece.chunks_exact_mut(tile).enumerate() {
                        for (t, o) in to.iter_mut().enumerate() {
                            *o = if t < whole {
                                at(i * tile + t, p * PIECE + j)
                            } else {
                                W::default()
                            };
                        }
                    }
                });
        });
}
