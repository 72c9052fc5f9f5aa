//! The log as it grows, as server-sent events: what live pages listen to.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::body::Body;
use axum::http::{HeaderMap, Response};
use axum::response::IntoResponse;
use axum::response::sse::{Event, KeepAlive, Sse};
use driver::Engine;
use futures_util::{Stream, StreamExt, stream};
use ports::{LogQuery, Record, StoreError};

use crate::admin::shown;
use crate::problem::Problem;

/// Records that are read at once.
const RECORDS_AT_ONCE: usize = 200;

/// So often a quiet stream looks whether the process is stopping; it must not hold that up.
const LOOK_UP: Duration = Duration::from_secs(1);

/// Streams the records that meet the query: after `Last-Event-ID`, else after what the query says, else from now on.
pub(crate) async fn follow(
    engine: &Arc<Engine>,
    query: LogQuery,
    headers: &HeaderMap,
    from_query: bool,
    ready: Arc<AtomicBool>,
) -> Result<Response<Body>, Problem> {
    let seen = headers.get("last-event-id").and_then(|id| id.to_str().ok()?.parse().ok());
    let after = match seen {
        Some(seen) => seen,
        None if from_query => query.after,
        None => {
            let reader = engine.reader().clone();
            tokio::task::spawn_blocking(move || reader.last_seq()).await.map_err(|error| Problem::fault(&error))??
        }
    };
    let query = LogQuery { after, limit: RECORDS_AT_ONCE, ..query };
    let events = records(engine.clone(), query, ready).map(|record| {
        record.map(|record| {
            Event::default().id(record.seq.to_string()).event(record.event_type.as_str()).data(shown(&record).to_string())
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
    let pages = stream::try_unfold((engine, query, committed, ready), |(engine, mut query, mut committed, ready)| async move {
        loop {
            // Marked as seen before the read, so that what comes during it wakes the next round.
            let committed_here = *committed.borrow_and_update();
            let (reader, asked) = (engine.reader().clone(), query.clone());
            let read = tokio::task::spawn_blocking(move || {
                let records = reader.log(&asked)?;
                if !records.is_empty() || !reader.is_remote() {
                    return Ok((committed_here, records));
                }
                // First how far it goes, then once more what is there: so nothing stands between the two.
                let end = reader.last_seq()?;
                Ok::<_, StoreError>((end, reader.log(&asked)?))
            });
            let read = read.await.map_err(std::io::Error::other)?;
            let (end, records) = read.map_err(|error| std::io::Error::other(error.to_string()))?;
            if let Some(last) = records.last() {
                query.after = last.seq;
                return Ok(Some((records, (engine, query, committed, ready))));
            }
            // Nothing up to there meets the query; it need not be looked at again.
            query.after = query.after.max(end);
            while let Err(_quiet) = tokio::time::timeout(LOOK_UP, committed.changed()).await {
                if !ready.load(Ordering::Relaxed) {
                    return Ok(None);
                }
                // Of what other processes commit to a shared store nobody tells.
                if engine.reader().is_remote() {
                    break;
                }
            }
            // The engine has ended; its last records have been read.
            if committed.has_changed().is_err() {
                return Ok(None);
            }
        }
    });
    pages.flat_map(|page| match page {
        Ok(records) => stream::iter(records.into_iter().map(Ok).collect::<Vec<_>>()),
        Err(error) => stream::iter(vec![Err(error)]),
    })
}
