//! Point-spread functions.

use super::Plane;

/// Shape of a point source, normalised to 1.
#[derive(Clone, Debug, PartialEq)]
pub enum Profile {
    /// A Gaussian.
    Gaussian,
    /// ∝ (1 + r²/α²)^−β (Moffat 1969).
    Moffat {
        /// Exponent of the wings.
        beta: f64,
    },
    /// Measured, its middle at the middle of the plane; the full width at half maximum plays no
    /// part.
    Image(Plane),
}

/// A profile with its size.
#[derive(Clone, Debug, PartialEq)]
pub struct Psf {
    /// Radial profile.
    pub profile: Profile,
    /// Full width at half maximum, geometric mean of both axes, pixels.
    pub fwhm: f64,
    /// Axis ratio and position angle.
    pub q: f64,
    /// Direction of the long axis: radians, counter-clockwise from +x.
    pub angle: f64,
}

impl Psf {
    /// Round, of this full width at half maximum in pixels.
    pub fn gaussian(fwhm: f64) -> Psf {
        Psf {
            profile: Profile::Gaussian,
            fwhm,
            q: 1.0,
            angle: 0.0,
        }
    }
    /// Round, of this full width at half maximum in pixels and exponent.
    pub fn moffat(fwhm: f64, beta: f64) -> Psf {
        Psf {
            profile: Profile::Moffat { beta },
            fwhm,
            q: 1.0,
            angle: 0.0,
        }
    }

    /// Density per square pixel at an offset from the source.
    pub fn value(&self, dx: f64, dy: f64) -> f64 {
        let (s, c) = self.angle.sin_cos();
        let (u, v) = (dx * c + dy * s, dy * c - dx * s);
        let r2 = u * u * self.q + v * v / self.q;
        match &self.profile {
            Profile::Gaussian => {
                let s2 = (self.fwhm / 2.354_820_045).powi(2);
                (-0.5 * r2 / s2).exp() / (2.0 * std::f64::consts::PI * s2)
            }
            Profile::Moffat { beta } => {
                let a2 = (0.5 * self.fwhm).powi(2) / (2f64.powf(1.0 / beta) - 1.0);
                (beta - 1.0) / (std::f64::consts::PI * a2) * (1.0 + r2 / a2).powf(-beta)
            }
            Profile::Image(p) => {
                let (cx, cy) = p.centre();
                let (x, y) = (cx + dx, cy + dy);
                let pixel = |y: f64, x: f64| {
                    if y < 0.0 || x < 0.0 {
                        0.0
                    } else {
                        p.data
                            .get(y as usize * p.width + x as usize)
                            .map_or(0.0, |v| f64::from(*v))
                    }
                };
                if x > p.width as f64 - 1.0 || y > p.height as f64 - 1.0 {
                    return 0.0;
                }
                let (x0, y0) = (x.floor(), y.floor());
                let (fx, fy) = (x - x0, y - y0);
                (1.0 - fy) * ((1.0 - fx) * pixel(y0, x0) + fx * pixel(y0, x0 + 1.0))
                    + fy * ((1.0 - fx) * pixel(y0 + 1.0, x0) + fx * pixel(y0 + 1.0, x0 + 1.0))
            }
        }
    }

    /// Adds a point source, integrated over pixels.
    pub fn add(&self, plane: &mut Plane, x: f64, y: f64, flux: f64) {
        // A measured profile has the pixel in it.
        let points = if matches!(self.profile, Profile::Image(_)) {
            1
        } else {
            3
        };
        let offset = |k: usize| (k as f64 + 0.5) / points as f64 - 0.5;
        let width = plane.width;
        // Beyond this a Moffat wing holds less than 10⁻⁴ of the peak.
        let reach = (8.0 * self.fwhm).max(12.0);
        for (r, row) in plane.data.chunks_exact_mut(width).enumerate() {
            if (r as f64 - y).abs() > reach {
                continue;
            }
            for (c, v) in row.iter_mut().enumerate() {
                let (dx, dy) = (c as f64 - x, r as f64 - y);
                if dx.abs() > reach {
                    continue;
                }
                // The middle needs points of its own, the wings do not.
                if points == 1 || dx * dx + dy * dy > 9.0 * self.fwhm * self.fwhm {
                    *v += (flux * self.value(dx, dy)) as f32;
                } else {
                    let sum: f64 = (0..9)
                        .map(|k| self.value(dx + offset(k % 3), dy + offset(k / 3)))
                        .sum();
                    *v += (flux * sum / 9.0) as f32;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(20))]
        /// Flux is kept, its mean lies at the source, and half the peak at half the width.
        #[test]
        fn flux_position_and_width(fwhm in 2.0f64..6.0, q in 0.7f64..1.0, angle in 0.0f64..3.0, dx in -0.5f64..0.5, dy in -0.5f64..0.5, beta in 2.6f64..5.0) {
            for (profile, lost) in [(Profile::Gaussian, 1e-3), (Profile::Moffat { beta }, 0.04)] {
                let psf = Psf { profile, fwhm, q, angle };
                let mut p = Plane::square(81);
                psf.add(&mut p, 40.0 + dx, 40.0 + dy, 500.0);
                prop_assert!(p.total() > 500.0 * (1.0 - lost) && p.total() < 500.5, "{}", p.total());
                let mean = |f: &dyn Fn(usize) -> usize| p.data.iter().enumerate().map(|(i, v)| f64::from(*v) * f(i) as f64).sum::<f64>() / p.total();
                prop_assert!((mean(&|i| i % 81) - 40.0 - dx).abs() < 0.01 && (mean(&|i| i / 81) - 40.0 - dy).abs() < 0.01);
                let along = 0.5 * fwhm / q.sqrt();
                prop_assert!((psf.value(along * angle.cos(), along * angle.sin()) / psf.value(0.0, 0.0) - 0.5).abs() < 1e-6);
            }
        }
    }

    #[test]
    fn a_measured_profile_is_itself() {
        let mut p = Plane::square(15);
        Psf::moffat(3.0, 3.0).add(&mut p, 7.0, 7.0, 1.0);
        let mut out = Plane::square(31);
        Psf {
            profile: Profile::Image(p.clone()),
            fwhm: 3.0,
            q: 1.0,
            angle: 0.0,
        }
        .add(&mut out, 15.0, 15.0, 1.0);
        assert!(
            (out.at(15, 15) - p.at(7, 7)).abs() < 1e-6
                && (out.at(13, 16) - p.at(5, 8)).abs() < 1e-6
        );
    }
}
