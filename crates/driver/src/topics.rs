//! The embedded broker: systems in one process subscribe to each other by reading the other's log.
//!
//! An event is in its topic because it is in its log; nothing is copied, and nothing can be lost between the two.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use ports::{Broker, BrokerError, Delivery, LogQuery, Partition, Reader, StoreError, Watchers};

/// Topics and the logs behind them. Clones share them.
#[derive(Clone, Default)]
pub struct Topics {
    readers: Arc<Mutex<BTreeMap<String, Arc<dyn Reader>>>>,
    watchers: Watchers,
}

impl Topics {
    /// Sets the log behind a topic, replacing any earlier one, and wakes the topic's watchers.
    pub fn add(&self, topic: &str, reader: Arc<dyn Reader>) {
        self.readers().insert(topic.to_owned(), reader);
        self.committed(topic);
    }

    /// Wakes the topic's watchers: its log has grown.
    pub fn committed(&self, topic: &str) {
        self.watchers.wake(topic);
    }

    fn readers(&self) -> MutexGuard<'_, BTreeMap<String, Arc<dyn Reader>>> {
        self.readers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A log is one partition.
    fn reader(&self, partition: &Partition) -> Option<Arc<dyn Reader>> {
        self.readers().get(&partition.topic).filter(|_| partition.number == 0).cloned()
    }
}

impl Broker for Topics {
    fn fetch(&self, partition: &Partition, after: u64, limit: usize) -> Result<Vec<Delivery>, BrokerError> {
        let query = LogQuery { after, limit, ..LogQuery::default() };
        let records = self.reader(partition).map_or_else(|| Ok(Vec::new()), |reader| reader.log(&query)).map_err(broker_error)?;
        Ok(records.into_iter().map(|record| Delivery { record, stamp: None }).collect())
    }

    fn end(&self, partition: &Partition) -> Result<u64, BrokerError> {
        self.reader(partition).map_or(Ok(0), |reader| reader.last_seq()).map_err(broker_error)
    }

    fn watch(&self, topic: &str, wake: Box<dyn Fn() + Send + Sync>) {
        self.watchers.add(topic, wake);
    }
}

#[allow(clippy::needless_pass_by_value)] // the signature that `map_err` takes
fn broker_error(error: StoreError) -> BrokerError {
    BrokerError(error.to_string())
}
