//! Redshift and class of a spectrum.
//!
//! * [`simulate`]: spectra of known class and redshift, from a seed.
//! * [`encode`]: a spectrum on the ln λ grid as input channels.
//! * [`model`]: the network's shape, weights and calibration.
//! * [`train`]: the training loop.
//! * [`decode`]: logits over (class, z) to solutions.
//! * [`calibrate`]: from the network's probabilities to calibrated ones; [`phase`]: sub-lag bias.
//! * [`lag`]: the grid of redshifts.
//! * [`goodness`]: goodness of fit.
//! * [`layouts`]: the catalogue as other programs write theirs.
//! * [`lines`]: emission and absorption lines at a redshift.
//! * [`prior`]: what is known of a redshift beforehand.
//! * [`measure`]: one spectrum to one measurement with flags.
//! * [`contract`]: a batch of Arrow in, a batch out.
//! * [`pipeline`]: files to rows; [`catalogue`]: rows to columns.
//! * [`atlas`]: where redshifts go wrong.
//! * [`template_fit`]: the classical method, for comparison.
//! * [`euclid`]: the requirement of Euclid's slitless spectra, as a test.
//! * [`outliers`]: spectra unlike those that a model learned from.
//! * [`score`]: what counts as success.

pub mod atlas;
mod basis;
pub mod calibrate;
pub mod catalogue;
pub mod contract;
pub mod decode;
pub mod encode;
pub mod euclid;
pub mod export;
pub mod goodness;
pub mod inspected;
pub mod lag;
pub mod layouts;
mod least_squares;
pub mod lines;
pub mod measure;
pub mod model;
pub mod outliers;
pub mod phase;
pub mod pipeline;
pub mod prior;
pub mod recipe;
pub mod scatter;
pub mod score;
pub mod simulate;
pub mod subtype;
pub mod table;
pub mod template_fit;
pub mod train;

use std::sync::Arc;

use crate::example::Input;
use crate::offered::DynSystem;
use crate::predict::{Options, Predict, PredictError};
use crate::system::System;

/// The system: an engine of its own, since windows and shared pattern spectra need not be forced
/// into the shared one.
pub struct Redshift;

impl DynSystem for Redshift {
    fn name(&self) -> &'static str {
        "redshift"
    }
    fn title(&self) -> &'static str {
        "Class and redshift of spectra of any spectrograph"
    }
    fn input(&self) -> Input {
        Input::Spectrum
    }
    fn shared(&'static self) -> Option<&'static dyn System> {
        None
    }
    fn open(
        &'static self,
        name: &str,
        bytes: &[u8],
        o: Options,
    ) -> Result<Arc<dyn Predict>, PredictError> {
        Ok(Arc::new(contract::Measurer::open(name, bytes, o)?))
    }
}
