//! The decision tree of Galaxy Zoo 2 (Willett et al. 2013) as the Kaggle contest weighted it: each
//! question's shares add up to the share of the answer that leads to it.

use std::ops::Range;

use slipher_nn::heads::shares::Shares;

/// Columns of `training_solutions_rev1.csv`, in words.
pub const ANSWERS: [&str; 37] = [
    "smooth",
    "features",
    "star_or_artifact",
    "edge_on",
    "not_edge_on",
    "bar",
    "no_bar",
    "spiral",
    "no_spiral",
    "bulge_none",
    "bulge_just_noticeable",
    "bulge_obvious",
    "bulge_dominant",
    "odd",
    "not_odd",
    "round",
    "in_between",
    "cigar",
    "ring",
    "lens_or_arc",
    "disturbed",
    "irregular",
    "other",
    "merger",
    "dust_lane",
    "edge_bulge_rounded",
    "edge_bulge_boxy",
    "edge_bulge_none",
    "arms_tight",
    "arms_medium",
    "arms_loose",
    "arms_1",
    "arms_2",
    "arms_3",
    "arms_4",
    "arms_more_than_4",
    "arms_cannot_tell",
];

/// Answers of each question, 1 to 11.
pub const QUESTIONS: [Range<usize>; 11] = [
    0..3,
    3..5,
    5..7,
    7..9,
    9..13,
    13..15,
    15..18,
    18..25,
    25..28,
    28..31,
    31..37,
];

/// Which answer leads to which answers, in the order in which they are weighted; question 6 is not,
/// as in the contest's data.
const LEADS: [(usize, Range<usize>); 6] = [
    (1, 3..5),
    (4, 5..13),
    (0, 15..18),
    (13, 18..25),
    (3, 25..28),
    (7, 28..37),
];

/// The tree as a head.
pub fn shares() -> Shares {
    Shares {
        questions: QUESTIONS.to_vec(),
        leads: LEADS.to_vec(),
    }
}

#[cfg(test)]
mod tests {
    use slipher_nn::heads::Head;

    use super::*;

    #[test]
    fn shares_add_up() {
        let row: Vec<f32> = (0..37).map(|i| (i as f32 * 1.3).sin() + 0.4).collect();
        let mut answer = vec![0.0; 37];
        shares().decode(&row, &mut answer);
        let sum = |r: Range<usize>| answer[r].iter().sum::<f32>();
        assert!((sum(0..3) - 1.0).abs() < 1e-5 && (sum(13..15) - 1.0).abs() < 1e-5);
        for (lead, range) in LEADS.iter().filter(|l| l.1.len() < 8) {
            assert!((sum(range.clone()) - answer[*lead]).abs() < 1e-5, "{lead}");
        }
        assert!((sum(31..37) - answer[7]).abs() < 1e-5);
        assert_eq!((shares().units(), ANSWERS.len()), (37, 37));
    }
}
