//! The light of a galaxy before the telescope: bulge, disc with spiral arms, bar, ring, clumps.
//!
//! Arms follow logarithmic spirals: the disc is multiplied by 1 + A·w(cos(m θ + φ_r)), φ_r = a
//! ln(2r/R) + φ, in the plane of the disc (the strong-lens challenge's galaxies, Metcalf et al.
//! 2019), with arms sharpened by a power.

use super::Plane;
use super::sersic::Sersic;

/// Spiral arms of a disc.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Arms {
    /// Number m.
    pub count: usize,
    /// Contrast A, 0 to 1.
    pub strength: f64,
    /// Turns a: large for tightly wound arms. Positive winds one way, negative the other.
    pub winding: f64,
    /// φ.
    pub phase: f64,
    /// Share of the arms that is missing in patches (flocculent), 0 to 1.
    pub patchy: f64,
}

/// A galaxy; fluxes of the parts are their own.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Galaxy {
    /// Old stars: bulge and bar.
    pub spheroids: Vec<Sersic>,
    /// n = 1 but for irregular ones.
    pub disc: Option<Sersic>,
    /// Spiral arms of the disc.
    pub arms: Option<Arms>,
    /// Ring around the middle: radius and width in half-light radii, share of the disc's flux.
    pub ring: Option<(f64, f64, f64)>,
    /// Dust in an edge-on disc: share of light lost in the plane, thickness in pixels.
    pub lane: Option<(f64, f64)>,
    /// Knots of young stars (x, y, flux, full width).
    pub clumps: Vec<(f64, f64, f64, f64)>,
}

impl Galaxy {
    /// Light of old stars (spheroids) and of young ones (disc, clumps) on square planes of `side`
    /// pixels: they differ in colour.
    pub fn planes(&self, side: usize) -> [Plane; 2] {
        let (mut old, mut young) = (Plane::square(side), Plane::square(side));
        self.spheroids.iter().for_each(|s| s.add(&mut old));
        if let Some(d) = &self.disc {
            d.add(&mut young);
            self.shape(d, &mut young);
        }
        for (x, y, flux, width) in &self.clumps {
            super::psf::Psf::gaussian(*width).add(&mut young, *x, *y, *flux);
        }
        if let (Some((depth, thick)), Some(d)) = (self.lane, &self.disc) {
            for p in [&mut old, &mut young] {
                lane(d, depth, thick, p);
            }
        }
        [old, young]
    }

    /// Multiplies the disc by its arms and ring, at the same total.
    fn shape(&self, d: &Sersic, plane: &mut Plane) {
        if self.arms.is_none() && self.ring.is_none() {
            return;
        }
        let before = plane.total();
        let (sin, cos) = d.angle.sin_cos();
        let width = plane.width;
        for (i, v) in plane.data.iter_mut().enumerate() {
            let (dx, dy) = ((i % width) as f64 - d.x, (i / width) as f64 - d.y);
            let (u, w) = (dx * cos + dy * sin, (dy * cos - dx * sin) / d.q);
            let (r, theta) = ((u * u + w * w).sqrt() / d.re, w.atan2(u));
            let mut factor = 1.0;
            if let Some(a) = &self.arms {
                let phase = a.winding * (2.0 * r.max(0.05)).ln() + a.phase;
                let wave = (0.5 + 0.5 * (a.count as f64 * theta + phase).cos()).powi(2);
                // Patches: a second wave that beats against the arms.
                let patch =
                    1.0 - a.patchy * (0.5 + 0.5 * (3.7 * theta - 9.0 * r + 2.0 * a.phase).sin());
                // No arms inside the bulge.
                let inner = 1.0 - (-(r / 0.35).powi(2)).exp();
                factor += a.strength * inner * (4.0 * wave * patch - 1.0);
            }
            if let Some((radius, thick, share)) = self.ring {
                factor += share * 6.0 * (-0.5 * ((r - radius) / thick).powi(2)).exp();
            }
            *v *= factor.max(0.05) as f32;
        }
        let scale = (before / plane.total().max(1e-30)) as f32;
        plane.data.iter_mut().for_each(|v| *v *= scale);
    }
}

fn lane(d: &Sersic, depth: f64, thick: f64, plane: &mut Plane) {
    let (sin, cos) = d.angle.sin_cos();
    let width = plane.width;
    for (i, v) in plane.data.iter_mut().enumerate() {
        let (dx, dy) = ((i % width) as f64 - d.x, (i / width) as f64 - d.y);
        let (u, w) = (dx * cos + dy * sin, dy * cos - dx * sin);
        let along = (-0.5 * (u / (1.5 * d.re)).powi(2)).exp();
        *v *= (1.0 - depth * along * (-0.5 * (w / thick).powi(2)).exp()) as f32;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arms_keep_the_flux_and_turn_with_the_galaxy() {
        let disc = Sersic {
            flux: 100.0,
            re: 8.0,
            n: 1.0,
            q: 1.0,
            angle: 0.0,
            x: 40.0,
            y: 40.0,
        };
        let arms = Arms {
            count: 2,
            strength: 0.8,
            winding: 4.0,
            phase: 0.4,
            patchy: 0.0,
        };
        let g = Galaxy {
            disc: Some(disc),
            arms: Some(arms),
            ..Galaxy::default()
        };
        let plain = Galaxy {
            disc: Some(disc),
            ..Galaxy::default()
        }
        .planes(81);
        let [old, young] = g.planes(81);
        assert_eq!(old.total(), 0.0);
        assert!((young.total() - plain[1].total()).abs() < 1e-3);
        // Two arms: half a turn changes nothing, a quarter does.
        let turned = |k: usize| -> f32 {
            let at = |i: usize| (0..k).fold((i / 81, i % 81), |(y, x), _| (80 - x, y));
            (0..81 * 81)
                .map(|i| (young.data[i] - young.at(at(i).0, at(i).1)).abs())
                .sum()
        };
        assert!(turned(2) < 0.01 * turned(1), "{} {}", turned(2), turned(1));
    }
}
