//! Why an encrypted connection could not be made.

use tokio_postgres::Error;

/// Why an encrypted connection was refused by one side: true if the server could not be authenticated, false if it offers no
/// encryption.
pub(super) fn tls_failure(error: &Error) -> Option<bool> {
    let cause = std::error::Error::source(error)?;
    #[cfg(feature = "tls")]
    if let Some(cause) = cause.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref) {
        if cause.is::<rustls::pki_types::InvalidDnsNameError>() {
            return Some(true);
        }
        return match cause.downcast_ref::<rustls::Error>()? {
            rustls::Error::InvalidCertificate(_) | rustls::Error::NoCertificatesPresented => Some(true),
            // The server aborted the handshake: it may be shutting down.
            _ => None,
        };
    }
    // The driver's message for a server without TLS; it has no code for it.
    (cause.to_string() == "server does not support TLS").then_some(false)
}
