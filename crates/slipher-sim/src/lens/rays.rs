//! Lensed images in the time that a training set has: rays are traced once, through the corners of
//! pixels, and shared by all sources; between the corners the source plane is interpolated, and only
//! pixels that a source can light are divided, the finer the steeper its profile is there.
//! [`super::image::lensed`] is the slow and exact way.

use super::Lens;
use super::image::{Grid, Light, Source};
use crate::sky::Plane;

/// Points of a pixel along an axis, at most.
const MOST: usize = 10;
/// A source ends where it is fainter than this part of its brightness at the half-light radius.
const FAINT: f64 = 1e-4;

/// The places in the source plane that the corners of pixels come from.
pub struct Rays<'a> {
    lens: &'a Lens,
    grid: Grid,
    /// `[row][column]` of side + 1.
    corners: Vec<[f64; 2]>,
}

impl<'a> Rays<'a> {
    /// Through every `apart`th corner of a grid's pixels; between them the source plane is
    /// interpolated.
    pub fn trace(lens: &'a Lens, grid: Grid, apart: usize) -> Rays<'a> {
        let n = grid.side + 1;
        let own = lens.prepared();
        let coarse = grid.side.div_ceil(apart) + 1;
        let at = |i: usize, axis: usize| grid.origin[axis] + grid.step * ((i * apart) as f64 - 0.5);
        let traced: Vec<[f64; 2]> = (0..coarse * coarse)
            .map(|i| lens.to_source_of(&own, [at(i % coarse, 0), at(i / coarse, 1)]))
            .collect();
        if apart == 1 {
            return Rays {
                lens,
                grid,
                corners: traced,
            };
        }
        let corners = (0..n * n).map(|i| {
            let (row, column) = (i / n, i % n);
            let (r, c) = (
                (row / apart).min(coarse - 2),
                (column / apart).min(coarse - 2),
            );
            let part = |k: usize, from: usize| (k - from * apart) as f64 / apart as f64;
            let (v, u) = (part(row, r), part(column, c));
            let four = [0, 1, coarse, coarse + 1].map(|d| traced[r * coarse + c + d]);
            between(&four, u, v)
        });
        Rays {
            lens,
            grid,
            corners: corners.collect(),
        }
    }

    /// Flux of each pixel from these sources.
    pub fn image(&self, sources: &[Source]) -> Plane {
        let lights: Vec<(Light, f64)> = sources
            .iter()
            .map(|s| {
                let light = Light::of(s);
                let reach = light.reach(FAINT);
                (light, reach)
            })
            .collect();
        let mut plane = Plane::square(self.grid.side);
        for (i, v) in plane.data.iter_mut().enumerate() {
            *v = self.pixel(i, &lights) as f32;
        }
        plane
    }

    fn pixel(&self, i: usize, lights: &[(Light, f64)]) -> f64 {
        let (side, step) = (self.grid.side, self.grid.step);
        let (row, column) = (i / side, i % side);
        let at = row * (side + 1) + column;
        let c = [
            self.corners[at],
            self.corners[at + 1],
            self.corners[at + side + 1],
            self.corners[at + side + 2],
        ];
        let middle = [0, 1].map(|k| 0.25 * (c[0][k] + c[1][k] + c[2][k] + c[3][k]));
        let extent = c
            .iter()
            .map(|p| (p[0] - middle[0]).hypot(p[1] - middle[1]))
            .fold(0.0, f64::max);
        // At the middle of a deflector the source plane is torn: no interpolation there.
        let torn = extent > 2.0 * step;
        let mut sum = 0.0;
        for (light, reach) in lights {
            let far = light.distance(middle);
            if far > reach + extent {
                continue;
            }
            let scale = (far - extent).max(light.core());
            let k = ((5.0 * extent / scale).ceil() as usize).clamp(1, MOST);
            let k = if torn { MOST } else { k };
            let part = 1.0 / k as f64;
            for j in 0..k * k {
                let (v, u) = (((j / k) as f64 + 0.5) * part, ((j % k) as f64 + 0.5) * part);
                let from = if torn {
                    self.lens.to_source([
                        self.grid.origin[0] + step * (column as f64 - 0.5 + u),
                        self.grid.origin[1] + step * (row as f64 - 0.5 + v),
                    ])
                } else {
                    between(&c, u, v)
                };
                sum += light.at(from) * part * part;
            }
        }
        sum * step * step
    }
}

/// Between four corners: first along u, then along v.
fn between(c: &[[f64; 2]; 4], u: f64, v: f64) -> [f64; 2] {
    [0, 1].map(|a| {
        (1.0 - v) * ((1.0 - u) * c[0][a] + u * c[1][a]) + v * ((1.0 - u) * c[2][a] + u * c[3][a])
    })
}

#[cfg(test)]
mod tests {
    use super::super::image::lensed;
    use super::super::sie::{Sie, ellipticity};
    use super::super::{Lens, Shear};
    use super::*;

    fn lens() -> Lens {
        Lens {
            deflectors: vec![
                Sie {
                    einstein: 1.2,
                    ellipticity: ellipticity(0.6, 0.5),
                    centre: [0.013, -0.021],
                },
                Sie {
                    einstein: 0.3,
                    ellipticity: [0.0; 2],
                    centre: [1.9, 1.1],
                },
            ],
            shear: Shear {
                g1: 0.03,
                g2: -0.02,
            },
            ..Lens::default()
        }
    }

    /// Beside the exact integral: the brightest pixel to a percent, the whole to three in a
    /// thousand.
    #[test]
    fn images_are_those_of_the_exact_integral() {
        let l = lens();
        let grid = Grid::around(64, 0.1);
        let rays = Rays::trace(&l, grid, 1);
        for (radius, n) in [(0.25, 1.0), (0.08, 0.7), (0.4, 2.5)] {
            let s = [Source {
                brightness: 1.0,
                radius,
                n,
                ellipticity: [-0.1, 0.05],
                centre: [0.1, -0.05],
            }];
            let (fast, exact) = (rays.image(&s), lensed(&l, &s, grid, 1e-4));
            // Traced at every second corner, a fine grid is nearly as good.
            let fine = Grid::around(128, 0.05);
            let every = Rays::trace(&l, fine, 1).image(&s).binned(2);
            let second = Rays::trace(&l, fine, 2).image(&s).binned(2);
            let (a, b) = (every.total(), second.total());
            assert!((a / b - 1.0).abs() < 0.01, "{radius} {n}: {a} {b}");
            let (a, b) = (fast.total(), exact.total());
            assert!((a / b - 1.0).abs() < 3e-3, "{radius} {n}: {a} {b}");
            let peak = exact.data.iter().copied().fold(0.0, f32::max);
            let worst = fast
                .data
                .iter()
                .zip(&exact.data)
                .map(|(a, b)| (a - b).abs())
                .fold(0.0, f32::max);
            assert!(worst < 0.015 * peak, "{radius} {n}: {worst} of {peak}");
        }
    }

    /// Without a deflector: the source, its flux kept.
    #[test]
    fn nothing_in_front() {
        let l = Lens::default();
        let s = Source {
            brightness: 2.0,
            radius: 0.3,
            n: 1.0,
            ellipticity: [0.2, 0.0],
            centre: [0.3, 0.1],
        };
        let p = Rays::trace(&l, Grid::around(80, 0.1), 1).image(&[s]);
        assert!((p.total() / s.flux() - 1.0).abs() < 3e-3);
    }
}
