//! The validation of a message: checked when it is accepted, again when its time comes, and by an operator where rules say so.

pub mod brand;
pub mod chatbot;
pub mod consent;
pub mod directory;
pub mod opt_out;
pub mod rules;

#[cfg(test)]
mod tests;

use kernel::aggregate::Aggregate;
use kernel::{Context, Decision, NoEffect, Rejected, Rejection, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::events::{Held, Prechecked, ValidateFailed, ValidateSucceed, ValidationStopped};
use crate::letter::{Finding, Letter};
use crate::send_time;
use crate::settings::RcsSettings;
use rules::{Case, Consequence, Found};

/// One validated message, keyed by its `messageId`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Validation {
    /// What was checked. Of a message that was canceled before it came, only the ids are known.
    pub letter: Letter,
    /// How it stands.
    pub outcome: Verdict,
    /// The outcome in words.
    pub policy_info: String,
    /// The outcome in structure.
    pub findings: Vec<Finding>,
    /// When it is looked at again.
    pub again_at: Option<Timestamp>,
    /// An operator has let it pass although it looks like an advertisement.
    pub released: bool,
}

/// How a validation stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Verdict {
    /// In order, and waiting for its time.
    Reserved,
    /// Waiting for the end of the night.
    HeldForNight,
    /// Waiting for an operator.
    HeldForOperator,
    /// Passed on.
    Succeeded,
    /// Not sent.
    Failed,
    /// Canceled before it was passed on.
    Stopped,
}

/// What may be asked of a validation.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub enum Command {
    /// Check this message.
    Check(Box<Letter>),
    /// Check it again, its time has come.
    CheckAgain,
    /// An operator lets it pass.
    Release,
    /// An operator refuses it.
    Refuse(RejectRequest),
    /// Say nothing more about it, it was canceled.
    Stop {
        /// The message's id.
        id: u64,
    },
}

/// An operator's reason.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RejectRequest {
    /// Why it is refused.
    #[schemars(length(max = 200))]
    pub reason: Option<String>,
}

kernel::events! {
    /// What happens to a validation.
    pub enum ValidationEvent {
        /// In order, and waiting for its time.
        Prechecked,
        /// Waiting for the morning or for an operator.
        Held,
        /// Passed on.
        ValidateSucceed,
        /// Not sent.
        ValidateFailed,
        /// Canceled before it was passed on.
        ValidationStopped { private },
    }
}

/// Why a validation says no.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ValidationRejection {
    /// It does not wait for anybody.
    NotHeld,
    /// There is no such validation.
    Unknown,
}

impl Aggregate for Validation {
    const NAME: &'static str = "validator";
    type Command = Command;
    type Event = ValidationEvent;
    type Effect = NoEffect;
    type Rejection = ValidationRejection;
    type Settings = RcsSettings;

    fn decide(
        now: Option<&Self>,
        command: &Command,
        context: &Context<'_, RcsSettings>,
    ) -> Result<Decision<Self>, ValidationRejection> {
        match (command, now) {
            (Command::Check(letter), None) => Ok(judge(letter, false, context)),
            (Command::CheckAgain, Some(it)) if it.waits_for_time() => Ok(judge(&it.letter, it.released, context)),
            (Command::Release, Some(it)) if it.waits_for_operator() => Ok(judge(&it.letter, true, context)),
            (Command::Refuse(request), Some(it)) if it.is_held() => Ok(it.refuse(request, context)),
            (Command::Stop { .. }, Some(it)) if it.is_held() || it.waits_for_time() => {
                Ok(stop(it.letter.id, &it.letter.message_id).clear(AGAIN))
            }
            // The cancel came before the message, from another producer: what comes then is not checked any more.
            (Command::Stop { id }, None) => Ok(stop(*id, context.key)),
            (Command::Release | Command::Refuse(_), Some(_)) => Err(ValidationRejection::NotHeld),
            (Command::Release | Command::Refuse(_), None) => Err(ValidationRejection::Unknown),
            (Command::Check(_) | Command::CheckAgain | Command::Stop { .. }, _) => Ok(Decision::nothing()),
        }
    }

    fn evolve(now: Option<Self>, event: &ValidationEvent) -> Option<Self> {
        Some(match event {
            ValidationEvent::Prechecked(it) => Self {
                again_at: Some(it.send_at),
                released: it.released,
                ..Self::stands(&it.letter, Verdict::Reserved, &it.policy_info, &it.findings)
            },
            ValidationEvent::Held(it) => {
                let verdict = if it.until.is_some() { Verdict::HeldForNight } else { Verdict::HeldForOperator };
                Self {
                    again_at: it.until,
                    released: it.released,
                    ..Self::stands(&it.letter, verdict, &it.policy_info, &it.findings)
                }
            }
            ValidationEvent::ValidateSucceed(it) => Self::stands(&it.letter, Verdict::Succeeded, &it.policy_info, &it.findings),
            ValidationEvent::ValidateFailed(it) => Self::stands(&it.letter, Verdict::Failed, &it.policy_info, &it.findings),
            ValidationEvent::ValidationStopped(it) => {
                let known = now.map(|known| known.letter);
                let bare = || Letter { id: it.id, message_id: it.message_id.clone(), ..Letter::default() };
                Self::stands(&known.unwrap_or_else(bare), Verdict::Stopped, "canceled", &[])
            }
        })
    }
}

impl Validation {
    /// Whether it waits for an operator, and nothing else.
    pub fn waits_for_operator(&self) -> bool {
        self.outcome == Verdict::HeldForOperator
    }

    /// Whether it is held, for whatever reason; an operator may then refuse it.
    pub fn is_held(&self) -> bool {
        matches!(self.outcome, Verdict::HeldForOperator | Verdict::HeldForNight)
    }

    fn waits_for_time(&self) -> bool {
        matches!(self.outcome, Verdict::Reserved | Verdict::HeldForNight)
    }

    fn stands(letter: &Letter, outcome: Verdict, policy_info: &str, findings: &[Finding]) -> Self {
        Self {
            letter: letter.clone(),
            outcome,
            policy_info: policy_info.to_owned(),
            findings: findings.to_vec(),
            again_at: None,
            released: false,
        }
    }

    fn refuse(&self, request: &RejectRequest, context: &Context<'_, RcsSettings>) -> Decision<Self> {
        let reason = request.reason.as_deref().unwrap_or("no reason given");
        let mut findings = self.findings.clone();
        findings.push(Finding::new("operator-refused", "messageId", format!("{} refused it: {reason}", context.actor)));
        let policy_info = in_words("refused", &findings);
        let failed = ValidateFailed { letter: self.letter.clone(), policy_info, findings };
        Decision::event(failed).clear(AGAIN)
    }
}

/// The one timer: the reserved time, or the end of the night.
const AGAIN: &str = "again";

/// Existing services keep the outcome in 255 characters.
const POLICY_INFO_CHARS: usize = 250;

/// Asks all rules, as of the time when it would be sent, and says how the message stands.
fn judge(letter: &Letter, released: bool, context: &Context<'_, RcsSettings>) -> Decision<Validation> {
    let reserved = send_time::still_to_come(letter.send_time.as_deref(), context);
    let case = Case { letter, when: reserved.unwrap_or(context.now), released, context };
    let found = rules::check(&case);
    let gravest = found.iter().map(|found| found.then).max().unwrap_or(Consequence::Noted);
    let (letter, findings) = (letter.clone(), found.into_iter().map(Found::into_finding).collect::<Vec<_>>());
    match (gravest, reserved) {
        (Consequence::Rejected, _) => {
            let policy_info = in_words("refused", &findings);
            Decision::event(ValidateFailed { letter, policy_info, findings })
        }
        (Consequence::HeldForOperator, _) => {
            let policy_info = in_words("held for an operator", &findings);
            Decision::event(Held { letter, policy_info, findings, until: None, released })
        }
        // A night hold of a reserved message is for its time to say: consent may still be given.
        (Consequence::Noted | Consequence::HeldUntil(_), Some(send_at)) => {
            let policy_info = in_words("reserved", &findings);
            let prechecked = Prechecked { letter, policy_info, findings, send_at, released };
            Decision::event(prechecked).timer(AGAIN, send_at, Command::CheckAgain)
        }
        (Consequence::HeldUntil(morning), None) => {
            let policy_info = in_words("held until the night is over", &findings);
            let held = Held { letter, policy_info, findings, until: Some(morning), released };
            Decision::event(held).timer(AGAIN, morning, Command::CheckAgain)
        }
        (Consequence::Noted, None) => {
            let policy_info = in_words("passed", &findings);
            Decision::event(ValidateSucceed { letter, policy_info, findings })
        }
    }
}

fn stop(id: u64, message_id: &str) -> Decision<Validation> {
    Decision::event(ValidationStopped { id, message_id: message_id.to_owned() })
}

fn in_words(outcome: &str, findings: &[Finding]) -> String {
    if findings.is_empty() {
        return outcome.to_owned();
    }
    let details: Vec<_> = findings.iter().map(|finding| finding.detail.as_str()).collect();
    format!("{outcome}: {}", details.join("; ")).chars().take(POLICY_INFO_CHARS).collect()
}

impl Found {
    fn into_finding(self) -> Finding {
        self.finding
    }
}

impl Rejection for ValidationRejection {
    fn rejected(&self) -> Rejected {
        match self {
            Self::NotHeld => Rejected::conflict("not-held", "the message does not wait for an operator"),
            Self::Unknown => Rejected::absent("validation-unknown", "there is no such validation"),
        }
    }
}
