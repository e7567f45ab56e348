//! One self-contained HTML page about a catalogue: figures as SVG, no network, and no script but in [`grade`].

mod atlas;
pub mod few;
mod figure;
pub mod gain;
mod gallery;
pub mod grade;
pub mod shared;
pub mod talk;

use std::fmt::Write;
use std::path::Path;

use figure::{Axis, COLOURS, Figure, GREY, LIVE, escape};
use slipher_data::atomic::atomic_write;
use slipher_data::warning::Warning;
use slipher_sim::sed::SpecType;
use slipher_stats::calibration;
use slipher_stats::proportion::Tally;
use slipher_systems::redshift::catalogue::Row;
use slipher_systems::redshift::measure::zwarn;
use slipher_systems::redshift::model::Model;
use slipher_systems::redshift::pipeline::Kept;
use slipher_systems::redshift::score::{redshift_right, success};

/// What the page is about.
pub struct Subject<'a> {
    pub title: &'a str,
    pub rows: &'a [Row],
    pub gallery: Vec<Kept>,
    pub model: &'a Model,
    /// For simulations: S/N and group of each row.
    pub simulated: Option<Simulated>,
}

/// What only simulations know.
pub struct Simulated {
    pub snr: Vec<f64>,
    pub group: Vec<String>,
}

/// A row with a trusted truth.
struct Pair<'a> {
    row: &'a Row,
    truth: (SpecType, f64),
    class: SpecType,
    z: f64,
    p: f64,
    right: bool,
    snr: f64,
    group: String,
}

/// Writes the page atomically.
pub fn write(path: &Path, s: &Subject) -> std::io::Result<()> {
    atomic_write(path, page(s))
}

const STYLE: &str = "body{font:15px/1.5 system-ui,sans-serif;max-width:1080px;margin:2em auto;padding:0 1em;color:#1c2026;background:#fff}\
h1{font-size:1.6em}h2{margin-top:2em;font-size:1.2em;border-bottom:1px solid #ddd}table{border-collapse:collapse;font-size:13px}\
td,th{padding:3px 10px;border-bottom:1px solid #e4e6ea;text-align:right}td:first-child,th:first-child{text-align:left}\
figure{margin:0;display:inline-block;vertical-align:top}figcaption{font-size:13px;color:#555;max-width:500px}svg{max-width:100%;height:auto}\
.pair{display:flex;gap:1em;flex-wrap:wrap}code{background:#f2f3f5;padding:0 3px}.note{color:#555;font-size:13px}";

fn page(s: &Subject) -> String {
    let pairs = pairs(s);
    let mut h = format!(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width\"><title>{0}</title><style>{STYLE}</style></head><body><h1>{0}</h1>",
        escape(s.title)
    );
    h.push_str(&summary(s, &pairs));
    if !pairs.is_empty() {
        h.push_str("<h2>Against the known redshifts</h2><div class=\"pair\">");
        h.push_str(&against_truth(&pairs));
        h.push_str(&errors_against_snr(&pairs));
        h.push_str("</div>");
        h.push_str(&table(&pairs));
        // Shares of a handful say nothing.
        if pairs.len() >= 30 {
            h.push_str("<h2>Calibration of p_correct</h2><div class=\"pair\">");
            h.push_str(&reliability(&pairs));
            h.push_str(&completeness(&pairs));
            h.push_str("</div>");
            h.push_str(&atlas::by_snr_and_z(&pairs));
            h.push_str(&atlas::pit(&pairs));
        }
        h.push_str("<h2>Outcomes</h2>");
        h.push_str(&atlas::outcomes(s.rows));
    }
    h.push_str("<h2>The catalogue</h2><div class=\"pair\">");
    h.push_str(&histogram(s));
    h.push_str(&confidence(s));
    h.push_str("</div>");
    h.push_str("<h2>Pile-ups</h2>");
    h.push_str(&atlas::piles(s.rows));
    h.push_str("<h2>Warnings</h2>");
    h.push_str(&flags(s));
    if !s.gallery.is_empty() {
        h.push_str("<h2>Gallery</h2><p class=\"note\">Black: flux, averaged over a few pixels; grey: its error. Lines are marked where the best redshift puts them (blue: usually emission, red: absorption). Right: the posterior probability of ln(1+z).</p>");
        for k in &s.gallery {
            h.push_str(&gallery::entry(k));
        }
    }
    let _ = write!(
        h,
        "<h2>How this was made</h2><p>Slipher {}, model <code>{}</code>, SHA-256 <code>{}</code>. A redshift counts as right if the class is right and |Δz|/(1+z) &lt; 0.0033 (GALAXY), &lt; 0.01 (QSO) or |Δv| &lt; 1000 km/s (STAR). Intervals are 95 % (Wilson).</p>{LIVE}</body></html>",
        env!("CARGO_PKG_VERSION"),
        escape(&s.model.id),
        s.model.sha256.get(..16).unwrap_or_default()
    );
    h
}

fn pairs<'a>(s: &'a Subject) -> Vec<Pair<'a>> {
    let mut out = Vec::new();
    for (i, row) in s.rows.iter().enumerate() {
        let (Some(t), Some(best)) = (&row.truth, row.measurement.best()) else {
            continue;
        };
        let Some(class) = SpecType::parse(&t.spectype) else {
            continue;
        };
        if t.zwarn != 0 {
            continue;
        }
        let truth = (class, t.z);
        let (snr, group) = match &s.simulated {
            Some(m) => (m.snr[i], m.group[i].clone()),
            None => (f64::from(row.measurement.snr_median), "all".into()),
        };
        out.push(Pair {
            row,
            truth,
            class: best.class,
            z: best.z,
            p: best.probability,
            right: success(truth, best.class, best.z),
            snr,
            group,
        });
    }
    out
}

fn summary(s: &Subject, pairs: &[Pair]) -> String {
    let measured = s
        .rows
        .iter()
        .filter(|r| r.measurement.answer.is_some())
        .count();
    let sure = s.rows.iter().filter(|r| r.measurement.accepted()).count();
    let mut h = format!(
        "<p><b>{measured}</b> spectra measured; <b>{sure}</b> redshifts accepted, {} best guesses, {} rows without any.",
        measured - sure,
        s.rows.len() - measured
    );
    if !pairs.is_empty() {
        let (mut all, mut good) = (Tally::default(), Tally::default());
        for p in pairs {
            all.add(p.right);
            if p.row.measurement.accepted() {
                good.add(p.right);
            }
        }
        let what = if s.simulated.is_some() {
            "simulated truth"
        } else {
            "redshifts that the files carry (ZWARNING = 0)"
        };
        let _ = write!(
            h,
            " Against {what}: <b>{all}</b> right; of those accepted: <b>{good}</b>."
        );
    }
    h + "</p>"
}

/// Line confusions worth knowing: true line, line it is taken for.
const CONFUSIONS: [(&str, f64, f64); 5] = [
    ("[O II] as Hα", 3728.5, 6564.6),
    ("[O III] as Hα", 5008.2, 6564.6),
    ("Hα as [O II]", 6564.6, 3728.5),
    ("Hα as [O III]", 6564.6, 5008.2),
    ("Lyα as [O II]", 1215.7, 3728.5),
];

fn against_truth(pairs: &[Pair]) -> String {
    let top = pairs.iter().map(|p| p.truth.1.max(p.z)).fold(0.3, f64::max) * 1.05;
    let axis = |label: &str| Axis::linear((1.0f64 - 0.02).log10(), (1.0 + top).log10(), label);
    let mut f = Figure::new(
        500.0,
        460.0,
        axis("log₁₀(1 + true z)"),
        axis("log₁₀(1 + measured z)"),
    );
    f.line(&[(-0.1, -0.1), (2.0, 2.0)], GREY, 1.0, "");
    for (label, wave, taken) in CONFUSIONS {
        let d = (wave / taken).log10();
        f.line(&[(-0.2, -0.2 + d), (2.0, 2.0 + d)], GREY, 0.7, "4 3");
        let x = if d > 0.0 {
            0.02
        } else {
            (1.0 + top).log10() - 0.02
        };
        f.text(x, x + d, label, GREY, if d > 0.0 { "start" } else { "end" });
    }
    for (i, class) in SpecType::ALL.iter().enumerate() {
        let points: Vec<_> = pairs
            .iter()
            .filter(|p| p.truth.0 == *class)
            .map(|p| ((1.0 + p.truth.1).log10(), (1.0 + p.z).log10(), tip(p)))
            .collect();
        f.dots(&points, COLOURS[i], 2.4, 0.65);
    }
    format!(
        "<figure>{}<figcaption>{}. Dashed: one line taken for another, (1+z)(λ_true/λ_taken). Hover for the object.</figcaption></figure>",
        f.svg("true against measured redshift"),
        legend()
    )
}

fn legend() -> String {
    SpecType::ALL
        .iter()
        .zip(COLOURS)
        .map(|(c, k)| format!("<span style=\"color:{k}\">● {}</span>", c.name()))
        .collect::<Vec<_>>()
        .join(" ")
}

fn tip(p: &Pair) -> String {
    format!(
        "{} {}: true {} {:.4}, measured {} {:.4}, p {:.2}, S/N {:.1}",
        p.row.origin.file,
        p.row.object_id,
        p.truth.0.name(),
        p.truth.1,
        p.class.name(),
        p.z,
        p.p,
        p.snr
    )
}

fn errors_against_snr(pairs: &[Pair]) -> String {
    let (lo, hi) = pairs
        .iter()
        .map(|p| p.snr.max(0.05))
        .fold((f64::INFINITY, 0.0f64), |(a, b), s| (a.min(s), b.max(s)));
    let mut f = Figure::new(
        500.0,
        460.0,
        Axis::log(lo * 0.9, hi * 1.1, "median S/N per pixel"),
        Axis::log(1e-6, 3.0, "|Δz| / (1 + z)"),
    );
    for (level, label) in [(0.0033, "0.0033"), (0.01, "0.01")] {
        f.line(&[(lo * 0.5, level), (hi * 2.0, level)], GREY, 0.8, "4 3");
        f.text(hi, level * 1.2, label, GREY, "end");
    }
    for (i, class) in SpecType::ALL.iter().enumerate() {
        let points: Vec<_> = pairs
            .iter()
            .filter(|p| p.truth.0 == *class)
            .map(|p| {
                (
                    p.snr.max(0.05),
                    ((p.z - p.truth.1).abs() / (1.0 + p.truth.1)).max(1e-6),
                    tip(p),
                )
            })
            .collect();
        f.dots(&points, COLOURS[i], 2.4, 0.65);
    }
    format!(
        "<figure>{}<figcaption>{}. Error of the redshift against signal to noise; points below 10⁻⁶ are drawn there.</figcaption></figure>",
        f.svg("redshift error against S/N"),
        legend()
    )
}

fn table(pairs: &[Pair]) -> String {
    let mut groups: Vec<&str> = pairs.iter().map(|p| p.group.as_str()).collect();
    groups.sort_unstable();
    groups.dedup();
    let mut h = String::from(
        "<table><tr><th>set</th><th>class</th><th>class and z right</th><th>z right</th><th>right, of the accepted</th><th>NMAD of Δz/(1+z)</th></tr>",
    );
    for g in groups {
        for class in SpecType::ALL {
            let own: Vec<&Pair> = pairs
                .iter()
                .filter(|p| p.group == g && p.truth.0 == class)
                .collect();
            if own.is_empty() {
                continue;
            }
            let (mut all, mut z, mut sure) = (Tally::default(), Tally::default(), Tally::default());
            let mut d: Vec<f32> = Vec::new();
            for p in &own {
                all.add(p.right);
                z.add(redshift_right(p.truth, p.z));
                if p.row.measurement.accepted() {
                    sure.add(p.right);
                }
                d.push(((p.z - p.truth.1) / (1.0 + p.truth.1)).abs() as f32);
            }
            let nmad = 1.4826 * slipher_data::spectrum::median(&mut d);
            let _ = write!(
                h,
                "<tr><td>{}</td><td>{}</td><td>{all}</td><td>{z}</td><td>{sure}</td><td>{nmad:.1e}</td></tr>",
                escape(g),
                class.name()
            );
        }
    }
    h + "</table>"
}

fn reliability(pairs: &[Pair]) -> String {
    let mut f = Figure::new(
        500.0,
        380.0,
        Axis::linear(0.0, 1.0, "p_correct"),
        Axis::linear(0.0, 1.0, "share that is right"),
    );
    f.line(&[(0.0, 0.0), (1.0, 1.0)], GREY, 1.0, "");
    let mut points = Vec::new();
    for bin in 0..10 {
        let (lo, hi) = (f64::from(bin) / 10.0, f64::from(bin + 1) / 10.0);
        let own: Vec<&Pair> = pairs
            .iter()
            .filter(|p| p.p >= lo && (p.p < hi || bin == 9))
            .collect();
        if own.is_empty() {
            continue;
        }
        let mut t = Tally::default();
        own.iter().for_each(|p| t.add(p.right));
        let mean = own.iter().map(|p| p.p).sum::<f64>() / own.len() as f64;
        let (a, b) = slipher_stats::proportion::wilson(t.right, t.n);
        f.line(&[(mean, a), (mean, b)], COLOURS[0], 1.2, "");
        points.push((mean, t.percent() / 100.0, format!("{t}")));
    }
    f.dots(&points, COLOURS[0], 4.0, 1.0);
    let p: Vec<f32> = pairs.iter().map(|p| p.p as f32).collect();
    let error = calibration::calibration_error(&calibration::reliability(&p, &|i| pairs[i].right));
    format!(
        "<figure>{}<figcaption>Reliability, n = {}, expected calibration error {:.1} %. Bars: 95 %.</figcaption></figure>",
        f.svg("reliability diagram"),
        pairs.len(),
        100.0 * error
    )
}

fn completeness(pairs: &[Pair]) -> String {
    let mut f = Figure::new(
        500.0,
        380.0,
        Axis::linear(0.0, 1.0, "completeness: share kept"),
        Axis::linear(0.5, 1.005, "purity: share of the kept that is right"),
    );
    let mut sorted: Vec<&Pair> = pairs.iter().collect();
    sorted.sort_by(|a, b| b.p.total_cmp(&a.p));
    let mut right = 0;
    let mut curve = Vec::new();
    for (i, p) in sorted.iter().enumerate() {
        right += usize::from(p.right);
        if i % (1 + pairs.len() / 300) == 0 || i + 1 == pairs.len() {
            curve.push((
                (i + 1) as f64 / pairs.len() as f64,
                right as f64 / (i + 1) as f64,
            ));
        }
    }
    f.line(&curve, COLOURS[0], 1.8, "");
    format!(
        "<figure>{}<figcaption>Purity against completeness when rows are kept from the highest p_correct down.</figcaption></figure>",
        f.svg("purity against completeness")
    )
}

fn histogram(s: &Subject) -> String {
    let best: Vec<(SpecType, f64)> = s
        .rows
        .iter()
        .filter_map(|r| r.measurement.best().map(|b| (b.class, b.z)))
        .collect();
    let top = best.iter().map(|b| b.1).fold(0.1, f64::max) * 1.02;
    let bins = 60;
    let mut counts = vec![[0usize; 3]; bins];
    for (c, z) in &best {
        let i = ((z.max(0.0) / top * bins as f64) as usize).min(bins - 1);
        counts[i][*c as usize] += 1;
    }
    let high = counts
        .iter()
        .map(|c| c.iter().sum::<usize>())
        .max()
        .unwrap_or(1)
        .max(1) as f64;
    let mut f = Figure::new(
        500.0,
        300.0,
        Axis::linear(0.0, top, "z"),
        Axis::linear(0.0, high * 1.08, "spectra"),
    );
    for (i, c) in counts.iter().enumerate() {
        let (lo, hi) = (
            top * i as f64 / bins as f64,
            top * (i + 1) as f64 / bins as f64,
        );
        let mut base = 0.0;
        for (k, n) in c.iter().enumerate() {
            if *n > 0 {
                f.bar(lo, hi, base, base + *n as f64, COLOURS[k]);
                base += *n as f64;
            }
        }
    }
    format!(
        "<figure>{}<figcaption>{}. Redshifts found; a narrow spike may be an artefact.</figcaption></figure>",
        f.svg("histogram of redshifts"),
        legend()
    )
}

fn confidence(s: &Subject) -> String {
    let p: Vec<f64> = s.rows.iter().filter_map(Row::p_correct).collect();
    let mut counts = [0usize; 20];
    for x in &p {
        counts[((x * 20.0) as usize).min(19)] += 1;
    }
    let high = counts.iter().copied().max().unwrap_or(1).max(1) as f64;
    let mut f = Figure::new(
        500.0,
        300.0,
        Axis::linear(0.0, 1.0, "p_correct"),
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
    format!(
        "<figure>{}<figcaption>How sure the answers are.</figcaption></figure>",
        f.svg("histogram of p_correct")
    )
}

fn flags(s: &Subject) -> String {
    let mut h = String::from("<table><tr><th>zwarn</th><th>rows</th><th>meaning</th></tr>");
    for (bit, name, meaning) in zwarn::ALL {
        let n = s
            .rows
            .iter()
            .filter(|r| r.measurement.zwarn & bit != 0)
            .count();
        let _ = write!(
            h,
            "<tr><td>{name} ({bit})</td><td>{n}</td><td>{}</td></tr>",
            escape(meaning)
        );
    }
    h.push_str("</table>");
    let named = |w: &Warning| {
        let rows = s.rows.iter();
        rows.filter(|r| r.measurement.warnings.contains(w)).count()
    };
    let set: Vec<(Warning, usize)> = Warning::ALL.map(|w| (w, named(&w))).to_vec();
    if set.iter().any(|w| w.1 > 0) {
        h.push_str("<table><tr><th>warning</th><th>rows</th><th>meaning</th></tr>");
        for (w, n) in set.into_iter().filter(|w| w.1 > 0) {
            let (name, about) = (w.name(), escape(w.about()));
            let _ = write!(h, "<tr><td>{name}</td><td>{n}</td><td>{about}</td></tr>");
        }
        h.push_str("</table>");
    }
    let failed: Vec<&Row> = s.rows.iter().filter(|r| r.error.is_some()).collect();
    if !failed.is_empty() {
        h.push_str("<p>Not read:</p><ul>");
        for r in failed.iter().take(50) {
            let _ = write!(
                h,
                "<li class=\"note\">{}</li>",
                escape(r.error.as_deref().unwrap_or_default())
            );
        }
        h.push_str("</ul>");
        if failed.len() > 50 {
            let _ = write!(
                h,
                "<p class=\"note\">… and {} more, in the catalogue's column error.</p>",
                failed.len() - 50
            );
        }
    }
    h
}
