//! What one system adds: a question to an observation, with the sky that it learns from. Everything
//! else (training, shards, resume, Python, SQL, reports) is shared.
//!
//! A system is a folder with the same files: `simulate` (the sky it learns from), `encode` (an
//! observation to what a network sees), `network` (the published one), `features` (what classical
//! methods see), `score` (the figures of its paper) and `recipes`, behind the trait [`System`], and
//! one line of [`crate::registry::SYSTEMS`].

use std::path::Path;

use slipher_data::catalogue::Column;
use slipher_nn::heads::Head;
use slipher_nn::heads::shares::Shares;
use slipher_sim::random::Stream;
use slipher_stats::classification::{Figure, Line};

use crate::architecture::{Architecture, InputViews};
use crate::example::{Example, Input, Observation, Sky};
use crate::geometry::Geometry;
use crate::labelled::{self, Collection};
use crate::set::Split;
use crate::views::Augment;

/// A recipe of a system's study; the first of each system is that of the shipped model.
#[derive(Clone, Copy, Debug)]
pub struct NamedRecipe {
    /// Folder and key.
    pub name: &'static str,
    /// In tables.
    pub title: &'static str,
    /// TOML.
    pub text: &'static str,
}

/// Test rows of a study.
#[expect(clippy::type_complexity, reason = "used once, where it is clear")]
pub struct StudyRows<'a> {
    /// As encoded.
    pub images: &'a [Vec<f32>],
    /// `[row][output]`.
    pub truth: &'a [f32],
    /// Of the system's own networks: (title, answers `[row][value]`).
    pub own: &'a [(String, Vec<f32>)],
    /// Answers of the network that was trained for a part, by the name of its system.
    pub part: &'a dyn Fn(&str, &[Vec<f32>]) -> Option<Vec<f32>>,
    /// Simulated examples of a split, for methods that need the observation itself.
    pub examples: &'a dyn Fn(Split, usize) -> Vec<Example>,
}

/// A quantity that follows from a posterior, worked out on samples of it.
#[derive(Clone, Copy, Debug)]
pub struct Derived {
    /// Column; its error is the same with `_err`.
    pub name: &'static str,
    /// VOUnit.
    pub unit: &'static str,
    /// For people.
    pub meaning: &'static str,
    /// From the outputs, in the units of the catalogue, of one observation (without its pixels);
    /// NaN where it has no such quantity.
    pub of: fn(&[f64], &Observation) -> f64,
    /// Of a quantity that wraps, as an angle: its period.
    pub period: Option<f64>,
}

/// What a fit makes of an observation, beginning at the answer of a network.
#[derive(Clone, Debug, Default)]
pub struct Refined {
    /// As the head decodes answers, in the units of the catalogue.
    pub values: Vec<f32>,
    /// χ² over degrees of freedom.
    pub chi2: f64,
    /// Images of the model that it took.
    pub calls: usize,
    /// Own bits of `flags`.
    pub flags: i32,
}

/// A question to one kind of observation.
pub trait System: Send + Sync {
    /// As on the command line.
    fn name(&self) -> &'static str;
    /// For people, with its source.
    fn title(&self) -> &'static str;
    /// Names of the values of the answer: classes, shares, parameters.
    fn outputs(&self) -> &'static [&'static str];
    /// Whether the outputs are classes of a user, which a model file brings.
    fn own_classes(&self) -> bool {
        false
    }
    /// Units of the outputs; empty where they have none.
    fn units(&self) -> &'static [&'static str] {
        &[]
    }
    /// What [`Example::depth`] is, with its unit, and where its groups begin.
    fn depth(&self) -> (&'static str, &'static [f32]);
    /// What it is asked about.
    fn input(&self) -> Input {
        Input::Cutout
    }
    /// Sizes of what a network sees.
    fn geometry(&self) -> Geometry;
    /// Side of the stamps that are cut out of an image with pixels of so many arcseconds.
    fn stamp_side(&self, _scale: f64) -> usize {
        self.geometry().stored()
    }
    /// Views that training draws.
    fn augment(&self) -> Augment;
    /// What becomes of a target when the image is turned by an element of the square's symmetry.
    fn turn(&self, _turn: usize, _target: &mut [f32]) {}
    /// From the units of a network's answer to those of the catalogue, (shift, factor) of each output:
    /// what [`encode`](System::encode) took out of an observation. None where they are the same.
    fn frame(&self, _x: &Observation) -> Option<Vec<[f64; 2]>> {
        None
    }
    /// Columns that follow from a posterior.
    fn derived(&self) -> &'static [Derived] {
        &[]
    }
    /// Meanings of the system's own bits of `flags`, from bit 8 on.
    fn own_flags(&self) -> &'static [&'static str] {
        &[]
    }
    /// The system's own bits for an observation with its answer in the units of the catalogue.
    fn flag(&self, _x: &Observation, _values: &[f32]) -> i32 {
        0
    }
    /// What is measured on an answer that is an image, beyond its pixels: name, unit, meaning.
    fn measured(&self) -> &'static [[&'static str; 3]] {
        &[]
    }
    /// Whether a point-spread function is part of the question.
    fn takes_psf(&self) -> bool {
        self.refines()
    }
    /// Brings an answer that is an image into the units of the observation, with what is
    /// [`measured`](System::measured) behind it; the system's own bits of `flags`.
    fn finish(&self, _x: &Observation, _values: &mut Vec<f32>) -> i32 {
        0
    }
    /// Whether [`refine`](System::refine) has something to offer.
    fn refines(&self) -> bool {
        false
    }
    /// Least squares from the network's answer, in the units of the catalogue; none where there is no
    /// fit to be had.
    fn refine(&self, _x: &Observation, _values: &[f32]) -> Option<Refined> {
        None
    }
    /// Draws an example from a simulated sky; none if the system has no such sky.
    fn simulate(&self, sky: Sky, rng: &mut Stream) -> Option<Example>;
    /// `[channel][stored][stored]`, or `[channel][length]`.
    ///
    /// # Errors
    /// What is missing and how to mend it.
    fn encode(&self, x: &Observation) -> Result<Vec<f32>, String>;
    /// From outputs to a loss and to an answer.
    fn head(&self) -> Box<dyn Head> {
        Box::new(slipher_nn::heads::classes::Classes::new(
            self.outputs().len(),
        ))
    }
    /// What is encoded as colours for people, `[row][column][R, G, B]` of a square; none where planes
    /// are shown side by side, or as they are if they are three.
    fn colours(&self, _encoded: &[f32]) -> Option<Vec<u8>> {
        None
    }
    /// Names of the features that classical methods see.
    fn feature_names(&self) -> Vec<String> {
        vec![]
    }
    /// Features of an observation and what was encoded from it.
    fn features(&self, _: &Observation, _encoded: &[f32]) -> Vec<f32> {
        vec![]
    }
    /// Simulated rows that a study's forest learns from: as many as its networks.
    fn classical_rows(&self) -> usize {
        20_000
    }
    /// The tree of questions, where the answer is one.
    fn tree(&self) -> Option<Shares> {
        None
    }
    /// The network of the paper.
    fn published(&self) -> Architecture;
    /// A network of the system's own with layers of growing `width`, where it has one.
    fn own(&self, _width: usize) -> Option<Architecture> {
        None
    }
    /// What our own networks take of a view.
    fn input_views(&self) -> InputViews {
        InputViews::Whole
    }
    /// The network of the paper with layers narrower by a factor, where the system offers that.
    fn narrow(&self, _divisor: usize) -> Option<Architecture> {
        None
    }
    /// Figures of merit of answers `[row][value]` against truths, as the paper gives them.
    fn score(&self, answers: &[f32], truth: &[f32]) -> Vec<Figure>;
    /// The output whose probability is the score of a yes-or-no question.
    fn positive(&self) -> Option<usize> {
        (self.outputs().len() == 2).then_some(1)
    }
    /// Share of examples of [`positive`](System::positive) that a model of this system learned from,
    /// which its probabilities take for granted; none if it is not stated.
    fn training_share(&self) -> Option<f64> {
        None
    }
    /// Labelled examples of a user's folder or archive; folders named as the outputs unless the
    /// system says otherwise.
    ///
    /// # Errors
    /// Nothing readable in it.
    fn labelled(&self, path: &Path) -> Result<Collection, String> {
        labelled::folders(path, self.outputs())
    }
    /// Recipes of its study.
    fn recipes(&self) -> &'static [NamedRecipe];
    /// Formats of other codes that a row of the catalogue can be written in.
    fn formats(&self) -> &'static [&'static str] {
        &[]
    }
    /// A row of the catalogue in one of the [`formats`](System::formats); `number` gives the value of
    /// a column, NaN where there is none.
    ///
    /// # Errors
    /// What is missing and how to mend it.
    fn export(
        &self,
        format: &str,
        _name: &str,
        _number: &dyn Fn(&str) -> f64,
    ) -> Result<serde_json::Value, String> {
        Err(format!("{}: no format '{format}'", self.name()))
    }
    /// Columns of the catalogue beyond the answer, for these rows (none where a row could not be
    /// read).
    fn extra_columns(&self, _rows: &[Option<&Observation>]) -> Vec<Column> {
        vec![]
    }
    /// Tables of its study beyond the shared ones.
    fn study_tables(&self, _: &StudyRows<'_>) -> Vec<(String, Vec<Line>)> {
        vec![]
    }
    /// A part of another system's study, not offered by itself.
    fn is_part(&self) -> bool {
        false
    }
}
