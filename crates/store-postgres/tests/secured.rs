//! Encrypted, with a password: `PABAL_TEST_TLS` names the directory of what `scripts/infra` has made for it.
#![cfg(feature = "tls")]
#![allow(clippy::expect_used, clippy::unwrap_used, reason = "a test says what it expects")]

mod support;

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use store_postgres::{OpenError, PostgresOptions, PostgresStore};
use support::worker::{Worker, change, model};
use support::{Look, Schema};

/// Access for the user `pabal`, who must connect encrypted and with a password.
struct Door {
    port: String,
    files: PathBuf,
}

impl Door {
    fn known() -> Self {
        let files = std::env::var("PABAL_TEST_TLS").expect("PABAL_TEST_TLS names what scripts/infra calls PABAL_TLS_DIR");
        let url = support::url();
        let port = url.rsplit_once(':').and_then(|(_, rest)| rest.split_once('/')).expect("a port").0.to_owned();
        Self { port, files: files.into() }
    }

    fn password(&self) -> String {
        std::fs::read_to_string(self.files.join("password")).unwrap().trim().to_owned()
    }

    fn file(&self, name: &str) -> String {
        self.files.join(name).display().to_string()
    }

    /// An address with the right password.
    fn url(&self, host: &str, options: &str) -> String {
        format!("postgres://pabal:{}@{host}:{}/pabal?{options}", self.password(), self.port)
    }
}

/// All four connections work, and are encrypted.
fn works(url: &str) {
    let schema = Schema::new();
    let options = PostgresOptions::new(url).unwrap().in_schema(&schema.name);
    let mut worker = Worker::join(&options);
    worker.commit(&change(&[("a1", 0)]));
    assert_eq!(worker.version("a1"), 1);
    assert_eq!(support::worker::drained(&mut worker.outbox).len(), 1);
    let of_ours =
        format!("FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) WHERE application_name LIKE 'pabal {} %'", schema.name);
    let mut look = Look::new(&schema.url);
    look.until(&format!("SELECT count(*) > 0 {of_ours} AND application_name LIKE '% notifier'"));
    assert_eq!(look.one(&format!("SELECT bool_and(ssl AND usename = 'pabal') {of_ours}")), "t", "{url}");
    assert!(look.one(&format!("SELECT count(*) {of_ours}")).parse::<u32>().unwrap() >= 3);
}

/// Fails at once, without the password in the message.
fn refused(url: &str) -> OpenError {
    let begun = Instant::now();
    let options = match PostgresOptions::new(url) {
        Ok(options) => options.in_schema("test_refused"),
        Err(error) => return error,
    };
    let error = PostgresStore::connect(&options, &model()).map(|_| ()).unwrap_err();
    println!("{error}");
    assert!(begun.elapsed() < Duration::from_secs(3), "{:?}: {error}", begun.elapsed());
    assert!(!error.may_pass(), "it is tried again and again: {error:?}");
    let password = url.split_once('@').and_then(|(user, _)| user.rsplit_once(':')).unwrap().1;
    for said in [error.to_string(), format!("{error:?}"), format!("{options:?}")] {
        assert!(password.is_empty() || password == "//pabal" || !said.contains(password), "{said}");
    }
    error
}

#[test]
#[ignore = "needs PostgreSQL: scripts/test-distributed"]
fn every_way_of_asking_for_encryption_gets_it() {
    let door = Door::known();
    let ca = door.file("ca.pem");
    for mode in ["require", "verify-ca", "verify-full"] {
        works(&door.url("127.0.0.1", &format!("sslmode={mode}&sslrootcert={ca}")));
    }
    works(&door.url("localhost", &format!("sslrootcert={ca}")));
    works(&door.url("127.0.0.1", &format!("sslmode=verify-full&sslrootcert={ca}&channel_binding=require")));
}

#[test]
#[ignore = "needs PostgreSQL: scripts/test-distributed"]
fn a_server_that_requires_encryption_gets_it_without_being_asked() {
    let door = Door::known();
    works(&door.url("127.0.0.1", ""));
}

#[test]
#[ignore = "needs PostgreSQL: scripts/test-distributed"]
fn a_wrong_password_is_rejected_and_never_printed() {
    let door = Door::known();
    let with = |password: &str| {
        door.url("127.0.0.1", &format!("sslrootcert={}", door.file("ca.pem"))).replace(&door.password(), password)
    };
    let error = refused(&with("s3cr3t-and-wrong"));
    assert!(matches!(&error, OpenError::Denied(said) if said.contains("password authentication failed")), "{error}");
    let error = refused(&with(""));
    assert!(matches!(error, OpenError::Denied(_)), "{error}");
    let error = refused(&with("").replace("pabal:@", "pabal@"));
    assert!(matches!(&error, OpenError::Denied(said) if said.contains("password missing")), "{error}");
}

#[test]
#[ignore = "needs PostgreSQL: scripts/test-distributed"]
fn a_client_without_encryption_is_rejected_where_it_is_required() {
    let door = Door::known();
    let error = refused(&door.url("127.0.0.1", "sslmode=disable"));
    assert!(matches!(&error, OpenError::Denied(said) if said.contains("no encryption")), "{error}");
}

#[test]
#[ignore = "needs PostgreSQL: scripts/test-distributed"]
fn a_server_of_an_unknown_authority_is_not_trusted() {
    let door = Door::known();
    let error = refused(&door.url("127.0.0.1", &format!("sslmode=verify-full&sslrootcert={}", door.file("stranger.pem"))));
    assert!(matches!(&error, OpenError::Untrusted(said) if said.contains("UnknownIssuer")), "{error}");
    // A system without trusted authorities gets another error.
    let error = refused(&door.url("127.0.0.1", "sslmode=require"));
    assert!(matches!(error, OpenError::Untrusted(_) | OpenError::Encryption(_)), "{error}");
}

#[test]
#[ignore = "needs PostgreSQL: scripts/test-distributed"]
fn a_server_whose_certificate_has_another_name_is_not_trusted() {
    let door = Door::known();
    for mode in ["require", "verify-ca", "verify-full"] {
        let options = format!("hostaddr=127.0.0.1&sslmode={mode}&sslrootcert={}", door.file("ca.pem"));
        let error = refused(&door.url("database.example", &options));
        assert!(matches!(&error, OpenError::Untrusted(said) if said.contains("database.example")), "{error}");
    }
}

#[test]
#[ignore = "needs PostgreSQL: scripts/test-distributed"]
fn a_server_without_encryption_receives_nothing_in_plain_text() {
    let door = Door::known();
    let server = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = server.local_addr().unwrap().port();
    let heard = std::thread::spawn(move || {
        let (mut stream, _) = server.accept().unwrap();
        let mut question = [0; 8];
        stream.read_exact(&mut question).unwrap();
        stream.write_all(b"N").unwrap();
        let mut more = Vec::new();
        let _ = stream.read_to_end(&mut more);
        (question, more)
    });
    let url = door.url("127.0.0.1", &format!("sslmode=verify-full&sslrootcert={}", door.file("ca.pem")));
    let error = refused(&url.replace(&format!(":{}/", door.port), &format!(":{port}/")));
    assert!(matches!(&error, OpenError::Encryption(said) if said.contains("does not support TLS")), "{error}");
    let (question, more) = heard.join().unwrap();
    assert_eq!(question, [0, 0, 0, 8, 4, 210, 22, 47], "only whether it can encrypt");
    assert!(more.is_empty(), "{more:?}");
}

#[test]
#[ignore = "needs PostgreSQL: scripts/test-distributed"]
fn a_file_that_cannot_be_used_is_named() {
    let door = Door::known();
    for file in ["no-such.pem", "password"] {
        let error = PostgresOptions::new(&door.url("127.0.0.1", &format!("sslrootcert={}", door.file(file)))).unwrap_err();
        assert!(matches!(&error, OpenError::Encryption(said) if said.contains(file)), "{error}");
        assert!(!error.to_string().contains(&door.password()) && !error.may_pass(), "{error}");
    }
}
