//! `slipher completions`, `slipher man`, `slipher --version`: what shells and packagers ask for.

use std::io::Write;

use clap::{Args as ClapArgs, Command};
use clap_complete::Shell;
use miette::{IntoDiagnostic, Result};
use slipher_nn::checkpoint::sha256;

use crate::Outcome;

#[derive(ClapArgs)]
pub struct CompletionArgs {
    shell: Shell,
}

#[derive(ClapArgs)]
pub struct ManArgs {
    /// Verb; without it the page of the whole program
    verb: Option<String>,
}

/// `slipher completions`.
pub fn completions(a: &CompletionArgs, command: &mut Command) -> Result<Outcome> {
    let mut script = Vec::new();
    clap_complete::generate(a.shell, command, "slipher", &mut script);
    printed(&script)
}

/// `slipher man`.
pub fn man(a: &ManArgs, command: &Command) -> Result<Outcome> {
    let mut command = command.clone();
    command.build();
    let page = match &a.verb {
        None => clap_mangen::Man::new(command),
        Some(verb) => {
            let found = command.find_subcommand(verb).ok_or_else(|| {
                let all: Vec<&str> = command.get_subcommands().map(Command::get_name).collect();
                miette::miette!("{verb}: no such verb; expected one of {}", all.join(", "))
            })?;
            clap_mangen::Man::new(found.clone()).title(format!("slipher-{verb}"))
        }
    };
    let mut text = Vec::new();
    page.render(&mut text).into_diagnostic()?;
    printed(&text)
}

fn printed(text: &[u8]) -> Result<Outcome> {
    let mut out = std::io::stdout().lock();
    super::line_written(out.write_all(text).and_then(|()| out.flush()))?;
    Ok(Outcome::Good)
}

/// Version, features and the models inside with their digests.
pub fn version() -> String {
    let features: Vec<&str> = [
        ("hdf5", cfg!(feature = "hdf5")),
        ("sql", cfg!(feature = "sql")),
        ("wgpu", cfg!(feature = "wgpu")),
        ("cuda", cfg!(feature = "cuda")),
    ]
    .into_iter()
    .filter_map(|(name, on)| on.then_some(name))
    .collect();
    let models = slipher_models::ALL.iter();
    let models: Vec<String> = models
        .map(|m| format!("model {:<14} sha256 {}", m.system, sha256(m.weights)))
        .collect();
    format!(
        "{}\nfeatures: {}\n{}",
        env!("CARGO_PKG_VERSION"),
        features.join(", "),
        models.join("\n")
    )
}
