//! Redshifts that somebody has looked at, as rows to train on beside the simulated ones, and what a
//! model gained by them.
//!
//! The list is a CSV file with the columns `file` (from the list's own folder), `z`, and if there
//! are any `hdu`, `row` (of the spectra of that file, from 0), `class` and `quality`: what has a
//! quality below 3 (1: no redshift, 2: a guess, as DESI's and VANDELS' inspectors write it) is left
//! out. The decisions of `slipher inspect` are such a list.
//! One row in four is held out, by the hash of its name: it stops the training and is what the gain
//! is measured on.

use std::collections::BTreeMap;
use std::path::Path;

use rayon::prelude::*;
use slipher_data::formats::{ReadOptions, Row, read_slices};
use slipher_data::spectrum::Spectrum;
use slipher_nn::train::Examples;
use slipher_sim::random::{Stream, hash};
use slipher_sim::sed::SpecType;
use slipher_stats::proportion::Tally;

use super::encode::{Encoded, encode};
use super::measure::{PURITY, PredictOptions, measure_all};
use super::model::Model;
use super::score::success;
use super::simulate::Split;
use super::train::{Batch, HELD_OUT, Simulated, Truth};

/// Fewer rows than this teach nothing that can be measured.
const LEAST: usize = 40;
/// Share of a batch that is of the list.
const SHARE: f64 = 0.3;
/// Quality from which a redshift is trusted.
const TRUSTED: f64 = 3.0;

/// A spectrum of known class and redshift.
#[derive(Clone, Debug)]
pub struct Known {
    /// As read.
    pub spectrum: Spectrum,
    /// What the inspector says.
    pub truth: (SpecType, f64),
}

/// A list, read.
#[derive(Clone, Debug, Default)]
pub struct Inspected {
    /// To learn from.
    pub train: Vec<Known>,
    /// To stop and to judge by.
    pub held_out: Vec<Known>,
    /// Lines that were left out, with the reason.
    pub left_out: Vec<String>,
}

const FILE: &[&str] = &["file", "filename", "path", "specname"];
const HDU: &[&str] = &["hdu"];
const ROW: &[&str] = &["row", "index"];
const Z: &[&str] = &["z", "redshift", "z_vi", "vi_z", "best_z", "best redshift"];
const CLASS: &[&str] = &["class", "spectype", "vi_spectype", "best spectype"];
/// What stands where an inspector left the machine's answer as it is.
const Z_GIVEN: &[&str] = &["redrock_z"];
const CLASS_GIVEN: &[&str] = &["redrock_spectype"];
const QUALITY: &[&str] = &[
    "quality",
    "vi_quality",
    "best quality",
    "zqual",
    "zflag",
    "q",
];

/// One name in four is held out, whatever else is in the list.
fn is_held_out(name: &str) -> bool {
    (hash(name) >> 19) % 4 == 1
}

/// A spectrum's place: HDU and row in its file, as far as the list says.
type Place = (Option<usize>, Option<usize>);

/// What somebody says of a spectrum.
#[derive(Clone, Debug)]
struct Said {
    line: usize,
    quality: f64,
    truth: (SpecType, f64),
}

/// Columns of a list, by what they hold.
struct Head {
    file: usize,
    z: usize,
    hdu: Option<usize>,
    row: Option<usize>,
    class: Option<usize>,
    quality: Option<usize>,
    z_given: Option<usize>,
    class_given: Option<usize>,
}

impl Head {
    fn of(names: &csv::StringRecord) -> Result<Head, String> {
        let names: Vec<String> = names.iter().map(str::to_lowercase).collect();
        let find = |known: &[&str]| names.iter().position(|h| known.contains(&h.as_str()));
        let need = |known: &[&str]| {
            find(known)
                .ok_or_else(|| format!("no column '{}'; it has {}", known[0], names.join(", ")))
        };
        Ok(Head {
            file: need(FILE)?,
            z: need(Z)?,
            hdu: find(HDU),
            row: find(ROW),
            class: find(CLASS),
            quality: find(QUALITY),
            z_given: find(Z_GIVEN),
            class_given: find(CLASS_GIVEN),
        })
    }

    /// File, place and what is said, or why it is not trained on.
    fn line(&self, line: usize, c: &csv::StringRecord) -> Result<(String, Place, Said), String> {
        let cell = |k: Option<usize>| k.and_then(|k| c.get(k)).filter(|t| !t.is_empty());
        let count = |k: Option<usize>, name: &str| {
            cell(k)
                .map(|t| t.parse::<usize>().map_err(|_| format!("{name} '{t}'")))
                .transpose()
        };
        let quality = match cell(self.quality) {
            None => TRUSTED,
            Some(q) => q
                .parse()
                .map_err(|_| format!("quality '{q}': expected a number"))?,
        };
        if quality < TRUSTED {
            return Err(format!("quality {quality}, which is not trained on"));
        }
        let z = cell(Some(self.z))
            .or(cell(self.z_given))
            .unwrap_or_default();
        let value: f64 = z.parse().map_err(|_| format!("z '{z}'"))?;
        if !(-0.01..20.0).contains(&value) {
            return Err(format!("z {value}: expected -0.01 to 20"));
        }
        let class = match cell(self.class).or(cell(self.class_given)) {
            None => SpecType::Galaxy,
            Some(name) => SpecType::parse(name)
                .ok_or_else(|| format!("class '{name}': expected GALAXY, QSO or STAR"))?,
        };
        let file = cell(Some(self.file)).ok_or("no file")?.to_owned();
        let place = (count(self.hdu, "hdu")?, count(self.row, "row")?);
        let truth = (class, value);
        Ok((
            file,
            place,
            Said {
                line,
                quality,
                truth,
            },
        ))
    }
}

/// Of several inspectors of one spectrum: the surest, of equally sure ones the last.
fn surest(said: Vec<Said>) -> Option<Said> {
    said.into_iter()
        .reduce(|a, b| if b.quality >= a.quality { b } else { a })
}

impl Inspected {
    /// Reads a list and the spectra that it names. Inspectors of one spectrum count once.
    ///
    /// # Errors
    /// No list, no columns `file` and `z`, too few rows that can be used.
    pub fn read(list: &Path, options: &ReadOptions) -> Result<Inspected, String> {
        let shown = list.display();
        let mut reader = csv::ReaderBuilder::new()
            .comment(Some(b'#'))
            .flexible(true)
            .trim(csv::Trim::All)
            .from_path(list)
            .map_err(|e| format!("{shown}: {e}"))?;
        let head = reader.headers().map_err(|e| format!("{shown}: {e}"))?;
        let head = Head::of(head).map_err(|e| format!("{shown}: {e}"))?;
        let mut out = Inspected::default();
        let mut all: BTreeMap<String, BTreeMap<Place, Vec<Said>>> = BTreeMap::new();
        for record in reader.records() {
            let record = record.map_err(|e| format!("{shown}: {e}"))?;
            let line = record.position().map_or(0, |p| p.line() as usize);
            match head.line(line, &record) {
                Ok((file, place, said)) => {
                    let places = all.entry(file).or_default();
                    places.entry(place).or_default().push(said);
                }
                Err(why) => out.left_out.push(format!("{shown}, line {line}: {why}")),
            }
        }
        let folder = list.parent().unwrap_or(Path::new("."));
        let all: Vec<_> = all.into_iter().collect();
        let read: Vec<_> = all
            .into_par_iter()
            .map(|(file, places)| found(folder, &file, places, options))
            .collect();
        for one in read.into_iter().flatten() {
            match one {
                Err((line, why)) => out.left_out.push(format!("{shown}, line {line}: {why}")),
                Ok((name, known)) if is_held_out(&name) => out.held_out.push(known),
                Ok((_, known)) => out.train.push(known),
            }
        }
        let n = out.train.len() + out.held_out.len();
        if n < LEAST || out.held_out.is_empty() {
            let why = out
                .left_out
                .first()
                .map_or(String::new(), |w| format!(" (the first: {w})"));
            return Err(format!(
                "{shown}: {n} rows that can be used, expected at least {LEAST}; {} left out{why}",
                out.left_out.len()
            ));
        }
        Ok(out)
    }
}

/// Spectra of one file, with what is said of them; its name and row say what is held out.
fn found(
    folder: &Path,
    file: &str,
    places: BTreeMap<Place, Vec<Said>>,
    options: &ReadOptions,
) -> Vec<Result<(String, Known), (usize, String)>> {
    let path = folder.join(file);
    let is = |n: usize, r: &Row, (hdu, row): &Place| match hdu {
        Some(h) => (r.hdu, r.row) == (*h, row.unwrap_or(0)),
        None => n == row.unwrap_or(0),
    };
    let (mut kept, mut n): (Vec<(usize, Row)>, usize) = (vec![], 0);
    let read = read_slices(&path, options, &mut |slice| {
        for r in slice.rows {
            if places.keys().any(|p| is(n, &r, p)) {
                kept.push((n, r));
            }
            n += 1;
        }
        true
    })
    .map_err(|e| e.to_string());
    let one = |(place, said): (Place, Vec<Said>)| {
        let said = surest(said)?;
        let (hdu, row) = place;
        let spectrum = || {
            read.as_ref().map_err(String::clone)?;
            if place == (None, None) && n > 1 {
                let path = path.display();
                return Err(format!(
                    "{path} holds {n} spectra: a column 'row' must say which"
                ));
            }
            let which = kept.iter().find(|(n, r)| is(*n, r, &place));
            let which = which.ok_or_else(|| match hdu {
                Some(h) => format!("no spectrum in HDU {h}, row {}", row.unwrap_or(0)),
                None => format!("row {}: the file has {n}", row.unwrap_or(0)),
            })?;
            which.1.spectrum.clone()
        };
        let name = format!("{file}#{}", row.unwrap_or(0));
        let truth = said.truth;
        Some(match spectrum() {
            Ok(spectrum) => Ok((name, Known { spectrum, truth })),
            Err(why) => Err((said.line, why)),
        })
    };
    places.clone().into_iter().filter_map(one).collect()
}

/// Simulated rows with those of a list among them; both kinds decide when to stop.
pub struct Mixed {
    /// The simulated part.
    pub simulated: Simulated,
    list: Vec<(Encoded, Truth)>,
    held_out: Vec<(&'static str, Batch)>,
    seed: u64,
}

impl Mixed {
    /// Mixes a list into a simulation.
    pub fn new(simulated: Simulated, list: &Inspected, seed: u64) -> Mixed {
        let encoded = |k: &Known| Some((encode(&k.spectrum)?, Some(k.truth)));
        let own: Vec<(Encoded, Truth)> = list.train.par_iter().filter_map(encoded).collect();
        // As many simulated rows as inspected ones.
        let some = list.held_out.len().max(100);
        let mut rows: Batch = simulated.validation().iter().take(some).cloned().collect();
        rows.extend(list.held_out.iter().map(encoded));
        Mixed {
            simulated,
            list: own,
            held_out: vec![(HELD_OUT, rows)],
            seed,
        }
    }
}

impl Examples<Batch> for Mixed {
    fn batch(&self, step: u64) -> Batch {
        let mut batch = self.simulated.batch(step);
        let n = batch.len();
        if self.list.is_empty() {
            return batch;
        }
        let mut rng = Stream::new(self.seed, 0x115_7ED, step);
        for slot in batch.iter_mut().take((SHARE * n as f64) as usize) {
            *slot = Some(self.list[rng.below(self.list.len())].clone());
        }
        batch
    }

    fn held_out(&self) -> &[(&'static str, Batch)] {
        &self.held_out
    }
}

/// A model on rows of known answers.
#[derive(Clone, Copy, Debug, Default)]
pub struct Standing {
    /// Class and redshift right.
    pub right: Tally,
    /// Of the accepted.
    pub accepted: Tally,
    /// Mean `p_correct`.
    pub said: f64,
}

/// Measures rows with a model.
pub fn standing(model: &Model, rows: &[Known]) -> Standing {
    let accept = model.thresholds.threshold(PURITY).unwrap_or(1.0);
    let opts = PredictOptions {
        lines: false,
        accept,
        ..PredictOptions::default()
    };
    let spectra: Vec<&Spectrum> = rows.iter().map(|r| &r.spectrum).collect();
    let mut out = Standing::default();
    for (m, k) in measure_all(model, &opts, &spectra).iter().zip(rows) {
        let right = m.best().is_some_and(|b| success(k.truth, b.class, b.z));
        out.right.add(right);
        if m.accepted() {
            out.accepted.add(right);
        }
        out.said += m.best().map_or(0.0, |b| b.probability) / rows.len().max(1) as f64;
    }
    out
}

/// Simulated rows of the test stream, on which a tuned model must not be worse.
pub fn simulated_rows(data: &Simulated, n: u64) -> Vec<Known> {
    (0..n)
        .into_par_iter()
        .filter_map(|row| {
            let e = data.simulator.draw(Split::Test, row);
            Some(Known {
                spectrum: e.spectrum,
                truth: e.truth?,
            })
        })
        .collect()
}

/// What a list holds, by class.
pub fn classes(rows: &[Known]) -> BTreeMap<&'static str, usize> {
    let mut out = BTreeMap::new();
    for r in rows {
        *out.entry(r.truth.0.name()).or_default() += 1;
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::redshift::recipe::Recipe;

    /// Lists are read with their reasons; batches hold their rows, the same at each call.
    #[test]
    fn lists_are_read_and_mixed() {
        let dir = tempfile::tempdir().unwrap();
        let mut list = "file,z,class,quality\n".to_owned();
        for i in 0..60 {
            let name = format!("s{i}.csv");
            let rows: String = (0..600)
                .map(|k| {
                    format!(
                        "{},{},0.1\n",
                        4000.0 + 4.0 * f64::from(k),
                        1.0 + f64::from(k % 7)
                    )
                })
                .collect();
            let head = "wave (Angstrom),flux (erg/s/cm2/Angstrom),err\n";
            std::fs::write(dir.path().join(&name), head.to_owned() + &rows).unwrap();
            let (class, quality) = if i % 3 == 0 { ("QSO", 4) } else { ("", 3) };
            list += &format!(
                "{name},{:.3},{class},{quality}\n",
                0.1 + 0.01 * f64::from(i)
            );
        }
        list += "s1.csv,0.5,GALAXY,2\nnone.csv,0.5,GALAXY,4\ns2.csv,x,GALAXY,4\ns2.csv,0.5,DOG,4\n";
        let path = dir.path().join("list.csv");
        std::fs::write(&path, &list).unwrap();
        let found = Inspected::read(&path, &ReadOptions::default()).unwrap();
        let (n, held) = (found.train.len(), found.held_out.len());
        assert!(n + held == 60 && (5..30).contains(&held), "{n} {held}");
        assert_eq!(found.left_out.len(), 4, "{:?}", found.left_out);
        assert!(found.left_out[0].contains("quality 2"));
        assert_eq!(
            classes(&found.train)["QSO"] + classes(&found.held_out)["QSO"],
            20
        );
        let mut recipe = Recipe::built_in().unwrap();
        (recipe.training.validation, recipe.training.batch) = (6, 20);
        let mixed = Mixed::new(Simulated::new(&recipe).unwrap(), &found, 3);
        let z =
            |b: &Batch| -> Vec<f64> { b.iter().flatten().filter_map(|r| Some(r.1?.1)).collect() };
        let (a, b) = (mixed.batch(5), mixed.batch(5));
        assert_eq!(z(&a), z(&b));
        let own = |z: &f64| found.train.iter().any(|k| k.truth.1 == *z);
        assert_eq!(z(&a).iter().filter(|z| own(z)).count(), 6);
        // Decisions in DESI's columns: comments with commas, a redshift left as it was given, and
        // inspectors of one spectrum, of whom the surest counts.
        let mut list = "Redrock_spectype,Redrock_z,VI_scanner,VI_quality,VI_z,VI_spectype,\
                        VI_comment,file,hdu,row\n"
            .to_owned();
        for i in 0..50 {
            list += &format!("GALAXY,0.2,ann,4,,,\"broad, \"\"odd\"\"\",s{i}.csv,0,0\n");
        }
        list += "GALAXY,0.2,bob,3,1.5,QSO,,s1.csv,0,0\nGALAXY,0.2,bob,1,,,,s2.csv,0,0\n";
        list += "GALAXY,0.2,bob,4,1.5,QSO,,s3.csv,0,0\n";
        std::fs::write(&path, &list).unwrap();
        let found = Inspected::read(&path, &ReadOptions::default()).unwrap();
        let all: Vec<&Known> = found.train.iter().chain(&found.held_out).collect();
        assert_eq!(
            (all.len(), found.left_out.len()),
            (50, 1),
            "{:?}",
            found.left_out
        );
        assert_eq!(
            all.iter()
                .filter(|k| k.truth == (SpecType::Qso, 1.5))
                .count(),
            1
        );
        assert_eq!(
            all.iter()
                .filter(|k| k.truth == (SpecType::Galaxy, 0.2))
                .count(),
            49
        );
        std::fs::write(&path, "file,z\ns1.csv,0.3\n").unwrap();
        let why = Inspected::read(&path, &ReadOptions::default()).unwrap_err();
        assert!(why.contains("at least 40"), "{why}");
        std::fs::write(&path, "name,z\n").unwrap();
        let why = Inspected::read(&path, &ReadOptions::default()).unwrap_err();
        assert!(why.contains("no column 'file'"), "{why}");
    }
}
