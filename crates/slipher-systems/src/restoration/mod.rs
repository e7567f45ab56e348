//! Restoration: an image as a sharper telescope would show it (after Schawinski et al. 2017), with an
//! error for each pixel, and held to the data: what is restored, blurred again, is the image.

pub mod classical;
pub mod encode;
pub mod fourier;
pub mod measure;
mod network;
pub mod simulate;
mod study;

use slipher_data::cutout::Cutout;
use slipher_nn::augment::turned;
use slipher_nn::heads::Head;
use slipher_nn::heads::restored::Restored;
use slipher_sim::random::Stream;
use slipher_stats::classification::{Figure, Line};

use crate::architecture::Architecture;
use crate::example::{Example, Observation, Sky};
use crate::geometry::Geometry;
use crate::system::{NamedRecipe, StudyRows, System};
use crate::views::Augment;
use encode::{PLANES, Prepared, SIDE, prepare, stretched};

/// Pixels of an answer.
const PIXELS: usize = SIDE * SIDE;

/// Bits of `flags`.
pub mod flags {
    use crate::answers::flag::OWN;

    /// The restored image, blurred again, is not the image: χ² over pixels is above 1.3.
    pub const POOR_FIT: i32 = 1 << OWN;
    /// Pixels without data were filled by the network.
    pub const FILLED: i32 = 1 << (OWN + 1);
    /// The object reaches the edge of the stamp.
    pub const CUT: i32 = 1 << (OWN + 2);
}

/// The system.
pub struct Restoration;

/// The system.
pub static RESTORATION: Restoration = Restoration;

const RECIPES: [NamedRecipe; 1] = [NamedRecipe {
    name: "restoration",
    title: "ours: U-Net on Tikhonov's solutions, held to the data",
    text: include_str!("recipes/restoration.toml"),
}];

/// What is measured on both images: name, unit, meaning.
const MEASURED: [[&str; 3]; 5] = [
    ["flux", "", "sum of the restored image, in the image's unit"],
    ["flux_before", "", "sum of the image over its sky"],
    [
        "x",
        "pix",
        "centre of the restored light, from 0 of the stamp",
    ],
    [
        "y",
        "pix",
        "centre of the restored light, from 0 of the stamp",
    ],
    [
        "chi2nu",
        "",
        "restored image blurred again against the image: χ² over pixels",
    ],
];

impl Restoration {
    /// From the network's answer to the image's unit, held to the data.
    fn finished(p: &Prepared, values: &[f32]) -> ([Vec<f32>; 2], f64) {
        let (mean, error) = values.split_at(PIXELS);
        let prior: Vec<f32> = mean.iter().map(|v| stretched(*v)).collect();
        let spread: Vec<f32> = mean
            .iter()
            .zip(error)
            .map(|(m, e)| e * encode::SOFT * m.clamp(-20.0, 20.0).cosh())
            .collect();
        // How far the prior may be off, against the noise of a pixel.
        let variance = spread.iter().map(|s| f64::from(s * s)).sum::<f64>() / PIXELS as f64;
        let lambda = (1.0 / variance.max(1e-4)) as f32;
        // Where there are no data, the prior is what is seen.
        let mut image = p.image.clone();
        if p.good.iter().any(|g| !g) {
            let expected = p.blur.observed(&prior);
            for i in (0..PIXELS).filter(|i| !p.good[*i]) {
                image[i] = expected[i];
            }
        }
        let transform = p.blur.forward(&image);
        let restored = p.blur.with_prior(&transform, &prior, lambda);
        let again = p.blur.observed(&restored);
        let used: Vec<usize> = (0..PIXELS).filter(|i| p.good[*i]).collect();
        let chi2: f64 = used
            .iter()
            .map(|i| f64::from((again[*i] - p.image[*i]) / p.relative[*i]).powi(2))
            .sum();
        // The prior's error where the prior is seen, and the noise of the data where they are.
        let (trust, passed) = (p.blur.trusted(lambda), p.blur.noise(lambda));
        let spread: Vec<f32> = spread
            .iter()
            .zip(&p.relative)
            .map(|(s, r)| (trust * s).hypot(passed * r))
            .collect();
        let (_, noise) = p.sky;
        let scaled = |v: Vec<f32>| v.into_iter().map(|v| noise * v).collect();
        (
            [scaled(restored), scaled(spread)],
            chi2 / used.len().max(1) as f64,
        )
    }
}

fn planes(c: &Cutout, values: &mut Vec<f32>) -> i32 {
    let Ok(p) = prepare(c) else { return 0 };
    let ([image, error], chi2) = Restoration::finished(&p, values);
    let flux: f64 = image.iter().map(|v| f64::from(*v)).sum();
    let before: f64 = p.image.iter().map(|v| f64::from(v * p.sky.1)).sum();
    let [x, y] = measure::centre(&image, &error);
    let edge = measure::edge_share(&image);
    *values = image;
    values.extend(error);
    values.extend([flux as f32, before as f32, x as f32, y as f32, chi2 as f32]);
    let bit = |set: bool, bit: i32| if set { bit } else { 0 };
    bit(chi2 > 1.3, flags::POOR_FIT)
        | bit(p.good.iter().any(|g| !g), flags::FILLED)
        | bit(edge > 0.1, flags::CUT)
}

impl System for Restoration {
    fn name(&self) -> &'static str {
        "restoration"
    }
    fn title(&self) -> &'static str {
        "Restoration of images with an error map (after Schawinski et al. 2017)"
    }
    fn outputs(&self) -> &'static [&'static str] {
        &["image", "image_error"]
    }
    fn depth(&self) -> (&'static str, &'static [f32]) {
        ("S/N", &[0.0, 20.0, 60.0, 200.0, 1e9])
    }
    fn geometry(&self) -> Geometry {
        Geometry::Image {
            channels: PLANES,
            stored: SIDE,
            side: SIDE,
        }
    }
    fn augment(&self) -> Augment {
        Augment::TURNS
    }
    fn turn(&self, turn: usize, target: &mut [f32]) {
        let out = turned(target, SIDE, turn);
        target.copy_from_slice(&out);
    }
    fn measured(&self) -> &'static [[&'static str; 3]] {
        &MEASURED
    }
    fn takes_psf(&self) -> bool {
        true
    }
    fn finish(&self, x: &Observation, values: &mut Vec<f32>) -> i32 {
        x.cutout().map_or(0, |c| planes(c, values))
    }
    fn own_flags(&self) -> &'static [&'static str] {
        &[
            "blurred again it is not the image",
            "pixels without data were filled",
            "reaches the edge of the stamp",
        ]
    }
    fn simulate(&self, sky: Sky, rng: &mut Stream) -> Option<Example> {
        (sky == Sky::Own).then(|| simulate::draw(rng))
    }
    fn encode(&self, x: &Observation) -> Result<Vec<f32>, String> {
        encode::encode(x.cutout()?)
    }
    fn colours(&self, encoded: &[f32]) -> Option<Vec<u8>> {
        Some(crate::stamp::grey(encoded.get(..PIXELS)?, SIDE))
    }
    fn head(&self) -> Box<dyn Head> {
        Box::new(Restored::new(PIXELS))
    }
    fn published(&self) -> Architecture {
        network::u_net(64)
    }
    fn own(&self, width: usize) -> Option<Architecture> {
        Some(network::u_net(width))
    }
    fn score(&self, answers: &[f32], truth: &[f32]) -> Vec<Figure> {
        measure::figures(answers, truth)
    }
    fn recipes(&self) -> &'static [NamedRecipe] {
        &RECIPES
    }
    fn study_tables(&self, rows: &StudyRows<'_>) -> Vec<(String, Vec<Line>)> {
        study::tables(rows)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A prior that knows nothing leaves the data as they are: flux is kept, χ² is that of noise or
    /// less; what the program cannot restore is refused with what is missing.
    #[test]
    fn held_to_the_data() {
        for row in 0..6 {
            let e = simulate::draw(&mut Stream::new(9, 3, row));
            let c = e.input.cutout().unwrap();
            let mut values = vec![0.0; PIXELS];
            values.extend(vec![3.0; PIXELS]);
            let flags = RESTORATION.finish(&e.input, &mut values);
            assert_eq!(values.len(), 2 * PIXELS + MEASURED.len());
            let [flux, before, .., chi2] = values[2 * PIXELS..] else {
                panic!("five figures");
            };
            let scale = c.pixels.iter().map(|v| v.abs()).sum::<f32>();
            assert!((flux - before).abs() < 0.03 * scale, "{flux} {before}");
            assert!(chi2 < 1.3 && flags & flags::POOR_FIT == 0, "{chi2}");
            let mut bare = c.clone();
            bare.psf = (0, 0, vec![]);
            let why = RESTORATION.encode(&Observation::Cutout(bare)).unwrap_err();
            assert!(why.contains("--psf"), "{why}");
        }
    }

    /// Turned images have turned truths.
    #[test]
    fn truths_turn() {
        let e = simulate::draw(&mut Stream::new(2, 2, 2));
        let mut t = e.truth.clone();
        for _ in 0..4 {
            RESTORATION.turn(1, &mut t);
        }
        assert_eq!(t, e.truth);
    }
}
