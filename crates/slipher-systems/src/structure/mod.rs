//! Structure of galaxies: Sérsic's profile with a posterior by a network that sees the point-spread
//! function (after Tuccillo et al. 2018, DeepLeGATo), a fit that begins there.

pub mod encode;
mod network;
pub mod refine;
pub mod score;
pub mod simulate;

use slipher_data::cutouts::ZERO_POINT;
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

/// What is answered, in the catalogue: flux in the image's unit, pixels from (0, 0) of the stamp,
/// half-light radius along the long axis in pixels, e = (1 − q)/(1 + q) (cos 2φ, sin 2φ).
pub const OUTPUTS: [&str; 7] = ["log_flux", "x", "y", "log_re", "log_n", "e1", "e2"];

/// Bits of `flags`.
pub mod flags {
    use crate::answers::flag::OWN;

    /// No point-spread function was given: the network marginalises over all that it knows.
    pub const NO_PSF: i32 = 1 << OWN;
    /// A parameter lies at the edge of what the network or the fit knows.
    pub const LIMIT: i32 = 1 << (OWN + 1);
    /// Neighbours were masked by the fit, or are bright beside the galaxy.
    pub const CROWDED: i32 = 1 << (OWN + 2);
    /// χ² over degrees of freedom of the fit is above 1.5.
    pub const POOR_FIT: i32 = 1 << (OWN + 3);
    /// The galaxy is larger than half of the stamp.
    pub const CUT: i32 = 1 << (OWN + 4);
}

/// The system.
pub struct Structure;

/// The system.
pub static STRUCTURE: Structure = Structure;

/// Normal components of a posterior.
const COMPONENTS: usize = 3;

const RECIPES: [NamedRecipe; 2] = [
    NamedRecipe {
        name: "structure",
        title: "ours: three scales of one galaxy",
        text: include_str!("recipes/structure.toml"),
    },
    NamedRecipe {
        name: "structure-published",
        title: "after DeepLeGATo (Tuccillo et al.)",
        text: include_str!("recipes/structure-published.toml"),
    },
];

fn zero_point(x: &Observation) -> f64 {
    let survey = x.cutout().map(|c| c.survey.as_slice()).unwrap_or_default();
    let found = survey.iter().find(|s| s.0 == ZERO_POINT);
    found.map_or(f64::NAN, |s| s.1)
}

fn scale(x: &Observation) -> f64 {
    x.cutout().map_or(f64::NAN, |c| c.pixel_scale)
}

const DERIVED: [Derived; 6] = [
    Derived {
        name: "mag",
        unit: "mag",
        meaning: "total magnitude; needs the image's zero point",
        of: |p, x| zero_point(x) - 2.5 * p[0],
        period: None,
    },
    Derived {
        name: "re",
        unit: "pix",
        meaning: "half-light radius along the long axis",
        of: |p, _| 10f64.powf(p[3]),
        period: None,
    },
    Derived {
        name: "re_arcsec",
        unit: "arcsec",
        meaning: "half-light radius along the long axis; needs the image's pixel scale",
        of: |p, x| 10f64.powf(p[3]) * scale(x),
        period: None,
    },
    Derived {
        name: "n",
        unit: "",
        meaning: "Sersic index",
        of: |p, _| 10f64.powf(p[4]),
        period: None,
    },
    Derived {
        name: "q",
        unit: "",
        meaning: "axis ratio",
        of: |p, _| axes([p[5], p[6]])[0],
        period: None,
    },
    Derived {
        name: "pa",
        unit: "deg",
        meaning: "direction of the long axis, from +x towards +y of the pixels",
        of: |p, _| axes([p[5], p[6]])[1].to_degrees(),
        period: Some(180.0),
    },
];

impl System for Structure {
    fn name(&self) -> &'static str {
        "structure"
    }
    fn title(&self) -> &'static str {
        "Structure of galaxies, one Sersic profile (Tuccillo et al. 2018)"
    }
    fn outputs(&self) -> &'static [&'static str] {
        &OUTPUTS
    }
    fn units(&self) -> &'static [&'static str] {
        &["", "pix", "pix", "", "", "", ""]
    }
    fn depth(&self) -> (&'static str, &'static [f32]) {
        ("S/N", &[0.0, 20.0, 60.0, 200.0, 1e9])
    }
    fn geometry(&self) -> Geometry {
        Geometry::Image {
            channels: 3,
            stored: encode::SIDE,
            side: encode::SIDE,
        }
    }
    fn stamp_side(&self, _scale: f64) -> usize {
        256
    }
    fn augment(&self) -> Augment {
        Augment::TURNS
    }
    fn turn(&self, turn: usize, target: &mut [f32]) {
        if let [_, x, y, _, _, e1, e2] = target {
            [*x, *y] = turned_vector(turn, [*x, *y]);
            [*e1, *e2] = turned_ellipticity(turn, [*e1, *e2]);
        }
    }
    fn frame(&self, x: &Observation) -> Option<Vec<[f64; 2]>> {
        let c = x.cutout().ok()?;
        let noise = f64::from(crate::stamp::ground(c).1);
        let middle = |n: usize| encode::start(n) as f64 + 0.5 * (encode::SIDE as f64 - 1.0);
        let mut frame = vec![[0.0, 1.0]; OUTPUTS.len()];
        frame[0][0] = noise.log10();
        frame[1][0] = middle(c.width);
        frame[2][0] = middle(c.height);
        Some(frame)
    }
    fn derived(&self) -> &'static [Derived] {
        &DERIVED
    }
    fn own_flags(&self) -> &'static [&'static str] {
        &[
            "no point-spread function given",
            "parameter at a limit",
            "crowded",
            "poor fit",
            "larger than half of the stamp",
        ]
    }
    fn flag(&self, x: &Observation, values: &[f32]) -> i32 {
        let Ok(c) = x.cutout() else { return 0 };
        let p = Posterior::of(values, OUTPUTS.len());
        let (re, n) = (10f64.powf(p.mean(3)), 10f64.powf(p.mean(4)));
        let bit = |set: bool, bit: i32| if set { bit } else { 0 };
        bit(c.psf.2.is_empty(), flags::NO_PSF)
            | bit(
                !(0.4..=45.0).contains(&re) || !(0.32..=7.8).contains(&n),
                flags::LIMIT,
            )
            | bit(4.0 * re > c.height.min(c.width) as f64, flags::CUT)
    }
    fn refines(&self) -> bool {
        true
    }
    fn refine(&self, x: &Observation, values: &[f32]) -> Option<Refined> {
        refine::refine(x.cutout().ok()?, values)
    }
    fn simulate(&self, sky: Sky, rng: &mut Stream) -> Option<Example> {
        let published = simulate::surveys().first();
        match sky {
            Sky::Own => Some(simulate::draw(None, rng)),
            Sky::Published => published.map(|s| simulate::draw(Some(s), rng)),
        }
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
            (2.2, 0.9),
            (0.0, 0.7),
            (0.0, 0.7),
            (0.7, 0.5),
            (0.2, 0.35),
            (0.0, 0.25),
            (0.0, 0.25),
        ];
        Box::new(Mixture::new(units, COMPONENTS))
    }
    fn published(&self) -> Architecture {
        network::published(self.head().units())
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
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Surveys are read, and a simulated galaxy is where its truth says.
    #[test]
    fn the_sky_is_what_it_says() {
        assert_eq!(simulate::surveys().len(), 5);
        for row in 0..40 {
            let e = STRUCTURE
                .simulate(Sky::Own, &mut Stream::new(3, 1, row))
                .unwrap();
            let c = e.input.cutout().unwrap();
            assert!(
                c.height <= 256 && e.truth.iter().all(|v| v.is_finite()),
                "{:?}",
                e.truth
            );
            let x = STRUCTURE.encode(&e.input).unwrap();
            assert_eq!(x.len(), STRUCTURE.geometry().encoded());
        }
    }

    /// A bright galaxy is fitted from a rough start to its truth, in the catalogue's units.
    #[test]
    fn the_fit_ends_at_the_truth() {
        let mut pulls = vec![];
        for row in 0..6 {
            let mut rng = Stream::new(5, 2, row);
            let t = simulate::Telescope {
                mix: 0.0,
                wings: 0.0,
                ..simulate::Telescope::of(&simulate::surveys()[3], &mut rng)
            };
            let mut g = simulate::Galaxy::any(&t, &mut rng);
            g.profile.re = 4.0 + g.profile.re / 10.0;
            (g.profile.flux, g.profile.n) = (400.0 * t.sky.sqrt() * g.profile.re, 1.5);
            g.profile.q = g.profile.q.max(0.3);
            let e = simulate::observed(&t, &g, 96, false, &mut rng);
            let mut values = vec![1.0f32];
            values.extend(&e.truth);
            // Lower triangle of a covariance that does not matter.
            values.extend(vec![0.01; 28]);
            let frame = STRUCTURE.frame(&e.input).unwrap();
            slipher_nn::heads::posterior::reframe(&mut values, &frame);
            let truth: Vec<f32> = values[1..8].to_vec();
            (values[4], values[5]) = (values[4] + 0.1, values[5] - 0.1);
            let Some(f) = STRUCTURE.refine(&e.input, &values) else {
                continue;
            };
            let p = Posterior::of(&f.values, 7);
            for j in 0..7 {
                pulls.push((p.mean(j) - f64::from(truth[j])) / p.sigma(j));
            }
        }
        assert!(pulls.len() >= 28);
        let rms = (pulls.iter().map(|p| p * p).sum::<f64>() / pulls.len() as f64).sqrt();
        assert!(rms < 2.5, "{rms} {pulls:?}");
    }
}
