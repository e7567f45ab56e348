//! Parquet files that appear whole or not at all, with a digest of their data.

use std::fs::File;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::WriterProperties;
use sha2::{Digest, Sha256};

use super::{HatsError, content, io};
use crate::atomic::{PendingFile, atomic_write};

/// A Parquet file that appears whole or not at all. The same batches give the same bytes.
pub struct PartWriter {
    path: PathBuf,
    pending: PendingFile,
    writer: ArrowWriter<Hashed>,
    rows: u64,
}

/// A file, and the SHA-256 of what was written to it.
struct Hashed {
    file: File,
    sha: Sha256,
}

impl Write for Hashed {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let n = self.file.write(bytes)?;
        self.sha.update(&bytes[..n]);
        Ok(n)
    }
    fn flush(&mut self) -> std::io::Result<()> {
        self.file.flush()
    }
}

/// The hidden file beside a part that holds what it is made of and its SHA-256: metadata that differ
/// from part to part would keep readers from taking a folder as one table.
fn signature(part: &Path) -> PathBuf {
    let name = part.file_name().unwrap_or_default().to_string_lossy();
    part.with_file_name(format!(".{name}.sha256"))
}

fn hexadecimal(sha: Sha256) -> String {
    sha.finalize().iter().map(|b| format!("{b:02x}")).collect()
}

impl PartWriter {
    /// `keys` go into the schema's metadata.
    ///
    /// # Errors
    /// The file cannot be made.
    pub fn create(
        path: &Path,
        schema: &SchemaRef,
        keys: &[(&str, String)],
    ) -> Result<Self, HatsError> {
        let folder = path.parent().unwrap_or(Path::new("."));
        std::fs::create_dir_all(folder).map_err(io(folder))?;
        let pending = PendingFile::create(path).map_err(io(path))?;
        let file = pending.handle().map_err(io(path))?;
        let level = ZstdLevel::try_new(3).map_err(|e| content(path, e))?;
        let properties = WriterProperties::builder()
            .set_compression(Compression::ZSTD(level))
            .build();
        let meta = keys
            .iter()
            .map(|(k, v)| ((*k).to_owned(), v.clone()))
            .collect();
        let schema = Arc::new(schema.as_ref().clone().with_metadata(meta));
        let file = Hashed {
            file,
            sha: Sha256::new(),
        };
        let writer =
            ArrowWriter::try_new(file, schema, Some(properties)).map_err(|e| content(path, e))?;
        Ok(PartWriter {
            path: path.to_owned(),
            pending,
            writer,
            rows: 0,
        })
    }

    /// # Errors
    /// Disk full, or a batch of other columns.
    pub fn write(&mut self, batch: &RecordBatch) -> Result<(), HatsError> {
        self.rows += batch.num_rows() as u64;
        self.writer
            .write(batch)
            .map_err(|e| content(&self.path, e))?;
        if self.writer.in_progress_size() > 32 << 20 {
            self.writer.flush().map_err(|e| content(&self.path, e))?;
        }
        Ok(())
    }

    /// Gives the file its name; rows written.
    ///
    /// # Errors
    /// As [`PartWriter::write`].
    pub fn finish(self) -> Result<u64, HatsError> {
        self.close(None)
    }

    /// The same, signed: [`is_intact`] knows it by `identity` again.
    ///
    /// # Errors
    /// As [`PartWriter::write`].
    pub fn finish_as(self, identity: &str) -> Result<u64, HatsError> {
        self.close(Some(identity))
    }

    fn close(self, identity: Option<&str>) -> Result<u64, HatsError> {
        let written = self.writer.into_inner();
        let written = written.map_err(|e| content(&self.path, e))?;
        if let Some(identity) = identity {
            let line = format!("{identity} {}\n", hexadecimal(written.sha));
            let path = signature(&self.path);
            atomic_write(&path, line).map_err(io(&path))?;
        }
        self.pending.finish().map_err(io(&self.path))?;
        Ok(self.rows)
    }
}

/// Whether a part was signed with this identity and is as it was written: reads all of it.
pub fn is_intact(part: &Path, identity: &str) -> bool {
    let said = std::fs::read_to_string(signature(part)).unwrap_or_default();
    let Some(digest) = said.trim_end().strip_prefix(&format!("{identity} ")) else {
        return false;
    };
    let whole = || -> std::io::Result<Sha256> {
        let (mut f, mut sha) = (File::open(part)?, Sha256::new());
        let mut buffer = vec![0; 1 << 16];
        loop {
            match f.read(&mut buffer)? {
                0 => return Ok(sha),
                n => sha.update(&buffer[..n]),
            }
        }
    };
    whole().is_ok_and(|sha| hexadecimal(sha) == digest)
}
