//! The writing side: commits, and the checkpoints of the write-ahead log behind them.

pub(crate) mod checkpoint;
pub(crate) mod commit;
#[cfg(test)]
mod faults;
pub(crate) mod rows;
pub(crate) mod store;
