//! Spectra for Python: files read, and spectra simulated, as Arrow tables of lists.

use std::path::PathBuf;

use pyo3::prelude::*;
use pyo3::types::PyAny;
use pyo3_arrow::PyRecordBatch;
use rayon::prelude::*;
use slipher_data::catalogue::{Column, record};
use slipher_data::formats::{self, ReadOptions};
use slipher_systems::redshift::simulate::{Example, SimulationRecipe, Simulator, Split};
use slipher_systems::redshift::table::{example_columns, spectrum_columns};

use crate::value_error;

/// Spectra of a file as the program sees them: vacuum Å, inverse variance with 0 for what cannot be used. Rows that cannot be read are in
/// `error`, with a null spectrum.
#[pyfunction]
pub fn read(py: Python<'_>, path: PathBuf) -> PyResult<Bound<'_, PyAny>> {
    let found = py.detach(|| formats::read(&path, &ReadOptions::default())).map_err(value_error)?;
    arrow(py, &spectrum_columns(&path.display().to_string(), &found.rows))
}

/// Rows `start` to `stop` of the simulated spectra of a seed.
#[pyfunction]
#[pyo3(signature = (start, stop, instruments, templates, blank_sky, peculiar, seed))]
pub fn simulate(
    py: Python<'_>,
    start: u64,
    stop: u64,
    instruments: Vec<(String, f64)>,
    templates: Vec<PathBuf>,
    blank_sky: f64,
    peculiar: f64,
    seed: u64,
) -> PyResult<Bound<'_, PyAny>> {
    let recipe = SimulationRecipe { instruments, templates, blank_sky, peculiar };
    let columns = py.detach(|| {
        let simulator = Simulator::new(&recipe, seed).map_err(|e| e.to_string())?;
        let rows: Vec<Example> = (start..stop).into_par_iter().map(|row| simulator.draw(Split::Test, row)).collect();
        Ok::<_, String>(example_columns(&rows, &simulator.names))
    });
    arrow(py, &columns.map_err(value_error)?)
}

/// Names of the instruments that come with the package.
#[pyfunction]
pub fn instruments() -> Vec<&'static str> {
    slipher_sim::instrument::SHIPPED.iter().map(|i| i.0).collect()
}

fn arrow<'py>(py: Python<'py>, columns: &[Column]) -> PyResult<Bound<'py, PyAny>> {
    PyRecordBatch::new(record(columns).map_err(value_error)?).into_pyarrow(py)
}
