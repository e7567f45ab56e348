//! Simulated galaxies with the votes that people would give.
//!
//! A galaxy is drawn with its parts (bulge, disc, arms, bar, ring, dust, companions), seen through
//! an atmosphere and shown as SDSS shows its pictures. The share of each answer follows from what
//! was drawn by the formulas of [`Truth`]: a structure is voted for by how strong it is times how
//! well it is resolved. Then about 45 people vote.

use slipher_data::cutout::Cutout;
use slipher_sim::random::Stream;
use slipher_sim::sky::Plane;
use slipher_sim::sky::convolve::Transform;
use slipher_sim::sky::galaxy::{Arms, Galaxy};
use slipher_sim::sky::psf::Psf;
use slipher_sim::sky::sersic::Sersic;

use super::encode::{FRAME, stretch};
use super::tree::{QUESTIONS, shares};
use crate::example::{Example, Observation};

/// Share of each answer within its question.
struct Truth([f32; 37]);

/// What was drawn, as far as people see it.
#[derive(Default)]
struct Looks {
    star: bool,
    disc: bool,
    q: f64,
    edge_on: f64,
    bulge: f64,
    bar: f64,
    arms: f64,
    winding: f64,
    count: usize,
    patchy: bool,
    /// Index of question 8's answer, and its strength.
    odd: Option<(usize, f64)>,
    boxy: bool,
    clumps: f64,
    /// 0 to 1: how well structure is seen.
    seen: f64,
}

fn step(x: f64) -> f64 {
    1.0 / (1.0 + (-x).exp())
}

/// Shares ∝ exp(−½ ((x − centre) / width)²).
fn near(x: f64, centres: &[f64], width: f64) -> Vec<f64> {
    let w: Vec<f64> = centres
        .iter()
        .map(|c| (-0.5 * ((x - c) / width).powi(2)).exp() + 1e-3)
        .collect();
    let sum: f64 = w.iter().sum();
    w.iter().map(|v| v / sum).collect()
}

impl Truth {
    /// The stated likelihood of each answer.
    fn of(l: &Looks) -> Truth {
        let mut t = [0.0f32; 37];
        let mut put = |at: usize, values: &[f64]| {
            values
                .iter()
                .enumerate()
                .for_each(|(i, v)| t[at + i] = *v as f32)
        };
        let structure = (0.25
            + 0.5 * l.arms
            + 0.35 * l.bar
            + 0.4 * l.edge_on
            + 0.3 * l.clumps
            + l.odd.map_or(0.0, |o| 0.3 * o.1))
        .min(1.0);
        let features = if l.disc {
            0.06 + 0.9 * l.seen * structure
        } else {
            0.06 + 0.1 * l.odd.map_or(0.0, |o| o.1)
        };
        let star = if l.star { 0.85 } else { 0.02 };
        put(
            0,
            &[
                (1.0 - star) * (1.0 - features),
                (1.0 - star) * features,
                star,
            ],
        );
        let edge = 0.02
            + 0.96
                * if l.disc {
                    l.edge_on
                } else {
                    0.3 * step((0.35 - l.q) / 0.05)
                };
        put(3, &[edge, 1.0 - edge]);
        let bar = 0.05 + 0.9 * l.bar * l.seen;
        put(5, &[bar, 1.0 - bar]);
        let spiral = 0.08 + 0.9 * l.arms * l.seen;
        put(7, &[spiral, 1.0 - spiral]);
        put(
            9,
            &near(l.bulge.max(0.01).log10(), &[-2.0, -1.1, -0.55, -0.15], 0.28),
        );
        let odd = 0.06 + 0.85 * l.odd.map_or(0.0, |o| o.1);
        put(13, &[odd, 1.0 - odd]);
        put(15, &near(l.q, &[0.95, 0.62, 0.28], 0.14));
        let mut kind = [0.04; 7];
        kind[4] = 0.1;
        if let Some((k, s)) = l.odd {
            kind[k] += 1.5 * s;
        }
        let sum: f64 = kind.iter().sum();
        put(18, &kind.map(|v| v / sum));
        let rounded = step((l.bulge - 0.12) / 0.05);
        let boxy = if l.boxy { 0.5 } else { 0.06 };
        put(25, &[rounded * (1.0 - boxy), rounded * boxy, 1.0 - rounded]);
        put(28, &near(l.winding, &[5.5, 3.8, 2.2], 0.9));
        let mut number = [0.05; 6];
        number[if l.count > 4 { 4 } else { l.count.max(1) - 1 }] += 1.2 * l.seen;
        number[5] += 0.15 + 0.6 * (1.0 - l.seen) + if l.patchy { 0.8 } else { 0.0 };
        let sum: f64 = number.iter().sum();
        put(31, &number.map(|v| v / sum));
        Truth(t)
    }

    /// Weighted shares after `people` have voted; a question is put to those who came to it.
    fn vote(&self, people: usize, rng: &mut Stream) -> Vec<f32> {
        let mut reach = self.0.to_vec();
        shares().compose(&mut reach);
        let mut own = vec![0.0f32; 37];
        for q in QUESTIONS {
            let share: f32 = if q.start == 13 {
                1.0
            } else {
                reach[q.clone()].iter().sum()
            };
            let votes = (share * people as f32).round().max(1.0) as usize;
            let weights: Vec<f64> = q.clone().map(|i| f64::from(self.0[i])).collect();
            (0..votes).for_each(|_| own[q.start + rng.weighted(&weights)] += 1.0 / votes as f32);
        }
        shares().compose(&mut own);
        own
    }
}

/// One galaxy.
pub fn draw(rng: &mut Stream) -> Example {
    let fwhm = rng.log_uniform(1.2, 3.2);
    let re = rng.log_uniform(4.0, 15.0);
    let depth = rng.log_uniform(4.0, 60.0);
    let (mut galaxy, mut looks) = if rng.chance(0.03) {
        (
            Galaxy::default(),
            Looks {
                star: true,
                q: 1.0,
                ..Looks::default()
            },
        )
    } else {
        body(re, rng)
    };
    let resolution = re / fwhm;
    looks.seen = step(2.5 * (resolution / 3.0).ln()) * step(1.6 * (depth / 8.0).ln());
    if looks.star {
        galaxy.spheroids.clear();
    } else {
        oddities(&mut galaxy, &mut looks, re, rng);
    }
    let pixels = picture(&galaxy, &looks, re, fwhm, depth, rng);
    let truth = Truth::of(&looks).vote(35 + rng.below(20), rng);
    let bands = ["R", "G", "B"].map(str::to_owned).to_vec();
    let cutout = Cutout {
        bands,
        height: FRAME,
        width: FRAME,
        pixels,
        ra: f64::NAN,
        dec: f64::NAN,
        pixel_scale: f64::NAN,
        ..Cutout::default()
    };
    Example {
        input: Observation::Cutout(cutout),
        truth,
        depth: resolution as f32,
    }
}

/// An elliptical or a disc galaxy of half-light radius `re`, in the middle.
fn body(re: f64, rng: &mut Stream) -> (Galaxy, Looks) {
    let mid = 0.5 * (FRAME as f64 - 1.0);
    let (x, y) = (mid + rng.normal(0.0, 0.5), mid + rng.normal(0.0, 0.5));
    let angle = rng.uniform(0.0, std::f64::consts::PI);
    let place = Sersic {
        flux: 1.0,
        re,
        n: 1.0,
        q: 1.0,
        angle,
        x,
        y,
    };
    if rng.chance(0.4) {
        return elliptical(re, place, rng);
    }
    let cos_i = rng.uniform(0.0, 1.0);
    let q = (cos_i * cos_i + 0.015).sqrt().min(1.0);
    let bulge = (10f64.powf(rng.normal(-0.8, 0.45))).clamp(0.005, 0.8);
    let disc = Sersic {
        flux: 1.0 - bulge,
        q,
        ..place
    };
    let edge_on = step((0.27 - q) / 0.035);
    let face_on = step((q - 0.4) / 0.06);
    let round = q.max(rng.uniform(0.6, 0.95));
    let mut spheroids = vec![Sersic {
        flux: bulge,
        re: re * (0.12 + 0.35 * bulge),
        n: rng.uniform(1.2, 4.0),
        q: round,
        ..place
    }];
    let mut looks = Looks {
        disc: true,
        q,
        edge_on,
        bulge,
        winding: 3.8,
        count: 2,
        boxy: rng.chance(0.15),
        ..Looks::default()
    };
    if rng.chance(0.35) {
        let strength = rng.uniform(0.3, 1.0);
        let turn = angle + rng.uniform(0.0, std::f64::consts::PI);
        spheroids.push(Sersic {
            flux: 0.25 * strength * disc.flux,
            re: re * rng.uniform(0.35, 0.6),
            n: 0.5,
            q: rng.uniform(0.2, 0.35).max(0.3 * q),
            angle: turn,
            ..place
        });
        looks.bar = strength * face_on;
    }
    let arms = rng.chance(0.7).then(|| spiral(face_on, &mut looks, rng));
    let clumps = if rng.chance(0.4) {
        knots(re, &disc, &mut looks, rng)
    } else {
        Vec::new()
    };
    (
        Galaxy {
            spheroids,
            disc: Some(disc),
            arms,
            clumps,
            ..Galaxy::default()
        },
        looks,
    )
}

fn elliptical(re: f64, place: Sersic, rng: &mut Stream) -> (Galaxy, Looks) {
    let q = rng.uniform(0.3, 1.0);
    let n = rng.uniform(2.2, 5.0);
    let re = 0.8 * re;
    let galaxy = Galaxy {
        spheroids: vec![Sersic { n, q, re, ..place }],
        ..Galaxy::default()
    };
    let looks = Looks {
        q,
        bulge: 0.9,
        winding: 3.8,
        count: 2,
        ..Looks::default()
    };
    (galaxy, looks)
}

/// Spiral arms, and how a disc with this much face shows them.
fn spiral(face_on: f64, looks: &mut Looks, rng: &mut Stream) -> Arms {
    let strength = rng.uniform(0.15, 1.0);
    let count = [1, 2, 3, 4, 5 + rng.below(2)][rng.weighted(&[0.06, 0.58, 0.16, 0.1, 0.1])];
    let winding = rng.uniform(1.6, 6.0);
    let patchy = if rng.chance(0.35) {
        rng.uniform(0.3, 0.8)
    } else {
        0.0
    };
    let way = if rng.chance(0.5) { 1.0 } else { -1.0 };
    (looks.arms, looks.winding, looks.count, looks.patchy) =
        (strength.sqrt() * face_on, winding, count, patchy > 0.4);
    Arms {
        count,
        strength: 0.9 * strength,
        winding: way * winding * count as f64 / 2.0,
        phase: rng.uniform(0.0, std::f64::consts::TAU),
        patchy,
    }
}

/// Star-forming knots in the plane of a disc: (x, y, flux, width).
fn knots(re: f64, disc: &Sersic, looks: &mut Looks, rng: &mut Stream) -> Vec<(f64, f64, f64, f64)> {
    let n = 2 + rng.below(10);
    looks.clumps = n as f64 / 12.0;
    let (x, y, angle) = (disc.x, disc.y, disc.angle);
    (0..n)
        .map(|_| {
            let (r, a) = (
                re * rng.uniform(0.4, 1.8),
                rng.uniform(0.0, std::f64::consts::TAU),
            );
            let (u, v) = (r * a.cos(), disc.q * r * a.sin());
            (
                x + u * angle.cos() - v * angle.sin(),
                y + u * angle.sin() + v * angle.cos(),
                rng.log_uniform(0.003, 0.02),
                rng.uniform(1.0, 2.0),
            )
        })
        .collect()
}

/// Ring, lens, disturbance, irregularity, merger or dust lane, in one galaxy of seven.
fn oddities(g: &mut Galaxy, l: &mut Looks, re: f64, rng: &mut Stream) {
    if !rng.chance(0.15) {
        return;
    }
    let mid = 0.5 * (FRAME as f64 - 1.0);
    let strength = rng.uniform(0.4, 1.0);
    let kind = [0, 1, 2, 3, 5, 6][rng.weighted(&[0.3, 0.05, 0.15, 0.15, 0.25, 0.1])];
    let blob = |g: &mut Galaxy, d: f64, a: f64, flux: f64, size: f64, q: f64| {
        g.spheroids.push(Sersic {
            flux,
            re: size,
            n: 1.5,
            q,
            angle: 1.3 * a,
            x: mid + d * a.cos(),
            y: mid + d * a.sin(),
        });
    };
    match kind {
        0 => {
            g.ring = g
                .disc
                .map(|_| (rng.uniform(0.9, 1.6), rng.uniform(0.1, 0.2), strength))
        }
        1 => (0..5).for_each(|k| {
            g.clumps.push((
                mid + 1.6 * re * (0.25 * f64::from(k)).cos(),
                mid + 1.6 * re * (0.25 * f64::from(k)).sin(),
                0.02 * strength,
                2.0,
            ))
        }),
        2 | 3 => {
            for _ in 0..3 {
                let (d, a) = (
                    re * rng.uniform(0.5, 1.4),
                    rng.uniform(0.0, std::f64::consts::TAU),
                );
                blob(
                    g,
                    d,
                    a,
                    0.15 * strength * rng.uniform(0.3, 1.0),
                    re * rng.uniform(0.2, 0.6),
                    rng.uniform(0.4, 1.0),
                );
            }
        }
        5 => {
            let (d, a) = (
                re * rng.uniform(1.2, 2.6),
                rng.uniform(0.0, std::f64::consts::TAU),
            );
            blob(
                g,
                d,
                a,
                strength * rng.uniform(0.3, 0.9),
                re * rng.uniform(0.3, 0.8),
                rng.uniform(0.4, 1.0),
            );
        }
        _ => {
            g.lane = g
                .disc
                .filter(|d| d.q < 0.4)
                .map(|_| (0.8 * strength, 0.8 + 0.06 * re))
        }
    }
    if (kind == 0 && g.ring.is_none()) || (kind == 6 && g.lane.is_none()) {
        return;
    }
    l.odd = Some((kind, strength));
}

/// The galaxy in three colours through the atmosphere, with neighbours and noise, in 8 bits.
fn picture(g: &Galaxy, l: &Looks, re: f64, fwhm: f64, depth: f64, rng: &mut Stream) -> Vec<f32> {
    let planes: [Plane; 2] = g.planes(FRAME);
    let mid = 0.5 * (FRAME as f64 - 1.0);
    let parts = planes.each_ref().map(Transform::of);
    // Old stars are red, young ones blue: flux in i, r, g.
    let old = [1.25, 1.0, 0.55 + rng.normal(0.0, 0.05)];
    let young = [0.9, 1.0, 0.9 + rng.normal(0.0, 0.08)];
    let beta = rng.uniform(2.8, 4.5);
    // Noise from the depth wanted at the half-light radius.
    let level = 0.5 / (std::f64::consts::PI * re * re * l.q.max(0.2));
    let sigma = level / depth * 2.0;
    let neighbours: Vec<(f64, f64, f64, bool)> = (0..rng.below(4))
        .map(|_| {
            (
                rng.uniform(0.0, FRAME as f64),
                rng.uniform(0.0, FRAME as f64),
                rng.log_uniform(0.01, 0.4),
                rng.chance(0.6),
            )
        })
        .filter(|n| (n.0 - mid).hypot(n.1 - mid) > 2.0 * re + 6.0)
        .collect();
    let mut out = Vec::new();
    for band in 0..3 {
        let psf = Psf::moffat(fwhm * (1.0 + 0.04 * band as f64), beta);
        let mut p = Transform::observe(
            &[
                (&parts[0], old[band] as f32),
                (&parts[1], young[band] as f32),
            ],
            &Transform::of_psf(&psf, FRAME),
        );
        for (x, y, flux, star) in &neighbours {
            let wide = if *star {
                psf.clone()
            } else {
                Psf::gaussian(2.5 * fwhm)
            };
            wide.add(&mut p, *x, *y, flux * if *star { 1.0 } else { old[band] });
        }
        if l.star {
            psf.add(&mut p, mid, mid, 2.0);
        }
        out.extend(p.data.iter().map(|v| {
            v + (sigma * (1.0 + f64::from(v.max(0.0)) / (20.0 * level)).sqrt()) as f32
                * rng.normal_f32()
        }));
    }
    stretch(&mut out, FRAME * FRAME);
    out.iter_mut().for_each(|v| *v = (*v * 255.0).round());
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn votes_follow_the_galaxy() {
        let (mut smooth, mut n) = (0.0, 0.0);
        for row in 0..200 {
            let e = draw(&mut Stream::new(2, 3, row));
            assert!(
                e.input
                    .cutout()
                    .unwrap()
                    .pixels
                    .iter()
                    .all(|v| (0.0..=255.0).contains(v))
            );
            assert!(
                (e.truth[0..3].iter().sum::<f32>() - 1.0).abs() < 1e-4
                    && (e.truth[3] + e.truth[4] - e.truth[1]).abs() < 1e-4
            );
            smooth += e.truth[0];
            n += 1.0;
        }
        assert!((0.35..0.85).contains(&(smooth / n)), "{}", smooth / n);
        let looks = Looks {
            disc: true,
            q: 0.9,
            arms: 1.0,
            bar: 1.0,
            bulge: 0.1,
            winding: 5.5,
            count: 3,
            seen: 1.0,
            ..Looks::default()
        };
        let t = Truth::of(&looks).0;
        assert!(
            t[1] > 0.8 && t[5] > 0.8 && t[7] > 0.8 && t[33] > 0.5 && t[28] > t[30] && t[15] > t[17]
        );
        for q in QUESTIONS {
            assert!(
                (t[q.clone()].iter().sum::<f32>() - 1.0).abs() < 1e-3,
                "{q:?}"
            );
        }
    }
}
