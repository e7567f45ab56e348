//! `slipher reproduce` and `slipher evaluate` for systems of the shared engine: networks and
//! classical methods on the same rows, and one page about them.

use std::path::{Path, PathBuf};

use miette::{IntoDiagnostic, Result};
use rayon::prelude::*;
use slipher_data::atomic::atomic_write;
use slipher_sim::random::Stream;
use slipher_stats::classification::Line;
use slipher_systems::baseline::{Baseline, FORESTS, MACHINES};
use slipher_systems::evaluate::{Answers, by_depth, rows_of, table, turning};
use slipher_systems::example::Sky;
use slipher_systems::model::Model;
use slipher_systems::set::{Set, Split};
use slipher_systems::study::{Cell, cells, folder};
use slipher_systems::system::{StudyRows, System};

use super::ctrl_c_flag;
use super::shared::fit;
use crate::Outcome;
use crate::report::shared::{Evaluation, evaluation, markdown, page, table as html_table};

/// A study of one system.
pub struct Study<'a> {
    pub system: &'static dyn System,
    /// Of the recipes' examples, and of the test rows.
    pub share: f64,
    pub seed: u64,
    pub labelled: Option<&'a Path>,
    pub folder: PathBuf,
}

/// Simulated test rows of a whole study.
const TEST: f64 = 10_000.0;
/// Rows on which the parameters of classical methods are chosen, and from which machines learn; the
/// forest learns from [`System::classical_rows`].
const CLASSICAL: f64 = 20_000.0;

/// The sets that methods learn from and are evaluated on.
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
    /// Trains what is not trained yet, compares all, writes `index.html` and `numbers.json`.
    pub fn run(&self, quiet: bool) -> Result<Outcome> {
        let stop = ctrl_c_flag();
        let mut models = Vec::new();
        for cell in cells(self.system, self.share, self.seed, self.labelled).into_diagnostic()? {
            let place = folder(&self.folder, &cell);
            let path = place.join("model.safetensors");
            if !path.exists() {
                let Some(m) = fit(
                    cell.system,
                    &cell.recipe,
                    &place,
                    cell.named.name,
                    &stop,
                    quiet,
                )?
                else {
                    return Ok(Outcome::SomeFailed);
                };
                m.write(&path).into_diagnostic()?;
            }
            let model = Model::read(cell.system, &path).into_diagnostic()?;
            let asked = serde_json::to_value(&cell.recipe).into_diagnostic()?;
            if model.recipe != asked {
                return Err(miette::miette!(
                    "{}: trained by another recipe (scale, seed, examples or version); give another \
                     --output, or remove it",
                    path.display()
                ));
            }
            models.push((cell, model));
        }
        self.compare(&models, quiet)
    }

    fn sets(&self) -> Result<Sets> {
        let n = |most: f64| ((most * self.share) as usize).max(400);
        // More rows to be evaluated on are no more rows to learn from.
        let learn = |most: f64| ((most * self.share.min(1.0)) as usize).max(400);
        let s = self.system;
        let many = learn(s.classical_rows() as f64);
        let (train, validation, mut tests) = match self.labelled {
            Some(path) => {
                let c = s.labelled(path).map_err(|e| miette::miette!("{e}"))?;
                let of = |examples| Set::of(s, examples, true).0;
                (
                    of(c.train),
                    of(c.validation),
                    vec![("Real images".into(), of(c.test))],
                )
            }
            None => {
                let of = |split, rows| Set::simulated(s, Sky::Own, split, self.seed, rows, true);
                (
                    of(Split::Train, many),
                    of(Split::Validation, learn(4000.0)),
                    vec![],
                )
            }
        };
        tests.push((
            "Simulated sky".into(),
            Set::simulated(s, Sky::Own, Split::Test, self.seed, n(TEST), true),
        ));
        let theirs = |split, rows| Set::simulated(s, Sky::Published, split, self.seed, rows, true);
        let test = theirs(Split::Test, n(TEST));
        let published = (test.rows() > 0).then(|| {
            (
                theirs(Split::Train, many).without_images(),
                theirs(Split::Validation, learn(4000.0)).without_images(),
            )
        });
        if published.is_some() {
            tests.push((PUBLISHED.into(), test));
        }
        Ok(Sets {
            train: train.without_images(),
            validation: validation.without_images(),
            tests,
            published,
        })
    }

    fn compare(&self, models: &[(Cell, Model)], quiet: bool) -> Result<Outcome> {
        let s = self.system;
        let sets = self.sets()?;
        let mut report = Report::new(s, quiet);
        report.say("classical methods");
        let usual = self.baselines(&sets.train, &sets.validation);
        // On the sky of the paper's survey they learn from that sky, as the paper's did: how hard
        // it is shows in them.
        let published = sets.published.as_ref();
        let theirs = published.map(|(train, validation)| self.baselines(train, validation));
        let own: Vec<&(Cell, Model)> = models
            .iter()
            .filter(|m| m.1.system.name() == s.name())
            .collect();
        for (title, set) in &sets.tests {
            let classical = match &theirs {
                Some(t) if title == PUBLISHED => t,
                _ => &usual,
            };
            let mut answers: Vec<Answers> = own
                .iter()
                .map(|(c, m)| Answers {
                    method: c.named.title.into(),
                    values: m.predict(&set.images),
                })
                .collect();
            answers.extend(classical.iter().map(|b| Answers {
                method: b.method.name().into(),
                values: b.predict(s, set),
            }));
            report.add_set(title, set, &answers);
            for (heading, lines) in more(s, models, set, &answers[..own.len()], self.seed) {
                report.add_table(title, &heading, &lines);
            }
        }
        let some = sets
            .tests
            .last()
            .map(|t| &t.1.images[..t.1.images.len().min(200)])
            .unwrap_or_default();
        report.add_turning(&own, some);
        report.write(&self.folder)
    }

    /// The classical methods, each with the parameters that validation prefers.
    fn baselines(&self, train: &Set, validation: &Set) -> Vec<Baseline> {
        let s = self.system;
        if s.feature_names().is_empty() {
            return vec![];
        }
        let some = train.first(CLASSICAL as usize);
        let [forest, machine] = [&FORESTS, &MACHINES]
            .map(|grid| Baseline::search(s, grid, &some, validation, self.seed));
        let forest = forest.map(|f| {
            if train.rows() > some.rows() {
                Baseline::fit(s, f.method, train, validation, self.seed)
            } else {
                f
            }
        });
        forest.into_iter().chain(machine).collect()
    }
}

/// The page, the tables and the numbers of a comparison.
struct Report {
    system: &'static dyn System,
    quiet: bool,
    body: String,
    tables: String,
    numbers: serde_json::Map<String, serde_json::Value>,
}

impl Report {
    fn new(system: &'static dyn System, quiet: bool) -> Report {
        let body = format!(
            "<p>{}. All methods are evaluated on the same rows.</p>",
            system.title()
        );
        Report {
            system,
            quiet,
            body,
            tables: String::new(),
            numbers: serde_json::Map::new(),
        }
    }

    fn say(&self, text: &str) {
        if !self.quiet {
            tell!("{text}")
        }
    }

    /// All figures of all methods on a test set, and by depth.
    fn add_set(&mut self, title: &str, set: &Set, answers: &[Answers]) {
        let s = self.system;
        let parts: Vec<(String, Vec<Line>)> = by_depth(s, set)
            .into_iter()
            .map(|(lo, hi, rows)| {
                let name = format!("{} {lo} to {hi}, n = {}", s.depth().0, rows.len());
                (name, table_of_rows(s, set, answers, &rows))
            })
            .collect();
        let lines = table(s, set, answers);
        let all = serde_json::json!({ "all": lines, "parts": parts });
        self.numbers.insert(title.to_owned(), all);
        self.tables.push_str(&format!(
            "{title}, n = {}\n\n{}\n",
            set.rows(),
            markdown(&lines)
        ));
        for l in &lines {
            self.say(&format!(
                "{title}: {}: {} {:.4} ({:.4}–{:.4}), n = {}",
                l.method, l.figure, l.value, l.low, l.high, l.n
            ));
        }
        self.body.push_str(&evaluation(&Evaluation {
            title,
            system: s,
            set,
            answers,
            lines,
            parts,
        }));
    }

    /// A table that only this system has.
    fn add_table(&mut self, title: &str, heading: &str, lines: &[Line]) {
        self.body
            .push_str(&format!("<h3>{heading}</h3>{}", html_table(lines)));
        for l in lines {
            self.say(&format!(
                "{title}: {}: {} {:.4}, n = {}",
                l.method, l.figure, l.value, l.n
            ));
        }
        self.tables
            .push_str(&format!("{title}: {heading}\n\n{}\n", markdown(lines)));
        let name = format!("{title}: {heading}");
        self.numbers.insert(name, serde_json::json!(lines));
    }

    /// How far answers change when images are turned.
    fn add_turning(&mut self, models: &[&(Cell, Model)], images: &[Vec<f32>]) {
        self.body.push_str(
            "<h2>Turning the image</h2><p>Root mean square of the change of the answers, \
             n = 200.</p><table><tr><th></th><th>weights learned</th>\
             <th>by quarters and mirrored</th><th>by 15 to 75°</th></tr>",
        );
        for (c, m) in models {
            let (quarter, any) = turning(m, images);
            let (name, weights) = (c.named.title, m.parameters());
            self.body.push_str(&format!(
                "<tr><td>{name}</td><td>{weights}</td><td>{quarter:.6}</td><td>{any:.6}</td></tr>"
            ));
            self.say(&format!(
                "turning: {name}: {weights} weights, quarters {quarter:.6}, 15 to 75° {any:.6}"
            ));
            let both = serde_json::json!([quarter, any]);
            self.numbers.insert(format!("turning: {name}"), both);
        }
        self.body.push_str("</table>");
    }

    fn write(self, folder: &Path) -> Result<Outcome> {
        std::fs::create_dir_all(folder).into_diagnostic()?;
        let html = folder.join("index.html");
        atomic_write(&html, page(self.system.title(), &self.body)).into_diagnostic()?;
        let numbers = serde_json::to_string_pretty(&self.numbers).into_diagnostic()?;
        atomic_write(&folder.join("numbers.json"), numbers).into_diagnostic()?;
        atomic_write(&folder.join("tables.md"), self.tables).into_diagnostic()?;
        tell!(
            "Wrote {}, and beside it numbers.json and tables.md",
            html.display()
        );
        Ok(Outcome::Good)
    }
}

/// The figures on some rows of a set.
fn table_of_rows(system: &dyn System, set: &Set, answers: &[Answers], rows: &[usize]) -> Vec<Line> {
    let part = Set {
        images: vec![vec![]; rows.len()],
        truth: rows_of(&set.truth, system.head().targets(), rows),
        ..Set::default()
    };
    let answers: Vec<Answers> = answers
        .iter()
        .map(|a| Answers {
            method: a.method.clone(),
            // An answer may be wider than its truth: a posterior, an image with its errors.
            values: rows_of(&a.values, a.values.len() / set.rows().max(1), rows),
        })
        .collect();
    table(system, &part, &answers)
}

/// Tables that only this system has, from the networks of its parts, too.
fn more(
    system: &dyn System,
    models: &[(Cell, Model)],
    set: &Set,
    own: &[Answers],
    seed: u64,
) -> Vec<(String, Vec<Line>)> {
    let part = |name: &str, images: &[Vec<f32>]| {
        let found = models.iter().find(|m| m.1.system.name() == name);
        found.map(|m| m.1.predict(images))
    };
    let own: Vec<(String, Vec<f32>)> = own
        .iter()
        .map(|a| (a.method.clone(), a.values.clone()))
        .collect();
    let rows = StudyRows {
        images: &set.images,
        truth: &set.truth,
        own: &own,
        part: &part,
        examples: &|split, n| {
            let draw =
                |row| system.simulate(Sky::Own, &mut Stream::new(seed, split.purpose(), row));
            (0..n as u64).into_par_iter().filter_map(draw).collect()
        },
    };
    system.study_tables(&rows)
}

/// `slipher evaluate`: one model on test rows, beside the classical methods.
pub fn evaluate(
    system: &'static dyn System,
    model: Model,
    n: u64,
    seed: u64,
    labelled: Option<&Path>,
    output: &Path,
    quiet: bool,
) -> Result<Outcome> {
    let share = n as f64 / TEST;
    let study = Study {
        system,
        share,
        seed,
        labelled,
        folder: output.to_owned(),
    };
    let cell = cells(system, 1.0, seed, None)
        .into_diagnostic()?
        .into_iter()
        .next();
    let cell = cell.ok_or_else(|| miette::miette!("{} has no study", system.name()))?;
    study.compare(&[(cell, model)], quiet)
}
