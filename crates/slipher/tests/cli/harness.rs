//! A folder for each test, the program as it is built; in the manner of ripgrep.

use std::path::Path;
use std::path::PathBuf;
use std::process::Command;
use std::process::Output;

/// A folder in which the program runs.
pub struct Dir(pub tempfile::TempDir);

impl Dir {
    pub fn new() -> Dir {
        Dir(tempfile::tempdir().unwrap())
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Runs `slipher` with words; the exit code must be this.
    pub fn run(&self, code: i32, words: &str) -> Ran {
        let out = Command::new(env!("CARGO_BIN_EXE_slipher"))
            .args(words.split_whitespace())
            .current_dir(self.0.path())
            .env_remove("RUST_BACKTRACE")
            .output()
            .unwrap();
        let ran = Ran(out);
        assert_eq!(
            ran.0.status.code(),
            Some(code),
            "slipher {words}\n{}{}",
            ran.out(),
            ran.err()
        );
        ran
    }

    pub fn files(&self) -> Vec<String> {
        let mut all: Vec<String> = self
            .0
            .path()
            .read_dir()
            .unwrap()
            .flatten()
            .map(|e| e.file_name().to_string_lossy().into_owned())
            .collect();
        all.sort();
        all
    }
}

pub struct Ran(pub Output);

impl Ran {
    pub fn out(&self) -> String {
        String::from_utf8_lossy(&self.0.stdout).into_owned()
    }
    /// Messages, in one line each, however they were wrapped.
    pub fn err(&self) -> String {
        String::from_utf8_lossy(&self.0.stderr)
            .split_whitespace()
            .collect::<Vec<_>>()
            .join(" ")
    }
    pub fn says(&self, words: &[&str]) {
        let all = format!("{} {}", self.out(), self.err());
        words
            .iter()
            .for_each(|w| assert!(all.contains(w), "expected {w:?} in: {all}"));
    }
}

pub fn rows(path: &Path) -> Vec<arrow_array::RecordBatch> {
    slipher_data::hats::batches(path, 100_000)
        .unwrap()
        .map(Result::unwrap)
        .collect()
}

/// A column of the catalogue that CSV holds.
pub fn cells(path: &Path, name: &str) -> Vec<String> {
    let text = std::fs::read_to_string(path).unwrap();
    let mut lines = text.lines().map(|l| l.split(',').collect::<Vec<_>>());
    let at = lines
        .next()
        .unwrap()
        .iter()
        .position(|c| *c == name)
        .unwrap();
    lines.map(|l| l[at].to_owned()).collect()
}
