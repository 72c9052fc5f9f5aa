//! What one round measures: the bare server and Pabal at one level of stored messages, commits alone, and the overload.

pub mod commits;
pub mod cycle;
pub mod overload;
pub mod sqlite;
