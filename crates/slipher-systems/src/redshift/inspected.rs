//! Redshifts that somebody has looked at, as rows to train on beside the simulated ones, and what a
//! model gained by them.
//!
//! The list is a CSV file with the columns `file` (from the list's own folder), `z`, and if there
//! are any `row` (of the spectra of that file, from 0), `class` and `quality`: what has a quality
//! below 3 (1: no redshift, 2: a guess, as DESI's and VANDELS' inspectors write it) is left out.
//! One row in four is held out, by the hash of its name: it stops the training and is what the gain
//! is measured on.

use std::collections::BTreeMap;
use std::path::Path;

use rayon::prelude::*;
use slipher_data::formats::{ReadOptions, read};
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
const ROW: &[&str] = &["row", "index"];
const Z: &[&str] = &["z", "redshift", "z_vi", "vi_z", "best_z", "best redshift"];
const CLASS: &[&str] = &["class", "spectype", "vi_spectype", "best spectype"];
const QUALITY: &[&str] = &[
    "quality",
    "vi_quality",
    "best quality",
    "zqual",
    "zflag",
    "q",
];

fn cells(line: &str) -> Vec<String> {
    let trim = |c: &str| c.trim().trim_matches('"').trim().to_owned();
    line.split(',').map(trim).collect()
}

/// One name in four is held out, whatever else is in the list.
fn is_held_out(name: &str) -> bool {
    (hash(name) >> 19) % 4 == 1
}

impl Inspected {
    /// Reads a list and the spectra that it names.
    ///
    /// # Errors
    /// No list, no columns `file` and `z`, too few rows that can be used.
    pub fn read(list: &Path, options: &ReadOptions) -> Result<Inspected, String> {
        let shown = list.display();
        let text = std::fs::read_to_string(list).map_err(|e| format!("{shown}: {e}"))?;
        let mut lines = text
            .lines()
            .filter(|l| !l.starts_with('#') && !l.trim().is_empty());
        let head = cells(
            &lines
                .next()
                .ok_or_else(|| format!("{shown}: it is empty"))?
                .to_lowercase(),
        );
        let column = |names: &[&str]| head.iter().position(|h| names.contains(&h.as_str()));
        let need = |names: &[&str]| {
            column(names).ok_or_else(|| {
                format!(
                    "{shown}: no column '{}'; it has {}",
                    names[0],
                    head.join(", ")
                )
            })
        };
        let (file, z) = (need(FILE)?, need(Z)?);
        let (row, class, quality) = (column(ROW), column(CLASS), column(QUALITY));
        let folder = list.parent().unwrap_or(Path::new("."));
        let entries: Vec<Vec<String>> = lines.map(cells).collect();
        let one = |(i, c): (usize, &Vec<String>)| -> Result<(String, Known), String> {
            let cell = |k: usize| c.get(k).map_or("", String::as_str);
            let bad = |why: String| format!("{shown}, line {}: {why}", i + 2);
            if let Some(q) = quality.and_then(|k| cell(k).parse::<f64>().ok())
                && q < TRUSTED
            {
                return Err(bad(format!("quality {q}, which is not trained on")));
            }
            let value: f64 = cell(z)
                .parse()
                .map_err(|_| bad(format!("z '{}'", cell(z))))?;
            if !(-0.01..20.0).contains(&value) {
                return Err(bad(format!("z {value}: expected -0.01 to 20")));
            }
            let kind = match class.map(cell).filter(|c| !c.is_empty()) {
                None => SpecType::Galaxy,
                Some(name) => SpecType::parse(name)
                    .ok_or_else(|| bad(format!("class '{name}': expected GALAXY, QSO or STAR")))?,
            };
            let which: usize = match row.map(cell).filter(|r| !r.is_empty()) {
                None => 0,
                Some(r) => r.parse().map_err(|_| bad(format!("row '{r}'")))?,
            };
            let path = folder.join(cell(file));
            let mut found = read(&path, options).map_err(|e| bad(e.to_string()))?.rows;
            if row.is_none() && found.len() > 1 {
                let n = found.len();
                return Err(bad(format!(
                    "{} holds {n} spectra: a column 'row' must say which",
                    path.display()
                )));
            }
            if which >= found.len() {
                return Err(bad(format!("row {which}: the file has {}", found.len())));
            }
            let spectrum = found.swap_remove(which).spectrum.map_err(bad)?;
            let truth = (kind, value);
            Ok((format!("{}#{which}", cell(file)), Known { spectrum, truth }))
        };
        let mut out = Inspected::default();
        let all: Vec<_> = entries.par_iter().enumerate().map(one).collect();
        for found in all {
            match found {
                Err(why) => out.left_out.push(why),
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
        std::fs::write(&path, "file,z\ns1.csv,0.3\n").unwrap();
        let why = Inspected::read(&path, &ReadOptions::default()).unwrap_err();
        assert!(why.contains("at least 40"), "{why}");
        std::fs::write(&path, "name,z\n").unwrap();
        let why = Inspected::read(&path, &ReadOptions::default()).unwrap_err();
        assert!(why.contains("no column 'file'"), "{why}");
    }
}
