//! What the sky hands us, and how it is read and written.
//!
//! * [`spectrum`]: one spectrum in memory: vacuum Å, flux density, inverse variance, mask.
//! * [`cutout`]: an image of one object in one or several bands.
//! * [`cutouts`]: files of images, recognised by content.
//! * [`grid`]: the grid uniform in log λ, and a resampler that conserves flux.
//! * [`airvac`]: air to vacuum (Ciddor 1996).
//! * [`units`]: the one place where units of wavelengths and fluxes are settled.
//! * [`warning`]: what was assumed of a spectrum, or is wrong with its file.
//! * [`fits`]: a small bounded reader and writer of FITS.
//! * [`formats`]: survey files, recognised by content.
//! * [`hats`]: skies in Parquet files by HEALPix pixel.
//! * [`budget`]: how much memory a file may take.
//! * [`atomic`]: files that appear whole or not at all.
//! * [`packed`]: gzip, bzip2, xz and zstd.
//! * [`input`]: files, folders and globs into a list of files.
//! * [`catalogue`]: rows to Parquet, FITS and CSV; [`columns`]: columns from rows.
//!
//! Reading a file, whatever survey wrote it:
//!
//! ```
//! use slipher_data::formats::{ReadOptions, read};
//!
//! let path = std::env::temp_dir().join(format!("slipher-doc-{}.txt", std::process::id()));
//! let line = |i: u32| format!("{} 1.0 0.1\n", 4000.0 + 2.0 * f64::from(i));
//! let text = "# wavelength flux error\n".to_owned() + &(0..500).map(line).collect::<String>();
//! std::fs::write(&path, text)?;
//! let file = read(&path, &ReadOptions::default())?;
//! println!("{}: {}", file.format, file.because);
//! for row in &file.rows {
//!     match &row.spectrum {
//!         Ok(s) => println!("{} pixels, S/N {:.1}", s.good_pixels(), s.median_snr()),
//!         Err(why) => println!("row {}: {why}", row.row),
//!     }
//! }
//! assert_eq!(file.rows[0].spectrum.as_ref().unwrap().good_pixels(), 500);
//! # std::fs::remove_file(&path)?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

#![allow(
    clippy::needless_range_loop,
    reason = "index loops over several arrays at once read better than zips in numerical code"
)]

pub mod airvac;
pub mod arms;
pub mod atomic;
pub mod budget;
pub mod catalogue;
pub mod columns;
pub mod cutout;
pub mod cutouts;
pub mod date;
pub mod field;
pub mod fits;
pub mod formats;
pub mod grid;
pub mod hats;
pub mod input;
pub mod light_curve;
pub mod light_curves;
mod npy;
pub mod packed;
pub mod sources;
pub mod spectrum;
mod thrift;
pub mod units;
pub mod warning;
pub mod wcs;
