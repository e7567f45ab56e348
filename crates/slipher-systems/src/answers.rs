//! Observations to rows of a catalogue, for the systems of the shared engine: from Arrow batches,
//! and from files in blocks, so that memory does not grow with their number.

mod columns;

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use arrow_array::RecordBatch;
use arrow_array::cast::AsArray;
use arrow_array::types::Int32Type;
use rayon::prelude::*;
use slipher_data::catalogue::{Column, Values, record};
use slipher_data::cutouts::{self, CutoutOptions};
use slipher_data::field::Field;
use slipher_data::formats::{self, ReadOptions, batch::Spectra};
use slipher_data::light_curves;
use slipher_data::sources::Source;
use slipher_nn::heads::posterior::{Posterior, reframe};
use slipher_nn::heads::{Kind, largest};

use crate::example::{Input, Observation};
use crate::familiarity::UNFAMILIAR;
use crate::model::Model;
use crate::pixels;
use crate::predict::{FAILED, Options, Predict, PredictError, beside, caught, guarded, precision};
use crate::system::System;

/// Bits of `flags`.
pub mod flag {
    /// The file or the image cannot be read or does not suit the system; `error` says why.
    pub const BAD_INPUT: i32 = 1 << 0;
    /// More than a fifth of the pixels have no data.
    pub const FEW_PIXELS: i32 = 1 << 1;
    /// No answer is more likely than its threshold ([`super::UNSURE`]).
    pub const UNSURE: i32 = 1 << 2;
    /// The file did not say which band is which.
    pub const BANDS_ASSUMED: i32 = 1 << 3;
    /// Fewer than one in a hundred images of the model's own kind are as strange.
    pub const UNFAMILIAR: i32 = 1 << 4;
    /// A fit was asked for and did not end well: the answer is the network's.
    pub const NO_FIT: i32 = 1 << 5;
    /// The first bit of a system's own.
    pub const OWN: i32 = 8;
}

/// Probability of the likeliest answer below which a row is flagged.
pub const UNSURE: f32 = 0.9;

/// Observations in memory at a time.
const BLOCK: usize = 512;
/// Files that are read at once.
const FILES: usize = 64;
/// Files that are small enough for that, bytes.
const SMALL: u64 = 4 << 20;
/// Values of a posterior of which the catalogue has quantiles.
/// Why a row has no answer whose numbers overflow.
const NOT_FINITE: &str = "the answer is not a finite number: the pixels are far outside what \
    images hold (fill values? give them as NaN or in a mask)";
const QUANTILES: [(f64, &str); 5] = [
    (0.025, "p2_5"),
    (0.16, "p16"),
    (0.5, "p50"),
    (0.84, "p84"),
    (0.975, "p97_5"),
];

/// An observation and where it was read, or why there is none.
pub struct Read {
    /// File, as the user gave it; empty for a batch.
    pub source: String,
    /// HDU, plane or row in it.
    pub row: usize,
    /// What was read, or why not.
    pub input: Result<Observation, String>,
}

/// One row of the catalogue.
#[derive(Clone, Debug)]
pub struct Answer {
    /// File, as the user gave it; empty for a batch.
    pub source: String,
    /// HDU, plane or row in it.
    pub row: usize,
    /// Identifier; empty if there is none.
    pub object_id: String,
    /// Right ascension in degrees (ICRS); NaN if unknown.
    pub ra: f64,
    /// Declination in degrees (ICRS); NaN if unknown.
    pub dec: f64,
    /// Bits of the system's flags.
    pub flags: i32,
    /// Why there is no answer; empty if there is one.
    pub error: String,
    /// As the head decodes it; NaN if there is none.
    pub values: Vec<f32>,
    /// Share of the model's own kind of images that is as strange; NaN if unknown.
    pub familiarity: f64,
    /// χ² over degrees of freedom of a fit, and the images of the model that it took; NaN and 0
    /// without one.
    pub fit: (f64, usize),
    /// What was asked about, without pixels if they are not kept.
    pub input: Option<Observation>,
    /// What a network sees of it, if kept.
    pub image: Option<Vec<f32>>,
    /// What the networks make of it before they answer, if asked for.
    pub embedding: Vec<f32>,
}

/// How many rows came out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Rows of the catalogue.
    pub rows: usize,
    /// Rows without an answer.
    pub failed: usize,
}

/// What is encoded of a row, and its pixels where they were [converted](pixels::settle) for that.
pub(crate) type Encoded = Result<(Vec<f32>, Option<Observation>), String>;

/// What the network made of a row.
struct Worked {
    encoded: Result<Vec<f32>, String>,
    settled: Option<Observation>,
    values: Vec<f32>,
    familiarity: f64,
    embedding: Vec<f32>,
}

/// A model in use, with its options.
pub struct Answerer {
    /// Networks, head and settings.
    pub model: Model,
    cutouts: CutoutOptions,
    spectra: ReadOptions,
    /// Fits begin at the network's answers.
    polish: bool,
    /// Embeddings are written.
    embedding: bool,
}

impl Answerer {
    /// Options of systems that look at cutouts.
    const CUTOUT_OPTIONS: &'static [&'static str] = &["bands", "precision", "embedding"];
    /// Those of systems that fit.
    const FIT_OPTIONS: &'static [&'static str] = &[
        "bands",
        "precision",
        "embedding",
        "polish",
        "psf",
        "psf_kind",
        "zeropoint",
    ];
    /// Those of systems that take a point-spread function.
    const PSF_OPTIONS: &'static [&'static str] = &[
        "bands",
        "precision",
        "embedding",
        "psf",
        "psf_kind",
        "zeropoint",
    ];
    /// Options of systems that look at spectra.
    const SPECTRUM_OPTIONS: &'static [&'static str] = &["precision", "embedding"];

    /// Opens the bytes of a model file.
    ///
    /// # Errors
    /// A model that does not suit, an option that the system does not have.
    pub fn open(
        system: &'static dyn System,
        name: &str,
        bytes: &[u8],
        mut o: Options,
    ) -> Result<Answerer, PredictError> {
        let (cutouts, known) = match system.input() {
            Input::Cutout => {
                let bands: Option<String> = o.take("bands", "names, with commas")?;
                let bands = bands.map_or(vec![], |b| b.split(',').map(str::to_owned).collect());
                let mut cutouts = CutoutOptions {
                    bands,
                    ..CutoutOptions::default()
                };
                if system.takes_psf() {
                    psf_options(&mut o, &mut cutouts)?;
                }
                if system.refines() {
                    (cutouts, Answerer::FIT_OPTIONS)
                } else if system.takes_psf() {
                    (cutouts, Answerer::PSF_OPTIONS)
                } else {
                    (cutouts, Answerer::CUTOUT_OPTIONS)
                }
            }
            Input::Spectrum | Input::LightCurve => {
                (CutoutOptions::default(), Answerer::SPECTRUM_OPTIONS)
            }
        };
        let arithmetic: Option<String> = o.take("precision", "f32 or bf16")?;
        let polish = if system.refines() {
            o.take("polish", "true or false")?.unwrap_or(false)
        } else {
            false
        };
        let embedding = o.take("embedding", "true or false")?.unwrap_or(false);
        o.finish(system.name(), known)?;
        let model = Model::from_bytes(system, name, bytes)?;
        if embedding && model.embedding_width() == 0 {
            return Err(PredictError::Option(format!(
                "embedding: the network of {} answers with images and has none",
                system.name()
            )));
        }
        let model = match arithmetic {
            Some(word) => model.with_precision(precision(&word)?),
            None => model,
        };
        Ok(Answerer {
            polish,
            embedding,
            ..Answerer::of(model, cutouts)
        })
    }

    /// A model with the names of bands.
    pub fn of(model: Model, cutouts: CutoutOptions) -> Answerer {
        Answerer {
            model,
            cutouts,
            spectra: ReadOptions::default(),
            polish: false,
            embedding: false,
        }
    }

    /// Answers all observations in the files, in order; `each` gets blocks of rows, and the number
    /// of files done. `keep` keeps what was encoded.
    ///
    /// # Errors
    /// What `each` returns.
    pub fn run<E>(
        &self,
        files: &[PathBuf],
        keep: bool,
        mut each: impl FnMut(Vec<Answer>, usize) -> Result<bool, E>,
    ) -> Result<Tally, E> {
        let mut tally = Tally::default();
        let mut done = 0;
        let mut give = |rows: Vec<Read>, done: usize| -> Result<bool, E> {
            let answers = self.answer(rows, keep);
            tally.rows += answers.len();
            tally.failed += answers
                .iter()
                .filter(|a| a.flags & flag::BAD_INPUT != 0)
                .count();
            each(answers, done)
        };
        for group in files.chunks(FILES) {
            // Small files in parallel; one large file is read in blocks.
            let small = |f: &PathBuf| std::fs::metadata(f).is_ok_and(|m| m.len() < SMALL);
            if group.len() > 1 && group.iter().all(small) {
                let read: Vec<Vec<Read>> = group.par_iter().map(|f| self.all(f)).collect();
                done += group.len();
                let mut rows = read.into_iter().flatten().peekable();
                // Once at least: a catalogue of no rows has its columns, too.
                loop {
                    if !give(rows.by_ref().take(BLOCK).collect(), done)? {
                        return Ok(tally);
                    }
                    if rows.peek().is_none() {
                        break;
                    }
                }
                continue;
            }
            for f in group {
                let (mut block, mut outcome) = (Vec::new(), Ok(true));
                self.read(f, &mut |row| {
                    block.push(row);
                    if block.len() == BLOCK {
                        outcome = give(std::mem::take(&mut block), done);
                    }
                    matches!(outcome, Ok(true))
                });
                done += 1;
                if !outcome? || !give(block, done)? {
                    return Ok(tally);
                }
            }
        }
        Ok(tally)
    }

    /// Cuts a stamp around each source out of a large image and answers them in blocks, in the
    /// order of the sources; `each` as in [`run`](Answerer::run), with the number of sources done.
    ///
    /// # Errors
    /// Those of `each`.
    pub fn run_field<E>(
        &self,
        field: &Field,
        sources: &[Source],
        keep: bool,
        mut each: impl FnMut(Vec<Answer>, usize) -> Result<bool, E>,
    ) -> Result<Tally, E> {
        let mut tally = Tally::default();
        let name = field.path().display().to_string();
        let side = self.model.system.stamp_side(field.scale());
        for (k, some) in sources.chunks(BLOCK).enumerate() {
            let cut = |(i, s): (usize, &Source)| Read {
                source: name.clone(),
                row: k * BLOCK + i,
                input: field.cut(s, side).map(Observation::Cutout),
            };
            let rows = some.par_iter().enumerate().map(cut).collect();
            let mut answers = self.answer(rows, keep);
            for (a, s) in answers.iter_mut().zip(some) {
                a.object_id.clone_from(&s.id);
                if let (Some([ra, dec]), true) = (s.sky, a.ra.is_nan()) {
                    (a.ra, a.dec) = (ra, dec);
                }
            }
            tally.rows += answers.len();
            tally.failed += answers
                .iter()
                .filter(|a| a.flags & flag::BAD_INPUT != 0)
                .count();
            if !each(answers, k * BLOCK + some.len())? {
                break;
            }
        }
        Ok(tally)
    }

    fn all(&self, file: &Path) -> Vec<Read> {
        let mut rows = Vec::new();
        self.read(file, &mut |r| {
            rows.push(r);
            true
        });
        rows
    }

    /// Answers of observations that are in memory, in their order.
    pub fn answer_all(&self, observations: Vec<Observation>) -> Vec<Answer> {
        let read = |(row, x)| Read {
            source: String::new(),
            row,
            input: Ok(x),
        };
        let mut rows = observations.into_iter().enumerate().map(read).peekable();
        let mut answers = Vec::new();
        while rows.peek().is_some() {
            answers.extend(self.answer(rows.by_ref().take(BLOCK).collect(), false));
        }
        answers
    }

    /// One observation of a file, for people who look at a row of a catalogue.
    ///
    /// # Errors
    /// The file cannot be read, or has no such row.
    pub fn observation(&self, file: &Path, row: usize) -> Result<Observation, String> {
        let mut found = None;
        self.read(file, &mut |r| {
            if r.row == row || r.input.is_err() {
                found = Some(r.input);
            }
            !matches!(found, Some(Ok(_)))
        });
        found.unwrap_or_else(|| Err(format!("{} has no row {row}", file.display())))
    }

    /// The answer of one observation, with what a network sees of it.
    pub fn look(&self, x: Observation) -> Answer {
        let (source, row) = (String::new(), 0);
        let read = Read {
            source,
            row,
            input: Ok(x),
        };
        let mut answers = self.answer(vec![read], true);
        answers.swap_remove(0)
    }

    /// How much the value `output` of an answer falls when a square of what the network sees is
    /// replaced by the mean of its edge (occlusion; Zeiler & Fergus 2014), `[row][column]` of a map
    /// with `steps` squares a side. None for what is no square image.
    pub fn occlusion(&self, image: &[f32], output: usize, steps: usize) -> Option<Vec<f32>> {
        let side = self.model.system.geometry().stored();
        let plane = side * side;
        if plane == 0 || !image.len().is_multiple_of(plane) || steps == 0 || steps > side {
            return None;
        }
        let edge = |y: usize, x: usize| y == 0 || x == 0 || y + 1 == side || x + 1 == side;
        let around: Vec<f32> = image
            .chunks_exact(plane)
            .map(|p| {
                let ring = (0..plane).filter(|i| edge(i / side, i % side));
                ring.clone().map(|i| p[i]).sum::<f32>() / ring.count() as f32
            })
            .collect();
        let range = |k: usize| k * side / steps..(k + 1) * side / steps;
        let hidden = |at: usize| {
            let mut copy = image.to_vec();
            for (p, mean) in copy.chunks_exact_mut(plane).zip(&around) {
                for y in range(at / steps) {
                    p[y * side..][range(at % steps)].fill(*mean);
                }
            }
            copy
        };
        let mut all = vec![image.to_vec()];
        all.extend((0..steps * steps).map(hidden));
        let answers = self.model.predict(&all);
        let width = self.model.width();
        let value = |i: usize| answers.get(i * width + output).copied();
        let whole = value(0)?;
        (1..all.len()).map(|i| Some(whole - value(i)?)).collect()
    }

    /// All images of a file.
    ///
    /// # Errors
    /// The first that cannot be read, and why.
    pub fn cutouts_of(&self, file: &Path) -> Result<Vec<slipher_data::cutout::Cutout>, String> {
        let (mut all, mut why) = (vec![], None);
        self.read(file, &mut |r| {
            match r.input.and_then(|x| x.cutout().cloned()) {
                Ok(c) => all.push(c),
                Err(e) => why = Some(e),
            }
            why.is_none()
        });
        why.map_or(Ok(all), Err)
    }

    /// Reads a file; what cannot be read is a row that says why.
    pub(crate) fn read(&self, file: &Path, each: &mut dyn FnMut(Read) -> bool) {
        let source = file.display().to_string();
        let mut next = 0;
        let outcome = match self.model.system.input() {
            Input::Cutout => caught(|| {
                cutouts::read(file, &self.cutouts, &mut |r| {
                    next = r.row + 1;
                    let input = r.cutout.map(Observation::Cutout);
                    each(Read {
                        source: r.source,
                        row: r.row,
                        input,
                    })
                })
            }),
            Input::LightCurve => caught(|| {
                light_curves::read(file, &mut |r| {
                    next = r.row + 1;
                    each(Read {
                        source: r.source,
                        row: r.row,
                        input: r.curve.map(Observation::LightCurve),
                    })
                })
            }),
            Input::Spectrum => caught(|| {
                let found = formats::read(file, &self.spectra).map_err(|e| e.to_string())?;
                for r in found.rows {
                    let input = r.spectrum.map(Observation::Spectrum);
                    let row = Read {
                        source: source.clone(),
                        row: r.row,
                        input,
                    };
                    if !each(row) {
                        break;
                    }
                }
                Ok(())
            }),
        };
        if let Err(why) = outcome.unwrap_or_else(|| Err(FAILED.into())) {
            each(Read {
                source,
                row: next,
                input: Err(why),
            });
        }
    }

    /// What the network sees of an observation, and the pixels that it was made of where they were
    /// converted for that.
    pub(crate) fn encode(&self, x: &Observation) -> Encoded {
        if let Observation::Cutout(c) = x
            && let Cow::Owned(settled) = pixels::settle(c)?
        {
            let settled = Observation::Cutout(settled);
            return Ok((self.model.system.encode(&settled)?, Some(settled)));
        }
        Ok((self.model.system.encode(x)?, None))
    }

    /// Answers of some rows; one that makes the program fail is flagged.
    fn answer(&self, rows: Vec<Read>, keep: bool) -> Vec<Answer> {
        let failed = |_| Worked {
            encoded: Err(FAILED.to_owned()),
            settled: None,
            values: self.nothing(),
            familiarity: f64::NAN,
            embedding: vec![],
        };
        let run = |some: std::ops::Range<usize>| -> Vec<Worked> {
            let encode = |r: &Read| self.encode(r.input.as_ref().map_err(Clone::clone)?);
            let encoded: Vec<Encoded> = rows[some.clone()].par_iter().map(encode).collect();
            let good: Vec<Vec<f32>> = encoded
                .iter()
                .filter_map(|e| e.as_ref().ok().map(|e| e.0.clone()))
                .collect();
            let n = self.model.width();
            let (answers, familiar, mut embeddings) = self.model.predict_embedded(&good);
            if !self.embedding {
                embeddings = vec![vec![]; good.len()];
            }
            let mut answers = answers.chunks_exact(n).zip(familiar).zip(embeddings);
            let each = encoded.into_iter().map(|e| {
                let found = e.as_ref().ok().and_then(|_| answers.next());
                let (values, familiarity, embedding) = found.map_or_else(
                    || (self.nothing(), f64::NAN, vec![]),
                    |((values, familiar), embedding)| (values.to_vec(), familiar, embedding),
                );
                let (encoded, settled) = match e {
                    Ok((x, settled)) => (Ok(x), settled),
                    Err(why) => (Err(why), None),
                };
                Worked {
                    encoded,
                    settled,
                    values,
                    familiarity,
                    embedding,
                }
            });
            each.collect()
        };
        let found = guarded(rows.len(), &run, &failed);
        let both: Vec<(Read, Worked)> = rows.into_iter().zip(found).collect();
        both.into_par_iter()
            .map(|(row, mut worked)| {
                let settled = worked.settled.take();
                let mut answer = self.row(row, worked, keep);
                self.own(&mut answer, settled.as_ref());
                answer
            })
            .collect()
    }

    /// What a system adds to the answer of a row, of pixels that were `settled`: its units, a fit, its
    /// flags.
    fn own(&self, r: &mut Answer, settled: Option<&Observation>) {
        let system = self.model.system;
        if let (Some(x), true) = (settled.or(r.input.as_ref()), r.error.is_empty()) {
            let worked = caught(|| {
                let mut values = r.values.clone();
                if let Some(frame) = system.frame(x) {
                    reframe(&mut values, &frame);
                }
                let fitted = self.polish.then(|| system.refine(x, &values));
                let mut flags = 0;
                let mut fit = (f64::NAN, 0);
                match fitted {
                    Some(Some(f)) => {
                        fit = (f.chi2, f.calls);
                        flags |= f.flags;
                        // Means and errors of the fit, in a mixture of as many parts.
                        values = widened(f.values, values.len());
                    }
                    Some(None) => flags |= flag::NO_FIT,
                    None => {}
                }
                flags |= system.flag(x, &values);
                flags |= system.finish(x, &mut values);
                (values, fit, flags)
            });
            if let Some((values, fit, flags)) = worked {
                (r.values, r.fit) = (values, fit);
                r.flags |= flags;
            } else {
                (r.error, r.flags) = (FAILED.to_owned(), flag::BAD_INPUT);
                r.values = self.nothing();
            }
        }
        r.input = r.input.take().map(without_pixels);
    }

    fn nothing(&self) -> Vec<f32> {
        vec![f32::NAN; self.model.width()]
    }

    fn row(&self, read: Read, worked: Worked, keep: bool) -> Answer {
        let Worked {
            encoded,
            values,
            familiarity,
            embedding,
            ..
        } = worked;
        let input = read.input.ok();
        let (image, error) = match encoded {
            // A class of numbers that are none would be the first.
            Ok(_) if values.iter().any(|v| !v.is_finite()) => (None, NOT_FINITE.to_owned()),
            Ok(x) => (Some(x).filter(|_| keep), String::new()),
            Err(why) => (None, why),
        };
        let mut flags = if error.is_empty() { 0 } else { flag::BAD_INPUT };
        if let (Some(x), true) = (&input, error.is_empty()) {
            let unsure =
                self.model.head.kind() == Kind::Classes && values[largest(&values)] < UNSURE;
            let assumed = x.notes().iter().any(|n| n.contains("order of the planes"));
            let bit = |set: bool, bit: i32| if set { bit } else { 0 };
            flags |= bit(x.good_share() < 0.8, flag::FEW_PIXELS);
            flags |= bit(unsure, flag::UNSURE) | bit(assumed, flag::BANDS_ASSUMED);
            flags |= bit(familiarity < UNFAMILIAR, flag::UNFAMILIAR);
        }
        let (ra, dec) = input
            .as_ref()
            .map_or((f64::NAN, f64::NAN), Observation::position);
        Answer {
            source: read.source,
            row: read.row,
            object_id: input
                .as_ref()
                .map(|x| x.object_id().to_owned())
                .unwrap_or_default(),
            ra,
            dec,
            flags,
            error,
            values,
            familiarity,
            fit: (f64::NAN, 0),
            input,
            image,
            embedding,
        }
    }
}

/// An answer of few components as one of more, of which the others weigh nothing.
fn widened(mut answer: Vec<f32>, to: usize) -> Vec<f32> {
    let one = answer.clone();
    while answer.len() < to {
        let at = answer.len();
        answer.extend_from_slice(&one);
        answer[at] = 0.0;
    }
    answer
}

/// Point-spread function and zero point for files that bring none.
fn psf_options(o: &mut Options, c: &mut CutoutOptions) -> Result<(), PredictError> {
    let psf: Option<PathBuf> = o.take("psf", "a FITS image")?;
    let kind: Option<String> = o.take("psf_kind", "effective or optical")?;
    c.zero_point = o.take("zeropoint", "the AB magnitude of one unit of flux")?;
    c.optical_psf = match kind.as_deref() {
        None | Some("effective") => false,
        Some("optical") => true,
        Some(other) => {
            return Err(PredictError::Option(format!(
                "psf_kind {other:?}: expected effective (a star as the detector sees it) or optical \
                 (without the pixel)"
            )));
        }
    };
    if let Some(p) = psf {
        let name = p.display().to_string();
        let image = slipher_data::cutouts::psf_file(&p)
            .map_err(|e| PredictError::Option(format!("psf {name}: {e}")))?;
        c.psf = Some(image);
    }
    Ok(())
}

/// A name of a column for as long as the program runs; each is kept once.
pub(crate) fn interned(name: String) -> &'static str {
    static NAMES: Mutex<BTreeSet<&'static str>> = Mutex::new(BTreeSet::new());
    let mut names = NAMES.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(n) = names.get(name.as_str()) {
        return n;
    }
    let n: &'static str = Box::leak(name.into_boxed_str());
    names.insert(n);
    n
}

/// What a catalogue still needs of an observation.
fn without_pixels(x: Observation) -> Observation {
    match x {
        Observation::Cutout(mut c) => {
            (c.pixels, c.variance, c.mask) = (vec![], vec![], vec![]);
            Observation::Cutout(c)
        }
        Observation::Spectrum(mut s) => {
            (s.wave, s.flux, s.ivar, s.mask) = (vec![], vec![], vec![], vec![]);
            Observation::Spectrum(s)
        }
        Observation::LightCurve(mut c) => {
            c.points = vec![];
            Observation::LightCurve(c)
        }
    }
}

/// Columns of the catalogue that say where an observation was read: a batch carries its own
/// instead.
const OF_FILES: [&str; 5] = ["file", "row", "object_id", "ra", "dec"];

impl Predict for Answerer {
    fn id(&self) -> &str {
        &self.model.id
    }
    fn sha256(&self) -> &str {
        &self.model.sha256
    }
    fn settings(&self) -> BTreeMap<String, String> {
        let mut s = BTreeMap::from([(
            "precision".into(),
            format!("{:?}", self.model.precision()).to_lowercase(),
        )]);
        if self.embedding {
            s.insert("embedding".into(), "true".into());
        }
        if !self.cutouts.bands.is_empty() {
            s.insert("bands".into(), self.cutouts.bands.join(","));
        }
        if self.model.system.refines() {
            s.insert("polish".into(), self.polish.to_string());
        }
        if self.model.system.takes_psf() {
            let kind = if self.cutouts.optical_psf {
                "optical"
            } else {
                "effective"
            };
            s.insert("psf_kind".into(), kind.into());
            if let Some(z) = self.cutouts.zero_point {
                s.insert("zeropoint".into(), z.to_string());
            }
            if let Some((h, w, v)) = &self.cutouts.psf {
                let sum: f64 = v.iter().map(|v| f64::from(*v)).sum();
                s.insert("psf".into(), format!("{h} × {w}, sum {sum:.6e}"));
            }
        }
        s
    }
    /// Of two classes, which is looked for, and how common it was in the training.
    fn keys(&self) -> Vec<(&'static str, String)> {
        let system = self.model.system;
        let positive = system.positive().filter(|_| system.outputs().len() == 2);
        let mut keys = vec![("system", system.name().to_owned())];
        keys.extend(positive.map(|k| ("positive", system.outputs()[k].to_owned())));
        keys.extend(
            system
                .training_share()
                .map(|s| ("training_share", s.to_string())),
        );
        keys
    }
    fn predict(&self, rows: &RecordBatch) -> Result<RecordBatch, PredictError> {
        let n = rows.num_rows();
        let read = |row, input| Read {
            source: String::new(),
            row,
            input,
        };
        let observed: Vec<Read> = match self.model.system.input() {
            Input::Cutout => {
                let found = cutouts::batch::Cutouts::of(rows, &self.cutouts)
                    .map_err(PredictError::Columns)?;
                let one = |r| {
                    read(
                        r,
                        caught(|| found.row(r))
                            .unwrap_or_else(|| Err(FAILED.into()))
                            .map(Observation::Cutout),
                    )
                };
                (0..n).into_par_iter().map(one).collect()
            }
            Input::LightCurve => {
                let found = light_curves::batch::Curves::of(rows).map_err(PredictError::Columns)?;
                let one = |r| {
                    let curve = caught(|| found.row(r)).unwrap_or_else(|| Err(FAILED.into()));
                    read(r, curve.map(Observation::LightCurve))
                };
                (0..n).into_par_iter().map(one).collect()
            }
            Input::Spectrum => {
                let found = Spectra::of(rows, &self.spectra).map_err(PredictError::Columns)?;
                let one = |r| {
                    read(
                        r,
                        caught(|| found.row(r))
                            .unwrap_or_else(|| Err(FAILED.into()))
                            .map(Observation::Spectrum),
                    )
                };
                (0..n).into_par_iter().map(one).collect()
            }
        };
        let mut answers = Vec::with_capacity(n);
        let mut observed = observed.into_iter().peekable();
        while observed.peek().is_some() {
            answers.extend(self.answer(observed.by_ref().take(BLOCK).collect(), false));
        }
        let mut own = self.columns(&answers);
        own.retain(|c| !OF_FILES.contains(&c.name));
        beside(rows, &own)
    }
    fn predict_files(
        &self,
        files: &[PathBuf],
        sink: &mut dyn FnMut(usize, RecordBatch) -> Result<bool, PredictError>,
    ) -> Result<(), PredictError> {
        self.run(files, false, |rows, done| {
            sink(done, record(&self.columns(&rows))?)
        })
        .map(drop)
    }
    fn failed(&self, answers: &RecordBatch) -> u64 {
        let bits = answers
            .column_by_name("flags")
            .and_then(|c| c.as_primitive_opt::<Int32Type>());
        bits.map_or(0, |b| {
            b.values()
                .iter()
                .filter(|v| **v & flag::BAD_INPUT != 0)
                .count() as u64
        })
    }
    fn endings(&self) -> &'static [&'static str] {
        match self.model.system.input() {
            Input::Cutout => &cutouts::ENDINGS,
            Input::Spectrum => &slipher_data::input::ENDINGS,
            Input::LightCurve => &light_curves::ENDINGS,
        }
    }
}

impl From<Answerer> for Arc<dyn Predict> {
    fn from(a: Answerer) -> Self {
        Arc::new(a)
    }
}
