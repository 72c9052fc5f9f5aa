#![doc = include_str!("../README.md")]

pub mod backoff;
pub mod broker;
pub mod channel;
pub mod clock;
mod declarations;
pub mod model;
pub mod outbox;
pub mod query;
pub mod record;
pub mod row;
pub mod store;
pub mod watchers;

pub use backoff::Backoff;
pub use broker::{Broker, BrokerError, Delivery, GroupMember, Partition, Publisher, Stamp};
pub use channel::Channel;
pub use clock::{Clock, Ids};
pub use model::{Model, ServiceId, SubscriptionId, Table, TableId};
pub use outbox::Outbox;
pub use query::{Condition, Cursor, LogQuery, Page, Predicate, Query, Sort, Start, Total};
pub use record::Record;
pub use row::{RowRef, StoredRow};
pub use store::{
    AnswerRow, Commit, CommitError, ConsumerOffset, CounterDelta, EffectRow, OffsetUpdate, ParkedAnswer, ParkedRow, ParkedTimer,
    ParkedWork, ParkedWrite, Reader, Recovered, RowWrite, Store, StoreError, TimerRow, TimerWrite,
};
pub use watchers::Watchers;
