//! A first run has something to work on: what a system declares as its seeds is posted into collections that are empty.

use std::collections::BTreeSet;

use driver::Engine;
use http_api::Shape;
use kernel::event::Cause;
use kernel::resource::ResourceDef;
use kernel::service::Seed;
use pabal_core::{CommandError, CommandRequest, Idempotency};
use ports::{Query, StoreError, TableId};

/// Long enough to remember that a row was sown, so that one that was deleted does not come back.
const FOR_EVER_MS: i64 = 100 * 366 * 86_400_000;

/// Posts them in order, as a client would. One that is refused is a fault of the declaration: it is logged, the rest goes on.
pub async fn sow(engine: &Engine) {
    let empty = match empty_collections(engine) {
        Ok(empty) => empty,
        Err(error) => return tracing::error!(%error, "nothing was sown"),
    };
    let system = &engine.model().system;
    let mut sown = 0;
    for (number, seed) in system.seeds.iter().enumerate().filter(|(_, seed)| empty.contains(seed.resource)) {
        match post(engine, number, seed).await {
            Ok(created) => sown += usize::from(created),
            Err(why) => tracing::error!(system = system.name, resource = seed.resource, number, why, "a seed was not taken"),
        }
    }
    if sown > 0 {
        tracing::info!(system = system.name, rows = sown, "a first run: the empty collections have something to work on");
    }
}

fn resource_of<'a>(engine: &'a Engine, name: &str) -> Option<(&'a ResourceDef, TableId)> {
    let model = engine.model();
    let resource = model.system.services.iter().flat_map(|service| &service.resources).find(|resource| resource.name == name)?;
    Some((resource, model.by_type(resource.aggregate)?))
}

/// Looked at before the first seed is sown, or the first row of a collection would keep the others out.
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
    let body = Shape::of(&create.input).fit(seed.body.clone()).map_err(words)?;
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
            keep_ms: FOR_EVER_MS,
        }),
        wait: None,
    };
    match engine.submit(order).await {
        Ok(done) => Ok(done.created && !done.replayed),
        // A version before this one has sown another row under the number; that was the first run.
        Err(CommandError::KeyReused) => Ok(false),
        Err(failure) => Err(failure.to_string()),
    }
}
