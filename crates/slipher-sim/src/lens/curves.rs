//! Critical curves, where magnification is infinite, and caustics, where sources are that are seen
//! there.

use super::Lens;

/// Steps of the search along a ray, and of the bisection.
const STEPS: usize = 400;
const BISECTIONS: usize = 60;

/// Points of the tangential critical curve around the first deflector, by direction: the outermost
/// place, up to four Einstein radii, where the determinant changes its sign. Directions without
/// such a place are left out.
pub fn tangential(lens: &Lens, directions: usize) -> Vec<[f64; 2]> {
    let Some(main) = lens.deflectors.first() else {
        return vec![];
    };
    let far = 4.0 * main.einstein;
    let ray = |k: usize| {
        let (sin, cos) = (std::f64::consts::TAU * k as f64 / directions as f64).sin_cos();
        let at = |r: f64| [main.centre[0] + r * cos, main.centre[1] + r * sin];
        let inside = |r: f64| lens.determinant(at(r)) < 0.0;
        let radius = |i: usize| far * i as f64 / STEPS as f64;
        let i = (1..STEPS).rev().find(|i| inside(radius(*i)))?;
        let (mut low, mut high) = (radius(i), radius(i + 1));
        for _ in 0..BISECTIONS {
            let middle = 0.5 * (low + high);
            if inside(middle) {
                low = middle;
            } else {
                high = middle;
            }
        }
        Some(at(0.5 * (low + high)))
    };
    (0..directions).filter_map(ray).collect()
}

/// Where a curve of the image plane comes from.
pub fn caustic(lens: &Lens, curve: &[[f64; 2]]) -> Vec<[f64; 2]> {
    curve.iter().map(|p| lens.to_source(*p)).collect()
}

/// Area within a closed curve.
pub fn area(curve: &[[f64; 2]]) -> f64 {
    let next = curve.iter().cycle().skip(1);
    let twice: f64 = curve
        .iter()
        .zip(next)
        .map(|(a, b)| a[0] * b[1] - b[0] * a[1])
        .sum();
    0.5 * twice.abs()
}

#[cfg(test)]
mod tests {
    use super::super::sie::{Sie, ellipticity};
    use super::super::{Lens, Shear};
    use super::*;

    fn lens(q: f64, shear: Shear) -> Lens {
        Lens {
            deflectors: vec![Sie {
                einstein: 1.3,
                ellipticity: ellipticity(q, 0.7),
                centre: [0.2, -0.1],
            }],
            shear,
            ..Lens::default()
        }
    }

    /// The convention of the Einstein radius: the same area for every axis ratio.
    #[test]
    fn critical_curves_enclose_the_einstein_radius() {
        for q in [1.0, 0.8, 0.5, 0.3] {
            let l = lens(q, Shear::default());
            let curve = tangential(&l, 4000);
            let want = std::f64::consts::PI * 1.3 * 1.3;
            assert!((area(&curve) / want - 1.0).abs() < 1e-5, "{q}");
            for p in &curve {
                assert!((l.convergence(*p) - 0.5).abs() < 1e-9, "κ is 1/2 on it");
            }
        }
    }

    /// Of a sphere the caustic is a point; with shear it is the astroid with cusps at 2 γ θ_E/(1 ± γ)
    /// (Chang & Refsdal).
    #[test]
    fn caustics() {
        let l = lens(1.0, Shear::default());
        for p in caustic(&l, &tangential(&l, 100)) {
            assert!((p[0] - 0.2).hypot(p[1] + 0.1) < 1e-9);
        }
        let mut l = lens(1.0, Shear { g1: 0.1, g2: 0.0 });
        l.deflectors[0].centre = [0.0; 2];
        let found = caustic(&l, &tangential(&l, 4000));
        let reach = |axis: usize| found.iter().map(|p| p[axis].abs()).fold(0.0, f64::max);
        assert!(
            (reach(0) - 2.0 * 0.1 * 1.3 / 1.1).abs() < 1e-3,
            "{}",
            reach(0)
        );
        assert!(
            (reach(1) - 2.0 * 0.1 * 1.3 / 0.9).abs() < 1e-3,
            "{}",
            reach(1)
        );
    }
}
