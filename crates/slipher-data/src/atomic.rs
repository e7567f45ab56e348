//! Files that appear whole or not at all: written without a name, or under a name of their own, in
//! the same folder, synchronised, renamed. Links are followed, devices and pipes written through.

use std::fs::File;
use std::io::{Result, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use tempfile::NamedTempFile;

/// Names of files that are being written, for [`remove_pending`].
static NAMED: Mutex<Vec<PathBuf>> = Mutex::new(Vec::new());

/// Where the bytes are until the file has its name.
enum Draft {
    /// A file without a name: whatever ends the program, nothing of it stays.
    Unnamed(File),
    /// A hidden file beside the target, where the file system has no files without names.
    Named(NamedTempFile),
    /// For a device or a pipe, which is written to at the end.
    Through(File),
}

/// A file that is being written; removed if it is dropped before [`PendingFile::finish`].
pub struct PendingFile {
    draft: Draft,
    target: PathBuf,
}

impl PendingFile {
    /// Begins a file for a target, of the mode that a file of that name has. A link is followed;
    /// nothing else is written through.
    ///
    /// # Errors
    /// The folder cannot be written.
    pub fn create(target: &Path) -> Result<PendingFile> {
        // A link stays one: the file that it names is replaced.
        let there = std::fs::metadata(target).ok();
        let target = match &there {
            Some(_) => target.canonicalize()?,
            None => target.to_owned(),
        };
        let draft = match &there {
            Some(m) if !m.is_file() && !m.is_dir() => Draft::Through(tempfile::tempfile()?),
            _ => draft(&target)?,
        };
        let pending = PendingFile { draft, target };
        if let (Some(m), Draft::Unnamed(_) | Draft::Named(_)) = (there, &pending.draft) {
            pending.file().set_permissions(m.permissions())?;
        }
        Ok(pending)
    }

    fn file(&self) -> &File {
        match &self.draft {
            Draft::Unnamed(f) | Draft::Through(f) => f,
            Draft::Named(t) => t.as_file(),
        }
    }

    /// A handle to write to, with its own life.
    ///
    /// # Errors
    /// Too many open files.
    pub fn handle(&self) -> Result<File> {
        self.file().try_clone()
    }

    /// Gives the file its name.
    ///
    /// # Errors
    /// The disk is full, the target is a folder.
    pub fn finish(mut self) -> Result<()> {
        if let Draft::Through(f) = &mut self.draft {
            f.seek(SeekFrom::Start(0))?;
            let mut device = std::fs::OpenOptions::new().write(true).open(&self.target)?;
            std::io::copy(f, &mut device)?;
            return device.flush();
        }
        self.file().sync_all()?;
        match &self.draft {
            Draft::Unnamed(f) => give_name(f, &self.target),
            Draft::Named(t) => std::fs::rename(t.path(), &self.target),
            Draft::Through(_) => Ok(()),
        }
    }
}

impl Drop for PendingFile {
    fn drop(&mut self) {
        if let Draft::Named(t) = &self.draft {
            named().retain(|p| p != t.path());
        }
    }
}

fn named() -> std::sync::MutexGuard<'static, Vec<PathBuf>> {
    NAMED.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Removes what is being written under hidden names: for programs that are told to end.
pub fn remove_pending() {
    for p in named().drain(..) {
        let _ = std::fs::remove_file(p);
    }
}

fn folder(target: &Path) -> &Path {
    let parent = target.parent().filter(|p| !p.as_os_str().is_empty());
    parent.unwrap_or(Path::new("."))
}

fn draft(target: &Path) -> Result<Draft> {
    if let Some(file) = unnamed(folder(target)) {
        return Ok(Draft::Unnamed(file));
    }
    let name = target.file_name().unwrap_or_default().to_string_lossy();
    let prefix = format!(".{name}.");
    let mut builder = tempfile::Builder::new();
    builder.prefix(&prefix).suffix(".tmp");
    // As any new file: the user's umask decides.
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    let temporary = builder.tempfile_in(folder(target))?;
    named().push(temporary.path().to_owned());
    Ok(Draft::Named(temporary))
}

/// A file without a name, if the file system has such (not over NFS, on Lustre).
#[cfg(target_os = "linux")]
fn unnamed(folder: &Path) -> Option<File> {
    use rustix::fs::{Mode, OFlags, open};
    let flags = OFlags::TMPFILE | OFlags::RDWR | OFlags::CLOEXEC;
    open(folder, flags, Mode::from_raw_mode(0o666))
        .ok()
        .map(File::from)
}

#[cfg(not(target_os = "linux"))]
fn unnamed(_: &Path) -> Option<File> {
    None
}

/// Links a file without a name under a hidden one, which replaces the target at once.
#[cfg(target_os = "linux")]
fn give_name(file: &File, target: &Path) -> Result<()> {
    use std::os::fd::AsRawFd;
    use std::sync::atomic::{AtomicU32, Ordering};

    use rustix::fs::{AtFlags, CWD, linkat};
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let source = format!("/proc/self/fd/{}", file.as_raw_fd());
    let name = target.file_name().unwrap_or_default().to_string_lossy();
    loop {
        let n = COUNT.fetch_add(1, Ordering::Relaxed);
        let hidden = folder(target).join(format!(".{name}.{}-{n}.tmp", std::process::id()));
        match linkat(CWD, &source, CWD, &hidden, AtFlags::SYMLINK_FOLLOW) {
            Err(rustix::io::Errno::EXIST) => {}
            Err(e) => return Err(e.into()),
            Ok(()) => {
                return std::fs::rename(&hidden, target)
                    .inspect_err(|_| drop(std::fs::remove_file(&hidden)));
            }
        }
    }
}

#[cfg(not(target_os = "linux"))]
fn give_name(_: &File, _: &Path) -> Result<()> {
    Err(std::io::Error::from(std::io::ErrorKind::Unsupported))
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
    /// What stands under the target's name keeps its kind and its mode.
    #[test]
    #[cfg(unix)]
    fn links_modes_and_pipes_stay() {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().unwrap();
        let (file, link) = (dir.path().join("file"), dir.path().join("link"));
        std::fs::write(&file, "old").unwrap();
        std::fs::set_permissions(&file, PermissionsExt::from_mode(0o600)).unwrap();
        std::os::unix::fs::symlink(&file, &link).unwrap();
        atomic_write(&link, "new").unwrap();
        assert!(link.is_symlink());
        assert_eq!(std::fs::read(&file).unwrap(), b"new");
        let mode = std::fs::metadata(&file).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let pipe = dir.path().join("pipe");
        let made = std::process::Command::new("mkfifo").arg(&pipe).status();
        assert!(made.unwrap().success());
        let reader = std::thread::spawn({
            let pipe = pipe.clone();
            move || std::fs::read(pipe).unwrap()
        });
        atomic_write(&pipe, "through").unwrap();
        assert_eq!(reader.join().unwrap(), b"through");
        assert!(!std::fs::metadata(&pipe).unwrap().is_file());
        atomic_write(Path::new("/dev/null"), "away").unwrap();
        assert_eq!(dir.path().read_dir().unwrap().count(), 3);
    }

    /// Without files of no name a hidden one serves, and goes when the program is told to end.
    #[test]
    fn hidden_names_can_be_removed() {
        let dir = tempfile::tempdir().unwrap();
        let t = NamedTempFile::new_in(dir.path()).unwrap();
        named().push(t.path().to_owned());
        remove_pending();
        assert_eq!(dir.path().read_dir().unwrap().count(), 0);
    }
}
