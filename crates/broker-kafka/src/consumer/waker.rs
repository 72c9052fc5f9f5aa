//! Wakes the watchers of topics, on a thread of its own: the client signals new records while it holds its own locks, and a
//! watcher may fetch at once.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use ports::BrokerError;

use super::lock;

type Wake = Arc<dyn Fn() + Send + Sync>;

/// How often the client's events are served, and watchers are woken whose topics have no signals.
const TICK: Duration = Duration::from_millis(200);

/// The watchers, and the signals for them.
#[derive(Default)]
pub struct Waker {
    watchers: Mutex<BTreeMap<String, Vec<Wake>>>,
    signals: Mutex<Signals>,
    signalled: Condvar,
    tick: Mutex<Option<Box<dyn Fn() + Send + Sync>>>,
}

#[derive(Default)]
struct Signals {
    topics: BTreeSet<Arc<str>>,
    /// At the next tick.
    later: BTreeSet<Arc<str>>,
    /// Topics whose partitions signal new records.
    signalling: BTreeSet<String>,
    stopped: bool,
}

impl Waker {
    /// Starts the thread.
    pub fn start() -> Result<Arc<Self>, BrokerError> {
        let waker = Arc::new(Self::default());
        let at_work = waker.clone();
        let spawned = std::thread::Builder::new().name("kafka-wake".into()).spawn(move || at_work.run());
        spawned.map_err(|error| BrokerError(format!("no thread to wake readers: {error}")))?;
        Ok(waker)
    }

    /// Called with each tick.
    pub fn each_tick(&self, tick: Box<dyn Fn() + Send + Sync>) {
        *lock(&self.tick) = Some(tick);
    }

    /// Adds a watcher of a topic.
    pub fn watch(&self, topic: &str, wake: Box<dyn Fn() + Send + Sync>) {
        lock(&self.watchers).entry(topic.to_owned()).or_default().push(Arc::from(wake));
    }

    /// From now on this topic is signalled.
    pub fn set_signalling(&self, topic: &str) {
        lock(&self.signals).signalling.insert(topic.to_owned());
    }

    /// A topic has more. Called by the client, with its locks held.
    pub fn signal(&self, topic: &Arc<str>) {
        if lock(&self.signals).topics.insert(topic.clone()) {
            self.signalled.notify_one();
        }
    }

    /// A topic is worth another look soon.
    pub fn later(&self, topic: &Arc<str>) {
        lock(&self.signals).later.insert(topic.clone());
    }

    /// Ends the thread after what it does now.
    pub fn stop(&self) {
        lock(&self.signals).stopped = true;
        self.signalled.notify_all();
        lock(&self.tick).take();
        lock(&self.watchers).clear();
    }

    fn run(&self) {
        let mut next = Instant::now() + TICK;
        loop {
            let mut signals = lock(&self.signals);
            let left = next.saturating_duration_since(Instant::now());
            if signals.topics.is_empty() && !signals.stopped && !left.is_zero() {
                signals = self.signalled.wait_timeout(signals, left).unwrap_or_else(PoisonError::into_inner).0;
            }
            if signals.stopped {
                return;
            }
            let mut topics: BTreeSet<String> = std::mem::take(&mut signals.topics).iter().map(ToString::to_string).collect();
            let is_tick = Instant::now() >= next;
            if is_tick {
                topics.extend(std::mem::take(&mut signals.later).iter().map(ToString::to_string));
                let unsignalled =
                    lock(&self.watchers).keys().filter(|topic| !signals.signalling.contains(*topic)).cloned().collect::<Vec<_>>();
                topics.extend(unsignalled);
                next = Instant::now() + TICK;
            }
            drop(signals);
            self.wake(&topics);
            if is_tick && let Some(tick) = &*lock(&self.tick) {
                tick();
            }
        }
    }

    /// Without holding the lock: a watcher may add another.
    fn wake(&self, topics: &BTreeSet<String>) {
        let watchers = lock(&self.watchers);
        let woken: Vec<Wake> = topics.iter().filter_map(|topic| watchers.get(topic)).flatten().cloned().collect();
        drop(watchers);
        for wake in woken {
            wake();
        }
    }
}
