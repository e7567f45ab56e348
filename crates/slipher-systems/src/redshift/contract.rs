//! The model in use behind [`Predict`]: batches of Arrow and files to rows of the catalogue.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_array::cast::AsArray;
use arrow_array::types::Int64Type;
use rayon::prelude::*;
use slipher_data::catalogue::record;
use slipher_data::formats::ReadOptions;
use slipher_data::formats::batch::Spectra;
use slipher_data::input::ENDINGS;
use slipher_data::spectrum::{Origin, Spectrum};
use slipher_nn::checkpoint::sha256;
use slipher_nn::shiftnet::Backend;

use super::catalogue::{Row, columns};
use super::decode::lag_redshifts;
use super::measure::{PURITY, PredictOptions, zwarn};
use super::model::{Model, ModelError};
use super::pipeline::{self, measured};
use super::prior::Prior;
use crate::predict::{FAILED, Options, Predict, PredictError, beside, precision};

/// Rows whose spectra are unpacked at a time.
const BATCH_ROWS: usize = 1024;

/// Columns of the catalogue that say where a spectrum was read: a batch carries its own instead.
const OF_FILES: [&str; 6] = ["file", "hdu", "row", "object_id", "ra", "dec"];

/// Options of a prediction.
const OPTIONS: [&str; 7] = [
    "purity",
    "pz",
    "prior",
    "medium",
    "wave_unit",
    "flux_unit",
    "precision",
];

/// A redshift model with what is to be measured.
pub struct Measurer {
    /// Network, calibration and thresholds.
    pub model: Model,
    /// What to measure, and when to accept.
    pub opts: PredictOptions,
    /// How to read the columns of a batch.
    pub read: ReadOptions,
    /// Everything that changes rows, in words.
    settings: BTreeMap<String, String>,
}

impl Measurer {
    /// A model as it is, measuring what is wanted.
    pub fn new(
        model: Model,
        opts: PredictOptions,
        read: ReadOptions,
        settings: BTreeMap<String, String>,
    ) -> Measurer {
        Measurer {
            model,
            opts,
            read,
            settings,
        }
    }

    /// Opens the bytes of a model file.
    ///
    /// # Errors
    /// A damaged model; an option that there is not, or a value that it does not take.
    pub fn open(name: &str, bytes: &[u8], mut o: Options) -> Result<Measurer, PredictError> {
        let purity: f64 = o.take("purity", "a number from 0 to 1")?.unwrap_or(PURITY);
        let pz: bool = o.take("pz", "true or false")?.unwrap_or(false);
        let prior: Option<String> = o.take("prior", "a range or a file")?;
        let medium: Option<String> = o.take("medium", "air or vacuum")?;
        let wave: Option<String> = o.take("wave_unit", "a unit of wavelength")?;
        let flux: Option<String> = o.take("flux_unit", "a unit of flux")?;
        let arithmetic: Option<String> = o.take("precision", "f32 or bf16")?;
        o.finish("redshift", &OPTIONS)?;
        let bad = |e: &dyn std::fmt::Display| PredictError::Option(e.to_string());
        let read = ReadOptions::parse(medium.as_deref(), wave.as_deref(), flux.as_deref())
            .map_err(PredictError::Option)?;
        let mut model = Model::from_bytes(name, bytes).map_err(|e| match e {
            ModelError::Checkpoint(c) => PredictError::Model(c),
            e => bad(&e),
        })?;
        let used = model
            .net
            .set_precision(precision(arithmetic.as_deref().unwrap_or("f32"))?);
        let opts =
            PredictOptions::new(&model, purity, pz, prior.as_deref()).map_err(|e| bad(&e))?;
        let mut settings = BTreeMap::from([
            ("purity".to_owned(), purity.to_string()),
            ("pz".to_owned(), pz.to_string()),
            ("precision".to_owned(), format!("{used:?}").to_lowercase()),
            ("device".to_owned(), "cpu".to_owned()),
        ]);
        if let Some(p) = prior {
            if let Ok(bytes) = std::fs::read(&p) {
                settings.insert("prior_sha256".into(), sha256(&bytes));
            }
            settings.insert("prior".into(), p);
        }
        for (key, said) in [
            ("wavelengths", medium),
            ("wave_unit", wave),
            ("flux_unit", flux),
        ] {
            if let Some(said) = said {
                settings.insert(key.into(), said);
            }
        }
        Ok(Measurer {
            model,
            opts,
            read,
            settings,
        })
    }

    /// Predicts on a device: another arithmetic rounds otherwise, so it is a setting.
    pub fn on_device(&mut self, name: &str, backend: Arc<dyn Backend>) {
        self.model.backend = Some(backend);
        self.settings.insert("device".into(), name.to_owned());
    }
}

impl Predict for Measurer {
    fn id(&self) -> &str {
        &self.model.id
    }
    fn sha256(&self) -> &str {
        &self.model.sha256
    }
    fn settings(&self) -> BTreeMap<String, String> {
        self.settings.clone()
    }
    /// Redshifts of the column `pz`.
    fn keys(&self) -> Vec<(&'static str, String)> {
        let grid = || serde_json::to_string(&lag_redshifts()).unwrap_or_default();
        self.opts
            .pz
            .then(|| ("pz_grid", grid()))
            .into_iter()
            .collect()
    }
    fn predict(&self, batch: &RecordBatch) -> Result<RecordBatch, PredictError> {
        let mut rows = Vec::with_capacity(batch.num_rows());
        let found = Spectra::of(batch, &self.read).map_err(PredictError::Columns)?;
        if self.needs_identifiers() && !found.has_identifiers() {
            return Err(PredictError::Columns(
                "the prior is given by object, and no column has identifiers: expected object_id \
                 (or the survey's own name of it)"
                    .into(),
            ));
        }
        for from in (0..found.rows()).step_by(BATCH_ROWS) {
            let some: Vec<Result<Spectrum, String>> = (from..found.rows().min(from + BATCH_ROWS))
                .into_par_iter()
                .map(|row| found.row(row))
                .collect();
            let good: Vec<&Spectrum> = some.iter().filter_map(|s| s.as_ref().ok()).collect();
            let mut all = measured(&self.model, &self.opts, &good).into_iter();
            rows.extend(some.iter().map(|s| {
                match s {
                    Ok(_) => all
                        .next()
                        .unwrap_or_else(|| Row::unreadable(Origin::default(), FAILED.into())),
                    Err(why) => Row::unreadable(Origin::default(), why.clone()),
                }
            }));
        }
        let mut own = columns(&rows, &self.model, self.opts.pz);
        own.retain(|c| !OF_FILES.contains(&c.name));
        beside(batch, &own)
    }
    fn predict_files(
        &self,
        files: &[PathBuf],
        sink: &mut dyn FnMut(usize, RecordBatch) -> Result<bool, PredictError>,
    ) -> Result<(), PredictError> {
        pipeline::run(&self.model, &self.opts, files, &self.read, |done, rows| {
            sink(done, record(&columns(&rows, &self.model, self.opts.pz))?)
        })
    }
    fn needs_identifiers(&self) -> bool {
        matches!(self.opts.prior, Some(Prior::Objects(_)))
    }
    fn failed(&self, answers: &RecordBatch) -> u64 {
        let bits = answers
            .column_by_name("zwarn")
            .and_then(|c| c.as_primitive_opt::<Int64Type>());
        bits.map_or(0, |b| {
            b.values()
                .iter()
                .filter(|v| **v & zwarn::NODATA != 0)
                .count() as u64
        })
    }
    fn endings(&self) -> &'static [&'static str] {
        &ENDINGS
    }
}

#[cfg(test)]
mod tests {
    use arrow_array::types::Float64Type;
    use slipher_data::catalogue::{Column, Values};

    use super::*;
    use crate::redshift::measure::zwarn;
    use crate::redshift::model::NetworkRecipe;

    fn batch(rows: usize) -> RecordBatch {
        let c = Column::bare;
        let wave = |r: usize| {
            (0..if r == 1 { 3 } else { 900 })
                .map(|i| 4000.0 + 3.0 * i as f64)
                .collect::<Vec<f64>>()
        };
        let flux = |r: usize| {
            wave(r)
                .iter()
                .map(|w| (1.0 + (w * 0.01 * (r + 1) as f64).sin()) as f32)
                .collect::<Vec<f32>>()
        };
        record(&[
            c(
                "targetid",
                Values::I64((0..rows as i64).map(|r| r + (1 << 60)).collect()),
            ),
            c("wave", Values::F64Lists((0..rows).map(wave).collect())),
            c("flux", Values::F32Lists((0..rows).map(flux).collect())),
            c(
                "ivar",
                Values::F32Lists((0..rows).map(|r| vec![100.0; wave(r).len()]).collect()),
            ),
            c("z", Values::F64(vec![0.25; rows])),
        ])
        .unwrap()
    }

    #[test]
    fn rows_in_are_rows_out() {
        let model = Model::new(
            NetworkRecipe {
                depth: 1,
                width: 16,
                taps: 3,
                patterns: [1, 1, 1],
            },
            1,
        );
        let opts = PredictOptions {
            pz: true,
            ..PredictOptions::default()
        };
        let m = Measurer::new(model, opts, ReadOptions::default(), BTreeMap::new());
        let predict = |b: &RecordBatch| m.predict(b);
        let whole = predict(&batch(5)).unwrap();
        assert_eq!(whole.num_rows(), 5);
        assert_eq!(
            whole
                .column_by_name("targetid")
                .unwrap()
                .as_primitive::<Int64Type>()
                .value(4),
            4 + (1 << 60)
        );
        assert_eq!(
            whole
                .column_by_name("z_in")
                .unwrap()
                .as_primitive::<Float64Type>()
                .value(0),
            0.25
        );
        assert!(whole.column_by_name("flux").is_none() && whole.column_by_name("file").is_none());
        // The row of three pixels is flagged and says why.
        let bits = whole
            .column_by_name("zwarn")
            .unwrap()
            .as_primitive::<Int64Type>();
        assert!((0..5).all(|r| (bits.value(r) & zwarn::UNREADABLE != 0) == (r == 1)));
        assert!(
            whole
                .column_by_name("error")
                .unwrap()
                .as_string::<i32>()
                .value(1)
                .contains("3 pixels")
        );
        // Cut anywhere, and empty, it is the same; slices have offsets.
        for (from, n) in [(0, 2), (2, 3), (1, 1), (4, 1)] {
            let part = predict(&batch(5).slice(from, n)).unwrap();
            for (name, column) in whole
                .schema()
                .fields()
                .iter()
                .map(|f| f.name())
                .zip(whole.columns())
            {
                assert_eq!(
                    part.column_by_name(name).unwrap(),
                    &column.slice(from, n),
                    "{name} {from}"
                );
            }
        }
        let none = predict(&batch(0)).unwrap();
        assert_eq!((none.num_rows(), none.schema()), (0, whole.schema()));
        assert_eq!(m.schema(batch(0).schema_ref()).unwrap(), whole.schema());
        let e = predict(&batch(5).project(&[0, 1]).unwrap())
            .unwrap_err()
            .to_string();
        assert!(e.contains("fluxes") && e.contains("targetid, wave"), "{e}");
    }
}
