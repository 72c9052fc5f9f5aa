//! Up to where the log is whole.
//!
//! Writers draw positions and commit in any order, so that below a position that can be seen another one may still come. Who
//! goes on reading "after the last" would pass over it. What was drawn is whole once every transaction has ended that was
//! under way then: each of ours has written, and so has a number, before it draws. Which are under way, the list of backends
//! says; a snapshot does not tell of those that began after the last one that has ended.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::error::Failed;
use crate::session::Link;
use crate::value::{get, natural};

/// A transaction of ours has ended after so long, whatever else is under way in the database.
const LONGEST: Duration = Duration::from_secs(30);

/// Most transactions last a few milliseconds: for those one waits.
const LOOKS: u32 = 20;
const LOOK_EVERY: Duration = Duration::from_millis(5);

/// What is known of it; shared by all readers of a process.
#[derive(Default)]
pub(crate) struct Settled(Mutex<Known>);

#[derive(Debug, Default)]
struct Known {
    upto: u64,
    waiting: Option<Mark>,
}

/// A position, and the latest transaction that may have drawn at or below it.
#[derive(Debug, Clone, Copy)]
struct Mark {
    drawn: u64,
    newest: i64,
    since: Instant,
}

/// What the database says: the last position that was drawn; and then the oldest and the newest transaction under way.
#[derive(Debug, Clone, Copy)]
struct Said {
    drawn: u64,
    under_way: Option<(i64, i64)>,
}

impl Settled {
    /// The last position up to which nothing can come any more.
    pub async fn upto(&self, link: &mut Link) -> Result<u64, Failed> {
        let mut upto = 0;
        for look in 0..LOOKS {
            if look > 0 {
                tokio::time::sleep(LOOK_EVERY).await;
            }
            let said = ask(link).await?;
            upto = self.0.lock().unwrap_or_else(PoisonError::into_inner).hear(said, Instant::now());
            if upto >= said.drawn {
                break;
            }
        }
        Ok(upto)
    }
}

/// In two statements: who has drawn by the first is known to the second.
async fn ask(link: &mut Link) -> Result<Said, Failed> {
    let lost = || Failed::Damaged("the database does not know its own transactions".into());
    let drawn = link.row("SELECT last_value FROM log_seq", &[]).await?.ok_or_else(lost)?;
    let sql = "SELECT min(backend_xid::text::int8), max(backend_xid::text::int8) FROM pg_stat_activity \
               WHERE datname = current_database() AND backend_xid IS NOT NULL";
    let transactions = link.row(sql, &[]).await?.ok_or_else(lost)?;
    let ends: (Option<i64>, Option<i64>) = (get(&transactions, 0)?, get(&transactions, 1)?);
    Ok(Said { drawn: natural(&drawn, 0)?, under_way: ends.0.zip(ends.1) })
}

impl Known {
    /// Numbers begin anew after four thousand million; what that confuses is put right by the time.
    fn hear(&mut self, said: Said, now: Instant) -> u64 {
        let Some((oldest, newest)) = said.under_way else {
            (self.upto, self.waiting) = (self.upto.max(said.drawn), None);
            return self.upto;
        };
        if let Some(mark) = self.waiting
            && (oldest > mark.newest || now.saturating_duration_since(mark.since) >= LONGEST)
        {
            self.upto = self.upto.max(mark.drawn);
            self.waiting = None;
        }
        if self.upto < said.drawn && self.waiting.is_none() {
            self.waiting = Some(Mark { drawn: said.drawn, newest, since: now });
        }
        self.upto
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(drawn: u64, oldest: i64, newest: i64) -> Said {
        Said { drawn, under_way: Some((oldest, newest)) }
    }

    #[test]
    fn with_nobody_under_way_all_that_was_drawn_is_there() {
        assert_eq!(Known::default().hear(Said { drawn: 7, under_way: None }, Instant::now()), 7);
    }

    #[test]
    fn what_was_drawn_is_whole_when_those_have_ended_who_were_under_way() {
        let (mut known, now) = (Known::default(), Instant::now());
        assert_eq!(known.hear(said(7, 95, 99), now), 0);
        assert_eq!(known.hear(said(9, 99, 103), now), 0, "99 may have drawn 6");
        assert_eq!(known.hear(said(12, 101, 109), now), 7, "of 8 and 9 nothing is known yet");
        assert_eq!(known.hear(said(12, 109, 110), now), 7);
        assert_eq!(known.hear(said(13, 110, 111), now), 12);
        assert_eq!(known.hear(Said { drawn: 14, under_way: None }, now), 14);
    }

    #[test]
    fn a_transaction_of_others_that_never_ends_holds_nothing_up_for_ever() {
        let (mut known, now) = (Known::default(), Instant::now());
        assert_eq!(known.hear(said(7, 95, 99), now), 0);
        assert_eq!(known.hear(said(9, 95, 103), now + LONGEST), 7);
    }
}
