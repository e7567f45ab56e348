//! Galaxies before and after a telescope: bulges, discs, spiral arms, bars, rings, knots and
//! companions, drawn on pixels half as large.

use rustfft::FftDirection;
use rustfft::num_complex::Complex;
use slipher_data::cutout::Cutout;
use slipher_sim::random::Stream;
use slipher_sim::sky::Plane;
use slipher_sim::sky::detector::correlated;
use slipher_sim::sky::galaxy::{Arms, Galaxy};
use slipher_sim::sky::psf::Psf;
use slipher_sim::sky::sersic::Sersic;

use super::encode::{SIDE, squeezed};
use super::fourier::{BORDER, TARGET, frequency, transform};
use crate::example::{Example, Observation};

/// Fine pixels along one of the image.
const FINE: usize = 2;
/// Fine pixels along a side, with the border.
const ROOM: usize = FINE * (SIDE + 2 * BORDER);
/// Pixels of the star.
const STAR: usize = 41;

/// A scene in fine pixels, and the telescope.
pub struct Scene {
    /// Light before the telescope, fine pixels.
    pub sky: Plane,
    /// Optical point-spread function, pixels of the image.
    pub psf: Psf,
    /// Light of the galaxy over the noise in the aperture of its half-light radius.
    pub snr: f64,
    /// Half-light radius, pixels.
    pub re: f64,
    /// Share of the noise's variance at the galaxy's mean brightness that is its own photons'.
    pub photons: f64,
    /// Mixing of neighbouring pixels by resampling.
    pub mix: f32,
}

/// A galaxy in fine pixels around the middle.
fn drawn(re: f64, rng: &mut Stream) -> Plane {
    let mut p = Plane::square(ROOM);
    let mid = 0.5 * (ROOM as f64 - 1.0);
    let k = FINE as f64;
    if rng.chance(0.45) {
        let [old, young] = disc_galaxy(k * re, mid, rng).planes(ROOM);
        p.add(&old, 1.0);
        p.add(&young, 1.0);
    } else {
        let angle = rng.uniform(0.0, std::f64::consts::PI);
        let (x, y) = (mid + rng.normal(0.0, 1.0), mid + rng.normal(0.0, 1.0));
        let own = |flux: f64, re: f64, n: f64, q: f64| Sersic {
            flux,
            re: k * re,
            n,
            q,
            angle,
            x,
            y,
        };
        let q = rng.uniform(0.2, 1.0);
        let bulge = if rng.chance(0.5) {
            rng.uniform(0.05, 0.8)
        } else {
            0.0
        };
        own(1.0 - bulge, re, rng.log_uniform(0.5, 4.0), q).add_within(&mut p, 8.0);
        if bulge > 0.0 {
            own(bulge, 0.4 * re, rng.log_uniform(1.0, 5.0), q.max(0.5)).add_within(&mut p, 12.0);
        }
    }
    p
}

/// A disc with a bulge and, at times, arms, a bar, a ring and knots, around the middle of a plane.
fn disc_galaxy(re: f64, mid: f64, rng: &mut Stream) -> Galaxy {
    let angle = rng.uniform(0.0, std::f64::consts::PI);
    let q = (rng.uniform(0.0, 1.0).powi(2) + 0.015).sqrt().min(1.0);
    let bulge = 10f64.powf(rng.normal(-0.8, 0.45)).clamp(0.005, 0.8);
    let part = |flux: f64, re: f64, n: f64, q: f64, angle: f64| Sersic {
        flux,
        re,
        n,
        q,
        angle,
        x: mid,
        y: mid,
    };
    let disc = part(1.0 - bulge, re, 1.0, q, angle);
    let mut g = Galaxy {
        spheroids: vec![part(
            bulge,
            re * (0.12 + 0.35 * bulge),
            rng.uniform(1.2, 4.0),
            q.max(0.6),
            angle,
        )],
        disc: Some(disc),
        ..Galaxy::default()
    };
    if rng.chance(0.35) {
        let turn = angle + rng.uniform(0.0, std::f64::consts::PI);
        let thin = rng.uniform(0.2, 0.35).max(0.3 * q);
        g.spheroids
            .push(part(0.1 * disc.flux, 0.5 * re, 0.5, thin, turn));
    }
    if rng.chance(0.7) {
        let way = if rng.chance(0.5) { 1.0 } else { -1.0 };
        g.arms = Some(Arms {
            count: 1 + rng.below(4),
            strength: rng.uniform(0.15, 0.9),
            winding: way * rng.uniform(1.6, 6.0),
            phase: rng.uniform(0.0, std::f64::consts::TAU),
            patchy: rng.uniform(0.0, 0.8),
        });
    }
    if rng.chance(0.08) {
        g.ring = Some((rng.uniform(0.9, 1.6), rng.uniform(0.1, 0.2), 0.7));
    }
    if rng.chance(0.5) {
        for _ in 0..2 + rng.below(10) {
            let (r, a) = (
                re * rng.uniform(0.4, 1.8),
                rng.uniform(0.0, std::f64::consts::TAU),
            );
            let (u, v) = (r * a.cos(), q * r * a.sin());
            let (sin, cos) = angle.sin_cos();
            g.clumps.push((
                mid + u * cos - v * sin,
                mid + u * sin + v * cos,
                rng.log_uniform(0.003, 0.02),
                FINE as f64 * rng.uniform(0.8, 2.0),
            ));
        }
    }
    g
}

impl Scene {
    /// Of the prior.
    pub fn new(rng: &mut Stream) -> Scene {
        let re = rng.log_uniform(1.0, 10.0);
        let mut sky = drawn(re, rng);
        let k = FINE as f64;
        let beside = if rng.chance(0.5) { rng.below(4) } else { 0 };
        for _ in 0..beside {
            let far = 0.45 * ROOM as f64;
            let mid = 0.5 * (ROOM as f64 - 1.0);
            let (x, y) = (mid + rng.uniform(-far, far), mid + rng.uniform(-far, far));
            let flux = rng.log_uniform(0.01, 1.0);
            if rng.chance(0.4) {
                // A star: a point.
                let (i, j) = (y.round() as usize, x.round() as usize);
                sky.data[i.min(ROOM - 1) * ROOM + j.min(ROOM - 1)] += flux as f32;
                continue;
            }
            let s = Sersic {
                flux,
                re: k * rng.log_uniform(0.5, 5.0),
                n: rng.log_uniform(0.6, 4.0),
                q: rng.uniform(0.3, 1.0),
                angle: rng.uniform(0.0, std::f64::consts::PI),
                x,
                y,
            };
            s.add_within(&mut sky, 8.0);
        }
        let mut psf = if rng.chance(0.25) {
            Psf::gaussian(rng.log_uniform(2.2, 6.0))
        } else {
            Psf::moffat(rng.log_uniform(2.2, 6.0), rng.uniform(2.3, 5.0))
        };
        psf.q = 1.0 - rng.exponential(0.04).min(0.2);
        psf.angle = rng.uniform(0.0, std::f64::consts::PI);
        Scene {
            sky,
            psf,
            snr: rng.log_uniform(8.0, 400.0),
            re,
            photons: if rng.chance(0.6) {
                rng.log_uniform(0.01, 3.0)
            } else {
                0.0
            },
            mix: if rng.chance(0.2) {
                rng.uniform(0.1, 0.4) as f32
            } else {
                0.0
            },
        }
    }

    /// Fine light through a transform of the point-spread function, on the image's pixels.
    fn through(light: &Plane, by: &[Complex<f32>]) -> Vec<f32> {
        let mut values: Vec<Complex<f32>> =
            light.data.iter().map(|v| Complex::new(*v, 0.0)).collect();
        transform(&mut values, ROOM, FftDirection::Forward);
        values.iter_mut().zip(by).for_each(|(v, b)| *v *= b);
        transform(&mut values, ROOM, FftDirection::Inverse);
        let seen = Plane {
            height: ROOM,
            width: ROOM,
            data: values.iter().map(|v| v.re).collect(),
        };
        seen.middle(FINE * SIDE).binned(FINE).data
    }

    /// Transform of the optical point-spread function on fine pixels.
    fn optics(&self) -> Vec<Complex<f32>> {
        let fine = Psf {
            fwhm: FINE as f64 * self.psf.fwhm,
            ..self.psf.clone()
        };
        let half = ROOM as isize / 2;
        let mut values: Vec<Complex<f32>> = (0..ROOM * ROOM)
            .map(|i| {
                let wrap = |k: usize| {
                    let k = k as isize;
                    (if k >= half { k - ROOM as isize } else { k }) as f64
                };
                Complex::new(fine.value(wrap(i % ROOM), wrap(i / ROOM)) as f32, 0.0)
            })
            .collect();
        let sum: f32 = values.iter().map(|v| v.re).sum();
        values.iter_mut().for_each(|v| *v /= sum.max(1e-30));
        transform(&mut values, ROOM, FftDirection::Forward);
        values
    }

    /// Transform of what the restored image is blurred by before the pixels: with them it has the
    /// target's width.
    fn target() -> Vec<Complex<f32>> {
        let sigma = TARGET / 2.354_820_045;
        let variance = (sigma * sigma - 1.0 / 12.0) * (FINE * FINE) as f64;
        (0..ROOM * ROOM)
            .map(|i| {
                let (fy, fx) = (frequency(i / ROOM, ROOM), frequency(i % ROOM, ROOM));
                let v = -2.0 * std::f64::consts::PI.powi(2) * variance * (fy * fy + fx * fx);
                Complex::new(v.exp() as f32, 0.0)
            })
            .collect()
    }

    /// What the telescope sees and what it should, `[64][64]`, without noise, in units of the sky's
    /// noise.
    pub fn images(&self) -> (Vec<f32>, Vec<f32>) {
        let (seen, wanted) = (
            Scene::through(&self.sky, &self.optics()),
            Scene::through(&self.sky, &Scene::target()),
        );
        // Half of the light in the aperture, over the noise of its pixels.
        let area = std::f64::consts::PI * (self.re * self.re + 0.25 * self.psf.fwhm.powi(2));
        let unit = (2.0 * self.snr * area.sqrt()) as f32;
        let scaled = |v: Vec<f32>| v.into_iter().map(|v| unit * v).collect();
        (scaled(seen), scaled(wanted))
    }

    /// A star as the detector sees it.
    pub fn star(&self) -> Vec<f32> {
        let mut p = Plane::square(STAR);
        let mid = (STAR / 2) as f64;
        self.psf.add(&mut p, mid, mid, 1.0);
        p.data
    }
}

/// A galaxy and its restored image.
pub fn draw(rng: &mut Stream) -> Example {
    let scene = Scene::new(rng);
    observed(&scene, rng)
}

/// A scene as it is seen, with what it should look like.
pub fn observed(scene: &Scene, rng: &mut Stream) -> Example {
    let (mut seen, wanted) = scene.images();
    let mean = (seen
        .iter()
        .map(|v| f64::from(v.max(0.0)).powi(2))
        .sum::<f64>()
        / seen
            .iter()
            .map(|v| f64::from(v.max(0.0)))
            .sum::<f64>()
            .max(1e-9))
    .max(1e-9);
    let variance: Vec<f32> = seen
        .iter()
        .map(|v| (1.0 + scene.photons * f64::from(v.max(0.0)) / mean) as f32)
        .collect();
    let white: Vec<f32> = if scene.mix > 0.0 {
        correlated(SIDE, SIDE, scene.mix, rng).data
    } else {
        (0..SIDE * SIDE).map(|_| rng.normal_f32()).collect()
    };
    let unit = rng.log_uniform(1e-3, 1e3) as f32;
    let level = rng.normal(0.0, 0.05) as f32;
    for ((v, z), var) in seen.iter_mut().zip(&white).zip(&variance) {
        *v = unit * (*v + z * var.sqrt() + level);
    }
    let mut c = Cutout {
        ra: f64::NAN,
        dec: f64::NAN,
        bands: vec![String::new()],
        height: SIDE,
        width: SIDE,
        pixels: seen,
        pixel_scale: f64::NAN,
        psf: (STAR, STAR, scene.star()),
        ..Cutout::default()
    };
    if rng.chance(0.5) {
        c.variance = variance.iter().map(|v| unit * unit * v).collect();
    }
    // In units of the noise as it is measured.
    let (ground, noise) = crate::stamp::ground(&c);
    let shift = ground - unit * level;
    let truth = wanted
        .iter()
        .map(|v| squeezed((unit * v - shift) / noise.max(1e-30)))
        .collect();
    Example {
        truth,
        depth: scene.snr as f32,
        input: Observation::Cutout(c),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::restoration::fourier::Blur;

    /// The restored image through R is what the telescope sees; flux is the same in both.
    #[test]
    fn truth_and_image_agree() {
        for row in 0..6 {
            let mut rng = Stream::new(4, 2, row);
            let mut scene = Scene::new(&mut rng);
            scene.psf = Psf::gaussian(2.5 + 0.4 * row as f64);
            let (seen, wanted) = scene.images();
            let b = Blur::new((STAR, STAR, &scene.star()), SIDE).unwrap();
            let again = b.observed(&wanted);
            let peak = seen.iter().copied().fold(0.0, f32::max);
            // What lies at the edge is cut off in one and not in the other.
            let inside =
                |i: &usize| (12..52).contains(&(i / SIDE)) && (12..52).contains(&(i % SIDE));
            let off = (0..SIDE * SIDE)
                .filter(inside)
                .map(|i| (again[i] - seen[i]).abs())
                .fold(0.0, f32::max);
            assert!(off < 0.02 * peak, "{row}: {off} {peak}");
        }
    }
}
