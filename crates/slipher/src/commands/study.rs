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
use slipher_systems::radio::fusion::{self, Fused, KNOWN, fuse};
use slipher_systems::radio::{CLASSES, PAIRS, Pair};

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
                let Some(m) = fit(cell.recipe.clone(), &place, cell.name, &stop, quiet)? else {
                    return Ok(Outcome::SomeFailed);
                };
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
                let of = |split, rows| Set::simulated(s, split, self.seed, rows, true);
                (
                    of(Split::Train, many),
                    of(Split::Validation, learn(4000.0)),
                    vec![],
                )
            }
        };
        tests.push((
            "Simulated sky".into(),
            Set::simulated(s, Split::Test, self.seed, n(TEST), true),
        ));
        let theirs = |split, rows| Set::published(s, split, self.seed, rows, true);
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
        };
        let usual = fitted(&sets.train, &sets.validation);
        // On the sky of the paper's survey they learn from that sky, as the paper's did: how hard it is shows in them.
        let theirs = sets
            .published
            .as_ref()
            .map(|(train, validation)| fitted(train, validation));
        let own: Vec<&(Cell, Model)> = models
            .iter()
            .filter(|m| m.1.system.name() == s.name())
            .collect();
        let mut body = format!(
            "<p>{}. All methods are judged on the same rows.</p>",
            s.title()
        );
        let mut numbers = serde_json::Map::new();
        let mut tables = String::new();
        for (title, set) in &sets.tests {
            let classical = theirs
                .as_ref()
                .filter(|_| title == PUBLISHED)
                .unwrap_or(&usual);
            let mut answers: Vec<Answers> = own
                .iter()
                .map(|(c, m)| Answers {
                    method: c.title.into(),
                    values: m.predict(&set.images),
                })
                .collect();
            answers.extend(classical.iter().map(|b| Answers {
                method: b.method.name().into(),
                values: b.predict(s, set),
            }));
            let n = s.outputs().len();
            let part = |rows: &[usize]| -> Vec<Line> {
                let part = Set {
                    images: vec![vec![]; rows.len()],
                    truth: rows_of(&set.truth, n, rows),
                    ..Set::default()
                };
                table(
                    s,
                    &part,
                    &answers
                        .iter()
                        .map(|a| Answers {
                            method: a.method.clone(),
                            values: rows_of(&a.values, n, rows),
                        })
                        .collect::<Vec<_>>(),
                )
            };
            let parts: Vec<(String, Vec<Line>)> = by_depth(s, set)
                .into_iter()
                .map(|(lo, hi, rows)| {
                    (
                        format!("{} {lo} to {hi}, n = {}", s.depth().0, rows.len()),
                        part(&rows),
                    )
                })
                .collect();
            let lines = table(s, set, &answers);
            numbers.insert(
                title.clone(),
                serde_json::json!({ "all": lines, "parts": parts }),
            );
            tables.push_str(&format!(
                "{title}, n = {}\n\n{}\n",
                set.rows(),
                markdown(&lines)
            ));
            lines.iter().for_each(|l| {
                say(&format!(
                    "{title}: {}: {} {:.4} ({:.4}–{:.4}), n = {}",
                    l.method, l.figure, l.value, l.low, l.high, l.n
                ))
            });
            body.push_str(&judged(&Judged {
                title,
                system: s,
                set,
                answers: &answers,
                lines,
                parts,
            }));
            if let Some(fused) = fused(models, set, &answers[..own.len()]) {
                body.push_str(&format!("<h3>Three networks and their fusion, as published, on FRI, FRII and Bent</h3>{}", html_table(&fused)));
                fused.iter().for_each(|l| {
                    say(&format!(
                        "{title}: {}: {} {:.4}, n = {}",
                        l.method, l.figure, l.value, l.n
                    ))
                });
                tables.push_str(&format!(
                    "{title}, FRI, FRII and Bent only\n\n{}\n",
                    markdown(&fused)
                ));
                numbers.insert(format!("{title}, fusion"), serde_json::json!(fused));
            }
        }
        body.push_str("<h2>Turning the image</h2><p>Root mean square of the change of the answers, n = 200.</p><table><tr><th></th><th>weights learned</th><th>by quarters and mirrored</th><th>by 15 to 75°</th></tr>");
        let some = &sets
            .tests
            .last()
            .map(|t| &t.1.images[..t.1.images.len().min(200)])
            .unwrap_or(&[]);
        for (c, m) in &own {
            let (quarter, any) = turning(m, some);
            body.push_str(&format!(
                "<tr><td>{}</td><td>{}</td><td>{quarter:.6}</td><td>{any:.6}</td></tr>",
                c.title,
                m.parameters()
            ));
            say(&format!(
                "turning: {}: {} weights, quarters {quarter:.6}, 15 to 75° {any:.6}",
                c.title,
                m.parameters()
            ));
            numbers.insert(
                format!("turning: {}", c.title),
                serde_json::json!([quarter, any]),
            );
        }
        body.push_str("</table>");
        std::fs::create_dir_all(&self.folder).into_diagnostic()?;
        let html = self.folder.join("index.html");
        write_whole(&html, page(s.title(), &body)).into_diagnostic()?;
        write_whole(
            &self.folder.join("numbers.json"),
            serde_json::to_string_pretty(&numbers).into_diagnostic()?,
        )
        .into_diagnostic()?;
        write_whole(&self.folder.join("tables.md"), tables).into_diagnostic()?;
        eprintln!(
            "Wrote {}, and beside it numbers.json and tables.md",
            html.display()
        );
        Ok(Outcome::Good)
    }
}

/// The paper's fusion of three networks beside `own` answers to all classes, on the rows of the classes that the three know; none unless all three are there.
fn fused(models: &[(Cell, Model)], set: &Set, own: &[Answers]) -> Option<Vec<Line>> {
    let find = |k: usize| {
        models
            .iter()
            .find(|m| m.1.system.name() == Pair(k).name())
            .map(|m| &m.1)
    };
    let three: Vec<&Model> = (0..PAIRS.len()).map(find).collect::<Option<_>>()?;
    let labels = set.labels(CLASSES.len());
    let rows: Vec<usize> = (0..set.rows())
        .filter(|r| KNOWN.contains(&labels[*r]))
        .collect();
    let images: Vec<Vec<f32>> = rows.iter().map(|r| set.images[*r].clone()).collect();
    let truth: Vec<usize> = rows.iter().map(|r| labels[*r]).collect();
    let given: Vec<Vec<f32>> = three.iter().map(|m| m.predict(&images)).collect();
    let answers: Vec<Fused> = (0..rows.len())
        .map(|i| fuse([0, 1, 2].map(|k| [given[k][2 * i], given[k][2 * i + 1]])))
        .collect();
    let mut out = fusion::judged("three AlexNets, fused", &answers, &truth);
    for a in own {
        let p = rows_of(&a.values, CLASSES.len(), &rows);
        let likeliest = |row: &[f32]| KNOWN.into_iter().max_by(|a, b| row[*a].total_cmp(&row[*b]));
        let said: Vec<Option<usize>> = p.chunks_exact(CLASSES.len()).map(likeliest).collect();
        out.extend(fusion::lines(
            &format!("{}, likeliest of the three", a.method),
            &said,
            &truth,
        ));
    }
    Some(out)
}

/// `slipher evaluate`: one model on test rows, beside the classical methods.
pub fn evaluate(
    system: Box<dyn System>,
    model: Model,
    n: u64,
    seed: u64,
    labelled: Option<&Path>,
    output: &Path,
    quiet: bool,
) -> Result<Outcome> {
    let study = Study {
        system,
        share: n as f64 / TEST,
        seed,
        labelled,
        folder: output.to_owned(),
    };
    let cell = cells(&*study.system, 1.0, seed, None)
        .into_diagnostic()?
        .into_iter()
        .next();
    let Some(cell) = cell else {
        return Err(miette::miette!("{} has no study", study.system.name()));
    };
    study.judge(&[(cell, model)], quiet)
}

/// The study of a system by name.
pub fn open<'a>(
    name: &str,
    share: f64,
    seed: u64,
    labelled: Option<&'a Path>,
    folder: &Path,
) -> Result<Study<'a>> {
    let system = by_name(name).ok_or_else(|| miette::miette!("no system named {name}"))?;
    Ok(Study {
        system,
        share,
        seed,
        labelled,
        folder: folder.to_owned(),
    })
}
