//! Deterministic simulation: the shipped core on a virtual clock, with seeded faults in everything around it.
//!
//! ```text
//! client ──requests, twice at times──▶ Core ──commits──▶ FaultyStore ──▶ MemoryStore     survives a crash
//!                                       │ ▲
//!                                 calls ▼ │ replies, late, lost or twice
//!                                   EffectLedger (remembers every call)                  survives a crash
//! ```
//! A run has two phases: faults first, then everything is healed and must come to rest. The same seed gives the same
//! trace. What is checked afterwards is the caller's: an [`Installation`] shows its stores, the calls and the answers.

mod chance;
mod clients;
mod cluster;
mod effect_ledger;
mod faults;
mod installation;
mod sabotage;
mod schedule;
mod setup;
mod store;
mod trace;
mod world;

pub use chance::{Chance, Tally};
pub use clients::{ClientAnswer, ClientRequest};
pub use cluster::{Cluster, ClusterOptions};
pub use effect_ledger::{EffectLedger, RecordedCall};
pub use faults::Faults;
pub use installation::Installation;
pub use sabotage::Sabotage;
pub use store::FaultyStore;
pub use world::{World, WorldOptions};
