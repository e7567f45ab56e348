//! One spectrum to one measurement: encode, network, decode, flags.

use rayon::prelude::*;
use slipher_data::spectrum::Spectrum;
use slipher_data::warning::Warning;
use slipher_nn::object_pool::ObjectPool;
use slipher_nn::shiftnet::{Input, Prediction};
use slipher_sim::sed::SpecType;
use slipher_stats::sample::odd_threshold;

use super::calibrate::Conditions;
use super::decode::{Answer, Solution, decode, density, pit_crps, posterior};
use super::encode::{Encoded, Encoder, FINE};
use super::goodness::FitPValues;
use super::lag::{allowed, lag_of};
use super::lines::{LineFit, measure_lines};
use super::model::Model;
use super::prior::Prior;
use super::subtype::subtype;

/// Bits of `zwarn`. Bits 0–15 keep Redrock's meaning; 16–23 are ours.
pub mod zwarn {
    /// Redrock: too few good pixels (fewer than 200 on the grid).
    pub const LITTLE_COVERAGE: i64 = 1 << 1;
    /// Redrock: the best redshift is at the edge of the range.
    pub const Z_FITLIMIT: i64 = 1 << 5;
    /// Redrock: no good data; there is no redshift.
    pub const NODATA: i64 = 1 << 9;
    /// `p_correct` is below what the purity wanted asks for: no redshift.
    pub const LOW_PROBABILITY: i64 = 1 << 16;
    /// The file had no errors; they were estimated from the scatter.
    pub const IVAR_ESTIMATED: i64 = 1 << 17;
    /// More than a tenth of the good pixels lie outside 2512–54,000 Å and were not used.
    pub const OFF_GRID: i64 = 1 << 18;
    /// The file or row could not be read; the log says why.
    pub const UNREADABLE: i64 = 1 << 19;
    /// Without the prior another solution would be the best.
    pub const PRIOR_DECIDED: i64 = 1 << 20;
    /// The prior contradicts the spectrum and was not used.
    pub const PRIOR_CONFLICT: i64 = 1 << 21;
    /// Nothing that was simulated looks like it: of a thousand simulations with a right redshift
    /// fewer than five are described as badly.
    pub const UNFAMILIAR: i64 = 1 << 22;
    /// The scatter from pixel to pixel is far from what the errors say.
    pub const ERRORS_UNLIKELY: i64 = 1 << 23;

    /// Name and meaning of every bit that Slipher sets.
    pub const ALL: [(i64, &str, &str); 11] = [
        (
            LITTLE_COVERAGE,
            "LITTLE_COVERAGE",
            "fewer than 200 good pixels (of 69 km/s)",
        ),
        (
            Z_FITLIMIT,
            "Z_FITLIMIT",
            "best redshift at the edge of the range",
        ),
        (NODATA, "NODATA", "no good data, no redshift"),
        (
            LOW_PROBABILITY,
            "LOW_PROBABILITY",
            "p_correct below what the purity wanted asks for: no redshift, z is the best guess",
        ),
        (
            IVAR_ESTIMATED,
            "IVAR_ESTIMATED",
            "no errors in the file, estimated from the scatter",
        ),
        (
            OFF_GRID,
            "OFF_GRID",
            "more than a tenth of the pixels outside 2512-54000 Å, not used",
        ),
        (
            UNREADABLE,
            "UNREADABLE",
            "the file or row could not be read",
        ),
        (
            PRIOR_DECIDED,
            "PRIOR_DECIDED",
            "without the prior another solution would be the best",
        ),
        (
            PRIOR_CONFLICT,
            "PRIOR_CONFLICT",
            "the prior contradicts the spectrum and was not used",
        ),
        (
            UNFAMILIAR,
            "UNFAMILIAR",
            "nothing that was simulated looks like this at this redshift",
        ),
        (
            ERRORS_UNLIKELY,
            "ERRORS_UNLIKELY",
            "the scatter from pixel to pixel is far from what the errors say",
        ),
    ];
}

/// Solutions kept per spectrum.
pub const SOLUTIONS: usize = 5;

/// What to measure beyond class and redshift.
#[derive(Clone, Debug)]
pub struct PredictOptions {
    /// Emission and absorption lines at the best redshift.
    pub lines: bool,
    /// The density of z.
    pub pz: bool,
    /// What is known of redshifts before the spectrum is seen.
    pub prior: Option<Prior>,
    /// p_correct from which a redshift is accepted; see [`Model::thresholds`].
    pub accept: f64,
    /// PIT and CRPS where a file carries a redshift: for pages, not for catalogues.
    pub evaluate: bool,
}

/// Purity that is wanted unless somebody says otherwise.
pub const PURITY: f64 = 0.98;

/// A wish that a model cannot fulfil.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say it")]
pub enum OptionsError {
    #[error("purity {asked}: this model knows thresholds for purities above 0 and up to {known}")]
    Purity { asked: f64, known: String },
    #[error(transparent)]
    Prior(#[from] super::prior::PriorError),
}

impl PredictOptions {
    /// Catalogue rows with lines; `purity` of the accepted redshifts by the model's dial, the
    /// density of z if `pz`, `prior` as [`Prior::parse`] takes it.
    ///
    /// # Errors
    /// A purity that the dial does not know, a prior that cannot be read.
    pub fn new(
        model: &Model,
        purity: f64,
        pz: bool,
        prior: Option<&str>,
    ) -> Result<PredictOptions, OptionsError> {
        let known = || {
            model
                .thresholds
                .0
                .iter()
                .map(|d| d.0.to_string())
                .collect::<Vec<_>>()
                .join(", ")
        };
        let accept = model
            .thresholds
            .threshold(purity)
            .filter(|_| purity > 0.0)
            .ok_or_else(|| OptionsError::Purity {
                asked: purity,
                known: known(),
            })?;
        Ok(PredictOptions {
            lines: true,
            pz,
            prior: prior.map(Prior::parse).transpose()?,
            accept,
            evaluate: false,
        })
    }
}

impl Default for PredictOptions {
    fn default() -> Self {
        PredictOptions {
            lines: true,
            pz: false,
            prior: None,
            accept: 0.75,
            evaluate: false,
        }
    }
}

/// What is known of one spectrum after the network.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Measurement {
    /// Solutions; none without a redshift.
    pub answer: Option<Answer>,
    /// At the best redshift.
    pub lines: Vec<LineFit>,
    /// As [`density`], if wanted.
    pub pz: Option<Vec<f32>>,
    /// Of the redshift that the file itself carries, as [`pit_crps`], if asked for; never used to
    /// predict.
    pub pit_crps: Option<(f64, f64)>,
    /// The device has not answered: there is no redshift.
    pub error: Option<String>,
    /// Compared with what was simulated.
    pub p_values: FitPValues,
    /// Spectral type of a star, else empty: [`subtype`].
    pub subtype: &'static str,
    /// Bits of [`zwarn`].
    pub zwarn: i64,
    /// What was assumed of the spectrum, and what is wrong with its file.
    pub warnings: Vec<Warning>,
    /// Median S/N of the good native pixels.
    pub snr_median: f32,
    /// Native pixels with a finite flux and an error.
    pub good_pixels: usize,
}

impl Measurement {
    /// The best solution, if there is a redshift.
    pub fn best(&self) -> Option<&Solution> {
        self.answer.as_ref()?.solutions.first()
    }

    /// There is a redshift, it is as probable as was asked for, and nothing that it rests on is a
    /// guess.
    pub fn accepted(&self) -> bool {
        self.best().is_some()
            && self.zwarn & zwarn::LOW_PROBABILITY == 0
            && !self.warnings.iter().any(|w| w.blocks())
    }
}

/// Buffers of [`measure`], reused from call to call.
#[derive(Default)]
pub struct Workspace {
    encoder: Encoder,
    encoded: Vec<Encoded>,
    prediction: Prediction,
}

/// Measures spectra, best in batches of [`Model::batch_size`].
pub fn measure(
    model: &Model,
    opts: &PredictOptions,
    spectra: &[&Spectrum],
    w: &mut Workspace,
) -> Vec<Measurement> {
    spectra
        .chunks(model.batch_size())
        .flat_map(|s| measure_together(model, opts, s, w))
        .map(|m| m.0)
        .collect()
}

/// Measures spectra on all threads, in order.
pub fn measure_all(
    model: &Model,
    opts: &PredictOptions,
    spectra: &[&Spectrum],
) -> Vec<Measurement> {
    let pool = ObjectPool::<Workspace>::default();
    spectra
        .par_chunks(model.batch_size())
        .map(|some| measure(model, opts, some, &mut pool.get()))
        .collect::<Vec<_>>()
        .into_iter()
        .flatten()
        .collect()
}

/// Measures one spectrum, with its posterior `[class][lag]`.
pub fn measure_with_posterior(
    model: &Model,
    opts: &PredictOptions,
    s: &Spectrum,
    w: &mut Workspace,
) -> (Measurement, Option<Vec<Vec<f64>>>) {
    measure_together(model, opts, &[s], w)
        .pop()
        .expect("one in, one out")
}

fn measure_together(
    model: &Model,
    opts: &PredictOptions,
    spectra: &[&Spectrum],
    w: &mut Workspace,
) -> Vec<(Measurement, Option<Vec<Vec<f64>>>)> {
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
    let inputs: Vec<Input> = w
        .encoded
        .iter()
        .zip(&rows)
        .filter(|(_, r)| r.1)
        .map(|(e, _)| e.input())
        .collect();
    let failure = model
        .predict(&inputs, &mut w.prediction)
        .err()
        .map(|e| e.to_string());
    let (classes, known) = (model.classes(), &model.calibration);
    let decode = |p: &[Vec<f64>], n| decode(p, n, &known.phase, &known.scatter);
    let mut logits = w.prediction.logits.iter();
    rows.drain(..)
        .zip(spectra.iter().zip(&w.encoded))
        .map(|((mut m, ok), (s, e))| {
            m.error.clone_from(&failure);
            let mut p = (ok && failure.is_none())
                .then(|| logits.next())
                .flatten()
                .map(|l| posterior(l, &classes, model.sharpness));
            if let Some(p) = &mut p {
                model.calibration.apply(p, &conditions(s, &m, e));
            }
            let weights = p
                .as_ref()
                .and_then(|_| opts.prior.as_ref()?.weights(&s.object_id));
            if let (Some(p), Some(weights)) = (&mut p, weights) {
                let before = decode(p, 1).solutions.first().copied();
                if !Prior::apply(&weights, p) {
                    m.zwarn |= zwarn::PRIOR_CONFLICT;
                }
                let after = decode(p, 1).solutions.first().copied();
                if before.zip(after).is_some_and(|(b, a)| {
                    a.class != b.class
                        || ((1.0 + a.z) / (1.0 + b.z)).ln().abs()
                            > super::decode::tolerance(b.class)
                }) {
                    m.zwarn |= zwarn::PRIOR_DECIDED;
                }
            }
            let answer = p
                .as_ref()
                .map(|p| decode(p, SOLUTIONS))
                .filter(|a| !a.solutions.is_empty());
            after(&mut m, answer, opts.accept);
            let p = m.answer.as_ref().and(p);
            if let Some(best) = m.best().copied() {
                m.p_values = model
                    .goodness
                    .p_values(best.class, &model.goodness.fit(s, e, best.class, best.z));
                let flag = |set: bool, bit: i64| if set { bit } else { 0 };
                m.zwarn |= flag(m.p_values.is_poor(), zwarn::UNFAMILIAR)
                    | flag(m.p_values.errors_unlikely(), zwarn::ERRORS_UNLIKELY);
                let needed = least_probability(opts.accept, m.zwarn, m.snr_median);
                m.zwarn |= flag(best.probability < needed, zwarn::LOW_PROBABILITY);
            }
            if let (true, Some(best)) = (opts.lines, m.best().copied()) {
                m.lines = measure_lines(s, best.class, best.z);
                if best.class == SpecType::Star {
                    m.subtype = subtype(&model.subtypes, e, best.z);
                }
            }
            if opts.evaluate {
                m.pit_crps = evaluated(s, p.as_deref(), m.answer.as_ref());
            }
            m.pz = p.as_ref().filter(|_| opts.pz).map(|p| density(p));
            (m, p)
        })
        .collect()
}

/// PIT and CRPS of the redshift that the file itself carries.
fn evaluated(s: &Spectrum, p: Option<&[Vec<f64>]>, answer: Option<&Answer>) -> Option<(f64, f64)> {
    let t = s.truth.as_ref()?;
    pit_crps(p?, answer?, SpecType::parse(&t.spectype)?, t.z)
}

/// What the calibration of probabilities depends on.
pub(super) fn conditions(s: &Spectrum, m: &Measurement, e: &Encoded) -> Conditions {
    Conditions {
        snr: f64::from(m.snr_median),
        good: e.good as f64,
        width: f64::from(e.native_width),
        estimated: s.ivar_estimated,
    }
}

/// What is known before the network.
fn before(s: &Spectrum, encoded: Option<&Encoded>) -> Measurement {
    let good_pixels = s.good_pixels();
    let mut out = Measurement {
        snr_median: s.median_snr(),
        good_pixels,
        warnings: s.warnings.clone(),
        ..Measurement::default()
    };
    if s.ivar_estimated {
        out.zwarn |= zwarn::IVAR_ESTIMATED;
    }
    let (lo, hi) = (FINE.wave(-0.5), FINE.wave(FINE.len as f64 - 0.5));
    let outside = s
        .wave
        .iter()
        .zip(&s.ivar)
        .filter(|(w, v)| **v > 0.0 && (**w < lo || **w > hi))
        .count();
    if outside * 10 > good_pixels {
        out.zwarn |= zwarn::OFF_GRID;
    }
    if encoded.is_some_and(|e| e.good < 200) {
        out.zwarn |= zwarn::LITTLE_COVERAGE;
    }
    out
}

/// Takes the answer and sets the flags that depend on it.
fn after(m: &mut Measurement, answer: Option<Answer>, accept: f64) {
    match answer.as_ref().and_then(|a| a.solutions.first()) {
        None => m.zwarn |= zwarn::NODATA,
        Some(best) => {
            if best.probability < accept {
                m.zwarn |= zwarn::LOW_PROBABILITY;
            }
            if at_limit(best) {
                m.zwarn |= zwarn::Z_FITLIMIT;
            }
        }
    }
    m.answer = answer;
}

/// What `p_correct` must be for a redshift to be accepted: `accept`, the threshold of the purity,
/// but never less than an even chance; a quarter of the doubt that is allowed elsewhere for the odd:
/// nothing that was simulated looks like it, the redshift lies at the edge of the range, or there is
/// no continuum, so that it rests on lines alone, often on one.
pub fn least_probability(accept: f64, zwarn: i64, snr_median: f32) -> f64 {
    let usual = accept.max(0.5);
    if is_odd(zwarn, snr_median) {
        odd_threshold(usual)
    } else {
        usual
    }
}

/// Of which more is asked: see [`least_probability`].
pub fn is_odd(zwarn: i64, snr_median: f32) -> bool {
    zwarn & (zwarn::UNFAMILIAR | zwarn::Z_FITLIMIT) != 0 || snr_median < NO_CONTINUUM
}

/// Below this median S/N of a pixel there is no continuum.
const NO_CONTINUUM: f32 = 0.3;

/// The solution lies on the first or last lags that its class may take.
fn at_limit(s: &Solution) -> bool {
    let range = allowed(s.class);
    let lag = lag_of(s.z);
    lag < range.start as f64 + 1.0 || lag > range.end as f64 - 2.0
}

#[cfg(test)]
mod tests;
