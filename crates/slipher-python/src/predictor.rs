//! The contract `RecordBatch → RecordBatch` of any system as a Python object.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use pyo3::prelude::*;
use pyo3::types::PyAny;
use pyo3_arrow::{PyRecordBatch, PySchema};
use slipher_systems::predict::{Options, Predict};
use slipher_systems::redshift::decode::lag_redshifts;
use slipher_systems::registry;

use crate::value_error;

/// A model in memory with its options. Python never pickles it: `slipher.Model` holds the path, the
/// hash and the options.
#[pyclass(frozen, module = "slipher._slipher")]
pub struct Predictor {
    system: &'static str,
    model: Arc<dyn Predict>,
}

#[pymethods]
impl Predictor {
    /// `system` None is the one that the file was trained for, "redshift" without a file; `path`
    /// None is the model that comes with the package. `options` are those of the system, as text;
    /// what it does not know is refused.
    #[new]
    #[pyo3(signature = (system, path, options))]
    fn new(
        py: Python<'_>,
        system: Option<String>,
        path: Option<PathBuf>,
        options: BTreeMap<String, String>,
    ) -> PyResult<Self> {
        py.detach(|| {
            let found = match (&system, &path) {
                (Some(name), _) => registry::by_name(name)?,
                (None, Some(p)) => registry::system_of(p).map_err(|e| e.to_string())?,
                (None, None) => registry::SYSTEMS[0],
            };
            let options: Options = options.into_iter().collect();
            let model =
                registry::open(found, path.as_deref(), options).map_err(|e| e.to_string())?;
            Ok(Predictor {
                system: found.name(),
                model,
            })
        })
        .map_err(|e: String| value_error(e))
    }

    #[getter]
    fn system(&self) -> &str {
        self.system
    }

    #[getter]
    fn id(&self) -> &str {
        self.model.id()
    }

    #[getter]
    fn sha256(&self) -> &str {
        self.model.sha256()
    }

    /// Redshifts of the column `pz`.
    #[getter]
    fn pz_grid(&self) -> PyResult<Vec<f64>> {
        if self.system == registry::SYSTEMS[0].name() {
            Ok(lag_redshifts())
        } else {
            Err(value_error(format!(
                "{} has no densities of redshift",
                self.system
            )))
        }
    }

    /// Rows out are rows in, in order; what cannot be answered is flagged. The batch is read where
    /// it lies.
    fn predict<'py>(&self, py: Python<'py>, batch: PyRecordBatch) -> PyResult<Bound<'py, PyAny>> {
        let batch = batch.into_inner();
        let found = py
            .detach(|| self.model.predict(&batch))
            .map_err(value_error)?;
        PyRecordBatch::new(found).into_pyarrow(py)
    }

    /// Answers of files, in batches; `each` gets them in order.
    fn predict_files<'py>(
        &self,
        py: Python<'py>,
        paths: Vec<String>,
    ) -> PyResult<Vec<Bound<'py, PyAny>>> {
        let batches = py
            .detach(|| {
                let files = slipher_data::input::expand_for(&paths, self.model.endings())
                    .map_err(|e| e.to_string())?;
                let mut out = Vec::new();
                let mut sink = |_: usize, b| {
                    out.push(b);
                    Ok(true)
                };
                self.model
                    .predict_files(&files, &mut sink)
                    .map_err(|e| e.to_string())?;
                Ok(out)
            })
            .map_err(|e: String| value_error(e))?;
        batches
            .into_iter()
            .map(|b| PyRecordBatch::new(b).into_pyarrow(py))
            .collect()
    }

    /// Columns of the result for batches of a schema.
    fn schema<'py>(&self, py: Python<'py>, batches: PySchema) -> PyResult<Bound<'py, PyAny>> {
        let found = self
            .model
            .schema(&batches.into_inner())
            .map_err(value_error)?;
        PySchema::new(found).into_pyarrow(py)
    }
}

/// Systems: (name, title, what it is asked about).
#[pyfunction]
pub fn systems() -> Vec<(&'static str, &'static str, &'static str)> {
    use slipher_systems::example::Input;
    let kind = |i| match i {
        Input::Cutout => "images",
        Input::Spectrum => "spectra",
        Input::LightCurve => "light curves",
    };
    let offered = registry::SYSTEMS.iter().filter(|s| !s.is_part());
    offered
        .map(|s| (s.name(), s.title(), kind(s.input())))
        .collect()
}
