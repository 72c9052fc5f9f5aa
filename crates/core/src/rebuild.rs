//! Rebuilds of views: read the log from its beginning into a second table beside the one that serves, then swap the two.

use ports::{Model, Record, Store, StoreError, SubscriptionId, TableId};

use crate::ids::CursorId;
use crate::status::{RebuildDone, RebuildStatus};
use crate::subscriptions::Subscriptions;

/// The rebuild that runs, the last one that failed, and the last one that came to its end.
#[derive(Default)]
pub struct Rebuilds {
    started: u64,
    running: Option<Rebuild>,
    failed: Option<RebuildStatus>,
    done: Option<RebuildDone>,
}

/// A rebuild that runs.
pub struct Rebuild {
    number: u64,
    view: String,
    /// The view's subscription.
    pub subscription: SubscriptionId,
    /// Its cursor in the own log.
    pub cursor: CursorId,
    /// The table that serves.
    pub table: TableId,
    /// The table that is filled.
    pub shadow: TableId,
    /// The last position that is in it.
    pub position: u64,
}

impl Rebuilds {
    /// Begins a rebuild, if none runs. The table to fill must be emptied. It fails at once where the view's events are not in
    /// this process's log.
    pub fn start(&mut self, view: &str, model: &Model, subscriptions: &Subscriptions) -> Option<&Rebuild> {
        if self.running.is_some() {
            return None;
        }
        let (subscription, table, shadow) = model.view_of(view)?;
        self.started += 1;
        let (number, view) = (self.started, view.to_owned());
        let Some(cursor) = subscriptions.own_cursor(subscription) else {
            let failed = Some("its events are not in this process's log".to_owned());
            self.failed = Some(RebuildStatus { number, view, position: 0, failed });
            return None;
        };
        self.failed = None;
        self.running = Some(Rebuild { number, view, subscription, cursor, table, shadow, position: 0 });
        self.running()
    }

    /// The rebuild that runs.
    pub fn running(&self) -> Option<&Rebuild> {
        self.running.as_ref()
    }

    /// The rebuild failed; the old view serves on.
    pub fn fail(&mut self, cause: String) {
        if let Some(Rebuild { number, view, position, .. }) = self.running.take() {
            tracing::error!(view, cause, "the rebuild failed; the old view serves on");
            self.failed = Some(RebuildStatus { number, view, position, failed: Some(cause) });
        }
    }

    /// The next page is the last one. It has a batch of its own: in one with commands, whose events come after it, it would
    /// never be the last.
    pub fn is_at_last_page(&self, last_seq: u64, page: usize) -> bool {
        let left = self.running().map_or(0, |rebuild| last_seq - rebuild.position);
        left > 0 && left <= page as u64
    }

    /// The records of the next page.
    pub fn next_page(&self, store: &mut dyn Store, last_seq: u64, page: usize) -> Result<Option<Vec<Record>>, StoreError> {
        let Some(rebuild) = self.running().filter(|rebuild| rebuild.position < last_seq) else { return Ok(None) };
        let records = store.log_after(rebuild.position, page)?;
        Ok((!records.is_empty()).then_some(records))
    }

    /// A page up to this position is committed.
    pub fn advance(&mut self, position: u64) {
        if let Some(rebuild) = self.running.as_mut() {
            rebuild.position = position;
        }
    }

    /// Whether the second table has everything.
    pub fn is_complete(&self, last_seq: u64) -> bool {
        self.running().is_some_and(|rebuild| rebuild.position >= last_seq)
    }

    /// The two tables are swapped.
    pub fn finish(&mut self, now_ms: i64) -> Option<Rebuild> {
        let rebuild = self.running.take()?;
        let Rebuild { number, view, position, .. } = &rebuild;
        tracing::info!(view, position, "the view is rebuilt");
        self.done = Some(RebuildDone { number: *number, view: view.clone(), position: *position, at_ms: now_ms });
        Some(rebuild)
    }

    /// Its first or its last commit was not applied: it begins again. The name of its view.
    pub fn restart(&mut self) -> Option<String> {
        self.running.take().map(|rebuild| rebuild.view)
    }

    /// The rebuild that runs, or failed last.
    pub fn status(&self) -> Option<RebuildStatus> {
        let running = self.running().map(|rebuild| RebuildStatus {
            number: rebuild.number,
            view: rebuild.view.clone(),
            position: rebuild.position,
            failed: None,
        });
        running.or_else(|| self.failed.clone())
    }

    /// The last one that came to its end.
    pub fn done(&self) -> Option<RebuildDone> {
        self.done.clone()
    }
}
