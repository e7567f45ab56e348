//! `cargo xtask readall`: every file of the data folder is read or refused with a message; nothing
//! panics.

use std::path::{Path, PathBuf};

use slipher_data::fits::Fits;
use slipher_data::formats::{ReadOptions, read};

fn walk(folder: &Path, out: &mut Vec<PathBuf>) -> Result<(), String> {
    for entry in std::fs::read_dir(folder).map_err(|e| format!("{}: {e}", folder.display()))? {
        let path = entry.map_err(|e| e.to_string())?.path();
        if path.is_dir() {
            walk(&path, out)?
        } else {
            out.push(path)
        }
    }
    Ok(())
}

pub fn run(data: &Path) -> Result<(), String> {
    let mut files = Vec::new();
    for sub in ["spectra", "fits", "templates", "images"] {
        walk(&data.join(sub), &mut files)?;
    }
    files.sort();
    let (mut read_files, mut spectra, mut bad_rows, mut refused) = (0, 0, 0, 0);
    for path in &files {
        if let Ok(f) = Fits::open(path) {
            for i in 0..f.hdus.len() {
                if let Ok(t) = f.table(i) {
                    for c in t.columns() {
                        for row in 0..t.rows().min(3) {
                            let _ = (t.f64(&c.name, row), t.identifier(&c.name, row));
                        }
                    }
                }
                if let Ok(im) = f.image(i) {
                    let _ = im.row(im.rows().saturating_sub(1));
                }
            }
        }
        match read(path, &ReadOptions::default()) {
            Ok(f) => {
                read_files += 1;
                spectra += f.rows.iter().filter(|r| r.spectrum.is_ok()).count();
                for r in f.rows.iter().filter(|r| r.spectrum.is_err()) {
                    bad_rows += 1;
                    println!(
                        "row: {} HDU {} row {}: {:?}",
                        path.display(),
                        r.hdu,
                        r.row,
                        r.spectrum.as_ref().err()
                    );
                }
                let named = path
                    .strip_prefix(data)
                    .unwrap_or(path)
                    .display()
                    .to_string();
                if !named.starts_with("templates") {
                    println!(
                        "read: {named}: {} ({}), {} spectra",
                        f.format,
                        f.because,
                        f.rows.len()
                    );
                }
            }
            Err(e) => {
                refused += 1;
                println!("refused: {e}");
            }
        }
    }
    if read_files < 120 {
        return Err(format!(
            "only {read_files} files of {} could be read",
            data.display()
        ));
    }
    println!(
        "{} files: {read_files} read ({spectra} spectra, {bad_rows} bad rows), {refused} refused",
        files.len()
    );
    Ok(())
}
