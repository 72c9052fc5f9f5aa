//! Deliberate defects, switched on one at a time by the simulation to show that it would notice. Only a test may build
//! with the feature `switchable`; without it every question here is `false` and compiled away.

/// A way in which the core could be wrong. Those that can be shown at a port (a store that forgets positions, a timer that
/// fires early) are the simulation's own and need nothing here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Defect {
    /// A view takes each event twice.
    EventTwice,
    /// A refused command changes its row.
    RefusedWrites,
    /// A later event of a parked key is handled before the parked one.
    ParkedOvertaken,
    /// A timer that cannot be handled is logged and dropped.
    FailedTimerDropped,
    /// The answer of an effect that cannot be handled is logged and dropped.
    FailedAnswerDropped,
    /// An effect is called before its commit.
    EffectBeforeCommit,
    /// A batch that failed leaves its rows in memory.
    RollbackForgotten,
    /// A record that a relay has sent twice is taken for a new one.
    RelayedTwice,
    /// A relay marks records as sent before it publishes them.
    MarkedBeforePublished,
    /// A shared store lets a row be written that another has changed meanwhile.
    VersionsUnfenced,
    /// It lets a position be moved that another has moved meanwhile.
    PositionsUnfenced,
    /// It lets an idempotency key be answered that another has answered meanwhile.
    AnswersUnfenced,
    /// It lets an instance go on whose lease has run out and whose effects are another's.
    LeaseIgnored,
    /// Two instances are given the same ids.
    IdsGivenTwice,
}

#[cfg(feature = "switchable")]
mod switch {
    use std::cell::Cell;

    use super::Defect;

    thread_local! {
        static ON: Cell<Option<Defect>> = const { Cell::new(None) };
    }

    /// Switches a defect on for cores on this thread, or all off.
    pub fn switch(defect: Option<Defect>) {
        ON.with(|on| on.set(defect));
    }

    /// Whether it is on.
    pub fn has(defect: Defect) -> bool {
        ON.with(|on| on.get() == Some(defect))
    }
}

#[cfg(feature = "switchable")]
pub use switch::{has, switch};

/// Whether it is on: never, in a build that ships.
#[cfg(not(feature = "switchable"))]
pub const fn has(_: Defect) -> bool {
    false
}
