//! All pools, one per service that runs elsewhere, and their health.

use std::sync::Arc;
use std::time::Instant;

use kernel::System;
use serde_json::{Map, Value, json};

use super::pool::Pool;
use super::replica::{Health, Upstream};
use crate::forward::options::{ForwardError, ForwardOptions, Remote};

/// The pools of all services that run elsewhere.
pub(crate) struct Pools(Vec<Pool>);

impl Pools {
    /// A pool for each remote service, which a system must declare.
    pub fn try_new(systems: &[System], remotes: &[Remote], options: &ForwardOptions) -> Result<Self, ForwardError> {
        let mut pools = Self(Vec::new());
        for remote in remotes {
            let system = systems.iter().find(|system| system.name == remote.system);
            let found = system.and_then(|system| {
                let service = system.services.iter().find(|service| service.name == remote.service)?;
                Some((system.name, service.name))
            });
            let (system, service) =
                found.ok_or_else(|| ForwardError::Unknown { system: remote.system.clone(), service: remote.service.clone() })?;
            if pools.index_of(system, service).is_some() {
                return Err(ForwardError::Twice { system: system.to_owned(), service: service.to_owned() });
            }
            pools.0.push(Pool::try_new(system, service, remote, options)?);
        }
        Ok(pools)
    }

    /// The index of a service's pool, if it has one.
    pub fn index_of(&self, system: &str, service: &str) -> Option<usize> {
        self.0.iter().position(|pool| pool.system == system && pool.service == service)
    }

    /// The pool of that index.
    pub fn get(&self, index: usize) -> &Pool {
        &self.0[index]
    }

    /// All upstreams of all services.
    pub fn upstreams(&self) -> impl Iterator<Item = &Arc<Upstream>> {
        self.0.iter().flat_map(|pool| &pool.upstreams)
    }

    /// Services with an upstream that was not checked yet, as `system/service`.
    pub fn unchecked(&self) -> Vec<String> {
        let unchecked = |pool: &&Pool| pool.upstreams.iter().any(|upstream| upstream.health() == Health::Unknown);
        self.0.iter().filter(unchecked).map(name).collect()
    }

    /// The services by `system/service`, as `/actuator/health` shows them.
    pub fn health(&self) -> Map<String, Value> {
        self.0.iter().map(|pool| (name(pool), component(pool))).collect()
    }
}

fn name(pool: &Pool) -> String {
    format!("{}/{}", pool.system, pool.service)
}

/// Up while there is an upstream that requests may go to.
fn component(pool: &Pool) -> Value {
    let now = Instant::now();
    let word = |up: bool| if up { "UP" } else { "DOWN" };
    let upstreams = pool.upstreams.iter().map(|upstream| {
        let status = match upstream.health() {
            Health::Unknown => "UNKNOWN",
            health => word(health == Health::Up),
        };
        let (breaker, in_flight) = (upstream.breaker.state().word(), upstream.in_flight());
        json!({"address": upstream.address(), "status": status, "breaker": breaker, "inFlight": in_flight})
    });
    let details = json!({"upstreams": upstreams.collect::<Vec<_>>()});
    json!({"status": word(pool.upstreams.iter().any(|upstream| upstream.is_usable(now))), "details": details})
}
