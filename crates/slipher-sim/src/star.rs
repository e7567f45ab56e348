//! Stars: the built-in sequence and white dwarfs, or templates of a folder.

use std::sync::Arc;

use crate::dust::Law;
use crate::exotic::{self, Exotic};
use crate::galaxy::continuum;
use crate::random::Stream;
use crate::sed::{Gaussian, STEP, Sed, SpecType, Template};
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
    // Not in parallel: it is called where others wait for it, who would wait for ever if this thread
    // took over their work meanwhile.
    params
        .into_iter()
        .map(|(t, p)| (t, Arc::new(star(p))))
        .collect()
}

/// Spectral class by effective temperature (Gray & Corbally 2009; L and T: Kirkpatrick 2005).
pub fn letter(teff: f64) -> &'static str {
    let bounds = [
        (1300.0, "T"),
        (2300.0, "L"),
        (3900.0, "M"),
        (5250.0, "K"),
        (5950.0, "G"),
        (7250.0, "F"),
        (9800.0, "A"),
        (30_500.0, "B"),
    ];
    bounds.iter().find(|b| teff < b.0).map_or("O", |b| b.1)
}

/// A library's star, continued beyond its ends by the built-in star whose colours fit best, and its
/// temperature: observed libraries end at 7500 Å or begin at 3500 Å, spectrographs do not.
pub fn extend(t: &Template, builtin: &[(Option<f64>, Arc<Template>)]) -> (Template, Option<f64>) {
    let (lo, hi) = t.range();
    let bands: Vec<(f64, f64)> = (0..8)
        .map(|k| {
            let at = |k: f64| lo * (hi / lo).powf(k / 8.0);
            (at(f64::from(k)), at(f64::from(k) + 1.0))
        })
        .collect();
    let colours = |t: &Template| -> Vec<f64> {
        bands
            .iter()
            .map(|b| t.mean(b.0, b.1).max(1e-6).ln())
            .collect()
    };
    let own = colours(t);
    let distance = |other: &Template| {
        let d: Vec<f64> = colours(other)
            .iter()
            .zip(&own)
            .map(|(a, b)| a - b)
            .collect();
        let mean = d.iter().sum::<f64>() / d.len() as f64;
        d.iter().map(|x| (x - mean).powi(2)).sum::<f64>()
    };
    let Some((teff, best)) = builtin
        .iter()
        .min_by(|a, b| distance(&a.1).total_cmp(&distance(&b.1)))
    else {
        return (t.clone(), None);
    };
    let gain = |a: f64, b: f64| (t.mean(a, b) / best.mean(a, b).max(1e-9)) as f32;
    let (blue, red) = (gain(lo, lo * 1.03), gain(hi * 0.97, hi));
    let before = ((t.start - best.start) / STEP).round() as i64;
    let after = (before + t.flux.len() as i64).max(0) as usize;
    let before = before.max(0) as usize;
    let mut flux: Vec<f32> = best.flux[..before.min(best.flux.len())]
        .iter()
        .map(|f| f * blue)
        .collect();
    flux.extend_from_slice(&t.flux);
    flux.extend(best.flux.iter().skip(after).map(|f| f * red));
    let start = t.start - before as f64 * STEP;
    let name = t.name.clone();
    (Template { name, start, flux }, *teff)
}

/// Draws a star: observed ones from `library` half the time if there are any, else from the
/// built-in sequence; one in seven is exotic.
pub fn draw(
    rng: &mut Stream,
    builtin: &[(Option<f64>, Arc<Template>)],
    exotic: &[Exotic],
    library: &[(Option<f64>, Arc<Template>)],
) -> Sed {
    let mut sed = Sed {
        class: SpecType::Star,
        subtype: "",
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
    if rng.chance(0.14)
        && let Some((kind, template)) = exotic::pick(rng, exotic)
    {
        sed.subtype = kind;
        sed.continua.push((template.clone(), 1.0));
        return sed;
    }
    if !library.is_empty() && rng.chance(0.55) {
        let (teff, template) = &library[rng.below(library.len())];
        sed.subtype = teff.map_or("", letter);
        sed.continua.push((template.clone(), 1.0));
        return sed;
    }
    let i = rng.below(builtin.len());
    let (teff, template) = &builtin[i];
    sed.continua.push((template.clone(), 1.0));
    match teff {
        None => sed.subtype = "WD",
        Some(t) => {
            sed.subtype = letter(*t);
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
    if rng.chance(0.05) {
        // A white dwarf beside a cool star, or an accreting one.
        let (_, other) = &builtin[rng.below(builtin.len())];
        sed.continua
            .push((other.clone(), rng.log_uniform(0.1, 3.0) as f32));
        sed.subtype = "binary";
        if rng.chance(0.6) {
            accretion(rng, &mut sed);
        }
    }
    sed
}

/// Emission of a disc: broad Balmer and helium lines on a blue continuum.
fn accretion(rng: &mut Stream, sed: &mut Sed) {
    sed.subtype = "CV";
    let blue = rng.exponential(1.0);
    sed.power = Some((blue, -2.3, 1e6, -2.3));
    let (ew, sigma) = (rng.log_uniform(5.0, 150.0), rng.log_uniform(200.0, 900.0));
    let helium = rng.log_uniform(0.3, 3.0);
    for (wave, ratio) in exotic::ACCRETION {
        let hydrogen = [6564.61, 4862.68, 4341.68, 4102.89, 3971.20].contains(&wave);
        let ratio = if hydrogen { ratio } else { ratio * helium };
        let at = continuum(sed, wave) + blue * (wave / 3000.0).powf(-2.3);
        sed.emission.push(Gaussian {
            wave,
            strength: ew * ratio * at,
            sigma,
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A library's star keeps its pixels and goes on beyond its ends without a step.
    #[test]
    fn a_star_goes_on_beyond_its_library() {
        let all = builtin();
        let (teff, whole) = &all[20];
        let from = 6000;
        let cut = Template {
            name: "cut".into(),
            start: whole.start + from as f64 * STEP,
            flux: whole.flux[from..9000].iter().map(|f| 3.0 * f).collect(),
        };
        let (out, found) = extend(&cut, &all);
        assert_eq!(out.flux.len(), whole.flux.len());
        assert!((out.start - whole.start).abs() < 1e-9);
        assert_eq!(&out.flux[from..9000], &cut.flux[..]);
        assert_eq!(found, *teff);
        let step = f64::from(out.flux[9000] / out.flux[8999]);
        assert!((step - 1.0).abs() < 0.2, "{step}");
        assert_eq!(
            (letter(5772.0), letter(9500.0), letter(3200.0)),
            ("G", "A", "M")
        );
    }
}
