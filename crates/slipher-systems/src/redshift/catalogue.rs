//! Rows of the redshift catalogue (columns of facts/ecosystem.md section 4, as far as they exist).

use slipher_data::catalogue::{Column, SolutionCell, Values};
use slipher_data::spectrum::{Origin, Spectrum, Truth};

use super::measure::{Measurement, zwarn};
use super::model::Model;

/// One row: a spectrum, or a file or row that could not be read.
#[derive(Clone, Debug)]
pub struct Row {
    pub origin: Origin,
    pub object_id: String,
    pub ra: f64,
    pub dec: f64,
    pub measurement: Measurement,
    /// Why there is no spectrum, if there is none.
    pub error: Option<String>,
    /// What the file itself says; for reports and evaluation.
    pub truth: Option<Truth>,
}

impl Row {
    /// Row of a spectrum.
    pub fn new(s: &Spectrum, measurement: Measurement) -> Self {
        Row { origin: s.origin.clone(), object_id: s.object_id.clone(), ra: s.ra, dec: s.dec, measurement, error: None, truth: s.truth.clone() }
    }

    /// Row of something unreadable.
    pub fn unreadable(origin: Origin, error: String) -> Self {
        let measurement = Measurement { answer: None, zwarn: zwarn::UNREADABLE | zwarn::NODATA, snr_median: f32::NAN, good_pixels: 0 };
        Row { origin, object_id: String::new(), ra: f64::NAN, dec: f64::NAN, measurement, error: Some(error), truth: None }
    }

    /// Probability that class and redshift are right, within 0.0033 (1+z), quasars 0.01 (1+z).
    pub fn p_correct(&self) -> Option<f64> {
        self.measurement.best().map(|b| b.probability)
    }
}

/// Columns of a batch of rows.
pub fn columns(rows: &[Row], model: &Model) -> Vec<Column> {
    let best = |r: &Row| r.measurement.best().copied();
    let f64s = |f: &dyn Fn(&Row) -> f64| Values::F64(rows.iter().map(f).collect());
    let f32s = |f: &dyn Fn(&Row) -> f32| Values::F32(rows.iter().map(f).collect());
    let texts = |f: &dyn Fn(&Row) -> String| Values::Text(rows.iter().map(f).collect());
    let class = |i: usize| f32s(&move |r: &Row| r.measurement.answer.as_ref().map_or(f32::NAN, |a| a.classes[i] as f32));
    let solutions = rows.iter().map(|r| {
        let all = r.measurement.answer.iter().flat_map(|a| &a.solutions).enumerate();
        all.map(|(i, s)| SolutionCell { rank: i as i32 + 1, z: s.z, z_err: s.z_err, prob: s.probability as f32, spectype: s.class.name() }).collect()
    });
    let c = |name, unit, ucd, description, values| Column { name, unit, ucd, description, values };
    vec![
        c("file", "", "meta.file", "file the spectrum was read from", texts(&|r| r.origin.file.clone())),
        c("hdu", "", "meta.id.part", "HDU of the flux, 0 = primary", Values::I32(rows.iter().map(|r| r.origin.hdu as i32).collect())),
        c("row", "", "meta.record", "row within the HDU, from 0", Values::I64(rows.iter().map(|r| r.origin.row as i64).collect())),
        c("object_id", "", "meta.id;meta.main", "identifier from the file", texts(&|r| r.object_id.clone())),
        c("ra", "deg", "pos.eq.ra;meta.main", "right ascension, ICRS", f64s(&|r| r.ra)),
        c("dec", "deg", "pos.eq.dec;meta.main", "declination, ICRS", f64s(&|r| r.dec)),
        c("z", "", "src.redshift", "best redshift, heliocentric as the spectrum is", f64s(&|r| best(r).map_or(f64::NAN, |b| b.z))),
        c("z_err", "", "stat.error;src.redshift", "standard deviation of z within the best peak", f64s(&|r| best(r).map_or(f64::NAN, |b| b.z_err))),
        c("spectype", "", "src.spType", "GALAXY, QSO or STAR", texts(&|r| best(r).map_or(String::new(), |b| b.class.name().into()))),
        c(
            "p_correct",
            "",
            "stat.probability",
            "probability that class and redshift are right, within 0.0033(1+z), QSO 0.01(1+z)",
            f64s(&|r| r.p_correct().unwrap_or(f64::NAN)),
        ),
        c("p_galaxy", "", "stat.probability", "probability of GALAXY at any redshift", class(0)),
        c("p_qso", "", "stat.probability", "probability of QSO at any redshift", class(1)),
        c("p_star", "", "stat.probability", "probability of STAR", class(2)),
        c("zwarn", "", "meta.code.qual", "warning bits: 0-15 as Redrock, 16-23 Slipher", Values::I64(rows.iter().map(|r| r.measurement.zwarn).collect())),
        c("solutions", "", "", "alternatives, best first", Values::Solutions(solutions.collect())),
        c("snr_med", "", "stat.snr", "median S/N per good pixel", f32s(&|r| r.measurement.snr_median)),
        c("n_good_pix", "", "meta.number", "good pixels", Values::I32(rows.iter().map(|r| r.measurement.good_pixels as i32).collect())),
        c("error", "", "meta.note", "why there is no spectrum", texts(&|r| r.error.clone().unwrap_or_default())),
        c("model_id", "", "meta.id", "model", texts(&|_| model.id.clone())),
        c("model_sha256", "", "meta.checksum", "SHA-256 of the model file", texts(&|_| model.sha256.clone())),
    ]
}
