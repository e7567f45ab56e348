//! Redshift as one of 800 classes: the talk's own system (Stivaktakis et al., arXiv:1809.09622).
//!
//! * [`simulate`]: redshifted copies of rest-frame SEDs on Euclid's grid, split by SED.
//! * [`encode`]: such a spectrum as input of the shift-equivariant network.
//! * [`network`]: the authors' network (the dial is its depth), the shift-equivariant one, a linear
//!   machine.
//! * [`train`]: one loop for all of them, with checkpoints.
//! * [`matched`]: the matched filter, which on white noise and known templates is the ceiling.
//! * [`classical`]: nearest neighbours, random forest, support vectors, each searched on the
//!   validation set.
//! * [`score`]: what is counted, with intervals that know that copies of one SED are not
//!   independent.
//! * [`study`]: the talk's experiments as a list; each is run once, kept on disk, and resumed.

pub mod classical;
pub mod encode;
pub mod matched;
pub mod network;
pub mod score;
pub mod simulate;
pub mod study;
pub mod train;
