//! Opens connections: in plain text, or encrypted where built with the feature `tls`.

#[cfg(feature = "tls")]
mod unverified;

use std::future::poll_fn;
use std::path::Path;
use std::sync::Arc;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::task::JoinHandle;
use tokio_postgres::{AsyncMessage, Client, Config, Connection, Error};

use crate::error::OpenError;

/// Called with the payload of each notification.
pub(crate) type OnNotification = Arc<dyn Fn(&str) + Send + Sync>;

/// Which certificates are accepted.
#[derive(Clone)]
pub(crate) struct Encryption {
    #[cfg(feature = "tls")]
    settings: rustls::ClientConfig,
    checked: bool,
}

impl std::fmt::Debug for Encryption {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Encryption").field("checked", &self.checked).finish_non_exhaustive()
    }
}

#[cfg(not(feature = "tls"))]
impl Encryption {
    /// Encryption that is asked for is never silently omitted.
    pub fn checked(_authority: Option<&Path>) -> Result<Self, OpenError> {
        Err(OpenError::Encryption("this program was built without TLS: build it with the feature `tls`".into()))
    }

    /// Without encryption.
    #[allow(clippy::unnecessary_wraps, reason = "with TLS it may fail")]
    pub fn unchecked() -> Result<Self, OpenError> {
        Ok(Self { checked: false })
    }
}

#[cfg(feature = "tls")]
impl Encryption {
    /// Verifies the certificate by the authority in that file, or by the system's trust store, and the server's name.
    pub fn checked(authority: Option<&Path>) -> Result<Self, OpenError> {
        let mut roots = rustls::RootCertStore::empty();
        match authority {
            Some(file) => roots.add_parsable_certificates(authorities(file)?),
            None => roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs),
        };
        if roots.is_empty() {
            let source = authority.map_or_else(|| "this machine".to_owned(), |file| file.display().to_string());
            return Err(OpenError::Encryption(format!("{source} has no authorities to check the server's certificate against")));
        }
        let settings = builder()?.with_root_certificates(roots).with_no_client_auth();
        Ok(Self { settings, checked: true })
    }

    /// Where encryption is not asked for a server may still require it. As with libpq its certificate is not verified: an
    /// attacker who could forge one could as well refuse encryption.
    pub fn unchecked() -> Result<Self, OpenError> {
        let unverified = Arc::new(unverified::AcceptAnyCertificate::new(provider()));
        let settings = builder()?.dangerous().with_custom_certificate_verifier(unverified).with_no_client_auth();
        Ok(Self { settings, checked: false })
    }
}

/// Named explicitly: a program that links two providers has no default one, and rustls would panic.
#[cfg(feature = "tls")]
fn provider() -> Arc<rustls::crypto::CryptoProvider> {
    Arc::new(rustls::crypto::aws_lc_rs::default_provider())
}

#[cfg(feature = "tls")]
fn builder() -> Result<rustls::ConfigBuilder<rustls::ClientConfig, rustls::WantsVerifier>, OpenError> {
    let builder = rustls::ClientConfig::builder_with_provider(provider()).with_safe_default_protocol_versions();
    builder.map_err(|error| OpenError::Encryption(error.to_string()))
}

#[cfg(feature = "tls")]
fn authorities(file: &Path) -> Result<Vec<rustls::pki_types::CertificateDer<'static>>, OpenError> {
    use rustls::pki_types::pem::PemObject as _;
    let read = rustls::pki_types::CertificateDer::pem_file_iter(file).and_then(Iterator::collect);
    read.map_err(|error| OpenError::Encryption(format!("`sslrootcert`: {} cannot be read: {error}", file.display())))
}

/// A connection and the task that drives it.
#[cfg(not(feature = "tls"))]
pub(crate) async fn connect(
    config: &Config,
    _: &Encryption,
    on_notification: Option<OnNotification>,
) -> Result<(Client, JoinHandle<()>), Error> {
    let (client, connection) = config.connect(tokio_postgres::NoTls).await?;
    Ok((client, tokio::spawn(drive(connection, on_notification))))
}

/// A connection and the task that drives it: encrypted where the address or the server asks for it.
#[cfg(feature = "tls")]
pub(crate) async fn connect(
    config: &Config,
    encryption: &Encryption,
    on_notification: Option<OnNotification>,
) -> Result<(Client, JoinHandle<()>), Error> {
    let encrypting = tokio_postgres_rustls::MakeRustlsConnect::new(encryption.settings.clone());
    let (client, connection) = config.connect(encrypting).await?;
    Ok((client, tokio::spawn(drive(connection, on_notification))))
}

/// Drives a connection until it ends; its user learns of that from its own call.
async fn drive<S, T>(mut connection: Connection<S, T>, on_notification: Option<OnNotification>)
where
    S: AsyncRead + AsyncWrite + Unpin,
    T: AsyncRead + AsyncWrite + Unpin,
{
    while let Some(message) = poll_fn(|context| connection.poll_message(context)).await {
        match (message, &on_notification) {
            (Ok(AsyncMessage::Notification(notice)), Some(on_notification)) => on_notification(notice.payload()),
            (Ok(_), _) => {}
            (Err(error), _) => {
                tracing::debug!(%error, "a connection to PostgreSQL has ended");
                return;
            }
        }
    }
}
