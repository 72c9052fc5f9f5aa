//! Forwarding over real sockets: a door, and services behind it that do what a test wants.

#![allow(clippy::unwrap_used)] // a failing helper fails the test

mod bounds;
mod breaking;
mod costs;
mod hygiene;
mod measured;
mod repeating;
mod routing;
mod services;
mod streaming;
mod support;
