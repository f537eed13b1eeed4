//! The data directory of `porthouse dev`.
//!
//! Owns who may use it (one run at a time) and how small files come into it:
//! whole or not at all, and for their owner alone. What they say is their
//! writers' matter.

use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io::{Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};

/// The longest number that a lock file is asked for, in bytes.
const PID_BYTES_MAX: u64 = 16;

/// A data directory that is ours until this value is dropped.
#[derive(Debug)]
pub(crate) struct Directory {
    path: PathBuf,
    _lock: File,
}

impl Directory {
    /// Makes the directory if need be, and takes it.
    ///
    /// # Errors
    /// When another process has it, which the message names.
    pub(crate) fn open(path: &Path) -> anyhow::Result<Self> {
        let shown = path.display();
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(path)
            .with_context(|| format!("cannot make the data directory {shown}"))?;
        let path = path
            .canonicalize()
            .with_context(|| format!("cannot open {shown}"))?;
        let lock = lock(&path)?;
        Ok(Self { path, _lock: lock })
    }

    /// Where it is, from the root.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The text of a file; none: there is no such file.
    pub(crate) fn read(&self, name: &str) -> anyhow::Result<Option<String>> {
        let path = self.path.join(name);
        match std::fs::read_to_string(&path) {
            Ok(text) => Ok(Some(text)),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error).with_context(|| format!("cannot read {}", path.display())),
        }
    }

    /// Writes a file that only its owner reads, in place of one of that name.
    pub(crate) fn write(&self, name: &str, text: &str) -> anyhow::Result<()> {
        let path = self.path.join(name);
        let written = || -> anyhow::Result<()> {
            // Made with mode 0600.
            let mut file = tempfile::NamedTempFile::new_in(&self.path)?;
            file.write_all(text.as_bytes())?;
            file.as_file().sync_all()?;
            file.persist(&path)?;
            Ok(())
        };
        written().with_context(|| format!("cannot write {}", path.display()))
    }

    /// Removes a file, if it is there.
    pub(crate) fn remove(&self, name: &str) -> anyhow::Result<()> {
        let path = self.path.join(name);
        match std::fs::remove_file(&path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(error).with_context(|| format!("cannot remove {}", path.display()))
            }
            Ok(()) | Err(_) => Ok(()),
        }
    }
}

/// The lock is the kernel's, so it ends with the process that holds it; the
/// number in the file only tells people who that is.
fn lock(directory: &Path) -> anyhow::Result<File> {
    let path = directory.join("lock");
    let mut options = OpenOptions::new();
    options
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600);
    let mut file = options
        .open(&path)
        .with_context(|| format!("cannot open {}", path.display()))?;
    match file.try_lock() {
        Ok(()) => {
            file.set_len(0)?;
            write!(file, "{}", std::process::id())?;
            Ok(file)
        }
        Err(TryLockError::WouldBlock) => bail!(
            "{} is in use by another `porthouse dev` (process {}): stop it, or use another \
             --data-dir",
            directory.display(),
            holder(file)
        ),
        Err(TryLockError::Error(error)) => {
            Err(error).with_context(|| format!("cannot lock {}", path.display()))
        }
    }
}

fn holder(file: File) -> String {
    let mut pid = String::new();
    match file.take(PID_BYTES_MAX).read_to_string(&mut pid) {
        Ok(read) if read > 0 => pid,
        Ok(_) | Err(_) => "unknown".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_directory_in_use_is_refused_with_the_users_number() {
        let parent = tempfile::tempdir().expect("a directory");
        let held = Directory::open(&parent.path().join("data")).expect("free");
        let refused = Directory::open(held.path()).expect_err("in use");
        assert!(
            refused
                .to_string()
                .contains(&format!("(process {})", std::process::id()))
        );
        let path = held.path().to_owned();
        drop(held);
        Directory::open(&path).expect("free again");
    }

    #[test]
    fn what_is_written_is_for_its_owner_alone() {
        let parent = tempfile::tempdir().expect("a directory");
        let directory = Directory::open(parent.path()).expect("free");
        assert_eq!(directory.read("key").expect("readable"), None);
        directory.write("key", "first").expect("written");
        directory.write("key", "second").expect("replaced");
        assert_eq!(
            directory.read("key").expect("readable").as_deref(),
            Some("second")
        );
        let mode = std::fs::metadata(parent.path().join("key"))
            .expect("there")
            .permissions();
        assert_eq!(mode.mode() & 0o777, 0o600);
        directory.remove("key").expect("removed");
        directory.remove("key").expect("removed before");
    }
}
