//! Reading the log: which records, and a scan through them in bounded steps.

use crate::record::Record;

/// Which records of the log.
#[derive(Debug, Clone, Default)]
pub struct LogQuery {
    /// After this position.
    pub after: u64,
    /// At most so many; the bound is the caller's.
    pub limit: usize,
    /// Of this type.
    pub event_type: Option<String>,
    /// Of this correlation key.
    pub key: Option<String>,
    /// Caused by this request.
    pub request: Option<String>,
    /// Decided at or after, milliseconds since 1970.
    pub from_ms: Option<i64>,
    /// Decided before, milliseconds since 1970.
    pub until_ms: Option<i64>,
}

impl LogQuery {
    /// Whether every record after the position is wanted.
    pub fn is_unfiltered(&self) -> bool {
        self.attributes().next().is_none() && self.from_ms.is_none() && self.until_ms.is_none()
    }

    /// The attributes of a record that must equal a text, by the name of the attribute.
    pub fn attributes(&self) -> impl Iterator<Item = (&'static str, &str)> {
        let all = [("event_type", &self.event_type), ("key", &self.key), ("request", &self.request)];
        all.into_iter().filter_map(|(name, wanted)| Some((name, wanted.as_deref()?)))
    }

    /// Whether a record passes the filters; its position is not looked at.
    pub fn matches(&self, record: &Record) -> bool {
        let equal = |(name, wanted): (&str, &str)| match name {
            "event_type" => record.event_type == wanted,
            "key" => record.key == wanted,
            _ => record.cause.request == wanted,
        };
        self.attributes().all(equal)
            && self.from_ms.is_none_or(|from| record.time_ms >= from)
            && self.until_ms.is_none_or(|until| record.time_ms < until)
    }
}

/// A filtered scan through the log, in steps of bounded size: each is a short read of its own, because a long one would keep
/// SQLite's write-ahead log from being truncated, and PostgreSQL's dead rows from being vacuumed.
#[derive(Debug)]
pub struct LogScan<'a> {
    query: &'a LogQuery,
    step: u64,
    position: u64,
    last: u64,
    found: Vec<Record>,
}

/// One step of a [`LogScan`]: the positions after `after` up to and including `upto`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogRange {
    /// The position before the first.
    pub after: u64,
    /// The last position.
    pub upto: u64,
    /// At most so many records.
    pub limit: usize,
}

impl<'a> LogScan<'a> {
    /// Scans from the first position that the log has to the last, `step` positions at a time.
    pub fn new(query: &'a LogQuery, step: u64, first: u64, last: u64) -> Self {
        Self { query, step, position: query.after.max(first.saturating_sub(1)), last, found: Vec::new() }
    }

    /// What to read next; none once the end or the query's limit is reached.
    pub fn next_range(&self) -> Option<LogRange> {
        let missing = self.query.limit.saturating_sub(self.found.len());
        let upto = self.position.saturating_add(self.step).min(self.last);
        (self.position < self.last && missing > 0).then_some(LogRange { after: self.position, upto, limit: missing })
    }

    /// Takes the matching records of a range.
    pub fn advance(&mut self, range: LogRange, records: Vec<Record>) {
        self.position = range.upto;
        self.found.extend(records);
    }

    /// All matching records, in order.
    pub fn into_records(self) -> Vec<Record> {
        self.found
    }
}

#[cfg(test)]
mod tests {
    use kernel::event::Cause;

    use super::*;

    fn record(seq: u64) -> Record {
        Record {
            seq,
            id: seq.to_string(),
            source: "desk".into(),
            event_type: "Happened".into(),
            version: 1,
            key: if seq.is_multiple_of(7) { "wanted" } else { "other" }.into(),
            time_ms: i64::try_from(seq).unwrap(),
            data: Vec::new(),
            cause: Cause::default(),
        }
    }

    #[test]
    fn a_scan_in_short_steps_finds_what_a_single_read_would() {
        let log: Vec<Record> = (11..=60).map(record).collect();
        for (limit, step) in [(100, 1), (100, 9), (100, 1_000), (3, 9), (0, 9)] {
            let query = LogQuery { after: 14, limit, key: Some("wanted".into()), ..LogQuery::default() };
            let mut scan = LogScan::new(&query, step, 11, 60);
            while let Some(range) = scan.next_range() {
                assert!(range.upto - range.after <= step && range.upto <= 60);
                let within = log.iter().filter(|record| record.seq > range.after && record.seq <= range.upto);
                let found = within.filter(|record| query.matches(record)).take(range.limit).cloned().collect();
                scan.advance(range, found);
            }
            let found: Vec<u64> = scan.into_records().iter().map(|record| record.seq).collect();
            let all = [21, 28, 35, 42, 49, 56];
            assert_eq!(found, all[..limit.min(all.len())], "limit {limit}, step {step}");
        }
    }

    #[test]
    fn a_scan_begins_where_the_pruned_log_does() {
        let query = LogQuery { limit: 10, ..LogQuery::default() };
        let scan = LogScan::new(&query, 5, 41, 60);
        assert_eq!(scan.next_range(), Some(LogRange { after: 40, upto: 45, limit: 10 }));
        assert_eq!(LogScan::new(&query, 5, 61, 60).next_range(), None);
    }

    #[test]
    fn every_filter_of_a_log_query_counts() {
        let all = LogQuery::default();
        assert!(all.is_unfiltered() && all.matches(&record(7)));
        let narrowed = [
            LogQuery { event_type: Some("Other".into()), ..all.clone() },
            LogQuery { key: Some("other".into()), ..all.clone() },
            LogQuery { request: Some("request".into()), ..all.clone() },
            LogQuery { from_ms: Some(8), ..all.clone() },
            LogQuery { until_ms: Some(7), ..all.clone() },
        ];
        for query in narrowed {
            assert!(!query.is_unfiltered() && !query.matches(&record(7)), "{query:?}");
        }
    }
}
