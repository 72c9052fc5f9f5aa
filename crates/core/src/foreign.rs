//! Records of other programs on the own topic: completed by what was kept, translated, and then like any other.

use std::sync::Arc;

use kernel::ExternalDef;
use kernel::context::Opaque;

use super::rows::Slot;
use super::{Core, Stop, guarded};
use ports::model::TableId;
use ports::{Record, RowRef};

/// The source of a record that was translated.
const TRANSLATED: &str = "elsewhere";

/// What a record is to a place.
pub(super) enum Read {
    /// One of our events.
    Ours(Arc<Record>),
    /// Nothing that anybody here needs.
    Nothing,
    /// It says too little, and what it leaves out has not come yet.
    TooEarly(Arc<Record>),
    /// It cannot be read.
    Unreadable(Arc<Record>, String),
}

impl Core {
    /// Where the service of a place keeps events, and how foreign ones are read; none where nobody else writes.
    fn beside(&self, place: usize) -> Option<(TableId, ExternalDef)> {
        let service = self.model.subscriptions[self.places[place].subscription].service;
        Some((*self.model.kept.get(service)?, self.model.system.foreign?))
    }

    /// Whether an event is to be kept at a place, whoever cares for it.
    pub(super) fn keeps(&self, place: usize, event_type: &str) -> bool {
        self.beside(place).is_some_and(|(_, foreign)| foreign.keeps == event_type)
    }

    /// Reads a record: ours as it is; a foreign one, which nobody signs, translated. `last_try`: what is missing by now is not
    /// waited for any more.
    pub(super) fn read(&mut self, place: usize, record: &Arc<Record>, last_try: bool) -> Result<Read, Stop> {
        let beside = self.beside(place).filter(|_| record.source.is_empty());
        let Some((table, foreign)) = beside else { return Ok(Read::Ours(record.clone())) };
        let needs = match (foreign.needs)(&record.data) {
            Ok(needs) => needs,
            Err(error) => return Ok(Read::Unreadable(record.clone(), error.to_string())),
        };
        let kept = match &needs {
            Some(name) => self.kept(table, name)?,
            None => None,
        };
        if needs.is_some() && kept.is_none() && !last_try {
            // It waits for that name, and with it what else does; its own key is not known for sure.
            return Ok(Read::TooEarly(Arc::new(Record { key: needs.unwrap_or_default(), ..(**record).clone() })));
        }
        let ours = guarded("the foreign forms", || (foreign.ours)(&record.data, kept.as_deref().map(Vec::as_slice)));
        Ok(match ours {
            Ok(Ok(Some(ours))) => {
                let (event_type, key, data) = (ours.event_type, ours.key, ours.data);
                let source = TRANSLATED.to_owned(); // once is enough
                Read::Ours(Arc::new(Record { source, event_type, key, data, ..(**record).clone() }))
            }
            Ok(Ok(None)) => Read::Nothing,
            Ok(Err(error)) => Read::Unreadable(record.clone(), error.to_string()),
            Err(panicked) => Read::Unreadable(record.clone(), panicked),
        })
    }

    /// The rows that keeping an event looks at.
    pub(super) fn foresee_kept(&self, place: usize, record: &Record) -> Vec<RowRef> {
        let Some((table, foreign)) = self.beside(place).filter(|_| self.keeps(place, &record.event_type)) else {
            return Vec::new();
        };
        (foreign.names)(&record.data).unwrap_or_default().into_iter().map(|key| RowRef { table, key }).collect()
    }

    /// Keeps an event of ours under its names, once.
    pub(super) fn keep(&mut self, place: usize, record: &Record) -> Result<(), Stop> {
        let Some((table, foreign)) = self.beside(place).filter(|_| self.keeps(place, &record.event_type)) else {
            return Ok(());
        };
        for name in (foreign.names)(&record.data).unwrap_or_default() {
            if self.kept(table, &name)?.is_none() {
                let state: Opaque = Arc::new(record.data.clone());
                self.rows.write(table, &name, Slot { version: 1, state: Some(state), ..Slot::default() });
            }
        }
        Ok(())
    }

    fn kept(&self, table: TableId, name: &str) -> Result<Option<Arc<Vec<u8>>>, Stop> {
        let missing = || Stop::Missing(vec![RowRef { table, key: name.to_owned() }]);
        let slot = self.rows.get(table, name).ok_or_else(missing)?;
        Ok(slot.state.clone().and_then(|state| state.downcast().ok()))
    }
}
