//! The admin API of services that run elsewhere. Each process answers for itself: a route that names a service or a view goes to
//! its service; lists go to the service of `?service=`, and to this process without it.

use std::sync::Arc;

use http_api::routing::AdminRoute;

use super::target::{Endpoint, RouteTarget, ServiceLocation};

/// Services and views, by the names that admin routes use.
#[derive(Default)]
pub(super) struct AdminTargets {
    pub services: Vec<ServiceLocation>,
    pub views: Vec<(&'static str, ServiceLocation)>,
}

impl AdminTargets {
    /// Where a route goes.
    pub fn find(&self, route: AdminRoute<'_>, query: &str) -> RouteTarget<'static> {
        let system = parameter(query, "system");
        let mut candidates: Vec<ServiceLocation> = match route {
            AdminRoute::Pause(service) | AdminRoute::Resume(service) => self.services_named(service),
            AdminRoute::Rebuild(view) => {
                self.views.iter().filter(|(name, _)| *name == view).map(|(_, location)| *location).collect()
            }
            AdminRoute::Events
            | AdminRoute::Subscriptions
            | AdminRoute::DeadLetters
            | AdminRoute::Redrive
            | AdminRoute::Discard => match parameter(query, "service") {
                Some(service) => self.services_named(service),
                None => return RouteTarget::Local,
            },
        };
        candidates.retain(|location| system.is_none_or(|system| system == location.system));
        match candidates.as_slice() {
            [ServiceLocation { pool: Some(pool), .. }] => {
                RouteTarget::Pool { pool: *pool, template: Arc::from(route.template()), endpoint: Endpoint::Admin }
            }
            [] | [_] => RouteTarget::Local,
            several if several.iter().all(|location| location.pool.is_none()) => RouteTarget::Local,
            several => {
                let systems: Vec<&str> = several.iter().map(|location| location.system).collect();
                RouteTarget::AmbiguousSystem(systems.join(", "))
            }
        }
    }

    fn services_named(&self, service: &str) -> Vec<ServiceLocation> {
        self.services.iter().filter(|location| location.service == service).copied().collect()
    }
}

/// A parameter, undecoded: names of systems and services need no escapes.
fn parameter<'a>(query: &'a str, name: &str) -> Option<&'a str> {
    query.split('&').filter_map(|pair| pair.split_once('=')).find(|(key, _)| *key == name).map(|(_, value)| value)
}
