//! What a model gained by inspected redshifts.

use std::fmt::Write;
use std::path::Path;

use slipher_systems::redshift::inspected::{Inspected, classes};

use super::figure::escape;

const HEAD: [&str; 5] = [
    "rows",
    "model",
    "class and z right",
    "p_correct says",
    "right, of the accepted",
];

/// The page.
pub fn page(list: &Inspected, path: &Path, table: &[[String; 5]]) -> String {
    let mut h = String::from("<h2>The list</h2>");
    let count = |rows: &[slipher_systems::redshift::inspected::Known]| {
        let all = classes(rows).into_iter();
        let words: Vec<String> = all.map(|(c, n)| format!("{n} {c}")).collect();
        words.join(", ")
    };
    let _ = write!(
        h,
        "<p>{}: {} to learn from ({}), {} held out ({}), {} lines left out.</p>",
        escape(&path.display().to_string()),
        list.train.len(),
        count(&list.train),
        list.held_out.len(),
        count(&list.held_out),
        list.left_out.len()
    );
    h.push_str("<h2>Before and after</h2><table><tr>");
    HEAD.iter()
        .for_each(|c| h.push_str(&format!("<th>{c}</th>")));
    h.push_str("</tr>");
    for row in table {
        h.push_str("<tr>");
        row.iter()
            .for_each(|c| h.push_str(&format!("<td>{}</td>", escape(c))));
        h.push_str("</tr>");
    }
    h.push_str(
        "</table><p>The held-out rows of the list decided when to stop: they flatter the model a \
         little. Intervals are 95 %, Wilson.</p>",
    );
    if !list.left_out.is_empty() {
        h.push_str("<h2>Left out</h2><ul>");
        for why in list.left_out.iter().take(100) {
            let _ = write!(h, "<li>{}</li>", escape(why));
        }
        h.push_str("</ul>");
    }
    super::shared::page("What inspected redshifts added", &h)
}
