//! The function `redshift` of DataFusion.

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::{Array, ArrayRef, RecordBatch, RecordBatchOptions, StructArray};
use arrow_schema::{DataType, Field, FieldRef, Fields, Schema};
use datafusion::common::{DataFusionError, Result, exec_err, plan_err};
use datafusion::logical_expr::{
    ColumnarValue, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature,
    Volatility,
};
use slipher_data::formats::ReadOptions;
use slipher_systems::redshift::contract;
use slipher_systems::redshift::measure::Wanted;
use slipher_systems::redshift::model::Model;
use slipher_systems::redshift::prior::Prior;

/// Names of the arguments, in order; the last may be left out.
const ARGUMENTS: [&str; 4] = ["flux", "ivar", "wave", "object_id"];
const EXPECTED: &str = "redshift: expected redshift(flux, ivar, wave) of three lists of numbers, redshift(flux, ivar, wave, object_id), or redshift(spectrum) of one struct (or list of structs) whose fields are named so";

/// `redshift(flux, ivar, wave)`, with an identifier for priors by object, or `redshift(spectrum)` of a struct, whose other fields (`mask`,
/// `object_id`, `ivar_estimated` …) count, too. Units are those of the columns' metadata. Each row gives a struct
/// `{z, z_err, p_correct, accepted, spectype, zwarn, …}`; bad rows are flagged in it.
pub fn redshift(model: Arc<Model>, wanted: Wanted) -> ScalarUDF {
    ScalarUDF::from(Redshift {
        model,
        wanted,
        signature: Signature::variadic_any(Volatility::Immutable),
    })
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

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        plan_err!("redshift: its type follows from the fields of its arguments")
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs) -> Result<FieldRef> {
        let columns = columns(args.arg_fields)?;
        if matches!(self.wanted.prior, Some(Prior::Objects(_)))
            && !columns.iter().any(|f| f.name() == ARGUMENTS[3])
        {
            return plan_err!(
                "redshift: this prior is one for each object: write redshift(flux, ivar, wave, object_id)"
            );
        }
        let found = contract::schema(&self.model, &self.wanted, &Arc::new(Schema::new(columns)))
            .map_err(outside)?;
        Ok(Arc::new(Field::new(
            self.name(),
            DataType::Struct(own(found.fields())),
            true,
        )))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let rows = args.number_rows;
        let mut arrays = args
            .args
            .into_iter()
            .map(|a| a.into_array(rows))
            .collect::<Result<Vec<ArrayRef>>>()?;
        // As in `columns`: what a struct has beside its lists stands beside it.
        if let [spectrum] = arrays.as_slice()
            && let Some(s) = spectrum.as_struct_opt()
        {
            let beside: Vec<ArrayRef> = s
                .columns()
                .iter()
                .filter(|c| !c.data_type().is_nested())
                .cloned()
                .collect();
            arrays.extend(beside);
        }
        let schema = Arc::new(Schema::new(columns(&args.arg_fields)?));
        let batch = RecordBatch::try_new_with_options(
            schema,
            arrays,
            &RecordBatchOptions::new().with_row_count(Some(rows)),
        )?;
        let found = contract::predict(&self.model, &self.wanted, &ReadOptions::default(), &batch)
            .map_err(outside)?;
        if found.num_rows() != rows {
            return exec_err!("redshift: {} rows of {rows}", found.num_rows());
        }
        let fields = own(found.schema_ref().fields());
        let columns = found.columns()[found.num_columns() - fields.len()..].to_vec();
        Ok(ColumnarValue::Array(Arc::new(StructArray::try_new(
            fields, columns, None,
        )?)))
    }
}

/// The arguments as columns of a batch.
fn columns(given: &[FieldRef]) -> Result<Vec<Field>> {
    let renamed = |f: &FieldRef, name: &str| f.as_ref().clone().with_name(name).with_nullable(true);
    let structs = |t: &DataType| matches!(t, DataType::List(f) | DataType::LargeList(f) if matches!(f.data_type(), DataType::Struct(_)));
    match given {
        [spectrum] => match spectrum.data_type() {
            DataType::Struct(fields) => {
                let beside = fields
                    .iter()
                    .filter(|f| !f.data_type().is_nested())
                    .map(|f| f.as_ref().clone().with_nullable(true));
                Ok(std::iter::once(renamed(spectrum, "spectrum"))
                    .chain(beside)
                    .collect())
            }
            t if structs(t) => Ok(vec![renamed(spectrum, "spectrum")]),
            _ => plan_err!("{EXPECTED}"),
        },
        [flux, ivar, wave] | [flux, ivar, wave, _]
            if [flux, ivar, wave].iter().all(|f| f.data_type().is_list()) =>
        {
            Ok(given
                .iter()
                .zip(ARGUMENTS)
                .map(|(f, n)| renamed(f, n))
                .collect())
        }
        _ => plan_err!("{EXPECTED}"),
    }
}

/// The catalogue's columns, which begin with z; what the contract carries stands before them, and the query has it already. Without metadata, which
/// would make structs of two files differ.
fn own(fields: &Fields) -> Fields {
    fields
        .iter()
        .skip_while(|f| f.name() != "z")
        .map(|f| Field::new(f.name(), f.data_type().clone(), true))
        .collect()
}
