//! The enum of an aggregate's events, declared once: names, versions and what leaves the service.

use std::fmt::Debug;

use schemars::JsonSchema;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::event::Event;

/// The events of one aggregate. [`events!`](crate::events!) implements it; an enum written by hand could name a variant unlike
/// its payload, or forget its tag.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not an enum of events",
    label = "declare it with `kernel::events! {{ pub enum {Self} {{ … }} }}`"
)]
pub trait Events: Serialize + DeserializeOwned + JsonSchema + Clone + PartialEq + Debug + Send + Sync + 'static {
    /// Every event, in the order of the declaration.
    const DECLARED: &'static [EventDef];

    /// Which of them this one is.
    fn declared(&self) -> &'static EventDef;
}

/// One declared event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EventDef {
    /// The name in `eventType` and `ce_type`.
    pub event_type: &'static str,
    /// The schema version that is written.
    pub version: u16,
    /// It changes the state and does not leave the service.
    pub private: bool,
}

impl EventDef {
    /// An event with this payload.
    pub const fn new<E: Event>(private: bool) -> Self {
        Self { event_type: E::TYPE, version: E::VERSION, private }
    }
}

/// Declares the events of one aggregate: an enum with one variant per payload struct.
///
/// ```
/// # use schemars::JsonSchema;
/// # use serde::{Deserialize, Serialize};
/// # macro_rules! payloads { ($($name:ident),*) => { $(
/// # #[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)] pub struct $name {}
/// # )* } }
/// # payloads!(Opened, Charged, Reminded);
/// kernel::events! {
///     /// What happens to an account.
///     pub enum AccountEvent {
///         /// It was opened.
///         Opened,
///         /// Money was taken. Version 1 is still read, by a function `fn(u16, &[u8]) -> Result<Charged, CodecError>`.
///         Charged { version: 2, read: charged },
///         /// Its owner was reminded; this stays in the service.
///         Reminded { private },
///     }
/// }
/// # fn charged(_: u16, json: &[u8]) -> Result<Charged, kernel::event::CodecError> { kernel::event::from_json(json) }
/// # let event = AccountEvent::from(Charged {});
/// # assert_eq!(serde_json::to_string(&event).unwrap(), r#"{"eventType":"Charged"}"#);
/// ```
///
/// It expands to what would otherwise be written by hand, and to nothing else:
///
/// - `#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)] #[serde(tag = "eventType")] pub enum AccountEvent`
///   with the variants `Opened(Opened)`, `Charged(Charged)`, `Reminded(Reminded)`, each with its own sentence or its payload's;
/// - `impl From<Opened> for AccountEvent` for each payload;
/// - `impl Event for Opened` for each payload: its name, its version (1 unless given) and how it is read;
/// - `impl Events for AccountEvent`: the same names and versions, and which events are private.
///
/// The variant, the name on the wire and the payload are one identifier, and the version that is read is the one that is
/// written. The crate needs `serde` and `schemars` among its dependencies, as its payloads do.
#[macro_export]
macro_rules! events {
    (
        $(#[$about:meta])*
        $visibility:vis enum $events:ident {
            $( $(#[$says:meta])* $name:ident $({ $($how:tt)* })? ),+ $(,)?
        }
    ) => {
        $(#[$about])*
        #[derive(Debug, Clone, PartialEq, ::serde::Serialize, ::serde::Deserialize, ::schemars::JsonSchema)]
        #[serde(tag = "eventType")]
        // A variant may leave its sentence to its payload, and its name is the one on the topic.
        #[allow(missing_docs, clippy::enum_variant_names)]
        $visibility enum $events {
            $( $(#[$says])* $name($name), )+
        }

        $(
            impl ::core::convert::From<$name> for $events {
                fn from(event: $name) -> Self {
                    Self::$name(event)
                }
            }

            $crate::events! { @event $name $($($how)*)? }
        )+

        impl $crate::events::Events for $events {
            const DECLARED: &'static [$crate::events::EventDef] =
                &[ $( $crate::events::EventDef::new::<$name>($crate::events!(@private $($($how)*)?)) ),+ ];

            fn declared(&self) -> &'static $crate::events::EventDef {
                match self { $(
                    Self::$name(_) => const { &$crate::events::EventDef::new::<$name>($crate::events!(@private $($($how)*)?)) },
                )+ }
            }
        }
    };

    (@event $name:ident) => {
        impl $crate::Event for $name {
            const TYPE: &'static str = ::core::stringify!($name);
        }
    };
    (@event $name:ident private) => { $crate::events! { @event $name } };
    (@event $name:ident private, $($how:tt)+) => { $crate::events! { @event $name $($how)+ } };
    (@event $name:ident version: $version:literal, read: $read:path) => {
        impl $crate::Event for $name {
            const TYPE: &'static str = ::core::stringify!($name);
            const VERSION: u16 = $version;

            fn read(version: u16, json: &[u8]) -> ::core::result::Result<Self, $crate::event::CodecError> {
                $read(version, json)
            }
        }
    };

    (@private) => { false };
    (@private private $($how:tt)*) => { true };
    (@private version $($how:tt)*) => { false };
}

#[cfg(test)]
mod tests {
    use schemars::JsonSchema;
    use serde::{Deserialize, Serialize};

    use super::*;
    use crate::Event;
    use crate::event::{CodecError, from_json};

    #[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
    struct Opened {
        name: String,
    }

    #[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
    struct Charged {
        won: u64,
    }

    #[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
    struct Reminded {}

    crate::events! {
        /// What happens to an account.
        enum AccountEvent {
            /// It was opened.
            Opened,
            /// Money was taken; version 1 wrote it as a text.
            Charged { version: 2, read: charged },
            /// Its owner was reminded.
            Reminded { private, version: 3, read: reminded },
        }
    }

    fn charged(version: u16, json: &[u8]) -> Result<Charged, CodecError> {
        #[derive(Deserialize)]
        struct First {
            won: String,
        }
        if version > 1 {
            return from_json(json);
        }
        let won = from_json::<First>(json)?.won.parse();
        Ok(Charged { won: won.map_err(|_| CodecError("`won` is no number".into()))? })
    }

    fn reminded(_: u16, json: &[u8]) -> Result<Reminded, CodecError> {
        from_json(json)
    }

    #[test]
    fn name_version_and_privacy_are_those_of_the_one_declaration() {
        let written = |event: AccountEvent| (*event.declared(), serde_json::to_string(&event).unwrap());
        let def = |event_type, version, private| EventDef { event_type, version, private };
        let opened = (def("Opened", 1, false), r#"{"eventType":"Opened","name":"kim"}"#.to_owned());
        assert_eq!(written(Opened { name: "kim".into() }.into()), opened);
        let taken = (def("Charged", 2, false), r#"{"eventType":"Charged","won":7}"#.to_owned());
        assert_eq!(written(Charged { won: 7 }.into()), taken);
        assert_eq!(written(Reminded {}.into()), (def("Reminded", 3, true), r#"{"eventType":"Reminded"}"#.to_owned()));
        assert_eq!((Charged::TYPE, Charged::VERSION, Opened::VERSION), ("Charged", 2, 1));
    }

    #[test]
    fn an_older_version_is_read_by_the_declared_function() {
        assert_eq!(Charged::read(1, br#"{"eventType":"Charged","won":"7"}"#).unwrap(), Charged { won: 7 });
        assert_eq!(Charged::read(2, br#"{"eventType":"Charged","won":7}"#).unwrap(), Charged { won: 7 });
    }
}
