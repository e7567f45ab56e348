//! Strength, shape and symmetry of what lies in the middle of a plane, for classical methods.

/// Numbers of one plane; sizes in pixels.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Moments {
    /// Largest value of the middle half.
    pub peak: f32,
    /// Value in the middle.
    pub centre: f32,
    /// Sums over squares of 3, 7 and 13 pixels.
    pub sums: [f32; 3],
    /// Least value of the middle half.
    pub least: f32,
    /// Root of the mean of both second moments, weighted by a Gaussian of σ = 4 pixels.
    pub width: f32,
    /// (a − b) / (a + b) of the axes.
    pub ellipticity: f32,
    /// Centroid from the middle.
    pub offset: f32,
    /// Middle over the mean of its eight neighbours.
    pub sharpness: f32,
    /// Σ |v − v turned by 180°| / Σ |v| of the middle.
    pub asymmetry: f32,
    /// Standard deviation of the outer border.
    pub scatter: f32,
}

impl Moments {
    /// Of a square plane of at least 13 pixels.
    pub fn of(x: &[f32], side: usize) -> Moments {
        let mid = side / 2;
        let square = |r: usize| {
            (0..side * side)
                .filter(move |i| (i / side).abs_diff(mid) <= r && (i % side).abs_diff(mid) <= r)
        };
        let sum = |r: usize| square(r).map(|i| x[i]).sum::<f32>();
        let inner: Vec<f32> = square(side / 4).map(|i| x[i]).collect();
        let (mut w, mut mx, mut my) = (1e-9f32, 0.0, 0.0);
        let weight = |i: usize| {
            let (dx, dy) = (
                (i % side) as f32 - mid as f32,
                (i / side) as f32 - mid as f32,
            );
            (x[i].max(0.0) * (-(dx * dx + dy * dy) / 32.0).exp(), dx, dy)
        };
        for i in 0..side * side {
            let (v, dx, dy) = weight(i);
            w += v;
            mx += v * dx;
            my += v * dy;
        }
        (mx, my) = (mx / w, my / w);
        let (mut xx, mut yy, mut xy) = (0.0, 0.0, 0.0);
        for i in 0..side * side {
            let (v, dx, dy) = weight(i);
            let (dx, dy) = (dx - mx, dy - my);
            xx += v * dx * dx / w;
            yy += v * dy * dy / w;
            xy += v * dx * dy / w;
        }
        let root = (0.25 * (xx - yy).powi(2) + xy * xy).sqrt();
        let (a, b) = (
            (0.5 * (xx + yy) + root).max(0.0).sqrt(),
            (0.5 * (xx + yy) - root).max(0.0).sqrt(),
        );
        let centre = x[mid * side + mid];
        let around = (sum(1) - centre) / 8.0;
        let last = side * side - 1;
        let turned: f32 = square(side / 4)
            .map(|i| (x[i] - x[(2 * mid * side + 2 * mid).saturating_sub(i).min(last)]).abs())
            .sum();
        let light: f32 = inner.iter().map(|v| v.abs()).sum::<f32>().max(1e-9);
        let border: Vec<f32> = (0..side * side)
            .filter(|i| (i / side).abs_diff(mid).max((i % side).abs_diff(mid)) > 2 * side / 5)
            .map(|i| x[i])
            .collect();
        let mean = border.iter().sum::<f32>() / border.len().max(1) as f32;
        let scatter = (border.iter().map(|v| (v - mean).powi(2)).sum::<f32>()
            / border.len().max(1) as f32)
            .sqrt();
        Moments {
            peak: inner.iter().copied().fold(f32::NEG_INFINITY, f32::max),
            centre,
            sums: [sum(1), sum(3), sum(6)],
            least: inner.iter().copied().fold(f32::INFINITY, f32::min),
            width: (0.5 * (a * a + b * b)).sqrt(),
            ellipticity: (a - b) / (a + b).max(1e-9),
            offset: mx.hypot(my),
            sharpness: centre / around.abs().max(0.05 * centre.abs() + 1e-6),
            asymmetry: turned / light,
            scatter,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gaussian_has_its_own_moments() {
        let plane = |sx: f32, sy: f32, at: f32| -> Vec<f32> {
            (0..625)
                .map(|i| {
                    (-0.5 * (((i % 25) as f32 - 12.0 - at) / sx).powi(2)
                        - 0.5 * (((i / 25) as f32 - 12.0) / sy).powi(2))
                    .exp()
                })
                .collect()
        };
        let m = Moments::of(&plane(1.5, 1.5, 0.0), 25);
        // Under a weight of σ = 4: 1 / (1/1.5² + 1/4²).
        assert!(
            (m.width - (1.0f32 / (1.0 / 2.25 + 1.0 / 16.0)).sqrt()).abs() < 0.02
                && m.ellipticity < 0.01
                && m.asymmetry < 1e-5
                && m.offset < 1e-4
        );
        let e = Moments::of(&plane(2.0, 1.0, 1.0), 25);
        assert!(
            e.ellipticity > 0.25 && e.offset > 0.6 && e.asymmetry > 0.2 && e.width > m.width * 0.9
        );
        assert!(m.scatter < 1e-4 && m.peak == 1.0 && m.sharpness > 1.2);
    }
}
