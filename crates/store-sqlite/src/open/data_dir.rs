//! The lock on a data directory: only one process writes into it.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{ErrorKind, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

const LOCK_FILE: &str = "lock";

/// A locked data directory; released on drop and when the process ends, however it ends.
#[derive(Debug)]
pub struct DataDir {
    path: PathBuf,
    // The operating system holds the lock as long as this is open. The file itself stays: a process could otherwise lock a file
    // that another has just removed.
    _lock: File,
}

/// A data directory that cannot be locked.
#[derive(Debug, thiserror::Error)]
pub enum DirError {
    /// Another process has it.
    #[error("the data directory {} is in use by process {pid}; stop that process, or name another directory", path.display())]
    InUse {
        /// The directory.
        path: PathBuf,
        /// The owner named in the lock file.
        pid: String,
    },
    /// It is a file.
    #[error("the data directory {} is not a directory; name another, or move that file away", path.display())]
    NotADirectory {
        /// The path.
        path: PathBuf,
    },
    /// Nothing can be written there.
    #[error("the data directory {} cannot be written ({source}); give this user the right to, or name another", path.display())]
    NotWritable {
        /// The directory.
        path: PathBuf,
        /// What the operating system says.
        source: std::io::Error,
    },
    /// Something else.
    #[error("the data directory {} cannot be used ({source}); check its path and its disk", path.display())]
    Unusable {
        /// The directory.
        path: PathBuf,
        /// What the operating system says.
        source: std::io::Error,
    },
}

impl DataDir {
    /// Creates the directory if necessary, and locks it or names its owner.
    pub fn lock(path: impl Into<PathBuf>) -> Result<Self, DirError> {
        let path = path.into();
        let failed = |source| DirError::of(&path, source);
        if path.exists() && !path.is_dir() {
            return Err(DirError::NotADirectory { path });
        }
        std::fs::create_dir_all(&path).map_err(failed)?;
        let open = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path.join(LOCK_FILE));
        let mut lock = open.map_err(failed)?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(DirError::InUse { pid: owner(&mut lock), path }),
            Err(TryLockError::Error(source)) => return Err(failed(source)),
        }
        write_owner(&mut lock).map_err(failed)?;
        Ok(Self { path, _lock: lock })
    }

    /// The directory.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The file of a system, or of one service that is served alone.
    pub fn file_of(&self, name: &str) -> PathBuf {
        self.path.join(format!("{name}.db"))
    }
}

impl DirError {
    fn of(path: &Path, source: std::io::Error) -> Self {
        let path = path.to_owned();
        match source.kind() {
            ErrorKind::NotADirectory | ErrorKind::AlreadyExists => Self::NotADirectory { path },
            ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem => Self::NotWritable { path, source },
            _ => Self::Unusable { path, source },
        }
    }
}

/// A lock without a readable number is still a lock: its owner may be writing it at this moment.
fn owner(lock: &mut File) -> String {
    let mut pid = String::new();
    let read = lock.seek(SeekFrom::Start(0)).and_then(|_| lock.read_to_string(&mut pid));
    let pid = pid.trim();
    if read.is_err() || pid.is_empty() { "unknown".to_owned() } else { pid.to_owned() }
}

fn write_owner(lock: &mut File) -> std::io::Result<()> {
    lock.set_len(0)?;
    lock.seek(SeekFrom::Start(0))?;
    writeln!(lock, "{}", std::process::id())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_of_the_operating_system_names_a_remedy() {
        let of = |kind: ErrorKind| DirError::of(Path::new("/data"), kind.into()).to_string();
        assert!(of(ErrorKind::ReadOnlyFilesystem).contains("/data cannot be written"));
        assert!(of(ErrorKind::PermissionDenied).contains("give this user the right to"));
        assert!(of(ErrorKind::NotADirectory).contains("is not a directory"));
        assert!(of(ErrorKind::StorageFull).contains("cannot be used"));
    }
}
