//! The catalogue as other programs write theirs, so that scripts made for them go on working.
//!
//! | layout | what | documented in |
//! |---|---|---|
//! | redrock | `REDSHIFTS`, `FIBERMAP` | desihub/redrock, desidatamodel `redrock-*.fits` |
//! | sdss | columns of `spAll` | data.sdss.org/datamodel, `spAll` |
//! | euclid | `SPE_CLASSIFICATION_CAT`, `SPE_REDSHIFT_CAT`, `SPE_LINE_FEATURES_CAT`, `SPE_PDF_CAT` | Euclid Q1 explanatory supplement, chapter 15 |
//! | pfs | `TARGET`, `CLASSIFICATION`, `*_CANDIDATES`, `*_LINES` | Subaru-PFS drp_1dpipe, `pfsCoZcandidates` |
//! | marz | `.mz` | Samreay/Marz, `js/classes.js` |
//! | prospect | visual-inspection CSV | desihub/prospect, `utilities.py` |
//!
//! Where a peer has a number that Slipher lacks: CHI2 is −2 ln p of the best solution, DELTACHI2 2
//! ln (p₁/p₂) to the next one, coefficients are 0.

use std::fmt::Write;

use slipher_data::fits::write::{Cells, TableWriter, file};
use slipher_sim::random::hash;
use slipher_sim::sed::SpecType;

use super::catalogue::Row;
use super::decode::{Solution, lag_redshifts};
use super::lag::LAGS;
use super::lines::LineFit;
use super::model::Model;

/// Whose layout.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layout {
    /// DESI's `redrock-*.fits`.
    Redrock,
    /// Columns of SDSS' `spAll`.
    Sdss,
    /// Catalogues of Euclid's spectroscopic pipeline.
    Euclid,
    /// `pfsCoZcandidates` of the Prime Focus Spectrograph.
    Pfs,
    /// Results of Marz, `.mz`.
    Marz,
    /// Visual-inspection CSV of DESI's prospect.
    Prospect,
}

impl Layout {
    /// Endings that its files have; the first is usual.
    pub fn endings(self) -> &'static [&'static str] {
        match self {
            Layout::Marz => &["mz", "csv"],
            Layout::Prospect => &["csv"],
            _ => &["fits", "fit"],
        }
    }

    /// The file's bytes.
    pub fn bytes(self, rows: &[Row], model: &Model) -> Vec<u8> {
        match self {
            Layout::Redrock => redrock(rows, model),
            Layout::Sdss => sdss(rows),
            Layout::Euclid => euclid(rows),
            Layout::Pfs => pfs(rows),
            Layout::Marz => marz(rows).into_bytes(),
            Layout::Prospect => prospect(rows, model).into_bytes(),
        }
    }
}

fn best(r: &Row) -> Option<&Solution> {
    r.measurement.best()
}

/// An identifier as a number, as DESI's readers want it; of other names, or of the file where there
/// is none, a stable one (FNV-1a), positive.
pub fn target_id(object_id: &str, file: &str) -> i64 {
    object_id.trim().parse().unwrap_or_else(|_| {
        let text = if object_id.is_empty() {
            file
        } else {
            object_id
        };
        (hash(text) >> 1) as i64
    })
}

fn number(r: &Row) -> i64 {
    target_id(&r.object_id, &r.origin.file)
}

/// 2 ln of the odds of the best solution against the next; at most 9999.
fn delta_chi2(r: &Row) -> f64 {
    let all = r
        .measurement
        .answer
        .as_ref()
        .map_or(&[][..], |a| &a.solutions);
    let p = |i: usize| all.get(i).map_or(0.0, |s| s.probability).max(1e-300);
    if all.is_empty() {
        0.0
    } else {
        (2.0 * (p(0) / p(1)).ln()).clamp(0.0, 9999.0)
    }
}

/// A column of numbers of the rows.
fn f64s<T>(items: &[T], f: impl Fn(&T) -> f64) -> Cells {
    Cells::F64(items.iter().map(f).collect())
}
fn i64s<T>(items: &[T], f: impl Fn(&T) -> i64) -> Cells {
    Cells::I64(items.iter().map(f).collect())
}
fn i32s<T>(items: &[T], f: impl Fn(&T) -> i32) -> Cells {
    Cells::I32(items.iter().map(f).collect())
}
fn texts<T>(items: &[T], f: impl Fn(&T) -> String) -> Cells {
    Cells::Text(items.iter().map(f).collect())
}

fn z(r: &Row) -> f64 {
    best(r).map_or(f64::NAN, |b| b.z)
}
fn z_err(r: &Row) -> f64 {
    best(r).map_or(f64::NAN, |b| b.z_err)
}
fn class(r: &Row) -> String {
    best(r).map_or(String::new(), |b| b.class.name().into())
}

fn redrock(rows: &[Row], model: &Model) -> Vec<u8> {
    let mut t = TableWriter::new("REDSHIFTS");
    t.column("TARGETID", "", i64s(rows, number));
    t.column(
        "CHI2",
        "",
        f64s(rows, |r| {
            best(r).map_or(f64::NAN, |b| -2.0 * b.probability.max(1e-300).ln())
        }),
    );
    t.column("COEFF", "", Cells::F64s(10, vec![0.0; 10 * rows.len()]));
    t.column("Z", "", f64s(rows, z));
    t.column("ZERR", "", f64s(rows, z_err));
    t.column("ZWARN", "", i64s(rows, |r| r.measurement.zwarn));
    t.column(
        "NPIXELS",
        "",
        i64s(rows, |r| r.measurement.good_pixels as i64),
    );
    t.column("SPECTYPE", "", texts(rows, class));
    t.column("SUBTYPE", "", texts(rows, |_| String::new()));
    t.column("NCOEFF", "", i64s(rows, |_| 0));
    t.column("DELTACHI2", "", f64s(rows, delta_chi2));
    t.column(
        "P_CORRECT",
        "",
        f64s(rows, |r| r.p_correct().unwrap_or(f64::NAN)),
    );
    let mut fibres = TableWriter::new("FIBERMAP");
    fibres.column("TARGETID", "", i64s(rows, number));
    fibres.column("TARGET_RA", "deg", f64s(rows, |r| r.ra));
    fibres.column("TARGET_DEC", "deg", f64s(rows, |r| r.dec));
    fibres.column("OBJECT_ID", "", texts(rows, |r| r.object_id.clone()));
    let version = format!("slipher-{}", env!("CARGO_PKG_VERSION"));
    let named = SpecType::ALL.map(SpecType::name);
    let keys = [
        ("RRVER", version.as_str()),
        ("TEMNAM00", named[0]),
        ("TEMVER00", &model.id),
        ("TEMNAM01", named[1]),
        ("TEMVER01", &model.id),
        ("TEMNAM02", named[2]),
        ("TEMVER02", &model.id),
    ];
    file(&keys, &[t, fibres])
}

/// Plate, MJD and fibre of an identifier `3586-55181-0001`; zeros of another.
fn plate(r: &Row) -> [i32; 3] {
    let parts: Vec<i32> = r
        .object_id
        .split('-')
        .filter_map(|p| p.parse().ok())
        .collect();
    <[i32; 3]>::try_from(parts).unwrap_or_default()
}

fn sdss(rows: &[Row]) -> Vec<u8> {
    let mut t = TableWriter::new("SPALL");
    for (i, name) in ["PLATE", "MJD", "FIBERID"].into_iter().enumerate() {
        t.column(name, "", i32s(rows, |r| plate(r)[i]));
    }
    t.column("OBJECT_ID", "", texts(rows, |r| r.object_id.clone()));
    t.column("PLUG_RA", "deg", f64s(rows, |r| r.ra));
    t.column("PLUG_DEC", "deg", f64s(rows, |r| r.dec));
    t.column("CLASS", "", texts(rows, class));
    t.column("SUBCLASS", "", texts(rows, |_| String::new()));
    t.column("Z", "", f64s(rows, z));
    t.column("Z_ERR", "", f64s(rows, z_err));
    t.column(
        "RCHI2DIFF",
        "",
        f64s(rows, |r| {
            delta_chi2(r) / r.measurement.good_pixels.max(1) as f64
        }),
    );
    t.column("ZWARNING", "", i32s(rows, |r| r.measurement.zwarn as i32));
    t.column(
        "SN_MEDIAN_ALL",
        "",
        f64s(rows, |r| f64::from(r.measurement.snr_median)),
    );
    t.column(
        "P_CORRECT",
        "",
        f64s(rows, |r| r.p_correct().unwrap_or(f64::NAN)),
    );
    t.to_bytes()
}

/// Rows × solutions of a class (or of all), with the rank within them from 0.
fn candidates(rows: &[Row], class: Option<SpecType>) -> Vec<(&Row, i32, &Solution)> {
    let of = |r| {
        let r: &Row = r;
        let all = r
            .measurement
            .answer
            .as_ref()
            .map_or(&[][..], |a| &a.solutions);
        all.iter()
            .filter(move |s| class.is_none_or(|w| s.class == w))
            .enumerate()
            .map(move |(i, s)| (r, i as i32, s))
    };
    rows.iter().flat_map(of).collect()
}

fn probability(r: &Row, class: SpecType) -> f64 {
    r.measurement
        .answer
        .as_ref()
        .map_or(f64::NAN, |a| a.classes[class as usize])
}

fn lines(rows: &[Row], class: Option<SpecType>) -> Vec<(&Row, &LineFit)> {
    let of = |r| {
        let r: &Row = r;
        let right = class.is_none_or(|w| best(r).is_some_and(|b| b.class == w));
        r.measurement
            .lines
            .iter()
            .filter(move |_| right)
            .map(move |l| (r, l))
    };
    rows.iter().flat_map(of).collect()
}

fn euclid(rows: &[Row]) -> Vec<u8> {
    let mut classes = TableWriter::new("SPE_CLASSIFICATION_CAT");
    classes.column("OBJECT_ID", "", i64s(rows, number));
    for (name, c) in [
        ("SPE_STAR_PROB", SpecType::Star),
        ("SPE_GAL_PROB", SpecType::Galaxy),
        ("SPE_QSO_PROB", SpecType::Qso),
    ] {
        classes.column(name, "", f64s(rows, |r| probability(r, c)));
    }
    classes.column("SPE_CLASS", "", texts(rows, class));
    classes.column("SPE_WARNING_FLAG", "", i64s(rows, |r| r.measurement.zwarn));
    let all = candidates(rows, None);
    let mut redshifts = TableWriter::new("SPE_REDSHIFT_CAT");
    redshifts.column("OBJECT_ID", "", i64s(&all, |c| number(c.0)));
    redshifts.column("SPE_RANK", "", i32s(&all, |c| c.1));
    redshifts.column("SPE_Z", "", f64s(&all, |c| c.2.z));
    redshifts.column("SPE_Z_ERR", "", f64s(&all, |c| c.2.z_err));
    redshifts.column("SPE_Z_PROB", "", f64s(&all, |c| c.2.probability));
    redshifts.column("SPE_Z_REL", "", f64s(&all, |c| c.2.probability));
    redshifts.column("SPE_CLASS", "", texts(&all, |c| c.2.class.name().into()));
    let all = lines(rows, None);
    let mut features = TableWriter::new("SPE_LINE_FEATURES_CAT");
    features.column("OBJECT_ID", "", i64s(&all, |l| number(l.0)));
    features.column("SPE_RANK", "", i32s(&all, |_| 0));
    features.column("SPE_LINE_NAME", "", texts(&all, |l| l.1.label.clone()));
    features.column(
        "SPE_LINE_CENTRAL_WL_GF",
        "Angstrom",
        f64s(&all, |l| l.1.observed),
    );
    features.column("SPE_LINE_FLUX_GF", "", f64s(&all, |l| l.1.flux));
    features.column("SPE_LINE_FLUX_ERR_GF", "", f64s(&all, |l| l.1.flux_err));
    features.column("SPE_LINE_SNR_GF", "", f64s(&all, |l| l.1.snr()));
    features.column("SPE_LINE_EW_GF", "Angstrom", f64s(&all, |l| l.1.ew));
    let mut tables = vec![classes, redshifts, features];
    let with: Vec<&Row> = rows.iter().filter(|r| r.measurement.pz.is_some()).collect();
    if !with.is_empty() {
        let mut pdf = TableWriter::new("SPE_PDF_CAT");
        pdf.column("OBJECT_ID", "", i64s(&with, |r| number(r)));
        pdf.column(
            "SPE_PDF",
            "",
            Cells::F32s(
                LAGS,
                with.iter()
                    .flat_map(|r| r.measurement.pz.iter().flatten().copied())
                    .collect(),
            ),
        );
        let mut grid = TableWriter::new("SPE_PDF_GRID");
        grid.column("SPE_Z", "", Cells::F64(lag_redshifts()));
        tables.extend([pdf, grid]);
    }
    file(&[], &tables)
}

fn pfs(rows: &[Row]) -> Vec<u8> {
    let mut target = TableWriter::new("TARGET");
    target.column("targetId", "", i64s(rows, number));
    target.column("objId", "", texts(rows, |r| r.object_id.clone()));
    target.column("ra", "deg", f64s(rows, |r| r.ra));
    target.column("dec", "deg", f64s(rows, |r| r.dec));
    let mut warnings = TableWriter::new("WARNINGS");
    warnings.column("targetId", "", i64s(rows, number));
    warnings.column("zwarn", "", i64s(rows, |r| r.measurement.zwarn));
    let mut errors = TableWriter::new("ERRORS");
    let failed: Vec<&Row> = rows.iter().filter(|r| r.error.is_some()).collect();
    errors.column("targetId", "", i64s(&failed, |r| number(r)));
    errors.column(
        "message",
        "",
        texts(&failed, |r| r.error.clone().unwrap_or_default()),
    );
    let mut classes = TableWriter::new("CLASSIFICATION");
    classes.column("targetId", "", i64s(rows, number));
    classes.column("class", "", texts(rows, class));
    for (name, c) in [
        ("probaGalaxy", SpecType::Galaxy),
        ("probaQSO", SpecType::Qso),
        ("probaStar", SpecType::Star),
    ] {
        classes.column(name, "", f64s(rows, |r| probability(r, c)));
    }
    let mut tables = vec![target, warnings, errors, classes];
    for class in SpecType::ALL {
        let all = candidates(rows, Some(class));
        let mut t = TableWriter::new(&format!("{}_CANDIDATES", class.name()));
        t.column("targetId", "", i64s(&all, |c| number(c.0)));
        t.column("cRank", "", i32s(&all, |c| c.1));
        t.column("redshift", "", f64s(&all, |c| c.2.z));
        t.column("redshiftError", "", f64s(&all, |c| c.2.z_err));
        t.column("redshiftProba", "", f64s(&all, |c| c.2.probability));
        t.column("subClass", "", texts(&all, |_| String::new()));
        tables.push(t);
        if class == SpecType::Star {
            continue;
        }
        let all = lines(rows, Some(class));
        let mut t = TableWriter::new(&format!("{}_LINES", class.name()));
        t.column("targetId", "", i64s(&all, |l| number(l.0)));
        t.column("lineName", "", texts(&all, |l| l.1.label.clone()));
        t.column("lineWave", "nm", f64s(&all, |l| 0.1 * l.1.rest));
        t.column("lineZ", "", f64s(&all, |l| l.1.observed / l.1.rest - 1.0));
        t.column("lineSigma", "km/s", f64s(&all, |l| l.1.sigma_kms));
        t.column("lineFlux", "", f64s(&all, |l| l.1.flux));
        t.column("lineFluxError", "", f64s(&all, |l| l.1.flux_err));
        t.column("lineEW", "nm", f64s(&all, |l| 0.1 * l.1.ew));
        t.column("lineEWError", "nm", f64s(&all, |l| 0.1 * l.1.ew_err));
        tables.push(t);
    }
    file(
        &[("VERSION", concat!("slipher-", env!("CARGO_PKG_VERSION")))],
        &tables,
    )
}

/// Marz's templates that stand for our classes: an intermediate galaxy, a quasar, a G star.
fn marz_template(class: SpecType) -> i32 {
    match class {
        SpecType::Galaxy => 6,
        SpecType::Qso => 12,
        SpecType::Star => 2,
    }
}

/// 4: 99 %, 3: 90 %, 2: 50 %, 1: less; 6: a sure star.
fn quality(r: &Row) -> i32 {
    match (best(r), r.p_correct().unwrap_or(0.0)) {
        (Some(b), p) if b.class == SpecType::Star && p >= 0.9 => 6,
        (_, p) if p >= 0.99 => 4,
        (_, p) if p >= 0.9 => 3,
        (_, p) if p >= 0.5 => 2,
        _ => 1,
    }
}

/// Text that cannot break a line of comma-separated cells without quotes.
fn plain(text: &str) -> String {
    text.replace([',', '"', '\n', '\r'], " ")
}

fn marz(rows: &[Row]) -> String {
    // Marz takes the name in [[ ]] for the file that the results belong to, and the last line with
    // # for the names.
    let file = rows.first().map_or(String::new(), |r| {
        std::path::Path::new(&r.origin.file)
            .file_stem()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned()
    });
    let mut out = format!(
        "# Results generated by slipher {} for file [[{file}]]\n# QOP is set from p_correct\n",
        env!("CARGO_PKG_VERSION")
    );
    out.push_str("#ID, Name, RA, DEC, Mag, Type, AutoTID, AutoTN, AutoZ, AutoXCor, FinTID, FinTN, FinZ, QOP, Comment\n");
    for (i, r) in rows.iter().enumerate() {
        let template = best(r).map_or("0, none".to_owned(), |b| {
            format!("{}, {}", marz_template(b.class), b.class.name())
        });
        let z = best(r).map_or("0".to_owned(), |b| format!("{:.6}", b.z));
        let position = |v: f64| {
            if v.is_nan() {
                "0".to_owned()
            } else {
                format!("{:.7}", v.to_radians())
            }
        };
        let comment = plain(
            &r.other_reading()
                .or_else(|| r.error.clone())
                .unwrap_or_default(),
        );
        let name = plain(if r.object_id.is_empty() {
            &r.origin.file
        } else {
            &r.object_id
        });
        let _ = writeln!(
            out,
            "{}, {name}, {}, {}, 0, {}, {template}, {z}, {:.4}, {template}, {z}, {}, {comment}",
            i + 1,
            position(r.ra),
            position(r.dec),
            class(r),
            r.p_correct().unwrap_or(0.0),
            quality(r)
        );
    }
    out
}

fn prospect(rows: &[Row], model: &Model) -> String {
    let mut out = String::from(
        "TARGETID,EXPID,NIGHT,TILEID,Spec_version,Redrock_version,Template_version,Redrock_spectype,Redrock_z,Redrock_deltachi2,VI_scanner,VI_quality,VI_issue,VI_z,VI_spectype,VI_comment\n",
    );
    for r in rows {
        let z = best(r).map_or(String::new(), |b| format!("{:.6}", b.z));
        // A reader of prospect takes a missing VI_z for the redshift given.
        let issue = if r.measurement.good_pixels == 0 {
            "S"
        } else {
            ""
        };
        let grade = if quality(r) == 6 { 4 } else { quality(r) };
        let comment = plain(&r.other_reading().unwrap_or_else(|| r.secure_lines()));
        let _ = writeln!(
            out,
            "{},-1,-1,-1,,slipher-{},{},{},{z},{:.2},slipher,{grade},{issue},,,{comment}",
            number(r),
            env!("CARGO_PKG_VERSION"),
            plain(&model.id),
            class(r),
            delta_chi2(r)
        );
    }
    out
}

#[cfg(test)]
mod tests;
