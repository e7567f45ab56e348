//! How a row looks as text.

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Modifier, Style};
use ratatui::symbols::Marker;
use ratatui::text::{Line, Span};
use ratatui::widgets::{Axis, Block, Borders, Chart, Dataset, GraphType, Paragraph, Wrap};
use slipher_sim::lines::LINES;

use super::{Terminal, Typing};
use crate::look::Item;

const KEYS: &str = "0-4 decide (4 certain … 0 no signal), goes on    a, Enter accept with 4
n b → ← next, before    PgDn PgUp twenty rows    s S solutions    g class    z redshift
c comment    x bad data    u take back    / search
+ - zoom    h j move    r whole range    k K smoothing    q leave";

/// Text from outside without what a terminal takes for orders.
fn plain(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_control() { '·' } else { c })
        .collect()
}

pub(super) fn frame(t: &Terminal<'_>, f: &mut Frame<'_>) {
    let parts = Layout::vertical([
        Constraint::Length(3),
        Constraint::Min(8),
        Constraint::Length(9),
        Constraint::Length(3),
    ]);
    let [title, middle, below, foot] = parts.areas(f.area());
    head(t, f, title);
    foot_line(t, f, foot);
    if t.help {
        f.render_widget(
            Paragraph::new(KEYS).block(Block::bordered().title("keys")),
            middle,
        );
        return;
    }
    let Some(shown) = &t.shown else {
        f.render_widget(
            Paragraph::new("no rows: nothing passes the search, or all are decided"),
            middle,
        );
        return;
    };
    match &shown.item {
        Err(why) => {
            let text = Paragraph::new(plain(why)).wrap(Wrap { trim: true });
            f.render_widget(text, middle);
        }
        Ok(item @ Item::Spectrum { .. }) => spectrum(t, item, f, middle),
        Ok(Item::Image {
            bands,
            height,
            width,
            pixels,
            ..
        }) => {
            image(bands, *height, *width, pixels, f, middle);
        }
        Ok(Item::LightCurve { bands, .. }) => curve(bands, f, middle),
    }
    let halves = Layout::horizontal([Constraint::Percentage(55), Constraint::Percentage(45)]);
    let [left, right] = halves.areas(below);
    if let Ok(item) = &shown.item {
        answers(t, item, f, left);
    }
    let lines = shown.decisions.iter().map(|d| {
        let q = d
            .quality
            .map_or("comment".to_owned(), |q| format!("quality {q}"));
        let z = d.z.map_or(String::new(), |z| format!(" z {z:.5}"));
        Line::from(plain(&format!(
            "{}: {q}, {}{z} {} {}",
            d.scanner, d.class, d.issue, d.comment
        )))
    });
    let block = Block::bordered().title("decisions");
    f.render_widget(
        Paragraph::new(lines.collect::<Vec<_>>()).block(block),
        right,
    );
}

fn head(t: &Terminal<'_>, f: &mut Frame<'_>, area: Rect) {
    let place = format!("{}/{}", (t.at + 1).min(t.rows.len()), t.rows.len());
    let mut lines = vec![];
    if let Some(s) = &t.shown {
        let text = |n: &str| {
            s.columns
                .get(n)
                .and_then(|v| v.as_str())
                .unwrap_or_default()
        };
        let number = |n: &str| s.columns.get(n).and_then(|v| v.as_f64());
        let name = if text("object_id").is_empty() {
            text("file")
        } else {
            text("object_id")
        };
        let p = number("p_correct").map_or(String::new(), |p| format!(" p {p:.3}"));
        let z = t.z.map_or(String::new(), |z| format!(" z {z:.5}"));
        let bad = if t.bad_data { " BAD DATA" } else { "" };
        let bold = Style::default().add_modifier(Modifier::BOLD);
        lines.push(Line::from(vec![
            Span::styled(plain(name), bold),
            Span::raw(format!("  {}{z}{p}{bad}  [{place}]", plain(&t.class))),
        ]));
        let mut said = s.warnings.join("; ");
        for n in [text("warnings"), text("error")] {
            if !n.is_empty() {
                said = format!("{said} {n}");
            }
        }
        lines.push(Line::styled(
            plain(said.trim()),
            Style::default().fg(Color::Yellow),
        ));
    } else {
        lines.push(Line::from(format!("[{place}]")));
    }
    f.render_widget(
        Paragraph::new(lines).block(Block::default().borders(Borders::BOTTOM)),
        area,
    );
}

fn foot_line(t: &Terminal<'_>, f: &mut Frame<'_>, area: Rect) {
    let p = t.session.progress(&t.session.inspector);
    let work = format!(
        "{} of {} decided by {}",
        p.mine, p.rows, t.session.inspector
    );
    let typed = match &t.typing {
        Typing::Nothing => t.said.clone(),
        Typing::Comment(c) => format!("comment: {c}_"),
        Typing::Search(c) => format!("search: {c}_"),
        Typing::Redshift(c) => format!("redshift: {c}_"),
    };
    let lines = vec![
        Line::from(plain(&typed)),
        Line::styled(
            format!("{}   ? keys   q leave", plain(&work)),
            Style::default().fg(Color::DarkGray),
        ),
    ];
    f.render_widget(
        Paragraph::new(lines).block(Block::default().borders(Borders::TOP)),
        area,
    );
}

/// Weighted running mean of good pixels.
fn smoothed(flux: &[Option<f32>], error: &[Option<f32>], width: usize) -> Vec<Option<f64>> {
    let half = width / 2;
    let one = |i: usize| {
        let range = i.saturating_sub(half)..(i + half + 1).min(flux.len());
        let (mut sum, mut weight) = (0.0, 0.0);
        for k in range {
            if let (Some(f), Some(e)) = (flux[k], error[k]) {
                let w = f64::from(e).powi(-2);
                sum += f64::from(f) * w;
                weight += w;
            }
        }
        (weight > 0.0).then(|| sum / weight)
    };
    (0..flux.len()).map(one).collect()
}

fn limits(values: impl Iterator<Item = f64>) -> [f64; 2] {
    let mut v: Vec<f64> = values.filter(|v| v.is_finite()).collect();
    v.sort_by(f64::total_cmp);
    let at = |q: f64| {
        v.get(((v.len().max(1) - 1) as f64 * q) as usize)
            .copied()
            .unwrap_or(0.0)
    };
    let (low, high) = (at(0.01).min(0.0), at(0.995));
    let room = if high > low { 0.1 * (high - low) } else { 1.0 };
    [low - room, high + 1.5 * room]
}

fn spectrum(t: &Terminal<'_>, item: &Item, f: &mut Frame<'_>, area: Rect) {
    let Item::Spectrum {
        wave,
        flux,
        error,
        template,
        unit,
        ..
    } = item
    else {
        return;
    };
    let (Some(first), Some(last)) = (wave.first(), wave.last()) else {
        return;
    };
    let x = [
        first + t.zoom.0 * (last - first),
        first + t.zoom.1 * (last - first),
    ];
    let inside = |w: f64| w >= x[0] && w <= x[1];
    // No more points than dots: two in each column.
    let step =
        (wave.iter().filter(|w| inside(**w)).count() / (3 * area.width as usize).max(1)).max(1);
    let smooth = smoothed(flux, error, t.smoothing.max(step | 1));
    let points: Vec<(f64, f64)> = (0..wave.len())
        .step_by(step)
        .filter(|i| inside(wave[*i]))
        .filter_map(|i| Some((wave[i], smooth[i]?)))
        .collect();
    let model: Vec<(f64, f64)> = (0..wave.len())
        .step_by(step)
        .filter(|i| inside(wave[*i]))
        .filter_map(|i| Some((wave[i], f64::from(template[i]?))))
        .collect();
    let y = limits(points.iter().map(|p| p.1));
    let mut marks: Vec<(f64, f64)> = vec![];
    let mut names = vec![];
    if let Some(z) = t.z {
        for l in LINES.iter().filter(|l| inside(l.wave * (1.0 + z))) {
            let at = l.wave * (1.0 + z);
            // A tick at the top, as high as a fifteenth.
            marks.extend((0..6).map(|k| (at, y[1] - f64::from(k) * 0.015 * (y[1] - y[0]))));
            names.push(format!("{} {:.0}", l.name, at));
        }
    }
    let ticks = |a: f64, b: f64| (0..=4).map(move |k| a + (b - a) * f64::from(k) / 4.0);
    let set = |data, colour| {
        Dataset::default()
            .marker(Marker::Braille)
            .graph_type(GraphType::Line)
            .style(Style::default().fg(colour))
            .data(data)
    };
    let mut sets = vec![set(&points, Color::Reset), set(&model, Color::Yellow)];
    sets.push(set(&marks, Color::Cyan).graph_type(GraphType::Scatter));
    let title = format!("flux {}   lines at z: {}", plain(unit), names.join(", "));
    let chart = Chart::new(sets)
        .block(Block::default().title(title))
        .x_axis(
            Axis::default()
                .bounds(x)
                .labels(ticks(x[0], x[1]).map(|v| format!("{v:.0}"))),
        )
        .y_axis(
            Axis::default()
                .bounds(y)
                .labels(ticks(y[0], y[1]).map(|v| format!("{v:.3e}"))),
        );
    f.render_widget(chart, area);
}

fn answers(t: &Terminal<'_>, item: &Item, f: &mut Frame<'_>, area: Rect) {
    let (title, lines): (&str, Vec<Line<'_>>) = match item {
        Item::Spectrum { solutions, .. } => {
            let one = |(i, s): (usize, &crate::look::SolutionShown)| {
                let here = if i == t.solution { ">" } else { " " };
                Line::from(format!(
                    "{here} {:6} z {:.5} ± {:.5}  p {:.3}  {}",
                    s.class, s.z, s.z_err, s.p, s.line
                ))
            };
            (
                "solutions (s)",
                solutions.iter().enumerate().map(one).collect(),
            )
        }
        Item::Image { answer, .. } | Item::LightCurve { answer, .. } => {
            let one = |v: &crate::look::Value| {
                Line::from(format!("{:20} {:.3}", plain(&v.name), v.value))
            };
            ("answer", answer.iter().map(one).collect())
        }
    };
    f.render_widget(
        Paragraph::new(lines).block(Block::bordered().title(title)),
        area,
    );
}

/// The first band in shades.
fn image(
    bands: &[String],
    height: usize,
    width: usize,
    pixels: &[Option<f32>],
    f: &mut Frame<'_>,
    area: Rect,
) {
    const SHADES: [char; 10] = [' ', '.', ':', '-', '=', '+', '*', '#', '%', '@'];
    let rows = (area.height as usize).saturating_sub(1).min(height.max(1));
    // A letter is twice as high as wide.
    let columns = (2 * rows * width / height.max(1))
        .min(area.width as usize)
        .max(1);
    let first: Vec<f64> = pixels
        .iter()
        .take(height * width)
        .map(|p| p.map_or(f64::NAN, f64::from))
        .collect();
    let [low, high] = limits(first.iter().copied());
    let mut lines = vec![Line::from(plain(bands.first().map_or("", String::as_str)))];
    for r in 0..rows {
        let y = height - 1 - r * height / rows.max(1);
        let one = |c: usize| {
            let v = first
                .get(y * width + c * width / columns)
                .copied()
                .unwrap_or(f64::NAN);
            let share = ((v - low) / (high - low)).clamp(0.0, 1.0).sqrt();
            if v.is_nan() {
                '?'
            } else {
                SHADES[(share * 9.0) as usize]
            }
        };
        lines.push(Line::from((0..columns).map(one).collect::<String>()));
    }
    f.render_widget(Paragraph::new(lines), area);
}

fn curve(bands: &std::collections::BTreeMap<String, Vec<[f64; 3]>>, f: &mut Frame<'_>, area: Rect) {
    const COLOURS: [Color; 6] = [
        Color::Cyan,
        Color::Green,
        Color::Red,
        Color::Magenta,
        Color::Yellow,
        Color::Blue,
    ];
    let points: Vec<(String, Vec<(f64, f64)>)> = bands
        .iter()
        .map(|(b, p)| (plain(b), p.iter().map(|p| (p[0], p[1])).collect()))
        .collect();
    let all = || points.iter().flat_map(|b| &b.1);
    let x = all().fold([f64::INFINITY, f64::NEG_INFINITY], |a, p| {
        [a[0].min(p.0), a[1].max(p.0)]
    });
    let y = limits(all().map(|p| p.1));
    let sets = points.iter().enumerate().map(|(k, (name, data))| {
        let style = Style::default().fg(COLOURS[k % COLOURS.len()]);
        Dataset::default()
            .name(name.as_str())
            .marker(Marker::Dot)
            .style(style)
            .data(data)
    });
    let chart = Chart::new(sets.collect())
        .x_axis(
            Axis::default()
                .title("MJD")
                .bounds(x)
                .labels([format!("{:.0}", x[0]), format!("{:.0}", x[1])]),
        )
        .y_axis(
            Axis::default()
                .title("flux")
                .bounds(y)
                .labels([format!("{:.1}", y[0]), format!("{:.1}", y[1])]),
        );
    f.render_widget(chart, area);
}
