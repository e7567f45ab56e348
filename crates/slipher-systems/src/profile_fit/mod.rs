//! Fits of Sérsic profiles, point sources and sky to images, and GALFIT's files.

pub mod convolve;
pub mod fit;
pub mod galfit;
pub mod model;
