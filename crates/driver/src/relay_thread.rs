//! The relay's driver: a thread that publishes what its service has committed, for as long as it holds the outbox's lease.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::thread::JoinHandle;
use std::time::Duration;

use pabal_core::{Relay, Relayed};
use ports::{Outbox, Publisher};

/// Records published at once, at most.
const BATCH: usize = 1_000;

/// Without a word from the outbox it is looked at so often, should one have been missed.
const POLL: Duration = Duration::from_millis(500);

/// While another relay has the lease it is asked for so often.
const STANDBY: Duration = Duration::from_secs(1);

/// The first pause after an error; it doubles up to the last.
const RETRY: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(5));

/// A relay at work. Dropped, it goes on; [`Relaying::stop`] ends it.
pub struct Relaying {
    wake: SyncSender<()>,
    stopping: Arc<AtomicBool>,
    told: Arc<Told>,
    thread: Option<JoinHandle<()>>,
}

/// What is known of a relay.
#[derive(Default)]
struct Told {
    sent: AtomicU64,
    errors: AtomicU64,
    failing: AtomicBool,
    leading: AtomicBool,
}

/// How a relay is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RelayStatus {
    /// Records published since the start.
    pub sent: u64,
    /// Turns that failed since the start.
    pub errors: u64,
    /// The last turn failed.
    pub failing: bool,
    /// It has the lease.
    pub leading: bool,
}

/// Tells how a relay is doing.
#[derive(Clone)]
pub struct RelayWatch(Arc<Told>);

impl RelayWatch {
    /// Now.
    pub fn status(&self) -> RelayStatus {
        let Told { sent, errors, failing, leading } = &*self.0;
        RelayStatus {
            sent: sent.load(Ordering::Relaxed),
            errors: errors.load(Ordering::Relaxed),
            failing: failing.load(Ordering::Relaxed),
            leading: leading.load(Ordering::Relaxed),
        }
    }
}

impl Relaying {
    /// Starts the thread.
    pub fn start(topic: &str, mut outbox: Box<dyn Outbox>, mut publisher: Box<dyn Publisher>) -> Result<Self, std::io::Error> {
        let (wake, woken) = sync_channel(1);
        let bell = wake.clone();
        outbox.watch(Box::new(move || ring(&bell)));
        let (stopping, told) = (Arc::new(AtomicBool::new(false)), Arc::<Told>::default());
        let (stop, tell) = (stopping.clone(), told.clone());
        let mut relay = Relay::new(topic, BATCH);
        let work = move || {
            let mut retry = RETRY.0;
            while !stop.load(Ordering::Acquire) {
                let turned = relay.turn(outbox.as_mut(), publisher.as_mut());
                tell.note(turned.as_ref().ok());
                let pause = match turned {
                    Ok(Relayed::Sent(_)) => Duration::ZERO,
                    Ok(Relayed::Idle) => POLL,
                    Ok(Relayed::Standby) => STANDBY,
                    Err(error) => {
                        tracing::warn!(%error, "the relay begins again");
                        retry = (retry * 2).min(RETRY.1);
                        retry
                    }
                };
                retry = if pause < RETRY.0 { RETRY.0 } else { retry };
                if !pause.is_zero() && matches!(woken.recv_timeout(pause), Err(RecvTimeoutError::Disconnected)) {
                    return;
                }
            }
        };
        let thread = std::thread::Builder::new().name(format!("relay-{topic}")).spawn(work)?;
        Ok(Self { wake, stopping, told, thread: Some(thread) })
    }

    /// There may be something to publish.
    pub fn wake(&self) {
        ring(&self.wake);
    }

    /// For who wants to know how it is doing.
    pub fn watch(&self) -> RelayWatch {
        RelayWatch(self.told.clone())
    }

    /// Ends it after the turn that is under way.
    pub fn stop(&mut self) {
        self.stopping.store(true, Ordering::Release);
        self.wake();
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the relay had panicked");
        }
    }
}

fn ring(bell: &SyncSender<()>) {
    // One that rings already is enough, and one that nobody hears any more is none.
    let (Ok(()) | Err(TrySendError::Full(()) | TrySendError::Disconnected(()))) = bell.try_send(());
}

impl Told {
    fn note(&self, turned: Option<&Relayed>) {
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
