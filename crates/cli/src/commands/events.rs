//! `pabal events`: reads the log of events, also while another process writes it.

use std::collections::VecDeque;
use std::io::Write;
use std::time::Duration;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use kernel::System;
use ports::{LogQuery, Record};

use crate::args::Events;
use crate::config::Config;
use crate::failed::Failed;
use crate::logfile::LogFile;
use crate::{instants, show};

/// How many of the last events are printed where no start is given.
const LAST: u64 = 50;
/// Records read at once.
const PAGE: usize = 500;
/// How often the file is asked for more; a read of one number.
const POLL_EVERY: Duration = Duration::from_millis(150);

/// Prints what is asked for.
pub fn events(args: &Events, config: &Config, systems: &[System]) -> Result<u8, Failed> {
    let zone = TimeZone::get(&config.zone).unwrap_or(TimeZone::UTC);
    let filter = filter(args, &zone)?;
    let mut logs = logs(args, config, systems)?;
    for log in &mut logs {
        log.start(args, &filter)?;
    }
    let mut out = std::io::stdout().lock();
    let mut left = args.limit.unwrap_or(usize::MAX);
    loop {
        while let Some((system, record)) = next(&mut logs, &filter)? {
            if left == 0 || !show::line(&mut out, &printed(args, system, &record))? {
                return Ok(0);
            }
            left -= 1;
        }
        if !args.follow || left == 0 {
            return Ok(0);
        }
        out.flush().map_err(Failed::from)?;
        std::thread::sleep(POLL_EVERY);
    }
}

fn filter(args: &Events, zone: &TimeZone) -> Result<LogQuery, Failed> {
    let now = Timestamp::now();
    let instant = |flag, text: &Option<String>| text.as_deref().map(|text| instants::read(flag, text, zone, now)).transpose();
    Ok(LogQuery {
        after: 0,
        limit: PAGE,
        event_type: args.event_type.clone(),
        key: args.key.clone(),
        request: args.request.clone(),
        from_ms: instant("--since", &args.since)?,
        until_ms: instant("--until", &args.until)?,
    })
}

/// One system's log, and what was read of it and not printed yet.
struct Log {
    system: &'static str,
    file: LogFile,
    after: u64,
    read: VecDeque<Record>,
}

fn logs(args: &Events, config: &Config, systems: &[System]) -> Result<Vec<Log>, Failed> {
    let wanted: Vec<_> =
        systems.iter().filter(|system| args.topic.as_deref().is_none_or(|topic| topic == system.topic)).collect();
    if wanted.is_empty() {
        let topics: Vec<_> = systems.iter().map(|system| system.topic).collect();
        let topic = args.topic.as_deref().unwrap_or_default();
        return Err(Failed::config(format!("there is no topic `{topic}`; there is {}", topics.join(", "))));
    }
    let mut logs = Vec::new();
    for system in wanted {
        if let Some(file) = LogFile::open(&config.data.dir, system)? {
            logs.push(Log { system: system.name, file, after: 0, read: VecDeque::new() });
        }
    }
    if logs.is_empty() {
        let dir = config.data.dir.display();
        return Err(Failed::unavailable(format!(
            "there is no log in {dir} yet; `pabal run` makes it, --data names another place"
        )));
    }
    Ok(logs)
}

impl Log {
    /// Where to begin: at the first, at the last few, or, where more is waited for, at what comes.
    fn start(&mut self, args: &Events, filter: &LogQuery) -> Result<(), Failed> {
        let filtered = filter.event_type.is_some() || filter.key.is_some() || filter.request.is_some();
        if args.from_beginning || filtered || filter.from_ms.is_some() || filter.until_ms.is_some() {
            return Ok(());
        }
        let last = args.limit.map_or(LAST, |limit| limit as u64);
        let end = self.file.end()?;
        self.after = if args.follow { end } else { end.saturating_sub(last) };
        Ok(())
    }

    fn fill(&mut self, filter: &LogQuery) -> Result<(), Failed> {
        if self.read.is_empty() {
            let (records, after) = self.file.records(&LogQuery { after: self.after, ..filter.clone() })?;
            (self.read, self.after) = (records.into(), after);
        }
        Ok(())
    }
}

/// The oldest record that was not printed yet. Within one log the order is the log's, whatever its clock did.
fn next(logs: &mut [Log], filter: &LogQuery) -> Result<Option<(&'static str, Record)>, Failed> {
    for log in logs.iter_mut() {
        log.fill(filter)?;
    }
    let first =
        logs.iter_mut().filter(|log| !log.read.is_empty()).min_by_key(|log| log.read.front().map(|record| record.time_ms));
    Ok(first.and_then(|log| Some((log.system, log.read.pop_front()?))))
}

fn printed(args: &Events, system: &str, record: &Record) -> String {
    if args.json {
        let value: serde_json::Value = serde_json::from_slice(&record.wire_value()).unwrap_or_default();
        return serde_json::json!({
            "system": system,
            "seq": record.seq,
            "id": record.id,
            "source": record.source,
            "type": record.event_type,
            "version": record.version,
            "key": record.key,
            "time": time(record),
            "cause": record.cause,
            "value": value,
        })
        .to_string();
    }
    if args.topic.is_some() {
        return String::from_utf8_lossy(&record.wire_value()).into_owned();
    }
    format!(
        "{:>24}  {:<10} {:<10} {:<18} {}  {}",
        time(record),
        system,
        record.source,
        record.event_type,
        record.key,
        record.cause.request
    )
    .trim_end()
    .to_owned()
}

fn time(record: &Record) -> String {
    Timestamp::from_millisecond(record.time_ms).unwrap_or_default().strftime("%Y-%m-%dT%H:%M:%S%.3fZ").to_string()
}
