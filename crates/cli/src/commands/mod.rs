//! One file for each command.

pub mod config;
pub mod dead_letters;
pub mod doctor;
pub mod events;
#[cfg(feature = "cluster")]
pub mod handover;
pub mod health;
pub mod map;
pub mod replay;
pub mod run;
#[cfg(feature = "cluster")]
pub mod serve;
