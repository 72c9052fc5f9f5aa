//! Opt-outs: recipients who want no advertising any more, whatever they agreed to before.

use kernel::aggregate::Aggregate;
use kernel::{Context, Decision, New, NoEffect, NoSettings, Rejected, Rejection, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::consent::number;

/// One recipient's opt-out, keyed by the number in national digits. One that was taken back stays, with its history.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OptOut {
    /// The recipient.
    pub user_contact: String,
    /// Every change, oldest first; the last one counts.
    pub history: Vec<Change>,
}

/// One change of an opt-out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Change {
    /// No advertising, please.
    pub active: bool,
    /// Where it was said.
    pub source: String,
    /// When.
    pub at: Timestamp,
}

/// An opt-out as it is handed in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct OptOutDraft {
    /// The recipient's mobile number.
    #[schemars(length(max = 64))]
    pub user_contact: String,
    /// False takes it back; true if absent.
    pub active: Option<bool>,
    /// Where it was said, e.g. `080 call`; `api` if absent.
    #[schemars(length(max = 200))]
    pub source: Option<String>,
}

/// What may be asked of an opt-out.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub enum OptOutCommand {
    /// Note what was said.
    Note(OptOutDraft),
    /// Note that it was taken back.
    TakeBack,
}

kernel::events! {
    /// What happens to an opt-out.
    pub enum OptOutEvent {
        /// It was said or taken back.
        OptOutChanged { private },
    }
}

/// An opt-out was said or taken back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct OptOutChanged {
    /// Its id in the resource.
    pub id: u64,
    /// The recipient.
    pub user_contact: String,
    /// What holds from now on.
    #[serde(flatten)]
    pub change: Change,
}

/// Why an opt-out says no.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OptOutRejection {
    /// Nothing is known of this number.
    Unknown,
}

impl Aggregate for OptOut {
    const NAME: &'static str = "optOut";
    type Command = OptOutCommand;
    type Event = OptOutEvent;
    type Effect = NoEffect;
    type Rejection = OptOutRejection;
    type Settings = NoSettings;

    fn decide(now: Option<&Self>, command: &OptOutCommand, context: &Context<'_>) -> Result<Decision<Self>, OptOutRejection> {
        let change = match (command, now) {
            (OptOutCommand::Note(draft), _) => draft.change(context.now),
            (OptOutCommand::TakeBack, Some(_)) => {
                Change { active: false, source: format!("taken back by {}", context.actor), at: context.now }
            }
            (OptOutCommand::TakeBack, None) => return Err(OptOutRejection::Unknown),
        };
        if now.is_some_and(|opt_out| opt_out.active() == change.active) {
            return Ok(Decision::nothing());
        }
        let changed = OptOutChanged { id: context.id, user_contact: context.key.to_owned(), change };
        Ok(Decision::event(changed))
    }

    fn evolve(now: Option<Self>, event: &OptOutEvent) -> Option<Self> {
        let OptOutEvent::OptOutChanged(changed) = event;
        let mut opt_out = now.unwrap_or_else(|| Self { user_contact: changed.user_contact.clone(), history: Vec::new() });
        opt_out.history.push(changed.change.clone());
        Some(opt_out)
    }
}

impl OptOut {
    /// No advertising, please.
    pub fn active(&self) -> bool {
        self.history.last().is_some_and(|change| change.active)
    }
}

impl OptOutDraft {
    /// The body of a `POST` becomes a command for the number.
    pub fn note(self) -> Result<New<OptOut>, Rejected> {
        let number = number(&self.user_contact)?;
        Ok(New::keyed(Some(number), OptOutCommand::Note(self)))
    }

    /// The body of a `PUT` or `PATCH` becomes a command; the number stays what it was.
    pub fn renote(self) -> Result<OptOutCommand, Rejected> {
        Ok(OptOutCommand::Note(self))
    }

    fn change(&self, at: Timestamp) -> Change {
        let source = self.source.clone().unwrap_or_else(|| "api".to_owned());
        Change { active: self.active.unwrap_or(true), source, at }
    }
}

impl Rejection for OptOutRejection {
    fn rejected(&self) -> Rejected {
        Rejected::absent("opt-out-unknown", "nothing is known of this number")
    }
}

#[cfg(test)]
mod tests {
    use kernel::kit::given;

    use super::*;

    #[test]
    fn an_opt_out_that_is_taken_back_is_kept_with_its_history() {
        let draft = OptOutDraft { user_contact: "01012345678".into(), active: None, source: None };
        let opted_out = given::<OptOut>([]).named("01012345678", 1).when(OptOutCommand::Note(draft.clone()));
        let events = opted_out.decision().events;
        given::<OptOut>(events.clone()).when(OptOutCommand::Note(draft)).nothing();
        let opt_out = given::<OptOut>(events).when(OptOutCommand::TakeBack).after.unwrap();
        assert!(!opt_out.active());
        assert_eq!(opt_out.history.len(), 2);
    }
}
