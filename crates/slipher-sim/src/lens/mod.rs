//! Strong gravitational lenses: deflection, magnification, critical curves and caustics of singular
//! isothermal ellipsoids with external shear, and images of what lies behind them.
//!
//! * [`sie`]: the deflector.
//! * [`curves`]: critical curves and caustics.
//! * [`image`]: sources through a lens, integrated over pixels; [`rays`]: the same for training sets.
//! * [`population`]: deflectors and sources as the sky has them.
//!
//! Angles are arcseconds on the sky, x to the right and y up, directions counter-clockwise from +x.
//! The Einstein radius is that of the intermediate axis: the tangential critical curve of an
//! ellipsoid without shear encloses π θ_E² for every axis ratio (lenstronomy's convention, and Bolton
//! et al. 2008's b_SIE). An ellipticity is e = (1 − q)/(1 + q) (cos 2φ, sin 2φ). Golden values are
//! lenstronomy's.

pub mod curves;
pub mod image;
pub mod population;
pub mod rays;
pub mod sie;

use sie::Sie;

/// External shear γ₁, γ₂ around the origin: α(1, 0) = (γ₁, γ₂), α(0, 1) = (γ₂, −γ₁).
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Shear {
    /// Along the axes.
    pub g1: f64,
    /// Along the diagonals.
    pub g2: f64,
}

/// Deflectors in one plane, with external shear.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Lens {
    /// The main one first; satellites and members of a group after it.
    pub deflectors: Vec<Sie>,
    /// Of what lies around.
    pub shear: Shear,
    /// Ripples of the potential: a Gaussian random field.
    pub waves: Vec<Wave>,
}

/// A plane wave of the potential: ψ = A cos(k · θ + φ).
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Wave {
    /// A, square arcseconds.
    pub amplitude: f64,
    /// k, radians for each arcsecond.
    pub wave: [f64; 2],
    /// φ.
    pub phase: f64,
}

impl Wave {
    fn angle(&self, [x, y]: [f64; 2]) -> f64 {
        self.wave[0] * x + self.wave[1] * y + self.phase
    }

    /// ψ_xx, ψ_yy and ψ_xy.
    fn second(&self, at: [f64; 2]) -> [f64; 3] {
        let (c, [kx, ky]) = (-self.amplitude * self.angle(at).cos(), self.wave);
        [c * kx * kx, c * ky * ky, c * kx * ky]
    }
}

impl Lens {
    /// Its deflectors with their constants worked out, for [`Lens::to_source_of`].
    pub fn prepared(&self) -> Vec<sie::Prepared> {
        self.deflectors.iter().map(Sie::prepared).collect()
    }

    /// Deflection α at a position of the image.
    pub fn deflection(&self, at: [f64; 2]) -> [f64; 2] {
        self.deflection_of(&self.prepared(), at)
    }

    fn deflection_of(&self, deflectors: &[sie::Prepared], [x, y]: [f64; 2]) -> [f64; 2] {
        let Shear { g1, g2 } = self.shear;
        let own = deflectors.iter().map(|d| d.deflection([x, y]));
        let smooth = own.fold([g1 * x + g2 * y, g2 * x - g1 * y], |a, d| {
            [a[0] + d[0], a[1] + d[1]]
        });
        self.waves.iter().fold(smooth, |a, w| {
            let slope = -w.amplitude * w.angle([x, y]).sin();
            [a[0] + slope * w.wave[0], a[1] + slope * w.wave[1]]
        })
    }

    /// The place in the source plane that is seen at a position of the image: β = θ − α.
    pub fn to_source(&self, at: [f64; 2]) -> [f64; 2] {
        let a = self.deflection(at);
        [at[0] - a[0], at[1] - a[1]]
    }

    /// The same for many positions, with [`Lens::prepared`].
    pub fn to_source_of(&self, deflectors: &[sie::Prepared], at: [f64; 2]) -> [f64; 2] {
        let a = self.deflection_of(deflectors, at);
        [at[0] - a[0], at[1] - a[1]]
    }

    /// Potential ψ of the deflection α = ∇ψ.
    pub fn potential(&self, [x, y]: [f64; 2]) -> f64 {
        let Shear { g1, g2 } = self.shear;
        let own: f64 = self.deflectors.iter().map(|d| d.potential([x, y])).sum();
        let waves = self.waves.iter();
        let ripple: f64 = waves.map(|w| w.amplitude * w.angle([x, y]).cos()).sum();
        own + 0.5 * g1 * (x * x - y * y) + g2 * x * y + ripple
    }

    /// Convergence κ: surface density over the critical one.
    pub fn convergence(&self, at: [f64; 2]) -> f64 {
        let own: f64 = self.deflectors.iter().map(|d| d.convergence(at)).sum();
        let waves = self.waves.iter().map(|w| w.second(at));
        own + waves.map(|[xx, yy, _]| 0.5 * (xx + yy)).sum::<f64>()
    }

    /// Convergence and shear of deflectors and surroundings.
    fn distortion(&self, at: [f64; 2]) -> [f64; 3] {
        let own = self.deflectors.iter().map(|d| d.distortion(at));
        let waves = self.waves.iter().map(|w| {
            let [xx, yy, xy] = w.second(at);
            [0.5 * (xx + yy), 0.5 * (xx - yy), xy]
        });
        own.chain(waves)
            .fold([0.0, self.shear.g1, self.shear.g2], |a, d| {
                [a[0] + d[0], a[1] + d[1], a[2] + d[2]]
            })
    }

    /// Determinant of ∂β/∂θ; its inverse is the signed magnification μ.
    pub fn determinant(&self, at: [f64; 2]) -> f64 {
        let [kappa, g1, g2] = self.distortion(at);
        (1.0 - kappa).powi(2) - g1 * g1 - g2 * g2
    }

    /// Signed magnification μ.
    pub fn magnification(&self, at: [f64; 2]) -> f64 {
        1.0 / self.determinant(at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const E: [f64; 2] = [0.125, 0.216_506_350_946_109_66];

    fn golden(shear: Shear) -> Lens {
        let sie = Sie {
            einstein: 1.2,
            ellipticity: E,
            centre: [0.0; 2],
        };
        Lens {
            deflectors: vec![sie],
            shear,
            ..Lens::default()
        }
    }

    fn close(a: f64, b: f64) {
        assert!((a - b).abs() < 2e-8 * (1.0 + b.abs()), "{a} {b}");
    }

    /// lenstronomy's SIE: q = 0.6 at 30°, θ_E = 1.2.
    #[test]
    fn deflections_are_lenstronomys() {
        let lens = golden(Shear::default());
        for (at, alpha) in [
            ([0.7, 0.2], [1.078_883_4, 0.195_730_29]),
            ([-0.3, 1.1], [-0.416_444_24, 1.197_787_01]),
            ([1.5, -0.9], [0.978_641_25, -0.768_385_81]),
        ] {
            let a = lens.deflection(at);
            assert!(
                (a[0] - alpha[0]).abs() < 1e-7 && (a[1] - alpha[1]).abs() < 1e-8,
                "{a:?}"
            );
        }
    }

    #[test]
    fn with_shear_too() {
        let lens = golden(Shear {
            g1: 0.03,
            g2: -0.02,
        });
        for (at, alpha, kappa, mu, psi) in [
            (
                [1.0, 0.5],
                [0.997_027_28, 0.422_020_97],
                0.690_619_99,
                -2.633_119,
                1.206_787_77,
            ),
            (
                [-0.4, 1.3],
                [-0.483_771_39, 1.158_278_81],
                0.347_278_46,
                3.393_05,
                1.711_821_01,
            ),
            (
                [0.3, -1.1],
                [0.447_444_24, -1.170_787_01],
                0.416_340_16,
                6.538_045,
                1.432_298_99,
            ),
        ] {
            let a = lens.deflection(at);
            close(a[0], alpha[0]);
            close(a[1], alpha[1]);
            assert!((lens.convergence(at) / kappa - 1.0).abs() < 1e-5);
            close(lens.potential(at), psi);
            assert!((lens.magnification(at) / mu - 1.0).abs() < 1e-4);
        }
    }

    proptest! {
        /// α is the gradient of ψ, and κ, γ and the determinant are the derivatives of α.
        #[test]
        fn derivatives_agree(
            x in -3.0f64..3.0, y in -3.0f64..3.0, q in 0.3f64..1.0, phi in 0.0f64..3.2,
            g1 in -0.1f64..0.1, g2 in -0.1f64..0.1,
        ) {
            prop_assume!((x - 0.1).hypot(y + 0.2) > 0.3);
            let mut lens = golden(Shear { g1, g2 });
            lens.waves.push(Wave {
                amplitude: 0.02,
                wave: [2.0 * q, -1.5],
                phase: phi,
            });
            lens.deflectors.push(Sie {
                einstein: 0.4,
                ellipticity: sie::ellipticity(q, phi),
                centre: [0.1, -0.2],
            });
            prop_assume!(x.hypot(y) > 0.3);
            let h = 1e-5;
            let along = |f: &dyn Fn(f64, f64) -> f64| {
                [
                    (f(x + h, y) - f(x - h, y)) / (2.0 * h),
                    (f(x, y + h) - f(x, y - h)) / (2.0 * h),
                ]
            };
            let a = lens.deflection([x, y]);
            let gradient = along(&|x, y| lens.potential([x, y]));
            let ax = along(&|x, y| lens.deflection([x, y])[0]);
            let ay = along(&|x, y| lens.deflection([x, y])[1]);
            prop_assert!((a[0] - gradient[0]).abs() < 1e-6 && (a[1] - gradient[1]).abs() < 1e-6);
            prop_assert!((ax[1] - ay[0]).abs() < 1e-6);
            prop_assert!((0.5 * (ax[0] + ay[1]) - lens.convergence([x, y])).abs() < 1e-6);
            let det = (1.0 - ax[0]) * (1.0 - ay[1]) - ax[1] * ay[0];
            prop_assert!((det - lens.determinant([x, y])).abs() < 1e-5);
        }
    }
}
