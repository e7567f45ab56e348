//! What is known of a redshift beforehand, multiplied into the posterior: a range, an N(z), or a
//! photometric redshift for each object.
//!
//! A prior speaks of galaxies and quasars; stars keep their weight. It is scaled to a mean of 1
//! over ln(1+z), the measure in which the network's likelihood is flat, so that it moves
//! probability between redshifts and, on the whole, not between stars and the rest.

use std::collections::HashMap;
use std::path::Path;

use slipher_data::fits::Fits;
use slipher_sim::sed::SpecType;

use super::encode::LAG;
use super::lag::{LAGS, redshift_of};

/// Weight that a photometric redshift leaves to all redshifts: it can be wrong.
pub const OUTLIERS: f64 = 0.02;

/// A prior that leaves less of the posterior than this is not used.
pub const CONFLICT: f64 = 1e-4;

/// Shape of one object's prior (Redrock's `FUNCTION`).
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Shape {
    /// Normal, of deviation σ.
    Gaussian,
    /// Cauchy, of half width σ.
    Lorentzian,
    /// Full width 2 σ.
    Tophat,
}

/// A prior.
#[derive(Clone, Debug, PartialEq)]
pub enum Prior {
    /// Flat between two redshifts, nothing outside.
    Range(f64, f64),
    /// Number of objects against redshift, ascending, linear between; nothing outside.
    Nz(Vec<(f64, f64)>),
    /// z, σ and shape of each object; the others have none.
    Objects(HashMap<String, (f64, f64, Shape)>),
}

/// A prior that cannot be used.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say it")]
pub enum PriorError {
    #[error(
        "prior {0}: expected LOW..HIGH (redshifts), or a file: two columns z and n for an N(z), or columns object_id (or TARGETID), z and sigma for each object (CSV, or a FITS table)"
    )]
    Unknown(String),
    #[error("prior {file}: {why}")]
    File { file: String, why: String },
}

impl Prior {
    /// Whether it says anything of an object.
    pub fn knows(&self, object_id: &str) -> bool {
        match self {
            Prior::Objects(all) => all.contains_key(object_id.trim()),
            _ => true,
        }
    }

    /// From the command line: `0.5..1.5`, or a file.
    ///
    /// # Errors
    /// What is neither, or a file without the columns.
    pub fn parse(text: &str) -> Result<Prior, PriorError> {
        if let Some((lo, hi)) = text.split_once("..")
            && let (Ok(lo), Ok(hi)) = (lo.parse::<f64>(), hi.parse::<f64>())
        {
            return if lo < hi {
                Ok(Prior::Range(lo, hi))
            } else {
                Err(PriorError::Unknown(text.to_owned()))
            };
        }
        let path = Path::new(text);
        if !path.is_file() {
            return Err(PriorError::Unknown(text.to_owned()));
        }
        let bad = |why: String| PriorError::File {
            file: text.to_owned(),
            why,
        };
        let bytes = slipher_data::fits::read_bytes(path).map_err(|e| bad(e.to_string()))?;
        if bytes.starts_with(b"SIMPLE") {
            of_fits(bytes)
        } else {
            of_text(&String::from_utf8_lossy(&bytes))
        }
        .map_err(bad)
    }

    /// Weight of each lag for galaxies and quasars; none if nothing is known of this object.
    pub fn weights(&self, object_id: &str) -> Option<Vec<f64>> {
        let density: Box<dyn Fn(f64) -> f64> = match self {
            Prior::Range(lo, hi) => {
                Box::new(move |z| f64::from(u8::from((*lo..=*hi).contains(&z))))
            }
            Prior::Nz(points) => Box::new(move |z| interpolate(points, z)),
            Prior::Objects(all) => {
                let (z0, sigma, shape) = *all.get(object_id.trim())?;
                let near = move |z: f64| {
                    let x = (z - z0) / sigma;
                    match shape {
                        Shape::Gaussian => (-0.5 * x * x).exp(),
                        Shape::Lorentzian => 1.0 / (1.0 + x * x),
                        Shape::Tophat => f64::from(u8::from(x.abs() <= 1.0)),
                    }
                };
                let all = (0..LAGS)
                    .map(|l| near(redshift_of(l as f64)) * (1.0 + redshift_of(l as f64)))
                    .sum::<f64>()
                    / LAGS as f64;
                if all <= 0.0 {
                    return None;
                }
                Box::new(move |z| (1.0 - OUTLIERS) * near(z) + OUTLIERS * all / (1.0 + z))
            }
        };
        // dN/dln(1+z) = (1+z) dN/dz, and no lag is narrower than the prior's own features.
        let mut w: Vec<f64> = (0..LAGS)
            .map(|l| redshift_of(l as f64))
            .map(|z| density(z) * (1.0 + z))
            .collect();
        let mean = w.iter().sum::<f64>() / LAGS as f64;
        if !mean.is_finite() || mean <= 0.0 {
            return None;
        }
        w.iter_mut().for_each(|v| *v /= mean);
        Some(w)
    }

    /// Multiplies into a posterior `[class][lag]`; true if it could be: where the prior leaves less
    /// than [`CONFLICT`] of the probability it contradicts the spectrum, and the posterior stays as
    /// it is.
    pub fn apply(weights: &[f64], posterior: &mut [Vec<f64>]) -> bool {
        let star = SpecType::Star as usize;
        let kept = |(c, p): (usize, &Vec<f64>)| {
            p.iter()
                .zip(weights)
                .map(|(v, w)| if c == star { *v } else { v * w })
                .sum::<f64>()
        };
        let total: f64 = posterior.iter().enumerate().map(kept).sum();
        if total < CONFLICT {
            return false;
        }
        for (c, p) in posterior.iter_mut().enumerate() {
            p.iter_mut()
                .zip(weights)
                .for_each(|(v, w)| *v *= if c == star { 1.0 } else { *w } / total);
        }
        true
    }
}

fn interpolate(points: &[(f64, f64)], z: f64) -> f64 {
    let i = points.partition_point(|p| p.0 <= z);
    if i == 0 || i == points.len() {
        return 0.0;
    }
    let ((x0, y0), (x1, y1)) = (points[i - 1], points[i]);
    y0 + (y1 - y0) * (z - x0) / (x1 - x0)
}

/// Redshift, width and shape of a row, if they make sense.
fn object(z: f64, sigma: f64, shape: &str) -> Option<(f64, f64, Shape)> {
    let shape = match shape.trim().to_lowercase() {
        s if s.starts_with("lor") => Shape::Lorentzian,
        s if s.starts_with("top") => Shape::Tophat,
        _ => Shape::Gaussian,
    };
    // A lag is the finest step there is.
    (z.is_finite() && z > -1.0 && sigma.is_finite() && sigma > 0.0)
        .then(|| (z, sigma.max(LAG * (1.0 + z)), shape))
}

const IDS: [&str; 4] = ["object_id", "targetid", "id", "name"];
const REDSHIFTS: [&str; 5] = ["z", "photoz", "z_phot", "zphot", "redshift"];
const SIGMAS: [&str; 6] = ["sigma", "z_err", "zerr", "photoz_err", "z_sigma", "sigma_z"];

fn of_fits(bytes: Vec<u8>) -> Result<Prior, String> {
    let f = Fits::parse(bytes).map_err(|e| e.to_string())?;
    let hdu = f.named("PRIORS").unwrap_or(1);
    let t = f.table(hdu).map_err(|e| format!("HDU {hdu}: {e}"))?;
    let name = |names: &[&str]| {
        t.columns()
            .iter()
            .map(|c| c.name.clone())
            .find(|c| names.contains(&c.to_lowercase().as_str()))
    };
    let need = |names: &[&str]| {
        name(names).ok_or(format!("HDU {hdu} has no column {}", names.join(" or ")))
    };
    let (id, z, sigma) = (need(&IDS)?, need(&REDSHIFTS)?, need(&SIGMAS)?);
    let row = |r: usize| {
        let shape = t.text("FUNCTION", r).unwrap_or_default();
        Some((
            t.identifier(&id, r)?,
            object(t.scalar(&z, r)?, t.scalar(&sigma, r)?, &shape)?,
        ))
    };
    Ok(Prior::Objects((0..t.rows()).filter_map(row).collect()))
}

fn of_text(text: &str) -> Result<Prior, String> {
    let split = |l: &str| -> Vec<String> {
        l.split(|c: char| c == ',' || c.is_whitespace())
            .filter(|p| !p.is_empty())
            .map(|p| p.trim_matches('"').to_owned())
            .collect()
    };
    let mut lines = text
        .lines()
        .map(|l| l.trim().trim_start_matches('#').trim())
        .filter(|l| !l.is_empty())
        .peekable();
    let head = split(lines.peek().ok_or("is empty")?);
    let numbers = |p: &[String]| {
        p.iter()
            .map(|v| v.parse::<f64>().ok())
            .collect::<Option<Vec<f64>>>()
    };
    let place = |names: &[&str]| {
        head.iter()
            .position(|h| names.contains(&h.to_lowercase().as_str()))
    };
    if let (Some(id), Some(z), Some(sigma)) = (place(&IDS), place(&REDSHIFTS), place(&SIGMAS)) {
        let shape = place(&["function"]);
        let mut all = HashMap::new();
        for (n, line) in lines.enumerate().skip(1) {
            let p = split(line);
            let get = |i: usize| {
                p.get(i)
                    .and_then(|v| v.parse::<f64>().ok())
                    .unwrap_or(f64::NAN)
            };
            let o = object(
                get(z),
                get(sigma),
                shape.and_then(|s| p.get(s)).map_or("", String::as_str),
            );
            let o = o.ok_or_else(|| {
                format!(
                    "line {}: expected a redshift and a positive sigma, found '{line}'",
                    n + 1
                )
            })?;
            all.insert(p.get(id).cloned().unwrap_or_default(), o);
        }
        return Ok(Prior::Objects(all));
    }
    if numbers(&head).is_none() {
        lines.next();
    }
    let mut points = Vec::new();
    for line in lines {
        match numbers(&split(line)).as_deref() {
            Some([z, n, ..]) if n.is_finite() && *n >= 0.0 => points.push((*z, *n)),
            _ => {
                return Err(format!(
                    "expected two numbers z and n ≥ 0 a line, found '{line}'"
                ));
            }
        }
    }
    if points.len() < 2 || !points.is_sorted_by(|a, b| a.0 < b.0) {
        return Err("an N(z) needs two or more lines of ascending z".into());
    }
    Ok(Prior::Nz(points))
}

#[cfg(test)]
mod tests {
    use super::super::decode::decode;
    use super::super::lag::lag_of;
    use super::*;

    /// Two equal peaks: the prior decides; a range cuts; a prior that excludes everything changes
    /// nothing.
    #[test]
    fn priors_choose_between_peaks() {
        let mut p = vec![vec![0.0; LAGS]; 3];
        let (a, b) = (lag_of(0.49) as usize, lag_of(1.62) as usize);
        (p[0][a], p[0][b], p[2][20]) = (0.45, 0.45, 0.1);
        let dir = tempfile::tempdir().unwrap();
        let file = |name: &str, text: &str| {
            let path = dir.path().join(name);
            std::fs::write(&path, text).unwrap();
            path.display().to_string()
        };
        let best = |prior: &Prior, id: &str| {
            let mut p = p.clone();
            if let Some(w) = prior.weights(id) {
                Prior::apply(&w, &mut p);
            }
            assert!((p.iter().flatten().sum::<f64>() - 1.0).abs() < 1e-9);
            let s = decode(
                &p,
                3,
                &crate::redshift::phase::Phase::default(),
                &Default::default(),
            )
            .solutions[0];
            (s.z, s.probability)
        };
        let objects =
            Prior::parse(&file("p.csv", "object_id,z,sigma\nA,1.6,0.1\nB,0.5,0.05\n")).unwrap();
        assert!((best(&objects, "A").0 - 1.62).abs() < 0.01 && best(&objects, "A").1 > 0.8);
        assert!((best(&objects, "B").0 - 0.49).abs() < 0.01 && best(&objects, "C").1 < 0.5);
        let range = Prior::parse("1..2").unwrap();
        assert!((best(&range, "").0 - 1.62).abs() < 0.01);
        let nz = Prior::parse(&file("nz.txt", "# z n\n0.1 5\n0.6 2\n1.0 0\n")).unwrap();
        assert!((best(&nz, "").0 - 0.49).abs() < 0.01);
        // Stars are left.
        assert_eq!(best(&Prior::Range(5.0, 6.0), "").1, 1.0);
        let nothing = Prior::Range(5.0, 6.0).weights("").unwrap();
        let mut galaxy = vec![vec![0.0; LAGS]; 3];
        galaxy[0][a] = 1.0;
        assert!(!Prior::apply(&nothing, &mut galaxy) && galaxy[0][a] == 1.0);
    }

    #[test]
    fn refusals_say_what_was_expected() {
        for bad in ["2..1", "no-such-file", "x..y"] {
            assert!(
                Prior::parse(bad)
                    .unwrap_err()
                    .to_string()
                    .contains("expected LOW..HIGH")
            );
        }
        let dir = tempfile::tempdir().unwrap();
        for (text, word) in [
            ("", "empty"),
            ("z n\n0.1 x\n", "two numbers"),
            ("0.5 1\n0.1 1\n", "ascending"),
            ("id z sigma\nA 0.1 -1\n", "positive sigma"),
        ] {
            let path = dir.path().join("p");
            std::fs::write(&path, text).unwrap();
            assert!(
                Prior::parse(&path.display().to_string())
                    .unwrap_err()
                    .to_string()
                    .contains(word),
                "{text}"
            );
        }
    }
}
