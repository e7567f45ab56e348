//! Sérsic's profile integrated over pixels to 10⁻⁴ or better, with its derivatives, for fits.
//!
//! [`super::sersic`] is the quick one of simulations. Pixels are divided into quarters until they
//! are small beside their distance from the middle, where Gauss's rules then hold; the derivatives
//! are integrated on the same points. Parameters as GALFIT's: half-light radius along the long axis.

use super::Plane;
use super::gamma::{b, digamma, slope_of_b};
use super::sersic::{Sersic, ln_gamma};

/// Parameters of a profile: x, y, ln flux, ln re, ln n, ln q, angle.
pub const PARAMETERS: usize = 7;

/// The value, and its derivatives by the parameters.
pub type Jet = [f64; 1 + PARAMETERS];

/// Gauss's rules of two and three points.
const TWO: f64 = 0.288_675_134_594_812_9;
const THREE: (f64, [f64; 3]) = (
    0.387_298_334_620_741_7,
    [5.0 / 18.0, 8.0 / 18.0, 5.0 / 18.0],
);
/// Quarterings of a pixel, at most: of what is left nothing is seen.
const DEPTH: u32 = 14;

/// A profile with its constants worked out.
pub struct Exact {
    s: Sersic,
    sin: f64,
    cos: f64,
    b: f64,
    slope: f64,
    /// Of flux 1.
    central: f64,
    /// d ln(central)/dn.
    central_by_n: f64,
    /// The profile changes over this length along the short axis, far from the middle.
    length: f64,
    /// Squares smaller than this beside their distance are one point.
    single: f64,
}

impl Exact {
    /// Of a profile.
    pub fn of(s: &Sersic) -> Exact {
        let (sin, cos) = s.angle.sin_cos();
        let (b, slope, n) = (b(s.n), slope_of_b(s.n), s.n);
        let area = 2.0 * std::f64::consts::PI * n * s.re * s.re * s.q;
        Exact {
            s: *s,
            sin,
            cos,
            b,
            slope,
            central: (2.0 * n * b.ln() - ln_gamma(2.0 * n)).exp() / area,
            central_by_n: 2.0 * b.ln() + 2.0 * n * slope / b - 1.0 / n - 2.0 * digamma(2.0 * n),
            length: s.re * n / b,
            single: 0.0,
        }
    }

    /// Good to 10⁻³ of each pixel, in a third of the time: for images whose noise is larger.
    pub fn quick(mut self) -> Exact {
        self.single = 0.065;
        self
    }

    /// Radius in units of the long axis.
    fn radius(&self, dx: f64, dy: f64) -> f64 {
        let (u, v) = self.own(dx, dy);
        (u * u + v * v / (self.s.q * self.s.q)).sqrt()
    }

    fn own(&self, dx: f64, dy: f64) -> (f64, f64) {
        (dx * self.cos + dy * self.sin, dy * self.cos - dx * self.sin)
    }

    /// Surface brightness of flux 1 at an offset.
    fn value(&self, dx: f64, dy: f64) -> f64 {
        let t = (self.radius(dx, dy) / self.s.re).powf(1.0 / self.s.n);
        self.central * (-self.b * t).exp()
    }

    /// The same with the derivatives; all but the second are of flux 1.
    fn jet(&self, dx: f64, dy: f64) -> Jet {
        let (u, v) = self.own(dx, dy);
        let (q2, n) = (self.s.q * self.s.q, self.s.n);
        let r2 = (u * u + v * v / q2).max(1e-24);
        let log = 0.5 * r2.ln() - self.s.re.ln();
        let t = (log / n).exp();
        let value = self.central * (-self.b * t).exp();
        // −d ln I / d ln r.
        let steep = self.b * t / n;
        let by_x = -steep * (-u * self.cos + v * self.sin / q2) / r2;
        let by_y = -steep * (-u * self.sin - v * self.cos / q2) / r2;
        let by_n = self.central_by_n - self.slope * t + steep * log / n;
        let by_q = -1.0 + steep * (v * v / q2) / r2;
        let by_angle = -steep * u * v * (1.0 - 1.0 / q2) / r2;
        [
            value,
            value * by_x,
            value * by_y,
            value,
            value * (steep - 2.0),
            value * by_n * n,
            value * by_q,
            value * by_angle,
        ]
    }

    /// Integral of a square of side `h` around an offset.
    fn square<const K: usize>(
        &self,
        at: [f64; 2],
        h: f64,
        depth: u32,
        f: &impl Fn(f64, f64) -> [f64; K],
        sum: &mut [f64; K],
    ) {
        let thin = self.s.q.min(1.0);
        let near = self.radius(at[0], at[1]) * thin;
        let scale = near.min(3.0 * self.length * thin);
        let [x, y] = at;
        let mut add = |dx: f64, dy: f64, w: f64| {
            let v = f(x + dx, y + dy);
            sum.iter_mut().zip(v).for_each(|(s, v)| *s += w * v);
        };
        if h < self.single * scale {
            add(0.0, 0.0, h * h);
        } else if h < 0.3 * scale || depth == 0 {
            let (o, w) = (TWO * h, 0.25 * h * h);
            for (sx, sy) in [(-o, -o), (o, -o), (-o, o), (o, o)] {
                add(sx, sy, w);
            }
        } else if h < 0.7 * scale {
            let (o, w) = THREE;
            for (i, wx) in w.iter().enumerate() {
                for (j, wy) in w.iter().enumerate() {
                    let place = |k: usize| o * h * (k as f64 - 1.0);
                    add(place(i), place(j), wx * wy * h * h);
                }
            }
        } else {
            let o = 0.25 * h;
            for (sx, sy) in [(-o, -o), (o, -o), (-o, o), (o, o)] {
                self.square([x + sx, y + sy], 0.5 * h, depth - 1, f, sum);
            }
        }
    }

    /// Adds the profile to a plane.
    pub fn add(&self, plane: &mut Plane) {
        let width = plane.width;
        for (i, v) in plane.data.iter_mut().enumerate() {
            let mut sum = [0.0];
            let at = [(i % width) as f64 - self.s.x, (i / width) as f64 - self.s.y];
            self.square(at, 1.0, DEPTH, &|x, y| [self.value(x, y)], &mut sum);
            *v += (self.s.flux * sum[0]) as f32;
        }
    }

    /// The profile and its derivatives on `[row][column]` of a size: value, x, y, ln flux, ln re, ln n,
    /// ln q, angle.
    pub fn jets(&self, height: usize, width: usize) -> Vec<Jet> {
        (0..height * width)
            .map(|i| {
                let at = [(i % width) as f64 - self.s.x, (i / width) as f64 - self.s.y];
                let mut sum = [0.0; 1 + PARAMETERS];
                self.square(at, 1.0, DEPTH, &|x, y| self.jet(x, y), &mut sum);
                sum.map(|v| v * self.s.flux)
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn profile(n: f64) -> Sersic {
        Sersic {
            flux: 1.0,
            re: 3.0,
            n,
            q: 0.5,
            angle: std::f64::consts::FRAC_PI_6,
            x: 10.0,
            y: 10.0,
        }
    }

    /// The share of the light in the middle pixel, by adaptive integration elsewhere (u⁴
    /// substitution): re of 3 pixels, q = 0.5, 30°.
    #[test]
    fn the_middle_pixel() {
        for (n, want) in [
            (1.0, 0.072_466_41),
            (4.0, 0.184_054_05),
            (6.0, 0.225_015_67),
        ] {
            let mut p = Plane::square(21);
            Exact::of(&profile(n)).add(&mut p);
            let got = f64::from(p.at(10, 10));
            assert!((got / want - 1.0).abs() < 2e-5, "{n}: {got} {want}");
        }
    }

    /// The quick rule, pixel by pixel.
    #[test]
    fn quick_is_good_to_a_thousandth() {
        for (n, re, q) in [
            (0.5, 4.0, 0.3),
            (1.0, 8.0, 0.6),
            (4.0, 12.0, 0.8),
            (6.0, 3.0, 0.5),
        ] {
            let s = Sersic {
                re,
                q,
                x: 30.2,
                y: 29.6,
                ..profile(n)
            };
            let (own, quick) = (
                Exact::of(&s).jets(61, 61),
                Exact::of(&s).quick().jets(61, 61),
            );
            let peak = own.iter().map(|j| j[0]).fold(0.0, f64::max);
            for (a, b) in own.iter().zip(&quick) {
                assert!(
                    (a[0] - b[0]).abs() < 1e-3 * a[0] + 1e-9 * peak,
                    "{n}: {a:?} {b:?}"
                );
            }
        }
    }

    /// Derivatives against differences, pixel by pixel.
    #[test]
    fn derivatives_are_differences() {
        for n in [0.7, 1.0, 4.0] {
            let s = Sersic {
                x: 10.3,
                y: 9.6,
                flux: 5.0,
                q: 0.6,
                ..profile(n)
            };
            let moved = |k: usize, h: f64| {
                let mut m = s;
                match k {
                    1 => m.x += h,
                    2 => m.y += h,
                    3 => m.flux *= h.exp(),
                    4 => m.re *= h.exp(),
                    5 => m.n *= h.exp(),
                    6 => m.q *= h.exp(),
                    _ => m.angle += h,
                }
                Exact::of(&m).jets(21, 21)
            };
            let own = Exact::of(&s).jets(21, 21);
            for k in 1..=PARAMETERS {
                let h = 1e-4;
                let (up, down) = (moved(k, h), moved(k, -h));
                let largest = own.iter().map(|j| j[k].abs()).fold(0.0, f64::max);
                for i in 0..own.len() {
                    let want = (up[i][0] - down[i][0]) / (2.0 * h);
                    let off = (own[i][k] - want).abs();
                    assert!(off < 2e-3 * largest, "{n} {k} {i}: {} {want}", own[i][k]);
                }
            }
        }
    }
}
