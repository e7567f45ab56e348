//! Real spectra with a known answer: reads the manifest of the data folder and the files
//! themselves.

use std::path::{Path, PathBuf};

use slipher_data::fits::Fits;
use slipher_data::formats::{ReadOptions, read};
use slipher_data::spectrum::Spectrum;
use slipher_sim::sed::SpecType;

/// One spectrum with its truth and the set it belongs to.
pub struct Known {
    pub set: &'static str,
    pub name: String,
    pub spectrum: Spectrum,
    pub truth: (SpecType, f64),
}

/// All spectra of the manifest with a usable truth.
pub fn load(data: &Path) -> Result<Vec<Known>, String> {
    let manifest = data.join("MANIFEST.tsv");
    let text =
        std::fs::read_to_string(&manifest).map_err(|e| format!("{}: {e}", manifest.display()))?;
    let mut out = Vec::new();
    for line in text.lines().skip(1) {
        let cells: Vec<&str> = line.split('\t').collect();
        let (Some(path), Some(truth)) = (cells.first(), cells.get(7)) else {
            continue;
        };
        if path.starts_with("spectra/") {
            let file = data.join(path);
            out.extend(rows(path, &file, truth));
        }
    }
    Ok(out)
}

/// A number after `key=` in a truth string.
fn number(truth: &str, key: &str) -> Option<f64> {
    let at = truth.find(&format!("{key}="))? + key.len() + 1;
    let rest = &truth[at..];
    let end = rest
        .find(|c: char| !(c.is_ascii_digit() || "-+.e".contains(c)))
        .unwrap_or(rest.len());
    rest[..end].parse().ok()
}

fn class(truth: &str) -> Option<SpecType> {
    let at = truth.find("class=")? + 6;
    SpecType::parse(&truth[at..])
}

fn rows(path: &str, file: &Path, truth: &str) -> Vec<Known> {
    let name = file
        .file_name()
        .map(|n| n.to_string_lossy().into_owned())
        .unwrap_or_default();
    if name == "reconstructions.npz" {
        return desi_edr(file);
    }
    if name.starts_with("coadd-") || name == "spectra-16-0.fits" {
        return desi(file, &name);
    }
    let (set, answer) = if let (Some(z), Some(flag)) = (number(truth, "z"), number(truth, "flag")) {
        let set = if flag == 9.0 {
            "VANDELS flag 9 (one line)"
        } else {
            "VANDELS flags 3 and 4"
        };
        (set, (SpecType::Galaxy, z))
    } else if let (Some(c), Some(z), Some(w)) =
        (class(truth), number(truth, "z"), number(truth, "zwarn"))
    {
        let set = match (w == 0.0, c) {
            (true, SpecType::Galaxy) => "SDSS/BOSS galaxies, ZWARNING 0",
            (true, SpecType::Qso) => "SDSS/BOSS quasars, ZWARNING 0",
            (true, SpecType::Star) => "SDSS/BOSS stars, ZWARNING 0",
            (false, _) => "SDSS/BOSS, ZWARNING not 0",
        };
        (set, (c, z))
    } else if path.contains("Marz") {
        let z = number(truth, "z").unwrap_or(f64::NAN);
        let c = class(truth).unwrap_or(SpecType::Galaxy);
        let multiple = [
            (SpecType::Galaxy, 0.11101),
            (SpecType::Galaxy, 0.20406),
            (SpecType::Galaxy, 0.44859),
        ];
        let all: Vec<_> = if name.contains("Multiple") {
            multiple.to_vec()
        } else {
            vec![(c, z)]
        };
        let Ok(f) = read(file, &ReadOptions::default()) else {
            return vec![];
        };
        return f
            .rows
            .into_iter()
            .zip(all)
            .filter_map(|(r, t)| Some(known("Marz test files", &name, r.spectrum.ok()?, t)))
            .collect();
    } else {
        // Literature redshifts, checked against the lines: see docs/EXPERIMENTS.md.
        let known = [
            ("J030341", 3.2267),
            ("J2125-1719", 3.90),
            ("UM184_nF", 3.02),
            ("SDSSJ220248", 2.50),
            ("NGC3522", 0.00402),
        ];
        let Some((_, z)) = known.iter().find(|(n, _)| name.starts_with(n)) else {
            return vec![];
        };
        let c = if name.starts_with("NGC") {
            SpecType::Galaxy
        } else {
            SpecType::Qso
        };
        ("other instruments, literature z", (c, *z))
    };
    match read(file, &ReadOptions::default()) {
        Ok(f) => f
            .rows
            .into_iter()
            .filter_map(|r| Some(known(set, &name, r.spectrum.ok()?, answer)))
            .collect(),
        Err(e) => {
            eprintln!("{e}");
            vec![]
        }
    }
}

fn known(set: &'static str, name: &str, spectrum: Spectrum, truth: (SpecType, f64)) -> Known {
    Known {
        set,
        name: name.to_owned(),
        spectrum,
        truth,
    }
}

/// DESI files: truth by TARGETID from the redrock file or catalogue beside them.
fn desi(file: &Path, name: &str) -> Vec<Known> {
    let (beside, set) = if name.starts_with("coadd-") {
        (name.replace("coadd-", "redrock-"), "DESI coadds (redrock)")
    } else {
        ("zcat.fits".to_owned(), "DESI simulated by others")
    };
    let Ok(f) = read(file, &ReadOptions::default()) else {
        return vec![];
    };
    let mut candidates = vec![file.with_file_name(&beside)];
    candidates.extend(file.ancestors().take(6).map(|a| a.join(&beside)));
    let Some(catalogue) = candidates
        .iter()
        .find(|p| p.is_file())
        .or(find(file, &beside).as_ref())
        .and_then(|p| Fits::open(p).ok())
    else {
        return vec![];
    };
    let Some(t) = (0..catalogue.hdus.len()).find_map(|i| {
        catalogue
            .table(i)
            .ok()
            .filter(|t| t.column("TARGETID").is_some() && t.column("Z").is_some())
    }) else {
        return vec![];
    };
    f.rows
        .into_iter()
        .filter_map(|r| {
            let s = r.spectrum.ok()?;
            let row = (0..t.rows())
                .find(|i| t.identifier("TARGETID", *i).as_deref() == Some(s.object_id.as_str()))?;
            let class = SpecType::parse(&t.text("SPECTYPE", row).or(t.text("CLASS", row))?)?;
            (t.scalar("ZWARN", row)? == 0.0).then_some(())?;
            let truth = (class, t.scalar("Z", row)?);
            Some(known(set, name, s, truth))
        })
        .collect()
}

/// A file of that name anywhere below the fourth folder above.
fn find(file: &Path, name: &str) -> Option<PathBuf> {
    let root = file.ancestors().nth(5)?;
    let all = slipher_data::input::expand(&[root.display().to_string()]).ok()?;
    all.into_iter()
        .find(|p| p.file_name().is_some_and(|n| n.to_string_lossy() == name))
}

/// Flux squeezed, continuum level and errors lost, redshifts noisy: of no use to judge
/// probabilities.
pub const MANGLED: &str = "DESI EDR, 50 of a project (noisy, z only)";

/// Fifty DESI EDR spectra of a machine-learning project: flux as arcsinh of the scaled flux, no
/// errors, no class; noisy truth.
fn desi_edr(file: &Path) -> Vec<Known> {
    let Ok(zip) = std::fs::read(file) else {
        return vec![];
    };
    let array = |name: &str| crate::npz::array(&zip, name);
    let (Some(flux), Some(valid), Some(z)) = (array("flux"), array("valid"), array("z_true"))
    else {
        return vec![];
    };
    let n = flux.shape.get(1).copied().unwrap_or(0).max(1);
    let wave: Vec<f64> = (0..n)
        .map(|i| 3600.0 * (9800.0f64 / 3600.0).powf(i as f64 / (n - 1) as f64))
        .collect();
    let rows = flux
        .values
        .chunks_exact(n)
        .zip(valid.values.chunks_exact(n))
        .zip(&z.values);
    rows.enumerate()
        .filter_map(|(i, ((f, v), z))| {
            // The median was subtracted: put a positive level back.
            let flux: Vec<f32> = f.iter().map(|x| x.sinh() + 3.0).collect();
            let mut ivar = slipher_data::spectrum::estimate_ivar(&flux);
            ivar.iter_mut()
                .zip(v)
                .filter(|(_, v)| **v == 0.0)
                .for_each(|(w, _)| *w = 0.0);
            let mut s = Spectrum::new(wave.clone(), flux, ivar, &[]).ok()?;
            s.ivar_estimated = true;
            Some(known(
                MANGLED,
                &format!("row {i}"),
                s,
                (SpecType::Galaxy, f64::from(*z)),
            ))
        })
        .collect()
}
