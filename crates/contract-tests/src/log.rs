//! The log: in order, found by its filters, and pruned only where it is no longer needed.

use kernel::event::Cause;
use macro_rules_attribute::apply;
use ports::{AnswerRow, Commit, LogQuery, Record};

use crate::StoreHarness;
use crate::rows::record;
use crate::session::StoreSession;

/// Six records of two types and three keys, one a second.
fn written<H: StoreHarness>() -> StoreSession<H> {
    let mut session = StoreSession::<H>::new();
    let types = ["Taken", "Sent", "Taken", "Sent", "Taken", "Taken"];
    let records: Vec<_> = (1..).zip(types).map(|(seq, kind)| record(seq, kind, &format!("key {}", seq % 3))).collect();
    let (first, second) = records.split_at(4);
    session.commit(Commit { log: first.to_vec(), ..Commit::default() });
    session.commit(Commit { log: second.to_vec(), ..Commit::default() });
    session
}

/// The numbers of records: their positions, where a core gives them.
fn seqs(records: &[Record]) -> Vec<u64> {
    records.iter().filter_map(|record| record.id.strip_prefix("event-")?.parse().ok()).collect()
}

/// The position of a record: its number, where a core gives it.
fn place<H: StoreHarness>(session: &StoreSession<H>, number: u64) -> u64 {
    let records = session.reader().log(&all()).expect("the log is read");
    let found = records.iter().find(|record| record.id == format!("event-{number}"));
    found.expect("the record is there").seq
}

fn find<H: StoreHarness>(session: &StoreSession<H>, query: LogQuery) -> Vec<u64> {
    let query = LogQuery { limit: query.limit.max(1), ..query };
    seqs(&session.reader().log(&query).expect("the log is read"))
}

/// All that is asked for, from the beginning, without a filter.
fn all() -> LogQuery {
    LogQuery { limit: 100, ..LogQuery::default() }
}

fn left<H: StoreHarness>(session: &mut StoreSession<H>) -> Vec<u64> {
    seqs(&session.store().log_after(0, 100).expect("the log is read"))
}

/// The log of events.
#[apply(checks!)]
impl<H: StoreHarness> LogChecks<H> {
    /// Every part of it, and after a crash too.
    pub fn records_come_back_as_they_were_written() {
        let mut session = StoreSession::<H>::new();
        let cause = Cause {
            actor: "a person".into(),
            request: "r-1".into(),
            causation: "event-0".into(),
            trace: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".into(),
        };
        let data = "{\"eventType\":\"Taken\",\"text\":\"가 \\\" 🎈\"}".as_bytes().to_vec();
        let rich = Record {
            version: 7,
            time_ms: 1_767_225_600_123,
            source: "elsewhere".into(),
            data,
            cause,
            ..record(1, "Taken", "가")
        };
        let bare = Record { cause: Cause::default(), time_ms: -1, ..record(2, "Sent", "") };
        session.commit(Commit { log: vec![rich.clone(), bare.clone()], ..Commit::default() });
        session.reopen();
        let records = session.store().log_after(0, 10).expect("the log is read");
        assert_eq!(session.unplaced(records), [rich.clone(), bare.clone()]);
        let records = session.reader().log(&all()).expect("the log is read");
        assert_eq!(session.unplaced(records), [rich, bare]);
    }

    /// Type, key, request, and both ends of a time.
    pub fn records_are_found_by_each_filter() {
        let session = written::<H>();
        assert_eq!(find(&session, LogQuery { event_type: Some("Sent".into()), ..all() }), [2, 4]);
        assert_eq!(find(&session, LogQuery { key: Some("key 1".into()), ..all() }), [1, 4]);
        assert_eq!(find(&session, LogQuery { request: Some("request of key 0".into()), ..all() }), [3, 6]);
        assert_eq!(find(&session, LogQuery { from_ms: Some(5000), ..all() }), [5, 6]);
        assert_eq!(find(&session, LogQuery { until_ms: Some(3000), ..all() }), [1, 2]);
        assert_eq!(find(&session, LogQuery { key: Some("key".into()), ..all() }), [0; 0]);
    }

    /// A record must meet all of them.
    pub fn filters_of_the_log_hold_together() {
        let session = written::<H>();
        let taken = LogQuery { event_type: Some("Taken".into()), ..all() };
        assert_eq!(find(&session, LogQuery { from_ms: Some(2000), until_ms: Some(6000), ..taken.clone() }), [3, 5]);
        assert_eq!(find(&session, LogQuery { key: Some("key 0".into()), after: place(&session, 3), ..taken.clone() }), [6]);
        assert_eq!(
            find(&session, LogQuery { request: Some("request of key 2".into()), key: Some("key 1".into()), ..taken }),
            [0; 0]
        );
    }

    /// The limit counts what is found, not what is looked at.
    pub fn a_filtered_log_goes_on_behind_its_last_record() {
        let session = written::<H>();
        let taken = LogQuery { event_type: Some("Taken".into()), limit: 2, ..all() };
        assert_eq!(find(&session, taken.clone()), [1, 3]);
        assert_eq!(find(&session, LogQuery { after: place(&session, 3), ..taken.clone() }), [5, 6]);
        assert_eq!(find(&session, LogQuery { after: place(&session, 6), ..taken }), [0; 0]);
    }

    /// Whatever becomes of the log.
    pub fn pruning_forgets_expired_answers_only() {
        let mut session = written::<H>();
        let answer = |key: &str, expires_ms| {
            let (scope, key, fingerprint) = ("scope".to_owned(), key.to_owned(), "f".to_owned());
            AnswerRow { scope, key, fingerprint, expires_ms, answer: b"{}".to_vec() }
        };
        let answers = vec![answer("first", 1000), answer("second", 2000), answer("third", 9000)];
        session.commit(Commit { answers, ..Commit::default() });
        assert_eq!(session.store().prune(0, 0, 999, 100).expect("it prunes"), 0);
        assert_eq!(session.store().prune(0, 0, 5000, 1).expect("it prunes"), 1);
        assert_eq!(session.store().prune(0, 0, 5000, 100).expect("it prunes"), 1);
        let mut there = |key| session.store().answer("scope", key).expect("answers are read").is_some();
        assert_eq!(["first", "second", "third"].map(&mut there), [false, false, true]);
        assert_eq!(left(&mut session).len(), 6);
    }
}

/// Positions and pruning of a log that one process has for itself.
#[apply(checks!)]
impl<H: StoreHarness> ExclusiveLogChecks<H> {
    /// At most so many; nothing behind the end.
    pub fn records_come_in_order_after_a_position() {
        let mut session = written::<H>();
        assert_eq!(left(&mut session), [1, 2, 3, 4, 5, 6]);
        let records = session.reader().log(&all()).expect("the log is read");
        assert_eq!(records.iter().map(|record| record.seq).collect::<Vec<_>>(), [1, 2, 3, 4, 5, 6]);
        assert_eq!(seqs(&session.store().log_after(2, 3).expect("the log is read")), [3, 4, 5]);
        assert_eq!(seqs(&session.store().log_after(6, 3).expect("the log is read")), [0; 0]);
        assert_eq!(find(&session, LogQuery { after: 2, limit: 3, ..all() }), [3, 4, 5]);
        assert_eq!(find(&session, LogQuery { after: 60, ..all() }), [0; 0]);
        assert_eq!(session.reader().last_seq().expect("it knows its end"), 6);
        assert_eq!(session.reader().first_seq().expect("it knows its beginning"), 1);
    }

    /// Neither younger records, nor those above the position.
    pub fn pruning_takes_only_what_is_old_and_read() {
        let mut session = written::<H>();
        assert_eq!(session.store().prune(3000, 6, 0, 100).expect("it prunes"), 2);
        assert_eq!(left(&mut session), [3, 4, 5, 6]);
        assert_eq!(session.store().prune(i64::MAX, 4, 0, 100).expect("it prunes"), 2);
        assert_eq!(left(&mut session), [5, 6]);
        assert_eq!(session.store().prune(i64::MAX, 4, 0, 100).expect("it prunes"), 0);
        assert_eq!(session.store().prune(5000, 6, 0, 100).expect("it prunes"), 0);
        session.reopen();
        assert_eq!(left(&mut session), [5, 6]);
        assert_eq!(session.reader().first_seq().expect("it knows its beginning"), 5);
    }

    /// In bounded steps, so that commits do not wait long.
    pub fn pruning_takes_no_more_than_its_limit_and_the_first_first() {
        let mut session = written::<H>();
        assert_eq!(session.store().prune(i64::MAX, 5, 0, 3).expect("it prunes"), 3);
        assert_eq!(left(&mut session), [4, 5, 6]);
        assert_eq!(session.store().prune(i64::MAX, 5, 0, 3).expect("it prunes"), 2);
        assert_eq!(left(&mut session), [6]);
    }

    /// Positions go on where they were; the first that it "has" is the next that it gets.
    pub fn a_pruned_log_still_knows_its_end() {
        let mut session = written::<H>();
        assert_eq!(session.store().prune(i64::MAX, 6, 0, 100).expect("it prunes"), 6);
        session.reopen();
        assert_eq!(session.reader().last_seq().expect("it knows its end"), 6);
        assert_eq!(session.reader().first_seq().expect("it knows its beginning"), 7);
        assert_eq!(session.recovered().last_seq, 6);
        session.commit(Commit { log: vec![record(7, "Taken", "first")], ..Commit::default() });
        assert_eq!(left(&mut session), [7]);
        assert_eq!(session.reader().first_seq().expect("it knows its beginning"), 7);
    }
}
