//! The AsyncAPI 3.0 document: a channel for each system's topic, a message for each event, senders and receivers.

use std::collections::BTreeSet;
use std::sync::Arc;

use ports::Model;
use ports::model::Handling;
use serde_json::{Map, Value, json};

use crate::server::Server;

/// The document of these systems.
pub fn asyncapi(models: &[Arc<Model>], version: &str) -> Value {
    document(models.iter().map(|model| &**model), version, None)
}

/// The document of what a process serves.
pub(crate) fn of_server(server: &Server) -> Value {
    let models = server.engines.iter().map(|engine| &**engine.model());
    document(models, &server.options.version, server.service.as_deref())
}

/// The header of the correlation key, which is also the record's key.
const CORRELATION: &str = "$message.header#/ce_partitionkey";

fn document<'a>(models: impl Iterator<Item = &'a Model>, version: &str, only: Option<&str>) -> Value {
    let (mut channels, mut operations) = (Map::new(), Map::new());
    for model in models {
        add_senders(model, only, &mut channels, &mut operations);
        add_receivers(model, only, &mut channels, &mut operations);
    }
    json!({
        "asyncapi": "3.0.0",
        "info": {"title": "Pabal", "version": version, "license": {"name": "Apache-2.0"},
            "description": "Events are flat JSON objects whose `eventType` names them; a record's key is the correlation key of its case."},
        "defaultContentType": "application/json",
        "channels": channels,
        "operations": operations,
        "components": {
            "schemas": {"headers": headers()},
            "correlationIds": {"case": {"location": CORRELATION, "description": "The business id that ties all events of one case together."}},
        },
    })
}

fn channel<'a>(channels: &'a mut Map<String, Value>, topic: &str, sentence: &str) -> &'a mut Value {
    channels.entry(topic).or_insert_with(|| json!({"address": topic, "description": sentence, "messages": {}}))
}

fn add_senders(model: &Model, only: Option<&str>, channels: &mut Map<String, Value>, operations: &mut Map<String, Value>) {
    let system = &model.system;
    for service in system.services.iter().filter(|service| only.is_none_or(|only| only == service.name)) {
        let mut sent = Vec::new();
        for event in service.aggregates.iter().flat_map(|def| def.of.events()).filter(|event| !event.private) {
            let messages = &mut channel(channels, system.topic, system.sentence)["messages"];
            messages[&event.name] = message(&event.name, &event.sentence, event.schema);
            sent.push(reference(system.topic, &event.name));
        }
        if !sent.is_empty() {
            let operation = json!({"action": "send", "channel": {"$ref": channel_ref(system.topic)},
                "summary": service.sentence, "messages": sent});
            operations.insert(format!("{}.{}.send", system.name, service.name), operation);
        }
    }
}

fn add_receivers(model: &Model, only: Option<&str>, channels: &mut Map<String, Value>, operations: &mut Map<String, Value>) {
    for subscription in &model.subscriptions {
        let service = model.service(subscription.service);
        if only.is_some_and(|only| only != service.name) {
            continue;
        }
        let received: BTreeSet<&str> = match &subscription.does {
            Handling::React(policies) => policies.keys().map(String::as_str).collect(),
            Handling::Project(_, events) => events.iter().map(String::as_str).collect(),
        };
        let messages = &mut channel(channels, &subscription.topic, model.system.sentence)["messages"];
        for name in &received {
            // The sender may not be served here; the message is documented all the same.
            if messages.get(*name).is_none() {
                messages[*name] = message(name, "", json!({"type": "object"}));
            }
        }
        let received: Vec<Value> = received.into_iter().map(|name| reference(&subscription.topic, name)).collect();
        let operation = json!({"action": "receive", "channel": {"$ref": channel_ref(&subscription.topic)},
            "summary": service.sentence, "messages": received});
        operations.insert(format!("{}.receive", subscription.name), operation);
    }
}

fn channel_ref(topic: &str) -> String {
    format!("#/channels/{topic}")
}

fn reference(topic: &str, event: &str) -> Value {
    json!({"$ref": format!("#/channels/{topic}/messages/{event}")})
}

fn message(name: &str, sentence: &str, mut payload: Value) -> Value {
    if let Some(properties) = payload.get_mut("properties").and_then(Value::as_object_mut) {
        properties.insert("timestamp".into(), json!({"type": "integer", "description": "Milliseconds since 1970."}));
    }
    json!({
        "name": name,
        "summary": sentence,
        "contentType": "application/json",
        "headers": {"$ref": "#/components/schemas/headers"},
        "correlationId": {"$ref": "#/components/correlationIds/case"},
        "payload": payload,
        "bindings": {"kafka": {"key": {"type": "string", "description": "The correlation key."}, "bindingVersion": "0.5.0"}},
    })
}

fn headers() -> Value {
    let text = |sentence: &str| json!({"type": "string", "description": sentence});
    json!({"type": "object", "properties": {
        "type": text("The event type, without quotes; left out on topics whose existing consumers fail on it."),
        "contentType": text("`\"application/json\"`, with the quotes."),
        "spring_json_header_types": text("Which headers are strings, for existing consumers."),
        "traceparent": text("W3C trace context."),
        "ce_specversion": text("CloudEvents 1.0."),
        "ce_id": text("Unique per source."),
        "ce_source": text("The service that published it."),
        "ce_type": text("The event type."),
        "ce_time": text("When it was decided, UTC."),
        "ce_partitionkey": text("The correlation key."),
    }})
}
