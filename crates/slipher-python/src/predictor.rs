//! The contract `RecordBatch → RecordBatch` as a Python object.

use std::path::Path;

use pyo3::prelude::*;
use pyo3::types::PyAny;
use pyo3_arrow::{PyRecordBatch, PySchema};
use slipher_data::formats::ReadOptions;
use slipher_systems::redshift::contract;
use slipher_systems::redshift::decode::lag_redshifts;
use slipher_systems::redshift::measure::Wanted;
use slipher_systems::redshift::model::Model;
use slipher_systems::shipped;

use crate::{medium_of, value_error};

/// A model in memory with what is wanted of it. Python never pickles it: `slipher.Model` holds the path, the hash and the options.
#[pyclass(frozen, module = "slipher._slipher")]
pub struct Predictor {
    model: Model,
    wanted: Wanted,
    options: ReadOptions,
}

#[pymethods]
impl Predictor {
    /// `path` None is the model that comes with the package. `purity` 0 to 1 sets the threshold of `accepted`; `prior` is as `--prior` of the
    /// command line; `medium` is "air", "vacuum" or None (as the columns say).
    #[new]
    #[pyo3(signature = (path, purity, pz, prior, medium))]
    fn new(
        py: Python<'_>,
        path: Option<String>,
        purity: f64,
        pz: bool,
        prior: Option<String>,
        medium: Option<String>,
    ) -> PyResult<Self> {
        let model = py
            .detach(|| path.map_or_else(shipped::redshift, |p| Model::read(Path::new(&p))))
            .map_err(value_error)?;
        let wanted = Wanted::new(&model, purity, pz, prior.as_deref()).map_err(value_error)?;
        Ok(Predictor {
            model,
            wanted,
            options: ReadOptions {
                medium: medium_of(medium.as_deref())?,
            },
        })
    }

    #[getter]
    fn id(&self) -> &str {
        &self.model.id
    }

    #[getter]
    fn sha256(&self) -> &str {
        &self.model.sha256
    }

    /// Redshifts of the column `pz`.
    #[getter]
    fn pz_grid(&self) -> Vec<f64> {
        lag_redshifts()
    }

    /// Rows out are rows in, in order; spectra that cannot be measured are flagged. The batch is read where it lies.
    fn predict<'py>(&self, py: Python<'py>, batch: PyRecordBatch) -> PyResult<Bound<'py, PyAny>> {
        let batch = batch.into_inner();
        let found = py
            .detach(|| contract::predict(&self.model, &self.wanted, &self.options, &batch))
            .map_err(value_error)?;
        PyRecordBatch::new(found).into_pyarrow(py)
    }

    /// Columns of the result for batches of a schema.
    fn schema<'py>(&self, py: Python<'py>, batches: PySchema) -> PyResult<Bound<'py, PyAny>> {
        let found = contract::schema(&self.model, &self.wanted, &batches.into_inner())
            .map_err(value_error)?;
        PySchema::new(found).into_pyarrow(py)
    }
}
