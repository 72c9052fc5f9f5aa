//! Against the encrypted listeners of a real broker: `scripts/infra up`, `PABAL_TEST_KAFKA_SASL`, `PABAL_TEST_KAFKA_MUTUAL` and
//! `PABAL_TEST_TLS` set to its `PABAL_KAFKA_SASL`, `PABAL_KAFKA_MUTUAL` and `PABAL_TLS_DIR`, and `--include-ignored`, as
//! `scripts/test-distributed` does it.
#![cfg(feature = "tls")]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use broker_kafka::{Admin, KafkaBroker, KafkaPublisher, Options, Protocol, Secret, Security};
use ports::{Broker, BrokerError, Publisher};
use support::ledger::{Ledger, Process};
use support::{fresh, partition, publish, records, topic, until};

const MECHANISMS: [&str; 3] = ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"];

/// When a request times out, also one that is not let in.
const REQUEST: Duration = Duration::from_secs(2);

type Attempt<'a> = &'a dyn Fn() -> Result<(), BrokerError>;

/// The two listeners, and the files that fit them.
struct Listeners {
    sasl: String,
    mutual: String,
    files: PathBuf,
}

impl Listeners {
    fn known() -> Self {
        let names = ["PABAL_TEST_KAFKA_SASL", "PABAL_TEST_KAFKA_MUTUAL", "PABAL_TEST_TLS"];
        let [sasl, mutual, files] = names.map(support::setting);
        Self { sasl, mutual, files: files.into() }
    }

    fn password(&self) -> String {
        std::fs::read_to_string(self.files.join("password")).unwrap().trim().to_owned()
    }

    fn options(&self, bootstrap: &str, security: Security) -> Options {
        let mut options = Options::at(bootstrap);
        options.client_id = "test-secured".into();
        options.security = Security { ca: self.files.join("ca.pem"), ..security };
        options.times.request_ms = u64::try_from(REQUEST.as_millis()).unwrap();
        options.times.session_ms = 6_000;
        options.times.heartbeat_ms = 300;
        options
    }

    fn by_password(&self, mechanism: &str, password: &str) -> Options {
        let mechanism = mechanism.to_owned();
        let (username, password) = ("pabal".to_owned(), Secret::new(password));
        self.options(&self.sasl, Security { protocol: Protocol::SaslSsl, mechanism, username, password, ..Security::default() })
    }

    fn by_certificate(&self, certificate: &str, key: &str) -> Options {
        let (certificate, key) = (self.files.join(certificate), self.files.join(key));
        self.options(&self.mutual, Security { protocol: Protocol::Ssl, certificate, key, ..Security::default() })
    }
}

/// All that a service does with a broker.
fn works(options: &Options) {
    let topic = topic(options, "secured", 2);
    publish(options, &topic, &records("o", 1, 101, 7));
    let ledger = Arc::new(Ledger::default());
    let group = fresh("group");
    let process = Process::start(options, &group, &topic, 1, &ledger);
    until("all are handled", || ledger.len() >= 100);
    ledger.holds(1, 101);
    process.stop();
    let admin = Admin::new(options).unwrap();
    assert_eq!(admin.members(&group).unwrap(), 0);
    assert_eq!(admin.lag(&group, std::slice::from_ref(&topic)).unwrap().iter().map(|lag| lag.behind).sum::<u64>(), 0);
    let mut publisher = KafkaPublisher::new(options).unwrap();
    assert_eq!(publisher.published(&topic, "o", 90).unwrap(), (91..=100).collect());
}

/// Each of the clients times out, and its error has this reason. Returns the errors.
fn is_refused(options: &Options, why: &str) -> Vec<String> {
    let topics = ["secured".to_owned()];
    let admin = || Admin::new(options)?.ensure(&topics).map(|_| ());
    let look = || Admin::new(options)?.positions("group", &topics).map(|_| ());
    let publishing = || KafkaPublisher::new(options)?.publish("secured", &records("o", 1, 4, 1));
    let looking_back = || KafkaPublisher::new(options)?.published("secured", "o", 1).map(|_| ());
    let end = || KafkaBroker::new(options)?.end(&partition("secured", 0)).map(|_| ());
    let fetch = || KafkaBroker::new(options)?.fetch(&partition("secured", 0), 0, 10).map(|_| ());
    let all: [(&str, Attempt<'_>); 6] = [
        ("admin", &admin),
        ("look", &look),
        ("publish", &publishing),
        ("look back", &looking_back),
        ("end", &end),
        ("fetch", &fetch),
    ];
    let said = all.map(|(name, attempt)| {
        let begun = Instant::now();
        let error = attempt().unwrap_err().to_string();
        println!("{name}: {error}");
        assert!(begun.elapsed() < REQUEST + Duration::from_millis(1_500), "{name} took {:?}: {error}", begun.elapsed());
        assert!(error.contains(why), "{name}: {error}");
        error
    });
    said.to_vec()
}

#[test]
#[ignore = "needs Apache Kafka with TLS: scripts/test-distributed"]
fn every_mechanism_gets_in_and_does_its_work() {
    let listeners = Listeners::known();
    for mechanism in MECHANISMS {
        works(&listeners.by_password(mechanism, &listeners.password()));
    }
}

#[test]
#[ignore = "needs Apache Kafka with TLS: scripts/test-distributed"]
fn a_client_certificate_gets_in_and_does_its_work() {
    let listeners = Listeners::known();
    works(&listeners.by_certificate("client.pem", "client.key"));
    let mut locked = listeners.by_certificate("client.pem", "client-locked.key");
    locked.security.key_password = Secret::new(listeners.password());
    works(&locked);
}

#[test]
#[ignore = "needs Apache Kafka with TLS: scripts/test-distributed"]
fn a_wrong_password_is_refused_and_never_logged() {
    let listeners = Listeners::known();
    for mechanism in MECHANISMS {
        let wrong = "s3cr3t-and-wrong";
        let options = listeners.by_password(mechanism, wrong);
        for said in is_refused(&options, "uthentication failed") {
            assert!(!said.contains(wrong), "{said}");
        }
        assert!(!format!("{options:?}").contains(wrong));
    }
    let mut nobody = listeners.by_password("SCRAM-SHA-256", &listeners.password());
    nobody.security.username = "nobody".into();
    for said in is_refused(&nobody, "uthentication failed") {
        assert!(!said.contains(&listeners.password()), "{said}");
    }
}

#[test]
#[ignore = "needs Apache Kafka with TLS: scripts/test-distributed"]
fn a_broker_certificate_of_an_unknown_authority_is_rejected() {
    let listeners = Listeners::known();
    for ca in [listeners.files.join("stranger.pem"), PathBuf::new()] {
        let mut options = listeners.by_password("PLAIN", &listeners.password());
        options.security.ca = ca;
        is_refused(&options, "certificate could not be verified, it must come from an authority in `kafka.security.ca`");
    }
}

#[test]
#[ignore = "needs Apache Kafka with TLS: scripts/test-distributed"]
fn a_broker_certificate_of_another_name_is_rejected() {
    let listeners = Listeners::known();
    let mut options = listeners.by_password("PLAIN", &listeners.password());
    // The same address, by a name that the certificate does not have.
    options.bootstrap = options.bootstrap.replace("127.0.0.1", "127.1");
    is_refused(&options, "name the broker as it is called here");
}

#[test]
#[ignore = "needs Apache Kafka with TLS: scripts/test-distributed"]
fn a_client_without_a_trusted_certificate_is_refused() {
    let listeners = Listeners::known();
    is_refused(&listeners.by_certificate("stranger.pem", "stranger.key"), "certificate");
    let mut options = listeners.by_certificate("client.pem", "client.key");
    (options.security.certificate, options.security.key) = (PathBuf::new(), PathBuf::new());
    is_refused(&options, "certificate");
}

#[test]
#[ignore = "needs Apache Kafka with TLS: scripts/test-distributed"]
fn an_unencrypted_listener_is_refused_before_credentials_are_sent() {
    let (listeners, plain) = (Listeners::known(), support::kafka("listener"));
    let mut options = listeners.by_password("PLAIN", &listeners.password());
    options.bootstrap.clone_from(&plain.bootstrap);
    is_refused(&options, "SSL handshake");
}

#[test]
#[ignore = "needs Apache Kafka with TLS: scripts/test-distributed"]
fn files_that_cannot_be_used_are_named_at_once() {
    let listeners = Listeners::known();
    let mut options = listeners.by_password("PLAIN", &listeners.password());
    options.security.ca = listeners.files.join("no-such.pem");
    is_refused(&options, "`kafka.security.ca`");
    let mut options = listeners.by_certificate("client.pem", "no-such.key");
    is_refused(&options, "`kafka.security.key`");
    options = listeners.by_certificate("client.pem", "client-locked.key");
    options.security.key_password = Secret::new("s3cr3t-and-wrong");
    for said in is_refused(&options, "`kafka.security.key`") {
        assert!(!said.contains("s3cr3t-and-wrong"), "{said}");
    }
}
