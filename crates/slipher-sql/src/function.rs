//! The function `redshift` of DataFusion.

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use arrow_array::{ArrayRef, RecordBatch, RecordBatchOptions, StructArray};
use arrow_schema::{DataType, Field, Fields, Schema};
use datafusion::common::{DataFusionError, Result, exec_err, plan_err};
use datafusion::logical_expr::{ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility};
use slipher_data::formats::ReadOptions;
use slipher_systems::redshift::contract;
use slipher_systems::redshift::measure::Wanted;
use slipher_systems::redshift::model::Model;

/// Names of the arguments, in order.
const ARGUMENTS: [&str; 3] = ["flux", "ivar", "wave"];

/// `redshift(flux, ivar, wave)`, or `redshift(spectrum)` of a struct (or list of structs) with fields of such names. Each row gives a struct
/// `{z, z_err, p_correct, accepted, spectype, zwarn, …}`; bad rows are flagged in it.
pub fn redshift(model: Arc<Model>, wanted: Wanted) -> ScalarUDF {
    ScalarUDF::from(Redshift { model, wanted, signature: Signature::variadic_any(Volatility::Immutable) })
}

struct Redshift {
    model: Arc<Model>,
    wanted: Wanted,
    signature: Signature,
}

impl std::fmt::Debug for Redshift {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "redshift with model {}", self.model.sha256)
    }
}

// One model with one set of options in a session: functions differ if their models do.
impl PartialEq for Redshift {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.model, &other.model)
    }
}
impl Eq for Redshift {}
impl Hash for Redshift {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.model.sha256.hash(state);
    }
}

fn outside(e: impl std::error::Error + Send + Sync + 'static) -> DataFusionError {
    DataFusionError::External(Box::new(e))
}

impl ScalarUDFImpl for Redshift {
    fn name(&self) -> &str {
        "redshift"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        let schema = Arc::new(Schema::new(fields(types)?));
        Ok(DataType::Struct(own(contract::schema(&self.model, &self.wanted, &schema).map_err(outside)?.fields())))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let rows = args.number_rows;
        let arrays = args.args.into_iter().map(|a| a.into_array(rows)).collect::<Result<Vec<ArrayRef>>>()?;
        let types: Vec<DataType> = arrays.iter().map(|a| a.data_type().clone()).collect();
        let schema = Arc::new(Schema::new(fields(&types)?));
        let batch = RecordBatch::try_new_with_options(schema, arrays, &RecordBatchOptions::new().with_row_count(Some(rows)))?;
        let found = contract::predict(&self.model, &self.wanted, &ReadOptions::default(), &batch).map_err(outside)?;
        if found.num_rows() != rows {
            return exec_err!("redshift: {} rows of {rows}", found.num_rows());
        }
        let keep = own(found.schema_ref().fields());
        let columns = keep.iter().filter_map(|f| found.column_by_name(f.name()).cloned()).collect();
        Ok(ColumnarValue::Array(Arc::new(StructArray::try_new(keep, columns, None)?)))
    }
}

/// The arguments as columns.
fn fields(types: &[DataType]) -> Result<Vec<Field>> {
    let nested = |t: &DataType| match t {
        DataType::Struct(_) => true,
        DataType::List(f) | DataType::LargeList(f) => matches!(f.data_type(), DataType::Struct(_)),
        _ => false,
    };
    match types {
        [spectrum] if nested(spectrum) => Ok(vec![Field::new("spectrum", spectrum.clone(), true)]),
        [_, _, _] => Ok(ARGUMENTS.iter().zip(types).map(|(n, t)| Field::new(*n, t.clone(), true)).collect()),
        _ => plan_err!("redshift: expected redshift(flux, ivar, wave) with three lists, or redshift(spectrum) with one struct"),
    }
}

/// Metadata of fields would make structs of two files differ.
fn own(fields: &Fields) -> Fields {
    fields.iter().map(|f| Field::new(f.name(), f.data_type().clone(), true)).collect()
}
