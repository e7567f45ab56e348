//! Spectral type of a star: the built-in star that describes it best at its velocity.
//!
//! χ² of each of the built-in stars (the main sequence and giants by temperature, white dwarfs,
//! carbon stars, L and T dwarfs), each with a cubic polynomial for the flux calibration, to means
//! over some pixels. The letter is that of the best; the stars are parametric, so it is good to
//! about one letter (docs/redshift.md).

use std::sync::OnceLock;

use rayon::prelude::*;
use slipher_sim::sed::Template;
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

/// A type and its spectrum on the positions of the network.
struct Kind {
    letter: &'static str,
    flux: Vec<f32>,
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

fn kinds() -> &'static [Kind] {
    static ALL: OnceLock<Vec<Kind>> = OnceLock::new();
    ALL.get_or_init(|| {
        let sequence = star::builtin().into_iter().map(|(teff, t)| {
            let letter = teff.map_or("WD", star::letter);
            (letter, t)
        });
        let all: Vec<_> = sequence.chain(exotic::builtin()).collect();
        all.into_par_iter()
            .map(|(letter, t)| Kind {
                letter,
                flux: on_positions(&t),
            })
            .collect()
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
/// little to tell.
pub fn subtype(e: &Encoded, z: f64) -> &'static str {
    let lag = (1.0 + z).ln() / LAG;
    kinds()
        .iter()
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
            let found = subtype(&encode(&example.spectrum).unwrap(), z);
            n += 1;
            near += usize::from(match (place(found), place(example.subtype)) {
                (Some(a), Some(b)) => a.abs_diff(b) <= 1,
                _ => found == example.subtype,
            });
        }
        assert!(n > 80 && near * 10 >= n * 9, "{near} of {n}");
    }
}
