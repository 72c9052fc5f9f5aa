//! Parses a libpq connection string for the driver, which knows fewer TLS parameters.

use std::path::PathBuf;

use tokio_postgres::Config;
use tokio_postgres::config::SslMode;

use crate::connection::tls::Encryption;
use crate::error::OpenError;

/// Parses an address: where the database is, and how the connection is encrypted.
///
/// `sslmode=require`, `verify-ca` and `verify-full` are the same here: encrypted, with a server certificate from a trusted
/// authority that names the server. The authority is the file in `sslrootcert`, else the system's trust store; naming one
/// implies verification. Without these parameters the server decides, and is not authenticated.
pub(crate) fn read(url: &str) -> Result<(Config, Encryption), OpenError> {
    let (rest, tls) = TlsParameters::extract(url);
    let mut config: Config = rest.parse().map_err(|error: tokio_postgres::Error| invalid(url, &error))?;
    if config.get_hosts().is_empty() {
        return Err(OpenError::Address("it names no host".into()));
    }
    if tls.checked {
        config.ssl_mode(SslMode::Require);
    }
    if let Some(authority) = tls.authority {
        if config.get_ssl_mode() == SslMode::Disable {
            return Err(OpenError::Encryption(
                "`sslmode=disable` and an authority in `sslrootcert` contradict each other".into(),
            ));
        }
        config.ssl_mode(SslMode::Require);
        // libpq's name for the system's trust store.
        let file = (authority != "system").then(|| PathBuf::from(authority));
        return Ok((config, Encryption::checked(file.as_deref())?));
    }
    let encryption = match config.get_ssl_mode() {
        SslMode::Require => Encryption::checked(None)?,
        _ => Encryption::unchecked()?,
    };
    Ok((config, encryption))
}

/// The TLS parameters that the driver does not know.
#[derive(Default)]
struct TlsParameters {
    checked: bool,
    authority: Option<String>,
}

impl TlsParameters {
    /// Splits them off the address.
    fn extract(url: &str) -> (String, Self) {
        let mut tls = Self::default();
        // As the driver parses it: a `?` before the first `@` belongs to the password.
        let host = url.find('@').unwrap_or(0);
        let is_url = url.starts_with("postgres://") || url.starts_with("postgresql://");
        let Some(question) = url[host..].find('?').filter(|_| is_url) else { return (url.to_owned(), tls) };
        let (before, options) = (&url[..host + question], &url[host + question + 1..]);
        let ours = |option: &&str| match option.split_once('=') {
            Some(("sslmode", "verify-ca" | "verify-full")) => {
                tls.checked = true;
                false
            }
            Some(("sslrootcert", file)) => {
                tls.authority = Some(decoded(file));
                false
            }
            _ => true,
        };
        let left: Vec<&str> = options.split('&').filter(ours).collect();
        let rest = if left.is_empty() { before.to_owned() } else { format!("{before}?{}", left.join("&")) };
        (rest, tls)
    }
}

/// Percent-decodes a value as the driver does, by letting it parse one.
fn decoded(value: &str) -> String {
    let read = format!("postgres://h/?application_name={value}").parse::<Config>().ok();
    read.and_then(|config| config.get_application_name().map(str::to_owned)).unwrap_or_else(|| value.to_owned())
}

/// The address may contain a password: it is never part of the error.
fn invalid(url: &str, error: &tokio_postgres::Error) -> OpenError {
    // The driver takes the text after the first `@` for host and options, and its error would quote it.
    if url.matches('@').count() > 1 {
        return OpenError::Address("in a user's name or password `@` is written `%40`".into());
    }
    OpenError::Address(std::error::Error::source(error).map_or_else(|| error.to_string(), ToString::to_string))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    fn mode(url: &str) -> SslMode {
        read(url).unwrap().0.get_ssl_mode()
    }

    fn refused(url: &str) -> String {
        let error = read(url).map(|_| ()).unwrap_err();
        assert!(!error.may_pass(), "{error:?}");
        error.to_string()
    }

    #[test]
    fn without_tls_parameters_the_server_decides() {
        assert_eq!(mode("postgres://u:p@h/d"), SslMode::Prefer);
        assert_eq!(mode("postgres://u:p@h/d?sslmode=disable&connect_timeout=3"), SslMode::Disable);
        assert_eq!(mode("host=h user=u"), SslMode::Prefer);
    }

    #[cfg(feature = "tls")]
    #[test]
    fn every_sslmode_that_requires_encryption_gets_it() {
        for asked in ["require", "verify-ca", "verify-full"] {
            assert_eq!(mode(&format!("postgres://u:p?x@h/d?connect_timeout=3&sslmode={asked}")), SslMode::Require, "{asked}");
        }
        assert_eq!(mode("postgres://u:p@h/d?sslrootcert=system"), SslMode::Require);
        assert_eq!(mode("host=h sslmode=require"), SslMode::Require);
        assert!(refused("postgres://h/d?sslrootcert=/no%20such.pem").contains("/no such.pem"));
    }

    #[cfg(not(feature = "tls"))]
    #[test]
    fn without_the_tls_feature_required_encryption_is_an_error() {
        for asked in ["sslmode=require", "sslmode=verify-full", "sslrootcert=/ca.pem"] {
            assert!(refused(&format!("postgres://u:p@h/d?{asked}")).contains("without TLS"), "{asked}");
        }
    }

    #[test]
    fn misspelt_and_contradictory_parameters_are_rejected() {
        assert!(refused("postgres://h/d?sslmode=verify-ful").contains("`sslmode`"));
        assert!(refused("postgres://h/d?sslmode=disable&sslrootcert=/ca.pem").contains("contradict"));
    }

    #[test]
    fn no_part_of_a_password_is_printed() {
        for url in ["postgres://u:a@s3cr3t?s3cr3t=1@h/d", "postgres://u:a@h:s3cr3t@h/d", "postgres://u:s3cr3t@h:0x/d"] {
            let error = refused(url);
            assert!(!error.contains("s3cr3t"), "{error}");
        }
        assert!(!format!("{:?}", read("postgres://u:s3cr3t@h/d").unwrap()).contains("s3cr3t"));
    }
}
