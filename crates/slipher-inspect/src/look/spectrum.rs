//! Spectra, for the redshift system.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use slipher_data::formats::read_row;
use slipher_data::spectrum::Spectrum;
use slipher_sim::sed::SpecType;
use slipher_systems::predict::{Options, PredictError};
use slipher_systems::redshift::contract::Measurer;
use slipher_systems::redshift::encode::encode;
use slipher_systems::redshift::lag::{LAGS, redshift_of};
use slipher_systems::redshift::pipeline::{Kept, keep_spectrum};

use super::{Item, LineShown, Look, SolutionShown, finite};

/// Lags in a point of the posterior that is drawn; the highest of them counts.
const STEP: usize = 4;
/// Spectra that are kept: the one that is shown and those before it.
const KEPT: usize = 8;

/// Path, place in it, and what was read.
type Read = (PathBuf, (usize, usize), Spectrum);

/// The redshift model with the spectra last shown.
pub struct Redshifts {
    measurer: Measurer,
    kept: Mutex<Vec<Read>>,
}

impl Redshifts {
    /// Opens the bytes of a model.
    ///
    /// # Errors
    /// As [`Measurer::open`].
    pub fn open(name: &str, bytes: &[u8], o: Options) -> Result<Redshifts, PredictError> {
        let measurer = Measurer::open(name, bytes, o)?;
        Ok(Redshifts {
            measurer,
            kept: Mutex::default(),
        })
    }

    fn spectrum(&self, path: &Path, place: (usize, usize)) -> Result<Spectrum, String> {
        let kept = || self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(k) = kept().iter().find(|k| k.0 == path && k.1 == place) {
            return Ok(k.2.clone());
        }
        let s = read_row(path, &self.measurer.read, place).map_err(|e| e.to_string())?;
        let mut kept = kept();
        kept.push((path.to_owned(), place, s.clone()));
        if kept.len() > KEPT {
            kept.remove(0);
        }
        Ok(s)
    }

    fn described(&self, s: &Spectrum, class: SpecType, z: f64) -> Vec<Option<f32>> {
        let model = encode(s).and_then(|e| self.measurer.model.goodness.describe(s, &e, class, z));
        model.map_or(vec![None; s.flux.len()], finite)
    }
}

impl Look for Redshifts {
    fn sha256(&self) -> &str {
        &self.measurer.model.sha256
    }

    fn look(&self, path: &Path, hdu: usize, row: usize) -> Result<Item, String> {
        let s = self.spectrum(path, (hdu, row))?;
        let (model, opts) = (&self.measurer.model, &self.measurer.opts);
        let good = |i: usize| s.ivar[i] > 0.0;
        let flux = (0..s.flux.len()).map(|i| Some(s.flux[i]).filter(|f| f.is_finite() && good(i)));
        let error = (0..s.flux.len()).map(|i| Some(s.ivar[i].powf(-0.5)).filter(|_| good(i)));
        let (flux, error) = (flux.collect(), error.collect());
        let kept = keep_spectrum(model, opts, s.clone());
        let best = kept
            .as_ref()
            .and_then(|k| k.row.measurement.best().copied());
        let template = match best {
            Some(b) => self.described(&s, b.class, b.z),
            None => vec![None; s.flux.len()],
        };
        let (grid, posterior) = kept.as_ref().map_or_else(Default::default, drawn);
        let notes = s.provenance.iter().cloned();
        let warned = s
            .warnings
            .iter()
            .map(|w| format!("{}: {}", w.name(), w.about()));
        Ok(Item::Spectrum {
            flux,
            error,
            template,
            solutions: kept.as_ref().map_or(vec![], solutions),
            grid,
            posterior,
            lines: kept.as_ref().map_or(vec![], lines),
            notes: warned.chain(notes).collect(),
            truth: s.truth.as_ref().map(|t| (t.spectype.clone(), t.z)),
            unit: s.flux_unit,
            wave: s.wave,
        })
    }

    fn template(
        &self,
        path: &Path,
        place: (usize, usize),
        class: &str,
        z: f64,
    ) -> Result<Vec<Option<f32>>, String> {
        let class = SpecType::parse(class)
            .ok_or_else(|| format!("class '{class}': expected GALAXY, QSO or STAR"))?;
        if !(-0.02..20.1).contains(&z) {
            return Err(format!("z {z}: expected -0.02 to 20"));
        }
        Ok(self.described(&self.spectrum(path, place)?, class, z))
    }
}

fn solutions(k: &Kept) -> Vec<SolutionShown> {
    let all = k
        .row
        .measurement
        .answer
        .as_ref()
        .map_or(&[][..], |a| &a.solutions);
    let named = k.row.solutions();
    let one = |(s, cell): (&slipher_systems::redshift::decode::Solution, _)| {
        let cell: slipher_data::catalogue::SolutionCell = cell;
        SolutionShown {
            class: s.class.name(),
            z: s.z,
            z_err: s.z_err,
            p: s.probability,
            line: cell.line_id,
        }
    };
    all.iter().zip(named).map(one).collect()
}

fn lines(k: &Kept) -> Vec<LineShown> {
    let one = |l: &slipher_systems::redshift::lines::LineFit| LineShown {
        name: l.label.clone(),
        rest: l.rest,
        snr: Some(l.snr()).filter(|s| s.is_finite()),
        secure: l.secure(),
    };
    k.row.measurement.lines.iter().map(one).collect()
}

/// ln(1+z) and the posterior of each class, over the highest of all.
fn drawn(k: &Kept) -> (Vec<f32>, BTreeMap<&'static str, Vec<f32>>) {
    let top = k.posterior.iter().flatten().copied().fold(1e-30, f64::max);
    let points: Vec<usize> = (0..LAGS).step_by(STEP).collect();
    let highest = |row: &[f64], from: usize| {
        let some = row[from..(from + STEP).min(LAGS)].iter().copied();
        let (lag, value) = some
            .enumerate()
            .fold((0, 0.0), |a, b| if b.1 > a.1 { b } else { a });
        (from + lag, (value / top) as f32)
    };
    // Where the highest of all classes lies in the step.
    let place = |from: usize| {
        let each = k.posterior.iter().map(|row| highest(row, from));
        each.max_by(|a, b| a.1.total_cmp(&b.1))
            .map_or(from, |p| p.0)
    };
    let ln = |lag: usize| (1.0 + redshift_of(lag as f64)).ln() as f32;
    let grid = points.iter().map(|p| ln(place(*p))).collect();
    let curves = SpecType::ALL.iter().zip(&k.posterior).map(|(c, row)| {
        let values = points.iter().map(|p| highest(row, *p).1);
        (c.name(), values.collect())
    });
    (grid, curves.collect())
}
