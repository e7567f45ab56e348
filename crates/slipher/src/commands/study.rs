//! `slipher reproduce` and `slipher evaluate` for image systems: networks and classical methods on the same rows, and one page about them.

use std::path::{Path, PathBuf};

use miette::{IntoDiagnostic, Result};
use slipher_data::whole::write_whole;
use slipher_systems::images::baseline::{Baseline, FORESTS, MACHINES};
use slipher_systems::images::evaluate::{Answers, Line, by_depth, rows_of, table, turning};
use slipher_systems::images::model::Model;
use slipher_systems::images::set::{Set, Split};
use slipher_systems::images::study::{Cell, cells, folder};
use slipher_systems::images::{System, by_name};
use slipher_systems::radio::fusion::{Fused, fuse};
use slipher_systems::radio::{CLASSES, PAIRS};

use super::images::{fit, stopper};
use crate::Outcome;
use crate::report::images::{Judged, judged, markdown, page, table as html_table};

/// A study of one system.
pub struct Study<'a> {
    pub system: Box<dyn System>,
    /// Of the recipes' examples, and of the test rows.
    pub share: f64,
    pub seed: u64,
    pub labelled: Option<&'a Path>,
    pub folder: PathBuf,
}

/// Simulated test rows of a whole study.
const TEST: f64 = 10_000.0;
/// Rows on which the dials of classical methods are chosen, and from which machines learn; the forest learns from [`System::classical_rows`].
const CLASSICAL: f64 = 20_000.0;

/// The sets that methods learn from and are judged on.
struct Sets {
    train: Set,
    validation: Set,
    /// (title, rows)
    tests: Vec<(String, Set)>,
    /// To learn from and to choose by, of the sky of the paper's survey.
    published: Option<(Set, Set)>,
}

const PUBLISHED: &str = "Simulated sky of the paper's survey";

impl Study<'_> {
    /// Trains what is not trained yet, judges all, writes `index.html` and `numbers.json`.
    pub fn run(&self, quiet: bool) -> Result<Outcome> {
        let stop = stopper()?;
        let mut models = Vec::new();
        for cell in cells(&*self.system, self.share, self.seed, self.labelled).into_diagnostic()? {
            let place = folder(&self.folder, &cell);
            let path = place.join("model.safetensors");
            if !path.exists() {
                let Some(m) = fit(cell.recipe.clone(), &place, cell.name, &stop, quiet)? else { return Ok(Outcome::SomeFailed) };
                m.write(&path).into_diagnostic()?;
            }
            models.push((cell, Model::read(&path).into_diagnostic()?));
        }
        self.judge(&models, quiet)
    }

    fn sets(&self) -> Result<Sets> {
        let n = |most: f64| ((most * self.share) as usize).max(400);
        // More rows to be judged on are no more rows to learn from.
        let learn = |most: f64| ((most * self.share.min(1.0)) as usize).max(400);
        let s = &*self.system;
        let many = learn(s.classical_rows() as f64);
        let mut sets = Sets {
            train: Set::simulated(s, Split::Train, self.seed, many, true),
            validation: Set::simulated(s, Split::Validation, self.seed, learn(4000.0), true),
            tests: vec![],
            published: None,
        };
        if let Some(path) = self.labelled {
            let c = s.labelled(path).map_err(|e| miette::miette!("{e}"))?;
            (sets.train, sets.validation) = (Set::of(s, c.train, true).0, Set::of(s, c.validation, true).0);
            sets.tests.push(("Real images".into(), Set::of(s, c.test, true).0));
        }
        sets.tests.push(("Simulated sky".into(), Set::simulated(s, Split::Test, self.seed, n(TEST), true)));
        let published = Set::published(s, Split::Test, self.seed, n(TEST), true);
        if published.rows() > 0 {
            sets.tests.push((PUBLISHED.into(), published));
            let of = |split, rows| Set::published(s, split, self.seed, rows, true);
            sets.published = Some((of(Split::Train, many), of(Split::Validation, learn(4000.0))));
        }
        Ok(sets)
    }

    fn judge(&self, models: &[(Cell, Model)], quiet: bool) -> Result<Outcome> {
        let s = &*self.system;
        let sets = self.sets()?;
        let say = |text: &str| {
            if !quiet {
                eprintln!("{text}")
            }
        };
        say("classical methods");
        let fitted = |train: &Set, validation: &Set| -> Vec<Baseline> {
            let some = train.first(CLASSICAL as usize);
            let [forest, machine] = [&FORESTS, &MACHINES].map(|grid| Baseline::search(s, grid, &some, validation, self.seed));
            let forest = forest.map(|f| if train.rows() > some.rows() { Baseline::fit(s, f.method, train, validation, self.seed) } else { f });
            forest.into_iter().chain(machine).collect()
        };
        let usual = fitted(&sets.train, &sets.validation);
        // On the sky of the paper's survey they learn from that sky, as the paper's did: how hard it is shows in them.
        let theirs = sets.published.as_ref().map(|(train, validation)| fitted(train, validation));
        let own: Vec<&(Cell, Model)> = models.iter().filter(|m| m.1.system.name() == s.name()).collect();
        let mut body = format!("<p>{}. All methods are judged on the same rows.</p>", s.title());
        let mut numbers = serde_json::Map::new();
        let mut tables = String::new();
        for (title, set) in &sets.tests {
            let classical = theirs.as_ref().filter(|_| title == PUBLISHED).unwrap_or(&usual);
            let mut answers: Vec<Answers> = own.iter().map(|(c, m)| Answers { method: c.title.into(), values: m.predict(&set.images) }).collect();
            answers.extend(classical.iter().map(|b| Answers { method: b.method.name().into(), values: b.predict(s, set) }));
            let n = s.outputs().len();
            let part = |rows: &[usize]| -> Vec<Line> {
                let part = Set { images: vec![vec![]; rows.len()], truth: rows_of(&set.truth, n, rows), ..Set::default() };
                table(s, &part, &answers.iter().map(|a| Answers { method: a.method.clone(), values: rows_of(&a.values, n, rows) }).collect::<Vec<_>>())
            };
            let parts: Vec<(String, Vec<Line>)> =
                by_depth(s, set).into_iter().map(|(lo, hi, rows)| (format!("{} {lo} to {hi}, n = {}", s.depth().0, rows.len()), part(&rows))).collect();
            let lines = table(s, set, &answers);
            numbers.insert(title.clone(), serde_json::json!({ "all": lines, "parts": parts }));
            tables.push_str(&format!("{title}, n = {}\n\n{}\n", set.rows(), markdown(&lines)));
            lines.iter().for_each(|l| say(&format!("{title}: {}: {} {:.4} ({:.4}–{:.4}), n = {}", l.method, l.figure, l.value, l.low, l.high, l.n)));
            body.push_str(&judged(&Judged { title, system: s, set, answers: &answers, lines, parts }));
            if let Some(fused) = self.fused(models, set) {
                body.push_str(&format!("<h3>Three networks and their fusion, as published, on FRI, FRII and Bent</h3>{}", html_table(&fused)));
                fused.iter().for_each(|l| say(&format!("{title}: {}: {} {:.4}, n = {}", l.method, l.figure, l.value, l.n)));
                tables.push_str(&format!("{title}, FRI, FRII and Bent only\n\n{}\n", markdown(&fused)));
                numbers.insert(format!("{title}, fusion"), serde_json::json!(fused));
            }
        }
        body.push_str("<h2>Turning the image</h2><p>Root mean square of the change of the answers, n = 200.</p><table><tr><th></th><th>weights learned</th><th>by quarters and mirrored</th><th>by 15 to 75°</th></tr>");
        let some = &sets.tests.last().map(|t| &t.1.images[..t.1.images.len().min(200)]).unwrap_or(&[]);
        for (c, m) in &own {
            let (quarter, any) = turning(m, some);
            body.push_str(&format!("<tr><td>{}</td><td>{}</td><td>{quarter:.6}</td><td>{any:.6}</td></tr>", c.title, m.parameters()));
            say(&format!("turning: {}: {} weights, quarters {quarter:.6}, 15 to 75° {any:.6}", c.title, m.parameters()));
            numbers.insert(format!("turning: {}", c.title), serde_json::json!([quarter, any]));
        }
        body.push_str("</table>");
        std::fs::create_dir_all(&self.folder).into_diagnostic()?;
        let html = self.folder.join("index.html");
        write_whole(&html, page(s.title(), &body)).into_diagnostic()?;
        write_whole(&self.folder.join("numbers.json"), serde_json::to_string_pretty(&numbers).into_diagnostic()?).into_diagnostic()?;
        write_whole(&self.folder.join("tables.md"), tables).into_diagnostic()?;
        eprintln!("Wrote {}, and beside it numbers.json and tables.md", html.display());
        Ok(Outcome::Good)
    }

    /// The paper's fusion of three networks beside our own on the same rows; none unless all three are there.
    fn fused(&self, models: &[(Cell, Model)], set: &Set) -> Option<Vec<Line>> {
        let names = ["radio-fri-frii", "radio-fri-bent", "radio-frii-bent"];
        let three: Vec<&Model> = names.iter().filter_map(|n| models.iter().find(|m| m.1.system.name() == *n).map(|m| &m.1)).collect();
        if three.len() != PAIRS.len() {
            return None;
        }
        let labels = set.labels(CLASSES.len());
        let rows: Vec<usize> = (0..set.rows()).filter(|r| labels[*r] != 2).collect();
        let images: Vec<Vec<f32>> = rows.iter().map(|r| set.images[*r].clone()).collect();
        let truth: Vec<usize> = rows.iter().map(|r| labels[*r]).collect();
        let given: Vec<Vec<f32>> = three.iter().map(|m| m.predict(&images)).collect();
        let fused: Vec<_> = (0..rows.len()).map(|i| fuse([0, 1, 2].map(|k| [given[k][2 * i], given[k][2 * i + 1]]))).collect();
        let said: Vec<Option<usize>> = fused.iter().map(Fused::class).collect();
        let mut out = three_classes("three AlexNets, fused", &said, &truth);
        let doubtful = fused.iter().filter(|f| !matches!(f, Fused::Sure(..))).count();
        out.push(Line { higher_is_better: false, ..share("three AlexNets, fused", "share with a ? or strange", doubtful, rows.len()) });
        for (c, m) in models.iter().filter(|m| m.1.system.name() == self.system.name()) {
            let p = m.predict(&images);
            let likeliest = |row: &[f32]| [0, 1, 3].into_iter().max_by(|a, b| row[*a].total_cmp(&row[*b]));
            out.extend(three_classes(
                &format!("{}, likeliest of the three", c.title),
                &p.chunks_exact(CLASSES.len()).map(likeliest).collect::<Vec<_>>(),
                &truth,
            ));
        }
        Some(out)
    }
}

fn share(method: &str, figure: &str, good: usize, n: usize) -> Line {
    let (low, high) = slipher_systems::redshift::score::wilson(good, n);
    let value = good as f64 / n.max(1) as f64;
    Line { method: method.into(), figure: figure.into(), value, low, high, n, higher_is_better: true, published: (None, None) }
}

/// Accuracy, precision and recall over FRI, FRII and Bent, beside those that Aniyan & Thorat print for theirs.
fn three_classes(method: &str, said: &[Option<usize>], truth: &[usize]) -> Vec<Line> {
    let count = |f: &dyn Fn(Option<usize>, usize) -> bool| said.iter().zip(truth).filter(|(s, t)| f(**s, **t)).count();
    let mut out = vec![share(method, "accuracy", count(&|s, t| s == Some(t)), truth.len())];
    for (k, precision, recall) in [(0, 0.91, 0.91), (1, 0.75, 0.91), (3, 0.95, 0.79)] {
        let good = count(&|s, t| s == Some(k) && t == k);
        for (figure, of, published) in [("precision", count(&|s, _| s == Some(k)), precision), ("recall", count(&|_, t| t == k), recall)] {
            out.push(Line { published: (Some(published), None), ..share(method, &format!("{figure} {}", CLASSES[k]), good, of) });
        }
    }
    out
}

/// `slipher evaluate`: one model on test rows, beside the classical methods.
pub fn evaluate(system: Box<dyn System>, model: Model, n: u64, seed: u64, labelled: Option<&Path>, output: &Path, quiet: bool) -> Result<Outcome> {
    let study = Study { system, share: n as f64 / TEST, seed, labelled, folder: output.to_owned() };
    let cell = cells(&*study.system, 1.0, seed, None).into_diagnostic()?.into_iter().next();
    let Some(cell) = cell else { return Err(miette::miette!("{} has no study", study.system.name())) };
    study.judge(&[(cell, model)], quiet)
}

/// The study of a system by name.
pub fn open<'a>(name: &str, share: f64, seed: u64, labelled: Option<&'a Path>, folder: &Path) -> Result<Study<'a>> {
    let system = by_name(name).ok_or_else(|| miette::miette!("no system named {name}"))?;
    Ok(Study { system, share, seed, labelled, folder: folder.to_owned() })
}
