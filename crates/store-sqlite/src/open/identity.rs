//! Identifies a database file before anything is written, and without reading all of it.

use std::fs::File;
use std::io::{ErrorKind, Read};
use std::path::Path;

use rusqlite::Connection;

use crate::error::OpenError;
use crate::files::wal_of;
use crate::schema::migrations::{APPLICATION_ID, FIRST, newest};

const MAGIC: &[u8; 16] = b"SQLite format 3\0";
const HEADER_BYTES: usize = 100;

/// Rejects a file that is no SQLite database, or shorter than its header states. A missing file is a new one.
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
    let stated = header_length(&header);
    // Pages that are still in the write-ahead log may be missing in the file.
    let pending = std::fs::metadata(wal_of(path)).is_ok_and(|wal| wal.len() > 0);
    if stated > length && !pending {
        let cause = format!("it has {length} bytes, and its header states {stated}");
        return Err(OpenError::Damaged { path: path.to_owned(), cause });
    }
    Ok(())
}

/// Page size times page count, in bytes; a page size of 65,536 is stored as 1.
fn header_length(header: &[u8; HEADER_BYTES]) -> u64 {
    let page = match u16::from_be_bytes([header[16], header[17]]) {
        1 => 65_536,
        bytes => u64::from(bytes),
    };
    page * u64::from(u32::from_be_bytes([header[28], header[29], header[30], header[31]]))
}

/// The schema version, 0 for a new file; rejects files of other programs, other systems and unknown versions.
pub(crate) fn check_owner(conn: &Connection, path: &Path, system: &str) -> Result<i64, OpenError> {
    let failed = |error: rusqlite::Error| OpenError::from_sqlite(path, &error);
    let pragma = |name| conn.pragma_query_value(None, name, |row| row.get::<_, i64>(0)).map_err(failed);
    let (application, found) = (pragma("application_id")?, pragma("user_version")?);
    if application != i64::from(APPLICATION_ID) {
        let empty = application == 0 && found == 0 && pragma("schema_version")? == 0;
        return if empty { Ok(0) } else { Err(OpenError::External { path: path.to_owned() }) };
    }
    if found > newest() {
        return Err(OpenError::Newer { path: path.to_owned(), found, known: newest() });
    }
    if found > 0 && found < FIRST {
        return Err(OpenError::Unsupported { path: path.to_owned(), found, first: FIRST });
    }
    let owner: String = conn.query_row("SELECT system FROM store_meta", [], |row| row.get(0)).map_err(failed)?;
    if owner != system {
        return Err(OpenError::OtherSystem { path: path.to_owned(), found: owner, wanted: system.to_owned() });
    }
    Ok(found)
}

/// Rejects a file that this process may only read.
pub(crate) fn check_writable(conn: &Connection, path: &Path) -> Result<(), OpenError> {
    match conn.is_readonly("main") {
        Ok(false) => Ok(()),
        Ok(true) => Err(OpenError::ReadOnly { path: path.to_owned() }),
        Err(error) => Err(OpenError::from_sqlite(path, &error)),
    }
}
