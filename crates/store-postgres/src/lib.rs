//! The shared store: one schema of a PostgreSQL database for one service, and any number of processes that work on it.
//!
//! ```text
//! PostgresStore::connect ──▶ whose schema ─▶ migrate ─▶ layout and fill the row tables ─▶ (store, reader, outbox)
//!
//! the core ──▶ PostgresStore    one connection; each commit is one transaction in one round trip
//! adapters ──▶ PostgresReader   a few connections that cannot write, each for one short read
//! a relay  ──▶ PostgresOutbox   gives numbers to events under a lease, and hands them over in that order
//!              a thread         one connection that says, and hears, that there is something new
//! ```
//!
//! Who commits says what it has seen, and the database itself checks it while it holds the rows: a commit that comes too
//! late fails whole. `ARCHITECTURE.md` has the promises; how each is kept stands where it is kept.

mod connection;
mod error;
mod layout;
mod open;
mod outbox;
mod read;
mod records;
mod schema;
mod value;
mod write;

pub use connection::options::PostgresOptions;
pub use error::OpenError;
pub use outbox::PostgresOutbox;
pub use read::reader::PostgresReader;
pub use write::store::PostgresStore;
