//! Encryption and authentication of a client: the settings of the client library, and their checks.

use ports::BrokerError;
use rdkafka::config::ClientConfig;

use crate::config::{Protocol, Security};

/// Sets a client's encryption and authentication.
pub fn secure(config: &mut ClientConfig, security: &Security) -> Result<(), BrokerError> {
    check(security).map_err(BrokerError)?;
    config.set("security.protocol", security.protocol.name());
    if security.protocol.has_name() {
        config.set("sasl.mechanism", &security.mechanism);
        config.set("sasl.username", &security.username);
        config.set("sasl.password", security.password.expose());
    }
    if security.protocol.is_encrypted() {
        let files = [
            ("ssl.ca.location", &security.ca),
            ("ssl.certificate.location", &security.certificate),
            ("ssl.key.location", &security.key),
        ];
        for (name, path) in files.into_iter().filter(|(_, path)| !path.as_os_str().is_empty()) {
            config.set(name, path.to_string_lossy());
        }
        if !security.key_password.expose().is_empty() {
            config.set("ssl.key.password", security.key_password.expose());
        }
    }
    Ok(())
}

/// Rejects settings that the client library would misread or ignore: above all none that ask for protection and would not get it.
fn check(security: &Security) -> Result<(), String> {
    let Security { protocol, mechanism, .. } = security;
    let named = !security.username.is_empty() || !security.password.expose().is_empty();
    let files = [&security.ca, &security.certificate, &security.key];
    let scram = matches!(mechanism.as_str(), "SCRAM-SHA-256" | "SCRAM-SHA-512");
    // The client's SCRAM comes with its TLS.
    if !cfg!(feature = "tls") && (protocol.is_encrypted() || protocol.has_name() && scram) {
        return Err("this program was built without TLS, which encryption and SCRAM need: build it with the feature `tls`".into());
    }
    if protocol.has_name() && !scram && mechanism != "PLAIN" {
        return Err(format!("`kafka.security.mechanism` is `{mechanism}`; it is PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512"));
    }
    if protocol.has_name() && security.username.is_empty() {
        return Err("`kafka.security.username` is empty".into());
    }
    let unused = |what: &str, wanted: [Protocol; 2]| {
        let wanted = wanted.map(Protocol::name).join(" or ");
        Err(format!("`kafka.security.protocol` is {}, which has no use for {what}: set it to {wanted}", protocol.name()))
    };
    if named && !protocol.has_name() {
        return unused("a username and a password", [Protocol::SaslSsl, Protocol::SaslPlaintext]);
    }
    if files.iter().any(|file| !file.as_os_str().is_empty()) && !protocol.is_encrypted() {
        return unused("authorities, certificates and keys", [Protocol::Ssl, Protocol::SaslSsl]);
    }
    for (name, file) in ["ca", "certificate", "key"].iter().zip(files) {
        // The client would say that the system has not given it something, and not what.
        if !file.as_os_str().is_empty() {
            let opened = std::fs::File::open(file);
            opened.map_err(|error| format!("`kafka.security.{name}`: {} cannot be read: {error}", file.display()))?;
        }
    }
    if security.certificate.as_os_str().is_empty() != security.key.as_os_str().is_empty() {
        return Err("of `kafka.security.certificate` and `kafka.security.key` only one is set".into());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::config;
    use crate::config::{Options, Secret};

    const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml");

    fn secured(protocol: Protocol) -> Options {
        let security = Security {
            protocol,
            mechanism: "PLAIN".into(),
            username: "pabal".into(),
            password: Secret::new("s3cr3t"),
            ca: if protocol.is_encrypted() { FILE.into() } else { "".into() },
            ..Security::default()
        };
        Options { security, ..Options::default() }
    }

    #[test]
    fn settings_of_security_reach_the_client() {
        let config = config(&secured(Protocol::SaslPlaintext)).unwrap();
        let names = ["security.protocol", "sasl.mechanism", "sasl.username", "sasl.password"];
        assert_eq!(names.map(|name| config.get(name).unwrap()), ["sasl_plaintext", "PLAIN", "pabal", "s3cr3t"]);
        assert_eq!(config.get("ssl.ca.location"), None);
    }

    #[test]
    fn without_tls_there_is_a_plain_word_about_it() {
        let made = config(&secured(Protocol::SaslSsl));
        if cfg!(feature = "tls") {
            assert_eq!(made.unwrap().get("ssl.ca.location"), Some(FILE));
        } else {
            assert!(made.unwrap_err().0.contains("without TLS"));
        }
    }

    #[test]
    fn settings_that_would_be_passed_over_are_refused() {
        let refused = |protocol, change: fn(&mut Security)| {
            let mut options = secured(protocol);
            change(&mut options.security);
            let error = config(&options).unwrap_err().0;
            assert!(!error.contains("s3cr3t"), "{error}");
            error
        };
        let open = refused(Protocol::Plaintext, |_| {});
        assert!(open.contains("plaintext") && open.contains("sasl_ssl or sasl_plaintext"), "{open}");
        assert!(refused(Protocol::SaslPlaintext, |security| security.ca = FILE.into()).contains("ssl or sasl_ssl"));
        assert!(refused(Protocol::SaslPlaintext, |security| security.username.clear()).contains("kafka.security.username"));
        assert!(refused(Protocol::SaslPlaintext, |security| security.mechanism.clear()).contains("kafka.security.mechanism"));
        if cfg!(feature = "tls") {
            assert!(refused(Protocol::Ssl, |_| {}).contains("sasl_ssl"), "a password that nobody would ask for");
            assert!(refused(Protocol::SaslSsl, |security| security.key = FILE.into()).contains("only one is set"));
            assert!(refused(Protocol::SaslSsl, |security| security.ca = "/no-such.pem".into()).contains("/no-such.pem"));
        } else {
            assert!(refused(Protocol::SaslPlaintext, |security| security.mechanism = "SCRAM-SHA-256".into()).contains("TLS"));
        }
    }
}
