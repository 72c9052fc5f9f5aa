//! From the declarations of a system to its resources and views.

use std::sync::Arc;

use kernel::field::{Ask, FieldInfo};
use kernel::resource::{ChangeDef, ResourceDef};
use kernel::view::ViewDef;
use ports::model::RowKind;
use ports::{Model, TableId};
use serde_json::Value;

use super::definition::{Change, Create, QueryField, Representation, Resource, ValueKind};
use crate::request::Shape;
use crate::routing::Route;

/// The resources and views of a system, or of one of its services.
pub(crate) fn declared(model: &Arc<Model>, only_service: Option<&str>) -> Vec<Resource> {
    let services = model.system.services.iter().filter(|service| only_service.is_none_or(|only| only == service.name));
    let declared = services.flat_map(|service| {
        let resources = service.resources.iter().filter_map(|def| resource(model, service.name, def));
        let views = service.views.iter().filter_map(|def| view(model, service.name, def));
        resources.chain(views)
    });
    declared.collect()
}

fn resource(model: &Arc<Model>, service: &'static str, def: &ResourceDef) -> Option<Resource> {
    let change = |def: &ChangeDef, without: &[&str]| Change {
        shape: (!def.input.is_null()).then(|| Shape::from_schema(&def.input).without(without)),
        def: def.clone(),
    };
    let common = Common {
        name: def.name,
        sentence: def.sentence,
        table: model.by_type(def.aggregate)?,
        representation: Representation::State(def.representation.clone()),
        schema: def.body.clone(),
        fields: &def.fields,
    };
    Some(Resource {
        create: def.create.clone().map(|def| Create { shape: Shape::from_schema(&def.input), def }),
        // Pages send the entity back as they read it; its id is in its address.
        replace: def.replace.as_ref().map(|def| change(def, &["_links", "id"])),
        delete: def.delete.as_ref().map(|def| change(def, &[])),
        actions: def.actions.iter().map(|def| change(def, &[])).collect(),
        unpaged: def.at_once,
        settled: def.settled.clone(),
        ..read_only(model, service, common)
    })
}

fn view(model: &Arc<Model>, service: &'static str, def: &ViewDef) -> Option<Resource> {
    // The first table of that name serves; the second is the one in which the view is rebuilt.
    let table = model.tables.iter().find(|table| {
        let is_view = matches!(&table.rows, RowKind::View(view) if view.name == def.name);
        is_view && model.service_name(table) == service
    })?;
    let common = Common {
        name: def.name,
        sentence: def.sentence,
        table: table.id,
        representation: Representation::Row(def.row.clone()),
        schema: def.row.schema(),
        fields: &def.fields,
    };
    Some(read_only(model, service, common))
}

/// What resources and views have in common.
struct Common<'a> {
    name: &'static str,
    sentence: &'static str,
    table: TableId,
    representation: Representation,
    schema: Value,
    fields: &'a [FieldInfo],
}

fn read_only(model: &Arc<Model>, service: &'static str, common: Common<'_>) -> Resource {
    let Common { name, sentence, table, representation, schema, fields } = common;
    let field = |info: &FieldInfo| QueryField { kind: kind_of(info, &schema), find_by: find_by(info), info: info.clone() };
    let columns = schema.get("properties").and_then(Value::as_object).into_iter().flatten().map(|(name, _)| name.clone());
    Resource {
        route: Route::new(model.system.name, service, name),
        model: model.clone(),
        sentence,
        table,
        representation,
        create: None,
        replace: None,
        delete: None,
        actions: Vec::new(),
        fields: fields.iter().map(field).collect(),
        columns: columns.collect(),
        unpaged: false,
        settled: None,
        schema,
    }
}

fn find_by(info: &FieldInfo) -> Option<String> {
    let mut letters = info.name.chars();
    let first = letters.next().filter(|_| info.ask != Ask::Period)?;
    Some(format!("findBy{}{}", first.to_ascii_uppercase(), letters.as_str()))
}

/// What the schema says of the member of that name; text where it says nothing.
fn kind_of(info: &FieldInfo, schema: &Value) -> ValueKind {
    let member = schema.get("properties").and_then(|properties| properties.get(info.name));
    let text = |name: &str| member.and_then(|member| member.get(name)).map(Value::to_string).unwrap_or_default();
    if info.ask == Ask::Period || text("format").contains("date-time") {
        ValueKind::Instant
    } else if text("type").contains("integer") {
        ValueKind::Integer
    } else {
        ValueKind::Text
    }
}
