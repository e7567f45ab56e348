//! A query over files.

use std::path::Path;
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::{Array, ArrayRef, RecordBatch, StringArray};
use datafusion::arrow::util::pretty::pretty_format_batches;
use datafusion::config::Dialect;
use datafusion::dataframe::DataFrame;
use datafusion::error::DataFusionError;
use datafusion::prelude::{SQLOptions, SessionConfig, SessionContext};
use futures::StreamExt;
use slipher_data::hats::PartWriter;

use crate::{Opened, SqlError, function};

/// Rows that go through the function at a time.
const ROWS: usize = 1024;
/// Rows that are printed; a file has them all.
const PRINTED: usize = 100;

/// Runs a query; tables are Parquet files, patterns and folders in quotes. The answer goes to a
/// Parquet file, which appears whole or not at all, or the first hundred rows are printed. Returns
/// the rows of the answer.
///
/// # Errors
/// A query that cannot be planned or fails; an output that cannot be written.
pub fn run(systems: &[Opened], query: &str, output: Option<&Path>) -> Result<u64, SqlError> {
    if let Some(path) = output.filter(|p| p.extension().is_none_or(|e| e != "parquet")) {
        return Err(SqlError::Output(format!(
            "{}: expected a name that ends in .parquet",
            path.display()
        )));
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .build()
        .map_err(|e| SqlError::Query(e.to_string()))?;
    runtime.block_on(async {
        // The function works on all threads; one partition reads while another is measured.
        let mut config = SessionConfig::new()
            .with_batch_size(ROWS)
            .with_target_partitions(2);
        // Units of columns are metadata.
        config.options_mut().execution.parquet.skip_metadata = false;
        let context = SessionContext::new_with_config(config).enable_url_table();
        for (system, model) in systems {
            context.register_udf(function(system.name(), system.input(), model.clone()));
        }
        let frame = plan(&context, query).await.map_err(failed)?;
        match output {
            Some(path) => write(frame, path).await,
            None => print(frame).await,
        }
    })
}

/// A query, and nothing else: no statement that writes or changes.
async fn plan(context: &SessionContext, query: &str) -> Result<DataFrame, DataFusionError> {
    let state = context.state();
    let statement = crate::fields::named(state.sql_to_statement(query, &Dialect::Generic)?);
    let plan = state.statement_to_plan(statement).await?;
    SQLOptions::new()
        .with_allow_ddl(false)
        .with_allow_dml(false)
        .with_allow_statements(false)
        .verify_plan(&plan)?;
    context.execute_logical_plan(plan).await
}

fn failed(e: DataFusionError) -> SqlError {
    // What the function itself says needs no frame.
    let text = if let DataFusionError::External(own) = e.find_root() {
        own.to_string()
    } else {
        e.strip_backtrace()
    };
    let missing = text
        .split_once("table 'datafusion.public.")
        .and_then(|(_, t)| t.strip_suffix("' not found"));
    SqlError::Query(missing.map_or(text.clone(), |t| {
        format!(
            "'{t}': no such file; tables are Parquet files, folders or patterns in single quotes"
        )
    }))
}

/// Batch by batch, so that memory does not grow with the answer.
async fn write(frame: DataFrame, path: &Path) -> Result<u64, SqlError> {
    let odd = |e: slipher_data::hats::HatsError| SqlError::Output(e.to_string());
    let mut stream = frame.execute_stream().await.map_err(failed)?;
    let mut writer = PartWriter::create(path, &stream.schema(), &[]).map_err(odd)?;
    while let Some(batch) = stream.next().await {
        writer.write(&batch.map_err(failed)?).map_err(odd)?;
    }
    writer.finish().map_err(odd)
}

async fn print(frame: DataFrame) -> Result<u64, SqlError> {
    let mut stream = frame.execute_stream().await.map_err(failed)?;
    let (mut rows, mut shown) = (0, vec![short(&RecordBatch::new_empty(stream.schema()))]);
    while let Some(batch) = stream.next().await {
        let batch = batch.map_err(failed)?;
        if rows < PRINTED {
            shown.push(short(&batch.slice(0, batch.num_rows().min(PRINTED - rows))));
        }
        rows += batch.num_rows();
    }
    println!(
        "{}",
        pretty_format_batches(&shown).map_err(|e| SqlError::Query(e.to_string()))?
    );
    if rows > PRINTED {
        println!("the first {PRINTED} of {rows} rows; all of them: -o answer.parquet");
    }
    Ok(rows as u64)
}

/// Lists, such as spectra, by their length: thousands of numbers say nothing on a screen.
fn short(batch: &RecordBatch) -> RecordBatch {
    let columns = batch
        .schema_ref()
        .fields()
        .iter()
        .zip(batch.columns())
        .map(|(field, column)| {
            let text = column.as_list_opt::<i32>().map(|l| -> ArrayRef {
                Arc::new(
                    (0..l.len())
                        .map(|r| {
                            l.is_valid(r)
                                .then(|| format!("{} values", l.value_length(r)))
                        })
                        .collect::<StringArray>(),
                )
            });
            (field.name().clone(), text.unwrap_or_else(|| column.clone()))
        });
    RecordBatch::try_from_iter_with_nullable(columns.map(|(n, c)| (n, c, true)))
        .unwrap_or_else(|_| batch.clone())
}
