//! What several cores share in memory keeps the contract of every shared store, and its outbox that of every outbox.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use contract_tests::{OutboxHarness, SharedStoreHarness};
use in_memory::{MemoryOutbox, SharedMemory};
use ports::{Model, Outbox, Reader, Store};

const LEASE_MS: i64 = 1_000;

/// Databases so far: each has a name of its own.
static DATABASES: AtomicU64 = AtomicU64::new(0);

/// One database, with a clock that is moved by session.
struct Memory {
    shared: SharedMemory,
    name: String,
    now_ms: AtomicI64,
}

impl SharedStoreHarness for Memory {
    fn fresh(model: &Arc<Model>) -> Self {
        let shared = SharedMemory::new(model, LEASE_MS);
        let now_ms = 1_800_000_000_000;
        shared.set_now(now_ms);
        let name = format!("outbox-{}", DATABASES.fetch_add(1, Ordering::SeqCst));
        Self { shared, name, now_ms: AtomicI64::new(now_ms) }
    }

    fn connect(&self) -> Box<dyn Store> {
        Box::new(self.shared.connect())
    }

    fn reader(&self) -> Arc<dyn Reader> {
        Arc::new(self.shared.reader().clone())
    }

    fn lease(&self) -> Duration {
        Duration::from_millis(LEASE_MS.unsigned_abs())
    }

    fn pass(&self, time: Duration) {
        let ms = i64::try_from(time.as_millis()).unwrap_or(i64::MAX);
        self.shared.set_now(self.now_ms.fetch_add(ms, Ordering::SeqCst) + ms);
    }
}

impl OutboxHarness for Memory {
    fn outbox(&self) -> Box<dyn Outbox> {
        Box::new(MemoryOutbox::new(&self.shared, &self.name, LEASE_MS))
    }
}

contract_tests::shared_store_suite!(Memory);
contract_tests::outbox_suite!(Memory);
