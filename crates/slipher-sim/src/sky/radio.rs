//! Radio galaxies through a beam: lobes and jets of types FR I (bright at the core), FR II (bright
//! at the edges; Fanaroff & Riley 1974), bent tails and compact sources, with the correlated noise
//! of an interferometer.

use super::Plane;
use super::convolve::convolve;
use super::detector::correlated;
use super::psf::Psf;
use crate::random::Stream;

/// Shapes, in the order of the labels of the FIRST collection of Griese et al. (2023).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// Fanaroff–Riley I: brightest near the core.
    Fr1,
    /// Fanaroff–Riley II: brightest at the ends.
    Fr2,
    /// Not resolved.
    Compact,
    /// Head–tail and wide-angle tails.
    Bent,
}

/// A survey: full width of the beam in pixels.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Beam {
    /// Full width at half maximum in pixels.
    pub fwhm: f64,
}

/// FIRST: 5.4″ at 1.8″ a pixel (Becker et al. 1995).
pub const FIRST: Beam = Beam { fwhm: 3.0 };

/// One side of a source: blobs along a path that starts at the middle.
struct Side {
    angle: f64,
    /// Bend per pixel.
    curve: f64,
    length: f64,
}

impl Side {
    /// Position and direction at a distance along the path.
    fn at(&self, s: f64) -> (f64, f64, f64) {
        let steps = 12;
        let (mut x, mut y, mut a) = (0.0, 0.0, self.angle);
        for _ in 0..steps {
            let d = s / f64::from(steps);
            a += self.curve * d;
            x += d * a.cos();
            y += d * a.sin();
        }
        (x, y, a)
    }
}

/// Both sides of a source that is `half` pixels from core to end.
fn sides(shape: Shape, angle: f64, half: f64, rng: &mut Stream) -> [Side; 2] {
    let lengths = [
        half * rng.uniform(0.75, 1.25),
        half * rng.uniform(0.75, 1.25),
    ];
    // Both sides of a straight source lie on a line; a bent one opens to one side.
    let bend = match shape {
        Shape::Bent => rng.uniform(0.35, 1.25),
        _ => rng.normal(0.0, 0.07),
    };
    [0, 1].map(|k| {
        let (away, sign) = (
            if k == 0 {
                angle
            } else {
                angle + std::f64::consts::PI
            },
            if k == 0 { 1.0 } else { -1.0 },
        );
        // A bend at the core, along the jets, or both.
        let (core, total) = if shape == Shape::Bent && rng.chance(0.5) {
            (0.6, 0.8)
        } else {
            (0.2, 0.9)
        };
        Side {
            angle: away + sign * core * bend,
            curve: sign * total * bend / lengths[k],
            length: lengths[k],
        }
    })
}

/// Emission before the beam, of a source whose size is `size` pixels from end to end.
pub fn emission(shape: Shape, size: f64, side: usize, rng: &mut Stream) -> Plane {
    let mut p = Plane::square(side);
    let (cx, cy) = p.centre();
    let (cx, cy) = (cx + rng.normal(0.0, 1.5), cy + rng.normal(0.0, 1.5));
    let angle = rng.uniform(0.0, 2.0 * std::f64::consts::PI);
    let half = 0.5 * size;
    let mut blob = |x: f64, y: f64, flux: f64, width: f64| {
        Psf::gaussian(width.max(0.8)).add(&mut p, cx + x, cy + y, flux)
    };
    if shape == Shape::Compact {
        blob(0.0, 0.0, 1.0, rng.uniform(0.8, 1.8));
        return p;
    }
    let sides = sides(shape, angle, half, rng);
    let core = match shape {
        Shape::Fr1 => rng.uniform(0.3, 1.5),
        Shape::Fr2 => {
            if rng.chance(0.6) {
                0.0
            } else {
                rng.log_uniform(0.03, 0.5)
            }
        }
        _ => rng.uniform(0.0, 0.6),
    };
    if core > 0.0 {
        blob(0.0, 0.0, core, rng.uniform(0.8, 2.0));
    }
    let edge_bright = shape == Shape::Fr2 || (shape == Shape::Bent && rng.chance(0.4));
    for s in &sides {
        let power = rng.log_uniform(0.5, 1.6);
        if edge_bright {
            let (x, y, a) = s.at(s.length);
            blob(x, y, power, rng.uniform(1.0, 0.10 * s.length + 2.0));
            if rng.chance(0.7) {
                // The lobe trails back from the hot spot.
                let back = rng.uniform(0.15, 0.6);
                for k in 1..=6 {
                    let (bx, by, _) = s.at(s.length * (1.0 - back * f64::from(k) / 6.0));
                    blob(
                        bx,
                        by,
                        power * rng.uniform(0.05, 0.25),
                        (0.16 * s.length).max(2.0),
                    );
                }
            }
            if rng.chance(0.3) {
                blob(x - 2.0 * a.sin(), y + 2.0 * a.cos(), 0.4 * power, 2.0);
            }
        } else {
            // The jet fades and widens outwards.
            let (fade, widen) = (rng.uniform(0.25, 0.8), rng.uniform(0.1, 0.3));
            let n = (s.length / 1.5).ceil().clamp(4.0, 40.0) as usize;
            for k in 0..n {
                let t = (k as f64 + 0.5) / n as f64;
                let (x, y, _) = s.at(t * s.length);
                let plume = if t > 0.6 {
                    rng.uniform(0.6, 1.3)
                } else {
                    rng.uniform(0.8, 1.2)
                };
                blob(
                    x,
                    y,
                    2.5 * power / n as f64 * (-t / fade).exp() * plume,
                    1.2 + widen * t * s.length,
                );
            }
        }
    }
    p
}

/// A source as the survey sees it, peak over noise `snr`, in units of the noise; neighbours at
/// random.
pub fn observe(shape: Shape, side: usize, snr: f64, beam: Beam, rng: &mut Stream) -> Plane {
    let size = match shape {
        Shape::Compact => 0.0,
        Shape::Fr2 => rng.log_uniform(3.2 * beam.fwhm, 26.0 * beam.fwhm),
        _ => rng.log_uniform(4.5 * beam.fwhm, 24.0 * beam.fwhm),
    };
    let mut p = emission(shape, size, side, rng);
    if rng.chance(0.5) {
        for _ in 0..1 + rng.below(3) {
            let (x, y) = (rng.uniform(0.0, side as f64), rng.uniform(0.0, side as f64));
            let (cx, cy) = p.centre();
            if (x - cx).hypot(y - cy) > 0.6 * size + 10.0 {
                Psf::gaussian(rng.uniform(0.8, 2.0)).add(&mut p, x, y, rng.log_uniform(0.02, 1.0));
            }
        }
    }
    let mut seen = convolve(&p, &Psf::gaussian(beam.fwhm));
    let (cx, cy) = seen.centre();
    let reach = 0.6 * size + 10.0;
    let near = |i: usize| ((i % side) as f64 - cx).hypot((i / side) as f64 - cy) < reach;
    let peak = seen
        .data
        .iter()
        .enumerate()
        .filter(|(i, _)| near(*i))
        .map(|(_, v)| *v)
        .fold(0.0, f32::max)
        .max(1e-20);
    let noise = convolve(&correlated(side, side, 0.0, rng), &Psf::gaussian(beam.fwhm));
    let sigma = (noise.data.iter().map(|v| v * v).sum::<f32>() / noise.data.len() as f32)
        .sqrt()
        .max(1e-20);
    for (v, n) in seen.data.iter_mut().zip(&noise.data) {
        *v = *v / peak * snr as f32 + n / sigma;
    }
    seen
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Fanaroff and Riley's own test: distance between the brightest points over the size, below
    /// and above one half.
    #[test]
    fn shapes_are_what_their_names_say() {
        let (mut wide, mut narrow) = (0, 0);
        for row in 0..60 {
            let mut rng = Stream::new(5, 1, row);
            let p = emission(Shape::Fr2, 50.0, 100, &mut rng);
            let far = |p: &Plane| {
                let (cx, cy) = p.centre();
                let top = p.data.iter().copied().fold(0.0, f32::max);
                let i = p.data.iter().position(|v| *v == top).unwrap();
                ((i % 100) as f64 - cx).hypot((i / 100) as f64 - cy)
            };
            wide += usize::from(far(&p) > 12.5);
            narrow += usize::from(far(&emission(Shape::Fr1, 50.0, 100, &mut rng)) < 12.5);
        }
        assert!(wide >= 54 && narrow >= 48, "{wide} {narrow}");
    }

    #[test]
    fn noise_is_one_and_peak_is_the_snr() {
        let p = observe(Shape::Compact, 100, 50.0, FIRST, &mut Stream::new(1, 1, 4));
        let top = p.data.iter().copied().fold(0.0, f32::max);
        let rms = (p.data[..2000].iter().map(|v| v * v).sum::<f32>() / 2000.0).sqrt();
        assert!(
            (top - 50.0).abs() < 4.0 && (rms - 1.0).abs() < 0.35,
            "{top} {rms}"
        );
    }
}
