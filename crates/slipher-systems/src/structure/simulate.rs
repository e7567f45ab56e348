//! Galaxies with one Sérsic profile as telescopes see them, in units of pixels: half of them of any
//! telescope, half of the surveys in `surveys.toml`.

use std::sync::OnceLock;

use serde::Deserialize;
use slipher_data::cutout::Cutout;
use slipher_data::cutouts::ZERO_POINT;
use slipher_sim::lens::sie::ellipticity;
use slipher_sim::random::Stream;
use slipher_sim::sky::Plane;
use slipher_sim::sky::convolve::Transform;
use slipher_sim::sky::detector::{correlated, expose};
use slipher_sim::sky::psf::Psf;
use slipher_sim::sky::sersic::Sersic;

use crate::example::{Example, Observation};

/// A survey as a file names it.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Survey {
    /// As on the command line.
    pub name: String,
    /// Arcseconds a pixel.
    pub scale: f64,
    /// Full width of a star at half maximum, arcseconds: least and largest.
    pub fwhm: [f64; 2],
    /// Moffat's exponent.
    pub beta: f64,
    /// AB magnitude of one unit of flux.
    pub zero: f64,
    /// AB magnitude of 1 σ of the noise of a pixel.
    pub sky: f64,
    /// Electrons in one unit of flux.
    pub electrons: f64,
    /// Brightest and faintest.
    pub magnitudes: [f64; 2],
    /// log₁₀ of the half-light radius in arcseconds at magnitude 22.
    pub size: f64,
    /// Its change with the magnitude.
    pub slope: f64,
    /// Its scatter.
    pub scatter: f64,
}

#[derive(Deserialize)]
struct Surveys {
    survey: Vec<Survey>,
}

/// The surveys.
pub fn surveys() -> &'static [Survey] {
    static ALL: OnceLock<Vec<Survey>> = OnceLock::new();
    let read = || toml::from_str::<Surveys>(include_str!("surveys.toml")).map(|s| s.survey);
    // A test reads the file: it is part of the program.
    ALL.get_or_init(|| read().unwrap_or_default())
}

/// What is drawn before the galaxy: a telescope.
#[derive(Clone, Debug)]
pub struct Telescope {
    /// Arcseconds a pixel; NaN where the file does not say.
    pub scale: f64,
    /// Without the pixel.
    pub psf: Psf,
    /// Share of light in wings three times as wide.
    pub wings: f64,
    /// Electrons of the sky in a pixel: their root is its noise.
    pub sky: f64,
    /// Electrons in one unit of flux, and the AB magnitude of one.
    pub unit: (f64, f64),
    /// Mixing of neighbouring pixels by resampling.
    pub mix: f32,
}

/// A galaxy on the pixels of its stamp, flux in electrons.
#[derive(Clone, Copy, Debug)]
pub struct Galaxy {
    /// Its centre counts from the middle of the stamp.
    pub profile: Sersic,
    /// Half of its light over the noise within the half-light ellipse.
    pub snr: f64,
}

/// Pixels along a side around the middle that are drawn finely.
const FINE: usize = 96;
/// Pixels of a block beyond it.
const BLOCK: usize = 4;

impl Telescope {
    /// Of any kind.
    pub fn any(rng: &mut Stream) -> Telescope {
        let fwhm = rng.log_uniform(1.3, 7.0);
        let beta = rng.uniform(2.2, 5.0);
        let sky = rng.log_uniform(3.0, 3000.0);
        let unit = rng.log_uniform(1.0, 3000.0);
        Telescope {
            scale: rng.log_uniform(0.03, 0.4),
            psf: shaped(fwhm, beta, rng),
            wings: if rng.chance(0.4) {
                rng.uniform(0.05, 0.3)
            } else {
                0.0
            },
            sky,
            unit: (unit, rng.uniform(22.0, 28.0)),
            mix: if rng.chance(0.25) {
                rng.uniform(0.1, 0.4) as f32
            } else {
                0.0
            },
        }
    }

    /// Of a survey.
    pub fn of(s: &Survey, rng: &mut Stream) -> Telescope {
        let fwhm = rng.uniform(s.fwhm[0], s.fwhm[1]) / s.scale;
        let sigma = 10f64.powf(-0.4 * (s.sky - s.zero));
        Telescope {
            scale: s.scale,
            psf: shaped(fwhm, s.beta, rng),
            wings: 0.0,
            sky: (sigma * s.electrons).powi(2),
            unit: (s.electrons, s.zero),
            mix: 0.0,
        }
    }

    /// Pixels of the image along one of the fine ones.
    fn finer(&self) -> usize {
        if self.psf.fwhm < 2.6 { 2 } else { 1 }
    }

    fn transform(&self, k: usize, side: usize) -> Transform {
        let fine = |width: f64| Psf {
            fwhm: width * self.psf.fwhm * k as f64,
            ..self.psf.clone()
        };
        let core = Transform::of_psf(&fine(1.0), k * side);
        if self.wings == 0.0 {
            return core;
        }
        core.mixed(&Transform::of_psf(&fine(3.0), k * side), self.wings as f32)
    }

    /// A star as the detector sees it: 41 × 41 pixels.
    pub fn star(&self) -> Plane {
        let mut p = Plane::square(41);
        self.psf.add(&mut p, 20.0, 20.0, 1.0 - self.wings);
        let wide = Psf {
            fwhm: 3.0 * self.psf.fwhm,
            ..self.psf.clone()
        };
        if self.wings > 0.0 {
            wide.add(&mut p, 20.0, 20.0, self.wings);
        }
        p
    }
}

fn shaped(fwhm: f64, beta: f64, rng: &mut Stream) -> Psf {
    let mut psf = if rng.chance(0.15) {
        Psf::gaussian(fwhm)
    } else {
        Psf::moffat(fwhm, beta)
    };
    psf.q = 1.0 - rng.exponential(0.03).min(0.15);
    psf.angle = rng.uniform(0.0, std::f64::consts::PI);
    psf
}

/// Noise in the half-light ellipse of a galaxy through a telescope, electrons.
fn noise(s: &Sersic, t: &Telescope) -> f64 {
    let area = std::f64::consts::PI * (s.re * s.re * s.q + 0.25 * t.psf.fwhm.powi(2));
    (t.sky * area + 0.5 * s.flux).sqrt()
}

/// Shape and place of a galaxy of this half-light radius.
fn galaxy(re: f64, flux: f64, rng: &mut Stream) -> Sersic {
    let n = if rng.chance(0.5) {
        10f64.powf(rng.normal(0.03, 0.14)).clamp(0.3, 8.0)
    } else {
        rng.log_uniform(0.35, 8.0)
    };
    Sersic {
        flux,
        re,
        n,
        q: 1.0 - 0.9 * rng.uniform(0.0, 1.0).powf(1.2),
        angle: rng.uniform(0.0, std::f64::consts::PI),
        x: rng.normal(0.0, 0.6).clamp(-3.0, 3.0),
        y: rng.normal(0.0, 0.6).clamp(-3.0, 3.0),
    }
}

impl Galaxy {
    /// Of any brightness and size.
    pub fn any(t: &Telescope, rng: &mut Stream) -> Galaxy {
        let re = rng.log_uniform(0.5, 45.0);
        let snr = rng.log_uniform(7.0, 2500.0);
        let mut s = galaxy(re, 1.0, rng);
        // Of its flux half is in the ellipse: 0.5 F = snr √(sky + 0.5 F).
        let dark = noise(&Sersic { flux: 0.0, ..s }, t);
        s.flux = snr * (snr + (snr * snr + 4.0 * dark * dark).sqrt());
        Galaxy { profile: s, snr }
    }

    /// As a survey sees them, evenly over its magnitudes.
    pub fn of(survey: &Survey, t: &Telescope, rng: &mut Stream) -> Galaxy {
        let magnitude = rng.uniform(survey.magnitudes[0], survey.magnitudes[1]);
        let size = survey.size + survey.slope * (magnitude - 22.0);
        let re = 10f64.powf(rng.normal(size, survey.scatter)) / survey.scale;
        let flux = survey.electrons * 10f64.powf(-0.4 * (magnitude - survey.zero));
        let s = galaxy(re.clamp(0.4, 60.0), flux, rng);
        Galaxy {
            profile: s,
            snr: 0.5 * flux / noise(&s, t),
        }
    }
}

/// What lies beside a galaxy, on the pixels of a stamp of this side.
fn neighbours(g: &Galaxy, side: usize, rng: &mut Stream) -> Vec<Sersic> {
    let far = 0.5 * side as f64;
    let mean = if rng.chance(0.3) {
        0.0
    } else {
        1.2 * (side as f64 / 64.0).powi(2)
    };
    let mut all = vec![];
    let mut left = rng.exponential(1.0);
    while left < mean && all.len() < 8 {
        left += rng.exponential(1.0);
        let (x, y) = (rng.uniform(-far, far), rng.uniform(-far, far));
        if x.hypot(y) < (1.2 * g.profile.re).max(6.0) {
            continue;
        }
        let re = (g.profile.re * rng.log_uniform(0.15, 1.0)).clamp(0.3, 25.0);
        let flux = g.profile.flux * rng.log_uniform(0.02, 2.0);
        let s = galaxy(re, flux, rng);
        all.push(Sersic { x, y, ..s });
    }
    all
}

/// Half-light radius, pixels, from which a profile is smooth.
const SMOOTH: f64 = 4.0;

/// Of the noise of a pixel, flux that is too faint to be drawn.
const FAINT: f64 = 0.03;

/// Light of profiles on a stamp: finely around the middle, in blocks beyond.
fn light(all: &[Sersic], t: &Telescope, side: usize) -> Plane {
    // Half-light radii within which a profile is drawn: what is beyond them is lost in the noise.
    let reach = |s: &Sersic| s.extent(FAINT * t.sky.sqrt());
    let inner = side.min(FINE);
    let k = t.finer();
    // What is smooth needs no finer pixels than the image's.
    let mut planes = [Plane::square(inner), Plane::square(k * inner)];
    for s in all {
        // The middle of the stamp is that of the plane.
        let mid = 0.5 * (inner as f64 - 1.0);
        let own = Sersic {
            x: s.x + mid,
            y: s.y + mid,
            ..*s
        };
        let reach = reach(&own);
        let near = |v: f64| v.abs() < mid + reach * own.re + 10.0;
        if near(s.x) && near(s.y) {
            let f = if own.re * own.q.sqrt() < SMOOTH { k } else { 1 };
            let plane = &mut planes[usize::from(f == k)];
            own.finer(f as f64).add_within(plane, reach);
        }
    }
    let through = |p: &Plane, f: usize| {
        let seen = Transform::observe(&[(&Transform::of(p), 1.0)], &t.transform(f, inner));
        if f == 1 { seen } else { seen.binned(f) }
    };
    let mut seen = through(&planes[1], k);
    if planes[0].data.iter().any(|v| *v != 0.0) {
        let smooth = through(&planes[0], 1);
        seen.data
            .iter_mut()
            .zip(&smooth.data)
            .for_each(|(a, b)| *a += b);
    }
    if inner == side {
        return seen;
    }
    let blocks = side / BLOCK;
    let mut coarse = Plane::square(blocks);
    for s in all {
        let f = BLOCK as f64;
        let mid = 0.5 * (blocks as f64 - 1.0);
        let far = s.x.abs().max(s.y.abs()) + reach(s) * s.re;
        if far < 0.5 * inner as f64 {
            continue;
        }
        // Seen in blocks only: small ones are as large as a block.
        let small = Sersic {
            re: s.re.max(1.5 * f) / f,
            q: s.q.max(0.3),
            x: s.x / f + mid,
            y: s.y / f + mid,
            ..*s
        };
        small.add_within(&mut coarse, reach(s) * s.re / (f * small.re));
    }
    let share = 1.0 / (BLOCK * BLOCK) as f32;
    let edge = (side - inner) / 2;
    let mut out = Plane::square(side);
    for (i, v) in out.data.iter_mut().enumerate() {
        let (y, x) = (i / side, i % side);
        let inside = (edge..edge + inner).contains(&y) && (edge..edge + inner).contains(&x);
        *v = if inside {
            seen.at(y - edge, x - edge)
        } else {
            share * coarse.at(y / BLOCK, x / BLOCK)
        };
    }
    out
}

/// A galaxy of any kind, or of a survey.
pub fn draw(survey: Option<&Survey>, rng: &mut Stream) -> Example {
    let chosen = survey.or_else(|| {
        let all = surveys();
        (rng.chance(0.5) && !all.is_empty()).then(|| &all[rng.below(all.len())])
    });
    let (t, g) = match chosen {
        Some(s) => {
            let t = Telescope::of(s, rng);
            let g = Galaxy::of(s, &t, rng);
            (t, g)
        }
        None => {
            let t = Telescope::any(rng);
            let g = Galaxy::any(&t, rng);
            (t, g)
        }
    };
    let least = ((5.0 * g.profile.re) as usize).min(256);
    let room: Vec<usize> = [64, 64, 96, 128, 192, 256]
        .into_iter()
        .filter(|s| *s >= least)
        .collect();
    let side = room[rng.below(room.len())];
    observed(&t, &g, side, survey.is_none(), rng)
}

/// A galaxy as a telescope sees it, on a stamp of this side; with what training has beside.
pub fn observed(
    t: &Telescope,
    g: &Galaxy,
    side: usize,
    trouble: bool,
    rng: &mut Stream,
) -> Example {
    let others = neighbours(g, side, rng);
    let mut all = vec![g.profile];
    all.extend(&others);
    let mut plane = light(&all, t, side);
    if t.mix > 0.0 {
        let white = correlated(side, side, t.mix, rng);
        for (v, z) in plane.data.iter_mut().zip(&white.data) {
            *v += (t.sky + f64::from(v.max(0.0))).sqrt() as f32 * z;
        }
    } else {
        photons(&mut plane, t.sky, rng);
    }
    let unit = 1.0 / t.unit.0;
    // What subtraction of the sky left.
    let offset = rng.normal(0.0, 0.06) * t.sky.sqrt() + if rng.chance(0.2) { t.sky } else { 0.0 };
    let pixels: Vec<f32> = plane
        .data
        .iter()
        .map(|v| ((f64::from(*v) + offset) * unit) as f32)
        .collect();
    let mut c = Cutout {
        pixel_scale: t.scale,
        bands: vec![String::new()],
        height: side,
        width: side,
        pixels,
        ra: f64::NAN,
        dec: f64::NAN,
        ..Cutout::default()
    };
    c.survey.push((ZERO_POINT.to_owned(), t.unit.1));
    if rng.chance(0.5) {
        let of = |v: &f32| ((t.sky + f64::from(v.max(0.0))) * unit * unit) as f32;
        c.variance = plane.data.iter().map(of).collect();
    }
    if !trouble || rng.chance(0.9) {
        let star = t.star();
        c.psf = (star.height, star.width, star.data);
    }
    if trouble && rng.chance(0.4) {
        c.mask = masked(&others, side);
    }
    let sigma = crate::stamp::ground(&c).1;
    let s = &g.profile;
    let [e1, e2] = ellipticity(s.q, s.angle);
    let truth = [
        (s.flux * unit / f64::from(sigma).max(1e-30)).log10(),
        s.x,
        s.y,
        s.re.log10(),
        s.n.log10(),
        e1,
        e2,
    ];
    c.survey.push(("snr".into(), g.snr));
    Example {
        truth: truth.iter().map(|v| *v as f32).collect(),
        depth: g.snr as f32,
        input: Observation::Cutout(c),
    }
}

/// Noise of source and sky, electrons: Poisson's law around the middle, its normal limit beyond, where
/// pixels are seen in blocks.
fn photons(plane: &mut Plane, sky: f64, rng: &mut Stream) {
    let n = plane.width;
    if n > FINE {
        let edge = (n - FINE) / 2;
        let mut middle = plane.middle(FINE);
        expose(&mut middle, sky, 0.0, rng);
        for v in &mut plane.data {
            *v += (sky + f64::from(v.max(0.0))).sqrt() as f32 * rng.normal_f32();
        }
        for (y, row) in middle.data.chunks_exact(FINE).enumerate() {
            plane.data[(y + edge) * n + edge..][..FINE].copy_from_slice(row);
        }
    } else {
        expose(plane, sky, 0.0, rng);
    }
}

/// Discs over neighbours, as a segmentation map has them.
fn masked(others: &[Sersic], side: usize) -> Vec<u8> {
    let mid = 0.5 * (side as f64 - 1.0);
    let inside = |i: usize| {
        let (y, x) = ((i / side) as f64 - mid, (i % side) as f64 - mid);
        // The target's own middle is never masked.
        x.hypot(y) > 4.0
            && others
                .iter()
                .any(|o| (x - o.x).hypot(y - o.y) < (2.2 * o.re).max(3.0))
    };
    (0..side * side).map(|i| u8::from(inside(i))).collect()
}
