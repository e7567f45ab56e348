//! How the paper makes one answer of three networks for pairs of classes (fusion-classify.py of its
//! repository).

use super::{CLASSES, PAIR_NAMES, PAIRS};
use crate::system::StudyRows;
use slipher_nn::heads::largest;
use slipher_stats::classification::Line;
use slipher_stats::proportion::wilson;

/// Classes that the three networks know.
pub const KNOWN: [usize; 3] = [0, 1, 3];
/// Precision and recall of each, as Aniyan & Thorat print them for theirs.
const PUBLISHED: [(f64, f64); 3] = [(0.91, 0.91), (0.75, 0.91), (0.95, 0.79)];

/// An answer, or none.
#[derive(Clone, Debug, PartialEq)]
pub enum Fused {
    /// Two networks agree and one is sure.
    Sure(usize, f32),
    /// Two agree, neither is sure: the class with a "?".
    Doubtful(usize, f32),
    /// All three differ.
    Strange,
}

/// Probability above which a network is sure.
const SURE: f32 = 0.9;

/// Of the probabilities that the three networks of [`PAIRS`] give to the first and second class of
/// their pair: the class with two votes; its probability is the mean of the two if either is above
/// 0.9, else the lesser.
pub fn fuse(pairs: [[f32; 2]; 3]) -> Fused {
    let votes: Vec<(usize, f32)> = PAIRS
        .iter()
        .zip(pairs)
        .map(|((a, b), p)| if p[0] >= p[1] { (*a, p[0]) } else { (*b, p[1]) })
        .collect();
    for k in 0..CLASSES.len() {
        let given: Vec<f32> = votes.iter().filter(|v| v.0 == k).map(|v| v.1).collect();
        if let [p, q] = given[..] {
            return if p.max(q) > SURE {
                Fused::Sure(k, 0.5 * (p + q))
            } else {
                Fused::Doubtful(k, p.min(q))
            };
        }
    }
    Fused::Strange
}

impl Fused {
    /// The class, if there is one.
    pub fn class(&self) -> Option<usize> {
        match self {
            Fused::Sure(k, _) | Fused::Doubtful(k, _) => Some(*k),
            Fused::Strange => None,
        }
    }

    /// As the paper prints it: `FRII`, `Bent?`, `Strange`.
    pub fn label(&self) -> String {
        match self {
            Fused::Sure(k, _) => CLASSES[*k].to_owned(),
            Fused::Doubtful(k, _) => format!("{}?", CLASSES[*k]),
            Fused::Strange => "Strange".into(),
        }
    }
}

fn share(method: &str, figure: &str, good: usize, n: usize) -> Line {
    let (low, high) = wilson(good, n);
    let value = good as f64 / n.max(1) as f64;
    Line {
        method: method.into(),
        figure: figure.into(),
        value,
        low,
        high,
        n,
        higher_is_better: true,
        published: (None, None),
    }
}

/// Accuracy, precision and recall over the three classes.
pub fn lines(method: &str, said: &[Option<usize>], truth: &[usize]) -> Vec<Line> {
    let count = |f: &dyn Fn(Option<usize>, usize) -> bool| {
        said.iter().zip(truth).filter(|(s, t)| f(**s, **t)).count()
    };
    let mut out = vec![share(
        method,
        "accuracy",
        count(&|s, t| s == Some(t)),
        truth.len(),
    )];
    for (k, (precision, recall)) in KNOWN.into_iter().zip(PUBLISHED) {
        let good = count(&|s, t| s == Some(k) && t == k);
        for (figure, of, published) in [
            ("precision", count(&|s, _| s == Some(k)), precision),
            ("recall", count(&|_, t| t == k), recall),
        ] {
            out.push(Line {
                published: (Some(published), None),
                ..share(method, &format!("{figure} {}", CLASSES[k]), good, of)
            });
        }
    }
    out
}

/// The same of fused answers, and how many of them have a "?" or no class.
pub fn fused_lines(method: &str, answers: &[Fused], truth: &[usize]) -> Vec<Line> {
    let mut out = lines(
        method,
        &answers.iter().map(Fused::class).collect::<Vec<_>>(),
        truth,
    );
    let doubtful = answers
        .iter()
        .filter(|f| !matches!(f, Fused::Sure(..)))
        .count();
    out.push(Line {
        higher_is_better: false,
        ..share(method, "share with a ? or strange", doubtful, answers.len())
    });
    out
}

/// The paper's fusion of three networks beside our answers to all classes, on the rows of the
/// classes that the three know; none unless all three were trained.
pub fn tables(rows: &StudyRows<'_>) -> Vec<(String, Vec<Line>)> {
    let labels: Vec<usize> = rows
        .truth
        .chunks_exact(CLASSES.len())
        .map(largest)
        .collect();
    let known: Vec<usize> = (0..labels.len())
        .filter(|r| KNOWN.contains(&labels[*r]))
        .collect();
    let images: Vec<Vec<f32>> = known.iter().map(|r| rows.images[*r].clone()).collect();
    let truth: Vec<usize> = known.iter().map(|r| labels[*r]).collect();
    let given: Option<Vec<Vec<f32>>> = PAIR_NAMES
        .iter()
        .map(|(name, _)| (rows.part)(name, &images))
        .collect();
    let Some(given) = given else { return vec![] };
    let one = |i: usize| fuse([0, 1, 2].map(|k| [given[k][2 * i], given[k][2 * i + 1]]));
    let answers: Vec<Fused> = (0..known.len()).map(one).collect();
    let mut out = fused_lines("three AlexNets, fused", &answers, &truth);
    for (title, values) in rows.own {
        let likeliest = |r: &usize| {
            let row = &values[r * CLASSES.len()..(r + 1) * CLASSES.len()];
            KNOWN.into_iter().max_by(|a, b| row[*a].total_cmp(&row[*b]))
        };
        let said: Vec<Option<usize>> = known.iter().map(likeliest).collect();
        out.extend(lines(
            &format!("{title}, likeliest of the three"),
            &said,
            &truth,
        ));
    }
    vec![(
        "Three networks and their fusion, as published, on FRI, FRII and Bent".into(),
        out,
    )]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_votes_decide() {
        // FRI of FRI/FRII and of FRI/Bent; the third cannot vote for it.
        assert_eq!(
            fuse([[0.95, 0.05], [0.7, 0.3], [0.5, 0.5]]),
            Fused::Sure(0, 0.825)
        );
        assert_eq!(
            fuse([[0.8, 0.2], [0.7, 0.3], [0.9, 0.1]]),
            Fused::Doubtful(0, 0.7)
        );
        assert_eq!(fuse([[0.8, 0.2], [0.7, 0.3], [0.9, 0.1]]).label(), "FRI?");
        assert_eq!(fuse([[0.2, 0.8], [0.1, 0.9], [0.05, 0.95]]).label(), "Bent");
        // FRII, FRI... each once: nobody wins.
        assert_eq!(fuse([[0.1, 0.9], [0.9, 0.1], [0.1, 0.9]]), Fused::Strange);
    }
}
