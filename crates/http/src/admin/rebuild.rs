//! `POST /admin/views/{view}/rebuild`: starts the rebuild of a view beside the table that serves.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::http::{Response, StatusCode};
use driver::Engine;
use pabal_core::{Input, Status};
use serde_json::json;

use super::engines::engine_declaring;
use crate::context::RequestContext;
use crate::problem::{Problem, types};
use crate::request::Params;
use crate::respond;
use crate::server::Server;

/// How often the status is read for the rebuild that was started; it shows sooner unless the writer is busy.
const STATUS_POLLS: u32 = 300;
const STATUS_POLL_INTERVAL: Duration = Duration::from_millis(5);

/// Starts it, and returns its number, by which a caller finds it in the status.
pub(super) async fn start(
    server: &Server,
    params: &Params,
    view: &str,
    context: &RequestContext,
) -> Result<Response<Body>, Problem> {
    let declares = |engine: &&Arc<Engine>| engine.model().view_of(view).is_some();
    let absent = || Problem::absent(format!("there is no view `{view}`"));
    let engine = engine_declaring(server, params, declares).ok_or_else(absent)?;
    // One request at a time: whether another rebuild may start depends on the status, which shows the last one a little later.
    let _starting = server.rebuilding.lock().await;
    let before = engine.status();
    if let Some(running) = before.rebuild.as_ref().filter(|running| running.failed.is_none()) {
        let detail = format!("`{}` is being rebuilt, and is at {} of {}", running.view, running.position, before.last_seq);
        return Err(Problem::of_type(types::REBUILD_RUNNING, detail).with("view", json!(running.view)));
    }
    tracing::info!(view, actor = context.actor, request = context.request_id, "the rebuild of a view starts");
    engine.tell(Input::Rebuild { view: view.to_owned() })?;
    let number = last_number(&before) + 1;
    for _ in 0..STATUS_POLLS {
        if last_number(&engine.status()) >= number {
            break;
        }
        tokio::time::sleep(STATUS_POLL_INTERVAL).await;
    }
    let started = json!({"accepted": true, "system": engine.model().system.name, "number": number});
    Ok(respond::json(StatusCode::ACCEPTED, &started))
}

/// The number of the last rebuild that was started.
fn last_number(status: &Status) -> u64 {
    let running = status.rebuild.as_ref().map_or(0, |running| running.number);
    running.max(status.rebuilt.as_ref().map_or(0, |rebuilt| rebuilt.number))
}
