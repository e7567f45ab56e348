//! Weights on disk: safetensors with real shapes, a version and metadata whose keys are required.
//!
//! Metadata are JSON values under one key of the header, sorted, so that the same content gives the
//! same bytes. A file that is damaged, made for something else or by a later version is refused;
//! nothing falls back to a default.

use std::collections::{BTreeMap, HashMap};
use std::io::Write;
use std::path::{Path, PathBuf};

use safetensors::tensor::{Dtype, SafeTensors, TensorView};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use sha2::{Digest, Sha256};

/// Version of the format that this program writes; files without one are of version 0 and 1.
pub const FORMAT_VERSION: u64 = 2;

/// Why a file of weights cannot be read or written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
#[expect(missing_docs, reason = "the messages say it")]
pub enum CheckpointError {
    #[error("cannot {what} {}: {source}", path.display())]
    Io {
        what: &'static str,
        path: PathBuf,
        source: std::io::Error,
    },
    #[error("{name} is not a Slipher model: {why}")]
    Format { name: String, why: String },
    #[error("{name}: {why}: the file is damaged, or of another kind of model or version")]
    Content { name: String, why: String },
}

impl CheckpointError {
    pub(crate) fn json(key: &str, e: &serde_json::Error) -> Self {
        CheckpointError::Content {
            name: "model".into(),
            why: format!("'{key}': {e}"),
        }
    }
}

/// Values with their shape, the last index fastest.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Array {
    /// Of each axis, slowest first.
    pub shape: Vec<usize>,
    /// In C order.
    pub values: Vec<f32>,
}

impl Array {
    /// One dimension.
    pub fn flat(values: Vec<f32>) -> Array {
        Array {
            shape: vec![values.len()],
            values,
        }
    }

    /// # Panics
    /// If the shape does not hold as many values.
    pub fn new(shape: Vec<usize>, values: Vec<f32>) -> Array {
        assert_eq!(
            shape.iter().product::<usize>(),
            values.len(),
            "a value for each place"
        );
        Array { shape, values }
    }
}

/// Named arrays and named JSON values.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Checkpoint {
    /// For messages: the file.
    pub name: String,
    /// By name.
    pub tensors: BTreeMap<String, Array>,
    /// JSON values by name: recipe, format version, kind, states.
    pub meta: BTreeMap<String, Value>,
}

impl Checkpoint {
    /// Parses the bytes of a safetensors file; `name` is for the messages.
    ///
    /// # Errors
    /// Not safetensors, types other than `f32` and `bf16`, or a later version of the format.
    pub fn from_bytes(name: &str, bytes: &[u8]) -> Result<Self, CheckpointError> {
        let bad = |why: String| CheckpointError::Format {
            name: name.to_owned(),
            why,
        };
        let file = SafeTensors::deserialize(bytes).map_err(|e| bad(e.to_string()))?;
        let (_, header) = SafeTensors::read_metadata(bytes).map_err(|e| bad(e.to_string()))?;
        let text = header.metadata().as_ref().and_then(|m| m.get("slipher")).ok_or_else(|| {
            bad("its metadata have no entry 'slipher': expected a file written by 'slipher train'".into())
        })?;
        let meta: BTreeMap<String, Value> =
            serde_json::from_str(text).map_err(|e| bad(format!("metadata: {e}")))?;
        let mut out = Checkpoint {
            name: name.to_owned(),
            meta,
            tensors: BTreeMap::new(),
        };
        out.check_version()?;
        for (key, view) in file.tensors() {
            let values = match view.dtype() {
                Dtype::F32 => {
                    let word = |b: &[u8]| f32::from_le_bytes([b[0], b[1], b[2], b[3]]);
                    view.data().chunks_exact(4).map(word).collect()
                }
                Dtype::BF16 => {
                    let word = |b: &[u8]| u32::from(u16::from_le_bytes([b[0], b[1]])) << 16;
                    view.data()
                        .chunks_exact(2)
                        .map(|b| f32::from_bits(word(b)))
                        .collect()
                }
                other => {
                    return Err(bad(format!(
                        "tensor '{key}' has type {other:?}, expected F32"
                    )));
                }
            };
            out.tensors.insert(
                key,
                Array {
                    shape: view.shape().to_vec(),
                    values,
                },
            );
        }
        Ok(out)
    }

    /// Files of 0.1 hold JSON in strings; their content becomes what this version writes.
    fn check_version(&mut self) -> Result<(), CheckpointError> {
        let bad = |name: &str, why: String| CheckpointError::Format {
            name: name.to_owned(),
            why,
        };
        match self.meta.remove("format_version") {
            None => {
                for (key, value) in &mut self.meta {
                    let Value::String(text) = &*value else {
                        return Err(bad(&self.name, "'format_version' is missing".into()));
                    };
                    if key != "id"
                        && let Ok(inner) = serde_json::from_str(text)
                    {
                        *value = inner;
                    }
                }
                Ok(())
            }
            Some(v) if v.as_u64() == Some(FORMAT_VERSION) => Ok(()),
            Some(v) => Err(bad(
                &self.name,
                format!("format_version {v}: this version of Slipher reads up to {FORMAT_VERSION}"),
            )),
        }
    }

    /// Bytes of a safetensors file. The same content gives the same bytes.
    ///
    /// # Errors
    /// Shapes that do not fit their values.
    pub fn to_bytes(&self) -> Result<Vec<u8>, CheckpointError> {
        let bad = |why: String| CheckpointError::Format {
            name: self.name.clone(),
            why,
        };
        let raw: Vec<(&str, &[usize], Vec<u8>)> = self
            .tensors
            .iter()
            .map(|(k, a)| {
                let bytes = a.values.iter().flat_map(|x| x.to_le_bytes()).collect();
                (k.as_str(), a.shape.as_slice(), bytes)
            })
            .collect();
        let mut views = Vec::new();
        for (k, shape, bytes) in &raw {
            let view = TensorView::new(Dtype::F32, shape.to_vec(), bytes)
                .map_err(|e| bad(e.to_string()))?;
            views.push((*k, view));
        }
        let mut meta = self.meta.clone();
        meta.insert("format_version".into(), FORMAT_VERSION.into());
        let text = serde_json::to_string(&meta).map_err(|e| bad(e.to_string()))?;
        // A map of one key keeps the header's bytes independent of hashing order.
        let meta = HashMap::from([("slipher".to_owned(), text)]);
        safetensors::serialize(views, Some(meta)).map_err(|e| bad(e.to_string()))
    }

    /// Reads a file.
    ///
    /// # Errors
    /// As [`Checkpoint::from_bytes`], or the file cannot be read.
    pub fn read(path: &Path) -> Result<Self, CheckpointError> {
        Checkpoint::from_bytes(&path.display().to_string(), &read(path)?)
    }

    /// Writes atomically.
    ///
    /// # Errors
    /// The folder cannot be written, the disk is full.
    pub fn write(&self, path: &Path) -> Result<(), CheckpointError> {
        write_atomically(path, &self.to_bytes()?)
    }

    fn content(&self, why: String) -> CheckpointError {
        let name = if self.name.is_empty() {
            "model".into()
        } else {
            self.name.clone()
        };
        CheckpointError::Content { name, why }
    }

    /// A metadata value.
    ///
    /// # Errors
    /// It is missing or of another type.
    pub fn get<T: DeserializeOwned>(&self, key: &str) -> Result<T, CheckpointError> {
        let value = self
            .meta
            .get(key)
            .ok_or_else(|| self.content(format!("'{key}' is missing")))?;
        T::deserialize(value).map_err(|e| self.content(format!("'{key}': {e}")))
    }

    /// Sets a metadata value.
    ///
    /// # Errors
    /// It has no JSON form.
    pub fn set<T: Serialize>(&mut self, key: &str, value: &T) -> Result<(), CheckpointError> {
        let value = serde_json::to_value(value).map_err(|e| CheckpointError::json(key, &e))?;
        self.meta.insert(key.into(), value);
        Ok(())
    }

    /// Checks what kind of file it is.
    ///
    /// # Errors
    /// Another kind.
    pub fn expect_kind(&self, kind: &str) -> Result<(), CheckpointError> {
        match self.meta.get("kind").and_then(Value::as_str) {
            Some(k) if k == kind => Ok(()),
            Some(k) => Err(self.content(format!("it is a '{k}', expected a '{kind}'"))),
            None => Err(self.content(format!("'kind' is missing, expected '{kind}'"))),
        }
    }

    /// Values of a tensor of a known number of values.
    ///
    /// # Errors
    /// It is missing or of another length.
    pub fn tensor(&self, key: &str, len: usize) -> Result<Vec<f32>, CheckpointError> {
        let a = self
            .tensors
            .get(key)
            .ok_or_else(|| self.content(format!("tensor '{key}' is missing")))?;
        if a.values.len() == len {
            Ok(a.values.clone())
        } else {
            let why = format!(
                "tensor '{key}' has {} values, expected {len}",
                a.values.len()
            );
            Err(self.content(why))
        }
    }

    /// Values of a tensor of weights, all finite.
    ///
    /// # Errors
    /// As [`Checkpoint::tensor`], or a value that is no number.
    pub fn weights(&self, key: &str, len: usize) -> Result<Vec<f32>, CheckpointError> {
        let v = self.tensor(key, len)?;
        if v.iter().all(|w| w.is_finite()) {
            Ok(v)
        } else {
            Err(self.content(format!("tensor '{key}' has values that are not finite")))
        }
    }

    /// Saves vectors by name.
    pub fn put<'a>(&mut self, parts: impl IntoIterator<Item = (&'a str, &'a Vec<f32>)>) {
        for (key, values) in parts {
            self.tensors
                .insert(key.to_owned(), Array::flat(values.clone()));
        }
    }

    /// Loads vectors by name, each of the length it has.
    ///
    /// # Errors
    /// A tensor that is missing or of another length.
    pub fn take<'a>(
        &self,
        parts: impl IntoIterator<Item = (&'a str, &'a mut Vec<f32>)>,
    ) -> Result<(), CheckpointError> {
        for (key, values) in parts {
            *values = self.tensor(key, values.len())?;
        }
        Ok(())
    }
}

/// The bytes of a file.
///
/// # Errors
/// It cannot be read.
pub fn read(path: &Path) -> Result<Vec<u8>, CheckpointError> {
    std::fs::read(path).map_err(|source| CheckpointError::Io {
        what: "read",
        path: path.to_owned(),
        source,
    })
}

/// Writes a file that appears whole or not at all: a temporary file of a name of its own beside it,
/// synchronised, then renamed.
///
/// # Errors
/// The folder cannot be written, the disk is full.
pub fn write_atomically(path: &Path, bytes: &[u8]) -> Result<(), CheckpointError> {
    let folder = path
        .parent()
        .filter(|p| !p.as_os_str().is_empty())
        .unwrap_or(Path::new("."));
    let write = || {
        let mut builder = tempfile::Builder::new();
        builder.prefix(".slipher-").suffix(".tmp");
        // As any new file: the user's umask decides.
        #[cfg(unix)]
        builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
        let mut f = builder.tempfile_in(folder)?;
        f.write_all(bytes)?;
        f.as_file().sync_all()?;
        f.persist(path).map_err(|e| e.error)?;
        Ok(())
    };
    write().map_err(|source| CheckpointError::Io {
        what: "write",
        path: path.to_owned(),
        source,
    })
}

/// Removes what killed processes left of [`write_atomically`] in a folder.
pub fn remove_leftovers(folder: &Path) {
    for e in folder.read_dir().into_iter().flatten().flatten() {
        let name = e.file_name().to_string_lossy().into_owned();
        if name.starts_with(".slipher-") && name.ends_with(".tmp") {
            // What cannot be removed is hidden and harms nobody.
            let _ = std::fs::remove_file(e.path());
        }
    }
}

/// SHA-256 of a file's bytes, in hexadecimal: what catalogues carry of their model.
pub fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes)
        .iter()
        .map(|b| format!("{b:02x}"))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn example() -> Checkpoint {
        let mut c = Checkpoint {
            name: "x".into(),
            ..Checkpoint::default()
        };
        let values = vec![1.0, -2.5, f32::MIN_POSITIVE, 0.0, 7.0, -0.0];
        c.tensors.insert("a".into(), Array::new(vec![2, 3], values));
        c.set("z", &1).unwrap();
        c.set("kind", &"test").unwrap();
        c.set("list", &vec![Some(0.1), None]).unwrap();
        c
    }

    #[test]
    fn leftovers_go() {
        let dir = tempfile::tempdir().unwrap();
        for f in [".slipher-0AyPo6.tmp", ".slipher", "model.safetensors"] {
            std::fs::write(dir.path().join(f), "x").unwrap();
        }
        remove_leftovers(dir.path());
        assert_eq!(dir.path().read_dir().unwrap().count(), 2);
    }

    #[test]
    fn round_trip_and_damage() {
        let c = example();
        let bytes = c.to_bytes().unwrap();
        assert_eq!(bytes, c.to_bytes().unwrap());
        let back = Checkpoint::from_bytes("x", &bytes).unwrap();
        assert_eq!(c, back);
        assert_eq!(back.tensors["a"].shape, [2, 3]);
        for cut in 0..bytes.len() {
            assert!(Checkpoint::from_bytes("x", &bytes[..cut]).is_err());
        }
        assert!(back.tensor("a", 4).is_err() && back.tensor("b", 3).is_err());
        assert_eq!(back.get::<u64>("z").unwrap(), 1);
        assert_eq!(
            back.get::<Vec<Option<f64>>>("list").unwrap(),
            [Some(0.1), None]
        );
        assert!(back.get::<String>("z").is_err() && back.get::<u64>("y").is_err());
        assert!(back.expect_kind("test").is_ok() && back.expect_kind("other").is_err());
    }

    #[test]
    fn foreign_and_future_files_are_refused() {
        let text = |meta: &str| {
            let view = TensorView::new(Dtype::F32, vec![1], &[0; 4]).unwrap();
            let meta = HashMap::from([("slipher".to_owned(), meta.to_owned())]);
            safetensors::serialize([("a", view)], Some(meta)).unwrap()
        };
        let why = |m: &str| {
            Checkpoint::from_bytes("x", &text(m))
                .unwrap_err()
                .to_string()
        };
        assert!(why("{\"format_version\":99}").contains("99"));
        assert!(why("{\"format_version\":\"2\"}").contains("format_version"));
        assert!(
            why("{\"steps\":3}").contains("format_version"),
            "versions 0 and 1 have strings only"
        );
        assert!(why("[]").contains("metadata"));
        let view = TensorView::new(Dtype::F32, vec![1], &[0; 4]).unwrap();
        let foreign = safetensors::serialize([("a", view)], None).unwrap();
        assert!(
            Checkpoint::from_bytes("x", &foreign)
                .unwrap_err()
                .to_string()
                .contains("slipher train")
        );
        let old = Checkpoint::from_bytes(
            "x",
            &text("{\"id\":\"12\",\"members\":\"3\",\"kind\":\"k 1\"}"),
        );
        let old = old.unwrap();
        assert_eq!(old.get::<String>("id").unwrap(), "12");
        assert_eq!(old.get::<usize>("members").unwrap(), 3);
        assert!(old.expect_kind("k 1").is_ok());
    }

    #[test]
    fn files_appear_whole_under_names_of_their_own() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("m.safetensors");
        // What lies under the name of an earlier temporary file is not touched.
        std::fs::write(dir.path().join("m.tmp"), "mine").unwrap();
        example().write(&path).unwrap();
        example().write(&path).unwrap();
        assert_eq!(std::fs::read(dir.path().join("m.tmp")).unwrap(), b"mine");
        assert_eq!(dir.path().read_dir().unwrap().count(), 2);
        assert!(
            example()
                .write(&dir.path().join("no/m.safetensors"))
                .is_err()
        );
    }
}
