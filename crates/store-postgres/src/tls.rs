//! How a connection is made: plainly, or encrypted where this is built with the feature `tls`.

use std::future::poll_fn;
use std::sync::Arc;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::task::JoinHandle;
use tokio_postgres::{AsyncMessage, Client, Config, Connection, Error};

/// Who is told of what others notify, by the payload.
pub(crate) type Heard = Arc<dyn Fn(&str) + Send + Sync>;

/// Without the feature an address that says `sslmode=require` is refused by the driver: nothing is silently sent in the open.
#[cfg(not(feature = "tls"))]
pub(crate) async fn connect(config: &Config, heard: Option<Heard>) -> Result<(Client, JoinHandle<()>), Error> {
    let (client, connection) = config.connect(tokio_postgres::NoTls).await?;
    Ok((client, tokio::spawn(drive(connection, heard))))
}

/// Encrypted where the address or the server asks for it, with the certificates that the machine trusts.
#[cfg(feature = "tls")]
pub(crate) async fn connect(config: &Config, heard: Option<Heard>) -> Result<(Client, JoinHandle<()>), Error> {
    let (client, connection) = config.connect(encrypting()).await?;
    Ok((client, tokio::spawn(drive(connection, heard))))
}

#[cfg(feature = "tls")]
fn encrypting() -> tokio_postgres_rustls::MakeRustlsConnect {
    use std::sync::OnceLock;
    static TRUSTED: OnceLock<Arc<rustls::RootCertStore>> = OnceLock::new();
    let trusted = TRUSTED.get_or_init(|| {
        let mut roots = rustls::RootCertStore::empty();
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        Arc::new(roots)
    });
    let config = rustls::ClientConfig::builder().with_root_certificates(trusted.clone()).with_no_client_auth();
    tokio_postgres_rustls::MakeRustlsConnect::new(config)
}

/// Carries a connection until it ends; whoever uses it learns of that from its own call.
async fn drive<S, T>(mut connection: Connection<S, T>, heard: Option<Heard>)
where
    S: AsyncRead + AsyncWrite + Unpin,
    T: AsyncRead + AsyncWrite + Unpin,
{
    while let Some(message) = poll_fn(|context| connection.poll_message(context)).await {
        match (message, &heard) {
            (Ok(AsyncMessage::Notification(notice)), Some(heard)) => heard(notice.payload()),
            (Ok(_), _) => {}
            (Err(error), _) => {
                tracing::debug!(%error, "a connection to PostgreSQL has ended");
                return;
            }
        }
    }
}
