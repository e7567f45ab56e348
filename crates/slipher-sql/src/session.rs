//! A query over files.

use std::path::Path;
use std::sync::Arc;

use datafusion::dataframe::DataFrameWriteOptions;
use datafusion::prelude::{SessionConfig, SessionContext};
use slipher_systems::redshift::measure::Wanted;
use slipher_systems::redshift::model::Model;

use crate::SqlError;

/// Rows that go through the function at a time.
const ROWS: usize = 1024;

/// Runs a query; tables are paths of Parquet files in quotes, with `*` and folders. The answer is printed, or written as Parquet.
///
/// # Errors
/// A query that cannot be planned or fails; an output that cannot be written.
pub fn run(model: Arc<Model>, wanted: Wanted, query: &str, output: Option<&Path>) -> Result<u64, SqlError> {
    let failed = |e: datafusion::error::DataFusionError| SqlError::Query(e.strip_backtrace());
    let runtime = tokio::runtime::Builder::new_multi_thread().build().map_err(|e| SqlError::Query(e.to_string()))?;
    runtime.block_on(async {
        // The function works on all threads; a partition reads while another is measured.
        let config = SessionConfig::new().with_batch_size(ROWS).with_target_partitions(2);
        let context = SessionContext::new_with_config(config).enable_url_table();
        context.register_udf(crate::redshift(model, wanted));
        let frame = context.sql(query).await.map_err(failed)?;
        let Some(path) = output else {
            let answer = frame.collect().await.map_err(failed)?;
            let text = datafusion::arrow::util::pretty::pretty_format_batches(&answer).map_err(|e| SqlError::Query(e.to_string()))?;
            println!("{text}");
            return Ok(answer.iter().map(|b| b.num_rows() as u64).sum());
        };
        let odd = |why: String| SqlError::Output { path: path.to_owned(), why };
        if path.extension().is_none_or(|e| e != "parquet") {
            return Err(odd("expected a name that ends in .parquet".into()));
        }
        let temporary = path.with_extension("tmp.parquet");
        let name = temporary.to_str().ok_or_else(|| odd("expected a name in UTF-8".into()))?;
        let options = DataFrameWriteOptions::new().with_single_file_output(true);
        frame.write_parquet(name, options, None).await.map_err(failed)?;
        std::fs::rename(&temporary, path).map_err(|e| odd(e.to_string()))?;
        slipher_data::hats::rows_of(path).map_err(|e| odd(e.to_string()))
    })
}
