//! Says that there is something to relay: at once within the process, and to others by `NOTIFY`.
//!
//! Within a commit a `NOTIFY` would make commits wait for each other and for the disk, one by one. So one connection of its
//! own says it behind the commits, once for all of a few milliseconds, and listens for the others. Who is not reached, finds
//! out by looking.

use std::sync::{Arc, Mutex, Once, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio_postgres::{Client, Config};

use crate::connection::options::PostgresOptions;
use crate::connection::tls::{self, Encryption, OnNotification};
use crate::layout::quoted;

/// Without a connection everybody looks so often.
const RETRY_EVERY: Duration = Duration::from_secs(1);

/// The connection shows that it is alive so often.
const KEEPALIVE_EVERY: Duration = Duration::from_secs(15);

type Watcher = Box<dyn Fn() + Send + Sync>;

/// Everybody of one process who has to do with one schema.
pub(crate) struct Notifier {
    shared: Arc<Shared>,
    started: Once,
}

struct Shared {
    config: Config,
    encryption: Encryption,
    /// The channel, and at the same time the schema.
    channel: String,
    /// What our own notices say, which we need not hear.
    mark: String,
    every: Duration,
    timeout: Duration,
    watchers: Mutex<Vec<Watcher>>,
    committed: Notify,
    stop: Notify,
}

impl Notifier {
    /// Says nothing and connects to nothing as long as there is nothing to say or to hear.
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

    /// There is something new.
    pub fn committed(&self) {
        self.start();
        self.shared.wake();
        self.shared.committed.notify_one();
    }

    /// Wants to know when there is.
    pub fn watch(&self, watcher: Watcher) {
        self.shared.watchers.lock().unwrap_or_else(PoisonError::into_inner).push(watcher);
        self.start();
    }

    fn start(&self) {
        self.started.call_once(|| {
            let shared = Arc::clone(&self.shared);
            let thread = std::thread::Builder::new().name("pabal-notifier".into());
            if let Err(error) = thread.spawn(move || run(&shared)) {
                tracing::warn!(%error, "no thread to say that there is something new; others find out by looking");
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

/// Something that no other process says.
fn mark() -> String {
    use std::hash::{BuildHasher, RandomState};
    format!("{:x}-{:016x}", std::process::id(), RandomState::new().hash_one(0))
}

fn run(shared: &Arc<Shared>) {
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return tracing::warn!(%error, "nobody is told that there is something new; others find out by looking"),
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

/// From one connection to its end, or a while without one.
async fn connected(shared: &Arc<Shared>) {
    let Some(client) = connect(shared).await else {
        shared.wake();
        return tokio::time::sleep(RETRY_EVERY).await;
    };
    // What was said in between was not on_notification.
    shared.wake();
    let notice = format!("NOTIFY {}, '{}'", quoted(&shared.channel), shared.mark);
    loop {
        let said = match tokio::time::timeout(KEEPALIVE_EVERY, shared.committed.notified()).await {
            Ok(()) => client.batch_execute(&notice),
            Err(_) => client.batch_execute(""),
        };
        if !matches!(tokio::time::timeout(shared.timeout, said).await, Ok(Ok(()))) || client.is_closed() {
            // It may be that it was not said.
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
            tracing::debug!(%error, "nobody can be told that there is something new");
            None
        }
        Err(_) => None,
    }
}
