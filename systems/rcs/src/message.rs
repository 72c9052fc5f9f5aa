//! A message on its sender's side: accepted once, and canceled unless it is known to be too late.

use kernel::aggregate::Aggregate;
use kernel::{Context, Decision, New, NoEffect, NoSettings, Rejected, Rejection};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::draft::Draft;
use crate::events::{CancelFailed, Canceled, ReadNoted, SendSuccess};
use crate::letter::Letter;

/// A message, keyed by its `messageId`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Message {
    /// What was accepted.
    pub letter: Letter,
    /// Whether it stands.
    pub status: Status,
    /// The recipient has read it.
    pub read: bool,
    /// Why a cancel came too late, once one did.
    pub too_late: Option<String>,
}

/// Whether a message stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
pub enum Status {
    /// It stands.
    Accepted,
    /// Its sender took it back.
    Canceled,
}

/// What may be asked of a message.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub enum Command {
    /// Take this message and send it.
    Send(Box<Draft>),
    /// Make it this instead.
    Replace(Box<Draft>),
    /// Take it back.
    Cancel,
    /// Hear that the carrier would not give it back.
    HearRecallRefused {
        /// Why.
        reason: String,
    },
    /// Hear that it was read.
    HearRead,
}

kernel::events! {
    /// What happens to a message.
    pub enum MessageEvent {
        /// It was accepted.
        SendSuccess,
        /// It was canceled.
        Canceled,
        /// The cancel came too late.
        CancelFailed { private },
        /// It is known to be read.
        ReadNoted { private },
    }
}

/// Why a message says no.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MessageRejection {
    /// Another message has this `messageId`.
    MessageIdTaken,
    /// What is under way is not changed.
    UnderWay,
    /// It cannot be canceled any more.
    TooLate(String),
    /// There is no such message.
    Unknown,
}

impl Aggregate for Message {
    const NAME: &'static str = "message";
    type Command = Command;
    type Event = MessageEvent;
    type Effect = NoEffect;
    type Rejection = MessageRejection;
    type Settings = NoSettings;

    fn decide(now: Option<&Self>, command: &Command, context: &Context<'_>) -> Result<Decision<Self>, MessageRejection> {
        match (command, now) {
            (Command::Send(draft), None) => Ok(Decision::event(SendSuccess { letter: draft.letter(context.id, context.key) })),
            (Command::Send(draft), Some(message)) if message.is(draft) => Ok(Decision::nothing()),
            (Command::Send(_), Some(_)) => Err(MessageRejection::MessageIdTaken),
            (Command::Replace(draft), Some(message)) if message.is(draft) => Ok(Decision::nothing()),
            (Command::Replace(_), Some(_)) => Err(MessageRejection::UnderWay),
            (Command::Cancel, Some(message)) => message.cancel(),
            (Command::HearRecallRefused { reason }, Some(message)) => Ok(message.return_to_what_it_was(reason)),
            (Command::HearRead, Some(message)) => Ok(message.note_reading()),
            (Command::HearRecallRefused { .. } | Command::HearRead, None) => Ok(Decision::nothing()),
            (Command::Replace(_) | Command::Cancel, None) => Err(MessageRejection::Unknown),
        }
    }

    fn evolve(now: Option<Self>, event: &MessageEvent) -> Option<Self> {
        match event {
            MessageEvent::SendSuccess(accepted) => {
                Some(Self { letter: accepted.letter.clone(), status: Status::Accepted, read: false, too_late: None })
            }
            MessageEvent::Canceled(_) => Some(Self { status: Status::Canceled, ..now? }),
            MessageEvent::CancelFailed(failed) => {
                Some(Self { status: Status::Accepted, too_late: Some(failed.reason.clone()), ..now? })
            }
            MessageEvent::ReadNoted(_) => Some(Self { read: true, ..now? }),
        }
    }
}

impl Message {
    /// Whether a draft says what was accepted.
    fn is(&self, draft: &Draft) -> bool {
        draft.letter(self.letter.id, &self.letter.message_id) == self.letter
    }

    fn cancel(&self) -> Result<Decision<Self>, MessageRejection> {
        match (self.status, &self.too_late) {
            (Status::Canceled, _) => Ok(Decision::nothing()),
            (Status::Accepted, Some(reason)) => Err(MessageRejection::TooLate(reason.clone())),
            (Status::Accepted, None) if self.read => Err(MessageRejection::TooLate("already read".to_owned())),
            (Status::Accepted, None) => {
                Ok(Decision::event(Canceled { id: self.letter.id, message_id: self.letter.message_id.clone() }))
            }
        }
    }

    fn return_to_what_it_was(&self, reason: &str) -> Decision<Self> {
        if self.too_late.is_some() {
            return Decision::nothing();
        }
        let (id, message_id) = self.letter.ids();
        Decision::event(CancelFailed { id, message_id, reason: reason.to_owned() })
    }

    fn note_reading(&self) -> Decision<Self> {
        if self.read {
            return Decision::nothing();
        }
        Decision::event(ReadNoted { id: self.letter.id, message_id: self.letter.message_id.clone() })
    }
}

impl Draft {
    /// The body of a `POST` becomes a command.
    pub fn send(self) -> Result<New<Message>, Rejected> {
        let draft = self.well_formed()?;
        Ok(New::keyed(draft.message_id.clone(), Command::Send(Box::new(draft))))
    }

    /// The body of a `PUT` or `PATCH` becomes a command.
    pub fn replace(self) -> Result<Command, Rejected> {
        Ok(Command::Replace(Box::new(self.well_formed()?)))
    }
}

impl Rejection for MessageRejection {
    fn rejected(&self) -> Rejected {
        match self {
            Self::MessageIdTaken => Rejected::conflict("message-id-taken", "another message has this messageId"),
            Self::UnderWay => Rejected::conflict("under-way", "the message is under way and cannot be changed"),
            Self::TooLate(reason) => Rejected::conflict("too-late", format!("it is too late to cancel: {reason}")),
            Self::Unknown => Rejected::absent("message-unknown", "there is no such message"),
        }
    }
}

#[cfg(test)]
mod tests {
    use kernel::kit::given;

    use super::*;

    fn draft() -> Draft {
        Draft {
            user_contact: "010-1234-1234".into(),
            chatbot_id: "0801234567".into(),
            message_id: Some("msg-1".into()),
            mno: Some("kt".into()),
            send_time: Some("2024-09-23".into()),
            description: Some("test".into()),
            ..Draft::default()
        }
    }

    fn send(draft: Draft) -> Command {
        Command::Send(Box::new(draft))
    }

    fn accepted() -> MessageEvent {
        SendSuccess { letter: draft().letter(1, "msg-1") }.into()
    }

    fn canceled() -> MessageEvent {
        Canceled { id: 1, message_id: "msg-1".into() }.into()
    }

    fn failed() -> MessageEvent {
        CancelFailed { id: 1, message_id: "msg-1".into(), reason: "already read".into() }.into()
    }

    #[test]
    fn a_message_is_accepted_with_national_digits_and_its_send_time_as_written() {
        let then = given::<Message>([]).named("msg-1", 1).when(send(draft())).then([accepted()]);
        let letter = then.after.unwrap().letter;
        assert_eq!(letter.user_contact, "01012341234");
        assert_eq!(letter.send_time.as_deref(), Some("2024-09-23"));
    }

    #[test]
    fn without_a_message_id_the_one_that_was_made_is_used() {
        let then = given::<Message>([]).named("made", 7).when(send(Draft { message_id: None, ..draft() }));
        let letter = then.after.unwrap().letter;
        assert_eq!((letter.message_id.as_str(), letter.id), ("made", 7));
    }

    #[test]
    fn the_same_id_with_the_same_content_is_the_same_message() {
        let spelled_otherwise = Draft { user_contact: "+82 10 1234 1234".into(), ..draft() };
        given::<Message>([accepted()]).named("msg-1", 1).when(send(spelled_otherwise)).nothing();
    }

    #[test]
    fn the_same_id_with_other_content_is_a_conflict() {
        let other = Draft { description: Some("other".into()), ..draft() };
        given::<Message>([accepted()]).when(send(other)).rejected(&MessageRejection::MessageIdTaken);
    }

    #[test]
    fn putting_a_message_back_unchanged_is_nothing_and_changing_it_is_a_conflict() {
        given::<Message>([accepted()]).when(Command::Replace(Box::new(draft()))).nothing();
        let other = Command::Replace(Box::new(Draft { mno: None, ..draft() }));
        given::<Message>([accepted()]).when(other).rejected(&MessageRejection::UnderWay);
    }

    #[test]
    fn canceling_twice_is_canceling_once() {
        given::<Message>([accepted()]).when(Command::Cancel).then([canceled()]);
        given::<Message>([accepted(), canceled()]).when(Command::Cancel).nothing();
        given::<Message>([]).when(Command::Cancel).rejected(&MessageRejection::Unknown);
    }

    #[test]
    fn a_refused_recall_returns_the_message_to_what_it_was_and_a_further_cancel_is_too_late() {
        let hear = Command::HearRecallRefused { reason: "already read".into() };
        let then = given::<Message>([accepted(), canceled()]).when(hear.clone()).then([failed()]);
        assert_eq!(then.after.unwrap().status, Status::Accepted);
        let past = [accepted(), canceled(), failed()];
        given::<Message>(past.clone()).when(hear).nothing();
        given::<Message>(past).when(Command::Cancel).rejected(&MessageRejection::TooLate("already read".into()));
    }

    #[test]
    fn a_message_that_was_read_cannot_be_canceled() {
        let noted = MessageEvent::from(ReadNoted { id: 1, message_id: "msg-1".into() });
        given::<Message>([accepted()]).when(Command::HearRead).then([noted.clone()]);
        given::<Message>([accepted(), noted.clone()]).when(Command::HearRead).nothing();
        let refusal = MessageRejection::TooLate("already read".into());
        given::<Message>([accepted(), noted]).when(Command::Cancel).rejected(&refusal);
        assert_eq!(refusal.rejected().kind, kernel::Kind::Conflict);
    }
}
