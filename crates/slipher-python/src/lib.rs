//! The compiled half of the Python package `slipher`: Arrow in, Arrow out, the lock of the
//! interpreter released while Rust works. What Python users see, and its documentation, is
//! `python/slipher/`.

mod predictor;
mod spectra;

use pyo3::prelude::*;
use slipher_data::formats::Medium;

/// Functions of Slipher on Arrow batches.
#[pymodule]
mod _slipher {
    #[pymodule_export]
    use super::predictor::{Predictor, systems};
    #[pymodule_export]
    use super::spectra::{Drawer, instruments, read};

    use pyo3::prelude::*;

    #[pymodule_init]
    fn init(m: &Bound<'_, PyModule>) -> PyResult<()> {
        m.add("__version__", env!("CARGO_PKG_VERSION"))?;
        let bits: Vec<(i64, &str, &str)> = slipher_systems::redshift::measure::zwarn::ALL.to_vec();
        m.add("ZWARN", bits)
    }
}

/// What wavelengths were measured in: "air", "vacuum" or None (as the data say).
fn medium_of(word: Option<&str>) -> PyResult<Option<Medium>> {
    match word {
        None => Ok(None),
        Some("air") => Ok(Some(Medium::Air)),
        Some("vacuum") => Ok(Some(Medium::Vacuum)),
        Some(other) => Err(value_error(format!(
            "medium {other:?}: expected 'air', 'vacuum' or None"
        ))),
    }
}

/// A mistake of the caller: `ValueError`.
fn value_error(e: impl std::fmt::Display) -> PyErr {
    pyo3::exceptions::PyValueError::new_err(e.to_string())
}
