//! Which rows of a sample to accept so that a wanted share of them is right, from the rows' own
//! probabilities (control of the false discovery rate: Müller et al. 2004; Storey 2003).
//!
//! A threshold that was measured on simulations means what it says only for samples like them. The
//! mean probability of the rows above a threshold is their expected purity in *this* sample,
//! whatever it consists of, as long as the probabilities are calibrated.

/// Bins of probability.
const BINS: usize = 100_000;
/// Unit of the sums, so that they do not depend on the order of rows.
const UNIT: f64 = 1e9;

/// Rows by probability; sums of any parts, in any order, are the same.
#[derive(Clone, Debug)]
pub struct Sample {
    /// Rows and Σ p of each bin: usual rows, and odd ones, of which more is asked.
    bins: [Vec<(u64, u64)>; 2],
    /// Rows without an answer.
    pub without: u64,
}

/// A threshold with what is expected of the rows above it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Acceptance {
    /// Least probability of a usual row.
    pub threshold: f64,
    /// Of an odd row.
    pub odd_threshold: f64,
    /// Accepted rows.
    pub accepted: u64,
    /// Mean probability of the accepted rows.
    pub purity: f64,
    /// Σ p of the accepted rows over Σ p of all.
    pub completeness: f64,
}

impl Default for Sample {
    fn default() -> Self {
        Sample {
            bins: [vec![(0, 0); BINS + 1], vec![(0, 0); BINS + 1]],
            without: 0,
        }
    }
}

fn bin(p: f64) -> usize {
    ((p.clamp(0.0, 1.0) * BINS as f64).floor() as usize).min(BINS)
}

/// Least probability of an odd row: a quarter of the doubt that a usual one may have.
pub fn odd_threshold(threshold: f64) -> f64 {
    1.0 - 0.25 * (1.0 - threshold)
}

impl Sample {
    /// Counts a row; an `odd` one needs more.
    pub fn add(&mut self, p: f64, odd: bool) {
        if !p.is_finite() {
            self.without += 1;
            return;
        }
        let b = &mut self.bins[usize::from(odd)][bin(p)];
        b.0 += 1;
        b.1 += (p.clamp(0.0, 1.0) * UNIT).round() as u64;
    }

    /// The lowest threshold, ½ at least, above which the expected purity is `purity`; none if no
    /// row can be accepted.
    pub fn accept(&self, purity: f64) -> Option<Acceptance> {
        let all: u64 = self.bins.iter().flatten().map(|b| b.1).sum();
        let mut best = None;
        let (mut rows, mut sum) = (0u64, 0u64);
        // Usual bins from the top; odd ones join when the threshold has come down for them.
        let mut next = BINS as i64;
        for i in (BINS / 2..=BINS).rev() {
            let b = self.bins[0][i];
            (rows, sum) = (rows + b.0, sum + b.1);
            let threshold = i as f64 / BINS as f64;
            while next as f64 / BINS as f64 >= odd_threshold(threshold) - 1e-12 {
                let b = self.bins[1][next as usize];
                (rows, sum) = (rows + b.0, sum + b.1);
                next -= 1;
            }
            let mean = sum as f64 / UNIT / rows.max(1) as f64;
            if rows > 0 && mean >= purity - 1e-9 {
                best = Some(Acceptance {
                    threshold,
                    odd_threshold: odd_threshold(threshold),
                    accepted: rows,
                    purity: mean,
                    completeness: sum as f64 / all.max(1) as f64,
                });
            }
        }
        best
    }
}

impl Acceptance {
    /// Whether a row is accepted; the same row as was counted.
    pub fn takes(&self, p: f64, odd: bool) -> bool {
        let threshold = if odd {
            self.odd_threshold
        } else {
            self.threshold
        };
        p.is_finite() && bin(p) as f64 / BINS as f64 >= threshold - 1e-12
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(40))]
        /// The mean probability of what is taken is what was asked at least, and one row more would
        /// be too many; the order of rows does not matter.
        #[test]
        fn expected_purity_is_what_was_asked(
            p in prop::collection::vec(0.0f64..1.0, 1..400),
            purity in 0.6f64..0.99,
        ) {
            let mut s = Sample::default();
            p.iter().for_each(|p| s.add(*p, false));
            let mut backwards = Sample::default();
            p.iter().rev().for_each(|p| backwards.add(*p, false));
            let a = s.accept(purity);
            prop_assert_eq!(a, backwards.accept(purity));
            if let Some(a) = a {
                let taken: Vec<f64> = p.iter().copied().filter(|p| a.takes(*p, false)).collect();
                let mean = taken.iter().sum::<f64>() / taken.len() as f64;
                prop_assert_eq!(taken.len() as u64, a.accepted);
                prop_assert!(mean >= purity - 1e-6, "{} {}", mean, purity);
                prop_assert!(taken.iter().all(|p| *p >= 0.5));
            } else {
                prop_assert!(p.iter().all(|p| *p < purity || *p < 0.5));
            }
        }
    }

    /// A sample of junk accepts less than a clean one, at the same purity; the odd need more.
    #[test]
    fn samples_decide() {
        let (mut clean, mut junk) = (Sample::default(), Sample::default());
        for i in 0..1000 {
            let p = f64::from(i) / 1000.0;
            clean.add(1.0 - 0.1 * (1.0 - p), false);
            junk.add(p, false);
        }
        let (c, j) = (clean.accept(0.95).unwrap(), junk.accept(0.95).unwrap());
        assert!(c.accepted >= 999 && j.accepted < 120, "{c:?} {j:?}");
        assert!((j.threshold - 0.9).abs() < 0.01);
        let mut s = Sample::default();
        (0..100).for_each(|_| s.add(0.99, false));
        s.add(0.8, true);
        s.add(f64::NAN, false);
        let a = s.accept(0.9).unwrap();
        assert!(a.accepted == 100 && !a.takes(0.8, true) && a.takes(0.8, false));
        assert_eq!(s.without, 1);
        assert_eq!(Sample::default().accept(0.9), None);
    }
}
