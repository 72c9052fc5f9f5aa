//! Foreign forms: what services that existed before say, translated into our events. Nothing else knows of them.
//!
//! What goes out needs no translation: our events are the contract, with fields of our own beside it. What comes in from an
//! existing service lacks fields, carries its own row's id, and its `Canceled` carries no `messageId`. What is missing is
//! taken from what `SendSuccess` said; the machine keeps that by `id` and by `messageId` ([`kernel::External`]).
//!
//! One thing cannot be known here: beside a foreign device no outcome of a recall is waited for. None has to be: a `Canceled`
//! that nobody contradicts stays `CANCEL` in every view.

use serde::{Deserialize, Deserializer, Serialize};

use crate::events::{Canceled, Channel, SendFailed, SendSucceed, SendSuccess, ValidateFailed, ValidateSucceed};
use crate::letter::{Letter, national};

/// An event as an existing service writes it; what it names otherwise or not at all is not for us.
#[derive(Debug, Clone, Deserialize)]
#[serde(tag = "eventType")]
pub enum External {
    /// A foreign message service accepted a message.
    SendSuccess(Fields),
    /// It canceled one; only `id` is certain.
    Canceled(Fields),
    /// A foreign validator passed one.
    ValidateSucceed(Fields),
    /// It refused one.
    ValidateFailed(Fields),
    /// A foreign device delivered one.
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
    /// The message's in `SendSuccess` and `Canceled`, a foreign row's in all others.
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

/// What must be looked up among the kept `SendSuccess` before a foreign event can be translated.
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
pub enum Ours {
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

    /// Our event, given what was kept; `None` where it is not for us, or names no message that we know.
    pub fn ours(self, kept: Option<&SendSuccess>) -> Option<Ours> {
        let kept = kept.map(|kept| &kept.letter);
        Some(match self {
            Self::SendSuccess(fields) => {
                let id = fields.id?;
                Ours::SendSuccess(SendSuccess { letter: Letter { id, ..fields.letter(None)? } })
            }
            Self::Canceled(Fields { id, message_id, .. }) => {
                let message_id = message_id.or_else(|| kept.map(|kept| kept.message_id.clone()))?;
                Ours::Canceled(Canceled { id: id.unwrap_or_default(), message_id })
            }
            Self::ValidateSucceed(fields) => {
                let (policy_info, findings) = (fields.policy_info.clone().unwrap_or_default(), Vec::new());
                Ours::ValidateSucceed(ValidateSucceed { letter: fields.letter(kept)?, policy_info, findings })
            }
            Self::ValidateFailed(fields) => {
                let (policy_info, findings) = (fields.policy_info.clone().unwrap_or_default(), Vec::new());
                Ours::ValidateFailed(ValidateFailed { letter: fields.letter(kept)?, policy_info, findings })
            }
            Self::SendSucceed(fields) => {
                let result = fields.result.clone().unwrap_or_default();
                let letter = fields.letter(kept)?;
                Ours::SendSucceed(SendSucceed { letter, result, channel: Channel::Rcs, price_won: None })
            }
            Self::SendFailed(fields) => {
                let result = fields.result.clone().unwrap_or_default();
                let letter = fields.letter(kept)?;
                Ours::SendFailed(SendFailed { letter, reason: result.clone(), result, expired: false })
            }
            Self::Other => return None,
        })
    }
}

impl Fields {
    /// The letter: what was kept knows better than what is repeated, and alone knows the message's own id. Without it the id
    /// stays unknown (0): a foreign row's would be taken for the message's.
    fn letter(self, kept: Option<&Letter>) -> Option<Letter> {
        let message_id = self.message_id?;
        if let Some(kept) = kept.filter(|kept| kept.message_id == message_id) {
            return Some(kept.clone());
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
    const KEEPS: &'static str = "SendSuccess";
    type Kept = SendSuccess;
    type Ours = Ours;

    fn names(kept: &SendSuccess) -> Vec<String> {
        vec![Needs::Id(kept.letter.id).to_string(), Needs::MessageId(&kept.letter.message_id).to_string()]
    }

    fn needs(&self) -> Option<String> {
        let needs = External::needs(self);
        (needs != Needs::Nothing).then(|| needs.to_string())
    }

    fn ours(self, kept: Option<&SendSuccess>) -> Option<Ours> {
        External::ours(self, kept)
    }

    fn key(ours: &Ours) -> String {
        match ours {
            Ours::Canceled(event) => event.message_id.clone(),
            Ours::SendSuccess(SendSuccess { letter })
            | Ours::ValidateSucceed(ValidateSucceed { letter, .. })
            | Ours::ValidateFailed(ValidateFailed { letter, .. })
            | Ours::SendSucceed(SendSucceed { letter, .. })
            | Ours::SendFailed(SendFailed { letter, .. }) => letter.message_id.clone(),
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

    fn foreign(json: &str) -> External {
        serde_json::from_str(json).unwrap()
    }

    fn kept() -> SendSuccess {
        let letter = Letter { id: 7, message_id: "msg-1".into(), message_type: MessageType::Lms, ..Letter::default() };
        SendSuccess { letter }
    }

    #[test]
    fn a_foreign_acceptance_is_read_with_national_digits_and_its_send_time_as_written() {
        let said = r#"{"eventType":"SendSuccess","timestamp":"20240923101500","me":true,"id":"7","messageId":1,
            "userContact":"010-1234-1234","mno":null,"sendTime":"2024-09-23","chatbotId":"080-123-4567","description":null}"#;
        let Some(Ours::SendSuccess(SendSuccess { letter })) = foreign(said).ours(None) else { panic!("unread") };
        assert_eq!((letter.id, letter.message_id.as_str()), (7, "1"));
        assert_eq!((letter.user_contact.as_str(), letter.chatbot_id.as_str()), ("01012341234", "0801234567"));
        assert_eq!((letter.send_time.as_deref(), letter.mno), (Some("2024-09-23"), None));
    }

    #[test]
    fn a_cancel_without_message_id_is_resolved_by_what_was_kept() {
        let said = r#"{"eventType":"Canceled","id":7}"#;
        assert_eq!(foreign(said).needs(), Needs::Id(7));
        let expected = Ours::Canceled(Canceled { id: 7, message_id: "msg-1".into() });
        assert_eq!(foreign(said).ours(Some(&kept())), Some(expected));
        assert_eq!(foreign(said).ours(None), None);
    }

    #[test]
    fn what_a_foreign_validation_lacks_comes_from_the_acceptance_and_its_own_row_id_is_not_trusted() {
        let said = r#"{"eventType":"ValidateSucceed","id":99,"messageId":"msg-1","policyInfo":"ok"}"#;
        assert_eq!(foreign(said).needs(), Needs::MessageId("msg-1"));
        let Some(Ours::ValidateSucceed(known)) = foreign(said).ours(Some(&kept())) else { panic!("unread") };
        assert_eq!((known.letter, known.policy_info.as_str()), (kept().letter, "ok"));
        let Some(Ours::ValidateSucceed(unknown)) = foreign(said).ours(None) else { panic!("unread") };
        assert_eq!(unknown.letter.id, 0);
    }

    #[test]
    fn what_a_foreign_device_says_is_read_and_what_is_not_ours_is_left_alone() {
        let said = r#"{"eventType":"SendFailed","id":3,"messageId":"msg-1","result":"send failed"}"#;
        let Some(Ours::SendFailed(failed)) = foreign(said).ours(Some(&kept())) else { panic!("unread") };
        assert_eq!((failed.letter.id, failed.reason.as_str()), (7, "send failed"));
        assert_eq!(foreign(r#"{"eventType":"Something","id":3}"#).ours(None), None);
    }
}
