//! One suite for every store, one for every store that processes share and for its outbox, and one for each side of topics.
//!
//! What a port's documentation promises is checked here. An implementation writes a harness and one line:
//!
//! ```text
//! contract_tests::store_suite!(MyHarness);
//! ```
//!
//! and gets one `#[test]` for each check, in modules named after the parts of the contract. A check is declared once, as a
//! function of an `#[apply(checks!)] impl`: that makes it a test of every implementation that runs the suite, so that there is
//! no list to forget it on.
#![allow(clippy::expect_used, reason = "a check fails by panicking; the message says what was asked")]
#![allow(clippy::missing_panics_doc, reason = "a check is there to panic")]

#[macro_use]
mod checks;

pub mod broker;
pub mod harness;
pub mod instances;
pub mod log;
pub mod outbox;
pub mod outside;
pub mod paging;
pub mod publisher;
pub mod reader;
pub mod rows;
pub mod sample;
pub mod session;
pub mod shared;
pub mod shared_store;
pub mod store;
pub mod tables;
pub mod totals;
pub mod work;

pub use harness::{BrokerHarness, OutboxHarness, PublisherHarness, SharedStoreHarness, StoreHarness};
pub use shared_store::SingleSession;

/// The parts of the contracts, for the macros.
#[doc(hidden)]
pub mod parts {
    pub use crate::broker::BrokerChecks;
    pub use crate::instances::InstanceChecks;
    pub use crate::log::{ExclusiveLogChecks, LogChecks};
    pub use crate::outbox::OutboxChecks;
    pub use crate::paging::PagingChecks;
    pub use crate::publisher::PublisherChecks;
    pub use crate::reader::ReaderChecks;
    pub use crate::shared::SharedChecks;
    pub use crate::store::{ExclusiveStoreChecks, StoreChecks};
    pub use crate::tables::TableChecks;
    pub use crate::totals::TotalChecks;
    pub use crate::work::WorkChecks;
}

/// One `#[test]` for each check of a [`StoreHarness`].
#[macro_export]
macro_rules! store_suite {
    ($(#[$attribute:meta])* $harness:ty) => {
        $crate::single_session_suite!($(#[$attribute])* $harness);
        $crate::tables_suite!($(#[$attribute])* $harness);
        mod exclusive {
            use super::*;
            $crate::ExclusiveStoreChecks!($(#[$attribute])* $harness);
            $crate::ExclusiveLogChecks!($(#[$attribute])* $harness);
        }
    };
}

/// One `#[test]` for each check of a [`SharedStoreHarness`], and for what every store promises to the only process that uses
/// it. Left out are the numbers of an exclusive store, tables that are rebuilt from its log, and pruning a log without relay.
#[macro_export]
macro_rules! shared_store_suite {
    ($(#[$attribute:meta])* $harness:ty) => {
        mod shared {
            use super::*;
            $crate::SharedChecks!($(#[$attribute])* $harness);
        }
        mod instances {
            use super::*;
            $crate::InstanceChecks!($(#[$attribute])* $harness);
        }
        $crate::single_session_suite!($(#[$attribute])* $crate::SingleSession<$harness>);
    };
}

/// What every store promises to the only process that uses it.
#[doc(hidden)]
#[macro_export]
macro_rules! single_session_suite {
    ($(#[$attribute:meta])* $harness:ty) => {
        mod store {
            use super::*;
            $crate::StoreChecks!($(#[$attribute])* $harness);
        }
        mod work {
            use super::*;
            $crate::WorkChecks!($(#[$attribute])* $harness);
        }
        mod log {
            use super::*;
            $crate::LogChecks!($(#[$attribute])* $harness);
        }
        mod reader {
            use super::*;
            $crate::ReaderChecks!($(#[$attribute])* $harness);
        }
        mod paging {
            use super::*;
            $crate::PagingChecks!($(#[$attribute])* $harness);
        }
        mod totals {
            use super::*;
            $crate::TotalChecks!($(#[$attribute])* $harness);
        }
    };
}

/// One `#[test]` for each check of tables that are emptied and change places, of a [`StoreHarness`]: part of [`store_suite`],
/// and of its own for a shared store that can do it.
#[macro_export]
macro_rules! tables_suite {
    ($(#[$attribute:meta])* $harness:ty) => {
        mod tables {
            use super::*;
            $crate::TableChecks!($(#[$attribute])* $harness);
        }
    };
}

/// One `#[test]` for each check of an [`OutboxHarness`].
#[macro_export]
macro_rules! outbox_suite {
    ($(#[$attribute:meta])* $harness:ty) => {
        mod outbox {
            use super::*;
            $crate::OutboxChecks!($(#[$attribute])* $harness);
        }
    };
}

/// One `#[test]` for each check of a [`BrokerHarness`]; with attributes, each test has them.
#[macro_export]
macro_rules! broker_suite {
    ($(#[$attribute:meta])* $harness:ty) => {
        mod broker {
            use super::*;
            $crate::BrokerChecks!($(#[$attribute])* $harness);
        }
    };
}

/// One `#[test]` for each check of a [`PublisherHarness`]; with attributes, each test has them.
#[macro_export]
macro_rules! publisher_suite {
    ($(#[$attribute:meta])* $harness:ty) => {
        mod publisher {
            use super::*;
            $crate::PublisherChecks!($(#[$attribute])* $harness);
        }
    };
}
