//! Writing: a body becomes a command, the command's outcome becomes an answer. What is decided, the aggregate decides.

use axum::body::Body;
use axum::http::{HeaderValue, Method, Response, StatusCode};
use kernel::context::Opaque;
use pabal_core::{CommandError, CommandOutcome, CommandRequest, Idempotency, Wait};
use ports::StoredRow;
use serde_json::Value;

use crate::answer::Call;
use crate::body;
use crate::conditional::expected;
use crate::hal::{Entity, members};
use crate::idempotency;
use crate::problem::Problem;
use crate::problem_types;
use crate::read::row;
use crate::thing::Change;

/// A change that lost a race to another one is merged anew so often.
const MERGE_TRIES: u32 = 5;

/// `POST /things`.
pub(crate) async fn create(call: &Call<'_>, body: Body) -> Result<Response<Body>, Problem> {
    let thing = call.thing;
    let Some(create) = &thing.create else { return Err(Problem::fault(&"a resource without POST was posted to")) };
    let body = body::read(call.headers, body, call.site.options.body_limit_bytes).await?;
    let idempotency = idempotency::of(call.headers, call.context, &thing.path, &body)?;
    let new = create.def.make(create.shape.fit(body).map_err(Problem::fields)?)?;
    let key = new.key.unwrap_or_else(|| thing.engine.fresh_key());
    call.trail.concerns(&key);
    let order = CommandRequest {
        table: thing.table,
        key,
        give_id: new.id,
        command: new.command,
        cause: call.context.cause(),
        must_exist: false,
        expected_version: None,
        idempotency,
        wait: wait(call),
    };
    let done = thing.engine.submit(order).await?;
    let status = if done.created { StatusCode::CREATED } else { StatusCode::OK };
    respond(call, &done, status)
}

/// `PUT /things/{id}`.
pub(crate) async fn replace(call: &Call<'_>, body: Body, id: u64) -> Result<Response<Body>, Problem> {
    let row = present(call, id).await?;
    let insists = expected(call.headers, row.version)?;
    let body = body::read(call.headers, body, call.site.options.body_limit_bytes).await?;
    let command = command_of(call.thing.replace.as_ref(), body)?;
    let done = change(call, row.key, command, insists, None).await?;
    respond(call, &done, StatusCode::OK)
}

/// `PATCH /things/{id}`: the present body with these members, as `PUT` would bring it.
pub(crate) async fn merge(call: &Call<'_>, body: Body, id: u64) -> Result<Response<Body>, Problem> {
    // Whether there is something to change comes before whether the change reads well.
    present(call, id).await?;
    let patch = body::read(call.headers, body, call.site.options.body_limit_bytes).await?;
    for last in (0..MERGE_TRIES).rev() {
        let row = present(call, id).await?;
        let insists = expected(call.headers, row.version)?;
        let mut merged = Value::Object(members(call.thing, &row, id)?);
        merge_into(&mut merged, &patch);
        let command = command_of(call.thing.replace.as_ref(), merged)?;
        match change(call, row.key, command, Some(row.version), None).await {
            Err(CommandError::Stale) if insists.is_none() && last > 0 => {}
            outcome => return respond(call, &outcome?, StatusCode::OK),
        }
    }
    Err(CommandError::Stale.into())
}

/// `DELETE /things/{id}`.
pub(crate) async fn delete(call: &Call<'_>, id: u64) -> Result<Response<Body>, Problem> {
    let row = present(call, id).await?;
    let insists = expected(call.headers, row.version)?;
    let command = command_of(call.thing.delete.as_ref(), Value::Null)?;
    change(call, row.key, command, insists, None).await?;
    Ok(empty(StatusCode::NO_CONTENT))
}

/// `PUT`, `PATCH` or `POST /things/{id}/{action}`.
pub(crate) async fn act(call: &Call<'_>, body: Body, id: u64, action: usize, method: &Method) -> Result<Response<Body>, Problem> {
    let action = &call.thing.actions[action];
    let name = action.def.name;
    let row = present(call, id).await?;
    let insists = expected(call.headers, row.version)?;
    let body = body::read(call.headers, body, call.site.options.body_limit_bytes).await?;
    let path = format!("{}/{id}/{name}", call.thing.path);
    let idempotency = match method {
        &Method::POST => idempotency::of(call.headers, call.context, &path, &body)?,
        _ => None,
    };
    // A repetition must get the first answer, also where that has ended what the state allowed: the aggregate judges then.
    if idempotency.is_none() {
        let table = call.thing.model.table_of(call.thing.table);
        if !action.def.allowed(&table.read(&row)?) {
            let detail = format!("`{name}` is not allowed in the present state");
            return Err(Problem::of(problem_types::NOT_ALLOWED_NOW, detail));
        }
    }
    let command = command_of(Some(action), body)?;
    let done = change(call, row.key, command, insists, idempotency).await?;
    respond(call, &done, StatusCode::OK)
}

/// How long the answer is held back, where the resource says that it is.
fn wait(call: &Call<'_>) -> Option<Wait> {
    let settled = call.thing.settled.clone()?;
    let deadline_ms = call.thing.engine.now().as_millisecond().saturating_add(call.site.options.settle_within_ms);
    Some(Wait { settled, deadline_ms })
}

async fn present(call: &Call<'_>, id: u64) -> Result<StoredRow, Problem> {
    let row = row(call.thing, id).await?;
    call.trail.concerns(&row.key);
    Ok(row)
}

fn command_of(change: Option<&Change>, body: Value) -> Result<Opaque, Problem> {
    let change = change.ok_or_else(|| Problem::fault(&"a change that is not declared was asked for"))?;
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
    let order = CommandRequest {
        table: call.thing.table,
        key,
        give_id: None,
        command,
        cause: call.context.cause(),
        must_exist: true,
        expected_version,
        idempotency,
        wait: wait(call),
    };
    call.thing.engine.submit(order).await
}

fn respond(call: &Call<'_>, done: &CommandOutcome, status: StatusCode) -> Result<Response<Body>, Problem> {
    let mut response = match &done.state {
        Some(state) => {
            let entity = Entity::of_done(call.thing, done, state)?;
            entity.respond(call.thing, &call.address(), status)?
        }
        None => empty(StatusCode::NO_CONTENT),
    };
    if done.replayed {
        response.headers_mut().insert("idempotency-replayed", HeaderValue::from_static("true"));
    }
    Ok(response)
}

fn empty(status: StatusCode) -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = status;
    response
}

/// RFC 7396: members are put in place, `null` takes them away, all else replaces.
fn merge_into(target: &mut Value, patch: &Value) {
    match (target, patch) {
        (Value::Object(target), Value::Object(patch)) => {
            for (name, value) in patch {
                if value.is_null() {
                    target.shift_remove(name);
                } else {
                    merge_into(target.entry(name.clone()).or_insert(Value::Null), value);
                }
            }
        }
        (target, patch) => {
            *target = patch.clone();
            // What is new may not bring a `null` along with it.
            if let Value::Object(members) = target {
                members.retain(|_, value| !value.is_null());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_patch_puts_in_place_and_takes_away() {
        let mut body = json!({"a": 1, "b": {"c": 2, "d": 3}, "e": [1]});
        merge_into(&mut body, &json!({"a": null, "b": {"c": 9}, "e": [2], "f": {"g": null, "h": 1}}));
        assert_eq!(body, json!({"b": {"c": 9, "d": 3}, "e": [2], "f": {"h": 1}}));
    }
}
