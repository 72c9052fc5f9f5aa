//! The embedded store: one SQLite file and one writer per system, readers apart.
//!
//! ```text
//! DataDir::lock ──▶ one process per directory
//! SqliteStore::open ──▶ check the file ─▶ migrate ─▶ create or alter the row tables ─▶ (writer, reader, checkpointer)
//!
//! the core ──▶ SqliteStore     one connection that writes: WAL, synchronous=FULL, one transaction per commit
//! adapters ──▶ SqliteReader    a few connections that cannot write, each for one short read
//!                              also alone, beside a writing process or after one (SqliteReader::open)
//!              checkpointer    a thread with a connection of its own: copies the WAL into the file, off the commit path
//! ```
//!
//! A table of rows has `id INTEGER PRIMARY KEY` and `key TEXT UNIQUE`: listed rows are stored in the order of their ids, an id is
//! found in one descent, and every index on a declared field ends in the id by itself. Measured with rows of half a
//! kilobyte and scattered keys, a table `WITHOUT ROWID` under its business key takes half as many rows a second, because
//! it spreads wide rows over the whole file; one with an index for each of both keys takes as many and finds ids a third
//! more slowly. Unlisted rows have a negative id, and are in no index but that of the keys.

mod error;
mod files;
mod layout;
mod open;
mod read;
mod records;
mod schema;
mod value;
mod write;

pub use error::OpenError;
pub use open::data_dir::{DataDir, DirError};
pub use read::reader::SqliteReader;
pub use write::store::SqliteStore;
