//! `select id, redshift(flux, ivar, wave).z from 'spectra/*.parquet'`: the contract of [`slipher_systems::redshift::contract`] as a scalar function.

#[cfg(feature = "datafusion")]
mod fields;
#[cfg(feature = "datafusion")]
mod function;
#[cfg(feature = "datafusion")]
mod session;

#[cfg(feature = "datafusion")]
pub use function::redshift;
#[cfg(feature = "datafusion")]
pub use session::run;

/// Why a query has no answer.
#[derive(Debug, thiserror::Error)]
pub enum SqlError {
    #[error(
        "this slipher was built without SQL; build it with: cargo build --release --features sql"
    )]
    NotBuilt,
    #[error("{0}")]
    Query(String),
    #[error("{0}")]
    Output(String),
}

/// Says that there is no SQL in this build.
///
/// # Errors
/// Always.
#[cfg(not(feature = "datafusion"))]
pub fn run(
    _: std::sync::Arc<slipher_systems::redshift::model::Model>,
    _: slipher_systems::redshift::measure::Wanted,
    _: &str,
    _: Option<&std::path::Path>,
) -> Result<u64, SqlError> {
    Err(SqlError::NotBuilt)
}
