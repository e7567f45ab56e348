//! Out of distribution: how far an image lies from those that a model has seen, in what its network
//! makes of it and in plain statistics of its pixels.
//!
//! In each of these spaces: whitened by the covariance of reference rows (Mahalanobis; Lee et al.
//! 2018), then the mean distance to the five nearest of them (Sun et al. 2022). A distance becomes
//! the share of held-out rows that lie farther. A third share tells how many stand out of their
//! surroundings as little. The smallest of the three, against its own distribution over held-out
//! rows, is the column `familiarity`: 0.01 means that one in a hundred images of the model's own kind
//! is as strange.

use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use slipher_nn::checkpoint::{Array, Checkpoint, CheckpointError};

use crate::descriptors::{describe, prominence};
use crate::geometry::Geometry;
use slipher_stats::whitening::Whitening;

/// Below this share of its own kind a row is flagged.
pub const UNFAMILIAR: f64 = 0.01;

/// Reference rows, at most.
const REFERENCE: usize = 800;
/// Rows to fit with, at least.
const ROWS: usize = 300;
/// Neighbours that count.
const NEAREST: usize = 5;
/// Share of the mean variance that is added to each: reference rows are few.
const SHRINKAGE: f64 = 0.02;
/// Shares that curves are kept at.
const SHARES: [f64; 12] = [
    1.0, 0.8, 0.6, 0.4, 0.2, 0.1, 0.05, 0.03, 0.02, 0.01, 0.005, 0.002,
];

/// Deviations of a normal law that [`SHARES`] of it lie beyond.
const NORMAL: [f64; 12] = [
    -4.0, -0.842, -0.253, 0.253, 0.842, 1.282, 1.645, 1.881, 2.054, 2.326, 2.576, 2.878,
];
/// Examples that say what is like them, at least: one more than the neighbours that count.
const FEW: usize = NEAREST + 1;

/// Distance of so many held-out shares: what [`SHARES`] of them lie beyond.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Curve(Vec<f64>);

impl Curve {
    fn of(mut distances: Vec<f64>) -> Curve {
        distances.sort_by(f64::total_cmp);
        let last = distances.len() - 1;
        let at = |share: &f64| distances[((1.0 - share) * last as f64).round() as usize];
        Curve(SHARES.iter().map(at).collect())
    }

    fn is_sound(&self) -> bool {
        self.0.len() == SHARES.len() && self.0.is_sorted() && self.0.iter().all(|v| v.is_finite())
    }

    /// Logarithm of the share of held-out rows that lie beyond: linear between those that are known,
    /// and beyond the last as between the last two that differ.
    fn ln_beyond(&self, distance: f64) -> f64 {
        let d = &self.0;
        let i = d.partition_point(|x| *x <= distance);
        if i == 0 {
            return 0.0;
        }
        let (a, b) = if i < d.len() {
            (i - 1, i)
        } else {
            let top = d.len() - 1;
            let Some(below) = (0..top).rev().find(|k| d[*k] < d[top]) else {
                return if distance > d[top] { -LARGEST } else { 0.0 };
            };
            (below, top)
        };
        let t = (distance - d[a]) / (d[b] - d[a]).max(1e-300);
        (SHARES[a].ln() + t * (SHARES[b] / SHARES[a]).ln()).clamp(-LARGEST, 0.0)
    }
}

/// Strangeness that is not told from more.
const LARGEST: f64 = 1e6;

/// One space.
#[derive(Clone, Debug, PartialEq)]
struct Space {
    whitening: Whitening,
    /// `[row][value]`, whitened.
    reference: Vec<f32>,
    curve: Curve,
}

impl Space {
    fn fit(reference: &[Vec<f32>], held_out: &[Vec<f32>]) -> Option<Space> {
        let mut space = Space {
            whitening: Whitening::fit(reference, SHRINKAGE)?,
            reference: vec![],
            curve: Curve(vec![]),
        };
        space.reference = reference
            .iter()
            .flat_map(|r| space.whitening.one(r))
            .collect();
        let far: Vec<f64> = held_out.par_iter().map(|r| space.distance(r)).collect();
        space.curve = Curve::of(far);
        space.curve.is_sound().then_some(space)
    }

    /// With other reference rows, each judged by its distance from the others.
    fn of_few(&self, rows: &[Vec<f32>]) -> Option<Space> {
        let n = self.whitening.features();
        let mut space = Space {
            reference: rows.iter().flat_map(|r| self.whitening.one(r)).collect(),
            ..self.clone()
        };
        let far: Vec<f64> = (0..rows.len())
            .map(|k| {
                let own = &space.reference[k * n..(k + 1) * n];
                let all = space.reference.chunks_exact(n).enumerate();
                let mut others = all.filter(|(j, _)| *j != k).map(|(_, r)| r);
                space.mean_of_nearest(own, &mut others).max(1e-9).ln()
            })
            .collect();
        let count = far.len() as f64;
        let mean = far.iter().sum::<f64>() / count;
        let variance = far.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / (count - 1.0);
        let spread = variance.sqrt().max(0.05) * (1.0 + 2.0 / count);
        let at = |beyond: f64| (mean + spread * beyond).exp();
        space.curve = Curve(NORMAL.iter().map(|z| at(*z)).collect());
        space.curve.is_sound().then_some(space)
    }

    /// Mean distance to the nearest reference rows.
    fn distance(&self, x: &[f32]) -> f64 {
        let (n, w) = (self.whitening.features(), self.whitening.one(x));
        self.mean_of_nearest(&w, &mut self.reference.chunks_exact(n))
    }

    fn mean_of_nearest(&self, w: &[f32], reference: &mut dyn Iterator<Item = &[f32]>) -> f64 {
        let mut nearest = [f32::INFINITY; NEAREST];
        for row in reference {
            let d: f32 = row.iter().zip(w).map(|(a, b)| (a - b) * (a - b)).sum();
            if d < nearest[NEAREST - 1] {
                nearest[NEAREST - 1] = d;
                nearest.sort_by(f32::total_cmp);
            }
        }
        nearest.iter().map(|d| f64::from(d.sqrt())).sum::<f64>() / NEAREST as f64
    }
}

/// What a model has seen.
#[derive(Clone, Debug, PartialEq)]
pub struct Familiarity {
    /// Of the network's last features, and of the pixels.
    spaces: [Space; 2],
    /// Of how little the middle stands out.
    faint: Curve,
    /// Of the largest strangeness of the three, −ln share.
    all: Curve,
}

const NAMES: [&str; 2] = ["embedding", "pixels"];

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Curves {
    embedding: Curve,
    pixels: Curve,
    faint: Curve,
    all: Curve,
}

impl Familiarity {
    /// From encoded images of the model's own kind that it was not trained on, and what its
    /// networks make of them. The last `real` of them are real where the others are simulated: few,
    /// and so counted often enough to be a third of the held-out rows. None where all are too few.
    pub fn fit(
        g: Geometry,
        images: &[Vec<f32>],
        embeddings: &[Vec<f32>],
        real: usize,
    ) -> Option<Familiarity> {
        if images.len() < ROWS || images.len() != embeddings.len() {
            return None;
        }
        let pixels: Vec<Vec<f32>> = images.par_iter().map(|x| describe(g, x)).collect();
        let all = [embeddings, &pixels];
        let (mut own, mut rest): (Vec<usize>, Vec<usize>) =
            (0..images.len()).partition(|r| r % 3 == 0);
        // The last ones, so that real rows are among them.
        own.drain(..own.len().saturating_sub(REFERENCE));
        let first = images.len() - real.min(images.len());
        let held: Vec<usize> = rest.iter().copied().filter(|r| *r >= first).collect();
        if real > 0 && !held.is_empty() && held.len() < rest.len() {
            let times = (rest.len() - held.len()) / 2 / held.len();
            (1..times).for_each(|_| rest.extend(&held));
        }
        let pick = |all: &[Vec<f32>], rows: &[usize]| -> Vec<Vec<f32>> {
            rows.iter().map(|r| all[*r].clone()).collect()
        };
        let space = |all: &[Vec<f32>]| Space::fit(&pick(all, &own), &pick(all, &rest));
        let spaces = [space(all[0])?, space(all[1])?];
        let faint = |r: &usize| -prominence(g, &images[*r]);
        let mut made = Familiarity {
            spaces,
            faint: Curve::of(rest.par_iter().map(faint).collect()),
            all: Curve(vec![]),
        };
        let strange = |r: &usize| made.strangeness([&all[0][*r], &all[1][*r]], faint(r));
        made.all = Curve::of(rest.par_iter().map(strange).collect());
        (made.faint.is_sound() && made.all.is_sound()).then_some(made)
    }

    /// The same spaces with few examples of a user in place of the reference rows. What is as far
    /// from them as they are from each other is familiar: a normal law of the logarithm of that
    /// distance, wider for fewer examples. None for fewer than [`FEW`].
    pub fn of_few(
        &self,
        g: Geometry,
        images: &[Vec<f32>],
        embeddings: &[Vec<f32>],
    ) -> Option<Familiarity> {
        let pixels: Vec<Vec<f32>> = images.par_iter().map(|x| describe(g, x)).collect();
        let fits = embeddings.iter().all(|e| e.len() == self.embedding());
        if images.len() < FEW || images.len() != embeddings.len() || !fits {
            return None;
        }
        let space = |s: &Space, rows: &[Vec<f32>]| s.of_few(&rows[..rows.len().min(REFERENCE)]);
        Some(Familiarity {
            spaces: [
                space(&self.spaces[0], embeddings)?,
                space(&self.spaces[1], &pixels)?,
            ],
            ..self.clone()
        })
    }

    /// Share of the model's own kind that is as strange as this image.
    pub fn share(&self, g: Geometry, image: &[f32], embedding: &[f32]) -> f64 {
        let pixels = describe(g, image);
        let strange = self.strangeness([embedding, &pixels], -prominence(g, image));
        self.all.ln_beyond(strange).exp()
    }

    /// −ln of the smallest share.
    fn strangeness(&self, x: [&[f32]; 2], faint: f64) -> f64 {
        let share = |(s, x): (&Space, &[f32])| s.curve.ln_beyond(s.distance(x));
        let least = self.spaces.iter().zip(x).map(share).fold(0.0, f64::min);
        -least.min(self.faint.ln_beyond(faint))
    }

    /// Adds it to a model file.
    ///
    /// # Errors
    /// Numbers that have no JSON form.
    pub fn store(&self, c: &mut Checkpoint) -> Result<(), CheckpointError> {
        for (space, name) in self.spaces.iter().zip(NAMES) {
            let n = space.whitening.features();
            let mut put = |part: &str, a: Array| {
                c.tensors.insert(format!("familiarity.{name}.{part}"), a);
            };
            put("mean", Array::flat(space.whitening.mean.clone()));
            put(
                "whiten",
                Array::new(vec![n, n], space.whitening.factor.clone()),
            );
            let rows = space.reference.len() / n.max(1);
            let reference = Array::new(vec![rows, n], space.reference.clone());
            put("reference", reference);
        }
        let [embedding, pixels] = &self.spaces;
        let curves = Curves {
            embedding: embedding.curve.clone(),
            pixels: pixels.curve.clone(),
            faint: self.faint.clone(),
            all: self.all.clone(),
        };
        c.set(KEY, &curves)
    }

    /// From a model file; none if it holds none.
    ///
    /// # Errors
    /// Sizes that do not fit, or curves that fall.
    pub fn restore(c: &Checkpoint) -> Result<Option<Familiarity>, String> {
        if !c.meta.contains_key(KEY) && !c.tensors.keys().any(|k| k.starts_with(KEY)) {
            return Ok(None);
        }
        let curves: Curves = c.get(KEY).map_err(|e| e.to_string())?;
        let all = [
            &curves.embedding,
            &curves.pixels,
            &curves.faint,
            &curves.all,
        ];
        if !all.iter().all(|c| c.is_sound()) {
            return Err(format!("'{KEY}': expected rising distances"));
        }
        let space = |name: &str, curve: Curve| -> Result<Space, String> {
            let tensor = |part: &str| format!("familiarity.{name}.{part}");
            let rows = |part: &str| {
                let shape = c.tensors.get(&tensor(part)).map(|a| a.shape.clone());
                shape.and_then(|s| s.first().copied()).unwrap_or_default()
            };
            let (n, m) = (rows("mean"), rows("reference"));
            if n == 0 || n > 4096 || !(NEAREST..=REFERENCE).contains(&m) {
                return Err(format!(
                    "'{}': expected {NEAREST} to {REFERENCE} rows of at most 4096 values",
                    tensor("reference")
                ));
            }
            let weights = |part: &str, len: usize| {
                c.weights(&tensor(part), len)
                    .map_err(|e: CheckpointError| e.to_string())
            };
            Ok(Space {
                whitening: Whitening {
                    mean: weights("mean", n)?,
                    factor: weights("whiten", n * n)?,
                },
                reference: weights("reference", m * n)?,
                curve,
            })
        };
        Ok(Some(Familiarity {
            spaces: [
                space(NAMES[0], curves.embedding)?,
                space(NAMES[1], curves.pixels)?,
            ],
            faint: curves.faint,
            all: curves.all,
        }))
    }

    /// Values of the embedding that it was fitted to.
    pub fn embedding(&self) -> usize {
        self.spaces[0].whitening.features()
    }
}

const KEY: &str = "familiarity";

#[cfg(test)]
mod tests {
    use super::*;
    use slipher_sim::random::Stream;

    const G: Geometry = Geometry::Image {
        channels: 1,
        stored: 16,
        side: 12,
    };

    fn rows(n: usize, seed: u64, shift: f32) -> (Vec<Vec<f32>>, Vec<Vec<f32>>) {
        let mut rng = Stream::new(seed, 1, 1);
        let mut of = |len: usize, shift: f32| -> Vec<f32> {
            (0..len).map(|_| rng.normal_f32() + shift).collect()
        };
        (0..n).map(|_| (of(256, 0.0), of(6, shift))).unzip()
    }

    #[test]
    fn its_own_kind_is_uniform_and_others_are_strange() {
        let (images, embeddings) = rows(3000, 1, 0.0);
        let f = Familiarity::fit(G, &images, &embeddings, 0).unwrap();
        let share = |x: &[Vec<f32>], e: &[Vec<f32>]| -> f64 {
            let low = x
                .iter()
                .zip(e)
                .filter(|(x, e)| f.share(G, x, e) < UNFAMILIAR);
            low.count() as f64 / x.len() as f64
        };
        let (x, e) = rows(3000, 2, 0.0);
        assert!(share(&x, &e) < 0.02, "{}", share(&x, &e));
        let (x, e) = rows(300, 3, 4.0);
        assert!(share(&x, &e) > 0.95);
        // The same embedding, other pixels.
        let (x, e) = rows(300, 4, 0.0);
        let smooth = x
            .iter()
            .map(|_| (0..256).map(|i| i as f32).collect::<Vec<f32>>());
        let smooth = smooth.collect::<Vec<_>>();
        assert!(share(&smooth, &e) > 0.95);
        // A few real rows of another kind among simulated ones are known from then on.
        let (few, fe) = rows(60, 5, 4.0);
        let both = Familiarity::fit(
            G,
            &[images.clone(), few].concat(),
            &[embeddings, fe].concat(),
            60,
        );
        let (x, e) = rows(300, 6, 4.0);
        let strange = x
            .iter()
            .zip(&e)
            .filter(|(x, e)| both.as_ref().unwrap().share(G, x, e) < UNFAMILIAR);
        assert!(strange.count() < 30);
        let mut c = Checkpoint::default();
        f.store(&mut c).unwrap();
        assert_eq!(Familiarity::restore(&c).unwrap().unwrap(), f);
        assert!(
            Familiarity::restore(&Checkpoint::default())
                .unwrap()
                .is_none()
        );
        c.tensors.remove("familiarity.pixels.mean");
        assert!(Familiarity::restore(&c).is_err());
        let (images, embeddings) = rows(100, 7, 0.0);
        assert!(Familiarity::fit(G, &images, &embeddings, 0).is_none());
    }
}
