//! Files that appear whole or not at all.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};

/// Where a file is written before it gets its name: in the same folder, hidden from readers, each process its own.
pub fn temporary(path: &Path) -> PathBuf {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    path.with_file_name(format!(".{name}.{}.tmp", std::process::id()))
}

/// Writes a file under its name at once.
///
/// # Errors
/// The folder cannot be written.
pub fn write_whole(path: &Path, content: impl AsRef<[u8]>) -> std::io::Result<()> {
    let temporary = temporary(path);
    let mut f = File::create(&temporary)?;
    f.write_all(content.as_ref())?;
    f.sync_all()?;
    std::fs::rename(&temporary, path)
}
