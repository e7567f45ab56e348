//! Functions of DataFusion, one for each system.

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
use slipher_systems::example::Input;
use slipher_systems::predict::Predict;

/// Names of the arguments, in order; the last may be left out.
const ARGUMENTS: [&str; 4] = ["flux", "ivar", "wave", "object_id"];
const EXPECTED: &str = "redshift: expected redshift(flux, ivar, wave) of three lists of numbers, redshift(flux, ivar, wave, object_id), or redshift(spectrum) of one struct (or list of structs) whose fields are named so";

/// The function of a system.
///
/// Of spectra `redshift(flux, ivar, wave)`, with an identifier for priors by object, or
/// `redshift(spectrum)` of a struct, whose other fields (`mask`, `object_id`, `ivar_estimated` …)
/// count, too. Units are those of the columns' metadata. Of images `radio(image)`,
/// `transients("cutoutScience", …)`: the columns of a batch by their own names. Each row gives a
/// struct of the catalogue's columns; bad rows are flagged in it.
pub fn function(system: &str, input: Input, model: Arc<dyn Predict>) -> ScalarUDF {
    // SQL has no names with a hyphen.
    let name = system.replace('-', "_");
    let signature = Signature::variadic_any(Volatility::Immutable);
    ScalarUDF::from(Answer {
        name,
        input,
        model,
        signature,
    })
}

struct Answer {
    name: String,
    input: Input,
    model: Arc<dyn Predict>,
    signature: Signature,
}

impl std::fmt::Debug for Answer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} with model {}", self.name, self.model.sha256())
    }
}

// One model of a system with one set of options in a session: functions differ if their models do.
impl PartialEq for Answer {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.model, &other.model)
    }
}
impl Eq for Answer {}
impl Hash for Answer {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (&self.name, self.model.sha256()).hash(state);
    }
}

impl Answer {
    /// The arguments as columns of a batch.
    fn columns(&self, given: &[FieldRef]) -> Result<Vec<Field>> {
        match self.input {
            Input::Spectrum => columns(given),
            Input::Cutout | Input::LightCurve if given.is_empty() => {
                plan_err!(
                    "{0}: expected the columns of an observation, as {0}(image), or {0}(mjd, band, flux, flux_err)",
                    self.name
                )
            }
            Input::Cutout | Input::LightCurve => Ok(given
                .iter()
                .map(|f| f.as_ref().clone().with_nullable(true))
                .collect()),
        }
    }
}

fn outside(e: impl std::error::Error + Send + Sync + 'static) -> DataFusionError {
    DataFusionError::External(Box::new(e))
}

impl ScalarUDFImpl for Answer {
    fn name(&self) -> &str {
        &self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        plan_err!(
            "{}: its type follows from the fields of its arguments",
            self.name
        )
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs) -> Result<FieldRef> {
        let columns = self.columns(args.arg_fields)?;
        if self.model.needs_identifiers() && !columns.iter().any(|f| f.name() == ARGUMENTS[3]) {
            return plan_err!(
                "redshift: this prior is one for each object: write redshift(flux, ivar, wave, object_id)"
            );
        }
        let carried = carried(&columns);
        let found = self
            .model
            .schema(&Arc::new(Schema::new(columns)))
            .map_err(outside)?;
        Ok(Arc::new(Field::new(
            self.name(),
            DataType::Struct(own(found.fields(), carried)),
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
        if let (Input::Spectrum, [spectrum]) = (self.input, arrays.as_slice())
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
        let columns = self.columns(&args.arg_fields)?;
        let carried = carried(&columns);
        let schema = Arc::new(Schema::new(columns));
        let batch = RecordBatch::try_new_with_options(
            schema,
            arrays,
            &RecordBatchOptions::new().with_row_count(Some(rows)),
        )?;
        let found = self.model.predict(&batch).map_err(outside)?;
        if found.num_rows() != rows {
            return exec_err!("{}: {} rows of {rows}", self.name, found.num_rows());
        }
        let fields = own(found.schema_ref().fields(), carried);
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

/// Columns that the answers carry of these arguments: [`slipher_systems::predict::beside`].
fn carried(arguments: &[Field]) -> usize {
    let binary = |t: &DataType| {
        matches!(
            t,
            DataType::Binary | DataType::LargeBinary | DataType::BinaryView
        )
    };
    arguments
        .iter()
        .filter(|f| !f.data_type().is_nested() && !binary(f.data_type()))
        .count()
}

/// The catalogue's columns; what the contract carries stands before them, and the query has it
/// already. Without metadata, which would make structs of two files differ.
fn own(fields: &Fields, carried: usize) -> Fields {
    let plain = |f: &FieldRef| Field::new(f.name(), f.data_type().clone(), true);
    fields.iter().skip(carried).map(plain).collect()
}
