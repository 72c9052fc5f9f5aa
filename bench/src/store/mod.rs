//! Stores with messages in them: filled by the core, copied for each round, recorded and written again.

pub mod levels;
pub mod preload;
pub mod recorder;
