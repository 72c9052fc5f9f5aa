//! Notifies relays of new records: at once within the process, and other processes by `NOTIFY`.
//!
//! Within a commit a `NOTIFY` would serialize commits, each until it is on disk. So a connection of its own notifies after the
//! commits, once for those of a few milliseconds, and listens. A relay that misses a notification finds the records by polling.

use std::sync::{Arc, Mutex, Once, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio_postgres::{Client, Config};

use crate::connection::options::PostgresOptions;
use crate::connection::tls::{self, Encryption, OnNotification};
use crate::layout::quoted;

/// Between two attempts to connect; meanwhile watchers poll.
const RETRY_EVERY: Duration = Duration::from_secs(1);

/// Between two keepalives of an idle connection.
const KEEPALIVE_EVERY: Duration = Duration::from_secs(15);

type Watcher = Box<dyn Fn() + Send + Sync>;

/// The watchers of one schema in this process, and the connection that serves them.
pub(crate) struct Notifier {
    shared: Arc<Shared>,
    started: Once,
}

struct Shared {
    config: Config,
    encryption: Encryption,
    /// The channel, named after the schema.
    channel: String,
    /// The payload of this process's own notifications, which are ignored.
    mark: String,
    every: Duration,
    timeout: Duration,
    watchers: Mutex<Vec<Watcher>>,
    committed: Notify,
    stop: Notify,
}

impl Notifier {
    /// Connects on first use.
    pub fn new(options: &PostgresOptions, schema: &str) -> Self {
        let mut config = options.config.clone();
        config.connect_timeout(options.connect_timeout);
        config.application_name(format!("pabal {schema} notifier"));
        let shared = Shared {
            config,
            encryption: options.encryption.clone(),
            channel: schema.to_owned(),
            mark: mark(),
            every: options.notify_every,
            timeout: options.connect_timeout * 2,
            watchers: Mutex::default(),
            committed: Notify::new(),
            stop: Notify::new(),
        };
        Self { shared: Arc::new(shared), started: Once::new() }
    }

    /// Notifies: records were committed.
    pub fn committed(&self) {
        self.start();
        self.shared.wake();
        self.shared.committed.notify_one();
    }

    /// Registers a watcher.
    pub fn watch(&self, watcher: Watcher) {
        self.shared.watchers.lock().unwrap_or_else(PoisonError::into_inner).push(watcher);
        self.start();
    }

    fn start(&self) {
        self.started.call_once(|| {
            let shared = Arc::clone(&self.shared);
            let thread = std::thread::Builder::new().name("pabal-notifier".into());
            if let Err(error) = thread.spawn(move || run(&shared)) {
                tracing::warn!(%error, "no thread for notifications; relays fall back to polling");
            }
        });
    }
}

impl Drop for Notifier {
    fn drop(&mut self) {
        self.shared.stop.notify_one();
    }
}

impl Shared {
    fn wake(&self) {
        self.watchers.lock().unwrap_or_else(PoisonError::into_inner).iter().for_each(|watcher| watcher());
    }
}

/// A payload that is unique to this process.
fn mark() -> String {
    use std::hash::{BuildHasher, RandomState};
    format!("{:x}-{:016x}", std::process::id(), RandomState::new().hash_one(0))
}

fn run(shared: &Arc<Shared>) {
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return tracing::warn!(%error, "no runtime for notifications; relays fall back to polling"),
    };
    runtime.block_on(async {
        loop {
            tokio::select! {
                () = shared.stop.notified() => return,
                () = connected(shared) => {}
            }
        }
    });
}

/// Serves one connection until it ends, or waits before the next attempt.
async fn connected(shared: &Arc<Shared>) {
    let Some(client) = connect(shared).await else {
        shared.wake();
        return tokio::time::sleep(RETRY_EVERY).await;
    };
    // Notifications sent while disconnected were missed.
    shared.wake();
    let notice = format!("NOTIFY {}, '{}'", quoted(&shared.channel), shared.mark);
    loop {
        let said = match tokio::time::timeout(KEEPALIVE_EVERY, shared.committed.notified()).await {
            Ok(()) => client.batch_execute(&notice),
            Err(_) => client.batch_execute(""),
        };
        if !matches!(tokio::time::timeout(shared.timeout, said).await, Ok(Ok(()))) || client.is_closed() {
            // The notification may not have been sent.
            shared.committed.notify_one();
            return;
        }
        tokio::time::sleep(shared.every).await;
    }
}

async fn connect(shared: &Arc<Shared>) -> Option<Client> {
    let on_notification: OnNotification = {
        let shared = Arc::clone(shared);
        Arc::new(move |payload| {
            if payload != shared.mark {
                shared.wake();
            }
        })
    };
    let connecting = async {
        let (client, _driver) = tls::connect(&shared.config, &shared.encryption, Some(on_notification)).await?;
        client.batch_execute(&format!("LISTEN {}", quoted(&shared.channel))).await?;
        Ok::<_, tokio_postgres::Error>(client)
    };
    match tokio::time::timeout(shared.timeout, connecting).await {
        Ok(Ok(client)) => Some(client),
        Ok(Err(error)) => {
            tracing::debug!(%error, "no connection for notifications; relays fall back to polling");
            None
        }
        Err(_) => None,
    }
}
