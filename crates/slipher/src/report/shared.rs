//! Pages about image systems: a study of methods on the same rows, or the answers to a user's
//! files.

mod figures;

use std::fmt::Write;

use base64::Engine;
use slipher_data::cutouts::picture;
use slipher_nn::heads::Kind;
use slipher_nn::heads::posterior::Posterior;
use slipher_stats::calibration::reliability;
use slipher_stats::classification::Line;
use slipher_stats::classification::{auc, column, confusion, is, largest, ranked, roc};
use slipher_stats::proportion::wilson;
use slipher_systems::answers::{Answer, flag};
use slipher_systems::evaluate::{Answers, calibration, chosen, mistakes};
use slipher_systems::geometry::Geometry;
use slipher_systems::model::Model;
use slipher_systems::set::Set;
use slipher_systems::system::System;

use self::figures::{confusion_figure, purity_figure, reliability_figure, roc_figure};
use super::figure::{Axis, COLOURS, Figure, GREY, LIVE, escape};

/// Rows and what each method says of them.
pub struct Evaluation<'a> {
    pub title: &'a str,
    pub system: &'a dyn System,
    pub set: &'a Set,
    /// The first is the one that the figures show.
    pub answers: &'a [Answers],
    pub lines: Vec<Line>,
    /// Tables of parts of the rows: (title, lines).
    pub parts: Vec<(String, Vec<Line>)>,
}

const LINE_COLOURS: [&str; 6] = [
    COLOURS[0], COLOURS[1], COLOURS[2], "#cc79a7", "#56b4e9", "#e69f00",
];
/// Mistakes shown.
const SHOWN: usize = 12;

/// A whole page from its body.
pub fn page(title: &str, body: &str) -> String {
    format!(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width\"><title>{0}</title><style>{1}.stamps{{display:flex;flex-wrap:wrap;gap:12px}}.stamps figure{{width:220px}}.stamps figcaption{{overflow-wrap:anywhere}}.stamps img{{width:100%;image-rendering:pixelated;background:#000}}</style></head><body><h1>{0}</h1>{body}<h2>How this was made</h2><p>Slipher {2}. Intervals are 95 %, by drawing rows with replacement; in reliability diagrams Wilson's.</p>{LIVE}</body></html>",
        escape(title),
        super::STYLE,
        env!("CARGO_PKG_VERSION")
    )
}

/// The sections about one set.
pub fn evaluation(j: &Evaluation) -> String {
    let mut h = format!("<h2>{}</h2><p>n = {}.</p>", escape(j.title), j.set.rows());
    h.push_str(&table(&j.lines));
    for (title, lines) in &j.parts {
        let _ = write!(h, "<h3>{}</h3>{}", escape(title), table(lines));
    }
    let Some(first) = j.answers.first() else {
        return h;
    };
    match j.system.head().kind() {
        Kind::Classes => h.push_str(&classes(j, first)),
        Kind::Shares => h.push_str(&votes(j, first)),
        Kind::Posterior => h.push_str(&posterior(j, first)),
        Kind::Pixels => {}
    }
    h
}

/// Figures of a classifier and its most confident mistakes.
fn classes(j: &Evaluation, first: &Answers) -> String {
    let mut h = String::new();
    {
        let _ = write!(
            h,
            "<h3>{}</h3><div class=\"pair\">",
            escape(&format!("Figures: {}", first.method))
        );
        h.push_str(&confusion_figure(j, first));
        h.push_str(&roc_figure(j));
        h.push_str(&purity_figure(j));
        h.push_str(&reliability_figure(j, first));
        h.push_str("</div>");
        let n = j.system.outputs().len();
        let worst = mistakes(&first.values, &j.set.truth, n, SHOWN);
        let tell = |m: &(usize, usize, usize, f32)| {
            let (row, said, is, p) = *m;
            (
                row,
                format!(
                    "{}: says {} ({p:.3}), is {}",
                    j.set.names[row],
                    j.system.outputs()[said],
                    j.system.outputs()[is]
                ),
            )
        };
        h.push_str("<h3>The most confident mistakes</h3>");
        h.push_str(&stamps(
            j.system,
            j.set,
            &worst.iter().map(tell).collect::<Vec<_>>(),
        ));
    }
    h
}

/// What a table shows: its methods, and each figure with a cell a method (value, interval, best of
/// the row) and what was published.
type Rows<'a> = (
    Vec<&'a str>,
    Vec<(&'a str, Vec<Option<(String, bool)>>, [String; 2])>,
);

fn rows(lines: &[Line]) -> Rows<'_> {
    let (mut methods, mut figures): (Vec<&str>, Vec<&str>) = (vec![], vec![]);
    for l in lines {
        if !methods.contains(&l.method.as_str()) {
            methods.push(&l.method);
        }
        if !figures.contains(&l.figure.as_str()) {
            figures.push(&l.figure);
        }
    }
    let rank = |l: &Line| {
        if l.higher_is_better {
            l.value
        } else {
            -l.value
        }
    };
    let row = |f: &str| {
        let own: Vec<Option<&Line>> = methods
            .iter()
            .map(|m| lines.iter().find(|l| l.method == *m && l.figure == f))
            .collect();
        let best = own
            .iter()
            .flatten()
            .map(|l| rank(l))
            .fold(f64::NEG_INFINITY, f64::max);
        let cells = own
            .iter()
            .map(|l| {
                l.map(|l| {
                    (
                        format!("{:.4} ({:.4}–{:.4})", l.value, l.low, l.high),
                        rank(l) >= best,
                    )
                })
            })
            .collect();
        let published = own
            .iter()
            .flatten()
            .next()
            .map_or((None, None), |l| l.published);
        (
            cells,
            [published.0, published.1].map(|p| p.map_or(String::new(), |v| format!("{v:.4}"))),
        )
    };
    let body = figures
        .iter()
        .map(|f| {
            let (cells, published) = row(f);
            (*f, cells, published)
        })
        .collect();
    (methods, body)
}

/// Figures by row, methods by column, as HTML; the best of each row is bold.
pub fn table(lines: &[Line]) -> String {
    let (methods, body) = rows(lines);
    let heads: String = methods
        .iter()
        .map(|m| format!("<th>{}</th>", escape(m)))
        .collect();
    let mut h = format!(
        "<table><tr><th></th>{heads}<th>published: network</th><th>published: second</th></tr>"
    );
    for (f, cells, published) in body {
        let _ = write!(h, "<tr><td>{}</td>", escape(f));
        for c in cells {
            let text = c.map_or(String::new(), |(text, best)| {
                if best { format!("<b>{text}</b>") } else { text }
            });
            let _ = write!(h, "<td>{text}</td>");
        }
        let _ = write!(h, "<td>{}</td><td>{}</td></tr>", published[0], published[1]);
    }
    h + "</table>"
}

/// The same as Markdown.
pub fn markdown(lines: &[Line]) -> String {
    let (methods, body) = rows(lines);
    let mut h = format!(
        "| | {} | published: network | second |\n|{}\n",
        methods.join(" | "),
        " --- |".repeat(methods.len() + 3)
    );
    for (f, cells, published) in body {
        let cells: Vec<String> = cells
            .into_iter()
            .map(|c| {
                c.map_or(String::new(), |(text, best)| {
                    if best { format!("**{text}**") } else { text }
                })
            })
            .collect();
        let _ = writeln!(
            h,
            "| {f} | {} | {} | {} |",
            cells.join(" | "),
            published[0],
            published[1]
        );
    }
    h
}

/// Most panels of a figure.
const PANELS: usize = 12;

/// Answers against the truth, a panel for each of some outputs.
fn panels(j: &Evaluation, names: &[usize], value: &dyn Fn(usize, usize) -> f64) -> String {
    let n = j.system.head().targets();
    let mut h = String::from("<div class=\"pair\">");
    let step = (j.set.rows() / 600).max(1);
    for k in names.iter().copied().take(PANELS) {
        let truth = |r: usize| f64::from(j.set.truth[r * n + k]);
        let rows = || (0..j.set.rows()).step_by(step);
        let both = rows()
            .flat_map(|r| [truth(r), value(r, k)])
            .filter(|v| v.is_finite());
        let (low, high) = both.fold((f64::INFINITY, f64::NEG_INFINITY), |(a, b), v| {
            (a.min(v), b.max(v))
        });
        let (low, high) = if j.system.tree().is_some() {
            (0.0, 1.0)
        } else {
            (low, high)
        };
        let axis = |name| Axis::linear(low, high, name);
        let mut f = Figure::new(320.0, 260.0, axis("truth"), axis("answer"));
        f.line(&[(low, low), (high, high)], GREY, 1.0, "");
        let points: Vec<(f64, f64, String)> = rows()
            .map(|r| (truth(r), value(r, k), String::new()))
            .collect();
        f.dots(&points, COLOURS[0], 1.6, 0.5);
        let name = j.system.outputs()[k];
        let _ = write!(
            h,
            "<figure>{}<figcaption>{}</figcaption></figure>",
            f.svg(name),
            escape(&name.replace('_', " "))
        );
    }
    h + "</div>"
}

/// Posterior means against truths, and how the probability integral transform is distributed.
fn posterior(j: &Evaluation, a: &Answers) -> String {
    let d = j.system.outputs().len();
    let width = a.values.len() / j.set.rows().max(1);
    let row = |r: usize| Posterior::of(&a.values[r * width..(r + 1) * width], d);
    let all: Vec<usize> = (0..d).collect();
    let mut h = format!("<h3>Posteriors: {}</h3>", escape(&a.method));
    h.push_str(&panels(j, &all, &|r, k| row(r).mean(k)));
    h.push_str("<h3>Calibration: share of truths below each quantile</h3><div class=\"pair\">");
    for (k, name) in j.system.outputs().iter().enumerate().take(PANELS) {
        let mut pit: Vec<f64> = (0..j.set.rows())
            .map(|r| row(r).cumulative(k, f64::from(j.set.truth[r * d + k])))
            .collect();
        pit.sort_by(f64::total_cmp);
        let axis = |name| Axis::linear(0.0, 1.0, name);
        let mut f = Figure::new(
            320.0,
            260.0,
            axis("probability"),
            axis("share of truths below"),
        );
        f.line(&[(0.0, 0.0), (1.0, 1.0)], GREY, 1.0, "");
        let n = pit.len().max(1) as f64;
        let line: Vec<(f64, f64)> = pit
            .iter()
            .enumerate()
            .map(|(i, p)| (*p, (i + 1) as f64 / n))
            .collect();
        f.line(&line, COLOURS[0], 1.6, "");
        let _ = write!(
            h,
            "<figure>{}<figcaption>{}</figcaption></figure>",
            f.svg(name),
            escape(name)
        );
    }
    h + "</div>"
}

/// Shares of votes given against those of people, and the largest errors.
fn votes(j: &Evaluation, a: &Answers) -> String {
    let n = j.system.outputs().len();
    let firsts: Vec<usize> = j
        .system
        .tree()
        .map_or(vec![], |t| t.questions)
        .iter()
        .map(|q| q.start)
        .collect();
    let mut h = format!("<h3>Shares of votes: {}</h3>", escape(&a.method));
    h.push_str(&panels(j, &firsts, &|r, k| f64::from(a.values[r * n + k])));
    let first = j
        .system
        .tree()
        .and_then(|t| t.questions.first().cloned())
        .unwrap_or(0..n);
    h.push_str("<h3>The largest errors</h3>");
    let error = |r: usize| {
        (0..n)
            .map(|k| (a.values[r * n + k] - j.set.truth[r * n + k]).powi(2))
            .sum::<f32>()
    };
    let mut order: Vec<usize> = (0..j.set.rows()).collect();
    order.sort_by(|x, y| error(*y).total_cmp(&error(*x)));
    let tell = |r: &usize| {
        let row = |v: &[f32]| {
            j.system.outputs()[first.start + largest(&v[r * n + first.start..r * n + first.end])]
                .to_owned()
        };
        (
            *r,
            format!(
                "{}: says {}, people say {}; error {:.3}",
                j.set.names[*r],
                row(&a.values),
                row(&j.set.truth),
                (error(*r) / n as f32).sqrt()
            ),
        )
    };
    h.push_str(&stamps(
        j.system,
        j.set,
        &order.iter().take(SHOWN).map(tell).collect::<Vec<_>>(),
    ));
    h
}

fn stamps(system: &dyn System, set: &Set, rows: &[(usize, String)]) -> String {
    let shown: Vec<(&[f32], String)> = rows
        .iter()
        .map(|(r, text)| (set.images[*r].as_slice(), text.clone()))
        .collect();
    gallery(system, &shown)
}

/// Pictures with a line of text each.
fn gallery(system: &dyn System, rows: &[(&[f32], String)]) -> String {
    let mut h = String::from("<div class=\"stamps\">");
    for (image, text) in rows {
        if let Some(data) = encoded_picture(system, image) {
            let _ = write!(
                h,
                "<figure><img alt=\"{0}\" src=\"data:image/png;base64,{data}\"><figcaption>{0}</figcaption></figure>",
                escape(text)
            );
        }
    }
    h.push_str("</div>");
    h
}

/// What a network sees as PNG: three channels in colour, others side by side.
pub fn encoded_picture(system: &dyn System, x: &[f32]) -> Option<String> {
    let g = system.geometry();
    if matches!(g, Geometry::Series { .. }) {
        return None;
    }
    let (s, n) = (g.stored(), g.stored() * g.stored());
    let byte =
        |v: f32, lo: f32, hi: f32| (255.0 * ((v - lo) / (hi - lo).max(1e-9)).clamp(0.0, 1.0)) as u8;
    let (data, width) = if let Some(colours) = system.colours(x) {
        (colours, s)
    } else if g.channels() == 3 {
        (
            (0..3 * n)
                .map(|i| byte(x[i % 3 * n + i / 3], 0.0, 1.0))
                .collect::<Vec<u8>>(),
            s,
        )
    } else {
        let range = |c: usize| {
            let p = &x[c * n..(c + 1) * n];
            (
                p.iter().copied().fold(f32::INFINITY, f32::min),
                p.iter().copied().fold(f32::NEG_INFINITY, f32::max),
            )
        };
        let ranges: Vec<(f32, f32)> = (0..g.channels()).map(range).collect();
        let wide = g.channels() * s;
        let data = (0..s * wide)
            .map(|i| {
                let (y, c, x0) = (i / wide, i % wide / s, i % wide % s);
                byte(x[c * n + y * s + x0], ranges[c].0, ranges[c].1)
            })
            .collect();
        (data, wide)
    };
    let png = picture::encode(&data, s, width).ok()?;
    Some(base64::engine::general_purpose::STANDARD.encode(png))
}

/// The page about a user's files.
pub fn answered(model: &Model, rows: &[Answer]) -> String {
    let system = model.system;
    let names = system.outputs();
    let good: Vec<&Answer> = rows.iter().filter(|r| r.error.is_empty()).collect();
    let mut h = format!(
        "<p>{} images, {} answered, {} not (see below). Model <code>{}</code>, SHA-256 <code>{}</code>.</p>",
        rows.len(),
        good.len(),
        rows.len() - good.len(),
        escape(&model.id),
        model.sha256.get(..16).unwrap_or_default()
    );
    if model.head.kind() == Kind::Classes {
        h.push_str("<table><tr><th>answer</th><th>images</th><th>of them with p ≥ 0.9</th></tr>");
        for (k, name) in names.iter().enumerate() {
            let own: Vec<&&Answer> = good.iter().filter(|r| largest(&r.values) == k).collect();
            let _ = write!(
                h,
                "<tr><td>{name}</td><td>{}</td><td>{}</td></tr>",
                own.len(),
                own.iter().filter(|r| r.flags & flag::UNSURE == 0).count()
            );
        }
        h.push_str("</table>");
        for (k, name) in names.iter().enumerate() {
            let mut own: Vec<&&Answer> = good
                .iter()
                .filter(|r| largest(&r.values) == k && r.image.is_some())
                .collect();
            own.sort_by(|a, b| b.values[k].total_cmp(&a.values[k]));
            if own.is_empty() {
                continue;
            }
            let tell = |r: &&&Answer| format!("{}: {:.3}", r.object_id, r.values[k]);
            let _ = write!(h, "<h2>{name}: the surest and the least sure</h2>");
            let ends: Vec<&&&Answer> = if own.len() > 12 {
                own[..6].iter().chain(&own[own.len() - 6..]).collect()
            } else {
                own.iter().collect()
            };
            let shown: Vec<(&[f32], String)> = ends
                .into_iter()
                .map(|r| (r.image.as_deref().unwrap_or(&[]), tell(r)))
                .collect();
            h.push_str(&gallery(system, &shown));
        }
    } else {
        h.push_str("<h2>Answers</h2>");
        let tell = |r: &Answer| format!("{}: {}", r.object_id, summary(model, &r.values));
        let shown: Vec<(&[f32], String)> = good
            .iter()
            .filter_map(|r| r.image.as_deref().map(|i| (i, tell(r))))
            .take(60)
            .collect();
        h.push_str(&gallery(system, &shown));
    }
    let failed: Vec<&Answer> = rows.iter().filter(|r| !r.error.is_empty()).collect();
    if !failed.is_empty() {
        h.push_str("<h2>Not answered</h2><table><tr><th>file</th><th>why</th></tr>");
        for r in failed.iter().take(200) {
            let _ = write!(
                h,
                "<tr><td>{}</td><td>{}</td></tr>",
                escape(&r.source),
                escape(&r.error)
            );
        }
        h.push_str("</table>");
    }
    page(system.title(), &h)
}

/// An answer in a few words.
fn summary(model: &Model, values: &[f32]) -> String {
    let names = model.system.outputs();
    let said: Vec<String> = match model.head.kind() {
        Kind::Posterior => {
            let p = Posterior::of(values, names.len());
            let one = |(j, n): (usize, &&str)| format!("{n} {:.3} ± {:.3}", p.mean(j), p.sigma(j));
            names.iter().enumerate().map(one).collect()
        }
        Kind::Pixels => vec![],
        Kind::Classes | Kind::Shares => {
            let tree = model.system.tree();
            let whole = || std::iter::once(0..names.len()).collect();
            let questions: Vec<_> = tree.map_or_else(whole, |t| t.questions);
            let one = |q: &std::ops::Range<usize>| {
                let k = q.start + largest(&values[q.clone()]);
                format!("{} {:.2}", names[k].replace('_', " "), values[k])
            };
            questions.iter().take(5).map(one).collect()
        }
    };
    said.join(", ")
}
