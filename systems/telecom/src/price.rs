//! What a message costs, as data with defaults.
//!
//! The defaults are of the usual order of magnitude and nothing more: prices are a matter of
//! contract, and an installation configures its own.

use crate::content::MessageType;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Prices in whole won per message, tax not included. What a setting leaves out has its default.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Prices {
    /// RCS short text, won.
    pub sms: u64,
    /// RCS long text, won.
    pub lms: u64,
    /// RCS text with media, won.
    pub mms: u64,
    /// RCS template, won.
    pub template: u64,
    /// Plain SMS sent as fallback, won.
    pub fallback_sms: u64,
    /// Plain LMS sent as fallback, won.
    pub fallback_lms: u64,
    /// Plain MMS sent as fallback, won.
    pub fallback_mms: u64,
}

impl Prices {
    /// Price of an RCS message of this type, won.
    pub fn of(&self, message_type: MessageType) -> u64 {
        match message_type {
            MessageType::Sms => self.sms,
            MessageType::Lms => self.lms,
            MessageType::Mms => self.mms,
            MessageType::Template => self.template,
        }
    }

    /// Price of the plain message of this type that a handset without RCS gets, won; `None` for
    /// a template, which exists in RCS only.
    pub fn of_fallback(&self, message_type: MessageType) -> Option<u64> {
        match message_type {
            MessageType::Sms => Some(self.fallback_sms),
            MessageType::Lms => Some(self.fallback_lms),
            MessageType::Mms => Some(self.fallback_mms),
            MessageType::Template => None,
        }
    }
}

impl Default for Prices {
    fn default() -> Self {
        Self { sms: 17, lms: 40, mms: 100, template: 12, fallback_sms: 18, fallback_lms: 45, fallback_mms: 110 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_type_has_its_own_price() {
        let prices = Prices::default();
        assert_eq!(MessageType::ALL.map(|of| prices.of(of)), [17, 40, 100, 12]);
    }

    #[test]
    fn a_fallback_is_priced_as_a_plain_message() {
        let prices = Prices { fallback_sms: 9, ..Prices::default() };
        assert_eq!(prices.of_fallback(MessageType::Sms), Some(9));
        assert_eq!(prices.of_fallback(MessageType::Template), None);
    }
}
