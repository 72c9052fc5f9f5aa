//! External records: how what other programs put on a system's topic becomes the system's own events.
//!
//! An external record may lack what an earlier event said. Which event completes it, and under which keys that is found again, is
//! declared here; that it is kept in an enrichment cache, and looked up, is the machine's work.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::event::CodecError;

/// A record as other programs on the shared topic write it.
pub trait External: DeserializeOwned {
    /// The type of the event that is cached, to complete external records that come later.
    const CACHED: &'static str;
    /// That event.
    type Cached: DeserializeOwned;
    /// The system's own events, tagged with `eventType`.
    type Own: Serialize;

    /// The keys under which a cached event is found again.
    fn cache_keys(cached: &Self::Cached) -> Vec<String>;
    /// The key of the cached event that completes this record, if it needs one.
    fn lookup_key(&self) -> Option<String>;
    /// The same as one of the system's own events, completed by the cached one. `None` for a record that means nothing here, or
    /// says too little.
    fn translate(self, cached: Option<&Self::Cached>) -> Option<Self::Own>;
    /// The correlation key of one of the system's own events.
    fn correlation(own: &Self::Own) -> String;
}

/// A system's external records without their types. All of it is pure.
#[derive(Debug, Clone, Copy)]
pub struct ExternalDef {
    /// The type of the event that is cached.
    pub cached: &'static str,
    /// The keys under which such an event is found again.
    pub cache_keys: fn(data: &[u8]) -> Result<Vec<String>, CodecError>,
    /// The key of the cached event that completes an external record, if it needs one.
    pub lookup_key: fn(data: &[u8]) -> Result<Option<String>, CodecError>,
    /// The system's own event for an external record.
    pub translate: Translate,
}

/// The system's own event for an external record, completed by the cached one. `None` for a record that means nothing here, or
/// says too little.
pub type Translate = fn(data: &[u8], cached: Option<&[u8]>) -> Result<Option<Translated>, CodecError>;

/// An external record in the system's own form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Translated {
    /// The event's type.
    pub event_type: String,
    /// Its correlation key.
    pub key: String,
    /// The flat JSON object with `eventType`.
    pub data: Vec<u8>,
}

impl ExternalDef {
    /// Those of a type.
    pub fn new<F: External>() -> Self {
        Self {
            cached: F::CACHED,
            cache_keys: |data| Ok(F::cache_keys(&read(data)?)),
            lookup_key: |data| Ok(read::<F>(data)?.lookup_key()),
            translate: translated::<F>,
        }
    }
}

fn translated<F: External>(data: &[u8], cached: Option<&[u8]>) -> Result<Option<Translated>, CodecError> {
    #[derive(Deserialize)]
    struct Tag {
        #[serde(rename = "eventType")]
        event_type: String,
    }
    let cached: Option<F::Cached> = cached.map(read).transpose()?;
    let Some(own) = read::<F>(data)?.translate(cached.as_ref()) else { return Ok(None) };
    let data = serde_json::to_vec(&own).map_err(|error| CodecError(error.to_string()))?;
    Ok(Some(Translated { event_type: read::<Tag>(&data)?.event_type, key: F::correlation(&own), data }))
}

fn read<T: DeserializeOwned>(data: &[u8]) -> Result<T, CodecError> {
    serde_json::from_slice(data).map_err(|error| CodecError(error.to_string()))
}
