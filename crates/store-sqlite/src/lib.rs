//! The embedded store: one SQLite file and one writer per system, readers apart.
//!
//! ```text
//! DataDir::lock ──▶ one process per directory
//! SqliteStore::open ──▶ check the file ─▶ migrate ─▶ shape the row tables ─▶ (writer, reader, checkpointer)
//!
//! the core ──▶ SqliteStore     one connection that writes: WAL, synchronous=FULL, one transaction per commit
//! adapters ──▶ SqliteReader    a few connections that cannot write, each for one short read
//!                              also alone, beside another process that writes, or on what one has left (SqliteReader::open)
//!              checkpointer    a thread with a connection of its own: copies the WAL into the file, off the commit path
//! ```
//!
//! A table of rows has `id INTEGER PRIMARY KEY` and `key TEXT UNIQUE`: listed rows lie in the order of their ids, an id is
//! found in one descent, and every index on a declared field ends in the id by itself. Measured with rows of half a
//! kilobyte and scattered keys, a table `WITHOUT ROWID` under its business key takes half as many rows a second, because
//! it spreads wide rows over the whole file; one with an index for each of both keys takes as many and finds ids a third
//! more slowly. Rows that are not listed yet have a negative number there, and stand in no index but that of the keys.

mod checkpoint;
mod commit;
mod error;
#[cfg(test)]
mod explained;
#[cfg(test)]
mod faults;
mod identity;
mod lock;
mod machine;
mod open;
mod page;
mod plan;
mod pool;
mod reader;
mod record;
mod rows;
mod schema;
mod shape;
mod store;
mod value;
mod work;

pub use error::OpenError;
pub use lock::{DataDir, DirError};
pub use reader::SqliteReader;
pub use store::SqliteStore;
