//! Figures of an evaluation by classes.

use super::*;

pub(super) fn confusion_figure(j: &Evaluation, a: &Answers) -> String {
    let names = j.system.outputs();
    let c = confusion(&a.values, &j.set.truth, names.len());
    let mut h = String::from("<figure><table><tr><th>is \\ says</th>");
    names.iter().for_each(|n| {
        let _ = write!(h, "<th>{n}</th>");
    });
    h.push_str("<th>recall</th></tr>");
    for (k, row) in c.iter().enumerate() {
        let all: usize = row.iter().sum();
        let _ = write!(h, "<tr><td>{}</td>", names[k]);
        for (l, n) in row.iter().enumerate() {
            let share = *n as f64 / all.max(1) as f64;
            let colour = if k == l {
                format!("rgba(0,114,178,{:.2})", 0.1 + 0.5 * share)
            } else {
                format!("rgba(213,94,0,{:.2})", (2.0 * share).min(0.7))
            };
            let _ = write!(h, "<td style=\"background:{colour}\">{n}</td>");
        }
        let (lo, hi) = wilson(row[k], all);
        let _ = write!(
            h,
            "<td>{:.1} % ({:.1}–{:.1})</td></tr>",
            100.0 * row[k] as f64 / all.max(1) as f64,
            100.0 * lo,
            100.0 * hi
        );
    }
    h.push_str("</table><figcaption>Confusion matrix.</figcaption></figure>");
    h
}

/// For each method, or for each class of the first method where there are more than two.
pub(super) fn curves(j: &Evaluation) -> Vec<(String, Vec<f32>, Vec<bool>)> {
    let n = j.system.outputs().len();
    match j.system.positive() {
        Some(k) => j
            .answers
            .iter()
            .map(|a| {
                (
                    a.method.clone(),
                    column(&a.values, n, k),
                    is(&j.set.truth, n, k),
                )
            })
            .collect(),
        None => (0..n)
            .filter_map(|k| {
                j.answers.first().map(|a| {
                    (
                        j.system.outputs()[k].to_owned(),
                        column(&a.values, n, k),
                        is(&j.set.truth, n, k),
                    )
                })
            })
            .collect(),
    }
}

pub(super) fn legend(f: &mut Figure, names: &[String], at: (f64, f64), down: f64) {
    for (i, name) in names.iter().enumerate() {
        f.text(
            at.0,
            at.1 - down * i as f64,
            name,
            LINE_COLOURS[i % LINE_COLOURS.len()],
            "end",
        );
    }
}

pub(super) fn roc_figure(j: &Evaluation) -> String {
    let mut f = Figure::new(
        500.0,
        380.0,
        Axis::log(1e-3, 1.0, "false positive rate"),
        Axis::linear(0.0, 1.0, "true positive rate"),
    );
    let mut names = Vec::new();
    for (i, (name, p, y)) in curves(j).iter().enumerate() {
        let points: Vec<(f64, f64)> = roc(p, y)
            .into_iter()
            .map(|(x, t)| (x.max(1e-3), t))
            .collect();
        f.line(&points, LINE_COLOURS[i % LINE_COLOURS.len()], 1.6, "");
        names.push(format!("{name}: AUC {:.4}", auc(p, y)));
    }
    legend(&mut f, &names, (0.9, 0.3), 0.05);
    format!(
        "<figure>{}<figcaption>Receiver operating characteristic.</figcaption></figure>",
        f.svg("ROC")
    )
}

pub(super) fn purity_figure(j: &Evaluation) -> String {
    let mut f = Figure::new(
        500.0,
        380.0,
        Axis::linear(0.0, 1.0, "completeness"),
        Axis::linear(0.8, 1.0, "purity"),
    );
    let mut names = Vec::new();
    for (i, (name, p, y)) in curves(j).into_iter().enumerate() {
        let all = y.iter().filter(|y| **y).count().max(1) as f64;
        let mut good = 0usize;
        let points: Vec<(f64, f64)> = ranked(&p, &y)
            .iter()
            .enumerate()
            .map(|(k, r)| {
                good += usize::from(r.1);
                (good as f64 / all, good as f64 / (k + 1) as f64)
            })
            .collect();
        let step = (points.len() / 600).max(1);
        f.line(
            &points.into_iter().step_by(step).collect::<Vec<_>>(),
            LINE_COLOURS[i % LINE_COLOURS.len()],
            1.6,
            "",
        );
        names.push(name);
    }
    legend(&mut f, &names, (0.6, 0.88), 0.01);
    let of = j.system.positive().map_or("each class".to_owned(), |k| {
        j.system.outputs()[k].to_owned()
    });
    format!(
        "<figure>{}<figcaption>Purity against completeness of {of}.</figcaption></figure>",
        f.svg("purity against completeness")
    )
}

pub(super) fn reliability_figure(j: &Evaluation, a: &Answers) -> String {
    let n = j.system.outputs().len();
    let (p, right) = chosen(&a.values, &j.set.truth, n);
    let low = 1.0 / n as f64;
    let mut f = Figure::new(
        500.0,
        380.0,
        Axis::linear(low, 1.0, "probability of the likeliest answer"),
        Axis::linear(low.min(0.5), 1.0, "share that is right"),
    );
    f.line(&[(low, low), (1.0, 1.0)], GREY, 1.0, "");
    let mut points = Vec::new();
    for (mean, share, rows) in reliability(&p, &|i| right[i]) {
        let (lo, hi) = wilson((share * rows as f64).round() as usize, rows);
        f.line(&[(mean, lo), (mean, hi)], COLOURS[0], 1.2, "");
        points.push((mean, share, format!("{rows} rows")));
    }
    f.dots(&points, COLOURS[0], 3.5, 1.0);
    format!(
        "<figure>{}<figcaption>Reliability; calibration error {:.2} %.</figcaption></figure>",
        f.svg("reliability"),
        100.0 * calibration(&a.values, &j.set.truth, n)
    )
}
