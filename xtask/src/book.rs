//! The manual: mdBook over `docs/`, and its links.

use std::path::{Path, PathBuf};

use crate::{root, sh};

/// `cargo xtask book`: builds the manual into `target/book`.
pub fn build() -> Result<(), String> {
    links()?;
    sh("mdbook", &["build"]).map_err(|e| format!("{e}; cargo install mdbook --locked installs it"))
}

/// The Markdown files that people read.
fn pages() -> Result<Vec<PathBuf>, String> {
    let mut out = vec![];
    for folder in [
        root(),
        root().join("docs"),
        root().join("crates/slipher-models/cards"),
    ] {
        let list = std::fs::read_dir(&folder).map_err(|e| format!("{}: {e}", folder.display()))?;
        let paths = list.flatten().map(|e| e.path());
        out.extend(paths.filter(|p| p.extension().is_some_and(|e| e == "md")));
    }
    out.sort();
    Ok(out)
}

/// Targets of `[text](target)` that are files of the repository.
fn targets(text: &str) -> Vec<String> {
    let mut out = vec![];
    let mut code = false;
    for line in text.lines() {
        if line.starts_with("```") {
            code = !code;
        }
        if code {
            continue;
        }
        for (i, _) in line.match_indices("](") {
            let rest = &line[i + 2..];
            let Some(end) = rest.find(')') else { continue };
            let target = rest[..end].split('#').next().unwrap_or_default();
            if !target.is_empty() && !target.contains("://") && !target.starts_with("mailto:") {
                out.push(target.to_owned());
            }
        }
    }
    out
}

/// Every link leads to a file that is there, and every page of `docs` is in the manual.
pub fn links() -> Result<(), String> {
    let mut broken = vec![];
    for page in pages()? {
        let text =
            std::fs::read_to_string(&page).map_err(|e| format!("{}: {e}", page.display()))?;
        let folder = page.parent().unwrap_or(Path::new("."));
        for t in targets(&text) {
            if !folder.join(&t).exists() {
                broken.push(format!("{}: {t} is not there", page.display()));
            }
        }
    }
    let summary = std::fs::read_to_string(root().join("docs/SUMMARY.md"));
    let summary = summary.map_err(|e| format!("docs/SUMMARY.md: {e}"))?;
    for page in pages()?
        .iter()
        .filter(|p| p.parent().is_some_and(|d| d.ends_with("docs")))
    {
        let name = page.file_name().unwrap_or_default().to_string_lossy();
        if name != "SUMMARY.md" && !summary.contains(&format!("({name})")) {
            broken.push(format!("docs/{name}: is not in docs/SUMMARY.md"));
        }
    }
    if broken.is_empty() {
        Ok(())
    } else {
        Err(broken.join("\n"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_are_found_outside_code() {
        let text =
            "[a](x.md) and ![b](f/y.png#z) [c](https://a.b/c) [d](#here)\n```sh\n[e](no.md)\n```\n";
        assert_eq!(targets(text), ["x.md", "f/y.png"]);
    }

    #[test]
    fn links_of_the_manual_lead_somewhere() {
        links().unwrap();
    }
}
