//! `slipher rank`: rare objects first, with the purity that is expected of the first N.
//!
//! A classifier of two classes learns from a sample in which the rare class is common. On the sky
//! one in thousands is a lens: a probability of 0.99 in the training's sense may mean 1 in 20. This
//! verb turns probabilities into those of a stated prevalence, sorts, and keeps what cannot be
//! trusted at the end, with the reason.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{Float64Type, Int64Type};
use arrow_array::{Array, ArrayRef, Float64Array, Int64Array, StringArray};
use arrow_schema::{DataType, Field};
use clap::Args as ClapArgs;
use miette::{IntoDiagnostic, Result};
use slipher_data::atomic::atomic_write;
use slipher_data::catalogue::append::{Cells, visit};
use slipher_data::catalogue::order;
use slipher_data::cutouts::{self, CutoutOptions};
use slipher_stats::ranking::{Ranking, at_prevalence, rank};
use slipher_systems::answers::flag;
use slipher_systems::example::Observation;
use slipher_systems::registry;

use super::{Overwrite, accept, counted};
use crate::Outcome;
use crate::report::grade::{self, Stamp};
use crate::report::shared::encoded_picture;

#[derive(ClapArgs)]
#[command(
    after_help = "Example:\n  slipher rank candidates/ -o ranked.parquet --prevalence 5e-4 --top 2000"
)]
pub struct Args {
    /// Parquet catalogues of a system of two classes, or folders of parts
    #[arg(required = true)]
    catalogues: Vec<PathBuf>,
    /// Share of the objects that are what is looked for, as on the sky: 5e-4 for lenses among
    /// massive galaxies
    #[arg(long, value_name = "SHARE")]
    prevalence: f64,
    /// Parquet file for the rows, best first
    #[arg(short, long)]
    output: PathBuf,
    /// Rows to keep; default: all
    #[arg(long, value_name = "N")]
    top: Option<usize>,
    /// Share of them in the training, for catalogues that do not say it
    #[arg(long, value_name = "SHARE")]
    trained: Option<f64>,
    /// HTML page with the best stamps, to grade them by key (A, B, C, X) and write the grades as CSV;
    /// reads the images again
    #[arg(long, value_name = "HTML")]
    page: Option<PathBuf>,
    /// Stamps of the page
    #[arg(long, value_name = "N", default_value_t = 200, requires = "page")]
    stamps: usize,
    /// Names of the bands, in the order of the planes, where the images of the page do not name them
    #[arg(long, requires = "page")]
    bands: Option<String>,
    #[command(flatten)]
    overwrite: Overwrite,
    /// Print the figures as a line of JSON
    #[arg(long)]
    json: bool,
}

/// What the catalogue says of its classes.
struct About {
    system: Option<String>,
    positive: String,
    trained: f64,
}

impl About {
    fn of(cells: &Cells<'_>, trained: Option<f64>) -> Result<About, String> {
        let positive = cells.key("positive").ok_or(
            "it does not say which of two classes is looked for: expected a catalogue of slipher \
             predict with a system of two classes, as lens-finding",
        )?;
        let own = cells.key("training_share").and_then(|t| t.parse().ok());
        let trained = trained.or(own).ok_or(
            "it does not say how common that class was in the training: give --trained SHARE",
        )?;
        Ok(About {
            system: cells.key("system").map(str::to_owned),
            positive: positive.to_owned(),
            trained,
        })
    }
}

/// Why a row is not ranked; empty if it is.
fn excluded(bits: i32) -> String {
    let reasons = [
        (flag::BAD_INPUT, "no answer"),
        (
            flag::FEW_PIXELS,
            "more than a fifth of the pixels is missing",
        ),
        (flag::UNFAMILIAR, "unlike the images of the training"),
        (flag::BANDS_ASSUMED, "the order of the bands is assumed"),
    ];
    let some = reasons.iter().filter(|r| bits & r.0 != 0).map(|r| r.1);
    some.collect::<Vec<_>>().join("; ")
}

/// A share strictly between 0 and 1.
pub fn share(name: &str, v: f64) -> Result<()> {
    if v > 0.0 && v < 1.0 {
        return Ok(());
    }
    Err(miette::miette!(
        "{name} {v}: expected a share between 0 and 1"
    ))
}

/// `slipher rank`.
pub fn run(a: &Args, quiet: bool) -> Result<Outcome> {
    share("--prevalence", a.prevalence)?;
    if let Some(t) = a.trained {
        share("--trained", t)?;
    }
    let outputs: Vec<&Path> = [Some(&a.output), a.page.as_ref()]
        .into_iter()
        .flatten()
        .map(PathBuf::as_path)
        .collect();
    a.overwrite.check(&outputs)?;
    super::distinct(&outputs)?;
    let mut all = Vec::new();
    for c in &a.catalogues {
        all.extend(accept::files(c)?);
    }
    accept::refuse_own(&all, &a.output)?;
    let found = write(&all, &a.output, a.prevalence, a.trained, a.top)?;
    if let Some(page) = &a.page {
        grading(a, &found, page)?;
    }
    say(a, &found, quiet)?;
    Ok(if found.ranking.order.is_empty() {
        Outcome::Nothing
    } else {
        Outcome::Good
    })
}

/// What was ranked.
pub struct Ranked {
    ranking: Ranking,
    rows: u64,
    excluded: usize,
    positive: String,
    system: Option<String>,
}

/// Writes the rows of catalogues, best first.
pub fn write(
    all: &[PathBuf],
    out: &Path,
    prevalence: f64,
    trained: Option<f64>,
    top: Option<usize>,
) -> Result<Ranked> {
    let mut about: Option<About> = None;
    let (mut good, mut bad, mut n) = (Vec::new(), Vec::new(), 0u64);
    let mut trouble = None;
    visit(all, |cells| {
        if about.is_none() && trouble.is_none() {
            match About::of(cells, trained) {
                Ok(a) => about = Some(a),
                Err(why) => trouble = Some(why),
            }
        }
        let Some(a) = &about else { return Ok(()) };
        let (p, bits) = (cells.f32(&a.positive)?, cells.i32("flags")?);
        for i in 0..cells.rows() {
            let p = if p.is_valid(i) {
                f64::from(p.value(i))
            } else {
                f64::NAN
            };
            let p = at_prevalence(p, a.trained, prevalence);
            let why = excluded(bits.value(i));
            if why.is_empty() && p.is_finite() {
                good.push((n, p));
            } else {
                let why = if why.is_empty() {
                    "no answer".into()
                } else {
                    why
                };
                bad.push((n, p, why));
            }
            n += 1;
        }
        Ok(())
    })
    .into_diagnostic()?;
    if let Some(why) = trouble {
        return Err(miette::miette!("{}: {why}", all[0].display()));
    }
    let Some(about) = about else {
        return Err(miette::miette!("no catalogue to rank"));
    };
    let ranking = rank(&good);
    bad.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
    table(all, out, prevalence, &about, (&ranking, &good, &bad), top)?;
    Ok(Ranked {
        excluded: bad.len(),
        ranking,
        rows: n,
        positive: about.positive,
        system: about.system,
    })
}

/// Rows that are ranked, with their probabilities, and those that are not.
type Lists<'a> = (&'a Ranking, &'a [(u64, f64)], &'a [(u64, f64, String)]);

fn table(
    all: &[PathBuf],
    out: &Path,
    prevalence: f64,
    about: &About,
    (ranking, good, bad): Lists<'_>,
    top: Option<usize>,
) -> Result<()> {
    let most = top.unwrap_or(usize::MAX);
    let n = ranking.order.len();
    let (taken, rest) = (n.min(most), most.saturating_sub(n).min(bad.len()));
    let mut wanted = ranking.order[..taken].to_vec();
    wanted.extend(bad[..rest].iter().map(|b| b.0));
    let p_of = |row: &u64| {
        let at = good.binary_search_by_key(row, |g| g.0);
        at.map_or(f64::NAN, |i| good[i].1)
    };
    let numbers = |of: &dyn Fn(usize) -> f64, last: &dyn Fn(usize) -> Option<f64>| -> ArrayRef {
        let ranked = (0..taken).map(|k| Some(of(k)));
        Arc::new(Float64Array::from_iter(ranked.chain((0..rest).map(last))))
    };
    let nothing = |_| None;
    let ranks = (0..taken)
        .map(|k| Some(k as i64 + 1))
        .chain((0..rest).map(|_| None));
    let reasons = (0..taken)
        .map(|_| String::new())
        .chain(bad[..rest].iter().map(|b| b.2.clone()));
    let column = |name: &str, kind, about: &str| {
        let about = [("description".to_owned(), about.to_owned())];
        Field::new(name, kind, true).with_metadata(about.into_iter().collect())
    };
    let f64s = DataType::Float64;
    let columns: Vec<(Field, ArrayRef)> = vec![
        (
            column(
                "rank",
                DataType::Int64,
                "place in the list, from 1; none if it is excluded",
            ),
            Arc::new(Int64Array::from_iter(ranks)),
        ),
        (
            column(
                "p_at_prevalence",
                f64s.clone(),
                "probability at the prevalence that was stated",
            ),
            numbers(&|k| p_of(&ranking.order[k]), &|k| {
                Some(bad[k].1).filter(|p| p.is_finite())
            }),
        ),
        (
            column(
                "expected_purity",
                f64s.clone(),
                "mean probability of the rows up to this one",
            ),
            numbers(&|k| ranking.purity[k], &nothing),
        ),
        (
            column(
                "expected_completeness",
                f64s,
                "expected share of what is looked for among the rows up to this one",
            ),
            numbers(&|k| ranking.completeness[k], &nothing),
        ),
        (
            column("excluded", DataType::Utf8, "why a row is not ranked"),
            Arc::new(StringArray::from_iter_values(reasons)),
        ),
    ];
    let keys = [
        ("prevalence".to_owned(), prevalence.to_string()),
        ("trained".to_owned(), about.trained.to_string()),
    ];
    let rows = order::pick(all, &wanted).into_diagnostic()?;
    order::write(out, &rows, columns, &keys).into_diagnostic()
}

/// Writes the page of the best stamps; images that are gone are said and left out.
fn grading(a: &Args, found: &Ranked, page: &Path) -> Result<()> {
    let name = found.system.as_deref().unwrap_or_default();
    let system = registry::shared(name)
        .map_err(|_| miette::miette!("--page: the catalogue does not say of which system it is"))?;
    let best: Vec<u64> = (0..a.stamps.min(found.ranking.order.len()) as u64).collect();
    let rows = order::pick(std::slice::from_ref(&a.output), &best).into_diagnostic()?;
    let text = |name: &str| {
        rows.column_by_name(name)
            .and_then(|c| c.as_string_opt::<i32>())
    };
    let number = |name: &str| {
        let column = rows.column_by_name(name);
        column.and_then(|c| c.as_primitive_opt::<Int64Type>())
    };
    let p = rows.column_by_name("p_at_prevalence");
    let p = p.and_then(|c| c.as_primitive_opt::<Float64Type>());
    let (Some(files), Some(names), Some(places), Some(p)) =
        (text("file"), text("object_id"), number("row"), p)
    else {
        return Err(miette::miette!(
            "--page: the catalogue does not say where its images are: expected columns file and row"
        ));
    };
    let bands = a.bands.iter().flat_map(|b| b.split(',')).map(str::to_owned);
    let options = CutoutOptions {
        bands: bands.collect(),
        ..CutoutOptions::default()
    };
    let mut wanted: BTreeMap<&str, BTreeMap<usize, usize>> = BTreeMap::new();
    for k in 0..rows.num_rows() {
        let of_file = wanted.entry(files.value(k)).or_default();
        of_file.insert(places.value(k) as usize, k);
    }
    let mut stamps = Vec::new();
    for (file, rows) in &wanted {
        let outcome = cutouts::read(Path::new(file), &options, &mut |r| {
            let cutout = rows.get(&r.row).and_then(|k| Some((*k, r.cutout.ok()?)));
            if let Some((k, c)) = cutout {
                let x = system.encode(&Observation::Cutout(c)).ok();
                let picture = x.and_then(|x| encoded_picture(system, &x));
                stamps.extend(picture.map(|picture| Stamp {
                    rank: k as i64 + 1,
                    object_id: names.value(k).to_owned(),
                    p: p.value(k),
                    picture,
                }));
            }
            rows.range(r.row + 1..).next().is_some()
        });
        if let Err(why) = outcome {
            tell!("slipher: --page: {file}: {why}");
        }
    }
    stamps.sort_by_key(|s| s.rank);
    let left_out = best.len() - stamps.len();
    if left_out > 0 {
        tell!(
            "slipher: --page: {left_out} of {} stamps are not there any more",
            best.len()
        );
    }
    let about = format!(
        "{} of {} rows, best first; probabilities at a prevalence of {}",
        stamps.len(),
        found.rows,
        a.prevalence
    );
    let list = a.output.display().to_string();
    let html = grade::page(system.title(), &list, &about, &stamps);
    atomic_write(page, html).into_diagnostic()
}

fn say(a: &Args, found: &Ranked, quiet: bool) -> Result<()> {
    let r = &found.ranking;
    let purity = |n: usize| r.purity.get(n.min(r.purity.len()).wrapping_sub(1)).copied();
    if a.json {
        return super::print_json(&serde_json::json!({
            "rows": found.rows,
            "ranked": r.order.len(),
            "excluded": found.excluded,
            "prevalence": a.prevalence,
            "expected_purity": {
                "10": purity(10), "100": purity(100), "1000": purity(1000),
            },
        }));
    }
    if quiet {
        return Ok(());
    }
    let percent = |n| purity(n).map_or("-".to_owned(), |p| format!("{:.1} %", 100.0 * p));
    println!(
        "{} ranked by '{}', {} excluded with the reason; expected purity of the first 10: {}, \
         100: {}, 1000: {}",
        counted(r.order.len(), "row"),
        found.positive,
        found.excluded,
        percent(10),
        percent(100),
        percent(1000)
    );
    Ok(())
}
