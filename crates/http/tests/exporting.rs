//! An export of many rows: pages are read only as fast as the client takes them.

#![allow(clippy::unwrap_used)] // a failing helper fails the test

mod common;

use std::any::TypeId;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::body::Body;
use axum::http::Request;
use common::{Client, Note, NoteCommand, engine_with, notes};
use driver::Engine;
use futures_util::{StreamExt, stream};
use http_api::{HttpOptions, router};
use http_body_util::BodyExt;
use in_memory::ManualClock;
use kernel::event::Cause;
use pabal_core::CommandRequest;
use ports::{LogQuery, Page, ParkedRow, Query, Reader, Record, StoreError, StoredRow, TableId, Total};
use tower::ServiceExt;

const ROWS: usize = 20_000;

/// Counts the pages that are read.
struct Counted(Arc<dyn Reader>, Arc<AtomicUsize>);

impl Reader for Counted {
    fn by_id(&self, table: TableId, id: u64) -> Result<Option<StoredRow>, StoreError> {
        self.0.by_id(table, id)
    }
    fn by_key(&self, table: TableId, key: &str) -> Result<Option<StoredRow>, StoreError> {
        self.0.by_key(table, key)
    }
    fn page(&self, table: TableId, query: &Query) -> Result<Page, StoreError> {
        self.1.fetch_add(1, Ordering::SeqCst);
        self.0.page(table, query)
    }
    fn total(&self, table: TableId, query: &Query) -> Result<Total, StoreError> {
        self.0.total(table, query)
    }
    fn counters(&self, table: TableId, name: &str) -> Result<Vec<(String, u64)>, StoreError> {
        self.0.counters(table, name)
    }
    fn log(&self, query: &LogQuery) -> Result<Vec<Record>, StoreError> {
        self.0.log(query)
    }
    fn last_seq(&self) -> Result<u64, StoreError> {
        self.0.last_seq()
    }
    fn first_seq(&self) -> Result<u64, StoreError> {
        self.0.first_seq()
    }
    fn positions(&self) -> Result<Vec<(String, u64)>, StoreError> {
        self.0.positions()
    }
    fn all_parked(&self, dead_only: bool, limit: usize) -> Result<Vec<ParkedRow>, StoreError> {
        self.0.all_parked(dead_only, limit)
    }
}

async fn write_notes(engine: &Arc<Engine>) {
    let table = engine.model().by_type(TypeId::of::<Note>()).unwrap();
    let written = stream::iter(0..ROWS).map(|index| {
        engine.submit(CommandRequest {
            table,
            key: format!("n-{index}"),
            give_id: None,
            command: Arc::new(NoteCommand::Write { title: format!("note {index}"), colour: "red".into() }),
            cause: Cause::default(),
            must_exist: false,
            expected_version: None,
            idempotency: None,
            wait: None,
        })
    });
    assert!(written.buffer_unordered(500).all(|done| std::future::ready(done.is_ok())).await);
}

#[tokio::test]
async fn an_export_starts_before_its_last_page_is_read() {
    let pages = Arc::new(AtomicUsize::new(0));
    let clock = Arc::new(ManualClock::default());
    let engine = engine_with(notes("desk1"), clock, |reader| Arc::new(Counted(reader, pages.clone())));
    write_notes(&engine).await;
    let client = Client(router(vec![engine], HttpOptions::default()));
    let request = Request::builder().uri("/notes?format=csv").body(Body::empty()).unwrap();
    let mut body = client.0.clone().oneshot(request).await.unwrap().into_body();

    let first = body.frame().await.unwrap().unwrap().into_data().unwrap();
    assert!(first.starts_with("\u{feff}id,".as_bytes()));
    let mut lines = first.split(|byte| *byte == b'\n').count() - 1;
    assert!(lines < 1000, "{lines} lines at once");
    assert_eq!(pages.load(Ordering::SeqCst), 1, "more was read than was taken");

    let mut longest = first.len();
    while let Some(frame) = body.frame().await {
        let bytes = frame.unwrap().into_data().unwrap();
        lines += bytes.split(|byte| *byte == b'\n').count() - 1;
        longest = longest.max(bytes.len());
    }
    assert_eq!(lines, ROWS + 1);
    assert!(longest < 128 * 1024, "{longest} bytes at once");
}
