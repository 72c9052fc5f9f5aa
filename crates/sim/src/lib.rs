//! Deterministic simulation: the shipped core on a virtual clock, with seeded faults in everything around it.
//!
//! ```text
//! client ──requests, twice at times──▶ Core ──commits──▶ FaultyStore ──▶ MemoryStore     survives a crash
//!                                       │ ▲
//!                                 calls ▼ │ answers, late, lost or twice
//!                                     FarSide (remembers every call)                     survives a crash
//! ```
//! A run has two phases: faults first, then everything is healed and must come to rest. The same seed gives the same
//! trace. What is checked afterwards is the caller's: [`World`] gives it the store, the calls and the answers.

mod chance;
mod clients;
mod cluster;
mod far;
mod installation;
mod sabotage;
mod store;
mod trace;
mod world;

pub use chance::{Chance, Faults, Tally};
pub use clients::{Answered, Sent};
pub use cluster::{Cluster, ClusterOptions};
pub use far::{FarCallSeen, FarLedger};
pub use installation::Installation;
pub use sabotage::Sabotage;
pub use store::FaultyStore;
pub use world::{World, WorldOptions};
