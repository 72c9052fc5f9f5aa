//! A few connections that cannot write, made when they are first needed, and lent for one short read each.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use ports::StoreError;

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
    /// Who waits for one, by number, in the order in which they came: nobody overtakes.
    queue: VecDeque<u64>,
    last: u64,
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
        held.last += 1;
        let number = held.last;
        held.queue.push_back(number);
        loop {
            let left = until.saturating_duration_since(Instant::now());
            let first = held.queue.front() == Some(&number);
            let taken = if first { self.free(&mut held) } else { None };
            if taken.is_some() || left.is_zero() {
                held.queue.retain(|other| *other != number);
                // Whoever is first now may have been waiting for just that.
                self.freed.notify_all();
                return taken.unwrap_or_else(|| Err(Failed::Lost(format!("all {} reading connections are busy", self.most))));
            }
            held = self.freed.wait_timeout(held, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// One that is idle, else a new one, unless there are as many as there may be.
    fn free(&self, held: &mut Held) -> Option<Result<Session, Failed>> {
        if let Some(session) = held.idle.pop() {
            return Some(Ok(session));
        }
        (held.open < self.most).then(|| {
            let session = Session::new(Arc::clone(&self.dial))?;
            held.open += 1;
            Ok(session)
        })
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
        self.pool.freed.notify_all();
    }
}
