//! The letter: the message as it travels from service to service, the same fields in every event.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use telecom::{Carrier, Content, MessageType, MobileNumber, SenderNumber};

/// What is sent, by whom, to whom and when. All events that carry it write its fields flat.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Letter {
    /// The message's own id, whichever service speaks.
    pub id: u64,
    /// The sender's own id, by which all events of one message belong together.
    pub message_id: String,
    /// The recipient: national digits, or the text as it was written where it is no number.
    #[serde(default)]
    pub user_contact: String,
    /// The recipient's carrier as the sender named it.
    #[serde(default)]
    pub mno: Option<String>,
    /// When it is to be sent, as it was written; absent means at once.
    #[serde(default)]
    pub send_time: Option<String>,
    /// The chatbot in whose name it is sent: national digits, or the text as it was written.
    #[serde(default)]
    pub chatbot_id: String,
    /// The text.
    #[serde(default)]
    pub description: String,
    /// Its kind.
    #[serde(default)]
    pub message_type: MessageType,
    /// The title of a long message.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// Buttons under the text.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub buttons: Vec<Button>,
    /// Information or advertisement.
    #[serde(default)]
    pub category: Category,
    /// What a handset without RCS gets instead; absent means nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fallback: Option<Fallback>,
}

/// A button under the text.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Button {
    /// What stands on it.
    #[schemars(length(max = 100))]
    pub label: String,
    /// Where it leads.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 2000))]
    pub url: Option<String>,
}

/// Advertising has rules of its own.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Category {
    /// Information.
    #[default]
    Info,
    /// Advertisement.
    Ad,
}

/// What a handset without RCS gets instead.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Fallback {
    /// How it is sent.
    #[serde(rename = "type")]
    pub kind: FallbackType,
    /// What it says.
    #[schemars(length(max = 2000))]
    pub text: String,
}

/// Plain messages that every handset takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum FallbackType {
    /// A short one.
    Sms,
    /// A long one.
    Lms,
}

/// One thing wrong with a message, as it stands in events and answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Finding {
    /// Stable slug, for programs.
    pub code: String,
    /// The field of the message that it is about.
    pub field: String,
    /// One sentence for a person.
    pub detail: String,
}

/// National digits where the text is a number. A text that is none stays as it was written, because taking
/// only the digits out of a mistyped number would make it another number.
pub fn national(text: &str) -> String {
    let mobile = MobileNumber::parse(text).map(String::from);
    mobile.or_else(|_| SenderNumber::parse(text).map(String::from)).unwrap_or_else(|_| text.trim().to_owned())
}

impl Letter {
    /// What every event says, even the shortest.
    pub fn ids(&self) -> (u64, String) {
        (self.id, self.message_id.clone())
    }

    /// What the limits of its type are about.
    pub fn content(&self) -> Content<'_> {
        Content {
            message_type: self.message_type,
            title: self.title.as_deref().unwrap_or_default(),
            body: &self.description,
            button_labels: self.buttons.iter().map(|button| button.label.as_str()).collect(),
        }
    }

    /// The carrier that the sender named, if it is one.
    pub fn carrier(&self) -> Option<Carrier> {
        self.mno.as_deref().and_then(|name| Carrier::parse(name).ok())
    }
}

impl FallbackType {
    /// The same as a message type, for the price.
    pub fn message_type(self) -> MessageType {
        match self {
            Self::Sms => MessageType::Sms,
            Self::Lms => MessageType::Lms,
        }
    }
}

impl From<telecom::Finding> for Finding {
    fn from(found: telecom::Finding) -> Self {
        Self { code: found.code.to_owned(), field: found.field, detail: found.detail }
    }
}

impl Finding {
    /// A finding from its three parts.
    pub fn new(code: &'static str, field: &str, detail: impl Into<String>) -> Self {
        Self { code: code.to_owned(), field: field.to_owned(), detail: detail.into() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_becomes_national_digits_and_a_mistyped_one_stays_as_it_is() {
        assert_eq!(national("+82 10-1234-1234"), "01012341234");
        assert_eq!(national("080-123-4567"), "0801234567");
        assert_eq!(national(" 010-1234-123a "), "010-1234-123a");
    }
}
