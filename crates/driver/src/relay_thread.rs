//! The relay's driver: a thread that publishes what its service has committed, for as long as it holds the outbox's lease.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::thread::JoinHandle;
use std::time::Duration;

use pabal_core::{Relay, Relayed};
use ports::{Backoff, Outbox, Publisher};

/// Records published at once, at most.
const BATCH_RECORDS: usize = 1_000;

/// How often an idle outbox is read, in case a notification was missed.
const POLL_INTERVAL: Duration = Duration::from_millis(500);

/// How often the lease is asked for while another relay holds it.
const STANDBY_INTERVAL: Duration = Duration::from_secs(1);

/// After a turn that failed.
const BACKOFF: Backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(5));

/// A running relay. Dropping it does not end it; [`RelayThread::stop`] does.
pub struct RelayThread {
    waker: SyncSender<()>,
    stopping: Arc<AtomicBool>,
    metrics: Arc<RelayMetrics>,
    thread: Option<JoinHandle<()>>,
}

/// What a relay has done so far.
#[derive(Default)]
struct RelayMetrics {
    sent: AtomicU64,
    errors: AtomicU64,
    failing: AtomicBool,
    leading: AtomicBool,
}

/// The state of a relay.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RelayStatus {
    /// Records published since the start.
    pub sent: u64,
    /// Turns that failed since the start.
    pub errors: u64,
    /// The last turn failed.
    pub failing: bool,
    /// It holds the lease.
    pub leading: bool,
}

/// Reads the state of a relay.
#[derive(Clone)]
pub struct RelayWatch(Arc<RelayMetrics>);

impl RelayWatch {
    /// The current state.
    pub fn status(&self) -> RelayStatus {
        let RelayMetrics { sent, errors, failing, leading } = &*self.0;
        RelayStatus {
            sent: sent.load(Ordering::Relaxed),
            errors: errors.load(Ordering::Relaxed),
            failing: failing.load(Ordering::Relaxed),
            leading: leading.load(Ordering::Relaxed),
        }
    }
}

impl RelayThread {
    /// Starts the thread.
    pub fn start(topic: &str, outbox: Box<dyn Outbox>, publisher: Box<dyn Publisher>) -> Result<Self, std::io::Error> {
        let (waker, woken) = sync_channel(1);
        let (stopping, metrics) = (Arc::<AtomicBool>::default(), Arc::<RelayMetrics>::default());
        let mut work = Work {
            relay: Relay::new(topic, BATCH_RECORDS),
            outbox,
            publisher,
            woken,
            stopping: stopping.clone(),
            metrics: metrics.clone(),
        };
        let on_commit = waker.clone();
        work.outbox.watch(Box::new(move || notify(&on_commit)));
        let thread = std::thread::Builder::new().name(format!("relay-{topic}")).spawn(move || work.run())?;
        Ok(Self { waker, stopping, metrics, thread: Some(thread) })
    }

    /// Makes it look for records now.
    pub fn wake(&self) {
        notify(&self.waker);
    }

    /// A handle that reads its state.
    pub fn watch(&self) -> RelayWatch {
        RelayWatch(self.metrics.clone())
    }

    /// Ends it after the turn in progress.
    pub fn stop(&mut self) {
        self.stopping.store(true, Ordering::Release);
        self.wake();
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the relay panicked");
        }
    }
}

fn notify(waker: &SyncSender<()>) {
    // One pending notification is enough, and a relay that has ended needs none.
    let (Ok(()) | Err(TrySendError::Full(()) | TrySendError::Disconnected(()))) = waker.try_send(());
}

/// What the thread owns.
struct Work {
    relay: Relay,
    outbox: Box<dyn Outbox>,
    publisher: Box<dyn Publisher>,
    woken: Receiver<()>,
    stopping: Arc<AtomicBool>,
    metrics: Arc<RelayMetrics>,
}

impl Work {
    fn run(&mut self) {
        let mut failures = 0;
        while !self.stopping.load(Ordering::Acquire) {
            let turned = self.relay.turn(self.outbox.as_mut(), self.publisher.as_mut());
            self.metrics.record(turned.as_ref().ok());
            failures = if turned.is_ok() { 0 } else { failures + 1 };
            let wait = match turned {
                Ok(Relayed::Sent(_)) => Duration::ZERO,
                Ok(Relayed::Idle) => POLL_INTERVAL,
                Ok(Relayed::Standby) => STANDBY_INTERVAL,
                Err(error) => {
                    tracing::warn!(%error, "a turn of the relay failed; trying again");
                    BACKOFF.delay(failures)
                }
            };
            if !wait.is_zero() && matches!(self.woken.recv_timeout(wait), Err(RecvTimeoutError::Disconnected)) {
                return;
            }
        }
    }
}

impl RelayMetrics {
    fn record(&self, turned: Option<&Relayed>) {
        self.failing.store(turned.is_none(), Ordering::Relaxed);
        self.leading.store(matches!(turned, Some(Relayed::Sent(_) | Relayed::Idle)), Ordering::Relaxed);
        match turned {
            Some(Relayed::Sent(records)) => {
                self.sent.fetch_add(*records as u64, Ordering::Relaxed);
            }
            Some(_) => {}
            None => {
                self.errors.fetch_add(1, Ordering::Relaxed);
            }
        }
    }
}
