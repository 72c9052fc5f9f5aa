//! Connections: where the database is, how one is made and kept, and how statements travel over it.

pub(crate) mod address;
pub(crate) mod notifier;
pub(crate) mod options;
pub(crate) mod pipeline;
pub(crate) mod session;
pub(crate) mod tls;
