//! Galaxies: mixtures of stellar populations, dust and nebular lines with physical ratios.

use std::sync::Arc;

use crate::dust::Law;
use crate::igm::Sightline;
use crate::random::Stream;
use crate::sed::{C_KMS, Gaussian, Sed, SpecType, Template};

/// A continuum that galaxies are mixed from.
#[derive(Clone, Debug)]
pub struct Population {
    /// Spectrum of the stars.
    pub template: Arc<Template>,
    /// log₁₀ age / yr where known.
    pub age: Option<f64>,
    /// The template already contains nebular lines.
    pub has_lines: bool,
}

/// Balmer decrement, case B, 10⁴ K (Osterbrock & Ferland 2006, table 4.4): ratio to Hβ.
const BALMER: [(f64, f64); 7] = [
    (6564.61, 2.86),
    (4862.68, 1.0),
    (4341.68, 0.468),
    (4102.89, 0.259),
    (3971.20, 0.159),
    (3890.15, 0.105),
    (3836.47, 0.073),
];
/// Paschen and Brackett lines, ratio to Hβ (same source).
const PASCHEN: [(f64, f64); 5] = [
    (18_756.1, 0.339),
    (12_821.6, 0.163),
    (10_941.1, 0.090),
    (10_052.1, 0.055),
    (21_661.2, 0.028),
];

/// Interstellar absorption of the ultraviolet: vacuum Å, relative depth (Shapley et al. 2003, table
/// 1).
const INTERSTELLAR: [(f64, f64); 18] = [
    (1260.42, 0.8),
    (1303.3, 1.0),
    (1334.53, 0.9),
    (1393.76, 0.6),
    (1402.77, 0.45),
    (1526.71, 0.8),
    (1548.2, 0.6),
    (1550.8, 0.5),
    (1608.45, 0.5),
    (1670.79, 0.7),
    (1854.7, 0.4),
    (2344.21, 0.6),
    (2374.46, 0.5),
    (2382.76, 0.7),
    (2586.65, 0.6),
    (2600.17, 0.7),
    (2796.35, 0.9),
    (2803.53, 0.8),
];

/// Draws a galaxy for redshift `z`. `populations` must not be empty.
pub fn draw(rng: &mut Stream, populations: &[Population], z: f64) -> Sed {
    let (continua, lines_in, young) = mixture(rng, populations, z);
    let ebv = if rng.chance(0.3) {
        0.0
    } else {
        rng.exponential(0.2).min(1.2)
    };
    let mut sed = Sed {
        class: SpecType::Galaxy,
        subtype: if young { "star-forming" } else { "passive" },
        continua,
        power: None,
        dust: (Law::Calzetti, ebv),
        dispersion: rng.log_uniform(50.0, 330.0),
        emission: vec![],
        absorption: vec![],
        sightline: (z > 1.2).then(|| Sightline::draw(rng)),
    };
    let emission = if young { 0.93 } else { 0.3 };
    if !lines_in && rng.chance(emission) {
        nebular(rng, &mut sed, young, z > 4.0);
    }
    ultraviolet(rng, &mut sed, young);
    sed
}

fn mixture(
    rng: &mut Stream,
    all: &[Population],
    z: f64,
) -> (Vec<(Arc<Template>, f32)>, bool, bool) {
    // High redshift shows the young: the Universe has no time for old stars at z > 2.
    let young = rng.chance(match z {
        z if z > 5.0 => 1.0,
        z if z > 1.5 => 0.95,
        _ => 0.6,
    });
    let n = 1 + rng.below(3);
    let mut out = Vec::new();
    let mut lines_in = false;
    for i in 0..n {
        let mut pick = &all[rng.below(all.len())];
        for _ in 0..30 {
            let fits = match pick.age {
                Some(a) if i == 0 => (young && a < 9.1) || (!young && a > 8.8),
                Some(a) => young || a > 8.4,
                None => i == 0,
            };
            let (lo, _) = pick.template.range();
            let covers = z < 1.5 || lo < 1300.0;
            if fits && covers {
                break;
            }
            pick = &all[rng.below(all.len())];
        }
        lines_in |= pick.has_lines;
        let weight = if i == 0 { 1.0 } else { rng.exponential(0.35) };
        out.push((pick.template.clone(), weight as f32));
        if pick.has_lines {
            break;
        }
    }
    (out, lines_in, young)
}

/// Mean continuum of a mixture near a rest wavelength.
pub fn continuum(sed: &Sed, wave: f64) -> f64 {
    sed.continua
        .iter()
        .map(|(t, w)| f64::from(*w) * t.mean(wave * 0.99, wave * 1.01))
        .sum()
}

/// Adds an emission line of an integrated flux (continuum units × Å).
fn emit(sed: &mut Sed, wave: f64, flux: f64, sigma: f64) {
    sed.emission.push(Gaussian {
        wave,
        strength: flux,
        sigma,
    });
}

/// Nebular lines: the star-forming sequence of the BPT diagram (Kewley et al. 2013, equation 1)
/// with scatter, or an active nucleus or LINER.
///
/// `early`: beyond redshift 4 gas is poor in metals and lines are strong (Cameron et al. 2023;
/// Endsley et al. 2023).
fn nebular(rng: &mut Stream, sed: &mut Sed, young: bool, early: bool) {
    let sigma = rng.log_uniform(35.0, 220.0);
    let width = match (young, early) {
        (true, true) => rng.log_uniform(25.0, 2500.0),
        (true, false) => rng.log_uniform(4.0, 900.0),
        _ => rng.log_uniform(0.5, 12.0),
    };
    let at = continuum(sed, 6564.6).max(1e-4);
    // Intrinsic Hα flux; attenuation is applied to lines and continuum alike when observed,
    // with extra reddening of the nebula (Calzetti: E_gas = E_stars / 0.44).
    let extra = sed.dust.1 * (1.0 / 0.44 - 1.0) * rng.uniform(0.0, 1.0);
    let redden = |wave: f64| {
        Law::Calzetti.transmission(wave, extra) / Law::Calzetti.transmission(6564.6, extra)
    };
    let hbeta = width * at / 2.86;
    let active = rng.chance(if young { 0.08 } else { 0.6 });
    let n2 = if active {
        rng.uniform(-0.35, 0.35)
    } else if early {
        rng.uniform(-2.6, -0.9)
    } else {
        rng.uniform(-1.7, -0.25)
    };
    let o3 = if active {
        rng.normal(0.55, 0.35)
    } else {
        (0.61 / (n2 - 0.08) + 1.1 + rng.normal(0.0, 0.18)).clamp(-1.1, 0.95)
    };
    let sigma = if active { sigma * 1.6 } else { sigma };
    let mut add = |wave: f64, ratio: f64| emit(sed, wave, ratio * hbeta * redden(wave), sigma);
    for (wave, ratio) in BALMER.into_iter().chain(PASCHEN) {
        add(wave, ratio);
    }
    let o3 = 10f64.powf(o3);
    add(5008.24, o3);
    add(4960.30, o3 / 2.98);
    add(4364.44, o3 * 0.012);
    let n2 = 2.86 * 10f64.powf(n2);
    add(6585.28, n2);
    add(6549.85, n2 / 3.05);
    let o2 = match (active, early) {
        (true, _) => 0.1,
        (_, true) => rng.uniform(-1.3, 0.0),
        _ => 0.0,
    };
    let o2 = 2.86 * 10f64.powf(rng.normal(o2, 0.22));
    let ratio = rng.uniform(0.75, 1.48);
    add(3729.88, o2 * ratio / (1.0 + ratio));
    add(3727.09, o2 / (1.0 + ratio));
    let s2 = 2.86 * 10f64.powf(rng.normal(-0.55, 0.18));
    add(6718.29, s2 * 0.57);
    add(6732.67, s2 * 0.43);
    let o1 = 2.86 * 10f64.powf(rng.normal(if active { -0.9 } else { -1.5 }, 0.2));
    add(6302.05, o1);
    add(6365.54, o1 / 3.0);
    let s3 = 2.86 * 10f64.powf(rng.normal(-0.75, 0.2));
    add(9533.2, s3);
    add(9071.1, s3 / 2.44);
    let ne3 = o3 * 10f64.powf(rng.normal(-0.9, 0.2));
    add(3869.86, ne3);
    add(3968.59, ne3 * 0.31);
    add(5877.25, 0.12);
    add(6679.99, 0.033);
    add(7067.1, 0.025);
    add(7137.77, 0.08 * 10f64.powf(rng.normal(0.0, 0.3)));
    add(10_833.3, 0.5 * 10f64.powf(rng.normal(0.0, 0.2)));
    add(12_570.2, 0.03);
    add(16_440.0, 0.03);
    if active {
        add(3426.84, o3 * rng.uniform(0.0, 0.12));
        add(4687.02, rng.uniform(0.0, 0.3));
    }
}

/// Lyα, interstellar absorption and the rarer ultraviolet emission.
fn ultraviolet(rng: &mut Stream, sed: &mut Sed, young: bool) {
    if !young {
        let depth = rng.uniform(0.1, 0.6);
        for wave in [
            2344.21, 2382.76, 2586.65, 2600.17, 2796.35, 2803.53, 2852.96,
        ] {
            sed.absorption.push(Gaussian {
                wave,
                strength: depth,
                sigma: 180.0,
            });
        }
        return;
    }
    let near = |wave: f64, v: f64| wave * (1.0 + v / C_KMS);
    let uv = continuum(sed, 1500.0).max(1e-3);
    let lya = rng.uniform(0.0, 1.0);
    let shift = rng.uniform(50.0, 500.0);
    if lya < 0.5 {
        let ew = rng.log_uniform(3.0, 180.0);
        emit(
            sed,
            near(1215.67, shift),
            ew * uv,
            rng.log_uniform(80.0, 300.0),
        );
    }
    if lya > 0.35 {
        let sigma = rng.log_uniform(400.0, 2500.0);
        sed.absorption.push(Gaussian {
            wave: near(1215.67, -200.0),
            strength: rng.uniform(0.5, 1.0),
            sigma,
        });
    }
    let outflow = -rng.exponential(160.0).min(600.0);
    let (depth, sigma) = (rng.uniform(0.15, 0.85), rng.log_uniform(100.0, 350.0));
    for (wave, relative) in INTERSTELLAR {
        let strength = (depth * relative * rng.uniform(0.7, 1.2)).min(0.97);
        sed.absorption.push(Gaussian {
            wave: near(wave, outflow),
            strength,
            sigma,
        });
    }
    // The C IV wind of massive stars: broad, blueshifted.
    sed.absorption.push(Gaussian {
        wave: near(1549.1, -1200.0),
        strength: rng.uniform(0.0, 0.35),
        sigma: 900.0,
    });
    if rng.chance(0.5) {
        let ew = rng.log_uniform(0.3, 12.0);
        let sigma = rng.log_uniform(50.0, 200.0);
        emit(sed, 1906.68, 0.6 * ew * uv * 0.7, sigma);
        emit(sed, 1908.73, 0.4 * ew * uv * 0.7, sigma);
        emit(sed, 1666.15, 0.25 * ew * uv, sigma);
        emit(sed, 1660.81, 0.1 * ew * uv, sigma);
        emit(sed, 1640.42, rng.uniform(0.0, 0.5) * ew * uv, sigma);
    }
    if rng.chance(0.3) {
        let ew = rng.log_uniform(0.5, 6.0);
        let (a, sigma) = (continuum(sed, 2800.0), rng.log_uniform(80.0, 250.0));
        emit(sed, near(2796.35, 100.0), 0.6 * ew * a, sigma);
        emit(sed, near(2803.53, 100.0), 0.4 * ew * a, sigma);
    }
}
