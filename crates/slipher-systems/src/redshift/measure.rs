//! One spectrum to one measurement: encode, network, decode, flags.

use rayon::prelude::*;
use slipher_data::spectrum::Spectrum;
use slipher_nn::shiftnet::{Input, Prediction};
use slipher_nn::spare::Spare;

use super::decode::{Answer, Solution, decode, posterior};
use super::encode::{Encoded, Encoder, FINE};
use super::model::{Model, allowed, lag_of};

/// Bits of `zwarn`. Bits 0–15 keep Redrock's meaning; 16–23 are ours.
pub mod zwarn {
    /// Redrock: too few good pixels (fewer than 200 on the grid).
    pub const LITTLE_COVERAGE: i64 = 1 << 1;
    /// Redrock: the best redshift is at the edge of the range.
    pub const Z_FITLIMIT: i64 = 1 << 5;
    /// Redrock: no good data; there is no redshift.
    pub const NODATA: i64 = 1 << 9;
    /// `p_correct` is below 0.9.
    pub const LOW_PROBABILITY: i64 = 1 << 16;
    /// The file had no errors; they were estimated from the scatter.
    pub const IVAR_ESTIMATED: i64 = 1 << 17;
    /// More than a tenth of the good pixels lie outside 2512–54,000 Å and were not used.
    pub const OFF_GRID: i64 = 1 << 18;
    /// The file or row could not be read; the log says why.
    pub const UNREADABLE: i64 = 1 << 19;

    /// Name and meaning of every bit that Slipher sets.
    pub const ALL: [(i64, &str, &str); 7] = [
        (LITTLE_COVERAGE, "LITTLE_COVERAGE", "fewer than 200 good pixels (of 69 km/s)"),
        (Z_FITLIMIT, "Z_FITLIMIT", "best redshift at the edge of the range"),
        (NODATA, "NODATA", "no good data, no redshift"),
        (LOW_PROBABILITY, "LOW_PROBABILITY", "p_correct below 0.9"),
        (IVAR_ESTIMATED, "IVAR_ESTIMATED", "no errors in the file, estimated from the scatter"),
        (OFF_GRID, "OFF_GRID", "more than a tenth of the pixels outside 2512-54000 Å, not used"),
        (UNREADABLE, "UNREADABLE", "the file or row could not be read"),
    ];
}

/// Solutions kept per spectrum.
pub const SOLUTIONS: usize = 5;

/// What is known of one spectrum after the network.
#[derive(Clone, Debug, PartialEq)]
pub struct Measurement {
    pub answer: Option<Answer>,
    pub zwarn: i64,
    /// Median S/N of the good native pixels.
    pub snr_median: f32,
    pub good_pixels: usize,
}

impl Measurement {
    /// The best solution, if there is a redshift.
    pub fn best(&self) -> Option<&Solution> {
        self.answer.as_ref()?.solutions.first()
    }
}

/// Buffers of [`measure`], reused from call to call.
#[derive(Default)]
pub struct Workspace {
    encoder: Encoder,
    encoded: Vec<Encoded>,
    prediction: Prediction,
}

/// Measures spectra, best in batches of [`Model::together`].
pub fn measure(model: &Model, spectra: &[&Spectrum], w: &mut Workspace) -> Vec<Measurement> {
    spectra.chunks(model.together()).flat_map(|s| measure_together(model, s, w)).map(|m| m.0).collect()
}

/// Measures spectra on all threads, in order.
pub fn measure_all(model: &Model, spectra: &[&Spectrum]) -> Vec<Measurement> {
    let spare = Spare::<Workspace>::default();
    spectra.par_chunks(model.together()).map(|some| measure(model, some, &mut spare.lend())).collect::<Vec<_>>().into_iter().flatten().collect()
}

/// Measures one spectrum, with its posterior `[class][lag]`.
pub fn measure_with_posterior(model: &Model, s: &Spectrum, w: &mut Workspace) -> (Measurement, Option<Vec<Vec<f64>>>) {
    measure_together(model, &[s], w).pop().expect("one in, one out")
}

fn measure_together(model: &Model, spectra: &[&Spectrum], w: &mut Workspace) -> Vec<(Measurement, Option<Vec<Vec<f64>>>)> {
    if w.encoded.len() < spectra.len() {
        w.encoded.resize_with(spectra.len(), Encoded::default);
    }
    let (encoder, encoded) = (&mut w.encoder, &mut w.encoded);
    let mut rows: Vec<(Measurement, bool)> = spectra
        .iter()
        .zip(encoded.iter_mut())
        .map(|(s, e)| {
            let ok = encoder.encode(s, e);
            (before(s, ok.then_some(&*e)), ok)
        })
        .collect();
    let inputs: Vec<Input> = w.encoded.iter().zip(&rows).filter(|(_, r)| r.1).map(|(e, _)| e.input()).collect();
    model.predict(&inputs, &mut w.prediction);
    let classes = model.classes();
    let mut logits = w.prediction.logits.iter();
    rows.drain(..)
        .map(|(mut m, ok)| {
            let p = ok.then(|| logits.next()).flatten().map(|l| posterior(l, &classes, model.sharpness));
            let answer = p.as_ref().map(|p| decode(p, SOLUTIONS)).filter(|a| !a.solutions.is_empty());
            after(&mut m, answer);
            let p = m.answer.as_ref().and(p);
            (m, p)
        })
        .collect()
}

/// What is known before the network.
fn before(s: &Spectrum, encoded: Option<&Encoded>) -> Measurement {
    let good_pixels = s.good_pixels();
    let mut out = Measurement { answer: None, zwarn: 0, snr_median: s.median_snr(), good_pixels };
    if s.ivar_estimated {
        out.zwarn |= zwarn::IVAR_ESTIMATED;
    }
    let (lo, hi) = (FINE.wave(-0.5), FINE.wave(FINE.len as f64 - 0.5));
    let outside = s.wave.iter().zip(&s.ivar).filter(|(w, v)| **v > 0.0 && (**w < lo || **w > hi)).count();
    if outside * 10 > good_pixels {
        out.zwarn |= zwarn::OFF_GRID;
    }
    if encoded.is_some_and(|e| e.good < 200) {
        out.zwarn |= zwarn::LITTLE_COVERAGE;
    }
    out
}

/// Takes the answer and sets the flags that depend on it.
fn after(m: &mut Measurement, answer: Option<Answer>) {
    match answer.as_ref().and_then(|a| a.solutions.first()) {
        None => m.zwarn |= zwarn::NODATA,
        Some(best) => {
            if best.probability < 0.9 {
                m.zwarn |= zwarn::LOW_PROBABILITY;
            }
            if at_limit(best) {
                m.zwarn |= zwarn::Z_FITLIMIT;
            }
        }
    }
    m.answer = answer;
}

/// The solution lies on the first or last lags that its class may take.
fn at_limit(s: &Solution) -> bool {
    let range = allowed(s.class);
    let lag = lag_of(s.z);
    lag < range.start as f64 + 1.0 || lag > range.end as f64 - 2.0
}

#[cfg(test)]
mod tests {
    use super::*;
    use slipher_sim::sed::SpecType;

    use crate::redshift::model::{LAGS, NetworkRecipe, redshift_of};

    /// Every bit can be set.
    #[test]
    fn every_bit_is_set_by_something() {
        let model = Model::new(NetworkRecipe { depth: 1, width: 16, taps: 3, patterns: [1, 1, 1] }, 1);
        let mut w = Workspace::default();
        let make = |start: f64, n: usize, ivar: f32| {
            let wave = (0..n).map(|i| start * (1.0 + 2.3e-4f64).powi(i as i32)).collect();
            let flux = (0..n).map(|i| 1.0 + 0.1 * (i as f32 * 0.7).sin()).collect();
            Spectrum::new(wave, flux, vec![ivar; n], &[]).unwrap()
        };
        let short = make(4000.0, 60, 100.0);
        let dead = make(4000.0, 3000, 0.0);
        let mut s = make(1000.0, 6000, 100.0); // far beyond the blue end
        s.ivar_estimated = true;
        // Untrained: every answer is improbable.
        let together = measure(&model, &[&short, &dead, &s], &mut w);
        let mut all = together.iter().fold(0, |z, m| z | m.zwarn);
        assert!(together[1].answer.is_none() && together[2] == measure(&model, &[&s], &mut w)[0]);
        let edge = Solution { class: SpecType::Galaxy, z: redshift_of(LAGS as f64 - 1.0), z_err: 0.1, probability: 1.0 };
        assert!(at_limit(&edge) && at_limit(&Solution { class: SpecType::Qso, z: 0.0, ..edge }));
        assert!(!at_limit(&Solution { z: 1.0, ..edge }) && !at_limit(&Solution { class: SpecType::Star, z: 0.0, ..edge }));
        all |= zwarn::Z_FITLIMIT;
        // UNREADABLE is set by the pipeline for rows without a spectrum.
        for (bit, name, _) in zwarn::ALL.iter().filter(|b| b.0 != zwarn::UNREADABLE) {
            assert!(all & bit != 0, "{name} was never set");
        }
    }
}
