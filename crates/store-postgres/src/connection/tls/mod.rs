//! How a connection is made: plainly, or encrypted where this is built with the feature `tls`.

#[cfg(feature = "tls")]
mod unverified;

use std::future::poll_fn;
use std::path::Path;
use std::sync::Arc;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::task::JoinHandle;
use tokio_postgres::{AsyncMessage, Client, Config, Connection, Error};

use crate::error::OpenError;

/// Who is told of what others notify, by the payload.
pub(crate) type OnNotification = Arc<dyn Fn(&str) + Send + Sync>;

/// Whose certificate is good enough.
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
    /// Whoever asks for encryption is not silently given a connection without.
    pub fn checked(_authority: Option<&Path>) -> Result<Self, OpenError> {
        Err(OpenError::Encryption("this program was built without TLS: build it with the feature `tls`".into()))
    }

    /// None at all.
    #[allow(clippy::unnecessary_wraps, reason = "with TLS it may fail")]
    pub fn unchecked() -> Result<Self, OpenError> {
        Ok(Self { checked: false })
    }
}

#[cfg(feature = "tls")]
impl Encryption {
    /// By an authority in that file, or by one that the machine trusts; and the certificate must name the server.
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

    /// Where nobody asked for encryption a server may still want it. As with PostgreSQL's own programs its certificate is
    /// not looked at: whoever could forge one could as well say that he does not want any.
    pub fn unchecked() -> Result<Self, OpenError> {
        let unverified = Arc::new(unverified::AcceptAnyCertificate::new(provider()));
        let settings = builder()?.dangerous().with_custom_certificate_verifier(unverified).with_no_client_auth();
        Ok(Self { settings, checked: false })
    }
}

/// Named, because a program that links two of them has no default one, which rustls notices by a panic.
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

/// A connection, with a task that carries it.
#[cfg(not(feature = "tls"))]
pub(crate) async fn connect(
    config: &Config,
    _: &Encryption,
    on_notification: Option<OnNotification>,
) -> Result<(Client, JoinHandle<()>), Error> {
    let (client, connection) = config.connect(tokio_postgres::NoTls).await?;
    Ok((client, tokio::spawn(drive(connection, on_notification))))
}

/// A connection, with a task that carries it: encrypted where the address or the server asks for it.
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

/// Carries a connection until it ends; whoever uses it learns of that from its own call.
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
