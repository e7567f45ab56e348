//! Files that appear whole or not at all.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

/// Where a file is written before it gets its name: in the same folder, hidden from readers, each writer its own (in containers all processes
/// have the number 1, so the time is in it).
pub fn temporary(path: &Path) -> PathBuf {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    path.with_file_name(format!(
        ".{name}.{}-{}.tmp",
        std::process::id(),
        now.as_nanos()
    ))
}

/// A temporary file, removed when it is let go under this name.
pub struct Unfinished(pub PathBuf);

impl Drop for Unfinished {
    fn drop(&mut self) {
        // After the renaming there is none.
        let _ = std::fs::remove_file(&self.0);
    }
}

/// Writes a file under its name at once.
///
/// # Errors
/// The folder cannot be written.
pub fn write_whole(path: &Path, content: impl AsRef<[u8]>) -> std::io::Result<()> {
    let temporary = Unfinished(temporary(path));
    let mut f = File::create_new(&temporary.0)?;
    f.write_all(content.as_ref())?;
    f.sync_all()?;
    std::fs::rename(&temporary.0, path)
}
