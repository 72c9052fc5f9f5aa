//! Writing: a body becomes a command, the command's outcome becomes a response. The decision is the aggregate's.

mod merge_patch;

use axum::body::Body;
use axum::http::{HeaderValue, Method, Response, StatusCode};
use kernel::context::Opaque;
use pabal_core::{CommandError, CommandOutcome, CommandRequest, Idempotency, Wait};
use ports::StoredRow;
use serde_json::Value;

use crate::call::Call;
use crate::problem::{Problem, types};
use crate::read::{Entity, members, row};
use crate::request::{expected_version, idempotency, read_body};
use crate::resource::Change;
use crate::respond;

/// How often a merge is tried that loses races to other changes.
const MERGE_ATTEMPTS: u32 = 5;

/// `POST /things`.
pub(crate) async fn create(call: &Call<'_>, body: Body) -> Result<Response<Body>, Problem> {
    let resource = call.resource;
    let Some(create) = &resource.create else { return Err(Problem::fault(&"POST to a resource that declares none")) };
    let body = read_body(call.headers, body, call.server.options.body_limit_bytes).await?;
    let idempotency = idempotency(call.headers, call.context, resource.route.path(), &body)?;
    let new = create.def.make(create.shape.fit(body).map_err(Problem::fields)?)?;
    let key = new.key.unwrap_or_else(|| resource.engine.fresh_key());
    call.log.record_key(&key);
    let request = CommandRequest {
        table: resource.table,
        key,
        give_id: new.id,
        command: new.command,
        cause: call.context.cause(),
        must_exist: false,
        expected_version: None,
        idempotency,
        wait: wait(call),
    };
    let outcome = resource.engine.submit(request).await?;
    let status = if outcome.created { StatusCode::CREATED } else { StatusCode::OK };
    respond(call, &outcome, status)
}

/// `PUT /things/{id}`.
pub(crate) async fn replace(call: &Call<'_>, body: Body, id: u64) -> Result<Response<Body>, Problem> {
    let row = current(call, id).await?;
    let expected = expected_version(call.headers, row.version)?;
    let body = read_body(call.headers, body, call.server.options.body_limit_bytes).await?;
    let command = command_of(call.resource.replace.as_ref(), body)?;
    let outcome = change(call, row.key, command, expected, None).await?;
    respond(call, &outcome, StatusCode::OK)
}

/// `PATCH /things/{id}`: the current body with the members of the patch, as `PUT` would bring it.
pub(crate) async fn merge(call: &Call<'_>, body: Body, id: u64) -> Result<Response<Body>, Problem> {
    // 404 takes precedence over a malformed body.
    current(call, id).await?;
    let patch = read_body(call.headers, body, call.server.options.body_limit_bytes).await?;
    for attempts_left in (0..MERGE_ATTEMPTS).rev() {
        let row = current(call, id).await?;
        let expected = expected_version(call.headers, row.version)?;
        let mut merged = Value::Object(members(call.resource, &row, id)?);
        merge_patch::apply(&mut merged, &patch);
        let command = command_of(call.resource.replace.as_ref(), merged)?;
        match change(call, row.key, command, Some(row.version), None).await {
            Err(CommandError::Stale) if expected.is_none() && attempts_left > 0 => {}
            outcome => return respond(call, &outcome?, StatusCode::OK),
        }
    }
    Err(CommandError::Stale.into())
}

/// `DELETE /things/{id}`.
pub(crate) async fn delete(call: &Call<'_>, id: u64) -> Result<Response<Body>, Problem> {
    let row = current(call, id).await?;
    let expected = expected_version(call.headers, row.version)?;
    let command = command_of(call.resource.delete.as_ref(), Value::Null)?;
    change(call, row.key, command, expected, None).await?;
    Ok(respond::empty(StatusCode::NO_CONTENT))
}

/// `PUT`, `PATCH` or `POST /things/{id}/{action}`.
pub(crate) async fn act(call: &Call<'_>, body: Body, id: u64, action: usize, method: &Method) -> Result<Response<Body>, Problem> {
    let action = &call.resource.actions[action];
    let name = action.def.name;
    let row = current(call, id).await?;
    let expected = expected_version(call.headers, row.version)?;
    let body = read_body(call.headers, body, call.server.options.body_limit_bytes).await?;
    let path = format!("{}/{id}/{name}", call.resource.route.path());
    let idempotency = match method {
        &Method::POST => idempotency(call.headers, call.context, &path, &body)?,
        _ => None,
    };
    // A repetition must get the first response, even if the action has since become impossible: the aggregate decides then.
    if idempotency.is_none() {
        let table = call.resource.model.table_of(call.resource.table);
        if !action.def.allowed(&table.read(&row.key, row.schema, &row.data)?) {
            let detail = format!("`{name}` is not allowed in the present state");
            return Err(Problem::of_type(types::NOT_ALLOWED_NOW, detail));
        }
    }
    let command = command_of(Some(action), body)?;
    let outcome = change(call, row.key, command, expected, idempotency).await?;
    respond(call, &outcome, StatusCode::OK)
}

/// How long the response waits for a settled state, where the resource declares one.
fn wait(call: &Call<'_>) -> Option<Wait> {
    let settled = call.resource.settled.clone()?;
    let deadline_ms = call.resource.engine.now().as_millisecond().saturating_add(call.server.options.settle_within_ms);
    Some(Wait { settled, deadline_ms })
}

async fn current(call: &Call<'_>, id: u64) -> Result<StoredRow, Problem> {
    let row = row(call.resource, id).await?;
    call.log.record_key(&row.key);
    Ok(row)
}

fn command_of(change: Option<&Change>, body: Value) -> Result<Opaque, Problem> {
    let change = change.ok_or_else(|| Problem::fault(&"a change that the resource does not declare"))?;
    let body = match &change.shape {
        Some(shape) => shape.fit(body).map_err(Problem::fields)?,
        None => Value::Null,
    };
    Ok(change.def.make(body)?)
}

async fn change(
    call: &Call<'_>,
    key: String,
    command: Opaque,
    expected_version: Option<u64>,
    idempotency: Option<Idempotency>,
) -> Result<CommandOutcome, CommandError> {
    let request = CommandRequest {
        table: call.resource.table,
        key,
        give_id: None,
        command,
        cause: call.context.cause(),
        must_exist: true,
        expected_version,
        idempotency,
        wait: wait(call),
    };
    call.resource.engine.submit(request).await
}

fn respond(call: &Call<'_>, outcome: &CommandOutcome, status: StatusCode) -> Result<Response<Body>, Problem> {
    let mut response = match &outcome.state {
        Some(state) => {
            let entity = Entity::from_outcome(call.resource, outcome, state)?;
            entity.respond(call.resource, &call.address(), status)?
        }
        None => respond::empty(StatusCode::NO_CONTENT),
    };
    if outcome.replayed {
        response.headers_mut().insert("idempotency-replayed", HeaderValue::from_static("true"));
    }
    Ok(response)
}
