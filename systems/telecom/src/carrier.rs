//! The three network operators, and the ways people spell them.
//!
//! A number's prefix says nothing about its carrier since number portability; who carries a
//! number is for a directory to say. Names of resellers (알뜰폰) are not mapped, because one
//! reseller may use several networks.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// A Korean network operator.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Carrier {
    /// SK Telecom.
    Skt,
    /// KT.
    Kt,
    /// LG U+.
    Lgu,
}

/// The text names no carrier.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not one of skt, kt, lgu")]
pub struct UnknownCarrier(pub String);

impl Carrier {
    /// All carriers, in the order they are listed to people.
    pub const ALL: [Self; 3] = [Self::Skt, Self::Kt, Self::Lgu];

    /// Reads a carrier's name: any case, with or without spaces, hyphens, dots and `+`, in Latin
    /// or Korean letters, former names included.
    ///
    /// # Errors
    /// [`UnknownCarrier`] if no carrier is spelled so.
    pub fn parse(text: &str) -> Result<Self, UnknownCarrier> {
        let key: String = text.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect();
        match key.as_str() {
            "skt"
            | "sk"
            | "sktelecom"
            | "sktel"
            | "sk텔레콤"
            | "에스케이텔레콤"
            | "에스케이티"
            | "에스케이"
            | "tworld"
            | "티월드" => Ok(Self::Skt),
            "kt" | "ktf" | "olleh" | "ktolleh" | "ollehkt" | "koreatelecom" | "케이티" | "올레" | "kt올레" | "올레kt" => {
                Ok(Self::Kt)
            }
            "lgu" | "lguplus" | "lgup" | "lgt" | "lg" | "lgtelecom" | "uplus" | "lg유플러스" | "lg텔레콤" | "lgu플러스"
            | "유플러스" | "엘지유플러스" | "엘지텔레콤" | "엘지유" => Ok(Self::Lgu),
            // The `+` was dropped with the other signs, so what is left of "U+" is one letter.
            "u" if text.contains('+') => Ok(Self::Lgu),
            _ => Err(UnknownCarrier(text.to_owned())),
        }
    }

    /// The name on the wire: `skt`, `kt`, `lgu`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Skt => "skt",
            Self::Kt => "kt",
            Self::Lgu => "lgu",
        }
    }
}

impl fmt::Display for Carrier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Carrier {
    type Err = UnknownCarrier;

    fn from_str(text: &str) -> Result<Self, UnknownCarrier> {
        Self::parse(text)
    }
}

impl UnknownCarrier {
    /// Stable slug of the error, in kebab-case.
    pub fn code(&self) -> &'static str {
        "carrier-unknown"
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn usual_spellings_name_their_carrier() {
        let cases: [(Carrier, &[&str]); 3] = [
            (Carrier::Skt, &["SKT", "skt", "SK Telecom", "sk텔레콤", "SK 텔레콤", "SK-T"]),
            (Carrier::Kt, &["KT", "kt", "olleh", "케이티", "K.T", "KTF"]),
            (Carrier::Lgu, &["LGU+", "lg u+", "LG유플러스", "lguplus", "uplus", "LGT", "U+", "LG U plus", "유플러스", "lgu"]),
        ];
        for (carrier, spellings) in cases {
            for spelling in spellings {
                assert_eq!(Carrier::parse(spelling), Ok(carrier), "{spelling}");
            }
        }
    }

    #[test]
    fn an_unknown_name_is_refused_and_echoed() {
        for text in ["", "u", "vodafone", "알뜰폰"] {
            let error = Carrier::parse(text).unwrap_err();
            assert_eq!((error.code(), error.0.as_str()), ("carrier-unknown", text));
        }
    }

    #[test]
    fn what_is_displayed_parses_to_itself() {
        for carrier in Carrier::ALL {
            assert_eq!(carrier.to_string().parse(), Ok(carrier));
        }
    }

    proptest! {
        #[test]
        fn no_text_makes_reading_panic(text in any::<String>()) {
            let _ = Carrier::parse(&text);
        }
    }
}
