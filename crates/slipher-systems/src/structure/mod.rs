//! Structure of galaxies: Sérsic profiles through a point-spread function, fitted to an image with
//! errors; parameter files and image blocks as GALFIT's (Peng et al. 2010).
//!
//! * [`model`]: components and their image, with derivatives.
//! * [`fit`](mod@fit): Levenberg and Marquardt's method with bounds, and the covariance.
//! * [`galfit`]: parameter files, constraints, masks and output blocks.

mod convolve;
pub mod fit;
pub mod galfit;
pub mod model;
