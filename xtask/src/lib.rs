//! Chores of Slipher that need nothing built: the shell, the stages of the tests, fuzzing.

pub mod book;
pub mod fuzz;
pub mod page;
pub mod test;

use std::path::{Path, PathBuf};
use std::process::Command;

/// The redshift model that comes with the program.
pub const SHIPPED: &str = "crates/slipher-models/weights/redshift.safetensors";

/// The repository. Cargo says where the package is that it runs; the path at building may be that of
/// another clone, if they share a target folder.
pub fn root() -> PathBuf {
    let built = || env!("CARGO_MANIFEST_DIR").to_owned();
    let package = std::env::var("CARGO_MANIFEST_DIR").unwrap_or_else(|_| built());
    Path::new(&package)
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

/// The folder of built programs: `CARGO_TARGET_DIR`, else `target` in the repository.
pub fn target() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), PathBuf::from)
}

/// Runs `slipher-measure`, which is built with the whole workspace: no crate is built twice.
pub fn measure(args: &[&str]) -> Result<(), String> {
    sh("cargo", &["build", "--release", "--workspace", "--quiet"])?;
    let program = target().join("release/slipher-measure");
    sh(&program.display().to_string(), args)
}
