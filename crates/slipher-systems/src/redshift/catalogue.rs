//! Rows of the redshift catalogue (columns of facts/ecosystem.md section 4, as far as they exist).

use slipher_data::catalogue::{Column, SolutionCell, Values};
use slipher_data::columns::Columns;
use slipher_data::spectrum::{Origin, Spectrum, Truth};
use slipher_data::warning::Warning;
use slipher_sim::sed::{C_KMS, SpecType};

use super::decode::Solution;
use super::lag::LAGS;
use super::lines::{LineFit, same_feature, strongest};
use super::measure::{Measurement, zwarn};
use super::model::Model;

/// One row: a spectrum, or a file or row that could not be read.
#[derive(Clone, Debug)]
pub struct Row {
    /// File, HDU and row.
    pub origin: Origin,
    /// Identifier; empty if there is none.
    pub object_id: String,
    /// Right ascension in degrees (ICRS); NaN if unknown.
    pub ra: f64,
    /// Declination in degrees (ICRS); NaN if unknown.
    pub dec: f64,
    /// Unit of the flux; empty if the file says none.
    pub flux_unit: String,
    /// What was measured.
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
            flux_unit: s.flux_unit.clone(),
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
            flux_unit: String::new(),
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
    let mut t = Columns::of(rows);
    place_columns(&mut t);
    answer_columns(&mut t);
    quality_columns(&mut t);
    t.text(["model_id", "", "meta.id", "model"], |_| model.id.clone());
    let sha = [
        "model_sha256",
        "",
        "meta.checksum",
        "SHA-256 of the model file",
    ];
    t.text(sha, |_| model.sha256.clone());
    let version = [
        "slipher_version",
        "",
        "meta.version",
        "version of the program",
    ];
    t.text(version, |_| env!("CARGO_PKG_VERSION").into());
    if pz {
        let density = |r: &Row| r.measurement.pz.clone().unwrap_or_else(|| vec![0.0; LAGS]);
        let meaning = "density of z, all classes; redshifts in the key pz_grid of the file";
        t.put(
            ["pz", "", "stat.probability;src.redshift", meaning],
            Values::F32Lists(rows.iter().map(density).collect()),
        );
    }
    t.done()
}

/// Where the spectrum is from.
fn place_columns(t: &mut Columns<Row>) {
    t.text(
        ["file", "", "meta.file", "file the spectrum was read from"],
        |r| r.origin.file.clone(),
    );
    t.i32(
        ["hdu", "", "meta.id.part", "HDU of the flux, 0 = primary"],
        |r| r.origin.hdu as i32,
    );
    t.i64(
        ["row", "", "meta.record", "row within the HDU, from 0"],
        |r| r.origin.row as i64,
    );
    t.text(
        [
            "object_id",
            "",
            "meta.id;meta.main",
            "identifier from the file",
        ],
        |r| r.object_id.clone(),
    );
    t.f64(
        ["ra", "deg", "pos.eq.ra;meta.main", "right ascension, ICRS"],
        |r| r.ra,
    );
    t.f64(
        ["dec", "deg", "pos.eq.dec;meta.main", "declination, ICRS"],
        |r| r.dec,
    );
}

/// Redshift and class, with their probabilities.
fn answer_columns(t: &mut Columns<Row>) {
    let best = |r: &Row| r.measurement.best().copied();
    t.f64(
        [
            "z",
            "",
            "src.redshift",
            "best redshift, heliocentric as the spectrum is",
        ],
        |r| best(r).map_or(f64::NAN, |b| b.z),
    );
    t.f64(
        [
            "z_err",
            "",
            "stat.error;src.redshift",
            "standard deviation of z within the best peak",
        ],
        |r| best(r).map_or(f64::NAN, |b| b.z_err),
    );
    for (i, (name, meaning)) in [
        ("z_l68", "z of the best class: 16 % lie below"),
        ("z_u68", "z of the best class: 16 % lie above"),
        ("z_l95", "z of the best class: 2.5 % lie below"),
        ("z_u95", "z of the best class: 2.5 % lie above"),
    ]
    .into_iter()
    .enumerate()
    {
        t.f64([name, "", "stat.quantile;src.redshift", meaning], |r| {
            let answer = r.measurement.answer.as_ref();
            answer.map_or(f64::NAN, |a| a.quantiles[i])
        });
    }
    t.text(["spectype", "", "src.spType", "GALAXY, QSO or STAR"], |r| {
        best(r).map_or(String::new(), |b| b.class.name().into())
    });
    t.text(
        [
            "subtype",
            "",
            "src.spType",
            "of a star: O B A F G K M L T, WD white dwarf, C carbon star; else empty",
        ],
        |r| r.measurement.subtype.to_owned(),
    );
    let star = |r: &Row| best(r).filter(|b| b.class == SpecType::Star);
    t.f64(
        [
            "rv",
            "km/s",
            "spect.dopplerVeloc",
            "of a star: radial velocity, c z, heliocentric as the spectrum is",
        ],
        |r| star(r).map_or(f64::NAN, |b| C_KMS * b.z),
    );
    t.f64(
        [
            "rv_err",
            "km/s",
            "stat.error;spect.dopplerVeloc",
            "of a star: standard deviation of rv",
        ],
        |r| star(r).map_or(f64::NAN, |b| C_KMS * b.z_err),
    );
    t.f64(
        [
            "p_correct",
            "",
            "stat.probability",
            "probability that class and redshift are right, within 0.0033(1+z), QSO 0.01(1+z)",
        ],
        |r| r.p_correct().unwrap_or(f64::NAN),
    );
    t.i32(["accepted", "", "meta.code.qual", "1: the redshift is as probable as the purity wanted asks for; 0: no redshift, z is the best guess"], |r| i32::from(r.measurement.accepted()));
    for (i, (name, meaning)) in [
        ("p_galaxy", "probability of GALAXY at any redshift"),
        ("p_qso", "probability of QSO at any redshift"),
        ("p_star", "probability of STAR"),
    ]
    .into_iter()
    .enumerate()
    {
        t.f32([name, "", "stat.probability", meaning], |r| {
            let answer = r.measurement.answer.as_ref();
            answer.map_or(f32::NAN, |a| a.classes[i] as f32)
        });
    }
}

/// Warnings, alternatives, and the state of the spectrum.
fn quality_columns(t: &mut Columns<Row>) {
    t.i64(
        [
            "zwarn",
            "",
            "meta.code.qual",
            "warning bits: 0-15 as Redrock, 16-23 Slipher",
        ],
        |r| r.measurement.zwarn,
    );
    t.text(
        [
            "warnings",
            "",
            "meta.code.qual",
            "what was assumed of the spectrum or is wrong with its file, names joined by commas",
        ],
        |r| Warning::join(&r.measurement.warnings),
    );
    let all = t.rows().iter().map(Row::solutions).collect();
    t.put(
        ["solutions", "", "", "alternatives, best first"],
        Values::Solutions(all),
    );
    t.text(
        [
            "other_reading",
            "",
            "meta.note",
            "the strongest line read differently by a solution above 1 %",
        ],
        |r| r.other_reading().unwrap_or_default(),
    );
    t.text(
        [
            "lines",
            "",
            "meta.note",
            "lines of S/N beyond 5 at the best redshift, strongest first, with S/N",
        ],
        Row::secure_lines,
    );
    t.f64(["familiarity", "", "stat.fit.goodness", "share of held-out simulations of this class and S/N that known spectra describe as badly or worse"], |r| r.measurement.p_values.fit.unwrap_or(f64::NAN));
    t.f32(
        [
            "noise_ratio",
            "",
            "stat.error",
            "scatter from pixel to pixel over what the errors say",
        ],
        |r| {
            r.measurement
                .p_values
                .noise_ratio
                .map_or(f32::NAN, |v| v as f32)
        },
    );
    t.f32(
        ["snr_med", "", "stat.snr", "median S/N per good pixel"],
        |r| r.measurement.snr_median,
    );
    t.i32(["n_good_pix", "", "meta.number", "good pixels"], |r| {
        r.measurement.good_pixels as i32
    });
    t.text(
        ["error", "", "meta.note", "why there is no spectrum"],
        |r| r.error.clone().unwrap_or_default(),
    );
}

/// One row for each line measured.
pub fn line_columns(rows: &[Row]) -> Vec<Column> {
    let all: Vec<(&Row, &LineFit)> = rows
        .iter()
        .flat_map(|r| r.measurement.lines.iter().map(move |l| (r, l)))
        .collect();
    let mut t = Columns::of(&all);
    t.text(
        ["file", "", "meta.file", "file the spectrum was read from"],
        |l| l.0.origin.file.clone(),
    );
    t.i32(
        ["hdu", "", "meta.id.part", "HDU of the flux, 0 = primary"],
        |l| l.0.origin.hdu as i32,
    );
    t.i64(
        ["row", "", "meta.record", "row within the HDU, from 0"],
        |l| l.0.origin.row as i64,
    );
    t.text(
        [
            "object_id",
            "",
            "meta.id;meta.main",
            "identifier from the file",
        ],
        |l| l.0.object_id.clone(),
    );
    t.f64(
        [
            "z",
            "",
            "src.redshift",
            "redshift the lines are measured at",
        ],
        |l| l.0.measurement.best().map_or(f64::NAN, |b| b.z),
    );
    t.text(["line", "", "meta.id", "line"], |l| l.1.label.clone());
    t.f64(
        [
            "rest_wave",
            "Angstrom",
            "em.wl;meta.main",
            "vacuum wavelength at rest",
        ],
        |l| l.1.rest,
    );
    t.f64(
        [
            "flux",
            "",
            "phot.flux",
            "flux, in the unit of the spectrum times Angstrom; emission positive",
        ],
        |l| l.1.flux,
    );
    t.f64(
        [
            "flux_err",
            "",
            "stat.error;phot.flux",
            "standard error of flux",
        ],
        |l| l.1.flux_err,
    );
    t.f64(
        [
            "ew",
            "Angstrom",
            "spect.line.eqWidth",
            "rest-frame equivalent width, emission positive",
        ],
        |l| l.1.ew,
    );
    t.f64(
        [
            "ew_err",
            "Angstrom",
            "stat.error;spect.line.eqWidth",
            "standard error of ew",
        ],
        |l| l.1.ew_err,
    );
    t.f64(["snr", "", "stat.snr", "flux / flux_err"], |l| l.1.snr());
    t.f64(
        [
            "sigma",
            "km/s",
            "spect.line.width",
            "Gaussian standard deviation fitted, instrument included",
        ],
        |l| l.1.sigma_kms,
    );
    t.f64(
        [
            "sigma_err",
            "km/s",
            "stat.error;spect.line.width",
            "standard error of sigma; missing where the line was too weak to fit it",
        ],
        |l| l.1.sigma_err_kms.unwrap_or(f64::NAN),
    );
    t.text(
        [
            "flux_unit",
            "",
            "meta.unit",
            "unit of flux: that of the spectrum times Angstrom; empty if the file says none",
        ],
        |l| match l.0.flux_unit.as_str() {
            "" => String::new(),
            unit => format!("{unit} Angstrom"),
        },
    );
    t.done()
}
