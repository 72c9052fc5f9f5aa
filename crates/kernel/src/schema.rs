//! What the types say about themselves: names and sentences for documents and for the board.

use schemars::{JsonSchema, Schema, SchemaGenerator, generate::SchemaSettings};
use serde_json::Value;

/// JSON Schema 2020-12 of a type, self-contained but for `#/components/schemas/…` references collected in `generator`.
pub fn generator() -> SchemaGenerator {
    SchemaSettings::draft2020_12()
        .with(|settings| {
            settings.definitions_path = "/components/schemas".into();
            settings.meta_schema = None;
        })
        .into_generator()
}

/// The schema of one type with everything inlined: for walking, not for publishing.
pub fn inline<T: JsonSchema>() -> Schema {
    SchemaSettings::draft2020_12()
        .with(|settings| {
            settings.inline_subschemas = true;
            settings.meta_schema = None;
        })
        .into_generator()
        .into_root_schema_for::<T>()
}

/// One variant of an enum of commands or events.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Variant {
    /// Its name on the wire.
    pub name: String,
    /// Its doc comment.
    pub sentence: String,
    /// The schema of its payload.
    pub schema: Value,
    /// Of an event: it changes the state and does not leave the service.
    pub private: bool,
}

/// The variants of an enum, in the order of its declaration.
pub fn variants<T: JsonSchema>() -> Vec<Variant> {
    let schema = inline::<T>().to_value();
    if let Some(names) = schema.get("enum").and_then(Value::as_array) {
        return names.iter().filter_map(Value::as_str).map(|name| plain(name, "")).collect();
    }
    let Some(cases) = schema.get("oneOf").or_else(|| schema.get("anyOf")).and_then(Value::as_array) else {
        return Vec::new();
    };
    cases.iter().flat_map(variants_of_case).collect()
}

fn variants_of_case(case: &Value) -> Vec<Variant> {
    let sentence = case.get("description").and_then(Value::as_str).unwrap_or_default();
    let tag = case.pointer("/properties/eventType/const").or_else(|| case.get("const")).and_then(Value::as_str);
    if let Some(name) = tag {
        return vec![Variant { name: name.to_owned(), sentence: sentence.to_owned(), schema: case.clone(), private: false }];
    }
    if let Some(names) = case.get("enum").and_then(Value::as_array) {
        return names.iter().filter_map(Value::as_str).map(|name| plain(name, sentence)).collect();
    }
    let required = case.get("required").and_then(Value::as_array);
    let name = required.and_then(|names| names.first()).and_then(Value::as_str);
    name.map(|name| Variant { name: name.to_owned(), sentence: sentence.to_owned(), schema: case.clone(), private: false })
        .into_iter()
        .collect()
}

fn plain(name: &str, sentence: &str) -> Variant {
    Variant { name: name.to_owned(), sentence: sentence.to_owned(), schema: Value::Null, private: false }
}
