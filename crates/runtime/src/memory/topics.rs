//! The embedded broker: systems in one process follow each other by reading the other's log.
//!
//! An event is in its topic because it is in its log; nothing is copied, and nothing can be lost between the two.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use super::broker::Watchers;
use super::lock;
use crate::ports::{Broker, BrokerError, LogQuery, Reader, Record, StoreError};

/// Topics and the logs behind them. Clones share them.
#[derive(Clone, Default)]
pub struct Topics {
    readers: Arc<Mutex<BTreeMap<String, Arc<dyn Reader>>>>,
    watchers: Watchers,
}

impl Topics {
    /// Names the log behind a topic; one named again takes the place of the one before. Wakes who watches already.
    pub fn add(&self, topic: &str, reader: Arc<dyn Reader>) {
        lock(&self.readers).insert(topic.to_owned(), reader);
        self.committed(topic);
    }

    /// Says that a topic's log may have more: its system's driver does so after every commit with events.
    pub fn committed(&self, topic: &str) {
        self.watchers.wake(topic);
    }

    fn reader(&self, topic: &str) -> Option<Arc<dyn Reader>> {
        lock(&self.readers).get(topic).cloned()
    }
}

impl Broker for Topics {
    fn fetch(&self, topic: &str, after: u64, limit: usize) -> Result<Vec<Record>, BrokerError> {
        let query = LogQuery { after, limit, ..LogQuery::default() };
        self.reader(topic).map_or_else(|| Ok(Vec::new()), |reader| reader.log(&query)).map_err(silent)
    }

    fn end(&self, topic: &str) -> Result<u64, BrokerError> {
        self.reader(topic).map_or(Ok(0), |reader| reader.last_seq()).map_err(silent)
    }

    fn watch(&self, topic: &str, wake: Box<dyn Fn() + Send + Sync>) {
        self.watchers.add(topic, wake);
    }
}

#[allow(clippy::needless_pass_by_value)] // it stands where `map_err` hands over what it has
fn silent(error: StoreError) -> BrokerError {
    BrokerError(error.to_string())
}
