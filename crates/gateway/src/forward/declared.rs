//! Where a path leads, worked out once from the declarations: to a service that runs elsewhere, or to this process.

use std::collections::HashMap;
use std::sync::Arc;

use axum::http::{HeaderMap, Uri};
use http_api::host_of;
use kernel::System;

use super::admin;
use super::options::ForwardOptions;

/// Every resource and view that is declared.
pub(crate) struct Declared {
    by_system: HashMap<&'static str, HashMap<&'static str, Thing>>,
    by_name: HashMap<&'static str, Vec<Thing>>,
    pub services: Vec<Place>,
    pub views: Vec<(&'static str, Place)>,
}

/// A service, and the pool of its upstreams; without one it runs in this process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Place {
    pub system: &'static str,
    pub service: &'static str,
    pub pool: Option<usize>,
}

/// A resource or view.
#[derive(Clone)]
pub(crate) struct Thing {
    pub name: &'static str,
    pub place: Place,
    routes: Arc<Routes>,
}

/// What of a service is asked, as far as repeating goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Spot {
    /// A collection, an entity, a search: changes that come twice come to the same.
    Thing,
    /// An action of an entity: it may count.
    Action,
    /// The admin API, which knows no idempotency keys.
    Admin,
}

/// Route templates, as metrics and the log name them.
struct Routes {
    collection: Arc<str>,
    entity: Arc<str>,
    totals: Arc<str>,
    search: Arc<str>,
    action: Arc<str>,
    deeper: Arc<str>,
}

/// Where a request goes.
pub(crate) enum Goal<'a> {
    /// To this process.
    Here,
    /// To the service behind that pool.
    There { pool: usize, route: Arc<str>, spot: Spot },
    /// Nowhere, since several systems have what it names.
    Several(&'a [Thing]),
    /// To an admin route of several services.
    Unclear(String),
}

impl Declared {
    /// What these systems declare; `pool_of` knows the services that run elsewhere.
    pub fn of(systems: &[System], pool_of: impl Fn(&str, &str) -> Option<usize>) -> Self {
        let mut declared = Self { by_system: HashMap::new(), by_name: HashMap::new(), services: Vec::new(), views: Vec::new() };
        for system in systems {
            for service in &system.services {
                let place = Place { system: system.name, service: service.name, pool: pool_of(system.name, service.name) };
                declared.services.push(place);
                declared.views.extend(service.views.iter().map(|view| (view.name, place)));
                let resources = service.resources.iter().map(|resource| resource.name);
                for name in resources.chain(service.views.iter().map(|view| view.name)) {
                    let thing = Thing { name, place, routes: Arc::new(Routes::of(system.name, name)) };
                    declared.by_system.entry(system.name).or_default().insert(name, thing.clone());
                    declared.by_name.entry(name).or_default().push(thing);
                }
            }
        }
        declared
    }

    /// Where a request goes. The rules are those of the resources themselves, over all processes instead of one.
    pub fn find(&self, uri: &Uri, headers: &HeaderMap, options: &ForwardOptions) -> Goal<'_> {
        let mut segments = [""; 5];
        let mut count = 0;
        for segment in uri.path().trim_matches('/').split('/') {
            let Some(free) = segments.get_mut(count) else { return Goal::Here };
            *free = segment;
            count += 1;
        }
        let segments = &segments[..count];
        if let [system, name, rest @ ..] = segments
            && let Some(thing) = self.by_system.get(*system).and_then(|things| things.get(*name))
        {
            return thing.goal(rest);
        }
        let named = segments.split_first().and_then(|(name, rest)| Some((self.by_name.get(*name)?, rest)));
        if let Some((candidates, rest)) = named {
            return match choose(candidates, uri, headers, options) {
                Some(thing) => thing.goal(rest),
                // Where all of them run here, this process tells them apart by itself.
                None if candidates.iter().all(|thing| thing.place.pool.is_none()) => Goal::Here,
                None => Goal::Several(candidates),
            };
        }
        match segments {
            ["admin", rest @ ..] if options.admin => admin::goal(self, rest, uri.query().unwrap_or_default()),
            _ => Goal::Here,
        }
    }
}

/// Among things of one name: the only one, or the one whose system the header, the host or the settings name.
fn choose<'a>(candidates: &'a [Thing], uri: &Uri, headers: &HeaderMap, options: &ForwardOptions) -> Option<&'a Thing> {
    if let [only] = candidates {
        return Some(only);
    }
    let by_header = headers.get("x-pabal-system").and_then(|system| system.to_str().ok());
    let by_host = host_of(uri, headers, options.trust_forwarded).and_then(|host| host.split(['.', ':']).next());
    let named = [by_header, by_host, options.default_system.as_deref()];
    named.into_iter().flatten().find_map(|system| candidates.iter().find(|thing| thing.place.system == system))
}

impl Thing {
    fn goal(&self, rest: &[&str]) -> Goal<'static> {
        let Some(pool) = self.place.pool else { return Goal::Here };
        let (route, spot) = match rest {
            [] => (&self.routes.collection, Spot::Thing),
            ["totals"] => (&self.routes.totals, Spot::Thing),
            ["search"] | ["search", _] => (&self.routes.search, Spot::Thing),
            [_] => (&self.routes.entity, Spot::Thing),
            [_, _] => (&self.routes.action, Spot::Action),
            _ => (&self.routes.deeper, Spot::Action),
        };
        Goal::There { pool, route: route.clone(), spot }
    }
}

impl Routes {
    fn of(system: &str, name: &str) -> Self {
        let route = |rest: &str| Arc::from(format!("/{system}/{name}{rest}"));
        Self {
            collection: route(""),
            entity: route("/{id}"),
            totals: route("/totals"),
            search: route("/search"),
            action: route("/{id}/{action}"),
            deeper: route("/{id}/{action}/…"),
        }
    }
}
