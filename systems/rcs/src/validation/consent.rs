//! Consents to advertising: who agreed, to what, since when and where that was said. No change is ever forgotten.

use kernel::aggregate::Aggregate;
use kernel::{Context, Decision, New, NoEffect, NoSettings, Rejected, Rejection, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use telecom::MobileNumber;

/// What one recipient agreed to, keyed by the number in national digits. A withdrawn consent stays, with its history.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Consent {
    /// The recipient.
    pub user_contact: String,
    /// Every change, oldest first; the last one counts.
    pub history: Vec<Change>,
}

/// One change of a consent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Change {
    /// Advertising is welcome.
    pub ad: bool,
    /// At night too.
    pub night: bool,
    /// Where it was said.
    pub source: String,
    /// When.
    pub at: Timestamp,
}

/// A consent as it is handed in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ConsentDraft {
    /// The recipient's mobile number.
    #[schemars(length(max = 64))]
    pub user_contact: String,
    /// Advertising is welcome; true if absent.
    pub ad: Option<bool>,
    /// At night too; false if absent.
    pub night: Option<bool>,
    /// Where it was said, e.g. `app` or `call centre`; `api` if absent.
    #[schemars(length(max = 200))]
    pub source: Option<String>,
}

/// What may be asked of a consent.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub enum ConsentCommand {
    /// Note what was said.
    Note(ConsentDraft),
    /// Note that it was taken back.
    Withdraw,
}

kernel::events! {
    /// What happens to a consent.
    pub enum ConsentEvent {
        /// It was given, changed or taken back.
        ConsentChanged { private },
    }
}

/// A consent was given, changed or taken back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ConsentChanged {
    /// Its id in the resource.
    pub id: u64,
    /// The recipient.
    pub user_contact: String,
    /// What holds from now on.
    #[serde(flatten)]
    pub change: Change,
}

/// Why a consent says no.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ConsentRejection {
    /// Nothing is known of this number.
    Unknown,
}

impl Aggregate for Consent {
    const NAME: &'static str = "consent";
    type Command = ConsentCommand;
    type Event = ConsentEvent;
    type Effect = NoEffect;
    type Rejection = ConsentRejection;
    type Settings = NoSettings;

    fn decide(now: Option<&Self>, command: &ConsentCommand, context: &Context<'_>) -> Result<Decision<Self>, ConsentRejection> {
        let change = match (command, now) {
            (ConsentCommand::Note(draft), _) => draft.change(context.now),
            (ConsentCommand::Withdraw, Some(_)) => {
                Change { ad: false, night: false, source: format!("withdrawn by {}", context.actor), at: context.now }
            }
            (ConsentCommand::Withdraw, None) => return Err(ConsentRejection::Unknown),
        };
        if now.is_some_and(|consent| consent.ad() == change.ad && consent.night() == change.night) {
            return Ok(Decision::nothing());
        }
        let changed = ConsentChanged { id: context.id, user_contact: context.key.to_owned(), change };
        Ok(Decision::event(changed))
    }

    fn evolve(now: Option<Self>, event: &ConsentEvent) -> Option<Self> {
        let ConsentEvent::ConsentChanged(changed) = event;
        let mut consent = now.unwrap_or_else(|| Self { user_contact: changed.user_contact.clone(), history: Vec::new() });
        consent.history.push(changed.change.clone());
        Some(consent)
    }
}

impl Consent {
    /// Advertising is welcome.
    pub fn ad(&self) -> bool {
        self.history.last().is_some_and(|change| change.ad)
    }

    /// Advertising is welcome at night too.
    pub fn night(&self) -> bool {
        self.history.last().is_some_and(|change| change.ad && change.night)
    }
}

impl ConsentDraft {
    /// The body of a `POST` becomes a command for the number.
    pub fn note(self) -> Result<New<Consent>, Rejected> {
        let number = number(&self.user_contact)?;
        Ok(New::keyed(Some(number), ConsentCommand::Note(self)))
    }

    /// The body of a `PUT` or `PATCH` becomes a command; the number stays what it was.
    pub fn renote(self) -> Result<ConsentCommand, Rejected> {
        Ok(ConsentCommand::Note(self))
    }

    fn change(&self, at: Timestamp) -> Change {
        let source = self.source.clone().unwrap_or_else(|| "api".to_owned());
        let ad = self.ad.unwrap_or(true);
        Change { ad, night: ad && self.night.unwrap_or_default(), source, at }
    }
}

/// A recipient's number in national digits, or the fault of the field.
pub(super) fn number(text: &str) -> Result<String, Rejected> {
    let fault = |error: telecom::PhoneError| Rejected::field("userContact", error.code(), error.to_string());
    MobileNumber::parse(text).map(String::from).map_err(fault)
}

impl Rejection for ConsentRejection {
    fn rejected(&self) -> Rejected {
        Rejected::absent("consent-unknown", "nothing is known of this number")
    }
}

#[cfg(test)]
mod tests {
    use kernel::kit::given;

    use super::*;

    fn draft(ad: bool, night: bool) -> ConsentDraft {
        ConsentDraft { user_contact: "01012345678".into(), ad: Some(ad), night: Some(night), source: Some("app".into()) }
    }

    fn changed(ad: bool, night: bool) -> ConsentEvent {
        let change = draft(ad, night).change(Timestamp::UNIX_EPOCH);
        ConsentEvent::ConsentChanged(ConsentChanged { id: 1, user_contact: "01012345678".into(), change })
    }

    #[test]
    fn every_consent_change_is_kept_with_time_and_source() {
        let past = [changed(true, false)];
        let then =
            given::<Consent>(past).named("01012345678", 1).at("2024-09-23T00:00:00Z").actor("kim").when(ConsentCommand::Withdraw);
        let consent = then.after.unwrap();
        assert!(!consent.ad());
        assert_eq!(consent.history.len(), 2);
        assert_eq!(consent.history[1].source, "withdrawn by kim");
        assert_eq!(consent.history[1].at, "2024-09-23T00:00:00Z".parse().unwrap());
    }

    #[test]
    fn saying_the_same_again_changes_nothing() {
        given::<Consent>([changed(true, true)]).when(ConsentCommand::Note(draft(true, true))).nothing();
    }

    #[test]
    fn night_consent_is_worth_nothing_without_consent() {
        let then = given::<Consent>([]).when(ConsentCommand::Note(draft(false, true)));
        assert!(!then.after.unwrap().night());
    }
}
