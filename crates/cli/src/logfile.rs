//! The event log in a system's file, read while another process may write it.

use std::path::Path;

use kernel::System;
use ports::{LogQuery, Model, Reader, Record, StoreError};
use store_sqlite::SqliteReader;

use crate::failed::Failed;

/// A log that can only be read.
pub struct LogFile {
    reader: SqliteReader,
}

impl LogFile {
    /// Opens the log of a system; `None` where it has not run here yet.
    pub fn open(dir: &Path, system: &System) -> Result<Option<Self>, Failed> {
        let path = dir.join(format!("{}.db", system.name));
        if !path.exists() {
            return Ok(None);
        }
        let model = Model::new(system.clone()).map_err(|error| Failed::config(error.to_string()))?;
        let reader = SqliteReader::open(path, &model).map_err(|error| Failed::unavailable(error.to_string()))?;
        Ok(Some(Self { reader }))
    }

    /// The next records that match the query, and the position up to which the log was read.
    pub fn records(&self, query: &LogQuery) -> Result<(Vec<Record>, u64), Failed> {
        // Read first: records that are appended during the query are found by the next one.
        let end = self.end()?;
        if end <= query.after {
            return Ok((Vec::new(), query.after));
        }
        let records = self.reader.log(query).map_err(|error| unread(&error))?;
        let last = records.last().map(|record| record.seq);
        let after = if records.len() < query.limit { last.unwrap_or_default().max(end) } else { last.unwrap_or(end) };
        Ok((records, after))
    }

    /// The last position.
    pub fn end(&self) -> Result<u64, Failed> {
        self.reader.last_seq().map_err(|error| unread(&error))
    }
}

fn unread(error: &StoreError) -> Failed {
    Failed::unavailable(format!("the log cannot be read: {error}"))
}
