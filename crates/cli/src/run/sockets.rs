//! The sockets: the one door, and where a system runs alone, one for each of its services.

use kernel::System;
use tokio::net::{TcpListener, lookup_host};

use crate::config::Config;
use crate::failed::Failed;

/// A socket that is open and not served yet.
pub struct Door {
    /// The service whose own it is; none for the one door.
    pub service: Option<&'static str>,
    /// The port it got.
    pub port: u16,
    /// The socket.
    pub listener: TcpListener,
}

/// Opens them all, or says which one cannot be.
pub async fn open(config: &Config, systems: &[System], alone: bool) -> Result<Vec<Door>, Failed> {
    let host = config.http.host.as_str();
    let mut doors = vec![door(host, config.http.port, None, "choose another with --port").await?];
    if alone {
        for service in systems.iter().flat_map(|system| &system.services) {
            let hint = "or run all systems, which needs the door alone (`pabal run`)";
            doors.push(door(host, service.port, Some(service.name), hint).await?);
        }
    }
    Ok(doors)
}

async fn door(host: &str, port: u16, service: Option<&'static str>, hint: &str) -> Result<Door, Failed> {
    let whose = service.map_or_else(|| "the door".to_owned(), |name| format!("service {name}"));
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    let mut addresses =
        lookup_host((bare, port)).await.map_err(|_| Failed::config(format!("`http.host`: {host} is no address")))?;
    let address = addresses.next().ok_or_else(|| Failed::config(format!("`http.host`: {host} has no address")))?;
    let listener = TcpListener::bind(address).await.map_err(|error| match error.kind() {
        std::io::ErrorKind::AddrInUse => {
            Failed::unavailable(format!("port {port} of {host} is in use, and {whose} needs it; stop what listens there, {hint}"))
        }
        std::io::ErrorKind::PermissionDenied => {
            Failed::unavailable(format!("port {port} of {host} may not be opened by this user, and {whose} needs it; {hint}"))
        }
        _ => Failed::unavailable(format!("port {port} of {host} cannot be opened for {whose}: {error}")),
    })?;
    let port = listener.local_addr()?.port();
    Ok(Door { service, port, listener })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_port_that_is_taken_is_named() {
        let taken = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut config = Config::default();
        config.http.port = taken.local_addr().unwrap().port();
        let error = open(&config, &[], false).await.err().unwrap();
        assert_eq!(error.code, crate::failed::UNAVAILABLE);
        assert!(error.sentence.starts_with(&format!("port {} of 127.0.0.1 is in use", config.http.port)), "{error}");
    }
}
