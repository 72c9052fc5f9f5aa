//! The store: state, log, consumer offsets, timers, effects and answers of one system, changed in one transaction.

pub mod answers;
pub mod commit;
pub mod effects;
pub mod error;
pub mod offsets;
pub mod parked;
pub mod reader;
pub mod timers;
pub mod writer;

pub use crate::row::{RowRef, StoredRow};
pub use answers::AnswerRow;
pub use commit::{Commit, CounterDelta, RowWrite};
pub use effects::EffectRow;
pub use error::{CommitError, StoreError};
pub use offsets::{ConsumerOffset, OffsetUpdate};
pub use parked::{ParkedAnswer, ParkedRow, ParkedTimer, ParkedWork, ParkedWrite};
pub use reader::Reader;
pub use timers::{TimerRow, TimerWrite};
pub use writer::{Recovered, Store};
