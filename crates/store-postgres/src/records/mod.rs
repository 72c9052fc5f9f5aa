//! What stands beside the rows of the tables, each kind with its statements to write and to read: the log, offsets, timers,
//! effects, parked work, answers and counters.

pub(crate) mod answers;
pub(crate) mod cause;
pub(crate) mod counters;
pub(crate) mod effects;
pub(crate) mod log;
pub(crate) mod offsets;
pub(crate) mod parked;
pub(crate) mod timers;
