//! One spectrum with its lines and its posterior.

use slipher_data::spectrum::median;
use slipher_sim::lines::{LINES, Look};
use slipher_sim::sed::SpecType;
use slipher_systems::redshift::lag::{LAGS, lag_of, redshift_of};
use slipher_systems::redshift::pipeline::Kept;

use super::figure::{Axis, COLOURS, Figure, GREY, escape};

/// Points drawn per spectrum.
const POINTS: usize = 800;

pub fn entry(k: &Kept) -> String {
    let Some(best) = k.row.measurement.best() else {
        return String::new();
    };
    let s = &k.spectrum;
    let size = s.wave.len().div_ceil(POINTS).max(1);
    let (mut line, mut error) = (Vec::new(), Vec::new());
    for start in (0..s.wave.len()).step_by(size) {
        let range = start..(start + size).min(s.wave.len());
        let weight: f64 = s.ivar[range.clone()].iter().map(|v| f64::from(*v)).sum();
        let wave = s.wave[range.clone()].iter().sum::<f64>() / range.len() as f64;
        if weight > 0.0 {
            let sum: f64 = range
                .clone()
                .map(|i| f64::from(s.flux[i]) * f64::from(s.ivar[i]))
                .sum();
            line.push((wave, sum / weight));
            error.push((wave, weight.powf(-0.5)));
        } else {
            line.push((wave, f64::NAN));
        }
    }
    let mut sorted: Vec<f64> = line.iter().map(|p| p.1).filter(|f| f.is_finite()).collect();
    sorted.sort_by(f64::total_cmp);
    if sorted.is_empty() {
        return String::new();
    }
    let (lo, hi) = (
        sorted[sorted.len() / 100].min(0.0),
        sorted[sorted.len().saturating_sub(3)],
    );
    let (first, last) = (line[0].0, line[line.len() - 1].0);
    let unit = if s.flux_unit.is_empty() {
        "flux".to_owned()
    } else {
        format!("flux / {}", short(&s.flux_unit))
    };
    let mut f = Figure::new(
        720.0,
        250.0,
        Axis::linear(first, last, "vacuum wavelength / Å"),
        Axis::linear(lo - 0.05 * (hi - lo), hi + 0.3 * (hi - lo), &unit),
    );
    f.line(&error, GREY, 0.6, "");
    f.line(&line, "#111", 0.7, "");
    marks(&mut f, best.class, best.z, &line, (first, last));
    let truth = k.row.truth.as_ref().map_or(String::new(), |t| {
        format!(
            ", known: {} z = {:.4}{}",
            escape(&t.spectype),
            t.z,
            if t.zwarn != 0 { " (flagged)" } else { "" }
        )
    });
    let name = if k.row.object_id.is_empty() {
        &k.row.origin.file
    } else {
        &k.row.object_id
    };
    format!(
        "<div class=\"pair\"><figure>{}<figcaption><b>{}</b>: {} z = {:.5} ± {:.5}, p_correct {:.3}, S/N {:.1}{truth}</figcaption></figure><figure>{}</figure></div>",
        f.svg("spectrum with identified lines"),
        escape(name),
        best.class.name(),
        best.z,
        best.z_err,
        best.probability,
        k.row.measurement.snr_median,
        posterior(k)
    )
}

/// Marks the lines of the list that fall into the window, a few words high so that labels do not
/// collide.
fn marks(f: &mut Figure, class: SpecType, z: f64, line: &[(f64, f64)], (first, last): (f64, f64)) {
    let mut flux: Vec<f32> = line
        .iter()
        .map(|p| p.1 as f32)
        .filter(|x| x.is_finite())
        .collect();
    let _ = median(&mut flux);
    let mut ends = [f64::NEG_INFINITY; 4];
    for l in LINES {
        let at = l.wave * (1.0 + z);
        let shown = match class {
            SpecType::Galaxy => true,
            SpecType::Qso => l.look != Look::Absorption,
            SpecType::Star => l.look != Look::Emission,
        };
        if !shown || at < first || at > last {
            continue;
        }
        let px = f.px(at);
        // Four rows of labels; a label that would cover another in all rows is left out.
        let Some(level) = ends.iter().position(|e| *e < px) else {
            continue;
        };
        ends[level] = px + 6.0 * l.name.chars().count() as f64 + 4.0;
        let colour = if l.look == Look::Absorption {
            "#b03030"
        } else {
            COLOURS[0]
        };
        f.mark(at, l.name, colour, level);
    }
}

/// The posterior over ln(1+z), one curve a class, scaled to the highest.
fn posterior(k: &Kept) -> String {
    let top = k.posterior.iter().flatten().copied().fold(1e-12, f64::max);
    let mut f = Figure::new(
        330.0,
        250.0,
        Axis::linear(redshift_axis(-0.01), redshift_axis(20.0), "ln(1 + z)"),
        Axis::log(1e-5, 2.0, "p(z) / max"),
    );
    let floor = lag_of(-0.005) as usize;
    for (c, row) in k.posterior.iter().enumerate() {
        // The highest lag of each few, so that no peak is lost.
        let points: Vec<(f64, f64)> = (floor..LAGS)
            .step_by(8)
            .map(|l| {
                let high = row[l..(l + 8).min(LAGS)]
                    .iter()
                    .copied()
                    .fold(0.0, f64::max);
                ((1.0 + redshift_of(l as f64)).ln(), (high / top).max(1e-6))
            })
            .collect();
        f.line(&points, COLOURS[c], 1.0, "");
    }
    f.svg("posterior probability of redshift")
}

fn redshift_axis(z: f64) -> f64 {
    (1.0 + z).ln()
}

fn short(unit: &str) -> String {
    unit.chars().take(34).collect()
}
