//! Whether the wavelengths of a template library are in air, and the check by its own lines.
//!
//! Libraries of observed stars are in air, and so are populations built from them: MILES
//! (Sánchez-Blázquez et al. 2006), STELIB and with it BC03 (Bruzual & Charlot 2003), ELODIE,
//! Indo-US, XSL before its third release. FSPS (Conroy & Gunn 2010) writes vacuum, and what
//! surveys made for redshifts (SDSS, DESI, redmonster) is in vacuum.

use slipher_data::airvac::air_to_vacuum;

use crate::sed::{STEP, Template};

/// What wavelengths are measured in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Medium {
    /// Standard air above 2000 Å.
    Air,
    /// As all of Slipher.
    Vacuum,
}

/// Words of a path that belong to libraries in air.
const IN_AIR: [&str; 9] = [
    "bc03",
    "cb07",
    "ssp",
    "miles",
    "elodie",
    "stelib",
    "indo",
    "mastar-air",
    "xsl",
];

/// That of a file, by what it says (`stated`) or by the words of its path.
pub fn medium_of(path: &str, stated: Option<Medium>) -> Medium {
    let lower = path.to_lowercase();
    let known = lower
        .split(['/', '\\', '_', '.', ' '])
        .any(|word| IN_AIR.contains(&word));
    stated.unwrap_or(if known { Medium::Air } else { Medium::Vacuum })
}

/// Wavelengths (Å) in vacuum.
pub fn to_vacuum(medium: Medium, wave: &mut [f64]) {
    if medium == Medium::Air {
        wave.iter_mut().for_each(|w| *w = air_to_vacuum(*w));
    }
}

/// Metal lines of cool and warm stars, vacuum Å (NIST): Ca II K, Mg b, Na D, Ca II triplet.
const LINES: [f64; 9] = [
    3934.78, 5168.76, 5174.13, 5185.05, 5891.58, 5897.56, 8500.36, 8544.44, 8664.52,
];

/// Velocity (km/s) at which the metal lines of a rest-frame template lie, from −400 to 400: near 0
/// in vacuum, near −83 if wavelengths in air were taken for vacuum. `None` where the lines are weak,
/// hidden by emission, or sampled in steps of more than some 6 Å.
pub fn line_velocity(t: &Template) -> Option<f64> {
    const HALF: usize = 60;
    let n = t.flux.len();
    if is_coarse(t) {
        return None;
    }
    let mut sums = vec![0.0f64; n + 1];
    for (i, f) in t.flux.iter().enumerate() {
        sums[i + 1] = sums[i] + f64::from(*f);
    }
    let depth = |i: usize| {
        let mean = (sums[(i + HALF).min(n)] - sums[i - HALF]) / (2 * HALF) as f64;
        1.0 - f64::from(t.flux[i]) / mean.max(1e-9)
    };
    let pixel = STEP * std::f64::consts::LN_10 * crate::sed::C_KMS;
    let mut used = 0;
    let score = |v: f64, used: &mut usize| {
        let mut total = 0.0;
        *used = 0;
        for line in LINES {
            let at = (line.log10() - t.start) / STEP + v / pixel;
            let i = at.floor();
            if i < 2.0 * HALF as f64 || i as usize + 2 * HALF >= n {
                continue;
            }
            let (i, x) = (i as usize, at - i);
            total += (1.0 - x) * depth(i) + x * depth(i + 1);
            *used += 1;
        }
        total / (*used).max(1) as f64
    };
    let scores: Vec<f64> = (0..=80)
        .map(|k| score(f64::from(k) * 10.0 - 400.0, &mut used))
        .collect();
    let best = (1..80).max_by(|a, b| scores[*a].total_cmp(&scores[*b]))?;
    if used < 3 || scores[best] < 0.04 {
        return None;
    }
    // The line is symmetric: the centre of its upper half, by a parabola through ±60 km/s.
    let (lo, hi) = (
        best.checked_sub(6)?,
        (best + 6 < scores.len()).then_some(best + 6)?,
    );
    let (a, b, c) = (scores[lo], scores[best], scores[hi]);
    let bend = a - 2.0 * b + c;
    (bend < 0.0).then(|| best as f64 * 10.0 - 400.0 + 60.0 * 0.5 * (a - c) / bend)
}

/// Between the points of a coarse file the template is straight: its second differences vanish.
fn is_coarse(t: &Template) -> bool {
    let index = |w: f64| (((w.log10() - t.start) / STEP).max(0.0) as usize).min(t.flux.len());
    let near = &t.flux[index(5000.0)..index(6000.0)];
    let straight = near
        .windows(3)
        .filter(|w| (w[0] - 2.0 * w[1] + w[2]).abs() < 1e-5 * w[1].abs())
        .count();
    straight * 5 > near.len() * 4
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stellar::{StarParams, star};

    /// The built-in stars are in vacuum; shifted by hand they are found there.
    #[test]
    fn lines_tell_the_medium() {
        let t = star(StarParams {
            teff: 4800.0,
            giant: 1.0,
            metals: 1.0,
            hydrogen: 1.0,
        });
        let v = line_velocity(&t).unwrap();
        assert!(v.abs() < 15.0, "{v}");
        let moved = Template {
            start: t.start + (1.0 - 83.0 / crate::sed::C_KMS).log10(),
            ..t
        };
        let v = line_velocity(&moved).unwrap();
        assert!((v + 83.0).abs() < 15.0, "{v}");
        assert_eq!(
            medium_of("miles/MILES_res2.50_star_m0001V", None),
            Medium::Air
        );
        assert_eq!(medium_of("SED/ssp_5Myr_z008.sed", None), Medium::Air);
        assert_eq!(medium_of("BC03_z0.004_a00.005.fits", None), Medium::Air);
        assert_eq!(
            medium_of("fsps_full/fsps_QSF_12_v3_001.dat", None),
            Medium::Vacuum
        );
        let stated = medium_of("miles/x", Some(Medium::Vacuum));
        assert_eq!(stated, Medium::Vacuum);
    }
}
