//! The topics of a real installation: Apache Kafka, shared with existing services of two generations.
//!
//! ```text
//! Admin::ensure ──▶ the topics exist, with the partitions that are configured
//!
//! outbox ─▶ relay ─▶ KafkaPublisher    idempotent: acknowledged by all replicas, in order for each key
//!                        │  wire::write
//!                        ▼
//!                    the topic        external services write and read here, too
//!                        │  wire::read
//!                        ▼
//! core ◀─ driver ◀─ KafkaBroker       one client reads whatever partition is asked for, from whatever position;
//!                                     one more client for each group is only its member
//! ```
//!
//! A position is an offset plus one: the number of the next record to read, which is what Kafka's tools show of a group.

mod admin;
mod auth_failure;
mod client;
mod config;
mod consumer;
mod log_throttle;
mod publisher;
mod security;
pub mod wire;

pub use admin::{Admin, HandoverError, Lag, TopicState};
pub use config::{Generation, Options, Protocol, Secret, Security, Times, Topics};
pub use consumer::KafkaBroker;
pub use publisher::KafkaPublisher;
