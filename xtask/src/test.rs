//! `cargo xtask test`: all that must hold, in the order in which it fails fastest.

use std::path::PathBuf;
use std::process::Command;
use std::time::Instant;

use crate::{data, measure, page, root, sh, sh_with, target};

/// Stages with their times, for the summary; those before `from` are left out.
#[derive(Default)]
struct Stages {
    times: Vec<(&'static str, f64)>,
    from: Option<String>,
}

impl Stages {
    fn run(
        &mut self,
        name: &'static str,
        f: impl FnOnce() -> Result<(), String>,
    ) -> Result<(), String> {
        if self.from.as_ref().is_some_and(|f| f != name) {
            eprintln!("-- {name}: left out");
            return Ok(());
        }
        self.from = None;
        eprintln!("== {name}");
        let start = Instant::now();
        let done = f();
        self.times.push((name, start.elapsed().as_secs_f64()));
        done
    }
}

/// A command of words.
fn words(line: &str) -> Result<(), String> {
    let all: Vec<&str> = line.split_whitespace().collect();
    sh(all[0], &all[1..])
}

/// Everything; with `all` also the engines and SQL; from a stage on, if one is named.
pub fn run(all: bool, from: Option<&str>) -> Result<(), String> {
    let mut stages = Stages {
        from: from.map(str::to_owned),
        ..Stages::default()
    };
    let done = stages_of(all, &mut stages);
    if let Some(name) = &stages.from {
        return Err(format!("no stage '{name}': the names stand above"));
    }
    for (name, seconds) in &stages.times {
        eprintln!("{seconds:7.0} s  {name}");
    }
    eprintln!(
        "{:7.0} s  in all",
        stages.times.iter().map(|s| s.1).sum::<f64>()
    );
    done?;
    eprintln!("all tests passed");
    Ok(())
}

fn stages_of(all: bool, s: &mut Stages) -> Result<(), String> {
    s.run("format", || words("cargo fmt --all --check"))?;
    s.run("clippy", || {
        words("cargo clippy --workspace --all-targets --release -- -D warnings")
    })?;
    s.run("documentation", || {
        // Private items are linked from module pages, which are read in the source.
        sh_with(
            &[(
                "RUSTDOCFLAGS",
                "-D warnings -A rustdoc::private_intra_doc_links",
            )],
            "cargo",
            &["doc", "--workspace", "--no-deps", "--release", "--quiet"],
        )
    })?;
    s.run("Rust tests", || {
        let nextest = Command::new("cargo")
            .args(["nextest", "--version"])
            .output();
        if nextest.is_ok_and(|o| o.status.success()) {
            words("cargo nextest run --workspace --release --no-fail-fast")
        } else {
            words("cargo test --workspace --release --lib --bins --tests")
        }
    })?;
    s.run("kernels on other instruction sets", instruction_sets)?;
    s.run("doc tests", || {
        words("cargo test --workspace --release --doc --quiet")
    })?;
    s.run("licences and sources", licences)?;
    // The tensors of the graphics processors, on the framework's own path for the processor.
    s.run("graphics processors", || {
        words("cargo test --release -p slipher-gpu --features flex --lib --quiet")
    })?;
    s.run("program", || {
        words("cargo build --release --workspace --quiet")
    })?;
    s.run("slipher inspect in Chromium", page::test)?;
    s.run("without default features", || {
        words("cargo check --release --workspace --no-default-features --quiet")
    })?;
    s.run("Python round trips", python)?;
    let mut wheels = String::new();
    s.run("wheel", || {
        wheels = wheel()?;
        Ok(())
    })?;
    if all {
        s.run("engines", || engines(&wheels))?;
        s.run("SQL", sql)?;
    }
    s.run("real spectra", real)
}

/// The kernels' tests, and those of everything else in slipher-nn, as on processors without
/// AVX-512.
fn instruction_sets() -> Result<(), String> {
    for isa in ["portable", "avx2"] {
        sh_with(
            &[("SLIPHER_ISA", isa)],
            "cargo",
            &[
                "nextest",
                "run",
                "--workspace",
                "--release",
                "-E",
                "package(slipher-nn)",
            ],
        )?;
    }
    Ok(())
}

/// `cargo deny`, if it is installed (`.ci/run` installs it).
fn licences() -> Result<(), String> {
    let there = Command::new("cargo").args(["deny", "--version"]).output();
    if there.is_ok_and(|o| o.status.success()) {
        return words("cargo deny --log-level error check bans licenses sources");
    }
    if std::env::var("CI").is_ok_and(|v| v == "true") {
        return Err("cargo deny is missing, and CI=true: cargo install cargo-deny --locked".into());
    }
    eprintln!("skipped: cargo deny is not installed");
    Ok(())
}

/// All files of the data folder are read or refused; the redshift model reaches its bars.
fn real() -> Result<(), String> {
    if data().is_dir() {
        measure(&["readall"])?;
        return measure(&["real", "--check"]);
    }
    if std::env::var("CI").is_ok_and(|v| v == "true") {
        return Err(format!("{} is missing, and CI=true", data().display()));
    }
    eprintln!("skipped: the data folder {} is missing", data().display());
    Ok(())
}

/// Redrock, desispec, specutils and qp read what Slipher writes; half a gigabyte of packages, so no
/// part of the tests.
pub fn peers() -> Result<(), String> {
    sh("cargo", &["build", "--release", "-p", "slipher"])?;
    let python = environment(
        "peers",
        "redrock, desispec, specutils, qp, pyarrow",
        &["redrock", "desispec", "specutils", "qp-prob", "pyarrow"],
    )?;
    sh(
        &python,
        &[
            "python/tests/peers.py",
            &target().join("release/slipher").display().to_string(),
        ],
    )
}

/// The Python of a virtual environment in the target folder that can import `modules`; made, and
/// `packages` installed, if need be.
fn environment(name: &str, modules: &str, packages: &[&str]) -> Result<String, String> {
    let venv = target().join(name);
    let python = venv.join("bin/python");
    let text = |p: &PathBuf| p.display().to_string();
    if !python.exists() {
        sh("python3", &["-m", "venv", &text(&venv)])?;
    }
    let have = Command::new(&python)
        .args(["-c", &format!("import {modules}")])
        .output()
        .is_ok_and(|o| o.status.success());
    if !have {
        sh(
            &text(&python),
            &[
                &[
                    "-m",
                    "pip",
                    "install",
                    "--quiet",
                    "--disable-pip-version-check",
                ],
                packages,
            ]
            .concat(),
        )?;
    }
    Ok(text(&python))
}

/// Packages of those who use the wheel: (module, package).
const WHEEL: [(&str, &str); 6] = [
    ("maturin", "maturin"),
    ("numpy", "numpy"),
    ("pyarrow", "pyarrow"),
    ("pandas", "pandas"),
    ("astropy", "astropy"),
    ("specutils", "specutils"),
];
/// And of the engines: more than a gigabyte.
const ENGINES: [(&str, &str); 8] = [
    ("numpy", "numpy"),
    ("pyarrow", "pyarrow"),
    ("psutil", "psutil"),
    ("lsdb", "lsdb"),
    ("distributed", "dask[distributed]"),
    ("pysail", "pysail"),
    ("pyspark", "pyspark-client"),
    ("ray", "ray[data]"),
];

fn with(name: &str, packages: &[(&str, &str)]) -> Result<String, String> {
    let (modules, names): (Vec<&str>, Vec<&str>) = packages.iter().copied().unzip();
    environment(name, &modules.join(", "), &names)
}

/// Installs the wheel, and nothing else.
fn install(python: &str, wheel: &str) -> Result<(), String> {
    sh(
        python,
        &[
            "-m",
            "pip",
            "install",
            "--quiet",
            "--disable-pip-version-check",
            "--force-reinstall",
            "--no-deps",
            wheel,
        ],
    )
}

/// The wheel, built and installed beside the packages of its users: its path, and that Python.
pub fn wheel_installed() -> Result<(String, String), String> {
    let python = with("wheel", &WHEEL)?;
    let wheels = target().join("wheels");
    // One wheel, whatever earlier versions left.
    if wheels.is_dir() {
        std::fs::remove_dir_all(&wheels).map_err(|e| format!("{}: {e}", wheels.display()))?;
    }
    // maturin looks for pyproject.toml where it stands.
    let (out, maturin) = (
        wheels.display().to_string(),
        target().join("wheel/bin/maturin").display().to_string(),
    );
    crate::sh_in(
        &root().join("python"),
        &maturin,
        &[
            "build",
            "--release",
            "--locked",
            "--out",
            &out,
            "--interpreter",
            &python,
        ],
    )?;
    let found = std::fs::read_dir(&wheels)
        .map_err(|e| e.to_string())?
        .flatten()
        .map(|e| e.path().display().to_string())
        .find(|p| p.ends_with(".whl"));
    let wheel = found.ok_or("maturin built no wheel")?;
    install(&python, &wheel)?;
    Ok((wheel, python))
}

/// The wheel in an environment with nothing but what it asks for, and as its users have it. Its
/// path.
fn wheel() -> Result<String, String> {
    let (wheel, python) = wheel_installed()?;
    let clean = with("clean", &[("pyarrow", "pyarrow"), ("numpy", "numpy")])?;
    install(&clean, &wheel)?;
    sh(
        &clean,
        &[
            "-c",
            "import slipher; print(slipher.redshift(slipher.simulate(3, ['boss'])))",
        ],
    )?;
    let binary = target().join("release/slipher").display().to_string();
    sh(&python, &["python/tests/wheel.py", &binary])?;
    Ok(wheel)
}

/// Dask, Sail, Ray and shards, each with a worker killed.
fn engines(wheel: &str) -> Result<(), String> {
    let python = with("engines", &ENGINES)?;
    install(&python, wheel)?;
    sh(
        &python,
        &[
            "python/tests/engines.py",
            &target().join("release/slipher").display().to_string(),
        ],
    )
}

/// Crates that the release profile optimises little, by Cargo.toml: DataFusion's, for planning alone.
/// For the tests they are not optimised at all, which saves a third of a long build.
fn planning() -> Result<Vec<String>, String> {
    let path = root().join("Cargo.toml");
    let text = std::fs::read_to_string(&path).map_err(|e| format!("{}: {e}", path.display()))?;
    let names = text
        .lines()
        .filter_map(|l| l.strip_suffix(".opt-level = 1"));
    Ok(names.map(str::to_owned).collect())
}

/// The functions of DataFusion, in a build of its own, which is a third of what CI builds: the lints
/// of its few lines are run by hand (`cargo clippy -p slipher-sql --features datafusion`).
fn sql() -> Result<(), String> {
    let config: Vec<String> = planning()?
        .iter()
        .map(|name| format!("--config=profile.release.package.{name}.opt-level=0"))
        .collect();
    let args: Vec<&str> =
        "test --release -p slipher -p slipher-sql --features slipher/sql --test sql"
            .split(' ')
            .chain(config.iter().map(String::as_str))
            .collect();
    sh("cargo", &args)
}

/// Real readers (astropy, pyarrow, h5py, fastavro) open what the program writes, in an environment
/// that this step makes.
fn python() -> Result<(), String> {
    let python = environment(
        "venv",
        "astropy, pyarrow, numpy, h5py, fastavro",
        &["numpy", "astropy", "pyarrow", "h5py", "fastavro"],
    )?;
    let binary = target().join("release/slipher").display().to_string();
    sh(&python, &["python/tests/formats.py", &binary])?;
    sh(&python, &["python/tests/images.py", &binary])?;
    sh(&python, &["python/tests/round_trip.py", &binary])?;
    let cases = root().join("../shared/cases");
    if cases.is_dir() {
        let cases = cases.display().to_string();
        return sh(&python, &["python/tests/cases.py", &binary, &cases]);
    }
    if std::env::var("CI").is_ok_and(|v| v == "true") {
        return Err(format!("{} is missing, and CI=true", cases.display()));
    }
    eprintln!("skipped: the folder {} is missing", cases.display());
    Ok(())
}
