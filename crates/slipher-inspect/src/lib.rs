//! `slipher inspect`: the rows of a catalogue with what they were measured on, and what people decide
//! about them.
//!
//! [`table`] reads columns of a Parquet catalogue when they are asked for, [`view`] filters and sorts
//! them, [`bins`] counts them for plots. [`look`] reads the observation of a row and runs the model
//! again. [`decisions`] is the file that people write to. A [`Session`] holds them together; the
//! server ([`browser`]) and the terminal are two faces of it.

pub mod bins;
#[cfg(feature = "browser")]
pub mod browser;
pub mod decisions;
pub mod embedding;
pub mod look;
pub mod places;
pub mod session;
pub mod table;
#[cfg(feature = "terminal")]
pub mod terminal;
pub mod view;

pub use session::{Options, Session};

/// What cannot be inspected, and why.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum InspectError {
    /// A catalogue or decisions file.
    #[error("{path}: {why}")]
    File {
        /// Which.
        path: String,
        /// What is wrong and how to mend it.
        why: String,
    },
    /// A column, filter, row or value that there is not.
    #[error("{0}")]
    Asked(String),
    /// The terminal or the network.
    #[error("{0}")]
    Io(#[from] std::io::Error),
}

impl InspectError {
    pub(crate) fn file(path: &std::path::Path, why: impl ToString) -> InspectError {
        InspectError::File {
            path: path.display().to_string(),
            why: why.to_string(),
        }
    }
}
