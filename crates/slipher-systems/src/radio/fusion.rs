//! How the paper makes one answer of three networks for pairs of classes (fusion-classify.py of its repository).

use super::{CLASSES, PAIRS};

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

/// Of the probabilities that the three networks of [`PAIRS`] give to the first and second class of their pair: the class with two votes; its probability is the mean
/// of the two if either is above 0.9, else the lesser.
pub fn fuse(pairs: [[f32; 2]; 3]) -> Fused {
    let votes: Vec<(usize, f32)> = PAIRS.iter().zip(pairs).map(|((a, b), p)| if p[0] >= p[1] { (*a, p[0]) } else { (*b, p[1]) }).collect();
    for k in 0..CLASSES.len() {
        let given: Vec<f32> = votes.iter().filter(|v| v.0 == k).map(|v| v.1).collect();
        if let [p, q] = given[..] {
            return if p.max(q) > SURE { Fused::Sure(k, 0.5 * (p + q)) } else { Fused::Doubtful(k, p.min(q)) };
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_votes_decide() {
        // FRI of FRI/FRII and of FRI/Bent; the third cannot vote for it.
        assert_eq!(fuse([[0.95, 0.05], [0.7, 0.3], [0.5, 0.5]]), Fused::Sure(0, 0.825));
        assert_eq!(fuse([[0.8, 0.2], [0.7, 0.3], [0.9, 0.1]]), Fused::Doubtful(0, 0.7));
        assert_eq!(fuse([[0.8, 0.2], [0.7, 0.3], [0.9, 0.1]]).label(), "FRI?");
        assert_eq!(fuse([[0.2, 0.8], [0.1, 0.9], [0.05, 0.95]]).label(), "Bent");
        // FRII, FRI... each once: nobody wins.
        assert_eq!(fuse([[0.1, 0.9], [0.9, 0.1], [0.1, 0.9]]), Fused::Strange);
    }
}
