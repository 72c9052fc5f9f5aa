//! Acknowledgements of one batch: how many are missing, and whether one has failed.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use ports::BrokerError;
use rdkafka::client::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::KafkaError;
use rdkafka::producer::{DeliveryResult, ProducerContext};

use crate::auth_failure::AuthFailure;
use crate::client;

/// The callbacks of the producer.
#[derive(Debug, Default)]
pub struct ProducerEvents {
    /// Why the broker refuses it.
    pub auth_failure: AuthFailure,
    delivered: AtomicBool,
}

impl ProducerEvents {
    /// A record was acknowledged: a refusal after that is one broker of several, or passes.
    pub fn has_delivered(&self) -> bool {
        self.delivered.load(Ordering::Relaxed)
    }
}

impl ClientContext for ProducerEvents {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        client::log(level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        self.auth_failure.record(&error, reason);
        client::log_error(&error, reason);
    }
}

impl ProducerContext for ProducerEvents {
    type DeliveryOpaque = Arc<Batch>;

    fn delivery(&self, outcome: &DeliveryResult<'_>, batch: Arc<Batch>) {
        if outcome.is_ok() {
            self.delivered.store(true, Ordering::Relaxed);
        }
        batch.acknowledge(outcome.as_ref().err().map(|(error, _)| error.to_string()));
    }
}

/// Records that are in flight together.
#[derive(Debug, Default)]
pub struct Batch {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    missing: usize,
    /// The first one: later ones follow from it.
    failure: Option<String>,
}

impl Batch {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One more is in flight.
    pub fn sent(&self) {
        self.state().missing += 1;
    }

    /// One was not accepted by the client after all.
    pub fn unsent(&self) {
        self.state().missing -= 1;
    }

    fn acknowledge(&self, failure: Option<String>) {
        let mut state = self.state();
        state.missing = state.missing.saturating_sub(1);
        if state.failure.is_none() {
            state.failure = failure;
        }
        if state.missing == 0 || state.failure.is_some() {
            self.changed.notify_all();
        }
    }

    /// What has failed so far.
    pub fn failure(&self) -> Option<BrokerError> {
        self.state().failure.clone().map(BrokerError)
    }

    /// Whether acknowledgements are missing, and none has failed.
    pub fn is_open(&self) -> bool {
        let state = self.state();
        state.missing > 0 && state.failure.is_none()
    }

    /// Waits until all are acknowledged or one has failed, at most `within`.
    pub fn wait(&self, within: Duration) {
        let state = self.state();
        drop(self.changed.wait_timeout_while(state, within, |state| state.missing > 0 && state.failure.is_none()));
    }

    /// Waits until all are acknowledged; an error as soon as one has failed, or at the deadline.
    pub fn done(&self, deadline: Instant) -> Result<(), BrokerError> {
        self.wait(deadline.saturating_duration_since(Instant::now()));
        let state = self.state();
        match &state.failure {
            Some(failure) => Err(BrokerError(failure.clone())),
            None if state.missing == 0 => Ok(()),
            None => {
                drop(state);
                Err(self.timed_out())
            }
        }
    }

    /// The error of a time-out.
    pub fn timed_out(&self) -> BrokerError {
        BrokerError(format!("{} records without an acknowledgement", self.state().missing))
    }
}
