//! Watchers: the callbacks of [`Broker::watch`](crate::Broker::watch), for brokers within one process.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

type Wake = Arc<dyn Fn() + Send + Sync>;

/// Callbacks by topic. Clones share them.
#[derive(Clone, Default)]
pub struct Watchers {
    by_topic: Arc<Mutex<BTreeMap<String, Vec<Wake>>>>,
}

impl Watchers {
    /// Registers a callback.
    pub fn add(&self, topic: &str, wake: Box<dyn Fn() + Send + Sync>) {
        self.lock().entry(topic.to_owned()).or_default().push(Arc::from(wake));
    }

    /// Calls a topic's callbacks without holding the lock: they may fetch, publish or watch.
    pub fn wake(&self, topic: &str) {
        let watching = self.lock().get(topic).cloned().unwrap_or_default();
        for wake in watching {
            wake();
        }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Vec<Wake>>> {
        self.by_topic.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
