//! External records on a shared topic: completed from the enrichment cache, translated, and then like any other event.

use std::sync::Arc;

use kernel::ExternalDef;
use kernel::context::Opaque;
use ports::{Model, Record, RowRef, ServiceId, TableId};

use super::unit_of_work::UnitOfWork;
use crate::error::Interrupt;
use crate::guard::guarded;
use crate::rows::Slot;

/// The source of a record that was translated.
const TRANSLATED: &str = "elsewhere";

/// What a record is to a service.
pub enum Translation {
    /// One of our events.
    Ours(Arc<Record>),
    /// Nothing that this system needs.
    Nothing,
    /// It says too little, and the event that completes it has not come yet.
    Incomplete(Arc<Record>),
    /// It cannot be read.
    Unreadable(Arc<Record>, String),
}

/// The enrichment cache of a service and how external records are read; none on a topic of our own.
fn enrichment(model: &Model, service: ServiceId) -> Option<(TableId, ExternalDef)> {
    Some((*model.enrichment_caches.get(service.0)?, model.system.external?))
}

/// The same, if this event is one that the cache keeps.
fn enrichment_of(model: &Model, service: ServiceId, record: &Record) -> Option<(TableId, ExternalDef)> {
    enrichment(model, service).filter(|(_, external)| external.cached == record.event_type)
}

/// Reads a record: ours as it is; an external one, which has no source, translated. With `last_try`, what is missing by now is
/// not waited for any more.
pub fn translate(
    unit: &UnitOfWork<'_>,
    service: ServiceId,
    record: &Arc<Record>,
    last_try: bool,
) -> Result<Translation, Interrupt> {
    let enrichment = enrichment(unit.model(), service).filter(|_| record.source.is_empty());
    let Some((table, external)) = enrichment else { return Ok(Translation::Ours(record.clone())) };
    let needs = match (external.lookup_key)(&record.data) {
        Ok(needs) => needs,
        Err(error) => return Ok(Translation::Unreadable(record.clone(), error.to_string())),
    };
    let cached = match &needs {
        Some(name) => cached(unit, table, name)?,
        None => None,
    };
    if needs.is_some() && cached.is_none() && !last_try {
        // Parked under the name that it needs, together with what else needs it; its own key is not known for sure.
        return Ok(Translation::Incomplete(Arc::new(Record { key: needs.unwrap_or_default(), ..(**record).clone() })));
    }
    let ours = guarded("the external forms", || (external.translate)(&record.data, cached.as_deref().map(Vec::as_slice)));
    Ok(match ours {
        Ok(Ok(Some(ours))) => {
            let (event_type, key, data) = (ours.event_type, ours.key, ours.data);
            let source = TRANSLATED.to_owned(); // translated once is enough
            Translation::Ours(Arc::new(Record { source, event_type, key, data, ..(**record).clone() }))
        }
        Ok(Ok(None)) => Translation::Nothing,
        Ok(Err(error)) => Translation::Unreadable(record.clone(), error.to_string()),
        Err(panicked) => Translation::Unreadable(record.clone(), panicked),
    })
}

/// The rows of the enrichment cache that an event writes.
pub fn rows_of(model: &Model, service: ServiceId, record: &Record) -> Vec<RowRef> {
    let Some((table, external)) = enrichment_of(model, service, record) else { return Vec::new() };
    (external.cache_keys)(&record.data).unwrap_or_default().into_iter().map(|key| RowRef { table, key }).collect()
}

/// Writes an event of ours to the enrichment cache under each of its names, once.
pub fn cache(unit: &mut UnitOfWork<'_>, service: ServiceId, record: &Record) -> Result<(), Interrupt> {
    let Some((table, external)) = enrichment_of(unit.model(), service, record) else { return Ok(()) };
    for name in (external.cache_keys)(&record.data).unwrap_or_default() {
        if cached(unit, table, &name)?.is_none() {
            let state: Opaque = Arc::new(record.data.clone());
            unit.rows.write(table, &name, Slot { version: 1, state: Some(state), ..Slot::default() });
        }
    }
    Ok(())
}

fn cached(unit: &UnitOfWork<'_>, table: TableId, name: &str) -> Result<Option<Arc<Vec<u8>>>, Interrupt> {
    let slot = unit.slot(table, name)?;
    Ok(slot.state.and_then(|state| state.downcast().ok()))
}
