//! `slipher find-similar` and `slipher unusual`: search in a table of embeddings.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::{Array, ArrayRef, Float32Array, Int64Array, RecordBatch};
use arrow_schema::{DataType, Field};
use clap::Args as ClapArgs;
use miette::{IntoDiagnostic, Result, WrapErr};
use slipher_data::catalogue::append::visit;
use slipher_data::catalogue::embedding::Embeddings;
use slipher_data::catalogue::order;
use slipher_nn::checkpoint::sha256;
use slipher_stats::similar::{Nearest, Vote, by_votes, isolation};
use slipher_stats::whitening::Whitening;
use slipher_systems::answers::Answerer;
use slipher_systems::predict::Options;
use slipher_systems::registry;

use super::{Overwrite, accept, counted};
use crate::Outcome;

/// Rows that say how features vary.
const SAMPLE: usize = 20_000;
/// Share of the mean variance that is added to each.
const SHRINKAGE: f64 = 0.02;

#[derive(ClapArgs)]
#[command(
    after_help = "Examples:\n  slipher predict radio maps/ --embedding -o maps.parquet\n  slipher find-similar strange.fits maps.parquet -n 100 -o like-it.parquet\n  slipher find-similar --id J1234+5678,J0012-0101 maps.parquet"
)]
pub struct Args {
    /// Files of what is looked for (unless --id names rows of the catalogue), then catalogues that
    /// slipher predict wrote with --embedding, or folders of parts
    #[arg(required = true, value_name = "QUERY… CATALOGUE…")]
    paths: Vec<PathBuf>,
    /// Rows of the catalogue that are looked for, by object_id, with commas
    #[arg(long, value_name = "ID", value_delimiter = ',')]
    id: Vec<String>,
    /// Rows to find
    #[arg(short, value_name = "N", default_value_t = 100)]
    n: usize,
    /// Model that made the embeddings; default: the one that comes with the program
    #[arg(short, long)]
    model: Option<PathBuf>,
    /// Names of the bands of the query, in the order of the planes
    #[arg(long)]
    bands: Option<String>,
    #[command(flatten)]
    table: Table,
}

/// What both verbs take.
#[derive(ClapArgs)]
struct Table {
    /// Column of the embeddings
    #[arg(long, default_value = "embedding")]
    column: String,
    /// Parquet file for the rows; without it they are printed
    #[arg(short, long)]
    output: Option<PathBuf>,
    #[command(flatten)]
    overwrite: Overwrite,
}

#[derive(ClapArgs)]
#[command(
    after_help = "Example:\n  slipher unusual maps.parquet -n 200 -o unusual.parquet\n  slipher unusual maps.parquet --votes votes.csv -n 200 -o again.parquet   # object_id,interest (0 to 1)"
)]
pub struct UnusualArgs {
    /// Catalogues that slipher predict wrote with --embedding, or folders of parts
    #[arg(required = true)]
    catalogues: Vec<PathBuf>,
    /// Rows to find
    #[arg(short, value_name = "N", default_value_t = 100)]
    n: usize,
    /// CSV of decisions, object_id and interest (0: not interesting, 1: interesting, or between), which
    /// raise and lower what is like them
    #[arg(long, value_name = "CSV")]
    votes: Option<PathBuf>,
    #[command(flatten)]
    table: Table,
}

/// A table of embeddings with how its features vary.
struct Opened {
    files: Vec<PathBuf>,
    embeddings: Embeddings,
    whitening: Whitening,
    /// Whitened rows, evenly over the table.
    sample: Vec<f32>,
}

impl Opened {
    fn of(catalogues: &[PathBuf], t: &Table) -> Result<Opened> {
        t.overwrite
            .check(&t.output.iter().map(PathBuf::as_path).collect::<Vec<_>>())?;
        let mut files = vec![];
        for c in catalogues {
            files.extend(accept::files(c)?);
        }
        if let Some(out) = &t.output {
            accept::refuse_own(&files, out)?;
        }
        let e = Embeddings::open(&files, &t.column).map_err(|e| miette::miette!("{e}"))?;
        let step = (e.rows / SAMPLE as u64).max(1);
        let mut rows: Vec<Vec<f32>> = vec![];
        let width = e.width.max(1);
        e.visit(|first, values| {
            for (i, row) in values.chunks_exact(width).enumerate() {
                let wanted = (first + i as u64).is_multiple_of(step);
                if wanted && row.iter().all(|v| v.is_finite()) {
                    rows.push(row.to_vec());
                }
            }
        })
        .map_err(|e| miette::miette!("{e}"))?;
        let whitening = Whitening::fit(&rows, SHRINKAGE)
            .ok_or_else(|| miette::miette!("no row with an embedding of finite numbers"))?;
        let sample = whitening.all(&rows.concat());
        Ok(Opened {
            files,
            embeddings: e,
            whitening,
            sample,
        })
    }

    /// Rows of these names, whitened, in the order of the names.
    fn by_name(&self, names: &[String]) -> Result<Vec<Vec<f32>>> {
        let mut rows: Vec<Option<u64>> = vec![None; names.len()];
        let mut n = 0u64;
        visit(&self.files, |cells| {
            let ids = cells.text("object_id")?;
            for i in 0..cells.rows() {
                if let Some(k) = names.iter().position(|w| *w == ids.value(i)) {
                    rows[k].get_or_insert(n);
                }
                n += 1;
            }
            Ok(())
        })
        .into_diagnostic()?;
        if let Some(k) = rows.iter().position(Option::is_none) {
            return Err(miette::miette!(
                "{}: no row of the catalogue has this object_id",
                names[k]
            ));
        }
        let wanted: Vec<u64> = rows.into_iter().flatten().collect();
        let mut found: Vec<Vec<f32>> = vec![vec![]; wanted.len()];
        let w = self.embeddings.width.max(1);
        self.embeddings
            .visit(|first, values| {
                for (k, row) in wanted.iter().enumerate() {
                    let at = row.checked_sub(first).map(|i| i as usize * w);
                    if let Some(x) = at.and_then(|a| values.get(a..a + w)) {
                        found[k] = self.whitening.one(x);
                    }
                }
            })
            .map_err(|e| miette::miette!("{e}"))?;
        let bad = |x: &Vec<f32>| x.iter().any(|v| !v.is_finite());
        match found.iter().position(bad) {
            Some(k) => Err(miette::miette!("{}: this row has no embedding", names[k])),
            None => Ok(found),
        }
    }

    /// The rows that were found, with a column in front of theirs.
    fn write(&self, t: &Table, found: &[(f32, u64)], column: &str, about: &str) -> Result<()> {
        let wanted: Vec<u64> = found.iter().map(|f| f.1).collect();
        let rows = order::pick(&self.files, &wanted).into_diagnostic()?;
        let field = |name: &str, kind, about: &str| {
            let about = [("description".to_owned(), about.to_owned())];
            Field::new(name, kind, false).with_metadata(about.into_iter().collect())
        };
        let ranks: ArrayRef = Arc::new(Int64Array::from_iter_values(1..=found.len() as i64));
        let values: ArrayRef = Arc::new(Float32Array::from_iter_values(found.iter().map(|f| f.0)));
        let Some(out) = &t.output else {
            return print(&rows, found, column);
        };
        let columns = vec![
            (
                field("rank", DataType::Int64, "place in the list, from 1"),
                ranks,
            ),
            (field(column, DataType::Float32, about), values),
        ];
        order::write(out, &rows, columns, &[]).into_diagnostic()
    }
}

/// A line a row.
fn print(rows: &RecordBatch, found: &[(f32, u64)], column: &str) -> Result<()> {
    use std::io::Write;
    let text = |name: &str| {
        let c = rows.column_by_name(name);
        c.and_then(|c| c.as_string_opt::<i32>())
    };
    let (ids, files, classes) = (text("object_id"), text("file"), text("class"));
    let cell = |c: Option<&arrow_array::StringArray>, i: usize| {
        c.filter(|c| c.is_valid(i)).map_or(String::new(), |c| {
            slipher_data::formats::printable(c.value(i))
        })
    };
    let mut out = std::io::stdout().lock();
    for (i, (v, row)) in found.iter().enumerate() {
        let line = writeln!(
            out,
            "{:>4}  {column} {v:8.3}  row {row:<8} {:<28} {} {}",
            i + 1,
            cell(ids, i),
            cell(classes, i),
            cell(files, i)
        );
        if !super::line_written(line)? {
            return Ok(());
        }
    }
    Ok(())
}

/// `slipher find-similar`.
pub fn run(a: &Args, quiet: bool) -> Result<Outcome> {
    if a.n == 0 {
        return Err(miette::miette!("-n 0: expected at least one row"));
    }
    let is_table = |p: &&PathBuf| p.is_dir() || p.extension().is_some_and(|e| e == "parquet");
    // The catalogue is what comes last; a query may be Parquet as well.
    let split = if a.id.is_empty() {
        let tables = a.paths.iter().rev().take_while(is_table).count();
        if tables == 0 {
            return Err(miette::miette!(
                "{}: expected a Parquet catalogue, or a folder of parts, at the end",
                a.paths[a.paths.len() - 1].display()
            ));
        }
        (a.paths.len() - tables).max(1)
    } else {
        0
    };
    let (queries, catalogues) = a.paths.split_at(split);
    if catalogues.is_empty() {
        return Err(miette::miette!(
            "expected what is looked for (files, or --id) and then a catalogue"
        ));
    }
    if a.id.is_empty() == queries.is_empty() {
        return Err(miette::miette!(
            "expected either files of what is looked for, or --id"
        ));
    }
    if !a.id.is_empty() && (a.model.is_some() || a.bands.is_some()) {
        return Err(miette::miette!(
            "--model and --bands have no effect with --id: leave them out"
        ));
    }
    let opened = Opened::of(catalogues, &a.table)?;
    let whitened = if a.id.is_empty() {
        embedded(a, queries, &opened)?
    } else {
        opened.by_name(&a.id)?
    };
    let mut nearest = Nearest::new(a.n);
    opened
        .embeddings
        .visit(|first, values| nearest.look(&whitened, &opened.whitening.all(values), first))
        .map_err(|e| miette::miette!("{e}"))?;
    let found: Vec<(f32, u64)> = nearest
        .done()
        .into_iter()
        .map(|(d, row)| (d.sqrt(), row))
        .collect();
    let about = "Mahalanobis distance of the embedding from the nearest query";
    opened.write(&a.table, &found, "distance", about)?;
    said(&a.table, found.len(), opened.embeddings.rows, quiet);
    Ok(Outcome::Good)
}

fn said(t: &Table, found: usize, rows: u64, quiet: bool) {
    if let (Some(out), false) = (&t.output, quiet) {
        let of = counted(rows as usize, "row");
        tell!("{found} of {of}. Wrote {}", out.display());
    }
}

/// Embeddings of the queries, by the model that made the catalogue's.
fn embedded(a: &Args, queries: &[PathBuf], opened: &Opened) -> Result<Vec<Vec<f32>>> {
    let e = &opened.embeddings;
    let name = e
        .key("system")
        .ok_or_else(|| miette::miette!("the catalogue does not say which system made it"))?;
    let system = registry::shared(name).map_err(|e| miette::miette!("{e}"))?;
    let bytes = match &a.model {
        Some(p) => std::fs::read(p)
            .into_diagnostic()
            .wrap_err_with(|| format!("--model {}", p.display()))?,
        None => registry::weights(system.name()).into_diagnostic()?.to_vec(),
    };
    let own = sha256(&bytes);
    if let Some(theirs) = e.key("sha256").filter(|t| *t != own) {
        return Err(miette::miette!(
            "the catalogue was made by another model (SHA-256 {}…): give it with --model",
            theirs.get(..12).unwrap_or(theirs)
        ));
    }
    let options = Options::default()
        .with("embedding", true)
        .with_some("bands", a.bands.as_deref());
    let answerer = Answerer::open(system, name, &bytes, options).into_diagnostic()?;
    let mut found = vec![];
    let mut why = vec![];
    answerer.run(queries, false, |rows, _| -> Result<bool> {
        for r in rows {
            if r.error.is_empty() {
                found.push(opened.whitening.one(&r.embedding));
            } else {
                why.push(format!("{}, row {}: {}", r.source, r.row, r.error));
            }
        }
        Ok(true)
    })?;
    match why.first() {
        Some(w) => Err(miette::miette!("what is looked for cannot be read: {w}")),
        None if found.first().is_some_and(|f| f.len() != e.width) => Err(miette::miette!(
            "embeddings of {} values, where this model's have {}: made by another model?",
            e.width,
            found[0].len()
        )),
        None => Ok(found),
    }
}

/// Reference rows of an isolation, and neighbours that count.
const REFERENCE: usize = 4000;
const NEIGHBOURS: usize = 5;

/// `slipher unusual`.
pub fn unusual(a: &UnusualArgs, quiet: bool) -> Result<Outcome> {
    if a.n == 0 {
        return Err(miette::miette!("-n 0: expected at least one row"));
    }
    let opened = Opened::of(&a.catalogues, &a.table)?;
    let w = opened.embeddings.width.max(1);
    let step = (opened.sample.len() / w).div_ceil(REFERENCE).max(1);
    let reference: Vec<f32> = opened
        .sample
        .chunks_exact(w)
        .step_by(step)
        .flatten()
        .copied()
        .collect();
    let votes = match &a.votes {
        Some(p) => read_votes(p, &opened)?,
        None => vec![],
    };
    // A vote counts as far as rows of the sample are from each other.
    let mut usual = isolation(&reference, &reference, w, NEIGHBOURS);
    usual.retain(|v| v.is_finite());
    usual.sort_by(f32::total_cmp);
    let scale = usual.get(usual.len() / 2).copied().unwrap_or(1.0);
    let mut all: Vec<(f32, u64)> = vec![];
    opened
        .embeddings
        .visit(|first, values| {
            let rows = opened.whitening.all(values);
            let lonely = isolation(&reference, &rows, w, NEIGHBOURS);
            // Share of the sample that is less isolated.
            let ranks: Vec<f32> = lonely
                .iter()
                .map(|v| usual.partition_point(|u| u < v) as f32 / usual.len().max(1) as f32)
                .collect();
            // Beyond the sample what is farther still ranks higher.
            let last = usual.last().copied().unwrap_or(1.0).max(1e-9);
            let scores = by_votes(&votes, &rows, &ranks, scale);
            for (i, (s, far)) in scores.iter().zip(&lonely).enumerate() {
                if far.is_finite() {
                    let beyond = 1e-3 * (far / last).min(100.0);
                    all.push((s + beyond, first + i as u64));
                }
            }
        })
        .map_err(|e| miette::miette!("{e}"))?;
    all.sort_unstable_by(|x, y| y.0.total_cmp(&x.0).then(x.1.cmp(&y.1)));
    all.truncate(a.n);
    let about = "how unlike the others an embedding is, with the votes: about 0 to 1";
    opened.write(&a.table, &all, "interest", about)?;
    said(&a.table, all.len(), opened.embeddings.rows, quiet);
    Ok(Outcome::Good)
}

fn read_votes(path: &Path, opened: &Opened) -> Result<Vec<Vote>> {
    let text = std::fs::read_to_string(path)
        .into_diagnostic()
        .wrap_err_with(|| format!("--votes {}", path.display()))?;
    let bad = |why: String| miette::miette!("--votes {}: {why}", path.display());
    let mut lines = text.lines().filter(|l| !l.trim().is_empty());
    let cells = |l: &str| -> Vec<String> {
        l.split(',')
            .map(|c| c.trim().trim_matches('"').to_owned())
            .collect()
    };
    let head = cells(lines.next().unwrap_or_default());
    let place = |name: &str| {
        let at = head.iter().position(|h| h == name);
        at.ok_or_else(|| bad(format!("no column {name} among {}", head.join(", "))))
    };
    let (id, interest) = (place("object_id")?, place("interest")?);
    let (mut names, mut values) = (vec![], vec![]);
    for (k, line) in lines.enumerate() {
        let c = cells(line);
        let v: Option<f32> = c.get(interest).and_then(|v| v.parse().ok());
        match (c.get(id), v) {
            (Some(n), Some(v)) if (0.0..=1.0).contains(&v) => {
                names.push(n.clone());
                values.push(v);
            }
            _ => {
                return Err(bad(format!(
                    "line {} of data: expected an object_id and an interest from 0 to 1",
                    k + 1
                )));
            }
        }
    }
    let at = opened.by_name(&names)?;
    let both = at.into_iter().zip(values);
    Ok(both.map(|(at, interest)| Vote { at, interest }).collect())
}
