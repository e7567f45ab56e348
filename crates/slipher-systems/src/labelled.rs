//! Labelled examples of a user: folders or an archive with a folder for each class.

use std::collections::HashMap;
use std::path::Path;

use slipher_data::cutout::Cutout;
use slipher_data::cutouts::{CutoutOptions, ENDINGS, Row, read};
use slipher_data::input::expand_for;

use crate::example::{Example, Observation, one_hot};
use slipher_sim::random::hash;

/// Examples by what they are for.
#[derive(Debug, Default)]
pub struct Collection {
    /// To learn from.
    pub train: Vec<Example>,
    /// To choose by.
    pub validation: Vec<Example>,
    /// To judge by.
    pub test: Vec<Example>,
    /// What could not be read, and duplicates that were left out.
    pub skipped: Vec<String>,
}

/// Of each collection without split folders, the shares for validation and test.
const SHARES: (u64, u64) = (10, 20);
/// Two sources nearer than this are one.
const SAME_ARCSEC: f64 = 10.0;

/// A name without case, spaces and signs.
fn plain(name: &str) -> String {
    name.chars()
        .filter(char::is_ascii_alphanumeric)
        .collect::<String>()
        .to_lowercase()
}

/// Reads everything below a folder, or an archive; `each` gets the path and the cutout.
///
/// # Errors
/// A folder that cannot be listed, or no file of images in it.
pub fn walk(path: &Path, each: &mut dyn FnMut(Row)) -> Result<(), String> {
    let files = expand_for(&[path.display().to_string()], &ENDINGS).map_err(|e| e.to_string())?;
    if files.is_empty() {
        return Err(format!(
            "{}: no images in it: expected {}",
            path.display(),
            ENDINGS.join(", ")
        ));
    }
    for f in files {
        let source = f.display().to_string();
        let done = read(&f, &CutoutOptions::default(), &mut |row| {
            each(row);
            true
        });
        if let Err(why) = done {
            each(Row {
                source,
                row: 0,
                cutout: Err(why),
            });
        }
    }
    Ok(())
}

/// Which part a path says it belongs to.
fn part(source: &str) -> Option<usize> {
    source
        .split(['/', '\\'])
        .find_map(|s| match s.to_lowercase().as_str() {
            "train" | "training" => Some(0),
            "valid" | "validation" | "val" => Some(1),
            "test" | "testing" => Some(2),
            _ => None,
        })
}

/// Folders named as the classes; folders `train`, `valid` and `test` split them, else 70, 10 and 20
/// % by the name of the source. A source that lies within 10″ of one in test or validation is left
/// out of what is trained on.
///
/// # Errors
/// No class found.
pub fn folders(path: &Path, classes: &[&str]) -> Result<Collection, String> {
    let names: Vec<String> = classes.iter().map(|c| plain(c)).collect();
    let mut found: Vec<(Option<usize>, Example)> = Vec::new();
    let mut out = Collection::default();
    // Folders above the collection say nothing about it.
    let root = path.display().to_string();
    walk(path, &mut |row| {
        let inside = row.source.strip_prefix(&root).unwrap_or(&row.source);
        let label = inside
            .split(['/', '\\'])
            .rev()
            .skip(1)
            .find_map(|s| names.iter().position(|n| *n == plain(s)));
        let by_column = |c: &Cutout| {
            c.label
                .as_ref()
                .and_then(|l| names.iter().position(|n| *n == plain(l)))
        };
        match row.cutout {
            Err(why) => out.skipped.push(format!("{}: {why}", row.source)),
            Ok(mut c) => {
                if let Some(k) = by_column(&c).or(label) {
                    if c.ra.is_nan()
                        && let Some((ra, dec)) = position(&c.object_id)
                    {
                        (c.ra, c.dec) = (ra, dec);
                    }
                    let (input, truth) = (Observation::Cutout(c), one_hot(k, classes.len()));
                    let example = Example {
                        input,
                        truth,
                        depth: f32::NAN,
                    };
                    found.push((part(inside), example));
                }
            }
        }
    })?;
    if found.is_empty() {
        return Err(format!(
            "{}: no images in folders named {} (or a column 'label')",
            path.display(),
            classes.join(", ")
        ));
    }
    // Folders for the parts beside one with everything: the parts count.
    if found.iter().any(|f| f.0.is_some()) {
        found.retain(|f| f.0.is_some());
    }
    let by_name = |name: &str| match (hash(name) >> 16) % 100 {
        h if h < SHARES.1 => 2,
        h if h < SHARES.0 + SHARES.1 => 1,
        _ => 0,
    };
    separate(
        found
            .into_iter()
            .map(|(split, e)| (split.unwrap_or_else(|| by_name(e.input.object_id())), e))
            .collect(),
        &mut out,
    );
    Ok(out)
}

/// Right ascension and declination in a name such as `143.442_10.152_2_Baldi2018`.
fn position(name: &str) -> Option<(f64, f64)> {
    let mut parts = name.split('_').map(|p| {
        p.parse::<f64>()
            .ok()
            .filter(|v| v.is_finite() && p.contains('.'))
    });
    let (ra, dec) = (parts.next()??, parts.next()??);
    ((0.0..360.0).contains(&ra) && dec.abs() <= 90.0).then_some((ra, dec))
}

/// Puts examples in their parts: test first, then validation, then training; a source that is there
/// already is left out.
pub fn separate(mut found: Vec<(usize, Example)>, out: &mut Collection) {
    found.sort_by_key(|f| std::cmp::Reverse(f.0));
    // By rows of declination: right ascensions shrink with it, and begin again at 360°.
    let row = |dec: f64| (dec * 3600.0 / SAME_ARCSEC).floor() as i64;
    let mut seen: HashMap<i64, Vec<(f64, f64)>> = HashMap::new();
    for (split, e) in found {
        let (ra, dec) = e.input.position();
        if ra.is_finite() && dec.is_finite() {
            let near = |p: &(f64, f64)| {
                let away = (p.0 - ra + 180.0).rem_euclid(360.0) - 180.0;
                (away * dec.to_radians().cos()).hypot(p.1 - dec) * 3600.0 < SAME_ARCSEC
            };
            let twice = (-1..=1)
                .filter_map(|j| seen.get(&(row(dec) + j)))
                .any(|v| v.iter().any(near));
            if twice {
                out.skipped.push(format!(
                    "{}: the same source as another",
                    e.input.object_id()
                ));
                continue;
            }
            seen.entry(row(dec)).or_default().push((ra, dec));
        }
        [&mut out.train, &mut out.validation, &mut out.test][split].push(e);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_is_in_one_part_only() {
        let e = |ra: f64| Example {
            input: Observation::Cutout(Cutout {
                ra,
                dec: 60.0,
                ..Cutout::new(&["r"], 1, 1, vec![0.0]).unwrap()
            }),
            truth: vec![1.0],
            depth: 0.0,
        };
        let mut out = Collection::default();
        separate(
            vec![
                (0, e(10.0)),
                (2, e(10.001)),
                (1, e(11.0)),
                (0, e(12.0)),
                (0, e(11.02)),
            ],
            &mut out,
        );
        assert_eq!(
            (
                out.train.len(),
                out.validation.len(),
                out.test.len(),
                out.skipped.len()
            ),
            (2, 1, 1, 1),
            "{:?}",
            out.skipped
        );
        assert_eq!(
            position("143.442_10.152_2_Baldi2018"),
            Some((143.442, 10.152))
        );
        assert_eq!(position("1_2_3"), None);
        assert_eq!(
            (part("a/train/FRI/x.png"), part("a/b.png")),
            (Some(0), None)
        );
    }

    /// Five arcseconds apart in declination, and across the meridian, are one source.
    #[test]
    fn neighbours_in_declination_and_at_zero() {
        let e = |ra: f64, dec: f64| Example {
            input: Observation::Cutout(Cutout {
                ra,
                dec,
                ..Cutout::new(&["r"], 1, 1, vec![0.0]).unwrap()
            }),
            truth: vec![1.0],
            depth: 0.0,
        };
        let second = 5.0 / 3600.0;
        let mut out = Collection::default();
        let all = [
            (2, e(300.0, 60.0)),
            (0, e(300.0, 60.0 + second)),
            (2, e(0.0001, 10.0)),
            (0, e(359.9999, 10.0)),
            (0, e(300.0, 61.0)),
        ];
        separate(all.into(), &mut out);
        let n = (out.test.len(), out.train.len(), out.skipped.len());
        assert_eq!(n, (2, 1, 2), "{:?}", out.skipped);
    }
}
