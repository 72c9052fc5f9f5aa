//! The files of a store.

use std::path::{Path, PathBuf};

/// The file of the write-ahead log.
pub(crate) fn wal_of(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push("-wal");
    name.into()
}
