//! The program; all of it is in the library of this crate, which the Python package calls too.

use std::process::ExitCode;

fn main() -> ExitCode {
    ExitCode::from(slipher::run(std::env::args_os().collect()))
}
