//! External records: what services that existed before say, translated into our events. Nothing else knows of them.
//!
//! What goes out needs no translation: our events are the contract, with fields of our own beside it. What comes in from an
//! existing service lacks fields, carries its own row's id, and its `Canceled` carries no `messageId`. What is missing is
//! taken from what `SendSuccess` said; the enrichment cache holds that by `id` and by `messageId` ([`kernel::External`]).
//!
//! One thing cannot be known here: beside an external device no outcome of a recall is waited for. None has to be: a `Canceled`
//! that nothing contradicts stays `CANCEL` in every view.

use serde::{Deserialize, Deserializer, Serialize};

use crate::events::{Canceled, Channel, SendFailed, SendSucceed, SendSuccess, ValidateFailed, ValidateSucceed};
use crate::letter::{Letter, national};

/// An event as an existing service writes it; what it names otherwise or not at all is not for us.
#[derive(Debug, Clone, Deserialize)]
#[serde(tag = "eventType")]
pub enum External {
    /// An external message service accepted a message.
    SendSuccess(Fields),
    /// It canceled one; only `id` is certain.
    Canceled(Fields),
    /// An external validator passed one.
    ValidateSucceed(Fields),
    /// It refused one.
    ValidateFailed(Fields),
    /// An external device delivered one.
    SendSucceed(Fields),
    /// It did not.
    SendFailed(Fields),
    /// Anything else.
    #[serde(other)]
    Other,
}

/// The fields of all of them: each may be absent or `null`, numbers may be texts and texts numbers.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Fields {
    /// The message's in `SendSuccess` and `Canceled`, an external row's in all others.
    #[serde(deserialize_with = "whole")]
    pub id: Option<u64>,
    /// The sender's id.
    #[serde(deserialize_with = "text")]
    pub message_id: Option<String>,
    /// The recipient.
    #[serde(deserialize_with = "text")]
    pub user_contact: Option<String>,
    /// The carrier.
    #[serde(deserialize_with = "text")]
    pub mno: Option<String>,
    /// When it is to be sent.
    #[serde(deserialize_with = "text")]
    pub send_time: Option<String>,
    /// The chatbot.
    #[serde(deserialize_with = "text")]
    pub chatbot_id: Option<String>,
    /// The text.
    #[serde(deserialize_with = "text")]
    pub description: Option<String>,
    /// A validator's outcome in words.
    #[serde(deserialize_with = "text")]
    pub policy_info: Option<String>,
    /// A device's outcome in words.
    #[serde(deserialize_with = "text")]
    pub result: Option<String>,
}

/// What must be looked up among the cached `SendSuccess` before an external event can be translated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Needs<'a> {
    /// Nothing.
    Nothing,
    /// The one of this message id.
    Id(u64),
    /// The one of this `messageId`.
    MessageId(&'a str),
}

/// The same as one of our events.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "eventType")]
pub enum Own {
    /// See the event of that name.
    SendSuccess(SendSuccess),
    /// See the event of that name.
    Canceled(Canceled),
    /// See the event of that name.
    ValidateSucceed(ValidateSucceed),
    /// See the event of that name.
    ValidateFailed(ValidateFailed),
    /// See the event of that name.
    SendSucceed(SendSucceed),
    /// See the event of that name.
    SendFailed(SendFailed),
}

impl External {
    /// What must be looked up first.
    pub fn needs(&self) -> Needs<'_> {
        match self {
            Self::SendSuccess(_) | Self::Other | Self::Canceled(Fields { message_id: Some(_), .. }) => Needs::Nothing,
            Self::Canceled(fields) => fields.id.map_or(Needs::Nothing, Needs::Id),
            Self::ValidateSucceed(fields)
            | Self::ValidateFailed(fields)
            | Self::SendSucceed(fields)
            | Self::SendFailed(fields) => fields.message_id.as_deref().map_or(Needs::Nothing, Needs::MessageId),
        }
    }

    /// Our event, given what was cached; `None` where it is not for us, or names no message that we know.
    pub fn own(self, cached: Option<&SendSuccess>) -> Option<Own> {
        let cached = cached.map(|cached| &cached.letter);
        Some(match self {
            Self::SendSuccess(fields) => {
                let id = fields.id?;
                Own::SendSuccess(SendSuccess { letter: Letter { id, ..fields.letter(None)? } })
            }
            Self::Canceled(Fields { id, message_id, .. }) => {
                let message_id = message_id.or_else(|| cached.map(|cached| cached.message_id.clone()))?;
                Own::Canceled(Canceled { id: id.unwrap_or_default(), message_id })
            }
            Self::ValidateSucceed(fields) => {
                let (policy_info, findings) = (fields.policy_info.clone().unwrap_or_default(), Vec::new());
                Own::ValidateSucceed(ValidateSucceed { letter: fields.letter(cached)?, policy_info, findings })
            }
            Self::ValidateFailed(fields) => {
                let (policy_info, findings) = (fields.policy_info.clone().unwrap_or_default(), Vec::new());
                Own::ValidateFailed(ValidateFailed { letter: fields.letter(cached)?, policy_info, findings })
            }
            Self::SendSucceed(fields) => {
                let result = fields.result.clone().unwrap_or_default();
                let letter = fields.letter(cached)?;
                Own::SendSucceed(SendSucceed { letter, result, channel: Channel::Rcs, price_won: None })
            }
            Self::SendFailed(fields) => {
                let result = fields.result.clone().unwrap_or_default();
                let letter = fields.letter(cached)?;
                Own::SendFailed(SendFailed { letter, reason: result.clone(), result, expired: false })
            }
            Self::Other => return None,
        })
    }
}

impl Fields {
    /// The letter: what was cached knows better than what is repeated, and alone knows the message's own id. Without it the id
    /// stays unknown (0): an external row's would be taken for the message's.
    fn letter(self, cached: Option<&Letter>) -> Option<Letter> {
        let message_id = self.message_id?;
        if let Some(cached) = cached.filter(|cached| cached.message_id == message_id) {
            return Some(cached.clone());
        }
        Some(Letter {
            message_id,
            user_contact: national(&self.user_contact.unwrap_or_default()),
            mno: self.mno,
            send_time: self.send_time,
            chatbot_id: national(&self.chatbot_id.unwrap_or_default()),
            description: self.description.unwrap_or_default(),
            ..Letter::default()
        })
    }
}

impl kernel::External for External {
    const CACHED: &'static str = "SendSuccess";
    type Cached = SendSuccess;
    type Own = Own;

    fn cache_keys(cached: &SendSuccess) -> Vec<String> {
        vec![Needs::Id(cached.letter.id).to_string(), Needs::MessageId(&cached.letter.message_id).to_string()]
    }

    fn lookup_key(&self) -> Option<String> {
        let needs = self.needs();
        (needs != Needs::Nothing).then(|| needs.to_string())
    }

    fn translate(self, cached: Option<&SendSuccess>) -> Option<Own> {
        self.own(cached)
    }

    fn correlation(own: &Own) -> String {
        match own {
            Own::Canceled(event) => event.message_id.clone(),
            Own::SendSuccess(SendSuccess { letter })
            | Own::ValidateSucceed(ValidateSucceed { letter, .. })
            | Own::ValidateFailed(ValidateFailed { letter, .. })
            | Own::SendSucceed(SendSucceed { letter, .. })
            | Own::SendFailed(SendFailed { letter, .. }) => letter.message_id.clone(),
        }
    }
}

impl std::fmt::Display for Needs<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Nothing => f.write_str("nothing"),
            Self::Id(id) => write!(f, "id {id}"),
            Self::MessageId(message_id) => write!(f, "messageId {message_id}"),
        }
    }
}

/// A scalar in whichever form it came.
#[derive(Deserialize)]
#[serde(untagged)]
enum Scalar {
    Whole(u64),
    Text(String),
}

fn text<'de, D: Deserializer<'de>>(from: D) -> Result<Option<String>, D::Error> {
    Ok(Option::<Scalar>::deserialize(from)?.map(|scalar| match scalar {
        Scalar::Whole(number) => number.to_string(),
        Scalar::Text(text) => text,
    }))
}

fn whole<'de, D: Deserializer<'de>>(from: D) -> Result<Option<u64>, D::Error> {
    Ok(Option::<Scalar>::deserialize(from)?.and_then(|scalar| match scalar {
        Scalar::Whole(number) => Some(number),
        Scalar::Text(text) => text.parse().ok(),
    }))
}

#[cfg(test)]
mod tests {
    use telecom::MessageType;

    use super::*;

    fn external(json: &str) -> External {
        serde_json::from_str(json).unwrap()
    }

    fn cached() -> SendSuccess {
        let letter = Letter { id: 7, message_id: "msg-1".into(), message_type: MessageType::Lms, ..Letter::default() };
        SendSuccess { letter }
    }

    #[test]
    fn an_external_acceptance_is_read_with_national_digits_and_its_send_time_as_written() {
        let said = r#"{"eventType":"SendSuccess","timestamp":"20240923101500","me":true,"id":"7","messageId":1,
            "userContact":"010-1234-1234","mno":null,"sendTime":"2024-09-23","chatbotId":"080-123-4567","description":null}"#;
        let Some(Own::SendSuccess(SendSuccess { letter })) = external(said).own(None) else { panic!("unread") };
        assert_eq!((letter.id, letter.message_id.as_str()), (7, "1"));
        assert_eq!((letter.user_contact.as_str(), letter.chatbot_id.as_str()), ("01012341234", "0801234567"));
        assert_eq!((letter.send_time.as_deref(), letter.mno), (Some("2024-09-23"), None));
    }

    #[test]
    fn a_cancel_without_message_id_is_resolved_by_what_was_kept() {
        let said = r#"{"eventType":"Canceled","id":7}"#;
        assert_eq!(external(said).needs(), Needs::Id(7));
        let expected = Own::Canceled(Canceled { id: 7, message_id: "msg-1".into() });
        assert_eq!(external(said).own(Some(&cached())), Some(expected));
        assert_eq!(external(said).own(None), None);
    }

    #[test]
    fn what_an_external_validation_lacks_comes_from_the_acceptance_and_its_own_row_id_is_not_trusted() {
        let said = r#"{"eventType":"ValidateSucceed","id":99,"messageId":"msg-1","policyInfo":"ok"}"#;
        assert_eq!(external(said).needs(), Needs::MessageId("msg-1"));
        let Some(Own::ValidateSucceed(known)) = external(said).own(Some(&cached())) else { panic!("unread") };
        assert_eq!((known.letter, known.policy_info.as_str()), (cached().letter, "ok"));
        let Some(Own::ValidateSucceed(unknown)) = external(said).own(None) else { panic!("unread") };
        assert_eq!(unknown.letter.id, 0);
    }

    #[test]
    fn what_an_external_device_says_is_read_and_what_is_not_ours_is_left_alone() {
        let said = r#"{"eventType":"SendFailed","id":3,"messageId":"msg-1","result":"send failed"}"#;
        let Some(Own::SendFailed(failed)) = external(said).own(Some(&cached())) else { panic!("unread") };
        assert_eq!((failed.letter.id, failed.reason.as_str()), (7, "send failed"));
        assert_eq!(external(r#"{"eventType":"Something","id":3}"#).own(None), None);
    }
}
