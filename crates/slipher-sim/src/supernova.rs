//! Supernovae and tidal disruptions on their hosts, of all common types and phases.
//!
//! Parametric: a black body whose temperature follows the phase, with P Cygni profiles of published
//! lines (Filippenko 1997; Gal-Yam 2017; superluminous: Quimby et al. 2018; tidal disruptions: van
//! Velzen et al. 2021). No observed supernova is in them.

use slipher_data::spectrum::Spectrum;

use crate::peculiar::level;
use crate::random::Stream;
use crate::sed::C_KMS;
use crate::stellar::planck;

/// Types, with how often they are drawn.
pub const TYPES: [(&str, f64); 8] = [
    ("Ia", 0.40),
    ("Ia-91bg", 0.06),
    ("II", 0.18),
    ("IIn", 0.06),
    ("Ib", 0.08),
    ("Ic", 0.10),
    ("SLSN", 0.06),
    ("TDE", 0.06),
];

/// A line: vacuum Å, depth of its trough, height of its emission, and how both change with phase
/// (0 at maximum, 1 at 60 days after; values between are interpolated).
struct Line(f64, [f64; 2], [f64; 2]);

const IA: [Line; 13] = [
    Line(3951.0, [0.55, 0.5], [0.3, 0.4]),
    Line(4131.9, [0.15, 0.0], [0.0, 0.0]),
    Line(4482.0, [0.35, 0.1], [0.1, 0.0]),
    Line(4560.0, [0.1, 0.45], [0.2, 0.5]),
    Line(4925.0, [0.35, 0.4], [0.15, 0.3]),
    Line(5170.0, [0.3, 0.45], [0.15, 0.3]),
    Line(5456.0, [0.25, 0.15], [0.05, 0.1]),
    Line(5642.0, [0.3, 0.1], [0.0, 0.1]),
    Line(5977.0, [0.15, 0.0], [0.0, 0.0]),
    Line(6357.0, [0.55, 0.15], [0.25, 0.1]),
    Line(6520.0, [0.0, 0.2], [0.0, 0.35]),
    Line(7776.0, [0.25, 0.35], [0.05, 0.1]),
    Line(8581.0, [0.4, 0.65], [0.3, 0.6]),
];

const II: [Line; 11] = [
    Line(6564.6, [0.15, 0.5], [0.4, 2.2]),
    Line(4862.7, [0.25, 0.55], [0.15, 0.4]),
    Line(4341.7, [0.2, 0.5], [0.1, 0.2]),
    Line(4102.9, [0.15, 0.4], [0.05, 0.1]),
    Line(5877.3, [0.2, 0.0], [0.1, 0.0]),
    Line(5893.0, [0.0, 0.4], [0.0, 0.3]),
    Line(5170.0, [0.0, 0.45], [0.0, 0.15]),
    Line(5019.0, [0.0, 0.4], [0.0, 0.1]),
    Line(4925.0, [0.0, 0.35], [0.0, 0.1]),
    Line(3951.0, [0.1, 0.6], [0.0, 0.2]),
    Line(8581.0, [0.0, 0.5], [0.0, 0.9]),
];

const STRIPPED: [Line; 10] = [
    Line(3951.0, [0.45, 0.5], [0.2, 0.3]),
    Line(4560.0, [0.3, 0.4], [0.15, 0.3]),
    Line(4925.0, [0.35, 0.4], [0.1, 0.2]),
    Line(5019.0, [0.3, 0.35], [0.05, 0.1]),
    Line(5170.0, [0.35, 0.45], [0.15, 0.3]),
    Line(5893.0, [0.25, 0.4], [0.1, 0.2]),
    Line(6357.0, [0.3, 0.1], [0.1, 0.0]),
    Line(6302.0, [0.0, 0.0], [0.0, 0.8]),
    Line(7776.0, [0.35, 0.4], [0.1, 0.2]),
    Line(8581.0, [0.4, 0.6], [0.25, 0.8]),
];

const HELIUM: [Line; 4] = [
    Line(4472.7, [0.25, 0.4], [0.05, 0.1]),
    Line(5877.3, [0.35, 0.6], [0.2, 0.4]),
    Line(6680.0, [0.15, 0.3], [0.05, 0.1]),
    Line(7067.1, [0.2, 0.4], [0.1, 0.2]),
];

const SUPERLUMINOUS: [Line; 6] = [
    Line(4358.0, [0.25, 0.1], [0.0, 0.0]),
    Line(4651.0, [0.3, 0.15], [0.05, 0.0]),
    Line(4112.0, [0.2, 0.0], [0.0, 0.0]),
    Line(3730.0, [0.2, 0.1], [0.0, 0.0]),
    Line(2670.0, [0.4, 0.4], [0.1, 0.1]),
    Line(2200.0, [0.4, 0.5], [0.1, 0.1]),
];

fn between(v: [f64; 2], phase: f64) -> f64 {
    let t = phase.clamp(0.0, 1.0);
    (v[0] * (1.0 - t) + v[1] * t).max(0.0)
}

/// One supernova: continuum × (1 + profiles), rest frame, 1 at 5500 Å without lines.
pub struct Supernova {
    /// One of [`TYPES`].
    pub kind: &'static str,
    /// 0 at maximum, 1 at 60 days after.
    pub phase: f64,
    temperature: f64,
    /// Of the photosphere, km/s.
    velocity: f64,
    /// Absorbed below 4000 Å by countless lines of iron, 0–1.
    blanketing: f64,
    narrow: Option<(f64, f64)>,
    scatter: Vec<f64>,
}

impl Supernova {
    /// A random one.
    pub fn draw(rng: &mut Stream) -> Supernova {
        let weights: Vec<f64> = TYPES.iter().map(|t| t.1).collect();
        let kind = TYPES[rng.weighted(&weights)].0;
        let phase = if rng.chance(0.5) {
            rng.uniform(-0.2, 0.3)
        } else {
            rng.uniform(0.0, 1.6)
        };
        let late = phase.clamp(0.0, 1.0);
        let (hot, cold): (f64, f64) = match kind {
            "Ia" => (13_000.0, 6000.0),
            "Ia-91bg" => (8500.0, 5000.0),
            "II" => (14_000.0, 5500.0),
            "IIn" => (15_000.0, 6500.0),
            "SLSN" => (16_000.0, 7000.0),
            "TDE" => (25_000.0, 18_000.0),
            _ => (9000.0, 5000.0),
        };
        let velocity: f64 = match kind {
            "IIn" => 1500.0,
            "TDE" => 0.0,
            "II" => 9000.0 - 4500.0 * late,
            "Ic" if rng.chance(0.25) => 19_000.0,
            _ => 11_500.0 - 3000.0 * late,
        };
        Supernova {
            kind,
            phase,
            temperature: hot * (cold / hot).powf(late) * rng.log_uniform(0.85, 1.2),
            velocity: velocity * rng.uniform(0.82, 1.2),
            blanketing: match kind {
                "Ia" | "Ia-91bg" => 0.25 + 0.5 * late,
                "II" | "IIn" | "TDE" => 0.5 * late * f64::from(u8::from(kind == "II")),
                _ => 0.35 + 0.45 * late,
            },
            narrow: (kind == "IIn")
                .then(|| (rng.log_uniform(10.0, 200.0), rng.log_uniform(100.0, 600.0))),
            scatter: (0..40).map(|_| rng.log_uniform(0.6, 1.6)).collect(),
        }
    }

    fn lines(&self) -> Vec<&'static Line> {
        let of = |l: &'static [Line]| l.iter().collect::<Vec<_>>();
        match self.kind {
            "Ia" | "Ia-91bg" => of(&IA),
            "II" => of(&II),
            "Ib" => of(&STRIPPED).into_iter().chain(of(&HELIUM)).collect(),
            "Ic" => of(&STRIPPED),
            "SLSN" => of(&SUPERLUMINOUS),
            _ => vec![],
        }
    }

    /// Flux density at rest wavelengths (vacuum Å).
    pub fn flux(&self, rest: &[f64]) -> Vec<f64> {
        let late = self.phase.clamp(0.0, 1.0);
        let mut out: Vec<f64> = rest
            .iter()
            .map(|w| {
                let blanket = 1.0 - self.blanketing / (1.0 + ((w - 3900.0) / 180.0).exp());
                planck(*w, self.temperature) * blanket
            })
            .collect();
        let width = (0.45 * self.velocity).max(1200.0) / C_KMS;
        for (i, Line(at, depth, height)) in self.lines().into_iter().enumerate() {
            let scatter = self.scatter[i % self.scatter.len()];
            let trough = at * (1.0 - self.velocity / C_KMS);
            let (d, h) = (
                (between(*depth, late) * scatter).min(0.9),
                between(*height, late) * scatter,
            );
            for (w, f) in rest.iter().zip(&mut out) {
                let (x, y) = ((w - trough) / (at * width), (w - at) / (at * width * 1.3));
                if x.abs() < 5.0 {
                    *f *= 1.0 - d * (-0.5 * x * x).exp();
                }
                if y.abs() < 5.0 {
                    *f *= 1.0 + h * (-0.5 * y * y).exp();
                }
            }
        }
        if let Some((ew, sigma)) = self.narrow {
            self.emission(rest, &mut out, ew, sigma.max(700.0), &BALMER);
            self.emission(rest, &mut out, 0.2 * ew, sigma, &BALMER);
        }
        if self.kind == "TDE" {
            let broad = 4000.0 + 2500.0 * self.scatter[0];
            self.emission(rest, &mut out, 60.0 * self.scatter[1], broad, &DISRUPTED);
        }
        out
    }

    /// Lines of an equivalent width (Å) at Hα's strength 1.
    fn emission(&self, rest: &[f64], out: &mut [f64], ew: f64, sigma: f64, lines: &[(f64, f64)]) {
        for (at, strength) in lines {
            let s = at * sigma / C_KMS;
            let peak = ew * strength / (2.5066 * s);
            for (w, f) in rest.iter().zip(out.iter_mut()) {
                let x = (w - at) / s;
                if x.abs() < 5.0 {
                    *f += peak * planck(*at, self.temperature) * (-0.5 * x * x).exp();
                }
            }
        }
    }
}

const BALMER: [(f64, f64); 5] = [
    (6564.6, 1.0),
    (4862.7, 0.4),
    (4341.7, 0.2),
    (5877.3, 0.12),
    (4102.9, 0.1),
];
const DISRUPTED: [(f64, f64); 4] = [(6564.6, 1.0), (4862.7, 0.3), (4687.0, 0.9), (4641.0, 0.3)];

/// Puts a supernova on a host observed at `z`: from a tenth of its light to fifteen times as much.
pub fn explode(s: &mut Spectrum, z: f64, rng: &mut Stream) -> &'static str {
    let sn = Supernova::draw(rng);
    let share = rng.log_uniform(0.1, 15.0);
    let rest: Vec<f64> = s.wave.iter().map(|w| w / (1.0 + z)).collect();
    let flux = sn.flux(&rest);
    let mut sizes: Vec<f32> = flux.iter().map(|f| *f as f32).collect();
    let middle = slipher_data::spectrum::median(&mut sizes).max(1e-20);
    let gain = share as f32 * level(s) / middle;
    // The light is the survey's limit, not the host's: a bright supernova has a better S/N.
    let brighter = if rng.chance(0.5) { 1.0 } else { 1.0 + share };
    for ((f, v), x) in s.flux.iter_mut().zip(&mut s.ivar).zip(&flux) {
        *f += gain * *x as f32;
        *v /= brighter as f32;
    }
    sn.kind
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Si II at maximum lies at 6100 to 6180 Å, hydrogen in type II grows with phase, all is finite.
    #[test]
    fn lines_are_where_they_are_seen() {
        let rest: Vec<f64> = (0..4000).map(|i| 2500.0 + 2.0 * f64::from(i)).collect();
        let mut seen = std::collections::BTreeSet::new();
        for row in 0..400 {
            let mut rng = Stream::new(8, 1, row);
            let sn = Supernova::draw(&mut rng);
            let f = sn.flux(&rest);
            assert!(
                f.iter().all(|x| x.is_finite() && *x >= 0.0),
                "{} {}",
                sn.kind,
                sn.phase
            );
            seen.insert(sn.kind);
            let mean = |lo: f64, hi: f64| {
                let own: Vec<f64> = (0..rest.len())
                    .filter(|i| (lo..hi).contains(&rest[*i]))
                    .map(|i| f[i])
                    .collect();
                own.iter().sum::<f64>() / own.len() as f64
            };
            if sn.kind == "Ia" && sn.phase < 0.1 {
                let trough = (1..40)
                    .map(|k| 5950.0 + 10.0 * f64::from(k))
                    .min_by(|a, b| mean(*a, a + 10.0).total_cmp(&mean(*b, b + 10.0)))
                    .unwrap();
                assert!((6020.0..6240.0).contains(&trough), "{trough}");
            }
            if sn.kind == "II" && sn.phase > 0.8 {
                assert!(mean(6520.0, 6620.0) > 1.2 * mean(6750.0, 6850.0));
            }
        }
        assert_eq!(seen.len(), TYPES.len());
    }
}
