//! A resource or a view as HTTP sees it: its paths, shapes and look-ups, made from the declarations alone.

use std::sync::Arc;

use kernel::context::Opaque;
use kernel::field::{Ask, FieldInfo};
use kernel::resource::{AnyFace, ChangeDef, CreateDef, ResourceDef};
use kernel::view::{AnyRow, ViewDef};
use ports::model::RowKind;
use ports::{Model, TableId};
use serde_json::Value;

use crate::shape::Shape;

/// One resource or view.
pub(crate) struct Thing {
    pub model: Arc<Model>,
    pub system: &'static str,
    pub service: &'static str,
    pub name: &'static str,
    pub sentence: &'static str,
    pub table: TableId,
    pub shown: Shown,
    /// JSON Schema of what is shown.
    pub body: Value,
    pub create: Option<Create>,
    pub replace: Option<Change>,
    pub delete: Option<Change>,
    pub actions: Vec<Change>,
    pub fields: Vec<Asked>,
    /// Members of the body, in order: the columns of an export.
    pub columns: Vec<String>,
    pub at_once: bool,
    /// When a change may be answered, where that is not at once.
    pub settled: Option<Settled>,
    /// The canonical path, `/system/things`, whichever door a request takes.
    pub path: String,
    pub routes: Routes,
}

/// Whether a state is what a client waits for.
pub(crate) type Settled = Arc<dyn Fn(&Opaque) -> bool + Send + Sync>;

/// How a stored row becomes a body.
pub(crate) enum Shown {
    State(Arc<dyn AnyFace>),
    Row(Arc<dyn AnyRow>),
}

/// `POST` of a resource with the shape of its body.
pub(crate) struct Create {
    pub def: CreateDef,
    pub shape: Shape,
}

/// A change with the shape of its body; `DELETE` has none.
pub(crate) struct Change {
    pub def: ChangeDef,
    pub shape: Option<Shape>,
}

/// A declared field with what its values are in a query.
pub(crate) struct Asked {
    pub info: FieldInfo,
    pub values: Values,
    /// `findByTitle`, where it may be searched for.
    pub find_by: Option<String>,
}

/// The sorts of value that a query may name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Values {
    Integer,
    Instant,
    Text,
}

/// Route templates, as metrics and the log name them.
pub(crate) struct Routes {
    pub collection: Arc<str>,
    pub entity: Arc<str>,
    pub totals: Arc<str>,
    pub search: Arc<str>,
    pub action: Arc<str>,
}

/// What a path names of a resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Spot {
    Collection,
    Totals,
    SearchIndex,
    /// By the place of the field.
    Search(usize),
    Entity(u64),
    /// The entity, and the place of the action.
    Action(u64, usize),
}

impl Spot {
    /// What the segments behind a resource's name say.
    pub fn of(thing: &Thing, rest: &[&str]) -> Option<Self> {
        match rest {
            [] => Some(Self::Collection),
            ["totals"] => Some(Self::Totals),
            ["search"] => Some(Self::SearchIndex),
            ["search", name] => thing.fields.iter().position(|field| field.find_by.as_deref() == Some(*name)).map(Self::Search),
            [id] => Some(Self::Entity(read_id(id)?)),
            [id, action] => Some(Self::Action(read_id(id)?, thing.actions.iter().position(|change| change.def.name == *action)?)),
            _ => None,
        }
    }
}

/// A positive integer that stores can hold.
fn read_id(text: &str) -> Option<u64> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|id| digits && (1..=i64::MAX.unsigned_abs()).contains(id))
}

impl Thing {
    /// The methods that a spot takes, as `Allow` lists them.
    pub fn allow(&self, spot: Spot) -> String {
        let mut methods = match spot {
            Spot::Action(..) => vec!["PUT", "PATCH", "POST"],
            _ => vec!["GET", "HEAD"],
        };
        match spot {
            Spot::Collection if self.create.is_some() => methods.push("POST"),
            Spot::Entity(_) => {
                methods.extend(self.replace.iter().flat_map(|_| ["PUT", "PATCH"]));
                methods.extend(self.delete.iter().map(|_| "DELETE"));
            }
            _ => {}
        }
        methods.push("OPTIONS");
        methods.join(", ")
    }

    /// The route template of a spot.
    pub fn route(&self, spot: Spot) -> &Arc<str> {
        match spot {
            Spot::Collection => &self.routes.collection,
            Spot::Totals => &self.routes.totals,
            Spot::SearchIndex | Spot::Search(_) => &self.routes.search,
            Spot::Entity(_) => &self.routes.entity,
            Spot::Action(..) => &self.routes.action,
        }
    }
}

/// The resources and views of a system, or of one of its services.
pub(crate) fn things_of(model: &Arc<Model>, only: Option<&str>) -> Vec<Thing> {
    let services = model.system.services.iter().filter(|service| only.is_none_or(|only| only == service.name));
    let things = services.flat_map(|service| {
        let resources = service.resources.iter().filter_map(|def| resource(model, service.name, def));
        let views = service.views.iter().filter_map(|def| view(model, service.name, def));
        resources.chain(views)
    });
    things.collect()
}

fn resource(model: &Arc<Model>, service: &'static str, def: &ResourceDef) -> Option<Thing> {
    let change = |def: &ChangeDef, without: &[&str]| Change {
        shape: (!def.input.is_null()).then(|| Shape::of(&def.input).without(without)),
        def: def.clone(),
    };
    let face = Face {
        name: def.name,
        sentence: def.sentence,
        table: model.by_type(def.aggregate)?,
        shown: Shown::State(def.face.clone()),
        body: def.body.clone(),
        fields: &def.fields,
    };
    Some(Thing {
        create: def.create.clone().map(|def| Create { shape: Shape::of(&def.input), def }),
        // Pages send the entity back as they read it; which one it is, its address says.
        replace: def.replace.as_ref().map(|def| change(def, &["_links", "id"])),
        delete: def.delete.as_ref().map(|def| change(def, &[])),
        actions: def.actions.iter().map(|def| change(def, &[])).collect(),
        at_once: def.at_once,
        settled: def.settled.clone(),
        ..thing(model, service, face)
    })
}

fn view(model: &Arc<Model>, service: &'static str, def: &ViewDef) -> Option<Thing> {
    // The first of that name serves; the other is the one in which it is rebuilt.
    let table = model.tables.iter().find(|table| {
        let is_view = matches!(&table.rows, RowKind::View(view) if view.name == def.name);
        is_view && model.service_name(table) == service
    })?;
    let shown = Shown::Row(def.row.clone());
    let face =
        Face { name: def.name, sentence: def.sentence, table: table.id, shown, body: def.row.schema(), fields: &def.fields };
    Some(thing(model, service, face))
}

/// What resources and views have in common.
struct Face<'a> {
    name: &'static str,
    sentence: &'static str,
    table: TableId,
    shown: Shown,
    body: Value,
    fields: &'a [FieldInfo],
}

/// A thing that can only be read.
fn thing(model: &Arc<Model>, service: &'static str, face: Face<'_>) -> Thing {
    let Face { name, sentence, table, shown, body, fields } = face;
    let system = model.system.name;
    let path = format!("/{system}/{name}");
    let route = |rest: &str| Arc::from(format!("{path}{rest}"));
    let routes = Routes {
        collection: route(""),
        entity: route("/{id}"),
        totals: route("/totals"),
        search: route("/search"),
        action: route("/{id}/{action}"),
    };
    let asked = |info: &FieldInfo| Asked { values: values_of(info, &body), find_by: find_by(info), info: info.clone() };
    let columns = body.get("properties").and_then(Value::as_object).into_iter().flatten().map(|(name, _)| name.clone());
    Thing {
        model: model.clone(),
        system,
        service,
        name,
        sentence,
        table,
        shown,
        create: None,
        replace: None,
        delete: None,
        actions: Vec::new(),
        fields: fields.iter().map(asked).collect(),
        columns: columns.collect(),
        at_once: false,
        settled: None,
        body,
        path,
        routes,
    }
}

fn find_by(info: &FieldInfo) -> Option<String> {
    let mut letters = info.name.chars();
    let first = letters.next().filter(|_| info.ask != Ask::Period)?;
    Some(format!("findBy{}{}", first.to_ascii_uppercase(), letters.as_str()))
}

/// What the body's schema says of the member of that name; text where it has none.
fn values_of(info: &FieldInfo, body: &Value) -> Values {
    let schema = body.get("properties").and_then(|properties| properties.get(info.name));
    let text = |name: &str| schema.and_then(|schema| schema.get(name)).map(Value::to_string).unwrap_or_default();
    if info.ask == Ask::Period || text("format").contains("date-time") {
        Values::Instant
    } else if text("type").contains("integer") {
        Values::Integer
    } else {
        Values::Text
    }
}
