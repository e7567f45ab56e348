//! `cargo xtask real`: success on real spectra, with intervals.

use std::collections::BTreeMap;
use std::path::Path;

use rayon::prelude::*;
use slipher_nn::shiftnet::Tape;
use slipher_systems::redshift::measure::measure;
use slipher_systems::redshift::model::Model;
use slipher_systems::redshift::score::{Tally, success};

use crate::truth::load;

/// Prints a table of success by set and every miss.
pub fn run(data: &Path, model: &Path) -> Result<(), String> {
    let model = Model::read(model).map_err(|e| e.to_string())?;
    let known = load(data)?;
    let answers: Vec<_> = known.par_iter().map_init(Tape::default, |tape, k| measure(&model, &k.spectrum, tape)).collect();
    let mut table: BTreeMap<&str, (Tally, Tally)> = BTreeMap::new();
    for (k, m) in known.iter().zip(&answers) {
        let best = m.answer.as_ref().and_then(|a| a.solutions.first());
        let right = best.is_some_and(|b| success(k.truth, b.class, b.z));
        let row = table.entry(k.set).or_default();
        row.0.add(right);
        if let Some(b) = best.filter(|b| b.probability > 0.9) {
            row.1.add(success(k.truth, b.class, b.z));
        }
        if !right {
            let got = best.map_or("nothing".into(), |b| format!("{} {:.4} (p {:.2})", b.class.name(), b.z, b.probability));
            println!("  missed {}: {} {:.4}, got {got}; S/N {:.1}", k.name, k.truth.0.name(), k.truth.1, m.snr_median);
        }
    }
    println!("| set | right | of those with p_correct > 0.9 |\n| --- | --- | --- |");
    for (set, (all, sure)) in table {
        println!("| {set} | {all} | {sure} |");
    }
    Ok(())
}
