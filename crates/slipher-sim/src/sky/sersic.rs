//! Sérsic's profile (Sérsic 1963; Graham & Driver 2005), integrated over pixels.
//!
//! I(r) = I_e exp(−b [(r/R_e)^{1/n} − 1]), half of the light within R_e; total flux
//! F = 2π n R_e² q I_e e^b b^{−2n} Γ(2n).

use super::Plane;

/// A Sérsic profile.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sersic {
    /// Total, to infinity.
    pub flux: f64,
    /// Half-light radius along the major axis, pixels.
    pub re: f64,
    /// Sérsic index.
    pub n: f64,
    /// Axis ratio.
    pub q: f64,
    /// Direction of the long axis, counter-clockwise from +x in radians.
    pub angle: f64,
    /// Centre in pixels: column.
    pub x: f64,
    /// Centre in pixels: row.
    pub y: f64,
}

/// ln Γ(x) for x > 0 (Lanczos, g = 7; relative error below 10⁻¹³).
pub fn ln_gamma(x: f64) -> f64 {
    const C: [f64; 9] = [
        0.999_999_999_999_809_9,
        676.520_368_121_885_1,
        -1_259.139_216_722_402_8,
        771.323_428_777_653_1,
        -176.615_029_162_140_6,
        12.507_343_278_686_905,
        -0.138_571_095_265_720_12,
        9.984_369_578_019_572e-6,
        1.505_632_735_149_311_6e-7,
    ];
    let x = x - 1.0;
    let t = x + 7.5;
    let sum = C[0]
        + C[1..]
            .iter()
            .enumerate()
            .map(|(i, c)| c / (x + 1.0 + i as f64))
            .sum::<f64>();
    0.5 * (2.0 * std::f64::consts::PI).ln() + (x + 0.5) * t.ln() - t + sum.ln()
}

/// b of Sérsic's profile: Γ(2n) = 2 γ(2n, b). Expansion of Ciotti & Bertin (1999, equation 18)
/// above n = 0.36, the fit of MacArthur et al. (2003) below.
pub fn b(n: f64) -> f64 {
    if n > 0.36 {
        2.0 * n - 1.0 / 3.0
            + 4.0 / (405.0 * n)
            + 46.0 / (25_515.0 * n.powi(2))
            + 131.0 / (1_148_175.0 * n.powi(3))
            - 2_194_697.0 / (30_690_717_750.0 * n.powi(4))
    } else {
        0.01945 - 0.8902 * n + 10.95 * n.powi(2) - 19.67 * n.powi(3) + 13.43 * n.powi(4)
    }
}

/// The profile with its constants worked out.
struct Light {
    s: Sersic,
    sin: f64,
    cos: f64,
    b: f64,
    inner: f64,
}

impl Light {
    /// Radius in the plane of the ellipse (major axis) at an offset.
    fn radius(&self, dx: f64, dy: f64) -> f64 {
        let (u, v) = (
            dx * self.cos + dy * self.sin,
            (dy * self.cos - dx * self.sin) / self.s.q,
        );
        (u * u + v * v).sqrt()
    }
    fn density(&self, dx: f64, dy: f64) -> f64 {
        self.inner * (-self.b * (self.radius(dx, dy) / self.s.re).powf(1.0 / self.s.n)).exp()
    }
    /// Integral over the square of side `h` around an offset: squares that are large beside their
    /// distance are divided.
    fn square(&self, dx: f64, dy: f64, h: f64, depth: u32) -> f64 {
        // The minor axis is where the profile is steepest.
        let scale = self.radius(dx, dy).min(2.0 * self.s.re) * self.s.q;
        if h < 0.12 * scale {
            return h * h * self.density(dx, dy);
        }
        if h < 0.7 * scale || depth == 0 {
            // Gauss and Legendre's rule of two points a side.
            let o = h * 0.288_675_134_594_812_9;
            let sum = self.density(dx - o, dy - o)
                + self.density(dx + o, dy - o)
                + self.density(dx - o, dy + o)
                + self.density(dx + o, dy + o);
            return 0.25 * h * h * sum;
        }
        let o = 0.25 * h;
        [(-o, -o), (o, -o), (-o, o), (o, o)]
            .iter()
            .map(|(x, y)| self.square(dx + x, dy + y, 0.5 * h, depth - 1))
            .sum()
    }
}

impl Sersic {
    /// The same on pixels `k` times as fine.
    pub fn finer(&self, k: f64) -> Sersic {
        Sersic {
            re: k * self.re,
            x: k * (self.x + 0.5) - 0.5,
            y: k * (self.y + 0.5) - 0.5,
            ..*self
        }
    }

    /// Flux per pixel at the centre, and b.
    fn constants(&self) -> (f64, f64) {
        let b = b(self.n);
        let norm = 2.0
            * std::f64::consts::PI
            * self.n
            * self.re.powi(2)
            * self.q
            * (ln_gamma(2.0 * self.n) - 2.0 * self.n * b.ln()).exp();
        (self.flux / norm, b)
    }

    /// Half-light radii beyond which a pixel has less than `faint` of flux; 0 if none has more.
    pub fn extent(&self, faint: f64) -> f64 {
        let (inner, b) = self.constants();
        ((inner / faint).ln().max(0.0) / b).powf(self.n)
    }

    /// Adds the profile to a plane, each pixel the integral over its square.
    pub fn add(&self, plane: &mut Plane) {
        self.add_within(plane, f64::INFINITY);
    }

    /// The same of the pixels within `reach` half-light radii (and ten pixels) along either axis.
    pub fn add_within(&self, plane: &mut Plane, reach: f64) {
        let far = reach * self.re + 10.0;
        let (sin, cos) = self.angle.sin_cos();
        let (inner, b) = self.constants();
        let light = Light {
            s: *self,
            sin,
            cos,
            b,
            inner,
        };
        let width = plane.width;
        for (r, row) in plane.data.chunks_exact_mut(width).enumerate() {
            if (r as f64 - self.y).abs() > far {
                continue;
            }
            for (c, v) in row.iter_mut().enumerate() {
                if (c as f64 - self.x).abs() > far {
                    continue;
                }
                *v += light.square(c as f64 - self.x, r as f64 - self.y, 1.0, 9) as f32;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn constants() {
        // scipy.special.gammaln(0.7), (8.0); scipy.special.gammaincinv(2n, 0.5) for n = 0.5, 1, 4.
        assert!(
            (ln_gamma(0.7) - 0.260_867_246_531_666_56).abs() < 1e-12
                && (ln_gamma(8.0) - 8.525_161_361_065_415).abs() < 1e-11
        );
        for (n, want) in [
            (0.3, 0.315_702),
            (0.5, std::f64::consts::LN_2),
            (1.0, 1.678_347),
            (4.0, 7.669_249),
        ] {
            assert!(
                (b(n) - want).abs() < if n < 0.4 { 0.02 } else { 5e-4 },
                "{n} {}",
                b(n)
            );
        }
    }

    /// Golden values of GalSim 2.8, written by scripts/golden_sky.py: pixels of Sérsic profiles,
    /// bare and through a Moffat of full width 3.3 and β 3.5, at their middle and 4 columns to the
    /// right.
    #[test]
    fn agrees_with_galsim() {
        use crate::sky::convolve::convolve;
        use crate::sky::psf::Psf;
        for (n, re, q, angle, want) in GALSIM {
            let mut p = Plane::square(81);
            let s = Sersic {
                flux: 1000.0,
                re,
                n,
                q,
                angle,
                x: 40.2,
                y: 39.7,
            };
            s.add(&mut p);
            let mut fine = Plane::square(162);
            s.finer(2.0).add(&mut fine);
            let seen = convolve(&fine, &Psf::moffat(6.6, 3.5)).binned(2);
            for (got, want) in [p.at(40, 40), p.at(40, 44), seen.at(40, 40), seen.at(40, 44)]
                .iter()
                .zip(want)
            {
                assert!(
                    (got - want).abs() < 0.012 * want.max(1.0),
                    "n {n}, re {re}: {got}, GalSim {want}"
                );
            }
        }
    }
    const GALSIM: [(f64, f64, f64, f64, [f32; 4]); 4] = [
        (1.0, 4.0, 0.6, 0.5, [34.8618, 7.5762, 16.1544, 7.2738]),
        (4.0, 3.0, 0.8, 1.2, [131.2645, 2.6160, 22.4311, 4.5774]),
        (0.6, 1.0, 1.0, 0.0, [188.1164, 0.1065, 43.6675, 5.5858]),
        (2.5, 0.5, 0.5, 2.0, [560.4433, 0.0622, 51.7066, 4.5048]),
    ];

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]
        /// Half of the flux within the half-light ellipse; for profiles that end, all of it on a
        /// large plane.
        #[test]
        fn flux_and_half_light(n in 0.5f64..5.0, re in 0.15f64..6.0, q in 0.3f64..1.0, angle in 0.0f64..3.1, x in -0.5f64..0.5, y in -0.5f64..0.5) {
            let mut p = Plane::square(161);
            let s = Sersic { flux: 1000.0, re, n, q, angle, x: 80.0 + x, y: 80.0 + y };
            s.add(&mut p);
            if n < 1.5 {
                prop_assert!((p.total() - 1000.0).abs() < 3.0, "total {}", p.total());
            } else {
                prop_assert!(p.total() < 1002.0 && p.total() > 850.0, "total {}", p.total());
            }
            if re > 3.0 {
                let (sin, cos) = angle.sin_cos();
                let inside: f64 = p.data.iter().enumerate().filter(|(i, _)| {
                    let (dx, dy) = ((i % 161) as f64 - s.x, (i / 161) as f64 - s.y);
                    let (u, v) = (dx * cos + dy * sin, (dy * cos - dx * sin) / q);
                    (u * u + v * v).sqrt() < re
                }).map(|(_, v)| f64::from(*v)).sum();
                // Whole pixels on an ellipse of a few pixels.
                prop_assert!((inside - 500.0).abs() < 90.0, "half light {inside}");
            }
        }
    }
}
