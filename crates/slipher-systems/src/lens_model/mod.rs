//! Models of strong lenses: singular isothermal ellipsoid and shear with a posterior by a network
//! (after Hezaveh, Perreault Levasseur & Marshall 2017), and a fit that begins there.

pub mod encode;
pub mod formats;
pub mod light;
mod network;
pub mod refine;
pub mod simulate;

use slipher_data::catalogue::Column;
use slipher_data::columns::Columns;
use slipher_nn::heads::Head;
use slipher_nn::heads::posterior::{Mixture, Posterior};
use slipher_sim::lens::sie::axes;
use slipher_sim::random::Stream;
use slipher_stats::classification::Figure;

use crate::architecture::Architecture;
use crate::example::{Example, Observation, Sky};
use crate::geometry::{Geometry, turned_ellipticity, turned_vector};
use crate::system::{Derived, NamedRecipe, Refined, System};
use crate::views::Augment;

/// What is answered, in the catalogue: pixels of the stamp from (0, 0), lengths in pixels,
/// e = (1 − q)/(1 + q) (cos 2φ, sin 2φ), θ_E of the intermediate axis; the source from the lens's
/// centre.
pub const OUTPUTS: [&str; 11] = [
    "log_theta_e",
    "e1",
    "e2",
    "x",
    "y",
    "gamma1",
    "gamma2",
    "source_x",
    "source_y",
    "log_source_re",
    "log_magnification",
];

/// Bits of `flags`.
pub mod flags {
    use crate::answers::flag::OWN;

    /// No point-spread function was given.
    pub const NO_PSF: i32 = 1 << OWN;
    /// A parameter lies at the edge of what the network knows.
    pub const LIMIT: i32 = 1 << (OWN + 1);
    /// θ_E is known to no better than 15 %.
    pub const UNCERTAIN: i32 = 1 << (OWN + 2);
    /// χ² over degrees of freedom of the fit is above 1.5.
    pub const POOR_FIT: i32 = 1 << (OWN + 3);
    /// The fit left the network's 99.7 % interval of θ_E: one of them is wrong.
    pub const DISAGREE: i32 = 1 << (OWN + 4);
}

/// The system.
pub struct LensModel;

/// The system.
pub static LENS_MODEL: LensModel = LensModel;

const RECIPES: [NamedRecipe; 2] = [
    NamedRecipe {
        name: "lens-model",
        title: "ours: the lens, without its symmetric part, and the PSF",
        text: include_str!("recipes/lens-model.toml"),
    },
    NamedRecipe {
        name: "lens-model-published",
        title: "AlexNet of Hezaveh et al., narrower",
        text: include_str!("recipes/lens-model-published.toml"),
    },
];

/// Normal components of a posterior.
const COMPONENTS: usize = 2;

fn scale_of(x: &Observation) -> f64 {
    x.cutout().map_or(f64::NAN, |c| c.pixel_scale)
}

const DERIVED: [Derived; 7] = [
    Derived {
        name: "theta_e",
        unit: "pix",
        meaning: "Einstein radius of the intermediate axis",
        of: |p, _| 10f64.powf(p[0]),
        period: None,
    },
    Derived {
        name: "theta_e_arcsec",
        unit: "arcsec",
        meaning: "Einstein radius of the intermediate axis; needs the image's pixel scale",
        of: |p, x| 10f64.powf(p[0]) * scale_of(x),
        period: None,
    },
    Derived {
        name: "q",
        unit: "",
        meaning: "axis ratio of the mass",
        of: |p, _| axes([p[1], p[2]])[0],
        period: None,
    },
    Derived {
        name: "pa",
        unit: "deg",
        meaning: "direction of the mass's long axis, from +x towards +y of the pixels",
        of: |p, _| axes([p[1], p[2]])[1].to_degrees(),
        period: Some(180.0),
    },
    Derived {
        name: "shear",
        unit: "",
        meaning: "size of the external shear",
        of: |p, _| p[5].hypot(p[6]),
        period: None,
    },
    Derived {
        name: "source_re",
        unit: "pix",
        meaning: "half-light radius of the source, circularised",
        of: |p, _| 10f64.powf(p[9]),
        period: None,
    },
    Derived {
        name: "magnification",
        unit: "",
        meaning: "flux of the arcs over that of the source",
        of: |p, _| 10f64.powf(p[10]),
        period: None,
    },
];

impl System for LensModel {
    fn name(&self) -> &'static str {
        "lens-model"
    }
    fn title(&self) -> &'static str {
        "Models of strong lenses, SIE and shear (Hezaveh et al. 2017)"
    }
    fn outputs(&self) -> &'static [&'static str] {
        &OUTPUTS
    }
    fn units(&self) -> &'static [&'static str] {
        &["", "", "", "pix", "pix", "", "", "pix", "pix", "", ""]
    }
    fn depth(&self) -> (&'static str, &'static [f32]) {
        ("S/N of the arcs", &[0.0, 25.0, 60.0, 150.0, 1e9])
    }
    fn geometry(&self) -> Geometry {
        Geometry::Image {
            channels: 3,
            stored: encode::SIDE,
            side: encode::SIDE,
        }
    }
    fn stamp_side(&self, scale: f64) -> usize {
        if scale < 0.1 {
            2 * encode::SIDE
        } else {
            encode::SIDE
        }
    }
    fn augment(&self) -> Augment {
        Augment::TURNS
    }
    fn turn(&self, turn: usize, target: &mut [f32]) {
        if let [_, e1, e2, x, y, g1, g2, sx, sy, ..] = target {
            [*e1, *e2] = turned_ellipticity(turn, [*e1, *e2]);
            [*g1, *g2] = turned_ellipticity(turn, [*g1, *g2]);
            [*x, *y] = turned_vector(turn, [*x, *y]);
            [*sx, *sy] = turned_vector(turn, [*sx, *sy]);
        }
    }
    fn frame(&self, x: &Observation) -> Option<Vec<[f64; 2]>> {
        let c = x.cutout().ok()?;
        let b = encode::block(c) as f64;
        let mut frame = vec![[0.0, 1.0]; OUTPUTS.len()];
        frame[0][0] = b.log10();
        frame[9][0] = b.log10();
        let middle = |n: usize| {
            let side = encode::block(c) * encode::SIDE;
            let start = (n as isize - side as isize).div_euclid(2) as f64;
            start + 0.5 * (side as f64 - 1.0)
        };
        frame[3] = [middle(c.width), b];
        frame[4] = [middle(c.height), b];
        frame[7][1] = b;
        frame[8][1] = b;
        Some(frame)
    }
    fn derived(&self) -> &'static [Derived] {
        &DERIVED
    }
    fn own_flags(&self) -> &'static [&'static str] {
        &[
            "no point-spread function given",
            "parameter at a limit",
            "Einstein radius uncertain by more than 15 %",
            "poor fit",
            "fit and network disagree",
        ]
    }
    fn flag(&self, x: &Observation, values: &[f32]) -> i32 {
        let Ok(c) = x.cutout() else { return 0 };
        let p = Posterior::of(values, OUTPUTS.len());
        let b = encode::block(c) as f64;
        let seen = 10f64.powf(p.mean(0)) / b;
        let bit = |set: bool, bit: i32| if set { bit } else { 0 };
        bit(c.psf.2.is_empty(), flags::NO_PSF)
            | bit(!(4.3..=31.0).contains(&seen), flags::LIMIT)
            | bit(p.sigma(0) > 1.15f64.log10(), flags::UNCERTAIN)
    }
    fn refines(&self) -> bool {
        true
    }
    fn refine(&self, x: &Observation, values: &[f32]) -> Option<Refined> {
        refine::refine(x.cutout().ok()?, values)
    }
    fn simulate(&self, sky: Sky, rng: &mut Stream) -> Option<Example> {
        (sky == Sky::Own).then(|| simulate::draw(rng))
    }
    fn encode(&self, x: &Observation) -> Result<Vec<f32>, String> {
        encode::encode(x.cutout()?)
    }
    fn colours(&self, encoded: &[f32]) -> Option<Vec<u8>> {
        let n = encode::SIDE * encode::SIDE;
        Some(crate::stamp::grey(encoded.get(..n)?, encode::SIDE))
    }
    fn head(&self) -> Box<dyn Head> {
        let units = vec![
            (1.07, 0.24),
            (0.0, 0.12),
            (0.0, 0.12),
            (0.0, 0.7),
            (0.0, 0.7),
            (0.0, 0.05),
            (0.0, 0.05),
            (0.0, 4.0),
            (0.0, 4.0),
            (0.3, 0.35),
            (0.6, 0.25),
        ];
        Box::new(Mixture::new(units, COMPONENTS))
    }
    fn published(&self) -> Architecture {
        network::alexnet(self.head().units())
    }
    fn own(&self, width: usize) -> Option<Architecture> {
        Some(Architecture::stages(width, self.head().units()))
    }
    fn score(&self, answers: &[f32], truth: &[f32]) -> Vec<Figure> {
        slipher_stats::posterior::with_r2(answers, truth, &OUTPUTS)
    }
    fn recipes(&self) -> &'static [NamedRecipe] {
        &RECIPES
    }
    fn formats(&self) -> &'static [&'static str] {
        &formats::NAMES
    }
    fn export(
        &self,
        format: &str,
        name: &str,
        number: &dyn Fn(&str) -> f64,
    ) -> Result<serde_json::Value, String> {
        formats::row(format, name, number)
    }
    /// What other codes need to know of the stamp.
    fn extra_columns(&self, rows: &[Option<&Observation>]) -> Vec<Column> {
        let mut t = Columns::of(rows);
        let of = |r: &Option<&Observation>| {
            let c = r.and_then(|x| x.cutout().ok());
            c.map_or((0, 0), |c| (c.width as i32, c.height as i32))
        };
        let [scale, width, height] = STAMP;
        t.f64([scale, "arcsec", "instr.pixel", "side of a pixel"], |r| {
            r.map_or(f64::NAN, scale_of)
        });
        t.i32([width, "pix", "pos", "columns of the stamp"], |r| of(r).0);
        t.i32([height, "pix", "pos", "rows of the stamp"], |r| of(r).1);
        t.done()
    }
}

/// Columns about the stamp.
pub const STAMP: [&str; 3] = ["pixel_scale", "stamp_width", "stamp_height"];

#[cfg(test)]
mod tests {
    use super::*;

    /// Lenses of the prior are encoded, and keep what a turn does to them.
    #[test]
    fn lenses_are_drawn() {
        for row in 0..6 {
            let e = LENS_MODEL
                .simulate(Sky::Own, &mut Stream::new(3, 1, row))
                .unwrap();
            assert!(e.truth.iter().all(|v| v.is_finite()) && e.depth > 5.0);
            let x = LENS_MODEL.encode(&e.input).unwrap();
            assert_eq!(x.len(), LENS_MODEL.geometry().encoded());
            assert!(x.iter().all(|v| v.is_finite()));
        }
    }
}
