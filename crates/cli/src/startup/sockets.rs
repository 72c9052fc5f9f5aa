//! The listening sockets, and the addresses under which clients reach them.

use std::collections::BTreeMap;
use std::net::IpAddr;

use kernel::System;
use tokio::net::{TcpListener, lookup_host};

use crate::failed::Failed;

/// The gateway's port in the commands that systems print.
const PRINTED_PORT: u16 = 8088;

/// Sockets that are bound and not served yet.
pub struct Sockets {
    /// The gateway's.
    pub gateway: TcpListener,
    /// Those of single services.
    pub own: Vec<(&'static str, TcpListener)>,
    /// Where they are.
    pub addresses: Addresses,
}

/// Where clients reach the process.
#[derive(Debug, Clone)]
pub struct Addresses {
    /// The address to listen at, as it was configured.
    pub host: String,
    /// The gateway's port: the one that was found where the configuration says 0.
    pub port: u16,
    /// No other machine can connect.
    pub is_loopback: bool,
    /// The host of printed URLs.
    host_in_urls: String,
    own: BTreeMap<&'static str, u16>,
}

impl Sockets {
    /// Binds them all, or says which one cannot be bound.
    pub async fn open(host: &str, port: u16, own_ports: &[(&'static str, u16)]) -> Result<Self, Failed> {
        let (gateway, port, ip) = bind(host, port, "the gateway", "choose another with --port").await?;
        let (mut own, mut ports) = (Vec::new(), BTreeMap::new());
        for (service, port) in own_ports {
            let hint = "or run all systems, which needs the gateway's port alone (`pabal run`)";
            let (listener, port, _) = bind(host, *port, &format!("service {service}"), hint).await?;
            own.push((*service, listener));
            ports.insert(*service, port);
        }
        let host_in_urls = if ip.is_loopback() || ip.is_unspecified() { "localhost" } else { host }.to_owned();
        let addresses = Addresses { host: host.to_owned(), port, is_loopback: ip.is_loopback(), host_in_urls, own: ports };
        Ok(Self { gateway, own, addresses })
    }
}

impl Addresses {
    /// The gateway's URL.
    pub fn url(&self) -> String {
        format!("http://{}:{}", self.host_in_urls, self.port)
    }

    /// The URL of a service that listens at a port of its own.
    pub fn url_of(&self, service: &str) -> Option<String> {
        self.own.get(service).map(|port| format!("http://{}:{port}", self.host_in_urls))
    }

    /// The commands that a system prints, with the ports of this process: services without a socket are behind the gateway.
    pub fn try_first(&self, system: &System) -> String {
        let gateway = format!("localhost:{}/", self.port);
        let mut text = system.try_first.to_owned();
        for service in system.services.iter().filter(|service| !self.own.contains_key(service.name)) {
            text = text.replace(&format!("localhost:{}/", service.port), &gateway);
        }
        text.replace(&format!("localhost:{PRINTED_PORT}/"), &gateway)
    }
}

async fn bind(host: &str, port: u16, user: &str, hint: &str) -> Result<(TcpListener, u16, IpAddr), Failed> {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    let mut addresses =
        lookup_host((bare, port)).await.map_err(|_| Failed::config(format!("`http.host`: {host} is no address")))?;
    let address = addresses.next().ok_or_else(|| Failed::config(format!("`http.host`: {host} has no address")))?;
    let listener = TcpListener::bind(address).await.map_err(|error| match error.kind() {
        std::io::ErrorKind::AddrInUse => {
            Failed::unavailable(format!("port {port} of {host} is in use, and {user} needs it; stop what listens there, {hint}"))
        }
        std::io::ErrorKind::PermissionDenied => {
            Failed::unavailable(format!("port {port} of {host} may not be opened by this user, and {user} needs it; {hint}"))
        }
        _ => Failed::unavailable(format!("port {port} of {host} cannot be opened for {user}: {error}")),
    })?;
    let bound = listener.local_addr()?;
    Ok((listener, bound.port(), bound.ip()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_port_in_use_is_named() {
        let taken = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = taken.local_addr().unwrap().port();
        let error = Sockets::open("127.0.0.1", port, &[]).await.err().unwrap();
        assert_eq!(error.code, crate::failed::UNAVAILABLE);
        assert!(error.sentence.starts_with(&format!("port {port} of 127.0.0.1 is in use")), "{error}");
    }

    #[tokio::test]
    async fn printed_commands_name_the_ports_that_were_bound() {
        let system = rcs::system();
        let message = system.services.iter().find(|service| service.name == "message").unwrap();
        let apart = Sockets::open("127.0.0.1", 0, &[("message", 0)]).await.unwrap().addresses;
        assert!(apart.try_first(&system).contains(&format!("localhost:{}/", message.port)), "{}", apart.try_first(&system));
        let together = Sockets::open("0.0.0.0", 0, &[]).await.unwrap().addresses;
        let shown = together.try_first(&system);
        assert!(shown.contains(&format!("{}/", together.url().trim_start_matches("http://"))), "{shown}");
        assert!(!shown.contains(&format!("localhost:{}/", message.port)) && !together.is_loopback);
    }
}
