//! SED libraries from a folder: LePhare/EAZY/BPZ two-column files, BC03 and redmonster FITS, quasar
//! composites. What is in a file is read from its content and the folder names above it.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use slipher_data::fits::{Fits, Kind, read_bytes};

use crate::exotic::Exotic;
use crate::galaxy::Population;
use crate::medium::{Medium, medium_of, to_vacuum};
use crate::random::hash;
use crate::sed::{SpecType, Template};
use crate::{exotic, quasar, star, stellar};

/// All SEDs that simulations draw from.
#[derive(Clone, Debug)]
pub struct Library {
    /// Galaxies, each with its lines.
    pub galaxies: Vec<Population>,
    /// Quasars.
    pub quasars: Vec<Arc<Template>>,
    /// Stars of files, with the temperature of the built-in star that continues them.
    pub stars: Vec<(Option<f64>, Arc<Template>)>,
    pub(crate) builtin_stars: Vec<(Option<f64>, Arc<Template>)>,
    pub(crate) exotic: Vec<Exotic>,
    /// Stars whose temperature somebody has measured (those of MILES, with their table), K.
    pub spectral_types: Vec<(f64, Arc<Template>)>,
    temperatures: BTreeMap<String, f64>,
    pub(crate) pseudo: Vec<Arc<Template>>,
    /// Files that were not understood, with the reason.
    pub skipped: Vec<(String, String)>,
}

impl Library {
    /// What needs no files.
    pub fn builtin() -> Self {
        let galaxies = stellar::populations()
            .into_iter()
            .map(|(age, template)| Population {
                template,
                age: Some(age),
                has_lines: false,
            })
            .collect();
        Library {
            galaxies,
            quasars: vec![],
            stars: vec![],
            builtin_stars: star::builtin(),
            exotic: exotic::builtin(),
            spectral_types: vec![],
            temperatures: BTreeMap::new(),
            pseudo: quasar::builtin(),
            skipped: vec![],
        }
    }

    /// Adds every template below `folder`.
    ///
    /// # Errors
    /// If the folder cannot be listed. Files that are no templates are noted in `skipped`.
    pub fn add_folder(&mut self, folder: &Path) -> std::io::Result<()> {
        let mut files = Vec::new();
        list(folder, &mut files)?;
        files.sort();
        let temperatures = files.iter().filter_map(|f| temperatures(f)).flatten();
        self.temperatures.extend(temperatures);
        for path in files {
            let name = path.display().to_string();
            let below = path
                .strip_prefix(folder)
                .unwrap_or(&path)
                .display()
                .to_string();
            match read(&path, &below) {
                Ok(found) => {
                    for f in found {
                        self.add(f, &below);
                    }
                }
                Err(why) => self.skipped.push((name, why)),
            }
        }
        Ok(())
    }

    fn add(&mut self, found: Found, path: &str) {
        let class = found.class.unwrap_or_else(|| class_of(path));
        let template = Arc::new(found.template);
        match class {
            SpecType::Qso => self.quasars.push(template),
            SpecType::Star => {
                let (whole, by_colour) = star::extend(&template, &self.builtin_stars);
                // MILES calls its star 1 `…_star_m0001V`.
                let number = template
                    .name
                    .split("_star_m")
                    .nth(1)
                    .and_then(|t| t.split('V').next());
                let known = number.and_then(|n| self.temperatures.get(n)).copied();
                let whole = Arc::new(whole);
                if let Some(teff) = known {
                    self.spectral_types.push((teff, whole.clone()));
                }
                self.stars.push((known.or(by_colour), whole));
            }
            SpecType::Galaxy => {
                let has_lines = has_emission(&template);
                self.galaxies.push(Population {
                    template,
                    age: found.age,
                    has_lines,
                });
            }
        }
    }
}

/// Effective temperatures by number of star, of a table `…_params.db` (number, Teff, log g, [Fe/H]).
fn temperatures(path: &Path) -> Option<Vec<(String, f64)>> {
    let name = path.file_name()?.to_string_lossy().into_owned();
    if !name.ends_with("_params.db") {
        return None;
    }
    let text = std::fs::read_to_string(path).ok()?;
    let row = |line: &str| {
        let mut cells = line.split_whitespace();
        let (number, teff) = (cells.next()?, cells.next()?.parse::<f64>().ok()?);
        (number.parse::<u32>().is_ok() && (1000.0..100_000.0).contains(&teff))
            .then(|| (number.to_owned(), teff))
    };
    Some(text.lines().filter_map(row).collect())
}

struct Found {
    template: Template,
    class: Option<SpecType>,
    age: Option<f64>,
}

impl Found {
    fn new(template: Template) -> Self {
        Found {
            template,
            class: None,
            age: None,
        }
    }
}

fn list(folder: &Path, out: &mut Vec<std::path::PathBuf>) -> std::io::Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            // Filters, extinction laws and opacities lie beside SEDs in LePhare's tree.
            let name = path
                .file_name()
                .map(|n| n.to_string_lossy().to_lowercase())
                .unwrap_or_default();
            if !["filt", "ext", "opa", "filters"].contains(&name.as_str()) {
                list(&path, out)?;
            }
        } else {
            out.push(path);
        }
    }
    Ok(())
}

/// Class by the words of the path below the given folder, the file's own name first.
fn class_of(path: &str) -> SpecType {
    let lower = path.to_lowercase();
    for part in lower.rsplit(['/', '\\']) {
        let words: Vec<&str> = part.split(|c: char| !c.is_ascii_alphabetic()).collect();
        let has = |all: &[&str]| words.iter().any(|w| all.contains(w));
        if has(&[
            "qso", "qsos", "quasar", "quasars", "agn", "selsing", "redqso",
        ]) {
            return SpecType::Qso;
        }
        if has(&["star", "stars", "pickles", "vega", "stellar"]) && !has(&["galaxy", "galaxies"]) {
            return SpecType::Star;
        }
        if has(&["gal", "galaxies"]) {
            break;
        }
    }
    SpecType::Galaxy
}

/// Emission lines show as peaks over the median around them.
fn has_emission(t: &Template) -> bool {
    [6564.6, 5008.2, 3728.5].iter().any(|w| {
        let around = 0.5 * (t.mean(w - 120.0, w - 60.0) + t.mean(w + 60.0, w + 120.0));
        let peak = t.mean(w - 8.0, w + 8.0);
        around > 0.0 && peak > 1.06 * around && t.range().1 > w + 150.0
    })
}

/// The templates of a file, in vacuum; `below` is its path in the library.
fn read(path: &Path, below: &str) -> Result<Vec<Found>, String> {
    let bytes = read_bytes(path).map_err(|e| e.to_string())?;
    let name = path
        .file_stem()
        .map(|n| n.to_string_lossy().into_owned())
        .unwrap_or_default();
    if bytes.starts_with(b"SIMPLE") {
        return read_fits(bytes, &name, below);
    }
    let text = String::from_utf8(bytes).map_err(|_| "neither FITS nor text".to_owned())?;
    let mut points: Vec<(f64, f64)> = Vec::new();
    for line in text.lines() {
        let mut numbers = line
            .split([' ', '\t', ','])
            .filter(|t| !t.is_empty())
            .map(str::parse::<f64>);
        if let (Some(Ok(w)), Some(Ok(f))) = (numbers.next(), numbers.next()) {
            points.push((w, f));
        }
    }
    if points.len() < 50 {
        return Err(format!(
            "{} lines of two numbers, expected at least 50",
            points.len()
        ));
    }
    points.sort_by(|a, b| a.0.total_cmp(&b.0));
    points.dedup_by(|a, b| a.0 == b.0);
    let (mut w, f): (Vec<f64>, Vec<f64>) = points.into_iter().filter(|p| p.0 > 0.0).unzip();
    to_vacuum(medium_of(below, stated_in(&text)), &mut w);
    let t = Template::from_points(&name, &w, &f)
        .ok_or("no positive flux over a useful range of wavelengths")?;
    let mut found = Found::new(t);
    if let Some(rest) = name.strip_prefix("ssp_") {
        found.age = rest
            .split("Myr")
            .next()
            .and_then(|a| a.parse::<f64>().ok())
            .map(|a| (a * 1e6).log10());
    }
    Ok(vec![found])
}

/// What the comments at the top of a text say of the medium.
fn stated_in(text: &str) -> Option<Medium> {
    let comments = text.lines().take_while(|l| l.trim_start().starts_with('#'));
    let words = comments.collect::<Vec<_>>().join(" ").to_lowercase();
    let has = |word: &str| {
        words
            .split(|c: char| !c.is_ascii_alphabetic())
            .any(|w| w == word)
    };
    match (has("air"), has("vacuum") || has("vac")) {
        (true, false) => Some(Medium::Air),
        (false, true) => Some(Medium::Vacuum),
        _ => None,
    }
}

/// What a header says of the medium.
fn stated_by(h: &slipher_data::fits::Header) -> Option<Medium> {
    let text = |key: &str| h.str(key).unwrap_or_default().to_ascii_lowercase();
    let kind = text("CTYPE1");
    match text("AIRORVAC").as_str() {
        "air" => return Some(Medium::Air),
        "vac" | "vacuum" => return Some(Medium::Vacuum),
        _ => {}
    }
    if kind.starts_with("awav") {
        return Some(Medium::Air);
    }
    kind.starts_with("wave-vac").then_some(Medium::Vacuum)
}

fn read_fits(bytes: Vec<u8>, name: &str, below: &str) -> Result<Vec<Found>, String> {
    let fits = Fits::parse(bytes).map_err(|e| e.to_string())?;
    let mut found = Vec::new();
    for (i, hdu) in fits.hdus.iter().enumerate() {
        match hdu.kind {
            Kind::Image if i == 0 => found.extend(image_templates(&fits, name, below)),
            Kind::BinTable => {
                let Ok(t) = fits.table(i) else { continue };
                for class in SpecType::ALL {
                    // prospect's std_templates.fits: wave_GALAXY, flux_GALAXY, …
                    let column = |c: &str| t.whole(&format!("{c}_{}", class.name()));
                    if let (Some(w), Some(f)) = (column("wave"), column("flux")) {
                        let mut good: (Vec<f64>, Vec<f64>) = w
                            .iter()
                            .zip(&f)
                            .filter(|(w, f)| **w > 0.0 && f.is_finite())
                            .map(|(w, f)| (*w, *f))
                            .unzip();
                        to_vacuum(medium_of(below, stated_by(&hdu.header)), &mut good.0);
                        if let Some(t) = Template::from_points(name, &good.0, &good.1) {
                            found.push(Found {
                                template: t,
                                class: Some(class),
                                age: None,
                            });
                        }
                    }
                }
            }
            _ => {}
        }
    }
    if found.is_empty() {
        Err("no 1-D spectrum in the first HDU and no wave_*/flux_* columns".into())
    } else {
        Ok(found)
    }
}

/// Rows of an image whose header gives the wavelength: linear, or log₁₀ when its range is below 10.
fn image_templates(fits: &Fits, name: &str, below: &str) -> Vec<Found> {
    let Ok(image) = fits.image(0) else {
        return vec![];
    };
    let h = &fits.hdus[0].header;
    let (Some(value), Some(step)) = (h.float("CRVAL1"), h.float("CDELT1").or(h.float("CD1_1")))
    else {
        return vec![];
    };
    let pixel = h.float("CRPIX1").unwrap_or(1.0);
    let mut wave: Vec<f64> = (0..image.width())
        .map(|i| {
            let x = value + step * (i as f64 + 1.0 - pixel);
            if value < 10.0 { 10f64.powf(x) } else { x }
        })
        .collect();
    to_vacuum(medium_of(below, stated_by(h)), &mut wave);
    // The rows of Redrock's quasar file are basis vectors; only the first is a spectrum.
    let basis = h.str("RRTYPE").is_some();
    let rows = if basis { 1 } else { image.rows().min(200) };
    let mut out = Vec::new();
    for row in 0..rows {
        let flux = image.row(row);
        if let Some(t) = Template::from_points(&format!("{name}[{row}]"), &wave, &flux) {
            let mut f = Found::new(t);
            if basis {
                f.class = SpecType::parse(h.str("RRTYPE").unwrap_or_default());
                // A basis of residuals goes negative; a spectrum hardly does.
                if f.template.flux.iter().filter(|x| **x < 0.0).count() * 20 > f.template.flux.len()
                {
                    continue;
                }
            }
            // redmonster's SSPs: third axis log10 age / Gyr.
            if h.str("CNAME3") == Some("log10-age") && image.axes.len() == 3 {
                let age = row / image.axes[1].max(1);
                f.age = Some(
                    9.0 + h.float("CRVAL3").unwrap_or(0.0)
                        + h.float("CDELT3").unwrap_or(0.0) * age as f64,
                );
            } else if let Some(age) = name.split("_a").nth(1).and_then(|a| a.parse::<f64>().ok()) {
                f.age = Some(9.0 + age.log10());
            }
            out.push(f);
        }
    }
    out
}

/// Families are names without row numbers, copies' endings and metallicities; FNV-1a decides.
fn is_held_out(name: &str) -> bool {
    let base = name
        .split(['[', ','])
        .next()
        .unwrap_or_default()
        .to_lowercase();
    let row: usize = name
        .split('[')
        .nth(1)
        .and_then(|r| r.trim_end_matches(']').parse().ok())
        .unwrap_or(0);
    let family = base
        .replace("_ext", "")
        .replace("_more", "")
        .replace("_nodust", "")
        .replace("_a_", "_");
    // Rows of one file: twelve neighbours (three ages at four dispersions) go together.
    let key = format!("{family}{}", row / 12);
    (hash(&key) >> 17) % 7 == 3
}

impl Library {
    /// The part of the library that training sees (`held_out` false) or the part kept for
    /// validation and test: about one family in seven, so that copies of one template in several
    /// libraries and neighbouring ages stay together. Of a kind with a single family both parts
    /// have it.
    pub fn part(&self, held_out: bool) -> Library {
        fn keep<T: Clone>(all: &[T], name: impl Fn(&T) -> String, held_out: bool) -> Vec<T> {
            let kept: Vec<T> = all
                .iter()
                .filter(|t| is_held_out(&name(t)) == held_out)
                .cloned()
                .collect();
            if kept.is_empty() { all.to_vec() } else { kept }
        }
        Library {
            galaxies: keep(&self.galaxies, |g| g.template.name.clone(), held_out),
            quasars: keep(&self.quasars, |t| t.name.clone(), held_out),
            stars: keep(&self.stars, |t| t.1.name.clone(), held_out),
            builtin_stars: keep(&self.builtin_stars, |t| t.1.name.clone(), held_out),
            exotic: keep(&self.exotic, |t| t.1.name.clone(), held_out),
            spectral_types: keep(&self.spectral_types, |t| t.1.name.clone(), held_out),
            temperatures: BTreeMap::new(),
            pseudo: self.pseudo.clone(),
            skipped: vec![],
        }
    }

    /// Draws an SED of a class for redshift `z`.
    pub fn draw(
        &self,
        class: SpecType,
        z: f64,
        rng: &mut crate::random::Stream,
    ) -> crate::sed::Sed {
        match class {
            SpecType::Galaxy => crate::galaxy::draw(rng, &self.galaxies, z),
            SpecType::Qso => quasar::draw(rng, &self.pseudo, &self.quasars, &self.galaxies, z),
            SpecType::Star => star::draw(rng, &self.builtin_stars, &self.exotic, &self.stars),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_template_is_in_both_parts() {
        let all = Library::builtin();
        assert_eq!(class_of("champagne/ell.sed"), SpecType::Galaxy);
        assert_eq!(class_of("sed/QSO/MR_QSO1.sed"), SpecType::Qso);
        assert_eq!(class_of("star-galaxy/seds/stars/a0i.sed"), SpecType::Star);
        let (train, test) = (all.part(false), all.part(true));
        for t in &test.galaxies {
            assert!(
                !train
                    .galaxies
                    .iter()
                    .any(|u| u.template.name == t.template.name)
            );
        }
        assert_eq!(
            train.galaxies.len() + test.galaxies.len(),
            all.galaxies.len()
        );
        assert!(!test.builtin_stars.is_empty());
    }

    #[test]
    fn two_columns_and_classes() {
        let dir = std::env::temp_dir().join(format!("slipher-templates-{}", std::process::id()));
        std::fs::create_dir_all(dir.join("QSO")).unwrap();
        let text: String = (0..200)
            .map(|i| format!("{} {}\n", 3000 + 40 * i, 1.0 + f64::from(i % 7)))
            .collect();
        std::fs::write(dir.join("QSO/one.sed"), format!("# comment\n{text}")).unwrap();
        std::fs::write(dir.join("gal.dat"), &text).unwrap();
        std::fs::write(dir.join("README"), "words").unwrap();
        let mut l = Library::builtin();
        let n = l.galaxies.len();
        l.add_folder(&dir).unwrap();
        std::fs::remove_dir_all(&dir).unwrap();
        assert_eq!(
            (l.galaxies.len() - n, l.quasars.len(), l.skipped.len()),
            (1, 1, 1)
        );
    }
}
