//! What a resource or a view is made of.

use std::sync::Arc;

use kernel::context::Opaque;
use kernel::field::FieldInfo;
use kernel::resource::{AnyRepresentation, ChangeDef, CreateDef};
use kernel::view::AnyRow;
use ports::{Model, TableId};
use serde_json::Value;

use crate::request::Shape;
use crate::routing::Route;

/// One resource or view.
pub(crate) struct Resource {
    pub route: Route,
    pub model: Arc<Model>,
    /// Its description, one sentence.
    pub sentence: &'static str,
    pub table: TableId,
    pub representation: Representation,
    /// JSON Schema of the representation.
    pub schema: Value,
    pub create: Option<Create>,
    pub replace: Option<Change>,
    pub delete: Option<Change>,
    pub actions: Vec<Change>,
    pub fields: Vec<QueryField>,
    /// Members of the representation, in order: the columns of an export.
    pub columns: Vec<String>,
    /// A list without `page` and `size` has the largest page instead of the usual one.
    pub unpaged: bool,
    /// The state that the response to a change waits for, where it does not come at once.
    pub settled: Option<Settled>,
}

impl AsRef<Route> for Resource {
    fn as_ref(&self) -> &Route {
        &self.route
    }
}

/// Whether a state is one that a client waits for.
pub(crate) type Settled = Arc<dyn Fn(&Opaque) -> bool + Send + Sync>;

/// How a stored row becomes a body.
pub(crate) enum Representation {
    State(Arc<dyn AnyRepresentation>),
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

/// A declared field that queries may use.
pub(crate) struct QueryField {
    pub info: FieldInfo,
    pub kind: ValueKind,
    /// The name of its search, such as `findByTitle`, where it has one.
    pub find_by: Option<String>,
}

/// How the values of a field are written in a query.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ValueKind {
    Integer,
    Instant,
    Text,
}
