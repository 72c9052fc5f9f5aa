//! Checkpoints: copies the write-ahead log into the database file on a thread of its own, outside of commits, and bounds its
//! size.

use std::fs::OpenOptions;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use rusqlite::{Connection, OpenFlags, Result};

use crate::files::wal_of;
use crate::value::U64;

/// Between two checkpoints: a checkpoint competes with commits for the disk. Under load each copies more at once, and a page
/// that was written often only once.
const PAUSE: Duration = Duration::from_millis(250);

/// How long restarting an oversized log may block the writer while readers finish.
const RESTART_WAIT: Duration = Duration::from_millis(250);

/// Thresholds in frames of the log, one page each.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bounds {
    /// Frames not yet copied from which a passive checkpoint runs; it blocks nothing.
    pub copy: i64,
    /// Frames in total from which the writer is blocked and the log restarted: under a steady stream of commits it would never
    /// restart by itself.
    pub restart: i64,
    /// At most so many frames are left to copy while the writer is blocked.
    pub left: i64,
}

/// About 4, 128 and 2 MB.
const BOUNDS: Bounds = Bounds { copy: 1_000, restart: 32_000, left: 500 };

/// Passive checkpoints before a restart, to catch up with a busy writer.
const CATCH_UPS: usize = 8;

/// The checkpoint thread; it ends when this is dropped.
#[derive(Debug)]
pub(crate) struct Checkpointer {
    path: PathBuf,
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug, Default)]
struct Shared {
    request: Mutex<Request>,
    changed: Condvar,
    /// Held during a commit and during a restart of the log. SQLite itself would make one of them sleep, in steps of up to a
    /// tenth of a second, until the other has finished.
    write_lock: Mutex<()>,
}

#[derive(Debug, Default)]
struct Request {
    look: bool,
    stop: bool,
}

impl Checkpointer {
    /// Starts the thread for a file that is open already.
    pub fn start(path: &Path) -> Result<Self> {
        let conn = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
        conn.busy_timeout(RESTART_WAIT)?;
        conn.pragma_update(None, "synchronous", "FULL")?;
        let shared = Arc::new(Shared::default());
        let theirs = Arc::clone(&shared);
        let name = format!("checkpoint {}", path.file_stem().unwrap_or_default().display());
        let thread = std::thread::Builder::new().name(name).spawn(move || run(&conn, &theirs));
        let thread = thread.map_err(io)?;
        Ok(Self { path: path.to_owned(), shared, thread: Some(thread) })
    }

    /// The database file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// To be held during a commit.
    pub fn write_lock(&self) -> MutexGuard<'_, ()> {
        self.shared.write_lock.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Wakes the thread after a commit.
    pub fn notify(&self) {
        let mut request = self.shared.lock();
        if !request.look {
            request.look = true;
            self.shared.changed.notify_one();
        }
    }
}

impl Drop for Checkpointer {
    fn drop(&mut self) {
        self.shared.lock().stop = true;
        self.shared.changed.notify_one();
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the checkpoint thread has panicked");
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Request> {
        self.request.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Blocks until a checkpoint is requested; false once the thread is to stop.
    fn wait(&self) -> bool {
        let request = self.lock();
        let mut request =
            self.changed.wait_while(request, |request| !request.look && !request.stop).unwrap_or_else(PoisonError::into_inner);
        request.look = false;
        !request.stop
    }

    fn pause(&self) {
        let wait = self.changed.wait_timeout_while(self.lock(), PAUSE, |request| !request.stop);
        drop(wait.unwrap_or_else(PoisonError::into_inner));
    }
}

fn run(conn: &Connection, shared: &Shared) {
    let mut quiet = true;
    while shared.wait() {
        match run_if_due(conn, BOUNDS, &shared.write_lock) {
            Ok(CheckpointOutcome::Blocked) if quiet => {
                tracing::warn!("a long-running reader blocks the checkpoint: the write-ahead log grows beyond its bound");
                quiet = false;
            }
            Ok(CheckpointOutcome::Blocked) => {}
            Ok(_) => quiet = true,
            Err(error) => tracing::warn!(%error, "checkpoint failed; it is retried"),
        }
        shared.pause();
    }
}

/// What a checkpoint run did.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum CheckpointOutcome {
    /// No threshold was reached.
    NotDue,
    /// Copied as far as readers allow.
    Copied,
    /// The next commit starts the log from its beginning.
    Restarted,
    /// A restart is due and a reader blocks it.
    Blocked,
}

/// Runs the checkpoint that the thresholds ask for.
pub(crate) fn run_if_due(conn: &Connection, bounds: Bounds, write_lock: &Mutex<()>) -> Result<CheckpointOutcome> {
    let (_, frames, copied) = checkpoint(conn, "NOOP")?;
    if frames - copied < bounds.copy && frames < bounds.restart {
        return Ok(CheckpointOutcome::NotDue);
    }
    // Also before a restart: what is copied now is not copied while the writer is blocked.
    let (_, frames, _) = checkpoint(conn, "PASSIVE")?;
    if frames < bounds.restart {
        return Ok(CheckpointOutcome::Copied);
    }
    for _ in 0..CATCH_UPS {
        let (_, frames, copied) = checkpoint(conn, "NOOP")?;
        if frames - copied <= bounds.left {
            break;
        }
        checkpoint(conn, "PASSIVE")?;
    }
    let _turn = write_lock.lock().unwrap_or_else(PoisonError::into_inner);
    // The file keeps its size: a commit into allocated space costs no allocation and a cheaper sync.
    let (busy, ..) = checkpoint(conn, "RESTART")?;
    Ok(if busy { CheckpointOutcome::Blocked } else { CheckpointOutcome::Restarted })
}

/// Copies the whole log and truncates it, so that a clean shutdown leaves a single, complete file.
pub(crate) fn finish(conn: &Connection) {
    match checkpoint(conn, "TRUNCATE") {
        Ok((false, ..)) => {}
        Ok((true, ..)) => tracing::info!("a reader is still open: the write-ahead log is kept"),
        Err(error) => tracing::warn!(%error, "final checkpoint failed; the write-ahead log is kept"),
    }
}

/// Truncates the log after its last valid commit: discards what failed commits have left. It needs no free disk space.
pub(crate) fn truncate_tail(conn: &Connection, path: &Path) -> Result<()> {
    // Blocks appends and restarts of the log meanwhile. The end must be read on another connection, because a checkpoint pragma
    // does nothing within a transaction.
    conn.execute_batch("BEGIN IMMEDIATE")?;
    let cut = wal_end(path).and_then(|end| {
        let log = OpenOptions::new().write(true).open(wal_of(path)).map_err(io)?;
        if log.metadata().map_err(io)?.len() > end {
            log.set_len(end).map_err(io)?;
        }
        log.sync_all().map_err(io)
    });
    conn.execute_batch("ROLLBACK")?;
    cut
}

/// The offset of the next commit in the log file: after its header, and after each page with its frame header.
fn wal_end(path: &Path) -> Result<u64> {
    let conn = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
    let page: u64 = conn.pragma_query_value(None, "page_size", |row| Ok(row.get::<_, U64>(0)?.0))?;
    let frames = u64::try_from(checkpoint(&conn, "NOOP")?.1).unwrap_or_default();
    Ok(if frames == 0 { 0 } else { 32 + frames * (24 + page) })
}

fn io(error: std::io::Error) -> rusqlite::Error {
    rusqlite::Error::ToSqlConversionFailure(Box::new(error))
}

/// Whether the checkpoint was blocked, the frames of the log, and the frames copied.
fn checkpoint(conn: &Connection, mode: &str) -> Result<(bool, i64, i64)> {
    let mut statement = conn.prepare_cached(&format!("PRAGMA wal_checkpoint({mode})"))?;
    statement.query_row([], |row| Ok((row.get::<_, i64>(0)? != 0, row.get(1)?, row.get(2)?)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frames(conn: &Connection) -> i64 {
        checkpoint(conn, "NOOP").unwrap().1
    }

    fn with_wal(name: &str) -> (tempfile::TempDir, Connection, Connection) {
        let dir = tempfile::tempdir().unwrap();
        let open = || {
            let conn = Connection::open(dir.path().join(name)).unwrap();
            conn.pragma_update(None, "journal_mode", "WAL").unwrap();
            conn.pragma_update(None, "wal_autocheckpoint", 0).unwrap();
            conn.busy_timeout(Duration::from_millis(10)).unwrap();
            conn
        };
        let (writer, other) = (open(), open());
        writer.execute_batch("CREATE TABLE t (a); INSERT INTO t VALUES (zeroblob(100000))").unwrap();
        (dir, writer, other)
    }

    #[test]
    fn a_short_wal_is_not_checkpointed() {
        let (_dir, _writer, conn) = with_wal("short.db");
        assert_eq!(run_if_due(&conn, BOUNDS, &Mutex::default()).unwrap(), CheckpointOutcome::NotDue);
        assert!(frames(&conn) > 20);
    }

    #[test]
    fn copied_frames_are_not_copied_again_and_the_next_commit_restarts_the_wal() {
        let (_dir, writer, conn) = with_wal("copied.db");
        let bounds = Bounds { copy: 10, restart: 1_000, left: 0 };
        assert_eq!(run_if_due(&conn, bounds, &Mutex::default()).unwrap(), CheckpointOutcome::Copied);
        assert_eq!(run_if_due(&conn, bounds, &Mutex::default()).unwrap(), CheckpointOutcome::NotDue);
        writer.execute_batch("INSERT INTO t VALUES (1)").unwrap();
        assert!(frames(&conn) < 10);
    }

    #[test]
    fn a_wal_beyond_its_bound_restarts_once_no_reader_blocks_it() {
        let (_dir, writer, conn) = with_wal("long.db");
        let bounds = Bounds { copy: 1_000, restart: 10, left: 0 };
        writer.execute_batch("BEGIN; SELECT * FROM t").unwrap();
        assert_eq!(run_if_due(&conn, bounds, &Mutex::default()).unwrap(), CheckpointOutcome::Blocked);
        writer.execute_batch("COMMIT").unwrap();
        assert_eq!(run_if_due(&conn, bounds, &Mutex::default()).unwrap(), CheckpointOutcome::Restarted);
        writer.execute_batch("INSERT INTO t VALUES (1)").unwrap();
        assert!(frames(&conn) < 10);
    }
}
