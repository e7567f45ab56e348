//! SNANA's light curves: text with `VARLIST` and `OBS` lines, and FITS tables HEAD and PHOT.

use std::path::{Path, PathBuf};

use crate::fits::{Fits, read_bytes};
use crate::light_curve::{LightCurve, Point};

/// A number that is none: SNANA writes −9, −99, −999 for it.
fn known(v: f64) -> f64 {
    if v.is_finite() && v > -8.5 {
        v
    } else {
        f64::NAN
    }
}

pub(super) fn text(text: &str) -> Result<LightCurve, String> {
    let mut c = LightCurve::default();
    let mut columns: Vec<String> = vec![];
    let mut kind = String::new();
    for (i, line) in text.lines().enumerate() {
        let Some((key, rest)) = line.split_once(':') else {
            continue;
        };
        let words: Vec<&str> = rest.split_whitespace().collect();
        let number = |k: usize| {
            words
                .get(k)
                .and_then(|w| w.parse::<f64>().ok())
                .unwrap_or(f64::NAN)
        };
        match key.trim() {
            "SNID" => c.object_id = words.first().copied().unwrap_or_default().to_owned(),
            "RA" => c.ra = number(0),
            "DECL" | "DEC" => c.dec = number(0),
            "MWEBV" => c.ebv = known(number(0)),
            "REDSHIFT_HELIO" | "REDSHIFT_FINAL" if c.redshift.0.is_nan() => {
                let error = words
                    .iter()
                    .position(|w| *w == "+-")
                    .map_or(f64::NAN, |k| number(k + 1));
                c.redshift = (known(number(0)), known(error));
            }
            "HOST_GALAXY_PHOTO-Z" => {
                let error = words
                    .iter()
                    .position(|w| *w == "+-")
                    .map_or(f64::NAN, |k| number(k + 1));
                c.redshift = (known(number(0)), known(error));
            }
            "SIM_COMMENT" => {
                let after = rest.split("Type =").nth(1).unwrap_or_default();
                kind = after
                    .split([',', ' '])
                    .find(|w| !w.is_empty())
                    .unwrap_or_default()
                    .to_owned();
            }
            "VARLIST" => columns = words.iter().map(|w| (*w).to_uppercase()).collect(),
            "OBS" => {
                let at = |name: &str| columns.iter().position(|c| c == name);
                let (Some(t), Some(b), Some(f), Some(e)) = (
                    at("MJD"),
                    at("FLT").or(at("BAND")),
                    at("FLUXCAL"),
                    at("FLUXCALERR"),
                ) else {
                    return Err(format!(
                        "line {}: VARLIST {}: expected MJD, FLT, FLUXCAL and FLUXCALERR before OBS",
                        i + 1,
                        columns.join(" ")
                    ));
                };
                c.points.push(Point {
                    mjd: number(t),
                    band: words.get(b).copied().unwrap_or_default().to_owned(),
                    flux: number(f) as f32,
                    error: number(e) as f32,
                });
            }
            _ => {}
        }
    }
    c.label = (!kind.is_empty()).then_some(kind);
    if c.points.is_empty() {
        return Err("no OBS lines: expected SNANA's VARLIST and OBS".into());
    }
    Ok(c)
}

/// The other file of a pair: …HEAD.FITS and …PHOT.FITS.
fn partner(path: &Path, from: &str, to: &str) -> Option<PathBuf> {
    let name = path.file_name()?.to_str()?;
    let other = path.with_file_name(name.replacen(from, to, 1));
    other.is_file().then_some(other)
}

pub(super) fn fits(
    path: &Path,
    bytes: Vec<u8>,
    give: &mut dyn FnMut(Result<LightCurve, String>) -> bool,
) -> Result<(), String> {
    let name = path
        .file_name()
        .map(|n| n.to_string_lossy().into_owned())
        .unwrap_or_default();
    if name.contains("PHOT") {
        return match partner(path, "PHOT", "HEAD") {
            // Read with its HEAD.
            Some(_) => Ok(()),
            None => Err("SNANA's PHOT table without its HEAD beside it".into()),
        };
    }
    let head = Fits::parse(bytes).map_err(|e| e.to_string())?;
    let hdu = (0..head.hdus.len())
        .find(|h| {
            head.table(*h)
                .is_ok_and(|t| t.column("PTROBS_MIN").is_some())
        })
        .ok_or("no table with PTROBS_MIN: expected SNANA's HEAD.FITS")?;
    let other = partner(path, "HEAD", "PHOT")
        .ok_or("SNANA's HEAD table without its PHOT file (…PHOT.FITS) beside it")?;
    let phot = read_bytes(&other).map_err(|e| e.to_string())?;
    let phot = Fits::parse(phot).map_err(|e| e.to_string())?;
    let place = (0..phot.hdus.len())
        .find(|h| phot.table(*h).is_ok_and(|t| t.column("FLUXCAL").is_some()))
        .ok_or("no table with FLUXCAL in the PHOT file")?;
    let (h, p) = (
        head.table(hdu).map_err(|e| e.to_string())?,
        phot.table(place).map_err(|e| e.to_string())?,
    );
    let band = if p.column("BAND").is_some() {
        "BAND"
    } else {
        "FLT"
    };
    let times = p.whole("MJD").ok_or("PHOT has no MJD")?;
    let fluxes = p.whole("FLUXCAL").ok_or("PHOT has no FLUXCAL")?;
    let errors = p.whole("FLUXCALERR").ok_or("PHOT has no FLUXCALERR")?;
    for row in 0..h.rows() {
        let number = |name: &str| known(h.scalar(name, row).unwrap_or(f64::NAN));
        let range = |name: &str| h.integer(name, row).and_then(|v| usize::try_from(v).ok());
        let curve = match (range("PTROBS_MIN"), range("PTROBS_MAX")) {
            (Some(first), Some(last)) if first >= 1 && last >= first && last <= times.len() => {
                let points = (first - 1..last).map(|i| Point {
                    mjd: times[i],
                    band: p.text(band, i).unwrap_or_default().trim().to_owned(),
                    flux: fluxes[i] as f32,
                    error: errors[i] as f32,
                });
                let z = [
                    number("HOSTGAL_PHOTOZ"),
                    number("REDSHIFT_HELIO"),
                    number("REDSHIFT_FINAL"),
                ];
                let e = [
                    number("HOSTGAL_PHOTOZ_ERR"),
                    number("REDSHIFT_HELIO_ERR"),
                    number("REDSHIFT_FINAL_ERR"),
                ];
                let k = z.iter().position(|v| v.is_finite());
                Ok(LightCurve {
                    object_id: h.text("SNID", row).unwrap_or_default().trim().to_owned(),
                    ra: h.scalar("RA", row).unwrap_or(f64::NAN),
                    dec: h
                        .scalar("DEC", row)
                        .or_else(|| h.scalar("DECL", row))
                        .unwrap_or(f64::NAN),
                    points: points.filter(|p| p.band != "-").collect(),
                    redshift: k.map_or((f64::NAN, f64::NAN), |k| (z[k], e[k])),
                    ebv: number("MWEBV"),
                    ..LightCurve::default()
                })
            }
            (a, b) => Err(format!(
                "row {}: PTROBS_MIN {a:?} to PTROBS_MAX {b:?}: expected rows of PHOT, 1 to {}",
                row + 1,
                times.len()
            )),
        };
        if !give(curve) {
            break;
        }
    }
    Ok(())
}
