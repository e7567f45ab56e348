//! Built-in stars and simple stellar populations, without files.
//!
//! Not model atmospheres: a Planck continuum with the breaks, lines and bands that carry redshift
//! information, whose strengths follow temperature as in the MK sequence (Gray & Corbally 2009).
//! They make Slipher complete without files; template folders ([`crate::templates`]) sharpen it.

use std::sync::Arc;

use crate::random::Stream;
use crate::sed::{STEP, Template};

const START: f64 = 2.954; // 900 Å
pub(crate) const LEN: usize = 14_450; // to 25,060 Å

/// Wavelengths of built-in templates, vacuum Å.
pub(crate) fn grid() -> Vec<f64> {
    (0..LEN)
        .map(|i| 10f64.powf(START + STEP * i as f64))
        .collect()
}

/// Parameters of a built-in star.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct StarParams {
    /// Effective temperature, K.
    pub teff: f64,
    /// 0 = dwarf, 1 = giant.
    pub giant: f64,
    /// Metal-line strength relative to solar, 0–1.5.
    pub metals: f64,
    /// Pressure broadening of hydrogen: 1 for normal stars, 5–8 for DA white dwarfs.
    pub hydrogen: f64,
}

/// Strength that peaks at `peak` K with a log-normal width.
fn bell(teff: f64, peak: f64, width: f64) -> f64 {
    (-0.5 * ((teff / peak).ln() / width).powi(2)).exp()
}

/// Rises from 0 to 1 as the star cools through `teff0`.
fn cool(teff: f64, teff0: f64, width: f64) -> f64 {
    1.0 / (1.0 + ((teff - teff0) / width).exp())
}

/// Strong metal lines: vacuum Å, equivalent width in Å at its strongest, peak temperature, log
/// width.
const METALS: [(f64, f64, f64, f64); 62] = [
    (2600.2, 4.0, 6500.0, 0.25),
    (2796.35, 5.0, 6000.0, 0.28),
    (2803.53, 5.0, 6000.0, 0.28),
    (2852.96, 5.0, 4800.0, 0.25),
    (3720.9, 1.6, 5000.0, 0.25),
    (3735.9, 1.8, 5000.0, 0.25),
    (3750.5, 1.6, 5000.0, 0.25),
    (3821.5, 1.6, 5000.0, 0.25),
    (3839.4, 2.0, 5000.0, 0.25),
    (3861.0, 1.5, 5000.0, 0.25),
    (3934.78, 9.0, 5000.0, 0.32),
    (3969.59, 7.0, 5000.0, 0.32),
    (4046.96, 1.2, 4800.0, 0.25),
    (4064.7, 1.0, 4800.0, 0.25),
    (4144.7, 1.0, 4700.0, 0.25),
    (4227.92, 2.6, 4300.0, 0.22),
    (4272.9, 1.3, 4700.0, 0.25),
    (4291.0, 2.2, 5000.0, 0.22),
    (4305.6, 4.5, 5100.0, 0.22),
    (4314.0, 2.2, 5000.0, 0.22),
    (4326.9, 1.3, 4900.0, 0.25),
    (4384.8, 1.6, 4700.0, 0.25),
    (4405.99, 1.0, 4700.0, 0.25),
    (4416.4, 0.9, 4700.0, 0.25),
    (4456.0, 0.9, 4600.0, 0.25),
    (4532.0, 1.2, 4600.0, 0.25),
    (4669.0, 1.6, 4700.0, 0.25),
    (4892.0, 0.8, 4700.0, 0.25),
    (4921.9, 0.9, 4700.0, 0.25),
    (4958.9, 1.0, 4700.0, 0.25),
    (5015.9, 1.4, 4700.0, 0.25),
    (5168.76, 1.7, 4700.0, 0.25),
    (5174.13, 2.3, 4600.0, 0.25),
    (5185.05, 2.6, 4600.0, 0.25),
    (5227.9, 1.1, 4600.0, 0.25),
    (5270.8, 2.0, 4600.0, 0.25),
    (5329.5, 1.5, 4600.0, 0.25),
    (5371.0, 0.8, 4600.0, 0.25),
    (5406.8, 1.1, 4600.0, 0.25),
    (5448.0, 0.9, 4600.0, 0.25),
    (5530.0, 0.7, 4600.0, 0.25),
    (5709.6, 0.7, 4500.0, 0.25),
    (5783.0, 0.7, 4500.0, 0.25),
    (5891.58, 2.2, 4000.0, 0.25),
    (5897.56, 1.8, 4000.0, 0.25),
    (6104.4, 0.6, 4300.0, 0.25),
    (6124.0, 0.7, 4300.0, 0.25),
    (6163.9, 0.9, 4300.0, 0.25),
    (6232.0, 0.6, 4500.0, 0.25),
    (6254.0, 0.5, 4500.0, 0.25),
    (6336.8, 0.5, 4500.0, 0.25),
    (6395.0, 0.6, 4500.0, 0.25),
    (6498.5, 1.0, 4400.0, 0.25),
    (7667.02, 1.2, 3300.0, 0.25),
    (7701.08, 1.0, 3300.0, 0.25),
    (8185.5, 1.0, 3200.0, 0.25),
    (8197.0, 1.2, 3200.0, 0.25),
    (8500.36, 1.6, 4600.0, 0.4),
    (8544.44, 3.8, 4600.0, 0.4),
    (8664.52, 3.1, 4600.0, 0.4),
    (8809.2, 0.7, 4600.0, 0.3),
    (15890.0, 2.5, 4300.0, 0.3),
];

/// Bands of cool stars: head Å, width Å, optical depth at its strongest, onset temperature.
const BANDS: [(f64, f64, f64, f64); 24] = [
    (4761.0, 190.0, 0.8, 3700.0),
    (4954.0, 200.0, 1.0, 3750.0),
    (5167.0, 260.0, 1.0, 3800.0),
    (5448.0, 180.0, 0.8, 3650.0),
    (5847.0, 200.0, 0.9, 3700.0),
    (6158.0, 220.0, 1.0, 3750.0),
    (6385.0, 40.0, 0.5, 3600.0),
    (6651.0, 140.0, 0.9, 3600.0),
    (6750.0, 230.0, 0.5, 3550.0),
    (7053.0, 230.0, 1.3, 3750.0),
    (7334.0, 160.0, 0.5, 2900.0),
    (7589.0, 220.0, 1.1, 3500.0),
    (7851.0, 150.0, 0.5, 2900.0),
    (8194.0, 180.0, 0.5, 3250.0),
    (8432.0, 250.0, 0.9, 3350.0),
    (8859.0, 230.0, 0.8, 3200.0),
    (9279.0, 300.0, 0.5, 3200.0),
    (9899.0, 250.0, 0.5, 2900.0),
    (13_300.0, 1600.0, 0.35, 3200.0),
    (18_000.0, 1700.0, 0.4, 3200.0),
    (22_930.0, 900.0, 0.25, 5000.0),
    (16_190.0, 500.0, 0.1, 4800.0),
    (4220.0, 60.0, 0.4, 4700.0),
    (3880.0, 120.0, 0.45, 5000.0),
];

/// Helium lines of hot stars: vacuum Å, equivalent width Å, peak temperature, log width.
const HELIUM: [(f64, f64, f64, f64); 9] = [
    (4027.3, 1.4, 20_000.0, 0.3),
    (4121.9, 0.4, 20_000.0, 0.3),
    (4389.2, 0.8, 20_000.0, 0.3),
    (4472.7, 1.5, 20_000.0, 0.3),
    (4923.3, 0.7, 20_000.0, 0.3),
    (5877.2, 1.0, 20_000.0, 0.3),
    (6680.0, 0.8, 20_000.0, 0.3),
    (4687.0, 1.0, 42_000.0, 0.25),
    (5413.0, 0.8, 42_000.0, 0.25),
];

/// Ultraviolet photospheric and wind lines of hot stars.
const HOT_UV: [(f64, f64, f64, f64); 8] = [
    (1175.7, 3.0, 30_000.0, 0.5),
    (1240.1, 3.0, 40_000.0, 0.3),
    (1294.5, 1.0, 25_000.0, 0.5),
    (1396.8, 4.0, 28_000.0, 0.4),
    (1417.2, 1.0, 28_000.0, 0.4),
    (1501.8, 1.0, 30_000.0, 0.4),
    (1549.1, 5.0, 38_000.0, 0.4),
    (1718.6, 1.5, 35_000.0, 0.4),
];

/// A built-in star on the template grid, 900 Å to 2.5 µm, mean 1 over 5000–6000 Å.
pub fn star(p: StarParams) -> Template {
    let wave = grid();
    let mut flux: Vec<f64> = wave.iter().map(|w| planck(*w, p.teff)).collect();
    let mut tau = vec![0.0f64; LEN];
    hydrogen(&p, &wave, &mut tau);
    blanketing(&p, &wave, &mut tau);
    let dwarf = 1.0 + 0.35 * (0.5 - p.giant);
    for (l, ew, peak, width) in METALS {
        let sodium = if (5880.0..5900.0).contains(&l) || (8180.0..8200.0).contains(&l) {
            dwarf * dwarf
        } else {
            1.0
        };
        gauss(
            &wave,
            &mut tau,
            l,
            ew * bell(p.teff, peak, width) * p.metals * sodium,
            0.9,
        );
    }
    for (l, ew, peak, width) in HELIUM.into_iter().chain(HOT_UV) {
        gauss(&wave, &mut tau, l, ew * bell(p.teff, peak, width), 1.1);
    }
    for (head, width, depth, onset) in BANDS {
        let depth = depth * cool(p.teff, onset, 0.055 * onset) * p.metals.powf(0.3);
        for (w, t) in wave.iter().zip(tau.iter_mut()) {
            // Molecular bands begin abruptly at the head and fade redwards.
            let x = (w - head) / width;
            if x > -0.05 && x < 4.0 {
                *t += depth
                    * if x < 0.0 {
                        1.0 + x / 0.05
                    } else {
                        (-1.6 * x).exp()
                    };
            }
        }
    }
    for (f, t) in flux.iter_mut().zip(&tau) {
        *f *= (-t).exp();
    }
    let name = format!("built-in star {:.0} K", p.teff);
    Template::from_points(&name, &wave, &flux).unwrap_or(Template {
        name,
        start: START,
        flux: vec![1.0; LEN],
    })
}

/// f_λ of a black body, 1 at 5500 Å.
pub(crate) fn planck(wave: f64, t: f64) -> f64 {
    let x = (1.438_777e8 / (wave * t)).min(600.0);
    (5500.0 / wave).powi(5) * ((1.438_777e8 / (5500.0 * t)).exp() - 1.0) / (x.exp() - 1.0)
}

/// Adds a Gaussian line of an equivalent width (Å) as optical depth.
pub(crate) fn gauss(wave: &[f64], tau: &mut [f64], centre: f64, ew: f64, sigma: f64) {
    if ew < 0.005 {
        return;
    }
    let sigma = sigma.max(0.35 * ew.min(8.0)) * centre / 5000.0;
    let depth = ew * (centre / 5000.0) / (2.5066 * sigma);
    let depth = -(1.0 - depth.min(0.93)).ln();
    let first = (((centre - 5.0 * sigma).log10() - START) / STEP).max(0.0) as usize;
    for i in first..wave.len() {
        let x = (wave[i] - centre) / sigma;
        if x > 5.0 {
            break;
        }
        tau[i] += depth * (-0.5 * x * x).exp();
    }
}

/// Lyman, Balmer, Paschen and Brackett lines and their edges.
fn hydrogen(p: &StarParams, wave: &[f64], tau: &mut [f64]) {
    let excited = bell(p.teff, 9200.0, 0.33)
        .max(0.16 * cool(p.teff, 12_000.0, 3000.0) * bell(p.teff, 6000.0, 0.35));
    let hot = bell(p.teff, 20_000.0, 0.6) * 0.35;
    let balmer = (excited + hot).min(1.1);
    for (n1, scale) in [(1.0f64, 1.2), (2.0, 1.0), (3.0, 0.5), (4.0, 0.3)] {
        let strength = if n1 == 1.0 {
            cool(p.teff, 60_000.0, 1e4)
        } else {
            balmer
        };
        let edge = 911.763 * n1 * n1;
        for n2 in (n1 as usize + 1)..=(n1 as usize + 20) {
            let n = n2 as f64;
            let centre = edge / (1.0 - (n1 / n).powi(2));
            let ew = 15.0
                * scale
                * strength
                * (1.0 - 0.035 * (n - n1 - 1.0)).max(0.2)
                * p.hydrogen.sqrt();
            let wing = (4.2 * p.hydrogen * strength.powf(0.7)).max(0.8) * centre / 4861.0;
            let depth = (ew / (2.6 * wing)).min(1.6);
            let index = |w: f64| ((w.max(900.0).log10() - START) / STEP) as usize;
            let (lo, hi) = (
                index(centre - 14.0 * wing),
                index(centre + 14.0 * wing).min(LEN),
            );
            for i in lo.min(hi)..hi {
                let x = (wave[i] - centre) / wing;
                tau[i] += depth / (1.0 + x * x).powf(1.25);
            }
        }
        let jump = match n1 as usize {
            1 => 4.0 * strength,
            2 => 1.15 * strength,
            3 => 0.25 * strength,
            _ => 0.08 * strength,
        };
        for (w, t) in wave.iter().zip(tau.iter_mut()) {
            if *w < edge {
                *t += jump * (w / edge).powi(2);
            }
        }
    }
}

/// Line blanketing by countless weak metal lines: a forest whose density steps up below 4000 Å, and
/// the metal opacity of the ultraviolet (breaks at 2640 and 2900 Å).
fn blanketing(p: &StarParams, wave: &[f64], tau: &mut [f64]) {
    let cool = cool(p.teff, 6600.0, 700.0) * p.metals.sqrt();
    let mut rng = Stream::new(0x51AF, 0xB1A, 0);
    for (w, t) in wave.iter().zip(tau.iter_mut()) {
        let mut level = 0.03 * (6500.0 / w).powi(2).min(4.0);
        let step = |edge: f64, width: f64| 1.0 / (1.0 + ((w - edge) / width).exp());
        level += 0.42 * step(3995.0, 8.0)
            + 0.10 * step(4600.0, 300.0)
            + 0.45 * step(2900.0, 15.0)
            + 0.6 * step(2640.0, 15.0);
        level += 0.12 * step(3646.0, 30.0) + 1.5 * step(2100.0, 150.0);
        let grain = 1.0 + 0.45 * rng.normal(0.0, 1.0);
        *t += (level * cool * grain.max(0.0)).min(6.0);
    }
}

/// Simple stellar population: light at 5500 Å shared among stars, by log₁₀(age/yr) 6–10.1.
#[expect(clippy::type_complexity, reason = "used once, where it is clear")]
const POPULATIONS: [(f64, [(f64, f64, f64); 6]); 6] = [
    (
        6.5,
        [
            (42_000.0, 0.30, 0.0),
            (30_000.0, 0.40, 0.0),
            (18_000.0, 0.18, 0.0),
            (9500.0, 0.07, 0.0),
            (4000.0, 0.02, 1.0),
            (6500.0, 0.03, 0.0),
        ],
    ),
    (
        7.3,
        [
            (24_000.0, 0.40, 0.0),
            (16_000.0, 0.25, 0.0),
            (9500.0, 0.14, 0.0),
            (6800.0, 0.05, 0.0),
            (3800.0, 0.13, 1.0),
            (3300.0, 0.03, 1.0),
        ],
    ),
    (
        8.2,
        [
            (13_000.0, 0.38, 0.0),
            (9500.0, 0.32, 0.0),
            (7500.0, 0.12, 0.0),
            (6000.0, 0.05, 0.0),
            (4500.0, 0.10, 1.0),
            (3600.0, 0.03, 1.0),
        ],
    ),
    (
        8.9,
        [
            (9000.0, 0.46, 0.0),
            (7400.0, 0.24, 0.0),
            (6100.0, 0.09, 0.0),
            (4900.0, 0.12, 1.0),
            (4200.0, 0.06, 1.0),
            (3400.0, 0.03, 1.0),
        ],
    ),
    (
        9.5,
        [
            (6600.0, 0.44, 0.0),
            (5700.0, 0.16, 0.0),
            (4900.0, 0.20, 1.0),
            (4400.0, 0.13, 1.0),
            (3900.0, 0.05, 1.0),
            (3300.0, 0.02, 1.0),
        ],
    ),
    (
        10.1,
        [
            (5800.0, 0.38, 0.0),
            (5100.0, 0.17, 0.5),
            (4700.0, 0.24, 1.0),
            (4300.0, 0.14, 1.0),
            (3800.0, 0.05, 1.0),
            (3250.0, 0.02, 1.0),
        ],
    ),
];

/// The built-in populations, young to old, at three metallicities; each with log₁₀ age.
pub fn populations() -> Vec<(f64, Arc<Template>)> {
    let mut out = Vec::new();
    for metals in [0.45, 0.9, 1.25] {
        for (age, stars) in POPULATIONS {
            let mut flux = vec![0.0f32; LEN];
            for (teff, light, giant) in stars {
                let t = star(StarParams {
                    teff,
                    giant,
                    metals,
                    hydrogen: 1.0,
                });
                for (f, s) in flux.iter_mut().zip(&t.flux) {
                    *f += light as f32 * s;
                }
            }
            let name = format!("built-in population 10^{age} yr, metals {metals}");
            out.push((
                age,
                Arc::new(Template {
                    name,
                    start: START,
                    flux,
                }),
            ));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sun_like(teff: f64) -> Template {
        star(StarParams {
            teff,
            giant: 0.0,
            metals: 1.0,
            hydrogen: 1.0,
        })
    }

    /// The 4000 Å break (Balogh et al. 1999 index) grows with age; Hδ is strongest near 10⁸·⁹ yr.
    #[test]
    fn breaks_follow_age() {
        let d4000 = |t: &Template| t.mean(4000.0, 4100.0) / t.mean(3850.0, 3950.0);
        let hdelta = |t: &Template| {
            1.0 - t.mean(4095.0, 4110.0) / (0.5 * (t.mean(4045.0, 4080.0) + t.mean(4125.0, 4160.0)))
        };
        let p = populations();
        let solar: Vec<_> = p[6..12].to_vec();
        assert!(
            d4000(&solar[5].1) > 1.5 && d4000(&solar[5].1) < 2.4,
            "{}",
            d4000(&solar[5].1)
        );
        assert!(d4000(&solar[0].1) < 1.15);
        assert!(hdelta(&solar[3].1) > 2.0 * hdelta(&solar[5].1).max(0.02));
    }

    #[test]
    fn lines_follow_temperature() {
        let depth =
            |t: &Template, a: f64, b: f64, c: f64, d: f64| 1.0 - t.mean(a, b) / t.mean(c, d);
        let hbeta = |teff| depth(&sun_like(teff), 4852.0, 4872.0, 4790.0, 4810.0);
        assert!(hbeta(9500.0) > 3.0 * hbeta(4500.0));
        let tio = |teff| depth(&sun_like(teff), 7060.0, 7120.0, 7010.0, 7045.0);
        assert!(tio(3100.0) > 0.3 && tio(5800.0) < 0.05);
    }
}
