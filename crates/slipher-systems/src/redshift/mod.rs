//! Redshift and class of a spectrum.
//!
//! * [`simulate`]: spectra of known class and redshift, from a seed.
//! * [`encode`]: a spectrum on the ln λ grid as input channels.
//! * [`model`]: the network's shape, weights and calibration.
//! * [`train`]: the training loop.
//! * [`decode`]: logits over (class, z) to solutions.
//! * [`calibrate`]: from the network's probabilities to honest ones.
//! * [`familiar`]: does a spectrum look like anything that was simulated.
//! * [`layouts`]: the catalogue as other programs write theirs.
//! * [`lines`]: emission and absorption lines at a redshift.
//! * [`prior`]: what is known of a redshift beforehand.
//! * [`measure`]: one spectrum to one measurement with flags.
//! * [`contract`]: a batch of Arrow in, a batch out.
//! * [`parts`]: catalogues by parts, on many machines.
//! * [`pipeline`]: files to rows; [`catalogue`]: rows to columns.
//! * [`atlas`]: where redshifts go wrong.
//! * [`template_fit`]: the classical method, for comparison.
//! * [`euclid`]: the requirement of Euclid's slitless spectra, as a test.
//! * [`strangers`]: spectra unlike those that a model learned from.
//! * [`score`]: success, intervals, tables.

pub mod atlas;
pub mod calibrate;
pub mod catalogue;
pub mod contract;
pub mod decode;
pub mod encode;
pub mod euclid;
mod export;
pub mod familiar;
pub mod layouts;
mod least_squares;
pub mod lines;
pub mod measure;
pub mod model;
pub mod parts;
pub mod pipeline;
pub mod prior;
pub mod score;
pub mod simulate;
pub mod strangers;
pub mod table;
pub mod template_fit;
pub mod train;
