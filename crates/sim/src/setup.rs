//! How the cores of both installations are started.

use std::sync::Arc;

use jiff::tz::TimeZone;
use kernel::System;
use pabal_core::{CoreOptions, Limits};
use ports::{Model, Store};

use crate::chance::Chance;

/// Short enough that some events end as dead letters, and must be redriven, in most runs.
const EVENT_RETRIES_MS: [i64; 2] = [500, 2_000];

/// The model of a system.
///
/// # Panics
/// If the system is misdeclared: that is a fault of the test.
pub(crate) fn declared(system: System) -> Arc<Model> {
    match Model::new(system) {
        Ok(model) => model,
        Err(error) => panic!("{error}"),
    }
}

/// A core with batches of a random size.
pub(crate) fn core_options(model: &Arc<Model>, store: Box<dyn Store>, zone: &TimeZone, chance: &Chance) -> CoreOptions {
    let effect_handlers = model.system.services.iter().flat_map(|service| &service.effect_handlers);
    CoreOptions {
        store,
        zone: zone.clone(),
        limits: Limits {
            batch_items: 1 + usize::try_from(chance.below(32)).unwrap_or(0),
            event_retries_ms: EVENT_RETRIES_MS.to_vec(),
            ..Limits::default()
        },
        ports: effect_handlers.map(|def| (def.port.to_owned(), def.repeat)).collect(),
        by_broker: false,
        model: model.clone(),
    }
}
