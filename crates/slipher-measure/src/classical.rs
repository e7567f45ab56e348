//! The classical method on real rows: template χ² with a basis made of the template folder.

use std::path::Path;
use std::time::Instant;

use rayon::prelude::*;
use slipher_data::grid::resample;
use slipher_sim::templates::Library;
use slipher_systems::redshift::encode::FINE;
use slipher_systems::redshift::template_fit::{TemplateAnswer, TemplateFit};

use crate::truth::Known;

/// Answers of the scan, its time per spectrum by FFT and by scanning directly, in ms.
pub fn run(
    data: &Path,
    known: &[Known],
) -> Result<(Vec<Option<TemplateAnswer>>, f64, f64), String> {
    let mut library = Library::builtin();
    library
        .add_folder(&data.join("templates"))
        .map_err(|e| e.to_string())?;
    let fit = TemplateFit::new(&library, 1);
    let grids: Vec<_> = known
        .iter()
        .map(|k| resample(&k.spectrum, &FINE, 2))
        .collect();
    let start = Instant::now();
    let answers: Vec<_> = grids.par_iter().map(|r| fit.fit(r)).collect();
    let cores = rayon::current_num_threads() as f64;
    let fft = 1e3 * start.elapsed().as_secs_f64() * cores / grids.len().max(1) as f64;
    let start = Instant::now();
    let n = grids.len().min(3);
    for r in &grids[..n] {
        std::hint::black_box(fit.fit_direct(r));
    }
    Ok((
        answers,
        fft,
        1e3 * start.elapsed().as_secs_f64() / n.max(1) as f64,
    ))
}
