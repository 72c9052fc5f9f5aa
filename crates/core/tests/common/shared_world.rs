//! Several cores over one store: version conflicts, late instances, and instances whose lease has run out.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use in_memory::SharedMemory;
use pabal_core::{CommandError, CommandOutcome, Limits, Status};
use ports::{LogQuery, Model, ParkedRow, Partition, Reader, Record};

use super::system::{TOPIC, office};
use super::world::{START_MS, World};

/// An instance that is not heard of for so long is dead.
pub const LEASE_MS: i64 = 5_000;

/// One database and the time, which all processes share.
pub struct SharedWorld {
    /// The database.
    pub shared: SharedMemory,
    now_ms: i64,
    limits: Limits,
}

/// A process: it is lent to a test, or to what happens in the middle of another's commit.
#[derive(Clone)]
pub struct Process(Arc<Mutex<World>>);

impl SharedWorld {
    /// A new one.
    pub fn new() -> Self {
        Self::with(Limits::default())
    }

    /// Whose processes have these bounds.
    pub fn with(limits: Limits) -> Self {
        let shared = SharedMemory::new(&Model::new(office()).unwrap(), LEASE_MS);
        shared.set_now(START_MS);
        Self { shared, now_ms: START_MS, limits }
    }

    /// Another process without partitions.
    pub fn join(&self) -> Process {
        let mut world = World::beside(&self.shared, self.limits.clone());
        world.now_ms = self.now_ms;
        world.run();
        Process(Arc::new(Mutex::new(world)))
    }

    /// Lets time pass in small steps; these processes run meanwhile, and all others hang.
    pub fn pass(&mut self, running: &[&Process], ms: i64) {
        let end_ms = self.now_ms + ms;
        while self.now_ms < end_ms {
            self.now_ms = end_ms.min(self.now_ms + 500);
            self.shared.set_now(self.now_ms);
            for process in running {
                let mut world = process.world();
                world.now_ms = self.now_ms;
                world.run();
            }
        }
    }

    /// It hears what time it is, and has not gone round yet.
    pub fn awake(&self, process: &Process) {
        process.world().now_ms = self.now_ms;
    }

    /// What is in the log, as a relay brings it to the only partition of the system's topic.
    pub fn log(&self) -> Vec<Record> {
        self.shared.reader().log(&LogQuery { limit: 1_000, ..LogQuery::default() }).unwrap()
    }
}

impl Process {
    /// The process, for the moment: in one expression once, or it waits for itself.
    pub fn world(&self) -> MutexGuard<'_, World> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// See [`World::run`].
    pub fn run(&self) {
        self.world().run();
    }

    /// See [`World::write`].
    pub fn write(&self, key: &str, text: &str) -> Result<CommandOutcome, CommandError> {
        self.world().write(key, text)
    }

    /// See [`World::copies`].
    pub fn copies(&self, key: &str) -> Vec<String> {
        self.world().copies(key)
    }

    /// See [`World::line`].
    pub fn line(&self, key: &str) -> Vec<String> {
        self.world().line(key)
    }

    /// See [`World::heard`].
    pub fn heard(&self, errand: &str, key: &str) -> Vec<String> {
        self.world().heard(errand, key)
    }

    /// See [`World::called`].
    pub fn called(&self) -> Vec<(u64, u32, bool)> {
        self.world().called()
    }

    /// See [`World::parked`].
    pub fn parked(&self, subscription: &str) -> Vec<ParkedRow> {
        self.world().parked(subscription)
    }

    /// See [`World::status`].
    pub fn status(&self) -> Status {
        self.world().status()
    }

    /// Between its next batch and the commit something else happens; said again, in the one behind that.
    pub fn meanwhile(&self, happens: impl FnOnce() + Send + 'static) {
        let store = self.world().store.clone();
        store.plan().meanwhile.push_back(Box::new(happens));
    }

    /// Has the only partition of the system's topic.
    pub fn own(&self) {
        self.world().own(vec![(Partition::only(TOPIC), 0)]);
    }

    /// Takes what the partition has.
    pub fn deliver(&self, records: Vec<Record>) {
        self.world().deliver(&Partition::only(TOPIC), records);
    }
}
