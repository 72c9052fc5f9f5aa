//! Why a broker refuses a client: TLS or authentication. The client library reports it by callback; the failed requests
//! themselves say only that they timed out.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use ports::BrokerError;
use rdkafka::consumer::{BaseConsumer, ConsumerContext};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};

/// The client repeats the reason every 30 s; an older one is outdated.
const RECENT: Duration = Duration::from_mins(1);

/// How long a client is polled for its events, at a time and altogether.
const POLL: Duration = Duration::from_millis(10);
const POLL_MOST: Duration = Duration::from_millis(200);

/// The client library's phrases, and ours: the names of settings; and that a wrong name in a certificate is reported in the
/// same words as an unknown authority.
const SETTINGS: [(&str, &str); 9] = [
    (
        "verify that ssl.ca.location is correctly configured or root CA certificates are installed",
        "it must come from an authority in ssl.ca.location (without one: of this machine), and name the broker as it is called here",
    ),
    (" (install ca-certificates package)", ""),
    ("ssl.ca.location", "`kafka.security.ca`"),
    ("ssl.certificate.location", "`kafka.security.certificate`"),
    ("ssl.key.location", "`kafka.security.key`"),
    ("ssl.key.password", "`kafka.security.key_password`"),
    ("sasl.mechanisms", "`kafka.security.mechanism`"),
    ("sasl.mechanism", "`kafka.security.mechanism`"),
    ("sasl.username", "`kafka.security.username`"),
];

/// The last reason for which a client was refused.
#[derive(Debug, Default)]
pub struct AuthFailure(Mutex<Option<(Instant, String)>>);

impl AuthFailure {
    /// Records an error of a connection, if it is about TLS or authentication.
    pub fn record(&self, error: &KafkaError, reason: &str) {
        if is_auth_failure(error, reason) {
            *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some((Instant::now(), in_terms_of_settings(reason)));
        }
    }

    /// A connection was accepted.
    pub fn clear(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// The reason, if it is recent.
    pub fn recent(&self) -> Option<String> {
        let last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        last.as_ref().filter(|(at, _)| at.elapsed() < RECENT).map(|(_, reason)| reason.clone())
    }

    /// An error with the reason, if there is one.
    pub fn explain(&self, error: BrokerError) -> BrokerError {
        match self.recent() {
            Some(reason) => BrokerError(format!("{}; the broker refuses the client: {reason}", error.0)),
            None => error,
        }
    }
}

/// A client context that records authentication failures.
pub trait ReportsAuthFailure: ConsumerContext {
    /// The last one.
    fn auth_failure(&self) -> &AuthFailure;
}

/// Serves a client's callbacks now: some clients are polled by nothing else, and for the reading one its next poll would be
/// too late. No records are lost: each partition has a queue of its own.
pub fn serve_events<C: ConsumerContext>(consumer: &BaseConsumer<C>) {
    let deadline = Instant::now() + POLL_MOST;
    while consumer.poll(POLL).is_some() && Instant::now() < deadline {}
}

/// Whether an error is about TLS or authentication, on either side.
pub fn is_auth_failure(error: &KafkaError, reason: &str) -> bool {
    let refused = matches!(
        error.rdkafka_error_code(),
        Some(
            RDKafkaErrorCode::SSL
                | RDKafkaErrorCode::Authentication
                | RDKafkaErrorCode::SaslAuthenticationFailed
                | RDKafkaErrorCode::UnsupportedSASLMechanism
                | RDKafkaErrorCode::IllegalSASLState
        )
    );
    // A missing certificate is refused after the handshake, and a plaintext listener closes the connection during it: the
    // client reports both as broken connections.
    refused || ["SSL alert number", "SSL handshake failed"].iter().any(|sign| reason.contains(sign))
}

/// A reason of the client library, with the names of our settings.
pub fn in_terms_of_settings(reason: &str) -> String {
    SETTINGS.iter().fold(reason.to_owned(), |text, (theirs, ours)| text.replace(theirs, ours))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_authentication_failure_is_recorded_and_only_until_a_connection_is_accepted() {
        let auth_failure = AuthFailure::default();
        let error = || BrokerError("no answer".into());
        auth_failure.record(&KafkaError::Global(RDKafkaErrorCode::BrokerTransportFailure), "Connect to ... failed");
        assert_eq!(auth_failure.explain(error()).0, "no answer");
        auth_failure.record(&KafkaError::Global(RDKafkaErrorCode::SSL), "verify that ssl.ca.location is right");
        auth_failure.record(&KafkaError::Global(RDKafkaErrorCode::AllBrokersDown), "1/1 brokers are down");
        let explained = auth_failure.explain(error()).0;
        assert!(explained.starts_with("no answer") && explained.contains("`kafka.security.ca`"), "{explained}");
        auth_failure.clear();
        assert_eq!(auth_failure.explain(error()).0, "no answer");
    }
}
