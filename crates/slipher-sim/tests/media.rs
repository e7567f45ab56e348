//! Template libraries of the data folder, each at rest in vacuum by its own lines.

use std::path::{Path, PathBuf};

use slipher_sim::medium::line_velocity;
use slipher_sim::templates::Library;

fn folder() -> Option<PathBuf> {
    let data = std::env::var_os("SLIPHER_DATA").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data"),
        PathBuf::from,
    );
    let templates = data.join("templates");
    if templates.is_dir() {
        return Some(templates);
    }
    let ci = std::env::var("CI").is_ok_and(|v| v == "true");
    assert!(!ci, "{} is missing, and CI=true", templates.display());
    eprintln!("skipped: {} is missing", templates.display());
    None
}

fn folders(below: &Path, out: &mut Vec<PathBuf>) {
    let Ok(list) = std::fs::read_dir(below) else {
        return;
    };
    for path in list.flatten().map(|e| e.path()).filter(|p| p.is_dir()) {
        folders(&path, out);
        out.push(path);
    }
}

fn median(v: &mut [f64]) -> f64 {
    v.sort_by(f64::total_cmp);
    v[v.len() / 2]
}

/// The median velocity of the metal lines of every library is within 15 km/s of 0, once what is in
/// air is converted. Libraries without such lines say nothing.
#[test]
fn libraries_are_at_rest_in_vacuum() {
    let Some(root) = folder() else {
        return;
    };
    let mut all = Vec::new();
    folders(&root, &mut all);
    all.sort();
    let (mut checked, mut wrong) = (0, Vec::new());
    for folder in all {
        let has_files =
            std::fs::read_dir(&folder).is_ok_and(|list| list.flatten().any(|e| e.path().is_file()));
        if !has_files {
            continue;
        }
        let mut l = Library::builtin();
        let before = l.galaxies.len();
        l.add_folder(&folder).unwrap();
        let shown = folder.strip_prefix(&root).unwrap().display().to_string();
        let galaxies = l.galaxies[before..].iter().map(|g| &g.template);
        for (kind, mut v) in [
            (
                "galaxies",
                galaxies
                    .filter_map(|t| line_velocity(t))
                    .collect::<Vec<_>>(),
            ),
            (
                "stars",
                l.stars.iter().filter_map(|t| line_velocity(&t.1)).collect(),
            ),
        ] {
            if v.len() < 3 {
                continue;
            }
            let (n, m) = (v.len(), median(&mut v));
            println!("{shown}: {kind}, n = {n}, median {m:.0} km/s");
            if n >= 5 {
                checked += 1;
                if m.abs() > 15.0 {
                    wrong.push(format!("{shown}: {kind}, n = {n}, median {m:.0} km/s"));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(checked >= 3, "{checked} libraries");
}
