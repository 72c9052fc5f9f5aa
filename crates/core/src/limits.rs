//! Bounds of the core. Everything that can grow has one.

/// Bounds of one core. Times are in milliseconds.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Items taken into one batch.
    pub batch_items: usize,
    /// Events of one batch that are handled in the batch itself; what is more is read from the log by the next.
    pub batch_events: usize,
    /// Bytes of events in one batch after which no more are handled in it.
    pub batch_bytes: usize,
    /// Bytes of one event: a larger one than the broker takes would block every later one.
    pub event_bytes: usize,
    /// Commands that wait to be taken into a batch.
    pub queue: usize,
    /// Rows kept in memory between batches.
    pub rows: usize,
    /// Events read ahead for one subscription.
    pub backlog: usize,
    /// Effects kept in memory; what is more waits in the store.
    pub effects: usize,
    /// Calls of effects at once.
    pub calls: usize,
    /// Calls of one effect whose outcome stays unknown, or that do not arrive.
    pub attempts: u32,
    /// The first pause between two such calls; it doubles up to 32 times that.
    pub call_retry_ms: i64,
    /// Pauses before a failing event is tried again; after the last it is dead.
    pub event_retries_ms: Vec<i64>,
    /// Answers of directories kept in memory, and for how long.
    pub answers: usize,
    /// How long an answer of a directory holds.
    pub answer_ttl_ms: i64,
    /// The pause after the store refused to work.
    pub store_retry_ms: i64,
    /// Events older than this are pruned once every subscription has passed them; `None` keeps all.
    pub retention_ms: Option<i64>,
    /// Rates of lanes: port, lane, calls per second and burst.
    pub lanes: Vec<(String, String, f64, f64)>,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            batch_items: 512,
            batch_events: 4096,
            batch_bytes: 4 << 20,
            event_bytes: usize::MAX,
            queue: 4096,
            rows: 50_000,
            backlog: 1024,
            effects: 8192,
            calls: 512,
            attempts: 8,
            call_retry_ms: 100,
            event_retries_ms: vec![1_000, 10_000, 60_000],
            answers: 10_000,
            answer_ttl_ms: 600_000,
            store_retry_ms: 250,
            retention_ms: None,
            lanes: Vec::new(),
        }
    }
}
