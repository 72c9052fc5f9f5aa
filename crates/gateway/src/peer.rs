//! The address at the other end of a connection.

use std::net::SocketAddr;

/// The peer of the connection that a request came by; in the request's extensions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Peer(pub SocketAddr);
