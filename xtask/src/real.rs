//! `cargo xtask real`: success on real spectra, with intervals.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Instant;

use slipher_systems::redshift::measure::{Wanted, measure_all};
use slipher_systems::redshift::model::Model;
use slipher_systems::redshift::score::{Tally, redshift_right, success};

use crate::truth::load;

#[derive(Default)]
struct Line {
    all: Tally,
    z: Tally,
    sure: Tally,
    classical: Tally,
}

/// Success by set.
pub type Tallies = BTreeMap<&'static str, Tally>;

/// Bars of the sets that have one: least share that must be right.
const BARS: [(&str, f64); 5] = [
    ("SDSS/BOSS galaxies, ZWARNING 0", 100.0),
    ("SDSS/BOSS quasars, ZWARNING 0", 97.0),
    ("SDSS/BOSS stars, ZWARNING 0", 100.0),
    ("VANDELS flags 3 and 4", 85.0),
    ("Marz test files", 100.0),
];

/// Fails if the shipped model misses a bar.
pub fn check(data: &Path, model: &Path) -> Result<(), String> {
    let found = run(data, model, false)?;
    for (set, bar) in BARS {
        let t = found.get(set).copied().unwrap_or_default();
        if t.n == 0 || t.percent() < bar {
            return Err(format!("{set}: {t}, the bar is {bar} %"));
        }
    }
    Ok(())
}

/// Prints a table of success by set and every miss.
pub fn run(data: &Path, model: &Path, classical: bool) -> Result<Tallies, String> {
    let model = Model::read(model).map_err(|e| e.to_string())?;
    let known = load(data)?;
    let start = Instant::now();
    let answers = measure_all(&model, &Wanted { lines: false, ..Wanted::default() }, &known.iter().map(|k| &k.spectrum).collect::<Vec<_>>());
    let ours = 1e3 * start.elapsed().as_secs_f64() * rayon::current_num_threads() as f64 / known.len().max(1) as f64;
    let baseline = if classical { Some(crate::classical::run(data, &known)?) } else { None };
    let mut table: BTreeMap<&'static str, Line> = BTreeMap::new();
    for (i, (k, m)) in known.iter().zip(&answers).enumerate() {
        let best = m.best();
        let right = best.is_some_and(|b| success(k.truth, b.class, b.z));
        let line = table.entry(k.set).or_default();
        line.all.add(right);
        line.z.add(best.is_some_and(|b| redshift_right(k.truth, b.z)));
        if best.is_some_and(|b| b.probability > 0.9) {
            line.sure.add(right);
        }
        if let Some((b, ..)) = &baseline {
            line.classical.add(b[i].is_some_and(|b| success(k.truth, b.class, b.z)));
        }
        if !right {
            let got = best.map_or("nothing".into(), |b| format!("{} {:.4} (p {:.2})", b.class.name(), b.z, b.probability));
            println!("missed {}: {} {:.4}, got {got}; S/N {:.1}", k.name, k.truth.0.name(), k.truth.1, m.snr_median);
        }
    }
    println!("\n| set | class and z right | z right | right, of p_correct > 0.9 | template χ² |\n| --- | --- | --- | --- | --- |");
    let tallies = table.iter().map(|(k, l)| (*k, l.all)).collect();
    for (set, l) in table {
        let theirs = if classical { l.classical.to_string() } else { "--classical".into() };
        println!("| {set} | {} | {} | {} | {theirs} |", l.all, l.z, l.sure);
    }
    println!("\nper spectrum and core, in memory: network {ours:.2} ms");
    if let Some((_, fft, direct)) = baseline {
        println!("template χ²: {fft:.0} ms by FFT ({:.0} ×), {direct:.0} ms scanned as Redrock does ({:.0} ×)", fft / ours, direct / ours);
    }
    Ok(tallies)
}
