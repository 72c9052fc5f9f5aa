//! A pool of read-only connections, opened on first use, each checked out for one short read.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use ports::StoreError;

use crate::connection::session::{Connection, Connector, Session};
use crate::error::DatabaseError;

/// The connections.
pub(crate) struct Pool {
    connector: Arc<Connector>,
    max_connections: usize,
    timeout: Duration,
    state: Mutex<PoolState>,
    freed: Condvar,
}

#[derive(Default)]
struct PoolState {
    idle: Vec<Session>,
    /// Including those that are checked out.
    open: usize,
    /// The waiting callers, by ticket: first come, first served.
    queue: VecDeque<u64>,
    last: u64,
}

impl Pool {
    /// A pool of at most so many connections, and how long a caller waits for one.
    pub fn new(connector: Connector, max_connections: usize, timeout: Duration) -> Self {
        Self {
            connector: Arc::new(connector),
            max_connections: max_connections.max(1),
            timeout,
            state: Mutex::default(),
            freed: Condvar::new(),
        }
    }

    /// Runs one short read.
    pub fn read<T: Send>(
        &self,
        work: impl AsyncFn(&mut Connection) -> Result<T, DatabaseError> + Send + Sync,
    ) -> Result<T, StoreError> {
        let mut session_guard = PooledSession { pool: self, session: Some(self.take().map_err(|failed| failed.store_error())?) };
        let Some(session) = &mut session_guard.session else { return Err(StoreError::Unavailable("no connection".into())) };
        session.read(work).map_err(|failed| failed.store_error())
    }

    fn take(&self) -> Result<Session, DatabaseError> {
        let until = Instant::now() + self.timeout;
        let mut state = self.lock();
        state.last += 1;
        let number = state.last;
        state.queue.push_back(number);
        loop {
            let left = until.saturating_duration_since(Instant::now());
            let first = state.queue.front() == Some(&number);
            let taken = if first { self.free(&mut state) } else { None };
            if taken.is_some() || left.is_zero() {
                state.queue.retain(|other| *other != number);
                // The next ticket may be waiting for this very connection.
                self.freed.notify_all();
                return taken.unwrap_or_else(|| {
                    Err(DatabaseError::ConnectionLost(format!("all {} reading connections are busy", self.max_connections)))
                });
            }
            state = self.freed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// An idle session, else a new one if the pool is not full.
    fn free(&self, state: &mut PoolState) -> Option<Result<Session, DatabaseError>> {
        if let Some(session) = state.idle.pop() {
            return Some(Ok(session));
        }
        (state.open < self.max_connections).then(|| {
            let session = Session::new(Arc::clone(&self.connector))?;
            state.open += 1;
            Ok(session)
        })
    }

    fn lock(&self) -> MutexGuard<'_, PoolState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A checked-out session; returned on drop, also while unwinding.
struct PooledSession<'a> {
    pool: &'a Pool,
    session: Option<Session>,
}

impl Drop for PooledSession<'_> {
    fn drop(&mut self) {
        let mut state = self.pool.lock();
        state.idle.extend(self.session.take());
        self.pool.freed.notify_all();
    }
}
