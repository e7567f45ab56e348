//! Stars that are neither on the main sequence nor giants: white dwarfs without hydrogen lines,
//! carbon stars, L and T dwarfs, hot subdwarfs.
//!
//! Parametric: Planck continua with published bands and lines, whose strengths follow temperature
//! in outline. Not model atmospheres; no observed star is in them.
//!
//! Sources: Sion et al. 1983 and Wesemael et al. 1993 (white dwarfs), Barnbaum et al. 1996 (carbon
//! stars), Kirkpatrick 2005 and Cushing et al. 2005 (L and T dwarfs), Heber 2016 (subdwarfs).

use std::sync::Arc;

use crate::random::Stream;
use crate::sed::Template;
use crate::stellar::{LEN, gauss, grid, planck};

/// Kind, as catalogues write it, and spectrum.
pub type Exotic = (&'static str, Arc<Template>);

/// He I, vacuum Å, and strength relative to 5877.
const HELIUM: [(f64, f64); 12] = [
    (3188.7, 0.3),
    (3889.7, 0.8),
    (4027.3, 0.9),
    (4144.9, 0.3),
    (4389.2, 0.5),
    (4472.7, 1.3),
    (4714.5, 0.5),
    (4923.3, 0.7),
    (5017.1, 0.6),
    (5877.3, 1.0),
    (6680.0, 0.7),
    (7067.1, 0.6),
];

/// Heads of the Swan bands of C₂, vacuum Å, which fade to the blue; relative strength.
const SWAN: [(f64, f64); 7] = [
    (4384.0, 0.4),
    (4716.5, 0.5),
    (4738.4, 0.9),
    (5131.0, 0.6),
    (5166.7, 1.2),
    (5586.9, 0.6),
    (5637.1, 0.9),
];

/// Heads of the red system of CN, which fade to the red; relative strength.
const CYANOGEN: [(f64, f64); 8] = [
    (5750.0, 0.3),
    (6193.0, 0.4),
    (6928.0, 0.6),
    (7090.0, 0.5),
    (7283.0, 0.5),
    (7876.0, 0.9),
    (9142.0, 1.0),
    (10_930.0, 1.1),
];

/// Bands of L and T dwarfs: from, to (Å), depth in L dwarfs, depth in T dwarfs. Water, methane,
/// FeH, CrH, VO, CO and the pressure of H₂.
const COOL: [(f64, f64, f64, f64); 14] = [
    (7340.0, 7600.0, 0.4, 0.0),
    (8430.0, 8560.0, 0.3, 0.0),
    (8611.0, 8700.0, 0.7, 0.2),
    (8692.0, 8850.0, 0.5, 0.1),
    (9250.0, 9450.0, 0.4, 1.3),
    (9896.0, 10_050.0, 0.8, 0.3),
    (11_100.0, 11_700.0, 0.5, 1.8),
    (13_300.0, 15_000.0, 1.2, 3.0),
    (15_800.0, 16_200.0, 0.2, 0.3),
    (16_000.0, 18_000.0, 0.0, 1.8),
    (17_700.0, 20_300.0, 1.2, 3.0),
    (22_000.0, 25_060.0, 0.0, 2.0),
    (22_930.0, 24_200.0, 0.4, 0.2),
    (20_800.0, 25_060.0, 0.1, 0.6),
];

fn finish(name: String, wave: &[f64], flux: &[f64], tau: &[f64]) -> Arc<Template> {
    let seen: Vec<f64> = flux
        .iter()
        .zip(tau)
        .map(|(f, t)| f * (-t.clamp(0.0, 12.0)).exp())
        .collect();
    Arc::new(
        Template::from_points(&name, wave, &seen).unwrap_or(Template {
            name,
            start: wave[0].log10(),
            flux: vec![1.0; LEN],
        }),
    )
}

/// A band of depth `tau` that begins at its head and fades over `width` Å, to the red if positive.
fn band(wave: &[f64], out: &mut [f64], head: f64, width: f64, depth: f64) {
    for (w, t) in wave.iter().zip(out) {
        let x = (w - head) / width;
        if x > -0.04 && x < 5.0 {
            *t += depth
                * if x < 0.0 {
                    1.0 + x / 0.04
                } else {
                    (-1.5 * x).exp()
                };
        }
    }
}

/// Wavelengths, flux of a black body, and no optical depth yet.
fn black_body(teff: f64) -> (Vec<f64>, Vec<f64>, Vec<f64>) {
    let wave = grid();
    let flux = wave.iter().map(|w| planck(*w, teff)).collect();
    let tau = vec![0.0; wave.len()];
    (wave, flux, tau)
}

/// A white dwarf of helium (DB), carbon (DQ), metals (DZ) or nothing to be seen (DC).
fn white_dwarf(kind: &str, teff: f64, strength: f64) -> Arc<Template> {
    let (wave, flux, mut tau) = black_body(teff);
    match kind {
        "DB" => {
            for (line, s) in HELIUM {
                // Broadened by pressure: a core and wings of tens of Å.
                gauss(&wave, &mut tau, line, 7.0 * s * strength, 6.0);
                gauss(&wave, &mut tau, line, 8.0 * s * strength, 22.0);
            }
            if teff > 28_000.0 {
                gauss(&wave, &mut tau, 4687.0, 6.0 * strength, 10.0);
            }
        }
        "DQ" => {
            for (head, s) in SWAN {
                band(&wave, &mut tau, head, -150.0, 0.8 * s * strength);
            }
        }
        "DZ" => {
            for (line, ew) in [
                (3934.8, 40.0),
                (3969.6, 30.0),
                (2852.96, 15.0),
                (2796.4, 15.0),
                (3736.0, 10.0),
                (3835.0, 10.0),
                (4227.9, 12.0),
                (5175.0, 6.0),
                (5893.0, 5.0),
                (4384.0, 5.0),
            ] {
                gauss(&wave, &mut tau, line, 0.5 * ew * strength, 0.25 * ew);
            }
        }
        _ => {}
    }
    finish(
        format!("built-in {kind} {teff:.0} K, {strength:.1}"),
        &wave,
        &flux,
        &tau,
    )
}

/// A carbon star: Swan bands, cyanogen, sodium, hardly any blue light.
fn carbon(teff: f64, strength: f64) -> Arc<Template> {
    let (wave, flux, mut tau) = black_body(teff);
    for (head, s) in SWAN {
        band(&wave, &mut tau, head, -170.0, 1.3 * s * strength);
    }
    for (head, s) in CYANOGEN {
        band(&wave, &mut tau, head, 220.0, 0.8 * s * strength);
    }
    // C₃ and SiC₂ below 4400 Å.
    for (w, t) in wave.iter().zip(&mut tau) {
        *t += strength * 1.5 / (1.0 + ((w - 4300.0) / 120.0).exp());
    }
    for (line, ew) in [(5891.6, 4.0), (5897.6, 3.0), (3934.8, 6.0), (3969.6, 5.0)] {
        gauss(&wave, &mut tau, line, ew, 1.2);
    }
    finish(
        format!("built-in carbon star {teff:.0} K, {strength:.1}"),
        &wave,
        &flux,
        &tau,
    )
}

/// An L dwarf (`t` 0) to a T dwarf (`t` 1): alkali resonance lines with wings of thousands of Å,
/// hydrides, water, methane.
fn brown_dwarf(teff: f64, t: f64) -> Arc<Template> {
    let (wave, flux, mut tau) = black_body(teff);
    for (i, w) in wave.iter().enumerate() {
        // Lorentzian wings of K I 7667, 7701 and Na I 5891, 5897 (Burrows et al. 2000).
        for (centre, width, depth) in [(7682.0, 120.0, 14.0), (5894.0, 160.0, 14.0)] {
            let x = (w - centre) / (width * (1.0 + t));
            tau[i] += depth / (1.0 + x * x);
        }
    }
    for (from, to, l, m) in COOL {
        let depth = l * (1.0 - t) + m * t;
        let (a, b) = (0.004 * from, 0.02 * to);
        for (w, x) in wave.iter().zip(&mut tau) {
            let edges = 1.0 / (1.0 + ((from - w) / a).exp()) / (1.0 + ((w - to) / b).exp());
            *x += depth * edges;
        }
    }
    for (line, ew) in [
        (7802.4, 3.0),
        (7949.8, 3.0),
        (8185.5, 1.5),
        (8197.1, 2.0),
        (8523.5, 4.0),
        (8945.9, 3.0),
        (11_693.4, 4.0),
        (11_776.1, 6.0),
        (12_435.7, 4.0),
        (12_525.6, 5.0),
    ] {
        gauss(&wave, &mut tau, line, ew, 2.0);
    }
    let kind = if t < 0.5 { "L" } else { "T" };
    finish(
        format!("built-in {kind} dwarf {teff:.0} K, {t:.2}"),
        &wave,
        &flux,
        &tau,
    )
}

/// All of them, several of each kind.
pub fn builtin() -> Vec<Exotic> {
    let mut out: Vec<Exotic> = Vec::new();
    for strength in [0.35, 0.7, 1.2] {
        for teff in [12_000.0, 15_500.0, 20_000.0, 30_000.0] {
            out.push(("WD", white_dwarf("DB", teff, strength)));
        }
        for teff in [7000.0, 9500.0] {
            out.push(("WD", white_dwarf("DQ", teff, strength)));
            out.push(("WD", white_dwarf("DZ", teff, strength)));
        }
        for teff in [2900.0, 3500.0, 4300.0] {
            out.push(("C", carbon(teff, strength)));
        }
    }
    for teff in [4800.0, 6000.0, 8000.0, 11_000.0] {
        out.push(("WD", white_dwarf("DC", teff, 0.0)));
    }
    for i in 0..12 {
        let x = f64::from(i) / 11.0;
        let t = ((x - 0.45) / 0.35).clamp(0.0, 1.0);
        let kind = if t < 0.5 { "L" } else { "T" };
        out.push((kind, brown_dwarf(2200.0 - 1400.0 * x, t)));
    }
    out
}

/// Emission of an accreting white dwarf (cataclysmic variable): vacuum Å, strength to Hα.
pub const ACCRETION: [(f64, f64); 12] = [
    (6564.61, 1.0),
    (4862.68, 0.8),
    (4341.68, 0.6),
    (4102.89, 0.5),
    (3971.20, 0.35),
    (5877.25, 0.25),
    (6680.0, 0.12),
    (7067.1, 0.12),
    (4472.7, 0.12),
    (4687.0, 0.2),
    (5170.0, 0.06),
    (8600.0, 0.2),
];

/// One of them.
pub fn pick<'a>(rng: &mut Stream, all: &'a [Exotic]) -> Option<&'a Exotic> {
    // White dwarfs are a third of the list and most of what surveys see of it.
    (!all.is_empty()).then(|| &all[rng.below(all.len())])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bands_are_where_they_are_published() {
        let depth = |t: &Template, at: (f64, f64), beside: (f64, f64)| {
            1.0 - t.mean(at.0, at.1) / t.mean(beside.0, beside.1)
        };
        let c = carbon(3500.0, 1.0);
        // The Swan bands begin at their heads and fade to the blue.
        assert!(depth(&c, (5100.0, 5160.0), (5175.0, 5230.0)) > 0.3);
        assert!(depth(&c, (4690.0, 4735.0), (4745.0, 4790.0)) > 0.2);
        let db = white_dwarf("DB", 15_500.0, 1.0);
        assert!(depth(&db, (4465.0, 4480.0), (4560.0, 4600.0)) > 0.2);
        assert!(depth(&db, (4855.0, 4870.0), (4790.0, 4810.0)).abs() < 0.1);
        let (l, t) = (brown_dwarf(2000.0, 0.0), brown_dwarf(900.0, 1.0));
        // Methane makes the T dwarf.
        assert!(t.mean(16_300.0, 17_200.0) < 0.5 * t.mean(15_500.0, 15_800.0));
        assert!(l.mean(16_300.0, 17_200.0) > 0.6 * l.mean(15_500.0, 15_800.0));
        for (kind, t) in builtin() {
            assert!(
                t.flux.iter().all(|f| f.is_finite() && *f >= 0.0),
                "{kind} {}",
                t.name
            );
        }
    }
}
