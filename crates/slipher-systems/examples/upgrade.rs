//! Writes a model file of 0.1 as this version does: `upgrade SYSTEM OLD NEW`. Answers do not
//! change.
use std::path::Path;

use slipher_systems::{redshift, registry};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [name, old, new] = args.as_slice() else {
        return Err("usage: upgrade SYSTEM OLD NEW".into());
    };
    match registry::by_name(name)?.shared() {
        Some(system) => {
            slipher_systems::model::Model::read(system, Path::new(old))?.write(Path::new(new))?;
        }
        None => redshift::model::Model::read(Path::new(old))?
            .to_checkpoint()?
            .write(Path::new(new))?,
    }
    Ok(())
}
