//! `select id, redshift(flux, ivar, wave).z from 'spectra/*.parquet'`: the contract of
//! [`slipher_systems::predict`] as a scalar function for each system.

#[cfg(feature = "datafusion")]
mod fields;
#[cfg(feature = "datafusion")]
mod function;
#[cfg(feature = "datafusion")]
mod session;

#[cfg(feature = "datafusion")]
pub use function::function;
#[cfg(feature = "datafusion")]
pub use session::run;

/// A system with its model, for [`run`].
pub type Opened = (
    &'static dyn slipher_systems::offered::DynSystem,
    std::sync::Arc<dyn slipher_systems::predict::Predict>,
);

/// Why a query has no answer.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say it")]
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
pub fn run(_: &[Opened], _: &str, _: Option<&std::path::Path>) -> Result<u64, SqlError> {
    Err(SqlError::NotBuilt)
}
