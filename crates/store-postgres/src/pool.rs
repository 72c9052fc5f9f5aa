//! A few connections that cannot write, made when they are first needed, and lent for one short read each.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use runtime::ports::StoreError;

use crate::error::Failed;
use crate::session::{Dial, Link, Session};

/// The connections.
pub(crate) struct Pool {
    dial: Arc<Dial>,
    most: usize,
    patience: Duration,
    held: Mutex<Held>,
    freed: Condvar,
}

#[derive(Default)]
struct Held {
    idle: Vec<Session>,
    /// Those that are lent included.
    open: usize,
}

impl Pool {
    /// At most so many connections, for which nobody waits longer than that.
    pub fn new(dial: Dial, most: usize, patience: Duration) -> Self {
        Self { dial: Arc::new(dial), most: most.max(1), patience, held: Mutex::default(), freed: Condvar::new() }
    }

    /// One short read.
    pub fn read<T: Send>(&self, work: impl AsyncFn(&mut Link) -> Result<T, Failed> + Send + Sync) -> Result<T, StoreError> {
        let mut lent = Lent { pool: self, session: Some(self.take().map_err(|failed| failed.unread())?) };
        let Some(session) = &mut lent.session else { return Err(StoreError::Unavailable("no connection".into())) };
        session.read(work).map_err(|failed| failed.unread())
    }

    fn take(&self) -> Result<Session, Failed> {
        let until = Instant::now() + self.patience;
        let mut held = self.lock();
        loop {
            if let Some(session) = held.idle.pop() {
                return Ok(session);
            }
            if held.open < self.most {
                let session = Session::new(Arc::clone(&self.dial))?;
                held.open += 1;
                return Ok(session);
            }
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(Failed::Lost(format!("all {} reading connections are busy", self.most)));
            }
            held = self.freed.wait_timeout(held, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    fn lock(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Comes back also from one who panics.
struct Lent<'a> {
    pool: &'a Pool,
    session: Option<Session>,
}

impl Drop for Lent<'_> {
    fn drop(&mut self) {
        let mut held = self.pool.lock();
        held.idle.extend(self.session.take());
        self.pool.freed.notify_one();
    }
}
