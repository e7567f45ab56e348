//! `cargo xtask real`: success on real spectra, with intervals.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Instant;

use slipher_sim::random::Stream;
use slipher_sim::sed::C_KMS;
use slipher_stats::calibration::{calibration_error, pulls as summary, reliability};
use slipher_stats::proportion::Tally;
use slipher_systems::redshift::measure::{PURITY, PredictOptions, measure_all, zwarn};
use slipher_systems::redshift::model::Model;
use slipher_systems::redshift::score::{redshift_right, success};

use crate::truth::{MANGLED, load};

#[derive(Default)]
struct Line {
    all: Tally,
    said: f64,
    z: Tally,
    accepted: Tally,
    kept: Tally,
    unfamiliar: usize,
    errors: usize,
    classical: Tally,
    /// Velocities (km/s) of the answers that are right, and in units of their errors.
    velocity: Vec<f64>,
    pulls: Vec<f64>,
}

/// Success by set.
pub type Tallies = BTreeMap<&'static str, Tally>;

/// Bars of the sets that have one: least share that must be right.
const BARS: [(&str, f64); 5] = [
    ("SDSS/BOSS galaxies, ZWARNING 0", 100.0),
    ("SDSS/BOSS quasars, ZWARNING 0", 94.0),
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
    let accept = model.thresholds.threshold(PURITY).unwrap_or(1.0);
    let start = Instant::now();
    let answers = measure_all(
        &model,
        &PredictOptions {
            lines: false,
            accept,
            ..PredictOptions::default()
        },
        &known.iter().map(|k| &k.spectrum).collect::<Vec<_>>(),
    );
    let ours = 1e3 * start.elapsed().as_secs_f64() * rayon::current_num_threads() as f64
        / known.len().max(1) as f64;
    let baseline = if classical {
        Some(crate::classical::run(data, &known)?)
    } else {
        None
    };
    let (mut judged, mut sound) = (Vec::new(), Vec::new());
    let mut table: BTreeMap<&'static str, Line> = BTreeMap::new();
    for (i, (k, m)) in known.iter().zip(&answers).enumerate() {
        let best = m.best();
        let right = best.is_some_and(|b| success(k.truth, b.class, b.z));
        let line = table.entry(k.set).or_default();
        line.all.add(right);
        line.z
            .add(best.is_some_and(|b| redshift_right(k.truth, b.z)));
        if m.accepted() {
            line.accepted.add(right);
        }
        if right {
            line.kept.add(m.accepted());
        }
        if let Some(b) = best.filter(|_| right) {
            let v = C_KMS * (b.z - k.truth.1) / (1.0 + k.truth.1);
            line.velocity.push(v);
            line.pulls.push((b.z - k.truth.1) / b.z_err.max(1e-9));
        }
        line.unfamiliar += usize::from(m.zwarn & zwarn::UNFAMILIAR != 0);
        line.errors += usize::from(m.zwarn & zwarn::ERRORS_UNLIKELY != 0);
        if let Some(b) = best {
            let one = (b.probability, right);
            judged.push(one);
            sound.extend((k.set != MANGLED).then_some(one));
            line.said += b.probability;
        }
        if let Some((b, ..)) = &baseline {
            line.classical
                .add(b[i].is_some_and(|b| success(k.truth, b.class, b.z)));
        }
        if !right {
            let got = best.map_or("nothing".into(), |b| {
                format!("{} {:.4} (p {:.2})", b.class.name(), b.z, b.probability)
            });
            println!(
                "missed {}: {} {:.4}, got {got}; S/N {:.1}",
                k.name,
                k.truth.0.name(),
                k.truth.1,
                m.snr_median
            );
        }
        if m.zwarn & (zwarn::UNFAMILIAR | zwarn::ERRORS_UNLIKELY) != 0 {
            println!("strange {}: {:?}", k.name, m.p_values);
        }
    }
    println!(
        "\n| set | class and z right | p_correct says | z right | right, of the accepted (purity) | accepted, of the right (completeness) | UNFAMILIAR, ERRORS_UNLIKELY | template χ² |\n| --- | --- | --- | --- | --- | --- | --- | --- |"
    );
    let tallies = table.iter().map(|(k, l)| (*k, l.all)).collect();
    let velocities: Vec<String> = table
        .iter()
        .filter(|(_, l)| l.velocity.len() >= 5)
        .map(|(set, l)| velocity_line(set, &l.velocity, &l.pulls))
        .collect();
    for (set, l) in table {
        let theirs = if classical {
            l.classical.to_string()
        } else {
            "--classical".into()
        };
        let said = 100.0 * l.said / l.all.n.max(1) as f64;
        println!(
            "| {set} | {} | {said:.0} % | {} | {} | {} | {}, {} of {} | {theirs} |",
            l.all, l.z, l.accepted, l.kept, l.unfamiliar, l.errors, l.all.n
        );
    }
    println!(
        "\n| set | n right | median velocity, km/s | scatter | width of the pulls |\n| --- | --- | --- | --- | --- |"
    );
    velocities.iter().for_each(|l| println!("{l}"));
    println!();
    calibration("all sets", &judged);
    calibration("without the mangled DESI EDR", &sound);
    println!("\nper spectrum and core, in memory: network {ours:.2} ms");
    if let Some((_, fft, direct)) = baseline {
        println!(
            "template χ²: {fft:.0} ms by FFT ({:.0} ×), {direct:.0} ms scanned as Redrock does ({:.0} ×)",
            fft / ours,
            direct / ours
        );
    }
    Ok(tallies)
}

/// Median velocity with its 95 % interval (1.96 × 1.2533 σ/√n, σ from the median deviation).
fn velocity_line(set: &str, velocity: &[f64], pulls: &[f64]) -> String {
    let middle = summary(&mut velocity.to_vec()).median;
    let mut off: Vec<f64> = velocity.iter().map(|v| v - middle).collect();
    let scatter = summary(&mut off).width;
    let n = velocity.len();
    let half = 1.96 * 1.2533 * scatter / (n as f64).sqrt();
    format!(
        "| {set} | {n} | {middle:+.0} ± {half:.0} | {scatter:.0} | {:.2} |",
        summary(&mut pulls.to_vec()).width
    )
}

/// Mean probability against the share right, and the calibration error beside what chance alone
/// would give.
fn calibration(name: &str, judged: &[(f64, bool)]) {
    let n = judged.len().max(1);
    let p: Vec<f32> = judged.iter().map(|j| j.0 as f32).collect();
    let error = |right: &dyn Fn(usize) -> bool| 100.0 * calibration_error(&reliability(&p, right));
    let found = error(&|i| judged[i].1);
    // The same rows with answers that are right as often as they say.
    let by_chance: Vec<f64> = (0..200)
        .map(|k| {
            let mut rng = Stream::new(1, 0xCA1, k);
            let right: Vec<bool> = p.iter().map(|p| rng.chance(f64::from(*p))).collect();
            error(&|i| right[i])
        })
        .collect();
    let chance = by_chance.iter().sum::<f64>() / 200.0;
    let share =
        |f: &dyn Fn(&(f64, bool)) -> f64| 100.0 * judged.iter().map(f).sum::<f64>() / n as f64;
    let (said, was) = (share(&|j| j.0), share(&|j| f64::from(u8::from(j.1))));
    println!(
        "calibration, {name}: n = {n}, p_correct says {said:.1} %, right {was:.1} %, calibration error {found:.1} % ({chance:.1} % by chance alone)"
    );
}
