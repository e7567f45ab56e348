//! Progress bars, hidden when quiet or not on a terminal.

use indicatif::{ProgressBar, ProgressStyle};

/// A bar of `n` with a message; `unit` names what is counted.
pub fn bar(n: u64, unit: &str, quiet: bool) -> ProgressBar {
    let bar = if quiet {
        ProgressBar::hidden()
    } else {
        ProgressBar::new(n)
    };
    let template = format!("{{bar:30}} {{pos}}/{{len}} {unit} {{per_sec}} {{eta}} left {{msg}}");
    if let Ok(style) = ProgressStyle::with_template(&template) {
        bar.set_style(style);
    }
    bar
}
