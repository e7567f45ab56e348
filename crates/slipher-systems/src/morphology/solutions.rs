//! The Kaggle contest's files: a folder of JPEG and `training_solutions_rev1.csv`.

use std::collections::HashMap;
use std::path::Path;

use crate::example::{Example, Observation};
use crate::labelled::{Collection, walk};

/// Reads a folder in which a CSV whose first column is GalaxyID and 37 more hold the votes stands
/// beside (or above) the pictures. The last tenth by identifier is validation, as in the authors'
/// code, the tenth before it test.
///
/// # Errors
/// No such CSV, a row that is not 38 numbers, or no picture of any row.
pub fn kaggle(path: &Path) -> Result<Collection, String> {
    let table = find(path).ok_or_else(|| {
        format!(
            "{}: expected a CSV with columns GalaxyID, Class1.1 … Class11.6 in the folder",
            path.display()
        )
    })?;
    let votes = parse(&table)?;
    let mut found: Vec<(u64, Example)> = Vec::new();
    let mut out = Collection::default();
    walk(path, &mut |row| match row.cutout {
        Err(why) => out.skipped.push(format!("{}: {why}", row.source)),
        Ok(c) => {
            if let Some((id, v)) = c
                .object_id
                .parse::<u64>()
                .ok()
                .and_then(|id| votes.get(&id).map(|v| (id, v.clone())))
            {
                found.push((
                    id,
                    Example {
                        input: Observation::Cutout(c),
                        truth: v,
                        depth: f32::NAN,
                    },
                ));
            }
        }
    })?;
    if found.is_empty() {
        return Err(format!(
            "{}: no picture is named after a GalaxyID of {}",
            path.display(),
            table.display()
        ));
    }
    found.sort_by_key(|f| f.0);
    let n = found.len();
    for (i, (_, e)) in found.into_iter().enumerate() {
        let part = if i >= n - n / 10 {
            &mut out.validation
        } else if i >= n - n / 5 {
            &mut out.test
        } else {
            &mut out.train
        };
        part.push(e);
    }
    Ok(out)
}

fn find(folder: &Path) -> Option<std::path::PathBuf> {
    let mut csv: Vec<_> = std::fs::read_dir(folder)
        .ok()?
        .filter_map(Result::ok)
        .map(|e| e.path())
        .filter(|p| p.extension().is_some_and(|e| e == "csv"))
        .collect();
    csv.sort();
    csv.into_iter().find(|p| {
        std::fs::read_to_string(p).is_ok_and(|t| {
            t.lines()
                .next()
                .is_some_and(|l| l.starts_with("GalaxyID") && l.split(',').count() == 38)
        })
    })
}

fn parse(path: &Path) -> Result<HashMap<u64, Vec<f32>>, String> {
    let text = std::fs::read_to_string(path).map_err(|e| format!("{}: {e}", path.display()))?;
    let mut out = HashMap::new();
    for (i, line) in text
        .lines()
        .enumerate()
        .skip(1)
        .filter(|(_, l)| !l.trim().is_empty())
    {
        let cells: Vec<&str> = line.split(',').map(str::trim).collect();
        let id = cells.first().and_then(|c| c.parse().ok());
        let votes: Option<Vec<f32>> = cells
            .iter()
            .skip(1)
            .map(|c| {
                c.parse()
                    .ok()
                    .filter(|v: &f32| (-1e-6..=1.0 + 1e-4).contains(v))
            })
            .collect();
        match (id, votes) {
            (Some(id), Some(v)) if v.len() == 37 => out.insert(id, v),
            _ => {
                return Err(format!(
                    "{}: line {}: expected an identifier and 37 shares from 0 to 1",
                    path.display(),
                    i + 1
                ));
            }
        };
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_contests_layout_is_read() {
        let dir = tempfile::tempdir().unwrap();
        let images = dir.path().join("images_training_rev1");
        std::fs::create_dir(&images).unwrap();
        let png = slipher_data::cutouts::picture::encode(&vec![90u8; 60 * 60 * 3], 60, 60).unwrap();
        let mut csv = format!(
            "GalaxyID,{}\n",
            (0..37)
                .map(|k| format!("Class{k}"))
                .collect::<Vec<_>>()
                .join(",")
        );
        for id in 100_000..100_020 {
            std::fs::write(images.join(format!("{id}.jpg")), &png).unwrap();
            csv.push_str(&format!("{id},{}\n", vec!["0.25"; 37].join(",")));
        }
        let table = dir.path().join("training_solutions_rev1.csv");
        std::fs::write(&table, &csv).unwrap();
        let c = kaggle(dir.path()).unwrap();
        assert_eq!(
            (c.train.len(), c.validation.len(), c.test.len()),
            (16, 2, 2)
        );
        assert_eq!(c.train[0].truth, vec![0.25; 37]);
        std::fs::write(&table, csv.replace("100003,0.25", "100003,oops")).unwrap();
        assert!(kaggle(dir.path()).unwrap_err().contains("line 5"));
        std::fs::remove_file(&table).unwrap();
        assert!(kaggle(dir.path()).unwrap_err().contains("GalaxyID"));
    }
}
