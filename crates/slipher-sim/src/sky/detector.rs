//! From expected counts to what a detector reads, with its defects.

use rand_distr::{Distribution, Poisson};

use super::Plane;
use crate::random::Stream;

/// Adds Poisson noise of source and sky, and read-out noise; the sky itself is subtracted again.
/// `plane` is in electrons.
pub fn expose(plane: &mut Plane, sky: f64, read_noise: f64, rng: &mut Stream) {
    for v in &mut plane.data {
        let mean = (f64::from(*v) + sky).max(0.0);
        let count = if mean > 50.0 || mean <= 0.0 {
            rng.normal(mean, mean.sqrt())
        } else {
            Poisson::new(mean).map_or(mean, |p| p.sample(rng.generator()))
        };
        *v = (count - sky + rng.normal(0.0, read_noise)) as f32;
    }
}

/// White noise whose neighbours have been averaged with weight `mix` (0 to 0.5), of standard
/// deviation 1.
pub fn correlated(height: usize, width: usize, mix: f32, rng: &mut Stream) -> Plane {
    let mut p = Plane {
        height,
        width,
        data: (0..height * width).map(|_| rng.normal_f32()).collect(),
    };
    if mix > 0.0 {
        let norm = 1.0 / (1.0 + 2.0 * mix * mix).sqrt();
        let line = |v: [f32; 3]| norm * (v[1] + mix * (v[0] + v[2]));
        for row in p.data.chunks_exact_mut(width) {
            let old = row.to_vec();
            (0..width).for_each(|c| {
                row[c] = line([
                    old[c.saturating_sub(1)],
                    old[c],
                    old[(c + 1).min(width - 1)],
                ])
            });
        }
        let old = p.data.clone();
        for (i, v) in p.data.iter_mut().enumerate() {
            let (r, c) = (i / width, i % width);
            *v = line([
                old[r.saturating_sub(1) * width + c],
                old[i],
                old[(r + 1).min(height - 1) * width + c],
            ]);
        }
    }
    p
}

/// A cosmic ray through (x, y): a point, or a track of `length` pixels; `charge` a pixel.
pub fn cosmic_ray(plane: &mut Plane, x: f64, y: f64, length: f64, charge: f64, rng: &mut Stream) {
    let angle = rng.uniform(0.0, std::f64::consts::PI);
    let steps = (3.0 * length).ceil().max(1.0) as usize;
    for k in 0..steps {
        let t = (k as f64 + 0.5) / steps as f64 * length - 0.5 * length;
        let (px, py) = (x + t * angle.cos(), y + t * angle.sin());
        let share = charge * length.max(1.0) / steps as f64 * rng.uniform(0.6, 1.4);
        // Charge diffuses a little into the neighbours.
        let (x0, y0) = (px.floor(), py.floor());
        for (dy, dx) in [(0.0, 0.0), (0.0, 1.0), (1.0, 0.0), (1.0, 1.0)] {
            let w = (1.0 - (px - x0 - dx).abs()).powi(2) * (1.0 - (py - y0 - dy).abs()).powi(2);
            let (c, r) = (x0 + dx, y0 + dy);
            if c >= 0.0 && r >= 0.0 && (c as usize) < plane.width && (r as usize) < plane.height {
                plane.data[r as usize * plane.width + c as usize] += (share * w) as f32;
            }
        }
    }
}

/// A column that reads `offset` more from row `from` on.
pub fn bad_column(plane: &mut Plane, column: usize, from: usize, offset: f32) {
    let width = plane.width;
    plane.data[column..]
        .iter_mut()
        .step_by(width)
        .skip(from)
        .for_each(|v| *v += offset);
}

/// Cuts pixels at full well; the rest of the charge runs up and down its column.
pub fn saturate(plane: &mut Plane, full: f32) {
    let (h, w) = (plane.height, plane.width);
    for c in 0..w {
        for r in 0..h {
            let mut spill = plane.data[r * w + c] - full;
            if spill <= 0.0 {
                continue;
            }
            plane.data[r * w + c] = full;
            for d in 1..h {
                for to in [r.checked_sub(d), Some(r + d).filter(|t| *t < h)]
                    .into_iter()
                    .flatten()
                {
                    let room = (full - plane.data[to * w + c]).clamp(0.0, 0.5 * spill);
                    plane.data[to * w + c] += room;
                    spill -= room;
                }
                if spill < 0.01 * full {
                    break;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn noise_has_the_variance_it_should() {
        let mut rng = Stream::new(1, 2, 3);
        for (level, sky) in [(0.0, 9.0), (3.0, 4.0), (200.0, 900.0)] {
            let mut p = Plane {
                height: 200,
                width: 200,
                data: vec![level; 40_000],
            };
            expose(&mut p, sky, 3.0, &mut rng);
            let mean = p.total() / 4e4;
            let var = p
                .data
                .iter()
                .map(|v| (f64::from(*v) - mean).powi(2))
                .sum::<f64>()
                / 4e4;
            let want = f64::from(level) + sky + 9.0;
            assert!(
                (mean - f64::from(level)).abs() < 5.0 * (want / 4e4).sqrt()
                    && (var / want - 1.0).abs() < 0.04,
                "{mean} {var}"
            );
        }
        let p = correlated(200, 200, 0.4, &mut rng);
        let var = p.data.iter().map(|v| v * v).sum::<f32>() / 4e4;
        let next = p.data.windows(2).map(|w| w[0] * w[1]).sum::<f32>() / 4e4;
        assert!((var - 1.0).abs() < 0.05 && next > 0.3, "{var} {next}");
    }

    #[test]
    fn saturation_keeps_the_charge_and_stays_in_its_column() {
        let mut p = Plane::square(31);
        p.data[15 * 31 + 7] = 1000.0;
        saturate(&mut p, 100.0);
        assert!(p.data.iter().all(|v| *v <= 100.0) && (p.total() - 1000.0).abs() < 10.0);
        assert!(
            p.data
                .iter()
                .enumerate()
                .all(|(i, v)| *v == 0.0 || i % 31 == 7)
        );
        let mut q = Plane::square(21);
        cosmic_ray(&mut q, 10.0, 10.0, 6.0, 50.0, &mut Stream::new(1, 1, 1));
        assert!(q.total() > 60.0 && q.data.iter().all(|v| *v >= 0.0));
        bad_column(&mut q, 3, 5, 7.0);
        assert_eq!((q.at(4, 3), q.at(5, 3)), (0.0, 7.0));
    }
}
