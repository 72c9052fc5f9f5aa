//! The operations of a resource or a view.

use kernel::field::Ask;
use serde_json::{Map, Value, json};

use super::parts::{schema_ref, tag};
use crate::body::TAKEN;
use crate::thing::{Change, Thing, Values};

/// What any request may be answered.
const ALWAYS: [u16; 4] = [429, 431, 500, 503];
/// What any command may be answered besides.
const COMMAND: [u16; 8] = [400, 402, 403, 404, 409, 413, 415, 422];

/// Adds every path of a thing under `base`; `prefix` keeps the operations' ids apart.
pub(super) fn add(paths: &mut Map<String, Value>, thing: &Thing, base: &str, prefix: &str) {
    let describe = Describe { thing, prefix };
    paths.insert(base.to_owned(), describe.collection());
    paths.insert(format!("{base}/{{id}}"), describe.entity());
    paths.insert(format!("{base}/totals"), describe.totals());
    paths.insert(format!("{base}/search"), describe.search_index());
    for (place, field) in thing.fields.iter().enumerate() {
        if let Some(find_by) = &field.find_by {
            paths.insert(format!("{base}/search/{find_by}"), describe.search(place, find_by));
        }
    }
    for action in &thing.actions {
        paths.insert(format!("{base}/{{id}}/{}", action.def.name), describe.action(action));
    }
}

/// A bare name that several systems share.
pub(super) fn shared(name: &str) -> Value {
    let responses = responses(
        json!({"200": {"description": "The list of the system that is meant.",
        "content": {"application/hal+json": {"schema": {"type": "object"}}}}}),
        &[300, 400],
    );
    json!({"get": {"operationId": format!("{name}.list"), "summary": "Several systems have a resource of this name.",
        "parameters": [{"$ref": "#/components/parameters/system"}], "responses": responses}})
}

/// `responses` of an operation, with the problems that any request may meet.
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

/// A request body in every media type that is taken.
pub(super) fn request_body(schema: &Value, required: bool) -> Value {
    let content: Map<String, Value> = TAKEN.iter().map(|media| ((*media).to_owned(), json!({"schema": schema}))).collect();
    json!({"required": required, "content": content})
}

struct Describe<'a> {
    thing: &'a Thing,
    prefix: &'a str,
}

impl Describe<'_> {
    fn operation(&self, name: &str, sentence: &str, parameters: &[Value], responses: &Value) -> Value {
        let dot = if self.prefix.is_empty() { "" } else { "." };
        json!({
            "operationId": format!("{}{dot}{}.{name}", self.prefix, self.thing.name),
            "tags": [tag(self.thing)],
            "summary": sentence,
            "parameters": parameters,
            "responses": responses,
        })
    }

    fn shown(&self, sentence: &str, created: bool) -> Value {
        let mut headers = json!({"ETag": {"description": "The entity's version.", "schema": {"type": "string"}}});
        if created {
            headers["Location"] = json!({"description": "The entity's address.", "schema": {"type": "string"}});
        }
        json!({"description": sentence, "headers": headers,
            "content": {"application/hal+json": {"schema": schema_ref(self.thing, "")}}})
    }

    fn collection(&self) -> Value {
        let thing = self.thing;
        let mut item = json!({"get": self.operation("list", thing.sentence, &self.list_parameters(), &self.list_responses())});
        if let Some(create) = &thing.create {
            let good = json!({
                "201": self.shown("It came to be.", true),
                "200": self.shown("It was there already.", false),
                "204": {"description": "Nothing came to be."},
            });
            let answers = responses(good, &COMMAND);
            let mut operation = self.operation("create", create.def.sentence, &[parameter("idempotencyKey")], &answers);
            operation["requestBody"] = request_body(&schema_ref(thing, "create"), has_required(&create.def.input));
            item["post"] = operation;
        }
        item
    }

    fn list_parameters(&self) -> Vec<Value> {
        let names = ["id"].into_iter().chain(self.thing.fields.iter().map(|field| field.info.name));
        let sorts: Vec<String> = names.flat_map(|name| ["", ",asc", ",desc"].map(|way| format!("{name}{way}"))).collect();
        let sort = json!({"name": "sort", "in": "query", "required": false,
            "description": "One field; ties are broken by id.", "schema": {"enum": sorts}});
        let mut parameters: Vec<Value> = ["page", "size", "cursor", "format"].into_iter().map(parameter).collect();
        parameters.push(sort);
        for place in 0..self.thing.fields.len() {
            parameters.extend(self.filters(place, false));
        }
        parameters
    }

    /// The parameters by which a field is asked for.
    fn filters(&self, place: usize, required: bool) -> Vec<Value> {
        let field = &self.thing.fields[place];
        let schema = match field.values {
            Values::Integer => json!({"type": "integer", "format": "int64"}),
            Values::Instant => json!({"type": "string", "format": "date-time"}),
            // Where it must be there, it must not be empty: that would be absent.
            Values::Text if required => json!({"type": "string", "minLength": 1}),
            Values::Text => json!({"type": "string"}),
        };
        let names = match field.info.ask {
            Ask::Period => vec![format!("{}From", field.info.name), format!("{}To", field.info.name)],
            Ask::Counted | Ask::Filter | Ask::Key => vec![field.info.name.to_owned()],
        };
        let filter = |name| json!({"name": name, "in": "query", "required": required, "schema": schema});
        names.into_iter().map(filter).collect()
    }

    fn list_responses(&self) -> Value {
        let embedded = json!({self.thing.name: {"type": "array", "items": schema_ref(self.thing, "")}});
        let list = json!({"type": "object", "required": ["_embedded", "_links", "page"], "properties": {
            "_embedded": {"type": "object", "required": [self.thing.name], "properties": embedded},
            "_links": {"$ref": "#/components/schemas/PageLinks"}, "page": {"$ref": "#/components/schemas/Page"}}});
        let content = json!({"application/hal+json": {"schema": list}, "text/csv": {"schema": {"type": "string"}}});
        responses(json!({"200": {"description": "A page, or everything as CSV.", "content": content}}), &[400])
    }

    fn entity(&self) -> Value {
        let thing = self.thing;
        let good = json!({"200": self.shown("The entity.", false), "304": {"description": "It is as the client has it."}});
        let get = self.operation("get", "One of them.", &[parameter("id"), parameter("ifNoneMatch")], &responses(good, &[404]));
        let mut item = json!({"get": get});
        if let Some(replace) = &thing.replace {
            let (put, merged) = ("replace", "merge");
            item["put"] = self.change(put, replace, put, has_required(&replace.def.input));
            item["patch"] = self.change(merged, replace, merged, false);
        }
        if let Some(delete) = &thing.delete {
            let parameters = [parameter("id"), parameter("ifMatch")];
            let answers = responses(json!({"204": {"description": "Done."}}), &[402, 403, 404, 409, 412, 422]);
            item["delete"] = self.operation("delete", delete.def.sentence, &parameters, &answers);
        }
        item
    }

    fn change(&self, name: &str, change: &Change, schema: &str, required: bool) -> Value {
        let good = json!({"200": self.shown("The entity afterwards.", false), "204": {"description": "It is gone."}});
        let mut problems = COMMAND.to_vec();
        problems.push(412);
        let parameters = [parameter("id"), parameter("ifMatch")];
        let mut operation = self.operation(name, change.def.sentence, &parameters, &responses(good, &problems));
        operation["requestBody"] = request_body(&schema_ref(self.thing, schema), required);
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
        let good = json!({"200": {"description": "In all, by counted field, by counted pair.",
            "content": {"application/hal+json": {"schema": {"$ref": "#/components/schemas/Totals"}}}}});
        json!({"get": self.operation("totals", "How many there are.", &[], &responses(good, &[]))})
    }

    fn search_index(&self) -> Value {
        let good = json!({"200": {"description": "Links to the searches.",
            "content": {"application/hal+json": {"schema": {"$ref": "#/components/schemas/Links"}}}}});
        json!({"get": self.operation("searches", "Which searches there are.", &[], &responses(good, &[]))})
    }

    fn search(&self, place: usize, find_by: &str) -> Value {
        let name = self.thing.fields[place].info.name;
        let mut parameters = self.filters(place, true);
        parameters.extend(self.list_parameters().into_iter().filter(|parameter| parameter["name"] != name));
        let sentence = format!("Those whose {name} is this.");
        json!({"get": self.operation(find_by, &sentence, &parameters, &self.list_responses())})
    }
}

fn has_required(schema: &Value) -> bool {
    schema.get("required").and_then(Value::as_array).is_some_and(|names| !names.is_empty())
}
