//! Files, folders and globs into a sorted list of files.

use std::path::{Path, PathBuf};

/// An argument that names nothing.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say it")]
pub enum InputError {
    #[error("{0}")]
    Hats(String),
    #[error("{0}: no such file, folder or pattern")]
    Missing(String),
    #[error("{pattern}: not a valid pattern: {why}")]
    Pattern { pattern: String, why: String },
    #[error("{}: {source}", path.display())]
    Io {
        path: PathBuf,
        source: std::io::Error,
    },
}

/// [`expand_for`] files of spectra.
///
/// # Errors
/// An argument that matches nothing, or a folder that cannot be listed.
pub fn expand(arguments: &[String]) -> Result<Vec<PathBuf>, InputError> {
    expand_for(arguments, &ENDINGS)
}

/// Expands arguments: a file is itself, a folder all files below it with one of the endings, a HATS
/// catalogue its partitions, `@list` the lines of a file (`@-` of standard input), `-` standard
/// input itself, anything else a glob. Sorted within each argument, duplicates dropped.
///
/// # Errors
/// An argument that matches nothing, or a folder that cannot be listed.
pub fn expand_for(arguments: &[String], endings: &[&str]) -> Result<Vec<PathBuf>, InputError> {
    let mut out: Vec<PathBuf> = Vec::new();
    for a in arguments {
        let path = Path::new(a);
        let mut found = Vec::new();
        if let Some(list) = a.strip_prefix('@') {
            let text = match list {
                "-" => std::io::read_to_string(std::io::stdin()),
                _ => std::fs::read_to_string(list),
            };
            let text = text.map_err(|source| InputError::Io {
                path: list.into(),
                source,
            })?;
            found.extend(
                text.lines()
                    .map(str::trim)
                    .filter(|l| !l.is_empty() && !l.starts_with('#'))
                    .map(PathBuf::from),
            );
        } else if crate::hats::is_catalogue(path) {
            let c =
                crate::hats::Catalogue::open(path).map_err(|e| InputError::Hats(e.to_string()))?;
            found.extend(c.partitions.into_iter().flat_map(|p| p.files));
        } else if path.is_dir() {
            walk(path, endings, &mut found)?;
            found.sort();
        } else if path.is_file() || a == "-" {
            found.push(path.to_owned());
        } else {
            let entries = glob::glob(a).map_err(|e| InputError::Pattern {
                pattern: a.clone(),
                why: e.to_string(),
            })?;
            found.extend(entries.filter_map(Result::ok).filter(|p| p.is_file()));
            if found.is_empty() {
                // One path of several that is not there is a row that says so.
                let pattern = a.contains(['*', '?', '[']);
                if pattern || arguments.iter().all(|a| !Path::new(a).exists()) {
                    return Err(InputError::Missing(a.clone()));
                }
                found.push(path.to_owned());
            }
        }
        out.extend(found);
    }
    // Names are borrowed: a hundred thousand of them are not copied.
    let mut seen = std::collections::HashSet::with_capacity(out.len());
    let first: Vec<bool> = out.iter().map(|p| seen.insert(p.as_path())).collect();
    drop(seen);
    let mut first = first.into_iter();
    out.retain(|_| first.next().unwrap_or(true));
    Ok(out)
}

/// Endings that files of spectra have; others in a folder (README, images) are passed over.
pub const ENDINGS: [&str; 18] = [
    "fits", "fit", "fts", "dat", "txt", "csv", "ascii", "asc", "parquet", "vot", "votable", "h5",
    "hdf5", "npz", "ecsv", "tsv", "tbl", "tab",
];

fn walk(folder: &Path, endings: &[&str], out: &mut Vec<PathBuf>) -> Result<(), InputError> {
    let io = |source| InputError::Io {
        path: folder.to_owned(),
        source,
    };
    let entries = match std::fs::read_dir(folder) {
        // One folder that may not be listed is no reason to lose the others.
        Err(e) if !out.is_empty() => {
            use std::io::Write;
            let name = folder.display();
            let _ = writeln!(std::io::stderr(), "slipher: {name}: passed over ({e})");
            return Ok(());
        }
        entries => entries.map_err(io)?,
    };
    for entry in entries {
        let entry = entry.map_err(io)?;
        let path = entry.path();
        let name = entry.file_name().to_string_lossy().to_lowercase();
        if path.is_dir() {
            // Links to folders could lead in circles.
            if !name.starts_with('.') && !path.is_symlink() {
                walk(&path, endings, out)?;
            }
        } else if path.is_file()
            && endings
                .iter()
                .any(|e| crate::packed::bare(&name).ends_with(&format!(".{e}")))
        {
            out.push(path);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_folders_globs_and_lists() {
        let dir = tempfile::tempdir().unwrap();
        for f in ["b.fits", "a.fits.gz", "README", "d.h5", "sub/c.dat"] {
            let p = dir.path().join(f);
            std::fs::create_dir_all(p.parent().unwrap()).unwrap();
            std::fs::write(p, "x").unwrap();
        }
        let d = dir.path().display().to_string();
        let names = |args: &[String]| {
            expand(args)
                .unwrap()
                .iter()
                .map(|p| p.file_name().unwrap().to_string_lossy().into_owned())
                .collect::<Vec<_>>()
        };
        assert_eq!(
            names(std::slice::from_ref(&d)),
            ["a.fits.gz", "b.fits", "d.h5", "c.dat"]
        );
        assert_eq!(
            names(&[format!("{d}/*.fits"), format!("{d}/b.fits")]),
            ["b.fits"]
        );
        std::fs::write(dir.path().join("list"), format!("# all\n{d}/README\n")).unwrap();
        assert_eq!(names(&[format!("@{d}/list")]), ["README"]);
        assert!(expand(&[format!("{d}/nope*")]).is_err());
    }
}
