//! The visibility horizon of the log: the position up to which no record can become visible any more.
//!
//! Writers are assigned positions and commit in any order, so that a lower position may become visible after a higher one: a
//! consumer that reads "after the last" would skip it. All assigned positions are final once every transaction that was running
//! then has ended; each writer has a transaction id before it is assigned a position. The running transactions are taken from
//! `pg_stat_activity`: a snapshot lacks those that began after the last one that has ended.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use ports::StoreError;

use crate::connection::session::Connection;
use crate::error::DatabaseError;
use crate::value::{get, get_u64};

/// A commit ends within this time, whatever else runs in the database.
const LONGEST: Duration = Duration::from_secs(30);

/// Most transactions take a few milliseconds: a reader waits for them, without holding a connection.
const POLLS: u32 = 200;
const POLL_EVERY: Duration = Duration::from_millis(5);

/// The known horizon, shared by all readers of a process.
#[derive(Default)]
pub(crate) struct Horizon(Mutex<Known>);

#[derive(Debug, Default)]
struct Known {
    upto: u64,
    waiting: Option<Pending>,
}

/// A position, and the newest transaction that may have been assigned one at or below it.
#[derive(Debug, Clone, Copy)]
struct Pending {
    drawn: u64,
    newest: i64,
    since: Instant,
}

/// The last assigned position, then the oldest and the newest running transaction.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Snapshot {
    drawn: u64,
    under_way: Option<(i64, i64)>,
}

impl Horizon {
    /// The horizon; it includes all positions assigned at the time of the call, unless a commit takes long.
    pub fn upto(&self, ask: impl Fn() -> Result<Snapshot, StoreError>) -> Result<u64, StoreError> {
        let mut wanted = None;
        let mut upto = 0;
        for look in 0..POLLS {
            if look > 0 {
                std::thread::sleep(POLL_EVERY);
            }
            let at = Instant::now();
            let snapshot = ask()?;
            upto = self.0.lock().unwrap_or_else(PoisonError::into_inner).advance(snapshot, at);
            if upto >= *wanted.get_or_insert(snapshot.drawn) {
                return Ok(upto);
            }
        }
        // An unknown horizon is not an empty log.
        if upto > 0 { Ok(upto) } else { Err(StoreError::Unavailable("commits that are under way do not end".into())) }
    }
}

/// Two statements: a writer with a position by the first has a transaction by the second. Only writers are assigned positions.
pub(crate) async fn ask(conn: &mut Connection) -> Result<Snapshot, DatabaseError> {
    let lost = || DatabaseError::Corrupt("the database does not know its own transactions".into());
    let drawn = conn.row("SELECT CASE WHEN is_called THEN last_value ELSE 0 END FROM log_seq", &[]).await?.ok_or_else(lost)?;
    // PostgreSQL truncates identifiers to 63 bytes.
    let sql = "SELECT min(backend_xid::text::int8), max(backend_xid::text::int8) FROM pg_stat_activity \
               WHERE datname = current_database() AND backend_xid IS NOT NULL \
               AND application_name = left('pabal ' || current_schema() || ' writer', 63)";
    let transactions = conn.row(sql, &[]).await?.ok_or_else(lost)?;
    let ends: (Option<i64>, Option<i64>) = (get(&transactions, 0)?, get(&transactions, 1)?);
    Ok(Snapshot { drawn: get_u64(&drawn, 0)?, under_way: ends.0.zip(ends.1) })
}

impl Known {
    /// Transaction ids wrap around after four thousand million; the time limit corrects what that confuses. `at` is the time of
    /// the query: one that began before the mark proves nothing about it.
    fn advance(&mut self, snapshot: Snapshot, at: Instant) -> u64 {
        let Some((oldest, newest)) = snapshot.under_way else {
            self.upto = self.upto.max(snapshot.drawn);
            return self.upto;
        };
        if let Some(mark) = self.waiting
            && at > mark.since
            && (oldest > mark.newest || at.duration_since(mark.since) >= LONGEST)
        {
            self.upto = self.upto.max(mark.drawn);
            self.waiting = None;
        }
        if self.upto < snapshot.drawn && self.waiting.is_none() {
            self.waiting = Some(Pending { drawn: snapshot.drawn, newest, since: Instant::now().max(at) });
        }
        self.upto
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn snapshot(drawn: u64, oldest: i64, newest: i64) -> Snapshot {
        Snapshot { drawn, under_way: Some((oldest, newest)) }
    }

    /// In so many milliseconds: marks are timed by the clock, and queries come later.
    fn later(ms: u64) -> Instant {
        Instant::now() + Duration::from_millis(ms)
    }

    #[test]
    fn without_running_transactions_all_assigned_positions_are_final() {
        assert_eq!(Known::default().advance(Snapshot { drawn: 7, under_way: None }, Instant::now()), 7);
    }

    #[test]
    fn assigned_positions_are_final_once_the_running_transactions_have_ended() {
        let mut known = Known::default();
        let before = Instant::now();
        assert_eq!(known.advance(snapshot(7, 95, 99), before), 0);
        assert_eq!(known.advance(snapshot(9, 99, 103), later(1_000)), 0, "99 may have drawn 6");
        assert_eq!(known.advance(snapshot(9, 101, 103), before), 0, "it was asked before the mark was made");
        assert_eq!(known.advance(snapshot(12, 101, 109), later(2_000)), 7, "of 8 and 9 nothing is known yet");
        assert_eq!(known.advance(snapshot(12, 109, 110), later(3_000)), 7);
        assert_eq!(known.advance(snapshot(13, 110, 111), later(4_000)), 12);
        assert_eq!(known.advance(Snapshot { drawn: 14, under_way: None }, later(5_000)), 14);
    }

    #[test]
    fn a_transaction_that_never_ends_does_not_block_the_horizon() {
        let mut known = Known::default();
        assert_eq!(known.advance(snapshot(7, 95, 99), Instant::now()), 0);
        assert_eq!(known.advance(snapshot(9, 95, 103), Instant::now() + LONGEST + LONGEST), 7);
    }

    #[test]
    fn a_reader_waits_for_the_positions_assigned_before_its_call_and_no_others() {
        let (horizon, looks) = (Horizon::default(), std::cell::Cell::new(0_i64));
        let ask = || {
            looks.set(looks.get() + 1);
            let look = looks.get();
            // A busy database: there is always a running transaction.
            Ok(Snapshot { drawn: 10 + look.unsigned_abs(), under_way: Some((100 + look, 102 + look)) })
        };
        assert_eq!(horizon.upto(ask).unwrap(), 11);
        assert!(looks.get() < 10, "{} looks", looks.get());
        let never = || Ok(Snapshot { drawn: 5, under_way: Some((1, 2)) });
        assert!(matches!(Horizon::default().upto(never), Err(StoreError::Unavailable(_))), "nothing is known of it");
        assert_eq!(horizon.upto(never).unwrap(), 11);
    }
}
