//! Where redshifts go wrong: pile-ups and what lies behind them, outcomes against a known truth.

use slipher_sim::sed::SpecType;

use super::catalogue::Row;
use super::euclid::TOLERANCE;
use super::lines::strongest;
use super::measure::zwarn;
use super::score::success;
use slipher_stats::proportion::Tally;

/// Things that are not of the object: wavelength (vacuum Å), half-width, name.
const ARTEFACTS: [(f64, f64, &str); 11] = [
    (5578.9, 6.0, "[O I] 5577 of the night sky"),
    (5894.6, 8.0, "Na I of the night sky"),
    (6301.7, 6.0, "[O I] 6300 of the night sky"),
    (6365.5, 6.0, "[O I] 6364 of the night sky"),
    (6880.0, 25.0, "atmospheric B band"),
    (7620.0, 40.0, "atmospheric A band"),
    (5780.0, 25.0, "DESI's join of the blue and red cameras"),
    (6050.0, 60.0, "the join of the SDSS and BOSS cameras"),
    (7560.0, 25.0, "DESI's join of the red and infrared cameras"),
    (9375.0, 120.0, "atmospheric water"),
    (11_400.0, 250.0, "atmospheric water"),
];

/// Width of a bin in ln(1+z), bins that tell what is expected (without the nearest), and how rare a
/// bin must be.
const BIN: f64 = 0.002;
const AROUND: usize = 40;
const NEAREST: usize = 2;
const RARE: f64 = 1e-6;

/// More redshifts in a narrow range than around it.
#[derive(Clone, Debug, PartialEq)]
pub struct PileUp {
    /// Class of the answers.
    pub class: SpecType,
    /// First and last redshift of the range.
    pub z: (f64, f64),
    /// Answers in it.
    pub n: usize,
    /// Answers that the neighbourhood lets expect.
    pub expected: f64,
    /// Share of these rows that were accepted.
    pub accepted: f64,
    /// What the strongest line is, where it lies, and what else lies there.
    pub cause: String,
}

/// Pile-ups of galaxies and quasars, rarest first.
pub fn pile_ups(rows: &[Row]) -> Vec<PileUp> {
    let mut out = Vec::new();
    for class in [SpecType::Galaxy, SpecType::Qso] {
        let own: Vec<(&Row, f64)> = rows
            .iter()
            .filter_map(|r| Some((r, r.measurement.best().filter(|b| b.class == class)?.z)))
            .collect();
        let bin = |z: f64| ((1.0 + z).max(1e-3).ln() / BIN).floor() as i64;
        let Some(first) = own.iter().map(|r| bin(r.1)).min() else {
            continue;
        };
        let last = own.iter().map(|r| bin(r.1)).max().unwrap_or(first);
        let mut counts = vec![0usize; (last - first + 1) as usize];
        own.iter()
            .for_each(|r| counts[(bin(r.1) - first) as usize] += 1);
        let rarity = |i: usize| {
            let range = i.saturating_sub(AROUND)..(i + AROUND + 1).min(counts.len());
            let around: Vec<usize> = range
                .filter(|j| j.abs_diff(i) > NEAREST)
                .map(|j| counts[j])
                .collect();
            // A handful of rows says nothing of what to expect.
            let expected =
                (around.iter().sum::<usize>() as f64 / around.len().max(1) as f64).max(0.3);
            (poisson_tail(counts[i], expected), expected)
        };
        let rare: Vec<usize> = (0..counts.len())
            .filter(|i| counts[*i] >= 5 && rarity(*i).0 < RARE)
            .collect();
        // Neighbours are one pile.
        for run in rare.chunk_by(|a, b| b - a <= 1) {
            let edge = |i: i64| ((first + i) as f64 * BIN).exp() - 1.0;
            let z = (edge(run[0] as i64), edge(run[run.len() - 1] as i64 + 1));
            let inside: Vec<&Row> = own
                .iter()
                .filter(|r| r.1 >= z.0 && r.1 < z.1)
                .map(|r| r.0)
                .collect();
            let accepted = inside.iter().filter(|r| r.measurement.accepted()).count() as f64
                / inside.len().max(1) as f64;
            let expected = run.iter().map(|i| rarity(*i).1).sum();
            out.push(PileUp {
                class,
                z,
                n: inside.len(),
                expected,
                accepted,
                cause: cause(&inside),
            });
        }
    }
    out.sort_by(|a, b| (b.n as f64 / b.expected).total_cmp(&(a.n as f64 / a.expected)));
    out
}

/// What most rows of a pile have in common.
fn cause(rows: &[&Row]) -> String {
    let limit = rows
        .iter()
        .filter(|r| r.measurement.zwarn & zwarn::Z_FITLIMIT != 0)
        .count();
    if limit * 2 > rows.len() {
        return "the edge of the range of redshifts".into();
    }
    let mut seen: Vec<(String, f64)> = rows
        .iter()
        .filter_map(|r| strongest(&r.measurement.lines).map(|l| (l.label.clone(), l.observed)))
        .collect();
    if seen.len() * 2 <= rows.len() {
        return "no line of S/N 3 in most of them".into();
    }
    let most = |name: &str| seen.iter().filter(|s| s.0 == name).count();
    let Some(label) = seen.iter().map(|s| s.0.clone()).max_by_key(|n| most(n)) else {
        return String::new();
    };
    let share = most(&label) as f64 / seen.len() as f64;
    seen.retain(|s| s.0 == label);
    let at = seen.iter().map(|s| s.1).sum::<f64>() / seen.len() as f64;
    let there = ARTEFACTS
        .iter()
        .find(|a| (at - a.0).abs() < a.1)
        .map_or("nothing known lies there".to_owned(), |a| {
            format!("there is {}", a.2)
        });
    format!("{label} in {:.0} %, at {at:.0} Å: {there}", 100.0 * share)
}

/// P(at least n | Poisson of mean μ).
fn poisson_tail(n: usize, mean: f64) -> f64 {
    let mut term = (-mean).exp();
    let mut below = 0.0;
    for k in 0..n {
        below += term;
        term *= mean / (k + 1) as f64;
    }
    // For rare tails the sum of what follows is exact where 1 − below is not.
    let mut above = 0.0;
    for k in n..n + 200 {
        above += term;
        term *= mean / (k + 1) as f64;
    }
    if below < 0.5 { 1.0 - below } else { above }
}

/// Redrock's square of outcomes (desihub/redrock issue 129), and Euclid's two requirements.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Outcomes {
    /// Right and accepted, wrong and accepted, right and not accepted, wrong and not accepted.
    pub good: usize,
    /// Wrong and accepted.
    pub fail: usize,
    /// Right and not accepted.
    pub miss: usize,
    /// Wrong and not accepted.
    pub lost: usize,
    /// Accepted of all; of the accepted those within 0.001 (1+z) (NISP R-GC.2.1-2).
    pub completeness: Tally,
    /// Of the accepted, those within 0.001 (1+z).
    pub purity: Tally,
}

impl Outcomes {
    /// Of rows of a class whose file carries a redshift without warning.
    pub fn of(rows: &[Row], class: SpecType) -> Outcomes {
        let mut out = Outcomes::default();
        for r in rows {
            let Some(t) = r
                .truth
                .as_ref()
                .filter(|t| t.zwarn == 0 && SpecType::parse(&t.spectype) == Some(class))
            else {
                continue;
            };
            let best = r.measurement.best();
            let right = best.is_some_and(|b| success((class, t.z), b.class, b.z));
            let accepted = r.measurement.accepted();
            *match (accepted, right) {
                (true, true) => &mut out.good,
                (true, false) => &mut out.fail,
                (false, true) => &mut out.miss,
                (false, false) => &mut out.lost,
            } += 1;
            out.completeness.add(accepted);
            if let Some(b) = best.filter(|_| accepted) {
                out.purity.add((b.z - t.z).abs() < TOLERANCE * (1.0 + t.z));
            }
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::super::decode::{Answer, Solution};
    use super::super::lines::LineFit;
    use super::super::measure::Measurement;
    use super::*;
    use slipher_data::spectrum::{Origin, Truth};

    fn row(z: f64, p: f64, truth: Option<f64>, line: Option<f64>) -> Row {
        let best = Solution {
            class: SpecType::Galaxy,
            z,
            z_err: 1e-4,
            probability: p,
        };
        let answer = Answer {
            solutions: vec![best],
            classes: [p, 0.0, 1.0 - p],
            quantiles: [z; 4],
            peaks: vec![],
        };
        let fit = |at: f64| LineFit {
            label: "[O II]".into(),
            rest: 3728.48,
            observed: at,
            flux: 9.0,
            flux_err: 1.0,
            ew: 5.0,
            ew_err: 1.0,
            sigma_kms: 100.0,
            sigma_err_kms: None,
        };
        let flag = if p < 0.75 { zwarn::LOW_PROBABILITY } else { 0 };
        let measurement = Measurement {
            answer: Some(answer),
            lines: line.map(fit).into_iter().collect(),
            zwarn: flag,
            ..Measurement::default()
        };
        let truth = truth.map(|z| Truth {
            z,
            spectype: "GALAXY".into(),
            zwarn: 0,
        });
        Row {
            origin: Origin::default(),
            object_id: String::new(),
            ra: 0.0,
            dec: 0.0,
            flux_unit: String::new(),
            measurement,
            error: None,
            truth,
        }
    }

    /// A smooth N(z) has no pile-up; thirty rows whose [O II] is a sky line are one, and named.
    #[test]
    fn pile_ups_are_found_and_explained() {
        let mut rows: Vec<Row> = (0..2000)
            .map(|i| row(0.2 + 0.0005 * f64::from(i), 0.95, None, None))
            .collect();
        assert!(pile_ups(&rows).is_empty());
        let z = 5578.9 / 3728.48 - 1.0;
        rows.extend((0..30).map(|i| row(z + 1e-6 * f64::from(i), 0.5, None, Some(5578.9))));
        let found = pile_ups(&rows);
        assert_eq!(found.len(), 1, "{found:?}");
        let f = &found[0];
        assert!(
            f.z.0 <= z
                && f.z.1 > z
                && f.n >= 30
                && f.n < 60
                && f.cause.contains("[O II] in 100 %")
                && f.cause.contains("5577 of the night sky"),
            "{f:?}"
        );
        // scipy.stats.poisson.sf(n - 1, mean).
        assert!(
            (poisson_tail(3, 1.0) - 0.080_301_4).abs() < 1e-6
                && (poisson_tail(20, 2.0) / 6.443_731e-14 - 1.0).abs() < 1e-5
        );
    }

    #[test]
    fn outcomes_are_counted() {
        let rows = [
            row(0.5, 0.9, Some(0.5), None),
            row(0.5, 0.9, Some(0.7), None),
            row(0.5, 0.3, Some(0.502), None),
            row(0.5, 0.3, Some(0.9), None),
            row(0.1, 0.9, None, None),
        ];
        let o = Outcomes::of(&rows, SpecType::Galaxy);
        assert_eq!((o.good, o.fail, o.miss, o.lost), (1, 1, 1, 1));
        assert_eq!(
            (
                o.completeness.right,
                o.completeness.n,
                o.purity.right,
                o.purity.n
            ),
            (2, 4, 1, 2)
        );
    }
}
