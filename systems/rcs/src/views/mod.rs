//! What people look at, built from events alone.

pub mod my_messages;
