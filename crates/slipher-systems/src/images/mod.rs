//! What the systems that look at images share: one training loop, one model file, one set of scores and baselines.
//!
//! A system is a room with the same files: `simulate` (the sky it learns from), `encode` (pixels to what a network
//! sees), `network` (the published one), `features` (what classical methods see) and `score` (the numbers of its
//! paper), behind the trait [`System`]. Adding one is its folder and one line of [`by_name`].

pub mod architecture;
pub mod baseline;
pub mod calibration;
pub mod evaluate;
pub mod labelled;
pub mod measure;
pub mod model;
pub mod pipeline;
pub mod score;
pub mod set;
pub mod study;
pub mod train;
pub mod views;

use slipher_data::cutout::Cutout;
use slipher_sim::random::Stream;

use architecture::{Architecture, Parts};
use score::Figure;
use views::Augment;

/// A cutout whose answer is known.
#[derive(Clone, Debug, PartialEq)]
pub struct Example {
    pub cutout: Cutout,
    /// One value for each output: 1 for the class and 0 for the others, or shares of votes.
    pub truth: Vec<f32>,
    /// How hard it is: magnitude or S/N.
    pub depth: f32,
}

/// Sizes of what a network sees.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Geometry {
    pub channels: usize,
    /// Side of the square that [`System::encode`] gives.
    pub stored: usize,
    /// Side of the square that a network sees of it.
    pub side: usize,
}

/// A question to images.
pub trait System: Send + Sync {
    /// As on the command line.
    fn name(&self) -> &'static str;
    /// For people, with its source.
    fn title(&self) -> &'static str;
    /// Columns of the answer.
    fn outputs(&self) -> &'static [&'static str];
    /// What [`Example::depth`] is, with its unit, and where its groups begin.
    fn depth(&self) -> (&'static str, &'static [f32]);
    fn geometry(&self) -> Geometry;
    fn augment(&self) -> Augment;
    /// Draws an example from the simulated sky.
    fn simulate(&self, rng: &mut Stream) -> Example;
    /// An example of the sky of the paper's survey, where the room's own is wider.
    fn simulate_published(&self, _rng: &mut Stream) -> Option<Example> {
        None
    }
    /// `[channel][stored][stored]`.
    ///
    /// # Errors
    /// What is missing and how to mend it.
    fn encode(&self, c: &Cutout) -> Result<Vec<f32>, String>;
    /// Names of the features that classical methods see.
    fn feature_names(&self) -> Vec<String>;
    /// Simulated rows that a study's forest learns from: as many as its networks.
    fn classical_rows(&self) -> usize {
        20_000
    }
    /// Features of a cutout and what was encoded from it.
    fn features(&self, c: &Cutout, encoded: &[f32]) -> Vec<f32>;
    /// The network of the paper.
    fn published(&self) -> Architecture;
    /// What our own networks take of a view.
    fn parts(&self) -> Parts {
        Parts::Whole
    }
    /// The network of the paper with layers narrower by a factor, where the room offers that.
    fn narrow(&self, _divisor: usize) -> Option<Architecture> {
        None
    }
    /// Scores of answers `[row][output]` against truths, as the paper gives them.
    fn score(&self, answers: &[f32], truth: &[f32]) -> Vec<Figure>;
    /// Outputs of the network to answers, in place, one row.
    fn answer(&self, row: &mut [f32]) {
        slipher_nn::loss::softmax(row, row.len());
    }
    /// Loss of one row; its gradient replaces the outputs. Cross-entropy unless the room says otherwise.
    fn gradient(&self, row: &mut [f32], truth: &[f32]) -> f64 {
        slipher_nn::loss::softmax(row, row.len());
        let loss: f64 = row
            .iter()
            .zip(truth)
            .map(|(p, t)| -f64::from(*t) * f64::from(p.max(1e-12)).ln())
            .sum();
        row.iter_mut().zip(truth).for_each(|(p, t)| *p -= t);
        loss
    }
    /// Outputs that answer one question each; the answers to one add up to 1.
    fn questions(&self) -> Vec<std::ops::Range<usize>> {
        std::iter::once(0..self.outputs().len()).collect()
    }
    /// Answers to single questions to the room's answers, in place.
    fn compose(&self, _row: &mut [f32]) {}
    /// One of the outputs is right: then there are accuracy, confusion and calibration.
    fn is_classifier(&self) -> bool {
        true
    }
    /// The output whose probability is the score of a yes-or-no question.
    fn positive(&self) -> Option<usize> {
        (self.outputs().len() == 2).then_some(1)
    }
    /// Labelled examples of a user's folder or archive; folders named as the outputs unless the room says otherwise.
    ///
    /// # Errors
    /// Nothing readable in it.
    fn labelled(&self, path: &std::path::Path) -> Result<labelled::Collection, String> {
        labelled::folders(path, self.outputs())
    }
}

/// Systems by name.
pub const NAMES: [&str; 4] = ["star-galaxy", "morphology", "radio", "transients"];

/// The system of this name.
pub fn by_name(name: &str) -> Option<Box<dyn System>> {
    Some(match name {
        "star-galaxy" => Box::new(crate::star_galaxy::StarGalaxy::default()),
        "morphology" => Box::new(crate::morphology::Morphology),
        "radio" => Box::new(crate::radio::Radio),
        "transients" => Box::new(crate::transients::Transients),
        _ => Box::new(crate::radio::Pair::by_name(name)?),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a network sees lies in the very middle of what is stored; else a turned image would show it another part of the sky.
    #[test]
    fn views_have_one_middle() {
        for name in NAMES {
            let system = by_name(name).unwrap();
            let g = system.geometry();
            assert!(
                g.stored >= g.side && (g.stored - g.side).is_multiple_of(2),
                "{name}: {g:?}"
            );
            let part = system.parts().size(g.side).1;
            assert!(
                (g.side - part).is_multiple_of(2),
                "{name}: {part} of {}",
                g.side
            );
        }
    }
}
