//! Lenses and what is taken for them, through the same telescopes, with the same deflectors and the
//! same surroundings.
//!
//! Half of the examples are lenses. Most of the others have in their middle the deflector of a lens
//! whose arcs were left out, so that neither the galaxy in the middle nor the noise tells the class;
//! the rest are the families of [`FAMILIES`].

use slipher_data::cutout::Cutout;
use slipher_sim::lens::population::{Background, Deflector};
use slipher_sim::random::Stream;
use slipher_sim::sky::Plane;
use slipher_sim::sky::detector::{bad_column, cosmic_ray};

use super::colours::{Kind, Table};
use super::contaminants;
use super::lenses;
use super::picture;
use super::scene::Scene;
use super::survey::SURVEYS;
use crate::example::{Example, Observation, one_hot};

/// Families of what is no lens, and how often each is drawn.
pub const FAMILIES: [(&str, f64); 10] = [
    ("early-type alone", 0.14),
    ("early-type with blue companions", 0.22),
    ("early-type with red satellites", 0.08),
    ("spiral", 0.22),
    ("ring", 0.05),
    ("merger", 0.08),
    ("edge-on disc", 0.05),
    ("blend", 0.07),
    ("star", 0.03),
    ("any galaxy", 0.06),
];
/// Share of lenses in the sample.
pub const LENSES: f64 = 0.5;
/// Width of a stamp, arcseconds.
pub const WIDTH: f64 = 14.0;
/// Share of the examples that are seen as pictures of eight bits.
const PICTURES: f64 = 0.3;

/// The sky of this system.
pub struct Sky {
    table: Table,
}

/// What an example is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// A lens.
    Lens,
    /// Something else, by the place of its family.
    Other(usize),
}

impl Wanted {
    /// Half of them lenses.
    pub fn draw(rng: &mut Stream) -> Wanted {
        if rng.chance(LENSES) {
            return Wanted::Lens;
        }
        Wanted::Other(rng.weighted(&FAMILIES.map(|f| f.1)))
    }
}

impl Default for Sky {
    /// With its colours.
    fn default() -> Sky {
        Sky {
            table: Table::new(),
        }
    }
}

impl Sky {
    /// One stamp.
    pub fn draw(&self, wanted: Wanted, rng: &mut Stream) -> Example {
        let survey = SURVEYS[rng.below(SURVEYS.len())];
        let mut scene = Scene::new(survey, WIDTH, rng);
        let mut about = vec![];
        let r = match wanted {
            Wanted::Lens => {
                let (system, m) = lenses::draw(&scene, &self.table, rng);
                about.push(("theta_e".to_owned(), system.einstein));
                about.push(("arc_snr".to_owned(), system.arcs.snr));
                about.push(("arc_contrast".to_owned(), system.arcs.contrast));
                for (k, share) in [(0, 1.0 - system.arcs.young), (1, system.arcs.young)] {
                    if share > 0.0 {
                        // Knots are bluer than the disc between them.
                        let blue = 0.15 * k as f64;
                        let part = [m[0] - blue, m[1], m[2] + 0.5 * blue];
                        let fainter = part.map(|v| v - 2.5 * share.log10());
                        scene.add(&system.arcs.planes[k], fainter);
                    }
                }
                self.early_type(&mut scene, &system, rng)
            }
            Wanted::Other(family) => {
                about.push(("family".to_owned(), family as f64));
                self.other(family, &mut scene, rng)
            }
        };
        self.surroundings(&mut scene, rng);
        let mut pixels = scene.observe(rng);
        defects(&mut pixels, scene.side, rng);
        let mut cutout = Cutout {
            bands: ["g", "r", "i"].map(str::to_owned).to_vec(),
            height: scene.side,
            width: scene.side,
            pixels,
            pixel_scale: survey.scale,
            ra: f64::NAN,
            dec: f64::NAN,
            survey: about,
            ..Cutout::default()
        };
        if rng.chance(PICTURES) {
            cutout = picture::shown(&cutout, rng);
        }
        let lens = wanted == Wanted::Lens;
        cutout.label = Some(if lens { "lens" } else { "other" }.into());
        Example {
            input: Observation::Cutout(cutout),
            truth: one_hot(usize::from(lens), 2),
            depth: r as f32,
        }
    }

    /// The deflector with its members; its r magnitude.
    fn early_type(&self, scene: &mut Scene, l: &lenses::System, rng: &mut Stream) -> f64 {
        let d = l.deflector;
        scene.add(&l.light.0, l.light.1);
        for (at, _, fainter) in &l.members {
            let c = self.table.galaxy(Kind::Passive, d.z, rng);
            let small = Deflector {
                radius: d.radius * 10f64.powf(-0.2 * fainter) * rng.log_uniform(0.6, 1.5),
                q: rng.uniform(0.4, 1.0),
                ..d
            };
            let angle = rng.uniform(0.0, 3.1);
            let light = lenses::spheroid(scene, &small, *at, angle, rng);
            scene.add(&light, c.map(|v| d.r + fainter + v));
        }
        d.r
    }

    /// Something that is no lens; its r magnitude.
    fn other(&self, family: usize, scene: &mut Scene, rng: &mut Stream) -> f64 {
        if family > 2 {
            return contaminants::add(FAMILIES[family].0, scene, &self.table, rng);
        }
        let (system, m) = lenses::draw(scene, &self.table, rng);
        let r = self.early_type(scene, &system, rng);
        match family {
            1 => contaminants::blue_companions(scene, &self.table, &system, m, rng),
            2 => contaminants::red_satellites(scene, &self.table, &system, rng),
            _ => {}
        }
        r
    }

    /// Galaxies and stars of the field, anywhere; of both classes alike.
    fn surroundings(&self, scene: &mut Scene, rng: &mut Stream) {
        let half = 0.5 * WIDTH;
        let mut left = rng.exponential(1.0);
        // A Poisson number of mean 5 to i = 27 of these counts.
        while left < 5.0 {
            left += rng.exponential(1.0);
            let b = Background::draw(rng);
            let at = [rng.uniform(-half, half), rng.uniform(-half, half)];
            if b.i < 25.5 {
                contaminants::field_galaxy(scene, &self.table, &b, at, rng);
            }
        }
        if rng.chance(0.12) {
            let at = [rng.uniform(-half, half), rng.uniform(-half, half)];
            let c = self.table.star(rng);
            let r = rng.uniform(17.0, 24.0);
            scene.add_star(at, c.map(|v| r + v));
        }
    }
}

/// What detectors do, of both classes alike.
fn defects(pixels: &mut [f32], side: usize, rng: &mut Stream) {
    for plane in pixels.chunks_exact_mut(side * side) {
        let mut p = Plane {
            height: side,
            width: side,
            data: plane.to_vec(),
        };
        if rng.chance(0.03) {
            let (x, y) = (rng.uniform(0.0, side as f64), rng.uniform(0.0, side as f64));
            let charge = rng.log_uniform(300.0, 3e4);
            cosmic_ray(&mut p, x, y, rng.uniform(1.0, 20.0), charge, rng);
        }
        if rng.chance(0.02) {
            let offset = rng.log_uniform(100.0, 1e4) as f32;
            bad_column(&mut p, rng.below(side), rng.below(side), offset);
        }
        plane.copy_from_slice(&p.data);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every family and the lenses can be drawn, hold only numbers, and what the middle shows of
    /// lenses and of deflectors without arcs is alike in brightness.
    #[test]
    fn all_families_and_equal_deflectors() {
        let sky = Sky::default();
        let draw = |wanted, row| sky.draw(wanted, &mut Stream::new(5, 1, row));
        for family in 0..FAMILIES.len() {
            for row in 0..3 {
                let e = draw(Wanted::Other(family), row);
                let c = e.input.cutout().unwrap();
                assert!(c.pixels.iter().all(|v| v.is_finite()), "{family}");
                assert_eq!(e.truth, [1.0, 0.0]);
            }
        }
        let mean = |wanted| {
            let r: Vec<f32> = (0..60).map(|row| draw(wanted, row).depth).collect();
            r.iter().sum::<f32>() / 60.0
        };
        let (lens, alone) = (mean(Wanted::Lens), mean(Wanted::Other(0)));
        assert!((lens - alone).abs() < 0.5, "{lens} {alone}");
    }
}
