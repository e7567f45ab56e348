//! Parquet files that appear whole or not at all, with a digest of their data.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::metadata::KeyValue;
use parquet::file::properties::WriterProperties;
use sha2::{Digest, Sha256};

use super::{HatsError, content, io, open};
use crate::atomic::PendingFile;

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

/// Key of the SHA-256 of all that stands before the footer.
const DIGEST: &str = "slipher_data_sha256";

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
    pub fn finish(mut self) -> Result<u64, HatsError> {
        let fail = |e: &dyn std::fmt::Display| content(&self.path, e);
        self.writer.flush().map_err(|e| fail(&e))?;
        self.writer.sync().map_err(io(&self.path))?;
        let digest = hexadecimal(self.writer.inner().sha.clone());
        let digest = KeyValue::new(DIGEST.to_owned(), digest);
        self.writer.append_key_value_metadata(digest);
        self.writer.close().map_err(|e| fail(&e))?;
        self.pending.finish().map_err(io(&self.path))?;
        Ok(self.rows)
    }
}

/// Whether a file of [`PartWriter`] carries these keys and is as it was written: reads all of it.
pub fn is_intact(file: &Path, keys: &[(&str, &str)]) -> bool {
    let digests = || {
        let found = open(file).ok()?;
        let schema = found.schema().metadata();
        let own = keys
            .iter()
            .all(|(k, v)| schema.get(*k).is_some_and(|s| s == v));
        let about = found.metadata().file_metadata().key_value_metadata()?;
        let said = about.iter().find(|k| k.key == DIGEST)?.value.clone()?;
        let mut f = File::open(file).ok()?;
        f.seek(SeekFrom::End(-8)).ok()?;
        let mut end = [0u8; 4];
        f.read_exact(&mut end).ok()?;
        let size = f
            .seek(SeekFrom::Start(0))
            .and_then(|_| f.metadata())
            .ok()?
            .len();
        let data = size.checked_sub(8 + u64::from(u32::from_le_bytes(end)))?;
        let (mut sha, mut buffer, mut left) = (Sha256::new(), vec![0; 1 << 16], data);
        while left > 0 {
            let n = f
                .read(&mut buffer)
                .ok()?
                .min(usize::try_from(left).unwrap_or(usize::MAX));
            if n == 0 {
                return None;
            }
            sha.update(&buffer[..n]);
            left -= n as u64;
        }
        Some(own && hexadecimal(sha) == said)
    };
    // The reader of Parquet panics on some damaged files.
    std::panic::catch_unwind(digests).ok().flatten() == Some(true)
}
