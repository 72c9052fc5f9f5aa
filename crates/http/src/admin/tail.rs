//! The log as it grows, as server-sent events: for live pages.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::body::Body;
use axum::http::{HeaderMap, Response};
use axum::response::IntoResponse;
use axum::response::sse::{Event, KeepAlive, Sse};
use driver::Engine;
use futures_util::{Stream, StreamExt, stream as streams};
use ports::{LogQuery, Record, StoreError};

use super::record::record_json;
use crate::problem::Problem;

/// Records read at once.
const BATCH_RECORDS: usize = 200;

/// How often an idle stream checks whether the process is stopping, which it must not delay.
const STOP_CHECK_INTERVAL: Duration = Duration::from_secs(1);

/// Streams the records that match the query: after `Last-Event-ID`, else after the query's position, else from now on.
pub(super) async fn stream(
    engine: &Arc<Engine>,
    query: LogQuery,
    headers: &HeaderMap,
    from_query: bool,
    ready: Arc<AtomicBool>,
) -> Result<Response<Body>, Problem> {
    let last_event_id = headers.get("last-event-id").and_then(|id| id.to_str().ok()?.parse().ok());
    let after = match last_event_id {
        Some(seq) => seq,
        None if from_query => query.after,
        None => {
            let reader = engine.reader().clone();
            tokio::task::spawn_blocking(move || reader.last_seq()).await.map_err(|error| Problem::fault(&error))??
        }
    };
    let query = LogQuery { after, limit: BATCH_RECORDS, ..query };
    let events = records(engine.clone(), query, ready).map(|record| {
        record.map(|record| {
            Event::default().id(record.seq.to_string()).event(record.event_type.as_str()).data(record_json(&record).to_string())
        })
    });
    Ok(Sse::new(events).keep_alive(KeepAlive::default()).into_response())
}

fn records(
    engine: Arc<Engine>,
    query: LogQuery,
    ready: Arc<AtomicBool>,
) -> impl Stream<Item = Result<Record, std::io::Error>> + Send {
    let committed = engine.committed();
    let pages = streams::try_unfold((engine, query, committed, ready), |(engine, mut query, mut committed, ready)| async move {
        loop {
            // Marked as seen before the read, so that a commit during it wakes the next round.
            let committed_here = *committed.borrow_and_update();
            let (reader, asked) = (engine.reader().clone(), query.clone());
            let read = tokio::task::spawn_blocking(move || {
                let records = reader.log(&asked)?;
                if !records.is_empty() || !reader.is_remote() {
                    return Ok((committed_here, records));
                }
                // A shared store may have grown: first its end, then the records again, so that none between the two is skipped.
                let end = reader.last_seq()?;
                Ok::<_, StoreError>((end, reader.log(&asked)?))
            });
            let read = read.await.map_err(std::io::Error::other)?;
            let (end, records) = read.map_err(|error| std::io::Error::other(error.to_string()))?;
            if let Some(last) = records.last() {
                query.after = last.seq;
                return Ok(Some((records, (engine, query, committed, ready))));
            }
            // Nothing up to there matches the query.
            query.after = query.after.max(end);
            while let Err(_idle) = tokio::time::timeout(STOP_CHECK_INTERVAL, committed.changed()).await {
                if !ready.load(Ordering::Relaxed) {
                    return Ok(None);
                }
                // Commits of other processes to a shared store send no notification.
                if engine.reader().is_remote() {
                    break;
                }
            }
            // The engine has ended, and its last records have been read.
            if committed.has_changed().is_err() {
                return Ok(None);
            }
        }
    });
    pages.flat_map(|page| match page {
        Ok(records) => streams::iter(records.into_iter().map(Ok).collect::<Vec<_>>()),
        Err(error) => streams::iter(vec![Err(error)]),
    })
}
