//! Lenses for the models: singular isothermal ellipsoids with shear, their own light, and sources of
//! one Sérsic profile with clumps, on the pixels that the network sees.

use slipher_data::cutout::Cutout;
use slipher_sim::lens::image::{Grid, Source};
use slipher_sim::lens::rays::Rays;
use slipher_sim::lens::sie::{Sie, ellipticity};
use slipher_sim::lens::{Lens, Shear, Wave};
use slipher_sim::random::Stream;
use slipher_sim::sky::Plane;
use slipher_sim::sky::convolve::Transform;
use slipher_sim::sky::detector::{correlated, expose};
use slipher_sim::sky::psf::Psf;
use slipher_sim::sky::sersic::Sersic;

use super::encode::SIDE;
use crate::example::{Example, Observation};

/// A lens on pixels from the middle of the stamp.
#[derive(Clone, Debug)]
pub struct Drawn {
    /// Mass.
    pub lens: Lens,
    /// Main source first, then its clumps.
    pub sources: Vec<Source>,
    /// Light of the deflector; flux 0 where it is subtracted.
    pub light: Sersic,
    /// Point-spread function, pixels.
    pub psf: Psf,
    /// Electrons of the sky in a pixel.
    pub sky: f64,
    /// Mixing of neighbouring pixels by resampling.
    pub mix: f32,
}

impl Drawn {
    /// A lens of the prior.
    pub fn new(rng: &mut Stream) -> Drawn {
        let einstein = rng.log_uniform(4.5, 30.0);
        let q = rng.normal(0.78, 0.14).clamp(0.35, 0.99);
        let angle = rng.uniform(0.0, std::f64::consts::PI);
        let centre = [rng.normal(0.0, 0.7), rng.normal(0.0, 0.7)];
        let shear = rng.exponential(0.045).min(0.2);
        let (sin, cos) = rng.uniform(0.0, std::f64::consts::TAU).sin_cos();
        let mut lens = Lens {
            deflectors: vec![Sie {
                einstein,
                ellipticity: ellipticity(q, angle),
                centre,
            }],
            shear: Shear {
                g1: shear * cos,
                g2: shear * sin,
            },
            ..Lens::default()
        };
        if rng.chance(0.3) {
            // What smooth models do not have.
            for _ in 0..4 {
                let k = rng.uniform(0.15, 1.0) / einstein.sqrt();
                let (s, c) = rng.uniform(0.0, std::f64::consts::TAU).sin_cos();
                lens.waves.push(Wave {
                    amplitude: rng.normal(0.0, 0.01) / (k * k),
                    wave: [k * c, k * s],
                    phase: rng.uniform(0.0, std::f64::consts::TAU),
                });
            }
        }
        let mut d = Drawn {
            sources: source(einstein, centre, rng),
            light: light(einstein, q, angle, centre, rng),
            psf: Psf::moffat(rng.log_uniform(0.9, 3.6), rng.uniform(2.5, 5.0)),
            sky: rng.log_uniform(5.0, 2000.0),
            mix: if rng.chance(0.3) {
                rng.uniform(0.1, 0.4) as f32
            } else {
                0.0
            },
            lens,
        };
        d.psf.q = 1.0 - rng.exponential(0.02).min(0.1);
        d.psf.angle = rng.uniform(0.0, std::f64::consts::PI);
        d.brighten(rng);
        d
    }

    /// Arcs of a drawn S/N, the deflector in proportion to them.
    fn brighten(&mut self, rng: &mut Stream) {
        let arcs = self.arcs().total().max(1e-9);
        let einstein = self.lens.deflectors[0].einstein;
        let area = std::f64::consts::TAU * einstein * (2.0 + self.psf.fwhm);
        let snr = rng.log_uniform(12.0, 300.0);
        // In the pixels of a ring: arcs = snr √(sky · area + arcs).
        let want = 0.5 * snr * (snr + (snr * snr + 4.0 * self.sky * area).sqrt());
        let k = want / arcs;
        self.sources.iter_mut().for_each(|s| s.brightness *= k);
        let subtracted = rng.chance(0.2);
        self.light.flux = if subtracted {
            0.0
        } else {
            want * rng.log_uniform(0.5, 60.0)
        };
    }

    /// The lensed sources before the telescope.
    pub fn arcs(&self) -> Plane {
        Rays::trace(&self.lens, Grid::around(SIDE, 1.0), 1).image(&self.sources)
    }

    /// Flux of the arcs over that of the sources.
    pub fn magnification(&self, arcs: &Plane) -> f64 {
        let own: f64 = self.sources.iter().map(Source::flux).sum();
        arcs.total() / own.max(1e-300)
    }
}

fn source(einstein: f64, [x, y]: [f64; 2], rng: &mut Stream) -> Vec<Source> {
    // Evenly over the disc, a third near the middle.
    let far = if rng.chance(0.33) { 0.25 } else { 0.75 };
    let r = far * einstein * rng.uniform(0.0, 1.0).sqrt();
    let (sin, cos) = rng.uniform(0.0, std::f64::consts::TAU).sin_cos();
    let centre = [x + r * cos, y + r * sin];
    let radius = (einstein * rng.log_uniform(0.05, 0.45)).max(0.5);
    let e = ellipticity(
        rng.uniform(0.35, 1.0),
        rng.uniform(0.0, std::f64::consts::PI),
    );
    let main = Source {
        brightness: 1.0,
        radius,
        n: rng.log_uniform(0.5, 3.0),
        ellipticity: e,
        centre,
    };
    let mut all = vec![main];
    if rng.chance(0.4) {
        for _ in 0..1 + rng.below(4) {
            all.push(Source {
                brightness: rng.uniform(0.3, 3.0),
                radius: (radius * rng.uniform(0.1, 0.4)).max(0.25),
                n: 1.0,
                ellipticity: [0.0; 2],
                centre: [
                    centre[0] + rng.normal(0.0, 0.7 * radius),
                    centre[1] + rng.normal(0.0, 0.7 * radius),
                ],
            });
        }
    }
    all
}

/// Light follows mass, nearly.
fn light(einstein: f64, q: f64, angle: f64, [x, y]: [f64; 2], rng: &mut Stream) -> Sersic {
    Sersic {
        flux: 1.0,
        re: (einstein * rng.log_uniform(0.35, 2.5)).clamp(2.0, 40.0),
        n: rng.normal(4.0, 1.0).clamp(1.5, 6.5),
        q: (q + rng.normal(0.0, 0.08)).clamp(0.4, 0.99),
        angle: angle + rng.normal(0.0, 0.15),
        x: x + rng.normal(0.0, 0.2),
        y: y + rng.normal(0.0, 0.2),
    }
}

/// A lens as a telescope sees it.
pub fn draw(rng: &mut Stream) -> Example {
    let d = loop {
        let d = Drawn::new(rng);
        let arcs = d.arcs();
        // What is hardly lensed or leaves the stamp is no lens that anyone models.
        let edge: f64 = border(&arcs);
        if d.magnification(&arcs) >= 2.0 && edge < 0.03 * arcs.total() {
            break d;
        }
    };
    observed(&d, rng)
}

fn border(p: &Plane) -> f64 {
    let n = p.width;
    let outer = |i: usize| {
        let (y, x) = (i / n, i % n);
        y < 3 || x < 3 || y + 3 >= n || x + 3 >= n
    };
    (0..n * n)
        .filter(|i| outer(*i))
        .map(|i| f64::from(p.data[i]))
        .sum()
}

/// The stamp and its truth.
pub fn observed(d: &Drawn, rng: &mut Stream) -> Example {
    let arcs = d.arcs();
    let mut plane = arcs.clone();
    let mid = 0.5 * (SIDE as f64 - 1.0);
    let on_plane = |s: &Sersic| Sersic {
        x: s.x + mid,
        y: s.y + mid,
        ..*s
    };
    if d.light.flux > 0.0 {
        on_plane(&d.light).add(&mut plane);
    } else {
        // A subtraction leaves some of it.
        let mut left = d.light;
        left.flux = arcs.total() * rng.normal(0.0, 0.06);
        left.re *= 0.5;
        on_plane(&left).add(&mut plane);
    }
    let masked = rng.chance(0.5);
    let beside = neighbours(d, rng);
    beside
        .iter()
        .for_each(|s| on_plane(s).add_within(&mut plane, 8.0));
    let transform = Transform::of_psf(&d.psf, SIDE);
    let mut seen = Transform::observe(&[(&Transform::of(&plane), 1.0)], &transform);
    let counts = seen.clone();
    if d.mix > 0.0 {
        let white = correlated(SIDE, SIDE, d.mix, rng);
        for (v, z) in seen.data.iter_mut().zip(&white.data) {
            *v += (d.sky + f64::from(v.max(0.0))).sqrt() as f32 * z;
        }
    } else {
        expose(&mut seen, d.sky, 0.2 * d.sky.sqrt(), rng);
    }
    let mut c = Cutout {
        ra: f64::NAN,
        dec: f64::NAN,
        bands: vec![String::new()],
        height: SIDE,
        width: SIDE,
        pixels: seen.data,
        pixel_scale: f64::NAN,
        ..Cutout::default()
    };
    let variance = |v: &f32| (d.sky + f64::from(v.max(0.0))) as f32;
    if rng.chance(0.5) {
        c.variance = counts.data.iter().map(variance).collect();
    }
    if rng.chance(0.85) {
        let mut star = Plane::square(31);
        d.psf.add(&mut star, 15.0, 15.0, 1.0);
        c.psf = (31, 31, star.data);
    }
    if masked {
        c.mask = mask(&beside);
    }
    let [main, ..] = d.sources.as_slice() else {
        return nothing(c);
    };
    let own = &d.lens.deflectors[0];
    let truth = [
        own.einstein.log10(),
        own.ellipticity[0],
        own.ellipticity[1],
        own.centre[0],
        own.centre[1],
        d.lens.shear.g1,
        d.lens.shear.g2,
        main.centre[0] - own.centre[0],
        main.centre[1] - own.centre[1],
        main.radius.log10(),
        d.magnification(&arcs).log10(),
    ];
    let flux = arcs.total();
    let area = std::f64::consts::TAU * own.einstein * (2.0 + d.psf.fwhm);
    Example {
        truth: truth.iter().map(|v| *v as f32).collect(),
        depth: (flux / (d.sky * area + flux).sqrt()) as f32,
        input: Observation::Cutout(c),
    }
}

fn nothing(c: Cutout) -> Example {
    Example {
        truth: vec![0.0; super::OUTPUTS.len()],
        depth: 0.0,
        input: Observation::Cutout(c),
    }
}

/// Galaxies beside a lens, outside of its ring.
fn neighbours(d: &Drawn, rng: &mut Stream) -> Vec<Sersic> {
    let mut all = vec![];
    let far = 0.5 * SIDE as f64;
    let einstein = d.lens.deflectors[0].einstein;
    for _ in 0..rng.below(4) {
        let (x, y) = (rng.uniform(-far, far), rng.uniform(-far, far));
        if x.hypot(y) < 1.5 * einstein + 4.0 {
            continue;
        }
        all.push(Sersic {
            flux: d.sky.sqrt() * rng.log_uniform(20.0, 2000.0),
            re: rng.log_uniform(0.8, 5.0),
            n: rng.log_uniform(0.7, 4.0),
            q: rng.uniform(0.3, 1.0),
            angle: rng.uniform(0.0, std::f64::consts::PI),
            x,
            y,
        });
    }
    all
}

fn mask(beside: &[Sersic]) -> Vec<u8> {
    let mid = 0.5 * (SIDE as f64 - 1.0);
    let inside = |i: usize| {
        let (y, x) = ((i / SIDE) as f64 - mid, (i % SIDE) as f64 - mid);
        beside
            .iter()
            .any(|o| (x - o.x).hypot(y - o.y) < (2.5 * o.re).max(3.0))
    };
    (0..SIDE * SIDE).map(|i| u8::from(inside(i))).collect()
}
