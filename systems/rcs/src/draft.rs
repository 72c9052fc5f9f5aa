//! What a sender hands in: only its form is judged here, what it says is the validator's affair.

use jiff::tz::TimeZone;
use kernel::Rejected;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use telecom::MessageType;

use crate::letter::{Button, Category, Fallback, Letter, national};
use crate::send_time;

/// A message as its sender writes it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Draft {
    /// The recipient's number.
    #[schemars(length(max = 64))]
    pub user_contact: String,
    /// The chatbot in whose name it is sent.
    #[schemars(length(max = 64))]
    pub chatbot_id: String,
    /// The sender's own id; absent, one is made.
    #[schemars(length(max = 100))]
    pub message_id: Option<String>,
    /// The recipient's carrier.
    #[schemars(length(max = 64))]
    pub mno: Option<String>,
    /// When it is to be sent: RFC 3339, or a bare date-time or date; absent or past means now.
    #[schemars(length(max = 64))]
    pub send_time: Option<String>,
    /// The text.
    #[schemars(length(max = 10000))]
    pub description: Option<String>,
    /// Its kind; `sms` if absent.
    pub message_type: Option<MessageType>,
    /// The title of a long message.
    #[schemars(length(max = 1000))]
    pub title: Option<String>,
    /// Buttons under the text.
    #[schemars(length(max = 20))]
    pub buttons: Option<Vec<Button>>,
    /// `info` if absent.
    pub category: Option<Category>,
    /// What a handset without RCS gets instead; nothing if absent.
    pub fallback: Option<Fallback>,
}

impl Draft {
    /// The letter that this draft becomes.
    pub fn letter(&self, id: u64, key: &str) -> Letter {
        Letter {
            id,
            message_id: self.message_id.clone().unwrap_or_else(|| key.to_owned()),
            user_contact: national(&self.user_contact),
            mno: self.mno.clone(),
            send_time: self.send_time.clone(),
            chatbot_id: national(&self.chatbot_id),
            description: self.description.clone().unwrap_or_default(),
            message_type: self.message_type.unwrap_or_default(),
            title: self.title.clone(),
            buttons: self.buttons.clone().unwrap_or_default(),
            category: self.category.unwrap_or_default(),
            fallback: self.fallback.clone(),
        }
    }

    /// A time that cannot be read is a fault of form, in whatever zone it is meant.
    pub(crate) fn well_formed(self) -> Result<Self, Rejected> {
        match &self.send_time {
            Some(text) if send_time::instant(text, &TimeZone::UTC).is_none() => {
                Err(Rejected::field("sendTime", "malformed", "sendTime is a date, a date-time or an RFC 3339 instant"))
            }
            _ => Ok(self),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_send_time_that_cannot_be_read_is_malformed_and_named() {
        let draft = Draft { send_time: Some("soon".into()), ..Draft::default() };
        let rejected = draft.send().err().unwrap();
        assert_eq!((rejected.kind, rejected.errors[0].field.as_str()), (kernel::Kind::Malformed, "sendTime"));
    }

    #[test]
    fn any_text_as_number_is_taken_for_the_validator_to_judge() {
        let draft = Draft { user_contact: "nobody".into(), chatbot_id: "bot".into(), ..Draft::default() };
        assert!(draft.send().is_ok());
    }
}
