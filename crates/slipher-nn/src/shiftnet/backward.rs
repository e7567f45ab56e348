//! Gradients of the network.

use super::*;

impl ShiftNet {
    /// Adds the trunk's gradient to `grad` (as [`ShiftNet::trunk`]) and returns the spectrum of
    /// the logits' gradient, for [`ShiftNet::grad_patterns`].
    pub fn backward(&self, tape: &mut Tape, dlogits: &[f32], grad: &mut [f32]) -> Vec<f32> {
        assert_eq!(
            (dlogits.len(), grad.len()),
            (tape.logits.len(), self.trunk.len())
        );
        let (n, c) = (tape.coverage.len(), &self.correlation);
        let first_bias = grad.len() - self.config.patterns;
        for (g, row) in grad[first_bias..]
            .iter_mut()
            .zip(dlogits.chunks_exact(c.lags()))
        {
            *g += row.iter().sum::<f32>();
        }
        let mut gspec = Vec::new();
        c.lags_spectrum(self.isa, dlogits, &mut gspec, &mut tape.scratch);
        c.grad_rows(
            self.isa,
            &gspec,
            &self.spectra,
            tape.offset,
            &mut tape.features,
            &mut tape.scratch,
        );
        for (row, m) in tape
            .features
            .row_mut(0, 0)
            .chunks_exact_mut(WIDTH)
            .zip(&tape.coverage)
        {
            row.iter_mut().for_each(|v| *v *= m);
            row[COVERAGE] = 0.0;
        }
        // The border that the widest adjoint reads.
        let wide = Shape::line(self.config.width, n);
        let all: Vec<_> = self.offsets().collect();
        let reach = all
            .iter()
            .map(|(c, _)| c.adjoint().border(wide, wide).1)
            .max()
            .unwrap_or(0);
        tape.grad.iter_mut().for_each(|g| g.reset(wide, (0, reach)));
        for (layer, (conv, at)) in all.into_iter().enumerate().rev() {
            let (dw, rest) = grad[at..].split_at_mut(conv.weights());
            let db = &mut rest[..conv.biases()];
            let [even, odd] = &mut tape.grad;
            let (old, new) = if layer % 2 == 0 {
                (even, odd)
            } else {
                (odd, even)
            };
            if layer == 0 {
                conv.grad_weights(self.isa, &tape.input, old, dw, db);
                continue;
            }
            let last = layer == self.config.depth + 1;
            let a = &tape.active[layer - 1];
            let dy = if last { &tape.features } else { &*old };
            conv.grad_weights(self.isa, a, dy, dw, db);
            let back = conv.adjoint();
            let then = Epilogue {
                mask: Some((a, SLOPE)),
                add: (!last).then_some(dy),
                ..Epilogue::default()
            };
            back.forward(
                self.isa,
                dy,
                &self.transposed[layer],
                &self.zero[..back.biases()],
                new,
                then,
                false,
            );
        }
        gspec
    }

    /// Gradient of the patterns from the spectra of a batch, summed in its order.
    pub fn grad_patterns(&self, fspecs: &[&[f32]], gspecs: &[&[f32]]) -> Vec<f32> {
        self.correlation.grad_patterns(self.isa, fspecs, gspecs)
    }
}
