//! Figures of the page.

use slipher_systems::studies::stivaktakis2018::simulate::{
    Noise, Pool, Sample, Setting, Split, centre,
};
use slipher_systems::studies::stivaktakis2018::study::{Cell, LADDER, Study, short};

use super::super::figure::{Axis, COLOURS, Figure, GREY, escape};
use super::{Page, tested};

/// More colours than [`COLOURS`] (Okabe & Ito).
const MORE: [&str; 9] = [
    "#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#222222", "#8a8f98",
    "#a6761d",
];

fn legend(entries: &[(String, &str)]) -> String {
    entries
        .iter()
        .map(|(t, c)| format!("<span style=\"color:{c}\">━ {}</span>", escape(t)))
        .collect::<Vec<_>>()
        .join(" &nbsp; ")
}

/// Three spectra, clean and noisy.
pub fn spectra(study: &Study) -> String {
    let Ok(pool) = Pool::new(
        &slipher_systems::studies::stivaktakis2018::simulate::SedRecipe {
            count: 40,
            ..study.seds()
        },
        Setting::Published,
    ) else {
        return String::new();
    };
    let middle = |i: usize| 0.5 * (pool.edges[i] + pool.edges[i + 1]);
    let mut h = String::from("<div class=\"pair\">");
    for row in 0..2 {
        let sample = |noise| Sample {
            split: Split::Train,
            noise,
            centres: false,
            seed: study.seed,
        };
        let (clean, noisy) = (
            pool.draw(&sample(Noise::Clean), row),
            pool.draw(&sample(Noise::Fixed(1.0)), row),
        );
        // Strong lines would squeeze the continuum.
        let mut sorted = clean.flux.clone();
        sorted.sort_by(f32::total_cmp);
        let top = f64::from(sorted[sorted.len() - 4]).clamp(3.0, 12.0) * 1.1;
        let mut f = Figure::new(
            510.0,
            300.0,
            Axis::linear(pool.edges[0], 20_000.0, "observed wavelength / Å"),
            Axis::linear(-2.5, top, "flux / mean"),
        );
        let points = |flux: &[f32]| {
            flux.iter()
                .enumerate()
                .map(|(i, v)| (middle(i), f64::from(*v)))
                .collect::<Vec<_>>()
        };
        f.line(&points(&noisy.flux), "#c5cad3", 0.6, "");
        f.line(&points(&clean.flux), COLOURS[0], 1.1, "");
        for (k, (name, wave)) in [
            ("Hα", 6564.6),
            ("[S II]", 6725.0),
            ("[O III]", 5008.2),
            ("Hβ", 4862.7),
            ("[S III]", 9533.2),
        ]
        .into_iter()
        .enumerate()
        {
            f.mark(wave * (1.0 + clean.z), name, COLOURS[1], k % 2);
        }
        h += &format!(
            "<figure>{}<figcaption>z = {:.4}, class {}. Blue: clean; grey: S/N 1 per bin.</figcaption></figure>",
            f.svg("a spectrum"),
            clean.z,
            clean.class
        );
    }
    h + "</div>"
}

/// Accuracy against examples shown.
pub fn curves(p: &Page, runs: &[(&str, &str)], caption: &str) -> String {
    let most = runs
        .iter()
        .filter_map(|r| p.get(r.0)?.curve.last())
        .map(|l| l.shown as f64)
        .fold(1.0, f64::max);
    let mut f = Figure::new(
        510.0,
        340.0,
        Axis::linear(0.0, most, "examples shown"),
        Axis::linear(0.0, 1.0, "exact class"),
    );
    let mut entries = Vec::new();
    for (i, (name, label)) in runs.iter().enumerate() {
        let Some(run) = p.get(name) else { continue };
        let colour = MORE[i];
        f.line(
            &run.curve
                .iter()
                .map(|l| (l.shown as f64, l.validation_right))
                .collect::<Vec<_>>(),
            colour,
            2.0,
            "",
        );
        f.line(
            &run.curve
                .iter()
                .map(|l| (l.shown as f64, l.train_right))
                .collect::<Vec<_>>(),
            colour,
            1.3,
            "5 3",
        );
        entries.push((format!("{label}: {} examples", short(run.examples)), colour));
    }
    format!(
        "<figure>{}<figcaption>{}<br>{}</figcaption></figure>",
        f.svg("accuracy of training and validation"),
        legend(&entries),
        caption
    )
}

/// True against predicted redshift.
pub fn scatter(p: &Page, cell: &Cell, key: &str, title: &str) -> String {
    let Some(rows) = p.study.predictions(cell, key) else {
        return String::new();
    };
    let mut f = Figure::new(
        420.0,
        400.0,
        Axis::linear(1.0, 1.8, "true z"),
        Axis::linear(1.0, 1.8, "predicted z"),
    );
    let points: Vec<_> = rows
        .iter()
        .take(1500)
        .map(|r| (f64::from(r[0]), centre(r[1] as usize), String::new()))
        .collect();
    f.dots(&points, COLOURS[0], 1.3, 0.45);
    let exact = p
        .get(&cell.name)
        .and_then(|r| Some(tested(r, key)?.metrics.exact));
    format!(
        "<figure>{}<figcaption>{}. Exact class {}; the first {} of {} spectra are drawn.</figcaption></figure>",
        f.svg("true against predicted redshift"),
        escape(title),
        exact.map_or(String::new(), |e| e.to_string()),
        points.len(),
        rows.len()
    )
}

/// Accuracy against the size of the training set.
pub fn examples(p: &Page, key: &str) -> String {
    let s = p.study.scale.sizes();
    let lo = s
        .curve_shift
        .iter()
        .chain(s.curve_paper)
        .min()
        .copied()
        .unwrap_or(1) as f64;
    let mut f = Figure::new(
        510.0,
        360.0,
        Axis::log(lo * 0.7, s.most as f64 * 1.4, "training examples"),
        Axis::linear(0.0, 1.0, "exact class"),
    );
    let mut entries = Vec::new();
    for (network, label, sizes, colour) in [
        ("shift-noisy", "shift-equivariant", s.curve_shift, MORE[0]),
        ("paper3-noisy", "authors' network", s.curve_paper, MORE[1]),
    ] {
        let mut points = Vec::new();
        for n in sizes {
            let Some(t) = p.get(&p.name(network, *n)).and_then(|r| tested(r, key)) else {
                continue;
            };
            let e = t.metrics.exact;
            f.line(&[(*n as f64, e.lo), (*n as f64, e.hi)], colour, 1.2, "");
            points.push((*n as f64, e.value, format!("{label}, {}: {e}", short(*n))));
        }
        f.line(
            &points.iter().map(|p| (p.0, p.1)).collect::<Vec<_>>(),
            colour,
            2.0,
            "",
        );
        f.dots(&points, colour, 4.0, 1.0);
        entries.push((label.to_owned(), colour));
    }
    for (name, label, colour) in [
        (
            "own-template-noisy",
            "matched filter, own SED known",
            MORE[6],
        ),
        ("matched-noisy", "matched filter, library known", MORE[2]),
    ] {
        if let Some(t) = p.get(name).and_then(|r| tested(r, key)) {
            let y = t.metrics.exact.value;
            f.line(
                &[(lo * 0.5, y), (s.most as f64 * 2.0, y)],
                colour,
                1.0,
                "4 3",
            );
            entries.push((label.to_owned(), colour));
        }
    }
    format!(
        "<figure>{}<figcaption>{}<br>S/N {}. Bars: 95 %.</figcaption></figure>",
        f.svg("accuracy against the number of examples"),
        legend(&entries),
        key.trim_start_matches("snr-")
    )
}

/// Methods of the figures against S/N.
pub fn shown(p: &Page) -> Vec<(String, &'static str, &'static str)> {
    let s = p.study.scale.sizes();
    let best = s
        .curve_shift
        .iter()
        .rev()
        .find(|n| p.get(&p.name("shift-noisy", **n)).is_some())
        .copied()
        .unwrap_or(s.few);
    let mut out = vec![
        (p.name("shift-noisy", best), "", MORE[0]),
        (p.name("shift-noisy", s.few), "6 3", MORE[0]),
        (p.name("paper3-noisy", s.most), "", MORE[1]),
        (p.name("paper3-noisy", s.few), "6 3", MORE[1]),
        ("matched-noisy".into(), "", MORE[2]),
        ("own-template-noisy".into(), "3 3", MORE[6]),
        ("pca-forest-noisy".into(), "", MORE[3]),
        ("pca-svm-noisy".into(), "", MORE[4]),
        ("pca-knn-noisy".into(), "", MORE[5]),
    ];
    out.dedup_by(|a, b| a.0 == b.0);
    out
}

/// Accuracy against S/N: exact class, or within 0.0033 (1+z).
pub fn ladder(p: &Page, exact: bool) -> String {
    let mut f = Figure::new(
        510.0,
        400.0,
        Axis::log(0.28, 10.8, "S/N per bin"),
        Axis::linear(
            0.0,
            1.0,
            if exact {
                "exact class"
            } else {
                "|Δz|/(1+z) < 0.0033"
            },
        ),
    );
    let mut entries = Vec::new();
    for (name, dash, colour) in shown(p) {
        let Some(r) = p.get(&name) else { continue };
        let mut points = Vec::new();
        for snr in LADDER {
            let Some(t) = tested(r, &format!("snr-{snr}")) else {
                continue;
            };
            let s = if exact {
                t.metrics.exact
            } else {
                t.metrics.close
            };
            f.line(&[(snr, s.lo), (snr, s.hi)], colour, 0.8, "");
            points.push((snr, s.value));
        }
        f.line(&points, colour, 1.8, dash);
        entries.push((
            format!(
                "{}{}",
                r.title,
                if dash.is_empty() { "" } else { " (dashed)" }
            ),
            colour,
        ));
    }
    format!(
        "<figure>{}<figcaption>{}</figcaption></figure>",
        f.svg("accuracy against S/N"),
        legend(&entries)
    )
}

/// Reliability of being within 0.0033 (1+z) at low S/N.
pub fn reliability(p: &Page) -> String {
    let s = p.study.scale.sizes();
    let mut f = Figure::new(
        510.0,
        400.0,
        Axis::linear(0.0, 1.0, "probability of being within 0.0033 (1+z)"),
        Axis::linear(0.0, 1.0, "share that is"),
    );
    f.line(&[(0.0, 0.0), (1.0, 1.0)], GREY, 1.0, "");
    let mut entries = Vec::new();
    for (i, key) in ["snr-0.5", "snr-1", "snr-2"].into_iter().enumerate() {
        let Some(t) = p
            .get(&p.name("shift-noisy", s.few))
            .and_then(|r| tested(r, key))
        else {
            continue;
        };
        f.line(
            &t.reliability.iter().map(|b| (b.0, b.1)).collect::<Vec<_>>(),
            MORE[i],
            1.4,
            "",
        );
        f.dots(
            &t.reliability
                .iter()
                .map(|b| (b.0, b.1, format!("{} spectra", b.2)))
                .collect::<Vec<_>>(),
            MORE[i],
            3.0,
            1.0,
        );
        entries.push((format!("S/N {}", key.trim_start_matches("snr-")), MORE[i]));
    }
    format!(
        "<figure>{}<figcaption>{}<br>Shift-equivariant network, {} examples; fifteen bins of equal number.</figcaption></figure>",
        f.svg("reliability diagram"),
        legend(&entries),
        short(s.few)
    )
}

/// Purity against completeness.
pub fn purity(p: &Page) -> String {
    let mut f = Figure::new(
        510.0,
        400.0,
        Axis::linear(0.0, 1.0, "completeness: share kept"),
        Axis::linear(0.4, 1.005, "purity: share of the kept within 0.0033 (1+z)"),
    );
    let mut entries = Vec::new();
    for (name, dash, colour) in shown(p) {
        let Some(t) = p.get(&name).and_then(|r| tested(r, "snr-0.5")) else {
            continue;
        };
        f.line(&t.purity, colour, 1.6, dash);
        entries.push((
            p.get(&name).map_or(String::new(), |r| r.title.clone()),
            colour,
        ));
    }
    format!(
        "<figure>{}<figcaption>{}<br>S/N 0.5: spectra kept from the most probable down.</figcaption></figure>",
        f.svg("purity against completeness"),
        legend(&entries)
    )
}
