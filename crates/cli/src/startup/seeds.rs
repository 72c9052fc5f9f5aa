//! Seeds: the rows that a system declares for its empty collections are posted at the start, as a client would.

use std::collections::BTreeSet;
use std::sync::Arc;

use driver::Engine;
use http_api::Shape;
use kernel::event::Cause;
use kernel::resource::ResourceDef;
use kernel::service::Seed;
use pabal_core::{CommandError, CommandRequest, Idempotency};
use ports::{Query, StoreError, TableId};

/// How long an idempotency key of a seed is kept: a seeded row that was deleted is not posted again.
const KEEP_MS: i64 = 100 * 366 * 86_400_000;

/// Posts the seeds of all systems.
pub async fn post_all(engines: &[Arc<Engine>]) {
    for engine in engines {
        post_seeds(engine).await;
    }
}

/// Posts them in order. A rejected seed is a fault of the declaration: it is logged, and the others are posted.
async fn post_seeds(engine: &Engine) {
    let empty = match empty_collections(engine) {
        Ok(empty) => empty,
        Err(error) => return tracing::error!(%error, "no collection was seeded: the store cannot be read"),
    };
    let system = &engine.model().system;
    let mut posted = 0;
    for (number, seed) in system.seeds.iter().enumerate().filter(|(_, seed)| empty.contains(seed.resource)) {
        match post(engine, number, seed).await {
            Ok(created) => posted += usize::from(created),
            Err(why) => tracing::error!(system = system.name, resource = seed.resource, number, why, "a seed was rejected"),
        }
    }
    if posted > 0 {
        tracing::info!(system = system.name, rows = posted, "seeded {posted} rows into empty collections");
    }
}

fn resource_of<'a>(engine: &'a Engine, name: &str) -> Option<(&'a ResourceDef, TableId)> {
    let model = engine.model();
    let resource = model.system.services.iter().flat_map(|service| &service.resources).find(|resource| resource.name == name)?;
    Some((resource, model.by_type(resource.aggregate)?))
}

/// Read before the first seed is posted: the first row of a collection must not keep the others out.
fn empty_collections(engine: &Engine) -> Result<BTreeSet<&'static str>, StoreError> {
    let mut empty = BTreeSet::new();
    for seed in &engine.model().system.seeds {
        if let Some((resource, table)) = resource_of(engine, seed.resource)
            && engine.reader().total(table, &Query::first(1))?.rows == 0
        {
            empty.insert(resource.name);
        }
    }
    Ok(empty)
}

async fn post(engine: &Engine, number: usize, seed: &Seed) -> Result<bool, String> {
    let (resource, table) = resource_of(engine, seed.resource).ok_or("there is no such collection")?;
    let create = resource.create.as_ref().ok_or("nothing can be posted to it")?;
    let words = |errors: Vec<kernel::FieldError>| {
        let words: Vec<_> = errors.into_iter().map(|error| format!("{}: {}", error.field, error.detail)).collect();
        words.join("; ")
    };
    let body = Shape::from_schema(&create.input).fit(seed.body.clone()).map_err(words)?;
    let new = create.make(body).map_err(|refused| refused.detail)?;
    let order = CommandRequest {
        table,
        key: new.key.unwrap_or_else(|| engine.fresh_key()),
        give_id: new.id,
        command: new.command,
        cause: Cause { actor: "seed".into(), request: format!("seed-{number}"), ..Cause::default() },
        must_exist: false,
        expected_version: None,
        idempotency: Some(Idempotency {
            scope: format!("seed {}", seed.resource),
            key: number.to_string(),
            fingerprint: seed.body.to_string(),
            keep_ms: KEEP_MS,
        }),
        wait: None,
    };
    match engine.submit(order).await {
        Ok(done) => Ok(done.created && !done.replayed),
        // An earlier version has posted another row under this number.
        Err(CommandError::KeyReused) => Ok(false),
        Err(failure) => Err(failure.to_string()),
    }
}
