//! What is served, worked out once at start, and where a path leads.

use std::collections::HashMap;
use std::ops::Deref;
use std::sync::Arc;

use axum::http::{HeaderMap, Uri};
use driver::Engine;

use crate::options::HttpOptions;
use crate::origin::host_of;
use crate::thing::{Spot, Thing, things_of};

/// Everything a request may find.
pub(crate) struct Site {
    pub options: HttpOptions,
    pub engines: Vec<Arc<Engine>>,
    /// In the order of the declarations.
    pub things: Vec<Arc<Served>>,
    /// The one service that is served, if it is one alone.
    pub service: Option<String>,
    /// Held while a rebuild is begun.
    pub rebuilding: tokio::sync::Mutex<()>,
    by_system: HashMap<&'static str, HashMap<&'static str, Arc<Served>>>,
    by_name: HashMap<&'static str, Vec<Arc<Served>>>,
}

/// A resource or view, with what runs it.
pub(crate) struct Served {
    pub engine: Arc<Engine>,
    thing: Thing,
}

impl Deref for Served {
    type Target = Thing;
    fn deref(&self) -> &Thing {
        &self.thing
    }
}

/// Where a path leads.
pub(crate) enum Place<'a> {
    /// To a resource or view; `system` is given where the path named it.
    Thing { thing: &'a Arc<Served>, spot: Spot, system: Option<&'static str> },
    /// To several, and nothing says which is meant.
    Several(&'a [Arc<Served>]),
    /// To something below a resource that is not there.
    Missing,
    /// To no resource at all.
    Elsewhere,
}

impl Site {
    /// What these systems declare, or one service of theirs alone.
    pub fn of(engines: Vec<Arc<Engine>>, service: Option<&str>, options: HttpOptions) -> Self {
        let served = engines.iter().flat_map(|engine| {
            let things = things_of(engine.model(), service);
            things.into_iter().map(|thing| Arc::new(Served { engine: engine.clone(), thing }))
        });
        let things: Vec<Arc<Served>> = served.collect();
        let mut by_system: HashMap<_, HashMap<_, _>> = HashMap::new();
        let mut by_name: HashMap<_, Vec<_>> = HashMap::new();
        for thing in &things {
            by_system.entry(thing.system).or_default().insert(thing.name, thing.clone());
            by_name.entry(thing.name).or_default().push(thing.clone());
        }
        let service = service.map(str::to_owned);
        Self { options, engines, things, service, rebuilding: tokio::sync::Mutex::default(), by_system, by_name }
    }

    /// Where a path leads.
    pub fn find(&self, uri: &Uri, headers: &HeaderMap) -> Place<'_> {
        // Longer than any path there is, so that nothing of a client's making is collected.
        let mut segments = [""; 5];
        let mut count = 0;
        for segment in uri.path().trim_matches('/').split('/') {
            let Some(free) = segments.get_mut(count) else { return Place::Elsewhere };
            *free = segment;
            count += 1;
        }
        let segments = &segments[..count];
        if let [system, name, rest @ ..] = segments
            && let Some((system, things)) = self.by_system.get_key_value(*system)
            && let Some(thing) = things.get(*name)
        {
            return Spot::of(thing, rest).map_or(Place::Missing, |spot| Place::Thing { thing, spot, system: Some(system) });
        }
        let Some((candidates, rest)) = segments.split_first().and_then(|(name, rest)| Some((self.by_name.get(*name)?, rest)))
        else {
            return Place::Elsewhere;
        };
        match self.choose(candidates, uri, headers) {
            Some(thing) => Spot::of(thing, rest).map_or(Place::Missing, |spot| Place::Thing { thing, spot, system: None }),
            None => Place::Several(candidates),
        }
    }

    /// Among things of one name: the only one, or the one whose system the header, the host or the settings name.
    fn choose<'a>(&self, candidates: &'a [Arc<Served>], uri: &Uri, headers: &HeaderMap) -> Option<&'a Arc<Served>> {
        if let [only] = candidates {
            return Some(only);
        }
        let by_header = headers.get("x-pabal-system").and_then(|system| system.to_str().ok());
        let by_host = host_of(uri, headers, self.options.trust_forwarded).and_then(|host| host.split(['.', ':']).next());
        let named = [by_header, by_host, self.options.default_system.as_deref()];
        named.into_iter().flatten().find_map(|system| candidates.iter().find(|thing| thing.system == system))
    }
}
