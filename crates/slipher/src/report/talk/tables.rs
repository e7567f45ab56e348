//! Tables of the page.

use std::fmt::Write;

use slipher_systems::studies::stivaktakis2018::score::{Metrics, Share};
use slipher_systems::studies::stivaktakis2018::simulate::Setting;
use slipher_systems::studies::stivaktakis2018::study::{Finished, LADDER, OTHER, short};

use super::super::figure::escape;
use super::{Page, on, tested};

fn table(head: &[&str], rows: &[Vec<String>]) -> String {
    let mut h = String::from("<div class=\"wide\"><table><tr>");
    head.iter().for_each(|t| h += &format!("<th>{t}</th>"));
    h += "</tr>";
    for r in rows {
        h += "<tr>";
        r.iter().for_each(|c| h += &format!("<td>{c}</td>"));
        h += "</tr>";
    }
    h + "</table></div>"
}

fn share(f: &Finished, key: &str, of: impl Fn(&Metrics) -> Share) -> String {
    tested(f, key).map_or("–".into(), |t| of(&t.metrics).to_string())
}

/// S/N at which the authors' network, trained on most, names 80 % of the classes; by interpolation
/// in log S/N.
fn eighty(p: &Page) -> Option<(f64, f64)> {
    let s = p.study.scale.sizes();
    let r = p.get(&p.name("paper3-noisy", s.most))?;
    let points: Vec<(f64, f64)> = LADDER
        .iter()
        .filter_map(|snr| Some((*snr, tested(r, &format!("snr-{snr}"))?.metrics.exact.value)))
        .collect();
    let w = points.windows(2).find(|w| w[0].1 < 0.8 && w[1].1 >= 0.8)?;
    let t = (0.8 - w[0].1) / (w[1].1 - w[0].1);
    Some(((w[0].0.ln() + t * (w[1].0 / w[0].0).ln()).exp(), t))
}

/// Exact class at an S/N between two of the ladder.
fn at_snr(f: &Finished, snr: f64) -> Option<f64> {
    let w = LADDER.windows(2).find(|w| w[0] <= snr && snr <= w[1])?;
    let value = |s: f64| Some(tested(f, &format!("snr-{s}"))?.metrics.exact.value);
    let t = (snr / w[0]).ln() / (w[1] / w[0]).ln();
    Some((1.0 - t) * value(w[0])? + t * value(w[1])?)
}

/// The aims of the study, and what came out.
pub fn findings(p: &Page) -> String {
    let mut items = clean_findings(p);
    items.extend(noisy_findings(p));
    if items.is_empty() {
        return String::new();
    }
    let list: String = items.iter().map(|i| format!("<li>{i}</li>")).collect();
    format!("<ul>{list}</ul>")
}

fn clean_findings(p: &Page) -> Vec<String> {
    let s = p.study.scale.sizes();
    let mut items = Vec::new();
    let get = |network: &str, n: u64| p.get(&p.name(network, n));
    if let (Some(three), Some(one)) = (get("paper3-clean", s.many), get("paper1-clean", s.many)) {
        items.push(format!(
            "Clean, {} examples: three convolutions {}, one {} (exact class).",
            short(s.many),
            share(three, "clean", |m| m.exact),
            share(one, "clean", |m| m.exact)
        ));
    }
    if let Some(r) = get("shift-clean", s.few) {
        let own = p.get("own-template-noisy").map_or(String::new(), |f| {
            format!(
                " (the filter that knows each SED: {})",
                share(f, "clean", |m| m.exact)
            )
        });
        items.push(format!(
            "Shift-equivariant network, clean, {} examples: {} where redshifts are class centres; {} where they are continuous and some lie at the edge of their class{own}.",
            short(s.few),
            share(r, "clean-centres", |m| m.exact),
            share(r, "clean", |m| m.exact),
        ));
    }
    items
}

fn noisy_findings(p: &Page) -> Vec<String> {
    let s = p.study.scale.sizes();
    let mut items = Vec::new();
    let get = |network: &str, n: u64| p.get(&p.name(network, n));
    if let (Some((snr, _)), Some(paper)) = (eighty(p), get("paper3-noisy", s.most)) {
        let rows: Vec<String> = s
            .curve_shift
            .iter()
            .filter_map(|n| {
                Some(format!(
                    "{:.1} % from {}",
                    100.0 * at_snr(get("shift-noisy", *n)?, snr)?,
                    short(*n)
                ))
            })
            .collect();
        items.push(format!(
            "At S/N {snr:.2}, where the authors' network reaches {:.1} % from {} examples, the shift-equivariant network reaches {}.",
            100.0 * at_snr(paper, snr).unwrap_or(0.8),
            short(s.most),
            rows.join(", ")
        ));
    }
    if let Some(r) = s
        .curve_shift
        .iter()
        .rev()
        .find_map(|n| get("shift-noisy", *n))
    {
        items.push(format!(
            "{}: within 0.0033 (1+z) at S/N 5 {}, at S/N 2 {}, at S/N 1 {}.",
            escape(&r.title),
            share(r, "snr-5", |m| m.close),
            share(r, "snr-2", |m| m.close),
            share(r, "snr-1", |m| m.close)
        ));
        if let Some(t) = tested(r, "mixed") {
            items.push(format!(
                "Its expected calibration error over the whole range of S/N is {:.2} % (exact class) and {:.2} % (within 0.0033).",
                100.0 * t.metrics.ece,
                100.0 * t.metrics.ece_close
            ));
        }
        let worst = r
            .tests
            .iter()
            .filter(|t| t.key.starts_with("snr-"))
            .map(|t| t.metrics.ece_close.max(t.metrics.ece))
            .fold(0.0, f64::max);
        items.push(format!("The largest at any single S/N is {:.2} %; of perfect probabilities about 0.7 % would be seen in so many spectra.", 100.0 * worst));
        if let Some(m) = p.get("matched-noisy") {
            let gaps: Vec<String> = LADDER
                .iter()
                .filter_map(|snr| {
                    let key = format!("snr-{snr}");
                    let d =
                        tested(r, &key)?.metrics.close.value - tested(m, &key)?.metrics.close.value;
                    // Minus zero is zero.
                    Some(format!("{snr}: {:+.1}", (1000.0 * d).round() / 10.0 + 0.0))
                })
                .collect();
            items.push(format!(
                "Points above (+) or below (−) the matched filter that knows the library and the noise, within 0.0033 (1+z), by S/N: {}.",
                gaps.join("; ")
            ));
        }
    }
    items
}

/// Clean and noisy, every method.
pub fn comparison(p: &Page) -> String {
    let clean = on(p, Setting::Published).filter(|f| f.name.contains("clean"));
    let mut h = String::from("<p>Clean spectra, continuous redshifts.</p>");
    let row = |f: &Finished, keys: &[&str]| -> Vec<String> {
        let mut r = vec![
            escape(&f.title),
            if f.examples > 0 {
                short(f.examples)
            } else {
                "–".into()
            },
            time(f.seconds),
        ];
        r.extend(keys.iter().map(|k| share(f, k, |m| m.exact)));
        r.extend(keys.iter().map(|k| share(f, k, |m| m.close)));
        r
    };
    h += &table(
        &[
            "method",
            "examples",
            "training",
            "exact class",
            "within 0.0033 (1+z)",
        ],
        &clean.map(|f| row(f, &["clean"])).collect::<Vec<_>>(),
    );
    h += "<p>Noisy spectra: exact class and |Δz|/(1+z) &lt; 0.0033 at S/N 0.5, 1 and 5. A spectrum whose class is guessed is exact once in 800.</p>";
    let noisy = on(p, Setting::Published).filter(|f| f.name.contains("noisy"));
    h += &table(
        &[
            "method",
            "examples",
            "training",
            "exact, S/N 0.5",
            "S/N 1",
            "S/N 5",
            "within 0.0033, S/N 0.5",
            "S/N 1",
            "S/N 5",
        ],
        &noisy
            .map(|f| row(f, &["snr-0.5", "snr-1", "snr-5"]))
            .collect::<Vec<_>>(),
    );
    h += "<details><summary>What was searched on the validation set, and chosen</summary>";
    for f in on(p, Setting::Published).filter(|f| !f.search.is_empty()) {
        let chosen = f
            .settings
            .get("chosen")
            .and_then(|v| v.as_str())
            .unwrap_or_default();
        let _ = write!(
            h,
            "<p class=\"note\"><b>{}</b>: {}. Chosen: {}.</p>",
            escape(&f.title),
            escape(&f.search.join("; ")),
            escape(chosen)
        );
    }
    h + "</details>"
}

fn time(seconds: f64) -> String {
    match seconds {
        s if s <= 0.0 => "–".into(),
        s if s < 100.0 => format!("{s:.1} s"),
        s => format!("{:.0} min", s / 60.0),
    }
}

/// Losses and optimisers, and the authors' own number.
pub fn variants(p: &Page) -> String {
    let base = p.name("paper3-noisy", p.study.scale.sizes().few);
    let rows: Vec<Vec<String>> = p
        .done
        .iter()
        .filter(|(c, _)| c.name.starts_with("variant") || c.name == base)
        .map(|(c, f)| {
            let shown = f.curve.last().map_or(0, |l| l.shown);
            vec![
                if c.name == base {
                    "authors' network, cross-entropy, Adam".into()
                } else {
                    escape(&f.title)
                },
                short(f.examples),
                short(shown),
                share(f, "snr-1", |m| m.exact),
                share(f, "snr-5", |m| m.exact),
                share(f, "clean", |m| m.exact),
            ]
        })
        .collect();
    let mut h = table(
        &[
            "three convolutions, noisy spectra",
            "examples",
            "shown",
            "exact, S/N 1",
            "S/N 5",
            "clean",
        ],
        &rows,
    );
    if let Some((f, last)) = p.get("notebook").and_then(|f| Some((f, f.curve.last()?))) {
        let _ = write!(
            h,
            "<h2>The authors' own number</h2><p>Their released notebook trains on 5000 examples (Adam 10⁻⁴, batches of 32, 20 epochs, L2 0.2 on the 512 units, no scaling) and prints a validation accuracy of              <b>0.216</b>. The same network and settings here: <b>{:.3}</b> of {} validation spectra after {} examples shown; training {:.3} (without dropout); on the test set {}. The data differ: theirs are              COSMOS mock SEDs at the scale of the catalogue, ours built-in SEDs scaled to a mean of 1, and their splits are by copy.</p>",
            last.validation_right,
            last.n,
            last.shown,
            last.train_right,
            share(f, "clean", |m| m.exact)
        );
    }
    h
}

/// The factor in examples between the networks.
pub fn factor(p: &Page) -> String {
    let s = p.study.scale.sizes();
    let mut rows = Vec::new();
    for snr in LADDER.iter().filter(|s| **s <= 2.0) {
        let key = format!("snr-{snr}");
        let mut row = vec![format!("S/N {snr}")];
        for (network, sizes) in [
            ("shift-noisy", s.curve_shift),
            ("paper3-noisy", s.curve_paper),
        ] {
            for n in sizes {
                row.push(
                    p.get(&p.name(network, *n))
                        .map_or("–".into(), |f| share(f, &key, |m| m.exact)),
                );
            }
        }
        rows.push(row);
    }
    let mut head: Vec<String> = vec!["exact class".into()];
    head.extend(
        s.curve_shift
            .iter()
            .map(|n| format!("shift-equivariant, {}", short(*n))),
    );
    head.extend(
        s.curve_paper
            .iter()
            .map(|n| format!("authors', {}", short(*n))),
    );
    table(&head.iter().map(String::as_str).collect::<Vec<_>>(), &rows)
}

/// Calibration at each S/N.
pub fn calibration(p: &Page) -> String {
    let s = p.study.scale.sizes();
    let names: Vec<String> = s
        .curve_shift
        .iter()
        .rev()
        .take(2)
        .map(|n| p.name("shift-noisy", *n))
        .chain([p.name("paper3-noisy", s.most), "matched-noisy".into()])
        .collect();
    let mut rows = Vec::new();
    for f in names.iter().filter_map(|n| p.get(n)) {
        let mut row = vec![escape(&f.title)];
        for key in std::iter::once("mixed".to_owned()).chain(LADDER.map(|s| format!("snr-{s}"))) {
            let cell = tested(f, &key).map(|t| {
                format!(
                    "{:.1} / {:.1}",
                    100.0 * t.metrics.ece,
                    100.0 * t.metrics.ece_close
                )
            });
            row.push(cell.unwrap_or("–".into()));
        }
        rows.push(row);
    }
    let head: Vec<String> = [
        "expected calibration error, %".to_owned(),
        "all S/N".to_owned(),
    ]
    .into_iter()
    .chain(LADDER.map(|s| format!("S/N {s}")))
    .collect();
    table(&head.iter().map(String::as_str).collect::<Vec<_>>(), &rows)
        + "<p class=\"note\">Of the exact class / of being within 0.0033 (1+z). The sharpness of the softmax follows the noise that a spectrum shows; it is fitted on the validation set.</p>"
}

/// Wrong by the ratio of two lines.
pub fn confusions(p: &Page) -> String {
    let s = p.study.scale.sizes();
    let names = [
        p.name("shift-noisy", s.few),
        p.name("paper3-noisy", s.most),
        "matched-noisy".into(),
    ];
    let mut rows = Vec::new();
    for f in names.iter().filter_map(|n| p.get(n)) {
        for key in ["snr-0.5", "snr-1"] {
            let Some(t) = tested(f, key) else { continue };
            let mut row = vec![format!(
                "{}, S/N {}",
                escape(&f.title),
                key.trim_start_matches("snr-")
            )];
            row.extend(t.confusions.iter().map(|c| format!("{:.2} %", 100.0 * c.1)));
            row.push(format!("{:.2} %", 100.0 * t.metrics.outliers.value));
            rows.push(row);
        }
    }
    let labels: Vec<String> = slipher_systems::studies::stivaktakis2018::score::CONFUSIONS
        .iter()
        .map(|c| c.0.to_owned())
        .collect();
    let mut head = vec!["share of all spectra"];
    head.extend(labels.iter().map(String::as_str));
    head.push("all beyond 0.0033");
    table(&head, &rows)
}

/// The instrument-true setting.
pub fn nisp(p: &Page) -> String {
    let rows: Vec<Vec<String>> = on(p, Setting::Nisp)
        .map(|f| {
            let mut r = vec![
                escape(&f.title),
                if f.examples > 0 {
                    short(f.examples)
                } else {
                    "–".into()
                },
            ];
            r.extend(["snr-0.5", "snr-1", "snr-2", "snr-5"].map(|k| share(f, k, |m| m.close)));
            r.push(share(f, "snr-5", |m| m.exact));
            r.push(tested(f, "snr-5").map_or("–".into(), |t| format!("{:.1e}", t.metrics.nmad)));
            r
        })
        .collect();
    "<p>12060–18920 Å, 512 pixels of 13.4 Å, line-spread function R 420–620, noise rising to the ends. Within 0.0033 (1+z):</p>".to_owned()
        + &table(&["method", "examples", "S/N 0.5", "S/N 1", "S/N 2", "S/N 5", "exact, S/N 5", "NMAD, S/N 5"], &rows)
}

/// SEDs that come from other templates.
pub fn other(p: &Page) -> String {
    let rows: Vec<Vec<String>> = on(p, Setting::Published)
        .filter(|f| tested(f, "other-1").is_some())
        .map(|f| {
            let mut r = vec![escape(&f.title)];
            r.extend(OTHER.map(|snr| share(f, &format!("other-{snr}"), |m| m.close)));
            r.push(share(f, "other-1", |m| m.exact));
            r.push(share(f, "snr-1", |m| m.exact));
            r
        })
        .collect();
    "<p>All methods learned from the built-in SEDs; here they meet continua of another library. Within 0.0033 (1+z):</p>".to_owned()
        + &table(&["method", "S/N 0.5", "S/N 1", "S/N 5", "exact, S/N 1", "exact, S/N 1, own library"], &rows)
}

/// New copies of training SEDs instead of unseen SEDs.
pub fn leak(p: &Page) -> String {
    let mut rows = Vec::new();
    for f in on(p, Setting::Published) {
        for (unseen, leaky, label) in [
            ("clean", "leak-clean", "clean"),
            ("snr-1", "leak-1", "S/N 1"),
        ] {
            if tested(f, leaky).is_some()
                && tested(f, unseen).is_some()
                && (label == "clean") == f.name.contains("clean")
            {
                rows.push(vec![
                    escape(&f.title),
                    label.into(),
                    share(f, unseen, |m| m.exact),
                    share(f, leaky, |m| m.exact),
                ]);
            }
        }
    }
    table(
        &[
            "method",
            "test",
            "unseen SEDs",
            "new copies of training SEDs (leak)",
        ],
        &rows,
    )
}

/// Every number.
pub fn everything(p: &Page) -> String {
    let mut h = String::from(
        "<h2>Every number</h2><details><summary>All methods on all test sets</summary>",
    );
    for (_, f) in &p.done {
        let _ = write!(
            h,
            "<p><b>{}</b>{}, {} of training{}</p>",
            escape(&f.title),
            if f.weights > 0 {
                format!(": {} weights", f.weights)
            } else {
                String::new()
            },
            time(f.seconds),
            f.curve
                .last()
                .map_or(String::new(), |l| format!(" ({} examples shown)", l.shown))
        );
        let rows: Vec<Vec<String>> = f
            .tests
            .iter()
            .map(|t| {
                let m = &t.metrics;
                vec![
                    t.key.clone(),
                    m.exact.to_string(),
                    m.neighbour.to_string(),
                    m.fine.to_string(),
                    m.close.to_string(),
                    format!("{:.1e}", m.nmad),
                    format!("{:+.1e} ± {:.0e}", m.bias, m.bias_error),
                    format!("{:.2} / {:.2}", 100.0 * m.ece, 100.0 * m.ece_close),
                    m.n.to_string(),
                ]
            })
            .collect();
        h += "<div class=\"small\">";
        h += &table(
            &[
                "test",
                "exact",
                "±1 class",
                "&lt; 0.001 (1+z)",
                "&lt; 0.0033 (1+z)",
                "NMAD",
                "bias",
                "ECE exact / close, %",
                "n",
            ],
            &rows,
        );
        h += "</div>";
    }
    h + "</details>"
}
