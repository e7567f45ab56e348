//! Which rows are shown, and in which order.

use std::cmp::Ordering;

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::InspectError;
use crate::table::{Column, Table};

/// A condition on a column.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Filter {
    /// Which column.
    pub column: String,
    /// Numbers from here on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min: Option<f64>,
    /// Numbers up to here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max: Option<f64>,
    /// Text that holds this, in capitals or not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// A bit of a column of flags that is set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bit: Option<u32>,
}

/// Which decisions a row has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Decided {
    /// Any or none.
    #[default]
    Any,
    /// None by this inspector.
    Open,
    /// One by this inspector.
    Mine,
    /// Of several inspectors who disagree.
    Disagreed,
}

/// What is asked for.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Query {
    /// Text anywhere in names, files and notes.
    pub search: String,
    /// All of these.
    pub filters: Vec<Filter>,
    /// By their decisions.
    pub decided: Decided,
    /// A column, or one of [`ORDERS`]; empty for the order of the catalogue.
    pub sort: String,
    /// Largest first.
    pub descending: bool,
}

/// Orders that are no columns: what teaches a model most comes first.
pub const ORDERS: [(&str, &str); 3] = [
    (
        "@uncertain",
        "least certain first: the entropy of the probability",
    ),
    (
        "@novel",
        "least familiar first: what the training showed least of",
    ),
    (
        "@teach",
        "uncertain and novel together, by the mean of their ranks",
    ),
];

/// Columns in which the search looks.
const SEARCHED: [&str; 6] = [
    "object_id",
    "file",
    "spectype",
    "lines",
    "warnings",
    "error",
];

/// Rows that pass the filters, in order; `decided` says which rows have which decisions.
///
/// # Errors
/// A column that there is not, a filter that does not suit it.
pub fn rows(
    table: &Table,
    q: &Query,
    decided: &(dyn Fn(u32) -> bool + Sync),
) -> Result<Vec<u32>, InspectError> {
    let n = table.len() as u32;
    let mut keep = vec![true; n as usize];
    for f in &q.filters {
        narrow(table, f, &mut keep)?;
    }
    if !q.search.trim().is_empty() {
        let mut found = vec![false; n as usize];
        for name in SEARCHED {
            if let Ok(c) = table.column(name) {
                contains(&c, q.search.trim(), &mut found);
            }
        }
        keep.par_iter_mut().zip(&found).for_each(|(k, f)| *k &= f);
    }
    let mut all: Vec<u32> = (0..n)
        .into_par_iter()
        .filter(|r| keep[*r as usize] && decided(*r))
        .collect();
    sort(table, q, &mut all)?;
    Ok(all)
}

fn narrow(table: &Table, f: &Filter, keep: &mut [bool]) -> Result<(), InspectError> {
    let column = table.column(&f.column)?;
    let ranged = f.min.is_some() || f.max.is_some() || f.bit.is_some();
    if ranged && !column.is_number() {
        let why = format!("column '{}' holds text: filter it by text", f.column);
        return Err(InspectError::Asked(why));
    }
    if ranged {
        let low = f.min.unwrap_or(f64::NEG_INFINITY);
        let high = f.max.unwrap_or(f64::INFINITY);
        let bit = f.bit.filter(|b| *b < 63).map_or(0, |b| 1i64 << b);
        keep.par_iter_mut().enumerate().for_each(|(i, k)| {
            if *k {
                let v = column.number(i);
                let set = bit == 0 || (v.is_finite() && (v as i64) & bit != 0);
                // What has no value passes only where no range is asked for.
                *k = set && v >= low && v <= high;
            }
        });
    }
    if let Some(t) = f.text.as_deref().filter(|t| !t.is_empty()) {
        let mut found = vec![false; keep.len()];
        contains(&column, t, &mut found);
        keep.iter_mut().zip(found).for_each(|(k, f)| *k &= f);
    }
    Ok(())
}

/// Marks rows whose text holds the words.
fn contains(column: &Column, words: &str, found: &mut [bool]) {
    let words = words.to_lowercase();
    let holds = |text: &str| {
        if text.is_ascii() && words.is_ascii() {
            holds_ascii(text.as_bytes(), words.as_bytes())
        } else {
            text.to_lowercase().contains(&words)
        }
    };
    found.par_iter_mut().enumerate().for_each(|(i, f)| {
        *f = *f
            || match column.words() {
                Some(v) => arrow_array::Array::is_valid(v, i) && holds(v.value(i)),
                None => holds(&column.text(i)),
            };
    });
}

/// Whether `text` holds `word`, which is in small letters.
fn holds_ascii(text: &[u8], word: &[u8]) -> bool {
    let Some((first, rest)) = word.split_first() else {
        return true;
    };
    let last = text.len().saturating_sub(rest.len());
    (0..last).any(|i| {
        text[i].to_ascii_lowercase() == *first
            && text[i + 1..][..rest.len()].eq_ignore_ascii_case(rest)
    })
}

fn sort(table: &Table, q: &Query, rows: &mut [u32]) -> Result<(), InspectError> {
    if q.sort.is_empty() {
        if q.descending {
            rows.reverse();
        }
        return Ok(());
    }
    if q.sort.starts_with('@') {
        let score = scores(table, &q.sort)?;
        let by = |r: &u32| (descending(score[*r as usize]), *r);
        rows.par_sort_unstable_by(|a, b| {
            let (a, b) = (by(a), by(b));
            a.0.total_cmp(&b.0).then(a.1.cmp(&b.1))
        });
        return Ok(());
    }
    let column = table.column(&q.sort)?;
    if let Some(words) = column.words() {
        rows.par_sort_unstable_by(|a, b| {
            let order = words.value(*a as usize).cmp(words.value(*b as usize));
            let order = if q.descending { order.reverse() } else { order };
            order.then(a.cmp(b))
        });
    } else {
        // Rows without a value come last, whichever way.
        let key = |r: u32| {
            let v = column.number(r as usize);
            if v.is_nan() {
                f64::INFINITY
            } else if q.descending {
                -v
            } else {
                v
            }
        };
        let mut keyed: Vec<(f64, u32)> = rows.par_iter().map(|r| (key(*r), *r)).collect();
        keyed.par_sort_unstable_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
        rows.par_iter_mut().zip(keyed).for_each(|(r, k)| *r = k.1);
    }
    Ok(())
}

fn descending(v: f64) -> f64 {
    if v.is_nan() { f64::INFINITY } else { -v }
}

/// Score of each row by which an order sorts, largest first; NaN where nothing is known.
fn scores(table: &Table, order: &str) -> Result<Vec<f64>, InspectError> {
    let n = table.len();
    match order {
        "@uncertain" => {
            let p = certainty(table)?;
            let entropy = |p: f64| {
                let part = |p: f64| if p > 0.0 { -p * p.ln() } else { 0.0 };
                part(p) + part(1.0 - p)
            };
            Ok((0..n)
                .into_par_iter()
                .map(|i| entropy(p.number(i)))
                .collect())
        }
        "@novel" => {
            let f = table.column("familiarity").map_err(|_| {
                InspectError::Asked("no column 'familiarity', by which novelty is known".into())
            })?;
            Ok((0..n).into_par_iter().map(|i| 1.0 - f.number(i)).collect())
        }
        "@teach" => {
            let uncertain = ranks(&scores(table, "@uncertain")?);
            let Ok(novel) = scores(table, "@novel") else {
                return Ok(uncertain);
            };
            let novel = ranks(&novel);
            Ok(uncertain.iter().zip(novel).map(|(a, b)| a + b).collect())
        }
        _ => {
            let known: Vec<&str> = ORDERS.iter().map(|o| o.0).collect();
            let why = format!("no order '{order}': expected one of {}", known.join(", "));
            Err(InspectError::Asked(why))
        }
    }
}

/// The probability of the answer.
fn certainty(table: &Table) -> Result<std::sync::Arc<Column>, InspectError> {
    for name in ["p_correct", "probability", "confidence"] {
        if let Ok(c) = table.column(name) {
            return Ok(c);
        }
    }
    let of_class =
        |f: &&arrow_schema::Field| f.name().starts_with("p_") && f.data_type().is_numeric();
    let name = table.fields().find(of_class).map(|f| f.name().clone());
    let name = name.ok_or_else(|| InspectError::Asked("no column of probabilities".into()))?;
    table.column(&name)
}

/// Share of the others that a value exceeds; 0 where there is no value.
fn ranks(v: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..v.len()).filter(|i| v[*i].is_finite()).collect();
    order.sort_unstable_by(|a, b| v[*a].partial_cmp(&v[*b]).unwrap_or(Ordering::Equal));
    let mut out = vec![0.0; v.len()];
    let n = order.len().max(1) as f64;
    for (k, i) in order.into_iter().enumerate() {
        out[i] = (k + 1) as f64 / n;
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::table::tests::catalogue;

    fn open(n: usize) -> (tempfile::TempDir, Table) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("c.parquet");
        catalogue(&path, n);
        let t = Table::open(&[path]).unwrap();
        (dir, t)
    }

    #[test]
    fn filters_narrow_and_say_what_is_wrong() {
        let (_dir, t) = open(200);
        let filter = |f: Filter| {
            let q = Query {
                filters: vec![f],
                ..Query::default()
            };
            rows(&t, &q, &|_| true)
        };
        let of = |column: &str| Filter {
            column: column.into(),
            ..Filter::default()
        };
        let some = filter(Filter {
            min: Some(0.1),
            max: Some(0.2),
            ..of("z")
        })
        .unwrap();
        // 20 to 40 without 29 and 39, which have no redshift.
        assert_eq!((some.len(), some[0], some[18]), (19, 20, 40));
        let bits = filter(Filter {
            bit: Some(1),
            ..of("zwarn")
        })
        .unwrap();
        assert!(bits.len() == 100 && bits.iter().all(|r| r % 4 >= 2));
        let named = filter(Filter {
            text: Some("OBJ-19".into()),
            ..of("object_id")
        })
        .unwrap();
        assert_eq!(named.len(), 11);
        let all = rows(
            &t,
            &Query {
                search: "qso".into(),
                ..Query::default()
            },
            &|r| r < 10,
        )
        .unwrap();
        assert_eq!(all, [1, 3, 5, 7, 9]);
        assert!(
            filter(Filter {
                min: Some(0.0),
                ..of("spectype")
            })
            .unwrap_err()
            .to_string()
            .contains("text")
        );
        assert!(filter(of("nothing")).is_err());
        assert!(serde_json::from_str::<Query>(r#"{"filtres": []}"#).is_err());
    }

    #[test]
    fn orders_are_stable_with_the_unknown_last() {
        let (_dir, t) = open(200);
        let sorted = |sort: &str, descending| {
            rows(
                &t,
                &Query {
                    sort: sort.into(),
                    descending,
                    ..Query::default()
                },
                &|_| true,
            )
            .unwrap()
        };
        let z = sorted("z", true);
        assert_eq!((z[0], z[179], z[180], z[199]), (198, 0, 9, 199));
        assert_eq!(sorted("z", false)[..2], [0, 1]);
        assert_eq!(sorted("", true)[0], 199);
        let text = sorted("object_id", false);
        assert_eq!(text[..3], [0, 1, 10]);
        // p = 0.5 teaches most of uncertainty, the last row most of novelty.
        assert_eq!(sorted("@uncertain", false)[..2], [50, 151]);
        assert_eq!(sorted("@novel", false)[0], 199);
        assert_eq!(sorted("@teach", false)[0], 151);
        let q = Query {
            sort: "@other".into(),
            ..Query::default()
        };
        assert!(
            rows(&t, &q, &|_| true)
                .unwrap_err()
                .to_string()
                .contains("@teach")
        );
    }

    #[test]
    fn words_are_found_anywhere() {
        for (text, word, is) in [
            ("Hallo", "all", true),
            ("Hallo", "lo", true),
            ("Hallo", "loo", false),
            ("x", "", true),
            ("", "x", false),
            ("Abc", "abc", true),
        ] {
            assert_eq!(
                holds_ascii(text.as_bytes(), word.as_bytes()),
                is,
                "{text} {word}"
            );
        }
    }

    #[test]
    fn plots_count_every_row() {
        let (_dir, t) = open(200);
        let all: Vec<u32> = (0..200).collect();
        let p = crate::bins::plot(&t, &all, "z", None).unwrap();
        assert_eq!((p.counts.iter().sum::<u32>(), p.outside), (180, 20));
        let p = crate::bins::plot(&t, &all[..50], "z", Some("snr_med")).unwrap();
        assert_eq!(
            (p.counts.iter().sum::<u32>(), p.points.unwrap().len()),
            (45, 50)
        );
        assert!(crate::bins::plot(&t, &all, "spectype", None).is_err());
        let none = crate::bins::plot(&t, &[], "z", None).unwrap();
        assert_eq!(none.counts.iter().sum::<u32>(), 0);
    }
}
