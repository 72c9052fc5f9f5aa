//! Copies the write-ahead log into the file, beside the writer and not in its commits, and keeps the log within a bound.

use std::fs::OpenOptions;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use rusqlite::{Connection, OpenFlags, Result};

use crate::identity::wal_of;
use crate::value::Nat;

/// How long it looks away after it has looked: what it does costs the disk that commits wait for. Under load it copies much
/// at once then, and a page that was written often only once; under less it copies little, and nobody waits for it long.
const PAUSE: Duration = Duration::from_millis(250);

/// How long a log that is too long may hold the writer while readers finish.
const RESTART_WAIT: Duration = Duration::from_millis(250);

/// When something is done about the log, in its frames of one page each.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bounds {
    /// So many that are not in the file yet are copied; nobody waits for that.
    pub copy: i64,
    /// From so many in all, the writer is held for a moment and the log begins anew: under a steady stream of commits it
    /// would never come to an end by itself.
    pub restart: i64,
    /// No more than so many are left to be copied while the writer is held.
    pub left: i64,
}

/// About 4, 128 and 2 MB.
const BOUNDS: Bounds = Bounds { copy: 1_000, restart: 32_000, left: 500 };

/// So often it is tried to come that near to a writer who goes on writing.
const CATCH_UPS: usize = 8;

/// The thread; it ends when this is dropped.
#[derive(Debug)]
pub(crate) struct Checkpointer {
    path: PathBuf,
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug, Default)]
struct Shared {
    wish: Mutex<Wish>,
    changed: Condvar,
    /// Held by whoever writes: a commit, or the log that begins anew. SQLite itself would let the one sleep, in steps of up
    /// to a tenth of a second, until the other happens to be done.
    turn: Mutex<()>,
}

#[derive(Debug, Default)]
struct Wish {
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

    /// The file whose log it copies.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// To be held while something is written.
    pub fn turn(&self) -> MutexGuard<'_, ()> {
        self.shared.turn.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Something was committed.
    pub fn nudge(&self) {
        let mut wish = self.shared.lock();
        if !wish.look {
            wish.look = true;
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
    fn lock(&self) -> MutexGuard<'_, Wish> {
        self.wish.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sleeps until there is something to look at; false when it is time to end.
    fn wait(&self) -> bool {
        let wish = self.lock();
        let mut wish = self.changed.wait_while(wish, |wish| !wish.look && !wish.stop).unwrap_or_else(PoisonError::into_inner);
        wish.look = false;
        !wish.stop
    }

    fn pause(&self) {
        let wait = self.changed.wait_timeout_while(self.lock(), PAUSE, |wish| !wish.stop);
        drop(wait.unwrap_or_else(PoisonError::into_inner));
    }
}

fn run(conn: &Connection, shared: &Shared) {
    let mut quiet = true;
    while shared.wait() {
        match tend(conn, BOUNDS, &shared.turn) {
            Ok(Tended::Held) if quiet => {
                tracing::warn!("the write-ahead log grows beyond its bound because somebody reads for long");
                quiet = false;
            }
            Ok(Tended::Held) => {}
            Ok(_) => quiet = true,
            Err(error) => tracing::warn!(%error, "the write-ahead log was not copied; it is tried again"),
        }
        shared.pause();
    }
}

/// What was done about the log.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Tended {
    /// Nothing had to be.
    Short,
    /// It was copied, as far as readers let it.
    Copied,
    /// The next commit begins it anew.
    Restarted,
    /// It should be, and a reader holds it.
    Held,
}

/// Looks at the log and does what its bounds ask for.
pub(crate) fn tend(conn: &Connection, bounds: Bounds, turn: &Mutex<()>) -> Result<Tended> {
    let (_, frames, copied) = checkpoint(conn, "NOOP")?;
    if frames - copied < bounds.copy && frames < bounds.restart {
        return Ok(Tended::Short);
    }
    // Also before a restart: what is copied now need not be while the writer waits.
    let (_, frames, _) = checkpoint(conn, "PASSIVE")?;
    if frames < bounds.restart {
        return Ok(Tended::Copied);
    }
    for _ in 0..CATCH_UPS {
        let (_, frames, copied) = checkpoint(conn, "NOOP")?;
        if frames - copied <= bounds.left {
            break;
        }
        checkpoint(conn, "PASSIVE")?;
    }
    let _turn = turn.lock().unwrap_or_else(PoisonError::into_inner);
    // The file keeps its length: room that it has already costs a commit no allocation and less of a sync.
    let (busy, ..) = checkpoint(conn, "RESTART")?;
    Ok(if busy { Tended::Held } else { Tended::Restarted })
}

/// Copies all of the log and empties it, so that what a process leaves in order is one file that is whole by itself.
pub(crate) fn finish(conn: &Connection) {
    match checkpoint(conn, "TRUNCATE") {
        Ok((false, ..)) => {}
        Ok((true, ..)) => tracing::info!("somebody still reads: the write-ahead log stays beside its file"),
        Err(error) => tracing::warn!(%error, "the write-ahead log was not copied at the end; it stays beside its file"),
    }
}

/// Cuts off what failed commits have left in the log behind the last that succeeded. It needs no room on the disk.
pub(crate) fn cut_off(conn: &Connection, path: &Path) -> Result<()> {
    // As long as this lasts nobody appends to the log or begins it anew. It must be another connection that asks for
    // the end, because within a transaction none does.
    conn.execute_batch("BEGIN IMMEDIATE")?;
    let cut = end_of_log(path).and_then(|end| {
        let log = OpenOptions::new().write(true).open(wal_of(path)).map_err(io)?;
        if log.metadata().map_err(io)?.len() > end {
            log.set_len(end).map_err(io)?;
        }
        log.sync_all().map_err(io)
    });
    conn.execute_batch("ROLLBACK")?;
    cut
}

/// Where the next commit begins in the file of the log: behind its header, and each page with a header of its own.
fn end_of_log(path: &Path) -> Result<u64> {
    let conn = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
    let page: u64 = conn.pragma_query_value(None, "page_size", |row| Ok(row.get::<_, Nat>(0)?.0))?;
    let frames = u64::try_from(checkpoint(&conn, "NOOP")?.1).unwrap_or_default();
    Ok(if frames == 0 { 0 } else { 32 + frames * (24 + page) })
}

fn io(error: std::io::Error) -> rusqlite::Error {
    rusqlite::Error::ToSqlConversionFailure(Box::new(error))
}

/// Whether somebody was in the way, the frames of the log, and those that are in the file.
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
    fn a_short_log_is_left_alone() {
        let (_dir, _writer, conn) = with_wal("short.db");
        assert_eq!(tend(&conn, BOUNDS, &Mutex::default()).unwrap(), Tended::Short);
        assert!(frames(&conn) > 20);
    }

    #[test]
    fn what_is_copied_is_not_copied_again_and_the_next_commit_begins_the_log_anew() {
        let (_dir, writer, conn) = with_wal("copied.db");
        let bounds = Bounds { copy: 10, restart: 1_000, left: 0 };
        assert_eq!(tend(&conn, bounds, &Mutex::default()).unwrap(), Tended::Copied);
        assert_eq!(tend(&conn, bounds, &Mutex::default()).unwrap(), Tended::Short);
        writer.execute_batch("INSERT INTO t VALUES (1)").unwrap();
        assert!(frames(&conn) < 10);
    }

    #[test]
    fn a_log_beyond_its_bound_begins_anew_once_no_reader_holds_it() {
        let (_dir, writer, conn) = with_wal("long.db");
        let bounds = Bounds { copy: 1_000, restart: 10, left: 0 };
        writer.execute_batch("BEGIN; SELECT * FROM t").unwrap();
        assert_eq!(tend(&conn, bounds, &Mutex::default()).unwrap(), Tended::Held);
        writer.execute_batch("COMMIT").unwrap();
        assert_eq!(tend(&conn, bounds, &Mutex::default()).unwrap(), Tended::Restarted);
        writer.execute_batch("INSERT INTO t VALUES (1)").unwrap();
        assert!(frames(&conn) < 10);
    }
}
