//! The schema: the store's own tables by migration, the row tables by declaration.

pub(crate) mod migrations;
pub(crate) mod tables;
