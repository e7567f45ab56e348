//! A system is its folder and one line of the registry: its name stands nowhere else in code.

use std::path::{Path, PathBuf};

use slipher_systems::registry::SYSTEMS;

/// The repository, which is not there in a package of the registry.
fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// Where a name may stand beside its own folder: the registry, and the crate that holds nothing but
/// weights by name.
const ALLOWED: [&str; 3] = [
    "slipher-systems/src/registry.rs",
    "slipher-systems/src/lib.rs",
    "slipher-models/src/lib.rs",
];

/// Fails with every place where a system is named outside its folder, the registry and tests.
#[test]
fn systems_are_named_in_their_folders_alone() {
    let mut files = Vec::new();
    collect(&root().join("crates"), &mut files).unwrap();
    collect(&root().join("xtask"), &mut files).unwrap();
    assert!(files.len() > 100, "{} files", files.len());
    let mut found = Vec::new();
    for system in SYSTEMS.iter().filter(|s| s.shared().is_some()) {
        let (name, folder) = (system.name(), system.name().replace('-', "_"));
        let words = [
            format!("\"{name}\""),
            format!("slipher_systems::{folder}"),
            format!("crate::{folder}"),
        ];
        for (path, text) in &files {
            let shown = path
                .strip_prefix(root())
                .unwrap_or(path)
                .display()
                .to_string();
            // Parts of a system live in its folder.
            let own = folder.split('_').next().unwrap_or(&folder);
            let inside = format!("slipher-systems/src/{own}");
            if shown.contains(&inside) || ALLOWED.iter().any(|a| shown.ends_with(a)) {
                continue;
            }
            let code = text.split("#[cfg(test)]").next().unwrap_or(text);
            for (i, line) in code.lines().enumerate() {
                let said = words.iter().any(|w| line.contains(w.as_str()));
                if said && !line.trim_start().starts_with("//") {
                    found.push(format!("{shown}:{}: {}", i + 1, line.trim()));
                }
            }
        }
    }
    assert!(
        found.is_empty(),
        "a system is its folder and one line of the registry, but systems are named in:\n{}",
        found.join("\n")
    );
}

/// Rust files that are neither tests nor examples nor benchmarks.
fn collect(folder: &Path, out: &mut Vec<(PathBuf, String)>) -> Result<(), String> {
    let list = std::fs::read_dir(folder).map_err(|e| format!("{}: {e}", folder.display()))?;
    for entry in list.flatten() {
        let (path, name) = (entry.path(), entry.file_name());
        if path.is_dir()
            && !["tests", "examples", "benches", "bench"]
                .iter()
                .any(|n| name == *n)
        {
            collect(&path, out)?;
        } else if path.extension().is_some_and(|e| e == "rs") {
            let text =
                std::fs::read_to_string(&path).map_err(|e| format!("{}: {e}", path.display()))?;
            out.push((path, text));
        }
    }
    Ok(())
}
