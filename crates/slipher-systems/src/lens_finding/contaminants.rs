//! What is taken for a lens: galaxies with blue companions or red satellites, spirals, rings,
//! mergers, edge-on discs, blends, stars.

use slipher_sim::lens::population::Background;
use slipher_sim::random::Stream;
use slipher_sim::sky::galaxy::{Arms, Galaxy};
use slipher_sim::sky::sersic::Sersic;

use super::colours::{Kind, Table};
use super::lenses;
use super::scene::Scene;

const PI: f64 = std::f64::consts::PI;

/// Adds an object of a family in the middle; its r magnitude.
pub fn add(family: &str, scene: &mut Scene, table: &Table, rng: &mut Stream) -> f64 {
    let at = [rng.normal(0.0, 0.12), rng.normal(0.0, 0.12)];
    match family {
        "star" => {
            let r = rng.uniform(15.5, 22.0);
            let c = table.star(rng);
            scene.add_star(at, c.map(|v| r + v));
            r
        }
        "any galaxy" => {
            let b = Background {
                i: rng.uniform(18.5, 22.5),
                ..Background::draw(rng)
            };
            let z = (0.11 * 10f64.powf(0.125 * (b.i - 18.0) + rng.normal(0.0, 0.15))).min(2.0);
            field_galaxy(scene, table, &Background::of(z, b.i, rng), at, rng)
        }
        "blend" => {
            let n = 2 + rng.below(2);
            let mut brightest = f64::INFINITY;
            for _ in 0..n {
                let (i, z) = (rng.uniform(19.0, 22.5), rng.uniform(0.15, 0.9));
                let near = [0, 1].map(|k| at[k] + rng.normal(0.0, 0.9));
                let b = Background::of(z, i, rng);
                brightest = brightest.min(field_galaxy(scene, table, &b, near, rng));
            }
            brightest
        }
        "merger" => merger(scene, table, at, rng),
        "edge-on disc" => disc(scene, table, at, Look::EdgeOn, rng),
        "ring" => disc(scene, table, at, Look::Ring, rng),
        _ => disc(scene, table, at, Look::Spiral, rng),
    }
}

/// A galaxy of the field: passive ones are spheroids, the others discs. Its r magnitude.
pub fn field_galaxy(
    scene: &mut Scene,
    table: &Table,
    b: &Background,
    at: [f64; 2],
    rng: &mut Stream,
) -> f64 {
    let passive = b.z < 1.3 && rng.chance(if b.i < 22.0 { 0.4 } else { 0.15 });
    let kind = if passive {
        Kind::Passive
    } else {
        Kind::Forming
    };
    let c = table.galaxy(kind, b.z, rng);
    let m = c.map(|v| b.i + v - c[2]);
    let s = Sersic {
        flux: 1.0,
        re: b.radius / b.q.sqrt(),
        n: if passive {
            rng.uniform(2.5, 4.5)
        } else {
            rng.uniform(0.7, 1.8)
        },
        q: b.q,
        angle: rng.uniform(0.0, PI),
        x: at[0],
        y: at[1],
    };
    scene.add_profile(&s, m);
    m[1]
}

/// Blue galaxies around an early-type one, where arcs would be and as bright as they would be; some
/// lie along the circle, as arcs do, but alone, or bend the wrong way.
pub fn blue_companions(
    scene: &mut Scene,
    table: &Table,
    l: &lenses::System,
    m: [f64; 3],
    rng: &mut Stream,
) {
    let n = 1 + rng.below(4);
    let share = l.arcs.magnification / n as f64;
    for _ in 0..n {
        let (r, a) = (
            l.einstein * rng.uniform(0.8, 1.9),
            rng.uniform(0.0, 2.0 * PI),
        );
        let at = [l.centre[0] + r * a.cos(), l.centre[1] + r * a.sin()];
        // As bright as the image that a lens would make, in its colours or in others'.
        let own = table.galaxy(Kind::Forming, rng.uniform(0.2, 2.0), rng);
        let like = rng.chance(0.5);
        let i = m[2] - 2.5 * share.log10() + rng.normal(0.0, 0.5);
        let m = if like {
            [i + m[0] - m[2], i + m[1] - m[2], i]
        } else {
            own.map(|v| i + v - own[2])
        };
        let along = rng.chance(0.25);
        let q = if along {
            rng.uniform(0.2, 0.5)
        } else {
            rng.uniform(0.3, 1.0)
        };
        let s = Sersic {
            flux: 1.0,
            re: (l.source.radius * rng.log_uniform(0.7, 2.0)).min(1.2) / q.sqrt(),
            n: rng.uniform(0.7, 1.6),
            q,
            angle: if along {
                a + 0.5 * PI
            } else {
                rng.uniform(0.0, PI)
            },
            x: at[0],
            y: at[1],
        };
        scene.add_profile(&s, m);
    }
}

/// Small galaxies of the same redshift near an early-type one.
pub fn red_satellites(scene: &mut Scene, table: &Table, l: &lenses::System, rng: &mut Stream) {
    for _ in 0..1 + rng.below(4) {
        let (r, a) = (rng.uniform(0.8, 4.0), rng.uniform(0.0, 2.0 * PI));
        let c = table.galaxy(Kind::Passive, l.deflector.z, rng);
        let fainter = rng.uniform(1.0, 4.0);
        let q = rng.uniform(0.4, 1.0);
        let s = Sersic {
            flux: 1.0,
            re: l.deflector.radius * 10f64.powf(-0.2 * fainter) / q.sqrt(),
            n: rng.uniform(1.5, 4.0),
            q,
            angle: rng.uniform(0.0, PI),
            x: l.centre[0] + r * a.cos(),
            y: l.centre[1] + r * a.sin(),
        };
        scene.add_profile(&s, c.map(|v| l.deflector.r + fainter + v));
    }
}

/// How a disc looks.
#[derive(Clone, Copy, PartialEq)]
enum Look {
    Spiral,
    Ring,
    EdgeOn,
}

/// A red bulge in a blue disc with arms, a ring or seen from its edge.
fn disc(scene: &mut Scene, table: &Table, at: [f64; 2], look: Look, rng: &mut Stream) -> f64 {
    let r = rng.uniform(16.5, 21.8);
    let z = (0.11 * 10f64.powf(0.13 * (r - 18.0) + rng.normal(0.0, 0.15))).clamp(0.02, 0.8);
    // Half-light radius by magnitude, as in the field but with a tail of large ones.
    let re = 10f64
        .powf(0.15 - 0.1 * (r - 19.0) + rng.normal(0.0, 0.18))
        .clamp(0.5, 4.5);
    let q = match look {
        Look::EdgeOn => rng.uniform(0.1, 0.25),
        _ => rng.uniform(0.35, 1.0),
    };
    let whole = Sersic {
        flux: 1.0,
        re,
        n: 1.0,
        q,
        angle: rng.uniform(0.0, PI),
        x: at[0],
        y: at[1],
    };
    let bulge = match look {
        Look::Ring => rng.uniform(0.2, 0.7),
        _ => rng.uniform(0.03, 0.55),
    };
    let disc = scene.profile(&whole);
    let spheroid = Sersic {
        re: disc.re * rng.uniform(0.12, 0.45),
        n: rng.uniform(2.0, 4.0),
        q: q.max(rng.uniform(0.6, 1.0)),
        ..disc
    };
    let mut g = Galaxy {
        spheroids: vec![spheroid],
        disc: Some(disc),
        ..Galaxy::default()
    };
    match look {
        Look::Spiral => {
            let handed = if rng.chance(0.5) { 1.0 } else { -1.0 };
            g.arms = Some(Arms {
                count: 1 + rng.weighted(&[0.1, 0.6, 0.2, 0.1]),
                strength: rng.uniform(0.3, 1.4),
                winding: handed * rng.uniform(2.0, 9.0),
                phase: rng.uniform(0.0, 6.3),
                patchy: rng.uniform(0.0, 0.8),
            });
        }
        Look::Ring => {
            g.ring = Some((
                rng.uniform(0.9, 2.0),
                rng.uniform(0.08, 0.3),
                rng.uniform(0.4, 3.0),
            ));
        }
        Look::EdgeOn => {
            if rng.chance(0.5) {
                g.lane = Some((rng.uniform(0.3, 0.9), rng.uniform(0.6, 2.0)));
            }
        }
    }
    if rng.chance(0.4) && look != Look::EdgeOn {
        for _ in 0..1 + rng.below(6) {
            let (rho, a) = (re * rng.uniform(0.4, 1.8), rng.uniform(0.0, 2.0 * PI));
            let place = |k: usize, v: f64| scene.fine(at[k] + v);
            let (x, y) = (
                place(0, rho * a.cos()),
                place(1, rho * q.max(0.4) * a.sin()),
            );
            g.clumps.push((x, y, rng.log_uniform(0.005, 0.06), 2.0));
        }
    }
    let [old, young] = g.planes(scene.fine_side());
    let (red, blue) = (
        table.galaxy(Kind::Passive, z, rng),
        table.galaxy(Kind::Forming, z, rng),
    );
    let share = |s: f64| r - 2.5 * s.log10();
    scene.add(&old, red.map(|v| share(bulge) + v));
    scene.add(&young, blue.map(|v| share(1.0 - bulge) + v));
    r
}

/// Two galaxies of one redshift in touch, with a tidal arm.
fn merger(scene: &mut Scene, table: &Table, at: [f64; 2], rng: &mut Stream) -> f64 {
    let r = rng.uniform(17.5, 21.5);
    let z = rng.uniform(0.05, 0.6);
    let apart = rng.uniform(0.8, 3.0);
    let a = rng.uniform(0.0, 2.0 * PI);
    let kinds = [Kind::Passive, Kind::Forming];
    for sign in [-0.5, 0.5] {
        let c = table.galaxy(kinds[rng.below(2)], z, rng);
        let q = rng.uniform(0.4, 1.0);
        let s = Sersic {
            flux: 1.0,
            re: rng.log_uniform(0.3, 1.4),
            n: rng.uniform(0.8, 4.0),
            q,
            angle: rng.uniform(0.0, PI),
            x: at[0] + sign * apart * a.cos(),
            y: at[1] + sign * apart * a.sin(),
        };
        let fainter = 0.75 + rng.uniform(0.0, 1.2);
        scene.add_profile(&s, c.map(|v| r + fainter + v));
    }
    // A tidal arm: knots along a curve of growing radius.
    let c = table.galaxy(Kind::Forming, z, rng);
    let (start, bend) = (rng.uniform(0.0, 2.0 * PI), rng.uniform(-1.2, 1.2));
    let (inner, growth) = (rng.uniform(0.8, 2.0), rng.uniform(0.3, 2.5));
    let n = 8;
    let m = r + rng.uniform(1.5, 3.5) + 2.5 * f64::from(n).log10();
    for k in 0..n {
        let t = f64::from(k) / f64::from(n);
        let (rho, turn) = (inner + growth * t, start + bend * t);
        let s = Sersic {
            flux: 1.0,
            re: 0.35,
            n: 0.6,
            q: 0.7,
            angle: turn + 0.5 * PI,
            x: at[0] + rho * turn.cos(),
            y: at[1] + rho * turn.sin(),
        };
        scene.add_profile(&s, c.map(|v| m + v));
    }
    r
}
