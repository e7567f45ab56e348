//! What the sky hands us, and how it is read and written.
//!
//! * [`spectrum`]: one spectrum in memory: vacuum Å, flux density, inverse variance, mask.
//! * [`cutout`]: an image of one object in one or several bands.
//! * [`cutouts`]: files of images, recognised by content.
//! * [`grid`]: the grid uniform in log λ, and a resampler that conserves flux.
//! * [`airvac`]: air to vacuum (Ciddor 1996).
//! * [`fits`]: a small bounded reader and writer of FITS.
//! * [`formats`]: survey files, recognised by content.
//! * [`hats`]: skies in Parquet files by HEALPix pixel.
//! * [`atomic`]: files that appear whole or not at all.
//! * [`input`]: files, folders and globs into a list of files.
//! * [`catalogue`]: rows to Parquet, FITS and CSV.

#![allow(
    clippy::needless_range_loop,
    reason = "index loops over several arrays at once read better than zips in numerical code"
)]

pub mod airvac;
pub mod atomic;
pub mod catalogue;
pub mod columns;
pub mod cutout;
pub mod cutouts;
pub mod fits;
pub mod formats;
pub mod grid;
pub mod hats;
pub mod input;
pub mod spectrum;
