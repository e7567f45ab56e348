//! Chores of Slipher: `cargo xtask test | train redshift | real | bench | formats`.

mod bench;
mod classical;
mod fuzz;
mod names;
mod npz;
mod readall;
mod real;
mod test;
mod truth;

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

/// The redshift model that comes with the program.
pub const SHIPPED: &str = "crates/slipher-models/weights/redshift.safetensors";

const HELP: &str = "cargo xtask COMMAND
  test [--all]             format, clippy, Rust tests, doc tests, Python round trips, the wheel; with --all also Dask, Sail and Ray, with
                           workers killed, and SQL (a gigabyte of Python packages; DataFusion)
  train redshift [FOLDER]  the shipped model from its recipe (an hour on two cores), then crates/slipher-models/weights/redshift.safetensors
  real [MODEL]             success on the real spectra of the data folder, with intervals
  real --classical [MODEL] the same beside template chi-square on the same rows, with times
  readall                  every file of the data folder is read or refused
  fuzz --minutes N [TARGET] the targets of fuzz/ in turn, N minutes each (nightly, cargo install cargo-fuzz)
  peers                    the programs that own a format open what Slipher writes: redrock, desispec, specutils, qp (installs them)
  bench [PART | FOLDER]    (throughput, reading, networks, images, wheel) beside PyTorch, onnxruntime, astropy and fitsio in turns; writes docs/BENCHMARKS.md
                           (installs them from the Python package index into FOLDER/peers: some gigabytes)
The data folder is ../shared/data or $SLIPHER_DATA.";

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = args.iter().map(String::as_str).collect();
    let shipped = root().join(SHIPPED);
    let result = match words.as_slice() {
        ["test"] => test::run(false),
        ["test", "--all"] => test::run(true),
        ["train", "redshift"] => train("training"),
        ["train", "redshift", folder] => train(folder),
        ["real"] => real::run(&data(), &shipped, false).map(drop),
        ["real", "--classical"] => real::run(&data(), &shipped, true).map(drop),
        ["real", "--classical", model] => real::run(&data(), Path::new(model), true).map(drop),
        ["real", model] => real::run(&data(), Path::new(model), false).map(drop),
        ["peers"] => test::peers(),
        ["readall"] => readall::run(&data()),
        ["fuzz", "--minutes", n] => fuzz::run(n, None),
        ["fuzz", "--minutes", n, target] => fuzz::run(n, Some(target)),
        ["bench"] => bench::run(&root().join("target/bench"), &shipped, false, None),
        ["bench", "--quick"] => bench::run(&root().join("target/bench"), &shipped, true, None),
        [
            "bench",
            part @ ("throughput" | "reading" | "networks" | "images" | "wheel"),
        ] => bench::run(&root().join("target/bench"), &shipped, false, Some(part)),
        ["bench", folder] => bench::run(Path::new(folder), &shipped, false, None),
        _ => Err(HELP.into()),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            eprintln!("{e}");
            ExitCode::FAILURE
        }
    }
}

/// The repository.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .map_or_else(|| PathBuf::from("."), Path::to_owned)
}

/// The folder of real data.
pub fn data() -> PathBuf {
    std::env::var_os("SLIPHER_DATA").map_or_else(|| root().join("../shared/data"), PathBuf::from)
}

/// Runs a command in the repository; an error if it fails.
pub fn sh(program: &str, args: &[&str]) -> Result<(), String> {
    sh_in(&root(), program, args)
}

/// The same with variables of the environment.
pub fn sh_with(variables: &[(&str, &str)], program: &str, args: &[&str]) -> Result<(), String> {
    let shown: Vec<String> = variables
        .iter()
        .map(|(k, v)| format!("{k}='{v}'"))
        .collect();
    eprintln!("$ {} {program} {}", shown.join(" "), args.join(" "));
    let mut c = Command::new(program);
    c.args(args)
        .current_dir(root())
        .envs(variables.iter().copied());
    let status = c.status().map_err(|e| format!("{program}: {e}"))?;
    if status.success() {
        Ok(())
    } else {
        Err(format!("failed: {program} {}", args.join(" ")))
    }
}

/// The same in another folder.
pub fn sh_in(folder: &Path, program: &str, args: &[&str]) -> Result<(), String> {
    eprintln!("$ {program} {}", args.join(" "));
    let status = Command::new(program)
        .args(args)
        .current_dir(folder)
        .status()
        .map_err(|e| format!("{program}: {e}"))?;
    if status.success() {
        Ok(())
    } else {
        Err(format!("failed: {program} {}", args.join(" ")))
    }
}

fn train(folder: &str) -> Result<(), String> {
    sh(
        "cargo",
        &[
            "run",
            "--release",
            "-p",
            "slipher",
            "--",
            "train",
            "redshift",
            "--recipe",
            "crates/slipher-systems/src/redshift/recipes/redshift.toml",
            "--output",
            folder,
            "--resume",
        ],
    )?;
    let model = root().join(folder).join("model.safetensors");
    let (tmp, shipped) = (
        root().join(SHIPPED).with_extension("tmp"),
        root().join(SHIPPED),
    );
    std::fs::copy(&model, &tmp)
        .and_then(|_| std::fs::rename(&tmp, &shipped))
        .map_err(|e| format!("{}: {e}", model.display()))?;
    real::run(&data(), &model, false).map(drop)
}
