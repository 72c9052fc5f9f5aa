//! One file a command.

pub mod config;
pub mod dead_letters;
pub mod doctor;
pub mod events;
pub mod health;
pub mod map;
pub mod replay;
