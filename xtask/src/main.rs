//! Chores of Slipher in Rust: `cargo xtask test | train | real | bench`.

mod real;
mod truth;

use std::path::Path;

fn main() {
    let a: Vec<String> = std::env::args().collect();
    if let Err(e) = real::run(Path::new(&a[1]), Path::new(&a[2])) {
        eprintln!("{e}");
    }
}
