//! Success on real data, and speed beside peers: `cargo xtask real | readall | bench`, which build
//! this program with the workspace and run it.

mod bench;
mod classical;
mod npz;
mod readall;
mod real;
mod truth;

use std::path::Path;
use std::process::ExitCode;

use xtask::{SHIPPED, data, root};

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = args.iter().map(String::as_str).collect();
    let shipped = root().join(SHIPPED);
    let folder = root().join("target/bench");
    let result = match words.as_slice() {
        ["real"] => real::run(&data(), &shipped, false).map(drop),
        ["real", "--check"] => real::check(&data(), &shipped),
        ["real", "--classical"] => real::run(&data(), &shipped, true).map(drop),
        ["real", "--classical", model] => real::run(&data(), Path::new(model), true).map(drop),
        ["real", model] => real::run(&data(), Path::new(model), false).map(drop),
        ["readall"] => readall::run(&data()),
        ["bench"] => bench::run(&folder, &shipped, false, None),
        ["bench", "--quick"] => bench::run(&folder, &shipped, true, None),
        [
            "bench",
            part @ ("throughput" | "reading" | "networks" | "images" | "wheel"),
        ] => bench::run(&folder, &shipped, false, Some(part)),
        ["bench", folder] => bench::run(Path::new(folder), &shipped, false, None),
        _ => Err("slipher-measure: see cargo xtask".into()),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            eprintln!("{e}");
            ExitCode::FAILURE
        }
    }
}
