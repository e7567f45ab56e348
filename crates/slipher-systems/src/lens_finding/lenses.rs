//! A deflector with a galaxy behind it whose arcs can be seen.

use slipher_sim::lens::image::{Grid, Source};
use slipher_sim::lens::population::{Background, Deflector, pair};
use slipher_sim::lens::rays::Rays;
use slipher_sim::lens::sie::{Sie, ellipticity};
use slipher_sim::lens::{Lens, Shear, Wave};
use slipher_sim::random::Stream;
use slipher_sim::sky::Plane;
use slipher_sim::sky::sersic::Sersic;

use super::colours::{Kind, Table};
use super::scene::{FINE, Scene};

/// Einstein radii of the training sample, arcseconds.
pub const RADII: (f64, f64) = (0.7, 4.0);
/// Half of them are this wide at least, as those that people find: the sky has many narrow ones.
const WIDE: f64 = 1.3;
/// The Einstein radius over the full width of a star in r, at least: narrower ones are not seen.
const RESOLVED: f64 = 1.0;
/// Arcs are seen if their light is so many times the noise under it, in the best band.
pub const LEAST_SNR: f64 = 20.0;
/// And stand out so far from the deflector's light, of which a twentieth is taken to be uncertain.
const LEAST_CONTRAST: f64 = 15.0;
const UNCERTAIN: f64 = 0.05;
/// And if the galaxy is so many times as bright as without the lens.
const LEAST_MAGNIFICATION: f64 = 3.0;
/// And drawn out to so many times the full width of a star: an arc, not a point beside a galaxy
/// (Collett 2015, section 3.3).
const DRAWN_OUT: f64 = 0.8;

/// Light of a lensed galaxy.
pub struct Arcs {
    /// Flux 1 without the lens, of old and young stars on the fine pixels.
    pub planes: [Plane; 2],
    /// Share of the young ones.
    pub young: f64,
    /// Light with the lens over light without.
    pub magnification: f64,
    /// S/N of all arcs in the best band.
    pub snr: f64,
    /// How far they stand out from the deflector, σ.
    pub contrast: f64,
}

/// A lens: deflector, surroundings and arcs.
pub struct System {
    /// The galaxy in front.
    pub deflector: Deflector,
    /// What is behind.
    pub source: Background,
    /// Einstein radius of the main deflector, arcseconds.
    pub einstein: f64,
    /// The middle of its light, arcseconds.
    pub centre: [f64; 2],
    /// Its light, flux 1 on the fine pixels, and its magnitudes.
    pub light: (Plane, [f64; 3]),
    /// Companions at its redshift: place, Einstein radius, magnitudes fainter.
    pub members: Vec<([f64; 2], f64, f64)>,
    /// Its arcs.
    pub arcs: Arcs,
}

/// A spheroid of n = 4 or near it, of flux 1 on the fine pixels.
pub fn spheroid(scene: &Scene, d: &Deflector, at: [f64; 2], angle: f64, rng: &mut Stream) -> Plane {
    let q = (d.q + rng.normal(0.0, 0.06)).clamp(0.25, 1.0);
    let s = Sersic {
        flux: 1.0,
        re: d.radius / q.sqrt(),
        n: rng.normal(4.0, 0.6).clamp(2.0, 6.0),
        q,
        angle: angle + rng.normal(0.0, 0.1),
        x: at[0],
        y: at[1],
    };
    let mut light = Plane::square(scene.fine_side());
    scene.profile(&s).add_within(&mut light, 20.0);
    light
}

/// Draws a lens whose arcs the survey sees.
pub fn draw(scene: &Scene, table: &Table, rng: &mut Stream) -> (System, [f64; 3]) {
    loop {
        let seeing = scene.survey.bands[1].seeing * scene.seeing;
        let (least, long) = (RESOLVED * seeing, DRAWN_OUT * seeing);
        let wide = if rng.chance(0.5) { WIDE } else { RADII.0 };
        let (least, most) = (least.max(wide), RADII.1);
        let (deflector, first, _) = pair((least, most), rng);
        let centre = [rng.normal(0.0, 0.12), rng.normal(0.0, 0.12)];
        let angle = rng.uniform(0.0, std::f64::consts::PI);
        let own = table.galaxy(Kind::Passive, deflector.z, rng);
        // Drawn when it is needed: most galaxies behind it are not seen anyway.
        let mut front: Option<Plane> = None;
        // Groups: a wider halo around the galaxy, with members.
        let group = rng.chance(0.2);
        let wider = if group {
            rng.log_uniform(1.2, 2.8)
        } else {
            1.0
        };
        let members = companions(group, centre, rng);
        let (shear, turn) = (rng.exponential(0.04).min(0.25), rng.uniform(0.0, 6.3));
        let lens = |einstein: f64, rng: &mut Stream| {
            let mut l = Lens {
                deflectors: vec![Sie {
                    einstein,
                    ellipticity: ellipticity(deflector.q, angle),
                    centre,
                }],
                shear: Shear {
                    g1: shear * f64::cos(turn),
                    g2: shear * f64::sin(turn),
                },
                waves: ripples(einstein, rng),
            };
            for (at, radius, _) in &members {
                l.deflectors.push(Sie {
                    einstein: *radius,
                    ellipticity: [0.0; 2],
                    centre: *at,
                });
            }
            l
        };
        // The deflector stays; galaxies behind it are tried until one is seen.
        for attempt in 0..40 {
            let source = if attempt == 0 {
                first
            } else {
                Background::draw(rng)
            };
            let einstein = deflector.einstein(source.z) * wider;
            if !(least..1.6 * most).contains(&einstein) {
                continue;
            }
            let c = table.galaxy(Kind::Forming, source.z, rng);
            let m = c.map(|v| source.i + v - c[2]);
            // Where it lies behind, and what a sphere would make of it: tracing is dear.
            let (r, a) = (
                einstein * rng.uniform(0.0, 1.0).sqrt(),
                rng.uniform(0.0, 6.3),
            );
            let about = 2.0 * einstein / r.max(source.radius);
            if about * source.radius < 0.7 * long {
                continue;
            }
            if point_snr(scene, m.map(|v| v - 2.5 * about.log10())) < LEAST_SNR {
                continue;
            }
            let at = [centre[0] + r * a.cos(), centre[1] + r * a.sin()];
            let l = lens(einstein, rng);
            let mut arcs = image(scene, &l, &source, at, m, rng);
            let arc = arcs.magnification * source.radius > long;
            if arcs.snr < LEAST_SNR || arcs.magnification < LEAST_MAGNIFICATION || !arc {
                continue;
            }
            let plane = front
                .take()
                .unwrap_or_else(|| spheroid(scene, &deflector, centre, angle, rng));
            let light = (plane, own.map(|v| deflector.r + v));
            arcs.contrast = contrast(scene, &arcs, m, &light);
            if arcs.contrast < LEAST_CONTRAST {
                front = Some(light.0);
            } else {
                let system = System {
                    deflector,
                    source,
                    einstein,
                    centre,
                    light,
                    members,
                    arcs,
                };
                return (system, m);
            }
        }
    }
}

/// Galaxies around the deflector: more in a group.
fn companions(group: bool, centre: [f64; 2], rng: &mut Stream) -> Vec<([f64; 2], f64, f64)> {
    let n = if group {
        1 + rng.below(5)
    } else {
        usize::from(rng.chance(0.15))
    };
    (0..n)
        .map(|_| {
            let (r, a) = (rng.uniform(1.5, 6.0), rng.uniform(0.0, 6.3));
            let fainter = rng.uniform(0.7, 3.5);
            // L ∝ σ⁴ and θ_E ∝ σ²: half as bright is 0.7 as wide.
            let radius = 1.2 * 10f64.powf(-0.2 * fainter);
            let at = [centre[0] + r * a.cos(), centre[1] + r * a.sin()];
            (at, if group { radius } else { 0.6 * radius }, fainter)
        })
        .collect()
}

/// A Gaussian random field of substructure: waves of 1 to 8″ with deflections of a few hundredths
/// of the Einstein radius.
fn ripples(einstein: f64, rng: &mut Stream) -> Vec<Wave> {
    let strength = rng.uniform(0.0, 0.03) * einstein;
    (0..10)
        .map(|_| {
            let k = std::f64::consts::TAU / rng.log_uniform(1.0, 8.0);
            let a = rng.uniform(0.0, 6.3);
            Wave {
                amplitude: rng.normal(0.0, strength) / (k * 10f64.sqrt()),
                wave: [k * a.cos(), k * a.sin()],
                phase: rng.uniform(0.0, 6.3),
            }
        })
        .collect()
}

/// S/N of a point source in the best band.
fn point_snr(scene: &Scene, m: [f64; 3]) -> f64 {
    (0..3)
        .map(|b| {
            let band = &scene.survey.bands[b];
            let area = 2.27 * scene.width(b).powi(2);
            band.electrons(m[b]) / (band.noise(scene.survey.scale) * area.sqrt())
        })
        .fold(0.0, f64::max)
}

/// The galaxy behind, with knots of young stars.
fn image(
    scene: &Scene,
    lens: &Lens,
    s: &Background,
    centre: [f64; 2],
    m: [f64; 3],
    rng: &mut Stream,
) -> Arcs {
    let turn = rng.uniform(0.0, 3.1);
    let quasar = rng.chance(0.03);
    let smooth = Source {
        brightness: 1.0,
        radius: if quasar { 0.03 } else { s.radius },
        n: rng.uniform(0.7, 1.6),
        ellipticity: ellipticity(s.q, turn),
        centre,
    };
    let knots: Vec<Source> = (0..if quasar { 0 } else { rng.below(5) })
        .map(|_| Source {
            brightness: 1.0,
            radius: s.radius * rng.uniform(0.1, 0.35),
            n: 0.7,
            ellipticity: [0.0; 2],
            centre: [0, 1].map(|k| centre[k] + rng.normal(0.0, 0.7 * s.radius)),
        })
        .collect();
    let unit = |mut s: Source, flux: f64| {
        s.brightness = flux / s.flux();
        s
    };
    let young = if knots.is_empty() {
        0.0
    } else {
        rng.uniform(0.1, 0.5)
    };
    let grid = Grid {
        side: scene.fine_side(),
        step: scene.step(),
        origin: [-0.5 * (scene.fine_side() as f64 - 1.0) * scene.step(); 2],
    };
    let rays = Rays::trace(lens, grid, 2);
    let old = rays.image(&[unit(smooth, 1.0)]);
    let each = 1.0 / knots.len().max(1) as f64;
    let bright: Vec<Source> = knots.into_iter().map(|k| unit(k, each)).collect();
    let new = rays.image(&bright);
    let total = (1.0 - young) * old.total() + young * new.total();
    // Pixels that the light is spread over, and those of the seeing.
    let spread = old.total().powi(2)
        / old
            .data
            .iter()
            .map(|v| f64::from(*v).powi(2))
            .sum::<f64>()
            .max(1e-30)
        / (FINE * FINE) as f64;
    let snr = (0..3)
        .map(|b| {
            let band = &scene.survey.bands[b];
            // Each image is as wide as the seeing at least.
            let area = spread + 2.0 * 2.27 * scene.width(b).powi(2);
            total * band.electrons(m[b]) / (band.noise(scene.survey.scale) * area.sqrt())
        })
        .fold(0.0, f64::max);
    Arcs {
        planes: [old, new],
        young,
        magnification: total,
        snr,
        contrast: 0.0,
    }
}

/// √Σ arcs² / (sky + photons + (0.05 deflector)²) over squares as wide as the seeing, all bands.
fn contrast(scene: &Scene, arcs: &Arcs, m: [f64; 3], light: &(Plane, [f64; 3])) -> f64 {
    let mut sum = 0.0;
    for b in 0..3 {
        let band = &scene.survey.bands[b];
        let k = (FINE as f64 * scene.width(b)).round().max(1.0) as usize;
        let of = |p: &Plane, m: f64| -> Vec<f64> {
            let e = band.electrons(m);
            p.binned(k).data.iter().map(|v| f64::from(*v) * e).collect()
        };
        let front = of(&light.0, light.1[b]);
        let [old, new] = [0, 1].map(|i| of(&arcs.planes[i], m[b]));
        let pixels = (k * k) as f64 / (FINE * FINE) as f64;
        let sky = band.noise(scene.survey.scale).powi(2) * pixels;
        for ((d, o), n) in front.iter().zip(old).zip(new) {
            let a = (1.0 - arcs.young) * o + arcs.young * n;
            sum += a * a / (sky + d + (UNCERTAIN * d).powi(2));
        }
    }
    sum.sqrt()
}

#[cfg(test)]
mod tests {
    use super::super::survey::LSST;
    use super::*;

    /// The light of arcs lies around the Einstein radius, and is as much as the magnification says.
    #[test]
    fn arcs_lie_around_the_einstein_radius() {
        let table = Table::new();
        let mut radii = vec![];
        for row in 0..40 {
            let mut rng = Stream::new(6, 1, row);
            let scene = Scene::new(LSST, 14.0, &mut rng);
            let (s, _) = draw(&scene, &table, &mut rng);
            let p = &s.arcs.planes[0];
            let (mut sum, mut moment) = (0.0, 0.0);
            for (i, v) in p.data.iter().enumerate() {
                let at = |k: usize| (k as f64 - scene.fine(0.0)) * scene.step();
                let r = (at(i % p.width) - s.centre[0]).hypot(at(i / p.width) - s.centre[1]);
                sum += f64::from(*v);
                moment += f64::from(*v) * r;
            }
            radii.push(moment / sum / s.einstein);
        }
        radii.sort_by(f64::total_cmp);
        assert!((0.9..1.6).contains(&radii[20]), "{}", radii[20]);
    }
}
