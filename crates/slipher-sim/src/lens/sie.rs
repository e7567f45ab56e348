//! Singular isothermal ellipsoid (Kormann, Schneider & Bartelmann 1994, A&A 284, 285).

/// κ = θ_E / (2 √(q x'² + y'²/q)), x' along the long axis.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Sie {
    /// θ_E of the intermediate axis, arcseconds.
    pub einstein: f64,
    /// e₁, e₂; see [`ellipticity`].
    pub ellipticity: [f64; 2],
    /// Arcseconds.
    pub centre: [f64; 2],
}

/// e = (1 − q)/(1 + q) (cos 2φ, sin 2φ) of an axis ratio and a direction in radians.
pub fn ellipticity(q: f64, phi: f64) -> [f64; 2] {
    let size = (1.0 - q) / (1.0 + q);
    let (sin, cos) = (2.0 * phi).sin_cos();
    [size * cos, size * sin]
}

/// Axis ratio and direction, −π/2 to π/2, of an ellipticity.
pub fn axes([e1, e2]: [f64; 2]) -> [f64; 2] {
    let size = e1.hypot(e2).min(0.9999);
    [(1.0 - size) / (1.0 + size), 0.5 * e2.atan2(e1)]
}

/// Below this √(1 − q²) the ellipsoid is a sphere to double precision.
const ROUND: f64 = 1e-7;

/// An ellipsoid with its constants worked out, for many positions.
#[derive(Clone, Copy, Debug)]
pub struct Prepared {
    centre: [f64; 2],
    sin: f64,
    cos: f64,
    q: f64,
    /// √(1 − q²).
    f: f64,
    einstein: f64,
    /// θ_E √q / f.
    size: f64,
}

impl Prepared {
    /// Position in the ellipsoid's own axes.
    fn own(&self, at: [f64; 2]) -> [f64; 2] {
        let (x, y) = (at[0] - self.centre[0], at[1] - self.centre[1]);
        [x * self.cos + y * self.sin, y * self.cos - x * self.sin]
    }

    /// Deflection α; 0 at the centre, where it has no direction.
    pub fn deflection(&self, at: [f64; 2]) -> [f64; 2] {
        let [x, y] = self.own(at);
        let radius = x.hypot(y);
        if radius == 0.0 {
            return [0.0; 2];
        }
        let [u, v] = if self.f < ROUND {
            [self.einstein * x / radius, self.einstein * y / radius]
        } else {
            let psi = (self.q * self.q * x * x + y * y).sqrt();
            [
                self.size * (self.f * x / psi).atan(),
                self.size * (self.f * y / psi).atanh(),
            ]
        };
        [u * self.cos - v * self.sin, u * self.sin + v * self.cos]
    }
}

impl Sie {
    /// With its constants worked out.
    pub fn prepared(&self) -> Prepared {
        let [q, phi] = axes(self.ellipticity);
        let (sin, cos) = phi.sin_cos();
        let f = (1.0 - q * q).max(0.0).sqrt();
        Prepared {
            centre: self.centre,
            sin,
            cos,
            q,
            f,
            einstein: self.einstein,
            size: self.einstein * q.sqrt() / f.max(ROUND),
        }
    }

    /// Deflection α; 0 at the centre, where it has no direction.
    pub fn deflection(&self, at: [f64; 2]) -> [f64; 2] {
        self.prepared().deflection(at)
    }

    /// ψ = (θ − centre) · α: the potential is homogeneous of degree one.
    pub fn potential(&self, at: [f64; 2]) -> f64 {
        let a = self.deflection(at);
        (at[0] - self.centre[0]) * a[0] + (at[1] - self.centre[1]) * a[1]
    }

    /// κ; infinite at the centre.
    pub fn convergence(&self, at: [f64; 2]) -> f64 {
        let own = self.prepared();
        let ([x, y], q) = (own.own(at), own.q);
        0.5 * self.einstein / (q * x * x + y * y / q).sqrt()
    }

    /// κ, γ₁ and γ₂: isothermal ellipsoids shear by as much as they converge, along the radius.
    pub(super) fn distortion(&self, at: [f64; 2]) -> [f64; 3] {
        let kappa = self.convergence(at);
        let (x, y) = (at[0] - self.centre[0], at[1] - self.centre[1]);
        let r2 = (x * x + y * y).max(1e-300);
        [
            kappa,
            -kappa * (x * x - y * y) / r2,
            -kappa * 2.0 * x * y / r2,
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ellipticities_turn_back() {
        for (q, phi) in [(0.3, 0.4), (0.8, -1.2), (0.99, 1.5)] {
            let [a, b] = axes(ellipticity(q, phi));
            assert!((a - q).abs() < 1e-12 && (b - phi).abs() < 1e-12);
        }
    }

    /// The limit of a sphere is reached smoothly.
    #[test]
    fn nearly_round() {
        let at = [0.7, -0.4];
        let of = |e: f64| {
            let sie = Sie {
                einstein: 1.0,
                ellipticity: [e, 0.0],
                centre: [0.0; 2],
            };
            sie.deflection(at)
        };
        for e in [1e-16, 1e-14, 1e-9] {
            let (a, b) = (of(e), of(0.0));
            assert!(
                (a[0] - b[0]).abs() < 1e-7 && (a[1] - b[1]).abs() < 1e-7,
                "{e}"
            );
        }
    }
}
