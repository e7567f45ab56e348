//! Rows of the redshift catalogue (columns of facts/ecosystem.md section 4, as far as they exist).

use slipher_data::catalogue::{Column, SolutionCell, Values};
use slipher_data::spectrum::{Origin, Spectrum, Truth};

use super::decode::Solution;
use super::lag::LAGS;
use super::lines::{LineFit, same_feature, strongest};
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
    pub fn new(s: &Spectrum, mut measurement: Measurement) -> Self {
        let error = measurement.error.take();
        Row {
            origin: s.origin.clone(),
            object_id: s.object_id.clone(),
            ra: s.ra,
            dec: s.dec,
            measurement,
            error,
            truth: s.truth.clone(),
        }
    }

    /// Row of something unreadable.
    pub fn unreadable(origin: Origin, error: String) -> Self {
        let measurement = Measurement {
            zwarn: zwarn::UNREADABLE | zwarn::NODATA,
            snr_median: f32::NAN,
            ..Measurement::default()
        };
        Row {
            origin,
            object_id: String::new(),
            ra: f64::NAN,
            dec: f64::NAN,
            measurement,
            error: Some(error),
            truth: None,
        }
    }

    /// Probability that class and redshift are right, within 0.0033 (1+z), quasars 0.01 (1+z).
    pub fn p_correct(&self) -> Option<f64> {
        self.measurement.best().map(|b| b.probability)
    }

    /// Solutions, each with the line that it takes the strongest feature for.
    pub fn solutions(&self) -> Vec<SolutionCell> {
        let m = &self.measurement;
        let all: &[Solution] = m.answer.as_ref().map_or(&[], |a| &a.solutions);
        let line = |i: usize| match (i, strongest(&m.lines)) {
            (_, None) => String::new(),
            (0, Some(l)) => l.label.clone(),
            (_, Some(_)) => same_feature(&all[0], &all[i], &m.lines).map_or(String::new(), |r| r.1),
        };
        let cell = |(i, s): (usize, &Solution)| SolutionCell {
            rank: i as i32 + 1,
            z: s.z,
            z_err: s.z_err,
            prob: s.probability as f32,
            spectype: s.class.name(),
            line_id: line(i),
        };
        all.iter().enumerate().map(cell).collect()
    }

    /// The likeliest other reading of the strongest line: `Halpha at 0.4900 or [O II] at 1.6234`.
    pub fn other_reading(&self) -> Option<String> {
        let m = &self.measurement;
        let all = &m.answer.as_ref()?.solutions;
        let read = |s: &Solution| {
            same_feature(&all[0], s, &m.lines)
                .map(|(a, b)| format!("{a} at {:.4} or {b} at {:.4}", all[0].z, s.z))
        };
        all[1..]
            .iter()
            .filter(|s| s.probability > 0.01)
            .find_map(read)
    }

    /// Secure lines with their S/N, strongest first: `Halpha 35.2; [O III] 5008 20.1`.
    pub fn secure_lines(&self) -> String {
        let mut lines: Vec<_> = self
            .measurement
            .lines
            .iter()
            .filter(|l| l.secure())
            .collect();
        lines.sort_by(|a, b| b.snr().abs().total_cmp(&a.snr().abs()));
        lines
            .iter()
            .map(|l| format!("{} {:.1}", l.label, l.snr()))
            .collect::<Vec<_>>()
            .join("; ")
    }
}

/// Columns of a batch of rows; `pz` with the density of z.
pub fn columns(rows: &[Row], model: &Model, pz: bool) -> Vec<Column> {
    let best = |r: &Row| r.measurement.best().copied();
    let f64s = |f: &dyn Fn(&Row) -> f64| Values::F64(rows.iter().map(f).collect());
    let f32s = |f: &dyn Fn(&Row) -> f32| Values::F32(rows.iter().map(f).collect());
    let texts = |f: &dyn Fn(&Row) -> String| Values::Text(rows.iter().map(f).collect());
    let class = |i: usize| {
        f32s(&move |r: &Row| {
            r.measurement
                .answer
                .as_ref()
                .map_or(f32::NAN, |a| a.classes[i] as f32)
        })
    };
    let c = |name, unit, ucd, description, values| Column {
        name,
        unit,
        ucd,
        description,
        values,
    };
    let quantile = |name, description, i: usize| {
        c(
            name,
            "",
            "stat.quantile;src.redshift",
            description,
            f64s(&|r| {
                r.measurement
                    .answer
                    .as_ref()
                    .map_or(f64::NAN, |a| a.quantiles[i])
            }),
        )
    };
    let mut out = vec![
        c(
            "file",
            "",
            "meta.file",
            "file the spectrum was read from",
            texts(&|r| r.origin.file.clone()),
        ),
        c(
            "hdu",
            "",
            "meta.id.part",
            "HDU of the flux, 0 = primary",
            Values::I32(rows.iter().map(|r| r.origin.hdu as i32).collect()),
        ),
        c(
            "row",
            "",
            "meta.record",
            "row within the HDU, from 0",
            Values::I64(rows.iter().map(|r| r.origin.row as i64).collect()),
        ),
        c(
            "object_id",
            "",
            "meta.id;meta.main",
            "identifier from the file",
            texts(&|r| r.object_id.clone()),
        ),
        c(
            "ra",
            "deg",
            "pos.eq.ra;meta.main",
            "right ascension, ICRS",
            f64s(&|r| r.ra),
        ),
        c(
            "dec",
            "deg",
            "pos.eq.dec;meta.main",
            "declination, ICRS",
            f64s(&|r| r.dec),
        ),
        c(
            "z",
            "",
            "src.redshift",
            "best redshift, heliocentric as the spectrum is",
            f64s(&|r| best(r).map_or(f64::NAN, |b| b.z)),
        ),
        c(
            "z_err",
            "",
            "stat.error;src.redshift",
            "standard deviation of z within the best peak",
            f64s(&|r| best(r).map_or(f64::NAN, |b| b.z_err)),
        ),
        quantile("z_l68", "z of the best class: 16 % lie below", 0),
        quantile("z_u68", "z of the best class: 16 % lie above", 1),
        quantile("z_l95", "z of the best class: 2.5 % lie below", 2),
        quantile("z_u95", "z of the best class: 2.5 % lie above", 3),
        c(
            "spectype",
            "",
            "src.spType",
            "GALAXY, QSO or STAR",
            texts(&|r| best(r).map_or(String::new(), |b| b.class.name().into())),
        ),
        c(
            "p_correct",
            "",
            "stat.probability",
            "probability that class and redshift are right, within 0.0033(1+z), QSO 0.01(1+z)",
            f64s(&|r| r.p_correct().unwrap_or(f64::NAN)),
        ),
        c(
            "accepted",
            "",
            "meta.code.qual",
            "1: the redshift is as probable as the purity wanted asks for; 0: no redshift, z is the best guess",
            Values::I32(
                rows.iter()
                    .map(|r| i32::from(r.measurement.accepted()))
                    .collect(),
            ),
        ),
        c(
            "p_galaxy",
            "",
            "stat.probability",
            "probability of GALAXY at any redshift",
            class(0),
        ),
        c(
            "p_qso",
            "",
            "stat.probability",
            "probability of QSO at any redshift",
            class(1),
        ),
        c(
            "p_star",
            "",
            "stat.probability",
            "probability of STAR",
            class(2),
        ),
        c(
            "zwarn",
            "",
            "meta.code.qual",
            "warning bits: 0-15 as Redrock, 16-23 Slipher",
            Values::I64(rows.iter().map(|r| r.measurement.zwarn).collect()),
        ),
        c(
            "solutions",
            "",
            "",
            "alternatives, best first",
            Values::Solutions(rows.iter().map(Row::solutions).collect()),
        ),
        c(
            "other_reading",
            "",
            "meta.note",
            "the strongest line read differently by a solution above 1 %",
            texts(&|r| r.other_reading().unwrap_or_default()),
        ),
        c(
            "lines",
            "",
            "meta.note",
            "lines of S/N beyond 5 at the best redshift, strongest first, with S/N",
            texts(&Row::secure_lines),
        ),
        c(
            "familiarity",
            "",
            "stat.fit.goodness",
            "share of held-out simulations of this class and S/N that known spectra describe as badly or worse",
            f64s(&|r| r.measurement.p_values.fit.unwrap_or(f64::NAN)),
        ),
        c(
            "noise_ratio",
            "",
            "stat.error",
            "scatter from pixel to pixel over what the errors say",
            f32s(&|r| {
                r.measurement
                    .p_values
                    .noise_ratio
                    .map_or(f32::NAN, |v| v as f32)
            }),
        ),
        c(
            "snr_med",
            "",
            "stat.snr",
            "median S/N per good pixel",
            f32s(&|r| r.measurement.snr_median),
        ),
        c(
            "n_good_pix",
            "",
            "meta.number",
            "good pixels",
            Values::I32(
                rows.iter()
                    .map(|r| r.measurement.good_pixels as i32)
                    .collect(),
            ),
        ),
        c(
            "error",
            "",
            "meta.note",
            "why there is no spectrum",
            texts(&|r| r.error.clone().unwrap_or_default()),
        ),
        c(
            "model_id",
            "",
            "meta.id",
            "model",
            texts(&|_| model.id.clone()),
        ),
        c(
            "model_sha256",
            "",
            "meta.checksum",
            "SHA-256 of the model file",
            texts(&|_| model.sha256.clone()),
        ),
        c(
            "slipher_version",
            "",
            "meta.version",
            "version of the program",
            texts(&|_| env!("CARGO_PKG_VERSION").into()),
        ),
    ];
    if pz {
        let pz = rows
            .iter()
            .map(|r| r.measurement.pz.clone().unwrap_or_else(|| vec![0.0; LAGS]))
            .collect();
        out.push(c(
            "pz",
            "",
            "stat.probability;src.redshift",
            "density of z, all classes; redshifts in the key pz_grid of the file",
            Values::F32Lists(pz),
        ));
    }
    out
}

/// One row for each line measured.
pub fn line_columns(rows: &[Row]) -> Vec<Column> {
    let all: Vec<(&Row, &LineFit)> = rows
        .iter()
        .flat_map(|r| r.measurement.lines.iter().map(move |l| (r, l)))
        .collect();
    let f64s = |f: &dyn Fn(&LineFit) -> f64| Values::F64(all.iter().map(|l| f(l.1)).collect());
    let texts = |f: &dyn Fn(&(&Row, &LineFit)) -> String| Values::Text(all.iter().map(f).collect());
    let c = |name, unit, ucd, description, values| Column {
        name,
        unit,
        ucd,
        description,
        values,
    };
    vec![
        c(
            "file",
            "",
            "meta.file",
            "file the spectrum was read from",
            texts(&|l| l.0.origin.file.clone()),
        ),
        c(
            "hdu",
            "",
            "meta.id.part",
            "HDU of the flux, 0 = primary",
            Values::I32(all.iter().map(|l| l.0.origin.hdu as i32).collect()),
        ),
        c(
            "row",
            "",
            "meta.record",
            "row within the HDU, from 0",
            Values::I64(all.iter().map(|l| l.0.origin.row as i64).collect()),
        ),
        c(
            "object_id",
            "",
            "meta.id;meta.main",
            "identifier from the file",
            texts(&|l| l.0.object_id.clone()),
        ),
        c(
            "z",
            "",
            "src.redshift",
            "redshift the lines are measured at",
            Values::F64(
                all.iter()
                    .map(|l| l.0.measurement.best().map_or(f64::NAN, |b| b.z))
                    .collect(),
            ),
        ),
        c("line", "", "meta.id", "line", texts(&|l| l.1.label.clone())),
        c(
            "rest_wave",
            "Angstrom",
            "em.wl;meta.main",
            "vacuum wavelength at rest",
            f64s(&|l| l.rest),
        ),
        c(
            "flux",
            "",
            "phot.flux",
            "flux, in the unit of the spectrum times Angstrom; emission positive",
            f64s(&|l| l.flux),
        ),
        c(
            "flux_err",
            "",
            "stat.error;phot.flux",
            "standard error of flux",
            f64s(&|l| l.flux_err),
        ),
        c(
            "ew",
            "Angstrom",
            "spect.line.eqWidth",
            "rest-frame equivalent width, emission positive",
            f64s(&|l| l.ew),
        ),
        c(
            "ew_err",
            "Angstrom",
            "stat.error;spect.line.eqWidth",
            "standard error of ew",
            f64s(&|l| l.ew_err),
        ),
        c(
            "snr",
            "",
            "stat.snr",
            "flux / flux_err",
            f64s(&LineFit::snr),
        ),
        c(
            "sigma",
            "km/s",
            "spect.line.width",
            "Gaussian standard deviation fitted, instrument included",
            f64s(&|l| l.sigma_kms),
        ),
    ]
}
