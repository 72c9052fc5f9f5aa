//! An aggregate as an HTTP resource, as a table: method and path on the left, command on the right. Interpreted by adapters.

use std::any::TypeId;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::aggregate::Aggregate;
use crate::context::Opaque;
use crate::erased::to_json;
use crate::event::CodecError;
use crate::field::{Ask, Field, FieldInfo, IndexValue};
use crate::rejection::Rejected;
use crate::schema;

/// A command that may bring an aggregate into being.
pub struct New<A: Aggregate> {
    /// The business key; where it is absent, the runtime makes one.
    pub key: Option<String>,
    /// An id that the client gave, where clients may.
    pub id: Option<u64>,
    /// What is asked.
    pub command: A::Command,
}

impl<A: Aggregate> New<A> {
    /// Under this key, or under one that is made.
    pub fn keyed(key: Option<String>, command: A::Command) -> Self {
        Self { key, id: None, command }
    }
}

/// The input of an action that needs none.
#[derive(Debug, Clone, Copy, Default, serde::Deserialize, JsonSchema)]
pub struct NoBody {}

/// A resource being declared: the aggregate `A`, shown as `B`.
pub struct Resource<A: Aggregate, B> {
    def: ResourceDef,
    fields: Vec<Field<A>>,
    show: fn(&A, u64) -> B,
}

/// Declares the resource `name`, e.g. `messages`, whose body is what `show` makes of the state and its id.
pub fn resource<A: Aggregate, B: Serialize + JsonSchema + 'static>(
    name: &'static str,
    sentence: &'static str,
    show: fn(&A, u64) -> B,
) -> Resource<A, B> {
    let def = ResourceDef {
        name,
        sentence,
        aggregate: TypeId::of::<A>(),
        body: schema::inline::<B>().to_value(),
        representation: Arc::new(NotShown),
        create: None,
        replace: None,
        delete: None,
        actions: Vec::new(),
        fields: Vec::new(),
        crossed: Vec::new(),
        at_once: false,
        settled: None,
    };
    Resource { def, fields: Vec::new(), show }
}

impl<A: Aggregate, B: Serialize + JsonSchema + 'static> Resource<A, B> {
    /// `POST /things`: the body `D` becomes a command for a key.
    pub fn create<D: Input>(mut self, sentence: &'static str, make: fn(D) -> Result<New<A>, Rejected>) -> Self {
        let make = move |body: Value| {
            let new = make(read(body)?)?;
            Ok(NewCommand { key: new.key, id: new.id, command: Arc::new(new.command) })
        };
        self.def.create = Some(CreateDef { sentence, input: schema::inline::<D>().to_value(), make: Arc::new(make) });
        self
    }

    /// `PUT /things/{id}`, and `PATCH`, which merges into the present body first.
    pub fn replace<D: Input>(mut self, sentence: &'static str, make: fn(D) -> Result<A::Command, Rejected>) -> Self {
        self.def.replace = Some(change::<A, D>("", sentence, make, |_| true));
        self
    }

    /// `DELETE /things/{id}`.
    pub fn delete(mut self, sentence: &'static str, make: fn() -> A::Command) -> Self {
        let make = move |_: Value| Ok(Arc::new(make()) as Opaque);
        self.def.delete = Some(ChangeDef::new("", sentence, Value::Null, Arc::new(make), Arc::new(|_| true)));
        self
    }

    /// `PUT /things/{id}/{name}`; the link is given, and the call taken, only while `allowed`.
    pub fn action<D: Input>(
        mut self,
        name: &'static str,
        sentence: &'static str,
        make: fn(D) -> Result<A::Command, Rejected>,
        allowed: fn(&A) -> bool,
    ) -> Self {
        self.def.actions.push(change::<A, D>(name, sentence, make, allowed));
        self
    }

    /// `GET /things/search/findBy<Name>?<name>=`, also `?<name>=` on the collection.
    pub fn search(mut self, name: &'static str, value: fn(&A) -> IndexValue) -> Self {
        self.fields.push(Field::new(name, Ask::Filter, value));
        self
    }

    /// The same for the field that is the aggregate's key: found without an index of its own.
    pub fn search_key(mut self, name: &'static str, value: fn(&A) -> IndexValue) -> Self {
        self.fields.push(Field::new(name, Ask::Key, value));
        self
    }

    /// Answers a change only once the state is settled, or the adapter's deadline has passed: for changes whose outcome is
    /// an effect's answer. The command is committed first in any case and goes on by itself.
    pub fn answers_when(mut self, settled: fn(&A) -> bool) -> Self {
        let settled = move |state: &Opaque| state.downcast_ref::<A>().is_some_and(settled);
        self.def.settled = Some(Arc::new(settled));
        self
    }

    /// Lists up to 1000 rows where the request names neither `page` nor `size`, as some existing pages expect.
    pub fn all_at_once(mut self) -> Self {
        self.def.at_once = true;
        self
    }

    pub(crate) fn erase(self) -> ResourceDef {
        let fields = self.fields.iter().map(|field| field.info.clone()).collect();
        ResourceDef { representation: Arc::new(Shown { show: self.show, fields: self.fields }), fields, ..self.def }
    }
}

/// What a body can be read into.
pub trait Input: DeserializeOwned + JsonSchema + 'static {}
impl<T: DeserializeOwned + JsonSchema + 'static> Input for T {}

/// A resource without its types.
#[derive(Clone)]
pub struct ResourceDef {
    /// Its name in paths.
    pub name: &'static str,
    /// One sentence for the documents.
    pub sentence: &'static str,
    /// The aggregate whose rows it shows.
    pub aggregate: TypeId,
    /// The body's JSON Schema.
    pub body: Value,
    /// How a state is shown and indexed.
    pub representation: Arc<dyn AnyRepresentation>,
    /// `POST`.
    pub create: Option<CreateDef>,
    /// `PUT` and `PATCH`.
    pub replace: Option<ChangeDef>,
    /// `DELETE`.
    pub delete: Option<ChangeDef>,
    /// Links of the entity.
    pub actions: Vec<ChangeDef>,
    /// What may be filtered and searched.
    pub fields: Vec<FieldInfo>,
    /// Pairs of counted fields whose combinations are counted too.
    pub crossed: Vec<[&'static str; 2]>,
    /// Up to 1000 rows without being asked for a page.
    pub at_once: bool,
    /// When a change may be answered, where that is not at once.
    pub settled: Option<Judge>,
}

/// How a state is shown, without its type.
pub trait AnyRepresentation: Send + Sync {
    /// The body, an object.
    fn show(&self, state: &Opaque, id: u64) -> Result<Value, CodecError>;
    /// The same as JSON.
    fn write(&self, state: &Opaque, id: u64) -> Result<Vec<u8>, CodecError>;
    /// The values of the declared fields.
    fn index(&self, state: &Opaque) -> Vec<IndexValue>;
}

struct Shown<A, B> {
    show: fn(&A, u64) -> B,
    fields: Vec<Field<A>>,
}

impl<A: Aggregate, B: Serialize + 'static> AnyRepresentation for Shown<A, B> {
    fn show(&self, state: &Opaque, id: u64) -> Result<Value, CodecError> {
        let state = state.downcast_ref::<A>().ok_or_else(|| CodecError("a state of another type".into()))?;
        serde_json::to_value((self.show)(state, id)).map_err(|error| CodecError(error.to_string()))
    }
    fn write(&self, state: &Opaque, id: u64) -> Result<Vec<u8>, CodecError> {
        let state = state.downcast_ref::<A>().ok_or_else(|| CodecError("a state of another type".into()))?;
        to_json(&(self.show)(state, id))
    }
    fn index(&self, state: &Opaque) -> Vec<IndexValue> {
        let state = state.downcast_ref::<A>();
        self.fields.iter().map(|field| state.map_or(IndexValue::Null, |state| (field.value)(state))).collect()
    }
}

struct NotShown;

impl AnyRepresentation for NotShown {
    fn show(&self, _: &Opaque, _: u64) -> Result<Value, CodecError> {
        Err(CodecError("no resource shows this aggregate".into()))
    }
    fn write(&self, state: &Opaque, id: u64) -> Result<Vec<u8>, CodecError> {
        self.show(state, id).map(|_| Vec::new())
    }
    fn index(&self, _: &Opaque) -> Vec<IndexValue> {
        Vec::new()
    }
}

/// The representation of an aggregate without a resource.
pub(crate) fn not_shown() -> Arc<dyn AnyRepresentation> {
    Arc::new(NotShown)
}

/// A creating command without its type.
pub struct NewCommand {
    /// The business key, if the client gave one.
    pub key: Option<String>,
    /// The id, if the client gave one.
    pub id: Option<u64>,
    /// The typed command.
    pub command: Opaque,
}

/// A question about a state without its type.
pub type Judge = Arc<dyn Fn(&Opaque) -> bool + Send + Sync>;

type Make<T> = Arc<dyn Fn(Value) -> Result<T, Rejected> + Send + Sync>;

/// `POST` of a resource.
#[derive(Clone)]
pub struct CreateDef {
    /// One sentence for the documents.
    pub sentence: &'static str,
    /// The input's JSON Schema.
    pub input: Value,
    make: Make<NewCommand>,
}

impl CreateDef {
    /// Makes the command of a body that fits the schema.
    pub fn make(&self, body: Value) -> Result<NewCommand, Rejected> {
        (self.make)(body)
    }
}

/// A change of an existing entity.
#[derive(Clone)]
pub struct ChangeDef {
    /// The action's name, empty for `PUT`, `PATCH` and `DELETE` of the entity itself.
    pub name: &'static str,
    /// One sentence for the documents.
    pub sentence: &'static str,
    /// The input's JSON Schema, `null` if there is none.
    pub input: Value,
    make: Make<Opaque>,
    allowed: Judge,
}

impl ChangeDef {
    fn new(name: &'static str, sentence: &'static str, input: Value, make: Make<Opaque>, allowed: Judge) -> Self {
        Self { name, sentence, input, make, allowed }
    }

    /// Makes the command of a body that fits the schema.
    pub fn make(&self, body: Value) -> Result<Opaque, Rejected> {
        (self.make)(body)
    }

    /// Whether the state allows it.
    pub fn allowed(&self, state: &Opaque) -> bool {
        (self.allowed)(state)
    }
}

fn change<A: Aggregate, D: Input>(
    name: &'static str,
    sentence: &'static str,
    make: fn(D) -> Result<A::Command, Rejected>,
    allowed: fn(&A) -> bool,
) -> ChangeDef {
    let make = move |body: Value| Ok(Arc::new(make(read(body)?)?) as Opaque);
    let allowed = move |state: &Opaque| state.downcast_ref::<A>().is_some_and(allowed);
    ChangeDef::new(name, sentence, schema::inline::<D>().to_value(), Arc::new(make), Arc::new(allowed))
}

/// Adapters check a body against the schema before; what is still wrong has no better name than the body.
fn read<D: DeserializeOwned>(body: Value) -> Result<D, Rejected> {
    serde_json::from_value(body).map_err(|error| Rejected::field("body", "malformed", error.to_string()))
}
