//! Weights on disk: safetensors with a JSON description, written atomically.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use safetensors::tensor::{Dtype, SafeTensors, TensorView};

#[derive(Debug, thiserror::Error)]
pub enum CheckpointError {
    #[error("cannot {what} {}: {source}", path.display())]
    Io {
        what: &'static str,
        path: PathBuf,
        source: std::io::Error,
    },
    #[error("{name} is not a Slipher model: {why}")]
    Format { name: String, why: String },
}

/// Named vectors of `f32` and named strings of metadata.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Checkpoint {
    pub tensors: HashMap<String, Vec<f32>>,
    pub meta: HashMap<String, String>,
}

impl Checkpoint {
    /// Parses the bytes of a safetensors file; `name` is for the messages.
    pub fn from_bytes(name: &str, bytes: &[u8]) -> Result<Self, CheckpointError> {
        let bad = |why: String| CheckpointError::Format {
            name: name.to_owned(),
            why,
        };
        let file = SafeTensors::deserialize(bytes).map_err(|e| bad(e.to_string()))?;
        let (_, header) = SafeTensors::read_metadata(bytes).map_err(|e| bad(e.to_string()))?;
        let mut out = Checkpoint {
            meta: header.metadata().clone().unwrap_or_default(),
            ..Checkpoint::default()
        };
        for (key, view) in file.tensors() {
            let values = match view.dtype() {
                Dtype::F32 => view
                    .data()
                    .chunks_exact(4)
                    .map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]]))
                    .collect(),
                Dtype::BF16 => view
                    .data()
                    .chunks_exact(2)
                    .map(|b| f32::from_bits(u32::from(u16::from_le_bytes([b[0], b[1]])) << 16))
                    .collect(),
                other => {
                    return Err(bad(format!(
                        "tensor '{key}' has type {other:?}, expected F32"
                    )));
                }
            };
            out.tensors.insert(key, values);
        }
        Ok(out)
    }

    /// Bytes of a safetensors file. The same content gives the same bytes.
    pub fn to_bytes(&self) -> Result<Vec<u8>, CheckpointError> {
        let bad = |why: String| CheckpointError::Format {
            name: "checkpoint".into(),
            why,
        };
        let raw: HashMap<&String, Vec<u8>> = self
            .tensors
            .iter()
            .map(|(k, v)| (k, v.iter().flat_map(|x| x.to_le_bytes()).collect()))
            .collect();
        let mut views = Vec::new();
        for (k, v) in &raw {
            let view = TensorView::new(Dtype::F32, vec![v.len() / 4], v)
                .map_err(|e| bad(e.to_string()))?;
            views.push((k.as_str(), view));
        }
        views.sort_by_key(|(k, _)| *k);
        // A map of one key keeps the header's bytes independent of hashing order.
        let sorted: std::collections::BTreeMap<_, _> = self.meta.iter().collect();
        let text = serde_json::to_string(&sorted).map_err(|e| bad(e.to_string()))?;
        let meta = HashMap::from([("slipher".to_owned(), text)]);
        safetensors::serialize(views, Some(meta)).map_err(|e| bad(e.to_string()))
    }

    pub fn read(path: &Path) -> Result<Self, CheckpointError> {
        let bytes = std::fs::read(path).map_err(|source| CheckpointError::Io {
            what: "read",
            path: path.to_owned(),
            source,
        })?;
        Checkpoint::from_bytes(&path.display().to_string(), &bytes)?
            .unpacked(path.display().to_string())
    }

    /// Turns the one metadata entry of [`Checkpoint::to_bytes`] back into many.
    pub fn unpacked(mut self, name: String) -> Result<Self, CheckpointError> {
        if let Some(text) = self.meta.remove("slipher") {
            self.meta = serde_json::from_str(&text).map_err(|e| CheckpointError::Format {
                name,
                why: e.to_string(),
            })?;
        }
        Ok(self)
    }

    /// Writes atomically: a temporary file beside the target, then a rename.
    pub fn write(&self, path: &Path) -> Result<(), CheckpointError> {
        let bytes = self.to_bytes()?;
        let io = |source| CheckpointError::Io {
            what: "write",
            path: path.to_owned(),
            source,
        };
        let tmp = path.with_extension("tmp");
        std::fs::write(&tmp, bytes).map_err(io)?;
        std::fs::rename(&tmp, path).map_err(io)
    }

    /// A tensor of a known length.
    pub fn tensor(&self, key: &str, len: usize) -> Result<Vec<f32>, CheckpointError> {
        let bad = |why: String| CheckpointError::Format {
            name: "model".into(),
            why,
        };
        let v = self
            .tensors
            .get(key)
            .ok_or_else(|| bad(format!("tensor '{key}' is missing")))?;
        if v.len() == len {
            Ok(v.clone())
        } else {
            Err(bad(format!(
                "tensor '{key}' has {} values, expected {len}",
                v.len()
            )))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn round_trip_and_damage() {
        let mut c = Checkpoint::default();
        c.tensors
            .insert("a".into(), vec![1.0, -2.5, f32::MIN_POSITIVE]);
        c.meta.insert("z".into(), "1".into());
        c.meta.insert("y".into(), "2".into());
        let bytes = c.to_bytes().unwrap();
        assert_eq!(bytes, c.to_bytes().unwrap());
        let back = Checkpoint::from_bytes("x", &bytes)
            .unwrap()
            .unpacked("x".into())
            .unwrap();
        assert_eq!(c, back);
        for cut in 0..bytes.len() {
            assert!(Checkpoint::from_bytes("x", &bytes[..cut]).is_err());
        }
        assert!(back.tensor("a", 4).is_err() && back.tensor("b", 3).is_err());
    }
}
