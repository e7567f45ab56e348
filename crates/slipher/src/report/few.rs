//! The page of a model from few examples: its error, its mistakes, and what is near them.

use std::fmt::Write;

use slipher_stats::classification::largest;
use slipher_systems::few::Examples;
use slipher_systems::model::Model;

use super::figure::escape;
use super::shared::{encoded_picture, page as whole};

/// Examples shown.
const SHOWN: usize = 200;

/// The page.
pub fn page(
    model: &Model,
    e: &Examples,
    learned: &slipher_stats::few::Learned,
    remarks: &[String],
) -> String {
    let mut h = String::from("<p>");
    let _ = write!(
        h,
        "{} examples of {} classes; {}.</p><ul>",
        e.rows.len(),
        e.classes.len(),
        escape(&learned.method.to_string())
    );
    for r in remarks.iter().chain(&e.notes) {
        let _ = write!(h, "<li>{}</li>", escape(r));
    }
    h.push_str("</ul>");
    h.push_str(&confusion(e, learned));
    h.push_str(
        "<h2>Each example as the others call it</h2><p>Mistakes first, then by probability of the \
         label. Beside each: the nearest other example in what the network makes of them.</p>",
    );
    let rows: Vec<Vec<f32>> = e.rows.iter().map(|r| r.encoded.clone()).collect();
    let embeddings = model.predict_embedded(&rows).2;
    let mut order: Vec<usize> = (0..e.rows.len()).collect();
    let p_of = |i: usize| learned.left_out[i].as_ref().map(|p| p[e.rows[i].label]);
    let wrong = |i: usize| {
        let p = learned.left_out[i].as_ref();
        p.is_some_and(|p| largest(p) != e.rows[i].label)
    };
    order.sort_by(|a, b| {
        let key = |i: usize| (!wrong(i), p_of(i).unwrap_or(2.0));
        let ((w, p), (v, q)) = (key(*a), key(*b));
        w.cmp(&v).then(p.total_cmp(&q))
    });
    h.push_str("<div class=\"stamps\">");
    for i in order.into_iter().take(SHOWN) {
        let said = match &learned.left_out[i] {
            None => "the only one of its class".to_owned(),
            Some(p) => format!("{} {:.2}", e.classes[largest(p)], p[largest(p)]),
        };
        let near = nearest(&embeddings, i);
        let near = near.map_or(String::new(), |j| {
            format!(
                "; nearest: {} ({})",
                e.rows[j].name, e.classes[e.rows[j].label]
            )
        });
        let text = format!(
            "{}{}: is {}, called {said}{near}",
            if wrong(i) { "✗ " } else { "" },
            e.rows[i].name,
            e.classes[e.rows[i].label]
        );
        let picture = encoded_picture(model.system, &e.rows[i].encoded)
            .map_or(String::new(), |d| {
                format!("<img alt=\"\" src=\"data:image/png;base64,{d}\">")
            });
        let _ = write!(
            h,
            "<figure>{picture}<figcaption>{}</figcaption></figure>",
            escape(&text)
        );
    }
    h.push_str("</div>");
    whole(model.system.title(), &h)
}

fn nearest(all: &[Vec<f32>], i: usize) -> Option<usize> {
    let far = |j: usize| -> f32 {
        let both = all[i].iter().zip(&all[j]);
        both.map(|(a, b)| (a - b) * (a - b)).sum()
    };
    (0..all.len())
        .filter(|j| *j != i)
        .min_by(|a, b| far(*a).total_cmp(&far(*b)))
}

fn confusion(e: &Examples, learned: &slipher_stats::few::Learned) -> String {
    let n = e.classes.len();
    let mut counts = vec![0usize; n * n];
    for (r, p) in e.rows.iter().zip(&learned.left_out) {
        if let Some(p) = p {
            counts[r.label * n + largest(p)] += 1;
        }
    }
    let mut h =
        String::from("<h2>Left out, called by the rest</h2><table><tr><th>is \\ called</th>");
    for c in &e.classes {
        let _ = write!(h, "<th>{}</th>", escape(c));
    }
    h.push_str("</tr>");
    for (k, c) in e.classes.iter().enumerate() {
        let _ = write!(h, "<tr><th>{}</th>", escape(c));
        for j in 0..n {
            let _ = write!(h, "<td>{}</td>", counts[k * n + j]);
        }
        h.push_str("</tr>");
    }
    h.push_str("</table>");
    h
}
