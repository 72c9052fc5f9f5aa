//! The reading side: pages, totals and the log, over a few connections.

#[cfg(test)]
mod explained;
pub(crate) mod page;
pub(crate) mod pool;
pub(crate) mod ranges;
pub(crate) mod reader;
