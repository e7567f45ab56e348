//! Chores of Slipher: `cargo xtask test | train redshift | real | bench | book | page | fuzz`.

use std::process::ExitCode;

use xtask::{SHIPPED, book, fuzz, measure, page, root, sh, test};

const HELP: &str = "cargo xtask COMMAND
  test [--all]             format, clippy, Rust tests, doc tests, Python round trips, the wheel; with --all also Dask, Sail and Ray, with
                           workers killed, and SQL (a gigabyte of Python packages; DataFusion);
                           --all --from STAGE goes on where a run failed
  train redshift [FOLDER]  the shipped model from its recipe (an hour on two cores), then crates/slipher-models/weights/redshift.safetensors
  real [MODEL]             success on the real spectra of the data folder, with intervals
  real --classical [MODEL] the same beside template chi-square on the same rows, with times
  book                     the manual, by mdBook, into target/book
  page [--test]            builds the page of slipher inspect (Node), or tests it in Chromium
  readall                  every file of the data folder is read or refused
  fuzz --minutes N [TARGET] the targets of fuzz/ in turn, N minutes each (nightly, cargo install cargo-fuzz)
  peers                    the programs that own a format open what Slipher writes: redrock, desispec, specutils, qp (installs them)
  bench [PART | FOLDER]    (throughput, reading, networks, images, wheel) beside PyTorch, onnxruntime, astropy and fitsio in turns; writes docs/BENCHMARKS.md
                           (installs them from the Python package index into FOLDER/peers: some gigabytes)
The data folder is ../shared/data or $SLIPHER_DATA.";

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = args.iter().map(String::as_str).collect();
    let result = match words.as_slice() {
        ["test"] => test::run(false, None),
        ["test", "--all"] => test::run(true, None),
        ["test", "--all", "--from", stage] => test::run(true, Some(stage)),
        ["train", "redshift"] => train("training"),
        ["train", "redshift", folder] => train(folder),
        ["book"] => book::build(),
        ["page"] => page::build(),
        ["page", "--test"] => page::test(),
        ["peers"] => test::peers(),
        ["fuzz", "--minutes", n] => fuzz::run(n, None),
        ["fuzz", "--minutes", n, target] => fuzz::run(n, Some(target)),
        ["real" | "readall" | "bench", ..] => measure(&words),
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
    measure(&["real", &model.display().to_string()])
}
