//! Reads of the store, kept off the threads that move requests.

use std::sync::Arc;

use ports::{Reader, StoreError, StoredRow};

use crate::problem::Problem;
use crate::server::ServedResource;

/// One row by its id, 404 where there is none.
pub(crate) async fn row(resource: &Arc<ServedResource>, id: u64) -> Result<StoredRow, Problem> {
    let table = resource.table;
    let found = if resource.engine.reader().is_remote() {
        blocking(resource, move |reader| reader.by_id(table, id)).await?
    } else {
        // An embedded store answers sooner than another thread would start.
        resource.engine.reader().by_id(table, id)?
    };
    found.ok_or_else(|| Problem::absent(format!("there is no {id} in {}", resource.route.name)))
}

/// Runs a read that may block on a thread for blocking work.
pub(crate) async fn blocking<T: Send + 'static>(
    resource: &Arc<ServedResource>,
    read: impl FnOnce(&dyn Reader) -> Result<T, StoreError> + Send + 'static,
) -> Result<T, Problem> {
    let reader = resource.engine.reader().clone();
    let joined = tokio::task::spawn_blocking(move || read(&*reader)).await;
    Ok(joined.map_err(|error| Problem::fault(&error))??)
}
