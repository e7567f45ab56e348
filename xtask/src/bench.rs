//! `cargo xtask bench`: spectra a second from files on disk, and memory, for 10², 10³, 10⁴ and 10⁵ files (10⁵ reads the 10⁴ files ten times).

use std::path::Path;
use std::time::Instant;

use rayon::prelude::*;
use slipher_data::fits::write::{Cells, TableWriter};
use slipher_data::formats::ReadOptions;
use slipher_systems::redshift::model::Model;
use slipher_systems::redshift::pipeline;
use slipher_systems::redshift::simulate::{SimulationRecipe, Simulator, Split};

pub fn run(folder: &Path, model: &Path) -> Result<(), String> {
    let model = Model::read(model).map_err(|e| e.to_string())?;
    std::fs::create_dir_all(folder).map_err(|e| format!("{}: {e}", folder.display()))?;
    let recipe = SimulationRecipe { instruments: vec![("boss".into(), 1.0)], templates: vec![], blank_sky: 0.0 };
    let simulator = Simulator::new(&recipe, 1).map_err(|e| e.to_string())?;
    let start = Instant::now();
    let n = 500;
    let _: Vec<_> = (0..n).into_par_iter().map(|r| simulator.draw(Split::Train, r)).collect();
    let cores = rayon::current_num_threads() as f64;
    println!("simulation (boss): {:.0} spectra/s/core", n as f64 / start.elapsed().as_secs_f64() / cores);
    println!("| files | spectra/s | peak memory of the process so far, MB |\n| --- | --- | --- |");
    for n in [100u64, 1000, 10_000, 100_000] {
        let files: Vec<_> = (0..n).map(|i| folder.join(format!("spec-{:06}.fits", i % 10_000))).collect();
        files[..files.len().min(10_000)].par_iter().enumerate().try_for_each(|(i, path)| {
            if path.exists() {
                return Ok(());
            }
            let s = simulator.draw(Split::Test, i as u64).spectrum;
            let mut t = TableWriter::new("COADD");
            t.column("flux", "", Cells::F32(s.flux));
            t.column("loglam", "", Cells::F32(s.wave.iter().map(|w| w.log10() as f32).collect()));
            t.column("ivar", "", Cells::F32(s.ivar));
            std::fs::write(path, t.to_bytes()).map_err(|e| format!("{}: {e}", path.display()))
        })?;
        let start = Instant::now();
        let mut rows = 0;
        pipeline::run(&model, &files, &ReadOptions::default(), |_, r| -> Result<bool, String> {
            rows += r.len();
            Ok(true)
        })?;
        println!("| {n} | {:.0} | {} |", rows as f64 / start.elapsed().as_secs_f64(), peak_memory_mb());
    }
    Ok(())
}

/// VmHWM of this process; 0 where /proc does not exist.
fn peak_memory_mb() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|l| l.starts_with("VmHWM:")).unwrap_or_default();
    line.split_whitespace().nth(1).and_then(|n| n.parse::<u64>().ok()).unwrap_or(0) / 1024
}
