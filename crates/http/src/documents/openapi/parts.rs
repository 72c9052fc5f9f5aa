//! What operations refer to: schemas of bodies, shared parameters, and one response for each status of problems.

use serde_json::{Map, Value, json};

use crate::problem::types::ALL;
use crate::resource::Resource;

/// A reference to a schema of a resource: its representation, or the body of an operation.
pub(super) fn schema_ref(resource: &Resource, operation: &str) -> Value {
    json!({"$ref": format!("#/components/schemas/{}", schema_name(resource, operation))})
}

fn schema_name(resource: &Resource, operation: &str) -> String {
    let dot = if operation.is_empty() { "" } else { "." };
    format!("{}.{}{dot}{operation}", resource.route.system, resource.route.name)
}

/// A tag for each service.
pub(super) fn tags(resources: &[&Resource]) -> Value {
    let mut tags: Vec<Value> = Vec::new();
    for resource in resources {
        let name = tag(resource);
        if !tags.iter().any(|tag| tag["name"] == name.as_str()) {
            let service = resource.model.system.services.iter().find(|service| service.name == resource.route.service);
            tags.push(json!({"name": name, "description": service.map(|service| service.sentence)}));
        }
    }
    tags.push(json!({"name": "operations", "description": "Health, metrics, documents."}));
    tags.push(json!({"name": "admin", "description": "The log of events, dead letters, subscriptions, rebuilds."}));
    tags.into()
}

/// The tag of a resource's operations.
pub(super) fn tag(resource: &Resource) -> String {
    format!("{}/{}", resource.route.system, resource.route.service)
}

/// Everything under `components`.
pub(super) fn components(resources: &[&Resource]) -> Value {
    let mut schemas = Map::new();
    for resource in resources {
        add_schemas(&mut schemas, resource);
    }
    schemas.extend(common_schemas());
    let statuses = PROBLEMS.iter().map(|(status, sentence, retry)| (format!("P{status}"), problem(*status, sentence, *retry)));
    json!({"schemas": schemas, "responses": statuses.collect::<Map<_, _>>(), "parameters": parameters()})
}

fn add_schemas(schemas: &mut Map<String, Value>, resource: &Resource) {
    let mut put = |operation: &str, schema: Value| {
        let name = schema_name(resource, operation);
        let schema = published(schema, &name);
        schemas.insert(name, schema);
    };
    put("", representation(resource));
    if let Some(create) = &resource.create {
        put("create", body(create.def.input.clone()));
    }
    if let Some(replace) = &resource.replace {
        put("replace", body(replace.def.input.clone()));
        put("merge", without_required(replace.def.input.clone()));
    }
    for action in &resource.actions {
        put(action.def.name, body(action.def.input.clone()));
    }
}

/// The declared schema, with `id` and `_links`.
fn representation(resource: &Resource) -> Value {
    let mut schema = resource.schema.clone();
    let link = || json!({"$ref": "#/components/schemas/Link"});
    let mut links = Map::from_iter([("self".to_owned(), link())]);
    links.extend(resource.actions.iter().map(|action| (action.def.name.to_owned(), link())));
    if let Some(properties) = schema.get_mut("properties").and_then(Value::as_object_mut) {
        properties.entry("id").or_insert_with(|| json!({"type": "integer", "minimum": 1}));
        properties.insert("_links".into(), json!({"type": "object", "properties": links, "required": ["self"]}));
    }
    if let Some(map) = schema.as_object_mut() {
        let required = map.entry("required").or_insert_with(|| json!([]));
        if let Some(required) = required.as_array_mut() {
            required.push("_links".into());
        }
    }
    schema
}

/// A required text must not be empty, since an empty one is absent.
fn body(mut schema: Value) -> Value {
    let required: Vec<String> = match schema.get("required").and_then(Value::as_array) {
        Some(names) => names.iter().filter_map(Value::as_str).map(str::to_owned).collect(),
        None => Vec::new(),
    };
    for name in required {
        if let Some(property) = schema.pointer_mut(&format!("/properties/{name}")).and_then(Value::as_object_mut)
            && property.get("type").is_some_and(|kind| kind == "string")
        {
            property.entry("minLength").or_insert_with(|| json!(1));
        }
    }
    schema
}

fn without_required(mut schema: Value) -> Value {
    if let Some(map) = schema.as_object_mut() {
        map.shift_remove("required");
    }
    schema
}

/// References within a schema, redirected to the schema's place in the document.
fn published(schema: Value, name: &str) -> Value {
    match schema {
        Value::Object(map) => map
            .into_iter()
            .map(|(key, value)| match value {
                Value::String(target) if key == "$ref" && target.starts_with("#/$defs/") => {
                    (key, format!("#/components/schemas/{name}{}", &target[1..]).into())
                }
                value => (key, published(value, name)),
            })
            .collect::<Map<_, _>>()
            .into(),
        Value::Array(list) => list.into_iter().map(|value| published(value, name)).collect::<Vec<_>>().into(),
        other => other,
    }
}

fn common_schemas() -> Map<String, Value> {
    let count = || json!({"type": "integer", "minimum": 0});
    let text = || json!({"type": "string"});
    let link = || json!({"$ref": "#/components/schemas/Link"});
    let field_error = json!({"type": "object", "required": ["field", "code", "detail"],
        "properties": {"field": text(), "code": text(), "detail": text()}});
    let counted = json!({"type": "object", "required": ["value", "rows"], "properties": {"value": text(), "rows": count()}});
    let texts = || json!({"type": "array", "items": {"type": "string"}});
    let pair = json!({"type": "object", "required": ["fields", "totals"], "properties": {"fields": texts(),
        "totals": {"type": "array", "items": {"type": "object", "required": ["values", "rows"],
            "properties": {"values": texts(), "rows": count()}}}}});
    let schemas = [
        (
            "Link",
            json!({"type": "object", "required": ["href"],
            "properties": {"href": text(), "templated": {"type": "boolean"}}}),
        ),
        (
            "Links",
            json!({"type": "object", "required": ["_links"],
            "properties": {"_links": {"type": "object", "additionalProperties": link()}}}),
        ),
        (
            "PageLinks",
            json!({"type": "object", "required": ["first", "self"],
            "properties": {"first": link(), "prev": link(), "self": link(), "next": link(), "last": link()}}),
        ),
        (
            "Page",
            json!({"type": "object", "required": ["size", "totalElements", "totalPages", "number"],
            "properties": {"size": count(), "totalElements": count(), "totalPages": count(), "number": count(),
                "totalIsAtLeast": {"type": "boolean", "description": "Counting stopped; there may be more rows."}}}),
        ),
        (
            "Totals",
            json!({"type": "object", "required": ["total", "by", "pairs", "_links"], "properties": {"total": count(),
            "by": {"type": "object", "additionalProperties": {"type": "array", "items": counted}},
            "pairs": {"type": "array", "items": pair}, "_links": {"type": "object"}}}),
        ),
        (
            "Problem",
            json!({"type": "object", "required": ["type", "title", "status", "detail", "message", "requestId"],
            "description": "RFC 9457.",
            "properties": {"type": {"type": "string", "description": "`/problems/` and a stable slug; it leads to a page that explains it."}, "title": text(),
                "status": {"type": "integer"}, "detail": text(), "message": {"type": "string", "description": "The same as `detail`."},
                "instance": text(), "requestId": text(), "errors": {"type": "array", "items": field_error}}}),
        ),
    ];
    schemas.into_iter().map(|(name, schema)| (name.to_owned(), schema)).collect()
}

/// The statuses of problems: a sentence, and whether the response has `Retry-After`.
const PROBLEMS: [(u16, &str, bool); 14] = [
    (300, "Several systems have a resource of this name; `doors` lists where each is.", false),
    (400, "Malformed; `errors` names every invalid field.", false),
    (402, "Payment is required.", false),
    (403, "The actor has no permission.", false),
    (404, "Nothing of that name exists.", false),
    (409, "It conflicts with the present state, or a request with this idempotency key is in flight.", false),
    (412, "It has changed since it was read (`If-Match`).", false),
    (413, "The body is too large.", false),
    (415, "The body's media type is not supported.", false),
    (422, "A business rule rejects it, or the idempotency key was used for another request.", false),
    (429, "The client has exceeded its request rate.", true),
    (431, "The header is too large.", false),
    (500, "A defect of the program; it has been logged.", false),
    (503, "The service is unavailable; nothing has changed, or what was accepted is still being processed.", true),
];

fn problem(status: u16, sentence: &str, retry: bool) -> Value {
    let of_platform = ALL.iter().filter(|kind| kind.status.as_u16() == status);
    let slugs: Vec<String> = of_platform.map(|kind| format!("[`{0}`](/problems/{0})", kind.slug)).collect();
    let or_a_rule = if RULES.contains(&status) { ", or a slug of the rule that rejects it" } else { "" };
    let slugs =
        if slugs.is_empty() { "The slug is the rule's own.".to_owned() } else { format!("{}{or_a_rule}.", slugs.join(", ")) };
    let mut response = json!({
        "description": format!("{sentence} {slugs}"),
        "content": {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}},
    });
    if retry {
        response["headers"] = json!({"Retry-After": {"description": "Seconds.", "schema": {"type": "integer"}}});
    }
    response
}

/// Statuses of the rules of services.
const RULES: [u16; 6] = [400, 402, 403, 404, 409, 422];

fn parameters() -> Value {
    let header = |name: &str, sentence: &str| json!({"name": name, "in": "header", "required": false, "description": sentence, "schema": {"type": "string"}});
    let query = |name: &str, sentence: &str, schema: Value| json!({"name": name, "in": "query", "required": false, "description": sentence, "schema": schema});
    json!({
        "id": {"name": "id", "in": "path", "required": true, "description": "The entity's id.",
            "schema": {"type": "integer", "minimum": 1}},
        "page": query("page", "Counts from 0. Beyond 10,000 rows only `cursor` reaches.", json!({"type": "integer", "minimum": 0})),
        "size": query("size", "Rows of a page; more than 1000 is taken as 1000.", json!({"type": "integer", "minimum": 1, "default": 20})),
        "cursor": query("cursor", "From the link `next`.", json!({"type": "string"})),
        "format": query("format", "`csv` exports all rows of the query.", json!({"enum": ["json", "csv"]})),
        "idempotencyKey": header("Idempotency-Key", "The same key and body replay the first response for 24 hours."),
        "ifMatch": header("If-Match", "Only if the entity still has this tag."),
        "ifNoneMatch": header("If-None-Match", "304 if the entity still has this tag."),
        "system": header("X-Pabal-System", "The system that a name means which several systems declare."),
    })
}
