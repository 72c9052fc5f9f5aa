//! `POST /admin/views/{view}/rebuild`: a view is built anew beside the one that serves.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::http::{Response, StatusCode};
use driver::Engine;
use pabal_core::{Input, Status};
use serde_json::json;

use crate::admin::engine_with;
use crate::context::RequestContext;
use crate::ops::answer as json_answer;
use crate::problem::Problem;
use crate::problem_types;
use crate::query::Params;
use crate::site::Site;

/// A rebuild shows in the status within so many looks, unless the writer has its hands full.
const LOOKS: u32 = 300;
const LOOK_EVERY: Duration = Duration::from_millis(5);

/// Starts it, and tells its number: by that a caller knows it again in the status.
pub(crate) async fn start(site: &Site, params: &Params, view: &str, context: &RequestContext) -> Result<Response<Body>, Problem> {
    let knows = |engine: &&Arc<Engine>| engine.model().view_of(view).is_some();
    let engine = engine_with(site, params, knows).ok_or_else(|| Problem::absent(format!("there is no view `{view}`")))?;
    // Until the one before shows in the status, nobody can tell whether another one may begin.
    let _one_at_a_time = site.rebuilding.lock().await;
    let before = engine.status();
    if let Some(running) = before.rebuild.as_ref().filter(|running| running.failed.is_none()) {
        let detail = format!("`{}` is being rebuilt, and has come to {} of {}", running.view, running.position, before.last_seq);
        return Err(Problem::of(problem_types::REBUILD_RUNNING, detail).with("view", json!(running.view)));
    }
    tracing::info!(view, actor = context.actor, request = context.request_id, "a view is rebuilt");
    engine.tell(Input::Rebuild { view: view.to_owned() })?;
    let number = last_number(&before) + 1;
    for _ in 0..LOOKS {
        if last_number(&engine.status()) >= number {
            break;
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
    let begun = json!({"accepted": true, "system": engine.model().system.name, "number": number});
    Ok(json_answer(StatusCode::ACCEPTED, &begun))
}

/// Of the last rebuild that was begun.
fn last_number(status: &Status) -> u64 {
    let running = status.rebuild.as_ref().map_or(0, |running| running.number);
    running.max(status.rebuilt.as_ref().map_or(0, |done| done.number))
}
