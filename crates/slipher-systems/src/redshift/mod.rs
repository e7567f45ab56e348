//! Redshift and class of a spectrum.
//!
//! * [`simulate`]: spectra of known class and redshift, from a seed.
//! * [`encode`]: a spectrum on the ln λ grid as input channels.
//! * [`model`]: the network's shape, weights and calibration.
//! * [`train`]: the training loop.
//! * [`decode`]: logits over (class, z) to solutions.
//! * [`measure`]: one spectrum to one measurement with flags.
//! * [`score`]: success, intervals, tables.

pub mod decode;
pub mod encode;
pub mod measure;
pub mod model;
pub mod score;
pub mod simulate;
pub mod train;
