//! Where a request goes, worked out once from the declarations: to the pool of a service that runs elsewhere, or to the router
//! of this process.

mod admin;
mod target;

use std::sync::Arc;

use axum::http::{HeaderMap, Uri};
use http_api::routing::{AdminRoute, Match, Route, RouteTable, SystemSelection};
use kernel::System;

pub(super) use target::{Endpoint, PooledRoute, RouteTarget};

use super::options::ForwardOptions;
use admin::AdminTargets;
use target::ServiceLocation;

/// Every declared resource, view and service, with its pool.
pub(super) struct Routes {
    table: RouteTable<PooledRoute>,
    /// Where the admin API is forwarded.
    admin: Option<AdminTargets>,
}

impl Routes {
    /// The routes of these systems; `pool_of` is the pool of a service that runs elsewhere.
    pub fn new(systems: &[System], options: &ForwardOptions, pool_of: impl Fn(&str, &str) -> Option<usize>) -> Self {
        let (mut routes, mut admin) = (Vec::new(), AdminTargets::default());
        for (system, service) in systems.iter().flat_map(|system| system.services.iter().map(move |service| (system, service))) {
            let pool = pool_of(system.name, service.name);
            let location = ServiceLocation { system: system.name, service: service.name, pool };
            admin.services.push(location);
            admin.views.extend(service.views.iter().map(|view| (view.name, location)));
            let resources = service.resources.iter().map(|resource| resource.name);
            let names = resources.chain(service.views.iter().map(|view| view.name));
            routes.extend(names.map(|name| Arc::new(PooledRoute { route: Route::new(system.name, service.name, name), pool })));
        }
        let selection =
            SystemSelection { default_system: options.default_system.clone(), trust_forwarded: options.trust_forwarded };
        Self { table: RouteTable::new(&routes, selection), admin: options.admin.then_some(admin) }
    }

    /// Where a request goes.
    pub fn find(&self, uri: &Uri, headers: &HeaderMap) -> RouteTarget<'_> {
        match self.table.find(uri, headers) {
            Match::One { target, form, .. } => target.target(form),
            // Where all candidates run in this process, its own table tells them apart.
            Match::Ambiguous(candidates) if candidates.iter().all(|candidate| candidate.pool.is_none()) => RouteTarget::Local,
            Match::Ambiguous(candidates) => RouteTarget::Ambiguous(candidates),
            Match::None => match (&self.admin, AdminRoute::parse(uri.path())) {
                (Some(admin), Some(route)) => admin.find(route, uri.query().unwrap_or_default()),
                _ => RouteTarget::Local,
            },
        }
    }
}
