//! Where the files of a catalogue lie now.

use std::collections::HashMap;
use std::ffi::OsString;
use std::path::{Component, Path, PathBuf};

/// Files that a catalogue names: paths as they were given when it was made.
#[derive(Clone, Debug, Default)]
pub struct Places {
    base: PathBuf,
    given: HashMap<OsString, Vec<PathBuf>>,
}

/// A path without `.` and `..`, from a folder; links are not followed.
fn lexical(base: &Path, path: &str) -> PathBuf {
    let mut out = PathBuf::new();
    for c in base.join(path).components() {
        match c {
            Component::CurDir => {}
            Component::ParentDir => {
                out.pop();
            }
            c => out.push(c),
        }
    }
    out
}

impl Places {
    /// From the catalogue, one of the files that it names, and files that the user gave because they
    /// have moved.
    pub fn new(catalogue: &Path, example: Option<&str>, given: Vec<PathBuf>) -> Places {
        let here = std::env::current_dir().unwrap_or_default();
        let own = here.join(catalogue.parent().unwrap_or(Path::new("")));
        let lies = |base: &Path| example.is_some_and(|f| base.join(f).exists());
        let base = if !lies(&here) && lies(&own) {
            own
        } else {
            here
        };
        let mut by_name: HashMap<OsString, Vec<PathBuf>> = HashMap::new();
        for path in given {
            if let Some(name) = path.file_name() {
                by_name.entry(name.to_owned()).or_default().push(path);
            }
        }
        Places {
            base,
            given: by_name,
        }
    }

    /// The path by which a file is known, whether it is there or not.
    pub fn absolute(&self, file: &str) -> PathBuf {
        lexical(&self.base, file)
    }

    /// The file itself: where the catalogue says, else of the files given the one whose path ends
    /// most alike.
    ///
    /// # Errors
    /// It is nowhere.
    pub fn find(&self, file: &str) -> Result<PathBuf, String> {
        let path = self.absolute(file);
        if path.exists() {
            return Ok(path);
        }
        let alike = |other: &Path| {
            let pairs = path.components().rev().zip(other.components().rev());
            pairs.take_while(|(a, b)| a == b).count()
        };
        let name = path.file_name().unwrap_or_default();
        let found = self.given.get(name).into_iter().flatten();
        let found = found.max_by_key(|p| alike(p)).cloned();
        found.ok_or_else(|| {
            format!(
                "{} is not there any more: give the folder where its files are now, as \
                 slipher inspect CATALOGUE FOLDER",
                path.display()
            )
        })
    }
}

/// How a list in `folder` names a path: from the folder where it lies below it.
pub fn relative(folder: &Path, path: &Path) -> String {
    path.strip_prefix(folder)
        .unwrap_or(path)
        .display()
        .to_string()
}

/// The path that a list in `folder` names.
pub fn named(folder: &Path, file: &str) -> PathBuf {
    lexical(folder, file)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moved_files_are_found_by_their_names() {
        let dir = tempfile::tempdir().unwrap();
        let at = |p: &str| dir.path().join(p);
        for folder in ["old", "new/a", "new/b"] {
            std::fs::create_dir_all(at(folder)).unwrap();
        }
        std::fs::write(at("new/a/s.fits"), "a").unwrap();
        std::fs::write(at("new/b/s.fits"), "b").unwrap();
        let given = vec![at("new/a/s.fits"), at("new/b/s.fits")];
        let places = Places::new(&at("old/c.parquet"), Some("b/s.fits"), given);
        assert_eq!(places.find("../old/b/s.fits").unwrap(), at("new/b/s.fits"));
        let why = places.find("b/t.fits").unwrap_err();
        assert!(
            why.contains("t.fits") && why.contains("slipher inspect"),
            "{why}"
        );
        // From the catalogue's own folder, where the files are there.
        let places = Places::new(&at("new/c.parquet"), Some("a/s.fits"), vec![]);
        assert_eq!(places.find("./x/../a/s.fits").unwrap(), at("new/a/s.fits"));
        assert_eq!(relative(dir.path(), &at("new/a/s.fits")), "new/a/s.fits");
        assert_eq!(
            relative(&at("old"), &at("new/a")),
            at("new/a").display().to_string()
        );
        assert_eq!(named(&at("old"), "../new/a"), at("new/a"));
    }
}
