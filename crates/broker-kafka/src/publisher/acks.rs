//! Acknowledgements of one batch: how many are missing, and whether one has failed.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use ports::BrokerError;
use rdkafka::client::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::KafkaError;
use rdkafka::producer::{DeliveryResult, ProducerContext};

use crate::client;
use crate::refusal::Refusal;

/// The producer's ear.
#[derive(Debug, Default)]
pub struct Acks {
    /// Why it is not let in.
    pub refusal: Refusal,
    let_in: AtomicBool,
}

impl Acks {
    /// Something was acknowledged: what refuses it now is one broker of several, or passes.
    pub fn was_let_in(&self) -> bool {
        self.let_in.load(Ordering::Relaxed)
    }
}

impl ClientContext for Acks {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        client::log(level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        self.refusal.heard(&error, reason);
        client::trouble(&error, reason);
    }
}

impl ProducerContext for Acks {
    type DeliveryOpaque = Arc<Batch>;

    fn delivery(&self, outcome: &DeliveryResult<'_>, batch: Arc<Batch>) {
        if outcome.is_ok() {
            self.let_in.store(true, Ordering::Relaxed);
        }
        batch.heard(outcome.as_ref().err().map(|(error, _)| error.to_string()));
    }
}

/// Records that are under way together.
#[derive(Debug, Default)]
pub struct Batch {
    state: Mutex<State>,
    heard: Condvar,
}

#[derive(Debug, Default)]
struct State {
    missing: usize,
    /// The first one: those behind it fail because of it.
    failure: Option<String>,
}

impl Batch {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One more is under way.
    pub fn sent(&self) {
        self.state().missing += 1;
    }

    /// One was not taken after all.
    pub fn unsent(&self) {
        self.state().missing -= 1;
    }

    fn heard(&self, failure: Option<String>) {
        let mut state = self.state();
        state.missing = state.missing.saturating_sub(1);
        if state.failure.is_none() {
            state.failure = failure;
        }
        if state.missing == 0 || state.failure.is_some() {
            self.heard.notify_all();
        }
    }

    /// What has failed so far.
    pub fn failure(&self) -> Option<BrokerError> {
        self.state().failure.clone().map(BrokerError)
    }

    /// Whether some are still without an answer, and none has failed.
    pub fn is_open(&self) -> bool {
        let state = self.state();
        state.missing > 0 && state.failure.is_none()
    }

    /// Sleeps for so long, or until everything or a failure is heard of.
    pub fn wait(&self, within: Duration) {
        let state = self.state();
        drop(self.heard.wait_timeout_while(state, within, |state| state.missing > 0 && state.failure.is_none()));
    }

    /// All are acknowledged; an error as soon as one has failed, or when it is too late.
    pub fn done(&self, deadline: Instant) -> Result<(), BrokerError> {
        self.wait(deadline.saturating_duration_since(Instant::now()));
        let state = self.state();
        match &state.failure {
            Some(failure) => Err(BrokerError(failure.clone())),
            None if state.missing == 0 => Ok(()),
            None => {
                drop(state);
                Err(self.unanswered())
            }
        }
    }

    /// There was no answer.
    pub fn unanswered(&self) -> BrokerError {
        BrokerError(format!("{} records without an answer", self.state().missing))
    }
}
