//! HAL: bodies with their links. Written as text straight from the body, because a list may have a thousand of them.

use axum::body::Body;
use axum::http::header::{CONTENT_TYPE, ETAG, LOCATION};
use axum::http::{HeaderValue, Response, StatusCode};
use kernel::context::Opaque;
use kernel::resource::AnyRepresentation;
use pabal_core::CommandOutcome;
use ports::StoredRow;
use serde_json::{Map, Value};

use crate::address::Address;
use crate::problem::Problem;
use crate::request::etag;
use crate::resource::{Representation, Resource};

const HAL: HeaderValue = HeaderValue::from_static("application/hal+json");

/// A row as it is represented: its body, and the names of the actions that its state allows.
pub(crate) struct Entity {
    pub id: u64,
    pub version: u64,
    /// An object as JSON.
    body: Vec<u8>,
    allowed: Vec<&'static str>,
}

impl Entity {
    /// The entity of a stored row.
    pub fn from_row(resource: &Resource, row: &StoredRow, id: u64) -> Result<Self, Problem> {
        match &resource.representation {
            Representation::State(face) => {
                let state = resource.model.table_of(resource.table).read(&row.key, row.schema, &row.data)?;
                Self::from_state(resource, face.as_ref(), &state, (id, row.version))
            }
            Representation::Row(_) => {
                let body = serde_json::to_vec(&members(resource, row, id)?).map_err(|error| Problem::fault(&error))?;
                Ok(Self { id, version: row.version, body, allowed: Vec::new() })
            }
        }
    }

    /// The entity after a command: from the decided state where the outcome carries it, else from the stored one.
    pub fn from_outcome(resource: &Resource, outcome: &CommandOutcome, state: &str) -> Result<Self, Problem> {
        if let (Representation::State(face), Some(state)) = (&resource.representation, &outcome.typed.0) {
            return Self::from_state(resource, face.as_ref(), state, (outcome.id, outcome.version));
        }
        let (id, key, data) = (Some(outcome.id), String::new(), state.as_bytes().to_vec());
        Self::from_row(resource, &StoredRow { id, key, version: outcome.version, schema: outcome.schema, data }, outcome.id)
    }

    fn from_state(
        resource: &Resource,
        face: &dyn AnyRepresentation,
        state: &Opaque,
        (id, version): (u64, u64),
    ) -> Result<Self, Problem> {
        let allowed = resource.actions.iter().filter(|change| change.def.allowed(state)).map(|change| change.def.name);
        Ok(Self { id, version, body: face.write(state, id)?, allowed: allowed.collect() })
    }

    /// Writes the body with its links; `href` is the collection's.
    pub fn write(&self, href: &str, out: &mut Vec<u8>) -> Result<(), Problem> {
        let inner = self.body.strip_prefix(b"{").and_then(|body| body.strip_suffix(b"}"));
        let inner = inner.ok_or_else(|| Problem::fault(&"a body is no object"))?;
        out.push(b'{');
        out.extend_from_slice(inner);
        if !inner.is_empty() {
            out.push(b',');
        }
        let id = self.id;
        out.extend_from_slice(format!(r#""_links":{{"self":{{"href":"{href}/{id}"}}"#).as_bytes());
        for name in &self.allowed {
            out.extend_from_slice(format!(r#","{name}":{{"href":"{href}/{id}/{name}"}}"#).as_bytes());
        }
        out.extend_from_slice(b"}}");
        Ok(())
    }

    /// The response that carries the entity.
    pub fn respond(&self, resource: &Resource, address: &Address, status: StatusCode) -> Result<Response<Body>, Problem> {
        let href = address.collection(resource.route.name);
        let mut out = Vec::with_capacity(512);
        self.write(&href, &mut out)?;
        let mut response = respond(status, out);
        if let Some(tag) = etag(self.version) {
            response.headers_mut().insert(ETAG, tag);
        }
        if status == StatusCode::CREATED {
            let location = HeaderValue::try_from(format!("{href}/{}", self.id));
            response.headers_mut().insert(LOCATION, location.map_err(|error| Problem::fault(&error))?);
        }
        Ok(response)
    }
}

/// The members of a stored row's body.
pub(crate) fn members(resource: &Resource, row: &StoredRow, id: u64) -> Result<Map<String, Value>, Problem> {
    match &resource.representation {
        Representation::State(face) => {
            let state = resource.model.table_of(resource.table).read(&row.key, row.schema, &row.data)?;
            object(face.show(&state, id)?)
        }
        Representation::Row(def) => {
            // A row of the present schema is its own representation; an older one is upcast through its type.
            let body = if row.schema == def.version() {
                serde_json::from_slice(&row.data)
            } else {
                serde_json::from_slice(&def.encode(&def.decode(row.schema, &row.data)?)?)
            };
            let mut body = object(body.map_err(|error| Problem::fault(&error))?)?;
            body.insert("id".into(), id.into());
            Ok(body)
        }
    }
}

/// A response in HAL.
pub(crate) fn respond(status: StatusCode, body: Vec<u8>) -> Response<Body> {
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HAL);
    response
}

fn object(value: Value) -> Result<Map<String, Value>, Problem> {
    match value {
        Value::Object(map) => Ok(map),
        other => Err(Problem::fault(&format!("a body is no object but {other}"))),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn written(body: &Value, allowed: Vec<&'static str>) -> Value {
        let entity = Entity { id: 7, version: 1, body: body.to_string().into_bytes(), allowed };
        let mut out = Vec::new();
        entity.write("http://h/things", &mut out).unwrap();
        serde_json::from_slice(&out).unwrap()
    }

    #[test]
    fn self_is_absolute_and_ends_with_the_id() {
        let shown = written(&json!({"id": 7}), vec![]);
        assert_eq!(shown, json!({"id": 7, "_links": {"self": {"href": "http://h/things/7"}}}));
    }

    #[test]
    fn only_allowed_actions_have_links() {
        let shown = written(&json!({}), vec!["close"]);
        assert_eq!(shown["_links"]["close"]["href"], "http://h/things/7/close");
    }
}
