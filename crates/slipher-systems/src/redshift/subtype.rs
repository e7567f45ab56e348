//! Spectral type of a star: the star that describes it best at its velocity.
//!
//! χ² of each of some stars, each with a cubic polynomial for the flux calibration, to means over
//! some pixels; the letter is that of the best. The sequence O to M are stars of known temperature
//! that the model brings (of MILES, if it was trained with them), else built-in ones; white dwarfs,
//! carbon stars, L and T dwarfs are built in. It is good to about one letter (docs/redshift.md).

use std::sync::{Arc, OnceLock};

use slipher_sim::sed::Template;
use slipher_sim::templates::Library;
use slipher_sim::{exotic, star};

use super::encode::{Encoded, FINE, LAG, POSITIONS};
use super::least_squares::Normal;

/// Positions (of 138 km/s) in a mean.
const BLOCK: usize = 4;
/// Terms of the polynomial.
const TERMS: usize = 4;
/// Part of the flux that a parametric star may miss.
const FLOOR: f32 = 0.04;
/// A squared residual counts up to this.
const CLIP: f64 = 25.0;

/// Stars that a model brings.
const STARS: usize = 72;
/// What catalogues call the sequence.
const LETTERS: [&str; 9] = ["O", "B", "A", "F", "G", "K", "M", "L", "T"];

/// A type and its spectrum on the positions of the network.
#[derive(Clone, Debug, PartialEq)]
pub struct Kind {
    /// Spectral type.
    pub letter: &'static str,
    /// Flux density at each position, in any unit.
    pub flux: Vec<f32>,
}

/// Stars of known temperature, evenly by their number.
pub fn sequence(library: &Library) -> Vec<Kind> {
    let mut all: Vec<&(f64, Arc<Template>)> = library.spectral_types.iter().collect();
    all.sort_by(|a, b| a.0.total_cmp(&b.0));
    let n = all.len();
    (0..STARS.min(n))
        .map(|k| all[k * n / STARS.min(n)])
        .map(|(teff, t)| Kind {
            letter: star::letter(*teff),
            flux: on_positions(t),
        })
        .collect()
}

/// The letter of a model file; none for another word.
pub fn letter(word: &str) -> Option<&'static str> {
    LETTERS.into_iter().find(|l| *l == word)
}

fn on_positions(t: &Template) -> Vec<f32> {
    let last = t.flux.len().saturating_sub(1) as f64;
    let at = |i: usize| {
        let x = ((FINE.start + FINE.step * i as f64 - t.start) / slipher_sim::sed::STEP)
            .clamp(0.0, last);
        let (k, part) = (x.floor() as usize, x.fract() as f32);
        t.flux[k] * (1.0 - part) + t.flux[(k + 1).min(t.flux.len() - 1)] * part
    };
    (0..POSITIONS)
        .map(|p| 0.5 * (at(2 * p) + at(2 * p + 1)))
        .collect()
}

/// The built-in sequence, and what is no part of it.
fn builtin() -> &'static [Vec<Kind>; 2] {
    static ALL: OnceLock<[Vec<Kind>; 2]> = OnceLock::new();
    // Not in parallel: a thread that waits for its part of a parallel loop takes over other work, and
    // that work asks for this very list: it would wait for itself.
    ALL.get_or_init(|| {
        let kinds = |all: Vec<exotic::Exotic>| -> Vec<Kind> {
            all.into_iter()
                .map(|(letter, t)| Kind {
                    letter,
                    flux: on_positions(&t),
                })
                .collect()
        };
        let (normal, dwarfs): (Vec<_>, Vec<_>) =
            star::builtin().into_iter().partition(|s| s.0.is_some());
        let normal = normal
            .into_iter()
            .map(|(teff, t)| (teff.map_or("", star::letter), t));
        let dwarfs = dwarfs.into_iter().map(|(_, t)| ("WD", t));
        [
            kinds(normal.collect()),
            kinds(dwarfs.chain(exotic::builtin()).collect()),
        ]
    })
}

/// χ² of a star that is described by `flux`, shifted by `lag` positions.
fn chi2(flux: &[f32], e: &Encoded, lag: f64) -> Option<f64> {
    let (whole, part) = (lag.floor() as i64, (lag - lag.floor()) as f32);
    let mut rows: Vec<([f64; TERMS], f64)> = Vec::with_capacity(e.data.len() / BLOCK + 1);
    for (b, chunk) in e.data.chunks(BLOCK).enumerate() {
        let (mut weight, mut mean, mut model) = (0.0f32, 0.0f32, 0.0f32);
        for (i, (f, w)) in chunk.iter().enumerate() {
            let at = (e.offset + b * BLOCK + i) as i64 - whole;
            if *w <= 0.0 || at < 1 || at as usize >= flux.len() {
                continue;
            }
            let at = at as usize;
            weight += w;
            mean += f * w;
            model += w * (flux[at] * (1.0 - part) + flux[at - 1] * part);
        }
        if weight <= 0.0 {
            continue;
        }
        let (mean, model) = (mean / weight, model / weight);
        let sigma = (1.0 / weight + (FLOOR * mean.abs().max(0.1)).powi(2)).sqrt();
        let x = f64::from(b as u32) * BLOCK as f64 / e.data.len().max(1) as f64 * 2.0 - 1.0;
        let m = f64::from(model / sigma);
        let terms = [
            m,
            m * x,
            m * (2.0 * x * x - 1.0),
            m * (4.0 * x * x - 3.0) * x,
        ];
        rows.push((terms, f64::from(mean / sigma)));
    }
    if rows.len() < 4 * TERMS {
        return None;
    }
    let mut normal = Normal::new(TERMS);
    rows.iter().for_each(|(t, y)| normal.add(t, *y));
    let ridge = 1e-9 * normal.trace() / TERMS as f64 + 1e-12;
    normal.stiffen(|_| ridge);
    let c = normal.solve()?;
    let of = |(t, y): &([f64; TERMS], f64)| {
        let r = y - t.iter().zip(&c).map(|(t, c)| t * c).sum::<f64>();
        (r * r).min(CLIP)
    };
    Some(rows.iter().map(of).sum())
}

/// Type of a star whose redshift is `z`: O, B, A, F, G, K, M, L, T, WD or C; empty if there is too
/// little to tell. `own` is the sequence of the model, if it has one.
pub fn subtype(own: &[Kind], e: &Encoded, z: f64) -> &'static str {
    let lag = (1.0 + z).ln() / LAG;
    let [normal, others] = builtin();
    let normal = if own.is_empty() { normal } else { own };
    normal
        .iter()
        .chain(others)
        .filter_map(|k| Some((chi2(&k.flux, e, lag)?, k.letter)))
        .min_by(|a, b| a.0.total_cmp(&b.0))
        .map_or("", |best| best.1)
}

#[cfg(test)]
mod tests {
    use super::super::encode::encode;
    use super::super::simulate::{Fixed, SimulationRecipe, Simulator, Split};
    use super::*;
    use slipher_sim::sed::SpecType;

    /// Simulated stars at S/N 20 get their letter, or the one beside it.
    #[test]
    fn letters_of_simulated_stars() {
        let recipe = SimulationRecipe {
            instruments: vec![("boss".into(), 1.0)],
            ..SimulationRecipe::default()
        };
        let simulator = Simulator::new(&recipe, 3).unwrap();
        let order = ["O", "B", "A", "F", "G", "K", "M", "L", "T"];
        let place = |l: &str| order.iter().position(|o| *o == l);
        let (mut near, mut n) = (0, 0);
        for row in 0..120u64 {
            let fixed = Fixed {
                class: Some(SpecType::Star),
                snr: Some(20.0),
                ..Fixed::default()
            };
            let example = simulator.draw_fixed(Split::Test, row, fixed);
            let Some((_, z)) = example.truth else {
                continue;
            };
            if ["", "binary", "CV"].contains(&example.subtype) {
                continue;
            }
            let found = subtype(&[], &encode(&example.spectrum).unwrap(), z);
            n += 1;
            near += usize::from(match (place(found), place(example.subtype)) {
                (Some(a), Some(b)) => a.abs_diff(b) <= 1,
                _ => found == example.subtype,
            });
        }
        assert!(n > 80 && near * 10 >= n * 9, "{near} of {n}");
    }
}
