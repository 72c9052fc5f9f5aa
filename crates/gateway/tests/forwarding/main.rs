//! Forwarding over real sockets: a gateway, and services behind it that a test controls.

#![allow(clippy::unwrap_used)] // a failing helper fails the test

mod costs;
mod failures;
mod headers;
mod limits;
mod metrics;
mod retries;
mod routing;
mod services;
mod streaming;
mod support;
