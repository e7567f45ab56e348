//! `cargo xtask fuzz --minutes N`: every target of fuzz/ in turn, from the seeds of the repository
//! and, if it is there, small files of the data folder.

use std::path::Path;

use crate::{data, root, sh_in};

/// Targets, and the endings of files of the data folder that begin their corpora.
const TARGETS: [(&str, &[&str]); 8] = [
    ("fits", &["fits"]),
    ("spectra", &["txt", "vot", "csv", "dat"]),
    ("parquet_spectra", &["parquet"]),
    ("hdf5", &["h5", "hdf5"]),
    ("cutouts", &["avro", "npy", "png", "jpg"]),
    ("redshift_model", &[]),
    ("image_model", &[]),
    ("texts", &["toml", "csv"]),
];

/// Larger files only slow a fuzzer down.
const LARGEST: u64 = 64 << 10;

/// Runs all targets, or one, for so many minutes each.
pub fn run(minutes: &str, only: Option<&str>) -> Result<(), String> {
    let minutes: f64 = minutes
        .parse()
        .map_err(|_| format!("--minutes {minutes}: expected a number"))?;
    let time = format!("-max_total_time={}", (60.0 * minutes).ceil());
    for (target, endings) in TARGETS {
        if only.is_some_and(|o| o != target) {
            continue;
        }
        let corpus = root().join("fuzz/corpus").join(target);
        std::fs::create_dir_all(&corpus).map_err(|e| format!("{}: {e}", corpus.display()))?;
        if data().is_dir() {
            seed(&data(), endings, &corpus);
        }
        let seeds = format!("fuzz/seeds/{target}");
        std::fs::create_dir_all(root().join(&seeds)).map_err(|e| format!("{seeds}: {e}"))?;
        let corpus = format!("fuzz/corpus/{target}");
        let words = [
            "+nightly",
            "fuzz",
            "run",
            target,
            &corpus,
            &seeds,
            "--",
            &time,
            "-malloc_limit_mb=1024",
            "-rss_limit_mb=4096",
            "-timeout=10",
            "-print_final_stats=1",
        ];
        sh_in(&root(), "cargo", &words)?;
    }
    Ok(())
}

/// Copies small files of these endings, at most 200.
fn seed(folder: &Path, endings: &[&str], to: &Path) {
    let mut found = 0;
    let mut open = vec![folder.to_owned()];
    while let Some(folder) = open.pop() {
        for e in folder.read_dir().into_iter().flatten().flatten() {
            let path = e.path();
            let ending = path.extension().map(|e| e.to_string_lossy().to_lowercase());
            if path.is_dir() {
                open.push(path);
            } else if ending.is_some_and(|e| endings.contains(&e.as_str()))
                && e.metadata().is_ok_and(|m| m.len() <= LARGEST)
                && found < 200
            {
                found += 1;
                let _ = std::fs::copy(&path, to.join(format!("data-{found}")));
            }
        }
    }
}
