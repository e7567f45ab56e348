//! Quasars and broad-line active galaxies: power law, iron, Balmer continuum, broad and narrow
//! lines, host, broad absorption lines, intervening absorbers.

use std::sync::Arc;

use crate::dust::Law;
use crate::galaxy::{Population, continuum};
use crate::igm::Sightline;
use crate::random::Stream;
use crate::sed::{C_KMS, Gaussian, Sed, SpecType, Template};

/// Broad lines: vacuum Å, equivalent width Å, mean shift km/s (Vanden Berk et al. 2001, table 2;
/// shifts after Richards et al. 2002).
const BROAD: [(f64, f64, f64); 26] = [
    (1033.83, 9.0, -200.0),
    (1215.67, 75.0, 0.0),
    (1240.14, 18.0, -200.0),
    (1263.0, 3.0, 0.0),
    (1305.5, 2.5, 0.0),
    (1335.3, 1.0, 0.0),
    (1398.3, 8.5, -300.0),
    (1549.06, 32.0, -650.0),
    (1640.42, 5.0, -450.0),
    (1663.48, 2.5, -300.0),
    (1750.3, 1.2, 0.0),
    (1857.4, 2.5, -100.0),
    (1892.0, 3.5, -100.0),
    (1908.73, 18.0, -150.0),
    (2326.4, 2.0, 0.0),
    (2799.12, 28.0, 0.0),
    (3890.15, 1.5, 0.0),
    (4102.89, 6.0, 0.0),
    (4341.68, 14.0, 0.0),
    (4862.68, 46.0, 0.0),
    (5877.25, 6.0, 0.0),
    (6564.61, 200.0, 0.0),
    (10_833.3, 36.0, 0.0),
    (10_941.1, 12.0, 0.0),
    (12_821.6, 30.0, 0.0),
    (18_756.1, 40.0, 0.0),
];

/// Narrow lines: vacuum Å, equivalent width Å.
const NARROW: [(f64, f64); 14] = [
    (3346.82, 0.4),
    (3426.84, 1.2),
    (3728.48, 1.6),
    (3869.86, 1.9),
    (3968.59, 0.7),
    (4364.44, 0.6),
    (4960.30, 4.5),
    (5008.24, 13.5),
    (6302.05, 0.9),
    (6549.85, 2.0),
    (6585.28, 6.0),
    (6718.29, 1.8),
    (6732.67, 1.6),
    (9533.2, 4.0),
];

/// Fe II: centre Å, σ Å, relative height (blends seen in Véron-Cetty et al. 2004; Vestergaard &
/// Wilkes 2001).
const IRON: [(f64, f64, f64); 17] = [
    (2080.0, 40.0, 0.35),
    (2250.0, 50.0, 0.45),
    (2380.0, 55.0, 0.9),
    (2490.0, 55.0, 1.0),
    (2590.0, 45.0, 0.75),
    (2740.0, 30.0, 0.35),
    (2880.0, 55.0, 0.4),
    (2960.0, 40.0, 0.35),
    (3190.0, 90.0, 0.3),
    (3490.0, 60.0, 0.1),
    (4180.0, 40.0, 0.12),
    (4310.0, 40.0, 0.15),
    (4530.0, 38.0, 0.4),
    (4590.0, 45.0, 0.4),
    (5180.0, 35.0, 0.3),
    (5270.0, 45.0, 0.38),
    (5325.0, 40.0, 0.35),
];

/// The built-in pseudo-continua: iron blends and the Balmer continuum.
pub fn builtin() -> Vec<Arc<Template>> {
    let (start, len) = (2.954, 14_450);
    let wave: Vec<f64> = (0..len)
        .map(|i| 10f64.powf(start + 1e-4 * f64::from(i)))
        .collect();
    let iron: Vec<f32> = wave
        .iter()
        .map(|w| {
            IRON.iter()
                .map(|(c, s, h)| h * (-0.5 * ((w - c) / s).powi(2)).exp())
                .sum::<f64>() as f32
        })
        .collect();
    let balmer: Vec<f32> = wave
        .iter()
        .map(|w| {
            let edge = 1.0 / (1.0 + ((w - 3660.0) / 40.0).exp());
            // Planck of 15,000 K, optically thin: (1 − e^{−(λ/λ_edge)³}).
            let planck = (3646.0 / w).powi(5) / ((9592.0 / w).exp() - 1.0) * (2.631f64.exp() - 1.0);
            (edge * planck * (1.0 - (-(w / 3646.0f64).powi(3)).exp())) as f32
        })
        .collect();
    let make = |name: &str, flux| {
        Arc::new(Template {
            name: name.into(),
            start,
            flux,
        })
    };
    vec![
        make("built-in Fe II", iron),
        make("built-in Balmer continuum", balmer),
    ]
}

/// Draws a quasar or broad-line galaxy at `z`. `mean` are composite spectra from a folder, possibly
/// none.
pub fn draw(
    rng: &mut Stream,
    pseudo: &[Arc<Template>],
    mean: &[Arc<Template>],
    hosts: &[Population],
    z: f64,
) -> Sed {
    let mut sed = Sed {
        class: SpecType::Qso,
        subtype: "broad-line",
        continua: vec![],
        power: None,
        dust: (Law::Smc, rng.exponential(0.03).min(0.35)),
        dispersion: 0.0,
        emission: vec![],
        absorption: vec![],
        sightline: (z > 0.6).then(|| Sightline::draw(rng)),
    };
    let composite = !mean.is_empty() && rng.chance(0.5);
    let fits =
        |t: &Template| (z < 1.6 || t.range().0 < 1250.0) && (z > 0.9 || t.range().1 > 7000.0);
    let good: Vec<_> = mean.iter().filter(|t| fits(t)).collect();
    if composite && !good.is_empty() {
        let t = good[rng.below(good.len())];
        sed.continua.push((t.clone(), 1.0));
        // A second composite and a power law change slope and equivalent widths.
        if rng.chance(0.5) {
            let t = good[rng.below(good.len())];
            sed.continua.push((t.clone(), rng.uniform(0.2, 1.0) as f32));
        }
        let level = t.mean(2900.0, 3100.0).max(0.2);
        sed.power = Some((
            level * rng.exponential(0.35),
            rng.normal(-1.3, 0.6),
            6000.0,
            0.4,
        ));
        if rng.chance(0.5) {
            lines(rng, &mut sed, 0.4, z);
        }
    } else {
        let slope = rng.normal(-1.5, 0.35);
        sed.power = Some((
            1.0,
            slope,
            rng.uniform(4500.0, 6500.0),
            rng.uniform(0.5, 1.6),
        ));
        sed.continua.push((
            pseudo[0].clone(),
            (0.30 * rng.log_uniform(0.15, 2.5)) as f32,
        ));
        sed.continua
            .push((pseudo[1].clone(), (0.10 * rng.log_uniform(0.3, 3.0)) as f32));
        if z < 0.9 && rng.chance(0.35) {
            intermediate(rng, &mut sed, z);
        } else {
            lines(rng, &mut sed, 1.0, z);
        }
        // Weak-line quasars (Diamond-Stanic et al. 2009), and spectra divided by their continuum:
        // only the forest is left.
        if z > 1.9 && rng.chance(0.05) {
            let keep = rng.uniform(0.0, 0.25);
            sed.emission.iter_mut().for_each(|l| l.strength *= keep);
            sed.power = Some((1.0, rng.normal(-0.5, 0.7), 1e5, 0.0));
            sed.continua.clear();
        }
    }
    if z < 1.0 && !hosts.is_empty() && rng.chance(0.7) {
        host(rng, &mut sed, hosts);
    }
    if z > 0.3 {
        absorbers(rng, &mut sed, z);
    }
    sed
}

/// Continuum of the quasar (power law and composites) at a rest wavelength.
fn level(sed: &Sed, wave: f64) -> f64 {
    let power = sed.power.map_or(0.0, |(a, s, knee, beyond)| {
        let low = a * (wave.min(knee) / 3000.0).powf(s);
        if wave > knee {
            low * (wave / knee).powf(beyond)
        } else {
            low
        }
    });
    power + continuum(sed, wave)
}

/// Seyferts of type 1.5–1.9: narrow lines outshine weak broad ones, in a host.
fn intermediate(rng: &mut Stream, sed: &mut Sed, z: f64) {
    let all = sed.emission.len();
    lines(rng, sed, 0.9, z);
    let weak = rng.uniform(0.15, 0.8);
    let strong = rng.log_uniform(2.0, 14.0);
    for l in &mut sed.emission[all..] {
        l.strength *= if l.sigma < 440.0 { strong } else { weak };
    }
}

fn lines(rng: &mut Stream, sed: &mut Sed, strength: f64, z: f64) {
    // Luminosity lowers equivalent widths (Baldwin 1977): stronger lines nearby.
    let all = strength * 10f64.powf(rng.normal(if z < 0.5 { 0.1 } else { -0.03 }, 0.22));
    let sigma = rng.log_uniform(450.0, 3600.0);
    let wind = rng.exponential(1.0);
    for (wave, ew, shift) in BROAD {
        let ew = ew * all * 10f64.powf(rng.normal(0.0, 0.17));
        let high_ionisation = shift < -250.0;
        let v = shift * wind + rng.normal(0.0, if high_ionisation { 300.0 } else { 120.0 });
        let s = sigma * rng.uniform(0.8, 1.3) * if high_ionisation { 1.15 } else { 1.0 };
        let flux = ew * level(sed, wave);
        let core = rng.uniform(0.25, 0.75);
        let at = wave * (1.0 + v / C_KMS);
        sed.emission.push(Gaussian {
            wave: at,
            strength: flux * core,
            sigma: s * 0.6,
        });
        sed.emission.push(Gaussian {
            wave: at * (1.0 - 0.15 * s / C_KMS),
            strength: flux * (1.0 - core),
            sigma: s * 1.7,
        });
    }
    let narrow = all * rng.log_uniform(0.1, 6.0) * if z < 0.5 { 1.6 } else { 1.0 };
    let sigma = rng.log_uniform(110.0, 420.0);
    for (wave, ew) in NARROW {
        let flux = ew * narrow * 10f64.powf(rng.normal(0.0, 0.12)) * level(sed, wave);
        sed.emission.push(Gaussian {
            wave,
            strength: flux,
            sigma,
        });
    }
    for (wave, ratio) in [(6564.61, 0.6), (4862.68, 0.12), (4341.68, 0.05)] {
        let flux = 13.5 * narrow * ratio * rng.uniform(0.6, 1.5) * level(sed, 5000.0);
        sed.emission.push(Gaussian {
            wave,
            strength: flux,
            sigma,
        });
    }
}

fn host(rng: &mut Stream, sed: &mut Sed, hosts: &[Population]) {
    for _ in 0..20 {
        let p = &hosts[rng.below(hosts.len())];
        if p.has_lines || p.age.is_some_and(|a| a < 8.5) {
            continue;
        }
        let nucleus = level(sed, 5500.0);
        let share = rng.log_uniform(0.05, 9.0);
        sed.continua.push((
            p.template.clone(),
            (share * nucleus / p.template.mean(5400.0, 5600.0).max(1e-3)) as f32,
        ));
        sed.dispersion = rng.uniform(80.0, 250.0);
        return;
    }
}

/// Broad absorption lines in 12 % (Gibson et al. 2009), and narrow systems along the sightline.
fn absorbers(rng: &mut Stream, sed: &mut Sed, z: f64) {
    let mut trough = |rng: &mut Stream, line: f64, v: f64, depth: f64, sigma: f64| {
        let wave = line * (1.0 - v / C_KMS) * rng.uniform(0.9995, 1.0005);
        sed.absorption.push(Gaussian {
            wave,
            strength: depth.min(0.98),
            sigma,
        });
    };
    if rng.chance(0.12) {
        sed.subtype = "BAL";
        let low_ionisation = rng.chance(0.15);
        for _ in 0..1 + rng.below(3) {
            let (v, depth, sigma) = (
                rng.uniform(1500.0, 18_000.0),
                rng.uniform(0.2, 1.0),
                rng.log_uniform(300.0, 2500.0),
            );
            for (line, share) in [
                (1549.06, 1.0),
                (1398.3, 0.7),
                (1240.14, 0.9),
                (1215.67, 0.6),
                (1033.83, 0.8),
            ] {
                trough(rng, line, v, depth * share, sigma);
            }
            if low_ionisation {
                for (line, share) in [(2799.1, 0.7), (1857.4, 0.7), (1334.5, 0.5), (2600.2, 0.4)] {
                    trough(rng, line, v, depth * share, sigma * 0.7);
                }
            }
        }
    }
    for _ in 0..rng.below(4) {
        // A metal system at lower redshift, strong Mg II / Fe II or C IV / Si IV.
        let za = rng.uniform(0.0, 1.0) * z;
        let ratio = (1.0 + za) / (1.0 + z);
        let v = |line: f64| line * ratio;
        let (depth, sigma) = (rng.uniform(0.2, 0.9), rng.uniform(50.0, 130.0));
        for line in [2796.35, 2803.53, 2600.17, 2382.76, 1548.2, 1550.77, 1393.76] {
            sed.absorption.push(Gaussian {
                wave: v(line),
                strength: depth * rng.uniform(0.4, 1.0),
                sigma,
            });
        }
        if rng.chance(0.15) {
            sed.absorption.push(Gaussian {
                wave: v(1215.67),
                strength: 1.0,
                sigma: rng.uniform(500.0, 1600.0),
            });
        }
    }
}
