//! Systems and services: the declarations from which routes, documents, board, tables and metrics come.

use std::any::{Any, TypeId};
use std::sync::Arc;

use schemars::JsonSchema;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::aggregate::Aggregate;
use crate::context::{Opaque, Question};
use crate::effect::{Effect, EffectCall, Handler, Outcome, Reaction, RetrySafety};
use crate::erased::{AnyAggregate, Erased, to_json};
use crate::event::{CodecError, Event, from_json};
use crate::external::{External, ExternalDef};
use crate::policy::{Commands, Policy, PolicyDef, Whenever};
use crate::resource::{AnyRepresentation, Resource, ResourceDef, not_shown};
use crate::schema;
use crate::settings::{Settings, SettingsError, SettingsType};
use crate::view::{Row, View, ViewDef};

/// How much a domain matters to the company (DDD): it tells where to spend care, and what may be down.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Domain {
    /// Why customers come.
    Core,
    /// Serves the core; may be away for a while.
    Supporting,
    /// Could be bought.
    General,
}

/// A declared system: one topic and its services.
#[derive(Clone)]
pub struct System {
    /// Its name in paths, e.g. `rcs`.
    pub name: &'static str,
    /// The default topic.
    pub topic: &'static str,
    /// One sentence for the documents.
    pub sentence: &'static str,
    /// Its services, in the order of the story.
    pub services: Vec<Service>,
    /// The events that services publish which [`Self::only`] has left out.
    pub elsewhere: Vec<String>,
    /// The settings as they are in force.
    pub settings: Option<Opaque>,
    /// The settings' reader and their present value, for the configuration.
    pub settings_def: Option<SettingsDef>,
    /// Commands in a person's words to try first.
    pub try_first: &'static str,
    /// Bodies that a first run posts into empty collections, in order.
    pub seeds: Vec<Seed>,
    /// Functions that make the first decision as quick as later ones.
    pub warm_ups: Vec<fn()>,
    /// How external records on its topic are read.
    pub external: Option<ExternalDef>,
    /// Existing readers of its topic choke on headers that are declared to be text: fewer are written for them.
    pub bare_headers: bool,
}

/// One row that a first run has.
#[derive(Debug, Clone)]
pub struct Seed {
    /// The collection it is posted to.
    pub resource: &'static str,
    /// The body.
    pub body: Value,
}

/// How the settings of a system are read.
#[derive(Clone)]
pub struct SettingsDef {
    /// Their type, as aggregates and effect handlers name it.
    pub of: SettingsType,
    /// JSON Schema of the settings.
    pub schema: Value,
    /// What is in force, as JSON.
    pub value: Value,
    read: fn(Value) -> Result<(Opaque, Value), SettingsError>,
}

impl System {
    /// A system without services yet.
    pub fn new(name: &'static str, topic: &'static str, sentence: &'static str) -> Self {
        Self {
            name,
            topic,
            sentence,
            services: Vec::new(),
            elsewhere: Vec::new(),
            settings: None,
            settings_def: None,
            try_first: "",
            seeds: Vec::new(),
            warm_ups: Vec::new(),
            external: None,
            bare_headers: false,
        }
    }

    /// Adds a service.
    pub fn service(mut self, service: Service) -> Self {
        self.services.push(service);
        self
    }

    /// Declares the settings, with their defaults in force. They reach decisions in [`crate::Context::settings`],
    /// and effect handlers as an argument.
    pub fn settings<S: Settings>(mut self) -> Self {
        let value = serde_json::to_value(S::default()).unwrap_or_default();
        self.settings = Some(Arc::new(S::default()));
        let (of, schema) = (SettingsType::new::<S>(), schema::inline::<S>().to_value());
        self.settings_def = Some(SettingsDef { of, schema, value, read: read_settings::<S> });
        self
    }

    /// Declares how external records on its topic are read.
    pub fn external<F: External>(mut self) -> Self {
        self.external = Some(ExternalDef::new::<F>());
        self
    }

    /// Says that existing readers of its topic choke on headers that are declared to be text (Spring Boot 2.1's generation).
    pub fn bare_headers(mut self) -> Self {
        self.bare_headers = true;
        self
    }

    /// The same system with one of its services alone, as it runs in a process of its own.
    pub fn only(&self, service: &str) -> Option<Self> {
        let service = self.services.iter().find(|other| other.name == service)?.clone();
        let has = |seed: &Seed| service.resources.iter().any(|resource| resource.name == seed.resource);
        let seeds = self.seeds.iter().filter(|seed| has(seed)).cloned().collect();
        let others = self.services.iter().filter(|other| other.name != service.name).flat_map(|other| &other.aggregates);
        let published = others.flat_map(|def| def.of.events()).filter(|event| !event.private).map(|event| event.name);
        let elsewhere = published.chain(self.elsewhere.iter().cloned()).collect();
        Some(Self { services: vec![service], elsewhere, seeds, ..self.clone() })
    }

    /// Puts settings in force; unknown or wrongly typed ones are an error that names them.
    pub fn configure(&mut self, value: Value) -> Result<(), SettingsError> {
        let Some(def) = self.settings_def.as_mut() else {
            return Err(SettingsError { key: self.name.to_owned(), cause: "this system has no settings".to_owned() });
        };
        let (settings, value) = (def.read)(value)?;
        def.value = value;
        self.settings = Some(settings);
        Ok(())
    }

    /// What a person types first.
    pub fn try_first(mut self, command: &'static str) -> Self {
        self.try_first = command;
        self
    }

    /// A row that a first run has.
    pub fn seed<B: Serialize>(mut self, resource: &'static str, body: &B) -> Self {
        self.seeds.push(Seed { resource, body: serde_json::to_value(body).unwrap_or_default() });
        self
    }

    /// A pure function that is run once, in the background, when the system starts: what is otherwise made on first use
    /// (compiled patterns, tables) is made then, so that the first request is as quick as later ones. Nothing waits for it
    /// and nothing may depend on it; in simulations it is not run.
    pub fn warm_up(mut self, warm: fn()) -> Self {
        self.warm_ups.push(warm);
        self
    }
}

fn read_settings<S: Settings>(value: Value) -> Result<(Opaque, Value), SettingsError> {
    let wrong = |key: String, error: serde_json::Error| SettingsError { key, cause: error.to_string() };
    let settings: S =
        serde_path_to_error::deserialize(value).map_err(|error| wrong(error.path().to_string(), error.into_inner()))?;
    let value = serde_json::to_value(&settings).map_err(|error| wrong(String::new(), error))?;
    Ok((Arc::new(settings) as Arc<dyn Any + Send + Sync>, value))
}

/// A declared service: a bounded context with its own tables.
#[derive(Clone)]
pub struct Service {
    /// Its name, e.g. `message`.
    pub name: &'static str,
    /// Its port on a laptop when its system runs alone.
    pub port: u16,
    /// One sentence for the board.
    pub sentence: &'static str,
    /// Core, supporting or general.
    pub domain: Domain,
    /// The topic it listens to, where it is not its own system's.
    pub follows: Option<&'static str>,
    /// Its aggregates.
    pub aggregates: Vec<AggregateDef>,
    /// Its policies.
    pub policies: Vec<PolicyDef>,
    /// Its views.
    pub views: Vec<ViewDef>,
    /// Its resources.
    pub resources: Vec<ResourceDef>,
    /// The effect handlers that come with it, by port.
    pub effect_handlers: Vec<EffectHandlerDef>,
    /// The directories that come with it, by port.
    pub answerers: Vec<AnswererDef>,
}

/// A declared aggregate without its type.
#[derive(Clone)]
pub struct AggregateDef {
    /// The aggregate.
    pub of: Arc<dyn AnyAggregate>,
    /// How it is shown and indexed.
    pub representation: Arc<dyn AnyRepresentation>,
}

impl Service {
    /// A service without anything yet.
    pub fn new(name: &'static str, port: u16, domain: Domain, sentence: &'static str) -> Self {
        Self {
            name,
            port,
            sentence,
            domain,
            follows: None,
            aggregates: Vec::new(),
            policies: Vec::new(),
            views: Vec::new(),
            resources: Vec::new(),
            effect_handlers: Vec::new(),
            answerers: Vec::new(),
        }
    }

    /// Listens to another system's topic instead of its own: a service is added without a change of the system that it listens to.
    pub fn follows(mut self, topic: &'static str) -> Self {
        self.follows = Some(topic);
        self
    }

    /// Adds an aggregate.
    pub fn aggregate<A: Aggregate>(mut self) -> Self {
        self.aggregates.push(AggregateDef { of: Arc::new(Erased::<A>::new()), representation: not_shown() });
        self
    }

    /// Adds an aggregate with its resource.
    pub fn resource<A: Aggregate, B: Serialize + JsonSchema + 'static>(mut self, resource: Resource<A, B>) -> Self {
        let resource = resource.erase();
        self.aggregates.push(AggregateDef { of: Arc::new(Erased::<A>::new()), representation: resource.representation.clone() });
        self.resources.push(resource);
        self
    }

    /// Adds a policy, declared with [`policies!`](crate::policies!).
    pub fn whenever<E: Event, C: Commands + 'static, M>(mut self, policy: Whenever<impl Policy<E, C, M>>) -> Self {
        self.policies.push(PolicyDef::new(policy));
        self
    }

    /// Adds a view.
    pub fn view<R: Row>(mut self, view: View<R>) -> Self {
        self.views.push(view.erase());
        self
    }

    /// The handler of a port that comes with the service: a pure function, so that demos and simulations can rely on it. Its
    /// settings are the system's; [`crate::NoSettings`] for most.
    pub fn effect_handler<E: Effect, S: Settings>(mut self, repeat: RetrySafety, handler: Handler<E, S>) -> Self {
        let erased = move |effect: &[u8], call: &EffectCall<'_>, settings: Option<&Opaque>| {
            let effect = E::read(call.version, effect)?;
            let settings = settings.and_then(|settings| settings.downcast_ref::<S>());
            erase_reaction(match settings {
                Some(settings) => handler(&effect, call, settings),
                None => handler(&effect, call, &S::default()),
            })
        };
        let of = SettingsType::new::<S>();
        self.effect_handlers.push(EffectHandlerDef { port: E::PORT, repeat, of, settings: None, handler: Arc::new(erased) });
        self
    }

    /// The directory that answers a question and comes with the service: a pure function.
    pub fn answers<Q: Question + DeserializeOwned>(mut self, answer: fn(&Q) -> Option<Q::Answer>) -> Self {
        let erased = move |question: &str| {
            let question = from_json::<Q>(question.as_bytes())?;
            Ok(answer(&question).map(|answer| Arc::new(answer) as Opaque))
        };
        self.answerers.push(AnswererDef { port: Q::PORT, answer: Arc::new(erased) });
        self
    }

    /// Which aggregate has that Rust type.
    pub fn aggregate_of(&self, aggregate: TypeId) -> Option<&AggregateDef> {
        // By its full name: with `Any` in scope the method call would ask the `Arc` for its own type.
        self.aggregates.iter().find(|def| AnyAggregate::type_id(def.of.as_ref()) == aggregate)
    }
}

type EffectHandler = dyn Fn(&[u8], &EffectCall<'_>, Option<&Opaque>) -> Result<Reaction<Vec<u8>>, CodecError> + Send + Sync;

/// An effect handler without its types.
#[derive(Clone)]
pub struct EffectHandlerDef {
    /// The port it stands behind.
    pub port: &'static str,
    /// What may be done about an unknown outcome.
    pub repeat: RetrySafety,
    /// The settings that it reads.
    pub of: SettingsType,
    settings: Option<Opaque>,
    handler: Arc<EffectHandler>,
}

impl EffectHandlerDef {
    /// The same with these settings in force.
    pub fn configured(self, settings: Option<Opaque>) -> Self {
        Self { settings, ..self }
    }

    /// Calls it.
    pub fn call(&self, effect: &[u8], call: &EffectCall<'_>) -> Result<Reaction<Vec<u8>>, CodecError> {
        (self.handler)(effect, call, self.settings.as_ref())
    }
}

type Answerer = dyn Fn(&str) -> Result<Option<Opaque>, CodecError> + Send + Sync;

/// A directory without its type.
#[derive(Clone)]
pub struct AnswererDef {
    /// The port it stands behind.
    pub port: &'static str,
    answer: Arc<Answerer>,
}

impl AnswererDef {
    /// Answers a question given as JSON.
    pub fn answer(&self, question: &str) -> Result<Option<Opaque>, CodecError> {
        (self.answer)(question)
    }
}

fn erase_reaction<R: Serialize>(reaction: Reaction<R>) -> Result<Reaction<Vec<u8>>, CodecError> {
    Ok(match reaction {
        Reaction::Reply { now, later } => {
            let later =
                later.into_iter().map(|later| Ok(crate::DelayedReply { after: later.after, reply: to_json(&later.reply)? }));
            Reaction::Reply { now: to_json(&now)?, later: later.collect::<Result<_, CodecError>>()? }
        }
        Reaction::UnknownId => Reaction::UnknownId,
        Reaction::TimedOut => Reaction::TimedOut,
        Reaction::Unreachable => Reaction::Unreachable,
    })
}

/// The outcome of an effect as it is kept until the aggregate has heard it.
pub type ErasedOutcome = Outcome<Vec<u8>>;
