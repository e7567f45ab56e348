//! The failure atlas: outcomes, pile-ups and their causes, honesty of errors and distributions.

use std::fmt::Write;

use slipher_sim::sed::SpecType;
use slipher_stats::calibration::{CalibrationSummary, uniform};
use slipher_systems::redshift::atlas::{Outcomes, pile_ups};
use slipher_systems::redshift::catalogue::Row;

use super::figure::{Axis, COLOURS, Figure, GREY, escape};
use super::{Pair, legend};

/// Outcomes by class; Redrock's names for them.
pub fn outcomes(rows: &[Row]) -> String {
    let mut h = String::from(
        "<table><tr><th>class</th><th>good: right, accepted</th><th>fail: wrong, accepted</th><th>miss: right, not accepted</th><th>lost: wrong, not accepted</th>\
         <th>accepted of all</th><th>of the accepted within 0.001 (1+z)</th></tr>",
    );
    for class in SpecType::ALL {
        let o = Outcomes::of(rows, class);
        if o.completeness.n > 0 {
            let _ = write!(
                h,
                "<tr><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td></tr>",
                class.name(),
                o.good,
                o.fail,
                o.miss,
                o.lost,
                o.completeness,
                o.purity
            );
        }
    }
    h + "</table><p class=\"note\">The last two columns are completeness and purity as Euclid's requirement R-GC.2.1-2 defines them.</p>"
}

/// Calibration and pulls by S/N and by the redshift answered.
pub fn by_snr_and_z(pairs: &[Pair]) -> String {
    let inf = f64::INFINITY;
    by(
        "median S/N",
        pairs,
        &[
            (-inf, inf),
            (-inf, 1.0),
            (1.0, 2.0),
            (2.0, 4.0),
            (4.0, 8.0),
            (8.0, inf),
        ],
        |p| p.snr,
    ) + &by(
        "z answered",
        pairs,
        &[
            (-inf, 0.01),
            (0.01, 0.3),
            (0.3, 0.8),
            (0.8, 1.6),
            (1.6, 3.0),
            (3.0, inf),
        ],
        |p| p.z,
    )
}

fn by(title: &str, pairs: &[Pair], bins: &[(f64, f64)], key: impl Fn(&Pair) -> f64) -> String {
    let mut h = format!(
        "<table><tr><th>{title}</th><th>right</th><th>mean p_correct</th><th>calibration error</th><th>width of pulls, p_correct &gt; 0.99</th></tr>",
    );
    for &(lo, hi) in bins {
        let inside = pairs.iter().filter(|p| key(p) >= lo && key(p) < hi);
        let pull = |p: &Pair| {
            p.row
                .measurement
                .best()
                .map_or(f64::NAN, |b| (p.z - p.truth.1) / b.z_err)
        };
        let own: Vec<(f64, bool, f64)> = inside.map(|p| (p.p, p.right, pull(p))).collect();
        let Some(CalibrationSummary {
            correct: right,
            mean_probability: said,
            error,
            pulls,
            n_confident: sure,
        }) = CalibrationSummary::of(&own)
        else {
            continue;
        };
        let error = if right.n >= 30 {
            format!("{:.1} %", 100.0 * error)
        } else {
            "–".into()
        };
        let width = if sure >= 10 {
            format!(
                "{:.2}, median {:+.2} (n = {sure}, {:.1} % beyond 5)",
                pulls.width,
                pulls.median,
                100.0 * pulls.far
            )
        } else {
            "–".into()
        };
        let name = match (lo.is_finite(), hi.is_finite()) {
            (false, false) => "all".to_owned(),
            (false, true) => format!("below {hi}"),
            (true, true) => format!("{lo} to {hi}"),
            (true, false) => format!("above {lo}"),
        };
        let _ = write!(
            h,
            "<tr><td>{name}</td><td>{right}</td><td>{:.1} %</td><td>{error}</td><td>{width}</td></tr>",
            100.0 * said
        );
    }
    h + "</table>"
}

/// Histogram of the probability integral transform, with Kolmogorov's test, and the mean CRPS.
pub fn pit(pairs: &[Pair]) -> String {
    let pit_crps: Vec<(f64, f64)> = pairs
        .iter()
        .filter_map(|p| p.row.measurement.pit_crps)
        .collect();
    if pit_crps.len() < 30 {
        return String::new();
    }
    let mut counts = [0usize; 20];
    pit_crps
        .iter()
        .for_each(|j| counts[((j.0 * 20.0) as usize).min(19)] += 1);
    let high = counts.iter().copied().max().unwrap_or(1) as f64;
    let mut f = Figure::new(
        500.0,
        300.0,
        Axis::linear(0.0, 1.0, "PIT: probability below the true z"),
        Axis::linear(0.0, high * 1.08, "spectra"),
    );
    for (i, n) in counts.iter().enumerate() {
        f.bar(
            i as f64 / 20.0,
            (i + 1) as f64 / 20.0,
            0.0,
            *n as f64,
            COLOURS[0],
        );
    }
    let level = pit_crps.len() as f64 / 20.0;
    f.line(&[(0.0, level), (1.0, level)], GREY, 1.0, "4 3");
    let mut values: Vec<f64> = pit_crps.iter().map(|j| j.0).collect();
    let (d, p) = uniform(&mut values);
    let crps = pit_crps.iter().map(|j| j.1).sum::<f64>() / pit_crps.len() as f64;
    format!(
        "<figure>{}<figcaption>Flat if p(z) is calibrated; high ends: too narrow. Kolmogorov D = {d:.3}, p = {p:.2e}, n = {}; mean CRPS {crps:.2e}.</figcaption></figure>",
        f.svg("probability integral transform"),
        pit_crps.len()
    )
}

/// N(z), raw and weighted by p_correct, and pile-ups with what lies behind them.
pub fn piles(rows: &[Row]) -> String {
    let found = pile_ups(rows);
    let best: Vec<(SpecType, f64, f64)> = rows
        .iter()
        .filter_map(|r| r.measurement.best().map(|b| (b.class, b.z, b.probability)))
        .filter(|b| b.0 != SpecType::Star)
        .collect();
    if best.is_empty() {
        return String::new();
    }
    let top = best.iter().map(|b| (1.0 + b.1).ln()).fold(0.05, f64::max);
    let bins = 120;
    let mut raw = vec![0.0; bins];
    let mut weighted = vec![0.0; bins];
    for (_, z, p) in &best {
        let i = (((1.0 + z).max(1.0).ln() / top * bins as f64) as usize).min(bins - 1);
        raw[i] += 1.0;
        weighted[i] += p;
    }
    let high: f64 = raw.iter().copied().fold(1.0, f64::max);
    let mut f = Figure::new(
        1020.0,
        280.0,
        Axis::linear(0.0, top, "ln(1+z)"),
        Axis::linear(0.0, high * 1.15, "galaxies and quasars"),
    );
    for i in 0..bins {
        let (lo, hi) = (
            top * i as f64 / bins as f64,
            top * (i + 1) as f64 / bins as f64,
        );
        f.bar(lo, hi, 0.0, raw[i], "#c5cad3");
        f.bar(lo, hi, 0.0, weighted[i], COLOURS[0]);
    }
    for (k, p) in found.iter().take(6).enumerate() {
        f.mark(
            (1.0 + 0.5 * (p.z.0 + p.z.1)).ln(),
            &format!("z {:.3}", p.z.0),
            COLOURS[1],
            k % 2,
        );
    }
    let mut h = format!(
        "<figure>{}<figcaption>N(z): grey all, blue weighted by p_correct. Marked: pile-ups.</figcaption></figure>",
        f.svg("N(z), raw and weighted")
    );
    if found.is_empty() {
        return h
            + "<p>No pile-up: no range of 600 km/s holds more redshifts than its surroundings let expect (Poisson, 10⁻⁶).</p>";
    }
    h.push_str("<table><tr><th>class</th><th>z</th><th>rows</th><th>expected</th><th>accepted</th><th>in common</th></tr>");
    for p in found.iter().take(30) {
        let _ = write!(
            h,
            "<tr><td>{}</td><td>{:.4}–{:.4}</td><td>{}</td><td>{:.1}</td><td>{:.0} %</td><td>{}</td></tr>",
            p.class.name(),
            p.z.0,
            p.z.1,
            p.n,
            p.expected,
            100.0 * p.accepted,
            escape(&p.cause)
        );
    }
    h.push_str("</table><p class=\"note\">A pile-up may be real (a cluster, targets chosen by redshift). Where most of its rows are not accepted, or their strongest line lies where the sky or the instrument has something, it is not. ");
    let _ = write!(h, "{}</p>", legend());
    h
}
