//! What may go wrong in a simulation, and how often.

/// How often each fault strikes, in parts per thousand of its occasions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Faults {
    /// The process dies before a commit.
    pub crash_before_commit: u32,
    /// The process dies after a commit was applied, before its outcome is reported.
    pub crash_after_commit: u32,
    /// A commit is applied, and its outcome is reported as unknown.
    pub commit_unknown_applied: u32,
    /// A commit is not applied, and its outcome is reported as unknown.
    pub commit_unknown_lost: u32,
    /// The store takes no commits for a while (disk full).
    pub store_unavailable: u32,
    /// A read of the store fails.
    pub read_fails: u32,
    /// An effect is carried out, and its reply is lost.
    pub reply_lost: u32,
    /// An effect handler is not reached.
    pub call_lost: u32,
    /// A reply of an effect handler is delivered twice.
    pub reply_twice: u32,
    /// Delayed replies of an effect handler are delivered twice.
    pub delayed_reply_twice: u32,
    /// Delayed replies come up to a minute late.
    pub delayed_reply_late: u32,
    /// A client sends its request again, although it was answered.
    pub request_twice: u32,
    /// The clock jumps ahead by up to an hour.
    pub clock_jump: u32,
    /// A service stops handling events for a while.
    pub service_paused: u32,
    /// A handler of the witness service of the tests panics.
    pub handler_panics: u32,
    /// A publisher's connection breaks in the middle of a batch.
    pub publish_cut: u32,
    /// A batch that timed out arrives later all the same.
    pub publish_late: u32,
    /// A batch is published, and its acknowledgement is lost.
    pub publish_unacknowledged: u32,
    /// The partitions of a service are rebalanced.
    pub rebalance: u32,
    /// The previous owner of a partition learns of the rebalance only later (a zombie).
    pub zombie: u32,
    /// A request reaches two replicas at once, as behind a proxy that retries.
    pub two_replicas: u32,
    /// Another instance commits between the reads of a batch and its commit.
    pub concurrent_commit: u32,
    /// A process is stopped for a while (SIGSTOP), perhaps for longer than its lease.
    pub freeze: u32,
}

impl Faults {
    /// Nothing goes wrong.
    pub const NONE: Self = Self {
        crash_before_commit: 0,
        crash_after_commit: 0,
        commit_unknown_applied: 0,
        commit_unknown_lost: 0,
        store_unavailable: 0,
        read_fails: 0,
        reply_lost: 0,
        call_lost: 0,
        reply_twice: 0,
        delayed_reply_twice: 0,
        delayed_reply_late: 0,
        request_twice: 0,
        clock_jump: 0,
        service_paused: 0,
        handler_panics: 0,
        publish_cut: 0,
        publish_late: 0,
        publish_unacknowledged: 0,
        rebalance: 0,
        zombie: 0,
        freeze: 0,
        two_replicas: 0,
        concurrent_commit: 0,
    };

    /// Everything goes wrong, often enough to meet in a short run.
    pub const MANY: Self = Self {
        crash_before_commit: 20,
        crash_after_commit: 20,
        commit_unknown_applied: 15,
        commit_unknown_lost: 15,
        store_unavailable: 10,
        read_fails: 10,
        reply_lost: 60,
        call_lost: 40,
        reply_twice: 60,
        delayed_reply_twice: 60,
        delayed_reply_late: 150,
        request_twice: 150,
        clock_jump: 2,
        service_paused: 10,
        handler_panics: 120,
        publish_cut: 50,
        publish_late: 50,
        publish_unacknowledged: 50,
        rebalance: 15,
        zombie: 500,
        freeze: 8,
        two_replicas: 100,
        concurrent_commit: 200,
    };

    /// Whether anything can go wrong.
    pub fn any(&self) -> bool {
        *self != Self::NONE
    }
}
