//! Files that appear whole or not at all: written under a name of their own in the same folder,
//! synchronised, renamed.

use std::fs::File;
use std::io::{Error, Result, Write};
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;

/// A file that is being written; removed if it is dropped before [`PendingFile::finish`].
pub struct PendingFile {
    temporary: NamedTempFile,
    target: PathBuf,
}

impl PendingFile {
    /// Begins a file for a target: hidden, `.NAME.….tmp` beside it, made anew so that nothing else
    /// is written through or followed.
    ///
    /// # Errors
    /// The folder cannot be written.
    pub fn create(target: &Path) -> Result<PendingFile> {
        let folder = target.parent().filter(|p| !p.as_os_str().is_empty());
        let name = target.file_name().unwrap_or_default().to_string_lossy();
        let prefix = format!(".{name}.");
        let mut builder = tempfile::Builder::new();
        builder.prefix(&prefix).suffix(".tmp");
        // As any new file: the user's umask decides.
        #[cfg(unix)]
        builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
        let temporary = builder.tempfile_in(folder.unwrap_or(Path::new(".")))?;
        Ok(PendingFile {
            temporary,
            target: target.to_owned(),
        })
    }

    /// A handle to write to, with its own life.
    ///
    /// # Errors
    /// Too many open files.
    pub fn handle(&self) -> Result<File> {
        self.temporary.as_file().try_clone()
    }

    /// Gives the file its name.
    ///
    /// # Errors
    /// The disk is full, the target is a folder.
    pub fn finish(self) -> Result<()> {
        // A device or a pipe of that name must stay one.
        let there = std::fs::symlink_metadata(&self.target);
        if there.is_ok_and(|m| !m.is_file() && !m.is_symlink() && !m.is_dir()) {
            return Err(Error::other(
                "it is a device or a pipe: give the name of a file",
            ));
        }
        self.temporary.as_file().sync_all()?;
        self.temporary.persist(&self.target).map_err(|e| e.error)?;
        Ok(())
    }
}

/// Writes a file under its name at once.
///
/// # Errors
/// The folder cannot be written, the disk is full.
pub fn atomic_write(path: &Path, content: impl AsRef<[u8]>) -> Result<()> {
    let pending = PendingFile::create(path)?;
    pending.handle()?.write_all(content.as_ref())?;
    pending.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_do_not_collide_and_nothing_is_left() {
        let dir = tempfile::tempdir().unwrap();
        let target = dir.path().join("c.parquet");
        // A link under the name that 0.1 used must not be written through.
        let other = dir.path().join("other");
        std::fs::write(&other, "mine").unwrap();
        #[cfg(unix)]
        std::os::unix::fs::symlink(&other, dir.path().join("c.parquet.tmp")).unwrap();
        let (a, b) = (
            PendingFile::create(&target).unwrap(),
            PendingFile::create(&target).unwrap(),
        );
        a.handle().unwrap().write_all(b"a").unwrap();
        b.handle().unwrap().write_all(b"bb").unwrap();
        drop(a);
        assert!(!target.exists());
        b.finish().unwrap();
        assert_eq!(std::fs::read(&target).unwrap(), b"bb");
        assert_eq!(std::fs::read(&other).unwrap(), b"mine");
        atomic_write(&target, "new").unwrap();
        assert_eq!(std::fs::read(&target).unwrap(), b"new");
        let left = dir.path().read_dir().unwrap().flatten();
        assert!(
            left.into_iter()
                .all(|e| !e.file_name().to_string_lossy().starts_with('.'))
        );
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            let plain = dir.path().join("plain");
            std::fs::write(&plain, "").unwrap();
            let mode = |p: &Path| std::fs::metadata(p).unwrap().permissions().mode();
            assert_eq!(mode(&target), mode(&plain));
        }
    }
}
