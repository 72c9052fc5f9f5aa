//! What stands beside the rows of the tables, each kind with its statements to write and to read: the log, offsets, timers,
//! effects, parked work and answers.

pub(crate) mod answers;
pub(crate) mod codec;
pub(crate) mod effects;
pub(crate) mod log;
pub(crate) mod offsets;
pub(crate) mod orphans;
pub(crate) mod parked;
pub(crate) mod store_meta;
pub(crate) mod timers;
