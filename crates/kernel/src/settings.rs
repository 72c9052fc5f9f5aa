//! What an installation may set, as the business reads it.

use std::any::TypeId;

use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// The settings of a system. [`crate::System::settings`] declares the type; an aggregate or an effect handler that reads
/// settings of another type is refused when the system starts.
pub trait Settings: Default + Clone + Serialize + DeserializeOwned + JsonSchema + Send + Sync + 'static {}
impl<S: Default + Clone + Serialize + DeserializeOwned + JsonSchema + Send + Sync + 'static> Settings for S {}

/// For what reads no settings.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct NoSettings {}

/// A value that settings cannot have.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{key}`: {cause}")]
pub struct SettingsError {
    /// The setting, dotted where nested.
    pub key: String,
    /// What is wrong with it.
    pub cause: String,
}

/// The type of settings that something declares or reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SettingsType {
    id: TypeId,
    /// Its name in Rust.
    pub name: &'static str,
}

impl SettingsType {
    /// The type `S`.
    pub fn new<S: Settings>() -> Self {
        Self { id: TypeId::of::<S>(), name: std::any::type_name::<S>() }
    }

    /// Whether settings are read at all.
    pub fn is_none(self) -> bool {
        self.id == TypeId::of::<NoSettings>()
    }
}
