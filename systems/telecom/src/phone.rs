//! Korean telephone numbers: reading what people write, and keeping one form of it.
//!
//! Inside, a number is its *national digits* (`01012341234`), so that equal numbers are equal
//! strings whatever their spelling was. Tolerated on the way in: hyphens and dashes, spaces,
//! dots, brackets, and the country code as `+82…` or `82…`, with or without the zero after it.
//! Full-width digits (`０１０`) are normalised, not refused: Korean input methods produce them
//! and their meaning is not in doubt.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// A Korean mobile number: `01[016789]` followed by 7–8 digits, held as national digits.
///
/// Reading is tolerant as the module says; writing gives the national digits.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(with = "String")]
pub struct MobileNumber(String);

/// A sender number: 8–11 national digits and never an `010` number, because carriers register
/// company lines only. Whether it *is* registered is for a directory to say.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(with = "String")]
pub struct SenderNumber(String);

/// Why a text is not the number it should be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PhoneError {
    /// No digit in it.
    #[error("the number is empty")]
    Empty,
    /// A character that is neither a digit nor a tolerated separator.
    #[error("{0:?} does not belong in a telephone number")]
    Character(char),
    /// A `+` with a country code other than 82.
    #[error("the number does not have the country code 82")]
    Country,
    /// Not one of the mobile prefixes.
    #[error("a mobile number starts with 010, 011, 016, 017, 018 or 019")]
    Prefix,
    /// A mobile prefix, but too few or too many digits; holds how many there are.
    #[error("a mobile number has 10 or 11 digits, this one has {0}")]
    Length(usize),
    /// A sender number with too few or too many digits; holds how many there are.
    #[error("a sender number has 8 to 11 digits, this one has {0}")]
    SenderLength(usize),
    /// A sender number that is a personal mobile number.
    #[error("a sender number is never an 010 number")]
    SenderMobile,
}

impl MobileNumber {
    /// Reads a mobile number.
    ///
    /// # Errors
    /// Any [`PhoneError`] except the two about senders.
    pub fn parse(text: &str) -> Result<Self, PhoneError> {
        let digits = strict_digits(text)?;
        let mobile = matches!(digits.as_bytes(), [b'0', b'1', b'0' | b'1' | b'6'..=b'9', ..]);
        match digits.len() {
            _ if !mobile => Err(PhoneError::Prefix),
            10 | 11 => Ok(Self(digits)),
            other => Err(PhoneError::Length(other)),
        }
    }

    /// For logs and screens: the prefix and the last four digits, `010****1234`.
    pub fn masked(&self) -> String {
        self.0
            .chars()
            .enumerate()
            .map(|(at, digit)| {
                let shown = at < 3 || at + 4 >= self.0.len();
                if shown { digit } else { '*' }
            })
            .collect()
    }
}

impl SenderNumber {
    /// Reads a sender number. Which ranges exist is left to the register of senders:
    /// only length and the ban on `010` are checked.
    ///
    /// # Errors
    /// Any [`PhoneError`] except [`PhoneError::Prefix`] and [`PhoneError::Length`].
    pub fn parse(text: &str) -> Result<Self, PhoneError> {
        let digits = strict_digits(text)?;
        // The ban comes first: it is what the sender has to act on, whatever the length.
        if digits.starts_with("010") {
            return Err(PhoneError::SenderMobile);
        }
        match digits.len() {
            8..=11 => Ok(Self(digits)),
            other => Err(PhoneError::SenderLength(other)),
        }
    }
}

impl PhoneError {
    /// Stable slug of the error, in kebab-case.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Empty => "phone-empty",
            Self::Character(_) => "phone-character",
            Self::Country => "phone-country",
            Self::Prefix => "phone-prefix",
            Self::Length(_) => "phone-length",
            Self::SenderLength(_) => "sender-length",
            Self::SenderMobile => "sender-mobile",
        }
    }
}

/// The national digits of any text, as far as there are any: for echoing and looking up what
/// cannot be parsed. Everything that is not a digit is dropped; nothing is refused.
pub fn digits(text: &str) -> String {
    national(text.chars().filter_map(digit).collect())
}

/// What both kinds of number share: text out, tolerant text in.
macro_rules! number_as_text {
    ($number:ty) => {
        impl $number {
            /// The national digits.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $number {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl FromStr for $number {
            type Err = PhoneError;

            fn from_str(text: &str) -> Result<Self, PhoneError> {
                Self::parse(text)
            }
        }

        impl TryFrom<String> for $number {
            type Error = PhoneError;

            fn try_from(text: String) -> Result<Self, PhoneError> {
                Self::parse(&text)
            }
        }

        impl From<$number> for String {
            fn from(number: $number) -> Self {
                number.0
            }
        }
    };
}

number_as_text!(MobileNumber);
number_as_text!(SenderNumber);

/// National digits of a text that holds a number and nothing else.
fn strict_digits(text: &str) -> Result<String, PhoneError> {
    let mut digits = String::new();
    let mut plus = false;
    for c in text.chars() {
        match c {
            '+' | '＋' if digits.is_empty() && !plus => plus = true,
            _ if is_separator(c) => {}
            _ => digits.push(digit(c).ok_or(PhoneError::Character(c))?),
        }
    }
    if digits.is_empty() {
        Err(PhoneError::Empty)
    } else if plus && !digits.starts_with("82") {
        Err(PhoneError::Country)
    } else {
        Ok(national(digits))
    }
}

/// Takes the country code off. No national number of 8 digits or more starts with 82, so
/// the code is known even without its `+`.
fn national(digits: String) -> String {
    match digits.strip_prefix("82") {
        Some(rest) if rest.starts_with('0') || is_representative(rest) => rest.to_owned(),
        Some(rest) if rest.len() >= 7 => format!("0{rest}"),
        _ => digits,
    }
}

/// Nationwide company numbers (1588-0000 and the like) are dialled without a zero in front.
fn is_representative(digits: &str) -> bool {
    digits.len() == 8 && ["15", "16", "18"].iter().any(|head| digits.starts_with(head))
}

/// ASCII form of an ASCII or full-width digit.
fn digit(c: char) -> Option<char> {
    let plain = match c {
        '０'..='９' => char::from_u32(u32::from(c) - u32::from('０') + u32::from('0'))?,
        other => other,
    };
    plain.is_ascii_digit().then_some(plain)
}

fn is_separator(c: char) -> bool {
    c.is_whitespace() || matches!(c, '-' | '.' | '(' | ')' | '[' | ']' | '\u{2010}'..='\u{2015}' | '\u{2212}' | '－')
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde::de::IntoDeserializer;
    use serde::de::value::{Error, StrDeserializer};

    #[test]
    fn every_usual_spelling_is_the_same_number() {
        let spellings = [
            "01012341234",
            "010-1234-1234",
            " 010 1234 1234 ",
            "010.1234.1234",
            "(010)1234-1234",
            "+821012341234",
            "+82 10-1234-1234",
            "+82 (0)10-1234-1234",
            "821012341234",
            "８２１０１２３４１２３４",
            "010–1234–1234",
        ];
        for spelling in spellings {
            assert_eq!(MobileNumber::parse(spelling).map(String::from), Ok("01012341234".to_owned()), "{spelling}");
        }
    }

    #[test]
    fn old_prefixes_with_seven_digits_are_mobile_numbers() {
        for text in ["011-123-4567", "+82 16 123 4567", "0181234567"] {
            assert!(MobileNumber::parse(text).is_ok(), "{text}");
        }
    }

    #[test]
    fn what_is_not_a_mobile_number_is_refused_with_its_reason() {
        let cases = [
            ("", "phone-empty"),
            ("+", "phone-empty"),
            ("abc", "phone-character"),
            ("010-1234-123a", "phone-character"),
            ("++821012341234", "phone-character"),
            ("+1 212 555 0100", "phone-country"),
            ("02-123-4567", "phone-prefix"),
            ("01212341234", "phone-prefix"),
            ("010-123-456", "phone-length"),
            ("010-1234-12345", "phone-length"),
        ];
        for (text, code) in cases {
            let refused = MobileNumber::parse(text).map_err(|error| error.code());
            assert_eq!(refused, Err(code), "{text}");
        }
    }

    #[test]
    fn a_masked_number_shows_prefix_and_last_four() {
        let mask = |text| MobileNumber::parse(text).unwrap().masked();
        assert_eq!(mask("01012341234"), "010****1234");
        assert_eq!(mask("0111234567"), "011***4567");
    }

    #[test]
    fn a_sender_number_is_a_company_line() {
        let cases = [
            ("0801234567", Ok("0801234567")),
            ("1588-1234", Ok("15881234")),
            ("+82 1588-1234", Ok("15881234")),
            ("+82-2-123-4567", Ok("021234567")),
            ("070-1234-5678", Ok("07012345678")),
            ("010-1234-5678", Err("sender-mobile")),
            ("+82 10 1234 5678", Err("sender-mobile")),
            ("1234567", Err("sender-length")),
            ("080123456789", Err("sender-length")),
            ("bot", Err("phone-character")),
        ];
        for (text, expected) in cases {
            let read = SenderNumber::parse(text);
            let read = read.as_ref().map(SenderNumber::as_str).map_err(PhoneError::code);
            assert_eq!(read, expected, "{text}");
        }
    }

    #[test]
    fn digits_of_a_broken_number_are_kept_as_far_as_possible() {
        assert_eq!(digits("tel: +82 10-1234-12"), "010123412");
        assert_eq!(digits("number 82"), "82");
        assert_eq!(digits("none"), "");
    }

    #[test]
    fn a_number_is_read_from_text_and_a_wrong_one_is_refused() {
        let read = |text: &'static str| {
            let source: StrDeserializer<Error> = text.into_deserializer();
            MobileNumber::deserialize(source)
        };
        assert_eq!(read("+82 10 1234 1234").unwrap().as_str(), "01012341234");
        assert!(read("02-123-4567").is_err());
    }

    proptest! {
        #[test]
        fn what_is_displayed_parses_to_itself(text in "01[016789][0-9]{7,8}") {
            let number = MobileNumber::parse(&text).unwrap();
            prop_assert_eq!(MobileNumber::parse(&number.to_string()), Ok(number));
        }

        #[test]
        fn a_sender_number_displayed_parses_to_itself(text in "[+]?[0-9 -]{6,16}") {
            if let Ok(number) = SenderNumber::parse(&text) {
                prop_assert_eq!(SenderNumber::parse(number.as_str()), Ok(number));
            }
        }

        #[test]
        fn no_text_makes_reading_panic(text in any::<String>()) {
            let _ = MobileNumber::parse(&text);
            let _ = SenderNumber::parse(&text);
            prop_assert!(digits(&text).bytes().all(|byte| byte.is_ascii_digit()));
        }
    }
}
