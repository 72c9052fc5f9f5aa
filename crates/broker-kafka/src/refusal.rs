//! Why a broker does not let a client in. The client says so beside its answers, which tell only that none came in time.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use ports::BrokerError;
use rdkafka::consumer::{BaseConsumer, ConsumerContext};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};

/// The client repeats itself every half a minute; what is older than that is not the reason of today.
const RECENT: Duration = Duration::from_mins(1);

/// What a client gets for telling what it has to say.
const LISTEN: Duration = Duration::from_millis(10);
const LISTEN_MOST: Duration = Duration::from_millis(200);

/// What the client says, and what it means to people here: how settings are called, and that a wrong name in a certificate is
/// told in the same words as an unknown authority.
const WORDS: [(&str, &str); 9] = [
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

/// The last reason that was heard.
#[derive(Debug, Default)]
pub struct Refusal(Mutex<Option<(Instant, String)>>);

impl Refusal {
    /// Takes note of what a client says about its connections, if that is why it is not let in.
    pub fn heard(&self, error: &KafkaError, reason: &str) {
        if is_refusal(error, reason) {
            *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some((Instant::now(), in_our_words(reason)));
        }
    }

    /// It was let in.
    pub fn is_over(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// The reason, if it is one of now.
    pub fn now(&self) -> Option<String> {
        let heard = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        heard.as_ref().filter(|(at, _)| at.elapsed() < RECENT).map(|(_, reason)| reason.clone())
    }

    /// An error with the reason, if there is one.
    pub fn explain(&self, error: BrokerError) -> BrokerError {
        match self.now() {
            Some(reason) => BrokerError(format!("{}; there is no way in: {reason}", error.0)),
            None => error,
        }
    }
}

/// A context that takes note of refusals.
pub trait Ears: ConsumerContext {
    /// What it has heard.
    fn refusal(&self) -> &Refusal;
}

/// Lets a client tell what it has to say. Some are served by nobody else, and for the reading one the next time would be too
/// late; what it reads does not pass this way, as each partition has a queue of its own.
pub fn listen<C: ConsumerContext>(consumer: &BaseConsumer<C>) {
    let deadline = Instant::now() + LISTEN_MOST;
    while consumer.poll(LISTEN).is_some() && Instant::now() < deadline {}
}

/// Whether a client says that it is not let in, or that it does not want to.
pub fn is_refusal(error: &KafkaError, reason: &str) -> bool {
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
    // A missing certificate is refused behind the handshake, and a door that is not encrypted is closed during it: the client
    // takes both for broken connections.
    refused || ["SSL alert number", "SSL handshake failed"].iter().any(|sign| reason.contains(sign))
}

/// What the client says, in the words of our settings.
pub fn in_our_words(reason: &str) -> String {
    WORDS.iter().fold(reason.to_owned(), |text, (theirs, ours)| text.replace(theirs, ours))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_refusal_is_remembered_and_only_until_it_is_over() {
        let refusal = Refusal::default();
        let error = || BrokerError("no answer".into());
        refusal.heard(&KafkaError::Global(RDKafkaErrorCode::BrokerTransportFailure), "Connect to ... failed");
        assert_eq!(refusal.explain(error()).0, "no answer");
        refusal.heard(&KafkaError::Global(RDKafkaErrorCode::SSL), "verify that ssl.ca.location is right");
        refusal.heard(&KafkaError::Global(RDKafkaErrorCode::AllBrokersDown), "1/1 brokers are down");
        let explained = refusal.explain(error()).0;
        assert!(explained.starts_with("no answer") && explained.contains("`kafka.security.ca`"), "{explained}");
        refusal.is_over();
        assert_eq!(refusal.explain(error()).0, "no answer");
    }
}
