//! Small scientific figures as SVG text: axes, points, lines, bars. Pages that end with [`LIVE`] let
//! them zoom and their tables sort; without it they are as they were drawn.

use std::fmt::Write;

/// Colours of GALAXY, QSO, STAR and of accents; distinguishable by colour-blind readers (Okabe &
/// Ito).
pub const COLOURS: [&str; 3] = ["#0072b2", "#d55e00", "#009e73"];
/// What makes figures zoom and tables sort, for the end of a page.
pub const LIVE: &str = concat!("<script>", include_str!("live.js"), "</script>");
pub const GREY: &str = "#8a8f98";

/// One axis: range, label, logarithmic or not.
#[derive(Clone, Debug)]
pub struct Axis {
    pub lo: f64,
    pub hi: f64,
    pub label: String,
    pub log: bool,
}

impl Axis {
    pub fn linear(lo: f64, hi: f64, label: &str) -> Self {
        let (lo, hi) = if hi > lo {
            (lo, hi)
        } else {
            (lo - 0.5, lo + 0.5)
        };
        Axis {
            lo,
            hi,
            label: label.into(),
            log: false,
        }
    }
    pub fn log(lo: f64, hi: f64, label: &str) -> Self {
        Axis {
            lo: lo.max(1e-30),
            hi: hi.max(lo * 1.01),
            label: label.into(),
            log: true,
        }
    }
    /// As the script of pages reads it: ends, and whether it is logarithmic.
    fn range(&self) -> String {
        format!("[{:e},{:e},{}]", self.lo, self.hi, self.log)
    }
    /// Position in 0..1.
    fn place(&self, x: f64) -> f64 {
        if self.log {
            (x.max(1e-30) / self.lo).ln() / (self.hi / self.lo).ln()
        } else {
            (x - self.lo) / (self.hi - self.lo)
        }
    }
    fn ticks(&self) -> Vec<f64> {
        if self.log {
            let decades = (self.hi / self.lo).log10();
            let steps: &[f64] = if decades < 1.5 {
                &[1.0, 2.0, 5.0]
            } else {
                &[1.0]
            };
            let first = self.lo.log10().floor() as i32;
            return (first..first + 40)
                .flat_map(|d| steps.iter().map(move |s| s * 10f64.powi(d)))
                .filter(|t| *t >= self.lo * 0.999 && *t <= self.hi * 1.001)
                .collect();
        }
        let rough = (self.hi - self.lo) / 5.0;
        let power = 10f64.powf(rough.log10().floor());
        let step = [1.0, 2.0, 2.5, 5.0, 10.0]
            .iter()
            .map(|m| m * power)
            .find(|s| *s >= rough)
            .unwrap_or(rough);
        let first = (self.lo / step).ceil() as i64;
        (first..first + 12)
            .map(|i| i as f64 * step)
            .filter(|t| *t <= self.hi + 1e-9 * step)
            .collect()
    }
}

fn tick_label(t: f64) -> String {
    if t != 0.0 && (t.abs() >= 1e5 || t.abs() < 1e-3) {
        return format!("{t:.0e}");
    }
    let s = format!("{t:.4}");
    s.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// A figure under construction.
pub struct Figure {
    width: f64,
    height: f64,
    x: Axis,
    y: Axis,
    body: String,
}

const LEFT: f64 = 56.0;
const RIGHT: f64 = 22.0;
const TOP: f64 = 14.0;
const BOTTOM: f64 = 42.0;

/// Text made safe for HTML and SVG.
pub fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}

impl Figure {
    pub fn new(width: f64, height: f64, x: Axis, y: Axis) -> Self {
        Figure {
            width,
            height,
            x,
            y,
            body: String::new(),
        }
    }
    pub fn px(&self, x: f64) -> f64 {
        LEFT + self.x.place(x) * (self.width - LEFT - RIGHT)
    }
    pub fn py(&self, y: f64) -> f64 {
        self.height - BOTTOM - self.y.place(y) * (self.height - TOP - BOTTOM)
    }
    fn inside(&self, x: f64) -> bool {
        (-1e-9..=1.0 + 1e-9).contains(&self.x.place(x))
    }

    /// A polyline, clipped to the frame; NaN breaks it.
    pub fn line(&mut self, points: &[(f64, f64)], colour: &str, width: f64, dash: &str) {
        let mut d = String::new();
        let mut pen = false;
        for (x, y) in points {
            if !x.is_finite() || !y.is_finite() {
                pen = false;
                continue;
            }
            let _ = write!(
                d,
                "{}{:.1} {:.1}",
                if pen { "L" } else { "M" },
                self.px(*x),
                self.py(*y).clamp(-1e4, 1e4)
            );
            pen = true;
        }
        let dash = if dash.is_empty() {
            String::new()
        } else {
            format!(" stroke-dasharray=\"{dash}\"")
        };
        let _ = write!(
            self.body,
            "<path d=\"{d}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"{width}\"{dash}/>"
        );
    }

    /// Dots with a tooltip each.
    pub fn dots(&mut self, points: &[(f64, f64, String)], colour: &str, radius: f64, opacity: f64) {
        let _ = write!(
            self.body,
            "<g fill=\"{colour}\" fill-opacity=\"{opacity}\">"
        );
        for (x, y, tip) in points {
            let (px, py) = (self.px(*x), self.py(*y));
            if px.is_finite() && py.is_finite() && self.inside(*x) {
                let tip = if tip.is_empty() {
                    String::new()
                } else {
                    format!("<title>{}</title>", escape(tip))
                };
                let _ = write!(
                    self.body,
                    "<circle cx=\"{px:.1}\" cy=\"{:.1}\" r=\"{radius}\">{tip}</circle>",
                    py.clamp(TOP, self.height - BOTTOM)
                );
            }
        }
        self.body.push_str("</g>");
    }

    /// A bar from `lo` to `hi` of height `y`, on top of `base`.
    pub fn bar(&mut self, lo: f64, hi: f64, base: f64, y: f64, colour: &str) {
        let (x0, x1, y0, y1) = (self.px(lo), self.px(hi), self.py(base), self.py(y));
        let _ = write!(
            self.body,
            "<rect x=\"{x0:.1}\" y=\"{y1:.1}\" width=\"{:.1}\" height=\"{:.1}\" fill=\"{colour}\"/>",
            (x1 - x0 - 1.0).max(0.5),
            (y0 - y1).max(0.0)
        );
    }

    /// Text at data coordinates, `anchor` start, middle or end.
    pub fn text(&mut self, x: f64, y: f64, text: &str, colour: &str, anchor: &str) {
        let _ = write!(
            self.body,
            "<text x=\"{:.1}\" y=\"{:.1}\" fill=\"{colour}\" text-anchor=\"{anchor}\" font-size=\"10\">{}</text>",
            self.px(x),
            self.py(y),
            escape(text)
        );
    }

    /// A vertical mark with a label at `level` (rows from the top).
    pub fn mark(&mut self, x: f64, label: &str, colour: &str, level: usize) {
        if !self.inside(x) {
            return;
        }
        let px = self.px(x);
        let y = TOP + 9.0 + 10.0 * level as f64;
        let _ = write!(
            self.body,
            "<line x1=\"{px:.1}\" x2=\"{px:.1}\" y1=\"{:.1}\" y2=\"{:.1}\" stroke=\"{colour}\" stroke-width=\"0.8\" stroke-opacity=\"0.55\"/><text x=\"{:.1}\" y=\"{y:.1}\" font-size=\"9\" fill=\"{colour}\">{}</text>",
            y + 2.0,
            self.height - BOTTOM,
            px + 2.0,
            escape(label)
        );
    }

    /// The finished SVG; `alt` says what it shows.
    pub fn svg(self, alt: &str) -> String {
        let (w, h) = (self.width, self.height);
        let (x0, x1, y0, y1) = (LEFT, w - RIGHT, h - BOTTOM, TOP);
        let mut axes = format!(
            "<rect x=\"{x0}\" y=\"{y1}\" width=\"{}\" height=\"{}\" fill=\"none\" stroke=\"#444\"/>",
            x1 - x0,
            y0 - y1
        );
        for t in self.x.ticks() {
            let p = self.px(t);
            let _ = write!(
                axes,
                "<line class=\"tick\" x1=\"{p:.1}\" x2=\"{p:.1}\" y1=\"{y0}\" y2=\"{}\" stroke=\"#444\"/><text class=\"tick\" x=\"{p:.1}\" y=\"{}\" text-anchor=\"middle\" font-size=\"11\">{}</text>",
                y0 - 4.0,
                y0 + 14.0,
                tick_label(t)
            );
        }
        for t in self.y.ticks() {
            let p = self.py(t);
            let _ = write!(
                axes,
                "<line class=\"tick\" x1=\"{x0}\" x2=\"{}\" y1=\"{p:.1}\" y2=\"{p:.1}\" stroke=\"#444\"/><text class=\"tick\" x=\"{}\" y=\"{:.1}\" text-anchor=\"end\" font-size=\"11\">{}</text>",
                x0 + 4.0,
                x0 - 5.0,
                p + 4.0,
                tick_label(t)
            );
        }
        let (xl, yl) = (escape(&self.x.label), escape(&self.y.label));
        let _ = write!(
            axes,
            "<text x=\"{:.1}\" y=\"{}\" text-anchor=\"middle\" font-size=\"12\">{xl}</text><text transform=\"translate(13 {:.1}) rotate(-90)\" text-anchor=\"middle\" font-size=\"12\">{yl}</text>",
            0.5 * (x0 + x1),
            h - 8.0,
            0.5 * (y0 + y1)
        );
        // Each figure clips to its own frame; identical frames may share an id.
        let id = format!("f{}x{}", w as i64, h as i64);
        format!(
            "<svg viewBox=\"0 0 {w} {h}\" width=\"{w}\" data-x=\"{}\" data-y=\"{}\" data-frame=\"{x0} {y1} {} {}\" role=\"img\" aria-label=\"{}\" font-family=\"system-ui, sans-serif\"><defs><clipPath id=\"{id}\"><rect x=\"{x0}\" y=\"{y1}\" width=\"{}\" height=\"{}\"/></clipPath></defs><g clip-path=\"url(#{id})\">{}</g>{axes}</svg>",
            self.x.range(),
            self.y.range(),
            x1 - x0,
            y0 - y1,
            escape(alt),
            x1 - x0,
            y0 - y1,
            self.body
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_round_and_inside() {
        assert_eq!(
            Axis::linear(0.0, 1.0, "").ticks(),
            [0.0, 0.2, 0.4, 0.6000000000000001, 0.8, 1.0]
        );
        assert_eq!(
            Axis::log(1.0, 1000.0, "").ticks(),
            [1.0, 10.0, 100.0, 1000.0]
        );
        let svg = Figure::new(
            300.0,
            200.0,
            Axis::linear(0.0, 1.0, "a<b"),
            Axis::linear(0.0, 0.0, "y"),
        )
        .svg("x");
        assert!(svg.contains("a&lt;b") && !svg.contains("NaN"));
    }
}
