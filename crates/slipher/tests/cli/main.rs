//! The command line as people type it.

mod harness;
mod images;
mod samples;
mod shell;
mod spectra;
