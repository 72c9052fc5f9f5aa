//! The sender's my-page: one row per message, with its result and its timeline, right whatever the order of arrival.

#[cfg(test)]
mod tests;

use kernel::view::{Happened, View};
use kernel::{EventMetadata, Row, Timestamp, view};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::delivery::{FellBack, Postponed};
use crate::events::{
    Canceled, Channel, Held, Prechecked, Read, RecallGranted, RecallRefused, SendFailed, SendSucceed, SendSuccess,
    ValidateFailed, ValidateSucceed,
};
use crate::letter::Letter;

/// What a sender sees of a message.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct MyMessage {
    /// The message's id, 0 as long as it is unknown.
    pub id: u64,
    /// The sender's id.
    pub message_id: String,
    /// The recipient.
    pub user_contact: String,
    /// The recipient's carrier.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mno: Option<String>,
    /// When it is to be sent, as it was written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub send_time: Option<String>,
    /// The chatbot.
    pub chatbot_id: String,
    /// The text.
    pub description: String,
    /// How it stands.
    pub result: ResultWord,
    /// Why, where it went wrong.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// How it reached the handset.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub channel: Option<Channel>,
    /// What it costs, won.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub price_won: Option<u64>,
    /// When it was accepted, or first heard of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub accepted_at: Option<Timestamp>,
    /// What happened, by time.
    pub timeline: Vec<Happened>,
    /// What is known; `result` and `reason` follow from it alone.
    pub facts: Facts,
}

/// How a message stands, in the words of the specification.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum ResultWord {
    /// It is under way.
    #[default]
    #[serde(rename = "accepted")]
    Accepted,
    /// It may not be sent.
    #[serde(rename = "validate failed")]
    ValidateFailed,
    /// The handset has it.
    #[serde(rename = "send succeed")]
    SendSucceed,
    /// It did not reach the handset.
    #[serde(rename = "send failed")]
    SendFailed,
    /// The sender took it back.
    #[serde(rename = "CANCEL")]
    Cancel,
}

/// What is known about a message; facts are only ever added.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, rename_all = "camelCase")]
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own, and any of them may come first")]
pub struct Facts {
    /// It was accepted: the sender's own fields are known.
    pub accepted: bool,
    /// It may not be sent, and why.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub invalid: Option<String>,
    /// The handset has it.
    pub delivered: bool,
    /// It did not reach the handset, and why.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub undelivered: Option<String>,
    /// The sender took it back.
    pub canceled: bool,
    /// It was taken back in time.
    pub recalled: bool,
    /// It could not be taken back, and why.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub too_late: Option<String>,
    /// It was read.
    pub read: bool,
}

/// The view of the dashboard.
pub fn my_messages() -> View<MyMessage> {
    view("myMessages", "What became of each message, for its sender.")
        .on(accepted)
        .on(prechecked)
        .on(held)
        .on(validated)
        .on(invalid)
        .on(postponed)
        .on(fell_back)
        .on(delivered)
        .on(undelivered)
        .on(canceled)
        .on(recalled)
        .on(recall_refused)
        .on(read)
        .counted("result", |row: &MyMessage| row.result.as_str().into())
        .counted("chatbotId", |row| (&row.chatbot_id).into())
        .totals("chatbotId", "result")
        .filter("userContact", |row| (&row.user_contact).into())
        .period("acceptedAt", |row| row.accepted_at.into())
}

impl Row for MyMessage {
    fn id(&self) -> Option<u64> {
        (self.id > 0).then_some(self.id)
    }
}

impl ResultWord {
    /// The word itself.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::ValidateFailed => "validate failed",
            Self::SendSucceed => "send succeed",
            Self::SendFailed => "send failed",
            Self::Cancel => "CANCEL",
        }
    }
}

impl Facts {
    /// The result that follows from what is known, in whatever order it became known.
    pub fn result(&self) -> ResultWord {
        let taken_back = self.recalled || (self.canceled && self.too_late.is_none());
        match self {
            _ if taken_back => ResultWord::Cancel,
            Self { delivered: true, .. } => ResultWord::SendSucceed,
            Self { undelivered: Some(_), .. } => ResultWord::SendFailed,
            Self { invalid: Some(_), .. } => ResultWord::ValidateFailed,
            _ => ResultWord::Accepted,
        }
    }

    fn reason(&self) -> Option<String> {
        match self.result() {
            ResultWord::SendFailed => self.undelivered.clone(),
            ResultWord::ValidateFailed => self.invalid.clone(),
            ResultWord::Accepted | ResultWord::SendSucceed | ResultWord::Cancel => None,
        }
    }
}

fn accepted(row: &mut MyMessage, event: &SendSuccess, seen: &EventMetadata) {
    row.describe(&event.letter);
    row.facts.accepted = true;
    row.accepted_at = Some(seen.time);
    row.happened(Happened::from(seen));
}

fn prechecked(row: &mut MyMessage, event: &Prechecked, seen: &EventMetadata) {
    row.introduce(&event.letter);
    row.happened(Happened::from(seen).noting(&event.policy_info));
}

fn held(row: &mut MyMessage, event: &Held, seen: &EventMetadata) {
    row.introduce(&event.letter);
    row.happened(Happened::from(seen).noting(&event.policy_info));
}

fn validated(row: &mut MyMessage, event: &ValidateSucceed, seen: &EventMetadata) {
    row.introduce(&event.letter);
    row.happened(Happened::from(seen).noting(&event.policy_info));
}

fn invalid(row: &mut MyMessage, event: &ValidateFailed, seen: &EventMetadata) {
    row.introduce(&event.letter);
    row.facts.invalid = Some(event.policy_info.clone());
    row.happened(Happened::from(seen).noting(&event.policy_info));
}

fn postponed(row: &mut MyMessage, event: &Postponed, seen: &EventMetadata) {
    row.name(event.id, &event.message_id);
    row.happened(Happened::from(seen).noting(&event.reason));
}

fn fell_back(row: &mut MyMessage, event: &FellBack, seen: &EventMetadata) {
    row.name(event.id, &event.message_id);
    row.happened(Happened::from(seen));
}

fn delivered(row: &mut MyMessage, event: &SendSucceed, seen: &EventMetadata) {
    row.introduce(&event.letter);
    row.facts.delivered = true;
    row.channel = Some(event.channel);
    row.price_won = event.price_won;
    row.happened(Happened::from(seen));
}

fn undelivered(row: &mut MyMessage, event: &SendFailed, seen: &EventMetadata) {
    row.introduce(&event.letter);
    row.facts.undelivered = Some(event.reason.clone());
    row.happened(Happened::from(seen).noting(&event.reason));
}

fn canceled(row: &mut MyMessage, event: &Canceled, seen: &EventMetadata) {
    row.name(event.id, &event.message_id);
    row.facts.canceled = true;
    row.happened(Happened::from(seen));
}

fn recalled(row: &mut MyMessage, event: &RecallGranted, seen: &EventMetadata) {
    row.name(event.id, &event.message_id);
    row.facts.recalled = true;
    row.happened(Happened::from(seen));
}

fn recall_refused(row: &mut MyMessage, event: &RecallRefused, seen: &EventMetadata) {
    row.name(event.id, &event.message_id);
    row.facts.too_late = Some(event.reason.clone());
    row.happened(Happened::from(seen).noting(format!("the cancel came too late: {}", event.reason)));
}

fn read(row: &mut MyMessage, event: &Read, seen: &EventMetadata) {
    row.name(event.id, &event.message_id);
    row.facts.read = true;
    row.happened(Happened::from(seen));
}

impl MyMessage {
    fn happened(&mut self, line: Happened) {
        line.insert(&mut self.timeline);
        if !self.facts.accepted {
            self.accepted_at = self.timeline.first().map(|line| line.at);
        }
        self.result = self.facts.result();
        self.reason = self.facts.reason();
    }

    /// An event of another service came first: its letter is shown until the sender's own comes.
    fn introduce(&mut self, letter: &Letter) {
        if !self.facts.accepted {
            self.describe(letter);
        }
    }

    /// A short event came first: only the ids are known. Foreign services may not know the message's id.
    fn name(&mut self, id: u64, message_id: &str) {
        if !self.facts.accepted {
            self.id = if id > 0 { id } else { self.id };
            message_id.clone_into(&mut self.message_id);
        }
    }

    fn describe(&mut self, letter: &Letter) {
        self.name(letter.id, &letter.message_id);
        self.user_contact.clone_from(&letter.user_contact);
        self.mno.clone_from(&letter.mno);
        self.send_time.clone_from(&letter.send_time);
        self.chatbot_id.clone_from(&letter.chatbot_id);
        self.description.clone_from(&letter.description);
    }
}
