//! Columns of embeddings (lists of numbers, each as long as the others) of Parquet files, read in
//! row groups, so that memory does not grow with the table.

use std::fs::File;
use std::path::{Path, PathBuf};

use arrow_array::cast::AsArray;
use arrow_array::types::{Float32Type, Float64Type};
use arrow_array::{Array, ArrayRef};
use arrow_schema::DataType;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use rayon::prelude::*;

/// A column of embeddings in files of one table.
#[derive(Clone, Debug)]
pub struct Embeddings {
    files: Vec<PathBuf>,
    column: String,
    /// Row groups: (file, group, first row).
    groups: Vec<(usize, usize, u64)>,
    /// Rows in all.
    pub rows: u64,
    /// Numbers in a row.
    pub width: usize,
    /// Metadata of the first file.
    pub keys: Vec<(String, String)>,
}

impl Embeddings {
    /// Looks at the files.
    ///
    /// # Errors
    /// A file that cannot be read, or without such a column: how to make one.
    pub fn open(files: &[PathBuf], column: &str) -> Result<Embeddings, String> {
        let mut all = Embeddings {
            files: files.to_vec(),
            column: column.to_owned(),
            groups: vec![],
            rows: 0,
            width: 0,
            keys: vec![],
        };
        for (k, path) in files.iter().enumerate() {
            let said = |why: String| format!("{}: {why}", path.display());
            let reader = reader(path).map_err(said)?;
            if reader.schema().field_with_name(column).is_err() {
                return Err(said(format!(
                    "no column '{column}': slipher predict SYSTEM FILES… --embedding -o NAME.parquet \
                     writes one"
                )));
            }
            if k == 0 {
                let keys = reader.metadata().file_metadata().key_value_metadata();
                let pairs = keys.into_iter().flatten();
                all.keys = pairs
                    .filter_map(|p| Some((p.key.clone(), p.value.clone()?)))
                    .collect();
            }
            for (g, meta) in reader.metadata().row_groups().iter().enumerate() {
                all.groups.push((k, g, all.rows));
                all.rows += u64::try_from(meta.num_rows()).unwrap_or(0);
            }
        }
        if let Some(first) = all.groups.first() {
            all.width = all.group(first.0, first.1)?.1;
        }
        Ok(all)
    }

    /// A value of the metadata.
    pub fn key(&self, name: &str) -> Option<&str> {
        let found = self.keys.iter().find(|k| k.0 == name);
        found.map(|k| k.1.as_str())
    }

    /// Calls `see` with the rows of each row group, in order: the number of the first and
    /// `[row][value]`; rows without an embedding are NaN.
    ///
    /// # Errors
    /// A file that cannot be read; rows of another length.
    pub fn visit(&self, mut see: impl FnMut(u64, &[f32])) -> Result<(), String> {
        let at_once = rayon::current_num_threads().max(1);
        for some in self.groups.chunks(at_once) {
            let read: Vec<Result<(Vec<f32>, usize), String>> = some
                .par_iter()
                .map(|(file, group, _)| self.group(*file, *group))
                .collect();
            for ((file, _, first), found) in some.iter().zip(read) {
                let (values, width) = found?;
                if width != self.width && !values.is_empty() {
                    return Err(format!(
                        "{}: embeddings of {width} values, where others have {}: made by another model?",
                        self.files[*file].display(),
                        self.width
                    ));
                }
                see(*first, &values);
            }
        }
        Ok(())
    }

    /// Values of a row group, and how many a row has.
    fn group(&self, file: usize, group: usize) -> Result<(Vec<f32>, usize), String> {
        let path = &self.files[file];
        let said = |why: String| format!("{}: {why}", path.display());
        let reader = reader(path).map_err(said)?;
        let mask = ProjectionMask::columns(reader.parquet_schema(), [self.column.as_str()]);
        let batches = reader
            .with_projection(mask)
            .with_row_groups(vec![group])
            .with_batch_size(super::append::ROWS)
            .build()
            .map_err(|e| said(e.to_string()))?;
        let (mut out, mut width) = (vec![], None);
        for batch in batches {
            let batch = batch.map_err(|e| said(e.to_string()))?;
            let own = values(batch.column(0), &mut width, &mut out);
            own.map_err(|why| said(format!("column '{}': {why}", self.column)))?;
        }
        Ok((out, width.unwrap_or(self.width)))
    }
}

fn reader(path: &Path) -> Result<ParquetRecordBatchReaderBuilder<File>, String> {
    let file = File::open(path).map_err(|e| e.to_string())?;
    ParquetRecordBatchReaderBuilder::try_new(file).map_err(|e| e.to_string())
}

/// Appends the numbers of a column.
fn values(column: &ArrayRef, width: &mut Option<usize>, out: &mut Vec<f32>) -> Result<(), String> {
    let numbers = |a: &ArrayRef| -> Result<Vec<f32>, String> {
        match a.data_type() {
            DataType::Float32 => {
                let a = a.as_primitive::<Float32Type>();
                Ok(a.iter().map(|v| v.unwrap_or(f32::NAN)).collect())
            }
            DataType::Float64 => {
                let a = a.as_primitive::<Float64Type>();
                Ok(a.iter().map(|v| v.map_or(f32::NAN, |v| v as f32)).collect())
            }
            other => Err(format!("lists of {other}: expected lists of numbers")),
        }
    };
    if let Some(a) = column.as_fixed_size_list_opt() {
        let w = a.value_length().max(0) as usize;
        *width = Some(w);
        let mut own = numbers(a.values())?;
        for row in (0..a.len()).filter(|r| a.is_null(*r)) {
            own[row * w..(row + 1) * w].fill(f32::NAN);
        }
        out.extend(own);
        return Ok(());
    }
    let Some(a) = column.as_list_opt::<i32>() else {
        return Err(format!("{}: expected lists of numbers", column.data_type()));
    };
    for row in 0..a.len() {
        let own = if a.is_null(row) {
            vec![]
        } else {
            numbers(&a.value(row))?
        };
        match *width {
            None if own.is_empty() => {
                return Err("the first row has no embedding: how long are they?".into());
            }
            None => {
                *width = Some(own.len());
                out.extend(own);
            }
            Some(w) if own.len() == w => out.extend(own),
            Some(w) if own.is_empty() => out.resize(out.len() + w, f32::NAN),
            Some(w) => return Err(format!("row of {} values among rows of {w}", own.len())),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::{CatalogueWriter, Column, Values};
    use super::*;

    #[test]
    fn rows_of_several_files_come_in_order() {
        let folder = std::env::temp_dir().join(format!("slipher-embedding-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let write = |k: usize, values: Values| {
            let path = folder.join(format!("{k}.parquet"));
            let mut w = CatalogueWriter::create(&path, &[("system", "radio".into())]).unwrap();
            w.write(vec![Column::bare("embedding", values)]).unwrap();
            w.finish().unwrap();
            path
        };
        let fixed = Values::F32Arrays {
            width: 3,
            values: (0..12).map(|v| v as f32).collect(),
        };
        let lists = Values::F32Lists(vec![vec![12.0, 13.0, 14.0], vec![], vec![15.0, 16.0, 17.0]]);
        let files = [write(0, fixed), write(1, lists)];
        let e = Embeddings::open(&files, "embedding").unwrap();
        assert_eq!((e.rows, e.width, e.key("system")), (7, 3, Some("radio")));
        let mut all = vec![];
        e.visit(|first, v| {
            assert_eq!(first as usize, all.len() / 3);
            all.extend_from_slice(v);
        })
        .unwrap();
        assert!(all[15..18].iter().all(|v| v.is_nan()) && all[18] == 15.0 && all[12] == 12.0);
        let why = Embeddings::open(&files, "features").unwrap_err();
        assert!(why.contains("--embedding"), "{why}");
        let other = write(2, Values::F32Lists(vec![vec![1.0, 2.0]]));
        let mixed = Embeddings::open(&[files[0].clone(), other], "embedding").unwrap();
        assert!(
            mixed
                .visit(|_, _| ())
                .unwrap_err()
                .contains("another model")
        );
        std::fs::remove_dir_all(folder).unwrap();
    }
}
