//! Stars: the built-in sequence and white dwarfs, or templates of a folder.

use std::sync::Arc;

use crate::dust::Law;
use crate::galaxy::continuum;
use crate::random::Stream;
use crate::sed::{Gaussian, Sed, SpecType, Template};
use crate::stellar::{StarParams, star};

/// The built-in stars, M to O and white dwarfs, with their effective temperature. `None`: a white
/// dwarf.
pub fn builtin() -> Vec<(Option<f64>, Arc<Template>)> {
    let mut params = Vec::new();
    for i in 0..30 {
        // 2800 K to 40,000 K, closely spaced where stars are common.
        let teff = if i < 20 {
            2800.0 * (7000.0f64 / 2800.0).powf(f64::from(i) / 20.0)
        } else {
            7000.0 * 5.7f64.powf(f64::from(i - 20) / 9.0)
        };
        for (giant, metals) in [(0.0, 1.0), (1.0, 1.0), (0.0, 0.35)] {
            if giant > 0.0 && teff > 6000.0 || metals < 1.0 && teff > 9000.0 {
                continue;
            }
            params.push((
                Some(teff),
                StarParams {
                    teff,
                    giant,
                    metals,
                    hydrogen: 1.0,
                },
            ));
        }
    }
    for teff in [
        6500.0, 8000.0, 10_000.0, 13_000.0, 17_000.0, 25_000.0, 45_000.0,
    ] {
        for hydrogen in [4.0, 8.0] {
            params.push((
                None,
                StarParams {
                    teff,
                    giant: 0.0,
                    metals: 0.02,
                    hydrogen,
                },
            ));
        }
    }
    use rayon::prelude::*;
    params
        .into_par_iter()
        .map(|(t, p)| (t, Arc::new(star(p))))
        .collect()
}

/// Draws a star from the built-in set or, when there are any, half the time from `library`.
pub fn draw(
    rng: &mut Stream,
    builtin: &[(Option<f64>, Arc<Template>)],
    library: &[Arc<Template>],
) -> Sed {
    let mut sed = Sed {
        class: SpecType::Star,
        subtype: "main sequence",
        continua: vec![],
        power: None,
        dust: (
            Law::Calzetti,
            if rng.chance(0.4) {
                0.0
            } else {
                rng.exponential(0.15).min(1.0)
            },
        ),
        dispersion: rng.uniform(0.0, 60.0),
        emission: vec![],
        absorption: vec![],
        sightline: None,
    };
    if !library.is_empty() && rng.chance(0.45) {
        sed.continua
            .push((library[rng.below(library.len())].clone(), 1.0));
        return sed;
    }
    let i = rng.below(builtin.len());
    let (teff, template) = &builtin[i];
    sed.continua.push((template.clone(), 1.0));
    match teff {
        None => sed.subtype = "white dwarf",
        Some(t) => {
            // Between neighbours of the sequence.
            let j = (i + 1 + rng.below(3)).min(builtin.len() - 1);
            if builtin[j].0.is_some_and(|u| (u / t).ln().abs() < 0.2) {
                sed.continua
                    .push((builtin[j].1.clone(), rng.uniform(0.0, 1.0) as f32));
            }
            if *t < 3900.0 && rng.chance(0.3) {
                let ew = rng.log_uniform(0.5, 8.0);
                for (wave, ratio) in [
                    (6564.61, 1.0),
                    (4862.68, 0.5),
                    (4341.68, 0.3),
                    (3934.78, 0.3),
                ] {
                    let at = continuum(&sed, wave);
                    sed.emission.push(Gaussian {
                        wave,
                        strength: ew * ratio * at,
                        sigma: 40.0,
                    });
                }
            }
        }
    }
    if rng.chance(0.04) {
        // A white dwarf beside a cool star, or an accreting one.
        let (_, other) = &builtin[rng.below(builtin.len())];
        sed.continua
            .push((other.clone(), rng.log_uniform(0.1, 3.0) as f32));
        sed.subtype = "binary";
        if rng.chance(0.5) {
            let (ew, sigma) = (rng.log_uniform(5.0, 80.0), rng.log_uniform(200.0, 900.0));
            for (wave, ratio) in [
                (6564.61, 1.0),
                (4862.68, 0.8),
                (4341.68, 0.6),
                (4102.89, 0.5),
                (5877.25, 0.2),
                (4687.0, 0.2),
            ] {
                let at = continuum(&sed, wave);
                sed.emission.push(Gaussian {
                    wave,
                    strength: ew * ratio * at,
                    sigma,
                });
            }
        }
    }
    sed
}
