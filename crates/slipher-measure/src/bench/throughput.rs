//! The whole way from files to a catalogue: spectra a second, memory, where the time goes.

use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use rayon::prelude::*;
use slipher_data::fits::write::{Cells, TableWriter};
use slipher_nn::predictor::Precision;
use slipher_systems::redshift::measure::{PredictOptions, measure_all};
use slipher_systems::redshift::model::Model;
use slipher_systems::redshift::simulate::{SimulationRecipe, Simulator, Split};

use super::{built, median, output};

fn simulator(instrument: &str) -> Result<Simulator, String> {
    let recipe = SimulationRecipe {
        instruments: vec![(instrument.into(), 1.0)],
        ..SimulationRecipe::default()
    };
    Simulator::new(&recipe, 1).map_err(|e| e.to_string())
}

pub fn run(folder: &Path, model: &Path, quick: bool) -> Result<String, String> {
    let mut page = String::from("## From files on disk to a catalogue on disk\n\n");
    let files = make_files(folder, if quick { 1000 } else { 10_000 })?;
    let m = Model::read(model).map_err(|e| e.to_string())?;
    let _ = writeln!(
        page,
        "BOSS-like files of 4600 pixels, the shipped model; each line is one run of `slipher redshift @list -o catalogue.parquet` (10⁵ reads the 10⁴ files ten times). The real Redrock on real \
         spectra, in turns: `scripts/redrock_rows.py`.\n\n\
         | files | threads | precision | spectra/s | a thread | peak memory, MB |\n| --- | --- | --- | --- | --- | --- |"
    );
    let sizes: &[usize] = if quick {
        &[100, 1000]
    } else {
        &[100, 1000, 10_000, 100_000]
    };
    for &n in sizes {
        for (threads, precision) in [(2, "f32"), (1, "f32"), (2, "bf16")] {
            if n > 10_000 && threads == 1 {
                continue;
            }
            // Three runs of the short ones: the first of a session pays for the file cache.
            let runs = if n >= 10_000 { 1 } else { 3 };
            let all: Result<Vec<(f64, u64)>, String> = (0..runs)
                .map(|_| predict(folder, &files, n, threads, precision, model))
                .collect();
            let all = all?;
            let seconds = median(&all.iter().map(|a| a.0).collect::<Vec<_>>());
            let memory = all.iter().map(|a| a.1).max().unwrap_or(0);
            let rate = n as f64 / seconds;
            let _ = writeln!(
                page,
                "| {n} | {threads} | {precision} | {rate:.0} | {:.0} | {memory} |",
                rate / f64::from(threads)
            );
        }
    }
    page += &arithmetic(m)?;
    page += &simulation()?;
    let speed = output(
        &built("examples/speed"),
        &[],
        &[("RAYON_NUM_THREADS", "1".into())],
    )?;
    let _ = writeln!(
        page,
        "\nWhere the time goes on one core (`cargo run --release -p slipher-systems --example speed`), ms a spectrum; \"forward\" is that of training:\n\n```\n{}\n```",
        speed.trim()
    );
    Ok(page)
}

fn make_files(folder: &Path, n: usize) -> Result<Vec<PathBuf>, String> {
    let simulator = simulator("boss")?;
    let files: Vec<PathBuf> = (0..n)
        .map(|i| folder.join(format!("spec-{i:06}.fits")))
        .collect();
    files.par_iter().enumerate().try_for_each(|(i, path)| {
        if path.exists() {
            return Ok(());
        }
        let s = simulator.draw(Split::Test, i as u64).spectrum;
        let mut t = TableWriter::new("COADD");
        t.column("flux", "", Cells::F32(s.flux));
        t.column(
            "loglam",
            "",
            Cells::F32(s.wave.iter().map(|w| w.log10() as f32).collect()),
        );
        t.column("ivar", "", Cells::F32(s.ivar));
        std::fs::write(path, t.to_bytes()).map_err(|e| format!("{}: {e}", path.display()))
    })?;
    Ok(files)
}

/// Seconds and peak memory (MB) of one run of the program.
fn predict(
    folder: &Path,
    files: &[PathBuf],
    n: usize,
    threads: i32,
    precision: &str,
    model: &Path,
) -> Result<(f64, u64), String> {
    // More than there are: the same again by way of links, since a file named twice is read once.
    let names: Vec<String> = (0..n)
        .map(|i| name(folder, files, i))
        .collect::<Result<_, String>>()?;
    let list = folder.join("list.txt");
    std::fs::write(&list, names.join("\n")).map_err(|e| e.to_string())?;
    let start = Instant::now();
    let mut child = Command::new(built("slipher"))
        .args(["--quiet", "redshift", "--precision", precision, "--model"])
        .arg(model)
        .arg(format!("@{}", list.display()))
        .arg("-o")
        .arg(folder.join("catalogue.parquet"))
        .arg("--overwrite")
        .env("RAYON_NUM_THREADS", threads.to_string())
        .stderr(Stdio::null())
        .spawn()
        .map_err(|e| e.to_string())?;
    let mut peak = 0;
    loop {
        peak = peak.max(peak_memory_mb(child.id()));
        match child.try_wait() {
            Ok(None) => std::thread::sleep(Duration::from_millis(20)),
            Ok(Some(s)) if s.success() => return Ok((start.elapsed().as_secs_f64(), peak)),
            other => return Err(format!("slipher redshift: {other:?}")),
        }
    }
}

fn name(folder: &Path, files: &[PathBuf], i: usize) -> Result<String, String> {
    let file = &files[i % files.len()];
    if i < files.len() {
        return Ok(file.display().to_string());
    }
    let again = folder.join(format!("again-{}", i / files.len()));
    std::fs::create_dir_all(&again).map_err(|e| e.to_string())?;
    let link = again.join(file.file_name().unwrap_or_default());
    if !link.exists() {
        std::fs::hard_link(file, &link).map_err(|e| format!("{}: {e}", link.display()))?;
    }
    Ok(link.display().to_string())
}

/// Highest resident memory of a process so far; 0 where /proc does not exist.
fn peak_memory_mb(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status
        .lines()
        .find(|l| l.starts_with("VmHWM:"))
        .unwrap_or_default();
    line.split_whitespace()
        .nth(1)
        .and_then(|n| n.parse::<u64>().ok())
        .unwrap_or(0)
        / 1024
}

/// How often bf16 and f32 agree on class and redshift.
fn arithmetic(mut model: Model) -> Result<String, String> {
    let simulator = simulator("boss")?;
    let spectra: Vec<_> = (0..5000)
        .into_par_iter()
        .map(|r| simulator.draw(Split::Test, r).spectrum)
        .collect();
    let spectra: Vec<_> = spectra.iter().collect();
    let single = measure_all(
        &model,
        &PredictOptions {
            lines: false,
            ..PredictOptions::default()
        },
        &spectra,
    );
    if model.net.set_precision(Precision::Bf16) != Precision::Bf16 {
        return Ok("\nThis processor has no bf16.\n".into());
    }
    let half = measure_all(
        &model,
        &PredictOptions {
            lines: false,
            ..PredictOptions::default()
        },
        &spectra,
    );
    let best = |m: &slipher_systems::redshift::measure::Measurement| {
        m.best().map(|b| (b.class, b.z, b.probability))
    };
    let pairs: Vec<_> = single
        .iter()
        .zip(&half)
        .filter_map(|(a, b)| Some((best(a)?, best(b)?)))
        .collect();
    let same = pairs.iter().filter(|(a, b)| a.0 == b.0).count();
    let close = pairs
        .iter()
        .filter(|(a, b)| a.0 == b.0 && (a.1 - b.1).abs() < 0.0033 * (1.0 + a.1))
        .count();
    let sure = pairs.iter().filter(|p| p.0.2 > 0.9);
    let sure_close = sure
        .clone()
        .filter(|(a, b)| a.0 == b.0 && (a.1 - b.1).abs() < 0.0033 * (1.0 + a.1))
        .count();
    Ok(format!(
        "\nbf16 against f32 on {} simulated spectra (BOSS, S/N as in training): same class {:.2} %, same class and redshift {:.2} %; of the {} with p_correct > 0.9, {:.2} %.\n",
        pairs.len(),
        100.0 * same as f64 / pairs.len() as f64,
        100.0 * close as f64 / pairs.len() as f64,
        sure.clone().count(),
        100.0 * sure_close as f64 / sure.count().max(1) as f64
    ))
}

fn simulation() -> Result<String, String> {
    let mut page = String::from("\nSimulation, spectra a second on one core:");
    for instrument in ["euclid-red", "euclid-blue", "vimos", "sdss", "boss", "desi"] {
        let s = simulator(instrument)?;
        let rates: Vec<f64> = (0..3)
            .map(|k| {
                let start = Instant::now();
                (0..1000).for_each(|r| drop(s.draw(Split::Train, k * 1000 + r)));
                1000.0 / start.elapsed().as_secs_f64()
            })
            .collect();
        let _ = write!(page, " {instrument} {:.0},", median(&rates));
    }
    page.pop();
    Ok(page + ".\n")
}
