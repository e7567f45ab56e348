//! The page of `slipher inspect`: the committed build is that of its source, and does in Chromium
//! what a person does.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::{root, target};

fn folder() -> PathBuf {
    root().join("crates/slipher-inspect/page")
}

/// Runs a program in the page's folder.
fn there(program: &str, words: &[&str]) -> Result<(), String> {
    let status = Command::new(program)
        .args(words)
        .current_dir(folder())
        .status();
    match status {
        Ok(s) if s.success() => Ok(()),
        Ok(s) => Err(format!("{program} {}: {s}", words.join(" "))),
        Err(e) => Err(format!("{program}: {e}")),
    }
}

fn is_there(program: &str) -> bool {
    Command::new(program)
        .arg("--version")
        .output()
        .is_ok_and(|o| o.status.success())
}

fn chromium() -> Option<String> {
    let given = std::env::var("CHROMIUM").ok();
    let known = ["chromium", "chromium-browser", "google-chrome"].map(str::to_owned);
    given.into_iter().chain(known).find(|p| is_there(p))
}

/// Packages of the page, as its lock file says.
fn packages() -> Result<(), String> {
    there(
        "npm",
        &[
            "ci",
            "--no-audit",
            "--no-fund",
            "--ignore-scripts",
            "--loglevel=error",
        ],
    )
}

/// `cargo xtask page`: builds the page that is committed.
pub fn build() -> Result<(), String> {
    packages()?;
    there("npx", &["--no-install", "tsc", "--noEmit"])?;
    there("node", &["build.mjs"])
}

fn same(a: &Path, b: &Path) -> Result<(), String> {
    let read = |p: &Path| std::fs::read(p).map_err(|e| format!("{}: {e}", p.display()));
    if read(a)? == read(b)? {
        return Ok(());
    }
    Err(format!(
        "{} is not what its source builds: run cargo xtask page",
        a.display()
    ))
}

/// Builds again, compares, and uses the page.
pub fn test() -> Result<(), String> {
    let browser = chromium();
    if !is_there("node") || !is_there("npm") || browser.is_none() {
        let why = "Node, npm and Chromium are needed to test the page of slipher inspect";
        if std::env::var("CI").is_ok_and(|v| v == "true") {
            return Err(format!(
                "{why}, and CI=true: apt-get install nodejs npm chromium"
            ));
        }
        eprintln!("skipped: {why}");
        return Ok(());
    }
    packages()?;
    there("npx", &["--no-install", "tsc", "--noEmit"])?;
    let built = std::path::absolute(target().join("page")).map_err(|e| e.to_string())?;
    std::fs::create_dir_all(&built).map_err(|e| format!("{}: {e}", built.display()))?;
    there("node", &["build.mjs", &built.display().to_string()])?;
    let mut bytes = 0;
    for name in ["page.html", "page.css", "page.js"] {
        same(&folder().join("dist").join(name), &built.join(name))?;
        bytes += std::fs::metadata(built.join(name)).map_or(0, |m| m.len());
    }
    if bytes > 500_000 {
        return Err(format!(
            "the page has {bytes} bytes: expected at most 500,000"
        ));
    }
    let slipher =
        std::path::absolute(target().join("release/slipher")).map_err(|e| e.to_string())?;
    let run = Command::new("node")
        .arg("test.mjs")
        .arg(&slipher)
        .current_dir(folder())
        .env("CHROMIUM", which(&browser.unwrap_or_default()))
        .status();
    match run {
        Ok(s) if s.success() => Ok(()),
        Ok(s) => Err(format!("node test.mjs {}: {s}", slipher.display())),
        Err(e) => Err(format!("node: {e}")),
    }
}

/// The path of a program, which playwright wants.
fn which(program: &str) -> String {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path)
        .map(|d| d.join(program))
        .find(|p| p.is_file());
    found.map_or(program.to_owned(), |p| p.display().to_string())
}
