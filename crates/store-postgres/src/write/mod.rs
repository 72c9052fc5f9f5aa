//! The writing side: commits, and the instance that makes them.

pub(crate) mod commit;
pub(crate) mod rows;
pub(crate) mod store;
