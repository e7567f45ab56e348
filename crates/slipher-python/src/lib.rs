//! The compiled half of the Python package `slipher`: Arrow in, Arrow out, the lock of the
//! interpreter released while Rust works. What Python users see, and its documentation, is
//! `python/slipher/`.

mod predictor;
mod spectra;

use pyo3::prelude::*;

/// Functions of Slipher on Arrow batches.
#[pymodule]
mod _slipher {
    #[pymodule_export]
    use super::predictor::{Predictor, systems};
    #[pymodule_export]
    use super::spectra::{Drawer, instruments, one_spectrum, read};

    use pyo3::prelude::*;

    /// The program: its exit code for a list of words, its name first.
    #[pyfunction]
    fn run(py: Python<'_>, words: Vec<std::ffi::OsString>) -> u8 {
        py.detach(|| slipher::run(words))
    }

    #[pymodule_init]
    fn init(m: &Bound<'_, PyModule>) -> PyResult<()> {
        m.add("__version__", env!("CARGO_PKG_VERSION"))?;
        let bits: Vec<(i64, &str, &str)> = slipher_systems::redshift::measure::zwarn::ALL.to_vec();
        m.add("ZWARN", bits)?;
        let warnings = slipher_data::warning::Warning::ALL.map(|w| (w.name(), w.about()));
        m.add("WARNINGS", warnings.to_vec())
    }
}

/// A mistake of the caller: `ValueError`.
fn value_error(e: impl std::fmt::Display) -> PyErr {
    pyo3::exceptions::PyValueError::new_err(e.to_string())
}
