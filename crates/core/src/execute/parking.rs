//! Parking: work that fails is filed with its cause and tried again later; what comes after it for the same key waits.

use defects::{Defect, has};
use ports::{ParkedRow, ParkedWork, ParkedWrite};

use super::unit_of_work::UnitOfWork;
use crate::error::Interrupt;
use crate::ids::Queue;
use crate::items::ParkedAttempt;
use crate::subscriptions::{Head, HeadChange, Subscriptions};

/// Why work could not be done.
pub enum Failed {
    /// Trying again cannot help.
    Permanent(String),
    /// A fault; it is tried again a few times.
    Transient(String),
    /// Not the work's fault.
    Interrupt(Interrupt),
}

impl Failed {
    /// The cause, and whether trying again cannot help.
    pub fn into_cause(self) -> Result<(String, bool), Interrupt> {
        match self {
            Self::Permanent(cause) => Ok((cause, true)),
            Self::Transient(cause) => Ok((cause, false)),
            Self::Interrupt(interrupt) => Err(interrupt),
        }
    }
}

impl From<Interrupt> for Failed {
    fn from(interrupt: Interrupt) -> Self {
        Self::Interrupt(interrupt)
    }
}

/// Where work is filed if it fails.
pub struct Filing<'a> {
    /// Its queue.
    pub queue: Queue,
    /// Its key: later work of the same key waits.
    pub key: &'a str,
    /// Its position: parked work of a key is done in this order.
    pub position: u64,
    /// Where it is parked already.
    pub parked: Option<ParkedAttempt>,
}

/// Does work, or parks it: behind others of its key, or with the cause of its failure.
pub fn attempt(
    unit: &mut UnitOfWork<'_>,
    subscriptions: &Subscriptions,
    filing: &Filing<'_>,
    work: impl Fn() -> ParkedWork,
    run: impl FnOnce(&mut UnitOfWork<'_>) -> Result<(), Failed>,
) -> Result<(), Interrupt> {
    let Filing { queue, key, parked, .. } = *filing;
    let failed_before = unit.batch.has_parked(queue, key);
    let key_is_parked = subscriptions.parking.holds(queue, key) || failed_before;
    if parked.is_none() && key_is_parked && !has(Defect::ParkedOvertaken) {
        let row = row(unit, subscriptions, filing, work());
        unit.batch.parked.push(ParkedWrite::Put(row));
        return Ok(());
    }
    if parked.is_some() && failed_before {
        return Ok(()); // the head of its key failed again in this very batch: it goes on waiting behind it
    }
    let savepoint = unit.savepoint();
    match run(unit) {
        Ok(()) => release(unit, subscriptions, filing),
        Err(failed) => {
            let failed = failed.into_cause()?;
            unit.rollback(&savepoint);
            park(unit, subscriptions, filing, work(), failed);
        }
    }
    Ok(())
}

/// Parked work was done: it is not parked any more.
pub fn release(unit: &mut UnitOfWork<'_>, subscriptions: &Subscriptions, filing: &Filing<'_>) {
    if let Some(ParkedAttempt { position, .. }) = filing.parked {
        let (subscription, partition) = subscriptions.name_of(filing.queue);
        unit.batch.parked.push(ParkedWrite::Remove { subscription, key: filing.key.to_owned(), partition, position });
    }
}

/// Parks work of which nothing is in the batch: it is tried again after the next pause, or, permanently failed or tried often
/// enough, it is a dead letter.
pub fn park(
    unit: &mut UnitOfWork<'_>,
    subscriptions: &Subscriptions,
    filing: &Filing<'_>,
    work: ParkedWork,
    (cause, permanent): (String, bool),
) {
    if filing.parked.is_some_and(|parked| parked.attempts == 0) {
        // It waited behind another: a row with one attempt may also be new, so that only its removal tells a shared store
        // that it must still be there.
        release(unit, subscriptions, filing);
    }
    let attempts = filing.parked.map_or(0, |parked| parked.attempts) + 1;
    let pause_ms = unit.setup.limits.event_retries_ms.get(attempts as usize - 1).filter(|_| !permanent);
    let next_try_ms = pause_ms.map_or(0, |pause| unit.now_ms().saturating_add(*pause));
    let dead = pause_ms.is_none();
    let row = row(unit, subscriptions, filing, work);
    tracing::warn!(subscription = row.subscription, key = filing.key, position = row.position, cause, dead, "parked");
    unit.batch.parked.push(ParkedWrite::Put(ParkedRow { attempts, next_try_ms, dead, cause, ..row }));
    let (queue, key) = (filing.queue, filing.key.to_owned());
    unit.batch.heads.push(HeadChange { queue, key, head: Head { next_try_ms, dead } });
}

fn row(unit: &UnitOfWork<'_>, subscriptions: &Subscriptions, filing: &Filing<'_>, work: ParkedWork) -> ParkedRow {
    let (subscription, partition) = subscriptions.name_of(filing.queue);
    ParkedRow {
        subscription,
        key: filing.key.to_owned(),
        partition,
        position: filing.parked.map_or(filing.position, |parked| parked.position),
        attempts: 0,
        next_try_ms: 0,
        dead: false,
        cause: String::new(),
        since_ms: unit.now_ms(),
        work,
    }
}
