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

/// Spectra of a file as the program sees them: vacuum Å, inverse variance with 0 for what cannot be
/// used. Rows that cannot be read have empty lists, and the reason in `read_error`.
#[pyfunction]
#[pyo3(signature = (path, medium=None, wave_unit=None, flux_unit=None))]
pub fn read<'py>(
    py: Python<'py>,
    path: PathBuf,
    medium: Option<&str>,
    wave_unit: Option<&str>,
    flux_unit: Option<&str>,
) -> PyResult<Bound<'py, PyAny>> {
    let options = ReadOptions::parse(medium, wave_unit, flux_unit).map_err(value_error)?;
    let found = py
        .detach(|| formats::read(&path, &options))
        .map_err(value_error)?;
    arrow(
        py,
        &spectrum_columns(&path.display().to_string(), &found.rows),
    )
}

/// Draws spectra; the SEDs are built once.
#[pyclass(frozen, module = "slipher._slipher", name = "Simulator")]
pub struct Drawer(Simulator);

#[pymethods]
impl Drawer {
    #[new]
    fn new(
        py: Python<'_>,
        instruments: Vec<(String, f64)>,
        templates: Vec<PathBuf>,
        blank_sky: f64,
        peculiar: f64,
        seed: u64,
    ) -> PyResult<Self> {
        let recipe = SimulationRecipe {
            instruments,
            templates,
            blank_sky,
            peculiar,
        };
        Ok(Drawer(
            py.detach(|| Simulator::new(&recipe, seed))
                .map_err(value_error)?,
        ))
    }

    /// Rows `start` to `stop` of the simulated spectra.
    fn draw<'py>(&self, py: Python<'py>, start: u64, stop: u64) -> PyResult<Bound<'py, PyAny>> {
        let columns = py.detach(|| {
            let rows: Vec<Example> = (start..stop)
                .into_par_iter()
                .map(|row| self.0.draw(Split::Test, row))
                .collect();
            example_columns(&rows, &self.0.names)
        });
        arrow(py, &columns)
    }
}

/// Names of the instruments that come with the package.
#[pyfunction]
pub fn instruments() -> Vec<&'static str> {
    slipher_sim::instrument::SHIPPED
        .iter()
        .map(|i| i.0)
        .collect()
}

/// A table with a pixel in each row as one with a spectrum in its only row; None if it is none.
#[pyfunction]
pub fn one_spectrum<'py>(
    py: Python<'py>,
    batch: PyRecordBatch,
) -> PyResult<Option<Bound<'py, PyAny>>> {
    formats::batch::one_spectrum(batch.as_ref())
        .map(|b| PyRecordBatch::new(b).into_pyarrow(py))
        .transpose()
}

fn arrow<'py>(py: Python<'py>, columns: &[Column]) -> PyResult<Bound<'py, PyAny>> {
    PyRecordBatch::new(record(columns).map_err(value_error)?).into_pyarrow(py)
}
