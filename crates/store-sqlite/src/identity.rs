//! Whose file it is, and whether it can be what it says: looked at before anything is written, and without reading it all.

use std::fs::File;
use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};

use rusqlite::Connection;

use crate::error::OpenError;
use crate::machine::{APPLICATION_ID, newest};

const MAGIC: &[u8; 16] = b"SQLite format 3\0";
const HEADER_BYTES: usize = 100;

/// Refuses a file that is no database, or shorter than its own header says. A file that is not there is a new one.
pub(crate) fn check_bytes(path: &Path) -> Result<(), OpenError> {
    let unreachable = |source| OpenError::Unreachable { path: path.to_owned(), source };
    let mut file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(unreachable(error)),
    };
    let length = file.metadata().map_err(unreachable)?.len();
    if length == 0 {
        return Ok(());
    }
    let mut header = [0; HEADER_BYTES];
    match file.read_exact(&mut header) {
        Ok(()) if header.starts_with(MAGIC) => {}
        Err(error) if error.kind() != ErrorKind::UnexpectedEof => return Err(unreachable(error)),
        _ => return Err(OpenError::NotADatabase { path: path.to_owned() }),
    }
    let said = said_length(&header);
    // What is still in the write-ahead log may be missing in the file without harm.
    let pending = std::fs::metadata(wal_of(path)).is_ok_and(|wal| wal.len() > 0);
    if said > length && !pending {
        let cause = format!("it has {length} bytes of the {said} that it should have");
        return Err(OpenError::Damaged { path: path.to_owned(), cause });
    }
    Ok(())
}

/// Page size times page count; the size is stored as 1 where it is 65,536.
fn said_length(header: &[u8; HEADER_BYTES]) -> u64 {
    let page = match u16::from_be_bytes([header[16], header[17]]) {
        1 => 65_536,
        bytes => u64::from(bytes),
    };
    page * u64::from(u32::from_be_bytes([header[28], header[29], header[30], header[31]]))
}

/// The version of the machine's tables, 0 where there are none yet; refuses files of others and of later versions.
pub(crate) fn check_owner(conn: &Connection, path: &Path, system: &str) -> Result<i64, OpenError> {
    let failed = |error: rusqlite::Error| OpenError::of(path, &error);
    let pragma = |name| conn.pragma_query_value(None, name, |row| row.get::<_, i64>(0)).map_err(failed);
    let (application, found) = (pragma("application_id")?, pragma("user_version")?);
    if application != i64::from(APPLICATION_ID) {
        let empty = application == 0 && found == 0 && pragma("schema_version")? == 0;
        return if empty { Ok(0) } else { Err(OpenError::External { path: path.to_owned() }) };
    }
    if found > newest() {
        return Err(OpenError::Newer { path: path.to_owned(), found, known: newest() });
    }
    let owner: String = conn.query_row("SELECT system FROM machine", [], |row| row.get(0)).map_err(failed)?;
    if owner != system {
        return Err(OpenError::OtherSystem { path: path.to_owned(), found: owner, wanted: system.to_owned() });
    }
    Ok(found)
}

/// Refuses a file that this process may only read.
pub(crate) fn check_writable(conn: &Connection, path: &Path) -> Result<(), OpenError> {
    match conn.is_readonly("main") {
        Ok(false) => Ok(()),
        Ok(true) => Err(OpenError::ReadOnly { path: path.to_owned() }),
        Err(error) => Err(OpenError::of(path, &error)),
    }
}

/// The file of the write-ahead log.
pub(crate) fn wal_of(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push("-wal");
    name.into()
}
