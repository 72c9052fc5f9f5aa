//! A system as the machine sees it: numbered tables and subscriptions, made from the declarations alone.

use std::any::TypeId;
use std::collections::HashMap;
use std::sync::Arc;

use kernel::context::Opaque;
use kernel::event::CodecError;
use kernel::field::{Ask, FieldInfo, IndexValue};
use kernel::policy::{PolicyDef, StartFrom};
use kernel::service::{AggregateDef, Service, System};
use kernel::view::ViewDef;

pub use crate::declarations::{DeclarationError, check_effects, check_installation, check_system};
use crate::declarations::{REBUILD, sql_name};

/// A table's number within its system; stable only as long as the process runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TableId(pub usize);

/// A service's number within its system.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ServiceId(pub usize);

/// A subscription's number within its system; stable only as long as the process runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SubscriptionId(pub usize);

/// A system with its tables and subscriptions.
pub struct Model {
    /// The declarations.
    pub system: System,
    /// Its tables; stores create one of each.
    pub tables: Vec<Table>,
    /// Its subscriptions, each with an offset of its own.
    pub subscriptions: Vec<Subscription>,
    by_type: HashMap<TypeId, TableId>,
    /// The enrichment cache of each service, by the service's number; empty for a topic that is not shared.
    pub enrichment_caches: Vec<TableId>,
}

/// One table of rows: the states of an aggregate, or the rows of a view.
#[derive(Clone)]
pub struct Table {
    /// Its number.
    pub id: TableId,
    /// Its service.
    pub service: ServiceId,
    /// Its name in the store: `<service>__<thing>`; no service uses another's prefix.
    pub sql_name: String,
    /// The name of the aggregate or the view.
    pub name: &'static str,
    /// What its rows are.
    pub rows: RowKind,
    /// Declared fields, in the order of the index values.
    pub fields: Vec<FieldInfo>,
    /// Pairs of fields, by their places, whose combinations are counted.
    pub crossed: Vec<(usize, usize)>,
    /// For a view: the table in which it is rebuilt while this one serves.
    pub shadow: Option<TableId>,
}

/// What the rows of a table are.
#[derive(Clone)]
pub enum RowKind {
    /// States of an aggregate.
    Aggregate(AggregateDef),
    /// Rows of a view.
    View(ViewDef),
    /// Events that complete external records, by the keys under which they are found.
    EnrichmentCache,
}

/// A service's policies or a view, as the consumer of a topic.
pub struct Subscription {
    /// Its name, also the consumer group's: `<system>.<service>` or `<system>.<service>.<view>`.
    pub name: String,
    /// Its service.
    pub service: ServiceId,
    /// The topic it consumes.
    pub topic: String,
    /// Where it starts without a position.
    pub from: StartFrom,
    /// What it does with an event.
    pub does: Handling,
}

/// What a subscription does with an event.
pub enum Handling {
    /// Policies, by event type, each with the table of its target.
    React(HashMap<String, Vec<(PolicyDef, TableId)>>),
    /// A view's table, and the event types that change it.
    Project(TableId, Vec<String>),
}

impl Subscription {
    /// Whether an event of that type means anything to it.
    pub fn handles(&self, event_type: &str) -> bool {
        match &self.does {
            Handling::React(policies) => policies.contains_key(event_type),
            Handling::Project(_, events) => events.iter().any(|name| name == event_type),
        }
    }
}

impl Model {
    /// Checks a system's declarations, and numbers its tables and subscriptions.
    pub fn new(system: System) -> Result<Arc<Self>, DeclarationError> {
        check_system(&system)?;
        Ok(Arc::new(Self::numbered(system)))
    }

    fn numbered(mut system: System) -> Self {
        for handler in system.services.iter_mut().flat_map(|service| &mut service.effect_handlers) {
            *handler = handler.clone().configured(system.settings.clone());
        }
        let mut model = Self {
            tables: Vec::new(),
            subscriptions: Vec::new(),
            by_type: HashMap::new(),
            enrichment_caches: Vec::new(),
            system: system.clone(),
        };
        for (index, service) in system.services.iter().enumerate() {
            let index = ServiceId(index);
            for def in &service.aggregates {
                let resource = service.resources.iter().find(|resource| resource.aggregate == def.of.type_id());
                let fields = resource.map(|resource| resource.fields.clone()).unwrap_or_default();
                let id = model.table(index, service.name, def.of.name(), RowKind::Aggregate(def.clone()), fields, &[], "");
                model.by_type.insert(def.of.type_id(), id);
            }
            for view in &service.views {
                let rows = RowKind::View(view.clone());
                let (fields, crossed) = (view.fields.clone(), &view.crossed[..]);
                let id = model.table(index, service.name, view.name, rows.clone(), fields.clone(), crossed, "");
                let shadow = model.table(index, service.name, view.name, rows, fields, crossed, REBUILD);
                model.tables[id.0].shadow = Some(shadow);
                model.subscriptions.push(Subscription {
                    name: format!("{}.{}.{}", system.name, service.name, view.name),
                    service: index,
                    topic: service.follows.unwrap_or(system.topic).to_owned(),
                    from: StartFrom::Beginning,
                    does: Handling::Project(id, view.events.clone()),
                });
            }
        }
        for index in model.services() {
            model.follow_policies(index);
        }
        model
    }

    /// The same for a system on a shared topic: each service has an enrichment cache for external records.
    pub fn on_shared_topic(system: System) -> Result<Arc<Self>, DeclarationError> {
        check_system(&system)?;
        let mut model = Self::numbered(system);
        if model.system.external.is_some() {
            for service in model.services() {
                let name = model.service(service).name;
                let cache = model.table(service, name, "enrichmentCache", RowKind::EnrichmentCache, Vec::new(), &[], "");
                model.enrichment_caches.push(cache);
            }
        }
        Ok(Arc::new(model))
    }

    #[allow(clippy::too_many_arguments)] // a private constructor; a struct for its arguments would say everything twice
    fn table(
        &mut self,
        service: ServiceId,
        service_name: &str,
        name: &'static str,
        rows: RowKind,
        fields: Vec<FieldInfo>,
        crossed: &[[&'static str; 2]],
        suffix: &str,
    ) -> TableId {
        let id = TableId(self.tables.len());
        let place = |name: &str| fields.iter().position(|field| field.name == name);
        let crossed = crossed.iter().filter_map(|[a, b]| Some((place(a)?, place(b)?))).collect();
        let sql_name = sql_name(service_name, name, suffix);
        self.tables.push(Table { id, service, sql_name, name, rows, fields, crossed, shadow: None });
        id
    }

    fn follow_policies(&mut self, index: ServiceId) {
        let service = &self.system.services[index.0];
        let topic = service.follows.unwrap_or(self.system.topic).to_owned();
        for (from, suffix) in [(StartFrom::Beginning, ""), (StartFrom::Now, "@now")] {
            let mut policies: HashMap<String, Vec<(PolicyDef, TableId)>> = HashMap::new();
            for policy in service.policies.iter().filter(|policy| policy.from == from) {
                // The declarations were checked: the target is an aggregate of this service.
                if let Some(target) = self.by_type.get(&policy.target_type) {
                    policies.entry(policy.event_type.clone()).or_default().push((policy.clone(), *target));
                }
            }
            if !policies.is_empty() {
                let name = format!("{}.{}{suffix}", self.system.name, service.name);
                self.subscriptions.push(Subscription {
                    name,
                    service: index,
                    topic: topic.clone(),
                    from,
                    does: Handling::React(policies),
                });
            }
        }
    }

    /// The services, in the order of their declaration.
    pub fn services(&self) -> impl Iterator<Item = ServiceId> + use<> {
        (0..self.system.services.len()).map(ServiceId)
    }

    /// A service by its number.
    pub fn service(&self, id: ServiceId) -> &Service {
        &self.system.services[id.0]
    }

    /// The subscriptions by their numbers.
    pub fn subscriptions(&self) -> impl Iterator<Item = SubscriptionId> + use<> {
        (0..self.subscriptions.len()).map(SubscriptionId)
    }

    /// A subscription by its number.
    pub fn subscription(&self, id: SubscriptionId) -> &Subscription {
        &self.subscriptions[id.0]
    }

    /// A table by its number.
    pub fn table_of(&self, id: TableId) -> &Table {
        &self.tables[id.0]
    }

    /// The table of an aggregate's Rust type.
    pub fn by_type(&self, aggregate: TypeId) -> Option<TableId> {
        self.by_type.get(&aggregate).copied()
    }

    /// The table of an aggregate or a view by its service's and its own name.
    pub fn find(&self, service: &str, name: &str) -> Option<&Table> {
        self.tables.iter().find(|table| self.service_name(table) == service && table.name == name)
    }

    /// The name of a table's service.
    pub fn service_name(&self, table: &Table) -> &'static str {
        self.service(table.service).name
    }

    /// The table of a subscription that is a view, with its rebuild table.
    pub fn view_of(&self, name: &str) -> Option<(SubscriptionId, TableId, TableId)> {
        self.subscriptions.iter().enumerate().find_map(|(index, subscription)| match &subscription.does {
            Handling::Project(table, _) if self.table_of(*table).name == name => {
                Some((SubscriptionId(index), *table, self.table_of(*table).shadow?))
            }
            _ => None,
        })
    }
}

impl Table {
    /// Schema version of what is written.
    pub fn version(&self) -> u16 {
        match &self.rows {
            RowKind::Aggregate(def) => def.of.version(),
            RowKind::View(def) => def.row.version(),
            RowKind::EnrichmentCache => 1,
        }
    }

    /// Schema version of the commands that timers keep; 1 for a table without commands.
    pub fn command_version(&self) -> u16 {
        match &self.rows {
            RowKind::Aggregate(def) => def.of.command_version(),
            RowKind::View(_) | RowKind::EnrichmentCache => 1,
        }
    }

    /// Reads a stored row; an error names the table, the key and what is wrong, e.g. the field that an older row lacks.
    pub fn read(&self, key: &str, version: u16, json: &[u8]) -> Result<Opaque, CodecError> {
        self.decode(version, json).map_err(|CodecError(cause)| {
            let table = &self.sql_name;
            CodecError(format!("{table}, row `{key}`, schema version {version}: {cause}"))
        })
    }

    /// Reads a row of this schema version.
    pub fn decode(&self, version: u16, json: &[u8]) -> Result<Opaque, CodecError> {
        match &self.rows {
            RowKind::Aggregate(def) => def.of.decode_state(version, json),
            RowKind::View(def) => def.row.decode(version, json),
            RowKind::EnrichmentCache => Ok(Arc::new(json.to_vec())),
        }
    }

    /// Writes a row.
    pub fn encode(&self, row: &Opaque) -> Result<Vec<u8>, CodecError> {
        match &self.rows {
            RowKind::Aggregate(def) => def.of.encode_state(row),
            RowKind::View(def) => def.row.encode(row),
            RowKind::EnrichmentCache => row.downcast_ref().cloned().ok_or_else(|| CodecError("not a cached event".into())),
        }
    }

    /// The values of the declared fields.
    pub fn index(&self, row: &Opaque) -> Vec<IndexValue> {
        match &self.rows {
            RowKind::Aggregate(def) => def.representation.index(row),
            RowKind::View(def) => def.row.index(row),
            RowKind::EnrichmentCache => Vec::new(),
        }
    }

    /// The values of the declared fields of a row with this key; one that is declared to be the key is that key.
    pub fn index_of(&self, key: &str, row: &Opaque) -> Result<Arc<[IndexValue]>, CodecError> {
        let index = self.index(row);
        let is_key = |value: &IndexValue| matches!(value, IndexValue::Text(text) if text == key);
        match self.fields.iter().zip(&index).find(|(field, value)| field.ask == Ask::Key && !is_key(value)) {
            Some((field, _)) => {
                Err(CodecError(format!("`{}` of {} is declared to be its key and is not", field.name, self.name)))
            }
            None => Ok(index.into()),
        }
    }

    /// What is counted about a row: its existence, each counted field, each crossed pair.
    pub fn counters(&self, index: &[IndexValue]) -> Vec<Counter> {
        let mut counters = vec![Counter { name: String::new(), value: String::new() }];
        for (field, value) in self.fields.iter().zip(index) {
            if field.ask == Ask::Counted {
                counters.push(Counter { name: field.name.to_owned(), value: text(value) });
            }
        }
        for (a, b) in &self.crossed {
            if let (Some(first), Some(second)) = (index.get(*a), index.get(*b)) {
                let name = format!("{}*{}", self.fields[*a].name, self.fields[*b].name);
                counters.push(Counter { name, value: format!("{}\u{1f}{}", text(first), text(second)) });
            }
        }
        counters
    }
}

/// The name and the value of one counter of a table; both empty for the number of listed rows.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Counter {
    /// The field, or `a*b` for a pair.
    pub name: String,
    /// The value, or both with a unit separator between them.
    pub value: String,
}

/// An index value as a counter names it.
pub fn text(value: &IndexValue) -> String {
    match value {
        IndexValue::Null => String::new(),
        IndexValue::Int(number) => number.to_string(),
        IndexValue::Text(text) => text.clone(),
    }
}

#[cfg(test)]
mod tests {
    use kernel::{Domain, Row, Service, view};
    use schemars::JsonSchema;
    use serde::{Deserialize, Serialize};

    use super::*;

    #[derive(Clone, Default, Serialize, Deserialize, JsonSchema)]
    struct Line {
        name: String,
    }

    impl Row for Line {
        fn id(&self) -> Option<u64> {
            Some(1)
        }
    }

    #[test]
    fn a_field_that_is_declared_to_be_the_key_is_that_key_or_a_fault() {
        let lines = view::<Line>("lines", "Lines.").keyed("name", |line| (&line.name).into());
        let service = Service::new("book", 8080, Domain::General, "Keeps lines.").view(lines);
        let model = Model::new(System::new("sample", "events", "Lines.").service(service)).unwrap();
        let index_of = |name: &str| model.tables[0].index_of("a", &(Arc::new(Line { name: name.into() }) as Opaque));
        assert_eq!(*index_of("a").unwrap(), [IndexValue::from("a")]);
        assert!(index_of("b").is_err());
    }
}
