//! Sets of encoded examples in memory.

use rayon::prelude::*;
use slipher_sim::random::Stream;

use crate::example::{Example, Sky};
use crate::system::System;

/// Rows with their answers.
#[derive(Clone, Debug, Default)]
pub struct Set {
    /// `[channel][stored][stored]` of each row.
    pub images: Vec<Vec<f32>>,
    /// `[row][output]`.
    pub truth: Vec<f32>,
    /// How well each row is seen (an S/N, or pixels across), for figures by depth.
    pub depth: Vec<f32>,
    /// For classical methods; empty if not asked for.
    pub features: Vec<f32>,
    /// Of the features.
    pub names: Vec<String>,
}

/// Which rows of the simulated sky.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Split {
    /// To learn from.
    Train,
    /// To choose by.
    Validation,
    /// To judge by.
    Test,
}

impl Split {
    /// What keeps its random stream apart.
    pub fn purpose(self) -> u64 {
        0x1AA6E + self as u64
    }
}

impl Set {
    /// The first `n` rows of a split of a simulated sky, in parallel; row i of a seed is the same
    /// in a set of any size. Empty where the system has no such sky.
    pub fn simulated(
        system: &dyn System,
        sky: Sky,
        split: Split,
        seed: u64,
        n: usize,
        features: bool,
    ) -> Set {
        let made: Vec<_> = (0..n as u64)
            .into_par_iter()
            .map(|row| {
                let e = system.simulate(sky, &mut Stream::new(seed, split.purpose(), row))?;
                Row::of(system, e, format!("{}-{row}", system.name()), features).ok()
            })
            .collect();
        Set::gather(made.into_iter().flatten())
    }

    /// Of examples; those that cannot be encoded are left out, with the reason.
    pub fn of(system: &dyn System, examples: Vec<Example>, features: bool) -> (Set, Vec<String>) {
        let made: Vec<Result<Row, String>> = examples
            .into_par_iter()
            .map(|e| {
                let name = e.input.object_id().to_owned();
                Row::of(system, e, name.clone(), features).map_err(|why| format!("{name}: {why}"))
            })
            .collect();
        let bad = made
            .iter()
            .filter_map(|r| r.as_ref().err().cloned())
            .collect();
        (Set::gather(made.into_iter().flatten()), bad)
    }

    fn gather(rows: impl Iterator<Item = Row>) -> Set {
        let mut s = Set::default();
        for r in rows {
            s.images.push(r.image);
            s.truth.extend(r.truth);
            s.depth.push(r.depth);
            s.features.extend(r.features);
            s.names.push(r.name);
        }
        s
    }

    /// Number of rows.
    pub fn rows(&self) -> usize {
        self.images.len()
    }

    /// For classical methods, which see features only.
    pub fn without_images(mut self) -> Set {
        self.images.iter_mut().for_each(|i| *i = vec![]);
        self
    }

    /// The first rows.
    pub fn first(&self, rows: usize) -> Set {
        let n = rows.min(self.rows());
        let of = |v: &[f32]| v[..v.len() / self.rows().max(1) * n].to_vec();
        Set {
            images: self.images[..n].to_vec(),
            truth: of(&self.truth),
            depth: self.depth[..n].to_vec(),
            features: of(&self.features),
            names: self.names[..n].to_vec(),
        }
    }

    /// Appends another set.
    pub fn extend(&mut self, other: Set) {
        self.images.extend(other.images);
        self.truth.extend(other.truth);
        self.depth.extend(other.depth);
        self.features.extend(other.features);
        self.names.extend(other.names);
    }

    /// Largest truth of each row.
    pub fn labels(&self, outputs: usize) -> Vec<usize> {
        self.truth
            .chunks_exact(outputs)
            .map(slipher_nn::heads::largest)
            .collect()
    }
}

struct Row {
    image: Vec<f32>,
    truth: Vec<f32>,
    depth: f32,
    features: Vec<f32>,
    name: String,
}

impl Row {
    fn of(system: &dyn System, e: Example, name: String, features: bool) -> Result<Row, String> {
        let image = system.encode(&e.input)?;
        let features = if features {
            system.features(&e.input, &image)
        } else {
            vec![]
        };
        Ok(Row {
            image,
            truth: e.truth,
            depth: e.depth,
            features,
            name,
        })
    }
}
