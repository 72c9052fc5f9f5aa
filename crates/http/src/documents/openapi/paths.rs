//! The operations of a resource or a view.

use kernel::field::Ask;
use serde_json::{Map, Value, json};

use super::parts::{schema_ref, tag};
use crate::request::MEDIA_TYPES;
use crate::resource::{Change, Resource, ValueKind};

/// Problem statuses of any request.
const ALWAYS: [u16; 4] = [429, 431, 500, 503];
/// Further problem statuses of commands.
const COMMAND: [u16; 8] = [400, 402, 403, 404, 409, 413, 415, 422];

/// Adds every path of a resource under `base`; `prefix` keeps the operations' ids unique.
pub(super) fn add(paths: &mut Map<String, Value>, resource: &Resource, base: &str, prefix: &str) {
    let describe = Describe { resource, prefix };
    paths.insert(base.to_owned(), describe.collection());
    paths.insert(format!("{base}/{{id}}"), describe.entity());
    paths.insert(format!("{base}/totals"), describe.totals());
    paths.insert(format!("{base}/search"), describe.search_index());
    for (index, field) in resource.fields.iter().enumerate() {
        if let Some(find_by) = &field.find_by {
            paths.insert(format!("{base}/search/{find_by}"), describe.search(index, find_by));
        }
    }
    for action in &resource.actions {
        paths.insert(format!("{base}/{{id}}/{}", action.def.name), describe.action(action));
    }
}

/// A name that several systems declare.
pub(super) fn shared(name: &str) -> Value {
    let responses = responses(
        json!({"200": {"description": "The list of the system that is meant.",
        "content": {"application/hal+json": {"schema": {"type": "object"}}}}}),
        &[300, 400],
    );
    json!({"get": {"operationId": format!("{name}.list"), "summary": "Several systems have a resource of this name.",
        "parameters": [{"$ref": "#/components/parameters/system"}], "responses": responses}})
}

/// `responses` of an operation, with the problems of any request.
pub(super) fn responses(mut good: Value, problems: &[u16]) -> Value {
    if let Some(map) = good.as_object_mut() {
        let mut statuses: Vec<u16> = problems.iter().chain(&ALWAYS).copied().collect();
        statuses.sort_unstable();
        statuses.dedup();
        map.extend(
            statuses.iter().map(|status| (status.to_string(), json!({"$ref": format!("#/components/responses/P{status}")}))),
        );
    }
    good
}

fn parameter(name: &str) -> Value {
    json!({"$ref": format!("#/components/parameters/{name}")})
}

/// A request body in every accepted media type.
pub(super) fn request_body(schema: &Value, required: bool) -> Value {
    let content: Map<String, Value> = MEDIA_TYPES.iter().map(|media| ((*media).to_owned(), json!({"schema": schema}))).collect();
    json!({"required": required, "content": content})
}

struct Describe<'a> {
    resource: &'a Resource,
    prefix: &'a str,
}

impl Describe<'_> {
    fn operation(&self, name: &str, sentence: &str, parameters: &[Value], responses: &Value) -> Value {
        let dot = if self.prefix.is_empty() { "" } else { "." };
        json!({
            "operationId": format!("{}{dot}{}.{name}", self.prefix, self.resource.route.name),
            "tags": [tag(self.resource)],
            "summary": sentence,
            "parameters": parameters,
            "responses": responses,
        })
    }

    fn representation(&self, sentence: &str, created: bool) -> Value {
        let mut headers = json!({"ETag": {"description": "The entity's version.", "schema": {"type": "string"}}});
        if created {
            headers["Location"] = json!({"description": "The entity's address.", "schema": {"type": "string"}});
        }
        json!({"description": sentence, "headers": headers,
            "content": {"application/hal+json": {"schema": schema_ref(self.resource, "")}}})
    }

    fn collection(&self) -> Value {
        let resource = self.resource;
        let mut item = json!({"get": self.operation("list", resource.sentence, &self.list_parameters(), &self.list_responses())});
        if let Some(create) = &resource.create {
            let good = json!({
                "201": self.representation("Created.", true),
                "200": self.representation("It existed already.", false),
                "204": {"description": "Nothing was created."},
            });
            let answers = responses(good, &COMMAND);
            let mut operation = self.operation("create", create.def.sentence, &[parameter("idempotencyKey")], &answers);
            operation["requestBody"] = request_body(&schema_ref(resource, "create"), has_required(&create.def.input));
            item["post"] = operation;
        }
        item
    }

    fn list_parameters(&self) -> Vec<Value> {
        let names = ["id"].into_iter().chain(self.resource.fields.iter().map(|field| field.info.name));
        let sorts: Vec<String> = names.flat_map(|name| ["", ",asc", ",desc"].map(|way| format!("{name}{way}"))).collect();
        let sort = json!({"name": "sort", "in": "query", "required": false,
            "description": "One field; ties are broken by id.", "schema": {"enum": sorts}});
        let mut parameters: Vec<Value> = ["page", "size", "cursor", "format"].into_iter().map(parameter).collect();
        parameters.push(sort);
        for index in 0..self.resource.fields.len() {
            parameters.extend(self.filters(index, false));
        }
        parameters
    }

    /// The parameters that filter by a field.
    fn filters(&self, index: usize, required: bool) -> Vec<Value> {
        let field = &self.resource.fields[index];
        let schema = match field.kind {
            ValueKind::Integer => json!({"type": "integer", "format": "int64"}),
            ValueKind::Instant => json!({"type": "string", "format": "date-time"}),
            // A required parameter must not be empty, since an empty one is absent.
            ValueKind::Text if required => json!({"type": "string", "minLength": 1}),
            ValueKind::Text => json!({"type": "string"}),
        };
        let names = match field.info.ask {
            Ask::Period => vec![format!("{}From", field.info.name), format!("{}To", field.info.name)],
            Ask::Counted | Ask::Filter | Ask::Key => vec![field.info.name.to_owned()],
        };
        let filter = |name| json!({"name": name, "in": "query", "required": required, "schema": schema});
        names.into_iter().map(filter).collect()
    }

    fn list_responses(&self) -> Value {
        let embedded = json!({self.resource.route.name: {"type": "array", "items": schema_ref(self.resource, "")}});
        let list = json!({"type": "object", "required": ["_embedded", "_links", "page"], "properties": {
            "_embedded": {"type": "object", "required": [self.resource.route.name], "properties": embedded},
            "_links": {"$ref": "#/components/schemas/PageLinks"}, "page": {"$ref": "#/components/schemas/Page"}}});
        let content = json!({"application/hal+json": {"schema": list}, "text/csv": {"schema": {"type": "string"}}});
        responses(json!({"200": {"description": "A page, or all rows as CSV.", "content": content}}), &[400])
    }

    fn entity(&self) -> Value {
        let resource = self.resource;
        let good = json!({"200": self.representation("The entity.", false), "304": {"description": "The client has the current version."}});
        let get = self.operation("get", "One of them.", &[parameter("id"), parameter("ifNoneMatch")], &responses(good, &[404]));
        let mut item = json!({"get": get});
        if let Some(replace) = &resource.replace {
            let (put, merged) = ("replace", "merge");
            item["put"] = self.change(put, replace, put, has_required(&replace.def.input));
            item["patch"] = self.change(merged, replace, merged, false);
        }
        if let Some(delete) = &resource.delete {
            let parameters = [parameter("id"), parameter("ifMatch")];
            let answers = responses(json!({"204": {"description": "Done."}}), &[402, 403, 404, 409, 412, 422]);
            item["delete"] = self.operation("delete", delete.def.sentence, &parameters, &answers);
        }
        item
    }

    fn change(&self, name: &str, change: &Change, schema: &str, required: bool) -> Value {
        let good = json!({"200": self.representation("The entity after the change.", false), "204": {"description": "The entity no longer exists."}});
        let mut problems = COMMAND.to_vec();
        problems.push(412);
        let parameters = [parameter("id"), parameter("ifMatch")];
        let mut operation = self.operation(name, change.def.sentence, &parameters, &responses(good, &problems));
        operation["requestBody"] = request_body(&schema_ref(self.resource, schema), required);
        operation
    }

    fn action(&self, action: &Change) -> Value {
        let name = action.def.name;
        let required = has_required(&action.def.input);
        let mut item = json!({});
        for method in ["put", "patch", "post"] {
            let mut operation = self.change(&format!("{name}.{method}"), action, name, required);
            if let Some(parameters) = operation["parameters"].as_array_mut().filter(|_| method == "post") {
                parameters.push(parameter("idempotencyKey"));
            }
            item[method] = operation;
        }
        item
    }

    fn totals(&self) -> Value {
        let good = json!({"200": {"description": "Rows in all, by counted field, by counted pair.",
            "content": {"application/hal+json": {"schema": {"$ref": "#/components/schemas/Totals"}}}}});
        json!({"get": self.operation("totals", "Numbers of rows.", &[], &responses(good, &[]))})
    }

    fn search_index(&self) -> Value {
        let good = json!({"200": {"description": "Links to the searches.",
            "content": {"application/hal+json": {"schema": {"$ref": "#/components/schemas/Links"}}}}});
        json!({"get": self.operation("searches", "The searches.", &[], &responses(good, &[]))})
    }

    fn search(&self, index: usize, find_by: &str) -> Value {
        let name = self.resource.fields[index].info.name;
        let mut parameters = self.filters(index, true);
        parameters.extend(self.list_parameters().into_iter().filter(|parameter| parameter["name"] != name));
        let sentence = format!("Those whose {name} is this.");
        json!({"get": self.operation(find_by, &sentence, &parameters, &self.list_responses())})
    }
}

fn has_required(schema: &Value) -> bool {
    schema.get("required").and_then(Value::as_array).is_some_and(|names| !names.is_empty())
}
