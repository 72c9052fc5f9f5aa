//! Foreign forms: how records that programs beside ours put on a system's topic become our events.
//!
//! A foreign record may lack what an earlier event said. What is kept of that, and under which names it is found again, is
//! the system's to say; that it is kept, and looked up, is the machine's work.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::event::CodecError;

/// A record as programs beside ours write it.
pub trait External: DeserializeOwned {
    /// The type of our event that is kept, to complete foreign records that come later.
    const KEEPS: &'static str;
    /// That event.
    type Kept: DeserializeOwned;
    /// Our events, tagged with `eventType`.
    type Ours: Serialize;

    /// The names under which a kept event is found again.
    fn names(kept: &Self::Kept) -> Vec<String>;
    /// The name of the kept event that this record needs, if it needs one.
    fn needs(&self) -> Option<String>;
    /// The same as one of our events, with what was kept; none, where it is not for us, or says too little.
    fn ours(self, kept: Option<&Self::Kept>) -> Option<Self::Ours>;
    /// The correlation key of one of our events.
    fn key(ours: &Self::Ours) -> String;
}

/// A system's foreign forms without their types. All of it is pure.
#[derive(Debug, Clone, Copy)]
pub struct ExternalDef {
    /// The type of our event that is kept.
    pub keeps: &'static str,
    /// The names under which such an event is found again.
    pub names: fn(data: &[u8]) -> Result<Vec<String>, CodecError>,
    /// The name of the kept event that a foreign record needs, if it needs one.
    pub needs: fn(data: &[u8]) -> Result<Option<String>, CodecError>,
    /// Our event for a foreign record, with what was kept.
    pub ours: Translate,
}

/// Our event for a foreign record, with what was kept; none, where it is not for us, or says too little.
pub type Translate = fn(data: &[u8], kept: Option<&[u8]>) -> Result<Option<Translated>, CodecError>;

/// A foreign record in our form.
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
    pub fn of<F: External>() -> Self {
        Self {
            keeps: F::KEEPS,
            names: |data| Ok(F::names(&read(data)?)),
            needs: |data| Ok(read::<F>(data)?.needs()),
            ours: translated::<F>,
        }
    }
}

fn translated<F: External>(data: &[u8], kept: Option<&[u8]>) -> Result<Option<Translated>, CodecError> {
    #[derive(Deserialize)]
    struct Tag {
        #[serde(rename = "eventType")]
        event_type: String,
    }
    let kept: Option<F::Kept> = kept.map(read).transpose()?;
    let Some(ours) = read::<F>(data)?.ours(kept.as_ref()) else { return Ok(None) };
    let data = serde_json::to_vec(&ours).map_err(|error| CodecError(error.to_string()))?;
    Ok(Some(Translated { event_type: read::<Tag>(&data)?.event_type, key: F::key(&ours), data }))
}

fn read<T: DeserializeOwned>(data: &[u8]) -> Result<T, CodecError> {
    serde_json::from_slice(data).map_err(|error| CodecError(error.to_string()))
}
