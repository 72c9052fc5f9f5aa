//! Getting a message to the handset: submitting, trying again, falling back, and giving up.

use std::time::Duration;

use kernel::{Context, Decision, Timestamp};
use telecom::MessageType;

use super::handset::{HandsetCall, Submit};
use super::{Command, Delivery, FellBack, Postponed, Queued, RecallState, Retried, Status, Submitted};
use crate::events::{Channel, Read, SendFailed, SendSucceed};
use crate::letter::{Fallback, FallbackType, Letter};
use crate::settings::RcsSettings;

/// The timer of the next try.
pub(super) const RETRY: &str = "retry";
/// The timer of the end of validity. It runs only once an answer left the end open: most messages never need it.
pub(super) const VALIDITY: &str = "validity";

impl Delivery {
    /// The message is queued and submitted.
    pub(super) fn queue(letter: &Letter, context: &Context<'_, RcsSettings>) -> Decision<Self> {
        let valid_until = later(context.now, context.settings.validity_ms);
        let submit = submission(letter, Channel::Rcs, 1, valid_until);
        Decision::event(Queued { letter: letter.clone(), valid_until }).effect(submit)
    }

    /// The carrier has it, or may have it: from here on only receipts and validity decide.
    pub(super) fn accepted(&self) -> Decision<Self> {
        if self.status != Status::Queued || !self.in_flight {
            return Decision::nothing();
        }
        let (id, message_id) = self.letter.ids();
        let submitted = Submitted { id, message_id };
        let decision = Decision::event(submitted).timer(VALIDITY, self.valid_until, Command::Expire);
        self.then_ask_for_recall(decision)
    }

    /// What may pass is tried again, as often as there are delays; a cancel that waits needs no further try.
    pub(super) fn busy(&self, reason: &str, context: &Context<'_, RcsSettings>) -> Decision<Self> {
        if self.recall == RecallState::Waiting {
            return self.granted();
        }
        let tried = usize::try_from(self.attempt).unwrap_or(usize::MAX);
        let Some(delay_ms) = context.settings.retry_delays_ms.get(tried.saturating_sub(1)) else {
            return self.failed(&format!("retries used up: {reason}"));
        };
        let until = later(context.now, *delay_ms);
        let (id, message_id) = self.letter.ids();
        Decision::event(Postponed { id, message_id, reason: reason.to_owned(), until }).timer(RETRY, until, Command::Retry).timer(
            VALIDITY,
            self.valid_until,
            Command::Expire,
        )
    }

    /// The next try.
    pub(super) fn retry(&self) -> Decision<Self> {
        if self.status != Status::Queued || self.in_flight {
            return Decision::nothing();
        }
        let attempt = self.attempt.saturating_add(1);
        let (id, message_id) = self.letter.ids();
        Decision::event(Retried { id, message_id, attempt }).effect(submission(
            &self.letter,
            self.channel,
            attempt,
            self.valid_until,
        ))
    }

    /// The handset takes no rich messages: a plain one goes out where the sender allowed it.
    pub(super) fn without_rcs(&self) -> Decision<Self> {
        let Some(fallback) = self.letter.fallback.as_ref().filter(|_| self.channel == Channel::Rcs) else {
            return self.failed("the handset takes no rich messages");
        };
        if self.recall == RecallState::Waiting {
            return self.granted();
        }
        let channel = plain(fallback);
        let (id, message_id) = self.letter.ids();
        Decision::event(FellBack { id, message_id, channel }).effect(submission(&self.letter, channel, 1, self.valid_until))
    }

    /// The handset has it. A second receipt says nothing new; one after the validity is believed, as it knows better.
    pub(super) fn delivered(&self, context: &Context<'_, RcsSettings>) -> Decision<Self> {
        if !self.under_way() && self.status != Status::Expired {
            return Decision::nothing();
        }
        let decision = Decision::event(self.succeeded(context));
        self.then_ask_for_recall(self.clear_timers(decision))
    }

    /// It was read; what was read was delivered, and is not taken back any more.
    pub(super) fn was_read(&self, context: &Context<'_, RcsSettings>) -> Decision<Self> {
        if self.read || matches!(self.status, Status::Canceled | Status::Failed) {
            return Decision::nothing();
        }
        let read = Read { id: self.letter.id, message_id: self.letter.message_id.clone() };
        let decision = match self.status {
            Status::Delivered => Decision::event(read),
            _ => self.clear_timers(Decision::event(self.succeeded(context)).and(read)),
        };
        self.then_refuse_recall(decision, "already read")
    }

    /// It will not reach the handset; a cancel that waits has nothing to take back.
    pub(super) fn failed(&self, reason: &str) -> Decision<Self> {
        self.ended(reason, false)
    }

    /// Its validity is over and no receipt came.
    pub(super) fn expire(&self) -> Decision<Self> {
        match self.status {
            Status::Queued | Status::Submitted => self.ended("no receipt within its validity", true).withdraw(),
            _ => Decision::nothing(),
        }
    }

    fn ended(&self, reason: &str, expired: bool) -> Decision<Self> {
        let result = "send failed".to_owned();
        let failed = SendFailed { letter: self.letter.clone(), result, reason: reason.to_owned(), expired };
        let decision = self.clear_timers(Decision::event(failed));
        if self.recall == RecallState::Waiting { self.then_refuse_recall(decision, reason) } else { decision }
    }

    fn succeeded(&self, context: &Context<'_, RcsSettings>) -> SendSucceed {
        let prices = &context.settings.prices;
        let price_won = match self.channel {
            Channel::Rcs => Some(prices.of(self.letter.message_type)),
            Channel::Sms => prices.of_fallback(MessageType::Sms),
            Channel::Lms => prices.of_fallback(MessageType::Lms),
        };
        SendSucceed { letter: self.letter.clone(), result: "send succeed".to_owned(), channel: self.channel, price_won }
    }

    /// Clears what may run: nothing does while the first submission has not been answered.
    pub(super) fn clear_timers(&self, decision: Decision<Self>) -> Decision<Self> {
        let first_answer = self.attempt == 1 && self.in_flight;
        if first_answer { decision } else { decision.clear(RETRY).clear(VALIDITY) }
    }
}

fn submission(letter: &Letter, channel: Channel, attempt: u32, valid_until: Timestamp) -> HandsetCall {
    let fallback = letter.fallback.as_ref().filter(|_| channel != Channel::Rcs);
    HandsetCall::Submit(Box::new(Submit {
        message_id: letter.message_id.clone(),
        to: letter.user_contact.clone(),
        from: letter.chatbot_id.clone(),
        carrier: letter.carrier(),
        channel,
        message_type: fallback.map_or(letter.message_type, |fallback| fallback.kind.message_type()),
        title: letter.title.clone(),
        text: fallback.map_or_else(|| letter.description.clone(), |fallback| fallback.text.clone()),
        buttons: if fallback.is_some() { Vec::new() } else { letter.buttons.clone() },
        attempt,
        valid_until,
    }))
}

fn plain(fallback: &Fallback) -> Channel {
    match fallback.kind {
        FallbackType::Sms => Channel::Sms,
        FallbackType::Lms => Channel::Lms,
    }
}

fn later(now: Timestamp, ms: u64) -> Timestamp {
    now.checked_add(Duration::from_millis(ms)).unwrap_or(Timestamp::MAX)
}
