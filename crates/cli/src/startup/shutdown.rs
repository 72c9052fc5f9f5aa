//! The signal to stop: SIGTERM from an orchestrator, Ctrl-C from a terminal.

use crate::failed::Failed;

/// Signals that stop the process.
pub struct ShutdownSignal {
    #[cfg(unix)]
    terminate: tokio::signal::unix::Signal,
    #[cfg(unix)]
    interrupt: tokio::signal::unix::Signal,
}

impl ShutdownSignal {
    /// Listens from now on, so that a signal during the start is not missed.
    #[cfg(unix)]
    pub fn listen() -> Result<Self, Failed> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Self { terminate: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? })
    }

    /// Nothing to listen to before [`Self::wait`].
    #[cfg(not(unix))]
    pub fn listen() -> Result<Self, Failed> {
        Ok(Self {})
    }

    /// Waits for one of them.
    pub async fn wait(&mut self) {
        #[cfg(unix)]
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
        #[cfg(not(unix))]
        let _ = tokio::signal::ctrl_c().await;
        tracing::info!("shutdown signal received: not ready any more, requests in flight are finished");
    }
}
